/* SPDX-License-Identifier: Apache-2.0 */
/* Owns the way from nothing to an upgraded connection: connect by libcurl, which then only carries bytes; one request;
 * one answer, bounded in its headers and its body, however it drips; the end by cancel or deadline. */
#include "steps/target/kube_upgrade.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/fault.h"

#define HEAD_MAX ((size_t)64 << 10)
#define SLICE NS_PER_S                 /* how often to look when nothing would wake us */
#define BODY_LIMIT (2 * NS_PER_S)      /* for the body of a refusal, which is only its words */

void
upgrade_wait(const struct opctx *cx, const struct upgraded *u, short events, int64_t until)
{
	struct pollfd fds[] = { { .fd = u->fd, .events = events },
				{ .fd = cx->cancel == NULL ? -1 : cx->cancel_fd, .events = POLLIN } };
	const int64_t now = clock_now(), ns = until - now < SLICE ? until - now : SLICE;

	if (ns > 0)
		(void)poll(fds, 2, (int)(ns / NS_PER_MS) + 1);
}

static void
give_up(struct httpc_reply *r, bool sent, enum err_kind kind, const char *why)
{
	r->fate = sent ? HTTPC_LOST : HTTPC_NOT_SENT;
	r->gave_up = kind;
	r->away = true;
	(void)snprintf(r->why, sizeof(r->why), "%s", why);
}

/* Cancel or deadline? Once sent, an answer to what may change something is waited for until the second signal. */
static bool
is_over(const struct opctx *cx, const struct httpc_request *rq, bool sent, struct httpc_reply *r)
{
	if (peer_cancelled(cx) > (rq->changes && sent ? 1 : 0))
		give_up(r, sent, ERR_CANCELLED, "stopped while waiting for the answer");
	else if (clock_now() >= cx->deadline)
		give_up(r, sent, ERR_TIMEOUT, "no answer before the step's time-out");
	else
		return false;
	return true;
}

static void
explain(const struct upgraded *u, const struct httpc_request *rq, CURLcode code, bool sent, struct httpc_reply *r)
{
	long os_errno = 0;

	curl_easy_getinfo(u->easy, CURLINFO_OS_ERRNO, &os_errno);
	r->fate = sent ? HTTPC_LOST : HTTPC_NOT_SENT;
	r->away = true;
	if (code == CURLE_OK)
		(void)snprintf(r->why, sizeof(r->why), r->head.len > 0 ? "the answer was cut off in its headers" :
			       "the connection was closed without an answer");
	else
		peer_explain(rq->peer, code, &u->told, os_errno, r->why, sizeof(r->why));
	if (peer_refused(rq->peer, code, u->told.error) ||
	    (peer_is_tls(rq->peer) && sent && r->head.len == 0 && peer_ask(rq->peer, r->why, sizeof(r->why))))
		r->fate = HTTPC_REFUSED;
}

static bool
dial(struct opctx *cx, const struct httpc_request *rq, struct upgraded *u, struct httpc_reply *r)
{
	struct curl_waitfd wake = { .fd = cx->cancel_fd, .events = CURL_WAIT_POLLIN };
	int running, left;
	CURLMsg *msg;

	peer_set(u->easy, rq->peer, &u->told);
	curl_easy_setopt(u->easy, CURLOPT_URL, rq->peer->url);
	curl_easy_setopt(u->easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	curl_easy_setopt(u->easy, CURLOPT_FRESH_CONNECT, 1L);
	curl_easy_setopt(u->easy, CURLOPT_CONNECT_ONLY, 1L);
	curl_multi_add_handle(u->multi, u->easy);
	while (!is_over(cx, rq, false, r)) {
		curl_multi_perform(u->multi, &running);
		while ((msg = curl_multi_info_read(u->multi, &left)) != NULL) {
			const CURLcode code = msg->msg == CURLMSG_DONE ? msg->data.result : CURLE_OK;

			if (msg->msg == CURLMSG_DONE && code == CURLE_OK)
				return curl_easy_getinfo(u->easy, CURLINFO_ACTIVESOCKET, &u->fd) == CURLE_OK;
			if (msg->msg == CURLMSG_DONE) {
				explain(u, rq, code, false, r);
				return false;
			}
		}
		curl_multi_poll(u->multi, &wake, cx->cancel != NULL && cx->cancel_fd >= 0 ? 1 : 0, 200, NULL);
	}
	return false;
}

/* The request's own bytes. False: the URL is none. */
static bool
request(const struct httpc_request *rq, struct buf *to)
{
	const char *const gets[] = { "host", "port", "path", "query" };
	static const CURLUPart parts[] = { CURLUPART_HOST, CURLUPART_PORT, CURLUPART_PATH, CURLUPART_QUERY };
	char *got[countof(gets)] = { NULL };
	CURLU *url = curl_url();
	bool ok = curl_url_set(url, CURLUPART_URL, rq->peer->url, CURLU_PATH_AS_IS) == CURLUE_OK;

	for (size_t i = 0; ok && i < countof(parts); i++)
		(void)curl_url_get(url, parts[i], &got[i], 0);
	ok = ok && got[0] != NULL;
	if (ok) {
		buf_printf(to, "%s %s%s%s HTTP/1.1\r\nHost: %s%s%s\r\nUser-Agent: wherry\r\n", rq->method,
			   got[2] != NULL ? got[2] : "/", got[3] != NULL ? "?" : "", got[3] != NULL ? got[3] : "", got[0],
			   got[1] != NULL ? ":" : "", got[1] != NULL ? got[1] : "");
		if (rq->headers->len > 0)
			buf_put(to, rq->headers->p, rq->headers->len);
		buf_puts(to, "\r\n");
	}
	for (size_t i = 0; i < countof(parts); i++)
		curl_free(got[i]);
	curl_url_cleanup(url);
	return ok;
}

static bool
send_all(struct opctx *cx, const struct httpc_request *rq, struct upgraded *u, const struct buf *b, struct httpc_reply *r)
{
	size_t done = 0, n;

	while (done < b->len) {
		const CURLcode code = curl_easy_send(u->easy, b->p + done, b->len - done, &n);

		if (code == CURLE_OK) {
			done += n;
		} else if (code != CURLE_AGAIN) {
			explain(u, rq, code, true, r);
			return false;
		} else {
			if (is_over(cx, rq, true, r))
				return false;
			upgrade_wait(cx, u, POLLOUT, cx->deadline);
		}
	}
	return true;
}

/* More bytes into `to`; false at the end, with code and nothing in r where it is the connection's. */
static bool
receive(struct opctx *cx, const struct httpc_request *rq, struct upgraded *u, int64_t until, struct buf *to, CURLcode *ret,
	struct httpc_reply *r)
{
	char piece[4096];
	size_t n;

	for (;;) {
		*ret = curl_easy_recv(u->easy, piece, sizeof(piece), &n);
		if (*ret == CURLE_OK && n > 0) {
			buf_put(to, piece, n);
			return true;
		}
		if (*ret != CURLE_AGAIN || clock_now() >= until || is_over(cx, rq, true, r))
			return false;
		upgrade_wait(cx, u, POLLIN, until < cx->deadline ? until : cx->deadline);
	}
}

/* Of a refusal: as much of its body as it says there is. */
static void
take_words(struct opctx *cx, const struct httpc_request *rq, struct upgraded *u, struct httpc_reply *r)
{
	const char *length = httpc_header(cx->arena, r, "content-length");
	const size_t wanted = length != NULL ? (size_t)strtoull(length, NULL, 10) : rq->max;
	const int64_t until = clock_now() + BODY_LIMIT;
	struct httpc_reply ignored = { 0 }; /* the status is known: whatever ends the body ends it */
	CURLcode code;

	while (u->rest.len < wanted && u->rest.len < rq->max && receive(cx, rq, u, until, &u->rest, &code, &ignored))
		;
	buf_put(&r->body, u->rest.p, u->rest.len < rq->max ? u->rest.len : rq->max);
	buf_clear(&u->rest);
}

static bool
take_answer(struct opctx *cx, const struct httpc_request *rq, struct upgraded *u, struct httpc_reply *r)
{
	CURLcode code = CURLE_OK;
	size_t seen; /* without an end; its last three bytes may begin one */
	const char *end;

	do {
		seen = r->head.len > 3 ? r->head.len - 3 : 0;
		if (!receive(cx, rq, u, cx->deadline, &r->head, &code, r)) {
			if (r->gave_up == ERR_NONE)
				explain(u, rq, code == CURLE_AGAIN ? CURLE_OK : code, true, r);
			return false;
		}
		end = memmem(r->head.p + seen, r->head.len - seen, "\r\n\r\n", 4);
	} while (end == NULL && r->head.len < HEAD_MAX);
	if (end == NULL || sscanf(r->head.p, "HTTP/1.%*1[01] %3d", &r->status) != 1) {
		r->fate = HTTPC_LOST;
		r->status = 0;
		(void)snprintf(r->why, sizeof(r->why), end == NULL ? "the reply's headers are larger than 64 KiB" :
			       "the answer is not HTTP/1.1");
		return false;
	}
	buf_put(&u->rest, end + 4, r->head.len - (size_t)(end + 4 - r->head.p));
	r->head.len = (size_t)(end + 4 - r->head.p);
	if (r->status == 101)
		return true;
	take_words(cx, rq, u, r);
	return false;
}

bool
upgrade_ask(struct opctx *cx, const struct httpc_request *rq, struct upgraded *ret, struct httpc_reply *ret_reply)
{
	struct buf text = BUF_INIT(0);
	bool ok;

	*ret_reply = (struct httpc_reply){ .head = BUF_INIT(0), .body = BUF_INIT(0) };
	*ret = (struct upgraded){ .easy = curl_easy_init(), .multi = curl_multi_init(), .fd = -1, .rest = BUF_INIT(0) };
	if (ret->easy == NULL || ret->multi == NULL)
		abort(); /* out of memory, as xmalloc */
	ok = request(rq, &text);
	if (!ok)
		give_up(ret_reply, false, ERR_PLAN, "the URL cannot be read");
	ok = ok && dial(cx, rq, ret, ret_reply);
	FAULT("upgrade.connected");
	ok = ok && send_all(cx, rq, ret, &text, ret_reply);
	FAULT("upgrade.sent");
	ok = ok && take_answer(cx, rq, ret, ret_reply);
	if (text.p != NULL)
		explicit_bzero(text.p, text.cap);
	buf_done(&text);
	return ok;
}

void
upgrade_close(struct upgraded *u)
{
	if (u->easy == NULL)
		return;
	curl_multi_remove_handle(u->multi, u->easy);
	curl_easy_cleanup(u->easy);
	curl_multi_cleanup(u->multi);
	buf_done(&u->rest);
	*u = (struct upgraded){ 0 };
}

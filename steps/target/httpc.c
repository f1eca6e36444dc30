/* SPDX-License-Identifier: Apache-2.0 */
/* Owns one HTTP exchange: the connection it uses, its bounds, its end by cancel or deadline. What the end means is judged
 * in httpc_judge.c. A handle with its connections belongs to one request at a time. */
#include "steps/target/httpc.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/fault.h"

#define IDLE_MAX 8
#define HEAD_MAX ((size_t)64 << 10)
#define SLOW_BYTES 10L /* a second */
#define POLL_MS 1000

/* A transfer's tools: the multi handle holds the connections. */
struct handle {
	CURL *easy;
	CURLM *multi;
};

struct httpc {
	pthread_mutex_t lock;
	struct handle idle[IDLE_MAX];
	size_t n;
};

/* One exchange under way. */
struct exchange {
	struct httpc *home;
	bool fresh; /* its connection is not for others */
	struct handle via;
	struct opctx *cx;
	const struct httpc_request *rq;
	struct httpc_reply *reply;
	struct curl_slist *headers;
	bool whole; /* the headers have ended: libcurl takes a connection's end for that too */
	struct peer_told told;
};

struct httpc *
httpc_new(void)
{
	struct httpc *h = xcalloc(1, sizeof(*h));

	curl_global_init(CURL_GLOBAL_DEFAULT);
	pthread_mutex_init(&h->lock, NULL);
	return h;
}

static struct handle
handle_new(void)
{
	const struct handle via = { curl_easy_init(), curl_multi_init() };

	if (via.easy == NULL || via.multi == NULL)
		abort(); /* out of memory, as xmalloc */
	return via;
}

static void
handle_free(struct handle *via)
{
	curl_easy_cleanup(via->easy);
	curl_multi_cleanup(via->multi);
}

void
httpc_forget(struct httpc *h)
{
	struct handle idle[IDLE_MAX];
	size_t n;

	pthread_mutex_lock(&h->lock);
	n = h->n;
	memcpy(idle, h->idle, sizeof(idle));
	h->n = 0;
	pthread_mutex_unlock(&h->lock);
	while (n > 0)
		handle_free(&idle[--n]);
}

void
httpc_free(struct httpc *h)
{
	if (h == NULL)
		return;
	httpc_forget(h);
	pthread_mutex_destroy(&h->lock);
	free(h);
	curl_global_cleanup();
}

static struct handle
handle_take(struct httpc *h, bool fresh)
{
	struct handle via = { 0 };

	pthread_mutex_lock(&h->lock);
	if (!fresh && h->n > 0)
		via = h->idle[--h->n];
	pthread_mutex_unlock(&h->lock);
	return via.easy != NULL ? via : handle_new();
}

static void
handle_give(struct httpc *h, struct handle via)
{
	curl_easy_reset(via.easy); /* drops what it knows of the request; the connections stay */
	pthread_mutex_lock(&h->lock);
	if (h->n < IDLE_MAX) {
		h->idle[h->n++] = via;
		via.easy = NULL;
	}
	pthread_mutex_unlock(&h->lock);
	if (via.easy != NULL)
		handle_free(&via);
}

static int
status_of(const struct exchange *x)
{
	long status = 0;

	curl_easy_getinfo(x->via.easy, CURLINFO_RESPONSE_CODE, &status);
	return (int)status;
}

static size_t
on_header(char *p, size_t size, size_t n, void *data)
{
	struct exchange *x = data;
	struct buf *head = &x->reply->head;

	if (size * n > 5 && memcmp(p, "HTTP/", 5) == 0) { /* what came before was interim (1xx) */
		buf_clear(head);
		x->whole = false;
	}
	if (x->whole) /* a trailer */
		return size * n;
	x->whole = p[0] == '\r' || p[0] == '\n';
	if (x->whole)
		x->reply->status = status_of(x);
	buf_put(head, p, size * n);
	return head->failed ? 0 : size * n;
}

static size_t
on_body(char *p, size_t size, size_t n, void *data)
{
	struct exchange *x = data;
	const size_t room = x->rq->max - x->reply->body.len;

	if (x->rq->sink != NULL && x->reply->status / 100 == 2) {
		x->reply->poured = true;
		x->reply->stopped = x->rq->sink(x->rq->sink_data, p, size * n) < 0;
		return x->reply->stopped ? 0 : size * n;
	}
	x->reply->cut = size * n > room;
	buf_put(&x->reply->body, p, x->reply->cut ? room : size * n);
	return x->reply->cut ? 0 : size * n;
}

static void
set_headers(struct exchange *x)
{
	const char *p = x->rq->headers->p, *end = p == NULL ? NULL : p + x->rq->headers->len, *eol;

	for (; p < end; p = eol + 2) {
		char *line;

		eol = memmem(p, (size_t)(end - p), "\r\n", 2);
		line = xstrndup(p, (size_t)(eol - p));
		if (eol - p > 2 && memcmp(eol - 2, ": ", 2) == 0)
			memcpy(line + (eol - p) - 2, ";", 2); /* libcurl's way to write an empty value */
		x->headers = curl_slist_append(x->headers, line);
		explicit_bzero(line, strlen(line));
		free(line);
	}
	/* no "Expect: 100-continue", after which libcurl may send again; no type that nobody chose */
	x->headers = curl_slist_append(x->headers, "Expect:");
	if (httpc_header(NULL, &(struct httpc_reply){ .head = *x->rq->headers }, "content-type") == NULL)
		x->headers = curl_slist_append(x->headers, "Content-Type:");
}

static void
start(struct exchange *x)
{
	const struct httpc_request *rq = x->rq;
	CURL *easy = x->via.easy;

	peer_set(easy, rq->peer, &x->told);
	set_headers(x);
	curl_easy_setopt(easy, CURLOPT_URL, rq->peer->url);
	curl_easy_setopt(easy, CURLOPT_PATH_AS_IS, 1L); /* what was said is what is asked */
	curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	curl_easy_setopt(easy, CURLOPT_HTTPHEADER, x->headers);
	curl_easy_setopt(easy, CURLOPT_USERAGENT, "wherry");
	curl_easy_setopt(easy, CURLOPT_LOW_SPEED_LIMIT, SLOW_BYTES);
	curl_easy_setopt(easy, CURLOPT_LOW_SPEED_TIME, (long)((rq->stall + NS_PER_S - 1) / NS_PER_S));
	curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_header);
	curl_easy_setopt(easy, CURLOPT_HEADERDATA, x);
	curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
	curl_easy_setopt(easy, CURLOPT_WRITEDATA, x);
	if (strcmp(rq->method, "HEAD") == 0) {
		curl_easy_setopt(easy, CURLOPT_NOBODY, 1L);
	} else if (rq->body != NULL) {
		curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)rq->body->len);
		curl_easy_setopt(easy, CURLOPT_POSTFIELDS, rq->body->len > 0 ? rq->body->p : "");
	}
	if (strcmp(rq->method, "HEAD") != 0)
		curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, rq->method);
	curl_multi_add_handle(x->via.multi, easy);
}

/* Has the connection been made, so that something may have been sent? */
static bool
was_sent(const struct exchange *x)
{
	curl_off_t us = 0;

	curl_easy_getinfo(x->via.easy, CURLINFO_PRETRANSFER_TIME_T, &us);
	return us > 0;
}

static void
give_up(struct exchange *x, enum err_kind kind, const char *why)
{
	x->reply->fate = was_sent(x) ? HTTPC_LOST : HTTPC_NOT_SENT;
	x->reply->gave_up = kind;
	x->reply->away = true;
	(void)snprintf(x->reply->why, sizeof(x->reply->why), "%s", why);
}

enum drive { ENDED, GIVEN_UP, QUIET };

/* Run to the transfer's end, until we give up, until some of a success has come (where that is enough), or `until`. */
static enum drive
drive(struct exchange *x, bool some, int64_t until, CURLcode *ret)
{
	struct curl_waitfd wake = { .fd = x->cx->cancel_fd, .events = CURL_WAIT_POLLIN };
	int running, left;
	CURLMsg *msg;

	for (;;) {
		const int64_t ms = (until - clock_now()) / NS_PER_MS + 1;
		const int stop = peer_cancelled(x->cx);

		curl_multi_perform(x->via.multi, &running);
		while ((msg = curl_multi_info_read(x->via.multi, &left)) != NULL)
			if (msg->msg == CURLMSG_DONE) {
				*ret = msg->data.result;
				return ENDED;
			}
		if (stop > (x->rq->changes && was_sent(x) ? 1 : 0)) {
			give_up(x, ERR_CANCELLED, "stopped while waiting for the answer");
			return GIVEN_UP;
		}
		if (ms <= 0 || (some && x->reply->status / 100 == 2 && x->reply->body.len > 0))
			return QUIET;
		curl_multi_poll(x->via.multi, &wake, stop == 0 && x->cx->cancel != NULL && x->cx->cancel_fd >= 0 ? 1 : 0,
				ms < POLL_MS ? (int)ms : POLL_MS, NULL);
	}
}

/* No reply at all, or not the whole of one. */
static void
explain(struct exchange *x, CURLcode code)
{
	const struct peer *peer = x->rq->peer;
	struct httpc_reply *r = x->reply;
	const bool connected = code != CURLE_COULDNT_RESOLVE_HOST && code != CURLE_COULDNT_CONNECT &&
			       code != CURLE_OPERATION_TIMEDOUT;
	curl_off_t came = 0;
	long os_errno = 0;

	curl_easy_getinfo(x->via.easy, CURLINFO_OS_ERRNO, &os_errno);
	curl_easy_getinfo(x->via.easy, CURLINFO_SIZE_DOWNLOAD_T, &came);
	r->fate = was_sent(x) ? HTTPC_LOST : HTTPC_NOT_SENT;
	if (code == CURLE_OK) {
		(void)snprintf(r->why, sizeof(r->why), "the answer was cut off in its headers");
		return;
	}
	r->away = code == CURLE_OPERATION_TIMEDOUT || os_errno != 0 ||
		  (r->status == 0 && (code == CURLE_GOT_NOTHING || code == CURLE_RECV_ERROR || code == CURLE_SEND_ERROR));
	if (r->head.failed)
		(void)snprintf(r->why, sizeof(r->why), "the reply's headers are larger than 64 KiB");
	else if (code == CURLE_GOT_NOTHING)
		(void)snprintf(r->why, sizeof(r->why), "the connection was closed without an answer");
	else if (code == CURLE_PARTIAL_FILE)
		(void)snprintf(r->why, sizeof(r->why), "the answer was cut off after %lld bytes", (long long)came);
	else
		peer_explain(peer, code, &x->told, os_errno, r->why, sizeof(r->why));
	if (peer_refused(peer, code, x->told.error) ||
	    (peer_is_tls(peer) && r->status == 0 && connected && peer_ask(peer, r->why, sizeof(r->why))))
		r->fate = HTTPC_REFUSED;
}

static void
forget_headers(struct exchange *x)
{
	for (struct curl_slist *l = x->headers; l != NULL; l = l->next)
		explicit_bzero(l->data, strlen(l->data));
	curl_slist_free_all(x->headers);
}

static void
begin(struct exchange *x, struct httpc *h, const struct httpc_request *rq, struct httpc_reply *reply)
{
	const bool fresh = rq->once && !SABOTAGED(FRESH);

	*x = (struct exchange){ .home = h, .fresh = fresh, .via = handle_take(h, fresh), .rq = rq, .reply = reply };
	*reply = (struct httpc_reply){ .head = BUF_INIT(HEAD_MAX), .body = BUF_INIT(0) };
	start(x);
}

/* The transfer has ended by itself. */
static void
conclude(struct exchange *x, CURLcode code)
{
	struct httpc_reply *r = x->reply;

	r->status = status_of(x);
	if ((code != CURLE_OK && !r->cut && !r->stopped) || !x->whole)
		explain(x, code);
}

/* whole: its reply was read to the end, so that the connection is good for another one. */
static void
finish(struct exchange *x, bool whole)
{
	curl_multi_remove_handle(x->via.multi, x->via.easy);
	if (x->fresh || !whole)
		handle_free(&x->via);
	else
		handle_give(x->home, x->via);
	forget_headers(x);
}

void
httpc_ask(struct httpc *h, struct opctx *cx, const struct httpc_request *rq, struct httpc_reply *ret)
{
	CURLcode code = CURLE_OK;
	struct exchange x;

	begin(&x, h, rq, ret);
	x.cx = cx;
	switch (drive(&x, false, cx->deadline, &code)) {
	case ENDED:
		conclude(&x, code);
		break;
	case QUIET:
		give_up(&x, ERR_TIMEOUT, "no answer before the step's time-out");
		break;
	case GIVEN_UP:
		break;
	}
	finish(&x, ret->fate == HTTPC_ANSWERED);
}

struct httpc_stream {
	struct exchange x;
	struct httpc_reply reply;
	bool ended;
};

struct httpc_stream *
httpc_open(struct httpc *h, const struct httpc_request *rq)
{
	struct httpc_stream *s = xcalloc(1, sizeof(*s));

	begin(&s->x, h, rq, &s->reply);
	return s;
}

bool
httpc_next(struct httpc_stream *s, struct opctx *cx, int64_t until, struct httpc_reply **ret)
{
	CURLcode code = CURLE_OK;

	*ret = &s->reply;
	if (s->ended)
		return true;
	s->x.cx = cx;
	switch (drive(&s->x, true, until < cx->deadline ? until : cx->deadline, &code)) {
	case ENDED:
		conclude(&s->x, code);
		s->ended = true;
		break;
	case GIVEN_UP:
		s->ended = true;
		break;
	case QUIET:
		break;
	}
	return s->ended;
}

void
httpc_close(struct httpc_stream *s)
{
	if (s == NULL)
		return;
	finish(&s->x, s->ended && s->reply.fate == HTTPC_ANSWERED && !s->reply.cut);
	httpc_reply_done(&s->reply);
	free(s);
}

void
httpc_reply_done(struct httpc_reply *r)
{
	buf_done(&r->head);
	buf_done(&r->body);
}

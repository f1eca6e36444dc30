/* SPDX-License-Identifier: Apache-2.0 */
/* Owns the transport: every rule that libcurl's HTTP/2 needs for gRPC stands here and nowhere else.
 * - One stream a connection, always: 7.88 drops trailers where several streams receive on one.
 * - Before 8.0 a prior-knowledge plaintext connection is made by the first request and reused with plain HTTP/2 by the
 *   later ones; an answer in HTTP/1 (the connection was gone, and libcurl tried an upgrade) is asked again afresh.
 * - Before 8.14 a wake-up at the end of a download can be lost: large buffer, and polls of at most 5 ms.
 * - Before 8.14 libcurl waits in a busy loop for the peer's window: then we wait, for its next byte.
 * - Before 8.14 an answer that comes before the request has ended (it is too large, or the method is not there) may be
 *   lost, and a bare stream error remains.
 * - A grpc-status outranks libcurl's code; without one, or without one whole message, there was no answer. */
#include "steps/target/grpc.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "steps/target/grpc_body.h"
#include "steps/target/peer.h"

#define REUSE_FIXED 0x080000  /* prior-knowledge connections can be reused */
#define WAKEUP_FIXED 0x080e00 /* downloads wake their poll, refusals of large requests are kept */
#define BUFFER_SIZE (96L << 10) /* taken anew for each call: small enough not to be pages of its own */
#define LARGE_REQUEST (1U << 20)
#define POLL_MS 1000

struct grpc_chan {
	const struct peer *peer;
	CURL *easy;
	CURLM *multi;
	struct curl_slist *headers;
	char *token, *url;
	bool tls, used, running;
	bool proven;         /* the server has answered on this connection: it takes our certificate */
	bool reuse_broken, wakeup_broken;
	struct grpc_reply reply;
	struct grpc_body body; /* of a unary call */
	size_t request_len;
	int fd;              /* of the connection, while it has opened no second socket */
	unsigned sockets;
	int64_t moved;       /* when a byte last went either way */
	curl_off_t uploaded;
	bool stuck;          /* nothing more was uploaded at the last turn, although there is more */
	grpc_take_fn *take;  /* of a download: messages go there as they come, and none is kept */
	void *take_data;
	struct peer_told told;
};

struct grpc_stream {
	struct grpc_chan *ch;
	struct buf out;
	bool ended;
	struct grpc_answer end;
};

static size_t
on_header(char *p, size_t size, size_t n, void *data)
{
	struct grpc_chan *ch = data;

	ch->moved = clock_now();
	grpc_reply_header(&ch->reply, p, size * n);
	return size * n;
}

static bool
hand_over(struct grpc_chan *ch)
{
	struct grpc_msg *m;
	bool go_on = true;

	while (go_on && (m = grpc_reply_take(&ch->reply)) != NULL) {
		go_on = ch->take(ch->take_data, (struct bytes){ m->data, m->len });
		free(m);
	}
	return go_on;
}

static size_t
on_body(char *p, size_t size, size_t n, void *data)
{
	struct grpc_chan *ch = data;

	ch->moved = clock_now();
	if (!grpc_reply_body(&ch->reply, p, size * n))
		return CURL_WRITEFUNC_ERROR;
	return ch->take == NULL || hand_over(ch) ? size * n : CURL_WRITEFUNC_ERROR;
}

static curl_socket_t
on_socket(void *data, curlsocktype purpose, struct curl_sockaddr *to)
{
	struct grpc_chan *ch = data;

	(void)purpose;
	ch->fd = socket(to->family, to->socktype | SOCK_CLOEXEC, to->protocol);
	ch->sockets++;
	return ch->fd < 0 ? CURL_SOCKET_BAD : ch->fd;
}

struct grpc_chan *
grpc_chan_new(const struct peer *peer)
{
	unsigned version = curl_version_info(CURLVERSION_NOW)->version_num;
	struct grpc_chan *ch = xcalloc(1, sizeof(*ch));

	ch->peer = peer;
	ch->tls = peer_is_tls(peer);
	ch->reuse_broken = !ch->tls && version < REUSE_FIXED;
	ch->wakeup_broken = version < WAKEUP_FIXED;
	ch->easy = curl_easy_init();
	ch->multi = curl_multi_init();
	if (ch->easy == NULL || ch->multi == NULL)
		abort(); /* out of memory, as xmalloc */
	peer_set(ch->easy, peer, &ch->told);
	curl_easy_setopt(ch->easy, CURLOPT_POST, 1L);
	curl_easy_setopt(ch->easy, CURLOPT_BUFFERSIZE, BUFFER_SIZE);
	curl_easy_setopt(ch->easy, CURLOPT_OPENSOCKETFUNCTION, on_socket);
	curl_easy_setopt(ch->easy, CURLOPT_OPENSOCKETDATA, ch);
	curl_easy_setopt(ch->easy, CURLOPT_HEADERFUNCTION, on_header);
	curl_easy_setopt(ch->easy, CURLOPT_HEADERDATA, ch);
	curl_easy_setopt(ch->easy, CURLOPT_WRITEFUNCTION, on_body);
	curl_easy_setopt(ch->easy, CURLOPT_WRITEDATA, ch);
	return ch;
}

static void
forget_token(struct grpc_chan *ch)
{
	if (ch->token != NULL)
		explicit_bzero(ch->token, strlen(ch->token));
	free(ch->token);
	ch->token = NULL;
	curl_slist_free_all(ch->headers);
	ch->headers = NULL;
}

void
grpc_chan_free(struct grpc_chan *ch)
{
	if (ch == NULL)
		return;
	if (ch->running)
		curl_multi_remove_handle(ch->multi, ch->easy);
	curl_easy_cleanup(ch->easy);
	curl_multi_cleanup(ch->multi);
	forget_token(ch);
	grpc_reply_done(&ch->reply);
	free(ch->url);
	free(ch);
}

static void
set_headers(struct grpc_chan *ch, const char *token)
{
	char *line;

	if (ch->headers != NULL && (token == NULL) == (ch->token == NULL) &&
	    (token == NULL || strcmp(token, ch->token) == 0))
		return;
	forget_token(ch);
	ch->headers = curl_slist_append(NULL, "content-type: application/grpc");
	curl_slist_append(ch->headers, "te: trailers");
	curl_slist_append(ch->headers, "Expect:");
	if (token != NULL) {
		ch->token = xstrdup(token);
		line = xasprintf("token: %s", token);
		curl_slist_append(ch->headers, line);
		explicit_bzero(line, strlen(line));
		free(line);
	}
}

/* What the next transfer sends. */
static void
set_request(struct grpc_chan *ch, const struct grpc_call *call)
{
	grpc_body_begin(&ch->body, call->request, call->lent);
	ch->request_len = grpc_body_len(&ch->body);
	curl_easy_setopt(ch->easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)ch->request_len);
	curl_easy_setopt(ch->easy, CURLOPT_READFUNCTION, grpc_body_read);
	curl_easy_setopt(ch->easy, CURLOPT_READDATA, &ch->body);
	curl_easy_setopt(ch->easy, CURLOPT_SEEKFUNCTION, grpc_body_seek);
	curl_easy_setopt(ch->easy, CURLOPT_SEEKDATA, &ch->body);
}

/* Begin a transfer of what the easy handle is set to. */
static void
chan_start(struct grpc_chan *ch, const char *method, const char *token, struct arena *arena, size_t max)
{
	long version = CURL_HTTP_VERSION_2TLS;

	if (!ch->tls)
		version = ch->used && ch->reuse_broken ? CURL_HTTP_VERSION_2_0 : CURL_HTTP_VERSION_2_PRIOR_KNOWLEDGE;
	free(ch->url);
	ch->url = xasprintf("%s%s", ch->peer->url, method);
	set_headers(ch, token);
	curl_easy_setopt(ch->easy, CURLOPT_URL, ch->url);
	curl_easy_setopt(ch->easy, CURLOPT_HTTPHEADER, ch->headers);
	curl_easy_setopt(ch->easy, CURLOPT_HTTP_VERSION, version);
	curl_easy_setopt(ch->easy, CURLOPT_FRESH_CONNECT, ch->used ? 0L : 1L);
	grpc_reply_done(&ch->reply);
	grpc_reply_init(&ch->reply, arena, max);
	ch->told.error[0] = '\0';
	ch->sockets = ch->used ? ch->sockets : 0;
	ch->uploaded = 0;
	ch->moved = clock_now();
	ch->running = true;
	curl_multi_add_handle(ch->multi, ch->easy);
}

static void
chan_stop(struct grpc_chan *ch)
{
	if (ch->running)
		curl_multi_remove_handle(ch->multi, ch->easy);
	ch->running = false;
}

/* Let libcurl work. True when the transfer has ended. */
static bool
chan_perform(struct grpc_chan *ch, CURLcode *ret)
{
	curl_off_t up = 0;
	int running, left;
	CURLMsg *msg;

	curl_multi_perform(ch->multi, &running);
	curl_easy_getinfo(ch->easy, CURLINFO_SIZE_UPLOAD_T, &up);
	ch->stuck = up > 0 && up == ch->uploaded && (size_t)up < ch->request_len;
	if (up != ch->uploaded) {
		ch->uploaded = up;
		ch->moved = clock_now();
	}
	while ((msg = curl_multi_info_read(ch->multi, &left)) != NULL) {
		if (msg->msg != CURLMSG_DONE)
			continue;
		*ret = msg->data.result;
		chan_stop(ch);
		return true;
	}
	return false;
}

/* The socket takes bytes, but libcurl has none to give: the peer's window is closed, and only its word opens it. */
static bool
window_is_closed(const struct grpc_chan *ch)
{
	struct pollfd p = { .fd = ch->fd, .events = POLLIN | POLLOUT };

	return ch->wakeup_broken && ch->stuck && ch->sockets == 1 && poll(&p, 1, 0) == 1 && p.revents == POLLOUT;
}

static void
chan_poll(struct grpc_chan *ch, const struct opctx *cx, int64_t until, bool wake_on_cancel)
{
	struct pollfd word = { .fd = ch->fd, .events = POLLIN };
	struct curl_waitfd wake = { .fd = cx->cancel_fd, .events = CURL_WAIT_POLLIN };
	int64_t ms = (until - clock_now()) / NS_PER_MS + 1;
	int cap = ch->wakeup_broken ? 5 : POLL_MS;

	if (ms <= 0)
		return;
	if (window_is_closed(ch)) {
		(void)poll(&word, 1, cap);
		return;
	}
	wake_on_cancel = wake_on_cancel && cx->cancel != NULL && cx->cancel_fd >= 0;
	curl_multi_poll(ch->multi, &wake, wake_on_cancel ? 1 : 0, ms < cap ? (int)ms : cap, NULL);
}

/* Has the connection been made, so that something may have been sent? */
static bool
was_sent(const struct grpc_chan *ch)
{
	curl_off_t us = 0;

	curl_easy_getinfo(ch->easy, CURLINFO_PRETRANSFER_TIME_T, &us);
	return us > 0;
}

/* A connection was made, and nothing on it has ever made sense: most likely the address is not what it seems. */
static void
suspect(const struct grpc_chan *ch, struct grpc_answer *ret)
{
	const size_t len = strlen(ret->why);

	(void)snprintf(ret->why + len, sizeof(ret->why) - len, " (is it another server, or one for %s?)", ch->tls ? "http://" : "https://");
}

/* No answer came at all. */
static void
judge_silence(struct grpc_chan *ch, CURLcode code, struct grpc_answer *ret)
{
	bool connected = code != CURLE_COULDNT_RESOLVE_HOST && code != CURLE_COULDNT_CONNECT &&
			 code != CURLE_OPERATION_TIMEDOUT;
	long os_errno = 0;

	curl_easy_getinfo(ch->easy, CURLINFO_OS_ERRNO, &os_errno);
	peer_explain(ch->peer, code, &ch->told, os_errno, ret->why, sizeof(ret->why));
	if (peer_refused(ch->peer, code, ch->told.error))
		ret->fate = GRPC_REFUSED;
	else if (ch->tls && !ch->proven && connected && peer_ask(ch->peer, ret->why, sizeof(ret->why)))
		ret->fate = GRPC_REFUSED;
	else if (!was_sent(ch))
		ret->fate = GRPC_NOT_SENT;
	if (ret->fate != GRPC_REFUSED && !ch->proven && connected)
		suspect(ch, ret);
}

/* What became of a transfer that has ended with libcurl's code. */
static void
judge(struct grpc_chan *ch, CURLcode code, bool unary, struct grpc_answer *ret)
{
	struct grpc_reply *r = &ch->reply;
	struct grpc_msg *m = r->first;
	long version = 0;

	curl_easy_getinfo(ch->easy, CURLINFO_HTTP_VERSION, &version);
	*ret = (struct grpc_answer){ .fate = GRPC_LOST, .status = r->status };
	ch->proven = ch->proven || r->http != 0;
	if (r->broken != NULL && r->is_grpc) {
		ret->broken = true;
		ret->refused_len = r->refused_len;
		(void)snprintf(ret->why, sizeof(ret->why), "the reply is broken: %s", r->broken);
	} else if (r->status > 0 || (r->http == 401 && r->status < 0)) {
		ret->fate = GRPC_ANSWERED;
		ret->status = r->status > 0 ? r->status : GRPC_UNAUTHENTICATED;
		(void)snprintf(ret->why, sizeof(ret->why), "%s", r->message);
	} else if (r->status == 0 && !unary) {
		ret->fate = GRPC_ANSWERED;
	} else if (r->status == 0 && m != NULL && m->next == NULL && r->part == NULL && r->head_len == 0) {
		ret->fate = GRPC_ANSWERED;
		ret->body = (struct bytes){ m->data, m->len };
	} else if (r->http != 0 && version != CURL_HTTP_VERSION_2_0) {
		ret->fate = GRPC_REFUSED;
		(void)snprintf(ret->why, sizeof(ret->why), "it answers HTTP/1 with status %d, not gRPC", r->http);
	} else if (code == CURLE_HTTP2_STREAM && r->http == 0 && ch->wakeup_broken && ch->request_len > LARGE_REQUEST) {
		ret->fate = GRPC_ANSWERED;
		ret->status = GRPC_RESOURCE_EXHAUSTED;
		(void)snprintf(ret->why, sizeof(ret->why), "the request of %zu bytes is larger than max", ch->request_len);
	} else if (code != CURLE_OK && r->http == 0) {
		judge_silence(ch, code, ret);
	} else if (r->http != 200 || !r->is_grpc) {
		(void)snprintf(ret->why, sizeof(ret->why), "it answers HTTP status %d, not gRPC", r->http);
	} else {
		(void)snprintf(ret->why, sizeof(ret->why), "the answer was cut off%s%s",
			       r->status < 0 ? " before its grpc-status" : "", code != CURLE_OK ? " (connection lost)" : "");
	}
}

static void
give_up(struct grpc_chan *ch, struct grpc_answer *ret, const char *why)
{
	*ret = (struct grpc_answer){ .fate = was_sent(ch) ? GRPC_LOST : GRPC_NOT_SENT, .status = -1 };
	(void)snprintf(ret->why, sizeof(ret->why), "%s", why);
	chan_stop(ch);
}

/* Run the started transfer to its end or until the call's limits. True when it has ended by itself. */
static bool
chan_run(struct grpc_chan *ch, const struct grpc_call *call, CURLcode *ret_code, struct grpc_answer *ret)
{
	int64_t now, limit;
	int bear;

	while (!chan_perform(ch, ret_code)) {
		now = clock_now();
		bear = call->patient && was_sent(ch) ? 1 : 0;
		limit = call->deadline < ch->moved + call->stall ? call->deadline : ch->moved + call->stall;
		if (peer_cancelled(call->cx) > bear) {
			give_up(ch, ret, "stopped while waiting for the answer");
			return false;
		}
		if (now >= limit) {
			give_up(ch, ret, "no answer in time");
			return false;
		}
		chan_poll(ch, call->cx, limit, peer_cancelled(call->cx) == 0);
	}
	return true;
}

enum grpc_fate
grpc_unary(struct grpc_chan *ch, const struct grpc_call *call, struct grpc_answer *ret)
{
	CURLcode code = CURLE_OK;
	long version = 0;
	bool again;

	do {
		set_request(ch, call);
		chan_start(ch, call->method, call->token, call->arena, call->max);
		if (!chan_run(ch, call, &code, ret))
			return ret->fate;
		curl_easy_getinfo(ch->easy, CURLINFO_HTTP_VERSION, &version);
		again = ch->used && ch->reuse_broken && ch->reply.http != 0 && version != CURL_HTTP_VERSION_2_0;
		ch->used = !again;
	} while (again);
	judge(ch, code, true, ret);
	return ret->fate;
}

enum grpc_fate
grpc_download(const struct peer *peer, const struct grpc_call *call, grpc_take_fn *take, void *data, struct grpc_answer *ret)
{
	struct grpc_chan *ch = grpc_chan_new(peer);
	CURLcode code = CURLE_OK;

	ch->take = take;
	ch->take_data = data;
	set_request(ch, call);
	chan_start(ch, call->method, call->token, NULL, call->max);
	if (chan_run(ch, call, &code, ret))
		judge(ch, code, false, ret);
	grpc_chan_free(ch);
	return ret->fate;
}

static size_t
on_upload(char *to, size_t size, size_t n, void *data)
{
	struct grpc_stream *s = data;
	size_t len = size * n < s->out.len ? size * n : s->out.len;

	if (len == 0)
		return CURL_READFUNC_PAUSE; /* half closed never: the stream lives as long as we want it */
	memcpy(to, s->out.p, len);
	buf_consume(&s->out, len);
	return len;
}

struct grpc_stream *
grpc_stream_open(const struct peer *peer, const char *method, const char *token, size_t max)
{
	struct grpc_stream *s = xcalloc(1, sizeof(*s));

	s->out = BUF_INIT(0);
	s->ch = grpc_chan_new(peer);
	curl_easy_setopt(s->ch->easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)-1);
	curl_easy_setopt(s->ch->easy, CURLOPT_READFUNCTION, on_upload);
	curl_easy_setopt(s->ch->easy, CURLOPT_READDATA, s);
	chan_start(s->ch, method, token, NULL, max);
	return s;
}

void
grpc_stream_close(struct grpc_stream *s)
{
	if (s == NULL)
		return;
	grpc_chan_free(s->ch);
	buf_done(&s->out);
	free(s);
}

void
grpc_stream_send(struct grpc_stream *s, const struct buf *request)
{
	buf_put(&s->out, request->p, request->len);
	if (s->ch->running)
		curl_easy_pause(s->ch->easy, CURLPAUSE_CONT);
}

enum grpc_event
grpc_stream_next(struct grpc_stream *s, struct opctx *cx, int64_t until, struct grpc_msg **ret_msg,
		 struct grpc_answer *ret)
{
	CURLcode code;

	for (;;) {
		if (!s->ended && chan_perform(s->ch, &code)) {
			s->ended = true;
			judge(s->ch, code, false, &s->end);
		}
		*ret_msg = grpc_reply_take(&s->ch->reply);
		if (*ret_msg != NULL)
			return GRPC_MESSAGE;
		if (s->ended) {
			*ret = s->end;
			return GRPC_ENDED;
		}
		if (clock_now() >= until || peer_cancelled(cx) > 0)
			return GRPC_QUIET;
		chan_poll(s->ch, cx, until, true);
	}
}

int64_t
grpc_stream_heard(const struct grpc_stream *s)
{
	return s->ch->moved;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Owns one WebSocket: what a server has to show before it is believed (RFC 6455 §4.2.2, with exactly the sub-protocol that
 * was asked for), and the turns in which bytes go both ways, each a bounded piece. */
#include "steps/target/kube_ws.h"

#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/hash.h"
#include "base/text.h"
#include "steps/target/kube_frames.h"
#include "steps/target/kube_upgrade.h"

#define GUID "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
#define WORDS_MAX ((size_t)64 << 10)   /* of a refusal's body */
#define PIECE ((size_t)64 << 10)       /* read in one turn */
#define PING_EVERY (10 * NS_PER_S)
#define SILENCE (60 * NS_PER_S)        /* without a word, a pong included: the other end is gone */

struct kube_ws {
	struct kube_ws_spec spec;
	struct upgraded via;
	struct kube_frames *frames;
	struct buf out;    /* framed; not touched while libcurl may want to see the same bytes again */
	size_t sent;       /* of out */
	size_t read;       /* in this turn */
	bool patient, gone;
	int64_t heard, pinged;
	char why[512];
};

/* Of the connection, for this turn. */
static size_t
come(void *data, unsigned char *p, size_t len)
{
	struct kube_ws *ws = data;
	CURLcode code = CURLE_AGAIN;
	size_t n = ws->via.rest.len < len ? ws->via.rest.len : len;

	if (n > 0) { /* it came with the answer to the upgrade */
		memcpy(p, ws->via.rest.p, n);
		buf_consume(&ws->via.rest, n);
	} else if (!ws->gone && ws->read < PIECE) {
		code = curl_easy_recv(ws->via.easy, p, len, &n);
		if (code == CURLE_OK && n == 0)
			(void)snprintf(ws->why, sizeof(ws->why), "the connection was closed in the middle");
		else if (code != CURLE_OK && code != CURLE_AGAIN)
			peer_explain(ws->spec.peer, code, &ws->via.told, 0, ws->why, sizeof(ws->why));
		ws->gone = code != CURLE_AGAIN && (code != CURLE_OK || n == 0);
	}
	if (n > 0) {
		ws->read += n;
		ws->heard = clock_now();
	}
	return n;
}

/* What the server has to answer to our key (RFC 6455 §4.2.2). */
static void
accept_of(const char *key, struct buf *to)
{
	unsigned char digest[EVP_MAX_MD_SIZE];
	struct buf text = BUF_INIT(0);
	unsigned len = 0;

	buf_printf(&text, "%s%s", key, GUID);
	(void)EVP_Digest(text.p, text.len, digest, &len, EVP_sha1(), NULL);
	base64_encode(to, digest, len);
	buf_done(&text);
}

static bool
says(struct arena *a, const struct httpc_reply *r, const char *name, const char *wanted, bool exactly)
{
	const char *v = httpc_header(a, r, name);

	return v != NULL && (exactly ? strcmp(v, wanted) == 0 : strcasestr(v, wanted) != NULL);
}

/* Is the answer 101 one to our request? NULL, or what is wrong with it. */
static const char *
distrust(struct arena *a, const struct kube_ws_spec *spec, const char *key, const struct httpc_reply *r)
{
	const char *protocol = httpc_header(a, r, "sec-websocket-protocol");
	struct buf accept = BUF_INIT(0);
	const bool accepted = (accept_of(key, &accept), says(a, r, "sec-websocket-accept", accept.p, true));

	buf_done(&accept);
	if (!says(a, r, "upgrade", "websocket", false) || !says(a, r, "connection", "upgrade", false))
		return "the answer 101 is not one to a WebSocket";
	if (!accepted)
		return "the answer's Sec-WebSocket-Accept is not the one to our key";
	if (httpc_header(a, r, "sec-websocket-extensions") != NULL)
		return "the server uses a WebSocket extension that nobody asked for";
	if (protocol == NULL || strcmp(protocol, spec->protocol) != 0)
		return arena_printf(a, "the server chose sub-protocol '%s' instead of %s",
				    protocol == NULL ? "" : text_safe(a, protocol, strlen(protocol), 100), spec->protocol);
	return NULL;
}

static struct httpc_request
request_of(const struct kube_ws_spec *spec, const struct buf *headers)
{
	return (struct httpc_request){ .peer = spec->peer, .method = "GET", .headers = headers, .max = WORDS_MAX,
				       .changes = spec->changes, .once = spec->changes };
}

int
kube_ws_judge(const struct kube_ws_spec *spec, const struct httpc_reply *reply, struct err *err)
{
	const struct httpc_request rq = request_of(spec, spec->headers);

	return httpc_judge(&rq, reply, false, err);
}

static int
take(void *data, const unsigned char *p, size_t n, struct err *err)
{
	const struct kube_ws *ws = data;

	return ws->spec.take(ws->spec.data, p, n, err);
}

struct kube_ws *
kube_ws_open(struct opctx *cx, const struct kube_ws_spec *spec, struct httpc_reply *ret_reply)
{
	struct kube_ws *ws = xcalloc(1, sizeof(*ws));
	struct buf headers = BUF_INIT(0), key = BUF_INIT(0);
	struct httpc_request rq = request_of(spec, &headers);
	unsigned char random[16];
	const char *why;

	ws->spec = *spec;
	random_bytes(random, sizeof(random));
	base64_encode(&key, random, sizeof(random));
	buf_printf(&headers, "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: %s\r\nSec-WebSocket-Version: 13\r\n"
		   "Sec-WebSocket-Protocol: %s\r\n", key.p, spec->protocol);
	if (spec->headers->len > 0)
		buf_put(&headers, spec->headers->p, spec->headers->len);
	if (!upgrade_ask(cx, &rq, &ws->via, ret_reply)) {
		kube_ws_close(ws);
		ws = NULL;
	} else if ((why = distrust(cx->arena, spec, key.p, ret_reply)) != NULL) {
		ret_reply->fate = HTTPC_LOST;
		(void)snprintf(ret_reply->why, sizeof(ret_reply->why), "%s", why);
		kube_ws_close(ws);
		ws = NULL;
	} else {
		ws->frames = kube_frames_new(&(struct kube_frames_spec){ spec->max, come, take, ws });
		ws->heard = ws->pinged = clock_now();
	}
	explicit_bzero(headers.p, headers.cap);
	buf_done(&headers);
	buf_done(&key);
	return ws;
}

void
kube_ws_close(struct kube_ws *ws)
{
	if (ws == NULL)
		return;
	kube_frames_free(ws->frames);
	upgrade_close(&ws->via);
	buf_done(&ws->out);
	free(ws);
}

bool
kube_ws_is_idle(const struct kube_ws *ws)
{
	return ws->out.len == 0 && !kube_frames_want_write(ws->frames);
}

void
kube_ws_send(struct kube_ws *ws, const void *p, size_t n)
{
	kube_frames_send(ws->frames, p, n);
}

void
kube_ws_be_patient(struct kube_ws *ws)
{
	ws->patient = true;
}

/* Frame what is queued, and hand it to libcurl. */
static void
push(struct kube_ws *ws)
{
	size_t n;

	for (;;) {
		CURLcode code;

		if (ws->out.len == 0)
			kube_frames_write(ws->frames, &ws->out);
		if (ws->out.len == 0)
			return;
		code = curl_easy_send(ws->via.easy, ws->out.p + ws->sent, ws->out.len - ws->sent, &n);
		if (code == CURLE_AGAIN)
			return;
		if (code != CURLE_OK) { /* what the server said before it went is still to be read */
			kube_frames_end(ws->frames);
			ws->sent = ws->out.len;
		} else {
			ws->sent += n;
		}
		if (ws->sent == ws->out.len) {
			buf_clear(&ws->out);
			ws->sent = 0;
		}
	}
}

static enum kube_ws_state
state_of(struct kube_ws *ws)
{
	const enum kube_frames_state state = kube_frames_state(ws->frames);

	if (state == KUBE_FRAMES_STOPPED)
		return KUBE_WS_STOPPED;
	if (state == KUBE_FRAMES_CLOSED || state == KUBE_FRAMES_BROKEN)
		(void)snprintf(ws->why, sizeof(ws->why), "%s", kube_frames_why(ws->frames));
	return state == KUBE_FRAMES_CLOSED ? KUBE_WS_CLOSED : state == KUBE_FRAMES_BROKEN || ws->gone ? KUBE_WS_LOST : KUBE_WS_OPEN;
}

/* Ping now and then; is the other end still there? */
static bool
is_alive(struct kube_ws *ws)
{
	const int64_t now = clock_now();

	if (now - ws->pinged >= PING_EVERY && now - ws->heard >= PING_EVERY && kube_ws_is_idle(ws)) {
		kube_frames_ping(ws->frames);
		ws->pinged = now;
	}
	if (ws->patient || now - ws->heard < SILENCE)
		return true;
	(void)snprintf(ws->why, sizeof(ws->why), "the server has been silent for a minute, and answers no ping");
	return false;
}

enum kube_ws_state
kube_ws_turn(struct opctx *cx, struct kube_ws *ws, bool more, struct err *err)
{
	enum kube_ws_state state;
	bool read;

	ws->read = 0;
	push(ws);
	read = kube_frames_want_read(ws->frames);
	kube_frames_read(ws->frames, err);
	push(ws);
	state = state_of(ws);
	if (state != KUBE_WS_OPEN)
		return state;
	if (peer_cancelled(cx) != 0 || clock_now() >= cx->deadline) {
		(void)err_set(err, peer_cancelled(cx) != 0 ? ERR_CANCELLED : ERR_TIMEOUT, peer_cancelled(cx) != 0 ? "stopped" : "timed out");
		return KUBE_WS_STOPPED;
	}
	if (!is_alive(ws))
		return KUBE_WS_LOST;
	if (ws->read == 0 && (ws->out.len > 0 || !more))
		upgrade_wait(cx, &ws->via, (short)((read ? POLLIN : 0) | (ws->out.len > 0 ? POLLOUT : 0)), cx->deadline);
	return KUBE_WS_OPEN;
}

const char *
kube_ws_why(const struct kube_ws *ws)
{
	return ws->why;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* A WebSocket (RFC 6455) as a client, for one thread at a time: the upgrade over libcurl, the frames by wslay. Messages are
 * bounded, pings answered and sent; what the messages mean is the caller's. */
#ifndef WHERRY_TARGET_KUBE_WS_H
#define WHERRY_TARGET_KUBE_WS_H

#include "steps/target/httpc.h"

struct kube_ws;

struct kube_ws_spec {
	const struct peer *peer;    /* its url is the whole URL: http or https */
	const struct buf *headers;  /* lines "Name: value\r\n", such as Authorization; may hold secrets */
	const char *protocol;       /* the sub-protocol, which the server has to confirm */
	size_t max;                 /* bytes of a message; a larger one ends the connection */
	bool changes;               /* as in struct httpc_request */
	/* A message has come; -1 with err ends the connection (KUBE_WS_STOPPED). */
	int (*take)(void *data, const unsigned char *p, size_t n, struct err *err);
	void *data;
};

/* Open a connection; NULL where it was refused. ret_reply then says how, for kube_ws_judge; httpc_reply_done in any case. */
struct kube_ws *kube_ws_open(struct opctx *cx, const struct kube_ws_spec *spec, struct httpc_reply *ret_reply);
/* Why kube_ws_open gave NULL, as httpc_judge tells it: ERR_UNKNOWN where the server may have done something. */
int kube_ws_judge(const struct kube_ws_spec *spec, const struct httpc_reply *reply, struct err *err);
/* Close at once and free; NULL is fine. */
void kube_ws_close(struct kube_ws *ws);

/* Has everything been sent, so that another message may be given? */
bool kube_ws_is_idle(const struct kube_ws *ws);
/* Give a binary message, of 64 KiB at most; it is copied. Only while idle. */
void kube_ws_send(struct kube_ws *ws, const void *p, size_t n);
/* From now on silence is no sign: a server that waits for a reader of what we sent answers no ping. */
void kube_ws_be_patient(struct kube_ws *ws);

enum kube_ws_state {
	KUBE_WS_OPEN,    /* go on */
	KUBE_WS_CLOSED,  /* by the server, as the protocol has it */
	KUBE_WS_LOST,    /* the connection is gone, or spoke nonsense */
	KUBE_WS_STOPPED, /* by us: cancel, deadline or `take`; err is set */
};
/* Send what is to be sent, and take what has come; waits while there is nothing to do, but a second at most. more: the caller
 * has another message to give as soon as it is idle. */
enum kube_ws_state kube_ws_turn(struct opctx *cx, struct kube_ws *ws, bool more, struct err *err);
/* One line on why it is CLOSED or LOST. */
const char *kube_ws_why(const struct kube_ws *ws);

#endif

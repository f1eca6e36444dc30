/* SPDX-License-Identifier: Apache-2.0 */
/* HTTP/1.1 for target kinds: a request in, a bounded reply out, and what became of it. It knows no kind and retries
 * nothing; its rules are those of design §6 (RFC 9110 for words and methods).
 * - TLS as peer.c says; no redirect, no proxy, no compression; a reply is bounded in its headers and its body.
 * - What must not be sent twice goes over a connection of its own: libcurl by itself sends a request again when a reused
 *   connection dies without a reply. */
#ifndef WHERRY_TARGET_HTTPC_H
#define WHERRY_TARGET_HTTPC_H

#include "steps/target/peer.h"
#include "target.h"

/* Connections that are kept for the next request; used by several threads at once. */
struct httpc;
struct httpc *httpc_new(void);
void httpc_free(struct httpc *h);
/* Close the idle connections: certificates or credentials have changed. */
void httpc_forget(struct httpc *h);

struct httpc_request {
	const struct peer *peer;    /* its url is the whole URL */
	const char *method;
	const struct buf *headers;  /* lines "Name: value\r\n"; may hold secrets */
	const struct bytes *body;   /* NULL: none */
	size_t max;                 /* bytes of the reply's body that are kept */
	int64_t stall;              /* ns: given up when it is slower than 10 bytes a second for so long */
	bool changes;               /* it may change the world: a lost reply is unknown, and once sent it is waited for
	                             * although a stop at the next safe place is asked */
	bool once;                  /* sending it twice would do harm */
	/* Where the body of a success (2xx) goes, piece by piece, instead of into the reply; max does not count then. -1 ends
	 * it. NULL: into the reply. */
	int (*sink)(void *data, const char *p, size_t n);
	void *sink_data;
};

enum httpc_fate {
	HTTPC_ANSWERED, /* a whole reply, or its beginning where `cut` */
	HTTPC_NOT_SENT, /* no connection: nothing has happened */
	HTTPC_REFUSED,  /* TLS or certificates: nothing has happened, and trying again does not help */
	HTTPC_LOST,     /* sent, and no whole reply came: anything may have happened */
};
struct httpc_reply {
	enum httpc_fate fate;
	int status;              /* 0: none came */
	struct buf head, body;   /* header lines, body; httpc_reply_done frees them */
	bool cut;                /* the body is longer than max */
	bool poured, stopped;    /* the sink was given something; and has ended it */
	bool away;               /* LOST: the connection went, rather than an answer being wrong */
	enum err_kind gave_up;   /* ERR_CANCELLED, ERR_TIMEOUT: ended by us */
	char why[512];           /* one line, where not ANSWERED */
};
void httpc_ask(struct httpc *h, struct opctx *cx, const struct httpc_request *rq, struct httpc_reply *ret);
void httpc_reply_done(struct httpc_reply *r);

/* A reply that goes on, such as a watch: the same exchange, in turns. What rq points to lives as long as it does. */
struct httpc_stream;
struct httpc_stream *httpc_open(struct httpc *h, const struct httpc_request *rq);
/* Wait until there is something in a success's body (the caller takes it out; at most max is held), or `until`. True: it
 * has ended, and the reply, which lives until httpc_close, says how; a refusal's body is whole then. */
bool httpc_next(struct httpc_stream *s, struct opctx *cx, int64_t until, struct httpc_reply **ret);
void httpc_close(struct httpc_stream *s);

/* One header's value in the arena, several joined by ", " (RFC 9110 §5.3); NULL: absent. name in any case. */
const char *httpc_header(struct arena *a, const struct httpc_reply *r, const char *name);
/* All headers as a map, names in lower case, without cookies. */
struct value httpc_headers(struct arena *a, const struct httpc_reply *r);

/* What the reply says about the request: 0 when it is expected (the caller's word about the status), else -1 with err:
 * ERR_UNKNOWN, where it may have changed something; ERR_UNREACHABLE for a server that is away (retryable) or refuses us;
 * ERR_FAILED for a definite refusal (retryable where the server says so), with the beginning of what it says. */
int httpc_judge(const struct httpc_request *rq, const struct httpc_reply *r, bool expected, struct err *err);

#endif

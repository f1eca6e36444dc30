/* SPDX-License-Identifier: Apache-2.0 */
/* gRPC over libcurl's HTTP/2: unary calls and one bidirectional stream a connection. It knows no etcd, keeps no policy
 * (retry, fail-over and tokens are the caller's) and judges only what became of one call. */
#ifndef WHERRY_TARGET_GRPC_H
#define WHERRY_TARGET_GRPC_H

#include "base/arena.h"
#include "base/buf.h"
#include "target.h"

struct peer;
struct lents;

/* grpc-status values that callers look at. */
enum {
	GRPC_OK = 0,
	GRPC_UNKNOWN = 2,
	GRPC_INVALID_ARGUMENT = 3,
	GRPC_NOT_FOUND = 5,
	GRPC_ALREADY_EXISTS = 6,
	GRPC_PERMISSION_DENIED = 7,
	GRPC_RESOURCE_EXHAUSTED = 8,
	GRPC_FAILED_PRECONDITION = 9,
	GRPC_OUT_OF_RANGE = 11,
	GRPC_UNIMPLEMENTED = 12,
	GRPC_UNAVAILABLE = 14,
	GRPC_UNAUTHENTICATED = 16,
};

/* Requests are built in a buffer that begins with the frame's header: begin, append the message, end. */
void grpc_begin(struct buf *request);
void grpc_end(struct buf *request);
/* The same when bytes of it were lent (see pb_lend). */
void grpc_end_lent(struct buf *request, size_t lent);

struct grpc_msg {
	struct grpc_msg *next;
	size_t len;
	char data[];
};

/* One incoming reply, fed header by header and piece by piece as the network brings it; pure. Missing parts show:
 * status stays -1 without a grpc-status, part is set inside a message. */
struct grpc_reply {
	struct arena *arena;     /* where messages live; NULL: each is malloc'ed, and freed by who takes it */
	size_t max;              /* a longer message is refused */
	struct grpc_msg *first, *last, *part;
	size_t part_len;         /* of part, received so far */
	unsigned char head[5];   /* flag and length of the next message */
	unsigned head_len;
	int http, status;        /* 0 and -1: not seen */
	bool is_grpc;
	const char *broken;      /* what is wrong with the frames, or NULL */
	size_t refused_len;      /* of the message that was over max, or 0 */
	char message[400];       /* grpc-message, decoded and escaped */
};
void grpc_reply_init(struct grpc_reply *r, struct arena *arena, size_t max);
void grpc_reply_done(struct grpc_reply *r);
/* A header or trailer line, with or without its line end. */
void grpc_reply_header(struct grpc_reply *r, const char *line, size_t len);
/* A piece of the body; false when the frames are broken. */
bool grpc_reply_body(struct grpc_reply *r, const void *p, size_t len);
/* The first complete message, taken out of the queue, or NULL. */
struct grpc_msg *grpc_reply_take(struct grpc_reply *r);

/* What became of a call. */
enum grpc_fate {
	GRPC_ANSWERED, /* the server answered: status and why (its message) */
	GRPC_NOT_SENT, /* no connection: nothing has happened; another time or endpoint may do */
	GRPC_REFUSED,  /* TLS, certificates or no gRPC: nothing has happened, and trying again does not help */
	GRPC_LOST,     /* sent, and no whole answer came: anything may have happened */
};
struct grpc_answer {
	enum grpc_fate fate;
	int status;
	bool broken;       /* lost, because the reply is malformed or over its size limit */
	size_t refused_len; /* broken by a message of this length, over the limit; or 0 */
	struct bytes body; /* the reply's message for status 0 */
	char why[512];     /* one line, escaped */
};

struct grpc_call {
	struct opctx *cx;
	const char *method;        /* "/package.Service/Method" */
	const char *token;         /* metadata `token`, or NULL */
	const struct buf *request; /* framed */
	const struct lents *lent;  /* that belong to it, or NULL */
	struct arena *arena;       /* the reply's message lives here */
	size_t max;                /* the longest reply */
	int64_t deadline;          /* of this attempt, CLOCK_MONOTONIC ns */
	int64_t stall;             /* give up after so long without a byte, ns */
	bool patient;              /* once sent, wait for the answer although a stop at the next safe place is asked */
};

/* A channel: one connection with one call at a time; used by one thread at a time. peer outlives it. */
struct grpc_chan;
struct grpc_chan *grpc_chan_new(const struct peer *peer);
void grpc_chan_free(struct grpc_chan *ch);
/* The fate is also in ret. After any fate but GRPC_ANSWERED the channel is to be freed. */
enum grpc_fate grpc_unary(struct grpc_chan *ch, const struct grpc_call *call, struct grpc_answer *ret);

/* One request whose answer is many messages, on a connection of its own: take gets each of them as it comes, since all of
 * them together may be large, and returns false to end it there. arena is not used; a cancel ends it at the next turn of
 * the loop, which a fast server may keep away: take looks, too. */
typedef bool grpc_take_fn(void *data, struct bytes message);
enum grpc_fate grpc_download(const struct peer *peer, const struct grpc_call *call, grpc_take_fn *take, void *data,
			     struct grpc_answer *ret);

/* A stream on a connection of its own. */
struct grpc_stream;
enum grpc_event { GRPC_MESSAGE, GRPC_QUIET, GRPC_ENDED };
struct grpc_stream *grpc_stream_open(const struct peer *peer, const char *method, const char *token, size_t max);
void grpc_stream_close(struct grpc_stream *s);
/* Queue a framed message. */
void grpc_stream_send(struct grpc_stream *s, const struct buf *request);
/* Wait until `until` for the next message (the caller frees it), the end of the stream (ret tells why), or neither;
 * cancel ends the wait early as GRPC_QUIET. */
enum grpc_event grpc_stream_next(struct grpc_stream *s, struct opctx *cx, int64_t until, struct grpc_msg **ret_msg,
				 struct grpc_answer *ret);
/* When the last byte came or, before the first, when it was opened: CLOCK_MONOTONIC ns. */
int64_t grpc_stream_heard(const struct grpc_stream *s);

#endif

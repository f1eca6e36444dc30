/* SPDX-License-Identifier: Apache-2.0 */
/* A connection to one Kubernetes API server: who it is, as whom we go there, what a request's end means. Used by several
 * threads at once. What it owns about a request:
 * - after a 401 everything about the login is read anew, once; then ERR_UNREACHABLE, as with the other kinds;
 * - 429, and a read's 5xx with Retry-After, are waited out, visibly, up to 5 minutes and within the deadline; a gateway
 *   that answers a read in the server's place, for half a minute;
 * - a lost reply or a 5xx of a change that may be sent twice (not `once`) is settled by sending it again;
 * - a v1.Status is turned into a message that names object, field and reason. */
#ifndef WHERRY_TARGET_KUBE_CONN_H
#define WHERRY_TARGET_KUBE_CONN_H

#include "steps/target/httpc.h"
#include "steps/target/kube_status.h"
#include "target.h"

#define KUBE_REPLY_MAX ((size_t)32 << 20)

/* Connection fields of a plan's target, bound. */
struct kube_args {
	const char *kubeconfig, *context, *namespace;
	const struct value *allow_exec;
};

struct kube_conn;
struct kube_kinds;
/* Read the kubeconfig; nothing is connected yet. */
int kube_conn_open(struct opctx *op, const void *args, void **ret_conn, struct err *err);
void kube_conn_close(void *conn);
/* The server's address, for messages. */
const char *kube_conn_name(const struct kube_conn *c);
/* The namespace of objects that name none. */
const char *kube_conn_namespace(const struct kube_conn *c);
/* What kube_kinds.c keeps. */
struct kube_kinds *kube_conn_kinds(struct kube_conn *c);

struct kube_ask {
	const char *method, *url; /* path and query below the server's address */
	const char *content_type, *accept; /* NULL: application/json */
	struct bytes body;        /* p NULL: none */
	size_t max;               /* bytes of the reply, 0: KUBE_REPLY_MAX */
	int64_t stall;            /* see httpc.h; 0: 60 s */
	bool changes;             /* it may change the world */
	bool once;                /* sending it twice would do harm */
	bool named;               /* the server itself refuses a second one: a connection that was kept will do */
	/* Where the body of a success goes, piece by piece, instead of into the reply (max does not count then). -1 with err
	 * ends it. Once it was given something the request is not sent again. */
	int (*sink)(void *data, const char *p, size_t n, struct err *err);
	void *sink_data;
};
struct kube_reply {
	int status;         /* 0: none came */
	struct buf body;    /* kube_reply_done */
	struct value about; /* the v1.Status of a refusal, in op's arena; or null */
};
/* 0: 2xx. -1 with err: ERR_FAILED (definite; retryable where the server says so), ERR_UNKNOWN, ERR_UNREACHABLE,
 * ERR_TIMEOUT, ERR_CANCELLED. ret is to be freed in every case. */
int kube_ask(struct opctx *op, struct kube_conn *c, const struct kube_ask *ask, struct kube_reply *ret, struct err *err);
void kube_reply_done(struct kube_reply *r);
/* GET one JSON document into op's arena; ret_status (may be NULL): the reply's status. */
int kube_get(struct opctx *op, struct kube_conn *c, const char *url, struct value *ret, int *ret_status, struct err *err);
/* As a certain kind of document. */
int kube_get_as(struct opctx *op, struct kube_conn *c, const char *url, const char *accept, struct value *ret,
		int *ret_status, struct err *err);

/* For transports of their own (exec): the whole URL in ret, borrowed from op's arena, and header lines to send. */
int kube_conn_sign(struct opctx *op, struct kube_conn *c, const char *url, struct peer *ret, struct buf *headers,
		   struct err *err);
/* What comes back must not tell how we are known: cover in text what is in the header lines of a request that was signed. */
void kube_conn_mask(const struct buf *headers, struct buf *text);
/* After a 401 on such a transport: credentials are read anew. */
void kube_conn_forget(struct kube_conn *c);

/* A reply that goes on: a watch. It keeps its own copies of what it needs of ask. */
struct kube_stream;
int kube_stream_open(struct opctx *op, struct kube_conn *c, const struct kube_ask *ask, struct kube_stream **ret,
		     struct err *err);
/* Wait until there is more of it, in *ret (the caller consumes it; at most ask's max is held; NULL: nothing), or `until`. 1:
 * it goes on; 0: it has ended; -1: refused, or broken (ERR_UNREACHABLE, retryable). about: its status and Status, and no
 * body to be freed. */
int kube_stream_next(struct opctx *op, struct kube_stream *s, int64_t until, struct buf **ret, struct kube_reply *about,
		     struct err *err);
void kube_stream_close(struct kube_stream *s);

/* Sleep for so long, but not past the deadline, and not on when a stop is asked for. */
void kube_sleep(const struct opctx *op, int64_t ns);

#endif

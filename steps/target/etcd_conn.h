/* SPDX-License-Identifier: Apache-2.0 */
/* A connection to one etcd cluster: several endpoints, a pool of channels, tokens, and the policy of a call (what is
 * tried again, where, until when; which failure is definite). Used by several threads at once. */
#ifndef WHERRY_TARGET_ETCD_CONN_H
#define WHERRY_TARGET_ETCD_CONN_H

#include "steps/target/etcd_api.h"
#include "steps/target/grpc.h"
#include "target.h"

#define ETCD_REPLY_MAX (64U << 20)

/* Connection fields of a plan's target, bound. */
struct etcd_args {
	const struct value *endpoints;
	const char *ca, *cert, *key, *user;
	const struct secret *password;
};

struct etcd_conn;
/* Check the fields; nothing is connected yet. */
int etcd_conn_open(struct opctx *cx, const void *args, void **ret_conn, struct err *err);
void etcd_conn_close(void *conn);
size_t etcd_conn_endpoints(const struct etcd_conn *c);
/* "host:port" of one endpoint; "host:port, host:port" of all. */
const char *etcd_conn_name(const struct etcd_conn *c, size_t endpoint);
const char *etcd_conn_names(const struct etcd_conn *c);

enum etcd_call_kind {
	ETCD_READ,    /* asked again on other endpoints, for a few rounds */
	ETCD_WRITE,   /* sent once, on a connection of its own: libcurl itself re-sends on a reused one */
	ETCD_GUARDED, /* a write that carries its own proof against being applied twice: any connection does */
};
struct etcd_call {
	const char *method;
	const struct buf *request; /* framed */
	const struct lents *lent;  /* that belong to it, or NULL */
	enum etcd_call_kind kind;
	struct arena *arena;       /* for the reply */
	size_t only;               /* one attempt at endpoint only - 1; 0: any endpoint */
	bool without_token;        /* Authenticate */
	size_t max;                /* bytes of the reply at most; 0: ETCD_REPLY_MAX */
	struct bytes reply;        /* result: the message */
	int status;                /* result: grpc-status, -1 when there was no answer */
	size_t refused_len;        /* result: of a reply over max, with an error; or 0 */
};
/* ERR_UNKNOWN: a write may have been applied. Every other failure of a write means that it was not. */
int etcd_call(struct opctx *cx, struct etcd_conn *c, struct etcd_call *call, struct err *err);

/* For streams: the endpoint to use now, the token (caller frees; NULL: none), and what to do when the stream was
 * refused: another endpoint, or another token. */
const struct peer *etcd_conn_peer(struct etcd_conn *c, size_t *ret_endpoint);
int etcd_conn_token(struct opctx *cx, struct etcd_conn *c, char **ret_token, struct err *err);
void etcd_conn_leave(struct etcd_conn *c, size_t endpoint);
void etcd_conn_forget_token(struct etcd_conn *c, const char *token);
/* What a refusal with this status says: -1 with err set as etcd_call would. */
int etcd_conn_refusal(struct etcd_conn *c, size_t endpoint, const struct grpc_answer *a, struct err *err);
/* Does the status ask for another token? */
bool etcd_conn_is_auth(const struct etcd_conn *c, const struct grpc_answer *a);
/* -1 with ERR_CANCELLED when a stop is asked for. */
int etcd_stopped(const struct opctx *cx, struct err *err);
/* Sleep, but not past the deadline, and not on when a stop is asked for. */
void etcd_sleep(const struct opctx *cx, int64_t ns);

#endif

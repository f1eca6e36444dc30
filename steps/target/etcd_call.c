/* SPDX-License-Identifier: Apache-2.0 */
/* Owns the policy of a call: which failure is definite, which one is tried again, and where. A read moves on to the next
 * endpoint, for a few rounds over all of them; then the cluster is away, and waiting for it is the door's, which shows
 * it. A write is sent at most once, unless the server says that it did nothing. */
#include "steps/target/etcd_conn.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "steps/target/etcd_pool.h"
#include "steps/target/peer.h"

#define READ_STALL (5 * NS_PER_S)
#define WRITE_STALL (10 * NS_PER_S) /* longer than etcd's own limit of 7 s, after which it answers */
#define ONLY_LIMIT (5 * NS_PER_S)
#define WAIT_FIRST (100 * NS_PER_MS)
#define WAIT_MAX (2 * NS_PER_S)
#define ROUNDS 3
#define ROUNDS_LIMIT (5 * NS_PER_S) /* no new round after this long */

/* What a status means for the call that got it. */
enum verdict {
	VERDICT_OK,
	VERDICT_AUTH,     /* not done: the token is missing or unknown */
	VERDICT_OVERTAKEN, /* not done: somebody changed users or roles between asking and doing */
	VERDICT_BUSY,     /* not done: the server wants us to slow down */
	VERDICT_DEFINITE, /* not done: and it will not be */
	VERDICT_UNSURE,   /* may have been done, or will be */
};

static bool
is_overtaken(const struct grpc_answer *a)
{
	return a->status == GRPC_INVALID_ARGUMENT && strstr(a->why, "revision of auth store is old") != NULL;
}

static enum verdict
verdict_of(const struct etcd_conn *c, const struct grpc_answer *a)
{
	if (a->status == GRPC_OK)
		return VERDICT_OK;
	if (is_overtaken(a))
		return VERDICT_OVERTAKEN;
	if (etcd_conn_is_auth(c, a))
		return VERDICT_AUTH;
	if (strstr(a->why, "too many requests") != NULL) /* status 2, or 8 in newer servers */
		return VERDICT_BUSY;
	switch (a->status) {
	case GRPC_INVALID_ARGUMENT:
	case GRPC_NOT_FOUND:
	case GRPC_ALREADY_EXISTS:
	case GRPC_PERMISSION_DENIED:
	case GRPC_RESOURCE_EXHAUSTED:
	case GRPC_FAILED_PRECONDITION:
	case GRPC_OUT_OF_RANGE:
	case GRPC_UNIMPLEMENTED:
	case GRPC_UNAUTHENTICATED:
		return VERDICT_DEFINITE;
	case GRPC_UNKNOWN:
		return strstr(a->why, "permission denied") != NULL ? VERDICT_DEFINITE : VERDICT_UNSURE;
	default:
		return VERDICT_UNSURE;
	}
}

bool
etcd_conn_is_auth(const struct etcd_conn *c, const struct grpc_answer *a)
{
	if (c->user == NULL || a->fate != GRPC_ANSWERED)
		return false;
	return a->status == GRPC_UNAUTHENTICATED || is_overtaken(a) ||
	       (a->status == GRPC_INVALID_ARGUMENT && strstr(a->why, "user name is empty") != NULL);
}

int
etcd_conn_refusal(struct etcd_conn *c, size_t endpoint, const struct grpc_answer *a, struct err *err)
{
	const char *name = c->peers[endpoint].name;

	if (a->status == GRPC_UNAUTHENTICATED || strstr(a->why, "user name is empty") != NULL) {
		(void)err_set(err, ERR_UNREACHABLE, "etcd at %s refuses %s%s%s: %s", name,
			      c->user != NULL ? "user '" : "a client without user", c->user != NULL ? c->user : "",
			      c->user != NULL ? "'" : "", a->why);
		err->retryable = false;
		return c->user != NULL ? -1 : err_next(err, "give the target user and password, or cert and key");
	}
	if (a->status == GRPC_OUT_OF_RANGE && strstr(a->why, "compacted") != NULL) {
		(void)err_set(err, ERR_FAILED, "etcd at %s: %s", name, a->why);
		err->retryable = true; /* from a newer revision */
		return -1;
	}
	(void)err_set(err, ERR_FAILED, "etcd at %s: %s (status %d)", name, a->why[0] != '\0' ? a->why : "refused",
		      a->status);
	if (strstr(a->why, "space exceeded") != NULL)
		return err_next(err, "raise --quota-backend-bytes, or compact and defragment; then etcdctl alarm disarm");
	return -1;
}

int
etcd_stopped(const struct opctx *cx, struct err *err)
{
	if (cx->cancel == NULL || atomic_load(cx->cancel) == 0)
		return 0;
	return err_set(err, ERR_CANCELLED, "stopped");
}

void
etcd_sleep(const struct opctx *cx, int64_t ns)
{
	struct pollfd wake = { .fd = cx->cancel != NULL ? cx->cancel_fd : -1, .events = POLLIN };
	int64_t left = cx->deadline - clock_now();

	ns = ns < left ? ns : left;
	if (ns > 0)
		(void)poll(&wake, 1, (int)(ns / NS_PER_MS) + 1);
}

/* Fetch a token; the caller holds the token's lock. */
static int
authenticate(struct opctx *cx, struct etcd_conn *c, struct err *err)
{
	struct arena arena = ARENA_INIT;
	struct buf request = BUF_INIT(0);
	struct etcd_call call = { .method = ETCD_AUTHENTICATE, .request = &request, .kind = ETCD_READ, .arena = &arena,
				  .without_token = true };
	struct bytes token = { 0 };
	int ret;

	grpc_begin(&request);
	etcd_auth_encode(&request, c->user, (struct bytes){ c->password, c->password_len });
	grpc_end(&request);
	ret = etcd_call(cx, c, &call, err);
	explicit_bzero(request.p, request.cap);
	buf_done(&request);
	if (ret < 0 && call.status == GRPC_FAILED_PRECONDITION) {
		c->auth_off = true;
		ret = 0;
	} else if (ret < 0 && call.status == GRPC_INVALID_ARGUMENT) {
		(void)err_set(err, ERR_UNREACHABLE, "etcd at %s refuses the password of user '%s'", c->names, c->user);
		err->retryable = false;
	} else if (ret == 0 && (etcd_auth_decode(call.reply, &token) < 0 || token.len == 0 || token.len > 4096 ||
				memchr(token.p, '\0', token.len) != NULL || memchr(token.p, '\n', token.len) != NULL ||
				memchr(token.p, '\r', token.len) != NULL)) {
		ret = err_set(err, ERR_FAILED, "etcd at %s: the reply to Authenticate is malformed", c->names);
	} else if (ret == 0) {
		c->token = xstrndup(token.p, token.len);
		explicit_bzero((void *)(uintptr_t)token.p, token.len);
	}
	arena_done(&arena);
	return ret;
}

int
etcd_conn_token(struct opctx *cx, struct etcd_conn *c, char **ret_token, struct err *err)
{
	int ret = 0;

	*ret_token = NULL;
	if (c->user == NULL)
		return 0;
	pthread_mutex_lock(&c->token_lock);
	if (c->token == NULL && !c->auth_off)
		ret = authenticate(cx, c, err);
	if (ret == 0 && c->token != NULL)
		*ret_token = xstrdup(c->token);
	pthread_mutex_unlock(&c->token_lock);
	return ret;
}

void
etcd_conn_forget_token(struct etcd_conn *c, const char *token)
{
	pthread_mutex_lock(&c->token_lock);
	if (token == NULL) {
		c->auth_off = false;
	} else if (c->token != NULL && strcmp(c->token, token) == 0) { /* else another thread has fetched a new one */
		explicit_bzero(c->token, strlen(c->token));
		free(c->token);
		c->token = NULL;
	}
	pthread_mutex_unlock(&c->token_lock);
}

static void
free_token(char *token)
{
	if (token != NULL)
		explicit_bzero(token, strlen(token));
	free(token);
}

/* One attempt at one endpoint. -1 only when no token can be had. */
static int
attempt(struct opctx *cx, struct etcd_conn *c, const struct etcd_call *call, size_t endpoint, char **ret_token,
	struct grpc_answer *ret, struct err *err)
{
	struct grpc_call g = { .cx = cx, .method = call->method, .request = call->request, .lent = call->lent, .arena = call->arena,
			       .max = call->max > 0 ? call->max : ETCD_REPLY_MAX, .deadline = cx->deadline };
	struct grpc_chan *ch;

	if (!call->without_token && etcd_conn_token(cx, c, ret_token, err) < 0)
		return -1;
	g.token = *ret_token;
	g.stall = call->kind == ETCD_READ ? READ_STALL : WRITE_STALL;
	g.patient = call->kind != ETCD_READ;
	if (call->only != 0 && g.deadline - ONLY_LIMIT > clock_now())
		g.deadline = clock_now() + ONLY_LIMIT;
	ch = etcd_pool_take(c, endpoint, call->kind == ETCD_WRITE);
	(void)grpc_unary(ch, &g, ret);
	if (ret->fate != GRPC_ANSWERED)
		etcd_pool_drop(c, endpoint);
	if (ret->fate != GRPC_ANSWERED || call->kind == ETCD_WRITE)
		grpc_chan_free(ch);
	else
		etcd_pool_give(c, endpoint, ch);
	return 0;
}

/* What a call has met so far. */
struct course {
	unsigned failed, refused, rounds; /* failed and refused: attempts in this round over the endpoints */
	int64_t since, wait;
	bool authenticated;
	char last[600];                   /* "host:port: why" of the last failure */
};

static void
pause_call(struct opctx *cx, struct course *w)
{
	etcd_sleep(cx, w->wait);
	w->wait = w->wait * 2 < WAIT_MAX ? w->wait * 2 : WAIT_MAX;
}

static int
unreachable(const struct etcd_conn *c, const struct course *w, bool all, bool retryable, struct err *err)
{
	if (all && c->n > 1)
		(void)err_set(err, ERR_UNREACHABLE, "etcd cannot be reached at %s; the last one tried is %s", c->names, w->last);
	else
		(void)err_set(err, ERR_UNREACHABLE, "etcd cannot be reached at %s", w->last);
	err->retryable = retryable;
	return -1;
}

/* The endpoint did not answer. 0: go on, -1: the call ends. */
static int
after_silence(struct opctx *cx, struct etcd_conn *c, const struct etcd_call *call, size_t endpoint,
	      const struct grpc_answer *a, struct course *w, struct err *err)
{
	(void)snprintf(w->last, sizeof(w->last), "%s: %s", c->peers[endpoint].name, a->why);
	if (a->broken && call->kind == ETCD_READ)
		return err_set(err, ERR_FAILED, "etcd at %s", w->last);
	etcd_conn_leave(c, endpoint);
	if (a->fate == GRPC_LOST && call->kind != ETCD_READ)
		return err_set(err, ERR_UNKNOWN, "etcd at %s: the answer to a write was lost", w->last);
	if (call->only != 0)
		return unreachable(c, w, false, a->fate != GRPC_REFUSED, err);
	w->failed++;
	w->refused += a->fate == GRPC_REFUSED;
	if (w->refused == c->n)
		return unreachable(c, w, true, false, err);
	if (w->failed < c->n)
		return 0;
	if (++w->rounds == ROUNDS || clock_now() - w->since > ROUNDS_LIMIT)
		return unreachable(c, w, true, true, err);
	w->failed = w->refused = 0;
	pause_call(cx, w);
	return 0;
}

/* The endpoint answered. 1: the call has succeeded, 0: go on, -1: it ends. */
static int
after_answer(struct opctx *cx, struct etcd_conn *c, const struct etcd_call *call, size_t endpoint, const char *token,
	     const struct grpc_answer *a, struct course *w, struct err *err)
{
	switch (verdict_of(c, a)) {
	case VERDICT_OK:
		return 1;
	case VERDICT_AUTH:
		if (w->authenticated || call->without_token)
			return etcd_conn_refusal(c, endpoint, a, err);
		w->authenticated = true;
		etcd_conn_forget_token(c, token);
		return 0;
	case VERDICT_OVERTAKEN: /* as often as it happens: each time it is another change */
		if (token != NULL)
			etcd_conn_forget_token(c, token);
		/* fall through */
	case VERDICT_BUSY:
		(void)snprintf(w->last, sizeof(w->last), "%s: %s", c->peers[endpoint].name, a->why);
		pause_call(cx, w);
		return 0;
	case VERDICT_DEFINITE:
		return etcd_conn_refusal(c, endpoint, a, err);
	case VERDICT_UNSURE:
		break;
	}
	if (call->kind != ETCD_READ)
		return err_set(err, ERR_UNKNOWN, "etcd at %s: %s (status %d)", c->peers[endpoint].name, a->why, a->status);
	return after_silence(cx, c, call, endpoint, a, w, err);
}

int
etcd_call(struct opctx *cx, struct etcd_conn *c, struct etcd_call *call, struct err *err)
{
	struct course w = { .since = clock_now(), .wait = WAIT_FIRST };
	struct grpc_answer a = { 0 };
	size_t endpoint = call->only - 1;
	char *token;
	int done = 0;

	call->status = -1;
	call->refused_len = 0;
	while (done == 0) {
		token = NULL;
		if (etcd_stopped(cx, err) < 0)
			return -1;
		if (clock_now() >= cx->deadline)
			return w.last[0] != '\0' ? unreachable(c, &w, true, true, err) :
				err_set(err, ERR_TIMEOUT, "etcd at %s: the time-out has passed before the call", c->names);
		if (call->only == 0)
			(void)etcd_conn_peer(c, &endpoint);
		done = attempt(cx, c, call, endpoint, &token, &a, err);
		if (done == 0 && a.fate == GRPC_ANSWERED) {
			call->status = a.status;
			done = after_answer(cx, c, call, endpoint, token, &a, &w, err);
		} else if (done == 0) {
			call->status = -1;
			call->refused_len = a.refused_len;
			done = etcd_stopped(cx, err) < 0 && (a.fate != GRPC_LOST || call->kind == ETCD_READ) ? -1 :
				after_silence(cx, c, call, endpoint, &a, &w, err);
		}
		free_token(token);
	}
	call->reply = a.body;
	return done < 0 ? -1 : 0;
}

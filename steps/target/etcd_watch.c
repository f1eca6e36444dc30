/* SPDX-License-Identifier: Apache-2.0 */
/* Owns a watch: a stream of its own that is made anew from the next revision when it breaks, on whichever endpoint
 * answers. Hands over whole revisions in order and none twice. Where nothing changes, how far it has seen comes from
 * progress notifications, asked for; before 3.4.25 and 3.5.8 these can overtake events and are not used at all. */
#include "steps/target/etcd.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/text.h"

#define ASK_AT_CALL (100 * NS_PER_MS) /* progress requests: at a new call, and while waiting */
#define ASK_WAITING NS_PER_S
#define SILENCE (10 * NS_PER_S)       /* after this the server has to show that it lives */
#define CREATE_LIMIT (5 * NS_PER_S)
#define AWAY_WAIT (100 * NS_PER_MS)

struct etcd_watch {
	struct etcd_conn *c;
	struct bytes key, end;
	int64_t next;               /* the first revision not handed over; 0: from now on */
	int64_t told;               /* the last revision that ret->revision has named */
	struct grpc_stream *stream; /* NULL: to be made */
	size_t endpoint;
	char *token;                /* that the stream was made with, or NULL */
	bool trusted, reauthenticated;
	int64_t asked, checked;     /* when progress was last asked for, and life last seen in silence */
	struct grpc_msg *held;      /* what the caller's changes point into */
	struct arena arena;         /* the array of changes */
};

enum step { GO_ON, HAND_OVER, BROKEN, FAILED };

static void
drop_stream(struct etcd_watch *w)
{
	grpc_stream_close(w->stream);
	w->stream = NULL;
	if (w->token != NULL)
		explicit_bzero(w->token, strlen(w->token));
	free(w->token);
	w->token = NULL;
}

static void
drop_held(struct etcd_watch *w)
{
	free(w->held);
	w->held = NULL;
	arena_reset(&w->arena);
}

void
etcd_watch_close(void *watch)
{
	struct etcd_watch *w = watch;

	if (w == NULL)
		return;
	drop_stream(w);
	drop_held(w);
	arena_done(&w->arena);
	free((void *)(uintptr_t)w->key.p);
	free((void *)(uintptr_t)w->end.p);
	free(w);
}

static bool
trusted_progress(struct bytes version)
{
	int v = etcd_version_number(version);

	return (v >= 30425 && v < 30500) || v >= 30508;
}

static void
send_message(struct etcd_watch *w, bool progress)
{
	struct buf request = BUF_INIT(0);

	grpc_begin(&request);
	if (progress)
		etcd_watch_progress_encode(&request);
	else
		etcd_watch_encode(&request, w->key, w->end, w->next);
	grpc_end(&request);
	grpc_stream_send(w->stream, &request);
	buf_done(&request);
}

/* The server refuses the watch: with another token it may not. */
static enum step
refused(struct etcd_watch *w, const struct grpc_answer *a, struct err *err)
{
	bool again = !w->reauthenticated && (etcd_conn_is_auth(w->c, a) ||
					     (w->token != NULL && a->status == GRPC_PERMISSION_DENIED));

	(void)etcd_conn_refusal(w->c, w->endpoint, a, err);
	if (!again)
		return FAILED;
	w->reauthenticated = true;
	etcd_conn_forget_token(w->c, w->token);
	drop_stream(w);
	return BROKEN;
}

static enum step
canceled(struct etcd_watch *w, const struct etcd_watch_reply *r, struct changes *ret, struct err *err)
{
	struct grpc_answer a = { .fate = GRPC_ANSWERED, .status = GRPC_PERMISSION_DENIED };

	if (r->compact_revision > 0) {
		*ret = (struct changes){ .compacted = true, .compact_revision = r->compact_revision };
		drop_stream(w);
		return HAND_OVER;
	}
	(void)snprintf(a.why, sizeof(a.why), "the watch is refused: %s",
		       text_safe(&w->arena, r->reason.p, r->reason.len, 300));
	return refused(w, &a, err);
}

/* Events come in order, and none that has been handed over: else something is lost, or a second time here. */
static enum step
take_events(struct etcd_watch *w, const struct etcd_watch_reply *r, struct changes *ret, struct err *err)
{
	int64_t last = w->next - 1;

	for (size_t i = 0; i < r->n; i++) {
		int64_t revision = r->events[i].item.revision;

		if (revision < last || revision < w->next) {
			(void)err_set(err, ERR_FAILED, "etcd at %s: the watch went back from revision %lld to %lld",
				      etcd_conn_name(w->c, w->endpoint), (long long)last, (long long)revision);
			return FAILED;
		}
		last = revision;
	}
	*ret = (struct changes){ .list = r->events, .n = r->n, .revision = last };
	w->next = last + 1;
	w->told = last;
	return HAND_OVER;
}

static enum step
take_progress(struct etcd_watch *w, int64_t revision, struct changes *ret)
{
	if (!w->trusted || revision < w->next - 1 || revision <= w->told)
		return GO_ON;
	w->next = revision + 1;
	w->told = revision;
	*ret = (struct changes){ .revision = revision };
	return HAND_OVER;
}

static enum step
take_message(struct etcd_watch *w, struct grpc_msg *m, struct changes *ret, struct err *err)
{
	struct etcd_watch_reply r;

	drop_held(w);
	w->held = m;
	if (etcd_watch_decode(&w->arena, (struct bytes){ m->data, m->len }, &r) < 0) {
		(void)etcd_malformed(w->c, "Watch", err);
		return FAILED;
	}
	if (r.canceled)
		return canceled(w, &r, ret, err);
	if (r.n > 0)
		return take_events(w, &r, ret, err);
	return r.created ? GO_ON : take_progress(w, r.header.revision, ret);
}

static enum step
away(struct etcd_watch *w, const struct grpc_answer *a, struct err *err)
{
	(void)err_set(err, ERR_UNREACHABLE, "etcd cannot be reached at %s: %s", etcd_conn_name(w->c, w->endpoint),
		      a->why[0] != '\0' ? a->why : "the watch ended");
	drop_stream(w);
	etcd_conn_leave(w->c, w->endpoint);
	return BROKEN;
}

/* The stream has ended by itself. */
static enum step
ended(struct etcd_watch *w, const struct grpc_answer *a, struct err *err)
{
	if (a->broken) {
		(void)err_set(err, ERR_FAILED, "etcd at %s: %s", etcd_conn_name(w->c, w->endpoint), a->why);
		return FAILED;
	}
	if (a->fate == GRPC_REFUSED) {
		(void)away(w, a, err);
		err->retryable = false;
		return FAILED;
	}
	if (a->fate == GRPC_ANSWERED && (a->status == GRPC_PERMISSION_DENIED || a->status == GRPC_UNAUTHENTICATED ||
					 a->status == GRPC_INVALID_ARGUMENT || a->status == GRPC_UNIMPLEMENTED))
		return refused(w, a, err);
	return away(w, a, err);
}

/* Wait for the answer to the create request. */
static enum step
await_created(struct opctx *cx, struct etcd_watch *w, struct changes *ret, struct err *err)
{
	struct grpc_answer a = { .why = "no answer to the watch in time" };
	struct etcd_watch_reply r;
	struct grpc_msg *m;

	switch (grpc_stream_next(w->stream, cx, clock_now() + CREATE_LIMIT, &m, &a)) {
	case GRPC_ENDED:
		return ended(w, &a, err);
	case GRPC_QUIET:
		return etcd_stopped(cx, err) < 0 ? FAILED : away(w, &a, err);
	case GRPC_MESSAGE:
		break;
	}
	drop_held(w);
	w->held = m;
	if (etcd_watch_decode(&w->arena, (struct bytes){ m->data, m->len }, &r) < 0 || !r.created) {
		(void)etcd_malformed(w->c, "Watch", err);
		return FAILED;
	}
	if (r.canceled)
		return canceled(w, &r, ret, err);
	if (w->next == 0)
		w->next = r.header.revision + 1;
	w->reauthenticated = false;
	return GO_ON;
}

/* Make the stream. GO_ON: it stands; BROKEN: another attempt may do, err tells why. */
static enum step
establish(struct opctx *cx, struct etcd_watch *w, struct changes *ret, struct err *err)
{
	struct arena arena = ARENA_INIT;
	const struct peer *peer = etcd_conn_peer(w->c, &w->endpoint);
	struct etcd_status status;
	enum step step = FAILED;

	if (etcd_get_status(cx, w->c, w->endpoint + 1, &arena, &status, err) < 0) {
		step = err->kind == ERR_UNREACHABLE && err->retryable ? BROKEN : FAILED;
	} else if (etcd_conn_token(cx, w->c, &w->token, err) == 0) {
		/* a server that keeps its version from us is newer than all that cannot be trusted */
		w->trusted = status.denied || trusted_progress(status.version);
		w->stream = grpc_stream_open(peer, ETCD_WATCH, w->token, ETCD_REPLY_MAX);
		w->checked = clock_now();
		send_message(w, false);
		step = await_created(cx, w, ret, err);
	}
	if (step == FAILED)
		drop_stream(w);
	arena_done(&arena);
	return step;
}

static struct bytes
own_bytes(struct bytes b)
{
	char *p = xmalloc(b.len + 1);

	if (b.len > 0)
		memcpy(p, b.p, b.len);
	return (struct bytes){ p, b.len };
}

int
etcd_watch_open(struct opctx *cx, void *conn, const struct query *q, void **ret_watch, struct err *err)
{
	struct bytes from = q->from.len == 0 && q->to.len > 0 ? (struct bytes){ "", 1 } : q->from;
	struct etcd_watch *w = xcalloc(1, sizeof(*w));
	enum step step = BROKEN;
	struct changes ignored;

	w->c = conn;
	w->key = own_bytes(from);
	w->end = own_bytes(q->to);
	w->next = q->revision;
	for (size_t i = 0; i <= etcd_conn_endpoints(w->c) && step == BROKEN; i++)
		step = establish(cx, w, &ignored, err);
	if (step == BROKEN || step == FAILED) {
		etcd_watch_close(w);
		return -1;
	}
	*ret_watch = w;
	return 0;
}

/* A silent stream: is the server still there? */
static enum step
check_life(struct opctx *cx, struct etcd_watch *w, int64_t now, struct err *err)
{
	struct arena arena = ARENA_INIT;
	struct etcd_status status;
	int64_t heard = grpc_stream_heard(w->stream);
	enum step step = GO_ON;

	if (heard > w->checked)
		w->checked = heard;
	if (now - w->checked < SILENCE)
		return GO_ON;
	w->checked = now;
	if (etcd_get_status(cx, w->c, w->endpoint + 1, &arena, &status, err) < 0) {
		step = err->kind == ERR_UNREACHABLE && err->retryable ? BROKEN : FAILED;
		drop_stream(w);
	}
	arena_done(&arena);
	return step;
}

/* One turn on a stream that stands. */
static enum step
turn(struct opctx *cx, struct etcd_watch *w, int64_t until, struct changes *ret, struct err *err)
{
	int64_t now = clock_now();
	struct grpc_answer a;
	struct grpc_msg *m;

	if (w->trusted && now - w->asked >= ASK_WAITING) {
		w->asked = now;
		send_message(w, true);
	}
	if (until > now + ASK_WAITING)
		until = now + ASK_WAITING;
	switch (grpc_stream_next(w->stream, cx, until, &m, &a)) {
	case GRPC_MESSAGE:
		return take_message(w, m, ret, err);
	case GRPC_ENDED:
		return ended(w, &a, err);
	case GRPC_QUIET:
		break;
	}
	return check_life(cx, w, now, err);
}

int
etcd_watch_next(struct opctx *cx, void *watch, int64_t wait_ns, struct changes *ret, struct err *err)
{
	struct etcd_watch *w = watch;
	int64_t now = clock_now(), until = wait_ns < cx->deadline - now ? now + wait_ns : cx->deadline;
	enum step step;

	*ret = (struct changes){ 0 };
	drop_held(w);
	if (now - w->asked >= ASK_AT_CALL)
		w->asked = 0; /* at once */
	for (;;) {
		if (etcd_stopped(cx, err) < 0)
			return -1;
		step = w->stream == NULL ? establish(cx, w, ret, err) : turn(cx, w, until, ret, err);
		if (step == HAND_OVER)
			return 0;
		if (step == FAILED) {
			drop_stream(w);
			return -1;
		}
		if (clock_now() >= until)
			return step == BROKEN ? -1 : 0;
		if (step == BROKEN)
			etcd_sleep(cx, AWAY_WAIT);
	}
}

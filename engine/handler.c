/* SPDX-License-Identifier: Apache-2.0 */
/* The plain half of step.h: time, progress, outputs, notes and nested calls. Owns what a worker may say to the
 * coordinator and how it waits: every wait here ends by cancel or deadline. */
#include "ctx.h"

#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/text.h"

#define SLICE (200 * NS_PER_MS)           /* how long a signal may go unseen */
#define FIRST_CONTACT_TRIES 4             /* a target never reached yet is given up quickly: a wrong address */
#define PROGRESS_EVERY (100 * NS_PER_MS)
#define AWAY_MAX (10 * NS_PER_S)

static void
note_from_target(struct opctx *op, const char *text)
{
	step_note((struct step_ctx *)op, "%s", text);
}

static const void *
args_of(const struct target *t)
{
	return t->args;
}

void
ctx_init(struct step_ctx *cx, struct attempt *at, struct arena *arena, const atomic_int *cancel)
{
	const struct shared *sh = at->shared;

	*cx = (struct step_ctx){ .at = at, .arena = arena, .outputs = &at->outputs };
	cx->op = (struct opctx){ .arena = arena, .deadline = at->deadline, .cancel = cancel, .cancel_fd = sh->cancel_fd,
		.run = sh->run, .step = at->path, .mark = sh->mark, .user = sh->user, .host = sh->host, .epoch = sh->epoch,
		.scratch = sh->dir, .note = note_from_target, .args_of = args_of };
}

struct door_letter *
ctx_letter(struct step_ctx *cx, enum letter_kind kind)
{
	struct door_letter *l = arena_alloc(cx->arena, sizeof(*l));

	l->kind = kind;
	l->at = cx->at;
	return l;
}

void
ctx_post(struct step_ctx *cx, struct door_letter *l, bool wake)
{
	mailbox_post(&cx->at->shared->mailbox, &l->link, wake);
}

int
ctx_ask(struct step_ctx *cx, struct door_letter *l, struct err *err)
{
	struct gate gate;

	if (cx->at->type->flags & STEP_PURE) /* it runs on the coordinator, which would wait for itself */
		return err_set(err, ERR_FAILED, "bug: step type '%s' says it is pure and looks at the world", cx->at->type->name);
	gate_init(&gate);
	l->gate = &gate;
	ctx_post(cx, l, true);
	gate_wait(&gate);
	if (l->rc < 0)
		*err = l->err;
	return l->rc;
}

int
ctx_check(struct step_ctx *cx, struct err *err)
{
	if (atomic_load(&cx->at->shared->stop) || atomic_load(cx->op.cancel))
		return err_set(err, ERR_CANCELLED, "stopped before it was done");
	if (clock_now() >= cx->op.deadline)
		return err_set(err, ERR_TIMEOUT, "timed out");
	return 0;
}

/* Sleep for ns or until cancel, stop or deadline; the coordinator cannot wake a stop, so look often. */
static int
pause_for(struct step_ctx *cx, int64_t ns, struct err *err)
{
	const int64_t end = clock_now() + ns;

	for (;;) {
		struct pollfd fd = { .fd = cx->op.cancel_fd, .events = POLLIN };
		int64_t left = end - clock_now();

		if (ctx_check(cx, err) < 0)
			return -1;
		if (left <= 0)
			return 0;
		if (left > SLICE)
			left = SLICE;
		if (left > cx->op.deadline - clock_now())
			left = cx->op.deadline - clock_now();
		(void)poll(&fd, 1, (int)((left + NS_PER_MS - 1) / NS_PER_MS)); /* EINTR: the loop looks again */
	}
}

/* Once for all lanes that wait for it. */
static void
tell_waiting(struct step_ctx *cx, struct target *t, int64_t ns, const struct err *err)
{
	const int64_t now = clock_now();
	long long last = atomic_load(&t->told);

	if (now - last >= ns / 2 && atomic_compare_exchange_strong(&t->told, &last, now))
		step_note(cx, "waiting for %s: %s", t->name, err->msg);
}

bool
ctx_wait_away(struct step_ctx *cx, struct target *t, unsigned *tries, struct err *err)
{
	const struct err away = *err;
	int64_t ns = (NS_PER_S / 2) << (*tries < 5 ? *tries : 5);

	if (err->kind != ERR_UNREACHABLE || (!err->retryable && !t->reached) || cx->at->shared->mode == MODE_PLAN)
		return false;
	/* what it took before and refuses now has ended, or is just being replaced: credentials are read again each time */
	if ((!t->reached || !err->retryable) && *tries + 1 >= FIRST_CONTACT_TRIES)
		return false;
	++*tries;
	tell_waiting(cx, t, ns, err);
	if (pause_for(cx, ns < AWAY_MAX ? ns : AWAY_MAX, err) == 0)
		return true;
	if (err->kind == ERR_TIMEOUT)
		*err = away;
	return false;
}

/* One try, under the target's lock: who comes second finds it done, or tries again for itself. */
static int
open_conn(struct step_ctx *cx, struct target *t, struct err *err)
{
	struct door_letter *l;

	if (t->known)
		return 0; /* and in use: not to be written to, also where there is nothing to open */
	if (t->conn == NULL && t->type->open(&cx->op, t->args, &t->conn, err) < 0) {
		t->conn = NULL;
		cx->at->unopened = err->kind == ERR_LOCAL;
		if (cx->at->unopened && err->next[0] == '\0')
			err_next(err, "see to what target '%s' names", t->name);
		return -1;
	}
	if (t->type->identity != NULL) {
		l = ctx_letter(cx, LETTER_TARGET);
		l->target = t;
		if (t->type->identity(&cx->op, t->conn, &l->value, err) < 0 || (l->value.kind != V_NULL && ctx_ask(cx, l, err) < 0))
			return -1;
		t->reached = l->value.kind != V_NULL;
	}
	t->known = true;
	return 0;
}

int
target_ready(struct step_ctx *cx, struct target *t, struct err *err)
{
	unsigned tries = 0;
	int rc;

	do { /* the lock is not held while waiting: another step's deadline may be nearer */
		if (t->known)
			return 0;
		pthread_mutex_lock(&t->lock);
		rc = open_conn(cx, t, err);
		pthread_mutex_unlock(&t->lock);
	} while (rc < 0 && ctx_wait_away(cx, t, &tries, err));
	return rc < 0 && (err->kind == ERR_UNREACHABLE || err->kind == ERR_PLAN) ? err_wrap(err, "target '%s'", t->name) : rc;
}

int
step_sleep(struct step_ctx *cx, int64_t ns, struct err *err)
{
	char text[32];

	if (cx->at->shared->mode == MODE_PLAN) {
		step_assume(cx, "waits %s", duration_text(ns, text));
		return 0;
	}
	return pause_for(cx, ns, err);
}

bool
step_until(struct step_ctx *cx, int64_t ns)
{
	struct park *park = &cx->at->park;
	char text[32];

	if (cx->at->shared->mode == MODE_PLAN) {
		step_assume(cx, "waits %s", duration_text(ns, text));
		return true;
	}
	if (!park->over)
		*park = (struct park){ .wanted = true, .until = clock_now() + ns };
	return park->over;
}

bool
step_ask(struct step_ctx *cx, const char *question, const struct value *answers, struct answer *ret)
{
	struct park *park = &cx->at->park;
	struct buf words = BUF_INIT(0);

	for (uint32_t i = 0; i < answers->len; i++) {
		buf_puts(&words, i > 0 ? "/" : "");
		buf_puts(&words, answers->items[i].kind == V_STRING ? answers->items[i].s : "?");
	}
	if (cx->at->shared->mode == MODE_PLAN) {
		step_assume(cx, "somebody lets it pass: %s [%s]", question, words.p);
		ret->choice = answers->len == 2 ? answers->items[0] : value_unknown("the answer of a person");
		ret->by = value_unknown("who answers");
	} else if (park->over) {
		*ret = park->answer;
		if (ret->choice.kind == V_NULL)
			ret->choice = answers->items[0];
	} else {
		*park = (struct park){ .wanted = true, .until = NEVER,
			.question = text_safe(&cx->at->arena, question, strlen(question), 0),
			.answers = arena_strdup(&cx->at->arena, words.p) };
	}
	buf_done(&words);
	return cx->at->shared->mode == MODE_PLAN || park->over;
}

/* The effect that progress belongs to; 0 when none is under way. */
static uint32_t
now_begun(const struct memory *m)
{
	return m->now != NULL && m->now->state == EFFECT_BEGUN ? m->now->number : 0;
}

void
step_progress(struct step_ctx *cx, uint64_t done, uint64_t total, const char *unit)
{
	const long long now = clock_now(), last = atomic_load(&cx->at->progress_at);
	struct door_letter *l;

	if (now - last < PROGRESS_EVERY && !(total > 0 && done == total))
		return;
	if (total > 0 && total < done)
		total = done; /* it was counted before all of it was there */
	atomic_store(&cx->at->progress_at, now);
	l = xcalloc(1, sizeof(*l)); /* not from the arena: lanes report at the same time */
	l->kind = LETTER_PROGRESS;
	l->at = cx->at;
	l->rec.effect = now_begun(cx->at->memory);
	l->done = done;
	l->total = total;
	l->unit = unit;
	ctx_post(cx, l, true);
}

void
step_note(struct step_ctx *cx, const char *fmt, ...)
{
	struct door_letter *l = xcalloc(1, sizeof(*l));
	struct buf text = BUF_INIT(2048);
	va_list ap;
	char *raw;

	va_start(ap, fmt);
	raw = xvasprintf(fmt, ap);
	va_end(ap);
	text_escape(&text, raw, strlen(raw));
	free(raw);
	l->kind = LETTER_NOTE;
	l->at = cx->at;
	l->rec.msg = buf_take(&text); /* freed with the letter by the coordinator */
	ctx_post(cx, l, true);
}

int
step_output(struct step_ctx *cx, const char *name, struct value v, struct err *err)
{
	struct outputs *o = cx->outputs;

	if (v.flags & VF_SECRET)
		return err_set(err, ERR_FAILED, "output '%s' would hold a secret: outputs are journalled; use the "
			       "parameter where it is needed instead", name);
	if (o->n == o->cap) {
		struct pair *list = arena_array(o->arena, o->cap ? o->cap * 2 : 8, sizeof(*list));

		if (o->n > 0)
			memcpy(list, o->list, o->n * sizeof(*list));
		o->list = list;
		o->cap = o->cap ? o->cap * 2 : 8;
	}
	for (size_t i = 0; i < o->n; i++)
		if (strcmp(o->list[i].key, name) == 0) {
			o->list[i].v = value_copy(o->arena, &v);
			return 0;
		}
	o->list[o->n++] = (struct pair){ arena_strdup(o->arena, name), value_copy(o->arena, &v) };
	return 0;
}

int
step_call(struct step_ctx *cx, const struct call *call, const struct value **ret, struct err *err)
{
	struct outputs outputs = { .arena = &cx->call };
	struct step_ctx sub;
	struct value *v;
	int rc;

	arena_reset(&cx->call); /* a wait calls again and again */
	ctx_init(&sub, cx->at, &cx->call, cx->op.cancel);
	sub.op.deadline = cx->op.deadline;
	sub.outputs = &outputs;
	sub.nested = true;
	rc = call->type->run(&sub, call->args, err);
	arena_done(&sub.page);
	arena_done(&sub.call);
	if (rc < 0)
		return -1;
	v = arena_alloc(&cx->call, sizeof(*v));
	*v = value_map(outputs.list, outputs.n);
	*ret = v;
	return 0;
}

int
step_expr(struct step_ctx *cx, const struct expr *e, const struct value *value, struct value *ret, struct err *err)
{
	if (cx->at->host == NULL)
		cx->at->host = expr_host_new();
	return expr_eval_over(cx->at->host, e, value, &cx->call, ret, err);
}

bool
step_is_plan(const struct step_ctx *cx)
{
	return cx->at->shared->mode == MODE_PLAN;
}

void
step_assume(struct step_ctx *cx, const char *fmt, ...)
{
	va_list ap;
	char *raw;

	va_start(ap, fmt);
	raw = xvasprintf(fmt, ap);
	va_end(ap);
	cx->at->assumed = text_safe(&cx->at->arena, raw, strlen(raw), 500);
	free(raw);
}

struct arena *
step_arena(struct step_ctx *cx)
{
	return cx->op.arena;
}

const char *
step_text(struct step_ctx *cx, const char *fmt, ...)
{
	const char *ret;
	va_list ap;
	char *raw;

	va_start(ap, fmt);
	raw = xvasprintf(fmt, ap);
	va_end(ap);
	ret = text_safe(cx->op.arena, raw, strlen(raw), 0);
	free(raw);
	return ret;
}

struct target *
step_local(struct step_ctx *cx, const char *kind)
{
	const struct shared *sh = cx->at->shared;

	for (size_t i = 0; i < sh->nlocals; i++)
		if (strcmp(sh->locals[i]->type->kind, kind) == 0)
			return sh->locals[i];
	abort(); /* a handler named a kind that the registry does not have */
}

bool
step_has_begun(const struct step_ctx *cx)
{
	return cx->at->shared->mode != MODE_PLAN && memory_stands(cx->at->memory);
}

const char *
step_run_id(const struct step_ctx *cx)
{
	return cx->at->shared->run;
}

const char *
step_path(const struct step_ctx *cx)
{
	return cx->at->path;
}

int64_t
step_deadline(const struct step_ctx *cx)
{
	return cx->op.deadline;
}

uint64_t
step_random(struct step_ctx *cx)
{
	uint64_t x = cx->at->rng;

	x ^= x << 13; /* xorshift64 (Marsaglia 2003): jitter needs no more */
	x ^= x >> 7;
	x ^= x << 17;
	cx->at->rng = x;
	return x;
}

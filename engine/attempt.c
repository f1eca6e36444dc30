/* SPDX-License-Identifier: Apache-2.0 */
/* A step's way from ready to its end: `when`, binding, the attempt on a worker (or at once, for pure steps), retry, and
 * the one place where a step gets its final status. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/fault.h"
#include "coord.h"
#include "undo.h"

/* Its end is staged; coord_commit tells it after the sync. */
static void
ended(struct coord *c, uint32_t i, const struct record *r)
{
	if (c->nended == c->ended_cap) {
		c->ended_cap = c->ended_cap ? c->ended_cap * 2 : 64;
		c->ended = xreallocarray(c->ended, c->ended_cap, sizeof(*c->ended));
	}
	c->ended[c->nended++] = (struct ended){ .step = i, .ns = (int64_t)r->ns, .kind = r->kind, .attempt = r->attempt,
		.msg = r->msg != NULL ? xstrdup(r->msg) : NULL, .next = r->next != NULL ? xstrdup(r->next) : NULL };
}

static void
drop_task(struct live *l)
{
	if (l->task == NULL)
		return;
	memory_done(&l->task->memory);
	free(l->task);
	l->task = NULL;
}

static const char *
keep_outputs(struct coord *c, const struct outputs *o)
{
	struct buf text = BUF_INIT(0);
	struct value v = value_map(o->list, o->n);
	const char *ret;

	if (o->n == 0)
		return NULL;
	value_write(&text, &v);
	ret = arena_strndup(&c->keep, text.p, text.len);
	buf_done(&text);
	return ret;
}

/* The end of an undo is on record under its own path, in one batch with what it means for the step taken back. */
static int
record_undo(struct coord *c, const struct attempt *at, enum step_status status, const struct err *err)
{
	const bool done = status == STEP_DONE || status == STEP_UNCHANGED;
	struct record r = { .type = REC_END, .step = at->path, .status = step_status_name(status), .attempt = at->number,
		.ns = (uint64_t)(clock_now() - at->started) };

	if (err != NULL) {
		r.kind = err_kind_name(err->kind);
		r.msg = err->msg;
		r.next = err->next[0] != '\0' ? err->next : NULL;
	}
	if (coord_record(c, &r, true) < 0)
		return -1;
	if (done)
		coord_undone(c, coord_undoes(c, at->step), at);
	return done ? coord_record(c, &(struct record){ .type = REC_REOPEN, .step = at->undoes, .kind = "taken-back" }, true) : 0;
}

/* The one way a step gets its final status: recorded, and told to others only after the sync. */
static void
finish(struct coord *c, uint32_t i, enum step_status status, const struct attempt *at, const struct err *err)
{
	struct live *l = &c->live[i];
	struct value outputs = at != NULL ? value_map(at->outputs.list, at->outputs.n) : VALUE_NULL;
	struct record r = { .type = REC_END, .step = c->plan->steps[i].id, .status = step_status_name(status) };

	l->status = status;
	if (at != NULL) {
		r.attempt = at->number;
		r.ns = (uint64_t)(clock_now() - at->started);
		r.digest = at->digest[0] != '\0' ? at->digest : NULL;
		if (status == STEP_DONE || status == STEP_UNCHANGED) {
			l->outputs = keep_outputs(c, &at->outputs);
			r.value = at->outputs.n > 0 ? &outputs : NULL;
		}
		if (at->predicted)
			l->unknown = true;
	}
	if (err != NULL) {
		r.kind = err_kind_name(err->kind);
		r.msg = err->msg;
		r.next = err->next[0] != '\0' ? err->next : NULL;
	}
	if ((at != NULL && at->undoes != NULL && record_undo(c, at, status, err) < 0) ||
	    (c->phase != PHASE_ROLLBACK && coord_record(c, &r, true) < 0)) { /* its end is not on record: it has not ended */
		l->status = STEP_PENDING;
		return;
	}
	if (status != STEP_IN_DOUBT)
		drop_task(l);
	ended(c, i, &r);
}

static void
fail(struct coord *c, uint32_t i, const struct attempt *at, const struct err *err)
{
	struct err told = *err;

	if (c->phase == PHASE_ROLLBACK) {
		coord_pause(c, at->path, err);
		finish(c, i, STEP_FAILED, at, &told);
		return;
	}
	if (!c->failed && !c->pausing) { /* why it pauses is what people must see to first */
		c->reason = *err;
		c->reason_step = c->plan->steps[i].id;
	}
	c->failed = true;
	c->stopping = c->stopping || c->plan->steps[i].policy->on_error != ON_ERROR_CONTINUE;
	c->roll_back = c->roll_back || c->plan->steps[i].policy->on_error == ON_ERROR_ROLLBACK;
	finish(c, i, STEP_FAILED, at, &told);
}

/* A finally step waits for its phase, not for steps before it. */
static bool
same_phase(const struct coord *c, uint32_t a, uint32_t b)
{
	return c->plan->steps[a].finally == c->plan->steps[b].finally;
}

/* Block what needs the step that ended, and in turn what needs that, all in one batch: a chain costs one sync. The ends
 * staged meanwhile are the list of what is still to be looked at. */
static void
block_users(struct coord *c, uint32_t step)
{
	size_t at = c->nended;

	for (;;) {
		for (uint32_t k = c->graph.user_first[step]; k < c->graph.user_first[step + 1]; k++) {
			const struct need *user = &c->graph.users[k];
			const struct live *l = &c->live[user->to];
			struct err err = ERR_INIT;

			if (user->weak || l->status != STEP_PENDING || l->task != NULL || !same_phase(c, user->to, step))
				continue;
			err_set(&err, ERR_FAILED, "needs '%s', which %s %s", c->plan->steps[step].id,
				c->live[step].status == STEP_BLOCKED ? "is" : "has",
				step_status_name(c->live[step].status));
			finish(c, user->to, STEP_BLOCKED, NULL, &err);
		}
		if (at == c->nended)
			return;
		step = c->ended[at++].step;
	}
}

void
coord_tell(struct coord *c, const struct ended *end)
{
	const enum step_status status = c->live[end->step].status;
	const bool satisfied = status == STEP_DONE || status == STEP_UNCHANGED || status == STEP_SKIPPED;
	struct event e = coord_event(c, EVENT_END, end->step);

	e.status = status;
	e.ns = end->ns;
	e.msg = end->msg;
	e.next = end->next;
	e.err_kind = end->kind;
	e.attempt = end->attempt;
	if (c->o->mode == MODE_PLAN && end->kind != NULL && strcmp(end->kind, err_kind_name(ERR_PREDICTED)) == 0) {
		e.kind = EVENT_PREDICTED;
		coord_hold_event(c, end->step, &e);
		e.kind = EVENT_END;
		e.msg = NULL;
	}
	if (c->o->mode == MODE_PLAN)
		coord_hold_event(c, end->step, &e);
	else
		report_event(c->o->report, &e);
	if (status == STEP_IN_DOUBT || c->phase == PHASE_ROLLBACK)
		return;
	c->live[end->step].over = true;
	for (uint32_t k = c->graph.user_first[end->step]; k < c->graph.user_first[end->step + 1]; k++) {
		const struct need *user = &c->graph.users[k];
		struct live *l = &c->live[user->to];

		if (l->status == STEP_PENDING && l->task == NULL && same_phase(c, user->to, end->step) &&
		    (satisfied || user->weak) && --l->blocked == 0)
			coord_ready(c, user->to);
	}
	if (!satisfied)
		block_users(c, end->step);
}

void
coord_ready(struct coord *c, uint32_t i)
{
	if (c->live[i].selected && c->live[i].status == STEP_PENDING &&
	    c->plan->steps[i].finally == (c->phase == PHASE_FINALLY))
		heap_push(c->phase == PHASE_SETTLE ? &c->held : &c->ready, i, i);
}

/* `when`: 1 go on, 0 skip, -1 error. */
static int
condition(struct coord *c, const struct step *s, struct err *err)
{
	struct value v;

	if (s->when == NULL)
		return 1;
	arena_reset(&c->eval);
	if (template_eval(c->host, s->when, c->plan->file, &c->env, &c->eval, &v, err) < 0)
		return err_wrap(err, "when");
	if (v.kind == V_UNKNOWN)
		return err_set(err, ERR_PREDICTED, "whether it runs is not known yet: %s", v.s);
	return value_true(&v);
}

static int
bind_attempt(struct coord *c, struct attempt *at, const struct step *s, struct err *err)
{
	void *args = arena_alloc(&at->arena, s->type->args_size > 0 ? s->type->args_size : 1);
	struct pair parts[3];
	struct value whole;
	char digest[65];

	arena_reset(&c->eval);
	at->args = args;
	if (schema_bind(s->type->inputs, &s->with, &c->bind, &at->arena, args, &at->inputs, err) < 0 ||
	    coord_bind_guards(c, at, err) < 0)
		return -1;
	if (s->type->check != NULL && s->type->check(args, err) < 0)
		return -1;
	parts[0] = (struct pair){ "type", value_str(s->type->name) };
	parts[1] = (struct pair){ "version", value_int(s->type->version) };
	parts[2] = (struct pair){ "with", at->inputs };
	whole = value_map(parts, countof(parts));
	value_digest(&whole, c->shared.key, digest);
	memcpy(at->digest, digest, sizeof(at->digest) - 1);
	return 0;
}

/* On a worker thread, or on the coordinator for a pure step. */
static void
work(void *item)
{
	struct attempt *at = item;

	at->rc = at->type->run(&at->cx, at->args, &at->err);
	if (at->rc == 0 && at->shared->mode == MODE_RUN) {
		const struct memo *lost = memory_unasked(at->memory);

		if (lost != NULL) {
			err_set(&at->err, ERR_IN_DOUBT, "'%s %s' was %s by this step before, and the step ended without "
				"asking for it again", lost->verb, lost->ref, lost->begun ? "begun" : "done");
			err_next(&at->err, "wherry resolve %s %s --done|--not-done --reason TEXT", at->shared->run, at->path);
			at->rc = -1;
		}
	}
	at->end.kind = LETTER_END;
	at->end.at = at;
}

static void
work_and_post(void *item)
{
	struct attempt *at = item;

	work(at);
	mailbox_post(&at->shared->mailbox, &at->end.link, true);
}

/* It is no longer under way. */
static void
leave(struct coord *c, struct attempt *at)
{
	if (at->prev != NULL) { /* it was handed to a worker */
		*at->prev = at->next;
		if (at->next != NULL)
			at->next->prev = at->prev;
		c->running--;
	}
	if (c->live[at->step].task != NULL)
		c->live[at->step].task->attempt = NULL;
}

/* A person may take as long as it takes, where the plan does not say otherwise. */
static int64_t
deadline_of(const struct step *s, int64_t from)
{
	if (s->policy->timeout > 0)
		return from + s->policy->timeout;
	return s->type->flags & STEP_GATE ? NEVER : from + PLAN_TIMEOUT;
}

static struct attempt *
new_attempt(struct coord *c, uint32_t i)
{
	struct live *l = &c->live[i];
	const struct step *s = &c->plan->steps[i];
	const uint32_t undoes = coord_undoes(c, i);
	const char *of = undoes != PLAN_NO_STEP ? path_of(c, undoes) : NULL;
	const char *path = of != NULL ? undo_path(&c->keep, of) : s->id;
	struct attempt *at = xcalloc(1, sizeof(*at));
	struct err wrong = ERR_INIT;

	if (l->task == NULL) {
		l->task = xcalloc(1, sizeof(*l->task));
		if (undoes == PLAN_NO_STEP)
			memory_init(&l->task->memory, c->o->history != NULL ? history_step(c->o->history, s->id) : NULL, l->anew);
		else if (coord_undo_memory(c, path, &l->task->memory, &wrong) < 0)
			coord_pause(c, s->id, &wrong);
		if (l->torn)
			l->task->memory.unseen = EFFECT_UNKNOWN;
		l->task->started = clock_now();
		l->task->deadline = deadline_of(s, l->task->started);
	}
	memory_walk(&l->task->memory);
	l->task->attempt = at;
	*at = (struct attempt){ .shared = &c->shared, .step = i, .number = ++l->attempts, .path = path, .undoes = of,
		.type = of != NULL ? &undo_step : s->type,
		.memory = &l->task->memory, .deadline = l->task->deadline, .started = clock_now(), .all_unchanged = true };
	c->rng = c->rng * 6364136223846793005U + 1442695040888963407U; /* Knuth's LCG: a seed for each attempt */
	at->rng = c->rng | 1;
	ctx_init(&at->cx, at, &at->arena, &c->shared.cancel);
	return at;
}

void
coord_attempt_free(struct attempt *at)
{
	arena_done(&at->cx.page);
	arena_done(&at->arena);
	expr_host_free(at->host);
	free(at);
}

/* Without a worker: the handler runs at once, and ends or parks. */
static int
work_here(struct coord *c, struct attempt *at)
{
	if ((at->type->flags & STEP_GATE) && c->o->mode == MODE_RUN && !at->park.over) {
		const int word = coord_word(c, at, &at->park.answer, &at->err);

		at->park.over = word > 0;
		if (word < 0) {
			at->rc = -1;
			coord_attempt_end(c, at);
			return 0;
		}
	}
	work(at);
	if (at->rc == 0 && at->park.wanted && !at->park.over)
		coord_park(c, at);
	else
		coord_attempt_end(c, at);
	return 0;
}

int
coord_work(struct coord *c, struct attempt *at)
{
	struct live *l = &c->live[at->step];
	struct event e = coord_event(c, EVENT_START, at->step);

	l->status = STEP_RUNNING;
	e.attempt = at->number;
	if (at->type->flags & STEP_PURE)
		return work_here(c, at);
	at->deadline = at->cx.op.deadline = l->task->deadline;
	coord_record(c, &(struct record){ .type = REC_START, .step = at->path, .attempt = at->number }, false);
	if (c->o->mode == MODE_RUN)
		report_event(c->o->report, &e);
	at->next = c->attempts;
	at->prev = &c->attempts;
	if (at->next != NULL)
		at->next->prev = &at->next;
	c->attempts = at;
	c->running++;
	if (pool_submit(c->pool, at, &at->err) < 0) { /* no fault of the step's: it has not begun */
		leave(c, at);
		l->status = STEP_PENDING;
		coord_pause(c, at->path, &at->err);
		coord_attempt_free(at);
		return 0;
	}
	return 1;
}

/* Start step i: it may end at once (skipped, wrong inputs, pure), or be parked. 1: it holds a worker now. */
static int
start(struct coord *c, uint32_t i)
{
	const struct step *s = &c->plan->steps[i];
	struct live *l = &c->live[i];
	struct attempt *at;
	int go;

	if (l->task != NULL && l->task->attempt != NULL)
		return coord_unpark(c, l->task->attempt);
	at = new_attempt(c, i);
	go = at->number == 1 && c->phase != PHASE_ROLLBACK && !memory_in_doubt(at->memory) ? condition(c, s, &at->err) : 1;
	if (go == 0) {
		if (at->memory->first == NULL)
			l->maybe = 0; /* not even a lost batch can have held an effect of it */
		finish(c, i, STEP_SKIPPED, NULL, NULL);
		coord_attempt_free(at);
		return 0;
	}
	if (go < 0 || (at->undoes != NULL ? coord_undo_bind(c, at, coord_undoes(c, i), &at->err)
					  : bind_attempt(c, at, s, &at->err)) < 0) {
		at->rc = -1;
		coord_attempt_end(c, at);
		return 0;
	}
	if (s->irreversible != NULL && at->undoes == NULL)
		go = coord_may_cross(c, at);
	if (go < 0) {
		coord_attempt_end(c, at);
		return 0;
	}
	if (go > 0)
		return coord_work(c, at);
	at->before = true;
	coord_park(c, at);
	return 0;
}

void
coord_start_ready(struct coord *c)
{
	unsigned pure = 0;

	if (c->pool == NULL)
		c->pool = pool_new(c->o->jobs, work_and_post);
	while (c->ready.n > 0 && c->running < c->o->jobs && pure < c->o->jobs && coord_may_start(c)) {
		if (c->phase < PHASE_ROLLBACK && !step_of(c, c->ready.list[0].step)->finally && coord_is_late(c))
			return;
		const uint32_t i = heap_pop(&c->ready).step;
		struct err err = ERR_INIT;

		if (c->o->journal != NULL && journal_reserve(c->o->journal, c->running + pure + 1, &err) < 0) {
			heap_push(&c->ready, i, i);
			coord_pause(c, c->plan->steps[i].id, &err);
			return;
		}
		if (start(c, i) == 0)
			pure++;
	}
}

void
coord_pause(struct coord *c, const char *step, const struct err *err)
{
	if (c->pausing)
		return;
	c->pausing = true;
	c->reason = *err;
	c->reason_step = step;
}

/* How long to wait before the next attempt: doubled each time, with jitter. */
static int64_t
back_off(const struct retry *r, struct attempt *at)
{
	int64_t ns = r->backoff;

	for (uint32_t k = 1; k < at->number && ns < r->max_backoff; k++)
		ns *= 2;
	if (ns > r->max_backoff)
		ns = r->max_backoff;
	return ns / 2 + (int64_t)(step_random(&at->cx) % (uint64_t)(ns / 2 + 1)); /* half to whole */
}

/* Try again later, where the policy and the time left allow it. While the run pauses the timer is set and never comes:
 * the step stays pending for the resume. */
static bool
retry_later(struct coord *c, struct attempt *at)
{
	const struct retry *r = &c->plan->steps[at->step].policy->retry;
	struct event e = coord_event(c, EVENT_RETRY, at->step);
	int64_t ns;

	if (c->o->mode != MODE_RUN || at->spent || at->rejected || at->number >= r->attempts ||
	    at->err.kind == ERR_PLAN || at->err.kind == ERR_TIMEOUT)
		return false;
	ns = back_off(r, at);
	if (clock_now() + ns >= at->deadline)
		return false;
	heap_push(&c->timers, clock_now() + ns, at->step);
	c->live[at->step].status = STEP_PENDING;
	coord_record(c, &(struct record){ .type = REC_RETRY, .step = at->path, .attempt = at->number,
		.kind = err_kind_name(at->err.kind), .msg = at->err.msg }, false);
	e.attempt = at->number;
	e.msg = at->err.msg;
	e.ns = ns;
	report_event(c->o->report, &e);
	return true;
}

/* A step that could not be called in the dry-run may have done anything to the targets it names, but for those that it
 * only reads. */
static void
predicted(struct coord *c, struct attempt *at)
{
	const struct step *s = &c->plan->steps[at->step];
	const struct value unknown = value_unknown("an earlier step changes it");

	at->predicted = true;
	if (s->type->flags & (STEP_READ_ONLY | STEP_PURE))
		return;
	c->changes++;
	for (const struct field *f = s->type->inputs; f->name != NULL; f++) {
		const struct node *n = f->type == F_TARGET && !f->reads && s->with.kind == NODE_MAP ?
			node_get(&s->with, f->name) : NULL;

		for (size_t i = 0; n != NULL && n->kind == NODE_SCALAR && i < c->ntargets; i++)
			if (strcmp(c->targets[i].name, n->s) == 0)
				overlay_put(&c->overlay, &c->targets[i], "*", &unknown, NULL);
	}
}

/* What an attempt that returned an error means for the step and the run. */
static void
attempt_failed(struct coord *c, struct attempt *at)
{
	struct live *l = &c->live[at->step];
	struct err *err = &at->err;
	const bool full = err->kind == ERR_LOCAL && (err->sys == ENOSPC || err->sys == EDQUOT || err->sys == EROFS ||
		err->sys == EFBIG);

	if (err->where.line > 0)
		err_wrap(err, "%s:%u:%u", c->plan->file, err->where.line, err->where.col);
	if (at->spent && c->plan->steps[at->step].policy->retry.attempts > 1)
		err_wrap(err, "not tried again by retry, as doing it twice may do harm (a resume does it again)");
	switch (err->kind) {
	case ERR_PREDICTED:
		if (c->o->mode != MODE_PLAN)
			break;
		predicted(c, at);
		finish(c, at->step, STEP_DONE, at, err);
		return;
	case ERR_UNKNOWN:
	case ERR_IN_DOUBT:
		if (err->kind == ERR_UNKNOWN && err->retryable) { /* idempotent: doing it again is safe, now or on resume */
			if (!c->pausing)
				break;
			l->status = STEP_PENDING;
			return;
		}
		err->kind = ERR_IN_DOUBT;
		if (c->o->mode == MODE_PLAN)
			break;
		finish(c, at->step, STEP_IN_DOUBT, at, err);
		l->status = STEP_IN_DOUBT;
		coord_pause(c, at->path, err);
		return;
	case ERR_CANCELLED:
	case ERR_HELD:
	case ERR_LOCKED:
	case ERR_REFUSED:
	case ERR_UNREACHABLE:
		l->status = STEP_PENDING;
		coord_pause(c, at->path, err);
		return;
	default:
		break;
	}
	if (full || c->broken) {
		l->status = STEP_PENDING;
		coord_pause(c, at->path, err);
	} else if (!retry_later(c, at)) {
		fail(c, at->step, at, err);
	}
}

void
coord_attempt_end(struct coord *c, struct attempt *at)
{
	struct live *l = &c->live[at->step];

	leave(c, at);
	if (at->assumed != NULL) {
		struct event e = coord_event(c, EVENT_ASSUME, at->step);

		e.msg = at->assumed;
		coord_hold_event(c, at->step, &e);
	}
	if (c->o->mode == MODE_PLAN && at->any_effect && c->phase != PHASE_ROLLBACK)
		l->maybe = 1;
	if (at->rc == 0)
		finish(c, at->step, at->any_effect && at->all_unchanged ? STEP_UNCHANGED : STEP_DONE, at, NULL);
	else
		attempt_failed(c, at);
	FAULT("step.ended");
	coord_attempt_free(at);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* A step's end: retry, what an error means for the step and its scope, the one place where a step gets its final status,
 * and, after the sync, those who wait for it. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/fault.h"
#include "children.h"
#include "coord.h"

/* Its end is staged; coord_commit tells it after the sync, which may wait for others (run.c). */
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

void
coord_drop_task(struct live *l)
{
	if (l->task == NULL)
		return;
	memory_done(&l->task->memory);
	free(l->task);
	l->task = NULL;
}

static const char *
keep_outputs(struct coord *c, const struct value *v)
{
	struct buf text = BUF_INIT(0);
	const char *ret;

	if (v->kind != V_MAP || v->len == 0)
		return NULL;
	value_write(&text, v);
	ret = arena_strndup(&c->keep, text.p, text.len);
	buf_done(&text);
	return ret;
}

/* The step of a `finally` that takes this one back; NULL: a rollback does. */
static const char *
undoer_of(const struct coord *c, uint32_t step)
{
	const struct scope *s = scope_of(c, step);

	while (s != NULL && s->phase != PHASE_ROLLBACK)
		s = s->parent;
	if (s == NULL)
		return path_of(c, step);
	return s->undo != NO_LIVE ? path_of(c, s->undo) : NULL;
}

/* The end of an undo is on record under its own path, in one batch with what it means for the step taken back. */
static int
record_undo(struct coord *c, const struct attempt *at, enum step_status status, const struct err *err)
{
	const bool done = status == STEP_DONE || status == STEP_UNCHANGED;
	const struct record reopen = { .type = REC_REOPEN, .step = at->undoes, .kind = "taken-back", .says = undoer_of(c, at->step) };
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
		coord_undone(c, at->undone, at);
	return done ? coord_record(c, &reopen, true) : 0;
}

void
coord_finish(struct coord *c, uint32_t i, enum step_status status, const struct attempt *at, const struct value *outputs,
	     const struct err *err)
{
	struct live *l = &c->live[i];
	struct value own = at != NULL ? value_map(at->outputs.list, at->outputs.n) : VALUE_NULL;
	struct record r = { .type = REC_END, .step = path_of(c, i), .status = step_status_name(status) };

	l->status = status;
	if (at != NULL) {
		r.attempt = at->number;
		r.ns = (uint64_t)(clock_now() - at->started);
		r.digest = at->digest[0] != '\0' ? at->digest : NULL;
		l->unknown = l->unknown || at->predicted;
	} else if (l->open) {
		r.ns = (uint64_t)(clock_now() - scope_inside(c, i)->started);
	}
	if (status == STEP_DONE || status == STEP_UNCHANGED) {
		outputs = outputs != NULL ? outputs : &own;
		l->outputs = keep_outputs(c, outputs);
		r.value = l->outputs != NULL ? outputs : NULL;
	}
	if (err != NULL) {
		r.kind = err_kind_name(err->kind);
		r.msg = err->msg;
		r.next = err->next[0] != '\0' ? err->next : NULL;
	}
	if ((at != NULL && at->undoes != NULL && record_undo(c, at, status, err) < 0) ||
	    (scope_roll(scope_of(c, i)) == NULL && coord_record(c, &r, false) < 0)) { /* its end is not on record: it has not ended */
		l->status = STEP_PENDING;
		return;
	}
	if (status != STEP_IN_DOUBT)
		coord_drop_task(l);
	ended(c, i, &r);
}

void
coord_fail(struct coord *c, uint32_t i, const struct attempt *at, const struct err *err)
{
	struct err told = *err;

	if (scope_roll(scope_of(c, i)) != NULL)
		coord_pause(c, at->path, err);
	else
		scope_fail(c, scope_of(c, i), path_of(c, i), step_of(c, i)->policy->on_error, err);
	coord_finish(c, i, STEP_FAILED, at, NULL, &told);
}

/* A finally step waits for its phase, not for steps before it. */
static bool
same_phase(const struct coord *c, uint32_t a, uint32_t b)
{
	return step_of(c, a)->finally == step_of(c, b)->finally;
}

/* Block what needs the step that ended, and in turn what needs that, all in one batch: a chain costs one sync. The ends
 * staged meanwhile are the list of what is still to be looked at. */
static void
block_users(struct coord *c, uint32_t step)
{
	const struct scope *s = scope_of(c, step);
	size_t at = c->nended;

	for (;;) {
		const uint32_t *first = &s->graph->user_first[step - s->base];

		for (uint32_t k = first[0]; k < first[1]; k++) {
			const struct need *user = &s->graph->users[k];
			const uint32_t to = s->base + user->to;
			const struct live *l = &c->live[to];
			struct err err = ERR_INIT;

			if (user->weak || l->status != STEP_PENDING || l->task != NULL || !same_phase(c, to, step))
				continue;
			err_set(&err, ERR_FAILED, "needs '%s', which %s %s", step_of(c, step)->id,
				c->live[step].status == STEP_BLOCKED ? "is" : "has",
				step_status_name(c->live[step].status));
			live_activate(c, to);
			coord_finish(c, to, STEP_BLOCKED, NULL, NULL, &err);
		}
		if (at == c->nended)
			return;
		step = c->ended[at++].step;
	}
}

static void
tell_users(struct coord *c, uint32_t step)
{
	const enum step_status status = c->live[step].status;
	const bool satisfied = status == STEP_DONE || status == STEP_UNCHANGED || status == STEP_SKIPPED;
	const struct scope *s = scope_of(c, step);
	const uint32_t *first;

	c->live[step].over = true;
	if (s->graph == NULL || status == STEP_CANCELLED) /* of an item nobody waits; what was cut short is to go on */
		return;
	first = &s->graph->user_first[step - s->base];
	for (uint32_t k = first[0]; k < first[1]; k++) {
		const struct need *user = &s->graph->users[k];
		const uint32_t to = s->base + user->to;
		struct live *l = &c->live[to];

		if (l->status == STEP_PENDING && l->task == NULL && same_phase(c, to, step) && (satisfied || user->weak) &&
		    --l->blocked == 0)
			coord_ready(c, to);
	}
	if (!satisfied)
		block_users(c, step);
}

void
coord_tell(struct coord *c, const struct ended *end)
{
	const enum step_status status = c->live[end->step].status;
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
	if (status == STEP_IN_DOUBT)
		return;
	if (scope_roll(scope_of(c, end->step)) == NULL)
		tell_users(c, end->step);
	live_deactivate(c, end->step);
}

void
coord_ready(struct coord *c, uint32_t i)
{
	const struct scope *s = scope_of(c, i);

	if (!c->live[i].selected || c->live[i].status != STEP_PENDING ||
	    (i - s->base >= s->nmain) != (s->phase == PHASE_FINALLY))
		return;
	live_activate(c, i);
	heap_push(c->settling && !coord_unsettled(c, i) ? &c->held : &c->ready, live_key(c, i), i);
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
	const struct retry *r = &step_of(c, at->step)->policy->retry;
	struct event e = coord_event(c, EVENT_RETRY, at->step);
	int64_t ns;

	if (c->o->mode != MODE_RUN || at->spent || at->rejected || at->number >= r->attempts ||
	    at->err.kind == ERR_PLAN || at->err.kind == ERR_TIMEOUT)
		return false;
	ns = back_off(r, at);
	if (clock_now() + ns >= at->deadline)
		return false;
	coord_set_timer(c, at->step, clock_now() + ns);
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
	const struct scope *in = scope_of(c, at->step);
	const struct step *s = step_of(c, at->step);
	const struct value unknown = value_unknown("an earlier step changes it");

	at->predicted = true;
	if (s->type->flags & (STEP_READ_ONLY | STEP_PURE))
		return;
	c->changes++;
	if (s->type == &sub_step)
		children_unreadable(c, at->step);
	for (const struct field *f = s->type->inputs; f->name != NULL; f++) {
		const struct node *n = f->type == F_TARGET && !f->reads && s->with.kind == NODE_MAP ?
			node_get(&s->with, f->name) : NULL;

		for (size_t i = 0; n != NULL && n->kind == NODE_SCALAR && i < in->plan->ntargets; i++)
			if (strcmp(in->plan->targets[i].name, n->s) == 0)
				overlay_put(&c->overlay, in->home->targets[i], "*", &unknown, NULL);
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
		err_wrap(err, "%s:%u:%u", scope_of(c, at->step)->plan->file, err->where.line, err->where.col);
	if (at->spent && step_of(c, at->step)->policy->retry.attempts > 1)
		err_wrap(err, "not tried again by retry, as doing it twice may do harm (a resume does it again)");
	switch (err->kind) {
	case ERR_PREDICTED:
		if (c->o->mode != MODE_PLAN)
			break;
		predicted(c, at);
		coord_finish(c, at->step, STEP_DONE, at, NULL, err);
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
		coord_finish(c, at->step, STEP_IN_DOUBT, at, NULL, err);
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
	if (full || c->broken || at->unopened) {
		l->status = STEP_PENDING;
		coord_pause(c, at->path, err);
	} else if (!retry_later(c, at)) {
		coord_fail(c, at->step, at, err);
	}
}

void
coord_attempt_end(struct coord *c, struct attempt *at)
{
	struct live *l = &c->live[at->step];

	coord_leave(c, at);
	if (at->assumed != NULL) {
		struct event e = coord_event(c, EVENT_ASSUME, at->step);

		e.msg = at->assumed;
		coord_hold_event(c, at->step, &e);
	}
	if (c->o->mode == MODE_PLAN && at->any_effect && scope_roll(scope_of(c, at->step)) == NULL)
		l->maybe = 1;
	if (at->rc == 0)
		coord_finish(c, at->step, at->any_effect && at->all_unchanged ? STEP_UNCHANGED : STEP_DONE, at, NULL, NULL);
	else
		attempt_failed(c, at);
	FAULT("step.ended");
	coord_attempt_free(at);
}

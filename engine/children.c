/* SPDX-License-Identifier: Apache-2.0 */
/* Owns how a step opens a scope and how the scope's close ends the step. What began before is opened as the journal has it:
 * under way, to go on; closed, to be taken back or looked at. */
#include "children.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"

/* The target's name says which child it belongs to; it is one word, as refs begin with it, and no other child's: keys may
 * differ in a blank only. */
static const char *
target_name(struct coord *c, uint32_t owner, const char *name)
{
	struct buf full = BUF_INIT(0);
	const char *ret;

	for (const char *p = path_of(c, owner); *p != '\0'; p++)
		if (*p == ' ' || *p == '%')
			buf_printf(&full, "%%%02x", (unsigned)*p);
		else
			buf_putc(&full, *p);
	buf_printf(&full, "/%s", name);
	ret = arena_strdup(&c->keep, full.p);
	buf_done(&full);
	return ret;
}

static void
hand_targets(struct coord *c, struct scope *s, const struct plan_sub *sub)
{
	const struct scope *from = s->parent->home;

	scope_open_targets(c, s);
	for (size_t i = 0; i < s->plan->ntargets; i++)
		if (sub->targets[i] != 0)
			s->targets[i] = from->targets[sub->targets[i] - 1];
		else
			s->own[i].name = target_name(c, s->owner, s->own[i].name);
}

static int
hand_params(struct coord *c, uint32_t owner, const struct plan_sub *sub, struct value *ret, struct err *err)
{
	struct value given = value_map(NULL, 0), all;
	struct sight in;

	arena_reset(&c->eval);
	sight_init(&in, c, scope_of(c, owner), owner);
	if (sub->params.len > 0 &&
	    template_eval(c->host, &sub->params, in.bind.file, &in.env, &c->eval, &given, err) < 0)
		return -1;
	if (params_hand(sub->plan, &given, &c->eval, &all, err) < 0)
		return -1;
	*ret = value_copy(&c->keep, &all);
	return 0;
}

static struct scope *
open_plan(struct coord *c, uint32_t owner, struct err *err)
{
	struct scope *parent = scope_of(c, owner), *s;
	const struct plan_sub *sub = plan_sub_of(parent->plan, parent->items != NULL ? parent->body : owner - parent->base);
	struct value *params = arena_alloc(&c->keep, sizeof(*params));

	if (hand_params(c, owner, sub, params, err) < 0)
		return NULL;
	s = scope_add(c, sub->plan, parent, owner);
	s->params = params;
	hand_targets(c, s, sub);
	return s;
}

int
children_open(struct coord *c, uint32_t owner, struct err *err)
{
	const bool anew = c->live[owner].anew;
	struct scope *s = live_kind(c, owner) == LIVE_EACH ? items_open(c, owner, err) : open_plan(c, owner, err);

	if (s == NULL)
		return -1;
	for (uint32_t i = s->base; anew && i < s->base + s->n; i++)
		c->live[i].anew = true;
	if (c->o->history != NULL && !anew)
		coord_restore(c, s);
	scope_count(c, s);
	return 0;
}

const struct hist_step *
children_past(const struct coord *c, uint32_t owner)
{
	return c->o->history != NULL ? history_step(c->o->history, path_of(c, owner)) : NULL;
}

/* Open it as what it was: nothing of it goes on by itself. */
static int
open_closed(struct coord *c, uint32_t owner, struct err *err)
{
	if (children_open(c, owner, err) < 0)
		return err_wrap(err, "what '%s' has begun", path_of(c, owner));
	scope_inside(c, owner)->phase = PHASE_CLOSED;
	return 0;
}

static bool
has_past(struct coord *c, uint32_t owner)
{
	const struct hist_step *hs = c->live[owner].anew ? NULL : children_past(c, owner);

	return hs != NULL && history_inside(c->o->history, hs, hs) != NULL;
}

int
children_open_past(struct coord *c, const struct scope *s, struct err *err)
{
	for (uint32_t i = s->n > 0 ? s->base : NO_LIVE; i != NO_LIVE; i = live_next(c, s, i))
		if (live_kind(c, i) != LIVE_STEP && !c->live[i].open && has_past(c, i) && open_closed(c, i, err) < 0)
			return -1;
	return 0;
}

uint32_t
children_reach(struct coord *c, const struct scope *from, const char *path)
{
	struct err ignored = ERR_INIT;

	for (size_t len = strcspn(path, "/["); path[len] != '\0'; len += 1 + strcspn(path + len + 1, "/[")) {
		const uint32_t live = live_find(c, from, arena_strndup(&c->keep, path, len));

		if (live != NO_LIVE && !c->live[live].open && live_kind(c, live) != LIVE_STEP && has_past(c, live))
			(void)open_closed(c, live, &ignored);
	}
	return live_find(c, from, path);
}

/* The attempt has only brought it here. */
static void
end_attempt(struct coord *c, struct attempt *at)
{
	coord_leave(c, at);
	coord_drop_task(&c->live[at->step]);
	coord_attempt_free(at);
}

static void
tell_start(struct coord *c, const struct attempt *at)
{
	struct event e = coord_event(c, EVENT_START, at->step);

	c->live[at->step].status = STEP_RUNNING;
	e.attempt = at->number;
	coord_record(c, &(struct record){ .type = REC_START, .step = at->path, .attempt = at->number }, false);
	if (c->o->mode == MODE_RUN)
		report_event(c->o->report, &e);
}

/* `uses: undo` of a step that has opened a scope: all of it is taken back, as a run is. */
static int
take_back(struct coord *c, struct attempt *at)
{
	const uint32_t step = at->step, undoes = at->undone;
	struct scope *s;

	if (c->o->mode == MODE_PLAN)
		return err_set(&at->err, ERR_PREDICTED, "what step '%s' does is not known yet", path_of(c, undoes));
	if (!c->live[undoes].open && has_past(c, undoes) && open_closed(c, undoes, &at->err) < 0)
		return -1;
	s = scope_inside(c, undoes);
	tell_start(c, at);
	end_attempt(c, at);
	if (s == NULL) { /* it never began */
		coord_finish(c, step, STEP_DONE, NULL, NULL, NULL);
		return 0;
	}
	s->undo = step;
	scope_take_back(c, s);
	return 0;
}

int
children_begin(struct coord *c, struct attempt *at)
{
	const uint32_t step = at->step;
	const bool back = at->undoes != NULL; /* the attempt ends with it */

	if (back ? take_back(c, at) < 0 : !c->live[step].open && children_open(c, step, &at->err) < 0) {
		at->rc = -1;
		coord_attempt_end(c, at);
		return 0;
	}
	if (back)
		return 0;
	tell_start(c, at);
	end_attempt(c, at);
	scope_begin(c, scope_inside(c, step));
	return 0;
}

void
children_taken_back(struct coord *c, struct scope *s)
{
	const uint32_t step = s->undo;

	s->phase = PHASE_CLOSED;
	s->undo = NO_LIVE;
	c->live[s->owner].status = STEP_UNDONE;
	c->live[s->owner].maybe = 0;
	coord_record(c, &(struct record){ .type = REC_END, .step = undo_path(&c->keep, path_of(c, s->owner)), .status = "done" }, true);
	coord_record(c, &(struct record){ .type = REC_REOPEN, .step = path_of(c, s->owner), .kind = "taken-back",
		.says = path_of(c, step) }, true);
	coord_finish(c, step, STEP_DONE, NULL, NULL, NULL);
}

/* Why the step that opened the scope has failed. */
static void
failure(const struct coord *c, const struct scope *s, struct err *ret)
{
	uint32_t failed = 0;

	for (uint32_t i = s->base; i < s->base + s->n; i++)
		failed += c->live[i].status == STEP_FAILED;
	*ret = *s->reason;
	if (s->items != NULL)
		err_wrap(ret, "%u of %u items failed, first '%s'", failed, s->n - s->norphans, s->items[live_find(c, c->scopes[0], s->reason_step) - s->base].key);
	else
		err_wrap(ret, "step '%s'", s->reason_step);
}

static struct value
outputs_of(struct coord *c, const struct scope *s)
{
	struct value outputs = VALUE_NULL;
	struct buf lost = BUF_INIT(0);

	if (s->items != NULL)
		return items_outputs(c, s);
	if (s->plan->outputs.len > 0)
		roots_outputs(c, s, &outputs, &lost);
	if (lost.len > 0) {
		struct event e = coord_event(c, EVENT_NOTE, s->owner);

		e.msg = lost.p;
		coord_record(c, &(struct record){ .type = REC_NOTE, .step = path_of(c, s->owner), .msg = lost.p }, false);
		if (c->o->mode == MODE_PLAN)
			coord_hold_event(c, s->owner, &e);
		else
			report_event(c->o->report, &e);
	}
	buf_done(&lost);
	return outputs;
}

void
children_close(struct coord *c, struct scope *s)
{
	const uint32_t owner = s->owner;
	struct err err = ERR_INIT;
	struct value outputs;
	bool whole = true;

	c->live[owner].maybe = 0;
	for (uint32_t i = s->base; i < s->base + s->n; i++) {
		c->live[owner].maybe += c->live[i].maybe > 0;
		whole = whole && (live_is_over(&c->live[i]) || i >= s->base + s->nmain || !c->live[i].selected);
	}
	if (s->failed) {
		failure(c, s, &err);
		coord_fail(c, owner, NULL, &err);
	} else if (!whole) {
		err_set(&err, ERR_CANCELLED, "not finished, as the plan around it goes no further");
		coord_finish(c, owner, STEP_CANCELLED, NULL, NULL, &err);
	} else {
		outputs = outputs_of(c, s);
		coord_finish(c, owner, STEP_DONE, NULL, &outputs, NULL);
	}
	if (s->graph != NULL)
		scope_close_targets(s);
}

void
children_unreadable(struct coord *c, uint32_t owner)
{
	const struct scope *in = scope_of(c, owner)->home;
	const struct plan_sub *sub = plan_sub_of(in->plan, (uint32_t)(step_of(c, owner) - in->plan->steps));
	const struct value unknown = value_unknown("an earlier step changes it");

	for (size_t i = 0; i < sub->plan->ntargets; i++)
		if (sub->targets[i] != 0)
			overlay_put(&c->overlay, in->targets[sub->targets[i] - 1], "*", &unknown, NULL);
}

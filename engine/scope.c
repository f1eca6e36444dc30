/* SPDX-License-Identifier: Apache-2.0 */
/* Owns the life of scopes: their steps, the counters of what each step waits for and of what is active, and the way
 * from the steps to `finally` to the close. The counter alone tells when a phase is over: nothing walks all steps. */
#include "scope.h"

#include <stdlib.h>
#include <string.h>

#include "coord.h"

struct scope *
scope_of(const struct coord *c, uint32_t live)
{
	return c->scopes[c->live[live].scope];
}

bool
live_is_over(const struct live *l)
{
	return l->status != STEP_PENDING && l->status != STEP_RUNNING && l->status != STEP_IN_DOUBT;
}

int64_t
live_key(const struct coord *c, uint32_t live)
{
	(void)c;
	return live;
}

uint32_t
live_find(const struct coord *c, const char *path)
{
	const uint32_t i = plan_find(c->plan, path, strlen(path));

	return i != MAP_NONE ? i : NO_LIVE;
}

static void
add_lives(struct coord *c, const struct scope *s)
{
	if (s->base + s->n > c->live_cap) {
		c->live_cap = c->live_cap == 0 ? s->n : c->live_cap * 2 + s->n;
		c->live = xreallocarray(c->live, c->live_cap, sizeof(*c->live));
		if (c->o->mode == MODE_PLAN)
			c->events = xreallocarray(c->events, c->live_cap, sizeof(*c->events));
	}
	memset(&c->live[s->base], 0, s->n * sizeof(*c->live));
	if (c->o->mode == MODE_PLAN)
		memset(&c->events[s->base], 0, s->n * sizeof(*c->events));
	for (uint32_t i = s->base; i < s->base + s->n; i++) {
		c->live[i].selected = true;
		c->live[i].scope = s->index;
	}
	c->nlive += s->n;
}

struct scope *
scope_add(struct coord *c, const struct plan *plan, const struct value *params)
{
	struct scope *s = xcalloc(1, sizeof(*s));
	struct graph *graph = arena_alloc(&c->keep, sizeof(*graph));

	graph_init(graph, plan);
	*s = (struct scope){ .index = c->nscopes, .owner = NO_LIVE, .plan = plan, .graph = graph, .base = c->nlive,
		.n = plan->nsteps, .params = params };
	if (c->nscopes == c->scopes_cap) {
		c->scopes_cap = c->scopes_cap > 0 ? c->scopes_cap * 2 : 4;
		c->scopes = xreallocarray(c->scopes, c->scopes_cap, sizeof(struct scope *));
	}
	c->scopes[c->nscopes++] = s;
	add_lives(c, s);
	scope_open_targets(c, s);
	return s;
}

static void
scope_free(struct scope *s)
{
	coord_roll_done(s);
	scope_close_targets(s);
	graph_done((struct graph *)s->graph);
	free(s->reason);
	free(s);
}

void
scopes_done(struct coord *c)
{
	for (uint32_t i = 0; i < c->nlive; i++)
		if (c->live[i].task != NULL) {
			memory_done(&c->live[i].task->memory);
			free(c->live[i].task);
		}
	for (uint32_t i = 0; i < c->nscopes; i++)
		scope_free(c->scopes[i]);
	free(c->scopes);
	free(c->live);
	free(c->events);
}

static void
look_at(struct coord *c, struct scope *s)
{
	if (s->idle)
		return;
	s->idle = true;
	s->next_idle = c->idle;
	c->idle = s;
}

void
live_activate(struct coord *c, uint32_t i)
{
	scope_of(c, i)->active += !c->live[i].active;
	c->live[i].active = true;
}

void
live_deactivate(struct coord *c, uint32_t i)
{
	struct scope *s = scope_of(c, i);

	if (!c->live[i].active)
		return;
	c->live[i].active = false;
	if (--s->active == 0)
		look_at(c, s);
}

/* Finally steps wait for each other only: their phase begins when all others have ended. */
void
scope_count(struct coord *c, const struct scope *s)
{
	for (uint32_t i = 0; i < s->n; i++) {
		const struct step *step = &s->plan->steps[i];
		struct live *l = &c->live[s->base + i];

		l->over = live_is_over(l);
		for (uint32_t k = 0; k < step->need_count; k++) {
			const struct need *n = &s->plan->needs[step->need_first + k];

			if (!step->finally || s->plan->steps[n->to].finally)
				l->blocked += !live_is_over(&c->live[s->base + n->to]);
		}
	}
}

void
scope_begin(struct coord *c, struct scope *s)
{
	for (uint32_t i = s->base; i < s->base + s->plan->nmain; i++)
		if (c->live[i].blocked == 0)
			coord_ready(c, i);
	if (s->active == 0)
		look_at(c, s);
}

void
scope_fail(struct coord *c, struct scope *s, const char *step, enum on_error then, const struct err *err)
{
	if (s->reason == NULL) {
		s->reason = xcalloc(1, sizeof(*s->reason));
		*s->reason = *err;
		s->reason_step = step;
	}
	s->failed = true;
	s->stopping = s->stopping || then != ON_ERROR_CONTINUE;
	s->roll_back = s->roll_back || then == ON_ERROR_ROLLBACK;
	c->stopped = c->stopped || s->stopping;
}

bool
scope_may_start(const struct scope *s)
{
	for (; s != NULL; s = s->parent) {
		if (s->phase >= PHASE_ROLLBACK) /* it runs whatever has happened before, here and further up */
			return true;
		if (s->stopping)
			return false;
	}
	return true;
}

bool
scope_closes(const struct scope *s)
{
	while (s != NULL && s->phase < PHASE_ROLLBACK)
		s = s->parent;
	return s != NULL;
}

struct rollback *
scope_roll(const struct scope *s)
{
	while (s != NULL && s->phase != PHASE_ROLLBACK)
		s = s->parent;
	return s != NULL ? s->roll : NULL;
}

/* What a failure keeps from starting stays pending, and nobody waits for it. */
static void
drop_stopped(struct coord *c)
{
	size_t n = c->timers.n;

	c->timers.n = 0;
	for (size_t i = 0; i < n; i++) {
		const struct heap_item item = c->timers.list[i];

		if (coord_may_go(c, item.step))
			heap_push(&c->timers, item.key, item.step); /* never more than have been read */
		else if (c->live[item.step].status == STEP_PENDING)
			live_deactivate(c, item.step);
	}
	coord_drop_parked(c, false);
	c->stopped = false;
}

/* Steps were left out by a selection: nothing closes. */
static bool
has_unselected(const struct coord *c, const struct scope *s)
{
	for (uint32_t i = s->base; i < s->base + s->plan->nmain; i++)
		if (!c->live[i].selected && !live_is_over(&c->live[i]))
			return true;
	return false;
}

static void
begin_finally(struct coord *c, struct scope *s)
{
	s->phase = PHASE_FINALLY;
	s->stopping = false;
	for (uint32_t i = s->base + s->plan->nmain; i < s->base + s->n; i++)
		if (c->live[i].blocked == 0)
			coord_ready(c, i);
}

void
scope_take_back(struct coord *c, struct scope *s)
{
	struct err err = ERR_INIT;

	if (coord_roll_begin(c, s, &err) == 0)
		look_at(c, s);
	else
		coord_pause(c, NULL, &err);
}

/* Nothing of its main phase is left to do. */
static void
end_main(struct coord *c, struct scope *s)
{
	if (s->roll_back)
		scope_take_back(c, s);
	else if (has_unselected(c, s))
		c->resting = true;
	else
		begin_finally(c, s);
}

static void
advance(struct coord *c, struct scope *s)
{
	if (s->phase == PHASE_MAIN)
		end_main(c, s);
	if (s->phase == PHASE_ROLLBACK && !coord_roll_on(c, s)) {
		if (c->o->rollback_to == NULL || s->parent != NULL) {
			begin_finally(c, s);
		} else {
			coord_record(c, &(struct record){ .type = REC_ROLLBACK, .step = c->o->rollback_to, .status = "done" },
				     true);
			c->resting = true;
		}
	}
	if (s->phase == PHASE_FINALLY && s->active == 0)
		s->phase = PHASE_CLOSED;
}

void
scopes_advance(struct coord *c)
{
	if (c->stopped && !c->settling)
		drop_stopped(c);
	while (c->idle != NULL && !c->pausing && !c->broken) {
		struct scope *s = c->idle;

		c->idle = s->next_idle;
		s->idle = false;
		if (s->active == 0 && !c->resting)
			advance(c, s);
	}
}

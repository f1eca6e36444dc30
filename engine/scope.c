/* SPDX-License-Identifier: Apache-2.0 */
/* Owns the life of scopes: their steps, the counters of what each step waits for and of what is active, and the way
 * from the steps to `finally` to the close. The counter alone tells when a phase is over: nothing walks all steps. */
#include "scope.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "children.h"
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

static struct scope *
add(struct coord *c, const struct scope *as)
{
	struct scope *s = xcalloc(1, sizeof(*s));

	*s = *as;
	s->index = c->nscopes;
	s->base = c->nlive;
	s->undo = NO_LIVE;
	if (c->nscopes == c->scopes_cap) {
		c->scopes_cap = c->scopes_cap > 0 ? c->scopes_cap * 2 : 4;
		c->scopes = xreallocarray(c->scopes, c->scopes_cap, sizeof(struct scope *));
	}
	c->scopes[c->nscopes++] = s;
	add_lives(c, s);
	if (s->parent != NULL) {
		(void)map_add(&c->inside, (const char *)&s->owner, sizeof(s->owner), s->index);
		c->live[s->owner].open = true;
	}
	return s;
}

struct scope *
scope_add(struct coord *c, const struct plan *plan, struct scope *parent, uint32_t owner)
{
	struct scope *s = add(c, &(struct scope){ .parent = parent, .owner = owner, .plan = plan, .graph = graph_of(plan),
		.n = plan->nsteps, .nmain = plan->nmain });

	s->home = s;
	if (parent != NULL) {
		s->paths = arena_array(&c->keep, s->n, sizeof(*s->paths));
		for (uint32_t i = 0; i < s->n; i++)
			s->paths[i] = arena_printf(&c->keep, "%s/%s", path_of(c, owner), plan->steps[i].id);
	}
	if (plan->npools > 0)
		s->slots = xcalloc(plan->npools, sizeof(*s->slots));
	return s;
}

struct scope *
scope_add_items(struct coord *c, struct scope *parent, uint32_t owner, struct each *items, uint32_t n, uint32_t norphans)
{
	struct scope *s = add(c, &(struct scope){ .parent = parent, .home = parent, .owner = owner, .plan = parent->plan, .n = n,
		.nmain = n, .items = items, .body = owner - parent->base, .norphans = norphans });

	s->paths = arena_array(&c->keep, n, sizeof(*s->paths));
	for (uint32_t i = 0; i < n; i++) {
		s->paths[i] = arena_printf(&c->keep, "%s[%s]", path_of(c, owner), items[i].key);
		c->live[s->base + i].selected = i < n - norphans;
	}
	return s;
}

static void
scope_free(struct scope *s)
{
	coord_roll_done(s);
	scope_close_targets(s);
	for (uint32_t i = 0; s->slots != NULL && i < s->plan->npools; i++)
		heap_done(&s->slots[i].waiting);
	map_done(&s->keys);
	free(s->slots);
	free(s->own);
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
	map_done(&c->inside);
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

/* Which scope waits for the step: its own, or the one that is taken back with all that is inside. */
static struct scope *
waits_for(const struct coord *c, uint32_t i)
{
	for (struct scope *s = scope_of(c, i); s != NULL; s = s->parent)
		if (s->phase == PHASE_ROLLBACK)
			return s;
	return scope_of(c, i);
}

void
live_activate(struct coord *c, uint32_t i)
{
	waits_for(c, i)->active += !c->live[i].active;
	c->live[i].active = true;
}

void
live_deactivate(struct coord *c, uint32_t i)
{
	struct scope *s = waits_for(c, i);

	if (!c->live[i].active)
		return;
	c->live[i].active = false;
	if (c->live[i].slot)
		slot_leave(c, i);
	if (--s->active == 0)
		look_at(c, s);
}

/* Finally steps wait for each other only: their phase begins when all others have ended. */
void
scope_count(struct coord *c, const struct scope *s)
{
	const struct graph *g = s->items == NULL ? graph_of(s->plan) : NULL;
	struct live *const live = &c->live[s->base];

	for (uint32_t i = 0; i < s->n; i++) {
		live[i].over = live_is_over(&live[i]);
		if (g == NULL || live[i].over)
			continue;
		for (uint32_t k = g->user_first[i]; k < g->user_first[i + 1]; k++)
			live[g->users[k].to].blocked += i >= s->nmain || g->users[k].to < s->nmain;
	}
}

void
scope_begin(struct coord *c, struct scope *s)
{
	s->started = clock_now();
	for (uint32_t i = s->base; i < s->base + s->nmain; i++)
		if (c->live[i].blocked == 0)
			coord_ready(c, i);
	if (s->active == 0)
		look_at(c, s);
}

void
scope_stop(struct coord *c, struct scope *s)
{
	if (s->stopping)
		return;
	s->stopping = true;
	if (s->stopped)
		return;
	s->stopped = true;
	s->next_stopped = c->stopped;
	c->stopped = s;
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
	if (then != ON_ERROR_CONTINUE)
		scope_stop(c, s);
	s->roll_back = s->roll_back || (then == ON_ERROR_ROLLBACK && s->items == NULL); /* items go with the plan around them */
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

/* What waits for a time, for a person or for a place in a pool, and may not go on. */
static void
drop_inside(struct coord *c, struct scope *s)
{
	slots_wake(c, s->items != NULL ? s->parent : s);
	for (uint32_t i = s->n > 0 ? s->base : NO_LIVE; i != NO_LIVE; i = live_next(c, s, i)) {
		struct scope *inside = scope_inside(c, i);
		struct task *t = c->live[i].task;

		if (inside != NULL)
			slots_wake(c, inside);
		if (t == NULL || coord_may_go(c, i))
			continue;
		if (t->timer != 0 && c->live[i].status == STEP_PENDING)
			live_deactivate(c, i);
		t->timer = 0;
		if (t->attempt != NULL && t->attempt->parked)
			coord_drop_parked(c, t->attempt);
	}
}

/* What a failure keeps from starting stays pending, and nobody waits for it. A scope is looked through when it is stopped,
 * and not for each failure in it. */
static void
drop_stopped(struct coord *c)
{
	for (; c->stopped != NULL; c->stopped = c->stopped->next_stopped) {
		c->stopped->stopped = false;
		drop_inside(c, c->stopped);
	}
}

/* Steps were left out by a selection: nothing closes. */
static bool
has_unselected(const struct coord *c, const struct scope *s)
{
	for (uint32_t i = s->base; i < s->base + s->nmain && s->parent == NULL; i++)
		if (!c->live[i].selected && !live_is_over(&c->live[i]))
			return true;
	return false;
}

static void
begin_finally(struct coord *c, struct scope *s)
{
	s->phase = PHASE_FINALLY;
	s->stopping = false;
	for (uint32_t i = s->base + s->nmain; i < s->base + s->n; i++)
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
		if (s->undo != NO_LIVE) {
			children_taken_back(c, s);
			return;
		}
		if (c->o->rollback_to == NULL || s->parent != NULL) {
			begin_finally(c, s);
		} else {
			coord_record(c, &(struct record){ .type = REC_ROLLBACK, .step = c->o->rollback_to, .status = "done" },
				     true);
			c->resting = true;
		}
	}
	if (s->phase != PHASE_FINALLY || s->active > 0)
		return;
	s->phase = PHASE_CLOSED;
	if (s->parent != NULL)
		children_close(c, s);
}

void
scopes_advance(struct coord *c)
{
	if (c->stopped != NULL && !c->settling)
		drop_stopped(c);
	while (c->idle != NULL && !c->pausing && !c->broken) {
		struct scope *s = c->idle;

		c->idle = s->next_idle;
		s->idle = false;
		if (s->active == 0 && !c->resting)
			advance(c, s);
	}
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Taking steps back: which, in which order, and what their undo is told. All of it comes from the journal, never from
 * what this process remembers, so that a rollback that was cut short goes on like any run.
 * Steps are taken back in the reverse order of their effects. Two that were under way at the same time may be taken back
 * at the same time; where they worked on one object, the later one goes first. */
#include <stdlib.h>
#include <string.h>

#include "children.h"
#include "rollback.h"

#define OPEN_MAX 4 /* turns that are open at a time, for each worker: what is looked through at every end */

static bool
span_of(const struct hist_step *hs, bool torn, struct turn *ret)
{
	bool any = torn;

	ret->first = torn ? 0 : UINT64_MAX;
	ret->last = torn ? UINT64_MAX : 0;
	for (const struct hist_effect *e = hs != NULL ? hs->effects : NULL; e != NULL; e = e->next) {
		if (!history_stands(e) || e->state == EFFECT_UNCHANGED)
			continue;
		any = true;
		ret->first = e->begun < ret->first ? e->begun : ret->first;
		ret->last = e->seq > ret->last ? e->seq : ret->last;
	}
	return any;
}

static int
later_first(const void *a, const void *b)
{
	const struct turn *x = a, *y = b;

	return x->last != y->last ? (x->last < y->last ? 1 : -1) : (x->step < y->step) - (x->step > y->step);
}

static struct shared_object *
object_of(struct rollback *r, const char *ref)
{
	const uint32_t at = map_get(&r->index, ref, strlen(ref));

	if (at != MAP_NONE)
		return &r->objects[at];
	if (r->nobjects == r->cap) {
		r->cap = r->cap ? r->cap * 2 : 64;
		r->objects = xreallocarray(r->objects, r->cap, sizeof(*r->objects));
	}
	r->objects[r->nobjects] = (struct shared_object){ .turn = MAP_NONE };
	(void)map_add(&r->index, ref, strlen(ref), r->nobjects);
	return &r->objects[r->nobjects++];
}

/* Who shares an object with whom. */
static void
find_shared(struct coord *c, struct rollback *r)
{
	for (uint32_t t = 0; t < r->nturns; t++) {
		const struct hist_step *hs = history_step(r->past, path_of(c, r->turns[t].step));

		for (const struct hist_effect *e = hs != NULL ? hs->effects : NULL; e != NULL; e = e->next) {
			struct shared_object *o = e->ref[0] != '\0' && history_stands(e) ? object_of(r, e->ref) : NULL;

			if (o == NULL || o->turn == t)
				continue;
			if (o->turn != MAP_NONE) {
				o->shared = true;
				r->turns[t].after = o->turn + 1 > r->turns[t].after ? o->turn + 1 : r->turns[t].after;
			}
			o->turn = t;
		}
	}
}

/* What the undo of a later step left on an object that an earlier one worked on too. */
static void
note_left(struct rollback *r, const struct undo_effect *x, const struct memo *e, uint64_t seq)
{
	const uint32_t at = map_get(&r->index, x->ref, strlen(x->ref));
	struct undo_left left;

	if (at == MAP_NONE || !r->objects[at].shared || x->effect.on.target == NULL || !undo_left(&r->arena, x, e, &left))
		return;
	if (r->objects[at].left == NULL)
		r->objects[at].left = arena_alloc(&r->arena, sizeof(struct undo_left));
	r->objects[at].seq = seq;
	*r->objects[at].left = (struct undo_left){ value_copy(&r->arena, &left.now), value_copy(&r->arena, &left.meant) };
}

/* One that was taken back by an earlier process of this rollback. */
static void
note_past(struct coord *c, struct rollback *r, const struct hist_step *hs, const struct hist_step *undo)
{
	const uint32_t step = live_find(c, c->scopes[0], hs->path);

	if (step == NO_LIVE)
		return;
	for (const struct hist_effect *e = hs->effects; e != NULL; e = e->next) {
		struct err ignored = ERR_INIT;
		const struct hist_effect *u = undo->effects;
		const uint32_t at = e->undone && e->ref[0] != '\0' ? map_get(&r->index, e->ref, strlen(e->ref)) : MAP_NONE;
		struct undo_effect x;
		struct value left;

		if (at == MAP_NONE)
			continue;
		while (u != NULL && u->number != e->number)
			u = u->next;
		if (u == NULL || u->state != EFFECT_OK || roll_bind_effect(c, r, step, e, &x, &ignored) < 0 ||
		    undo_recall(&x, &r->arena, &ignored) < 0 ||
		    hist_value(u, IMAGE_AFTER, &r->arena, &left, &ignored) < 0)
			continue;
		r->objects[at].shared = true;
		note_left(r, &x, &(struct memo){ .verb = u->verb, .state = u->state, .value = left }, u->seq);
	}
}

static void
add_turn(struct turn **list, uint32_t *n, uint32_t *cap, struct turn t)
{
	if (*n == *cap) {
		*cap = 2 * *cap + 16;
		*list = xreallocarray(*list, *cap, sizeof(**list));
	}
	(*list)[(*n)++] = t;
}

/* A later step was taken back before an earlier one, so what stands on an object now is of the one that was taken back
 * last: of those, the one whose effects came first. */
static void
note_all_past(struct coord *c, const struct scope *in, struct rollback *r)
{
	const struct hist_step *of = in->parent != NULL ? history_step(r->past, path_of(c, in->owner)) : NULL, *hs = NULL;
	struct turn *done = NULL;
	uint32_t n = 0, cap = 0;

	while ((in->parent == NULL || of != NULL) && (hs = history_next(r->past, of, hs)) != NULL) {
		uint64_t last = 0;

		for (const struct hist_effect *e = hs->undo ? NULL : hs->effects; e != NULL; e = e->next)
			if (e->undone && e->seq > last)
				last = e->seq;
		if (last > 0)
			add_turn(&done, &n, &cap, (struct turn){ .step = (uint32_t)(hs - r->past->steps), .last = last });
	}
	if (n > 0)
		qsort(done, n, sizeof(*done), later_first);
	for (uint32_t i = 0; i < n; i++) {
		const struct hist_step *undo;

		hs = &r->past->steps[done[i].step];
		undo = history_step(r->past, undo_path(&r->arena, hs->path));
		if (undo != NULL)
			note_past(c, r, hs, undo);
	}
	free(done);
}

/* Which steps: those with effects that stand, of the whole run or since a step began. */
static int
choose(struct coord *c, const struct scope *in, struct rollback *r, struct err *err)
{
	const char *to = in->parent == NULL ? c->o->rollback_to : NULL;
	uint32_t cap = 0;

	for (uint32_t i = in->n > 0 ? in->base : NO_LIVE; i != NO_LIVE; i = live_next(c, in, i)) {
		const struct scope *of = scope_of(c, i);
		const char *path = path_of(c, i);
		const struct hist_step *hs = history_step(r->past, path);
		struct turn t = { .step = i };

		if (i >= of->base + of->nmain || live_kind(c, i) != LIVE_STEP)
			continue;
		if (!span_of(hs, roll_is_torn(c, i, hs), &t) || (to != NULL && strcmp(path, to) != 0 && t.last < c->o->rollback_since))
			continue;
		if (step_of(c, i)->irreversible != NULL) {
			err_set(err, ERR_IN_DOUBT, "there is no way back over step '%s', which has run: %s", path, step_of(c, i)->irreversible);
			return err_next(err, "wherry abort %s", c->shared.run);
		}
		add_turn(&r->turns, &r->nturns, &cap, t);
	}
	if (r->nturns > 0)
		qsort(r->turns, r->nturns, sizeof(*r->turns), later_first);
	return 0;
}

int
coord_roll_begin(struct coord *c, struct scope *s, struct err *err)
{
	struct rollback *r = xcalloc(1, sizeof(*r));

	coord_roll_done(s); /* a failure of its own may have taken it back before */
	s->roll = r;
	r->past = c->o->history != NULL && c->o->rollback ? c->o->history : roll_past(c, err);
	if (r->past == NULL || children_open_past(c, s, err) < 0 || choose(c, s, r, err) < 0)
		return -1;
	find_shared(c, r);
	note_all_past(c, s, r);
	s->phase = PHASE_ROLLBACK;
	return 0;
}

/* Is it its turn, with these still open? */
static bool
may_open(const struct coord *c, const struct rollback *r)
{
	const struct turn *t = &r->turns[r->next];

	if (t->after > r->over || r->next - r->over >= (c->o->mode == MODE_PLAN ? 1 : c->o->jobs * OPEN_MAX))
		return false;
	for (uint32_t i = r->over; i < r->next; i++)
		if (!r->turns[i].over && t->last < r->turns[i].first)
			return false;
	return true;
}

bool
coord_roll_on(struct coord *c, struct scope *s)
{
	struct rollback *r = s->roll;

	for (; r->next < r->nturns && may_open(c, r); r->next++) {
		const uint32_t step = r->turns[r->next].step;

		c->live[step].status = STEP_PENDING;
		c->live[step].attempts = 0;
		live_activate(c, step);
		heap_push(&c->ready, r->next, step);
	}
	return r->over < r->nturns;
}

/* The list begins with the highest number. */
static int
by_number(const void *number, const void *effect)
{
	const uint32_t a = *(const uint32_t *)number, b = ((const struct undo_effect *)effect)->number;

	return (a < b) - (a > b);
}

void
coord_undone(struct coord *c, uint32_t step, const struct attempt *at)
{
	const struct undo_args *args = at->args;
	struct rollback *r = scope_roll(scope_of(c, step));

	c->live[step].status = STEP_UNDONE;
	c->live[step].maybe = 0;
	if (r == NULL)
		return;
	for (const struct memo *e = args->call == NULL && args->n > 0 ? at->memory->first : NULL; e != NULL; e = e->next) {
		const struct undo_effect *x = bsearch(&e->number, args->list, args->n, sizeof(*x), by_number);

		if (x != NULL)
			note_left(r, x, e, UINT64_MAX);
	}
	for (uint32_t i = r->over; i < r->next; i++)
		r->turns[i].over = r->turns[i].over || r->turns[i].step == step;
	while (r->over < r->next && r->turns[r->over].over)
		r->over++;
}

void
coord_roll_done(struct scope *s)
{
	struct rollback *r = s->roll;

	if (r == NULL)
		return;
	map_done(&r->index);
	arena_done(&r->arena);
	free(r->turns);
	free(r->objects);
	free(r);
}

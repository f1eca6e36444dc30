/* SPDX-License-Identifier: Apache-2.0 */
/* Taking steps back: which, in which order, and what their undo is told. All of it comes from the journal, never from
 * what this process remembers, so that a rollback that was cut short goes on like any run.
 * Steps are taken back in the reverse order of their effects. Two that were under way at the same time may be taken back
 * at the same time; where they worked on one object, the later one goes first. */
#include <stdlib.h>
#include <string.h>

#include "coord.h"
#include "door.h"
#include "undo.h"

#define OPEN_MAX 4 /* turns that are open at a time, for each worker: what is looked through at every end */

/* A step to be taken back. */
struct turn {
	uint32_t step;
	uint64_t first, last; /* when its effects began, by the journal */
	uint32_t after;       /* the turns before this one come first: an object is shared with the last of them */
	bool over;
};

/* An object that several steps worked on. */
struct shared_object {
	uint32_t turn;        /* the last one so far */
	bool shared;
	struct undo_left *left;
	uint64_t seq;         /* of that undo; what was begun later is not what it left */
};

struct rollback {
	struct arena arena;
	struct history own;   /* what `past` is, where the run has none from before */
	const struct history *past;
	struct turn *turns;
	uint32_t nturns, next, over; /* the next to be opened; all before `over` are over */
	struct map index;
	struct shared_object *objects;
	uint32_t nobjects, cap;
};

/* What the journal says by now. */
static int
read_past(const struct coord *c, struct history *ret, struct err *err)
{
	history_init(ret);
	return c->o->journal != NULL ? journal_again(c->o->journal, history_apply, ret, err) : 0;
}

/* May it have begun something in a lost batch? What only looks has not. */
static bool
is_torn(const struct coord *c, uint32_t step, const struct hist_step *hs)
{
	return (c->live[step].torn || (hs != NULL && hs->torn)) && !(step_of(c, step)->type->flags & (STEP_PURE | STEP_READ_ONLY));
}

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
			struct shared_object *o = e->ref != NULL && history_stands(e) ? object_of(r, e->ref) : NULL;

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

static const char *
keep(struct arena *a, const char *s)
{
	return s != NULL ? arena_strdup(a, s) : NULL;
}

static struct value
keep_value(struct arena *a, const char *text)
{
	struct value v = VALUE_NULL;
	struct err ignored = ERR_INIT;

	if (text != NULL && value_parse(a, keep(a, text), strlen(text), &v, &ignored) < 0)
		return VALUE_NULL;
	return v;
}

/* The object's target, by the name that a ref begins with; NULL where the plan has none. */
static int
bind_ref(struct coord *c, struct arena *a, const char *ref, struct ref *ret, struct err *err)
{
	const char *space = strchr(ref, ' ');
	const char *name = arena_strndup(a, ref, space != NULL ? (size_t)(space - ref) : strlen(ref));

	*ret = (struct ref){ .path = space != NULL ? arena_strdup(a, space + 1) : "" };
	for (size_t i = 0; i < c->plan->ntargets; i++)
		if (strcmp(c->plan->targets[i].name, name) == 0) {
			ret->target = c->bind.target(c->bind.data, name, err);
			return ret->target != NULL ? 0 : -1;
		}
	for (size_t i = 0; i < c->nlocals; i++)
		if (strcmp(c->locals[i].name, name) == 0)
			ret->target = &c->locals[i];
	return 0;
}

static int
bind_effect(struct coord *c, struct arena *a, const struct hist_effect *e, struct undo_effect *ret, struct err *err)
{
	const uint32_t at = c->roll != NULL && e->ref != NULL ? map_get(&c->roll->index, e->ref, strlen(e->ref)) : MAP_NONE;

	*ret = (struct undo_effect){
		.number = e->number,
		.ref = keep(a, e->ref != NULL ? e->ref : ""),
		.nonce = keep(a, e->nonce != NULL ? e->nonce : ""),
		.state = e->state,
		.stream = e->class != NULL && strcmp(e->class, "cursor") == 0,
		.blind = e->before == NULL,
		.before = keep_value(a, e->before),
		.after = keep_value(a, e->value),
		.left = at != MAP_NONE && c->roll->objects[at].seq > e->begun ? c->roll->objects[at].left : NULL,
	};
	ret->effect = (struct effect){
		.verb = keep(a, e->verb != NULL ? e->verb : ""),
		.says = keep(a, e->says != NULL ? e->says : e->ref),
		.class = effect_class_parse(e->class),
		.body = keep_value(a, e->body),
	};
	return bind_ref(c, a, ret->ref, &ret->effect.on, err);
}

/* The first stream of the same scope: one that has no inverse of its own is taken back with it. */
static void
join_streams(const struct history *past, const char *step, struct arena *a, struct undo_effect *x, const char *body)
{
	uint64_t first = UINT64_MAX;

	for (uint32_t i = 0; i < past->nsteps; i++)
		for (const struct hist_effect *e = past->steps[i].effects; e != NULL; e = e->next)
			if (e->class != NULL && strcmp(e->class, "cursor") == 0 && !e->undone && e->seq < first &&
			    e->ref != NULL && strcmp(e->ref, x->ref) == 0 &&
			    (e->body == NULL ? body == NULL : body != NULL && strcmp(e->body, body) == 0)) {
				first = e->seq;
				x->with = strcmp(past->steps[i].path, step) != 0 ? keep(a, past->steps[i].path) : NULL;
			}
}

/* What stands of the step's effects, last begun first. */
static int
bind_effects(struct coord *c, const struct history *past, const struct hist_step *hs, struct arena *a,
	     struct undo_args *ret, struct err *err)
{
	struct undo_effect *list;
	size_t n = 0, at;

	for (const struct hist_effect *e = hs->effects; e != NULL; e = e->next)
		n += history_stands(e) && e->state != EFFECT_UNCHANGED;
	ret->list = list = arena_array(a, n, sizeof(*list));
	ret->n = at = n;
	for (const struct hist_effect *e = hs->effects; e != NULL; e = e->next) {
		if (!history_stands(e) || e->state == EFFECT_UNCHANGED)
			continue;
		if (bind_effect(c, a, e, &list[--at], err) < 0)
			return -1;
		if (list[at].stream)
			join_streams(past, hs->path, a, &list[at], e->body);
	}
	return 0;
}

/* One that cannot be called is the operator's to do. */
static void
bind_call(struct coord *c, const struct plan_undo *undo, struct arena *a, struct undo_args *ret)
{
	struct call *call = arena_alloc(a, sizeof(*call));
	void *args = arena_alloc(a, undo->type->args_size > 0 ? undo->type->args_size : 1);
	struct err err = ERR_INIT;

	arena_reset(&c->eval);
	if (schema_bind(undo->type->inputs, &undo->with, &c->bind, a, args, NULL, &err) < 0 ||
	    (undo->type->check != NULL && undo->type->check(args, &err) < 0)) {
		ret->why_not = arena_printf(a, "its undo cannot be run: %s", err.msg);
		return;
	}
	*call = (struct call){ undo->type, args };
	ret->call = call;
}

static int
bind_from(struct coord *c, struct attempt *at, uint32_t step, const struct history *past, struct err *err)
{
	const struct step *s = step_of(c, step);
	const struct plan_undo *undo = plan_undo_of(c->plan, step);
	const struct hist_step *hs = history_step(past, s->id);
	struct undo_args *args = arena_alloc(&at->arena, sizeof(*args));

	at->args = args;
	if (is_torn(c, step, hs)) {
		err_set(err, ERR_IN_DOUBT, "step '%s' may have begun something in the batch that was lost; where it has, take it back "
			"by hand, then say --not-done", s->id);
		return err_next(err, "wherry resolve %s %s --not-done --reason TEXT", c->shared.run, s->id);
	}
	if (hs == NULL)
		return 0;
	if (bind_effects(c, past, hs, &at->arena, args, err) < 0)
		return -1;
	if (args->n > 0 && undo != NULL)
		bind_call(c, undo, &at->arena, args);
	return 0;
}

/* In a dry-run: what the step would have done. */
static int
bind_foreseen(struct coord *c, struct attempt *at, uint32_t step, struct err *err)
{
	const struct step *s = step_of(c, step);
	const struct plan_undo *undo = plan_undo_of(c->plan, step);
	struct undo_args *args = arena_alloc(&at->arena, sizeof(*args));

	at->args = args;
	if (c->live[step].unknown && c->live[step].maybe == 0)
		return err_set(err, ERR_PREDICTED, "what step '%s' does is not known yet", s->id);
	args->list = coord_foreseen(c, step, &at->arena, &args->n);
	if (args->n > 0 && undo != NULL)
		bind_call(c, undo, &at->arena, args);
	return 0;
}

uint32_t
coord_undoes(const struct coord *c, uint32_t step)
{
	return c->phase == PHASE_ROLLBACK ? step : c->plan->steps[step].undoes;
}

int
coord_undo_memory(struct coord *c, const char *path, struct memory *ret, struct err *err)
{
	struct history own;
	int rc;

	if (c->roll != NULL && c->phase == PHASE_ROLLBACK) {
		memory_init(ret, history_step(c->roll->past, path), false);
		return 0;
	}
	rc = read_past(c, &own, err);
	memory_init(ret, rc == 0 ? history_step(&own, path) : NULL, false);
	history_done(&own);
	return rc;
}

int
coord_undo_bind(struct coord *c, struct attempt *at, uint32_t step, struct err *err)
{
	struct history own;
	int rc;

	if (c->phase == PHASE_ROLLBACK)
		return bind_from(c, at, step, c->roll->past, err);
	if (c->o->mode == MODE_PLAN && c->roll == NULL)
		return bind_foreseen(c, at, step, err);
	rc = read_past(c, &own, err);
	if (rc == 0)
		rc = bind_from(c, at, step, &own, err);
	history_done(&own);
	return rc;
}

/* What the undo of a later step left on an object that an earlier one worked on too. */
static void
note_left(struct coord *c, const struct undo_effect *x, const struct memo *e, uint64_t seq)
{
	struct rollback *r = c->roll;
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
note_past(struct coord *c, const struct hist_step *hs, const struct hist_step *undo)
{
	struct rollback *r = c->roll;

	for (const struct hist_effect *e = hs->effects; e != NULL; e = e->next) {
		struct err ignored = ERR_INIT;
		const struct hist_effect *u = undo->effects;
		const uint32_t at = e->undone && e->ref != NULL ? map_get(&r->index, e->ref, strlen(e->ref)) : MAP_NONE;
		struct undo_effect x;

		if (at == MAP_NONE)
			continue;
		while (u != NULL && u->number != e->number)
			u = u->next;
		if (u == NULL || u->state != EFFECT_OK || bind_effect(c, &r->arena, e, &x, &ignored) < 0)
			continue;
		r->objects[at].shared = true;
		note_left(c, &x, &(struct memo){ .verb = u->verb, .state = u->state, .value = keep_value(&r->arena, u->value) },
			  u->seq);
	}
}

/* A later step was taken back before an earlier one, so what stands on an object now is of the one that was taken back
 * last: of those, the one whose effects came first. */
static void
note_all_past(struct coord *c)
{
	const struct history *past = c->roll->past;
	struct turn *done = xcalloc(past->nsteps + 1, sizeof(*done));
	uint32_t n = 0;

	for (uint32_t i = 0; i < past->nsteps; i++) {
		const bool undo = is_undo_path(past->steps[i].path);

		done[n] = (struct turn){ .step = i };
		for (const struct hist_effect *e = undo ? NULL : past->steps[i].effects; e != NULL; e = e->next)
			if (e->undone && e->seq > done[n].last)
				done[n].last = e->seq;
		n += done[n].last > 0;
	}
	qsort(done, n, sizeof(*done), later_first);
	for (uint32_t i = 0; i < n; i++) {
		const struct hist_step *hs = &past->steps[done[i].step];
		const struct hist_step *undo = history_step(past, undo_path(&c->roll->arena, hs->path));

		if (undo != NULL)
			note_past(c, hs, undo);
	}
	free(done);
}

/* Which steps: those with effects that stand, of the whole run or since a step began. */
static int
choose(struct coord *c, struct err *err)
{
	struct rollback *r = c->roll;
	const char *to = c->o->rollback_to;

	r->turns = xcalloc(c->plan->nmain + 1, sizeof(*r->turns));
	for (uint32_t i = 0; i < c->plan->nmain; i++) {
		const struct step *s = step_of(c, i);
		const struct hist_step *hs = history_step(r->past, s->id);
		struct turn *t = &r->turns[r->nturns];

		if (!span_of(hs, is_torn(c, i, hs), t) ||
		    (to != NULL && strcmp(s->id, to) != 0 && t->last < c->o->rollback_since))
			continue;
		if (s->irreversible != NULL) {
			err_set(err, ERR_IN_DOUBT, "there is no way back over step '%s', which has run: %s", s->id, s->irreversible);
			return err_next(err, "wherry abort %s", c->shared.run);
		}
		t->step = i;
		r->nturns++;
	}
	if (r->nturns > 0)
		qsort(r->turns, r->nturns, sizeof(*r->turns), later_first);
	return 0;
}

int
coord_roll_begin(struct coord *c, struct err *err)
{
	struct rollback *r = c->roll = xcalloc(1, sizeof(*r));

	r->past = &r->own;
	if (c->o->history != NULL && c->o->rollback)
		r->past = c->o->history;
	else if (read_past(c, &r->own, err) < 0)
		return -1;
	if (choose(c, err) < 0)
		return -1;
	find_shared(c, r);
	note_all_past(c);
	c->phase = PHASE_ROLLBACK;
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
coord_roll_on(struct coord *c)
{
	struct rollback *r = c->roll;

	for (; r->next < r->nturns && may_open(c, r); r->next++) {
		struct live *l = &c->live[r->turns[r->next].step];

		l->status = STEP_PENDING;
		l->attempts = 0;
		heap_push(&c->ready, r->next, r->turns[r->next].step);
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
	struct rollback *r = c->phase == PHASE_ROLLBACK ? c->roll : NULL;

	c->live[step].status = STEP_UNDONE;
	c->live[step].maybe = 0;
	if (r == NULL)
		return;
	for (const struct memo *e = args->call == NULL && args->n > 0 ? at->memory->first : NULL; e != NULL; e = e->next) {
		const struct undo_effect *x = bsearch(&e->number, args->list, args->n, sizeof(*x), by_number);

		if (x != NULL)
			note_left(c, x, e, UINT64_MAX);
	}
	for (uint32_t i = r->over; i < r->next; i++)
		r->turns[i].over = r->turns[i].over || r->turns[i].step == step;
	while (r->over < r->next && r->turns[r->over].over)
		r->over++;
}

void
coord_roll_done(struct coord *c)
{
	struct rollback *r = c->roll;

	if (r == NULL)
		return;
	history_done(&r->own);
	map_done(&r->index);
	arena_done(&r->arena);
	free(r->turns);
	free(r->objects);
	free(r);
}

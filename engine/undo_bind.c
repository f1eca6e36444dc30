/* SPDX-License-Identifier: Apache-2.0 */
/* What the undo of a step is told: its effects as the journal has them (in a dry-run, as they would be), with targets and
 * values bound as the step itself sees them. */
#include <stdlib.h>
#include <string.h>

#include "children.h"
#include "door.h"
#include "rollback.h"

const struct history *
roll_past(struct coord *c, struct err *err)
{
	if (c->o->journal != NULL && journal_again(c->o->journal, history_apply, &c->past, err) < 0)
		return NULL;
	return &c->past;
}

bool
roll_is_torn(const struct coord *c, uint32_t step, const struct hist_step *hs)
{
	return (c->live[step].torn || (hs != NULL && hs->torn)) && !(step_of(c, step)->type->flags & (STEP_PURE | STEP_READ_ONLY));
}

static const char *
keep(struct arena *a, const char *s)
{
	return s != NULL ? arena_strdup(a, s) : NULL;
}

static bool
is_named(const struct target *t, const char *ref, size_t len)
{
	return strncmp(t->name, ref, len) == 0 && t->name[len] == '\0';
}

/* The object's target, by the name that a ref begins with; NULL where the plan has none. */
static int
bind_ref(struct coord *c, uint32_t step, const char *ref, struct ref *ret, struct err *err)
{
	const struct scope *s = scope_of(c, step)->home;
	const char *space = strchr(ref, ' ');
	const size_t len = space != NULL ? (size_t)(space - ref) : strlen(ref);

	*ret = (struct ref){ .path = space != NULL ? space + 1 : "" };
	for (size_t i = 0; i < s->plan->ntargets; i++)
		if (is_named(s->targets[i], ref, len)) {
			struct sight in;

			sight_init(&in, c, s, NO_LIVE);
			ret->target = in.bind.target(in.bind.data, s->plan->targets[i].name, err);
			return ret->target != NULL ? 0 : -1;
		}
	for (size_t i = 0; i < c->nlocals; i++)
		if (is_named(&c->locals[i], ref, len))
			ret->target = &c->locals[i];
	return 0;
}

int
roll_bind_effect(struct coord *c, const struct rollback *roll, uint32_t step, const struct hist_effect *e,
		 struct undo_effect *ret, struct err *err)
{
	const uint32_t at = roll != NULL && e->ref[0] != '\0' ? map_get(&roll->index, e->ref, strlen(e->ref)) : MAP_NONE;

	*ret = (struct undo_effect){
		.number = e->number,
		.ref = e->ref,
		.nonce = e->nonce != NULL ? e->nonce : "",
		.state = e->state,
		.stream = e->class != NULL && strcmp(e->class, "cursor") == 0,
		.blind = !hist_has(e, IMAGE_BEFORE),
		.alone = e,
		.left = at != MAP_NONE && roll->objects[at].seq > e->begun ? roll->objects[at].left : NULL,
	};
	ret->effect = (struct effect){
		.verb = e->verb,
		.says = e->says != NULL ? e->says : e->ref,
		.class = effect_class_parse(e->class),
	};
	return bind_ref(c, step, ret->ref, &ret->effect.on, err);
}

int
undo_recall(struct undo_effect *x, struct arena *a, struct err *err)
{
	struct value images[IMAGES];

	if (x->alone == NULL)
		return 0;
	if (hist_values(x->alone, a, images, err) < 0)
		return err_wrap(err, "'%s %s'", x->effect.verb, x->ref);
	x->before = images[IMAGE_BEFORE];
	x->after = images[IMAGE_AFTER];
	x->effect.body = images[IMAGE_BODY];
	return 0;
}

static bool
same_body(const struct hist_effect *x, const struct hist_effect *y, struct arena *a)
{
	const char *one, *other;
	struct err ignored = ERR_INIT;

	if (hist_text(x, IMAGE_BODY, a, &one, &ignored) < 0 || hist_text(y, IMAGE_BODY, a, &other, &ignored) < 0)
		return false;
	return one == NULL || other == NULL ? one == other : strcmp(one, other) == 0;
}

/* The first stream of the same scope: one that has no inverse of its own is taken back with it. */
static void
join_streams(const struct history *past, const char *step, struct arena *a, struct undo_effect *x, const struct hist_effect *of)
{
	uint64_t first = UINT64_MAX;

	for (uint32_t i = 0; i < past->nsteps; i++)
		for (const struct hist_effect *e = past->steps[i].effects; e != NULL; e = e->next)
			if (e->class != NULL && strcmp(e->class, "cursor") == 0 && !e->undone && e->seq < first &&
			    strcmp(e->ref, x->ref) == 0 &&
			    same_body(e, of, a)) {
				first = e->seq;
				x->with = strcmp(past->steps[i].path, step) != 0 ? keep(a, past->steps[i].path) : NULL;
			}
}

/* What is said of an object by one effect counts for the next one, so the images of those that share theirs, here or with another
 * step of the rollback, are read and stay. Those that follow their own target's state, as streams do, are few, too. */
static int
read_shared(const struct rollback *roll, struct undo_effect *list, size_t n, struct arena *a, struct err *err)
{
	struct map objects = MAP_INIT;
	bool *many = arena_array(a, n, sizeof(*many));
	int rc = 0;

	map_reserve(&objects, (uint32_t)n);
	for (size_t i = 0; i < n; i++) {
		const uint32_t first = map_add(&objects, list[i].ref, strlen(list[i].ref), (uint32_t)i);

		if (first != MAP_NONE)
			many[i] = many[first] = true;
	}
	map_done(&objects);
	for (size_t i = 0; i < n && rc == 0; i++) {
		const uint32_t at = roll != NULL ? map_get(&roll->index, list[i].ref, strlen(list[i].ref)) : MAP_NONE;

		if (many[i] || list[i].stream || list[i].left != NULL || (at != MAP_NONE && roll->objects[at].shared)) {
			rc = undo_recall(&list[i], a, err);
			list[i].alone = NULL;
		}
	}
	return rc;
}

/* What stands of the step's effects, last begun first. */
static int
bind_effects(struct coord *c, uint32_t step, const struct history *past, const struct hist_step *hs, struct arena *a,
	     struct undo_args *ret, struct err *err)
{
	const struct rollback *roll = scope_roll(scope_of(c, step));
	struct undo_effect *list;
	size_t n = 0, at;

	for (const struct hist_effect *e = hs->effects; e != NULL; e = e->next)
		n += history_stands(e) && e->state != EFFECT_UNCHANGED;
	ret->list = list = arena_array(a, n, sizeof(*list));
	ret->n = at = n;
	for (const struct hist_effect *e = hs->effects; e != NULL; e = e->next) {
		if (!history_stands(e) || e->state == EFFECT_UNCHANGED)
			continue;
		if (roll_bind_effect(c, roll, step, e, &list[--at], err) < 0)
			return -1;
		if (list[at].stream)
			join_streams(past, hs->path, a, &list[at], e);
	}
	return read_shared(roll, list, n, a, err);
}

static const struct plan_undo *
undo_of(const struct coord *c, uint32_t step)
{
	const struct scope *s = scope_of(c, step);

	return plan_undo_of(s->plan, s->items != NULL ? s->body : step - s->base);
}

/* One that cannot be called is the operator's to do: that of an item, too, which the list does not tell any more. */
static void
bind_call(struct coord *c, uint32_t step, const struct plan_undo *undo, struct arena *a, struct undo_args *ret)
{
	struct sight in;
	struct call *call = arena_alloc(a, sizeof(*call));
	void *args = arena_alloc(a, undo->type->args_size > 0 ? undo->type->args_size : 1);
	struct value inputs;
	struct err err = ERR_INIT;

	arena_reset(&c->eval);
	sight_init(&in, c, scope_of(c, step), step);
	if (schema_bind(undo->type->inputs, &undo->with, &in.bind, a, args, &inputs, &err) < 0 ||
	    (undo->type->check != NULL && undo->type->check(args, &err) < 0)) {
		ret->why_not = arena_printf(a, "its undo cannot be run: %s", err.msg);
		return;
	}
	if ((inputs.flags & VF_UNKNOWN) != 0 && (c->o->mode == MODE_RUN || c->o->rollback)) {
		ret->why_not = "its undo cannot be run: it needs an item that is not in the list any more";
		return;
	}
	*call = (struct call){ undo->type, args };
	ret->call = call;
}

static int
bind_from(struct coord *c, struct attempt *at, uint32_t step, const struct history *past, struct err *err)
{
	const char *path = path_of(c, step);
	const struct plan_undo *undo = undo_of(c, step);
	const struct hist_step *hs = history_step(past, path);
	struct undo_args *args = arena_alloc(&at->arena, sizeof(*args));

	at->args = args;
	if (roll_is_torn(c, step, hs)) {
		err_set(err, ERR_IN_DOUBT, "step '%s' may have begun something in the batch that was lost; where it has, take it back "
			"by hand, then say --not-done", path);
		return err_next(err, "wherry resolve %s %s --not-done --reason TEXT", c->shared.run, path);
	}
	if (hs == NULL)
		return 0;
	if (bind_effects(c, step, past, hs, &at->arena, args, err) < 0)
		return -1;
	if (args->n > 0 && undo != NULL)
		bind_call(c, step, undo, &at->arena, args);
	return 0;
}

/* In a dry-run: what the step would have done. */
static int
bind_foreseen(struct coord *c, struct attempt *at, uint32_t step, struct err *err)
{
	const char *path = path_of(c, step);
	const struct plan_undo *undo = undo_of(c, step);
	struct undo_args *args = arena_alloc(&at->arena, sizeof(*args));

	at->args = args;
	if (c->live[step].unknown && c->live[step].maybe == 0)
		return err_set(err, ERR_PREDICTED, "what step '%s' does is not known yet", path);
	args->list = coord_foreseen(c, step, &at->arena, &args->n);
	if (args->n > 0 && undo != NULL)
		bind_call(c, step, undo, &at->arena, args);
	return 0;
}

uint32_t
coord_undoes(struct coord *c, uint32_t step)
{
	const struct scope *s = scope_of(c, step);
	const uint32_t undoes = step_of(c, step)->undoes;
	const char *reach;
	uint32_t at;

	if (scope_roll(s) != NULL)
		return step;
	if (undoes == PLAN_NO_STEP || s->items != NULL)
		return NO_LIVE;
	reach = plan_reach_of(s->plan, step - s->base);
	at = reach != NULL ? children_reach(c, s, reach) : s->base + undoes;
	return at != NO_LIVE ? at : s->base + undoes; /* what never began is nowhere: its child stands for it */
}

/* What the journal said when the rollback began that the step is taken back in, or says by now. */
static const struct history *
past_of(struct coord *c, uint32_t step, struct err *err)
{
	const struct rollback *roll = scope_roll(scope_of(c, step));

	return roll != NULL ? roll->past : roll_past(c, err);
}

int
coord_undo_memory(struct coord *c, uint32_t step, const char *path, struct memory *ret, struct err *err)
{
	const struct history *past = past_of(c, step, err);

	return past != NULL ? memory_init(ret, history_step(past, path), false, past == c->o->history, err) : -1;
}

int
coord_undo_bind(struct coord *c, struct attempt *at, uint32_t step, struct err *err)
{
	const struct history *past;

	if (c->o->mode == MODE_PLAN && scope_of(c, at->step)->roll == NULL)
		return bind_foreseen(c, at, step, err);
	past = past_of(c, at->step, err);
	return past != NULL ? bind_from(c, at, step, past, err) : -1;
}

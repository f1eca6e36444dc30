/* SPDX-License-Identifier: Apache-2.0 */
/* What becomes of each step when a run goes on with an edited plan. A finished step stays finished as long as it would do
 * the same; what it waits for counts only where that has not been done. What is done again takes with it whatever was done
 * because of it. Steps that have not begun are free; what is in doubt has to be settled before its step may be edited. */
#include "edit.h"

#include <stdlib.h>
#include <string.h>

#include "graph.h"

struct compare {
	const struct edit_sides *sides;
	struct edit *ret;
	struct edit_eyes *eyes;
};

static const char *const names[EDIT_VERDICTS] = {
	[EDIT_AHEAD] = "to do",         [EDIT_CHANGED] = "changed", [EDIT_NEW] = "new",     [EDIT_KEEP] = "keep", [EDIT_REDO] = "redo",
	[EDIT_ORPHANED] = "orphaned", [EDIT_GONE] = "gone",       [EDIT_DOUBT] = "in doubt",
};

const char *
verdict_name(enum verdict v)
{
	return names[v];
}

bool
edit_is_finished(const struct hist_step *hs)
{
	return hs != NULL && (hs->status == STEP_DONE || hs->status == STEP_UNCHANGED || hs->status == STEP_SKIPPED);
}

bool
edit_has_no_way(const struct hist_step *hs)
{
	return hs != NULL && (hs->status == STEP_FAILED || hs->status == STEP_BLOCKED);
}

/* Effects that stand and are not past. */
bool
edit_has_effects(const struct step *s, const struct hist_step *hs)
{
	(void)s;
	for (const struct hist_effect *e = hs->effects; e != NULL; e = e->next)
		if (history_stands(e) && !e->past)
			return true;
	return false;
}

/* Is one of them of the kind that is not done twice unasked? One that failed is, by every resume. */
bool
edit_is_harmful(const struct step *s, const struct hist_step *hs)
{
	for (const struct hist_effect *e = hs->effects; e != NULL; e = e->next)
		if (history_stands(e) && !e->past && e->state != EFFECT_FAILED &&
		    (s->irreversible != NULL || (e->class != NULL && strcmp(e->class, "opaque") == 0)))
			return true;
	return false;
}

bool
edit_leaves_something(const struct step *s, const struct hist_step *hs)
{
	(void)s;
	for (const struct hist_effect *e = hs->effects; e != NULL; e = e->next)
		if (history_stands(e) && e->state != EFFECT_UNCHANGED)
			return true;
	return false;
}

static bool
is_in_doubt(const struct step *s, const struct hist_step *hs)
{
	(void)s;
	return history_in_doubt(hs);
}

bool
edit_is_of(const char *path, const char *id)
{
	const size_t len = strlen(id);

	return strncmp(path, id, len) == 0 && (path[len] == '\0' || path[len] == '/' || path[len] == '[');
}

/* Is it so of the step, or of one that it holds? */
static bool
any(const struct compare *c, const struct step *s, bool (*is)(const struct step *, const struct hist_step *))
{
	const struct history *h = c->sides->history;
	const struct hist_step *of = history_step(h, s->id), *in = of;

	while (in != NULL && (in->undo || !is(s, in)))
		in = history_inside(h, of, in);
	return in != NULL;
}

bool
edit_is_named(const char *const *words, const char *path)
{
	for (; words != NULL && *words != NULL; words++)
		if (edit_is_of(path, *words))
			return true;
	return false;
}

static void
note(struct compare *c, const char *text)
{
	const char **grown = arena_array(&c->ret->arena, c->ret->nnotes + 1, sizeof(*grown));

	if (c->ret->nnotes > 0)
		memcpy(grown, c->ret->notes, c->ret->nnotes * sizeof(*grown));
	grown[c->ret->nnotes++] = text;
	c->ret->notes = grown;
}

/* A need that the finished step did not have, on something that has not finished. */
static const char *
new_need(const struct compare *c, const struct step *was, const struct step *now)
{
	const struct plan *p = c->sides->now;
	struct map before = edit_needs(c->sides->was, was);
	const char *why = NULL;

	for (uint32_t k = 0; k < now->need_count && why == NULL; k++) {
		const struct need *n = &p->needs[now->need_first + k];
		const char *id = p->steps[n->to].id;

		if (!n->weak && !edit_is_guard(now, n->to) && map_get(&before, id, strlen(id)) != 0 &&
		    !edit_is_finished(history_step(c->sides->history, id)))
			why = arena_printf(&c->ret->arena, "it needs '%s' now, which has not run", id);
	}
	map_done(&before);
	return why;
}

static void
redo(struct compare *c, struct edit_step *e, const struct step *s, const char *why)
{
	e->verdict = EDIT_REDO;
	e->why = why;
	e->again = true;
	e->harmful = any(c, s, edit_is_harmful);
	c->ret->changed = true;
}

/* Why it would do something else, or NULL. */
static const char *
other_work(const struct compare *c, const struct step *was, const struct step *now)
{
	const char *why = edit_inputs_differ(c->eyes, was, now, &c->ret->arena);

	return why == NULL && !edit_same_key(c->eyes, was, now) ? "its items are told apart otherwise" : why;
}

/* Is the plan that it runs another one? What has been done in it is judged then, unless it is to stay as it is; where that
 * cannot be told apart, all of it is done again (ret_work). */
static bool
other_sub(struct compare *c, struct edit_step *e, const struct step *was, const struct step *now, const char **ret_work)
{
	static const char why[] = "the plan that it runs is another one";
	const struct plan_sub *a, *b;

	if (*ret_work != NULL || edit_same_sub(c->sides->was, was, c->sides->now, now))
		return false;
	c->ret->changed = true;
	e->why = why;
	a = plan_sub_of(c->sides->was, (uint32_t)(was - c->sides->was->steps));
	b = plan_sub_of(c->sides->now, (uint32_t)(now - c->sides->now->steps));
	e->spoken = edit_is_named(c->sides->keep, e->id);
	if (e->spoken || edit_inside(c->sides, c->ret, e, a->plan, b->plan))
		return true;
	*ret_work = why;
	return false;
}

static void
judge_finished(struct compare *c, struct edit_step *e, const struct step *was, const struct step *now, const struct hist_step *hs)
{
	const char *why = NULL, *terms = edit_other_terms(c->sides->was, was, c->sides->now, now);

	e->verdict = EDIT_KEEP;
	if (hs->status == STEP_SKIPPED)
		why = !edit_same_node(was->when, now->when) && !edit_skips(c->eyes, now) ? "it is not skipped any more" : NULL;
	else
		why = other_work(c, was, now);
	if (hs->status != STEP_SKIPPED && other_sub(c, e, was, now, &why)) {
		e->verdict = e->spoken ? EDIT_KEEP : EDIT_REDO;
		e->retried = !e->spoken;
		return;
	}
	if (why == NULL)
		why = new_need(c, was, now);
	c->ret->changed = c->ret->changed || why != NULL || terms != NULL;
	if (why != NULL && edit_is_named(c->sides->keep, e->id)) {
		e->why = arena_printf(&c->ret->arena, "because you say so, although %s", why);
		e->spoken = true;
	} else if (why != NULL) {
		redo(c, e, now, why);
	} else if (hs->status != STEP_SKIPPED && !edit_same_list(c->eyes, was, now)) {
		e->verdict = EDIT_CHANGED;
		e->why = "its list is another one; items that are done stay so";
		e->retried = c->ret->changed = true;
	} else if (terms != NULL) {
		e->why = arena_printf(&c->ret->arena, "%s, but it has finished", terms);
	}
}

static void
judge_unfinished(struct compare *c, struct edit_step *e, const struct step *was, const struct step *now, const struct hist_step *hs)
{
	const char *work = other_work(c, was, now), *why;

	(void)other_sub(c, e, was, now, &work);
	why = work != NULL ? work : e->why;
	if (why == NULL && !edit_same_list(c->eyes, was, now))
		why = "its list is another one";
	if (why == NULL)
		why = edit_other_terms(c->sides->was, was, c->sides->now, now);
	c->ret->changed = c->ret->changed || why != NULL;
	e->why = why;
	if (any(c, now, is_in_doubt)) {
		e->verdict = EDIT_DOUBT;
		e->blocking = work != NULL;
	} else if (work != NULL && any(c, now, edit_is_harmful)) {
		redo(c, e, now, why);
	} else if (why != NULL) {
		e->verdict = EDIT_CHANGED;
		e->again = work != NULL && any(c, now, edit_has_effects);
		e->retried = edit_has_no_way(hs);
	}
}

static void
judge(struct compare *c, struct edit_step *e, const struct step *now)
{
	const struct plan *old = c->sides->was;
	const uint32_t i = plan_find(old, now->id, strlen(now->id));
	const struct hist_step *hs = history_step(c->sides->history, now->id);
	const bool back = edit_is_named(c->sides->orphans, now->id);

	c->ret->changed = c->ret->changed || back;
	if (i == MAP_NONE || (back && hs->status == STEP_SKIPPED)) { /* its being skipped only says that it had not finished */
		e->verdict = EDIT_NEW;
		c->ret->changed = true;
		if (hs != NULL)
			redo(c, e, now, "it is in the plan again");
	} else if (edit_is_finished(hs) && !(now->finally && c->sides->history->status == RUN_FAILED)) {
		judge_finished(c, e, &old->steps[i], now, hs);
	} else {
		judge_unfinished(c, e, &old->steps[i], now, hs);
	}
}

/* What was done because of a step that is done again is done again too; what a failed step has blocked gets its turn. */
static void
follow(struct compare *c)
{
	const struct plan *p = c->sides->now;
	const struct graph *graph = graph_of(p);
	uint32_t *todo = xcalloc(p->nsteps + 1, sizeof(*todo)), n = 0;

	for (uint32_t i = 0; i < p->nsteps; i++)
		if (c->ret->steps[i].verdict == EDIT_REDO || c->ret->steps[i].retried)
			todo[n++] = i;
	while (n > 0) {
		const uint32_t i = todo[--n];

		for (uint32_t k = graph->user_first[i]; k < graph->user_first[i + 1]; k++) {
			struct edit_step *e = &c->ret->steps[graph->users[k].to];
			const struct step *s = &p->steps[e->index];
			const struct hist_step *hs = history_step(c->sides->history, e->id);
			const bool blocked = hs != NULL && hs->status == STEP_BLOCKED;

			if (s->finally || e->again || e->retried || edit_is_guard(s, i) ||
			    (!blocked && (c->ret->steps[i].verdict != EDIT_REDO || !edit_is_finished(hs))))
				continue;
			if (edit_is_named(c->sides->keep, e->id)) {
				e->why = "because you say so";
				e->spoken = true;
				continue;
			}
			if (blocked)
				e->retried = true;
			else
				redo(c, e, s, arena_printf(&c->ret->arena, "'%s', which it needs, is done again", p->steps[i].id));
			todo[n++] = e->index;
		}
	}
	free(todo);
}

static void
judge_missing(struct compare *c, uint32_t index)
{
	const struct step *s = &c->sides->was->steps[index];
	struct edit_step *e = &c->ret->steps[c->ret->n++];

	*e = (struct edit_step){ .id = s->id, .index = index, .verdict = EDIT_GONE };
	if (any(c, s, is_in_doubt)) {
		e->verdict = EDIT_DOUBT;
		e->blocking = true;
		e->why = "it is not in the plan any more";
	} else if (any(c, s, edit_leaves_something)) {
		e->verdict = EDIT_ORPHANED;
	}
	c->ret->changed = c->ret->changed || !edit_is_named(c->sides->orphans, e->id);
}

static int
compare_targets(struct compare *c, struct err *err)
{
	const struct plan *a = c->sides->was, *b = c->sides->now;

	for (size_t i = 0; i < a->ntargets; i++)
		for (size_t k = 0; k < b->ntargets; k++) {
			if (strcmp(a->targets[i].name, b->targets[k].name) != 0)
				continue;
			if (a->targets[i].type != b->targets[k].type)
				return err_set(err, ERR_REFUSED, "target '%s' was %s and is %s: what was done there could not be told "
					       "apart; call it by another name", a->targets[i].name, a->targets[i].type->kind,
					       b->targets[k].type->kind);
			if (!edit_same_node(&a->targets[i].fields, &b->targets[k].fields)) {
				note(c, arena_printf(&c->ret->arena, "target '%s' is reached otherwise", a->targets[i].name));
				c->ret->changed = true;
			}
		}
	return 0;
}

static void
compare_rest(struct compare *c)
{
	const struct plan *a = c->sides->was, *b = c->sides->now;

	if (strcmp(a->name, b->name) != 0)
		note(c, arena_printf(&c->ret->arena, "the plan is called '%s' now, and was '%s'", b->name, a->name));
	if (!edit_same_node(&a->outputs, &b->outputs))
		note(c, "the outputs of the plan are others");
	for (uint32_t i = 0; i < a->npools; i++)
		for (uint32_t k = 0; k < b->npools; k++)
			if (strcmp(a->pools[i].name, b->pools[k].name) == 0 && a->pools[i].limit != b->pools[k].limit)
				note(c, arena_printf(&c->ret->arena, "pool '%s' has another limit", a->pools[i].name));
	c->ret->changed = c->ret->changed || c->ret->nnotes > 0;
}

int
edit_compare(const struct edit_sides *sides, struct edit *ret, struct err *err)
{
	struct compare c = { .sides = sides, .ret = ret };
	int rc;

	*ret = (struct edit){ 0 };
	rc = compare_targets(&c, err);
	if (rc < 0)
		return -1;
	compare_rest(&c);
	ret->steps = xcalloc((size_t)sides->now->nsteps + 1, sizeof(*ret->steps));
	ret->n = sides->now->nsteps;
	c.eyes = edit_eyes_new(sides);
	for (uint32_t i = 0; i < ret->n; i++) {
		ret->steps[i] = (struct edit_step){ .id = sides->now->steps[i].id, .index = i };
		judge(&c, &ret->steps[i], &sides->now->steps[i]);
	}
	follow(&c);
	ret->steps = xreallocarray(ret->steps, (size_t)ret->n + sides->was->nsteps + ret->ninside + 1, sizeof(*ret->steps));
	if (ret->ninside > 0)
		memcpy(ret->steps + ret->n, ret->inside, ret->ninside * sizeof(*ret->steps));
	ret->n += ret->ninside;
	for (uint32_t i = 0; i < sides->was->nsteps; i++)
		if (plan_find(sides->now, sides->was->steps[i].id, strlen(sides->was->steps[i].id)) == MAP_NONE)
			judge_missing(&c, i);
	edit_eyes_free(c.eyes);
	return 0;
}

void
edit_done(struct edit *e)
{
	free(e->steps);
	free(e->inside);
	arena_done(&e->arena);
}

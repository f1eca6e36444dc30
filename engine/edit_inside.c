/* SPDX-License-Identifier: Apache-2.0 */
/* An edited plan that another one runs: what becomes of what has been done in it, child by child. What a step inside is handed
 * cannot be evaluated here, so its text counts. What is taken out and has done something is refused: nothing would take
 * it back any more. */
#include "edit.h"

#include <stdlib.h>
#include <string.h>

#include "graph.h"

struct inside {
	const struct edit_sides *sides;
	struct edit *ret;
	const struct edit_step *holder;
	const struct plan *was, *now; /* the plans that it runs */
	const char **why;             /* of each step of now: why it is done again, or NULL */
};

/* Not what it waits for: that matters only where it has not been done. */
static const char *
differs(const struct inside *in, const struct step *s)
{
	const uint32_t i = plan_find(in->was, s->id, strlen(s->id));
	const struct step *was = i != MAP_NONE ? &in->was->steps[i] : NULL;

	if (was == NULL)
		return "it is new there";
	if (strcmp(was->type->name, s->type->name) != 0 || !edit_same_node(&was->with, &s->with) ||
	    !edit_same_each(in->was, was, in->now, s) || !edit_same_sub(in->was, was, in->now, s))
		return "it is written otherwise";
	for (uint32_t k = 0; k < s->need_count; k++) {
		const struct need *n = &in->now->needs[s->need_first + k];
		const char *id = in->now->steps[n->to].id;

		if (!n->weak && !edit_is_guard(s, n->to) && plan_find(in->was, id, strlen(id)) == MAP_NONE)
			return arena_printf(&in->ret->arena, "it needs '%s' now, which is new there", id);
	}
	return NULL;
}

/* With what was done because of it. */
static void
find_why(struct inside *in)
{
	const struct plan *p = in->now;
	uint32_t *todo = xcalloc(p->nsteps + 1, sizeof(*todo)), n = 0;
	const struct graph *graph = graph_of(p);

	for (uint32_t i = 0; i < p->nsteps; i++) {
		in->why[i] = differs(in, &p->steps[i]);
		if (in->why[i] != NULL)
			todo[n++] = i;
	}
	while (n > 0) {
		const uint32_t i = todo[--n];

		for (uint32_t k = graph->user_first[i]; k < graph->user_first[i + 1]; k++) {
			const uint32_t to = graph->users[k].to;

			if (in->why[to] != NULL || edit_is_guard(&p->steps[to], i))
				continue;
			in->why[to] = arena_printf(&in->ret->arena, "'%s', which it needs, is done again", p->steps[i].id);
			todo[n++] = to;
		}
	}
	free(todo);
}

static struct edit_step *
add(struct inside *in, const char *path, enum verdict verdict, const char *why)
{
	struct edit *e = in->ret;

	if (e->ninside == e->inside_cap) {
		e->inside_cap = 2 * e->inside_cap + 16;
		e->inside = xreallocarray(e->inside, e->inside_cap, sizeof(*e->inside));
	}
	e->inside[e->ninside] = (struct edit_step){ .id = path, .verdict = verdict, .why = why, .index = in->holder->index, .inside = true };
	return &e->inside[e->ninside++];
}

/* A child itself: it goes on, for what is new in it. */
static void
judge_child(struct inside *in, const struct hist_step *hs)
{
	if (edit_is_finished(hs) || edit_has_no_way(hs))
		add(in, hs->path, EDIT_AHEAD, NULL)->retried = true;
}

static void
judge_gone(struct inside *in, const struct hist_step *hs)
{
	if (history_in_doubt(hs))
		add(in, hs->path, EDIT_DOUBT, "it is not in its plan any more")->blocking = true;
	else if (edit_leaves_something(NULL, hs))
		add(in, hs->path, EDIT_ORPHANED, NULL)->blocking = true;
}

/* s: the step of the new plan that the path leads to, or through. */
static void
judge_step(struct inside *in, const struct hist_step *hs, const struct step *s, bool through)
{
	const char *why = in->why[s - in->now->steps];
	const uint32_t i = plan_find(in->was, s->id, strlen(s->id));
	struct edit_step *e;

	if (why == NULL) {
		if (!through && hs->status == STEP_SKIPPED && i != MAP_NONE && !edit_same_node(in->was->steps[i].when, s->when))
			add(in, hs->path, EDIT_CHANGED, "it may not be skipped any more")->retried = true;
	} else if (history_in_doubt(hs)) {
		add(in, hs->path, EDIT_DOUBT, why)->blocking = true;
	} else if (edit_is_named(in->sides->keep, hs->path)) {
		add(in, hs->path, EDIT_KEEP, "because you say so")->spoken = true;
	} else if (edit_is_finished(hs) || edit_is_harmful(s, hs)) {
		e = add(in, hs->path, EDIT_REDO, why);
		e->again = true;
		e->harmful = edit_is_harmful(s, hs);
	} else if (edit_has_effects(s, hs) || edit_has_no_way(hs)) {
		e = add(in, hs->path, EDIT_CHANGED, why);
		e->again = edit_has_effects(s, hs);
		e->retried = edit_has_no_way(hs);
	}
}

/* What follows the name of the holder in a path: "[key]", "/step", "[key]/step…". */
static void
judge_path(struct inside *in, const struct hist_step *hs, const char *rest)
{
	const char *end = *rest == '[' ? strchr(rest, ']') : NULL, *id;
	uint32_t i;
	size_t len;

	if (end != NULL)
		rest = end + 1;
	if (*rest != '/') {
		judge_child(in, hs);
		return;
	}
	id = rest + 1;
	len = strcspn(id, "/[");
	i = plan_find(in->now, id, len);
	if (i == MAP_NONE)
		judge_gone(in, hs);
	else
		judge_step(in, hs, &in->now->steps[i], id[len] != '\0');
}

bool
edit_inside(const struct edit_sides *sides, struct edit *ret, const struct edit_step *holder, const struct plan *was, const struct plan *now)
{
	struct inside in = { .sides = sides, .ret = ret, .holder = holder, .was = was, .now = now };
	const struct hist_step *of = history_step(sides->history, holder->id);

	if (!edit_same_frame(was, now))
		return false;
	in.why = xcalloc(now->nsteps + 1, sizeof(*in.why));
	find_why(&in);
	for (const struct hist_step *hs = of; hs != NULL && (hs = history_inside(sides->history, of, hs)) != NULL;)
		if (!hs->undo)
			judge_path(&in, hs, hs->path + strlen(of->path));
	free(in.why);
	return true;
}

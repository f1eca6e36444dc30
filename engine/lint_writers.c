/* SPDX-License-Identifier: Apache-2.0 */
/* Owns the lint for two steps that write one object in no order. Objects are told by the text of the inputs that the
 * tables mark as theirs, so two ways to write one name are not seen. A step reaches back only as far as the plan's order
 * of levels allows, and no step is visited twice for one search. */
#include "lint_int.h"

#include <stdlib.h>
#include <string.h>

struct writers {
	const struct plan *plan;
	uint32_t *level;         /* the longest way from a step without needs */
	uint32_t *last;          /* for the first writer of an object: its latest one */
	uint32_t *stack, *stamp, search;
};

/* The object's name as written, or nothing: "path=/etc/x". */
static void
object_of(const struct step *s, struct buf *to)
{
	buf_clear(to);
	if ((s->type->flags & (STEP_READ_ONLY | STEP_PURE)) != 0)
		return;
	for (const struct field *f = s->type->inputs; f->name != NULL; f++) {
		const struct node *n = f->object ? node_get(&s->with, f->name) : NULL;

		if (n != NULL && n->kind == NODE_SCALAR)
			buf_printf(to, "%s=%s\n", f->name, n->s);
	}
}

static uint32_t
level_above_needs(const struct writers *w, const struct step *s)
{
	uint32_t level = 1;

	for (uint32_t n = 0; n < s->need_count; n++) {
		const uint32_t below = w->level[w->plan->needs[s->need_first + n].to];

		level = below >= level ? below + 1 : level;
	}
	return level;
}

/* Without recursion: a step is left for each need that has no level yet, and taken up again where it was. */
static void
find_levels(struct writers *w)
{
	const struct plan *p = w->plan;
	uint32_t *at = xcalloc((size_t)p->nsteps + 1, sizeof(*at));

	for (uint32_t root = 0; root < p->nsteps; root++) {
		uint32_t depth = 0;

		if (w->level[root] == 0)
			w->stack[depth++] = root;
		while (depth > 0) {
			const uint32_t i = w->stack[depth - 1];
			const struct step *s = &p->steps[i];

			while (at[i] < s->need_count && w->level[p->needs[s->need_first + at[i]].to] != 0)
				at[i]++;
			if (at[i] < s->need_count) {
				w->stack[depth++] = p->needs[s->need_first + at[i]].to;
				continue;
			}
			w->level[i] = level_above_needs(w, s);
			depth--;
		}
	}
	free(at);
}

/* Does `from` wait for `to`, over any number of needs? */
static bool
waits_for(struct writers *w, uint32_t from, uint32_t to)
{
	const struct plan *p = w->plan;
	uint32_t depth = 0;

	w->search++;
	w->stack[depth++] = from;
	while (depth > 0) {
		const struct step *s = &p->steps[w->stack[--depth]];

		for (uint32_t n = 0; n < s->need_count; n++) {
			const uint32_t need = p->needs[s->need_first + n].to;

			if (need == to)
				return true;
			if (w->stamp[need] == w->search || w->level[need] <= w->level[to])
				continue;
			w->stamp[need] = w->search;
			w->stack[depth++] = need;
		}
	}
	return false;
}

static bool
is_ordered(struct writers *w, uint32_t a, uint32_t b)
{
	if (w->plan->steps[a].finally != w->plan->steps[b].finally)
		return true;
	return w->level[a] > w->level[b] ? waits_for(w, a, b) : waits_for(w, b, a);
}

void
lint_two_writers(struct lint *l)
{
	const struct plan *p = l->plan;
	const size_t n = (size_t)p->nsteps + 1;
	struct writers w = { .plan = p, .level = xcalloc(n, sizeof(uint32_t)), .last = xcalloc(n, sizeof(uint32_t)),
			     .stack = xcalloc(n, sizeof(uint32_t)), .stamp = xcalloc(n, sizeof(uint32_t)) };
	struct arena names = ARENA_INIT;
	struct map objects = MAP_INIT;
	struct buf object = BUF_INIT(0);

	find_levels(&w);
	for (uint32_t i = 0; i < p->nsteps; i++) {
		uint32_t first;

		object_of(&p->steps[i], &object);
		if (object.len == 0)
			continue;
		first = map_add(&objects, arena_strndup(&names, object.p, object.len), object.len, i);
		/* the nearest earlier writer is enough: a chain of them is in order when its neighbours are */
		if (first != MAP_NONE && !is_ordered(&w, i, w.last[first]))
			lint_step_found(l, &p->steps[i], NULL, "steps '%s' and '%s' write the same object, and neither waits for the other",
					p->steps[w.last[first]].id, p->steps[i].id);
		w.last[first != MAP_NONE ? first : i] = i;
	}
	buf_done(&object);
	map_done(&objects);
	arena_done(&names);
	free(w.level);
	free(w.last);
	free(w.stack);
	free(w.stamp);
}

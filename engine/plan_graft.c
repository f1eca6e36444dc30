/* SPDX-License-Identifier: Apache-2.0 */
/* Owns the one way to change a frozen plan, before anybody uses it: steps of an older plan of the same run are put behind its
 * own, before `finally`. They have finished, wait for nothing and never run; there they can be taken back like any other. */
#include <stdlib.h>
#include <string.h>

#include "graph.h"

/* Every number of a step in a plan has its line in renumber(), and its size here. */
_Static_assert(sizeof(void *) != 8 || (sizeof(struct plan) == 328 && sizeof(struct step) == 104), "renumber() does not know all of a plan");

/* n steps come in at `at`. */
static uint32_t
moved(uint32_t step, uint32_t at, uint32_t n)
{
	return step != PLAN_NO_STEP && step >= at ? step + n : step;
}

static void
renumber(struct plan *p, uint32_t at, uint32_t n)
{
	for (uint32_t i = 0; i < p->nneeds; i++)
		p->needs[i].to = moved(p->needs[i].to, at, n);
	for (uint32_t i = 0; i < p->nundos; i++)
		p->undos[i].step = moved(p->undos[i].step, at, n);
	for (uint32_t i = 0; i < p->nforeachs; i++)
		p->foreachs[i].step = moved(p->foreachs[i].step, at, n);
	for (uint32_t i = 0; i < p->nsubs; i++)
		p->subs[i].step = moved(p->subs[i].step, at, n);
	for (uint32_t i = 0; i < p->nreaches; i++)
		p->reaches[i].step = moved(p->reaches[i].step, at, n);
	for (uint32_t i = 0; i < p->nsteps; i++) {
		struct step *s = &p->steps[i];
		uint32_t *guards = arena_array(&p->arena, s->nguards, sizeof(*guards));

		for (uint32_t k = 0; k < s->nguards; k++)
			guards[k] = moved(s->guards[k], at, n);
		s->guards = guards;
		s->undoes = moved(s->undoes, at, n);
	}
}

/* The same list with room for more. */
static void *
widen(struct plan *p, const void *list, uint32_t n, uint32_t more, size_t size)
{
	void *all = arena_array(&p->arena, (size_t)n + more, size);

	if (n > 0)
		memcpy(all, list, n * size);
	return all;
}

/* A list in the order of its steps, whose elements begin with the step's number, gets one more, for which it has room. */
static void
insert(void *list, uint32_t *n, size_t size, const void *element, uint32_t step)
{
	char *all = list;
	uint32_t at = *n, other;

	for (; at > 0; at--) {
		memcpy(&other, all + (at - 1) * size, sizeof(other));
		if (other < step)
			break;
		memcpy(all + at * size, all + (at - 1) * size, size);
	}
	memcpy(all + at * size, element, size);
	memcpy(all + at * size, &step, sizeof(step));
	++*n;
}

static uint16_t
find_target(const struct plan *p, const char *name)
{
	uint16_t i = 0;

	while (i < p->ntargets && strcmp(p->targets[i].name, name) != 0)
		i++;
	return i;
}

/* The targets that it hands in go by their numbers here. */
static struct plan_sub
moved_sub(struct plan *p, const struct plan *from, const struct plan_sub *sub)
{
	uint32_t *targets = arena_array(&p->arena, sub->plan->ntargets, sizeof(*targets));
	struct plan_sub ret = *sub;

	for (size_t i = 0; i < sub->plan->ntargets; i++)
		targets[i] = sub->targets[i] > 0 ? 1 + find_target(p, from->targets[sub->targets[i] - 1].name) : 0;
	ret.targets = targets;
	return ret;
}

/* What else the plan says of the step. */
static void
add_parts(struct plan *p, const struct plan *from, uint32_t was, uint32_t step)
{
	const struct plan_undo *undo = plan_undo_of(from, was);
	const struct plan_foreach *each = plan_foreach_of(from, was);
	const struct plan_sub *sub = plan_sub_of(from, was);
	struct plan_sub handed;

	if (undo != NULL)
		insert(p->undos, &p->nundos, sizeof(*undo), undo, step);
	if (each != NULL)
		insert(p->foreachs, &p->nforeachs, sizeof(*each), each, step);
	if (sub == NULL)
		return;
	handed = moved_sub(p, from, sub);
	insert(p->subs, &p->nsubs, sizeof(*sub), &handed, step);
}

/* Those that it does not have: what the steps did is there. */
static void
add_targets(struct plan *p, const struct plan *from)
{
	struct plan_target *all = arena_array(&p->arena, p->ntargets + from->ntargets, sizeof(*all));
	size_t n = p->ntargets;

	if (n > 0)
		memcpy(all, p->targets, n * sizeof(*all));
	for (size_t i = 0; i < from->ntargets; i++) {
		size_t k = 0;

		while (k < p->ntargets && strcmp(all[k].name, from->targets[i].name) != 0)
			k++;
		if (k == p->ntargets)
			all[n++] = from->targets[i];
	}
	p->targets = all;
	p->ntargets = n;
}

void
plan_graft(struct plan *p, const struct plan *from, const uint32_t *steps, uint32_t n)
{
	const uint32_t at = p->nmain;

	add_targets(p, from);
	renumber(p, at, n);
	p->steps = xreallocarray(p->steps, p->nsteps + n + 1, sizeof(*p->steps));
	memmove(p->steps + at + n, p->steps + at, (p->nsteps - at) * sizeof(*p->steps));
	p->undos = widen(p, p->undos, p->nundos, from->nundos, sizeof(*p->undos));
	p->foreachs = widen(p, p->foreachs, p->nforeachs, from->nforeachs, sizeof(*p->foreachs));
	p->subs = widen(p, p->subs, p->nsubs, from->nsubs, sizeof(*p->subs));
	for (uint32_t i = 0; i < n; i++) {
		struct step *s = &p->steps[at + i];

		*s = from->steps[steps[i]];
		s->need_first = s->need_count = s->nguards = s->pool = 0;
		s->guards = NULL;
		s->undoes = PLAN_NO_STEP;
		s->finally = s->undone = false;
		add_parts(p, from, steps[i], at + i);
	}
	p->nsteps += n;
	p->nmain += n;
	map_done(&p->index);
	p->index = MAP_INIT;
	graph_done(&p->graph);
}

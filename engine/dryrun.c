/* SPDX-License-Identifier: Apache-2.0 */
/* The dry-run's output in plan order, whatever ran first: events wait until all steps before theirs are printed. */
#include "coord.h"
#include "undo.h"

static const char *
keep_text(struct coord *c, const char *s)
{
	return s != NULL ? arena_strdup(&c->keep, s) : NULL;
}

void
coord_hold_event(struct coord *c, uint32_t step, const struct event *e)
{
	struct held_event *h;

	if (c->o->mode != MODE_PLAN)
		return;
	if (c->scopes[0]->phase == PHASE_ROLLBACK) { /* its order is not the plan's */
		struct event now = *e;

		now.step = path_of(c, step);
		report_event(c->o->report, &now);
		return;
	}
	h = arena_alloc(&c->keep, sizeof(*h));
	h->event = *e;
	h->event.step = path_of(c, step);
	h->event.type = step_of(c, step)->type->name;
	h->event.index = step;
	h->event.steps = c->nlive;
	h->event.ref = keep_text(c, e->ref);
	h->event.verb = keep_text(c, e->verb);
	h->event.says = keep_text(c, e->says);
	h->event.msg = keep_text(c, e->msg);
	h->event.next = keep_text(c, e->next);
	h->event.diff = keep_text(c, e->diff);
	if (c->events[step].first == NULL)
		c->events[step].first = h;
	else
		c->events[step].last->next = h;
	c->events[step].last = h;
}

void
coord_print_ready(struct coord *c, bool all)
{
	if (c->o->mode != MODE_PLAN)
		return;
	for (; c->printed != NO_LIVE && (c->live[c->printed].over || all); c->printed = live_next(c, c->scopes[0], c->printed))
		for (const struct held_event *h = c->events[c->printed].first; h != NULL; h = h->next)
			report_event(c->o->report, &h->event);
}

struct foreseen {
	struct foreseen *next;
	struct undo_effect x;
};

/* Does a step of some `finally` take it back, of its own plan or of one around it? */
static bool
may_be_undone(const struct coord *c, uint32_t step)
{
	const struct scope *s = scope_of(c, step);
	bool any = step_of(c, step)->undone;

	for (; s != NULL && !any; s = s->parent)
		any = s->plan->nreaches > 0;
	return any;
}

void
coord_foresee(struct coord *c, const struct door_letter *l)
{
	const uint32_t step = l->at->step;
	struct foreseen *f;

	if (l->effect == NULL || !may_be_undone(c, step) || scope_of(c, step)->roll != NULL)
		return;
	f = arena_alloc(&c->keep, sizeof(*f));
	f->next = c->events[step].foreseen;
	f->x = (struct undo_effect){ .number = ++c->nforeseen, .state = EFFECT_OK,
		.stream = l->before == NULL, .nonce = "", .ref = keep_text(c, l->event.ref) };
	f->x.effect = (struct effect){ .on = { l->effect->on.target, keep_text(c, l->effect->on.path) },
		.verb = keep_text(c, l->effect->verb), .says = keep_text(c, l->effect->says), .class = l->effect->class,
		.body = value_copy(&c->keep, &l->effect->body) };
	f->x.before = l->before != NULL ? value_copy(&c->keep, l->before) : VALUE_NULL;
	f->x.after = l->after != NULL ? value_copy(&c->keep, l->after) : VALUE_NULL;
	c->events[step].foreseen = f;
}

const struct undo_effect *
coord_foreseen(struct coord *c, uint32_t step, struct arena *a, size_t *ret_n)
{
	struct undo_effect *list;
	size_t n = 0;

	for (const struct foreseen *f = c->events[step].foreseen; f != NULL; f = f->next)
		n++;
	list = arena_array(a, n, sizeof(*list));
	*ret_n = n;
	n = 0;
	for (const struct foreseen *f = c->events[step].foreseen; f != NULL; f = f->next)
		list[n++] = f->x;
	return list;
}

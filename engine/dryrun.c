/* SPDX-License-Identifier: Apache-2.0 */
/* The dry-run's output in plan order, whatever ran first: events wait until all steps before theirs are printed. */
#include "coord.h"

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
	h = arena_alloc(&c->keep, sizeof(*h));
	h->event = *e;
	h->event.step = c->plan->steps[step].id;
	h->event.type = c->plan->steps[step].type->name;
	h->event.index = step;
	h->event.steps = c->plan->nsteps;
	h->event.ref = keep_text(c, e->ref);
	h->event.verb = keep_text(c, e->verb);
	h->event.says = keep_text(c, e->says);
	h->event.msg = keep_text(c, e->msg);
	h->event.next = keep_text(c, e->next);
	h->event.diff = keep_text(c, e->diff);
	if (c->events_last[step] == NULL)
		c->events_last[step] = &c->events[step];
	*c->events_last[step] = h;
	c->events_last[step] = &h->next;
}

void
coord_print_ready(struct coord *c, bool all)
{
	if (c->o->mode != MODE_PLAN)
		return;
	for (; c->printed < c->plan->nsteps && (c->live[c->printed].over || all); c->printed++)
		for (const struct held_event *h = c->events[c->printed]; h != NULL; h = h->next)
			report_event(c->o->report, &h->event);
}

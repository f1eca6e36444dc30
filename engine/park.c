/* SPDX-License-Identifier: Apache-2.0 */
/* Steps that are under way without a worker: they wait for a time, or for a person's word. Their attempt stays as it is
 * until that has come, goes through the ready queue like any other step, and its handler runs again. A pause drops them:
 * what only waits has nothing to lose. */
#include <stdlib.h>

#include "base/clock.h"
#include "coord.h"

void
coord_park(struct coord *c, struct attempt *at)
{
	struct event e = coord_event(c, EVENT_START, at->step);

	c->live[at->step].status = STEP_RUNNING;
	at->parked = true;
	at->next = c->parked;
	at->prev = &c->parked;
	if (at->next != NULL)
		at->next->prev = &at->next;
	c->parked = at;
	if (at->park.until == NEVER) {
		c->waiting++;
		coord_ask(c, at);
		return;
	}
	e.attempt = at->number;
	coord_record(c, &(struct record){ .type = REC_START, .step = at->path, .attempt = at->number }, false);
	report_event(c->o->report, &e);
	coord_set_timer(c, at->step, at->park.until < at->deadline ? at->park.until : at->deadline);
}

static void
unlink_parked(struct coord *c, struct attempt *at)
{
	*at->prev = at->next;
	if (at->next != NULL)
		at->next->prev = at->prev;
	at->prev = NULL;
	at->parked = false;
	c->waiting -= at->park.until == NEVER;
	if (c->asked == at) {
		c->asked = NULL;
		report_prompt(c->o->report, NULL);
	}
}

int
coord_unpark(struct coord *c, struct attempt *at)
{
	const int64_t now = clock_now();

	unlink_parked(c, at);
	at->park.over = at->park.over || now >= at->park.until;
	if (!at->park.over && !at->rejected) {
		at->rc = err_set(&at->err, ERR_TIMEOUT, "timed out%s",
				 at->park.until == NEVER ? ": nobody has answered" : "");
	} else if (!at->rejected) {
		if (!at->before)
			return coord_work(c, at);
		at->before = false;
		c->live[at->step].task->approved = true;
		c->live[at->step].task->deadline += now - at->started; /* a person's time is not the step's */
		return coord_work(c, at);
	}
	coord_attempt_end(c, at);
	return 0;
}

void
coord_drop_parked(struct coord *c, struct attempt *at)
{
	unlink_parked(c, at);
	c->live[at->step].status = STEP_PENDING;
	c->live[at->step].task->attempt = NULL;
	live_deactivate(c, at->step);
	coord_attempt_free(at);
}

void
coord_set_timer(struct coord *c, uint32_t step, int64_t at)
{
	c->live[step].task->timer = at;
	heap_push(&c->timers, at, step);
}

int64_t
coord_next_timer(struct coord *c)
{
	while (c->timers.n > 0) {
		const struct heap_item *first = &c->timers.list[0];
		const struct task *t = c->live[first->step].task;

		if (t != NULL && t->timer == first->key)
			return first->key;
		(void)heap_pop(&c->timers);
	}
	return NEVER;
}

void
coord_park_timers(struct coord *c, int64_t now)
{
	for (struct attempt *at = c->waiting > 0 ? c->parked : NULL; at != NULL; at = at->next)
		if (at->park.until == NEVER && !at->before && !at->woken && at->deadline <= now)
			coord_wake(c, at);
}

void
coord_wake(struct coord *c, struct attempt *at)
{
	at->woken = true;
	heap_push(&c->ready, live_key(c, at->step), at->step);
}

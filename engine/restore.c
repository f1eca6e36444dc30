/* SPDX-License-Identifier: Apache-2.0 */
/* Where a resumed run stands, from its journal: finished steps stay finished. A run that had closed as failed opens again:
 * what failed is pending, `finally` is (it runs at every close), and so is what `finally` had taken back. */
#include <stdlib.h>
#include <string.h>

#include "coord.h"

/* Effects that happened or may have: `.ran`. */
static uint32_t
maybe_effects(const struct hist_step *hs)
{
	uint32_t n = 0;

	for (const struct hist_effect *e = hs->effects; e != NULL; e = e->next)
		n += history_stands(e) && !e->past;
	return n + (hs->torn || hs->torn_done);
}

static bool
has_finished(const struct hist_step *hs)
{
	return hs->status == STEP_DONE || hs->status == STEP_UNCHANGED || hs->status == STEP_SKIPPED;
}

/* The steps that have been taken back; returns how many. */
static uint32_t
find_undone(const struct coord *c, const struct scope *s, uint32_t *list, bool *seen)
{
	const struct history *h = c->o->history;
	uint32_t n = 0;

	for (uint32_t k = 0; k < h->nsteps; k++) {
		const char *id = h->steps[k].path;
		const uint32_t i = h->steps[k].status == STEP_UNDONE ? plan_find(s->plan, id, strlen(id)) : MAP_NONE;

		if (i == MAP_NONE)
			continue;
		seen[i] = true;
		list[n++] = i;
	}
	return n;
}

/* What was done because of a step that has been taken back has to be done again. */
static void
forget_followers(struct coord *c, const struct scope *s)
{
	uint32_t *todo = xcalloc(s->n, sizeof(*todo));
	bool *seen = xcalloc(s->n, sizeof(*seen));
	uint32_t n = find_undone(c, s, todo, seen);

	while (n > 0) {
		const uint32_t i = todo[--n];
		struct live *l = &c->live[s->base + i];
		const struct hist_step *hs = history_step(c->o->history, path_of(c, s->base + i));

		l->anew = l->anew || (hs != NULL && has_finished(hs));
		for (uint32_t k = s->graph->user_first[i]; k < s->graph->user_first[i + 1]; k++) {
			const uint32_t to = s->graph->users[k].to;

			if (!seen[to] && !s->plan->steps[to].finally) {
				seen[to] = true;
				todo[n++] = to;
			}
		}
	}
	free(todo);
	free(seen);
}

/* A closed run that goes on, or a rollback that begins: `finally` runs at every close. */
static void
reopen_finally(struct coord *c, const struct scope *s)
{
	for (uint32_t i = s->base + s->plan->nmain; i < s->base + s->n; i++)
		c->live[i].anew = true;
}

/* One batch: a crash leaves the run as it was, or all of it. */
void
coord_record_reopen(struct coord *c)
{
	for (uint32_t i = 0; c->o->history != NULL && i < c->nlive; i++)
		if (c->live[i].anew && history_step(c->o->history, path_of(c, i)) != NULL)
			coord_record(c, &(struct record){ .type = REC_REOPEN, .step = path_of(c, i),
				.kind = step_of(c, i)->finally ? "finally" : "undone" }, true);
	if (c->reopened)
		coord_record(c, &(struct record){ .type = REC_REOPEN }, true);
	if (c->o->rollback)
		coord_record(c, &(struct record){ .type = REC_ROLLBACK, .step = c->o->rollback_to,
			.done = c->o->rollback_since }, true);
}

static void
restore_failure(struct coord *c, struct scope *s, uint32_t step, const struct hist_step *hs)
{
	struct err err = ERR_INIT;

	err_set(&err, ERR_FAILED, "%s", hs->msg != NULL ? hs->msg : "failed");
	scope_fail(c, s, path_of(c, step), step_of(c, step)->policy->on_error, &err);
}

bool
coord_unsettled(const struct coord *c, uint32_t step)
{
	const struct hist_step *hs = c->o->history != NULL ? history_step(c->o->history, path_of(c, step)) : NULL;

	return hs != NULL && !c->live[step].anew && c->live[step].status == STEP_PENDING &&
	       (hs->torn || history_in_doubt(hs));
}

void
coord_restore(struct coord *c, struct scope *s)
{
	const struct history *h = c->o->history;
	const bool begins = c->o->rollback && !h->rolling;
	struct hist_walk walk = { 0 };

	c->reopened = begins || (h->status == RUN_FAILED && !c->o->abort);
	if (c->reopened)
		reopen_finally(c, s);
	if (!c->o->rollback && !c->o->abort)
		forget_followers(c, s);
	for (uint32_t i = s->base; i < s->base + s->n; i++) {
		const struct hist_step *hs = history_walk(h, &walk, path_of(c, i));
		struct live *l = &c->live[i];

		if (hs == NULL || l->anew)
			continue;
		if (has_finished(hs) || (!c->reopened && (hs->status == STEP_FAILED || hs->status == STEP_BLOCKED)))
			l->status = hs->status;
		if (l->status == STEP_FAILED)
			restore_failure(c, s, i, hs);
		l->outputs = hs->outputs;
		l->maybe += maybe_effects(hs);
		c->settling = c->settling ||
			      (!c->o->rollback && l->status == STEP_PENDING && (hs->torn || history_in_doubt(hs)));
	}
}

/* Those of [from, to) that were under way, or that could have been started next: the order is that of the queue. Pure
 * steps have no effect to doubt and hold no worker. */
static void
doubt_steps(struct coord *c, uint32_t from, uint32_t to)
{
	const uint32_t jobs = c->o->history->jobs > c->o->jobs ? c->o->history->jobs : c->o->jobs;
	uint32_t left = 2 * jobs; /* one turn's, and those that end at once make room for others in it */

	for (uint32_t i = from; i < to; i++) {
		const struct hist_step *hs;
		struct live *l = &c->live[i];
		bool begun;

		if (l->blocked > 0 || l->status != STEP_PENDING || (step_of(c, i)->type->flags & STEP_PURE))
			continue;
		hs = history_step(c->o->history, path_of(c, i));
		begun = hs != NULL && hs->status == STEP_RUNNING;
		if (left == 0 && !begun)
			continue;
		l->torn = true;
		l->maybe++;
		left -= !begun;
		coord_record(c, &(struct record){ .type = REC_DOUBT, .step = path_of(c, i) }, true);
	}
}

/* The lost batch was of `finally` only if all steps before it had ended, or a failure kept them from starting. */
void
coord_doubt_torn(struct coord *c, const struct scope *s)
{
	const uint32_t main_end = s->base + s->plan->nmain;
	bool closing = !c->reopened;

	for (uint32_t i = s->base; i < main_end; i++)
		closing = closing && (live_is_over(&c->live[i]) || s->failed);
	doubt_steps(c, s->base, main_end);
	if (closing)
		doubt_steps(c, main_end, s->base + s->n);
}

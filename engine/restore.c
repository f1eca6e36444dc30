/* SPDX-License-Identifier: Apache-2.0 */
/* Where a resumed run stands, from its journal: finished steps stay finished. A run that had closed as failed opens again:
 * what failed is pending, `finally` is (it runs at every close), and so is what `finally` had taken back. */
#include <stdlib.h>

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

/* A step that was taken back when the run closed has to be done again, and so has all that was done because of it. */
static void
forget_undone(struct coord *c, uint32_t step)
{
	uint32_t *todo = xcalloc(c->plan->nsteps, sizeof(*todo)), n = 0;
	bool *seen = xcalloc(c->plan->nsteps, sizeof(*seen));

	seen[step] = true;
	todo[n++] = step;
	while (n > 0) {
		const uint32_t i = todo[--n];
		const struct hist_step *hs = history_step(c->o->history, c->plan->steps[i].id);

		c->live[i].anew = hs != NULL && has_finished(hs);
		for (uint32_t k = c->graph.user_first[i]; k < c->graph.user_first[i + 1]; k++) {
			const uint32_t to = c->graph.users[k].to;

			if (!seen[to] && !c->plan->steps[to].finally) {
				seen[to] = true;
				todo[n++] = to;
			}
		}
	}
	free(todo);
	free(seen);
}

/* A run that had closed as failed opens again: `finally` runs at every close. */
static void
reopen(struct coord *c)
{
	const struct history *h = c->o->history;

	c->reopened = true;
	for (uint32_t i = c->plan->nmain; i < c->plan->nsteps; i++) {
		const struct step *s = &c->plan->steps[i];
		const struct hist_step *hs = history_step(h, s->id);

		c->live[i].anew = true;
		if (s->undoes != PLAN_NO_STEP && hs != NULL && maybe_effects(hs) > 0)
			forget_undone(c, s->undoes);
	}
}

/* What was undone before the finally steps that undid it, and the run itself last: a crash between two batches leaves a
 * run that is still closed, and that opens in the same way again. */
void
coord_record_reopen(struct coord *c)
{
	for (uint32_t i = 0; i < c->plan->nsteps; i++) {
		const struct step *s = &c->plan->steps[i];

		if (c->live[i].anew && history_step(c->o->history, s->id) != NULL)
			coord_record(c, &(struct record){ .type = REC_REOPEN, .step = s->id,
				.kind = s->finally ? "finally" : "undone" }, true);
	}
	coord_record(c, &(struct record){ .type = REC_REOPEN }, true);
}

void
coord_restore(struct coord *c)
{
	const struct history *h = c->o->history;
	struct hist_walk walk = { 0 };
	const bool reopened = h->status == RUN_FAILED && !c->o->abort;

	if (reopened)
		reopen(c);
	for (uint32_t i = 0; i < c->plan->nsteps; i++) {
		const struct step *s = &c->plan->steps[i];
		const struct hist_step *hs = history_walk(h, &walk, s->id);
		struct live *l = &c->live[i];

		if (hs == NULL || l->anew)
			continue;
		if (has_finished(hs) || (!reopened && (hs->status == STEP_FAILED || hs->status == STEP_BLOCKED)))
			l->status = hs->status;
		if (l->status == STEP_FAILED) {
			c->failed = true;
			c->stopping = c->stopping || s->policy->on_error == ON_ERROR_STOP;
			err_set(&c->reason, ERR_FAILED, "%s", hs->msg != NULL ? hs->msg : "failed");
			c->reason_step = s->id;
		}
		l->outputs = hs->outputs;
		l->maybe += maybe_effects(hs);
		if (l->status == STEP_PENDING && (hs->torn || history_in_doubt(hs)))
			c->unsettled++;
	}
}

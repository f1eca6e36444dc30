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
find_undone(const struct coord *c, uint32_t *list, bool *seen)
{
	const struct history *h = c->o->history;
	uint32_t n = 0;

	for (uint32_t k = 0; k < h->nsteps; k++) {
		const char *id = h->steps[k].path;
		const uint32_t i = h->steps[k].status == STEP_UNDONE ? plan_find(c->plan, id, strlen(id)) : MAP_NONE;

		if (i == MAP_NONE)
			continue;
		seen[i] = true;
		list[n++] = i;
	}
	return n;
}

/* What was done because of a step that has been taken back has to be done again. */
static void
forget_followers(struct coord *c)
{
	uint32_t *todo = xcalloc(c->plan->nsteps, sizeof(*todo));
	bool *seen = xcalloc(c->plan->nsteps, sizeof(*seen));
	uint32_t n = find_undone(c, todo, seen);

	while (n > 0) {
		const uint32_t i = todo[--n];
		const struct hist_step *hs = history_step(c->o->history, c->plan->steps[i].id);

		c->live[i].anew = c->live[i].anew || (hs != NULL && has_finished(hs));
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

/* A closed run that goes on, or a rollback that begins: `finally` runs at every close. */
static void
reopen_finally(struct coord *c)
{
	for (uint32_t i = c->plan->nmain; i < c->plan->nsteps; i++)
		c->live[i].anew = true;
}

/* One batch: a crash leaves the run as it was, or all of it. */
void
coord_record_reopen(struct coord *c)
{
	for (uint32_t i = 0; c->o->history != NULL && i < c->plan->nsteps; i++) {
		const struct step *s = &c->plan->steps[i];

		if (c->live[i].anew && history_step(c->o->history, s->id) != NULL)
			coord_record(c, &(struct record){ .type = REC_REOPEN, .step = s->id,
				.kind = s->finally ? "finally" : "undone" }, true);
	}
	if (c->reopened)
		coord_record(c, &(struct record){ .type = REC_REOPEN }, true);
	if (c->o->rollback)
		coord_record(c, &(struct record){ .type = REC_ROLLBACK, .step = c->o->rollback_to,
			.done = c->o->rollback_since }, true);
}

void
coord_restore(struct coord *c)
{
	const struct history *h = c->o->history;
	const bool begins = c->o->rollback && !h->rolling;
	struct hist_walk walk = { 0 };

	c->reopened = begins || (h->status == RUN_FAILED && !c->o->abort);
	if (c->reopened)
		reopen_finally(c);
	if (!c->o->rollback && !c->o->abort)
		forget_followers(c);
	for (uint32_t i = 0; i < c->plan->nsteps; i++) {
		const struct step *s = &c->plan->steps[i];
		const struct hist_step *hs = history_walk(h, &walk, s->id);
		struct live *l = &c->live[i];

		if (hs == NULL || l->anew)
			continue;
		if (has_finished(hs) || (!c->reopened && (hs->status == STEP_FAILED || hs->status == STEP_BLOCKED)))
			l->status = hs->status;
		if (l->status == STEP_FAILED) {
			c->failed = true;
			c->stopping = c->stopping || s->policy->on_error != ON_ERROR_CONTINUE;
			c->roll_back = c->roll_back || s->policy->on_error == ON_ERROR_ROLLBACK;
			err_set(&c->reason, ERR_FAILED, "%s", hs->msg != NULL ? hs->msg : "failed");
			c->reason_step = s->id;
		}
		l->outputs = hs->outputs;
		l->maybe += maybe_effects(hs);
		if (l->status == STEP_PENDING && (hs->torn || history_in_doubt(hs)))
			c->unsettled++;
	}
}

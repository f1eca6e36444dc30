/* SPDX-License-Identifier: Apache-2.0 */
/* Where a resumed run stands, from its journal: finished steps stay finished. A run that had closed as failed opens again:
 * what failed is pending, `finally` is (it runs at every close), and so is what `finally` had taken back. */
#include <stdlib.h>
#include <string.h>

#include "children.h"
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

/* Is it inside of what the path (of len bytes) has opened? */
static bool
is_inside(const char *inner, const char *path, size_t len)
{
	return strncmp(inner, path, len) == 0 && (inner[len] == '/' || inner[len] == '[');
}

/* Has a step of `finally` further in taken it back, where that was the end of it? */
static bool
is_settled_inside(const struct hist_step *hs, const char *path, size_t len)
{
	return hs->status == STEP_UNDONE && hs->undoer != NULL && is_inside(hs->undoer, path, len);
}

/* The steps of a scope that have been taken back, themselves or something inside of them: the latter are to go on, with what
 * still stands inside. So are those that have ended and hold something to be done again. What `finally` has taken back
 * stays so, until it is to run once more (again). Returns how many were taken back. */
static uint32_t
find_undone(struct coord *c, const struct scope *s, bool again, uint32_t *list, bool *seen)
{
	uint32_t n = 0;
	const struct hist_step *of = s->parent != NULL ? children_past(c, s->owner) : NULL, *hs = NULL;
	const size_t skip = s->parent != NULL ? strlen(path_of(c, s->owner)) + 1 : 0;

	while ((s->parent == NULL || of != NULL) && (hs = history_next(c->o->history, of, hs)) != NULL) {
		const char *id = hs->path + skip;
		const size_t len = hs->status == STEP_UNDONE || hs->status == STEP_PENDING ? strcspn(id, "/[") : 0;
		const uint32_t i = len > 0 && (hs->status == STEP_UNDONE || id[len] != '\0') ? plan_find(s->plan, id, len) : MAP_NONE;
		const struct hist_step *holder;

		if (i == MAP_NONE || hs->undo || (hs->status == STEP_UNDONE && hs->undoer != NULL && !again) ||
		    is_settled_inside(hs, hs->path, skip + len))
			continue;
		holder = id[len] != '\0' ? history_step(c->o->history, path_of(c, s->base + i)) : NULL;
		if (holder != NULL && holder->status == STEP_FAILED && !c->reopened) /* it stays so, and who came after it knew */
			continue;
		c->live[s->base + i].part = c->live[s->base + i].part || holder != NULL;
		if (hs->status == STEP_UNDONE && !seen[i]) {
			seen[i] = true;
			list[n++] = i;
		}
	}
	return n;
}

/* It is done again if it had finished; of what had begun only, all that has finished inside is. */
static void
follow(struct coord *c, uint32_t step)
{
	const struct hist_step *hs = history_step(c->o->history, path_of(c, step));
	struct live *l = &c->live[step];

	l->anew = hs != NULL && has_finished(hs);
	l->again = hs != NULL && !l->anew && live_kind(c, step) != LIVE_STEP;
	l->part = false; /* all of it is done again */
}

/* What was done because of a step that has been taken back has to be done again. */
static void
forget_followers(struct coord *c, const struct scope *s, bool again)
{
	uint32_t *todo = xcalloc(2 * (size_t)s->n + 1, sizeof(*todo));
	bool *seen = xcalloc((size_t)s->n + 1, sizeof(*seen));
	uint32_t n = find_undone(c, s, again, todo, seen);

	while (n > 0) {
		const uint32_t i = todo[--n];

		for (uint32_t k = s->graph->user_first[i]; k < s->graph->user_first[i + 1]; k++) {
			const uint32_t to = s->graph->users[k].to;

			if ((seen[to] && !c->live[s->base + to].part) || s->plan->steps[to].finally)
				continue;
			follow(c, s->base + to);
			seen[to] = true;
			todo[n++] = to;
		}
	}
	free(todo);
	free(seen);
}

/* A closed run that goes on, or a rollback that begins: `finally` runs at every close. */
static void
reopen_finally(struct coord *c, const struct scope *s)
{
	for (uint32_t i = s->base + s->nmain; i < s->base + s->n; i++)
		c->live[i].anew = true;
}

static bool
undo_runs(struct coord *c, const char *path)
{
	const struct hist_step *hs = history_step(c->o->history, undo_path(&c->keep, path));

	return hs != NULL && hs->status == STEP_RUNNING;
}

/* Has anything of `finally` begun? One that takes back all that is inside of a step begins under the undo's path. */
static bool
has_begun_finally(struct coord *c, const struct scope *s)
{
	for (uint32_t i = s->nmain; i < s->n; i++) {
		const struct hist_step *hs = history_step(c->o->history, path_of(c, s->base + i));
		const uint32_t undoes = s->plan->steps[i].undoes;
		const char *reach = plan_reach_of(s->plan, i);

		if (hs != NULL && hs->status != STEP_PENDING)
			return true;
		if (reach != NULL && s->parent != NULL)
			reach = arena_printf(&c->keep, "%s/%s", path_of(c, s->owner), reach);
		if (undoes != PLAN_NO_STEP && undo_runs(c, reach != NULL ? reach : path_of(c, s->base + undoes)))
			return true;
	}
	return false;
}

/* Had all before `finally` ended, but for what a failure, here or further up, keeps from starting? Else somebody had aborted
 * the run. */
static bool
has_left_main(const struct coord *c, const struct scope *s)
{
	bool over = true;

	if (s->parent != NULL && !scope_may_start(s->parent))
		return true;
	for (uint32_t i = s->base; i < s->base + s->nmain; i++) {
		const struct hist_step *hs = history_step(c->o->history, path_of(c, i));

		if (hs != NULL && hs->status == STEP_FAILED && step_of(c, i)->policy->on_error != ON_ERROR_CONTINUE)
			return true;
		over = over && hs != NULL && hs->status != STEP_PENDING && hs->status != STEP_RUNNING && hs->status != STEP_IN_DOUBT;
	}
	return over;
}

/* One batch: a crash leaves the run as it was, or all of it. */
void
coord_record_reopen(struct coord *c)
{
	for (uint32_t i = 0; c->o->history != NULL && i < c->nlive; i++)
		if ((c->live[i].anew || c->live[i].again || c->live[i].part) && history_step(c->o->history, path_of(c, i)) != NULL)
			coord_record(c, &(struct record){ .type = REC_REOPEN, .step = path_of(c, i),
				.kind = step_of(c, i)->finally ? "finally" : "undone",
				.unit = live_kind(c, i) != LIVE_STEP && (c->live[i].anew || c->live[i].again) ? "all" : NULL }, true);
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
	const struct scope *inside = scope_inside(c, step);
	const struct hist_step *hs = c->o->history != NULL ? history_step(c->o->history, path_of(c, step)) : NULL;
	bool any = false;

	if (hs == NULL || c->live[step].anew || c->live[step].status != STEP_PENDING)
		return false;
	for (uint32_t i = 0; inside != NULL && i < inside->n && !any; i++)
		any = coord_unsettled(c, inside->base + i);
	return any || hs->torn || history_in_doubt(hs);
}

/* Has anything inside of it happened, or may it have? */
static bool
has_run_inside(struct coord *c, uint32_t step)
{
	const struct hist_step *of = children_past(c, step), *in = of;

	while (in != NULL && (in = history_inside(c->o->history, of, in)) != NULL)
		if (!in->undo && maybe_effects(in) > 0)
			return true;
	return false;
}

static bool
is_orphan(const struct coord *c, uint32_t step)
{
	const struct scope *s = scope_of(c, step);

	return step - s->base >= s->n - s->norphans;
}

/* Is anything inside of an item's plan to be done, though it had ended? */
static bool
is_part(struct coord *c, uint32_t item)
{
	const struct hist_step *of = children_past(c, item), *in = of;

	while (in != NULL && (in = history_inside(c->o->history, of, in)) != NULL)
		if (!in->undo && (in->status == STEP_UNDONE || in->status == STEP_PENDING) &&
		    !is_settled_inside(in, of->path, strlen(of->path)))
			return true;
	return false;
}

/* Nothing walks an orphan any more, so only a person can say what became of it. */
static void
ask_about_orphan(struct coord *c, const struct hist_step *of)
{
	const struct hist_step *hs = of;
	struct err err = ERR_INIT;

	while (hs != NULL && (hs->undo || !history_in_doubt(hs)))
		hs = history_inside(c->o->history, of, hs);
	if (hs == NULL)
		return;
	err_set(&err, ERR_IN_DOUBT, "it had begun something, and its item is not in the list any more");
	next_resolve(&err, c->shared.run, hs->path);
	coord_pause(c, hs->path, &err);
}

static void
restore_step(struct coord *c, struct scope *s, uint32_t i, const struct hist_step *hs)
{
	struct live *l = &c->live[i];

	if ((has_finished(hs) && !l->part) || (!c->reopened && (hs->status == STEP_FAILED || hs->status == STEP_BLOCKED)))
		l->status = hs->status;
	if (l->status == STEP_FAILED && l->selected)
		restore_failure(c, s, i, hs);
	if (is_orphan(c, i)) {
		if (!c->o->rollback && !c->o->abort)
			ask_about_orphan(c, hs);
		return;
	}
	l->outputs = hs->status != STEP_UNDONE || c->o->rollback ? hs->outputs : NULL;
	l->maybe += live_kind(c, i) == LIVE_STEP ? maybe_effects(hs) : has_run_inside(c, i);
	c->settling = c->settling ||
		      (!c->o->rollback && l->status == STEP_PENDING && (hs->torn || history_in_doubt(hs)));
}

/* May somebody still ask for `.items` of what has ended? */
static bool
is_asked_for(const struct coord *c, const struct scope *s, uint32_t i)
{
	const uint32_t *first = &s->graph->user_first[i];

	for (uint32_t k = first[0]; k < first[1]; k++)
		if (!live_is_over(&c->live[s->base + s->graph->users[k].to]))
			return true;
	return s->plan->outputs.len > 0 && c->live[s->base + i].status != STEP_SKIPPED;
}

/* What had begun goes on with what it has inside; of what has ended that is known where it is asked for. */
static void
restore_inside(struct coord *c, const struct scope *s)
{
	for (uint32_t i = s->base; i < s->base + s->n && !c->o->rollback; i++) {
		const struct hist_step *hs = live_kind(c, i) != LIVE_STEP ? history_step(c->o->history, path_of(c, i)) : NULL;
		const bool over = live_is_over(&c->live[i]);
		struct err err = ERR_INIT;

		if (hs == NULL || c->live[i].anew || c->live[i].again || !c->live[i].selected)
			continue; /* what it is handed may come of what is done before it */
		if (over ? s->graph == NULL || live_kind(c, i) != LIVE_EACH || !is_asked_for(c, s, i - s->base)
			 : hs->status == STEP_PENDING && !c->live[i].part)
			continue;
		if (children_open(c, i, &err) < 0)
			coord_pause(c, path_of(c, i), &err);
		else if (over)
			scope_inside(c, i)->phase = PHASE_CLOSED;
	}
}

void
coord_restore(struct coord *c, struct scope *s)
{
	const struct history *h = c->o->history;
	const bool begins = c->o->rollback && !h->rolling;
	const bool plan = s->items == NULL, goes_on = s->parent == NULL || !live_is_over(&c->live[s->owner]);
	struct hist_walk walk = { 0 };
	const bool follows = s->parent != NULL && c->live[s->owner].again;
	bool again;

	c->reopened = begins || (h->status == RUN_FAILED && !c->o->abort);
	again = c->reopened || follows || (s->parent != NULL && c->live[s->owner].part);
	if (plan && goes_on && !again && !c->o->rollback && !c->o->abort)
		again = has_begun_finally(c, s) && !has_left_main(c, s);
	if (plan && goes_on && again)
		reopen_finally(c, s);
	for (uint32_t i = s->base; follows && i < s->base + (plan ? s->nmain : s->n - s->norphans); i++)
		follow(c, i);
	if (plan && goes_on && !follows && !c->o->rollback && !c->o->abort)
		forget_followers(c, s, again);
	for (uint32_t i = s->base; i < s->base + s->n; i++) {
		const struct hist_step *hs = history_walk(h, &walk, path_of(c, i));

		if (!plan && hs != NULL && has_finished(hs) && goes_on && c->live[s->owner].part)
			c->live[i].part = is_part(c, i);
		if (hs != NULL && !c->live[i].anew)
			restore_step(c, s, i, hs);
		if (plan && goes_on && !again && hs != NULL && hs->status == STEP_UNDONE && hs->undoer != NULL)
			c->live[i].status = STEP_UNDONE;
	}
	if (s->plan->nsubs + s->plan->nforeachs > 0)
		restore_inside(c, s);
}

/* It may have been opened in the lost batch, and what is inside may have begun. */
static void
doubt_inside(struct coord *c, uint32_t step)
{
	struct err ignored = ERR_INIT; /* met again when it starts */

	if (c->live[step].open || (coord_condition(c, step, &ignored) == 1 && children_open(c, step, &ignored) == 0))
		coord_doubt_torn(c, scope_inside(c, step));
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

		if (l->blocked > 0 || l->status != STEP_PENDING || (step_of(c, i)->type->flags & STEP_PURE) || is_orphan(c, i))
			continue;
		hs = history_step(c->o->history, path_of(c, i));
		begun = hs != NULL && hs->status == STEP_RUNNING;
		if (left == 0 && !begun)
			continue;
		left -= !begun && left > 0;
		if (live_kind(c, i) != LIVE_STEP) {
			doubt_inside(c, i);
			continue;
		}
		l->torn = true;
		l->maybe++;
		coord_record(c, &(struct record){ .type = REC_DOUBT, .step = path_of(c, i) }, true);
	}
}

/* The lost batch was of `finally` only if all steps before it had ended, or a failure kept them from starting. */
void
coord_doubt_torn(struct coord *c, const struct scope *s)
{
	const uint32_t main_end = s->base + s->nmain;
	bool closing = !c->reopened;

	for (uint32_t i = s->base; i < main_end; i++)
		closing = closing && (live_is_over(&c->live[i]) || s->failed);
	doubt_steps(c, s->base, main_end);
	if (closing)
		doubt_steps(c, main_end, s->base + s->n);
}

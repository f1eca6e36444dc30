/* SPDX-License-Identifier: Apache-2.0 */
/* Owns what can be asked of a folded journal: the words for states, steps by path, and what is in doubt, stands or waits. */
#include "history.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"

static const char *const step_names[STEP_STATUSES] = {
	[STEP_PENDING] = "pending",     [STEP_RUNNING] = "running", [STEP_DONE] = "done",
	[STEP_UNCHANGED] = "unchanged", [STEP_SKIPPED] = "skipped", [STEP_FAILED] = "failed",
	[STEP_BLOCKED] = "blocked",     [STEP_IN_DOUBT] = "in-doubt", [STEP_CANCELLED] = "cancelled",
	[STEP_UNDONE] = "undone",
};

static const char *const run_names[] = {
	[RUN_RUNNING] = "running", [RUN_PAUSED] = "paused", [RUN_DONE] = "done",
	[RUN_FAILED] = "failed",   [RUN_ABORTED] = "aborted", [RUN_ROLLED_BACK] = "rolled-back",
};

const char *
step_status_name(enum step_status s)
{
	return s < STEP_STATUSES ? step_names[s] : "?";
}

enum step_status
step_status_parse(const char *name)
{
	for (size_t i = 0; name != NULL && i < STEP_STATUSES; i++)
		if (strcmp(name, step_names[i]) == 0)
			return (enum step_status)i;
	return STEP_PENDING;
}

const char *
run_status_name(enum run_status s)
{
	return s < countof(run_names) ? run_names[s] : "?";
}

void
history_init(struct history *h)
{
	*h = (struct history){ .arena = ARENA_INIT, .index = MAP_INIT };
}

void
history_done(struct history *h)
{
	map_done(&h->index);
	free(h->steps);
	arena_done(&h->arena);
	history_init(h);
}

/* By way of fresh zeroes, which come in huge pages where they are many. */
void
history_reserve(struct history *h, uint32_t steps)
{
	struct hist_step *old = h->steps;

	h->cap = steps;
	h->steps = xcalloc(steps, sizeof(*h->steps));
	if (old != NULL)
		memcpy(h->steps, old, h->nsteps * sizeof(*old));
	free(old);
	map_reserve(&h->index, steps);
}

struct hist_step *
history_step(const struct history *h, const char *path)
{
	uint32_t i = map_get(&h->index, path, strlen(path));

	return i != MAP_NONE ? &h->steps[i] : NULL;
}

struct hist_step *
history_walk(const struct history *h, struct hist_walk *w, const char *path)
{
	struct hist_step *s = NULL;

	if (w->found == h->nsteps - h->nundos)
		return NULL;
	if (w->next < h->nsteps && strcmp(h->steps[w->next].path, path) == 0)
		s = &h->steps[w->next];
	else
		s = history_step(h, path);
	if (s != NULL) {
		w->next = (uint32_t)(s - h->steps) + 1;
		w->found++;
	}
	return s;
}

bool
history_in_doubt(const struct hist_step *s)
{
	for (const struct hist_effect *e = s->effects; e != NULL; e = e->next)
		if ((e->state == EFFECT_BEGUN || e->state == EFFECT_UNKNOWN) && !e->undone)
			return true;
	return s->torn;
}

bool
history_stands(const struct hist_effect *e)
{
	if (e->undone || e->state == EFFECT_RESOLVED_NOT_DONE)
		return false;
	return e->state != EFFECT_FAILED || hist_has(e, IMAGE_AFTER) || e->lost;
}

bool
history_failed_open(const struct hist_step *s)
{
	for (const struct hist_effect *e = s->status == STEP_FAILED ? s->effects : NULL; e != NULL; e = e->next)
		if (e->state == EFFECT_FAILED && history_stands(e))
			return true;
	return false;
}

#define UNDO_SUFFIX "~undo" /* no step's id and no item's path ends so */

const char *
undo_path(struct arena *a, const char *step)
{
	return arena_printf(a, "%s" UNDO_SUFFIX, step);
}

bool
is_undo_path(const char *path)
{
	const size_t len = strlen(path), suffix = strlen(UNDO_SUFFIX);

	return len > suffix && strcmp(path + len - suffix, UNDO_SUFFIX) == 0;
}

bool
history_waits(const struct hist_step *s)
{
	return s->gate != NULL && s->gate->question != NULL && s->gate->word == NULL &&
	       (s->status == STEP_PENDING || s->status == STEP_RUNNING);
}

bool
history_is_answer(const char *answers, const char *word)
{
	const size_t len = strlen(word);

	for (const char *p = answers; *p != '\0'; p += *p == '/') {
		const size_t n = strcspn(p, "/");

		if (n == len && memcmp(p, word, n) == 0)
			return true;
		p += n;
	}
	return false;
}

void
history_word(struct buf *to, const struct hist_gate *g)
{
	char when[32];

	buf_printf(to, "%s", g->word);
	if (g->choice != NULL)
		buf_printf(to, " (%s)", g->choice);
	buf_printf(to, " by %s@%s at %s", g->user, g->host, clock_text(g->answered, when));
	if (g->reason != NULL)
		buf_printf(to, ": %s", g->reason);
}

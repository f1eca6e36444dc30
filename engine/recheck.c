/* SPDX-License-Identifier: Apache-2.0 */
/* What earlier processes of a run left on this machine, looked at again before it goes on: of each object that a kind can
 * recheck without a connection, the last settled effect's after-image. What is gone or other is in doubt: nobody but the operator can say
 * whether later steps may build on it. */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "coord.h"

/* The effect that touched an object last. */
struct trace {
	const struct hist_effect *effect;
	const struct target_type *type;
	const char *path;
	const struct hist_step *step;
};

struct traces {
	struct map index; /* by ref */
	struct trace *list;
	uint32_t n, cap;
};

/* Is it a ref ("target path") of this target, to an object that is rechecked? */
static bool
is_rechecked(const struct target *t, const char *ref, const char *space)
{
	const size_t len = (size_t)(space - ref);
	const char *under = t->type->recheck_under;

	return t->type->recheck != NULL && strlen(t->name) == len && memcmp(t->name, ref, len) == 0 &&
	       (under == NULL || strncmp(space + 1, under, strlen(under)) == 0);
}

/* The kind of a ref that is rechecked, or NULL. */
static const struct target_type *
kind_of(const struct coord *c, const char *ref, const char **ret_path)
{
	const char *space = ref != NULL ? strchr(ref, ' ') : NULL;

	if (space == NULL)
		return NULL;
	*ret_path = space + 1;
	for (size_t i = 0; i < c->nlocals; i++)
		if (is_rechecked(&c->locals[i], ref, space))
			return c->locals[i].type;
	for (size_t i = 0; i < c->plan->ntargets; i++)
		if (is_rechecked(&c->scopes[0]->own[i], ref, space))
			return c->scopes[0]->own[i].type;
	return NULL;
}

static void
collect(struct coord *c, struct traces *t, const struct hist_step *step, const struct hist_effect *e)
{
	struct trace found = { .effect = e, .step = step };
	const struct plan *in;
	uint32_t at;

	found.type = kind_of(c, e->ref, &found.path);
	if (found.type == NULL || e->undone || plan_find_path(c->plan, step->path, &in) == MAP_NONE)
		return;
	at = map_add(&t->index, e->ref, strlen(e->ref), t->n);
	if (at != MAP_NONE) {
		if (t->list[at].effect->seq < e->seq)
			t->list[at] = found;
		return;
	}
	if (t->n == t->cap) {
		t->cap = t->cap ? t->cap * 2 : 16;
		t->list = xreallocarray(t->list, t->cap, sizeof(*t->list));
	}
	t->list[t->n++] = found;
}

/* Whoever has not settled, was judged by the operator or is to happen again leaves nothing to compare with. */
static int
recheck(struct coord *c, const struct trace *t, struct err *err)
{
	const struct hist_effect *e = t->effect;
	struct opctx op = { .arena = &c->eval, .deadline = NEVER, .cancel = &c->shared.cancel, .cancel_fd = c->shared.cancel_fd,
		.run = c->shared.run, .step = t->step->path, .mark = c->shared.mark, .epoch = c->shared.epoch, .scratch = c->shared.dir };
	const uint32_t live = live_find(c, c->scopes[0], t->step->path);
	struct value after;

	if (live != NO_LIVE && c->live[live].anew)
		return 0;
	if ((e->state != EFFECT_OK && e->state != EFFECT_UNCHANGED) || !hist_has(e, IMAGE_AFTER))
		return 0;
	arena_reset(&c->eval);
	if (hist_value(e, IMAGE_AFTER, &c->eval, &after, err) < 0)
		return -1;
	return t->type->recheck(&op, t->path, &after, err);
}

/* The first is the reason of the pause, the others are told beside it; all are on record. */
static void
doubt(struct coord *c, const struct trace *t, const struct err *why)
{
	const char *step = t->step->path;
	struct event e = { .kind = EVENT_NOTE, .run = c->shared.run, .plan = c->plan->name, .step = step, .steps = c->nlive,
		.wall = clock_wall_ms() };
	struct err err = ERR_INIT;

	err_set(&err, ERR_IN_DOUBT, "%s; put it back and resume, or say whether it may stay so (--done) or is to be done again "
		"(--not-done)", why->msg);
	next_resolve(&err, c->shared.run, step);
	coord_record(c, &(struct record){ .type = REC_DOUBT, .step = step, .effect = t->effect->number, .msg = why->msg,
		.next = err.next }, true);
	e.msg = why->msg;
	if (c->pausing)
		report_event(c->o->report, &e);
	coord_pause(c, step, &err);
}

void
coord_recheck(struct coord *c)
{
	struct traces t = { .index = MAP_INIT };
	const struct history *h = c->o->history;

	for (uint32_t i = 0; i < h->nsteps && h->effects > 0; i++)
		for (const struct hist_effect *e = h->steps[i].undo ? NULL : h->steps[i].effects; e != NULL; e = e->next)
			collect(c, &t, &h->steps[i], e);
	for (uint32_t i = 0; i < t.n && c->signo == 0; i++) {
		struct err why = ERR_INIT;

		if (recheck(c, &t.list[i], &why) < 0)
			doubt(c, &t.list[i], &why);
		coord_signals(c);
	}
	map_done(&t.index);
	free(t.list);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* What a run leaves as it is until it, or a plan inside of it, closes: frozen sources and the like. */
#include "cmd.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/text.h"

/* The last effect of a step that stands, or NULL. */
static const struct hist_effect *
standing_effect(const struct hist_step *s)
{
	const struct hist_effect *last = NULL;

	for (const struct hist_effect *e = s->undo ? NULL : s->effects; e != NULL; e = e->next)
		if (history_stands(e))
			last = e;
	return last;
}

/* until: who closes; last: the path of the step of `finally`. */
static void
put(const struct hist_step *s, const char *until, const char *last, struct buf *to)
{
	const struct hist_effect *e = standing_effect(s);
	char when[32];

	buf_printf(to, "left    %s, since %s", s->path, clock_text(s->ended > 0 ? s->ended : s->started, when));
	if (e->says != NULL) {
		buf_puts(to, ": ");
		text_escape(to, e->says, strlen(e->says));
	}
	buf_printf(to, "; until %s closes ('%s')\n", until, last);
}

/* The step of that path, or of what is inside of it the first one that has left something. */
static const struct hist_step *
first_left(const struct history *h, const char *path)
{
	const struct hist_step *own = history_step(h, path);
	const size_t len = strlen(path);

	if (own != NULL && standing_effect(own) != NULL)
		return own;
	for (uint32_t i = 0; i < h->nsteps; i++)
		if (strncmp(h->steps[i].path, path, len) == 0 && (h->steps[i].path[len] == '/' || h->steps[i].path[len] == '[') &&
		    standing_effect(&h->steps[i]) != NULL)
			return &h->steps[i];
	return NULL;
}

/* What a step has done that `finally` takes back, or, where nothing takes it back, that a step there looks at. */
static void
put_of(const struct plan *plan, uint32_t finally, const struct history *h, struct buf *to)
{
	const struct step *last = &plan->steps[finally];

	for (uint32_t n = 0; n < last->need_count; n++) {
		const struct need *need = &plan->needs[last->need_first + n];
		const char *reach = last->undoes == need->to ? plan_reach_of(plan, finally) : NULL;
		const struct step *step = &plan->steps[need->to];
		const struct hist_step *s =
			step->undone && last->undoes != need->to ? NULL : first_left(h, reach != NULL ? reach : step->id);

		if (s != NULL)
			put(s, "the run", last->id, to);
	}
}

/* The same of a child that is open: its `finally` is its own. */
static void
put_inside(const struct plan *plan, const struct history *h, const struct hist_step *s, struct buf *to)
{
	const char *name = strrchr(s->path, '/');
	const bool inside = name != NULL && (strchr(name, ']') == NULL || strchr(name, '[') != NULL); /* not within a key */
	const struct plan *in;
	const uint32_t at = inside && standing_effect(s) != NULL ? plan_find_path(plan, s->path, &in) : MAP_NONE;

	for (uint32_t k = at != MAP_NONE ? in->nmain : 0; at != MAP_NONE && k < in->nsteps; k++) {
		const struct step *f = &in->steps[k];
		char *last = xasprintf("%.*s%s", (int)(name + 1 - s->path), s->path, f->id);
		const struct hist_step *done = history_step(h, last);

		for (uint32_t n = 0; n < f->need_count; n++)
			if (in->needs[f->need_first + n].to == at && (done == NULL || done->status != STEP_DONE) &&
			    (f->undoes == at || !in->steps[at].undone))
				put(s, "its plan", last, to);
		free(last);
	}
}

void
front_put_left(const struct plan *plan, const struct history *h, struct buf *to)
{
	for (uint32_t i = plan->nmain; i < plan->nsteps; i++) {
		const struct hist_step *done = history_step(h, plan->steps[i].id);

		if (done == NULL || done->status != STEP_DONE)
			put_of(plan, i, h, to);
	}
	for (uint32_t i = 0; i < h->nsteps; i++)
		put_inside(plan, h, &h->steps[i], to);
}

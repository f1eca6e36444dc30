/* SPDX-License-Identifier: Apache-2.0 */
/* The fold of an edited plan: which text counts from here on, and which steps are there only to be taken back. */
#include "history.h"

#include <string.h>

/* They never run again: what has not finished counts as skipped, whatever it has done. */
static void
retire(struct history *h, const struct value *orphans)
{
	for (uint32_t i = 0; orphans != NULL && orphans->kind == V_LIST && i < orphans->len; i++) {
		const char *path = value_get_str(&orphans->items[i], "step", NULL);
		struct hist_step *s = path != NULL ? history_step(h, path) : NULL;

		if (s != NULL && s->status != STEP_DONE && s->status != STEP_UNCHANGED)
			s->status = STEP_SKIPPED;
	}
}

int
history_apply_plan(struct history *h, const struct record *r, struct err *err)
{
	struct arena scratch = ARENA_INIT;
	struct record whole = *r;
	int rc = record_values(&scratch, &whole, err);
	const char *at;

	if (rc == 0 && (whole.value == NULL || value_get(whole.value, "closure") == NULL))
		rc = err_set(err, ERR_REFUSED, "an edited plan without its text");
	if (rc == 0) {
		at = value_get_str(whole.value, "at", "");
		h->closure = history_keep(h, value_get(whole.value, "closure"));
		h->closure_at = arena_strdup(&h->arena, at);
		h->params = history_keep(h, value_get(whole.value, "params"));
		h->plan = arena_strdup(&h->arena, value_get_str(whole.value, "plan", ""));
		h->orphans = history_keep(h, value_get(whole.value, "orphans"));
		h->edits++;
		retire(h, value_get(whole.value, "orphans"));
	}
	arena_done(&scratch);
	return rc;
}

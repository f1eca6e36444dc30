/* SPDX-License-Identifier: Apache-2.0 */
/* Owns how the steps of a fold lie within each other: the items of a `foreach` and the steps of a plan that a step runs are
 * inside of that step, which is in the fold as soon as anything inside of it is. So all that is inside of one step is
 * found without a look at the others. */
#include "history.h"

#include <string.h>

#define DEPTH_MAX 64 /* of what is inside of each other; plans go down to PLAN_MAX_DEPTH, with an item at each */

/* How much of a path is that of the step around it; 0: it is in none. A key may hold anything but ']'. */
static size_t
around_len(const char *path)
{
	size_t at = strcspn(path, "/["), around = 0;

	for (int depth = 0; path[at] != '\0'; depth++) {
		const char *end = path[at] == '[' ? strchr(path + at, ']') : &path[at];

		if (end == NULL || depth == DEPTH_MAX)
			return 0;
		around = at;
		at = (size_t)(end - path) + 1;
		at += strcspn(path + at, "/[");
	}
	return around;
}

void
history_lay(struct history *h, uint32_t at)
{
	const char *path = h->steps[at].path;
	const size_t len = around_len(path);
	struct hist_step *around;
	uint32_t i;

	if (len == 0)
		return;
	i = map_get(&h->index, path, len);
	around = i != MAP_NONE ? &h->steps[i] : history_take(h, arena_strndup(&h->arena, path, len));
	if (around->inside == 0)
		around->inside = at + 1;
	else
		h->steps[around->newest - 1].beside = at + 1;
	around->newest = at + 1;
	h->steps[at].around = (uint32_t)(around - h->steps) + 1;
}

struct hist_step *
history_inside(const struct history *h, const struct hist_step *of, const struct hist_step *at)
{
	if (at->inside != 0)
		return &h->steps[at->inside - 1];
	while (at != of && at->beside == 0)
		at = &h->steps[at->around - 1];
	return at != of ? &h->steps[at->beside - 1] : NULL;
}

struct hist_step *
history_next(const struct history *h, const struct hist_step *of, const struct hist_step *at)
{
	const uint32_t next = at != NULL ? (uint32_t)(at - h->steps) + 1 : 0;

	if (of != NULL)
		return history_inside(h, of, at != NULL ? at : of);
	return next < h->nsteps ? &h->steps[next] : NULL;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Owns the predicted world of a dry-run as a list of entries, newest first. A read that an entry only touches in part
 * (a range that holds a predicted key, an object inside an unknowable range) is UNKNOWN: nothing is invented. */
#include "overlay.h"

#include <string.h>

struct overlay_entry {
	struct overlay_entry *older;
	const struct target *target;
	const char *path;
	struct value after;
	bool unknowable;
};

static void
push(struct overlay *o, const struct target *t, const char *path, struct value after, bool unknowable)
{
	struct overlay_entry *e = arena_alloc(&o->arena, sizeof(*e));

	*e = (struct overlay_entry){ .older = o->newest, .target = t, .path = arena_strdup(&o->arena, path),
		.after = after, .unknowable = unknowable };
	o->newest = e;
}

void
overlay_done(struct overlay *o)
{
	arena_done(&o->arena);
	o->newest = NULL;
}

void
overlay_put(struct overlay *o, const struct target *t, const char *path, const struct value *after,
	    const char *const *unknowable)
{
	for (; unknowable != NULL && *unknowable != NULL; unknowable++)
		push(o, t, *unknowable, value_unknown("an earlier step changes it"), true);
	push(o, t, path, value_copy(&o->arena, after), false);
}

static bool
covers(const struct target *t, const char *wide, const char *path)
{
	size_t len = strlen(wide);

	if (strcmp(wide, "*") == 0)
		return true;
	if (t->type->covers != NULL)
		return t->type->covers(wide, path);
	if (len > 0 && wide[len - 1] == '*')
		return strncmp(wide, path, len - 1) == 0;
	return strcmp(wide, path) == 0;
}

bool
overlay_get(const struct overlay *o, const struct target *t, const char *path, struct value *ret)
{
	for (const struct overlay_entry *e = o->newest; e != NULL; e = e->older) {
		if (e->target != t)
			continue;
		if (!e->unknowable && strcmp(e->path, path) == 0) {
			*ret = e->after;
			return true;
		}
		if (covers(t, e->path, path) || covers(t, path, e->path)) {
			*ret = value_unknown("an earlier step changes it");
			return true;
		}
	}
	return false;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Owns the predicted world of a dry-run as a list of entries, newest first. A read that an entry only touches in part
 * (a range that holds a predicted key, an object inside an unknowable range) is UNKNOWN: nothing is invented. Plain paths
 * are found through a map; only paths that may cover others are searched. */
#include "overlay.h"

#include <stdlib.h>
#include <string.h>

struct overlay_entry {
	struct overlay_entry *older, *older_wide;
	const struct target *target;
	const char *path;
	struct value after;
	uint64_t number;
	bool unknowable;
};

static bool
is_plain(const struct target *t, const char *path)
{
	const size_t len = strlen(path);

	if (strcmp(path, "*") == 0)
		return false;
	if (t->type->plain != NULL)
		return t->type->plain(path);
	return t->type->covers == NULL && (len == 0 || path[len - 1] != '*');
}

/* Valid until the next call. */
static const char *
key_of(struct overlay *o, const struct target *t, const char *path)
{
	arena_reset(&o->scratch);
	return arena_printf(&o->scratch, "%p %s", (const void *)t, path);
}

static void
remember(struct overlay *o, struct overlay_entry *e)
{
	const char *key = key_of(o, e->target, e->path);
	const uint32_t at = map_get(&o->index, key, strlen(key));

	if (at != MAP_NONE) {
		o->latest[at] = e;
		return;
	}
	if (o->n == o->cap) {
		o->cap = o->cap ? o->cap * 2 : 16;
		o->latest = xreallocarray(o->latest, o->cap, sizeof(struct overlay_entry *));
	}
	o->latest[o->n] = e;
	(void)map_add(&o->index, arena_strdup(&o->arena, key), strlen(key), o->n++);
}

static void
push(struct overlay *o, const struct target *t, const char *path, struct value after, bool unknowable)
{
	struct overlay_entry *e;

	if (unknowable && o->newest != NULL && o->newest->unknowable && o->newest->target == t &&
	    strcmp(o->newest->path, path) == 0)
		return;
	e = arena_alloc(&o->arena, sizeof(*e));
	*e = (struct overlay_entry){ .older = o->newest, .target = t, .path = arena_strdup(&o->arena, path),
		.after = after, .unknowable = unknowable, .number = ++o->count };
	o->newest = e;
	if (is_plain(t, path)) {
		remember(o, e);
	} else {
		e->older_wide = o->newest_wide;
		o->newest_wide = e;
	}
}

void
overlay_done(struct overlay *o)
{
	map_done(&o->index);
	free(o->latest);
	arena_done(&o->scratch);
	arena_done(&o->arena);
	*o = (struct overlay){ 0 };
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

/* The newest entry that tells about path, or NULL. */
static const struct overlay_entry *
find(struct overlay *o, const struct target *t, const char *path)
{
	const struct overlay_entry *e = NULL, *wide;
	const char *key;
	uint32_t at;

	if (!is_plain(t, path)) {
		for (e = o->newest; e != NULL; e = e->older)
			if (e->target == t && (covers(t, e->path, path) || covers(t, path, e->path)))
				break;
		return e;
	}
	key = key_of(o, t, path);
	at = map_get(&o->index, key, strlen(key));
	if (at != MAP_NONE)
		e = o->latest[at];
	for (wide = o->newest_wide; wide != NULL && (e == NULL || wide->number > e->number); wide = wide->older_wide)
		if (wide->target == t && covers(t, wide->path, path))
			return wide;
	return e;
}

bool
overlay_get(struct overlay *o, const struct target *t, const char *path, struct value *ret)
{
	const struct overlay_entry *e = find(o, t, path);

	if (e == NULL)
		return false;
	*ret = !e->unknowable && strcmp(e->path, path) == 0 ? e->after : value_unknown("an earlier step changes it");
	return true;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Where a step stands among all scopes: what it opens, its path, its place in the ready queue, and the pools of its
 * scope. */
#include <string.h>

#include "coord.h"

enum live_kind
live_kind(const struct coord *c, uint32_t live)
{
	const struct step *s = step_of(c, live);

	if (s->each && scope_of(c, live)->items == NULL)
		return LIVE_EACH;
	return s->type == &sub_step ? LIVE_PLAN : LIVE_STEP;
}

struct scope *
scope_inside(const struct coord *c, uint32_t live)
{
	if (!c->live[live].open)
		return NULL;
	return c->scopes[map_get(&c->inside, (const char *)&live, sizeof(live))];
}

bool
scope_is_within(const struct scope *s, const struct scope *outer)
{
	while (s != NULL && s != outer)
		s = s->parent;
	return s != NULL;
}

int64_t
live_key(const struct coord *c, uint32_t live)
{
	const uint32_t half = UINT32_C(1) << 31;
	const struct scope *s = scope_of(c, live), *up = s;
	uint32_t top = live, low = 0;

	if (s->parent != NULL) /* plain steps as they came; of those that open a scope, those of the newest scope first */
		low = live_kind(c, live) == LIVE_STEP ? live : half + (half - s->base - s->n) + (live - s->base);
	for (; up->parent != NULL; up = up->parent)
		top = up->owner;
	return (int64_t)top << 32 | low;
}

uint32_t
live_find(const struct coord *c, const struct scope *s, const char *path)
{
	while (s != NULL) {
		const size_t len = strcspn(path, "/[");
		const uint32_t i = plan_find(s->plan, path, len);
		uint32_t live = i != MAP_NONE ? s->base + i : NO_LIVE;

		path += len;
		if (live != NO_LIVE && path[0] == '[') {
			const struct scope *items = scope_inside(c, live);
			const size_t key = strcspn(path, "]");
			const uint32_t k = items != NULL ? map_get(&items->keys, path + 1, key - 1) : MAP_NONE;

			live = k != MAP_NONE && path[key] == ']' ? items->base + k : NO_LIVE;
			path += live != NO_LIVE ? key + 1 : 0;
		}
		if (live == NO_LIVE || path[0] == '\0')
			return live;
		if (path[0] != '/')
			return NO_LIVE;
		path++;
		s = scope_inside(c, live);
	}
	return NO_LIVE;
}

uint32_t
live_next(const struct coord *c, const struct scope *of, uint32_t live)
{
	const struct scope *in = scope_inside(c, live);

	if (in != NULL && in->n > 0)
		return in->base;
	for (const struct scope *s = scope_of(c, live); live + 1 == s->base + s->n; s = s->parent) {
		if (s == of)
			return NO_LIVE;
		live = s->owner;
	}
	return live + 1;
}

static struct slots *
slots_of(const struct coord *c, uint32_t live)
{
	const struct step *s = step_of(c, live);

	return s->pool != 0 && live_kind(c, live) != LIVE_EACH ? &scope_of(c, live)->home->slots[s->pool - 1] : NULL;
}

bool
slot_take(struct coord *c, uint32_t live, int64_t key)
{
	struct slots *p = slots_of(c, live);

	if (p == NULL || c->live[live].slot)
		return true;
	if (p->used >= scope_of(c, live)->plan->pools[step_of(c, live)->pool - 1].limit) {
		heap_push(&p->waiting, key, live);
		return false;
	}
	p->used++;
	c->live[live].slot = true;
	return true;
}

void
slot_leave(struct coord *c, uint32_t live)
{
	struct slots *p = slots_of(c, live);

	c->live[live].slot = false;
	p->used--;
	if (p->waiting.n > 0) {
		const struct heap_item item = heap_pop(&p->waiting);

		heap_push(&c->ready, item.key, item.step);
	}
}

void
slots_wake(struct coord *c, struct scope *s)
{
	for (uint32_t i = 0; s->slots != NULL && i < s->plan->npools; i++)
		while (s->slots[i].waiting.n > 0) {
			const struct heap_item item = heap_pop(&s->slots[i].waiting);

			heap_push(&c->ready, item.key, item.step);
		}
}

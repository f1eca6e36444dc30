/* SPDX-License-Identifier: Apache-2.0 */
/* Owns a binary min-heap; ties go to the smaller step, so that the order is the same in every run. */
#include "heap.h"

#include <stdbool.h>
#include <stdlib.h>

#include "base/arena.h"

static bool
before(const struct heap_item *a, const struct heap_item *b)
{
	return a->key < b->key || (a->key == b->key && a->step < b->step);
}

void
heap_push(struct heap *h, int64_t key, uint32_t step)
{
	const struct heap_item item = { key, step };
	size_t i = h->n++;

	if (h->n > h->cap) {
		h->cap = h->cap ? h->cap * 2 : 64;
		h->list = xreallocarray(h->list, h->cap, sizeof(*h->list));
	}
	for (; i > 0 && before(&item, &h->list[(i - 1) / 2]); i = (i - 1) / 2)
		h->list[i] = h->list[(i - 1) / 2];
	h->list[i] = item;
}

struct heap_item
heap_pop(struct heap *h)
{
	const struct heap_item top = h->list[0], last = h->list[--h->n];
	size_t i = 0, child;

	while ((child = 2 * i + 1) < h->n) {
		if (child + 1 < h->n && before(&h->list[child + 1], &h->list[child]))
			child++;
		if (!before(&h->list[child], &last))
			break;
		h->list[i] = h->list[child];
		i = child;
	}
	h->list[i] = last;
	return top;
}

void
heap_done(struct heap *h)
{
	free(h->list);
	*h = (struct heap){ 0 };
}

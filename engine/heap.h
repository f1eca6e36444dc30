/* SPDX-License-Identifier: Apache-2.0 */
/* A binary heap of step numbers by key: the ready queue (by plan order) and the timers (by time). */
#ifndef WHERRY_HEAP_H
#define WHERRY_HEAP_H

#include <stddef.h>
#include <stdint.h>

struct heap_item {
	int64_t key;
	uint32_t step;
};
struct heap {
	struct heap_item *list;
	size_t n, cap;
};

void heap_push(struct heap *, int64_t key, uint32_t step);
/* The smallest; the heap must not be empty. */
struct heap_item heap_pop(struct heap *);
void heap_done(struct heap *);

#endif

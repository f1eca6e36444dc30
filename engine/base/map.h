/* SPDX-License-Identifier: Apache-2.0 */
/* A hash table from byte strings to 32-bit numbers (indices of the caller's array). Keys are borrowed. */
#ifndef WHERRY_BASE_MAP_H
#define WHERRY_BASE_MAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct map_slot;
struct map {
	struct map_slot *slots;
	uint32_t cap, used;
	uint64_t seed; /* random: names come from plans and servers */
};

#define MAP_INIT ((struct map){ 0 })
#define MAP_NONE UINT32_MAX

/* Add key with number v; returns the number already there, or MAP_NONE when it was new. */
uint32_t map_add(struct map *m, const char *key, size_t len, uint32_t v);
/* The number of key, or MAP_NONE. */
uint32_t map_get(const struct map *m, const char *key, size_t len);
void map_done(struct map *m);

#endif

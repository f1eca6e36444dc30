/* SPDX-License-Identifier: Apache-2.0 */
/* A hash table from byte strings to 32-bit numbers (indices of the caller's array). Keys are borrowed. */
#ifndef WHERRY_BASE_MAP_H
#define WHERRY_BASE_MAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct arena;
struct map_slot;
struct map_entry;
struct map {
	struct map_slot *slots;
	struct map_entry *entries;
	uint32_t cap, used;
	uint64_t seed; /* random: names come from plans and servers */
};

#define MAP_INIT ((struct map){ 0 })
#define MAP_NONE UINT32_MAX

/* Add key with number v; returns the number already there, or MAP_NONE when it was new. */
uint32_t map_add(struct map *m, const char *key, size_t len, uint32_t v);
/* As map_add, but a new key is copied into the arena (NULL: borrowed); *ret_key is the one that the map has. */
uint32_t map_keep(struct map *m, struct arena *a, const char *key, size_t len, uint32_t v, const char **ret_key);
/* Make room for n keys in all. */
void map_reserve(struct map *m, uint32_t n);
/* The number of key, or MAP_NONE. */
uint32_t map_get(const struct map *m, const char *key, size_t len);
void map_done(struct map *m);

#endif

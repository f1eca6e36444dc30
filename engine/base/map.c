/* SPDX-License-Identifier: Apache-2.0 */
/* Owns an open-addressing table, at most half full, of small slots: what they stand for lies elsewhere, one after the other, so
 * that a new key touches little memory. The hash is SipHash-1-3 under a random seed, since whoever
 * writes a plan or runs a server chooses the keys. Nothing is ever removed, so a probe ends at the first empty slot. */
#include "base/map.h"

#include "base/arena.h"
#include "base/hash.h"

#include <stdlib.h>
#include <string.h>

#define CAP_MIN 16

struct map_slot {
	uint32_t hash, at; /* at: 1 and up, of its entry; 0: empty */
};

struct map_entry {
	const char *key;
	uint32_t len, v; /* whoever makes a key bounds it far below that */
};

static void
sip_round(uint64_t v[4])
{
	v[0] += v[1];
	v[2] += v[3];
	v[1] = (v[1] << 13 | v[1] >> 51) ^ v[0];
	v[3] = (v[3] << 16 | v[3] >> 48) ^ v[2];
	v[0] = v[0] << 32 | v[0] >> 32;
	v[2] += v[1];
	v[0] += v[3];
	v[1] = (v[1] << 17 | v[1] >> 47) ^ v[2];
	v[3] = (v[3] << 21 | v[3] >> 43) ^ v[0];
	v[2] = v[2] << 32 | v[2] >> 32;
}

/* Names that differ in their last byte only, as those that are numbered do, stand side by side: they are asked for in turn, and a
 * look far away costs more than the hash. No more than 32 of them can want the same slot. */
static uint32_t
hash_of(uint64_t seed, const char *key, size_t len)
{
	const uint32_t side = len > 0 ? (unsigned char)key[--len] & 7 : 0;
	uint64_t v[4] = { seed ^ 0x736f6d6570736575, seed ^ 0x646f72616e646f6d,
			  seed ^ 0x6c7967656e657261, seed ^ 0x7465646279746573 };
	uint64_t word, last = (uint64_t)len << 56;
	size_t at;

	for (at = 0; len - at >= 8; at += 8) {
		memcpy(&word, key + at, 8);
		v[3] ^= word;
		sip_round(v);
		v[0] ^= word;
	}
	for (unsigned shift = 0; at < len; at++, shift += 8)
		last |= (uint64_t)(unsigned char)key[at] << shift;
	v[3] ^= last;
	sip_round(v);
	v[0] ^= last;
	v[2] ^= 0xff;
	sip_round(v);
	sip_round(v);
	sip_round(v);
	word = v[0] ^ v[1] ^ v[2] ^ v[3];
	return ((uint32_t)(word ^ word >> 32) & ~7U) | side;
}

/* The slot of key, or the empty one where it belongs. The map has at least one empty slot. */
static struct map_slot *
find(const struct map *m, const char *key, size_t len, uint32_t hash)
{
	const struct map_entry *e;
	struct map_slot *s;

	for (uint32_t i = hash;; i++) {
		s = &m->slots[i & (m->cap - 1)];
		if (s->at == 0)
			return s;
		e = &m->entries[s->at - 1];
		if (s->hash == hash && e->len == len && memcmp(e->key, key, len) == 0)
			return s;
	}
}

static void
resize(struct map *m, uint32_t cap)
{
	struct map_slot *slots;
	uint32_t to;

	if (m->cap == 0)
		random_bytes(&m->seed, sizeof(m->seed));
	/* Written, not calloc'ed: a page that is read before it is written costs two faults. */
	slots = xreallocarray(NULL, cap, sizeof(*slots));
	memset(slots, 0, cap * sizeof(*slots));
	for (uint32_t i = 0; i < m->cap; i++) {
		if (m->slots[i].at == 0)
			continue;
		for (to = m->slots[i].hash & (cap - 1); slots[to].at != 0; to = (to + 1) & (cap - 1))
			;
		slots[to] = m->slots[i];
	}
	free(m->slots);
	m->slots = slots;
	m->cap = cap;
	m->entries = xreallocarray(m->entries, cap / 2, sizeof(*m->entries));
}

void
map_reserve(struct map *m, uint32_t n)
{
	uint32_t cap = m->cap ? m->cap : CAP_MIN;

	while (cap / 2 < n) {
		if (cap > UINT32_MAX / 2)
			abort();
		cap *= 2;
	}
	if (cap > m->cap)
		resize(m, cap);
}

uint32_t
map_add(struct map *m, const char *key, size_t len, uint32_t v)
{
	const char *kept;

	return map_keep(m, NULL, key, len, v, &kept);
}

uint32_t
map_keep(struct map *m, struct arena *a, const char *key, size_t len, uint32_t v, const char **ret_key)
{
	struct map_slot *s;
	uint32_t hash;

	if (len == 0)
		key = "";
	if (m->used >= m->cap / 2)
		map_reserve(m, m->used + 1);
	hash = hash_of(m->seed, key, len);
	s = find(m, key, len, hash);
	if (s->at != 0) {
		*ret_key = m->entries[s->at - 1].key;
		return m->entries[s->at - 1].v;
	}
	*ret_key = a != NULL ? arena_strndup(a, key, len) : key;
	m->entries[m->used++] = (struct map_entry){ .key = *ret_key, .len = (uint32_t)len, .v = v };
	*s = (struct map_slot){ .hash = hash, .at = m->used };
	return MAP_NONE;
}

uint32_t
map_get(const struct map *m, const char *key, size_t len)
{
	const struct map_slot *s;

	if (m->used == 0)
		return MAP_NONE;
	if (len == 0)
		key = "";
	s = find(m, key, len, hash_of(m->seed, key, len));
	return s->at != 0 ? m->entries[s->at - 1].v : MAP_NONE;
}

void
map_done(struct map *m)
{
	free(m->slots);
	free(m->entries);
	*m = MAP_INIT;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Owns the memory of a watch: a key and a number for each object, and nothing of what it holds. */
#include "steps/target/kube_known.h"

#include <stdlib.h>
#include <string.h>

/* Those that are gone leave their keys behind; where pods come and go, these would grow for ever. */
static void
sweep(struct kube_known *k)
{
	struct kube_known kept = { .list = k->list };

	for (uint32_t i = 0; i < k->n; i++)
		if (k->entries[i].list != 0) {
			(void)kube_known_set(&kept, k->entries[i].key, k->entries[i].revision);
			kept.entries[kept.n - 1].list = k->entries[i].list;
		}
	kube_known_done(k);
	*k = kept;
}

void
kube_known_begin(struct kube_known *k)
{
	k->list++;
}

bool
kube_known_set(struct kube_known *k, const char *key, int64_t revision)
{
	uint32_t at = map_keep(&k->map, &k->arena, key, strlen(key), k->n, &key);
	bool news;

	if (at == MAP_NONE) {
		if (k->n == k->cap) {
			k->cap = k->cap ? k->cap * 2 : 64;
			k->entries = xreallocarray(k->entries, k->cap, sizeof(*k->entries));
		}
		at = k->n++;
		k->entries[at] = (struct kube_known_entry){ .key = key };
	}
	news = k->entries[at].list == 0 || revision == 0 || k->entries[at].revision != revision;
	k->entries[at].revision = revision;
	k->entries[at].list = k->list;
	return news;
}

void
kube_known_drop(struct kube_known *k, const char *key)
{
	const uint32_t at = map_get(&k->map, key, strlen(key));

	if (at == MAP_NONE || k->entries[at].list == 0)
		return;
	k->entries[at].list = 0;
	if (++k->dropped > k->n / 2 && k->dropped > 1000)
		sweep(k);
}

void
kube_known_end(struct kube_known *k, void (*gone)(void *data, const char *key), void *data)
{
	for (uint32_t i = 0; i < k->n; i++)
		if (k->entries[i].list != 0 && k->entries[i].list != k->list) {
			k->entries[i].list = 0;
			gone(data, k->entries[i].key);
		}
}

void
kube_known_done(struct kube_known *k)
{
	map_done(&k->map);
	free(k->entries);
	arena_done(&k->arena);
}

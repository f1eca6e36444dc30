/* SPDX-License-Identifier: Apache-2.0 */
/* Which objects a watch has handed over, and in which version: so that a list made anew can be told as a difference. */
#ifndef WHERRY_TARGET_KUBE_KNOWN_H
#define WHERRY_TARGET_KUBE_KNOWN_H

#include "base/arena.h"
#include "base/map.h"

struct kube_known_entry {
	const char *key;
	int64_t revision;
	uint32_t list;  /* the list in which it was there; 0: it is gone */
};
struct kube_known {
	struct arena arena;
	struct map map; /* key: index */
	struct kube_known_entry *entries;
	uint32_t n, cap, dropped, list;
};

/* A list begins. */
void kube_known_begin(struct kube_known *k);
/* It is there in this version. Is that news? revision 0: not known, so it is. */
bool kube_known_set(struct kube_known *k, const char *key, int64_t revision);
void kube_known_drop(struct kube_known *k, const char *key);
/* The list has ended: what was known and not in it is told, and gone. */
void kube_known_end(struct kube_known *k, void (*gone)(void *data, const char *key), void *data);
void kube_known_done(struct kube_known *k);

#endif

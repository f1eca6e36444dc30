/* SPDX-License-Identifier: Apache-2.0 */
/* Owns what is known of a run's claims: a claim that was held and not released has to be there when the run writes again,
 * under a nonce that its journal knows. */
#include "holds.h"

#include <string.h>

#include "target.h"

struct hold {
	struct hold *next;
	const char *target, *kind, *ref;
};

static bool
same_owner(const struct hold *h, const struct record *r)
{
	return strcmp(h->target, r->target) == 0 && strcmp(h->kind, r->kind) == 0;
}

static void
add(struct holds *holds, struct arena *a, const struct record *r)
{
	struct hold *h;

	if (r->ref == NULL || holds_have(holds, r))
		return;
	h = arena_alloc(a, sizeof(*h));
	*h = (struct hold){ .next = holds->first, .target = arena_strdup(a, r->target), .kind = arena_strdup(a, r->kind),
			    .ref = arena_strdup(a, r->ref) };
	holds->first = h;
}

static void
release(struct holds *holds, const struct record *r)
{
	struct hold **at = &holds->first;

	while (*at != NULL)
		if (same_owner(*at, r))
			*at = (*at)->next;
		else
			at = &(*at)->next;
}

void
holds_apply(struct holds *holds, struct arena *a, const struct record *r)
{
	struct nonce *n;

	if (r->type == REC_INTENT && r->class != NULL && strcmp(r->class, "cursor") == 0 && r->nonce != NULL) {
		n = arena_alloc(a, sizeof(*n));
		*n = (struct nonce){ .next = holds->nonces, .text = arena_strdup(a, r->nonce) };
		holds->nonces = n;
	} else if (r->type == REC_CLAIM && r->target != NULL && r->kind != NULL && r->status != NULL) {
		if (strcmp(r->status, "held") == 0)
			add(holds, a, r);
		else
			release(holds, r);
	}
}

bool
holds_have(const struct holds *holds, const struct record *r)
{
	for (const struct hold *h = holds->first; h != NULL; h = h->next)
		if (same_owner(h, r) && r->ref != NULL && strcmp(h->ref, r->ref) == 0)
			return true;
	return false;
}

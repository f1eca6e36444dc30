/* SPDX-License-Identifier: Apache-2.0 */
/* Pages of a list, for kube_list and for what a watch begins with. */
#ifndef WHERRY_TARGET_KUBE_LIST_H
#define WHERRY_TARGET_KUBE_LIST_H

#include "steps/target/kube.h"
#include "steps/target/kube_split.h"

struct kube_pages {
	struct kube_path path;
	int64_t limit;
	bool keys_only;
	bool whole;               /* of one moment: a 410 ends it */
	bool expired;             /* it has */
	const char *at;           /* more of the first page's query, or NULL */
	/* of the last page, in the arena of that call: */
	struct item *items;
	size_t n;
	const char *go_on;        /* "": it was the last one */
	const char *version;      /* the list's resourceVersion */
	int64_t left;             /* objects behind it, -1: not told */
	/* its own: */
	struct arena *arena;
	struct kube_split split;
	size_t cap, bytes;
	bool too_large;
};
void kube_pages_begin(struct kube_pages *pg, const struct kube_path *p);
/* The next page, into op's arena: the first, or the one at go_on, which outlives the call. */
int kube_pages_next(struct opctx *op, struct kube_conn *c, struct kube_pages *pg, struct err *err);
void kube_pages_done(struct kube_pages *pg);

#endif

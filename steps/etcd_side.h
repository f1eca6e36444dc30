/* SPDX-License-Identifier: Apache-2.0 */
/* Reading one side of a move, item by item in key order, with pages sized by bytes; and both sides merged. Ranges are
 * exact: etcd walks the index of all that remains in a range to answer a page of it. */
#ifndef WHERRY_STEPS_ETCD_SIDE_H
#define WHERRY_STEPS_ETCD_SIDE_H

#include "step.h"
#include "steps/etcd_ref.h"

/* What becomes of keys with a lease: not there, as any other, or with a lease of the remaining time. */
enum etcd_leases { ETCD_LEASES_SKIP, ETCD_LEASES_DROP, ETCD_LEASES_KEEP };
enum etcd_leases etcd_leases_of(const char *word);

/* A range being read. Set the first group, then begin a range as often as wanted; zeroed is the start. */
struct etcd_side {
	struct target *on;
	const struct etcd_span *span;
	bool source;         /* source keys of the span, or destination keys */
	bool keys_only;
	bool skip_leased;    /* leased items are not there */
	int64_t revision;    /* to read at, 0: the current one */
	size_t want;         /* bytes a page; 0: 512 KiB */
	void (*turn)(void *data); /* called before the items of a page go, as another one is read; may be NULL */
	void *turn_data;

	int64_t limit;       /* items of the next page: learnt from the last ones */
	struct bytes end;
	struct buf next;     /* where the next page begins */
	struct arena memory; /* of the page */
	struct page page;
	size_t at;
	bool more;
	int64_t leased;      /* skipped in this range so far */
	int64_t lowest;      /* store revision of the oldest page of this range */
};
/* Begin [from, end); end is borrowed until the next begin. */
void etcd_side_begin(struct etcd_side *s, struct bytes from, struct bytes end);
/* After begin: these are all the items of the range, read at this store revision. They outlive the range. */
void etcd_side_give(struct etcd_side *s, struct item *items, size_t n, int64_t revision);
/* The next item that takes part; 1, 0 at the end. It lives until a later page of this side is read: at most until the
 * next call. */
int etcd_side_next(struct step_ctx *cx, struct etcd_side *s, const struct item **ret, struct err *err);
void etcd_side_done(struct etcd_side *s);

/* Both sides of a span by tail. One of the two is NULL where a key is only on the other side. */
struct etcd_pair {
	const struct item *src, *dst;
};
/* dst NULL: only the source. 1, 0 at the end of both. */
int etcd_pair_next(struct step_ctx *cx, struct etcd_side *src, struct etcd_side *dst, struct etcd_pair *ret,
		   struct err *err);

/* The store's revision now. */
int etcd_revision_now(struct step_ctx *cx, struct target *on, const struct etcd_span *span, bool source, int64_t *ret,
		      struct err *err);
/* The first destination key of the span into ret (text for people), or NULL when there is none. */
int etcd_first_existing(struct step_ctx *cx, struct target *to, const struct etcd_span *span, const char **ret,
			struct err *err);
/* -1 (ERR_PLAN) when both are one cluster and the ranges share keys. */
int etcd_check_apart(struct step_ctx *cx, struct target *from, struct target *to, const struct etcd_span *span,
		     struct err *err);
const char *etcd_shown(struct step_ctx *cx, struct bytes key);

#endif

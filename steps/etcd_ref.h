/* SPDX-License-Identifier: Apache-2.0 */
/* The pure half of the etcd family, over the paths that steps and target share (steps/target/etcd_paths.h): bodies
 * of effects, which keys of a source move and what they are called on the destination, and what a lane's cursor
 * holds. */
#ifndef WHERRY_STEPS_ETCD_REF_H
#define WHERRY_STEPS_ETCD_REF_H

#include "base/arena.h"
#include "base/buf.h"
#include "steps/target/etcd_paths.h"
#include "value.h"

/* What keys a write expects; none set: whatever is there. */
struct etcd_guard {
	bool absent;
	const struct bytes *value;
	int64_t revision;
};
struct value etcd_put_body(struct arena *a, struct bytes value, const struct etcd_guard *g);
struct value etcd_delete_body(struct arena *a, const struct etcd_guard *g);
/* scratch: a way back need not bring these keys again. */
struct value etcd_release_body(struct arena *a, const char *marker_prefix, const char *scope, bool scratch);

struct bytes etcd_text(const char *s);
/* The first key after `key`: key and a NUL. */
struct bytes etcd_next_key(struct arena *a, struct bytes key);

/* A key behind `last` before which about `times` as many keys lie as from `first` to `last`, if they go on as they did
 * there; up: the next one that differs so many bytes earlier, which lies much further. Never beyond `end`; a guess that
 * nothing but speed depends on. */
struct bytes etcd_reach(struct arena *a, struct bytes first, struct bytes last, uint64_t times, size_t up, struct bytes end);

/* Source keys under prefix move to the same tails under to_prefix, but for those under an excluded prefix (of the
 * source) and those that would land among wherry's own markers. */
struct etcd_span {
	struct bytes prefix, to_prefix; /* the ranges are [prefix, end) and [to_prefix, to_end) */
	struct bytes end, to_end;
	struct bytes markers;
	const struct bytes *exclude;
	size_t nexclude;
};
/* to_prefix NULL: as prefix. exclude NULL: nothing. -1 (ERR_PLAN): markers would lie over the whole destination. */
int etcd_span_init(struct arena *a, struct etcd_span *ret, const char *prefix, const char *to_prefix,
		   const struct value *exclude, const char *markers, struct err *err);
/* Does this source key move? This destination key: is it the place of one that does? Both lie in their range. */
bool etcd_span_moves(const struct etcd_span *s, struct bytes key);
bool etcd_span_holds(const struct etcd_span *s, struct bytes key);
/* Source key to destination key and back, and the end of a part of the source range. */
struct bytes etcd_span_to(struct arena *a, const struct etcd_span *s, struct bytes key);
struct bytes etcd_span_to_end(struct arena *a, const struct etcd_span *s, struct bytes end);
struct bytes etcd_span_back(struct arena *a, const struct etcd_span *s, struct bytes key);
/* Order of a source key and a destination key by what follows the prefixes. */
int etcd_span_cmp(const struct etcd_span *s, struct bytes key, struct bytes to_key);
/* Would the two ranges of one cluster share keys? */
bool etcd_span_overlaps(const struct etcd_span *s);

/* What a lane of a copy has done. revision: the lowest store revision of the pages it came from, 0: none yet. */
struct etcd_tally {
	int64_t keys, bytes, leased, adopted, removed, equal, revision;
};
void etcd_tally_add(struct etcd_tally *to, const struct etcd_tally *t);

/* A contiguous part [start, end) of the source range with a cursor of its own: all before `next` is done; next
 * equal to end: all of it. */
struct etcd_segment {
	unsigned lane;
	struct bytes start, next, end;
	struct etcd_tally tally;
	struct etcd_sheet *sheet; /* where its items have been read already (etcd_work.h); not part of the cursor */
	struct item *items;
	size_t nitems;
};
bool etcd_segment_done(const struct etcd_segment *s);
void etcd_segment_write(struct buf *to, const struct etcd_segment *s);
int etcd_segment_parse(struct arena *a, struct bytes cursor, unsigned lane, struct etcd_segment *ret, struct err *err);

/* The parts of [from, end) that no segment covers, in order. list is sorted by start on return. ret_gaps holds
 * n + 1; returns how many, each as {start, end}. */
struct etcd_gap {
	struct bytes from, end;
};
size_t etcd_gaps(struct etcd_segment *list, size_t n, struct bytes from, struct bytes end, struct etcd_gap *ret_gaps);

/* The cursor of a sync that began at `from`: everything up to this source revision has arrived. */
struct etcd_applied {
	int64_t from, revision, put, deleted;
};
void etcd_applied_write(struct buf *to, const struct etcd_applied *s);
int etcd_applied_parse(struct arena *a, struct bytes cursor, struct etcd_applied *ret, struct err *err);

#endif

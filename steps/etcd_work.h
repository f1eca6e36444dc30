/* SPDX-License-Identifier: Apache-2.0 */
/* A source range cut into segments for lanes to take, by a sweep that runs while the first segments are being
 * worked on. A small range is swept with its values, a page of them at a time, which the lanes then share: it is
 * read once. A large one is swept by keys only, and its segments are paged exactly. No list of keys is kept, only the
 * boundaries.
 *
 * etcd walks the index of all that remains in a range to answer a page of it, so that many open-ended pages would be
 * quadratic: each page asks for a range that is guessed to hold a few pages, from how the keys went on in the last one.
 * What a guess leaves out, a later page gets; one that holds too little is followed by a much wider one. */
#ifndef WHERRY_STEPS_ETCD_WORK_H
#define WHERRY_STEPS_ETCD_WORK_H

#include <pthread.h>
#include <stdatomic.h>

#include "step.h"
#include "steps/etcd_side.h"

#define ETCD_SEGMENTS 256 /* about as many for one range, however large */

/* A page with values that several segments share; used again after the last of them. */
struct etcd_sheet {
	struct etcd_sheet *next; /* spare */
	struct arena memory;
	struct page page;
	unsigned users;
};

struct etcd_work {
	pthread_mutex_t lock;    /* of everything below */
	pthread_cond_t swept;    /* the page that was being read is there, or failed */
	bool sweeping, failed;   /* a lane reads the next page; one could not be read */
	struct target *source;
	int64_t revision;        /* to sweep at, 0: current */
	struct arena arena;      /* boundaries */
	struct etcd_gap *gaps;   /* still to be cut, from `gap` on */
	size_t ngaps, gap;
	struct bytes start;      /* of the segment being measured in this gap */
	struct etcd_sheet *sheet; /* of the page being cut, or NULL: keys only */
	size_t first;            /* of its items, the first of the segment being measured */
	bool keys_only;          /* this gap is too large for sheets */
	int64_t limit;           /* items of the next sheet */
	size_t weight;           /* bytes an item, about; 0: not known yet */
	int64_t left;            /* items of the gap not swept yet */
	struct buf next;         /* where the next page of keys begins */
	struct buf first_key, last_key; /* of the last page that had some */
	struct bytes reach;      /* where the next page's range ends at the latest */
	size_t up;               /* how far the last guess of it was coarsened, as it was too short */
	struct arena guess;      /* it lies there */
	int64_t oldest;          /* store revision of all pages of this gap */
	bool begun;              /* the gap */
	int64_t share, measured; /* keys a segment, so that the lanes last; keys since start */
	struct etcd_sheet *spare;
	unsigned lane, last_lane;
	struct etcd_segment *ready;
	size_t nready, cap;
	atomic_llong total;      /* keys in all gaps, as far as known; read without the lock */
};

/* Lanes from `lane` to last_lane are free for new segments: at least one for each gap. gaps and what they point to
 * must outlive the work. */
void etcd_work_init(struct etcd_work *w, struct target *source, int64_t revision, struct etcd_gap *gaps, size_t ngaps,
		    unsigned lane, unsigned last_lane);
/* Add a segment that was begun before. */
void etcd_work_add(struct etcd_work *w, const struct etcd_segment *s);
/* Take the next segment: 1, 0 when none is left. From any lane. */
int etcd_work_take(struct step_ctx *cx, struct etcd_work *w, struct etcd_segment *ret, struct err *err);
/* What the segment shares is no longer needed; from any lane. */
void etcd_work_release(struct etcd_work *w, struct etcd_segment *s);
void etcd_work_done(struct etcd_work *w);

#endif

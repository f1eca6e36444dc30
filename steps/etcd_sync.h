/* SPDX-License-Identifier: Apache-2.0 */
/* The inside of etcd.sync, shared by its two ways: events of a watch (etcd_sync.c) and, where there are none to be
 * had, a comparison of the keys of both sides (etcd_rescan.c). */
#ifndef WHERRY_STEPS_ETCD_SYNC_H
#define WHERRY_STEPS_ETCD_SYNC_H

#include "step.h"
#include "steps/etcd_batch.h"
#include "steps/etcd_move.h"

/* Revisions of the destination in which this run wrote, sorted: a key of such a mod_revision is ours. */
struct etcd_ours {
	int64_t *list;
	size_t n, cap;
	bool loaded;
};

struct etcd_sync {
	struct etcd_move move;
	int64_t from, until;
	struct stream *stream;
	struct etcd_applied applied; /* what the cursor says once the batch is sent; revision: whole ones only */
	struct etcd_batch batch;
	int64_t batch_revision;      /* of the source, once the whole batch has arrived */
	bool gone;                   /* the rescan has failed because its revision was compacted meanwhile */
	struct etcd_ours ours;
	struct arena scratch;        /* of one operation */
};

/* Take a source key as it is now, or as deleted (value ignored), into the batch; sends the batch when it is full. */
int etcd_sync_take(struct step_ctx *cx, struct etcd_sync *s, const struct item *it, bool deleted, struct err *err);
/* Remove a destination key that the source does not have, if it is ours to remove. */
int etcd_sync_remove(struct step_ctx *cx, struct etcd_sync *s, const struct item *dst, struct err *err);
/* Send what was gathered: everything up to this source revision has arrived then. */
int etcd_sync_flush(struct step_ctx *cx, struct etcd_sync *s, int64_t revision, struct err *err);
/* Make the destination equal to the source at this revision, knowing that it is at least as new as s->applied; 0: as each
 * page shows it. Then everything up to `reached` has arrived. */
int etcd_sync_rescan(struct step_ctx *cx, struct etcd_sync *s, int64_t revision, int64_t reached, struct err *err);

#endif

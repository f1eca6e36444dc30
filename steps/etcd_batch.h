/* SPDX-License-Identifier: Apache-2.0 */
/* Operations gathered for one transaction on the destination, one a key; and their sending. */
#ifndef WHERRY_STEPS_ETCD_BATCH_H
#define WHERRY_STEPS_ETCD_BATCH_H

#include "base/map.h"
#include "step.h"

#define ETCD_BATCH_OPS 127       /* and the cursor: etcd takes 128 operations by default */
#define ETCD_BATCH_BYTES (1U << 20)

struct etcd_batch {
	struct op ops[ETCD_BATCH_OPS];
	size_t n, max;           /* max 0: ETCD_BATCH_OPS */
	size_t owned;            /* so many of the first values, of those that were lent */
	size_t bytes;            /* of all that was added, replaced operations included */
	struct arena arena;
	struct map index;        /* of keys */
};

/* Would it be too large with this one more? A single operation always fits. */
bool etcd_batch_full(const struct etcd_batch *b, const struct op *op);
/* Add a copy. A later operation takes the place of an earlier one on the same key. Returns the place. */
size_t etcd_batch_add(struct etcd_batch *b, const struct op *op);
/* Add one on a key that the batch does not have, its value borrowed until the batch is cleared or owns it. A batch is
 * filled by this or by the former. Returns the place. */
size_t etcd_batch_lend(struct etcd_batch *b, const struct op *op);
/* Copy the values that are borrowed: they are about to go. */
void etcd_batch_own(struct etcd_batch *b);
void etcd_batch_clear(struct etcd_batch *b);
void etcd_batch_done(struct etcd_batch *b);

/* Where a batch goes. */
struct etcd_sink {
	struct stream *stream;
	struct target *to;
	unsigned lane;
	/* The lane's cursor once the first n operations have arrived. */
	void (*cursor)(void *data, size_t n, struct buf *ret);
	/* A transaction made this revision of the destination; 0 in a dry-run. May be NULL. */
	void (*sent)(void *data, int64_t revision);
	void *data;
};
/* Send it, in halves where the destination finds it too large; an empty one writes the cursor alone. A guard that
 * does not hold is an error that names the key; what was sent before it stays, with its cursor. */
int etcd_batch_send(struct step_ctx *cx, const struct etcd_batch *b, const struct etcd_sink *to, struct err *err);

#endif

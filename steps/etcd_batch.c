/* SPDX-License-Identifier: Apache-2.0 */
/* Owns the size of transactions and what becomes of those that the destination does not take. */
#include "steps/etcd_batch.h"

#include "steps/etcd_side.h"

#define OP_COST 32 /* the framing of one operation, about */

static size_t
weight(const struct op *op)
{
	return op->key.len + op->value.len + OP_COST;
}

bool
etcd_batch_full(const struct etcd_batch *b, const struct op *op)
{
	const size_t max = b->max > 0 ? b->max : ETCD_BATCH_OPS;

	return b->n > 0 && (b->n >= max || b->bytes + weight(op) > ETCD_BATCH_BYTES);
}

static struct bytes
copy(struct arena *a, struct bytes b)
{
	return (struct bytes){ arena_strndup(a, b.p, b.len), b.len };
}

size_t
etcd_batch_add(struct etcd_batch *b, const struct op *op)
{
	uint32_t at = map_get(&b->index, op->key.p, op->key.len);
	struct op new = *op;

	b->bytes += weight(op);
	new.value = copy(&b->arena, op->value);
	if (at != MAP_NONE) {
		new.key = b->ops[at].key;
	} else {
		at = (uint32_t)b->n++;
		new.key = copy(&b->arena, op->key);
		(void)map_add(&b->index, new.key.p, new.key.len, at);
	}
	b->ops[at] = new;
	return at;
}

size_t
etcd_batch_lend(struct etcd_batch *b, const struct op *op)
{
	b->bytes += weight(op);
	b->ops[b->n] = *op;
	b->ops[b->n].key = copy(&b->arena, op->key);
	return b->n++;
}

void
etcd_batch_own(struct etcd_batch *b)
{
	for (; b->owned < b->n; b->owned++)
		b->ops[b->owned].value = copy(&b->arena, b->ops[b->owned].value);
}

void
etcd_batch_clear(struct etcd_batch *b)
{
	map_done(&b->index);
	b->index = MAP_INIT;
	arena_reset(&b->arena);
	b->n = b->bytes = b->owned = 0;
}

void
etcd_batch_done(struct etcd_batch *b)
{
	map_done(&b->index);
	arena_done(&b->arena);
}

static int
too_large(struct step_ctx *cx, const struct op *op, struct err *err)
{
	err_set(err, ERR_FAILED, "key '%s' with its value of %zu bytes is too large for the destination",
		etcd_shown(cx, op->key), op->value.len);
	return err_next(err, "raise --max-request-bytes on the destination, or exclude the key");
}

/* Which guard did not hold? */
static int
guard_failed(struct step_ctx *cx, const struct op *ops, size_t n, const struct etcd_sink *to, struct err *err)
{
	for (size_t i = 0; i < n; i++) {
		const struct query q = { .target = to->to, .from = ops[i].key, .keys_only = true };
		struct page page;

		if (ops[i].guard == GUARD_NONE)
			continue;
		if (step_list(cx, &q, &page, err) < 0)
			return -1;
		if (ops[i].guard == GUARD_ABSENT && page.n > 0)
			return err_set(err, ERR_FAILED, "destination key '%s' exists: somebody else wrote it",
				       etcd_shown(cx, ops[i].key));
		if (ops[i].guard == GUARD_REVISION && (page.n == 0 || page.items[0].revision != ops[i].revision)) {
			err_set(err, ERR_FAILED, "destination key '%s' was changed by somebody else meanwhile",
				etcd_shown(cx, ops[i].key));
			err->retryable = true;
			return -1;
		}
	}
	err_set(err, ERR_FAILED, "somebody else writes to the destination: a transaction was refused by its guards");
	err->retryable = true;
	return -1;
}

int
etcd_batch_send(struct step_ctx *cx, const struct etcd_batch *b, const struct etcd_sink *to, struct err *err)
{
	struct buf cursor = BUF_INIT(0);
	size_t at = 0, most = b->n;
	int rc;

	do {
		const size_t n = b->n - at < most ? b->n - at : most;
		struct batch part = { .ops = b->ops + at, .n = n };
		enum put_result how;
		int64_t revision;

		buf_clear(&cursor);
		to->cursor(to->data, at + n, &cursor);
		part.cursor = (struct bytes){ cursor.p, cursor.len };
		rc = step_stream_put(cx, to->stream, to->lane, &part, &how, &revision, err);
		if (rc < 0)
			break;
		if (how == PUT_GUARD_FAILED) {
			rc = guard_failed(cx, part.ops, n, to, err);
		} else if (how == PUT_TOO_LARGE && n <= 1) {
			rc = too_large(cx, part.ops, err);
		} else if (how == PUT_TOO_LARGE) {
			most = n / 2;
		} else {
			at += n;
			if (to->sent != NULL)
				to->sent(to->data, revision);
		}
	} while (rc == 0 && at < b->n);
	buf_done(&cursor);
	return rc;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* etcd.sync: brings what the source has changed since a revision, deletes included, up to a revision of the source:
 * one that is given, or the one it has when the sync begins. The cursor is the last whole source revision that has
 * arrived, and is written in the transaction that completes it; a revision that needs several transactions repeats
 * the old one until the last. Events say absolute states, so that those of a revision, or of several, may be
 * applied again.
 *
 * Where the watch is told that its start was compacted, or where it stays silent and the server's word that nothing
 * happened cannot be trusted (before 3.4.25 and 3.5.8), the keys of both sides are compared instead: at one revision,
 * or, where that is compacted too, as they are, with a watch from before that on.
 *
 * With on_existing merge a key of the destination is only overwritten or removed when its last change was ours, and
 * an equal foreign key is adopted; the other modes hold the whole range, but a comparison of keys removes only what
 * is ours there too, unless on_existing is replace. */
#include "steps/etcd_sync.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"

#define SILENCE (500 * NS_PER_MS) /* after this without an event or a word of progress the keys are compared */
#define MERGE_OPS 126

struct sync_args {
	struct etcd_move_args move;
	int64_t from_revision, until, rate_bytes;
	double rate_keys;
};

static int
by_number(const void *a, const void *b)
{
	const int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

	return (x > y) - (x < y);
}

static void
add_ours(struct etcd_ours *o, int64_t revision)
{
	if (o->n == o->cap) {
		o->cap = o->cap > 0 ? o->cap * 2 : 256;
		o->list = xreallocarray(o->list, o->cap, sizeof(*o->list));
	}
	o->list[o->n++] = revision;
}

/* A marker was written in each transaction of this run: its mod_revision is theirs. */
static int
load_ours(struct step_ctx *cx, struct etcd_sync *s, struct err *err)
{
	struct query q = { .target = s->move.to, .from = s->move.folder, .to = s->move.folder_end, .limit = 10000,
			   .keys_only = true };
	struct arena next = ARENA_INIT;
	struct page page = { .more = true };
	int rc = 0;

	while (page.more) {
		rc = step_list(cx, &q, &page, err);
		if (rc < 0 || page.n == 0)
			break;
		for (size_t i = 0; i < page.n; i++)
			add_ours(&s->ours, page.items[i].revision);
		q.from = etcd_next_key(&next, page.items[page.n - 1].key);
	}
	arena_done(&next);
	if (s->ours.n > 0)
		qsort(s->ours.list, s->ours.n, sizeof(*s->ours.list), by_number);
	s->ours.loaded = rc == 0;
	return rc;
}

static int
is_ours(struct step_ctx *cx, struct etcd_sync *s, const struct item *dst, bool *ret, struct err *err)
{
	if (!s->ours.loaded && load_ours(cx, s, err) < 0)
		return -1;
	*ret = s->ours.n > 0 &&
	       bsearch(&dst->revision, s->ours.list, s->ours.n, sizeof(*s->ours.list), by_number) != NULL;
	return 0;
}

/* The destination's revisions grow, so the list stays sorted. */
static void
sent(void *data, int64_t revision)
{
	struct etcd_sync *s = data;

	if (s->ours.loaded && revision > 0)
		add_ours(&s->ours, revision);
}

static void
write_cursor(void *data, size_t n, struct buf *ret)
{
	const struct etcd_sync *s = data;
	struct etcd_applied now = s->applied;

	if (n == s->batch.n)
		now.revision = s->batch_revision;
	for (size_t i = 0; i < n; i++)
		*(s->batch.ops[i].del ? &now.deleted : &now.put) += 1;
	etcd_applied_write(ret, &now);
}

int
etcd_sync_flush(struct step_ctx *cx, struct etcd_sync *s, int64_t revision, struct err *err)
{
	const struct etcd_sink sink = { .stream = s->stream, .to = s->move.to, .lane = ETCD_SYNC_LANE,
					.cursor = write_cursor, .sent = sent, .data = s };

	s->batch_revision = revision;
	if (s->batch.n > 0) {
		if (etcd_batch_send(cx, &s->batch, &sink, err) < 0)
			return -1;
		for (size_t i = 0; i < s->batch.n; i++)
			*(s->batch.ops[i].del ? &s->applied.deleted : &s->applied.put) += 1;
		etcd_batch_clear(&s->batch);
		step_progress(cx, (uint64_t)(s->applied.put + s->applied.deleted), 0, "changes");
	}
	s->applied.revision = revision;
	return 0;
}

/* Into the batch; the revision under way is not whole when it has to be sent now. */
static int
add_op(struct step_ctx *cx, struct etcd_sync *s, const struct op *op, struct err *err)
{
	if (etcd_batch_full(&s->batch, op) && etcd_sync_flush(cx, s, s->applied.revision, err) < 0)
		return -1;
	(void)etcd_batch_add(&s->batch, op);
	return 0;
}

/* With merge: may this operation be done? 1 with its guard set, 0: leave the key alone. What the batch holds for
 * the key is guarded already. */
static int
guard_merge(struct step_ctx *cx, struct etcd_sync *s, struct op *op, struct err *err)
{
	const struct query q = { .target = s->move.to, .from = op->key };
	const uint32_t at = map_get(&s->batch.index, op->key.p, op->key.len);
	struct page page;
	bool ours;

	if (at != MAP_NONE) {
		op->guard = s->batch.ops[at].guard;
		op->revision = s->batch.ops[at].revision;
		return 1;
	}
	if (step_list(cx, &q, &page, err) < 0)
		return -1;
	op->guard = GUARD_ABSENT;
	if (page.n == 0)
		return !op->del;
	op->guard = GUARD_REVISION;
	op->revision = page.items[0].revision;
	step_page_keep(cx, &s->scratch);
	if (is_ours(cx, s, &page.items[0], &ours, err) < 0)
		return -1;
	if (ours || op->del)
		return ours;
	if (bytes_eq(page.items[0].value, op->value))
		return 1;
	err_set(err, ERR_FAILED, "destination key '%s' exists with another value, and is not of this copy",
		etcd_shown(cx, op->key));
	return err_next(err, "remove or exclude it, or say on_existing: replace");
}

int
etcd_sync_take(struct step_ctx *cx, struct etcd_sync *s, const struct item *it, bool deleted, struct err *err)
{
	struct arena keys = ARENA_INIT;
	struct op op = { .del = deleted, .key = etcd_span_to(&keys, &s->move.span, it->key) };
	int rc = 1;

	if (!deleted && it->lease != 0 && s->move.leases == ETCD_LEASES_SKIP)
		op.del = true; /* to us it is not there any more */
	if (!deleted && it->lease != 0 && s->move.leases == ETCD_LEASES_KEEP) {
		rc = etcd_lease_left(cx, &s->move, it->lease, &op.lease_ttl, err);
		op.del = op.lease_ttl == 0;
		rc = rc < 0 ? -1 : 1;
	}
	if (!op.del)
		op.value = it->value;
	if (rc > 0 && s->move.existing == ETCD_MERGE)
		rc = guard_merge(cx, s, &op, err);
	if (rc > 0)
		rc = add_op(cx, s, &op, err);
	arena_done(&keys);
	arena_reset(&s->scratch);
	return rc < 0 ? -1 : 0;
}

int
etcd_sync_remove(struct step_ctx *cx, struct etcd_sync *s, const struct item *dst, struct err *err)
{
	const struct op op = { .del = true, .guard = GUARD_REVISION, .revision = dst->revision, .key = dst->key };
	bool ours = true;

	if (s->move.existing != ETCD_REPLACE && is_ours(cx, s, dst, &ours, err) < 0)
		return -1;
	return ours ? add_op(cx, s, &op, err) : 0;
}

/* Apply whole revisions up to `target`. */
static int
take_changes(struct step_ctx *cx, struct etcd_sync *s, const struct changes *c, int64_t target, struct err *err)
{
	size_t end;

	for (size_t i = 0; i < c->n && c->list[i].item.revision <= target; i = end) {
		const int64_t revision = c->list[i].item.revision;

		for (end = i; end < c->n && c->list[end].item.revision == revision;)
			end++;
		if (revision <= s->applied.revision)
			continue;
		if (s->batch.n + (end - i) > s->batch.max && etcd_sync_flush(cx, s, s->batch_revision, err) < 0)
			return -1;
		for (size_t k = i; k < end; k++)
			if (etcd_span_moves(&s->move.span, c->list[k].item.key) &&
			    etcd_sync_take(cx, s, &c->list[k].item, c->list[k].deleted, err) < 0)
				return -1;
		s->batch_revision = revision;
	}
	end = c->n;
	if (end > 0 && c->list[end - 1].item.revision >= target)
		s->batch_revision = target;
	else if (c->revision > s->batch_revision)
		s->batch_revision = c->revision < target ? c->revision : target;
	return etcd_sync_flush(cx, s, s->batch_revision, err);
}

/* Compare the keys as they are now, page by page. What changes meanwhile, the watch sees that is opened before: it has
 * no past that could be compacted away. Goes up to a revision that is newer than every page. */
static int
compare_live(struct step_ctx *cx, struct etcd_sync *s, struct watch **w, int64_t *target, struct err *err)
{
	const struct query q = { .target = s->move.from, .from = s->move.span.prefix, .to = s->move.span.end };
	int64_t before, after;

	step_watch_close(*w);
	*w = NULL;
	if (etcd_sync_flush(cx, s, s->applied.revision, err) < 0 ||
	    etcd_revision_now(cx, s->move.from, &s->move.span, true, &before, err) < 0 || step_watch(cx, &q, w, err) < 0)
		return -1;
	step_note(cx, "comparing the keys of both sides from source revision %" PRIi64
		      " on: the changes since the copy are compacted away", before);
	if (etcd_sync_rescan(cx, s, 0, before, err) < 0 ||
	    etcd_revision_now(cx, s->move.from, &s->move.span, true, &after, err) < 0)
		return -1;
	if (after > *target)
		*target = after;
	return 0;
}

/* What the watch cannot tell. At the revision that is to be reached, where the source still has it. */
static int
compare(struct step_ctx *cx, struct etcd_sync *s, const struct changes *c, struct watch **w, int64_t *target,
	struct err *err)
{
	if (c->compact_revision > *target)
		return compare_live(cx, s, w, target, err);
	step_note(cx, "comparing the keys of both sides at source revision %" PRIi64 "%s", *target,
		  c->compacted ? ": the changes since the copy are compacted away" : "");
	if (etcd_sync_rescan(cx, s, *target, *target, err) == 0)
		return 0;
	return s->gone ? compare_live(cx, s, w, target, err) : -1;
}

static int
follow(struct step_ctx *cx, struct etcd_sync *s, int64_t target, struct err *err)
{
	const struct query q = { .target = s->move.from, .from = s->move.span.prefix, .to = s->move.span.end,
				 .revision = s->applied.revision + 1 };
	struct watch *w = NULL;
	struct changes c;
	int rc = 0;

	if (s->applied.revision >= target)
		return 0;
	s->batch_revision = s->applied.revision;
	if (step_watch(cx, &q, &w, err) < 0)
		return -1;
	while (rc == 0 && s->applied.revision < target) {
		rc = step_watch_next(w, SILENCE, &c, err);
		if (rc < 0)
			break;
		if (c.compacted || (c.n == 0 && c.revision == 0))
			rc = compare(cx, s, &c, &w, &target, err);
		else
			rc = take_changes(cx, s, &c, target, err);
	}
	step_watch_close(w);
	return rc;
}

/* The revision to reach, and where to go on from: on a resume, from what this step had done. */
static int
start(struct step_ctx *cx, struct etcd_sync *s, int64_t *ret_target, struct err *err)
{
	struct etcd_applied before = { 0 };
	struct bytes cursor;

	s->applied.revision = s->applied.from = s->from;
	if (step_stream_cursor(cx, s->stream, ETCD_SYNC_LANE, &cursor, err) < 0 ||
	    (cursor.len > 0 && etcd_applied_parse(step_arena(cx), cursor, &before, err) < 0))
		return -1;
	if (before.from == s->from && cursor.len > 0)
		s->applied = before;
	else if (before.revision > s->from)
		s->applied.revision = before.revision;
	if (etcd_revision_now(cx, s->move.from, &s->move.span, true, ret_target, err) < 0)
		return -1;
	if (s->until > *ret_target || s->from > *ret_target)
		return err_set(err, ERR_FAILED, "the source is at revision %" PRIi64 ", and %s is %" PRIi64,
			       *ret_target, s->until > *ret_target ? "until" : "from_revision",
			       s->until > *ret_target ? s->until : s->from);
	if (s->until > 0)
		*ret_target = s->until;
	return 0;
}

static int
sync_result(struct step_ctx *cx, struct etcd_sync *s, struct value *ret, struct err *err)
{
	struct pair *pairs = arena_array(step_arena(cx), 4, sizeof(*pairs));
	int64_t now;

	if (etcd_revision_now(cx, s->move.from, &s->move.span, true, &now, err) < 0)
		return -1;
	pairs[0] = (struct pair){ "revision", value_int(s->applied.revision) };
	pairs[1] = (struct pair){ "put", value_int(s->applied.put) };
	pairs[2] = (struct pair){ "deleted", value_int(s->applied.deleted) };
	pairs[3] = (struct pair){ "lag", value_int(now - s->applied.revision) };
	*ret = value_map(pairs, 4);
	return 0;
}

static int
sync_open(struct step_ctx *cx, struct etcd_sync *s, const struct sync_args *a, const struct value **ret_result,
	  struct err *err)
{
	const char *says = step_text(cx, "bring the changes of '%s' since revision %" PRIi64 " to '%s'", a->move.prefix,
				     a->from_revision, etcd_shown(cx, s->move.span.to_prefix));
	struct bulk bulk = etcd_move_bulk(cx, &s->move, "sync", says);

	bulk.rate_ops = a->rate_keys;
	bulk.rate_bytes = (double)a->rate_bytes;
	bulk.lazy = true;
	return step_stream_open(cx, &bulk, &s->stream, ret_result, err);
}

static void
sync_done(struct etcd_sync *s)
{
	free(s->ours.list);
	etcd_batch_done(&s->batch);
	arena_done(&s->scratch);
}

static int
sync_run(struct step_ctx *cx, const void *args, struct err *err)
{
	const struct sync_args *a = args;
	struct etcd_sync *s = arena_alloc(step_arena(cx), sizeof(*s));
	struct err ignored = ERR_INIT;
	const struct value *recorded;
	struct value result;
	int64_t target;
	int rc;

	s->from = a->from_revision;
	s->until = a->until;
	if (etcd_move_init(cx, &a->move, &s->move, err) < 0 ||
	    etcd_check_apart(cx, s->move.from, s->move.to, &s->move.span, err) < 0 ||
	    sync_open(cx, s, a, &recorded, err) < 0)
		return -1;
	if (s->stream == NULL)
		return etcd_put_outputs(cx, recorded, err);
	s->batch.max = s->move.existing == ETCD_MERGE ? MERGE_OPS : ETCD_BATCH_OPS;
	rc = start(cx, s, &target, err);
	if (rc == 0)
		rc = follow(cx, s, target, err);
	if (rc == 0)
		rc = sync_result(cx, s, &result, err);
	sync_done(s);
	if (rc < 0) {
		(void)step_stream_close(cx, s->stream, false, NULL, &ignored);
		return -1;
	}
	if (step_stream_close(cx, s->stream, true, &result, err) < 0)
		return -1;
	return etcd_put_outputs(cx, &result, err);
}

static const struct field sync_inputs[] = {
	ETCD_MOVE_INPUTS(struct sync_args),
	{ "from_revision", F_INT, .offset = offsetof(struct sync_args, from_revision), .required = true,
	  .min = 0, .max = 9e18,
	  .help = "the destination has everything up to this revision of the source: an output of copy or of a sync" },
	{ "until", F_INT, .offset = offsetof(struct sync_args, until), .min = 0, .max = 9e18,
	  .help = "the source's revision to reach (default: the one it has when the step begins)" },
	ETCD_RATE_INPUTS(struct sync_args),
	{ 0 },
};

static const struct field sync_outputs[] = {
	{ "revision", F_INT, .help = "the source's revision that the destination equals" },
	{ "put", F_INT, .help = "keys that were written" },
	{ "deleted", F_INT, .help = "keys that were deleted" },
	{ "lag", F_INT, .help = "revisions that the source has made since" },
	{ 0 },
};

const struct step_type etcd_sync_step = {
	.name = "etcd.sync",
	.summary = "bring what the source has changed since a revision",
	.inputs = sync_inputs,
	.outputs = sync_outputs,
	.args_size = sizeof(struct sync_args),
	.version = 1,
	.run = sync_run,
};

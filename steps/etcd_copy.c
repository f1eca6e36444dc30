/* SPDX-License-Identifier: Apache-2.0 */
/* etcd.copy: the keys of a live source into a destination, in lanes. Each lane takes contiguous segments of the
 * source range, reads pages at the source's current revision and sends guarded transactions that carry the
 * segment's cursor, so that a key is written once, however often wherry dies. What the source changes meanwhile is
 * the sync's work: it begins at the lowest revision of all pages, which is an output.
 *
 * Keys that are there: `refuse` writes with the guard that the key is absent. A guard that fails is somebody else's
 * write, whatever its value: our own are never repeated, as their cursor moved with them. `merge` compares with the
 * destination: an equal key is written again as it is, guarded by its revision, and is ours from then on; an
 * unequal one fails. `replace` overwrites, removes what the source does not have, and leaves equal keys alone. */
#include <inttypes.h>
#include <stdatomic.h>
#include <string.h>

#include "base/clock.h"
#include "step.h"
#include "steps/etcd_batch.h"
#include "steps/etcd_move.h"
#include "steps/etcd_work.h"

#define LANES_MAX 64
#define PAGE_BYTES (256U << 10) /* small: every lane holds two pages a side */
#define MERGE_OPS 126 /* each with a compare of its own, beside those of claim and cursor */

struct copy_args {
	struct etcd_move_args move;
	int64_t lanes, rate_bytes;
	double rate_keys;
};

struct copy {
	const struct copy_args *args;
	struct etcd_move move;
	struct stream *stream;
	struct etcd_work work;
	struct etcd_tally total; /* of segments that are done; guarded by work.lock */
	atomic_ullong keys;      /* for the progress */
};

/* One lane's work. */
struct copier {
	struct copy *c;
	struct etcd_segment seg;
	struct etcd_side src, dst;
	struct etcd_batch batch;
	struct etcd_tally after[ETCD_BATCH_OPS]; /* the segment's tally once the operation has arrived */
	struct arena scratch;
	bool last;               /* with this batch the segment is done */
	int64_t lease, lease_end;
};

/* The revision of this segment: that of its oldest page, in this process or before. */
static void
lower_revision(struct copier *l)
{
	if (l->src.lowest > 0 && (l->seg.tally.revision == 0 || l->src.lowest < l->seg.tally.revision))
		l->seg.tally.revision = l->src.lowest;
}

static void
write_cursor(void *data, size_t n, struct buf *ret)
{
	struct copier *l = data;
	struct etcd_segment s = l->seg;
	struct arena a = ARENA_INIT;

	if (n == l->batch.n && l->last) {
		s.next = s.end;
	} else {
		s.next = etcd_next_key(&a, etcd_span_back(&a, &l->c->move.span, l->batch.ops[n - 1].key));
		s.tally = l->after[n - 1];
	}
	etcd_segment_write(ret, &s);
	arena_done(&a);
}

static int
flush(struct step_ctx *cx, struct copier *l, bool last, struct err *err)
{
	const struct etcd_sink sink = { .stream = l->c->stream, .to = l->c->move.to, .lane = l->seg.lane,
					.cursor = write_cursor, .data = l };
	uint64_t done;

	if (l->batch.n == 0)
		return 0;
	l->last = last;
	if (etcd_batch_send(cx, &l->batch, &sink, err) < 0)
		return -1;
	done = atomic_fetch_add(&l->c->keys, l->batch.n) + l->batch.n;
	step_progress(cx, done, (uint64_t)atomic_load(&l->c->work.total), "keys");
	etcd_batch_clear(&l->batch);
	return 0;
}

/* A lease for the copy of a leased key: its seconds in *ret, 0: the lease has ended, and the key with it. */
static int
lease_left(struct step_ctx *cx, struct copier *l, int64_t lease, int64_t *ret, struct err *err)
{
	if (lease != l->lease) {
		if (etcd_lease_left(cx, &l->c->move, lease, ret, err) < 0)
			return -1;
		l->lease = lease;
		l->lease_end = clock_now() + *ret * NS_PER_S;
	}
	*ret = (l->lease_end - clock_now()) / NS_PER_S;
	if (*ret < 0)
		*ret = 0;
	return 0;
}

static int
unequal(struct step_ctx *cx, const struct etcd_pair *p, struct err *err)
{
	err_set(err, ERR_FAILED, "destination key '%s' exists with another value than source key '%s'",
		etcd_shown(cx, p->dst->key), etcd_shown(cx, p->src->key));
	return err_next(err, "remove or exclude it, or say on_existing: replace");
}

/* What becomes of one key: 1 with an operation, 0 nothing. */
static int
decide(struct step_ctx *cx, struct copier *l, const struct etcd_pair *p, struct op *ret, struct err *err)
{
	const struct etcd_move *m = &l->c->move;
	struct etcd_tally *t = &l->seg.tally;
	const bool equal = p->src != NULL && p->dst != NULL && bytes_eq(p->src->value, p->dst->value);

	*ret = (struct op){ .guard = m->existing == ETCD_REPLACE ? GUARD_NONE : GUARD_ABSENT };
	if (p->src == NULL) {
		ret->del = true;
		ret->key = p->dst->key;
		t->removed += m->existing == ETCD_REPLACE;
		return m->existing == ETCD_REPLACE;
	}
	if (m->existing == ETCD_MERGE && p->dst != NULL) {
		if (!equal)
			return unequal(cx, p, err);
		ret->guard = GUARD_REVISION;
		ret->revision = p->dst->revision;
		t->adopted++;
	} else if (equal && p->src->lease == 0 && p->dst->lease == 0) {
		t->equal++;
		return 0;
	}
	if (m->leases == ETCD_LEASES_KEEP && p->src->lease != 0) {
		if (lease_left(cx, l, p->src->lease, &ret->lease_ttl, err) < 0)
			return -1;
		if (ret->lease_ttl == 0)
			return 0;
	}
	t->keys++;
	t->bytes += (int64_t)(p->src->key.len + p->src->value.len);
	ret->key = etcd_span_to(&l->scratch, &m->span, p->src->key);
	ret->value = p->src->value;
	return 1;
}

static int
copy_segment(struct step_ctx *cx, struct copier *l, struct err *err)
{
	const struct etcd_move *m = &l->c->move;
	const bool both = m->existing != ETCD_REFUSE;
	int64_t leased = l->seg.tally.leased;
	struct etcd_pair p;
	struct op op;
	int rc, what;

	arena_reset(&l->scratch);
	etcd_side_begin(&l->src, l->seg.next, l->seg.end);
	if (l->seg.sheet != NULL)
		etcd_side_give(&l->src, l->seg.items, l->seg.nitems, l->seg.sheet->page.revision);
	if (both)
		etcd_side_begin(&l->dst, etcd_span_to(&l->scratch, &m->span, l->seg.next),
				etcd_span_to_end(step_arena(cx), &m->span, l->seg.end));
	while ((rc = etcd_pair_next(cx, &l->src, both ? &l->dst : NULL, &p, err)) > 0) {
		what = decide(cx, l, &p, &op, err);
		if (what < 0)
			return -1;
		if (what == 0)
			continue;
		if (etcd_batch_full(&l->batch, &op)) {
			if (flush(cx, l, false, err) < 0)
				return -1;
		}
		l->seg.tally.leased = leased + l->src.leased;
		lower_revision(l);
		l->after[etcd_batch_lend(&l->batch, &op)] = l->seg.tally;
		arena_reset(&l->scratch);
	}
	l->seg.tally.leased = leased + l->src.leased;
	lower_revision(l);
	return rc < 0 ? -1 : flush(cx, l, true, err);
}

static void
page_turns(void *batch)
{
	etcd_batch_own(batch);
}

static int
copy_lane(struct step_ctx *cx, void *data, unsigned number, struct err *err)
{
	struct copy *c = data;
	struct copier *l = arena_alloc(step_arena(cx), sizeof(*l));
	int rc;

	(void)number; /* the destination's lanes are the segments */
	l->c = c;
	l->src = etcd_move_source(&c->move);
	l->dst = etcd_move_destination(&c->move);
	l->src.want = l->dst.want = PAGE_BYTES;
	l->src.turn = page_turns;
	l->src.turn_data = &l->batch;
	l->batch.max = c->move.existing == ETCD_MERGE ? MERGE_OPS : ETCD_BATCH_OPS;
	while ((rc = etcd_work_take(cx, &c->work, &l->seg, err)) > 0) {
		rc = copy_segment(cx, l, err);
		etcd_work_release(&c->work, &l->seg);
		if (rc < 0)
			break;
		pthread_mutex_lock(&c->work.lock);
		etcd_tally_add(&c->total, &l->seg.tally);
		pthread_mutex_unlock(&c->work.lock);
	}
	etcd_side_done(&l->src);
	etcd_side_done(&l->dst);
	etcd_batch_done(&l->batch);
	arena_done(&l->scratch);
	return rc;
}

/* The control lane's cursor says how many lanes may have cursors. */
static int
read_lanes(struct step_ctx *cx, struct copy *c, unsigned *ret, struct err *err)
{
	struct bytes cursor;
	struct value v;

	*ret = 0;
	if (step_stream_cursor(cx, c->stream, 0, &cursor, err) < 0)
		return -1;
	if (cursor.len == 0)
		return 0;
	if (value_parse(step_arena(cx), cursor.p, cursor.len, &v, err) < 0 || value_get_int(&v, "lanes", 0) < 1 ||
	    value_get_int(&v, "lanes", 0) >= ETCD_SYNC_LANE)
		return err_set(err, ERR_REFUSED, "the destination's control cursor is not one of a copy's");
	*ret = (unsigned)value_get_int(&v, "lanes", 0);
	return 0;
}

static int
write_lanes(struct step_ctx *cx, struct copy *c, unsigned lanes, struct err *err)
{
	const struct pair pair = { "lanes", value_int(lanes) };
	const struct value v = value_map(&pair, 1);
	struct buf text = BUF_INIT(0);
	struct batch none = { 0 };
	enum put_result how;
	int64_t revision;
	int rc;

	value_write(&text, &v);
	none.cursor = (struct bytes){ text.p, text.len };
	rc = step_stream_put(cx, c->stream, 0, &none, &how, &revision, err);
	buf_done(&text);
	return rc;
}

/* What an interrupted segment has left counts for the progress. */
static int
count_rest(struct step_ctx *cx, struct copy *c, const struct etcd_segment *s, struct err *err)
{
	const struct query q = { .target = c->move.from, .from = s->next, .to = s->end, .limit = 1, .keys_only = true };
	struct page page;

	if (step_list(cx, &q, &page, err) < 0)
		return -1;
	atomic_fetch_add(&c->work.total, (long long)page.count);
	return 0;
}

/* Segments with a cursor: what is done counts, what is not goes on; what none covers is cut anew, into lanes that no
 * cursor uses yet. */
static int
prepare(struct step_ctx *cx, struct copy *c, struct err *err)
{
	struct arena *a = step_arena(cx);
	struct etcd_segment *list;
	struct etcd_gap *gaps;
	size_t n = 0, ngaps;
	unsigned lanes, last;

	if (read_lanes(cx, c, &lanes, err) < 0)
		return -1;
	list = arena_array(a, lanes + 1, sizeof(*list));
	gaps = arena_array(a, lanes + 1, sizeof(*gaps));
	for (unsigned i = 1; i <= lanes; i++) {
		struct bytes cursor;

		if (step_stream_cursor(cx, c->stream, i, &cursor, err) < 0 ||
		    (cursor.len > 0 && etcd_segment_parse(a, cursor, i, &list[n++], err) < 0))
			return -1;
	}
	ngaps = etcd_gaps(list, n, c->move.span.prefix, c->move.span.end, gaps);
	last = lanes + (unsigned)ngaps + ETCD_SEGMENTS;
	if (last >= ETCD_SYNC_LANE)
		return err_set(err, ERR_FAILED, "this copy was interrupted so often that its cursors are used up");
	if (ngaps > 0 && write_lanes(cx, c, last, err) < 0)
		return -1;
	etcd_work_init(&c->work, c->move.from, 0, gaps, ngaps, lanes + 1, last);
	for (size_t i = 0; i < n; i++) {
		atomic_fetch_add(&c->keys, (unsigned long long)list[i].tally.keys);
		if (etcd_segment_done(&list[i])) {
			etcd_tally_add(&c->total, &list[i].tally);
			continue;
		}
		if (count_rest(cx, c, &list[i], err) < 0) {
			etcd_work_done(&c->work);
			return -1;
		}
		etcd_work_add(&c->work, &list[i]);
	}
	atomic_fetch_add(&c->work.total, (long long)atomic_load(&c->keys));
	return 0;
}

/* Before anything is claimed: a destination that is not empty, unless it is this run that wrote there. */
static int
check_empty(struct step_ctx *cx, const struct copy *c, struct err *err)
{
	const char *key;
	bool ours;

	if (c->move.existing != ETCD_REFUSE)
		return 0;
	if (etcd_move_is_ours(cx, &c->move, &ours, err) < 0)
		return -1;
	if (ours)
		return 0;
	if (etcd_first_existing(cx, c->move.to, &c->move.span, &key, err) < 0)
		return -1;
	return key != NULL ? etcd_not_empty(cx, key, err) : 0;
}

static struct value
result_map(struct step_ctx *cx, const struct etcd_tally *t)
{
	/* a dry-run's pages are not the run's */
	const struct value unread = value_unknown("the copy's pages have not been read");
	const struct pair pairs[] = {
		{ "revision", step_is_plan(cx) ? unread : value_int(t->revision) },
		{ "keys", value_int(t->keys) },
		{ "bytes", value_int(t->bytes) },
		{ "skipped_leased", value_int(t->leased) },
		{ "adopted", value_int(t->adopted) },
		{ "removed", value_int(t->removed) },
		{ "equal", value_int(t->equal) },
	};
	struct pair *copy = arena_array(step_arena(cx), countof(pairs), sizeof(*copy));

	memcpy(copy, pairs, sizeof(pairs));
	return value_map(copy, countof(pairs));
}

static int
copy_open(struct step_ctx *cx, struct copy *c, const struct value **ret_result, struct err *err)
{
	const char *says = step_text(cx, "copy '%s' to '%s'", c->args->move.prefix,
				     etcd_shown(cx, c->move.span.to_prefix));
	struct bulk bulk = etcd_move_bulk(cx, &c->move, "copy", says);

	bulk.rate_ops = c->args->rate_keys;
	bulk.rate_bytes = (double)c->args->rate_bytes;
	bulk.window_max = (unsigned)c->args->lanes;
	return step_stream_open(cx, &bulk, &c->stream, ret_result, err);
}

static int
copy_run(struct step_ctx *cx, const void *args, struct err *err)
{
	struct copy *c = arena_alloc(step_arena(cx), sizeof(*c));
	const struct value *recorded;
	struct value result;
	struct err ignored = ERR_INIT;

	c->args = args;
	if (etcd_move_init(cx, &c->args->move, &c->move, err) < 0 ||
	    etcd_check_apart(cx, c->move.from, c->move.to, &c->move.span, err) < 0 || check_empty(cx, c, err) < 0 ||
	    copy_open(cx, c, &recorded, err) < 0)
		return -1;
	if (c->stream == NULL)
		return etcd_put_outputs(cx, recorded, err);
	if (prepare(cx, c, err) < 0) {
		(void)step_stream_close(cx, c->stream, false, NULL, &ignored);
		return -1;
	}
	if (step_lanes(cx, (unsigned)c->args->lanes, copy_lane, c, err) < 0) {
		etcd_work_done(&c->work);
		(void)step_stream_close(cx, c->stream, false, NULL, &ignored);
		return -1;
	}
	etcd_work_done(&c->work);
	result = result_map(cx, &c->total);
	if (step_stream_close(cx, c->stream, true, &result, err) < 0)
		return -1;
	return etcd_put_outputs(cx, &result, err);
}

static const struct field copy_inputs[] = {
	ETCD_MOVE_INPUTS(struct copy_args),
	ETCD_RATE_INPUTS(struct copy_args),
	{ "lanes", F_INT, .offset = offsetof(struct copy_args, lanes), .dflt = "16", .min = 1, .max = LANES_MAX,
	  .help = "transactions in flight at most" },
	{ 0 },
};

static const struct field copy_outputs[] = {
	{ "revision", F_INT, .help = "the source's revision from which a sync has to go on: that of the oldest page" },
	{ "keys", F_INT, .help = "keys that were written" },
	{ "bytes", F_INT, .help = "their bytes, keys and values" },
	{ "skipped_leased", F_INT, .help = "source keys that were skipped for their lease" },
	{ "adopted", F_INT, .help = "of the keys, those that were there with the same value (merge)" },
	{ "removed", F_INT, .help = "destination keys that the source does not have, removed (replace)" },
	{ "equal", F_INT, .help = "keys that were left alone because they were equal (replace)" },
	{ 0 },
};

const struct step_type etcd_copy_step = {
	.name = "etcd.copy",
	.summary = "copy the keys of a live source into a destination",
	.inputs = copy_inputs,
	.outputs = copy_outputs,
	.args_size = sizeof(struct copy_args),
	.version = 1,
	.run = copy_run,
};

/* SPDX-License-Identifier: Apache-2.0 */
/* A sync without events: the keys of both sides, without values, are merged in order, the source's at one revision or
 * as its pages show them. A source key that changed after what has been applied, or that the destination lacks, is
 * fetched and written; a destination key that the source lacks is removed. Nothing is kept but a small group of keys
 * to fetch. Until all of it has arrived the cursor stays what it was, so that an interruption begins it anew. */
#include "steps/etcd_sync.h"

#include <stdlib.h>

#define GROUP_MAX 127
#define GROUP_BYTES (1U << 20) /* about, of values fetched at once */

/* Source keys to be fetched, in order. */
struct group {
	struct bytes keys[GROUP_MAX];
	size_t n, max;       /* max: learnt from the size of what was fetched */
	int64_t revision;    /* the lowest of their revisions */
	struct arena arena, page;
};

/* Of reads, only those of a compacted revision may be tried again, at a newer one. */
static int
read_failed(struct etcd_sync *s, const struct err *err)
{
	s->gone = err->kind == ERR_FAILED && err->retryable;
	return -1;
}

/* What was fetched into the batch: only keys of the group, both in order. */
static int
take_fetched(struct step_ctx *cx, struct etcd_sync *s, const struct group *g, const struct page *page,
	     size_t *ret_bytes, struct err *err)
{
	size_t at = 0;

	for (size_t i = 0; i < page->n; i++) {
		const struct item *it = &page->items[i];

		*ret_bytes += it->key.len + it->value.len;
		while (at < g->n && bytes_cmp(g->keys[at], it->key) < 0)
			at++;
		if (at < g->n && bytes_eq(g->keys[at], it->key) && etcd_sync_take(cx, s, it, false, err) < 0)
			return -1;
	}
	return 0;
}

static int
fetch(struct step_ctx *cx, struct etcd_sync *s, struct group *g, int64_t revision, struct err *err)
{
	struct query q = { .target = s->move.from, .from = g->keys[0], .revision = revision,
			   .min_revision = g->revision };
	struct page page;
	size_t bytes = 0;

	if (g->n == 0)
		return 0;
	if (g->n > 1)
		q.to = etcd_next_key(&g->arena, g->keys[g->n - 1]);
	if (step_list(cx, &q, &page, err) < 0)
		return read_failed(s, err);
	step_page_keep(cx, &g->page);
	if (take_fetched(cx, s, g, &page, &bytes, err) < 0)
		return -1;
	if (bytes > GROUP_BYTES)
		g->max = g->max > 1 ? g->max / 2 : 1;
	else if (bytes < GROUP_BYTES / 2)
		g->max = g->max * 2 < GROUP_MAX ? g->max * 2 : GROUP_MAX;
	g->n = 0;
	arena_reset(&g->arena);
	return 0;
}

static int
want(struct step_ctx *cx, struct etcd_sync *s, struct group *g, const struct item *it, int64_t revision,
     struct err *err)
{
	/* One that is old, and missing all the same, is fetched alone: the revision tells the others from their
	 * neighbours. */
	const bool alone = it->revision <= s->applied.revision;

	if (alone && fetch(cx, s, g, revision, err) < 0)
		return -1;
	if (g->n == 0 || it->revision < g->revision)
		g->revision = it->revision;
	g->keys[g->n++] = (struct bytes){ arena_strndup(&g->arena, it->key.p, it->key.len), it->key.len };
	return alone || g->n >= g->max ? fetch(cx, s, g, revision, err) : 0;
}

int
etcd_sync_rescan(struct step_ctx *cx, struct etcd_sync *s, int64_t revision, int64_t reached, struct err *err)
{
	struct etcd_side src = etcd_move_source(&s->move), dst = etcd_move_destination(&s->move);
	struct group *g = xcalloc(1, sizeof(*g));
	struct etcd_pair p;
	int rc;

	g->max = 16;
	src.keys_only = dst.keys_only = true;
	src.revision = revision;
	etcd_side_begin(&src, s->move.span.prefix, s->move.span.end);
	etcd_side_begin(&dst, s->move.span.to_prefix, s->move.span.to_end);
	for (;;) {
		rc = etcd_pair_next(cx, &src, &dst, &p, err);
		if (rc < 0)
			rc = read_failed(s, err);
		if (rc <= 0)
			break;
		if (p.src == NULL)
			rc = etcd_sync_remove(cx, s, p.dst, err);
		else if (p.dst == NULL || p.src->revision > s->applied.revision)
			rc = want(cx, s, g, p.src, revision, err);
		else
			rc = 0;
		if (rc < 0)
			break;
	}
	if (rc == 0)
		rc = fetch(cx, s, g, revision, err);
	if (rc == 0)
		rc = etcd_sync_flush(cx, s, reached, err);
	etcd_side_done(&src);
	etcd_side_done(&dst);
	arena_done(&g->arena);
	arena_done(&g->page);
	free(g);
	return rc;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Owns the cutting of a range. A lane that finds nothing to take reads the next page of keys itself, under the lock: so
 * there is no thread that only sweeps, and no wait but that for the lock. */
#include "steps/etcd_work.h"

#include <stdlib.h>

#define CHUNK_MIN 1016 /* eight full transactions */
#define SWEEP_PAGE 50000

void
etcd_work_init(struct etcd_work *w, struct target *source, int64_t revision, struct etcd_gap *gaps, size_t ngaps,
	       unsigned lane, unsigned last_lane)
{
	*w = (struct etcd_work){ .source = source, .revision = revision, .gaps = gaps, .ngaps = ngaps, .lane = lane,
				 .last_lane = last_lane };
	pthread_mutex_init(&w->lock, NULL);
}

void
etcd_work_done(struct etcd_work *w)
{
	pthread_mutex_destroy(&w->lock);
	arena_done(&w->arena);
	buf_done(&w->next);
	free(w->ready);
}

void
etcd_work_add(struct etcd_work *w, const struct etcd_segment *s)
{
	if (w->nready == w->cap) {
		w->cap = w->cap > 0 ? w->cap * 2 : 64;
		w->ready = xreallocarray(w->ready, w->cap, sizeof(*w->ready));
	}
	w->ready[w->nready++] = *s;
}

/* A segment up to end; the next one begins there. */
static void
cut(struct etcd_work *w, struct bytes end)
{
	const struct etcd_segment s = { .lane = w->lane++, .start = w->start, .next = w->start, .end = end };

	etcd_work_add(w, &s);
	w->start = end;
	w->measured = 0;
}

static void
end_gap(struct etcd_work *w)
{
	cut(w, w->gaps[w->gap].end);
	w->gap++;
	w->begun = false;
}

/* Lanes that this gap may use, when every later one gets at least one. */
static unsigned
lanes_left(const struct etcd_work *w)
{
	return w->last_lane - w->lane + 1 - (unsigned)(w->ngaps - w->gap - 1);
}

/* Cut what a page of keys shows of the present gap. */
static int
measure(struct etcd_work *w, const struct page *page, bool first, struct bytes from, struct err *err)
{
	const struct etcd_gap *g = &w->gaps[w->gap];

	if (page->more && (page->n == 0 || bytes_cmp(page->items[page->n - 1].key, from) < 0))
		return err_set(err, ERR_FAILED, "a page of keys does not go on from where the last one ended");
	if (first) {
		w->start = g->from;
		w->begun = true;
		atomic_fetch_add(&w->total, page->count);
		w->chunk = page->count / ((int64_t)lanes_left(w) / 2 + 1);
		w->chunk = w->chunk < CHUNK_MIN ? CHUNK_MIN : w->chunk;
	}
	for (size_t i = 0; i < page->n && lanes_left(w) > 1; i++)
		if (++w->measured >= w->chunk && (page->more || i + 1 < page->n))
			cut(w, etcd_next_key(&w->arena, page->items[i].key));
	if (!page->more || lanes_left(w) <= 1) {
		end_gap(w);
		return 0;
	}
	buf_clear(&w->next);
	buf_put(&w->next, page->items[page->n - 1].key.p, page->items[page->n - 1].key.len);
	buf_putc(&w->next, '\0');
	return 0;
}

static int
sweep(struct step_ctx *cx, struct etcd_work *w, struct err *err)
{
	const struct etcd_gap *g = &w->gaps[w->gap];
	const bool first = !w->begun;
	const struct bytes from = first ? g->from : (struct bytes){ w->next.p, w->next.len };
	const struct query q = { .target = w->source, .from = from, .to = g->end, .revision = w->revision, .keys_only = true,
				 .limit = first ? CHUNK_MIN : SWEEP_PAGE };
	struct arena keep = ARENA_INIT; /* not the lane's: it would hold this much memory to its end */
	struct page page;
	int rc;

	if (step_list(cx, &q, &page, err) < 0)
		return -1;
	step_page_keep(cx, &keep);
	rc = measure(w, &page, first, from, err);
	arena_done(&keep);
	return rc;
}

int
etcd_work_take(struct step_ctx *cx, struct etcd_work *w, struct etcd_segment *ret, struct err *err)
{
	int rc = 0;

	pthread_mutex_lock(&w->lock);
	while (rc == 0 && w->nready == 0 && w->gap < w->ngaps)
		rc = sweep(cx, w, err);
	if (rc == 0 && w->nready > 0) {
		*ret = w->ready[0];
		w->nready--;
		for (size_t i = 0; i < w->nready; i++)
			w->ready[i] = w->ready[i + 1];
		rc = 1;
	}
	pthread_mutex_unlock(&w->lock);
	return rc;
}

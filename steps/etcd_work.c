/* SPDX-License-Identifier: Apache-2.0 */
/* Owns the cutting of a range. A lane that finds nothing to take reads the next page of keys itself, under the
 * lock: so there is no thread that only sweeps, and no wait but that for the lock. */
#include "steps/etcd_work.h"

#include <stdlib.h>

#define CHUNK_MIN 1016  /* eight full transactions */
#define CHUNK_READ 4064 /* where lanes only read: fewer and fuller pages */
#define SWEEP_PAGE 50000
#define SHEET_BYTES (3U << 20)
#define SHEETS_MAX 64   /* of one gap: more would walk the index too often */
#define FIRST_SHEETS 16 /* small ones, until their size is learnt */
#define FIRST_ITEMS 32  /* of 1.5 MiB each still fit into one reply */

void
etcd_work_init(struct etcd_work *w, struct target *source, int64_t revision, bool sheets, struct etcd_gap *gaps,
	       size_t ngaps, unsigned lane, unsigned last_lane)
{
	*w = (struct etcd_work){ .source = source, .revision = revision, .sheets = sheets, .gaps = gaps, .ngaps = ngaps,
				 .lane = lane, .last_lane = last_lane };
	pthread_mutex_init(&w->lock, NULL);
}

void
etcd_work_done(struct etcd_work *w)
{
	for (size_t i = 0; i < w->nready; i++) /* not taken, after an error */
		etcd_work_release(w, &w->ready[i]);
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

/* A segment up to end; the next one begins there. With a sheet its items are those before `upto`. */
static void
cut(struct etcd_work *w, struct bytes end, size_t upto)
{
	struct etcd_segment s = { .lane = w->lane++, .start = w->start, .next = w->start, .end = end };

	if (w->sheet != NULL) {
		s.sheet = w->sheet;
		s.items = w->sheet->page.items + w->first;
		s.nitems = upto - w->first;
		w->sheet->users++;
	}
	etcd_work_add(w, &s);
	w->start = end;
	w->first = upto;
	w->measured = 0;
}

static void
end_gap(struct etcd_work *w, size_t upto)
{
	cut(w, w->gaps[w->gap].end, upto);
	w->gap++;
	w->begun = false;
}

/* Lanes that this gap may use, when every later one gets at least one. */
static unsigned
lanes_left(const struct etcd_work *w)
{
	return w->last_lane - w->lane + 1 - (unsigned)(w->ngaps - w->gap - 1);
}

static int64_t
least(const struct etcd_work *w)
{
	return w->sheets ? CHUNK_MIN : CHUNK_READ;
}

static void
begin_gap(struct etcd_work *w, const struct page *page)
{
	w->start = w->gaps[w->gap].from;
	w->begun = true;
	w->left = page->count;
	atomic_fetch_add(&w->total, page->count);
	w->chunk = page->count / ((int64_t)lanes_left(w) / 2 + 1);
	w->chunk = w->chunk < least(w) ? least(w) : w->chunk;
}

/* What the page weighs decides about the next ones: twice as many items at most, and no sheets where they would be
 * many. */
static void
learn(struct etcd_work *w, const struct page *page)
{
	size_t bytes = 0;
	int64_t fits;

	w->left = w->left > (int64_t)page->n ? w->left - (int64_t)page->n : 0;
	if (w->keys_only || page->n == 0)
		return;
	for (size_t i = 0; i < page->n; i++)
		bytes += page->items[i].key.len + page->items[i].value.len + sizeof(struct item);
	w->weight = bytes / page->n;
	fits = (int64_t)(SHEET_BYTES / w->weight);
	w->limit = fits < 1 ? 1 : fits < w->limit * 2 ? fits : w->limit * 2;
	w->keys_only = w->left / (fits > 0 ? fits : 1) > SHEETS_MAX || lanes_left(w) < SHEETS_MAX + FIRST_SHEETS;
}

/* Cut what a page shows of the present gap. A sheet ends a segment with it, but for its last one. */
static int
measure(struct etcd_work *w, const struct page *page, bool first, struct bytes from, struct err *err)
{
	if (page->more && (page->n == 0 || bytes_cmp(page->items[page->n - 1].key, from) < 0))
		return err_set(err, ERR_FAILED, "a page of keys does not go on from where the last one ended");
	if (first)
		begin_gap(w, page);
	learn(w, page);
	w->first = 0;
	for (size_t i = 0; i < page->n && lanes_left(w) > 1; i++) {
		const bool last = i + 1 == page->n;

		w->measured++;
		if ((w->measured >= w->chunk || (last && w->sheet != NULL)) && (page->more || !last))
			cut(w, etcd_next_key(&w->arena, page->items[i].key), i + 1);
	}
	if (!page->more || lanes_left(w) <= 1) {
		if (page->more)
			w->sheet = NULL; /* the last segment goes on beyond this page */
		end_gap(w, page->n);
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
	struct etcd_sheet *sheet = xcalloc(1, sizeof(*sheet)); /* not the lane's: it would hold the memory to its end */
	struct query q = { .target = w->source, .from = from, .to = g->end, .revision = w->revision };
	int rc;

	if (first) {
		w->keys_only = !w->sheets;
		w->limit = FIRST_ITEMS;
	}
	q.keys_only = w->keys_only;
	q.limit = !w->keys_only ? w->limit : first ? least(w) : SWEEP_PAGE;
	if (step_list(cx, &q, &sheet->page, err) < 0) {
		free(sheet);
		return -1;
	}
	step_page_keep(cx, &sheet->memory);
	w->sheet = q.keys_only ? NULL : sheet;
	rc = measure(w, &sheet->page, first, from, err);
	w->sheet = NULL;
	if (sheet->users == 0) {
		arena_done(&sheet->memory);
		free(sheet);
	}
	return rc;
}

void
etcd_work_release(struct etcd_work *w, struct etcd_segment *s)
{
	struct etcd_sheet *sheet = s->sheet;

	if (sheet == NULL)
		return;
	s->sheet = NULL;
	pthread_mutex_lock(&w->lock);
	if (--sheet->users > 0)
		sheet = NULL;
	pthread_mutex_unlock(&w->lock);
	if (sheet != NULL) {
		arena_done(&sheet->memory);
		free(sheet);
	}
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

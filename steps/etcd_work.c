/* SPDX-License-Identifier: Apache-2.0 */
/* Owns the cutting of a range. A lane that finds little to take reads the next page of keys itself while the others take
 * what is left: so there is no thread that only sweeps, and nobody waits as long as there is something to take. */
#include "steps/etcd_work.h"

#include <stdlib.h>

#include "steps/etcd_batch.h"

#define CHUNK_MIN 508   /* four full transactions */
#define AHEAD 3         /* segments that last for about as long as a page takes to be read */
#define SWEEP_PAGE 50000
#define SHEET_BYTES (2U << 20) /* of items, with what is known about them */
#define SHEET_ROOM ((9U << 18) - 64)
#define ITEM_COST (sizeof(struct item) + 32) /* beside its bytes */
#define GROWTH 8
#define REACH 2         /* pages of keys that a page's range is to hold */
#define SHEET_PARTS 4   /* segments of a sheet, at least */
#define SHEETS_MAX 64   /* of one gap: more would walk the index too often */
#define FIRST_SHEETS 16 /* small ones, until their size is learnt */
#define FIRST_ITEMS 32  /* of 1.5 MiB each still fit into one reply */

void
etcd_work_init(struct etcd_work *w, struct target *source, int64_t revision, struct etcd_gap *gaps, size_t ngaps,
	       unsigned lane, unsigned last_lane)
{
	*w = (struct etcd_work){ .source = source, .revision = revision, .gaps = gaps, .ngaps = ngaps, .lane = lane, .last_lane = last_lane };
	pthread_mutex_init(&w->lock, NULL);
	pthread_cond_init(&w->swept, NULL);
}

void
etcd_work_done(struct etcd_work *w)
{
	struct etcd_sheet *s;

	for (size_t i = 0; i < w->nready; i++) /* not taken, after an error */
		etcd_work_release(w, &w->ready[i]);
	while ((s = w->spare) != NULL) {
		w->spare = s->next;
		arena_done(&s->memory);
		free(s);
	}
	pthread_cond_destroy(&w->swept);
	pthread_mutex_destroy(&w->lock);
	arena_done(&w->arena);
	arena_done(&w->guess);
	buf_done(&w->next);
	buf_done(&w->first_key);
	buf_done(&w->last_key);
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
larger(int64_t a, int64_t b)
{
	return a > b ? a : b;
}

/* Keys a segment: so many that the lanes last, and full transactions. Where values are large they are few: a sheet is
 * to be several lanes' work, or every lane would hold one. */
static int64_t
chunk(const struct etcd_work *w)
{
	const int64_t weight = larger((int64_t)w->weight, 1), full = larger(ETCD_BATCH_BYTES / weight, 1);
	const int64_t step = full < ETCD_BATCH_OPS ? full : ETCD_BATCH_OPS, part = SHEET_BYTES / weight / SHEET_PARTS;
	const int64_t least = larger(w->share, part < CHUNK_MIN ? part : CHUNK_MIN);

	return (least + step - 1) / step * step;
}

static void
begin_gap(struct etcd_work *w, const struct page *page)
{
	w->start = w->gaps[w->gap].from;
	w->begun = true;
	w->left = page->count;
	atomic_fetch_add(&w->total, page->count);
	w->share = page->count / ((int64_t)lanes_left(w) / 2 + 1);
}

/* What the page weighs decides about the next ones: several times as many items at most, and no sheets where they would
 * be many. */
static void
learn(struct etcd_work *w, const struct page *page)
{
	size_t bytes = 0;
	int64_t fits;

	w->left = w->left > (int64_t)page->n ? w->left - (int64_t)page->n : 0;
	if (w->keys_only || page->n == 0)
		return;
	for (size_t i = 0; i < page->n; i++)
		bytes += page->items[i].key.len + page->items[i].value.len + ITEM_COST;
	w->weight = bytes / page->n;
	fits = (int64_t)(SHEET_BYTES / w->weight);
	w->limit = fits < 1 ? 1 : fits < w->limit * GROWTH ? fits : w->limit * GROWTH;
	if (w->limit > ETCD_BATCH_OPS)
		w->limit -= w->limit % ETCD_BATCH_OPS; /* so that a sheet is full transactions */
	w->keys_only = w->left / (fits > 0 ? fits : 1) > SHEETS_MAX || lanes_left(w) < SHEETS_MAX + FIRST_SHEETS;
}

static void
set(struct buf *to, struct bytes b)
{
	buf_clear(to);
	buf_put(to, b.p, b.len);
}

/* Where the next page begins, and how far its range goes. */
static void
go_on(struct etcd_work *w, const struct query *q, const struct page *page)
{
	const struct bytes end = w->gaps[w->gap].end;

	if (page->n > 0) {
		set(&w->first_key, page->items[0].key);
		set(&w->last_key, page->items[page->n - 1].key);
	}
	if (page->more) {
		set(&w->next, page->items[page->n - 1].key);
		buf_putc(&w->next, '\0');
	} else {
		set(&w->next, q->to);
	}
	w->up = page->more || (int64_t)page->n > q->limit / 2 ? 0 : w->up * 2 + 1;
	arena_reset(&w->guess);
	w->reach = w->last_key.len == 0 ? end :
		etcd_reach(&w->guess, (struct bytes){ w->first_key.p, w->first_key.len },
			   (struct bytes){ w->last_key.p, w->last_key.len },
			   REACH * (uint64_t)(w->keys_only ? SWEEP_PAGE : w->limit) / (page->n > 0 ? page->n : 1) + 1, w->up, end);
	if (etcd_end_cmp((struct bytes){ w->next.p, w->next.len }, w->reach) >= 0)
		w->reach = end;
}

/* Cut what a page shows of the present gap. A sheet ends a segment with it, but for its last one. */
static int
measure(struct etcd_work *w, const struct query *q, struct page *page, bool first, struct err *err)
{
	const bool more = page->more || !bytes_eq(q->to, w->gaps[w->gap].end);

	if (page->more && (page->n == 0 || bytes_cmp(page->items[page->n - 1].key, q->from) < 0))
		return err_set(err, ERR_FAILED, "a page of keys does not go on from where the last one ended");
	if (first)
		begin_gap(w, page);
	/* what lies between the last key of one page and the first of another was read with the older one */
	w->oldest = first || page->revision < w->oldest ? page->revision : w->oldest;
	page->revision = w->oldest;
	learn(w, page);
	w->first = 0;
	for (size_t i = 0; i < page->n && lanes_left(w) > 1; i++) {
		const bool last = i + 1 == page->n;

		w->measured++;
		if ((w->measured >= chunk(w) || (last && w->sheet != NULL)) && (more || !last))
			cut(w, etcd_next_key(&w->arena, page->items[i].key), i + 1);
	}
	if (more && lanes_left(w) > 1) {
		go_on(w, q, page);
		return 0;
	}
	if (more)
		w->sheet = NULL; /* the last segment goes on beyond this page */
	end_gap(w, page->n);
	return 0;
}

/* Memory that was touched once is cheaper than new one. */
static struct etcd_sheet *
take_spare(struct etcd_work *w)
{
	struct etcd_sheet *s = w->spare;

	if (s == NULL) {
		s = xcalloc(1, sizeof(*s));
		arena_reserve(&s->memory, SHEET_ROOM);
		return s;
	}
	w->spare = s->next;
	return s;
}

static void
give_spare(struct etcd_work *w, struct etcd_sheet *s)
{
	s->next = w->spare;
	w->spare = s;
}

/* Read the next page and cut it. The lock is not held while it is being read: w->sweeping keeps the others from doing the
 * same, and who has nothing else to do waits until it is swept. */
static int
sweep(struct step_ctx *cx, struct etcd_work *w, struct err *err)
{
	const struct etcd_gap *g = &w->gaps[w->gap];
	const bool first = !w->begun;
	const struct bytes from = first ? g->from : (struct bytes){ w->next.p, w->next.len };
	struct etcd_sheet *sheet = take_spare(w);
	struct query q = { .target = w->source, .from = from, .to = first ? g->end : w->reach, .revision = w->revision };
	int rc;

	if (first) {
		w->keys_only = false;
		w->limit = FIRST_ITEMS;
		w->up = 0;
		buf_clear(&w->first_key);
		buf_clear(&w->last_key);
	}
	q.keys_only = w->keys_only;
	q.limit = w->keys_only ? SWEEP_PAGE : w->limit;
	w->sweeping = true;
	pthread_mutex_unlock(&w->lock);
	step_page_keep(cx, &sheet->memory); /* the page goes there */
	rc = step_list(cx, &q, &sheet->page, err);
	step_page_keep(cx, &sheet->memory);
	pthread_mutex_lock(&w->lock);
	w->sweeping = false;
	w->sheet = q.keys_only ? NULL : sheet;
	if (rc == 0)
		rc = measure(w, &q, &sheet->page, first, err);
	w->failed = rc < 0;
	w->sheet = NULL;
	if (sheet->users == 0)
		give_spare(w, sheet);
	pthread_cond_broadcast(&w->swept);
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
	if (--sheet->users == 0)
		give_spare(w, sheet);
	pthread_mutex_unlock(&w->lock);
}

int
etcd_work_take(struct step_ctx *cx, struct etcd_work *w, struct etcd_segment *ret, struct err *err)
{
	int rc = 0;

	pthread_mutex_lock(&w->lock);
	while (rc == 0 && !w->failed && w->gap < w->ngaps && w->nready < AHEAD) {
		if (!w->sweeping)
			rc = sweep(cx, w, err);
		else if (w->nready == 0)
			pthread_cond_wait(&w->swept, &w->lock);
		else
			break;
	}
	if (rc == 0 && !w->failed && w->nready > 0) {
		*ret = w->ready[0];
		w->nready--;
		for (size_t i = 0; i < w->nready; i++)
			w->ready[i] = w->ready[i + 1];
		rc = 1;
	}
	pthread_mutex_unlock(&w->lock);
	return rc;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Owns how a side is paged: a page holds about `want` bytes, grows at most twofold, and must go on from where the
 * last one ended, whatever the server says. */
#include "steps/etcd_side.h"

#include <string.h>

#include "base/text.h"

#define PAGE_BYTES (512U << 10)
#define PAGE_FIRST 32    /* of 1.5 MiB each still fit into one reply */
#define PAGE_MAX 50000
#define ITEM_COST 64     /* what an item costs beside its bytes */

enum etcd_leases
etcd_leases_of(const char *word)
{
	if (strcmp(word, "drop") == 0)
		return ETCD_LEASES_DROP;
	return strcmp(word, "keep") == 0 ? ETCD_LEASES_KEEP : ETCD_LEASES_SKIP;
}

const char *
etcd_shown(struct step_ctx *cx, struct bytes key)
{
	return text_safe(step_arena(cx), key.p, key.len, 200);
}

void
etcd_side_begin(struct etcd_side *s, struct bytes from, struct bytes end)
{
	buf_clear(&s->next);
	buf_put(&s->next, from.p, from.len);
	s->end = end;
	s->page.n = s->at = 0;
	s->more = true;
	s->leased = s->lowest = 0;
	if (s->limit == 0)
		s->limit = PAGE_FIRST;
	if (s->want == 0)
		s->want = PAGE_BYTES;
}

void
etcd_side_give(struct etcd_side *s, struct item *items, size_t n, int64_t revision)
{
	s->page = (struct page){ .items = items, .n = n, .revision = revision };
	s->more = false;
	s->lowest = revision;
}

void
etcd_side_done(struct etcd_side *s)
{
	buf_done(&s->next);
	arena_done(&s->memory);
}

/* The size of the next page from what this one weighed. */
static void
learn(struct etcd_side *s)
{
	size_t bytes = 0;
	int64_t fits;

	for (size_t i = 0; i < s->page.n; i++)
		bytes += s->page.items[i].key.len + s->page.items[i].value.len + ITEM_COST;
	if (s->page.n == 0)
		return;
	fits = (int64_t)(s->want / (bytes / s->page.n));
	if (fits > s->limit * 2)
		fits = s->limit * 2;
	s->limit = fits < 1 ? 1 : fits > PAGE_MAX ? PAGE_MAX : fits;
}

static int
fetch(struct step_ctx *cx, struct etcd_side *s, struct err *err)
{
	const struct bytes from = { s->next.p, s->next.len };
	const struct query q = { .target = s->on, .from = from, .to = s->end, .revision = s->revision,
				 .limit = s->limit, .keys_only = s->keys_only };
	const struct item *last;

	if (s->turn != NULL)
		s->turn(s->turn_data);
	if (step_list(cx, &q, &s->page, err) < 0)
		return -1;
	step_page_keep(cx, &s->memory);
	s->at = 0;
	s->more = s->page.more;
	if (s->lowest == 0 || s->page.revision < s->lowest)
		s->lowest = s->page.revision;
	learn(s);
	if (!s->more)
		return 0;
	last = s->page.n > 0 ? &s->page.items[s->page.n - 1] : NULL;
	if (last == NULL || bytes_cmp(last->key, from) < 0)
		return err_set(err, ERR_FAILED, "a page of keys does not go on from where the last one ended");
	buf_clear(&s->next);
	buf_put(&s->next, last->key.p, last->key.len);
	buf_putc(&s->next, '\0');
	return 0;
}

static bool
takes_part(struct etcd_side *s, const struct item *it)
{
	if (s->source ? !etcd_span_moves(s->span, it->key) : !etcd_span_holds(s->span, it->key))
		return false;
	if (!s->skip_leased || it->lease == 0)
		return true;
	s->leased++;
	return false;
}

/* The next item, which stays the next one. */
static int
peek(struct step_ctx *cx, struct etcd_side *s, const struct item **ret, struct err *err)
{
	for (;;) {
		for (; s->at < s->page.n; s->at++)
			if (takes_part(s, &s->page.items[s->at])) {
				*ret = &s->page.items[s->at];
				return 1;
			}
		*ret = NULL;
		if (!s->more)
			return 0;
		if (fetch(cx, s, err) < 0)
			return -1;
	}
}

int
etcd_side_next(struct step_ctx *cx, struct etcd_side *s, const struct item **ret, struct err *err)
{
	int rc = peek(cx, s, ret, err);

	s->at += rc > 0;
	return rc;
}

int
etcd_pair_next(struct step_ctx *cx, struct etcd_side *src, struct etcd_side *dst, struct etcd_pair *ret,
	       struct err *err)
{
	int order;

	*ret = (struct etcd_pair){ 0 };
	if (peek(cx, src, &ret->src, err) < 0 || (dst != NULL && peek(cx, dst, &ret->dst, err) < 0))
		return -1;
	if (ret->src != NULL && ret->dst != NULL) {
		order = etcd_span_cmp(src->span, ret->src->key, ret->dst->key);
		if (order < 0)
			ret->dst = NULL;
		else if (order > 0)
			ret->src = NULL;
	}
	src->at += ret->src != NULL;
	if (ret->dst != NULL)
		dst->at++;
	return ret->src != NULL || ret->dst != NULL;
}

int
etcd_revision_now(struct step_ctx *cx, struct target *on, const struct etcd_span *span, bool source, int64_t *ret,
		  struct err *err)
{
	const struct query q = { .target = on, .from = source ? span->prefix : span->to_prefix,
				 .to = source ? span->end : span->to_end, .limit = 1, .keys_only = true };
	struct page page;

	if (step_list(cx, &q, &page, err) < 0)
		return -1;
	*ret = page.revision;
	return 0;
}

int
etcd_first_existing(struct step_ctx *cx, struct target *to, const struct etcd_span *span, const char **ret,
		    struct err *err)
{
	struct etcd_side side = { .on = to, .span = span, .keys_only = true };
	const struct item *it;
	int rc;

	etcd_side_begin(&side, span->to_prefix, span->to_end);
	rc = etcd_side_next(cx, &side, &it, err);
	*ret = rc > 0 ? etcd_shown(cx, it->key) : NULL;
	etcd_side_done(&side);
	return rc < 0 ? -1 : 0;
}

int
etcd_check_apart(struct step_ctx *cx, struct target *from, struct target *to, const struct etcd_span *span,
		 struct err *err)
{
	const struct value *a, *b;

	if (!etcd_span_overlaps(span))
		return 0;
	if (step_read(cx, &(struct ref){ from, "status" }, &a, err) < 0 ||
	    step_read(cx, &(struct ref){ to, "status" }, &b, err) < 0)
		return -1;
	if (strcmp(value_get_str(a, "cluster_id", "a"), value_get_str(b, "cluster_id", "b")) != 0)
		return 0;
	return err_set(err, ERR_PLAN, "source and destination are one cluster, and '%s' and '%s' share keys there",
		       etcd_shown(cx, span->prefix), etcd_shown(cx, span->to_prefix));
}

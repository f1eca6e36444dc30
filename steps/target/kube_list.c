/* SPDX-License-Identifier: Apache-2.0 */
/* Owns lists: pages by limit and continue, read as they come, so that no more than a page stands in memory. A page that
 * grows too large is asked for again with fewer objects. Where the server has forgotten the moment at which a list began
 * (410), the list goes on at a later one: no object that is there all the time is missed or comes twice, what changes
 * meanwhile may be seen before or after, and the page's revision is another one than the page's before.
 * https://kubernetes.io/docs/reference/using-api/api-concepts/#retrieving-large-results-sets-in-chunks */
#include "steps/target/kube_list.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "steps/target/kube_item.h"
#include "steps/target/kube_split.h"

#define LIMIT 500
#define PAGE_MAX ((size_t)8 << 20)
#define AS_METADATA "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,application/json"

static int
take_item(void *data, struct bytes json, struct err *err)
{
	struct kube_pages *pg = data;

	if (pg->n > 0 && pg->bytes + json.len > PAGE_MAX) {
		pg->too_large = true;
		return -1;
	}
	if (pg->n == pg->cap) {
		struct item *more = arena_array(pg->arena, pg->cap ? pg->cap * 2 : 64, sizeof(*more));

		if (pg->n > 0)
			memcpy(more, pg->items, pg->n * sizeof(*more));
		pg->items = more;
		pg->cap = pg->cap ? pg->cap * 2 : 64;
	}
	pg->bytes += json.len;
	return kube_item_make(pg->arena, &pg->path, json, pg->keys_only, &pg->items[pg->n++], NULL, err);
}

static int
feed(void *data, const char *p, size_t n, struct err *err)
{
	struct kube_pages *pg = data;

	if (kube_split_feed(&pg->split, p, n, err) == 0)
		return 0;
	return pg->too_large ? -1 : err_wrap(err, "the list of %s", pg->path.kind);
}

static void
begin_page(struct kube_pages *pg)
{
	kube_split_done(&pg->split);
	kube_split_begin(&pg->split, take_item, pg, KUBE_ITEM_MAX);
	pg->n = pg->bytes = 0;
	pg->too_large = false;
}

void
kube_pages_begin(struct kube_pages *pg, const struct kube_path *p)
{
	*pg = (struct kube_pages){ .path = *p, .limit = LIMIT, .go_on = "" };
}

void
kube_pages_done(struct kube_pages *pg)
{
	kube_split_done(&pg->split);
}

/* What the whole page says of itself. */
static int
read_metadata(struct kube_pages *pg, struct err *err)
{
	struct value m = VALUE_NULL;

	if (kube_split_end(&pg->split, err) < 0)
		return -1;
	if (pg->split.metadata.len > 0 &&
	    value_parse_json(pg->arena, pg->split.metadata.p, pg->split.metadata.len, &m, err) < 0)
		return -1;
	pg->go_on = value_get_str(&m, "continue", "");
	pg->version = value_get_str(&m, "resourceVersion", "");
	pg->left = value_get_int(&m, "remainingItemCount", -1);
	return 0;
}

/* The list's moment is forgotten: the token with which it goes on at another one. */
static bool
go_on_later(struct opctx *op, struct kube_pages *pg, const struct kube_reply *r)
{
	const char *token = value_get_str(value_get(&r->about, "metadata"), "continue", "");

	if (r->status != 410 || pg->go_on[0] == '\0' || pg->whole || token[0] == '\0' || strcmp(token, pg->go_on) == 0)
		return false;
	pg->go_on = arena_strdup(pg->arena, token);
	if (op->note != NULL)
		op->note(op, arena_printf(op->arena, "the list of %s took so long that the server has forgotten how it began: "
					  "it goes on as things are now", pg->path.kind));
	return true;
}

static int
refused(struct kube_conn *c, struct kube_pages *pg, const struct kube_reply *r, struct err *err)
{
	if (r->status == 404 && r->about.kind == V_NULL) {
		kube_kinds_forget(c);
		return err_set(err, ERR_FAILED, "%s has no kind '%s' any more", kube_conn_name(c), pg->path.kind);
	}
	pg->expired = r->status == 410;
	err->retryable = err->retryable || pg->expired; /* from the beginning it is served */
	return -1;
}

int
kube_pages_next(struct opctx *op, struct kube_conn *c, struct kube_pages *pg, struct err *err)
{
	const bool first = pg->go_on[0] == '\0';
	struct kube_reply r;
	int rc;

	pg->arena = op->arena;
	pg->expired = false;
	pg->items = NULL;
	pg->cap = 0;
	for (;;) {
		const char *more = arena_printf(op->arena, "limit=%" PRIi64 "%s%s%s", pg->limit, first ? "" : "&continue=",
						kube_paths_encoded(op->arena, pg->go_on), first && pg->at != NULL ? pg->at : "");
		const struct kube_ask ask = { .method = "GET", .url = kube_path_url(op->arena, &pg->path, more),
			.accept = pg->keys_only ? AS_METADATA : NULL, .sink = feed, .sink_data = pg };

		begin_page(pg);
		rc = kube_ask(op, c, &ask, &r, err);
		kube_reply_done(&r);
		if (rc < 0 && pg->too_large) {
			pg->limit = (int64_t)pg->n;
			continue;
		}
		if (rc < 0 && go_on_later(op, pg, &r))
			continue;
		if (rc < 0)
			return refused(c, pg, &r, err);
		return read_metadata(pg, err) < 0 ? err_wrap(err, "the list of %s", pg->path.kind) : 0;
	}
}

/* All pages, and only how many there are in them. */
static int
count_all(struct opctx *op, struct kube_conn *c, struct kube_pages *pg, int64_t *ret, struct err *err)
{
	struct arena scratch = ARENA_INIT, *const mine = op->arena;
	int rc;

	*ret = 0;
	do {
		const char *token = arena_strdup(mine, pg->go_on);

		arena_reset(&scratch);
		pg->go_on = token;
		op->arena = &scratch;
		rc = kube_pages_next(op, c, pg, err);
		op->arena = mine;
		if (rc == 0)
			*ret += (int64_t)pg->n + (pg->left > 0 ? pg->left : 0);
	} while (rc == 0 && pg->left <= 0 && pg->go_on[0] != '\0');
	arena_done(&scratch);
	return rc;
}

/* "LIMIT CONTINUE": the limit that has proved good. */
static int
take_up(struct arena *a, struct kube_pages *pg, struct bytes resume, struct err *err)
{
	char *text = arena_strndup(a, resume.p, resume.len), *end;

	if (resume.len == 0)
		return 0;
	pg->limit = strtoll(text, &end, 10);
	if (*end != ' ' || pg->limit < 1 || pg->limit > LIMIT || end[1] == '\0')
		return err_set(err, ERR_FAILED, "bug: a list goes on at a place that is none");
	pg->go_on = end + 1;
	return 0;
}

int
kube_list(struct opctx *op, void *conn, const struct query *q, struct page *ret, struct err *err)
{
	const char *from = arena_strndup(op->arena, q->from.p, q->from.len), *resume;
	struct kube_pages pg;
	struct kube_path p;
	int rc = -1;

	if (kube_path_known(op, conn, from, &p, err) < 0)
		return -1;
	if (p.name[0] != '\0')
		return err_set(err, ERR_PLAN, "'%s' is an object, and no list", from);
	kube_pages_begin(&pg, &p);
	if (q->limit > 0 && q->limit < LIMIT)
		pg.limit = q->limit;
	if (q->revision > 0)
		pg.at = arena_printf(op->arena, "&resourceVersion=%" PRIi64 "&resourceVersionMatch=Exact", q->revision);
	pg.keys_only = q->keys_only || q->count_only;
	*ret = (struct page){ 0 };
	if (take_up(op->arena, &pg, q->resume, err) < 0)
		goto out;
	if (q->count_only) {
		rc = count_all(op, conn, &pg, &ret->count, err);
		goto out;
	}
	rc = kube_pages_next(op, conn, &pg, err);
	if (rc < 0)
		goto out;
	*ret = (struct page){ .items = pg.items, .n = pg.n, .more = pg.go_on[0] != '\0', .revision = kube_revision(pg.version) };
	if (ret->more) {
		resume = arena_printf(op->arena, "%" PRIi64 " %s", pg.limit, pg.go_on);
		ret->resume = (struct bytes){ resume, strlen(resume) };
	}
out:
	kube_pages_done(&pg);
	return rc;
}

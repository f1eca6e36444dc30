/* SPDX-License-Identifier: Apache-2.0 */
/* Owns the way back of bulk writes: what a copy and its syncs wrote into a range is removed. Every transaction of theirs
 * left a marker, so a key whose creation and last change are both revisions of markers is ours and as we left it. A key
 * that is ours and was changed since stops the removal before anything is removed; one that was there before the copy
 * has no way back, as no pre-image of it is kept. Claim and markers go last: until then a removal can begin again. */
#include "steps/target/etcd.h"

#include <string.h>

#include "base/fault.h"
#include "base/text.h"
#include "steps/target/etcd_effect.h"
#include "steps/target/etcd_paths.h"

#define TXN_KEYS (ETCD_MAX_OPS - 2)
#define TRIES 5 /* over: somebody writes there all the time, or the claim is lost */

/* What a removal is about. */
struct removal {
	struct opctx *cx;
	struct etcd_conn *c;
	struct etcd_path range;
	const char *marker_prefix, *name;
	struct etcd_marks ours;
	struct bytes claim_key;
	int64_t fence;         /* 0: nothing is written */
	int64_t keys;          /* that are ours, seen or removed */
};

static int
read_body(struct opctx *cx, struct etcd_conn *c, const struct effect *e, struct removal *ret, struct err *err)
{
	*ret = (struct removal){ .cx = cx, .c = c, .marker_prefix = value_get_str(&e->body, "marker_prefix", ""),
				 .name = value_get_str(&e->body, "name", "") };
	if (etcd_path_parse(cx->arena, e->on.path, &ret->range, err) < 0)
		return -1;
	return 0;
}

/* 1: ours and as we left it, 0: none of ours, -1: it cannot be taken back; err NULL: nobody asks why. */
static int
judge(const struct removal *r, const struct item *it, struct err *err)
{
	const bool created = etcd_marks_hold(&r->ours, it->created);
	const bool changed = etcd_marks_hold(&r->ours, it->revision);
	const size_t len = strlen(r->marker_prefix);
	const char *key;

	if ((!created && !changed) || (it->key.len >= len && memcmp(it->key.p, r->marker_prefix, len) == 0))
		return 0;
	if (created && changed)
		return 1;
	if (err == NULL)
		return -1;
	key = text_safe(r->cx->arena, it->key.p, it->key.len, 200);
	if (created) {
		err_set(err, ERR_IN_DOUBT, "key '%s' at %s was changed by someone else since it was copied: mod_revision "
			"differs; nothing was removed", key, etcd_conn_names(r->c));
		return err_next(err, "to have all others removed, save what that key holds, and delete it: etcdctl del %s",
				etcd_shell_word(r->cx->arena, it->key));
	}
	return err_set(err, ERR_IN_DOUBT, "key '%s' at %s was there before the copy adopted it, and its pre-image is not kept",
		       key, etcd_conn_names(r->c));
}

static int
each_page(struct removal *r, etcd_page_fn *fn, struct err *err)
{
	return etcd_each_page(r->cx, r->c, r->range.key, r->range.end, fn, r, err);
}

static int
count_page(void *data, struct arena *a, const struct page *page, struct err *err)
{
	struct removal *r = data;

	(void)a, (void)err;
	for (size_t i = 0; i < page->n; i++)
		r->keys += judge(r, &page->items[i], NULL) != 0;
	return 0;
}

static int
check_page(void *data, struct arena *a, const struct page *page, struct err *err)
{
	struct removal *r = data;
	(void)a;
	for (size_t i = 0; i < page->n; i++)
		if (judge(r, &page->items[i], err) < 0)
			return -1;
	return 0;
}

/* Keys [*at, …) of the page in one transaction, each guarded by its revision. 1: done, 0: a guard did not hold. */
static int
remove_some(struct removal *r, struct arena *a, const struct page *page, size_t *at, struct err *err)
{
	const struct bytes none = { 0 };
	struct buf request = BUF_INIT(0);
	struct etcd_call call = { .method = ETCD_TXN, .request = &request, .kind = ETCD_GUARDED, .arena = a };
	struct etcd_txn txn;
	size_t n = 0;
	int rc = 0;

	grpc_begin(&request);
	etcd_if_revision(&request, ETCD_MOD_REVISION, r->claim_key, none, ETCD_EQUAL, r->fence);
	for (; rc >= 0 && *at < page->n && n < TXN_KEYS; ++*at) {
		rc = judge(r, &page->items[*at], err);
		if (rc <= 0)
			continue;
		etcd_if_revision(&request, ETCD_MOD_REVISION, page->items[*at].key, none, ETCD_EQUAL,
				 page->items[*at].revision);
		etcd_op_delete(&request, ETCD_THEN, page->items[*at].key, none);
		n++;
	}
	grpc_end(&request);
	FAULT("etcd.remove.before");
	if (rc >= 0)
		rc = n == 0 ? 1 : etcd_call(r->cx, r->c, &call, err) < 0 ? -1 : 2;
	buf_done(&request);
	if (rc < 2)
		return rc;
	if (etcd_txn_decode(call.reply, &txn) < 0)
		return etcd_malformed(r->c, "Txn", err);
	r->keys += txn.succeeded ? (int64_t)n : 0;
	return txn.succeeded;
}

static int
remove_page(void *data, struct arena *a, const struct page *page, struct err *err)
{
	struct removal *r = data;
	size_t at = 0;
	int rc = 1;

	while (rc > 0 && at < page->n) {
		rc = remove_some(r, a, page, &at, err);
		if (rc == 0) {
			err_set(err, ERR_FAILED, "etcd at %s: someone else writes there or holds the claim while the copy is "
				"removed", etcd_conn_names(r->c));
			err->retryable = true;
		}
	}
	return rc > 0 ? 0 : -1;
}

/* First a look over all keys, so that nothing is removed where something is in the way. */
static int
remove_all(struct removal *r, struct err *err)
{
	int rc;

	for (unsigned try = 0; try < TRIES; try++) {
		rc = each_page(r, check_page, err);
		if (rc == 0)
			rc = each_page(r, remove_page, err);
		if (rc == 0 || !err->retryable)
			break;
	}
	return rc;
}

/* Fence out what an earlier process may still have in flight. */
static int
claim(struct opctx *cx, struct removal *r, const char *nonce, struct err *err)
{
	const struct bulk b = { .name = r->name, .prefix = r->range.key, .marker_prefix = r->marker_prefix };

	r->claim_key = etcd_claim_key(cx->arena, r->marker_prefix, r->range.key);
	return etcd_claim_take(cx, r->c, &b, nonce, r->claim_key, &r->fence, err);
}

/* Nothing tells any more which keys of the range are the copy's. */
static int
lost_count(struct removal *r, int64_t *ret, struct err *err)
{
	struct etcd_range look = { .key = r->range.key, .end = r->range.end, .count_only = true };
	struct page page;

	*ret = 0;
	if (r->ours.keys > 0)
		return 0;
	if (look.key.len == 0)
		look.key = (struct bytes){ "", 1 };
	if (etcd_range(r->cx, r->c, &look, r->cx->arena, &page, err) < 0)
		return -1;
	*ret = page.count;
	return 0;
}

static int
check_marks(struct removal *r, struct err *err)
{
	int64_t lost;

	if (lost_count(r, &lost, err) < 0)
		return -1;
	if (lost == 0)
		return 0;
	return err_set(err, ERR_IN_DOUBT, "etcd at %s: claim and cursors of the copy are gone, so its keys cannot be told from others' "
		       "(%lld are there); where all are the copy's, etcdctl del --prefix '%s' removes them", etcd_conn_names(r->c),
		       (long long)lost, text_safe(r->cx->arena, r->range.key.p, r->range.key.len, 200));
}

static int
load_marks(struct removal *r, struct err *err)
{
	etcd_marks_done(&r->ours);
	return etcd_marks_load(r->cx, r->c, r->marker_prefix, r->name, &r->ours, err);
}

static int
bulk_write(struct opctx *cx, void *conn, const struct effect *e, const char *nonce, struct reply *ret, struct err *err)
{
	struct removal r;
	struct reply released;
	int rc = -1;

	if (read_body(cx, conn, e, &r, err) < 0)
		return -1;
	if (load_marks(&r, err) == 0 && check_marks(&r, err) == 0 && claim(cx, &r, nonce, err) == 0 &&
	    load_marks(&r, err) == 0 && remove_all(&r, err) == 0 &&
	    etcd_bulk_release(cx, conn, &e->body, &released, err) == 0) {
		*ret = (struct reply){ .outcome = OUTCOME_OK };
		ret->value = ETCD_MAP(cx->arena, { "removed", value_int(r.keys) });
		rc = 0;
	}
	etcd_marks_done(&r.ours);
	return rc;
}

/* How many keys it is about, markers included; copied null: that cannot be told without markers. */
static int
bulk_image(struct opctx *cx, void *conn, const struct effect *e, struct value *ret, struct err *err)
{
	struct removal r;
	int64_t lost;
	int rc = -1;

	if (read_body(cx, conn, e, &r, err) < 0)
		return -1;
	if (load_marks(&r, err) == 0 && lost_count(&r, &lost, err) == 0 && each_page(&r, count_page, err) == 0) {
		*ret = ETCD_MAP(cx->arena, { "copied", lost > 0 ? VALUE_NULL : value_int(r.keys) },
				{ "markers", value_int(r.ours.keys) });
		rc = 0;
	}
	etcd_marks_done(&r.ours);
	return rc;
}

static bool
bulk_same(const struct effect *e, const struct value *before)
{
	(void)e;
	return value_get_int(before, "copied", -1) == 0 && value_get_int(before, "markers", -1) == 0;
}

static int
bulk_predict(struct opctx *cx, void *conn, const struct effect *e, const struct value *before, struct prediction *ret,
	     struct err *err)
{
	struct removal r;
	int rc;

	(void)before;
	if (read_body(cx, conn, e, &r, err) < 0)
		return -1;
	rc = load_marks(&r, err);
	if (rc == 0)
		rc = each_page(&r, check_page, err);
	*ret = (struct prediction){ .confidence = r.ours.keys > 0 ? CONF_EXACT : CONF_PREDICTED };
	ret->after = ETCD_MAP(cx->arena, { "copied", value_int(0) }, { "markers", value_int(0) });
	etcd_marks_done(&r.ours);
	return rc;
}

static int
bulk_invert(struct arena *a, const struct effect *e, const struct value *before, const struct value *after,
	    struct effect *ret, struct err *err)
{
	const struct value *keep = value_get(&e->body, "keep_markers");

	(void)before, (void)after;
	if (keep == NULL)
		return err_set(err, ERR_FAILED, "what it wrote is not on record");
	if (strcmp(e->verb, "raise") == 0) { /* a revision never goes back, and need not */
		*ret = (struct effect){ .on = e->on, .verb = "release-bulk", .class = EFFECT_IDEMPOTENT,
					.says = "remove the keys that counted the revision up" };
		ret->body = ETCD_MAP(a, { "marker_prefix", value_str(value_get_str(&e->body, "marker_prefix", "")) },
				     { "name", value_str(value_get_str(&e->body, "name", "")) }, { "scratch", value_bool(true) });
		ret->on.path = etcd_path_markers(a, value_get_str(&e->body, "marker_prefix", ""));
		return 0;
	}
	if (strcmp(e->verb, "copy") != 0)
		return err_set(err, ERR_FAILED, "no pre-image is kept of the keys that it changed");
	if (!value_true(keep))
		return err_set(err, ERR_FAILED, "on_existing: replace keeps no pre-image of what it overwrote and removed");
	*ret = (struct effect){ .on = e->on, .verb = "remove-bulk", .class = EFFECT_IDEMPOTENT, .body = e->body };
	ret->says = arena_printf(a, "remove again what was copied to '%s', with claim and cursors",
				 text_safe(a, e->on.path, strlen(e->on.path), 200));
	return 0;
}

const struct etcd_effects etcd_bulk_effects = {
	.write = bulk_write,
	.image = bulk_image,
	.same = bulk_same,
	.predict = bulk_predict,
	.invert = bulk_invert,
};

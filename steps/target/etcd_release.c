/* SPDX-License-Identifier: Apache-2.0 */
/* Owns the end of bulk writes: `release-bulk` removes the claims and markers of this run from the destination. What they
 * told, the revisions of all transactions of the copy and its syncs, is its pre-image, so that it can be taken back:
 * `restore-bulk` leaves these revisions in one key, and a copy can be removed again by them. */
#include "steps/target/etcd.h"

#include <stdlib.h>
#include <string.h>

#include "base/fault.h"
#include "steps/target/etcd_effect.h"
#include "steps/target/etcd_paths.h"

#define PAGE_KEYS 10000
#define RESTORED "restored" /* in the folder of the markers: revisions of those that were there */

struct release {
	const char *marker_prefix, *name;
	const struct value *revisions; /* to restore, or NULL */
	bool scratch;                  /* nothing is lost with them */
	bool restore;
};

static int
parse(const struct effect *e, struct release *ret, struct err *err)
{
	const struct value *revisions = value_get(&e->body, "revisions");

	*ret = (struct release){ .marker_prefix = value_get_str(&e->body, "marker_prefix", ""),
				 .name = value_get_str(&e->body, "name", ""),
				 .scratch = value_get(&e->body, "scratch") != NULL,
				 .restore = strcmp(e->verb, "restore-bulk") == 0, .revisions = revisions };
	if (*ret->marker_prefix == '\0' || *ret->name == '\0' ||
	    (ret->restore && (revisions == NULL || revisions->kind != V_LIST)))
		return err_set(err, ERR_PLAN, "etcd: %s needs marker_prefix and name%s", e->verb,
			       ret->restore ? ", and revisions" : "");
	return 0;
}

int
etcd_each_page(struct opctx *cx, struct etcd_conn *c, struct bytes from, struct bytes end, etcd_page_fn *fn, void *data,
	       struct err *err)
{
	struct arena pages = ARENA_INIT, next = ARENA_INIT;
	struct etcd_range q = { .key = from.len > 0 ? from : (struct bytes){ "", 1 }, .end = end, .limit = PAGE_KEYS,
				.keys_only = true };
	struct page page = { .more = true };
	int rc = 0;

	while (rc == 0 && page.more) {
		struct bytes last;

		arena_reset(&pages);
		rc = etcd_range(cx, c, &q, &pages, &page, err);
		if (rc < 0 || page.n == 0)
			break;
		last = page.items[page.n - 1].key;
		rc = fn(data, &pages, &page, err);
		arena_reset(&next);
		q.key = (struct bytes){ arena_strndup(&next, last.p, last.len), last.len + 1 }; /* with its NUL: the next key */
	}
	arena_done(&pages);
	arena_done(&next);
	return rc;
}

static struct bytes
folder_of(struct opctx *cx, struct arena *a, const char *marker_prefix, const char *name)
{
	const char *folder = etcd_marker_folder(a, marker_prefix, cx->run, name);

	return (struct bytes){ folder, strlen(folder) };
}

static struct bytes
restored_key(struct arena *a, struct bytes folder)
{
	return (struct bytes){ arena_printf(a, "%s" RESTORED, (const char *)folder.p), folder.len + strlen(RESTORED) };
}

static void
add_mark(struct etcd_marks *m, int64_t revision)
{
	if (m->n == m->cap) {
		m->cap = m->cap > 0 ? 2 * m->cap : 256;
		m->revision = xreallocarray(m->revision, m->cap, sizeof(*m->revision));
	}
	m->revision[m->n++] = revision;
}

/* What a walk over the markers gathers. */
struct walk {
	struct etcd_marks *marks;
	struct bytes restored;
	bool has_restored;
};

static int
add_page(void *data, struct arena *a, const struct page *page, struct err *err)
{
	struct walk *w = data;

	(void)a, (void)err;
	for (size_t i = 0; i < page->n; i++) {
		if (bytes_eq(page->items[i].key, w->restored))
			w->has_restored = true;
		else
			add_mark(w->marks, page->items[i].revision);
	}
	w->marks->keys += (int64_t)page->n;
	return 0;
}

static int
add_restored(struct opctx *cx, struct etcd_conn *c, struct arena *a, struct bytes key, struct etcd_marks *to, struct err *err)
{
	struct err ignored;
	struct value v;
	struct page page;

	if (etcd_range(cx, c, &(struct etcd_range){ .key = key }, a, &page, err) < 0)
		return -1;
	if (page.n == 0)
		return 0;
	if (value_parse(a, page.items[0].value.p, page.items[0].value.len, &v, &ignored) < 0 || v.kind != V_LIST)
		return err_set(err, ERR_FAILED, "etcd at %s: the key '%s' was overwritten by someone else", etcd_conn_names(c),
			       etcd_escape(a, key));
	for (size_t i = 0; i < v.len; i++)
		if (v.items[i].kind == V_INT)
			add_mark(to, v.items[i].i);
	return 0;
}

static int
by_number(const void *a, const void *b)
{
	const int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

	return (x > y) - (x < y);
}

static void
sort_marks(struct etcd_marks *m)
{
	size_t n = 0;

	if (m->n > 0)
		qsort(m->revision, m->n, sizeof(*m->revision), by_number);
	for (size_t i = 0; i < m->n; i++)
		if (n == 0 || m->revision[n - 1] != m->revision[i])
			m->revision[n++] = m->revision[i];
	m->n = n;
}

int
etcd_marks_load(struct opctx *cx, struct etcd_conn *c, const char *marker_prefix, const char *name, struct etcd_marks *ret,
		struct err *err)
{
	struct arena a = ARENA_INIT;
	const struct bytes folder = folder_of(cx, &a, marker_prefix, name);
	struct walk w = { .marks = ret, .restored = restored_key(&a, folder) };
	struct page claims;
	int rc = -1;

	*ret = (struct etcd_marks){ 0 };
	if (etcd_claims_ours(cx, c, &a, marker_prefix, name, &claims, err) == 0 &&
	    etcd_each_page(cx, c, folder, etcd_prefix_end(&a, folder), add_page, &w, err) == 0 &&
	    (!w.has_restored || add_restored(cx, c, &a, w.restored, ret, err) == 0)) {
		ret->keys += (int64_t)claims.n;
		sort_marks(ret);
		rc = 0;
	}
	if (rc < 0)
		etcd_marks_done(ret);
	arena_done(&a);
	return rc;
}

void
etcd_marks_done(struct etcd_marks *m)
{
	free(m->revision);
	*m = (struct etcd_marks){ 0 };
}

bool
etcd_marks_hold(const struct etcd_marks *m, int64_t revision)
{
	return m->n > 0 && bsearch(&revision, m->revision, m->n, sizeof(*m->revision), by_number) != NULL;
}

/* One transaction. 1: released, 0: a claim has changed meanwhile, -1: error. */
static int
release_once(struct opctx *cx, struct etcd_conn *c, struct arena *a, const struct release *r, struct reply *ret,
	     struct err *err)
{
	const struct bytes folder = folder_of(cx, a, r->marker_prefix, r->name), none = { 0 };
	struct buf request = BUF_INIT(0);
	struct etcd_call call = { .method = ETCD_TXN, .request = &request, .kind = ETCD_WRITE, .arena = a };
	struct page claims;
	struct etcd_txn txn;
	int rc;

	if (etcd_claims_ours(cx, c, a, r->marker_prefix, r->name, &claims, err) < 0)
		return -1;
	grpc_begin(&request);
	for (size_t i = 0; i < claims.n; i++) {
		etcd_if_revision(&request, ETCD_MOD_REVISION, claims.items[i].key, none, ETCD_EQUAL, claims.items[i].revision);
		etcd_op_delete(&request, ETCD_THEN, claims.items[i].key, none);
	}
	etcd_op_delete(&request, ETCD_THEN, folder, etcd_prefix_end(a, folder));
	grpc_end(&request);
	rc = etcd_call(cx, c, &call, err);
	buf_done(&request);
	if (rc < 0)
		return -1;
	if (etcd_txn_decode(call.reply, &txn) < 0)
		return err_set(err, ERR_UNKNOWN, "etcd at %s: the reply to a write is malformed", etcd_conn_names(c));
	*ret = (struct reply){ .outcome = OUTCOME_OK };
	ret->value = ETCD_MAP(cx->arena, { "deleted", value_int(txn.deleted) },
			      { "revision", value_int(txn.header.revision) });
	return txn.succeeded;
}

static int
release_all(struct opctx *cx, struct etcd_conn *c, const struct release *r, struct reply *ret, struct err *err)
{
	struct arena a = ARENA_INIT;
	int rc;

	do {
		arena_reset(&a);
		rc = release_once(cx, c, &a, r, ret, err);
	} while (rc == 0);
	arena_done(&a);
	return rc < 0 ? -1 : 0;
}

int
etcd_bulk_release(struct opctx *cx, struct etcd_conn *c, const struct value *body, struct reply *ret, struct err *err)
{
	const struct effect e = { .verb = "release-bulk", .body = *body };
	struct release r;

	return parse(&e, &r, err) < 0 ? -1 : release_all(cx, c, &r, ret, err);
}

bool
etcd_ends_claims(const struct effect *e)
{
	return strcmp(e->verb, "release-bulk") == 0 || strcmp(e->verb, "remove-bulk") == 0;
}

static int
image(struct opctx *cx, void *conn, const struct effect *e, struct value *ret, struct err *err)
{
	struct release r;
	struct etcd_marks m;
	struct value *list;

	if (parse(e, &r, err) < 0 || etcd_marks_load(cx, conn, r.marker_prefix, r.name, &m, err) < 0)
		return -1;
	if (r.scratch) {
		*ret = ETCD_MAP(cx->arena, { "keys", value_int(m.keys) });
	} else {
		list = arena_array(cx->arena, m.n + 1, sizeof(*list));
		for (size_t i = 0; i < m.n; i++)
			list[i] = value_int(m.revision[i]);
		*ret = ETCD_MAP(cx->arena, { "keys", value_int(m.keys) }, { "revisions", value_list(list, m.n) });
	}
	etcd_marks_done(&m);
	return 0;
}

static int
restore(struct opctx *cx, struct etcd_conn *c, const struct effect *e, const struct release *r, struct reply *ret,
	struct err *err)
{
	const struct bytes key = restored_key(cx->arena, folder_of(cx, cx->arena, r->marker_prefix, r->name));
	struct buf request = BUF_INIT(0), text = BUF_INIT(0);
	struct etcd_call call = { .method = ETCD_TXN, .request = &request, .kind = ETCD_WRITE, .arena = cx->arena };
	int rc;

	value_write(&text, r->revisions);
	grpc_begin(&request);
	etcd_op_put(&request, ETCD_THEN, key, (struct bytes){ text.p, text.len }, 0);
	grpc_end(&request);
	FAULT("etcd.restore.before");
	rc = etcd_call(cx, c, &call, err);
	buf_done(&request);
	buf_done(&text);
	*ret = (struct reply){ .outcome = OUTCOME_OK };
	return rc < 0 ? -1 : image(cx, c, e, &ret->value, err);
}

static int
release_write(struct opctx *cx, void *conn, const struct effect *e, const char *nonce, struct reply *ret, struct err *err)
{
	struct release r;

	(void)nonce; /* both may be done again */
	if (parse(e, &r, err) < 0)
		return -1;
	return r.restore ? restore(cx, conn, e, &r, ret, err) : release_all(cx, conn, &r, ret, err);
}

static bool
release_same(const struct effect *e, const struct value *before)
{
	const struct value *have = value_get(before, "revisions"), *want = value_get(&e->body, "revisions");

	if (strcmp(e->verb, "restore-bulk") != 0)
		return value_get_int(before, "keys", -1) == 0;
	return have != NULL && want != NULL && value_eq(have, want);
}

struct value
etcd_released(struct arena *a, const struct effect *e)
{
	const struct value none = value_int(0), empty = value_list(NULL, 0);

	return value_get(&e->body, "scratch") != NULL ? ETCD_MAP(a, { "keys", none }) :
		ETCD_MAP(a, { "keys", none }, { "revisions", empty });
}

static int
release_predict(struct opctx *cx, void *conn, const struct effect *e, const struct value *before, struct prediction *ret,
		struct err *err)
{
	struct release r;

	(void)conn, (void)before;
	if (parse(e, &r, err) < 0)
		return -1;
	*ret = (struct prediction){ .confidence = CONF_PREDICTED };
	ret->after = r.restore ? ETCD_MAP(cx->arena, { "keys", value_int(1) }, { "revisions", *r.revisions }) :
		etcd_released(cx->arena, e);
	return 0;
}

static int
release_invert(struct arena *a, const struct effect *e, const struct value *before, const struct value *after,
	       struct effect *ret, struct err *err)
{
	const struct value *revisions = value_get(before, "revisions");
	const struct value *prefix = value_get(&e->body, "marker_prefix"), *name = value_get(&e->body, "name");

	(void)after;
	*ret = (struct effect){ .on = e->on, .verb = "release-bulk", .class = EFFECT_IDEMPOTENT, .body = e->body,
				.says = "remove the revisions of the copy again" };
	if (strcmp(e->verb, "restore-bulk") == 0)
		return 0;
	*ret = *e;
	if (value_get(&e->body, "scratch") != NULL) /* nobody wants them back */
		return 0;
	if (revisions == NULL || prefix == NULL || name == NULL)
		return err_set(err, ERR_FAILED, "what the markers told is not on record");
	ret->verb = "restore-bulk";
	ret->body = ETCD_MAP(a, { "marker_prefix", *prefix }, { "name", *name }, { "revisions", *revisions });
	ret->says = "keep the revisions of the copy again, by which it can be removed";
	return 0;
}

const struct etcd_effects etcd_release_effects = {
	.write = release_write,
	.image = image,
	.same = release_same,
	.predict = release_predict,
	.invert = release_invert,
};

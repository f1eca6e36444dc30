/* SPDX-License-Identifier: Apache-2.0 */
/* Owns claims: one key a destination prefix that says which run writes there. Taking one is a single transaction over
 * all claims, so that two runs cannot both win, whatever their prefixes; renewing it under a new epoch fences out what an
 * earlier process of the same run still has in flight. */
#include "steps/target/etcd.h"

#include <string.h>

#include "base/clock.h"
#include "base/fault.h"
#include "base/text.h"
#include "steps/target/etcd_paths.h"

/* A claim as it stands on the server. */
struct claim {
	const char *run, *name, *nonce;
	const char *mark, *user, *host; /* "" in claims of older versions */
	int64_t epoch, since;
	struct bytes prefix;
};

static struct bytes
text_bytes(const char *s)
{
	return (struct bytes){ s, strlen(s) };
}

struct bytes
etcd_claim_key(struct arena *a, const char *marker_prefix, struct bytes prefix)
{
	return text_bytes(arena_printf(a, "%sclaim/%s", marker_prefix, etcd_escape(a, prefix)));
}

/* Foreign text inside: escaped before it is shown. */
static int
parse_claim(struct arena *a, struct bytes value, struct claim *ret)
{
	struct err ignored;
	struct value v;

	if (value_parse(a, value.p, value.len, &v, &ignored) < 0)
		return -1;
	*ret = (struct claim){ .run = value_get_str(&v, "run", NULL), .name = value_get_str(&v, "name", NULL),
			       .nonce = value_get_str(&v, "nonce", ""),
			       .mark = value_get_str(&v, "mark", ""), .user = value_get_str(&v, "user", ""),
			       .host = value_get_str(&v, "host", ""), .since = value_get_int(&v, "since", 0),
			       .epoch = value_get_int(&v, "epoch", -1), .prefix = etcd_bytes(value_get(&v, "prefix")) };
	return ret->run != NULL && ret->name != NULL && ret->epoch >= 0 ? 0 : -1;
}

static const char *
shown(struct arena *a, const char *text)
{
	return text_safe(a, text, strlen(text), 80);
}

/* "run 'r1' (process 2 of ann@there, since 2026-11-21T08:15:00.000Z)", for messages. */
static const char *
holder_text(struct arena *a, const struct claim *k)
{
	char when[32];

	if (k->host[0] == '\0')
		return arena_printf(a, "run '%s' (process %lld)", shown(a, k->run), (long long)k->epoch);
	return arena_printf(a, "run '%s' (process %lld of %s@%s, since %s)", shown(a, k->run), (long long)k->epoch, shown(a, k->user),
			    shown(a, k->host), clock_text(k->since, when));
}

/* A run of the same name elsewhere is another run. */
static bool
same_run(const struct opctx *cx, const struct claim *k)
{
	return strcmp(k->run, cx->run) == 0 && (k->mark[0] == '\0' || cx->mark[0] == '\0' || strcmp(k->mark, cx->mark) == 0);
}

static int
fenced(struct arena *a, struct etcd_conn *c, const struct claim *k, struct err *err)
{
	return err_set(err, ERR_REFUSED, "etcd at %s: fenced by %s: a newer process writes there now",
		       etcd_conn_names(c), holder_text(a, k));
}

int
etcd_claim_lost(struct etcd_conn *c, const struct page *now, struct err *err)
{
	struct arena a = ARENA_INIT;
	struct claim k;

	if (now->n == 0)
		(void)err_set(err, ERR_REFUSED, "etcd at %s: this run's claim is gone", etcd_conn_names(c));
	else if (parse_claim(&a, now->items[0].value, &k) < 0)
		(void)err_set(err, ERR_REFUSED, "etcd at %s: this run's claim was overwritten", etcd_conn_names(c));
	else
		(void)fenced(&a, c, &k, err);
	arena_done(&a);
	return -1;
}

static bool
overlap(struct bytes a, struct bytes b)
{
	size_t n = a.len < b.len ? a.len : b.len;

	return n == 0 || memcmp(a.p, b.p, n) == 0;
}

static int
locked(struct arena *a, struct etcd_conn *c, const char *marker_prefix, struct bytes key, const struct claim *k, struct err *err)
{
	const char *run = text_safe(a, k->run, strlen(k->run), 60);

	(void)err_set(err, ERR_LOCKED, "'%s' at %s is claimed by %s", text_safe(a, k->prefix.p, k->prefix.len, 200),
		      etcd_conn_names(c), holder_text(a, k));
	return err_next(err, "what can be done with that run: wherry status %s\n"
			"where it is over, or lost: etcdctl del %s; etcdctl del --prefix %s", run, etcd_shell_word(a, key),
			etcd_shell_word(a, text_bytes(arena_printf(a, "%s%s/", marker_prefix, k->run))));
}

/* All claims under a marker prefix. */
static int
list_claims(struct opctx *cx, struct etcd_conn *c, struct arena *a, const char *marker_prefix, struct page *ret,
	    struct err *err)
{
	struct bytes all = text_bytes(arena_printf(a, "%sclaim/", marker_prefix));

	return etcd_range(cx, c, &(struct etcd_range){ .key = all, .end = etcd_prefix_end(a, all) }, a, ret, err);
}

static bool
knows(const struct bulk *b, const char *nonce)
{
	const struct nonce *n = b->nonces;

	while (n != NULL && strcmp(n->text, nonce) != 0)
		n = n->next;
	return n != NULL || b->nonces == NULL;
}

/* It is ours, but no process that this run's journal knows has put it. */
static int
strange(struct arena *a, struct etcd_conn *c, struct bytes key, const struct claim *k, struct err *err)
{
	return err_set(err, ERR_IN_DOUBT, "etcd at %s: the claim '%s' is held by a process that is not in this run's journal, %s: the run's "
		       "folder is older than what the run has done, or is a copy; nothing was written", etcd_conn_names(c),
		       text_safe(a, key.p, key.len, 200), holder_text(a, k));
}

static int
gone(struct arena *a, struct etcd_conn *c, const struct bulk *b, struct bytes key, struct err *err)
{
	return err_set(err, ERR_IN_DOUBT, "etcd at %s: this run's claim '%s' is gone: it was deleted, or the destination was emptied or "
		       "restored, or this run's folder is older than what the run has done; nothing was written, for others may have "
		       "written to '%s' since", etcd_conn_names(c), text_safe(a, key.p, key.len, 200),
		       text_safe(a, b->prefix.p, b->prefix.len, 200));
}

/* May we claim b->prefix under key, given all claims? ret_mod: mod_revision of our own present claim, 0 for none. */
static int
judge_claims(struct opctx *cx, struct etcd_conn *c, struct arena *a, const struct page *claims, const struct bulk *b,
	     struct bytes key, int64_t *ret_mod, struct err *err)
{
	struct claim k;

	*ret_mod = 0;
	for (size_t i = 0; i < claims->n; i++) {
		const struct item *it = &claims->items[i];

		if (parse_claim(a, it->value, &k) < 0) {
			(void)err_set(err, ERR_LOCKED, "the claim '%s' at %s cannot be read",
				      text_safe(a, it->key.p, it->key.len, 200), etcd_conn_names(c));
			return err_next(err, "when no wherry runs there: etcdctl del '%s'",
					text_safe(a, it->key.p, it->key.len, 100));
		}
		if (!same_run(cx, &k)) {
			if (overlap(k.prefix, b->prefix) || strcmp(k.run, cx->run) == 0) /* cursors of one name */
				return locked(a, c, b->marker_prefix, it->key, &k, err);
		} else if (k.epoch > cx->epoch) {
			return fenced(a, c, &k, err);
		} else if (bytes_eq(it->key, key)) {
			if (!knows(b, k.nonce))
				return strange(a, c, key, &k, err);
			*ret_mod = it->revision;
		}
	}
	return b->held && *ret_mod == 0 ? gone(a, c, b, key, err) : 0;
}

static void
claim_value(struct arena *a, struct buf *to, const struct opctx *cx, const struct bulk *b, const char *nonce)
{
	struct value prefix = value_strn(arena_strndup(a, b->prefix.p, b->prefix.len), b->prefix.len);
	struct value v = ETCD_MAP(a, { "epoch", value_int(cx->epoch) }, { "host", value_str(cx->host != NULL ? cx->host : "") },
				  { "mark", value_str(cx->mark) }, { "name", value_str(b->name) }, { "nonce", value_str(nonce) },
				  { "prefix", prefix }, { "run", value_str(cx->run) }, { "since", value_int(clock_wall_ms()) },
				  { "user", value_str(cx->user != NULL ? cx->user : "") });

	value_write(to, &v);
}

/* Put the claim, if no claim has changed since the list. 1: taken, 0: look again, -1: error. */
static int
put_claim(struct opctx *cx, struct etcd_conn *c, struct arena *a, const struct bulk *b, const char *nonce,
	  struct bytes key, const struct page *claims, int64_t mod, int64_t *ret_fence, struct err *err)
{
	struct bytes all = text_bytes(arena_printf(a, "%sclaim/", b->marker_prefix));
	struct buf request = BUF_INIT(0), value = BUF_INIT(0);
	struct etcd_call call = { .method = ETCD_TXN, .request = &request, .kind = ETCD_GUARDED, .arena = a };
	struct etcd_txn txn;
	int rc;

	claim_value(a, &value, cx, b, nonce);
	grpc_begin(&request);
	etcd_if_revision(&request, ETCD_MOD_REVISION, key, (struct bytes){ 0 }, ETCD_EQUAL, mod);
	etcd_if_revision(&request, ETCD_MOD_REVISION, all, etcd_prefix_end(a, all), ETCD_LESS, claims->revision + 1);
	etcd_op_put(&request, ETCD_THEN, key, (struct bytes){ value.p, value.len }, 0);
	grpc_end(&request);
	FAULT("etcd.claim.put");
	rc = etcd_call(cx, c, &call, err);
	buf_done(&request);
	buf_done(&value);
	if (rc < 0)
		return err->kind == ERR_UNKNOWN ? 0 : -1;
	if (etcd_txn_decode(call.reply, &txn) < 0)
		return etcd_malformed(c, "Txn", err);
	*ret_fence = txn.header.revision;
	return txn.succeeded;
}

int
etcd_claim_take(struct opctx *cx, struct etcd_conn *c, const struct bulk *b, const char *nonce, struct bytes key,
		int64_t *ret_fence, struct err *err)
{
	struct arena a = ARENA_INIT;
	struct page claims;
	int64_t mod;
	int rc;

	do {
		arena_reset(&a);
		rc = -1;
		if (list_claims(cx, c, &a, b->marker_prefix, &claims, err) == 0 &&
		    judge_claims(cx, c, &a, &claims, b, key, &mod, err) == 0)
			rc = put_claim(cx, c, &a, b, nonce, key, &claims, mod, ret_fence, err);
	} while (rc == 0);
	arena_done(&a);
	return rc < 0 ? -1 : 0;
}

int
etcd_bulk_look(struct opctx *cx, void *conn, const struct bulk *b, struct err *err)
{
	struct arena a = ARENA_INIT;
	struct page claims;
	int64_t mod;
	int rc = list_claims(cx, conn, &a, b->marker_prefix, &claims, err);

	if (rc == 0)
		rc = judge_claims(cx, conn, &a, &claims, b, etcd_claim_key(&a, b->marker_prefix, b->prefix), &mod, err);
	arena_done(&a);
	return rc;
}

int
etcd_claims_ours(struct opctx *cx, struct etcd_conn *c, struct arena *a, const char *marker_prefix, const char *name,
		 struct page *ret, struct err *err)
{
	struct claim k;
	size_t n = 0;

	if (list_claims(cx, c, a, marker_prefix, ret, err) < 0)
		return -1;
	for (size_t i = 0; i < ret->n; i++) {
		if (parse_claim(a, ret->items[i].value, &k) < 0 || strcmp(k.run, cx->run) != 0 || strcmp(k.name, name) != 0)
			continue;
		if (!same_run(cx, &k)) /* the markers of this name are its own */
			return locked(a, c, marker_prefix, ret->items[i].key, &k, err);
		if (k.epoch > cx->epoch)
			return fenced(a, c, &k, err);
		ret->items[n++] = ret->items[i];
	}
	ret->n = n;
	return 0;
}

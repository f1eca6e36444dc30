/* SPDX-License-Identifier: Apache-2.0 */
/* The parts of the etcd target kind, which is put together in etcd.c. */
#ifndef WHERRY_TARGET_ETCD_H
#define WHERRY_TARGET_ETCD_H

#include "steps/target/etcd_conn.h"
#include "steps/target/etcd_effect.h"
#include "target.h"

/* etcd.c: a Range with one reply, decoded into the call's arena. */
int etcd_range(struct opctx *cx, struct etcd_conn *c, const struct etcd_range *r, struct arena *a, struct page *ret,
	       struct err *err);
/* -1: a reply that cannot be decoded. */
int etcd_malformed(const struct etcd_conn *c, const char *what, struct err *err);
/* {key, value, version, create_revision, mod_revision, lease}, or null for no item; bytes stay where they are. */
struct value etcd_item_value(struct arena *a, const struct page *p);
int etcd_get_lease(struct opctx *cx, struct etcd_conn *c, int64_t id, struct etcd_lease *ret, struct err *err);
/* A map over a copy of pairs. */
struct value etcd_map(struct arena *a, const struct pair *pairs, size_t n);
#define ETCD_MAP(a, ...) \
	etcd_map((a), (const struct pair[]){ __VA_ARGS__ }, sizeof((const struct pair[]){ __VA_ARGS__ }) / sizeof(struct pair))
struct bytes etcd_bytes(const struct value *v);

/* etcd_status.c */
int etcd_read_status(struct opctx *cx, struct etcd_conn *c, struct value *ret, struct err *err);
int etcd_read_alarms(struct opctx *cx, struct etcd_conn *c, struct value *ret, struct err *err);
int etcd_identity(struct opctx *cx, void *conn, struct value *ret, struct err *err);
/* Status of one endpoint (endpoint - 1 as in struct etcd_call), or of any (0); ret->denied where it is kept from us. */
int etcd_get_status(struct opctx *cx, struct etcd_conn *c, size_t only, struct arena *a, struct etcd_status *ret,
		    struct err *err);

/* etcd_snapshot.c: what is in the file, by its path; null where it is not there. */
int etcd_read_snapshot(struct opctx *cx, const char *path, struct value *ret, struct err *err);
/* Of the ref's path: is the file as after says? */
int etcd_recheck_snapshot(struct opctx *cx, const char *path, const struct value *after, struct err *err);

/* etcd_watch.c */
int etcd_watch_open(struct opctx *cx, void *conn, const struct query *q, void **ret_watch, struct err *err);
int etcd_watch_next(struct opctx *cx, void *watch, int64_t wait_ns, struct changes *ret, struct err *err);
void etcd_watch_close(void *watch);

/* etcd_bulk.c */
int etcd_bulk_open(struct opctx *cx, void *conn, const struct bulk *b, const char *nonce, void **ret_bulk, struct err *err);
int etcd_bulk_cursor(struct opctx *cx, void *bulk, unsigned lane, struct bytes *ret, struct err *err);
int etcd_bulk_put(struct opctx *cx, void *bulk, unsigned lane, const struct batch *b, enum put_result *ret,
		  int64_t *ret_revision, struct err *err);
void etcd_bulk_close(void *bulk);
bool etcd_ends_claims(const struct effect *e);

/* etcd_claim.c: on the destination, <marker_prefix>claim/<escaped prefix> holds {run, epoch, name, prefix, nonce}. */
/* Take or renew this run's claim; its mod_revision is the fence that every later transaction compares. */
int etcd_claim_take(struct opctx *cx, struct etcd_conn *c, const struct bulk *b, const char *nonce, struct bytes key,
		    int64_t *ret_fence, struct err *err);
/* Could it be taken? */
int etcd_bulk_look(struct opctx *cx, void *conn, const struct bulk *b, struct err *err);
struct bytes etcd_claim_key(struct arena *a, const char *marker_prefix, struct bytes prefix);
/* ERR_REFUSED: the claim, as it is now, is not the one that we took. */
int etcd_claim_lost(struct etcd_conn *c, const struct page *now, struct err *err);
/* This run's claims of the bulks of that name, in the arena; -1 (ERR_REFUSED) where a newer process of it holds one. */
int etcd_claims_ours(struct opctx *cx, struct etcd_conn *c, struct arena *a, const char *marker_prefix, const char *name,
		     struct page *ret, struct err *err);

/* etcd_release.c: the markers of a run's bulks of one name: the revisions of all their transactions. */
struct etcd_marks {
	int64_t *revision;  /* in order, each once */
	size_t n, cap;
	int64_t keys;       /* that hold them, and claims */
};
int etcd_marks_load(struct opctx *cx, struct etcd_conn *c, const char *marker_prefix, const char *name, struct etcd_marks *ret,
		    struct err *err);
void etcd_marks_done(struct etcd_marks *);
bool etcd_marks_hold(const struct etcd_marks *, int64_t revision);
/* Remove claims and markers, in one transaction. */
int etcd_bulk_release(struct opctx *cx, struct etcd_conn *c, const struct value *body, struct reply *ret, struct err *err);
/* Pages of [from, end), keys only; each is handed to fn, whose -1 ends it. */
typedef int etcd_page_fn(void *data, struct arena *a, const struct page *page, struct err *err);
int etcd_each_page(struct opctx *cx, struct etcd_conn *c, struct bytes from, struct bytes end, etcd_page_fn *fn, void *data,
		   struct err *err);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* Owns bulk writes: transactions in lanes, each exactly once. A transaction compares the claim (the fence), the lane's
 * cursor as this process last saw it, and the batch's guards; it writes the batch and the new cursor, or nothing. So a
 * lost reply is settled by sending the same again: either it is applied now, or the cursor in the answer shows that it
 * was. A lane is used by one thread at a time, different lanes by several at once. */
#include "steps/target/etcd.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/fault.h"
#include "steps/target/etcd_lease.h"
#include "steps/target/etcd_paths.h"

#define LANES_MAX 10000 /* four digits in their keys */
#define RESEND_FIRST (50 * NS_PER_MS)
#define RESEND_MAX (2 * NS_PER_S)
#define TELL_AFTER (2 * NS_PER_S)
#define TELL_EVERY (10 * NS_PER_S)

/* What one put needs while it lasts: as many as there are at once, however many lanes there are. */
struct bulk_room {
	struct bulk_room *next;
	struct buf request;
	struct lents lent;       /* values of the request */
	struct arena arena;      /* of one reply */
};

struct bulk_lane {
	bool known;              /* the cursor has been read */
	struct bytes key;        /* of the cursor; with keep_markers: of all markers, ending in '/' */
	int64_t mod;             /* its mod_revision; with keep_markers 0: the next marker is absent */
	uint64_t seq;            /* with keep_markers: number of the next marker */
	struct buf key_buf;
	struct bulk_room *room;  /* while it is in use */
};

struct etcd_bulk {
	struct etcd_conn *c;
	struct arena arena;
	struct bytes claim_key;
	int64_t fence;
	const char *folder;
	bool keep_markers;
	struct etcd_leases leases;
	pthread_mutex_t lock;    /* of the array, not of the lanes; of the rooms, and of told */
	struct bulk_room *rooms; /* that are free */
	struct bulk_lane **lanes;
	unsigned n_lanes;
	int64_t told;            /* when it was last said that answers are waited for */
};

int
etcd_bulk_open(struct opctx *cx, void *conn, const struct bulk *b, const char *nonce, void **ret_bulk, struct err *err)
{
	struct etcd_bulk *k = xcalloc(1, sizeof(*k));

	k->c = conn;
	k->keep_markers = b->keep_markers;
	k->claim_key = etcd_claim_key(&k->arena, b->marker_prefix, b->prefix);
	k->folder = etcd_marker_folder(&k->arena, b->marker_prefix, cx->run, b->name);
	pthread_mutex_init(&k->lock, NULL);
	etcd_leases_init(&k->leases);
	if (etcd_claim_take(cx, k->c, b, nonce, k->claim_key, &k->fence, err) < 0) {
		etcd_bulk_close(k);
		return -1;
	}
	*ret_bulk = k;
	return 0;
}

void
etcd_bulk_close(void *bulk)
{
	struct etcd_bulk *k = bulk;
	struct bulk_room *r;

	if (k == NULL)
		return;
	for (unsigned i = 0; i < k->n_lanes; i++) {
		if (k->lanes[i] == NULL)
			continue;
		buf_done(&k->lanes[i]->key_buf);
		free(k->lanes[i]);
	}
	free(k->lanes);
	while ((r = k->rooms) != NULL) {
		k->rooms = r->next;
		buf_done(&r->request);
		lents_done(&r->lent);
		arena_done(&r->arena);
		free(r);
	}
	etcd_leases_done(&k->leases);
	pthread_mutex_destroy(&k->lock);
	arena_done(&k->arena);
	free(k);
}

static struct bulk_lane *
lane_of(struct etcd_bulk *k, unsigned number)
{
	struct bulk_lane *l;
	unsigned n;

	pthread_mutex_lock(&k->lock);
	if (number >= k->n_lanes) {
		n = number + 16;
		k->lanes = xreallocarray(k->lanes, n, sizeof(struct bulk_lane *));
		memset(k->lanes + k->n_lanes, 0, (n - k->n_lanes) * sizeof(struct bulk_lane *));
		k->n_lanes = n;
	}
	l = k->lanes[number];
	if (l == NULL) {
		const char *key = arena_printf(&k->arena, "%s%04u%s", k->folder, number, k->keep_markers ? "/" : "");

		l = k->lanes[number] = xcalloc(1, sizeof(*l));
		l->key = (struct bytes){ key, strlen(key) };
		l->key_buf = BUF_INIT(0);
	}
	pthread_mutex_unlock(&k->lock);
	return l;
}

static void
take_room(struct etcd_bulk *k, struct bulk_lane *l)
{
	pthread_mutex_lock(&k->lock);
	l->room = k->rooms;
	if (l->room != NULL)
		k->rooms = l->room->next;
	pthread_mutex_unlock(&k->lock);
	if (l->room == NULL)
		l->room = xcalloc(1, sizeof(*l->room));
}

static void
give_room(struct etcd_bulk *k, struct bulk_lane *l)
{
	pthread_mutex_lock(&k->lock);
	l->room->next = k->rooms;
	k->rooms = l->room;
	pthread_mutex_unlock(&k->lock);
	l->room = NULL;
}

/* Where the lane's next cursor is written. */
static struct bytes
cursor_key(const struct etcd_bulk *k, struct bulk_lane *l)
{
	if (!k->keep_markers)
		return l->key;
	buf_clear(&l->key_buf);
	buf_put(&l->key_buf, l->key.p, l->key.len);
	buf_printf(&l->key_buf, "%016llx", (unsigned long long)l->seq);
	return (struct bytes){ l->key_buf.p, l->key_buf.len };
}

/* The number at the end of a marker's key, or UINT64_MAX. */
static uint64_t
marker_number(const struct bulk_lane *l, struct bytes key)
{
	char digits[17] = "", *end;

	if (key.len != l->key.len + 16)
		return UINT64_MAX;
	memcpy(digits, (const char *)key.p + l->key.len, 16);
	if (strspn(digits, "0123456789abcdef") != 16)
		return UINT64_MAX;
	return strtoull(digits, &end, 16);
}

static int
read_cursor(struct opctx *cx, struct etcd_bulk *k, struct bulk_lane *l, struct bytes *ret, struct err *err)
{
	struct etcd_range look = { 0 };
	struct page page;

	arena_reset(&l->room->arena);
	look.key = l->key;
	if (k->keep_markers) {
		look.end = etcd_prefix_end(&l->room->arena, l->key);
		look.newest_key = true;
		look.limit = 1;
	}
	if (etcd_range(cx, k->c, &look, &l->room->arena, &page, err) < 0)
		return -1;
	*ret = (struct bytes){ 0 };
	l->mod = 0;
	l->seq = 0;
	if (page.n > 0) {
		if (k->keep_markers)
			l->seq = marker_number(l, page.items[0].key) + 1;
		else
			l->mod = page.items[0].revision;
		if (k->keep_markers && l->seq == 0)
			return err_set(err, ERR_REFUSED, "etcd at %s: a foreign key among the markers of %s",
				       etcd_conn_names(k->c), k->folder);
		ret->p = arena_strndup(cx->arena, page.items[0].value.p, page.items[0].value.len);
		ret->len = page.items[0].value.len;
	}
	l->known = true;
	return 0;
}

int
etcd_bulk_cursor(struct opctx *cx, void *bulk, unsigned lane, struct bytes *ret, struct err *err)
{
	struct etcd_bulk *k = bulk;
	struct bulk_lane *l;
	int rc;

	if (lane >= LANES_MAX)
		return err_set(err, ERR_PLAN, "etcd: lane %u is over the limit of %u", lane, LANES_MAX);
	l = lane_of(k, lane);
	take_room(k, l);
	rc = read_cursor(cx, k, l, ret, err);
	give_room(k, l);
	return rc;
}

/* Can one compare over a range stand for all guards? Then ret spans all keys. */
static bool
all_absent(const struct batch *b, size_t *ret_first, size_t *ret_last)
{
	*ret_first = *ret_last = 0;
	for (size_t i = 0; i < b->n; i++) {
		if (b->ops[i].guard != GUARD_ABSENT)
			return false;
		if (bytes_cmp(b->ops[i].key, b->ops[*ret_first].key) < 0)
			*ret_first = i;
		if (bytes_cmp(b->ops[i].key, b->ops[*ret_last].key) > 0)
			*ret_last = i;
	}
	return b->n > 1;
}

/* The batch's guards; one: by a single compare over the range. Returns how many compares they took. */
static size_t
put_guards(struct bulk_lane *l, const struct batch *b, bool one)
{
	const struct bytes none = { 0 };
	size_t first, last, n = 0;
	struct bytes key, end;

	if (one && all_absent(b, &first, &last)) {
		key = b->ops[last].key;
		end = (struct bytes){ arena_strndup(&l->room->arena, key.p, key.len), key.len + 1 }; /* the next possible key */
		etcd_if_revision(&l->room->request, ETCD_CREATE_REVISION, b->ops[first].key, end, ETCD_EQUAL, 0);
		return 1;
	}
	for (size_t i = 0; i < b->n; i++) {
		const struct op *op = &b->ops[i];

		if (op->guard == GUARD_NONE)
			continue;
		if (op->guard == GUARD_ABSENT)
			etcd_if_revision(&l->room->request, ETCD_CREATE_REVISION, op->key, none, ETCD_EQUAL, 0);
		else
			etcd_if_revision(&l->room->request, ETCD_MOD_REVISION, op->key, none, ETCD_EQUAL, op->revision);
		n++;
	}
	return n;
}

/* Build the transaction. 1: built, 0: too many compares for one, -1: no lease can be had. */
static int
build(struct opctx *cx, struct etcd_bulk *k, struct bulk_lane *l, const struct batch *b, bool one, struct err *err)
{
	const struct bytes none = { 0 }, cursor = cursor_key(k, l);
	struct buf *to = &l->room->request;
	struct lents *lent = &l->room->lent;
	size_t compares;

	grpc_begin(to);
	lents_clear(lent);
	if (!SABOTAGED(CLAIM))
		etcd_if_revision(to, ETCD_MOD_REVISION, k->claim_key, none, ETCD_EQUAL, k->fence);
	etcd_if_revision(to, ETCD_MOD_REVISION, cursor, none, ETCD_EQUAL, l->mod);
	compares = 2 + put_guards(l, b, one);
	if (compares > ETCD_MAX_OPS || b->n >= ETCD_MAX_OPS)
		return 0;
	for (size_t i = 0; i < b->n; i++) {
		const struct op *op = &b->ops[i];
		int64_t lease = 0;

		if (op->lease_ttl > 0 && !op->del &&
		    etcd_lease_for(cx, k->c, &k->leases, op->lease_ttl, &lease, err) < 0)
			return -1;
		if (op->del)
			etcd_op_delete(to, ETCD_THEN, op->key, none);
		else
			etcd_op_put_lent(to, lent, ETCD_THEN, op->key, op->value, lease);
	}
	if (!SABOTAGED(CURSOR))
		etcd_op_put(to, ETCD_THEN, cursor, b->cursor, 0);
	etcd_op_range(to, ETCD_ELSE, &(struct etcd_range){ .key = k->claim_key });
	etcd_op_range(to, ETCD_ELSE, &(struct etcd_range){ .key = cursor });
	grpc_end_lent(to, lent->len);
	return 1;
}

static void
advance(const struct etcd_bulk *k, struct bulk_lane *l, int64_t revision)
{
	if (k->keep_markers)
		l->seq++;
	else
		l->mod = revision;
}

/* How a transaction ended. */
enum course { AGAIN, AGAIN_BY_KEY, SETTLED, BROKEN };

/* A compare did not hold: which one? The answer carries claim and cursor as they are. */
static enum course
explain(struct etcd_bulk *k, struct bulk_lane *l, const struct batch *b, const struct etcd_txn *txn, bool one,
	enum put_result *ret, int64_t *ret_revision, struct err *err)
{
	struct etcd_header header;
	struct page claim, cursor;
	size_t first, last;
	int64_t mod;

	if (txn->n < 2 || etcd_range_decode(&l->room->arena, txn->ranges[0], &header, &claim) < 0 ||
	    etcd_range_decode(&l->room->arena, txn->ranges[1], &header, &cursor) < 0) {
		(void)etcd_malformed(k->c, "Txn", err);
		return BROKEN;
	}
	if (!SABOTAGED(CLAIM) && (claim.n == 0 || claim.items[0].revision != k->fence)) {
		(void)etcd_claim_lost(k->c, &claim, err);
		return BROKEN;
	}
	mod = cursor.n > 0 ? cursor.items[0].revision : 0;
	if (mod != l->mod) {
		if (mod < l->mod || !bytes_eq(cursor.items[0].value, b->cursor)) {
			(void)err_set(err, ERR_REFUSED, "etcd at %s: the cursor '%.*s' was moved by someone else",
				      etcd_conn_names(k->c), (int)l->key.len, (const char *)l->key.p);
			return BROKEN;
		}
		advance(k, l, mod); /* ours: its reply was lost */
		*ret = PUT_DONE;
		*ret_revision = mod;
		return SETTLED;
	}
	if (one && all_absent(b, &first, &last))
		return AGAIN_BY_KEY; /* a foreign key between ours fails the range, too */
	*ret = PUT_GUARD_FAILED;
	return SETTLED;
}

/* Sabotage only: the cursor apart from its batch. */
static int
put_cursor_apart(struct opctx *cx, struct etcd_bulk *k, struct bulk_lane *l, const struct batch *b, int64_t *ret_revision,
		 struct err *err)
{
	struct etcd_call call = { .method = ETCD_TXN, .request = &l->room->request, .kind = ETCD_GUARDED, .arena = &l->room->arena };
	struct etcd_txn txn;

	grpc_begin(&l->room->request);
	etcd_op_put(&l->room->request, ETCD_THEN, cursor_key(k, l), b->cursor, 0);
	grpc_end(&l->room->request);
	FAULT("etcd.txn.before");
	if (etcd_call(cx, k->c, &call, err) < 0 || etcd_txn_decode(call.reply, &txn) < 0)
		return -1;
	*ret_revision = txn.header.revision;
	return 0;
}

static bool
is_too_large(int status, const struct err *err)
{
	return strstr(err->msg, "request is too large") != NULL || strstr(err->msg, "too many operations") != NULL ||
	       (status == GRPC_RESOURCE_EXHAUSTED && strstr(err->msg, "larger than max") != NULL);
}

/* Send the built transaction once. */
static enum course
send_once(struct opctx *cx, struct etcd_bulk *k, struct bulk_lane *l, const struct batch *b, bool one,
	  enum put_result *ret, int64_t *ret_revision, struct err *err)
{
	struct etcd_call call = { .method = ETCD_TXN, .request = &l->room->request, .lent = &l->room->lent, .kind = ETCD_GUARDED,
				  .arena = &l->room->arena };
	struct etcd_txn txn;
	int64_t moved; /* the cursor */

	FAULT("etcd.txn.before");
	if (etcd_call(cx, k->c, &call, err) < 0) {
		if (is_too_large(call.status, err)) {
			*ret = PUT_TOO_LARGE;
			return SETTLED;
		}
		if (call.status == GRPC_NOT_FOUND && etcd_leases_forget(&k->leases))
			return AGAIN; /* a lease has ended before it was used */
		return err->kind == ERR_UNKNOWN ? AGAIN : BROKEN;
	}
	if (etcd_txn_decode(call.reply, &txn) < 0) {
		(void)etcd_malformed(k->c, "Txn", err);
		return BROKEN;
	}
	FAULT("etcd.txn.replied");
	if (!txn.succeeded)
		return explain(k, l, b, &txn, one, ret, ret_revision, err);
	*ret = PUT_DONE;
	*ret_revision = moved = txn.header.revision;
	if (SABOTAGED(CURSOR) && put_cursor_apart(cx, k, l, b, &moved, err) < 0)
		return BROKEN;
	advance(k, l, moved);
	return SETTLED;
}

/* Without a quorum, say, every lane waits: one word for all of them. */
static void
tell(struct opctx *cx, struct etcd_bulk *k, const struct err *err)
{
	const int64_t now = clock_now();
	bool mine;

	pthread_mutex_lock(&k->lock);
	mine = now - k->told >= TELL_EVERY;
	if (mine)
		k->told = now;
	pthread_mutex_unlock(&k->lock);
	if (mine && cx->note != NULL)
		cx->note(cx, arena_printf(cx->arena, "waiting: %s", err->msg));
}

/* The time-out passes while nobody answers: that is what is to be told. The cursor will say what became of the write. */
static bool
gave_up(const struct opctx *cx, int64_t since, struct err *err)
{
	if (err->kind != ERR_UNKNOWN || clock_now() < cx->deadline || cx->deadline - since < TELL_AFTER)
		return false;
	err->kind = ERR_UNREACHABLE;
	err->retryable = true;
	return true;
}

/* Send until it is settled. */
static int
put(struct opctx *cx, struct etcd_bulk *k, struct bulk_lane *l, const struct batch *b, enum put_result *ret,
    int64_t *ret_revision, struct err *err)
{
	const int64_t since = clock_now();
	int64_t wait = RESEND_FIRST;
	bool one = true;
	int built;

	for (;;) {
		arena_reset(&l->room->arena);
		built = build(cx, k, l, b, one, err);
		if (built < 0)
			return -1;
		if (built == 0) {
			*ret = PUT_TOO_LARGE;
			return 0;
		}
		switch (send_once(cx, k, l, b, one, ret, ret_revision, err)) {
		case SETTLED:
			return 0;
		case BROKEN:
			return -1;
		case AGAIN_BY_KEY:
			one = false;
			break;
		case AGAIN:
			if (clock_now() - since >= TELL_AFTER)
				tell(cx, k, err);
			etcd_sleep(cx, wait);
			if (gave_up(cx, since, err))
				return -1;
			wait = wait * 2 < RESEND_MAX ? wait * 2 : RESEND_MAX;
		}
	}
}

int
etcd_bulk_put(struct opctx *cx, void *bulk, unsigned lane, const struct batch *b, enum put_result *ret,
	      int64_t *ret_revision, struct err *err)
{
	struct etcd_bulk *k = bulk;
	struct bytes cursor;
	struct bulk_lane *l;
	int rc;

	if (lane >= LANES_MAX)
		return err_set(err, ERR_PLAN, "etcd: lane %u is over the limit of %u", lane, LANES_MAX);
	l = lane_of(k, lane);
	if (!l->known && etcd_bulk_cursor(cx, k, lane, &cursor, err) < 0)
		return -1;
	take_room(k, l);
	rc = put(cx, k, l, b, ret, ret_revision, err);
	give_room(k, l);
	return rc;
}

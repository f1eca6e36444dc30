/* SPDX-License-Identifier: Apache-2.0 */
/* Bulk writes against a real server: claims, fences, exactly-once lanes over lost replies and kills, guards, markers. */
#define ONE_SERVER
#include "etcd_server.h"

static struct bulk
bulk_to(const char *prefix, bool markers)
{
	return (struct bulk){ .verb = "copy", .name = "data", .says = "test", .prefix = { prefix, strlen(prefix) },
			      .marker_prefix = "/wherry/", .keep_markers = markers };
}

static void *
open_bulk(struct client *c, const char *prefix, bool markers)
{
	struct bulk b = bulk_to(prefix, markers);
	void *k = NULL;

	OK(c, etcd_target.bulk_open(&c->cx, c->conn, &b, "nonce", &k, &c->err));
	return k;
}

static int
try_bulk(struct client *c, const char *prefix)
{
	struct bulk b = bulk_to(prefix, false);
	void *k = NULL;

	if (etcd_target.bulk_open(&c->cx, c->conn, &b, "nonce", &k, &c->err) < 0)
		return -1;
	etcd_target.bulk_close(k);
	return 0;
}

static void
release(struct client *c, int64_t want_deleted)
{
	struct effect e = { .on = { NULL, "markers//wherry/" }, .verb = "release-bulk" };
	struct value before, v;

	e.body = ETCD_MAP(&c->arena, { "marker_prefix", value_str("/wherry/") }, { "name", value_str("data") });
	OK(c, etcd_target.image(&c->cx, c->conn, &e, &before, &c->err));
	assert_int_equal(value_get_int(&before, "keys", -1), want_deleted);
	OK(c, write_effect(c, &e, &v));
	assert_int_equal(value_get_int(&v, "deleted", -1), want_deleted);
	OK(c, etcd_target.image(&c->cx, c->conn, &e, &before, &c->err));
	assert_true(etcd_target.same(&e, &before));
}

static int64_t
count(struct client *c, const char *path)
{
	struct value v;

	OK(c, read_path(c, path, &v));
	return value_get_int(&v, "count", -1);
}

/* n absent-guarded puts PREFIXnnnnnn from `from` on, in the arena. */
static struct op *
make_ops(struct arena *a, const char *prefix, unsigned from, size_t n, enum bulk_guard guard)
{
	struct op *ops = arena_array(a, n, sizeof(*ops));

	for (size_t i = 0; i < n; i++) {
		char *key = arena_printf(a, "%s%06u", prefix, from + (unsigned)i);

		ops[i] = (struct op){ .guard = guard, .key = { key, strlen(key) }, .value = { key, strlen(key) } };
	}
	return ops;
}

static int
put_batch(struct client *c, void *k, unsigned lane, const struct op *ops, size_t n, const char *cursor,
	  enum put_result *ret, int64_t *ret_revision)
{
	struct batch b = { .ops = ops, .n = n, .cursor = { cursor, strlen(cursor) } };

	*ret = PUT_TOO_LARGE;
	*ret_revision = 0;
	return etcd_target.bulk_put(&c->cx, k, lane, &b, ret, ret_revision, &c->err);
}

static void
put_done(struct client *c, void *k, unsigned lane, const struct op *ops, size_t n, const char *cursor)
{
	enum put_result r;
	int64_t revision;

	OK(c, put_batch(c, k, lane, ops, n, cursor, &r, &revision));
	assert_int_equal(r, PUT_DONE);
	assert_true(revision > 0);
}

static void
assert_cursor(struct client *c, void *k, unsigned lane, const char *want)
{
	struct bytes cursor;

	OK(c, etcd_target.bulk_cursor(&c->cx, k, lane, &cursor, &c->err));
	assert_int_equal(cursor.len, strlen(want));
	if (cursor.len > 0)
		assert_memory_equal(cursor.p, want, cursor.len);
}

static void
keeps_a_cursor_per_lane(void **state)
{
	struct client c;
	void *k;

	(void)state;
	client_to(&c, &server);
	k = open_bulk(&c, "/lane/", false);
	assert_cursor(&c, k, 0, "");
	put_done(&c, k, 0, make_ops(&c.arena, "/lane/a", 0, 127, GUARD_ABSENT), 127, "a127");
	put_done(&c, k, 1, make_ops(&c.arena, "/lane/b", 0, 1, GUARD_ABSENT), 1, "b1");
	put_done(&c, k, 0, make_ops(&c.arena, "/lane/a", 127, 5, GUARD_ABSENT), 5, "a132");
	assert_cursor(&c, k, 0, "a132");
	assert_cursor(&c, k, 1, "b1");
	assert_cursor(&c, k, 2, "");
	assert_string_equal(get(&c, STR("/wherry/r1/data/0000")), "a132");
	etcd_target.bulk_close(k);
	assert_int_equal(count(&c, "range//lane/../lane0"), 133);
	release(&c, 3);
	assert_int_equal(count(&c, "range//wherry/../wherry0"), 0);
	client_done(&c);
}

static void
a_guard_that_fails_writes_nothing(void **state)
{
	enum put_result r;
	struct client c;
	struct op *ops;
	struct value v;
	int64_t rev;
	void *k;

	(void)state;
	client_to(&c, &server);
	k = open_bulk(&c, "/guarded/", false);
	ops = make_ops(&c.arena, "/guarded/", 0, 10, GUARD_ABSENT);
	OK(&c, put(&c, ops[4].key, STR("foreign")));
	OK(&c, put_batch(&c, k, 0, ops, 10, "c", &r, &rev));
	assert_int_equal(r, PUT_GUARD_FAILED);
	assert_int_equal(count(&c, "range//guarded/../guarded0"), 1);
	assert_cursor(&c, k, 0, "");
	OK(&c, read_path(&c, etcd_path_key(&c.arena, ops[4].key), &v));
	ops[4].guard = GUARD_REVISION;
	ops[4].revision = value_get_int(&v, "mod_revision", 0) - 1;
	OK(&c, put_batch(&c, k, 0, ops, 10, "c", &r, &rev));
	assert_int_equal(r, PUT_GUARD_FAILED);
	ops[4].revision++;
	ops[7].guard = GUARD_NONE;
	put_done(&c, k, 0, ops, 10, "c");
	assert_int_equal(count(&c, "range//guarded/../guarded0"), 10);
	ops[0] = (struct op){ .del = true, .key = ops[0].key };
	put_done(&c, k, 0, ops, 1, "d");
	assert_int_equal(count(&c, "range//guarded/../guarded0"), 9);
	etcd_target.bulk_close(k);
	release(&c, 2);
	client_done(&c);
}

/* The compare over the range fails for a foreign key between ours; key by key it holds. */
static void
a_foreign_key_between_is_no_conflict(void **state)
{
	struct client c;
	void *k;

	(void)state;
	client_to(&c, &server);
	k = open_bulk(&c, "/between/", false);
	OK(&c, put(&c, STR("/between/000003x"), STR("foreign")));
	put_done(&c, k, 0, make_ops(&c.arena, "/between/", 0, 10, GUARD_ABSENT), 10, "c");
	assert_string_equal(get(&c, STR("/between/000003x")), "foreign");
	assert_int_equal(count(&c, "range//between/../between0"), 11);
	etcd_target.bulk_close(k);
	release(&c, 2);
	client_done(&c);
}

static void
too_large_is_told_apart(void **state)
{
	enum put_result r;
	struct client c;
	struct op *ops;
	int64_t rev;
	void *k;

	(void)state;
	client_to(&c, &server);
	k = open_bulk(&c, "/size/", false);
	ops = make_ops(&c.arena, "/size/", 0, 200, GUARD_ABSENT);
	OK(&c, put_batch(&c, k, 0, ops, 128, "c", &r, &rev));
	assert_int_equal(r, PUT_TOO_LARGE);
	for (int i = 0; i < 127; i++)
		ops[i].guard = GUARD_REVISION; /* needs a compare each */
	OK(&c, put_batch(&c, k, 0, ops, 127, "c", &r, &rev));
	assert_int_equal(r, PUT_TOO_LARGE);
	OK(&c, put_batch(&c, k, 0, ops, 126, "c", &r, &rev));
	assert_int_equal(r, PUT_DONE);
	for (size_t size = 1600000; size <= 6400000; size *= 2) {
		ops[130].value = (struct bytes){ arena_alloc(&c.arena, size), size };
		OK(&c, put_batch(&c, k, 0, ops + 130, 1, "d", &r, &rev));
		assert_int_equal(r, PUT_TOO_LARGE);
	}
	assert_cursor(&c, k, 0, "c");
	etcd_target.bulk_close(k);
	release(&c, 2);
	client_done(&c);
}

static void
another_run_is_locked_out(void **state)
{
	struct client a, b;
	void *k;

	(void)state;
	client_to(&a, &server);
	client_to(&b, &server);
	b.cx.run = "other";
	k = open_bulk(&a, "/claim/x/", false);
	FAILS(&b, try_bulk(&b, "/claim/x/"), ERR_LOCKED, "claimed by run 'r1'");
	FAILS(&b, try_bulk(&b, "/claim/"), ERR_LOCKED, "claimed by run 'r1'");
	FAILS(&b, try_bulk(&b, "/claim/x/y"), ERR_LOCKED, "claimed by run 'r1'");
	FAILS(&b, try_bulk(&b, ""), ERR_LOCKED, "claimed by run 'r1'");
	assert_non_null(strstr(b.err.next, "wherry status r1"));
	OK(&b, try_bulk(&b, "/claim/y/"));
	release(&b, 1);
	etcd_target.bulk_close(k);
	release(&a, 1);
	OK(&b, try_bulk(&b, "/claim/x/"));
	release(&b, 1);
	client_done(&a);
	client_done(&b);
}

static void
a_claim_of_rubbish_is_not_overrun(void **state)
{
	struct client c;

	(void)state;
	client_to(&c, &server);
	OK(&c, put(&c, STR("/wherry/claim//rubbish/"), STR("\x1b[2J{")));
	FAILS(&c, try_bulk(&c, "/rubbish/"), ERR_LOCKED, "cannot be read");
	OK(&c, delete_key(&c, STR("/wherry/claim//rubbish/")));
	client_done(&c);
}

/* A resumed process takes over; the one before it can write nothing more, and cannot come back. */
static void
a_newer_epoch_fences_the_older(void **state)
{
	struct client old, new;
	enum put_result r;
	struct op *ops;
	int64_t rev;
	void *ko, *kn;

	(void)state;
	client_to(&old, &server);
	client_to(&new, &server);
	new.cx.epoch = 2;
	ko = open_bulk(&old, "/fence/", false);
	ops = make_ops(&old.arena, "/fence/", 0, 4, GUARD_NONE);
	put_done(&old, ko, 0, ops, 1, "one");
	kn = open_bulk(&new, "/fence/", false);
	FAILS(&old, put_batch(&old, ko, 0, ops + 1, 1, "two", &r, &rev), ERR_REFUSED, "fenced by run 'r1' (process 2)");
	FAILS(&old, try_bulk(&old, "/fence/"), ERR_REFUSED, "fenced by");
	assert_cursor(&new, kn, 0, "one");
	put_done(&new, kn, 0, ops + 1, 1, "two");
	assert_int_equal(count(&new, "range//fence/../fence0"), 2);
	release(&new, 2);
	FAILS(&new, put_batch(&new, kn, 0, ops + 2, 1, "three", &r, &rev), ERR_REFUSED, "claim is gone");
	etcd_target.bulk_close(ko);
	etcd_target.bulk_close(kn);
	client_done(&old);
	client_done(&new);
}

static void
a_foreign_cursor_is_refused(void **state)
{
	enum put_result r;
	struct client c;
	struct op *ops;
	int64_t rev;
	void *k;

	(void)state;
	client_to(&c, &server);
	k = open_bulk(&c, "/cursor/", false);
	ops = make_ops(&c.arena, "/cursor/", 0, 4, GUARD_NONE);
	put_done(&c, k, 0, ops, 1, "one");
	OK(&c, put(&c, STR("/wherry/r1/data/0000"), STR("moved")));
	FAILS(&c, put_batch(&c, k, 0, ops + 1, 1, "two", &r, &rev), ERR_REFUSED, "moved by someone else");
	etcd_target.bulk_close(k);
	release(&c, 2);
	client_done(&c);
}

/* Every batch leaves a marker with its own mod_revision, numbered on over a resume. */
static void
markers_are_numbered_on(void **state)
{
	struct query q = { .from = STR("/wherry/r1/data/"), .to = STR("/wherry/r1/data0") };
	struct client c;
	struct page p;
	void *k;

	(void)state;
	client_to(&c, &server);
	k = open_bulk(&c, "/mark/", true);
	put_done(&c, k, 3, make_ops(&c.arena, "/mark/", 0, 2, GUARD_ABSENT), 2, "one");
	put_done(&c, k, 3, make_ops(&c.arena, "/mark/", 2, 2, GUARD_ABSENT), 2, "two");
	etcd_target.bulk_close(k);
	c.cx.epoch = 2;
	k = open_bulk(&c, "/mark/", true);
	assert_cursor(&c, k, 3, "two");
	put_done(&c, k, 3, make_ops(&c.arena, "/mark/", 4, 2, GUARD_ABSENT), 2, "three");
	OK(&c, etcd_target.list(&c.cx, c.conn, &q, &p, &c.err));
	assert_int_equal(p.n, 3);
	assert_true(bytes_eq(p.items[2].key, STR("/wherry/r1/data/0003/0000000000000002")));
	assert_true(bytes_eq(p.items[2].value, STR("three")));
	q = (struct query){ .from = STR("/mark/000004") };
	{
		int64_t marked = p.items[2].revision;

		OK(&c, etcd_target.list(&c.cx, c.conn, &q, &p, &c.err));
		assert_int_equal(p.items[0].revision, marked);
	}
	etcd_target.bulk_close(k);
	release(&c, 4);
	client_done(&c);
}

static void
leases_are_attached(void **state)
{
	struct client c;
	struct op *ops;
	struct value v;
	int64_t first;
	void *k;

	(void)state;
	client_to(&c, &server);
	k = open_bulk(&c, "/leases/", false);
	ops = make_ops(&c.arena, "/leases/", 0, 3, GUARD_ABSENT);
	ops[0].lease_ttl = ops[1].lease_ttl = 600;
	put_done(&c, k, 0, ops, 3, "c");
	OK(&c, read_path(&c, "key//leases/000000", &v));
	first = value_get_int(&v, "lease", 0);
	assert_true(first != 0);
	OK(&c, read_path(&c, "key//leases/000001", &v));
	assert_int_equal(value_get_int(&v, "lease", 0), first);
	OK(&c, read_path(&c, "key//leases/000002", &v));
	assert_int_equal(value_get_int(&v, "lease", -1), 0);
	OK(&c, read_path(&c, etcd_path_lease(&c.arena, first), &v));
	assert_in_range(value_get_int(&v, "ttl", 0), 560, 600);
	etcd_target.bulk_close(k);
	release(&c, 2);
	client_done(&c);
}

/* Applied, and the answer swallowed: sent again, found applied, told once. Markers and plain cursors alike. */
static void
a_lost_reply_is_applied_once(void **state)
{
	struct proxy proxy;
	struct client c;
	struct value v;
	void *k;

	(void)state;
	proxy_start(&proxy, server.port);
	for (int markers = 0; markers <= 1; markers++) {
		const char *prefix = markers ? "/lost/m/" : "/lost/c/";

		client_init(&c, "r1", 1, 120);
		OK(&c, client_open(&c, (struct etcd_args){ 0 },
				   (const char *[]){ arena_printf(&c.arena, "http://127.0.0.1:%u", proxy.port), NULL }));
		k = open_bulk(&c, prefix, markers);
		put_done(&c, k, 0, make_ops(&c.arena, prefix, 0, 2, GUARD_NONE), 2, "one");
		atomic_store(&proxy.swallow, 1);
		put_done(&c, k, 0, make_ops(&c.arena, prefix, 1, 2, GUARD_NONE), 2, "two");
		assert_int_equal(atomic_load(&proxy.swallowed), markers + 1);
		OK(&c, read_path(&c, etcd_path_key(&c.arena, make_ops(&c.arena, prefix, 2, 1, GUARD_NONE)->key), &v));
		assert_int_equal(value_get_int(&v, "version", 0), 1);
		put_done(&c, k, 0, make_ops(&c.arena, prefix, 3, 2, GUARD_NONE), 2, "three");
		etcd_target.bulk_close(k);
		release(&c, markers ? 4 : 2);
		client_done(&c);
	}
	proxy_stop(&proxy);
}

/* A single write whose answer is lost is unknown, sent once, and the probe tells. */
static void
a_lost_write_is_unknown(void **state)
{
	struct value before, v;
	struct proxy proxy;
	struct client c;
	struct effect e;
	enum probe probe;

	(void)state;
	proxy_start(&proxy, server.port);
	client_init(&c, "r1", 1, 120);
	OK(&c, client_open(&c, (struct etcd_args){ 0 },
			   (const char *[]){ arena_printf(&c.arena, "http://127.0.0.1:%u", proxy.port), NULL }));
	e = effect_of(&c, "put", STR("/unknown"),
		      ETCD_MAP(&c.arena, { "value", value_str("x") }, { "guard", value_str("absent") }));
	OK(&c, etcd_target.image(&c.cx, c.conn, &e, &before, &c.err));
	atomic_store(&proxy.swallow, 1);
	FAILS(&c, write_effect(&c, &e, &v), ERR_UNKNOWN, "answer to a write was lost");
	OK(&c, etcd_target.probe(&c.cx, c.conn, &e, "n", &before, &probe, &c.err));
	assert_int_equal(probe, PROBE_DONE_BY_US);
	OK(&c, read_path(&c, "key//unknown", &v));
	assert_int_equal(value_get_int(&v, "version", 0), 1);
	client_done(&c);
	proxy_stop(&proxy);
}

/* A clean end without grpc-status is no answer, whatever came before it. */
static void
an_answer_without_status_is_none(void **state)
{
	struct proxy proxy;
	struct client c;
	struct value v;

	(void)state;
	proxy_start(&proxy, server.port);
	client_init(&c, "r1", 1, 120);
	OK(&c, client_open(&c, (struct etcd_args){ 0 },
			   (const char *[]){ arena_printf(&c.arena, "http://127.0.0.1:%u", proxy.port), NULL }));
	OK(&c, read_path(&c, "key//status", &v));
	atomic_store(&proxy.swallow, 2);
	FAILS(&c, put(&c, STR("/status"), STR("x")), ERR_UNKNOWN, "before its grpc-status");
	assert_int_equal(atomic_load(&proxy.swallowed), 1);
	atomic_store(&proxy.swallow, 2);
	assert_string_equal(get(&c, STR("/status")), "x"); /* a read asks again */
	assert_int_equal(atomic_load(&proxy.swallowed), 2);
	client_done(&c);
	proxy_stop(&proxy);
}

#define LANES 8
#define PER_LANE 60
#define BATCH 20

struct worker {
	struct client c;
	void *bulk;
	unsigned lane;
	pthread_t thread;
};

static void *
work(void *arg)
{
	struct worker *w = arg;
	enum put_result r;
	struct bytes at;
	unsigned done = 0;
	char cursor[16], prefix[32];
	int64_t rev;

	snprintf(prefix, sizeof(prefix), "/storm/%u/", w->lane);
	while (etcd_target.bulk_cursor(&w->c.cx, w->bulk, w->lane, &at, &w->c.err) < 0)
		if (w->c.err.kind != ERR_UNREACHABLE || clock_now() > w->c.cx.deadline)
			return "cursor";
	if (at.len > 0)
		done = (unsigned)strtoul(arena_strndup(&w->c.arena, at.p, at.len), NULL, 10);
	while (done < PER_LANE) {
		struct op *ops = make_ops(&w->c.arena, prefix, done * BATCH, BATCH, GUARD_ABSENT);

		snprintf(cursor, sizeof(cursor), "%u", done + 1);
		if (put_batch(&w->c, w->bulk, w->lane, ops, BATCH, cursor, &r, &rev) < 0) {
			if (w->c.err.kind == ERR_UNREACHABLE && w->c.err.retryable && clock_now() < w->c.cx.deadline)
				continue; /* as the door does */
			return "put";
		}
		if (r != PUT_DONE)
			return "guard";
		done++;
	}
	return NULL;
}

/* Eight lanes at once while the server is killed and comes back three times: every key exactly once. */
static void
lanes_outlive_the_server(void **state)
{
	struct worker w[LANES];
	struct client c;
	char path[64], key[32];
	void *k, *failed;
	struct value v;

	(void)state;
	client_to(&c, &server);
	k = open_bulk(&c, "/storm/", false);
	for (unsigned i = 0; i < LANES; i++) {
		client_init(&w[i].c, "r1", 1, 120);
		w[i].c.conn = c.conn;
		w[i].bulk = k;
		w[i].lane = i;
		assert_int_equal(pthread_create(&w[i].thread, NULL, work, &w[i]), 0);
	}
	for (int i = 0; i < 3; i++) {
		usleep(60000);
		server_restart(&server);
	}
	for (unsigned i = 0; i < LANES; i++) {
		pthread_join(w[i].thread, &failed);
		if (failed != NULL)
			fail_msg("lane %u: %s: %s", i, (const char *)failed, w[i].c.err.msg);
		arena_done(&w[i].c.arena);
	}
	time_limit(&c, 120000);
	for (unsigned i = 0; i < LANES; i++) {
		snprintf(path, sizeof(path), "range//storm/%u/../storm/%u0", i, i);
		assert_int_equal(count(&c, path), PER_LANE * BATCH);
		snprintf(key, sizeof(key), "/wherry/r1/data/%04u", i);
		OK(&c, read_path(&c, etcd_path_key(&c.arena, (struct bytes){ key, strlen(key) }), &v));
		assert_int_equal(value_get_int(&v, "version", 0), PER_LANE);
	}
	etcd_target.bulk_close(k);
	release(&c, LANES + 1);
	client_done(&c);
}

static void
cancel_stops_before_the_next_batch(void **state)
{
	enum put_result r;
	struct client c;
	int64_t rev;
	void *k;

	(void)state;
	client_to(&c, &server);
	k = open_bulk(&c, "/stop/", false);
	atomic_store(&c.cancel, 1);
	FAILS(&c, put_batch(&c, k, 0, make_ops(&c.arena, "/stop/", 0, 1, GUARD_NONE), 1, "c", &r, &rev), ERR_CANCELLED, "");
	atomic_store(&c.cancel, 0);
	assert_int_equal(count(&c, "range//stop/../stop0"), 0);
	etcd_target.bulk_close(k);
	release(&c, 1);
	client_done(&c);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(keeps_a_cursor_per_lane),
		cmocka_unit_test(a_guard_that_fails_writes_nothing),
		cmocka_unit_test(a_foreign_key_between_is_no_conflict),
		cmocka_unit_test(too_large_is_told_apart),
		cmocka_unit_test(another_run_is_locked_out),
		cmocka_unit_test(a_claim_of_rubbish_is_not_overrun),
		cmocka_unit_test(a_newer_epoch_fences_the_older),
		cmocka_unit_test(a_foreign_cursor_is_refused),
		cmocka_unit_test(markers_are_numbered_on),
		cmocka_unit_test(leases_are_attached),
		cmocka_unit_test(a_lost_reply_is_applied_once),
		cmocka_unit_test(a_lost_write_is_unknown),
		cmocka_unit_test(an_answer_without_status_is_none),
		cmocka_unit_test(lanes_outlive_the_server),
		cmocka_unit_test(cancel_stops_before_the_next_batch),
	};

	return cmocka_run_group_tests(tests, start, stop);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* The etcd target kind against a real server: paths, reads, lists, guarded writes, what the door asks, watches. */
#define ONE_SERVER
#include "etcd_server.h"

#include "steps/target/etcd_lease.h"

static void
paths_round_trip(void **state)
{
	static const struct bytes keys[] = { { "/registry/a", 11 }, { "a b%\xff\0c", 7 }, { "..", 2 }, { "a..b.", 5 } };
	struct arena a = ARENA_INIT;
	struct etcd_path p;
	struct err err;

	(void)state;
	assert_string_equal(etcd_path_key(&a, keys[1]), "key/a%20b%25%FF%00c");
	assert_string_equal(etcd_path_range(&a, STR("/a.b/"), STR("/a.b0")), "range//a.b/../a.b0");
	for (size_t i = 0; i < countof(keys); i++) {
		assert_int_equal(etcd_path_parse(&a, etcd_path_key(&a, keys[i]), &p, &err), 0);
		assert_true(p.kind == ETCD_PATH_KEY && bytes_eq(p.key, keys[i]));
		for (size_t j = 0; j < countof(keys); j++) {
			assert_int_equal(etcd_path_parse(&a, etcd_path_range(&a, keys[i], keys[j]), &p, &err), 0);
			assert_true(p.kind == ETCD_PATH_RANGE && bytes_eq(p.key, keys[i]) && bytes_eq(p.end, keys[j]));
		}
	}
	arena_done(&a);
}

static struct cover_row {
	const char *name, *wide, *path;
	bool covers;
} covers[] = {
	{ "a range covers its key", "range//a/../a0", "key//a/x", true },
	{ "a range does not cover its end", "range//a/../a0", "key//a0", false },
	{ "an open range covers what follows", "range//a..%00", "key/zzz", true },
	{ "ranges that overlap", "range//a../c", "range//b../d", true },
	{ "ranges that touch", "range//a../b", "range//b../c", false },
	{ "a key does not cover a range", "key//a", "range//../0", false },
	{ "a key covers itself only", "key//a", "key//ab", false },
	{ "a malformed path covers all", "nonsense", "key//a", true },
	{ "status apart from keys", "range//../0", "status", false },
};

static void
covers_row(void **state)
{
	const struct cover_row *r = *state;

	assert_int_equal(etcd_path_covers(r->wide, r->path), r->covers);
}

static void
malformed_paths_are_refused(void **state)
{
	static const char *const bad[] = { "", "key/", "key/%", "key/%G0", "range/a", "range/a..", "lease/x", "lease/0",
					   "lease/1x", "nothing", "statuses" };
	struct arena a = ARENA_INIT;
	struct etcd_path p;
	struct err err;

	(void)state;
	for (size_t i = 0; i < countof(bad); i++)
		if (etcd_path_parse(&a, bad[i], &p, &err) == 0)
			fail_msg("'%s' was taken", bad[i]);
	arena_done(&a);
}

static void
writes_and_reads_binary(void **state)
{
	struct bytes key = STR("/bin/\0\xff"), value = STR("\0\x01\xfe value");
	struct client c;
	struct value v;

	(void)state;
	client_to(&c, &server);
	OK(&c, read_path(&c, etcd_path_key(&c.arena, key), &v));
	assert_int_equal(v.kind, V_NULL);
	OK(&c, put(&c, key, value));
	OK(&c, put(&c, key, value));
	OK(&c, read_path(&c, etcd_path_key(&c.arena, key), &v));
	assert_true(bytes_eq(etcd_bytes(value_get(&v, "key")), key));
	assert_true(bytes_eq(etcd_bytes(value_get(&v, "value")), value));
	assert_int_equal(value_get_int(&v, "version", 0), 2);
	assert_true(value_get_int(&v, "mod_revision", 0) > value_get_int(&v, "create_revision", 0));
	assert_true(value_get_int(&v, "header_revision", 0) >= value_get_int(&v, "mod_revision", 0));
	assert_int_equal(value_get_int(&v, "lease", -1), 0);
	OK(&c, delete_key(&c, key));
	assert_null(get(&c, key));
	client_done(&c);
}

static struct value
mod_guard(struct client *c, int64_t mod)
{
	return ETCD_MAP(&c->arena, { "mod_revision", value_int(mod) });
}

static struct value
value_guard(struct client *c, const char *value)
{
	return ETCD_MAP(&c->arena, { "value", value_str(value) });
}

static void
guards_hold_or_nothing_is_written(void **state)
{
	struct bytes k = STR("/guard/a");
	struct client c;
	struct value v;
	int64_t mod;

	(void)state;
	client_to(&c, &server);
	FAILS(&c, put_with(&c, k, STR("x"), mod_guard(&c, 7)), ERR_FAILED, "is not there");
	OK(&c, put_with(&c, k, STR("one"), value_str("absent")));
	FAILS(&c, put_with(&c, k, STR("x"), value_str("absent")), ERR_FAILED, "exists already (mod_revision ");
	OK(&c, read_path(&c, "key//guard/a", &v));
	mod = value_get_int(&v, "mod_revision", 0);
	FAILS(&c, put_with(&c, k, STR("x"), mod_guard(&c, mod + 1)), ERR_FAILED, "has changed: mod_revision is");
	OK(&c, put_with(&c, k, STR("two"), mod_guard(&c, mod)));
	FAILS(&c, put_with(&c, k, STR("x"), value_guard(&c, "one")), ERR_FAILED, "holds another value");
	OK(&c, put_with(&c, k, STR("three"), value_guard(&c, "two")));
	assert_string_equal(get(&c, k), "three");
	assert_false(c.err.retryable);
	FAILS(&c, put_with(&c, k, STR("x"), value_str("maybe")), ERR_PLAN, "guard");
	client_done(&c);
}

static void
deletes_and_counts_ranges(void **state)
{
	struct effect e = { .on = { NULL, "range//del/../del0" }, .verb = "delete" };
	struct client c;
	struct value v;

	(void)state;
	client_to(&c, &server);
	OK(&c, put(&c, STR("/del/a"), STR("1")));
	OK(&c, put(&c, STR("/del/b"), STR("2")));
	OK(&c, put(&c, STR("/delx"), STR("3")));
	e.body = etcd_map(&c.arena, NULL, 0);
	OK(&c, etcd_target.image(&c.cx, c.conn, &e, &v, &c.err));
	assert_int_equal(value_get_int(&v, "count", -1), 2);
	assert_false(etcd_target.same(&e, &v));
	OK(&c, write_effect(&c, &e, &v));
	assert_int_equal(value_get_int(&v, "deleted", -1), 2);
	assert_true(value_get_int(&v, "revision", 0) > 0);
	OK(&c, read_path(&c, e.on.path, &v));
	assert_int_equal(value_get_int(&v, "count", -1), 0);
	assert_true(etcd_target.same(&e, &v));
	assert_string_equal(get(&c, STR("/delx")), "3");
	client_done(&c);
}

/* same, predict, probe and invert over a put of "new" where "old" stood. */
static void
answers_the_door(void **state)
{
	struct bytes k = STR("/door/a");
	struct prediction p;
	struct client c;
	struct value before, after, image;
	struct effect e, undo;
	enum probe probe;

	(void)state;
	client_to(&c, &server);
	OK(&c, put(&c, k, STR("old")));
	e = effect_of(&c, "put", k, ETCD_MAP(&c.arena, { "value", value_str("new") }));
	OK(&c, etcd_target.image(&c.cx, c.conn, &e, &before, &c.err));
	assert_null(value_get(&before, "header_revision"));
	assert_false(etcd_target.same(&e, &before));
	OK(&c, etcd_target.predict(&c.cx, c.conn, &e, &before, &p, &c.err));
	assert_int_equal(p.confidence, CONF_PREDICTED);
	assert_string_equal(value_get_str(&p.after, "value", ""), "new");
	assert_int_equal(value_get_int(&p.after, "version", 0), 2);
	assert_int_equal(value_get(&p.after, "mod_revision")->kind, V_UNKNOWN);
	OK(&c, etcd_target.probe(&c.cx, c.conn, &e, "n", &before, &probe, &c.err));
	assert_int_equal(probe, PROBE_NOT_DONE);
	OK(&c, write_effect(&c, &e, &after));
	OK(&c, etcd_target.image(&c.cx, c.conn, &e, &image, &c.err));
	assert_true(value_eq(&after, &image));
	assert_true(etcd_target.same(&e, &image));
	OK(&c, etcd_target.probe(&c.cx, c.conn, &e, "n", &before, &probe, &c.err));
	assert_int_equal(probe, PROBE_DONE_BY_US);
	OK(&c, etcd_target.invert(&c.arena, &e, &before, &after, &undo, &c.err));
	OK(&c, put(&c, k, STR("new")));
	OK(&c, etcd_target.probe(&c.cx, c.conn, &e, "n", &before, &probe, &c.err));
	assert_int_equal(probe, PROBE_OTHER);
	FAILS(&c, write_effect(&c, &undo, &after), ERR_FAILED, "has changed");
	client_done(&c);
}

static void
inverts_creation_and_deletion(void **state)
{
	struct bytes k = STR("/undo/a");
	struct client c;
	struct value before, after, v;
	struct effect e, undo;

	(void)state;
	client_to(&c, &server);
	e = effect_of(&c, "put", k, ETCD_MAP(&c.arena, { "value", value_str("x") }, { "guard", value_str("absent") }));
	OK(&c, etcd_target.image(&c.cx, c.conn, &e, &before, &c.err));
	OK(&c, write_effect(&c, &e, &after));
	OK(&c, etcd_target.invert(&c.arena, &e, &before, &after, &undo, &c.err));
	assert_string_equal(undo.verb, "delete");
	OK(&c, write_effect(&c, &undo, &v));
	assert_null(get(&c, k));
	OK(&c, put(&c, k, STR("kept")));
	e = effect_of(&c, "delete", k, etcd_map(&c.arena, NULL, 0));
	OK(&c, etcd_target.image(&c.cx, c.conn, &e, &before, &c.err));
	OK(&c, write_effect(&c, &e, &after));
	OK(&c, etcd_target.image(&c.cx, c.conn, &e, &v, &c.err));
	assert_true(etcd_target.same(&e, &v));
	OK(&c, etcd_target.invert(&c.arena, &e, &before, &after, &undo, &c.err));
	OK(&c, write_effect(&c, &undo, &v));
	assert_string_equal(get(&c, k), "kept");
	FAILS(&c, write_effect(&c, &undo, &v), ERR_FAILED, "exists already");
	client_done(&c);
}

static void
predicts_a_guard_that_fails(void **state)
{
	struct prediction p;
	struct client c;
	struct value before;
	struct effect e;

	(void)state;
	client_to(&c, &server);
	OK(&c, put(&c, STR("/predict/a"), STR("x")));
	e = effect_of(&c, "put", STR("/predict/a"),
		      ETCD_MAP(&c.arena, { "value", value_str("y") }, { "guard", value_str("absent") }));
	OK(&c, etcd_target.image(&c.cx, c.conn, &e, &before, &c.err));
	FAILS(&c, etcd_target.predict(&c.cx, c.conn, &e, &before, &p, &c.err), ERR_FAILED, "exists already");
	client_done(&c);
}

static void
refuses_malformed_effects(void **state)
{
	struct client c;
	struct effect e;
	struct value v;

	(void)state;
	client_to(&c, &server);
	e = effect_of(&c, "frobnicate", STR("/x"), etcd_map(&c.arena, NULL, 0));
	FAILS(&c, write_effect(&c, &e, &v), ERR_PLAN, "frobnicate");
	e = effect_of(&c, "put", STR("/x"), etcd_map(&c.arena, NULL, 0));
	FAILS(&c, write_effect(&c, &e, &v), ERR_PLAN, "not a string");
	e.on.path = "range/a..b";
	FAILS(&c, write_effect(&c, &e, &v), ERR_PLAN, "does not go with");
	FAILS(&c, put(&c, STR("/big"), (struct bytes){ arena_alloc(&c.arena, 1700000), 1700000 }), ERR_FAILED, "too large");
	client_done(&c);
}

static void
lists_in_pages(void **state)
{
	struct query q = { .from = STR("/list/"), .to = STR("/list0"), .limit = 4 };
	struct client c;
	struct page p;
	char key[32];
	int64_t first;

	(void)state;
	client_to(&c, &server);
	for (int i = 0; i < 10; i++) {
		snprintf(key, sizeof(key), "/list/%c\xff", 'a' + i);
		OK(&c, put(&c, (struct bytes){ key, 8 }, STR("value")));
	}
	OK(&c, etcd_target.list(&c.cx, c.conn, &q, &p, &c.err));
	assert_int_equal(p.n, 4);
	assert_true(p.more);
	assert_int_equal(p.count, 10);
	assert_memory_equal(p.items[3].key.p, "/list/d\xff", 8);
	assert_true(bytes_eq(p.items[0].value, STR("value")));
	first = p.items[0].revision;
	q = (struct query){ .from = STR("/list/i"), .to = STR("/list0"), .keys_only = true };
	OK(&c, etcd_target.list(&c.cx, c.conn, &q, &p, &c.err));
	assert_int_equal(p.n, 2);
	assert_false(p.more);
	assert_int_equal(p.items[1].value.len, 0);
	q = (struct query){ .from = STR("/list/"), .to = STR("/list0"), .count_only = true };
	OK(&c, etcd_target.list(&c.cx, c.conn, &q, &p, &c.err));
	assert_int_equal(p.count, 10);
	assert_int_equal(p.n, 0);
	q = (struct query){ .from = STR("/list/"), .to = STR("/list0"), .min_revision = first + 8 };
	OK(&c, etcd_target.list(&c.cx, c.conn, &q, &p, &c.err));
	assert_int_equal(p.n, 2);
	q = (struct query){ .from = STR("/list/"), .to = STR("/list0"), .revision = first + 2 };
	OK(&c, etcd_target.list(&c.cx, c.conn, &q, &p, &c.err));
	assert_int_equal(p.n, 3);
	q = (struct query){ .from = STR("/list/a\xff") };
	OK(&c, etcd_target.list(&c.cx, c.conn, &q, &p, &c.err));
	assert_int_equal(p.n, 1);
	q = (struct query){ .to = STR("\0"), .count_only = true };
	OK(&c, etcd_target.list(&c.cx, c.conn, &q, &p, &c.err));
	assert_true(p.count >= 10);
	assert_string_equal(etcd_target.query_path(&c.arena, &q), "range/..%00");
	client_done(&c);
}

/* Replies larger than every buffer, and many of them on one connection. */
static void
lists_large_pages(void **state)
{
	struct query q = { .from = STR("/large/"), .to = STR("/large0") };
	char *value = malloc(1 << 20), key[32];
	struct client c;
	struct page p;

	(void)state;
	client_to(&c, &server);
	for (int i = 0; i < 8; i++) {
		memset(value, 'a' + i, 1 << 20);
		snprintf(key, sizeof(key), "/large/%d", i);
		OK(&c, put(&c, (struct bytes){ key, strlen(key) }, (struct bytes){ value, 1 << 20 }));
	}
	for (int round = 0; round < 5; round++) {
		OK(&c, etcd_target.list(&c.cx, c.conn, &q, &p, &c.err));
		assert_int_equal(p.n, 8);
		for (int i = 0; i < 8; i++) {
			memset(value, 'a' + i, 1 << 20);
			assert_int_equal(p.items[i].value.len, 1 << 20);
			assert_memory_equal(p.items[i].value.p, value, 1 << 20);
		}
	}
	free(value);
	client_done(&c);
}

static void
compacts_and_says_so(void **state)
{
	struct effect e = { .on = { NULL, "history" }, .verb = "compact" };
	struct query q = { .from = STR("/compact"), .revision = 2 };
	struct client c;
	struct value v;
	struct page p;

	(void)state;
	client_to(&c, &server);
	OK(&c, put(&c, STR("/compact"), STR("x")));
	OK(&c, read_path(&c, "key//compact", &v));
	e.body = ETCD_MAP(&c.arena, { "revision", value_int(value_get_int(&v, "mod_revision", 0)) });
	OK(&c, write_effect(&c, &e, &v));
	FAILS(&c, etcd_target.list(&c.cx, c.conn, &q, &p, &c.err), ERR_FAILED, "compacted");
	assert_true(c.err.retryable);
	client_done(&c);
}

static void
reads_status_alarms_and_identity(void **state)
{
	struct value v, id;
	struct client c;
	const struct value *members;

	(void)state;
	client_init(&c, "r1", 1, 120);
	OK(&c, client_open(&c, (struct etcd_args){ 0 },
			   (const char *[]){ server_url(&c, &server), "http://127.0.0.1:1", NULL }));
	OK(&c, etcd_target.identity(&c.cx, c.conn, &id, &c.err));
	OK(&c, read_path(&c, "status", &v));
	assert_string_equal(value_get_str(&v, "cluster_id", "a"), value_get_str(&id, "cluster_id", "b"));
	assert_true(value_get_int(&v, "revision", 0) >= 1);
	members = value_get(&v, "endpoints");
	assert_int_equal(members->len, 2);
	assert_true(etcd_version_number(etcd_bytes(value_get(&members->items[0], "version"))) >= 30400);
	assert_true(value_get_int(&members->items[0], "db_size", 0) > 0);
	assert_true(value_true(value_get(&members->items[0], "leader")));
	assert_non_null(strstr(value_get_str(&members->items[1], "error", ""), "127.0.0.1:1: connection refused"));
	assert_int_equal(value_get(&v, "versions")->len, 1);
	OK(&c, read_path(&c, "alarms", &v));
	assert_int_equal(v.len, 0);
	client_done(&c);
}

static void
a_full_store_is_a_definite_failure(void **state)
{
	struct server full = { .extra = { "--quota-backend-bytes", "4000000" } };
	struct client c;
	struct value v;
	int rc = 0;

	(void)state;
	server_start(&full, "http");
	client_to(&c, &full);
	for (int i = 0; i < 20 && rc == 0; i++)
		rc = put(&c, STR("/full"), (struct bytes){ arena_alloc(&c.arena, 1 << 20), 1 << 20 });
	assert_int_equal(rc, -1);
	assert_int_equal(c.err.kind, ERR_FAILED);
	assert_non_null(strstr(c.err.msg, "database space exceeded"));
	assert_non_null(strstr(c.err.next, "etcdctl alarm disarm"));
	OK(&c, read_path(&c, "alarms", &v));
	assert_int_equal(v.len, 1);
	assert_string_equal(value_get_str(&v.items[0], "alarm", ""), "NOSPACE");
	client_done(&c);
	server_remove(&full);
}

/* A pooled connection that has died is noticed and made anew, on libcurl's own upgrade path, too. */
static void
reads_on_after_a_restart(void **state)
{
	struct client c;

	(void)state;
	client_to(&c, &server);
	OK(&c, put(&c, STR("/restart"), STR("x")));
	for (int i = 0; i < 2; i++) {
		assert_string_equal(get(&c, STR("/restart")), "x");
		server_restart(&server);
	}
	assert_string_equal(get(&c, STR("/restart")), "x");
	client_done(&c);
}

static void
puts_under_a_lease_and_reads_it(void **state)
{
	struct etcd_leases leases;
	struct client c;
	struct value v;
	int64_t id, again;
	struct effect e;

	(void)state;
	client_to(&c, &server);
	etcd_leases_init(&leases);
	OK(&c, etcd_lease_for(&c.cx, c.conn, &leases, 300, &id, &c.err));
	OK(&c, etcd_lease_for(&c.cx, c.conn, &leases, 303, &again, &c.err));
	assert_int_equal(id, again);
	OK(&c, etcd_lease_for(&c.cx, c.conn, &leases, 400, &again, &c.err));
	assert_int_not_equal(id, again);
	e = effect_of(&c, "put", STR("/leased"), ETCD_MAP(&c.arena, { "value", value_str("x") }, { "lease", value_int(id) }));
	OK(&c, write_effect(&c, &e, &v));
	assert_int_equal(value_get_int(&v, "lease", 0), id);
	OK(&c, read_path(&c, etcd_path_lease(&c.arena, id), &v));
	assert_in_range(value_get_int(&v, "ttl", 0), 280, 300);
	assert_in_range(value_get_int(&v, "granted_ttl", 0), 281, 300);
	OK(&c, read_path(&c, "lease/4711", &v));
	assert_int_equal(v.kind, V_NULL);
	etcd_leases_done(&leases);
	client_done(&c);
}

/* Wait for the next events; progress and time-outs are passed over. */
static void
next_events(struct client *c, void *w, struct changes *ret)
{
	do {
		OK(c, etcd_target.watch_next(&c->cx, w, NS_PER_S, ret, &c->err));
		assert_true(clock_now() < c->cx.deadline);
	} while (ret->n == 0 && !ret->compacted);
}

static int64_t
revision_now(struct client *c)
{
	struct value v;

	OK(c, read_path(c, "range/..%00", &v));
	return value_get_int(&v, "header_revision", 0);
}

static void
watches_puts_and_deletes(void **state)
{
	struct query q = { .from = STR("/watch/"), .to = STR("/watch0") };
	struct client c;
	struct changes ch;
	int64_t start;
	void *w;

	(void)state;
	client_to(&c, &server);
	OK(&c, put(&c, STR("/watch/a"), STR("1")));
	start = revision_now(&c);
	q.revision = start;
	OK(&c, etcd_target.watch_open(&c.cx, c.conn, &q, &w, &c.err));
	next_events(&c, w, &ch);
	assert_int_equal(ch.n, 1);
	assert_int_equal(ch.revision, start);
	OK(&c, put(&c, STR("/other"), STR("1")));
	OK(&c, put(&c, STR("/watch/b"), STR("2")));
	OK(&c, delete_key(&c, STR("/watch/a")));
	next_events(&c, w, &ch);
	assert_true(bytes_eq(ch.list[0].item.key, STR("/watch/b")));
	assert_true(bytes_eq(ch.list[0].item.value, STR("2")));
	assert_int_equal(ch.list[0].item.revision, start + 2);
	if (ch.n == 1)
		next_events(&c, w, &ch);
	assert_true(ch.list[ch.n - 1].deleted);
	assert_true(bytes_eq(ch.list[ch.n - 1].item.key, STR("/watch/a")));
	assert_int_equal(ch.revision, start + 3);
	etcd_target.watch_close(w);
	client_done(&c);
}

/* Without changes in the range: how far it has seen is told where it can be trusted, and never invented. */
static void
tells_progress_only_where_trusted(void **state)
{
	struct query q = { .from = STR("/quiet/"), .to = STR("/quiet0") };
	struct changes ch = { 0 };
	struct etcd_status s;
	struct client c;
	int64_t now;
	bool trusted;
	int version;
	void *w;

	(void)state;
	client_to(&c, &server);
	OK(&c, etcd_get_status(&c.cx, c.conn, 0, &c.arena, &s, &c.err));
	version = etcd_version_number(s.version);
	trusted = (version >= 30425 && version < 30500) || version >= 30508;
	OK(&c, etcd_target.watch_open(&c.cx, c.conn, &q, &w, &c.err));
	OK(&c, put(&c, STR("/elsewhere"), STR("1")));
	now = revision_now(&c);
	for (int i = 0; i < 3 && ch.revision < now; i++) {
		OK(&c, etcd_target.watch_next(&c.cx, w, 300 * NS_PER_MS, &ch, &c.err));
		assert_int_equal(ch.n, 0);
	}
	assert_int_equal(ch.revision, trusted ? now : 0);
	etcd_target.watch_close(w);
	client_done(&c);
}

static void
watch_names_compaction(void **state)
{
	struct effect e = { .on = { NULL, "history" }, .verb = "compact" };
	struct query q = { .from = STR("/"), .to = STR("0"), .revision = 1 };
	struct client c;
	struct changes ch;
	struct value v;
	int64_t now;
	void *w;

	(void)state;
	client_to(&c, &server);
	OK(&c, put(&c, STR("/compact"), STR("y")));
	OK(&c, put(&c, STR("/compact"), STR("z")));
	now = revision_now(&c);
	e.body = ETCD_MAP(&c.arena, { "revision", value_int(now - 1) });
	OK(&c, write_effect(&c, &e, &v));
	OK(&c, etcd_target.watch_open(&c.cx, c.conn, &q, &w, &c.err));
	next_events(&c, w, &ch);
	assert_true(ch.compacted);
	assert_int_equal(ch.compact_revision, now - 1);
	etcd_target.watch_close(w);
	client_done(&c);
}

/* 300 events, and the server is killed and started again in the middle: none lost, none twice, in order. */
static void
watch_outlives_the_server(void **state)
{
	struct query q = { .from = STR("/kill/"), .to = STR("/kill0") };
	struct client c, writer;
	struct changes ch;
	int64_t last = 0;
	int seen = 0;
	char key[32];
	void *w;

	(void)state;
	client_to(&c, &server);
	client_to(&writer, &server);
	q.revision = revision_now(&c) + 1;
	OK(&c, etcd_target.watch_open(&c.cx, c.conn, &q, &w, &c.err));
	for (int i = 0; i < 300; i++) {
		if (i == 150) {
			next_events(&c, w, &ch);
			seen += (int)ch.n;
			last = ch.revision;
			server_restart(&server);
		}
		snprintf(key, sizeof(key), "/kill/%03d", i);
		OK(&writer, put(&writer, (struct bytes){ key, strlen(key) }, STR("x")));
	}
	while (seen < 300) {
		if (etcd_target.watch_next(&c.cx, w, NS_PER_S, &ch, &c.err) < 0) {
			assert_int_equal(c.err.kind, ERR_UNREACHABLE);
			assert_true(c.err.retryable);
			continue;
		}
		for (size_t i = 0; i < ch.n; i++) {
			snprintf(key, sizeof(key), "/kill/%03d", seen++);
			assert_memory_equal(ch.list[i].item.key.p, key, 9);
			assert_true(ch.list[i].item.revision > last);
			last = ch.list[i].item.revision;
		}
	}
	etcd_target.watch_close(w);
	client_done(&writer);
	client_done(&c);
}

static void
cancel_ends_a_wait(void **state)
{
	struct query q = { .from = STR("/cancel") };
	struct client c;
	struct changes ch;
	struct value v;
	void *w;

	(void)state;
	client_to(&c, &server);
	OK(&c, etcd_target.watch_open(&c.cx, c.conn, &q, &w, &c.err));
	atomic_store(&c.cancel, 1);
	FAILS(&c, etcd_target.watch_next(&c.cx, w, 20 * NS_PER_S, &ch, &c.err), ERR_CANCELLED, "stopped");
	FAILS(&c, read_path(&c, "key//a", &v), ERR_CANCELLED, "stopped");
	FAILS(&c, put(&c, STR("/cancel"), STR("x")), ERR_CANCELLED, "stopped");
	etcd_target.watch_close(w);
	client_done(&c);
}

int
main(void)
{
	static const struct CMUnitTest fixed[] = {
		cmocka_unit_test(paths_round_trip),
		cmocka_unit_test(malformed_paths_are_refused),
		cmocka_unit_test(writes_and_reads_binary),
		cmocka_unit_test(guards_hold_or_nothing_is_written),
		cmocka_unit_test(deletes_and_counts_ranges),
		cmocka_unit_test(answers_the_door),
		cmocka_unit_test(inverts_creation_and_deletion),
		cmocka_unit_test(predicts_a_guard_that_fails),
		cmocka_unit_test(refuses_malformed_effects),
		cmocka_unit_test(lists_in_pages),
		cmocka_unit_test(lists_large_pages),
		cmocka_unit_test(compacts_and_says_so),
		cmocka_unit_test(reads_status_alarms_and_identity),
		cmocka_unit_test(a_full_store_is_a_definite_failure),
		cmocka_unit_test(reads_on_after_a_restart),
		cmocka_unit_test(puts_under_a_lease_and_reads_it),
		cmocka_unit_test(watches_puts_and_deletes),
		cmocka_unit_test(tells_progress_only_where_trusted),
		cmocka_unit_test(watch_names_compaction),
		cmocka_unit_test(watch_outlives_the_server),
		cmocka_unit_test(cancel_ends_a_wait),
	};
	struct CMUnitTest tests[countof(fixed) + countof(covers)];

	memcpy(tests, fixed, sizeof(fixed));
	for (size_t i = 0; i < countof(covers); i++)
		tests[countof(fixed) + i] = (struct CMUnitTest){ covers[i].name, covers_row, .initial_state = &covers[i] };
	return cmocka_run_group_tests(tests, start, stop);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Rights of etcd: the arithmetic of permissions, messages that are malformed, and what the door asks about effects on
 * roles, users and snapshots, against a real server. */
#define ONE_SERVER
#include "etcd_server.h"

#include <sys/stat.h>

#include "steps/target/etcd_auth.h"

static struct etcd_perm
perm(const char *key, const char *end, enum etcd_may may)
{
	return (struct etcd_perm){ { key, strlen(key) }, { end, strlen(end) }, may };
}

static struct perm_row {
	const char *name, *key, *end;
	enum etcd_may may;
	const char *from, *to;
	bool writes, wider;
} perm_rows[] = {
	{ "exactly the range", "/a/", "/a0", ETCD_MAY_READWRITE, "/a/", "/a0", true, false },
	{ "to read is not to write", "/a/", "/a0", ETCD_MAY_READ, "/a/", "/a0", false, false },
	{ "a key inside", "/a/x", "", ETCD_MAY_WRITE, "/a/", "/a0", true, false },
	{ "the first key", "/a/", "", ETCD_MAY_WRITE, "/a/", "/a0", true, false },
	{ "the key at the end is outside", "/a0", "", ETCD_MAY_WRITE, "/a/", "/a0", false, true },
	{ "begins before", "/", "/a/b", ETCD_MAY_READWRITE, "/a/", "/a0", true, true },
	{ "ends behind", "/a/b", "/b", ETCD_MAY_READWRITE, "/a/", "/a0", true, true },
	{ "beside it", "/b/", "/b0", ETCD_MAY_READWRITE, "/a/", "/a0", false, true },
	{ "touches it", "/a0", "/b", ETCD_MAY_READWRITE, "/a/", "/a0", false, true },
};

static void
perm_row(void **state)
{
	const struct perm_row *r = *state;
	const struct etcd_perm p = perm(r->key, r->end, r->may);
	const struct bytes from = { r->from, strlen(r->from) }, to = { r->to, strlen(r->to) };

	assert_int_equal(etcd_perm_writes(&p, from, to), r->writes);
	assert_int_equal(etcd_perm_is_wider(&p, from, to), r->wider);
}

static void
open_ends(void **state)
{
	struct etcd_perm all = { STR("\0"), STR("\0"), ETCD_MAY_READWRITE }, one = perm("/a/", "/a0", ETCD_MAY_WRITE);
	struct arena a = ARENA_INIT;

	(void)state;
	assert_true(etcd_perm_writes(&all, STR("/a/"), STR("/a0")) && etcd_perm_is_wider(&all, STR("/a/"), STR("/a0")));
	assert_true(etcd_perm_writes(&one, STR("\0"), STR("\0")) && !etcd_perm_is_wider(&one, STR("\0"), STR("\0")));
	assert_false(etcd_perm_is_wider(&all, STR("\0"), STR("\0")));
	assert_string_equal(etcd_perm_text(&a, &all), "all keys");
	assert_string_equal(etcd_perm_text(&a, &one), "'/a/*'");
	one = perm("/a", "/c\n", ETCD_MAY_READ);
	assert_string_equal(etcd_perm_text(&a, &one), "'/a' to '/c\\n'");
	one = perm("/a", "", ETCD_MAY_READ);
	assert_string_equal(etcd_perm_text(&a, &one), "key '/a'");
	arena_done(&a);
}

static void
fence_and_set(void **state)
{
	struct etcd_perm list[] = { perm("/a/", "/a0", ETCD_MAY_READWRITE), perm("/a/x", "", ETCD_MAY_WRITE),
				    perm("/b/", "/b0", ETCD_MAY_READWRITE), perm("/c", "", ETCD_MAY_READ) };
	struct etcd_perm more[] = { perm("/c", "", ETCD_MAY_WRITE), perm("/A", "", ETCD_MAY_READ) };
	const struct etcd_perms now = { list, 4 }, wanted = { more, 2 };
	struct arena a = ARENA_INIT;
	struct etcd_perms got = etcd_perms_fenced(&a, &now, STR("/a/"), STR("/a0")), again;

	(void)state;
	assert_int_equal(got.n, 3);
	assert_true(got.list[0].may == ETCD_MAY_READ && got.list[1].may == ETCD_MAY_READWRITE);
	again = etcd_perms_fenced(&a, &got, STR("/a/"), STR("/a0"));
	assert_true(etcd_perms_eq(&got, &again));
	got = etcd_perms_with(&a, &now, &wanted, false);
	assert_int_equal(got.n, 5);
	assert_memory_equal(got.list[0].key.p, "/A", 2);
	assert_int_equal(etcd_perms_find(&got, &list[3])->may, ETCD_MAY_WRITE);
	got = etcd_perms_with(&a, &now, &wanted, true);
	assert_int_equal(got.n, 2);
	arena_done(&a);
}

static const char *const bad_lists[] = {
	"{}", "[1]", "[{}]", "[{\"key\":\"a\"}]", "[{\"key\":\"\",\"may\":\"read\"}]", "[{\"key\":\"a\",\"may\":\"all\"}]",
	"[{\"key\":\"a\",\"may\":\"read\",\"x\":1}]", "[{\"key\":\"a\",\"may\":\"read\",\"prefix\":\"a\"}]",
	"[{\"key\":1,\"may\":\"read\"}]", "[{\"key\":\"a\",\"may\":\"read\"},{\"key\":\"a\",\"may\":\"write\",\"end\":\"\"}]",
};

static struct etcd_perms
parse(struct arena *a, const char *text, int want, enum err_kind kind)
{
	struct etcd_perms got = { 0 };
	struct value v;
	struct err err = ERR_INIT;

	assert_int_equal(value_parse(a, text, strlen(text), &v, &err), 0);
	assert_int_equal(etcd_perms_parse(a, &v, &got, &err), want);
	assert_int_equal(err.kind, kind);
	return got;
}

static void
lists_of_permissions(void **state)
{
	struct arena a = ARENA_INIT;
	struct buf text = BUF_INIT(0);
	struct etcd_perms got, back;
	struct value v;
	struct err err;

	(void)state;
	for (size_t i = 0; i < countof(bad_lists); i++)
		(void)parse(&a, bad_lists[i], -1, ERR_PLAN);
	(void)parse(&a, "[{\"$unknown\":\"why\"}]", -1, ERR_PREDICTED);
	got = parse(&a, "[{\"prefix\":\"/b/\",\"may\":\"write\"},{\"prefix\":\"\",\"may\":\"read\"},{\"key\":\"/a\",\"may\":\"readwrite\"}]",
		    0, ERR_NONE);
	v = etcd_perms_value(&a, &got);
	value_write(&text, &v);
	assert_string_equal(text.p, "[{\"end\":\"\\u0000\",\"key\":\"\\u0000\",\"may\":\"read\"},{\"end\":\"\",\"key\":\"/a\","
				    "\"may\":\"readwrite\"},{\"end\":\"/b0\",\"key\":\"/b/\",\"may\":\"write\"}]");
	assert_int_equal(etcd_perms_parse(&a, &v, &back, &err), 0);
	assert_true(etcd_perms_eq(&got, &back));
	buf_done(&text);
	arena_done(&a);
}

static void
malformed_messages(void **state)
{
	static const struct bytes bad[] = { STR("\x12\x05" "abc"), STR("\x12\x03" "a\0b"), STR("\x12\x00"), STR("\xff") };
	static const struct bytes bad_role[] = { STR("\x12\x02\x08\x07"), STR("\x12\x02\x08\x01"), STR("\x12\x7f") };
	struct etcd_snapshot_part part;
	struct etcd_perms perms;
	struct arena a = ARENA_INIT;
	struct value v;
	bool on;

	(void)state;
	for (size_t i = 0; i < countof(bad); i++)
		assert_int_equal(etcd_names_decode(&a, bad[i], &v), -1);
	for (size_t i = 0; i < countof(bad_role); i++)
		assert_int_equal(etcd_role_decode(&a, bad_role[i], &perms), -1);
	assert_int_equal(etcd_auth_status_decode(STR("\x10"), &on), -1);
	assert_int_equal(etcd_snapshot_decode(STR("\x1a\x09zz"), &part), -1);
	assert_int_equal(etcd_names_decode(&a, STR("\x12\x01" "b\x12\x01" "a"), &v), 0);
	assert_string_equal(v.items[0].s, "a");
	arena_done(&a);
}

static struct value
body(struct client *c, const char *text)
{
	struct value v;

	OK(c, value_parse(&c->arena, text, strlen(text), &v, &c->err));
	return v;
}

static struct effect
rights(struct client *c, const char *verb, const char *path, const char *text)
{
	return (struct effect){ .on = { NULL, path }, .verb = verb, .body = body(c, text), .class = EFFECT_IDEMPOTENT };
}

static const char *
text_of(struct client *c, const struct value *v)
{
	struct buf text = BUF_INIT(0);
	const char *s;

	value_write(&text, v);
	s = arena_strdup(&c->arena, text.p);
	buf_done(&text);
	return s;
}

/* Do it: the prediction is what is there then, a second time there is nothing to do, and the inverse takes it back. */
static void
there_and_back(struct client *c, const struct effect *e)
{
	struct value before, after, now;
	struct prediction p;
	struct effect back;
	enum probe probe;

	OK(c, etcd_target.image(&c->cx, c->conn, e, &before, &c->err));
	assert_false(etcd_target.same(e, &before));
	OK(c, etcd_target.predict(&c->cx, c->conn, e, &before, &p, &c->err));
	OK(c, etcd_target.probe(&c->cx, c->conn, e, "n", &before, &probe, &c->err));
	assert_int_equal(probe, PROBE_NOT_DONE);
	OK(c, write_effect(c, e, &after));
	OK(c, etcd_target.image(&c->cx, c->conn, e, &now, &c->err));
	assert_string_equal(text_of(c, &p.after), text_of(c, &now));
	assert_string_equal(text_of(c, &after), text_of(c, &now));
	assert_true(etcd_target.same(e, &now));
	OK(c, etcd_target.probe(&c->cx, c->conn, e, "n", &before, &probe, &c->err));
	assert_int_equal(probe, PROBE_DONE_BY_US);
	OK(c, etcd_target.invert(&c->arena, e, &before, &after, &back, &c->err));
	OK(c, write_effect(c, &back, &now));
	OK(c, etcd_target.image(&c->cx, c->conn, e, &now, &c->err));
	assert_string_equal(text_of(c, &before), text_of(c, &now));
}

static void
roles_and_users(void **state)
{
	struct effect e;
	struct client c;
	struct value v;

	(void)state;
	client_to(&c, &server);
	OK(&c, read_path(&c, "auth", &v));
	assert_string_equal(text_of(&c, &v), "{\"enabled\":false}");
	OK(&c, read_path(&c, "role/r%20one", &v));
	assert_int_equal(v.kind, V_NULL);
	e = rights(&c, "fence", "role/r%20one", "{\"key\":\"/a/\",\"end\":\"/a0\"}");
	FAILS(&c, write_effect(&c, &e, &v), ERR_FAILED, "there is no role 'r one'");
	e = rights(&c, "set", "role/r%20one", "{\"permissions\":[{\"prefix\":\"/a/\",\"may\":\"readwrite\"},{\"key\":\"\\u0000x\",\"may\":\"read\"}]}");
	there_and_back(&c, &e);
	OK(&c, write_effect(&c, &e, &v));
	e = rights(&c, "fence", "role/r%20one", "{\"key\":\"/a/\",\"end\":\"/a0\"}");
	there_and_back(&c, &e);
	e = rights(&c, "set", "role/r%20one", "{\"only\":true,\"permissions\":[{\"key\":\"/a/\",\"may\":\"write\"}]}");
	there_and_back(&c, &e);
	e = rights(&c, "set", "user/u", "{\"roles\":[\"r one\"]}");
	there_and_back(&c, &e);
	OK(&c, write_effect(&c, &e, &v));
	e = rights(&c, "set", "user/u", "{\"roles\":[],\"only\":true}");
	there_and_back(&c, &e);
	OK(&c, read_path(&c, "users", &v));
	assert_string_equal(text_of(&c, &v), "[\"u\"]");
	client_done(&c);
}

static void
refuses_bodies(void **state)
{
	static const struct {
		const char *verb, *path, *body;
	} bad[] = {
		{ "fence", "user/u", "{\"key\":\"a\",\"end\":\"b\"}" }, { "fence", "role/r", "{\"key\":\"a\"}" },
		{ "password", "role/r", "{}" },                         { "password", "user/u", "{\"password\":\"plain\"}" },
		{ "set", "user/u", "{\"roles\":[1]}" },                 { "set", "user/u", "{}" },
		{ "put", "role/r", "{}" },                              { "put", "snapshot/x", "{}" },
	};
	struct effect e;
	struct client c;
	struct value v;

	(void)state;
	client_to(&c, &server);
	for (size_t i = 0; i < countof(bad); i++) {
		e = rights(&c, bad[i].verb, bad[i].path, bad[i].body);
		assert_int_equal(write_effect(&c, &e, &v), -1);
		assert_int_equal(c.err.kind, ERR_PLAN);
	}
	client_done(&c);
}

static void
passwords(void **state)
{
	struct secret one = { .where = "test", .len = 3, .content = (char *)(uintptr_t) "one" };
	struct value none = VALUE_NULL, v;
	struct effect e, back;
	struct client c;

	(void)state;
	client_to(&c, &server);
	e = rights(&c, "set", "user/p", "{\"roles\":[]}");
	e.body = ETCD_MAP(&c.arena, { "roles", value_list(NULL, 0) }, { "password", value_secret(&one) });
	OK(&c, write_effect(&c, &e, &v));
	e = rights(&c, "password", "user/p", "{}");
	e.body = ETCD_MAP(&c.arena, { "password", value_secret(&one) });
	OK(&c, etcd_target.image(&c.cx, c.conn, &e, &v, &c.err));
	assert_string_equal(value_get_str(&v, "password", ""), "unknown"); /* authentication is off */
	assert_false(etcd_target.same(&e, &v));
	OK(&c, write_effect(&c, &e, &v));
	assert_int_equal(etcd_target.invert(&c.arena, &e, &none, &v, &back, &c.err), -1);
	client_done(&c);
}

/* What a resume finds: nothing, a snapshot, or something else under its name. */
static void
snapshots(void **state)
{
	struct value none = VALUE_NULL, v, now;
	struct effect e, back;
	struct client c;
	enum probe probe;
	const char *file;

	(void)state;
	client_to(&c, &server);
	file = arena_printf(&c.arena, "%s/snap shot", server.dir);
	e = rights(&c, "save", etcd_path_snapshot(&c.arena, file), "{}");
	OK(&c, etcd_target.probe(&c.cx, c.conn, &e, "n", &none, &probe, &c.err));
	assert_int_equal(probe, PROBE_NOT_DONE);
	OK(&c, write_effect(&c, &e, &v));
	OK(&c, etcd_target.image(&c.cx, c.conn, &e, &now, &c.err));
	assert_string_equal(text_of(&c, &v), text_of(&c, &now));
	OK(&c, etcd_target.probe(&c.cx, c.conn, &e, "n", &none, &probe, &c.err));
	assert_int_equal(probe, PROBE_DONE_BY_US);
	FAILS(&c, write_effect(&c, &e, &v), ERR_FAILED, "exists already");
	OK(&c, etcd_target.invert(&c.arena, &e, &none, &v, &back, &c.err));
	assert_int_equal(truncate(file, value_get_int(&now, "size", 0) - 4096), 0);
	OK(&c, etcd_target.probe(&c.cx, c.conn, &e, "n", &none, &probe, &c.err));
	assert_int_equal(probe, PROBE_OTHER);
	OK(&c, write_effect(&c, &back, &v));
	assert_int_equal(access(file, F_OK), -1);
	OK(&c, write_effect(&c, &back, &v));
	assert_int_equal(symlink("/dev/null", file), 0);
	assert_int_equal(etcd_target.image(&c.cx, c.conn, &e, &v, &c.err), -1);
	client_done(&c);
}

/* Keys that only counted a revision up: a way back is to see that they are gone. */
static void
scratch_markers(void **state)
{
	struct effect raise, release, back;
	struct value none = VALUE_NULL, gone;
	struct client c;

	(void)state;
	client_to(&c, &server);
	raise = rights(&c, "raise", "range//w/raise/../w/raise0", "{\"keep_markers\":false,\"marker_prefix\":\"/w/raise/\",\"name\":\"revision\"}");
	OK(&c, etcd_target.invert(&c.arena, &raise, &none, &none, &release, &c.err));
	assert_string_equal(release.on.path, "markers//w/raise/");
	OK(&c, etcd_target.image(&c.cx, c.conn, &release, &gone, &c.err));
	assert_true(etcd_target.same(&release, &gone));
	OK(&c, etcd_target.invert(&c.arena, &release, &none, &none, &back, &c.err));
	assert_true(etcd_target.same(&back, &gone));
	release.body = body(&c, "{\"marker_prefix\":\"/w/raise/\",\"name\":\"revision\"}");
	assert_int_equal(etcd_target.invert(&c.arena, &release, &none, &none, &back, &c.err), -1);
	client_done(&c);
}

int
main(void)
{
	static const struct CMUnitTest fixed[] = {
		cmocka_unit_test(open_ends),          cmocka_unit_test(fence_and_set),
		cmocka_unit_test(lists_of_permissions), cmocka_unit_test(malformed_messages),
		cmocka_unit_test(roles_and_users),    cmocka_unit_test(refuses_bodies),
		cmocka_unit_test(passwords),          cmocka_unit_test(snapshots),
		cmocka_unit_test(scratch_markers),
	};
	struct CMUnitTest tests[countof(fixed) + countof(perm_rows)];

	memcpy(tests, fixed, sizeof(fixed));
	for (size_t i = 0; i < countof(perm_rows); i++)
		tests[countof(fixed) + i] = (struct CMUnitTest){ perm_rows[i].name, perm_row, .initial_state = &perm_rows[i] };
	return cmocka_run_group_tests(tests, start, stop);
}

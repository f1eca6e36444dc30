/* SPDX-License-Identifier: Apache-2.0 */
/* Connections of the etcd target kind: fields, TLS and client certificates, users and tokens, members that die or hang. */
#include "etcd_server.h"

#include <sys/stat.h>

static struct server plain;
static char certs[64];

static const char *
cert(struct client *c, const char *name)
{
	return arena_printf(&c->arena, "%s/%s", certs, name);
}

static struct field_row {
	const char *name, *urls[3];
	bool ca, cert_only, user_only;
	const char *want;
} field_rows[] = {
	{ "no endpoint", { NULL }, .want = "no endpoint" },
	{ "an endpoint without scheme", { "127.0.0.1:2379" }, .want = "is not http://HOST:PORT" },
	{ "an endpoint of another scheme", { "ftp://127.0.0.1:2379" }, .want = "is not http://HOST:PORT" },
	{ "an endpoint with a path", { "http://127.0.0.1:2379/v3" }, .want = "is not http://HOST:PORT" },
	{ "an endpoint with a query", { "http://127.0.0.1:2379?x=1" }, .want = "is not http://HOST:PORT" },
	{ "an endpoint with a password", { "http://u:secret@127.0.0.1:2379" }, .want = "'…@…'" },
	{ "mixed schemes", { "https://127.0.0.1:1", "http://127.0.0.1:2" }, .want = "mix http:// and https://" },
	{ "certificates without TLS", { "http://127.0.0.1:1" }, .ca = true, .want = "the server is reached by http://" },
	{ "cert without key", { "https://127.0.0.1:1" }, .cert_only = true, .want = "cert and key go together" },
	{ "user without password", { "http://127.0.0.1:1" }, .user_only = true, .want = "user 'alice' has no password" },
};

static void
checks_fields(void **state)
{
	const struct field_row *r = *state;
	struct etcd_args args = { 0 };
	struct client c;

	client_init(&c, "r1", 1, 120);
	if (r->ca)
		args.ca = cert(&c, "ca.crt");
	if (r->cert_only)
		args.cert = cert(&c, "client.crt");
	if (r->user_only)
		args.user = "alice";
	FAILS(&c, client_open(&c, args, r->urls), ERR_PLAN, r->want);
	client_done(&c);
}

static void
takes_the_default_port(void **state)
{
	struct client c;

	(void)state;
	client_init(&c, "r1", 1, 120);
	OK(&c, client_open(&c, (struct etcd_args){ 0 }, (const char *[]){ "http://[::1]", "http://localhost/", NULL }));
	assert_string_equal(etcd_conn_names(c.conn), "[::1]:2379, localhost:2379");
	client_done(&c);
}

static void
guards_its_key_file(void **state)
{
	struct etcd_args args = { 0 };
	struct client c;

	(void)state;
	client_init(&c, "r1", 1, 120);
	args.cert = cert(&c, "client.crt");
	args.key = cert(&c, "open.key");
	assert_int_equal(RUN("cp", cert(&c, "client.key"), args.key), 0);
	assert_int_equal(chmod(args.key, 0604), 0);
	FAILS(&c, client_open(&c, args, (const char *[]){ "https://127.0.0.1:1", NULL }), ERR_LOCAL, "every user");
	assert_non_null(strstr(c.err.next, "chmod 600"));
	args.key = cert(&c, "missing.key");
	FAILS(&c, client_open(&c, args, (const char *[]){ "https://127.0.0.1:1", NULL }), ERR_LOCAL, "missing.key");
	client_done(&c);
}

static struct server tls;

static struct etcd_args
tls_args(struct client *c, const char *ca, const char *client)
{
	struct etcd_args a = { 0 };

	if (ca != NULL)
		a.ca = cert(c, arena_printf(&c->arena, "%s.crt", ca));
	if (client != NULL) {
		a.cert = cert(c, arena_printf(&c->arena, "%s.crt", client));
		a.key = cert(c, arena_printf(&c->arena, "%s.key", client));
	}
	return a;
}

static void
speaks_mutual_tls(void **state)
{
	struct bulk b = { .verb = "copy", .name = "data", .prefix = STR("/tls/"), .marker_prefix = "/w/" };
	struct query q = { .from = STR("/tls/"), .to = STR("/tls0") };
	size_t size = 1 << 20;
	char *value;
	struct changes ch = { 0 };
	enum put_result r;
	struct client c;
	struct page p;
	int64_t rev;
	void *w, *k;

	(void)state;
	client_init(&c, "r1", 1, 120);
	value = arena_alloc(&c.arena, size);
	memset(value, 'x', size);
	OK(&c, client_open(&c, tls_args(&c, "ca", "client"), (const char *[]){ server_url(&c, &tls), NULL }));
	OK(&c, etcd_target.watch_open(&c.cx, c.conn, &q, &w, &c.err));
	OK(&c, etcd_target.bulk_open(&c.cx, c.conn, &b, "n", &k, &c.err));
	for (int i = 0; i < 6; i++) {
		const char *key = arena_printf(&c.arena, "/tls/%d", i);
		struct op op = { .key = { key, strlen(key) }, .value = { value, size }, .guard = GUARD_ABSENT };
		struct batch batch = { .ops = &op, .n = 1, .cursor = { key, strlen(key) } };

		OK(&c, etcd_target.bulk_put(&c.cx, k, 0, &batch, &r, &rev, &c.err));
		assert_int_equal(r, PUT_DONE);
	}
	OK(&c, etcd_target.list(&c.cx, c.conn, &q, &p, &c.err));
	assert_int_equal(p.n, 6);
	assert_memory_equal(p.items[5].value.p, value, size);
	OK(&c, etcd_target.watch_next(&c.cx, w, 5 * NS_PER_S, &ch, &c.err));
	assert_true(ch.n > 0);
	etcd_target.bulk_close(k);
	etcd_target.watch_close(w);
	client_done(&c);
}

static struct tls_row {
	const char *name, *ca, *client, *want;
	bool misnamed;
} tls_rows[] = {
	{ "a server that the system's store does not know", NULL, "client", "the server's certificate is refused", false },
	{ "a server of another authority", "other-ca", "client", "other-ca.crt", false },
	{ "a server with another name", "ca", "client", "the server's certificate is refused", true },
	{ "no client certificate", "ca", NULL, "the server refuses a client without certificate", false },
	{ "a client certificate of another authority", "ca", "other-client", "other-client.crt", false },
};

/* Nothing has happened, nothing would by trying again, and the message names the certificate; writes, too. */
static void
refuses_tls(void **state)
{
	const struct tls_row *r = *state;
	struct server other = { 0 };
	struct client c;
	struct value v;

	client_init(&c, "r1", 1, 120);
	if (r->misnamed) {
		server_prepare(&other, "https");
		other.extra[0] = "--cert-file";
		other.extra[1] = cert(&c, "misnamed.crt");
		other.extra[2] = "--key-file";
		other.extra[3] = cert(&c, "misnamed.key");
		server_spawn(&other, "one", NULL);
		server_wait(&other);
	}
	OK(&c, client_open(&c, tls_args(&c, r->ca, r->client),
			   (const char *[]){ server_url(&c, r->misnamed ? &other : &tls), NULL }));
	FAILS(&c, read_path(&c, "key/a", &v), ERR_UNREACHABLE, r->want);
	assert_false(c.err.retryable);
	assert_non_null(strstr(c.err.msg, "127.0.0.1:"));
	FAILS(&c, put(&c, STR("/tls"), STR("x")), ERR_UNREACHABLE, r->want);
	client_done(&c);
	server_remove(&other);
}

static void
names_a_key_that_does_not_fit(void **state)
{
	struct etcd_args args;
	struct client c;
	struct value v;

	(void)state;
	client_init(&c, "r1", 1, 120);
	args = tls_args(&c, "ca", "client");
	args.key = cert(&c, "server.key");
	OK(&c, client_open(&c, args, (const char *[]){ server_url(&c, &tls), NULL }));
	FAILS(&c, read_path(&c, "key/a", &v), ERR_UNREACHABLE, "client certificate '");
	assert_false(c.err.retryable);
	client_done(&c);
}

static int
etcdctl(const struct server *s, const char *user, const char *a, const char *b, const char *d, const char *e, const char *f)
{
	char url[64];

	snprintf(url, sizeof(url), "%s://127.0.0.1:%u", s->scheme, s->port);
	return user != NULL ? RUN("etcdctl", "--endpoints", url, "--user", user, a, b, d, e, f) :
		RUN("etcdctl", "--endpoints", url, a, b, d, e, f);
}

/* root and alice, who may do everything under /alice/. */
static void
make_users(const struct server *s)
{
	char url[64];

	snprintf(url, sizeof(url), "http://127.0.0.1:%u", s->port);
	assert_int_equal(etcdctl(s, NULL, "user", "add", "root:rootpw", NULL, NULL), 0);
	assert_int_equal(etcdctl(s, NULL, "user", "grant-role", "root", "root", NULL), 0);
	assert_int_equal(etcdctl(s, NULL, "user", "add", "alice:wonder", NULL, NULL), 0);
	assert_int_equal(etcdctl(s, NULL, "role", "add", "books", NULL, NULL), 0);
	assert_int_equal(RUN("etcdctl", "--endpoints", url, "role", "grant-permission", "books", "--prefix=true", "readwrite",
			     "/alice/"), 0);
	assert_int_equal(etcdctl(s, NULL, "user", "grant-role", "alice", "books", NULL), 0);
}

static struct etcd_args
user_args(const char *user, const char *password)
{
	static struct secret secret;

	secret = (struct secret){ .where = "test", .len = strlen(password), .content = (char *)(uintptr_t)password };
	return (struct etcd_args){ .user = user, .password = &secret };
}

static void
open_as(struct client *c, const struct server *s, const char *user, const char *password)
{
	client_init(c, "r1", 1, 40);
	OK(c, client_open(c, user != NULL ? user_args(user, password) : (struct etcd_args){ 0 },
			  (const char *[]){ server_url(c, s), NULL }));
}

/* The whole life of a user: before authentication is on, when it comes on, and when the server forgets its tokens. */
static void
users_and_tokens(void **state)
{
	struct bulk b = { .verb = "copy", .name = "data", .prefix = STR("/alice/x/"), .marker_prefix = "/alice/w/" };
	struct query q = { .from = STR("/alice/"), .to = STR("/alice0") }, outside = { .from = STR("/bob") };
	struct op op = { .key = STR("/alice/x/1"), .value = STR("v") };
	struct batch batch = { .ops = &op, .n = 1, .cursor = STR("c") };
	struct server s = { 0 };
	struct client c, other;
	struct changes ch;
	enum put_result r;
	struct value v;
	int64_t rev;
	void *w, *k;

	(void)state;
	server_start(&s, "http");
	make_users(&s);
	open_as(&c, &s, "alice", "wonder");
	OK(&c, put(&c, STR("/alice/a"), STR("1"))); /* no token is sent where authentication is off */
	assert_int_equal(etcdctl(&s, NULL, "auth", "enable", NULL, NULL, NULL), 0);
	OK(&c, put(&c, STR("/alice/a"), STR("2"))); /* and one is fetched when it comes on */
	assert_string_equal(get(&c, STR("/alice/a")), "2");
	OK(&c, etcd_target.identity(&c.cx, c.conn, &v, &c.err));
	assert_true(strlen(value_get_str(&v, "cluster_id", "")) > 8);
	OK(&c, read_path(&c, "status", &v)); /* from 3.6.8 on without what only root is told */
	assert_true(value_get_int(&v, "revision", 0) > 0);
	FAILS(&c, put(&c, STR("/bob"), STR("x")), ERR_FAILED, "permission denied");
	FAILS(&c, read_path(&c, "key//bob", &v), ERR_FAILED, "permission denied");
	assert_int_equal(etcd_target.watch_open(&c.cx, c.conn, &outside, &w, &c.err), -1);
	assert_int_equal(c.err.kind, ERR_FAILED);
	assert_non_null(strstr(c.err.msg, "permission denied"));
	OK(&c, etcd_target.watch_open(&c.cx, c.conn, &q, &w, &c.err));
	OK(&c, etcd_target.bulk_open(&c.cx, c.conn, &b, "n", &k, &c.err));

	server_restart(&s); /* its tokens are gone */
	while (etcd_target.bulk_put(&c.cx, k, 0, &batch, &r, &rev, &c.err) < 0)
		assert_true(c.err.kind == ERR_UNREACHABLE && c.err.retryable);
	assert_int_equal(r, PUT_DONE);
	OK(&c, put(&c, STR("/alice/b"), STR("3")));
	do {
		if (etcd_target.watch_next(&c.cx, w, NS_PER_S, &ch, &c.err) < 0 && !c.err.retryable)
			fail_msg("%s", c.err.msg);
	} while (ch.n == 0);
	etcd_target.bulk_close(k);
	etcd_target.watch_close(w);
	client_done(&c);

	open_as(&other, &s, "alice", "wrong");
	FAILS(&other, read_path(&other, "key//alice/a", &v), ERR_UNREACHABLE, "refuses the password of user 'alice'");
	assert_false(other.err.retryable);
	FAILS(&other, put(&other, STR("/alice/a"), STR("x")), ERR_UNREACHABLE, "refuses the password");
	client_done(&other);
	open_as(&other, &s, NULL, NULL);
	FAILS(&other, read_path(&other, "key//alice/a", &v), ERR_UNREACHABLE, "a client without user");
	assert_non_null(strstr(other.err.next, "user and password"));
	client_done(&other);
	server_remove(&s);
}

/* A certificate's common name is the user; the JSON gateway refuses just this. */
static void
common_name_is_the_user(void **state)
{
	struct server s = { 0 };
	struct client c;
	char url[64];

	(void)state;
	client_init(&c, "r1", 1, 120);
	server_prepare(&s, "https");
	const char *extra[] = { "--cert-file", cert(&c, "server.crt"), "--key-file", cert(&c, "server.key"),
				"--client-cert-auth", "--trusted-ca-file", cert(&c, "ca.crt") };
	memcpy(s.extra, extra, sizeof(extra));
	server_spawn(&s, "one", NULL);
	server_wait(&s);
	snprintf(url, sizeof(url), "https://127.0.0.1:%u", s.port);
#define CTL(...) \
	assert_int_equal(RUN("etcdctl", "--endpoints", url, "--cacert", cert(&c, "ca.crt"), "--cert", \
			     cert(&c, "client.crt"), "--key", cert(&c, "client.key"), __VA_ARGS__), 0)
	CTL("user", "add", "root:rootpw");
	CTL("user", "grant-role", "root", "root");
	CTL("user", "add", "tester", "--no-password");
	CTL("role", "add", "t");
	CTL("role", "grant-permission", "t", "--prefix=true", "readwrite", "/t/");
	CTL("user", "grant-role", "tester", "t");
	CTL("auth", "enable");
	OK(&c, client_open(&c, tls_args(&c, "ca", "client"), (const char *[]){ url, NULL }));
	OK(&c, put(&c, STR("/t/a"), STR("mine")));
	assert_string_equal(get(&c, STR("/t/a")), "mine");
	FAILS(&c, put(&c, STR("/u/a"), STR("x")), ERR_FAILED, "permission denied");
	client_done(&c);
	server_remove(&s);
}

static void
names_what_cannot_be_reached(void **state)
{
	struct client c;
	struct value v;

	(void)state;
	client_init(&c, "r1", 1, 120);
	OK(&c, client_open(&c, (struct etcd_args){ 0 },
			   (const char *[]){ "http://127.0.0.1:1", "http://no-such-host.invalid:2379", NULL }));
	FAILS(&c, read_path(&c, "key/a", &v), ERR_UNREACHABLE, "127.0.0.1:1, no-such-host.invalid:2379");
	assert_true(c.err.retryable);
	FAILS(&c, put(&c, STR("/a"), STR("x")), ERR_UNREACHABLE, "cannot be reached");
	assert_true(clock_now() < c.cx.deadline); /* given up by itself: waiting is the door's */
	client_done(&c);
}

/* A server that hangs: a read goes elsewhere, a write that was sent is unknown at the deadline. */
static void
a_hanging_server(void **state)
{
	struct server s = { 0 };
	struct client c;
	struct value v;

	(void)state;
	server_start(&s, "http");
	client_init(&c, "r1", 1, 120);
	OK(&c, client_open(&c, (struct etcd_args){ 0 },
			   (const char *[]){ server_url(&c, &s), server_url(&c, &plain), NULL }));
	OK(&c, read_path(&c, "key//x", &v));
	server_freeze(&s);
	OK(&c, read_path(&c, "key//x", &v));
	client_done(&c);

	client_to(&c, &s);
	time_limit(&c, 1500);
	FAILS(&c, put(&c, STR("/hang"), STR("x")), ERR_UNKNOWN, "answer to a write was lost");
	time_limit(&c, 500);
	FAILS(&c, read_path(&c, "key//x", &v), ERR_UNREACHABLE, "no answer in time");
	kill(s.pid, SIGCONT);
	time_limit(&c, 60000);
	OK(&c, put(&c, STR("/hang"), STR("y")));
	client_done(&c);
	server_remove(&s);
}

/* Three members: reads, writes and a watch go on when the one in use is killed, hangs, or comes back. */
static void
fails_over_in_a_cluster(void **state)
{
	static const char *const names[] = { "m0", "m1", "m2" };
	struct query q = { .from = STR("/ha/"), .to = STR("/ha0") };
	struct server s[3] = { 0 };
	struct client c;
	struct changes ch;
	char cluster[256] = "", key[32];
	size_t seen = 0;
	void *w;

	(void)state;
	client_init(&c, "r1", 1, 240);
	for (int i = 0; i < 3; i++) {
		server_prepare(&s[i], "http");
		snprintf(cluster + strlen(cluster), sizeof(cluster) - strlen(cluster), "%s%s=http://127.0.0.1:%u",
			 i > 0 ? "," : "", names[i], s[i].port + 1);
	}
	for (int i = 0; i < 3; i++)
		server_spawn(&s[i], names[i], cluster);
	for (int i = 0; i < 3; i++)
		server_wait(&s[i]);
	OK(&c, client_open(&c, (struct etcd_args){ 0 }, (const char *[]){ server_url(&c, &s[0]), server_url(&c, &s[1]),
			   server_url(&c, &s[2]), NULL }));
	OK(&c, etcd_target.watch_open(&c.cx, c.conn, &q, &w, &c.err));
	for (int i = 0; i < 30; i++) {
		if (i == 10)
			server_kill(&s[0]); /* the first endpoint: in use */
		if (i == 20) {
			server_spawn(&s[0], names[0], cluster);
			server_wait(&s[0]);
			server_freeze(&s[1]);
		}
		snprintf(key, sizeof(key), "/ha/%02d", i);
		while (put(&c, (struct bytes){ key, strlen(key) }, STR("x")) < 0) {
			if (c.err.kind != ERR_UNKNOWN && !(c.err.kind == ERR_UNREACHABLE && c.err.retryable))
				fail_msg("%s", c.err.msg);
			assert_true(clock_now() < c.cx.deadline);
		}
	}
	assert_string_equal(get(&c, STR("/ha/29")), "x");
	while (seen < 30) { /* a key that was sent twice is seen twice, but each comes */
		if (etcd_target.watch_next(&c.cx, w, NS_PER_S, &ch, &c.err) < 0 && !c.err.retryable)
			fail_msg("%s", c.err.msg);
		assert_true(clock_now() < c.cx.deadline);
		for (size_t i = 0; i < ch.n; i++) {
			snprintf(key, sizeof(key), "/ha/%02zu", seen);
			seen += memcmp(ch.list[i].item.key.p, key, 6) == 0;
		}
	}
	etcd_target.watch_close(w);
	client_done(&c);
	kill(s[1].pid, SIGCONT);
	for (int i = 0; i < 3; i++)
		server_remove(&s[i]);
}

static int
start(void **state)
{
	static struct client c;
	const char *const script = TESTS_FOLDER "/lib/certs.sh";

	(void)state;
	signal(SIGPIPE, SIG_IGN);
	setenv("http_proxy", "http://127.0.0.1:9", 1); /* must not be looked at */
	setenv("https_proxy", "http://127.0.0.1:9", 1);
	setenv("ALL_PROXY", "http://127.0.0.1:9", 1);
	setenv("ETCDCTL_API", "3", 1);
	snprintf(certs, sizeof(certs), "/tmp/wherry-certs-XXXXXX");
	assert_non_null(mkdtemp(certs));
	assert_int_equal(RUN(script, certs), 0);
	server_start(&plain, "http");
	server_prepare(&tls, "https");
	const char *extra[] = { "--cert-file", cert(&c, "server.crt"), "--key-file", cert(&c, "server.key"),
				"--client-cert-auth", "--trusted-ca-file", cert(&c, "ca.crt") };
	memcpy(tls.extra, extra, sizeof(extra));
	server_spawn(&tls, "one", NULL);
	server_wait(&tls);
	return 0;
}

static int
stop(void **state)
{
	(void)state;
	server_remove(&plain);
	server_remove(&tls);
	return RUN("rm", "-rf", certs);
}

int
main(void)
{
	static const struct CMUnitTest fixed[] = {
		cmocka_unit_test(takes_the_default_port),
		cmocka_unit_test(guards_its_key_file),
		cmocka_unit_test(speaks_mutual_tls),
		cmocka_unit_test(names_a_key_that_does_not_fit),
		cmocka_unit_test(users_and_tokens),
		cmocka_unit_test(common_name_is_the_user),
		cmocka_unit_test(names_what_cannot_be_reached),
		cmocka_unit_test(a_hanging_server),
		cmocka_unit_test(fails_over_in_a_cluster),
	};
	struct CMUnitTest tests[countof(fixed) + countof(field_rows) + countof(tls_rows)];
	size_t n = countof(fixed);

	memcpy(tests, fixed, sizeof(fixed));
	for (size_t i = 0; i < countof(field_rows); i++)
		tests[n++] = (struct CMUnitTest){ field_rows[i].name, checks_fields, .initial_state = &field_rows[i] };
	for (size_t i = 0; i < countof(tls_rows); i++)
		tests[n++] = (struct CMUnitTest){ tls_rows[i].name, refuses_tls, .initial_state = &tls_rows[i] };
	return cmocka_run_group_tests(tests, start, stop);
}

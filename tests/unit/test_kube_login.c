/* SPDX-License-Identifier: Apache-2.0 */
/* Credentials as they are now: tokens, files that change, passwords, certificates, and credential plugins, good and bad. */
#include "kube_home.h"

#include <pthread.h>

#include "steps/target/kube_plugin.h"

#define AROUND "clusters: [{name: c1, cluster: {server: 'https://127.0.0.1:6443/k8s'}}]\n" \
	"contexts: [{name: x1, context: {cluster: c1, user: u1}}]\ncurrent-context: x1\n"
#define EXEC "apiVersion: client.authentication.k8s.io/v1, interactiveMode: IfAvailable"

/* One more login; the folder's plugin "login" is allowed. */
static struct kube_login *
log_in(struct home *h, const char *user)
{
	const char *text = arena_printf(&h->arena, AROUND "users: [{name: u1, user: {%s}}]\n", user);
	struct value *path = arena_alloc(&h->arena, sizeof(*path)), *allow = arena_alloc(&h->arena, sizeof(*allow));
	struct kube_login *l = NULL;

	*path = value_str(io_join(&h->arena, h->dir, "login"));
	*allow = value_list(path, 1);
	home_ok(h, home_load(h, &(struct kube_config_args){ .kubeconfig = home_file(h, "config", text, 0600), .allow_exec = allow }));
	home_ok(h, kube_login_open(&h->op, &h->config, &l, &h->err));
	return l;
}

/* The header lines now, or NULL. */
static const char *
sign(struct home *h, struct kube_login *l, struct peer *ret)
{
	struct buf headers = BUF_INIT(0);
	struct peer ignored;
	const char *text = NULL;

	h->err = ERR_INIT;
	if (kube_login_sign(&h->op, l, ret != NULL ? ret : &ignored, &headers, &h->err) == 0)
		text = arena_strndup(&h->arena, headers.len > 0 ? headers.p : "", headers.len);
	buf_done(&headers);
	return text;
}

static void
signs(struct home *h, struct kube_login *l, const char *want)
{
	const char *text = sign(h, l, NULL);

	if (text == NULL)
		fail_msg("%s", h->err.msg);
	assert_string_equal(text, want);
}

static void
does_not_sign(struct home *h, struct kube_login *l, enum err_kind kind, const char *want)
{
	home_fails(h, sign(h, l, NULL) == NULL ? -1 : 0, kind, want);
}

static void
signs_with_what_stands_there(void **state)
{
	struct kube_login *l;
	struct home h;
	struct peer p;

	(void)state;
	home_init(&h);
	l = log_in(&h, "token: t1, as: bob, as-groups: [a b]");
	assert_string_equal(sign(&h, l, &p), "Authorization: Bearer t1\r\nImpersonate-User: bob\r\nImpersonate-Group: a b\r\n");
	assert_string_equal(p.url, "https://127.0.0.1:6443/k8s");
	assert_string_equal(p.name, "127.0.0.1:6443");
	assert_null(p.at);
	kube_login_close(l);
	l = log_in(&h, "username: Aladdin, password: open sesame");
	signs(&h, l, "Authorization: Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==\r\n"); /* RFC 7617, 2 */
	kube_login_close(l);
	l = log_in(&h, "");
	signs(&h, l, "");
	kube_login_close(l);
	home_done(&h);
}

static void
reads_the_token_file_anew(void **state)
{
	struct kube_login *l;
	struct home h;

	(void)state;
	home_init(&h);
	l = log_in(&h, "token: t0, tokenFile: tok");
	signs(&h, l, "Authorization: Bearer t0\r\n");
	home_file(&h, "tok", "t1\n", 0600);
	signs(&h, l, "Authorization: Bearer t1\r\n");
	home_file(&h, "tok", "t2", 0600);
	signs(&h, l, "Authorization: Bearer t2\r\n");
	kube_login_close(l);
	l = log_in(&h, "tokenFile: tok");
	home_file(&h, "tok", " \n", 0600);
	does_not_sign(&h, l, ERR_UNREACHABLE, "is empty");
	home_file(&h, "tok", "hidden\nX: y", 0600);
	does_not_sign(&h, l, ERR_UNREACHABLE, "is not one line of plain characters");
	assert_null(strstr(h.err.msg, "hidden"));
	unlink(io_join(&h.arena, h.dir, "tok"));
	does_not_sign(&h, l, ERR_UNREACHABLE, "/tok'");
	kube_login_close(l);
	home_done(&h);
}

/* Make the plugin: a shell script; it counts its runs. */
static void
plugin(struct home *h, const char *script)
{
	home_file(h, "login", arena_printf(&h->arena, "#!/bin/sh\necho x >>'%s/runs'\n%s\n", h->dir, script), 0700);
}

static int
runs(struct home *h)
{
	struct stat st;

	return stat(io_join(&h->arena, h->dir, "runs"), &st) < 0 ? 0 : (int)st.st_size / 2;
}

#define ANSWER(status) "echo '{\"kind\":\"ExecCredential\",\"apiVersion\":\"client.authentication.k8s.io/v1\",\"status\":" status "}'"

static void
runs_a_plugin_when_it_has_to(void **state)
{
	struct kube_login *l;
	struct home h;
	char soon[32];

	(void)state;
	home_init(&h);
	plugin(&h, ANSWER("{\"token\":\"'$TOKEN'\"}"));
	l = log_in(&h, "exec: {" EXEC ", command: login, env: [{name: TOKEN, value: old}, {name: TOKEN, value: abc}]}");
	signs(&h, l, "Authorization: Bearer abc\r\n");
	signs(&h, l, "Authorization: Bearer abc\r\n");
	assert_int_equal(runs(&h), 1);
	kube_login_forget(l);
	signs(&h, l, "Authorization: Bearer abc\r\n");
	assert_int_equal(runs(&h), 2);
	kube_login_forget(l); /* another thread, whose request was refused as well */
	signs(&h, l, "Authorization: Bearer abc\r\n");
	assert_int_equal(runs(&h), 2);
	kube_login_close(l);
	plugin(&h, arena_printf(&h.arena, ANSWER("{\"token\":\"a\",\"expirationTimestamp\":\"%s\"}"),
				clock_text(clock_wall_ms() + 2500, soon)));
	l = log_in(&h, "exec: {" EXEC ", command: login}");
	signs(&h, l, "Authorization: Bearer a\r\n");
	plugin(&h, ANSWER("{\"token\":\"b\",\"expirationTimestamp\":null}"));
	usleep(2600000);
	signs(&h, l, "Authorization: Bearer b\r\n");
	assert_int_equal(runs(&h), 4);
	kube_login_close(l);
	home_done(&h);
}

static void
tells_a_plugin_what_it_may_know(void **state)
{
	struct buf seen = BUF_INIT(0);
	struct kube_login *l;
	struct home h;

	(void)state;
	home_init(&h);
	setenv("WHERRY_PARAM_PASSWORD", "hidden", 1);
	setenv("AWS_SECRET_ACCESS_KEY", "hidden", 1);
	plugin(&h, "env >\"$HOME/env\"; echo \"$@\" >>\"$HOME/env\"; test -t 0 || echo no terminal >>\"$HOME/env\"\n" ANSWER("{\"token\":\"t\"}"));
	home_file(&h, "ca.crt", "CA", 0600);
	home_file(&h, "config", "", 0600);
	l = log_in(&h, "exec: {" EXEC ", command: login, args: [get, \"a b\"], provideClusterInfo: true, env: [{name: A, value: b}]}");
	signs(&h, l, "Authorization: Bearer t\r\n");
	home_ok(&h, io_read_file(io_join(&h.arena, h.dir, "env"), 1 << 20, &seen, &h.err));
	assert_null(strstr(seen.p, "hidden"));
	assert_non_null(strstr(seen.p, "get a b\nno terminal\n"));
	assert_non_null(strstr(seen.p, "\nA=b\n"));
	assert_non_null(strstr(seen.p, "KUBERNETES_EXEC_INFO={\"apiVersion\":\"client.authentication.k8s.io/v1\","
				       "\"kind\":\"ExecCredential\",\"spec\":{\"cluster\":{\"server\":\"https://127.0.0.1:6443/k8s\"},"
				       "\"interactive\":false}}\n"));
	buf_done(&seen);
	kube_login_close(l);
	home_done(&h);
}

static struct row {
	const char *name, *script, *want;
} rows[] = {
	{ "junk", "echo hidden", "its output, 7 bytes, is not JSON" },
	{ "nothing", "true", "its output, 0 bytes, is not JSON" },
	{ "duplicate key", "echo '{\"kind\":1,\"kind\":\"hidden\"}'", "is not JSON" },
	{ "a list", "echo '[]'", "is not JSON as it has to be" },
	{ "another kind", "echo '{\"kind\":\"Pod\"}'", "its answer is no ExecCredential" },
	{ "another version", "echo '{\"kind\":\"ExecCredential\",\"apiVersion\":\"client.authentication.k8s.io/v1beta1\"}'",
	  "is not of the apiVersion client.authentication.k8s.io/v1" },
	{ "no status", ANSWER("null"), "its answer has no status" },
	{ "no token", ANSWER("{}"), "has neither token nor" },
	{ "token of another type", ANSWER("{\"token\":[]}"), "has neither token nor" },
	{ "token with a blank", ANSWER("{\"token\":\"hidden x\"}"), "blanks or control characters" },
	{ "token with a line", ANSWER("{\"token\":\"hidden\\\\r\\\\nX: y\"}"), "blanks or control characters" },
	{ "token with NUL", ANSWER("{\"token\":\"hidden\\\\u0000\"}"), "NUL character" },
	{ "certificate alone", ANSWER("{\"clientCertificateData\":\"hidden\"}"), "go together" },
	{ "no certificate", ANSWER("{\"clientCertificateData\":\"hidden\",\"clientKeyData\":\"hidden\"}"), "holds no certificate" },
	{ "no time", ANSWER("{\"token\":\"hidden\",\"expirationTimestamp\":\"05:30\"}"), "no RFC 3339 time" },
	{ "over", ANSWER("{\"token\":\"hidden\",\"expirationTimestamp\":\"2020-01-01T00:00:00Z\"}"), "has ended at 2020-01-01T00:00:00" },
	{ "code", "exit 3", "it ended with code 3" },
	{ "signal", "kill -9 $$", "it was ended by signal 9" },
	{ "too much", "head -c 3000000 /dev/zero", "it printed more than 1 MiB" },
	{ "last words", "printf 'one\\ntwo\\nthree\\nfour\\n\\nfive\\nsix\\033[2J\\n' >&2; exit 1", "; it says: two | three | four | five | six\\x1b[2J" },
	{ "few words", "echo why >&2; exit 1", "code 1; it says: why" },
	{ "masked words", "echo \"got $PASS and aaaaaaaaaabbbbbbbbbbccccccccccddddddddddeeee\" >&2; exit 1",
	  "it says: got (secret) and (secret)" },
	{ "masked token", "echo 'my hidden' >&2; " ANSWER("{\"token\":\"hidden\",\"expirationTimestamp\":\"x\"}"), "it says: my (secret)" },
};

static void
refuses_an_answer(void **state)
{
	const struct row *r = *state;
	struct kube_login *l;
	struct home h;

	home_init(&h);
	plugin(&h, r->script);
	l = log_in(&h, "exec: {" EXEC ", command: login, installHint: 'apt install login', env: [{name: PASS, value: hidden}]}");
	does_not_sign(&h, l, ERR_UNREACHABLE, r->want);
	assert_false(h.err.retryable);
	assert_null(strstr(h.err.msg, "hidden"));
	assert_non_null(strstr(h.err.msg, "credential plugin '/tmp/"));
	assert_string_equal(h.err.next, "apt install login");
	kube_login_close(l);
	home_done(&h);
}

static void
ends_a_plugin_that_hangs(void **state)
{
	struct kube_login *l;
	struct home h;

	(void)state;
	home_init(&h);
	plugin(&h, "sleep 60");
	l = log_in(&h, "exec: {" EXEC ", command: login}");
	h.op.deadline = clock_now() + NS_PER_S / 5;
	does_not_sign(&h, l, ERR_UNREACHABLE, "no answer before the step's time-out");
	h.op.deadline = clock_now() + 60 * NS_PER_S;
	atomic_store(&h.cancel, 1);
	does_not_sign(&h, l, ERR_CANCELLED, "cancelled");
	atomic_store(&h.cancel, 0);
	home_file(&h, "login", "#!/nowhere/sh\n", 0700);
	does_not_sign(&h, l, ERR_UNREACHABLE, "No such file or directory");
	assert_false(h.err.retryable);
	kube_login_close(l);
	home_done(&h);
}

struct thread {
	struct home h;
	struct kube_login *l;
	pthread_t id;
	const char *got;
};

static void *
run_thread(void *data)
{
	struct thread *t = data;

	t->got = sign(&t->h, t->l, NULL);
	return NULL;
}

static void
asks_a_plugin_once_for_many_threads(void **state)
{
	struct thread threads[4];
	struct kube_login *l;
	struct home h;

	(void)state;
	home_init(&h);
	plugin(&h, "sleep 0.3\n" ANSWER("{\"token\":\"t\"}"));
	l = log_in(&h, "exec: {" EXEC ", command: login}");
	for (size_t i = 0; i < countof(threads); i++) {
		threads[i] = (struct thread){ .h = { .op = h.op }, .l = l };
		threads[i].h.op.arena = &threads[i].h.arena;
		assert_int_equal(pthread_create(&threads[i].id, NULL, run_thread, &threads[i]), 0);
	}
	for (size_t i = 0; i < countof(threads); i++) {
		pthread_join(threads[i].id, NULL);
		assert_string_equal(threads[i].got, "Authorization: Bearer t\r\n");
		arena_done(&threads[i].h.arena);
	}
	assert_int_equal(runs(&h), 1);
	kube_login_close(l);
	home_done(&h);
}

int
main(void)
{
	const struct CMUnitTest whole[] = {
		cmocka_unit_test(signs_with_what_stands_there), cmocka_unit_test(reads_the_token_file_anew),
		cmocka_unit_test(runs_a_plugin_when_it_has_to), cmocka_unit_test(tells_a_plugin_what_it_may_know),
		cmocka_unit_test(ends_a_plugin_that_hangs),     cmocka_unit_test(asks_a_plugin_once_for_many_threads),
	};
	struct CMUnitTest all[countof(rows) + countof(whole)];

	for (size_t i = 0; i < countof(rows); i++)
		all[i] = (struct CMUnitTest){ .name = rows[i].name, .test_func = refuses_an_answer, .initial_state = &rows[i] };
	memcpy(all + countof(rows), whole, sizeof(whole));
	return cmocka_run_group_tests_name("kube login", all, NULL, NULL);
}

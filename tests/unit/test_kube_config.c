/* SPDX-License-Identifier: Apache-2.0 */
/* Kubeconfigs: which files, which context, what its entries mean, and what is refused in which words. */
#include "kube_home.h"

#define CLUSTER "clusters: [{name: c1, cluster: {server: 'https://h:6443/', certificate-authority: ca.crt}}]\n"
#define CONTEXT "contexts: [{name: x1, context: {cluster: c1, user: u1, namespace: web}}]\ncurrent-context: x1\n"
#define USER(fields) "users: [{name: u1, user: {" fields "}}]\n"
#define PLAIN CLUSTER CONTEXT USER("token: t1")
#define SERVER(fields) "clusters: [{name: c1, cluster: {" fields "}}]\n" CONTEXT USER("token: t1")

static int
load(struct home *h, const char *text)
{
	return home_load(h, &(struct kube_config_args){ .kubeconfig = home_file(h, "config", text, 0600) });
}

static struct row {
	const char *name, *text, *want;
} rows[] = {
	{ "no YAML", "a: [", "not YAML" },
	{ "tab", "clusters:\n\t- x", "line 2: not YAML" },
	{ "empty", "", "it has no current-context; contexts: none" },
	{ "null", "~\n", "it has no current-context; contexts: none" },
	{ "another document", PLAIN "---\na: b\n", "a second document" },
	{ "a list", "[]", "is no kubeconfig" },
	{ "another kind", "kind: Pod\n" PLAIN, "is no kubeconfig" },
	{ "another version", "apiVersion: v2\n" PLAIN, "is no kubeconfig" },
	{ "not UTF-8", "a: \xff\n", "not UTF-8 at byte 3" },
	{ "NUL", "a: \"x\\0y\"\n", "line 1: text with a NUL character" },
	{ "duplicate key", PLAIN "current-context: x2\n", "duplicate key 'current-context'" },
	{ "merge key", "a: &x {b: c}\nd: {<<: *x}\n", "merge keys ('<<') are not supported" },
	{ "key that is a list", "? [a]\n: b\n", "a key must be a name" },
	{ "empty key", "'': b\n", "a key must be a name" },
	{ "alias to itself", "a: &x [*x]\n", "or into itself" },
	{ "unknown alias", "a: *x\n", "not YAML: found undefined alias" },
	{ "alias bomb", "a: &a [x, x, x, x, x, x, x, x, x, x]\nb: &b [*a, *a, *a, *a, *a, *a, *a, *a, *a, *a]\n"
	  "c: &c [*b, *b, *b, *b, *b, *b, *b, *b, *b, *b]\nd: &d [*c, *c, *c, *c, *c, *c, *c, *c, *c, *c]\n"
	  "e: &e [*d, *d, *d, *d, *d, *d, *d, *d, *d, *d]\nf: [*e, *e, *e, *e, *e, *e, *e, *e, *e, *e]\n", "more than 100000 values" },
	{ "unknown current context", CLUSTER USER("") "contexts: [{name: a}, {name: b}]\ncurrent-context: x\n",
	  "there is no context 'x'; contexts: 'a', 'b'" },
	{ "no current context", CLUSTER USER("") "contexts: [{name: a}]\n", "has no current-context; contexts: 'a'" },
	{ "context without cluster", "contexts: [{name: a, context: {user: u}}]\ncurrent-context: a\n", "context 'a': it names no cluster" },
	{ "context without user", CLUSTER "contexts: [{name: a, context: {cluster: c1}}]\ncurrent-context: a\n",
	  "context 'a': it names no user" },
	{ "unknown cluster", "contexts: [{name: a, context: {cluster: c, user: u}}]\ncurrent-context: a\nclusters: [{name: d}]\n",
	  "context 'a': kubeconfig '/tmp/wherry-kube-" },
	{ "unknown user", CLUSTER CONTEXT "users: [{name: v}]\n", "there is no user 'u1'; users: 'v'" },
	{ "two of a name", CLUSTER CONTEXT "users: [{name: u1}, {name: u1}]\n", "there is another one of this name" },
	{ "entry that is no map", CONTEXT "clusters: [{name: c1, cluster: [x]}]\n" USER(""), "cluster 'c1': 'cluster' must be a map" },
	{ "namespace that is none", "contexts: [{name: x1, context: {cluster: c1, user: u1, namespace: 'a/b'}}]\ncurrent-context: x1\n"
	  CLUSTER USER(""), "'a/b' is no namespace's name" },
	{ "escape in a name", "current-context: \"x\\e[2J\"\n", "holds a line's end or a control character" },
	{ "no server", SERVER(""), "cluster 'c1': it has no server" },
	{ "no scheme", SERVER("server: 'h:6443'"), "server is not https://" },
	{ "password in the URL", SERVER("server: 'https://u:hidden@h'"), "server is not https://" },
	{ "query", SERVER("server: 'https://h/?a=b'"), "server is not https://" },
	{ "another scheme", SERVER("server: 'ftp://h'"), "server is not https://" },
	{ "list as server", SERVER("server: [x]"), "cluster 'c1': server must be text" },
	{ "without TLS checks", SERVER("server: 'https://h', insecure-skip-tls-verify: true"), "always checks who the server is" },
	{ "odd flag", SERVER("server: 'https://h', insecure-skip-tls-verify: maybe"), "must be true or false" },
	{ "two authorities", SERVER("server: 'https://h', certificate-authority: a, certificate-authority-data: YQ=="),
	  "only one of certificate-authority and certificate-authority-data" },
	{ "no base64", SERVER("server: 'https://h', certificate-authority-data: '!!'"), "certificate-authority-data is not base64" },
	{ "server name", SERVER("server: 'https://h', tls-server-name: 'a b'"), "tls-server-name is no host's name" },
	{ "socks", SERVER("server: 'https://h', proxy-url: 'socks5://u:hidden@p:1'"), "proxy-url is not http://HOST:PORT" },
	{ "auth provider", CLUSTER CONTEXT USER("auth-provider: {name: gcp}"), "auth-provider 'gcp'" },
	{ "two ways", CLUSTER CONTEXT USER("token: hidden, username: a, password: hidden"), "only one of token and username" },
	{ "no password", CLUSTER CONTEXT USER("username: a"), "username and password go together" },
	{ "colon", CLUSTER CONTEXT USER("username: 'a:b', password: hidden"), "username holds a colon" },
	{ "certificate without key", CLUSTER CONTEXT USER("client-certificate: a"), "client-certificate and client-key go together" },
	{ "token with a line", CLUSTER CONTEXT USER("token: \"hidden\\nX: y\""), "user 'u1': token holds a line's end" },
	{ "groups alone", CLUSTER CONTEXT USER("token: t, as-groups: [a]"), "need 'as'" },
	{ "extra", CLUSTER CONTEXT USER("token: t, as: a, as-user-extra: {a: [b]}"), "as-user-extra is not supported" },
	{ "plugin's mode", CLUSTER CONTEXT USER("exec: {command: a, apiVersion: client.authentication.k8s.io/v1, interactiveMode: Always}"),
	  "wants a terminal" },
	{ "plugin without mode", CLUSTER CONTEXT USER("exec: {command: a, apiVersion: client.authentication.k8s.io/v1}"),
	  "it has no interactiveMode" },
	{ "old plugin", CLUSTER CONTEXT USER("exec: {command: a, apiVersion: client.authentication.k8s.io/v1alpha1}"), "is neither" },
	{ "plugin without command", CLUSTER CONTEXT USER("exec: {apiVersion: client.authentication.k8s.io/v1}"), "it has no command" },
};

static void
refuses(void **state)
{
	const struct row *r = *state;
	struct home h;

	home_init(&h);
	home_fails(&h, load(&h, r->text), ERR_PLAN, r->want);
	assert_null(strstr(h.err.msg, "hidden"));
	home_done(&h);
}

static void
refuses_what_is_too_much(void **state)
{
	struct buf text = BUF_INIT(0);
	struct home h;

	(void)state;
	home_init(&h);
	for (int i = 0; i < 40; i++)
		buf_puts(&text, "[");
	for (int i = 0; i < 40; i++)
		buf_puts(&text, "]");
	home_fails(&h, load(&h, text.p), ERR_PLAN, "nested deeper than 32 levels");
	for (int i = 0; i < 2 << 20; i++)
		buf_putc(&text, '#');
	home_fails(&h, load(&h, text.p), ERR_PLAN, "larger than the limit of 1.0 MiB");
	home_fails(&h, home_load(&h, &(struct kube_config_args){ .kubeconfig = "/nowhere/x" }), ERR_PLAN, "'/nowhere/x' is not there");
	home_fails(&h, home_load(&h, &(struct kube_config_args){ .kubeconfig = h.dir }), ERR_PLAN, "not a regular file");
	buf_done(&text);
	home_done(&h);
}

#define PLUGIN(command) CLUSTER CONTEXT USER("exec: {apiVersion: client.authentication.k8s.io/v1, interactiveMode: Never, command: " \
	command "}")

static void
refuses_a_plugin_that_is_not_allowed(void **state)
{
	const struct value path = value_str("/opt/other");
	struct home h;
	const struct value allow = value_list(&path, 1);

	(void)state;
	home_init(&h);
	home_fails(&h, load(&h, PLUGIN("/opt/login")), ERR_UNREACHABLE, "allow_exec: [/opt/login]");
	assert_false(h.err.retryable);
	home_fails(&h, load(&h, PLUGIN("sh")), ERR_UNREACHABLE, "/sh]");
	home_fails(&h, load(&h, PLUGIN("bin/x")), ERR_UNREACHABLE, arena_printf(&h.arena, "[%s/bin/x]", h.dir));
	home_fails(&h, home_load(&h, &(struct kube_config_args){ .kubeconfig = io_join(&h.arena, h.dir, "config"), .allow_exec = &allow }),
		   ERR_UNREACHABLE, "is not allowed to run");
	home_done(&h);
}

static void
reads_a_context(void **state)
{
	const struct kube_config *c;
	struct home h;

	(void)state;
	home_init(&h);
	home_ok(&h, load(&h, "apiVersion: v1\nkind: Config\npreferences: {}\nunknown: [1]\n" PLAIN));
	c = &h.config;
	assert_string_equal(c->server, "https://h:6443");
	assert_string_equal(c->namespace, "web");
	assert_string_equal(c->context, "x1");
	assert_string_equal(c->ca, io_join(&h.arena, h.dir, "ca.crt"));
	assert_string_equal(c->token->content, "t1");
	assert_null(c->loose);
	kube_config_wipe(&h.config);
	assert_memory_equal(c->token->content, "\0\0", 2);
	home_done(&h);
}

static void
reads_every_member(void **state)
{
	const struct kube_config *c;
	struct home h;

	(void)state;
	home_init(&h);
	home_ok(&h, load(&h, "{\"contexts\": [{\"name\": \"x\", \"context\": {\"cluster\": \"c\", \"user\": \"u\"}}], \"current-context\": \"x\", "
			     "\"clusters\": [{\"name\": \"c\", \"cluster\": {\"server\": \"https://[::1]/k8s/c\", \"tls-server-name\": \"api.x\", "
			     "\"proxy-url\": \"http://p:3128\", \"certificate-authority-data\": \"Q0E=\\n\"}}], \"users\": [{\"name\": \"u\", "
			     "\"user\": {\"token\": 0012, \"tokenFile\": \"/t\", \"client-certificate-data\": \"Q1Q=\", "
			     "\"client-key\": \"k/e\", \"as\": \"bob\", \"as-uid\": \"7\", \"as-groups\": [\"g1\", \"g2\"]}}]}"));
	c = &h.config;
	assert_string_equal(c->server, "https://[::1]/k8s/c");
	assert_string_equal(c->server_name, "api.x");
	assert_string_equal(c->proxy, "http://p:3128");
	assert_string_equal(c->namespace, "default");
	assert_int_equal(c->ca_data.len, 2);
	assert_memory_equal(c->ca_data.p, "CA", 2);
	assert_non_null(strstr(c->ca, "cluster 'c': certificate-authority-data"));
	assert_memory_equal(c->cert_data.p, "CT", 2);
	assert_string_equal(c->key, io_join(&h.arena, h.dir, "k/e"));
	assert_string_equal(c->token->content, "0012");
	assert_string_equal(c->token_file, "/t");
	assert_string_equal(c->impersonate[0], "Impersonate-User: bob");
	assert_string_equal(c->impersonate[1], "Impersonate-Uid: 7");
	assert_string_equal(c->impersonate[3], "Impersonate-Group: g2");
	assert_null(c->impersonate[4]);
	home_done(&h);
}

static void
merges_a_list(void **state)
{
	struct home h;
	const char *list;

	(void)state;
	home_init(&h);
	assert_int_equal(mkdir(io_join(&h.arena, h.dir, "sub"), 0700), 0);
	home_file(&h, "one", "users: [{name: u1, user: {username: a, password: b}}]\ncurrent-context: ''\n", 0600);
	home_file(&h, "sub/two", PLAIN, 0600);
	home_file(&h, "three", "current-context: other\n" CLUSTER, 0600);
	list = arena_printf(&h.arena, "%s/one:/nowhere::%s/sub/two:%s/three", h.dir, h.dir, h.dir);
	setenv("KUBECONFIG", list, 1);
	home_ok(&h, home_load(&h, &(struct kube_config_args){ 0 }));
	assert_string_equal(h.config.basic_user, "a"); /* the whole entry of the first file, nothing of the second one */
	assert_null(h.config.token);
	assert_string_equal(h.config.context, "x1");
	assert_string_equal(h.config.ca, arena_printf(&h.arena, "%s/sub/ca.crt", h.dir));
	unsetenv("KUBECONFIG");
	home_ok(&h, home_load(&h, &(struct kube_config_args){ .kubeconfig = list, .namespace = "mine" }));
	assert_string_equal(h.config.namespace, "mine");
	home_fails(&h, home_load(&h, &(struct kube_config_args){ .kubeconfig = list, .context = "x2" }), ERR_PLAN,
		   "there is no context 'x2'; contexts: 'x1'");
	home_done(&h);
}

static void
finds_the_file(void **state)
{
	struct home h;

	(void)state;
	home_init(&h);
	home_fails(&h, home_load(&h, &(struct kube_config_args){ 0 }), ERR_PLAN, "neither $KUBECONFIG nor ~/.kube/config");
	setenv("KUBECONFIG", "/nowhere", 1);
	home_fails(&h, home_load(&h, &(struct kube_config_args){ 0 }), ERR_PLAN, "nothing of $KUBECONFIG, '/nowhere'");
	unsetenv("KUBECONFIG");
	assert_int_equal(mkdir(io_join(&h.arena, h.dir, ".kube"), 0700), 0);
	home_file(&h, ".kube/config", PLAIN, 0600);
	home_ok(&h, home_load(&h, &(struct kube_config_args){ .kubeconfig = "", .context = "", .namespace = "" }));
	assert_string_equal(h.config.server, "https://h:6443");
	assert_string_equal(h.config.namespace, "web");
	home_done(&h);
}

static void
judges_who_may_read_it(void **state)
{
	struct home h;

	(void)state;
	home_init(&h);
	home_fails(&h, home_load(&h, &(struct kube_config_args){ .kubeconfig = home_file(&h, "c", PLAIN, 0604) }), ERR_LOCAL,
		   "can be read or changed by every user");
	assert_non_null(strstr(h.err.next, "chmod 600 '"));
	home_ok(&h, home_load(&h, &(struct kube_config_args){ .kubeconfig = home_file(&h, "c", PLAIN, 0640) }));
	assert_non_null(strstr(h.config.loose, "/c"));
	home_done(&h);
}

static void
takes_the_pods_account(void **state)
{
	struct home h;

	(void)state;
	home_init(&h);
	setenv("KUBERNETES_SERVICE_HOST", "fd00::1", 1);
	setenv("KUBERNETES_SERVICE_PORT", "443", 1);
	assert_false(kube_config_of_pod(&h.arena, h.dir, &h.config));
	home_file(&h, "token", "abc", 0644);
	home_file(&h, "namespace", "web", 0644);
	assert_true(kube_config_of_pod(&h.arena, h.dir, &h.config));
	assert_string_equal(h.config.server, "https://[fd00::1]:443");
	assert_string_equal(h.config.namespace, "web");
	assert_string_equal(h.config.token_file, io_join(&h.arena, h.dir, "token"));
	unsetenv("KUBERNETES_SERVICE_HOST");
	assert_false(kube_config_of_pod(&h.arena, h.dir, &h.config));
	home_done(&h);
}

int
main(void)
{
	const struct CMUnitTest whole[] = {
		cmocka_unit_test(refuses_what_is_too_much), cmocka_unit_test(refuses_a_plugin_that_is_not_allowed),
		cmocka_unit_test(reads_a_context),
		cmocka_unit_test(reads_every_member),       cmocka_unit_test(merges_a_list),
		cmocka_unit_test(finds_the_file),           cmocka_unit_test(judges_who_may_read_it),
		cmocka_unit_test(takes_the_pods_account),
	};
	struct CMUnitTest all[countof(rows) + countof(whole)];

	for (size_t i = 0; i < countof(rows); i++)
		all[i] = (struct CMUnitTest){ .name = rows[i].name, .test_func = refuses, .initial_state = &rows[i] };
	memcpy(all + countof(rows), whole, sizeof(whole));
	return cmocka_run_group_tests_name("kubeconfig", all, NULL, NULL);
}

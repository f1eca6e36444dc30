/* SPDX-License-Identifier: Apache-2.0 */
/* What a kubeconfig says about TLS, against a real server (etcd, which is as strict): certificates as text and as files, a
 * server under another name, a proxy; and which certificate a refusal names. */
#include "etcd_server.h"
#include "kube_home.h"

#include "steps/target/httpc.h"

static struct server mutual, misnamed;
static char certs[64];

/* A file of the certificates, in base64. */
static const char *
packed(struct home *h, const char *name)
{
	struct buf text = BUF_INIT(0), base64 = BUF_INIT(0);
	const char *ret;

	home_ok(h, io_read_file(arena_printf(&h->arena, "%s/%s", certs, name), 1 << 20, &text, &h->err));
	base64_encode(&base64, text.p, text.len);
	ret = arena_strdup(&h->arena, base64.p);
	buf_done(&text);
	buf_done(&base64);
	return ret;
}

/* The file itself, or its text: "client-key: FILE", "client-key-data: TEXT". */
static const char *
member(struct home *h, const char *key, const char *name, bool data)
{
	if (data)
		return arena_printf(&h->arena, "%s-data: %s", key, packed(h, name));
	return arena_printf(&h->arena, "%s: %s/%s", key, certs, name);
}

static const char *
kubeconfig(struct home *h, const char *cluster, const char *user)
{
	return home_file(h, "config", arena_printf(&h->arena, "clusters: [{name: c1, cluster: {%s}}]\nusers: [{name: u1, user: {%s}}]\n"
		"contexts: [{name: x1, context: {cluster: c1, user: u1}}]\ncurrent-context: x1\n", cluster, user), 0600);
}

/* GET /version; what became of it in ret, to be freed. */
static int
ask(struct home *h, const char *config, const struct value *allow_exec, struct httpc_reply *ret)
{
	struct buf headers = BUF_INIT(0);
	struct httpc *client = httpc_new();
	struct kube_login *l = NULL;
	struct peer p;
	int rc;

	*ret = (struct httpc_reply){ 0 };
	h->err = ERR_INIT;
	rc = kube_config_load(&h->arena, &(struct kube_config_args){ .kubeconfig = config, .allow_exec = allow_exec }, &h->config, &h->err);
	if (rc == 0)
		rc = kube_login_open(&h->op, &h->config, &l, &h->err);
	if (rc == 0)
		rc = kube_login_sign(&h->op, l, &p, &headers, &h->err);
	if (rc == 0) {
		const struct httpc_request rq = { .peer = &p, .method = "GET", .headers = &headers, .max = 1 << 20, .stall = 5 * NS_PER_S };

		p.url = arena_printf(&h->arena, "%s/version", p.url);
		httpc_ask(client, &h->op, &rq, ret);
		rc = httpc_judge(&rq, ret, ret->status == 200, &h->err);
	}
	httpc_free(client);
	kube_login_close(l);
	buf_done(&headers);
	return rc;
}

static void
answers(struct home *h, const char *config, const struct value *allow_exec)
{
	struct httpc_reply r;

	home_ok(h, ask(h, config, allow_exec, &r));
	assert_non_null(strstr(r.body.p, "etcdserver"));
	httpc_reply_done(&r);
}

static const char *
address(struct home *h, const struct server *s)
{
	return arena_printf(&h->arena, "server: 'https://127.0.0.1:%u'", s->port);
}

static void
takes_text_and_files(void **state)
{
	struct home h;

	(void)state;
	home_init(&h);
	for (unsigned how = 0; how < 8; how++)
		answers(&h, kubeconfig(&h, arena_printf(&h.arena, "%s, %s", address(&h, &mutual),
							member(&h, "certificate-authority", "ca.crt", how & 1)),
				       arena_printf(&h.arena, "%s, %s", member(&h, "client-certificate", "client.crt", how & 2),
						    member(&h, "client-key", "client.key", how & 4))), NULL);
	home_done(&h);
}

static struct tls_row {
	const char *name, *ca, *cert, *key, *want;
	enum err_kind kind;
} tls_rows[] = {
	{ "another authority", "other-ca.crt", "client.crt", "client.key", "cluster 'c1': certificate-authority-data); it is CN = server",
	  ERR_UNREACHABLE },
	{ "certificate of another authority", "ca.crt", "other-client.crt", "other-client.key",
	  "user 'u1': client-certificate-data' (CN = tester", ERR_UNREACHABLE },
	{ "key of another certificate", "ca.crt", "client.crt", "other-client.key", "client-key-data' cannot be used", ERR_UNREACHABLE },
	{ "expired certificate", "ca.crt", "old.crt", "old.key", "it has expired, here it is", ERR_UNREACHABLE },
	{ "key in place of the authority", "ca.key", "client.crt", "client.key", "certificate-authority-data holds no certificate", ERR_PLAN },
	{ "key in place of the certificate", "ca.crt", "client.key", "client.key", "client-certificate-data holds no certificate", ERR_PLAN },
	{ "certificate in place of the key", "ca.crt", "client.crt", "client.crt", "client-key-data holds no private key", ERR_PLAN },
	{ "encrypted key", "ca.crt", "client.crt", "locked.key", "that needs no password", ERR_PLAN },
};

static void
refuses_certificates(void **state)
{
	const struct tls_row *r = *state;
	struct httpc_reply reply;
	struct home h;

	home_init(&h);
	home_fails(&h, ask(&h, kubeconfig(&h, arena_printf(&h.arena, "%s, %s", address(&h, &mutual), member(&h, "certificate-authority", r->ca, true)),
					  arena_printf(&h.arena, "%s, %s", member(&h, "client-certificate", r->cert, true),
						       member(&h, "client-key", r->key, true))), NULL, &reply), r->kind, r->want);
	assert_false(h.err.retryable);
	httpc_reply_done(&reply);
	home_done(&h);
}

static void
guards_key_files(void **state)
{
	struct httpc_reply reply;
	struct home h;
	const char *user, *key;

	(void)state;
	home_init(&h);
	key = arena_printf(&h.arena, "%s/open.key", certs);
	assert_int_equal(RUN("cp", arena_printf(&h.arena, "%s/client.key", certs), key), 0);
	assert_int_equal(chmod(key, 0644), 0);
	user = arena_printf(&h.arena, "%s, client-key: %s", member(&h, "client-certificate", "client.crt", true), key);
	home_fails(&h, ask(&h, kubeconfig(&h, address(&h, &mutual), user), NULL, &reply), ERR_LOCAL, "chmod 600 '");
	home_fails(&h, ask(&h, kubeconfig(&h, "server: 'http://127.0.0.1:1'", user), NULL, &reply), ERR_PLAN, "is reached by http://");
	/* a key of a file that needs a password: nobody is asked for it */
	user = arena_printf(&h.arena, "%s, %s", member(&h, "client-certificate", "client.crt", false), member(&h, "client-key", "locked.key", false));
	home_fails(&h, ask(&h, kubeconfig(&h, arena_printf(&h.arena, "%s, %s", address(&h, &mutual), member(&h, "certificate-authority", "ca.crt", true)),
					  user), NULL, &reply), ERR_UNREACHABLE, "locked.key' cannot be used");
	httpc_reply_done(&reply);
	home_done(&h);
}

static void
checks_another_name(void **state)
{
	struct httpc_reply reply;
	struct home h;
	const char *cluster;

	(void)state;
	home_init(&h);
	cluster = arena_printf(&h.arena, "%s, %s", address(&h, &misnamed), member(&h, "certificate-authority", "ca.crt", true));
	home_fails(&h, ask(&h, kubeconfig(&h, cluster, ""), NULL, &reply), ERR_UNREACHABLE, "DNS:elsewhere.example");
	httpc_reply_done(&reply);
	answers(&h, kubeconfig(&h, arena_printf(&h.arena, "%s, tls-server-name: elsewhere.example", cluster), ""), NULL);
	home_fails(&h, ask(&h, kubeconfig(&h, arena_printf(&h.arena, "%s, tls-server-name: other.example", cluster), ""), NULL, &reply),
		   ERR_UNREACHABLE, "the server's certificate is refused");
	httpc_reply_done(&reply);
	home_done(&h);
}

/* A proxy for one connection, by CONNECT (RFC 9110, 9.3.6). */
struct tunnel {
	int listener;
	unsigned to;
	char head[1024];
	pthread_t thread;
};

static void *
tunnel_main(void *data)
{
	static const char yes[] = "HTTP/1.1 200 Connection established\r\nX-Proxy: here\r\n\r\n";
	struct tunnel *t = data;
	struct pollfd fds[2] = { { .fd = accept4(t->listener, NULL, NULL, SOCK_CLOEXEC), .events = POLLIN },
				 { .fd = tcp_connect(t->to), .events = POLLIN } };
	char piece[16384];
	ssize_t n = read(fds[0].fd, t->head, sizeof(t->head) - 1);

	if (n < 4 || write(fds[0].fd, yes, sizeof(yes) - 1) < 0)
		return NULL;
	for (size_t i = 0; poll(fds, 2, 10000) > 0; i ^= 1) {
		if (fds[i].revents == 0)
			continue;
		n = read(fds[i].fd, piece, sizeof(piece));
		if (n <= 0 || write(fds[i ^ 1].fd, piece, (size_t)n) != n)
			break;
	}
	close(fds[0].fd);
	close(fds[1].fd);
	return NULL;
}

static void
goes_through_a_proxy(void **state)
{
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(at);
	struct tunnel t = { .listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), .to = misnamed.port };
	struct httpc_reply reply;
	const char *config;
	struct home h;

	(void)state;
	home_init(&h);
	assert_int_equal(bind(t.listener, (struct sockaddr *)&at, len), 0);
	assert_int_equal(listen(t.listener, 4), 0);
	assert_int_equal(getsockname(t.listener, (struct sockaddr *)&at, &len), 0);
	assert_int_equal(pthread_create(&t.thread, NULL, tunnel_main, &t), 0);
	config = kubeconfig(&h, arena_printf(&h.arena, "server: 'https://api.invalid:6443/', %s, tls-server-name: elsewhere.example, "
					     "proxy-url: 'http://u:hidden@127.0.0.1:%u'", member(&h, "certificate-authority", "ca.crt", true),
					     ntohs(at.sin_port)), "token: abc");
	answers(&h, config, NULL);
	pthread_join(t.thread, NULL);
	close(t.listener);
	assert_non_null(strstr(t.head, "CONNECT api.invalid:6443 HTTP/1.1\r\n"));
	assert_null(strstr(t.head, "abc")); /* what is for the server is not for the proxy */
	home_fails(&h, ask(&h, config, NULL, &reply), ERR_UNREACHABLE, "");
	assert_null(strstr(h.err.msg, "hidden"));
	httpc_reply_done(&reply);
	home_done(&h);
}

static void
takes_a_plugins_certificate(void **state)
{
	struct value path, allow;
	struct home h;

	(void)state;
	home_init(&h);
	path = value_str(home_file(&h, "login", arena_printf(&h.arena, "#!/bin/sh\nlines() { awk '{printf \"%%s\\\\n\", $0}' %s/client.$1; }\n"
		"cat <<E\n{\"kind\":\"ExecCredential\",\"apiVersion\":\"client.authentication.k8s.io/v1beta1\",\"status\":{"
		"\"clientCertificateData\":\"$(lines crt)\",\"clientKeyData\":\"$(lines key)\"}}\nE\n", certs), 0700));
	allow = value_list(&path, 1);
	answers(&h, kubeconfig(&h, arena_printf(&h.arena, "%s, %s", address(&h, &mutual), member(&h, "certificate-authority", "ca.crt", true)),
			       "exec: {apiVersion: client.authentication.k8s.io/v1beta1, command: login}"), &allow);
	home_done(&h);
}

static const char *
cert(struct arena *a, const char *name)
{
	return arena_printf(a, "%s/%s", certs, name);
}

static int
start(void **state)
{
	static struct arena a; /* as long as the servers, which are started again by nobody */
	const char *const script = TESTS_FOLDER "/lib/certs.sh";

	(void)state;
	signal(SIGPIPE, SIG_IGN);
	setenv("https_proxy", "http://127.0.0.1:9", 1); /* must not be looked at */
	setenv("no_proxy", "*", 1);
	snprintf(certs, sizeof(certs), "/tmp/wherry-certs-XXXXXX");
	assert_non_null(mkdtemp(certs));
	assert_int_equal(RUN(script, certs), 0);
	assert_int_equal(RUN(script, certs, "old", "tester", "-5"), 0);
	assert_int_equal(RUN("openssl", "pkey", "-aes128", "-passout", "pass:x", "-in", cert(&a, "client.key"), "-out", cert(&a, "locked.key")), 0);
	assert_int_equal(chmod(cert(&a, "locked.key"), 0600), 0);
	const char *const extra[] = { "--cert-file", cert(&a, "server.crt"), "--key-file", cert(&a, "server.key"),
				      "--client-cert-auth", "--trusted-ca-file", cert(&a, "ca.crt") };
	const char *const other[] = { "--cert-file", cert(&a, "misnamed.crt"), "--key-file", cert(&a, "misnamed.key") };
	server_prepare(&mutual, "https");
	memcpy(mutual.extra, extra, sizeof(extra));
	server_spawn(&mutual, "one", NULL);
	server_prepare(&misnamed, "https");
	memcpy(misnamed.extra, other, sizeof(other));
	server_spawn(&misnamed, "one", NULL);
	server_wait(&mutual);
	server_wait(&misnamed);
	return 0;
}

static int
stop(void **state)
{
	(void)state;
	server_remove(&mutual);
	server_remove(&misnamed);
	return RUN("rm", "-rf", certs);
}

int
main(void)
{
	const struct CMUnitTest whole[] = {
		cmocka_unit_test(takes_text_and_files), cmocka_unit_test(guards_key_files),
		cmocka_unit_test(checks_another_name),  cmocka_unit_test(goes_through_a_proxy),
		cmocka_unit_test(takes_a_plugins_certificate),
	};
	struct CMUnitTest all[countof(tls_rows) + countof(whole)];

	for (size_t i = 0; i < countof(tls_rows); i++)
		all[i] = (struct CMUnitTest){ .name = tls_rows[i].name, .test_func = refuses_certificates, .initial_state = &tls_rows[i] };
	memcpy(all + countof(tls_rows), whole, sizeof(whole));
	return cmocka_run_group_tests_name("kubeconfig TLS", all, start, stop);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* URLs inside a cluster, as its API server is asked for them. */
#include "steps/target/http_through.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void
is_said(const char *url, const char *path, const char *wanted)
{
	struct arena a = ARENA_INIT;
	struct err err = ERR_INIT;
	const char *got;

	assert_int_equal(http_through(&a, url, path, &got, &err), 0);
	assert_string_equal(got, wanted);
	arena_done(&a);
}

static void
is_refused(const char *url, const char *path, const char *word)
{
	struct arena a = ARENA_INIT;
	struct err err = ERR_INIT;
	const char *got;

	assert_int_equal(http_through(&a, url, path, &got, &err), -1);
	assert_int_equal(err.kind, ERR_PLAN);
	assert_non_null(strstr(err.msg, word));
	arena_done(&a);
}

static void
services_and_pods(void **state)
{
	(void)state;
	is_said("http://linstor.storage:3370/v1", "/nodes?x=1", "/api/v1/namespaces/storage/services/linstor:3370/proxy/v1/nodes?x=1");
	is_said("http://linstor.storage:3370/v1/", "/nodes", "/api/v1/namespaces/storage/services/linstor:3370/proxy/v1/nodes");
	is_said("http://linstor.storage", "/", "/api/v1/namespaces/storage/services/linstor:80/proxy/");
	is_said("https://linstor.storage", "/", "/api/v1/namespaces/storage/services/https:linstor:443/proxy/");
	is_said("https://linstor.storage.svc:rest", "/", "/api/v1/namespaces/storage/services/https:linstor:rest/proxy/");
	is_said("http://l.s.svc.cluster.local:1", "/a", "/api/v1/namespaces/s/services/l:1/proxy/a");
	is_said("http://web-0.s.pod:8080", "/a", "/api/v1/namespaces/s/pods/web-0:8080/proxy/a");
	is_said("http://web.v1.s.pod:8080", "/a", "/api/v1/namespaces/s/pods/web.v1:8080/proxy/a");
}

static void
no_places(void **state)
{
	static const char *const urls[] = { "http://linstor:3370", "http://a.b.c:1", "http://.b:1", "http://a.:1", "http://a.b:",
		"http://A.b:1", "http://a%2f.b:1", "http://a.b:80%2f..", "http://10.0.0.1:80x/", "http://[::1]:80", "http://-a.b:1",
		"http://a.b-:1", "http://a_b.c:1", "http://.svc", "http://.pod:1" };

	(void)state;
	for (size_t i = 0; i < countof(urls); i++)
		is_refused(urls[i], "/", "no place inside a cluster");
}

/* libcurl takes dots out of a path before it sends it, and the API server's own address lies above the proxy's. */
static void
dots(void **state)
{
	static const char *const paths[] = { "/..", "/.", "/../x", "/a/../../x", "/a/..?b", "/%2e%2E/x", "/.%2e/x", "/%2e/x", "//../x" };

	(void)state;
	for (size_t i = 0; i < countof(paths); i++)
		is_refused("http://a.b:1", paths[i], "cannot stand");
	is_refused("http://a.b:1/x/..", "/y", "cannot stand");
	is_said("http://a.b:1", "/...", "/api/v1/namespaces/b/services/a:1/proxy/...");
	is_said("http://a.b:1", "/a..b/.c?q=/../", "/api/v1/namespaces/b/services/a:1/proxy/a..b/.c?q=/../");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(services_and_pods),
		cmocka_unit_test(no_places),
		cmocka_unit_test(dots),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

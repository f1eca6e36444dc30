/* SPDX-License-Identifier: Apache-2.0 */
/* Paths of kubernetes objects: what is one, what covers what, and what in an object is secret. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "steps/target/kube_paths.h"

static struct arena a;

static struct kube_paths
parsed(const char *path)
{
	struct err err = ERR_INIT;
	struct kube_paths p;

	if (kube_paths_parse(&a, path, &p, &err) < 0)
		fail_msg("%s: %s", path, err.msg);
	return p;
}

static void
test_objects(void **state)
{
	struct kube_paths p = parsed("Deployment.apps/web/nginx#scale");

	(void)state;
	assert_int_equal(p.what, KUBE_OBJECT);
	assert_string_equal(p.kind, "Deployment.apps");
	assert_string_equal(p.namespace, "web");
	assert_string_equal(p.name, "nginx");
	assert_string_equal(p.sub, "scale");
	p = parsed("ClusterRole.rbac.authorization.k8s.io//system:node%23a%25");
	assert_string_equal(p.namespace, "");
	assert_string_equal(p.name, "system:node#a%");
	assert_null(p.sub);
	assert_string_equal(kube_paths_object(&a, p.kind, p.namespace, p.name, NULL),
			    "ClusterRole.rbac.authorization.k8s.io//system:node%23a%25");
}

static void
test_lists(void **state)
{
	struct kube_paths p = parsed(kube_paths_list(&a, "Pod", "*", "app in (a,b)", "status.phase=Running"));

	(void)state;
	assert_int_equal(p.what, KUBE_LIST);
	assert_string_equal(p.namespace, "*");
	assert_string_equal(p.name, "");
	assert_string_equal(p.query, "labelSelector=app%20in%20%28a%2Cb%29&fieldSelector=status.phase%3DRunning");
	assert_null(parsed("Pod/web/").query);
	assert_string_equal(kube_paths_list(&a, "Pod", "web", NULL, "a=b"), "Pod/web/?fieldSelector=a%3Db");
}

static void
test_what_is_no_object(void **state)
{
	struct kube_paths p = parsed("can-i/create/pods.metrics.k8s.io/web/x#exec");

	(void)state;
	assert_int_equal(p.what, KUBE_CAN_I);
	assert_string_equal(p.verb, "create");
	assert_string_equal(p.kind, "pods.metrics.k8s.io");
	assert_string_equal(p.sub, "exec");
	assert_int_equal(parsed("can-i/get/*/*/").what, KUBE_CAN_I);
	assert_int_equal(parsed("version").what, KUBE_VERSION);
	assert_int_equal(parsed("kinds").what, KUBE_KINDS);
	assert_int_equal(parsed("whoami").what, KUBE_WHOAMI);
	p = parsed("canary/web/x?a=b,example.com/c=d");
	assert_int_equal(p.what, KUBE_CANARY);
	assert_string_equal(p.namespace, "web");
	assert_string_equal(p.query, "a=b,example.com/c=d");
	assert_true(kube_paths_plain("canary/web/x"));
	assert_false(kube_paths_cover("*/*/", "canary/web/x"));
}

/* What is in a pod, and what of this machine goes there or comes from there. */
static void
test_within(void **state)
{
	struct kube_paths p = parsed("file/web/db-0/db//etc/a b?c#d%2");

	(void)state;
	assert_int_equal(p.what, KUBE_FILE);
	assert_string_equal(p.namespace, "web");
	assert_string_equal(p.name, "db-0");
	assert_string_equal(p.container, "db");
	assert_string_equal(p.file, "//etc/a b?c#d%2");
	p = parsed("file//db-0//etc/x");
	assert_string_equal(p.namespace, "");
	assert_null(p.container);
	assert_string_equal(p.file, "/etc/x");
	assert_string_equal(kube_paths_within(&a, "file//db-0//etc/x", "web"), "file/web/db-0//etc/x");
	p = parsed("log/web/db-0?max=10&container=db");
	assert_int_equal(p.what, KUBE_LOG);
	assert_string_equal(p.query, "max=10&container=db");
	assert_string_equal(kube_paths_within(&a, "log//db-0?max=1", "web"), "log/web/db-0?max=1");
	p = parsed("here//var/tmp/x");
	assert_int_equal(p.what, KUBE_HERE);
	assert_string_equal(p.file, "/var/tmp/x");
}

static void
test_malformed(void **state)
{
	static const char *const bad[] = { "", "canary/web", "canary/web/", "Pod", "Pod/x", "/web/x", "Pod/web/x/y", "Pod/web/..", "Pod/./x", "Pod/web/a\nb",
		"Pod/web/x#", "Pod/web/#log", "Pod/web/x?a=b", "Pod/*/x", "Pod/web/%2F", "Pod/web/%2e%2e", "Pod/web/%", "Pod/web/%4",
		"Pod/web/?a b", "Pod/web/?a\r\nX: y", "Pod/web/\xff", "can-i/", "can-i//Pod/web/", "can-i/get", "can-i/get/Pod", "file/", "file/web",
		"file/web/x", "file/web/x/c", "file/web/x/c/", "file/web//c/x", "file/web/x?a/b", "log/web", "log/web/", "log/web/x",
		"log/web/x/y?max=1", "log/web/x?a b" };
	struct kube_paths p;

	(void)state;
	for (size_t i = 0; i < countof(bad); i++) {
		struct err err = ERR_INIT;

		if (kube_paths_parse(&a, bad[i], &p, &err) == 0)
			fail_msg("taken: %s", bad[i]);
		assert_int_equal(err.kind, ERR_PLAN);
		assert_non_null(strstr(err.msg, "is no path of a kubernetes object"));
	}
}

static void
test_covers(void **state)
{
	(void)state;
	assert_true(kube_paths_cover("Pod/web/", "Pod/web/x"));
	assert_true(kube_paths_cover("Pod/web/?labelSelector=a", "Pod/web/x#exec"));
	assert_true(kube_paths_cover("Pod/*/", "Pod/web/"));
	assert_true(kube_paths_cover("*/web/", "Service/web/x"));
	assert_true(kube_paths_cover("Pod/web/x", "Pod/web/x"));
	assert_true(kube_paths_cover("Pod/web/", "Pod/web/?fieldSelector=a"));
	assert_false(kube_paths_cover("Pod/web/", "Pod/webs/x"));
	assert_false(kube_paths_cover("Pod/web/", "PodTemplate/web/x"));
	assert_false(kube_paths_cover("Pod/web/x", "Pod/web/y"));
	assert_false(kube_paths_cover("Pod/web/x", "Pod/web/"));
	assert_false(kube_paths_cover("*/web/", "Namespace//web"));
	assert_false(kube_paths_cover("Pod/*/", "can-i/get/Pod/web/x"));
	assert_true(kube_paths_cover("Pod/web/", "file/web/x/c/etc/y"));
	assert_true(kube_paths_cover("Pod/*/", "log/web/x?max=1"));
	assert_true(kube_paths_cover("Pod/web/x#exec", "log/web/x?max=1"));
	assert_true(kube_paths_cover("Pod/web/x#exec", "file/web/x/c/etc/y"));
	assert_false(kube_paths_cover("Pod/web/x#exec", "file/web/xy/c/etc/y"));
	assert_false(kube_paths_cover("Pod/web/x#exec", "Pod/web/x"));
	assert_false(kube_paths_cover("file/web/x/c/etc/y", "log/web/x?max=1"));
	assert_false(kube_paths_cover("*/*/", "here//etc/x"));
	assert_false(kube_paths_plain("Pod/web/x#exec"));
	assert_true(kube_paths_plain("file/web/x/c/etc/y"));
	assert_true(kube_paths_plain("here//etc/x"));
	assert_true(kube_paths_plain("Pod/web/x"));
	assert_true(kube_paths_plain("version"));
	assert_true(kube_paths_plain("can-i/get/Pod/*/"));
	assert_false(kube_paths_plain("Pod/web/"));
	assert_false(kube_paths_plain("Pod/*/?labelSelector=a"));
}

static struct value
json(const char *text)
{
	struct err err = ERR_INIT;
	struct value v;

	if (value_parse_json(&a, text, strlen(text), &v, &err) < 0)
		fail_msg("%s", err.msg);
	return v;
}

static void
test_secrets_are_hidden(void **state)
{
	struct value v = json("{\"apiVersion\":\"v1\",\"kind\":\"Secret\",\"metadata\":{\"name\":\"s\",\"namespace\":\"web\",\"annotations\":"
			      "{\"a\":\"b\",\"kubectl.kubernetes.io/last-applied-configuration\":\"aHVudGVyMg==\"}},"
			      "\"data\":{\"key\":\"aHVudGVyMg==\"},\"stringData\":{\"other\":\"hunter2\"},\"type\":\"Opaque\"}");
	struct buf shown = BUF_INIT(0);

	(void)state;
	v = kube_paths_hide(&a, &v);
	value_show(&shown, &v);
	assert_null(strstr(shown.p, "aHVudGVyMg"));
	assert_null(strstr(shown.p, "hunter2"));
	assert_non_null(strstr(shown.p, "\"a\":\"b\""));
	assert_non_null(strstr(shown.p, "\"Opaque\""));
	assert_string_equal(value_get(value_get(&v, "data"), "key")->secret->where, "Secret/web/s data.key");
	buf_done(&shown);
	v = json("{\"apiVersion\":\"v1\",\"kind\":\"ConfigMap\",\"data\":{\"key\":\"x\"}}");
	v = kube_paths_hide(&a, &v);
	assert_string_equal(value_get_str(value_get(&v, "data"), "key", ""), "x");
	v = json("{\"apiVersion\":\"example.org/v1\",\"kind\":\"Secret\",\"data\":{\"key\":\"x\"}}");
	v = kube_paths_hide(&a, &v);
	assert_string_equal(value_get_str(value_get(&v, "data"), "key", ""), "x");
	v = VALUE_NULL;
	assert_int_equal(kube_paths_hide(&a, &v).kind, V_NULL);
}

static int
teardown(void **state)
{
	(void)state;
	arena_done(&a);
	return 0;
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_teardown(test_##name, teardown)
		T(objects), T(lists), T(what_is_no_object), T(within), T(malformed), T(covers), T(secrets_are_hidden),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

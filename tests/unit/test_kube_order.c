/* SPDX-License-Identifier: Apache-2.0 */
/* In which order objects are made, and how two of them differ. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "steps/kube_differ.h"
#include "steps/kube_order.h"

static struct arena arena;

static struct value
json(const char *text)
{
	struct err err = ERR_INIT;
	struct value v;

	if (value_parse_json(&arena, text, strlen(text), &v, &err) < 0)
		fail_msg("%s: %s", text, err.msg);
	return v;
}

#define OBJECT(version, kind, name, rest) \
	"{\"apiVersion\":\"" version "\",\"kind\":\"" kind "\",\"metadata\":{\"namespace\":\"n\",\"name\":\"" name "\"}" rest "}"
#define GLOBAL(version, kind, name, rest) "{\"apiVersion\":\"" version "\",\"kind\":\"" kind "\",\"metadata\":{\"name\":\"" name "\"}" rest "}"

/* The objects, by their names, come in this order; a wave ends with '|'. */
static void
orders(const char *const *objects, const char *wanted)
{
	struct kube_order o = { 0 };
	const uint32_t *items, *ends;
	uint32_t n = 0, waves;
	struct buf text = BUF_INIT(0);

	for (; objects[n] != NULL; n++) {
		const struct value v = json(objects[n]);

		assert_true(kube_order_add(&o, n, &v));
		assert_false(kube_order_add(&o, n, &v));
	}
	kube_order_make(&o, &items, &ends, &waves);
	for (uint32_t i = 0, w = 0; i < n; i++) {
		const struct value v = json(objects[items[i]]);

		buf_puts(&text, value_get_str(value_get(&v, "metadata"), "name", ""));
		buf_putc(&text, i + 1 == ends[w] ? '|' : ' ');
		w += i + 1 == ends[w];
	}
	assert_string_equal(text.len > 0 ? text.p : "", wanted);
	buf_done(&text);
	kube_order_done(&o);
}

static void
test_order(void **state)
{
	(void)state;
	orders((const char *const[]){
		GLOBAL("admissionregistration.k8s.io/v1", "ValidatingWebhookConfiguration", "hook", ""),
		OBJECT("apps/v1", "Deployment", "web", ",\"spec\":{\"template\":{\"spec\":{\"serviceAccountName\":\"sa\",\"volumes\":[{\"secret\":{\"secretName\":\"s\"}}]}}}"),
		OBJECT("example.org/v1", "Foo", "foo", ""),
		OBJECT("v1", "Secret", "s", ""),
		GLOBAL("apiextensions.k8s.io/v1", "CustomResourceDefinition", "foos.example.org", ",\"spec\":{\"group\":\"example.org\",\"names\":{\"kind\":\"Foo\"}}"),
		OBJECT("v1", "ServiceAccount", "sa", ""),
		GLOBAL("v1", "Namespace", "n", ""), NULL }, "n|foos.example.org|sa|s|foo|web|hook|");
	/* references beat kinds: this secret is made for an owner that is a pod */
	orders((const char *const[]){
		"{\"apiVersion\":\"v1\",\"kind\":\"Secret\",\"metadata\":{\"namespace\":\"n\",\"name\":\"s\",\"ownerReferences\":[{\"apiVersion\":\"v1\",\"kind\":\"Pod\",\"name\":\"p\"}]}}",
		OBJECT("v1", "Pod", "p", ""), OBJECT("v1", "ConfigMap", "c", ""), NULL }, "c|p|s|");
	/* circles are broken by kind; what is not there, and an object itself, is not waited for */
	orders((const char *const[]){
		OBJECT("apps/v1", "StatefulSet", "db", ",\"spec\":{\"serviceName\":\"db\",\"secretName\":\"gone\"}"),
		OBJECT("v1", "Service", "db", ",\"x\":{\"scaleTargetRef\":{\"apiVersion\":\"apps/v1\",\"kind\":\"StatefulSet\",\"name\":\"db\"},\"service\":{\"name\":\"db\"}}"),
		NULL }, "db|db|");
	orders((const char *const[]){ NULL }, "");
}

static void
is_json(struct value v, const char *wanted)
{
	const struct value w = json(wanted);
	struct buf text = BUF_INIT(0);

	value_show(&text, &v);
	if (!value_eq(&v, &w))
		fail_msg("%s, wanted %s", text.p, wanted);
	buf_done(&text);
}

static void
test_moved(void **state)
{
	const struct value names = json("{\"n\":\"m\"}");
	const struct value one = json(OBJECT("rbac.authorization.k8s.io/v1", "RoleBinding", "r", ",\"subjects\":[{\"namespace\":\"n\"},{\"namespace\":\"o\"}],"
					     "\"data\":{\"namespace\":\"n\"}"));
	const struct value two = json(GLOBAL("v1", "Namespace", "n", ""));

	(void)state;
	is_json(kube_differ_moved(&arena, &one, &names), "{\"apiVersion\":\"rbac.authorization.k8s.io/v1\",\"kind\":\"RoleBinding\",\"metadata\":{\"namespace\":"
		"\"m\",\"name\":\"r\"},\"subjects\":[{\"namespace\":\"m\"},{\"namespace\":\"o\"}],\"data\":{\"namespace\":\"n\"}}");
	is_json(kube_differ_moved(&arena, &two, &names), GLOBAL("v1", "Namespace", "m", ""));
	is_json(kube_differ_moved(&arena, &two, NULL), GLOBAL("v1", "Namespace", "n", ""));
}

static void
differ(const char *left, const char *right, const char *patch, const char *paths)
{
	const struct value x = json(left), y = json(right);
	struct buf text = BUF_INIT(0);

	is_json(kube_differ_patch(&arena, &x, &y), patch);
	kube_differ_paths(&text, &x, &y, 3);
	assert_string_equal(text.len > 0 ? text.p : "", paths);
	buf_done(&text);
}

static void
test_differ(void **state)
{
	const struct value v = json("{\"a\":{\"b\":1,\"c.d/e\":2},\"l\":[{\"x\":1,\"y\":2},{\"x\":3}]}"), paths = json("[\"a[c.d/e]\",\"l.*.x\",\"z.z\"]");

	(void)state;
	differ("{\"a\":1}", "{\"a\":1}", "{}", "");
	differ("{\"a\":{\"b\":1,\"c\":2}}", "{\"a\":{\"b\":1,\"c\":3}}", "{\"a\":{\"c\":3}}", "a.c");
	differ("{\"a\":{\"b.c\":1},\"d\":1}", "{\"d\":1}", "{\"a\":null}", "a");
	differ("{\"a\":{\"b.c\":1}}", "{\"a\":{\"b.c\":2}}", "{\"a\":{\"b.c\":2}}", "a[b.c]");
	differ("{\"a\":[{\"b\":1},2]}", "{\"a\":[{\"b\":2},2]}", "{\"a\":[{\"b\":2},2]}", "a[0].b");
	differ("{\"a\":[1]}", "{\"a\":[1,2],\"b\":null}", "{\"a\":[1,2],\"b\":null}", "a, b");
	differ("{\"a\":1,\"b\":1,\"c\":1,\"d\":1,\"e\":1}", "{}", "{\"a\":null,\"b\":null,\"c\":null,\"d\":null,\"e\":null}", "a, b, c, …");
	is_json(kube_differ_without(&arena, &v, &paths), "{\"a\":{\"b\":1},\"l\":[{\"y\":2},{}]}");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_order),
		cmocka_unit_test(test_moved),
		cmocka_unit_test(test_differ),
	};
	const int failed = cmocka_run_group_tests(tests, NULL, NULL);

	arena_done(&arena);
	return failed;
}

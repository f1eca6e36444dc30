/* SPDX-License-Identifier: Apache-2.0 */
/* Label selectors as objects hold them, and the policy and bindings of a freeze. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "steps/kube_freeze.h"
#include "steps/kube_labels.h"

static struct arena arena;

static void
is_json(const struct value *v, const char *wanted)
{
	struct buf text = BUF_INIT(0);

	value_show(&text, v);
	assert_string_equal(text.p, wanted);
	buf_done(&text);
}

static struct value
selector(const char *text)
{
	struct err err = ERR_INIT;
	struct value v;

	if (kube_labels_parse(&arena, text, &v, &err) < 0)
		fail_msg("%s: %s", text, err.msg);
	return v;
}

static void
test_selectors(void **state)
{
	static const struct {
		const char *text, *rules; /* NULL: refused */
	} cases[] = {
		{ "app=web", "{\"key\":\"app\",\"operator\":\"In\",\"values\":[\"web\"]}" },
		{ " app == web ", "{\"key\":\"app\",\"operator\":\"In\",\"values\":[\"web\"]}" },
		{ "app=", "{\"key\":\"app\",\"operator\":\"In\",\"values\":[\"\"]}" },
		{ "example.com/app!=web", "{\"key\":\"example.com/app\",\"operator\":\"NotIn\",\"values\":[\"web\"]}" },
		{ "app", "{\"key\":\"app\",\"operator\":\"Exists\"}" },
		{ "! app", "{\"key\":\"app\",\"operator\":\"DoesNotExist\"}" },
		{ "in in (in,notin)", "{\"key\":\"in\",\"operator\":\"In\",\"values\":[\"in\",\"notin\"]}" },
		{ "a notin ( b ),c", "{\"key\":\"a\",\"operator\":\"NotIn\",\"values\":[\"b\"]},{\"key\":\"c\",\"operator\":\"Exists\"}" },
		{ "a=,b", "{\"key\":\"a\",\"operator\":\"In\",\"values\":[\"\"]},{\"key\":\"b\",\"operator\":\"Exists\"}" },
		{ "inner", "{\"key\":\"inner\",\"operator\":\"Exists\"}" },
		{ "", NULL }, { "a >", NULL }, { "a>1", NULL }, { "a,", NULL }, { "a in b", NULL }, { "a in (b", NULL }, { "a in ()", NULL },
		{ "=a", NULL }, { "a=b c", NULL }, { "-a", NULL }, { "a=b/c", NULL }, { "!a=b", NULL }, { "a in(b)c", NULL }, { "a='b'", NULL },
	};

	(void)state;
	for (size_t i = 0; i < countof(cases); i++) {
		struct err err = ERR_INIT;
		struct value v;

		if (kube_labels_parse(&arena, cases[i].text, &v, &err) == 0)
			is_json(&v, arena_printf(&arena, "{\"matchExpressions\":[%s]}", cases[i].rules != NULL ? cases[i].rules : "it was not refused"));
		else if (cases[i].rules != NULL || err.kind != ERR_PLAN)
			fail_msg("%s: %s", cases[i].text, err.msg);
	}
}

static void
test_examples(void **state)
{
	static const struct {
		const char *selector, *labels; /* NULL: it selects nothing */
	} cases[] = {
		{ "app=web", "app=web" },
		{ "!app,b!=c", "" },
		{ "app in (a,b),app!=a,tier", "app=b,tier=v0" },
		{ "a,a notin (v0,v1)", "a=v2" },
		{ "a=b,a=b", "a=b" },
		{ "a=b,a=c", NULL },
		{ "a,!a", NULL },
		{ "a=b,!a", NULL },
	};

	(void)state;
	for (size_t i = 0; i < countof(cases); i++) {
		const struct value v = selector(cases[i].selector);
		const char *labels = kube_labels_example(&arena, &v);

		if (cases[i].labels == NULL)
			assert_null(labels);
		else
			assert_string_equal(labels, cases[i].labels);
	}
}

/* What a server says may be anything. */
static void
test_strange_selectors(void **state)
{
	static const char *const cases[] = { "{\"matchExpressions\":[{\"key\":1,\"operator\":\"In\",\"values\":[1,{}]}]}",
		"{\"matchExpressions\":[null,{\"operator\":\"Exists\",\"values\":3}]}", "{\"matchExpressions\":3}", "[]", "{}" };

	(void)state;
	for (size_t i = 0; i < countof(cases); i++) {
		struct err err = ERR_INIT;
		struct value v;

		assert_int_equal(value_parse_json(&arena, cases[i], strlen(cases[i]), &v, &err), 0);
		(void)kube_labels_example(&arena, &v);
		assert_null(kube_freeze_namespaces(&v));
	}
}

static void
test_objects(void **state)
{
	const struct value names = VALUE_WORDS(&arena, "web", "db"), other = VALUE_WORDS(&arena, "db", "web");
	const struct value except = VALUE_WORDS(&arena, "eks:*", "it's \"me\"", "*"), labels = selector("a=b");
	struct kube_freeze f = { .version = "v1", .namespaces = &names, .user = "a\\\"||true", .except = &except, .run = "r", .step = "s" };
	struct value policy, binding;
	const struct value *condition;

	(void)state;
	f.name = kube_freeze_name(&arena, &names, NULL);
	assert_string_equal(f.name, kube_freeze_name(&arena, &other, NULL));
	assert_string_not_equal(f.name, kube_freeze_name(&arena, &names, "a"));
	assert_memory_equal(f.name, "wherry-freeze-db-", strlen("wherry-freeze-db-"));
	f.name = "x";
	policy = kube_freeze_policy(&arena, &f);
	condition = &value_get(value_get(&policy, "spec"), "matchConditions")->items[0];
	assert_string_equal(value_get_str(condition, "expression", ""), "(has(request.dryRun) && request.dryRun && has(request.name) && "
		"request.name == \"x\") || !(request.userInfo.username == \"a\\\\\\\"||true\" || request.userInfo.username in [\"system:apiserver\", "
		"\"system:kube-controller-manager\", \"system:kube-scheduler\", \"system:cloud-controller-manager\", \"it's \\\"me\\\"\"] || "
		"[\"system:node:\", \"system:serviceaccount:kube-system:\", \"eks:\", \"\"].exists(x, request.userInfo.username.startsWith(x)) || "
		"(request.userInfo.username.startsWith(\"system:serviceaccount:\") && has(request.subResource) && request.subResource in "
		"[\"status\", \"eviction\", \"binding\"]))");
	f.selector = &labels;
	binding = kube_freeze_binding(&arena, &f, false);
	is_json(value_get(&binding, "spec"), "{\"matchResources\":{\"namespaceSelector\":{\"matchExpressions\":[{\"key\":\"kubernetes.io/metadata.name\","
		"\"operator\":\"In\",\"values\":[\"web\",\"db\"]}]},\"objectSelector\":{\"matchExpressions\":[{\"key\":\"a\",\"operator\":\"In\","
		"\"values\":[\"b\"]}]}},\"policyName\":\"x\",\"validationActions\":[\"Deny\"]}");
	assert_true(value_eq(kube_freeze_namespaces(&binding), &names));
	binding = kube_freeze_binding(&arena, &f, true);
	assert_string_equal(value_get_str(value_get(&binding, "metadata"), "name", ""), "x-namespaces");
	assert_null(value_get(value_get(value_get(&binding, "spec"), "matchResources"), "objectSelector"));
	assert_string_equal(kube_freeze_canary(&arena, "x", "web", &labels), "canary/web/x?a=b");
	assert_string_equal(kube_freeze_canary(&arena, "x", "web", NULL), "canary/web/x");
}

static int
done(void **state)
{
	(void)state;
	arena_done(&arena);
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_selectors),
		cmocka_unit_test(test_examples),
		cmocka_unit_test(test_strange_selectors),
		cmocka_unit_test(test_objects),
	};

	return cmocka_run_group_tests(tests, NULL, done);
}

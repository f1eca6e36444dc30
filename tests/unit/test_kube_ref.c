/* SPDX-License-Identifier: Apache-2.0 */
/* The pure half of the Kubernetes family: what plans may call objects, what is sent and shown of them, and when one is as
 * somebody waits for it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "steps/kube_goal.h"
#include "steps/kube_object.h"
#include "steps/kube_ref.h"

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

static void
is_json(struct value v, const char *wanted)
{
	struct buf text = BUF_INIT(0);

	value_show(&text, &v);
	assert_string_equal(text.p, wanted);
	buf_done(&text);
}

static void
test_names(void **state)
{
	static const struct {
		struct kube_name n;
		const char *path; /* NULL: refused */
	} cases[] = {
		{ { "Deployment", "web", "nginx" }, "Deployment/web/nginx" },
		{ { "deployments.v1.apps", NULL, "nginx" }, "deployments.v1.apps//nginx" },
		{ { "Namespace", NULL, "web" }, "Namespace//web" },
		{ { "Foo", NULL, "web/nginx" }, "Foo/web/nginx" },
		{ { "Foo", "web", "web/nginx" }, "Foo/web/nginx" },
		{ { "CustomResourceDefinition", NULL, "foos.example.com" }, "CustomResourceDefinition//foos.example.com" },
		{ { "ClusterRole", NULL, "system:Node" }, "ClusterRole//system:Node" },
		{ { "Foo", "db", "web/nginx" }, NULL },
		{ { "Foo", NULL, "a/b/c" }, NULL },
		{ { "Foo", NULL, "" }, NULL },
		{ { "Foo", NULL, "/x" }, NULL },
		{ { "Foo", NULL, "x/" }, NULL },
		{ { "Foo", NULL, "Nginx" }, NULL },
		{ { "Foo", NULL, "-x" }, NULL },
		{ { "Foo", NULL, "x-" }, NULL },
		{ { "Foo", NULL, "a..b" }, NULL },
		{ { "Foo", NULL, "a.-b" }, NULL },
		{ { "Foo", NULL, "a-.b" }, NULL },
		{ { "Foo", NULL, "a_b" }, NULL },
		{ { "Foo", NULL, "a?b" }, NULL },
		{ { "Foo", "We", "x" }, NULL },
		{ { "Foo", "a.b", "x" }, NULL },
		{ { "Role", NULL, "a/b" }, NULL },
		{ { "Role", NULL, ".." }, NULL },
		{ { "", NULL, "x" }, NULL },
		{ { "Foo/x", NULL, "x" }, NULL },
		{ { "Foo.", NULL, "x" }, NULL },
		{ { ".apps", NULL, "x" }, NULL },
	};

	(void)state;
	for (size_t i = 0; i < countof(cases); i++) {
		struct err err = ERR_INIT;
		const int rc = kube_check(&cases[i].n, &err);

		if ((rc == 0) != (cases[i].path != NULL))
			fail_msg("%s %s: %s", cases[i].n.kind, cases[i].n.name, rc == 0 ? "taken" : err.msg);
		if (rc == 0)
			assert_string_equal(kube_ref_path(&arena, &cases[i].n, NULL), cases[i].path);
		else
			assert_int_equal(err.kind, ERR_PLAN);
	}
	assert_string_equal(kube_ref_path(&arena, &cases[0].n, "scale"), "Deployment/web/nginx#scale");
}

static void
test_long_names(void **state)
{
	struct err err = ERR_INIT;
	char name[300];

	(void)state;
	memset(name, 'a', sizeof(name));
	name[253] = '\0';
	assert_int_equal(kube_check_name("Foo", name, &err), 0);
	name[253] = 'a';
	name[254] = '\0';
	assert_int_equal(kube_check_name("Foo", name, &err), -1);
	name[64] = '\0';
	assert_int_equal(kube_check_namespace(name, &err), -1);
	name[63] = '\0';
	assert_int_equal(kube_check_namespace(name, &err), 0);
}

static void
test_parse(void **state)
{
	struct err err = ERR_INIT;
	struct kube_name n;

	(void)state;
	assert_int_equal(kube_ref_parse(&arena, "Deployment/nginx", "web", &n, &err), 0);
	assert_string_equal(kube_ref_path(&arena, &n, NULL), "Deployment/web/nginx");
	assert_int_equal(kube_ref_parse(&arena, "Deployment/web/nginx", NULL, &n, &err), 0);
	assert_string_equal(kube_ref_path(&arena, &n, NULL), "Deployment/web/nginx");
	assert_string_equal(kube_ref_text(&arena, &n), "Deployment web/nginx");
	assert_int_equal(kube_ref_parse(&arena, "nginx", NULL, &n, &err), -1);
	assert_int_equal(kube_ref_parse(&arena, "/nginx", NULL, &n, &err), -1);
	assert_int_equal(kube_ref_parse(&arena, "Deployment/web/nginx", "db", &n, &err), -1);
}

static void
test_object_name(void **state)
{
	static const struct {
		const char *object, *namespace, *path;
		enum err_kind kind;
	} cases[] = {
		{ "{\"apiVersion\":\"apps/v1\",\"kind\":\"Deployment\",\"metadata\":{\"name\":\"a\"}}", NULL, "Deployment.v1.apps//a", 0 },
		{ "{\"apiVersion\":\"v1\",\"kind\":\"Pod\",\"metadata\":{\"name\":\"a\",\"namespace\":\"n\"}}", "n", "Pod/n/a", 0 },
		{ "{\"apiVersion\":\"v1\",\"kind\":\"Pod\",\"metadata\":{\"name\":\"a\"}}", "n", "Pod/n/a", 0 },
		{ "{\"apiVersion\":\"v1\",\"kind\":\"Pod\",\"metadata\":{\"name\":\"a\",\"namespace\":\"n\"}}", "o", NULL, ERR_PLAN },
		{ "{\"apiVersion\":\"v1\",\"kind\":\"Pod\",\"metadata\":{\"generateName\":\"a\"}}", NULL, NULL, ERR_PLAN },
		{ "{\"apiVersion\":\"v1\",\"kind\":\"Pod\",\"metadata\":{\"name\":\"n/a\"}}", NULL, NULL, ERR_PLAN },
		{ "{\"apiVersion\":\"v1\",\"kind\":\"Pod\"}", NULL, NULL, ERR_PLAN },
		{ "{\"kind\":\"Pod\",\"metadata\":{\"name\":\"a\"}}", NULL, NULL, ERR_PLAN },
		{ "{\"apiVersion\":\"v1\",\"metadata\":{\"name\":\"a\"}}", NULL, NULL, ERR_PLAN },
		{ "{\"apiVersion\":\"v1\",\"kind\":\"Pod.apps\",\"metadata\":{\"name\":\"a\"}}", NULL, NULL, ERR_PLAN },
		{ "{\"apiVersion\":\"v1\",\"kind\":\"Pod\",\"metadata\":{\"name\":7}}", NULL, NULL, ERR_PLAN },
		{ "{\"apiVersion\":\"v1\",\"kind\":\"Pod\",\"metadata\":{\"name\":\"A\"}}", NULL, NULL, ERR_PLAN },
	};

	(void)state;
	for (size_t i = 0; i < countof(cases); i++) {
		const struct value v = json(cases[i].object);
		struct err err = ERR_INIT;
		struct kube_name n;
		const int rc = kube_object_name(&arena, &v, cases[i].namespace, &n, &err);

		if ((rc == 0) != (cases[i].path != NULL))
			fail_msg("%s: %s", cases[i].object, rc == 0 ? "taken" : err.msg);
		assert_int_equal(err.kind, cases[i].kind);
		if (rc == 0)
			assert_string_equal(kube_ref_path(&arena, &n, NULL), cases[i].path);
	}
}

static void
test_unknown_name(void **state)
{
	const struct pair meta[] = { { "name", value_unknown("later") } };
	const struct pair pairs[] = { { "apiVersion", value_str("v1") }, { "kind", value_str("Pod") }, { "metadata", value_map(meta, 1) } };
	const struct value v = value_map(pairs, 3), all = value_unknown("later");
	struct err err = ERR_INIT;
	struct kube_name n;

	(void)state;
	assert_int_equal(kube_object_name(&arena, &v, NULL, &n, &err), -1);
	assert_int_equal(err.kind, ERR_PREDICTED);
	assert_int_equal(kube_object_name(&arena, &all, NULL, &n, &err), -1);
	assert_int_equal(err.kind, ERR_PREDICTED);
}

static void
test_sent(void **state)
{
	const struct value v = json("{\"kind\":\"Pod\",\"metadata\":{\"name\":\"a\",\"uid\":\"u\",\"resourceVersion\":\"5\",\"labels\":{\"uid\":\"x\"},"
				    "\"managedFields\":[],\"creationTimestamp\":\"t\",\"generation\":3},\"spec\":{\"status\":1},\"status\":{\"a\":1}}");

	(void)state;
	is_json(kube_object_sent(&arena, &v), "{\"kind\":\"Pod\",\"metadata\":{\"labels\":{\"uid\":\"x\"},\"name\":\"a\"},\"spec\":{\"status\":1}}");
}

/* Nothing that is secret leaves: content of Secrets, whatever form it has, and secrets of the plan in the body. */
static void
test_shown(void **state)
{
	struct secret password = { "params.password", 3, (char *)(uintptr_t)"abc" };
	const struct pair inside[] = { { "password", value_secret(&password) } };
	const struct value secret = json("{\"apiVersion\":\"v1\",\"kind\":\"Secret\",\"metadata\":{\"name\":\"s\",\"managedFields\":[1],\"annotations\":"
		"{\"kubectl.kubernetes.io/last-applied-configuration\":\"YWJj\",\"a\":\"b\"}},\"data\":{\"k\":\"YWJj\"},\"stringData\":{\"k\":\"abc\"}}");
	const struct value map = json("{\"apiVersion\":\"v1\",\"kind\":\"ConfigMap\",\"metadata\":{\"name\":\"s\",\"uid\":\"u\",\"annotations\":{\"p\":\"abc\"}},"
		"\"data\":{\"k\":\"abc\"},\"status\":{\"x\":1}}");
	const struct value other = json("{\"apiVersion\":\"example.com/v1\",\"kind\":\"Secret\",\"data\":{\"k\":\"v\"}}");
	const struct value body = value_map(inside, 1), plain = json("{}");
	struct value out;

	(void)state;
	is_json(kube_object_shown(&arena, &secret),
		"{\"apiVersion\":\"v1\",\"data\":{\"k\":\"(secret)\"},\"kind\":\"Secret\",\"metadata\":{\"annotations\":{\"a\":\"b\","
		"\"kubectl.kubernetes.io/last-applied-configuration\":\"(secret)\"},\"name\":\"s\"},\"stringData\":{\"k\":\"(secret)\"}}");
	is_json(kube_object_shown(&arena, &other), "{\"apiVersion\":\"example.com/v1\",\"data\":{\"k\":\"v\"},\"kind\":\"Secret\"}");
	is_json(kube_object_shown(&arena, &body), "{\"password\":\"(secret)\"}");
	assert_int_equal(kube_object_shown(&arena, &body).flags & VF_SECRET, 0);
	is_json(kube_object_output(&arena, &map, &body), "{\"apiVersion\":\"v1\",\"kind\":\"ConfigMap\",\"metadata\":{\"name\":\"s\",\"uid\":\"u\"},\"status\":{\"x\":1}}");
	out = kube_object_output(&arena, &map, &plain);
	assert_string_equal(kube_object_get(&out, "data", "k")->s, "abc");
	assert_int_equal(kube_object_shown(&arena, &(struct value){ .kind = V_UNKNOWN, .flags = VF_UNKNOWN, .s = "x" }).kind, V_UNKNOWN);
}

static void
test_selector(void **state)
{
	static const char *const cases[][2] = {
		{ "{\"spec\":{\"selector\":{\"matchLabels\":{\"a\":\"b\",\"c\":\"d\"}}}}", "a=b,c=d" },
		{ "{\"spec\":{\"selector\":{\"a\":\"b\"}}}", "a=b" },
		{ "{\"spec\":{\"selector\":{\"matchExpressions\":[{\"key\":\"a\",\"operator\":\"In\",\"values\":[\"x\",\"y\"]},{\"key\":\"b\","
		  "\"operator\":\"NotIn\",\"values\":[\"z\"]},{\"key\":\"c\",\"operator\":\"Exists\"},{\"key\":\"d\",\"operator\":\"DoesNotExist\"}]}}}",
		  "a in (x,y),b notin (z),c,!d" },
		{ "{\"spec\":{\"selector\":{\"matchLabels\":{\"a\":\"b\"},\"matchExpressions\":[{\"key\":\"a\",\"operator\":\"Like\"}]}}}", NULL },
		{ "{\"spec\":{\"selector\":{}}}", NULL },
		{ "{\"spec\":{}}", NULL },
		{ "{}", NULL },
	};

	(void)state;
	for (size_t i = 0; i < countof(cases); i++) {
		const struct value v = json(cases[i][0]);
		const char *selector = kube_object_selector(&arena, &v);

		if (cases[i][1] == NULL)
			assert_null(selector);
		else
			assert_string_equal(selector, cases[i][1]);
	}
}

static void
test_json_patch(void **state)
{
	static const struct {
		const char *patch;
		int rc;
		bool repeatable;
	} cases[] = {
		{ "[{\"op\":\"replace\",\"path\":\"/spec/replicas\",\"value\":1}]", 0, true },
		{ "[{\"op\":\"test\",\"path\":\"/a\",\"value\":null},{\"op\":\"add\",\"path\":\"/metadata/labels/x\",\"value\":\"y\"}]", 0, true },
		{ "[{\"op\":\"add\",\"path\":\"/spec/list/-\",\"value\":1}]", 0, false },
		{ "[{\"op\":\"add\",\"path\":\"/spec/list/0\",\"value\":1}]", 0, false },
		{ "[{\"op\":\"remove\",\"path\":\"/spec/x\"}]", 0, false },
		{ "[{\"op\":\"move\",\"from\":\"/a\",\"path\":\"/b\"}]", 0, false },
		{ "[{\"op\":\"copy\",\"from\":\"/a\",\"path\":\"/b\"}]", 0, false },
		{ "[]", -1, false },
		{ "[{\"op\":\"put\",\"path\":\"/a\",\"value\":1}]", -1, false },
		{ "[{\"op\":\"add\",\"path\":\"a\",\"value\":1}]", -1, false },
		{ "[{\"op\":\"add\",\"value\":1}]", -1, false },
		{ "[{\"op\":\"add\",\"path\":\"/a\"}]", -1, false },
		{ "[{\"op\":\"move\",\"path\":\"/a\"}]", -1, false },
	};

	(void)state;
	for (size_t i = 0; i < countof(cases); i++) {
		const struct value v = json(cases[i].patch);
		struct err err = ERR_INIT;
		bool repeatable;

		if (kube_check_json_patch(&v, &repeatable, &err) != cases[i].rc)
			fail_msg("%s: %s", cases[i].patch, err.msg);
		if (cases[i].rc == 0)
			assert_int_equal(repeatable, cases[i].repeatable);
	}
}

static void
test_marks(void **state)
{
	static const struct {
		const char *marks;
		int rc;
	} cases[] = {
		{ "{\"a\":\"b\"}", 0 }, { "{\"example.com/a_B.c\":\"b\"}", 0 }, { "{\"a\":null}", 0 },
		{ "{}", -1 },           { "{\"a\":1}", -1 },                    { "{\"a\":true}", -1 },
		{ "{\"\":\"b\"}", -1 }, { "{\"a/\":\"b\"}", -1 },               { "{\"a b\":\"b\"}", -1 },
	};

	(void)state;
	for (size_t i = 0; i < countof(cases); i++) {
		const struct value v = json(cases[i].marks);
		struct err err = ERR_INIT;

		if (kube_check_marks("labels", &v, &err) != cases[i].rc)
			fail_msg("%s: %s", cases[i].marks, err.msg);
	}
}

#define DEPLOYMENT(seen, status) "{\"kind\":\"Deployment\",\"metadata\":{\"generation\":3},\"spec\":{\"replicas\":2},\"status\":{\"observedGeneration\":" seen "," status "}}"

/* Each case: an object, and "" (met), "!why" (failed for good) or why not yet. */
static void
test_rollout(void **state)
{
	static const char *const cases[][2] = {
		{ DEPLOYMENT("3", "\"replicas\":2,\"updatedReplicas\":2,\"availableReplicas\":2"), "" },
		{ DEPLOYMENT("2", "\"replicas\":2,\"updatedReplicas\":2,\"availableReplicas\":2"), "its controller has seen generation 2 of 3" },
		{ DEPLOYMENT("3", "\"replicas\":3,\"updatedReplicas\":1"), "1 of 2 replicas are of the newest template" },
		{ DEPLOYMENT("3", "\"replicas\":3,\"updatedReplicas\":2"), "1 old replicas are still there" },
		{ DEPLOYMENT("3", "\"replicas\":2,\"updatedReplicas\":2,\"availableReplicas\":1"), "1 of 2 replicas are available" },
		{ DEPLOYMENT("3", "\"conditions\":[{\"type\":\"Progressing\",\"status\":\"False\",\"reason\":\"ProgressDeadlineExceeded\",\"message\":\"m\"}]"),
		  "!makes no progress (ProgressDeadlineExceeded: m)" },
		{ "{\"kind\":\"Deployment\",\"metadata\":{\"generation\":1},\"spec\":{\"replicas\":0},\"status\":{}}", "its controller has not seen it" },
		{ "{\"kind\":\"StatefulSet\",\"spec\":{\"replicas\":1},\"status\":{\"observedGeneration\":0,\"readyReplicas\":1,\"updatedReplicas\":1,"
		  "\"currentRevision\":\"a\",\"updateRevision\":\"a\"}}", "" },
		{ "{\"kind\":\"StatefulSet\",\"spec\":{\"replicas\":1},\"status\":{\"observedGeneration\":0,\"readyReplicas\":1,\"updatedReplicas\":0,"
		  "\"currentRevision\":\"a\",\"updateRevision\":\"b\"}}", "0 of 1 replicas are of the newest template" },
		{ "{\"kind\":\"StatefulSet\",\"spec\":{\"replicas\":3,\"updateStrategy\":{\"rollingUpdate\":{\"partition\":2}}},\"status\":"
		  "{\"observedGeneration\":0,\"readyReplicas\":3,\"updatedReplicas\":1,\"currentRevision\":\"a\",\"updateRevision\":\"b\"}}", "" },
		{ "{\"kind\":\"DaemonSet\",\"status\":{\"observedGeneration\":0,\"desiredNumberScheduled\":2,\"updatedNumberScheduled\":2,\"numberAvailable\":1}}",
		  "1 of 2 pods are available" },
		{ "{\"kind\":\"DaemonSet\",\"status\":{\"desiredNumberScheduled\":0}}", "its controller has not seen it" },
		{ "{\"kind\":\"Job\",\"status\":{\"conditions\":[{\"type\":\"Complete\",\"status\":\"True\"}]}}", "" },
		{ "{\"kind\":\"Job\",\"status\":{\"conditions\":[{\"type\":\"Failed\",\"status\":\"True\",\"reason\":\"BackoffLimitExceeded\"}]}}",
		  "!has failed (BackoffLimitExceeded)" },
		{ "{\"kind\":\"Job\",\"status\":{}}", "has no condition Complete" },
		{ "{\"kind\":\"Pod\",\"status\":{\"phase\":\"Succeeded\"}}", "" },
		{ "{\"kind\":\"Pod\",\"status\":{\"phase\":\"Failed\",\"reason\":\"Evicted\"}}", "!has failed (Evicted)" },
		{ "{\"kind\":\"Pod\",\"status\":{\"phase\":\"Running\",\"conditions\":[{\"type\":\"Ready\",\"status\":\"False\",\"reason\":\"NotYet\"}]}}",
		  "Ready is False (NotYet)" },
		{ "{\"kind\":\"ConfigMap\"}", "!has no rollout: Deployment, StatefulSet, DaemonSet, Job and Pod have one, and ConfigMap has not" },
	};

	(void)state;
	for (size_t i = 0; i < countof(cases); i++) {
		const struct value v = json(cases[i][0]);
		struct buf why = BUF_INIT(400);
		const enum kube_verdict verdict = kube_goal_rollout(&v, 0, &why);
		const bool failed = cases[i][1][0] == '!';

		if (verdict != (cases[i][1][0] == '\0' ? KUBE_MET : failed ? KUBE_FAILED : KUBE_NOT_YET))
			fail_msg("%s: verdict %d, %s", cases[i][0], verdict, why.len > 0 ? why.p : "");
		assert_string_equal(why.len > 0 ? why.p : "", cases[i][1] + failed);
		buf_done(&why);
	}
}

/* A condition counts when it is about what was written last. */
static void
test_condition(void **state)
{
	static const struct {
		const char *object, *why;
		int64_t generation;
	} cases[] = {
		{ "{\"status\":{\"conditions\":[{\"type\":\"Ready\",\"status\":\"True\"}]}}", "", 0 },
		{ "{\"metadata\":{\"generation\":2},\"status\":{\"observedGeneration\":2,\"conditions\":[{\"type\":\"Ready\",\"status\":\"True\"}]}}", "", 2 },
		{ "{\"metadata\":{\"generation\":2},\"status\":{\"observedGeneration\":1,\"conditions\":[{\"type\":\"Ready\",\"status\":\"True\"}]}}",
		  "its controller has seen generation 1 of 2", 0 },
		{ "{\"metadata\":{\"generation\":2},\"status\":{\"observedGeneration\":2,\"conditions\":[{\"type\":\"Ready\",\"status\":\"True\"}]}}",
		  "shows generation 2, and 3 was written", 3 },
		{ "{\"metadata\":{\"generation\":2},\"status\":{\"conditions\":[{\"type\":\"Ready\",\"status\":\"True\",\"observedGeneration\":1}]}}",
		  "Ready was said of generation 1", 0 },
		{ "{\"status\":{\"conditions\":[{\"type\":\"Available\",\"status\":\"True\"}]}}", "has no condition Ready", 0 },
		{ "{\"status\":{\"conditions\":[{\"type\":\"Ready\",\"status\":\"Unknown\",\"message\":\"a\\u001bb\"}]}}", "Ready is Unknown (a\\x1bb)", 0 },
		{ "{}", "has no condition Ready", 0 },
	};

	(void)state;
	for (size_t i = 0; i < countof(cases); i++) {
		const struct value v = json(cases[i].object);
		struct buf why = BUF_INIT(400);

		assert_int_equal(kube_goal_condition(&v, "Ready", "True", cases[i].generation, &why), cases[i].why[0] == '\0' ? KUBE_MET : KUBE_NOT_YET);
		assert_string_equal(why.len > 0 ? why.p : "", cases[i].why);
		buf_done(&why);
	}
}

static void
test_condition_words(void **state)
{
	char type[256], status[16];

	(void)state;
	assert_true(kube_goal_parse("Ready", type, status));
	assert_string_equal(status, "True");
	assert_true(kube_goal_parse("example.com/Ready=False", type, status));
	assert_string_equal(type, "example.com/Ready");
	assert_string_equal(status, "False");
	assert_false(kube_goal_parse("Ready=false", type, status));
	assert_false(kube_goal_parse("=True", type, status));
	assert_false(kube_goal_parse("", type, status));
	assert_false(kube_goal_parse("Rea dy", type, status));
}

#define POD(containers) "{\"status\":{" containers "}}"

static void
test_trouble(void **state)
{
	static const struct {
		const char *pod, *why;
		enum kube_verdict verdict;
		bool init, previous;
	} cases[] = {
		{ POD("\"containerStatuses\":[{\"name\":\"c\",\"state\":{\"running\":{}},\"restartCount\":9}]"), "", KUBE_MET, false, false },
		{ POD("\"initContainerStatuses\":[{\"name\":\"i\",\"state\":{\"terminated\":{\"exitCode\":0}}}]"), "", KUBE_MET, false, false },
		{ POD("\"initContainerStatuses\":[{\"name\":\"i\",\"state\":{\"terminated\":{\"exitCode\":2}},\"restartCount\":0}]"),
		  "init container 'i' ended with exit code 2, 1 times", KUBE_NOT_YET, true, false },
		{ POD("\"initContainerStatuses\":[{\"name\":\"i\",\"state\":{\"waiting\":{\"reason\":\"CrashLoopBackOff\"}},\"lastState\":{\"terminated\":"
		      "{\"exitCode\":2}},\"restartCount\":2}],\"containerStatuses\":[{\"name\":\"c\",\"state\":{\"waiting\":{\"reason\":\"PodInitializing\"}}}]"),
		  "init container 'i' ended with exit code 2, 2 times", KUBE_FAILED, true, true },
		{ POD("\"containerStatuses\":[{\"name\":\"c\",\"state\":{\"waiting\":{\"reason\":\"ErrImageNeverPull\",\"message\":\"m\"}}}]"),
		  "container 'c' cannot start (ErrImageNeverPull: m)", KUBE_FAILED, false, false },
		{ POD("\"containerStatuses\":[{\"name\":\"c\",\"state\":{\"waiting\":{\"reason\":\"ImagePullBackOff\"}}}]"), "container 'c' waits (ImagePullBackOff)",
		  KUBE_NOT_YET, false, false },
		{ POD("\"conditions\":[{\"type\":\"PodScheduled\",\"status\":\"False\",\"reason\":\"Unschedulable\"}]"), "is on no node (Unschedulable)",
		  KUBE_NOT_YET, false, false },
		{ POD("\"phase\":\"Pending\""), "", KUBE_MET, false, false },
	};

	(void)state;
	for (size_t i = 0; i < countof(cases); i++) {
		const struct value v = json(cases[i].pod);
		struct buf why = BUF_INIT(400);
		const struct kube_trouble t = kube_goal_pod(&v, 2, &why);

		assert_string_equal(why.len > 0 ? why.p : "", cases[i].why);
		assert_int_equal(t.verdict, cases[i].verdict);
		assert_int_equal(t.init, cases[i].init);
		assert_int_equal(t.previous, cases[i].previous);
		buf_done(&why);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_names),     cmocka_unit_test(test_long_names), cmocka_unit_test(test_parse),
		cmocka_unit_test(test_object_name), cmocka_unit_test(test_unknown_name), cmocka_unit_test(test_sent),
		cmocka_unit_test(test_shown),     cmocka_unit_test(test_selector),   cmocka_unit_test(test_json_patch),
		cmocka_unit_test(test_marks),     cmocka_unit_test(test_rollout),    cmocka_unit_test(test_condition),
		cmocka_unit_test(test_condition_words), cmocka_unit_test(test_trouble),
	};
	const int rc = cmocka_run_group_tests(tests, NULL, NULL);

	arena_done(&arena);
	return rc;
}

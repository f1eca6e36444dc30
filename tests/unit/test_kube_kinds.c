/* SPDX-License-Identifier: Apache-2.0 */
/* Discovery documents, and which kind a name means. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "steps/target/kube_kinds.h"

#define RESOURCE(plural, kind, scope, short, subs) \
	"{\"resource\":\"" plural "\",\"responseKind\":{\"group\":\"\",\"version\":\"\",\"kind\":\"" kind "\"},\"scope\":\"" scope \
	"\",\"singularResource\":\"\",\"verbs\":[\"get\",\"list\"],\"shortNames\":[" short "],\"subresources\":[" subs "]}"
#define GROUP(name, versions) "{\"metadata\":{\"name\":\"" name "\"},\"versions\":[" versions "]}"
#define VERSION(name, resources) "{\"version\":\"" name "\",\"freshness\":\"Current\",\"resources\":[" resources "]}"
#define SUB(name) "{\"subresource\":\"" name "\",\"responseKind\":{\"kind\":\"Scale\"}}"

static const char aggregated[] = "{\"kind\":\"APIGroupDiscoveryList\",\"apiVersion\":\"apidiscovery.k8s.io/v2\",\"items\":["
	GROUP("", VERSION("v1", RESOURCE("events", "Event", "Namespaced", "\"ev\"", "") ","
		RESOURCE("pods", "Pod", "Namespaced", "\"po\"", SUB("exec") "," SUB("log")) ","
		RESOURCE("namespaces", "Namespace", "Cluster", "\"ns\"", ""))) ","
	GROUP("apps", VERSION("v1", RESOURCE("deployments", "Deployment", "Namespaced", "\"deploy\"", SUB("scale")))) ","
	GROUP("events.k8s.io", VERSION("v1", RESOURCE("events", "Event", "Namespaced", "\"ev\"", ""))) ","
	GROUP("networking.k8s.io", VERSION("v1", RESOURCE("networkpolicies", "NetworkPolicy", "Namespaced", "", ""))) ","
	GROUP("autoscaling", VERSION("v2", RESOURCE("horizontalpodautoscalers", "HorizontalPodAutoscaler", "Namespaced", "\"hpa\"", "")) ","
		VERSION("v1", RESOURCE("horizontalpodautoscalers", "HorizontalPodAutoscaler", "Namespaced", "\"hpa\"", ""))) ","
	GROUP("crd.example.org", VERSION("v1", RESOURCE("networkpolicies", "NetworkPolicy", "Namespaced", "", ""))) ","
	GROUP("one.example.org", VERSION("v1beta1", RESOURCE("clusters", "Cluster", "Namespaced", "\"po\"", ""))) ","
	GROUP("two.example.org", VERSION("v1", RESOURCE("clusters", "Cluster", "Cluster", "", "")
		"," RESOURCE("../../x", "Odd", "Cluster", "", "") "," RESOURCE("odds", "", "Cluster", "", "") ",7")) ","
	"{\"metadata\":{\"name\":\"metrics.k8s.io\"},\"versions\":[{\"version\":\"v1beta1\",\"freshness\":\"Stale\"}]},8]}";

static const char plain[] = "{\"kind\":\"APIResourceList\",\"groupVersion\":\"apps/v1\",\"resources\":["
	"{\"name\":\"deployments\",\"singularName\":\"deployment\",\"namespaced\":true,\"kind\":\"Deployment\","
	"\"verbs\":[\"create\",\"get\"],\"shortNames\":[\"deploy\"]},"
	"{\"name\":\"deployments/scale\",\"singularName\":\"\",\"namespaced\":true,\"kind\":\"Scale\",\"verbs\":[\"get\"]},"
	"{\"name\":\"deployments/status\",\"namespaced\":true,\"kind\":\"Deployment\",\"verbs\":[\"get\"]}]}";

static struct arena a;
static struct kube_found found;

static void
read_doc(const char *text)
{
	struct err err = ERR_INIT;
	struct value doc;

	if (value_parse_json(&a, text, strlen(text), &doc, &err) < 0 || kube_kinds_read(&a, &doc, &found, &err) < 0)
		fail_msg("%s", err.msg);
	kube_kinds_prefer(&found);
}

/* What the name means as "plural.version.group", or the refusal. */
static const char *
meant(const char *name)
{
	const struct kube_kind **list = arena_array(&a, found.n + 1, sizeof(*list)), *k;
	struct err err = ERR_INIT;
	int rc;

	for (size_t i = 0; i < found.n; i++)
		list[i] = &found.list[i];
	rc = kube_kinds_choose(list, found.n, name, &k, &err);
	return rc < 0 ? arena_strdup(&a, err.msg) : rc == 1 ? "none" :
		arena_printf(&a, "%s.%s.%s", k->plural, k->version, k->group);
}

static void
test_aggregated(void **state)
{
	struct err err = ERR_INIT;
	struct value doc;

	(void)state;
	read_doc(aggregated);
	assert_int_equal(found.n, 11); /* the odd ones are left out */
	assert_string_equal(found.list[1].kind, "Pod");
	assert_true(found.list[1].namespaced);
	assert_true(kube_kind_has(found.list[1].subresources, "log"));
	assert_false(kube_kind_has(found.list[1].subresources, "scale"));
	assert_true(kube_kind_has(found.list[1].verbs, "list"));
	assert_false(found.list[2].namespaced);
	assert_int_equal(value_parse_json(&a, aggregated, strlen(aggregated), &doc, &err), 0);
	assert_string_equal(kube_kinds_stale(&a, &doc), "metrics.k8s.io/v1beta1");
}

static void
test_plain(void **state)
{
	(void)state;
	read_doc(plain);
	assert_int_equal(found.n, 1);
	assert_string_equal(found.list[0].group, "apps");
	assert_string_equal(found.list[0].version, "v1");
	assert_true(kube_kind_has(found.list[0].subresources, "scale"));
	assert_true(kube_kind_has(found.list[0].subresources, "status"));
	assert_string_equal(meant("deployment"), "deployments.v1.apps");
}

static void
test_no_document(void **state)
{
	static const char *const texts[] = { "{}", "[]", "null", "{\"kind\":\"Status\"}", "{\"kind\":7}" };
	struct value doc;

	(void)state;
	for (size_t i = 0; i < countof(texts); i++) {
		struct err err = ERR_INIT;

		assert_int_equal(value_parse_json(&a, texts[i], strlen(texts[i]), &doc, &err), 0);
		assert_int_equal(kube_kinds_read(&a, &doc, &found, &err), -1);
		assert_int_equal(err.kind, ERR_FAILED);
	}
}

static void
test_names(void **state)
{
	static const char *const names[][2] = {
		{ "Deployment", "deployments.v1.apps" }, { "deploy", "deployments.v1.apps" }, { "DEPLOYMENTS", "deployments.v1.apps" },
		{ "deployment.apps", "deployments.v1.apps" }, { "Deployment.v1.apps", "deployments.v1.apps" },
		{ "deploy.v2.apps", "none" }, { "Deployment.core", "none" }, { "", "none" }, { ".apps", "none" },
		{ "Event", "events.v1." }, { "ev", "events.v1." }, { "ev.events.k8s.io", "events.v1.events.k8s.io" },
		{ "pods.v1", "pods.v1." }, { "pods.v1.", "pods.v1." }, { "po", "pods.v1." },
		{ "NetworkPolicy", "networkpolicies.v1.networking.k8s.io" },
		{ "networkpolicies.crd.example.org", "networkpolicies.v1.crd.example.org" },
		{ "hpa", "horizontalpodautoscalers.v2.autoscaling" }, { "hpa.autoscaling", "horizontalpodautoscalers.v2.autoscaling" },
		{ "hpa.v1.autoscaling", "horizontalpodautoscalers.v1.autoscaling" },
		{ "Cluster", "'Cluster' may be Cluster.one.example.org or Cluster.two.example.org: name it with its group" },
		{ "cluster.two.example.org", "clusters.v1.two.example.org" }, { "Odd", "none" },
	};

	(void)state;
	read_doc(aggregated);
	for (size_t i = 0; i < countof(names); i++)
		assert_string_equal(meant(names[i][0]), names[i][1]);
}

static int
teardown(void **state)
{
	(void)state;
	free(found.list);
	found = (struct kube_found){ 0 };
	arena_done(&a);
	return 0;
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_teardown(test_##name, teardown)
		T(aggregated), T(plain), T(no_document), T(names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* What objects need where they are to be, and what they take of a quota. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "steps/kube_needs.h"
#include "steps/kube_quota.h"

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
test_quantities(void **state)
{
	static const struct {
		const char *text;
		double wanted; /* -1: none */
	} rows[] = {
		{ "2", 2 }, { "\"2\"", 2 }, { "\"100m\"", 0.1 }, { "\"1.5Gi\"", 1.5 * 1024 * 1024 * 1024 }, { "\"2e3\"", 2000 }, { "\"3k\"", 3000 },
		{ "\"1E\"", 1e18 }, { "\"12E2\"", 1200 }, { "\"5Mi\"", 5 * 1024 * 1024 }, { "\"\"", -1 }, { "\"Gi\"", -1 }, { "\"1Gb\"", -1 }, { "\"inf\"", -1 },
		{ "true", -1 }, { "\"1e999\"", -1 },
	};

	(void)state;
	for (size_t i = 0; i < countof(rows); i++) {
		const struct value v = json(rows[i].text);
		double got = -1;

		if (kube_quota_parse(&v, &got) != (rows[i].wanted >= 0))
			fail_msg("%s", rows[i].text);
		if (rows[i].wanted >= 0 && (got < rows[i].wanted * 0.999999 || got > rows[i].wanted * 1.000001))
			fail_msg("%s: %g", rows[i].text, got);
	}
}

#define POD "{\"containers\":[{\"resources\":{\"requests\":{\"cpu\":\"500m\"},\"limits\":{\"cpu\":1,\"memory\":\"1Gi\"}}},{\"resources\":{\"limits\":{\"cpu\":\"250m\"}}}]}"
#define DEPLOYMENT "{\"apiVersion\":\"apps/v1\",\"kind\":\"Deployment\",\"spec\":{\"replicas\":4,\"template\":{\"spec\":" POD "}}}"
#define DAEMONS "{\"apiVersion\":\"apps/v1\",\"kind\":\"DaemonSet\",\"spec\":{\"template\":{\"spec\":" POD "}}}"
#define CLAIM "{\"apiVersion\":\"v1\",\"kind\":\"PersistentVolumeClaim\",\"spec\":{\"resources\":{\"requests\":{\"storage\":\"2Gi\"}}}}"

static void
test_amounts(void **state)
{
	static const struct {
		const char *object, *resource;
		double wanted;
	} rows[] = {
		{ DEPLOYMENT, "pods", 4 }, { DEPLOYMENT, "count/pods", 4 }, { DEPLOYMENT, "requests.cpu", 3 }, { DEPLOYMENT, "cpu", 3 },
		{ DEPLOYMENT, "limits.cpu", 5 }, { DEPLOYMENT, "requests.memory", 4.0 * 1024 * 1024 * 1024 }, { DEPLOYMENT, "count/deployments.apps", 1 },
		{ DEPLOYMENT, "count/deployments.other", 0 }, { DEPLOYMENT, "persistentvolumeclaims", 0 }, { DAEMONS, "pods", 3 },
		{ CLAIM, "persistentvolumeclaims", 1 }, { CLAIM, "requests.storage", 2.0 * 1024 * 1024 * 1024 }, { CLAIM, "pods", 0 }, { CLAIM, "cpu", 0 },
	};

	(void)state;
	for (size_t i = 0; i < countof(rows); i++) {
		const struct value v = json(rows[i].object);
		const double got = kube_quota_amount(&v, rows[i].resource, 3);

		if (got < rows[i].wanted - 1e-6 || got > rows[i].wanted + 1e-6)
			fail_msg("%s: %g", rows[i].resource, got);
	}
}

static void
test_needs(void **state)
{
	static const char *const objects[] = {
		"{\"apiVersion\":\"apps/v1\",\"kind\":\"Deployment\",\"metadata\":{\"name\":\"w\",\"namespace\":\"n\"},\"spec\":{\"template\":{\"spec\":{\"nodeSelector\":"
		"{\"a\":\"b\"},\"priorityClassName\":\"high\",\"volumes\":[{\"ephemeral\":{\"volumeClaimTemplate\":{\"spec\":{\"storageClassName\":\"fast\"}}}}]}}}}",
		"{\"apiVersion\":\"apps/v1\",\"kind\":\"Deployment\",\"metadata\":{\"name\":\"v\",\"namespace\":\"n\"},\"spec\":{\"priorityClassName\":\"high\"}}",
		"{\"apiVersion\":\"apiextensions.k8s.io/v1\",\"kind\":\"CustomResourceDefinition\",\"metadata\":{\"name\":\"x\"},\"spec\":{\"group\":\"e.org\","
		"\"names\":{\"kind\":\"X\"}}}",
		"{\"apiVersion\":\"v1\",\"kind\":\"PersistentVolume\",\"metadata\":{\"name\":\"p\"},\"spec\":{\"storageClassName\":\"static\"}}",
	};
	static const struct {
		enum kube_need_what what;
		const char *name, *kind, *user;
	} wanted[] = {
		{ KUBE_NEED_KIND, "", "Deployment", "Deployment.apps/n/w" }, { KUBE_NEED_NODE, "a=b", "", "Deployment.apps/n/w" },
		{ KUBE_NEED_CLASS, "high", "PriorityClass", "Deployment.apps/n/w" }, { KUBE_NEED_CLASS, "fast", "StorageClass", "Deployment.apps/n/w" },
		{ KUBE_NEED_KIND, "", "CustomResourceDefinition", "CustomResourceDefinition.apiextensions.k8s.io//x" },
		{ KUBE_NEED_KIND, "", "PersistentVolume", "PersistentVolume//p" },
	};
	struct kube_needs k = { 0 };

	(void)state;
	for (size_t i = 0; i < countof(objects); i++) {
		const struct value v = json(objects[i]);

		kube_needs_add(&k, &v);
	}
	assert_int_equal(k.n, countof(wanted));
	for (size_t i = 0; i < countof(wanted); i++) {
		assert_int_equal(k.list[i].what, wanted[i].what);
		assert_string_equal(k.list[i].name, wanted[i].name);
		assert_string_equal(k.list[i].kind, wanted[i].kind);
		assert_string_equal(k.list[i].user, wanted[i].user);
	}
	assert_true(kube_needs_has(&k, "Deployment.apps/n/v"));
	assert_false(kube_needs_has(&k, "Deployment.apps/m/v"));
	assert_true(kube_needs_defines(&k, "e.org", "X"));
	assert_false(kube_needs_defines(&k, "e.org", "Y"));
	kube_needs_done(&k);
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
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_quantities), cmocka_unit_test(test_amounts), cmocka_unit_test(test_needs) };

	return cmocka_run_group_tests_name("kube_needs", tests, NULL, done);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* What of an object is its author's, by managedFields and by the table; and what files objects are called. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "steps/kube_clean.h"
#include "steps/kube_store.h"

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
cleans(unsigned flags, const char *object, const char *wanted)
{
	const struct value v = json(object), w = json(wanted), c = kube_clean(&arena, &v, flags);
	struct buf text = BUF_INIT(0);

	value_show(&text, &c);
	if (!value_eq(&c, &w))
		fail_msg("%s\nbecame %s\nwanted %s", object, text.p, wanted);
	buf_done(&text);
}

#define OBJECT(kind, meta, rest) "{\"apiVersion\":\"v1\",\"kind\":\"" kind "\",\"metadata\":{\"name\":\"x\"" meta "}" rest "}"

static void
test_table(void **state)
{
	(void)state;
	cleans(0, OBJECT("ConfigMap", ",\"uid\":\"u\",\"resourceVersion\":\"7\",\"generation\":2,\"creationTimestamp\":\"t\",\"managedFields\":[],"
			 "\"annotations\":{\"kubectl.kubernetes.io/last-applied-configuration\":\"{}\"}", ",\"data\":{\"a\":\"b\"},\"status\":{}"),
	       OBJECT("ConfigMap", "", ",\"data\":{\"a\":\"b\"}"));
	cleans(KUBE_CLEAN_STATUS, OBJECT("X", "", ",\"status\":{\"a\":1}"), OBJECT("X", "", ",\"status\":{\"a\":1}"));
	cleans(0, OBJECT("X", ",\"ownerReferences\":[{\"kind\":\"Y\",\"name\":\"y\",\"uid\":\"u\"}]", ""),
	       OBJECT("X", ",\"ownerReferences\":[{\"kind\":\"Y\",\"name\":\"y\"}]", ""));
	cleans(0, OBJECT("Namespace", ",\"labels\":{\"kubernetes.io/metadata.name\":\"x\"}", ",\"spec\":{\"finalizers\":[\"kubernetes\"]}"),
	       OBJECT("Namespace", "", ""));
	cleans(0, OBJECT("PersistentVolumeClaim", ",\"finalizers\":[\"kubernetes.io/pvc-protection\",\"mine.example.org/x\"]",
			 ",\"spec\":{\"volumeName\":\"v\",\"storageClassName\":\"s\"}"),
	       OBJECT("PersistentVolumeClaim", ",\"finalizers\":[\"mine.example.org/x\"]", ",\"spec\":{\"storageClassName\":\"s\"}"));
	cleans(KUBE_CLEAN_VOLUMES, OBJECT("PersistentVolume", "", ",\"spec\":{\"claimRef\":{\"name\":\"c\",\"uid\":\"u\",\"resourceVersion\":\"1\"}}"),
	       OBJECT("PersistentVolume", "", ",\"spec\":{\"claimRef\":{\"name\":\"c\"}}"));
	cleans(0, OBJECT("Secret", ",\"annotations\":{\"kubernetes.io/service-account.uid\":\"u\",\"kubernetes.io/service-account.name\":\"a\"}",
			 ",\"type\":\"kubernetes.io/service-account-token\",\"data\":{\"token\":\"t\"}"),
	       OBJECT("Secret", ",\"annotations\":{\"kubernetes.io/service-account.name\":\"a\"}", ",\"type\":\"kubernetes.io/service-account-token\""));
	cleans(0, OBJECT("Pod", "", ",\"spec\":{\"nodeName\":\"n\",\"containers\":[{\"name\":\"c\",\"volumeMounts\":[{\"name\":\"kube-api-access-1\"},"
			 "{\"name\":\"d\"}]}],\"volumes\":[{\"name\":\"kube-api-access-1\"},{\"name\":\"d\"}]}"),
	       OBJECT("Pod", "", ",\"spec\":{\"containers\":[{\"name\":\"c\",\"volumeMounts\":[{\"name\":\"d\"}]}],\"volumes\":[{\"name\":\"d\"}]}"));
	cleans(0, "{\"apiVersion\":\"batch/v1\",\"kind\":\"Job\",\"metadata\":{\"name\":\"x\",\"labels\":{\"job-name\":\"x\",\"a\":\"b\"}},\"spec\":{\"selector\":{"
		  "\"matchLabels\":{\"batch.kubernetes.io/controller-uid\":\"u\"}},\"template\":{\"metadata\":{\"creationTimestamp\":null,\"labels\":{\"batch."
		  "kubernetes.io/controller-uid\":\"u\",\"controller-uid\":\"u\",\"job-name\":\"x\"}},\"spec\":{}}}}",
	       "{\"apiVersion\":\"batch/v1\",\"kind\":\"Job\",\"metadata\":{\"name\":\"x\",\"labels\":{\"a\":\"b\"}},\"spec\":{\"template\":{\"spec\":{}}}}");
}

static void
test_managed(void **state)
{
	(void)state;
	/* the controller's own annotation goes, the author's stays, and so does one that both write */
	cleans(0, OBJECT("X", ",\"annotations\":{\"a\":\"1\",\"b\":\"2\",\"c\":\"3\"},\"finalizers\":[\"f.example.org/x\",\"g.example.org/x\"],\"managedFields\":["
			 "{\"manager\":\"me\",\"fieldsV1\":{\"f:metadata\":{\"f:annotations\":{\"f:a\":{},\"f:c\":{}},\"f:finalizers\":{\"v:\\\"f.example.org/x\\\"\":{}}}}},"
			 "{\"manager\":\"ctl\",\"fieldsV1\":{\"f:metadata\":{\"f:annotations\":{\"f:b\":{},\"f:c\":{}},\"f:finalizers\":{\"v:\\\"g.example.org/x\\\"\":{}}}}},"
			 "{\"manager\":\"ctl\",\"subresource\":\"status\",\"fieldsV1\":{\"f:status\":{}}}]", ""),
	       OBJECT("X", ",\"annotations\":{\"a\":\"1\",\"c\":\"3\"},\"finalizers\":[\"f.example.org/x\"]", ""));
	/* what the server gave out goes, what was asked for stays */
	cleans(0, OBJECT("Service", ",\"managedFields\":[{\"manager\":\"me\",\"fieldsV1\":{\"f:spec\":{\"f:ports\":{}}}}]",
			 ",\"spec\":{\"clusterIP\":\"10.0.0.1\",\"clusterIPs\":[\"10.0.0.1\"],\"ipFamilies\":[\"IPv4\"],\"ports\":[{\"port\":80,\"nodePort\":30001}]}"),
	       OBJECT("Service", "", ",\"spec\":{\"ports\":[{\"port\":80}]}"));
	cleans(0, OBJECT("Service", ",\"managedFields\":[{\"manager\":\"me\",\"fieldsV1\":{\"f:spec\":{\"f:ports\":{\"k:{\\\"port\\\":80}\":{\"f:nodePort\":{}}}}}}]",
			 ",\"spec\":{\"clusterIP\":\"None\",\"ports\":[{\"port\":80,\"nodePort\":30001}]}"),
	       OBJECT("Service", "", ",\"spec\":{\"clusterIP\":\"None\",\"ports\":[{\"port\":80,\"nodePort\":30001}]}"));
}

static bool
leaves(const char *object, unsigned flags)
{
	const struct value v = json(object);

	return kube_clean_leaves(&v, flags) != NULL;
}

static void
test_left_out(void **state)
{
	static const char owned[] = OBJECT("Pod", ",\"ownerReferences\":[{\"controller\":true}]", "");

	(void)state;
	assert_true(leaves(owned, 0));
	assert_false(leaves(owned, KUBE_CLEAN_OWNED));
	assert_false(leaves(OBJECT("Pod", ",\"ownerReferences\":[{\"controller\":false}]", ""), 0));
	assert_true(leaves("{\"kind\":\"ConfigMap\",\"metadata\":{\"name\":\"kube-root-ca.crt\"}}", 0));
	assert_true(leaves("{\"kind\":\"ServiceAccount\",\"metadata\":{\"name\":\"default\"}}", 0));
	assert_false(leaves("{\"kind\":\"ConfigMap\",\"metadata\":{\"name\":\"default\"}}", 0));
	assert_true(leaves(OBJECT("X", ",\"deletionTimestamp\":\"t\"", ""), 0));
	assert_true(kube_clean_leaves_kind("", "Event"));
	assert_true(kube_clean_leaves_kind("metrics.k8s.io", "PodMetrics"));
	assert_false(kube_clean_leaves_kind("example.org", "Event"));
	assert_false(kube_clean_leaves_kind("", "Pod"));
}

static void
test_paths(void **state)
{
	char longest[254], *half = longest + 127;

	(void)state;
	memset(longest, ':', sizeof(longest) - 1);
	longest[253] = '\0';
	assert_string_equal(kube_store_path(&arena, "apps", "Deployment", "web", "nginx"), "Deployment.apps/web/nginx.yaml");
	assert_string_equal(kube_store_path(&arena, "", "Node", "", "a.b"), "Node/_cluster/a.b.yaml");
	assert_string_equal(kube_store_path(&arena, "", "X", "..", "../../etc/passwd"), "X/%2E./%2E.%2F..%2Fetc%2Fpasswd.yaml");
	assert_string_equal(kube_store_path(&arena, "", "X", "_cluster", "system:a b"), "X/%5Fcluster/system%3Aa%20b.yaml");
	assert_true(strlen(kube_store_path(&arena, "", "X", "n", longest)) < 200);
	assert_string_not_equal(kube_store_path(&arena, "", "X", "n", longest), kube_store_path(&arena, "", "X", "n", half));
}

static int
reads(unsigned objects, bool right, const char *sums, struct err *err)
{
	struct kube_store s = { 0 };
	char hex[SHA256_HEX];
	const char *text;
	int rc;

	sha256_hex(sums, strlen(sums), hex);
	text = arena_printf(&arena, "{\"format\":\"" KUBE_STORE_FORMAT "\",\"objects\":%u,\"sums\":\"%s\"}", objects, right ? hex : "x");
	*err = ERR_INIT;
	rc = kube_store_read(&s, "d", (struct bytes){ text, strlen(text) }, (struct bytes){ sums, strlen(sums) }, err);
	kube_store_done(&s);
	return rc;
}

#define SUM "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855  "

static void
test_store(void **state)
{
	struct kube_store s = { 0 }, back = { 0 };
	struct buf sums = BUF_INIT(0), manifest = BUF_INIT(0);
	struct err err = ERR_INIT;

	(void)state;
	kube_store_add(&s, "B/n/x.yaml", (struct bytes){ "1", 1 });
	kube_store_add(&s, "A/n/x.yaml", (struct bytes){ "2", 1 });
	kube_store_add(&s, "B/n/x.yaml", (struct bytes){ "3", 1 });
	kube_store_sort(&s);
	assert_int_equal(s.n, 2);
	assert_true(kube_store_is(&s.files[1], (struct bytes){ "3", 1 }));
	kube_store_sums(&s, &sums);
	kube_store_manifest(&arena, &s, "c", (struct bytes){ sums.p, sums.len }, &manifest);
	assert_non_null(strstr(manifest.p, "\"kinds\":{\"A\":1,\"B\":1},\"objects\":2"));
	assert_int_equal(kube_store_read(&back, "d", (struct bytes){ manifest.p, manifest.len }, (struct bytes){ sums.p, sums.len }, &err), 0);
	assert_int_equal(back.n, 2);
	assert_string_equal(back.files[0].path, "A/n/x.yaml");
	kube_store_done(&back);
	kube_store_done(&s);
	buf_done(&sums);
	buf_done(&manifest);
	assert_int_equal(reads(1, true, SUM "A/n/x.yaml\n", &err), 0);
	assert_int_equal(reads(2, true, SUM "A/n/x.yaml\n", &err), -1);
	assert_int_equal(reads(1, false, SUM "A/n/x.yaml\n", &err), -1);
	assert_non_null(strstr(err.msg, "was changed since the export"));
	for (const char *const *p = (const char *const[]){ SUM "../n/x.yaml\n", SUM "A/../x.yaml\n", SUM "/A/n/x.yaml\n", SUM "A/n/x.yml\n", SUM "A//x.yaml\n",
							    "zz" SUM "A/n/x.yaml\n", SUM "A/n/m/x.yaml\n", SUM "A/n/a b.yaml\n", SUM "A/n/.yaml\n", "\n", NULL }; *p != NULL; p++)
		if (reads(1, true, *p, &err) == 0)
			fail_msg("taken: %s", *p);
	assert_int_equal(reads(2, true, SUM "B/n/x.yaml\n" SUM "A/n/x.yaml\n", &err), -1);
	assert_non_null(strstr(err.msg, "order"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_table),
		cmocka_unit_test(test_managed),
		cmocka_unit_test(test_left_out),
		cmocka_unit_test(test_paths),
		cmocka_unit_test(test_store),
	};
	const int failed = cmocka_run_group_tests(tests, NULL, NULL);

	arena_done(&arena);
	return failed;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* How objects sleep and wake, and what becomes of them for another cluster. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "steps/kube_differ.h"
#include "steps/kube_sleep.h"
#include "steps/kube_transform.h"
#include "steps/kube_word.h"

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
same(const char *what, struct value got, const char *wanted)
{
	const struct value w = json(wanted);
	struct buf text = BUF_INIT(0);

	value_show(&text, &got);
	if (!value_eq(&got, &w))
		fail_msg("%s\nbecame %s\nwanted %s", what, text.p, wanted);
	buf_done(&text);
}

#define OF(version, kind, rest) "{\"apiVersion\":\"" version "\",\"kind\":\"" kind "\",\"metadata\":{\"name\":\"x\"}" rest "}"

/* awake, asleep, and what wakes it */
static void
sleeps(const char *awake, const char *asleep, const char *wakes)
{
	const struct value v = json(awake), rest = kube_sleep_asleep(&arena, &v);

	same(awake, rest, asleep);
	same(asleep, kube_sleep_asleep(&arena, &rest), asleep);
	assert_int_equal(kube_sleep_of(&v), KUBE_SLEEP_FIELDS);
	assert_true(kube_sleep_is(&rest));
	assert_int_equal(kube_sleep_is(&v), strcmp(wakes, "{}") == 0);
	same(awake, kube_differ_patch(&arena, &rest, &v), wakes);
}

static void
test_sleep(void **state)
{
	(void)state;
	sleeps(OF("apps/v1", "Deployment", ",\"spec\":{\"replicas\":3,\"paused\":true}"), OF("apps/v1", "Deployment", ",\"spec\":{\"replicas\":0,\"paused\":true}"),
	       "{\"spec\":{\"replicas\":3}}");
	sleeps(OF("apps/v1", "StatefulSet", ",\"spec\":{\"replicas\":0}"), OF("apps/v1", "StatefulSet", ",\"spec\":{\"replicas\":0}"), "{}");
	sleeps(OF("batch/v1", "CronJob", ",\"spec\":{\"suspend\":false}"), OF("batch/v1", "CronJob", ",\"spec\":{\"suspend\":true}"),
	       "{\"spec\":{\"suspend\":false}}");
	sleeps(OF("batch/v1", "Job", ",\"spec\":{}"), OF("batch/v1", "Job", ",\"spec\":{\"suspend\":true}"), "{\"spec\":{\"suspend\":null}}");
	sleeps(OF("apps/v1", "DaemonSet", ",\"spec\":{\"template\":{\"spec\":{\"nodeSelector\":{\"a\":\"b\"}}}}"),
	       OF("apps/v1", "DaemonSet", ",\"spec\":{\"template\":{\"spec\":{\"nodeSelector\":{\"a\":\"b\",\"wherry/asleep\":\"true\"}}}}"),
	       "{\"spec\":{\"template\":{\"spec\":{\"nodeSelector\":{\"wherry/asleep\":null}}}}}");
	sleeps(OF("apps/v1", "DaemonSet", ",\"spec\":{\"template\":{\"spec\":{}}}"),
	       OF("apps/v1", "DaemonSet", ",\"spec\":{\"template\":{\"spec\":{\"nodeSelector\":{\"wherry/asleep\":\"true\"}}}}"),
	       "{\"spec\":{\"template\":{\"spec\":{\"nodeSelector\":null}}}}");
	sleeps(OF("v1", "PersistentVolume", ",\"spec\":{\"persistentVolumeReclaimPolicy\":\"Delete\"}"),
	       OF("v1", "PersistentVolume", ",\"spec\":{\"persistentVolumeReclaimPolicy\":\"Retain\"}"), "{\"spec\":{\"persistentVolumeReclaimPolicy\":\"Delete\"}}");
}

static void
test_kinds(void **state)
{
	static const struct {
		const char *object;
		enum kube_sleep how;
		bool ended;
	} rows[] = {
		{ OF("v1", "Pod", ""), KUBE_SLEEP_GONE, false },
		{ OF("v1", "Pod", ",\"status\":{\"phase\":\"Succeeded\"}"), KUBE_SLEEP_GONE, true },
		{ OF("batch/v1", "Job", ",\"status\":{\"conditions\":[{\"type\":\"Complete\",\"status\":\"True\"}]}"), KUBE_SLEEP_FIELDS, true },
		{ OF("batch/v1", "Job", ",\"status\":{\"conditions\":[{\"type\":\"Suspended\",\"status\":\"True\"}]}"), KUBE_SLEEP_FIELDS, false },
		{ OF("admissionregistration.k8s.io/v1", "ValidatingWebhookConfiguration", ""), KUBE_SLEEP_GONE, false },
		{ OF("v1", "ConfigMap", ""), KUBE_SLEEP_NONE, false },
		{ OF("example.org/v1", "Deployment", ",\"spec\":{\"replicas\":1}"), KUBE_SLEEP_NONE, false },
		{ OF("autoscaling/v2", "HorizontalPodAutoscaler", ""), KUBE_SLEEP_NONE, false },
	};

	(void)state;
	for (size_t i = 0; i < countof(rows); i++) {
		const struct value v = json(rows[i].object);

		assert_int_equal(kube_sleep_of(&v), rows[i].how);
		assert_int_equal(kube_sleep_ended(&v), rows[i].ended);
	}
}

#define OWNED(version, kind, controller) "{\"metadata\":{\"ownerReferences\":[{\"apiVersion\":\"" version "\",\"kind\":\"" kind \
	"\",\"name\":\"o\",\"controller\":" controller "}]}}"

static void
test_follows(void **state)
{
	const struct value deployment = json(OWNED("apps/v1", "Deployment", "true")), custom = json(OWNED("example.org/v1", "Database", "true")),
		other = json(OWNED("apps/v1", "Deployment", "false"));

	(void)state;
	assert_true(kube_sleep_follows(&deployment));
	assert_false(kube_sleep_follows(&custom));
	assert_false(kube_sleep_follows(&other));
}

static void
test_words(void **state)
{
	const struct value words = json("[\"deployments\",\"NetworkPolicies.networking.k8s.io\",\"ingress\",\"pod\"]");
	static const struct {
		const char *object;
		bool in;
	} rows[] = {
		{ OF("apps/v1", "Deployment", ""), true }, { OF("networking.k8s.io/v1", "NetworkPolicy", ""), true },
		{ OF("crd.example.org/v1", "NetworkPolicy", ""), false }, { OF("networking.k8s.io/v1", "Ingress", ""), true },
		{ OF("networking.k8s.io/v1", "IngressClass", ""), false }, { OF("v1", "Pod", ""), true }, { OF("v1", "PodTemplate", ""), false },
	};

	(void)state;
	for (size_t i = 0; i < countof(rows); i++) {
		const struct value v = json(rows[i].object);

		if (kube_word_in(&words, &v) != rows[i].in)
			fail_msg("%s", rows[i].object);
	}
}

static void
test_transform(void **state)
{
	const struct value namespaces = json("{\"web\":\"shop\"}"), storage = json("{\"fast\":\"ssd\"}"), ingress = json("{\"nginx\":\"traefik\"}"),
		images = json("{\"a.test/\":\"b.test/\",\"a.test/x/\":\"c.test/\"}");
	struct kube_transform t = { .namespaces = &namespaces, .storage_classes = &storage, .ingress_classes = &ingress, .images = &images };
	static const char *const rows[][2] = {
		{ "{\"kind\":\"Pod\",\"metadata\":{\"namespace\":\"web\"},\"spec\":{\"containers\":[{\"image\":\"a.test/y:1\"},{\"image\":\"a.test/x/z\"},{\"image\":\"q\"}]}}",
		  "{\"kind\":\"Pod\",\"metadata\":{\"namespace\":\"shop\"},\"spec\":{\"containers\":[{\"image\":\"b.test/y:1\"},{\"image\":\"c.test/z\"},{\"image\":\"q\"}]}}" },
		{ "{\"kind\":\"StatefulSet\",\"spec\":{\"volumeClaimTemplates\":[{\"spec\":{\"storageClassName\":\"fast\"}},{\"spec\":{\"storageClassName\":\"slow\"}}]}}",
		  "{\"kind\":\"StatefulSet\",\"spec\":{\"volumeClaimTemplates\":[{\"spec\":{\"storageClassName\":\"ssd\"}},{\"spec\":{\"storageClassName\":\"slow\"}}]}}" },
		{ "{\"kind\":\"Ingress\",\"metadata\":{\"annotations\":{\"kubernetes.io/ingress.class\":\"nginx\"}},\"spec\":{\"ingressClassName\":\"nginx\"}}",
		  "{\"kind\":\"Ingress\",\"metadata\":{\"annotations\":{\"kubernetes.io/ingress.class\":\"traefik\"}},\"spec\":{\"ingressClassName\":\"traefik\"}}" },
		{ "{\"kind\":\"ConfigMap\",\"data\":{\"image\":\"a.test/y\",\"storageClassName\":\"fast\"}}",
		  "{\"kind\":\"ConfigMap\",\"data\":{\"image\":\"a.test/y\",\"storageClassName\":\"fast\"}}" },
		{ "{\"kind\":\"PersistentVolume\",\"metadata\":{\"name\":\"v\"},\"spec\":{\"claimRef\":{\"namespace\":\"web\",\"name\":\"c\"},\"storageClassName\":\"fast\"}}",
		  "{\"kind\":\"PersistentVolume\",\"metadata\":{\"name\":\"v\"},\"spec\":{\"claimRef\":{\"namespace\":\"shop\",\"name\":\"c\"},\"storageClassName\":\"ssd\"}}" },
	};
	struct value v, got;

	(void)state;
	for (size_t i = 0; i < countof(rows); i++) {
		v = json(rows[i][0]);
		assert_true(kube_transform(&arena, &t, &v, &got));
		same(rows[i][0], got, rows[i][1]);
	}
	t = (struct kube_transform){ .asleep = true };
	v = json(OF("v1", "Pod", ""));
	assert_false(kube_transform(&arena, &t, &v, &got));
	v = json(OF("apps/v1", "Deployment", ",\"spec\":{\"replicas\":3}"));
	assert_true(kube_transform(&arena, &t, &v, &got));
	assert_true(kube_sleep_is(&got));
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
		cmocka_unit_test(test_sleep), cmocka_unit_test(test_kinds), cmocka_unit_test(test_follows), cmocka_unit_test(test_words),
		cmocka_unit_test(test_transform),
	};

	return cmocka_run_group_tests_name("kube_sleep", tests, NULL, done);
}

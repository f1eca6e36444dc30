/* SPDX-License-Identifier: Apache-2.0 */
/* kubernetes.wait: which watch it opens, when it ends, and what it says when it does not end well. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "kube_world.h"

extern const struct step_type kubernetes_wait_step;

#define READY(status) "{\"metadata\":{\"uid\":\"u\"},\"status\":{\"conditions\":[{\"type\":\"Ready\",\"status\":\"" status "\",\"reason\":\"Why\"}]}}"

static void
works(struct step_ctx *cx, const char *path, const struct told *told, const char *inputs)
{
	const struct script scripts[] = { { path, told }, { 0 } };

	cx->scripts = scripts;
	world_works(cx, &kubernetes_wait_step, inputs);
	cx->scripts = NULL;
}

static void
fails(struct step_ctx *cx, const char *path, const struct told *told, const char *inputs, enum err_kind kind, const char *why)
{
	const struct script scripts[] = { { path, told }, { 0 } };
	struct err err;

	cx->scripts = scripts;
	if (world_run(cx, &kubernetes_wait_step, inputs, &err) == 0)
		fail_msg("%s is over", inputs);
	cx->scripts = NULL;
	assert_string_equal(err.msg, why);
	assert_int_equal(err.kind, kind);
}

static void
test_one(void **state)
{
	static const struct told soon[] = { ALL, { "Pod/web/a", READY("False") }, { "Pod/web/a", READY("True") }, END };
	static const struct told never[] = { { "Pod/web/a", READY("False") }, ALL, END }, empty[] = { ALL, END }, silent[] = { END };
	static const struct told unsure[] = { { "Pod/web/a", READY("True") }, END };
	struct step_ctx *cx = *state;

	works(cx, "Pod/web/a", soon, "{\"kind\":\"Pod\",\"name\":\"web/a\",\"condition\":\"Ready\"}");
	assert_string_equal(value_get_str(value_get(world_output(cx, "object"), "metadata"), "uid", ""), "u");
	world_is(world_output(cx, "count"), "1");
	works(cx, "Pod/web/a", soon, "{\"kind\":\"Pod\",\"name\":\"web/a\"}");
	works(cx, "Pod/web/a", never, "{\"kind\":\"Pod\",\"name\":\"web/a\",\"condition\":\"Ready=False\"}");
	works(cx, "Pod/web/a", never, "{\"kind\":\"Pod\",\"name\":\"web/a\",\"until\":\"value.status.conditions[1].reason == 'Why'\"}");
	fails(cx, "Pod/web/a", never, "{\"kind\":\"Pod\",\"name\":\"web/a\",\"condition\":\"Ready\"}", ERR_TIMEOUT,
	      "Pod web/a: not yet so: Ready is False (Why): timed out");
	fails(cx, "Pod/web/a", never, "{\"kind\":\"Pod\",\"name\":\"web/a\",\"until\":\"value.status.phase == 'x'\"}", ERR_TIMEOUT,
	      "Pod web/a: not yet so: until does not hold: timed out");
	fails(cx, "Pod/web/a", empty, "{\"kind\":\"Pod\",\"name\":\"web/a\"}", ERR_TIMEOUT, "Pod web/a: not yet so: not there: timed out");
	fails(cx, "Pod/web/a", silent, "{\"kind\":\"Pod\",\"name\":\"web/a\"}", ERR_TIMEOUT, "Pod web/a: not yet so: not all is seen yet: timed out");
	/* what was seen may be old until all has been told */
	fails(cx, "Pod/web/a", unsure, "{\"kind\":\"Pod\",\"name\":\"web/a\",\"condition\":\"Ready\"}", ERR_TIMEOUT,
	      "Pod web/a: not yet so: not all is seen yet: timed out");
}

static void
test_absent(void **state)
{
	static const struct told gone[] = { { "Pod/web/a", READY("True") }, ALL, { "Pod/web/a", NULL }, END };
	static const struct told replaced[] = { { "Pod/web/a", "{\"metadata\":{\"uid\":\"u2\"}}" }, ALL, END };
	static const struct told stuck[] = { { "Pod/web/a", "{\"metadata\":{\"deletionTimestamp\":\"t\",\"finalizers\":[\"example.com/x\",\"y\"]}}" }, ALL, END };
	struct step_ctx *cx = *state;

	works(cx, "Pod/web/a", gone, "{\"kind\":\"Pod\",\"name\":\"web/a\",\"absent\":true}");
	world_is(world_output(cx, "count"), "0");
	works(cx, "Pod/web/a", replaced, "{\"kind\":\"Pod\",\"name\":\"web/a\",\"absent\":true,\"uid\":\"u\"}");
	fails(cx, "Pod/web/a", replaced, "{\"kind\":\"Pod\",\"name\":\"web/a\",\"absent\":true}", ERR_TIMEOUT,
	      "Pod web/a: not yet so: nobody deletes it: timed out");
	fails(cx, "Pod/web/a", stuck, "{\"kind\":\"Pod\",\"name\":\"web/a\",\"absent\":true}", ERR_TIMEOUT,
	      "Pod web/a: not yet so: is being deleted, and waits for example.com/x, y: timed out");
}

/* One watch, however many objects. */
static void
test_many(void **state)
{
	static const struct told told[] = { { "Pod/web/a", READY("True") }, { "Pod/web/b", READY("False") }, { "Pod/web/c", READY("False") }, ALL,
		{ "Pod/web/b", READY("True") }, { "Pod/web/c", NULL }, END };
	static const struct told some[] = { { "Pod/web/a", READY("True") }, { "Pod/web/b", READY("False") }, { "Pod/web/x", READY("False") }, ALL, END };
	struct step_ctx *cx = *state;

	works(cx, "Pod/web/?labelSelector=a%3Db", told, "{\"kind\":\"Pod\",\"namespace\":\"web\",\"selector\":\"a=b\",\"condition\":\"Ready\"}");
	world_is(world_output(cx, "count"), "2");
	world_is(world_output(cx, "object"), "null");
	assert_int_equal(cx->nwatches, 1);
	works(cx, "Pod/web/", told, "{\"kind\":\"Pod\",\"namespace\":\"web\",\"names\":[\"a\",\"b\"],\"condition\":\"Ready\"}");
	fails(cx, "Pod/web/", some, "{\"kind\":\"Pod\",\"namespace\":\"web\",\"names\":[\"a\",\"b\",\"z\"],\"condition\":\"Ready\"}", ERR_TIMEOUT,
	      "Pod: not yet so: 1 of 3 are so; b: Ready is False (Why); z: timed out");
	fails(cx, "Pod/*/?labelSelector=a", some, "{\"kind\":\"Pod\",\"all_namespaces\":true,\"selector\":\"a\",\"condition\":\"Ready\"}", ERR_TIMEOUT,
	      "Pod with a: not yet so: 1 of 3 are so; web/b: Ready is False (Why); web/x: Ready is False (Why): timed out");
}

static void
test_pods_of(void **state)
{
	static const struct told told[] = { { "Pod/web/a", "{\"status\":{\"phase\":\"Running\"}}" }, { "Pod/web/b", "{\"status\":{\"phase\":\"Failed\"}}" }, ALL,
		{ "Pod/web/a", "{\"status\":{\"phase\":\"Succeeded\"}}" }, END };
	static const struct told left[] = { { "Pod/web/a", "{\"status\":{\"phase\":\"Running\"}}" }, ALL, END };
	static const struct script none[] = { { 0 } };
	struct step_ctx *cx = *state;
	struct err err;

	cx->reads[0].path = "Deployment/web/d";
	cx->reads[0].json = "{\"metadata\":{\"namespace\":\"web\"},\"spec\":{\"selector\":{\"matchLabels\":{\"app\":\"d\"}}}}";
	works(cx, "Pod/web/?labelSelector=app%3Dd", told, "{\"pods_of\":\"Deployment/d\",\"namespace\":\"web\",\"count\":0}");
	fails(cx, "Pod/web/?labelSelector=app%3Dd", left, "{\"pods_of\":\"Deployment/web/d\",\"count\":0}", ERR_TIMEOUT,
	      "pods of Deployment web/d: not yet so: 1 are there; web/a: nobody deletes it: timed out");
	cx->scripts = none;
	world_refuses(cx, &kubernetes_wait_step, "{\"pods_of\":\"Deployment/web/x\"}", "Deployment web/x is not there, so its pods are not known");
	cx->plan = true;
	world_works(cx, &kubernetes_wait_step, "{\"pods_of\":\"Deployment/web/x\"}");
	assert_string_equal(cx->assumed, "pods of Deployment web/x will be so");
	assert_int_equal(world_run(cx, &kubernetes_wait_step, "{\"pods_of\":\"web\"}", &err), -1);
}

#define ROLLOUT(available) ROLLOUT_OF("1", available)
#define ROLLOUT_OF(generation, available) "{\"kind\":\"Deployment\",\"metadata\":{\"name\":\"d\",\"namespace\":\"web\",\"generation\":" generation ",\"annotations\":{\"deployment.kubernetes.io/revision\":\"2\"}}," \
	"\"spec\":{\"replicas\":1,\"selector\":{\"matchLabels\":{\"app\":\"d\"}}},\"status\":{\"observedGeneration\":1,\"replicas\":1,\"updatedReplicas\":1,\"availableReplicas\":" available "}}"
#define POD(owner) "{\"metadata\":{\"name\":\"" owner "-1\",\"namespace\":\"web\",\"ownerReferences\":[{\"kind\":\"ReplicaSet\",\"name\":\"" owner "\"}]}," \
	"\"status\":{\"initContainerStatuses\":[{\"name\":\"i\",\"restartCount\":3,\"state\":{\"waiting\":{\"reason\":\"CrashLoopBackOff\"}}," \
	"\"lastState\":{\"terminated\":{\"exitCode\":1}}}]}}"

/* An init container of the new template that keeps failing ends the wait, with its log; one of the old does not. */
static void
test_rollout(void **state)
{
	static const struct told slow[] = { { "Deployment.apps/web/d", ROLLOUT("0") }, ALL, { "Deployment.apps/web/d", ROLLOUT("0") },
		{ "Deployment.apps/web/d", ROLLOUT("1") }, END };
	static const struct told old[] = { { "Pod/web/old-1", POD("old") }, END }, new[] = { { "Pod/web/new-1", POD("new") }, END };
	/* its controller has not seen the second template yet: what fails is of the first one */
	static const struct told unseen[] = { { "Deployment.apps/web/d", ROLLOUT_OF("2", "0") }, ALL, { "Deployment.apps/web/d", ROLLOUT_OF("2", "0") }, END };
	const struct script early[] = { { "Deployment/web/d", unseen }, { "Pod/web/?labelSelector=app%3Dd", new }, { 0 } };
	const struct script fine[] = { { "Deployment/web/d", slow }, { "Pod/web/?labelSelector=app%3Dd", old }, { 0 } };
	const struct script broken[] = { { "Deployment/web/d", slow }, { "Pod/web/?labelSelector=app%3Dd", new }, { 0 } };
	struct step_ctx *cx = *state;

	cx->reads[0].path = "ReplicaSet.apps/web/old";
	cx->reads[0].json = "{\"metadata\":{\"annotations\":{\"deployment.kubernetes.io/revision\":\"1\"}}}";
	cx->reads[1].path = "ReplicaSet.apps/web/new";
	cx->reads[1].json = "{\"metadata\":{\"annotations\":{\"deployment.kubernetes.io/revision\":\"2\"}}}";
	cx->reads[2].path = "log/web/new-1?max=4096&container=i&tailLines=20&previous=true";
	cx->reads[2].json = "{\"text\":\"cannot open /data\\n\"}";
	cx->scripts = fine;
	world_works(cx, &kubernetes_wait_step, "{\"kind\":\"Deployment\",\"name\":\"web/d\",\"rollout\":true}");
	cx->scripts = early;
	world_refuses(cx, &kubernetes_wait_step, "{\"kind\":\"Deployment\",\"name\":\"web/d\",\"rollout\":true}", "has seen generation 1 of 2");
	cx->scripts = broken;
	world_refuses(cx, &kubernetes_wait_step, "{\"kind\":\"Deployment\",\"name\":\"web/d\",\"rollout\":true}",
		"Deployment web/d: pod new-1: init container 'i' ended with exit code 1, 3 times; its log ends: cannot open /data");
	assert_string_equal(cx->note, "log of init container 'i' of pod new-1: cannot open /data");
}

/* A watch that its server ends is opened again, and nothing is remembered from before. */
static void
test_broken_watch(void **state)
{
	static const struct told told[] = { { "Pod/web/a", READY("True") }, ALL, END };
	struct step_ctx *cx = *state;

	cx->times = 2;
	works(cx, "Pod/web/a", told, "{\"kind\":\"Pod\",\"name\":\"web/a\",\"condition\":\"Ready\"}");
	assert_int_equal(cx->nwatches, 3);
}

static void
test_dry_run(void **state)
{
	static const struct told not[] = { { "Pod/web/a", READY("False") }, ALL, END };
	const struct value unknown = value_unknown("later");
	struct step_ctx *cx = *state;
	struct err err = ERR_INIT;
	char *args;

	cx->plan = true;
	works(cx, "Pod/web/a", not, "{\"kind\":\"Pod\",\"name\":\"web/a\",\"condition\":\"Ready\"}");
	assert_string_equal(cx->assumed, "Pod web/a will be so; now: Ready is False (Why)");
	assert_int_equal(world_output(cx, "object")->kind, V_UNKNOWN);
	cx->refused = "Pod/web/b";
	works(cx, "Pod/web/a", not, "{\"kind\":\"Pod\",\"name\":\"web/b\",\"condition\":\"Ready\"}");
	assert_string_equal(cx->assumed, "Pod web/b will be so");
	args = world_args(cx, &kubernetes_wait_step, "{\"kind\":\"Pod\",\"names\":[\"a\"]}");
	*(const struct value **)(void *)(args + schema_field(kubernetes_wait_step.inputs, "names")->offset) = &unknown;
	assert_int_equal(kubernetes_wait_step.check(args, &err), 0);
	assert_int_equal(kubernetes_wait_step.run(cx, args, &err), 0);
	assert_string_equal(cx->assumed, "Pod will be so");
}

static void
test_refusals(void **state)
{
	static const char *const cases[][2] = {
		{ "{}", "either kind or pods_of" },
		{ "{\"kind\":\"Pod\",\"pods_of\":\"Deployment/d\"}", "either kind or pods_of" },
		{ "{\"kind\":\"Pod\",\"name\":\"a\",\"selector\":\"a=b\"}", "only one of name, names and a selector" },
		{ "{\"pods_of\":\"Deployment/d\",\"selector\":\"a=b\"}", "pods_of says which pods" },
		{ "{\"kind\":\"Pod\",\"name\":\"a\",\"all_namespaces\":true}", "all_namespaces is for" },
		{ "{\"kind\":\"Pod\",\"names\":[]}", "names is empty" },
		{ "{\"kind\":\"Pod\",\"names\":[\"A\"]}", "RFC 1123" },
		{ "{\"kind\":\"Pod\",\"name\":\"a\",\"absent\":true,\"condition\":\"Ready\"}", "absent says it all" },
		{ "{\"kind\":\"Pod\",\"name\":\"a\",\"rollout\":true,\"condition\":\"Ready\"}", "only one of rollout and condition" },
		{ "{\"kind\":\"Pod\",\"name\":\"a\",\"count\":1}", "count is for a selector" },
		{ "{\"kind\":\"Pod\",\"selector\":\"a\",\"uid\":\"u\"}", "give its name" },
		{ "{\"kind\":\"Pod\",\"name\":\"a\",\"condition\":\"Ready=yes\"}", "is not a condition" },
	};

	for (size_t i = 0; i < countof(cases); i++)
		world_refuses(*state, &kubernetes_wait_step, cases[i][0], cases[i][1]);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, world_setup, world_teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_one),     TEST(test_absent),       TEST(test_many),    TEST(test_pods_of),
		TEST(test_rollout), TEST(test_broken_watch), TEST(test_dry_run), TEST(test_refusals),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

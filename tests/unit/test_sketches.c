/* SPDX-License-Identifier: Apache-2.0 */
/* The three plans that the language has to carry (tests/sketches), with stand-ins for what does not exist yet: they load
 * without a problem and without a remark of the lints, say what they need to say, and foretell what they would do. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <fcntl.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/io.h"
#include "lint.h"
#include "run.h"
#include "sketch_registry.h"

#define SKETCHES TESTS_FOLDER "/sketches/"

/* plan_reader.read: a bundled plan is one of the tree, or one of the sketches. */
static int
read_plan(void *data, const char *from, const char *word, bool bundled, const char *key, struct arena *a, const char **ret_file,
	  struct buf *to, struct err *err)
{
	struct err absent = ERR_INIT;

	(void)data;
	(void)from;
	(void)key;
	*ret_file = arena_printf(a, bundled ? TESTS_FOLDER "/../plans/%s.yaml" : SKETCHES "%s", word);
	if (!bundled || io_read_file(*ret_file, YAML_MAX_BYTES, to, &absent) == 0)
		return bundled ? 0 : io_read_file(*ret_file, YAML_MAX_BYTES, to, err);
	*ret_file = arena_printf(a, SKETCHES "%s.yaml", word);
	return io_read_file(*ret_file, YAML_MAX_BYTES, to, err);
}

static void
fail_on(const struct problems *p, const char *text, size_t len)
{
	struct buf shown = BUF_INIT(0);

	if (p->n == 0)
		return;
	problems_show(p, &shown, text, len);
	fail_msg("%s", shown.p);
}

static struct plan *
load(const char *name)
{
	const struct plan_reader reader = { read_plan, NULL };
	struct problems problems = PROBLEMS_INIT, lints = PROBLEMS_INIT;
	struct arena a = ARENA_INIT;
	const char *path = arena_printf(&a, SKETCHES "%s.yaml", name);
	struct buf text = BUF_INIT(0);
	struct err err = ERR_INIT;
	struct plan *plan;

	sketch_registry_init();
	if (io_read_file(path, YAML_MAX_BYTES, &text, &err) < 0)
		fail_msg("%s", err.msg);
	plan = plan_load(&sketch_registry, &reader, path, text.p, text.len, &problems);
	fail_on(&problems, text.p, text.len);
	assert_non_null(plan);
	lint_plan(plan, &lints);
	fail_on(&lints, text.p, text.len);
	problems_done(&problems);
	problems_done(&lints);
	buf_done(&text);
	arena_done(&a);
	return plan;
}

/* What the stand-ins answer. */
static const char world[] =
	"{\"release//piraeus-op\":{\"revision\":3,\"status\":\"deployed\",\"chart\":\"piraeus\",\"version\":\"1.10.8\"},"
	"\"chart//charts/piraeus\":{\"name\":\"piraeus\",\"version\":\"1.10.8\"},"
	"\"can-i/create/Pod//\":{\"allowed\":true},\"can-i/create/Pod//#exec\":{\"allowed\":true},\"can-i/patch/LinstorController//\":{\"allowed\":true},"
	"\"PersistentVolume//\":[{\"metadata\":{\"name\":\"pv-1\"},\"spec\":{\"csi\":{\"driver\":\"linstor.csi.linbit.com\"}}},"
	"{\"metadata\":{\"name\":\"pv-2\"},\"spec\":{\"csi\":{\"driver\":\"linstor.csi.linbit.com\"}}},{\"metadata\":{\"name\":\"pv-3\"},\"spec\":{\"nfs\":{}}}],"
	"\"PersistentVolumeClaim/shop/\":[{\"metadata\":{\"name\":\"data-db-0\",\"namespace\":\"shop\",\"labels\":{\"app\":\"db\"}},\"spec\":{\"volumeName\":\"pv-1\"}},"
	"{\"metadata\":{\"name\":\"scratch\",\"namespace\":\"shop\"},\"spec\":{}}],"
	"\"StatefulSet/shop/db\":{\"apiVersion\":\"apps/v1\",\"kind\":\"StatefulSet\",\"metadata\":{\"name\":\"db\",\"namespace\":\"shop\"},\"spec\":{\"replicas\":1,"
	"\"selector\":{\"matchLabels\":{\"app\":\"db\"}}}},"
	"\"StatefulSet/shop/web\":{\"apiVersion\":\"apps/v1\",\"kind\":\"StatefulSet\",\"metadata\":{\"name\":\"web\",\"namespace\":\"shop\"},\"spec\":{\"replicas\":2,"
	"\"selector\":{\"matchLabels\":{\"app\":\"web\"}}}},"
	"\"ns/tcp\":{\"pair\":\"postgresql-postgresql\",\"prefix\":\"/tcp/\",\"source\":{\"role\":\"tcp\"},\"destination\":{}},"
	"\"all\":{\"state\":{\"nodes\":3},\"offline_nodes\":0,\"offline\":[]},"
	"\"Deployment//piraeus-op-cs-controller\":{\"spec\":{\"replicas\":1,\"selector\":{\"matchLabels\":{\"app\":\"cs\"}},\"template\":{\"spec\":{"
	"\"containers\":[{\"name\":\"linstor-controller\",\"image\":\"linstor:1.20\"}],\"volumes\":[{\"name\":\"config\"}]}}}}}";

/* The dry-run: every step with what became of it, one a line. */
static void
foretell(const struct plan *plan, const char *params, struct buf *ret)
{
	struct report_options ro = { .format = FORMAT_PLAIN, .quiet = false };
	struct run_options o = { .mode = MODE_PLAN, .registry = &sketch_registry, .plan = plan, .jobs = 4, .seed = 1, .run = "dry-run",
		.user = "me", .host = "here" };
	char path[] = "/tmp/wherry-sketch-XXXXXX";
	struct run_result result = { 0 };
	struct arena a = ARENA_INIT;
	struct err err = ERR_INIT;
	struct value given, values;

	assert_int_equal(value_parse(&a, world, strlen(world), &sketch_world, &err), 0);
	assert_int_equal(value_parse(&a, params, strlen(params), &given, &err), 0);
	assert_int_equal(params_hand(plan, &given, &a, &values, &err), 0);
	o.params = &values;
	ro.out = ro.err = mkstemp(path);
	o.report = report_new(&ro);
	if (run_execute(&o, &result, &err) < 0)
		fail_msg("%s", err.msg);
	report_free(o.report);
	(void)close(ro.out);
	assert_int_equal(io_read_file(path, 1 << 20, ret, &err), 0);
	(void)unlink(path);
	if (result.code != 0)
		fail_msg("exit code %d\n%s", result.code, ret->p);
	arena_done(&a);
}

static void
tells(const struct buf *told, const char *what)
{
	if (strstr(told->p, what) == NULL)
		fail_msg("no '%s' in\n%s", what, told->p);
}

/* Through one target to another, objects with expressions inside, a look polled, guards, a point of no return, a pool. */
static void
test_linstor(void **state)
{
	struct plan *p = load("linstor-etcd-to-k8s");
	const struct step *start = &p->steps[plan_find(p, "start", 5)];
	struct buf told = BUF_INIT(0);

	(void)state;
	assert_int_equal(start->pool, 1);
	assert_int_equal(p->pools[0].limit, 1);
	assert_int_equal(start->nguards, 1);
	assert_string_equal(p->steps[start->guards[0]].id, "compare");
	assert_string_equal(start->irreversible, "from here LINSTOR writes to the new database");
	foretell(p, "{\"chart\":\"/charts/piraeus\"}", &told);
	tells(&told, "stop (helm.upgrade)\n  ~ upgrade  helm release//piraeus-op");
	tells(&told, "seen (wait)\n  assumed: kubernetes.exec will answer as wanted\n");
	tells(&told, "start (helm.upgrade)\n  irreversible: from here LINSTOR writes to the new database\n");
	tells(&told, "remove-etcd (helm.upgrade)\n  skipped\n");
	tells(&told, "tidy (kubernetes.delete)\n  - delete  cluster Pod//linstor-database-migration");
	tells(&told, "9 actions: 0 exact, 0 simulated, 9 predicted");
	buf_done(&told);
	plan_free(p);
}

/* Items told apart by what they are, each a plan of its own with the targets of the whole. */
static void
test_clusters(void **state)
{
	struct plan *p = load("cluster-a-to-b");
	const uint32_t move = plan_find(p, "move", 4), ok = plan_find(p, "cutover-ok", 10);
	const struct plan_sub *sub = plan_sub_of(p, move);
	struct buf told = BUF_INIT(0);

	(void)state;
	assert_non_null(plan_foreach_of(p, move));
	assert_int_equal(p->steps[move].policy->on_error, ON_ERROR_CONTINUE);
	assert_string_equal(sub->plan->name, "move-workload");
	assert_int_equal(sub->targets[0], 1);
	assert_int_equal(sub->targets[1], 2);
	assert_int_equal(p->steps[ok].need_count, 1);
	assert_true(p->needs[p->steps[ok].need_first].weak);
	foretell(p, "{\"kubeconfig_a\":\"/a\",\"kubeconfig_b\":\"/b\",\"workloads\":[{\"kind\":\"StatefulSet\",\"name\":\"db\",\"namespace\":\"shop\"},"
		"{\"kind\":\"StatefulSet\",\"name\":\"web\",\"namespace\":\"shop\"}]}", &told);
	tells(&told, "retain[pv-2] (kubernetes.patch)\n  ~ patch  a PersistentVolume//pv-2");
	tells(&told, "move[shop/db]/claimed[data-db-0] (kubernetes.apply)\n  ~ apply  b PersistentVolumeClaim/shop/data-db-0");
	tells(&told, "move[shop/web]/down (kubernetes.patch)\n  ~ patch  a StatefulSet/shop/web");
	tells(&told, "move[shop/db]/released (kubernetes.wait)\n  assumed: pods of StatefulSet shop/db will be gone\n");
	tells(&told, "assumed: somebody lets it pass: 2 of 2 moved.");
	tells(&told, "8 actions: 0 exact, 0 simulated, 8 predicted, 0 opaque; 0 unchanged; 0 steps depend");
	buf_done(&told);
	plan_free(p);
}

/* Targets whose addresses a step finds, handed into a bundled plan, and a fence inside it that is lifted from outside. */
static void
test_datastore(void **state)
{
	struct plan *p = load("kamaji-datastore");
	const uint32_t thaw = plan_find(p, "thaw", 4), etcd = plan_find(p, "etcd", 4), equal = plan_find(p, "equal", 5);
	struct buf told = BUF_INIT(0);

	(void)state;
	assert_int_equal(p->nparts, 2);
	assert_string_equal(plan_reach_of(p, thaw), "etcd/fence");
	assert_int_equal(p->steps[thaw].undoes, etcd);
	assert_int_equal(p->steps[etcd].need_count, 1); /* of its `when`, its parameters and the addresses of its targets */
	assert_int_equal(p->steps[equal].need_count, 2);
	foretell(p, "{\"kubeconfig\":\"/a\",\"tenant\":\"ns/tcp\",\"datastore\":\"other\"}", &told);
	tells(&told, "etcd (plan)\n  skipped\n");
	tells(&told, "sql/copy (note)\n  note: the datastore of ns/tcp would be copied\n");
	tells(&told, "swap (kubernetes.patch)\n  irreversible: the tenant writes to the new datastore\n");
	tells(&told, "thaw (undo)\n  skipped\n");
	buf_done(&told);
	plan_free(p);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_linstor),
		cmocka_unit_test(test_clusters),
		cmocka_unit_test(test_datastore),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Handlers of the Kubernetes family that look and write: what they ask for, and what they make of the answer. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "kube_world.h"

extern const struct step_type kubernetes_get_step, kubernetes_list_step, kubernetes_info_step, kubernetes_can_i_step,
	kubernetes_apply_step, kubernetes_create_step, kubernetes_delete_step, kubernetes_patch_step, kubernetes_scale_step,
	kubernetes_label_step, kubernetes_annotate_step;

static void
test_get(void **state)
{
	struct step_ctx *cx = *state;

	cx->reads[0].path = "Pod/web/a";
	cx->reads[0].json = "{\"kind\":\"Pod\",\"metadata\":{\"name\":\"a\",\"managedFields\":[]}}";
	world_works(cx, &kubernetes_get_step, "{\"kind\":\"Pod\",\"name\":\"a\",\"namespace\":\"web\"}");
	world_is(world_output(cx, "exists"), "true");
	world_is(world_output(cx, "object"), "{\"kind\":\"Pod\",\"metadata\":{\"name\":\"a\"}}");
	world_refuses(cx, &kubernetes_get_step, "{\"kind\":\"Pod\",\"name\":\"web/a\",\"missing\":\"required\"}", "Pod web/a is there, and must not be");
	world_refuses(cx, &kubernetes_get_step, "{\"kind\":\"Pod\",\"name\":\"b\"}", "Pod b is not there");
	world_works(cx, &kubernetes_get_step, "{\"kind\":\"Pod\",\"name\":\"b\",\"missing\":\"allowed\"}");
	world_is(world_output(cx, "exists"), "false");
	world_is(world_output(cx, "object"), "null");
	world_works(cx, &kubernetes_get_step, "{\"kind\":\"Pod\",\"name\":\"b\",\"missing\":\"required\"}");
	world_refuses(cx, &kubernetes_get_step, "{\"kind\":\"Pod\",\"name\":\"B\"}", "RFC 1123");
	cx->refused = "Pod//b";
	world_works(cx, &kubernetes_get_step, "{\"kind\":\"Pod\",\"name\":\"b\",\"missing\":\"required\"}");
	assert_string_equal(cx->assumed, "Pod b is not there then");
	assert_int_equal(world_output(cx, "object")->kind, V_UNKNOWN);
}

static void
test_list(void **state)
{
	static const char *pages[][2] = {
		{ "Secret/a/x", "{\"apiVersion\":\"v1\",\"kind\":\"Secret\",\"metadata\":{\"name\":\"x\",\"labels\":{\"l\":\"1\"}},\"data\":{\"p\":\"c2VjcmV0\"}}" },
		{ "Secret/a/y", "{\"kind\":\"Secret\",\"metadata\":{\"name\":\"y\"}}" },
		{ "", "" },
		{ "Secret/a/z", "{\"kind\":\"Secret\",\"metadata\":{\"name\":\"z\",\"labels\":{\"l\":\"1\"}}}" },
		{ NULL, NULL },
	};
	struct step_ctx *cx = *state;

	cx->pages = pages;
	world_works(cx, &kubernetes_list_step, "{\"kind\":\"Secret\",\"namespace\":\"a\",\"selector\":\"l=1,m!=2\",\"each\":\"value.metadata.name\"}");
	assert_string_equal(cx->listed, "Secret/a/?labelSelector=l%3D1%2Cm%21%3D2");
	world_is(world_output(cx, "items"), "[\"x\",\"y\",\"z\"]");
	world_is(world_output(cx, "count"), "3");
	world_works(cx, &kubernetes_list_step, "{\"kind\":\"Secret\",\"all_namespaces\":true,\"where\":\"has(value.metadata, 'labels')\",\"each\":\"value.data\"}");
	assert_string_equal(cx->listed, "Secret/*/");
	world_is(world_output(cx, "items"), "[{\"p\":\"(secret)\"},null]");
	world_refuses(cx, &kubernetes_list_step, "{\"kind\":\"Secret\",\"limit\":2}", "more than 2 objects of kind Secret match");
	world_refuses(cx, &kubernetes_list_step, "{\"kind\":\"Secret\",\"where\":\"error('no')\"}", "no");
	world_refuses(cx, &kubernetes_list_step, "{\"kind\":\"Secret\",\"selector\":\"\"}", "selector is empty");
	world_refuses(cx, &kubernetes_list_step, "{\"kind\":\"Secret\",\"namespace\":\"a\",\"all_namespaces\":true}", "either");
}

static void
test_rights(void **state)
{
	struct step_ctx *cx = *state;

	cx->reads[0].path = "can-i/create/Pod//";
	cx->reads[0].json = "{\"allowed\":true}";
	cx->reads[1].path = "can-i/create/Pod/web/#exec";
	cx->reads[1].json = "{\"allowed\":false,\"reason\":\"no rule\"}";
	cx->reads[2].path = "can-i/get/Secret/*/s";
	cx->reads[2].json = "{\"allowed\":false}";
	world_works(cx, &kubernetes_can_i_step, "{\"all\":[{\"verb\":\"create\",\"kind\":\"Pod\"}]}");
	world_refuses(cx, &kubernetes_can_i_step, "{\"all\":[{\"verb\":\"create\",\"kind\":\"Pod/exec\",\"namespace\":\"web\"},{\"verb\":\"create\",\"kind\":\"Pod\"},"
		"{\"verb\":\"get\",\"kind\":\"Secret\",\"name\":\"s\",\"namespace\":\"*\"}]}",
		"2 of 3 rights are missing: create Pod/exec in web; get Secret s in all namespaces");
	assert_string_equal(cx->note, "not allowed: get Secret s in all namespaces");
	world_refuses(cx, &kubernetes_can_i_step, "{\"all\":[]}", "nothing to ask for");
	world_refuses(cx, &kubernetes_can_i_step, "{\"all\":[{\"verb\":\"create\"}]}", "verb and kind");
	world_refuses(cx, &kubernetes_can_i_step, "{\"all\":[{\"verb\":\"create\",\"kind\":\"Pod\",\"resource\":\"x\"}]}", "'resource' is not part");
	world_refuses(cx, &kubernetes_can_i_step, "{\"all\":[{\"verb\":\"Create it\",\"kind\":\"Pod\"}]}", "not a verb");
	world_refuses(cx, &kubernetes_can_i_step, "{\"all\":[{\"verb\":\"create\",\"kind\":\"Pod\",\"namespace\":\"A\"}]}", "RFC 1123");
}

static void
test_info(void **state)
{
	struct step_ctx *cx = *state;

	cx->reads[0].path = "version";
	cx->reads[0].json = "{\"gitVersion\":\"v1.34.4\",\"platform\":\"linux/amd64\"}";
	cx->reads[1].path = "Namespace//kube-system";
	cx->reads[1].json = "{\"metadata\":{\"uid\":\"u-1\"}}";
	world_works(cx, &kubernetes_info_step, "{}");
	world_is(world_output(cx, "version"), "\"1.34.4\"");
	world_is(world_output(cx, "id"), "\"u-1\"");
}

#define CONFIG "{\"apiVersion\":\"v1\",\"kind\":\"ConfigMap\",\"metadata\":{\"name\":\"c\"},\"data\":{\"a\":\"b\"}}"
#define WORKLOAD "{\"apiVersion\":\"apps/v1\",\"kind\":\"Deployment\",\"metadata\":{\"name\":\"d\",\"uid\":\"old\"},\"status\":{\"x\":1}}"

static void
test_apply(void **state)
{
	static const struct told told[] = { { "Deployment.apps/web/d", "{\"metadata\":{\"generation\":4},\"status\":{\"ok\":false}}" }, ALL,
		{ "Deployment.apps/web/d", "{\"metadata\":{\"generation\":4},\"status\":{\"ok\":true}}" }, ALL, END };
	static const struct script scripts[] = { { "Deployment.v1.apps/web/d", told }, { 0 } };
	struct step_ctx *cx = *state;

	cx->reply = "{\"kind\":\"Deployment\",\"metadata\":{\"name\":\"d\",\"namespace\":\"web\",\"uid\":\"u\",\"generation\":4}}";
	cx->scripts = scripts;
	world_works(cx, &kubernetes_apply_step, "{\"namespace\":\"web\",\"object\":" WORKLOAD ",\"until\":\"value.status.ok\"}");
	assert_int_equal(cx->neffects, 1);
	assert_string_equal(cx->effects[0].on.path, "Deployment.v1.apps/web/d");
	assert_string_equal(cx->effects[0].verb, "apply");
	assert_string_equal(cx->effects[0].says, "apply Deployment web/d");
	assert_int_equal(cx->effects[0].class, EFFECT_IDEMPOTENT);
	world_is(&cx->effects[0].body, "{\"force\":false,\"object\":{\"apiVersion\":\"apps/v1\",\"kind\":\"Deployment\",\"metadata\":{\"name\":\"d\"}}}");
	world_is(world_output(cx, "object"), "{\"metadata\":{\"generation\":4},\"status\":{\"ok\":true}}");
	world_is(world_output(cx, "generation"), "4");
	world_is(world_output(cx, "objects"), "[{\"generation\":4,\"kind\":\"Deployment\",\"name\":\"d\",\"namespace\":\"web\",\"uid\":\"u\"}]");
}

static void
test_apply_many(void **state)
{
	static const struct told told[] = { { "ConfigMap/n/c", "{\"ok\":1}" }, { "ConfigMap/n/other", "{}" }, { "ConfigMap/n/e", "{\"ok\":1}" }, ALL, END };
	static const struct script scripts[] = { { "ConfigMap/n/", told }, { 0 } };
	struct step_ctx *cx = *state;

	cx->reply = "{}";
	cx->scripts = scripts;
	world_works(cx, &kubernetes_apply_step, "{\"objects\":[" CONFIG ",{\"apiVersion\":\"v1\",\"kind\":\"ConfigMap\",\"metadata\":{\"name\":\"e\"}}],"
		"\"namespace\":\"n\",\"until\":\"value.ok == 1\"}");
	assert_int_equal(cx->neffects, 2);
	assert_int_equal(cx->nwatches, 1); /* for both */
	assert_string_equal(cx->effects[1].on.path, "ConfigMap/n/e");
	world_is(world_output(cx, "object"), "null");
	world_refuses(cx, &kubernetes_apply_step, "{\"objects\":[" CONFIG "," CONFIG "]}", "ConfigMap c stands there twice");
	world_refuses(cx, &kubernetes_apply_step, "{\"objects\":[" CONFIG ",{}]}", "objects[1]: the object has no apiVersion");
	world_refuses(cx, &kubernetes_apply_step, "{\"objects\":[]}", "nothing to apply");
	world_refuses(cx, &kubernetes_apply_step, "{\"objects\":[" CONFIG "],\"object\":" CONFIG "}", "either object or objects");
	world_refuses(cx, &kubernetes_apply_step, "{}", "either object or objects");
	assert_int_equal(cx->neffects, 0);
}

static void
test_create(void **state)
{
	struct step_ctx *cx = *state;

	world_works(cx, &kubernetes_create_step, "{\"object\":" CONFIG "}");
	assert_string_equal(cx->effects[0].verb, "create");
	assert_int_equal(cx->effects[0].class, EFFECT_PROBE);
	world_is(&cx->effects[0].body, "{\"object\":" "{\"apiVersion\":\"v1\",\"data\":{\"a\":\"b\"},\"kind\":\"ConfigMap\",\"metadata\":{\"name\":\"c\"}}}");
	assert_int_equal(world_output(cx, "uid")->kind, V_UNKNOWN); /* as in a dry-run */
	world_refuses(cx, &kubernetes_create_step, "{\"object\":{\"apiVersion\":\"v1\",\"kind\":\"Pod\",\"metadata\":{\"generateName\":\"c-\"}}}", "generateName");
}

/* A secret of the plan reaches the server, and no output. */
static void
test_apply_secret(void **state)
{
	struct secret password = { "params.password", 3, (char *)(uintptr_t)"abc" };
	struct step_ctx *cx = *state;
	const struct pair data[] = { { "p", value_secret(&password) } }, meta[] = { { "name", value_str("c") } };
	const struct pair pairs[] = { { "apiVersion", value_str("v1") }, { "kind", value_str("ConfigMap") }, { "metadata", value_map(meta, 1) },
		{ "data", value_map(data, 1) } };
	const struct value object = value_map(pairs, 4);
	const struct field *f = schema_field(kubernetes_apply_step.inputs, "object");
	char *args = world_args(cx, &kubernetes_apply_step, "{\"object\":" CONFIG "}");
	struct err err = ERR_INIT;

	*(const struct value **)(void *)(args + f->offset) = &object;
	cx->reply = "{\"kind\":\"ConfigMap\",\"metadata\":{\"name\":\"c\",\"annotations\":{\"x\":\"abc\"}},\"data\":{\"p\":\"abc\"}}";
	assert_int_equal(kubernetes_apply_step.run(cx, args, &err), 0);
	assert_int_not_equal(cx->effects[0].body.flags & VF_SECRET, 0);
	world_is(world_output(cx, "object"), "{\"kind\":\"ConfigMap\",\"metadata\":{\"name\":\"c\"}}");
}

/* What a dry-run does not know yet is neither nothing nor a name. */
static void
test_unknown(void **state)
{
	static const struct {
		const struct step_type *type;
		const char *inputs, *field;
	} cases[] = {
		{ &kubernetes_apply_step, "{\"objects\":[" CONFIG "]}", "objects" },
		{ &kubernetes_apply_step, "{\"object\":" CONFIG "}", "object" },
		{ &kubernetes_can_i_step, "{\"all\":[{\"verb\":\"get\",\"kind\":\"Pod\"}]}", "all" },
	};
	const struct value unknown = value_unknown("later"), list = value_list(&unknown, 1);
	struct step_ctx *cx = *state;

	for (size_t i = 0; i < countof(cases); i++)
		for (int part = 0; part < 2; part++) {
			char *args = world_args(cx, cases[i].type, cases[i].inputs);
			struct err err = ERR_INIT;

			*(const struct value **)(void *)(args + schema_field(cases[i].type->inputs, cases[i].field)->offset) = part ? &list : &unknown;
			if (part == 1 && strcmp(cases[i].field, "object") == 0)
				continue;
			assert_int_equal(cases[i].type->check(args, &err), 0);
			assert_int_equal(cases[i].type->run(cx, args, &err), -1);
			assert_int_equal(err.kind, ERR_PREDICTED);
		}
	assert_int_equal(cx->neffects, 0);
}

static void
test_delete(void **state)
{
	static const struct told told[] = { { "Pod/web/a", "{\"metadata\":{\"deletionTimestamp\":\"t\"}}" }, ALL,
		{ "Pod/web/a", "{\"metadata\":{\"uid\":\"u2\"}}" }, END };
	static const struct told stuck[] = { { "Pod/web/a", "{\"metadata\":{\"deletionTimestamp\":\"t\"}}" }, ALL, END };
	static const struct script scripts[] = { { "Pod/web/a", told }, { 0 } }, never[] = { { "Pod/web/a", stuck }, { 0 } };
	struct step_ctx *cx = *state;
	struct err err;

	cx->reads[0].path = "Pod/web/a";
	cx->reads[0].json = "{\"metadata\":{\"uid\":\"u1\"}}";
	cx->scripts = scripts;
	world_works(cx, &kubernetes_delete_step, "{\"kind\":\"Pod\",\"name\":\"web/a\",\"grace\":0}"); /* another one is no matter */
	world_is(&cx->effects[0].body, "{\"grace\":0,\"missing_ok\":false,\"propagation\":\"background\",\"uid\":\"u1\"}");
	assert_int_equal(cx->effects[0].class, EFFECT_PROBE);
	world_works(cx, &kubernetes_delete_step, "{\"kind\":\"Pod\",\"name\":\"b\",\"missing_ok\":true,\"wait\":false,\"propagation\":\"orphan\"}");
	world_is(&cx->effects[0].body, "{\"missing_ok\":true,\"propagation\":\"orphan\"}");
	cx->scripts = never;
	assert_int_equal(world_run(cx, &kubernetes_delete_step, "{\"kind\":\"Pod\",\"name\":\"web/a\"}", &err), -1);
	assert_int_equal(err.kind, ERR_TIMEOUT);
	cx->refused = "Pod/web/a";
	world_works(cx, &kubernetes_delete_step, "{\"kind\":\"Pod\",\"name\":\"web/a\"}");
	assert_string_equal(cx->assumed, "Pod web/a will be gone");
}

static void
test_patch(void **state)
{
	struct step_ctx *cx = *state;

	cx->reply = "{\"metadata\":{\"name\":\"d\",\"generation\":2}}";
	world_works(cx, &kubernetes_patch_step, "{\"kind\":\"deploy\",\"name\":\"d\",\"merge\":{\"spec\":{\"paused\":null}},\"uid\":\"u\"}");
	assert_string_equal(cx->effects[0].on.path, "deploy//d");
	assert_int_equal(cx->effects[0].class, EFFECT_IDEMPOTENT);
	world_is(&cx->effects[0].body, "{\"patch\":{\"spec\":{\"paused\":null}},\"type\":\"merge\",\"uid\":\"u\"}");
	world_is(world_output(cx, "generation"), "2");
	world_works(cx, &kubernetes_patch_step, "{\"kind\":\"deploy\",\"name\":\"d\",\"subresource\":\"status\",\"json\":[{\"op\":\"add\",\"path\":\"/a/-\",\"value\":1}]}");
	assert_string_equal(cx->effects[0].on.path, "deploy//d#status");
	assert_string_equal(cx->effects[0].says, "patch status of deploy d");
	assert_int_equal(cx->effects[0].class, EFFECT_PROBE);
	world_works(cx, &kubernetes_patch_step, "{\"kind\":\"deploy\",\"name\":\"d\",\"strategic\":{\"a\":1},\"resource_version\":\"9\"}");
	assert_int_equal(cx->effects[0].class, EFFECT_PROBE);
	world_refuses(cx, &kubernetes_patch_step, "{\"kind\":\"deploy\",\"name\":\"d\"}", "one of merge, json and strategic");
	world_refuses(cx, &kubernetes_patch_step, "{\"kind\":\"deploy\",\"name\":\"d\",\"merge\":{\"a\":1},\"strategic\":{\"a\":1}}", "one of merge");
	world_refuses(cx, &kubernetes_patch_step, "{\"kind\":\"deploy\",\"name\":\"d\",\"merge\":{}}", "nothing to do");
	world_refuses(cx, &kubernetes_patch_step, "{\"kind\":\"deploy\",\"name\":\"d\",\"json\":[{\"op\":\"x\"}]}", "RFC 6902");
}

static void
test_small_patches(void **state)
{
	struct step_ctx *cx = *state;

	world_works(cx, &kubernetes_scale_step, "{\"kind\":\"Deployment\",\"name\":\"d\",\"namespace\":\"web\",\"replicas\":0}");
	assert_string_equal(cx->effects[0].on.path, "Deployment/web/d#scale");
	assert_string_equal(cx->effects[0].says, "scale Deployment web/d to 0");
	world_is(&cx->effects[0].body, "{\"patch\":{\"spec\":{\"replicas\":0}},\"type\":\"merge\"}");
	world_works(cx, &kubernetes_label_step, "{\"kind\":\"Namespace\",\"name\":\"web\",\"labels\":{\"a\":\"b\",\"c\":null}}");
	assert_string_equal(cx->effects[0].says, "set labels of Namespace web");
	world_is(&cx->effects[0].body, "{\"patch\":{\"metadata\":{\"labels\":{\"a\":\"b\",\"c\":null}}},\"type\":\"merge\"}");
	world_works(cx, &kubernetes_annotate_step, "{\"kind\":\"Namespace\",\"name\":\"web\",\"annotations\":{\"a\":\"b\"}}");
	world_is(&cx->effects[0].body, "{\"patch\":{\"metadata\":{\"annotations\":{\"a\":\"b\"}}},\"type\":\"merge\"}");
	world_refuses(cx, &kubernetes_label_step, "{\"kind\":\"Namespace\",\"name\":\"web\",\"labels\":{\"a\":1}}", "must be a text");
	world_refuses(cx, &kubernetes_scale_step, "{\"kind\":\"Deployment\",\"name\":\"D\",\"replicas\":0}", "RFC 1123");
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, world_setup, world_teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_get),    TEST(test_list),   TEST(test_rights),       TEST(test_info),   TEST(test_apply), TEST(test_apply_many),
		TEST(test_create), TEST(test_apply_secret), TEST(test_delete), TEST(test_patch), TEST(test_small_patches), TEST(test_unknown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* The fields of objects: what managedFields tell about lists and owners, shapes, projections and the way back. */
#include "kube_values.h"

#include "steps/target/kube_fields.h"

#define MANAGED(fields) "'managedFields':[{'manager':'wherry','operation':'Apply','fieldsV1':" fields "}]"

static const char deployment[] = "{'metadata':{'name':'web'," MANAGED("{'f:spec':{'f:replicas':{},'f:selector':{},'f:template':{'f:spec':"
	"{'f:containers':{'k:{\\\"name\\\":\\\"app\\\"}':{'.':{},'f:name':{},'f:image':{},'f:ports':"
	"{'k:{\\\"containerPort\\\":80,\\\"protocol\\\":\\\"TCP\\\"}':{'.':{},'f:containerPort':{}}}}},'f:args':{}}}}}") "},"
	"'spec':{'replicas':2,'selector':{'app':'web'},'template':{'spec':{'args':['a','b'],'containers':["
	"{'name':'side','image':'s:1'},{'name':'app','image':'a:1','imagePullPolicy':'Always','ports':"
	"[{'containerPort':80,'protocol':'TCP'}]}]}}}}";

static bool
has(const char *want)
{
	const struct value w = json(want), have = json(deployment), types = kube_types(&arena, &have);

	return kube_has(&w, &have, &types);
}

static void
what_is_so_already(void **state)
{
	(void)state;
	assert_true(has("{'spec':{'replicas':2}}"));
	assert_true(has("{'metadata':{'creationTimestamp':null}}"));
	assert_false(has("{'spec':{'replicas':3}}"));
	assert_false(has("{'spec':{'paused':true}}"));
	/* a keyed list may hold what others put there, in any order, with what the server filled in */
	assert_true(has("{'spec':{'template':{'spec':{'containers':[{'name':'app','image':'a:1'}]}}}}"));
	assert_true(has("{'spec':{'template':{'spec':{'containers':[{'name':'app','ports':[{'containerPort':80}]}]}}}}"));
	assert_false(has("{'spec':{'template':{'spec':{'containers':[{'name':'app','ports':[{'containerPort':81}]}]}}}}"));
	assert_false(has("{'spec':{'template':{'spec':{'containers':[{'name':'other','image':'a:1'}]}}}}"));
	/* a list without keys is one thing, and so is a map that is atomic */
	assert_true(has("{'spec':{'template':{'spec':{'args':['a','b']}}}}"));
	assert_false(has("{'spec':{'template':{'spec':{'args':['a']}}}}"));
	assert_false(has("{'spec':{'template':{'spec':{'args':['b','a']}}}}"));
	assert_false(has("{'spec':{'selector':{}}}"));
	assert_false(has("{'spec':'no map'}"));
}

static void
secrets_are_compared(void **state)
{
	struct secret s = { "params.password", 4, arena_strdup(&arena, "dG9w") }, gone = { "params.password", 0, NULL };
	struct value have = json("{'data':{'p':'dG9w'}}"), none = VALUE_NULL;
	struct pair leaf = { "p", value_secret(&s) }, data = { "data", value_map(&leaf, 1) };
	struct value want = value_map(&data, 1);

	(void)state;
	assert_true(kube_has(&want, &have, &none));
	have = json("{'data':{'p':'dG9q'}}");
	assert_false(kube_has(&want, &have, &none));
	leaf.v = value_secret(&gone); /* out of a journal */
	data.v = value_map(&leaf, 1);
	want = value_map(&data, 1);
	have = json("{'data':{'p':''}}");
	assert_false(kube_has(&want, &have, &none));
}

static bool
drops(const char *want)
{
	const struct value w = json(want), have = json(deployment);

	return kube_drops(&arena, &have, &w, NULL);
}

static void
what_apply_would_take_out(void **state)
{
	const char *all = "{'spec':{'replicas':1,'selector':{},'template':{'spec':{'args':[],'containers':[{'name':'app','image':'x',"
			  "'ports':[{'containerPort':80}]}]}}}}";
	const struct value have = json(deployment), w = json("{}");

	(void)state;
	assert_false(drops(all));
	assert_true(drops("{'spec':{'selector':{},'template':{'spec':{'args':[],'containers':[{'name':'app','image':'x',"
			  "'ports':[{'containerPort':80}]}]}}}}")); /* replicas */
	assert_true(drops("{'spec':{'replicas':1,'selector':{},'template':{'spec':{'args':[],'containers':[{'name':'app','image':'x',"
			  "'ports':[]}]}}}}"));
	assert_true(drops("{'spec':{'replicas':1,'selector':{},'template':{'spec':{'args':[],'containers':[{'name':'b','image':'x',"
			  "'ports':[{'containerPort':80}]}]}}}}"));
	assert_false(kube_drops(&arena, &have, &w, "status")); /* that is another part of it */
}

static void
apply_is_foretold(void **state)
{
	const struct value have = json(deployment), types = kube_types(&arena, &have), none = VALUE_NULL;
	struct value want = json("{'spec':{'replicas':5,'selector':{'app':'b'},'template':{'spec':{'args':['c'],'containers':"
				 "[{'name':'app','image':'a:2'},{'name':'new','image':'n:1'}]}}}}"), got;

	(void)state;
	got = kube_apply_merge(&arena, &have, &want, &types);
	assert_json(*value_get(&got, "spec"), "{'replicas':5,'selector':{'app':'b'},'template':{'spec':{'args':['c'],'containers':["
		    "{'name':'side','image':'s:1'},{'name':'app','image':'a:2','imagePullPolicy':'Always','ports':"
		    "[{'containerPort':80,'protocol':'TCP'}]},{'name':'new','image':'n:1'}]}}}");
	want = json("{'a':1,'b':null,'c':{'d':null,'e':2}}");
	assert_json(kube_apply_merge(&arena, &none, &want, &none), "{'a':1,'c':{'e':2}}");
	want = json("{'spec':{'replicas':null,'selector':{'app':null},'template':{'spec':{'containers':[{'name':'side','image':'s:2'}]}}}}");
	got = kube_strategic_merge(&arena, &have, &want);
	assert_json(*value_get(&got, "spec"), "{'selector':{},'template':{'spec':{'args':['a','b'],'containers':["
		    "{'name':'side','image':'s:2'},{'name':'app','image':'a:1','imagePullPolicy':'Always','ports':"
		    "[{'containerPort':80,'protocol':'TCP'}]}]}}}");
	/* what no manager tells about */
	want = json("{'env':[{'name':'A','value':'2'}],'args':['x']}");
	got = json("{'env':[{'name':'B','value':'1'},{'name':'A','value':'1'}],'args':['y','z']}");
	assert_json(kube_apply_merge(&arena, &got, &want, NULL),
		    "{'env':[{'name':'B','value':'1'},{'name':'A','value':'2'}],'args':['x']}");
}

static void
shapes(void **state)
{
	const struct value have = json(deployment);
	struct value v = json("{'apiVersion':'apps/v1','kind':'Deployment','metadata':{'name':'web','labels':{'a':'b'}},"
			      "'spec':{'paused':true,'selector':{'app':'x'},'strategy':{},'gone':null}}"), shape;

	(void)state;
	shape = kube_shape_of_apply(&arena, &have, &v, NULL); /* and what was applied before */
	assert_json(shape, "{'metadata':{'labels':{'a':true}},'spec':{'paused':true,'replicas':true,'selector':true,'strategy':{},"
		    "'template':{'spec':{'args':true,'containers':true}}}}");
	v = json("{'metadata':{'labels':{'a':null}},'spec':{'$setElementOrder/containers':[{'name':'a'}],'strategy':{'$retainKeys':['type'],"
		 "'type':'x'},'args':['b']}}");
	assert_json(kube_shape_of_patch(&arena, &v), "{'metadata':{'labels':{'a':true}},'spec':{'containers':true,'strategy':true,"
		    "'args':true}}");
	v = json("[{'op':'test','path':'/x','value':1},{'op':'add','path':'/spec/template/spec/containers/0/image','value':'x'},"
		 "{'op':'move','from':'/spec/replicas','path':'/spec/selector/a~1b'}]");
	assert_json(kube_shape_of_json(&arena, &have, &v), "{'spec':{'template':{'spec':{'containers':true}},'replicas':true,"
		    "'selector':{'a/b':true}}}");
	v = json("[{'op':'replace','path':'','value':{}}]");
	assert_json(kube_shape_of_json(&arena, &have, &v), "true");
}

/* There and back: what a patch does is undone, and what others did meanwhile stays. */
static void
the_way_back(void **state)
{
	static const struct {
		const char *shape, *before, *now, *part, *back;
	} cases[] = {
		{ "{'a':true}", "{'a':1,'x':1}", "{'a':2,'x':2}", "{'a':2}", "{'a':1}" },
		{ "{'a':true}", "{}", "{'a':2,'x':2}", "{'a':2}", "{'a':null}" },
		{ "{'a':true}", "{'a':[1]}", "{'a':[1,2]}", "{'a':[1,2]}", "{'a':[1]}" },
		{ "{'m':{'a':true}}", "{}", "{'m':{'a':2,'b':1}}", "{'m':{'a':2}}", "{'m':{'a':null}}" },
		{ "{'m':{'a':true}}", "{'m':{'a':1}}", "{'m':{}}", "null", "{'m':{'a':1}}" },
		{ "{'m':{'a':true}}", "{'m':{'a':1}}", "{}", "null", "{'m':{'a':1}}" },
		{ "{'m':{'a':true}}", "{'m':'text'}", "{'m':{'a':1}}", "{'m':{'a':1}}", "{'m':'text'}" },
		{ "{'m':{'a':true}}", "{}", "{}", "null", "{}" },
		{ "{'m':{}}", "{}", "{'m':{}}", "{'m':{}}", "{'m':null}" },
		{ "{'m':{}}", "{}", "{'m':{'theirs':1}}", "{'m':{}}", "{}" },
		{ "{'m':{}}", "{'m':{'a':1}}", "{'m':{'b':1}}", "{'m':{}}", "{}" },
		{ "{'a':true}", "{'a':1}", "{'a':1}", "{'a':1}", "{}" },
	};

	(void)state;
	for (size_t i = 0; i < countof(cases); i++) {
		const struct value shape = json(cases[i].shape), before = json(cases[i].before), now = json(cases[i].now);
		struct value back = kube_restore(&arena, &shape, &before, &now);

		assert_json(kube_project(&arena, &shape, &now), cases[i].part);
		assert_json(back, cases[i].back);
	}
}

/* A server may say anything. */
static void
odd_managed_fields(void **state)
{
	static const char *const odd[] = {
		"{}", "{'metadata':1}", "{'metadata':{'managedFields':{}}}", "{'metadata':{'managedFields':[1,{'manager':'wherry'},"
		"{'manager':'wherry','operation':'Apply','fieldsV1':[]}]}}",
		"{'metadata':{" MANAGED("{'k:{':{'f:a':1},'k:[]':{},'v:{':{},'f:':{},'i:0':{},'':3}") "}}",
	};
	const struct value want = json("{'a':[{'b':1}],'':{'c':[2]}}");

	(void)state;
	for (size_t i = 0; i < countof(odd); i++) {
		const struct value v = json(odd[i]), types = kube_types(&arena, &v);

		(void)kube_has(&want, &v, &types);
		(void)kube_drops(&arena, &v, &want, NULL);
		(void)kube_apply_merge(&arena, &v, &want, &types);
		(void)kube_shape_of_apply(&arena, &v, &want, NULL);
		assert_false(kube_managed_by(&v, "somebody"));
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(what_is_so_already, drop_arena),
		cmocka_unit_test_teardown(secrets_are_compared, drop_arena),
		cmocka_unit_test_teardown(what_apply_would_take_out, drop_arena),
		cmocka_unit_test_teardown(apply_is_foretold, drop_arena),
		cmocka_unit_test_teardown(shapes, drop_arena),
		cmocka_unit_test_teardown(the_way_back, drop_arena),
		cmocka_unit_test_teardown(odd_managed_fields, drop_arena),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Patches on values: the examples of RFC 7396 appendix A and of RFC 6902 appendix A, and what must be refused. */
#include "kube_values.h"

#include "steps/target/kube_patch.h"

static void
merge_patches(void **state)
{
	static const char *const cases[][3] = {
		{ "{'a':'b'}", "{'a':'c'}", "{'a':'c'}" },
		{ "{'a':'b'}", "{'b':'c'}", "{'a':'b','b':'c'}" },
		{ "{'a':'b'}", "{'a':null}", "{}" },
		{ "{'a':'b','b':'c'}", "{'a':null}", "{'b':'c'}" },
		{ "{'a':['b']}", "{'a':'c'}", "{'a':'c'}" },
		{ "{'a':'c'}", "{'a':['b']}", "{'a':['b']}" },
		{ "{'a':{'b':'c'}}", "{'a':{'b':'d','c':null}}", "{'a':{'b':'d'}}" },
		{ "{'a':[{'b':'c'}]}", "{'a':[1]}", "{'a':[1]}" },
		{ "['a','b']", "['c','d']", "['c','d']" },
		{ "{'a':'b'}", "['c']", "['c']" },
		{ "{'a':'foo'}", "null", "null" },
		{ "{'a':'foo'}", "'bar'", "'bar'" },
		{ "{'e':null}", "{'a':1}", "{'e':null,'a':1}" },
		{ "[1,2]", "{'a':'b','c':null}", "{'a':'b'}" },
		{ "{}", "{'a':{'bb':{'ccc':null}}}", "{'a':{'bb':{}}}" },
	};

	(void)state;
	for (size_t i = 0; i < countof(cases); i++) {
		const struct value target = json(cases[i][0]), patch = json(cases[i][1]);

		assert_json(kube_merge_patch(&arena, &target, &patch), cases[i][2]);
	}
}

static void
json_patches(void **state)
{
	static const char *const cases[][3] = {
		{ "{'foo':'bar'}", "[{'op':'add','path':'/baz','value':'qux'}]", "{'baz':'qux','foo':'bar'}" },
		{ "{'foo':['bar','baz']}", "[{'op':'add','path':'/foo/1','value':'qux'}]", "{'foo':['bar','qux','baz']}" },
		{ "{'foo':['bar']}", "[{'op':'add','path':'/foo/-','value':['abc','def']}]", "{'foo':['bar',['abc','def']]}" },
		{ "{'baz':'qux','foo':'bar'}", "[{'op':'remove','path':'/baz'}]", "{'foo':'bar'}" },
		{ "{'foo':['bar','qux','baz']}", "[{'op':'remove','path':'/foo/1'}]", "{'foo':['bar','baz']}" },
		{ "{'baz':'qux','foo':'bar'}", "[{'op':'replace','path':'/baz','value':'boo'}]", "{'baz':'boo','foo':'bar'}" },
		{ "{'foo':{'bar':'baz','waldo':'fred'},'qux':{'corge':'grault'}}",
		  "[{'op':'move','from':'/foo/waldo','path':'/qux/thud'}]",
		  "{'foo':{'bar':'baz'},'qux':{'corge':'grault','thud':'fred'}}" },
		{ "{'foo':['all','grass','cows','eat']}", "[{'op':'move','from':'/foo/1','path':'/foo/3'}]",
		  "{'foo':['all','cows','eat','grass']}" },
		{ "{'baz':'qux','foo':['a',2,'c']}",
		  "[{'op':'test','path':'/baz','value':'qux'},{'op':'test','path':'/foo/1','value':2}]",
		  "{'baz':'qux','foo':['a',2,'c']}" },
		{ "{'foo':1}", "[{'op':'copy','from':'/foo','path':'/bar'}]", "{'foo':1,'bar':1}" },
		{ "{'/':9,'~1':10}", "[{'op':'replace','path':'/~1','value':1},{'op':'replace','path':'/~01','value':2}]",
		  "{'/':1,'~1':2}" },
		{ "{'foo':'bar'}", "[{'op':'add','path':'','value':{'a':1}}]", "{'a':1}" },
	};
	struct err err = ERR_INIT;
	struct value ret;

	(void)state;
	for (size_t i = 0; i < countof(cases); i++) {
		const struct value target = json(cases[i][0]), patch = json(cases[i][1]);

		assert_int_equal(kube_json_patch(&arena, &target, &patch, &ret, &err), 0);
		assert_json(ret, cases[i][2]);
	}
}

static void
bad_json_patches(void **state)
{
	static const struct {
		const char *patch, *says;
		enum err_kind kind;
	} cases[] = {
		{ "{}", "a json patch is a list of operations", ERR_PLAN },
		{ "[{'op':'add','path':'/a/b','value':1}]", "operation 1 of the patch: its path is not there", ERR_FAILED },
		{ "[{'op':'test','path':'/foo','value':'no'}]", "operation 1 of the patch: the test does not hold", ERR_FAILED },
		{ "[{'op':'remove','path':'/nope'}]", "operation 1 of the patch: its path is not there", ERR_FAILED },
		{ "[{'op':'remove','path':'/list/2'}]", "operation 1 of the patch: its path is not there", ERR_FAILED },
		{ "[{'op':'remove','path':'/list/-'}]", "operation 1 of the patch: its path is not there", ERR_FAILED },
		{ "[{'op':'remove','path':'/list/00'}]", "operation 1 of the patch: its path is not there", ERR_FAILED },
		{ "[{'op':'remove','path':'/list/99999999999999999999'}]", "operation 1 of the patch: its path is not there", ERR_FAILED },
		{ "[{'op':'copy','from':'/nope','path':'/x'}]", "operation 1 of the patch: 'from' is not there", ERR_FAILED },
		{ "[{'op':'copy','path':'/x'}]", "operation 1 of the patch: 'from' is no JSON pointer such as /spec/replicas", ERR_PLAN },
		{ "[{'op':'add','path':'foo','value':1}]", "operation 1 of the patch: 'path' is no JSON pointer such as /spec/replicas",
		  ERR_PLAN },
		{ "[{'op':'add','path':'/~2','value':1}]", "operation 1 of the patch: 'path' is no JSON pointer such as /spec/replicas",
		  ERR_PLAN },
		{ "[{'op':'add','path':'/foo'}]", "operation 1 of the patch: 'value' is missing", ERR_PLAN },
		{ "[{'op':'test','path':'/foo','value':'bar'},{'op':'put','path':'/foo','value':1}]",
		  "operation 2 of the patch: 'op' is none of add, remove, replace, move, copy, test", ERR_PLAN },
	};
	const struct value target = json("{'foo':'bar','list':[1,2]}");
	struct value ret;

	(void)state;
	for (size_t i = 0; i < countof(cases); i++) {
		const struct value patch = json(cases[i].patch);
		struct err err = ERR_INIT;

		assert_int_equal(kube_json_patch(&arena, &target, &patch, &ret, &err), -1);
		assert_string_equal(err.msg, cases[i].says);
		assert_int_equal(err.kind, cases[i].kind);
	}
}

/* Each copy is deeper than the last: it must end before the stack does. */
static void
a_patch_that_grows(void **state)
{
	struct value target = json("{'a':{'b':1}}"), op = json("{'op':'copy','from':'/a','path':'/a/b'}"), ops[100], ret;
	struct err err = ERR_INIT;

	(void)state;
	for (size_t i = 0; i < countof(ops); i++)
		ops[i] = op;
	op = value_list(ops, countof(ops));
	assert_int_equal(kube_json_patch(&arena, &target, &op, &ret, &err), -1);
	assert_non_null(strstr(err.msg, "too deep"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(merge_patches, drop_arena),
		cmocka_unit_test_teardown(json_patches, drop_arena),
		cmocka_unit_test_teardown(bad_json_patches, drop_arena),
		cmocka_unit_test_teardown(a_patch_that_grows, drop_arena),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

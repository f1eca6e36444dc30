/* SPDX-License-Identifier: Apache-2.0 */
/* Images of effects on objects: what is so already, what counts when one is taken back, what takes it back, what is shown. */
#include "kube_values.h"

#include "steps/target/kube_again.h"
#include "steps/target/kube_hide.h"
#include "steps/target/kube_image.h"
#include "steps/target/kube_patch.h"

static const char live[] = "{'apiVersion':'apps/v1','kind':'Deployment','metadata':{'name':'web','namespace':'n','uid':'u1',"
	"'resourceVersion':'7','labels':{'a':'1','theirs':'x'}},'spec':{'replicas':2},'status':{'ready':2}}";

static struct effect
effect(const char *verb, const char *path, const char *body)
{
	return (struct effect){ .on = { NULL, path }, .verb = verb, .body = json(body) };
}

static bool
same(const char *verb, const char *body, const char *before)
{
	const struct effect e = effect(verb, "Deployment.apps/n/web", body);
	const struct value v = json(before);

	return kube_same(&e, &v);
}

static void
so_already(void **state)
{
	(void)state;
	assert_true(same("apply", "{'object':{'apiVersion':'apps/v1beta1','metadata':{'labels':{'a':'1'}},'spec':{'replicas':2},"
			 "'status':{'ready':0}}}", live));
	assert_false(same("apply", "{'object':{'spec':{'replicas':3}}}", live));
	assert_false(same("apply", "{'object':{'spec':{'replicas':3}}}", "null"));
	assert_false(same("apply", "{'object':{}}", "{'metadata':{'deletionTimestamp':'now'}}"));
	assert_false(same("create", "{'object':{'spec':{'replicas':2}}}", live));
	assert_true(same("create", "{'undo':true,'object':{'spec':{'replicas':2}}}", live));
	assert_true(same("patch", "{'patch':{'spec':{'replicas':2},'x':null}}", live));
	assert_false(same("patch", "{'patch':{'spec':{'replicas':2}},'uid':'u2'}", live));
	assert_false(same("patch", "{'patch':{'spec':null}}", live));
	assert_true(same("patch", "{'patch':{'metadata':{'annotations':{'gone':null}}}}", live));
	assert_true(same("patch", "{'patch':{'spec':{'replicas':2}},'type':'strategic'}", live));
	assert_false(same("patch", "{'patch':{'spec':{'$patch':'replace','replicas':2}},'type':'strategic'}", live));
	assert_true(same("patch", "{'patch':[{'op':'test','path':'/spec/replicas','value':2}],'type':'json'}", live));
	assert_false(same("patch", "{'patch':[{'op':'test','path':'/spec/replicas','value':3}],'type':'json'}", live));
	assert_true(same("delete", "{'missing_ok':true}", "null"));
	assert_true(same("delete", "{'missing_ok':true,'uid':'u2'}", live)); /* the one that is meant is gone */
	assert_false(same("delete", "{}", "null"));
	assert_false(same("delete", "{'uid':'u2'}", live));
	assert_true(same("delete", "{'uid':'u1'}", "{'metadata':{'uid':'u1','deletionTimestamp':'now'}}"));
	assert_false(same("delete", "{'uid':'u1'}", live));
	assert_true(same("evict", "{'undo':true}", "null"));
	assert_false(same("exec", "{}", live));
}

static void
string_data(void **state)
{
	struct secret top = { "params.password", 3, arena_strdup(&arena, "top") };
	struct pair texts[] = { { "p", value_secret(&top) }, { "q", value_str("q") } },
		    object[] = { { "kind", value_str("Secret") }, { "apiVersion", value_str("v1") }, { "data", json("{'r':'cg=='}") },
				 { "stringData", value_map(texts, 2) } }, body = { "object", value_map(object, 4) };
	const struct effect e = { .on = { NULL, "Secret/n/s" }, .verb = "apply", .body = value_map(&body, 1) };
	const struct value before = json("{'kind':'Secret','apiVersion':'v1','data':{'p':'dG9w','q':'cQ==','r':'cg=='}}");
	const struct value want = kube_wanted(&arena, &e), *data = value_get(&want, "data");

	(void)state;
	assert_null(value_get(&want, "stringData"));
	assert_int_equal(value_get(data, "p")->kind, V_SECRET);
	assert_string_equal(value_get(data, "p")->secret->content, "dG9w");
	assert_string_equal(value_get_str(data, "q", ""), "cQ==");
	assert_true(kube_same(&e, &before));
}

static void
what_counts(void **state)
{
	struct effect e = effect("patch", "Deployment.apps/n/web", "{'patch':{'metadata':{'labels':{'a':'1'}},'spec':{'replicas':2}}}");
	const struct value now = json(live), none = VALUE_NULL, gone = json("{'metadata':{'deletionTimestamp':'x'}}"),
		owned = json("{'metadata':{'ownerReferences':[{'controller':true}]}}"), again = json("{'metadata':{'uid':'u2'}}");

	(void)state;
	assert_json(kube_stands(&arena, &e, &none, &now, NULL), "{'metadata':{'labels':{'a':'1'},'uid':'u1'},'spec':{'replicas':2}}");
	assert_json(kube_stands(&arena, &e, &none, &none, NULL), "null");
	/* made again by the undo of a later effect: that one is meant */
	assert_json(kube_stands(&arena, &e, &none, &now, &again), "{'metadata':{'labels':{'a':'1'},'uid':'u2'},'spec':{'replicas':2}}");
	assert_true(kube_stands(&arena, &e, &none, &owned, NULL).flags & VF_UNKNOWN); /* foretold only */
	e = effect("delete", "Deployment.apps/n/web", "{}");
	assert_json(kube_stands(&arena, &e, &now, &now, NULL), "{'apiVersion':'apps/v1','kind':'Deployment','metadata':{'name':'web',"
		    "'namespace':'n','labels':{'a':'1','theirs':'x'}},'spec':{'replicas':2}}");
	assert_json(kube_stands(&arena, &e, &now, &gone, NULL), "null");
	assert_json(kube_stands(&arena, &e, &now, &owned, NULL), "null");
	assert_json(kube_after(&arena, &e, &now), "null");
}

static void
inverses(void **state)
{
	const struct value none = VALUE_NULL, before = json(live), now = json("{'metadata':{'uid':'u9','labels':{'a':'2','b':'3'}},"
		"'spec':{'replicas':5}}"), ns = json("{'kind':'Namespace','metadata':{'name':'n'}}");
	struct effect e = effect("patch", "Deployment.apps/n/web", "{'patch':{'metadata':{'labels':{'a':'2','b':'3'}},"
				 "'spec':{'replicas':5}}}"), back;
	struct err err = ERR_INIT;

	(void)state;
	assert_int_equal(kube_invert(&arena, &e, &before, &now, &back, &err), 0);
	assert_string_equal(back.verb, "patch");
	assert_json(back.body, "{'undo':true,'uid':'u9','patch':{'metadata':{'labels':{'a':'1','b':null}},'spec':{'replicas':2}}}");
	assert_false(kube_same(&back, &now));
	e = effect("apply", "Deployment.apps/n/web", "{'object':{'spec':{'replicas':5}}}");
	assert_int_equal(kube_invert(&arena, &e, &before, &now, &back, &err), 0);
	assert_json(back.body, "{'undo':true,'uid':'u9','patch':{'spec':{'replicas':2}}}");
	assert_int_equal(kube_invert(&arena, &e, &none, &now, &back, &err), 0);
	assert_string_equal(back.verb, "delete");
	assert_json(back.body, "{'undo':true,'uid':'u9','propagation':'background'}");
	e = effect("delete", "Deployment.apps/n/web", "{'uid':'u1'}");
	assert_int_equal(kube_invert(&arena, &e, &before, &none, &back, &err), 0);
	assert_string_equal(back.verb, "create");
	assert_json(*value_get(&back.body, "object"), "{'apiVersion':'apps/v1','kind':'Deployment','metadata':{'name':'web',"
		    "'namespace':'n','labels':{'a':'1','theirs':'x'}},'spec':{'replicas':2}}");
	assert_int_equal(kube_invert(&arena, &e, &ns, &none, &back, &err), -1);
	assert_string_equal(err.msg, "all that was in the namespace is gone with it");
	e = effect("evict", "Pod/n/x#eviction", "{}");
	assert_int_equal(kube_invert(&arena, &e, &before, &none, &back, &err), -1);
	e = effect("patch", "Deployment.apps/n/web", "{'type':'json','patch':[{'op':'replace','path':'','value':{}}]}");
	assert_int_equal(kube_invert(&arena, &e, &before, &now, &back, &err), -1);
}

/* What a controller makes again is none of an undo's business. */
static void
controlled_objects(void **state)
{
	const struct value none = VALUE_NULL, pod = json("{'kind':'Pod','metadata':{'uid':'p1','ownerReferences':[{'controller':true}]}}");
	const struct effect e = effect("delete", "Pod/n/x", "{}");
	struct err err = ERR_INIT;
	struct effect back;

	(void)state;
	assert_int_equal(kube_invert(&arena, &e, &pod, &none, &back, &err), 0);
	assert_true(kube_same(&back, &none));
}

static void
made_again(void **state)
{
	static const char *const cases[][2] = {
		{ "{'kind':'Job','metadata':{'name':'j','labels':{'controller-uid':'u','batch.kubernetes.io/controller-uid':'u','k':'v'}},"
		  "'spec':{'selector':{'matchLabels':{'controller-uid':'u'}},'template':{'metadata':{'labels':{'controller-uid':'u'}},'spec':{}}}}",
		  "{'kind':'Job','metadata':{'name':'j','labels':{'k':'v'}},'spec':{'template':{'metadata':{},'spec':{}}}}" },
		{ "{'kind':'Job','spec':{'completions':1},'status':{'conditions':[{'type':'FailureTarget','status':'True'},{'type':'Failed',"
		  "'status':'True'}]}}",
		  "{'kind':'Job','spec':{'completions':1,'suspend':true}}" },
		{ "{'kind':'Job','spec':{'manualSelector':true,'selector':{'a':'b'}}}",
		  "{'kind':'Job','spec':{'manualSelector':true,'selector':{'a':'b'}}}" },
		{ "{'kind':'Pod','metadata':{'ownerReferences':[{'uid':'x'}]},'spec':{'nodeName':'n1','containers':[]},'status':{}}",
		  "{'kind':'Pod','metadata':{},'spec':{'containers':[]}}" },
		{ "{'kind':'PersistentVolume','spec':{'claimRef':{'name':'c','namespace':'n','uid':'x','resourceVersion':'1'}}}",
		  "{'kind':'PersistentVolume','spec':{'claimRef':{'name':'c','namespace':'n'}}}" },
		{ "{'kind':'PersistentVolumeClaim','metadata':{'annotations':{'pv.kubernetes.io/bind-completed':'yes'}},"
		  "'spec':{'volumeName':'v'}}", "{'kind':'PersistentVolumeClaim','metadata':{},'spec':{'volumeName':'v'}}" },
		{ "{'kind':'ConfigMap','data':{'status':'kept'}}", "{'kind':'ConfigMap','data':{'status':'kept'}}" },
		{ "{'kind':'Odd','metadata':1,'spec':[],'status':3}", "{'kind':'Odd','metadata':1,'spec':[]}" },
	};

	(void)state;
	for (size_t i = 0; i < countof(cases); i++) {
		const struct value v = json(cases[i][0]);

		assert_json(kube_again(&arena, &v), cases[i][1]);
	}
}

static void
what_is_shown(void **state)
{
	const struct value secret = json("{'apiVersion':'v1','kind':'Secret','metadata':{'namespace':'n','name':'s','resourceVersion':'3',"
		"'managedFields':[],'annotations':{'kubectl.kubernetes.io/last-applied-configuration':'dG9w'}},'data':{'p':'dG9w'},"
		"'stringData':{'q':'top'}}");
	struct effect e = effect("patch", "Secret/n/s", "{}");
	struct value v = kube_shown(&arena, &e, &secret, true);
	struct buf text = BUF_INIT(0);

	(void)state;
	value_show(&text, &v);
	assert_string_equal(text.p, "{\"apiVersion\":\"v1\",\"data\":{\"p\":\"(secret)\"},\"kind\":\"Secret\",\"metadata\":{\"annotations\":"
			    "{\"kubectl.kubernetes.io/last-applied-configuration\":\"(secret)\"},\"name\":\"s\",\"namespace\":\"n\"},"
			    "\"stringData\":{\"q\":\"(secret)\"}}");
	assert_int_equal(value_get(value_get(&v, "data"), "p")->kind, V_SECRET);
	buf_done(&text);
	e = effect("", "Deployment.apps/n/web", "{}");
	v = json(live);
	assert_json(kube_shown(&arena, &e, &v, false), live);
	v = json("{'metadata':{'name':'x'}}"); /* of a dry-run */
	v = kube_shown(&arena, &e, &v, false);
	assert_int_equal(kube_meta(&v, "uid")->kind, V_UNKNOWN);
}

/* A field that the plan gives as a secret is one in every image of the effect and of its undo, and in messages. */
static void
secrets_of_the_plan(void **state)
{
	struct secret top = { "params.password", 6, arena_strdup(&arena, "topmost") };
	struct value hidden = value_secret(&top), ops;
	struct pair op[] = { { "op", value_str("add") }, { "path", value_str("/data/p") }, { "value", VALUE_NULL } },
		    patch[] = { { "patch", VALUE_NULL }, { "type", value_str("json") } };
	struct pair data[] = { { "p", hidden }, { "q", value_str("open") } }, object = { "data", value_map(data, 2) },
		    body = { "object", value_map(&object, 1) };
	const struct value before = json("{'metadata':{'uid':'u'},'data':{'p':'old-one','q':'open'}}"),
		after = json("{'metadata':{'uid':'u'},'data':{'p':'topmos','q':'open'}}");
	struct effect e = { .on = { NULL, "ConfigMap/n/c" }, .verb = "apply", .body = value_map(&body, 1) }, back;
	struct value shown = kube_shown(&arena, &e, &before, true);
	struct err err = ERR_INIT;

	(void)state;
	top.content[6] = '\0';
	assert_int_equal(value_get(value_get(&shown, "data"), "p")->kind, V_SECRET);
	assert_int_equal(value_get(value_get(&shown, "data"), "q")->kind, V_STRING);
	assert_json(kube_reveal(&arena, &shown), "{'metadata':{'uid':'u'},'data':{'p':'old-one','q':'open'}}");
	assert_true(kube_same(&e, &after));
	assert_int_equal(kube_invert(&arena, &e, &before, &after, &back, &err), 0);
	assert_json(*value_get(&back.body, "patch"), "{'data':{'p':'old-one'}}");
	shown = kube_shown(&arena, &back, &after, true);
	assert_int_equal(value_get(value_get(&shown, "data"), "p")->kind, V_SECRET);
	err_set(&err, ERR_FAILED, "neither topmos nor open");
	kube_mask(&e, &err);
	assert_string_equal(err.msg, "neither (secret) nor open");
	err_set(&err, ERR_FAILED, "what was old-one is open");
	kube_mask(&back, &err);
	assert_string_equal(err.msg, "what was (secret) is open");
	/* the places of a JSON patch */
	op[2].v = hidden;
	ops = value_map(op, countof(op));
	patch[0].v = value_list(&ops, 1);
	e = (struct effect){ .on = { NULL, "ConfigMap/n/c" }, .verb = "patch", .body = value_map(patch, countof(patch)) };
	shown = kube_shown(&arena, &e, &before, true);
	assert_int_equal(value_get(value_get(&shown, "data"), "p")->kind, V_SECRET);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(so_already, drop_arena),
		cmocka_unit_test_teardown(string_data, drop_arena),
		cmocka_unit_test_teardown(what_counts, drop_arena),
		cmocka_unit_test_teardown(inverses, drop_arena),
		cmocka_unit_test_teardown(controlled_objects, drop_arena),
		cmocka_unit_test_teardown(made_again, drop_arena),
		cmocka_unit_test_teardown(what_is_shown, drop_arena),
		cmocka_unit_test_teardown(secrets_of_the_plan, drop_arena),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Requests of effects on objects, to the byte, and the paths that an effect makes unknowable. */
#include "kube_values.h"

#include "steps/target/kube_predict.h"
#include "steps/target/kube_request.h"

static const struct kube_kind deployments = { .group = "apps", .version = "v1", .kind = "Deployment", .plural = "deployments",
	.namespaced = true, .preferred = true };
static const struct kube_path web = { .kind = "Deployment.apps", .namespace = "n", .name = "web", .k = &deployments };

static void
asks(struct effect e, struct kube_manner how, const char *method, const char *url, const char *type, const char *body)
{
	struct opctx op = { .arena = &arena };
	struct kube_path at = web;
	struct err err = ERR_INIT;
	struct kube_request r;
	struct value sent;

	at.sub = kube_sub_of(e.on.path);
	if (kube_request(&op, &e, &at, &how, &r, &err) < 0)
		fail_msg("%s", err.msg);
	assert_string_equal(r.ask.method, method);
	assert_string_equal(r.ask.url, url);
	assert_string_equal(r.ask.content_type != NULL ? r.ask.content_type : "", type);
	assert_int_equal(value_parse_json(&arena, r.body.p, r.body.len, &sent, &err), 0);
	assert_json(sent, body);
	assert_int_equal(r.ask.changes, !how.dry);
	assert_int_equal(r.ask.once, !how.dry && e.class != EFFECT_IDEMPOTENT);
	kube_request_done(&r);
}

#define URL "/apis/apps/v1/namespaces/n/deployments"
#define NAMED "'apiVersion':'apps/v1','kind':'Deployment','metadata':{'name':'web','namespace':'n'}"

static void
requests(void **state)
{
	const char *path = "Deployment.apps/n/web";
	const struct kube_manner plain = { .nonce = "" }, once = { .nonce = "abc" }, dry = { .nonce = "", .dry = true },
		forced = { .nonce = "", .force = true, .version = "7" };
	struct effect e = { .on = { NULL, path }, .verb = "apply", .body = json("{'object':{'metadata':{'generateName':'x-'},'spec':{}}}") };

	(void)state;
	asks(e, plain, "PATCH", URL "/web?fieldManager=wherry&force=false&fieldValidation=Strict", "application/apply-patch+yaml",
	     "{" NAMED ",'spec':{}}");
	asks(e, dry, "PATCH", URL "/web?fieldManager=wherry&force=false&fieldValidation=Strict&dryRun=All", "application/apply-patch+yaml",
	     "{" NAMED ",'spec':{}}");
	asks(e, forced, "PATCH", URL "/web?fieldManager=wherry&force=true&fieldValidation=Strict", "application/apply-patch+yaml",
	     "{'apiVersion':'apps/v1','kind':'Deployment','metadata':{'name':'web','namespace':'n','resourceVersion':'7'},'spec':{}}");
	e = (struct effect){ .on = { NULL, path }, .verb = "create", .class = EFFECT_PROBE, .body = json("{'object':{'spec':{}}}") };
	asks(e, once, "POST", URL "?fieldManager=wherry/abc&fieldValidation=Strict", "", "{" NAMED ",'spec':{}}");
	e = (struct effect){ .on = { NULL, "Deployment.apps/n/web#scale" }, .verb = "patch",
		.body = json("{'patch':{'spec':{'replicas':1}},'uid':'u','resource_version':'3'}") };
	asks(e, once, "PATCH", URL "/web/scale?fieldManager=wherry&fieldValidation=Strict", "application/merge-patch+json",
	     "{'metadata':{'uid':'u','resourceVersion':'3'},'spec':{'replicas':1}}");
	e = (struct effect){ .on = { NULL, path }, .verb = "patch", .class = EFFECT_PROBE,
		.body = json("{'type':'json','patch':[{'op':'remove','path':'/spec/x'}],'uid':'u','resource_version':'3'}") };
	asks(e, once, "PATCH", URL "/web?fieldManager=wherry/abc&fieldValidation=Strict", "application/json-patch+json",
	     "[{'op':'test','path':'/metadata/uid','value':'u'},{'op':'test','path':'/metadata/resourceVersion','value':'3'},"
	     "{'op':'remove','path':'/spec/x'}]");
	e = (struct effect){ .on = { NULL, path }, .verb = "patch", .body = json("{'type':'strategic','patch':{}}") };
	asks(e, plain, "PATCH", URL "/web?fieldManager=wherry&fieldValidation=Strict", "application/strategic-merge-patch+json", "{}");
	e = (struct effect){ .on = { NULL, path }, .verb = "delete", .class = EFFECT_PROBE,
		.body = json("{'uid':'u','propagation':'foreground','grace':0}") };
	asks(e, once, "DELETE", URL "/web", "", "{'apiVersion':'v1','kind':'DeleteOptions','preconditions':{'uid':'u'},"
	     "'propagationPolicy':'Foreground','gracePeriodSeconds':0}");
	e = (struct effect){ .on = { NULL, "Pod/n/web#eviction" }, .verb = "evict", .class = EFFECT_PROBE, .body = json("{'uid':'u'}") };
	asks(e, dry, "POST", URL "/web/eviction?dryRun=All", "", "{'apiVersion':'policy/v1','kind':'Eviction','metadata':{'name':'web',"
	     "'namespace':'n'},'deleteOptions':{'apiVersion':'v1','kind':'DeleteOptions','preconditions':{'uid':'u'},'dryRun':['All']}}");
}

static void
bad_bodies(void **state)
{
	static const char *const bodies[] = { "{}", "{'patch':[]}", "{'patch':{},'type':'json'}", "{'patch':'text','type':'strategic'}" };
	struct opctx op = { .arena = &arena };
	const struct kube_manner plain = { .nonce = "" };
	struct kube_request r;

	(void)state;
	for (size_t i = 0; i < countof(bodies); i++) {
		const struct effect e = { .on = { NULL, "Deployment.apps/n/web" }, .verb = "patch", .body = json(bodies[i]) };
		struct err err = ERR_INIT;

		assert_int_equal(kube_request(&op, &e, &web, &plain, &r, &err), -1);
		assert_int_equal(err.kind, ERR_PLAN);
		kube_request_done(&r);
	}
}

static void
touches(const char *path, const char *verb, const char *image, const char *want)
{
	const struct value v = json(image);
	const char *const *list = kube_touched(&arena, path, verb, &v);
	struct buf got = BUF_INIT(0);

	for (; *list != NULL; list++)
		buf_printf(&got, " %s", *list);
	assert_string_equal(got.p + 1, want);
	buf_done(&got);
}

static void
what_else_changes(void **state)
{
	(void)state;
	touches("ConfigMap/n/x", "apply", "null", "ConfigMap/n/x#scale ConfigMap/n/x#status");
	touches("Deployment.apps/n/x#scale", "patch", "null", "Deployment.apps/n/x ReplicaSet.apps/n/ Pod/n/");
	touches("Deployment.v1beta1.apps/n/x", "delete", "null", "Deployment.v1beta1.apps/n/x#scale Deployment.v1beta1.apps/n/x#status "
		"ReplicaSet.apps/n/ Pod/n/");
	touches("Deployment.other.io/n/x", "apply", "null", "Deployment.other.io/n/x#scale Deployment.other.io/n/x#status Pod/n/");
	touches("Widget.example.com/n/x", "delete", "null", "Widget.example.com/n/x#scale Widget.example.com/n/x#status */n/");
	touches("PersistentVolumeClaim/n/x", "delete", "null", "PersistentVolumeClaim/n/x#scale PersistentVolumeClaim/n/x#status "
		"PersistentVolume//");
	touches("Namespace//n", "delete", "null", "Namespace//n#scale Namespace//n#status */n/");
	touches("Namespace//n", "apply", "null", "Namespace//n#scale Namespace//n#status ServiceAccount/n/");
	touches("CustomResourceDefinition.apiextensions.k8s.io//w.example.com", "delete",
		"{'spec':{'group':'example.com','scope':'Namespaced','names':{'kind':'W'}}}",
		"CustomResourceDefinition.apiextensions.k8s.io//w.example.com#scale "
		"CustomResourceDefinition.apiextensions.k8s.io//w.example.com#status W.example.com/*/");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(requests, drop_arena),
		cmocka_unit_test_teardown(bad_bodies, drop_arena),
		cmocka_unit_test_teardown(what_else_changes, drop_arena),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Owns the questions that are asked by a POST and change nothing: who we are, what we may do, and whether admission would take
 * an object now. */
#include "steps/target/kube.h"

#include <string.h>

#include "base/text.h"

/* The answer to a document, and how it went; null, with 0, where the server refused to answer with one of these statuses. */
static int
ask(struct opctx *op, struct kube_conn *c, const char *url, const struct value *doc, const int refusals[2], struct kube_reply *about,
    struct value *ret, struct err *err)
{
	struct buf text = BUF_INIT(0);
	struct kube_ask ask = { .method = "POST", .url = url };
	int rc = value_json(&text, doc, err);

	*about = (struct kube_reply){ .body = BUF_INIT(0) };
	*ret = VALUE_NULL;
	ask.body = (struct bytes){ text.p, text.len };
	if (rc == 0)
		rc = kube_ask(op, c, &ask, about, err);
	if (rc == 0)
		rc = value_parse_json(op->arena, about->body.p, about->body.len, ret, err);
	else if (about->status != 0 && (about->status == refusals[0] || about->status == refusals[1]))
		rc = 0;
	kube_reply_done(about);
	buf_done(&text);
	return rc;
}

/* The resource's attributes as a review wants them. */
static int
attributes(struct opctx *op, struct kube_conn *c, const struct kube_paths *p, struct value *ret, struct err *err)
{
	const char *dot = strchr(p->kind, '.'), *namespace = strcmp(p->namespace, "*") == 0 ? "" : p->namespace;
	const char *plural, *group;
	const struct kube_kind *k;

	if (kube_kind_find(op, c, p->kind, &k, err) == 0) {
		plural = k->plural;
		group = k->group;
		if (!k->namespaced)
			namespace = "";
		else if (p->namespace[0] == '\0')
			namespace = kube_conn_namespace(c);
	} else if (err->kind == ERR_FAILED) { /* rules may be about what is not there */
		*err = ERR_INIT;
		plural = dot != NULL ? arena_strndup(op->arena, p->kind, (size_t)(dot - p->kind)) : p->kind;
		group = dot != NULL ? dot + 1 : strcmp(p->kind, "*") == 0 ? "*" : "";
	} else {
		return -1;
	}
	*ret = VALUE_MAP(op->arena, { "namespace", value_str(namespace) }, { "verb", value_str(p->verb) },
			 { "group", value_str(group) }, { "resource", value_str(plural) },
			 { "subresource", value_str(p->sub != NULL ? p->sub : "") }, { "name", value_str(p->name) });
	return 0;
}

/* https://kubernetes.io/docs/reference/kubernetes-api/authorization-resources/self-subject-access-review-v1/ */
int
kube_read_can_i(struct opctx *op, struct kube_conn *c, const struct kube_paths *p, struct value *ret, struct err *err)
{
	struct arena *a = op->arena;
	const struct value *status, *denied, *allowed;
	struct kube_reply about;
	struct value attrs, doc;

	if (attributes(op, c, p, &attrs, err) < 0)
		return -1;
	doc = VALUE_MAP(a, { "apiVersion", value_str("authorization.k8s.io/v1") }, { "kind", value_str("SelfSubjectAccessReview") },
			{ "spec", VALUE_MAP(a, { "resourceAttributes", attrs }) });
	if (ask(op, c, "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", &doc, (const int[2]){ 0 }, &about, &doc, err) < 0)
		return -1;
	status = value_get(&doc, "status");
	allowed = value_get(status, "allowed");
	denied = value_get(status, "denied");
	*ret = VALUE_MAP(a, { "allowed", value_bool(allowed != NULL && value_true(allowed)) },
			 { "denied", value_bool(denied != NULL && value_true(denied)) },
			 { "reason", value_str(value_get_str(status, "reason", "")) });
	return 0;
}

/* https://kubernetes.io/docs/reference/kubernetes-api/authentication-resources/self-subject-review-v1/ (1.28) */
int
kube_read_whoami(struct opctx *op, struct kube_conn *c, struct value *ret, struct err *err)
{
	static const int refusals[] = { 403, 404 };
	const struct value *user;
	struct kube_reply about;
	struct value doc = VALUE_MAP(op->arena, { "apiVersion", value_str("authentication.k8s.io/v1") },
				     { "kind", value_str("SelfSubjectReview") });

	if (ask(op, c, "/apis/authentication.k8s.io/v1/selfsubjectreviews", &doc, refusals, &about, &doc, err) < 0)
		return -1;
	*err = ERR_INIT;
	user = value_get(value_get(&doc, "status"), "userInfo");
	*ret = user != NULL ? *user : VALUE_NULL;
	return 0;
}

/* "a=b,c=d" as a map. */
static struct value
labels_of(struct arena *a, const char *query)
{
	struct pair *pairs = arena_array(a, query != NULL ? strlen(query) / 2 + 1 : 1, sizeof(*pairs));
	size_t n = 0;

	for (const char *p = query, *end; p != NULL && *p != '\0'; p = *end == ',' ? end + 1 : end) {
		const char *equal = strchr(p, '=');

		end = p + strcspn(p, ",");
		if (equal != NULL && equal < end)
			pairs[n++] = (struct pair){ arena_strndup(a, p, (size_t)(equal - p)),
						    value_str(arena_strndup(a, equal + 1, (size_t)(end - equal - 1))) };
	}
	return value_map(pairs, n);
}

/* The policy that a refusal names, or "". The words are those of Kubernetes' admission plugin (dispatcher.go). */
static const char *
policy_of(struct arena *a, const char *message)
{
	static const char before[] = "ValidatingAdmissionPolicy '";
	const char *at = strstr(message, before);

	return at != NULL ? arena_strndup(a, at + sizeof(before) - 1, strcspn(at + sizeof(before) - 1, "'")) : "";
}

/* Whatever the server says against it counts, but for what is wrong with the question itself. */
int
kube_read_canary(struct opctx *op, struct kube_conn *c, const struct kube_paths *p, struct value *ret, struct err *err)
{
	static const int refusals[] = { 403, 422 };
	struct arena *a = op->arena;
	const char *namespace = p->namespace[0] != '\0' ? p->namespace : kube_conn_namespace(c), *why;
	struct value doc = VALUE_MAP(a, { "apiVersion", value_str("v1") }, { "kind", value_str("ConfigMap") },
				     { "metadata", VALUE_MAP(a, { "name", value_str(p->name) }, { "namespace", value_str(namespace) },
							     { "labels", labels_of(a, p->query) }) });
	struct kube_reply about;

	if (ask(op, c, arena_printf(a, "/api/v1/namespaces/%s/configmaps?dryRun=All", kube_paths_encoded(a, namespace)), &doc, refusals,
		&about, &doc, err) < 0)
		return -1;
	why = arena_strdup(a, err->kind != ERR_NONE ? err->msg : "");
	*err = ERR_INIT;
	*ret = VALUE_MAP(a, { "taken", value_bool(doc.kind == V_MAP) }, { "why", value_str(why) },
			 { "policy", value_str(policy_of(a, value_get_str(&about.about, "message", ""))) });
	return 0;
}

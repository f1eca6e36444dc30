/* SPDX-License-Identifier: Apache-2.0 */
/* Owns who is stopped by a freeze. Controllers must go on, so that what is frozen can be scaled down: those of the control plane and
 * the nodes by their names, all others with what is no state (Events, Leases, tokens) or only their report of it. Nobody is
 * let through for his groups: administrators are stopped as well. */
#include "steps/kube_freeze.h"

#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/text.h"
#include "steps/kube_labels.h"

#define NAME_SHOWN 40 /* of the first namespace, in the name */
#define MANAGED "app.kubernetes.io/managed-by"

static const char *const accounts[] = { "system:apiserver", "system:kube-controller-manager", "system:kube-scheduler",
	"system:cloud-controller-manager", NULL };
static const char *const families[] = { "system:node:", "system:serviceaccount:kube-system:", NULL };

static int
by_name(const void *a, const void *b)
{
	return strcmp(((const struct value *)a)->s, ((const struct value *)b)->s);
}

const char *
kube_freeze_name(struct arena *a, const struct value *namespaces, const char *selector)
{
	struct value *sorted = arena_array(a, namespaces->len, sizeof(*sorted));
	struct buf text = BUF_INIT(0);
	char hex[SHA256_HEX];
	const char *ret;

	memcpy(sorted, namespaces->items, namespaces->len * sizeof(*sorted));
	qsort(sorted, namespaces->len, sizeof(*sorted), by_name);
	for (uint32_t i = 0; i < namespaces->len; i++)
		buf_printf(&text, "%s\n", sorted[i].s);
	buf_printf(&text, "\n%s", selector != NULL ? selector : "");
	sha256_hex(text.p, text.len, hex);
	ret = arena_printf(a, "wherry-freeze-%.*s-%.10s", NAME_SHOWN, sorted[0].s, hex);
	buf_done(&text);
	return ret;
}

/* ---- the policy ---- */

/* A literal of the Common Expression Language, which has all escapes of JSON. */
static void
put_literal(struct buf *to, const char *s, size_t len)
{
	const struct value v = value_strn(s, len);

	value_write(to, &v);
}

/* "x is one of these", and "x begins with one of these", or nothing. */
static void
put_list(struct buf *to, const char *const *words, const struct value *more, bool begins)
{
	size_t n = 0;

	buf_puts(to, begins ? " || [" : "request.userInfo.username in [");
	for (; words[n] != NULL; n++) {
		buf_puts(to, n > 0 ? ", " : "");
		put_literal(to, words[n], strlen(words[n]));
	}
	for (uint32_t i = 0; more != NULL && i < more->len; i++) {
		const size_t len = more->items[i].len;
		const bool star = len > 0 && more->items[i].s[len - 1] == '*';

		if (star != begins)
			continue;
		buf_puts(to, ", ");
		put_literal(to, more->items[i].s, len - star);
	}
	buf_puts(to, begins ? "].exists(x, request.userInfo.username.startsWith(x))" : "]");
}

/* Who and what is stopped. The canary is refused to everybody, us too: by that alone it is seen, with no more rights than to try
 * a ConfigMap, that the policy is in force. To act as somebody else would need the right to, and somebody who may write there. */
static const char *
condition(struct arena *a, const struct kube_freeze *f)
{
	struct buf text = BUF_INIT(0);
	const char *ret;

	buf_puts(&text, "(has(request.dryRun) && request.dryRun && has(request.name) && request.name == ");
	put_literal(&text, f->name, strlen(f->name));
	buf_puts(&text, ") || !(request.userInfo.username == ");
	put_literal(&text, f->user, strlen(f->user));
	buf_puts(&text, " || ");
	put_list(&text, accounts, f->except, false);
	put_list(&text, families, f->except, true);
	buf_puts(&text, " || (request.userInfo.username.startsWith(\"system:serviceaccount:\") && has(request.subResource) && "
		 "request.subResource in [\"status\", \"eviction\", \"binding\"]))");
	ret = arena_strndup(a, text.p, text.len);
	buf_done(&text);
	return ret;
}

static struct value
list_of(struct arena *a, const struct value *items, size_t n)
{
	struct value *copy = arena_array(a, n, sizeof(*copy));

	memcpy(copy, items, n * sizeof(*copy));
	return value_list(copy, n);
}
#define LIST(a, ...) list_of((a), (const struct value[]){ __VA_ARGS__ }, sizeof((const struct value[]){ __VA_ARGS__ }) / sizeof(struct value))

static struct value
rule(struct arena *a, const char *group, struct value operations, const char *resource, const char *scope)
{
	return VALUE_MAP(a, { "apiGroups", VALUE_WORDS(a, group) }, { "apiVersions", VALUE_WORDS(a, "*") }, { "operations", operations },
			 { "resources", VALUE_WORDS(a, resource) }, { "scope", value_str(scope) });
}

static struct value
metadata(struct arena *a, const struct kube_freeze *f, const char *name)
{
	return VALUE_MAP(a, { "name", value_str(name) }, { "labels", VALUE_MAP(a, { MANAGED, value_str("wherry") }) },
			 { "annotations", VALUE_MAP(a, { "wherry/run", value_str(f->run) }, { "wherry/step", value_str(f->step) }) });
}

static struct value
object(struct arena *a, const struct kube_freeze *f, const char *kind, const char *name, struct value spec)
{
	return VALUE_MAP(a, { "apiVersion", value_str(arena_printf(a, KUBE_FREEZE_GROUP "/%s", f->version)) }, { "kind", value_str(kind) },
			 { "metadata", metadata(a, f, name) }, { "spec", spec });
}

struct value
kube_freeze_policy(struct arena *a, const struct kube_freeze *f)
{
	const struct value all = VALUE_WORDS(a, "CREATE", "UPDATE", "DELETE"), some = VALUE_WORDS(a, "UPDATE", "DELETE");
	const char *message = arena_printf(a, "frozen by wherry (run %s, step %s): nothing can be changed here until that ends, or "
					   "kubernetes.unfreeze lifts %s", f->run, f->step, f->name);
	const struct value constraints = VALUE_MAP(a,
		{ "resourceRules", LIST(a, rule(a, "*", all, "*/*", "Namespaced"), rule(a, "", some, "namespaces", "Cluster")) },
		{ "excludeResourceRules", LIST(a, rule(a, "", all, "events", "Namespaced"), rule(a, "events.k8s.io", all, "events", "Namespaced"),
					       rule(a, "coordination.k8s.io", all, "leases", "Namespaced"),
					       rule(a, "", all, "serviceaccounts/token", "Namespaced"),
					       rule(a, "authorization.k8s.io", all, "*", "Namespaced")) });
	const struct value validation = VALUE_MAP(a, { "expression", value_str("false") }, { "message", value_str(message) },
						  { "reason", value_str("Forbidden") });

	return object(a, f, "ValidatingAdmissionPolicy", f->name, VALUE_MAP(a,
		{ "failurePolicy", value_str("Fail") }, { "matchConstraints", constraints },
		{ "matchConditions", LIST(a, VALUE_MAP(a, { "name", value_str("stopped") }, { "expression", value_str(condition(a, f)) })) },
		{ "validations", LIST(a, validation) }));
}

/* ---- the bindings ---- */

struct value
kube_freeze_binding(struct arena *a, const struct kube_freeze *f, bool of_namespaces)
{
	const struct value named = VALUE_MAP(a, { "key", value_str("kubernetes.io/metadata.name") }, { "operator", value_str("In") },
					     { "values", *f->namespaces });
	const struct value only = LIST(a, rule(a, "", VALUE_WORDS(a, "UPDATE", "DELETE"), "namespaces", "Cluster"));
	const struct value where = VALUE_MAP(a,
		{ "namespaceSelector", VALUE_MAP(a, { "matchExpressions", LIST(a, named) }) },
		{ "objectSelector", f->selector != NULL && !of_namespaces ? *f->selector : VALUE_NULL },
		{ "resourceRules", of_namespaces ? only : VALUE_NULL });
	const char *name = of_namespaces ? arena_printf(a, "%s-namespaces", f->name) : f->name;

	return object(a, f, "ValidatingAdmissionPolicyBinding", name, VALUE_MAP(a, { "policyName", value_str(f->name) },
		{ "validationActions", VALUE_WORDS(a, "Deny") }, { "matchResources", where }));
}

/* ---- what they show ---- */

const char *
kube_freeze_canary(struct arena *a, const char *name, const char *namespace, const struct value *selector)
{
	const char *labels = selector != NULL ? kube_labels_example(a, selector) : "";

	return arena_printf(a, "canary/%s/%s%s%s", namespace, name, labels != NULL && labels[0] != '\0' ? "?" : "", labels != NULL ? labels : "");
}

bool
kube_freeze_is(struct arena *a, const struct value *policy, const char **ret_who)
{
	const struct value *meta = value_get(policy, "metadata"), *annotations = value_get(meta, "annotations");
	const char *run = value_get_str(annotations, "wherry/run", NULL), *step = value_get_str(annotations, "wherry/step", "?");
	const char *since = value_get_str(meta, "creationTimestamp", "?");

	if (run == NULL || strcmp(value_get_str(value_get(meta, "labels"), MANAGED, ""), "wherry") != 0)
		return false;
	*ret_who = arena_printf(a, "run %s, step %s, since %s", text_safe(a, run, strlen(run), 100), text_safe(a, step, strlen(step), 200),
				text_safe(a, since, strlen(since), 40));
	return true;
}

const struct value *
kube_freeze_namespaces(const struct value *binding)
{
	const struct value *where = value_get(value_get(binding, "spec"), "matchResources"), *values;
	const struct value *rules = value_get(value_get(where, "namespaceSelector"), "matchExpressions");

	if (rules == NULL || rules->kind != V_LIST || rules->len != 1)
		return NULL;
	values = value_get(&rules->items[0], "values");
	if (values == NULL || values->kind != V_LIST || (values->flags & VF_UNKNOWN) != 0)
		return NULL;
	for (uint32_t i = 0; i < values->len; i++)
		if (values->items[i].kind != V_STRING)
			return NULL;
	return values;
}

const char *
kube_freeze_exempt(struct arena *a, const struct kube_freeze *f)
{
	const char *ret = arena_printf(a, "'%s' (wherry), the nodes, the control plane (system:apiserver, system:kube-controller-manager, "
				       "system:kube-scheduler, system:cloud-controller-manager, service accounts in kube-system)",
				       text_safe(a, f->user, strlen(f->user), 200));

	for (uint32_t i = 0; f->except != NULL && i < f->except->len; i++)
		ret = arena_printf(a, "%s, '%s'", ret, text_safe(a, f->except->items[i].s, f->except->items[i].len, 200));
	return arena_printf(a, "%s; service accounts in their reports (status, eviction, binding); Events, Leases, tokens", ret);
}

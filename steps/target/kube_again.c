/* SPDX-License-Identifier: Apache-2.0 */
/* Owns the making again of deleted objects: what a server sets by itself must not be sent, and what named the old object
 * (its uid in selectors, claims and annotations) would tie the new one to something that is gone. */
#include "steps/target/kube_again.h"

#include <string.h>

#include "steps/target/kube_patch.h"

/* Bookkeeping of controllers about the object that was. https://kubernetes.io/docs/reference/labels-annotations-taints/ */
static const char *const stale_annotations[] = {
	"pv.kubernetes.io/bind-completed", "pv.kubernetes.io/bound-by-controller", "volume.kubernetes.io/selected-node",
	"kubernetes.io/service-account.uid", "deployment.kubernetes.io/revision",
};
static const char *const job_labels[] = { "controller-uid", "batch.kubernetes.io/controller-uid" };

bool
kube_is_controlled(const struct value *object)
{
	const struct value *owners = kube_meta(object, "ownerReferences"), *is;

	for (uint32_t i = 0; owners != NULL && owners->kind == V_LIST && i < owners->len; i++) {
		is = value_get(&owners->items[i], "controller");
		if (is != NULL && is->kind == V_BOOL && is->b)
			return true;
	}
	return false;
}

/* map without keys; an absent or emptied map is left out of its parent. */
static struct value
without(struct arena *a, const struct value *parent, const char *member, const char *const *keys, size_t n)
{
	const struct value *map = value_get(parent, member);
	struct value rest;

	if (map == NULL || map->kind != V_MAP)
		return *parent;
	rest = *map;
	for (size_t i = 0; i < n; i++)
		rest = kube_set(a, &rest, keys[i], NULL);
	return kube_set(a, parent, member, rest.len > 0 ? &rest : NULL);
}

static struct value
meta_again(struct arena *a, const struct value *meta)
{
	static const char *const set_by_server[] = { "uid", "resourceVersion", "generation", "creationTimestamp", "deletionTimestamp",
		"deletionGracePeriodSeconds", "managedFields", "selfLink", "ownerReferences" };
	struct value ret = *meta;

	for (size_t i = 0; i < countof(set_by_server); i++)
		ret = kube_set(a, &ret, set_by_server[i], NULL);
	ret = without(a, &ret, "annotations", stale_annotations, countof(stale_annotations));
	return without(a, &ret, "labels", job_labels, countof(job_labels));
}

/* The selector of a Job is its uid, unless the plan's author took care of it. */
static struct value
job_spec(struct arena *a, const struct value *spec)
{
	const struct value *manual = value_get(spec, "manualSelector"), *template = value_get(spec, "template"), *meta;
	struct value t, m, ret;

	if (manual != NULL && value_true(manual))
		return *spec;
	ret = kube_set(a, spec, "selector", NULL);
	meta = value_get(template, "metadata");
	if (meta == NULL)
		return ret;
	m = without(a, meta, "labels", job_labels, countof(job_labels));
	t = kube_set(a, template, "metadata", &m);
	return kube_set(a, &ret, "template", &t);
}

/* Made again it would do its work again. */
static bool
has_ended(const struct value *job)
{
	const struct value *conditions = value_get(value_get(job, "status"), "conditions");

	for (uint32_t i = 0; conditions != NULL && conditions->kind == V_LIST && i < conditions->len; i++) {
		const char *type = value_get_str(&conditions->items[i], "type", "");

		if ((strcmp(type, "Complete") == 0 || strcmp(type, "Failed") == 0) &&
		    strcmp(value_get_str(&conditions->items[i], "status", ""), "True") == 0)
			return true;
	}
	return false;
}

static struct value
spec_again(struct arena *a, const char *kind, const struct value *spec)
{
	static const char *const claim_ids[] = { "uid", "resourceVersion" };

	if (strcmp(kind, "Pod") == 0)
		return kube_set(a, spec, "nodeName", NULL);
	if (strcmp(kind, "Namespace") == 0)
		return kube_set(a, spec, "finalizers", NULL);
	if (strcmp(kind, "PersistentVolume") == 0)
		return without(a, spec, "claimRef", claim_ids, countof(claim_ids));
	return strcmp(kind, "Job") == 0 ? job_spec(a, spec) : *spec;
}

struct value
kube_again(struct arena *a, const struct value *object)
{
	const struct value *meta = value_get(object, "metadata"), *spec = value_get(object, "spec");
	const char *kind = value_get_str(object, "kind", "");
	struct value ret = kube_set(a, object, "status", NULL), part;

	if (meta != NULL && meta->kind == V_MAP) {
		part = meta_again(a, meta);
		ret = kube_set(a, &ret, "metadata", &part);
	}
	if (spec != NULL && spec->kind == V_MAP) {
		const struct value yes = value_bool(true);

		part = spec_again(a, kind, spec);
		if (strcmp(kind, "Job") == 0 && has_ended(object))
			part = kube_set(a, &part, "suspend", &yes);
		ret = kube_set(a, &ret, "spec", &part);
	}
	return ret;
}

const char *
kube_cannot_come_back(const struct value *object)
{
	const char *kind = value_get_str(object, "kind", "");

	if (strcmp(kind, "Namespace") == 0)
		return "all that was in the namespace is gone with it";
	if (strcmp(kind, "CustomResourceDefinition") == 0)
		return "all objects of this kind are gone with it";
	return NULL;
}

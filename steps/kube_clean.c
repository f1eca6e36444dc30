/* SPDX-License-Identifier: Apache-2.0 */
/* Objects without what servers and controllers put into them. A manager that writes an object's status is its controller:
 * labels, annotations and finalizers that are such a manager's alone go with it. Elsewhere controllers and authors write
 * the same fields (replicas), so there only the table decides. */
#include "steps/kube_clean.h"

#include <string.h>

#include "steps/kube_managed.h"
#include "steps/kube_object.h"
#include "steps/kube_sleep.h"

#define IS(object, member, text) (strcmp(value_get_str((object), (member), ""), (text)) == 0)

/* ---- which objects ---- */

bool
kube_clean_leaves_kind(const char *group, const char *kind)
{
	static const char *const kinds[] = { ".Event", "events.k8s.io.Event", ".Endpoints", "discovery.k8s.io.EndpointSlice",
		"coordination.k8s.io.Lease", "coordination.k8s.io.LeaseCandidate", ".Node", ".ComponentStatus", "metrics.k8s.io.*",
		"storage.k8s.io.CSINode", "storage.k8s.io.CSIStorageCapacity", "storage.k8s.io.VolumeAttachment",
		"certificates.k8s.io.CertificateSigningRequest", "networking.k8s.io.IPAddress", "networking.k8s.io.ServiceCIDR",
		"internal.apiserver.k8s.io.*", "resource.k8s.io.ResourceSlice", "apps.ControllerRevision", "authentication.k8s.io.*",
		"authorization.k8s.io.*" };

	for (size_t i = 0; i < countof(kinds); i++) {
		const char *dot = strrchr(kinds[i], '.');

		if (strlen(group) == (size_t)(dot - kinds[i]) && strncmp(group, kinds[i], strlen(group)) == 0 &&
		    (strcmp(dot, ".*") == 0 || strcmp(dot + 1, kind) == 0))
			return true;
	}
	return false;
}

bool
kube_clean_leaves_namespace(const char *name)
{
	return strcmp(name, "kube-system") == 0 || strcmp(name, "kube-public") == 0 || strcmp(name, "kube-node-lease") == 0;
}

static const struct value *
meta(const struct value *object, const char *member)
{
	return kube_object_get(object, "metadata", member);
}

static const char *
mark(const struct value *object, const char *marks, const char *key)
{
	const struct value *map = meta(object, marks);

	return map != NULL ? value_get_str(map, key, "") : "";
}

static bool
has_controller(const struct value *object)
{
	const struct value *owners = meta(object, "ownerReferences");

	for (uint32_t i = 0; owners != NULL && owners->kind == V_LIST && i < owners->len; i++) {
		const struct value *controls = value_get(&owners->items[i], "controller");

		if (controls != NULL && value_true(controls))
			return true;
	}
	return false;
}

/* What every cluster and every namespace has by itself. */
static bool
is_built_in(const struct value *object)
{
	const char *kind = value_get_str(object, "kind", ""), *name = value_get_str(value_get(object, "metadata"), "name", "");
	const char *namespace = value_get_str(value_get(object, "metadata"), "namespace", "");

	if (strcmp(kind, "ServiceAccount") == 0)
		return strcmp(name, "default") == 0;
	if (strcmp(kind, "ConfigMap") == 0)
		return strcmp(name, "kube-root-ca.crt") == 0;
	if (strcmp(kind, "Service") == 0)
		return strcmp(namespace, "default") == 0 && strcmp(name, "kubernetes") == 0;
	if (strcmp(kind, "Namespace") == 0)
		return kube_clean_leaves_namespace(name) || strcmp(name, "default") == 0;
	if (strcmp(kind, "PriorityClass") == 0)
		return strncmp(name, "system-", 7) == 0;
	return strcmp(mark(object, "labels", "kubernetes.io/bootstrapping"), "rbac-defaults") == 0 ||
	       strcmp(mark(object, "annotations", "apf.kubernetes.io/autoupdate-spec"), "true") == 0 ||
	       mark(object, "labels", "kube-aggregator.kubernetes.io/automanaged")[0] != '\0';
}

const char *
kube_clean_leaves(const struct value *object, unsigned flags)
{
	if (is_built_in(object))
		return "comes with every cluster";
	if (meta(object, "deletionTimestamp") != NULL)
		return "is being deleted";
	if ((flags & KUBE_CLEAN_OWNED) == 0 && has_controller(object) && ((flags & KUBE_CLEAN_OPERATED) == 0 || kube_sleep_follows(object)))
		return "is made by its controller";
	if ((flags & KUBE_CLEAN_ENDED) != 0 && kube_sleep_ended(object))
		return "has run to its end";
	return NULL;
}

/* ---- what of them ---- */

/* A map without its i-th pair. */
static struct value
without_at(struct arena *a, const struct value *map, uint32_t at)
{
	struct pair *pairs = arena_array(a, map->len, sizeof(*pairs));
	size_t n = 0;

	for (uint32_t i = 0; i < map->len; i++)
		if (i != at)
			pairs[n++] = map->pairs[i];
	return value_map(pairs, n);
}

static struct value
replaced_at(struct arena *a, const struct value *map, uint32_t at, struct value v)
{
	struct pair *pairs = arena_array(a, map->len, sizeof(*pairs));

	memcpy(pairs, map->pairs, map->len * sizeof(*pairs));
	pairs[at].v = v;
	return value_map(pairs, map->len);
}

/* v without what the path names: keys with blanks between, '*' for each item of a list. A map that became empty by it goes too,
 * unless it is the object itself. */
static struct value
without(struct arena *a, const struct value *v, const char *path)
{
	const size_t len = strcspn(path, " ");
	const char *rest = path[len] == ' ' ? path + len + 1 : NULL;

	if (v->kind == V_LIST && len == 1 && path[0] == '*' && rest != NULL) {
		struct value *items = arena_array(a, v->len + 1, sizeof(*items));

		for (uint32_t i = 0; i < v->len; i++)
			items[i] = without(a, &v->items[i], rest);
		return value_list(items, v->len);
	}
	for (uint32_t i = 0; v->kind == V_MAP && i < v->len; i++) {
		struct value inner;

		if (strncmp(v->pairs[i].key, path, len) != 0 || v->pairs[i].key[len] != '\0')
			continue;
		if (rest == NULL)
			return without_at(a, v, i);
		inner = without(a, &v->pairs[i].v, rest);
		if (inner.kind == V_MAP && inner.len == 0 && v->pairs[i].v.len > 0)
			return without_at(a, v, i);
		return replaced_at(a, v, i, inner);
	}
	return *v;
}

/* What goes from objects of a kind ("*": of all), steps of a path apart by blanks; flag: but not with it. */
struct rule {
	const char *kind, *path;
	unsigned flag;
};

static const struct rule rules[] = {
	{ "*", "status", KUBE_CLEAN_STATUS },
	{ "*", "metadata uid", 0 },
	{ "*", "metadata resourceVersion", 0 },
	{ "*", "metadata generation", 0 },
	{ "*", "metadata creationTimestamp", 0 },
	{ "*", "metadata deletionTimestamp", 0 },
	{ "*", "metadata deletionGracePeriodSeconds", 0 },
	{ "*", "metadata managedFields", 0 },
	{ "*", "metadata selfLink", 0 },
	{ "*", "metadata generateName", 0 },
	{ "*", "metadata ownerReferences * uid", 0 },
	{ "*", "metadata annotations kubectl.kubernetes.io/last-applied-configuration", 0 },
	{ "*", "spec template metadata creationTimestamp", 0 },
	{ "*", "spec jobTemplate metadata creationTimestamp", 0 },
	{ "*", "spec jobTemplate spec template metadata creationTimestamp", 0 },
	{ "Namespace", "spec", 0 },
	{ "Namespace", "metadata labels kubernetes.io/metadata.name", 0 },
	{ "Deployment", "metadata annotations deployment.kubernetes.io/revision", 0 },
	{ "ReplicaSet", "metadata annotations deployment.kubernetes.io/revision", 0 },
	{ "ReplicaSet", "metadata annotations deployment.kubernetes.io/desired-replicas", 0 },
	{ "ReplicaSet", "metadata annotations deployment.kubernetes.io/max-replicas", 0 },
	{ "DaemonSet", "metadata annotations deprecated.daemonset.template.generation", 0 },
	{ "StatefulSet", "spec volumeClaimTemplates * status", 0 },
	{ "StatefulSet", "spec volumeClaimTemplates * metadata creationTimestamp", 0 },
	{ "ServiceAccount", "secrets", 0 },
	{ "Service", "spec healthCheckNodePort", 0 },
	{ "PersistentVolumeClaim", "spec volumeName", KUBE_CLEAN_VOLUMES },
	{ "PersistentVolumeClaim", "metadata annotations pv.kubernetes.io/bind-completed", 0 },
	{ "PersistentVolumeClaim", "metadata annotations pv.kubernetes.io/bound-by-controller", 0 },
	{ "PersistentVolumeClaim", "metadata annotations volume.kubernetes.io/storage-provisioner", 0 },
	{ "PersistentVolumeClaim", "metadata annotations volume.beta.kubernetes.io/storage-provisioner", 0 },
	{ "PersistentVolumeClaim", "metadata annotations volume.kubernetes.io/selected-node", 0 },
	{ "PersistentVolume", "spec claimRef uid", 0 },
	{ "PersistentVolume", "spec claimRef resourceVersion", 0 },
	{ "PersistentVolume", "spec claimRef", KUBE_CLEAN_VOLUMES },
	{ "PersistentVolume", "metadata annotations pv.kubernetes.io/bound-by-controller", 0 },
	{ "Pod", "spec nodeName", 0 },
	{ "Pod", "spec priority", 0 },
	{ "Pod", "spec preemptionPolicy", 0 },
	{ "Pod", "spec serviceAccount", 0 },
	{ "CustomResourceDefinition", "spec conversion webhook clientConfig caBundle", 0 },
};

/* Finalizers of the server's own, which it sets by itself where they are due. */
static bool
is_servers(const char *finalizer)
{
	return strcmp(finalizer, "foregroundDeletion") == 0 || strcmp(finalizer, "orphan") == 0 || strstr(finalizer, "kubernetes.io/") != NULL ||
	       strcmp(finalizer, "customresourcecleanup.apiextensions.k8s.io") == 0;
}

/* A list without the items for which drop holds; as it is where none is dropped. */
static struct value
kept(struct arena *a, const struct value *list, bool (*drop)(const struct value *item, const void *data), const void *data)
{
	struct value *items = arena_array(a, list->len + 1, sizeof(*items));
	size_t n = 0;

	for (uint32_t i = 0; i < list->len; i++)
		if (!drop(&list->items[i], data))
			items[n++] = list->items[i];
	return value_list(items, n);
}

/* The member of v that the path names is inner now; an empty list or map goes. */
static struct value
with(struct arena *a, const struct value *v, const char *path, struct value inner)
{
	const size_t len = strcspn(path, " ");

	if ((inner.kind == V_LIST || inner.kind == V_MAP) && inner.len == 0)
		return without(a, v, path);
	for (uint32_t i = 0; v->kind == V_MAP && i < v->len; i++)
		if (strncmp(v->pairs[i].key, path, len) == 0 && v->pairs[i].key[len] == '\0')
			return replaced_at(a, v, i, path[len] == ' ' ? with(a, &v->pairs[i].v, path + len + 1, inner) : inner);
	return *v;
}

static bool
drops_finalizer(const struct value *item, const void *data)
{
	return item->kind != V_STRING || is_servers(item->s) || kube_managed_by_controller(data, "finalizers", item->s);
}

/* Labels and annotations that are a controller's alone. */
static struct value
without_marks(struct arena *a, const struct value *object, const struct kube_managed *m, const char *marks)
{
	const struct value *map = meta(object, marks);
	struct pair *pairs;
	size_t n = 0;

	if (map == NULL || map->kind != V_MAP)
		return *object;
	pairs = arena_array(a, map->len + 1, sizeof(*pairs));
	for (uint32_t i = 0; i < map->len; i++)
		if (!kube_managed_by_controller(m, marks, map->pairs[i].key))
			pairs[n++] = map->pairs[i];
	return with(a, object, strcmp(marks, "labels") == 0 ? "metadata labels" : "metadata annotations", value_map(pairs, n));
}

/* ---- kinds with more to them ---- */

/* Addresses and ports that nobody asked for were given out by the server. */
static struct value
clean_service(struct arena *a, const struct value *object, const struct kube_managed *m)
{
	const struct value *spec = value_get(object, "spec"), *ports = spec != NULL ? value_get(spec, "ports") : NULL;
	struct value v = *object, *items;

	if (spec != NULL && !IS(spec, "clusterIP", "None")) {
		v = without(a, &v, "spec clusterIP");
		v = without(a, &v, "spec clusterIPs");
	}
	if (!kube_managed_has(m, "ipFamilies"))
		v = without(a, &v, "spec ipFamilies");
	if (!kube_managed_has(m, "ipFamilyPolicy"))
		v = without(a, &v, "spec ipFamilyPolicy");
	if (ports == NULL || ports->kind != V_LIST || kube_managed_has(m, "nodePort"))
		return v;
	items = arena_array(a, ports->len + 1, sizeof(*items));
	for (uint32_t i = 0; i < ports->len; i++)
		items[i] = without(a, &ports->items[i], "nodePort");
	return with(a, &v, "spec ports", value_list(items, ports->len));
}

/* The labels by which a Job knows its pods are made of its uid. */
static struct value
clean_job(struct arena *a, const struct value *object)
{
	static const char *const labels[] = { "controller-uid", "job-name", "batch.kubernetes.io/controller-uid", "batch.kubernetes.io/job-name" };
	const struct value *manual = kube_object_get(object, "spec", "manualSelector");
	struct value v = *object;

	if (manual != NULL && value_true(manual))
		return v;
	v = without(a, &v, "spec selector");
	for (size_t i = 0; i < countof(labels); i++) {
		v = without(a, &v, arena_printf(a, "spec template metadata labels %s", labels[i]));
		v = without(a, &v, arena_printf(a, "metadata labels %s", labels[i]));
	}
	return v;
}

static bool
is_token_volume(const struct value *item, const void *data)
{
	(void)data;
	return strncmp(value_get_str(item, "name", ""), "kube-api-access-", 16) == 0;
}

/* The volume with the account's token that admission puts into pods, and its mounts. */
static struct value
clean_pod(struct arena *a, const struct value *object)
{
	static const char *const lists[] = { "containers", "initContainers", "ephemeralContainers" };
	const struct value *spec = value_get(object, "spec"), *volumes = spec != NULL ? value_get(spec, "volumes") : NULL;
	struct value v = *object;

	if (volumes != NULL && volumes->kind == V_LIST)
		v = with(a, &v, "spec volumes", kept(a, volumes, is_token_volume, NULL));
	for (size_t k = 0; k < countof(lists); k++) {
		const struct value *list = spec != NULL ? value_get(spec, lists[k]) : NULL;
		struct value *items;

		if (list == NULL || list->kind != V_LIST)
			continue;
		items = arena_array(a, list->len + 1, sizeof(*items));
		for (uint32_t i = 0; i < list->len; i++) {
			const struct value *mounts = value_get(&list->items[i], "volumeMounts");

			items[i] = list->items[i];
			if (mounts != NULL && mounts->kind == V_LIST)
				items[i] = with(a, &items[i], "volumeMounts", kept(a, mounts, is_token_volume, NULL));
		}
		v = with(a, &v, arena_printf(a, "spec %s", lists[k]), value_list(items, list->len));
	}
	return v;
}

/* A token is of the cluster that made it. */
static struct value
clean_secret(struct arena *a, const struct value *object)
{
	struct value v = *object;

	if (!IS(object, "type", "kubernetes.io/service-account-token"))
		return v;
	v = without(a, &v, "data");
	return without(a, &v, "metadata annotations kubernetes.io/service-account.uid");
}

static struct value
clean_kind(struct arena *a, const struct value *object, const struct kube_managed *m)
{
	const char *kind = value_get_str(object, "kind", "");
	const char *version = value_get_str(object, "apiVersion", "");

	if (strcmp(version, "v1") == 0 && strcmp(kind, "Service") == 0)
		return clean_service(a, object, m);
	if (strcmp(version, "v1") == 0 && strcmp(kind, "Pod") == 0)
		return clean_pod(a, object);
	if (strcmp(version, "v1") == 0 && strcmp(kind, "Secret") == 0)
		return clean_secret(a, object);
	if (strncmp(version, "batch/", 6) == 0 && strcmp(kind, "Job") == 0)
		return clean_job(a, object);
	if (strcmp(kind, "ClusterRole") == 0 && value_get(object, "aggregationRule") != NULL)
		return without(a, object, "rules");
	return *object;
}

struct value
kube_clean(struct arena *a, const struct value *object, unsigned flags)
{
	const char *kind = value_get_str(object, "kind", "");
	const struct kube_managed m = kube_managed_of(object);
	const struct value *finalizers = meta(object, "finalizers");
	struct value v = clean_kind(a, object, &m);

	v = without_marks(a, &v, &m, "labels");
	v = without_marks(a, &v, &m, "annotations");
	if (finalizers != NULL && finalizers->kind == V_LIST)
		v = with(a, &v, "metadata finalizers", kept(a, finalizers, drops_finalizer, &m));
	for (size_t i = 0; i < countof(rules); i++)
		if ((flags & rules[i].flag) == 0 && (rules[i].kind[0] == '*' || strcmp(rules[i].kind, kind) == 0))
			v = without(a, &v, rules[i].path);
	return v;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* The graph of objects. References are found by the names that fields have wherever Kubernetes has them, in custom objects,
 * too: one that is none points to nothing that is there, or costs an order that is as good. */
#include "steps/kube_order.h"

#include <stdlib.h>
#include <string.h>

#include "steps/kube_object.h"

/* The later of a kind; kinds that are not listed stand where the blank is. */
static const char *const kinds[] = { "Namespace", "CustomResourceDefinition", "PriorityClass", "StorageClass", "RuntimeClass", "IngressClass",
	"PersistentVolume", "ServiceAccount", "Secret", "ConfigMap", "LimitRange", "PersistentVolumeClaim", "ClusterRole", "Role",
	"ClusterRoleBinding", "RoleBinding", "NetworkPolicy", "Service", "", "Pod", "ReplicaSet", "ReplicationController", "StatefulSet",
	"Deployment", "DaemonSet", "Job", "CronJob", "PodDisruptionBudget", "HorizontalPodAutoscaler", "Ingress", "ResourceQuota", "APIService",
	"ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding", "MutatingWebhookConfiguration", "ValidatingWebhookConfiguration" };
#define RANKS countof(kinds)

struct kube_order_node {
	uint32_t item, same; /* item NONE: only named; same: the node that it is, too */
	uint32_t needs, first, next; /* unmade needs; edges from here; the next in its bucket */
	uint8_t rank;
	bool made;
};
struct kube_order_edge {
	uint32_t need, user, next; /* next: of the same need */
};
#define NONE UINT32_MAX

static uint8_t
rank_of(const char *kind)
{
	uint8_t other = 0;

	for (uint8_t i = 0; i < RANKS; i++)
		if (strcmp(kinds[i], kind) == 0)
			return i;
		else if (kinds[i][0] == '\0')
			other = i;
	return other;
}

/* The node of an id. */
static uint32_t
node_of(struct kube_order *o, const char *group, const char *kind, const char *namespace, const char *name)
{
	struct buf id = BUF_INIT(0);
	const char *key;
	uint32_t at;

	buf_printf(&id, "%s.%s/%s/%s", kind, group, namespace, name);
	at = map_keep(&o->ids, &o->arena, id.p, id.len, o->n, &key);
	buf_done(&id);
	if (at != MAP_NONE)
		return at;
	if (o->n == o->cap) {
		o->cap = o->cap > 0 ? o->cap * 2 : 256;
		o->nodes = xreallocarray(o->nodes, o->cap, sizeof(*o->nodes));
	}
	o->nodes[o->n] = (struct kube_order_node){ .item = NONE, .same = NONE, .first = NONE, .next = NONE };
	return o->n++;
}

static void
need(struct kube_order *o, uint32_t user, uint32_t needed)
{
	if (o->nedges == o->edge_cap) {
		o->edge_cap = o->edge_cap > 0 ? o->edge_cap * 2 : 1024;
		o->edges = xreallocarray(o->edges, o->edge_cap, sizeof(*o->edges));
	}
	o->edges[o->nedges++] = (struct kube_order_edge){ needed, user, NONE };
}

/* ---- references ---- */

struct user {
	struct kube_order *o;
	uint32_t node;
	const char *namespace;
};

/* What a field names: by a text, or by a map with `name`. */
static const struct {
	const char *field, *group, *kind;
	bool namespaced;
} names[] = {
	{ "configMap", "", "ConfigMap", true },
	{ "configMapRef", "", "ConfigMap", true },
	{ "configMapKeyRef", "", "ConfigMap", true },
	{ "secret", "", "Secret", true },
	{ "secretName", "", "Secret", true },
	{ "secretRef", "", "Secret", true },
	{ "secretKeyRef", "", "Secret", true },
	{ "imagePullSecrets", "", "Secret", true },
	{ "serviceAccountName", "", "ServiceAccount", true },
	{ "claimName", "", "PersistentVolumeClaim", true },
	{ "service", "", "Service", true },
	{ "serviceName", "", "Service", true },
	{ "volumeName", "", "PersistentVolume", false },
	{ "storageClassName", "storage.k8s.io", "StorageClass", false },
	{ "priorityClassName", "scheduling.k8s.io", "PriorityClass", false },
	{ "runtimeClassName", "node.k8s.io", "RuntimeClass", false },
	{ "ingressClassName", "networking.k8s.io", "IngressClass", false },
};

static void
need_name(const struct user *u, size_t i, const struct value *v)
{
	const char *name = v->kind == V_STRING ? v->s : value_get_str(v, "name", ""), *namespace = value_get_str(v, "namespace", u->namespace);

	if (name[0] != '\0')
		need(u->o, u->node, node_of(u->o, names[i].group, names[i].kind, names[i].namespaced ? namespace : "", name));
}

/* {apiVersion or apiGroup, kind, name, namespace}: an owner, a role, a subject, what is scaled. It may have no namespace. */
static void
need_object(const struct user *u, const struct value *v)
{
	const char *kind = value_get_str(v, "kind", ""), *name = value_get_str(v, "name", "");
	const char *version = value_get_str(v, "apiVersion", ""), *slash = strchr(version, '/');
	const char *group = slash != NULL ? arena_strndup(&u->o->arena, version, (size_t)(slash - version)) : value_get_str(v, "apiGroup", "");

	if (kind[0] == '\0' || name[0] == '\0')
		return;
	need(u->o, u->node, node_of(u->o, group, kind, "", name));
	need(u->o, u->node, node_of(u->o, group, kind, value_get_str(v, "namespace", u->namespace), name));
}

static void
look(const struct user *u, const struct value *v)
{
	for (uint32_t i = 0; v->kind == V_LIST && i < v->len; i++)
		look(u, &v->items[i]);
	for (uint32_t i = 0; v->kind == V_MAP && i < v->len; i++) {
		const char *key = v->pairs[i].key;
		const struct value *inner = &v->pairs[i].v;
		const bool objects = strcmp(key, "ownerReferences") == 0 || strcmp(key, "subjects") == 0;

		if (strcmp(key, "roleRef") == 0 || strcmp(key, "scaleTargetRef") == 0)
			need_object(u, inner);
		for (uint32_t k = 0; objects && inner->kind == V_LIST && k < inner->len; k++)
			need_object(u, &inner->items[k]);
		for (size_t k = 0; k < countof(names); k++) {
			if (strcmp(key, names[k].field) != 0)
				continue;
			need_name(u, k, inner);
			for (uint32_t j = 0; inner->kind == V_LIST && j < inner->len; j++)
				need_name(u, k, &inner->items[j]);
		}
		look(u, inner);
	}
}

/* A definition stands for all that its kind's objects need. */
static void
define(struct kube_order *o, uint32_t node, const struct value *object)
{
	const struct value *spec = value_get(object, "spec"), *called = spec != NULL ? value_get(spec, "names") : NULL;
	uint32_t as;

	if (called == NULL)
		return;
	as = node_of(o, value_get_str(spec, "group", ""), value_get_str(called, "kind", ""), "", "/definition");
	o->nodes[as].same = node;
}

bool
kube_order_add(struct kube_order *o, uint32_t item, const struct value *object)
{
	const char *version = value_get_str(object, "apiVersion", ""), *slash = strchr(version, '/'), *kind = value_get_str(object, "kind", "");
	const char *group = slash != NULL ? arena_strndup(&o->arena, version, (size_t)(slash - version)) : "";
	const struct value *metadata = value_get(object, "metadata");
	const char *namespace = metadata != NULL ? value_get_str(metadata, "namespace", "") : "";
	const uint32_t node = node_of(o, group, kind, namespace, metadata != NULL ? value_get_str(metadata, "name", "") : "");
	const struct user u = { o, node, namespace };

	if (o->nodes[node].item != NONE)
		return false;
	o->nodes[node].item = item;
	o->nodes[node].rank = rank_of(kind);
	o->items++;
	if (namespace[0] != '\0')
		need(o, node, node_of(o, "", "Namespace", "", namespace));
	if (strchr(group, '.') != NULL)
		need(o, node, node_of(o, group, kind, "", "/definition"));
	if (strcmp(kind, "CustomResourceDefinition") == 0)
		define(o, node, object);
	else
		look(&u, object);
	return true;
}

bool
kube_order_has(const struct kube_order *o, const char *group, const char *kind, const char *namespace, const char *name)
{
	struct buf id = BUF_INIT(0);
	uint32_t at;

	buf_printf(&id, "%s.%s/%s/%s", kind, group, namespace, name);
	at = map_get(&o->ids, id.p, id.len);
	buf_done(&id);
	return at != MAP_NONE && o->nodes[at].item != NONE;
}

/* ---- the order ---- */

struct queue {
	uint32_t first[RANKS], last[RANKS];
};

static void
push(struct kube_order *o, struct queue *q, uint32_t node)
{
	const uint8_t rank = o->nodes[node].rank;

	o->nodes[node].next = NONE;
	*(q->first[rank] == NONE ? &q->first[rank] : &o->nodes[q->last[rank]].next) = node;
	q->last[rank] = node;
}

/* Edges to what is there, hung at what is needed. */
static void
hang(struct kube_order *o)
{
	for (uint32_t i = 0; i < o->nedges; i++) {
		struct kube_order_edge *e = &o->edges[i];

		if (o->nodes[e->need].same != NONE)
			e->need = o->nodes[e->need].same;
		if (o->nodes[e->need].item == NONE || e->need == e->user)
			continue;
		e->next = o->nodes[e->need].first;
		o->nodes[e->need].first = i;
		o->nodes[e->user].needs++;
	}
}

static void
make(struct kube_order *o, struct queue *q, uint32_t node, uint32_t *items, uint32_t *n)
{
	o->nodes[node].made = true;
	items[(*n)++] = o->nodes[node].item;
	for (uint32_t i = o->nodes[node].first; i != NONE; i = o->edges[i].next) {
		struct kube_order_node *user = &o->nodes[o->edges[i].user];

		if (--user->needs == 0 && !user->made)
			push(o, q, o->edges[i].user);
	}
}

/* Of those that wait for each other the first one, by its kind. at: how far each kind has been looked through. */
static uint32_t
break_circle(const struct kube_order *o, uint32_t at[RANKS])
{
	for (size_t rank = 0; rank < RANKS; rank++)
		for (; at[rank] < o->n; at[rank]++) {
			const struct kube_order_node *node = &o->nodes[at[rank]];

			if (node->item != NONE && node->rank == rank && !node->made)
				return at[rank];
		}
	return NONE;
}

void
kube_order_make(struct kube_order *o, const uint32_t **ret_items, const uint32_t **ret_ends, uint32_t *ret_waves)
{
	uint32_t *items = arena_array(&o->arena, o->items + 1, sizeof(*items)), *ends = arena_array(&o->arena, o->items + 1, sizeof(*ends));
	uint32_t n = 0, waves = 0, at[RANKS] = { 0 };
	struct queue q;

	memset(&q, 0xff, sizeof(q));
	hang(o);
	for (uint32_t i = 0; i < o->n; i++)
		if (o->nodes[i].item != NONE && o->nodes[i].needs == 0)
			push(o, &q, i);
	while (n < o->items) {
		size_t rank = 0;
		uint32_t node;

		while (rank < RANKS && q.first[rank] == NONE)
			rank++;
		node = rank < RANKS ? q.first[rank] : break_circle(o, at);
		if (rank < RANKS)
			q.first[rank] = NONE;
		for (uint32_t next; node != NONE; node = next) {
			next = rank < RANKS ? o->nodes[node].next : NONE;
			if (!o->nodes[node].made)
				make(o, &q, node, items, &n);
		}
		ends[waves++] = n;
	}
	*ret_items = items;
	*ret_ends = ends;
	*ret_waves = waves;
}

void
kube_order_done(struct kube_order *o)
{
	free(o->nodes);
	free(o->edges);
	map_done(&o->ids);
	arena_done(&o->arena);
	*o = (struct kube_order){ 0 };
}

/* SPDX-License-Identifier: Apache-2.0 */
/* A list in the order of the first need, and a map that keeps each from being there twice. */
#include "steps/kube_needs.h"

#include <stdlib.h>
#include <string.h>

#include "steps/kube_object.h"
#include "steps/kube_word.h"

static void
need(struct kube_needs *k, struct kube_need n)
{
	const char *key = arena_printf(&k->arena, "%d %s %s %s %s %s", n.what, n.name, n.kind, n.group, n.version, n.namespace);

	if (map_add(&k->index, key, strlen(key), k->n) != MAP_NONE)
		return;
	if (k->n == k->cap) {
		k->cap = k->cap > 0 ? k->cap * 2 : 64;
		k->list = xreallocarray(k->list, k->cap, sizeof(*k->list));
	}
	n.name = arena_strdup(&k->arena, n.name);
	n.labels = value_copy(&k->arena, &n.labels);
	k->list[k->n++] = n;
}

static const struct kube_need nothing = { .name = "", .kind = "", .group = "", .version = "", .namespace = "" };

static void
need_class(struct kube_needs *k, const char *key, const char *name, const char *user)
{
	static const char *const classes[][3] = {
		{ "storageClassName", "StorageClass", "storage.k8s.io" },
		{ "volume.beta.kubernetes.io/storage-class", "StorageClass", "storage.k8s.io" },
		{ "ingressClassName", "IngressClass", "networking.k8s.io" },
		{ "priorityClassName", "PriorityClass", "scheduling.k8s.io" },
		{ "runtimeClassName", "RuntimeClass", "node.k8s.io" },
	};

	for (size_t i = 0; name[0] != '\0' && i < countof(classes); i++)
		if (strcmp(key, classes[i][0]) == 0) {
			struct kube_need n = nothing;

			n.what = KUBE_NEED_CLASS;
			n.name = name;
			n.kind = classes[i][1];
			n.group = classes[i][2];
			n.user = user;
			need(k, n);
		}
}

static void
need_node(struct kube_needs *k, const struct value *labels, const char *user)
{
	struct kube_need n = nothing;
	struct buf text = BUF_INIT(0);

	for (uint32_t i = 0; i < labels->len; i++)
		buf_printf(&text, "%s%s=%s", i > 0 ? "," : "", labels->pairs[i].key, labels->pairs[i].v.kind == V_STRING ? labels->pairs[i].v.s : "");
	n.what = KUBE_NEED_NODE;
	n.name = text.len > 0 ? text.p : "";
	n.labels = *labels;
	n.user = user;
	if (labels->len > 0)
		need(k, n);
	buf_done(&text);
}

static void
look(struct kube_needs *k, const struct value *v, const char *user)
{
	for (uint32_t i = 0; v->kind == V_LIST && i < v->len; i++)
		look(k, &v->items[i], user);
	for (uint32_t i = 0; v->kind == V_MAP && i < v->len; i++) {
		const char *key = v->pairs[i].key;
		const struct value *inner = &v->pairs[i].v;

		if (inner->kind == V_STRING)
			need_class(k, key, inner->s, user);
		else if (inner->kind == V_MAP && strcmp(key, "nodeSelector") == 0)
			need_node(k, inner, user);
		else
			look(k, inner, user);
	}
}

static void
define(struct kube_needs *k, const struct value *definition)
{
	const struct value *spec = value_get(definition, "spec"), *names = spec != NULL ? value_get(spec, "names") : NULL;
	const char *key;

	if (names == NULL)
		return;
	key = arena_printf(&k->arena, "%s.%s", value_get_str(names, "kind", ""), value_get_str(spec, "group", ""));
	(void)map_add(&k->defined, key, strlen(key), 0);
}

void
kube_needs_add(struct kube_needs *k, const struct value *object)
{
	const char *version = value_get_str(object, "apiVersion", ""), *kind = value_get_str(object, "kind", "");
	const char *group = arena_strndup(&k->arena, version, kube_word_group(version)), *slash = strchr(version, '/');
	const struct value *metadata = value_get(object, "metadata"), *spec = value_get(object, "spec");
	const struct value *policy = kube_object_get(object, "spec", "persistentVolumeClaimRetentionPolicy");
	const char *namespace = metadata != NULL ? value_get_str(metadata, "namespace", "") : "";
	const char *path = arena_printf(&k->arena, "%s%s%s/%s/%s", kind, group[0] != '\0' ? "." : "", group, namespace,
					metadata != NULL ? value_get_str(metadata, "name", "") : "");
	struct kube_need n = nothing;

	(void)map_add(&k->objects, path, strlen(path), k->nobjects++);
	n.what = KUBE_NEED_KIND;
	n.kind = arena_strdup(&k->arena, kind);
	n.group = group;
	n.version = arena_strdup(&k->arena, slash != NULL ? slash + 1 : version);
	n.namespace = arena_strdup(&k->arena, namespace);
	n.user = path;
	need(k, n);
	if (kube_word_is(object, "apiextensions.k8s.io", "CustomResourceDefinition")) {
		define(k, object);
		return;
	}
	if (kube_word_is(object, "apps", "StatefulSet") && policy != NULL && strcmp(value_get_str(policy, "whenScaled", ""), "Delete") == 0) {
		n = nothing;
		n.what = KUBE_NEED_VOLUMES;
		n.user = n.name = path;
		need(k, n);
	}
	if (spec != NULL && !kube_word_is(object, "", "PersistentVolume"))
		look(k, spec, path);
}

bool
kube_needs_has(const struct kube_needs *k, const char *path)
{
	return map_get(&k->objects, path, strlen(path)) != MAP_NONE;
}

bool
kube_needs_defines(const struct kube_needs *k, const char *group, const char *kind)
{
	struct buf key = BUF_INIT(0);
	bool has;

	buf_printf(&key, "%s.%s", kind, group);
	has = map_get(&k->defined, key.p, key.len) != MAP_NONE;
	buf_done(&key);
	return has;
}

void
kube_needs_done(struct kube_needs *k)
{
	free(k->list);
	map_done(&k->index);
	map_done(&k->objects);
	map_done(&k->defined);
	arena_done(&k->arena);
	*k = (struct kube_needs){ 0 };
}

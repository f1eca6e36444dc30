/* SPDX-License-Identifier: Apache-2.0 */
/* Classes and images are known by the names of their fields, wherever these are: in claims, in templates of claims, in what
 * the authors of custom kinds call so, too. */
#include "steps/kube_transform.h"

#include <string.h>

#include "steps/kube_differ.h"
#include "steps/kube_sleep.h"

/* What the text is called by the map; itself where the map has it not. */
static struct value
mapped(const struct value *map, const struct value *v)
{
	const char *to = map != NULL ? value_get_str(map, v->s, NULL) : NULL;

	return to != NULL ? value_str(to) : *v;
}

static struct value
image(struct arena *a, const struct value *images, const struct value *v)
{
	const char *to = NULL;
	size_t longest = 0;

	for (uint32_t i = 0; images != NULL && i < images->len; i++) {
		const size_t len = strlen(images->pairs[i].key);

		if (len > longest && strncmp(v->s, images->pairs[i].key, len) == 0 && images->pairs[i].v.kind == V_STRING) {
			longest = len;
			to = images->pairs[i].v.s;
		}
	}
	return to != NULL ? value_str(arena_printf(a, "%s%s", to, v->s + longest)) : *v;
}

static struct value
member(struct arena *a, const struct kube_transform *t, const char *key, const struct value *v)
{
	static const struct {
		const char *key;
		bool storage;
	} classes[] = {
		{ "storageClassName", true },
		{ "volume.beta.kubernetes.io/storage-class", true },
		{ "ingressClassName", false },
		{ "kubernetes.io/ingress.class", false },
	};

	for (size_t i = 0; i < countof(classes); i++)
		if (strcmp(key, classes[i].key) == 0)
			return mapped(classes[i].storage ? t->storage_classes : t->ingress_classes, v);
	return strcmp(key, "image") == 0 ? image(a, t->images, v) : *v;
}

static struct value
renamed(struct arena *a, const struct kube_transform *t, const struct value *v)
{
	struct value *items;
	struct pair *pairs;

	if (v->kind == V_LIST) {
		items = arena_array(a, v->len + 1, sizeof(*items));
		for (uint32_t i = 0; i < v->len; i++)
			items[i] = renamed(a, t, &v->items[i]);
		return value_list(items, v->len);
	}
	if (v->kind != V_MAP)
		return *v;
	pairs = arena_array(a, v->len + 1, sizeof(*pairs));
	for (uint32_t i = 0; i < v->len; i++) {
		const struct pair *p = &v->pairs[i];

		pairs[i] = (struct pair){ p->key, p->v.kind == V_STRING ? member(a, t, p->key, &p->v) : renamed(a, t, &p->v) };
	}
	return value_map(pairs, v->len);
}

/* Content that is not described by fields of Kubernetes. */
static bool
is_content(const char *key)
{
	return strcmp(key, "data") == 0 || strcmp(key, "stringData") == 0 || strcmp(key, "binaryData") == 0;
}

bool
kube_transform(struct arena *a, const struct kube_transform *t, const struct value *object, struct value *ret)
{
	const bool maps = t->storage_classes != NULL || t->ingress_classes != NULL || t->images != NULL;
	struct pair *pairs = arena_array(a, object->len + 1, sizeof(*pairs));
	struct value v = kube_differ_moved(a, object, t->namespaces);

	if (t->asleep && kube_sleep_of(object) == KUBE_SLEEP_GONE)
		return false;
	for (uint32_t i = 0; maps && i < v.len; i++)
		pairs[i] = (struct pair){ v.pairs[i].key, is_content(v.pairs[i].key) ? v.pairs[i].v : renamed(a, t, &v.pairs[i].v) };
	if (maps)
		v = value_map(pairs, v.len);
	*ret = t->asleep ? kube_sleep_asleep(a, &v) : v;
	return true;
}

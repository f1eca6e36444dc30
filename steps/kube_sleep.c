/* SPDX-License-Identifier: Apache-2.0 */
/* One table: which kinds sleep, and by which field. */
#include "steps/kube_sleep.h"

#include <string.h>

#include "steps/kube_object.h"
#include "steps/kube_word.h"

#define NOWHERE "wherry/asleep" /* a label that no node has */

enum field { REPLICAS, SUSPEND, NODES, RECLAIM, GONE };

static const struct sleeper {
	const char *group, *kind;
	enum field field;
} sleepers[] = {
	{ "apps", "Deployment", REPLICAS },
	{ "apps", "StatefulSet", REPLICAS },
	{ "apps", "ReplicaSet", REPLICAS },
	{ "", "ReplicationController", REPLICAS },
	{ "apps", "DaemonSet", NODES },
	{ "batch", "Job", SUSPEND },
	{ "batch", "CronJob", SUSPEND },
	{ "", "PersistentVolume", RECLAIM },
	{ "", "Pod", GONE },
	{ "admissionregistration.k8s.io", "MutatingWebhookConfiguration", GONE },
	{ "admissionregistration.k8s.io", "ValidatingWebhookConfiguration", GONE },
};

static const struct sleeper *
sleeper_of(const struct value *object)
{
	for (size_t i = 0; i < countof(sleepers); i++)
		if (kube_word_is(object, sleepers[i].group, sleepers[i].kind))
			return &sleepers[i];
	return NULL;
}

enum kube_sleep
kube_sleep_of(const struct value *object)
{
	const struct sleeper *s = sleeper_of(object);

	return s == NULL ? KUBE_SLEEP_NONE : s->field == GONE ? KUBE_SLEEP_GONE : KUBE_SLEEP_FIELDS;
}

static struct value
within(struct arena *a, const char *key, struct value v)
{
	struct pair *pair = arena_array(a, 1, sizeof(*pair));

	pair[0] = (struct pair){ key, v };
	return value_map(pair, 1);
}

struct value
kube_sleep_patch(struct arena *a, const struct value *object)
{
	const struct sleeper *s = sleeper_of(object);
	struct value v = value_map(NULL, 0);

	switch (s != NULL ? s->field : GONE) {
	case REPLICAS:
		v = within(a, "replicas", value_int(0));
		break;
	case SUSPEND:
		v = within(a, "suspend", value_bool(true));
		break;
	case NODES:
		v = within(a, "template", within(a, "spec", within(a, "nodeSelector", within(a, NOWHERE, value_str("true")))));
		break;
	case RECLAIM:
		v = within(a, "persistentVolumeReclaimPolicy", value_str("Retain"));
		break;
	case GONE:
		return v;
	}
	return within(a, "spec", v);
}

static struct value
with(struct arena *a, const struct value *map, const char *key, struct value v)
{
	struct pair *pairs;

	if (value_get(map, key) != NULL)
		return kube_object_with(a, map, key, v);
	pairs = arena_array(a, map->len + 1, sizeof(*pairs));
	if (map->len > 0)
		memcpy(pairs, map->pairs, map->len * sizeof(*pairs));
	pairs[map->len] = (struct pair){ key, v };
	return value_map(pairs, map->len + 1);
}

/* What the patch, which takes nothing away, makes of the map. */
static struct value
patched(struct arena *a, const struct value *map, const struct value *patch)
{
	struct value v = map != NULL && map->kind == V_MAP ? *map : value_map(NULL, 0);

	for (uint32_t i = 0; i < patch->len; i++) {
		const struct value *inner = &patch->pairs[i].v;
		const char *key = patch->pairs[i].key;

		v = with(a, &v, key, inner->kind == V_MAP ? patched(a, value_get(&v, key), inner) : *inner);
	}
	return v;
}

struct value
kube_sleep_asleep(struct arena *a, const struct value *object)
{
	const struct value patch = kube_sleep_patch(a, object);

	return patched(a, object, &patch);
}

/* Does the map have all that the patch says? */
static bool
holds(const struct value *map, const struct value *patch)
{
	for (uint32_t i = 0; i < patch->len; i++) {
		const struct value *v = value_get(map, patch->pairs[i].key), *inner = &patch->pairs[i].v;

		if (v == NULL || !(inner->kind == V_MAP ? holds(v, inner) : value_eq(v, inner)))
			return false;
	}
	return true;
}

bool
kube_sleep_is(const struct value *object)
{
	struct arena a = ARENA_INIT;
	const struct value patch = kube_sleep_patch(&a, object);
	const bool is = holds(object, &patch);

	arena_done(&a);
	return is;
}

bool
kube_sleep_follows(const struct value *object)
{
	const struct value *owners = kube_object_get(object, "metadata", "ownerReferences");

	for (uint32_t i = 0; owners != NULL && owners->kind == V_LIST && i < owners->len; i++) {
		const struct value *controls = value_get(&owners->items[i], "controller");

		if (controls != NULL && value_true(controls) && sleeper_of(&owners->items[i]) != NULL)
			return true;
	}
	return false;
}

bool
kube_sleep_ended(const struct value *object)
{
	const struct value *status = value_get(object, "status"), *list = status != NULL ? value_get(status, "conditions") : NULL;
	const char *phase = status != NULL ? value_get_str(status, "phase", "") : "";

	if (kube_word_is(object, "", "Pod"))
		return strcmp(phase, "Succeeded") == 0 || strcmp(phase, "Failed") == 0;
	if (!kube_word_is(object, "batch", "Job"))
		return false;
	for (uint32_t i = 0; list != NULL && list->kind == V_LIST && i < list->len; i++) {
		const char *type = value_get_str(&list->items[i], "type", "");

		if ((strcmp(type, "Complete") == 0 || strcmp(type, "Failed") == 0) && strcmp(value_get_str(&list->items[i], "status", ""), "True") == 0)
			return true;
	}
	return false;
}

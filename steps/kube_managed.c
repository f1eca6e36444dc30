/* SPDX-License-Identifier: Apache-2.0 */
/* Reads fieldsV1: maps of "f:NAME" for fields, "v:VALUE" for items of a set, "k:{…}" for items of a list. */
#include "steps/kube_managed.h"

#include <string.h>

#include "steps/kube_object.h"

struct kube_managed
kube_managed_of(const struct value *object)
{
	const struct value *entries = kube_object_get(object, "metadata", "managedFields");

	return (struct kube_managed){ entries != NULL && entries->kind == V_LIST && entries->len > 0 ? entries : NULL };
}

static bool
writes_status(const struct kube_managed *m, const char *manager)
{
	for (uint32_t i = 0; i < m->entries->len; i++) {
		const struct value *e = &m->entries->items[i];

		if (strcmp(value_get_str(e, "manager", ""), manager) == 0 && strcmp(value_get_str(e, "subresource", ""), "status") == 0)
			return true;
	}
	return false;
}

/* Is there a member "f:NAME", or 'v:"NAME"'? */
static bool
names(const struct value *fields, char letter, const char *name)
{
	const size_t len = strlen(name);

	for (uint32_t i = 0; fields != NULL && fields->kind == V_MAP && i < fields->len; i++) {
		const char *key = fields->pairs[i].key;

		if (key[0] != letter || key[1] != ':')
			continue;
		key += 2;
		if (letter == 'v' && *key == '"')
			key++;
		if (strncmp(key, name, len) == 0 && (key[len] == '\0' || (letter == 'v' && strcmp(key + len, "\"") == 0)))
			return true;
	}
	return false;
}

bool
kube_managed_by_controller(const struct kube_managed *m, const char *what, const char *name)
{
	const char letter = strcmp(what, "finalizers") == 0 ? 'v' : 'f';
	const char *member = letter == 'v' ? "f:finalizers" : strcmp(what, "labels") == 0 ? "f:labels" : "f:annotations";
	bool controllers = false;

	for (uint32_t i = 0; m->entries != NULL && i < m->entries->len; i++) {
		const struct value *fields = value_get(&m->entries->items[i], "fieldsV1");
		const struct value *metadata = fields != NULL ? value_get(fields, "f:metadata") : NULL;

		if (metadata == NULL || !names(value_get(metadata, member), letter, name))
			continue;
		if (!writes_status(m, value_get_str(&m->entries->items[i], "manager", "")))
			return false;
		controllers = true;
	}
	return controllers;
}

static bool
holds(const struct value *fields, const char *field)
{
	for (uint32_t i = 0; fields->kind == V_MAP && i < fields->len; i++) {
		const char *key = fields->pairs[i].key;

		if ((strncmp(key, "f:", 2) == 0 && strcmp(key + 2, field) == 0) || holds(&fields->pairs[i].v, field))
			return true;
	}
	return false;
}

bool
kube_managed_has(const struct kube_managed *m, const char *field)
{
	if (m->entries == NULL)
		return true;
	for (uint32_t i = 0; i < m->entries->len; i++) {
		const struct value *fields = value_get(&m->entries->items[i], "fieldsV1");
		const struct value *spec = fields != NULL ? value_get(fields, "f:spec") : NULL;

		if (spec != NULL && holds(spec, field))
			return true;
	}
	return false;
}

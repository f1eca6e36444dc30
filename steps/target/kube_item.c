/* SPDX-License-Identifier: Apache-2.0 */
/* Owns what is read of an object's text without parsing all of it: its name, and whether it says what kind it is (items of
 * a list of built-in kinds do not). */
#include "steps/target/kube_item.h"

#include <string.h>

#include "steps/target/kube_split.h"

struct looks {
	struct bytes kind, api_version, metadata, name, namespace, version;
};

static bool
is_key(struct bytes key, const char *name)
{
	return bytes_eq(key, (struct bytes){ name, strlen(name) });
}

static void
look(struct bytes json, struct looks *ret)
{
	struct bytes key, v;

	*ret = (struct looks){ 0 };
	while (kube_next_member(&json, &key, &v))
		if (is_key(key, "kind"))
			ret->kind = v;
		else if (is_key(key, "apiVersion"))
			ret->api_version = v;
		else if (is_key(key, "metadata"))
			ret->metadata = v;
	json = ret->metadata;
	while (kube_next_member(&json, &key, &v))
		if (is_key(key, "name"))
			ret->name = v;
		else if (is_key(key, "namespace"))
			ret->namespace = v;
		else if (is_key(key, "resourceVersion"))
			ret->version = v;
}

int64_t
kube_revision(const char *text)
{
	int64_t n = 0;
	const char *p = text;

	for (; *p >= '0' && *p <= '9' && p - text < 18; p++)
		n = n * 10 + (*p - '0');
	return *p == '\0' ? n : 0;
}

const char *
kube_item_version(struct arena *a, struct bytes json)
{
	struct looks l;

	look(json, &l);
	return l.version.len > 0 ? kube_text_of(a, l.version) : "";
}

/* The object, which says what kind it is. */
static struct bytes
whole(struct arena *a, const struct kube_path *p, const struct looks *l, struct bytes json)
{
	const struct kube_kind *k = p->k;
	struct buf b = BUF_INIT(0);
	struct bytes ret;

	if (l->kind.len > 0 && l->api_version.len > 0)
		return (struct bytes){ arena_strndup(a, json.p, json.len), json.len };
	buf_printf(&b, "{\"apiVersion\":\"%s%s%s\",\"kind\":\"%s\",", k->group, k->group[0] != '\0' ? "/" : "", k->version,
		   k->kind);
	buf_put(&b, (const char *)json.p + 1, json.len - 1);
	ret = (struct bytes){ arena_strndup(a, b.p, b.len), b.len };
	buf_done(&b);
	return ret;
}

int
kube_item_make(struct arena *a, const struct kube_path *p, struct bytes json, bool keys_only, struct item *ret,
	       const char **ret_version, struct err *err)
{
	const char *name, *namespace = "", *version = "";
	struct looks l;

	look(json, &l);
	name = kube_text_of(a, l.name);
	if (l.namespace.len > 0)
		namespace = kube_text_of(a, l.namespace);
	if (l.version.len > 0)
		version = kube_text_of(a, l.version);
	if (name == NULL || name[0] == '\0' || namespace == NULL || version == NULL)
		return err_set(err, ERR_FAILED, "an object of kind %s without a name, or with a malformed one", p->kind);
	name = kube_paths_object(a, p->kind, namespace, name, NULL);
	*ret = (struct item){ .key = { name, strlen(name) }, .revision = kube_revision(version) };
	if (!keys_only)
		ret->value = whole(a, p, &l, json);
	if (ret_version != NULL)
		*ret_version = version;
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Owns what is sent to the API server for an effect: method, address, body and its type. Unknown fields are refused
 * (fieldValidation): a typo must not be dropped in silence. https://kubernetes.io/docs/reference/using-api/api-concepts/ */
#include "steps/target/kube_request.h"

#include <string.h>

#include "steps/target/kube_fields.h"
#include "steps/target/kube_patch.h"

const char *
kube_manager_of(struct arena *a, const char *nonce)
{
	return nonce[0] != '\0' ? arena_printf(a, "%s/%s", KUBE_MANAGER, nonce) : KUBE_MANAGER;
}

static struct value
text_or_null(const char *s)
{
	return s != NULL && s[0] != '\0' ? value_str(s) : VALUE_NULL;
}

static struct value
member_or_null(const struct value *map, const char *key)
{
	const struct value *v = value_get(map, key);

	return v != NULL ? *v : VALUE_NULL;
}

/* The object under the name that the path gives it. */
static struct value
named(struct arena *a, const struct value *object, const struct kube_path *p)
{
	const struct value *meta = value_get(object, "metadata");
	struct value v = value_str(p->name), m = kube_set(a, meta, "name", &v), ret;

	m = kube_set(a, &m, "generateName", NULL);
	if (p->namespace[0] != '\0') {
		v = value_str(p->namespace);
		m = kube_set(a, &m, "namespace", &v);
	}
	ret = kube_set(a, object, "metadata", &m);
	if (value_get(object, "apiVersion") == NULL) {
		v = value_str(p->k->group[0] != '\0' ? arena_printf(a, "%s/%s", p->k->group, p->k->version) : p->k->version);
		ret = kube_set(a, &ret, "apiVersion", &v);
	}
	if (value_get(object, "kind") != NULL)
		return ret;
	v = value_str(p->k->kind);
	return kube_set(a, &ret, "kind", &v);
}

/* metadata.resourceVersion (and uid) as preconditions, in an object or a merge patch. */
static struct value
guarded(struct arena *a, const struct value *object, const char *uid, const char *version)
{
	const struct value *meta = value_get(object, "metadata");
	struct value v, m = meta != NULL ? *meta : value_map(NULL, 0);

	if (uid == NULL && version == NULL)
		return *object;
	if (uid != NULL) {
		v = value_str(uid);
		m = kube_set(a, &m, "uid", &v);
	}
	if (version != NULL) {
		v = value_str(version);
		m = kube_set(a, &m, "resourceVersion", &v);
	}
	return kube_set(a, object, "metadata", &m);
}

/* The same in a JSON patch. */
static struct value
tested(struct arena *a, const struct value *ops, const char *uid, const char *version)
{
	struct value *items = arena_array(a, (size_t)ops->len + 2, sizeof(*items));
	size_t n = 0;

	if (uid != NULL)
		items[n++] = VALUE_MAP(a, { "op", value_str("test") }, { "path", value_str("/metadata/uid") }, { "value", value_str(uid) });
	if (version != NULL)
		items[n++] = VALUE_MAP(a, { "op", value_str("test") }, { "path", value_str("/metadata/resourceVersion") },
				       { "value", value_str(version) });
	if (ops->len > 0)
		memcpy(items + n, ops->items, ops->len * sizeof(*items));
	return value_list(items, n + ops->len);
}

static int
patch_request(struct opctx *op, const struct effect *e, const struct kube_manner *how, struct kube_request *r, struct value *ret, struct err *err)
{
	const struct value patch = kube_wanted_patch(op->arena, e);
	const char *type = value_get_str(&e->body, "type", "merge"), *uid = value_get_str(&e->body, "uid", NULL),
		   *version = how->version != NULL ? how->version : value_get_str(&e->body, "resource_version", NULL);
	const bool json = strcmp(type, "json") == 0;

	if (patch.kind != (json ? V_LIST : V_MAP))
		return err_set(err, ERR_PLAN, "a patch of type '%s' is a %s", type, json ? "list" : "map");
	r->ask.method = "PATCH";
	r->ask.content_type = json ? "application/json-patch+json" : strcmp(type, "strategic") == 0 ?
		"application/strategic-merge-patch+json" : "application/merge-patch+json";
	*ret = json ? tested(op->arena, &patch, uid, version) : guarded(op->arena, &patch, uid, version);
	return 0;
}

static struct value
delete_options(struct arena *a, const struct effect *e, const struct kube_manner *how)
{
	static const char *const names[][2] = { { "background", "Background" }, { "foreground", "Foreground" }, { "orphan", "Orphan" } };
	const char *propagation = value_get_str(&e->body, "propagation", ""), *policy = NULL;
	const char *uid = how->uid != NULL ? how->uid : value_get_str(&e->body, "uid", NULL);
	struct value *all = arena_alloc(a, sizeof(*all));

	for (size_t i = 0; i < countof(names); i++)
		if (strcmp(propagation, names[i][0]) == 0)
			policy = names[i][1];
	*all = value_str("All");
	return VALUE_MAP(a, { "apiVersion", value_str("v1") }, { "kind", value_str("DeleteOptions") },
			 { "preconditions", uid != NULL ? VALUE_MAP(a, { "uid", value_str(uid) }) : VALUE_NULL },
			 { "propagationPolicy", text_or_null(policy) }, { "gracePeriodSeconds", member_or_null(&e->body, "grace") },
			 { "dryRun", how->dry ? value_list(all, 1) : VALUE_NULL });
}

/* https://kubernetes.io/docs/concepts/scheduling-eviction/api-eviction/ */
static struct value
eviction(struct arena *a, const struct effect *e, const struct kube_path *p, const struct kube_manner *how)
{
	return VALUE_MAP(a, { "apiVersion", value_str("policy/v1") }, { "kind", value_str("Eviction") },
			 { "metadata", VALUE_MAP(a, { "name", value_str(p->name) }, { "namespace", text_or_null(p->namespace) }) },
			 { "deleteOptions", delete_options(a, e, how) });
}

int
kube_request(struct opctx *op, const struct effect *e, const struct kube_path *p, const struct kube_manner *how,
	     struct kube_request *ret, struct err *err)
{
	const char *dry = how->dry ? "&dryRun=All" : "", *query = how->dry ? "dryRun=All" : NULL;
	const char *manager = kube_manager_of(op->arena, e->class == EFFECT_IDEMPOTENT ? "" : how->nonce);
	struct kube_path at = *p;
	struct value body, want;

	*ret = (struct kube_request){ .ask = { .method = "POST", .changes = !how->dry, .once = !how->dry && e->class != EFFECT_IDEMPOTENT },
		.body = BUF_INIT(0) };
	switch (kube_verb(e)) {
	case KUBE_APPLY:
		ret->ask.method = "PATCH";
		ret->ask.content_type = "application/apply-patch+yaml";
		query = arena_printf(op->arena, "fieldManager=%s&force=%s&fieldValidation=Strict%s", KUBE_MANAGER,
				     how->force ? "true" : "false", dry);
		want = kube_wanted(op->arena, e);
		body = named(op->arena, &want, p);
		body = guarded(op->arena, &body, NULL, how->version);
		break;
	case KUBE_CREATE:
		at.name = "";
		ret->ask.named = true;
		query = arena_printf(op->arena, "fieldManager=%s&fieldValidation=Strict%s", manager, dry);
		want = kube_wanted(op->arena, e);
		body = named(op->arena, &want, p);
		break;
	case KUBE_PATCH:
		query = arena_printf(op->arena, "fieldManager=%s&fieldValidation=Strict%s", manager, dry);
		if (patch_request(op, e, how, ret, &body, err) < 0)
			return -1;
		break;
	case KUBE_DELETE:
		ret->ask.method = "DELETE";
		body = delete_options(op->arena, e, how);
		break;
	case KUBE_EVICT:
		body = eviction(op->arena, e, p, how);
		break;
	default:
		return err_set(err, ERR_FAILED, "bug: '%s' is no verb for objects", e->verb);
	}
	if (value_json(&ret->body, &body, err) < 0)
		return err_wrap(err, "%s", e->on.path);
	ret->ask.url = kube_path_url(op->arena, &at, query);
	ret->ask.body = (struct bytes){ ret->body.p, ret->body.len };
	return 0;
}

void
kube_request_done(struct kube_request *r)
{
	if (r->body.p != NULL)
		explicit_bzero(r->body.p, r->body.cap);
	buf_done(&r->body);
}

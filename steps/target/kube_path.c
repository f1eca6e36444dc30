/* SPDX-License-Identifier: Apache-2.0 */
/* Owns the way from a path to its kind, its canonical spelling and its URL. */
#include "steps/target/kube_path.h"

#include <string.h>

#include "base/clock.h"
#include "base/text.h"

#define KIND_WAIT (10 * NS_PER_S)
#define LOOK_AGAIN (NS_PER_S / 4)

/* Kind, Kind.group, or with the version between them where it is not the server's choice. */
static const char *
kind_name(struct arena *a, const struct kube_kind *k)
{
	const char *dot = k->group[0] != '\0' ? "." : "";

	if (k->preferred)
		return arena_printf(a, "%s%s%s", k->kind, dot, k->group);
	return arena_printf(a, "%s.%s%s%s", k->kind, k->version, dot, k->group);
}

static int
resolve(struct opctx *op, struct kube_conn *c, const char *path, bool known, struct kube_path *ret, struct err *err)
{
	struct kube_paths p;
	int rc;

	if (kube_paths_parse(op->arena, path, &p, err) < 0)
		return -1;
	if (p.what != KUBE_OBJECT && p.what != KUBE_LIST)
		return err_set(err, ERR_PLAN, "'%s' is no object", path);
	*ret = (struct kube_path){ .kind = p.kind, .namespace = p.namespace, .name = p.name, .sub = p.sub, .query = p.query };
	rc = kube_kind_find(op, c, p.kind, &ret->k, err);
	if (rc < 0 && !known && err->kind == ERR_FAILED && strchr(p.kind, '.') != NULL) {
		ret->k = NULL; /* an earlier step of the plan may bring it */
		*err = ERR_INIT;
		return 0;
	}
	if (rc < 0)
		return -1;
	ret->kind = kind_name(op->arena, ret->k);
	if (!ret->k->namespaced)
		ret->namespace = "";
	else if (p.namespace[0] == '\0')
		ret->namespace = kube_conn_namespace(c);
	return 0;
}

int
kube_path_resolve(struct opctx *op, struct kube_conn *c, const char *path, struct kube_path *ret, struct err *err)
{
	return resolve(op, c, path, false, ret, err);
}

int
kube_path_known(struct opctx *op, struct kube_conn *c, const char *path, struct kube_path *ret, struct err *err)
{
	return resolve(op, c, path, true, ret, err);
}

const char *
kube_path_text(struct arena *a, const struct kube_path *p)
{
	const char *object = kube_paths_object(a, p->kind, p->namespace, p->name, p->sub);

	return p->query != NULL ? arena_printf(a, "%s?%s", object, p->query) : object;
}

const char *
kube_kind_url(struct arena *a, const struct kube_kind *k)
{
	return k->group[0] == '\0' ? arena_printf(a, "/api/%s", k->version) :
		arena_printf(a, "/apis/%s/%s", k->group, k->version);
}

const char *
kube_path_url(struct arena *a, const struct kube_path *p, const char *more)
{
	const bool one = p->namespace[0] != '\0' && strcmp(p->namespace, "*") != 0;
	struct buf b = BUF_INIT(0);
	const char *ret;

	buf_puts(&b, kube_kind_url(a, p->k));
	if (one)
		buf_printf(&b, "/namespaces/%s", kube_paths_encoded(a, p->namespace));
	buf_printf(&b, "/%s", p->k->plural);
	if (p->name[0] != '\0')
		buf_printf(&b, "/%s", kube_paths_encoded(a, p->name));
	if (p->sub != NULL)
		buf_printf(&b, "/%s", kube_paths_encoded(a, p->sub));
	if (p->query != NULL && p->query[0] != '\0')
		buf_printf(&b, "?%s", p->query);
	if (more != NULL && more[0] != '\0')
		buf_printf(&b, "%s%s", p->query != NULL && p->query[0] != '\0' ? "&" : "?", more);
	ret = arena_strndup(a, b.p, b.len);
	buf_done(&b);
	return ret;
}

/* A kind that an earlier step has defined is told of a moment later. In a run its objects need their one spelling at once: it is
 * journalled, and asked for again after a crash. */
static int
await_kind(struct opctx *op, struct kube_conn *c, const char *path, struct kube_path *p, struct err *err)
{
	const int64_t until = clock_now() + KIND_WAIT;

	while (p->k == NULL && op->scratch != NULL && clock_now() < until && clock_now() < op->deadline && peer_cancelled(op) == 0) {
		kube_sleep(op, LOOK_AGAIN);
		if (kube_path_resolve(op, c, path, p, err) < 0)
			return -1;
	}
	return 0;
}

int
kube_name(struct opctx *op, void *conn, const char *path, const char **ret, struct err *err)
{
	struct kube_paths parsed;
	struct kube_path p;

	if (kube_paths_parse(op->arena, path, &parsed, err) < 0)
		return -1;
	if (parsed.what == KUBE_FILE || parsed.what == KUBE_LOG) {
		*ret = parsed.namespace[0] != '\0' ? path : kube_paths_within(op->arena, path, kube_conn_namespace(conn));
		return 0;
	}
	if (parsed.what != KUBE_OBJECT && parsed.what != KUBE_LIST) {
		*ret = path;
		return 0;
	}
	if (kube_path_resolve(op, conn, path, &p, err) < 0 || await_kind(op, conn, path, &p, err) < 0)
		return -1;
	*ret = kube_path_text(op->arena, &p);
	return 0;
}

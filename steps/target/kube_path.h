/* SPDX-License-Identifier: Apache-2.0 */
/* From paths (kube_paths.h) to kinds, canonical paths and URLs. */
#ifndef WHERRY_TARGET_KUBE_PATH_H
#define WHERRY_TARGET_KUBE_PATH_H

#include "steps/target/kube_kinds.h"
#include "steps/target/kube_paths.h"

/* An object or a list. */
struct kube_path {
	const char *kind;            /* canonical: Kind, Kind.group, or Kind.version.group for one that is not preferred */
	const char *namespace;       /* filled in for namespaced kinds; "" for all others */
	const char *name, *sub, *query;
	const struct kube_kind *k;   /* NULL: the kind has a group and is not known; it may come later */
};

/* ERR_PLAN for what is no path of an object or list, ERR_FAILED for a kind without a group that the server does not have. */
int kube_path_resolve(struct opctx *op, struct kube_conn *c, const char *path, struct kube_path *ret, struct err *err);
/* As kube_path_resolve, and the kind is known: else ERR_FAILED with near names. */
int kube_path_known(struct opctx *op, struct kube_conn *c, const char *path, struct kube_path *ret, struct err *err);
const char *kube_path_text(struct arena *a, const struct kube_path *p);
/* "/apis/apps/v1/namespaces/web/deployments/nginx/scale?…" of a known kind; more: query without its '?', or NULL. */
const char *kube_path_url(struct arena *a, const struct kube_path *p, const char *more);
/* What stands after a group's and version's address: "/api/v1", "/apis/apps/v1". */
const char *kube_kind_url(struct arena *a, const struct kube_kind *k);
/* The target's `name`. */
int kube_name(struct opctx *op, void *conn, const char *path, const char **ret, struct err *err);

#endif

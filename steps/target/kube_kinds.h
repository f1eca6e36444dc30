/* SPDX-License-Identifier: Apache-2.0 */
/* What kinds of objects a server has, from its discovery documents: the aggregated one where it has it, else one for each
 * group and version. Asked for once, and again when a name is not found: a plan may add kinds.
 * https://kubernetes.io/docs/concepts/overview/kubernetes-api/#discovery-api */
#ifndef WHERRY_TARGET_KUBE_KINDS_H
#define WHERRY_TARGET_KUBE_KINDS_H

#include "steps/target/kube_conn.h"

/* Lives as long as the connection, and so do its strings; two of one kind are the same pointer. */
struct kube_kind {
	const char *group;              /* "": the core group */
	const char *version, *kind, *plural, *singular;
	bool namespaced;
	bool preferred;                 /* of its group's versions that have the kind, the server's first choice */
	const char *const *subresources; /* "status", "scale", …; NULL-ended, as the others */
	const char *const *verbs, *const *short_names;
};

/* A kind as people name it: `Deployment`, `deploy`, `deployments`, `Deployment.apps`, `Deployment.v1.apps`, in any case.
 * A name that several groups have means the core group's, else the first one of Kubernetes' own groups (no dot, or
 * .k8s.io) in the server's order of priority, as with kubectl; else it is refused with the candidates.
 * ERR_FAILED: not known here, with near names. */
int kube_kind_find(struct opctx *op, struct kube_conn *c, const char *name, const struct kube_kind **ret, struct err *err);
/* All kinds in the server's order, NULL-ended, in op's arena; only those of preferred versions where preferred. */
int kube_kinds_all(struct opctx *op, struct kube_conn *c, bool preferred, const struct kube_kind *const **ret,
		   struct err *err);
/* The kind does not exist any more, or is younger than what we know: ask again at the next look. */
void kube_kinds_forget(struct kube_conn *c);
bool kube_kind_has(const char *const *list, const char *word);

/* The kinds that one reading of the server found, in its order. */
struct kube_found {
	struct kube_kind *list;
	size_t n, cap;
};
/* Add what a document says: an APIGroupDiscoveryList (v2, v2beta1), or an APIResourceList of one group and version.
 * ERR_FAILED: it is none. Strings are the document's or in the arena. */
int kube_kinds_read(struct arena *a, const struct value *doc, struct kube_found *to, struct err *err);
/* The one that a name means; as kube_kind_find. 1: none has that name. */
int kube_kinds_choose(const struct kube_kind *const *list, size_t n, const char *name, const struct kube_kind **ret,
		      struct err *err);

struct kube_kinds *kube_kinds_new(void);
void kube_kinds_free(struct kube_kinds *k);

#endif

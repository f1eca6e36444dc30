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
/* All kinds in the server's order, NULL-ended, in op's arena; read anew. */
int kube_kinds_all(struct opctx *op, struct kube_conn *c, const struct kube_kind *const **ret, struct err *err);
/* The kind does not exist any more, or is younger than what we know: ask again at the next look. */
void kube_kinds_forget(struct kube_conn *c);
bool kube_kind_has(const char *const *list, const char *word);

/* kube_discovery.c: documents, without a server. The kinds that one reading found, in the server's order. */
struct kube_found {
	struct kube_kind *list; /* freed by its owner */
	size_t n, cap;
};
/* Add what a document says: an APIGroupDiscoveryList, or an APIResourceList of one group and version. What in it is
 * malformed is left out. Strings are the document's or in the arena. ERR_FAILED: it is no such document. */
int kube_kinds_read(struct arena *a, const struct value *doc, struct kube_found *to, struct err *err);
/* Once all is there: mark the preferred ones, which are the first of their group. */
void kube_kinds_prefer(struct kube_found *all);
/* "metrics.k8s.io/v1beta1, …": what an aggregated document says to be out of date; NULL: nothing. */
const char *kube_kinds_stale(struct arena *a, const struct value *doc);
/* Is it fit for an URL: letters, digits, '-', '.', and those in more? */
bool kube_kinds_is_word(const char *s, const char *more);
/* The one that a name means; as kube_kind_find. 1: none has that name. */
int kube_kinds_choose(const struct kube_kind *const *list, size_t n, const char *name, const struct kube_kind **ret,
		      struct err *err);

struct kube_kinds *kube_kinds_new(void);
void kube_kinds_free(struct kube_kinds *k);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* The objects of a cluster that a plan selects, as their authors wrote them (kube_clean.h), page by page: what export writes and
 * compare looks at. Custom objects come through the version in which they are stored. */
#ifndef WHERRY_STEPS_KUBE_SELECT_H
#define WHERRY_STEPS_KUBE_SELECT_H

#include "step.h"

struct kube_select {
	struct target *in;
	const struct value *namespaces, *kinds; /* lists of names, or NULL */
	const struct value *cluster_kinds;      /* and these, that have no namespace; or NULL */
	bool all;                               /* every namespace but the cluster's own */
	const char *selector, *secrets;         /* secrets: keep, skip, refuse */
	const char *cluster_selector;           /* for objects without a namespace; NULL: the same */
	unsigned flags;                         /* enum kube_clean */
	unsigned parallel;
	bool gaps;                              /* a namespace may be missing, and kinds */
	bool definitions;                       /* of all custom kinds, also where nothing of the kind is selected */
};

/* An object, and its file in a folder of exports (kube_store.h). */
struct kube_selected {
	struct value object;
	const char *path;
};
/* Called from several lanes at once; what it gets lives until it returns. lane: to put into streams. */
typedef int kube_selected_fn(struct step_ctx *cx, void *data, unsigned lane, const struct kube_selected *list, size_t n, struct err *err);

/* What can be said of them before the cluster is asked. */
int kube_select_check(const struct kube_select *s, struct err *err);
/* All of them: the objects, then the definitions of those that are custom, the volumes that claims are bound to (with
 * KUBE_CLEAN_VOLUMES), and the namespaces. ret_left_out: how many were
 * left out, because a controller makes them, or every cluster has them. */
int kube_select_run(struct step_ctx *cx, const struct kube_select *s, kube_selected_fn *fn, void *data, uint64_t *ret_left_out,
		    struct err *err);

#endif

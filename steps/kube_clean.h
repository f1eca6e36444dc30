/* SPDX-License-Identifier: Apache-2.0 */
/* What of an object is its author's, and which objects have one: the rest is made again wherever the object is, by its server
 * and its controllers. managedFields decide where they tell, a small table where they do not. Pure. */
#ifndef WHERRY_STEPS_KUBE_CLEAN_H
#define WHERRY_STEPS_KUBE_CLEAN_H

#include "base/arena.h"
#include "value.h"

enum kube_clean {
	KUBE_CLEAN_STATUS = 1,  /* keep status */
	KUBE_CLEAN_VOLUMES = 2, /* keep which volume a claim has, and which claim a volume */
	KUBE_CLEAN_OWNED = 4,   /* objects that a controller makes are kept, too */
	KUBE_CLEAN_OPERATED = 8, /* those of them whose controller is no workload of Kubernetes' own */
	KUBE_CLEAN_ENDED = 16,  /* Jobs and Pods that have run to their end are left out */
};

/* Why the object is left out, in few words; NULL: it is kept. */
const char *kube_clean_leaves(const struct value *object, unsigned flags);
/* Kinds of which no object is ever anybody's: events, endpoints, leases, nodes and the like. */
bool kube_clean_leaves_kind(const char *group, const char *kind);
/* Namespaces that come with the cluster. */
bool kube_clean_leaves_namespace(const char *name);
/* The object without what is not its author's; shares memory with it. Owners stay, without their uids. */
struct value kube_clean(struct arena *a, const struct value *object, unsigned flags);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* Objects as another cluster is to have them: other namespaces, classes and images, and asleep. Pure. */
#ifndef WHERRY_STEPS_KUBE_TRANSFORM_H
#define WHERRY_STEPS_KUBE_TRANSFORM_H

#include "base/arena.h"
#include "value.h"

/* Maps of texts, or NULL. */
struct kube_transform {
	const struct value *namespaces, *storage_classes, *ingress_classes;
	const struct value *images; /* what images begin with; the longest that fits counts */
	bool asleep;
};

/* What becomes of the object; false: it is withheld, because that is how it sleeps. Shares memory with it. */
bool kube_transform(struct arena *a, const struct kube_transform *t, const struct value *object, struct value *ret);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* Who wrote what of an object, by its metadata.managedFields (https://kubernetes.io/docs/reference/using-api/server-side-apply/).
 * Pure. */
#ifndef WHERRY_STEPS_KUBE_MANAGED_H
#define WHERRY_STEPS_KUBE_MANAGED_H

#include "value.h"

struct kube_managed {
	const struct value *entries; /* NULL: it does not say */
};

struct kube_managed kube_managed_of(const struct value *object);
/* Is this label, annotation or finalizer (what: "labels", "annotations", "finalizers") written by managers alone that write
 * the object's status as well? */
bool kube_managed_by_controller(const struct kube_managed *m, const char *what, const char *name);
/* Does any manager own a field of this name in the object's spec? True where it is not said who owns what. */
bool kube_managed_has(const struct kube_managed *m, const char *field);

#endif

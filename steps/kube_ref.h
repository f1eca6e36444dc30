/* SPDX-License-Identifier: Apache-2.0 */
/* The pure half of the Kubernetes family: what plans call objects, checked before anything is asked, and put into paths
 * KIND/NAMESPACE/NAME[#SUBRESOURCE]. */
#ifndef WHERRY_STEPS_KUBE_REF_H
#define WHERRY_STEPS_KUBE_REF_H

#include "base/arena.h"
#include "value.h"

/* An object as inputs name it. name may be NAMESPACE/NAME; namespace NULL: the target's own. */
struct kube_name {
	const char *kind, *namespace, *name;
};

/* ERR_PLAN where it cannot be the name of a kind (Deployment, deploy, deployments.apps, Deployment.v1.apps), of a
 * namespace (RFC 1123 label) or of an object (RFC 1123 subdomain; roles and their bindings: any path segment). */
int kube_check_kind(const char *kind, struct err *err);
int kube_check_kinds(const struct value *kinds, struct err *err); /* a list of them, or NULL */
int kube_check_namespace(const char *namespace, struct err *err);
int kube_check_name(const char *kind, const char *name, struct err *err);
/* All of it, and that a namespace within the name is the one beside it. */
int kube_check(const struct kube_name *n, struct err *err);
/* Label or field selector: not empty, and of characters that they are made of. The rest is for the server to judge. */
int kube_check_selector(const char *what, const char *selector, struct err *err);

/* The path of a checked name; sub NULL: the object itself. */
const char *kube_ref_path(struct arena *a, const struct kube_name *n, const char *sub);
/* For people: "Deployment web/nginx"; its group stands in the path. */
const char *kube_ref_text(struct arena *a, const struct kube_name *n);
/* "KIND/NAME" or "KIND/NAMESPACE/NAME", checked; its namespace else is the one given. */
int kube_ref_parse(struct arena *a, const char *text, const char *namespace, struct kube_name *ret, struct err *err);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* What makes namespaces read-only: a ValidatingAdmissionPolicy that says who is stopped, and bindings that say where; pure. Without
 * its binding the policy stops nobody, so it is made first and taken away last.
 * https://kubernetes.io/docs/reference/access-authn-authz/validating-admission-policy/ */
#ifndef WHERRY_STEPS_KUBE_FREEZE_H
#define WHERRY_STEPS_KUBE_FREEZE_H

#include "base/arena.h"
#include "value.h"

#define KUBE_FREEZE_GROUP "admissionregistration.k8s.io"
#define KUBE_FREEZE_POLICY "ValidatingAdmissionPolicy." KUBE_FREEZE_GROUP
#define KUBE_FREEZE_BINDING "ValidatingAdmissionPolicyBinding." KUBE_FREEZE_GROUP

struct kube_freeze {
	const char *name, *version;    /* of its objects; the group's, which has them */
	const struct value *namespaces;
	const struct value *selector;  /* a LabelSelector: only such objects; NULL: all, and the namespaces themselves */
	const char *user;              /* may go on, and so may those in except: names, of which "x*" means all that begin so */
	const struct value *except;
	const char *run, *step;        /* for whoever finds it */
};

/* The name for what is frozen, the same whoever freezes it: so nothing is frozen, and thawed, by two. */
const char *kube_freeze_name(struct arena *a, const struct value *namespaces, const char *selector);
struct value kube_freeze_policy(struct arena *a, const struct kube_freeze *f);
/* Of what is in the namespaces, or of the namespaces themselves, which no selector of objects selects. */
struct value kube_freeze_binding(struct arena *a, const struct kube_freeze *f, bool of_namespaces);
/* The path (kube_paths.h) of what the policy refuses to everybody as soon as it is in force; selector may be NULL. */
const char *kube_freeze_canary(struct arena *a, const char *name, const char *namespace, const struct value *selector);
/* Is this policy one of ours? who: "run R, step S, since WHEN". */
bool kube_freeze_is(struct arena *a, const struct value *policy, const char **ret_who);
/* The names of the namespaces that a binding is about, or NULL. */
const struct value *kube_freeze_namespaces(const struct value *binding);
/* Who is not stopped, for people. */
const char *kube_freeze_exempt(struct arena *a, const struct kube_freeze *f);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* Objects of Kubernetes as plans write them, as they are sent, and as outputs and expressions may hold them; pure. */
#ifndef WHERRY_STEPS_KUBE_OBJECT_H
#define WHERRY_STEPS_KUBE_OBJECT_H

#include "base/arena.h"
#include "steps/kube_ref.h"
#include "value.h"

/* What an object in a plan is called, by its apiVersion, kind and metadata: checked. namespace (NULL: the target's own)
 * is that of objects that name none. ERR_PREDICTED where the name is not known yet. */
int kube_object_name(struct arena *a, const struct value *object, const char *namespace, struct kube_name *ret,
		     struct err *err);
/* The object without what the server alone writes: status, and uid, resourceVersion, managedFields, … of its metadata. */
struct value kube_object_sent(struct arena *a, const struct value *object);
/* The object as outputs and expressions may hold it: without managedFields, and what is secret in it as "(secret)". */
struct value kube_object_shown(struct arena *a, const struct value *object);
/* As kube_object_shown; of one that the plan made with secrets (body) only what tells it apart, and its status. */
struct value kube_object_output(struct arena *a, const struct value *object, const struct value *body);
/* The pods of a workload or service, as a label selector; NULL where it selects none. */
const char *kube_object_selector(struct arena *a, const struct value *object);
/* A map with one of its members another. */
struct value kube_object_with(struct arena *a, const struct value *map, const char *key, struct value v);
/* A member of a member, such as "metadata", "uid"; NULL where there is none. */
const struct value *kube_object_get(const struct value *object, const char *member, const char *inner);

/* Labels or annotations (what), null: to be removed. */
int kube_check_marks(const char *what, const struct value *marks, struct err *err);
/* A JSON patch (RFC 6902); can it be done twice without harm? */
int kube_check_json_patch(const struct value *patch, bool *ret_repeatable, struct err *err);

#endif

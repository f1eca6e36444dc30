/* SPDX-License-Identifier: Apache-2.0 */
/* Label selectors: from kubectl's notation to that of objects (LabelSelector), and to labels that one selects; pure.
 * https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/ */
#ifndef WHERRY_STEPS_KUBE_LABELS_H
#define WHERRY_STEPS_KUBE_LABELS_H

#include "base/arena.h"
#include "value.h"

/* "app=web,tier in (a, b),!old" as {matchExpressions: […]}, in the arena (text too). ERR_PLAN: it is none, or one that
 * objects cannot hold (a > 1). */
int kube_labels_parse(struct arena *a, const char *text, struct value *ret, struct err *err);
/* Labels that such a selector selects, as "a=b,c=d" ("" where none are needed); NULL: it selects nothing. */
const char *kube_labels_example(struct arena *a, const struct value *selector);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* What objects take of a ResourceQuota (https://kubernetes.io/docs/concepts/policy/resource-quotas/). Pure. */
#ifndef WHERRY_STEPS_KUBE_QUOTA_H
#define WHERRY_STEPS_KUBE_QUOTA_H

#include "value.h"

/* A quantity: 2, "100m", "1.5Gi", "2e3". False: it is none. */
bool kube_quota_parse(const struct value *quantity, double *ret);
/* How much of a quota's resource ("pods", "requests.cpu", "count/deployments.apps") the object takes, with the pods that it asks for; of
 * a DaemonSet those of `nodes` nodes. 0 for what is not known to count. */
double kube_quota_amount(const struct value *object, const char *resource, double nodes);

#endif

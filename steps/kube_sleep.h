/* SPDX-License-Identifier: Apache-2.0 */
/* How objects sleep: they are there, and nothing of them runs. Workloads have no replicas, Jobs and CronJobs are suspended,
 * DaemonSets ask for a node that there is not; a Pod sleeps by not being there, and so does a webhook configuration, since its
 * server sleeps. A volume that sleeps survives its claim (reclaim policy Retain). HorizontalPodAutoscalers need nothing: they
 * leave what has no replicas alone. Pure. */
#ifndef WHERRY_STEPS_KUBE_SLEEP_H
#define WHERRY_STEPS_KUBE_SLEEP_H

#include "base/arena.h"
#include "value.h"

enum kube_sleep {
	KUBE_SLEEP_NONE,   /* it does not run */
	KUBE_SLEEP_FIELDS, /* by fields of its own */
	KUBE_SLEEP_GONE,   /* by not being there */
};
enum kube_sleep kube_sleep_of(const struct value *object);
/* Its fields when it sleeps, as a merge patch: the same whatever they are now. */
struct value kube_sleep_patch(struct arena *a, const struct value *object);
/* The object with these fields. */
struct value kube_sleep_asleep(struct arena *a, const struct value *object);
/* Does it sleep? What sleeps by not being there does. */
bool kube_sleep_is(const struct value *object);
/* Its controller is a workload, which makes it and ends it. */
bool kube_sleep_follows(const struct value *object);
/* Has it run to its end (Job, Pod)? */
bool kube_sleep_ended(const struct value *object);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* The pods of a workload that is waited for: those of its newest template that cannot become ready end the wait, with
 * the tail of their log. */
#ifndef WHERRY_STEPS_KUBE_ROLLOUT_H
#define WHERRY_STEPS_KUBE_ROLLOUT_H

#include "step.h"
#include "steps/kube_until.h"

struct kube_rollout;
/* Look at what has happened to the pods of object since the last look; the first one (*rollout NULL) opens their watch.
 * -1: one of them fails for good. */
int kube_rollout_look(struct step_ctx *cx, const struct kube_until *u, const struct value *object, struct kube_rollout **rollout,
		      struct err *err);
/* What keeps a pod at present, for messages; NULL: nothing. */
const char *kube_rollout_why(const struct kube_rollout *rollout);
void kube_rollout_close(struct kube_rollout *rollout);

#endif

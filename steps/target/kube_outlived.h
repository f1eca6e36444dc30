/* SPDX-License-Identifier: Apache-2.0 */
/* Processes that wherry has left in a container: Kubernetes ends none of them when the connection goes. They are known by
 * WHERRY_EFFECT in their environment, and looked for there by the container's own `sh` and `cat`. */
#ifndef WHERRY_TARGET_KUBE_OUTLIVED_H
#define WHERRY_TARGET_KUBE_OUTLIVED_H

#include "steps/target/kube_pod.h"

/* Look for them, and send each a signal ("TERM", "KILL"; NULL: none). ret_found: NULL, or the first of them and how many
 * more, for people; ret_hidden: how many processes there may be one, and cannot be looked at. -1: it cannot be told, and why. */
int kube_outlived_look(struct opctx *op, struct kube_conn *c, const struct kube_pod *pod, const char *mark, const char *signal,
		       const char **ret_found, size_t *ret_hidden, struct err *err);
/* Wait until there are none: the target's `outlived`. */
int kube_outlived_wait(struct opctx *op, struct kube_conn *c, const struct kube_pod *pod, const char *mark, struct err *err);
/* End them, although op has been cancelled or its deadline has passed: TERM, then KILL after grace (at once where now). False:
 * they may still run. */
bool kube_outlived_end(struct opctx *op, struct kube_conn *c, const struct kube_pod *pod, const char *mark, int64_t grace, bool now);

#endif

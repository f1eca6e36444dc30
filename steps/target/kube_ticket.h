/* SPDX-License-Identifier: Apache-2.0 */
/* The answer of a credential plugin: a strict reader of ExecCredential, and what is said when it is no use. */
#ifndef WHERRY_TARGET_KUBE_TICKET_H
#define WHERRY_TARGET_KUBE_TICKET_H

#include "base/proc.h"
#include "steps/target/kube_plugin.h"

#define KUBE_TICKET_V1 "client.authentication.k8s.io/v1"
#define KUBE_TICKET_V1BETA1 "client.authentication.k8s.io/v1beta1"

/* What a plugin that has ended gave. -1: why it is no use, with the end of what it said to stderr, masked; the kind of the
 * error is the caller's. */
int kube_ticket_judge(struct arena *a, const struct kube_plugin_spec *spec, struct proc_result *r, struct kube_ticket *ret,
		      struct err *err);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* What a container has written, as kubelet keeps it: log/NAMESPACE/POD?max=BYTES[&container=…][&tailLines=…][&sinceSeconds=…]
 * [&previous=true] reads as {text, dropped, container}: the last max bytes, and how many before them were left out. */
#ifndef WHERRY_TARGET_KUBE_LOGS_H
#define WHERRY_TARGET_KUBE_LOGS_H

#include "steps/target/kube_conn.h"
#include "steps/target/kube_paths.h"

int kube_logs_read(struct opctx *op, struct kube_conn *c, const struct kube_paths *path, struct value *ret, struct err *err);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* Effects on Pod/NAMESPACE/NAME#exec: verb `exec` runs a command in a container.
 * body: {argv, container, stdin, expect_output, max_output, grace, probe}; reply: {code, stdout, stderr, stdout_dropped,
 * stderr_dropped, found (expect_output was said), why (what became of the pod, where that may be why it ended so)}. */
#ifndef WHERRY_TARGET_KUBE_EXEC_H
#define WHERRY_TARGET_KUBE_EXEC_H

#include "target.h"

/* As in struct target_type. */
int kube_exec_write(struct opctx *op, void *conn, const struct effect *e, const char *nonce, struct reply *ret, struct err *err);
int kube_exec_predict(struct opctx *op, void *conn, const struct effect *e, const struct value *before, struct prediction *ret,
		      struct err *err);
int kube_exec_probe(struct opctx *op, void *conn, const struct effect *e, const char *nonce, const struct value *before,
		    enum probe *ret, struct err *err);
int kube_exec_outlived(struct opctx *op, void *conn, const struct effect *e, const char *nonce, struct err *err);

#endif

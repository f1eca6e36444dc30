/* SPDX-License-Identifier: Apache-2.0 */
/* The helm binary as a child: with a clean environment, no terminal and no home of the operator's, and with nothing secret among
 * its arguments. Where the cluster is it knows from its environment. */
#ifndef WHERRY_TARGET_HELM_RUN_H
#define WHERRY_TARGET_HELM_RUN_H

#include "base/proc.h"
#include "target.h"

/* Connection fields of a plan's target, bound. */
struct helm_args {
	const struct target *cluster;
	const char *binary;
};

struct helm_conn {
	const char *binary, *kubeconfig, *context; /* the latter NULL: the usual ones */
	void *kube;                                /* of kind kubernetes, to the same cluster */
};

struct helm_call {
	const char *const *argv;   /* behind "helm", NULL-ended */
	const char *namespace;     /* NULL: no cluster is asked */
	struct bytes in;
	const char *nonce;         /* of the effect that it is; NULL: it only looks */
};

/* Run it to its end, whatever that is; the caller frees ret. ERR_UNKNOWN where wherry ended a call with a nonce; else
 * ERR_TIMEOUT, ERR_CANCELLED; ERR_LOCAL where it cannot be started. */
int helm_run(struct opctx *op, const struct helm_conn *c, const struct helm_call *call, struct proc_result *ret, struct err *err);
/* The error that it ended with: ERR_UNREACHABLE where it did not reach the cluster. Secrets of `hidden` (may be NULL) are masked. -1. */
int helm_refused(struct opctx *op, struct proc_result *r, const struct value *hidden, struct err *err);
/* Run a look; its output as JSON in op's arena. 0 with VALUE_NULL: there is no such release. */
int helm_look(struct opctx *op, const struct helm_conn *c, const struct helm_call *call, struct value *ret, struct err *err);

#endif

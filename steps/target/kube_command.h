/* SPDX-License-Identifier: Apache-2.0 */
/* One command in a container of a pod, by the subresource `exec` over WebSocket, sub-protocol v5.channel.k8s.io (its streams:
 * KEP-4006; its frames: k8s.io/apimachinery/pkg/util/remotecommand). What its bytes mean is the caller's. */
#ifndef WHERRY_TARGET_KUBE_COMMAND_H
#define WHERRY_TARGET_KUBE_COMMAND_H

#include "steps/target/kube_conn.h"

enum kube_channel { KUBE_STDIN = 0, KUBE_STDOUT = 1, KUBE_STDERR = 2, KUBE_STATUS = 3, KUBE_CLOSE = 255 };

struct kube_command {
	const char *namespace, *pod, *container;
	const char *const *argv; /* NULL-ended */
	const char *mark;        /* WHERRY_EFFECT in its environment, by the container's own `env`; NULL: none */
	bool changes;            /* it may change something: once begun, an end that was not seen is ERR_UNKNOWN */
	/* What it reads: fill p and say how much it is; 0: the end. NULL: it has no standard input. */
	int (*source)(void *data, char *p, size_t size, size_t *ret, struct err *err);
	/* What it says on STDOUT and STDERR. -1 with err set ends the connection, and with it nothing but that. */
	int (*sink)(void *data, enum kube_channel channel, const char *p, size_t n, struct err *err);
	void *data;
};

struct kube_end {
	int code;     /* its exit code, where it has ended */
	bool absent;  /* the container has no such program (`env`, where there is a mark): nothing has happened */
	bool begun;   /* it may have begun */
	bool ours;    /* and we went away before its end: cancel or deadline */
};

/* Run it to its end: 0 with its exit code. -1 with err: ERR_FAILED where it is certain that it never began (retryable where
 * that may pass), ERR_UNKNOWN where it may have; for one that changes nothing the error behind that instead. */
int kube_command_run(struct opctx *op, struct kube_conn *c, const struct kube_command *cmd, struct kube_end *ret, struct err *err);
/* "pod web/db-0, container 'db'", for messages. */
const char *kube_command_where(struct arena *a, const struct kube_command *cmd);

#endif

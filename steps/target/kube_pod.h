/* SPDX-License-Identifier: Apache-2.0 */
/* What there is of one pod and one of its containers: asked before a command is run in it, and again when it ended badly. */
#ifndef WHERRY_TARGET_KUBE_POD_H
#define WHERRY_TARGET_KUBE_POD_H

#include "steps/target/kube_conn.h"

struct kube_pod {
	const char *namespace, *name;
	bool present, running;       /* the pod is there; the container runs */
	const char *uid, *container; /* which container it is, where none was named */
	const char *id;              /* of the container's present run; "" before it has one */
	const char *state;           /* one line on a container that does not run */
	const char *last;            /* why the run before this one ended, or "" */
};

/* namespace and container may be NULL: the target's own; the pod's only one, or the one that its annotation
 * kubectl.kubernetes.io/default-container names. 0 with present false where there is no such pod. ERR_FAILED for a container
 * that the pod does not have, with those that it has. Strings are in op's arena. */
int kube_pod_look(struct opctx *op, struct kube_conn *c, const char *namespace, const char *name, const char *container,
		  struct kube_pod *ret, struct err *err);
/* The container runs? Else ERR_FAILED, saying why; retryable where it may yet. */
int kube_pod_check(const struct kube_pod *p, struct err *err);
/* What has become of it since, as half a sentence: "the pod was replaced meanwhile"; NULL: nothing. */
const char *kube_pod_since(struct arena *a, const struct kube_pod *before, const struct kube_pod *now);

#endif

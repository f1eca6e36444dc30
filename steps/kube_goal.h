/* SPDX-License-Identifier: Apache-2.0 */
/* Is an object as somebody waits for it? Pure judgements of one object as the server shows it. */
#ifndef WHERRY_STEPS_KUBE_GOAL_H
#define WHERRY_STEPS_KUBE_GOAL_H

#include "base/buf.h"
#include "value.h"

enum kube_verdict { KUBE_NOT_YET, KUBE_MET, KUBE_FAILED }; /* failed: it will not become so by waiting */

/* "Ready", or "Ready=False": type and status ("True" where none is given). False where it is neither. */
bool kube_goal_parse(const char *text, char ret_type[256], char ret_status[16]);
/* Has the object's controller seen what was written: the generation at hand, and at least the given one? why: not yet. */
bool kube_goal_observed(const struct value *object, int64_t generation, struct buf *why);
/* A condition of the object, observed at its generation. */
enum kube_verdict kube_goal_condition(const struct value *object, const char *type, const char *status, int64_t generation,
				      struct buf *why);
/* Deployment, StatefulSet, DaemonSet: every replica is of the newest template and available. Job: complete.
 * Pod: ready, or ended well. As `kubectl rollout status` sees it. */
enum kube_verdict kube_goal_rollout(const struct value *object, int64_t generation, struct buf *why);
/* Why an object that is to go is still there: what its deletion waits for. */
void kube_goal_lingers(const struct value *object, struct buf *why);
/* Has the pod ended (Succeeded, Failed)? Nothing of it runs any more. */
bool kube_goal_ended(const struct value *pod);

/* What keeps a pod from becoming ready. */
struct kube_trouble {
	enum kube_verdict verdict; /* KUBE_MET: nothing; KUBE_FAILED: it goes on failing */
	const char *container;     /* of the pod; NULL: the pod itself */
	bool init, previous;       /* previous: its last run has ended, and has a log of its own */
};
/* restarts: how often a container may end before that counts as a failure. */
struct kube_trouble kube_goal_pod(const struct value *pod, int64_t restarts, struct buf *why);

#endif

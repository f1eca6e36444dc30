/* SPDX-License-Identifier: Apache-2.0 */
/* Waiting for objects of one kind, however many, by one watch. In a dry-run one look is taken, and what is not so yet is
 * assumed to become so. */
#ifndef WHERRY_STEPS_KUBE_UNTIL_H
#define WHERRY_STEPS_KUBE_UNTIL_H

#include "step.h"

struct kube_until {
	struct target *in;
	const char *what;            /* for people: "Deployment web/nginx", "Pods of app=web" */
	const char *path;            /* of the object or list to watch */
	bool alone;                  /* it is one object's */
	const struct value *names;   /* of a list in one namespace: only these, and all of them; NULL: whatever it holds */
	/* which of them count */
	const char *uid;             /* only the object with this uid; NULL: any */
	bool running;                /* of pods those that have not ended */
	bool going;                  /* those that are being deleted: what a delete has seen cannot come back from that */
	/* what has to hold for each that counts; NULL and false: that it is there */
	const char *condition;       /* as kube_goal_parse takes it */
	const struct expr *until;
	bool rollout;
	int64_t restarts;            /* with rollout: see kube_goal_pod */
	int64_t generation;          /* of the write that is waited for, at least; 0: whatever was written last */
	int64_t count;               /* how many have to count; -1: the one, all names, or at least one of the list */
	int64_t settled;             /* ns for which it has to stay so */
};

/* How it ended: the object (of one that is waited for alone; as outputs may show it) and how many count. Unknown in a
 * dry-run where it was assumed. -1: it failed for good, or the time-out; err says what is missing. */
struct kube_found {
	struct value object, count;
};
int kube_until(struct step_ctx *cx, const struct kube_until *u, struct kube_found *ret, struct err *err);

#endif

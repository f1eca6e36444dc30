/* SPDX-License-Identifier: Apache-2.0 */
/* Who may write under a prefix of an etcd cluster, and what a fence of one role would leave. */
#ifndef WHERRY_STEPS_ETCD_RIGHTS_H
#define WHERRY_STEPS_ETCD_RIGHTS_H

#include "step.h"
#include "steps/target/etcd_rights_paths.h"

/* Inputs of the fence and of its check. */
struct etcd_fence_args {
	struct target *on;
	const char *role, *prefix, *others, *wider;
};
extern const char *const etcd_refuse_words[];

#define ETCD_FENCE_INPUTS \
	{ "on", F_TARGET, .offset = offsetof(struct etcd_fence_args, on), .required = true, .kind = "etcd", \
	  .help = "the cluster; its user needs the role root" }, \
	{ "role", F_STRING, .offset = offsetof(struct etcd_fence_args, role), .required = true, \
	  .help = "the role by which the clients write" }, \
	{ "prefix", F_STRING, .offset = offsetof(struct etcd_fence_args, prefix), .required = true, \
	  .help = "what the keys begin with; empty: all keys" }, \
	{ "others", F_STRING, .offset = offsetof(struct etcd_fence_args, others), .dflt = "refuse", \
	  .choices = etcd_refuse_words, .help = "users who may write there by another role than this one and root" }, \
	{ "wider", F_STRING, .offset = offsetof(struct etcd_fence_args, wider), .dflt = "refuse", \
	  .choices = etcd_refuse_words, \
	  .help = "permissions of the role that reach beyond the prefix: a fence would make all of their range read-only" }

/* What was found: lists of names, but others: {user, role, permission}, permission as text for people. */
struct etcd_writers {
	struct bytes from, to;
	struct etcd_perms permissions; /* of the role */
	struct value users, root_users, others;
};
/* Look, and refuse where a fence would not hold or would hold too much. */
int etcd_look_for_writers(struct step_ctx *cx, const struct etcd_fence_args *a, struct etcd_writers *ret, struct err *err);

#endif

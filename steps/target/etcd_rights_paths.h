/* SPDX-License-Identifier: Apache-2.0 */
/* Permissions of etcd's roles as values, and what may be computed from them: the language that steps and target share
 * beside etcd_paths.h. Pure. A permission is {key, end, may}: end as in a range of etcd_paths.h, empty for exactly the
 * key; may is read, write or readwrite. Where one is given, {prefix, may} says the same. */
#ifndef WHERRY_TARGET_ETCD_RIGHTS_PATHS_H
#define WHERRY_TARGET_ETCD_RIGHTS_PATHS_H

#include "steps/target/etcd_paths.h"
#include "value.h"

enum etcd_may { ETCD_MAY_READ, ETCD_MAY_WRITE, ETCD_MAY_READWRITE }; /* numbers of authpb.Permission.Type */

struct etcd_perm {
	struct bytes key, end;
	enum etcd_may may;
};
struct etcd_perms {
	struct etcd_perm *list; /* by key and end */
	size_t n;
};

void etcd_perms_sort(struct etcd_perms *p);
bool etcd_perms_eq(const struct etcd_perms *a, const struct etcd_perms *b);
bool etcd_perm_same_range(const struct etcd_perm *a, const struct etcd_perm *b);
/* The first permission on exactly this range, or NULL. */
const struct etcd_perm *etcd_perms_find(const struct etcd_perms *p, const struct etcd_perm *range);
struct value etcd_perms_value(struct arena *a, const struct etcd_perms *p);
/* A list of maps; ERR_PLAN for one that is none, ERR_PREDICTED where it is not known. */
int etcd_perms_parse(struct arena *a, const struct value *list, struct etcd_perms *ret, struct err *err);

/* Does it let write anything in [from, to)? Does it reach beyond that? */
bool etcd_perm_writes(const struct etcd_perm *p, struct bytes from, struct bytes to);
bool etcd_perm_is_wider(const struct etcd_perm *p, struct bytes from, struct bytes to);
/* What is left when none may write in [from, to): readwrite becomes read, and write alone goes. */
struct etcd_perms etcd_perms_fenced(struct arena *a, const struct etcd_perms *now, struct bytes from, struct bytes to);
/* now with those wanted added or in the place of others on the same range; only: and nothing else. */
struct etcd_perms etcd_perms_with(struct arena *a, const struct etcd_perms *now, const struct etcd_perms *wanted, bool only);
/* For people: a prefix with a star after it, a key, or the two ends of a range. */
const char *etcd_perm_text(struct arena *a, const struct etcd_perm *p);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* Pure: what patches make of a value. Results share what they did not change; new parts live in the arena. */
#ifndef WHERRY_KUBE_PATCH_H
#define WHERRY_KUBE_PATCH_H

#include "value.h"

/* The member of a map, or NULL; hint is where it is looked for first (0 at the start), and where the next one may be. */
const struct value *kube_member(const struct value *map, const char *key, uint32_t *hint);
/* A copy of a map (null: an empty one) in which key is v; NULL for v takes it out. */
struct value kube_set(struct arena *, const struct value *map, const char *key, const struct value *v);
/* metadata.key of an object, or NULL. */
const struct value *kube_meta(const struct value *object, const char *key);
/* metadata.key of an object where it is a string, else "". */
const char *kube_meta_str(const struct value *object, const char *key);

/* RFC 7396: a map is merged, null takes a member out, anything else replaces. */
struct value kube_merge_patch(struct arena *, const struct value *target, const struct value *patch);
/* RFC 6902. ERR_FAILED names the operation that cannot be done, and ERR_PLAN one that is none. */
int kube_json_patch(struct arena *, const struct value *target, const struct value *ops, struct value *ret, struct err *err);
/* The tokens of a JSON pointer (RFC 6901), unescaped; -1 when it is none. */
int kube_pointer(struct arena *, const char *pointer, const char *const **ret, size_t *ret_n);

#endif

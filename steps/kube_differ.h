/* SPDX-License-Identifier: Apache-2.0 */
/* Objects that are to be one: made to lie in another namespace, what turns one into the other, and where they differ. Pure. */
#ifndef WHERRY_STEPS_KUBE_DIFFER_H
#define WHERRY_STEPS_KUBE_DIFFER_H

#include "base/arena.h"
#include "base/buf.h"
#include "value.h"

/* The object with every namespace that it has or names called as the map says (a map of texts, or NULL). */
struct value kube_differ_moved(struct arena *a, const struct value *object, const struct value *namespaces);
/* The JSON merge patch (RFC 7386) that makes `from` be `to`. */
struct value kube_differ_patch(struct arena *a, const struct value *from, const struct value *to);
/* The object without the fields that the list of paths names: keys with '.' between, '*' for each of a list or map, keys with
 * dots in them in brackets: metadata.annotations[a.example.org/x]. */
struct value kube_differ_without(struct arena *a, const struct value *object, const struct value *paths);
/* Append the paths of the first fields that differ, at most max, with ", " between; nothing of what they hold. */
void kube_differ_paths(struct buf *to, const struct value *left, const struct value *right, unsigned max);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* Pure: the fields of objects. metadata.managedFields tells how a server understands an object (which lists have keys, which maps
 * are one thing) and who wrote what, so nothing here needs a schema.
 * https://kubernetes.io/docs/reference/using-api/server-side-apply/ */
#ifndef WHERRY_KUBE_FIELDS_H
#define WHERRY_KUBE_FIELDS_H

#include "value.h"

/* The field manager of all that is applied. Its name and a nonce behind '/' is that of requests that must not happen twice. */
#define KUBE_MANAGER "wherry"

/* How the object is built: fieldsV1 of all managers in one tree, the items of a keyed list as one "k:", with the names of
 * their keys under "keys". Null where the server tells nothing. */
struct value kube_types(struct arena *, const struct value *object);
/* Has the object all that is wanted? Members with null are not wanted; lists that have keys may hold more. */
bool kube_has(const struct value *want, const struct value *have, const struct value *types);
/* Would applying `want` take something out that KUBE_MANAGER applied earlier? sub: NULL for the object itself. */
bool kube_drops(struct arena *, const struct value *object, const struct value *want, const char *sub);
/* What applying `want` would make of the object (null: nothing is there), as far as it can be told from here. */
struct value kube_apply_merge(struct arena *, const struct value *object, const struct value *want, const struct value *types);
/* The same of a strategic merge patch without directives: what is null in it is taken out. */
struct value kube_strategic_merge(struct arena *, const struct value *object, const struct value *patch);
/* fieldsV1 of what KUBE_MANAGER applied, or NULL. */
const struct value *kube_applied(const struct value *object, const char *sub);
/* Does a field manager of this name have a part in the object? */
bool kube_managed_by(const struct value *object, const char *manager);

/* A shape says which fields are meant: a map of shapes; true for a field as a whole, an empty map for "there is a map". */
struct value kube_shape_of_apply(struct arena *, const struct value *object, const struct value *want, const char *sub);
struct value kube_shape_of_patch(struct arena *, const struct value *patch); /* merge and strategic ones */
struct value kube_shape_of_json(struct arena *, const struct value *object, const struct value *ops);
/* Both. */
struct value kube_shape_join(struct arena *, const struct value *a, const struct value *b);
/* The fields of the image that are meant, without empty maps on the way to them; null where nothing is. */
struct value kube_project(struct arena *, const struct value *shape, const struct value *image);
/* The merge patch that makes these fields of `now` those of `before`; an empty map where nothing differs. */
struct value kube_restore(struct arena *, const struct value *shape, const struct value *before, const struct value *now);

#endif

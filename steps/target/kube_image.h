/* SPDX-License-Identifier: Apache-2.0 */
/* Pure: the images of effects on objects (target.h): what of them counts, what may be shown, and what takes an effect back.
 * Bodies, by verb:
 *   apply   {object, force}
 *   create  {object, existing: keep to leave one that is there}
 *   patch   {patch, type: "merge" | "json" | "strategic", uid, resource_version}
 *   delete  {uid, propagation: "background" | "foreground" | "orphan", grace, missing_ok}
 *   evict   {uid, grace, missing_ok}
 * hide: the shape of fields that are secret although they are no secrets in the body (of an undo).
 * All but object and patch may be absent. missing_ok: the object (of that uid) may be gone already. In an inverse `undo` is true: that someone else
 * came between is then in doubt rather than failed. */
#ifndef WHERRY_KUBE_IMAGE_H
#define WHERRY_KUBE_IMAGE_H

#include "target.h"

enum kube_verb { KUBE_APPLY, KUBE_CREATE, KUBE_PATCH, KUBE_DELETE, KUBE_EVICT, KUBE_OTHER };

enum kube_verb kube_verb(const struct effect *);
/* What stands behind '#' in a path, or NULL. */
const char *kube_sub_of(const char *path);
/* "object" of the body as a server keeps it: what a Secret has in stringData is in data. */
struct value kube_wanted(struct arena *, const struct effect *);
/* The same of "patch". */
struct value kube_wanted_patch(struct arena *, const struct effect *);
bool kube_is_undo(const struct effect *);
/* Of a delete or evict: may the object be gone already? */
bool kube_gone_is_fine(const struct effect *);
/* What a patch makes of the image; -1 with err: it cannot be applied, or (ERR_PREDICTED) only the server can tell. */
int kube_patched(struct arena *, const struct effect *, const struct value *image, struct value *ret, struct err *err);
/* Has someone begun to delete it? */
bool kube_is_going(const struct value *object);

/* The members of struct target_type. */
struct value kube_stands(struct arena *, const struct effect *, const struct value *before, const struct value *image,
			 const struct value *left);
struct value kube_shown(struct arena *, const struct effect *, const struct value *image, bool diff);
/* Has the object nothing but its name? Then no field of it bears a manager: it is told by what it is alone. */
bool kube_is_bare(const struct value *object);
/* A create that is refused where its name is taken. Of an object that has nothing but its name, what was there before has to be
 * seen: afterwards nothing tells whose it is. */
bool kube_fresh(const struct effect *);
bool kube_same(const struct effect *, const struct value *before);
struct value kube_after(struct arena *, const struct effect *, const struct value *reply);
int kube_invert(struct arena *, const struct effect *, const struct value *before, const struct value *after,
		struct effect *ret, struct err *err);

#endif

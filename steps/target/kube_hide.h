/* SPDX-License-Identifier: Apache-2.0 */
/* Pure: what in objects must not be shown, because the effect on them says so: fields that the plan gave as secrets, those of
 * an undo of such, and all of a Secret. */
#ifndef WHERRY_KUBE_HIDE_H
#define WHERRY_KUBE_HIDE_H

#include "target.h"

/* The shape (kube_fields.h) of the secret fields of an effect's object; null where there are none. */
struct value kube_secret_shape(struct arena *, const struct effect *);
/* The object, or a patch of it, with these fields as secrets; and a Secret as one. */
struct value kube_hide(struct arena *, const struct value *shape, const struct value *object);
/* The other way: images of a dry-run may hold secrets where those of the server hold texts. */
struct value kube_reveal(struct arena *, const struct value *v);
/* Take out of a message what the server says back of them. */
void kube_mask(const struct effect *, struct err *);

#endif

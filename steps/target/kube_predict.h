/* SPDX-License-Identifier: Apache-2.0 */
/* What effects on objects would do, as in struct target_type. */
#ifndef WHERRY_KUBE_PREDICT_H
#define WHERRY_KUBE_PREDICT_H

#include "target.h"

/* exact: the server's own dry-run. simulated: on what earlier steps of the plan make. predicted: where the server would not
 * try it, or refuses the right to, which a note says. */
int kube_predict(struct opctx *op, void *conn, const struct effect *e, const struct value *before, struct prediction *ret,
		 struct err *err);

/* Pure: the paths that an effect on this object makes unknowable, NULL-ended: its other parts, what its controller makes of
 * it, and what goes with it. image: the object, or null. */
const char *const *kube_touched(struct arena *a, const char *path, const char *verb, const struct value *image);

#endif

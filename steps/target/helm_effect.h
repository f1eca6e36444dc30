/* SPDX-License-Identifier: Apache-2.0 */
/* What effects of kind `helm` do. Verbs on a release, of class probe:
 *   upgrade    {chart, values, keep_values, install, timeout}: a new revision; values over the release's own with keep_values
 *   rollback   {revision, timeout}: a new revision that is as that one was
 *   uninstall  {keep_history, timeout}
 * and on a chart, read-only: `template` {release, values}: its objects. timeout is in nanoseconds. A revision that helm wrote down
 * as failed is an effect that happened: its image says so, and it can be taken back. */
#ifndef WHERRY_TARGET_HELM_EFFECT_H
#define WHERRY_TARGET_HELM_EFFECT_H

#include "target.h"

int helm_effect_write(struct opctx *op, void *conn, const struct effect *e, const char *nonce, struct reply *ret, struct err *err);
int helm_effect_image(struct opctx *op, void *conn, const struct effect *e, struct value *ret, struct err *err);
bool helm_effect_same(const struct effect *e, const struct value *before);
int helm_effect_predict(struct opctx *op, void *conn, const struct effect *e, const struct value *before, struct prediction *ret,
			struct err *err);
int helm_effect_probe(struct opctx *op, void *conn, const struct effect *e, const char *nonce, const struct value *before,
		      enum probe *ret, struct err *err);
struct value helm_effect_stands(struct arena *a, const struct effect *e, const struct value *before, const struct value *image,
				const struct value *left);
struct value helm_effect_shown(struct arena *a, const struct effect *e, const struct value *image, bool diff);
int helm_effect_invert(struct arena *a, const struct effect *e, const struct value *before, const struct value *after,
		       struct effect *ret, struct err *err);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* The effects of kind `kubernetes`, as in struct target_type: those on objects, and those in containers. */
#ifndef WHERRY_KUBE_EFFECT_H
#define WHERRY_KUBE_EFFECT_H

#include "target.h"

int kube_effect_write(struct opctx *op, void *conn, const struct effect *e, const char *nonce, struct reply *ret, struct err *err);
int kube_effect_image(struct opctx *op, void *conn, const struct effect *e, struct value *ret, struct err *err);
bool kube_effect_fresh(const struct effect *e);
bool kube_effect_same(const struct effect *e, const struct value *before);
int kube_effect_predict(struct opctx *op, void *conn, const struct effect *e, const struct value *before, struct prediction *ret,
			struct err *err);
int kube_effect_probe(struct opctx *op, void *conn, const struct effect *e, const char *nonce, const struct value *before,
		      enum probe *ret, struct err *err);
int kube_effect_outlived(struct opctx *op, void *conn, const struct effect *e, const char *nonce, struct err *err);
struct value kube_effect_after(struct arena *a, const struct effect *e, const struct value *reply);
struct value kube_effect_stands(struct arena *a, const struct effect *e, const struct value *before, const struct value *image,
				const struct value *left);
int kube_effect_invert(struct arena *a, const struct effect *e, const struct value *before, const struct value *after,
		       struct effect *ret, struct err *err);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* Owns which effects are about objects and which run in a container. The latter need a library that may be absent; then no
 * step asks for one. */
#include "steps/target/kube_effect.h"

#include <string.h>

#include "steps/target/kube_image.h"
#include "steps/target/kube_inside.h"
#include "steps/target/kube_predict.h"
#include "steps/target/kube_write.h"

static const struct target_type objects = {
	.write = kube_write,
	.image = kube_image,
	.fresh = kube_fresh,
	.same = kube_same,
	.predict = kube_predict,
	.probe = kube_probe,
	.after = kube_after,
	.stands = kube_stands,
	.invert = kube_invert,
};

static const struct target_type *
part_of(const struct effect *e)
{
#ifdef WHERRY_WSLAY
	if (strncmp(e->on.path, "here/", 5) == 0)
		return &kube_inside_fetch;
	if (strncmp(e->on.path, "file/", 5) == 0)
		return &kube_inside_send;
	if (kube_verb(e) == KUBE_OTHER)
		return &kube_inside_exec;
#endif
	(void)e;
	return &objects;
}

int
kube_effect_write(struct opctx *op, void *conn, const struct effect *e, const char *nonce, struct reply *ret, struct err *err)
{
	return part_of(e)->write(op, conn, e, nonce, ret, err);
}

int
kube_effect_image(struct opctx *op, void *conn, const struct effect *e, struct value *ret, struct err *err)
{
	return part_of(e)->image(op, conn, e, ret, err);
}

bool
kube_effect_same(const struct effect *e, const struct value *before)
{
	const struct target_type *part = part_of(e);

	return part->same != NULL && part->same(e, before);
}

bool
kube_effect_fresh(const struct effect *e)
{
	const struct target_type *part = part_of(e);

	return part->fresh != NULL && part->fresh(e);
}

int
kube_effect_predict(struct opctx *op, void *conn, const struct effect *e, const struct value *before, struct prediction *ret,
		    struct err *err)
{
	return part_of(e)->predict(op, conn, e, before, ret, err);
}

int
kube_effect_probe(struct opctx *op, void *conn, const struct effect *e, const char *nonce, const struct value *before,
		  enum probe *ret, struct err *err)
{
	return part_of(e)->probe(op, conn, e, nonce, before, ret, err);
}

int
kube_effect_outlived(struct opctx *op, void *conn, const struct effect *e, const char *nonce, struct err *err)
{
	const struct target_type *part = part_of(e);

	return part->outlived != NULL ? part->outlived(op, conn, e, nonce, err) : 0;
}

struct value
kube_effect_after(struct arena *a, const struct effect *e, const struct value *reply)
{
	const struct target_type *part = part_of(e);

	return part->after != NULL ? part->after(a, e, reply) : *reply;
}

struct value
kube_effect_stands(struct arena *a, const struct effect *e, const struct value *before, const struct value *image,
		   const struct value *left)
{
	const struct target_type *part = part_of(e);

	return part->stands != NULL ? part->stands(a, e, before, image, left) : *image;
}

int
kube_effect_invert(struct arena *a, const struct effect *e, const struct value *before, const struct value *after,
		   struct effect *ret, struct err *err)
{
	const struct target_type *part = part_of(e);

	return part->invert != NULL ? part->invert(a, e, before, after, ret, err) :
		err_set(err, ERR_IN_DOUBT, "'%s' has no inverse", e->verb);
}

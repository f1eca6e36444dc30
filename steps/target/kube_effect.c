/* SPDX-License-Identifier: Apache-2.0 */
/* Owns which effects are about objects and which run in a container. The latter need a library that may be absent; then no
 * step asks for one. */
#include "steps/target/kube_effect.h"

#include "steps/target/kube_exec.h"
#include "steps/target/kube_image.h"
#include "steps/target/kube_predict.h"
#include "steps/target/kube_write.h"

static const struct target_type objects = { .write = kube_write, .predict = kube_predict, .probe = kube_probe };
#ifdef WHERRY_WSLAY
static const struct target_type containers = { .write = kube_exec_write, .predict = kube_exec_predict, .probe = kube_exec_probe,
	.outlived = kube_exec_outlived };
#endif

static const struct target_type *
part_of(const struct effect *e)
{
#ifdef WHERRY_WSLAY
	if (kube_verb(e) == KUBE_OTHER)
		return &containers;
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

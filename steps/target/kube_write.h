/* SPDX-License-Identifier: Apache-2.0 */
/* Effects on objects, as in struct target_type. Verbs and bodies are in kube_image.h. */
#ifndef WHERRY_KUBE_WRITE_H
#define WHERRY_KUBE_WRITE_H

#include "target.h"

/* The reply: the object as it is then; of delete and evict {uid, gone, finalizers}: where it is not gone yet, what it waits for. */
int kube_write(struct opctx *op, void *conn, const struct effect *e, const char *nonce, struct reply *ret, struct err *err);
/* The object with all that is in it, null when absent. */
int kube_image(struct opctx *op, void *conn, const struct effect *e, struct value *ret, struct err *err);
/* Was a create, patch, delete or evict done, and by us? */
int kube_probe(struct opctx *op, void *conn, const struct effect *e, const char *nonce, const struct value *before,
	       enum probe *ret, struct err *err);

#endif

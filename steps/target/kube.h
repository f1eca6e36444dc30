/* SPDX-License-Identifier: Apache-2.0 */
/* The parts of the kubernetes target kind, which is put together in kube.c. Paths are in kube_paths.h. */
#ifndef WHERRY_TARGET_KUBE_H
#define WHERRY_TARGET_KUBE_H

#include "steps/target/kube_path.h"

/* kube.c */
int kube_read(struct opctx *op, void *conn, const char *path, struct value *ret, struct err *err);
/* As kube_read of an object, but nothing is hidden in it: for images. */
int kube_read_plain(struct opctx *op, struct kube_conn *c, const struct kube_path *p, struct value *ret, struct err *err);

/* kube_review.c: the reads that are asked by a POST, which changes nothing. */
int kube_read_can_i(struct opctx *op, struct kube_conn *c, const struct kube_paths *p, struct value *ret, struct err *err);
int kube_read_whoami(struct opctx *op, struct kube_conn *c, struct value *ret, struct err *err);
int kube_read_canary(struct opctx *op, struct kube_conn *c, const struct kube_paths *p, struct value *ret, struct err *err);

/* kube_list.c: an item is the object as `read` would have it, as JSON, with nothing hidden; keys are canonical. */
int kube_list(struct opctx *op, void *conn, const struct query *q, struct page *ret, struct err *err);

/* kube_watch.c: of a list's path, or of one object's. Without a revision it begins with what is there, as changes; the first
 * one with a revision ends that. With a revision it begins there, and ends as `compacted` where the server has forgotten it. A
 * deleted item has its key, and its last state only where the server told it. */
int kube_watch_open(struct opctx *op, void *conn, const struct query *q, void **ret_watch, struct err *err);
int kube_watch_next(struct opctx *op, void *watch, int64_t wait_ns, struct changes *ret, struct err *err);
void kube_watch_close(void *watch);

#endif

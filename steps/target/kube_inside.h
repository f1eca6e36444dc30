/* SPDX-License-Identifier: Apache-2.0 */
/* Effects in pods, by the families of paths that they are on; objects are kube_write.c's.
 * - Pod/NAMESPACE/NAME#exec: verb `exec` runs a command in a container.
 *   body: {argv, container, stdin, expect_output, max_output, grace, probe}; reply: {code, stdout, stderr, stdout_dropped,
 *   stderr_dropped, found (expect_output was said), why (what became of the pod, where that may be why it ended so)}.
 * Files between this machine and a container, {path, size, sha256, mode}; the content is never held, and never kept:
 * - here/PATH, a file of this machine: verb `fetch` {pod (its path), container, file, mode} makes it of a
 *   container's file; one that is there is never replaced. `remove` {} takes it away.
 * - file/NAMESPACE/POD/CONTAINER/PATH, a file in a container: verb `send` {from, sha256, mode, replace} makes it of a
 *   file of this machine; `remove` {} takes it away. */
#ifndef WHERRY_TARGET_KUBE_INSIDE_H
#define WHERRY_TARGET_KUBE_INSIDE_H

#include "target.h"

/* What of struct target_type is about each family; members that are absent there are NULL. */
extern const struct target_type kube_inside_exec;  /* kube_exec.c */
extern const struct target_type kube_inside_fetch; /* kube_fetch.c: here/ */
extern const struct target_type kube_inside_send;  /* kube_send.c: file/ */

/* A file of this machine, {path, size, sha256, mode}; null where it is not. ERR_FAILED for what is no regular file. */
int kube_look_here(struct opctx *op, const char *file, struct value *ret, struct err *err);
/* The `read` of here/PATH: null where it is not. In a dry-run unknown then: an earlier step may be to make it. kube_here.c. */
int kube_read_here(struct opctx *op, const char *file, struct value *ret, struct err *err);
/* The `recheck` of here/…. */
int kube_recheck_here(struct opctx *op, const char *path, const struct value *after, struct err *err);

#endif

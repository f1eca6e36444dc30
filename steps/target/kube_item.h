/* SPDX-License-Identifier: Apache-2.0 */
/* One object of a list or watch, as text: who it is, and itself as a read would have it. */
#ifndef WHERRY_TARGET_KUBE_ITEM_H
#define WHERRY_TARGET_KUBE_ITEM_H

#include "steps/target/kube_path.h"
#include "target.h"

#define KUBE_ITEM_MAX ((size_t)16 << 20) /* etcd keeps 1.5 MiB, other stores more */

/* An item of kind p->kind in the arena: key is its canonical path, value its JSON with kind and apiVersion (none with
 * keys_only); revision 0 where resourceVersion is no number, ret_version (may be NULL) is its text. */
int kube_item_make(struct arena *a, const struct kube_path *p, struct bytes json, bool keys_only, struct item *ret,
		   const char **ret_version, struct err *err);
/* An object's resourceVersion, "" for none; NULL: malformed. */
const char *kube_item_version(struct arena *a, struct bytes json);
/* A resourceVersion as a number; 0: it is none. */
int64_t kube_revision(const char *text);

#endif

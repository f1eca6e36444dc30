/* SPDX-License-Identifier: Apache-2.0 */
/* How exported objects lie in a folder, pure:
 *   manifest.json                     {format, cluster, objects, kinds, sums: SHA-256 of SHA256SUMS}
 *   SHA256SUMS                        a line for each object, in order of their paths, as sha256sum writes and checks them
 *   KIND[.GROUP]/NAMESPACE/NAME.yaml  one object; NAMESPACE is _cluster for those without
 * What a server calls its objects becomes part of a path only with %XX for what is no letter, digit, '.', '_' or '-'. */
#ifndef WHERRY_STEPS_KUBE_STORE_H
#define WHERRY_STEPS_KUBE_STORE_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/hash.h"
#include "value.h"

#define KUBE_STORE_MANIFEST "manifest.json"
#define KUBE_STORE_SUMS "SHA256SUMS"
#define KUBE_STORE_FORMAT "wherry-kubernetes-export/1"

/* The file of an object, within the folder. namespace "": it has none. */
const char *kube_store_path(struct arena *a, const char *group, const char *kind, const char *namespace, const char *name);
/* The file of an object by its own apiVersion, kind and metadata. */
const char *kube_store_path_of(struct arena *a, const struct value *object);

/* Which files, with which content. Paths are in the arena; grows as they are added, in any order. */
struct kube_store_file {
	const char *path;
	unsigned char sha256[SHA256_LEN];
	uint32_t number; /* the how manieth it was when it was added */
};
struct kube_store {
	struct arena arena;
	struct kube_store_file *files;
	uint32_t n, cap;
};
void kube_store_add(struct kube_store *s, const char *path, struct bytes content);
/* Into the order of paths; of a file that was written twice the last one counts. */
void kube_store_sort(struct kube_store *s);
/* The text of SHA256SUMS, of a sorted store. */
void kube_store_sums(const struct kube_store *s, struct buf *to);
/* The text of manifest.json, for that text. cluster: what tells the cluster apart. */
void kube_store_manifest(struct arena *a, const struct kube_store *s, const char *cluster, struct bytes sums, struct buf *to);
/* Read both texts; what does not fit together, and a path that is none of ours, is ERR_FAILED. name: the folder, for messages. */
int kube_store_read(struct kube_store *s, const char *name, struct bytes manifest, struct bytes sums, struct err *err);
bool kube_store_is(const struct kube_store_file *f, struct bytes content);
void kube_store_done(struct kube_store *s);

#endif

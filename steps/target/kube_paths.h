/* SPDX-License-Identifier: Apache-2.0 */
/* The syntax of refs of kind `kubernetes`, and what covers what; and what in an object is secret. Pure: nothing is asked.
 *   KIND/NAMESPACE/NAME[#SUBRESOURCE]   an object: Deployment.apps/web/nginx, Namespace//web, Deployment.apps/web/nginx#scale
 *   KIND/NAMESPACE/[?QUERY]             all of a kind: NAMESPACE * is every one; QUERY holds labelSelector=…&fieldSelector=…,
 *                                       values percent-encoded
 * NAMESPACE empty: the target's own, and nothing for kinds without. In NAME stands %XX for what a path has words for.
 * Read-only: `can-i/VERB/KIND/NAMESPACE/[NAME][#SUBRESOURCE]` (a SelfSubjectAccessReview, which changes nothing; KIND may be
 * one that the server does not have, as `*` is; NAMESPACE * asks for all) reads as {allowed, denied, reason}; `whoami` as
 * {username, uid, groups}, or null where the server does not tell; `canary/NAMESPACE/NAME[?LABEL=VALUE,…]` (a ConfigMap
 * that is tried and not made) as {taken, policy: the ValidatingAdmissionPolicy that refuses it, why};
 * `version` as the server's /version; `kinds` as a list of {kind, group, version, plural, namespaced, preferred, verbs,
 * subresources}. In pods: `file/NAMESPACE/POD/CONTAINER/PATH`, a file in a container (empty: its default one);
 * `log/NAMESPACE/POD?QUERY` (kube_logs.h). And `here/PATH`, a file of this machine that comes out
 * of one or goes into one. */
#ifndef WHERRY_TARGET_KUBE_PATHS_H
#define WHERRY_TARGET_KUBE_PATHS_H

#include "base/arena.h"
#include "base/buf.h"
#include "value.h"

enum kube_paths_what { KUBE_OBJECT, KUBE_LIST, KUBE_CAN_I, KUBE_CANARY, KUBE_WHOAMI, KUBE_VERSION, KUBE_KINDS, KUBE_FILE, KUBE_LOG,
	KUBE_HERE };

struct kube_paths {
	enum kube_paths_what what;
	const char *kind, *namespace, *name; /* as written; name without its escapes, "" for a list */
	const char *sub;                     /* NULL: the object itself */
	const char *query;                   /* of a list, a canary: NULL: none */
	const char *verb;                    /* of can-i */
	const char *container, *file;        /* of a file: NULL for the default one; its path. Of one that is here, file alone */
};

/* Of `here/PATH`, the path; else NULL. */
const char *kube_paths_here(const char *path);
/* Strings in the arena. ERR_PLAN: not a path, with what is wrong. */
int kube_paths_parse(struct arena *a, const char *path, struct kube_paths *ret, struct err *err);
/* KIND/NAMESPACE/NAME[#SUB], or of a list without a name; sub may be NULL. */
const char *kube_paths_object(struct arena *a, const char *kind, const char *namespace, const char *name, const char *sub);
/* A list's path; selectors as kubectl takes them, or NULL. */
const char *kube_paths_list(struct arena *a, const char *kind, const char *namespace, const char *labels, const char *fields);
/* Of a file, a log: its path with another namespace. */
const char *kube_paths_within(struct arena *a, const char *path, const char *namespace);
/* Fit for a segment of a URL, or for a value in its query (RFC 3986 §2.3). */
const char *kube_paths_encoded(struct arena *a, const char *s);
/* A list covers the objects of its kind and namespace (KIND * those of every kind), an object itself only. Of a list the
 * query does not count: what it selects may change with the object. Pod/NAMESPACE/NAME#exec stands for all that is inside. */
bool kube_paths_cover(const char *wide, const char *path);
/* Does it name one object, or what is read like one? */
bool kube_paths_plain(const char *path);

/* The object with what is secret in it as secrets: of a Secret the values of data and stringData, and its last-applied
 * annotation. where names them: "Secret/ns/name data.key". The rest is shared with the object. */
struct value kube_paths_hide(struct arena *a, const struct value *object);

#endif

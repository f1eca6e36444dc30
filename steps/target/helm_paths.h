/* SPDX-License-Identifier: Apache-2.0 */
/* The syntax of refs of kind `helm`. Pure.
 *   release/NAMESPACE/NAME   a release; NAMESPACE empty: the cluster's own. Reads as null, or as {revision, status, updated,
 *                            description, chart, version, app_version, deployed, values, objects}: of its newest revision;
 *                            deployed is the revision that runs (0: none), values what was set beside the chart's defaults,
 *                            objects its rendered manifest as {KIND.GROUP/NAMESPACE/NAME: object}; its images also have
 *                            hooks, {KIND.GROUP/NAMESPACE/NAME: when}, which are no part of the manifest
 *   chart/PATH               a chart's folder or archive on this machine. Reads as {name, version, app_version} */
#ifndef WHERRY_TARGET_HELM_PATHS_H
#define WHERRY_TARGET_HELM_PATHS_H

#include "base/arena.h"
#include "value.h"

struct helm_paths {
	const char *namespace, *release; /* of a release; else NULL */
	const char *chart;               /* of a chart; else NULL */
};

/* Strings in the arena. ERR_PLAN: not a path, with what is wrong. */
int helm_paths_parse(struct arena *a, const char *path, struct helm_paths *ret, struct err *err);
/* Of a release; namespace NULL: the cluster's own. */
const char *helm_paths_release(struct arena *a, const char *namespace, const char *release);
const char *helm_paths_chart(struct arena *a, const char *chart);
/* ERR_PLAN where it cannot be the name of a release (helm's own rule: an RFC 1123 subdomain of at most 53 characters). */
int helm_paths_check(const char *release, struct err *err);
/* Is it a status in which helm is at work, or was ended at work? */
bool helm_paths_pending(const char *status);
/* Values put over others, map by map; a null stays, because helm takes a default away by it. Shares memory with both. */
struct value helm_paths_merge(struct arena *a, const struct value *under, const struct value *over);
/* {a.b: 1} as {a: {b: 1}}; a dot behind a backslash is one of the name. ERR_PLAN: an empty name, or a list's index. */
int helm_paths_spread(struct arena *a, const struct value *set, struct value *ret, struct err *err);
/* Values with those as secrets whose names say that they are some (password, passphrase, secret, token, credential, privatekey). */
struct value helm_paths_hide(struct arena *a, const struct value *values, const char *where);

#endif

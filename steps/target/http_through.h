/* SPDX-License-Identifier: Apache-2.0 */
/* A server inside a cluster, asked through the cluster's API server, so that nothing has to be forwarded or exposed. The
 * URL is the one that is used inside: http://SERVICE.NAMESPACE:PORT/…, or http://POD.NAMESPACE.pod:PORT/….
 * https://kubernetes.io/docs/tasks/access-application-cluster/access-cluster-services/ */
#ifndef WHERRY_TARGET_HTTP_THROUGH_H
#define WHERRY_TARGET_HTTP_THROUGH_H

#include "target.h"

/* The address below the API server of path (which begins with a slash) below what `url` names inside the cluster, in the
 * arena. ERR_PLAN where url names no service or pod, or a part of either, plain or encoded, is "." or "..": that would reach
 * out of the proxy, to the API server itself. */
int http_through(struct arena *, const char *url, const char *path, const char **ret, struct err *err);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* Releases and charts as values (helm_paths.h says of which form), as the helm binary tells them. */
#ifndef WHERRY_TARGET_HELM_RELEASE_H
#define WHERRY_TARGET_HELM_RELEASE_H

#include "steps/target/helm_paths.h"
#include "steps/target/helm_run.h"

/* A revision (0: the newest) with all that is in it, secrets too; null where there is no such release. */
int helm_release_read(struct opctx *op, const struct helm_conn *c, const struct helm_paths *p, int64_t revision, struct value *ret,
		      struct err *err);
/* The newest one, before it is changed: ERR_IN_DOUBT where helm is at work on it, or was ended at work. */
int helm_release_settled(struct opctx *op, const struct helm_conn *c, const struct helm_paths *p, struct value *ret, struct err *err);
/* {name, version, app_version} of a chart. */
int helm_chart_read(struct opctx *op, const struct helm_conn *c, const char *chart, struct value *ret, struct err *err);
/* A rendered manifest as {KIND.GROUP/NAMESPACE/NAME: object}, scalars as the text that they are. */
struct value helm_objects(struct arena *a, const char *manifest, const char *namespace);
/* A release's hooks as helm lists them: {KIND.GROUP/NAMESPACE/NAME: "pre-upgrade post-upgrade"}. */
struct value helm_hooks(struct arena *a, const struct value *list, const char *namespace);
/* The definitions that a chart, as a rendered release holds it, brings in its folder crds/: as helm_objects. */
struct value helm_definitions(struct arena *a, const struct value *chart);
/* Such a map with what is secret in Secrets as secrets. */
struct value helm_objects_hide(struct arena *a, const struct value *objects);
/* A release as people may see it; for a diff without what each revision has anew, and what is not there as nothing, so that
 * objects that come or go are told one by one. */
struct value helm_release_shown(struct arena *a, const struct value *release, bool diff);

#endif

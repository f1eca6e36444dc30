/* SPDX-License-Identifier: Apache-2.0 */
/* Objects that are not as their release says. helm compares with what is there, too: it makes anew what is gone and sets back
 * fields that somebody has changed since (of built-in kinds; custom ones it only brings from one revision to the next). */
#ifndef WHERRY_TARGET_HELM_DRIFT_H
#define WHERRY_TARGET_HELM_DRIFT_H

#include "steps/target/helm_release.h"

/* Is no object of this name (a key of helm_objects) there? False where that cannot be seen. */
bool helm_drift_lacks(struct opctx *op, const struct helm_conn *c, const char *key);
/* Say so of what is about to come from these objects (of helm_objects; null: none) to those. What cannot be read is left out. */
void helm_drift_tell(struct opctx *op, const struct helm_conn *c, const struct value *before, const struct value *after);

#endif

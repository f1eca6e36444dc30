/* SPDX-License-Identifier: Apache-2.0 */
/* YAML as other programs write it (kubeconfigs), as a value: one document, anchors and aliases followed, limits kept.
 * Scalars stay the text that they are, because only who reads them knows their type, but below a key `extensions`. */
#ifndef WHERRY_TARGET_KUBE_YAML_H
#define WHERRY_TARGET_KUBE_YAML_H

#include "value.h"

/* Parse text; a plain null is V_NULL, an empty file an empty map. name begins the messages, of kind ERR_PLAN, which hold
 * nothing of the text but keys. Duplicate and merge keys, bad UTF-8, NUL and what is too deep or too large are refused. */
int kube_yaml_parse(struct arena *a, const char *name, struct bytes text, struct value *ret, struct err *err);
/* Overwrite every string inside: kubeconfigs hold credentials. */
void kube_yaml_wipe(const struct value *v);

#endif

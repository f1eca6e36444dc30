/* SPDX-License-Identifier: Apache-2.0 */
/* One object as YAML, in one form only: block style, keys sorted, two spaces a level; a string stands plain only where
 * neither YAML 1.1 nor 1.2 could take it for anything else, with more lines than one as a literal block where that keeps
 * it byte by byte, else in double quotes. Pure. */
#ifndef WHERRY_STEPS_KUBE_YAML_H
#define WHERRY_STEPS_KUBE_YAML_H

#include "base/buf.h"
#include "value.h"

/* Append a map; equal values make equal text. ERR_FAILED for what YAML cannot hold (NUL, not UTF-8, an empty key), ERR_PREDICTED
 * for an unknown; a secret is a bug. */
int kube_yaml_write(struct buf *to, const struct value *object, struct err *err);
/* Read one document, by whomever it was written; it has to be a map. name begins the message, of kind ERR_FAILED, which holds
 * nothing of the text but keys. */
int kube_yaml_read(struct arena *a, const char *name, struct bytes text, struct value *ret, struct err *err);

#endif

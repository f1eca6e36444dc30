/* SPDX-License-Identifier: Apache-2.0 */
/* Kinds as plans name them, against objects that say their own; without a server that knows. Pure. */
#ifndef WHERRY_STEPS_KUBE_WORD_H
#define WHERRY_STEPS_KUBE_WORD_H

#include "value.h"

/* The group of an apiVersion: its length; it begins where the text does ("apps/v1": 4, "v1": 0). */
size_t kube_word_group(const char *version);
/* Is the object of this group and kind? */
bool kube_word_is(const struct value *object, const char *group, const char *kind);
/* Is it of one of the kinds in the list (Kind, plural or Kind.group, in any case)? */
bool kube_word_in(const struct value *kinds, const struct value *object);

#endif

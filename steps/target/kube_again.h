/* SPDX-License-Identifier: Apache-2.0 */
/* Pure: what of an object that was can be made again. */
#ifndef WHERRY_KUBE_AGAIN_H
#define WHERRY_KUBE_AGAIN_H

#include "value.h"

/* Has it a controller, which makes it again by itself? */
bool kube_is_controlled(const struct value *object);
/* The object without what its server or its controllers set, fit to be created. */
struct value kube_again(struct arena *, const struct value *object);
/* Why making the object again would not bring back what went with it, or NULL. */
const char *kube_cannot_come_back(const struct value *object);

#endif

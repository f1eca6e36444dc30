/* SPDX-License-Identifier: Apache-2.0 */
/* Shared by value*.c and expr*.c only: the pairs of a map in bytewise order of their keys. */
#ifndef WHERRY_VALUE_INT_H
#define WHERRY_VALUE_INT_H

#include "value.h"

#define ORDER_INLINE 24

struct order {
	const struct pair **p; /* v->len pairs, sorted */
	const struct pair *in[ORDER_INLINE];
};

/* Fill ret[v->len]. */
void pairs_sorted(const struct value *v, const struct pair **ret);
void order_init(struct order *o, const struct value *v);
void order_done(struct order *o);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* In which order objects are made, by what each names: its namespace, its definition, its owners, and what its pods, rules and
 * ports refer to. Kinds decide only between objects of which none needs the other, and where they need each other in a
 * circle. Pure, and linear. */
#ifndef WHERRY_STEPS_KUBE_ORDER_H
#define WHERRY_STEPS_KUBE_ORDER_H

#include "base/arena.h"
#include "base/map.h"
#include "value.h"

struct kube_order_node;
struct kube_order_edge;
struct kube_order {
	struct arena arena;
	struct map ids;
	struct kube_order_node *nodes;
	struct kube_order_edge *edges;
	uint32_t n, cap, nedges, edge_cap, items;
};

/* item: the caller's number of it, from 0 on, each once. False: an object of this kind and name was added before. */
bool kube_order_add(struct kube_order *o, uint32_t item, const struct value *object);
/* Was it added? */
bool kube_order_has(const struct kube_order *o, const char *group, const char *kind, const char *namespace, const char *name);
/* The items in waves, none of which needs another one of its wave: the w-th ends before ret_ends[w]. Both live as long as o. */
void kube_order_make(struct kube_order *o, const uint32_t **ret_items, const uint32_t **ret_ends, uint32_t *ret_waves);
void kube_order_done(struct kube_order *o);

#endif

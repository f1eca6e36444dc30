/* SPDX-License-Identifier: Apache-2.0 */
/* Where a plan's check stands: shared by plan_check*.c and plan_refs.c only. */
#ifndef WHERRY_PLAN_SITE_H
#define WHERRY_PLAN_SITE_H

#include "plan_load.h"

/* What an item of `foreach` is told by. */
enum of_item { NAMES_ITEM = 1, NAMES_INDEX = 2, NAMES_KEY = 4 };

/* What a reference found here means. */
struct site {
	struct loader *l;
	uint32_t step;      /* the step that is checked, or MAP_NONE in a target or output */
	uint32_t target;    /* the target whose fields are checked, or MAP_NONE */
	const char *what;   /* "field 'x'" without the word: its name */
	bool secret, value; /* may hold a secret; may use `value` */
	bool each;          /* of a step with `foreach`: `item`, `index` and `key` are known */
	unsigned named;     /* enum of_item: which of them were named */
	uint32_t *seen;     /* for each step: 1 + where it stands in the needs of the current step, if stamped so */
	uint32_t *stamp;    /* for each step: 1 + the step that last needed it */
};

/* The current step needs another. explicit: written under `needs`. */
void site_need(const struct site *, uint32_t to, bool weak, bool explicit, struct pos where);
void site_unknown_step(struct loader *, const char *id, struct pos where);
/* A target by name, or MAP_NONE with a problem; in the fields of a target only those above it are known, so that there
 * is no circle. */
uint32_t site_find_target(const struct site *, const char *name, struct pos where);
/* Every expression in the tree. */
void site_template(struct site *, const struct node *);
/* What the step (`uses: plan`) hands in, and what it may not say. */
void plan_check_sub(struct site *, uint32_t step);
/* For schema_check; data is the site. */
const char *site_target_kind(void *data, const struct node *name);

#endif

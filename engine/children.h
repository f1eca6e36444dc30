/* SPDX-License-Identifier: Apache-2.0 */
/* Steps that open a scope: `uses: plan` and `foreach`. They hold no worker. */
#ifndef WHERRY_CHILDREN_H
#define WHERRY_CHILDREN_H

#include "coord.h"

/* Open what is inside of a step, as the journal knows it and without queueing anything. */
int children_open(struct coord *, uint32_t owner, struct err *err);
/* The same for all that has ever begun inside of a scope, to take it back or to look at it; it stays closed. */
int children_open_past(struct coord *, const struct scope *, struct err *err);
/* The same for what is on the way to that path; the step there, or NO_LIVE. */
uint32_t children_reach(struct coord *, const struct scope *from, const char *path);
/* coord_work of a step that opens a scope, or takes one back. */
int children_begin(struct coord *, struct attempt *);
/* A scope has closed: so ends the step that opened it. */
void children_close(struct coord *, struct scope *);
/* A scope that a step of `finally` takes back has been taken back. */
void children_taken_back(struct coord *, struct scope *);
/* Dry-run: it could not be opened, so what it would change cannot be told. */
void children_unreadable(struct coord *, uint32_t owner);
/* What the journal of a resumed run knows of a step that may have opened a scope, or NULL: to begin history_inside() with. */
const struct hist_step *children_past(const struct coord *, uint32_t owner);
/* items.c: open the scope over the items of a step's `foreach`; NULL with err. */
struct scope *items_open(struct coord *, uint32_t owner, struct err *err);
/* The outputs of all items, a map by key, and what `.items` is; in coord.eval. */
struct value items_outputs(struct coord *, const struct scope *);
struct value items_value(struct coord *, const struct scope *, struct err *err);

#endif

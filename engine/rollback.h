/* SPDX-License-Identifier: Apache-2.0 */
/* Inside of taking steps back: rollback.c decides which and in which order, undo_bind.c what their undo is told. */
#ifndef WHERRY_ROLLBACK_H
#define WHERRY_ROLLBACK_H

#include "coord.h"
#include "undo.h"

/* A step to be taken back. */
struct turn {
	uint32_t step;
	uint64_t first, last; /* when its effects began, by the journal */
	uint32_t after;       /* the turns before this one come first: an object is shared with the last of them */
	bool over;
};

/* An object that several steps worked on. */
struct shared_object {
	uint32_t turn;        /* the last one so far */
	bool shared;
	struct undo_left *left;
	uint64_t seq;         /* of that undo; what was begun later is not what it left */
};

struct rollback {
	struct arena arena;
	const struct history *past;
	struct turn *turns;
	uint32_t nturns, next, over; /* the next to be opened; all before `over` are over */
	struct map index;
	struct shared_object *objects;
	uint32_t nobjects, cap;
};

/* What the journal says by now, the coordinator's; NULL with err. */
const struct history *roll_past(struct coord *, struct err *err);
/* May it have begun something in a lost batch? What only looks has not. */
bool roll_is_torn(const struct coord *, uint32_t step, const struct hist_step *);
/* An effect of that step, its target bound as the step sees it, its images not read yet: `alone`. roll: what later undos have left;
 * may be NULL. */
int roll_bind_effect(struct coord *, const struct rollback *roll, uint32_t step, const struct hist_effect *, struct undo_effect *ret,
		     struct err *err);

#endif

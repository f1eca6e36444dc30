/* SPDX-License-Identifier: Apache-2.0 */
/* The step type that takes another step's effects back. Not for plans: the coordinator hands it what the journal says. */
#ifndef WHERRY_UNDO_H
#define WHERRY_UNDO_H

#include "ctx.h"

/* What the undo of a later effect has made of an object, and what it went back to. */
struct undo_left {
	struct value now, meant;
};

struct undo_effect {
	uint32_t number;
	struct effect effect;         /* as it was asked for; its target is NULL where the plan has none of that name */
	const char *ref, *nonce;
	enum effect_state state;
	bool stream, blind;           /* blind: its pre-image is not on record */
	struct value before, after;   /* after: what its reply said; VALUE_NULL without */
	const char *with;             /* of a stream: the step that began its scope, with which it is taken back where it has no
				       * inverse of its own; or NULL */
	const struct undo_left *left; /* by the undo of a later step, or NULL */
	const struct hist_effect *alone; /* no other effect that is taken back is about its object: before, after and the body are read
				       * from there when its turn comes, and let go of; NULL: they are here */
};

struct undo_args {
	const struct undo_effect *list; /* last begun first */
	size_t n;
	const struct call *call;       /* the plan's own `undo`, or NULL: by itself */
	const char *why_not;           /* the plan's own `undo` cannot be called: why; or NULL */
};

extern const struct step_type undo_step;

/* Read the images of an effect that stands alone. */
int undo_recall(struct undo_effect *x, struct arena *, struct err *err);
/* What an undo of x that settled so left on the object; false: nothing is known. Values are borrowed. */
bool undo_left(struct arena *, const struct undo_effect *x, const struct memo *, struct undo_left *ret);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* The parts of the effect door that single effects (door.c) and streams (stream.c) share. */
#ifndef WHERRY_DOOR_H
#define WHERRY_DOOR_H

#include "ctx.h"

/* Have the intent made durable; only after 0 may the world be touched. */
int door_intent(struct step_ctx *, struct memo *, const struct effect *, const char *class, const struct value *before,
		struct err *);
/* Record how it ended (EFFECT_OK, _UNCHANGED, _FAILED, _UNKNOWN); durable with the step's completion at the latest. */
void door_settled(struct step_ctx *, const struct target *on, struct memo *, enum effect_state, const struct value *value,
		  const char *msg);
/* ERR_IN_DOUBT naming the effect, why, and the command that resolves it; always -1. */
int door_in_doubt(struct step_ctx *, const struct memo *, const char *why, struct err *);
const char *effect_class_name(enum effect_class);

/* One line of the dry-run. */
struct action {
	struct ref on;
	const char *verb, *says;
	enum confidence confidence;
	bool unchanged;
	const struct value *before, *after; /* for the diff; after NULL or UNKNOWN: none */
};
void door_action(struct step_ctx *, const struct action *);
/* Put what would be into the overlay. */
int door_overlay(struct step_ctx *, const struct ref *, const char *const *unknowable, const struct value *after,
		 struct err *);

#endif

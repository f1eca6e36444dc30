/* SPDX-License-Identifier: Apache-2.0 */
/* The parts of the effect door that single effects (door.c) and streams (stream.c) share. */
#ifndef WHERRY_DOOR_H
#define WHERRY_DOOR_H

#include "ctx.h"

/* Before the first effect of an attempt: what guards it is looked at once more. ERR_HELD names the one that fails. */
int door_guards(struct step_ctx *, struct err *);
/* Have the intent made durable; only after 0 may the world be touched. */
int door_intent(struct step_ctx *, struct memo *, const struct effect *, const char *class, const struct value *before,
		struct err *);
/* Record how it ended (EFFECT_OK, _UNCHANGED, _FAILED, _UNKNOWN); durable with the step's completion at the latest. */
void door_settled(struct step_ctx *, const struct target *on, struct memo *, enum effect_state, const struct value *value,
		  const char *msg);
/* A letter about the claims of a stream's scope, NULL: a question. */
struct door_letter *door_claim(struct step_ctx *, const struct target *on, const char *marker_prefix, const char *name,
			       const char *status);
/* ERR_IN_DOUBT naming the effect, why, and the command that resolves it; always -1. */
int door_in_doubt(struct step_ctx *, const struct memo *, const char *why, struct err *);
const char *effect_class_name(enum effect_class);
/* EFFECT_OPAQUE for a word that is none: what is not known is not repeated. */
enum effect_class effect_class_parse(const char *name);
/* The state that the effect's pre- and after-image show; null for kinds without. */
int door_see(struct step_ctx *, const struct effect *, struct value *ret, struct err *err);
/* Of an effect in doubt. 1: settled, *ret holds the answer; 0: it has to be done (again); -1: stays in doubt, or an
 * error. */
int door_settle(struct step_ctx *, struct memo *, const struct effect *, struct value *ret, struct err *err);
/* From what was seen: already so, or intent and write. */
int door_perform(struct step_ctx *, struct memo *, const struct effect *, const struct value *before, struct value *ret,
		 struct err *err);
/* The dry-run's answer: what would be, and into the overlay with it. */
int door_predict(struct step_ctx *, const struct effect *, struct value *ret, struct err *err);

/* One line of the dry-run. */
struct action {
	const struct effect *effect;        /* NULL: only a line */
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

/* SPDX-License-Identifier: Apache-2.0 */
/* The parts of the effect door that single effects (door.c) and streams (stream.c) share. */
#ifndef WHERRY_DOOR_H
#define WHERRY_DOOR_H

#include "ctx.h"

/* May this ctx ask for that effect? */
int door_permits(const struct step_ctx *, const struct effect *, struct err *);
/* Before the first effect of an attempt: what guards it is looked at once more. ERR_HELD names the one that fails. */
int door_guards(struct step_ctx *, struct err *);
/* It was asked for, in run or dry-run, and is so already (unchanged) or not. */
void door_counts(struct step_ctx *, bool unchanged);
/* Have the intent made durable; only after 0 may the world be touched. class NULL: the effect's own. */
int door_intent(struct step_ctx *, struct memo *, const struct effect *, const char *class, const struct value *before,
		struct err *);
/* The same of many, in one batch. */
struct intent {
	struct memo *memo;
	const struct effect *effect;
	const struct value *before;
};
int door_intents(struct step_ctx *, const struct intent *, size_t n, const char *class, struct err *);
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
/* As door_see, before the effect is written. */
int door_before(struct step_ctx *, const struct effect *, struct value *ret, struct err *err);
/* Of an effect in doubt. 1: settled, *ret holds the answer; 0: it has to be done (again); -1: stays in doubt, or an
 * error. */
int door_settle(struct step_ctx *, struct memo *, const struct effect *, struct value *ret, struct err *err);
/* Was it settled in an earlier walk? Then that is the answer. */
bool door_answered(struct step_ctx *, const struct memo *);
/* Is it so already? Then it has settled. */
bool door_is_so(struct step_ctx *, struct memo *, const struct effect *, const struct value *before);
/* Behind its intent: the write and what follows from its reply. 1 with err: the reply was lost, and the world says that it was
 * not done; it may be done at once, behind another intent. */
int door_write(struct step_ctx *, struct memo *, const struct effect *, struct value *ret, struct err *);
/* From what was seen: already so, or intent and write. */
int door_perform(struct step_ctx *, struct memo *, const struct effect *, const struct value *before, struct value *ret,
		 struct err *err);

/* The dry-run's answer: what would be, and into the overlay with it. */
int door_predict(struct step_ctx *, const struct effect *, struct value *ret, struct err *err);
/* Its parts, between the first two of which come the guards unless it is the same: look, ask what would be, and tell it. What
 * err says beside a prediction that needs something belongs to the third. */
struct foresight {
	struct value before;
	struct prediction p;
	bool seen, known, same;             /* before is from the overlay; it and the body hold nothing UNKNOWN; it is so already */
};
int door_look_ahead(struct step_ctx *, const struct effect *, struct foresight *ret, struct err *);
int door_guess(struct step_ctx *, const struct effect *, struct foresight *, struct err *);
int door_foretell(struct step_ctx *, const struct effect *, const struct foresight *, struct err *);

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

/* SPDX-License-Identifier: Apache-2.0 */
/* Journal records: one line of canonical JSON each, short keys, only the members that are set. The table in
 * record.c names every type and member once; writing, parsing, `journal dump` and the fuzz target follow from
 * it. */
#ifndef WHERRY_RECORD_H
#define WHERRY_RECORD_H

#include "value.h"

enum record_type {
	REC_OPEN,     /* first: user, host, build, wall, value {run, plan (its name), closure {file: sha256}, params, args,
		       * jobs, seed} */
	REC_RESUME,   /* a new process goes on: user, host, build, wall, epoch, value {args, jobs} */
	REC_TARGET,   /* target, identity (value) */
	REC_START,    /* step, attempt, code (semantic version of its type): never synced by itself */
	REC_INTENT,   /* step, effect, occ, verb, ref, class, says, digest, nonce, before (pre-image), body */
	REC_SETTLED,  /* step, effect, status ok|unchanged|failed, value (reply / after-image), msg */
	REC_UNKNOWN,  /* step, effect, msg: the reply was lost */
	REC_CURSOR,   /* step, effect, done, total, unit: progress of a stream */
	REC_NOTE,     /* step, msg */
	REC_RETRY,    /* step, attempt (that failed), kind, msg */
	REC_END,      /* step, status (enum step_status), outputs (value), digest, attempt, kind, msg, next, ns (duration) */
	REC_RESOLVE,  /* step, status done|not-done, user, host, msg (reason), nonce (as of REC_APPROVE): settles what is in
		       * doubt */
	REC_PAUSE,    /* kind, msg, next, code: resumable stop */
	REC_CLOSE,    /* status done|failed|aborted|rolled-back, msg, outputs */
	REC_REOPEN,   /* a failed run goes on: failed and blocked steps are pending again. With a step, so is this one: kind
		       * "finally", "undone" or "edited", its effects are to happen once more (it runs at every close, or something
		       * before it was taken back); kind "taken-back", they have been taken back, says: by this step of a `finally`, which
		       * wants it so (else by a rollback); unit "all": with all that is inside of it */
	REC_TAIL,     /* written by journal_open: a torn tail was quarantined: file, msg. The steps in doubt by it follow as
		       * REC_DOUBT, in one batch with the REC_RESUME that takes them up */
	REC_DOUBT,    /* step: may have begun in the lost batch. With effect, msg, next: what that settled effect left is gone or
		       * other, found when the run was taken up; true until the next REC_RESUME */
	REC_ROLLBACK, /* an operator's rollback begins, to before `step` (none: of the whole run), which had begun with
		       * record `done`; status done: it is there */
	REC_GATE,     /* step, msg (the question), says (the answers, with '/' between), kind "irreversible" where the step itself
		       * asks, next: it waits for a person */
	REC_APPROVE,  /* step, status approved|rejected, user, host, says (the answer chosen), msg (reason), nonce (of the
		       * inbox, the message that brought it): a person's word on a gate */
	REC_PLAN,     /* the run goes on with an edited plan: user, host, msg (what becomes of its steps), value {plan (its name),
		       * closure {file: sha256}, at (begins the names of its files), params, orphans [{step, at, closure}]}; a
		       * REC_REOPEN follows for each step that is done again (kind "edited") or was blocked or failed (none) */
	REC_CLAIM,    /* step, effect, target, kind (the prefix of the markers and their name), status held|released: from here on
		       * the run's claim on the range `ref` stands there, or none of that kind does any more */
	REC_TYPES
};

struct record {
	enum record_type type;
	int64_t wall;            /* ms since 1970; display only */
	const char *step;        /* path, or NULL */
	uint32_t attempt, effect /* number within the step, from 1 */, occ, epoch, code;
	const char *verb, *ref /* "target path" */, *class, *says, *digest, *nonce, *status, *kind, *msg, *next;
	const char *user, *host, *build, *target, *file, *unit;
	uint64_t done, total, ns;
	const struct value *value;   /* identity, reply, outputs, params … as the type says; NULL absent */
	const struct value *before;  /* pre-image */
	bool apart;                  /* not written: its values may be secret and are kept among the private ones */
	size_t room;                 /* not written: of those, what an intent reserves for its end, or an end gives back */
	const struct value *body;    /* effect body (secrets as tags) */
	/* Of a record that was read there are canonical bytes in place of the three values; see record_values. */
	const char *value_text, *before_text, *body_text;
	const char *value_file, *before_file, *body_file; /* names of values kept beside, journal*.c only; NULL: it is in the line */
	const char *folder;      /* of a record that was read: the run's, where they are kept */
	uint64_t at;             /* of such a record: where its line is */
};

/* Append the record as one line with its newline. */
void record_write(struct buf *to, const struct record *r);
/* Parse one line (without newline); strings live in the arena. */
int record_parse(struct arena *a, const char *line, size_t len, struct record *ret, struct err *err);
/* Parse the values of a record that was read; they live in the arena. */
int record_values(struct arena *a, struct record *r, struct err *err);
const char *record_type_name(enum record_type t);
/* Append one line for people, without newline: time, type and the members that are set; control characters
 * escaped. */
void record_show(struct buf *to, const struct record *r);

#endif

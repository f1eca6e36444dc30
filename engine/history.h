/* SPDX-License-Identifier: Apache-2.0 */
/* The fold of a journal: what every step's state is, which effects settled and which are in doubt. Resume,
 * status, report and runs all read this one fold. */
#ifndef WHERRY_HISTORY_H
#define WHERRY_HISTORY_H

#include "base/map.h"
#include "holds.h"
#include "journal.h"

enum step_status {
	STEP_PENDING, STEP_RUNNING, STEP_DONE, STEP_UNCHANGED, STEP_SKIPPED, STEP_FAILED, STEP_BLOCKED, STEP_IN_DOUBT,
	STEP_CANCELLED, STEP_UNDONE, STEP_STATUSES
};
const char *step_status_name(enum step_status s);
enum step_status step_status_parse(const char *name); /* STEP_PENDING when unknown */

enum effect_state { EFFECT_BEGUN, EFFECT_OK, EFFECT_UNCHANGED, EFFECT_FAILED, EFFECT_UNKNOWN, EFFECT_RESOLVED_DONE,
	EFFECT_RESOLVED_NOT_DONE };

#define HIST_WORDS 8

/* What an effect met, what it was to make, what it left. */
enum image_of { IMAGE_BEFORE, IMAGE_BODY, IMAGE_AFTER, IMAGES };

struct hist_effect {
	struct hist_effect *next;      /* of the same step, in order of number */
	uint32_t number, occ;
	const char *verb, *ref;        /* the ref stands right behind the verb's end; "" where none was told */
	const char *class, *says, *nonce, *msg;
	uint64_t seq;                  /* of its last record */
	uint64_t begun;                /* the record that began it */
	const char *images[IMAGES];    /* canonical bytes, NULL: none; for hist_text and hist_value: what lies beside the journal is
					* not kept here */
	const char *folder;            /* the run's, where it lies */
	uint64_t intent, settled;      /* lines of the journal that name it; 0: none */
	struct hist_progress *progress; /* of a stream; NULL: none was told */
	enum effect_state state;
	bool lost;                     /* it was begun again although an earlier try of it never settled */
	bool changed;                  /* what it left was gone or other when the run was taken up last */
	bool undone;                   /* it has been taken back since */
	bool past;                     /* it stands, and its step is to do it once more */
};

struct hist_progress {
	uint64_t done, total;
	const char *unit;              /* or NULL */
};

/* A gate and a person's word on it. */
struct hist_gate {
	const char *question;          /* NULL: the word came before it was asked */
	const char *answers;           /* the words to choose from, with '/' between */
	const char *word;              /* "approved" or "rejected"; NULL: it waits */
	const char *choice, *user, *host, *reason;
	int64_t answered;              /* wall ms */
};

struct hist_step {
	const char *path;
	bool undo;                      /* not a step, but the undo of one ("STEP~undo") */
	enum step_status status;
	bool torn;                      /* may have begun in a lost batch, and has not ended or been resolved since */
	bool torn_done;                 /* the operator says that it has */
	bool changed;                   /* one of its effects is */
	uint32_t attempts;
	uint32_t version;               /* semantic version of its type when it was started last; 0: not told */
	uint64_t seq;                   /* of its first record since it was last pending, 0: none */
	const char *outputs;            /* canonical bytes, or NULL */
	const char *digest, *kind, *msg, *next;
	int64_t started, ended;         /* wall ms, 0 unknown */
	uint64_t ns;
	const char *resolved;           /* the operator's word on what is in doubt ("done", "not-done"), until the step ends */
	struct hist_effect *effects, *last;
	struct hist_effect **listed;    /* those with the numbers 1, 2, 3 …, up to the first gap */
	uint32_t nlisted;
	struct hist_gate *gate;         /* NULL: nothing was asked */
	const char *undoer;             /* STEP_UNDONE: the step of a `finally` that has taken it back; NULL: a rollback has */
	const char *note;               /* what it said last, until anything else is known of it */
	const char *word_message;       /* the message of the inbox that brought the last word on it */
	uint32_t around, inside, newest, beside; /* of history_inside.c: numbers from 1, 0: none */
};

struct hist_target {
	struct hist_target *next;
	const char *name, *identity;    /* canonical bytes */
};

enum run_status { RUN_RUNNING, RUN_PAUSED, RUN_DONE, RUN_FAILED, RUN_ABORTED, RUN_ROLLED_BACK };
const char *run_status_name(enum run_status s);

struct history {
	struct arena arena;
	struct map index;
	struct hist_step *steps;
	uint32_t nsteps, cap, recent;
	uint32_t nundos;                /* of the steps, those that are undos */
	uint64_t effects;               /* of all steps */
	struct hist_target *targets;
	struct holds holds;
	enum run_status status;
	const char *run, *plan, *user, *host, *build;
	const char *closure, *params, *args, *outputs; /* canonical bytes */
	const char *folder;             /* the run's, once something in it is named */
	const char *words[HIST_WORDS];  /* classes, that all effects have in common */
	const char *closure_at;         /* begins the names of the closure's files: "", or where an edited plan is */
	const char *orphans;            /* canonical bytes, or NULL: [{step, at, closure}], which an earlier plan has */
	uint32_t edits;                 /* of the plan, since the run began */
	bool tail;                      /* a torn tail was dropped and no resume has taken it up yet */
	bool rolling;                   /* an operator's rollback has begun and has not come to its end */
	const char *roll_to;            /* it ends before this step; NULL: the whole run */
	uint64_t roll_since;            /* the record with which that step had begun */
	const char *pause_kind, *pause_msg, *next;
	uint32_t pause_code, epoch;     /* epoch: processes so far */
	uint32_t jobs;                  /* the most workers that any of them had; 0: not told */
	int64_t opened, last;           /* wall ms */
	uint64_t records;
};

void history_init(struct history *);
void history_done(struct history *);
/* Have room for so many steps. */
void history_reserve(struct history *, uint32_t steps);
/* The value's canonical bytes, in the history's arena; NULL: there is none. */
const char *history_keep(struct history *, const struct value *);
/* The text in the history's arena, or NULL. */
static inline const char *
history_text(struct history *h, const char *s)
{
	return s != NULL ? arena_strdup(&h->arena, s) : NULL;
}
/* How far a stream has come; zeroes when nothing was told. */
static inline struct hist_progress
hist_progress(const struct hist_effect *e)
{
	return e->progress != NULL ? *e->progress : (struct hist_progress){ 0 };
}
/* Is there such an image? */
bool hist_has(const struct hist_effect *, enum image_of);
/* Its canonical bytes in the arena, NULL when there is none; its value, null when there is none. -1: it cannot be read any more. */
int hist_text(const struct hist_effect *, enum image_of, struct arena *, const char **ret, struct err *err);
int hist_value(const struct hist_effect *, enum image_of, struct arena *, struct value *ret, struct err *err);
/* All of its values. */
int hist_values(const struct hist_effect *, struct arena *, struct value ret[IMAGES], struct err *err);
/* history_effect.c, for history_apply: an intent; another record of an effect, of which only a word that needed no intent may name
 * a new one; what it left is other; a person's word. */
void history_apply_intent(struct history *, struct hist_step *, const struct record *);
int history_apply_effect(struct history *, struct hist_step *, const struct record *, struct err *err);
int history_apply_doubt(struct history *, struct hist_step *, const struct record *, struct err *err);
void history_apply_resolve(struct hist_step *, const struct record *);
/* history_apply.c: the step of this path, which is new if it is not there. */
struct hist_step *history_take(struct history *, const char *path);
/* history_inside.c, for history_take: the step of this number, which is new, goes where its path says. */
void history_lay(struct history *, uint32_t at);
/* history_edit.c, for history_apply: an edited plan counts from here on. */
int history_apply_plan(struct history *, const struct record *, struct err *err);
/* history_again.c, for the fold: a step (unit "all": with all that is inside of it) or all that failed, was blocked or was cut
 * short is to happen again. */
void history_reopen(struct history *, struct hist_step *, const struct record *);
void history_reopen_run(struct history *, const struct record *);
/* What was put back meanwhile is not in doubt any more; what was not is found again. */
void history_forget_changed(struct hist_step *);
/* Apply one record: fits journal_record_fn with data = struct history *. */
int history_apply(void *data, uint64_t seq, const struct record *r, struct err *err);
struct hist_step *history_step(const struct history *, const char *path); /* or NULL */
/* The steps (and undos) inside of one that opens a scope, at any depth, those around others first: the first (at: the step itself),
 * and each next one; NULL at the end. */
struct hist_step *history_inside(const struct history *, const struct hist_step *of, const struct hist_step *at);
/* The same that begins with at NULL; of NULL: all of the run. */
struct hist_step *history_next(const struct history *, const struct hist_step *of, const struct hist_step *at);
/* As history_step, for all steps of a plan in its order, each once: mostly they also began in that order, so that the next
 * is the one after the last, and once all have been found there are no more. Begins with zeroes. */
struct hist_walk {
	uint32_t next, found;
};
struct hist_step *history_walk(const struct history *, struct hist_walk *, const char *path);
/* Has it begun something of which nobody knows whether it happened? */
bool history_in_doubt(const struct hist_step *);
/* Has it happened, or may it have, and was not taken back since? */
bool history_stands(const struct hist_effect *);
/* Has the step failed in an effect that may have happened all the same: a command that returned 1, say? */
bool history_failed_open(const struct hist_step *);
/* The path under which the undo of a step is on record: "STEP~undo". */
const char *undo_path(struct arena *, const char *step);
bool is_undo_path(const char *path);
/* Does it wait for a person's word? */
bool history_waits(const struct hist_step *);
/* Is the word one of a gate's answers, which '/' separates? */
bool history_is_answer(const char *answers, const char *word);
/* Append "approved by user@host at TIME: reason", when there is a word. */
void history_word(struct buf *to, const struct hist_gate *);

#endif

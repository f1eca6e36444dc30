/* SPDX-License-Identifier: Apache-2.0 */
/* Inside of a step's attempt: what the door, the handler calls and the coordinator share. Not for handlers.
 * An attempt belongs to one worker from submit until its LETTER_END has been posted; then to the coordinator. All that
 * a letter points to lives in the attempt's arena and is immutable, so pointers may cross. */
#ifndef WHERRY_CTX_H
#define WHERRY_CTX_H

#include "event.h"
#include "mailbox.h"
#include "plan.h"
#include "run.h"

#include <stdatomic.h>

/* A target at run time. Fields are bound by the coordinator; the connection is opened by the first worker. */
struct target {
	const char *name;
	const struct target_type *type;
	const struct plan_target *def; /* NULL: a local kind */
	struct arena arena;
	void *args;
	bool bound;
	pthread_mutex_t lock;
	void *conn;
	atomic_bool known;             /* open; identity, where there is one, asked and accepted */
	atomic_bool reached;           /* it has answered in this process */
	atomic_llong told;             /* when it was last said that it is waited for */
};

/* What a step's effects are known to have done, from the journal or from earlier attempts of this process. */
struct memo {
	struct memo *next, *same;      /* of all, in order of their beginning; of the same verb and ref, by occurrence */
	const char *verb, *ref, *nonce;
	struct value value, before;
	const struct hist_effect *from; /* its images as an earlier process left them are read when it is asked for; or NULL */
	size_t room;                   /* bytes of private values that are reserved for its end */
	uint32_t number, occ;
	enum effect_state state;       /* small things last: there are as many of these as the step has effects */
	uint8_t goes;                  /* writes in a row whose reply was lost, and that were not done */
	bool asked : 1;                /* in the present walk */
	bool begun : 1;                /* may have happened: its intent is on record, and `before` with it */
	bool lost : 1;                 /* begun already when its last intent was recorded */
	bool light : 1;                /* one of many: its images are let go once it has settled */
};
struct series;

/* Is it known to have begun, and not how it ended? */
static inline bool
memo_in_doubt(const struct memo *e)
{
	return e->state == EFFECT_BEGUN || e->state == EFFECT_UNKNOWN;
}

struct memory {
	struct arena arena;
	struct memo *first, **last, *now; /* now: the one asked for last */
	struct map index;              /* verb and ref: their series */
	struct series **series;
	uint32_t nseries, series_cap;
	uint32_t count;
	bool accepted;                 /* the operator has judged what a walk may leave out */
	enum effect_state unseen;      /* of an effect that no record names: FAILED not begun, UNKNOWN the journal's lost
	                                * batch may have held its intent, RESOLVED_DONE the operator says so */
	uint32_t given;                /* effects that got it, of one batch */
};

struct outputs {
	struct arena *arena;           /* theirs */
	struct pair *list;
	size_t n, cap;
};

/* What all attempts of a run share; read-only for workers but for the mailbox and the atomics. */
struct shared {
	enum run_mode mode;
	const struct registry *registry;
	const struct plan *plan;       /* the run's own */
	const char *run, *dir;         /* dir NULL in a dry-run */
	const char *again;             /* run_options.again */
	bool tells_files;              /* run_options.tells_files */
	bool rollback;                 /* an operator's: it, and not a resume, goes on with what paused */
	char mark[17];                 /* see struct opctx */
	const char *user, *host;
	uint32_t epoch;
	struct mailbox mailbox;
	struct target **locals;        /* one for each local kind */
	size_t nlocals;
	struct bytes key;              /* for digests of secrets */
	atomic_int stop;               /* 1: end at the next safe place (first signal) */
	atomic_int cancel;             /* 1: end children by TERM; 2: now */
	int cancel_fd;                 /* readable once cancel is set */
};

/* Cancel at this level at least: a level that has been reached is never taken back. */
static inline void
cancel_raise(atomic_int *cancel, int level)
{
	int was = atomic_load(cancel);

	while (was < level && !atomic_compare_exchange_weak(cancel, &was, level))
		;
}

struct attempt;
struct step_ctx {
	struct opctx op;               /* first: target kinds call back through it */
	struct attempt *at;
	struct arena *arena;           /* of the attempt, or of the lane: op.arena may point elsewhere for a while */
	struct arena page;             /* of step_list */
	struct arena call;             /* of step_call: all of the last one, and of what step_expr made of it */
	struct outputs *outputs;       /* where step_output puts them: the attempt's, or a nested call's */
	bool nested, lane;
	bool among;                    /* a handler's part of step_effects runs: nothing else may be asked for */
};

enum letter_kind { LETTER_INTENT, LETTER_RECORD, LETTER_TARGET, LETTER_PROGRESS, LETTER_NOTE, LETTER_ACTION,
	LETTER_LOOK, LETTER_PUT, LETTER_CLAIM, LETTER_HEARD, LETTER_FILE, LETTER_END };

/* One message. For INTENT, TARGET, LOOK, PUT, HEARD (all that was posted before it is handled) and CLAIM (but of a release) the
 * sender waits at the gate and finds rc and err here. */
struct door_letter {
	struct letter link;
	enum letter_kind kind;
	struct attempt *at;
	struct record rec;             /* INTENT, RECORD, NOTE, CLAIM: without a status, a question */
	struct door_letter *with;      /* INTENT: the next one of the same batch; the first is posted, and has the gate */
	struct event event;            /* ACTION, FILE */
	const struct effect *effect;   /* ACTION, and its images: what an undo would take back; may be NULL */
	const struct value *before, *after;
	struct gate *gate;
	int rc;
	struct err err;
	/* LOOK and PUT: the overlay */
	const struct target *target;
	const char *path;
	const char *const *unknowable;
	struct value value;            /* LOOK: out, when found; PUT: in; TARGET: identity */
	bool found;                    /* LOOK; CLAIM: it is held */
	const struct nonce *nonces;    /* CLAIM: out */
	uint64_t done, total;
	const char *unit;
};

/* What a step waits for without a worker: a time, or (until NEVER) a person's word. */
struct park {
	bool wanted, over;             /* asked for by the handler; has come */
	int64_t until;
	const char *question, *answers; /* answers: with '/' between, the last is "no" */
	struct answer answer;
};

/* A step that is to run again before the first effect of another. */
struct guard {
	const char *path;
	struct call call;
	int64_t limit;                 /* its time-out */
};

struct attempt {
	struct attempt *next, **prev;  /* of those under way, or of the parked ones */
	struct shared *shared;
	uint32_t step, number;         /* index in the plan; which attempt, from 1 */
	const char *path;
	const char *undoes;            /* the path of the step that it takes back, or NULL */
	uint32_t undone;               /* that step's index; only with undoes */
	const struct step_type *type;
	const void *args;
	struct arena arena;
	struct value inputs;
	char digest[33];
	struct memory *memory;
	struct step_ctx cx;
	struct outputs outputs;
	struct expr_host *host;        /* for step_expr, made when first needed */
	int64_t deadline, started;
	atomic_int lanes_cancel;       /* as shared.cancel, and when one lane has failed */
	atomic_llong progress_at;      /* when progress was last posted */
	uint64_t rng;
	atomic_bool any_effect, all_unchanged; /* lanes tell, too */
	bool predicted;
	bool spent; /* an opaque effect of it failed: it is not done again unasked */
	atomic_bool unopened; /* a target could not be opened: the fault is on this machine, and nothing was tried */
	bool rejected;                 /* by a person */
	struct park park;
	bool parked, woken;            /* woken: queued to go on */
	bool before;                   /* its handler has not run: the step waits for its approval */
	const struct guard *guards;
	uint32_t nguards;
	bool guarded;                  /* they have run, and hold */
	const char *assumed;
	uint32_t owed;                 /* the coordinator's: ends of effects under way that have room in the journal */
	int rc;
	struct err err;
	struct door_letter end;
};

/* Post a letter and wait until the coordinator has answered it; returns its rc, err filled. */
int ctx_ask(struct step_ctx *, struct door_letter *, struct err *);
struct door_letter *ctx_letter(struct step_ctx *, enum letter_kind kind);
void ctx_post(struct step_ctx *, struct door_letter *, bool wake);
/* 0, or -1 with ERR_CANCELLED / ERR_TIMEOUT when the step must end at this safe place. */
int ctx_check(struct step_ctx *, struct err *);
/* Is there time, and sense, to wait for a target that is away? Sleeps and returns true: call again. */
bool ctx_wait_away(struct step_ctx *, struct target *, unsigned *tries, struct err *);
/* Open the target's connection, learn who it is and have the coordinator record or compare it. */
int target_ready(struct step_ctx *, struct target *, struct err *);
/* The path's one spelling, in the attempt's arena; asks the target, where its kind has spellings. */
int target_spell(struct step_ctx *, struct target *, const char *path, const char **ret, struct err *);
/* The same of what a query asks for: its path is in `from`. */
int target_spell_query(struct step_ctx *, const struct query *, struct query *ret, struct err *);
/* A ref as people and the journal name it: "target path". */
const char *ref_text(struct step_ctx *, const struct ref *);
/* Prepare a ctx of an attempt (its own, a nested call's or a lane's). */
void ctx_init(struct step_ctx *, struct attempt *, struct arena *arena, const atomic_int *cancel);
/* Overlay look-up from a worker: true when an earlier predicted effect tells. */
bool ctx_look(struct step_ctx *, const struct target *, const char *path, struct value *ret);
/* For a plan file: tell what on this machine the effect would be made from. */
int ctx_tell_source(struct step_ctx *, const struct effect *, struct err *err);
/* The memory of one step, from its journalled history (h may be NULL); anew: what it did before is to happen again; lasts: the
 * history stays as it is for as long as the memory. -1: what the journal names cannot be read. */
int memory_init(struct memory *, const struct hist_step *h, bool anew, bool lasts, struct err *err);
void memory_done(struct memory *);
/* Before each walk of the handler. */
void memory_walk(struct memory *);
/* The memo of the next occurrence of verb on ref in this walk; a new one gets a nonce. together: as many effects may have
 * their intents in one batch with it; more than one: its images live in scratch, until memory_lighten. NULL: they cannot be read. */
struct memo *memory_ask(struct memory *, struct arena *scratch, const char *verb, const char *ref, uint32_t together, struct err *err);
/* Read the images of a memo of an earlier process, of a light one into scratch. */
int memory_recall(struct memory *, struct memo *, struct arena *scratch, struct err *err);
/* No more intents can have been in the batch that held those given `unseen` by now. */
void memory_seen(struct memory *);
/* Its round is over: keep of its images what another try needs. */
void memory_lighten(struct memory *, struct memo *);
/* A new memo with a number of the caller's: the undo of a step's effect has the number of that effect. */
struct memo *memory_number(struct memory *, uint32_t number, const char *verb, const char *ref);
/* Is one of its effects known to have begun, and not how it ended? */
bool memory_in_doubt(const struct memory *);
/* Has one of them happened, or may it have? */
bool memory_stands(const struct memory *);
/* An effect that happened or may have, and that the walk did not ask for again, or NULL. */
const struct memo *memory_unasked(const struct memory *);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* Inside of the coordinator: the one thread that owns graph, step state, journal, overlay, signals and output. */
#ifndef WHERRY_COORD_H
#define WHERRY_COORD_H

#include "ctx.h"
#include "heap.h"
#include "overlay.h"
#include "pool.h"
#include "run.h"

/* One step's state. Small: there may be 200,000. */
struct live {
	uint8_t status;        /* enum step_status */
	bool torn;             /* may have begun in the lost batch */
	bool selected, over;   /* over: its end has been told to those who wait for it */
	bool unknown;          /* dry-run: outputs and status cannot be known */
	bool anew;             /* of a reopened run: what it did before is forgotten, and is to happen again */
	uint16_t attempts;
	uint32_t blocked;      /* needs that have not ended yet */
	uint32_t maybe;        /* effects that happened or may have: `.ran` */
	const char *outputs;   /* canonical bytes in coord.keep, or NULL */
	struct task *task;     /* while it is under way or waits for a retry */
};

/* A step under way, over all of its attempts. */
struct task {
	bool approved;         /* irreversible, and a person lets it pass */
	struct memory memory;
	struct attempt *attempt;
	int64_t started, deadline;
};

/* A step whose end is staged; told to those who wait, and to people, after the sync. */
struct ended {
	uint32_t step, attempt;
	int64_t ns;
	const char *kind;
	char *msg, *next;
};

enum phase { PHASE_SETTLE, PHASE_MAIN, PHASE_ROLLBACK, PHASE_FINALLY };

/* Events of a dry-run wait here until all steps before theirs have been printed. */
struct held_event {
	struct held_event *next;
	struct event event;
};

struct coord {
	const struct run_options *o;
	const struct plan *plan;
	struct graph graph;
	struct live *live;
	struct arena keep;          /* outputs and what else lives as long as the run */
	struct arena eval;          /* of one evaluation */
	struct expr_host *host;
	struct expr_env env;
	struct bind_env bind;
	struct target *targets, *locals;
	size_t ntargets, nlocals;
	struct overlay overlay;
	struct shared shared;
	struct pool *pool;
	struct heap ready, timers, held; /* held: ready, but not before what is in doubt has settled */
	struct attempt *attempts;   /* under way */
	unsigned running;
	enum phase phase;
	uint32_t unsettled;         /* steps still in doubt from before */
	/* one turn */
	struct door_letter **gates; /* intents to let through once durable */
	size_t ngates, gates_cap;
	struct ended *ended;
	size_t nended, ended_cap;
	bool commit;                /* something waits for the sync */
	int64_t progress_recorded;
	int64_t flush_at;           /* staged records must not wait longer */
	/* steps without a worker, and people */
	struct attempt *parked;
	unsigned waiting;           /* those of them that wait for a person */
	const struct attempt *asked; /* the one whose question stands at the terminal */
	bool deaf;                  /* the terminal has ended */
	int64_t inbox_at;           /* when to look into the inbox; NEVER: not at all */
	char **taken;               /* messages that are staged: removed once they are durable */
	size_t ntaken, taken_cap;
	/* the end */
	bool reopened;              /* a closed, failed run goes on */
	bool failed, stopping, pausing, broken; /* stopping: a failure with on_error stop; broken: the journal cannot be written any more */
	struct err reason;          /* of the pause, or the first failure */
	const char *reason_step;
	int signals, signo, sigfd;
	int64_t drain_until, tick_at;
	uint64_t rng;
	uint32_t changes;
	struct rollback *roll;      /* while steps are taken back, and after */
	bool roll_back;             /* a step with on_error: rollback has failed */
	struct foreseen *foreseen;  /* dry-run: effects of steps that a step of finally takes back, newest first */
	struct held_event **events, ***events_last; /* dry-run, by step */
	uint32_t printed;           /* dry-run: steps printed so far */
};

static inline const struct step *
step_of(const struct coord *c, uint32_t live)
{
	return &c->plan->steps[live];
}
static inline const char *
path_of(const struct coord *c, uint32_t live)
{
	return c->plan->steps[live].id;
}

/* restore.c: take over what the journal of a resumed run says. */
void coord_restore(struct coord *);
/* Record what is to happen again, and that a closed run is open again. */
void coord_record_reopen(struct coord *);
/* recheck.c: pause where what settled effects left is gone or other. */
void coord_recheck(struct coord *);
/* run.c: take what signals have come. */
void coord_signals(struct coord *);

/* roots.c: what expressions see, and targets. */
void roots_init(struct coord *);
void roots_done(struct coord *);
/* How the run closes, as far as can be told now: done, failed, aborted or rolled-back. */
const char *coord_closes_as(const struct coord *);
/* The plan's outputs as a map in coord.eval, without those that cannot be had: lost then names each, with its place and
 * why. */
void roots_outputs(struct coord *, struct value *ret, struct buf *lost);
/* step.c: a step's way from ready to its end. */
void coord_start_ready(struct coord *);
void coord_attempt_end(struct coord *, struct attempt *);
/* Tell those who wait, after the sync. */
void coord_tell(struct coord *, const struct ended *);
/* May what is ready be started? */
bool coord_may_start(const struct coord *);
/* Queue a step whose needs have all ended, if it belongs to the present phase. */
void coord_ready(struct coord *, uint32_t step);
/* Pause: start nothing new; the first reason stays. */
void coord_pause(struct coord *, const char *step, const struct err *);
/* letters.c: messages of one turn. */
void coord_letters(struct coord *);
/* Stage a record. -1: it (or its large values) could not be kept, and the run pauses; a step's end is then not recorded
 * at all. */
int coord_record(struct coord *, const struct record *, bool wait_for_sync);
/* Sync what is staged, then let through and tell. */
void coord_commit(struct coord *);
/* attempt.c, for park.c: run what needs no worker, or hand over to one. 1: it holds a worker now. */
int coord_work(struct coord *, struct attempt *);
void coord_attempt_free(struct attempt *);
/* park.c: steps under way without a worker. */
void coord_park(struct coord *, struct attempt *);
/* Queue it. */
void coord_wake(struct coord *, struct attempt *);
/* Its time or its word has come, or its time-out: go on with it. 1: it holds a worker now. */
int coord_unpark(struct coord *, struct attempt *);
/* Those that will not go on: they stay pending. */
void coord_drop_parked(struct coord *);
/* Those that wait for people and have run out of time go on. */
void coord_park_timers(struct coord *, int64_t now);
/* people.c: gates, and the inbox. */

/* What --approve says is on record from the start: a process that goes on after this one knows it. */
void coord_record_approved(struct coord *);
/* 1: a person lets the attempt pass (`answer`), 0: nobody has said anything, -1: rejected, err
 * says by whom. */
int coord_word(struct coord *, struct attempt *, struct answer *ret, struct err *err);
/* An irreversible step: as coord_word; 1 also when a gate that it needs was passed. */
int coord_may_cross(struct coord *, struct attempt *);
/* Tell people what a parked step waits for. */
void coord_ask(struct coord *, struct attempt *);
/* Show the next question at the terminal, if there is one and nobody is asked. */
void coord_prompt(struct coord *);
/* Somebody sits there and can be asked. */
bool coord_can_ask(const struct coord *);
/* A line was typed. */
void coord_hear(struct coord *);
/* Nothing else can run, and nobody can be asked: pause, and name the command; unless an answer has just come. */
void coord_hold(struct coord *);
/* Is it past --not-after? Then the run pauses. */
bool coord_is_late(struct coord *);
/* Look into the inbox when it is time; and, once all of it is durable, remove what was taken. */
void coord_look_inbox(struct coord *, int64_t now);
void coord_clear_inbox(struct coord *);
/* roots.c: the guards of a step, bound as calls. */
int coord_bind_guards(struct coord *, struct attempt *, struct err *err);
/* rollback.c: taking steps back. */

/* Which step does an attempt of this one take back? PLAN_NO_STEP: none. */
uint32_t coord_undoes(const struct coord *, uint32_t step);
/* What is known of the undo under that path, and what it has to take back. */
int coord_undo_memory(struct coord *, const char *path, struct memory *ret, struct err *err);
int coord_undo_bind(struct coord *, struct attempt *, uint32_t undoes, struct err *err);
/* A step was taken back. */
void coord_undone(struct coord *, uint32_t step, const struct attempt *);
/* Begin to take back all that stands, or what the options say. */
int coord_roll_begin(struct coord *, struct err *err);
/* Queue what may be taken back now; false: all is. */
bool coord_roll_on(struct coord *);
void coord_roll_done(struct coord *);
/* dryrun.c */

/* Keep what an effect would do, if its step is taken back in `finally`. */
void coord_foresee(struct coord *, const struct door_letter *);
/* The effects of a step that are to be taken back, last first. */
const struct undo_effect *coord_foreseen(struct coord *, uint32_t step, struct arena *, size_t *ret_n);
void coord_hold_event(struct coord *, uint32_t step, const struct event *);
void coord_print_ready(struct coord *, bool all);
/* An event with step, type, index and wall clock filled. */
struct event coord_event(const struct coord *, enum event_kind, uint32_t step);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* Inside of the coordinator: the one thread that owns graph, step state, journal, overlay, signals and output. */
#ifndef WHERRY_COORD_H
#define WHERRY_COORD_H

#include "ctx.h"
#include "heap.h"
#include "overlay.h"
#include "pool.h"
#include "run.h"
#include "scope.h"

/* One step's state. Small: there may be 200,000. */
struct live {
	uint8_t status;        /* enum step_status */
	bool open : 1;         /* it has opened a scope */
	bool slot : 1;         /* it has one of its pool */
	bool active : 1;       /* ready, under way, waiting for a retry, or ended and not told yet: its scope stays open */
	bool torn : 1;         /* may have begun in the lost batch */
	bool selected : 1;
	bool over : 1;         /* over: its end has been told to those who wait for it */
	bool unknown : 1;      /* dry-run: outputs and status cannot be known */
	bool part : 1;         /* of a run that goes on: something inside of it is to happen again, and all else in it stands */
	bool again : 1;        /* as part, but nothing stands: what has finished inside of it is to happen again */
	bool anew : 1;         /* of a reopened run: what it did before is forgotten, and is to happen again */
	uint16_t attempts;
	uint32_t scope;        /* that it belongs to */
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
	int64_t timer;         /* when it goes on, in coord.timers; 0: it waits for none */
};

/* A step whose end is staged; told to those who wait, and to people, after the sync. */
struct ended {
	uint32_t step, attempt;
	int64_t ns;
	const char *kind;
	char *msg, *next;
};

/* Events of a dry-run wait here until all steps before theirs have been printed. */
struct held_event {
	struct held_event *next;
	struct event event;
};
struct held_events {
	struct held_event *first, *last;
	struct foreseen *foreseen; /* what the step would do, if a step of finally takes it back; newest first */
};

/* What an expression or a binding sees: a scope, and the step in it. */
struct sight {
	struct coord *c;
	const struct scope *scope;
	const struct each *item;    /* of a child of `foreach`, or NULL; its value and key UNKNOWN where the list is */
	uint32_t index;
	struct expr_env env;
	struct bind_env bind;
};

struct coord {
	const struct run_options *o;
	const struct plan *plan;    /* the run's own */
	struct scope **scopes;      /* the first is the run's own */
	uint32_t nscopes, scopes_cap;
	struct map inside;          /* the scope that a step has opened */
	struct scope *idle;         /* those in which nothing was active any more, at some time since the last look */
	struct scope *stopped;      /* those that a failure has stopped since the last look */
	struct live *live;          /* of all scopes; moves when one is added */
	uint32_t nlive, live_cap;
	struct arena keep;          /* outputs and what else lives as long as the run */
	struct arena eval;          /* of one evaluation */
	struct expr_host *host;
	struct target *locals;
	size_t nlocals;
	struct overlay overlay;
	struct holds holds;         /* in keep */
	struct history past;        /* the fold of the journal as far as it was read last: for undo and rollback */
	struct shared shared;
	struct pool *pool;
	struct heap ready, timers, held; /* held: ready, but not before what is in doubt has settled; timers: see coord_next_timer */
	struct attempt *attempts;   /* under way */
	unsigned running;
	unsigned owed;              /* ends of effects under way, of those that have many at once */
	bool settling;              /* what is in doubt from before goes first, and all else is held */
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
	bool pausing, broken;       /* broken: the journal cannot be written any more */
	bool resting;               /* what was asked for is done, and the rest was left out: nothing closes */
	struct err reason;          /* of the pause */
	const char *reason_step;
	int signals, signo, sigfd;
	int64_t drain_until, tick_at;
	uint64_t rng;
	uint32_t changes;
	struct held_events *events; /* dry-run, by step */
	uint32_t nforeseen;
	uint32_t printed;           /* dry-run: steps printed so far */
};

static inline const struct step *
step_of(const struct coord *c, uint32_t live)
{
	const struct scope *s = c->scopes[c->live[live].scope];

	return &s->plan->steps[s->items != NULL ? s->body : live - s->base];
}
static inline const char *
path_of(const struct coord *c, uint32_t live)
{
	const struct scope *s = c->scopes[c->live[live].scope];

	return s->paths != NULL ? s->paths[live - s->base] : s->plan->steps[live].id;
}

/* restore.c: take over what the journal of a resumed run says of a scope's steps. */
void coord_restore(struct coord *, struct scope *);
/* Is it in doubt from before, and not settled yet? */
bool coord_unsettled(const struct coord *, uint32_t live);
/* A batch was lost: these of the scope's steps may have begun in it. */
void coord_doubt_torn(struct coord *, const struct scope *);
/* Record what is to happen again, and that a closed run is open again. */
void coord_record_reopen(struct coord *);
/* recheck.c: pause where what settled effects left is gone or other. */
void coord_recheck(struct coord *);
/* closing.c: pause or close, sealed and told. Returns the exit code. */
int coord_close(struct coord *, struct err *err);
/* An event of the run itself. */
void coord_report(struct coord *, struct event);
/* run.c: take what signals have come. */
void coord_signals(struct coord *);

/* roots.c: what expressions see, and targets. */
void roots_init(struct coord *);
void roots_done(struct coord *);
/* As the step sees it, or (NO_LIVE) the scope itself. */
void sight_init(struct sight *ret, struct coord *, const struct scope *, uint32_t live);
void scope_open_targets(struct coord *, struct scope *);
void scope_close_targets(struct scope *);
/* How a scope closes, as far as can be told now: done, failed, aborted or rolled-back. */
const char *coord_closes_as(const struct coord *, const struct scope *);
/* The outputs of a scope's plan as a map in coord.eval, without those that cannot be had: lost then names each, with its
 * place and why. */
void roots_outputs(struct coord *, const struct scope *, struct value *ret, struct buf *lost);
/* attempt.c: a step's way from ready to its attempts. */
void coord_start_ready(struct coord *);
/* ending.c: what becomes of it. */
void coord_attempt_end(struct coord *, struct attempt *);
/* The one way a step gets its final status: recorded, and told to others only after the sync. at: its attempt, or NULL;
 * outputs: of a scope that it has opened, or NULL. */
void coord_finish(struct coord *, uint32_t step, enum step_status, const struct attempt *at, const struct value *outputs,
		  const struct err *);
/* It, or what it has opened, has failed. */
void coord_fail(struct coord *, uint32_t step, const struct attempt *at, const struct err *);
void coord_drop_task(struct live *);
/* Tell those who wait, after the sync. */
void coord_tell(struct coord *, const struct ended *);
/* May anything that is ready be started? */
bool coord_may_start(const struct coord *);
/* May this step, as far as failures go? */
bool coord_may_go(const struct coord *, uint32_t step);
/* Queue a step whose needs have all ended, if it belongs to its scope's phase. */
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
/* A step's `when`: 1 go on, 0 skip, -1 error. */
int coord_condition(struct coord *, uint32_t step, struct err *err);
/* It is no longer under way. */
void coord_leave(struct coord *, struct attempt *);
/* park.c: steps under way without a worker. */
void coord_park(struct coord *, struct attempt *);
/* Queue it. */
void coord_wake(struct coord *, struct attempt *);
/* Its time or its word has come, or its time-out: go on with it. 1: it holds a worker now. */
int coord_unpark(struct coord *, struct attempt *);
/* It will not go on, and stays pending. */
void coord_drop_parked(struct coord *, struct attempt *);
/* Queue a step for later; when the first one's time comes, or NEVER. A step whose task says otherwise is not in there. */
void coord_set_timer(struct coord *, uint32_t step, int64_t at);
int64_t coord_next_timer(struct coord *);
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

/* Which step does an attempt of this one take back? NO_LIVE: none. */
uint32_t coord_undoes(struct coord *, uint32_t step);
/* What is known of the undo under that path, and what it has to take back. */
int coord_undo_memory(struct coord *, uint32_t step, const char *path, struct memory *ret, struct err *err);
int coord_undo_bind(struct coord *, struct attempt *, uint32_t undoes, struct err *err);
/* A step was taken back. */
void coord_undone(struct coord *, uint32_t step, const struct attempt *);
/* Begin to take back all that stands of a scope, or what the options say. */
int coord_roll_begin(struct coord *, struct scope *, struct err *err);
/* Queue what may be taken back now; false: all is. */
bool coord_roll_on(struct coord *, struct scope *);
void coord_roll_done(struct scope *);
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

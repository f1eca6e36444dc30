/* SPDX-License-Identifier: Apache-2.0 */
/* Scopes: a plan under way, or the items of a `foreach`. The first is the run's own; each `uses: plan` opens one more, and
 * each `foreach` one for its items. A scope has its own steps, targets and phase, closes like a run, and its close is the
 * end of the step that opened it. Steps of all scopes live in one array, are queued in one heap and run by the same few
 * functions. */
#ifndef WHERRY_SCOPE_H
#define WHERRY_SCOPE_H

#include "graph.h"
#include "heap.h"

struct coord;
struct live;

#define NO_LIVE UINT32_MAX

enum phase { PHASE_MAIN, PHASE_ROLLBACK, PHASE_FINALLY, PHASE_CLOSED };

/* What a step is to the coordinator: one with a handler, or one that opens a scope. */
enum live_kind { LIVE_STEP, LIVE_PLAN, LIVE_EACH };

/* A child of a `foreach`. */
struct each {
	const char *key;
	const struct value *value;
};

/* A pool of a scope. */
struct slots {
	uint32_t used;
	struct heap waiting;        /* steps that are ready, but for it */
};

struct scope {
	struct scope *parent;       /* NULL: the run's own */
	const struct scope *home;   /* whose expressions its steps see: itself; of items the one around them */
	uint32_t index, owner;      /* in coord.scopes; the step that opened it, or NO_LIVE */
	const struct plan *plan;
	const struct graph *graph;  /* of items NULL: nothing is between them */
	uint32_t base, n, nmain;    /* its steps: coord.live[base … base + n); those before `finally` */
	const char **paths;         /* of its steps; NULL: the run's own, whose paths are their ids */
	struct each *items;         /* NULL: the steps of a plan */
	struct map keys;            /* of items: key to number */
	uint32_t body, norphans;    /* of items: the step that each is; those at the end that the list has no more */
	struct slots *slots;        /* for each pool of the plan */
	struct scope *next_stopped; /* in the list coord.stopped */
	int64_t started;
	uint32_t undo;              /* the step that takes the whole scope back, or NO_LIVE */
	const struct value *params;
	struct target **targets;    /* in the plan's order */
	struct target *own;         /* those that it opened itself */
	enum phase phase;
	uint32_t active;            /* steps that are active: none, and the phase is over */
	bool idle;                  /* in the list coord.idle: to be looked at */
	struct scope *next_idle;
	bool failed, stopping;      /* stopping: a failure without on_error continue */
	bool stopped;               /* in the list coord.stopped */
	bool roll_back;             /* a step with on_error: rollback has failed */
	struct err *reason;         /* the first failure, or NULL */
	const char *reason_step;
	struct rollback *roll;      /* while steps are taken back, and after */
};

/* Open a scope over a plan, its steps pending; owned by the coordinator. */
struct scope *scope_add(struct coord *, const struct plan *plan, struct scope *parent, uint32_t owner);
/* The same over n items of a step of the parent's plan, the last ones orphans. Both arrays live as long as the run. */
struct scope *scope_add_items(struct coord *, struct scope *parent, uint32_t owner, struct each *, uint32_t n,
			      uint32_t norphans);
void scopes_done(struct coord *);
/* Count what its steps wait for: once, when it is known what has ended before. */
void scope_count(struct coord *, const struct scope *);
/* Queue those that wait for nothing. */
void scope_begin(struct coord *, struct scope *);
/* Take back what its steps have done; the run pauses where that cannot be told. */
void scope_take_back(struct coord *, struct scope *);
/* Go on with the scopes in which nothing is active any more: to `finally`, and to their close. */
void scopes_advance(struct coord *);
/* Nothing more of its phase is started. */
void scope_stop(struct coord *, struct scope *);
/* A step of it has failed: the first one is the reason. */
void scope_fail(struct coord *, struct scope *, const char *step, enum on_error then, const struct err *);
/* May steps of it be started, or has a failure (its own or of one that it belongs to) stopped them? */
bool scope_may_start(const struct scope *);
/* Has it, or one that it belongs to, begun to close? */
bool scope_closes(const struct scope *);
/* The rollback that the scope is in, by itself or with one that it belongs to; NULL: none. */
struct rollback *scope_roll(const struct scope *);

struct scope *scope_of(const struct coord *, uint32_t live);
enum live_kind live_kind(const struct coord *, uint32_t live);
/* The scope that a step has opened, or NULL. */
struct scope *scope_inside(const struct coord *, uint32_t live);
/* Is it that scope, or inside of it? */
bool scope_is_within(const struct scope *, const struct scope *outer);
/* A step is queued or under way, or it has ended and nobody was told: its scope stays open. */
void live_activate(struct coord *, uint32_t live);
void live_deactivate(struct coord *, uint32_t live);
/* Has it ended, whatever way? */
bool live_is_over(const struct live *);
/* Its place in the ready queue: the plan's order, where what is inside a step comes before the next step, and steps of
 * children that are under way before the next child. */
int64_t live_key(const struct coord *, uint32_t live);
/* The step of this path from a scope, or NO_LIVE; only what is open is known. */
uint32_t live_find(const struct coord *, const struct scope *from, const char *path);
/* The one after it in a walk over all of a scope: what is inside a step follows it. NO_LIVE at the end. */
uint32_t live_next(const struct coord *, const struct scope *of, uint32_t live);
/* Take a slot of the step's pool. false: there is none, and the step is queued there. */
bool slot_take(struct coord *, uint32_t live, int64_t key);
/* Give it back: the first one that waits for it is queued. */
void slot_leave(struct coord *, uint32_t live);
/* Queue again what waits for a slot. */
void slots_wake(struct coord *, struct scope *);

#endif

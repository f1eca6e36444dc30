/* SPDX-License-Identifier: Apache-2.0 */
/* Scopes: a plan under way. The first is the run's own. A scope has its own steps, targets and phase, and closes like a
 * run. Steps of all scopes live in one array, are queued in one heap and run by the same few functions. */
#ifndef WHERRY_SCOPE_H
#define WHERRY_SCOPE_H

#include "graph.h"

struct coord;
struct live;

#define NO_LIVE UINT32_MAX

enum phase { PHASE_MAIN, PHASE_ROLLBACK, PHASE_FINALLY, PHASE_CLOSED };

struct scope {
	struct scope *parent;       /* NULL: the run's own */
	uint32_t index, owner;      /* in coord.scopes; the step that opened it, or NO_LIVE */
	const struct plan *plan;    /* whose expressions its steps see */
	const struct graph *graph;
	uint32_t base, n;           /* its steps: coord.live[base … base + n) */
	const struct value *params;
	struct target **targets;    /* in the plan's order */
	struct target *own;         /* those that it opened itself */
	enum phase phase;
	uint32_t active;            /* steps that are active: none, and the phase is over */
	bool idle;                  /* in the list coord.idle: to be looked at */
	struct scope *next_idle;
	bool failed, stopping;      /* stopping: a failure without on_error continue */
	bool roll_back;             /* a step with on_error: rollback has failed */
	struct err *reason;         /* the first failure, or NULL */
	const char *reason_step;
	struct rollback *roll;      /* while steps are taken back, and after */
};

/* Open a scope over plan, its steps pending; owned by the coordinator. */
struct scope *scope_add(struct coord *, const struct plan *plan, const struct value *params);
void scopes_done(struct coord *);
/* Count what its steps wait for: once, when it is known what has ended before. */
void scope_count(struct coord *, const struct scope *);
/* Queue those that wait for nothing. */
void scope_begin(struct coord *, struct scope *);
/* Take back what its steps have done; the run pauses where that cannot be told. */
void scope_take_back(struct coord *, struct scope *);
/* Go on with the scopes in which nothing is active any more: to `finally`, and to their close. */
void scopes_advance(struct coord *);
/* A step of it has failed: the first one is the reason. */
void scope_fail(struct coord *, struct scope *, const char *step, enum on_error then, const struct err *);
/* May steps of it be started, or has a failure (its own or of one that it belongs to) stopped them? */
bool scope_may_start(const struct scope *);
/* Has it, or one that it belongs to, begun to close? */
bool scope_closes(const struct scope *);
/* The rollback that the scope is in, by itself or with one that it belongs to; NULL: none. */
struct rollback *scope_roll(const struct scope *);

struct scope *scope_of(const struct coord *, uint32_t live);
/* A step is queued or under way, or it has ended and nobody was told: its scope stays open. */
void live_activate(struct coord *, uint32_t live);
void live_deactivate(struct coord *, uint32_t live);
/* Has it ended, whatever way? */
bool live_is_over(const struct live *);
/* Its place in the ready queue: the plan's order. */
int64_t live_key(const struct coord *, uint32_t live);
/* The step of this path, or NO_LIVE. */
uint32_t live_find(const struct coord *, const char *path);

#endif

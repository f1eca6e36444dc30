/* SPDX-License-Identifier: Apache-2.0 */
/* What the coordinator tells the outside while a run (or a dry-run) goes on. Renderers (report*.c) turn events into a
 * terminal view, plain lines or JSON; nothing else writes progress. */
#ifndef WHERRY_EVENT_H
#define WHERRY_EVENT_H

#include "history.h"
#include "target.h"

enum event_kind {
	EVENT_OPEN,      /* run id, plan, msg: "run", "resume", "abort" or "plan"; steps in all; done: finished before */
	EVENT_START,     /* step */
	EVENT_PROGRESS,  /* step, done, total, unit */
	EVENT_NOTE,      /* step, msg */
	EVENT_EFFECT,    /* step, an intent that is now durable: ref, verb, says */
	EVENT_RETRY,     /* step, attempt, kind, msg, ns until the next */
	EVENT_END,       /* step, status, ns, msg, next; status STEP_SKIPPED carries why in msg */
	EVENT_ACTION,    /* dry-run, in plan order: step, ref, verb, says, confidence, diff; unchanged true: already so */
	EVENT_ASSUME,    /* dry-run: step, msg */
	EVENT_PREDICTED, /* dry-run: step was not called, msg says what is missing */
	EVENT_GATE,      /* step, msg (what is asked), says (the answers), next; irreversible: the step's own. In a dry-run only
			  * of irreversible steps */
	EVENT_WORD,      /* step, msg: a person's word on it */
	EVENT_PAUSE,     /* code, kind, msg, next */
	EVENT_CLOSE,     /* code, status text in msg, why it failed in says, next, outputs of the plan */
	/* for `each` only */
	EVENT_TARGET,    /* dry-run: ref (a target's name), msg (its identity): it was reached */
	EVENT_FILE,      /* dry-run: step, ref (a file or folder of this machine), msg (its digest): it was read */
};

struct event {
	enum event_kind kind;
	const char *run, *plan, *step, *type /* step type */, *ref, *verb, *says, *msg, *next, *unit, *diff, *err_kind;
	enum step_status status;
	enum confidence confidence;
	bool unchanged, irreversible, opens; /* opens: steps are inside of it, which are told by themselves */
	uint32_t attempt, index /* of the step in plan order */, steps /* in all */;
	int code;
	uint64_t done, total;
	int64_t ns;
	int64_t wall;
	const struct value *outputs; /* a map, or NULL; lives as long as the call */
};

/* Called with every event, in the order in which they are told. */
typedef void report_each_fn(void *data, const struct event *);
enum report_format { FORMAT_AUTO, FORMAT_TTY, FORMAT_PLAIN, FORMAT_JSON, FORMAT_NONE };
struct report_options {
	enum report_format format;
	int color;       /* -1 auto (NO_COLOR, terminal), 0 never, 1 always */
	bool quiet;
	int verbose;
	int out, err;    /* descriptors: results and JSON events to out, progress and messages to err */
	const struct typed *typed; /* or NULL; borrowed */
	report_each_fn *each;      /* or NULL */
	void *data;
};
struct report;
struct report *report_new(const struct report_options *);
void report_event(struct report *, const struct event *);
/* A question to whoever sits at the terminal, shown last until it is NULL again: answered or withdrawn. */
void report_prompt(struct report *, const char *question);
/* Redraw what moves (bars, rates); returns ns until the next tick is wanted, NEVER when none. */
int64_t report_tick(struct report *, int64_t now);
/* SIGUSR1: print one status line now. SIGWINCH: look at the size again. */
void report_status(struct report *);
void report_resized(struct report *);
/* End the live view, print the closing summary. */
void report_finish(struct report *);
/* errno of the first write to out that failed, or 0. A run goes on without its reader; a dry-run is nothing else. */
int report_lost(const struct report *);
void report_free(struct report *);

/* What was typed and the next command needs again: --state, --params and the words of -p, which are never secret. */
struct typed {
	const char *state, *params_file; /* or NULL */
	const char *const *params;       /* NULL-ended, or NULL */
};
/* The next command with the options that it needs to work as it stands. Lives as long as room, or next. */
const char *next_typed(const struct typed *, const char *next, struct buf *room);
/* Append "next: COMMAND" and, for each further line of next, "  or: COMMAND", each line behind indent; none at the end. */
void next_put(struct buf *to, const char *indent, const char *next);
/* Say what a person can type about a step in doubt: one command for either answer. Returns -1. */
int next_resolve(struct err *err, const char *run, const char *step);

#endif

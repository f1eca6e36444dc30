/* SPDX-License-Identifier: Apache-2.0 */
/* A run: the coordinator over plan, graph, journal, pool, door and report. The same code is the dry-run; only the door
 * differs. */
#ifndef WHERRY_RUN_H
#define WHERRY_RUN_H

#include "event.h"
#include "graph.h"
#include "journal.h"
#include "plan.h"

enum run_mode { MODE_RUN, MODE_PLAN };

struct run_options {
	enum run_mode mode;
	const struct registry *registry;
	const struct plan *plan;
	const struct value *params;      /* resolved, with secrets */
	struct journal *journal;         /* NULL in a dry-run */
	const struct history *history;   /* of a resume, else NULL */
	bool torn;                       /* a torn tail was put aside and no resume has taken it up: journal_info.torn */
	struct report *report;
	struct selection selection;
	unsigned jobs;                   /* worker threads, at least 1 */
	uint64_t seed;                   /* jitter; 0: random */
	bool tells_files;                /* dry-run: EVENT_FILE for what is read of this machine */
	const char *run;                 /* id */
	const char *again;               /* the command that begins another such run ("wherry run x"), or NULL */
	const char *const *approve;      /* steps that --approve names, NULL-ended, or NULL */
	const char *user, *host;         /* who says so, and who sits at the terminal */
	bool terminal;                   /* somebody sits there and can be asked: answers are lines of stdin */
	int64_t not_after;               /* wall ms; no step of the main phase starts after it; 0: no limit */
	bool rollback;                   /* `wherry rollback`: take back instead of going on */
	const char *rollback_to;         /* to before this step, or NULL: the whole run, which closes then */
	uint64_t rollback_since;         /* the journal's record with which that step began */
	bool abort;                      /* `wherry abort`: start nothing but finally, close as aborted */
};

struct run_result {
	int code;                        /* exit code of design §8 */
	uint32_t changes;                /* dry-run: actions that would change something; run: effects done */
};

/* Run to its end or pause. Handles INT, TERM, HUP, USR1 and WINCH itself (they must be blocked by the caller).
 * -1 with err only for what is wrong before anything started; everything later is in ret and in the events. */
int run_execute(const struct run_options *, struct run_result *ret, struct err *err);

#endif

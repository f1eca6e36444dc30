/* SPDX-License-Identifier: Apache-2.0 */
/* Inside of the renderers: what report.c keeps and each view (tty, plain, json) fills in. Only report*.c include it. */
#ifndef WHERRY_REPORT_VIEW_H
#define WHERRY_REPORT_VIEW_H

#include "base/arena.h"
#include "base/buf.h"
#include "event.h"

/* What a view does; the state is its own. */
struct view {
	void *(*open)(struct report *);
	void (*event)(struct report *, const struct event *);
	int64_t (*tick)(struct report *, int64_t now); /* NULL: nothing moves */
	void (*resized)(struct report *);              /* NULL: size does not matter */
	void (*prompt)(struct report *);               /* report.prompt is another now; NULL: nobody is asked */
	void (*close)(struct report *);                /* end the live view and free the state */
};
extern const struct view view_tty, view_plain, view_json;

/* Dry-run totals. */
struct report_totals {
	uint64_t actions[CONF_OPAQUE + 1], unchanged, unknown;
};

/* A step that runs now. */
struct running {
	char *step, *type;
	char unit[16];
	uint64_t done, total;
	int64_t started;       /* clock_now */
	int64_t said;          /* wall ms of its last plain line of progress */
	double rate;           /* units a second, smoothed */
	uint64_t mark_done;    /* where the rate was last measured */
	int64_t mark_at;
};

struct report {
	struct report_options opt;
	const struct view *view;
	void *state;
	bool color;
	bool dry_run;
	int lost;                 /* errno of the first result that could not be written to out, or 0 */
	char *run, *plan, *next;
	char *prompt;             /* the question at the terminal, escaped, or NULL */
	struct buf results;       /* lines for stdout in the end: the plan's outputs */
	struct running *running;
	size_t nrunning, cap;
	char *heading;            /* dry-run: the step whose heading was printed last */
	uint32_t steps;           /* in all */
	uint32_t before;          /* finished before this process */
	uint32_t ended[STEP_STATUSES];
	int64_t opened;           /* clock_now */
	struct report_totals totals;
};

/* Colours: SGR codes, or "" without colour. */
enum paint { PAINT_OFF, PAINT_GOOD, PAINT_BAD, PAINT_WARN, PAINT_DIM, PAINT_BOLD };
const char *paint(const struct report *, enum paint);
/* Append text from outside, escaped; NULL is nothing. */
void put_safe(struct buf *, const char *text);
/* One line (or some) for people about an event of a run, without time; false when it is not shown. */
bool report_line(const struct report *, const struct event *, struct buf *to);
/* The text of an event of a dry-run (a result: it goes to stdout); false when there is none. */
bool report_plan_text(struct report *, const struct event *, struct buf *to);
/* "N actions: …" */
void report_plan_summary(const struct report *, struct buf *to);
/* "3 of 8 steps finished: 2 done, 1 skipped; 1 running" */
void report_counts(const struct report *, struct buf *to);
/* "45 %, 120000 of 1000000 keys" */
void report_amount(uint64_t done, uint64_t total, const char *unit, struct buf *to);
struct running *report_running(const struct report *, const char *step); /* or NULL */
/* Write to a descriptor; a reader that is gone or a full disk never stops a run. */
void report_write(struct report *, int fd, struct buf *);

#endif

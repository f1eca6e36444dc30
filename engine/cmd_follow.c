/* SPDX-License-Identifier: Apache-2.0 */
/* wherry status --follow: turns what a journal gains into events and shows them, beside the process that writes it. A
 * journal is read from its start each time, so the pause between two looks grows with the time that one takes. */
#include "cmd.h"

#include <string.h>
#include <time.h>

#include "base/clock.h"

#define LOOK_EVERY (NS_PER_S / 2)

struct follow {
	struct report *report;
	uint64_t seen; /* records that were shown */
	const char *run;
	const struct history *history;
	struct buf word; /* of an event */
	bool ended; /* the last record was a pause or a close */
};

/* The event that a record stands for; false when it is none. */
static bool
event_of(struct follow *w, const struct record *r, struct event *ret)
{
	static const struct {
		enum record_type record;
		enum event_kind event;
	} kinds[] = {
		{ REC_OPEN, EVENT_OPEN },     { REC_RESUME, EVENT_OPEN },     { REC_START, EVENT_START },
		{ REC_INTENT, EVENT_EFFECT }, { REC_CURSOR, EVENT_PROGRESS }, { REC_NOTE, EVENT_NOTE },
		{ REC_RETRY, EVENT_RETRY },   { REC_END, EVENT_END },         { REC_PAUSE, EVENT_PAUSE },
		{ REC_CLOSE, EVENT_CLOSE },   { REC_GATE, EVENT_GATE },       { REC_APPROVE, EVENT_WORD },
	};
	const char *msg = r->msg;
	size_t k = 0;

	while (k < countof(kinds) && kinds[k].record != r->type)
		k++;
	if (k == countof(kinds))
		return false;
	if (r->type == REC_OPEN || r->type == REC_RESUME)
		msg = r->type == REC_OPEN ? "run" : "resume";
	else if (r->type == REC_CLOSE)
		msg = r->status;
	else if (r->type == REC_APPROVE) {
		buf_clear(&w->word);
		history_word(&w->word, history_step(w->history, r->step)->gate);
		msg = w->word.p;
	}
	*ret = (struct event){ .kind = kinds[k].event, .run = w->run, .plan = w->history->plan, .step = r->step,
			       .ref = r->ref, .verb = r->verb, .says = r->says, .msg = msg, .next = r->next,
			       .unit = r->unit, .err_kind = r->kind, .attempt = r->attempt, .done = r->done,
			       .total = r->total, .ns = (int64_t)r->ns, .code = (int)r->code, .wall = r->wall };
	if (r->type == REC_END)
		ret->status = step_status_parse(r->status);
	ret->irreversible = r->type == REC_GATE && r->kind != NULL;
	if (r->type == REC_PAUSE)
		ret->step = NULL;
	if (r->type == REC_CLOSE) {
		ret->outputs = r->value;
		ret->says = r->msg;
	}
	return true;
}

static int
on_record(void *data, uint64_t seq, const struct record *r, struct err *err)
{
	struct follow *w = data;
	struct event e;

	(void)err;
	if (seq <= w->seen)
		return 0;
	w->seen = seq;
	w->ended = r->type == REC_PAUSE || r->type == REC_CLOSE;
	if (event_of(w, r, &e))
		report_event(w->report, &e);
	return 0;
}

/* One look at the journal: 1 go on, 0 it ended or nobody writes any more. */
static int
look(struct front *f, const char *run, struct follow *w, struct err *err)
{
	struct opened o = { .each = on_record, .data = w };
	const char *dir = front_state(f, err);
	char holder[256];
	bool live;
	int ret;

	if (dir == NULL)
		return -1;
	live = journal_live(dir, run, holder, sizeof(holder)) == 1; /* asked first: what it wrote last is then read */
	w->history = &o.history;
	ret = opened_read(f, run, &o, err);
	opened_done(&o);
	return ret < 0 ? -1 : live && !w->ended;
}

int
front_follow(struct front *f, const char *run, struct err *err)
{
	const struct report_options shown = front_report(f);
	struct follow w = { .report = report_new(&shown), .run = run };
	int more;

	for (;;) {
		const int64_t before = clock_now();
		int64_t pause;

		more = look(f, run, &w, err);
		if (more <= 0)
			break;
		pause = 10 * (clock_now() - before);
		if (pause < LOOK_EVERY)
			pause = LOOK_EVERY;
		nanosleep(&(struct timespec){ pause / NS_PER_S, pause % NS_PER_S }, NULL);
	}
	report_free(w.report);
	buf_done(&w.word);
	return more;
}

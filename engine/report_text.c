/* SPDX-License-Identifier: Apache-2.0 */
/* The wording of a run for people, shared by the plain and the live view. Deterministic: the same events, the same
 * words. */
#include "report_view.h"

#include <string.h>

#include "base/clock.h"
#include "base/text.h"

const char *
paint(const struct report *r, enum paint p)
{
	static const char *const codes[] = {
		[PAINT_OFF] = "\033[0m",   [PAINT_GOOD] = "\033[32m", [PAINT_BAD] = "\033[31m",
		[PAINT_WARN] = "\033[33m", [PAINT_DIM] = "\033[2m",   [PAINT_BOLD] = "\033[1m",
	};

	return r->color ? codes[p] : "";
}

void
put_safe(struct buf *b, const char *text)
{
	if (text != NULL)
		text_escape(b, text, strlen(text));
}

/* ", text" with a separator of choice, when there is a text. */
static void
put_after(struct buf *b, const char *separator, const char *text)
{
	if (text == NULL || text[0] == '\0')
		return;
	buf_puts(b, separator);
	put_safe(b, text);
}

static void
put_duration(struct buf *b, const char *before, int64_t ns)
{
	char text[32];

	if (ns >= NS_PER_MS)
		buf_printf(b, "%s%s", before, duration_text(ns, text));
}

void
report_amount(uint64_t done, uint64_t total, const char *unit, struct buf *b)
{
	char text[2][32];
	bool bytes = strcmp(unit, "bytes") == 0;

	if (total > 0)
		buf_printf(b, "%.0f %%, ", 100.0 * (double)(done < total ? done : total) / (double)total);
	if (bytes && total > 0)
		buf_printf(b, "%s of %s", size_text(done, text[0]), size_text(total, text[1]));
	else if (bytes)
		buf_puts(b, size_text(done, text[0]));
	else if (total > 0)
		buf_printf(b, "%llu of %llu ", (unsigned long long)done, (unsigned long long)total);
	else
		buf_printf(b, "%llu ", (unsigned long long)done);
	if (!bytes)
		put_safe(b, unit);
}

void
report_counts(const struct report *r, struct buf *b)
{
	static const enum step_status ends[] = { STEP_DONE,    STEP_UNCHANGED, STEP_SKIPPED,  STEP_FAILED,
						 STEP_BLOCKED, STEP_IN_DOUBT,  STEP_CANCELLED, STEP_UNDONE };
	uint64_t finished = r->before + r->ended[STEP_DONE] + r->ended[STEP_UNCHANGED] + r->ended[STEP_SKIPPED];
	const char *separator = ": ";

	finished -= finished < r->ended[STEP_UNDONE] ? finished : r->ended[STEP_UNDONE];
	buf_printf(b, "%llu of %u steps finished", (unsigned long long)finished, r->steps);
	if (r->before > 0) {
		buf_printf(b, "%s%u before", separator, r->before);
		separator = ", ";
	}
	for (size_t i = 0; i < countof(ends); i++) {
		if (r->ended[ends[i]] == 0)
			continue;
		buf_printf(b, "%s%u %s", separator, r->ended[ends[i]], step_status_name(ends[i]));
		separator = ", ";
	}
	if (r->nrunning > 0)
		buf_printf(b, "; %zu running", r->nrunning);
}

static enum paint
status_paint(enum step_status s)
{
	switch (s) {
	case STEP_DONE:
	case STEP_UNCHANGED:
		return PAINT_GOOD;
	case STEP_SKIPPED:
	case STEP_CANCELLED:
	case STEP_UNDONE:
		return PAINT_WARN;
	default:
		return PAINT_BAD;
	}
}

static bool
is_loud(const struct event *e)
{
	if (e->kind == EVENT_END)
		return status_paint(e->status) == PAINT_BAD;
	return e->kind == EVENT_PAUSE || e->kind == EVENT_CLOSE || e->kind == EVENT_GATE ||
	       (e->kind == EVENT_NOTE && e->step == NULL);
}

/* Of a dry-run only a stop is told this way; its text is a result. */
static bool
is_plan_stop(const struct event *e)
{
	return (e->kind == EVENT_PAUSE || e->kind == EVENT_CLOSE) && e->code != 0;
}

static void
line_open(const struct event *e, struct buf *b)
{
	buf_puts(b, e->msg != NULL ? e->msg : "run");
	put_after(b, " ", e->run);
	put_after(b, ": ", e->plan);
	if (e->steps > 0)
		buf_printf(b, ", %u steps", e->steps);
	if (e->done > 0)
		buf_printf(b, ", %llu already finished", (unsigned long long)e->done);
}

static void
line_end(const struct report *r, const struct event *e, struct buf *b)
{
	buf_printf(b, ": %s%s%s", paint(r, status_paint(e->status)), step_status_name(e->status),
		   paint(r, PAINT_OFF));
	put_duration(b, e->status == STEP_DONE ? " in " : " after ", e->ns);
	put_after(b, ": ", e->msg);
	if (e->next != NULL && e->next[0] != '\0') {
		buf_putc(b, '\n');
		next_put(b, "  ", e->next);
	}
}

static void
line_retry(const struct event *e, struct buf *b)
{
	buf_printf(b, ": attempt %u", e->attempt);
	put_after(b, " ended: ", e->err_kind);
	put_after(b, ": ", e->msg);
	put_duration(b, "; again in ", e->ns);
}

static void
line_gate(const struct event *e, struct buf *b)
{
	buf_puts(b, e->irreversible ? ": waits for an approval: irreversible" : ": waits for an answer");
	put_after(b, ": ", e->msg);
	put_after(b, " [", e->says);
	buf_puts(b, "]");
	put_after(b, "\n  from another terminal: ", e->next);
}

bool
report_line(const struct report *r, const struct event *e, struct buf *b)
{
	if ((r->opt.quiet && !is_loud(e)) || (r->dry_run && !is_plan_stop(e)))
		return false;
	put_safe(b, e->step);
	switch (e->kind) {
	case EVENT_OPEN:
		line_open(e, b);
		return true;
	case EVENT_START:
		buf_puts(b, ": started");
		if (e->attempt > 1)
			buf_printf(b, ", attempt %u", e->attempt);
		else if (e->type != NULL)
			put_after(b, ", ", e->type);
		return true;
	case EVENT_PROGRESS:
		buf_puts(b, ": ");
		report_amount(e->done, e->total, e->unit != NULL ? e->unit : "", b);
		return true;
	case EVENT_NOTE:
		put_after(b, e->step != NULL ? ": " : "", e->msg);
		return true;
	case EVENT_EFFECT:
		put_after(b, ": ", e->says != NULL ? e->says : e->verb);
		if (r->opt.verbose) {
			put_after(b, " [", e->verb);
			put_after(b, " ", e->ref);
			buf_putc(b, ']');
		}
		return true;
	case EVENT_RETRY:
		line_retry(e, b);
		return true;
	case EVENT_END:
		line_end(r, e, b);
		return true;
	case EVENT_GATE:
		line_gate(e, b);
		return true;
	case EVENT_WORD:
		put_after(b, ": ", e->msg);
		return true;
	case EVENT_PAUSE:
		buf_printf(b, "%spaused%s (exit %d)", paint(r, PAINT_WARN), paint(r, PAINT_OFF), e->code);
		put_after(b, ": ", e->msg);
		return true;
	case EVENT_CLOSE:
		put_safe(b, r->run != NULL ? r->run : "run");
		put_after(b, ": ", e->msg);
		put_after(b, ": ", e->says);
		return true;
	case EVENT_ACTION:
	case EVENT_ASSUME:
	case EVENT_PREDICTED:
	case EVENT_TARGET:
	case EVENT_FILE:
		return false;
	}
	return false;
}

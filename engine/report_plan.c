/* SPDX-License-Identifier: Apache-2.0 */
/* The text of a dry-run: actions in plan order under their step's heading, with confidence, object, verb and diff, then
 * the totals. It is a result, so it goes to stdout. */
#include "report_view.h"

#include <stdlib.h>
#include <string.h>

#include "base/text.h"

static const char *const confidence_names[] = {
	[CONF_EXACT] = "exact",
	[CONF_SIMULATED] = "simulated",
	[CONF_PREDICTED] = "predicted",
	[CONF_OPAQUE] = "opaque",
};

/* Is the text that follows under the heading of this step already? */
static bool
has_heading(const struct report *r, const char *step)
{
	return r->heading != NULL && strcmp(r->heading, step) == 0;
}

static void
put_heading(struct report *r, const struct event *e, struct buf *b)
{
	if (e->step == NULL || has_heading(r, e->step))
		return;
	free(r->heading);
	r->heading = xstrdup(e->step);
	buf_puts(b, paint(r, PAINT_BOLD));
	put_safe(b, e->step);
	buf_puts(b, paint(r, PAINT_OFF));
	if (e->type != NULL) {
		buf_puts(b, " (");
		put_safe(b, e->type);
		buf_putc(b, ')');
	}
	buf_putc(b, '\n');
}

static void
put_diff(const struct report *r, const char *diff, struct buf *b)
{
	while (*diff != '\0') {
		size_t len = strcspn(diff, "\n");

		buf_puts(b, "      ");
		buf_puts(b, *diff == '-' ? paint(r, PAINT_BAD) : *diff == '+' ? paint(r, PAINT_GOOD) : "");
		text_escape_lines(b, diff, len);
		buf_puts(b, *diff == '-' || *diff == '+' ? paint(r, PAINT_OFF) : "");
		buf_putc(b, '\n');
		diff += len + (diff[len] == '\n');
	}
}

static char
sign(const struct event *e)
{
	if (e->unchanged)
		return '=';
	if (e->confidence == CONF_OPAQUE)
		return '!';
	return e->verb != NULL && strcmp(e->verb, "delete") == 0 ? '-' : '~';
}

static void
put_action(const struct report *r, const struct event *e, struct buf *b)
{
	buf_printf(b, "  %c ", sign(e));
	put_safe(b, e->verb);
	buf_puts(b, "  ");
	put_safe(b, e->ref);
	buf_printf(b, "  [%s]  ", e->unchanged ? "unchanged" : confidence_names[e->confidence]);
	put_safe(b, e->says);
	buf_putc(b, '\n');
	if (e->diff != NULL && !e->unchanged)
		put_diff(r, e->diff, b);
}

static void
put_remark(struct buf *b, const char *lead, const char *text)
{
	buf_printf(b, "  %s", lead);
	put_safe(b, text);
	buf_putc(b, '\n');
}

/* A step that ends without an action is named too: the reader sees the whole plan. */
static bool
put_end(struct report *r, const struct event *e, struct buf *b)
{
	const bool known = e->step != NULL && has_heading(r, e->step);

	if (e->status == STEP_DONE || e->status == STEP_UNCHANGED) {
		if (known)
			return false;
		put_heading(r, e, b);
		if (!e->opens)
			put_remark(b, "no effect", NULL);
		return true;
	}
	put_heading(r, e, b);
	buf_printf(b, "  %s%s", step_status_name(e->status), e->msg != NULL ? ": " : "");
	put_safe(b, e->msg);
	buf_putc(b, '\n');
	if (e->next != NULL && e->next[0] != '\0') {
		next_put(b, "  ", e->next);
		buf_putc(b, '\n');
	}
	return true;
}

bool
report_plan_text(struct report *r, const struct event *e, struct buf *b)
{
	const bool stop = e->kind == EVENT_PAUSE || e->kind == EVENT_CLOSE || (e->kind == EVENT_END && e->status == STEP_FAILED);

	if (r->opt.quiet && !stop)
		return true;
	switch (e->kind) {
	case EVENT_OPEN:
		buf_puts(b, "plan ");
		put_safe(b, e->plan);
		buf_printf(b, ": what a run of its %u steps would do\n", e->steps);
		return true;
	case EVENT_ACTION:
		put_heading(r, e, b);
		put_action(r, e, b);
		return true;
	case EVENT_ASSUME:
		put_heading(r, e, b);
		put_remark(b, "assumed: ", e->msg);
		return true;
	case EVENT_PREDICTED:
		put_heading(r, e, b);
		put_remark(b, "? ", e->msg);
		return true;
	case EVENT_GATE:
		put_heading(r, e, b);
		put_remark(b, "irreversible: ", e->msg);
		if (e->next != NULL)
			put_remark(b, "  waits for an approval: ", e->next);
		return true;
	case EVENT_NOTE:
		if (e->step == NULL)
			return false;
		put_heading(r, e, b);
		put_remark(b, "note: ", e->msg);
		return true;
	case EVENT_END:
		return put_end(r, e, b);
	default:
		return false;
	}
}

void
report_plan_summary(const struct report *r, struct buf *b)
{
	const struct report_totals *t = &r->totals;
	uint64_t all = 0;

	for (size_t c = 0; c < countof(t->actions); c++)
		all += t->actions[c];
	buf_printf(b, "\n%llu action%s", (unsigned long long)all, all == 1 ? "" : "s");
	for (size_t c = 0; c < countof(t->actions); c++)
		buf_printf(b, "%s%llu %s", c == 0 ? ": " : ", ", (unsigned long long)t->actions[c],
			   confidence_names[c]);
	buf_printf(b, "; %llu unchanged; %llu step%s on what is not known yet\n", (unsigned long long)t->unchanged,
		   (unsigned long long)t->unknown, t->unknown == 1 ? " depends" : "s depend");
}

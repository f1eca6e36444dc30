/* SPDX-License-Identifier: Apache-2.0 */
/* Plain lines: one event a line with its time, for logs and pipes. Progress of a step at most every ten seconds. */
#include "report_view.h"

#include "base/clock.h"

#define PROGRESS_EVERY_MS 10000

static void
plain_line(struct report *r, const struct event *e)
{
	struct buf line = BUF_INIT(0), b = BUF_INIT(0);
	char when[32];

	if (report_line(r, e, &line)) {
		buf_printf(&b, "%s %s\n", clock_text(e->wall, when), line.len > 0 ? line.p : "");
		report_write(r, r->opt.err, &b);
	}
	buf_done(&line);
	buf_done(&b);
}

static void
plain_event(struct report *r, const struct event *e)
{
	struct buf text = BUF_INIT(0);
	struct running *run;

	if (r->dry_run && report_plan_text(r, e, &text)) {
		report_write(r, r->opt.out, &text);
		buf_done(&text);
		return;
	}
	if (e->kind == EVENT_PROGRESS) {
		run = report_running(r, e->step);
		if (run == NULL || e->wall - run->said < PROGRESS_EVERY_MS)
			return;
		run->said = e->wall;
	}
	plain_line(r, e);
}

static void
plain_prompt(struct report *r)
{
	struct buf b = BUF_INIT(0);

	if (r->prompt == NULL)
		return;
	buf_printf(&b, "%s\n", r->prompt);
	report_write(r, r->opt.err, &b);
	buf_done(&b);
}

const struct view view_plain = { .event = plain_event, .prompt = plain_prompt };

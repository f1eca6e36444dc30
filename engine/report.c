/* SPDX-License-Identifier: Apache-2.0 */
/* The renderers' common part: chooses the view, keeps the totals, words what people read. Text that came from a server,
 * a plan or a command is escaped here and nowhere else. Errors of writing are dropped: output never stops a run. */
#include "report_view.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/io.h"
#include "base/text.h"

#define STATUS_STEPS 8 /* running steps that a status line names */

static bool
is_terminal(int fd)
{
	const char *term = getenv("TERM");

	return isatty(fd) == 1 && term != NULL && term[0] != '\0' && strcmp(term, "dumb") != 0;
}

static void
tell_nobody(struct report *r, const struct event *e)
{
	(void)r;
	(void)e;
}

static const struct view view_none = { .event = tell_nobody };

static const struct view *
choose_view(const struct report_options *o)
{
	if (o->format == FORMAT_JSON)
		return &view_json;
	if (o->format == FORMAT_NONE)
		return &view_none;
	if (o->format != FORMAT_PLAIN && is_terminal(o->err))
		return &view_tty;
	return &view_plain;
}

static bool
choose_color(const struct report_options *o)
{
	const char *no = getenv("NO_COLOR");

	if (o->color >= 0)
		return o->color > 0;
	return o->format != FORMAT_PLAIN && is_terminal(o->err) && is_terminal(o->out) &&
	       (no == NULL || no[0] == '\0');
}

struct report *
report_new(const struct report_options *o)
{
	struct report *r = xcalloc(1, sizeof(*r));

	r->opt = *o;
	r->view = choose_view(o);
	r->color = choose_color(o);
	r->opened = clock_now();
	r->state = r->view->open != NULL ? r->view->open(r) : NULL;
	return r;
}

static void
keep(char **at, const char *text)
{
	if (text == NULL)
		return;
	free(*at);
	*at = xstrdup(text);
}

struct running *
report_running(const struct report *r, const char *step)
{
	for (size_t i = 0; step != NULL && i < r->nrunning; i++)
		if (strcmp(r->running[i].step, step) == 0)
			return &r->running[i];
	return NULL;
}

static void
running_add(struct report *r, const struct event *e)
{
	if (e->step == NULL || report_running(r, e->step) != NULL)
		return;
	if (r->nrunning == r->cap) {
		r->cap = 2 * r->cap + 8;
		r->running = xreallocarray(r->running, r->cap, sizeof(*r->running));
	}
	r->running[r->nrunning++] = (struct running){
		.step = xstrdup(e->step),
		.type = xstrdup(e->type != NULL ? e->type : ""),
		.started = clock_now(),
		.mark_at = clock_now(),
	};
}

static void
running_remove(struct report *r, const char *step)
{
	struct running *run = report_running(r, step);

	if (run == NULL)
		return;
	free(run->step);
	free(run->type);
	memmove(run, run + 1, (size_t)(&r->running[--r->nrunning] - run) * sizeof(*run));
}

static void
running_done(struct report *r)
{
	while (r->nrunning > 0)
		running_remove(r, r->running[r->nrunning - 1].step);
}

/* Half a second is enough to measure a rate; older speed fades. */
static void
running_progress(struct running *run, const struct event *e, int64_t now)
{
	const int64_t elapsed = now - run->mark_at;

	run->done = e->done;
	run->total = e->total;
	snprintf(run->unit, sizeof(run->unit), "%s", e->unit != NULL ? e->unit : "");
	if (e->done < run->mark_done) {
		run->mark_done = e->done;
		run->mark_at = now;
		run->rate = 0;
	} else if (elapsed >= NS_PER_S / 2) {
		double speed = (double)(e->done - run->mark_done) * 1e9 / (double)elapsed;

		run->rate = run->rate > 0 ? 0.7 * run->rate + 0.3 * speed : speed;
		run->mark_done = e->done;
		run->mark_at = now;
	}
}

/* A text as it is, for those who cut lines apart; all else as in the report. */
static void
keep_outputs(struct report *r, const struct value *outputs)
{
	for (uint32_t i = 0; outputs != NULL && outputs->kind == V_MAP && i < outputs->len; i++) {
		const struct pair *p = &outputs->pairs[i];

		put_safe(&r->results, p->key);
		buf_puts(&r->results, ": ");
		if (p->v.kind == V_STRING)
			put_safe(&r->results, p->v.s);
		else
			value_show(&r->results, &p->v);
		buf_putc(&r->results, '\n');
	}
}

/* Totals, before the view words the event. */
static void
account(struct report *r, const struct event *e)
{
	struct running *run;

	switch (e->kind) {
	case EVENT_START:
		r->steps = e->steps > r->steps ? e->steps : r->steps; /* those of children come in as they are opened */
		running_add(r, e);
		break;
	case EVENT_PROGRESS:
		run = report_running(r, e->step);
		if (run != NULL)
			running_progress(run, e, clock_now());
		break;
	case EVENT_OPEN:
		keep(&r->run, e->run);
		keep(&r->plan, e->plan);
		r->dry_run = e->msg != NULL && strcmp(e->msg, "plan") == 0;
		r->steps = e->steps;
		r->before = (uint32_t)e->done;
		break;
	case EVENT_END:
		if (e->status < STEP_STATUSES)
			r->ended[e->status]++;
		running_remove(r, e->step);
		break;
	case EVENT_ACTION:
		if (e->unchanged)
			r->totals.unchanged++;
		else
			r->totals.actions[e->confidence]++;
		break;
	case EVENT_PREDICTED:
		r->totals.unknown++;
		break;
	case EVENT_PAUSE:
	case EVENT_CLOSE:
		running_done(r);
		keep(&r->next, e->next);
		keep_outputs(r, e->outputs);
		break;
	default:
		break;
	}
}

void
report_event(struct report *r, const struct event *e)
{
	struct buf room = BUF_INIT(0);
	struct event told = *e;

	told.next = next_typed(r->opt.typed, e->next, &room);
	if (r->opt.each != NULL)
		r->opt.each(r->opt.data, e);
	account(r, &told);
	if (e->kind < EVENT_TARGET)
		r->view->event(r, &told);
	buf_done(&room);
}

void
report_prompt(struct report *r, const char *question)
{
	struct buf b = BUF_INIT(0);

	free(r->prompt);
	r->prompt = NULL;
	if (question != NULL) {
		put_safe(&b, question);
		r->prompt = buf_take(&b);
	}
	if (r->view->prompt != NULL)
		r->view->prompt(r);
}

int64_t
report_tick(struct report *r, int64_t now)
{
	return r->view->tick != NULL ? r->view->tick(r, now) : NEVER;
}

void
report_resized(struct report *r)
{
	if (r->view->resized != NULL)
		r->view->resized(r);
}

void
report_status(struct report *r)
{
	struct event said = { .kind = EVENT_NOTE, .wall = clock_wall_ms() };
	struct buf b = BUF_INIT(0);

	report_counts(r, &b);
	for (size_t i = 0; i < r->nrunning && i < STATUS_STEPS; i++) {
		buf_printf(&b, "; %s ", r->running[i].step);
		report_amount(r->running[i].done, r->running[i].total, r->running[i].unit, &b);
	}
	said.msg = b.p;
	r->view->event(r, &said);
	buf_done(&b);
}

void
report_finish(struct report *r)
{
	struct buf b = BUF_INIT(0);

	if (r->view->close != NULL)
		r->view->close(r);
	r->state = NULL;
	if (r->view == &view_json || r->view == &view_none)
		return;
	if (r->dry_run) {
		report_plan_summary(r, &b);
		report_write(r, r->opt.out, &b);
	} else if (r->run != NULL && !r->opt.quiet) {
		report_counts(r, &b);
		buf_putc(&b, '\n');
		report_write(r, r->opt.err, &b);
	}
	report_write(r, r->opt.out, &r->results);
	if (r->next != NULL && r->next[0] != '\0') {
		next_put(&b, "", r->next);
		buf_putc(&b, '\n');
		report_write(r, r->opt.err, &b);
	}
	buf_done(&b);
}

int
report_lost(const struct report *r)
{
	return r->lost;
}

void
report_free(struct report *r)
{
	if (r == NULL)
		return;
	if (r->state != NULL && r->view->close != NULL)
		r->view->close(r);
	running_done(r);
	free(r->running);
	free(r->run);
	free(r->plan);
	free(r->next);
	free(r->heading);
	free(r->prompt);
	buf_done(&r->results);
	free(r);
}

void
report_write(struct report *r, int fd, struct buf *b)
{
	struct err why = ERR_INIT;

	if (b->len > 0 && io_write_all(fd, b->p, b->len, &why) < 0 && fd == r->opt.out && r->lost == 0)
		r->lost = why.sys;
	buf_clear(b);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* wherry status and wherry runs: where runs stand, from the fold of their journals; beside a live process too. */
#include "cmd.h"

#include <string.h>

#include "base/clock.h"
#include "base/text.h"

#define HOLDER_MAX 256
#define ALL_STEPS_MAX 50

/* What a fold alone cannot tell: does someone work on it now, and what has not begun. */
struct standing {
	const struct opened *o;
	const struct typed *typed;
	const struct plan *plan; /* NULL when the stored copy cannot be loaded any more */
	bool live;
	char holder[HOLDER_MAX];
	uint32_t counts[STEP_STATUSES], steps;
};

static enum step_status
shown_status(const struct standing *st, const struct hist_step *s)
{
	return step_shown_status(s, st->live);
}

/* Nobody is asked any more once the run is closed. */
static bool
waits(const struct standing *st, const struct hist_step *s)
{
	return history_waits(s) && !run_is_closed(&st->o->history);
}

static void
take_standing(const struct front *f, const char *dir, struct opened *o, const struct plan *plan,
	      struct standing *ret)
{
	const uint32_t known = o->history.nsteps - o->history.nundos;

	*ret = (struct standing){ .o = o, .typed = &f->typed, .plan = plan };
	ret->live = journal_live(dir, o->run, ret->holder, sizeof(ret->holder)) == 1;
	opened_show(o, plan, ret->live);
	for (uint32_t i = 0; i < o->history.nsteps; i++)
		if (!o->history.steps[i].undo)
			ret->counts[shown_status(ret, &o->history.steps[i])]++;
	ret->steps = known;
	for (uint32_t i = 0; plan != NULL && known > 0 && i < plan->nsteps; i++)
		ret->steps += history_step(&o->history, plan->steps[i].id) == NULL;
	if (plan != NULL && known == 0)
		ret->steps = plan->nsteps;
	ret->counts[STEP_PENDING] += ret->steps - known;
}

/* One word for the state. */
static const char *
state_word(const struct standing *st)
{
	return run_shown_status(&st->o->history, st->live);
}

static const char *
typed(struct front *f, const char *next)
{
	struct buf room = BUF_INIT(0);
	const char *text = next_typed(&f->typed, next, &room), *ret = text != NULL ? arena_strdup(&f->arena, text) : NULL;

	buf_done(&room);
	return ret;
}

static const char *
next_command(struct front *f, const struct standing *st)
{
	const struct history *h = &st->o->history;

	for (uint32_t i = 0; i < h->nsteps; i++)
		if (!st->live && (h->steps[i].status == STEP_IN_DOUBT || h->steps[i].changed) && h->steps[i].next != NULL)
			return h->steps[i].next;
	for (uint32_t i = 0; i < h->nsteps; i++)
		if (waits(st, &h->steps[i]))
			return arena_printf(&f->arena, "wherry approve %s %s", st->o->run, h->steps[i].path);
	if (st->live)
		return arena_printf(&f->arena, "wherry status %s --follow", st->o->run);
	if (h->rolling)
		return arena_printf(&f->arena, "wherry rollback %s", st->o->run);
	if (run_is_closed(h) && h->status != RUN_FAILED)
		return arena_printf(&f->arena, "wherry report %s", st->o->run);
	if (h->next != NULL && h->next[0] != '\0' && !(h->status == RUN_PAUSED && h->pause_code == 3))
		return h->next;
	return arena_printf(&f->arena, "wherry resume %s", st->o->run);
}

static void
put_text(struct buf *b, const char *before, const char *text)
{
	if (text == NULL || text[0] == '\0')
		return;
	buf_puts(b, before);
	text_escape(b, text, strlen(text));
}

static void
put_state(const struct standing *st, struct buf *b)
{
	const struct history *h = &st->o->history;

	buf_printf(b, "state   %s", state_word(st));
	if (st->live)
		put_text(b, " by ", st->holder);
	else if (h->status == RUN_RUNNING)
		buf_puts(b, ": its process ended without a word");
	if (h->status == RUN_PAUSED)
		buf_printf(b, " (exit %u)", h->pause_code);
	put_text(b, ": ", h->pause_msg);
	buf_putc(b, '\n');
}

static void
put_counts(const struct standing *st, struct buf *b)
{
	const char *separator = ": ";

	buf_printf(b, "steps   %u", st->steps);
	for (int s = 0; s < STEP_STATUSES; s++) {
		if (st->counts[s] == 0)
			continue;
		buf_printf(b, "%s%u %s", separator, st->counts[s], step_status_name((enum step_status)s));
		separator = ", ";
	}
	buf_putc(b, '\n');
}

/* What is asked, or who has answered what. */
static void
put_gate(const struct standing *st, const struct hist_step *s, struct buf *b)
{
	struct buf word = BUF_INIT(0);

	if (s == NULL || s->gate == NULL)
		return;
	if (s->gate->word != NULL) {
		history_word(&word, s->gate);
		put_text(b, "; ", word.p);
	} else if (waits(st, s)) {
		put_text(b, ", waits for an answer: ", s->gate->question);
		put_text(b, " [", s->gate->answers);
		buf_puts(b, "]");
	}
	buf_done(&word);
}

/* What is known about a step that began; s is NULL for one that did not. */
static void
put_step(const struct standing *st, const char *id, const struct hist_step *s, struct buf *b)
{
	const struct hist_effect *e = s != NULL ? step_last_effect(s) : NULL;
	enum step_status status = s != NULL ? shown_status(st, s) : STEP_PENDING;
	struct buf room = BUF_INIT(0);
	char text[32];

	put_text(b, "  ", id);
	buf_printf(b, ": %s", step_status_name(status));
	if (s != NULL && (status == STEP_RUNNING || status == STEP_IN_DOUBT) && s->started > 0)
		buf_printf(b, " since %s", clock_text(s->started, text));
	if (s != NULL && s->resolved != NULL) {
		put_text(b, ", resolved as ", s->resolved);
		buf_putc(b, '\n');
		return;
	}
	put_text(b, ": ", s != NULL ? s->msg : NULL);
	put_gate(st, s, b);
	if (e != NULL && (status == STEP_RUNNING || status == STEP_IN_DOUBT)) {
		put_text(b, s->msg != NULL ? "; " : ": ", e->says);
		if (hist_progress(e).done > 0)
			buf_printf(b, ", %llu of %llu", (unsigned long long)hist_progress(e).done,
				   (unsigned long long)hist_progress(e).total);
		put_text(b, " ", hist_progress(e).done > 0 ? hist_progress(e).unit : NULL);
	}
	if (s != NULL && status == STEP_RUNNING)
		put_text(b, "; ", s->note);
	if (s != NULL && s->next != NULL && s->next[0] != '\0') {
		buf_putc(b, '\n');
		next_put(b, "    ", next_typed(st->typed, s->next, &room));
	}
	buf_done(&room);
	buf_putc(b, '\n');
}

/* All steps in plan order, or of a large plan those that an operator looks for; and undos that are not over. */
static void
put_steps(const struct standing *st, struct buf *b)
{
	const struct history *h = &st->o->history;

	for (uint32_t i = 0; st->plan != NULL && st->plan->nsteps <= ALL_STEPS_MAX && i < st->plan->nsteps; i++)
		put_step(st, st->plan->steps[i].id, history_step(h, st->plan->steps[i].id), b);
	for (uint32_t i = 0; i < h->nsteps; i++) {
		enum step_status s = shown_status(st, &h->steps[i]);

		if (st->plan != NULL && st->plan->nsteps <= ALL_STEPS_MAX && !h->steps[i].undo && strpbrk(h->steps[i].path, "/[") == NULL)
			continue;
		if (s == STEP_RUNNING || s == STEP_IN_DOUBT || s == STEP_FAILED || waits(st, &h->steps[i]))
			put_step(st, h->steps[i].path, &h->steps[i], b);
	}
}

static void
put_status(struct front *f, const struct standing *st, struct buf *b)
{
	const struct history *h = &st->o->history;
	char when[2][32];

	buf_printf(b, "run     %s\n", st->o->run);
	put_text(b, "plan    ", h->plan);
	put_text(b, "\nby      ", h->user);
	put_text(b, "@", h->host);
	buf_printf(b, "\nopened  %s\nlast    %s\n", clock_text(h->opened, when[0]), clock_text(h->last, when[1]));
	put_state(st, b);
	put_counts(st, b);
	put_steps(st, b);
	if (st->plan != NULL && !run_is_closed(h))
		front_put_left(st->plan, h, b);
	next_put(b, "", typed(f, next_command(f, st)));
	buf_putc(b, '\n');
}

static struct value
text_value(const char *text)
{
	return text != NULL ? value_str(text) : VALUE_NULL;
}

static struct value
steps_json(struct front *f, const struct standing *st)
{
	const struct history *h = &st->o->history;
	struct value *list = arena_array(&f->arena, h->nsteps + 1, sizeof(*list));

	for (uint32_t i = 0; i < h->nsteps; i++) {
		const struct hist_step *s = &h->steps[i];
		const struct hist_effect *e = step_last_effect(s);
		struct pair *p = arena_array(&f->arena, 9, sizeof(*p));

		p[0] = (struct pair){ "step", value_str(s->path) };
		p[1] = (struct pair){ "status", value_str(step_status_name(shown_status(st, s))) };
		p[2] = (struct pair){ "attempts", value_int(s->attempts) };
		p[3] = (struct pair){ "ns", value_int((int64_t)s->ns) };
		p[4] = (struct pair){ "message", text_value(s->msg != NULL ? s->msg : s->status == STEP_RUNNING ? s->note : NULL) };
		p[5] = (struct pair){ "next", text_value(typed(f, s->next)) };
		p[6] = (struct pair){ "done", value_int(e != NULL ? (int64_t)hist_progress(e).done : 0) };
		p[7] = (struct pair){ "total", value_int(e != NULL ? (int64_t)hist_progress(e).total : 0) };
		p[8] = (struct pair){ "question", text_value(waits(st, s) ? s->gate->question : NULL) };
		list[i] = value_map(p, 9);
	}
	return value_list(list, h->nsteps);
}

static struct value
run_json(struct front *f, const struct standing *st, bool with_steps)
{
	const struct history *h = &st->o->history;
	struct pair *p = arena_array(&f->arena, 12, sizeof(*p)), *c = arena_array(&f->arena, STEP_STATUSES, sizeof(*c));
	char when[2][32];
	size_t n = 0;

	for (int s = 0; s < STEP_STATUSES; s++)
		c[s] = (struct pair){ step_status_name((enum step_status)s), value_int(st->counts[s]) };
	p[n++] = (struct pair){ "run", value_str(arena_strdup(&f->arena, st->o->run)) };
	p[n++] = (struct pair){ "plan", text_value(h->plan) };
	p[n++] = (struct pair){ "state", value_str(state_word(st)) };
	p[n++] = (struct pair){ "live", value_bool(st->live) };
	p[n++] = (struct pair){ "opened", value_str(arena_strdup(&f->arena, clock_text(h->opened, when[0]))) };
	p[n++] = (struct pair){ "last", value_str(arena_strdup(&f->arena, clock_text(h->last, when[1]))) };
	p[n++] = (struct pair){ "code", value_int(h->pause_code) };
	p[n++] = (struct pair){ "message", text_value(h->pause_msg) };
	p[n++] = (struct pair){ "counts", value_map(c, STEP_STATUSES) };
	p[n++] = (struct pair){ "next", value_str(typed(f, next_command(f, st))) };
	if (with_steps)
		p[n++] = (struct pair){ "steps", steps_json(f, st) };
	return value_map(p, n);
}

static int
show(struct front *f, const char *run, struct err *err)
{
	struct opened o = { 0 };
	struct err no_plan = ERR_INIT;
	struct plan *plan = NULL;
	struct standing st;
	struct buf b = BUF_INIT(0);
	struct value v;
	int ret = -1;

	o.ahead = ahead_begin(front_state(f, err), run);
	if (opened_read(f, run, &o, err) < 0)
		goto out;
	plan = opened_plan(f, &o, &no_plan);
	take_standing(f, front_state(f, err), &o, plan, &st);
	if (front_json(f)) {
		v = run_json(f, &st, true);
		ret = front_print_json(&v, err);
	} else {
		put_status(f, &st, &b);
		ret = front_print(&b, err);
	}
out:
	buf_done(&b);
	plan_free(plan);
	opened_done(&o);
	return ret;
}

int
cmd_status(struct front *f, struct err *err)
{
	const char *run = front_run(f, 0, err);

	if (run == NULL || (f->opt.follow && front_follow(f, run, err) < 0))
		return -1;
	return show(f, run, err);
}

/* A run that cannot be read is listed as such: the others still are. */
static int
list_run(struct front *f, const char *dir, const char *run, struct buf *b, struct err *err)
{
	struct opened o = { 0 };
	struct standing st;
	struct err why = ERR_INIT;
	struct value v;
	char when[32];
	int ret = 0;

	if (opened_read(f, run, &o, &why) < 0) {
		front_error(f, &why);
	} else {
		take_standing(f, dir, &o, NULL, &st);
		if (front_json(f)) {
			v = run_json(f, &st, false);
			ret = front_print_json(&v, err);
		} else {
			buf_printf(b, "%-24s  %-12s %-26s", run, state_word(&st), clock_text(o.history.opened, when));
			put_text(b, "", o.history.plan);
			buf_putc(b, '\n');
		}
	}
	opened_done(&o);
	return ret;
}

int
cmd_runs(struct front *f, struct err *err)
{
	const char *dir = front_state(f, err);
	struct buf b = BUF_INIT(0);
	const char **runs;
	size_t n;
	int ret = 0;

	if (f->nargs > 0 && strcmp(f->args[0], "prune") == 0)
		return cmd_prune(f, err);
	if (f->nargs > 0) {
		err_set(err, ERR_USAGE, "'runs' lists the runs, or does 'prune'; not '%s'", f->args[0]);
		return err_next(err, "wherry runs");
	}
	if (dir == NULL || journal_list(dir, &f->arena, &runs, &n, err) < 0)
		return -1;
	if (n > 0 && !front_json(f))
		buf_printf(&b, "%-24s  %-12s %-26s%s\n", "RUN", "STATE", "OPENED", "PLAN");
	for (size_t i = 0; i < n && ret == 0; i++)
		ret = list_run(f, dir, runs[i], &b, err);
	if (ret == 0)
		ret = front_print(&b, err);
	buf_done(&b);
	return ret;
}

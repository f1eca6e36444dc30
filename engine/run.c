/* SPDX-License-Identifier: Apache-2.0 */
/* The coordinator's life: what is in doubt settles first, then the steps, then `finally`; and the loop that waits for
 * messages, timers and signals. A pause keeps everything resumable; a close is final. */
#include "run.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/hash.h"
#include "coord.h"

#define DRAIN (30 * NS_PER_S)
#define LOOK (200 * NS_PER_MS) /* how long an effect's end may wait to be recorded while its step goes on */

struct event
coord_event(const struct coord *c, enum event_kind kind, uint32_t step)
{
	return (struct event){ .kind = kind, .run = c->shared.run, .plan = c->plan->name, .step = c->plan->steps[step].id,
		.type = c->phase == PHASE_ROLLBACK ? "undo" : c->plan->steps[step].type->name, .index = step, .steps = c->plan->nsteps,
		.wall = clock_wall_ms() };
}

/* A dry-run leaves nothing that could go on, so it names no next command. */
static void
report_run(struct coord *c, struct event e)
{
	e.run = c->shared.run;
	e.plan = c->plan->name;
	e.steps = c->plan->nsteps;
	e.wall = clock_wall_ms();
	if (c->o->mode == MODE_PLAN)
		e.next = NULL;
	report_event(c->o->report, &e);
}

/* done: the steps that earlier processes of this run have finished. */
static void
report_open(struct coord *c)
{
	struct event e = { .kind = EVENT_OPEN };

	e.msg = c->o->mode == MODE_PLAN ? "plan" : c->o->abort ? "abort" : c->o->rollback ? "rollback" : c->o->history != NULL ? "resume" : "run";
	for (uint32_t i = 0; i < c->plan->nsteps; i++)
		e.done += c->live[i].status == STEP_DONE || c->live[i].status == STEP_UNCHANGED ||
			  c->live[i].status == STEP_SKIPPED;
	report_run(c, e);
}

static bool
is_terminal(const struct live *l)
{
	return l->status != STEP_PENDING && l->status != STEP_RUNNING && l->status != STEP_IN_DOUBT;
}

static bool
unsettled(const struct coord *c, uint32_t i)
{
	const struct hist_step *hs = c->o->history != NULL ? history_step(c->o->history, c->plan->steps[i].id) : NULL;

	return hs != NULL && !c->live[i].anew && c->live[i].status == STEP_PENDING && (hs->torn || history_in_doubt(hs));
}

/* Count what each step still waits for, and queue those that wait for nothing. Finally steps wait for each other only:
 * their phase begins when all others have ended. */
static void
count_needs(struct coord *c)
{
	for (uint32_t i = 0; i < c->plan->nsteps; i++) {
		const struct step *s = &c->plan->steps[i];
		struct live *l = &c->live[i];

		l->over = is_terminal(l);
		for (uint32_t k = 0; k < s->need_count; k++) {
			const struct need *n = &c->plan->needs[s->need_first + k];

			if (s->finally && !c->plan->steps[n->to].finally)
				continue;
			l->blocked += !is_terminal(&c->live[n->to]);
		}
	}
	for (uint32_t i = 0; i < c->plan->nmain; i++)
		if (c->live[i].blocked == 0 && c->live[i].status == STEP_PENDING && c->live[i].selected)
			heap_push(c->unsettled > 0 && !unsettled(c, i) ? &c->held : &c->ready, i, i);
}

/* Those of [from, to) that were under way, or that could have been started next: the order is that of the queue. Pure
 * steps have no effect to doubt and hold no worker. */
static void
doubt_steps(struct coord *c, uint32_t from, uint32_t to)
{
	const uint32_t jobs = c->o->history->jobs > c->o->jobs ? c->o->history->jobs : c->o->jobs;
	uint32_t left = 2 * jobs; /* one turn's, and those that end at once make room for others in it */

	for (uint32_t i = from; i < to; i++) {
		const struct step *s = &c->plan->steps[i];
		const struct hist_step *hs = history_step(c->o->history, s->id);
		const bool begun = hs != NULL && hs->status == STEP_RUNNING;
		struct live *l = &c->live[i];

		if (l->blocked > 0 || l->status != STEP_PENDING || (s->type->flags & STEP_PURE) || (left == 0 && !begun))
			continue;
		l->torn = true;
		l->maybe++;
		left -= !begun;
		coord_record(c, &(struct record){ .type = REC_DOUBT, .step = s->id }, true);
	}
}

/* The lost batch was of `finally` only if all steps before it had ended, or a failure kept them from starting. */
static void
doubt_torn(struct coord *c)
{
	bool closing = !c->reopened;

	for (uint32_t i = 0; i < c->plan->nmain; i++)
		closing = closing && (is_terminal(&c->live[i]) || c->failed);
	doubt_steps(c, 0, c->plan->nmain);
	if (closing)
		doubt_steps(c, c->plan->nmain, c->plan->nsteps);
}

static int
select_steps(struct coord *c, struct err *err)
{
	bool *selected = xcalloc(c->plan->nsteps, sizeof(*selected)), *over = xcalloc(c->plan->nsteps, sizeof(*over));
	const struct selection all = { 0 };
	int ret = graph_select(c->plan, &c->graph, c->o->rollback ? &all : &c->o->selection, selected, err);

	for (uint32_t i = 0; ret == 0 && i < c->plan->nsteps; i++) {
		c->live[i].selected = selected[i];
		over[i] = is_terminal(&c->live[i]);
	}
	if (ret == 0 && !c->o->rollback)
		ret = graph_selected_whole(c->plan, selected, over, err);
	free(selected);
	free(over);
	return ret;
}

bool
coord_may_start(const struct coord *c)
{
	if (c->pausing || c->broken)
		return false;
	/* what is in doubt is settled even when a failure has stopped the rest: a run does not close over it unasked */
	return !c->stopping || c->phase >= PHASE_ROLLBACK || (c->phase == PHASE_SETTLE && !c->o->abort);
}

static void
begin_finally(struct coord *c)
{
	c->phase = PHASE_FINALLY;
	c->stopping = false;
	coord_drop_parked(c);
	c->ready.n = c->timers.n = 0; /* what a failure kept from starting stays pending */
	for (uint32_t i = c->plan->nmain; i < c->plan->nsteps; i++)
		if (c->live[i].blocked == 0)
			coord_ready(c, i);
}

/* false: what there is to take back cannot be told, and the run pauses. */
static bool
begin_rollback(struct coord *c)
{
	struct err err = ERR_INIT;

	c->ready.n = c->timers.n = c->held.n = 0;
	if (coord_roll_begin(c, &err) == 0)
		return true;
	coord_pause(c, NULL, &err);
	return false;
}

/* The next phase when nothing is under way or ready; true when all phases are over. */
static bool
next_phase(struct coord *c)
{
	if (c->running > 0 || c->nended > 0 || c->commit)
		return false;
	if (c->pausing || c->broken)
		return true;
	if (coord_may_start(c) && c->ready.n + c->timers.n > 0)
		return false;
	if (coord_may_start(c) && c->waiting > 0) { /* people are all that is left to wait for */
		if (!coord_is_late(c) && coord_can_ask(c))
			return false;
		if (!c->pausing)
			coord_hold(c);
		return c->pausing;
	}
	switch (c->phase) {
	case PHASE_SETTLE:
		c->phase = PHASE_MAIN;
		while (c->held.n > 0) {
			struct heap_item item = heap_pop(&c->held);

			heap_push(&c->ready, item.key, item.step);
		}
		return false;
	case PHASE_MAIN:
		if (c->roll_back)
			return !begin_rollback(c);
		for (uint32_t i = 0; i < c->plan->nmain; i++)
			if (!c->live[i].selected && !is_terminal(&c->live[i]))
				return true; /* steps were left out: nothing closes */
		begin_finally(c);
		return false;
	case PHASE_ROLLBACK:
		if (coord_roll_on(c))
			return false;
		if (c->o->rollback_to != NULL) {
			coord_record(c, &(struct record){ .type = REC_ROLLBACK, .step = c->o->rollback_to, .status = "done" },
				     true);
			return true;
		}
		begin_finally(c);
		return false;
	case PHASE_FINALLY:
		break;
	}
	return true;
}

static void
cancel_all(struct coord *c, int level)
{
	const uint64_t one = 1;

	cancel_raise(&c->shared.cancel, level); /* before the lanes': step_lanes counts on it */
	for (struct attempt *at = c->attempts; at != NULL; at = at->next)
		cancel_raise(&at->lanes_cancel, level);
	(void)!write(c->shared.cancel_fd, &one, sizeof(one));
}

void
coord_signals(struct coord *c)
{
	struct signalfd_siginfo si;
	struct err err = ERR_INIT;

	while (read(c->sigfd, &si, sizeof(si)) == (ssize_t)sizeof(si)) {
		if (si.ssi_signo == SIGUSR1) {
			report_status(c->o->report);
		} else if (si.ssi_signo == SIGWINCH) {
			report_resized(c->o->report);
		} else if (c->signals++ == 0) {
			c->signo = si.ssi_signo == SIGINT ? SIGINT : SIGTERM;
			err_set(&err, ERR_CANCELLED, "stopped by %s", c->signo == SIGINT ? "SIGINT" : "SIGTERM");
			coord_pause(c, NULL, &err);
			atomic_store(&c->shared.stop, 1);
			c->drain_until = clock_now() + DRAIN;
		} else {
			cancel_all(c, 2);
		}
	}
}

static int64_t
next_wake(const struct coord *c, int64_t now)
{
	int64_t at = c->flush_at;

	if (c->tick_at < at)
		at = c->tick_at;
	if (c->timers.n > 0 && !c->pausing && c->timers.list[0].key < at)
		at = c->timers.list[0].key;
	if (c->drain_until < at)
		at = c->drain_until;
	if (c->inbox_at < at)
		at = c->inbox_at;
	if (c->running > 0 && now + LOOK < at) /* letters that need no answer do not wake */
		at = now + LOOK;
	return at;
}

static void
wait_for_something(struct coord *c)
{
	struct pollfd fds[] = { { .fd = c->shared.mailbox.fd, .events = POLLIN }, { .fd = c->sigfd, .events = POLLIN },
				{ .fd = c->asked != NULL ? STDIN_FILENO : -1, .events = POLLIN } };
	const int64_t now = clock_now(), at = next_wake(c, now);
	const int64_t left = at == NEVER ? -1 : at <= now ? 0 : (at - now + NS_PER_MS - 1) / NS_PER_MS;

	if (poll(fds, countof(fds), left > 60000 ? 60000 : (int)left) <= 0)
		return;
	if (fds[1].revents & POLLIN)
		coord_signals(c);
	if (fds[2].revents != 0)
		coord_hear(c);
}

static void
run_timers(struct coord *c)
{
	const int64_t now = clock_now();

	while (c->timers.n > 0 && c->timers.list[0].key <= now && !c->pausing) {
		const uint32_t i = heap_pop(&c->timers).step;

		heap_push(&c->ready, i, i);
	}
	coord_park_timers(c, now);
	coord_look_inbox(c, now);
	if (c->drain_until <= now) {
		cancel_all(c, 1);
		c->drain_until = NEVER;
	}
	if (c->flush_at <= now)
		c->commit = true;
	if (c->tick_at <= now) {
		const int64_t tick = report_tick(c->o->report, now);

		c->tick_at = tick == NEVER ? NEVER : now + tick;
	}
}

static void
loop(struct coord *c)
{
	while (!next_phase(c)) {
		coord_start_ready(c);
		coord_letters(c);
		if (c->commit || c->ngates > 0 || c->nended > 0)
			coord_commit(c);
		coord_clear_inbox(c);
		coord_prompt(c);
		coord_print_ready(c, false);
		run_timers(c);
		if (!c->commit && c->nended == 0 && (c->ready.n == 0 || c->running >= c->o->jobs || !coord_may_start(c)) &&
		    (c->running > 0 || (coord_may_start(c) && (c->timers.n > 0 || (c->waiting > 0 && coord_can_ask(c))))))
			wait_for_something(c);
		else if (c->signo == 0)
			coord_signals(c); /* a long chain of pure steps never waits */
	}
}

static int
pause_run(struct coord *c, struct err *err)
{
	int code = c->failed && !c->pausing ? 1 : c->signo == SIGINT ? 130 : c->signo != 0 ? 143 : err_exit_code(c->reason.kind);
	const bool back = c->o->rollback && (c->pausing || c->broken);
	char *next = c->reason.next[0] != '\0' ? xstrdup(c->reason.next)
						: xasprintf("wherry %s %s", back ? "rollback" : "resume", c->shared.run);
	char *msg = c->reason_step != NULL ? xasprintf("step '%s': %s", c->reason_step, c->reason.msg) : xstrdup(c->reason.msg);

	coord_record(c, &(struct record){ .type = REC_PAUSE, .kind = err_kind_name(c->reason.kind), .msg = msg, .next = next,
		.code = (uint32_t)code, .step = c->reason_step }, true);
	coord_commit(c);
	if (c->broken)
		code = err_exit_code(ERR_LOCAL);
	else if (c->o->journal != NULL && journal_seal(c->o->journal, err) < 0)
		code = err_exit_code(err->kind);
	report_run(c, (struct event){ .kind = EVENT_PAUSE, .code = code, .err_kind = err_kind_name(c->reason.kind), .msg = msg,
		.next = next });
	free(next);
	free(msg);
	return code;
}

/* The plan's outputs belong to the close of a run that is done. One that cannot be had is told, and no reason to fail: all
 * the work is. */
static void
record_close(struct coord *c, const char *status, struct value *ret_outputs)
{
	struct record r = { .type = REC_CLOSE, .status = status, .msg = c->failed ? c->reason.msg : NULL };
	struct buf lost = BUF_INIT(0);

	if (!c->failed && !c->o->abort && !c->o->rollback && c->o->mode == MODE_RUN && c->plan->outputs.len > 0) {
		roots_outputs(c, ret_outputs, &lost);
		r.value = ret_outputs;
	}
	if (lost.len > 0)
		r.msg = lost.p;
	coord_record(c, &r, true);
	coord_commit(c);
	if (lost.len > 0 && !c->broken)
		report_run(c, (struct event){ .kind = EVENT_NOTE, .msg = lost.p });
	buf_done(&lost);
}

static int
close_run(struct coord *c, struct err *err)
{
	const char *status = coord_closes_as(c);
	struct value outputs = VALUE_NULL;
	char *next = NULL;
	int code = c->failed ? 1 : 0;

	record_close(c, status, &outputs);
	if (c->broken) /* the close is not on disk: the run is still open */
		return pause_run(c, err);
	if (c->failed && !c->o->abort && !c->o->rollback)
		next = xasprintf("wherry resume %s", c->shared.run);
	if (c->o->journal != NULL && journal_seal(c->o->journal, err) < 0) {
		code = err_exit_code(err->kind);
		status = err->msg;
		if (next == NULL)
			next = xasprintf("wherry status %s", c->shared.run);
	}
	report_run(c, (struct event){ .kind = EVENT_CLOSE, .code = code, .msg = status, .next = next,
		.err_kind = c->failed ? err_kind_name(c->reason.kind) : NULL, .outputs = &outputs });
	free(next);
	return code;
}

/* Selected steps are done, others were left out: the run stays open, and that is no trouble. */
static int
rest_run(struct coord *c, struct err *err)
{
	if (c->phase == PHASE_ROLLBACK)
		err_set(&c->reason, ERR_NONE, "rolled back to before step '%s'", c->o->rollback_to);
	else if (!c->failed)
		err_set(&c->reason, ERR_NONE, "the selected steps are done; others were left out");
	(void)pause_run(c, err);
	return c->broken ? err_exit_code(ERR_LOCAL) : c->failed ? 1 : 0;
}

static int
finish_run(struct coord *c, struct err *err)
{
	if (c->pausing || c->broken)
		return pause_run(c, err);
	return c->phase == PHASE_FINALLY ? close_run(c, err) : rest_run(c, err);
}

static int
open_signals(struct coord *c, struct err *err)
{
	const int wanted[] = { SIGINT, SIGTERM, SIGHUP, SIGUSR1, SIGWINCH };
	sigset_t set;

	sigemptyset(&set);
	for (size_t i = 0; i < countof(wanted); i++)
		sigaddset(&set, wanted[i]);
	c->sigfd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	c->shared.cancel_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (c->sigfd < 0 || c->shared.cancel_fd < 0)
		return err_errno(err, "descriptors for signals");
	return 0;
}

static void
coord_done(struct coord *c)
{
	pool_free(c->pool);
	for (uint32_t i = 0; i < c->plan->nsteps; i++)
		if (c->live[i].task != NULL) {
			memory_done(&c->live[i].task->memory);
			free(c->live[i].task);
		}
	coord_roll_done(c);
	roots_done(c);
	graph_done(&c->graph);
	overlay_done(&c->overlay);
	heap_done(&c->ready);
	heap_done(&c->timers);
	heap_done(&c->held);
	mailbox_done(&c->shared.mailbox);
	if (c->sigfd >= 0)
		(void)close(c->sigfd);
	if (c->shared.cancel_fd >= 0)
		(void)close(c->shared.cancel_fd);
	arena_done(&c->keep);
	arena_done(&c->eval);
	free(c->live);
	free(c->gates);
	free(c->ended);
	free(c->taken);
	free(c->events);
	free(c->events_last);
}

static void
coord_init(struct coord *c, const struct run_options *o)
{
	*c = (struct coord){ .o = o, .plan = o->plan, .flush_at = NEVER, .drain_until = NEVER, .sigfd = -1,
		.inbox_at = o->journal != NULL ? 0 : NEVER };
	c->shared = (struct shared){ .mode = o->mode, .registry = o->registry, .run = o->run, .epoch = 1, .cancel_fd = -1 };
	mailbox_init(&c->shared.mailbox);
	if (o->journal != NULL) {
		c->shared.dir = journal_dir(o->journal);
		c->shared.key = journal_key(o->journal);
	}
	if (o->history != NULL)
		c->shared.epoch = o->history->epoch;
	c->rng = o->seed;
	if (o->seed == 0)
		random_bytes(&c->rng, sizeof(c->rng));
	graph_init(&c->graph, o->plan);
	c->live = xcalloc(o->plan->nsteps, sizeof(*c->live));
	if (o->mode == MODE_PLAN) {
		c->events = xcalloc(o->plan->nsteps, sizeof(struct held_event *));
		c->events_last = xcalloc(o->plan->nsteps, sizeof(struct held_event **));
	}
	roots_init(c);
}

int
run_execute(const struct run_options *o, struct run_result *ret, struct err *err)
{
	struct coord c;
	int rc = -1;

	coord_init(&c, o);
	if (open_signals(&c, err) < 0)
		goto out;
	if (o->history != NULL)
		coord_restore(&c);
	report_open(&c);
	if (select_steps(&c, err) < 0)
		goto out;
	count_needs(&c);
	c.phase = c.unsettled > 0 ? PHASE_SETTLE : PHASE_MAIN;
	if (o->torn)
		doubt_torn(&c);
	coord_record_reopen(&c);
	coord_record_approved(&c);
	if (o->abort)
		c.stopping = true;
	if (o->rollback)
		(void)begin_rollback(&c);
	else if (!o->abort && o->history != NULL)
		coord_recheck(&c);
	loop(&c);
	coord_drop_parked(&c);
	coord_print_ready(&c, true);
	ret->code = finish_run(&c, err);
	report_finish(o->report);
	ret->changes = c.changes;
	rc = 0;
out:
	coord_done(&c);
	return rc;
}

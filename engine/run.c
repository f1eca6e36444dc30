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
#define ENDS_WAIT NS_PER_MS /* how long a step's end may wait for company while no worker is free for what is behind it */
#define LOOK (200 * NS_PER_MS) /* how long an effect's end may wait to be recorded while its step goes on */

struct event
coord_event(const struct coord *c, enum event_kind kind, uint32_t step)
{
	return (struct event){ .kind = kind, .run = c->shared.run, .plan = c->plan->name, .step = path_of(c, step),
		.type = scope_roll(scope_of(c, step)) != NULL ? "undo" : step_of(c, step)->type->name, .index = step, .steps = c->nlive,
		.opens = live_kind(c, step) != LIVE_STEP, .wall = clock_wall_ms() };
}

/* done: the steps that earlier processes of this run have finished. */
static void
report_open(struct coord *c)
{
	struct event e = { .kind = EVENT_OPEN };

	e.msg = c->o->mode == MODE_PLAN ? "plan" : c->o->abort ? "abort" : c->o->rollback ? "rollback" : c->o->history != NULL ? "resume" : "run";
	for (uint32_t i = 0; i < c->nlive; i++)
		e.done += c->live[i].status == STEP_DONE || c->live[i].status == STEP_UNCHANGED ||
			  c->live[i].status == STEP_SKIPPED;
	coord_report(c, e);
}

static int
select_steps(struct coord *c, struct err *err)
{
	const bool all = c->o->rollback || graph_selects_all(&c->o->selection);
	bool *selected, *over;
	int ret;

	for (uint32_t i = 0; all && i < c->plan->nsteps; i++)
		c->live[i].selected = true;
	if (all)
		return 0;
	selected = xcalloc(c->plan->nsteps, sizeof(*selected));
	over = xcalloc(c->plan->nsteps, sizeof(*over));
	ret = graph_select(c->plan, &c->o->selection, selected, err);
	for (uint32_t i = 0; ret == 0 && i < c->plan->nsteps; i++) {
		c->live[i].selected = selected[i];
		over[i] = live_is_over(&c->live[i]);
	}
	if (ret == 0)
		ret = graph_selected_whole(c->plan, selected, over, err);
	free(selected);
	free(over);
	return ret;
}

bool
coord_may_start(const struct coord *c)
{
	return !c->pausing && !c->broken;
}

/* What is in doubt is settled even when a failure has stopped the rest: a run does not close over it unasked. And what had
 * begun to run a plan ends that: its `finally` runs, nothing else. */
bool
coord_may_go(const struct coord *c, uint32_t step)
{
	return c->live[step].open || scope_may_start(scope_of(c, step)) || (c->settling && !c->o->abort);
}

/* What was in doubt has settled: all else may follow. */
static void
end_settling(struct coord *c)
{
	c->settling = false;
	while (c->held.n > 0) {
		struct heap_item item = heap_pop(&c->held);

		heap_push(&c->ready, item.key, item.step);
	}
}

/* Is nothing left to do, or (where it pauses) nothing under way? */
static bool
is_over(struct coord *c)
{
	scopes_advance(c);
	if (c->running > 0 || c->nended > 0 || c->commit)
		return false;
	if (c->pausing || c->broken)
		return true;
	if (c->ready.n > 0 || coord_next_timer(c) != NEVER)
		return false;
	if (c->waiting > 0) { /* people are all that is left to wait for */
		if (!coord_is_late(c) && coord_can_ask(c))
			return false;
		if (!c->pausing)
			coord_hold(c);
		return c->pausing;
	}
	if (!c->settling)
		return c->resting || c->scopes[0]->phase == PHASE_CLOSED;
	end_settling(c);
	return false;
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

/* Somebody who has pressed ^C must see that it was heard. */
static void
tell_stopping(struct coord *c)
{
	const unsigned n = c->running;
	struct buf b = BUF_INIT(0);

	if (n == 0)
		return;
	buf_printf(&b, "stopping: %u step%s may end first, for 30s at most; a second signal stops at once", n,
		   n == 1 ? "" : "s");
	coord_report(c, (struct event){ .kind = EVENT_NOTE, .msg = b.p });
	buf_done(&b);
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
			err_set(&err, ERR_CANCELLED, "stopped by SIG%s", sigabbrev_np((int)si.ssi_signo));
			coord_pause(c, NULL, &err);
			atomic_store(&c->shared.stop, 1);
			c->drain_until = clock_now() + DRAIN;
			tell_stopping(c);
		} else {
			cancel_all(c, 2);
		}
	}
}

static int64_t
next_wake(struct coord *c, int64_t now)
{
	int64_t at = c->flush_at;

	if (c->tick_at < at)
		at = c->tick_at;
	if (!c->pausing && coord_next_timer(c) < at)
		at = coord_next_timer(c);
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

	while (!c->pausing && coord_next_timer(c) <= now) {
		const uint32_t i = heap_pop(&c->timers).step;

		c->live[i].task->timer = 0;
		heap_push(&c->ready, live_key(c, i), i);
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

/* With every worker busy nobody can use an end yet: it shares the sync of the next intent, if that comes soon. */
static bool
ends_can_wait(struct coord *c)
{
	const int64_t latest = clock_now() + ENDS_WAIT;

	if (c->running < c->o->jobs || c->o->journal == NULL || c->broken)
		return false;
	c->flush_at = c->flush_at < latest ? c->flush_at : latest;
	return true;
}

static void
loop(struct coord *c)
{
	while (!is_over(c)) {
		coord_start_ready(c);
		coord_letters(c);
		if (c->nended > 0) /* a worker is free: it may begin while that is synced */
			coord_start_ready(c);
		if (c->commit || c->ngates > 0 || (c->nended > 0 && !ends_can_wait(c)))
			coord_commit(c);
		coord_clear_inbox(c);
		coord_prompt(c);
		coord_print_ready(c, false);
		run_timers(c);
		if (!c->commit && (c->nended == 0 || c->running >= c->o->jobs) && (c->ready.n == 0 || c->running >= c->o->jobs || !coord_may_start(c)) &&
		    (c->running > 0 || (coord_may_start(c) && (coord_next_timer(c) != NEVER || (c->waiting > 0 && coord_can_ask(c))))))
			wait_for_something(c);
		else if (c->signo == 0)
			coord_signals(c); /* a long chain of pure steps never waits */
	}
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
	scopes_done(c);
	roots_done(c);
	overlay_done(&c->overlay);
	history_done(&c->past);
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
	free(c->gates);
	free(c->ended);
	free(c->taken);
}

/* What tells runs of one name apart. A forgotten run has no key any more, and does nothing that needs a mark. */
static void
mark_run(struct shared *s)
{
	char digest[SHA256_HEX];

	if (s->key.len == 0)
		return;
	hmac_sha256_hex(s->key, "run", 3, digest);
	memcpy(s->mark, digest, sizeof(s->mark) - 1);
}

static void
coord_init(struct coord *c, const struct run_options *o)
{
	*c = (struct coord){ .o = o, .plan = o->plan, .flush_at = NEVER, .drain_until = NEVER, .sigfd = -1,
		.inbox_at = o->journal != NULL ? 0 : NEVER };
	c->shared = (struct shared){ .mode = o->mode, .registry = o->registry, .plan = o->plan, .run = o->run, .user = o->user, .host = o->host,
		.again = o->again, .tells_files = o->tells_files, .rollback = o->rollback, .epoch = 1, .cancel_fd = -1 };
	mailbox_init(&c->shared.mailbox);
	history_init(&c->past);
	if (o->journal != NULL) {
		c->shared.dir = journal_dir(o->journal);
		c->shared.key = journal_key(o->journal);
		mark_run(&c->shared);
	}
	if (o->history != NULL) {
		c->shared.epoch = o->history->epoch;
		c->holds = o->history->holds;
	}
	c->rng = o->seed;
	if (o->seed == 0)
		random_bytes(&c->rng, sizeof(c->rng));
	roots_init(c);
	scope_add(c, o->plan, NULL, NO_LIVE)->params = o->params;
	scope_open_targets(c, c->scopes[0]);
}

int
run_execute(const struct run_options *o, struct run_result *ret, struct err *err)
{
	struct scope *root;
	struct coord c;
	int rc = -1;

	coord_init(&c, o);
	root = c.scopes[0];
	if (open_signals(&c, err) < 0)
		goto out;
	if (o->history != NULL)
		coord_restore(&c, root);
	report_open(&c);
	if (select_steps(&c, err) < 0)
		goto out;
	scope_count(&c, root);
	if (o->torn)
		coord_doubt_torn(&c, root);
	coord_record_reopen(&c);
	coord_record_approved(&c);
	if (o->abort)
		scope_stop(&c, root);
	if (o->rollback)
		scope_take_back(&c, root);
	else
		scope_begin(&c, root);
	if (!o->rollback && !o->abort && o->history != NULL)
		coord_recheck(&c);
	loop(&c);
	while (c.parked != NULL)
		coord_drop_parked(&c, c.parked);
	coord_print_ready(&c, true);
	ret->code = coord_close(&c, err);
	report_finish(o->report);
	ret->changes = c.changes;
	rc = 0;
out:
	coord_done(&c);
	return rc;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* wherry forget: take away what a run keeps that may hold secrets; what happened can still be read. */
#include "cmd.h"

#include <unistd.h>

#include "base/clock.h"
#include "base/text.h"

int
front_ask_removal(struct front *f, const char *question, struct err *err)
{
	if (f->opt.yes)
		return 0;
	if (!front_can_ask())
		return err_set(err, ERR_USAGE, "there is no terminal to ask, and no --yes; nothing was removed");
	return front_ask_yes(question) ? 0 : err_set(err, ERR_USAGE, "not confirmed; nothing was removed");
}

bool
run_is_over(const struct front *f, const struct history *h)
{
	return h->status == RUN_DONE || h->status == RUN_ABORTED || h->status == RUN_ROLLED_BACK || f->opt.give_up;
}

static int
check(const struct front *f, const char *run, const struct opened *o, struct err *err)
{
	if (run_is_over(f, &o->history))
		return 0;
	err_set(err, ERR_USAGE, "run '%s' (%s) can be resumed, and would need what is forgotten", run,
		run_shown_status(&o->history, false));
	if (run_is_closed(&o->history))
		return err_next(err, "wherry forget %s --give-up", run);
	return err_next(err, "to end it first: wherry abort %s\nto give it up as it is: wherry forget %s --give-up", run, run);
}

static int
forget(struct front *f, const char *dir, const char *run, struct err *err)
{
	const char *by, *question;
	char when[32], size[32];
	uint64_t bytes;

	if (journal_weigh(dir, run, false, &bytes, err) < 0)
		return -1;
	question = arena_printf(&f->arena, "forget %s of former values, secrets' digests and files of run %s? "
				"It can then neither be resumed nor rolled back [y/N] ", size_text(bytes, size), run);
	if (front_ask_removal(f, question, err) < 0)
		return -1;
	by = arena_printf(&f->arena, "%s %s@%s", clock_text(clock_wall_ms(), when), front_user(f), front_host(f));
	if (journal_forget(dir, run, by, err) < 0)
		return -1;
	front_say("run %s: %s forgotten; what happened can still be read", run, size);
	return 0;
}

int
cmd_forget(struct front *f, struct err *err)
{
	const char *dir = front_state(f, err), *run = dir != NULL ? front_run(f, 0, err) : NULL;
	struct opened o = { 0 };
	int lock = -1, ret = -1;

	if (run == NULL || journal_hold(dir, run, &lock, err) < 0)
		return -1;
	if (opened_read(f, run, &o, err) == 0 && check(f, run, &o, err) == 0)
		ret = forget(f, dir, run, err);
	opened_done(&o);
	(void)close(lock);
	return ret;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* wherry resolve: an operator's word on a step in doubt, kept in the journal with name, host and reason. */
#include "cmd.h"

#include <string.h>

#include "base/clock.h"

static int
check_options(const struct front *f, struct err *err)
{
	if (f->opt.done == f->opt.not_done)
		err_set(err, ERR_USAGE, "say either --done or --not-done");
	else if (f->opt.reason == NULL || f->opt.reason[0] == '\0')
		err_set(err, ERR_USAGE, "say how you know: --reason TEXT");
	else
		return 0;
	return err_next(err, "wherry help resolve");
}

/* The step's path when it is in doubt; else NULL with err, naming those that are. */
static int
check_step(const struct opened *o, const char *step, struct err *err)
{
	const struct hist_step *s = history_step(&o->history, step);
	struct buf others = BUF_INIT(300);

	if (s != NULL && step_is_in_doubt(s))
		return 0;
	for (uint32_t i = 0; i < o->history.nsteps; i++)
		if (step_is_in_doubt(&o->history.steps[i]))
			buf_printf(&others, "%s%s", others.len > 0 ? ", " : "", o->history.steps[i].path);
	err_set(err, ERR_USAGE, "step '%s' of run %s is not in doubt%s%s", step, o->run,
		others.len > 0 ? "; in doubt: " : "; no step of it is", others.len > 0 ? others.p : "");
	buf_done(&others);
	return err_next(err, "wherry status %s", o->run);
}

static int
record_resolve(struct front *f, const struct opened *o, struct err *err)
{
	const struct record r = {
		.type = REC_RESOLVE,
		.wall = clock_wall_ms(),
		.step = f->args[1],
		.status = f->opt.done ? "done" : "not-done",
		.user = front_user(f),
		.host = front_host(f),
		.msg = f->opt.reason,
	};

	return journal_add(o->journal, &r, err) < 0 ? -1 : journal_seal(o->journal, err);
}

int
cmd_resolve(struct front *f, struct err *err)
{
	const char *run = front_run(f, 0, err);
	struct opened o = { 0 };
	struct err next = ERR_INIT;
	int ret = -1;

	if (run == NULL || check_options(f, err) < 0)
		return -1;
	if (opened_lock(f, run, &o, err) == 0 && check_step(&o, f->args[1], err) == 0 &&
	    record_resolve(f, &o, err) == 0) {
		front_say("step '%s' of run %s is resolved as %s", f->args[1], run,
			  f->opt.done ? "done" : "not done");
		err_next(&next, "wherry resume %s", run);
		front_error(f, &next);
		ret = 0;
	}
	opened_done(&o);
	return ret;
}

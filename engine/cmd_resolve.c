/* SPDX-License-Identifier: Apache-2.0 */
/* wherry resolve: an operator's word on a step in doubt, or on what a failed one may have done, kept in the journal with name,
 * host and reason; beside a live run too, which is then draining. */
#include "cmd.h"

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

/* Beside a live run a step that is under way is not in doubt, whatever it has begun. */
static bool
is_said_in_doubt(const struct hist_step *s)
{
	return s->status == STEP_IN_DOUBT;
}

/* word_check_fn */
static int
check_in_doubt(struct front *f, const struct opened *o, const struct record *r, struct err *err)
{
	bool (*match)(const struct hist_step *) = o->journal != NULL ? step_is_in_doubt : is_said_in_doubt;
	const struct hist_step *s = history_step(&o->history, r->step);

	if (s != NULL && (match(s) || (o->journal != NULL && history_failed_open(s))))
		return 0;
	err_set(err, ERR_USAGE, "step '%s' of run %s is not in doubt%s", r->step, o->run,
		front_steps_that(f, o, match, "; in doubt: ", "; no step of it is"));
	return err_next(err, "wherry status %s", o->run);
}

int
cmd_resolve(struct front *f, struct err *err)
{
	const char *run = front_run(f, 0, err);
	struct record r = { .type = REC_RESOLVE, .step = f->args[1], .status = f->opt.done ? "done" : "not-done",
		.msg = f->opt.reason };
	struct err next = ERR_INIT;
	bool live;

	if (run == NULL || check_options(f, err) < 0 || front_give_word(f, run, &r, check_in_doubt, &live, err) < 0)
		return -1;
	front_say("step '%s' of run %s is resolved as %s", r.step, run, f->opt.done ? "done" : "not done");
	if (live)
		err_next(&next, "wherry status %s --follow", run);
	else if (is_undo_path(r.step)) /* status tells whether a rollback or a resume is to go on */
		err_next(&next, "wherry status %s", run);
	else if (f->opt.done)
		err_next(&next, "wherry resume %s", run);
	else
		err_next(&next, "to go on: wherry resume %s\nto take back what it did: wherry rollback %s", run, run);
	front_error(f, &next);
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* wherry approve: a person's answer to a gate, or to a step from which there is no way back. */
#include "cmd.h"

#include <string.h>

/* Is the answer one of those that the gate names? */
static int
check_choice(const struct hist_gate *g, const char *choice, struct err *err)
{
	if (choice == NULL || (g->answers != NULL && history_is_answer(g->answers, choice)))
		return 0;
	return err_set(err, ERR_USAGE, "'%.60s' is not one of the answers %s", choice,
		       g->answers != NULL ? g->answers : "");
}

/* word_check_fn */
static int
check_waits(struct front *f, const struct opened *o, const struct record *r, struct err *err)
{
	const struct hist_step *s = history_step(&o->history, r->step);
	struct buf word = BUF_INIT(400);

	if (run_is_closed(&o->history))
		return err_set(err, ERR_USAGE, "run %s is closed (%s): nothing waits any more", o->run,
			       run_status_name(o->history.status));
	if (s != NULL && history_waits(s))
		return check_choice(s->gate, r->says, err);
	if (s != NULL && s->gate != NULL && s->gate->word != NULL) {
		history_word(&word, s->gate);
		err_set(err, ERR_USAGE, "step '%s' of run %s does not wait any more: it was %s", r->step, o->run, word.p);
		buf_done(&word);
	} else {
		err_set(err, ERR_USAGE, "step '%s' of run %s does not wait for an answer%s", r->step, o->run,
			front_steps_that(f, o, history_waits, "; waiting: ", "; no step of it does"));
	}
	return err_next(err, "wherry status %s", o->run);
}

int
cmd_approve(struct front *f, struct err *err)
{
	const char *run = front_run(f, 0, err);
	const bool no = f->opt.reject || (f->opt.choice != NULL && strcmp(f->opt.choice, "no") == 0);
	struct record r = { .type = REC_APPROVE, .step = f->args[1], .status = no ? "rejected" : "approved",
		.says = f->opt.choice, .msg = f->opt.reason };
	struct err next = ERR_INIT;
	bool live;

	if (run == NULL)
		return -1;
	if (f->opt.reject && f->opt.choice != NULL) {
		err_set(err, ERR_USAGE, "say either --reject or --choice");
		return err_next(err, "wherry help approve");
	}
	if (front_give_word(f, run, &r, check_waits, &live, err) < 0)
		return -1;
	front_say("step '%s' of run %s is %s", r.step, run, r.status);
	err_next(&next, live ? "wherry status %s --follow" : "wherry resume %s", run);
	front_error(f, &next);
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* wherry resume and wherry abort, and what rollback shares with them: take a run over, say in its journal who goes on,
 * execute from the stored plan. */
#include "cmd.h"

#include <string.h>
#include <unistd.h>

#include "base/clock.h"

/* The journal's word that another process goes on: staged, so that the coordinator's first batch holds it together
 * with what a torn tail puts in doubt. */
static int
record_resume(struct front *f, struct opened *o, const struct run_options *options, struct err *err)
{
	const struct value setup = front_setup(f, options, NULL, 0);
	const struct record r = {
		.type = REC_RESUME,
		.wall = clock_wall_ms(),
		.epoch = ++o->history.epoch,
		.user = front_user(f),
		.host = front_host(f),
		.build = WHERRY_VERSION,
		.value = &setup,
	};

	return journal_add(o->journal, &r, err);
}

/* Relative paths in steps mean the same files as when the run began. */
static int
go_back(const struct opened *o, struct err *err)
{
	const char *cwd = value_get_str(&o->setup, "cwd", NULL);

	if (cwd == NULL || chdir(cwd) == 0)
		return 0;
	err_errno(err, "the folder '%s' in which the run began", cwd);
	return err_next(err, "when it is there again: wherry resume %s", o->run);
}

/* edited: the plan is another one than before; or NULL. */
static int
go_on(struct front *f, struct opened *o, struct plan *plan, struct edited *edited, struct run_options *options, struct err *err)
{
	struct value stored = VALUE_NULL, params;
	const char *text = o->history.params;
	const struct report_options shown = front_report(f);
	struct run_result result = { 0 };
	int code = -1;

	options->plan = plan;
	options->journal = o->journal;
	options->history = &o->history;
	options->seed = o->seed;
	options->run = o->run;
	options->torn = o->info.torn;
	if (text != NULL && value_parse(&f->arena, text, strlen(text), &stored, err) < 0)
		return -1;
	if (front_params(f, plan, &stored, &params, err) < 0)
		return -1;
	options->params = &params;
	if ((edited != NULL && front_edit(f, o, edited, plan, &stored, &params, err) < 0) || front_choose(f, o, options, err) < 0)
		goto out;
	front_block_signals();
	if (go_back(o, err) < 0 || (o->journal != NULL && record_resume(f, o, options, err) < 0) ||
	    (edited != NULL && front_edit_record(f, o, edited, options, err) < 0))
		goto out;
	code = front_execute(options, &shown, &result, err);
out:
	value_wipe(&params);
	return code;
}

int
front_go_on(struct front *f, struct opened *o, struct plan *plan, struct run_options *options, struct err *err)
{
	return go_on(f, o, plan, NULL, options, err);
}

/* With the plan that --plan names, if its text is another one. */
static int
go_on_edited(struct front *f, struct opened *o, struct plan *was, struct run_options *options, struct err *err)
{
	struct edited edited = { .was = was };
	struct plan *now = front_plan(f, f->opt.plan, err);
	struct buf closure = BUF_INIT(0);
	int code = -1;

	if (now == NULL)
		return -1;
	edited.closure = front_closure(f, now, &edited.files);
	value_write(&closure, &edited.closure);
	if (strcmp(closure.p, o->history.closure) != 0)
		code = go_on(f, o, now, &edited, options, err);
	else
		code = go_on(f, o, was, NULL, options, err);
	buf_done(&closure);
	front_edit_done(&edited);
	plan_free(now);
	return code;
}

/* 1: it is closed, nothing is to be done (said); 0: go on; -1: refused. */
static int
check_closed(const struct opened *o, bool abort_it, bool edited, struct err *err)
{
	const struct history *h = &o->history;

	if (abort_it ? run_is_closed(h) : h->status == RUN_DONE) {
		if (edited)
			return err_set(err, ERR_USAGE, "run %s is closed (%s): an edited plan comes too late", o->run,
				       run_status_name(h->status));
		front_say("run %s is closed (%s); there is nothing to %s", o->run, run_status_name(h->status),
			  abort_it ? "abort" : "do");
		return 1;
	}
	if (h->rolling && !abort_it) {
		err_set(err, ERR_USAGE, "run %s is in the middle of a rollback", o->run);
		return err_next(err, "wherry rollback %s", o->run);
	}
	if (h->status == RUN_ABORTED || h->status == RUN_ROLLED_BACK) {
		err_set(err, ERR_USAGE, "run %s was %s and cannot go on", o->run,
			h->status == RUN_ABORTED ? "aborted" : "rolled back");
		return err_next(err, "wherry report %s", o->run);
	}
	return 0;
}

static int
take_over(struct front *f, bool abort_it, struct err *err)
{
	const char *run = front_run(f, 0, err);
	struct run_options options = { .mode = MODE_RUN, .abort = abort_it };
	struct opened o = { 0 };
	struct plan *plan = NULL;
	int closed, code = -1;

	if (run == NULL)
		return -1;
	if (f->opt.plan == NULL && (f->opt.accept_plan_change || f->opt.redo.n + f->opt.kept.n > 0))
		return err_set(err, ERR_USAGE, "--accept-plan-change, --redo and --keep are about another plan: give --plan FILE");
	o.ahead = ahead_begin(front_state(f, err), run);
	if (opened_lock(f, run, &o, err) < 0)
		goto out;
	closed = check_closed(&o, abort_it, f->opt.plan != NULL, err);
	if (closed != 0) {
		code = closed > 0 ? 0 : -1;
		goto out;
	}
	if (o.info.quarantine != NULL)
		front_say("the last batch of %s was torn; its bytes are kept in %s", run, o.info.quarantine);
	plan = opened_plan(f, &o, err);
	if (plan != NULL && f->opt.plan != NULL)
		code = go_on_edited(f, &o, plan, &options, err);
	else if (plan != NULL)
		code = front_go_on(f, &o, plan, &options, err);
	plan_free(plan);
out:
	opened_done(&o);
	return code;
}

int
cmd_resume(struct front *f, struct err *err)
{
	return take_over(f, false, err);
}

int
cmd_abort(struct front *f, struct err *err)
{
	return take_over(f, true, err);
}

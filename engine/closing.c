/* SPDX-License-Identifier: Apache-2.0 */
/* How a run stops: its pause or its close is on record, the journal is sealed, and people are told. A close is final. */
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "coord.h"

/* A dry-run leaves nothing that could go on: what is next is told at its end only. */
void
coord_report(struct coord *c, struct event e)
{
	e.run = c->shared.run;
	e.plan = c->plan->name;
	e.steps = c->nlive;
	e.wall = clock_wall_ms();
	if (c->o->mode == MODE_PLAN && e.kind != EVENT_CLOSE && e.kind != EVENT_PAUSE)
		e.next = NULL;
	report_event(c->o->report, &e);
}

/* After a dry-run that failed: another one, once what has to be seen to is seen to; to be freed. */
static char *
look_again(const struct coord *c, const struct err *why)
{
	const bool ours = why->next[0] == '\0' || strstr(why->next, "wherry ") != NULL; /* of a run that there is none of */

	if (c->shared.again == NULL)
		return NULL;
	return xasprintf("%s%s%s", ours ? why->kind == ERR_PLAN ? "with plan or parameters corrected" : "" : why->next,
			 !ours ? "; then: " : why->kind == ERR_PLAN ? ": " : "", c->shared.again);
}

/* What has to be seen to comes first, where it is no command of ours that goes on; to be freed. */
static char *
then(const struct coord *c, const struct err *why, const char *go_on)
{
	if (strstr(why->next, "wherry ") != NULL)
		return xstrdup(why->next);
	if (why->next[0] == '\0')
		return xasprintf("%swherry %s %s", c->reason.kind == ERR_LOCAL ? "see to the disk, then: " : "", go_on,
				 c->shared.run);
	return xasprintf("%s; then: wherry %s %s", why->next, go_on, c->shared.run);
}

/* Has it done anything that stands? */
static bool
left_something(const struct coord *c)
{
	for (uint32_t i = 0; i < c->plan->nmain; i++)
		if (c->live[i].maybe > 0 && c->live[i].status != STEP_UNDONE)
			return true;
	return false;
}

/* A plan that was wrong, and has changed nothing, is told from one whose step failed. */
static int
failed_code(const struct coord *c)
{
	return c->scopes[0]->reason->kind == ERR_PLAN && !c->o->abort && !c->o->rollback && c->changes == 0 && !left_something(c) ? 2 : 1;
}

static int
pause_run(struct coord *c, struct err *err)
{
	const struct scope *root = c->scopes[0];
	const bool failed = root->failed && !c->pausing;
	const struct err *why = failed ? root->reason : &c->reason;
	const char *step = failed ? root->reason_step : c->reason_step;
	int code = failed ? failed_code(c) : c->signo == SIGINT ? 130 : c->signo != 0 ? 143 : err_exit_code(why->kind);
	const bool back = c->o->rollback && (c->pausing || c->broken);
	char *next = c->o->mode == MODE_PLAN ? look_again(c, why) : then(c, why, back ? "rollback" : "resume");
	char *msg = step != NULL ? xasprintf("step '%s': %s", step, why->msg) : xstrdup(why->msg);

	coord_record(c, &(struct record){ .type = REC_PAUSE, .kind = err_kind_name(why->kind), .msg = msg, .next = next,
		.code = (uint32_t)code, .step = step }, true);
	coord_commit(c);
	if (c->broken)
		code = err_exit_code(ERR_LOCAL);
	else if (c->o->journal != NULL && journal_seal(c->o->journal, err) < 0)
		code = err_exit_code(err->kind);
	coord_report(c, (struct event){ .kind = EVENT_PAUSE, .code = code, .err_kind = err_kind_name(why->kind), .msg = msg,
		.next = next });
	free(next);
	free(msg);
	return code;
}

/* The plan's outputs belong to the close of a run that is done. One that cannot be had is told, and no reason to fail: all
 * the work is. */
static void
record_close(struct coord *c, const char *status, const char *why, const char *next, struct value *ret_outputs)
{
	const struct scope *root = c->scopes[0];
	struct record r = { .type = REC_CLOSE, .status = status, .msg = why, .next = next };
	struct buf lost = BUF_INIT(0);

	if (!root->failed && !c->o->abort && !c->o->rollback && c->o->mode == MODE_RUN && c->plan->outputs.len > 0) {
		roots_outputs(c, root, ret_outputs, &lost);
		r.value = ret_outputs;
	}
	if (lost.len > 0)
		r.msg = lost.p;
	coord_record(c, &r, true);
	coord_commit(c);
	if (lost.len > 0 && !c->broken)
		coord_report(c, (struct event){ .kind = EVENT_NOTE, .msg = lost.p });
	buf_done(&lost);
}

/* What to type after a failure, to be freed. A step without a way back may have gone its way; wrong parameters stay wrong in a
 * resume. */
static char *
after_failure(const struct coord *c)
{
	const struct err *why = c->scopes[0]->reason;
	const char *run = c->shared.run, *step = c->scopes[0]->reason_step;
	const uint32_t i = live_find(c, c->scopes[0], step);

	if (c->o->mode == MODE_PLAN)
		return look_again(c, why);
	if (i != NO_LIVE && step_of(c, i)->irreversible != NULL && c->live[i].maybe > 0)
		return xasprintf("to do step '%s' again, and go on: wherry resume %s\n"
				 "if it did not happen, and the rest is to be taken back: "
				 "wherry resolve %s %s --not-done --reason TEXT", step, run, run, step);
	if (why->kind != ERR_PLAN || c->shared.again == NULL)
		return then(c, why, "resume");
	return xasprintf("%s%s%s%s%s", why->next[0] != '\0' ? why->next : "with plan or parameters corrected: ",
			 why->next[0] != '\0' ? "" : c->shared.again, left_something(c) ? "\nto take back what it did: " : "",
			 left_something(c) ? "wherry rollback " : "", left_something(c) ? run : "");
}

static int
close_run(struct coord *c, struct err *err)
{
	const struct scope *root = c->scopes[0];
	const char *status = coord_closes_as(c, root);
	struct value outputs = VALUE_NULL;
	char *next = root->failed && !c->o->abort && !c->o->rollback ? after_failure(c) : NULL;
	char *why = root->failed ? xasprintf("step '%s': %s", root->reason_step, root->reason->msg) : NULL;
	int code = root->failed ? failed_code(c) : 0;

	record_close(c, status, why, next, &outputs);
	if (c->broken) { /* the close is not on disk: the run is still open */
		code = pause_run(c, err);
		goto out;
	}
	if (c->o->journal != NULL && journal_seal(c->o->journal, err) < 0) {
		code = err_exit_code(err->kind);
		status = err->msg;
		if (next == NULL)
			next = xasprintf("wherry status %s", c->shared.run);
	}
	coord_report(c, (struct event){ .kind = EVENT_CLOSE, .code = code, .msg = status, .says = why, .next = next,
		.err_kind = root->failed ? err_kind_name(root->reason->kind) : NULL, .outputs = &outputs });
out:
	free(next);
	free(why);
	return code;
}

/* Selected steps are done, others were left out: the run stays open, and that is no trouble. */
static int
rest_run(struct coord *c, struct err *err)
{
	const bool failed = c->scopes[0]->failed;

	if (c->scopes[0]->phase == PHASE_ROLLBACK)
		err_set(&c->reason, ERR_NONE, "rolled back to before step '%s'", c->o->rollback_to);
	else if (!failed)
		err_set(&c->reason, ERR_NONE, "the selected steps are done; others were left out");
	(void)pause_run(c, err);
	return c->broken ? err_exit_code(ERR_LOCAL) : failed ? failed_code(c) : 0;
}

int
coord_close(struct coord *c, struct err *err)
{
	if (c->pausing || c->broken)
		return pause_run(c, err);
	return c->resting ? rest_run(c, err) : close_run(c, err);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Guards: read-only steps that run once more right before the first effect of an attempt, as nested calls on its worker. So
 * they run again after a pause, a resume, a retry or an approval, too: each of these begins an attempt, or comes before
 * its first effect. */
#include "base/clock.h"
#include "door.h"

/* Its time-out is its own: a guard that waits must not use up the time of the step that it guards. */
static int
look_again(struct step_ctx *cx, const struct guard *g, struct err *err)
{
	const int64_t deadline = cx->op.deadline, own = clock_now() + g->limit;
	const struct value *ignored;
	int rc;

	if (own < deadline)
		cx->op.deadline = own;
	rc = step_call(cx, &g->call, &ignored, err);
	cx->op.deadline = deadline;
	if (rc < 0)
		err_wrap(err, "guard '%s'", g->path);
	return rc;
}

int
door_guards(struct step_ctx *cx, struct err *err)
{
	struct attempt *at = cx->at;

	for (uint32_t i = 0; i < at->nguards && !at->guarded; i++) {
		if (look_again(cx, &at->guards[i], err) == 0)
			continue;
		if (err->kind == ERR_PREDICTED && at->shared->mode == MODE_PLAN) {
			step_assume(cx, "%s", err->msg);
			*err = ERR_INIT;
			continue;
		}
		if (err->kind == ERR_FAILED || err->kind == ERR_TIMEOUT || err->kind == ERR_UNKNOWN ||
		    err->kind == ERR_IN_DOUBT) {
			err->kind = ERR_HELD;
			if (err->next[0] == '\0')
				err_next(err, "see to it, then: wherry resume %s", at->shared->run);
		}
		return -1;
	}
	at->guarded = true;
	return 0;
}

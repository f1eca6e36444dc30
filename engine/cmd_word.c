/* SPDX-License-Identifier: Apache-2.0 */
/* A person's word on a step. Two may say something at the same time, and beside the process that holds the run: who gets
 * the lock journals, the others leave a message in the inbox and look until it has been taken, or refused in words. */
#include "cmd.h"

#include <time.h>

#include "base/clock.h"

#define LOOK_EVERY (100 * NS_PER_MS)
#define PATIENCE (10 * NS_PER_S)

const char *
front_steps_that(struct front *f, const struct opened *o, bool (*match)(const struct hist_step *), const char *some,
		 const char *none)
{
	struct buf list = BUF_INIT(300);
	const char *ret = none;

	for (uint32_t i = 0; i < o->history.nsteps; i++)
		if (match(&o->history.steps[i]))
			buf_printf(&list, "%s%s", list.len > 0 ? ", " : some, o->history.steps[i].path);
	if (list.len > 0)
		ret = arena_strdup(&f->arena, list.p);
	buf_done(&list);
	return ret;
}

/* Nobody holds the run: check and journal. 1: done, 0: somebody holds it after all, -1. */
static int
say_it(struct front *f, const char *run, struct record *r, word_check_fn *check, const char *left, struct err *err)
{
	const char *dir = front_state(f, err);
	struct opened o = { 0 };
	int ret = -1;

	if (dir == NULL)
		return -1;
	if (opened_lock(f, run, &o, err) < 0) {
		ret = err->kind == ERR_LOCKED ? 0 : -1;
	} else if (left != NULL && !journal_take_back(dir, run, left)) {
		ret = 0; /* the holder has dealt with it before it ended */
	} else if (check(f, &o, r, err) == 0 && journal_add(o.journal, r, err) == 0 && journal_seal(o.journal, err) == 0) {
		ret = 1;
	}
	opened_done(&o);
	return ret;
}

static int
check_beside(struct front *f, const char *run, const struct record *r, word_check_fn *check, struct err *err)
{
	struct opened o = { 0 };
	int ret = opened_read(f, run, &o, err) < 0 ? -1 : check(f, &o, r, err);

	opened_done(&o);
	return ret;
}

int
front_give_word(struct front *f, const char *run, struct record *r, word_check_fn *check, bool *ret_live, struct err *err)
{
	const int64_t end = clock_now() + PATIENCE;
	const char *dir = front_state(f, err), *left = NULL;

	if (dir == NULL)
		return -1;
	r->wall = clock_wall_ms();
	r->user = front_user(f);
	r->host = front_host(f);
	for (;;) {
		struct err locked = ERR_INIT;
		const int said = say_it(f, run, r, check, left, &locked);

		*ret_live = said == 0;
		if (said != 0) {
			*err = locked;
			return said > 0 ? 0 : -1;
		}
		if (left == NULL) {
			if (check_beside(f, run, r, check, err) < 0 || journal_leave(dir, run, r, &f->arena, &left, err) < 0)
				return -1;
		} else if (journal_left(dir, run, left) == LEFT_TAKEN) {
			return 0;
		} else if (journal_left(dir, run, left) == LEFT_REFUSED) {
			return check_beside(f, run, r, check, err) < 0 ? -1
			       : err_set(err, ERR_USAGE, "the run did not take it; its report says why");
		} else if (clock_now() > end) {
			front_say("run %s has not looked into its inbox for a while; the message waits there", run);
			return 0;
		}
		nanosleep(&(struct timespec){ .tv_nsec = LOOK_EVERY }, NULL);
	}
}

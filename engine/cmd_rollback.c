/* SPDX-License-Identifier: Apache-2.0 */
/* wherry rollback: take over a run and take back what it has done, all of it or down to a step; --dry-run does the same
 * behind the door that only looks. */
#include "cmd.h"

#include <string.h>

/* Is it a step of the run's own `finally`, or inside of one? */
static bool
is_of_finally(const struct plan *plan, const char *path)
{
	return plan_find(plan, path, strcspn(path, "/[")) >= plan->nmain;
}

/* Where it is to go back to: as asked for, else as a rollback that was cut short says. */
static int
choose_end(const struct front *f, const struct opened *o, const struct plan *plan, struct run_options *ret, struct err *err)
{
	const struct history *h = &o->history;
	const char *to = f->opt.to;
	const struct hist_step *hs;
	const struct plan *in;
	uint32_t i;

	ret->rollback = true;
	if (h->rolling && (to == NULL || (h->roll_to != NULL && strcmp(h->roll_to, to) == 0))) {
		ret->rollback_to = h->roll_to;
		ret->rollback_since = h->roll_since;
		return 0;
	}
	if (to == NULL)
		return 0;
	i = plan_find_path(plan, to, &in);
	hs = history_step(h, to);
	if (i == MAP_NONE || i >= in->nmain || is_of_finally(plan, to)) {
		err_set(err, ERR_USAGE, "--to '%s': the run has no such step", to);
		return err_next(err, "wherry status %s", o->run);
	}
	if (hs == NULL || hs->seq == 0)
		return err_set(err, ERR_USAGE, "--to '%s': the step has not run, there is nothing to go back over", to);
	ret->rollback_to = hs->path;
	ret->rollback_since = hs->seq;
	return 0;
}

/* What is to be taken back: effects that stand, and the steps that they are of. Over an irreversible step it does not go. */
struct extent {
	uint32_t effects, steps;
	const struct step *irreversible;
	const char *path;       /* of that */
	bool sure; /* of the irreversible one: that it has happened */
};

static struct extent
measure(const struct opened *o, const struct plan *plan, const struct run_options *options)
{
	struct extent ret = { 0 };

	for (uint32_t i = 0; i < o->history.nsteps; i++) {
		const struct hist_step *hs = &o->history.steps[i];
		const struct plan *in = NULL;
		uint32_t effects = 0, at = hs->undo ? MAP_NONE : plan_find_path(plan, hs->path, &in);
		const struct step *s = at != MAP_NONE && at < in->nmain && !is_of_finally(plan, hs->path) ? &in->steps[at] : NULL;
		uint64_t last = 0;

		for (const struct hist_effect *e = s != NULL ? hs->effects : NULL; e != NULL; e = e->next) {
			const bool stands = history_stands(e) && e->state != EFFECT_UNCHANGED;

			effects += stands;
			last = stands && e->seq > last ? e->seq : last;
		}
		if (effects == 0 || (options->rollback_to != NULL && last < options->rollback_since &&
				     strcmp(hs->path, options->rollback_to) != 0))
			continue;
		ret.effects += effects;
		ret.steps++;
		if (s->irreversible != NULL) {
			ret.irreversible = s;
			ret.path = hs->path;
		}
		ret.sure = ret.sure || (s->irreversible != NULL && !history_in_doubt(hs) && !history_failed_open(hs));
	}
	return ret;
}

static int
ask_go_on(struct front *f, const struct opened *o, const struct plan *plan, const struct run_options *options,
	  struct err *err)
{
	const struct extent all = measure(o, plan, options);
	struct value params = VALUE_NULL;
	struct err ignored = ERR_INIT;

	if (all.irreversible != NULL) {
		err_set(err, ERR_IN_DOUBT, "there is no way back over step '%s', which has run: %s", all.path,
			all.irreversible->irreversible);
		if (!all.sure)
			return err_next(err, "if it has not happened: wherry resolve %s %s --not-done --reason TEXT", o->run,
					all.path);
		return err_next(err, "wherry report %s", o->run);
	}
	if (f->opt.yes || f->opt.dry_run)
		return 0;
	if (!front_can_ask()) {
		err_set(err, ERR_USAGE, "there is no terminal to ask whether to roll back, and no --yes; nothing was changed");
		return err_next(err, "to look first: wherry rollback --dry-run %s", o->run);
	}
	if (o->history.params != NULL)
		value_parse(&f->arena, o->history.params, strlen(o->history.params), &params, &ignored);
	if (front_ask_yes(arena_printf(&f->arena, "%stake back %u effects of %u steps of run %s (%s)%s%s? [y/N] ",
				       front_stake(f, plan, &params), all.effects, all.steps, o->run, plan->name, options->rollback_to != NULL ? ", to before " : "",
				       options->rollback_to != NULL ? options->rollback_to : "")))
		return 0;
	err_set(err, ERR_USAGE, "not confirmed; nothing was changed");
	return err_next(err, "wherry rollback --dry-run %s", o->run);
}

static int
roll_back(struct front *f, struct opened *o, struct err *err)
{
	struct run_options options = { .mode = f->opt.dry_run ? MODE_PLAN : MODE_RUN };
	struct plan *plan;
	int code = -1;

	if (o->history.status == RUN_ROLLED_BACK) {
		front_say("run %s is rolled back; there is nothing to do", o->run);
		return 0;
	}
	plan = opened_plan(f, o, err);
	if (plan != NULL && choose_end(f, o, plan, &options, err) == 0 && ask_go_on(f, o, plan, &options, err) == 0)
		code = front_go_on(f, o, plan, &options, err);
	plan_free(plan);
	return code;
}

int
cmd_rollback(struct front *f, struct err *err)
{
	const char *run = front_run(f, 0, err);
	struct opened o = { 0 };
	int code = -1;

	if (run == NULL)
		return -1;
	if ((f->opt.dry_run ? opened_read(f, run, &o, err) : opened_lock(f, run, &o, err)) == 0)
		code = roll_back(f, &o, err);
	opened_done(&o);
	return code;
}

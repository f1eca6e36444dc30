/* SPDX-License-Identifier: Apache-2.0 */
/* wherry run: load, resolve, ask, write the opening of the journal, execute. Nothing is left behind when anything of
 * this is refused: a run exists once its opening batch is on disk. */
#include "cmd.h"

#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/hash.h"
#include "plan_image.h"
#include "steps/registry.h"

#define RUN_ID_MAX 63

static int
check_run_id(const char *id, struct err *err)
{
	static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-";
	size_t len = strlen(id);

	if (len > 0 && len <= RUN_ID_MAX && strspn(id, allowed) == len && strchr("._-", id[0]) == NULL)
		return 0;
	return err_set(err, ERR_USAGE,
		       "--run-id '%s': up to %d letters, digits, '.', '_' and '-', the first a letter or digit", id,
		       RUN_ID_MAX);
}

/* "20261121-003102-ab12" */
static const char *
new_run_id(struct front *f)
{
	const time_t now = (time_t)(clock_wall_ms() / 1000);
	unsigned char random[2];
	struct tm tm;
	char when[32];

	gmtime_r(&now, &tm);
	strftime(when, sizeof(when), "%Y%m%d-%H%M%S", &tm);
	random_bytes(random, sizeof(random));
	return arena_printf(&f->arena, "%s-%02x%02x", when, random[0], random[1]);
}

static int
ask_go_on(struct front *f, const struct run_options *o, struct err *err)
{
	const char *question;

	if (f->opt.yes)
		return 0;
	if (!front_can_ask()) {
		err_set(err, ERR_USAGE, "there is no terminal to ask whether to go on, and no --yes; nothing was started");
		return err_next(err, "to look first: wherry plan %s", front_word(f, f->args[0]));
	}
	question = arena_printf(&f->arena, "%srun %s (%u steps) as %s? [y/N] ", front_stake(f, o->plan, o->params), o->plan->name,
				o->plan->nsteps, o->run);
	if (front_ask_yes(question))
		return 0;
	err_set(err, ERR_USAGE, "not confirmed; nothing was started");
	return err_next(err, "wherry plan %s", front_word(f, f->args[0]));
}

/* Write the opening batch: after it, the run exists. */
static int
open_journal(struct front *f, struct run_options *o, const struct planfile *planfile, struct err *err)
{
	const struct plan *plan = o->plan;
	const char *dir = front_state(f, err);
	struct journal_file *files;
	const struct value closure = front_closure(f, plan, &files);
	struct pair more[6];
	struct value value;
	struct record open = {
		.type = REC_OPEN,
		.wall = clock_wall_ms(),
		.user = front_user(f),
		.host = front_host(f),
		.build = WHERRY_VERSION,
		.value = &value,
	};

	if (dir == NULL)
		return -1;
	random_bytes(&o->seed, sizeof(o->seed));
	o->seed = o->seed >> 1 | 1; /* an int64_t in the journal, and not 0 */
	more[0] = (struct pair){ "closure", closure };
	more[1] = (struct pair){ "params", *o->params };
	more[2] = (struct pair){ "plan", value_str(plan->name) };
	more[3] = (struct pair){ "run", value_str(o->run) };
	more[4] = (struct pair){ "seed", value_int((int64_t)o->seed) };
	if (planfile != NULL)
		more[5] = (struct pair){ "planfile", value_str(front_planfile_sha256(planfile)) };
	value = front_setup(f, o, more, planfile != NULL ? 6 : 5);
	if (journal_create(dir, o->run, &open, files, closure.len, &o->journal, err) < 0)
		return -1;
	plan_image_write(plan, &registry, value_get_str(&closure, MAIN_FILE, ""), front_image(f, dir, o->run));
	return 0;
}

static int
start(struct front *f, struct run_options *o, const struct planfile *planfile, struct err *err)
{
	const struct report_options shown = front_report(f);
	struct run_result result = { 0 };
	struct value params;
	int code = -1;

	if (front_choose(f, NULL, o, err) < 0 || front_params(f, o->plan, NULL, &params, err) < 0)
		return -1;
	o->params = &params;
	if (ask_go_on(f, o, err) < 0)
		goto out;
	front_block_signals();
	if ((planfile != NULL && front_planfile_check(f, planfile, o, err) < 0) || open_journal(f, o, planfile, err) < 0)
		goto out;
	code = front_execute(o, &shown, &result, err);
	journal_free(o->journal);
out:
	value_wipe(&params);
	return code;
}

int
cmd_run(struct front *f, struct err *err)
{
	struct run_options o = { .mode = MODE_RUN, .run = f->opt.run_id };
	struct planfile *planfile = NULL;
	struct plan *plan;
	int is, code;

	if (o.run != NULL && check_run_id(o.run, err) < 0)
		return -1;
	if (o.run == NULL)
		o.run = new_run_id(f);
	is = front_planfile(f, f->args[0], &planfile, err);
	if (is < 0)
		return -1;
	plan = is > 0 ? front_planfile_plan(f, planfile, err) : front_plan(f, f->args[0], err);
	if (plan == NULL)
		return -1;
	o.plan = plan;
	if (planfile == NULL)
		o.again = arena_printf(&f->arena, "wherry run %s", front_word(f, f->args[0]));
	code = start(f, &o, planfile, err);
	plan_free(plan);
	return code;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* wherry plan: the same scheduler and handlers as a run, behind the door that only looks. No journal, no folder; a plan file
 * where -o asks for it. */
#include "cmd.h"

#include "planfile.h"

#define EXIT_CHANGES 8

static int
dry_run(struct front *f, const struct plan *plan, struct err *err)
{
	struct run_options o = { .mode = MODE_PLAN, .plan = plan, .run = "dry-run" };
	struct report_options shown = front_report(f);
	struct run_result result = { 0 };
	struct foretold told = { 0 };
	struct value params;
	int code;

	if (front_choose(f, NULL, &o, err) < 0 || front_params(f, plan, NULL, &params, err) < 0)
		return -1;
	o.params = &params;
	o.again = arena_printf(&f->arena, "wherry plan %s", front_word(f, f->args[0]));
	if (f->opt.output != NULL) {
		o.tells_files = true;
		shown.each = foretold_event;
		shown.data = &told;
	}
	front_block_signals();
	code = front_execute(&o, &shown, &result, err);
	if (f->opt.output != NULL && code > 0)
		front_say("wherry: the dry-run does not succeed: no plan file is written");
	else if (f->opt.output != NULL && code == 0 && front_planfile_write(f, plan, &params, &told, err) < 0)
		code = -1;
	foretold_done(&told);
	value_wipe(&params);
	return code == 0 && f->opt.detailed_exitcode && result.changes > 0 ? EXIT_CHANGES : code;
}

int
cmd_plan(struct front *f, struct err *err)
{
	struct plan *plan = front_plan(f, f->args[0], err);
	int code;

	if (plan == NULL)
		return -1;
	code = dry_run(f, plan, err);
	plan_free(plan);
	return code;
}

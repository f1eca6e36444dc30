/* SPDX-License-Identifier: Apache-2.0 */
/* wherry validate: load plans, show every problem of every one. */
#include "cmd.h"

int
cmd_validate(struct front *f, struct err *err)
{
	size_t bad = 0;

	for (size_t i = 0; i < f->nargs; i++) {
		struct plan *plan = front_plan(f, f->args[i], err);

		if (plan == NULL) {
			bad++;
			if (f->nargs > 1)
				front_error(f, err);
			continue;
		}
		if (!f->opt.quiet)
			front_say("%s: valid, %u steps", plan->file, plan->nsteps);
		plan_free(plan);
	}
	if (bad == 0 || f->nargs == 1)
		return bad == 0 ? 0 : -1;
	return err_set(err, ERR_PLAN, "%zu of %zu plans are not valid", bad, f->nargs);
}

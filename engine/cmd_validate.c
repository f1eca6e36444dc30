/* SPDX-License-Identifier: Apache-2.0 */
/* wherry validate: load plans, show every problem of every one, as text with excerpts or as a JSON object a plan. */
#include "cmd.h"

static struct value
problem_value(struct front *f, const struct problem *at)
{
	struct pair *p = arena_array(&f->arena, 5, sizeof(*p));

	p[0] = (struct pair){ "file", at->where.file != NULL ? value_str(at->where.file) : VALUE_NULL };
	p[1] = (struct pair){ "line", at->where.line > 0 ? value_int(at->where.line) : VALUE_NULL };
	p[2] = (struct pair){ "col", at->where.line > 0 ? value_int(at->where.col) : VALUE_NULL };
	p[3] = (struct pair){ "message", value_str(at->msg) };
	p[4] = (struct pair){ "hint", at->hint != NULL ? value_str(at->hint) : VALUE_NULL };
	return value_map(p, 5);
}

/* {plan, valid, steps, problems, dropped}; dropped: problems over those that are kept. */
static int
print_json(struct front *f, const char *name, const struct plan *plan, const struct problems *problems, struct err *err)
{
	struct value *list = arena_array(&f->arena, problems->n, sizeof(*list)), v;
	struct pair p[5];

	for (size_t i = 0; i < problems->n; i++)
		list[i] = problem_value(f, &problems->list[i]);
	p[0] = (struct pair){ "plan", value_str(plan != NULL ? plan->file : name) };
	p[1] = (struct pair){ "valid", value_bool(plan != NULL) };
	p[2] = (struct pair){ "steps", plan != NULL ? value_int(plan->nsteps) : VALUE_NULL };
	p[3] = (struct pair){ "problems", value_list(list, problems->n) };
	p[4] = (struct pair){ "dropped", value_int((int64_t)problems->dropped) };
	v = value_map(p, countof(p));
	return front_print_json(&v, err);
}

/* 1: valid; 0: not, and it was said why, but for err; -1: it could not be said. */
static int
validate(struct front *f, const char *name, struct err *err)
{
	struct problems problems = PROBLEMS_INIT;
	struct err lost = ERR_INIT;
	struct plan *plan;
	int ret;

	if (front_json(f)) {
		plan = front_plan_problems(f, name, &problems, err);
		ret = print_json(f, name, plan, &problems, &lost) < 0 ? -1 : plan != NULL;
	} else {
		plan = front_plan(f, name, err);
		ret = plan != NULL;
		if (plan != NULL && !f->opt.quiet)
			front_say("%s: valid, %u steps", plan->file, plan->nsteps);
	}
	if (ret < 0)
		*err = lost;
	plan_free(plan);
	problems_done(&problems);
	return ret;
}

int
cmd_validate(struct front *f, struct err *err)
{
	size_t bad = 0;

	for (size_t i = 0; i < f->nargs; i++) {
		const int valid = validate(f, f->args[i], err);

		if (valid < 0)
			return -1;
		bad += valid == 0;
		if (valid == 0 && f->nargs > 1)
			front_error(f, err);
	}
	if (bad == 0 || f->nargs == 1)
		return bad == 0 ? 0 : -1;
	return err_set(err, ERR_PLAN, "%zu of %zu plans are not valid", bad, f->nargs);
}

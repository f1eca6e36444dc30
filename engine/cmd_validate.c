/* SPDX-License-Identifier: Apache-2.0 */
/* wherry validate: load plans, show every problem of every one, as text with excerpts or as a JSON object a plan; --strict:
 * what the lints find, too. */
#include "cmd.h"

#include <inttypes.h>

#include "lint.h"

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

/* {plan, valid, steps, plans, problems, dropped}; plans: the files of those that it runs; dropped: problems over those that are kept. */
static int
print_json(struct front *f, const char *name, const struct plan *plan, bool valid, const struct problems *problems,
	   struct err *err)
{
	struct value *list = arena_array(&f->arena, problems->n, sizeof(*list)), v;
	const uint32_t nparts = plan != NULL ? plan->nparts : 0;
	struct value *parts = arena_array(&f->arena, nparts, sizeof(*parts));
	struct pair p[6];

	for (uint32_t i = 0; i < nparts; i++)
		parts[i] = value_str(plan->parts[i]->file);
	for (size_t i = 0; i < problems->n; i++)
		list[i] = problem_value(f, &problems->list[i]);
	p[0] = (struct pair){ "plan", value_str(plan != NULL ? plan->file : name) };
	p[1] = (struct pair){ "valid", value_bool(valid) };
	p[2] = (struct pair){ "steps", plan != NULL ? value_int(plan->nsteps) : VALUE_NULL };
	p[3] = (struct pair){ "plans", value_list(parts, nparts) };
	p[4] = (struct pair){ "problems", value_list(list, problems->n) };
	p[5] = (struct pair){ "dropped", value_int((int64_t)problems->dropped) };
	v = value_map(p, countof(p));
	return front_print_json(&v, err);
}

static uint64_t
steps_of_parts(const struct plan *plan)
{
	uint64_t n = 0;

	for (uint32_t i = 0; i < plan->nparts; i++)
		n += plan->parts[i]->nsteps;
	return n;
}

/* What the lints have found in a plan that loads; they make it invalid only where they were asked for. */
static void
say_valid(const struct front *f, const struct plan *plan, const struct problems *lints)
{
	const size_t n = lints->n + lints->dropped;
	struct buf b = BUF_INIT(0);

	if (f->opt.quiet)
		return;
	buf_printf(&b, "%s: valid, %u steps", plan->file, plan->nsteps);
	if (plan->nparts > 0)
		buf_printf(&b, "; runs %u other plan%s with %" PRIu64 " steps", plan->nparts, plan->nparts == 1 ? "" : "s", steps_of_parts(plan));
	if (n > 0)
		buf_printf(&b, "; validate --strict has %zu remark%s", n, n == 1 ? "" : "s");
	front_say("%s", b.p);
	buf_done(&b);
}

/* 1: valid; 0: not, and it was said why, but for err; -1: it could not be said. */
static int
validate(struct front *f, const char *name, struct err *err)
{
	struct problems problems = PROBLEMS_INIT, lints = PROBLEMS_INIT;
	struct plan *plan = front_json(f) ? front_plan_problems(f, name, &problems, err) : front_plan(f, name, err);
	struct err lost = ERR_INIT;
	bool valid = plan != NULL;
	int ret;

	if (plan != NULL)
		lint_plan(plan, &lints);
	if (f->opt.strict && lints.n > 0)
		valid = false;
	ret = valid;
	if (front_json(f) && print_json(f, name, plan, valid, plan != NULL && f->opt.strict ? &lints : &problems, &lost) < 0)
		ret = -1;
	else if (valid && !front_json(f))
		say_valid(f, plan, &lints);
	else if (plan != NULL && !valid && !front_json(f))
		front_refuse(&lints, plan->file, plan->text, plan->text_len, err);
	else if (plan != NULL && !valid)
		err_set(err, ERR_PLAN, "%s", "");
	if (ret < 0)
		*err = lost;
	plan_free(plan);
	problems_done(&problems);
	problems_done(&lints);
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

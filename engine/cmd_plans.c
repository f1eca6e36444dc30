/* SPDX-License-Identifier: Apache-2.0 */
/* wherry plans: what is bundled, and what one plan takes and does. */
#include "cmd.h"

#include <string.h>

#include "base/text.h"

static void
show_text(struct buf *b, const char *text)
{
	text_escape(b, text, strlen(text));
}

static void
show_param(struct buf *b, const struct param *p)
{
	char type[32];

	buf_printf(b, "  %-20s %-10s ", p->field.name, field_type_name(&p->field, type));
	if (p->field.help != NULL)
		show_text(b, p->field.help);
	if (p->field.required)
		buf_puts(b, " (required)");
	if (p->field.secret)
		buf_puts(b, " (secret)");
	if (p->field.dflt != NULL && p->field.dflt[0] != '\0') {
		buf_puts(b, " [default: ");
		show_text(b, p->field.dflt);
		buf_puts(b, "]");
	}
	for (const char *const *c = p->field.choices; c != NULL && *c != NULL; c++) {
		buf_puts(b, c == p->field.choices ? " [one of: " : ", ");
		show_text(b, *c);
		buf_puts(b, c[1] == NULL ? "]" : "");
	}
	if (p->env != NULL)
		buf_printf(b, " [from $%s]", p->env);
	buf_putc(b, '\n');
}

/* Targets that only another plan can give. */
static void
show_handed(struct buf *b, const struct plan *plan)
{
	bool any = false;

	for (size_t i = 0; i < plan->ntargets; i++)
		if (plan->targets[i].required) {
			buf_printf(b, "%s  %-20s %s\n", any ? "" : "\ntargets that the plan which runs this one hands in:\n",
				   plan->targets[i].name, plan->targets[i].type->kind);
			any = true;
		}
}

static void
show_plan(struct buf *b, const struct plan *plan)
{
	show_text(b, plan->name);
	buf_puts(b, ": ");
	show_text(b, plan->summary != NULL ? plan->summary : "");
	buf_printf(b, "\nfile: ");
	show_text(b, plan->file);
	if (plan->nparams > 0)
		buf_puts(b, "\n\nparameters (-p NAME=VALUE):\n");
	for (size_t i = 0; i < plan->nparams; i++)
		show_param(b, &plan->params[i]);
	show_handed(b, plan);
	buf_puts(b, "\nsteps:\n");
	for (uint32_t i = 0; i < plan->nsteps; i++) {
		const struct step *s = &plan->steps[i];

		buf_printf(b, "  %-20s %-16s%s", s->id, s->type->name, s->each ? " for each item" : "");
		for (uint32_t n = 0; n < s->need_count; n++)
			buf_printf(b, "%s%s", n == 0 ? " after " : ", ",
				   plan->steps[plan->needs[s->need_first + n].to].id);
		buf_puts(b, s->finally ? " (when the run closes)\n" : "\n");
	}
}

static struct value
plan_json(struct front *f, const struct plan *plan)
{
	struct pair *p = arena_array(&f->arena, 4, sizeof(*p));

	p[0] = (struct pair){ "name", value_str(arena_strdup(&f->arena, plan->name)) };
	p[1] = (struct pair){ "summary", value_str(arena_strdup(&f->arena, plan->summary ? plan->summary : "")) };
	p[2] = (struct pair){ "file", value_str(arena_strdup(&f->arena, plan->file)) };
	p[3] = (struct pair){ "steps", value_int(plan->nsteps) };
	return value_map(p, 4);
}

static int
list_plans(struct front *f, struct err *err)
{
	struct buf b = BUF_INIT(0);
	const char **names;
	size_t n = front_plans(f, &names), bad = 0;
	int ret = 0;

	for (size_t i = 0; i < n && ret == 0; i++) {
		struct plan *plan = front_plan(f, names[i], err);

		if (plan == NULL) {
			front_error(f, err);
			bad++;
			continue;
		}
		if (front_json(f)) {
			struct value v = plan_json(f, plan);

			ret = front_print_json(&v, err);
		} else {
			buf_printf(&b, "%-20s ", plan->name);
			show_text(&b, plan->summary != NULL ? plan->summary : "");
			buf_putc(&b, '\n');
		}
		plan_free(plan);
	}
	if (n == 0)
		front_say("no bundled plans were found; WHERRY_PLANS names their folder");
	if (ret == 0)
		ret = front_print(&b, err);
	buf_done(&b);
	if (ret == 0 && bad > 0)
		ret = err_set(err, ERR_PLAN, "%zu of %zu bundled plans are not valid", bad, n);
	return ret;
}

int
cmd_plans(struct front *f, struct err *err)
{
	struct buf b = BUF_INIT(0);
	struct plan *plan;
	int ret;

	if (f->nargs == 0)
		return list_plans(f, err);
	plan = front_plan(f, f->args[0], err);
	if (plan == NULL)
		return -1;
	if (front_json(f)) {
		struct value v = plan_json(f, plan);

		ret = front_print_json(&v, err);
	} else {
		show_plan(&b, plan);
		ret = front_print(&b, err);
	}
	buf_done(&b);
	plan_free(plan);
	return ret;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* wherry steps: the step types, from their tables. `--markdown` is steps/README.md, whole. */
#include "cmd.h"

#include <ctype.h>
#include <math.h>
#include <string.h>

#include "base/text.h"
#include "language.h"
#include "steps/registry.h"

#define NO_LIMIT 9e18

static bool
is_later(const struct step_type *t)
{
	return (t->flags & STEP_LATER) != 0;
}

/* All that a step may use but `undo`, which has no table: NULL-ended. `plan` is the engine's own. */
static const struct step_type *const *
all_types(struct front *f)
{
	const struct step_type **list;
	size_t n = 0, count = 0;

	while (registry.steps[n] != NULL)
		n++;
	list = arena_array(&f->arena, n + 2, sizeof(*list));
	for (size_t i = 0; i < n; i++)
		if (!is_later(registry.steps[i]))
			list[count++] = registry.steps[i];
	list[count++] = &sub_step;
	list[count] = NULL;
	return list;
}

/* A limit in the unit that people write. */
static void
show_limit(struct buf *b, const struct field *f, double limit)
{
	char text[32];

	if (f->type == F_DURATION)
		buf_puts(b, duration_text((int64_t)limit, text));
	else if (f->type == F_SIZE)
		buf_puts(b, size_text((uint64_t)limit, text));
	else
		buf_printf(b, "%.15g", limit);
}

/* The help, then choices, limits and pattern, as one phrase without a full stop. */
static void
show_help(struct buf *b, const struct field *f)
{
	size_t len = strlen(f->help);

	buf_put(b, f->help, len > 0 && f->help[len - 1] == '.' ? len - 1 : len);
	for (const char *const *c = f->choices; c != NULL && *c != NULL; c++)
		buf_printf(b, "%s%s", c == f->choices ? "; one of " : ", ", *c);
	if (f->max > f->min && f->min > -HUGE_VAL) {
		buf_puts(b, "; from ");
		show_limit(b, f, f->min);
		buf_puts(b, f->max < NO_LIMIT ? " to " : " on");
		if (f->max < NO_LIMIT)
			show_limit(b, f, f->max);
	}
	if (f->pattern != NULL)
		buf_printf(b, "; matches `%s`", f->pattern);
}

static void
show_fields(struct buf *b, const char *title, const struct field *f)
{
	char type[32];

	if (f == NULL || f->name == NULL)
		return;
	buf_printf(b, "\n%s:\n", title);
	for (; f->name != NULL; f++) {
		buf_printf(b, "  %-16s %-16s ", f->name, field_type_name(f, type));
		show_help(b, f);
		if (f->required)
			buf_puts(b, " (required)");
		if (f->dflt != NULL)
			buf_printf(b, " [default: %s]", f->dflt);
		buf_putc(b, '\n');
	}
}

static void
show_type(struct buf *b, const struct step_type *t)
{
	buf_printf(b, "%s: %s\n", t->name, t->summary);
	if (t->flags & (STEP_READ_ONLY | STEP_PURE))
		buf_puts(b, "changes nothing\n");
	show_fields(b, "inputs (with)", t->inputs);
	show_fields(b, "outputs", t->outputs);
}

/* A cell of a markdown table: "|" would end it. */
static void
cell(struct buf *b, const char *text)
{
	for (; *text != '\0'; text++) {
		if (*text == '|')
			buf_putc(b, '\\');
		buf_putc(b, *text);
	}
}

static void
markdown_fields(struct buf *b, const char *title, const struct field *f, bool input)
{
	struct buf help = BUF_INIT(0);
	char type[32];

	if (f == NULL || f->name == NULL)
		return;
	buf_printf(b, input ? "\n| %s | type | default | |\n|---|---|---|---|\n" : "\n| %s | type | |\n|---|---|---|\n",
		   title);
	for (; f->name != NULL; f++) {
		buf_printf(b, "| `%s` | %s | ", f->name, field_type_name(f, type));
		if (input && f->required)
			buf_puts(b, "required | ");
		else if (input && f->dflt != NULL)
			buf_printf(b, "`%s` | ", f->dflt);
		else if (input)
			buf_puts(b, "| ");
		buf_clear(&help);
		show_help(&help, f);
		cell(b, help.p);
		buf_puts(b, " |\n");
	}
	buf_done(&help);
}

static const char page_head[] =
	"# Step types and target kinds\n\n"
	"<!-- Written by `wherry steps --markdown` from the tables in the code; a test compares. -->\n\n"
	"A step says `uses: TYPE` and gives its inputs in `with:`. Later steps read its outputs as\n"
	"`${{ steps.ID.outputs.NAME }}`. `wherry steps TYPE` prints the same text in a terminal.\n";

static const char page_tail[] =
	"\n## Add a step type\n\n"
	"1. In its family's file (`steps/FAMILY.c`; a new family is a new file) write the struct of its arguments,\n"
	"   the two tables of `struct field` (inputs, outputs; every row has `.help`), and the function `run`.\n"
	"   The function reads with `step_read`, `step_list` or `step_watch`, changes the world only through\n"
	"   `step_effect` or `step_stream_*`, and sets outputs with `step_output`. It has no loop that retries\n"
	"   and no branch for the dry-run: the engine does both. `engine/step.h` is the whole contract.\n"
	"2. Declare `const struct step_type` with name, summary, tables, `args_size`, `flags` and `version`.\n"
	"3. Add one line to `steps/registry.c`.\n"
	"4. Add its tests, then write this page again: `build/wherry steps --markdown > steps/README.md`.\n\n"
	"A new kind of target is one `const struct target_type` in `steps/target/` (contract: `engine/target.h`)\n"
	"and one line in `steps/registry.c`.\n";

/* A heading and the summary as a sentence under it. */
static void
sentence(struct buf *b, const char *level, const char *name, const char *summary)
{
	buf_printf(b, "\n%s %s\n\n%c%s.", level, name, toupper((unsigned char)summary[0]), summary + 1);
}

static void
markdown_page(struct front *f, struct buf *b)
{
	buf_puts(b, page_head);
	for (const struct step_type *const *t = all_types(f); *t != NULL; t++) {
		sentence(b, "##", (*t)->name, (*t)->summary);
		buf_puts(b, (*t)->flags & (STEP_READ_ONLY | STEP_PURE) ? " Changes nothing.\n" : "\n");
		markdown_fields(b, "input", (*t)->inputs, true);
		markdown_fields(b, "output", (*t)->outputs, false);
	}
	buf_puts(b, "\n## Target kinds\n");
	for (const struct target_type *const *t = registry.targets; *t != NULL; t++) {
		sentence(b, "###", (*t)->kind, (*t)->summary);
		buf_puts(b, !(*t)->local ? "\n" :
			    !registry_is_declarable(*t) ? " Always there; needs no declaration.\n" :
							   " Always there; a declaration is for what its fields say.\n");
		markdown_fields(b, "field", (*t)->fields, true);
	}
	buf_puts(b, page_tail);
}

static int
one_type(struct front *f, const char *name, struct buf *b, struct err *err)
{
	const struct step_type *t = strcmp(name, sub_step.name) == 0 ? &sub_step : registry_step(&registry, name);
	const char *names[256];
	size_t n = 0;

	if (t != NULL && !is_later(t)) {
		show_type(b, t);
		return 0;
	}
	if (t != NULL) {
		err_set(err, ERR_USAGE, "step type '%s' comes in a later version", name);
		return err_next(err, "wherry steps");
	}
	for (const struct word *w = language; w->name != NULL; w++)
		if (strcmp(w->name, name) == 0) {
			err_set(err, ERR_USAGE, "'%s' is no step type but a word of the language: %s", name, word_help(w));
			return err_next(err, "wherry help language");
		}
	for (const struct step_type *const *i = all_types(f); *i != NULL && n < countof(names); i++)
		names[n++] = (*i)->name;
	err_set(err, ERR_USAGE, "no step type '%s'%s", name, front_nearest(f, name, names, n));
	return err_next(err, "wherry steps");
}

static int
json_types(struct front *f, struct err *err)
{
	for (const struct step_type *const *t = all_types(f); *t != NULL; t++) {
		const struct pair p[] = { { "name", value_str((*t)->name) }, { "summary", value_str((*t)->summary) } };
		const struct value v = value_map(p, countof(p));

		if (front_print_json(&v, err) < 0)
			return -1;
	}
	return 0;
}

int
cmd_steps(struct front *f, struct err *err)
{
	struct buf b = BUF_INIT(0);
	int ret = 0;

	if (f->nargs == 1)
		ret = one_type(f, f->args[0], &b, err);
	else if (f->opt.markdown)
		markdown_page(f, &b);
	else if (front_json(f))
		ret = json_types(f, err);
	else
		for (const struct step_type *const *t = all_types(f); *t != NULL; t++)
			buf_printf(&b, "%-16s %s\n", (*t)->name, (*t)->summary);
	if (ret == 0)
		ret = front_print(&b, err);
	buf_done(&b);
	return ret;
}

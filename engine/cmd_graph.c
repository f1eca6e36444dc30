/* SPDX-License-Identifier: Apache-2.0 */
/* wherry graph: the steps of a plan and what each waits for; of a run with how far each has come. Linear, in plan order:
 * the same plan gives the same text. */
#include "cmd.h"

#include <string.h>

#include "base/text.h"

/* What is drawn: states are NULL for a plan. */
struct drawing {
	const struct plan *plan;
	const char *run, *state;
	const enum step_status *states; /* one a step */
};

struct style {
	void (*begin)(const struct drawing *, struct buf *);
	void (*step)(const struct drawing *, uint32_t i, struct buf *);
	void (*finally)(struct buf *); /* before the first step of `finally` */
	void (*end)(const struct drawing *, struct buf *);
};

static const char *
state_name(const struct drawing *d, uint32_t i)
{
	return step_status_name(d->states[i]);
}

static void
text_begin(const struct drawing *d, struct buf *b)
{
	if (d->run != NULL)
		buf_printf(b, "run %s: %s\n", d->run, d->state);
	buf_printf(b, "plan %s: %u steps\n", d->plan->name, d->plan->nsteps);
}

/* What a reviewer must not miss: what is looked at again before it begins, and that there is no way back. */
static void
put_caution(const struct drawing *d, const struct step *s, const char *separator, struct buf *b)
{
	for (uint32_t i = 0; i < s->nguards; i++)
		buf_printf(b, "%s%s%s", i == 0 ? separator : ", ", i == 0 ? "guarded by " : "", d->plan->steps[s->guards[i]].id);
	if (s->irreversible == NULL)
		return;
	buf_printf(b, "%sirreversible: ", separator);
	text_escape(b, s->irreversible, strlen(s->irreversible));
}

static void
text_step(const struct drawing *d, uint32_t i, struct buf *b)
{
	const struct step *s = &d->plan->steps[i];

	buf_puts(b, "  ");
	if (d->states != NULL)
		buf_printf(b, "%-9s  ", state_name(d, i));
	buf_printf(b, "%-20s  %s", s->id, s->type->name);
	if (s->undoes != PLAN_NO_STEP)
		buf_printf(b, " of %s", d->plan->steps[s->undoes].id);
	for (uint32_t n = 0; n < s->need_count; n++) {
		const struct need *need = &d->plan->needs[s->need_first + n];

		buf_printf(b, "%s%s%s", n == 0 ? ", after " : ", ", d->plan->steps[need->to].id, need->weak ? "?" : "");
	}
	put_caution(d, s, "; ", b);
	buf_putc(b, '\n');
}

static void
text_finally(struct buf *b)
{
	buf_puts(b, "when the run closes:\n");
}

static void
text_end(const struct drawing *d, struct buf *b)
{
	for (uint32_t i = 0; i < d->plan->nsteps; i++)
		for (uint32_t n = 0; n < d->plan->steps[i].need_count; n++)
			if (d->plan->needs[d->plan->steps[i].need_first + n].weak) {
				buf_puts(b, "(x? waits for the end of x, whatever it was)\n");
				return;
			}
}

static const char *const fills[STEP_STATUSES] = {
	[STEP_PENDING] = "#ffffff",   [STEP_RUNNING] = "#cfe2ff", [STEP_DONE] = "#c8e6c9",
	[STEP_UNCHANGED] = "#e3f2e3", [STEP_SKIPPED] = "#eeeeee", [STEP_FAILED] = "#ffcdd2",
	[STEP_BLOCKED] = "#ffe0b2",   [STEP_IN_DOUBT] = "#fff59d", [STEP_CANCELLED] = "#e0e0e0",
	[STEP_UNDONE] = "#d7ccc8",
};

/* The label's lines: the step's name, its type, and where a run stands its state. */
static void
put_label(const struct drawing *d, uint32_t i, struct buf *b)
{
	const struct step *s = &d->plan->steps[i];

	buf_printf(b, "%s\n%s", s->id, s->type->name);
	if (s->undoes != PLAN_NO_STEP)
		buf_printf(b, " of %s", d->plan->steps[s->undoes].id);
	put_caution(d, s, "\n", b);
	if (d->states != NULL)
		buf_printf(b, "\n%s", state_name(d, i));
}

/* A quoted string (graphviz.org/doc/info/lang.html). */
static void
dot_quoted(struct buf *b, const char *text)
{
	buf_putc(b, '"');
	for (; *text != '\0'; text++) {
		if (*text == '"' || *text == '\\')
			buf_putc(b, '\\');
		if (*text == '\n')
			buf_puts(b, "\\n");
		else
			buf_putc(b, *text);
	}
	buf_putc(b, '"');
}

static void
dot_begin(const struct drawing *d, struct buf *b)
{
	buf_puts(b, "digraph ");
	dot_quoted(b, d->plan->name);
	buf_puts(b, " {\n\tlabel=");
	dot_quoted(b, d->run != NULL ? d->run : d->plan->name);
	buf_puts(b, ";\n\tnode [shape=box, style=\"rounded,filled\", fillcolor=\"#ffffff\"];\n");
}

static void
dot_step(const struct drawing *d, uint32_t i, struct buf *b)
{
	const struct step *s = &d->plan->steps[i];
	struct buf label = BUF_INIT(0);

	put_label(d, i, &label);
	buf_puts(b, s->finally ? "\t\t" : "\t");
	dot_quoted(b, s->id);
	buf_puts(b, " [label=");
	dot_quoted(b, label.p);
	if (d->states != NULL)
		buf_printf(b, ", fillcolor=\"%s\"", fills[d->states[i]]);
	buf_puts(b, "];\n");
	buf_done(&label);
}

static void
dot_finally(struct buf *b)
{
	buf_puts(b, "\tsubgraph cluster_finally {\n\t\tlabel=\"finally\"; style=dashed;\n");
}

static void
dot_end(const struct drawing *d, struct buf *b)
{
	const struct plan *p = d->plan;

	if (p->nmain < p->nsteps)
		buf_puts(b, "\t}\n");
	for (uint32_t i = 0; i < p->nsteps; i++)
		for (uint32_t n = 0; n < p->steps[i].need_count; n++) {
			const struct need *need = &p->needs[p->steps[i].need_first + n];

			buf_putc(b, '\t');
			dot_quoted(b, p->steps[need->to].id);
			buf_puts(b, " -> ");
			dot_quoted(b, p->steps[i].id);
			buf_puts(b, need->weak ? " [style=dashed];\n" : ";\n");
		}
	buf_puts(b, "}\n");
}

static void
mermaid_begin(const struct drawing *d, struct buf *b)
{
	buf_printf(b, "---\ntitle: %s\n---\nflowchart TD\n", d->run != NULL ? d->run : d->plan->name);
}

/* A quoted label (mermaid.js.org/syntax/flowchart.html#entity-codes-to-escape-characters). */
static void
mermaid_quoted(struct buf *b, const char *text)
{
	buf_putc(b, '"');
	for (; *text != '\0'; text++)
		if (*text == '\n')
			buf_puts(b, "<br/>");
		else if (strchr("\"#<>&;`", *text) != NULL)
			buf_printf(b, "#%d;", *text);
		else
			buf_putc(b, *text);
	buf_putc(b, '"');
}

/* Nodes and classes are numbered: "end" and other words of mermaid's own may be names of steps. */
static void
mermaid_step(const struct drawing *d, uint32_t i, struct buf *b)
{
	struct buf label = BUF_INIT(0);

	put_label(d, i, &label);
	buf_printf(b, "%ss%u[", d->plan->steps[i].finally ? "\t\t" : "\t", i);
	mermaid_quoted(b, label.p);
	buf_putc(b, ']');
	if (d->states != NULL)
		buf_printf(b, ":::c%d", (int)d->states[i]);
	buf_putc(b, '\n');
	buf_done(&label);
}

static void
mermaid_finally(struct buf *b)
{
	buf_puts(b, "\tsubgraph finally\n");
}

static void
mermaid_end(const struct drawing *d, struct buf *b)
{
	const struct plan *p = d->plan;

	if (p->nmain < p->nsteps)
		buf_puts(b, "\tend\n");
	for (uint32_t i = 0; i < p->nsteps; i++)
		for (uint32_t n = 0; n < p->steps[i].need_count; n++) {
			const struct need *need = &p->needs[p->steps[i].need_first + n];

			buf_printf(b, "\ts%u %s s%u\n", need->to, need->weak ? "-.->" : "-->", i);
		}
	for (int s = 0; s < STEP_STATUSES && d->states != NULL; s++)
		buf_printf(b, "\tclassDef c%d fill:%s\n", s, fills[s]);
}

static const struct {
	const char *name;
	struct style style;
} styles[] = {
	{ "text", { text_begin, text_step, text_finally, text_end } },
	{ "dot", { dot_begin, dot_step, dot_finally, dot_end } },
	{ "mermaid", { mermaid_begin, mermaid_step, mermaid_finally, mermaid_end } },
};

static int
draw(struct front *f, const struct drawing *d, struct err *err)
{
	const struct style *style = &styles[0].style;
	struct buf b = BUF_INIT(0);
	int ret;

	for (size_t i = 0; i < countof(styles) && f->opt.format != NULL; i++)
		if (strcmp(styles[i].name, f->opt.format) == 0)
			style = &styles[i].style;
	style->begin(d, &b);
	for (uint32_t i = 0; i < d->plan->nsteps; i++) {
		if (i == d->plan->nmain)
			style->finally(&b);
		style->step(d, i, &b);
	}
	style->end(d, &b);
	ret = front_print(&b, err);
	buf_done(&b);
	return ret;
}

static int
draw_run(struct front *f, const char *run, struct err *err)
{
	struct opened o = { 0 };
	struct drawing d = { .run = run };
	struct plan *plan = NULL;
	enum step_status *states;
	char holder[1];
	bool live;
	int ret = -1;

	if (opened_read(f, run, &o, err) < 0 || (plan = opened_plan(f, &o, err)) == NULL)
		goto out;
	live = journal_live(front_state(f, err), run, holder, sizeof(holder)) == 1;
	states = arena_array(&o.arena, plan->nsteps, sizeof(*states));
	for (uint32_t i = 0; i < plan->nsteps; i++) {
		const struct hist_step *s = history_step(&o.history, plan->steps[i].id);

		states[i] = s != NULL ? step_shown_status(s, live) : STEP_PENDING;
	}
	d.plan = plan;
	d.states = states;
	d.state = run_shown_status(&o.history, live);
	ret = draw(f, &d, err);
out:
	plan_free(plan);
	opened_done(&o);
	return ret;
}

int
cmd_graph(struct front *f, struct err *err)
{
	struct plan *plan;
	int ret;

	if (front_is_run(f, f->args[0]))
		return draw_run(f, front_run(f, 0, err), err);
	plan = front_plan(f, f->args[0], err);
	if (plan == NULL)
		return -1;
	ret = draw(f, &(struct drawing){ .plan = plan }, err);
	plan_free(plan);
	return ret;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* The graph as pictures: for graphviz and for mermaid. */
#include "cmd_graph.h"

#include <string.h>

static const char *const fills[STEP_STATUSES] = {
	[STEP_PENDING] = "#ffffff",   [STEP_RUNNING] = "#cfe2ff", [STEP_DONE] = "#c8e6c9",
	[STEP_UNCHANGED] = "#e3f2e3", [STEP_SKIPPED] = "#eeeeee", [STEP_FAILED] = "#ffcdd2",
	[STEP_BLOCKED] = "#ffe0b2",   [STEP_IN_DOUBT] = "#fff59d", [STEP_CANCELLED] = "#e0e0e0",
	[STEP_UNDONE] = "#d7ccc8",
};

/* The label's lines: the step's name, its type, and where a run stands its state. */
static void
put_label(const struct level *l, uint32_t i, struct buf *b)
{
	const struct step *s = &l->plan->steps[i];
	const int state = graph_state(l, i);

	buf_printf(b, "%s\n", s->id);
	graph_type(l, i, b);
	graph_caution(l, s, "\n", b);
	graph_counts(l, i, "\n", b);
	if (state < STEP_STATUSES)
		buf_printf(b, "\n%s", step_status_name((enum step_status)state));
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
dot_step(const struct level *l, uint32_t i, struct buf *b)
{
	const struct step *s = &l->plan->steps[i];
	const int state = graph_state(l, i);
	struct buf label = BUF_INIT(0);

	put_label(l, i, &label);
	graph_indent(l, "\t", s->finally ? 2 : 1, b);
	dot_quoted(b, graph_path(l, i));
	buf_puts(b, " [label=");
	dot_quoted(b, label.p);
	if (s->each)
		buf_puts(b, ", peripheries=2");
	if (state < STEP_STATUSES)
		buf_printf(b, ", fillcolor=\"%s\"", fills[state]);
	buf_puts(b, "];\n");
	buf_done(&label);
}

static void
dot_inside(const struct level *l, uint32_t i, struct buf *b)
{
	graph_indent(l, "\t", 1, b);
	buf_printf(b, "subgraph cluster_%u { label=", l->base + i);
	dot_quoted(b, graph_path(l, i));
	buf_puts(b, ";\n");
}

static void
dot_out(const struct level *l, struct buf *b)
{
	graph_indent(l, "\t", 1, b);
	buf_puts(b, "}\n");
}

static void
dot_finally(const struct level *l, struct buf *b)
{
	graph_indent(l, "\t", 1, b);
	if (l->depth > 0)
		buf_printf(b, "subgraph cluster_finally_%u {\n", l->base);
	else
		buf_puts(b, "subgraph cluster_finally {\n");
	graph_indent(l, "\t", 2, b);
	buf_puts(b, "label=\"finally\"; style=dashed;\n");
}

static void
dot_over(const struct level *l, struct buf *b)
{
	const struct plan *p = l->plan;

	if (p->nmain < p->nsteps)
		dot_out(l, b);
	for (uint32_t i = 0; i < p->nsteps; i++)
		for (uint32_t n = 0; n < p->steps[i].need_count; n++) {
			const struct need *need = &p->needs[p->steps[i].need_first + n];

			graph_indent(l, "\t", 1, b);
			dot_quoted(b, graph_path(l, need->to));
			buf_puts(b, " -> ");
			dot_quoted(b, graph_path(l, i));
			buf_puts(b, need->weak ? " [style=dashed];\n" : ";\n");
		}
}

static void
dot_end(const struct drawing *d, struct buf *b)
{
	(void)d;
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
mermaid_step(const struct level *l, uint32_t i, struct buf *b)
{
	const struct step *s = &l->plan->steps[i];
	const int state = graph_state(l, i);
	struct buf label = BUF_INIT(0);

	put_label(l, i, &label);
	graph_indent(l, "\t", s->finally ? 2 : 1, b);
	buf_printf(b, "s%u%s", l->base + i, s->each ? "[[" : "[");
	mermaid_quoted(b, label.p);
	buf_puts(b, s->each ? "]]" : "]");
	if (state < STEP_STATUSES)
		buf_printf(b, ":::c%d", state);
	buf_putc(b, '\n');
	buf_done(&label);
}

static void
mermaid_inside(const struct level *l, uint32_t i, struct buf *b)
{
	graph_indent(l, "\t", 1, b);
	buf_printf(b, "subgraph p%u[", l->base + i);
	mermaid_quoted(b, graph_path(l, i));
	buf_puts(b, "]\n");
}

static void
mermaid_out(const struct level *l, struct buf *b)
{
	graph_indent(l, "\t", 1, b);
	buf_puts(b, "end\n");
}

static void
mermaid_finally(const struct level *l, struct buf *b)
{
	graph_indent(l, "\t", 1, b);
	if (l->depth > 0)
		buf_printf(b, "subgraph f%u[finally]\n", l->base);
	else
		buf_puts(b, "subgraph finally\n");
}

static void
mermaid_over(const struct level *l, struct buf *b)
{
	const struct plan *p = l->plan;

	if (p->nmain < p->nsteps)
		mermaid_out(l, b);
	for (uint32_t i = 0; i < p->nsteps; i++)
		for (uint32_t n = 0; n < p->steps[i].need_count; n++) {
			const struct need *need = &p->needs[p->steps[i].need_first + n];

			graph_indent(l, "\t", 1, b);
			buf_printf(b, "s%u %s s%u\n", l->base + need->to, need->weak ? "-.->" : "-->", l->base + i);
		}
}

static void
mermaid_end(const struct drawing *d, struct buf *b)
{
	for (int s = 0; s < STEP_STATUSES && d->history != NULL; s++)
		buf_printf(b, "\tclassDef c%d fill:%s\n", s, fills[s]);
}

const struct style graph_dot = { dot_begin, dot_step, dot_inside, dot_out, dot_finally, dot_over, dot_end };
const struct style graph_mermaid = { mermaid_begin, mermaid_step, mermaid_inside, mermaid_out, mermaid_finally, mermaid_over, mermaid_end };

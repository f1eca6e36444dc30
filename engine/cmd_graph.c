/* SPDX-License-Identifier: Apache-2.0 */
/* wherry graph: the steps of a plan and what each waits for; of a run with how far each has come. Linear, in plan order:
 * the same plan gives the same text. */
#include "cmd.h"

#include <string.h>

#include "base/text.h"

/* What is drawn: history is NULL for a plan. */
struct drawing {
	const struct plan *plan;
	const char *run, *state;
	const struct history *history;
	bool live;
	const struct style *style;
	struct arena paths;
	uint32_t drawn; /* steps so far */
};

/* A plan of it: the root, or one that a step of another runs. */
struct level {
	struct drawing *of;
	const struct plan *plan;
	const char *prefix; /* of the paths of its steps */
	unsigned depth;
	bool items;         /* it stands for each item of a foreach: no step of it is one of the run */
	uint32_t base;      /* the number of its first step in the drawing */
};

struct style {
	void (*begin)(const struct drawing *, struct buf *);
	void (*step)(const struct level *, uint32_t i, struct buf *);
	void (*inside)(const struct level *, uint32_t i, struct buf *); /* before a step that runs a plan, and the steps of that */
	void (*out)(const struct level *, struct buf *);                /* after them */
	void (*finally)(const struct level *, struct buf *);            /* before the first step of `finally` */
	void (*over)(const struct level *, struct buf *);               /* after the last step */
	void (*end)(const struct drawing *, struct buf *);
};

static const char *
path_of(const struct level *l, uint32_t i)
{
	const char *id = l->plan->steps[i].id;

	return l->prefix[0] != '\0' ? arena_printf(&l->of->paths, "%s%s", l->prefix, id) : id;
}

/* The step's state in a run, or STEP_STATUSES. */
static int
state_of(const struct level *l, uint32_t i)
{
	const struct history *h = l->of->history;
	const struct hist_step *s;

	if (h == NULL || l->items)
		return STEP_STATUSES;
	s = history_step(h, path_of(l, i));
	return s != NULL ? (int)step_shown_status(s, l->of->live) : STEP_PENDING;
}

static void
indent(const struct level *l, const char *by, unsigned more, struct buf *b)
{
	for (unsigned i = 0; i < l->depth + more; i++)
		buf_puts(b, by);
}

static const char *
sub_name(const struct step *s)
{
	const struct node *file = node_get(&s->with, "file"), *name = node_get(&s->with, "name");

	return file != NULL ? file->s : name != NULL ? name->s : "";
}

/* The step's type, what it is about, and how often it runs. */
static void
put_type(const struct level *l, uint32_t i, struct buf *b)
{
	const struct step *s = &l->plan->steps[i];
	const char *reach = plan_reach_of(l->plan, i);

	buf_puts(b, s->type->name);
	if (s->undoes != PLAN_NO_STEP)
		buf_printf(b, " of %s", reach != NULL ? reach : l->plan->steps[s->undoes].id);
	if (s->type == &sub_step) {
		buf_putc(b, ' ');
		text_escape(b, sub_name(s), strlen(sub_name(s)));
	}
	if (s->each)
		buf_puts(b, " for each item");
	if (s->pool > 0)
		buf_printf(b, " (pool %s: %u)", l->plan->pools[s->pool - 1].name, l->plan->pools[s->pool - 1].limit);
}

/* What a reviewer must not miss: what is looked at again before it begins, and that there is no way back. */
static void
put_caution(const struct level *l, const struct step *s, const char *separator, struct buf *b)
{
	for (uint32_t i = 0; i < s->nguards; i++)
		buf_printf(b, "%s%s%s", i == 0 ? separator : ", ", i == 0 ? "guarded by " : "", l->plan->steps[s->guards[i]].id);
	if (s->irreversible == NULL)
		return;
	buf_printf(b, "%sirreversible: ", separator);
	text_escape(b, s->irreversible, strlen(s->irreversible));
}

static void
text_begin(const struct drawing *d, struct buf *b)
{
	if (d->run != NULL)
		buf_printf(b, "run %s: %s\n", d->run, d->state);
	buf_printf(b, "plan %s: %u steps\n", d->plan->name, d->plan->nsteps);
}

static void
text_step(const struct level *l, uint32_t i, struct buf *b)
{
	const struct step *s = &l->plan->steps[i];
	const int state = state_of(l, i);

	buf_puts(b, "  ");
	if (l->of->history != NULL)
		buf_printf(b, "%-9s  ", state < STEP_STATUSES ? step_status_name((enum step_status)state) : "");
	indent(l, "  ", 0, b);
	buf_printf(b, "%-20s  ", s->id);
	put_type(l, i, b);
	for (uint32_t n = 0; n < s->need_count; n++) {
		const struct need *need = &l->plan->needs[s->need_first + n];

		buf_printf(b, "%s%s%s", n == 0 ? ", after " : ", ", l->plan->steps[need->to].id, need->weak ? "?" : "");
	}
	put_caution(l, s, "; ", b);
	buf_putc(b, '\n');
}

static void
text_finally(const struct level *l, struct buf *b)
{
	if (l->depth > 0 && l->of->history != NULL)
		buf_puts(b, "           "); /* under the states */
	indent(l, "  ", 0, b);
	buf_printf(b, "when %s closes:\n", l->depth > 0 ? "it" : "the run");
}

static void
text_nothing(const struct level *l, uint32_t i, struct buf *b)
{
	(void)l, (void)i, (void)b;
}

static void
text_no_more(const struct level *l, struct buf *b)
{
	(void)l, (void)b;
}

static void
text_end(const struct drawing *d, struct buf *b)
{
	for (uint32_t i = 0; i < d->plan->nneeds; i++)
		if (d->plan->needs[i].weak) {
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
put_label(const struct level *l, uint32_t i, struct buf *b)
{
	const struct step *s = &l->plan->steps[i];
	const int state = state_of(l, i);

	buf_printf(b, "%s\n", s->id);
	put_type(l, i, b);
	put_caution(l, s, "\n", b);
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
	const int state = state_of(l, i);
	struct buf label = BUF_INIT(0);

	put_label(l, i, &label);
	indent(l, "\t", s->finally ? 2 : 1, b);
	dot_quoted(b, path_of(l, i));
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
	indent(l, "\t", 1, b);
	buf_printf(b, "subgraph cluster_%u { label=", l->base + i);
	dot_quoted(b, path_of(l, i));
	buf_puts(b, ";\n");
}

static void
dot_out(const struct level *l, struct buf *b)
{
	indent(l, "\t", 1, b);
	buf_puts(b, "}\n");
}

static void
dot_finally(const struct level *l, struct buf *b)
{
	indent(l, "\t", 1, b);
	if (l->depth > 0)
		buf_printf(b, "subgraph cluster_finally_%u {\n", l->base);
	else
		buf_puts(b, "subgraph cluster_finally {\n");
	indent(l, "\t", 2, b);
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

			indent(l, "\t", 1, b);
			dot_quoted(b, path_of(l, need->to));
			buf_puts(b, " -> ");
			dot_quoted(b, path_of(l, i));
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
	const int state = state_of(l, i);
	struct buf label = BUF_INIT(0);

	put_label(l, i, &label);
	indent(l, "\t", s->finally ? 2 : 1, b);
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
	indent(l, "\t", 1, b);
	buf_printf(b, "subgraph p%u[", l->base + i);
	mermaid_quoted(b, path_of(l, i));
	buf_puts(b, "]\n");
}

static void
mermaid_out(const struct level *l, struct buf *b)
{
	indent(l, "\t", 1, b);
	buf_puts(b, "end\n");
}

static void
mermaid_finally(const struct level *l, struct buf *b)
{
	indent(l, "\t", 1, b);
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

			indent(l, "\t", 1, b);
			buf_printf(b, "s%u %s s%u\n", l->base + need->to, need->weak ? "-.->" : "-->", l->base + i);
		}
}

static void
mermaid_end(const struct drawing *d, struct buf *b)
{
	for (int s = 0; s < STEP_STATUSES && d->history != NULL; s++)
		buf_printf(b, "\tclassDef c%d fill:%s\n", s, fills[s]);
}

static const struct {
	const char *name;
	struct style style;
} styles[] = {
	{ "text", { text_begin, text_step, text_nothing, text_no_more, text_finally, text_no_more, text_end } },
	{ "dot", { dot_begin, dot_step, dot_inside, dot_out, dot_finally, dot_over, dot_end } },
	{ "mermaid", { mermaid_begin, mermaid_step, mermaid_inside, mermaid_out, mermaid_finally, mermaid_over, mermaid_end } },
};

/* Plans within plans are drawn as long as there are no more steps than one plan may have. */
static void
draw_level(struct level *l, struct buf *b)
{
	const struct style *style = l->of->style;

	l->base = l->of->drawn;
	l->of->drawn += l->plan->nsteps;
	for (uint32_t i = 0; i < l->plan->nsteps; i++) {
		const struct plan_sub *sub = plan_sub_of(l->plan, i);
		struct level below = { .of = l->of, .depth = l->depth + 1 };

		if (i == l->plan->nmain)
			style->finally(l, b);
		if (sub == NULL || sub->plan->nsteps > PLAN_MAX_STEPS - l->of->drawn) {
			style->step(l, i, b);
			continue;
		}
		below.plan = sub->plan;
		below.items = l->items || l->plan->steps[i].each;
		below.prefix = arena_printf(&l->of->paths, "%s%s/", path_of(l, i), l->plan->steps[i].each ? "[*]" : "");
		style->inside(l, i, b);
		style->step(l, i, b);
		draw_level(&below, b);
		style->out(l, b);
	}
	style->over(l, b);
}

static int
draw(struct front *f, struct drawing *d, struct err *err)
{
	struct level root = { .of = d, .plan = d->plan, .prefix = "" };
	struct buf b = BUF_INIT(0);
	int ret;

	d->style = &styles[0].style;
	for (size_t i = 0; i < countof(styles) && f->opt.format != NULL; i++)
		if (strcmp(styles[i].name, f->opt.format) == 0)
			d->style = &styles[i].style;
	d->style->begin(d, &b);
	draw_level(&root, &b);
	d->style->end(d, &b);
	ret = front_print(&b, err);
	buf_done(&b);
	arena_done(&d->paths);
	return ret;
}

static int
draw_run(struct front *f, const char *run, struct err *err)
{
	struct opened o = { 0 };
	struct drawing d = { .run = run };
	struct plan *plan = NULL;
	char holder[1];
	int ret = -1;

	o.ahead = ahead_begin(front_state(f, err), run);
	if (opened_read(f, run, &o, err) == 0 && (plan = opened_plan(f, &o, err)) != NULL) {
		d.live = journal_live(front_state(f, err), run, holder, sizeof(holder)) == 1;
		d.plan = plan;
		d.history = &o.history;
		d.state = run_shown_status(&o.history, d.live);
		ret = draw(f, &d, err);
	}
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

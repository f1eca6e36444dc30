/* SPDX-License-Identifier: Apache-2.0 */
/* wherry graph: the steps of a plan and what each waits for; of a run with how far each has come. Linear, in plan order:
 * the same plan gives the same text. */
#include "cmd_graph.h"

#include <stdlib.h>
#include <string.h>

#include "base/text.h"

const char *
graph_path(const struct level *l, uint32_t i)
{
	const char *id = l->plan->steps[i].id;

	return l->prefix[0] != '\0' ? arena_printf(&l->of->paths, "%s%s", l->prefix, id) : id;
}

int
graph_state(const struct level *l, uint32_t i)
{
	const struct history *h = l->of->history;
	const struct hist_step *s;

	if (h == NULL || l->items)
		return STEP_STATUSES;
	s = history_step(h, graph_path(l, i));
	return s != NULL ? (int)step_shown_status(s, l->of->live) : STEP_PENDING;
}

void
graph_indent(const struct level *l, const char *by, unsigned more, struct buf *b)
{
	for (unsigned i = 0; i < l->depth + more; i++)
		buf_puts(b, by);
}

/* The path that stands for those of all items. */
static void
put_pattern(struct buf *to, const char *path)
{
	for (const char *at = path; *at != '\0'; at++)
		if (*at == '[' && strchr(at, ']') != NULL) {
			buf_puts(to, "[*]");
			at = strchr(at, ']');
		} else {
			buf_putc(to, *at);
		}
}

/* Count what has become of the steps of items. */
static void
count_items(struct drawing *d)
{
	struct buf pattern = BUF_INIT(0);

	for (uint32_t i = 0; i < d->history->nsteps; i++) {
		const struct hist_step *s = &d->history->steps[i];
		uint32_t at;

		if (s->undo || strchr(s->path, '[') == NULL)
			continue;
		buf_clear(&pattern);
		put_pattern(&pattern, s->path);
		at = map_keep(&d->index, &d->paths, pattern.p, pattern.len, d->ncounts, &(const char *){ NULL });
		if (at == MAP_NONE && d->ncounts == d->cap) {
			d->cap = d->cap * 2 + 16;
			d->counts = xreallocarray(d->counts, d->cap, sizeof(*d->counts));
		}
		if (at == MAP_NONE)
			d->counts[at = d->ncounts++] = (struct counts){ 0 };
		d->counts[at].of[step_shown_status(s, d->live)]++;
	}
	buf_done(&pattern);
}

void
graph_counts(const struct level *l, uint32_t i, const char *separator, struct buf *b)
{
	const struct drawing *d = l->of;
	const char *path;
	uint32_t at;

	if (d->history == NULL || (!l->items && !l->plan->steps[i].each))
		return;
	path = arena_printf(&l->of->paths, "%s%s", graph_path(l, i), l->plan->steps[i].each ? "[*]" : "");
	at = map_get(&d->index, path, strlen(path));
	for (int s = 0, any = 0; at != MAP_NONE && s < STEP_STATUSES; s++)
		if (d->counts[at].of[s] > 0)
			buf_printf(b, "%s%u %s", any++ > 0 ? ", " : separator, d->counts[at].of[s], step_status_name((enum step_status)s));
}

static const char *
sub_name(const struct step *s)
{
	const struct node *file = node_get(&s->with, "file"), *name = node_get(&s->with, "name");

	return file != NULL ? file->s : name != NULL ? name->s : "";
}

void
graph_type(const struct level *l, uint32_t i, struct buf *b)
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

void
graph_caution(const struct level *l, const struct step *s, const char *separator, struct buf *b)
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
	const int state = graph_state(l, i);

	buf_puts(b, "  ");
	if (l->of->history != NULL)
		buf_printf(b, "%-9s  ", state < STEP_STATUSES ? step_status_name((enum step_status)state) : "");
	graph_indent(l, "  ", 0, b);
	buf_printf(b, "%-20s  ", s->id);
	graph_type(l, i, b);
	for (uint32_t n = 0; n < s->need_count; n++) {
		const struct need *need = &l->plan->needs[s->need_first + n];

		buf_printf(b, "%s%s%s", n == 0 ? ", after " : ", ", l->plan->steps[need->to].id, need->weak ? "?" : "");
	}
	graph_caution(l, s, "; ", b);
	graph_counts(l, i, ": ", b);
	buf_putc(b, '\n');
}

static void
text_finally(const struct level *l, struct buf *b)
{
	if (l->depth > 0 && l->of->history != NULL)
		buf_puts(b, "           "); /* under the states */
	graph_indent(l, "  ", 0, b);
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

const struct style graph_text = { text_begin, text_step, text_nothing, text_no_more, text_finally, text_no_more, text_end };

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
		below.prefix = arena_printf(&l->of->paths, "%s%s/", graph_path(l, i), l->plan->steps[i].each ? "[*]" : "");
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

	d->style = &graph_text;
	if (f->opt.format != NULL && f->opt.format[0] != 't')
		d->style = f->opt.format[0] == 'd' ? &graph_dot : &graph_mermaid;
	if (d->history != NULL)
		count_items(d);
	d->style->begin(d, &b);
	draw_level(&root, &b);
	d->style->end(d, &b);
	ret = front_print(&b, err);
	buf_done(&b);
	map_done(&d->index);
	free(d->counts);
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
		opened_show(&o, plan, d.live);
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

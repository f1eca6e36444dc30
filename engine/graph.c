/* SPDX-License-Identifier: Apache-2.0 */
/* Owns the users arrays of a plan's dependency graph, the search for cycles and the selection of steps. All linear in
 * steps and edges, and without recursion: a chain of 200,000 steps is normal. */
#include "graph.h"

#include "base/text.h"

#include <stdlib.h>
#include <string.h>

static void
make(struct graph *g, const struct plan *plan)
{
	uint32_t *first = g->user_first = xreallocarray(NULL, (size_t)plan->nsteps + 1, sizeof(*first));

	/* Each counts its users, then knows where they end, and fills them in from there. */
	memset(first, 0, ((size_t)plan->nsteps + 1) * sizeof(*first));
	for (uint32_t i = 0; i < plan->nsteps; i++)
		for (uint32_t k = 0; k < plan->steps[i].need_count; k++)
			first[plan->needs[plan->steps[i].need_first + k].to]++;
	for (uint32_t i = 0; i < plan->nsteps; i++)
		first[i + 1] += first[i];
	g->users = xreallocarray(NULL, first[plan->nsteps], sizeof(*g->users));
	for (uint32_t i = plan->nsteps; i-- > 0;)
		for (uint32_t k = plan->steps[i].need_count; k-- > 0;) {
			const struct need *need = &plan->needs[plan->steps[i].need_first + k];

			g->users[--first[need->to]] = (struct need){ i, need->weak };
		}
}

const struct graph *
graph_of(const struct plan *plan)
{
	struct graph *g = (struct graph *)&plan->graph;

	if (g->user_first == NULL)
		make(g, plan);
	return g;
}

void
graph_done(struct graph *g)
{
	free(g->user_first);
	free(g->users);
	*g = (struct graph){ 0 };
}

/* The path on the stack from the step that closes the cycle back to itself. */
static void
report_cycle(const struct plan *plan, const uint32_t *stack, size_t depth, uint32_t closes, struct problems *problems)
{
	struct buf text = BUF_INIT(400);
	const struct step *s = &plan->steps[closes];
	size_t from = depth;

	while (from > 0 && stack[from - 1] != closes)
		from--;
	for (size_t i = from > 0 ? from - 1 : 0; i < depth; i++)
		buf_printf(&text, "%s -> ", plan->steps[stack[i]].id);
	if (text.failed)
		buf_clear(&text), buf_puts(&text, "… -> ");
	problems_add(problems, (struct pos){ plan->file, s->line, s->col }, NULL, "dependency cycle: %s%s",
		     text.len > 0 ? text.p : "", s->id);
	buf_done(&text);
}

bool
graph_check_cycles(const struct plan *plan, struct problems *problems)
{
	enum { WHITE, GREY, BLACK };
	unsigned char *color = xcalloc(plan->nsteps, 1);
	uint32_t *stack = xcalloc(plan->nsteps, sizeof(*stack)), *edge = xcalloc(plan->nsteps, sizeof(*edge));
	bool found = false;

	for (uint32_t root = 0; root < plan->nsteps; root++) {
		size_t depth = 0;

		if (color[root] != WHITE)
			continue;
		stack[depth++] = root;
		color[root] = GREY;
		while (depth > 0) {
			uint32_t i = stack[depth - 1], to;

			if (edge[i] == plan->steps[i].need_count) {
				color[i] = BLACK;
				depth--;
				continue;
			}
			to = plan->needs[plan->steps[i].need_first + edge[i]++].to;
			if (color[to] == GREY) {
				report_cycle(plan, stack, depth, to, problems);
				found = true;
			} else if (color[to] == WHITE) {
				color[to] = GREY;
				stack[depth++] = to;
			}
		}
	}
	free(color);
	free(stack);
	free(edge);
	return found;
}

/* Mark everything reachable from step i, along needs (up) or users (down). */
static void
mark(const struct plan *plan, uint32_t i, bool up, bool *seen, uint32_t *stack)
{
	const struct graph *g = graph_of(plan);
	size_t depth = 0;

	if (seen[i])
		return;
	seen[i] = true;
	stack[depth++] = i;
	while (depth > 0) {
		const uint32_t at = stack[--depth];
		const uint32_t n = up ? plan->steps[at].need_count : g->user_first[at + 1] - g->user_first[at];

		for (uint32_t k = 0; k < n; k++) {
			uint32_t to = up ? plan->needs[plan->steps[at].need_first + k].to
					 : g->users[g->user_first[at] + k].to;

			if (!seen[to]) {
				seen[to] = true;
				stack[depth++] = to;
			}
		}
	}
}

void
graph_mark_users(const struct plan *plan, bool *marked)
{
	bool *seen = xcalloc(plan->nsteps + 1, sizeof(*seen));
	uint32_t *stack = xcalloc(plan->nsteps + 1, sizeof(*stack));

	for (uint32_t i = 0; i < plan->nsteps; i++)
		if (marked[i])
			mark(plan, i, false, seen, stack);
	memcpy(marked, seen, plan->nsteps * sizeof(*seen));
	free(seen);
	free(stack);
}

static int
find_selected(const struct plan *plan, const char *id, const char *option, uint32_t *ret, struct err *err)
{
	const char **names;
	const char *near;
	uint32_t i = plan_find(plan, id, strlen(id));

	if (i != MAP_NONE && !plan->steps[i].finally) {
		*ret = i;
		return 0;
	}
	names = xcalloc(plan->nmain, sizeof(*names));
	for (uint32_t k = 0; k < plan->nmain; k++)
		names[k] = plan->steps[k].id;
	near = text_nearest(id, names, plan->nmain);
	if (i != MAP_NONE)
		err_set(err, ERR_USAGE, "%s '%s': a step of 'finally' cannot be selected", option, id);
	else if (near != NULL)
		err_set(err, ERR_USAGE, "%s '%s': no such step; did you mean '%s'?", option, id, near);
	else
		err_set(err, ERR_USAGE, "%s '%s': no such step", option, id);
	free(names);
	return -1;
}

bool
graph_selects_all(const struct selection *sel)
{
	const char *const *const lists[] = { sel->only, sel->from, sel->until };

	for (size_t i = 0; i < countof(lists); i++)
		if (lists[i] != NULL && lists[i][0] != NULL)
			return false;
	return true;
}

int
graph_select(const struct plan *plan, const struct selection *sel, bool *selected, struct err *err)
{
	const struct {
		const char *option;
		const char *const *ids;
		bool closure, up;
	} parts[] = {
		{ "--only", sel->only, false, false },
		{ "--from", sel->from, true, false },
		{ "--until", sel->until, true, true },
	};
	bool *seen = xcalloc(plan->nsteps, sizeof(*seen));
	uint32_t *stack = xcalloc(plan->nsteps, sizeof(*stack));
	int ret = -1;

	for (uint32_t i = 0; i < plan->nsteps; i++)
		selected[i] = true;
	for (size_t p = 0; p < countof(parts); p++) {
		if (parts[p].ids == NULL || parts[p].ids[0] == NULL)
			continue;
		memset(seen, 0, plan->nsteps * sizeof(*seen));
		for (const char *const *id = parts[p].ids; *id != NULL; id++) {
			uint32_t i;

			if (find_selected(plan, *id, parts[p].option, &i, err) < 0)
				goto out;
			if (parts[p].closure)
				mark(plan, i, parts[p].up, seen, stack);
			else
				seen[i] = true;
		}
		for (uint32_t i = 0; i < plan->nmain; i++)
			selected[i] = selected[i] && seen[i];
	}
	ret = graph_selects_all(sel) || memchr(selected, true, plan->nmain) != NULL ? 0 :
		err_set(err, ERR_USAGE, "the selected steps have none in common: nothing would run");
out:
	free(seen);
	free(stack);
	return ret;
}

int
graph_selected_whole(const struct plan *plan, const bool *selected, const bool *over, struct err *err)
{
	for (uint32_t i = 0; i < plan->nmain; i++)
		for (uint32_t k = 0; selected[i] && !over[i] && k < plan->steps[i].need_count; k++) {
			const uint32_t to = plan->needs[plan->steps[i].need_first + k].to;

			if (!selected[to] && !over[to])
				return err_set(err, ERR_USAGE, "step '%s' needs '%s', which is left out and has not finished in "
					       "this run", plan->steps[i].id, plan->steps[to].id);
		}
	return 0;
}

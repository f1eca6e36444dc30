/* SPDX-License-Identifier: Apache-2.0 */
/* Fuzz target: a plan file. The first byte chooses where it goes: a plan with a small registry, its problems shown and
 * its parameters resolved from defaults; or a file of parameters. A line of dashes begins the next of the plans that the
 * first one may run. */
#include <stdlib.h>
#include <string.h>

#include "graph.h"
#include "plan.h"
#include "tests/unit/fake_registry.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What must hold for every plan that is accepted. */
static void
check_plan(const struct plan *plan)
{
	if (plan->nmain == 0 || plan->nmain > plan->nsteps || plan->name == NULL)
		abort();
	for (uint32_t i = 0; i < plan->nsteps; i++) {
		const struct step *s = &plan->steps[i];

		if ((plan_foreach_of(plan, i) != NULL) != s->each || (plan_sub_of(plan, i) != NULL) != (s->type == &sub_step) ||
		    s->pool > plan->npools)
			abort();
		if (s->type == NULL || s->policy == NULL || s->finally != (i >= plan->nmain) ||
		    plan_find(plan, s->id, strlen(s->id)) != i)
			abort();
		for (uint32_t k = 0; k < s->need_count; k++)
			if (plan->needs[s->need_first + k].to >= plan->nsteps || plan->needs[s->need_first + k].to == i)
				abort();
	}
	(void)graph_of(plan);
}

static void
resolve(const struct plan *plan, struct problems *problems)
{
	const struct param_source from = { 0 };
	struct arena a = ARENA_INIT;
	struct value v;

	(void)params_resolve(plan, &from, &a, &v, problems);
	arena_done(&a);
}

static void
read_values(const char *text, size_t len, struct problems *problems)
{
	struct arena a = ARENA_INIT;
	struct buf shown = BUF_INIT(0);
	struct node root, copy;
	struct value v;

	if (yaml_parse(&a, "fuzz", text, len, NULL, NULL, &root, problems) == 0) {
		copy = node_copy(&a, &root);
		v = node_value(&a, &copy);
		value_show(&shown, &v);
	}
	buf_done(&shown);
	arena_done(&a);
}

#define BREAK "\n--------\n"

struct input {
	const char *text;
	size_t len;
};

/* The nth of the plans; the last one where there are fewer. */
static struct input
nth(struct input in, unsigned n)
{
	const char *at;

	while ((at = memmem(in.text, in.len, BREAK, strlen(BREAK))) != NULL) {
		if (n-- == 0)
			return (struct input){ in.text, (size_t)(at - in.text) };
		at += strlen(BREAK);
		in = (struct input){ at, in.len - (size_t)(at - in.text) };
	}
	return in;
}

/* plan_reader.read: the plan after the first one that the last letter of a path says. */
static int
read_part(void *data, const char *from, const char *word, bool bundled, const char *key, struct arena *a, const char **ret_file,
	  struct buf *to, struct err *err)
{
	const struct input part = nth(*(struct input *)data, 1 + (unsigned char)word[strlen(word) - 1] % 4);

	(void)from;
	*ret_file = arena_strdup(a, key);
	if (bundled)
		return err_set(err, ERR_USAGE, "nothing is bundled");
	buf_put(to, part.text, part.len);
	return 0;
}

/* A plan below another is one too, and what stands for its targets is there. */
static void
check_parts(const struct plan *plan)
{
	for (uint32_t i = 0; i < plan->nsubs; i++)
		for (size_t k = 0; k < plan->subs[i].plan->ntargets; k++)
			if (plan->subs[i].targets[k] > plan->ntargets)
				abort();
	for (uint32_t i = 0; i < plan->nparts; i++) {
		check_plan(plan->parts[i]);
		check_parts(plan->parts[i]);
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct problems problems = PROBLEMS_INIT;
	struct buf shown = BUF_INIT(0);
	struct input in = { (const char *)data + 1, size - 1 };
	const struct plan_reader reader = { read_part, &in };
	struct plan *plan = NULL;
	const char *text = (const char *)data + 1;

	if (size == 0)
		return 0;
	if (data[0] == 'v') {
		read_values(text, size - 1, &problems);
	} else {
		plan = plan_load(&fake_registry, &reader, "fuzz", text, nth(in, 0).len, &problems);
		if ((plan == NULL) != (problems.n > 0))
			abort();
	}
	if (plan != NULL) {
		check_plan(plan);
		check_parts(plan);
		resolve(plan, &problems);
	}
	problems_sort(&problems);
	problems_show(&problems, &shown, text, size - 1);
	buf_done(&shown);
	problems_done(&problems);
	plan_free(plan);
	return 0;
}

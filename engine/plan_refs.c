/* SPDX-License-Identifier: Apache-2.0 */
/* Owns what a reference in a plan means, by where it stands, and the needs that follow: a reference to steps.X is a need;
 * where a step is named twice, the strong need wins. Secrets may be named only where the table allows one. */
#include <stdlib.h>
#include <string.h>

#include "plan_site.h"

#define OUTPUTS_MAX 32 /* of a step type */
#define SEARCHES_MAX 8 /* unknown step names that get a suggestion */

static void
push_need(struct needs *v, uint32_t to, bool weak)
{
	if (v->n == v->cap) {
		v->cap = v->cap == 0 ? 4 : v->cap * 2;
		v->list = xreallocarray(v->list, v->cap, sizeof(*v->list));
	}
	v->list[v->n++] = (struct need){ to, weak };
}

void
site_unknown_step(struct loader *l, const char *id, struct pos where)
{
	const char **names;

	if (l->searches++ >= SEARCHES_MAX) {
		problems_add(l->problems, where, NULL, "unknown step '%.60s'", id);
		return;
	}
	names = xcalloc(l->plan->nsteps, sizeof(*names));
	for (uint32_t i = 0; i < l->plan->nsteps; i++)
		names[i] = l->plan->steps[i].id;
	problems_add_near(l->problems, where, id, names, l->plan->nsteps, "unknown step '%.60s'",
			  id);
	free(names);
}

void
site_need(const struct site *c, uint32_t to, bool weak, bool explicit, struct pos where)
{
	const struct step *from = &c->l->plan->steps[c->step], *other = &c->l->plan->steps[to];

	if (to == c->step) {
		problems_add(c->l->problems, where, NULL, "step '%s' refers to itself", from->id);
		return;
	}
	if (!from->finally && other->finally) {
		problems_add(c->l->problems, where, NULL,
			     "step '%s' cannot wait for '%s', which is in 'finally'", from->id,
			     other->id);
		return;
	}
	if (from->finally && !other->finally) {
		if (explicit && !weak)
			problems_add(c->l->problems, where, NULL,
				     "a step of 'finally' runs whatever happened before: write "
				     "'%s?', or a 'when'",
				     other->id);
		weak = true;
	}
	if (c->stamp[to] == c->step + 1) {
		struct need *there = &c->l->needs.list[c->seen[to]];

		there->weak = there->weak && weak;
		return;
	}
	c->stamp[to] = c->step + 1;
	c->seen[to] = (uint32_t)c->l->needs.n;
	push_need(&c->l->needs, to, weak);
}

static void
use_target(const struct site *c, uint32_t target, struct pos where)
{
	const struct needs *v = &c->l->target_needs[target];

	for (size_t i = 0; i < v->n; i++) {
		if (c->step != MAP_NONE)
			site_need(c, v->list[i].to, v->list[i].weak, false, where);
		else if (c->target != MAP_NONE)
			push_need(&c->l->target_needs[c->target], v->list[i].to, v->list[i].weak);
	}
}

/* Outputs are data too: one that the step type does not have would read as null for ever. */
static void
check_output(const struct site *c, const struct expr_ref *ref, uint32_t step)
{
	const struct step_type *type = c->l->plan->steps[step].type;
	const struct plan_sub *sub = plan_sub_of(c->l->plan, step);
	const char *names[OUTPUTS_MAX];
	size_t n = 0;

	if (c->l->plan->steps[step].each)
		return; /* they are a map by key */
	for (uint32_t i = 0; sub != NULL && i < sub->plan->outputs.len; i++) {
		if (strcmp(sub->plan->outputs.items[2 * i].s, ref->output) == 0)
			return;
		if (n < OUTPUTS_MAX)
			names[n++] = sub->plan->outputs.items[2 * i].s;
	}
	for (const struct field *f = sub == NULL ? type->outputs : NULL; f != NULL && f->name != NULL; f++) {
		if (strcmp(f->name, ref->output) == 0 || strcmp(f->name, "*") == 0 || n == OUTPUTS_MAX)
			return;
		names[n++] = f->name;
	}
	problems_add_near(c->l->problems, ref->where, ref->output, names, n,
			  "step '%s' (%s) has no output '%.60s'", ref->key, type->name, ref->output);
}

static void
ref_step(const struct site *c, const struct expr_ref *ref)
{
	const bool weak = ref->member != NULL && strcmp(ref->member, "outputs") != 0;
	const uint32_t to = plan_find(c->l->plan, ref->key, strlen(ref->key));

	if (to == MAP_NONE) {
		site_unknown_step(c->l, ref->key, ref->where);
		return;
	}
	if (ref->output != NULL && c->l->plan->steps[to].type != NULL)
		check_output(c, ref, to);
	if (ref->member != NULL && strcmp(ref->member, "items") == 0 && !c->l->plan->steps[to].each)
		problems_add(c->l->problems, ref->where, NULL, "step '%s' has no items: it has no 'foreach'", ref->key);
	if (c->step != MAP_NONE)
		site_need(c, to, weak, false, ref->where);
	else if (c->target != MAP_NONE)
		push_need(&c->l->target_needs[c->target], to, weak);
}

static void
ref_param(const struct site *c, const struct expr_ref *ref)
{
	const struct plan *p = c->l->plan;
	const uint32_t at = map_get(&c->l->param_index, ref->key, strlen(ref->key));
	const char **names;

	if (at != MAP_NONE) {
		if (p->params[at].field.secret && !c->secret)
			problems_add(c->l->problems, ref->where, NULL,
				     "secret 'params.%s' in '%s', which may not hold one", ref->key,
				     c->what);
		return;
	}
	names = xcalloc(p->nparams, sizeof(*names));
	for (size_t i = 0; i < p->nparams; i++)
		names[i] = p->params[i].field.name;
	problems_add_near(c->l->problems, ref->where, ref->key, names, p->nparams,
			  "unknown param '%.60s'", ref->key);
	free(names);
}

uint32_t
site_find_target(const struct site *c, const char *name, struct pos where)
{
	const struct plan *p = c->l->plan;
	const uint32_t at = map_get(&c->l->target_index, name, strlen(name));
	const char **names;

	if (at != MAP_NONE && c->target != MAP_NONE && at >= c->target) {
		problems_add(c->l->problems, where, NULL,
			     "target '%s' is not declared above this one", name);
		return MAP_NONE;
	}
	if (at != MAP_NONE)
		return at;
	names = xcalloc(p->ntargets, sizeof(*names));
	for (size_t i = 0; i < p->ntargets; i++)
		names[i] = p->targets[i].name;
	problems_add_near(c->l->problems, where, name, names, p->ntargets, "unknown target '%.60s'",
			  name);
	free(names);
	return MAP_NONE;
}

/* item, index, key */
static void
ref_item(struct site *c, const struct expr_ref *ref)
{
	if (!c->each)
		problems_add(c->l->problems, ref->where, NULL, "'%s' is known only in a step with 'foreach'", ref->root);
	c->named |= ref->root[0] == 'k' ? NAMES_KEY : ref->root[1] == 't' ? NAMES_ITEM : NAMES_INDEX;
}

/* expr_ref_fn */
static int
check_ref(void *data, const struct expr_ref *ref)
{
	struct site *c = data;
	uint32_t target;

	if (strcmp(ref->root, "steps") == 0) {
		ref_step(c, ref);
	} else if (strcmp(ref->root, "params") == 0) {
		ref_param(c, ref);
	} else if (strcmp(ref->root, "targets") == 0) {
		target = site_find_target(c, ref->key, ref->where);
		if (target != MAP_NONE)
			use_target(c, target, ref->where);
	} else if (strcmp(ref->root, "value") == 0) {
		if (!c->value)
			problems_add(c->l->problems, ref->where, NULL,
				     "'value' is known only in inputs of type expression");
	} else if (strcmp(ref->root, "run") != 0) {
		ref_item(c, ref);
	}
	return 0;
}

void
site_template(struct site *c, const struct node *n)
{
	template_check(c->l->host, n, c->l->plan->file, check_ref, c, c->l->problems);
}

const char *
site_target_kind(void *data, const struct node *name)
{
	const struct site *c = data;
	const struct pos where = plan_pos(c->l, name);
	const uint32_t at = site_find_target(c, name->s, where);

	if (at == MAP_NONE)
		return NULL;
	use_target(c, at, where);
	return c->l->plan->targets[at].type != NULL ? c->l->plan->targets[at].type->kind : NULL;
}

struct uses {
	const struct plan *plan;
	struct expr_host *host;
	struct map index;
	bool *used;
};

/* expr_ref_fn */
static int
use_param(void *data, const struct expr_ref *ref)
{
	const struct uses *u = data;
	const uint32_t at = strcmp(ref->root, "params") == 0 ? map_get(&u->index, ref->key, strlen(ref->key)) : MAP_NONE;

	if (at != MAP_NONE)
		u->used[at] = true;
	return 0;
}

static void
use_node(struct uses *u, const struct node *n)
{
	struct problems none = PROBLEMS_INIT;

	template_check(u->host, n, u->plan->file, use_param, u, &none);
	problems_done(&none);
}

void
plan_used_params(const struct plan *p, struct expr_host *host, const uint32_t *handed, bool *used)
{
	struct uses u = { p, host, MAP_INIT, used };

	for (uint32_t i = 0; i < p->nparams; i++)
		(void)map_add(&u.index, p->params[i].field.name, strlen(p->params[i].field.name), i);
	for (uint32_t i = 0; i < p->nsteps; i++) {
		use_node(&u, &p->steps[i].with);
		if (p->steps[i].when != NULL)
			use_node(&u, p->steps[i].when);
	}
	for (uint32_t i = 0; i < p->nforeachs; i++) {
		use_node(&u, p->foreachs[i].list);
		use_node(&u, p->foreachs[i].key);
	}
	for (uint32_t i = 0; i < p->nundos; i++)
		use_node(&u, &p->undos[i].with);
	for (size_t i = 0; i < p->ntargets; i++)
		if (handed == NULL || handed[i] == 0)
			use_node(&u, &p->targets[i].fields);
	use_node(&u, &p->outputs);
	map_done(&u.index);
}

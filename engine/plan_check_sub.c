/* SPDX-License-Identifier: Apache-2.0 */
/* Owns the check of a step that runs another plan: what is handed in against what that plan declares, and the words that
 * mean nothing to such a step. */
#include <string.h>

#include "base/text.h"
#include "plan_site.h"

static struct pos
sub_pos(const struct site *c, const struct plan_sub *sub)
{
	const struct step *s = &c->l->plan->steps[sub->step];

	return (struct pos){ c->l->plan->file, s->line, s->col };
}

static void
refuse_words(const struct site *c, const struct step *s, const struct draft *d)
{
	const unsigned said = c->l->said[d->policy]->said & ~(unsigned)SAID_ON_ERROR;
	const struct {
		bool there;
		const char *word, *why;
	} words[] = {
		{ (said & SAID_TIMEOUT) != 0, "timeout", "each of its steps has its own" },
		{ (said & ~(unsigned)SAID_TIMEOUT) != 0, "retry", "each of its steps has its own" },
		{ d->guard != NULL, "guard", "the step inside that has the first effect takes it" },
		{ d->undo.len > 0, "undo", "its steps are taken back, the last one first" },
		{ s->irreversible != NULL, "irreversible", "the step inside after which there is no way back takes it" },
	};

	for (size_t i = 0; i < countof(words); i++)
		if (words[i].there)
			problems_add(c->l->problems, (struct pos){ c->l->plan->file, s->line, s->col }, NULL,
				     "step '%s': '%s' says nothing about a plan: %s", s->id, words[i].word, words[i].why);
}

/* A parameter that only tells how to reach what is handed in need not be given. */
static void
waive_params(const struct site *c, const struct plan_sub *sub, struct field *fields)
{
	bool *used = arena_array(&c->l->scratch, sub->plan->nparams, sizeof(*used));

	plan_used_params(sub->plan, c->l->host, sub->targets, used);
	for (size_t i = 0; i < sub->plan->nparams; i++)
		fields[i].required = fields[i].required && used[i];
}

static void
check_params(struct site *c, const struct plan_sub *sub)
{
	const struct plan *p = sub->plan;
	struct field *fields = arena_array(&c->l->scratch, p->nparams + 1, sizeof(*fields));
	bool missing = false, handed = false;

	for (size_t i = 0; i < p->nparams; i++) {
		fields[i] = p->params[i].field;
		missing = missing || (fields[i].required && node_get(&sub->params, fields[i].name) == NULL);
	}
	for (size_t i = 0; i < p->ntargets; i++)
		handed = handed || sub->targets[i] != 0;
	if (missing && handed)
		waive_params(c, sub, fields);
	schema_check(fields, &sub->params, sub->params.len > 0 ? plan_pos(c->l, &sub->params) : sub_pos(c, sub), c->l->plan->file, site_target_kind, c, c->l->problems);
	for (uint32_t i = 0; i < sub->params.len; i++) {
		const struct node *name = &sub->params.items[2 * i];
		const struct field *f = schema_field(fields, name->s);

		c->what = name->s;
		c->secret = f == NULL || f->secret;
		c->value = false;
		site_template(c, name + 1);
	}
}

static uint32_t
target_of(const struct plan *p, const char *name)
{
	for (uint32_t i = 0; i < p->ntargets; i++)
		if (strcmp(p->targets[i].name, name) == 0)
			return i;
	return MAP_NONE;
}

static void
unknown_target(const struct site *c, const struct plan *p, const struct node *name)
{
	const char **names = arena_array(&c->l->scratch, p->ntargets, sizeof(*names));

	for (size_t i = 0; i < p->ntargets; i++)
		names[i] = p->targets[i].name;
	problems_add_near(c->l->problems, plan_pos(c->l, name), name->s, names, p->ntargets, "plan '%s' has no target '%.60s'",
			  p->name, name->s);
}

/* One of ours stands for one of that plan's. */
static void
check_target(struct site *c, const struct plan *p, const struct node *name)
{
	const struct node *ours = name + 1;
	const uint32_t at = target_of(p, name->s);
	const char *kind;

	if (at == MAP_NONE)
		unknown_target(c, p, name);
	if (ours->kind != NODE_SCALAR || !schema_is_literal(ours)) {
		problems_add(c->l->problems, plan_pos(c->l, ours), NULL, "target '%.60s': expected the name of a target of this plan", name->s);
		return;
	}
	kind = site_target_kind(c, ours);
	if (at != MAP_NONE && kind != NULL && strcmp(kind, p->targets[at].type->kind) != 0)
		problems_add(c->l->problems, plan_pos(c->l, ours), NULL, "target '%s' of plan '%s' is of kind %s, but '%s' is of kind %s",
			     name->s, p->name, p->targets[at].type->kind, ours->s, kind);
}

static void
check_targets(struct site *c, const struct plan_sub *sub)
{
	const struct node *targets = node_get(&c->l->plan->steps[sub->step].with, "targets");

	for (uint32_t i = 0; targets != NULL && targets->kind == NODE_MAP && i < targets->len; i++)
		check_target(c, sub->plan, &targets->items[2 * i]);
	for (uint32_t i = 0; i < sub->plan->ntargets; i++) {
		const struct plan_target *t = &sub->plan->targets[i];

		if (t->required && (targets == NULL || targets->kind != NODE_MAP || node_get(targets, t->name) == NULL))
			problems_add(c->l->problems, sub_pos(c, sub), NULL, "missing target '%s' (%s): plan '%s' has none of its own", t->name,
				     t->type->kind, sub->plan->name);
	}
}

/* Names must be known before the run; of values it is enough to know them then. */
static void
check_maps(const struct site *c, const struct step *s)
{
	static const char *const maps[] = { "params", "targets" };

	for (size_t i = 0; i < countof(maps); i++) {
		const struct node *n = node_get(&s->with, maps[i]);

		if (n != NULL && n->kind == NODE_SCALAR && template_has_expr(n->s))
			problems_add(c->l->problems, plan_pos(c->l, n), NULL, "'%s': expected a map, whose values may be expressions", maps[i]);
	}
}

void
plan_check_sub(struct site *c, uint32_t step)
{
	const struct step *s = &c->l->plan->steps[step];
	const struct plan_sub *sub = plan_sub_of(c->l->plan, step);

	schema_check(sub_step.inputs, &s->with, (struct pos){ c->l->plan->file, s->line, s->col }, c->l->plan->file,
		     site_target_kind, c, c->l->problems);
	refuse_words(c, s, &c->l->drafts[step]);
	check_maps(c, s);
	if (sub == NULL)
		return;
	check_params(c, sub);
	check_targets(c, sub);
}

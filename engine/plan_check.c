/* SPDX-License-Identifier: Apache-2.0 */
/* Owns the checks that need the whole plan: inputs against the tables, explicit needs, guards, undos, targets. What the
 * references in their expressions mean is plan_refs.c's. */
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "plan_site.h"
#include "undo.h"

static struct pos
step_pos(const struct loader *l, const struct step *s)
{
	return (struct pos){ l->plan->file, s->line, s->col };
}

static void check_with(struct site *c, const struct step_type *type, const struct node *with,
		       struct pos at);

/* May a step of this type and these inputs be called by another: has it no effects, and does it not wait for others? */
static bool
is_callable(const struct step_type *type, const struct node *with)
{
	struct arena a = ARENA_INIT;
	void *args = arena_alloc(&a, type->args_size);
	bool quiet;

	(void)schema_bind_literals(type->inputs, with, &a, args);
	quiet = (type->flags & STEP_READ_ONLY) != 0 || (type->is_read_only != NULL && type->is_read_only(args));
	arena_done(&a);
	return quiet && (type->flags & STEP_PARKS) == 0;
}

/* A nested step has no effects, whatever it is. */
static void
check_call(struct site *c, const struct node *call)
{
	static const struct node none = { .kind = NODE_MAP };
	const struct node *uses = node_get(call, "uses"), *with = node_get(call, "with");
	const struct step_type *type;

	if (uses == NULL || uses->kind != NODE_SCALAR || (with != NULL && with->kind != NODE_MAP))
		return; /* schema_check has said so */
	type = plan_step_type(c->l, uses);
	if (with == NULL)
		with = &none;
	check_with(c, type, with, plan_pos(c->l, call));
	if (type != NULL && !is_callable(type, with))
		problems_add(c->l->problems, plan_pos(c->l, uses), NULL,
			     "'%s' %s: only a read-only step can stand here%s", type->name,
			     type->flags & STEP_PARKS ? "only waits" : "may change something",
			     type->is_read_only != NULL ? " (read_only: true)" : "");
}

static void
check_args(const struct site *c, const struct step_type *type, const struct node *with,
	   struct pos at)
{
	struct arena a = ARENA_INIT;
	struct err err = ERR_INIT;
	void *args = arena_alloc(&a, type->args_size);

	if (schema_bind_literals(type->inputs, with, &a, args) && type->check(args, &err) < 0)
		problems_add(c->l->problems, at, NULL, "%s", err.msg);
	arena_done(&a);
}

static void
check_with(struct site *c, const struct step_type *type, const struct node *with, struct pos at)
{
	const size_t before = c->l->problems->n + c->l->problems->dropped;

	if (type != NULL)
		schema_check(type->inputs, with, at, c->l->plan->file, site_target_kind, c,
			     c->l->problems);
	for (uint32_t i = 0; i < with->len; i++) {
		const struct node *key = &with->items[2 * i], *n = key + 1;
		const struct field *f = type != NULL ? schema_field(type->inputs, key->s) : NULL;

		if (f != NULL && f->type == F_CALL) {
			check_call(c, n);
			continue;
		}
		c->what = key->s;
		c->secret = f == NULL || f->secret || f->type == F_SECRET;
		c->value = f == NULL || f->type == F_EXPR;
		site_template(c, n);
	}
	if (type != NULL && type->check != NULL &&
	    c->l->problems->n + c->l->problems->dropped == before)
		check_args(c, type, with, at);
}

/* The step of this id, or MAP_NONE with a problem. weak: may it be written `id?`, and is it? */
static uint32_t
named_step(const struct site *c, const char *word, const struct node *n, bool *weak)
{
	const bool marked = weak != NULL && n->kind == NODE_SCALAR && n->len > 0 && n->s[n->len - 1] == '?';
	const uint32_t len = n->len - marked;
	uint32_t to;
	char id[64];

	if (n->kind != NODE_SCALAR || !text_is_name(n->s, len)) {
		problems_add(c->l->problems, plan_pos(c->l, n), NULL, "'%s': expected the id of a step%s", word,
			     weak != NULL ? ", or 'id?'" : "");
		return MAP_NONE;
	}
	memcpy(id, n->s, len);
	id[len] = '\0';
	to = plan_find(c->l->plan, id, len);
	if (to == MAP_NONE)
		site_unknown_step(c->l, id, plan_pos(c->l, n));
	if (weak != NULL)
		*weak = marked;
	return to;
}

/* A guard looks at the world again, so it has to be a step that looks, and that can be called. */
static void
check_guards(const struct site *c, struct step *s, const struct node *guard)
{
	uint32_t *list = arena_array(&c->l->plan->arena, guard->len, sizeof(*list));

	if (guard->len > PLAN_MAX_GUARDS) {
		problems_add(c->l->problems, plan_pos(c->l, guard), NULL, "more than %d guards", PLAN_MAX_GUARDS);
		return;
	}
	for (uint32_t i = 0; i < guard->len; i++) {
		const uint32_t to = named_step(c, "guard", &guard->items[i], NULL);
		const struct step *other = to != MAP_NONE ? &c->l->plan->steps[to] : NULL;

		if (other == NULL)
			continue;
		site_need(c, to, false, true, plan_pos(c->l, &guard->items[i]));
		if (other->each)
			problems_add(c->l->problems, plan_pos(c->l, &guard->items[i]), NULL,
				     "guard '%s': a step with 'foreach' cannot be one", other->id);
		list[s->nguards++] = to;
		if (other->type != NULL && ((other->type->flags & STEP_PURE) || !is_callable(other->type, &other->with)))
			problems_add(c->l->problems, plan_pos(c->l, &guard->items[i]), NULL,
				     "guard '%s' (%s): only a step that reads and changes nothing can be one%s", other->id,
				     other->type->name, other->type->is_read_only != NULL ? " (read_only: true)" : "");
	}
	s->guards = list;
}

static void
check_explicit(const struct site *c, const struct node *needs)
{
	for (uint32_t i = 0; i < needs->len; i++) {
		bool weak;
		const uint32_t to = named_step(c, "needs", &needs->items[i], &weak);

		if (to != MAP_NONE)
			site_need(c, to, weak, true, plan_pos(c->l, &needs->items[i]));
	}
}

/* The step of that id in a plan below, or NULL with a problem. */
static const struct step *
step_below(struct loader *l, const struct node *name, const struct plan *p, const char *id)
{
	const uint32_t i = plan_find(p, id, strlen(id));
	const char **names;

	if (i != MAP_NONE)
		return &p->steps[i];
	names = arena_array(&l->scratch, p->nsteps, sizeof(*names));
	for (uint32_t k = 0; k < p->nsteps; k++)
		names[k] = p->steps[k].id;
	problems_add_near(l->problems, plan_pos(l, name), id, names, p->nsteps, "plan '%s' has no step '%.60s'", p->name, id);
	return NULL;
}

/* A path that a step of `finally` takes back: ID, or down into plans that are known now, ID/ID. Returns the last step, or
 * NULL with a problem; ret_first: the first one. */
static const struct step *
step_at(struct loader *l, const struct node *name, uint32_t *ret_first)
{
	char *rest = arena_strdup(&l->scratch, name->s), *id = strsep(&rest, "/");
	const struct plan *p = l->plan;
	const struct step *s;

	*ret_first = plan_find(p, id, strlen(id));
	if (*ret_first == MAP_NONE) {
		site_unknown_step(l, id, plan_pos(l, name));
		return NULL;
	}
	s = &p->steps[*ret_first];
	while (s != NULL && (id = strsep(&rest, "/")) != NULL) {
		const struct plan_sub *sub = plan_sub_of(p, (uint32_t)(s - p->steps));

		if (s->each || s->type != &sub_step)
			problems_add(l->problems, plan_pos(l, name), NULL, "'%s': step '%s' %s", name->s, s->id,
				     s->each ? "has 'foreach': its items are not known from the plan" : "runs no plan that would have steps");
		if (sub == NULL || s->each)
			return NULL;
		p = sub->plan;
		s = step_below(l, name, p, id);
	}
	return s;
}

/* `uses: undo, with: {step: ID}` of `finally`. */
static void
resolve_undo(struct loader *l, uint32_t i)
{
	struct step *s = &l->plan->steps[i];
	const struct node *name = node_get(&s->with, "step");
	const struct step *last;

	if (name == NULL || name->kind != NODE_SCALAR || s->with.len != 1) {
		problems_add(l->problems, step_pos(l, s), NULL, "step '%s': 'undo' takes {step: ID}", s->id);
		return;
	}
	last = step_at(l, name, &s->undoes);
	s->type = &undo_step;
	s->with = (struct node){ .kind = NODE_MAP };
	if (s->undoes == PLAN_NO_STEP)
		return;
	if (last != NULL && last->type != NULL && (last->type->flags & (STEP_READ_ONLY | STEP_PURE)))
		problems_add(l->problems, plan_pos(l, name), NULL, "step '%s' (%s) changes nothing that could be taken back",
			     name->s, last->type->name);
	l->plan->steps[s->undoes].undone = true;
	if (strchr(name->s, '/') != NULL)
		l->plan->reaches[l->plan->nreaches++] = (struct plan_reach){ i, name->s };
}

/* What `undo:` says is kept. It is run when its step has ended, so that it may name the outputs of any other step. */
static void
check_undo(struct site *c, uint32_t i)
{
	static const struct node none = { .kind = NODE_MAP };
	struct loader *l = c->l;
	const struct node *undo = &l->drafts[i].undo, *with = node_get(undo, "with");
	struct plan_undo *kept;

	if (undo->len == 0)
		return;
	kept = &l->plan->undos[l->plan->nundos++];
	kept->step = i;
	kept->type = plan_step_type(l, node_get(undo, "uses"));
	kept->with = with != NULL && with->kind == NODE_MAP ? node_copy(&l->plan->arena, with) : none;
	c->step = MAP_NONE;
	c->each = l->plan->steps[i].each;
	check_with(c, kept->type, &kept->with, plan_pos(l, undo));
}

static void
check_undos(struct site *c)
{
	struct plan *p = c->l->plan;
	size_t n = 0;

	for (uint32_t i = 0; i < p->nsteps; i++)
		n += c->l->drafts[i].undo.len > 0;
	p->undos = arena_array(&p->arena, n, sizeof(*p->undos));
	for (uint32_t i = 0; i < p->nsteps; i++)
		check_undo(c, i);
}

/* What may hold no secret and knows no `value`. */
static void
check_plain(struct site *c, const char *what, const struct node *n)
{
	c->what = what;
	c->secret = c->value = false;
	site_template(c, n);
}

/* The list knows no item yet; the key has to be of the item, whatever its place is. */
static void
check_foreach(struct site *c, const struct step *s, const struct draft *d)
{
	c->each = false;
	check_plain(c, "foreach", d->foreach);
	c->each = true;
	c->named = 0;
	if (d->key == NULL)
		return;
	check_plain(c, "key", d->key);
	if (c->named != NAMES_ITEM)
		problems_add(c->l->problems, plan_pos(c->l, d->key), "key: ${{ item.name }}",
			     "step '%s': 'key' has to tell items apart by what they are: by 'item'%s", s->id,
			     c->named != 0 ? " alone" : "");
}

static void
check_step(struct site *c, uint32_t i)
{
	struct loader *l = c->l;
	struct step *s = &l->plan->steps[i];

	c->step = i;
	c->each = s->each;
	s->need_first = (uint32_t)l->needs.n;
	if (s->undoes != PLAN_NO_STEP)
		site_need(c, s->undoes, true, false, step_pos(c->l, s));
	check_explicit(c, &c->l->drafts[i].needs);
	if (c->l->drafts[i].guard != NULL)
		check_guards(c, s, c->l->drafts[i].guard);
	if (s->each)
		check_foreach(c, s, &l->drafts[i]);
	if (s->type == &sub_step)
		plan_check_sub(c, i);
	else
		check_with(c, s->type, &s->with, step_pos(l, s));
	c->named = 0;
	if (s->when != NULL)
		check_plain(c, "when", s->when);
	if (s->each && c->named != 0)
		((struct plan_foreach *)plan_foreach_of(l->plan, i))->when_each = true;
	s->need_count = (uint32_t)c->l->needs.n - s->need_first;
}

static void
check_target(struct site *c, uint32_t i)
{
	const struct plan_target *t = &c->l->plan->targets[i];

	c->target = i;
	if (t->type != NULL && !t->required)
		schema_check(t->type->fields, &t->fields, t->where, t->where.file, site_target_kind, c,
			     c->l->problems);
	for (uint32_t k = 0; k < t->fields.len; k++) {
		const struct node *key = &t->fields.items[2 * k];
		const struct field *f =
		    t->type != NULL ? schema_field(t->type->fields, key->s) : NULL;

		c->what = key->s;
		c->secret = f == NULL || f->secret || f->type == F_SECRET;
		site_template(c, key + 1);
	}
	c->target = MAP_NONE;
}

void
plan_check(struct loader *l)
{
	struct plan *p = l->plan;
	struct site c = { .l = l, .step = MAP_NONE, .target = MAP_NONE };
	uint32_t undoes = 0;

	c.seen = xcalloc(p->nsteps, sizeof(*c.seen));
	c.stamp = xcalloc(p->nsteps, sizeof(*c.stamp));
	l->target_needs = xcalloc(p->ntargets, sizeof(*l->target_needs));
	for (uint32_t i = 0; i < p->ntargets; i++)
		check_target(&c, i);
	for (uint32_t i = 0; i < p->outputs.len; i++) {
		c.what = p->outputs.items[2 * i].s;
		c.secret = false;
		site_template(&c, &p->outputs.items[2 * i + 1]);
	}
	for (uint32_t i = p->nmain; i < p->nsteps; i++)
		undoes += l->drafts[i].undoes;
	p->reaches = arena_array(&p->arena, undoes, sizeof(*p->reaches));
	for (uint32_t i = p->nmain; i < p->nsteps; i++)
		if (l->drafts[i].undoes)
			resolve_undo(l, i);
	for (uint32_t i = 0; i < p->nsteps; i++)
		check_step(&c, i);
	check_undos(&c);
	if (l->needs.n > 0)
		l->needs.list = xreallocarray(l->needs.list, l->needs.n, sizeof(*l->needs.list));
	p->needs = l->needs.list;
	p->nneeds = (uint32_t)l->needs.n;
	free(c.seen);
	free(c.stamp);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Owns the checks that need the whole plan, and the needs of each step: inputs against the tables, every reference in
 * every expression, explicit needs. A reference to steps.X is a need; where a step is named twice, the strong need
 * wins. Secrets may be named only where the table allows one. */
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "plan_load.h"
#include "undo.h"

#define OUTPUTS_MAX 32 /* of a step type */
#define SEARCHES_MAX 8 /* unknown step names that get a suggestion */

/* Where we are: what a reference found here means. */
struct scope {
	struct loader *l;
	uint32_t step;      /* the step that is checked, or MAP_NONE in a target or output */
	uint32_t target;    /* the target whose fields are checked, or MAP_NONE */
	const char *what;   /* "field 'x'" without the word: its name */
	bool secret, value; /* may hold a secret; may use `value` */
	uint32_t *
	    seen; /* for each step: 1 + where it stands in the needs of the current step, if stamped so */
	uint32_t *stamp; /* for each step: 1 + the step that last needed it */
};

static struct pos
step_pos(const struct loader *l, const struct step *s)
{
	return (struct pos){ l->plan->file, s->line, s->col };
}

static void
push_need(struct needs *v, uint32_t to, bool weak)
{
	if (v->n == v->cap) {
		v->cap = v->cap == 0 ? 4 : v->cap * 2;
		v->list = xreallocarray(v->list, v->cap, sizeof(*v->list));
	}
	v->list[v->n++] = (struct need){ to, weak };
}

static void
unknown_step(struct loader *l, const char *id, struct pos where)
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

/* The current step needs another. explicit: written under `needs`. */
static void
add_need(const struct scope *c, uint32_t to, bool weak, bool explicit, struct pos where)
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
use_target(const struct scope *c, uint32_t target, struct pos where)
{
	const struct needs *v = &c->l->target_needs[target];

	for (size_t i = 0; i < v->n; i++) {
		if (c->step != MAP_NONE)
			add_need(c, v->list[i].to, v->list[i].weak, false, where);
		else if (c->target != MAP_NONE)
			push_need(&c->l->target_needs[c->target], v->list[i].to, v->list[i].weak);
	}
}

/* Outputs are data too: one that the step type does not have would read as null for ever. */
static void
check_output(const struct scope *c, const struct expr_ref *ref, const struct step_type *type)
{
	const char *names[OUTPUTS_MAX];
	size_t n = 0;

	for (const struct field *f = type->outputs; f != NULL && f->name != NULL; f++) {
		if (strcmp(f->name, ref->output) == 0 || strcmp(f->name, "*") == 0 || n == OUTPUTS_MAX)
			return;
		names[n++] = f->name;
	}
	problems_add_near(c->l->problems, ref->where, ref->output, names, n,
			  "step '%s' (%s) has no output '%.60s'", ref->key, type->name, ref->output);
}

static void
ref_step(const struct scope *c, const struct expr_ref *ref)
{
	const bool weak = ref->member != NULL && strcmp(ref->member, "outputs") != 0;
	const uint32_t to = plan_find(c->l->plan, ref->key, strlen(ref->key));

	if (to == MAP_NONE) {
		unknown_step(c->l, ref->key, ref->where);
		return;
	}
	if (ref->output != NULL && c->l->plan->steps[to].type != NULL)
		check_output(c, ref, c->l->plan->steps[to].type);
	if (c->step != MAP_NONE)
		add_need(c, to, weak, false, ref->where);
	else if (c->target != MAP_NONE)
		push_need(&c->l->target_needs[c->target], to, weak);
}

static void
ref_param(const struct scope *c, const struct expr_ref *ref)
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

/* A target by name; in the fields of a target only those above it are known, so that there is no circle. */
static uint32_t
find_target(const struct scope *c, const char *name, struct pos where)
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

/* expr_ref_fn */
static int
check_ref(void *data, const struct expr_ref *ref)
{
	const struct scope *c = data;
	uint32_t target;

	if (strcmp(ref->root, "steps") == 0) {
		ref_step(c, ref);
	} else if (strcmp(ref->root, "params") == 0) {
		ref_param(c, ref);
	} else if (strcmp(ref->root, "targets") == 0) {
		target = find_target(c, ref->key, ref->where);
		if (target != MAP_NONE)
			use_target(c, target, ref->where);
	} else if (strcmp(ref->root, "value") == 0) {
		if (!c->value)
			problems_add(c->l->problems, ref->where, NULL,
				     "'value' is known only in inputs of type expression");
	} else if (strcmp(ref->root, "run") != 0) {
		problems_add(c->l->problems, ref->where, NULL, "'%s' comes in a later version",
			     ref->root);
	}
	return 0;
}

static void
check_template(const struct scope *c, const struct node *n)
{
	struct scope copy = *c;

	template_check(c->l->host, n, c->l->plan->file, check_ref, &copy, c->l->problems);
}

/* For schema_check. */
static const char *
target_kind(void *data, const struct node *name)
{
	const struct scope *c = data;
	const struct pos where = plan_pos(c->l, name);
	const uint32_t at = find_target(c, name->s, where);

	if (at == MAP_NONE)
		return NULL;
	use_target(c, at, where);
	return c->l->plan->targets[at].type != NULL ? c->l->plan->targets[at].type->kind : NULL;
}

static void check_with(struct scope *c, const struct step_type *type, const struct node *with,
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
check_call(struct scope *c, const struct node *call)
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
check_args(const struct scope *c, const struct step_type *type, const struct node *with,
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
check_with(struct scope *c, const struct step_type *type, const struct node *with, struct pos at)
{
	const size_t before = c->l->problems->n + c->l->problems->dropped;

	if (type != NULL)
		schema_check(type->inputs, with, at, c->l->plan->file, target_kind, c,
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
		check_template(c, n);
	}
	if (type != NULL && type->check != NULL &&
	    c->l->problems->n + c->l->problems->dropped == before)
		check_args(c, type, with, at);
}

/* The step of this id, or MAP_NONE with a problem. weak: may it be written `id?`, and is it? */
static uint32_t
named_step(const struct scope *c, const char *word, const struct node *n, bool *weak)
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
		unknown_step(c->l, id, plan_pos(c->l, n));
	if (weak != NULL)
		*weak = marked;
	return to;
}

/* A guard looks at the world again, so it has to be a step that looks, and that can be called. */
static void
check_guards(const struct scope *c, struct step *s, const struct node *guard)
{
	uint32_t *list = arena_array(&c->l->plan->arena, guard->len, sizeof(*list));

	for (uint32_t i = 0; i < guard->len; i++) {
		const uint32_t to = named_step(c, "guard", &guard->items[i], NULL);
		const struct step *other = to != MAP_NONE ? &c->l->plan->steps[to] : NULL;

		if (other == NULL)
			continue;
		add_need(c, to, false, true, plan_pos(c->l, &guard->items[i]));
		list[s->nguards++] = to;
		if (other->type != NULL && ((other->type->flags & STEP_PURE) || !is_callable(other->type, &other->with)))
			problems_add(c->l->problems, plan_pos(c->l, &guard->items[i]), NULL,
				     "guard '%s' (%s): only a step that reads and changes nothing can be one%s", other->id,
				     other->type->name, other->type->is_read_only != NULL ? " (read_only: true)" : "");
	}
	s->guards = list;
}

static void
check_explicit(const struct scope *c, const struct node *needs)
{
	for (uint32_t i = 0; i < needs->len; i++) {
		bool weak;
		const uint32_t to = named_step(c, "needs", &needs->items[i], &weak);

		if (to != MAP_NONE)
			add_need(c, to, weak, true, plan_pos(c->l, &needs->items[i]));
	}
}

/* `uses: undo, with: {step: ID}` of `finally`. */
static void
resolve_undo(struct loader *l, uint32_t i)
{
	struct step *s = &l->plan->steps[i];
	const struct node *name = node_get(&s->with, "step");
	const struct step_type *type;

	if (name == NULL || name->kind != NODE_SCALAR || s->with.len != 1) {
		problems_add(l->problems, step_pos(l, s), NULL, "step '%s': 'undo' takes {step: ID}", s->id);
		return;
	}
	s->undoes = plan_find(l->plan, name->s, name->len);
	s->type = &undo_step;
	s->with = (struct node){ .kind = NODE_MAP };
	if (s->undoes == PLAN_NO_STEP) {
		unknown_step(l, name->s, plan_pos(l, name));
		return;
	}
	type = l->plan->steps[s->undoes].type;
	if (type != NULL && (type->flags & (STEP_READ_ONLY | STEP_PURE)))
		problems_add(l->problems, plan_pos(l, name), NULL, "step '%s' (%s) changes nothing that could be taken back",
			     name->s, type->name);
	l->plan->steps[s->undoes].undone = true;
}

/* What `undo:` says is kept. It is run when its step has ended, so that it may name the outputs of any other step. */
static void
check_undo(struct scope *c, uint32_t i)
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
	check_with(c, kept->type, &kept->with, plan_pos(l, undo));
}

static void
check_undos(struct scope *c)
{
	struct plan *p = c->l->plan;
	size_t n = 0;

	for (uint32_t i = 0; i < p->nsteps; i++)
		n += c->l->drafts[i].undo.len > 0;
	p->undos = arena_array(&p->arena, n, sizeof(*p->undos));
	for (uint32_t i = 0; i < p->nsteps; i++)
		check_undo(c, i);
}

static void
check_step(struct scope *c, uint32_t i)
{
	struct step *s = &c->l->plan->steps[i];

	c->step = i;
	s->need_first = (uint32_t)c->l->needs.n;
	if (s->undoes != PLAN_NO_STEP)
		add_need(c, s->undoes, true, false, step_pos(c->l, s));
	check_explicit(c, &c->l->drafts[i].needs);
	if (c->l->drafts[i].guard != NULL)
		check_guards(c, s, c->l->drafts[i].guard);
	check_with(c, s->type, &s->with, step_pos(c->l, s));
	if (s->when != NULL) {
		c->what = "when";
		c->secret = c->value = false;
		check_template(c, s->when);
	}
	s->need_count = (uint32_t)c->l->needs.n - s->need_first;
}

static void
check_target(struct scope *c, uint32_t i)
{
	const struct plan_target *t = &c->l->plan->targets[i];

	c->target = i;
	if (t->type != NULL)
		schema_check(t->type->fields, &t->fields, t->where, t->where.file, target_kind, c,
			     c->l->problems);
	for (uint32_t k = 0; k < t->fields.len; k++) {
		const struct node *key = &t->fields.items[2 * k];
		const struct field *f =
		    t->type != NULL ? schema_field(t->type->fields, key->s) : NULL;

		c->what = key->s;
		c->secret = f == NULL || f->secret || f->type == F_SECRET;
		check_template(c, key + 1);
	}
	c->target = MAP_NONE;
}

void
plan_check(struct loader *l)
{
	struct plan *p = l->plan;
	struct scope c = { .l = l, .step = MAP_NONE, .target = MAP_NONE };

	c.seen = xcalloc(p->nsteps, sizeof(*c.seen));
	c.stamp = xcalloc(p->nsteps, sizeof(*c.stamp));
	l->target_needs = xcalloc(p->ntargets, sizeof(*l->target_needs));
	for (uint32_t i = 0; i < p->ntargets; i++)
		check_target(&c, i);
	for (uint32_t i = 0; i < p->outputs.len; i++) {
		c.what = p->outputs.items[2 * i].s;
		c.secret = false;
		check_template(&c, &p->outputs.items[2 * i + 1]);
	}
	for (uint32_t i = 0; i < p->nsteps; i++)
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

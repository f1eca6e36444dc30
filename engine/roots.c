/* SPDX-License-Identifier: Apache-2.0 */
/* What an expression sees: params, targets, the ended steps and the run; the targets, bound when first used; and what the
 * plan's own outputs make of all that in the end. */
#include <stdlib.h>
#include <string.h>

#include "children.h"
#include "coord.h"

static const struct value *
keep(struct coord *c, struct value v)
{
	struct value *p = arena_alloc(&c->eval, sizeof(*p));

	*p = v;
	return p;
}

static const struct value *
step_root(const struct sight *in, const char *id, struct err *err)
{
	struct coord *c = in->c;
	const uint32_t i = plan_find(in->scope->plan, id, strlen(id));
	struct pair *pairs = arena_array(&c->eval, 4, sizeof(*pairs));
	const struct scope *inside;
	const struct live *l;

	if (i == MAP_NONE) {
		err_set(err, ERR_PLAN, "no step '%s'", id);
		return NULL;
	}
	l = &c->live[in->scope->base + i];
	pairs[0] = (struct pair){ "status", value_str(step_status_name(l->status)) };
	pairs[1] = (struct pair){ "ran", value_bool(l->maybe > 0) };
	pairs[2] = (struct pair){ "outputs", value_map(NULL, 0) }; /* of a skipped step every output is null */
	pairs[3] = (struct pair){ "items", VALUE_NULL };
	inside = scope_inside(c, in->scope->base + i);
	if (inside != NULL && inside->items != NULL && !l->unknown)
		pairs[3].v = items_value(c, inside, err);
	if (l->unknown && l->maybe == 0 && !(in->scope->plan->steps[i].type->flags & (STEP_READ_ONLY | STEP_PURE)))
		pairs[1].v = value_unknown(arena_printf(&c->eval, "whether step '%s' runs", id));
	if (l->unknown) {
		pairs[0].v = value_unknown(arena_printf(&c->eval, "the end of step '%s'", id));
		pairs[2].v = value_unknown(arena_printf(&c->eval, "outputs of step '%s'", id));
		pairs[3].v = in->scope->plan->steps[i].each ? value_unknown(arena_printf(&c->eval, "items of step '%s'", id)) : pairs[3].v;
	} else if (l->outputs != NULL &&
		   value_parse(&c->eval, l->outputs, strlen(l->outputs), &pairs[2].v, err) < 0) {
		return NULL;
	}
	return keep(c, value_map(pairs, 4));
}

const char *
coord_closes_as(const struct coord *c, const struct scope *s)
{
	return run_status_name(c->o->abort ? RUN_ABORTED : c->o->rollback ? RUN_ROLLED_BACK : s->failed ? RUN_FAILED : RUN_DONE);
}

static const struct value *
run_root(const struct sight *in)
{
	struct coord *c = in->c;
	struct pair *pairs = arena_array(&c->eval, 4, sizeof(*pairs));

	pairs[0] = (struct pair){ "id", value_str(c->shared.run) };
	pairs[1] = (struct pair){ "dir", value_str(c->shared.dir != NULL ? c->shared.dir : "(run.dir)") };
	pairs[2] = (struct pair){ "plan", value_str(in->scope->plan->name) };
	pairs[3] = (struct pair){ "status", value_str(in->scope->phase < PHASE_FINALLY ? "running" : coord_closes_as(c, in->scope)) };
	return keep(c, value_map(pairs, 4));
}

static const struct value *
target_root(const struct sight *in, const char *name)
{
	for (size_t i = 0; i < in->scope->plan->ntargets; i++) {
		const struct plan_target *t = &in->scope->plan->targets[i];

		if (strcmp(t->name, name) == 0) {
			struct pair *pairs = arena_array(&in->c->eval, 2, sizeof(*pairs));

			pairs[0] = (struct pair){ "name", value_str(t->name) };
			pairs[1] = (struct pair){ "kind", value_str(t->type->kind) };
			return keep(in->c, value_map(pairs, 2));
		}
	}
	return NULL;
}

static const struct value *
item_root(const struct sight *in, const char *root)
{
	const bool key = strcmp(root, "key") == 0;

	if (in->item->value->kind == V_UNKNOWN && (!key || (in->c->o->mode == MODE_PLAN && !in->c->o->rollback))) /* else of an orphan */
		return in->item->value;
	return keep(in->c, key ? value_str(in->item->key) : value_int(in->index));
}

static const struct value *
root_get(void *data, const char *root, const char *key, struct err *err)
{
	const struct sight *in = data;
	const struct value *v = NULL;

	if (strcmp(root, "steps") == 0)
		return step_root(in, key, err);
	if (strcmp(root, "params") == 0) {
		v = value_get(in->scope->params, key);
		return v != NULL ? v : keep(in->c, VALUE_NULL);
	}
	if (in->item != NULL && strcmp(root, "item") == 0)
		return in->item->value;
	if (in->item != NULL && (strcmp(root, "index") == 0 || strcmp(root, "key") == 0))
		return item_root(in, root);
	if (strcmp(root, "targets") == 0)
		v = target_root(in, key);
	else if (strcmp(root, "run") == 0)
		v = run_root(in);
	if (v == NULL)
		err_set(err, ERR_PLAN, "'%s%s%s' is not known here", root, key != NULL ? "." : "", key != NULL ? key : "");
	return v;
}

/* Whose plan declares the target: it may have been handed in. */
static const struct scope *
home_of(const struct scope *s, const struct target *t)
{
	for (; s->parent != NULL; s = s->parent)
		for (size_t i = 0; s->own != NULL && i < s->plan->ntargets; i++)
			if (&s->own[i] == t)
				return s;
	return s;
}

/* Bound on first use and for good: the fields may come from steps that have ended by then. */
static struct target *
find_target(void *data, const char *name, struct err *err)
{
	const struct sight *in = data;

	for (size_t i = 0; i < in->scope->plan->ntargets; i++) {
		struct target *t = in->scope->targets[i];

		if (strcmp(in->scope->plan->targets[i].name, name) != 0)
			continue;
		if (!t->bound) {
			struct sight from;

			sight_init(&from, in->c, home_of(in->scope, t), NO_LIVE);
			t->args = arena_alloc(&t->arena, t->type->args_size);
			if (schema_bind(t->type->fields, &t->def->fields, &from.bind, &t->arena, t->args, NULL, err) < 0) {
				err_wrap(err, "target '%s'", name);
				return NULL;
			}
			t->bound = true;
		}
		return t;
	}
	err_set(err, ERR_PLAN, "no target '%s'", name);
	return NULL;
}

static int
bind_guard(const struct sight *in, const struct step *s, struct arena *a, struct guard *ret, struct err *err)
{
	void *args = arena_alloc(a, s->type->args_size > 0 ? s->type->args_size : 1);

	if (schema_bind(s->type->inputs, &s->with, &in->bind, a, args, NULL, err) < 0)
		return -1;
	if (!(s->type->flags & STEP_READ_ONLY) && !s->type->is_read_only(args))
		return err_set(err, ERR_PLAN, "a guard must be read-only, and this '%s' is not", s->type->name);
	*ret = (struct guard){ .path = s->id, .call = { s->type, args },
		.limit = s->policy->timeout > 0 ? s->policy->timeout : PLAN_TIMEOUT };
	return 0;
}

/* A guard that its own `when` skipped has nothing to look at. */
int
coord_bind_guards(struct coord *c, struct attempt *at, struct err *err)
{
	const struct step *s = step_of(c, at->step);
	const struct scope *scope = scope_of(c, at->step)->home;
	struct sight in;
	struct guard *list = s->nguards > 0 ? arena_array(&at->arena, s->nguards, sizeof(*list)) : NULL;

	at->guards = list;
	sight_init(&in, c, scope, NO_LIVE);
	for (uint32_t i = 0; i < s->nguards; i++) {
		const struct step *guard = &scope->plan->steps[s->guards[i]];

		if (c->live[scope->base + s->guards[i]].status == STEP_SKIPPED)
			continue;
		if (bind_guard(&in, guard, &at->arena, &list[at->nguards], err) == 0) {
			at->nguards++;
			continue;
		}
		err_wrap(err, "guard '%s'", guard->id);
		if (c->o->mode != MODE_PLAN || err->kind != ERR_PREDICTED)
			return -1;
		at->assumed = arena_strdup(&at->arena, err->msg); /* the step itself can be foretold all the same */
		*err = ERR_INIT;
	}
	return 0;
}

static const struct call *
bind_call(void *data, struct arena *a, const struct node *n, struct err *err)
{
	static const struct node none = { .kind = NODE_MAP };
	const struct sight *in = data;
	const struct node *uses = node_get(n, "uses"), *with = node_get(n, "with");
	struct call *call = arena_alloc(a, sizeof(*call));
	void *args;

	call->type = uses != NULL && uses->kind == NODE_SCALAR ? registry_step(in->c->o->registry, uses->s) : NULL;
	if (call->type == NULL) {
		err_set(err, ERR_PLAN, "a nested step needs 'uses' with a step type");
		return NULL;
	}
	args = arena_alloc(a, call->type->args_size);
	if (schema_bind(call->type->inputs, with != NULL ? with : &none, &in->bind, a, args, NULL, err) < 0)
		return NULL;
	if (!(call->type->flags & STEP_READ_ONLY) &&
	    (call->type->is_read_only == NULL || !call->type->is_read_only(args))) {
		err_set(err, ERR_PLAN, "a nested step must be read-only, and this '%s' is not", call->type->name);
		return NULL;
	}
	call->args = args;
	return call;
}

void
sight_init(struct sight *ret, struct coord *c, const struct scope *in, uint32_t live)
{
	const struct scope *s = in->home;

	*ret = (struct sight){ .c = c, .scope = s, .env = { .get = root_get, .data = ret } };
	ret->bind = (struct bind_env){ .host = c->host, .expr = &ret->env, .file = s->plan->file, .target = find_target,
		.call = bind_call, .data = ret };
	if (in->items != NULL && live != NO_LIVE) {
		ret->item = &in->items[live - in->base];
		ret->index = live - in->base + 1;
	}
}

void
scope_open_targets(struct coord *c, struct scope *s)
{
	const size_t n = s->plan->ntargets;

	s->own = xcalloc(n, sizeof(*s->own));
	s->targets = arena_array(&c->keep, n, sizeof(struct target *));
	for (size_t i = 0; i < n; i++) {
		const struct plan_target *def = &s->plan->targets[i];

		s->own[i] = (struct target){ .name = def->name, .type = def->type, .def = def };
		pthread_mutex_init(&s->own[i].lock, NULL);
		s->targets[i] = &s->own[i];
	}
}

static void
close_target(struct target *t)
{
	if (t->conn != NULL)
		t->type->close(t->conn);
	t->conn = NULL;
	t->bound = false;
	atomic_store(&t->known, false);
	arena_done(&t->arena);
}

void
scope_close_targets(struct scope *s)
{
	for (size_t i = 0; s->own != NULL && i < s->plan->ntargets; i++)
		close_target(&s->own[i]);
}

void
roots_init(struct coord *c)
{
	size_t n = 0;

	c->host = expr_host_new();
	for (const struct target_type *const *t = c->o->registry->targets; *t != NULL; t++)
		n += (*t)->local;
	c->locals = xcalloc(n, sizeof(*c->locals));
	c->shared.locals = xcalloc(n, sizeof(*c->shared.locals));
	for (const struct target_type *const *t = c->o->registry->targets; *t != NULL; t++) {
		struct target *l = &c->locals[c->nlocals];

		if (!(*t)->local)
			continue;
		*l = (struct target){ .name = (*t)->kind, .type = *t, .bound = true };
		l->args = arena_alloc(&l->arena, (*t)->args_size > 0 ? (*t)->args_size : 1);
		pthread_mutex_init(&l->lock, NULL);
		c->shared.locals[c->nlocals++] = l;
	}
	c->shared.nlocals = c->nlocals;
}

static int
plan_output(const struct sight *in, const struct node *n, struct value *ret, struct err *err)
{
	if (template_eval(in->c->host, n, in->bind.file, &in->env, &in->c->eval, ret, err) < 0)
		return -1;
	if (ret->flags & VF_SECRET)
		return err_at(err, node_pos(n, in->bind.file), "it is a secret, and secrets are not kept");
	return 0;
}

void
roots_outputs(struct coord *c, const struct scope *s, struct value *ret, struct buf *lost)
{
	const struct node *all = &s->plan->outputs;
	struct pair *pairs;
	struct sight in;
	uint32_t n = 0;

	sight_init(&in, c, s, NO_LIVE);
	arena_reset(&c->eval);
	pairs = arena_array(&c->eval, all->len, sizeof(*pairs));
	for (uint32_t i = 0; i < all->len; i++) {
		const struct node *key = &all->items[2 * i];
		const struct pos at = node_pos(&key[1], s->plan->file);
		struct err err = ERR_INIT;

		pairs[n].key = key->s;
		if (plan_output(&in, &key[1], &pairs[n].v, &err) == 0) {
			n++;
			continue;
		}
		if (err.where.line == 0)
			err.where = at;
		buf_printf(lost, "%soutput '%s' is left out: %s:%u:%u: %s", lost->len > 0 ? "; " : "", key->s, at.file,
			   err.where.line, err.where.col, err.msg);
	}
	*ret = value_map(pairs, n);
}

void
roots_done(struct coord *c)
{
	for (size_t i = 0; i < c->nlocals; i++)
		close_target(&c->locals[i]);
	free(c->locals);
	free(c->shared.locals);
	expr_host_free(c->host);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Do two steps ask for the same? First their texts are compared, whatever their order, quotes and layout; where they differ,
 * both are evaluated with what is known of the run now, and the normal forms of the values count: an expression may be
 * written otherwise, and a default may be written out. What cannot be evaluated yet differs if its text does. */
#include "edit.h"

#include <stdlib.h>
#include <string.h>

struct side {
	const struct edit_eyes *eyes;
	const struct plan *plan;
	const struct value *params;
};

struct edit_eyes {
	const struct edit_sides *sides;
	struct expr_host *host;
	struct arena eval;
	struct side was, now;
};

static bool
has_expr(const struct node *n)
{
	return n->kind == NODE_SCALAR && template_has_expr(n->s);
}

static bool
same_scalar(const struct node *a, const struct node *b)
{
	struct value x, y;

	if (has_expr(a) || has_expr(b) || a->plain == b->plain)
		return a->len == b->len && memcmp(a->s, b->s, a->len) == 0;
	x = node_value(NULL, a);
	y = node_value(NULL, b);
	return value_eq(&x, &y);
}

bool
edit_same_node(const struct node *a, const struct node *b)
{
	const bool empty_a = a == NULL || (a->kind != NODE_SCALAR && a->len == 0), empty_b = b == NULL || (b->kind != NODE_SCALAR && b->len == 0);

	if (empty_a || empty_b)
		return empty_a && empty_b;
	if (a->kind != b->kind || (a->kind != NODE_SCALAR && a->len != b->len))
		return false;
	if (a->kind == NODE_SCALAR)
		return same_scalar(a, b);
	for (uint32_t i = 0; i < a->len; i++) {
		const struct node *other = a->kind == NODE_LIST ? &b->items[i] : node_get(b, a->items[2 * i].s);

		if (other == NULL || !edit_same_node(a->kind == NODE_LIST ? &a->items[i] : &a->items[2 * i + 1], other))
			return false;
	}
	return true;
}

static const struct value *
keep(const struct side *s, struct value v)
{
	struct value *p = arena_alloc(&((struct edit_eyes *)s->eyes)->eval, sizeof(*p));

	*p = v;
	return p;
}

static bool
has_ended(const struct hist_step *hs)
{
	return hs != NULL && hs->status != STEP_PENDING && hs->status != STEP_RUNNING && hs->status != STEP_IN_DOUBT;
}

static bool
has_run(const struct hist_step *hs)
{
	for (const struct hist_effect *e = hs->effects; e != NULL; e = e->next)
		if (history_stands(e) && !e->past)
			return true;
	return hs->torn || hs->torn_done;
}

/* As the run's own expressions see it; what has not ended is not known. */
static const struct value *
step_root(const struct side *s, const char *id, struct err *err)
{
	struct arena *a = &((struct edit_eyes *)s->eyes)->eval;
	const struct hist_step *hs = history_step(s->eyes->sides->history, id);
	struct pair *pairs = arena_array(a, 4, sizeof(*pairs));

	if (!has_ended(hs))
		return keep(s, value_unknown("the step has not ended"));
	pairs[0] = (struct pair){ "status", value_str(step_status_name(hs->status)) };
	pairs[1] = (struct pair){ "ran", value_bool(has_run(hs)) };
	pairs[2] = (struct pair){ "outputs", value_map(NULL, 0) };
	pairs[3] = (struct pair){ "items", VALUE_NULL };
	if (hs->outputs != NULL && value_parse(a, hs->outputs, strlen(hs->outputs), &pairs[2].v, err) < 0)
		return NULL;
	return keep(s, value_map(pairs, 4));
}

/* expr_env.get */
static const struct value *
root_get(void *data, const char *root, const char *key, struct err *err)
{
	const struct side *s = data;
	const struct edit_sides *sides = s->eyes->sides;
	struct arena *a = &((struct edit_eyes *)s->eyes)->eval;
	struct pair *pairs = arena_array(a, 4, sizeof(*pairs));
	const struct value *v;

	if (strcmp(root, "steps") == 0)
		return step_root(s, key, err);
	if (strcmp(root, "params") == 0) {
		v = value_get(s->params, key);
		return v != NULL ? v : keep(s, VALUE_NULL);
	}
	for (size_t i = 0; strcmp(root, "targets") == 0 && i < s->plan->ntargets; i++)
		if (strcmp(s->plan->targets[i].name, key) == 0) {
			pairs[0] = (struct pair){ "name", value_str(s->plan->targets[i].name) };
			pairs[1] = (struct pair){ "kind", value_str(s->plan->targets[i].type->kind) };
			return keep(s, value_map(pairs, 2));
		}
	if (strcmp(root, "run") == 0) {
		pairs[0] = (struct pair){ "id", value_str(sides->run) };
		pairs[1] = (struct pair){ "dir", value_str(sides->dir) };
		pairs[2] = (struct pair){ "plan", value_str(s->plan->name) };
		pairs[3] = (struct pair){ "status", value_str("running") };
		return keep(s, value_map(pairs, 4));
	}
	return keep(s, value_unknown("only the step itself knows"));
}

struct edit_eyes *
edit_eyes_new(const struct edit_sides *sides)
{
	struct edit_eyes *e = xcalloc(1, sizeof(*e));

	e->sides = sides;
	e->host = expr_host_new();
	e->was = (struct side){ e, sides->was, sides->params_was };
	e->now = (struct side){ e, sides->now, sides->params };
	return e;
}

void
edit_eyes_free(struct edit_eyes *e)
{
	expr_host_free(e->host);
	arena_done(&e->eval);
	free(e);
}

/* The normal form of an input; false when it is not known. NULL is its default. */
static bool
input_value(struct edit_eyes *e, struct side *side, const struct field *f, const struct node *n, struct value *ret)
{
	const struct expr_env env = { root_get, side };
	struct err ignored = ERR_INIT;
	struct value v = VALUE_NULL;

	if (n == NULL)
		v = f->dflt != NULL ? schema_default(f) : VALUE_NULL;
	else if (schema_is_literal(n))
		v = node_value(&e->eval, n);
	else if (template_eval(e->host, n, side->plan->file, &env, &e->eval, &v, &ignored) < 0)
		return false;
	if ((v.flags & VF_UNKNOWN) != 0)
		return false;
	if (v.kind == V_NULL) {
		*ret = v;
		return true;
	}
	return schema_value(f, &v, &e->eval, ret, &ignored) == 0;
}

static bool
same_input(struct edit_eyes *e, const struct field *f, const struct node *was, const struct node *now)
{
	struct value x, y;

	if (edit_same_node(was, now)) /* the run keeps its parameters, and what has ended keeps its outputs */
		return true;
	if (f->type == F_TARGET || f->type == F_EXPR || f->type == F_CALL)
		return false;
	return input_value(e, &e->was, f, was, &x) && input_value(e, &e->now, f, now, &y) && value_eq(&x, &y);
}

const char *
edit_inputs_differ(struct edit_eyes *e, const struct step *was, const struct step *now, struct arena *a)
{
	if (strcmp(was->type->name, now->type->name) != 0)
		return arena_printf(a, "it uses %s now, and used %s", now->type->name, was->type->name);
	arena_reset(&e->eval);
	for (const struct field *f = now->type->inputs; f != NULL && f->name != NULL; f++)
		if (!same_input(e, f, node_get(&was->with, f->name), node_get(&now->with, f->name)))
			return arena_printf(a, "its input '%s' is another one", f->name);
	return NULL;
}

static const struct plan_foreach *
each_of(const struct side *side, const struct step *s)
{
	return plan_foreach_of(side->plan, (uint32_t)(s - side->plan->steps));
}

bool
edit_same_list(struct edit_eyes *e, const struct step *was, const struct step *now)
{
	static const struct field list = { .name = "foreach", .type = F_ANY };
	const struct plan_foreach *a = each_of(&e->was, was), *b = each_of(&e->now, now);

	arena_reset(&e->eval);
	return a == NULL || b == NULL ? a == b : same_input(e, &list, a->list, b->list);
}

bool
edit_same_key(const struct edit_eyes *e, const struct step *was, const struct step *now)
{
	const struct plan_foreach *a = each_of(&e->was, was), *b = each_of(&e->now, now);

	return a == NULL || b == NULL ? a == b : edit_same_node(a->key, b->key);
}

bool
edit_skips(struct edit_eyes *e, const struct step *now)
{
	const struct expr_env env = { root_get, &e->now };
	struct err ignored = ERR_INIT;
	struct value v;

	if (now->when == NULL)
		return false;
	arena_reset(&e->eval);
	return template_eval(e->host, now->when, e->now.plan->file, &env, &e->eval, &v, &ignored) == 0 && v.kind != V_UNKNOWN &&
	       !value_true(&v);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Owns binding: a with-map of the plan, evaluated now, into the C struct that a handler or a target kind gets. Errors
 * carry the place of the value they are about. */
#include "schema.h"

#include <string.h>

bool
schema_is_literal(const struct node *n)
{
	const size_t parts = n->kind == NODE_MAP    ? (size_t)n->len * 2
			     : n->kind == NODE_LIST ? n->len
						    : 0;

	for (size_t i = 0; i < parts; i++)
		if (!schema_is_literal(&n->items[i]))
			return false;
	return n->kind != NODE_SCALAR || !template_has_expr(n->s);
}

struct value
schema_default(const struct field *f)
{
	const struct node n = {
		.kind = NODE_SCALAR, .plain = true, .len = (uint32_t)strlen(f->dflt), .s = f->dflt
	};

	if (f->type == F_INT || f->type == F_NUMBER || f->type == F_BOOL)
		return node_value(NULL, &n);
	return value_str(f->dflt);
}

static int
bind_target(const struct node *n, const struct bind_env *env, void *dst, struct value *ret_input,
	    struct err *err)
{
	struct target *target;

	*ret_input = value_strn(n->s, n->len);
	target = env->target(env->data, n->s, err);
	memcpy(dst, &target, sizeof(target));
	return target != NULL ? 0 : -1;
}

static int
bind_expr(const struct field *f, const struct node *n, const struct bind_env *env, struct arena *a,
	  void *dst, struct value *ret_input, struct err *err)
{
	struct expr *e = arena_alloc(a, sizeof(*e));
	struct pos where;
	const char *src;
	size_t len;

	if (n->kind != NODE_SCALAR || template_whole(n, &src, &len, &where) != 1)
		return err_set(err, ERR_PLAN, "field '%s': expected one whole expression ${{ … }}",
			       f->name);
	*ret_input = value_strn(n->s, n->len);
	where.file = env->file;
	memcpy(dst, &e, sizeof(e));
	return expr_freeze(env->host, src, len, where, env->expr, a, e, err);
}

static int
bind_call(const struct node *n, const struct bind_env *env, struct arena *a, void *dst,
	  struct value *ret_input, struct err *err)
{
	const struct call *call;

	*ret_input = node_value(a, n);
	call = env->call(env->data, a, n, err);
	memcpy(dst, &call, sizeof(call));
	return call != NULL ? 0 : -1;
}

static int
bind_value(const struct field *f, const struct node *n, const struct bind_env *env, struct arena *a,
	   void *dst, struct value *ret_input, struct err *err)
{
	if (f->type == F_TARGET)
		return bind_target(n, env, dst, ret_input, err);
	if (f->type == F_EXPR)
		return bind_expr(f, n, env, a, dst, ret_input, err);
	if (f->type == F_CALL)
		return bind_call(n, env, a, dst, ret_input, err);
	if (schema_is_literal(n))
		*ret_input = node_value(a, n);
	else if (template_eval(env->host, n, env->file, env->expr, a, ret_input, err) < 0)
		return -1;
	return schema_convert(f, ret_input, a, dst, err);
}

int
schema_bind(const struct field *fields, const struct node *with, const struct bind_env *env,
	    struct arena *a, void *args, struct value *ret_inputs, struct err *err)
{
	struct pair *inputs = arena_array(a, with->len, sizeof(*inputs));
	const struct node *n;
	struct value v;
	size_t given = 0;

	for (const struct field *f = fields; f->name != NULL; f++) {
		void *dst = (char *)args + f->offset;

		n = node_get(with, f->name);
		if (n == NULL) {
			if (f->dflt == NULL)
				continue;
			v = schema_default(f);
			if (schema_convert(f, &v, a, dst, err) < 0)
				return -1;
			continue;
		}
		if (bind_value(f, n, env, a, dst, &v, err) < 0) {
			if (err->where.line == 0)
				err->where = node_pos(n, env->file);
			return -1;
		}
		inputs[given++] = (struct pair){ f->name, v };
	}
	if (ret_inputs != NULL)
		*ret_inputs = value_map(inputs, given);
	return 0;
}

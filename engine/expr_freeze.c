/* SPDX-License-Identifier: Apache-2.0 */
/* Owns expressions that are kept for later: what they refer to is copied when they are frozen, so that a worker thread can
 * run them over a value again and again without asking the coordinator. */
#include "expr.h"

#include <string.h>

#include "expr_int.h"

struct freeze {
	const struct expr_env *env;
	struct arena *a;
	struct pair *pairs;
	size_t n, cap;
	struct err *err;
};

static int
freeze_ref(void *data, const struct expr_ref *ref)
{
	struct freeze *f = data;
	const struct value *v;
	struct pair *more;
	const char *name;

	if (strcmp(ref->root, "value") == 0)
		return 0;
	name = ref->key != NULL ? arena_printf(f->a, "%s/%s", ref->root, ref->key) : arena_strdup(f->a, ref->root);
	for (size_t i = 0; i < f->n; i++)
		if (strcmp(f->pairs[i].key, name) == 0)
			return 0;
	v = f->env->get(f->env->data, ref->root, ref->key, f->err);
	if (v == NULL) {
		if (f->err->where.line == 0)
			f->err->where = ref->where;
		return -1;
	}
	if (f->n == f->cap) {
		f->cap = f->cap ? f->cap * 2 : 4;
		more = arena_array(f->a, f->cap, sizeof(*more));
		if (f->n > 0)
			memcpy(more, f->pairs, f->n * sizeof(*more));
		f->pairs = more;
	}
	f->pairs[f->n++] = (struct pair){ name, value_copy(f->a, v) };
	return 0;
}

int
expr_freeze(struct expr_host *h, const char *src, size_t len, struct pos where, const struct expr_env *env,
	    struct arena *a, struct expr *ret, struct err *err)
{
	struct freeze f = { .env = env, .a = a, .err = err };
	struct value *frozen;

	if (expr_check(h, src, len, where, freeze_ref, &f, err) < 0)
		return -1;
	frozen = arena_alloc(a, sizeof(*frozen));
	*frozen = value_map(f.pairs, f.n);
	*ret = (struct expr){ .src = arena_strndup(a, src, len), .len = len, .where = where, .frozen = frozen };
	return 0;
}

struct over {
	struct arena *scratch;
	const struct value *frozen, *value;
};

static const struct value *
over_get(void *data, const char *root, const char *key, struct err *err)
{
	struct over *o = data;
	const struct value *v;

	if (strcmp(root, "value") == 0)
		return o->value;
	v = value_get(o->frozen, key != NULL ? arena_printf(o->scratch, "%s/%s", root, key) : root);
	if (v == NULL)
		(void)err_set(err, ERR_PLAN, "'%s' takes literal keys only", root);
	return v;
}

int
expr_eval_over(struct expr_host *h, const struct expr *e, const struct value *value, struct arena *a,
	       struct value *ret, struct err *err)
{
	struct over o = { .scratch = &h->scratch, .frozen = e->frozen, .value = value };

	return expr_eval(h, e->src, e->len, e->where, &(struct expr_env){ over_get, &o }, a, ret, err);
}

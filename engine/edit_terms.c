/* SPDX-License-Identifier: Apache-2.0 */
/* What two texts of a plan say of a step besides its inputs, and whether two plans say the same: by names, whatever the
 * order in which they are written. */
#include "edit.h"

#include <string.h>

bool
edit_is_guard(const struct step *s, uint32_t to)
{
	for (uint32_t i = 0; i < s->nguards; i++)
		if (s->guards[i] == to)
			return true;
	return false;
}

struct map
edit_needs(const struct plan *p, const struct step *s)
{
	struct map ret = MAP_INIT;

	for (uint32_t k = 0; k < s->need_count; k++) {
		const struct need *n = &p->needs[s->need_first + k];

		(void)map_add(&ret, p->steps[n->to].id, strlen(p->steps[n->to].id), n->weak);
	}
	return ret;
}

/* Each has at most one need on a step. */
static bool
same_needs(const struct plan *a, const struct step *x, const struct plan *b, const struct step *y)
{
	struct map others = edit_needs(b, y);
	uint32_t k = 0;

	for (; k < x->need_count; k++) {
		const struct need *n = &a->needs[x->need_first + k];

		if (map_get(&others, a->steps[n->to].id, strlen(a->steps[n->to].id)) != n->weak)
			break;
	}
	map_done(&others);
	return k == x->need_count && x->need_count == y->need_count;
}

static bool
same_guards(const struct plan *a, const struct step *x, const struct plan *b, const struct step *y)
{
	if (x->nguards != y->nguards)
		return false;
	for (uint32_t i = 0; i < x->nguards; i++)
		if (strcmp(a->steps[x->guards[i]].id, b->steps[y->guards[i]].id) != 0)
			return false;
	return true;
}

static bool
same_undo(const struct plan *a, const struct step *x, const struct plan *b, const struct step *y)
{
	const struct plan_undo *u = plan_undo_of(a, (uint32_t)(x - a->steps)), *v = plan_undo_of(b, (uint32_t)(y - b->steps));

	if (u == NULL || v == NULL)
		return u == v;
	return strcmp(u->type->name, v->type->name) == 0 && edit_same_node(&u->with, &v->with);
}

static bool
same_policy(const struct policy *a, const struct policy *b)
{
	return a->timeout == b->timeout && a->on_error == b->on_error && a->retry.attempts == b->retry.attempts &&
	       a->retry.backoff == b->retry.backoff && a->retry.max_backoff == b->retry.max_backoff;
}

static bool
same_text(const char *a, const char *b)
{
	return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

static bool
same_undoes(const struct plan *a, const struct step *x, const struct plan *b, const struct step *y)
{
	if (x->undoes == PLAN_NO_STEP || y->undoes == PLAN_NO_STEP)
		return x->undoes == y->undoes;
	return strcmp(a->steps[x->undoes].id, b->steps[y->undoes].id) == 0;
}

bool
edit_same_each(const struct plan *a, const struct step *x, const struct plan *b, const struct step *y)
{
	const struct plan_foreach *e = plan_foreach_of(a, (uint32_t)(x - a->steps)), *f = plan_foreach_of(b, (uint32_t)(y - b->steps));

	if (e == NULL || f == NULL)
		return e == f;
	return edit_same_node(e->list, f->list) && edit_same_node(e->key, f->key);
}

static const char *
pool_of(const struct plan *p, const struct step *s)
{
	return s->pool > 0 ? p->pools[s->pool - 1].name : NULL;
}

const char *
edit_other_terms(const struct plan *a, const struct step *was, const struct plan *b, const struct step *now)
{
	if (!edit_same_node(was->when, now->when))
		return "its 'when' is another one";
	if (!same_needs(a, was, b, now))
		return "it waits for others";
	if (!same_guards(a, was, b, now))
		return "its guards are others";
	if (!same_undo(a, was, b, now))
		return "its 'undo' is another one";
	if (!same_undoes(a, was, b, now))
		return "it takes another step back";
	if (!same_text(was->irreversible, now->irreversible))
		return "its 'irreversible' is another one";
	if (!same_policy(was->policy, now->policy))
		return "its timeout, retry or on_error is another one";
	if (!same_text(pool_of(a, was), pool_of(b, now)))
		return "its pool is another one";
	return was->finally != now->finally ? "it changes between steps and finally" : NULL;
}

static bool
same_params(const struct plan *a, const struct plan *b)
{
	size_t k;

	for (size_t i = 0; i < a->nparams; i++) {
		const struct param *p = &a->params[i];

		for (k = 0; k < b->nparams && strcmp(b->params[k].field.name, p->field.name) != 0; k++)
			;
		if (k == b->nparams || b->params[k].field.type != p->field.type || !edit_same_node(b->params[k].dflt, p->dflt))
			return false;
	}
	return a->nparams == b->nparams;
}

static bool
same_targets(const struct plan *a, const struct plan *b)
{
	size_t k;

	for (size_t i = 0; i < a->ntargets; i++) {
		for (k = 0; k < b->ntargets && strcmp(b->targets[k].name, a->targets[i].name) != 0; k++)
			;
		if (k == b->ntargets || b->targets[k].type != a->targets[i].type ||
		    !edit_same_node(&b->targets[k].fields, &a->targets[i].fields))
			return false;
	}
	return a->ntargets == b->ntargets;
}

bool
edit_same_frame(const struct plan *a, const struct plan *b)
{
	return same_params(a, b) && same_targets(a, b);
}

/* Recursion ends where plans end to run plans: at PLAN_MAX_DEPTH. */
static bool
same_step(const struct plan *a, const struct step *x, const struct plan *b)
{
	const uint32_t i = plan_find(b, x->id, strlen(x->id));
	const struct step *y = i != MAP_NONE ? &b->steps[i] : NULL;

	return y != NULL && strcmp(x->type->name, y->type->name) == 0 && edit_same_node(&x->with, &y->with) && edit_same_each(a, x, b, y) &&
	       edit_other_terms(a, x, b, y) == NULL && edit_same_sub(a, x, b, y);
}

bool
edit_same_sub(const struct plan *a, const struct step *x, const struct plan *b, const struct step *y)
{
	const struct plan_sub *s = plan_sub_of(a, (uint32_t)(x - a->steps)), *t = plan_sub_of(b, (uint32_t)(y - b->steps));
	const struct plan *p, *q;

	if (s == NULL || t == NULL)
		return s == NULL && t == NULL;
	p = s->plan;
	q = t->plan;
	if (p->nsteps != q->nsteps || !edit_same_frame(p, q) || !edit_same_node(&p->outputs, &q->outputs))
		return false;
	for (uint32_t i = 0; i < p->nsteps; i++)
		if (!same_step(p, &p->steps[i], q))
			return false;
	return true;
}

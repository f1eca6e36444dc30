/* SPDX-License-Identifier: Apache-2.0 */
/* Owns what makes children of a step: `foreach` with its `key`, `pool`, and `uses: plan`, whose plan is read here. Each
 * plan of a closure is read once, has a key that says the same on disk and in a run's folder, and never runs itself. */
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "plan_load.h"

struct sub_args {
	const char *file, *name;
	const struct value *params, *targets;
};
static const struct field sub_inputs[] = {
	{ .name = "file", .type = F_STRING, .offset = offsetof(struct sub_args, file),
	  .help = "path of the plan, from the folder of this one" },
	{ .name = "name", .type = F_STRING, .pattern = "^[A-Za-z][A-Za-z0-9_-]{0,62}$", .offset = offsetof(struct sub_args, name),
	  .help = "the bundled plan of this name, instead of 'file'" },
	{ .name = "params", .type = F_MAP, .secret = true, .offset = offsetof(struct sub_args, params),
	  .help = "values of its parameters" },
	{ .name = "targets", .type = F_MAP, .offset = offsetof(struct sub_args, targets),
	  .help = "targets of this plan, by the names of those that they stand for there" },
	{ 0 },
};
static const struct field sub_outputs[] = {
	{ .name = "*", .type = F_ANY, .help = "the outputs of that plan" },
	{ 0 },
};
const struct step_type sub_step = {
	.name = "plan",
	.summary = "run another plan as a step of this one",
	.inputs = sub_inputs,
	.outputs = sub_outputs,
	.args_size = sizeof(struct sub_args),
	.version = 1,
};

/* The element of that step in an array whose elements begin with their step, in plan order. */
static const void *
of_step(uint32_t step, const void *first, uint32_t n, size_t size)
{
	uint32_t low = 0, high = n;

	while (low < high) {
		const uint32_t middle = low + (high - low) / 2;
		const void *at = (const char *)first + middle * size;
		const uint32_t found = *(const uint32_t *)at;

		if (found == step)
			return at;
		if (found < step)
			low = middle + 1;
		else
			high = middle;
	}
	return NULL;
}

const struct plan_undo *
plan_undo_of(const struct plan *p, uint32_t step)
{
	return of_step(step, p->undos, p->nundos, sizeof(*p->undos));
}

const struct plan_foreach *
plan_foreach_of(const struct plan *p, uint32_t step)
{
	return p->steps[step].each ? of_step(step, p->foreachs, p->nforeachs, sizeof(*p->foreachs)) : NULL;
}

const struct plan_sub *
plan_sub_of(const struct plan *p, uint32_t step)
{
	return p->steps[step].type == &sub_step ? of_step(step, p->subs, p->nsubs, sizeof(*p->subs)) : NULL;
}

const char *
plan_reach_of(const struct plan *p, uint32_t step)
{
	const struct plan_reach *r = of_step(step, p->reaches, p->nreaches, sizeof(*p->reaches));

	return r != NULL ? r->path : NULL;
}

uint32_t
plan_find_path(const struct plan *p, const char *path, const struct plan **ret)
{
	const size_t len = strcspn(path, "/[");
	const uint32_t i = plan_find(p, path, len);
	const struct plan_sub *sub = i != MAP_NONE ? plan_sub_of(p, i) : NULL;
	const char *rest = path + len;

	*ret = p;
	if (i == MAP_NONE || (*rest != '\0' && (*rest == '[') != p->steps[i].each))
		return MAP_NONE;
	if (*rest == '[')
		rest = strchr(rest, ']') != NULL ? strchr(rest, ']') + 1 : "?";
	if (*rest == '\0')
		return i;
	return *rest == '/' && sub != NULL ? plan_find_path(sub->plan, rest + 1, ret) : MAP_NONE;
}

void
plan_add_pools(struct loader *l, const struct node *pools)
{
	struct plan *p = l->plan;

	if (pools == NULL)
		return;
	if (pools->len > PLAN_MAX_POOLS) {
		problems_add(l->problems, plan_pos(l, pools), NULL, "more than %d pools", PLAN_MAX_POOLS);
		return;
	}
	p->pools = arena_array(&p->arena, pools->len, sizeof(*p->pools));
	for (uint32_t i = 0; i < pools->len; i++) {
		const struct node *name = &pools->items[2 * i], *limit = name + 1;
		const struct value n = limit->kind == NODE_SCALAR ? node_value(&l->scratch, limit) : VALUE_NULL;

		if (!text_is_name(name->s, name->len))
			problems_add(l->problems, plan_pos(l, name), NULL,
				     "pool name '%.60s': expected [A-Za-z][A-Za-z0-9_-]{0,62}", name->s);
		if (n.kind != V_INT || n.i < 1 || n.i > UINT32_MAX)
			problems_add(l->problems, plan_pos(l, limit), NULL,
				     "pool '%.60s': expected how many steps of it may be under way at once, at least 1", name->s);
		p->pools[p->npools++] = (struct plan_pool){ arena_strdup(&p->arena, name->s), (uint32_t)n.i };
	}
}

static void
set_pool(struct loader *l, struct step *s, const struct node *pool)
{
	const struct plan *p = l->plan;
	const char *names[PLAN_MAX_POOLS];

	if (pool->kind != NODE_SCALAR) {
		problems_add(l->problems, plan_pos(l, pool), NULL, "'pool': expected the name of one of 'pools'");
		return;
	}
	for (uint32_t i = 0; i < p->npools && s->pool == 0; i++) {
		names[i] = p->pools[i].name;
		if (strcmp(names[i], pool->s) == 0)
			s->pool = (uint8_t)(i + 1);
	}
	if (s->pool == 0)
		problems_add_near(l->problems, plan_pos(l, pool), pool->s, names, p->npools, "unknown pool '%.60s'", pool->s);
}

static void
add_foreach(struct loader *l, uint32_t i)
{
	const struct draft *d = &l->drafts[i];
	struct step *s = &l->plan->steps[i];
	struct pos where;
	const char *src;
	size_t len;

	if (d->foreach == NULL) {
		problems_add(l->problems, plan_pos(l, d->key), NULL, "step '%s': 'key' without 'foreach'", s->id);
		return;
	}
	if (d->foreach->kind != NODE_LIST && (d->foreach->kind != NODE_SCALAR || template_whole(d->foreach, &src, &len, &where) != 1))
		problems_add(l->problems, plan_pos(l, d->foreach), NULL, "'foreach': expected one whole expression ${{ … }}, or a list");
	if (d->key == NULL)
		problems_add(l->problems, plan_pos(l, d->foreach), "key: ${{ item.name }}",
			     "step '%s': 'foreach' without 'key', which tells its items apart", s->id);
	else if (d->key->kind != NODE_SCALAR)
		problems_add(l->problems, plan_pos(l, d->key), NULL, "'key': expected text with expressions");
	l->plan->foreachs[l->plan->nforeachs++] = (struct plan_foreach){ .step = i, .list = d->foreach, .key = d->key };
}

/* DIR/WORD of the plan that is called so, without what "." and ".." make longer. NULL: it leads above everything. */
static const char *
key_of(struct arena *a, const char *from, bool bundled, const char *word)
{
	const size_t folder = bundled ? 0 : (size_t)(strrchr(from, '/') - from);
	char *path = bundled ? arena_printf(a, PLAN_BUNDLED "%s.yaml", word) : arena_printf(a, "%.*s/%s", (int)folder, from, word);
	const char **parts = arena_array(a, strlen(path) + 1, sizeof(*parts));
	struct buf b = BUF_INIT(0);
	size_t n = 0;
	const char *key;

	for (char *part; (part = strsep(&path, "/")) != NULL;)
		if (strcmp(part, "..") == 0 && n > 1 && strcmp(parts[n - 1], "..") != 0)
			n--;
		else if (part[0] != '\0' && strcmp(part, ".") != 0)
			parts[n++] = part;
	for (size_t i = 0; i < n; i++)
		buf_printf(&b, "%s%s", i > 0 ? "/" : "", parts[i]);
	key = arena_strndup(a, b.p, b.len);
	buf_done(&b);
	return key;
}

/* Does the plan run itself, by way of those in between? Then it says so. */
static bool
is_circle(const struct loader *l, const char *key, const struct node *at)
{
	const struct loader *chain[PLAN_MAX_DEPTH + 1];
	struct buf way = BUF_INIT(400);
	size_t n = 0;

	for (const struct loader *up = l; up != NULL && n < countof(chain); up = up->outer) {
		chain[n++] = up;
		if (strcmp(up->key, key) != 0)
			continue;
		while (n > 0)
			buf_printf(&way, "%s -> ", strchr(chain[--n]->key, '/') + 1);
		problems_add(l->problems, plan_pos(l, at), NULL, "a plan cannot run itself: %s%s", way.failed ? "… -> " : way.p,
			     strchr(key, '/') + 1);
		buf_done(&way);
		return true;
	}
	if (n > PLAN_MAX_DEPTH)
		problems_add(l->problems, plan_pos(l, at), NULL, "plans run plans over more than %d levels", PLAN_MAX_DEPTH);
	return n > PLAN_MAX_DEPTH;
}

/* Read a plan that has not been read in this load. */
static void
read_part(const struct loader *l, const struct node *at, bool bundled, const char *key)
{
	struct closure *c = l->closure;
	struct buf text = BUF_INIT(YAML_MAX_BYTES - c->bytes + 1);
	struct err err = ERR_INIT;
	const char *file;
	uint32_t i;

	if (c->reader == NULL) {
		problems_add(l->problems, plan_pos(l, at), NULL, "no other plan can be read here");
	} else if (c->n == PLAN_MAX_FILES) {
		problems_add(l->problems, plan_pos(l, at), NULL, "more than %d other plans", PLAN_MAX_FILES);
	} else if (c->reader->read(c->reader->data, l->plan->file, at->s, bundled, key, &c->arena, &file, &text, &err) < 0) {
		problems_add(l->problems, plan_pos(l, at), err.next[0] != '\0' ? err.next : NULL, "%s", err.msg);
	} else if (text.failed || text.len > YAML_MAX_BYTES - c->bytes) {
		problems_add(l->problems, plan_pos(l, at), NULL, "plan '%s': all plans together are larger than 64 MiB", at->s);
	} else {
		i = c->n++;
		c->keys[i] = key;
		c->bytes += text.len;
		c->parts[i] = plan_load_part(l, key, file, text.len > 0 ? text.p : "", text.len);
	}
	buf_done(&text);
}

/* The plan that a step names, or NULL with problems. */
static const struct plan *
named_plan(struct loader *l, const struct step *s)
{
	const struct node *file = node_get(&s->with, "file"), *name = node_get(&s->with, "name"), *at = name != NULL ? name : file;
	struct closure *c = l->closure;
	const char *key;
	uint32_t i;

	if (at == NULL || (file != NULL && name != NULL)) {
		problems_add(l->problems, (struct pos){ l->plan->file, s->line, s->col }, NULL,
			     "step '%s': 'plan' takes 'file', or the 'name' of a bundled plan", s->id);
		return NULL;
	}
	if (at->kind != NODE_SCALAR || (at == name && !template_has_expr(at->s) && !text_is_name(at->s, at->len)))
		return NULL; /* the check of its inputs says so */
	if (template_has_expr(at->s) || at->len == 0 || at->s[0] == '/') {
		problems_add(l->problems, plan_pos(l, at), NULL, "'%s': expected %s, without expressions", at == name ? "name" : "file",
			     at == name ? "the name of a bundled plan" : "a path from the folder of this plan");
		return NULL;
	}
	key = key_of(&c->arena, l->key, at == name, at->s);
	if (is_circle(l, key, at))
		return NULL;
	for (i = 0; i < c->n && strcmp(c->keys[i], key) != 0; i++)
		;
	if (i == c->n)
		read_part(l, at, at == name, key);
	return i < c->n ? c->parts[i] : NULL;
}

/* Which target stands for which; those that have none must be able to stand for themselves. */
static void
hand_targets(struct loader *l, const struct step *s, struct plan_sub *sub)
{
	const struct node *targets = node_get(&s->with, "targets");
	uint32_t *handed = arena_array(&l->plan->arena, sub->plan->ntargets, sizeof(*handed));

	for (uint32_t i = 0; i < sub->plan->ntargets; i++) {
		const struct node *n = targets != NULL && targets->kind == NODE_MAP ? node_get(targets, sub->plan->targets[i].name) : NULL;
		const uint32_t at = n != NULL && n->kind == NODE_SCALAR ? map_get(&l->target_index, n->s, n->len) : MAP_NONE;

		handed[i] = at != MAP_NONE ? at + 1 : 0;
	}
	sub->targets = handed;
}

static void
add_sub(struct loader *l, uint32_t i)
{
	struct step *s = &l->plan->steps[i];
	const struct node *params = node_get(&s->with, "params");
	struct plan_sub sub = { .step = i, .plan = named_plan(l, s), .params = { .kind = NODE_MAP } };

	if (sub.plan == NULL)
		return;
	if (params != NULL && params->kind == NODE_MAP)
		sub.params = *params;
	hand_targets(l, s, &sub);
	l->plan->subs[l->plan->nsubs++] = sub;
}

void
plan_add_children(struct loader *l)
{
	struct plan *p = l->plan;
	size_t each = 0, subs = 0;

	for (uint32_t i = 0; i < p->nsteps; i++) {
		each += l->drafts[i].foreach != NULL;
		subs += p->steps[i].type == &sub_step;
	}
	p->foreachs = arena_array(&p->arena, each, sizeof(*p->foreachs));
	p->subs = arena_array(&p->arena, subs, sizeof(*p->subs));
	for (uint32_t i = 0; i < p->nsteps; i++) {
		const struct draft *d = &l->drafts[i];

		if (d->pool != NULL)
			set_pool(l, &p->steps[i], d->pool);
		if (d->foreach != NULL || d->key != NULL)
			add_foreach(l, i);
		if (p->steps[i].type == &sub_step)
			add_sub(l, i);
	}
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Owns the load of a plan: text in, a frozen plan or all its problems out. The top level of the file is read here;
 * steps, params and the checks that need the whole file have files of their own. */
#include "plan.h"

#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "graph.h"
#include "lint.h"
#include "plan_load.h"

#define WORDS_MAX 64 /* in one place */

struct pos
plan_pos(const struct loader *l, const struct node *n)
{
	return node_pos(n, l->plan->file);
}

const struct word *
plan_word(struct loader *l, const struct node *key, enum word_place place)
{
	const char *names[WORDS_MAX];
	size_t n = 0;

	for (const struct word *w = language; w->name != NULL; w++) {
		if ((w->in & place) == 0)
			continue;
		if (strcmp(key->s, w->name) != 0) {
			if (w->shape != WORD_LATER && n < countof(names))
				names[n++] = w->name;
			continue;
		}
		if (w->shape != WORD_LATER)
			return w;
		problems_add(l->problems, plan_pos(l, key), NULL, "'%s' comes in a later version", key->s);
		return NULL;
	}
	problems_add_near(l->problems, plan_pos(l, key), key->s, names, n, "unknown key '%.60s'", key->s);
	return NULL;
}

static void
read_head(struct loader *l, const struct node *root)
{
	const struct node *version = node_get(root, "wherry"), *name = node_get(root, "name");
	const struct node *summary = node_get(root, "summary");
	const struct pos top = plan_pos(l, root);

	if (version == NULL)
		problems_add(l->problems, top, NULL,
			     "missing 'wherry: v1', the version of the format");
	else if (version->kind != NODE_SCALAR || strcmp(version->s, "v1") != 0)
		problems_add(l->problems, plan_pos(l, version), NULL,
			     "'wherry': this version reads plans of format v1");
	if (name == NULL)
		problems_add(l->problems, top, NULL, "missing 'name'");
	else if (name->kind != NODE_SCALAR || !text_is_name(name->s, name->len))
		problems_add(l->problems, plan_pos(l, name), NULL,
			     "'name': expected [A-Za-z][A-Za-z0-9_-]{0,62}");
	else
		l->plan->name = arena_strdup(&l->plan->arena, name->s);
	if (summary != NULL && summary->kind != NODE_SCALAR)
		problems_add(l->problems, plan_pos(l, summary), NULL, "'summary': expected text");
	else if (summary != NULL)
		l->plan->summary = arena_strdup(&l->plan->arena, summary->s);
}

/* A top-level section that is a map, or NULL. */
static const struct node *
section(struct loader *l, const struct node *root, const char *name)
{
	const struct node *n = node_get(root, name);

	if (n == NULL || (n->kind == NODE_SCALAR && n->plain && n->len == 0))
		return NULL;
	if (n->kind == NODE_MAP)
		return n;
	problems_add(l->problems, plan_pos(l, n), NULL, "'%s': expected a map", name);
	return NULL;
}

static const struct target_type *
target_type(struct loader *l, const struct node *kind)
{
	static const char *const later[] = { "kubernetes", "linstor", "postgresql", "mysql",
					     "nats" };
	const struct target_type *type = registry_target(l->registry, kind->s);
	const char *names[32];
	size_t n = 0;

	if (type != NULL && registry_is_declarable(type))
		return type;
	if (type != NULL) {
		problems_add(l->problems, plan_pos(l, kind), NULL,
			     "targets of kind '%s' are not declared: there is one, always",
			     kind->s);
		return NULL;
	}
	for (size_t i = 0; i < countof(later); i++)
		if (strcmp(kind->s, later[i]) == 0) {
			problems_add(l->problems, plan_pos(l, kind), NULL,
				     "target kind '%s' comes in a later version", kind->s);
			return NULL;
		}
	for (const struct target_type *const *t = l->registry->targets;
	     *t != NULL && n < countof(names); t++)
		if (registry_is_declarable(*t))
			names[n++] = (*t)->kind;
	problems_add_near(l->problems, plan_pos(l, kind), kind->s, names, n,
			  "unknown target kind '%.60s'", kind->s);
	return NULL;
}

/* The map without what every kind has: `kind`, and `required`. */
static struct node
target_fields(struct loader *l, const struct node *map)
{
	struct node *pairs = arena_array(&l->scratch, (size_t)map->len * 2, sizeof(*pairs)),
		    fields = *map;

	fields.len = 0;
	fields.items = pairs;
	for (uint32_t i = 0; i < map->len; i++)
		if (strcmp(map->items[2 * i].s, "kind") != 0 && strcmp(map->items[2 * i].s, "required") != 0) {
			pairs[2 * fields.len] = map->items[2 * i];
			pairs[2 * fields.len++ + 1] = map->items[2 * i + 1];
		}
	return node_copy(&l->plan->arena, &fields);
}

/* `required: true` of a target: it is handed in, so that nothing is left to say about it here. */
static bool
is_required(struct loader *l, const struct node *name, const struct node *map)
{
	const struct node *n = node_get(map, "required");
	const struct value v = n != NULL && n->kind == NODE_SCALAR ? node_value(&l->scratch, n) : VALUE_NULL;

	if (n == NULL)
		return false;
	if (v.kind != V_BOOL)
		problems_add(l->problems, plan_pos(l, n), NULL, "'required': expected true or false");
	else if (v.b && map->len > 2)
		problems_add(l->problems, plan_pos(l, n), NULL, "target '%s' is handed in by the plan that runs this one: it has no fields here",
			     name->s);
	return v.kind != V_BOOL || v.b;
}

static void
add_targets(struct loader *l, const struct node *targets)
{
	const uint32_t n = targets != NULL ? targets->len : 0;
	struct plan *p = l->plan;

	p->targets = arena_array(&p->arena, n, sizeof(*p->targets));
	for (uint32_t i = 0; i < n; i++) {
		const struct node *name = &targets->items[2 * i], *map = name + 1,
				  *kind = node_get(map, "kind");
		struct plan_target *t = &p->targets[p->ntargets];

		if (!text_is_name(name->s, name->len))
			problems_add(l->problems, plan_pos(l, name), NULL,
				     "target name '%.60s': expected [A-Za-z][A-Za-z0-9_-]{0,62}",
				     name->s);
		if (map->kind != NODE_MAP || kind == NULL || kind->kind != NODE_SCALAR) {
			problems_add(l->problems, plan_pos(l, map), NULL,
				     "target '%.60s': expected a map with its 'kind'", name->s);
			kind = NULL;
		}
		t->name = arena_strdup(&p->arena, name->s);
		t->where = plan_pos(l, name);
		t->type = kind != NULL ? target_type(l, kind) : NULL;
		t->fields = map->kind == NODE_MAP ? target_fields(l, map)
						  : (struct node){ .kind = NODE_MAP };
		t->required = map->kind == NODE_MAP && is_required(l, name, map);
		(void)map_add(&l->target_index, t->name, name->len, (uint32_t)p->ntargets++);
	}
}

static void
add_outputs(struct loader *l, const struct node *outputs)
{
	if (outputs == NULL)
		return;
	for (uint32_t i = 0; i < outputs->len; i++) {
		const struct node *name = &outputs->items[2 * i];

		if (!text_is_name(name->s, name->len))
			problems_add(l->problems, plan_pos(l, name), NULL,
				     "output name '%.60s': expected [A-Za-z][A-Za-z0-9_-]{0,62}",
				     name->s);
	}
	l->plan->outputs = node_copy(&l->plan->arena, outputs);
}

const struct node *
plan_read_allow(struct loader *l, const struct node *n)
{
	const char *names[WORDS_MAX];
	struct node *kept;
	size_t known = 0;

	for (const struct lint_rule *rule = lint_rules; rule->name != NULL && known < countof(names); rule++)
		names[known++] = rule->name;
	if (n->kind != NODE_MAP) {
		problems_add(l->problems, plan_pos(l, n), NULL, "'allow': expected a map of lints to reasons");
		return NULL;
	}
	for (uint32_t i = 0; i < n->len; i++) {
		const struct node *rule = &n->items[2 * i], *reason = rule + 1;

		if (lint_rule(rule->s) == NULL)
			problems_add_near(l->problems, plan_pos(l, rule), rule->s, names, known, "unknown lint '%.60s'", rule->s);
		if (reason->kind != NODE_SCALAR || reason->len == 0 || template_has_expr(reason->s))
			problems_add(l->problems, plan_pos(l, reason), NULL, "'%.60s' is allowed only with a reason", rule->s);
	}
	kept = arena_alloc(&l->plan->arena, sizeof(*kept));
	*kept = node_copy(&l->plan->arena, n);
	return kept;
}

/* `finally` may stand before `steps` in the file, but comes last in the plan. */
static void
order_steps(struct loader *l)
{
	struct plan *p = l->plan;
	struct step *steps;
	struct draft *drafts;
	uint32_t main_at = 0, finally_at = p->nmain, at;

	if (p->nmain == 0 || !p->steps[0].finally) {
		p->steps = xreallocarray(p->steps, p->nsteps, sizeof(*p->steps));
		return;
	}
	steps = xcalloc(p->nsteps, sizeof(*steps));
	drafts = xcalloc(p->nsteps, sizeof(*drafts));
	for (uint32_t i = 0; i < p->nsteps; i++) {
		at = p->steps[i].finally ? finally_at++ : main_at++;
		steps[at] = p->steps[i];
		drafts[at] = l->drafts[i];
	}
	free(p->steps);
	free(l->drafts);
	p->steps = steps;
	l->drafts = drafts;
}

static void
index_steps(struct loader *l)
{
	struct plan *p = l->plan;

	order_steps(l);
	for (uint32_t i = 0; i < p->nsteps; i++) {
		const struct step *s = &p->steps[i];
		uint32_t first;

		if (s->id[0] == '\0')
			continue;
		first = map_add(&p->index, s->id, strlen(s->id), i);
		if (first != MAP_NONE)
			problems_add(l->problems, (struct pos){ p->file, s->line, s->col }, NULL,
				     "duplicate step id '%s' in line %u: it is also in line %u",
				     s->id, s->line, p->steps[first].line);
	}
}

static void
check_sections(struct loader *l, const struct node *root)
{
	static const char *const names[] = { "steps", "finally" };
	const struct node *n;

	for (size_t i = 0; i < countof(names); i++) {
		n = node_get(root, names[i]);
		if (n != NULL && n->kind != NODE_LIST &&
		    !(n->kind == NODE_SCALAR && n->plain && n->len == 0))
			problems_add(l->problems, plan_pos(l, n), NULL, "'%s': expected a list",
				     names[i]);
		else if (i == 0 && l->plan->nmain == 0)
			problems_add(l->problems, plan_pos(l, n != NULL ? n : root), NULL,
				     "plan has no steps");
	}
}

static void
load(struct loader *l, const char *text, size_t len)
{
	struct plan *p = l->plan;
	const struct node *allow;
	struct node root;

	if (yaml_parse(&l->scratch, p->file, text, len, plan_add_item, l, &root, l->problems) < 0 &&
	    root.len == 0)
		return;
	if (root.kind != NODE_MAP) {
		problems_add(l->problems, plan_pos(l, &root), NULL,
			     "a plan is a map with 'wherry', 'name' and 'steps'");
		return;
	}
	if (root.len == 0) {
		problems_add(l->problems, plan_pos(l, &root), NULL, "plan has no steps");
		return;
	}
	for (uint32_t i = 0; i < root.len; i++)
		(void)plan_word(l, &root.items[2 * i], IN_PLAN);
	read_head(l, &root);
	check_sections(l, &root);
	plan_add_params(l, section(l, &root, "params"));
	add_targets(l, section(l, &root, "targets"));
	add_outputs(l, section(l, &root, "outputs"));
	plan_add_pools(l, section(l, &root, "pools"));
	plan_set_policies(l, section(l, &root, "defaults"));
	if (node_get(&root, "allow") != NULL && (allow = plan_read_allow(l, node_get(&root, "allow"))) != NULL)
		p->allow = *allow;
	index_steps(l);
	plan_add_children(l);
	plan_check(l);
	(void)graph_check_cycles(p, l->problems);
}

static void
loader_done(struct loader *l)
{
	for (size_t i = 0; i < l->plan->ntargets && l->target_needs != NULL; i++)
		free(l->target_needs[i].list);
	free(l->target_needs);
	for (uint32_t i = 0; i < l->nsaid; i++)
		free(l->said[i]);
	free(l->said);
	free(l->drafts);
	map_done(&l->said_index);
	map_done(&l->param_index);
	map_done(&l->target_index);
	arena_done(&l->scratch);
	expr_host_free(l->host);
}

/* One plan of a closure. */
static struct plan *
load_one(struct loader *l, const char *file, const char *text, size_t len)
{
	const size_t before = l->problems->n + l->problems->dropped;
	struct plan *p = xcalloc(1, sizeof(*p));

	l->plan = p;
	l->host = expr_host_new();
	p->file = arena_strdup(&p->arena, file);
	p->key = arena_strdup(&p->arena, l->key);
	p->outputs = p->allow = (struct node){ .kind = NODE_MAP };
	load(l, text, len);
	loader_done(l);
	if (l->problems->n + l->problems->dropped > before) {
		if (l->outer != NULL)
			problems_source(l->problems, file, text, len);
		plan_free(p);
		return NULL;
	}
	p->text = xmalloc(len + 1);
	memcpy(p->text, text, len);
	p->text[len] = '\0';
	p->text_len = len;
	return p;
}

struct plan *
plan_load_part(const struct loader *outer, const char *key, const char *file, const char *text, size_t len)
{
	struct loader l = { .registry = outer->registry, .closure = outer->closure, .outer = outer, .key = key,
			    .problems = outer->problems };

	return load_one(&l, file, text, len);
}

struct plan *
plan_load(const struct registry *registry, const struct plan_reader *reader, const char *file, const char *text, size_t len,
	  struct problems *problems)
{
	const char *base = strrchr(file, '/');
	struct closure closure = { .reader = reader };
	struct loader l = { .registry = registry, .closure = &closure, .problems = problems };
	struct plan *p;

	l.key = arena_printf(&closure.arena, PLAN_BESIDE "%s", base != NULL ? base + 1 : file);
	p = load_one(&l, file, text, len);
	if (p == NULL) {
		problems_sort(problems);
		for (uint32_t i = 0; i < closure.n; i++)
			plan_free(closure.parts[i]);
	} else if (closure.n > 0) {
		p->parts = arena_array(&p->arena, closure.n, sizeof(*p->parts));
		memcpy(p->parts, closure.parts, closure.n * sizeof(*p->parts));
		p->nparts = closure.n;
	}
	arena_done(&closure.arena);
	return p;
}

void
plan_free(struct plan *p)
{
	if (p == NULL)
		return;
	for (uint32_t i = 0; i < p->nparts; i++)
		plan_free(p->parts[i]);
	free(p->text);
	free(p->image);
	free(p->steps);
	free(p->needs);
	map_done(&p->index);
	graph_done(&p->graph);
	arena_done(&p->arena);
	free(p);
}

uint32_t
plan_find(const struct plan *p, const char *id, size_t len)
{
	struct map *index = (struct map *)&p->index;

	if (index->used == 0) {
		map_reserve(index, p->nsteps);
		for (uint32_t i = 0; i < p->nsteps; i++)
			(void)map_add(index, p->steps[i].id, strlen(p->steps[i].id), i);
	}
	return map_get(index, id, len);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Owns how a plan's structs become bytes. One function for each struct serves both ways: it is given a copy and writes its
 * members, or it fills them as it reads, so that neither way can know a member that the other does not. Numbers are of
 * variable length; step types, target kinds and policies go by their place in a table; texts end in a NUL and stay where
 * they were read. */
#include "plan_code.h"

#include <string.h>

#include "base/io.h"
#include "undo.h"

#define IMAGE_DEPTH (2 * YAML_MAX_DEPTH)
#define ELEMENT_MAX 256 /* of a list, in memory */

/* A new member is a line in the function of its struct below, and its size here. */
_Static_assert(sizeof(void *) != 8 || (sizeof(struct plan) == 328 && sizeof(struct step) == 104 &&
	       sizeof(struct node) == 24 && sizeof(struct policy) == 40 && sizeof(struct need) == 8 &&
	       sizeof(struct param) == 128 && sizeof(struct plan_target) == 64 && sizeof(struct field) == 96 &&
	       sizeof(struct pos) == 16 && sizeof(struct plan_undo) == 40 &&
	       sizeof(struct plan_foreach) == 24 && sizeof(struct plan_pool) == 16),
	       "the image does not know all of a plan");

void
plan_code_flush(struct coder *c)
{
	struct err ignored = ERR_INIT;

	const size_t n = c->out.len < CODE_PIECE ? c->out.len : CODE_PIECE;

	c->sum = checksum64(c->sum, c->out.p, n);
	if (!c->bad)
		c->bad = io_write_all(c->fd, c->out.p, n, &ignored) < 0;
	buf_consume(&c->out, n);
}

static uint64_t
long_number(struct coder *c, uint64_t n)
{
	char bytes[10];
	size_t len = 0;
	unsigned char b;

	if (c->packing) {
		for (; n >= 0x80; n >>= 7)
			bytes[len++] = (char)(n | 0x80);
		bytes[len++] = (char)n;
		buf_put(&c->out, bytes, len);
		return 0;
	}
	n = 0;
	for (unsigned shift = 0; shift < 64 && c->at < c->end; shift += 7) {
		b = (unsigned char)*c->at++;
		n |= (uint64_t)(b & 0x7f) << shift;
		if (b < 0x80)
			return n;
	}
	c->bad = true;
	return 0;
}

/* Most are of one byte, and a plan of 100,000 steps has millions. */
static inline uint64_t
number(struct coder *c, uint64_t n)
{
	if (!c->packing && c->at < c->end && (unsigned char)*c->at < 0x80)
		return (unsigned char)*c->at++;
	return long_number(c, n);
}

/* Code an integer member of any type. */
#define NUMBER(c, member)                                               \
	do {                                                            \
		const uint64_t n_ = number(c, (uint64_t)(member));      \
		if (!(c)->packing)                                      \
			(member) = (__typeof__(member))n_;              \
	} while (0)

/* How many elements follow; each has at least one byte. */
static size_t
count(struct coder *c, size_t n)
{
	const uint64_t got = number(c, n);

	if (c->packing)
		return n;
	if (got <= (uint64_t)(c->end - c->at))
		return (size_t)got;
	c->bad = true;
	return 0;
}

static const char *
bytes(struct coder *c, const char *p, size_t len)
{
	if (c->packing) {
		buf_put(&c->out, p, len);
		buf_putc(&c->out, '\0');
		return p;
	}
	if (c->bad || len >= (size_t)(c->end - c->at) || c->at[len] != '\0') {
		c->bad = true;
		return "";
	}
	p = c->at;
	c->at += len + 1;
	return p;
}

/* Text, or NULL. */
static void
text(struct coder *c, const char **s)
{
	const size_t len = count(c, *s != NULL ? strlen(*s) + 1 : 0);

	*s = len > 0 ? bytes(c, *s, len - 1) : NULL;
}

static void
real(struct coder *c, double *n)
{
	uint64_t bits;

	memcpy(&bits, n, sizeof(bits));
	NUMBER(c, bits);
	memcpy(n, &bits, sizeof(bits));
}

static void
place(struct coder *c, struct pos *where)
{
	NUMBER(c, where->line);
	NUMBER(c, where->col);
	where->file = c->plan->file;
}

/* What a node is, in a byte; most stand on the line of the one before. */
static void
node_head(struct coder *c, struct node *n)
{
	uint64_t head = (uint64_t)n->kind | (uint64_t)n->plain << 2 | (uint64_t)(n->line != c->line) << 3;

	NUMBER(c, head);
	c->bad |= head > 15;
	if (!c->packing) {
		n->kind = head & 3;
		n->plain = head >> 2 & 1;
		n->line = c->line;
	}
	if (head & 8)
		NUMBER(c, n->line);
	NUMBER(c, n->col);
	c->line = n->line;
}

static void
node(struct coder *c, struct node *n, unsigned depth)
{
	struct node *items, part;
	size_t parts;

	node_head(c, n);
	n->len = (uint32_t)count(c, n->len);
	if (n->kind == NODE_SCALAR) {
		n->s = bytes(c, n->s, n->len);
		return;
	}
	c->bad |= n->kind > NODE_MAP || depth == IMAGE_DEPTH;
	parts = c->bad ? 0 : n->kind == NODE_MAP ? (size_t)n->len * 2 : n->len;
	items = c->packing ? NULL : arena_array(&c->plan->arena, parts, sizeof(*items));
	for (size_t i = 0; i < parts; i++) {
		if (c->packing)
			part = n->items[i];
		node(c, c->packing ? &part : &items[i], depth + 1);
	}
	if (!c->packing)
		n->items = items;
}

/* A node of its own, or NULL. */
static void
own_node(struct coder *c, const struct node **n)
{
	struct node copy, *to = &copy;

	if (count(c, *n != NULL) == 0) {
		*n = NULL;
		return;
	}
	if (c->packing)
		copy = **n;
	else
		*n = to = arena_alloc(&c->plan->arena, sizeof(*to));
	node(c, to, 0);
}

/* Code n elements, each by way of a copy: what is packed is frozen, and memory that is only written is cheaper to touch. */
static void
list(struct coder *c, void *first, size_t n, size_t size, void (*code)(struct coder *, void *))
{
	_Alignas(max_align_t) char copy[ELEMENT_MAX];

	for (size_t i = 0; i < n && !c->bad; i++) {
		char *at = (char *)first + i * size;

		if (c->packing)
			memcpy(copy, at, size);
		else
			memset(copy, 0, size);
		code(c, copy);
		if (!c->packing)
			memcpy(at, copy, size);
		while (c->out.len >= CODE_PIECE)
			plan_code_flush(c);
	}
}

static void
policy(struct coder *c, void *at)
{
	struct policy *p = at;

	NUMBER(c, p->timeout);
	NUMBER(c, p->retry.attempts);
	NUMBER(c, p->retry.backoff);
	NUMBER(c, p->retry.max_backoff);
	NUMBER(c, p->on_error);
}

static void
need(struct coder *c, void *at)
{
	struct need *n = at;

	NUMBER(c, n->to);
	NUMBER(c, n->weak);
	c->bad |= n->to >= c->plan->nsteps;
}

static void
step_type(struct coder *c, const struct step_type **type)
{
	size_t at = 0;

	while (c->packing && at < c->ntypes && c->registry->steps[at] != *type)
		at++;
	NUMBER(c, at);
	c->bad |= at >= c->ntypes;
	*type = c->bad ? NULL : c->registry->steps[at];
}

static void
target_type(struct coder *c, const struct target_type **type)
{
	size_t at = 0;

	while (c->packing && at < c->nkinds && c->registry->targets[at] != *type)
		at++;
	NUMBER(c, at);
	c->bad |= at >= c->nkinds;
	*type = c->bad ? NULL : c->registry->targets[at];
}

static void
shared_policy(struct coder *c, const struct policy **policy)
{
	size_t at = c->packing ? (size_t)(*policy - c->plan->policies) : 0;

	NUMBER(c, at);
	c->bad |= at >= c->plan->npolicies;
	*policy = c->bad ? NULL : &c->plan->policies[at];
}

/* Steps by their place in the plan. */
static void
places(struct coder *c, const uint32_t **list, uint32_t *n)
{
	uint32_t *to, one;

	*n = (uint32_t)count(c, *n);
	to = c->packing ? NULL : arena_array(&c->plan->arena, *n, sizeof(*to));
	for (uint32_t i = 0; i < *n; i++) {
		one = c->packing ? (*list)[i] : 0;
		NUMBER(c, one);
		c->bad |= one >= c->plan->nsteps;
		if (!c->packing)
			to[i] = one;
	}
	if (!c->packing)
		*list = to;
}

static void
undo(struct coder *c, void *at)
{
	struct plan_undo *u = at;

	NUMBER(c, u->step);
	step_type(c, &u->type);
	node(c, &u->with, 0);
	c->bad |= u->step >= c->plan->nsteps;
}

static void
foreach(struct coder *c, void *at)
{
	struct plan_foreach *f = at;

	NUMBER(c, f->step);
	NUMBER(c, f->when_each);
	own_node(c, &f->list);
	own_node(c, &f->key);
	c->bad |= f->step >= c->plan->nsteps || f->list == NULL || f->key == NULL;
}

static void
pool(struct coder *c, void *at)
{
	struct plan_pool *p = at;

	text(c, &p->name);
	NUMBER(c, p->limit);
	c->bad |= p->name == NULL;
}

static void
step(struct coder *c, void *at)
{
	const struct plan *p = c->plan;
	struct step *s = at;
	uint32_t nguards = s->nguards;

	text(c, &s->id);
	NUMBER(c, s->line);
	NUMBER(c, s->col);
	c->line = s->line;
	s->undoes++; /* none, the usual, is 0 */
	NUMBER(c, s->undoes);
	s->undoes--;
	if (s->undoes == PLAN_NO_STEP)
		step_type(c, &s->type);
	else
		s->type = &undo_step;
	node(c, &s->with, 0);
	own_node(c, &s->when);
	own_node(c, &s->allow);
	shared_policy(c, &s->policy);
	NUMBER(c, s->need_first);
	NUMBER(c, s->need_count);
	NUMBER(c, s->finally);
	NUMBER(c, s->undone);
	NUMBER(c, s->pool);
	NUMBER(c, s->each);
	text(c, &s->irreversible);
	places(c, &s->guards, &nguards);
	s->nguards = (uint16_t)nguards;
	c->bad |= s->id == NULL || s->need_first > p->nneeds || s->need_count > p->nneeds - s->need_first ||
		  (s->undoes >= p->nsteps && s->undoes != PLAN_NO_STEP) || s->pool > p->npools;
}

static void
choices(struct coder *c, const char *const **list)
{
	const char **to = NULL, *one;
	size_t n = 0;

	while (c->packing && *list != NULL && (*list)[n] != NULL)
		n++;
	n = count(c, n);
	if (n == 0)
		return;
	if (!c->packing)
		*list = to = arena_array(&c->plan->arena, n + 1, sizeof(*to));
	for (size_t i = 0; i < n; i++) {
		one = c->packing ? (*list)[i] : NULL;
		text(c, &one);
		if (!c->packing)
			to[i] = one != NULL ? one : "";
	}
}

static void
field(struct coder *c, struct field *f)
{
	text(c, &f->name);
	NUMBER(c, f->type);
	NUMBER(c, f->item);
	NUMBER(c, f->offset);
	NUMBER(c, f->required);
	NUMBER(c, f->secret);
	text(c, &f->dflt);
	choices(c, &f->choices);
	text(c, &f->pattern);
	real(c, &f->min);
	real(c, &f->max);
	text(c, &f->kind);
	text(c, &f->help);
	NUMBER(c, f->object);
	c->bad |= f->name == NULL || f->members != NULL; /* no param has members */
}

static void
param(struct coder *c, void *at)
{
	struct param *p = at;

	field(c, &p->field);
	text(c, &p->env);
	own_node(c, &p->dflt);
	place(c, &p->where);
}

static void
target(struct coder *c, void *at)
{
	struct plan_target *t = at;

	text(c, &t->name);
	target_type(c, &t->type);
	node(c, &t->fields, 0);
	place(c, &t->where);
	NUMBER(c, t->required);
	c->bad |= t->name == NULL;
}

void
plan_code(struct coder *c)
{
	struct plan *p = c->plan;

	text(c, &p->name);
	text(c, &p->summary);
	p->nparams = count(c, p->nparams);
	p->ntargets = count(c, p->ntargets);
	p->npolicies = (uint32_t)count(c, p->npolicies);
	p->nsteps = (uint32_t)count(c, p->nsteps);
	NUMBER(c, p->nmain);
	p->nneeds = (uint32_t)count(c, p->nneeds);
	p->nundos = (uint32_t)count(c, p->nundos);
	p->nforeachs = (uint32_t)count(c, p->nforeachs);
	p->npools = (uint32_t)count(c, p->npools);
	c->bad |= p->name == NULL || p->nmain > p->nsteps || p->nsteps > PLAN_MAX_STEPS;
	if (c->bad)
		return;
	if (!c->packing) {
		p->params = arena_array(&p->arena, p->nparams, sizeof(*p->params));
		p->targets = arena_array(&p->arena, p->ntargets, sizeof(*p->targets));
		p->policies = arena_array(&p->arena, p->npolicies, sizeof(*p->policies));
		p->steps = xcalloc(p->nsteps, sizeof(*p->steps));
		p->needs = xcalloc(p->nneeds, sizeof(*p->needs));
		p->undos = arena_array(&p->arena, p->nundos, sizeof(*p->undos));
		p->foreachs = arena_array(&p->arena, p->nforeachs, sizeof(*p->foreachs));
		p->pools = arena_array(&p->arena, p->npools, sizeof(*p->pools));
	}
	list(c, p->params, p->nparams, sizeof(*p->params), param);
	list(c, p->targets, p->ntargets, sizeof(*p->targets), target);
	list(c, p->policies, p->npolicies, sizeof(*p->policies), policy);
	list(c, p->needs, p->nneeds, sizeof(*p->needs), need);
	list(c, p->steps, p->nsteps, sizeof(*p->steps), step);
	list(c, p->undos, p->nundos, sizeof(*p->undos), undo);
	list(c, p->foreachs, p->nforeachs, sizeof(*p->foreachs), foreach);
	list(c, p->pools, p->npools, sizeof(*p->pools), pool);
	node(c, &p->outputs, 0);
	node(c, &p->allow, 0);
}

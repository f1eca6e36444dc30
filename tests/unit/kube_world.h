/* SPDX-License-Identifier: Apache-2.0 */
/* A step.h for the handlers of the Kubernetes family: reads answer from a map of paths, lists and watches from scripts, and
 * effects are kept for the test to look at. Expressions are the real ones. */
#ifndef WHERRY_TESTS_KUBE_WORLD_H
#define WHERRY_TESTS_KUBE_WORLD_H

#include <stdio.h>
#include <string.h>

#include "expr.h"
#include "step.h"

/* One answer of a watch: an object of this key, or its end (json NULL). */
#define ALL { "", NULL } /* all that is there has been told */
#define END { NULL, NULL } /* nothing more: it times out */
struct told {
	const char *key, *json;
};

struct watch {
	struct step_ctx *cx;
	const struct told *script; /* what is left of it */
	struct change change;
};

struct script {
	const char *path;
	const struct told *told;
};

struct step_ctx {
	struct arena arena;
	bool plan;
	const struct script *scripts;  /* of watches, by path; ended by an empty one */
	const char *(*pages)[2];       /* of a list: key and object; an empty key: a new page; ended by NULL */
	struct { const char *path, *json; } reads[8];
	const char *refused;           /* this path is not known in a dry-run */
	struct effect effects[8];
	size_t neffects, nwatches;
	const char *listed, *reply;    /* the list's path; JSON that effects answer with */
	struct pair outputs[8];
	size_t noutputs;
	char note[400], assumed[400];
	struct expr_host *host;
	unsigned times;                /* how often a watch breaks first */
};

struct arena *
step_arena(struct step_ctx *cx)
{
	return &cx->arena;
}

const char *
step_text(struct step_ctx *cx, const char *fmt, ...)
{
	char text[1024];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	return arena_strdup(&cx->arena, text);
}

static struct value
world_json(struct step_ctx *cx, const char *text)
{
	struct err err = ERR_INIT;
	struct value v;

	if (value_parse_json(&cx->arena, text, strlen(text), &v, &err) < 0)
		fail_msg("%s: %s", text, err.msg);
	return v;
}

static struct value *
world_keep(struct step_ctx *cx, struct value v)
{
	struct value *ret = arena_alloc(&cx->arena, sizeof(*ret));

	*ret = v;
	return ret;
}

/* Compiled at once: an expression over value. */
static const struct expr *
world_expr(struct step_ctx *cx, const char *src)
{
	struct expr *e = arena_alloc(&cx->arena, sizeof(*e));
	struct err err = ERR_INIT;

	if (cx->host == NULL)
		cx->host = expr_host_new();
	if (expr_freeze(cx->host, src, strlen(src), (struct pos){ 0 }, &(struct expr_env){ 0 }, &cx->arena, e, &err) < 0)
		fail_msg("%s: %s", src, err.msg);
	return e;
}

int
step_read(struct step_ctx *cx, const struct ref *ref, const struct value **ret, struct err *err)
{
	(void)err;
	if (cx->refused != NULL && strcmp(ref->path, cx->refused) == 0) {
		*ret = world_keep(cx, value_unknown("an earlier step changes it"));
		return 0;
	}
	for (size_t i = 0; i < countof(cx->reads) && cx->reads[i].path != NULL; i++)
		if (strcmp(cx->reads[i].path, ref->path) == 0) {
			*ret = world_keep(cx, world_json(cx, cx->reads[i].json));
			return 0;
		}
	*ret = world_keep(cx, VALUE_NULL);
	return 0;
}

int
step_list(struct step_ctx *cx, const struct query *q, struct page *ret, struct err *err)
{
	const char *(*at)[2] = cx->pages;
	struct item *items = arena_array(&cx->arena, 16, sizeof(*items));

	(void)err;
	cx->listed = q->from.p;
	for (size_t skip = q->resume.len; skip > 0; at++)
		skip -= (*at)[0][0] == '\0';
	*ret = (struct page){ .items = items };
	for (; (*at)[0] != NULL && (*at)[0][0] != '\0'; at++)
		items[ret->n++] = (struct item){ .key = { (*at)[0], strlen((*at)[0]) }, .value = { (*at)[1], strlen((*at)[1]) } };
	ret->more = (*at)[0] != NULL;
	ret->resume = (struct bytes){ "pppppppp", ret->more ? q->resume.len + 1 : 0 };
	return 0;
}

int
step_watch(struct step_ctx *cx, const struct query *q, struct watch **ret, struct err *err)
{
	cx->nwatches++;
	if (cx->refused != NULL && strcmp(q->from.p, cx->refused) == 0)
		return err_set(err, ERR_PREDICTED, "not known then");
	for (const struct script *s = cx->scripts; s != NULL && s->path != NULL; s++)
		if (strcmp(s->path, q->from.p) == 0) {
			*ret = arena_alloc(&cx->arena, sizeof(**ret));
			**ret = (struct watch){ .cx = cx, .script = s->told };
			return 0;
		}
	fail_msg("nobody thought of a watch of '%s'", (const char *)q->from.p);
	return -1;
}

int
step_watch_next(struct watch *w, int64_t wait_ns, struct changes *ret, struct err *err)
{
	const struct told *t = w->script;

	*ret = (struct changes){ .list = &w->change };
	if (w->cx->times > 0) {
		w->cx->times--;
		return err_set(err, ERR_UNREACHABLE, "gone");
	}
	if (t->key == NULL)
		return wait_ns > 0 ? err_set(err, ERR_TIMEOUT, "timed out") : 0;
	w->script++;
	if (t->key[0] == '\0') {
		ret->revision = 7;
		return 0;
	}
	w->change = (struct change){ .deleted = t->json == NULL, .item.key = { t->key, strlen(t->key) },
		.item.value = { t->json, t->json != NULL ? strlen(t->json) : 0 } };
	ret->n = 1;
	return 0;
}

void
step_watch_close(struct watch *w)
{
	(void)w;
}

int
step_effect(struct step_ctx *cx, const struct effect *e, const struct value **ret, struct err *err)
{
	(void)err;
	cx->effects[cx->neffects++] = *e;
	if (ret != NULL)
		*ret = world_keep(cx, cx->reply == NULL ? value_unknown("not known") : world_json(cx, cx->reply));
	return 0;
}

int
step_output(struct step_ctx *cx, const char *name, struct value v, struct err *err)
{
	if (v.flags & VF_SECRET)
		return err_set(err, ERR_FAILED, "a secret");
	cx->outputs[cx->noutputs++] = (struct pair){ name, value_copy(&cx->arena, &v) };
	return 0;
}

int
step_expr(struct step_ctx *cx, const struct expr *e, const struct value *v, struct value *ret, struct err *err)
{
	return expr_eval_over(cx->host, e, v, &cx->arena, ret, err);
}

void
step_note(struct step_ctx *cx, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(cx->note, sizeof(cx->note), fmt, ap);
	va_end(ap);
}

void
step_assume(struct step_ctx *cx, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(cx->assumed, sizeof(cx->assumed), fmt, ap);
	va_end(ap);
}

bool
step_is_plan(const struct step_ctx *cx)
{
	return cx->plan;
}

int
step_sleep(struct step_ctx *cx, int64_t ns, struct err *err)
{
	(void)cx, (void)ns, (void)err;
	return 0;
}

void
step_progress(struct step_ctx *cx, uint64_t done, uint64_t total, const char *unit)
{
	(void)cx, (void)done, (void)total, (void)unit;
}

static int
world_setup(void **state)
{
	*state = test_calloc(1, sizeof(struct step_ctx));
	return 0;
}

static int
world_teardown(void **state)
{
	struct step_ctx *cx = *state;

	if (cx->host != NULL)
		expr_host_free(cx->host);
	arena_done(&cx->arena);
	test_free(cx);
	return 0;
}

/* Bind the inputs of a step as a plan would, from JSON: in is not part of them. */
static void *
world_args(struct step_ctx *cx, const struct step_type *type, const char *inputs)
{
	char *args = arena_alloc(&cx->arena, type->args_size);
	const struct value given = world_json(cx, inputs);
	struct err err = ERR_INIT;

	for (const struct field *f = type->inputs; f->name != NULL; f++) {
		const struct value *v = value_get(&given, f->name);
		const struct value dflt = f->dflt != NULL ? schema_default(f) : VALUE_NULL;

		if (f->type == F_TARGET)
			continue;
		if (f->type == F_EXPR && v != NULL)
			*(const struct expr **)(void *)(args + f->offset) = world_expr(cx, v->s);
		else if (f->type != F_EXPR && schema_convert(f, v != NULL ? v : &dflt, &cx->arena, args + f->offset, &err) < 0)
			fail_msg("%s", err.msg);
	}
	return args;
}

/* Check and run; -1 with the message where either fails. */
static int
world_run(struct step_ctx *cx, const struct step_type *type, const char *inputs, struct err *err)
{
	const void *args = world_args(cx, type, inputs);

	*err = ERR_INIT;
	cx->noutputs = cx->neffects = cx->nwatches = 0;
	cx->note[0] = cx->assumed[0] = '\0';
	if (type->check != NULL && type->check(args, err) < 0)
		return -1;
	return type->run(cx, args, err);
}

static const struct value *
world_output(struct step_ctx *cx, const char *name)
{
	for (size_t i = 0; i < cx->noutputs; i++)
		if (strcmp(cx->outputs[i].key, name) == 0)
			return &cx->outputs[i].v;
	fail_msg("no output '%s'", name);
	return NULL;
}

static void
world_is(const struct value *v, const char *wanted)
{
	struct buf text = BUF_INIT(0);

	value_show(&text, v);
	assert_string_equal(text.p, wanted);
	buf_done(&text);
}

static inline void
world_refuses(struct step_ctx *cx, const struct step_type *type, const char *inputs, const char *why)
{
	struct err err;

	if (world_run(cx, type, inputs, &err) == 0)
		fail_msg("%s takes %s", type->name, inputs);
	if (strstr(err.msg, why) == NULL)
		fail_msg("%s with %s: '%s' does not say '%s'", type->name, inputs, err.msg, why);
}

static inline void
world_works(struct step_ctx *cx, const struct step_type *type, const char *inputs)
{
	struct err err;

	if (world_run(cx, type, inputs, &err) < 0)
		fail_msg("%s with %s: %s", type->name, inputs, err.msg);
}

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* Stand-ins for what the sketched plans (tests/sketches) use and a unit test has not: families and kinds of targets that do
 * not exist yet, with real tables, and a world that is one map of canned answers. A look answers what the map has under its
 * path, a list all of its items; an act is one effect on its path, whose content is not known afterwards in a dry-run.
 * Steps that exist are the real ones, over that world. */
#ifndef WHERRY_TESTS_SKETCH_REGISTRY_H
#define WHERRY_TESTS_SKETCH_REGISTRY_H

#include <stddef.h>
#include <string.h>

#include "steps/registry.h"

/* What any of them takes; each table binds its own members. */
struct sketch_args {
	struct target *in;
	const char *tenant, *wanted;
	const struct value *before, *after, *file;
};
#define IN(k) { .name = "in", .type = F_TARGET, .kind = (k), .required = true, .offset = offsetof(struct sketch_args, in), .help = "where" }
#define TEXT(n, m, req) { .name = (n), .type = F_STRING, .required = (req), .offset = offsetof(struct sketch_args, m), .help = (n) }
#define ANY(n, m) { .name = (n), .type = F_ANY, .required = true, .offset = offsetof(struct sketch_args, m), .help = (n) }
#define OUT(n, t) { .name = (n), .type = (t), .help = (n) }
#define END { 0 }

static const struct field sketch_state_in[] = { IN("linstor"), END };
static const struct field sketch_dump_in[] = { ANY("file", file), END };
static const struct field sketch_compare_dump_in[] = { IN("kubernetes"), ANY("file", file), END };
static const struct field sketch_compare_in[] = { ANY("before", before), ANY("after", after), END };
static const struct field sketch_resolve_in[] = { IN("kubernetes"), TEXT("tenant", tenant, true), TEXT("target", wanted, true), END };

static const struct field sketch_none[] = { END };
static const struct field sketch_state_out[] = { OUT("state", F_MAP), OUT("offline_nodes", F_INT), OUT("offline", F_LIST), END };
static const struct field sketch_resolve_out[] = { OUT("pair", F_STRING), OUT("prefix", F_STRING), OUT("source", F_MAP),
	OUT("destination", F_MAP), END };

/* What a step is about. */
static const char *
sketch_path(const struct sketch_args *a)
{
	return a->tenant != NULL ? a->tenant : "all";
}

/* Outputs are the members of the answer. */
static int
sketch_look(struct step_ctx *cx, const void *args, struct err *err)
{
	const struct sketch_args *a = args;
	const struct value *v;

	if (a->in == NULL)
		return 0;
	if (step_read(cx, &(struct ref){ a->in, sketch_path(a) }, &v, err) < 0)
		return -1;
	if (v->kind == V_UNKNOWN)
		return err_set(err, ERR_PREDICTED, "what it looks at is not known: %s", v->s);
	if (v->kind != V_MAP && step_is_plan(cx))
		step_assume(cx, "assumed to become so");
	for (uint32_t i = 0; v->kind == V_MAP && i < v->len; i++)
		if (step_output(cx, v->pairs[i].key, v->pairs[i].v, err) < 0)
			return -1;
	return 0;
}

#define LOOK(n, i, o, f) { .name = (n), .summary = "looks", .inputs = (i), .outputs = (o), .args_size = sizeof(struct sketch_args), \
	.flags = STEP_READ_ONLY | (f), .version = 1, .run = sketch_look }
static const struct step_type sketch_types[] = {
	LOOK("linstor.snapshot-state", sketch_state_in, sketch_state_out, 0),
	LOOK("linstor.dump-check", sketch_dump_in, sketch_none, 0),
	LOOK("linstor.compare-dump", sketch_compare_dump_in, sketch_none, 0),
	LOOK("linstor.compare-state", sketch_compare_in, sketch_none, 0),
	LOOK("kamaji.resolve", sketch_resolve_in, sketch_resolve_out, 0),
};

/* The canned answers: {path: {output: value}}. */
static struct value sketch_world;

static int
sketch_open(struct opctx *op, const void *args, void **ret, struct err *err)
{
	(void)op, (void)args, (void)err;
	*ret = &sketch_world;
	return 0;
}

static void
sketch_close(void *conn)
{
	(void)conn;
}

static int
sketch_read(struct opctx *op, void *conn, const char *path, struct value *ret, struct err *err)
{
	const struct value *v = value_get(conn, path);

	(void)op, (void)err;
	*ret = v != NULL ? *v : VALUE_NULL;
	return 0;
}

/* The answer to a list's path is the list of its items. */
static int
sketch_list(struct opctx *op, void *conn, const struct query *q, struct page *ret, struct err *err)
{
	const struct value *v = value_get(conn, q->from.p);
	struct item *items;

	(void)err;
	*ret = (struct page){ 0 };
	if (v == NULL)
		return 0;
	items = arena_array(op->arena, v->len + 1, sizeof(*items));
	for (uint32_t i = 0; i < v->len; i++) {
		struct buf text = BUF_INIT(0);

		value_write(&text, &v->items[i]);
		items[i] = (struct item){ .key = { "x", 1 }, .value = { arena_strndup(op->arena, text.p, text.len), text.len } };
		buf_done(&text);
	}
	*ret = (struct page){ .items = items, .n = v->len };
	return 0;
}

/* Whatever is watched: nothing is there. */
static int
sketch_watch_open(struct opctx *op, void *conn, const struct query *q, void **ret, struct err *err)
{
	(void)op, (void)q, (void)err;
	*ret = conn;
	return 0;
}

static int
sketch_watch_next(struct opctx *op, void *watch, int64_t wait_ns, struct changes *ret, struct err *err)
{
	(void)op, (void)watch, (void)wait_ns, (void)err;
	*ret = (struct changes){ .revision = 1 };
	return 0;
}

static int
sketch_write(struct opctx *op, void *conn, const struct effect *f, const char *nonce, struct reply *ret, struct err *err)
{
	(void)op, (void)conn, (void)nonce, (void)err;
	*ret = (struct reply){ .outcome = OUTCOME_OK, .value = f->body };
	return 0;
}

static int
sketch_predict(struct opctx *op, void *conn, const struct effect *f, const struct value *before, struct prediction *ret, struct err *err)
{
	(void)op, (void)conn, (void)f, (void)before, (void)err;
	ret->confidence = CONF_PREDICTED;
	ret->after = value_unknown("what the server makes of it");
	return 0;
}

struct sketch_conn {
	const char *kubeconfig, *context, *namespace, *service;
	struct target *through;
	int64_t port;
};
#define CONN(n, t, m) { .name = (n), .type = (t), .offset = offsetof(struct sketch_conn, m), .help = (n) }
static const struct field sketch_kubernetes[] = { CONN("kubeconfig", F_PATH, kubeconfig), CONN("context", F_STRING, context),
	CONN("namespace", F_STRING, namespace), END };
static const struct field sketch_helm[] = {
	{ .name = "cluster", .type = F_TARGET, .kind = "kubernetes", .required = true, .offset = offsetof(struct sketch_conn, through), .help = "cluster" },
	END };
static const struct field sketch_linstor[] = {
	{ .name = "through", .type = F_TARGET, .kind = "kubernetes", .required = true, .offset = offsetof(struct sketch_conn, through), .help = "cluster" },
	CONN("service", F_STRING, service), CONN("port", F_INT, port), END };
#define KIND(k, f) { .kind = (k), .summary = "stands in", .fields = (f), .args_size = sizeof(struct sketch_conn), .open = sketch_open, \
	.close = sketch_close, .read = sketch_read, .list = sketch_list, .watch_open = sketch_watch_open, \
	.watch_next = sketch_watch_next, .watch_close = sketch_close, .write = sketch_write, .predict = sketch_predict }
static const struct target_type sketch_kinds[] = {
	KIND("kubernetes", sketch_kubernetes), KIND("helm", sketch_helm), KIND("linstor", sketch_linstor),
};

/* The real registry and the stand-ins behind it; of target kinds the stand-ins come first: no sketch has a world to reach. */
static const struct step_type *sketch_all_types[128];
static const struct target_type *sketch_all_kinds[32];
static const struct registry sketch_registry = { .steps = sketch_all_types, .targets = sketch_all_kinds };

static inline void
sketch_registry_init(void)
{
	size_t n = 0, k = 0;

	for (; registry.steps[n] != NULL; n++)
		sketch_all_types[n] = registry.steps[n];
	for (size_t i = 0; i < sizeof(sketch_types) / sizeof(*sketch_types); i++)
		sketch_all_types[n++] = &sketch_types[i];
	for (size_t i = 0; i < sizeof(sketch_kinds) / sizeof(*sketch_kinds); i++)
		sketch_all_kinds[k++] = &sketch_kinds[i];
	for (size_t i = 0; registry.targets[i] != NULL; i++)
		sketch_all_kinds[k++] = registry.targets[i];
}

#endif

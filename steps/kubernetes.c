/* SPDX-License-Identifier: Apache-2.0 */
/* The looking half of the Kubernetes family: get, list and info read, can-i asks for rights. What they hand on holds no
 * content of Secrets. */
#include "step.h"

#include <string.h>

#include "base/text.h"
#include "steps/kube_object.h"
#include "steps/kube_ref.h"
#include "steps/target/kube_paths.h"

#define PAGE 500

struct get_args {
	struct target *in;
	const char *kind, *namespace, *name, *missing;
};

static int
get_check(const void *args, struct err *err)
{
	const struct get_args *a = args;

	return kube_check(&(struct kube_name){ a->kind, a->namespace, a->name }, err);
}

static int
get_run(struct step_ctx *cx, const void *args, struct err *err)
{
	const struct get_args *a = args;
	const struct kube_name name = { a->kind, a->namespace, a->name };
	const bool absent = strcmp(a->missing, "required") == 0;
	const struct value *found;

	if (step_read(cx, &(struct ref){ a->in, kube_ref_path(step_arena(cx), &name, NULL) }, &found, err) < 0)
		return -1;
	if (found->kind == V_UNKNOWN && strcmp(a->missing, "allowed") != 0)
		step_assume(cx, "%s is%s there then", kube_ref_text(step_arena(cx), &name), absent ? " not" : "");
	if (found->kind == V_NULL && strcmp(a->missing, "refused") == 0)
		return err_set(err, ERR_FAILED, "%s is not there", kube_ref_text(step_arena(cx), &name));
	if (found->kind == V_MAP && absent)
		return err_set(err, ERR_FAILED, "%s is there, and must not be", kube_ref_text(step_arena(cx), &name));
	if (step_output(cx, "exists", found->kind == V_UNKNOWN ? *found : value_bool(found->kind != V_NULL), err) < 0)
		return -1;
	return step_output(cx, "object", kube_object_shown(step_arena(cx), found), err);
}

static const char *const missing_words[] = { "refused", "allowed", "required", NULL };

static const struct field get_inputs[] = {
	{ "in", F_TARGET, .offset = offsetof(struct get_args, in), .required = true, .kind = "kubernetes",
	  .help = "the cluster to read from" },
	{ "kind", F_STRING, .offset = offsetof(struct get_args, kind), .required = true,
	  .help = "Deployment, deploy, deployments, Deployment.apps or Deployment.v1.apps, as kubectl takes them" },
	{ "name", F_STRING, .offset = offsetof(struct get_args, name), .required = true,
	  .help = "its name, or NAMESPACE/NAME" },
	{ "namespace", F_STRING, .offset = offsetof(struct get_args, namespace),
	  .help = "its namespace; without one the target's own" },
	{ "missing", F_STRING, .offset = offsetof(struct get_args, missing), .dflt = "refused", .choices = missing_words,
	  .help = "may it be missing: refused fails without the object, required fails with it, allowed takes both" },
	{ 0 },
};

static const struct field get_outputs[] = {
	{ "exists", F_BOOL, .help = "is it there" },
	{ "object", F_MAP, .help = "the object without managedFields, null when it is not there; of Secrets the content is \"(secret)\"" },
	{ 0 },
};

const struct step_type kubernetes_get_step = {
	.name = "kubernetes.get",
	.summary = "read one object, or see that it is not there",
	.inputs = get_inputs,
	.outputs = get_outputs,
	.args_size = sizeof(struct get_args),
	.flags = STEP_READ_ONLY,
	.version = 1,
	.run = get_run,
	.check = get_check,
};

struct list_args {
	struct target *in;
	const char *kind, *namespace, *selector, *field_selector;
	const struct expr *where, *each;
	bool all_namespaces;
	int64_t limit;
};

static int
list_check(const void *args, struct err *err)
{
	const struct list_args *a = args;

	if (kube_check_kind(a->kind, err) < 0 || (a->namespace != NULL && kube_check_namespace(a->namespace, err) < 0) ||
	    (a->selector != NULL && kube_check_selector("selector", a->selector, err) < 0) ||
	    (a->field_selector != NULL && kube_check_selector("field_selector", a->field_selector, err) < 0))
		return -1;
	if (a->namespace != NULL && a->all_namespaces)
		return err_set(err, ERR_PLAN, "give either namespace or all_namespaces");
	return 0;
}

/* What has been found so far: values in the step's arena. */
struct found {
	struct value *items;
	size_t n, cap;
	uint64_t seen;
};

static void
keep(struct step_ctx *cx, struct found *f, const struct value *v)
{
	if (f->n == f->cap) {
		struct value *items = arena_array(step_arena(cx), f->cap ? f->cap * 2 : 64, sizeof(*items));

		if (f->n > 0)
			memcpy(items, f->items, f->n * sizeof(*items));
		f->items = items;
		f->cap = f->cap ? f->cap * 2 : 64;
	}
	f->items[f->n++] = value_copy(step_arena(cx), v);
}

/* One object as the server wrote it: what of it is wanted is kept. scratch is for it alone. */
static int
take(struct step_ctx *cx, const struct list_args *a, const struct item *item, struct arena *scratch, struct found *f,
     struct err *err)
{
	struct value object, v;

	f->seen++;
	if (value_parse_json(scratch, item->value.p, item->value.len, &object, err) < 0)
		return -1;
	object = kube_object_shown(scratch, &object);
	if (a->where != NULL && step_expr(cx, a->where, &object, &v, err) < 0)
		return -1;
	if (a->where != NULL && !value_true(&v))
		return 0;
	if (f->n == (size_t)a->limit)
		return err_set(err, ERR_FAILED, "more than %zu objects of kind %s match; say so with limit, or ask for fewer", f->n, a->kind);
	v = object;
	if (a->each != NULL && step_expr(cx, a->each, &object, &v, err) < 0)
		return -1;
	keep(cx, f, &v);
	return 0;
}

static int
take_page(struct step_ctx *cx, const struct list_args *a, const struct page *page, struct found *f, struct err *err)
{
	struct arena scratch = ARENA_INIT;
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < page->n; i++) {
		const struct item *item = &page->items[i];

		rc = take(cx, a, item, &scratch, f, err);
		if (rc < 0 && f->n < (size_t)a->limit)
			err_wrap(err, "%.*s", (int)(item->key.len < 300 ? item->key.len : 300), (const char *)item->key.p);
		arena_reset(&scratch);
	}
	arena_done(&scratch);
	step_progress(cx, f->seen, 0, "objects");
	return rc;
}

static int
list_run(struct step_ctx *cx, const void *args, struct err *err)
{
	const struct list_args *a = args;
	const char *path = kube_paths_list(step_arena(cx), a->kind, a->all_namespaces ? "*" : a->namespace != NULL ? a->namespace : "",
					   a->selector, a->field_selector);
	struct query q = { .target = a->in, .from = { path, strlen(path) }, .limit = PAGE };
	struct found f = { 0 };
	struct page page;

	do {
		if (step_list(cx, &q, &page, err) < 0 || take_page(cx, a, &page, &f, err) < 0)
			return -1;
		q.resume = (struct bytes){ arena_strndup(step_arena(cx), page.resume.p, page.resume.len), page.resume.len };
	} while (page.more);
	if (step_output(cx, "count", value_int((int64_t)f.n), err) < 0)
		return -1;
	return step_output(cx, "items", value_list(f.items, f.n), err);
}

static const struct field list_inputs[] = {
	{ "in", F_TARGET, .offset = offsetof(struct list_args, in), .required = true, .kind = "kubernetes",
	  .help = "the cluster to read from" },
	{ "kind", F_STRING, .offset = offsetof(struct list_args, kind), .required = true,
	  .help = "kind of the objects, as kubernetes.get takes it" },
	{ "namespace", F_STRING, .offset = offsetof(struct list_args, namespace),
	  .help = "their namespace; without one the target's own" },
	{ "all_namespaces", F_BOOL, .offset = offsetof(struct list_args, all_namespaces), .help = "in every namespace" },
	{ "selector", F_STRING, .offset = offsetof(struct list_args, selector),
	  .help = "a label selector, such as app=web,tier!=test" },
	{ "field_selector", F_STRING, .offset = offsetof(struct list_args, field_selector),
	  .help = "a field selector, such as status.phase=Running" },
	{ "where", F_EXPR, .offset = offsetof(struct list_args, where),
	  .help = "an expression over value, one object: only those for which it holds" },
	{ "each", F_EXPR, .offset = offsetof(struct list_args, each),
	  .help = "an expression over value: what is kept of each object (default: all of it)" },
	{ "limit", F_INT, .offset = offsetof(struct list_args, limit), .dflt = "1000", .min = 1, .max = 1e6,
	  .help = "fail when more match: all that is kept goes into the journal" },
	{ 0 },
};

static const struct field list_outputs[] = {
	{ "items", F_LIST, F_ANY, .help = "the objects, in the order of their names, as kubernetes.get shows them; or what each made of them" },
	{ "count", F_INT, .help = "how many" },
	{ 0 },
};

const struct step_type kubernetes_list_step = {
	.name = "kubernetes.list",
	.summary = "list objects of one kind",
	.inputs = list_inputs,
	.outputs = list_outputs,
	.args_size = sizeof(struct list_args),
	.flags = STEP_READ_ONLY,
	.version = 1,
	.run = list_run,
	.check = list_check,
};

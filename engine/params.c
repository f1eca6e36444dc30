/* SPDX-License-Identifier: Apache-2.0 */
/* Owns where the value of a parameter comes from, in order of strength, and its conversion from text. Secrets come
 * from everywhere but the command line, which other users of the machine can read, and the plan. */
#include "plan.h"

#include <string.h>

#include "base/text.h"

struct resolver {
	const struct plan *plan;
	const struct param_source *from;
	struct arena *arena;
	struct problems *problems;
};

static const struct pos nowhere = { 0 };

const char *
params_env_name(struct arena *a, const char *param)
{
	char *name = arena_printf(a, "WHERRY_PARAM_%s", param);

	for (char *c = name; *c != '\0'; c++)
		*c = *c == '-' ? '_' : *c >= 'a' && *c <= 'z' ? (char)(*c - 'a' + 'A') : *c;
	return name;
}

static struct value
scalar_text(enum field_type type, const char *text, size_t len)
{
	const struct node n = {
		.kind = NODE_SCALAR, .plain = true, .len = (uint32_t)len, .s = text
	};

	return type == F_INT || type == F_NUMBER || type == F_BOOL ? node_value(NULL, &n)
								   : value_strn(text, len);
}

static struct value
comma_list(enum field_type item, char *text, struct arena *a)
{
	size_t n = 1, at = 0;
	struct value *items;

	if (*text == '\0')
		return value_list(NULL, 0);
	for (const char *c = text; *c != '\0'; c++)
		n += *c == ',';
	items = arena_array(a, n, sizeof(*items));
	for (char *rest = text, *part; (part = strsep(&rest, ",")) != NULL;)
		items[at++] = scalar_text(item, part, strlen(part));
	return value_list(items, n);
}

/* "[a, b]" or "{a: b}": a list or a map as YAML writes them on one line. */
static int
flow_value(const char *text, struct arena *a, struct value *ret, struct err *err)
{
	struct problems problems = PROBLEMS_INIT;
	struct node root;
	int bad = yaml_parse(a, NULL, text, strlen(text), NULL, NULL, &root, &problems);

	if (bad < 0)
		err_set(err, ERR_PLAN, "%s", problems.list[0].msg);
	else
		*ret = node_value(a, &root);
	problems_done(&problems);
	return bad;
}

static int
text_value(const struct field *f, const char *given, struct arena *a, struct value *ret,
	   struct err *err)
{
	char *text = arena_strdup(a, given);
	const size_t len = strlen(text), bad = utf8_check(text, len);

	if (bad < len)
		return err_set(err, ERR_PLAN, "field '%s': not UTF-8 at byte %zu", f->name, bad);
	if ((f->type == F_LIST && text[0] == '[') || (f->type == F_MAP && text[0] == '{')) {
		if (flow_value(text, a, ret, err) < 0)
			return err_wrap(err, "field '%s'", f->name);
	} else if (f->type == F_LIST) {
		*ret = comma_list(f->item, text, a);
	} else {
		*ret = scalar_text(f->type, text, len);
	}
	return 0;
}

/* The normal form; a secret learns where it comes from. */
static int
finish(const struct resolver *r, const struct param *p, const struct value *v, struct value *ret,
       struct err *err)
{
	struct secret *named;

	if (schema_value(&p->field, v, r->arena, ret, err) < 0)
		return -1;
	if (ret->kind == V_SECRET) {
		named = arena_alloc(r->arena, sizeof(*named));
		*named = *ret->secret;
		named->where = arena_printf(r->arena, "params.%s", p->field.name);
		*ret = value_secret(named);
	}
	return 0;
}

static void
take_value(const struct resolver *r, const struct param *p, const char *origin,
	   const struct value *v, struct value *ret)
{
	struct err err = ERR_INIT;

	if (finish(r, p, v, ret, &err) < 0)
		problems_add(r->problems, nowhere, NULL, "%s: %s", origin, err.msg);
}

static void
take_text(const struct resolver *r, const struct param *p, const char *origin, const char *text,
	  struct value *ret)
{
	struct err err = ERR_INIT;
	struct value v;

	if (text_value(&p->field, text, r->arena, &v, &err) < 0)
		problems_add(r->problems, nowhere, NULL, "%s: %s", origin, err.msg);
	else
		take_value(r, p, origin, &v, ret);
}

static void
take_given(const struct resolver *r, const struct param *p, const char *text, struct value *ret)
{
	const char *name = p->field.name, *own = params_env_name(r->arena, name);

	if (p->field.secret)
		problems_add(r->problems, nowhere, NULL,
			     "-p %s: a secret is refused on the command line, where others can "
			     "read it: give it by %s%s%s or --params FILE",
			     name, own, p->env != NULL ? ", " : "", p->env != NULL ? p->env : "");
	else if (r->from->stored != NULL && value_get(r->from->stored, name) != NULL)
		problems_add(r->problems, nowhere, NULL,
			     "-p %s: the run keeps the parameters that it began with", name);
	else
		take_text(r, p, "-p", text, ret);
}

/* The text of the environment for a parameter, and the variable that had it. */
static const char *
from_env(const struct resolver *r, const struct param *p, const char **ret_name)
{
	const char *text = NULL;

	*ret_name = params_env_name(r->arena, p->field.name);
	if (r->from->env != NULL)
		text = r->from->env(r->from->env_data, *ret_name);
	if (text == NULL && r->from->env != NULL && p->env != NULL) {
		*ret_name = p->env;
		text = r->from->env(r->from->env_data, p->env);
	}
	return text;
}

static const char *
ask(const struct resolver *r, const struct param *p)
{
	if (r->from->ask == NULL || !p->field.secret)
		return NULL;
	return r->from->ask(r->from->env_data,
			    p->field.help != NULL ? p->field.help : p->field.name);
}

static void
report_missing(const struct resolver *r, const struct param *p)
{
	const char *name = p->field.name, *own = params_env_name(r->arena, name);

	if (p->field.secret)
		problems_add(r->problems, p->where, p->field.help,
			     "missing secret parameter '%s': give it by %s%s%s or --params FILE",
			     name, own, p->env != NULL ? ", " : "", p->env != NULL ? p->env : "");
	else
		problems_add(r->problems, p->where, p->field.help,
			     "missing parameter '%s': give -p %s=…", name, name);
}

static void
resolve(const struct resolver *r, const struct param *p, struct value *ret)
{
	const struct param_source *from = r->from;
	const char *name = p->field.name, *text, *variable;
	const struct value *v;
	bool needed = p->field.required;

	for (size_t i = 0; i < from->ngiven; i++)
		if (strcmp(from->given[i][0], name) == 0) {
			take_given(r, p, from->given[i][1], ret);
			return;
		}
	v = from->stored != NULL ? value_get(from->stored, name) : NULL;
	if (v != NULL && v->kind == V_SECRET) {
		needed = true; /* the run began with it */
	} else if (v != NULL) {
		take_value(r, p, "the stored run", v, ret);
		return;
	}
	v = from->file != NULL ? value_get(from->file, name) : NULL;
	text = from_env(r, p, &variable);
	if (v != NULL && v->kind != V_NULL) {
		take_value(r, p, from->file_name != NULL ? from->file_name : "--params", v, ret);
	} else if (text != NULL) {
		take_text(r, p, variable, text, ret);
	} else if (p->dflt != NULL) {
		struct value dflt = node_value(r->arena, p->dflt);

		take_value(r, p, "default", &dflt, ret);
	} else if (needed && (text = ask(r, p)) != NULL) {
		take_text(r, p, "the terminal", text, ret);
	} else if (needed) {
		report_missing(r, p);
	}
}

static void
check_name(const struct resolver *r, const char *name, const char *origin)
{
	const char **names = arena_array(r->arena, r->plan->nparams, sizeof(*names));

	for (size_t i = 0; i < r->plan->nparams; i++) {
		names[i] = r->plan->params[i].field.name;
		if (strcmp(names[i], name) == 0)
			return;
	}
	problems_add_near(r->problems, nowhere, name, names, r->plan->nparams,
			  "%s: unknown parameter '%.60s'", origin, name);
}

int
params_resolve(const struct plan *plan, const struct param_source *from, struct arena *a,
	       struct value *ret, struct problems *problems)
{
	const struct resolver r = { plan, from, a, problems };
	const size_t before = problems->n + problems->dropped;
	struct pair *pairs = arena_array(a, plan->nparams, sizeof(*pairs));

	for (size_t i = 0; i < from->ngiven; i++) {
		check_name(&r, from->given[i][0], "-p");
		for (size_t k = 0; k < i; k++)
			if (strcmp(from->given[i][0], from->given[k][0]) == 0)
				problems_add(problems, nowhere, NULL, "-p %s: given twice",
					     from->given[i][0]);
	}
	for (uint32_t i = 0; from->file != NULL && from->file->kind == V_MAP && i < from->file->len;
	     i++)
		check_name(&r, from->file->pairs[i].key,
			   from->file_name != NULL ? from->file_name : "--params");
	for (size_t i = 0; i < plan->nparams; i++) {
		pairs[i] = (struct pair){ plan->params[i].field.name, VALUE_NULL };
		resolve(&r, &plan->params[i], &pairs[i].v);
	}
	*ret = value_map(pairs, plan->nparams);
	return problems->n + problems->dropped > before ? -1 : 0;
}

/* What is not known yet stays so; all else takes its normal form. */
static int
hand(const struct resolver *r, const struct param *p, const struct value *v, struct value *ret, struct err *err)
{
	if (finish(r, p, v, ret, err) == 0)
		return 0;
	if (err->kind != ERR_PREDICTED)
		return -1;
	*err = ERR_INIT;
	*ret = *v;
	return 0;
}

int
params_hand(const struct plan *plan, const struct value *given, struct arena *a, struct value *ret, struct err *err)
{
	const struct resolver r = { .plan = plan, .arena = a };
	struct pair *pairs = arena_array(a, plan->nparams, sizeof(*pairs));

	for (size_t i = 0; i < plan->nparams; i++) {
		const struct param *p = &plan->params[i];
		const struct value *v = value_get(given, p->field.name);
		struct value dflt;

		pairs[i] = (struct pair){ p->field.name, VALUE_NULL };
		if ((v == NULL || (v->kind == V_NULL && !p->field.required)) && p->dflt != NULL) {
			dflt = node_value(a, p->dflt);
			v = &dflt;
		}
		if (v != NULL && hand(&r, p, v, &pairs[i].v, err) < 0)
			return err_wrap(err, "parameter '%s' of plan '%s'", p->field.name, plan->name);
	}
	*ret = value_map(pairs, plan->nparams);
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Owns what a field accepts: one value in, its normal form or a message with expected and got out. Nothing here knows
 * where the value came from; secrets pass only into fields that are made for them, and never into a message. */
#include "schema.h"

#include <regex.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"

#define SHOWN_MAX 80 /* bytes of a refused value in a message */

static const char *const type_names[] = {
	[F_STRING] = "string", [F_BYTES] = "bytes",       [F_INT] = "integer",
	[F_NUMBER] = "number", [F_BOOL] = "boolean",      [F_PATH] = "path",
	[F_URL] = "url",       [F_DURATION] = "duration", [F_SIZE] = "size",
	[F_LIST] = "list",     [F_MAP] = "map",           [F_ANY] = "any",
	[F_SECRET] = "secret", [F_TARGET] = "target",     [F_EXPR] = "expression",
	[F_CALL] = "step",
};

const char *
field_type_name(const struct field *f, char ret[32])
{
	if (f->type == F_LIST && f->item != F_ANY)
		(void)snprintf(ret, 32, "list of %s", type_names[f->item]);
	else if (f->type == F_TARGET && f->kind != NULL)
		(void)snprintf(ret, 32, "%s target", f->kind);
	else
		(void)snprintf(ret, 32, "%s", type_names[f->type]);
	return ret;
}

const struct field *
schema_field(const struct field *fields, const char *name)
{
	for (const struct field *f = fields; f != NULL && f->name != NULL; f++)
		if (strcmp(f->name, name) == 0)
			return f;
	return NULL;
}

/* "expected …": what people have to write. */
static const char *
expected(enum field_type type)
{
	switch (type) {
	case F_INT:
		return "an integer";
	case F_DURATION:
		return "a duration such as 90s or 1m30s";
	case F_SIZE:
		return "a size such as 64KiB";
	case F_URL:
		return "a url such as https://host:port";
	case F_BOOL:
		return "true or false";
	case F_NUMBER:
		return "a number";
	case F_LIST:
		return "a list";
	case F_MAP:
		return "a map";
	case F_PATH:
		return "a path";
	case F_SECRET:
		return "a secret";
	default:
		return "a string";
	}
}

static int
refuse(const struct field *f, enum field_type type, const struct value *v, struct err *err)
{
	struct buf got = BUF_INIT(SHOWN_MAX);
	bool bare = (type == F_STRING || type == F_SECRET) &&
		    (v->kind == V_BOOL || v->kind == V_NUMBER || v->kind == V_INT);
	char kind[48];

	if (type != F_SECRET &&
	    (v->kind == V_STRING || v->kind == V_INT || v->kind == V_NUMBER || v->kind == V_BOOL))
		value_show(&got, v);
	else
		buf_puts(&got, value_kind_text(v, kind));
	err_set(err, ERR_PLAN, "field '%s': expected %s, got %s%s%s", f->name, expected(type),
		got.p, got.failed ? "…" : "", bare ? ": quote it" : "");
	buf_done(&got);
	return -1;
}

static const struct secret *
first_secret(const struct value *v)
{
	const struct secret *found = NULL;

	if (v->kind == V_SECRET)
		return v->secret;
	for (uint32_t i = 0; i < v->len && found == NULL && (v->kind == V_LIST || v->kind == V_MAP);
	     i++)
		found = first_secret(v->kind == V_LIST ? &v->items[i] : &v->pairs[i].v);
	return found;
}

static int
check_range(const struct field *f, const struct value *v, double n, struct err *err)
{
	const bool low = n < f->min, high = f->max >= f->min && n > f->max;
	struct buf got = BUF_INIT(SHOWN_MAX);
	char limit[32];

	if ((f->min == 0 && f->max == 0) || (!low && !high))
		return 0;
	if (f->type == F_DURATION)
		(void)duration_text((int64_t)(low ? f->min : f->max), limit);
	else
		(void)snprintf(limit, sizeof(limit), "%.15g", low ? f->min : f->max);
	value_show(&got, v);
	err_set(err, ERR_PLAN, "field '%s': expected at %s %s, got %s", f->name,
		low ? "least" : "most", limit, got.p);
	buf_done(&got);
	return -1;
}

static int
check_choices(const struct field *f, const char *s, struct err *err)
{
	struct buf all = BUF_INIT(300);
	const char *near;
	size_t n = 0;

	for (; f->choices[n] != NULL; n++)
		if (strcmp(f->choices[n], s) == 0)
			return 0;
	for (size_t i = 0; i < n; i++)
		buf_printf(&all, "%s%s", i > 0 ? ", " : "", f->choices[i]);
	near = text_nearest(s, f->choices, n);
	err_set(err, ERR_PLAN, "field '%s': expected one of %s; got '%.60s'%s%s%s", f->name,
		all.len > 0 ? all.p : "", s, near != NULL ? "; did you mean '" : "",
		near != NULL ? near : "", near != NULL ? "'?" : "");
	buf_done(&all);
	return -1;
}

static int
check_pattern(const struct field *f, const char *s, struct err *err)
{
	regex_t re;
	int ret;

	if (regcomp(&re, f->pattern, REG_EXTENDED | REG_NOSUB) != 0)
		return err_set(err, ERR_PLAN,
			       "field '%s': its pattern '%.60s' is no regular expression", f->name,
			       f->pattern);
	ret = regexec(&re, s, 0, NULL, 0);
	regfree(&re);
	if (ret == 0)
		return 0;
	return err_set(err, ERR_PLAN, "field '%s': expected text that matches %.80s, got '%.60s'",
		       f->name, f->pattern, s);
}

/* scheme://host…, no blanks and no control characters. */
static bool
is_url(const char *s)
{
	const char *colon = strstr(s, "://");

	if (colon == NULL || colon == s || colon[3] == '\0' || colon[3] == '/')
		return false;
	for (const char *p = s; p < colon; p++)
		if (!((*p | 0x20) >= 'a' && (*p | 0x20) <= 'z') &&
		    (p == s || strchr("0123456789+.-", *p) == NULL))
			return false;
	for (const char *p = s; *p != '\0'; p++)
		if ((unsigned char)*p <= ' ' || *p == 0x7F)
			return false;
	return true;
}

static int
expand_path(const struct field *f, struct value *v, struct arena *a, struct err *err)
{
	const char *home;

	if (v->s[0] != '~' || (v->s[1] != '/' && v->s[1] != '\0'))
		return 0;
	home = getenv("HOME");
	if (home == NULL || home[0] != '/')
		return err_set(err, ERR_PLAN, "field '%s': '~' needs HOME to be an absolute path",
			       f->name);
	*v = value_str(arena_printf(a, "%s%s", home, v->s + 1));
	return 0;
}

/* The types that are written as text. */
static int
text_value(const struct field *f, const struct value *v, struct arena *a, struct value *ret,
	   struct err *err)
{
	struct value text = *v;
	int64_t n;

	if (v->kind == V_INT)
		text = value_str(arena_printf(a, "%lld", (long long)v->i));
	if (text.kind != V_STRING)
		return refuse(f, f->type, v, err);
	if (f->type != F_BYTES && memchr(text.s, '\0', text.len) != NULL)
		return err_set(err, ERR_PLAN, "field '%s': expected text without NUL characters",
			       f->name);
	if (f->type == F_DURATION) {
		if (v->kind != V_STRING || duration_parse(text.s, &n) < 0)
			return refuse(f, f->type, v, err);
		if (check_range(f, v, (double)n, err) < 0)
			return -1;
	}
	if (f->type == F_URL && !is_url(text.s))
		return refuse(f, f->type, v, err);
	if ((f->choices != NULL && check_choices(f, text.s, err) < 0) ||
	    (f->pattern != NULL && check_pattern(f, text.s, err) < 0))
		return -1;
	*ret = text;
	return f->type == F_PATH ? expand_path(f, ret, a, err) : 0;
}

static int
number_value(const struct field *f, const struct value *v, struct value *ret, struct err *err)
{
	int64_t n;

	if (f->type == F_SIZE && v->kind == V_STRING && size_parse(v->s, &n) == 0)
		*ret = value_int(n);
	else if (v->kind == V_INT && (f->type != F_SIZE || v->i >= 0))
		*ret = *v;
	else if (v->kind == V_NUMBER && f->type == F_NUMBER)
		*ret = *v;
	else
		return refuse(f, f->type, v, err);
	return check_range(f, v, ret->kind == V_INT ? (double)ret->i : ret->n, err);
}

static int
list_value(const struct field *f, const struct value *v, struct arena *a, struct value *ret,
	   struct err *err)
{
	struct field item = *f;
	struct value *items;

	if (v->kind != V_LIST)
		return refuse(f, F_LIST, v, err);
	*ret = *v;
	if (f->item == F_ANY)
		return 0;
	item.type = f->item;
	item.item = F_ANY;
	item.required = true;
	items = arena_array(a, v->len, sizeof(*items));
	for (uint32_t i = 0; i < v->len; i++) {
		if (v->items[i].kind == V_UNKNOWN || v->items[i].kind == V_SECRET)
			items[i] = v->items[i];
		else if (schema_value(&item, &v->items[i], a, &items[i], err) < 0)
			return err_wrap(err, "item %u", i + 1);
	}
	*ret = value_list(items, v->len);
	return 0;
}

static int
secret_value(const struct field *f, const struct value *v, struct arena *a, struct value *ret,
	     struct err *err)
{
	struct secret *s;

	if (v->kind == V_SECRET) {
		*ret = *v;
		return 0;
	}
	if (v->kind != V_STRING)
		return refuse(f, F_SECRET, v, err);
	s = arena_alloc(a, sizeof(*s));
	s->where = arena_printf(a, "field '%s'", f->name);
	s->content = arena_strndup(a, v->s, v->len);
	s->len = v->len;
	*ret = value_secret(s);
	return 0;
}

int
schema_value(const struct field *f, const struct value *v, struct arena *a, struct value *ret,
	     struct err *err)
{
	if ((v->flags & VF_SECRET) != 0 && !f->secret && f->type != F_SECRET)
		return err_set(err, ERR_PLAN,
			       "field '%s' may not hold a secret, and this is one: %s", f->name,
			       first_secret(v)->where);
	if (v->kind == V_NULL && f->required)
		return err_set(err, ERR_PLAN, "field '%s' is required, but its value is null",
			       f->name);
	if (v->kind == V_UNKNOWN && f->type != F_ANY)
		return err_set(err, ERR_PREDICTED, "field '%s': unknown until then: %s", f->name,
			       v->s);
	*ret = *v;
	if (v->kind == V_NULL)
		return 0;
	switch (f->type) {
	case F_ANY:
		return 0;
	case F_INT:
	case F_NUMBER:
	case F_SIZE:
		return number_value(f, v, ret, err);
	case F_BOOL:
		return v->kind == V_BOOL ? 0 : refuse(f, F_BOOL, v, err);
	case F_MAP:
		return v->kind == V_MAP ? 0 : refuse(f, F_MAP, v, err);
	case F_LIST:
		return list_value(f, v, a, ret, err);
	case F_SECRET:
		return secret_value(f, v, a, ret, err);
	default:
		return text_value(f, v, a, ret, err);
	}
}

int
schema_convert(const struct field *f, const struct value *v, struct arena *a, void *dst,
	       struct err *err)
{
	struct value n, *kept;
	int64_t i = 0;
	double number;

	if (schema_value(f, v, a, &n, err) < 0)
		return -1;
	if (n.kind == V_NULL && f->type != F_ANY)
		return 0;
	switch (f->type) {
	case F_BYTES:
		memcpy(dst, &(struct bytes){ n.s, n.len }, sizeof(struct bytes));
		break;
	case F_INT:
	case F_SIZE:
		memcpy(dst, &n.i, sizeof(n.i));
		break;
	case F_DURATION:
		(void)duration_parse(n.s, &i);
		memcpy(dst, &i, sizeof(i));
		break;
	case F_NUMBER:
		number = n.kind == V_INT ? (double)n.i : n.n;
		memcpy(dst, &number, sizeof(number));
		break;
	case F_BOOL:
		memcpy(dst, &n.b, sizeof(n.b));
		break;
	case F_SECRET:
		memcpy(dst, &n.secret, sizeof(n.secret));
		break;
	case F_LIST:
	case F_MAP:
	case F_ANY:
		kept = arena_alloc(a, sizeof(*kept));
		*kept = n;
		memcpy(dst, &kept, sizeof(kept));
		break;
	default:
		memcpy(dst, &n.s, sizeof(n.s));
	}
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Fields: what each type accepts and gives, binding into a struct, unknowns and secrets. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "fake_registry.h"

static const char *const colors[] = { "red", "green", NULL };
static const struct field f_string = { .name = "f", .type = F_STRING };
static const struct field f_choice = { .name = "f", .type = F_STRING, .choices = colors };
static const struct field f_pattern = { .name = "f", .type = F_STRING, .pattern = "^/[a-z]*$" };
static const struct field f_required = { .name = "f", .type = F_STRING, .required = true };
static const struct field f_int = { .name = "f", .type = F_INT };
static const struct field f_range = { .name = "f", .type = F_INT, .min = 2, .max = 5 };
static const struct field f_least = { .name = "f", .type = F_INT, .min = 2 };
static const struct field f_number = { .name = "f", .type = F_NUMBER };
static const struct field f_bool = { .name = "f", .type = F_BOOL };
static const struct field f_path = { .name = "f", .type = F_PATH };
static const struct field f_url = { .name = "f", .type = F_URL };
static const struct field f_duration = { .name = "f", .type = F_DURATION, .min = 1e9, .max = 60e9 };
static const struct field f_size = { .name = "f", .type = F_SIZE, .max = 1 << 20 };
static const struct field f_strings = { .name = "f", .type = F_LIST, .item = F_STRING };
static const struct field f_sizes = { .name = "f", .type = F_LIST, .item = F_SIZE };
static const struct field f_map = { .name = "f", .type = F_MAP };
static const struct field f_any = { .name = "f", .type = F_ANY };

/* A value written as canonical bytes, and what comes out: its canonical bytes, or "! message". */
static struct row {
	const char *name;
	const struct field *field;
	const char *in, *out;
} rows[] = {
	{ "string", &f_string, "\"a\"", "\"a\"" },
	{ "string from an integer", &f_string, "-5", "\"-5\"" },
	{ "string from a boolean", &f_string, "true", "! field 'f': expected a string, got true: quote it" },
	{ "string from a list", &f_string, "[1]", "! field 'f': expected a string, got a list of 1" },
	{ "string with NUL", &f_string, "\"a\\u0000\"", "! field 'f': expected text without NUL characters" },
	{ "null is absent", &f_string, "null", "null" },
	{ "null into a required field", &f_required, "null", "! field 'f' is required, but its value is null" },
	{ "choice", &f_choice, "\"red\"", "\"red\"" },
	{ "not a choice", &f_choice, "\"rad\"", "! field 'f': expected one of red, green; got 'rad'; did you mean 'red'?" },
	{ "pattern", &f_pattern, "\"/ab\"", "\"/ab\"" },
	{ "not the pattern", &f_pattern, "\"ab\"", "! field 'f': expected text that matches ^/[a-z]*$, got 'ab'" },
	{ "integer", &f_int, "7", "7" },
	{ "integer from text", &f_int, "\"7\"", "! field 'f': expected an integer, got \"7\"" },
	{ "integer from a number", &f_int, "7.5", "! field 'f': expected an integer, got 7.5" },
	{ "below the range", &f_range, "1", "! field 'f': expected at least 2, got 1" },
	{ "above the range", &f_range, "6", "! field 'f': expected at most 5, got 6" },
	{ "in the range", &f_range, "5", "5" },
	{ "only a least value", &f_least, "1000", "1000" },
	{ "number", &f_number, "1.5", "1.5" },
	{ "number from an integer", &f_number, "2", "2" },
	{ "boolean", &f_bool, "false", "false" },
	{ "boolean from text", &f_bool, "\"no\"", "! field 'f': expected true or false, got \"no\"" },
	{ "path", &f_path, "\"/a/~/b\"", "\"/a/~/b\"" },
	{ "path at home", &f_path, "\"~/b\"", "\"/where/i/live/b\"" },
	{ "path of another user", &f_path, "\"~you/b\"", "\"~you/b\"" },
	{ "url", &f_url, "\"https://h:1/p\"", "\"https://h:1/p\"" },
	{ "url without scheme", &f_url, "\"h:1\"", "! field 'f': expected a url such as https://host:port, got \"h:1\"" },
	{ "url with a blank", &f_url, "\"http://h x\"", "! field 'f': expected a url such as https://host:port, got \"http://h x\"" },
	{ "url without host", &f_url, "\"http://\"", "! field 'f': expected a url such as https://host:port, got \"http://\"" },
	{ "duration", &f_duration, "\"30s\"", "\"30s\"" },
	{ "bare number as duration", &f_duration, "30", "! field 'f': expected a duration such as 90s or 1m30s, got 30" },
	{ "long duration", &f_duration, "\"2m\"", "! field 'f': expected at most 1m, got \"2m\"" },
	{ "size", &f_size, "\"4KiB\"", "4096" },
	{ "size as an integer", &f_size, "512", "512" },
	{ "negative size", &f_size, "-1", "! field 'f': expected a size such as 64KiB, got -1" },
	{ "large size", &f_size, "\"2MiB\"", "! field 'f': expected at most 1048576, got \"2MiB\"" },
	{ "list", &f_strings, "[\"a\",5]", "[\"a\",\"5\"]" },
	{ "list of sizes", &f_sizes, "[\"1KiB\",5]", "[1024,5]" },
	{ "bad item", &f_strings, "[\"a\",null]", "! item 2: field 'f' is required, but its value is null" },
	{ "list from a string", &f_strings, "\"a\"", "! field 'f': expected a list, got \"a\"" },
	{ "map", &f_map, "{\"a\":1}", "{\"a\":1}" },
	{ "map from a list", &f_map, "[]", "! field 'f': expected a map, got a list of 0" },
	{ "unknown string", &f_string, "{\"$unknown\":\"copy has not run\"}", "? field 'f': unknown until then: copy has not run" },
	{ "unknown list", &f_strings, "{\"$unknown\":\"x\"}", "? field 'f': unknown until then: x" },
	{ "unknown map", &f_map, "{\"$unknown\":\"x\"}", "? field 'f': unknown until then: x" },
	{ "unknown inside a list", &f_strings, "[{\"$unknown\":\"x\"}]", "[{\"$unknown\":\"x\"}]" },
	{ "unknown inside a map", &f_map, "{\"a\":{\"$unknown\":\"x\"}}", "{\"a\":{\"$unknown\":\"x\"}}" },
	{ "unknown anything", &f_any, "{\"$unknown\":\"x\"}", "{\"$unknown\":\"x\"}" },
	{ "secret in a string", &f_string, "{\"$secret\":\"params.p\"}", "! field 'f' may not hold a secret, and this is one: params.p" },
	{ "secret inside a map", &f_map, "{\"a\":[{\"$secret\":\"params.p\"}]}",
	  "! field 'f' may not hold a secret, and this is one: params.p" },
};

static void
check_row(void **state)
{
	const struct row *row = *state;
	struct arena a = ARENA_INIT;
	struct buf got = BUF_INIT(0);
	struct err err = ERR_INIT;
	struct value in, out;

	assert_int_equal(setenv("HOME", "/where/i/live", 1), 0);
	assert_int_equal(value_parse(&a, row->in, strlen(row->in), &in, &err), 0);
	if (schema_value(row->field, &in, &a, &out, &err) == 0)
		value_write(&got, &out);
	else
		buf_printf(&got, "%s %s", err.kind == ERR_PREDICTED ? "?" : "!", err.msg);
	assert_string_equal(got.p, row->out);
	buf_done(&got);
	arena_done(&a);
}

/* The world outside of one binding. */
struct world {
	struct arena arena;
	struct expr_host *host;
	struct value params; /* a map */
	struct expr_env expr;
	struct bind_env env;
	struct node with;
	struct problems problems;
};

static const struct value *
get_param(void *data, const char *root, const char *key, struct err *err)
{
	struct world *w = data;
	const struct value *v = strcmp(root, "params") == 0 ? value_get(&w->params, key) : NULL;

	if (v == NULL)
		err_set(err, ERR_PLAN, "no '%s.%s'", root, key);
	return v;
}

static struct target *
find_target(void *data, const char *name, struct err *err)
{
	static char place;

	(void)data;
	if (strcmp(name, "db") == 0)
		return (struct target *)(void *)&place;
	err_set(err, ERR_PLAN, "no target '%s'", name);
	return NULL;
}

static const struct call *
make_call(void *data, struct arena *a, const struct node *n, struct err *err)
{
	struct call *c = arena_alloc(a, sizeof(*c));

	(void)data;
	(void)err;
	c->type = &fake_types[0];
	c->args = node_get(n, "with");
	return c;
}

static void
world_init(struct world *w, const char *params, const char *with)
{
	struct err err = ERR_INIT;

	*w = (struct world){ .host = expr_host_new() };
	assert_int_equal(value_parse(&w->arena, params, strlen(params), &w->params, &err), 0);
	assert_int_equal(yaml_parse(&w->arena, "f", with, strlen(with), NULL, NULL, &w->with, &w->problems), 0);
	w->expr = (struct expr_env){ .get = get_param, .data = w };
	w->env = (struct bind_env){ .host = w->host, .expr = &w->expr, .file = "f", .target = find_target, .call = make_call,
				    .data = w };
}

static void
world_done(struct world *w)
{
	expr_host_free(w->host);
	problems_done(&w->problems);
	arena_done(&w->arena);
}

static void
test_bind(void **state)
{
	struct fake_exec args = { 0 };
	struct buf shown = BUF_INIT(0);
	struct err err = ERR_INIT;
	struct value inputs;
	struct world w;

	(void)state;
	world_init(&w, "{\"n\":3,\"word\":\"sea\"}",
		   "argv: [echo, '${{ params.word }}', '${{ params.n }}', 7]\nnumber: ${{ params.n }}\ngrace: 1m\nread_only: true\n");
	assert_int_equal(schema_bind(fake_exec_fields, &w.with, &w.env, &w.arena, &args, &inputs, &err), 0);
	value_write(&shown, args.argv);
	assert_string_equal(shown.p, "[\"echo\",\"sea\",\"3\",\"7\"]");
	assert_int_equal(args.number, 3);
	assert_true(args.grace == 60 * NS_PER_S);
	assert_true(args.read_only);
	assert_string_equal(args.mode, "fast");
	assert_null(args.env);
	buf_clear(&shown);
	value_write(&shown, &inputs);
	assert_string_equal(shown.p, "{\"argv\":[\"echo\",\"sea\",3,7],\"grace\":\"1m\",\"number\":3,\"read_only\":true}");
	buf_done(&shown);
	world_done(&w);
}

static void
test_bind_error_place(void **state)
{
	struct fake_exec args = { 0 };
	struct err err = ERR_INIT;
	struct world w;

	(void)state;
	world_init(&w, "{\"n\":\"x\"}", "argv: [x]\nnumber: ${{ params.n }}\n");
	assert_int_equal(schema_bind(fake_exec_fields, &w.with, &w.env, &w.arena, &args, NULL, &err), -1);
	assert_int_equal(err.kind, ERR_PLAN);
	assert_string_equal(err.msg, "field 'number': expected an integer, got \"x\"");
	assert_int_equal(err.where.line, 2);
	assert_int_equal(err.where.col, 9);
	world_done(&w);
}

static void
test_bind_unknown(void **state)
{
	struct fake_exec args = { 0 };
	struct err err = ERR_INIT;
	struct world w;

	(void)state;
	world_init(&w, "{\"n\":{\"$unknown\":\"not run yet\"}}", "argv: [x, '${{ params.n }}']\n");
	assert_int_equal(schema_bind(fake_exec_fields, &w.with, &w.env, &w.arena, &args, NULL, &err), 0);
	assert_true((args.argv->flags & VF_UNKNOWN) != 0);
	world_done(&w);
	world_init(&w, "{\"n\":{\"$unknown\":\"not run yet\"}}", "argv: [x]\nnumber: ${{ params.n }}\n");
	assert_int_equal(schema_bind(fake_exec_fields, &w.with, &w.env, &w.arena, &args, NULL, &err), -1);
	assert_int_equal(err.kind, ERR_PREDICTED);
	assert_string_equal(err.msg, "field 'number': unknown until then: not run yet");
	world_done(&w);
}

static void
test_bind_secret(void **state)
{
	struct fake_exec args = { 0 };
	struct fake_etcd etcd = { 0 };
	char content[] = "hunter2";
	const struct secret secret = { .where = "params.p", .len = strlen(content), .content = content };
	const struct pair pair = { "p", value_secret(&secret) };
	struct err err = ERR_INIT;
	struct value inputs;
	struct world w;

	(void)state;
	world_init(&w, "{}", "argv: [x]\nenv: {P: '${{ params.p }}'}\n");
	w.params = value_map(&pair, 1);
	assert_int_equal(schema_bind(fake_exec_fields, &w.with, &w.env, &w.arena, &args, &inputs, &err), 0);
	assert_int_equal(value_get(args.env, "P")->kind, V_SECRET);
	assert_string_equal(value_get(args.env, "P")->secret->content, "hunter2");
	world_done(&w);
	world_init(&w, "{}", "argv: [x, '${{ params.p }}']\n");
	w.params = value_map(&pair, 1);
	assert_int_equal(schema_bind(fake_exec_fields, &w.with, &w.env, &w.arena, &args, &inputs, &err), -1);
	assert_string_equal(err.msg, "field 'argv' may not hold a secret, and this is one: params.p");
	world_done(&w);
	world_init(&w, "{\"p\":\"plain\"}", "endpoints: ['http://h']\npassword: ${{ params.p }}\n");
	assert_int_equal(schema_bind(fake_etcd_fields, &w.with, &w.env, &w.arena, &etcd, &inputs, &err), 0);
	assert_string_equal(etcd.password->content, "plain");
	assert_string_equal(etcd.password->where, "field 'password'");
	world_done(&w);
}

static void
test_bind_special(void **state)
{
	struct fake_wait wait = { 0 };
	struct fake_get get = { 0 };
	struct err err = ERR_INIT;
	struct value inputs, is, got;
	struct world w;

	(void)state;
	world_init(&w, "{\"n\":3}", "step: {uses: set, with: {values: {a: 1}}}\nuntil: ${{ value == params.n }}\n");
	assert_int_equal(schema_bind(fake_wait_fields, &w.with, &w.env, &w.arena, &wait, &inputs, &err), 0);
	assert_ptr_equal(wait.step->type, &fake_types[0]);
	assert_string_equal(value_get_str(&inputs, "until", ""), "${{ value == params.n }}");
	is = value_int(3);
	assert_int_equal(expr_eval_over(w.host, wait.until, &is, &w.arena, &got, &err), 0);
	assert_true(value_true(&got));
	world_done(&w);
	world_init(&w, "{}", "from: db\nkey: a\n");
	assert_int_equal(schema_bind(fake_get_fields, &w.with, &w.env, &w.arena, &get, &inputs, &err), 0);
	assert_non_null(get.from);
	assert_int_equal(get.key.len, 1);
	assert_string_equal(value_get_str(&inputs, "from", ""), "db");
	world_done(&w);
	world_init(&w, "{}", "from: dc\n");
	assert_int_equal(schema_bind(fake_get_fields, &w.with, &w.env, &w.arena, &get, &inputs, &err), -1);
	assert_string_equal(err.msg, "no target 'dc'");
	world_done(&w);
}

/* For static checks: what is found later is not missing, and what is not known yet is. */
static void
test_bind_literals(void **state)
{
	struct fake_get get = { 0 };
	struct fake_wait wait = { 0 };
	struct world w;

	(void)state;
	world_init(&w, "{}", "from: store\nkey: k\n");
	assert_true(schema_bind_literals(fake_get_fields, &w.with, &w.arena, &get));
	assert_non_null(get.from);
	assert_int_equal(get.key.len, 1);
	world_done(&w);
	world_init(&w, "{}", "from: store\nkey: \"${{ params.x }}\"\n");
	assert_false(schema_bind_literals(fake_get_fields, &w.with, &w.arena, &get));
	world_done(&w);
	world_init(&w, "{}", "until: \"${{ value.x }}\"\n");
	assert_true(schema_bind_literals(fake_wait_fields, &w.with, &w.arena, &wait));
	assert_non_null(wait.until);
	world_done(&w);
}

static void
test_type_name(void **state)
{
	const struct field target = { .type = F_TARGET, .kind = "etcd" };
	char name[32];

	(void)state;
	assert_string_equal(field_type_name(&f_strings, name), "list of string");
	assert_string_equal(field_type_name(&f_duration, name), "duration");
	assert_string_equal(field_type_name(&target, name), "etcd target");
}

int
main(void)
{
	static const struct CMUnitTest fixed[] = {
		cmocka_unit_test(test_bind),        cmocka_unit_test(test_bind_error_place), cmocka_unit_test(test_bind_unknown),
		cmocka_unit_test(test_bind_secret), cmocka_unit_test(test_bind_special),     cmocka_unit_test(test_type_name),
		cmocka_unit_test(test_bind_literals),
	};
	struct CMUnitTest all[countof(rows) + countof(fixed)];
	size_t n = 0;

	for (size_t i = 0; i < countof(rows); i++)
		all[n++] = (struct CMUnitTest){ rows[i].name, check_row, NULL, NULL, &rows[i] };
	for (size_t i = 0; i < countof(fixed); i++)
		all[n++] = fixed[i];
	return cmocka_run_group_tests_name("schema", all, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Parameters: order of the sources, conversion from text, and secrets that never come from the command line. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "fake_registry.h"
#include "plan.h"

#define STEPS "steps: [{id: a, uses: set, with: {values: {}}}]\n"

/* One resolution: everything as text, the result as canonical bytes or the problems. */
static struct row {
	const char *name;
	const char *params; /* the section of the plan */
	const char *given, *file, *env, *stored; /* "k=v;k=v", canonical bytes, "K=v;K=v", canonical bytes */
	const char *want;
} rows[] = {
	{ "default", "{a: {type: string, default: x}}", NULL, NULL, NULL, NULL, "{\"a\":\"x\"}" },
	{ "nothing is null", "{a: {type: string}}", NULL, NULL, NULL, NULL, "{\"a\":null}" },
	{ "declared variable over default", "{a: {type: string, default: x, env: A}}", NULL, NULL, "A=e", NULL, "{\"a\":\"e\"}" },
	{ "own variable over declared", "{a-b: {type: string, env: A}}", NULL, NULL, "A=e;WHERRY_PARAM_A_B=w", NULL,
	  "{\"a-b\":\"w\"}" },
	{ "file over variables", "{a: {type: string}}", NULL, "{\"a\":\"f\"}", "WHERRY_PARAM_A=w", NULL, "{\"a\":\"f\"}" },
	{ "-p over file", "{a: {type: string}}", "a=g", "{\"a\":\"f\"}", "WHERRY_PARAM_A=w", NULL, "{\"a\":\"g\"}" },
	{ "text stays text", "{a: {type: string}, b: {type: string}}", "a=08;b=true", NULL, NULL, NULL,
	  "{\"a\":\"08\",\"b\":\"true\"}" },
	{ "every type from text",
	  "{i: {type: integer}, n: {type: number}, b: {type: boolean}, u: {type: url}, d: {type: duration}, s: {type: size}, p: {type: path}}",
	  "i=-3;n=1.5;b=true;u=http://h;d=1m30s;s=64KiB;p=~/x", NULL, NULL, NULL,
	  "{\"b\":true,\"d\":\"1m30s\",\"i\":-3,\"n\":1.5,\"p\":\"/where/i/live/x\",\"s\":65536,\"u\":\"http://h\"}" },
	{ "size as a number", "{s: {type: size}}", "s=512", NULL, NULL, NULL, "{\"s\":512}" },
	{ "lists from text", "{a: {type: list}, b: {type: list, items: integer}, c: {type: list}, d: {type: list}}",
	  "a=x,08,y;b=1,2;c=[p, 'q,r', 5];d=", NULL, NULL, NULL,
	  "{\"a\":[\"x\",\"08\",\"y\"],\"b\":[1,2],\"c\":[\"p\",\"q,r\",\"5\"],\"d\":[]}" },
	{ "map from text", "{m: {type: map}}", "m={a: 1, b: [x]}", NULL, NULL, NULL, "{\"m\":{\"a\":1,\"b\":[\"x\"]}}" },
	{ "wrong texts at once", "{i: {type: integer}, b: {type: boolean}, m: {type: map}, l: {type: list}, n: {type: integer, min: 3}}",
	  "i=08;b=no;m=x;l=[a;n=2", NULL, NULL, NULL,
	  "-p: field 'b': expected true or false, got \"no\"\n-p: field 'i': expected an integer, got \"08\"\n"
	  "-p: field 'l': did not find expected ',' or ']' while parsing a flow sequence that begins at line 1\n"
	  "-p: field 'm': expected a map, got \"x\"\n-p: field 'n': expected at least 3, got 2" },
	{ "wrong value in a file", "{i: {type: integer}}", NULL, "{\"i\":\"x\"}", NULL, NULL,
	  "p.yaml: field 'i': expected an integer, got \"x\"" },
	{ "wrong value in a variable", "{i: {type: integer, env: I}}", NULL, NULL, "I=x", NULL,
	  "I: field 'i': expected an integer, got \"x\"" },
	{ "unknown names", "{prefix: {type: string}}", "prefxi=x", "{\"other\":1}", NULL, NULL,
	  "-p: unknown parameter 'prefxi' (did you mean 'prefix'?)\np.yaml: unknown parameter 'other'" },
	{ "given twice", "{a: {type: string}}", "a=1;a=2", NULL, NULL, NULL, "-p a: given twice" },
	{ "all that is missing at once", "{a: {type: string, required: true, help: the a}, b: {type: list, required: true}}", NULL, NULL,
	  NULL, NULL, "missing parameter 'a': give -p a=… (the a)\nmissing parameter 'b': give -p b=…" },
	{ "not UTF-8", "{a: {type: string}}", "a=x\xFF", NULL, NULL, NULL, "-p: field 'a': not UTF-8 at byte 1" },

	/* secrets */
	{ "secret from a variable", "{pw: {type: string, secret: true, env: PW}}", NULL, NULL, "PW=hunter2", NULL,
	  "{\"pw\":{\"$secret\":\"params.pw\"}} hunter2" },
	{ "secret from a file", "{pw: {type: string, secret: true}}", NULL, "{\"pw\":\"hunter2\"}", NULL, NULL,
	  "{\"pw\":{\"$secret\":\"params.pw\"}} hunter2" },
	{ "secret in -p", "{pw: {type: string, secret: true, env: PW}}", "pw=hunter2", NULL, NULL, NULL,
	  "-p pw: a secret is refused on the command line, where others can read it: give it by WHERRY_PARAM_PW, PW or --params FILE" },
	{ "secret as a number is not shown", "{pw: {type: string, secret: true}}", NULL, "{\"pw\":12345}", NULL, NULL,
	  "p.yaml: field 'pw': expected a secret, got an integer: quote it" },
	{ "missing secret", "{pw: {type: string, secret: true, required: true}}", NULL, NULL, NULL, NULL,
	  "missing secret parameter 'pw': give it by WHERRY_PARAM_PW or --params FILE" },
	{ "secret from the terminal", "{pw: {type: string, secret: true, required: true, help: ASK}}", NULL, NULL, NULL, NULL,
	  "{\"pw\":{\"$secret\":\"params.pw\"}} asked" },

	/* a resume */
	{ "stored values stay", "{a: {type: string, default: x}, b: {type: list, items: size}}", NULL, "{\"a\":\"f\"}",
	  "WHERRY_PARAM_A=w", "{\"a\":\"s\",\"b\":[1024]}", "{\"a\":\"s\",\"b\":[1024]}" },
	{ "stored values are not changed", "{a: {type: string}}", "a=g", NULL, NULL, "{\"a\":\"s\"}",
	  "-p a: the run keeps the parameters that it began with" },
	{ "secrets are asked for again", "{pw: {type: string, secret: true, required: true}, a: {type: string}}", NULL, NULL,
	  "WHERRY_PARAM_PW=again", "{\"a\":\"s\",\"pw\":{\"$secret\":\"params.pw\"}}",
	  "{\"a\":\"s\",\"pw\":{\"$secret\":\"params.pw\"}} again" },
	{ "a secret that the run began with is needed", "{pw: {type: string, secret: true, help: ASK}}", NULL, NULL, NULL,
	  "{\"pw\":{\"$secret\":\"params.pw\"}}", "{\"pw\":{\"$secret\":\"params.pw\"}} asked" },
	{ "a secret that the run began without stays away", "{pw: {type: string, secret: true}}", NULL, NULL,
	  "WHERRY_PARAM_PW=late", "{\"pw\":null}", "{\"pw\":null}" },
};

/* Split "k=v;k=v" in place into pairs. */
static size_t
split(char *text, const char *(*ret)[2], size_t max)
{
	size_t n = 0;

	for (char *rest = text, *part; rest != NULL && n < max && (part = strsep(&rest, ";")) != NULL; n++) {
		ret[n][0] = strsep(&part, "=");
		ret[n][1] = part;
	}
	return n;
}

struct variables {
	const char *list[8][2];
	size_t n;
};

static const char *
look_up(void *data, const char *name)
{
	struct variables *v = data;

	for (size_t i = 0; i < v->n; i++)
		if (strcmp(v->list[i][0], name) == 0)
			return v->list[i][1];
	return NULL;
}

static const char *
ask(void *data, const char *prompt)
{
	(void)data;
	return strcmp(prompt, "ASK") == 0 ? "asked" : NULL;
}

static struct value
parse(struct arena *a, const char *text)
{
	struct err err = ERR_INIT;
	struct value v = VALUE_NULL;

	if (text != NULL)
		assert_int_equal(value_parse(a, text, strlen(text), &v, &err), 0);
	return v;
}

static void
show(struct buf *to, const struct value *v, struct problems *p)
{
	problems_sort(p);
	for (size_t i = 0; i < p->n; i++)
		buf_printf(to, "%s%s%s%s%s", i > 0 ? "\n" : "", p->list[i].msg, p->list[i].hint ? " (" : "",
			   p->list[i].hint ? p->list[i].hint : "", p->list[i].hint ? ")" : "");
	if (p->n > 0)
		return;
	value_write(to, v);
	for (uint32_t i = 0; i < v->len; i++)
		if (v->pairs[i].v.kind == V_SECRET)
			buf_printf(to, " %s", v->pairs[i].v.secret->content);
}

static void
check_row(void **state)
{
	const struct row *row = *state;
	char *plan_text = xasprintf("wherry: v1\nname: t\nparams: %s\n" STEPS, row->params);
	char *given_text = xstrdup(row->given ? row->given : ""), *env_text = xstrdup(row->env ? row->env : "");
	struct problems problems = PROBLEMS_INIT;
	struct plan *plan = plan_load(&fake_registry, NULL, "f", plan_text, strlen(plan_text), &problems);
	struct variables variables = { 0 };
	struct arena a = ARENA_INIT;
	struct value file = parse(&a, row->file), stored = parse(&a, row->stored), got = VALUE_NULL;
	const char *given[8][2];
	struct param_source from = { .given = given, .file_name = "p.yaml", .env = look_up, .env_data = &variables, .ask = ask };
	struct buf text = BUF_INIT(0);
	int ret;

	assert_int_equal(problems.n, 0);
	assert_int_equal(setenv("HOME", "/where/i/live", 1), 0);
	from.ngiven = row->given != NULL ? split(given_text, given, 8) : 0;
	variables.n = row->env != NULL ? split(env_text, variables.list, 8) : 0;
	from.file = row->file != NULL ? &file : NULL;
	from.stored = row->stored != NULL ? &stored : NULL;
	ret = params_resolve(plan, &from, &a, &got, &problems);
	assert_int_equal(ret, problems.n > 0 ? -1 : 0);
	show(&text, &got, &problems);
	assert_string_equal(text.p, row->want);
	buf_done(&text);
	problems_done(&problems);
	plan_free(plan);
	free(given_text);
	free(env_text);
	free(plan_text);
	arena_done(&a);
}

int
main(void)
{
	struct CMUnitTest all[countof(rows)];

	for (size_t i = 0; i < countof(rows); i++)
		all[i] = (struct CMUnitTest){ rows[i].name, check_row, NULL, NULL, &rows[i] };
	return cmocka_run_group_tests_name("params", all, NULL, NULL);
}

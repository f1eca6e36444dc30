/* SPDX-License-Identifier: Apache-2.0 */
/* Values: canonical bytes are a fixed point, the parser is strict, secrets and unknowns never leave as content. */
#include "value.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const struct row {
	const char *name, *in;
	const char *tagged; /* canonical bytes of the tagged parse, or NULL: refused */
	const char *plain;  /* canonical bytes of the foreign parse, or NULL: refused */
} rows[] = {
	{ "null", "null", "null", "null" },
	{ "blanks", " [ 1 , 2 ]\n", "[1,2]", "[1,2]" },
	{ "keys are sorted", "{\"b\":1,\"a\":2,\"B\":3}", "{\"B\":3,\"a\":2,\"b\":1}", "{\"B\":3,\"a\":2,\"b\":1}" },
	{ "duplicate key", "{\"a\":1,\"b\":2,\"a\":3}", NULL, NULL },
	{ "duplicate key by escape", "{\"a\":1,\"\\u0061\":2}", NULL, NULL },
	{ "integers", "[0,-1,9223372036854775807,-9223372036854775808]",
	  "[0,-1,9223372036854775807,-9223372036854775808]", "[0,-1,9223372036854775807,-9223372036854775808]" },
	{ "beyond int64", "9223372036854775808", "9.223372036854776e+18", "9.223372036854776e+18" },
	{ "numbers", "[1.0,0.1,1e300,1E2,5e-324,-0.0,0.30000000000000004]",
	  "[1.0,0.1,1e+300,100.0,5e-324,-0.0,0.30000000000000004]",
	  "[1.0,0.1,1e+300,100.0,5e-324,-0.0,0.30000000000000004]" },
	{ "overflow", "1e999", NULL, NULL },
	{ "nan", "NaN", NULL, NULL },
	{ "leading zero", "01", NULL, NULL },
	{ "plus", "+1", NULL, NULL },
	{ "bare dot", "1.", NULL, NULL },
	{ "bare exponent", "1e", NULL, NULL },
	{ "minus alone", "-", NULL, NULL },
	{ "single quotes", "'a'", NULL, NULL },
	{ "comment", "/* */ 1", NULL, NULL },
	{ "trailing comma", "[1,]", NULL, NULL },
	{ "trailing comma in map", "{\"a\":1,}", NULL, NULL },
	{ "two values", "1 2", NULL, NULL },
	{ "empty", "", NULL, NULL },
	{ "cut list", "[1", NULL, NULL },
	{ "cut string", "\"abc", NULL, NULL },
	{ "cut escape", "\"abc\\", NULL, NULL },
	{ "cut word", "tru", NULL, NULL },
	{ "escapes", "\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u00e9\\ud83d\\ude00\"", "\"\\\"\\\\/\\b\\f\\n\\r\\té😀\"",
	  "\"\\\"\\\\/\\b\\f\\n\\r\\té😀\"" },
	{ "terminal controls stay escaped", "\"\\u001b\\u007f\\u009b\\u202e\"", "\"\\u001b\\u007f\\u009b\\u202e\"",
	  "\"\\u001b\\u007f\\u009b\\u202e\"" },
	{ "nul in a string", "\"a\\u0000b\"", "\"a\\u0000b\"", "\"a\\u0000b\"" },
	{ "nul in a key", "{\"a\\u0000b\":1}", NULL, NULL },
	{ "raw control", "\"a\nb\"", NULL, NULL },
	{ "lone surrogate", "\"\\ud800\"", NULL, NULL },
	{ "half pair", "\"\\ud800\\u0041\"", NULL, NULL },
	{ "bad hex", "\"\\u12g4\"", NULL, NULL },
	{ "bad escape", "\"\\x\"", NULL, NULL },
	{ "bad utf-8", "\"\xff\"", NULL, NULL },
	{ "overlong", "\"\xc0\x80\"", NULL, NULL },
	{ "unknown", "{\"$unknown\":\"why\"}", "{\"$unknown\":\"why\"}", "{\"$$unknown\":\"why\"}" },
	{ "secret", "{\"$secret\":\"params.x\"}", "{\"$secret\":\"params.x\"}", "{\"$$secret\":\"params.x\"}" },
	{ "bytes", "{\"$bytes\":\"/wA=\"}", "{\"$bytes\":\"/wA=\"}", "{\"$$bytes\":\"/wA=\"}" },
	{ "bytes that are text", "{\"$bytes\":\"YWI=\"}", "\"ab\"", "{\"$$bytes\":\"YWI=\"}" },
	{ "bytes malformed", "{\"$bytes\":\"/w\"}", NULL, "{\"$$bytes\":\"/w\"}" },
	{ "tag with company", "{\"$secret\":\"x\",\"a\":1}", NULL, "{\"$$secret\":\"x\",\"a\":1}" },
	{ "tag later", "{\"a\":1,\"$secret\":\"x\"}", NULL, "{\"$$secret\":\"x\",\"a\":1}" },
	{ "unknown tag", "{\"$no\":\"x\"}", NULL, "{\"$$no\":\"x\"}" },
	{ "tag of no text", "{\"$secret\":1}", NULL, "{\"$$secret\":1}" },
	{ "dollar keys", "{\"$$a\":1,\"$$$b\":2}", "{\"$$$b\":2,\"$$a\":1}", "{\"$$$$b\":2,\"$$$a\":1}" },
	{ "key that is not utf-8", "{\"$bytes:/w==\":1}", "{\"$bytes:/w==\":1}", "{\"$$bytes:/w==\":1}" },
};

static char *
written(const struct value *v)
{
	struct buf b = BUF_INIT(0);

	value_write(&b, v);
	assert_false(b.failed);
	return buf_take(&b);
}

static void
check_parse(const char *in, bool tags, const char *want)
{
	struct err err = ERR_INIT;
	struct arena a = ARENA_INIT;
	struct value v, again;
	/* An exact allocation, so that the sanitizer sees a read past the end. */
	size_t len = strlen(in);
	char *exact = malloc(len ? len : 1), *got, *twice;
	int rc;

	memcpy(exact, in, len);
	rc = (tags ? value_parse : value_parse_json)(&a, exact, len, &v, &err);
	free(exact);
	if (want == NULL) {
		assert_int_equal(rc, -1);
		assert_int_equal(err.kind, tags ? ERR_REFUSED : ERR_FAILED);
	} else {
		if (rc < 0)
			fail_msg("%s", err.msg);
		got = written(&v);
		assert_string_equal(got, want);
		assert_int_equal(value_parse(&a, got, strlen(got), &again, &err), 0);
		twice = written(&again);
		assert_string_equal(twice, want);
		free(got);
		free(twice);
	}
	arena_done(&a);
}

static void
check_row(void **state)
{
	const struct row *r = *state;

	check_parse(r->in, true, r->tagged);
	check_parse(r->in, false, r->plain);
}

static char *
nested(unsigned depth)
{
	char *s = xcalloc(1, 2 * (size_t)depth + 1);

	memset(s, '[', depth);
	memset(s + depth, ']', depth);
	return s;
}

static void
depth_is_capped(void **state)
{
	char *at = nested(VALUE_MAX_DEPTH), *over = nested(VALUE_MAX_DEPTH + 1), *far = nested(100000);

	(void)state;
	check_parse(at, false, at);
	check_parse(over, false, NULL);
	check_parse(over, true, over);
	check_parse(far, false, NULL);
	check_parse(far, true, NULL);
	free(at);
	free(over);
	free(far);
}

static void
doubles_survive(void **state)
{
	struct arena a = ARENA_INIT;
	struct err err = ERR_INIT;
	struct value v, back;
	uint64_t bits = 88172645463325252U;
	double n;
	char *s;

	(void)state;
	for (int i = 0; i < 20000; i++) {
		bits ^= bits << 13, bits ^= bits >> 7, bits ^= bits << 17;
		memcpy(&n, &bits, sizeof(n));
		if ((bits >> 52 & 0x7ff) == 0x7ff)
			continue;
		v = value_number(n);
		s = written(&v);
		assert_int_equal(value_parse(&a, s, strlen(s), &back, &err), 0);
		assert_true(value_eq(&v, &back));
		free(s);
		arena_reset(&a);
	}
	arena_done(&a);
}

static struct value
parsed(struct arena *a, const char *s)
{
	struct err err = ERR_INIT;
	struct value v;

	if (value_parse(a, s, strlen(s), &v, &err) < 0)
		fail_msg("%s: %s", s, err.msg);
	return v;
}

static void
equality_ignores_order(void **state)
{
	struct arena a = ARENA_INIT;
	struct value x = parsed(&a, "{\"a\":[1,{\"b\":null}],\"c\":\"x\"}"), y = parsed(&a, "{\"c\":\"x\",\"a\":[1,{\"b\":null}]}");
	struct value one = value_int(1), also = value_number(1), un = value_unknown("?");
	struct pair many[100], rev[100];

	(void)state;
	assert_true(value_eq(&x, &y));
	assert_false(value_eq(&one, &also));
	assert_false(value_eq(&un, &un));
	for (int i = 0; i < 100; i++) {
		many[i] = (struct pair){ arena_printf(&a, "k%d", i), value_int(i) };
		rev[99 - i] = many[i];
	}
	x = value_map(many, 100);
	y = value_map(rev, 100);
	assert_true(value_eq(&x, &y));
	rev[50].v = value_int(-1);
	assert_false(value_eq(&x, &y));
	arena_done(&a);
}

static void
flags_are_gathered(void **state)
{
	struct arena a = ARENA_INIT;
	struct value v = parsed(&a, "{\"a\":[{\"b\":{\"$unknown\":\"w\"}}],\"c\":{\"$secret\":\"s\"}}"), copy = value_copy(&a, &v);

	(void)state;
	assert_int_equal(v.flags, VF_UNKNOWN | VF_SECRET);
	assert_int_equal(value_get(&v, "a")->flags, VF_UNKNOWN);
	assert_int_equal(copy.flags, v.flags);
	arena_done(&a);
}

static void
secrets_stay_inside(void **state)
{
	char content[] = "hunter2", same[] = "hunter2", other[] = "hunter3";
	struct secret s1 = { "params.password", 7, content }, s2 = { "elsewhere", 7, same }, s3 = { "params.password", 7, other };
	struct pair p1 = { "p", value_secret(&s1) }, p2 = { "p", value_secret(&s2) }, p3 = { "p", value_secret(&s3) };
	struct pair said = { "p", value_str("hunter1") };
	struct value plain = value_map(&said, 1);
	struct value v1 = value_map(&p1, 1), v2 = value_map(&p2, 1), v3 = value_map(&p3, 1);
	struct bytes key = { "key", 3 };
	char d1[65], d2[65], d3[65];
	struct buf b = BUF_INIT(0);

	(void)state;
	value_show(&b, &v1);
	value_write(&b, &v1);
	value_diff(&b, &v1, &v3, 10);
	assert_string_equal(b.p, "{\"p\":\"(secret)\"}{\"p\":{\"$secret\":\"params.password\"}}"
				 "- p: \"(secret)\"\n+ p: \"(secret)\"\n");
	buf_clear(&b);
	value_diff(&b, &plain, &v1, 10);
	value_diff(&b, &v1, &plain, 10);
	assert_string_equal(b.p, "- p: \"(secret)\"\n+ p: \"(secret)\"\n- p: \"(secret)\"\n+ p: \"(secret)\"\n");
	value_digest(&v1, key, d1);
	value_digest(&v2, key, d2);
	value_digest(&v3, key, d3);
	assert_string_equal(d1, d2);
	assert_string_not_equal(d1, d3);
	value_digest(&v1, (struct bytes){ "other", 5 }, d2);
	assert_string_not_equal(d1, d2);
	assert_true(value_eq(&v1, &v2));
	assert_false(value_eq(&v1, &v3));
	value_wipe(&v1);
	assert_memory_equal(content, "\0\0\0\0\0\0\0", 7);
	buf_done(&b);
}

static void
shown_without_tags(void **state)
{
	struct arena a = ARENA_INIT;
	struct value v = parsed(&a, "{\"b\":\"\\u001b[1m\",\"$$a\":{\"$unknown\":\"w\"}}");
	struct buf b = BUF_INIT(0);

	(void)state;
	value_show(&b, &v);
	assert_string_equal(b.p, "{\"$a\":\"(unknown)\",\"b\":\"\\u001b[1m\"}");
	buf_done(&b);
	arena_done(&a);
}

static const struct diff_row {
	const char *name, *before, *after, *want;
	unsigned max;
} diff_rows[] = {
	{ "diff: equal", "{\"a\":1}", "{\"a\":1}", "", 9 },
	{ "diff: scalar", "1", "2", "- 1\n+ 2\n", 9 },
	{ "diff: members", "{\"a\":{\"b\":1,\"c\":2},\"d\":3}", "{\"a\":{\"b\":9,\"c\":2},\"e\":[1]}",
	  "- a.b: 1\n+ a.b: 9\n- d: 3\n+ e: [1]\n", 9 },
	{ "diff: list", "[1,2,3]", "[1,5]", "- [2]: 2\n+ [2]: 5\n- [3]: 3\n", 9 },
	{ "diff: odd key", "{\"a.b\":1}", "{}", "- ['a.b']: 1\n", 9 },
	{ "diff: kind", "{\"a\":1}", "{\"a\":\"1\"}", "- a: 1\n+ a: \"1\"\n", 9 },
	{ "diff: at most", "[1,2,3]", "[4,5,6]", "- [1]: 1\n+ [1]: 4\n… 4 more\n", 2 },
	{ "diff: lines", "{\"f\":\"a\\nb\\nc\\n\"}", "{\"f\":\"a\\nx\\ny\\nc\\n\"}", "- f: b\n+ f: x\n+ f: y\n", 9 },
	{ "diff: inserted line", "\"x\\ny\\n\"", "\"x\\nz\\ny\\n\"", "+ z\n", 9 },
	{ "diff: repeated line", "\"x\\n\"", "\"x\\nx\\n\"", "+ x\n", 9 },
	{ "diff: half lines", "\"aby\\n\"", "\"acy\\n\"", "- aby\n+ acy\n", 9 },
};

static void
check_diff(void **state)
{
	const struct diff_row *r = *state;
	struct arena a = ARENA_INIT;
	struct value before = parsed(&a, r->before), after = parsed(&a, r->after);
	struct buf b = BUF_INIT(0);

	value_diff(&b, &before, &after, r->max);
	assert_string_equal(b.len ? b.p : "", r->want);
	buf_clear(&b);
	value_diff_path(&b, &before, &after); /* of the first line, and nothing more */
	if (b.len > 0) {
		assert_memory_equal(r->want + 2, b.p, b.len);
		assert_int_equal(r->want[2 + b.len], ':');
	}
	buf_done(&b);
	arena_done(&a);
}

/* Only a server is told, and only what JSON can say. */
static void
clear_for_a_server(void **state)
{
	char content[] = "pa\"ss", bytes[] = "\xff";
	struct secret text = { "params.x", 5, content }, binary = { "params.y", 1, bytes };
	const struct pair good[] = { { "$p", value_secret(&text) }, { "l", VALUE_NULL } }, bad[] = { { "p", value_secret(&binary) } };
	const struct value v = value_map(good, 2), secret = value_map(bad, 1), raw = value_strn("\xff", 1), unknown = value_unknown("why");
	struct buf b = BUF_INIT(0);
	struct err err = ERR_INIT;

	(void)state;
	assert_int_equal(value_json(&b, &v, &err), 0);
	assert_string_equal(b.p, "{\"$p\":\"pa\\\"ss\",\"l\":null}");
	buf_clear(&b);
	assert_int_equal(value_json(&b, &secret, &err), -1);
	assert_int_equal(err.kind, ERR_FAILED);
	assert_int_equal(value_json(&b, &raw, &err), -1);
	assert_int_equal(err.kind, ERR_FAILED);
	assert_int_equal(value_json(&b, &unknown, &err), -1);
	assert_int_equal(err.kind, ERR_PREDICTED);
	assert_int_equal(b.len, 0);
	buf_done(&b);
}

int
main(void)
{
	const struct CMUnitTest others[] = {
		cmocka_unit_test(depth_is_capped),     cmocka_unit_test(doubles_survive),
		cmocka_unit_test(equality_ignores_order), cmocka_unit_test(flags_are_gathered),
		cmocka_unit_test(secrets_stay_inside), cmocka_unit_test(clear_for_a_server),
		cmocka_unit_test(shown_without_tags),
	};
	struct CMUnitTest tests[countof(rows) + countof(diff_rows) + countof(others)] = { 0 };
	size_t n = 0;

	for (size_t i = 0; i < countof(rows); i++)
		tests[n++] = (struct CMUnitTest){ rows[i].name, check_row, .initial_state = (void *)&rows[i] };
	for (size_t i = 0; i < countof(diff_rows); i++)
		tests[n++] = (struct CMUnitTest){ diff_rows[i].name, check_diff, .initial_state = (void *)&diff_rows[i] };
	for (size_t i = 0; i < countof(others); i++)
		tests[n++] = others[i];
	return cmocka_run_group_tests(tests, NULL, NULL);
}

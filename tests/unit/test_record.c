/* SPDX-License-Identifier: Apache-2.0 */
/* Records: what is written is read back, lines are canonical, and what is not in the table is refused. */
#include "record.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const struct row {
	const char *name, *line;
	bool ok;
} rows[] = {
	{ "smallest", "{\"t\":\"note\"}", true },
	{ "values of all kinds", "{\"body\":[1,{\"a\":null}],\"pre\":\"x\",\"t\":\"intent\",\"val\":{\"$secret\":\"p\"}}", true },
	{ "null is a value", "{\"t\":\"end\",\"val\":null}", true },
	{ "negative time", "{\"at\":-5,\"t\":\"note\"}", true },
	{ "largest number", "{\"ns\":9223372036854775807,\"t\":\"end\"}", true },
	{ "plain values", "{\"t\":\"end\",\"val\":{\"\":[],\"a\":{},\"b\":[true,false,-1,0],\"c\":\"x\"}}", true },
	{ "longest plain number", "{\"ns\":999999999999999999,\"t\":\"end\"}", true },
	{ "escapes", "{\"msg\":\"a\\n\\\"\",\"t\":\"note\",\"val\":{\"\\u001b\":1}}", true },
	{ "above ASCII", "{\"msg\":\"\xc3\xa9\",\"t\":\"note\"}", true },
	{ "number beyond 18 digits", "{\"t\":\"end\",\"val\":-9223372036854775808}", true },
	{ "fraction in a value", "{\"t\":\"end\",\"val\":[0.5,1e+20]}", true },
	{ "tags and their escape", "{\"t\":\"end\",\"val\":{\"$$a\":{\"$bytes\":\"/w==\"}}}", true },
	{ "deep value", "{\"t\":\"end\",\"val\":[[[[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]]]}", true },
	{ "file of a value", "{\"t\":\"end\",\"valf\":\"00ff\"}", true },
	{ "no map", "[1]", false },
	{ "no type", "{\"step\":\"a\"}", false },
	{ "unknown type", "{\"t\":\"ended\"}", false },
	{ "type is no string", "{\"t\":1}", false },
	{ "name of seven", "{\"message\":1,\"t\":\"end\"}", false },
	{ "name of eight", "{\"messages\":1,\"t\":\"end\"}", false },
	{ "name that begins as one", "{\"stepp\":\"a\",\"t\":\"end\"}", false },
	{ "name that one begins with", "{\"ste\":\"a\",\"t\":\"end\"}", false },
	{ "no name", "{\"\":1,\"t\":\"end\"}", false },
	{ "name without a value", "{\"t\":\"end\",\"try\",1}", false },
	{ "unknown member", "{\"t\":\"end\",\"what\":1}", false },
	{ "members out of order", "{\"t\":\"end\",\"step\":\"a\"}", false },
	{ "number for text", "{\"step\":1,\"t\":\"end\"}", false },
	{ "NUL inside text", "{\"step\":\"a\\u0000b\",\"t\":\"end\"}", false },
	{ "text for number", "{\"t\":\"end\",\"try\":\"1\"}", false },
	{ "number out of range", "{\"t\":\"end\",\"try\":4294967296}", false },
	{ "negative count", "{\"done\":-1,\"t\":\"cursor\"}", false },
	{ "fraction", "{\"at\":1.5,\"t\":\"end\"}", false },
	{ "same member twice", "{\"t\":\"end\",\"t\":\"end\"}", false },
	{ "same key twice in a value", "{\"t\":\"end\",\"val\":{\"a\":1,\"a\":2}}", false },
	{ "value that does not end", "{\"t\":\"end\",\"val\":[1", false },
	{ "value with a leading zero", "{\"t\":\"end\",\"val\":01}", false },
	{ "value that is no word", "{\"t\":\"end\",\"val\":nul}", false },
	{ "value missing", "{\"t\":\"end\",\"val\":}", false },
	{ "list without a comma", "{\"t\":\"end\",\"val\":[1 2]}", false },
	{ "unknown tag", "{\"t\":\"end\",\"val\":{\"$what\":\"\"}}", false },
	{ "not UTF-8", "{\"msg\":\"\xff\",\"t\":\"note\"}", false },
	{ "control byte", "{\"msg\":\"\x01\",\"t\":\"note\"}", false },
	{ "comma at the end", "{\"t\":\"end\",}", false },
	{ "two lines", "{\"t\":\"end\"}\n{\"t\":\"end\"}", false },
	{ "empty", "", false },
};

static void
check_row(void **state)
{
	const struct row *row = *state;
	struct arena a = ARENA_INIT;
	struct buf b = BUF_INIT(0);
	struct err err = ERR_INIT;
	struct record r;
	int rc = record_parse(&a, row->line, strlen(row->line), &r, &err);

	assert_int_equal(rc, row->ok ? 0 : -1);
	if (row->ok) {
		assert_int_equal(record_values(&a, &r, &err), 0);
		record_write(&b, &r);
		assert_int_equal(b.len, strlen(row->line) + 1);
		assert_memory_equal(b.p, row->line, b.len - 1);
		assert_int_equal(b.p[b.len - 1], '\n');
	} else {
		assert_int_equal(err.kind, ERR_REFUSED);
		assert_true(err.msg[0] != '\0');
	}
	buf_done(&b);
	arena_done(&a);
}

/* Every member has a value of its own, so that a slip of the table would show. */
static void
every_member_survives(void **state)
{
	struct value v = value_int(1), before = value_int(2), body = value_int(3);
	const struct record in = {
		.type = REC_INTENT, .wall = 11, .step = "step", .attempt = 12, .effect = 13, .occ = 14, .epoch = 15,
		.code = 16, .verb = "verb", .ref = "ref", .class = "class", .says = "says", .digest = "digest",
		.nonce = "nonce", .status = "status", .kind = "kind", .msg = "msg", .next = "next", .user = "user",
		.host = "host", .build = "build", .target = "target", .file = "file", .unit = "unit", .done = 17,
		.total = 18, .ns = 19, .value = &v, .before = &before, .body = &body, .value_file = "vf",
		.before_file = "bf", .body_file = "of",
	};
	struct arena a = ARENA_INIT;
	struct buf b = BUF_INIT(0);
	struct err err = ERR_INIT;
	struct record out;

	(void)state;
	record_write(&b, &in);
	assert_int_equal(record_parse(&a, b.p, b.len - 1, &out, &err), 0);
	assert_int_equal(out.type, REC_INTENT);
	assert_true(out.value == NULL && out.before == NULL && out.body == NULL);
	assert_int_equal(record_values(&a, &out, &err), 0);
	assert_true(out.wall == 11 && out.attempt == 12 && out.effect == 13 && out.occ == 14 && out.epoch == 15);
	assert_true(out.code == 16 && out.done == 17 && out.total == 18 && out.ns == 19);
	assert_true(out.value->i == 1 && out.before->i == 2 && out.body->i == 3);
#define SAME(m) assert_string_equal(out.m, in.m)
	SAME(step), SAME(verb), SAME(ref), SAME(class), SAME(says), SAME(digest), SAME(nonce), SAME(status), SAME(kind);
	SAME(msg), SAME(next), SAME(user), SAME(host), SAME(build), SAME(target), SAME(file), SAME(unit);
	SAME(value_file), SAME(before_file), SAME(body_file);
#undef SAME
	buf_done(&b);
	arena_done(&a);
}

static void
every_type_has_a_name(void **state)
{
	struct arena a = ARENA_INIT;
	struct err err = ERR_INIT;
	struct record r;

	(void)state;
	for (enum record_type t = 0; t < REC_TYPES; t++) {
		const char *line = arena_printf(&a, "{\"t\":\"%s\"}", record_type_name(t));

		assert_int_equal(record_parse(&a, line, strlen(line), &r, &err), 0);
		assert_int_equal(r.type, t);
	}
	arena_done(&a);
}

static void
secrets_stay_out(void **state)
{
	struct secret s = { .where = "params.password", .len = 7, .content = (char[]){ "hunter2" } };
	struct value v = value_secret(&s);
	struct record r = { .type = REC_INTENT, .body = &v };
	struct buf b = BUF_INIT(0);

	(void)state;
	record_write(&b, &r);
	record_show(&b, &r);
	assert_null(strstr(b.p, "hunter2"));
	assert_non_null(strstr(b.p, "params.password"));
	buf_done(&b);
}

static void
shown_on_one_line(void **state)
{
	struct value v = value_str("big");
	struct record r = { .type = REC_END, .wall = 1000, .step = "a\n\033b", .status = "done", .value = &v };
	struct buf b = BUF_INIT(0);

	(void)state;
	record_show(&b, &r);
	assert_string_equal(b.p, "1970-01-01T00:00:01.000Z end st=\"done\" step=\"a\\n\\u001bb\" val=\"big\"");
	buf_clear(&b);
	r.value_file = "00ff";
	record_show(&b, &r);
	assert_string_equal(b.p, "1970-01-01T00:00:01.000Z end st=\"done\" step=\"a\\n\\u001bb\" valf=\"00ff\"");
	buf_done(&b);
}

int
main(void)
{
	const struct CMUnitTest others[] = {
		cmocka_unit_test(every_member_survives), cmocka_unit_test(every_type_has_a_name),
		cmocka_unit_test(secrets_stay_out), cmocka_unit_test(shown_on_one_line),
	};
	struct CMUnitTest tests[countof(rows) + countof(others)] = { 0 };
	size_t n = 0;

	for (size_t i = 0; i < countof(rows); i++)
		tests[n++] = (struct CMUnitTest){ rows[i].name, check_row, .initial_state = (void *)&rows[i] };
	for (size_t i = 0; i < countof(others); i++)
		tests[n++] = others[i];
	return cmocka_run_group_tests(tests, NULL, NULL);
}

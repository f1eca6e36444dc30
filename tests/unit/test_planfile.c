/* SPDX-License-Identifier: Apache-2.0 */
/* Plan files: what of two dry-runs counts as a difference, and bytes that were changed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "planfile.h"

static const struct event here[] = {
	{ .kind = EVENT_ACTION, .step = "a", .verb = "write", .ref = "file /a", .says = "write /a", .diff = "+ 1", .confidence = CONF_SIMULATED },
	{ .kind = EVENT_ACTION, .step = "b", .verb = "copy", .ref = "etcd /b", .says = "copy /b", .diff = "+ 5 new", .confidence = CONF_PREDICTED },
	{ .kind = EVENT_ACTION, .step = "b", .verb = "write", .ref = "file /c", .says = "write /c", .unchanged = true },
	{ .kind = EVENT_ACTION, .step = "c", .verb = "run", .ref = "process exec", .says = "run", .confidence = CONF_OPAQUE },
};

/* here, without the i-th where it is one of them, with the i-th changed by the event, or with the event before it. */
static void
compare(int without, int at, const struct event *change, const struct event *more, const char *want)
{
	struct foretold was = { 0 }, now = { 0 };
	struct value before, after;
	struct err err = ERR_INIT;

	for (int i = 0; i <= (int)countof(here); i++) {
		if (i < (int)countof(here))
			foretold_event(&was, &here[i]);
		if (i == at && more != NULL)
			foretold_event(&now, more);
		if (i < (int)countof(here) && i != without)
			foretold_event(&now, i == at && change != NULL ? change : &here[i]);
	}
	before = foretold_actions(&was);
	after = foretold_actions(&now);
	if (want == NULL) {
		assert_int_equal(foretold_compare_actions(&before, &after, &err), 0);
	} else {
		assert_int_equal(foretold_compare_actions(&before, &after, &err), -1);
		assert_int_equal(err.kind, ERR_REFUSED);
		assert_string_equal(err.msg, want);
	}
	foretold_done(&was);
	foretold_done(&now);
}

static void
test_differences(void **state)
{
	struct event e;

	(void)state;
	compare(-1, -1, NULL, NULL, NULL);
	compare(0, -1, NULL, NULL, "step 'a' would not write 'file /a' (write /a) any more");
	compare(2, -1, NULL, NULL, "step 'b' would not write 'file /c' (write /c, which is so already) any more");
	compare(3, -1, NULL, NULL, "step 'c' would not run 'process exec' (run) any more");
	e = here[0];
	e.step = "new";
	compare(-1, 0, NULL, &e, "step 'new' would write 'file /a' (write /a), which was not announced");
	compare(-1, 4, NULL, &e, "step 'new' would write 'file /a' (write /a), which was not announced");
	e = here[0];
	e.diff = "+ 2";
	compare(-1, 0, &e, NULL, "step 'a': write 'file /a' (write /a) would change it otherwise than was announced");
	e = here[0];
	e.ref = "file /other";
	compare(-1, 0, &e, NULL, "step 'a' would write 'file /other' (write /a); announced was write 'file /a' (write /a)");
	e = here[2];
	e.unchanged = false;
	compare(-1, 2, &e, NULL, "step 'b' would write 'file /c' (write /c); announced was write 'file /c' (write /c, which is so already)");
	e = here[1];
	e.diff = "+ 6 new"; /* an estimate */
	compare(-1, 1, &e, NULL, NULL);
}

static void
test_targets(void **state)
{
	static const struct event events[] = {
		{ .kind = EVENT_TARGET, .ref = "b", .msg = "{\"id\":2}" },
		{ .kind = EVENT_TARGET, .ref = "a", .msg = "{\"id\":1}" },
		{ .kind = EVENT_TARGET, .ref = "b", .msg = "{\"id\":3}" },
	};
	struct foretold was = { 0 }, now = { 0 };
	struct value before, after;
	struct err err = ERR_INIT;

	(void)state;
	foretold_event(&was, &events[0]);
	foretold_event(&was, &events[1]);
	foretold_event(&now, &events[1]);
	before = foretold_targets(&was);
	after = foretold_targets(&now);
	assert_int_equal(foretold_compare_targets(&before, &after, &err), 0); /* who was not met is no other */
	foretold_event(&now, &events[2]);
	after = foretold_targets(&now);
	assert_string_equal(before.pairs[0].key, "a");
	assert_int_equal(foretold_compare_targets(&before, &after, &err), -1);
	assert_string_equal(err.msg, "target 'b' is another one: it was {\"id\":2} and is {\"id\":3}");
	foretold_done(&was);
	foretold_done(&now);
}

static void
test_files(void **state)
{
	static const struct event events[] = {
		{ .kind = EVENT_FILE, .step = "t", .ref = "/f", .msg = "1" }, { .kind = EVENT_FILE, .step = "s", .ref = "/f", .msg = "1" },
		{ .kind = EVENT_FILE, .step = "s", .ref = "/e", .msg = "2" }, { .kind = EVENT_FILE, .step = "s", .ref = "/f", .msg = "3" },
	};
	struct foretold was = { 0 }, now = { 0 };
	struct value before, after;
	struct err err = ERR_INIT;

	(void)state;
	for (size_t i = 0; i < 3; i++)
		foretold_event(&was, &events[i]);
	foretold_event(&now, &events[1]);
	before = foretold_files(&was);
	after = foretold_files(&now);
	assert_int_equal(before.len, 2);
	assert_string_equal(before.pairs[0].key, "/e");
	assert_string_equal(value_get_str(&before.pairs[1].v, "step", NULL), "s"); /* whoever came first */
	assert_int_equal(foretold_compare_files(&before, &after, &err), 0); /* what was not read is no other */
	foretold_done(&now);
	now = (struct foretold){ 0 };
	foretold_event(&now, &events[3]);
	after = foretold_files(&now);
	assert_int_equal(foretold_compare_files(&before, &after, &err), -1);
	assert_string_equal(err.msg, "'/f', which step 's' reads, was changed since");
	foretold_done(&was);
	foretold_done(&now);
}

/* The key is known to whoever has the file, and the digest that it makes in no time is not what stands there. */
static void
test_secrets(void **state)
{
	const struct bytes key = { "key", 3 };
	const struct secret sesame = { "params.s", 6, (char *)"sesame" }, other = { "params.s", 5, (char *)"other" };
	struct pair pairs[] = { { "s", value_secret(&sesame) }, { "t", value_str("plain") } };
	const struct value params = value_map(pairs, 2);
	struct arena a = ARENA_INIT;
	const struct value kept = planfile_params(&a, &params, key);
	const struct value *s = value_get(&kept, "s"), *t = value_get(&kept, "t");
	struct err err = ERR_INIT;
	char quick[65];

	(void)state;
	value_digest(&pairs[0].v, key, quick);
	assert_string_not_equal(value_get_str(s, "digest", ""), quick);
	assert_null(value_get(s, "value"));
	assert_string_equal(value_get_str(t, "value", ""), "plain");
	assert_int_equal(planfile_compare_params(&kept, &params, key, &err), 0);
	pairs[0].v = value_secret(&other);
	assert_int_equal(planfile_compare_params(&kept, &params, key, &err), -1);
	assert_string_equal(err.msg, "parameter 's' is another secret now");
	arena_done(&a);
}

/* Whatever byte is another one, it is told. */
static void
test_damage(void **state)
{
	const struct value content = value_str("kept");
	struct arena a = ARENA_INIT;
	struct buf b = BUF_INIT(0);
	struct value v;

	(void)state;
	planfile_write(&b, &content);
	for (size_t i = 0; i <= b.len; i++) {
		struct err err = ERR_INIT;

		if (i < b.len)
			b.p[i] ^= 1;
		assert_int_equal(planfile_parse(&a, "f", b.p, b.len, &v, &err), i < b.len ? -1 : 0);
		assert_true(i == b.len || err.kind == ERR_REFUSED);
		if (i < b.len)
			b.p[i] ^= 1;
		assert_int_equal(planfile_parse(&a, "f", b.p, i < b.len ? i : i - 1, &v, &err), -1);
	}
	assert_true(value_eq(&v, &content));
	buf_done(&b);
	arena_done(&a);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_differences),
		cmocka_unit_test(test_targets), cmocka_unit_test(test_files), cmocka_unit_test(test_secrets),
		cmocka_unit_test(test_damage),
	};

	return cmocka_run_group_tests_name("planfile", tests, NULL, NULL);
}

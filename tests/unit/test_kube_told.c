/* SPDX-License-Identifier: Apache-2.0 */
/* What API servers say back: refusals without the objects that they quote, and nothing of what they were told in confidence. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "steps/target/kube_status.h"
#include "steps/target/mask.h"

static struct arena arena;

static void
test_quoted(void **state)
{
	static const char *const cases[][2] = {
		{ "a: Invalid value: \"x y\": no", "a: Invalid value: \"x y\": no" },
		{ "patch: Invalid value: \"{\\\"data\\\":{\\\"p\\\":\\\"c2VjcmV0\\\"}}\": no", "patch: Invalid value: {…}: no" },
		{ "patch: Invalid value: \"{\\\"data", "patch: Invalid value: {…}" },
		{ "patch: Invalid value: \"{\\", "patch: Invalid value: {…}" },
		{ "patch: Invalid value: {\"data\":{}}: no", "patch: Invalid value: {…}" },
		{ "b: Invalid value: \"{}\": no; c: Invalid value: \"{}\"", "b: Invalid value: {…}: no; c: Invalid value: {…}" },
		{ "nothing of it", "nothing of it" },
	};

	(void)state;
	for (size_t i = 0; i < countof(cases); i++) {
		const struct pair pairs[] = { { "message", value_str(cases[i][0]) } };
		const struct value status = value_map(pairs, 1);

		assert_string_equal(kube_status_text(&arena, &status), cases[i][1]);
	}
}

static void
test_masked(void **state)
{
	struct secret password = { "params.password", 6, (char *)(uintptr_t)"abcdef" };
	const struct pair inside[] = { { "p", value_secret(&password) } };
	const struct value body = value_map(inside, 1), innocent = value_str("abcde");
	const struct value items[] = { value_str("x abcdef y"), innocent, value_int(3), value_str("") };
	const struct value told = value_list(items, 4), masked = mask_value(&arena, &told, &body);
	struct err err = ERR_INIT;

	(void)state;
	assert_int_equal(masked.items[0].kind, V_SECRET);
	assert_true(value_eq(&masked.items[1], &innocent));
	assert_int_equal(masked.items[2].i, 3);
	assert_int_equal(masked.items[3].len, 0);
	err_set(&err, ERR_FAILED, "label 'abcdef' is refused");
	mask_err(&err, &innocent);
	assert_string_equal(err.msg, "label 'abcdef' is refused");
	mask_err(&err, &body);
	assert_string_equal(err.msg, "label '(secret)' is refused");
	assert_int_equal(err.kind, ERR_FAILED);
}

/* Only what was refused before anything was stored may be called a failure. */
static void
test_proves(void **state)
{
	static const struct {
		const char *message;
		bool proves, may_pass;
	} cases[] = {
		{ "Internal error occurred: failed calling webhook \"a.b\": failed to call webhook: EOF", true, true },
		{ "etcdserver: request is too large", true, false },
		{ "rpc error: code = ResourceExhausted desc = trying to send message larger than max (2500604 vs. 2097152)", true, false },
		{ "etcdserver: mvcc: database space exceeded", true, false },
		{ "failed to create typed patch object (a; v1, Kind=B): .c: field not declared in schema", true, false },
		{ "etcdserver: request timed out", false, true },
		{ "etcdserver: leader changed", false, true },
	};

	(void)state;
	for (size_t i = 0; i < countof(cases); i++) {
		const struct pair pairs[] = { { "message", value_str(cases[i].message) } };
		const struct value status = value_map(pairs, 1);
		bool may_pass = true;

		assert_int_equal(kube_status_proves_nothing_done(&status, &may_pass), cases[i].proves);
		assert_int_equal(may_pass, cases[i].may_pass);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_quoted), cmocka_unit_test(test_masked), cmocka_unit_test(test_proves) };
	const int rc = cmocka_run_group_tests(tests, NULL, NULL);

	arena_done(&arena);
	return rc;
}

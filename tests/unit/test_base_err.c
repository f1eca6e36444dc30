/* SPDX-License-Identifier: Apache-2.0 */
/* Errors: what is kept, what a wrap adds, and that cut messages stay valid UTF-8. */
#include "base/err.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/text.h"

#include <errno.h>
#include <string.h>

static void
set_fills_afresh(void **state)
{
	struct err err = ERR_INIT;

	(void)state;
	assert_int_equal(err_at(&err, (struct pos){ "p.yaml", 3, 7 }, "bad '%s'", "x"), -1);
	assert_int_equal(err.kind, ERR_PLAN);
	assert_int_equal(err.where.line, 3);
	err_next(&err, "wherry validate %s", "p.yaml");
	assert_string_equal(err.next, "wherry validate p.yaml");
	err_set(&err, ERR_UNREACHABLE, "away");
	assert_true(err.retryable);
	assert_int_equal(err.where.line, 0);
	assert_string_equal(err.next, "");
	err_set(&err, ERR_FAILED, "again: %s", err.msg);
	assert_false(err.retryable);
	assert_string_equal(err.msg, "again: away");
}

static void
errno_is_named_and_kept(void **state)
{
	struct err err = ERR_INIT;

	(void)state;
	errno = ENOENT;
	assert_int_equal(err_errno(&err, "open '%s'", "f"), -1);
	assert_int_equal(err.kind, ERR_LOCAL);
	assert_int_equal(err.sys, ENOENT);
	assert_string_equal(err.msg, "open 'f': No such file or directory");
}

static void
wrap_adds_a_fact(void **state)
{
	struct err err = ERR_INIT;

	(void)state;
	err_set(&err, ERR_UNKNOWN, "no reply");
	assert_int_equal(err_wrap(&err, "step '%s'", "a"), -1);
	assert_string_equal(err.msg, "step 'a': no reply");
	assert_int_equal(err.kind, ERR_UNKNOWN);
}

static void
cut_messages_stay_utf8(void **state)
{
	struct err err = ERR_INIT;
	char word[2000];
	size_t len;

	(void)state;
	/* Every alignment of a two-byte and a three-byte character at the cut. */
	for (size_t shift = 0; shift < 6; shift++) {
		memset(word, 'x', shift);
		word[shift] = '\0';
		for (len = shift; len < 1500; len += 5)
			memcpy(word + len, "é€", sizeof("é€"));
		err_set(&err, ERR_FAILED, "%s", word);
		len = strlen(err.msg);
		assert_in_range(len, sizeof(err.msg) - 4, sizeof(err.msg) - 1);
		assert_int_equal(utf8_check(err.msg, len), len);
		assert_string_equal(err.msg + len - 3, "…");
		err_wrap(&err, "%s", "fact");
		len = strlen(err.msg);
		assert_int_equal(utf8_check(err.msg, len), len);
		assert_memory_equal(err.msg, "fact: ", 6);
		err_next(&err, "%s", word);
		assert_int_equal(utf8_check(err.next, strlen(err.next)), strlen(err.next));
	}
}

static void
kinds_have_names_and_exit_codes(void **state)
{
	static const struct {
		enum err_kind kind;
		int code;
	} rows[] = {
		{ ERR_NONE, 0 },     { ERR_USAGE, 2 },  { ERR_PLAN, 2 },    { ERR_FAILED, 1 }, { ERR_TIMEOUT, 1 },
		{ ERR_UNKNOWN, 1 },  { ERR_IN_DOUBT, 3 }, { ERR_LOCKED, 4 }, { ERR_REFUSED, 5 }, { ERR_LOCAL, 6 },
		{ ERR_UNREACHABLE, 7 }, { ERR_CANCELLED, 130 }, { ERR_HELD, 3 }, { ERR_PREDICTED, 1 },
	};

	(void)state;
	for (size_t i = 0; i < countof(rows); i++) {
		assert_int_equal(err_exit_code(rows[i].kind), rows[i].code);
		assert_int_equal(err_kind_parse(err_kind_name(rows[i].kind)), rows[i].kind);
	}
	assert_int_equal(err_kind_parse("no such kind"), ERR_FAILED);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(set_fills_afresh),       cmocka_unit_test(errno_is_named_and_kept),
		cmocka_unit_test(wrap_adds_a_fact),       cmocka_unit_test(cut_messages_stay_utf8),
		cmocka_unit_test(kinds_have_names_and_exit_codes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

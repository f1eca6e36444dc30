/* SPDX-License-Identifier: Apache-2.0 */
/* UTF-8, escaping, sizes, durations, names and suggestions; and the wall clock as text. */
#include "base/text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/clock.h"

#include <string.h>

static void
utf8_finds_the_first_bad_byte(void **state)
{
	static const struct {
		const char *text;
		size_t at;
	} rows[] = {
		{ "", 0 },
		{ "plain text", 10 },
		{ "é€😀 and more", 19 - 1 },
		{ "12345678\xff", 8 },
		{ "ab\xc0\x80", 2 },          /* overlong */
		{ "\xe0\x9f\xbf", 0 },        /* overlong */
		{ "\xf0\x8f\xbf\xbf", 0 },    /* overlong */
		{ "\xed\xa0\x80", 0 },        /* surrogate */
		{ "\xf4\x90\x80\x80", 0 },    /* over U+10FFFF */
		{ "\xf4\x8f\xbf\xbf", 4 },
		{ "a\xe2\x82", 1 },           /* cut */
		{ "\x80", 0 },
	};

	(void)state;
	for (size_t i = 0; i < countof(rows); i++)
		assert_int_equal(utf8_check(rows[i].text, strlen(rows[i].text)), rows[i].at);
}

static void
escape_lets_nothing_dangerous_through(void **state)
{
	static const struct {
		const char *raw, *line, *lines;
	} rows[] = {
		{ "plain é€😀 \\", "plain é€😀 \\", "plain é€😀 \\" },
		{ "a\nb\tc\r", "a\\nb\\tc\\r", "a\nb\tc\\r" },
		{ "\x1b[31m\x7f\x01", "\\x1b[31m\\x7f\\x01", "\\x1b[31m\\x7f\\x01" },
		{ "\xc2\x9b", "\\u{009b}", "\\u{009b}" },
		{ "\xe2\x80\xae", "\\u{202e}", "\\u{202e}" },
		{ "\xe2\x81\xa6", "\\u{2066}", "\\u{2066}" },
		{ "\xe2\x80\x8b\xe2\x80\x8f", "\\u{200b}\\u{200f}", "\\u{200b}\\u{200f}" },
		{ "\xef\xbb\xbf", "\\u{feff}", "\\u{feff}" },
		{ "\xe2\x80\xa8\xe2\x80\xa9", "\\u{2028}\\u{2029}", "\\u{2028}\\u{2029}" },
		{ "ok\xff\xe2\x82", "ok\\xff\\xe2\\x82", "ok\\xff\\xe2\\x82" },
	};
	struct buf b = BUF_INIT(0);

	(void)state;
	for (size_t i = 0; i < countof(rows); i++) {
		buf_clear(&b);
		text_escape(&b, rows[i].raw, strlen(rows[i].raw));
		assert_string_equal(b.p, rows[i].line);
		buf_clear(&b);
		text_escape_lines(&b, rows[i].raw, strlen(rows[i].raw));
		assert_string_equal(b.p, rows[i].lines);
	}
	buf_clear(&b);
	text_escape_lines(&b, "a\0b", 3);
	assert_string_equal(b.p, "a\\x00b");
	buf_done(&b);
}

static void
safe_cuts_between_characters(void **state)
{
	struct arena a = ARENA_INIT;

	(void)state;
	assert_string_equal(text_safe(&a, NULL, 0, 5), "");
	assert_string_equal(text_safe(&a, "abcde", 5, 5), "abcde");
	assert_string_equal(text_safe(&a, "abcdef", 6, 5), "abcde…");
	assert_string_equal(text_safe(&a, "abc€", 6, 5), "abc…");
	assert_string_equal(text_safe(&a, "abc\n\n", 5, 6), "abc\\n…");
	assert_string_equal(text_safe(&a, "a\x1b", 2, 4), "a…");
	assert_string_equal(text_safe(&a, "abcdef", 6, 0), "abcdef");
	arena_done(&a);
}

static void
durations(void **state)
{
	static const struct {
		const char *text;
		int64_t ns; /* -1: refused */
	} rows[] = {
		{ "90s", 90 * NS_PER_S },     { "1m30s", 90 * NS_PER_S },  { "2h", 7200 * NS_PER_S },
		{ "500ms", 500 * NS_PER_MS }, { "1d", 86400 * NS_PER_S },  { "0s", 0 },
		{ "1s500ms", 1500 * NS_PER_MS }, { "3650d", 3650 * 86400 * NS_PER_S },
		{ "", -1 },  { "5", -1 },  { "s", -1 }, { "1s1m", -1 }, { "1m1m", -1 }, { "-1s", -1 }, { "1 s", -1 },
		{ "1.5s", -1 }, { "1s ", -1 }, { "3654d", -1 }, { "99999999999999999999s", -1 }, { "1x", -1 }, { "1sm", -1 },
	};
	int64_t ns;
	char text[32];

	(void)state;
	for (size_t i = 0; i < countof(rows); i++) {
		ns = -1;
		if (duration_parse(rows[i].text, &ns) != (rows[i].ns < 0 ? -1 : 0) || ns != rows[i].ns)
			fail_msg("'%s' gave %lld", rows[i].text, (long long)ns);
	}
	assert_string_equal(duration_text(90 * NS_PER_S, text), "1m30s");
	assert_string_equal(duration_text(120 * NS_PER_S, text), "2m");
	assert_string_equal(duration_text(12 * NS_PER_MS, text), "12ms");
	assert_string_equal(duration_text(1250 * NS_PER_MS, text), "1.2s");
	assert_string_equal(duration_text(59 * NS_PER_S, text), "59s");
	assert_string_equal(duration_text(90061 * NS_PER_S, text), "1d1h");
	assert_string_equal(duration_text(-5, text), "0ms");
	assert_string_equal(duration_text(INT64_MAX, text), "106751d23h");
}

static void
sizes(void **state)
{
	static const struct {
		const char *text;
		int64_t bytes; /* -1: refused */
	} rows[] = {
		{ "64", 64 }, { "64B", 64 }, { "64KiB", 65536 }, { "1MiB", 1048576 }, { "1.5GiB", 1610612736 },
		{ "10MB", 10000000 }, { "0", 0 }, { "2TiB", INT64_C(2199023255552) }, { "1.5", -1 }, { "", -1 }, { "KiB", -1 },
		{ "1.KiB", -1 }, { ".5KiB", -1 }, { "-1", -1 }, { "1 KiB", -1 }, { "1kib", -1 }, { "999999999999999TiB", -1 },
		{ "99999999999999999999", -1 }, { "1.5KiBx", -1 },
	};
	int64_t bytes;
	char text[32];

	(void)state;
	for (size_t i = 0; i < countof(rows); i++) {
		bytes = -1;
		if (size_parse(rows[i].text, &bytes) != (rows[i].bytes < 0 ? -1 : 0) || bytes != rows[i].bytes)
			fail_msg("'%s' gave %lld", rows[i].text, (long long)bytes);
	}
	assert_string_equal(size_text(1023, text), "1023 B");
	assert_string_equal(size_text(12897485, text), "12.3 MiB");
	assert_string_equal(size_text(1048575, text), "1.0 MiB");
	assert_string_equal(size_text(UINT64_MAX, text), "16.0 EiB");
}

static void
nearest_explains_a_typo(void **state)
{
	static const char *const names[] = { "etcd.copy", "etcd.verify", "kube.scale", "wait", "check", "sh" };
	static const struct {
		const char *word, *want;
	} rows[] = {
		{ "etcd.cpoy", "etcd.copy" }, { "etcd.veryfi", "etcd.verify" }, { "kube.scal", "kube.scale" },
		{ "wiat", "wait" }, { "kube", "kube.scale" }, { "chekc", "check" }, { "zebra", NULL }, { "x", NULL }, { "", NULL },
	};
	char many[200];

	(void)state;
	for (size_t i = 0; i < countof(rows); i++) {
		const char *got = text_nearest(rows[i].word, names, countof(names));

		assert_string_equal(got ? got : "(none)", rows[i].want ? rows[i].want : "(none)");
	}
	memset(many, 'a', sizeof(many) - 1);
	many[sizeof(many) - 1] = '\0';
	assert_null(text_nearest(many, names, countof(names)));
}

static void
names(void **state)
{
	char longest[64];

	(void)state;
	memset(longest, 'a', sizeof(longest));
	assert_true(text_is_name(longest, 63));
	assert_false(text_is_name(longest, 64));
	assert_true(text_is_name("a-B_9", 5));
	assert_false(text_is_name("9a", 2));
	assert_false(text_is_name("", 0));
	assert_false(text_is_name("a.b", 3));
	assert_false(text_is_name("é", 2));
}

static void
wall_clock_as_text(void **state)
{
	char text[32];

	(void)state;
	assert_string_equal(clock_text(INT64_C(1795221062123), text), "2026-11-21T00:31:02.123Z");
	assert_string_equal(clock_text(-1, text), "1969-12-31T23:59:59.999Z");
	assert_true(clock_now() > 0);
	assert_true(clock_wall_ms() > INT64_C(1600000000000));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(utf8_finds_the_first_bad_byte), cmocka_unit_test(escape_lets_nothing_dangerous_through),
		cmocka_unit_test(safe_cuts_between_characters),  cmocka_unit_test(durations),
		cmocka_unit_test(sizes),                         cmocka_unit_test(nearest_explains_a_typo),
		cmocka_unit_test(names),                         cmocka_unit_test(wall_clock_as_text),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

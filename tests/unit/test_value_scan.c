/* SPDX-License-Identifier: Apache-2.0 */
/* The quick look at canonical bytes takes eight of them at a time: whatever stands wherever, it sees what a look at each would. */
#include "value.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/bytes8.h"

#define LONGEST 20

static bool
is_plain(int byte)
{
	return byte >= 0x20 && byte < 0x7f && byte != '"' && byte != '\\';
}

/* A string of each length with each byte in each place, in memory that ends where the text does. */
static void
every_byte_of_a_string(void **state)
{
	(void)state;
	for (size_t len = 1; len <= LONGEST; len++)
		for (size_t at = 0; at < len; at++)
			for (int byte = 0; byte <= 0xff; byte++) {
				const size_t all = len + 3;
				char *text = malloc(all);
				const char *wanted = is_plain(byte) ? text + len + 2 : byte == '"' ? text + at + 2 : NULL;

				assert_non_null(text);
				memset(text, 'x', all);
				text[0] = text[len + 1] = '"';
				text[at + 1] = (char)byte;
				assert_ptr_equal(value_scan_string(text, text + all), wanted);
				free(text);
			}
}

static void
a_string_that_does_not_end(void **state)
{
	char text[LONGEST + 1] = "\"";

	(void)state;
	memset(text + 1, 'x', LONGEST);
	for (size_t len = 0; len <= LONGEST; len++)
		assert_null(value_scan_string(text, text + len));
}

/* Numbers of each length with each byte in each place. */
static void
every_byte_of_a_number(void **state)
{
	(void)state;
	for (size_t len = 1; len <= LONGEST; len++)
		for (size_t at = 0; at < len; at++)
			for (int byte = 0; byte <= 0xff; byte++) {
				char *text = malloc(len + 1);
				const bool digit = byte >= '0' && byte <= '9', minus = byte == '-' && at == 0;
				const size_t digits = digit ? len : minus ? len - 1 : at;
				const char *after = text + digits + minus;
				int64_t n = 0;

				assert_non_null(text);
				memset(text, '7', len);
				text[at] = (char)byte;
				text[len] = '\0';
				if (digits == 0 || digits > 18 || (byte == '0' && at == 0 && len > 1) || *after == '.' || *after == 'e' || *after == 'E')
					after = NULL;
				assert_ptr_equal(value_scan_int(text, text + len, &n), after);
				assert_int_equal(n, after != NULL ? strtoll(text, NULL, 10) : 0);
				free(text);
			}
}

static void
digits_by_eight(void **state)
{
	uint64_t n = 0;

	(void)state;
	for (unsigned len = 1; len <= 8; len++)
		for (unsigned at = 0; at < 8; at++)
			for (int byte = 0; byte <= 0xff; byte++) {
				char text[9] = "13579246";
				const bool good = at >= len || (byte >= '0' && byte <= '9');

				text[at] = (char)byte;
				assert_int_equal(bytes8_digits(bytes8(text), len, &n), good);
				text[len] = '\0';
				assert_true(!good || n == strtoull(text, NULL, 10));
			}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_byte_of_a_string), cmocka_unit_test(a_string_that_does_not_end),
		cmocka_unit_test(every_byte_of_a_number), cmocka_unit_test(digits_by_eight),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

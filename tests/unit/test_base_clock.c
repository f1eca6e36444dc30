/* SPDX-License-Identifier: Apache-2.0 */
/* Wall-clock times as people write them. */
#include "base/clock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "base/arena.h"

/* 2026-11-21T23:30:00Z; in central Europe it is the 22nd, half an hour after midnight. */
#define NOW INT64_C(1795303800000)

static const struct row {
	const char *zone, *text, *want; /* NULL: refused */
} rows[] = {
	{ "UTC", "23:31", "2026-11-21T23:31:00.000Z" },
	{ "UTC", "23:30", "2026-11-22T23:30:00.000Z" },
	{ "UTC", "05:00", "2026-11-22T05:00:00.000Z" },
	{ "CET-1CEST,M3.5.0,M10.5.0/3", "05:00", "2026-11-22T04:00:00.000Z" },
	{ "CET-1CEST,M3.5.0,M10.5.0/3", "00:15", "2026-11-22T23:15:00.000Z" },
	{ "UTC", "2026-11-22T01:02:03Z", "2026-11-22T01:02:03.000Z" },
	{ "UTC", "2026-11-22 01:02:03.250z", "2026-11-22T01:02:03.000Z" },
	{ "UTC", "2026-11-22T01:02:03+01:30", "2026-11-21T23:32:03.000Z" },
	{ "UTC", "2026-11-22T01:02:03-01:30", "2026-11-22T02:32:03.000Z" },
	{ "UTC", "2028-02-29T00:00:00Z", "2028-02-29T00:00:00.000Z" },
	{ "UTC", "2026-02-29T00:00:00Z", NULL },
	{ "UTC", "2026-13-01T00:00:00Z", NULL },
	{ "UTC", "2026-11-22T24:00:01Z", NULL },
	{ "UTC", "2026-11-22T01:02:03", NULL },
	{ "UTC", "2026-11-22T01:02:03.Z", NULL },
	{ "UTC", "2026-11-22T01:02:03+25:00", NULL },
	{ "UTC", "2026-11-22T01:02:03+0100", NULL },
	{ "UTC", "2x26-11-22T01:02:03Z", NULL },
	{ "UTC", "24:00", NULL },
	{ "UTC", "05:60", NULL },
	{ "UTC", "5:00", NULL },
	{ "UTC", "05.00", NULL },
	{ "UTC", "", NULL },
	{ "UTC", "tomorrow", NULL },
};

static void
check_row(void **state)
{
	const struct row *row = *state;
	int64_t got = 0;
	char text[32];

	setenv("TZ", row->zone, 1);
	tzset();
	if (row->want == NULL) {
		assert_int_equal(clock_parse(row->text, NOW, &got), -1);
		return;
	}
	assert_int_equal(clock_parse(row->text, NOW, &got), 0);
	assert_string_equal(clock_text(got, text), row->want);
}

int
main(void)
{
	struct CMUnitTest tests[countof(rows)] = { 0 };

	for (size_t i = 0; i < countof(rows); i++)
		tests[i] = (struct CMUnitTest){ rows[i].text, check_row, .initial_state = (void *)&rows[i] };
	return cmocka_run_group_tests(tests, NULL, NULL);
}

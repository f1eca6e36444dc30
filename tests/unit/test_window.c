/* SPDX-License-Identifier: Apache-2.0 */
/* How many transactions of a stream are in flight: as many as help, and no more bytes than memory is meant to hold. */
#include "window.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"

#define MIB (UINT64_C(1) << 20)

/* Enter until there is no place; how many there were. */
static unsigned
fill(struct window *w, uint64_t bytes)
{
	unsigned n = 0;

	while (window_enter(w, bytes))
		n++;
	return n;
}

/* As if all of them took a second, and moved so many bytes. */
static void
leave(struct window *w, unsigned n, uint64_t bytes, bool done)
{
	while (n-- > 0) {
		w->since = clock_now() - (n == 0 ? NS_PER_S : 0);
		window_leave(w, bytes, done);
	}
}

static void
grows_while_it_helps(void **state)
{
	struct window w;
	unsigned n;

	(void)state;
	window_init(&w, 64, 0, 0);
	n = fill(&w, 1000);
	assert_int_equal(n, 4);
	leave(&w, n, 1000, true);
	n = fill(&w, 1000);
	assert_int_equal(n, 8); /* the first measurement beats none */
	leave(&w, n, 1000, true);
	n = fill(&w, 1000);
	assert_int_equal(n, 16); /* twice as fast */
	w.weight = n * 510;
	leave(&w, n, 510, true);
	assert_int_equal(fill(&w, 1000), 16); /* 2 % faster: what is more in flight only queues */
	window_done(&w);
}

static void
counts_what_went_through(void **state)
{
	struct window w;

	(void)state;
	window_init(&w, 64, 0, 0);
	assert_int_equal(fill(&w, 1000), 4);
	leave(&w, 4, 1000, false);
	assert_int_equal(fill(&w, 1000), 4); /* what failed is no speed */
	window_done(&w);
}

static void
stays_below_its_limit(void **state)
{
	struct window w;

	(void)state;
	window_init(&w, 6, 0, 0);
	for (unsigned n, i = 0; i < 4; i++) {
		n = fill(&w, 1000 << i);
		assert_int_equal(n, i == 0 ? 4 : 6);
		leave(&w, n, 1000 << i, true);
	}
	window_done(&w);
}

static void
weighs_large_ones(void **state)
{
	struct window w;

	(void)state;
	window_init(&w, 64, 0, 0);
	assert_int_equal(fill(&w, 3 * MIB), 2);
	assert_int_equal(fill(&w, 1), 0);
	window_leave(&w, 3 * MIB, true);
	assert_int_equal(fill(&w, 4 * MIB), 0);
	window_leave(&w, 3 * MIB, true);
	assert_int_equal(fill(&w, 100 * MIB), 1); /* alone, whatever it weighs */
	window_leave(&w, 100 * MIB, true);
	assert_int_equal(w.active, 0);
	assert_int_equal(w.weight, 0);
	window_done(&w);
}

static void
keeps_to_the_rates(void **state)
{
	struct window w;

	(void)state;
	window_init(&w, 64, 100, 1000);
	assert_int_equal(window_charge(&w, 100, 10), 0); /* a second of operations */
	assert_in_range(window_charge(&w, 1, 5000), NS_PER_S / 2, NS_PER_S);          /* five seconds of bytes */
	assert_in_range(window_charge(&w, 1, 1), 5 * NS_PER_S + NS_PER_S / 2, 6 * NS_PER_S);
	window_done(&w);
	window_init(&w, 64, 0, 0);
	assert_int_equal(window_charge(&w, 1000000, 1000000), 0);
	assert_int_equal(window_charge(&w, 1000000, 1000000), 0);
	window_done(&w);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(grows_while_it_helps),
		cmocka_unit_test(counts_what_went_through),
		cmocka_unit_test(stays_below_its_limit),
		cmocka_unit_test(weighs_large_ones),
		cmocka_unit_test(keeps_to_the_rates),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Buffers under their maximum, and arenas and maps, the other two holders of memory. */
#include "base/buf.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/map.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void
appends_and_terminates(void **state)
{
	struct buf b = BUF_INIT(0);
	char *s;

	(void)state;
	buf_puts(&b, "ab");
	buf_putc(&b, 'c');
	buf_printf(&b, "%d%300s", 7, "x");
	assert_int_equal(b.len, 304);
	assert_int_equal(strlen(b.p), 304);
	assert_memory_equal(b.p, "abc7   ", 7);
	memcpy(buf_grow(&b, 10), "yz", 2);
	b.len += 2;
	assert_int_equal(strlen(b.p), 306);
	buf_consume(&b, 303);
	assert_string_equal(b.p, "xyz");
	s = buf_take(&b);
	assert_string_equal(s, "xyz");
	free(s);
	s = buf_take(&b);
	assert_string_equal(s, "");
	free(s);
}

static void
stops_at_its_maximum(void **state)
{
	struct buf b = BUF_INIT(4);

	(void)state;
	buf_puts(&b, "abcd");
	assert_false(b.failed);
	assert_null(buf_grow(&b, 1));
	assert_true(b.failed);
	buf_clear(&b);
	assert_false(b.failed);
	buf_puts(&b, "abcdef");
	assert_true(b.failed);
	assert_string_equal(b.p, "abcd");
	buf_consume(&b, 2);
	buf_puts(&b, "x"); /* no hole after what was cut */
	assert_string_equal(b.p, "cd");
	buf_done(&b);
	assert_int_equal(b.max, 4);
	assert_null(b.p);
}

static void
bytes_have_memcmp_order(void **state)
{
	(void)state;
	assert_true(bytes_cmp((struct bytes){ "a", 1 }, (struct bytes){ "ab", 2 }) < 0);
	assert_true(bytes_cmp((struct bytes){ "b", 1 }, (struct bytes){ "ab", 2 }) > 0);
	assert_true(bytes_cmp((struct bytes){ "\xff", 1 }, (struct bytes){ "a", 1 }) > 0);
	assert_true(bytes_eq((struct bytes){ NULL, 0 }, (struct bytes){ "", 0 }));
	assert_false(bytes_eq((struct bytes){ "a\0b", 3 }, (struct bytes){ "a\0c", 3 }));
}

static void
arena_gives_zeroed_aligned_memory(void **state)
{
	struct arena a = ARENA_INIT;
	char *p;

	(void)state;
	for (size_t size = 1; size < 20000; size = size * 3 + 1) {
		p = arena_alloc(&a, size);
		assert_int_equal((uintptr_t)p % 16, 0);
		for (size_t i = 0; i < size; i++)
			assert_int_equal(p[i], 0);
		memset(p, 0xff, size);
	}
	arena_reset(&a);
	p = arena_array(&a, 4, 8);
	assert_int_equal(p[31], 0);
	assert_string_equal(arena_printf(&a, "%s-%d", "a", 5), "a-5");
	assert_string_equal(arena_strndup(&a, "abc", 2), "ab");
	arena_done(&a);
	assert_null(a.head);
}

static void
arena_keeps_its_largest_block(void **state)
{
	struct arena a = ARENA_INIT;
	char *large;

	(void)state;
	large = arena_bytes(&a, 4000000);
	(void)arena_alloc(&a, 5000);
	arena_reset(&a);
	assert_int_equal(a.total, 4000000);
	assert_ptr_equal(arena_alloc(&a, 5000), large);
	assert_int_equal(large[4999], 0);
	arena_reset(&a);
	(void)arena_alloc(&a, 4000001);
	assert_int_equal(a.total, 4000001); /* not both */
	arena_done(&a);
	arena_reserve(&a, 100);
	large = arena_strdup(&a, "abc");
	arena_reserve(&a, 100);
	(void)arena_alloc(&a, 200); /* too small, but not alone */
	assert_string_equal(large, "abc");
	assert_int_equal(a.total, 400);
	arena_done(&a);
}

static void
map_finds_what_was_added(void **state)
{
	struct map m = MAP_INIT;
	static char keys[5000][8];
	size_t n = countof(keys);

	(void)state;
	assert_int_equal(map_get(&m, "a", 1), MAP_NONE);
	for (size_t i = 0; i < n; i++) {
		(void)snprintf(keys[i], sizeof(keys[i]), "%zu", i);
		assert_int_equal(map_add(&m, keys[i], strlen(keys[i]), (uint32_t)i), MAP_NONE);
	}
	for (size_t i = 0; i < n; i++) {
		assert_int_equal(map_add(&m, keys[i], strlen(keys[i]), 0), i);
		assert_int_equal(map_get(&m, keys[i], strlen(keys[i])), i);
	}
	assert_int_equal(m.used, n);
	assert_int_equal(map_get(&m, "x", 1), MAP_NONE);
	assert_int_equal(map_add(&m, NULL, 0, 7), MAP_NONE);
	assert_int_equal(map_get(&m, "", 0), 7);
	assert_int_equal(map_add(&m, "12345678", 8, 8), MAP_NONE);
	assert_int_equal(map_get(&m, "12345678x", 9), MAP_NONE);
	map_done(&m);
	assert_int_equal(map_get(&m, "1", 1), MAP_NONE);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(appends_and_terminates),  cmocka_unit_test(stops_at_its_maximum),
		cmocka_unit_test(bytes_have_memcmp_order), cmocka_unit_test(arena_gives_zeroed_aligned_memory),
		cmocka_unit_test(arena_keeps_its_largest_block),
		cmocka_unit_test(map_finds_what_was_added),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

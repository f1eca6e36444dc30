/* SPDX-License-Identifier: Apache-2.0 */
/* The pure half of the etcd steps: which keys move and where, cursors, gaps between segments, and batches. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "steps/etcd_batch.h"
#include "steps/etcd_ref.h"

#define STR(s) ((struct bytes){ s, sizeof(s) - 1 })

static void
assert_bytes(struct bytes got, struct bytes want)
{
	assert_int_equal(got.len, want.len);
	assert_memory_equal(got.p, want.p, want.len);
}

static struct etcd_span
span(struct arena *a, const char *prefix, const char *to, const char *exclude)
{
	struct value *item = arena_alloc(a, sizeof(*item)), *list = arena_alloc(a, sizeof(*list));
	struct err err = ERR_INIT;
	struct etcd_span s;

	*item = value_str(exclude != NULL ? exclude : "");
	*list = value_list(item, exclude != NULL);
	assert_int_equal(etcd_span_init(a, &s, prefix, to, list, "/wherry/", &err), 0);
	return s;
}

static const struct move {
	const char *name, *prefix, *to, *exclude;
	struct bytes key;
	bool moves;
	struct bytes there;
} moves[] = {
	{ "same prefix", "/a/", NULL, NULL, STR("/a/x"), true, STR("/a/x") },
	{ "another prefix", "/a/", "/longer/b/", NULL, STR("/a/x"), true, STR("/longer/b/x") },
	{ "an empty destination prefix", "/a/", "", NULL, STR("/a/x"), true, STR("x") },
	{ "an empty source prefix", "", "/b/", NULL, STR("x"), true, STR("/b/x") },
	{ "the prefix itself is a key", "/a/", "/b/", NULL, STR("/a/"), true, STR("/b/") },
	{ "any bytes", "/a/", "/b/", NULL, STR("/a/\0\xff\n"), true, STR("/b/\0\xff\n") },
	{ "outside", "/a/", "/b/", NULL, STR("/b/x"), false, { 0 } },
	{ "excluded", "/a/", "/b/", "/a/x", STR("/a/xy"), false, { 0 } },
	{ "excluded by its whole key", "/a/", "/b/", "/a/x", STR("/a/x"), false, { 0 } },
	{ "beside what is excluded", "/a/", "/b/", "/a/x", STR("/a/w"), true, STR("/b/w") },
	{ "shorter than what is excluded", "/a/", "/b/", "/a/xyz", STR("/a/x"), true, STR("/b/x") },
	{ "exclude is shorter than the prefix", "/a/b/", "/b/", "/a/", STR("/a/b/x"), false, { 0 } },
	{ "exclude is of the source, not of the destination", "/a/", "/b/", "/b/", STR("/a/x"), true, STR("/b/x") },
	{ "would land among the markers", "", "", NULL, STR("/wherry/claim/x"), false, { 0 } },
	{ "would be rewritten to land there", "/old", "/wh", NULL, STR("/olderry/x"), false, { 0 } },
	{ "beside the markers", "/", "/", NULL, STR("/wherry"), true, STR("/wherry") },
};

static void
move(void **state)
{
	const struct move *m = *state;
	struct arena a = ARENA_INIT;
	const struct etcd_span s = span(&a, m->prefix, m->to, m->exclude);
	struct bytes there;

	assert_int_equal(etcd_span_moves(&s, m->key), m->moves);
	if (m->moves) {
		there = etcd_span_to(&a, &s, m->key);
		assert_bytes(there, m->there);
		assert_true(etcd_span_holds(&s, there));
		assert_bytes(etcd_span_back(&a, &s, there), m->key);
		assert_int_equal(etcd_span_cmp(&s, m->key, there), 0);
	}
	arena_done(&a);
}

static void
span_ends(void **state)
{
	struct arena a = ARENA_INIT;
	struct etcd_span s = span(&a, "/a/", "/b\xff", NULL);

	(void)state;
	assert_bytes(s.end, STR("/a0"));
	assert_bytes(s.to_end, STR("/c"));
	assert_bytes(etcd_span_to_end(&a, &s, s.end), STR("/c"));
	assert_bytes(etcd_span_to_end(&a, &s, STR("/a/m")), STR("/b\xffm"));
	s = span(&a, "", "", NULL);
	assert_bytes(s.end, STR("\0"));
	arena_done(&a);
}

static void
markers_over_the_destination(void **state)
{
	struct arena a = ARENA_INIT;
	struct err err = ERR_INIT;
	struct etcd_span s;

	(void)state;
	assert_int_equal(etcd_span_init(&a, &s, "/a/", "/wherry/b/", NULL, "/wherry/", &err), -1);
	assert_int_equal(err.kind, ERR_PLAN);
	assert_int_equal(etcd_span_init(&a, &s, "/a/", "/b/", NULL, "", &err), -1);
	arena_done(&a);
}

static void
overlaps(void **state)
{
	struct arena a = ARENA_INIT;
	struct etcd_span s = span(&a, "/a/", "/a/b/", NULL);

	(void)state;
	assert_true(etcd_span_overlaps(&s));
	s = span(&a, "/a/b/", "/a/", NULL);
	assert_true(etcd_span_overlaps(&s));
	s = span(&a, "/a/", "/b/", NULL);
	assert_false(etcd_span_overlaps(&s));
	arena_done(&a);
}

static void
segment_round_trip(void **state)
{
	const struct etcd_segment s = { .lane = 7, .start = STR("/a/"), .next = STR("/a/\xff\0k"), .end = STR("\0"),
					.tally = { 1, 2, 3, 4, 5, 6, 77 } };
	struct buf text = BUF_INIT(0);
	struct arena a = ARENA_INIT;
	struct err err = ERR_INIT;
	struct etcd_segment got;

	(void)state;
	etcd_segment_write(&text, &s);
	assert_int_equal(etcd_segment_parse(&a, (struct bytes){ text.p, text.len }, 7, &got, &err), 0);
	assert_bytes(got.start, s.start);
	assert_bytes(got.next, s.next);
	assert_bytes(got.end, s.end);
	assert_memory_equal(&got.tally, &s.tally, sizeof(s.tally));
	assert_int_equal(got.lane, 7);
	assert_false(etcd_segment_done(&got));
	arena_done(&a);
	buf_done(&text);
}

static void
foreign_cursors(void **state)
{
	static const char *const texts[] = {
		"", "x", "[]", "{}", "{\"lanes\":3}",
		/* next before start; next after the end; start after the end; a negative count */
		"{\"adopted\":0,\"bytes\":0,\"end\":\"c\",\"equal\":0,\"keys\":0,\"leased\":0,\"next\":\"a\",\"removed\":0,"
		"\"revision\":1,\"start\":\"b\"}",
		"{\"adopted\":0,\"bytes\":0,\"end\":\"c\",\"equal\":0,\"keys\":0,\"leased\":0,\"next\":\"d\",\"removed\":0,"
		"\"revision\":1,\"start\":\"b\"}",
		"{\"adopted\":0,\"bytes\":0,\"end\":\"a\",\"equal\":0,\"keys\":0,\"leased\":0,\"next\":\"b\",\"removed\":0,"
		"\"revision\":1,\"start\":\"b\"}",
		"{\"adopted\":0,\"bytes\":0,\"end\":\"c\",\"equal\":0,\"keys\":-1,\"leased\":0,\"next\":\"b\",\"removed\":0,"
		"\"revision\":1,\"start\":\"b\"}",
	};
	struct arena a = ARENA_INIT;

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		struct err err = ERR_INIT;
		struct etcd_applied applied;
		struct etcd_segment s;

		assert_int_equal(etcd_segment_parse(&a, etcd_text(texts[i]), 1, &s, &err), -1);
		assert_int_equal(err.kind, ERR_REFUSED);
		assert_int_equal(etcd_applied_parse(&a, etcd_text(texts[i]), &applied, &err), -1);
		assert_int_equal(err.kind, ERR_REFUSED);
	}
	arena_done(&a);
}

static void
applied_round_trip(void **state)
{
	const struct etcd_applied s = { 10, INT64_C(1) << 60, 3, 4 };
	struct buf text = BUF_INIT(0);
	struct arena a = ARENA_INIT;
	struct err err = ERR_INIT;
	struct etcd_applied got;

	(void)state;
	etcd_applied_write(&text, &s);
	assert_int_equal(etcd_applied_parse(&a, (struct bytes){ text.p, text.len }, &got, &err), 0);
	assert_memory_equal(&got, &s, sizeof(s));
	arena_done(&a);
	buf_done(&text);
}

static struct etcd_segment
part(struct bytes start, struct bytes end)
{
	return (struct etcd_segment){ .start = start, .next = start, .end = end };
}

static void
gaps(void **state)
{
	struct etcd_segment list[] = { part(STR("m"), STR("p")), part(STR("a"), STR("c")), part(STR("c"), STR("d")) };
	struct etcd_gap gap[4];

	(void)state;
	assert_int_equal(etcd_gaps(NULL, 0, STR("a"), STR("z"), gap), 1);
	assert_bytes(gap[0].from, STR("a"));
	assert_bytes(gap[0].end, STR("z"));
	assert_int_equal(etcd_gaps(list, 3, STR("a"), STR("z"), gap), 2);
	assert_bytes(gap[0].from, STR("d"));
	assert_bytes(gap[0].end, STR("m"));
	assert_bytes(gap[1].from, STR("p"));
	assert_bytes(gap[1].end, STR("z"));
	assert_bytes(list[0].start, STR("a"));
	list[2] = part(STR("m"), STR("\0"));
	assert_int_equal(etcd_gaps(list, 3, STR(""), STR("\0"), gap), 2);
	assert_bytes(gap[0].from, STR(""));
	assert_bytes(gap[0].end, STR("a"));
	assert_bytes(gap[1].from, STR("d"));
	assert_bytes(gap[1].end, STR("m"));
}

static void
reaches(void **state)
{
	const struct bytes end = STR("/r0"), none = STR("\0");
	struct arena a = ARENA_INIT;

	(void)state;
	/* the difference of two keys, so often behind the second */
	assert_bytes(etcd_reach(&a, STR("/r/a1"), STR("/r/a3"), 1, 0, end), STR("/r/a5"));
	assert_bytes(etcd_reach(&a, STR("/r/a1"), STR("/r/a3"), 4, 0, end), STR("/r/a;"));
	assert_bytes(etcd_reach(&a, STR("/r/a"), STR("/r/a\0\2"), 2, 0, end), STR("/r/a\0\6"));
	/* coarser: the next one by the bytes before */
	assert_bytes(etcd_reach(&a, STR("/r/a1"), STR("/r/a3"), 4, 1, end), STR("/r/b3"));
	/* never beyond the end, and there where nothing can be told */
	assert_bytes(etcd_reach(&a, STR("/r/a1"), STR("/r/a3"), 4, 3, end), end);
	assert_bytes(etcd_reach(&a, STR("/r/a1"), STR("/r/a3"), 4, 100, end), end);
	assert_bytes(etcd_reach(&a, STR("/r/a"), STR("/r/a"), 4, 0, end), end);
	assert_bytes(etcd_reach(&a, STR("/r/b"), STR("/r/a"), 4, 0, end), end);
	assert_bytes(etcd_reach(&a, STR("\x01"), STR("\xf0"), 4, 0, none), none);
	assert_bytes(etcd_reach(&a, STR("\x01"), STR("\x02"), 4, 0, none), STR("\x06"));
	arena_done(&a);
}

static void
tallies(void **state)
{
	struct etcd_tally sum = { 0 };

	(void)state;
	etcd_tally_add(&sum, &(struct etcd_tally){ .keys = 1, .revision = 50 });
	etcd_tally_add(&sum, &(struct etcd_tally){ .keys = 2, .revision = 40 });
	etcd_tally_add(&sum, &(struct etcd_tally){ .keys = 4, .revision = 0 });
	etcd_tally_add(&sum, &(struct etcd_tally){ .keys = 8, .revision = 60 });
	assert_int_equal(sum.keys, 15);
	assert_int_equal(sum.revision, 40);
}

static void
guards(void **state)
{
	const struct bytes old = STR("old");
	struct arena a = ARENA_INIT;
	struct buf text = BUF_INIT(0);
	struct value v = etcd_put_body(&a, STR("v"), &(struct etcd_guard){ 0 });

	(void)state;
	value_write(&text, &v);
	v = etcd_put_body(&a, STR("v"), &(struct etcd_guard){ .absent = true });
	value_write(&text, &v);
	v = etcd_delete_body(&a, &(struct etcd_guard){ .value = &old });
	value_write(&text, &v);
	v = etcd_delete_body(&a, &(struct etcd_guard){ .revision = 9 });
	value_write(&text, &v);
	assert_string_equal(text.p, "{\"value\":\"v\"}{\"guard\":\"absent\",\"value\":\"v\"}"
				    "{\"guard\":{\"value\":\"old\"}}{\"guard\":{\"mod_revision\":9}}");
	arena_done(&a);
	buf_done(&text);
}

static void
batch_coalesces(void **state)
{
	struct etcd_batch *b = xcalloc(1, sizeof(*b));
	char key[] = "k1", value[] = "v1";

	(void)state;
	assert_int_equal(etcd_batch_add(b, &(struct op){ .key = STR("a"), .value = STR("1") }), 0);
	assert_int_equal(etcd_batch_add(b, &(struct op){ .key = { key, 2 }, .value = { value, 2 } }), 1);
	key[1] = value[1] = '9'; /* it holds copies */
	assert_bytes(b->ops[1].key, STR("k1"));
	assert_bytes(b->ops[1].value, STR("v1"));
	assert_int_equal(etcd_batch_add(b, &(struct op){ .key = STR("a"), .del = true }), 0);
	assert_int_equal(b->n, 2);
	assert_true(b->ops[0].del);
	etcd_batch_clear(b);
	assert_int_equal(b->n, 0);
	assert_int_equal(etcd_batch_add(b, &(struct op){ .key = STR("k1") }), 0);
	etcd_batch_done(b);
	free(b);
}

static void
batch_borrows(void **state)
{
	struct etcd_batch *b = xcalloc(1, sizeof(*b));
	char key[] = "k1", value[] = "v1", later[] = "v2";

	(void)state;
	assert_int_equal(etcd_batch_lend(b, &(struct op){ .key = { key, 2 }, .value = { value, 2 } }), 0);
	assert_ptr_equal(b->ops[0].value.p, value);
	etcd_batch_own(b);
	assert_int_equal(etcd_batch_lend(b, &(struct op){ .key = STR("k2"), .value = { later, 2 } }), 1);
	key[1] = value[1] = later[1] = '9';
	assert_bytes(b->ops[0].key, STR("k1"));
	assert_bytes(b->ops[0].value, STR("v1"));
	assert_bytes(b->ops[1].value, STR("v9"));
	etcd_batch_clear(b);
	assert_int_equal(etcd_batch_lend(b, &(struct op){ .key = STR("k1"), .value = { later, 2 } }), 0);
	etcd_batch_own(b);
	later[1] = '8';
	assert_bytes(b->ops[0].value, STR("v9"));
	etcd_batch_done(b);
	free(b);
}

static void
batch_is_full(void **state)
{
	static const char large[ETCD_BATCH_BYTES + 1];
	const struct op small = { .key = STR("z"), .value = STR("1") }, big = { .key = STR("big"), .value = { large, sizeof(large) } };
	struct etcd_batch *b = xcalloc(1, sizeof(*b));
	char key[16];

	(void)state;
	assert_false(etcd_batch_full(b, &big)); /* alone it is let through: the destination decides */
	for (int i = 0; i < ETCD_BATCH_OPS; i++) {
		assert_false(etcd_batch_full(b, &small));
		(void)snprintf(key, sizeof(key), "%d", i);
		(void)etcd_batch_add(b, &(struct op){ .key = etcd_text(key) });
		assert_int_equal(i == 0 || etcd_batch_full(b, &big), 1);
	}
	assert_true(etcd_batch_full(b, &small));
	b->max = ETCD_BATCH_OPS + 1;
	assert_false(etcd_batch_full(b, &small));
	etcd_batch_done(b);
	free(b);
}

int
main(void)
{
	static const struct CMUnitTest others[] = {
		cmocka_unit_test(span_ends),        cmocka_unit_test(markers_over_the_destination),
		cmocka_unit_test(overlaps),         cmocka_unit_test(segment_round_trip),
		cmocka_unit_test(foreign_cursors),  cmocka_unit_test(applied_round_trip),
		cmocka_unit_test(gaps),             cmocka_unit_test(tallies),
		cmocka_unit_test(guards),           cmocka_unit_test(batch_coalesces),
		cmocka_unit_test(batch_borrows), cmocka_unit_test(reaches), cmocka_unit_test(batch_is_full),
	};
	struct CMUnitTest tests[countof(moves) + countof(others)];

	for (size_t i = 0; i < countof(moves); i++)
		tests[i] = (struct CMUnitTest){ moves[i].name, move, NULL, NULL, (void *)(uintptr_t)&moves[i] };
	memcpy(tests + countof(moves), others, sizeof(others));
	return cmocka_run_group_tests(tests, NULL, NULL);
}

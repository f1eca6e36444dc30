/* SPDX-License-Identifier: Apache-2.0 */
/* Items under way, over the small world whose lines tell what has happened: each once, known by its key over kills and changed
 * lists; and the fold of a step that is to happen again with all that is inside of it. */
#include "world.h"

static const struct step_type *const types[] = { &touch, &sub_step, NULL };
static const struct target_type *const targets[] = { &world_type, NULL };
const struct registry world_registry = { types, targets };

#define EACH(list) HEAD "- {id: s, foreach: " list ", key: '${{ item }}', uses: world.touch, with: {key: 'k${{ item }}', class: probe}}\n"

static void
assert_counts(const char *keys, const size_t *counts)
{
	char key[] = "k?";

	for (size_t i = 0; keys[i] != '\0'; i++) {
		key[1] = keys[i];
		if (world_lines(key) != counts[i])
			fail_msg("item %c happened %zu times, not %zu", keys[i], world_lines(key), counts[i]);
	}
}

static void
test_each_item_once_in_the_order_of_the_list(void **state)
{
	struct buf text = BUF_INIT(1 << 16);
	struct err err = ERR_INIT;
	char path[128];

	(void)state;
	with.jobs = 1;
	assert_int_equal(go(EACH("[c, a, b]"), MODE_RUN, false, NULL), 0);
	assert_counts("abc", (size_t[]){ 1, 1, 1 });
	(void)snprintf(path, sizeof(path), "%s/world", dir);
	assert_int_equal(io_read_file(path, 1 << 16, &text, &err), 0);
	assert_true(strstr(text.p, "kc") < strstr(text.p, "ka") && strstr(text.p, "ka") < strstr(text.p, "kb"));
	buf_done(&text);
}

/* Killed before or after each write; then the list has lost an item, got one, and stands in another order. */
static void
test_items_are_known_by_their_keys(void **state)
{
	static const char *const where[] = { "before", "after" };

	for (size_t w = 0; w < countof(where); w++)
		for (int nth = 1; nth <= 3; nth++) {
			const size_t first = nth > 1 || w == 1;

			(void)setup(state);
			with.jobs = 1;
			crash(EACH("[a, b, c]"), where[w], nth);
			die_count = 0;
			if (nth == 1) { /* nothing looks at it any more, so somebody has to say */
				assert_int_equal(go(EACH("[x, c, b]"), MODE_RUN, true, NULL), 3);
				resolve_step("s[a]", first ? "done" : "not-done");
			}
			assert_int_equal(go(EACH("[x, c, b]"), MODE_RUN, true, NULL), 0);
			assert_counts("abcx", (size_t[]){ first, 1, 1, 1 });
			(void)teardown(state);
		}
	(void)setup(state);
}

static void
test_bad_keys_fail_before_anything_happens(void **state)
{
	(void)state;
	assert_int_equal(go(EACH("[a, b, a]"), MODE_RUN, false, NULL), 2);
	assert_int_equal(world_lines("k"), 0);
}

static void
test_a_lost_batch_may_have_held_what_is_inside(void **state)
{
	(void)state;
	with.jobs = 1;
	crash(EACH("[a, b]"), "after", 1);
	die_count = 0;
	with.torn = true;
	assert_int_equal(go(EACH("[a, b]"), MODE_RUN, true, NULL), 0);
	assert_counts("ab", (size_t[]){ 1, 1 });
}

static enum step_status
folded(const char *unit)
{
	static const char *const paths[] = { "s", "s/a", "s[k]/b", "sa" };
	struct history h;
	struct err err = ERR_INIT;
	uint64_t seq = 0;
	enum step_status ret;

	history_init(&h);
	for (size_t i = 0; i < countof(paths); i++)
		assert_int_equal(history_apply(&h, ++seq, &(struct record){ .type = REC_END, .step = paths[i], .status = "done" }, &err), 0);
	assert_int_equal(history_apply(&h, ++seq, &(struct record){ .type = REC_REOPEN, .step = "s", .kind = "undone", .unit = unit },
				       &err), 0);
	assert_int_equal(history_step(&h, "s")->status, STEP_PENDING);
	assert_int_equal(history_step(&h, "sa")->status, STEP_DONE);
	assert_int_equal(history_step(&h, "s/a")->status, history_step(&h, "s[k]/b")->status);
	ret = history_step(&h, "s/a")->status;
	history_done(&h);
	return ret;
}

static void
test_done_again_in_part_or_as_a_whole(void **state)
{
	(void)state;
	assert_int_equal(folded(NULL), STEP_DONE);
	assert_int_equal(folded("all"), STEP_PENDING);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_each_item_once_in_the_order_of_the_list, setup, teardown),
		cmocka_unit_test_setup_teardown(test_items_are_known_by_their_keys, setup, teardown),
		cmocka_unit_test_setup_teardown(test_bad_keys_fail_before_anything_happens, setup, teardown),
		cmocka_unit_test_setup_teardown(test_a_lost_batch_may_have_held_what_is_inside, setup, teardown),
		cmocka_unit_test(test_done_again_in_part_or_as_a_whole),
	};

	block_signals();
	return cmocka_run_group_tests(tests, NULL, NULL);
}

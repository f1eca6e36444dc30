/* SPDX-License-Identifier: Apache-2.0 */
/* Our own journal, read again and again while it grows: each record once, and no byte twice. */
#include "journal_test.h"

#define ROUNDS 200

static int
count(void *data, uint64_t seq, const struct record *r, struct err *err)
{
	uint64_t *seen = data;

	(void)err;
	assert_int_equal(seq, *seen + 1);
	assert_int_equal(r->type, seq == 1 ? REC_OPEN : REC_NOTE);
	*seen = seq;
	return 0;
}

static void
each_record_once(void **state)
{
	const struct box *b = *state;
	struct journal *j = create(b);
	struct err err = ERR_INIT;
	uint64_t seen = 0, at;

	for (int i = 0; i < ROUNDS; i++) {
		for (int k = 0; k <= i % 3; k++)
			OK(journal_add(j, &(struct record){ .type = REC_NOTE, .msg = "x" }, &err));
		at = j->again.end;
		OK(journal_again(j, count, &seen, &err)); /* what is only staged is not there yet */
		assert_int_equal(seen, j->records);
		assert_true(i == 0 || j->again.end == at);
		OK(journal_commit(j, &err));
		OK(journal_again(j, count, &seen, &err));
		assert_int_equal(seen, j->records);
		assert_int_equal(j->again.end, j->end);
	}
	journal_free(j);
}

/* Whatever stands before the place where it goes on, the next batch has to follow from what was read. */
static void
damage_is_refused(void **state)
{
	const struct box *b = *state;
	struct journal *j = create(b);
	struct err err = ERR_INIT;
	uint64_t seen = 0;
	char byte;

	OK(journal_again(j, count, &seen, &err));
	OK(journal_add(j, &(struct record){ .type = REC_NOTE, .msg = "x" }, &err));
	OK(journal_commit(j, &err));
	assert_int_equal(pread(j->fd, &byte, 1, (off_t)j->end - 300), 1);
	byte ^= 1;
	assert_int_equal(pwrite(j->fd, &byte, 1, (off_t)j->end - 300), 1);
	assert_int_equal(journal_again(j, count, &seen, &err), -1);
	assert_int_equal(err.kind, ERR_REFUSED);
	assert_int_equal(seen, 1);
	journal_free(j);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(each_record_once, box_setup, box_teardown),
		cmocka_unit_test_setup_teardown(damage_is_refused, box_setup, box_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* A helper that verifies batches ahead of the reader changes nothing of what the reader finds, and it is believed only where a
 * whole batch matched its hash. It is let in by the first record here, so that it always comes before the reader. */
#include "journal_test.h"

#define BATCHES 400 /* several pieces of what a helper looks at in one go */

struct helped {
	const struct box *b;
	struct journal_help *help;
	uint64_t poke_at; /* a byte that changes once the helper is through; 0: none */
	uint64_t records, marked;
};

static int
let_help(void *data, uint64_t seq, const struct record *r, struct err *err)
{
	struct helped *h = data;

	(void)err;
	h->records = seq;
	if (seq == 1) {
		journal_help(h->help, 40);
		journal_help(h->help, 100);
		if (h->poke_at != 0)
			poke(h->b->file, (off_t)h->poke_at, "Z", 1);
	}
	h->marked += r->type == REC_NOTE && strchr(r->msg, 'Z') != NULL;
	return 0;
}

static void
write_batches(const struct box *b)
{
	struct journal *j = create(b);

	for (int i = 1; i < BATCHES; i++)
		put(j, "aaaaaaaaaaaaaaaa");
	journal_free(j);
}

static int
open_helped(struct helped *h, const struct box *b, struct err *err)
{
	struct journal_info info;
	struct journal *j;
	int rc;

	h->b = b;
	h->help = journal_help_new();
	rc = journal_open_helped(b->dir, RUN, h->help, let_help, h, &j, &info, err);
	journal_help(h->help, 100); /* nobody reads any more */
	journal_help_free(h->help);
	if (rc == 0)
		journal_free(j);
	return rc;
}

static void
finds_the_same(void **state)
{
	struct helped h = { 0 };
	struct err err = ERR_INIT;

	write_batches(*state);
	OK(open_helped(&h, *state, &err));
	assert_int_equal(h.records, BATCHES);
	h = (struct helped){ 0 };
	OK(open_helped(&h, *state, &err));
	assert_int_equal(h.records, BATCHES);
}

static void
sees_damage(void **state)
{
	const struct box *b = *state;
	const off_t places[] = { BATCH_HEAD + 20, 30, BATCH_ALIGN - 2 }; /* of the body, the head, the padding */
	struct err err;
	struct buf whole = BUF_INIT(0);

	write_batches(b);
	slurp(b->file, &whole);
	for (size_t i = 0; i < countof(places); i++) {
		const off_t at = 300 * BATCH_ALIGN + places[i];
		struct helped h = { 0 };

		err = ERR_INIT;
		poke(b->file, at, "?", 1);
		assert_int_equal(open_helped(&h, b, &err), -1);
		assert_int_equal(err.kind, ERR_REFUSED);
		assert_non_null(strstr(err.msg, "byte 153600"));
		poke(b->file, at, whole.p + at, 1);
	}
	buf_done(&whole);
}

/* The chain is the reader's: a batch that matches its own hash is not the next one for that. */
static void
sees_a_batch_out_of_order(void **state)
{
	const struct box *b = *state;
	struct helped h = { 0 };
	struct err err = ERR_INIT;
	struct buf whole = BUF_INIT(0);

	write_batches(b);
	slurp(b->file, &whole);
	poke(b->file, 300 * BATCH_ALIGN, whole.p + 301 * BATCH_ALIGN, BATCH_ALIGN);
	assert_int_equal(open_helped(&h, b, &err), -1);
	assert_non_null(strstr(err.msg, "byte 153600: a batch is missing or out of order"));
	buf_done(&whole);
}

/* That nothing is hashed twice shows in a byte that changes in between, which nobody can do to a run that is locked. */
static void
is_believed(void **state)
{
	struct helped h = { .poke_at = 300 * BATCH_ALIGN };
	const struct box *b = *state;
	struct err err = ERR_INIT;
	struct buf whole = BUF_INIT(0);

	write_batches(b);
	slurp(b->file, &whole);
	while (memcmp(whole.p + h.poke_at, "aaaa", 4) != 0)
		h.poke_at++;
	OK(open_helped(&h, b, &err));
	assert_true(h.records == BATCHES && h.marked == 1);
	buf_done(&whole);
}

#define T(f) cmocka_unit_test_setup_teardown(f, box_setup, box_teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = { T(finds_the_same), T(sees_damage), T(sees_a_batch_out_of_order), T(is_believed) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Damage: a journal that was cut, flipped, spliced or torn is refused, or the loss of its last batch is on
 * record. It is never read as a shorter journal. */
#include "journal_test.h"

#include <sys/mman.h>

#define FILE_SIZE 6144U

/* A small journal in memory, with a reservation that is small too, so that every bit of it can be tried. */
struct image {
	char bytes[FILE_SIZE];
	size_t end, last; /* of the batches; where the last begins */
	unsigned batches, records, last_records;
	char hash[SHA256_HEX];
	struct sha256 *h;
};

static void
image_init(struct image *m)
{
	*m = (struct image){ .h = sha256_new() };
	memset(m->hash, '0', SHA256_HEX - 1);
}

static void
image_add_as(struct image *m, const char *body, unsigned records, struct batch b)
{
	char tag[RUN_TAG];

	batch_tag(RUN, tag);
	b.len = (uint32_t)strlen(body);
	b.records = records;
	assert_true(m->end + batch_size(b.len) <= FILE_SIZE);
	memcpy(m->bytes + m->end + BATCH_HEAD, body, b.len);
	batch_finish(m->bytes + m->end, tag, &b, m->h, m->hash);
	m->last = m->end;
	m->last_records = records;
	m->end += batch_size(b.len);
	m->batches++;
	m->records += records;
}

static void
image_add(struct image *m, const char *body, unsigned records, uint64_t reserved)
{
	struct batch b = { .number = m->batches, .first = m->records + 1, .reserved = reserved };

	memcpy(b.prev, m->hash, SHA256_HEX);
	image_add_as(m, body, records, b);
}

/* Four batches of one to three records, one of them of two blocks. */
static void
image_reference(struct image *m)
{
	char wide[400];

	image_init(m);
	image_add(m, "{\"t\":\"open\"}\n", 1, FILE_SIZE);
	image_add(m, "{\"step\":\"a\",\"t\":\"start\"}\n{\"eff\":1,\"step\":\"a\",\"t\":\"intent\"}\n", 2, FILE_SIZE);
	(void)snprintf(wide, sizeof(wide), "{\"msg\":\"%0300d\",\"t\":\"note\"}\n{\"t\":\"note\"}\n{\"t\":\"note\"}\n", 7);
	image_add(m, wide, 3, FILE_SIZE);
	image_add(m, "{\"st\":\"done\",\"step\":\"a\",\"t\":\"end\"}\n", 1, FILE_SIZE);
}

static void
image_done(struct image *m)
{
	sha256_free(m->h);
}

static int
memory_file(const struct image *m, size_t size)
{
	int fd = memfd_create("journal", MFD_CLOEXEC);

	assert_true(fd >= 0 && pwrite(fd, m->bytes, size, 0) == (ssize_t)size);
	return fd;
}

static int
scan_image(const struct image *m, size_t size, struct scan *ret, struct err *err)
{
	int fd = memory_file(m, size), rc = scan_file(fd, "journal", NULL, RUN, NULL, NULL, NULL, ret, err);

	(void)close(fd);
	if (rc < 0)
		assert_int_equal(err->kind, ERR_REFUSED);
	return rc;
}

static void
reference_is_good(void **state)
{
	struct err err = ERR_INIT;
	struct image m;
	struct scan s;

	(void)state;
	image_reference(&m);
	OK(scan_image(&m, FILE_SIZE, &s, &err));
	assert_true(s.batches == 4 && s.records == 7 && s.end == m.end && s.last == m.last && !s.torn && !s.sealed);
	image_done(&m);
}

/* Every bit of the file is flipped; where what is left reads at all, only the last batch may be missing, and is
 * missed. */
static void
flip_all(struct image *m, size_t size)
{
	int fd = memory_file(m, size);
	struct err err = ERR_INIT;
	struct scan s;

	for (size_t i = 0; i < size; i++)
		for (int bit = 0; bit < 8; bit++) {
			char c = (char)(m->bytes[i] ^ 1 << bit);

			assert_int_equal(pwrite(fd, &c, 1, (off_t)i), 1);
			if (scan_file(fd, "journal", NULL, RUN, NULL, NULL, NULL, &s, &err) == 0) {
				if (!s.torn || s.records < m->records - m->last_records)
					fail_msg("bit %d of byte %zu: read as %u records", bit, i, (unsigned)s.records);
			} else {
				assert_int_equal(err.kind, ERR_REFUSED);
			}
			assert_int_equal(pwrite(fd, &m->bytes[i], 1, (off_t)i), 1);
		}
	OK(scan_file(fd, "journal", NULL, RUN, NULL, NULL, NULL, &s, &err));
	(void)close(fd);
}

static void
every_bit_flipped(void **state)
{
	struct image m;

	(void)state;
	image_reference(&m);
	flip_all(&m, FILE_SIZE);
	image_done(&m);
}

static void
every_bit_flipped_in_a_sealed_one(void **state)
{
	struct image m;

	(void)state;
	image_reference(&m);
	image_add(&m, "", 0, m.end + 512);
	flip_all(&m, FILE_SIZE); /* killed before it was trimmed */
	flip_all(&m, m.end);
	image_done(&m);
}

static void
every_cut(void **state)
{
	struct err err = ERR_INIT;
	struct image m;
	struct scan s;

	(void)state;
	image_reference(&m);
	for (size_t size = 0; size < FILE_SIZE; size++)
		assert_int_equal(scan_image(&m, size, &s, &err), -1);
	image_add(&m, "", 0, m.end + 512);
	for (size_t size = 0; size < m.end; size++)
		assert_int_equal(scan_image(&m, size, &s, &err), -1);
	for (size_t size = m.end; size < FILE_SIZE; size++) { /* only the trim is unfinished */
		OK(scan_image(&m, size, &s, &err));
		assert_true(s.sealed && s.records == m.records);
	}
	image_done(&m);
}

/* The file grew while it was used: each length named was on the disk before a batch went beyond the one before. */
static void
every_cut_of_a_grown_one(void **state)
{
	struct err err = ERR_INIT;
	struct image m;
	struct scan s;

	(void)state;
	image_init(&m);
	image_add(&m, "{\"t\":\"open\"}\n", 1, 1536);
	image_add(&m, "{\"t\":\"note\"}\n", 1, 3072);
	image_add(&m, "{\"t\":\"note\"}\n", 1, 3072);
	image_add(&m, "{\"t\":\"note\"}\n", 1, FILE_SIZE);
	OK(scan_image(&m, FILE_SIZE, &s, &err));
	for (size_t size = 0; size < FILE_SIZE; size++)
		assert_int_equal(scan_image(&m, size, &s, &err), -1);
	/* One that breaks this rule is not taken for good. */
	image_done(&m);
	image_init(&m);
	image_add(&m, "{\"t\":\"open\"}\n", 1, 512);
	image_add(&m, "{\"t\":\"note\"}\n", 1, FILE_SIZE);
	assert_int_equal(scan_image(&m, FILE_SIZE, &s, &err), -1);
	image_done(&m);
}

enum change { NOTHING, OTHER_TEXT, OTHER_NUMBER, OTHER_FIRST, OTHER_PREV, TOO_FEW, TOO_MANY, NO_NEWLINE, NO_JSON, NEWER };

/* A batch that is good by itself, in place of the second of three. */
static const struct splice {
	const char *name;
	enum change what;
	bool last; /* nothing follows it */
	bool ok;
} splices[] = {
	{ "spliced: nothing", NOTHING, false, true },
	{ "spliced: other text in the middle", OTHER_TEXT, false, false },
	{ "spliced: other text at the end", OTHER_TEXT, true, true }, /* nobody can tell */
	{ "spliced: other number", OTHER_NUMBER, true, false },
	{ "spliced: other first record", OTHER_FIRST, true, false },
	{ "spliced: other chain", OTHER_PREV, true, false },
	{ "spliced: fewer records than said", TOO_FEW, true, false },
	{ "spliced: more records than said", TOO_MANY, true, false },
	{ "spliced: record without end", NO_NEWLINE, true, false },
	{ "spliced: no JSON", NO_JSON, true, false },
	{ "spliced: newer format", NEWER, true, false },
};

static void
check_splice(void **state)
{
	const struct splice *sp = *state;
	struct err err = ERR_INIT;
	struct image m, other;
	struct batch b;
	struct scan s;
	int rc;

	image_init(&m);
	image_add(&m, "{\"t\":\"open\"}\n", 1, FILE_SIZE);
	other = m;
	image_add(&m, "{\"msg\":\"x\",\"t\":\"note\"}\n", 1, FILE_SIZE);
	if (!sp->last)
		image_add(&m, "{\"msg\":\"z\",\"t\":\"note\"}\n", 1, FILE_SIZE);
	b = (struct batch){ .number = 1, .first = 2, .reserved = FILE_SIZE };
	memcpy(b.prev, other.hash, SHA256_HEX);
	b.number += sp->what == OTHER_NUMBER;
	b.first += sp->what == OTHER_FIRST;
	if (sp->what == OTHER_PREV)
		b.prev[0] = b.prev[0] == '0' ? '1' : '0';
	image_add_as(&other, sp->what == OTHER_TEXT ? "{\"msg\":\"y\",\"t\":\"note\"}\n" :
		     sp->what == NO_NEWLINE ? "{\"msg\":\"x\",\"t\":\"note\"}" :
		     sp->what == NO_JSON ? "{\"msg\":\"x\",\"t\":note}\n" : "{\"msg\":\"x\",\"t\":\"note\"}\n",
		     sp->what == TOO_FEW ? 2 : sp->what == TOO_MANY ? 0 : 1, b);
	memcpy(m.bytes + 512, other.bytes + 512, 512);
	if (sp->what == NEWER)
		m.bytes[512 + 2] = '2';
	rc = scan_image(&m, FILE_SIZE, &s, &err);
	assert_int_equal(rc, sp->ok ? 0 : -1);
	image_done(&m);
}

static void
moved_and_missing_batches(void **state)
{
	struct err err = ERR_INIT;
	struct image m, copy;
	struct scan s;

	(void)state;
	image_init(&m);
	for (int i = 0; i < 4; i++)
		image_add(&m, i == 0 ? "{\"t\":\"open\"}\n" : "{\"t\":\"note\"}\n", 1, FILE_SIZE);
	copy = m; /* one left out */
	memmove(copy.bytes + 512, copy.bytes + 1024, FILE_SIZE - 1024);
	assert_int_equal(scan_image(&copy, FILE_SIZE, &s, &err), -1);
	copy = m; /* two changed round */
	memcpy(copy.bytes + 512, m.bytes + 1024, 512);
	memcpy(copy.bytes + 1024, m.bytes + 512, 512);
	assert_int_equal(scan_image(&copy, FILE_SIZE, &s, &err), -1);
	copy = m; /* one wiped */
	memset(copy.bytes + 512, 0, 512);
	assert_int_equal(scan_image(&copy, FILE_SIZE, &s, &err), -1);
	assert_non_null(strstr(err.msg, "byte 512"));
	assert_non_null(strstr(err.msg, "last good record is 1"));
	copy = m; /* the first wiped, and all */
	memset(copy.bytes, 0, 512);
	assert_int_equal(scan_image(&copy, FILE_SIZE, &s, &err), -1);
	memset(copy.bytes, 0, FILE_SIZE);
	assert_int_equal(scan_image(&copy, FILE_SIZE, &s, &err), -1);
	copy = m; /* of another run */
	assert_int_equal(scan_file(memory_file(&copy, FILE_SIZE), "journal", NULL, "r2", NULL, NULL, NULL, &s, &err), -1);
	copy = m; /* a batch again behind the end */
	memcpy(copy.bytes + 4096, m.bytes + 512, 512);
	assert_int_equal(scan_image(&copy, FILE_SIZE, &s, &err), -1);
	image_done(&m);
}

static void
corrupt_is_left_alone(void **state)
{
	const struct box *b = *state;
	struct buf before = BUF_INIT(0), after = BUF_INIT(0);
	struct err err = ERR_INIT;
	struct journal_info info;
	struct journal *j = create(b);

	put(j, "a");
	put(j, "b");
	journal_free(j);
	poke(b->file, 700, "?", 1);
	slurp(b->file, &before);
	assert_int_equal(journal_open(b->dir, RUN, NULL, NULL, &j, &info, &err), -1);
	assert_int_equal(err.kind, ERR_REFUSED);
	assert_non_null(strstr(err.msg, b->file));
	assert_non_null(strstr(err.msg, "byte 512"));
	slurp(b->file, &after);
	assert_true(before.len == after.len && memcmp(before.p, after.p, before.len) == 0);
	buf_done(&before);
	buf_done(&after);
}

static void
torn_tail_is_set_aside(void **state)
{
	const struct box *b = *state;
	struct buf before = BUF_INIT(0), kept = BUF_INIT(0);
	struct err err = ERR_INIT;
	struct journal_info info;
	struct journal *j = create(b);
	char path[256], wide[600];

	put(j, "a");
	(void)snprintf(wide, sizeof(wide), "%0599d", 1);
	put(j, wide);
	journal_free(j);
	poke(b->file, 1024 + 300, "\0\0\0", 3);
	slurp(b->file, &before);
	OK(check_read(b, "open,note:a", &info, &err));
	assert_true(info.torn && info.quarantine == NULL);

	j = reopen(b, "open,note:a,tail", &info);
	assert_true(info.torn);
	(void)snprintf(path, sizeof(path), "%s/%s", journal_dir(j), info.quarantine);
	slurp(path, &kept);
	assert_memory_equal(kept.p, before.p + 1024, kept.len);
	for (size_t i = 1024 + kept.len; i < before.len; i++)
		assert_int_equal(before.p[i], 0);
	journal_free(j);

	/* Killed here, the loss is still to be taken up; a resume record does. */
	OK(check_read(b, "open,note:a,tail", &info, &err));
	assert_true(info.torn);
	j = reopen(b, "open,note:a,tail", &info);
	assert_true(info.torn && info.quarantine == NULL);
	OK(journal_add(j, &(struct record){ .type = REC_RESUME }, &err));
	put(j, "b");
	journal_free(j);
	OK(check_read(b, "open,note:a,tail,resume,note:b", &info, &err));
	assert_false(info.torn);
	buf_done(&before);
	buf_done(&kept);
}

static void
torn_again_in_the_same_place(void **state)
{
	const struct box *b = *state;
	struct journal_info info;
	struct journal *j = create(b);

	journal_free(j);
	for (int i = 0; i < 3; i++) {
		poke(b->file, 512 * (uint64_t)(i + 1), "WJ1 half", 8);
		j = reopen(b, i == 0 ? "open,tail" : i == 1 ? "open,tail,tail" : "open,tail,tail,tail", &info);
		assert_true(info.torn && info.quarantine != NULL);
		journal_free(j);
	}
}

/* A batch that is being written is no damage while its writer lives. */
static void
torn_beside_a_writer(void **state)
{
	const struct box *b = *state;
	struct err err = ERR_INIT;
	struct journal_info info;
	struct journal *j = create(b);

	poke(b->file, 512, "WJ1 half", 8);
	OK(check_read(b, "open", &info, &err));
	assert_false(info.torn);
	journal_free(j);
	OK(check_read(b, "open", &info, &err));
	assert_true(info.torn);
}

static void
noise_far_from_the_end_is_no_tail(void **state)
{
	const struct box *b = *state;
	struct err err = ERR_INIT;
	struct journal_info info;
	struct journal *j = create(b);

	OK(journal_reserve(j, 80, &err));
	journal_free(j);
	poke(b->file, 2 * BATCH_MAX, "x", 1);
	assert_int_equal(check_read(b, NULL, &info, &err), -1);
	assert_int_equal(err.kind, ERR_REFUSED);
}

/* A sealed journal that went on must not pass for the sealed one when it is cut. */
static void
cut_back_to_a_seal(void **state)
{
	const struct box *b = *state;
	struct err err = ERR_INIT;
	struct journal_info info;
	struct journal *j = create(b);
	uint64_t sealed;

	put(j, "a");
	OK(journal_seal(j, &err));
	journal_free(j);
	sealed = size_of(b->file);
	j = reopen(b, "open,note:a", &info);
	put(j, "b");
	put(j, "c");
	journal_free(j);
	for (uint64_t size = sealed + 1024; size > 0; size -= 256) {
		assert_int_equal(truncate(b->file, (off_t)size), 0);
		assert_int_equal(check_read(b, NULL, &info, &err), -1);
		assert_int_equal(err.kind, ERR_REFUSED);
	}
}

/* Killed at any place of taking over a sealed journal: it is lengthened first, then the seal goes. */
static void
taking_over_a_seal_can_be_killed(void **state)
{
	const struct box *b = *state;
	struct err err = ERR_INIT;
	struct journal_info info;
	struct journal *j = create(b);
	char zero[512] = { 0 };
	uint64_t sealed;

	put(j, "a");
	OK(journal_seal(j, &err));
	journal_free(j);
	sealed = size_of(b->file);
	for (uint64_t size = sealed; size < RESERVE_STEP; size += 99999) {
		assert_int_equal(truncate(b->file, (off_t)size), 0);
		OK(check_read(b, "open,note:a", &info, &err));
		assert_true(info.trimmed);
	}
	assert_int_equal(truncate(b->file, RESERVE_STEP), 0);
	OK(check_read(b, "open,note:a", &info, &err));
	poke(b->file, sealed - 512, zero, 512);
	OK(check_read(b, "open,note:a", &info, &err));
	assert_false(info.trimmed);
	journal_free(reopen(b, "open,note:a", &info));
}

#define T(f) cmocka_unit_test_setup_teardown(f, box_setup, box_teardown)

int
main(void)
{
	const struct CMUnitTest others[] = {
		cmocka_unit_test(reference_is_good), cmocka_unit_test(every_bit_flipped),
		cmocka_unit_test(every_bit_flipped_in_a_sealed_one), cmocka_unit_test(every_cut),
		cmocka_unit_test(every_cut_of_a_grown_one), cmocka_unit_test(moved_and_missing_batches),
		T(corrupt_is_left_alone), T(torn_tail_is_set_aside), T(torn_again_in_the_same_place),
		T(torn_beside_a_writer), T(noise_far_from_the_end_is_no_tail), T(cut_back_to_a_seal),
		T(taking_over_a_seal_can_be_killed),
	};
	struct CMUnitTest tests[countof(splices) + countof(others)] = { 0 };
	size_t n = 0;

	for (size_t i = 0; i < countof(splices); i++)
		tests[n++] = (struct CMUnitTest){ splices[i].name, check_splice, .initial_state = (void *)&splices[i] };
	for (size_t i = 0; i < countof(others); i++)
		tests[n++] = others[i];
	return cmocka_run_group_tests(tests, NULL, NULL);
}

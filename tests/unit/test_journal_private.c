/* SPDX-License-Identifier: Apache-2.0 */
/* Private values: beside the journal in one file, durable before they are named, refused where they were damaged; what
 * an effect's end needs of them has its room before the effect begins. */
#include "journal_test.h"

#include "history.h"

#include <signal.h>
#include <sys/resource.h>

static const char secret[] = "the-word-that-nobody-may-read";

struct images {
	const char *before, *body, *value;
	unsigned found;
};

static void
assert_is(const char *canonical, const char *want)
{
	const size_t len = strlen(want);

	assert_non_null(canonical);
	assert_int_equal(strlen(canonical), len + 2);
	assert_memory_equal(canonical + 1, want, len);
}

static int
compare(void *data, uint64_t seq, const struct record *r, struct err *err)
{
	struct images *w = data;

	(void)seq, (void)err;
	if (r->type == REC_INTENT) {
		assert_is(r->before_text, w->before);
		assert_is(r->body_text, w->body);
		w->found++;
	} else if (r->type == REC_SETTLED) {
		assert_is(r->value_text, w->value);
		w->found++;
	}
	return 0;
}

static int
intent(struct journal *j, const char *before, const char *body, size_t room, struct err *err)
{
	struct value b = value_str(before), f = value_str(body);

	return journal_add(j, &(struct record){ .type = REC_INTENT, .step = "a", .effect = 1, .before = &b, .body = &f,
						.apart = true, .room = room }, err);
}

static int
settle(struct journal *j, const char *text, size_t room, struct err *err)
{
	struct value v = value_str(text);

	return journal_add(j, &(struct record){ .type = REC_SETTLED, .step = "a", .effect = 1, .status = "ok", .value = &v,
						.apart = true, .room = room }, err);
}

static void
private_path(const struct box *b, char ret[128])
{
	(void)snprintf(ret, 128, "%s/%s/private", b->dir, RUN);
}

static bool
holds(const char *path, const char *text)
{
	struct buf all = BUF_INIT(0);
	bool found;

	slurp(path, &all);
	found = all.len > 0 && memmem(all.p, all.len, text, strlen(text)) != NULL;
	buf_done(&all);
	return found;
}

static char *
text_of(size_t len)
{
	char *s = xmalloc(len + 1);

	memset(s, 'x', len);
	s[len] = '\0';
	return s;
}

/* One effect with all of its images; the journal is closed as a kill leaves it. */
static void
one_effect(const struct box *b)
{
	struct err err = ERR_INIT;
	struct journal *j = create(b);

	OK(intent(j, "before", secret, 4096, &err));
	OK(journal_commit(j, &err));
	OK(settle(j, "after", 4096, &err));
	OK(journal_commit(j, &err));
	journal_free(j);
}

static void
kept_beside(void **state)
{
	struct images w = { "before", secret, "after", 0 };
	const struct box *b = *state;
	struct err err = ERR_INIT;
	struct journal_info info;
	struct stat st;
	char path[128];

	one_effect(b);
	private_path(b, path);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_true(holds(path, secret));
	assert_false(holds(b->file, secret));
	assert_false(holds(b->file, "after"));
	OK(journal_read(b->dir, RUN, compare, &w, &info, &err));
	assert_int_equal(w.found, 2);
}

static void
assert_image(const struct hist_effect *e, enum image_of which, const char *want)
{
	struct arena a = ARENA_INIT;
	struct err err = ERR_INIT;
	struct value v;

	assert_true(hist_has(e, which));
	OK(hist_value(e, which, &a, &v, &err));
	assert_string_equal(v.s, want);
	arena_done(&a);
}

/* The fold keeps none of them: they are read again, and one that was damaged meanwhile is refused. */
static void
read_when_asked_for(void **state)
{
	const struct box *b = *state;
	const struct hist_effect *e;
	struct arena a = ARENA_INIT;
	struct err err = ERR_INIT;
	struct journal_info info;
	struct history h;
	struct value v;
	char path[128];
	int fd;

	history_init(&h);
	one_effect(b);
	OK(journal_read(b->dir, RUN, history_apply, &h, &info, &err));
	e = history_step(&h, "a")->effects;
	assert_image(e, IMAGE_BEFORE, "before");
	assert_image(e, IMAGE_BODY, secret);
	assert_image(e, IMAGE_AFTER, "after");
	private_path(b, path);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	assert_int_equal(pwrite(fd, "\"x", 2, 0), 2);
	(void)close(fd);
	assert_int_equal(hist_value(e, IMAGE_BEFORE, &a, &v, &err), -1);
	assert_int_equal(err.kind, ERR_REFUSED);
	assert_non_null(strstr(err.msg, "is damaged"));
	assert_image(e, IMAGE_AFTER, "after");
	arena_done(&a);
	history_done(&h);
}

static void
none_without_need(void **state)
{
	const struct box *b = *state;
	char path[128];
	struct journal *j = create(b);

	put(j, "a note");
	journal_free(j);
	private_path(b, path);
	assert_int_equal(access(path, F_OK), -1);
}

static void
damage_is_refused_and_named(void **state)
{
	static const uint64_t places[] = { 0, 7, 12, 41 }; /* of all three values */
	const struct box *b = *state;
	struct journal_info info;
	struct journal *j;
	char path[128];

	one_effect(b);
	private_path(b, path);
	for (size_t i = 0; i < countof(places); i++) {
		struct err err = ERR_INIT;
		char was, other;
		int fd = open(path, O_RDONLY | O_CLOEXEC);

		assert_int_equal(pread(fd, &was, 1, (off_t)places[i]), 1);
		(void)close(fd);
		other = (char)(was ^ 1);
		poke(path, places[i], &other, 1);
		assert_int_equal(journal_read(b->dir, RUN, NULL, NULL, &info, &err), -1);
		assert_int_equal(err.kind, ERR_REFUSED);
		assert_non_null(strstr(err.msg, "private"));
		assert_int_equal(journal_open(b->dir, RUN, NULL, NULL, &j, &info, &err), -1);
		assert_int_equal(err.kind, ERR_REFUSED);
		poke(path, places[i], &was, 1);
	}
	assert_int_equal(truncate(path, 20), 0);
	for (int round = 0; round < 2; round++) {
		struct err err = ERR_INIT;

		assert_int_equal(journal_read(b->dir, RUN, NULL, NULL, &info, &err), -1);
		assert_int_equal(err.kind, ERR_REFUSED);
		assert_true(round == 1 || strstr(err.msg, "the 31 bytes at 9") != NULL);
		(void)unlink(path);
	}
}

static void
taken_over_behind_what_is_there(void **state)
{
	static const char torn[] = "\"never named\"\n";
	struct images w = { "before", secret, "after", 0 };
	const struct box *b = *state;
	struct err err = ERR_INIT;
	struct journal_info info;
	struct journal *j;
	uint64_t size;
	char path[128];

	one_effect(b);
	private_path(b, path);
	poke(path, 49, torn, sizeof(torn) - 1);
	size = size_of(path);
	j = reopen(b, "open,intent,settled", &info);
	OK(intent(j, "before", secret, 4096, &err));
	OK(settle(j, "after", 4096, &err));
	OK(journal_seal(j, &err));
	journal_free(j);
	assert_true(holds(path, "never named"));
	assert_int_equal(size_of(path), size + strlen("\"before\"\n\"after\"\n\"\"\n") + strlen(secret));
	OK(journal_read(b->dir, RUN, compare, &w, &info, &err));
	assert_int_equal(w.found, 4);
}

static void
refused_intent_leaves_nothing(void **state)
{
	struct images w = { "before", secret, "after", 0 };
	char *large = text_of(BATCH_MAX);
	const struct box *b = *state;
	struct value v = value_str("lost");
	struct err err = ERR_INIT;
	struct journal_info info;
	struct journal *j = create(b);
	char path[128];

	assert_int_equal(journal_add(j, &(struct record){ .type = REC_INTENT, .step = "a", .effect = 1, .msg = large,
							  .before = &v, .apart = true }, &err), -1);
	OK(intent(j, "before", secret, 100, &err));
	OK(settle(j, "after", 100, &err));
	OK(journal_commit(j, &err));
	journal_free(j);
	private_path(b, path);
	assert_false(holds(path, "lost"));
	OK(journal_read(b->dir, RUN, compare, &w, &info, &err));
	assert_int_equal(w.found, 2);
	free(large);
}

static void
limit_files(rlim_t bytes)
{
	struct rlimit l;

	assert_int_equal(getrlimit(RLIMIT_FSIZE, &l), 0);
	l.rlim_cur = bytes < l.rlim_max ? bytes : l.rlim_max;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &l), 0);
}

static void
full_disk_keeps_room_for_the_end(void **state)
{
	char *large = text_of(2 * RESERVE_STEP), *more = text_of(3 * RESERVE_STEP);
	struct images w = { "before", "body", large, 0 };
	const struct box *b = *state;
	struct err err = ERR_INIT;
	struct journal_info info;
	struct journal *j = create(b);
	char path[128];

	OK(journal_reserve(j, 4, &err));
	OK(intent(j, "before", "body", strlen(large) + 100, &err));
	OK(journal_commit(j, &err));
	private_path(b, path);
	limit_files(size_of(path));
	/* Another intent finds no room, and is as if it had not been; that is not the end of the journal. */
	assert_int_equal(intent(j, more, "", 100, &err), -1);
	assert_int_equal(err.kind, ERR_LOCAL);
	assert_non_null(strstr(err.msg, "private"));
	assert_true(err.next[0] != '\0');
	OK(settle(j, large, strlen(large) + 100, &err));
	OK(journal_seal(j, &err));
	journal_free(j);
	limit_files(RLIM_INFINITY);
	OK(journal_read(b->dir, RUN, compare, &w, &info, &err));
	assert_int_equal(w.found, 2);
	free(large);
	free(more);
}

/* What is larger than the room that was promised for it must not take that of others. */
static void
too_large_an_end_is_refused_alone(void **state)
{
	char *large = text_of(RESERVE_STEP);
	struct images w = { "before", "body", "after", 0 };
	const struct box *b = *state;
	struct err err = ERR_INIT;
	struct journal_info info;
	struct journal *j = create(b);
	char path[128];

	OK(journal_reserve(j, 4, &err));
	OK(intent(j, "before", "body", 100, &err));
	OK(journal_commit(j, &err));
	private_path(b, path);
	limit_files(size_of(path));
	assert_int_equal(settle(j, large, 100, &err), -1);
	assert_int_equal(err.kind, ERR_LOCAL);
	OK(settle(j, "after", 100, &err));
	OK(journal_seal(j, &err));
	journal_free(j);
	limit_files(RLIM_INFINITY);
	OK(journal_read(b->dir, RUN, compare, &w, &info, &err));
	assert_int_equal(w.found, 2);
	free(large);
}

#define T(f) cmocka_unit_test_setup_teardown(f, box_setup, box_teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(kept_beside), T(read_when_asked_for), T(none_without_need), T(damage_is_refused_and_named), T(taken_over_behind_what_is_there),
		T(refused_intent_leaves_nothing), T(full_disk_keeps_room_for_the_end), T(too_large_an_end_is_refused_alone),
	};

	(void)signal(SIGXFSZ, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* The journal as its users see it: what was committed is read back, by whom it may be written, and what a full
 * disk does. */
#include "journal_test.h"

#include <dirent.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <sys/resource.h>
#include <time.h>

static void
round_trip(void **state)
{
	struct err err = ERR_INIT;
	struct journal_info info;
	uint64_t batches, bytes;
	struct journal *j;

	j = create(*state);
	put(j, "a");
	OK(journal_add(j, &(struct record){ .type = REC_NOTE, .msg = "b" }, &err));
	assert_true(journal_staged(j));
	OK(journal_add(j, &(struct record){ .type = REC_NOTE, .msg = "c" }, &err));
	OK(journal_commit(j, &err));
	assert_false(journal_staged(j));
	OK(journal_commit(j, &err)); /* nothing staged, nothing written */
	journal_counts(j, &batches, &bytes);
	assert_int_equal(batches, 3);
	assert_int_equal(bytes, 3 * 512);
	OK(check_read(*state, "open,note:a,note:b,note:c", &info, &err));
	assert_true(info.batches == 3 && info.bytes == bytes && !info.torn && !info.trimmed);
	journal_free(j);
	assert_int_equal(size_of(((struct box *)*state)->file), RESERVE_STEP);
}

static void
readable_with_less(void **state)
{
	struct journal *j = create(*state);
	struct buf b = BUF_INIT(0);

	put(j, "a\033[2Jb\xff");
	journal_free(j);
	slurp(((struct box *)*state)->file, &b);
	for (size_t i = 0; i < 1024; i++)
		assert_true(b.p[i] == '\n' || (b.p[i] >= ' ' && b.p[i] < 0x7f));
	for (size_t i = 1024; i < b.len; i++)
		assert_int_equal(b.p[i], 0);
	assert_memory_equal(b.p, "WJ1 ", 4);
	assert_int_equal(b.p[BATCH_HEAD - 1], '\n');
	assert_int_equal(b.p[511], '\n');
	buf_done(&b);
}

static void
seal_and_resume(void **state)
{
	const struct box *b = *state;
	struct err err = ERR_INIT;
	struct journal_info info;
	struct journal *j;

	j = create(b);
	put(j, "a");
	OK(journal_seal(j, &err));
	assert_int_equal(journal_add(j, &(struct record){ .type = REC_NOTE }, &err), 0);
	assert_int_equal(journal_commit(j, &err), -1);
	journal_free(j);
	assert_int_equal(size_of(b->file), 3 * 512);
	OK(check_read(b, "open,note:a", &info, &err));
	assert_true(info.trimmed && !info.torn);
	for (int i = 0; i < 3; i++) { /* sealed again and again without growing by it */
		j = reopen(b, "open,note:a", &info);
		assert_true(info.trimmed);
		assert_int_equal(size_of(b->file), RESERVE_STEP);
		OK(check_read(b, "open,note:a", &info, &err));
		assert_false(info.trimmed);
		OK(journal_seal(j, &err));
		journal_free(j);
		assert_int_equal(size_of(b->file), 3 * 512);
	}
	j = reopen(b, "open,note:a", &info);
	put(j, "b");
	journal_free(j);
	OK(check_read(b, "open,note:a,note:b", &info, &err));
	assert_false(info.trimmed);
}

static void
killed_and_resumed(void **state)
{
	struct err err = ERR_INIT;
	struct journal_info info;
	struct journal *j;

	j = create(*state);
	put(j, "a");
	OK(journal_add(j, &(struct record){ .type = REC_NOTE, .msg = "staged" }, &err));
	journal_free(j);
	j = reopen(*state, "open,note:a", &info);
	assert_false(info.torn);
	put(j, "b");
	journal_free(j);
	OK(check_read(*state, "open,note:a,note:b", &info, &err));
}

static void
key_stays(void **state)
{
	unsigned char key[SHA256_LEN];
	struct journal_info info;
	struct journal *j;

	j = create(*state);
	assert_int_equal(journal_key(j).len, sizeof(key));
	memcpy(key, journal_key(j).p, sizeof(key));
	journal_free(j);
	j = reopen(*state, "open", &info);
	assert_memory_equal(journal_key(j).p, key, sizeof(key));
	journal_free(j);
}

static void
ids(void **state)
{
	static const char *const bad[] = { "", ".", "..", ".x", "-x", "a/b", "a b", "a\n", "ä" };
	const struct box *b = *state;
	struct record r = { .type = REC_OPEN };
	struct err err = ERR_INIT;
	struct journal_info info;
	struct journal *j;

	for (size_t i = 0; i < countof(bad); i++) {
		assert_int_equal(journal_create(b->dir, bad[i], &r, NULL, 0, &j, &err), -1);
		assert_int_equal(err.kind, ERR_USAGE);
	}
	assert_int_equal(journal_open(b->dir, "none", see, NULL, &j, &info, &err), -1);
	assert_int_equal(err.kind, ERR_USAGE);
	assert_int_equal(journal_read(b->dir, "none", see, NULL, &info, &err), -1);
	assert_int_equal(err.kind, ERR_USAGE);
	journal_free(create(b));
	assert_int_equal(journal_create(b->dir, RUN, &r, NULL, 0, &j, &err), -1);
	assert_int_equal(err.kind, ERR_USAGE);
	assert_non_null(strstr(err.msg, RUN));
}

static void
leftover_of_a_create_is_used_again(void **state)
{
	const struct box *b = *state;
	struct err err = ERR_INIT;
	struct journal_info info;
	char tmp[128];

	journal_free(create(b));
	(void)snprintf(tmp, sizeof(tmp), "%s/%s/journal.tmp", b->dir, RUN);
	assert_int_equal(rename(b->file, tmp), 0);
	journal_free(create(b));
	OK(check_read(b, "open", &info, &err));
	assert_int_equal(access(tmp, F_OK), -1);
}

static void
second_writer_is_told_who(void **state)
{
	const struct box *b = *state;
	struct journal *j = create(b), *other = NULL;
	struct record r = { .type = REC_OPEN };
	char holder[256], pid[32];
	struct err err = ERR_INIT;
	struct journal_info info;

	(void)snprintf(pid, sizeof(pid), "pid %ld,", (long)getpid());
	assert_int_equal(journal_open(b->dir, RUN, see, NULL, &other, &info, &err), -1);
	assert_int_equal(err.kind, ERR_LOCKED);
	assert_non_null(strstr(err.msg, pid));
	assert_int_equal(journal_live(b->dir, RUN, holder, sizeof(holder)), 1);
	assert_non_null(strstr(holder, pid));
	journal_free(j);
	assert_int_equal(journal_live(b->dir, RUN, holder, sizeof(holder)), 0);
	j = reopen(b, "open", &info);
	/* One that creates while another is about to: the lock decides. */
	assert_int_equal(unlink(b->file), 0);
	assert_int_equal(journal_create(b->dir, RUN, &r, NULL, 0, &other, &err), -1);
	assert_int_equal(err.kind, ERR_LOCKED);
	journal_free(j);
}

static char *
text_of(size_t len)
{
	char *s = xmalloc(len + 1);

	for (size_t i = 0; i < len; i++)
		s[i] = (char)('a' + i % 26);
	s[len] = '\0';
	return s;
}

struct wanted {
	struct value value, before, body;
	unsigned found;
};

static int
compare_values(void *data, uint64_t seq, const struct record *r, struct err *err)
{
	struct wanted *w = data;
	struct arena a = ARENA_INIT;
	struct record whole = *r;

	(void)seq;
	if (r->type != REC_INTENT)
		return 0;
	assert_int_equal(record_values(&a, &whole, err), 0);
	assert_true(value_eq(whole.value, &w->value) && value_eq(whole.before, &w->before) && value_eq(whole.body, &w->body));
	arena_done(&a);
	w->found++;
	return 0;
}

static void
large_values_go_to_files(void **state)
{
	char *big = text_of(100000), *edge = text_of(JOURNAL_INLINE_MAX - 2), *over = text_of(JOURNAL_INLINE_MAX - 1);
	struct wanted w = { .value = value_str(big), .before = value_str(edge), .body = value_str(over) };
	const struct box *b = *state;
	struct err err = ERR_INIT;
	struct journal_info info;
	uint64_t batches, bytes;
	struct dirent *e;
	struct journal *j;
	unsigned files = 0;
	char data[128], path[512];
	DIR *d;

	j = create(b);
	OK(journal_add(j, &(struct record){ .type = REC_INTENT, .step = "a", .value = &w.value, .before = &w.before,
					    .body = &w.body }, &err));
	OK(journal_commit(j, &err));
	journal_counts(j, &batches, &bytes);
	assert_true(bytes < 512 + JOURNAL_INLINE_MAX + 1024);
	journal_free(j);
	OK(journal_read(b->dir, RUN, compare_values, &w, &info, &err));
	assert_int_equal(w.found, 1);
	(void)snprintf(data, sizeof(data), "%s/%s/data", b->dir, RUN);
	d = opendir(data);
	assert_non_null(d);
	while ((e = readdir(d)) != NULL)
		if (e->d_name[0] != '.') {
			files++;
			(void)snprintf(path, sizeof(path), "%s/%s", data, e->d_name);
		}
	(void)closedir(d);
	assert_int_equal(files, 2);
	poke(path, 5, "!", 1);
	assert_int_equal(journal_read(b->dir, RUN, compare_values, &w, &info, &err), -1);
	assert_int_equal(err.kind, ERR_REFUSED);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(journal_read(b->dir, RUN, compare_values, &w, &info, &err), -1);
	assert_int_equal(err.kind, ERR_REFUSED);
	free(big);
	free(edge);
	free(over);
}

static int
count_notes(void *data, uint64_t seq, const struct record *r, struct err *err)
{
	(void)seq, (void)err;
	*(unsigned *)data += r->type == REC_NOTE;
	return 0;
}

static void
much_at_once_is_split(void **state)
{
	const struct box *b = *state;
	char *text = text_of(10000);
	struct err err = ERR_INIT;
	struct journal_info info;
	unsigned notes = 0;
	struct journal *j;

	j = create(b);
	for (int round = 0; round < 3; round++) {
		for (int i = 0; i < 250; i++)
			OK(journal_add(j, &(struct record){ .type = REC_NOTE, .msg = text }, &err));
		OK(journal_commit(j, &err));
	}
	put(j, "last");
	journal_free(j);
	OK(journal_read(b->dir, RUN, count_notes, &notes, &info, &err));
	assert_int_equal(notes, 3 * 250 + 1);
	assert_in_range(info.batches, 1 + 3 * 3 + 1, 1 + 3 * 6 + 1);
	OK(journal_open(b->dir, RUN, NULL, NULL, &j, &info, &err));
	journal_free(j);
	free(text);
}

static void
too_much_for_a_batch(void **state)
{
	char *text = text_of(BATCH_BODY_MAX);
	struct err err = ERR_INIT;
	struct journal_info info;
	struct journal *j;

	j = create(*state);
	assert_int_equal(journal_add(j, &(struct record){ .type = REC_NOTE, .msg = text }, &err), -1);
	assert_int_equal(err.kind, ERR_LOCAL);
	assert_false(journal_staged(j));
	put(j, "a");
	journal_free(j);
	OK(check_read(*state, "open,note:a", &info, &err));
	free(text);
}

/* The file system ends at so many bytes. */
static void
limit_files(rlim_t bytes)
{
	struct rlimit l;

	assert_int_equal(getrlimit(RLIMIT_FSIZE, &l), 0);
	l.rlim_cur = bytes < l.rlim_max ? bytes : l.rlim_max;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &l), 0);
}

static void
add_completion(struct journal *j, char *text)
{
	struct value v = value_str(text);
	struct err err = ERR_INIT;

	OK(journal_add(j, &(struct record){ .type = REC_SETTLED, .step = "a", .effect = 1, .status = "ok", .value = &v }, &err));
	OK(journal_commit(j, &err));
	OK(journal_add(j, &(struct record){ .type = REC_END, .step = "a", .status = "done", .value = &v }, &err));
	OK(journal_commit(j, &err));
}

static void
full_disk_keeps_what_was_reserved(void **state)
{
	char *text = text_of(JOURNAL_INLINE_MAX - 2);
	const struct box *b = *state;
	struct err err = ERR_INIT;
	struct journal_info info;
	unsigned notes = 0;
	struct journal *j;

	j = create(b);
	OK(journal_reserve(j, 60, &err));
	limit_files(size_of(b->file));
	assert_int_equal(journal_reserve(j, 200, &err), -1);
	assert_int_equal(err.kind, ERR_LOCAL);
	assert_non_null(strstr(err.msg, "more bytes"));
	assert_true(err.next[0] != '\0');
	OK(journal_reserve(j, 60, &err)); /* not sticky */
	for (int i = 0; i < 60; i++)
		add_completion(j, text);
	put(j, "and the pause");
	OK(journal_seal(j, &err));
	journal_free(j);
	OK(journal_read(b->dir, RUN, count_notes, &notes, &info, &err));
	assert_int_equal(notes, 1);
	assert_int_equal(info.records, 1 + 120 + 1);
	/* Others took what was trimmed: taking over fails without harm. */
	limit_files(size_of(b->file));
	assert_int_equal(journal_open(b->dir, RUN, NULL, NULL, &j, &info, &err), -1);
	assert_int_equal(err.kind, ERR_LOCAL);
	limit_files(RLIM_INFINITY);
	OK(journal_read(b->dir, RUN, NULL, NULL, &info, &err));
	assert_int_equal(info.records, 1 + 120 + 1);
	OK(journal_open(b->dir, RUN, NULL, NULL, &j, &info, &err));
	journal_free(j);
	free(text);
}

static void
full_disk_to_the_last_byte(void **state)
{
	const struct box *b = *state;
	struct err err = ERR_INIT, again = ERR_INIT;
	char *text = text_of(30000);
	struct journal_info info;
	unsigned written = 1;
	struct journal *j;

	j = create(b);
	limit_files(size_of(b->file));
	for (;; written++) {
		OK(journal_add(j, &(struct record){ .type = REC_NOTE, .msg = text + written }, &err));
		if (journal_commit(j, &err) < 0)
			break;
	}
	assert_int_equal(err.kind, ERR_LOCAL);
	assert_in_range(written, 20, 40);
	limit_files(RLIM_INFINITY);
	/* Sticky, with the first error, even though there would be room again. */
	assert_int_equal(journal_commit(j, &again), -1);
	assert_string_equal(again.msg, err.msg);
	assert_int_equal(journal_reserve(j, 1, &again), -1);
	assert_int_equal(journal_seal(j, &again), -1);
	journal_free(j);
	OK(journal_read(b->dir, RUN, NULL, NULL, &info, &err));
	assert_int_equal(info.records, written);
	assert_false(info.torn);
	OK(journal_open(b->dir, RUN, NULL, NULL, &j, &info, &err));
	put(j, "goes on");
	journal_free(j);
	OK(journal_read(b->dir, RUN, NULL, NULL, &info, &err));
	assert_int_equal(info.records, written + 1);
	free(text);
}

static void
no_room_for_a_run(void **state)
{
	const struct box *b = *state;
	struct record r = { .type = REC_OPEN };
	struct err err = ERR_INIT;
	struct journal *j;

	limit_files(4096);
	assert_int_equal(journal_create(b->dir, RUN, &r, NULL, 0, &j, &err), -1);
	limit_files(RLIM_INFINITY);
	assert_int_equal(err.kind, ERR_LOCAL);
	journal_free(create(b));
}

static void
closure_is_stored(void **state)
{
	const struct journal_file files[] = {
		{ "plan.yaml", "name: x\n", 8 }, { "../lib/a b.lua", "return 1", 8 }, { ".hidden", "", 0 },
	};
	const struct box *b = *state;
	struct record r = { .type = REC_OPEN };
	struct buf to = BUF_INIT(0);
	struct err err = ERR_INIT;
	char hex[SHA256_HEX], folder[128];
	struct journal *j;
	struct stat st;

	OK(journal_create(b->dir, RUN, &r, files, countof(files), &j, &err));
	(void)snprintf(folder, sizeof(folder), "%s/%s", b->dir, RUN);
	assert_string_equal(journal_dir(j), folder);
	assert_int_equal(stat(folder, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0700);
	assert_int_equal(stat(b->file, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	for (size_t i = 0; i < countof(files); i++) {
		sha256_hex(files[i].p, files[i].len, hex);
		buf_clear(&to);
		OK(journal_load_file(b->dir, RUN, files[i].name, hex, &to, &err));
		assert_int_equal(to.len, files[i].len);
		assert_memory_equal(to.len > 0 ? to.p : "", files[i].p, files[i].len);
		hex[0] = hex[0] == '0' ? '1' : '0';
		assert_int_equal(journal_load_file(b->dir, RUN, files[i].name, hex, &to, &err), -1);
		assert_int_equal(err.kind, ERR_REFUSED);
	}
	assert_int_equal(journal_load_file(b->dir, RUN, "other", hex, &to, &err), -1);
	assert_int_equal(err.kind, ERR_REFUSED);
	(void)snprintf(folder, sizeof(folder), "%s/lib", b->dir);
	assert_int_equal(access(folder, F_OK), -1);
	buf_done(&to);
	journal_free(j);
}

static void
newest_run_first(void **state)
{
	static const char *const names[] = { "b", "c", "a" };
	const struct timespec tick = { .tv_nsec = 20000000 };
	const struct box *b = *state;
	struct record r = { .type = REC_OPEN };
	struct arena a = ARENA_INIT;
	struct err err = ERR_INIT;
	struct journal_info info;
	struct journal *j;
	const char **list;
	char path[128];
	size_t n;

	OK(journal_list("/nonexistent/state", &a, &list, &n, &err));
	assert_int_equal(n, 0);
	for (size_t i = 0; i < countof(names); i++) {
		OK(journal_create(b->dir, names[i], &r, NULL, 0, &j, &err));
		journal_free(j);
		(void)nanosleep(&tick, NULL);
	}
	OK(journal_open(b->dir, "b", NULL, NULL, &j, &info, &err)); /* use does not make it newer */
	journal_free(j);
	(void)snprintf(path, sizeof(path), "%s/empty", b->dir);
	assert_int_equal(mkdir(path, 0700), 0);
	OK(journal_list(b->dir, &a, &list, &n, &err));
	assert_int_equal(n, 3);
	assert_string_equal(list[0], "a");
	assert_string_equal(list[1], "c");
	assert_string_equal(list[2], "b");
	arena_done(&a);
}

struct live {
	const struct box *box;
	_Atomic bool over;
};

/* Write, seal and take over again, as fast as it goes. */
static void *
busy_writer(void *data)
{
	struct live *l = data;
	struct err err = ERR_INIT;
	struct journal_info info;
	struct journal *j;

	for (int round = 0; round < 40; round++) {
		if (journal_open(l->box->dir, RUN, NULL, NULL, &j, &info, &err) < 0)
			break;
		for (int i = 0; i < 10; i++)
			if (journal_add(j, &(struct record){ .type = REC_NOTE, .msg = "x" }, &err) < 0 ||
			    journal_commit(j, &err) < 0)
				break;
		(void)journal_seal(j, &err);
		journal_free(j);
	}
	l->over = true;
	return NULL;
}

static void
reading_beside_a_writer(void **state)
{
	struct live l = { .box = *state };
	struct err err = ERR_INIT;
	struct journal_info info;
	uint64_t before = 0;
	pthread_t writer;

	journal_free(create(*state));
	assert_int_equal(pthread_create(&writer, NULL, busy_writer, &l), 0);
	while (!l.over) {
		OK(journal_read(l.box->dir, RUN, NULL, NULL, &info, &err));
		assert_true(info.records >= before);
		before = info.records;
	}
	assert_int_equal(pthread_join(writer, NULL), 0);
	OK(journal_read(l.box->dir, RUN, NULL, NULL, &info, &err));
	assert_int_equal(info.records, 1 + 40 * 10);
}

#define T(f) cmocka_unit_test_setup_teardown(f, box_setup, box_teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(round_trip), T(readable_with_less), T(seal_and_resume), T(killed_and_resumed), T(key_stays), T(ids),
		T(leftover_of_a_create_is_used_again), T(second_writer_is_told_who), T(large_values_go_to_files),
		T(much_at_once_is_split), T(too_much_for_a_batch), T(full_disk_keeps_what_was_reserved),
		T(full_disk_to_the_last_byte), T(no_room_for_a_run), T(closure_is_stored), T(newest_run_first),
		T(reading_beside_a_writer),
	};

	(void)signal(SIGXFSZ, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Files, folders and locks, each test in a folder of its own under the temporary one. */
#include "base/io.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/fault.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int
enter(void **state)
{
	char dir[] = "/tmp/wherry-io-XXXXXX";

	if (mkdtemp(dir) == NULL || chdir(dir) < 0)
		return -1;
	*state = xstrdup(dir);
	return 0;
}

static int
leave(void **state)
{
	char *command = xasprintf("rm -rf '%s'", (char *)*state);
	int rc = system(command);

	free(command);
	free(*state);
	return rc;
}

static size_t
count_files(void)
{
	DIR *dir = opendir(".");
	size_t n = 0;

	while (readdir(dir) != NULL)
		n++;
	closedir(dir);
	return n - 2;
}

static void
replace_is_whole_and_leaves_nothing(void **state)
{
	struct buf b = BUF_INIT(0);
	struct err err = ERR_INIT;
	char sha256[SHA256_HEX];
	mode_t old = umask(077);
	struct stat st;

	(void)state;
	assert_int_equal(io_replace("f", "one", 3, 0644, &err), 0);
	assert_int_equal(io_replace("f", "second", 6, 0644, &err), 0);
	umask(old);
	assert_int_equal(stat("f", &st), 0);
	assert_int_equal(st.st_mode & 07777, 0644);
	assert_int_equal(io_read_file("f", 6, &b, &err), 0);
	assert_string_equal(b.p, "second");
	buf_done(&b);
	assert_int_equal(io_hash_file("f", sha256, &err), 0);
	assert_string_equal(sha256, "16367aacb67a4a017c8da8ab95682ccb390863780f7114dda0a0e0c55644c7c4");
	assert_int_equal(mkdir("dir", 0700), 0);
	assert_int_equal(io_replace("dir", "x", 1, 0600, &err), -1);
	assert_int_equal(err.kind, ERR_LOCAL);
	assert_int_equal(io_replace("none/f", "x", 1, 0600, &err), -1);
	assert_int_equal(count_files(), 2);
}

static void
read_has_a_limit_and_wants_a_file(void **state)
{
	struct buf b = BUF_INIT(0);
	struct err err = ERR_INIT;
	char *big = xcalloc(1, 100000);
	int fd;

	(void)state;
	memset(big, 'x', 100000);
	fd = open("f", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	assert_int_equal(io_write_all(fd, big, 100000, &err), 0);
	assert_int_equal(io_pwrite_all(fd, "END", 3, 99997, &err), 0);
	close(fd);
	assert_int_equal(io_read_file("f", 100000, &b, &err), 0);
	assert_int_equal(b.len, 100000);
	assert_string_equal(b.p + 99996, "xEND");
	buf_clear(&b);
	assert_int_equal(io_read_file("f", 99999, &b, &err), -1);
	assert_non_null(strstr(err.msg, "larger than the limit"));
	assert_int_equal(mkfifo("fifo", 0600), 0);
	assert_int_equal(io_read_file("fifo", 10, &b, &err), -1);
	assert_string_equal(err.msg, "'fifo' is not a regular file");
	assert_int_equal(io_read_file(".", 10, &b, &err), -1);
	assert_int_equal(io_read_file("/dev/zero", 10, &b, &err), -1);
	assert_int_equal(io_read_file("none", 10, &b, &err), -1);
	assert_string_equal(err.msg, "open 'none': No such file or directory");
	buf_done(&b);
	free(big);
}

static void
private_dir_is_closed_to_others(void **state)
{
	struct err err = ERR_INIT;
	struct stat st;

	(void)state;
	assert_int_equal(io_private_dir("a/b//c/", &err), 0);
	assert_int_equal(stat("a", &st), 0);
	assert_int_equal(st.st_mode & 07777, 0700);
	assert_int_equal(stat("a/b/c", &st), 0);
	assert_int_equal(st.st_mode & 07777, 0700);
	assert_int_equal(io_private_dir("a/b/c", &err), 0);
	assert_int_equal(chmod("a", 0750), 0);
	assert_int_equal(io_private_dir("a", &err), -1);
	assert_int_equal(err.kind, ERR_LOCAL);
	assert_string_equal(err.next, "chmod 700 'a'");
	assert_int_equal(io_private_dir("a/b/c", &err), 0);
	close(open("f", O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
	assert_int_equal(io_private_dir("f", &err), -1);
	assert_int_equal(io_private_dir("f/below", &err), -1);
	assert_int_equal(io_private_dir("", &err), -1);
	assert_int_equal(io_sync_parent("a/b/c", &err), 0);
	assert_int_equal(io_sync_dir("f", &err), SABOTAGED(DIR_SYNC) ? 0 : -1);
}

static void
lock_is_exclusive_and_heals(void **state)
{
	struct err err = ERR_INIT;
	char holder[64], tiny[8];
	struct stat st;
	int fd, again;

	(void)state;
	assert_int_equal(io_lock_held("l", holder, sizeof(holder)), 0);
	assert_int_equal(io_lock("l", "run 7\x1b on host", &fd, &err), 0);
	assert_int_equal(stat("l", &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_int_equal(fcntl(fd, F_GETFD), FD_CLOEXEC);
	assert_int_equal(io_lock("l", "other", &again, &err), -1);
	assert_int_equal(err.kind, ERR_LOCKED);
	assert_string_equal(err.msg, "run 7\\x1b on host");
	assert_int_equal(io_lock_held("l", holder, sizeof(holder)), 1);
	assert_string_equal(holder, "run 7\\x1b on host");
	assert_int_equal(io_lock_held("l", tiny, sizeof(tiny)), 1);
	assert_string_equal(tiny, "run …");
	close(fd);
	assert_int_equal(io_lock_held("l", holder, sizeof(holder)), 0);
	assert_int_equal(io_lock("l", "other", &again, &err), 0);
	assert_int_equal(io_lock_held("l", holder, sizeof(holder)), 1);
	assert_string_equal(holder, "other");
	close(again);
}

static void
lock_follows_no_link(void **state)
{
	struct err err = ERR_INIT;
	int fd;

	(void)state;
	assert_int_equal(io_replace("victim", "precious", 8, 0600, &err), 0);
	assert_int_equal(symlink("victim", "l"), 0);
	assert_int_equal(io_lock("l", "me", &fd, &err), -1);
	assert_int_equal(err.kind, ERR_LOCAL);
	assert_int_equal(mkfifo("fifo", 0600), 0);
	assert_int_equal(io_lock("fifo", "me", &fd, &err), -1);
}

static void
join_has_one_slash(void **state)
{
	struct arena a = ARENA_INIT;

	(void)state;
	assert_string_equal(io_join(&a, "a", "b"), "a/b");
	assert_string_equal(io_join(&a, "a//", "/b"), "a/b");
	assert_string_equal(io_join(&a, "/", "b"), "/b");
	assert_string_equal(io_join(&a, "", "b"), "b");
	arena_done(&a);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(replace_is_whole_and_leaves_nothing, enter, leave),
		cmocka_unit_test_setup_teardown(read_has_a_limit_and_wants_a_file, enter, leave),
		cmocka_unit_test_setup_teardown(private_dir_is_closed_to_others, enter, leave),
		cmocka_unit_test_setup_teardown(lock_is_exclusive_and_heals, enter, leave),
		cmocka_unit_test_setup_teardown(lock_follows_no_link, enter, leave),
		cmocka_unit_test(join_has_one_slash),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Child processes, with sh as the child. Deadlines only have to come or to stay away; no test measures time. */
#include "base/proc.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/clock.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static const char *const env[] = { "WRONG_PATH=/nowhere", "PATH=relative:/usr/bin:/bin", "MARK=wherry-test-4711", NULL };

static struct proc_spec
spec_of(const char *const *argv)
{
	return (struct proc_spec){
		.argv = argv,
		.env = env,
		.cap = 4096,
		.keep_fd = -1,
		.deadline = clock_now() + 60 * NS_PER_S,
		.grace = 60 * NS_PER_S,
		.cancel_fd = -1,
	};
}

/* Run a script under sh with the changes that the test made to spec. */
static struct proc_result
run(struct proc_spec spec, const char *script)
{
	const char *const argv[] = { "sh", "-c", script, NULL };
	struct proc_result r;
	struct err err = ERR_INIT;

	spec.argv = argv;
	if (proc_run(&spec, &r, &err) < 0)
		fail_msg("%s", err.msg);
	return r;
}

static void
output_code_and_signal(void **state)
{
	struct proc_result r = run(spec_of(NULL), "printf out; printf err >&2; exit 3");

	(void)state;
	assert_string_equal(r.out.p, "out");
	assert_string_equal(r.err.p, "err");
	assert_int_equal(r.code, 3);
	assert_int_equal(r.signal, 0);
	assert_int_equal(r.out_dropped, 0);
	assert_false(r.timed_out || r.cancelled);
	proc_result_done(&r);
	r = run(spec_of(NULL), "kill -KILL $$");
	assert_int_equal(r.code, -1);
	assert_int_equal(r.signal, SIGKILL);
	proc_result_done(&r);
}

static void
child_gets_only_what_was_given(void **state)
{
	struct proc_spec spec = spec_of(NULL);
	int fd = open("/proc/self/maps", O_RDONLY | O_CLOEXEC);
	struct proc_result r = run(spec, "read x; echo \"$HOME.$MARK.$?\"; ls -l /proc/self/fd | grep -c maps");

	(void)state;
	close(fd);
	assert_string_equal(r.out.p, ".wherry-test-4711.1\n0\n");
	proc_result_done(&r);
	spec.cwd = "/usr";
	r = run(spec, "pwd");
	assert_string_equal(r.out.p, "/usr\n");
	proc_result_done(&r);
}

static void
signals_are_as_in_a_fresh_process(void **state)
{
	struct proc_result r;
	sigset_t set, old;

	(void)state;
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigprocmask(SIG_BLOCK, &set, &old);
	r = run(spec_of(NULL), "kill -TERM $$; exit 0");
	assert_int_equal(r.signal, SIGTERM);
	proc_result_done(&r);
	sigprocmask(SIG_SETMASK, &old, NULL);
	r = run(spec_of(NULL), "kill -PIPE $$; exit 0"); /* we ourselves ignore it */
	assert_int_equal(r.signal, SIGPIPE);
	proc_result_done(&r);
}

static void
input_is_written_whole_or_not_wanted(void **state)
{
	struct proc_spec spec = spec_of(NULL);
	struct proc_result r;
	char *big = xcalloc(1, 1000000);

	(void)state;
	spec.stdin_data = (struct bytes){ big, 1000000 };
	r = run(spec, "wc -c");
	assert_int_equal(strtol(r.out.p, NULL, 10), 1000000);
	proc_result_done(&r);
	r = run(spec, "exit 0");
	assert_int_equal(r.code, 0);
	proc_result_done(&r);
	free(big);
}

static void
output_keeps_head_and_tail(void **state)
{
	struct proc_spec spec = spec_of(NULL);
	struct proc_result r;

	(void)state;
	spec.cap = 10;
	r = run(spec, "printf START; head -c 1000000 /dev/zero; printf END; printf 1234567890 >&2");
	assert_string_equal(r.out.p, "START\n[… 999998 bytes dropped …]\n");
	assert_memory_equal(r.out.p + r.out.len - 5, "\0\0END", 5);
	assert_int_equal(r.out_dropped, 999998);
	assert_string_equal(r.err.p, "1234567890");
	assert_int_equal(r.err_dropped, 0);
	proc_result_done(&r);
	spec.cap = 0;
	r = run(spec, "printf x");
	assert_int_equal(r.out_dropped, 1);
	proc_result_done(&r);
}

static void
what_cannot_start_is_a_definite_failure(void **state)
{
	static const struct {
		const char *program, *cwd, *want;
	} rows[] = {
		{ "no-such-program", NULL, "start 'no-such-program': not found in PATH" },
		{ "", NULL, "start '': not found in PATH" },
		{ "/no/such", NULL, "start '/no/such': No such file or directory" },
		{ "/etc/passwd", NULL, "start '/etc/passwd': Permission denied" },
		{ "/bin/sh", "/no/dir", "start '/bin/sh' in '/no/dir': No such file or directory" },
	};
	struct proc_result r = { .code = 77 };

	(void)state;
	for (size_t i = 0; i < countof(rows); i++) {
		const char *const argv[] = { rows[i].program, NULL };
		struct proc_spec spec = spec_of(argv);
		struct err err = ERR_INIT;

		spec.cwd = rows[i].cwd;
		assert_int_equal(proc_run(&spec, &r, &err), -1);
		assert_int_equal(err.kind, ERR_FAILED);
		assert_string_equal(err.msg, rows[i].want);
		assert_int_equal(r.code, 77);
	}
}

static void
relative_path_entries_are_ignored(void **state)
{
	static const char *const here[] = { "PATH=.:bin::", NULL };
	const char *const argv[] = { "tool", NULL };
	struct proc_spec spec = spec_of(argv);
	char dir[] = "/tmp/wherry-proc-XXXXXX";
	struct proc_result r;
	struct err err = ERR_INIT;
	int fd;

	(void)state;
	assert_non_null(mkdtemp(dir));
	assert_int_equal(chdir(dir), 0);
	fd = open("tool", O_WRONLY | O_CREAT | O_CLOEXEC, 0700);
	assert_int_equal(write(fd, "#!/bin/sh\n", 10), 10);
	close(fd);
	spec.env = here;
	assert_int_equal(proc_run(&spec, &r, &err), -1);
	assert_string_equal(err.msg, "start 'tool': not found in PATH");
	unlink("tool");
	rmdir(dir);
}

static void
deadline_ends_the_whole_group(void **state)
{
	struct proc_spec spec = spec_of(NULL);
	struct proc_result r;

	(void)state;
	spec.deadline = clock_now() + NS_PER_S; /* it must have begun */
	r = run(spec, "sleep 600 & sleep 600");
	assert_true(r.timed_out);
	assert_false(r.cancelled);
	assert_int_equal(r.signal, SIGTERM);
	proc_result_done(&r);
}

static void
cancel_ends_the_child(void **state)
{
	struct proc_spec spec = spec_of(NULL);
	struct proc_result r;
	char script[128], seen;
	int ends[2];

	(void)state;
	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	assert_in_range(ends[1], 3, 9);
	spec.cancel_fd = ends[0];
	spec.keep_fd = ends[1];
	/* The child itself asks for its end, once it is ready for it. */
	(void)snprintf(script, sizeof(script), "trap 'echo bye; exit 5' TERM; echo x >&%d; while :; do sleep 0.01; done",
		       ends[1]);
	r = run(spec, script);
	assert_true(r.cancelled);
	assert_false(r.timed_out);
	assert_int_equal(r.code, 5);
	assert_string_equal(r.out.p, "bye\n");
	proc_result_done(&r);
	assert_int_equal(read(ends[0], &seen, 1), 1);
	assert_int_equal(read(ends[0], &seen, 1), 1);
	spec.grace = 50 * NS_PER_MS;
	(void)snprintf(script, sizeof(script), "trap '' TERM; echo x >&%d; sleep 600; sleep 600", ends[1]);
	r = run(spec, script);
	assert_int_equal(r.signal, SIGKILL);
	proc_result_done(&r);
	assert_int_equal(fcntl(ends[1], F_GETFD), FD_CLOEXEC);
	close(ends[0]);
	close(ends[1]);
}

static atomic_bool pressing;

static void *
press_keys(void *data)
{
	while (atomic_load(&pressing))
		(void)kill(0, SIGINT);
	return data;
}

/* In a process group of its own, as below a terminal where somebody leans on ^C, which this process takes in its own way. */
static void
keys_of_the_terminal_hit_no_child(void **state)
{
	const pid_t pid = fork();
	int status, bad = 0;
	pthread_t presser;
	sigset_t set;

	(void)state;
	if (pid == 0) {
		(void)setpgid(0, 0);
		(void)sigemptyset(&set);
		(void)sigaddset(&set, SIGINT);
		(void)sigprocmask(SIG_BLOCK, &set, NULL);
		atomic_store(&pressing, true);
		if (pthread_create(&presser, NULL, press_keys, NULL) != 0)
			_exit(99);
		for (int i = 0; i < 100; i++) {
			struct proc_spec spec = spec_of(NULL);
			struct proc_result r;

			spec.stdin_data = (struct bytes){ "in", 2 };
			r = run(spec, "cat; echo out");
			bad += r.code != 0 || strcmp(r.out.p, "inout\n") != 0;
			proc_result_done(&r);
		}
		atomic_store(&pressing, false);
		(void)pthread_join(presser, NULL);
		_exit(bad);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

static void
nothing_starts_when_it_is_too_late(void **state)
{
	const char *const argv[] = { "true", NULL };
	struct proc_spec spec = spec_of(argv);
	struct err err = ERR_INIT;
	struct proc_result r;
	atomic_int cancel = 1;

	(void)state;
	spec.cancel = &cancel;
	assert_int_equal(proc_run(&spec, &r, &err), -1);
	assert_int_equal(err.kind, ERR_CANCELLED);
	spec.cancel = NULL;
	spec.deadline = 1;
	assert_int_equal(proc_run(&spec, &r, &err), -1);
	assert_int_equal(err.kind, ERR_TIMEOUT);
}

static void
grandchild_neither_hangs_us_nor_hides(void **state)
{
	char text[256], tiny[24], start[64], mark[64];
	const char *const marked[] = { "PATH=/usr/bin:/bin", mark, NULL };
	struct proc_spec spec = spec_of(NULL);
	struct proc_result r;
	pid_t pid, found[4];

	(void)state;
	(void)snprintf(mark, sizeof(mark), "MARK=wherry-test-%ld", (long)getpid());
	spec.env = marked;
	spec.deadline = NEVER;
	r = run(spec, "sleep 600 & echo $!"); /* it holds both pipes */
	pid = (pid_t)strtol(r.out.p, NULL, 10);
	assert_int_equal(r.code, 0);
	proc_result_done(&r);
	assert_int_equal(proc_find(mark, found, countof(found)), 1);
	assert_int_equal(found[0], pid);
	assert_int_equal(proc_find(mark, found, 0), 0);
	mark[strlen(mark) - 1] = '\0'; /* a prefix is another mark */
	assert_int_equal(proc_find(mark, found, countof(found)), 0);
	kill(pid, SIGKILL);
	(void)snprintf(start, sizeof(start), "pid %ld (", (long)getpid());
	assert_memory_equal(proc_describe(getpid(), text, sizeof(text)), start, strlen(start));
	assert_non_null(strstr(text, "test_base_proc"));
	assert_true(strlen(proc_describe(getpid(), tiny, sizeof(tiny))) < sizeof(tiny));
	assert_string_equal(proc_describe(0, text, sizeof(text)), "pid 0");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(output_code_and_signal),
		cmocka_unit_test(child_gets_only_what_was_given),
		cmocka_unit_test(signals_are_as_in_a_fresh_process),
		cmocka_unit_test(input_is_written_whole_or_not_wanted),
		cmocka_unit_test(output_keeps_head_and_tail),
		cmocka_unit_test(what_cannot_start_is_a_definite_failure),
		cmocka_unit_test(relative_path_entries_are_ignored),
		cmocka_unit_test(deadline_ends_the_whole_group),
		cmocka_unit_test(cancel_ends_the_child),
		cmocka_unit_test(keys_of_the_terminal_hit_no_child),
		cmocka_unit_test(nothing_starts_when_it_is_too_late),
		cmocka_unit_test(grandchild_neither_hangs_us_nor_hides),
	};

	(void)signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Libraries that are loaded late: a function is found once, from any thread, and one that is missing is told. */
#include "base/library.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define LIBRARY "libyaml-0.so.2" /* any that is on each machine that builds this */

static void
found_and_kept(void **state)
{
	struct library_call call = { NULL };
	const char *(*version)(void) = (const char *(*)(void))library_call(&call, LIBRARY, "yaml_get_version_string");

	(void)state;
	assert_int_equal(version()[0], '0');
	assert_ptr_equal(library_call(&call, "libno-such.so.0", "no_such"), version);
}

/* What a process says that calls it; it ends by the abort. */
static void
dying_words(const char *library, const char *name, char *ret, size_t size)
{
	int ends[2], status;
	ssize_t n;
	pid_t pid;

	assert_int_equal(pipe(ends), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		struct library_call call = { NULL };

		(void)dup2(ends[1], STDERR_FILENO);
		(void)library_call(&call, library, name);
		_exit(0);
	}
	(void)close(ends[1]);
	for (size_t have = 0; (n = read(ends[0], ret + have, size - 1 - have)) > 0; have += (size_t)n)
		ret[have + (size_t)n] = '\0';
	(void)close(ends[0]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
}

static void
missing_is_told(void **state)
{
	char said[1024] = "";

	(void)state;
	dying_words("libno-such.so.0", "no_such", said, sizeof(said));
	assert_non_null(strstr(said, "wherry: libno-such.so.0: "));
	assert_non_null(strstr(said, "the run can be resumed\n"));
	dying_words(LIBRARY, "no_such", said, sizeof(said));
	assert_non_null(strstr(said, "no_such"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(found_and_kept), cmocka_unit_test(missing_is_told) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}

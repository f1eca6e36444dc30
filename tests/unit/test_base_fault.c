/* SPDX-License-Identifier: Apache-2.0 */
/* Fault points, built in here whatever the build says. The process that dies at one is this program again, started
 * with the points to pass as arguments. */
#ifndef WHERRY_FAULTS
#define WHERRY_FAULTS
#endif
#include "base/fault.c"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/io.h"
#include "base/proc.h"

#define LOG "/tmp/wherry-fault-XXXXXX"

/* Pass the points a, b, a and print the number passed; returns the signal that ended it. */
static int
pass(const char *fault, const char *log, int *ret_code)
{
	const char *const argv[] = { "/proc/self/exe", "a", "b", "a", NULL };
	const char *const env[] = { fault, log, NULL };
	struct proc_spec spec = {
		.argv = argv,
		.env = env,
		.cap = 100,
		.keep_fd = -1,
		.deadline = clock_now() + 60 * NS_PER_S,
		.cancel_fd = -1,
	};
	struct proc_result r;
	struct err err = ERR_INIT;

	assert_int_equal(proc_run(&spec, &r, &err), 0);
	proc_result_done(&r);
	*ret_code = r.code;
	return r.signal;
}

static void
kills_at_the_named_hit_only(void **state)
{
	static const struct {
		const char *fault;
		int signal;
	} rows[] = {
		{ "WHERRY_FAULT=a:1", SIGKILL },      { "WHERRY_FAULT=a:2", SIGKILL },   { "WHERRY_FAULT=b:1:kill", SIGKILL },
		{ "WHERRY_FAULT=a:3", 0 },            { "WHERRY_FAULT=b:2", 0 },         { "WHERRY_FAULT=aa:1", 0 },
		{ "OTHER=a:1", 0 },
	};
	int code;

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		assert_int_equal(pass(rows[i].fault, NULL, &code), rows[i].signal);
		assert_int_equal(code, rows[i].signal ? -1 : 3);
	}
}

static void
logs_every_hit(void **state)
{
	char path[] = LOG, var[64];
	struct buf b = BUF_INIT(0);
	struct err err = ERR_INIT;
	int fd = mkstemp(path), code;

	(void)state;
	close(fd);
	(void)snprintf(var, sizeof(var), "WHERRY_FAULT_LOG=%s", path);
	assert_int_equal(pass("WHERRY_FAULT=a:2", var, &code), SIGKILL);
	assert_int_equal(io_read_file(path, 1000, &b, &err), 0);
	assert_string_equal(b.p, "a 1\nb 1\na 2\n");
	buf_done(&b);
	unlink(path);
}

int
main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(kills_at_the_named_hit_only),
		cmocka_unit_test(logs_every_hit),
	};

	for (int i = 1; i < argc; i++)
		fault_point(argv[i]);
	return argc > 1 ? argc - 1 : cmocka_run_group_tests(tests, NULL, NULL);
}

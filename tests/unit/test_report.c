/* SPDX-License-Identifier: Apache-2.0 */
/* The renderers: the same events give the same words, nothing from outside reaches a terminal raw, and the live view
 * fits its terminal. */
#include "event.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include <cmocka.h>
#include <fcntl.h>

#include "base/clock.h"

static const struct event run_events[] = {
	{ .kind = EVENT_OPEN, .run = "r1", .plan = "copy-it", .msg = "run", .steps = 4 },
	{ .kind = EVENT_START, .step = "copy", .type = "etcd.copy", .attempt = 1, .wall = 1000 },
	{ .kind = EVENT_EFFECT, .step = "copy", .verb = "copy", .ref = "b /x/", .says = "copy /x/ to b", .wall = 1001 },
	{ .kind = EVENT_PROGRESS, .step = "copy", .done = 50, .total = 200, .unit = "keys", .wall = 20000 },
	{ .kind = EVENT_PROGRESS, .step = "copy", .done = 60, .total = 200, .unit = "keys", .wall = 20001 },
	{ .kind = EVENT_RETRY, .step = "copy", .attempt = 1, .err_kind = "unreachable", .msg = "no\nroute\033[2J",
	  .ns = 2 * NS_PER_S, .wall = 21000 },
	{ .kind = EVENT_END, .step = "copy", .status = STEP_DONE, .ns = 3 * NS_PER_S, .wall = 22000 },
	{ .kind = EVENT_END, .step = "drain", .status = STEP_SKIPPED, .msg = "when is false", .wall = 22000 },
	{ .kind = EVENT_END, .step = "verify", .status = STEP_FAILED, .ns = NS_PER_S, .msg = "2 keys differ",
	  .next = "look at them", .wall = 23000 },
	{ .kind = EVENT_CLOSE, .code = 1, .msg = "failed: verify", .next = "wherry resume r1", .wall = 23000 },
};

static const struct event plan_events[] = {
	{ .kind = EVENT_OPEN, .plan = "copy-it", .msg = "plan", .steps = 4 },
	{ .kind = EVENT_START, .step = "look", .type = "etcd.status" },
	{ .kind = EVENT_END, .step = "look", .type = "etcd.status", .status = STEP_DONE },
	{ .kind = EVENT_ACTION, .step = "put", .type = "etcd.put", .verb = "put", .ref = "b key/x", .says = "write x",
	  .confidence = CONF_SIMULATED, .diff = "- : \"1\"\n+ : \"\033\"\n" },
	{ .kind = EVENT_ACTION, .step = "put", .type = "etcd.put", .verb = "put", .ref = "b key/y", .says = "write y",
	  .unchanged = true },
	{ .kind = EVENT_END, .step = "put", .type = "etcd.put", .status = STEP_DONE },
	{ .kind = EVENT_ACTION, .step = "swap", .type = "exec", .verb = "run", .ref = "process sh", .says = "run sh",
	  .confidence = CONF_OPAQUE },
	{ .kind = EVENT_PREDICTED, .step = "check", .type = "assert", .msg = "that needs steps.swap.outputs.code" },
	{ .kind = EVENT_ASSUME, .step = "wait", .type = "wait", .msg = "the wait succeeds" },
	{ .kind = EVENT_END, .step = "tidy", .type = "exec", .status = STEP_SKIPPED, .msg = "when is false" },
	{ .kind = EVENT_CLOSE, .code = 0, .msg = "planned" },
};

static int
open_pipe(int fds[2])
{
	assert_int_equal(pipe2(fds, O_CLOEXEC | O_NONBLOCK), 0);
	return fds[1];
}

static void
drain(int fd, char *ret, size_t size)
{
	size_t len = 0;
	ssize_t n;

	while (len + 1 < size && (n = read(fd, ret + len, size - 1 - len)) > 0)
		len += (size_t)n;
	ret[len] = '\0';
}

/* Feed events to a renderer; what it wrote. */
static void
render(const struct report_options *o, const struct event *e, size_t n, char out[8192], char errs[8192])
{
	struct report_options opt = *o;
	int fds[2][2];
	struct report *r;

	opt.out = open_pipe(fds[0]);
	opt.err = open_pipe(fds[1]);
	r = report_new(&opt);
	for (size_t i = 0; i < n; i++)
		report_event(r, &e[i]);
	report_finish(r);
	report_free(r);
	drain(fds[0][0], out, 8192);
	drain(fds[1][0], errs, 8192);
	for (int i = 0; i < 2; i++) {
		close(fds[i][0]);
		close(fds[i][1]);
	}
}

static void
test_plain_run(void **state)
{
	char out[8192], errs[8192];

	(void)state;
	render(&(struct report_options){ .format = FORMAT_TTY, .color = -1 }, run_events, countof(run_events), out, errs);
	assert_string_equal(out, "");
	assert_string_equal(errs,
			    "1970-01-01T00:00:00.000Z run r1: copy-it, 4 steps\n"
			    "1970-01-01T00:00:01.000Z copy: started, etcd.copy\n"
			    "1970-01-01T00:00:01.001Z copy: copy /x/ to b\n"
			    "1970-01-01T00:00:20.000Z copy: 25 %, 50 of 200 keys\n"
			    "1970-01-01T00:00:21.000Z copy: attempt 1 ended: unreachable: no\\nroute\\x1b[2J; again in 2.0s\n"
			    "1970-01-01T00:00:22.000Z copy: done in 3.0s\n"
			    "1970-01-01T00:00:22.000Z drain: skipped: when is false\n"
			    "1970-01-01T00:00:23.000Z verify: failed after 1.0s: 2 keys differ\n  next: look at them\n"
			    "1970-01-01T00:00:23.000Z r1: failed: verify\n"
			    "2 of 4 steps finished: 1 done, 1 skipped, 1 failed\n"
			    "next: wherry resume r1\n");
}

static void
test_quiet_run(void **state)
{
	char out[8192], errs[8192];

	(void)state;
	render(&(struct report_options){ .format = FORMAT_PLAIN, .color = -1, .quiet = true }, run_events,
	       countof(run_events), out, errs);
	assert_string_equal(errs,
			    "1970-01-01T00:00:23.000Z verify: failed after 1.0s: 2 keys differ\n  next: look at them\n"
			    "1970-01-01T00:00:23.000Z r1: failed: verify\n"
			    "next: wherry resume r1\n");
}

static void
test_plain_plan(void **state)
{
	char out[8192], errs[8192];

	(void)state;
	render(&(struct report_options){ .format = FORMAT_PLAIN, .color = -1 }, plan_events, countof(plan_events), out,
	       errs);
	assert_string_equal(out, "plan copy-it: what a run of its 4 steps would do\n"
				 "look (etcd.status)\n"
				 "  no effect\n"
				 "put (etcd.put)\n"
				 "  ~ put  b key/x  [simulated]  write x\n"
				 "      - : \"1\"\n"
				 "      + : \"\\x1b\"\n"
				 "  = put  b key/y  [unchanged]  write y\n"
				 "swap (exec)\n"
				 "  ! run  process sh  [opaque]  run sh\n"
				 "check (assert)\n"
				 "  ? that needs steps.swap.outputs.code\n"
				 "wait (wait)\n"
				 "  assumed: the wait succeeds\n"
				 "tidy (exec)\n"
				 "  skipped: when is false\n"
				 "\n2 actions: 0 exact, 1 simulated, 0 predicted, 1 opaque; 1 unchanged; "
				 "1 step depends on what is not known yet\n");
	assert_string_equal(errs, "");
}

/* Are these the same JSON objects, line by line, whatever the order of their members? */
static void
assert_json_lines(const char *got, const char *const *want, size_t n)
{
	struct arena a = ARENA_INIT;
	struct err err = ERR_INIT;
	struct value v[2];

	for (size_t i = 0; i < n; i++) {
		size_t len = strcspn(got, "\n");

		assert_int_equal(value_parse_json(&a, got, len, &v[0], &err), 0);
		assert_int_equal(value_parse_json(&a, want[i], strlen(want[i]), &v[1], &err), 0);
		if (!value_eq(&v[0], &v[1]))
			fail_msg("%.*s is not %s", (int)len, got, want[i]);
		got += len + 1;
	}
	assert_string_equal(got, "");
	arena_done(&a);
}

static void
test_json(void **state)
{
	static const char *const want[] = {
		"{\"event\":\"retry\",\"time\":\"1970-01-01T00:00:21.000Z\",\"step\":\"copy\",\"attempt\":1,"
		"\"kind\":\"unreachable\",\"message\":\"no\\nroute\\u001b[2J\",\"ns\":2000000000}",
		"{\"event\":\"end\",\"time\":\"1970-01-01T00:00:22.000Z\",\"step\":\"copy\",\"status\":\"done\","
		"\"ns\":3000000000}",
		"{\"event\":\"end\",\"time\":\"1970-01-01T00:00:22.000Z\",\"step\":\"drain\",\"status\":\"skipped\","
		"\"message\":\"when is false\",\"ns\":0}",
		"{\"event\":\"end\",\"time\":\"1970-01-01T00:00:23.000Z\",\"step\":\"verify\",\"status\":\"failed\","
		"\"message\":\"2 keys differ\",\"ns\":1000000000,\"next\":\"look at them\"}",
	};
	char out[8192], errs[8192];

	(void)state;
	render(&(struct report_options){ .format = FORMAT_JSON }, run_events + 5, 4, out, errs);
	assert_null(strchr(out, '\033'));
	assert_json_lines(out, want, countof(want));
	assert_string_equal(errs, "");
}

static void
test_status_line(void **state)
{
	char errs[8192];
	int fds[2];
	struct report_options o = { .format = FORMAT_PLAIN, .quiet = true, .out = -1, .err = open_pipe(fds) };
	struct report *r = report_new(&o);

	(void)state;
	for (size_t i = 0; i < 4; i++)
		report_event(r, &run_events[i]);
	report_status(r);
	drain(fds[0], errs, sizeof(errs));
	assert_string_equal(errs + strlen("1970-01-01T00:00:00.000Z "),
			    "0 of 4 steps finished; 1 running; copy 25 %, 50 of 200 keys\n");
	report_free(r);
	close(fds[0]);
	close(fds[1]);
}

/* A reader that went away is not an error and does not kill. */
static void
test_closed_reader(void **state)
{
	int fds[2];
	struct report_options o = { .format = FORMAT_PLAIN, .out = open_pipe(fds), .err = fds[1] };
	struct report *r = report_new(&o);

	(void)state;
	signal(SIGPIPE, SIG_IGN);
	close(fds[0]);
	for (size_t i = 0; i < countof(run_events); i++)
		report_event(r, &run_events[i]);
	report_finish(r);
	report_free(r);
	close(fds[1]);
}

/* The live view on a terminal of `columns`: what it wrote for `n` progress events. */
static void
live(unsigned short columns, unsigned n, char *ret, size_t size)
{
	const struct winsize ws = { .ws_row = 10, .ws_col = columns };
	struct event e = run_events[3];
	struct report_options o = { .format = FORMAT_TTY, .color = 0 };
	struct termios raw;
	struct report *r;
	int master = posix_openpt(O_RDWR | O_NOCTTY | O_NONBLOCK), slave;

	assert_true(master >= 0 && grantpt(master) == 0 && unlockpt(master) == 0);
	slave = open(ptsname(master), O_RDWR | O_NOCTTY);
	assert_true(slave >= 0 && tcgetattr(slave, &raw) == 0);
	cfmakeraw(&raw);
	tcsetattr(slave, TCSANOW, &raw);
	ioctl(slave, TIOCSWINSZ, &ws);
	o.out = o.err = slave;
	setenv("TERM", "xterm", 1);
	r = report_new(&o);
	report_event(r, &run_events[0]);
	report_event(r, &run_events[1]);
	for (unsigned i = 0; i < n; i++) {
		e.done = i;
		e.total = n;
		report_event(r, &e);
	}
	report_tick(r, clock_now() + NS_PER_S);
	report_event(r, &run_events[6]);
	report_finish(r);
	report_free(r);
	drain(master, ret, size);
	close(slave);
	close(master);
}

static size_t
count_of(const char *in, const char *what)
{
	size_t n = 0;

	for (const char *p = in; (p = strstr(p, what)) != NULL; p++)
		n++;
	return n;
}

/* The widest line, escape sequences left out, between the marks that frame a block. */
static size_t
widest(const char *text)
{
	size_t max = 0, at = 0;
	bool in_block = false;

	for (const char *p = text; *p != '\0'; p++) {
		if (*p == '\033') {
			in_block = strncmp(p, "\033[?7l", 5) == 0 ? true : strncmp(p, "\033[?7h", 5) == 0 ? false : in_block;
			p += strcspn(p, "ABCDEFGHJKlhm");
		} else if (*p == '\n' || *p == '\r') {
			at = 0;
		} else if (++at > max && in_block) {
			max = at;
		}
	}
	return max;
}

static void
test_live_fits(void **state)
{
	static const unsigned short widths[] = { 20, 40, 80, 200 };
	static char text[1 << 20];

	(void)state;
	for (size_t i = 0; i < countof(widths); i++) {
		live(widths[i], 200, text, sizeof(text));
		assert_non_null(strstr(text, "100 %"));
		assert_non_null(strstr(text, "copy"));
		assert_true(widest(text) < widths[i]);
		assert_true(widest(text) > 10);
	}
	assert_non_null(strstr(text, "[=="));
	assert_non_null(strstr(text, "copy: done in 3.0s\n"));
}

/* Two thousand events in far less than a second are a handful of redraws. */
static void
test_live_is_calm(void **state)
{
	static char text[1 << 20];

	(void)state;
	live(80, 2000, text, sizeof(text));
	assert_true(count_of(text, "\033[?7l") < 50);
}

static void
test_dumb_terminal(void **state)
{
	char out[8192], errs[8192];

	(void)state;
	setenv("TERM", "dumb", 1);
	render(&(struct report_options){ .format = FORMAT_AUTO, .color = -1 }, run_events, 1, out, errs);
	assert_null(strchr(errs, '\033'));
	assert_non_null(strstr(errs, "run r1: copy-it, 4 steps\n"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_plain_run),     cmocka_unit_test(test_quiet_run),
		cmocka_unit_test(test_plain_plan),    cmocka_unit_test(test_json),
		cmocka_unit_test(test_status_line),   cmocka_unit_test(test_closed_reader),
		cmocka_unit_test(test_live_fits),     cmocka_unit_test(test_live_is_calm),
		cmocka_unit_test(test_dumb_terminal),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

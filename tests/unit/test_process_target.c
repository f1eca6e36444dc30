/* SPDX-License-Identifier: Apache-2.0 */
/* The target kind of child processes, with real children. A dead wherry is played by this program itself, started
 * anew as "victim" and killed while its child runs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/proc.h"
#include "step.h"
#include "steps/target/targets.h"

#define NONCE "00112233445566778899aabbccddeeff"

struct world {
	struct opctx op; /* first: note() gets it back */
	struct arena arena;
	char scratch[64];
	atomic_int cancel;
	char noted[512];
	pid_t kill_on_note;
};

static void
on_note(struct opctx *op, const char *text)
{
	struct world *w = (struct world *)op;

	snprintf(w->noted, sizeof(w->noted), "%s", text);
	if (w->kill_on_note > 0)
		kill(w->kill_on_note, SIGKILL);
}

static void
world_init(struct world *w, const char *scratch)
{
	*w = (struct world){ .op = { .deadline = clock_now() + 60 * NS_PER_S, .cancel_fd = -1, .run = "r1",
				     .step = "a/b", .epoch = 1, .note = on_note } };
	snprintf(w->scratch, sizeof(w->scratch), "%s", scratch);
	w->op.arena = &w->arena;
	w->op.cancel = &w->cancel;
	w->op.scratch = w->scratch;
}

static int
setup(void **state)
{
	char dir[] = "/tmp/wherry-process-XXXXXX";

	*state = test_malloc(sizeof(struct world));
	assert_non_null(mkdtemp(dir));
	world_init(*state, dir);
	return 0;
}

static int
teardown(void **state)
{
	struct world *w = *state;
	char cmd[128];

	snprintf(cmd, sizeof(cmd), "rm -rf '%s'", w->scratch);
	assert_int_equal(system(cmd), 0);
	arena_done(&w->arena);
	test_free(w);
	return 0;
}

static struct value
words(struct world *w, const char *const *list)
{
	struct value *items;
	size_t n = 0;

	while (list[n] != NULL)
		n++;
	items = arena_array(&w->arena, n, sizeof(*items));
	for (size_t i = 0; i < n; i++)
		items[i] = value_str(list[i]);
	return value_list(items, n);
}

#define ARGV(w, ...) words(w, (const char *const[]){ __VA_ARGS__, NULL })

/* An effect with body {argv, key: v}; key may be NULL. */
static struct effect
effect(struct world *w, struct value argv, const char *key, struct value v)
{
	struct pair *body = arena_array(&w->arena, 3, sizeof(*body));

	body[0] = (struct pair){ "argv", argv };
	body[1] = (struct pair){ "grace", value_int(NS_PER_S) };
	body[2] = (struct pair){ key, v };
	return (struct effect){ .on = { NULL, "exec" }, .verb = "run", .body = value_map(body, key != NULL ? 3 : 2),
				.class = EFFECT_OPAQUE, .says = "run it" };
}

static struct effect
shell(struct world *w, const char *script)
{
	return effect(w, ARGV(w, "/bin/sh", "-c", script), NULL, VALUE_NULL);
}

static int
perform(struct world *w, const struct effect *e, struct reply *ret, struct err *err)
{
	return process_target.write(&w->op, NULL, e, NONCE, ret, err);
}

/* Perform and return the reply's member. */
static const char *
output_of(struct world *w, const struct effect *e, const char *member)
{
	struct reply reply = { 0 };
	struct err err = ERR_INIT;

	if (perform(w, e, &reply, &err) < 0)
		fail_msg("%s", err.msg);
	assert_int_equal(reply.outcome, OUTCOME_OK);
	return value_get_str(&reply.value, member, NULL);
}

static void
test_reply(void **state)
{
	struct world *w = *state;
	struct effect e = shell(w, "echo out; echo oops >&2; exit 3");
	struct reply reply = { 0 };
	struct err err = ERR_INIT;

	assert_int_equal(perform(w, &e, &reply, &err), 0);
	assert_int_equal(reply.outcome, OUTCOME_OK);
	assert_int_equal(value_get_int(&reply.value, "code", -9), 3);
	assert_int_equal(value_get_int(&reply.value, "signal", -9), 0);
	assert_string_equal(value_get_str(&reply.value, "stdout", ""), "out\n");
	assert_string_equal(value_get_str(&reply.value, "stderr", ""), "oops\n");
	assert_int_equal(value_get_int(&reply.value, "stdout_dropped", -9), 0);
}

static void
test_signal(void **state)
{
	struct world *w = *state;
	struct effect e = shell(w, "kill -9 $$");
	struct reply reply = { 0 };
	struct err err = ERR_INIT;

	assert_int_equal(perform(w, &e, &reply, &err), 0);
	assert_int_equal(value_get_int(&reply.value, "code", 0), -1);
	assert_int_equal(value_get_int(&reply.value, "signal", 0), SIGKILL);
}

static void
test_stdin(void **state)
{
	struct world *w = *state;
	struct secret secret = { .where = "params.x", .len = 6, .content = (char[]){ "hunter" } };
	struct effect e = effect(w, ARGV(w, "cat"), "stdin", value_str("hello"));

	assert_string_equal(output_of(w, &e, "stdout"), "hello");
	e = effect(w, ARGV(w, "wc", "-c"), "stdin", value_secret(&secret));
	assert_int_equal(atoi(output_of(w, &e, "stdout")), 6);
}

static void
test_environment(void **state)
{
	struct world *w = *state;
	const char *script = "echo \"$WHERRY_RUN|$WHERRY_STEP|$WHERRY_EFFECT|$OWN|$KEPT|${WHERRY_PARAM_X-none}\"; "
			     "env | grep -c ^OWN=";
	struct pair own = { "OWN", value_str("new") };
	struct effect e = effect(w, ARGV(w, "sh", "-c", script), "env", value_map(&own, 1));

	setenv("OWN", "old", 1);
	setenv("KEPT", "yes", 1);
	setenv("WHERRY_PARAM_X", "leaked", 1);
	setenv("WHERRY_EFFECT", "of an outer wherry", 1);
	assert_string_equal(output_of(w, &e, "stdout"), "r1|a/b|" NONCE "|new|yes|none\n1\n");
	unsetenv("OWN");
	unsetenv("KEPT");
	unsetenv("WHERRY_PARAM_X");
	unsetenv("WHERRY_EFFECT");
}

static void
test_secret_reaches_only_the_environment(void **state)
{
	struct world *w = *state;
	struct secret secret = { .where = "params.x", .len = 12, .content = (char[]){ "correcthorse" } };
	struct pair env = { "TOKEN", value_secret(&secret) };
	struct effect e = effect(w, ARGV(w, "sh", "-c",
					 "grep -q \"$TOKEN\" /proc/$$/cmdline || echo hidden; [ ${#TOKEN} = 12 ] && "
					 "echo whole; echo \"<$TOKEN$TOKEN>\"; echo \"at $TOKEN\" >&2"),
				 "env", value_map(&env, 1));
	struct reply reply = { 0 };
	struct err err = ERR_INIT;

	assert_int_equal(perform(w, &e, &reply, &err), 0);
	assert_string_equal(value_get_str(&reply.value, "stdout", ""), "hidden\nwhole\n<(secret)(secret)>\n");
	assert_string_equal(value_get_str(&reply.value, "stderr", ""), "at (secret)\n");
}

static void
test_cwd(void **state)
{
	struct world *w = *state;
	struct effect e = effect(w, ARGV(w, "pwd"), "cwd", value_str("/usr"));

	assert_string_equal(output_of(w, &e, "stdout"), "/usr\n");
}

static void
test_a_gigabyte_of_output_stays_bounded(void **state)
{
	struct world *w = *state;
	struct effect e = effect(w, ARGV(w, "sh", "-c", "echo first; head -c 1000000000 /dev/zero; echo last"),
				 "max_output", value_int(4096));
	struct reply reply = { 0 };
	struct err err = ERR_INIT;
	const struct value *out;

	assert_int_equal(perform(w, &e, &reply, &err), 0);
	out = value_get(&reply.value, "stdout");
	assert_in_range(out->len, 4096, 4096 + 100);
	assert_memory_equal(out->s, "first\n", 6);
	assert_memory_equal(out->s + out->len - 5, "last\n", 5);
	assert_int_equal(value_get_int(&reply.value, "stdout_dropped", 0), 1000000000 + 11 - 4096);
}

static void
test_what_cannot_start_is_a_definite_failure(void **state)
{
	struct world *w = *state;
	const char *const commands[] = { "no-such-command-here", "/no/such/file", "/etc/passwd", "/usr", "" };

	for (size_t i = 0; i < countof(commands); i++) {
		struct effect e = effect(w, ARGV(w, commands[i]), NULL, VALUE_NULL);
		struct reply reply = { 0 };
		struct err err = ERR_INIT;

		assert_int_equal(perform(w, &e, &reply, &err), -1);
		assert_int_equal(err.kind, ERR_FAILED);
	}
}

static size_t
marked(void)
{
	pid_t pids[8];

	return proc_find("WHERRY_EFFECT=" NONCE, pids, countof(pids));
}

static void
test_time_out_ends_the_whole_group(void **state)
{
	struct world *w = *state;
	/* It ignores TERM, and so does its own child. */
	struct effect e = shell(w, "trap '' TERM; sleep 1000 & sleep 1000; sleep 1000");
	struct reply reply = { 0 };
	struct err err = ERR_INIT;

	w->op.deadline = clock_now() + NS_PER_S; /* it must have begun */
	assert_int_equal(perform(w, &e, &reply, &err), -1);
	assert_int_equal(err.kind, ERR_UNKNOWN);
	assert_non_null(strstr(err.msg, "time-out"));
	assert_int_equal(marked(), 0);
}

static void
test_time_out_of_a_look_is_no_doubt(void **state)
{
	struct world *w = *state;
	struct effect e = shell(w, "sleep 1000");
	struct reply reply = { 0 };
	struct err err = ERR_INIT;

	e.read_only = true;
	w->op.deadline = clock_now() + 200 * NS_PER_MS;
	assert_int_equal(perform(w, &e, &reply, &err), -1);
	assert_int_equal(err.kind, ERR_TIMEOUT);
}

/* End all that carry the mark, and wait until they are gone. */
static void
kill_marked(void)
{
	pid_t pids[8];
	size_t n;

	while ((n = proc_find("WHERRY_EFFECT=" NONCE, pids, countof(pids))) > 0) {
		while (n-- > 0)
			kill(pids[n], SIGKILL);
		poll(NULL, 0, 5);
	}
}

/* The shell, its sleep, and the one in a session of its own. */
static void *
cancel_when_escaped(void *data)
{
	struct world *w = data;
	char text[64];
	pid_t pids[8];
	size_t sleeping = 0;

	while (sleeping < 2) {
		size_t n = proc_find("WHERRY_EFFECT=" NONCE, pids, countof(pids));

		for (sleeping = 0; n-- > 0;)
			sleeping += strstr(proc_describe(pids[n], text, sizeof(text)), "(sleep 1000") != NULL;
		poll(NULL, 0, 5);
	}
	w->cancel = 1;
	return NULL;
}

static void *
cancel_when_started(void *data)
{
	struct world *w = data;

	while (marked() == 0)
		poll(NULL, 0, 5);
	w->cancel = 1;
	return NULL;
}

static void
test_cancel_ends_the_child_and_leaves_doubt(void **state)
{
	struct world *w = *state;
	struct effect e = shell(w, "sleep 1000");
	struct reply reply = { 0 };
	struct err err = ERR_INIT;
	pthread_t thread;

	assert_int_equal(pthread_create(&thread, NULL, cancel_when_started, w), 0);
	assert_int_equal(perform(w, &e, &reply, &err), -1);
	pthread_join(thread, NULL);
	assert_int_equal(err.kind, ERR_UNKNOWN);
	assert_int_equal(marked(), 0);
	err = ERR_INIT; /* and what was cancelled before it started has not happened */
	assert_int_equal(perform(w, &e, &reply, &err), -1);
	assert_int_equal(err.kind, ERR_CANCELLED);
}

static void
test_a_daemon_that_the_command_left_is_its_own_business(void **state)
{
	struct world *w = *state;
	struct effect e = shell(w, "setsid sleep 1000 </dev/null >/dev/null 2>&1 & echo $!");
	const pid_t left = (pid_t)atoi(output_of(w, &e, "stdout"));

	assert_int_equal(kill(left, 0), 0);
	assert_int_equal(atoi(output_of(w, &e, "stdout")) > 0, 1); /* a second attempt of the same effect */
	kill_marked();
}

static void
test_never_beside_what_escaped_its_end(void **state)
{
	struct world *w = *state;
	struct effect e = shell(w, "setsid sleep 1000 </dev/null >/dev/null 2>&1 & sleep 1000");
	struct reply reply = { 0 };
	struct err err = ERR_INIT;
	pthread_t thread;

	assert_int_equal(pthread_create(&thread, NULL, cancel_when_escaped, w), 0);
	assert_int_equal(perform(w, &e, &reply, &err), -1);
	assert_int_equal(err.kind, ERR_UNKNOWN);
	pthread_join(thread, NULL);
	w->cancel = 0;
	assert_int_equal(perform(w, &e, &reply, &err), -1);
	assert_int_equal(err.kind, ERR_IN_DOUBT);
	kill_marked();
	assert_string_equal(output_of(w, &(struct effect){ .body = shell(w, "echo now").body, .says = "x" }, "stdout"),
			    "now\n");
}

static void
test_a_dry_run_leaves_no_trace(void **state)
{
	struct world *w = *state;
	struct effect e = shell(w, "echo \"${WHERRY_EFFECT-none}\"");
	struct reply reply = { 0 };
	struct err err = ERR_INIT;

	e.read_only = true;
	assert_int_equal(process_target.write(&w->op, NULL, &e, "", &reply, &err), 0);
	assert_string_equal(value_get_str(&reply.value, "stdout", ""), "none\n");
	assert_int_equal(rmdir(w->scratch), 0);
	assert_int_equal(mkdir(w->scratch, 0700), 0);
}

static void
test_predict_is_opaque(void **state)
{
	struct world *w = *state;
	struct effect e = shell(w, "touch /should/not/run");
	struct value before = VALUE_NULL;
	struct prediction p = { 0 };
	struct err err = ERR_INIT;

	assert_int_equal(process_target.predict(&w->op, NULL, &e, &before, &p, &err), 0);
	assert_int_equal(p.confidence, CONF_OPAQUE);
	assert_int_equal(p.after.kind, V_UNKNOWN);
}

static enum probe
probe(struct world *w, struct value argv)
{
	struct effect e = effect(w, ARGV(w, "true"), "probe", argv);
	struct value before = VALUE_NULL;
	struct err err = ERR_INIT;
	enum probe ret;

	assert_int_equal(process_target.probe(&w->op, NULL, &e, NONCE, &before, &ret, &err), 0);
	return ret;
}

static void
test_probe(void **state)
{
	struct world *w = *state;

	assert_int_equal(probe(w, ARGV(w, "true")), PROBE_DONE_BY_US);
	assert_int_equal(probe(w, ARGV(w, "false")), PROBE_NOT_DONE);
	assert_int_equal(probe(w, ARGV(w, "sh", "-c", "exit 2")), PROBE_CANNOT_TELL);
	assert_int_equal(probe(w, ARGV(w, "sh", "-c", "kill -9 $$")), PROBE_CANNOT_TELL);
	assert_int_equal(probe(w, ARGV(w, "no-such-command")), PROBE_CANNOT_TELL);
	assert_non_null(strstr(w->noted, "no-such-command"));
	assert_int_equal(probe(w, ARGV(w, "sh", "-c", "[ \"$WHERRY_EFFECT\" = " NONCE " ]")), PROBE_DONE_BY_US);
	assert_int_equal(probe(w, VALUE_NULL), PROBE_CANNOT_TELL);
}

/* Start this program as a wherry that runs script, kill it as soon as the script has become "sleep 1000", and return
 * with that alive. */
static pid_t
outlive(struct world *w, const char *script)
{
	char self[256], ready[128], text[64];
	const ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
	pid_t victim, left = 0;
	FILE *f;

	assert_true(n > 0);
	self[n] = '\0';
	snprintf(ready, sizeof(ready), "%s/ready", w->scratch);
	assert_int_equal(posix_spawn(&victim, self, NULL, NULL,
				     (char *[]){ self, "victim", w->scratch, (char *)(uintptr_t)script, NULL }, environ),
			 0);
	while (left == 0) {
		poll(NULL, 0, 5);
		f = fopen(ready, "r");
		if (f != NULL && fscanf(f, "%d\n", &left) != 1)
			left = 0;
		if (f != NULL)
			fclose(f);
	}
	while (strstr(proc_describe(left, text, sizeof(text)), "(sleep 1000") == NULL)
		poll(NULL, 0, 5);
	kill(victim, SIGKILL);
	assert_int_equal(waitpid(victim, NULL, 0), victim);
	return left;
}

static int
victim(const char *scratch, const char *script)
{
	struct world w;
	struct effect e;
	struct reply reply;
	struct err err;

	world_init(&w, scratch);
	e = shell(&w, arena_printf(&w.arena, "cd '%s'; %s", scratch, script));
	return process_target.write(&w.op, NULL, &e, NONCE, &reply, &err) < 0;
}

/* exec keeps the pid that was written. */
#define SAY_READY "echo $$ > ready.tmp; mv ready.tmp ready; "

static int
outlived(struct world *w, struct err *err)
{
	struct effect e = shell(w, "true");

	return process_target.outlived(&w->op, NULL, &e, NONCE, err);
}

static void
test_nothing_outlived(void **state)
{
	struct err err = ERR_INIT;

	assert_int_equal(outlived(*state, &err), 0);
}

static void
test_outlived_is_named_and_waited_for(void **state)
{
	struct world *w = *state;
	struct err err = ERR_INIT;
	char name[32];

	w->kill_on_note = outlive(w, SAY_READY "exec sleep 1000");
	snprintf(name, sizeof(name), "pid %d (sleep 1000", (int)w->kill_on_note);
	assert_int_equal(outlived(w, &err), 0);
	assert_non_null(strstr(w->noted, name));
	assert_non_null(strstr(w->noted, "still running; waiting"));
}

static void
test_outlived_until_the_deadline_is_in_doubt(void **state)
{
	struct world *w = *state;
	struct err err = ERR_INIT;
	pid_t left = outlive(w, SAY_READY "exec sleep 1000");
	char name[32];

	w->op.deadline = clock_now();
	assert_int_equal(outlived(w, &err), -1);
	assert_int_equal(err.kind, ERR_IN_DOUBT);
	snprintf(name, sizeof(name), "pid %d", (int)left);
	assert_non_null(strstr(err.msg, name));
	assert_non_null(strstr(err.next, "wherry resume r1"));
	kill(left, SIGKILL);
}

static void
test_outlived_stops_when_cancelled(void **state)
{
	struct world *w = *state;
	struct err err = ERR_INIT;
	pid_t left = outlive(w, SAY_READY "exec sleep 1000");

	w->cancel = 1;
	assert_int_equal(outlived(w, &err), -1);
	assert_int_equal(err.kind, ERR_CANCELLED);
	kill(left, SIGKILL);
}

static void
test_outlived_is_found_by_its_lock_alone(void **state)
{
	struct world *w = *state;
	struct err err = ERR_INIT;

	w->kill_on_note = outlive(w, SAY_READY "exec env -i sleep 1000");
	assert_int_equal(marked(), 0);
	assert_int_equal(outlived(w, &err), 0);
	assert_non_null(strstr(w->noted, "run it"));
	assert_int_equal(outlived(w, &err), 0);
}

static void
test_outlived_is_found_by_its_mark_alone(void **state)
{
	struct world *w = *state;
	struct err err = ERR_INIT;

	w->kill_on_note = outlive(w, SAY_READY "exec sleep 1000");
	w->op.scratch = "/nowhere";
	assert_int_equal(outlived(w, &err), 0);
	assert_non_null(strstr(w->noted, "sleep 1000"));
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		TEST(test_reply),
		TEST(test_signal),
		TEST(test_stdin),
		TEST(test_environment),
		TEST(test_secret_reaches_only_the_environment),
		TEST(test_cwd),
		TEST(test_a_gigabyte_of_output_stays_bounded),
		TEST(test_what_cannot_start_is_a_definite_failure),
		TEST(test_time_out_ends_the_whole_group),
		TEST(test_time_out_of_a_look_is_no_doubt),
		TEST(test_cancel_ends_the_child_and_leaves_doubt),
		TEST(test_a_daemon_that_the_command_left_is_its_own_business),
		TEST(test_never_beside_what_escaped_its_end),
		TEST(test_a_dry_run_leaves_no_trace),
		TEST(test_predict_is_opaque),
		TEST(test_probe),
		TEST(test_nothing_outlived),
		TEST(test_outlived_is_named_and_waited_for),
		TEST(test_outlived_until_the_deadline_is_in_doubt),
		TEST(test_outlived_stops_when_cancelled),
		TEST(test_outlived_is_found_by_its_lock_alone),
		TEST(test_outlived_is_found_by_its_mark_alone),
	};

	signal(SIGPIPE, SIG_IGN);
	if (argc == 4 && strcmp(argv[1], "victim") == 0)
		return victim(argv[2], argv[3]);
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* The door and the coordinator, over a small world in a file: each write appends a line there, so that the world itself
 * counts. A crash is a child process that dies inside the target; the parent then resumes from the journal. A hostile
 * step family shows what the door refuses. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/io.h"
#include "run.h"

static char dir[64];          /* of this test: state and world */
static const char *die_at;    /* "before" or "after" the write with this count */
static int die_count, count;
static bool lose_reply;       /* the write happens, its reply does not come back */

struct world {
	char path[128];
};

static size_t
world_lines(const char *key)
{
	struct buf text = BUF_INIT(1 << 20);
	struct err err = ERR_INIT;
	char path[128];
	size_t n = 0;

	(void)snprintf(path, sizeof(path), "%s/world", dir);
	if (io_read_file(path, 1 << 20, &text, &err) < 0)
		return 0;
	for (char *at = text.p; at != NULL && (at = strstr(at, key)) != NULL; at++)
		n++;
	buf_done(&text);
	return n;
}

static int
world_open(struct opctx *op, const void *args, void **ret, struct err *err)
{
	struct world *w = xcalloc(1, sizeof(*w));

	(void)op;
	(void)args;
	(void)err;
	(void)snprintf(w->path, sizeof(w->path), "%s/world", dir);
	*ret = w;
	return 0;
}

static void
world_close(void *conn)
{
	free(conn);
}

static int
world_read(struct opctx *op, void *conn, const char *path, struct value *ret, struct err *err)
{
	(void)op;
	(void)conn;
	(void)err;
	*ret = value_int((int64_t)world_lines(path));
	return 0;
}

static int
world_write(struct opctx *op, void *conn, const struct effect *f, const char *nonce, struct reply *ret, struct err *err)
{
	const struct world *w = conn;
	char line[200];
	int fd;

	(void)op;
	if (++count == die_count && strcmp(die_at, "before") == 0)
		raise(SIGKILL);
	fd = open(w->path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	(void)snprintf(line, sizeof(line), "%s %s\n", f->on.path, nonce);
	if (fd < 0 || io_write_all(fd, line, strlen(line), err) < 0)
		return -1;
	(void)close(fd);
	if (count == die_count && strcmp(die_at, "after") == 0)
		raise(SIGKILL);
	if (lose_reply)
		return err_set(err, ERR_UNKNOWN, "the reply was lost");
	*ret = (struct reply){ .outcome = OUTCOME_OK, .value = value_int((int64_t)world_lines(f->on.path)) };
	return 0;
}

static int
world_predict(struct opctx *op, void *conn, const struct effect *f, const struct value *before, struct prediction *ret,
	      struct err *err)
{
	(void)op;
	(void)conn;
	(void)f;
	(void)err;
	ret->confidence = CONF_PREDICTED;
	ret->after = before->kind == V_INT ? value_int(before->i + 1) : value_unknown("not known");
	return 0;
}

static int
world_probe(struct opctx *op, void *conn, const struct effect *f, const char *nonce, const struct value *before,
	    enum probe *ret, struct err *err)
{
	(void)op;
	(void)conn;
	(void)f;
	(void)before;
	(void)err;
	*ret = world_lines(nonce) > 0 ? PROBE_DONE_BY_US : PROBE_NOT_DONE;
	return 0;
}

static const struct field no_fields[] = { { 0 } };
static const struct target_type world_type = {
	.kind = "world", .summary = "lines in a file", .fields = no_fields, .args_size = 1, .local = true,
	.open = world_open, .close = world_close, .read = world_read, .write = world_write, .predict = world_predict,
	.probe = world_probe,
};

struct touch_args {
	const char *key;
	const char *class;
};

static int
touch_run(struct step_ctx *cx, const void *args, struct err *err)
{
	const struct touch_args *a = args;
	const struct value *after;
	const struct effect f = { .on = { step_local(cx, "world"), a->key }, .verb = "touch", .says = "touch a key",
		.body = VALUE_NULL, .class = strcmp(a->class, "probe") == 0 ? EFFECT_PROBE
			: strcmp(a->class, "opaque") == 0 ? EFFECT_OPAQUE : EFFECT_IDEMPOTENT };

	if (step_effect(cx, &f, &after, err) < 0)
		return -1;
	return step_output(cx, "count", *after, err);
}

static const struct field touch_inputs[] = {
	{ .name = "key", .type = F_STRING, .offset = offsetof(struct touch_args, key), .required = true, .help = "the key" },
	{ .name = "class", .type = F_STRING, .offset = offsetof(struct touch_args, class), .dflt = "idempotent",
	  .help = "how it settles" },
	{ 0 },
};
static const struct field touch_outputs[] = { { .name = "count", .type = F_INT, .help = "lines" }, { 0 } };
static const struct step_type touch = { .name = "world.touch", .summary = "append a line", .inputs = touch_inputs,
	.outputs = touch_outputs, .args_size = sizeof(struct touch_args), .run = touch_run };

/* Says it is read-only, and asks for an effect all the same. */
static const struct step_type liar = { .name = "world.liar", .summary = "lies", .inputs = touch_inputs,
	.outputs = touch_outputs, .args_size = sizeof(struct touch_args), .flags = STEP_READ_ONLY, .run = touch_run };

/* Judges for itself, from what it reads, that its effect is needless: the very mistake the door must notice. */
static int
judge_run(struct step_ctx *cx, const void *args, struct err *err)
{
	const struct touch_args *a = args;
	const struct ref ref = { step_local(cx, "world"), a->key };
	const struct value *now;

	if (step_read(cx, &ref, &now, err) < 0)
		return -1;
	if (now->kind == V_INT && now->i > 0)
		return 0;
	if (touch_run(cx, args, err) < 0)
		return -1;
	return touch_run(cx, &(struct touch_args){ "second", "idempotent" }, err);
}

static const struct step_type judge = { .name = "world.judge", .summary = "judges", .inputs = touch_inputs,
	.outputs = touch_outputs, .args_size = sizeof(struct touch_args), .run = judge_run };

static int
leak_run(struct step_ctx *cx, const void *args, struct err *err)
{
	static char content[] = "hunter2";
	static const struct secret s = { .where = "params.password", .len = 7, .content = content };

	(void)args;
	return step_output(cx, "password", value_secret(&s), err);
}

static const struct step_type leak = { .name = "world.leak", .summary = "leaks", .inputs = no_fields,
	.outputs = no_fields, .args_size = 1, .run = leak_run };

static const struct step_type *const types[] = { &touch, &liar, &judge, &leak, NULL };
static const struct target_type *const targets[] = { &world_type, NULL };
static const struct registry world_registry = { types, targets };

/* Run or resume the plan; returns the exit code. events: where JSON events go, or NULL. */
static int
go(const char *yaml, enum run_mode mode, bool resume, const char *events)
{
	struct problems problems = PROBLEMS_INIT;
	struct plan *plan = plan_load(&world_registry, "test.yaml", yaml, strlen(yaml), &problems);
	struct value params = value_map(NULL, 0);
	struct report_options ro = { .format = FORMAT_JSON, .quiet = true };
	struct journal *journal = NULL;
	struct journal_info info = { 0 };
	struct history history;
	struct run_result result = { 0 };
	struct err err = ERR_INIT;
	struct run_options o = { .mode = mode, .registry = &world_registry, .plan = plan, .params = &params, .jobs = 4,
		.seed = 1, .run = "r1" };

	assert_non_null(plan);
	ro.out = ro.err = open(events != NULL ? events : "/dev/null", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	history_init(&history);
	if (mode == MODE_RUN && !resume)
		assert_int_equal(journal_create(dir, "r1", &(struct record){ .type = REC_OPEN, .says = "test" }, NULL, 0,
						&journal, &err), 0);
	if (resume) {
		if (journal_open(dir, "r1", history_apply, &history, &journal, &info, &err) < 0)
			fail_msg("%s", err.msg);
		assert_int_equal(journal_add(journal, &(struct record){ .type = REC_RESUME, .epoch = history.epoch + 1 }, &err),
				 0);
		history.epoch++;
		o.history = &history;
	}
	o.journal = journal;
	o.report = report_new(&ro);
	if (run_execute(&o, &result, &err) < 0)
		fail_msg("%s", err.msg);
	report_free(o.report);
	journal_free(journal);
	history_done(&history);
	plan_free(plan);
	problems_done(&problems);
	(void)close(ro.out);
	return result.code;
}

/* The same in a child that dies at the nth write. */
static void
crash(const char *yaml, const char *where, int nth)
{
	int status;
	const pid_t pid = fork();

	if (pid == 0) {
		die_at = where;
		die_count = nth;
		(void)go(yaml, MODE_RUN, false, NULL);
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status));
}

static int
setup(void **state)
{
	(void)state;
	(void)snprintf(dir, sizeof(dir), "/tmp/wherry-door.XXXXXX");
	die_count = count = 0;
	lose_reply = false;
	return mkdtemp(dir) != NULL ? 0 : -1;
}

static int
teardown(void **state)
{
	char cmd[128];

	(void)state;
	(void)snprintf(cmd, sizeof(cmd), "rm -rf '%s'", dir);
	return system(cmd);
}

#define HEAD "wherry: v1\nname: t\nsteps:\n"
#define TWO HEAD "- {id: a, uses: world.touch, with: {key: ka}}\n" \
	"- {id: b, uses: world.touch, with: {key: \"kb${{ steps.a.outputs.count }}\"}}\n"

static void
test_runs_in_order(void **state)
{
	(void)state;
	assert_int_equal(go(TWO, MODE_RUN, false, NULL), 0);
	assert_int_equal(world_lines("ka"), 1);
	assert_int_equal(world_lines("kb1"), 1);
}

static void
test_resume_of_done_does_nothing(void **state)
{
	(void)state;
	assert_int_equal(go(TWO, MODE_RUN, false, NULL), 0);
	assert_int_equal(go(TWO, MODE_RUN, true, NULL), 0);
	assert_int_equal(world_lines("k"), 2);
}

static void
test_dry_run_changes_nothing(void **state)
{
	char events[80];
	struct buf text = BUF_INIT(1 << 20);
	struct err err = ERR_INIT;

	(void)state;
	(void)snprintf(events, sizeof(events), "%s/events", dir);
	assert_int_equal(go(TWO, MODE_PLAN, false, events), 0);
	assert_int_equal(world_lines("k"), 0);
	assert_int_equal(io_read_file(events, 1 << 20, &text, &err), 0);
	assert_non_null(strstr(text.p, "world ka"));
	assert_non_null(strstr(text.p, "world kb1")); /* computed from the predicted output of the step before */
	buf_done(&text);
}

static void
test_dead_before_write_idempotent(void **state)
{
	(void)state;
	crash(TWO, "before", 2);
	assert_int_equal(go(TWO, MODE_RUN, true, NULL), 0);
	assert_int_equal(world_lines("ka"), 1);
	assert_int_equal(world_lines("kb1"), 1);
}

#define PROBE HEAD "- {id: a, uses: world.touch, with: {key: ka, class: probe}}\n"

static void
test_probe_finds_it_done(void **state)
{
	(void)state;
	crash(PROBE, "after", 1);
	assert_int_equal(go(PROBE, MODE_RUN, true, NULL), 0);
	assert_int_equal(world_lines("ka"), 1);
}

static void
test_probe_finds_it_not_done(void **state)
{
	(void)state;
	crash(PROBE, "before", 1);
	assert_int_equal(go(PROBE, MODE_RUN, true, NULL), 0);
	assert_int_equal(world_lines("ka"), 1);
}

#define OPAQUE HEAD "- {id: a, uses: world.touch, with: {key: ka, class: opaque}}\n" \
	"- {id: b, uses: world.touch, with: {key: kb}, needs: [a]}\n"

static void
test_opaque_stops_and_asks(void **state)
{
	(void)state;
	crash(OPAQUE, "after", 1);
	assert_int_equal(go(OPAQUE, MODE_RUN, true, NULL), 3);
	assert_int_equal(go(OPAQUE, MODE_RUN, true, NULL), 3);
	assert_int_equal(world_lines("k"), 1);
}

static void
resolve(const char *status)
{
	struct journal *j;
	struct journal_info info;
	struct history h;
	struct err err = ERR_INIT;

	history_init(&h);
	assert_int_equal(journal_open(dir, "r1", history_apply, &h, &j, &info, &err), 0);
	assert_int_equal(journal_add(j, &(struct record){ .type = REC_RESOLVE, .step = "a", .status = status }, &err), 0);
	assert_int_equal(journal_commit(j, &err), 0);
	journal_free(j);
	history_done(&h);
}

static void
test_resolved_done_goes_on(void **state)
{
	(void)state;
	crash(OPAQUE, "after", 1);
	resolve("done");
	assert_int_equal(go(OPAQUE, MODE_RUN, true, NULL), 0);
	assert_int_equal(world_lines("ka"), 1);
	assert_int_equal(world_lines("kb"), 1);
}

static void
test_resolved_not_done_does_it(void **state)
{
	(void)state;
	crash(OPAQUE, "before", 1);
	resolve("not-done");
	assert_int_equal(go(OPAQUE, MODE_RUN, true, NULL), 0);
	assert_int_equal(world_lines("ka"), 1);
}

static void
test_lost_reply_is_probed(void **state)
{
	(void)state;
	lose_reply = true;
	assert_int_equal(go(PROBE, MODE_RUN, false, NULL), 0);
	assert_int_equal(world_lines("ka"), 1);
}

static void
test_lost_reply_of_opaque_is_in_doubt(void **state)
{
	(void)state;
	lose_reply = true;
	assert_int_equal(go(OPAQUE, MODE_RUN, false, NULL), 3);
	assert_int_equal(world_lines("k"), 1);
}

static void
test_liar_is_refused(void **state)
{
	(void)state;
	assert_int_equal(go(HEAD "- {id: a, uses: world.liar, with: {key: ka}}\n", MODE_RUN, false, NULL), 1);
	assert_int_equal(world_lines("k"), 0);
}

static void
test_secret_output_is_refused(void **state)
{
	(void)state;
	assert_int_equal(go(HEAD "- {id: a, uses: world.leak}\n", MODE_RUN, false, NULL), 1);
}

static void
test_judging_for_itself_is_in_doubt(void **state)
{
	static const char yaml[] = HEAD "- {id: a, uses: world.judge, with: {key: ka}}\n";

	(void)state;
	crash(yaml, "before", 2);
	assert_int_equal(go(yaml, MODE_RUN, true, NULL), 3);
}

#define STOPS HEAD "- {id: a, uses: world.leak}\n- {id: b, uses: world.touch, with: {key: kb}, needs: [a]}\n" \
	"- {id: c, uses: world.touch, with: {key: kc}, needs: [\"a?\"]}\n"

static void
test_failure_stops_and_finally_runs(void **state)
{
	(void)state;
	assert_int_equal(go(STOPS "finally:\n- {id: f, uses: world.touch, with: {key: kf}}\n", MODE_RUN, false, NULL), 1);
	assert_int_equal(world_lines("kb") + world_lines("kc"), 0);
	assert_int_equal(world_lines("kf"), 1);
}

static void
test_finally_runs_again_after_reopen(void **state)
{
	static const char yaml[] = STOPS "finally:\n- {id: f, uses: world.touch, with: {key: kf}}\n";

	(void)state;
	assert_int_equal(go(yaml, MODE_RUN, false, NULL), 1);
	assert_int_equal(go(yaml, MODE_RUN, true, NULL), 1);
	assert_int_equal(world_lines("kf"), 2);
}

static void
test_continue_goes_on(void **state)
{
	static const char yaml[] = HEAD "- {id: a, uses: world.leak, on_error: continue}\n"
		"- {id: b, uses: world.touch, with: {key: kb}, needs: [a]}\n"
		"- {id: c, uses: world.touch, with: {key: kc}, needs: [\"a?\"], when: \"${{ steps.a.status == 'failed' }}\"}\n";

	(void)state;
	assert_int_equal(go(yaml, MODE_RUN, false, NULL), 1);
	assert_int_equal(world_lines("kb"), 0);
	assert_int_equal(world_lines("kc"), 1);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(test_##name, setup, teardown)
		T(runs_in_order), T(resume_of_done_does_nothing), T(dry_run_changes_nothing),
		T(dead_before_write_idempotent), T(probe_finds_it_done), T(probe_finds_it_not_done),
		T(opaque_stops_and_asks), T(resolved_done_goes_on), T(resolved_not_done_does_it), T(lost_reply_is_probed),
		T(lost_reply_of_opaque_is_in_doubt), T(liar_is_refused), T(secret_output_is_refused),
		T(judging_for_itself_is_in_doubt), T(failure_stops_and_finally_runs), T(finally_runs_again_after_reopen),
		T(continue_goes_on),
	};
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	sigprocmask(SIG_BLOCK, &set, NULL);
	return cmocka_run_group_tests(tests, NULL, NULL);
}

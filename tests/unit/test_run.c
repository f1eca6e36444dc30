/* SPDX-License-Identifier: Apache-2.0 */
/* The coordinator's life over the small world: pauses, failures, a full disk, torn tails, selection, signals, streams.
 * Each test is a story whose end the world, the exit code or the events tell. */
#include "world.h"

#include "ctx.h"

#include <sys/resource.h>
#include <time.h>

/* Asks for an effect `times` on one key. fail: how many attempts of this process end with an error afterwards. */
struct work_args {
	const char *key, *class, *kind;
	int64_t times, fail, big, wait;
};

static int failed_already;

static int
work_fail(const struct work_args *a, struct err *err)
{
	const enum err_kind kind = a->kind != NULL ? err_kind_parse(a->kind) : ERR_FAILED;

	if (failed_already >= a->fail)
		return 0;
	failed_already++;
	return err_set(err, kind, "as asked");
}

static int
work_run(struct step_ctx *cx, const void *args, struct err *err)
{
	const struct work_args *a = args;

	for (int64_t i = 0; i < a->times; i++)
		if (touch_run(cx, &(struct touch_args){ a->key, a->class }, err) < 0)
			return -1;
	if (a->wait > 0) /* not a step_* call: it does not see a signal */
		(void)nanosleep(&(struct timespec){ .tv_nsec = (long)(a->wait * NS_PER_MS) }, NULL);
	step_progress(cx, 1, 1, "turns");
	if (a->big > 0) {
		char *text = arena_alloc(step_arena(cx), (size_t)a->big + 1);

		memset(text, 'x', (size_t)a->big);
		if (step_output(cx, "big", value_str(text), err) < 0)
			return -1;
	}
	return work_fail(a, err);
}

static const struct field work_inputs[] = {
	{ .name = "key", .type = F_STRING, .offset = offsetof(struct work_args, key), .dflt = "kw", .help = "the key" },
	{ .name = "class", .type = F_STRING, .offset = offsetof(struct work_args, class), .dflt = "idempotent", .help = "class" },
	{ .name = "kind", .type = F_STRING, .offset = offsetof(struct work_args, kind), .help = "of the error" },
	{ .name = "times", .type = F_INT, .offset = offsetof(struct work_args, times), .dflt = "0", .help = "effects" },
	{ .name = "fail", .type = F_INT, .offset = offsetof(struct work_args, fail), .dflt = "0", .help = "attempts" },
	{ .name = "big", .type = F_INT, .offset = offsetof(struct work_args, big), .dflt = "0", .help = "bytes of output" },
	{ .name = "wait", .type = F_INT, .offset = offsetof(struct work_args, wait), .dflt = "0", .help = "ms" },
	{ 0 },
};
static const struct field work_outputs[] = { { .name = "big", .type = F_STRING, .help = "text" }, { 0 } };
static const struct step_type work = { .name = "world.work", .summary = "works", .inputs = work_inputs,
	.outputs = work_outputs, .args_size = sizeof(struct work_args), .run = work_run };

/* Sends this process a signal, and then waits to be stopped. */
static int
signal_run(struct step_ctx *cx, const void *args, struct err *err)
{
	(void)args;
	if (step_is_plan(cx))
		return 0;
	kill(getpid(), SIGINT);
	return step_sleep(cx, 20 * NS_PER_S, err);
}

static const struct step_type signals = { .name = "world.signal", .summary = "signals", .inputs = no_fields,
	.outputs = no_fields, .args_size = 1, .run = signal_run };

/* Two lanes: one is told twice to stop, and fails; the other looks whether it is still to stop at once. */
struct lanes {
	atomic_bool failing;
	int lowest;
};

static int
lanes_lane(struct step_ctx *cx, void *data, unsigned number, struct err *err)
{
	struct lanes *l = data;
	const struct timespec ms = { .tv_nsec = NS_PER_MS };

	if (number == 0) {
		kill(getpid(), SIGTERM);
		while (atomic_load(&cx->at->shared->stop) == 0)
			(void)nanosleep(&ms, NULL);
		kill(getpid(), SIGTERM);
		while (atomic_load(cx->op.cancel) < 2)
			(void)nanosleep(&ms, NULL);
		atomic_store(&l->failing, true);
		return err_set(err, ERR_FAILED, "as asked");
	}
	while (!atomic_load(&l->failing))
		(void)nanosleep(&ms, NULL);
	for (int i = 0; i < 100; i++) {
		const int level = atomic_load(cx->op.cancel);

		l->lowest = level < l->lowest ? level : l->lowest;
		(void)nanosleep(&ms, NULL);
	}
	return 0;
}

static int
lanes_run(struct step_ctx *cx, const void *args, struct err *err)
{
	struct lanes l = { .lowest = 2 };

	(void)args;
	assert_int_equal(step_lanes(cx, 2, lanes_lane, &l, err), -1);
	assert_int_equal(l.lowest, 2);
	assert_int_equal(atomic_load(&cx->at->lanes_cancel), 2);
	return -1;
}

static const struct step_type lanes = { .name = "world.lanes", .summary = "two lanes, stopped twice", .inputs = no_fields,
	.outputs = no_fields, .args_size = 1, .run = lanes_run };

/* From here on the journal can grow no more. */
static int
full_run(struct step_ctx *cx, const void *args, struct err *err)
{
	const struct rlimit limit = { 1 << 20, RLIM_INFINITY };

	(void)args;
	if (!step_is_plan(cx) && setrlimit(RLIMIT_FSIZE, &limit) < 0)
		return err_errno(err, "limit");
	return 0;
}

static const struct step_type full = { .name = "world.full", .summary = "fills the disk", .inputs = no_fields,
	.outputs = no_fields, .args_size = 1, .run = full_run };

static const struct step_type *const types[] = { &touch, &work, &signals, &lanes, &full, NULL };
static const struct target_type *const targets[] = { &world_type, NULL };
const struct registry world_registry = { types, targets };

/* In a child, so that limits and signals stay there; returns its exit code. */
static int
go_apart(const char *yaml, bool resume)
{
	int status;
	const pid_t pid = fork();

	if (pid == 0) {
		signal(SIGXFSZ, SIG_IGN);
		_exit(go(yaml, MODE_RUN, resume, NULL));
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

/* What the journal says of a step now. */
static enum step_status
status_of(const char *step)
{
	struct journal_info info;
	struct history h;
	struct err err = ERR_INIT;
	enum step_status status;

	history_init(&h);
	if (journal_read(dir, "r1", history_apply, &h, &info, &err) < 0)
		fail_msg("%s", err.msg);
	status = history_step(&h, step) != NULL ? history_step(&h, step)->status : STEP_PENDING;
	history_done(&h);
	return status;
}

static size_t
count_text(const char *file, const char *text)
{
	struct buf all = BUF_INIT(1 << 24);
	struct err err = ERR_INIT;
	char path[128];
	size_t n = 0;

	(void)snprintf(path, sizeof(path), "%s/%s", dir, file);
	assert_int_equal(io_read_file(path, 1 << 24, &all, &err), 0);
	for (const char *at = all.p; at != NULL && (at = memmem(at, all.len - (size_t)(at - all.p), text, strlen(text))) != NULL; at++)
		n++;
	buf_done(&all);
	return n;
}

/* A journal by hand: what a process that died left behind. */
static void
journal_of(const struct record *list, size_t n)
{
	struct journal *j;
	struct err err = ERR_INIT;

	assert_int_equal(journal_create(dir, "r1", &(struct record){ .type = REC_OPEN }, NULL, 0, &j, &err), 0);
	for (size_t i = 0; i < n; i++)
		assert_int_equal(journal_add(j, &list[i], &err), 0);
	assert_int_equal(journal_commit(j, &err), 0);
	journal_free(j);
}

#define WORK(id, with, more) "- {id: " id ", uses: world.work, with: {" with "}" more "}\n"

static void
test_retry_then_success(void **state)
{
	(void)state;
	failed_already = 0;
	assert_int_equal(go(HEAD WORK("a", "times: 2, fail: 2", ", retry: {attempts: 3, backoff: 1ms}"), MODE_RUN, false, NULL), 0);
	assert_int_equal(world_lines("kw"), 2); /* what was done is not done again by later attempts */
}

static void
test_retries_end(void **state)
{
	(void)state;
	failed_already = 0;
	assert_int_equal(go(HEAD WORK("a", "times: 1, fail: 9", ", retry: {attempts: 3, backoff: 1ms}"), MODE_RUN, false, NULL), 1);
	assert_int_equal(failed_already, 3);
}

static void
test_retry_beyond_the_deadline_tells_the_error(void **state)
{
	(void)state;
	failed_already = 0;
	assert_int_equal(go(HEAD WORK("a", "fail: 9", ", timeout: 10s, retry: {attempts: 3, backoff: 1h, max_backoff: 1h}"),
			    MODE_RUN, false, NULL), 1);
	assert_int_equal(count_text("r1/journal", "as asked"), 2); /* end and close */
}

static void
test_signal_pauses_and_a_failure_meanwhile_is_tried_again(void **state)
{
	static const char yaml[] = HEAD "- {id: s, uses: world.signal}\n"
		WORK("a", "wait: 1500, fail: 1, kind: failed", ", retry: {attempts: 2, backoff: 1ms}");

	(void)state;
	failed_already = 0;
	assert_int_equal(go_apart(yaml, false), 130);
	assert_int_equal(status_of("a"), STEP_PENDING);
	assert_int_equal(status_of("s"), STEP_RUNNING);
}

static void
test_second_signal_outlasts_a_failing_lane(void **state)
{
	(void)state;
	assert_int_equal(go(HEAD "- {id: l, uses: world.lanes}\n", MODE_RUN, false, NULL), 143);
}

static void
test_doubt_outranks_a_later_failure(void **state)
{
	static const char yaml[] = HEAD WORK("a", "fail: 1, kind: in_doubt", "") WORK("b", "wait: 300, fail: 2", "");

	(void)state;
	failed_already = 0;
	assert_int_equal(go(yaml, MODE_RUN, false, NULL), 3);
	assert_int_equal(status_of("b"), STEP_FAILED);
}

static void
test_doubt_is_settled_before_a_stopped_run_closes(void **state)
{
	static const char yaml[] = HEAD "- {id: a, uses: world.touch, with: {key: ka}}\n"
		"- {id: b, uses: world.touch, with: {key: kb, class: opaque}}\n"
		"finally:\n- {id: f, uses: world.touch, with: {key: kf}}\n";
	const struct record left[] = {
		{ .type = REC_INTENT, .step = "b", .effect = 1, .occ = 1, .verb = "touch", .ref = "world kb", .nonce = "n" },
		{ .type = REC_END, .step = "a", .status = "failed", .kind = "failed", .msg = "broke" },
	};

	(void)state;
	journal_of(left, countof(left));
	assert_int_equal(go(yaml, MODE_RUN, true, NULL), 3);
	assert_int_equal(world_lines("k"), 0); /* nothing of finally while something is in doubt */
	resolve_step("b", "done");
	assert_int_equal(go(yaml, MODE_RUN, true, NULL), 1);
	assert_int_equal(world_lines("kf"), 1);
}

#define THREE HEAD "- {id: a, uses: world.touch, with: {key: ka, class: opaque}}\n" \
	"- {id: b, uses: world.touch, with: {key: kb, class: opaque}, when: false}\n" \
	"- {id: c, uses: world.touch, with: {key: kc}, needs: [a, b]}\n"

static void
test_torn_tail_is_asked_about_until_judged(void **state)
{
	(void)state;
	journal_of(NULL, 0);
	with.torn = true;
	with.jobs = 1;
	assert_int_equal(go(THREE, MODE_RUN, true, NULL), 3);
	with.torn = false;
	assert_int_equal(go(THREE, MODE_RUN, true, NULL), 3); /* no word yet: asked again, not done */
	resolve_step("a", "done");
	assert_int_equal(go(THREE, MODE_RUN, true, NULL), 0);
	assert_int_equal(world_lines("ka"), 0);
	assert_int_equal(world_lines("kb"), 0);
	assert_int_equal(world_lines("kc"), 1);
	assert_int_equal(status_of("b"), STEP_SKIPPED);
}

static void
test_torn_tail_resolved_not_done(void **state)
{
	(void)state;
	journal_of(NULL, 0);
	with.torn = true;
	assert_int_equal(go(THREE, MODE_RUN, true, NULL), 3);
	with.torn = false;
	resolve_step("a", "not-done");
	assert_int_equal(go(THREE, MODE_RUN, true, NULL), 0);
	assert_int_equal(world_lines("ka"), 1);
}

/* A step far down the queue was under way: that it is not among the next ones does not clear it. */
static void
test_torn_tail_doubts_what_was_under_way(void **state)
{
	static const char yaml[] = HEAD "- {id: a, uses: world.touch, with: {key: ka}}\n- {id: b, uses: world.touch, with: {key: kb}}\n"
		"- {id: c, uses: world.touch, with: {key: kc}}\n- {id: z, uses: world.touch, with: {key: kz, class: opaque}}\n";
	const struct record left[] = { { .type = REC_START, .step = "z", .attempt = 1 } };

	(void)state;
	journal_of(left, countof(left));
	with.torn = true;
	with.jobs = 1;
	assert_int_equal(go(yaml, MODE_RUN, true, NULL), 3);
	assert_int_equal(world_lines("kz"), 0);
}

static void
test_torn_tail_in_finally(void **state)
{
	static const char yaml[] = HEAD "- {id: a, uses: world.touch, with: {key: ka}}\n"
		"finally:\n- {id: f, uses: world.touch, with: {key: kf, class: opaque}}\n";
	const struct record left[] = { { .type = REC_END, .step = "a", .status = "done" } };

	(void)state;
	journal_of(left, countof(left));
	with.torn = true;
	assert_int_equal(go(yaml, MODE_RUN, true, NULL), 3);
	assert_int_equal(world_lines("kf"), 0);
}

/* What nobody asks for again although it began is not forgotten; the operator's word lets the step go on. */
static void
test_begun_and_not_asked_again(void **state)
{
	static const char yaml[] = HEAD WORK("a", "times: 1", "");
	const struct record left[] = {
		{ .type = REC_INTENT, .step = "a", .effect = 1, .occ = 1, .verb = "touch", .ref = "world other", .nonce = "n" },
	};

	(void)state;
	journal_of(left, countof(left));
	assert_int_equal(go(yaml, MODE_RUN, true, NULL), 3);
	assert_int_equal(go(yaml, MODE_RUN, true, NULL), 3);
	resolve_step("a", "done");
	assert_int_equal(go(yaml, MODE_RUN, true, NULL), 0);
	assert_int_equal(world_lines("kw"), 1);
}

/* Refused when it was tried again; but the first try, whose end nobody saw, may have worked. */
static void
test_ran_remembers_the_try_that_was_lost(void **state)
{
	static const char yaml[] = HEAD "- {id: a, uses: world.touch, with: {key: ka}}\n"
		"finally:\n- {id: f, uses: world.touch, with: {key: kf}, when: \"${{ not steps.a.ran }}\"}\n";
	const struct record left[] = {
		{ .type = REC_INTENT, .step = "a", .effect = 1, .occ = 1, .verb = "touch", .ref = "world ka", .nonce = "n" },
		{ .type = REC_UNKNOWN, .step = "a", .effect = 1 },
		{ .type = REC_INTENT, .step = "a", .effect = 1, .occ = 1, .verb = "touch", .ref = "world ka", .nonce = "n" },
		{ .type = REC_SETTLED, .step = "a", .effect = 1, .status = "failed" },
		{ .type = REC_END, .step = "a", .status = "failed", .kind = "failed" },
	};

	(void)state;
	journal_of(left, countof(left));
	assert_int_equal(go(yaml, MODE_RUN, true, NULL), 1);
	assert_int_equal(world_lines("kf"), 0);
}

static void
test_full_disk_pauses_and_resumes(void **state)
{
	static const char yaml[] = HEAD "- {id: x, uses: world.full}\n" WORK("a", "times: 1500", ", needs: [x]")
		"- {id: b, uses: world.touch, with: {key: kb}, needs: [a]}\n";

	(void)state;
	assert_int_equal(go_apart(yaml, false), 6);
	assert_true(world_lines("kw") > 100 && world_lines("kw") < 1500);
	assert_int_equal(world_lines("kb"), 0);
	assert_int_equal(go(yaml, MODE_RUN, true, NULL), 0);
	assert_int_equal(world_lines("kw"), 1500); /* none lost, none twice */
	assert_int_equal(world_lines("kb"), 1);
}

/* Its outputs find no room: then it has not ended, and its effect is answered from the journal. */
static void
test_lost_outputs_are_made_again(void **state)
{
	static const char yaml[] = HEAD "- {id: x, uses: world.full}\n" WORK("a", "times: 1, big: 2000000", ", needs: [x]")
		"- {id: b, uses: world.touch, with: {key: \"k${{ #steps.a.outputs.big }}\"}, needs: [a]}\n";

	(void)state;
	assert_int_equal(go_apart(yaml, false), 6);
	assert_int_equal(go(yaml, MODE_RUN, true, NULL), 0);
	assert_int_equal(world_lines("kw"), 1);
	assert_int_equal(world_lines("k2000000"), 1);
}

static void
test_blocked_chain_costs_one_batch(void **state)
{
	struct buf yaml = BUF_INIT(1 << 20);
	struct journal_info info;
	struct err err = ERR_INIT;

	(void)state;
	failed_already = 0;
	buf_puts(&yaml, HEAD WORK("s0", "fail: 1", ""));
	for (int i = 1; i < 500; i++)
		buf_printf(&yaml, "- {id: s%d, uses: world.touch, with: {key: k}, needs: [s%d]}\n", i, i - 1);
	buf_puts(&yaml, "- {id: weak, uses: world.touch, with: {key: weak}, needs: [\"s499?\"], when: \"${{ steps.s499.status == 'blocked' }}\"}\n");
	buf_puts(&yaml, "defaults: {on_error: continue}\n");
	assert_int_equal(go(yaml.p, MODE_RUN, false, NULL), 1);
	assert_int_equal(world_lines("weak"), 1);
	assert_int_equal(status_of("s499"), STEP_BLOCKED);
	assert_int_equal(journal_read(dir, "r1", NULL, NULL, &info, &err), 0);
	assert_true(info.batches < 10);
	assert_int_equal(go(yaml.p, MODE_RUN, true, NULL), 0); /* reopened, all of it */
	assert_int_equal(world_lines("k\n") + world_lines("k "), 499 + 1);
	buf_done(&yaml);
}

static void
test_selection_leaves_the_run_open(void **state)
{
	static const char yaml[] = HEAD "- {id: a, uses: world.touch, with: {key: ka}}\n- {id: b, uses: world.touch, with: {key: kb}, needs: [a]}\n"
		"finally:\n- {id: f, uses: world.touch, with: {key: kf}}\n";
	const char *const a[] = { "a", NULL };

	(void)state;
	with.selection.until = a;
	assert_int_equal(go(yaml, MODE_RUN, false, NULL), 0);
	assert_int_equal(world_lines("ka"), 1);
	assert_int_equal(world_lines("k"), 1);
	with.selection.until = NULL;
	assert_int_equal(go(yaml, MODE_RUN, true, NULL), 0);
	assert_int_equal(world_lines("ka") + world_lines("kb") + world_lines("kf"), 3);
}

static void
test_abort_runs_finally_only(void **state)
{
	static const char yaml[] = HEAD "- {id: a, uses: world.touch, with: {key: ka}}\n"
		"finally:\n- {id: f, uses: world.touch, with: {key: kf}}\n- {id: g, uses: world.touch, with: {key: kg}, needs: [f]}\n";

	(void)state;
	journal_of(NULL, 0);
	with.abort = true;
	assert_int_equal(go(yaml, MODE_RUN, true, NULL), 0);
	assert_int_equal(world_lines("ka"), 0);
	assert_int_equal(world_lines("kf") + world_lines("kg"), 2);
}

static void
test_finally_goes_on_after_a_failure_in_it(void **state)
{
	static const char yaml[] = HEAD "- {id: a, uses: world.touch, with: {key: ka}}\n"
		"finally:\n" WORK("f", "fail: 1", "") WORK("g", "wait: 400", "")
		"- {id: h, uses: world.touch, with: {key: kh}, needs: [\"f?\"]}\n";
	const int64_t began = clock_now();

	(void)state;
	failed_already = 0;
	assert_int_equal(go(yaml, MODE_RUN, false, NULL), 1);
	assert_int_equal(world_lines("kh"), 1);
	assert_true(clock_now() - began < 30 * NS_PER_S); /* it was not left waiting for a wake */
}

static void
test_killed_in_finally(void **state)
{
	static const char yaml[] = HEAD "- {id: a, uses: world.touch, with: {key: ka}}\n"
		"finally:\n- {id: f, uses: world.touch, with: {key: kf, class: probe}, when: \"${{ steps.a.ran }}\"}\n";

	(void)state;
	crash(yaml, "after", 2);
	assert_int_equal(go(yaml, MODE_RUN, true, NULL), 0);
	assert_int_equal(world_lines("ka"), 1);
	assert_int_equal(world_lines("kf"), 1);
}

/* Whatever ran first, the dry-run is told in plan order, and ends with its close. */
static void
test_dry_run_is_in_plan_order(void **state)
{
	struct buf yaml = BUF_INIT(1 << 20), text = BUF_INIT(1 << 20);
	struct err err = ERR_INIT;
	char path[80], key[32];
	const char *at;

	(void)state;
	(void)snprintf(path, sizeof(path), "%s/events", dir);
	buf_puts(&yaml, HEAD);
	for (int i = 0; i < 40; i++)
		buf_printf(&yaml, "- {id: s%d, uses: world.touch, with: {key: \"key%d.\"}}\n", i, i);
	assert_int_equal(go(yaml.p, MODE_PLAN, false, path), 0);
	assert_int_equal(io_read_file(path, 1 << 20, &text, &err), 0);
	at = text.p;
	for (int i = 0; i < 40; i++) {
		(void)snprintf(key, sizeof(key), "world key%d.", i);
		at = strstr(at, key);
		assert_non_null(at);
	}
	buf_done(&text);
	buf_done(&yaml);
}

static void
test_dry_run_predicts_each_later_occurrence(void **state)
{
	(void)state;
	assert_int_equal(go(HEAD WORK("a", "times: 3", "") "- {id: b, uses: world.touch, with: {key: kw}, needs: [a]}\n"
			    "- {id: c, uses: world.touch, with: {key: \"n${{ steps.b.outputs.count }}\"}}\n", MODE_PLAN, false, NULL), 0);
}

/* Many effects in one step and many predictions: neither look-up may be a walk over all of them. */
static void
test_many_effects(void **state)
{
	static const char yaml[] = HEAD WORK("a", "times: 20000", "");

	(void)state;
	assert_int_equal(go(yaml, MODE_PLAN, false, NULL), 0);
}

static void
test_progress_of_a_reader_resumes(void **state)
{
	static const char yaml[] = HEAD WORK("a", "fail: 1, kind: refused", "");

	(void)state;
	failed_already = 0;
	assert_int_equal(go(yaml, MODE_RUN, false, NULL), 5);
	assert_int_equal(go(yaml, MODE_RUN, true, NULL), 0);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(test_##name, setup, teardown)
		T(retry_then_success), T(retries_end), T(retry_beyond_the_deadline_tells_the_error),
		T(signal_pauses_and_a_failure_meanwhile_is_tried_again), T(second_signal_outlasts_a_failing_lane),
		T(doubt_outranks_a_later_failure),
		T(doubt_is_settled_before_a_stopped_run_closes), T(torn_tail_is_asked_about_until_judged),
		T(torn_tail_resolved_not_done), T(torn_tail_doubts_what_was_under_way), T(torn_tail_in_finally),
		T(begun_and_not_asked_again), T(ran_remembers_the_try_that_was_lost), T(full_disk_pauses_and_resumes),
		T(lost_outputs_are_made_again), T(blocked_chain_costs_one_batch), T(selection_leaves_the_run_open),
		T(abort_runs_finally_only), T(finally_goes_on_after_a_failure_in_it), T(killed_in_finally),
		T(dry_run_is_in_plan_order),
		T(dry_run_predicts_each_later_occurrence), T(many_effects), T(progress_of_a_reader_resumes),
	};

	block_signals();
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* The door and the coordinator, over a small world in a file. A hostile step family shows what the door refuses. */
#include "world.h"

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
const struct registry world_registry = { types, targets };

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
test_resolved_done_goes_on(void **state)
{
	(void)state;
	crash(OPAQUE, "after", 1);
	resolve_step("a", "done");
	assert_int_equal(go(OPAQUE, MODE_RUN, true, NULL), 0);
	assert_int_equal(world_lines("ka"), 1);
	assert_int_equal(world_lines("kb"), 1);
}

static void
test_resolved_not_done_does_it(void **state)
{
	(void)state;
	crash(OPAQUE, "before", 1);
	resolve_step("a", "not-done");
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

/* What the world says was not done is done at once, but not without end. */
static void
test_lost_request_is_sent_again(void **state)
{
	(void)state;
	atomic_store(&drops, 2);
	assert_int_equal(go(PROBE, MODE_RUN, false, NULL), 0);
	assert_int_equal(world_lines("ka"), 1);
	assert_int_equal(atomic_load(&count), 3);
}

static void
test_request_that_is_always_lost_fails(void **state)
{
	(void)state;
	atomic_store(&drops, 100);
	assert_int_equal(go(PROBE, MODE_RUN, false, NULL), 1);
	assert_int_equal(world_lines("ka"), 0);
	assert_int_equal(atomic_load(&count), 3);
	atomic_store(&drops, 0);
	assert_int_equal(go(PROBE, MODE_RUN, true, NULL), 0);
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

/* Two spellings are one object: in the overlay, in the journal, in the world. */
static void
test_a_path_has_one_spelling(void **state)
{
	static const char yaml[] = HEAD "- {id: a, uses: world.touch, with: {key: ./ka}}\n"
		"- {id: b, uses: world.touch, with: {key: ka}, needs: [a]}\n"
		"- {id: c, uses: world.touch, with: {key: \"kc${{ steps.b.outputs.count }}\"}}\n";
	char events[80];
	struct buf text = BUF_INIT(1 << 20);
	struct err err = ERR_INIT;

	(void)state;
	(void)snprintf(events, sizeof(events), "%s/events", dir);
	assert_int_equal(go(yaml, MODE_PLAN, false, events), 0);
	assert_int_equal(io_read_file(events, 1 << 20, &text, &err), 0);
	assert_non_null(strstr(text.p, "world kc2"));
	assert_null(strstr(text.p, "world ./ka"));
	buf_done(&text);
	assert_int_equal(go(yaml, MODE_RUN, false, NULL), 0);
	assert_int_equal(world_lines("ka"), 2);
	assert_int_equal(world_lines("kc2"), 1);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(test_##name, setup, teardown)
		T(runs_in_order), T(resume_of_done_does_nothing), T(dry_run_changes_nothing),
		T(dead_before_write_idempotent), T(probe_finds_it_done), T(probe_finds_it_not_done),
		T(opaque_stops_and_asks), T(resolved_done_goes_on), T(resolved_not_done_does_it), T(lost_reply_is_probed),
		T(lost_request_is_sent_again), T(request_that_is_always_lost_fails),
		T(lost_reply_of_opaque_is_in_doubt), T(liar_is_refused), T(secret_output_is_refused),
		T(judging_for_itself_is_in_doubt), T(failure_stops_and_finally_runs), T(finally_runs_again_after_reopen),
		T(continue_goes_on), T(a_path_has_one_spelling),
	};

	block_signals();
	return cmocka_run_group_tests(tests, NULL, NULL);
}

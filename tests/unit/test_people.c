/* SPDX-License-Identifier: Apache-2.0 */
/* Steps that wait without a worker, and people: gates, irreversible steps, guards, the inbox, --not-after; over the small
 * world, whose lines tell what has happened. */
#include "world.h"

extern const struct step_type sleep_step, confirm_step;

/* Reads: fails while the world holds no line with this key; counts how often it was asked. */
static atomic_int looks;

struct look_args {
	const char *key;
};

static int
look_run(struct step_ctx *cx, const void *args, struct err *err)
{
	const struct look_args *a = args;
	const struct value *v;

	atomic_fetch_add(&looks, 1);
	if (step_read(cx, &(struct ref){ step_local(cx, "world"), a->key }, &v, err) < 0)
		return -1;
	return v->kind == V_UNKNOWN || v->i > 0 ? 0 : err_set(err, ERR_FAILED, "there is no %s", a->key);
}

static const struct field look_inputs[] = {
	{ .name = "key", .type = F_STRING, .offset = offsetof(struct look_args, key), .required = true, .help = "the key" },
	{ 0 },
};
static const struct step_type look = { .name = "world.look", .summary = "looks", .inputs = look_inputs, .outputs = no_fields,
	.args_size = sizeof(struct look_args), .flags = STEP_READ_ONLY, .run = look_run };

/* Leaves a word in the run's own inbox, as another process would, and waits until it is taken or refused. */
struct say_args {
	const char *step, *choice;
	bool reject, resolve;
};
static enum left said;

static int
say_run(struct step_ctx *cx, const void *args, struct err *err)
{
	const struct say_args *a = args;
	const struct record r = { .type = a->resolve ? REC_RESOLVE : REC_APPROVE, .step = a->step, .says = a->choice, .user = "ann",
		.host = "there", .status = a->resolve ? "done" : a->reject ? "rejected" : "approved" };
	struct arena scratch = ARENA_INIT;
	const char *name;

	if (journal_leave(dir, "r1", &r, &scratch, &name, err) < 0)
		return -1;
	while ((said = journal_left(dir, "r1", name)) == LEFT_THERE)
		if (step_sleep(cx, 10 * NS_PER_MS, err) < 0)
			return -1;
	arena_done(&scratch);
	return 0;
}

static const struct field say_inputs[] = {
	{ .name = "step", .type = F_STRING, .offset = offsetof(struct say_args, step), .required = true, .help = "of whom" },
	{ .name = "choice", .type = F_STRING, .offset = offsetof(struct say_args, choice), .help = "the word" },
	{ .name = "reject", .type = F_BOOL, .offset = offsetof(struct say_args, reject), .help = "no" },
	{ .name = "resolve", .type = F_BOOL, .offset = offsetof(struct say_args, resolve), .help = "of a doubt" },
	{ 0 },
};
static const struct step_type say = { .name = "world.say", .summary = "says", .inputs = say_inputs, .outputs = no_fields,
	.args_size = sizeof(struct say_args), .run = say_run };

/* Leaves the step in doubt. */
static int
doubt_run(struct step_ctx *cx, const void *args, struct err *err)
{
	(void)cx;
	(void)args;
	return err_set(err, ERR_IN_DOUBT, "nobody knows");
}

static const struct step_type doubt = { .name = "world.doubt", .summary = "doubts", .inputs = no_fields, .outputs = no_fields,
	.args_size = 1, .run = doubt_run };

static const struct step_type *const types[] = { &touch, &look, &say, &doubt, &sleep_step, &confirm_step, NULL };
static const struct target_type *const targets[] = { &world_type, NULL };
const struct registry world_registry = { types, targets };

/* A person's word while nobody holds the run. */
static void
word(const char *step, const char *status, const char *choice)
{
	struct journal *j;
	struct journal_info info;
	struct history h;
	struct err err = ERR_INIT;

	history_init(&h);
	assert_int_equal(journal_open(dir, "r1", history_apply, &h, &j, &info, &err), 0);
	assert_non_null(history_step(&h, step));
	assert_true(history_waits(history_step(&h, step)));
	assert_int_equal(journal_add(j, &(struct record){ .type = REC_APPROVE, .step = step, .status = status, .says = choice,
		.user = "bob", .host = "h" }, &err), 0);
	assert_int_equal(journal_seal(j, &err), 0);
	journal_free(j);
	history_done(&h);
}

/* What the journal says now: "status|output bytes|word". */
static void
expect_step(const char *step, const char *want)
{
	struct journal_info info;
	struct history h;
	struct err err = ERR_INIT;
	const struct hist_step *s;
	char got[256];

	history_init(&h);
	assert_int_equal(journal_read(dir, "r1", history_apply, &h, &info, &err), 0);
	s = history_step(&h, step);
	(void)snprintf(got, sizeof(got), "%s|%s|%s", s != NULL ? step_status_name(s->status) : "nothing",
		       s != NULL && s->outputs != NULL ? s->outputs : "-",
		       s != NULL && s->gate != NULL && s->gate->word != NULL ? s->gate->word : "-");
	assert_string_equal(got, want);
	history_done(&h);
}

static int
run(const char *yaml)
{
	return go(yaml, MODE_RUN, false, NULL);
}

static int
resume(const char *yaml)
{
	return go(yaml, MODE_RUN, true, NULL);
}

static void
test_sleep_holds_no_worker(void **state)
{
	(void)state;
	with.jobs = 1;
	/* b and c are done while a and d sleep: on one worker, and before it is e's turn */
	assert_int_equal(run(HEAD "- {id: a, uses: sleep, with: {for: 2s}}\n- {id: d, uses: sleep, with: {for: 1s}}\n"
				  "- {id: b, uses: world.touch, with: {key: kb}}\n- {id: c, uses: world.touch, with: {key: kc}, needs: [b]}\n"
				  "- {id: e, uses: world.look, with: {key: kc}, needs: [a, d]}\n"), 0);
}

static void
test_sleep_ends_by_its_time_out(void **state)
{
	(void)state;
	assert_int_equal(run(HEAD "- {id: a, uses: sleep, with: {for: 1h}, timeout: 50ms}\n"), 1);
	expect_step("a", "failed|-|-");
}

#define GATED HEAD "- {id: ok, uses: confirm, with: {message: Go on?}}\n" \
	"- {id: a, uses: world.touch, with: {key: ka}, needs: [ok]}\n- {id: b, uses: world.touch, with: {key: kb}}\n" \
	"finally:\n- {id: f, uses: world.touch, with: {key: kf}}\n"

static void
test_gate_pauses_when_nothing_else_can_run(void **state)
{
	(void)state;
	assert_int_equal(run(GATED), 3);
	assert_int_equal(world_lines("kb"), 1);
	assert_int_equal(world_lines("ka") + world_lines("kf"), 0);
	assert_int_equal(resume(GATED), 3); /* still nobody has said anything */
	word("ok", "approved", NULL);
	assert_int_equal(resume(GATED), 0);
	expect_step("ok", "done|{\"by\":\"bob@h\",\"choice\":\"yes\"}|approved");
	assert_int_equal(world_lines("ka") + world_lines("kf"), 2);
	assert_int_equal(world_lines("kb"), 1);
}

static void
test_rejected_is_failed_and_asked_again_by_a_resume(void **state)
{
	static const char yaml[] = HEAD "- {id: ok, uses: confirm, with: {message: Go on?}, retry: {attempts: 3, backoff: 1ms}}\n"
		"- {id: a, uses: world.touch, with: {key: ka}, needs: [ok]}\n"
		"finally:\n- {id: f, uses: world.touch, with: {key: kf}}\n";

	(void)state;
	assert_int_equal(run(yaml), 3);
	word("ok", "rejected", NULL);
	assert_int_equal(resume(yaml), 1);
	expect_step("ok", "failed|-|rejected");
	assert_int_equal(world_lines("ka"), 0);
	assert_int_equal(world_lines("kf"), 1); /* it has closed */
	assert_int_equal(resume(yaml), 3);
	word("ok", "approved", NULL);
	assert_int_equal(resume(yaml), 0);
	assert_int_equal(world_lines("ka"), 1);
}

static void
test_choice(void **state)
{
	static const char yaml[] = HEAD "- {id: ok, uses: confirm, with: {message: How?, choices: [fast, slow]}}\n"
		"- {id: a, uses: world.touch, with: {key: ka}, when: \"${{ steps.ok.outputs.choice == 'slow' }}\"}\n"
		"- {id: b, uses: world.touch, with: {key: kb}, when: \"${{ steps.ok.outputs.choice == 'fast' }}\"}\n";

	(void)state;
	assert_int_equal(run(yaml), 3);
	word("ok", "approved", "slow");
	assert_int_equal(resume(yaml), 0);
	assert_int_equal(world_lines("ka"), 1);
	assert_int_equal(world_lines("kb"), 0);
}

static void
test_approved_on_the_command_line(void **state)
{
	static const char *const words[] = { "a", "ok", NULL };

	(void)state;
	with.approve = words;
	assert_int_equal(run(GATED), 0);
	expect_step("ok", "done|{\"by\":\"me@here\",\"choice\":\"yes\"}|approved");
	expect_step("b", "done|{\"count\":1}|-");
}

/* What was said in advance outlives the process that heard it, from before the gate is reached. */
static void
test_approved_in_advance_and_killed(void **state)
{
	static const char yaml[] = HEAD "- {id: k, uses: world.touch, with: {key: kk, class: idempotent}}\n"
		"- {id: ok, uses: confirm, with: {message: x, choices: [fast, slow]}, needs: [k]}\n"
		"- {id: a, uses: world.touch, with: {key: ka}, irreversible: no way back, needs: [k]}\n";
	static const char *const words[] = { "a", "ok", NULL };

	(void)state;
	with.approve = words;
	crash(yaml, "before", 1);
	with.approve = NULL;
	expect_step("ok", "pending|-|approved");
	assert_int_equal(resume(yaml), 0);
	expect_step("ok", "done|{\"by\":\"me@here\",\"choice\":\"fast\"}|approved");
	expect_step("a", "done|{\"count\":1}|approved");
}

/* A word in advance is about the run: a failure before its step does not take it back, one of the step does. */
static void
test_approved_in_advance_and_failed(void **state)
{
	static const char before[] = HEAD "- {id: g, uses: world.look, with: {key: kg}}\n"
		"- {id: ok, uses: confirm, with: {message: x}, needs: [g]}\n";
	static const char after[] = HEAD "- {id: g, uses: world.touch, with: {key: kg}}\n"
		"- {id: ok, uses: confirm, with: {message: x}, needs: [g]}\n";

	(void)state;
	with.approve = (const char *const[]){ "ok", NULL };
	assert_int_equal(run(before), 1);
	expect_step("ok", "blocked|-|approved");
	with.approve = NULL;
	assert_int_equal(resume(after), 0); /* what has failed is done again, as it is now */
	expect_step("ok", "done|{\"by\":\"me@here\",\"choice\":\"yes\"}|approved");
}

static void
test_time_limit_of_a_gate(void **state)
{
	(void)state;
	/* the other branch lasts longer than anybody may take to answer */
	assert_int_equal(run(HEAD "- {id: ok, uses: confirm, with: {message: Go on?}, timeout: 100ms, on_error: continue}\n"
				  "- {id: z, uses: sleep, with: {for: 3s}}\n"), 1);
	expect_step("ok", "failed|-|-");
	expect_step("z", "done|-|-");
}

static void
test_inbox_of_a_live_run(void **state)
{
	(void)state;
	assert_int_equal(run(HEAD "- {id: ok, uses: confirm, with: {message: How?, choices: [fast, slow]}}\n"
				  "- {id: a, uses: world.touch, with: {key: ka}, needs: [ok]}\n"
				  "- {id: s, uses: world.say, with: {step: ok, choice: slow}}\n"), 0);
	assert_int_equal(said, LEFT_TAKEN);
	expect_step("ok", "done|{\"by\":\"ann@there\",\"choice\":\"slow\"}|approved");
}

static void
test_inbox_refuses_in_words(void **state)
{
	static const char *const wrong[] = { "step: a", "step: none", "step: ok, choice: never", "step: ok, resolve: true" };
	char yaml[512];

	(void)state;
	for (size_t i = 0; i < countof(wrong); i++) {
		(void)snprintf(yaml, sizeof(yaml), HEAD "- {id: ok, uses: confirm, with: {message: x}}\n"
			       "- {id: a, uses: world.touch, with: {key: ka}}\n- {id: s, uses: world.say, with: {%s}}\n", wrong[i]);
		assert_int_equal(run(yaml), 3);
		assert_int_equal(said, LEFT_REFUSED);
		expect_step("ok", "pending|-|-");
		assert_int_equal(teardown(NULL), 0);
		assert_int_equal(setup(NULL), 0);
	}
}

static void
test_inbox_of_two_people(void **state)
{
	(void)state;
	with.jobs = 1; /* one after the other: the second comes too late */
	assert_int_equal(run(HEAD "- {id: ok, uses: confirm, with: {message: x}}\n- {id: s, uses: world.say, with: {step: ok, reject: true}}\n"
				  "- {id: t, uses: world.say, with: {step: ok}, needs: [s]}\n"), 1);
	expect_step("ok", "failed|-|rejected");
}

static void
test_word_that_waits_in_the_inbox(void **state)
{
	static const char yaml[] = HEAD "- {id: one, uses: confirm, with: {message: x}}\n- {id: two, uses: confirm, with: {message: x}}\n";
	const struct record r = { .type = REC_APPROVE, .step = "two", .status = "approved", .user = "ann", .host = "there" };
	struct arena a = ARENA_INIT;
	struct err err = ERR_INIT;
	const char *name;

	(void)state;
	with.jobs = 1; /* the first look is before the second gate is asked again */
	assert_int_equal(run(yaml), 3);
	assert_int_equal(journal_leave(dir, "r1", &r, &a, &name, &err), 0); /* and whoever left it died with the run */
	assert_int_equal(resume(yaml), 3);
	assert_int_equal(journal_left(dir, "r1", name), LEFT_TAKEN);
	expect_step("one", "pending|-|-");
	expect_step("two", "done|{\"by\":\"ann@there\",\"choice\":\"yes\"}|approved");
	arena_done(&a);
}

static void
test_resolved_beside_a_draining_run(void **state)
{
	static const char yaml[] = HEAD "- {id: d, uses: world.doubt}\n- {id: s, uses: world.say, with: {step: d, resolve: true}}\n";

	(void)state;
	assert_int_equal(run(yaml), 3);
	assert_int_equal(said, LEFT_TAKEN);
	expect_step("d", "pending|-|-");
}

#define CROSS HEAD "- {id: a, uses: world.touch, with: {key: ka}, irreversible: no way back}\n" \
	"- {id: b, uses: world.touch, with: {key: kb}}\n"

static void
test_irreversible_waits_for_its_approval(void **state)
{
	(void)state;
	assert_int_equal(run(CROSS), 3);
	assert_int_equal(world_lines("ka"), 0);
	assert_int_equal(world_lines("kb"), 1);
	word("a", "approved", NULL);
	assert_int_equal(resume(CROSS), 0);
	assert_int_equal(world_lines("ka"), 1);
}

static void
test_irreversible_rejected(void **state)
{
	(void)state;
	assert_int_equal(run(CROSS), 3);
	word("a", "rejected", NULL);
	assert_int_equal(resume(CROSS), 1);
	assert_int_equal(world_lines("ka"), 0);
}

static void
test_irreversible_behind_a_gate(void **state)
{
	static const char yaml[] = HEAD "- {id: ok, uses: confirm, with: {message: x}}\n"
		"- {id: a, uses: world.touch, with: {key: ka}, irreversible: no way back, needs: [ok]}\n"
		"- {id: skipped, uses: confirm, when: false, with: {message: x}}\n"
		"- {id: b, uses: world.touch, with: {key: kb}, irreversible: no way back, needs: [skipped]}\n";
	static const char *const ok[] = { "ok", NULL };

	(void)state;
	with.approve = ok;
	assert_int_equal(run(yaml), 3); /* a gate that was skipped was not passed */
	assert_int_equal(world_lines("ka"), 1);
	assert_int_equal(world_lines("kb"), 0);
}

static void
test_irreversible_killed_in_mid_effect(void **state)
{
	(void)state;
	with.approve = (const char *const[]){ "a", NULL };
	crash(HEAD "- {id: a, uses: world.touch, with: {key: ka, class: probe}, irreversible: no way back}\n", "after", 1);
	with.approve = NULL;
	/* it was let pass once, and that is on record */
	assert_int_equal(resume(HEAD "- {id: a, uses: world.touch, with: {key: ka, class: probe}, irreversible: no way back}\n"), 0);
	assert_int_equal(world_lines("ka"), 1);
}

#define GUARDED HEAD "- {id: kg, uses: world.touch, with: {key: kg}}\n- {id: g, uses: world.look, with: {key: kg}, needs: [kg]}\n" \
	"- {id: a, uses: world.touch, with: {key: ka}, irreversible: no way back, guard: [g]}\n"

static void
empty_world(void)
{
	char path[128];

	(void)snprintf(path, sizeof(path), "%s/world", dir);
	assert_int_equal(truncate(path, 0), 0);
}

static void
test_guard_is_looked_at_again(void **state)
{
	(void)state;
	assert_int_equal(run(GUARDED), 3);
	assert_int_equal(atomic_load(&looks), 1);
	empty_world(); /* somebody changes the world while the gate waits */
	word("a", "approved", NULL);
	assert_int_equal(resume(GUARDED), 3);
	assert_int_equal(atomic_load(&looks), 2);
	assert_int_equal(world_lines("ka"), 0);
	expect_step("a", "running|-|approved");
	assert_int_equal(resume(GUARDED), 3);
	assert_int_equal(atomic_load(&looks), 3);
}

static void
test_guard_that_holds(void **state)
{
	(void)state;
	with.approve = (const char *const[]){ "a", NULL };
	assert_int_equal(run(GUARDED), 0);
	assert_int_equal(atomic_load(&looks), 2);
	assert_int_equal(world_lines("ka"), 1);
}

static void
test_guard_once_an_attempt(void **state)
{
	(void)state;
	assert_int_equal(go(GUARDED, MODE_PLAN, false, NULL), 0);
	assert_int_equal(atomic_load(&looks), 2); /* in the dry-run it answers like its step */
}

static void
test_not_after(void **state)
{
	static const char yaml[] = HEAD "- {id: z, uses: sleep, with: {for: 200ms}}\n- {id: a, uses: world.touch, with: {key: ka}, needs: [z]}\n"
		"finally:\n- {id: f, uses: world.touch, with: {key: kf}}\n";

	(void)state;
	with.not_after = clock_wall_ms() + 100;
	assert_int_equal(run(yaml), 3);
	assert_int_equal(world_lines("k"), 0);
	with.not_after = 0;
	assert_int_equal(resume(yaml), 0);
	assert_int_equal(world_lines("k"), 2);
}

static int
setup_people(void **state)
{
	atomic_store(&looks, 0);
	return setup(state);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(test_##name, setup_people, teardown)
		T(sleep_holds_no_worker), T(sleep_ends_by_its_time_out), T(gate_pauses_when_nothing_else_can_run),
		T(rejected_is_failed_and_asked_again_by_a_resume), T(choice), T(approved_on_the_command_line),
		T(approved_in_advance_and_killed), T(approved_in_advance_and_failed),
		T(time_limit_of_a_gate), T(inbox_of_a_live_run), T(inbox_refuses_in_words), T(inbox_of_two_people), T(word_that_waits_in_the_inbox),
		T(resolved_beside_a_draining_run), T(irreversible_waits_for_its_approval), T(irreversible_rejected),
		T(irreversible_behind_a_gate), T(irreversible_killed_in_mid_effect), T(guard_is_looked_at_again),
		T(guard_that_holds), T(guard_once_an_attempt), T(not_after),
	};

	block_signals();
	return cmocka_run_group_tests(tests, NULL, NULL);
}

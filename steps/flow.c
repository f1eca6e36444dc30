/* SPDX-License-Identifier: Apache-2.0 */
/* Steps that change nothing: set, assert, note; sleep and confirm, which hold no worker while they wait; and wait, which
 * polls a nested read-only step. */
#include "step.h"

#include <inttypes.h>
#include <string.h>

#include "base/text.h"

#define SEEN_MAX 300 /* bytes of the last answer that a time-out names */

struct set_args {
	const struct value *values;
};

static int
set_run(struct step_ctx *cx, const void *args, struct err *err)
{
	const struct set_args *a = args;

	if (a->values->kind == V_UNKNOWN)
		return err_set(err, ERR_PREDICTED, "the names in 'values' are not known: %s", a->values->s);
	for (size_t i = 0; i < a->values->len; i++)
		if (step_output(cx, a->values->pairs[i].key, a->values->pairs[i].v, err) < 0)
			return -1;
	return 0;
}

static const struct field set_inputs[] = {
	{ "values", F_MAP, .offset = offsetof(struct set_args, values), .required = true,
	  .help = "names and values; each becomes an output of this step" },
	{ 0 },
};

static const struct field set_outputs[] = {
	{ "*", F_ANY, .help = "every member of values, under its own name" },
	{ 0 },
};

const struct step_type set_step = {
	.name = "set",
	.summary = "name values for later steps",
	.inputs = set_inputs,
	.outputs = set_outputs,
	.args_size = sizeof(struct set_args),
	.flags = STEP_PURE | STEP_READ_ONLY,
	.version = 1,
	.run = set_run,
};

struct assert_args {
	const struct value *that;
	const char *message;
};

static int
assert_run(struct step_ctx *cx, const void *args, struct err *err)
{
	const struct assert_args *a = args;

	(void)cx;
	if (a->that->kind == V_UNKNOWN)
		return err_set(err, ERR_PREDICTED, "'that' is not known: %s", a->that->s);
	if (value_true(a->that))
		return 0;
	return err_set(err, ERR_FAILED, "%s", a->message != NULL ? a->message : "the assertion does not hold");
}

static int
assert_check(const void *args, struct err *err)
{
	const struct assert_args *a = args;

	return a->that != NULL ? 0 : err_set(err, ERR_PLAN, "missing field 'that' (any)");
}

/* Not `required`: null is an answer here, and gets the plan's own message. */
static const struct field assert_inputs[] = {
	{ "that", F_ANY, .offset = offsetof(struct assert_args, that),
	  .help = "what must hold (needed): anything but false and null" },
	{ "message", F_STRING, .offset = offsetof(struct assert_args, message),
	  .help = "what to say when it does not hold" },
	{ 0 },
};

static const struct field no_outputs[] = { { 0 } };

const struct step_type assert_step = {
	.name = "assert",
	.summary = "fail unless a condition holds",
	.inputs = assert_inputs,
	.outputs = no_outputs,
	.args_size = sizeof(struct assert_args),
	.flags = STEP_PURE | STEP_READ_ONLY,
	.version = 1,
	.run = assert_run,
	.check = assert_check,
};

struct sleep_args {
	int64_t duration;
};

static int
sleep_run(struct step_ctx *cx, const void *args, struct err *err)
{
	const struct sleep_args *a = args;

	(void)err;
	(void)step_until(cx, a->duration);
	return 0;
}

static const struct field sleep_inputs[] = {
	{ "for", F_DURATION, .offset = offsetof(struct sleep_args, duration), .required = true,
	  .help = "how long to sleep" },
	{ 0 },
};

const struct step_type sleep_step = {
	.name = "sleep",
	.summary = "let time pass",
	.inputs = sleep_inputs,
	.outputs = no_outputs,
	.args_size = sizeof(struct sleep_args),
	.flags = STEP_PURE | STEP_READ_ONLY | STEP_PARKS,
	.version = 1,
	.run = sleep_run,
};

struct confirm_args {
	const char *message;
	const struct value *choices;
};

#define CHOICE_MAX 63

/* A choice is typed as one word, at a prompt and behind --choice. */
static bool
is_choice(const struct value *v)
{
	const bool word = v->kind == V_UNKNOWN || (v->len > 0 && v->len <= CHOICE_MAX && v->s[0] != '-');

	for (uint32_t i = 0; word && v->kind == V_STRING && i < v->len; i++)
		if ((unsigned char)v->s[i] <= ' ' || v->s[i] == 0x7f || v->s[i] == '/')
			return false;
	return word;
}

/* The answers: those of the plan, or yes; and no, which rejects, wherever the plan names it. */
static struct value
answers_of(struct step_ctx *cx, const struct value *choices)
{
	static const struct value yes = { .kind = V_STRING, .s = "yes", .len = 3 };
	const uint32_t len = choices != NULL && choices->kind == V_LIST ? choices->len : 0;
	struct value *list = arena_array(step_arena(cx), len + 2, sizeof(*list));
	uint32_t n = 0;

	for (uint32_t i = 0; i < len; i++)
		if (strcmp(choices->items[i].s, "no") != 0)
			list[n++] = choices->items[i];
	if (n == 0)
		list[n++] = yes;
	list[n++] = value_str("no");
	return value_list(list, n);
}

static int
confirm_check(const void *args, struct err *err)
{
	const struct confirm_args *a = args;

	for (uint32_t i = 0; a->choices != NULL && a->choices->kind == V_LIST && i < a->choices->len; i++) {
		if (!is_choice(&a->choices->items[i]))
			return err_set(err, ERR_PLAN, "'choices': each is one word of at most %d bytes, without '/'", CHOICE_MAX);
		for (uint32_t k = 0; k < i; k++)
			if (strcmp(a->choices->items[i].s, a->choices->items[k].s) == 0)
				return err_set(err, ERR_PLAN, "'choices': '%s' stands twice", a->choices->items[i].s);
	}
	return 0;
}

static int
confirm_run(struct step_ctx *cx, const void *args, struct err *err)
{
	const struct confirm_args *a = args;
	const struct value answers = answers_of(cx, a->choices);
	struct answer answer;

	if (!step_ask(cx, a->message, &answers, &answer))
		return 0;
	if (step_output(cx, "choice", answer.choice, err) < 0)
		return -1;
	return step_output(cx, "by", answer.by, err);
}

static const struct field confirm_inputs[] = {
	{ "message", F_STRING, .offset = offsetof(struct confirm_args, message), .required = true,
	  .help = "what the person who answers has to know" },
	{ "choices", F_LIST, .item = F_STRING, .offset = offsetof(struct confirm_args, choices),
	  .help = "the answers, one word each (default yes and no); `no` always can be answered, and rejects: the step fails" },
	{ 0 },
};

static const struct field confirm_outputs[] = {
	{ "choice", F_STRING, .help = "the answer" },
	{ "by", F_STRING, .help = "who gave it: user@host" },
	{ 0 },
};

const struct step_type confirm_step = {
	.name = "confirm",
	.summary = "a gate: wait for a person's word, at the terminal or by `wherry approve`",
	.inputs = confirm_inputs,
	.outputs = confirm_outputs,
	.args_size = sizeof(struct confirm_args),
	.flags = STEP_PURE | STEP_READ_ONLY | STEP_PARKS | STEP_GATE,
	.version = 1,
	.run = confirm_run,
	.check = confirm_check,
};

struct note_args {
	const char *message;
};

static int
note_run(struct step_ctx *cx, const void *args, struct err *err)
{
	const struct note_args *a = args;

	(void)err;
	step_note(cx, "%s", a->message);
	return 0;
}

static const struct field note_inputs[] = {
	{ "message", F_STRING, .offset = offsetof(struct note_args, message), .required = true, .help = "what to say" },
	{ 0 },
};

const struct step_type note_step = {
	.name = "note",
	.summary = "say something to those who watch, and to the report",
	.inputs = note_inputs,
	.outputs = no_outputs,
	.args_size = sizeof(struct note_args),
	.flags = STEP_READ_ONLY,
	.version = 1,
	.run = note_run,
};

struct wait_args {
	const struct call *step;
	const struct expr *until;
	int64_t every;
};

/* One look at the world: 1 it holds, 0 not yet (ret_seen says what was there), -1 with err. */
static int
look(struct step_ctx *cx, const struct wait_args *a, const struct value **ret_outputs, struct buf *ret_seen,
     struct err *err)
{
	struct err nested = ERR_INIT;
	struct value holds;

	buf_clear(ret_seen);
	if (step_call(cx, a->step, ret_outputs, &nested) < 0) {
		buf_printf(ret_seen, "%s", nested.msg);
		if (nested.retryable)
			return 0;
		*err = nested;
		return -1;
	}
	value_show(ret_seen, *ret_outputs);
	if (step_expr(cx, a->until, *ret_outputs, &holds, err) < 0)
		return -1;
	return holds.kind != V_UNKNOWN && value_true(&holds);
}

static int
wait_run(struct step_ctx *cx, const void *args, struct err *err)
{
	const struct wait_args *a = args;
	const struct value *outputs;
	struct buf seen = BUF_INIT(SEEN_MAX);
	int rc;

	while ((rc = look(cx, a, &outputs, &seen, err)) == 0) {
		if (step_is_plan(cx)) {
			step_assume(cx, "%s will answer as wanted", a->step->type->name);
			rc = step_output(cx, "value", value_unknown("the end of a wait"), err);
			goto out;
		}
		if (step_sleep(cx, a->every, err) < 0) {
			if (err->kind == ERR_TIMEOUT)
				err_wrap(err, "not yet so; last seen: %.*s%s", (int)utf8_check(seen.p, seen.len),
					 seen.len > 0 ? seen.p : "", seen.failed ? "…" : "");
			rc = -1;
			goto out;
		}
	}
	if (rc > 0)
		rc = step_output(cx, "value", *outputs, err);
out:
	buf_done(&seen);
	return rc;
}

static const struct field wait_inputs[] = {
	{ "step", F_CALL, .offset = offsetof(struct wait_args, step), .required = true,
	  .help = "a read-only step {uses, with}, run again and again" },
	{ "until", F_EXPR, .offset = offsetof(struct wait_args, until), .required = true,
	  .help = "an expression over value, the outputs of that step; the wait ends when it holds" },
	{ "every", F_DURATION, .offset = offsetof(struct wait_args, every), .dflt = "5s", .min = 1e6, .max = 86400e9,
	  .help = "pause between two looks" },
	{ 0 },
};

static const struct field wait_outputs[] = {
	{ "value", F_MAP, .help = "the outputs of the nested step when the wait ended" },
	{ 0 },
};

const struct step_type wait_step = {
	.name = "wait",
	.summary = "run a read-only step until an expression over its outputs holds",
	.inputs = wait_inputs,
	.outputs = wait_outputs,
	.args_size = sizeof(struct wait_args),
	.flags = STEP_READ_ONLY | STEP_WAITS,
	.version = 1,
	.run = wait_run,
};

/* SPDX-License-Identifier: Apache-2.0 */
/* The core step types against a step.h of the test's own: what they ask of the door, and what they make of the answer.
 * Handlers are pure but for step_* calls, so nothing else is needed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "step.h"

extern const struct step_type exec_step, set_step, wait_step, assert_step, sleep_step, confirm_step, file_read_step,
	file_write_step, file_delete_step;

static const struct step_type *const core[] = { &exec_step, &set_step, &wait_step, &assert_step, &sleep_step, &confirm_step,
	&file_read_step, &file_write_step, &file_delete_step };

/* What the handlers see of the engine. */
struct step_ctx {
	struct arena arena;
	bool plan;
	struct effect asked;          /* the last effect */
	unsigned effects, calls, sleeps;
	const char *question;
	struct value answers;
	struct answer word;
	struct value answer;          /* of step_effect and step_read; refused by accept: -1 */
	struct value looks[4];        /* answers of step_call, in turn; UNKNOWN: a retryable failure */
	int64_t slept, deadline_after; /* sleeps until the time-out */
	char note[200], assumed[200];
	struct pair outputs[8];
	size_t noutputs;
};

struct arena *
step_arena(struct step_ctx *cx)
{
	return &cx->arena;
}

const char *
step_text(struct step_ctx *cx, const char *fmt, ...)
{
	char text[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	return arena_strdup(&cx->arena, text);
}

struct target *
step_local(struct step_ctx *cx, const char *kind)
{
	(void)cx;
	return (struct target *)(uintptr_t)kind;
}

int
step_effect(struct step_ctx *cx, const struct effect *e, const struct value **ret, struct err *err)
{
	const struct reply reply = { .value = cx->answer };

	cx->effects++;
	cx->asked = *e;
	if (!cx->plan && e->accept != NULL && e->accept(&reply, e, err) < 0)
		return -1;
	if (ret != NULL)
		*ret = &cx->answer;
	return 0;
}

int
step_read(struct step_ctx *cx, const struct ref *ref, const struct value **ret, struct err *err)
{
	(void)err;
	cx->asked.on = *ref;
	if (ret != NULL)
		*ret = &cx->answer;
	return 0;
}

int
step_output(struct step_ctx *cx, const char *name, struct value v, struct err *err)
{
	(void)err;
	cx->outputs[cx->noutputs++] = (struct pair){ name, v };
	return 0;
}

bool
step_until(struct step_ctx *cx, int64_t ns)
{
	cx->slept = ns;
	return cx->plan;
}

bool
step_ask(struct step_ctx *cx, const char *question, const struct value *answers, struct answer *ret)
{
	cx->question = question;
	cx->answers = *answers;
	*ret = cx->word;
	return cx->word.by.kind != V_NULL;
}

int
step_sleep(struct step_ctx *cx, int64_t ns, struct err *err)
{
	cx->slept = ns;
	if (++cx->sleeps == cx->deadline_after)
		return err_set(err, ERR_TIMEOUT, "time-out");
	return 0;
}

void
step_note(struct step_ctx *cx, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(cx->note, sizeof(cx->note), fmt, ap);
	va_end(ap);
}

void
step_assume(struct step_ctx *cx, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(cx->assumed, sizeof(cx->assumed), fmt, ap);
	va_end(ap);
}

bool
step_is_plan(const struct step_ctx *cx)
{
	return cx->plan;
}

int
step_call(struct step_ctx *cx, const struct call *call, const struct value **ret, struct err *err)
{
	const struct value *v = &cx->looks[cx->calls++];

	(void)call;
	if (v->kind == V_UNKNOWN || v->kind == V_NULL) {
		err_set(err, ERR_FAILED, "not there");
		err->retryable = v->kind == V_UNKNOWN;
		return -1;
	}
	*ret = v;
	return 0;
}

/* Holds when the member "ok" does. */
int
step_expr(struct step_ctx *cx, const struct expr *e, const struct value *v, struct value *ret, struct err *err)
{
	(void)cx, (void)e, (void)err;
	*ret = *value_get(v, "ok");
	return 0;
}

static int
setup(void **state)
{
	struct step_ctx *cx = test_calloc(1, sizeof(*cx));

	*state = cx;
	return 0;
}

static int
teardown(void **state)
{
	struct step_ctx *cx = *state;

	arena_done(&cx->arena);
	test_free(cx);
	return 0;
}

static const struct value *
output(struct step_ctx *cx, const char *name)
{
	for (size_t i = 0; i < cx->noutputs; i++)
		if (strcmp(cx->outputs[i].key, name) == 0)
			return &cx->outputs[i].v;
	fail_msg("no output '%s'", name);
	return NULL;
}

/* --- tables --- */

static void
check_fields(const struct step_type *type, const struct field *fields)
{
	for (const struct field *f = fields; f->name != NULL; f++) {
		if (f->help == NULL || f->help[0] == '\0')
			fail_msg("%s: '%s' has no help", type->name, f->name);
		for (const struct field *g = f + 1; g->name != NULL; g++)
			assert_string_not_equal(f->name, g->name);
		if (f->required)
			assert_null(f->dflt);
	}
}

static void
test_tables(void **state)
{
	(void)state;
	for (size_t i = 0; i < countof(core); i++) {
		assert_non_null(core[i]->summary);
		assert_non_null(core[i]->run);
		assert_true(core[i]->version > 0);
		check_fields(core[i], core[i]->inputs);
		check_fields(core[i], core[i]->outputs);
		for (const struct field *f = core[i]->inputs; f->name != NULL; f++)
			assert_true(f->offset < core[i]->args_size);
		for (size_t k = i + 1; k < countof(core); k++)
			assert_string_not_equal(core[i]->name, core[k]->name);
	}
}

/* Args of a step type, bound by name as the schema would. */
struct bound {
	_Alignas(max_align_t) unsigned char args[256];
};

static void
bind(struct bound *b, const struct step_type *type, const char *name, const void *member, size_t size)
{
	for (const struct field *f = type->inputs; f->name != NULL; f++)
		if (strcmp(f->name, name) == 0) {
			memcpy(b->args + f->offset, member, size);
			return;
		}
	fail_msg("%s has no input '%s'", type->name, name);
}

#define BIND(b, type, name, type_of, v) bind(b, type, name, &(type_of){ v }, sizeof(type_of))

static struct value
list(struct step_ctx *cx, size_t n, const struct value *items)
{
	const struct value v = value_list(items, n);

	return value_copy(&cx->arena, &v);
}

#define LIST(cx, ...) \
	list(cx, countof(((const struct value[]){ __VA_ARGS__ })), (const struct value[]){ __VA_ARGS__ })
#define S(s) value_str(s)

/* --- exec --- */

struct exec_row {
	const char *name;
	const char *field;
	struct value v;
	bool idempotent, read_only, probe;
	const char *refused; /* part of the message, NULL: accepted */
};

static void
test_exec_check(void **state)
{
	struct step_ctx *cx = *state;
	const struct value none = value_list(NULL, 0), argv = LIST(cx, S("true")), empty_word = LIST(cx, S(""));
	const struct secret secret = { .where = "params.x", .len = 1, .content = (char[]){ "x" } };
	const struct pair env[] = {
		{ "A=B", S("x") }, { "", S("x") }, { "WHERRY_RUN", S("x") }, { "A", value_strn("a\0b", 3) },
		{ "A", none }, { "A", value_secret(&secret) }, { "A", value_int(1) }, { "A", value_unknown("w") },
	};
	const struct exec_row rows[] = {
		{ "plain", NULL, .refused = NULL },
		{ "idempotent", NULL, .idempotent = true },
		{ "read only", NULL, .read_only = true },
		{ "probe", NULL, .probe = true },
		{ "idempotent and probe", NULL, .idempotent = true, .probe = true, .refused = "only one of" },
		{ "idempotent and read only", NULL, .idempotent = true, .read_only = true, .refused = "only one of" },
		{ "probe and read only", NULL, .probe = true, .read_only = true, .refused = "only one of" },
		{ "empty argv", "argv", none, .refused = "argv: the command is empty" },
		{ "empty word", "argv", empty_word, .refused = "argv: the command is empty" },
		{ "unknown argv", "argv", value_unknown("why"), .refused = NULL },
		{ "empty probe", "probe", none, .refused = "probe: the command is empty" },
		{ "name with =", "env", value_map(&env[0], 1), .refused = "'A=B'" },
		{ "empty name", "env", value_map(&env[1], 1), .refused = "''" },
		{ "own name", "env", value_map(&env[2], 1), .refused = "wherry's own" },
		{ "NUL", "env", value_map(&env[3], 1), .refused = "NUL" },
		{ "list in env", "env", value_map(&env[4], 1), .refused = "must be a string" },
		{ "secret in env", "env", value_map(&env[5], 1), .refused = NULL },
		{ "number in env", "env", value_map(&env[6], 1), .refused = NULL },
		{ "unknown in env", "env", value_map(&env[7], 1), .refused = NULL },
		{ "secret stdin", "stdin", value_secret(&secret), .refused = NULL },
		{ "list stdin", "stdin", none, .refused = "stdin must be a string" },
		{ "no codes", "expect_codes", none, .refused = "empty" },
		{ "codes", "expect_codes", LIST(cx, value_int(0), value_int(255)), .refused = NULL },
		{ "code too large", "expect_codes", LIST(cx, value_int(0), value_int(256)), .refused = "256" },
		{ "code negative", "expect_codes", LIST(cx, value_int(-1)), .refused = "-1" },
	};

	for (size_t i = 0; i < countof(rows); i++) {
		struct bound b = { 0 };
		struct err err = ERR_INIT;

		BIND(&b, &exec_step, "argv", const struct value *, &argv);
		BIND(&b, &exec_step, "idempotent", bool, rows[i].idempotent);
		BIND(&b, &exec_step, "read_only", bool, rows[i].read_only);
		if (rows[i].probe)
			BIND(&b, &exec_step, "probe", const struct value *, &argv);
		if (rows[i].field != NULL)
			BIND(&b, &exec_step, rows[i].field, const struct value *, &rows[i].v);
		if (exec_step.check(b.args, &err) < 0 ? rows[i].refused == NULL : rows[i].refused != NULL)
			fail_msg("%s: '%s'", rows[i].name, err.msg);
		if (rows[i].refused != NULL && strstr(err.msg, rows[i].refused) == NULL)
			fail_msg("%s: '%s' does not say '%s'", rows[i].name, err.msg, rows[i].refused);
		assert_int_equal(exec_step.is_read_only(b.args), rows[i].read_only);
	}
}

static struct value
reply(struct step_ctx *cx, int64_t code, int64_t sig, const char *out, const char *errors)
{
	const struct pair pairs[] = {
		{ "code", value_int(code) },
		{ "signal", value_int(sig) },
		{ "stdout", value_str(out) },
		{ "stderr", value_str(errors) },
		{ "stdout_dropped", value_int(0) },
		{ "stderr_dropped", value_int(0) },
	};
	const struct value v = value_map(pairs, countof(pairs));

	return value_copy(&cx->arena, &v);
}

static void
test_exec_asks_for_one_effect(void **state)
{
	struct step_ctx *cx = *state;
	const struct value argv = LIST(cx, S("/bin/sh"), S("-c"), S("echo 'it\x1b[2J is'"), S(""));
	const struct value codes = LIST(cx, value_int(4));
	const struct pair vars[] = { { "N", value_int(5) }, { "B", value_bool(true) } };
	const struct value env = value_map(vars, 2);
	const struct value *sent;
	struct bound b = { 0 };
	struct err err = ERR_INIT;

	BIND(&b, &exec_step, "argv", const struct value *, &argv);
	BIND(&b, &exec_step, "env", const struct value *, &env);
	BIND(&b, &exec_step, "expect_codes", const struct value *, &codes);
	BIND(&b, &exec_step, "max_output", int64_t, 4096);
	BIND(&b, &exec_step, "grace", int64_t, NS_PER_S);
	cx->answer = reply(cx, 4, 0, "said", "");
	assert_int_equal(exec_step.run(cx, b.args, &err), 0);
	assert_int_equal(cx->effects, 1);
	assert_string_equal((const char *)cx->asked.on.target, "process");
	assert_string_equal(cx->asked.on.path, "exec /bin/sh");
	assert_string_equal(cx->asked.verb, "run");
	assert_string_equal(cx->asked.says, "run /bin/sh -c 'echo '\\''it\\x1b[2J is'\\''' ''");
	assert_int_equal(cx->asked.class, EFFECT_OPAQUE);
	assert_false(cx->asked.read_only);
	assert_int_equal(value_get_int(&cx->asked.body, "max_output", 0), 4096);
	sent = value_get(&cx->asked.body, "env");
	assert_string_equal(value_get_str(sent, "N", ""), "5");
	assert_string_equal(value_get_str(sent, "B", ""), "true");
	assert_int_equal(output(cx, "code")->i, 4);
	assert_string_equal(output(cx, "stdout")->s, "said");
	assert_false(output(cx, "truncated")->b);
}

static enum effect_class
class_of(struct step_ctx *cx, bool idempotent, bool probe)
{
	const struct value argv = LIST(cx, S("true"));
	struct bound b = { 0 };
	struct err err = ERR_INIT;

	BIND(&b, &exec_step, "argv", const struct value *, &argv);
	BIND(&b, &exec_step, "idempotent", bool, idempotent);
	if (probe)
		BIND(&b, &exec_step, "probe", const struct value *, &argv);
	cx->noutputs = 0;
	cx->answer = reply(cx, 0, 0, "", "");
	assert_int_equal(exec_step.run(cx, b.args, &err), 0);
	return cx->asked.class;
}

static void
test_exec_classes(void **state)
{
	struct step_ctx *cx = *state;

	assert_int_equal(class_of(cx, false, false), EFFECT_OPAQUE);
	assert_int_equal(class_of(cx, true, false), EFFECT_IDEMPOTENT);
	assert_int_equal(class_of(cx, false, true), EFFECT_PROBE);
}

static void
test_exec_says_is_cut(void **state)
{
	struct step_ctx *cx = *state;
	char word[2000];
	struct value argv;
	struct bound b = { 0 };
	struct err err = ERR_INIT;

	memset(word, 'x', sizeof(word) - 1);
	word[sizeof(word) - 1] = '\0';
	argv = LIST(cx, S("echo"), S(word));
	BIND(&b, &exec_step, "argv", const struct value *, &argv);
	cx->answer = reply(cx, 0, 0, "", "");
	assert_int_equal(exec_step.run(cx, b.args, &err), 0);
	assert_in_range(strlen(cx->asked.says), 100, 210);
}

static void
exec_fails(struct step_ctx *cx, int64_t code, int64_t sig, const char *errors, bool idempotent, struct err *err)
{
	const struct value argv = LIST(cx, S("true"));
	struct bound b = { 0 };

	*err = ERR_INIT;
	BIND(&b, &exec_step, "argv", const struct value *, &argv);
	BIND(&b, &exec_step, "idempotent", bool, idempotent);
	cx->answer = reply(cx, code, sig, "", errors);
	assert_int_equal(exec_step.run(cx, b.args, err), -1);
	assert_int_equal(err->kind, sig != 0 ? ERR_UNKNOWN : ERR_FAILED);
}

static void
test_exec_failure_quotes_stderr(void **state)
{
	struct step_ctx *cx = *state;
	struct buf noise = BUF_INIT(0);
	struct err err;

	exec_fails(cx, 2, 0, "warning\nno \x1b[31msuch file\n", false, &err);
	assert_string_equal(err.msg, "the command ended with exit code 2: warning\\nno \\x1b[31msuch file");
	assert_false(err.retryable);
	exec_fails(cx, 1, 0, "", true, &err);
	assert_string_equal(err.msg, "the command ended with exit code 1");
	assert_true(err.retryable);
	exec_fails(cx, -1, 9, "", false, &err);
	assert_non_null(strstr(err.msg, "signal 9 (Killed)"));
	for (int i = 0; i < 100; i++)
		buf_printf(&noise, "line %d of many\n", i);
	exec_fails(cx, 1, 0, noise.p, false, &err);
	assert_non_null(strstr(err.msg, "exit code 1: line "));
	assert_non_null(strstr(err.msg, "line 99 of many"));
	assert_null(strstr(err.msg, "line 50 of many"));
	buf_done(&noise);
}

static void
test_exec_in_a_dry_run(void **state)
{
	struct step_ctx *cx = *state;
	const struct value argv = LIST(cx, S("echo"), value_unknown("not run"));
	struct bound b = { 0 };
	struct err err = ERR_INIT;

	cx->plan = true;
	cx->answer = value_unknown("a command");
	BIND(&b, &exec_step, "argv", const struct value *, &argv);
	assert_int_equal(exec_step.run(cx, b.args, &err), 0);
	assert_non_null(strstr(cx->asked.says, "run echo "));
	assert_int_equal(output(cx, "stdout")->kind, V_UNKNOWN);
	assert_int_equal(output(cx, "truncated")->kind, V_UNKNOWN);
	/* A command that only looks is run even now, so it has to be known. */
	BIND(&b, &exec_step, "read_only", bool, true);
	assert_int_equal(exec_step.run(cx, b.args, &err), -1);
	assert_int_equal(err.kind, ERR_PREDICTED);
	assert_int_equal(cx->effects, 1);
}

/* --- set, assert, sleep --- */

static void
test_set(void **state)
{
	struct step_ctx *cx = *state;
	const struct pair pairs[] = { { "a", value_int(1) }, { "b", value_unknown("why") } };
	struct value values = value_map(pairs, 2);
	struct bound b = { 0 };
	struct err err = ERR_INIT;

	BIND(&b, &set_step, "values", const struct value *, &values);
	assert_int_equal(set_step.run(cx, b.args, &err), 0);
	assert_int_equal(output(cx, "a")->i, 1);
	assert_int_equal(output(cx, "b")->kind, V_UNKNOWN);
	values = value_unknown("why");
	assert_int_equal(set_step.run(cx, b.args, &err), -1);
	assert_int_equal(err.kind, ERR_PREDICTED);
}

static int
run_assert(struct step_ctx *cx, struct value that, const char *message, struct err *err)
{
	struct bound b = { 0 };

	*err = ERR_INIT;
	BIND(&b, &assert_step, "that", const struct value *, &that);
	BIND(&b, &assert_step, "message", const char *, message);
	assert_int_equal(assert_step.check(b.args, err), 0);
	return assert_step.run(cx, b.args, err);
}

static void
test_assert(void **state)
{
	struct step_ctx *cx = *state;
	const struct bound nothing = { 0 };
	struct err err;

	assert_int_equal(assert_step.check(nothing.args, &err), -1);
	assert_int_equal(run_assert(cx, value_bool(true), NULL, &err), 0);
	assert_int_equal(run_assert(cx, value_int(0), NULL, &err), 0); /* as in Lua */
	assert_int_equal(run_assert(cx, value_bool(false), "3 nodes are %s", &err), -1);
	assert_int_equal(err.kind, ERR_FAILED);
	assert_string_equal(err.msg, "3 nodes are %s");
	assert_int_equal(run_assert(cx, VALUE_NULL, NULL, &err), -1);
	assert_string_equal(err.msg, "the assertion does not hold");
	assert_int_equal(run_assert(cx, value_unknown("why"), NULL, &err), -1);
	assert_int_equal(err.kind, ERR_PREDICTED);
}

static void
test_sleep(void **state)
{
	struct step_ctx *cx = *state;
	struct bound b = { 0 };
	struct err err = ERR_INIT;

	BIND(&b, &sleep_step, "for", int64_t, 5 * NS_PER_S);
	assert_int_equal(sleep_step.run(cx, b.args, &err), 0);
	assert_int_equal(cx->slept, 5 * NS_PER_S);
}

/* --- confirm --- */

static int
run_confirm(struct step_ctx *cx, const struct value *choices, struct err *err)
{
	struct bound b = { 0 };

	BIND(&b, &confirm_step, "message", const char *, "Go on?");
	BIND(&b, &confirm_step, "choices", const struct value *, choices);
	return confirm_step.check(b.args, err) < 0 ? -1 : confirm_step.run(cx, b.args, err);
}

static void
test_confirm(void **state)
{
	struct value words[] = { value_str("no"), value_str("now"), value_str("later") };
	const struct value list = value_list(words, 3);
	struct step_ctx *cx = *state;
	struct err err = ERR_INIT;

	assert_int_equal(run_confirm(cx, NULL, &err), 0); /* it waits */
	assert_string_equal(cx->question, "Go on?");
	assert_int_equal(cx->answers.len, 2);
	assert_string_equal(cx->answers.items[0].s, "yes");
	assert_string_equal(cx->answers.items[1].s, "no");
	assert_int_equal(cx->noutputs, 0);
	cx->word = (struct answer){ value_str("later"), value_str("ann@here") };
	assert_int_equal(run_confirm(cx, &list, &err), 0);
	assert_int_equal(cx->answers.len, 3);
	assert_string_equal(cx->answers.items[0].s, "now"); /* no is always the last, and there once */
	assert_string_equal(cx->answers.items[2].s, "no");
	assert_int_equal(cx->noutputs, 2);
	assert_string_equal(cx->outputs[0].v.s, "later");
	assert_string_equal(cx->outputs[1].v.s, "ann@here");
	words[1] = value_str("right now");
	assert_int_equal(run_confirm(cx, &list, &err), -1);
	assert_string_equal(err.msg, "'choices': each is one word of at most 63 bytes, without '/'");
	words[1] = words[2];
	assert_int_equal(run_confirm(cx, &list, &err), -1);
	assert_string_equal(err.msg, "'choices': 'later' stands twice");
}

/* --- wait --- */

static int
run_wait(struct step_ctx *cx, struct err *err)
{
	static const struct call nested = { .type = &file_read_step };
	static const struct expr until = { .src = "value.ok" };
	struct bound b = { 0 };

	*err = ERR_INIT;
	BIND(&b, &wait_step, "step", const struct call *, &nested);
	BIND(&b, &wait_step, "until", const struct expr *, &until);
	BIND(&b, &wait_step, "every", int64_t, 7);
	return wait_step.run(cx, b.args, err);
}

static const struct pair no = { "ok", { .kind = V_BOOL } }, yes = { "ok", { .kind = V_BOOL, .b = true } };

static void
test_wait_until_it_holds(void **state)
{
	struct step_ctx *cx = *state;
	struct err err;

	cx->looks[0] = value_map(&no, 1);
	cx->looks[1] = value_unknown("a failure worth another try");
	cx->looks[2] = value_map(&yes, 1);
	assert_int_equal(run_wait(cx, &err), 0);
	assert_int_equal(cx->calls, 3);
	assert_int_equal(cx->sleeps, 2);
	assert_int_equal(cx->slept, 7);
	assert_true(value_get(output(cx, "value"), "ok")->b);
}

static void
test_wait_ends_with_a_definite_failure(void **state)
{
	struct step_ctx *cx = *state;
	struct err err;

	assert_int_equal(run_wait(cx, &err), -1);
	assert_string_equal(err.msg, "not there");
	assert_int_equal(cx->sleeps, 0);
}

static void
test_wait_names_what_it_saw_last(void **state)
{
	struct step_ctx *cx = *state;
	struct err err;

	cx->looks[0] = cx->looks[1] = value_map(&no, 1);
	cx->deadline_after = 2;
	assert_int_equal(run_wait(cx, &err), -1);
	assert_int_equal(err.kind, ERR_TIMEOUT);
	assert_string_equal(err.msg, "not yet so; last seen: {\"ok\":false}: time-out");
	cx->looks[2] = value_unknown("retryable");
	cx->deadline_after = 3;
	assert_int_equal(run_wait(cx, &err), -1);
	assert_string_equal(err.msg, "not yet so; last seen: not there: time-out");
}

static void
test_wait_in_a_dry_run_looks_once_and_assumes(void **state)
{
	struct step_ctx *cx = *state;
	struct err err;

	cx->plan = true;
	cx->looks[0] = value_map(&no, 1);
	assert_int_equal(run_wait(cx, &err), 0);
	assert_int_equal(cx->calls, 1);
	assert_string_not_equal(cx->assumed, "");
	assert_int_equal(output(cx, "value")->kind, V_UNKNOWN);
}

static void
test_wait_in_a_dry_run_may_hold_already(void **state)
{
	struct step_ctx *cx = *state;
	struct err err;

	cx->plan = true;
	cx->looks[0] = value_map(&yes, 1);
	assert_int_equal(run_wait(cx, &err), 0);
	assert_string_equal(cx->assumed, "");
	assert_int_equal(output(cx, "value")->kind, V_MAP);
}

/* --- files --- */

static struct value
file(struct step_ctx *cx)
{
	const struct pair pairs[] = { { "path", S("/f") }, { "size", value_int(3) }, { "sha256", S("00ff") },
		{ "mode", S("0644") }, { "content", S("abc") } };
	const struct value v = value_map(pairs, countof(pairs));

	return value_copy(&cx->arena, &v);
}

static int
run_read(struct step_ctx *cx, int64_t max, bool missing_ok, struct err *err)
{
	struct bound b = { 0 };

	*err = ERR_INIT;
	cx->noutputs = 0;
	BIND(&b, &file_read_step, "path", const char *, "/f");
	BIND(&b, &file_read_step, "max", int64_t, max);
	BIND(&b, &file_read_step, "missing_ok", bool, missing_ok);
	return file_read_step.run(cx, b.args, err);
}

static void
test_file_read(void **state)
{
	struct step_ctx *cx = *state;
	struct err err;

	cx->answer = file(cx);
	assert_int_equal(run_read(cx, 3, false, &err), 0);
	assert_string_equal((const char *)cx->asked.on.target, "file");
	assert_string_equal(cx->asked.on.path, "/f");
	assert_string_equal(output(cx, "content")->s, "abc");
	assert_int_equal(output(cx, "size")->i, 3);
	assert_string_equal(output(cx, "sha256")->s, "00ff");
	assert_int_equal(run_read(cx, 2, false, &err), -1);
	assert_non_null(strstr(err.msg, "more than max"));
	cx->answer = VALUE_NULL;
	assert_int_equal(run_read(cx, 3, false, &err), -1);
	assert_non_null(strstr(err.msg, "does not exist"));
	assert_int_equal(run_read(cx, 3, true, &err), 0);
	assert_int_equal(output(cx, "content")->kind, V_NULL);
	cx->answer = value_unknown("an earlier step");
	assert_int_equal(run_read(cx, 3, false, &err), 0);
	assert_int_equal(output(cx, "content")->kind, V_UNKNOWN);
}

static void
test_file_write(void **state)
{
	struct step_ctx *cx = *state;
	struct bound b = { 0 };
	struct err err = ERR_INIT;

	cx->answer = file(cx);
	BIND(&b, &file_write_step, "path", const char *, "/f");
	BIND(&b, &file_write_step, "mode", const char *, "600");
	bind(&b, &file_write_step, "content", &(struct bytes){ "abc", 3 }, sizeof(struct bytes));
	assert_int_equal(file_write_step.run(cx, b.args, &err), 0);
	assert_string_equal(cx->asked.verb, "write");
	assert_int_equal(cx->asked.class, EFFECT_PROBE);
	assert_string_equal(cx->asked.says, "write '/f', 3 bytes, mode 0600");
	assert_string_equal(value_get_str(&cx->asked.body, "mode", ""), "0600");
	assert_string_equal(value_get_str(&cx->asked.body, "content", ""), "abc");
	assert_int_equal(output(cx, "size")->i, 3);
}

static void
test_file_delete(void **state)
{
	struct step_ctx *cx = *state;
	struct bound b = { 0 };
	struct err err = ERR_INIT;

	cx->answer = VALUE_NULL;
	BIND(&b, &file_delete_step, "path", const char *, "/f");
	assert_int_equal(file_delete_step.run(cx, b.args, &err), 0);
	assert_string_equal(cx->asked.verb, "remove");
	assert_int_equal(cx->asked.class, EFFECT_PROBE);
	assert_string_equal(cx->asked.says, "remove '/f'");
	assert_string_equal(output(cx, "path")->s, "/f");
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_tables),
		TEST(test_exec_check),
		TEST(test_exec_asks_for_one_effect),
		TEST(test_exec_classes),
		TEST(test_exec_says_is_cut),
		TEST(test_exec_failure_quotes_stderr),
		TEST(test_exec_in_a_dry_run),
		TEST(test_set),
		TEST(test_assert),
		TEST(test_sleep),
		TEST(test_confirm),
		TEST(test_wait_until_it_holds),
		TEST(test_wait_ends_with_a_definite_failure),
		TEST(test_wait_names_what_it_saw_last),
		TEST(test_wait_in_a_dry_run_looks_once_and_assumes),
		TEST(test_wait_in_a_dry_run_may_hold_already),
		TEST(test_file_read),
		TEST(test_file_write),
		TEST(test_file_delete),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* exec: run one command. What it does is opaque to wherry, so the plan says how a command that began and whose end is
 * not known is settled: again (idempotent), by asking (probe), or, by default, by a person. */
#include "step.h"

#include <inttypes.h>
#include <string.h>

#include "base/text.h"

#define SAYS_MAX 200
#define STDERR_MAX 300

struct exec_args {
	const struct value *argv, *env, *input, *expect_codes, *probe;
	const char *cwd;
	bool idempotent, read_only;
	int64_t max_output, grace;
};

static int
check_env(const struct value *env, struct err *err)
{
	for (size_t i = 0; i < env->len; i++) {
		const struct pair *p = &env->pairs[i];
		const enum value_kind kind = p->v.kind;

		if (p->key[0] == '\0' || strchr(p->key, '=') != NULL)
			return err_set(err, ERR_PLAN, "env: '%s' cannot be the name of a variable", p->key);
		if (strncmp(p->key, "WHERRY_", strlen("WHERRY_")) == 0)
			return err_set(err, ERR_PLAN, "env: '%s': names that begin with WHERRY_ are wherry's own",
				       p->key);
		if (kind != V_STRING && kind != V_INT && kind != V_BOOL && kind != V_SECRET && kind != V_UNKNOWN)
			return err_set(err, ERR_PLAN, "env: '%s' must be a string, an integer or a boolean", p->key);
		if (kind == V_STRING && memchr(p->v.s, '\0', p->v.len) != NULL)
			return err_set(err, ERR_PLAN, "env: '%s' holds a NUL byte", p->key);
	}
	return 0;
}

static int
check_argv(const char *name, const struct value *argv, struct err *err)
{
	if (argv->kind == V_UNKNOWN)
		return 0;
	if (argv->len == 0 || (argv->items[0].kind == V_STRING && argv->items[0].len == 0))
		return err_set(err, ERR_PLAN, "%s: the command is empty", name);
	return 0;
}

static int
exec_check(const void *args, struct err *err)
{
	const struct exec_args *a = args;
	const struct value *codes = a->expect_codes;

	if (a->idempotent + a->read_only + (a->probe != NULL) > 1)
		return err_set(err, ERR_PLAN, "only one of idempotent, probe and read_only can be given");
	if (check_argv("argv", a->argv, err) < 0 || (a->probe != NULL && check_argv("probe", a->probe, err) < 0))
		return -1;
	if (a->env != NULL && a->env->kind == V_MAP && check_env(a->env, err) < 0)
		return -1;
	if (a->input != NULL && a->input->kind != V_STRING && a->input->kind != V_SECRET && a->input->kind != V_UNKNOWN)
		return err_set(err, ERR_PLAN, "stdin must be a string");
	if (codes != NULL && codes->kind == V_LIST && codes->len == 0)
		return err_set(err, ERR_PLAN, "expect_codes is empty: no exit code would do");
	for (size_t i = 0; codes != NULL && codes->kind == V_LIST && i < codes->len; i++)
		if (codes->items[i].kind == V_INT && (codes->items[i].i < 0 || codes->items[i].i > 255))
			return err_set(err, ERR_PLAN, "expect_codes: %" PRIi64 " is not an exit code (0 to 255)",
				       codes->items[i].i);
	return 0;
}

static bool
exec_is_read_only(const void *args)
{
	return ((const struct exec_args *)args)->read_only;
}

static bool
exec_is_repeatable(const void *args)
{
	const struct exec_args *a = args;

	return a->idempotent || a->probe != NULL;
}

static void
quote(struct buf *to, const struct value *word)
{
	if (word->kind == V_STRING)
		text_shell_word(to, word->s, word->len);
	else
		value_show(to, word);
}

static const char *
says(struct step_ctx *cx, const struct value *argv)
{
	struct buf text = BUF_INIT(64 << 10);
	const char *ret;

	buf_puts(&text, "run");
	for (size_t i = 0; argv->kind == V_LIST && i < argv->len; i++) {
		buf_putc(&text, ' ');
		quote(&text, &argv->items[i]);
	}
	if (argv->kind != V_LIST) {
		buf_putc(&text, ' ');
		value_show(&text, argv);
	}
	ret = text_safe(step_arena(cx), text.p, text.len, SAYS_MAX);
	buf_done(&text);
	return ret;
}

static const char *
ref_path(struct step_ctx *cx, const struct value *argv, bool read_only)
{
	const struct value *name = argv->kind == V_LIST ? &argv->items[0] : argv;
	const char *verb = read_only ? "look" : "exec"; /* a shell that acted says nothing of what a shell would see */

	if (name->kind != V_STRING)
		return step_text(cx, "%s (unknown)", verb);
	return step_text(cx, "%s %s", verb, text_safe(step_arena(cx), name->s, name->len, 100));
}

/* Environment values as text; secrets and unknowns stay what they are. */
static struct value
env_text(struct step_ctx *cx, const struct value *env)
{
	struct pair *pairs;

	if (env->kind != V_MAP)
		return *env;
	pairs = arena_array(step_arena(cx), env->len, sizeof(*pairs));
	for (size_t i = 0; i < env->len; i++) {
		pairs[i] = env->pairs[i];
		if (pairs[i].v.kind == V_INT)
			pairs[i].v = value_str(step_text(cx, "%" PRIi64, pairs[i].v.i));
		else if (pairs[i].v.kind == V_BOOL)
			pairs[i].v = value_str(pairs[i].v.b ? "true" : "false");
	}
	return value_map(pairs, env->len);
}

static struct value
body(struct step_ctx *cx, const struct exec_args *a)
{
	struct pair *pairs = arena_array(step_arena(cx), 7, sizeof(*pairs));
	size_t n = 0;

	pairs[n++] = (struct pair){ "argv", *a->argv };
	if (a->env != NULL)
		pairs[n++] = (struct pair){ "env", env_text(cx, a->env) };
	if (a->input != NULL)
		pairs[n++] = (struct pair){ "stdin", *a->input };
	if (a->cwd != NULL)
		pairs[n++] = (struct pair){ "cwd", value_str(a->cwd) };
	pairs[n++] = (struct pair){ "max_output", value_int(a->max_output) };
	pairs[n++] = (struct pair){ "grace", value_int(a->grace) };
	if (a->probe != NULL)
		pairs[n++] = (struct pair){ "probe", *a->probe };
	return value_map(pairs, n);
}

static bool
is_expected(const struct exec_args *a, int64_t code)
{
	if (a->expect_codes == NULL)
		return code == 0;
	for (size_t i = 0; i < a->expect_codes->len; i++)
		if (a->expect_codes->items[i].i == code)
			return true;
	return false;
}

/* The end of what the command said: whole lines where they fit. */
static void
last_lines(struct buf *to, const struct value *text)
{
	const char *p = text->s, *newline;
	size_t len = text->len;

	while (len > 0 && (p[len - 1] == '\n' || p[len - 1] == ' '))
		len--;
	if (len > STDERR_MAX) {
		p += len - STDERR_MAX;
		len = STDERR_MAX;
		newline = memchr(p, '\n', len);
		if (newline != NULL) {
			len -= (size_t)(newline + 1 - p);
			p = newline + 1;
		}
	}
	text_escape(to, p, len);
}

/* A command that says by its exit code that it failed has failed; one that was killed did not say how far it came. What
 * may run again without harm is worth another try. */
static int
exec_accept(const struct reply *reply, const struct effect *e, struct err *err)
{
	const int64_t code = value_get_int(&reply->value, "code", -1);
	const int64_t sig = value_get_int(&reply->value, "signal", 0);
	const struct value *said = value_get(&reply->value, "stderr");
	struct buf tail = BUF_INIT(0);

	if (sig == 0 && is_expected(e->accept_data, code))
		return 0;
	if (said != NULL && said->kind == V_STRING && said->len > 0) {
		buf_puts(&tail, ": ");
		last_lines(&tail, said);
	}
	if (sig != 0)
		err_set(err, e->read_only ? ERR_FAILED : ERR_UNKNOWN, "the command was ended by signal %" PRIi64 " (%s)%s", sig,
			sigdescr_np((int)sig) != NULL ? sigdescr_np((int)sig) : "unknown", tail.len > 0 ? tail.p : "");
	else
		err_set(err, ERR_FAILED, "the command ended with exit code %" PRIi64 "%s", code,
			tail.len > 0 ? tail.p : "");
	err->retryable = e->read_only || e->class != EFFECT_OPAQUE;
	buf_done(&tail);
	return -1;
}

static int
put_outputs(struct step_ctx *cx, const struct value *reply, struct err *err)
{
	static const char *const names[] = { "code", "stdout", "stderr" };
	const int64_t dropped = value_get_int(reply, "stdout_dropped", 0) + value_get_int(reply, "stderr_dropped", 0);
	const bool unknown = reply->kind == V_UNKNOWN;

	for (size_t i = 0; i < countof(names); i++) {
		const struct value *v = unknown ? reply : value_get(reply, names[i]);

		if (step_output(cx, names[i], v != NULL ? *v : VALUE_NULL, err) < 0)
			return -1;
	}
	if (dropped > 0)
		step_note(cx, "%" PRIi64 " bytes in the middle of the output are over max_output and were not kept",
			  dropped);
	return step_output(cx, "truncated", unknown ? *reply : value_bool(dropped > 0), err);
}

static int
exec_run(struct step_ctx *cx, const void *args, struct err *err)
{
	const struct exec_args *a = args;
	const struct value *reply;
	const struct effect e = {
		.on = { step_local(cx, "process"), ref_path(cx, a->argv, a->read_only) },
		.verb = "run",
		.body = body(cx, a),
		.class = a->idempotent ? EFFECT_IDEMPOTENT : a->probe != NULL ? EFFECT_PROBE : EFFECT_OPAQUE,
		.says = says(cx, a->argv),
		.accept = exec_accept,
		.accept_data = a,
		.read_only = a->read_only,
	};

	if (a->read_only && (e.body.flags & VF_UNKNOWN) != 0)
		return err_set(err, ERR_PREDICTED, "the command is not known in full: %s", e.says);
	if (step_effect(cx, &e, &reply, err) < 0)
		return -1;
	return put_outputs(cx, reply, err);
}

static const struct field exec_inputs[] = {
	{ "argv", F_LIST, F_STRING, offsetof(struct exec_args, argv), .required = true,
	  .help = "the command and its arguments; no shell is involved, and a secret is refused" },
	{ "env", F_MAP, .offset = offsetof(struct exec_args, env), .secret = true,
	  .help = "variables added to the environment; may hold secrets, which are masked in the output" },
	{ "stdin", F_ANY, .offset = offsetof(struct exec_args, input), .secret = true,
	  .help = "what the command reads from its standard input; may be a secret" },
	{ "cwd", F_PATH, .offset = offsetof(struct exec_args, cwd), .help = "the folder to run in" },
	{ "expect_codes", F_LIST, F_INT, offsetof(struct exec_args, expect_codes),
	  .help = "exit codes that mean success (default: only 0)" },
	{ "idempotent", F_BOOL, .offset = offsetof(struct exec_args, idempotent),
	  .help = "running it twice does no harm: it may run again after a crash or a failure" },
	{ "probe", F_LIST, F_STRING, offsetof(struct exec_args, probe),
	  .help = "a command that changes nothing and says whether the work was done: exit code 0 yes, 1 no; both see "
		  "the same WHERRY_EFFECT" },
	{ "read_only", F_BOOL, .offset = offsetof(struct exec_args, read_only),
	  .help = "the command changes nothing: it runs in the dry-run too" },
	{ "max_output", F_SIZE, .offset = offsetof(struct exec_args, max_output), .dflt = "1MiB", .min = 1024,
	  .max = 64 << 20, .help = "how much of stdout and of stderr is kept: head and tail" },
	{ "grace", F_DURATION, .offset = offsetof(struct exec_args, grace), .dflt = "10s",
	  .help = "time between TERM and KILL where the command has to be ended" },
	{ 0 },
};

static const struct field exec_outputs[] = {
	{ "code", F_INT, .help = "the exit code" },
	{ "stdout", F_BYTES, .help = "what it wrote to standard output" },
	{ "stderr", F_BYTES, .help = "what it wrote to standard error" },
	{ "truncated", F_BOOL, .help = "was output over max_output left out" },
	{ 0 },
};

const struct step_type exec_step = {
	.name = "exec",
	.summary = "run a command on this machine",
	.inputs = exec_inputs,
	.outputs = exec_outputs,
	.args_size = sizeof(struct exec_args),
	.version = 1,
	.run = exec_run,
	.check = exec_check,
	.is_read_only = exec_is_read_only,
	.is_repeatable = exec_is_repeatable,
};

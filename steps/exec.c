/* SPDX-License-Identifier: Apache-2.0 */
/* exec: run one command on this machine. */
#include "steps/command.h"

#include <inttypes.h>
#include <string.h>

#include "base/text.h"

struct exec_args {
	struct command command;
	const struct value *env;
	const char *cwd;
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
exec_check(const void *args, struct err *err)
{
	const struct exec_args *a = args;

	if (command_check(&a->command, err) < 0)
		return -1;
	if (a->env != NULL && a->env->kind == V_MAP && check_env(a->env, err) < 0)
		return -1;
	return 0;
}

static bool
exec_is_read_only(const void *args)
{
	return ((const struct exec_args *)args)->command.read_only;
}

static bool
exec_is_repeatable(const void *args)
{
	return command_class(&((const struct exec_args *)args)->command) != EFFECT_OPAQUE;
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
	size_t n = command_body(&a->command, pairs);

	if (a->env != NULL)
		pairs[n++] = (struct pair){ "env", env_text(cx, a->env) };
	if (a->cwd != NULL)
		pairs[n++] = (struct pair){ "cwd", value_str(a->cwd) };
	return value_map(pairs, n);
}

static int
exec_accept(const struct reply *reply, const struct effect *e, struct err *err)
{
	const int64_t code = value_get_int(&reply->value, "code", -1);
	const int64_t sig = value_get_int(&reply->value, "signal", 0);

	return sig == 0 && command_expects(e->accept_data, code) ? 0 : command_failed(reply, e, code, sig, err);
}

static int
exec_run(struct step_ctx *cx, const void *args, struct err *err)
{
	const struct exec_args *a = args;
	const struct value *reply;
	const struct effect e = {
		.on = { step_local(cx, "process"), ref_path(cx, a->command.argv, a->command.read_only) },
		.verb = "run",
		.body = body(cx, a),
		.class = command_class(&a->command),
		.says = command_says(cx, a->command.argv, ""),
		.accept = exec_accept,
		.accept_data = &a->command,
		.read_only = a->command.read_only,
	};

	if (a->command.read_only && (e.body.flags & VF_UNKNOWN) != 0)
		return err_set(err, ERR_PREDICTED, "the command is not known in full: %s", e.says);
	if (step_effect(cx, &e, &reply, err) < 0)
		return -1;
	return command_put_outputs(cx, reply, err);
}

static const struct field exec_inputs[] = {
	COMMAND_INPUTS(struct exec_args),
	{ "env", F_MAP, .offset = offsetof(struct exec_args, env), .secret = true,
	  .help = "variables added to the environment; may hold secrets, which are masked in the output" },
	{ "cwd", F_PATH, .offset = offsetof(struct exec_args, cwd), .help = "the folder to run in" },
	{ 0 },
};

const struct step_type exec_step = {
	.name = "exec",
	.summary = "run a command on this machine",
	.inputs = exec_inputs,
	.outputs = command_outputs,
	.args_size = sizeof(struct exec_args),
	.version = 1,
	.run = exec_run,
	.check = exec_check,
	.is_read_only = exec_is_read_only,
	.is_repeatable = exec_is_repeatable,
};

/* SPDX-License-Identifier: Apache-2.0 */
/* The target kind of child processes. A command's effect is opaque: what is promised is that a command which never
 * started is a definite failure, that one which wherry had to end is unknown, and that one which outlived its wherry
 * is found again: by its nonce in the environment, and by a lock that it inherits.
 * body: {argv, env, stdin, cwd, max_output, grace, probe}; reply: {code, signal, stdout, stderr, …_dropped}. */
#include "steps/target/targets.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fault.h"
#include "base/proc.h"
#include "steps/target/mask.h"
#include "steps/target/orphan.h"

static int
process_open(struct opctx *op, const void *args, void **ret_conn, struct err *err)
{
	(void)op, (void)args, (void)err;
	*ret_conn = NULL;
	return 0;
}

static void
process_close(void *conn)
{
	(void)conn;
}

static int
process_image(struct opctx *op, void *conn, const struct effect *e, struct value *ret, struct err *err)
{
	(void)op, (void)conn, (void)e, (void)err;
	*ret = VALUE_NULL;
	return 0;
}

static int
process_predict(struct opctx *op, void *conn, const struct effect *e, const struct value *before,
		struct prediction *ret, struct err *err)
{
	(void)op, (void)conn, (void)e, (void)before, (void)err;
	*ret = (struct prediction){
		.confidence = CONF_OPAQUE,
		.after = value_unknown("the result of a command that has not run"),
	};
	return 0;
}

/* The bytes of a string or of a secret; anything else is empty. */
static struct bytes
content(const struct value *v)
{
	if (v != NULL && v->kind == V_STRING)
		return (struct bytes){ v->s, v->len };
	if (v != NULL && v->kind == V_SECRET)
		return (struct bytes){ v->secret->content, v->secret->len };
	return (struct bytes){ 0 };
}

struct environment {
	char **list; /* NULL-ended */
	size_t n;
};

static void
environment_add(struct environment *env, const char *name, struct bytes v)
{
	const size_t len = strlen(name);
	char *s = xmalloc(len + v.len + 2);

	memcpy(s, name, len);
	s[len] = '=';
	if (v.len > 0)
		memcpy(s + len + 1, v.p, v.len);
	s[len + 1 + v.len] = '\0';
	env->list[env->n++] = s;
}

/* Ours first: a name that is set here hides the parent's. Parameters of wherry may be secrets: a child gets none. */
static void
environment_init(struct environment *env, const struct value *own, const struct opctx *op, const char *nonce)
{
	const struct {
		const char *name, *value;
	} marks[] = { { "WHERRY_RUN", op->run }, { "WHERRY_STEP", op->step }, { "WHERRY_EFFECT", nonce } };
	const size_t nown = own != NULL && own->kind == V_MAP ? own->len : 0;
	size_t parents = 0;

	while (environ[parents] != NULL)
		parents++;
	*env = (struct environment){ .list = xcalloc(nown + countof(marks) + parents + 1, sizeof(*env->list)) };
	for (size_t i = 0; i < nown; i++)
		environment_add(env, own->pairs[i].key, content(&own->pairs[i].v));
	for (size_t i = 0; i < countof(marks); i++)
		if (marks[i].value != NULL && marks[i].value[0] != '\0')
			environment_add(env, marks[i].name, (struct bytes){ marks[i].value, strlen(marks[i].value) });
	for (size_t i = 0, ours = env->n; i < parents; i++) {
		const size_t name = strcspn(environ[i], "=") + 1;
		bool hidden = strncmp(environ[i], "WHERRY_PARAM_", strlen("WHERRY_PARAM_")) == 0;

		for (size_t k = 0; k < ours && !hidden; k++)
			hidden = strncmp(environ[i], env->list[k], name) == 0;
		if (!hidden)
			env->list[env->n++] = xstrdup(environ[i]);
	}
}

static void
environment_done(struct environment *env)
{
	for (size_t i = 0; i < env->n; i++) {
		explicit_bzero(env->list[i], strlen(env->list[i]));
		free(env->list[i]);
	}
	free(env->list);
}

static const char *const *
argv_of(struct arena *a, const struct value *list)
{
	const char **argv = arena_array(a, (size_t)list->len + 1, sizeof(*argv));

	for (size_t i = 0; i < list->len; i++)
		argv[i] = list->items[i].s;
	return argv;
}

/* Run argv in the surroundings that body describes. */
static int
run_child(struct opctx *op, const struct value *body, const struct value *argv, struct bytes in, const char *nonce,
	  int keep_fd, struct proc_result *ret, struct err *err)
{
	struct environment env;
	int rc;

	environment_init(&env, value_get(body, "env"), op, nonce);
	rc = proc_run(&(struct proc_spec){
			      .argv = argv_of(op->arena, argv),
			      .env = (const char *const *)env.list,
			      .cwd = value_get_str(body, "cwd", NULL),
			      .stdin_data = in,
			      .cap = (size_t)value_get_int(body, "max_output", 1 << 20),
			      .keep_fd = keep_fd,
			      .deadline = op->deadline,
			      .grace = value_get_int(body, "grace", 10 * NS_PER_S),
			      .cancel = op->cancel,
			      .cancel_fd = op->cancel_fd,
		      },
		      ret, err);
	environment_done(&env);
	if (rc == 0) {
		mask_secrets(&ret->out, body);
		mask_secrets(&ret->err, body);
	}
	return rc;
}

static struct value
reply_value(struct arena *a, const struct proc_result *r)
{
	const struct pair pairs[] = {
		{ "code", value_int(r->code) },
		{ "signal", value_int(r->signal) },
		{ "stdout", value_strn(r->out.len > 0 ? r->out.p : "", r->out.len) },
		{ "stderr", value_strn(r->err.len > 0 ? r->err.p : "", r->err.len) },
		{ "stdout_dropped", value_int((int64_t)r->out_dropped) },
		{ "stderr_dropped", value_int((int64_t)r->err_dropped) },
	};
	const struct value v = value_map(pairs, countof(pairs));

	return value_copy(a, &v);
}

/* A child that wherry ended may have done part of its work; one that only looks has done none. */
static int
ended_by_us(const struct effect *e, const struct proc_result *r, struct err *err)
{
	const char *when = r->timed_out ? "at the step's time-out" : "when the run was stopped";

	if (e->read_only)
		return err_set(err, r->timed_out ? ERR_TIMEOUT : ERR_CANCELLED, "the command was ended by wherry %s",
			       when);
	return err_set(err, ERR_UNKNOWN, "the command was ended by wherry %s; it may have done part of its work", when);
}

static int
process_write(struct opctx *op, void *conn, const struct effect *e, const char *nonce, struct reply *ret,
	      struct err *err)
{
	const bool guarded = op->scratch != NULL && nonce != NULL && !e->read_only;
	struct proc_result r = { 0 };
	int lock = -1, rc;

	(void)conn;
	if (guarded && orphan_lock(op, nonce, &lock, err) < 0)
		return -1;
	FAULT("process.before_spawn");
	rc = run_child(op, &e->body, value_get(&e->body, "argv"), content(value_get(&e->body, "stdin")), nonce, lock, &r,
		       err);
	FAULT("process.ended");
	orphan_release(lock, nonce, !r.timed_out && !r.cancelled);
	if (rc < 0)
		return -1;
	if (r.timed_out || r.cancelled) {
		rc = ended_by_us(e, &r, err);
	} else {
		ret->outcome = OUTCOME_OK;
		ret->value = reply_value(op->arena, &r);
	}
	proc_result_done(&r);
	return rc;
}

static void
note(struct opctx *op, const char *text)
{
	if (op->note != NULL)
		op->note(op, text);
}

static int
process_probe(struct opctx *op, void *conn, const struct effect *e, const char *nonce, const struct value *before,
	      enum probe *ret, struct err *err)
{
	const struct value *argv = value_get(&e->body, "probe");
	struct proc_result r = { 0 };
	struct err why = ERR_INIT;

	(void)conn, (void)before;
	*ret = PROBE_CANNOT_TELL;
	if (argv == NULL || argv->kind != V_LIST)
		return 0;
	if (run_child(op, &e->body, argv, (struct bytes){ 0 }, nonce, -1, &r, &why) < 0) {
		note(op, arena_printf(op->arena, "the probe did not start: %s", why.msg));
		return 0;
	}
	if (!r.timed_out && !r.cancelled && r.code == 0)
		*ret = PROBE_DONE_BY_US;
	else if (!r.timed_out && !r.cancelled && r.code == 1)
		*ret = PROBE_NOT_DONE;
	else if (!r.cancelled)
		note(op, arena_printf(op->arena, "the probe cannot tell: %s %d%s", r.signal ? "signal" : "exit code",
				      r.signal ? r.signal : r.code, r.timed_out ? ", ended at the time-out" : ""));
	proc_result_done(&r);
	return r.cancelled ? err_set(err, ERR_CANCELLED, "stopped while the probe ran") : 0;
}

static const struct field no_fields[] = { { 0 } };

const struct target_type process_target = {
	.kind = "process",
	.summary = "commands run on this machine",
	.fields = no_fields,
	.local = true,
	.open = process_open,
	.close = process_close,
	.image = process_image,
	.write = process_write,
	.predict = process_predict,
	.probe = process_probe,
	.outlived = orphan_wait,
};

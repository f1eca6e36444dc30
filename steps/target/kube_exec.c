/* SPDX-License-Identifier: Apache-2.0 */
/* Owns commands as effects. What one does is opaque. Promised is that one which never began is a definite failure; that one
 * whose end was not seen is unknown, with what became of its pod; that one which is ended at a time-out or a stop is ended
 * in the pod too, where the container has what that takes; that of its output only head and tail are held. */
#include "steps/target/kube_inside.h"

#include <inttypes.h>
#include <string.h>

#include "base/capture.h"
#include "base/clock.h"
#include "base/fault.h"
#include "base/hash.h"
#include "base/text.h"
#include "steps/target/kube_command.h"
#include "steps/target/kube_outlived.h"
#include "steps/target/kube_paths.h"
#include "steps/target/mask.h"
#include "steps/target/peer.h"

/* A word that is looked for in all of an output, whatever is kept of it. */
struct finder {
	struct bytes word;
	struct buf seam; /* the end of what has been looked through */
	bool found;
};

struct session {
	struct bytes in; /* what is left of it */
	struct capture out, err;
	struct finder in_out, in_err;
};

static void
finder_add(struct finder *f, const char *p, size_t n)
{
	if (f->word.len == 0 || f->found)
		return;
	buf_put(&f->seam, p, n);
	f->found = memmem(f->seam.p, f->seam.len, f->word.p, f->word.len) != NULL;
	if (f->seam.len >= f->word.len)
		buf_consume(&f->seam, f->seam.len - (f->word.len - 1));
}

static int
hear(void *data, enum kube_channel channel, const char *p, size_t n, struct err *err)
{
	struct session *s = data;

	(void)err;
	capture_add(channel == KUBE_STDOUT ? &s->out : &s->err, p, n);
	finder_add(channel == KUBE_STDOUT ? &s->in_out : &s->in_err, p, n);
	return 0;
}

static int
say(void *data, char *p, size_t size, size_t *ret, struct err *err)
{
	struct session *s = data;

	(void)err;
	*ret = s->in.len < size ? s->in.len : size;
	if (*ret > 0)
		memcpy(p, s->in.p, *ret);
	s->in = (struct bytes){ (const char *)s->in.p + *ret, s->in.len - *ret };
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

static void
session_init(struct session *s, const struct value *body)
{
	const size_t cap = (size_t)value_get_int(body, "max_output", 1 << 20);
	const struct bytes word = content(value_get(body, "expect_output"));

	*s = (struct session){ .in = content(value_get(body, "stdin")), .out = { .cap = cap }, .err = { .cap = cap },
			       .in_out = { .word = word }, .in_err = { .word = word } };
}

static void
session_done(struct session *s)
{
	buf_done(&s->out.kept);
	buf_done(&s->err.kept);
	buf_done(&s->in_out.seam);
	buf_done(&s->in_err.seam);
}

static struct value
text_of(struct arena *a, struct capture *c, const struct value *body)
{
	struct buf text = capture_end(c);
	struct value v;

	mask_secrets(&text, body);
	v = value_strn(arena_strndup(a, text.len > 0 ? text.p : "", text.len), text.len);
	buf_done(&text);
	c->kept = BUF_INIT(0);
	return v;
}

static struct value
reply_value(struct arena *a, const struct effect *e, struct session *s, int code, const char *why)
{
	struct pair *pairs = arena_array(a, 7, sizeof(*pairs));
	size_t n = 0;

	pairs[n++] = (struct pair){ "code", value_int(code) };
	pairs[n++] = (struct pair){ "stdout", text_of(a, &s->out, &e->body) };
	pairs[n++] = (struct pair){ "stderr", text_of(a, &s->err, &e->body) };
	pairs[n++] = (struct pair){ "stdout_dropped", value_int((int64_t)s->out.dropped) };
	pairs[n++] = (struct pair){ "stderr_dropped", value_int((int64_t)s->err.dropped) };
	if (s->in_out.word.len > 0)
		pairs[n++] = (struct pair){ "found", value_bool(s->in_out.found || s->in_err.found) };
	if (why != NULL)
		pairs[n++] = (struct pair){ "why", value_str(why) };
	return value_map(pairs, n);
}

static const char *const *
argv_of(struct arena *a, const struct value *list)
{
	const char **argv = arena_array(a, (size_t)list->len + 1, sizeof(*argv));

	for (size_t i = 0; i < list->len; i++)
		argv[i] = list->items[i].s;
	return argv;
}

static int
look_at_pod(struct opctx *op, struct kube_conn *c, const struct effect *e, struct kube_pod *ret, struct err *err)
{
	struct kube_paths path;

	if (kube_paths_parse(op->arena, e->on.path, &path, err) < 0)
		return -1;
	return kube_pod_look(op, c, path.namespace, path.name, value_get_str(&e->body, "container", NULL), ret, err);
}

/* Run argv with a mark, or without one where the container has no `env`. */
static int
run_marked(struct opctx *op, struct kube_conn *c, struct kube_command *cmd, const struct value *body, struct kube_end *ret,
	   struct err *err)
{
	int rc;

	session_init(cmd->data, body);
	rc = kube_command_run(op, c, cmd, ret, err);
	if (rc == 0 || !ret->absent || cmd->mark == NULL)
		return rc;
	if (op->note != NULL && cmd->changes)
		op->note(op, arena_printf(op->arena, "container '%s' has no program `env`: should this command outlive wherry, it could not be "
					  "found again", cmd->container));
	*err = ERR_INIT;
	cmd->mark = NULL;
	session_done(cmd->data);
	session_init(cmd->data, body);
	return kube_command_run(op, c, cmd, ret, err);
}

/* What became of the pod since, or NULL; it must not take long, as there is an error to tell. */
static const char *
fate_of(struct opctx *op, struct kube_conn *c, const struct kube_pod *before)
{
	struct opctx own = *op;
	struct err ignored = ERR_INIT;
	struct kube_pod now;

	own.cancel = NULL;
	own.deadline = clock_now() + 5 * NS_PER_S;
	own.note = NULL;
	if (kube_pod_look(&own, c, before->namespace, before->name, before->container, &now, &ignored) < 0)
		return NULL;
	return kube_pod_since(op->arena, before, &now);
}

/* We went before it had ended: it is ended too. */
static int
ended_by_us(struct opctx *op, struct kube_conn *c, const struct effect *e, const struct kube_pod *pod, const char *mark, struct err *err)
{
	const bool stopped = peer_cancelled(op) != 0;
	const char *when = stopped ? "when the run was stopped" : "at the step's time-out";
	const bool ended = mark != NULL && kube_outlived_end(op, c, pod, mark, value_get_int(&e->body, "grace", 10 * NS_PER_S),
							     peer_cancelled(op) > 1);
	const char *what = ended ? "the command was ended by wherry" : "wherry left the command, which may still run in the pod,";

	if (e->read_only)
		return err_set(err, stopped ? ERR_CANCELLED : ERR_TIMEOUT, "%s %s", what, when);
	return err_set(err, ERR_UNKNOWN, "%s %s; it may have done part of its work", what, when);
}

static int
exec_write(struct opctx *op, void *conn, const struct effect *e, const char *nonce, struct reply *ret, struct err *err)
{
	const struct value *in = value_get(&e->body, "stdin");
	struct kube_command cmd = { .argv = argv_of(op->arena, value_get(&e->body, "argv")), .changes = !e->read_only, .sink = hear,
				    .source = in != NULL ? say : NULL };
	unsigned char random[8];
	struct session s = { 0 };
	struct kube_pod pod;
	struct kube_end end;
	char own[17];
	int rc;

	if (look_at_pod(op, conn, e, &pod, err) < 0 || kube_pod_check(&pod, err) < 0)
		return -1;
	random_bytes(random, sizeof(random));
	hex_encode(random, sizeof(random), own);
	cmd.namespace = pod.namespace;
	cmd.pod = pod.name;
	cmd.container = pod.container;
	cmd.mark = nonce != NULL && nonce[0] != '\0' ? nonce : own; /* what only looks is ended too */
	cmd.data = &s;
	rc = run_marked(op, conn, &cmd, &e->body, &end, err);
	if (rc == 0) {
		const char *why = end.code > 128 ? fate_of(op, conn, &pod) : NULL;

		ret->outcome = OUTCOME_OK;
		ret->value = reply_value(op->arena, e, &s, end.code, why);
	} else if (end.ours) {
		rc = ended_by_us(op, conn, e, &pod, cmd.mark, err);
	} else if (end.begun) {
		const char *why = fate_of(op, conn, &pod);

		if (why != NULL)
			rc = err_wrap(err, "%s", why);
	}
	session_done(&s);
	return rc;
}

static int
exec_predict(struct opctx *op, void *conn, const struct effect *e, const struct value *before, struct prediction *ret,
		  struct err *err)
{
	const char **inside = arena_array(op->arena, 2, sizeof(*inside));

	(void)conn, (void)before, (void)err;
	inside[0] = e->on.path; /* files and logs too: kube_paths_cover */
	*ret = (struct prediction){
		.confidence = CONF_OPAQUE,
		.after = value_unknown("the result of a command that has not run"),
		.unknowable = inside,
	};
	return 0;
}

static int
exec_probe(struct opctx *op, void *conn, const struct effect *e, const char *nonce, const struct value *before, enum probe *ret,
		struct err *err)
{
	const struct value *argv = value_get(&e->body, "probe");
	struct kube_command cmd = { .sink = hear, .mark = nonce };
	struct session s = { 0 };
	struct kube_pod pod;
	struct kube_end end;
	int rc;

	(void)before;
	*ret = PROBE_CANNOT_TELL;
	if (argv == NULL || argv->kind != V_LIST)
		return 0;
	if (look_at_pod(op, conn, e, &pod, err) < 0)
		return -1;
	cmd.argv = argv_of(op->arena, argv);
	cmd.namespace = pod.namespace;
	cmd.pod = pod.name;
	cmd.container = pod.container;
	cmd.data = &s;
	rc = kube_pod_check(&pod, err) < 0 ? -1 : run_marked(op, conn, &cmd, &e->body, &end, err);
	session_done(&s);
	if (rc < 0 && (err->kind == ERR_CANCELLED || err->kind == ERR_UNREACHABLE))
		return -1;
	if (rc == 0 && end.code == 0)
		*ret = PROBE_DONE_BY_US;
	else if (rc == 0 && end.code == 1)
		*ret = PROBE_NOT_DONE;
	else if (op->note != NULL)
		op->note(op, rc < 0 ? arena_printf(op->arena, "the probe did not run: %s", err->msg) :
			 arena_printf(op->arena, "the probe cannot tell: exit code %d", end.code));
	*err = ERR_INIT;
	return 0;
}

static int
exec_outlived(struct opctx *op, void *conn, const struct effect *e, const char *nonce, struct err *err)
{
	struct kube_pod pod;

	if (nonce == NULL || nonce[0] == '\0')
		return 0;
	if (look_at_pod(op, conn, e, &pod, err) < 0)
		return -1;
	/* with the pod, or its container, all that ran in it is gone */
	return pod.present && pod.running ? kube_outlived_wait(op, conn, &pod, nonce, err) : 0;
}

/* What a command changes is not seen. */
static int
exec_image(struct opctx *op, void *conn, const struct effect *e, struct value *ret, struct err *err)
{
	(void)op, (void)conn, (void)e, (void)err;
	*ret = VALUE_NULL;
	return 0;
}

const struct target_type kube_inside_exec = {
	.write = exec_write,
	.image = exec_image,
	.predict = exec_predict,
	.probe = exec_probe,
	.outlived = exec_outlived,
};

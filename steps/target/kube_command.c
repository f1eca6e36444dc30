/* SPDX-License-Identifier: Apache-2.0 */
/* Owns the conversation with one command in a pod: the channels that its bytes go by, the end of its input, its exit status,
 * and what an end of any other kind says about whether it has begun. Nothing of its output is kept here. */
#include "steps/target/kube_command.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/fault.h"
#include "base/text.h"
#include "steps/target/kube_paths.h"
#include "steps/target/kube_ws.h"

#define PROTOCOL "v5.channel.k8s.io"
#define MESSAGE_MAX ((size_t)4 << 20)  /* servers send 32 KiB */
#define PIECE ((size_t)32 << 10)       /* of standard input */
#define STATUS_MAX ((size_t)256 << 10)
#define WORDS_MAX 400
#define LINGER (2 * NS_PER_S)          /* between the exit status and the server's close */

struct talk {
	const struct kube_command *cmd;
	struct kube_ws *ws;
	struct buf status;
	int64_t until;   /* NEVER before the status has come */
	bool feeding;    /* there may be more input */
};

const char *
kube_command_where(struct arena *a, const struct kube_command *cmd)
{
	return cmd->container == NULL ? arena_printf(a, "pod %s/%s", cmd->namespace, cmd->pod) :
		arena_printf(a, "pod %s/%s, container '%s'", cmd->namespace, cmd->pod, cmd->container);
}

static const char *
url_of(struct arena *a, const struct kube_command *cmd)
{
	struct buf url = BUF_INIT(0);
	const char *ret;

	buf_printf(&url, "/api/v1/namespaces/%s/pods/%s/exec?stdout=true&stderr=true", cmd->namespace, cmd->pod);
	if (cmd->source != NULL)
		buf_puts(&url, "&stdin=true");
	if (cmd->container != NULL)
		buf_printf(&url, "&container=%s", kube_paths_encoded(a, cmd->container));
	if (cmd->mark != NULL)
		buf_printf(&url, "&command=env&command=%s", kube_paths_encoded(a, arena_printf(a, "WHERRY_EFFECT=%s", cmd->mark)));
	for (const char *const *word = cmd->argv; *word != NULL; word++)
		buf_printf(&url, "&command=%s", kube_paths_encoded(a, *word));
	ret = arena_strndup(a, url.p, url.len);
	buf_done(&url);
	return ret;
}

static int
take(void *data, const unsigned char *p, size_t n, struct err *err)
{
	struct talk *t = data;

	if (n == 0)
		return err_set(err, ERR_FAILED, "the server sent a message without a channel");
	if (p[0] == KUBE_STATUS) {
		if (t->status.len + n - 1 > STATUS_MAX)
			return err_set(err, ERR_FAILED, "the server sent an exit status that is too large");
		buf_put(&t->status, p + 1, n - 1);
		if (n > 1)
			t->until = clock_now() + LINGER;
		return 0;
	}
	if ((p[0] != KUBE_STDOUT && p[0] != KUBE_STDERR) || n == 1) /* each stream is opened by an empty message */
		return 0;
	return t->cmd->sink(t->cmd->data, (enum kube_channel)p[0], (const char *)p + 1, n - 1, err);
}

/* The next piece of the input, or its end. */
static int
feed(struct talk *t, struct err *err)
{
	char piece[1 + PIECE];
	size_t n = 0;

	if (t->cmd->source(t->cmd->data, piece + 1, PIECE, &n, err) < 0)
		return -1;
	piece[0] = KUBE_STDIN;
	if (n > 0) {
		kube_ws_send(t->ws, piece, n + 1);
		return 0;
	}
	t->feeding = false;
	kube_ws_send(t->ws, (const char[]){ (char)KUBE_CLOSE, KUBE_STDIN }, 2);
	return 0;
}

static enum kube_ws_state
converse(struct opctx *op, struct talk *t, struct err *err)
{
	enum kube_ws_state state = KUBE_WS_OPEN;

	while (state == KUBE_WS_OPEN && clock_now() < t->until) {
		if (t->feeding && kube_ws_is_idle(t->ws) && feed(t, err) < 0)
			return KUBE_WS_STOPPED;
		state = kube_ws_turn(op, t->ws, t->feeding, err);
	}
	return state;
}

/* These words of kubelet, containerd, CRI-O and the API server are about a command that was not started. */
static bool
never_began(const char *why)
{
	static const char *const words[] = {
		"unable to start container process", "executable file not found", "failed to start exec", "container not found",
		"pod does not exist", "container is not created or running", "cannot exec in a", "error dialing backend",
		"is not running", "not found in pod", "failed to find container", "unable to find user",
	};

	for (size_t i = 0; i < countof(words); i++)
		if (strstr(why, words[i]) != NULL)
			return true;
	return false;
}

static bool
is_absent(const char *why)
{
	return strstr(why, "executable file not found") != NULL ||
	       (strstr(why, "exec: \"") != NULL && strstr(why, "no such file or directory") != NULL);
}

/* A Status of kind Failure that has no exit code. */
static int
refused(struct opctx *op, const struct kube_command *cmd, const char *why, struct kube_end *ret, struct err *err)
{
	const char *where = kube_command_where(op->arena, cmd), *program = cmd->mark != NULL ? "env" : cmd->argv[0];
	static const char prefix[] = "Internal error occurred: ";

	while (strncmp(why, prefix, strlen(prefix)) == 0)
		why += strlen(prefix);
	ret->absent = is_absent(why);
	ret->begun = !never_began(why);
	if (ret->absent)
		return err_set(err, ERR_FAILED, "%s: there is no program '%s'", where,
			       text_safe(op->arena, program, strlen(program), 100));
	(void)err_set(err, ret->begun && cmd->changes ? ERR_UNKNOWN : ERR_FAILED, "%s: %s", where,
		      text_safe(op->arena, why, strlen(why), WORDS_MAX));
	err->retryable = strstr(why, "error dialing backend") != NULL;
	return -1;
}

/* The exit code that a Status tells; -1: none. */
static int
exit_code(const struct value *status)
{
	const struct value *causes = value_get(status, "details");

	if (strcmp(value_get_str(status, "status", ""), "Success") == 0)
		return 0;
	causes = causes != NULL ? value_get(causes, "causes") : NULL;
	for (size_t i = 0; causes != NULL && causes->kind == V_LIST && i < causes->len; i++) {
		const char *text = value_get_str(&causes->items[i], "message", "");
		char *end;
		const long code = strtol(text, &end, 10);

		if (strcmp(value_get_str(&causes->items[i], "reason", ""), "ExitCode") == 0 && end > text && *end == '\0' &&
		    code >= 0 && code <= INT32_MAX)
			return (int)code;
	}
	return -1;
}

static int
judge_status(struct opctx *op, const struct talk *t, struct kube_end *ret, struct err *err)
{
	struct err ignored = ERR_INIT;
	struct value status;
	const char *message;

	if (value_parse_json(op->arena, t->status.p, t->status.len, &status, &ignored) < 0 || status.kind != V_MAP)
		return err_set(err, t->cmd->changes ? ERR_UNKNOWN : ERR_FAILED, "%s: the exit status cannot be read: %s",
			       kube_command_where(op->arena, t->cmd), ignored.msg);
	ret->code = exit_code(&status);
	if (ret->code >= 0)
		return 0;
	message = value_get_str(&status, "message", "");
	return refused(op, t->cmd, message[0] != '\0' ? message : "its end was told without an exit code, and without a reason", ret, err);
}

static bool
is_over(const struct opctx *op)
{
	return peer_cancelled(op) != 0 || clock_now() >= op->deadline;
}

/* No exit status: the connection went, or we did. */
static int
judge_end(struct opctx *op, const struct talk *t, enum kube_ws_state state, struct kube_end *ret, struct err *err)
{
	const char *where = kube_command_where(op->arena, t->cmd);

	if (state == KUBE_WS_STOPPED) {
		ret->ours = is_over(op);
		if (t->cmd->changes)
			err->kind = ERR_UNKNOWN;
		return err_wrap(err, "%s", where);
	}
	(void)err_set(err, t->cmd->changes ? ERR_UNKNOWN : ERR_UNREACHABLE, "%s: the connection ended before the command did: %s", where,
		      kube_ws_why(t->ws));
	err->retryable = true;
	return -1;
}

/* The upgrade was refused: with the words of a Status where there is one. */
static int
judge_refusal(struct opctx *op, const struct kube_command *cmd, const struct kube_ws_spec *spec, const struct httpc_reply *r,
	      struct kube_end *ret, struct err *err)
{
	const char *where = kube_command_where(op->arena, cmd), *text = NULL;
	struct err ignored = ERR_INIT;
	struct value status;

	ret->begun = r->fate == HTTPC_LOST || (r->fate == HTTPC_ANSWERED && r->status >= 500);
	ret->ours = r->fate == HTTPC_LOST && r->gave_up != ERR_NONE;
	if (r->fate == HTTPC_ANSWERED && r->body.len > 0 &&
	    value_parse_json(op->arena, r->body.p, r->body.len, &status, &ignored) == 0)
		text = kube_status_text(op->arena, &status);
	if (r->fate != HTTPC_ANSWERED || (text == NULL && r->status >= 300 && r->status < 400)) {
		(void)kube_ws_judge(spec, r, err);
		return err_wrap(err, "%s", where);
	}
	if (r->status == 401) {
		(void)err_set(err, ERR_UNREACHABLE, "%s: the server refuses the credentials (401)%s%s", where, text != NULL ? ": " : "",
			      text != NULL ? text : "");
		err->retryable = false;
		return -1;
	}
	if (text == NULL && (r->status == 403 || r->status == 400) && r->body.len == 0)
		return err_set(err, ERR_FAILED, "%s: the server refuses (%d) without a word; it may be older than Kubernetes 1.30 and not know "
			       "%s", where, r->status, PROTOCOL);
	if (text == NULL)
		text = text_safe(op->arena, r->body.p != NULL ? r->body.p : "", r->body.len, WORDS_MAX);
	(void)err_set(err, ret->begun && cmd->changes ? ERR_UNKNOWN : ERR_FAILED, "%s: answered %d: %s", where, r->status, text);
	err->retryable = r->status == 429 || r->status >= 500;
	return -1;
}

/* One connection; *ret_again: the credentials were refused. */
static int
run(struct opctx *op, struct kube_conn *c, const struct kube_command *cmd, bool *ret_again, struct kube_end *ret, struct err *err)
{
	struct talk t = { .cmd = cmd, .status = BUF_INIT(0), .until = NEVER, .feeding = cmd->source != NULL };
	struct buf headers = BUF_INIT(0);
	struct httpc_reply reply = { 0 };
	struct peer peer;
	struct kube_ws_spec spec = { .peer = &peer, .headers = &headers, .protocol = PROTOCOL, .max = MESSAGE_MAX,
				     .changes = cmd->changes, .take = take, .data = &t };
	enum kube_ws_state state;
	int rc = -1;

	*ret = (struct kube_end){ .code = -1 };
	if (kube_conn_sign(op, c, url_of(op->arena, cmd), &peer, &headers, err) < 0)
		goto out;
	FAULT("exec.before");
	t.ws = kube_ws_open(op, &spec, &reply);
	if (t.ws == NULL) {
		*ret_again = reply.status == 401;
		rc = judge_refusal(op, cmd, &spec, &reply, ret, err);
		goto out;
	}
	ret->begun = true;
	FAULT("exec.begun");
	if (t.feeding)
		kube_ws_be_patient(t.ws);
	state = converse(op, &t, err);
	FAULT("exec.ended");
	rc = t.status.len > 0 ? judge_status(op, &t, ret, err) : judge_end(op, &t, state, ret, err);
	kube_ws_close(t.ws);
out:
	if (headers.p != NULL)
		explicit_bzero(headers.p, headers.cap);
	buf_done(&headers);
	buf_done(&t.status);
	httpc_reply_done(&reply);
	return rc;
}

int
kube_command_run(struct opctx *op, struct kube_conn *c, const struct kube_command *cmd, struct kube_end *ret, struct err *err)
{
	bool again = false;
	int rc = run(op, c, cmd, &again, ret, err);

	if (again) {
		kube_conn_forget(c);
		*err = (struct err)ERR_INIT;
		rc = run(op, c, cmd, &again, ret, err);
	}
	return rc;
}

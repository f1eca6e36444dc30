/* SPDX-License-Identifier: Apache-2.0 */
/* Owns the run of a script in a container. Names and paths reach it as arguments only, so nothing of them is ever taken for
 * shell. It is run as `sh -c`: with nothing but a POSIX shell and the coreutils (or busybox) can files be copied. */
#include "steps/target/kube_script.h"

#include <string.h>

#include "base/text.h"

#define SAID_MAX ((size_t)64 << 10)
#define NEEDED "sh, cat, sha256sum, stat, chmod, mv and rm (of coreutils or busybox)"

static int
hear(void *data, enum kube_channel channel, const char *p, size_t n, struct err *err)
{
	struct kube_script *s = data;

	if (channel == KUBE_STDOUT && s->sink != NULL)
		return s->sink(s->data, channel, p, n, err);
	buf_put(channel == KUBE_STDOUT ? &s->out : &s->err, p, n);
	return 0;
}

static int
say(void *data, char *p, size_t size, size_t *ret, struct err *err)
{
	struct kube_script *s = data;

	return s->source(s->data, p, size, ret, err);
}

static int
lacks(struct opctx *op, const struct kube_pod *pod, const char *program, struct err *err)
{
	(void)err_set(err, ERR_FAILED, "container '%s' of pod %s/%s has no program '%s': to copy files it needs " NEEDED, pod->container,
		      pod->namespace, pod->name, text_safe(op->arena, program, strcspn(program, "\n"), 60));
	return err_next(err, "copy by a pod that has them, such as one with the same volume");
}

int
kube_script_run(struct opctx *op, struct kube_conn *c, struct kube_script *s, int *ret_code, struct err *err)
{
	const char *argv[4 + countof(s->args) + 1] = { "sh", "-c", s->text, "wherry" };
	const struct kube_command cmd = { .namespace = s->pod->namespace, .pod = s->pod->name, .container = s->pod->container, .argv = argv,
					  .source = s->source != NULL ? say : NULL, .sink = hear, .data = s };
	struct kube_end end;

	for (size_t i = 0; i < countof(s->args) && s->args[i] != NULL; i++)
		argv[4 + i] = s->args[i];
	s->out = BUF_INIT(SAID_MAX);
	s->err = BUF_INIT(SAID_MAX);
	if (kube_command_run(op, c, &cmd, &end, err) < 0)
		return end.absent ? lacks(op, s->pod, "sh", err) : -1;
	*ret_code = end.code;
	return end.code == KUBE_SCRIPT_LACKS ? lacks(op, s->pod, s->err.len > 0 ? s->err.p : "", err) : 0;
}

void
kube_script_done(struct kube_script *s)
{
	buf_done(&s->out);
	buf_done(&s->err);
}

const char *
kube_script_file(struct arena *a, const struct kube_pod *pod, const char *path)
{
	return arena_printf(a, "file '%s' in pod %s/%s, container '%s'", text_safe(a, path, strlen(path), 200), pod->namespace, pod->name,
			    pod->container);
}

int
kube_script_failed(struct opctx *op, const struct kube_script *s, int code, const char *path, struct err *err)
{
	const char *file = kube_script_file(op->arena, s->pod, path);
	const char *said = s->err.len > 0 ? s->err.p : "";
	size_t len = s->err.len;

	switch (code) {
	case KUBE_SCRIPT_ABSENT:
		return err_set(err, ERR_FAILED, "%s does not exist", file);
	case KUBE_SCRIPT_IRREGULAR:
		return err_set(err, ERR_FAILED, "%s is not a regular file", file);
	case KUBE_SCRIPT_UNREADABLE:
		return err_set(err, ERR_FAILED, "%s cannot be read by the container's user", file);
	case KUBE_SCRIPT_EXISTS:
		(void)err_set(err, ERR_FAILED, "%s exists already, and is another one", file);
		return err_next(err, "choose another path, or say replace: true");
	default:
		break;
	}
	while (len > 0 && said[len - 1] == '\n')
		len--;
	(void)err_set(err, ERR_FAILED, "%s: the copy ended with exit code %d%s%s", file, code, len > 0 ? ": " : "",
		      text_safe(op->arena, said, len, 300));
	err->retryable = code > 128; /* killed, with its pod perhaps */
	return -1;
}

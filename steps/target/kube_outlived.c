/* SPDX-License-Identifier: Apache-2.0 */
/* Owns the search in a container, and what follows from it. Who finds nothing twice, a second apart, is sure: a command that
 * was on its way when its wherry died has begun by then. */
#include "steps/target/kube_outlived.h"

#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/text.h"
#include "steps/target/kube_command.h"
#include "steps/target/peer.h"

#define LOOK_LIMIT (30 * NS_PER_S)
#define END_LIMIT (10 * NS_PER_S) /* for one look at those that are being ended */
#define SAID_MAX ((size_t)64 << 10)

/* A line for each process: its number and name, or "?" for one that belongs to another user and was begun from outside the
 * container, as commands are (its parent is 0). The mark's name and value stand together in no command line of ours. */
static const char script[] =
	"[ -r /proc/self/environ ] && cat /dev/null || exit 3\n"
	"for d in /proc/[0-9]*; do\n"
	"	p=${d#/proc/}\n"
	"	[ \"$p\" != $$ ] || continue\n"
	"	if e=$(cat $d/environ $d/cmdline 2>/dev/null); then\n"
	"		case $e in *\"WHERRY_EFFECT=$1\"*) ;; *) continue ;; esac\n"
	"		echo \"$p $(cat $d/comm)\"\n"
	"		[ -z \"$2\" ] || kill -\"$2\" $p\n"
	"	elif [ $p != 1 ] && [ -r $d/status ]; then\n"
	"		while read -r k v; do [ \"$k $v\" != 'PPid: 0' ] || echo \"$p ?\"; done <$d/status\n"
	"	fi\n"
	"done 2>/dev/null\n"
	"echo end\n";

struct said {
	struct buf out, err;
};

static int
keep(void *data, enum kube_channel channel, const char *p, size_t n, struct err *err)
{
	struct said *s = data;

	(void)err;
	buf_put(channel == KUBE_STDOUT ? &s->out : &s->err, p, n);
	return 0;
}

/* What the script found, line by line. False: it did not come to its end. */
static bool
read_found(struct arena *a, const struct said *s, const char **ret_found, size_t *ret_hidden)
{
	const char *p = s->out.p, *end = p != NULL ? p + s->out.len : NULL, *eol;
	size_t n = 0;

	for (; p != NULL && (eol = memchr(p, '\n', (size_t)(end - p))) != NULL; p = eol + 1) {
		const size_t len = (size_t)(eol - p);
		const char *name = memchr(p, ' ', len);

		if (len == 3 && memcmp(p, "end", 3) == 0)
			break;
		if (name == NULL || s->out.failed)
			return false;
		if (memcmp(name, " ?", 2) == 0 && eol == name + 2)
			(*ret_hidden)++;
		else if (n++ == 0)
			*ret_found = arena_printf(a, "process %.*s (%s)", (int)(name - p), p, text_safe(a, name + 1, (size_t)(eol - name - 1), 40));
	}
	if (n > 1)
		*ret_found = arena_printf(a, "%s and %zu more", *ret_found, n - 1);
	return p != NULL && p < end;
}

int
kube_outlived_look(struct opctx *op, struct kube_conn *c, const struct kube_pod *pod, const char *mark, const char *signal,
		   const char **ret_found, size_t *ret_hidden, struct err *err)
{
	const char *const argv[] = { "sh", "-c", script, "wherry", mark, signal != NULL ? signal : "", NULL };
	struct said said = { BUF_INIT(SAID_MAX), BUF_INIT(SAID_MAX) };
	const struct kube_command cmd = { .namespace = pod->namespace, .pod = pod->name, .container = pod->container, .argv = argv,
					  .sink = keep, .data = &said };
	const int64_t deadline = op->deadline, limit = clock_now() + LOOK_LIMIT;
	struct kube_end end;
	int rc;

	*ret_found = NULL;
	*ret_hidden = 0;
	op->deadline = deadline < limit ? deadline : limit;
	rc = kube_command_run(op, c, &cmd, &end, err);
	op->deadline = deadline;
	if (rc == 0 && (end.code != 0 || !read_found(op->arena, &said, ret_found, ret_hidden)))
		rc = err_set(err, ERR_FAILED, "%s: its processes cannot be looked at (the search ended with exit code %d)%s%s",
			     kube_command_where(op->arena, &cmd), end.code, said.err.len > 0 ? ": " : "",
			     text_safe(op->arena, said.err.len > 0 ? said.err.p : "", said.err.len, 200));
	buf_done(&said.out);
	buf_done(&said.err);
	return rc;
}

static void
nap(const struct opctx *op, int64_t ns)
{
	struct pollfd cancel = { .fd = op->cancel == NULL ? -1 : op->cancel_fd, .events = POLLIN };

	(void)poll(&cancel, 1, (int)(ns / NS_PER_MS));
}

/* It cannot be told whether the command of the earlier attempt still runs. */
static int
cannot_tell(const struct opctx *op, const struct kube_pod *pod, const char *why, struct err *err)
{
	char text[sizeof(err->msg)];

	(void)stpncpy(text, why, sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	(void)err_set(err, ERR_IN_DOUBT, "whether the command of the earlier run still runs in pod %s/%s cannot be told: %s", pod->namespace,
		      pod->name, text);
	return err_next(err, "if nothing of it runs there, and it has done its work: wherry resolve %s %s --done --reason TEXT\n"
			     "if nothing of it runs there, and it has not: wherry resolve %s %s --not-done --reason TEXT", op->run, op->step,
			op->run, op->step);
}

int
kube_outlived_wait(struct opctx *op, struct kube_conn *c, const struct kube_pod *pod, const char *mark, struct err *err)
{
	struct arena *results = op->arena, scratch = ARENA_INIT;
	bool told = false;
	unsigned clean = 0;
	int rc = 0;

	op->arena = &scratch; /* it may wait for hours */
	while (rc == 0) {
		const char *found;
		size_t hidden;

		arena_reset(&scratch);
		if (kube_outlived_look(op, c, pod, mark, NULL, &found, &hidden, err) < 0) {
			rc = err->kind == ERR_FAILED ? cannot_tell(op, pod, err->msg, err) : -1;
			break;
		}
		if (found == NULL && hidden > 0)
			rc = cannot_tell(op, pod, arena_printf(&scratch, "%zu of its processes belong to another user", hidden), err);
		if (rc < 0 || (found == NULL && ++clean == 2))
			break;
		if (found != NULL) {
			clean = 0;
			if (!told && op->note != NULL)
				op->note(op, arena_printf(results, "%s of the earlier run still runs in pod %s/%s; waiting", found, pod->namespace,
							  pod->name));
			told = true;
		}
		nap(op, NS_PER_S);
		if (peer_cancelled(op) != 0) {
			rc = err_set(err, ERR_CANCELLED, "stopped while looking for what the earlier run left in pod %s/%s", pod->namespace,
				     pod->name);
		} else if (clock_now() >= op->deadline) {
			(void)err_set(err, ERR_IN_DOUBT, "%s of the earlier run still runs in pod %s/%s; a second one is never started beside it",
				      found != NULL ? found : "a process", pod->namespace, pod->name);
			rc = err_next(err, "look at it with 'kubectl exec -n %s %s -c %s -- ps'; when it has ended: wherry resume %s",
				      pod->namespace, pod->name, pod->container, op->run);
		}
	}
	op->arena = results;
	arena_done(&scratch);
	return rc;
}

bool
kube_outlived_end(struct opctx *op, struct kube_conn *c, const struct kube_pod *pod, const char *mark, int64_t grace, bool now)
{
	const int64_t kill_at = clock_now() + (now ? 0 : grace), give_up = kill_at + END_LIMIT;
	struct opctx own = *op; /* it is not to be cancelled again */
	bool asked = false, ended = false;

	own.cancel = NULL;
	own.cancel_fd = -1;
	while (!ended && clock_now() < give_up) {
		const char *found, *signal = clock_now() >= kill_at ? "KILL" : asked ? NULL : "TERM";
		struct err ignored = ERR_INIT;
		size_t hidden;

		own.deadline = clock_now() + END_LIMIT;
		if (kube_outlived_look(&own, c, pod, mark, signal, &found, &hidden, &ignored) < 0)
			break;
		asked = true;
		ended = found == NULL && hidden == 0;
		if (!ended)
			nap(&own, 300 * NS_PER_MS);
	}
	return ended;
}

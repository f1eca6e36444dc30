/* SPDX-License-Identifier: Apache-2.0 */
/* A small world in a file for tests of the door and the coordinator: each write appends a line there, so that the world
 * itself counts. A crash is a child process that dies inside the target; the parent then resumes from the journal. */
#ifndef WHERRY_TESTS_WORLD_H
#define WHERRY_TESTS_WORLD_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/io.h"
#include "run.h"

static char dir[64];          /* of this test: state and world */
static const char *die_at;    /* "before" or "after" the write with this count */
static int die_count;
static atomic_int count;
static bool lose_reply;       /* the write happens, its reply does not come back */
static atomic_int drops;      /* so many writes are lost on their way */

struct world {
	char path[128];
};

static size_t
world_lines(const char *key)
{
	struct buf text = BUF_INIT(1 << 20);
	struct err err = ERR_INIT;
	char path[128];
	size_t n = 0;

	(void)snprintf(path, sizeof(path), "%s/world", dir);
	if (io_read_file(path, 1 << 20, &text, &err) < 0 || text.len == 0)
		return 0;
	for (const char *at = text.p, *end = text.p + text.len;
	     (at = memmem(at, (size_t)(end - at), key, strlen(key))) != NULL; at++)
		n++;
	buf_done(&text);
	return n;
}

static int
world_open(struct opctx *op, const void *args, void **ret, struct err *err)
{
	struct world *w = xcalloc(1, sizeof(*w));

	(void)op;
	(void)args;
	(void)err;
	(void)snprintf(w->path, sizeof(w->path), "%s/world", dir);
	*ret = w;
	return 0;
}

static void
world_close(void *conn)
{
	free(conn);
}

static int
world_read(struct opctx *op, void *conn, const char *path, struct value *ret, struct err *err)
{
	(void)op;
	(void)conn;
	(void)err;
	*ret = value_int((int64_t)world_lines(path));
	return 0;
}

static int
world_write(struct opctx *op, void *conn, const struct effect *f, const char *nonce, struct reply *ret, struct err *err)
{
	const struct world *w = conn;
	const int nth = atomic_fetch_add(&count, 1) + 1;
	char line[200];
	int fd;

	(void)op;
	if (nth == die_count && strcmp(die_at, "before") == 0)
		raise(SIGKILL);
	if (atomic_load(&drops) > 0 && atomic_fetch_sub(&drops, 1) > 0) {
		(void)err_set(err, ERR_UNKNOWN, "the request was lost");
		err->retryable = true;
		return -1;
	}
	fd = open(w->path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	(void)snprintf(line, sizeof(line), "%s %s\n", f->on.path, nonce);
	if (fd < 0 || io_write_all(fd, line, strlen(line), err) < 0)
		return -1;
	(void)close(fd);
	if (nth == die_count && strcmp(die_at, "after") == 0)
		raise(SIGKILL);
	if (lose_reply)
		return err_set(err, ERR_UNKNOWN, "the reply was lost");
	*ret = (struct reply){ .outcome = OUTCOME_OK, .value = value_int((int64_t)world_lines(f->on.path)) };
	return 0;
}

static int
world_predict(struct opctx *op, void *conn, const struct effect *f, const struct value *before, struct prediction *ret,
	      struct err *err)
{
	(void)op;
	(void)conn;
	(void)f;
	(void)err;
	ret->confidence = CONF_PREDICTED;
	ret->after = before->kind == V_INT ? value_int(before->i + 1) : value_unknown("not known");
	return 0;
}

static int
world_probe(struct opctx *op, void *conn, const struct effect *f, const char *nonce, const struct value *before,
	    enum probe *ret, struct err *err)
{
	(void)op;
	(void)conn;
	(void)f;
	(void)before;
	(void)err;
	*ret = world_lines(nonce) > 0 ? PROBE_DONE_BY_US : PROBE_NOT_DONE;
	return 0;
}

/* "./x" is "x". */
static int
world_name(struct opctx *op, void *conn, const char *path, const char **ret, struct err *err)
{
	(void)op;
	(void)conn;
	(void)err;
	*ret = strncmp(path, "./", 2) == 0 ? path + 2 : path;
	return 0;
}

static const struct field no_fields[] = { { 0 } };
static const struct target_type world_type = {
	.kind = "world", .summary = "lines in a file", .fields = no_fields, .args_size = 1, .local = true,
	.open = world_open, .close = world_close, .name = world_name, .read = world_read, .write = world_write, .predict = world_predict,
	.probe = world_probe,
};

struct touch_args {
	const char *key;
	const char *class;
};

static int
touch_run(struct step_ctx *cx, const void *args, struct err *err)
{
	const struct touch_args *a = args;
	const struct value *after;
	const struct effect f = { .on = { step_local(cx, "world"), a->key }, .verb = "touch", .says = "touch a key",
		.body = VALUE_NULL, .class = strcmp(a->class, "probe") == 0 ? EFFECT_PROBE
			: strcmp(a->class, "opaque") == 0 ? EFFECT_OPAQUE : EFFECT_IDEMPOTENT };

	if (step_effect(cx, &f, &after, err) < 0)
		return -1;
	return step_output(cx, "count", *after, err);
}

static const struct field touch_inputs[] = {
	{ .name = "key", .type = F_STRING, .offset = offsetof(struct touch_args, key), .required = true, .help = "the key" },
	{ .name = "class", .type = F_STRING, .offset = offsetof(struct touch_args, class), .dflt = "idempotent",
	  .help = "how it settles" },
	{ 0 },
};
static const struct field touch_outputs[] = { { .name = "count", .type = F_INT, .help = "lines" }, { 0 } };
static const struct step_type touch = { .name = "world.touch", .summary = "append a line", .inputs = touch_inputs,
	.outputs = touch_outputs, .args_size = sizeof(struct touch_args), .run = touch_run };

/* Of the test that includes this. */
extern const struct registry world_registry;

/* How the next run differs from the usual one. */
static struct {
	unsigned jobs;
	bool torn, abort;
	struct selection selection;
	const char *const *approve;
	int64_t not_after;
} with = { .jobs = 4 };

/* Run or resume the plan; returns the exit code. events: where JSON events go, or NULL. */
static int
go(const char *yaml, enum run_mode mode, bool resume, const char *events)
{
	struct problems problems = PROBLEMS_INIT;
	struct plan *plan = plan_load(&world_registry, NULL, "test.yaml", yaml, strlen(yaml), &problems);
	struct value params = value_map(NULL, 0);
	struct report_options ro = { .format = FORMAT_JSON, .quiet = true };
	struct journal *journal = NULL;
	struct journal_info info = { 0 };
	struct history history;
	struct run_result result = { 0 };
	struct err err = ERR_INIT;
	struct run_options o = { .mode = mode, .registry = &world_registry, .plan = plan, .params = &params, .jobs = with.jobs,
		.seed = 1, .run = "r1", .torn = with.torn, .abort = with.abort, .selection = with.selection,
		.approve = with.approve, .user = "me", .host = "here", .not_after = with.not_after };

	assert_non_null(plan);
	ro.out = ro.err = open(events != NULL ? events : "/dev/null", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	history_init(&history);
	if (mode == MODE_RUN && !resume)
		assert_int_equal(journal_create(dir, "r1", &(struct record){ .type = REC_OPEN, .says = "test" }, NULL, 0,
						&journal, &err), 0);
	if (resume) {
		if (journal_open(dir, "r1", history_apply, &history, &journal, &info, &err) < 0)
			fail_msg("%s", err.msg);
		assert_int_equal(journal_add(journal, &(struct record){ .type = REC_RESUME, .epoch = history.epoch + 1 }, &err),
				 0);
		history.epoch++;
		o.history = &history;
	}
	o.journal = journal;
	o.report = report_new(&ro);
	if (run_execute(&o, &result, &err) < 0)
		fail_msg("%s", err.msg);
	report_free(o.report);
	journal_free(journal);
	history_done(&history);
	plan_free(plan);
	problems_done(&problems);
	(void)close(ro.out);
	return result.code;
}

/* The same in a child that dies at the nth write. */
static void
crash(const char *yaml, const char *where, int nth)
{
	int status;
	const pid_t pid = fork();

	if (pid == 0) {
		die_at = where;
		die_count = nth;
		(void)go(yaml, MODE_RUN, false, NULL);
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status));
}

static int
setup(void **state)
{
	(void)state;
	(void)snprintf(dir, sizeof(dir), "/tmp/wherry-door.XXXXXX");
	die_count = 0;
	atomic_store(&count, 0);
	with.jobs = 4;
	with.torn = with.abort = false;
	with.selection = (struct selection){ 0 };
	with.approve = NULL;
	with.not_after = 0;
	lose_reply = false;
	atomic_store(&drops, 0);
	return mkdtemp(dir) != NULL ? 0 : -1;
}

static int
teardown(void **state)
{
	char cmd[128];

	(void)state;
	(void)snprintf(cmd, sizeof(cmd), "rm -rf '%s'", dir);
	return system(cmd);
}

#define HEAD "wherry: v1\nname: t\nsteps:\n"
static inline void
resolve_step(const char *step, const char *status)
{
	struct journal *j;
	struct journal_info info;
	struct history h;
	struct err err = ERR_INIT;

	history_init(&h);
	assert_int_equal(journal_open(dir, "r1", history_apply, &h, &j, &info, &err), 0);
	assert_int_equal(journal_add(j, &(struct record){ .type = REC_RESOLVE, .step = step, .status = status }, &err), 0);
	assert_int_equal(journal_commit(j, &err), 0);
	journal_free(j);
	history_done(&h);
}

static void
block_signals(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGUSR1);
	sigprocmask(SIG_BLOCK, &set, NULL);
}

#endif

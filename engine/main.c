/* SPDX-License-Identifier: Apache-2.0 */
/* The front door: a sane process, the table of subcommands, and the one place where an error becomes an exit code. */
#include "cmd.h"

#include <fcntl.h>
#include <limits.h>
#include <malloc.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/text.h"

#define MIN_FILES 64
#define PAGE_OWN (256 << 10) /* allocations of this size are pages of their own */

static const struct command commands[] = {
	{ "plans", cmd_plans, "[NAME]", "list the bundled plans, or describe one", options_none, 0, 1 },
	{ "validate", cmd_validate, "PLAN...", "check plans; report every problem at once", options_validate, 1, 1000 },
	{ "plan", cmd_plan, "PLAN", "dry-run: print every intended action", options_plan, 1, 1 },
	{ "run", cmd_run, "PLAN", "run a plan, or a plan file, checkpointed", options_run, 1, 1 },
	{ "resume", cmd_resume, "[RUN]", "go on with a run where it stopped", options_resume, 0, 1 },
	{ "abort", cmd_abort, "[RUN]", "close a run: only its 'finally' steps run", options_resume, 0, 1 },
	{ "rollback", cmd_rollback, "[RUN]", "take back what a run has done", options_rollback, 0, 1 },
	{ "status", cmd_status, "[RUN]", "show where a run stands", options_status, 0, 1 },
	{ "approve", cmd_approve, "RUN STEP", "answer a gate, or let an irreversible step begin", options_approve, 2, 2 },
	{ "runs", cmd_runs, "[prune]", "list the runs, newest first; prune: remove old ones", options_runs, 0, 1 },
	{ "forget", cmd_forget, "RUN", "take away what a run keeps that may hold secrets", options_forget, 1, 1 },
	{ "resolve", cmd_resolve, "RUN STEP", "say what became of a step in doubt", options_resolve, 2, 2 },
	{ "report", cmd_report, "[RUN]", "tell what happened, when, to what", options_report, 0, 1 },
	{ "graph", cmd_graph, "PLAN|RUN", "show what waits for what, and in a run how far it has come", options_graph, 1, 1 },
	{ "steps", cmd_steps, "[TYPE]", "list the step types, or describe one", options_steps, 0, 1 },
	{ "schema", cmd_schema, "", "print the JSON Schema of the plan language", options_none, 0, 0 },
	{ "journal", cmd_journal, "dump|verify [RUN]", "print or check a run's journal", options_none, 1, 2 },
	{ "version", cmd_version, "", "print the version and its libraries", options_none, 0, 0 },
	{ "help", cmd_help, "[TOPIC]", "help on a subcommand or a topic", options_none, 0, 1 },
	{ "completion", cmd_completion, "bash|zsh|fish", "print a script that completes commands, options, plans, runs and steps",
	  options_none, 1, UINT_MAX },
	{ 0 },
};

/* Whoever aborts has said why: this machine has no memory, or no random bytes. Every run can be resumed after it. */
static void
aborted(int signo)
{
	(void)signo;
	_exit(err_exit_code(ERR_LOCAL));
}

/* What the rest relies on: descriptors 0-2 are open, no core holds a secret, files are private, writes to a reader
 * that went away or past a limit fail instead of killing us, and there is room for descriptors. */
static int
sane_process(struct err *err)
{
	const struct rlimit none = { 0, 0 };
	struct rlimit files;

	for (int fd = 0; fd <= 2; fd++)
		if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", O_RDWR) != fd) /* NOLINT: these three are inherited */
			return err_errno(err, "descriptor %d is closed and /dev/null cannot replace it", fd);
	umask(077);
	signal(SIGABRT, aborted);
	signal(SIGPIPE, SIG_IGN);
	signal(SIGXFSZ, SIG_IGN); /* a file-size limit is a full disk: EFBIG */
	setrlimit(RLIMIT_CORE, &none);
	if (getrlimit(RLIMIT_NOFILE, &files) == 0 && files.rlim_cur < MIN_FILES) {
		err_set(err, ERR_LOCAL, "only %llu files may be open at a time, at least %d are needed",
			(unsigned long long)files.rlim_cur, MIN_FILES);
		return err_next(err, "ulimit -n 1024");
	}
	return 0;
}

static int
find_command(struct front *f, const char *name, struct err *err)
{
	const char *names[countof(commands)];
	size_t n = 0;

	f->command = front_command(f, name);
	if (f->command != NULL)
		return 0;
	for (const struct command *c = commands; c->name != NULL; c++)
		names[n++] = c->name;
	err_set(err, ERR_USAGE, "unknown subcommand '%s'%s", name, front_nearest(f, name, names, n));
	return err_next(err, "wherry help");
}

static int
parse(struct front *f, int argc, char **argv, struct err *err)
{
	bool only_words = false;
	int at = 1;

	f->args = arena_array(&f->arena, (size_t)argc + 1, sizeof(*f->args));
	while (at < argc) {
		const struct option *own = f->command != NULL ? f->command->options : options_none;

		if (!only_words && strcmp(argv[at], "--") == 0) {
			only_words = true;
			at++;
		} else if (!only_words && option_is(argv[at])) {
			if (option_parse(options_common, own, &f->arena, argc, argv, &at, &f->opt, err) < 0)
				return -1;
		} else if (f->command == NULL) {
			if (find_command(f, argv[at++], err) < 0)
				return -1;
		} else {
			f->args[f->nargs++] = argv[at++];
		}
	}
	return 0;
}

static int
check_words(struct front *f, struct err *err)
{
	const struct command *c = f->command;

	if (f->nargs < c->min_args)
		err_set(err, ERR_USAGE, "'%s' needs %s", c->name, c->args);
	else if (f->nargs > c->max_args)
		err_set(err, ERR_USAGE, "'%s' does not take '%s'", c->name, f->args[c->max_args]);
	else
		return 0;
	return err_next(err, "wherry help %s", c->name);
}

static int
dispatch(struct front *f, int argc, char **argv, struct err *err)
{
	if (sane_process(err) < 0)
		return -1;
	if (parse(f, argc, argv, err) < 0) {
		if (err->next[0] == '\0')
			err_next(err, "wherry help%s%s", f->command != NULL ? " " : "",
				 f->command != NULL ? f->command->name : "");
		return -1;
	}
	f->typed = (struct typed){ .state = f->opt.state, .params_file = f->opt.params_file };
	if (f->opt.help && f->command != NULL) {
		f->args[0] = f->command->name;
		f->nargs = 1;
	}
	if (f->opt.help)
		return cmd_help(f, err);
	if (f->opt.version)
		return cmd_version(f, err);
	if (f->command == NULL) {
		err_set(err, ERR_USAGE, "say what to do");
		return err_next(err, "wherry help");
	}
	if (check_words(f, err) < 0)
		return -1;
	return f->command->fn(f, err);
}

int
main(int argc, char **argv)
{
	struct front f = { .commands = commands, .argv = (const char *const *)argv };
	struct err err = ERR_INIT;
	int code;

	/* pages go back to the system when they are freed: else every thread's heap grows to its largest ones, for good */
	(void)mallopt(M_MMAP_THRESHOLD, PAGE_OWN);
	code = dispatch(&f, argc, argv, &err);
	if (code < 0) {
		front_error(&f, &err);
		code = err_exit_code(err.kind);
	}
	arena_done(&f.arena);
	return code;
}

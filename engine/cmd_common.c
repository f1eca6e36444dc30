/* SPDX-License-Identifier: Apache-2.0 */
/* Printing for subcommands (everything that is not ours is escaped), where state lives, and who runs this. */
#include "cmd.h"

#include <errno.h>
#include <pwd.h>
#include <signal.h>
#include <stdarg.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/io.h"
#include "base/text.h"

/* A message that cannot be shown changes nothing about what is done. */
static void
to_stderr(struct buf *b)
{
	struct err ignored = ERR_INIT;

	io_write_all(STDERR_FILENO, b->p, b->len, &ignored);
	buf_done(b);
}

int
front_print(struct buf *b, struct err *err)
{
	struct err why = ERR_INIT;
	int ret = io_write_all(STDOUT_FILENO, b->p, b->len, &why);

	buf_clear(b);
	if (ret == 0 || why.sys == EPIPE)
		return 0;
	*err = why;
	return err_wrap(err, "writing to stdout");
}

int
front_print_json(const struct value *v, struct err *err)
{
	struct buf b = BUF_INIT(0);
	int ret;

	value_show(&b, v);
	buf_putc(&b, '\n');
	ret = front_print(&b, err);
	buf_done(&b);
	return ret;
}

bool
front_json(const struct front *f)
{
	return f->opt.format != NULL && strcmp(f->opt.format, "json") == 0;
}

void
front_say(const char *fmt, ...)
{
	struct buf b = BUF_INIT(0), line = BUF_INIT(0);
	va_list ap;
	char *text;

	va_start(ap, fmt);
	text = xvasprintf(fmt, ap);
	va_end(ap);
	text_escape(&line, text, strlen(text));
	buf_puts(&b, line.len > 0 ? line.p : "");
	buf_putc(&b, '\n');
	free(text);
	buf_done(&line);
	to_stderr(&b);
}

void
front_error(const struct front *f, const struct err *err)
{
	struct buf room = BUF_INIT(0), b = BUF_INIT(0);

	if (err->msg[0] != '\0')
		front_say("wherry: %s", err->msg);
	if (err->where.line > 0)
		front_say("  at %s:%u:%u", err->where.file, err->where.line, err->where.col);
	if (err->next[0] != '\0') {
		next_put(&b, "", next_typed(&f->typed, err->next, &room));
		buf_putc(&b, '\n');
		to_stderr(&b);
	}
	buf_done(&room);
}

const char *
front_cwd(struct front *f)
{
	char path[PATH_MAX];

	return arena_strdup(&f->arena, getcwd(path, sizeof(path)) != NULL ? path : "/");
}

/* Absolute, because a resume goes back to the folder in which the run began. */
static const char *
absolute(struct front *f, const char *dir)
{
	return dir[0] == '/' ? dir : io_join(&f->arena, front_cwd(f), dir);
}

const char *
front_state(struct front *f, struct err *err)
{
	static const struct {
		const char *variable, *below;
	} places[] = {
		{ "WHERRY_STATE", NULL },
		{ "XDG_STATE_HOME", "wherry" },
		{ "HOME", ".local/state/wherry" },
	};

	if (f->opt.state != NULL)
		return absolute(f, f->opt.state);
	for (size_t i = 0; i < countof(places); i++) {
		const char *dir = getenv(places[i].variable);

		if (dir != NULL && dir[0] != '\0')
			return absolute(f, places[i].below == NULL ? dir : io_join(&f->arena, dir, places[i].below));
	}
	err_set(err, ERR_USAGE, "no folder for the runs: none of WHERRY_STATE, XDG_STATE_HOME and HOME is set");
	err_next(err, "give --state DIR");
	return NULL;
}

const struct command *
front_command(const struct front *f, const char *name)
{
	for (const struct command *c = f->commands; c->name != NULL; c++)
		if (strcmp(c->name, name) == 0)
			return c;
	return NULL;
}

const char *
front_nearest(struct front *f, const char *word, const char *const *names, size_t n)
{
	const char *near = text_nearest(word, names, n);

	return near != NULL ? arena_printf(&f->arena, "; did you mean '%s'?", near) : "";
}

const char *
front_user(struct front *f)
{
	const struct passwd *pw = getpwuid(getuid());

	return pw != NULL ? arena_strdup(&f->arena, pw->pw_name) : arena_printf(&f->arena, "uid %u", getuid());
}

const char *
front_host(struct front *f)
{
	char name[256] = "";

	gethostname(name, sizeof(name) - 1);
	return arena_strdup(&f->arena, name[0] != '\0' ? name : "unknown");
}

const char *
front_word(struct front *f, const char *word)
{
	struct buf b = BUF_INIT(0);
	const char *ret;

	text_shell_word(&b, word, strlen(word));
	ret = arena_strndup(&f->arena, b.p, b.len);
	buf_done(&b);
	return ret;
}

struct report_options
front_report(const struct front *f)
{
	struct report_options o = {
		.format = FORMAT_AUTO,
		.color = -1,
		.quiet = f->opt.quiet,
		.verbose = f->opt.verbose,
		.out = STDOUT_FILENO,
		.err = STDERR_FILENO,
		.typed = &f->typed,
	};

	if (f->opt.format != NULL)
		o.format = front_json(f) ? FORMAT_JSON : f->opt.format[0] == 't' ? FORMAT_TTY : FORMAT_PLAIN;
	if (f->opt.color != NULL)
		o.color = strcmp(f->opt.color, "always") == 0 ? 1 : strcmp(f->opt.color, "never") == 0 ? 0 : -1;
	return o;
}

void
front_block_signals(void)
{
	static const int mine[] = { SIGINT, SIGTERM, SIGHUP, SIGUSR1, SIGWINCH };
	sigset_t set;

	sigemptyset(&set);
	for (size_t i = 0; i < countof(mine); i++)
		sigaddset(&set, mine[i]);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
}

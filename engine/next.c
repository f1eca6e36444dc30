/* SPDX-License-Identifier: Apache-2.0 */
/* The command to type next, as it has to be typed here: where the folder of the runs, or parameters, came from the command
 * line, a command that needs them needs them again. Where there is a choice, each command has a line of its own, behind
 * what it is chosen for. */
#include <string.h>

#include "base/text.h"
#include "event.h"

static const char program[] = "wherry ";

static const struct subcommand {
	const char *name;
	bool state, file, params; /* what it takes */
} subcommands[] = {
	{ "run ", true, true, true },	    { "plan ", false, true, true },   { "resume ", true, true, false },
	{ "abort ", true, true, false },    { "status ", true, false, false }, { "approve ", true, false, false },
	{ "resolve ", true, false, false },
	{ "report ", true, false, false },  { "journal ", true, false, false },
	{ "runs", true, false, false },
};

/* The subcommand that the text begins with, or NULL. */
static const struct subcommand *
find_subcommand(const char *text)
{
	for (size_t i = 0; i < countof(subcommands); i++)
		if (strncmp(text, subcommands[i].name, strlen(subcommands[i].name)) == 0)
			return &subcommands[i];
	return NULL;
}

static void
put_option(struct buf *to, const char *option, const char *value)
{
	buf_puts(to, option);
	text_shell_word(to, value, strlen(value));
	buf_putc(to, ' ');
}

/* Does the rest of the line give the parameter (NAME=VALUE) another value? */
static bool
is_given_again(const char *param, const char *rest)
{
	const char *end = strchrnul(rest, '\n'), *at = rest;
	const size_t len = strcspn(param, "=") + 1;

	while ((at = strstr(at, " -p ")) != NULL && at < end) {
		at += strlen(" -p ");
		if (strncmp(at, param, len) == 0)
			return true;
	}
	return false;
}

/* The options go where no word of the command can follow them: --state before the subcommand, its own right behind it. */
static void
put_command(const struct typed *t, const struct subcommand *sub, const char *rest, struct buf *to)
{
	if (sub->state && t->state != NULL)
		put_option(to, "--state ", t->state);
	buf_puts(to, sub->name);
	for (size_t i = 0; sub->params && t->params != NULL && t->params[i] != NULL; i++)
		if (!is_given_again(t->params[i], rest))
			put_option(to, "-p ", t->params[i]);
	if (sub->file && t->params_file != NULL)
		put_option(to, "--params ", t->params_file);
}

const char *
next_typed(const struct typed *t, const char *next, struct buf *room)
{
	const char *at;

	if (next == NULL || t == NULL)
		return next;
	buf_clear(room);
	while ((at = strstr(next, program)) != NULL) {
		const struct subcommand *sub = find_subcommand(at + strlen(program));

		at += strlen(program);
		buf_put(room, next, (size_t)(at - next));
		if (sub != NULL) {
			put_command(t, sub, at + strlen(sub->name), room);
			at += strlen(sub->name);
		}
		next = at;
	}
	buf_puts(room, next);
	return room->p;
}

void
next_put(struct buf *to, const char *indent, const char *next)
{
	const char *lead = "next: ", *end;

	for (; *next != '\0'; next = *end != '\0' ? end + 1 : end) {
		end = strchrnul(next, '\n');
		buf_printf(to, "%s%s%s", lead[0] == ' ' ? "\n" : "", indent, lead);
		text_escape(to, next, (size_t)(end - next));
		lead = "  or: ";
	}
}

int
next_resolve(struct err *err, const char *run, const char *step)
{
	return err_next(err, "if it has happened: wherry resolve %s %s --done --reason TEXT\n"
			     "if it has not: wherry resolve %s %s --not-done --reason TEXT", run, step, run, step);
}

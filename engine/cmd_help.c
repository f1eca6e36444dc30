/* SPDX-License-Identifier: Apache-2.0 */
/* wherry help: the overview, each subcommand (from the tables), and topics. */
#include "cmd.h"

#include <string.h>

#include "expr.h"
#include "language.h"
#include "lint.h"

/* Those of a table that the subcommand's own do not hide. */
static void
show_options(struct buf *b, const struct option *table, const struct option *own)
{
	for (const struct option *o = table; o->name != NULL || o->letter != 0; o++) {
		struct buf left = BUF_INIT(0);

		if (o->kind == OPTION_LATER || option_named(own, o->name) != NULL)
			continue;
		if (o->letter != 0)
			buf_printf(&left, "-%c, ", o->letter);
		buf_printf(&left, "--%s%s%s", o->name, o->arg != NULL ? " " : "", o->arg != NULL ? o->arg : "");
		buf_printf(b, "  %-28s %s\n", left.p, o->help);
		buf_done(&left);
	}
}

static void
help_command(struct buf *b, const struct command *c)
{
	buf_printf(b, "usage: wherry %s %s\n\n%s\n", c->name, c->args, c->help);
	if (c->options->name != NULL) {
		buf_puts(b, "\noptions:\n");
		show_options(b, c->options, options_none);
	}
	buf_puts(b, "\ncommon options:\n");
	show_options(b, options_common, c->options);
}

static void
help_exit_codes(struct buf *b)
{
	static const struct {
		const char *code, *meaning;
	} rows[] = {
		{ "0", "done" },
		{ "1", "a step failed" },
		{ "2", "the command line, a plan or a parameter is wrong; nothing was changed" },
		{ "3", "paused, needs a person: something is in doubt or was changed by someone else" },
		{ "4", "another process holds the run" },
		{ "5", "refused: the journal, the plan or a target's identity does not match" },
		{ "6", "this machine: disk, permissions, limits" },
		{ "7", "paused: a target cannot be reached or refuses the credentials" },
		{ "8", "plan --detailed-exitcode: there are changes" },
		{ "130", "paused by an interrupt" },
		{ "143", "paused by a termination signal" },
	};

	for (size_t i = 0; i < countof(rows); i++)
		buf_printf(b, "%5s  %s\n", rows[i].code, rows[i].meaning);
}

static void
help_json(struct buf *b)
{
	static const struct {
		const char *who, *what;
	} rows[] = {
		{ "plan, run, resume, abort, status --follow",
		  "an event a line: {event, time, ...}; event is open, start, progress, note, effect, retry, end, gate, word,\n  "
		  "action, assume or predicted; the last one is pause or close: {code, kind, message, next, run}, close with outputs" },
		{ "resume --plan",
		  "first a line a step: {event: \"edit\", step, verdict, why}; verdict is keep, redo, new, changed, orphaned, gone or in doubt,\n  "
		  "or note, with step null, for what is not of a step" },
		{ "validate",
		  "a line a plan: {plan, valid, steps, problems: [{file, line, col, message, hint}], dropped};\n  "
		  "null where there is none; dropped: problems over those that are listed" },
		{ "status",
		  "one object: {run, plan, state, live, opened, last, code, message, counts, next,\n  "
		  "steps: [{step, status, attempts, ns, message, next, done, total, question}]}; 'runs': a line a run, without steps" },
		{ "plans, steps",
		  "a line each: {name, summary}, plans with file and steps" },
		{ "report",
		  "one object: {run, plan, user, host, build, opened, last, state, message, processes, params, outputs,\n  "
		  "targets: [{name, identity}], steps: [{step, status, message, attempts, started, ended, ns, outputs,\n  "
		  "effects: [{state, taken_back, verb, ref, says, message, done, total, unit, before, after}]}],\n  "
		  "log: [{time, record, step, status, answer, user, host, build, message, code}], totals: {steps, effects, records}};\n  "
		  "before and after are null (not read) or {absent, bytes, kind, sha256}: what was there is never shown" },
	};

	buf_puts(b, "what --format json prints to stdout; messages and errors go to stderr as ever:\n");
	for (size_t i = 0; i < countof(rows); i++)
		buf_printf(b, "\n%s\n  %s\n", rows[i].who, rows[i].what);
}

static void
help_lints(struct buf *b)
{
	buf_puts(b, "what `wherry validate --strict` looks for (wherry help RULE says why):\n");
	for (const struct lint_rule *r = lint_rules; r->name != NULL; r++)
		buf_printf(b, "  %-22s %s\n", r->name, r->help);
	buf_puts(b, "a plan or a step allows one with its reason: allow: {RULE: reason}\n");
}

static void
help_lint(struct buf *b, const struct lint_rule *r)
{
	buf_printf(b, "%s: %s\n\n%s\nwhere it does not hold, on the step or for the whole plan: allow: {%s: reason}\n", r->name, r->help,
		   r->why, r->name);
}

static const struct topic {
	const char *name, *help;
	void (*fn)(struct buf *);
} topics[] = {
	{ "expressions", "what may stand inside ${{ }}", expr_help },
	{ "language", "the words of a plan and its steps", language_help },
	{ "lints", "what validate --strict looks for", help_lints },
	{ "json", "what --format json prints", help_json },
	{ "exit-codes", "what each exit code means", help_exit_codes },
};

static void
help_overview(struct buf *b, const struct command *commands)
{
	buf_puts(b, "wherry runs plans that move things that matter: checkpointed, resumable, provable.\n\n"
		    "usage: wherry SUBCOMMAND [options]\n\nsubcommands:\n");
	for (const struct command *c = commands; c->name != NULL; c++)
		buf_printf(b, "  %-10s %-20s %s\n", c->name, c->args, c->help);
	buf_puts(b, "\ntopics (wherry help TOPIC):\n");
	for (size_t i = 0; i < countof(topics); i++)
		buf_printf(b, "  %-31s %s\n", topics[i].name, topics[i].help);
	buf_puts(b, "\ncommon options:\n");
	show_options(b, options_common, options_none);
}

void
help_each(const struct front *f, void (*fn)(void *data, const char *name, const char *help), void *data)
{
	for (size_t i = 0; i < countof(topics); i++)
		fn(data, topics[i].name, topics[i].help);
	for (const struct command *c = f->commands; c->name != NULL; c++)
		fn(data, c->name, c->help);
	for (const struct lint_rule *r = lint_rules; r->name != NULL; r++)
		fn(data, r->name, r->help);
}

struct names {
	const char *v[64];
	size_t n;
};

static void
add_name(void *data, const char *name, const char *help)
{
	struct names *names = data;

	(void)help;
	if (names->n < countof(names->v))
		names->v[names->n++] = name;
}

static int
help_on(struct front *f, const char *word, struct buf *b, struct err *err)
{
	const struct command *c = front_command(f, word);
	const struct lint_rule *r = lint_rule(word);
	struct names names = { .n = 0 };

	for (size_t i = 0; i < countof(topics); i++)
		if (strcmp(topics[i].name, word) == 0) {
			topics[i].fn(b);
			return 0;
		}
	if (c != NULL) {
		help_command(b, c);
	} else if (r != NULL) {
		help_lint(b, r);
	} else {
		help_each(f, add_name, &names);
		err_set(err, ERR_USAGE, "no help on '%s'%s", word, front_nearest(f, word, names.v, names.n));
		return err_next(err, "wherry help");
	}
	return 0;
}

int
cmd_help(struct front *f, struct err *err)
{
	struct buf b = BUF_INIT(0);
	int ret = 0;

	if (f->nargs == 0)
		help_overview(&b, f->commands);
	else
		ret = help_on(f, f->args[0], &b, err);
	if (ret == 0)
		ret = front_print(&b, err);
	buf_done(&b);
	return ret;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Owns the tables of all options and the one parser over them. Long names may be written --name=value, letters may be
 * joined (-qv) and carry their value (-pk=v). */
#include "options.h"

#include "base/buf.h"
#include "base/text.h"

#include <stdlib.h>
#include <string.h>

#define AT(member) offsetof(struct options, member)
#define PARAMS                                                                                              \
	{ "param", 'p', OPTION_WORDS, "K=V", AT(params), "set a parameter (repeatable; never a secret)" },  \
	{ "params", 0, OPTION_TEXT, "FILE", AT(params_file), "read parameters from a YAML map" }
#define SELECTION                                                                                           \
	{ "only", 0, OPTION_WORDS, "STEP", AT(only), "run just this step (repeatable)" },                   \
	{ "from", 0, OPTION_WORDS, "STEP", AT(from), "run this step and all that follow from it" },         \
	{ "until", 0, OPTION_WORDS, "STEP", AT(until), "run this step and all that it needs" }
#define JOBS { "jobs", 'j', OPTION_COUNT, "N", AT(jobs), "run up to N steps at a time" }
#define GATES                                                                                               \
	{ "approve", 0, OPTION_WORDS, "STEP", AT(approve), "let this gate or irreversible step pass (repeatable)" }, \
	{ "not-after", 0, OPTION_TEXT, "TIME", AT(not_after), "start no step after 05:30 or 2026-11-21T05:30:00Z" }
#define YES { "yes", 'y', OPTION_FLAG, NULL, AT(yes), "answer the go-on question; approves nothing else" }
#define GIVE_UP { "give-up", 0, OPTION_FLAG, NULL, AT(give_up), "of runs that could be resumed too" }
#define LATER(name, letter, arg) { name, letter, OPTION_LATER, arg, 0, NULL }
#define END { 0 }

const struct option options_common[] = {
	{ "state", 0, OPTION_TEXT, "DIR", AT(state), "folder of the runs (default $WHERRY_STATE)" },
	{ "format", 0, OPTION_CHOICE, "tty|plain|json", AT(format), "live view, plain lines, or JSON (wherry help json)" },
	{ "color", 0, OPTION_CHOICE, "auto|always|never", AT(color), "colour the output (NO_COLOR is observed)" },
	{ "quiet", 'q', OPTION_FLAG, NULL, AT(quiet), "show only failures, stops and the end" },
	{ "verbose", 'v', OPTION_FLAG, NULL, AT(verbose), "show more" },
	{ "help", 'h', OPTION_FLAG, NULL, AT(help), "show help" },
	{ "version", 0, OPTION_FLAG, NULL, AT(version), "show the version" },
	END,
};
const struct option options_plan[] = {
	PARAMS, JOBS,
	{ "detailed-exitcode", 0, OPTION_FLAG, NULL, AT(detailed_exitcode), "exit with 8 when there are changes" },
	{ "output", 'o', OPTION_TEXT, "FILE", AT(output), "write a plan file: wherry run FILE does this and nothing else" },
	END,
};
const struct option options_run[] = {
	PARAMS, SELECTION, JOBS, YES, GATES,
	{ "run-id", 0, OPTION_TEXT, "ID", AT(run_id), "name the run (a used name is refused)" },
	END,
};
const struct option options_resume[] = {
	PARAMS, SELECTION, JOBS, YES, GATES,
	{ "plan", 0, OPTION_TEXT, "FILE", AT(plan), "go on with this plan in place of the stored one" },
	{ "accept-plan-change", 0, OPTION_FLAG, NULL, AT(accept_plan_change), "with --plan: what it shows may be done" },
	{ "redo", 0, OPTION_WORDS, "STEP", AT(redo), "with --plan: do this step again, even if that may do harm (repeatable)" },
	{ "keep", 0, OPTION_WORDS, "STEP", AT(kept), "with --plan: this finished step stays as it is (repeatable)" },
	END,
};
const struct option options_rollback[] = {
	PARAMS, JOBS, YES,
	{ "to", 0, OPTION_TEXT, "STEP", AT(to), "go back to before this step; the run can be resumed from there" },
	{ "dry-run", 0, OPTION_FLAG, NULL, AT(dry_run), "print what would be taken back, and change nothing" },
	END,
};
const struct option options_status[] = {
	{ "follow", 'f', OPTION_FLAG, NULL, AT(follow), "print what happens until the run is paused or closed" },
	END,
};
const struct option options_approve[] = {
	{ "choice", 0, OPTION_TEXT, "WORD", AT(choice), "the answer, where the gate has more than one (default: its first)" },
	{ "reject", 0, OPTION_FLAG, NULL, AT(reject), "answer no: the step fails" },
	{ "reason", 0, OPTION_TEXT, "TEXT", AT(reason), "why; kept in the journal" },
	END,
};
const struct option options_resolve[] = {
	{ "done", 0, OPTION_FLAG, NULL, AT(done), "what is in doubt did happen" },
	{ "not-done", 0, OPTION_FLAG, NULL, AT(not_done), "what is in doubt did not happen: do it again" },
	{ "reason", 0, OPTION_TEXT, "TEXT", AT(reason), "how you know; kept in the journal" },
	END,
};
const struct option options_report[] = {
	{ "output", 'o', OPTION_TEXT, "FILE", AT(output), "write the report to FILE" },
	LATER("at", 0, "SEQ|TIME"),
	END,
};
const struct option options_steps[] = {
	{ "markdown", 0, OPTION_FLAG, NULL, AT(markdown), "print the reference page" },
	END,
};
const struct option options_forget[] = { YES, GIVE_UP, END };
const struct option options_runs[] = {
	{ "keep", 0, OPTION_COUNT, "N", AT(keep), "prune: not the N newest runs" },
	{ "older-than", 0, OPTION_TEXT, "TIME", AT(older_than), "prune: only what ended longer ago, such as 30d" },
	YES, GIVE_UP,
	END,
};
const struct option options_validate[] = {
	{ "strict", 0, OPTION_FLAG, NULL, AT(strict), "lint it for migrations too; a finding is a problem (wherry help lints)" },
	END,
};
const struct option options_graph[] = {
	{ "format", 0, OPTION_CHOICE, "text|dot|mermaid", AT(format), "text, or a drawing for graphviz or mermaid" },
	END,
};
const struct option options_none[] = { END };

static bool
is_end(const struct option *o)
{
	return o->name == NULL && o->letter == 0;
}

bool
option_is(const char *word)
{
	return word[0] == '-' && word[1] != '\0';
}

/* Append a word to a NULL-ended list, growing it by doubling in the arena. */
static void
words_add(struct arena *a, struct words *w, const char *word)
{
	if ((w->n & (w->n + 1)) == 0) {
		const char **grown = arena_array(a, 2 * (w->n + 1), sizeof(*grown));

		for (size_t i = 0; i < w->n; i++)
			grown[i] = w->v[i];
		w->v = grown;
	}
	w->v[w->n++] = word;
	w->v[w->n] = NULL;
}

static int
check_choice(const struct option *o, const char *value, struct err *err)
{
	size_t len = strlen(value);

	for (const char *p = o->arg; *p != '\0'; p += *p == '|') {
		size_t n = strcspn(p, "|");

		if (n == len && memcmp(p, value, n) == 0)
			return 0;
		p += n;
	}
	return err_set(err, ERR_USAGE, "--%s is one of %s, not '%s'", o->name, o->arg, value);
}

static int
option_set(const struct option *o, struct arena *a, const char *value, struct options *ret, struct err *err)
{
	char *at = (char *)ret + o->offset, *end;

	switch (o->kind) {
	case OPTION_FLAG:
		*(bool *)at = true;
		return 0;
	case OPTION_WORDS:
		words_add(a, (struct words *)at, value);
		return 0;
	case OPTION_COUNT:
		*(int64_t *)at = strtoll(value, &end, 10);
		if (value[0] < '0' || value[0] > '9' || *end != '\0' || *(int64_t *)at < 1 ||
		    *(int64_t *)at > OPTION_COUNT_MAX)
			return err_set(err, ERR_USAGE, "--%s is a number from 1 to %d, not '%s'", o->name,
				       OPTION_COUNT_MAX, value);
		return 0;
	case OPTION_CHOICE:
		if (check_choice(o, value, err) < 0)
			return -1;
		break;
	case OPTION_TEXT:
		if (*(const char **)at != NULL)
			return err_set(err, ERR_USAGE, "--%s is given twice", o->name);
		break;
	case OPTION_LATER:
		return err_set(err, ERR_USAGE, "--%s comes in a later version", o->name);
	}
	*(const char **)at = value;
	return 0;
}

static const struct option *
find(const struct option *table, const char *name, size_t len, char letter)
{
	for (; !is_end(table); table++)
		if (name != NULL ? table->name != NULL && strlen(table->name) == len &&
					   memcmp(table->name, name, len) == 0
				 : table->letter == letter)
			return table;
	return NULL;
}

const struct option *
option_named(const struct option *table, const char *name)
{
	return name != NULL ? find(table, name, strlen(name), 0) : NULL;
}

static bool
takes_value(const struct option *o)
{
	return o->kind != OPTION_FLAG && o->kind != OPTION_LATER;
}

const struct option *
option_awaits(const struct option *common, const struct option *own, const char *word)
{
	const struct option *o;

	if (word[1] == '-') {
		o = option_named(own, word + 2);
		o = o != NULL ? o : option_named(common, word + 2);
		return o != NULL && takes_value(o) ? o : NULL;
	}
	for (const char *p = word + 1; *p != '\0'; p++) {
		o = find(own, NULL, 0, *p);
		o = o != NULL ? o : find(common, NULL, 0, *p);
		if (o == NULL || takes_value(o))
			return o != NULL && p[1] == '\0' ? o : NULL;
	}
	return NULL;
}

static int
unknown_option(const struct option *common, const struct option *own, const char *name, size_t len, struct err *err)
{
	const char *names[64];
	const char *near;
	char word[64];
	size_t n = 0;

	if (len >= sizeof(word))
		len = sizeof(word) - 1;
	memcpy(word, name, len);
	word[len] = '\0';
	for (const struct option *o = own; !is_end(o) && n < countof(names); o++)
		names[n++] = o->name;
	for (const struct option *o = common; !is_end(o) && n < countof(names); o++)
		names[n++] = o->name;
	near = text_nearest(word, names, n);
	if (near != NULL)
		return err_set(err, ERR_USAGE, "unknown option '--%s'; did you mean '--%s'?", word, near);
	return err_set(err, ERR_USAGE, "unknown option '--%s'", word);
}

static int
parse_long(const struct option *common, const struct option *own, struct arena *a, int argc, char **argv, int *at,
	   struct options *ret, struct err *err)
{
	const char *name = argv[*at] + 2, *value = strchr(name, '=');
	size_t len = value != NULL ? (size_t)(value++ - name) : strlen(name);
	const struct option *o = find(own, name, len, 0);

	if (o == NULL)
		o = find(common, name, len, 0);
	if (o == NULL)
		return unknown_option(common, own, name, len, err);
	if (o->kind == OPTION_FLAG && value != NULL)
		return err_set(err, ERR_USAGE, "--%s takes no value", o->name);
	if (takes_value(o) && value == NULL) {
		if (*at + 1 >= argc)
			return err_set(err, ERR_USAGE, "--%s needs a value: --%s %s", o->name, o->name, o->arg);
		value = argv[++*at];
	}
	++*at;
	return option_set(o, a, value, ret, err);
}

static int
parse_letters(const struct option *common, const struct option *own, struct arena *a, int argc, char **argv, int *at,
	      struct options *ret, struct err *err)
{
	for (const char *p = argv[*at] + 1; *p != '\0'; p++) {
		const struct option *o = find(own, NULL, 0, *p);
		const char *value = p + 1;

		if (o == NULL)
			o = find(common, NULL, 0, *p);
		if (o == NULL)
			return err_set(err, ERR_USAGE, "unknown option '-%c'", *p);
		if (o->kind == OPTION_FLAG) {
			if (option_set(o, a, NULL, ret, err) < 0)
				return -1;
			continue;
		}
		if (*value == '\0' && o->kind != OPTION_LATER) {
			if (*at + 1 >= argc)
				return err_set(err, ERR_USAGE, "-%c needs a value: -%c %s", *p, *p, o->arg);
			value = argv[++*at];
		}
		++*at;
		return option_set(o, a, value, ret, err);
	}
	++*at;
	return 0;
}

int
option_parse(const struct option *common, const struct option *own, struct arena *a, int argc, char **argv, int *at,
	     struct options *ret, struct err *err)
{
	if (argv[*at][1] == '-')
		return parse_long(common, own, a, argc, argv, at, ret, err);
	return parse_letters(common, own, a, argc, argv, at, ret, err);
}

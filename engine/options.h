/* SPDX-License-Identifier: Apache-2.0 */
/* Command-line options as tables: one row drives parsing, help and did-you-mean. Options may stand before or after
 * positional words; nothing here prints. */
#ifndef WHERRY_OPTIONS_H
#define WHERRY_OPTIONS_H

#include "base/arena.h"

#include <stddef.h>
#include <stdint.h>

/* A repeated option: NULL-ended. */
struct words {
	const char **v;
	size_t n;
};

/* Every option of every subcommand, as given. */
struct options {
	struct words params, only, from, until, approve, redo, kept;
	const char *params_file, *state, *format, *color;
	const char *run_id, *plan, *output, *reason, *choice, *not_after, *to, *older_than;
	int64_t jobs, keep;
	bool quiet, verbose, help, version;
	bool yes, strict, give_up, follow, markdown, detailed_exitcode, done, not_done, reject, dry_run, accept_plan_change;
};

enum option_kind {
	OPTION_FLAG,   /* bool */
	OPTION_TEXT,   /* const char * */
	OPTION_CHOICE, /* const char *, one of the words of arg, which "|" separates */
	OPTION_COUNT,  /* int64_t from 1 to OPTION_COUNT_MAX */
	OPTION_WORDS,  /* struct words, repeatable */
	OPTION_LATER,  /* refused: comes in a later version */
};
#define OPTION_COUNT_MAX 1024

struct option {
	const char *name;    /* without "--"; NULL for a letter only */
	char letter;         /* 0: none */
	enum option_kind kind;
	const char *arg;     /* name of its argument in help, or NULL */
	uint16_t offset;     /* in struct options */
	const char *help;
};

/* Tables, each ended by a row without name and letter. */
extern const struct option options_common[];
extern const struct option options_plan[], options_run[], options_resume[], options_status[], options_approve[],
	options_resolve[], options_rollback[], options_report[], options_steps[], options_graph[], options_validate[],
	options_forget[], options_runs[], options_none[];

/* Parse argv[*at] (an option) and what it takes, by the two tables; moves *at behind it. ERR_USAGE otherwise. */
int option_parse(const struct option *common, const struct option *own, struct arena *a, int argc, char **argv,
		 int *at, struct options *ret, struct err *err);
/* The option among the word's ("--name", "-qj") that takes the next word, or NULL. */
const struct option *option_awaits(const struct option *common, const struct option *own, const char *word);
/* The row of a long name (NULL: none), or NULL. */
const struct option *option_named(const struct option *table, const char *name);
/* Is this word an option: "-x", "--name", but not "-" alone? */
bool option_is(const char *word);

#endif

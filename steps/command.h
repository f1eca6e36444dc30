/* SPDX-License-Identifier: Apache-2.0 */
/* What steps that run a command have in common, wherever it runs: inputs, checks, words, and what its end means. */
#ifndef WHERRY_STEPS_COMMAND_H
#define WHERRY_STEPS_COMMAND_H

#include "step.h"

struct command {
	const struct value *argv, *input, *expect_codes, *probe;
	bool idempotent, read_only;
	int64_t max_output, grace;
};

/* Rows of a table of inputs; type has a struct command as its member `command`. */
#define COMMAND_AT(type, member) offsetof(type, command) + offsetof(struct command, member)
#define COMMAND_INPUTS(type)                                                                                                   \
	{ "argv", F_LIST, F_STRING, COMMAND_AT(type, argv), .required = true,                                                  \
	  .help = "the command and its arguments; no shell is involved, and a secret is refused" },                            \
	{ "stdin", F_ANY, .offset = COMMAND_AT(type, input), .secret = true,                                                   \
	  .help = "what the command reads from its standard input; may be a secret" },                                         \
	{ "expect_codes", F_LIST, F_INT, COMMAND_AT(type, expect_codes),                                                       \
	  .help = "exit codes that mean success (default: only 0)" },                                                          \
	{ "idempotent", F_BOOL, .offset = COMMAND_AT(type, idempotent),                                                        \
	  .help = "running it twice does no harm: it may run again after a crash or a failure" },                              \
	{ "probe", F_LIST, F_STRING, COMMAND_AT(type, probe),                                                                  \
	  .help = "a command that changes nothing and says whether the work was done: exit code 0 yes, 1 no; both see "        \
		  "the same WHERRY_EFFECT" },                                                                                  \
	{ "read_only", F_BOOL, .offset = COMMAND_AT(type, read_only),                                                          \
	  .help = "the command changes nothing: it runs in the dry-run too" },                                                 \
	{ "max_output", F_SIZE, .offset = COMMAND_AT(type, max_output), .dflt = "1MiB", .min = 1024,                           \
	  .max = 64 << 20, .help = "how much of stdout and of stderr is kept: head and tail" },                                \
	{ "grace", F_DURATION, .offset = COMMAND_AT(type, grace), .dflt = "10s",                                               \
	  .help = "time between TERM and KILL where the command has to be ended" }

/* The outputs of such a step. */
extern const struct field command_outputs[];

int command_check(const struct command *c, struct err *err);
enum effect_class command_class(const struct command *c);
/* "run psql -c '…'", cut where it is long; where (may be "") is put behind it. */
const char *command_says(struct step_ctx *cx, const struct value *argv, const char *where);
/* Put the members of the effect's body into pairs, 5 at most; returns how many. */
size_t command_body(const struct command *c, struct pair *pairs);
bool command_expects(const struct command *c, int64_t code);
/* What an end that was not expected means; sig 0: it ended by itself, with that code. Always -1: ERR_FAILED, or ERR_UNKNOWN
 * where it was killed, with the end of what it said on stderr. */
int command_failed(const struct reply *reply, const struct effect *e, int64_t code, int64_t sig, struct err *err);
/* Set the outputs from a reply {code, stdout, stderr, stdout_dropped, stderr_dropped}. */
int command_put_outputs(struct step_ctx *cx, const struct value *reply, struct err *err);

#endif

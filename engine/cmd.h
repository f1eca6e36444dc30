/* SPDX-License-Identifier: Apache-2.0 */
/* What the subcommands share: the table row of one, the parsed command line, and helpers to load plans, ask the
 * operator, open runs and print. Only main.c and cmd_*.c include this. */
#ifndef WHERRY_CMD_H
#define WHERRY_CMD_H

#include "base/buf.h"
#include "event.h"
#include "history.h"
#include "options.h"
#include "plan.h"
#include "run.h"

struct front;

struct command {
	const char *name;
	int (*fn)(struct front *, struct err *); /* exit code, or -1 with err */
	const char *args;                        /* positional words, for usage lines */
	const char *help;                        /* one line */
	const struct option *options;
	unsigned min_args, max_args;
};

struct front {
	const struct command *commands, *command;
	struct options opt;
	struct typed typed; /* of opt, what a hint needs; params once they are known to hold no secret */
	const char **args; /* positional words after the subcommand */
	size_t nargs;
	const char *const *argv; /* all of it, NULL-ended */
	struct arena arena; /* lives as long as the process */
};

int cmd_abort(struct front *, struct err *);
int cmd_approve(struct front *, struct err *);
int cmd_completion(struct front *, struct err *);
int cmd_forget(struct front *, struct err *);
int cmd_graph(struct front *, struct err *);
int cmd_help(struct front *, struct err *);
int cmd_journal(struct front *, struct err *);
int cmd_plan(struct front *, struct err *);
int cmd_plans(struct front *, struct err *);
int cmd_prune(struct front *, struct err *); /* runs prune */
int cmd_report(struct front *, struct err *);
int cmd_resolve(struct front *, struct err *);
int cmd_resume(struct front *, struct err *);
int cmd_rollback(struct front *, struct err *);
int cmd_run(struct front *, struct err *);
int cmd_runs(struct front *, struct err *);
int cmd_schema(struct front *, struct err *);
int cmd_status(struct front *, struct err *);
int cmd_steps(struct front *, struct err *);
int cmd_validate(struct front *, struct err *);
int cmd_version(struct front *, struct err *);

/* cmd_common.c: printing and places. */

/* Write the buffer to stdout and empty it. A reader that went away is no error; a full disk is. */
int front_print(struct buf *, struct err *);
/* One JSON object as a line on stdout. */
int front_print_json(const struct value *, struct err *);
bool front_json(const struct front *);
/* A line to stderr, control bytes escaped. */
void front_say(const char *fmt, ...) PRINTF(1, 2);
/* "wherry: message" (unless it was told already and is empty), "  at place", "next: command" to stderr. */
void front_error(const struct front *, const struct err *);
/* The folder of the runs (not created). NULL with err when no home is known. */
const char *front_state(struct front *, struct err *);
/* The folder we are in; relative paths of a run's steps begin here. */
const char *front_cwd(struct front *);
/* The subcommand of this name, or NULL. */
const struct command *front_command(const struct front *, const char *name);
/* The word among n names that was meant, as " (did you mean 'x'?)" in the arena, or "". */
const char *front_nearest(struct front *, const char *word, const char *const *names, size_t n);
/* A word as the shell needs it, for a command to type. */
const char *front_word(struct front *, const char *word);
/* Who runs this, for the journal. */
const char *front_user(struct front *);
const char *front_host(struct front *);
/* How events are shown, as the command line says. */
struct report_options front_report(const struct front *);
/* Leave the signals that the coordinator reads to it; before any thread starts. */
void front_block_signals(void);

/* cmd_load.c: plans and parameters. */

/* The bundled plans' names, sorted; returns how many. */
size_t front_plans(struct front *, const char ***ret);
/* Load a plan by path, "-" or bundled name; shows all problems. NULL with err. */
struct plan *front_plan(struct front *, const char *name, struct err *err);
/* As front_plan, but the problems go to ret, that of a plan which cannot be read at all too. */
struct plan *front_plan_problems(struct front *, const char *name, struct problems *ret, struct err *err);
struct plan *front_plan_text(const char *file, const struct buf *text, const struct plan_reader *, struct err *err);
/* Reads the plans that a plan runs from the disk. */
struct plan_reader front_reader(struct front *);
/* {name: SHA-256} of the texts of the plan and of all plans below it, and ret_files: as many files with them. */
struct value front_closure(struct front *, const struct plan *, struct journal_file **ret_files);
/* The file that a plan's name means, or NULL with err. */
const char *front_plan_file(struct front *, const char *name, struct err *err);
/* Tell how much is wrong with `what`, and all of it; always -1, with nothing left to tell but what to do next. */
int front_refuse(struct problems *, const char *what, const char *text, size_t len, struct err *err);
/* Values of the plan's parameters; stored: those of the journal on a resume, or NULL. */
int front_params(struct front *, const struct plan *, const struct value *stored, struct value *ret, struct err *err);

/* cmd_candidates.c: print what may stand where the cursor is, for a shell: the line's words so far are the positional ones
 * behind the first. Always 0. */
int front_candidates(struct front *);

/* cmd_help.c: each word that `help` knows, with a line on it. */
void help_each(const struct front *, void (*fn)(void *data, const char *name, const char *help), void *data);

/* cmd_prompt.c: questions on the terminal. */

bool front_can_ask(void);
/* A yes or no question; true only for a clear yes. */
bool front_ask_yes(const char *question);
/* cmd_stake.c: a line for each target of the plan, with its addresses as far as params tell them; "" without targets. */
const char *front_stake(struct front *, const struct plan *, const struct value *params);
/* A line typed without echo, or NULL at end of file. Fits param_source.ask; data is the struct front. */
const char *front_ask_secret(void *data, const char *prompt);

/* cmd_ahead.c: a run's stored plan, read while its journal is. */

#define MAIN_FILE "main.yaml" /* the plan's text in a run's closure */
struct ahead;
/* Begin to read; NULL when it cannot be done beside something else. */
struct ahead *ahead_begin(const char *dir, const char *run);
/* What helps journal_open_helped. Takes NULL for ahead. */
struct journal_help *ahead_help(const struct ahead *);
/* The plan, if it has an image and its text has this hash (NULL: none has); else NULL. Takes NULL for ahead. */
struct plan *ahead_end(struct ahead *, const char *sha256);
/* Where the plan's text in a run's closure is. */
const char *front_stored(struct front *, const char *dir, const char *run);
/* Where the image of the plan of a run in dir is. */
const char *front_image(struct front *, const char *dir, const char *run);

/* cmd_open.c: runs and their journals. */

struct opened {
	const char *run;
	struct history history;
	struct value setup;      /* {args, jobs, selection, …} of the last process that says so */
	uint64_t seed;
	struct journal *journal; /* NULL when only read */
	struct journal_info info;
	struct arena arena;
	struct ahead *ahead;     /* the plan is being read already; or NULL */
	struct value closure;    /* {name: sha256} of the plan and what it runs, once it has been asked for */
	const char **orphans;    /* NULL-ended: steps that are in the plan only to be taken back */
	struct value orphan_list; /* what the journal says of them, in the same order */
	uint32_t norphans;
	struct plan **older;     /* where they come from: live as long as this */
	size_t nolder;
	journal_record_fn *each; /* called for every record after it is folded; may be NULL */
	void *data;
};
/* The run that positional word `arg` names: an id, "@latest", or the newest when it is not there. NULL with err. */
const char *front_run(struct front *, size_t arg, struct err *err);
/* Does a word name a run of ours? */
bool front_is_run(struct front *, const char *word);
/* Read a run's history, or (lock) take it over for writing. ret may have `each` and `data` set, else zero. */
int opened_read(struct front *, const char *run, struct opened *ret, struct err *err);
int opened_lock(struct front *, const char *run, struct opened *ret, struct err *err);
void opened_done(struct opened *);
/* The stored copy of the run's plan, with the steps of older ones that can be taken back. NULL with err (problems shown). */
struct plan *opened_plan(struct front *, struct opened *, struct err *err);
/* Done, failed, aborted or rolled back. */
bool run_is_closed(const struct history *);
/* Is something of this step begun and not settled? */
bool step_is_in_doubt(const struct hist_step *);
/* What a person is told of a step and of a run, whose process is there (live) or not. */
enum step_status step_shown_status(const struct hist_step *, bool live);
/* Put the fold's steps as they are shown: live, does a process hold the run; plan may be NULL. */
void opened_show(struct opened *, const struct plan *, bool live);
const char *run_shown_status(const struct history *, bool live);
/* The last effect of a step, or NULL. */
const struct hist_effect *step_last_effect(const struct hist_step *);

/* cmd_word.c: a person's word on a step of a run, kept in its journal. */

/* Does the step wait for this word? -1 with err says why not. */
typedef int word_check_fn(struct front *, const struct opened *, const struct record *, struct err *);
/* Journal the word (who says it is filled in) when nobody holds the run, else leave it for the one who does and wait for
 * it to be taken. ret_live: somebody holds the run. */
int front_give_word(struct front *, const char *run, struct record *, word_check_fn *, bool *ret_live, struct err *err);
/* ": a, b" of the steps that match, or "; no step of it is"; `none` in full. */
const char *front_steps_that(struct front *, const struct opened *, bool (*match)(const struct hist_step *), const char *some,
			     const char *none);

/* cmd_forget.c, cmd_prune.c: taking away. */

/* The operator agrees to lose something; else -1 with err. */
int front_ask_removal(struct front *, const char *question, struct err *err);
/* Done or aborted, or given up with --give-up: nobody will resume it. */
bool run_is_over(const struct front *, const struct history *);

/* cmd_execute.c: the coordinator from a command. */

/* What run, resume and abort record about their process: {args, jobs, selection, …}; more: further pairs, by key. */
struct value front_setup(struct front *, const struct run_options *, const struct pair *more, size_t n);
/* Selection and jobs from the options, else from what an earlier process recorded (may be NULL). */
int front_choose(struct front *, const struct opened *had, struct run_options *ret, struct err *err);
/* Execute with a report; the exit code or -1. */
int front_execute(struct run_options *, const struct report_options *, struct run_result *ret, struct err *err);

/* cmd_planfile.c: plan files, which `plan -o` writes and `run` takes. */

struct planfile;
struct foretold;
/* Write the file that -o names: what the dry-run of this plan had read, and foretold. */
int front_planfile_write(struct front *, const struct plan *, const struct value *params, struct foretold *, struct err *err);
/* The plan file that a word names: 1, or 0 when it names something else, or -1 with err. */
int front_planfile(struct front *, const char *word, struct planfile **ret, struct err *err);
/* The plan that it was made from, if it has not been edited; its folder and its parameters are ours from here on. */
struct plan *front_planfile_plan(struct front *, const struct planfile *, struct err *err);
/* Are parameters, targets, and what a dry-run announces as they were? Blocks signals like a run. */
int front_planfile_check(struct front *, const struct planfile *, const struct run_options *, struct err *err);
/* Its SHA-256, for the journal. */
const char *front_planfile_sha256(const struct planfile *);

/* cmd_edit.c: resume --plan. */

struct edit;
struct edited {
	const struct plan *was;  /* the plan so far */
	struct edit *edit;
	struct journal_file *files;
	struct value closure, orphans;
};
/* Show what becomes of the steps with the plan `now`, and have it accepted; orphans are put into it then. stored, params:
 * what the run had, and what it has. */
int front_edit(struct front *, const struct opened *, struct edited *, struct plan *now, const struct value *stored,
	       const struct value *params, struct err *err);
/* Stage it in the journal, behind the resume, and apply it to the history. */
int front_edit_record(struct front *, struct opened *, const struct edited *, const struct run_options *, struct err *err);
void front_edit_done(struct edited *);

/* cmd_resume.c: go on with a run that is open for writing (or, in a dry-run, read): what is to be done stands in the
 * options. Exit code or -1. */
int front_go_on(struct front *, struct opened *, struct plan *, struct run_options *, struct err *err);

/* cmd_follow.c: show what happens in a run until it is paused, closed, or left by its process. */
int front_follow(struct front *, const char *run, struct err *err);

/* cmd_left.c: append what a run that has not closed leaves as it is for now: one line each, "left    STEP, since …". */
void front_put_left(const struct plan *, const struct history *, struct buf *to);

#endif

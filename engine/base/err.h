/* SPDX-License-Identifier: Apache-2.0 */
/* Errors are values: set once at the origin, wrapped only by a caller that adds a fact. */
#ifndef WHERRY_BASE_ERR_H
#define WHERRY_BASE_ERR_H

#include <stdbool.h>
#include <stdint.h>

#define PRINTF(f, a) __attribute__((format(printf, f, a)))

/* What went wrong, by what a caller can do about it. The exit codes of design §8 derive from this alone. */
enum err_kind {
	ERR_NONE,
	ERR_USAGE,       /* command line: exit 2 */
	ERR_PLAN,        /* plan, parameter or expression: exit 2 */
	ERR_FAILED,      /* a definite failure: nothing more will happen by itself: exit 1 */
	ERR_TIMEOUT,     /* the step's deadline passed: a failure of the step: exit 1 */
	ERR_UNKNOWN,     /* the reply was lost: neither success nor failure */
	ERR_IN_DOUBT,    /* needs a person (in doubt, changed by someone else): exit 3 */
	ERR_LOCKED,      /* another run holds it: exit 4 */
	ERR_REFUSED,     /* journal, plan or identity does not match: exit 5 */
	ERR_LOCAL,       /* disk, permission, limits of this machine: exit 6 */
	ERR_UNREACHABLE, /* a target is away or refuses the credentials: exit 7 */
	ERR_CANCELLED,   /* asked to stop (signal) */
	ERR_HELD,        /* a gate, a guard or --not-after: goes on when a person says so: exit 3 */
	ERR_PREDICTED,   /* dry-run only: the content of an UNKNOWN was needed */
};

/* A place in a plan file; line and col count from 1, line 0 means no place. file is borrowed (lives with its plan). */
struct pos {
	const char *file;
	uint32_t line, col;
};

struct err {
	enum err_kind kind;
	bool retryable; /* trying the same again later may help */
	int sys;        /* errno at the origin, or 0 */
	struct pos where;
	char msg[640];  /* one line, lowercase, what and why */
	char next[1024]; /* the command or action to take next, or empty; with a choice, a line for each */
};

#define ERR_INIT ((struct err){ .kind = ERR_NONE })

/* Set kind and message; always returns -1. retryable is set for ERR_UNREACHABLE and cleared otherwise. */
int err_set(struct err *err, enum err_kind kind, const char *fmt, ...) PRINTF(3, 4);
/* As err_set(ERR_LOCAL) with ": strerror(errno)" appended; always returns -1. */
int err_errno(struct err *err, const char *fmt, ...) PRINTF(2, 3);
/* As err_set(ERR_PLAN) with a place; always returns -1. */
int err_at(struct err *err, struct pos where, const char *fmt, ...) PRINTF(3, 4);
/* Put "fact: " before the message, keep the kind; always returns -1. */
int err_wrap(struct err *err, const char *fmt, ...) PRINTF(2, 3);
/* Say what to type next; always returns -1. */
int err_next(struct err *err, const char *fmt, ...) PRINTF(2, 3);
/* The exit code of design §8 for a kind. */
int err_exit_code(enum err_kind kind);
/* A stable lowercase word for a kind ("failed", "unknown", ...), for journal and JSON output. */
const char *err_kind_name(enum err_kind kind);
/* The kind of a word from err_kind_name, or ERR_FAILED. */
enum err_kind err_kind_parse(const char *name);

#endif

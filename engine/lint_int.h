/* SPDX-License-Identifier: Apache-2.0 */
/* Inside of the lints (lint*.c only). */
#ifndef WHERRY_LINT_INT_H
#define WHERRY_LINT_INT_H

#include "lint.h"

struct lint {
	const struct plan *plan;
	const struct lint_rule *rule; /* that is checked now */
	struct problems *problems;
};

/* Unless it is allowed there. */
void lint_step_found(struct lint *, const struct step *, const struct node *at, const char *fmt, ...) PRINTF(4, 5);
void lint_found(struct lint *, struct pos where, const char *fmt, ...) PRINTF(3, 4);

void lint_exec_not_safe(struct lint *);
void lint_no_undo(struct lint *);
void lint_wait_without_timeout(struct lint *);
void lint_secret_in_argv(struct lint *);
void lint_two_writers(struct lint *); /* lint_writers.c */
void lint_unused_parameter(struct lint *);

#endif

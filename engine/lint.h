/* SPDX-License-Identifier: Apache-2.0 */
/* Lints for migrations: what a valid plan should not do, because it hurts on the night when something breaks. Each rule
 * has a name; a plan or a step silences it by `allow: {RULE: reason}`. */
#ifndef WHERRY_LINT_H
#define WHERRY_LINT_H

#include "plan.h"

struct lint;
struct lint_rule {
	const char *name;
	const char *help;                 /* one line */
	const char *why;                  /* some lines: what happens, and what to write instead */
	void (*check)(struct lint *); /* adds what it finds */
};
/* Ended by a row without a name. */
extern const struct lint_rule lint_rules[];

/* The rule of this name, or NULL. */
const struct lint_rule *lint_rule(const char *name);
/* Everything that the rules find in a plan and that nothing in it allows, as "RULE: …" with its place. */
void lint_plan(const struct plan *, struct problems *);

#endif

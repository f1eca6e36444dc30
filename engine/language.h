/* SPDX-License-Identifier: Apache-2.0 */
/* The words of the plan language in one table: the loader reads plans by it, `wherry schema` and `wherry help language`
 * are written from it. Step types, target kinds and their fields have tables of their own (the registry). */
#ifndef WHERRY_LANGUAGE_H
#define WHERRY_LANGUAGE_H

#include "schema.h"
#include "step.h"

/* Where a word may stand. */
enum word_place { IN_PLAN = 1, IN_STEP = 2, IN_DEFAULTS = 4 };

/* What stands behind it. */
enum word_shape {
	WORD_LATER,     /* comes in a later version: refused by name */
	WORD_VERSION,   /* v1 */
	WORD_NAME,      /* [A-Za-z][A-Za-z0-9_-]{0,62} */
	WORD_TEXT,
	WORD_PARAMS,    /* map of names to what language_param_fields says */
	WORD_TARGETS,   /* map of names to {kind: …} and the kind's fields */
	WORD_DEFAULTS,  /* map of the words that may stand IN_DEFAULTS */
	WORD_STEPS,     /* list of maps of the words that may stand IN_STEP */
	WORD_VALUES,    /* map of names to values with expressions */
	WORD_USES,      /* a step type */
	WORD_WITH,      /* the inputs of that type */
	WORD_POOLS,     /* map of names to numbers */
	WORD_FOREACH,   /* one whole expression, or a list */
	WORD_TEMPLATE,  /* text with expressions */
	WORD_NEEDS,     /* list of ID or ID? */
	WORD_IDS,       /* list of ID */
	WORD_CONDITION, /* true, false, or one whole expression */
	WORD_CALL,      /* {uses, with} */
	WORD_ALLOW,     /* map of lints to reasons */
	WORD_POLICY,    /* the field of this name in language_policy_fields, whose help stands there */
};

enum word_id {
	WORD_IS_WHERRY, WORD_IS_NAME, WORD_IS_SUMMARY, WORD_IS_PARAMS, WORD_IS_TARGETS, WORD_IS_POOLS, WORD_IS_DEFAULTS,
	WORD_IS_HOOKS, WORD_IS_STEPS, WORD_IS_FINALLY, WORD_IS_OUTPUTS, WORD_IS_ID, WORD_IS_USES, WORD_IS_WITH, WORD_IS_NEEDS,
	WORD_IS_WHEN, WORD_IS_FOREACH, WORD_IS_KEY, WORD_IS_POOL, WORD_IS_GUARD, WORD_IS_TIMEOUT, WORD_IS_RETRY,
	WORD_IS_ON_ERROR, WORD_IS_UNDO, WORD_IS_IRREVERSIBLE, WORD_IS_ALLOW,
};

struct word {
	const char *name;
	enum word_id id;
	enum word_shape shape;
	unsigned in; /* enum word_place */
	bool required;
	const char *help; /* a phrase; NULL for WORD_POLICY and WORD_LATER */
};
/* In the order of the guide; ended by a row without a name. */
extern const struct word language[];
/* What a parameter's declaration and a policy may say (plan_param.c, plan_step.c). */
extern const struct field language_param_fields[], language_policy_fields[];

/* The word's help, wherever it stands. */
const char *word_help(const struct word *);
/* The JSON Schema (2020-12) of the language with the step types and target kinds of the registry (language_schema.c). */
void language_schema(const struct registry *, struct buf *to);
/* The words and what they mean, for `wherry help language`. */
void language_help(struct buf *to);

#endif

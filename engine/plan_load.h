/* SPDX-License-Identifier: Apache-2.0 */
/* Shared by plan*.c only: what a plan needs while it is loaded and nobody needs afterwards. Loading has two passes:
 * items become compact steps as they are parsed; when the whole file is known, everything is checked against it. */
#ifndef WHERRY_PLAN_LOAD_H
#define WHERRY_PLAN_LOAD_H

#include "language.h"
#include "plan.h"

/* What a step (or `defaults`) says about its policy: deduplicated by its bytes. */
enum said {
	SAID_TIMEOUT = 1,
	SAID_ATTEMPTS = 2,
	SAID_BACKOFF = 4,
	SAID_MAX_BACKOFF = 8,
	SAID_ON_ERROR = 16
};
struct said_policy {
	struct policy policy;
	unsigned said; /* enum said */
};

/* The part of a step that does not outlive the load. */
struct draft {
	struct node needs; /* list, or len 0 */
	const struct node *guard; /* list, or NULL */
	struct node undo;  /* map {uses, with}, or len 0 */
	const struct node *foreach, *key, *pool; /* as written, or NULL; foreach and key in the plan's arena */
	bool undoes;       /* `uses: undo`: what it does is another step's `undo` */
	uint32_t policy;   /* into loader.said */
};

struct needs {
	struct need *list;
	size_t n, cap;
};

#define PLAN_BESIDE "sub/"      /* begins the key of a plan that is named by its path */
#define PLAN_BUNDLED "bundled/" /* … by the name of a bundled one */

/* All plans of one load but its root, each file once. */
struct closure {
	const struct plan_reader *reader;
	struct plan *parts[PLAN_MAX_FILES];
	const char *keys[PLAN_MAX_FILES]; /* of each; those that have problems have no part */
	uint32_t n;
	size_t bytes;
	struct arena arena;
};

struct loader {
	const struct registry *registry;
	struct closure *closure;
	const struct loader *outer; /* of the plan that runs this one, or NULL */
	const char *key;            /* of this one in the closure */
	struct plan *plan;
	struct problems *problems;
	struct arena scratch;
	struct draft *drafts; /* one a step */
	uint32_t cap;         /* of plan->steps and drafts */
	struct said_policy **said;
	uint32_t nsaid;
	struct map said_index, param_index, target_index;
	struct expr_host *host;
	struct needs *target_needs; /* of plan->targets: their fields may refer to steps */
	struct needs needs;         /* becomes plan->needs */
	unsigned searches; /* for names of steps near to an unknown one: each walks all steps */
};

/* yaml_item_fn: one item of `steps` or `finally`; data is the loader. */
int plan_add_item(void *data, const char *section, const struct node *item);
/* `defaults`, or NULL; then each step gets its policy. */
void plan_set_policies(struct loader *l, const struct node *defaults);
/* Declarations of `params`. */
void plan_add_params(struct loader *l, const struct node *params);
/* The plan of `outer` or below it, in a load that is under way; NULL with problems. */
struct plan *plan_load_part(const struct loader *outer, const char *key, const char *file, const char *text, size_t len);
/* `pools`, or NULL. */
void plan_add_pools(struct loader *l, const struct node *pools);
/* What `foreach`, `key`, `pool` and `uses: plan` say, once all steps are in their places; the plans that they run are
 * loaded. */
void plan_add_children(struct loader *l);
/* The step type of this name; NULL with a problem when there is none, or not yet. */
const struct step_type *plan_step_type(struct loader *l, const struct node *name);
/* The word that a key is, in its place; NULL with a problem when there is none, or not yet. */
const struct word *plan_word(struct loader *l, const struct node *key, enum word_place place);
/* `allow`: lints with their reasons; NULL with problems. */
const struct node *plan_read_allow(struct loader *l, const struct node *n);
/* References, needs and inputs of targets, steps and outputs, once everything is known. */
void plan_check(struct loader *l);

struct pos plan_pos(const struct loader *l, const struct node *n);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* Expressions: `${{ … }}` is one Lua 5.4 expression, run in a closed state without access to the world, with a memory
 * cap, an instruction limit and string functions that cannot run away. Roots are lazy; touching an UNKNOWN makes the
 * whole result UNKNOWN, touching a secret makes it secret. Errors carry the expression's own line and column. */
#ifndef WHERRY_EXPR_H
#define WHERRY_EXPR_H

#include "value.h"
#include "yaml.h"

/* Where the roots come from. get returns a value that lives until the evaluation ends, or NULL with err set when the
 * key does not exist. root is "params", "targets", "steps" (with a literal key) or "item", "index", "value", "run",
 * "key" (key NULL). For steps the value is a map {status, ran, outputs, items}. */
struct expr_env {
	const struct value *(*get)(void *data, const char *root, const char *key, struct err *err);
	void *data;
};

struct expr_host; /* one Lua state; used by one thread at a time */
struct expr_host *expr_host_new(void);
void expr_host_free(struct expr_host *h);

/* A reference found in a source: root and literal key; for steps also the member touched first. */
struct expr_ref {
	const char *root, *key;  /* key NULL for item, index, value, run */
	const char *member;      /* "outputs", "status", "ran", "items", or NULL; only for steps */
	const char *output;      /* the output named after "outputs", or NULL */
	struct pos where;
};
/* -1 ends the check; the callee has told why (to its own problems or err). */
typedef int expr_ref_fn(void *data, const struct expr_ref *ref);

/* An expression as an input of type expr: evaluated later, by the step, over `value`, with the roots it names frozen
 * at the time of binding. */
struct expr {
	const char *src;
	size_t len;
	struct pos where;
	const struct value *frozen; /* map "root/key" or "root" -> value */
};

/* Compile (text only) and report syntax errors at their own place; call fn (if given) for each reference. len excludes
 * "${{ }}"; where is the place of the first byte after "${{". */
int expr_check(struct expr_host *h, const char *src, size_t len, struct pos where, expr_ref_fn *fn, void *data,
	       struct err *err);
/* Evaluate; the result is copied into the arena. After a secret was touched every string and number of the result is a
 * secret (numbers as text); true, false and null stay, for conditions. */
int expr_eval(struct expr_host *h, const char *src, size_t len, struct pos where, const struct expr_env *env,
	      struct arena *a, struct value *ret, struct err *err);
/* Freeze the roots that src names (for inputs of type expr); a reference to `value` stays open. */
int expr_freeze(struct expr_host *h, const char *src, size_t len, struct pos where, const struct expr_env *env,
		struct arena *a, struct expr *ret, struct err *err);
/* Evaluate a frozen expression over value. */
int expr_eval_over(struct expr_host *h, const struct expr *e, const struct value *value, struct arena *a,
		   struct value *ret, struct err *err);

/* Is this scalar text (part of) a template: does it hold "${{"? */
bool template_has_expr(const char *s);
/* If the scalar is exactly one "${{ … }}" (outer blanks allowed): 1 and the inner source; else 0; -1 unterminated. */
int template_whole(const struct node *n, const char **ret_src, size_t *ret_len, struct pos *ret_where);
/* A node tree to a value: scalars typed, one whole expression keeps its type, inside longer text interpolated. */
int template_eval(struct expr_host *h, const struct node *n, const char *file, const struct expr_env *env,
		  struct arena *a, struct value *ret, struct err *err);
/* Check every expression in the tree; problems collected; fn called for each reference. */
void template_check(struct expr_host *h, const struct node *n, const char *file, expr_ref_fn *fn, void *data,
		    struct problems *problems);
/* Append the help text on expressions: roots and every function with one line each (from the table that defines them). */
void expr_help(struct buf *to);

#endif

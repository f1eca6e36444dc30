/* SPDX-License-Identifier: Apache-2.0 */
/* Shared by expr*.c only. Everything that takes a lua_State may raise a Lua error (a longjmp): it holds no memory of
 * its own then, only the arena, the scratch arena and the scratch buffer of the host. */
#ifndef WHERRY_EXPR_INT_H
#define WHERRY_EXPR_INT_H

#include <lua.h>
#include <lauxlib.h>

#include "expr.h"

#define EXPR_MEMORY (32U << 20) /* bytes that one state may hold */
#define EXPR_STEPS 10000000     /* instructions, pattern steps, elements handled; an evaluation */
#define EXPR_CPU_NS (3 * INT64_C(1000000000)) /* a backstop: one instruction may compare megabytes */

struct touched {
	const struct secret *secret;
	const struct touched *next;
};

struct expr_host {
	lua_State *L;
	size_t mem;             /* bytes that the state holds */
	int64_t limit, steps;   /* allowed an evaluation, and left in this one */
	int64_t look, deadline; /* look at the clock when steps fall below; thread CPU ns, 0: not looked yet */
	bool wipe;              /* a secret has been in the state: overwrite memory before giving it back */

	const struct expr_env *env;
	struct err *err;             /* where env->get puts its error */
	bool failed;                 /* env->get did */
	const char *unknown;         /* why: an UNKNOWN was touched */
	const struct secret *secret; /* the first secret touched */
	const struct touched *touched; /* all of them */
	struct arena scratch;        /* until the evaluation ends */
	struct buf text;             /* until the next use */
};

static inline struct expr_host *
expr_host_of(lua_State *L)
{
	return *(struct expr_host **)lua_getextraspace(L);
}

/* expr.c: pay for n steps of work; raises when the evaluation has used up its own. */
void expr_spend(lua_State *L, uint64_t n);

/* expr_value.c */
/* Metatables of the proxies, once a state. */
void expr_value_open(lua_State *L);
/* Push a value: scalars as Lua's, lists and maps as read-only proxies. Touches: an UNKNOWN ends the evaluation. */
void expr_push(lua_State *L, const struct value *v);
/* The two laws; expr_touch_unknown does not return. */
int expr_touch_unknown(lua_State *L, const char *why);
void expr_touch_secret(lua_State *L, const struct secret *s);
/* The list or map behind the proxy at idx, or NULL. */
const struct value *expr_proxy(lua_State *L, int idx);
/* pairs(t): always in the order of keys, so that the same expression gives the same bytes in every run. */
int expr_pairs(lua_State *L);
/* Push a new list with the sorted keys of the map or table at idx. */
void expr_push_keys(lua_State *L, int idx);
/* Sort the Lua list at idx of n items in place; less is the index of a function or 0. */
void expr_sort(lua_State *L, int idx, lua_Integer n, int less);
/* Length of argument arg, which must be a list or a table; paid for. */
lua_Integer expr_check_list(lua_State *L, int arg);
/* "list", "map", "string", … for messages. */
const char *expr_typename(lua_State *L, int idx);

/* expr_result.c */
/* The value at idx, in the arena. touch: secrets become their content and UNKNOWN ends the evaluation; otherwise both
 * pass, and all strings and numbers of an evaluation that touched a secret become secrets. */
struct value expr_pull(lua_State *L, int idx, struct arena *a, bool touch);

/* expr_lib.c, and the functions of expr_list.c, expr_text.c and expr_pattern.c */
struct expr_fn {
	const char *name;     /* "first" or "string.rep" */
	const char *args, *help;
	lua_CFunction fn;     /* or NULL: */
	const char *standard; /* the same of Lua's own library, which is safe ("string.upper", "ipairs") */
	bool method;          /* also s:name() */
};
extern const struct expr_fn expr_fns[];
extern const size_t expr_nfns;
/* Push the table of all names, and set the methods of strings. */
void expr_lib_open(lua_State *L);

int lib_first(lua_State *L);
int lib_count(lua_State *L);
int lib_keys(lua_State *L);
int lib_values(lua_State *L);
int lib_has(lua_State *L);
int lib_contains(lua_State *L);
int lib_concat(lua_State *L);
int lib_merge(lua_State *L);
int lib_map(lua_State *L);
int lib_filter(lua_State *L);
int lib_sort(lua_State *L);
int lib_unique(lua_State *L);
int lib_range(lua_State *L);
int lib_min(lua_State *L);
int lib_max(lua_State *L);
int lib_default(lua_State *L);
int lib_type(lua_State *L);
int lib_error(lua_State *L);
int lib_condition(lua_State *L);
int lib_insert(lua_State *L);
int lib_unpack(lua_State *L);

int expr_json_encode(lua_State *L);
int expr_json_decode(lua_State *L);
int expr_base64_encode(lua_State *L);
int expr_base64_decode(lua_State *L);
int expr_sha256(lua_State *L);
int expr_tostring(lua_State *L);
int expr_split(lua_State *L);
int expr_join(lua_State *L);
int expr_trim(lua_State *L);
int expr_starts_with(lua_State *L);
int expr_ends_with(lua_State *L);
int expr_replace(lua_State *L);
int expr_rep(lua_State *L);
int expr_format(lua_State *L);
int expr_find(lua_State *L);
int expr_match(lua_State *L);
int expr_gmatch(lua_State *L);
int expr_gsub(lua_State *L);

/* expr_scan.c */
/* The "}}" that closes an expression whose source begins at p, or NULL. */
const char *expr_close(const char *p, const char *end);
/* Look at the tokens: call fn for each reference; refuse roots without a literal key, shadowed roots, unknown names,
 * more than one expression. Strings of a reference live in the arena. */
int expr_scan(struct arena *a, const char *src, size_t len, struct pos where, expr_ref_fn *fn, void *data,
	      struct err *err);
/* The place of the byte at offset `at` of src. */
struct pos expr_pos_at(const char *src, size_t at, struct pos where);
/* Offset behind the first token on line `line` (from 1) at or after `from` whose text is `token`, or 0. */
size_t expr_find_token(const char *src, size_t len, uint32_t line, const char *token, size_t token_len, size_t from);
bool expr_is_root(const char *s, size_t len);
bool expr_root_has_keys(const char *root);

/* expr.c: as expr_eval, but the result is the text of an interpolation: a string, secret or UNKNOWN; null is refused. */
int expr_eval_text(struct expr_host *h, const char *src, size_t len, struct pos where, const struct expr_env *env,
		   struct arena *a, struct value *ret, struct err *err);

#endif

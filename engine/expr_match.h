/* SPDX-License-Identifier: Apache-2.0 */
/* A match of a Lua pattern, between the matcher (expr_match.c) and the functions that use it (expr_pattern.c). */
#ifndef WHERRY_EXPR_MATCH_H
#define WHERRY_EXPR_MATCH_H

#include "expr_int.h"

#define CAPTURES_MAX 32
#define CAP_OPEN (-1)
#define CAP_POSITION (-2)

struct matcher {
	lua_State *L;
	const char *src, *src_end, *pat_end;
	int recursion, ncaptures;
	struct {
		const char *at;
		ptrdiff_t len; /* or CAP_OPEN, CAP_POSITION */
	} capture[CAPTURES_MAX];
};

/* Where the match of the pattern that begins at p ends, or NULL; s: where in the subject. Raises for a malformed pattern. */
const char *match_at(struct matcher *, const char *s, const char *p);
/* Raise "malformed pattern (what)"; does not return. */
int match_malformed(struct matcher *, const char *what);

#endif

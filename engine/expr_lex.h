/* SPDX-License-Identifier: Apache-2.0 */
/* The tokens of Lua source. */
#ifndef WHERRY_EXPR_LEX_H
#define WHERRY_EXPR_LEX_H

#include <stdbool.h>
#include <stddef.h>

enum token_kind { T_END, T_NAME, T_STRING, T_NUMBER, T_OP, T_BAD };

struct token {
	enum token_kind kind;
	const char *p;
	size_t len;
};

struct lexer {
	const char *p, *end;
};

/* The next token; T_END at the end, and again ever after. */
struct token lex_next(struct lexer *);
bool token_is_op(const struct token *, const char *op);
bool token_is_name(const struct token *, const char *name);
/* Is the text of len bytes this word, or one of n? */
bool lex_is_word(const char *s, size_t len, const char *word);
bool lex_is_one_of(const char *s, size_t len, const char *const *words, size_t n);

#endif

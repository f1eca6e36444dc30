/* SPDX-License-Identifier: Apache-2.0 */
/* UTF-8 (RFC 3629), safe display of untrusted bytes, parsing of sizes and durations, and close-match suggestions. */
#ifndef WHERRY_BASE_TEXT_H
#define WHERRY_BASE_TEXT_H

#include "base/arena.h"
#include "base/buf.h"

#include <stdint.h>

/* Offset of the first byte that is not valid UTF-8 (overlong, surrogate and > U+10FFFF are not), or len. */
size_t utf8_check(const void *p, size_t len);
/* Append bytes fit for a terminal and a log: control, bidi and invalid bytes as \xNN or \u{NNNN}, newline as \n. */
void text_escape(struct buf *to, const void *p, size_t len);
/* Append one word as a shell would need it: quoted where it is not plain. */
void text_shell_word(struct buf *to, const char *s, size_t len);
/* As text_escape, but newlines and tabs stay (for file contents and diffs). */
void text_escape_lines(struct buf *to, const void *p, size_t len);
/* An escaped copy in the arena; cut with "…" after max bytes (0: no limit). */
const char *text_safe(struct arena *a, const void *p, size_t len, size_t max);
/* "90s", "1m30s", "2h", "500ms", "1d" to nanoseconds; a bare number is refused. -1 if malformed or over 10 years. */
int duration_parse(const char *s, int64_t *ret_ns);
/* "64", "64KiB", "1MiB", "1.5GiB", "10MB" to bytes; -1 if malformed. */
int size_parse(const char *s, int64_t *ret);
/* "1m30s" for people; buf holds 32. */
const char *duration_text(int64_t ns, char ret[32]);
/* "12.3 MiB" for people. */
const char *size_text(uint64_t bytes, char ret[32]);
/* The nearest of n names within an edit distance that a typo explains, or NULL. */
const char *text_nearest(const char *word, const char *const *names, size_t n);
/* Is this a name of the plan language: [A-Za-z][A-Za-z0-9_-]{0,62} */
bool text_is_name(const char *s, size_t len);

#endif

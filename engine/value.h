/* SPDX-License-Identifier: Apache-2.0 */
/* Values: immutable trees in an arena, that cross threads and the journal as canonical bytes. UNKNOWN (dry-run) and
 * secrets are kinds of value, so that neither can be printed, hashed or compared by mistake.
 *
 * Canonical bytes are JSON (RFC 8259): keys sorted bytewise, no spaces, shortest round-trip numbers, and four tags:
 *   {"$unknown":"why"}  {"$secret":"where it comes from"}  {"$bytes":"base64"} for a string that is not UTF-8;
 *   a map key that begins with "$" is written with one "$" more; one that is not UTF-8 is "$bytes:base64". */
#ifndef WHERRY_VALUE_H
#define WHERRY_VALUE_H

#include "base/arena.h"
#include "base/buf.h"

#include <stdint.h>

#define VALUE_MAX_DEPTH 64

enum value_kind { V_NULL, V_BOOL, V_INT, V_NUMBER, V_STRING, V_LIST, V_MAP, V_UNKNOWN, V_SECRET };

enum value_flags {
	VF_UNKNOWN = 1, /* it is, or holds somewhere inside, an UNKNOWN */
	VF_SECRET = 2,  /* it is, or holds somewhere inside, a secret */
};

struct secret {
	const char *where; /* locator for people: "params.password"; never the content */
	size_t len;
	char *content;     /* NUL-terminated; only target kinds and the door's keyed hash read it */
};

struct value {
	uint8_t kind, flags;
	uint32_t len; /* bytes of a string, items of a list, pairs of a map */
	union {
		bool b;
		int64_t i;
		double n;
		const char *s;             /* V_STRING: NUL after len bytes, may hold NUL inside; V_UNKNOWN: why */
		const struct value *items;
		const struct pair *pairs;  /* in the order written; keys unique */
		const struct secret *secret;
	};
};

struct pair {
	const char *key; /* NUL-terminated */
	struct value v;
};

#define VALUE_NULL ((struct value){ .kind = V_NULL })

struct value value_bool(bool b);
struct value value_int(int64_t i);
struct value value_number(double n);
/* s is borrowed and must outlive the value. */
struct value value_str(const char *s);
struct value value_strn(const char *s, size_t len);
struct value value_unknown(const char *why);
struct value value_secret(const struct secret *s);
/* A list or map over the caller's array (borrowed); the flags of the parts are gathered. */
struct value value_list(const struct value *items, size_t n);
struct value value_map(const struct pair *pairs, size_t n);
/* The same of a copy in the arena, without what is null; of texts up to a NULL, which are borrowed. */
struct value value_map_of(struct arena *a, const struct pair *pairs, size_t n);
struct value value_words(struct arena *a, const char *const *words);
#define VALUE_MAP(a, ...) \
	value_map_of((a), (const struct pair[]){ __VA_ARGS__ }, sizeof((const struct pair[]){ __VA_ARGS__ }) / sizeof(struct pair))
#define VALUE_WORDS(a, ...) value_words((a), (const char *const[]){ __VA_ARGS__, NULL })
/* Member of a map by key, or NULL when it is not there or v is no map. */
const struct value *value_get(const struct value *v, const char *key);
/* The string of member `key`, or dflt when absent or not a string. */
const char *value_get_str(const struct value *v, const char *key, const char *dflt);
int64_t value_get_int(const struct value *v, const char *key, int64_t dflt);
/* Deep copy; secrets are copied too and wiped by nobody: keep them in arenas that value_wipe has been run on. */
struct value value_copy(struct arena *a, const struct value *v);
bool value_eq(const struct value *a, const struct value *b);
/* Lua truth: all but null and false. */
bool value_true(const struct value *v);
/* "a string", "a list of 3", "unknown", for messages. */
const char *value_kind_text(const struct value *v, char ret[48]);

/* Append canonical bytes. Secrets become their tag. */
void value_write(struct buf *to, const struct value *v);
/* Parse canonical bytes (our own, from the journal), tags decoded; a secret tag becomes V_SECRET without content. */
int value_parse(struct arena *a, const char *p, size_t len, struct value *ret, struct err *err);
/* The end of the plain value (string, integer) that begins at p; NULL when there is none: ask value_parse then. Plain is
 * what is canonical without escapes, tags, fractions and deep nesting; of strings the inside is printable ASCII. */
const char *value_scan(const char *p, const char *end);
const char *value_scan_string(const char *p, const char *end);
const char *value_scan_int(const char *p, const char *end, int64_t *ret);
/* Check our own bytes as value_parse does; the canonical ones, NUL-terminated, live in the arena. */
int value_canonical(struct arena *a, const char *p, size_t len, const char **ret, struct err *err);
/* Parse foreign JSON: strict, duplicate keys, NaN, depth over 64 and bad UTF-8 refused, no tags. */
int value_parse_json(struct arena *a, const char *p, size_t len, struct value *ret, struct err *err);
/* Append plain JSON for people and `--format json`: keys sorted and as they are, control and bidi characters escaped,
 * secrets as "(secret)", unknowns as "(unknown)". */
void value_show(struct buf *to, const struct value *v);
/* Append plain JSON for a server: secrets with their content, so only target kinds may call it. -1 for what JSON cannot
 * say: an unknown, or text that is not UTF-8. */
int value_json(struct buf *to, const struct value *v, struct err *err);
/* SHA-256 over canonical bytes in which every secret stands as its HMAC under key: equal inputs, equal digests. */
void value_digest(const struct value *v, struct bytes key, char ret_hex[65]);
/* Overwrite the content of all secrets inside. */
void value_wipe(const struct value *v);
/* Append the differing lines between two values as a diff for people: "- path: old" / "+ path: new", at most max lines
 * (then "… n more"). Secrets and unknowns show as such. */
void value_diff(struct buf *to, const struct value *before, const struct value *after, unsigned max);
/* Append the path of the first place where two values differ, and nothing of what they hold; empty: as a whole. */
void value_diff_path(struct buf *to, const struct value *before, const struct value *after);

#endif

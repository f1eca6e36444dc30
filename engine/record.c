/* SPDX-License-Identifier: Apache-2.0 */
/* Owns the one table of what a journal record is made of: writing, parsing and showing are loops over it. A
 * line is the canonical JSON of one map; the table is in the order of its keys, so a parse is a single merge of
 * two sorted lists. Values are left as the bytes they are: who folds a journal keeps bytes, and few look inside. Members that are zero or NULL are left out. A type or member that is not in the table is
 * refused, never skipped: only a newer version can have written it. */
#include "record.h"

#include <endian.h>
#include <stddef.h>
#include <string.h>

#include "base/clock.h"

enum member_kind { M_TYPE, M_TEXT, M_U32, M_U64, M_WALL, M_VALUE };

#define KEY_MAX 8

struct member {
	char key[KEY_MAX]; /* zeroes to its end */
	enum member_kind kind;
	size_t at, text; /* text: of a value's bytes */
};

#define AT(m) offsetof(struct record, m)

/* Each value is directly followed by the member that names its file. */
static const struct member members[] = {
	{ "at", M_WALL, AT(wall), 0 },
	{ "body", M_VALUE, AT(body), AT(body_text) },
	{ "bodyf", M_TEXT, AT(body_file), 0 },
	{ "build", M_TEXT, AT(build), 0 },
	{ "cls", M_TEXT, AT(class), 0 },
	{ "code", M_U32, AT(code), 0 },
	{ "dig", M_TEXT, AT(digest), 0 },
	{ "done", M_U64, AT(done), 0 },
	{ "eff", M_U32, AT(effect), 0 },
	{ "ep", M_U32, AT(epoch), 0 },
	{ "file", M_TEXT, AT(file), 0 },
	{ "host", M_TEXT, AT(host), 0 },
	{ "kind", M_TEXT, AT(kind), 0 },
	{ "msg", M_TEXT, AT(msg), 0 },
	{ "next", M_TEXT, AT(next), 0 },
	{ "nonce", M_TEXT, AT(nonce), 0 },
	{ "ns", M_U64, AT(ns), 0 },
	{ "occ", M_U32, AT(occ), 0 },
	{ "of", M_U64, AT(total), 0 },
	{ "pre", M_VALUE, AT(before), AT(before_text) },
	{ "pref", M_TEXT, AT(before_file), 0 },
	{ "ref", M_TEXT, AT(ref), 0 },
	{ "says", M_TEXT, AT(says), 0 },
	{ "st", M_TEXT, AT(status), 0 },
	{ "step", M_TEXT, AT(step), 0 },
	{ "t", M_TYPE, AT(type), 0 },
	{ "tgt", M_TEXT, AT(target), 0 },
	{ "try", M_U32, AT(attempt), 0 },
	{ "unit", M_TEXT, AT(unit), 0 },
	{ "user", M_TEXT, AT(user), 0 },
	{ "val", M_VALUE, AT(value), AT(value_text) },
	{ "valf", M_TEXT, AT(value_file), 0 },
	{ "verb", M_TEXT, AT(verb), 0 },
};

static const char *const type_names[REC_TYPES] = {
	[REC_OPEN] = "open",       [REC_RESUME] = "resume",   [REC_TARGET] = "target", [REC_START] = "start",
	[REC_INTENT] = "intent",   [REC_SETTLED] = "settled", [REC_UNKNOWN] = "unknown", [REC_CURSOR] = "cursor",
	[REC_NOTE] = "note",       [REC_RETRY] = "retry",     [REC_END] = "end",       [REC_RESOLVE] = "resolve",
	[REC_PAUSE] = "pause",     [REC_CLOSE] = "close",     [REC_REOPEN] = "reopen", [REC_TAIL] = "tail",
	[REC_DOUBT] = "doubt",     [REC_GATE] = "gate",       [REC_APPROVE] = "approve",
	[REC_ROLLBACK] = "rollback", [REC_PLAN] = "plan",     [REC_CLAIM] = "claim",
};

const char *
record_type_name(enum record_type t)
{
	return t < REC_TYPES ? type_names[t] : "?";
}

static struct value
count_value(uint64_t n)
{
	return value_int(n > INT64_MAX ? INT64_MAX : (int64_t)n);
}

/* The member's value; false when it is not set. */
static bool
member_get(const struct record *r, const struct member *m, struct value *ret)
{
	const char *at = (const char *)r + m->at;
	const struct value *v;
	const char *text;
	uint64_t u64;
	uint32_t u32;

	switch (m->kind) {
	case M_TYPE:
		*ret = value_str(record_type_name(r->type));
		return true;
	case M_TEXT:
		memcpy(&text, at, sizeof(text));
		if (text == NULL)
			return false;
		*ret = value_str(text);
		return true;
	case M_U32:
		memcpy(&u32, at, sizeof(u32));
		*ret = value_int(u32);
		return u32 != 0;
	case M_U64:
		memcpy(&u64, at, sizeof(u64));
		*ret = count_value(u64);
		return u64 != 0;
	case M_WALL:
		*ret = value_int(r->wall);
		return r->wall != 0;
	case M_VALUE:
		memcpy(&v, at, sizeof(v));
		if (v == NULL)
			return false;
		*ret = *v;
		return true;
	}
	return false;
}

void
record_write(struct buf *to, const struct record *r)
{
	struct pair pairs[countof(members)];
	struct value line;
	size_t n = 0;

	for (size_t i = 0; i < countof(members); i++)
		if (member_get(r, &members[i], &pairs[n].v))
			pairs[n++].key = members[i].key;
	line = value_map(pairs, n);
	value_write(to, &line);
	buf_putc(to, '\n');
}

static int
type_parse(const struct value *v, enum record_type *ret, struct err *err)
{
	for (size_t i = 0; v->kind == V_STRING && i < REC_TYPES; i++)
		if (v->s[0] == type_names[i][0] && strcmp(v->s, type_names[i]) == 0) {
			*ret = (enum record_type)i;
			return 0;
		}
	return err_set(err, ERR_REFUSED, "unknown record type '%.40s'; a newer wherry may have written it",
		       v->kind == V_STRING ? v->s : "?");
}

static int
member_set(struct record *r, const struct member *m, const struct value *v, struct err *err)
{
	char *at = (char *)r + m->at;
	uint64_t u64 = (uint64_t)v->i;
	uint32_t u32 = (uint32_t)v->i;

	switch (m->kind) {
	case M_TYPE:
		return type_parse(v, &r->type, err);
	case M_VALUE:
		break;
	case M_TEXT:
		if (v->kind != V_STRING || strlen(v->s) != v->len)
			break;
		memcpy(at, &v->s, sizeof(v->s));
		return 0;
	case M_U32:
		if (v->kind != V_INT || v->i < 0 || v->i > UINT32_MAX)
			break;
		memcpy(at, &u32, sizeof(u32));
		return 0;
	case M_U64:
		if (v->kind != V_INT || v->i < 0)
			break;
		memcpy(at, &u64, sizeof(u64));
		return 0;
	case M_WALL:
		if (v->kind != V_INT)
			break;
		r->wall = v->i;
		return 0;
	}
	return err_set(err, ERR_REFUSED, "member '%s' of a record cannot be %s", m->key, value_kind_text(v, (char[48]){ 0 }));
}

static void
text_set(struct record *r, const struct member *m, const char *text)
{
	memcpy((char *)r + m->text, &text, sizeof(text));
}

/* A short key as one number that orders as its bytes do. */
static uint64_t
key_word(const char *key, size_t len)
{
	uint64_t word = 0;

	for (size_t i = 0; i < len; i++)
		word = word << 8 | (unsigned char)key[i];
	return word << (8 * (KEY_MAX - len));
}

/* The member of this name at or after *m; NULL when there is none. */
static const struct member *
member_find(size_t *m, const char *key, size_t len)
{
	uint64_t word, at = 0;

	if (len == 0 || len >= KEY_MAX)
		return NULL;
	word = key_word(key, len);
	for (; *m < countof(members); ++*m) {
		memcpy(&at, members[*m].key, KEY_MAX);
		at = be64toh(at);
		if (at >= word)
			break;
	}
	return at == word ? &members[*m] : NULL;
}

/* Read the member's value at p; returns its end, or NULL. */
static char *
plain_member(struct record *r, const struct member *m, char *p, const char *end, struct err *err)
{
	struct value v = { 0 };
	const char *after;

	if (m->kind == M_VALUE) {
		after = value_scan(p, end);
		text_set(r, m, p);
	} else if (m->kind == M_TEXT || m->kind == M_TYPE) {
		after = value_scan_string(p, end);
		v = value_strn(p + 1, after != NULL ? (size_t)(after - p) - 2 : 0);
	} else {
		v = value_int(0);
		after = value_scan_int(p, end, &v.i);
	}
	if (after == NULL || after == end)
		return NULL;
	if (v.kind == V_STRING)
		p[v.len + 1] = '\0';
	if (m->kind != M_VALUE && member_set(r, m, &v, err) < 0)
		return NULL;
	return p + (after - p);
}

/* Cut up a line of plain members in place, in one pass and without a tree. False: it is not plain, or wrong; parse_any
 * judges that. */
static bool
parse_plain(struct arena *a, const char *line, size_t len, struct record *r, struct err *err)
{
	char *p = arena_strndup(a, line, len), *end = p + len, *key, next = *p == '{' ? ',' : '\0';
	const struct member *m;
	const char *after;
	size_t at = 0;

	while (next == ',') {
		key = p + 1;
		after = value_scan_string(key, end);
		if (after == NULL || after == end || *after != ':')
			return false;
		m = member_find(&at, key + 1, (size_t)(after - key) - 2);
		p += after + 1 - p;
		p = m != NULL ? plain_member(r, m, p, end, err) : NULL;
		if (p == NULL)
			return false;
		at++;
		next = *p;
		*p = '\0'; /* ends a value's bytes */
	}
	return next == '}' && p + 1 == end;
}

/* Any line, by way of a tree. */
static int
parse_any(struct arena *a, const char *line, size_t len, struct record *r, struct err *err)
{
	struct buf text = BUF_INIT(0);
	const struct member *m;
	struct value map;
	size_t at = 0;
	int rc;

	if (value_parse(a, line, len, &map, err) < 0)
		return -1;
	rc = map.kind == V_MAP ? 0 : err_set(err, ERR_REFUSED, "a record must be a map");
	for (uint32_t i = 0; rc == 0 && i < map.len; i++) {
		const struct pair *p = &map.pairs[i];

		m = member_find(&at, p->key, strlen(p->key));
		if (m == NULL) {
			rc = err_set(err, ERR_REFUSED, "unknown or misplaced member '%.40s' of a record", p->key);
		} else if (m->kind == M_VALUE) {
			buf_clear(&text);
			value_write(&text, &p->v);
			text_set(r, m, arena_strndup(a, text.p, text.len));
		} else {
			rc = member_set(r, m, &p->v, err);
		}
	}
	buf_done(&text);
	return rc;
}

int
record_parse(struct arena *a, const char *line, size_t len, struct record *ret, struct err *err)
{
	*ret = (struct record){ .type = REC_TYPES };
	if (!parse_plain(a, line, len, ret, err)) {
		*ret = (struct record){ .type = REC_TYPES };
		if (parse_any(a, line, len, ret, err) < 0)
			return -1;
	}
	return ret->type != REC_TYPES ? 0 : err_set(err, ERR_REFUSED, "a record without a type");
}

int
record_values(struct arena *a, struct record *r, struct err *err)
{
	for (size_t i = 0; i < countof(members); i++) {
		const struct member *m = &members[i];
		struct value *v;
		const char *text;

		if (m->kind != M_VALUE)
			continue;
		memcpy(&text, (const char *)r + m->text, sizeof(text));
		if (text == NULL)
			continue;
		v = arena_alloc(a, sizeof(*v));
		if (value_parse(a, text, strlen(text), v, err) < 0)
			return -1;
		memcpy((char *)r + m->at, &v, sizeof(v));
	}
	return 0;
}

void
record_show(struct buf *to, const struct record *r)
{
	char when[32];
	struct value v, file;

	buf_printf(to, "%s %s", clock_text(r->wall, when), record_type_name(r->type));
	for (size_t i = 0; i < countof(members); i++) {
		if (members[i].kind == M_TYPE || members[i].kind == M_WALL || !member_get(r, &members[i], &v))
			continue;
		if (members[i].kind == M_VALUE && member_get(r, &members[i + 1], &file))
			continue;
		buf_printf(to, " %s=", members[i].key);
		value_show(to, &v);
	}
}

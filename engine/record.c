/* SPDX-License-Identifier: Apache-2.0 */
/* Owns the one table of what a journal record is made of: writing, parsing and showing are loops over it. A
 * line is the canonical JSON of one map; the table is in the order of its keys, so a parse is a single merge of
 * two sorted lists. Values are left as the bytes they are: who folds a journal keeps bytes, and few look inside. Members that are zero or NULL are left out. A type or member that is not in the table is
 * refused, never skipped: only a newer version can have written it. */
#include "record.h"

#include <stddef.h>
#include <string.h>

#include "base/bytes8.h"
#include "base/clock.h"

enum member_kind { M_TYPE, M_TEXT, M_U32, M_U64, M_WALL, M_VALUE };

#define KEY_MAX 8
#define KEY_ROOM (2 + KEY_MAX - 1) /* what has to follow where a member begins; then there is the NUL behind the line */

struct member {
	char key[KEY_MAX];
	unsigned char len; /* of the key */
	enum member_kind kind;
	size_t at, text; /* text: of a value's bytes */
};

#define AT(m) offsetof(struct record, m)
#define KEY(k) k, sizeof(k) - 1

/* Each value is directly followed by the member that names its file. */
static const struct member members[] = {
	{ KEY("at"), M_WALL, AT(wall), 0 },
	{ KEY("body"), M_VALUE, AT(body), AT(body_text) },
	{ KEY("bodyf"), M_TEXT, AT(body_file), 0 },
	{ KEY("build"), M_TEXT, AT(build), 0 },
	{ KEY("cls"), M_TEXT, AT(class), 0 },
	{ KEY("code"), M_U32, AT(code), 0 },
	{ KEY("dig"), M_TEXT, AT(digest), 0 },
	{ KEY("done"), M_U64, AT(done), 0 },
	{ KEY("eff"), M_U32, AT(effect), 0 },
	{ KEY("ep"), M_U32, AT(epoch), 0 },
	{ KEY("file"), M_TEXT, AT(file), 0 },
	{ KEY("host"), M_TEXT, AT(host), 0 },
	{ KEY("kind"), M_TEXT, AT(kind), 0 },
	{ KEY("msg"), M_TEXT, AT(msg), 0 },
	{ KEY("next"), M_TEXT, AT(next), 0 },
	{ KEY("nonce"), M_TEXT, AT(nonce), 0 },
	{ KEY("ns"), M_U64, AT(ns), 0 },
	{ KEY("occ"), M_U32, AT(occ), 0 },
	{ KEY("of"), M_U64, AT(total), 0 },
	{ KEY("pre"), M_VALUE, AT(before), AT(before_text) },
	{ KEY("pref"), M_TEXT, AT(before_file), 0 },
	{ KEY("ref"), M_TEXT, AT(ref), 0 },
	{ KEY("says"), M_TEXT, AT(says), 0 },
	{ KEY("st"), M_TEXT, AT(status), 0 },
	{ KEY("step"), M_TEXT, AT(step), 0 },
	{ KEY("t"), M_TYPE, AT(type), 0 },
	{ KEY("tgt"), M_TEXT, AT(target), 0 },
	{ KEY("try"), M_U32, AT(attempt), 0 },
	{ KEY("unit"), M_TEXT, AT(unit), 0 },
	{ KEY("user"), M_TEXT, AT(user), 0 },
	{ KEY("val"), M_VALUE, AT(value), AT(value_text) },
	{ KEY("valf"), M_TEXT, AT(value_file), 0 },
	{ KEY("verb"), M_TEXT, AT(verb), 0 },
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

static bool
type_parse(const char *name, enum record_type *ret)
{
	for (size_t i = 0; i < REC_TYPES; i++)
		if (name[0] == type_names[i][0] && strcmp(name, type_names[i]) == 0) {
			*ret = (enum record_type)i;
			return true;
		}
	return false;
}

/* False: it is out of the member's range. */
static bool
number_set(struct record *r, const struct member *m, int64_t n)
{
	char *at = (char *)r + m->at;
	const uint64_t u64 = (uint64_t)n;
	const uint32_t u32 = (uint32_t)n;

	if (m->kind == M_WALL)
		memcpy(at, &n, sizeof(n));
	else if (m->kind == M_U64 && n >= 0)
		memcpy(at, &u64, sizeof(u64));
	else if (m->kind == M_U32 && n >= 0 && n <= UINT32_MAX)
		memcpy(at, &u32, sizeof(u32));
	else
		return false;
	return true;
}

/* at: of the record's member */
static void
text_set(struct record *r, size_t at, const char *text)
{
	memcpy((char *)r + at, &text, sizeof(text));
}

/* The member of this name at or after *m; NULL when there is none. */
static const struct member *
member_find(size_t *m, const char *key)
{
	while (*m < countof(members) && strcmp(members[*m].key, key) != 0)
		++*m;
	return *m < countof(members) ? &members[*m] : NULL;
}

/* As member_find, of the name that stands at p, where KEY_MAX bytes can be read. */
static const struct member *
member_at(size_t *m, const char *p)
{
	for (; *m < countof(members); ++*m) {
		const struct member *one = &members[*m];

		if (one->key[0] == *p && (bytes8(one->key) ^ bytes8(p)) << 8 * (KEY_MAX - one->len) == 0 && p[one->len] == '"')
			return one;
	}
	return NULL;
}

/* Read the member's value at p; returns its end, or NULL. */
static char *
plain_member(struct record *r, const struct member *m, char *p, const char *end)
{
	const char *after;
	int64_t n;

	switch (m->kind) {
	case M_VALUE:
		after = value_scan(p, end);
		text_set(r, m->text, p);
		break;
	case M_TEXT:
	case M_TYPE:
		after = value_scan_string(p, end);
		if (after == NULL)
			return NULL;
		p[after - p - 1] = '\0';
		if (m->kind == M_TEXT)
			text_set(r, m->at, p + 1);
		else if (!type_parse(p + 1, &r->type))
			return NULL;
		break;
	default:
		after = value_scan_int(p, end, &n);
		if (after == NULL || !number_set(r, m, n))
			return NULL;
	}
	return after != NULL ? p + (after - p) : NULL;
}

/* Set a member by its value in a tree. */
static int
member_set(struct arena *a, struct record *r, const struct member *m, const struct value *v, struct err *err)
{
	struct buf text = BUF_INIT(0);

	switch (m->kind) {
	case M_TYPE:
		if (v->kind == V_STRING && type_parse(v->s, &r->type))
			return 0;
		return err_set(err, ERR_REFUSED, "unknown record type '%.40s'; a newer wherry may have written it",
			       v->kind == V_STRING ? v->s : "?");
	case M_VALUE:
		value_write(&text, v);
		text_set(r, m->text, arena_strndup(a, text.p, text.len));
		buf_done(&text);
		return 0;
	case M_TEXT:
		if (v->kind != V_STRING || strlen(v->s) != v->len)
			break;
		text_set(r, m->at, v->s);
		return 0;
	default:
		if (v->kind != V_INT || !number_set(r, m, v->i))
			break;
		return 0;
	}
	return err_set(err, ERR_REFUSED, "member '%s' of a record cannot be %s", m->key, value_kind_text(v, (char[48]){ 0 }));
}

/* Cut up a line of plain members in place, in one pass and without a tree. False: it is not plain, or wrong; parse_any
 * judges that. */
static bool
parse_plain(struct arena *a, const char *line, size_t len, struct record *r)
{
	char *p = arena_strndup(a, line, len), *end = p + len, next = *p == '{' ? ',' : '\0';
	const struct member *m;
	size_t at = 0;

	while (next == ',') {
		if (end - p < KEY_ROOM || p[1] != '"')
			return false;
		m = member_at(&at, p + 2);
		if (m == NULL)
			return false;
		p += 2 + m->len;
		p = p[1] == ':' ? plain_member(r, m, p + 2, end) : NULL;
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
	const struct member *m;
	struct value map;
	size_t at = 0;

	if (value_parse(a, line, len, &map, err) < 0)
		return -1;
	if (map.kind != V_MAP)
		return err_set(err, ERR_REFUSED, "a record must be a map");
	for (uint32_t i = 0; i < map.len; i++) {
		m = member_find(&at, map.pairs[i].key);
		if (m == NULL)
			return err_set(err, ERR_REFUSED, "unknown or misplaced member '%.40s' of a record", map.pairs[i].key);
		if (member_set(a, r, m, &map.pairs[i].v, err) < 0)
			return -1;
	}
	return 0;
}

int
record_parse(struct arena *a, const char *line, size_t len, struct record *ret, struct err *err)
{
	*ret = (struct record){ .type = REC_TYPES };
	if (!parse_plain(a, line, len, ret)) {
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

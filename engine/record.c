/* SPDX-License-Identifier: Apache-2.0 */
/* Owns the one table of what a journal record is made of: writing, parsing and showing are loops over it. A
 * line is the canonical JSON of one map; the table is in the order of its keys, so a parse is a single merge of
 * two sorted lists. Members that are zero or NULL are left out. A type or member that is not in the table is
 * refused, never skipped: only a newer version can have written it. */
#include "record.h"

#include <stddef.h>
#include <string.h>

#include "base/clock.h"

enum member_kind { M_TYPE, M_TEXT, M_U32, M_U64, M_WALL, M_VALUE };

struct member {
	const char *key;
	enum member_kind kind;
	size_t at;
};

#define AT(m) offsetof(struct record, m)

/* Each value is directly followed by the member that names its file. */
static const struct member members[] = {
	{ "at", M_WALL, AT(wall) },
	{ "body", M_VALUE, AT(body) },
	{ "bodyf", M_TEXT, AT(body_file) },
	{ "build", M_TEXT, AT(build) },
	{ "cls", M_TEXT, AT(class) },
	{ "code", M_U32, AT(code) },
	{ "dig", M_TEXT, AT(digest) },
	{ "done", M_U64, AT(done) },
	{ "eff", M_U32, AT(effect) },
	{ "ep", M_U32, AT(epoch) },
	{ "file", M_TEXT, AT(file) },
	{ "host", M_TEXT, AT(host) },
	{ "kind", M_TEXT, AT(kind) },
	{ "msg", M_TEXT, AT(msg) },
	{ "next", M_TEXT, AT(next) },
	{ "nonce", M_TEXT, AT(nonce) },
	{ "ns", M_U64, AT(ns) },
	{ "occ", M_U32, AT(occ) },
	{ "of", M_U64, AT(total) },
	{ "pre", M_VALUE, AT(before) },
	{ "pref", M_TEXT, AT(before_file) },
	{ "ref", M_TEXT, AT(ref) },
	{ "says", M_TEXT, AT(says) },
	{ "st", M_TEXT, AT(status) },
	{ "step", M_TEXT, AT(step) },
	{ "t", M_TYPE, AT(type) },
	{ "tgt", M_TEXT, AT(target) },
	{ "try", M_U32, AT(attempt) },
	{ "unit", M_TEXT, AT(unit) },
	{ "user", M_TEXT, AT(user) },
	{ "val", M_VALUE, AT(value) },
	{ "valf", M_TEXT, AT(value_file) },
	{ "verb", M_TEXT, AT(verb) },
};

static const char *const type_names[REC_TYPES] = {
	[REC_OPEN] = "open",       [REC_RESUME] = "resume",   [REC_TARGET] = "target", [REC_START] = "start",
	[REC_INTENT] = "intent",   [REC_SETTLED] = "settled", [REC_UNKNOWN] = "unknown", [REC_CURSOR] = "cursor",
	[REC_NOTE] = "note",       [REC_RETRY] = "retry",     [REC_END] = "end",       [REC_RESOLVE] = "resolve",
	[REC_PAUSE] = "pause",     [REC_CLOSE] = "close",     [REC_REOPEN] = "reopen", [REC_TAIL] = "tail",
	[REC_DOUBT] = "doubt",
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
		if (strcmp(v->s, type_names[i]) == 0) {
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
		memcpy(at, &v, sizeof(v));
		return 0;
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

int
record_parse(struct arena *a, const char *line, size_t len, struct record *ret, struct err *err)
{
	struct value *map = arena_alloc(a, sizeof(*map));
	struct record r = { .type = REC_TYPES };
	size_t m = 0;

	if (value_parse(a, line, len, map, err) < 0)
		return -1;
	if (map->kind != V_MAP)
		return err_set(err, ERR_REFUSED, "a record must be a map");
	for (uint32_t i = 0; i < map->len; i++) {
		const struct pair *p = &map->pairs[i];

		while (m < countof(members) && strcmp(members[m].key, p->key) < 0)
			m++;
		if (m == countof(members) || strcmp(members[m].key, p->key) != 0)
			return err_set(err, ERR_REFUSED, "unknown or misplaced member '%.40s' of a record", p->key);
		if (member_set(&r, &members[m], &p->v, err) < 0)
			return -1;
	}
	if (r.type == REC_TYPES)
		return err_set(err, ERR_REFUSED, "a record without a type");
	*ret = r;
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

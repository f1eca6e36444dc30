/* SPDX-License-Identifier: Apache-2.0 */
/* One strict RFC 8259 parser for our own canonical bytes (with tags) and for foreign JSON (without). It is our own and
 * not json-c because json-c 0.16 takes duplicate keys, NaN and single quotes, and clamps large integers, even when
 * told to be strict; and because replaying a journal wants one pass straight into an arena. */
#include "value.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/text.h"
#include "value_int.h"

/* Foreign depth is capped at VALUE_MAX_DEPTH; our own records wrap trees that a plan already nested in one another. */
#define OWN_MAX_DEPTH (4 * VALUE_MAX_DEPTH)

struct parser {
	struct arena *a;
	const char *start, *p, *end;
	bool tags;
	struct pair *stack; /* members of the open lists and maps */
	size_t used, cap;
	struct err *err;
};

static int parse_value(struct parser *ps, unsigned depth, struct value *ret);

static int
bad(struct parser *ps, const char *what)
{
	return err_set(ps->err, ps->tags ? ERR_REFUSED : ERR_FAILED, "bad JSON at byte %zu: %s",
		       (size_t)(ps->p - ps->start), what);
}

static void
skip_blanks(struct parser *ps)
{
	while (ps->p < ps->end && (*ps->p == ' ' || *ps->p == '\n' || *ps->p == '\t' || *ps->p == '\r'))
		ps->p++;
}

static bool
accept(struct parser *ps, char c)
{
	skip_blanks(ps);
	if (ps->p == ps->end || *ps->p != c)
		return false;
	ps->p++;
	return true;
}

static struct pair *
push(struct parser *ps)
{
	if (ps->used == ps->cap) {
		ps->cap = ps->cap ? ps->cap * 2 : 64;
		ps->stack = xreallocarray(ps->stack, ps->cap, sizeof(*ps->stack));
	}
	return &ps->stack[ps->used++];
}

static int
parse_hex4(struct parser *ps, uint32_t *ret)
{
	unsigned char b[2];

	if (ps->end - ps->p < 4 || hex_decode(ps->p, 4, b) < 0)
		return bad(ps, "\\u takes four hex digits");
	ps->p += 4;
	*ret = (uint32_t)b[0] << 8 | b[1];
	return 0;
}

static size_t
utf8_put(char *to, uint32_t c)
{
	if (c < 0x80) {
		to[0] = (char)c;
		return 1;
	}
	if (c < 0x800) {
		to[0] = (char)(0xc0 | c >> 6);
		to[1] = (char)(0x80 | (c & 0x3f));
		return 2;
	}
	if (c < 0x10000) {
		to[0] = (char)(0xe0 | c >> 12);
		to[1] = (char)(0x80 | (c >> 6 & 0x3f));
		to[2] = (char)(0x80 | (c & 0x3f));
		return 3;
	}
	to[0] = (char)(0xf0 | c >> 18);
	to[1] = (char)(0x80 | (c >> 12 & 0x3f));
	to[2] = (char)(0x80 | (c >> 6 & 0x3f));
	to[3] = (char)(0x80 | (c & 0x3f));
	return 4;
}

/* After a backslash: append the character at to, which has room for it, since no escape is shorter than its bytes. */
static int
parse_escape(struct parser *ps, char **to)
{
	static const char names[] = "\"\\/bfnrt", codes[] = "\"\\/\b\f\n\r\t";
	const char *at;
	uint32_t c = 0, low = 0;

	if (ps->p == ps->end)
		return bad(ps, "the string does not end");
	if (*ps->p != 'u') {
		at = *ps->p != '\0' ? strchr(names, *ps->p) : NULL;
		if (at == NULL)
			return bad(ps, "unknown escape");
		ps->p++;
		*(*to)++ = codes[at - names];
		return 0;
	}
	ps->p++;
	if (parse_hex4(ps, &c) < 0)
		return -1;
	if (c >= 0xd800 && c < 0xdc00 && ps->end - ps->p >= 6 && ps->p[0] == '\\' && ps->p[1] == 'u') {
		ps->p += 2;
		if (parse_hex4(ps, &low) < 0)
			return -1;
		if (low < 0xdc00 || low > 0xdfff)
			return bad(ps, "half of a surrogate pair");
		c = 0x10000 + ((c - 0xd800) << 10 | (low - 0xdc00));
	} else if (c >= 0xd800 && c < 0xe000) {
		return bad(ps, "half of a surrogate pair");
	}
	*to += utf8_put(*to, c);
	return 0;
}

/* From after the opening quote to after the closing one; NUL-terminated in the arena. */
static int
parse_string(struct parser *ps, const char **ret, size_t *ret_len)
{
	const char *start = ps->p, *run;
	size_t raw = 0, checked;
	char *to, *s;

	while (start + raw < ps->end && start[raw] != '"')
		raw += start[raw] == '\\' ? 2 : 1;
	if (start + raw >= ps->end)
		return bad(ps, "the string does not end");
	checked = utf8_check(start, raw);
	if (checked != raw) {
		ps->p = start + checked;
		return bad(ps, "not UTF-8");
	}
	s = to = arena_alloc(ps->a, raw + 1);
	while (ps->p < start + raw) {
		for (run = ps->p; ps->p < start + raw && *ps->p != '\\'; ps->p++)
			if ((unsigned char)*ps->p < 0x20)
				return bad(ps, "a control character inside a string");
		memcpy(to, run, (size_t)(ps->p - run));
		to += ps->p - run;
		if (ps->p == start + raw)
			break;
		ps->p++;
		if (parse_escape(ps, &to) < 0)
			return -1;
	}
	ps->p++;
	*ret = s;
	*ret_len = (size_t)(to - s);
	return 0;
}

static size_t
skip_digits(struct parser *ps)
{
	const char *from = ps->p;

	while (ps->p < ps->end && *ps->p >= '0' && *ps->p <= '9')
		ps->p++;
	return (size_t)(ps->p - from);
}

/* The number between from and ps->p, whose form has been checked. Integers outside int64 become numbers. */
static int
convert_number(struct parser *ps, const char *from, bool whole, struct value *ret)
{
	size_t len = (size_t)(ps->p - from);
	char small[48], *text = small;
	double n;

	/* strtod needs a NUL, and the input need not have one. */
	if (len >= sizeof(small))
		text = xmalloc(len + 1);
	memcpy(text, from, len);
	text[len] = '\0';
	if (whole) {
		errno = 0;
		*ret = value_int(strtoll(text, NULL, 10));
	}
	if (!whole || errno == ERANGE) {
		n = strtod(text, NULL);
		*ret = value_number(n);
	}
	if (text != small)
		free(text);
	if (ret->kind == V_NUMBER && !isfinite(ret->n))
		return bad(ps, "the number is too large");
	return 0;
}

static int
parse_number(struct parser *ps, struct value *ret)
{
	const char *from = ps->p;
	bool whole = true;

	if (*ps->p == '-')
		ps->p++;
	if (ps->p < ps->end && *ps->p == '0')
		ps->p++;
	else if (skip_digits(ps) == 0)
		return bad(ps, "not a value");
	if (ps->p < ps->end && *ps->p == '.') {
		whole = false;
		ps->p++;
		if (skip_digits(ps) == 0)
			return bad(ps, "no digit after the dot");
	}
	if (ps->p < ps->end && (*ps->p == 'e' || *ps->p == 'E')) {
		whole = false;
		ps->p++;
		if (ps->p < ps->end && (*ps->p == '+' || *ps->p == '-'))
			ps->p++;
		if (skip_digits(ps) == 0)
			return bad(ps, "no digit in the exponent");
	}
	return convert_number(ps, from, whole, ret);
}

static int
parse_word(struct parser *ps, const char *word, struct value v, struct value *ret)
{
	size_t len = strlen(word);

	if ((size_t)(ps->end - ps->p) < len || memcmp(ps->p, word, len) != 0)
		return bad(ps, "not a value");
	ps->p += len;
	*ret = v;
	return 0;
}

static int
parse_list(struct parser *ps, unsigned depth, struct value *ret)
{
	size_t base = ps->used, n;
	struct value *items, item;

	if (!accept(ps, ']')) {
		do {
			if (parse_value(ps, depth, &item) < 0)
				return -1;
			push(ps)->v = item;
		} while (accept(ps, ','));
		if (!accept(ps, ']'))
			return bad(ps, "expected ',' or ']'");
	}
	n = ps->used - base;
	items = arena_array(ps->a, n, sizeof(*items));
	for (size_t i = 0; i < n; i++)
		items[i] = ps->stack[base + i].v;
	ps->used = base;
	*ret = value_list(items, n);
	return 0;
}

/* In tagged bytes "$$x" is the key "$x" and "$bytes:…" a key that is not UTF-8. */
static int
untag_key(struct parser *ps, const char **key, size_t *len)
{
	static const char prefix[] = "$bytes:";
	struct buf b = BUF_INIT(0);
	int rc = 0;

	if ((*key)[0] != '$')
		return 0;
	if ((*key)[1] == '$') {
		(*key)++;
		(*len)--;
	} else if (strncmp(*key, prefix, strlen(prefix)) == 0) {
		rc = base64_decode(&b, *key + strlen(prefix), *len - strlen(prefix));
		if (rc == 0) {
			*key = arena_strndup(ps->a, b.p, b.len);
			*len = b.len;
		}
		buf_done(&b);
	} else {
		rc = -1;
	}
	return rc < 0 ? bad(ps, "unknown tag") : 0;
}

/* The value of {"$name":"text"}. */
static int
untag(struct parser *ps, const char *name, const char *text, size_t len, struct value *ret)
{
	struct buf b = BUF_INIT(0);
	struct secret *s;

	if (strcmp(name, "$unknown") == 0) {
		*ret = value_unknown(text);
	} else if (strcmp(name, "$secret") == 0) {
		s = arena_alloc(ps->a, sizeof(*s));
		s->where = text;
		*ret = value_secret(s);
	} else if (strcmp(name, "$bytes") == 0) {
		if (base64_decode(&b, text, len) < 0) {
			buf_done(&b);
			return bad(ps, "$bytes is not base64");
		}
		*ret = value_strn(arena_strndup(ps->a, b.p, b.len), b.len);
		buf_done(&b);
	} else {
		return bad(ps, "unknown tag");
	}
	return 0;
}

static bool
has_duplicate(const struct value *map)
{
	struct order o;
	bool found = false;

	order_init(&o, map);
	for (uint32_t i = 1; !found && i < map->len; i++)
		found = strcmp(o.p[i - 1]->key, o.p[i]->key) == 0;
	order_done(&o);
	return found;
}

static int
close_map(struct parser *ps, size_t base, struct value *ret)
{
	size_t n = ps->used - base;
	struct pair *pairs = arena_array(ps->a, n, sizeof(*pairs));

	if (n > 0)
		memcpy(pairs, ps->stack + base, n * sizeof(*pairs));
	ps->used = base;
	*ret = value_map(pairs, n);
	return has_duplicate(ret) ? bad(ps, "a key stands twice in the map before this place") : 0;
}

/* One pair onto the stack; 1 when the map was a tag and is now *ret. */
static int
parse_pair(struct parser *ps, unsigned depth, bool first, struct value *ret)
{
	const char *key, *text;
	size_t len, text_len;
	struct value v;
	struct pair *p;

	if (!accept(ps, '"'))
		return bad(ps, "expected a key in double quotes");
	if (parse_string(ps, &key, &len) < 0)
		return -1;
	if (!accept(ps, ':'))
		return bad(ps, "expected ':'");
	if (ps->tags && first && key[0] == '$' && key[1] != '$' && strchr(key, ':') == NULL) {
		if (!accept(ps, '"'))
			return bad(ps, "unknown tag");
		if (parse_string(ps, &text, &text_len) < 0 || untag(ps, key, text, text_len, ret) < 0)
			return -1;
		return accept(ps, '}') ? 1 : bad(ps, "a tag stands alone");
	}
	if (ps->tags && untag_key(ps, &key, &len) < 0)
		return -1;
	if (memchr(key, '\0', len) != NULL)
		return bad(ps, "a key holds NUL");
	if (parse_value(ps, depth, &v) < 0)
		return -1;
	p = push(ps);
	p->key = key;
	p->v = v;
	return 0;
}

static int
parse_map(struct parser *ps, unsigned depth, struct value *ret)
{
	size_t base = ps->used;
	int rc;

	if (!accept(ps, '}')) {
		do {
			rc = parse_pair(ps, depth, ps->used == base, ret);
			if (rc != 0)
				return rc < 0 ? -1 : 0;
		} while (accept(ps, ','));
		if (!accept(ps, '}'))
			return bad(ps, "expected ',' or '}'");
	}
	return close_map(ps, base, ret);
}

static int
parse_value(struct parser *ps, unsigned depth, struct value *ret)
{
	const char *s;
	size_t len;

	skip_blanks(ps);
	if (ps->p == ps->end)
		return bad(ps, "it ends too early");
	switch (*ps->p) {
	case '{':
	case '[':
		if (depth == (ps->tags ? OWN_MAX_DEPTH : VALUE_MAX_DEPTH))
			return bad(ps, "nested too deeply");
		return *ps->p++ == '{' ? parse_map(ps, depth + 1, ret) : parse_list(ps, depth + 1, ret);
	case '"':
		ps->p++;
		if (parse_string(ps, &s, &len) < 0)
			return -1;
		*ret = value_strn(s, len);
		return 0;
	case 't':
		return parse_word(ps, "true", value_bool(true), ret);
	case 'f':
		return parse_word(ps, "false", value_bool(false), ret);
	case 'n':
		return parse_word(ps, "null", VALUE_NULL, ret);
	default:
		return parse_number(ps, ret);
	}
}

static int
parse(struct arena *a, const char *p, size_t len, bool tags, struct value *ret, struct err *err)
{
	struct parser ps = { .a = a, .start = p, .p = p, .end = p + len, .tags = tags, .err = err };
	struct value v;
	int rc = -1;

	if (len > UINT32_MAX)
		(void)bad(&ps, "over 4 GiB");
	else
		rc = parse_value(&ps, 0, &v);
	if (rc == 0) {
		skip_blanks(&ps);
		if (ps.p != ps.end)
			rc = bad(&ps, "more after the value");
	}
	if (rc == 0)
		*ret = v;
	free(ps.stack);
	return rc;
}

int
value_parse(struct arena *a, const char *p, size_t len, struct value *ret, struct err *err)
{
	return parse(a, p, len, true, ret, err);
}

int
value_parse_json(struct arena *a, const char *p, size_t len, struct value *ret, struct err *err)
{
	return parse(a, p, len, false, ret, err);
}

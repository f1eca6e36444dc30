/* SPDX-License-Identifier: Apache-2.0 */
/* Owns the quick look at canonical bytes: it walks over a value without building one. It knows the plain forms, which are
 * nearly all that a journal holds; whatever else stands there (an escape, a tag, a fraction, no canonical bytes at all)
 * it leaves to value_parse, and so it never has to refuse anything. */
#include <string.h>

#include "base/bytes8.h"
#include "value.h"

#define PLAIN_DEPTH 16
#define PLAIN_DIGITS 18 /* always in the range of an int64_t */

/* May all eight bytes stand in a plain string? The quote that ends it may not. Each sum has its mark, the highest bit of a byte,
 * where that byte is good; only a byte that has the mark itself could carry into the next, and is no good anyway. */
static bool
all_plain(uint64_t word)
{
	const uint64_t marks = EACH_BYTE(0x80), not_last = EACH_BYTE(0x7f);

	return ((word + (marks - EACH_BYTE(' '))) & ((word ^ not_last) + not_last) & ((word ^ EACH_BYTE('"')) + not_last) &
		((word ^ EACH_BYTE('\\')) + not_last) & ~word & marks) == marks;
}

const char *
value_scan_string(const char *p, const char *end)
{
	if (p == end || *p != '"')
		return NULL;
	for (p++; end - p >= 8 && all_plain(bytes8(p)); p += 8)
		;
	for (; p < end && *p != '"'; p++)
		if ((unsigned char)*p < 0x20 || (unsigned char)*p >= 0x7f || *p == '\\')
			return NULL;
	return p < end ? p + 1 : NULL;
}

const char *
value_scan_int(const char *p, const char *end, int64_t *ret)
{
	const bool minus = p < end && *p == '-';
	const char *from = p += minus;
	uint64_t n = 0;

	if (end - p >= 8 && bytes8_digits(bytes8(p), 8, &n))
		p += 8;
	for (; p < end && *p >= '0' && *p <= '9'; p++)
		n = n * 10 + (unsigned char)(*p - '0');
	if (p == from || p - from > PLAIN_DIGITS || (*from == '0' && (minus || p - from > 1)))
		return NULL;
	if (p < end && (*p == '.' || *p == 'e' || *p == 'E'))
		return NULL;
	*ret = minus ? -(int64_t)n : (int64_t)n;
	return p;
}

static const char *
scan_word(const char *p, const char *end, const char *word)
{
	const size_t len = strlen(word);

	return (size_t)(end - p) >= len && memcmp(p, word, len) == 0 ? p + len : NULL;
}

/* After the key that stood at last (NULL: none): the ':' behind the next one, which must follow it and be no tag. */
static const char *
scan_key(const char *p, const char *end, struct bytes *last)
{
	const char *after = value_scan_string(p, end);
	struct bytes key;

	if (after == NULL || after == end || *after != ':' || p[1] == '$')
		return NULL;
	key = (struct bytes){ p + 1, (size_t)(after - p) - 2 };
	if (last->p != NULL && bytes_cmp(*last, key) >= 0)
		return NULL;
	*last = key;
	return after + 1;
}

static const char *
scan_value(const char *p, const char *end, unsigned depth)
{
	struct bytes last = { 0 };
	int64_t number;
	char close;

	if (p == end || depth == PLAIN_DEPTH)
		return NULL;
	switch (*p) {
	case '"':
		return value_scan_string(p, end);
	case 'n':
		return scan_word(p, end, "null");
	case 't':
		return scan_word(p, end, "true");
	case 'f':
		return scan_word(p, end, "false");
	case '[':
	case '{':
		close = *p == '[' ? ']' : '}';
		if (p + 1 < end && p[1] == close)
			return p + 2;
		do {
			p++;
			if (close == '}')
				p = scan_key(p, end, &last);
			if (p != NULL)
				p = scan_value(p, end, depth + 1);
		} while (p != NULL && p < end && *p == ',');
		return p != NULL && p < end && *p == close ? p + 1 : NULL;
	default:
		return value_scan_int(p, end, &number);
	}
}

const char *
value_scan(const char *p, const char *end)
{
	return scan_value(p, end, 0);
}

int
value_canonical(struct arena *a, const char *p, size_t len, const char **ret, struct err *err)
{
	struct buf b = BUF_INIT(0);
	struct value v;

	if (len > 0 && value_scan(p, p + len) == p + len) {
		*ret = arena_strndup(a, p, len);
		return 0;
	}
	if (value_parse(a, p, len, &v, err) < 0)
		return -1;
	value_write(&b, &v);
	*ret = arena_strndup(a, b.p, b.len);
	buf_done(&b);
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Owns what text means: which bytes are UTF-8, which characters may reach a terminal, how sizes and durations are
 * written, and which name a typing error meant. Escaping never fails and never lets a control character through. */
#include "base/text.h"

#include "base/clock.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WORD_MAX 64 /* longer words get no suggestion */

/* Length of the character at s and its code point; 0 when it is not valid. */
static size_t
decode(const unsigned char *s, size_t len, uint32_t *ret_cp)
{
	static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
	size_t n = s[0] < 0x80 ? 1 : s[0] < 0xC2 ? 0 : s[0] < 0xE0 ? 2 : s[0] < 0xF0 ? 3 : s[0] < 0xF5 ? 4 : 0;
	uint32_t cp;

	if (n == 0 || n > len)
		return 0;
	cp = n == 1 ? s[0] : s[0] & (0x7FU >> n);
	for (size_t i = 1; i < n; i++) {
		if ((s[i] & 0xC0) != 0x80)
			return 0;
		cp = cp << 6 | (s[i] & 0x3F);
	}
	if (cp < least[n] || (cp >= 0xD800 && cp <= 0xDFFF) || cp > 0x10FFFF)
		return 0;
	*ret_cp = cp;
	return n;
}

size_t
utf8_check(const void *p, size_t len)
{
	const unsigned char *s = p;
	uint64_t word;
	uint32_t cp;
	size_t at = 0, n;

	while (at < len) {
		if (len - at >= sizeof(word)) {
			memcpy(&word, s + at, sizeof(word));
			if ((word & UINT64_C(0x8080808080808080)) == 0) {
				at += sizeof(word);
				continue;
			}
		}
		n = decode(s + at, len - at, &cp);
		if (n == 0)
			return at;
		at += n;
	}
	return len;
}

/* Characters that draw nothing, reorder what is around them or end a line. */
static bool
is_hidden(uint32_t cp)
{
	static const struct {
		uint32_t from, to;
	} ranges[] = {
		{ 0x00, 0x1F },     { 0x7F, 0x9F },     { 0x61C, 0x61C },   { 0x200B, 0x200F },   { 0x2028, 0x202E },
		{ 0x2060, 0x206F }, { 0xFEFF, 0xFEFF }, { 0xFFF9, 0xFFFB }, { 0xE0000, 0xE007F },
	};

	for (size_t i = 0; i < countof(ranges) && cp >= ranges[i].from; i++)
		if (cp <= ranges[i].to)
			return true;
	return false;
}

/* What to show for the character at s: its own bytes or an escape in tmp. Returns the bytes of s it stands for. */
static size_t
show(const unsigned char *s, size_t len, char tmp[16], struct bytes *ret)
{
	uint32_t cp = 0;
	size_t n = decode(s, len, &cp);

	*ret = (struct bytes){ s, n };
	if (n > 0 && !is_hidden(cp))
		return n;
	if (n == 0)
		(void)snprintf(tmp, 16, "\\x%02x", s[0]);
	else if (cp == '\n' || cp == '\t' || cp == '\r')
		(void)snprintf(tmp, 16, "\\%c", cp == '\n' ? 'n' : cp == '\t' ? 't' : 'r');
	else if (cp < 0x80)
		(void)snprintf(tmp, 16, "\\x%02x", (unsigned)cp);
	else
		(void)snprintf(tmp, 16, "\\u{%04x}", (unsigned)cp);
	*ret = (struct bytes){ tmp, strlen(tmp) };
	return n > 0 ? n : 1;
}

/* Append the escaped text; characters of `keep` pass, and nothing goes over `max` bytes. Returns how much was used. */
static size_t
escape(struct buf *to, const unsigned char *s, size_t len, const char *keep, size_t max)
{
	size_t start = to->len, at = 0, n, plain;
	struct bytes shown;
	char tmp[16];

	while (at < len) {
		for (plain = at; plain < len && s[plain] >= ' ' && s[plain] < 0x7F; plain++)
			;
		n = plain - at;
		shown = (struct bytes){ s + at, n };
		if (n > max - (to->len - start))
			shown.len = n = max - (to->len - start);
		else if (n == 0 && s[at] != '\0' && strchr(keep, s[at]) != NULL)
			shown.len = n = 1;
		else if (n == 0)
			n = show(s + at, len - at, tmp, &shown);
		if (n == 0 || shown.len > max - (to->len - start))
			return at;
		buf_put(to, shown.p, shown.len);
		if (to->failed)
			return at;
		at += n;
	}
	return at;
}

void
text_escape(struct buf *to, const void *p, size_t len)
{
	(void)escape(to, p, len, "", SIZE_MAX / 2);
}

void
text_escape_lines(struct buf *to, const void *p, size_t len)
{
	(void)escape(to, p, len, "\n\t", SIZE_MAX / 2);
}

const char *
text_safe(struct arena *a, const void *p, size_t len, size_t max)
{
	struct buf b = BUF_INIT(0);
	const char *s;

	if (escape(&b, p, len, "", max ? max : SIZE_MAX / 2) < len)
		buf_puts(&b, "…");
	s = arena_strndup(a, b.p, b.len);
	buf_done(&b);
	return s;
}

/* Read decimal digits; -1 when there are none or the number is over 10^15. */
static int
read_number(const char **s, int64_t *ret)
{
	const char *p = *s;
	int64_t n = 0;

	for (; *p >= '0' && *p <= '9'; p++) {
		n = n * 10 + (*p - '0');
		if (n > INT64_C(1000000000000000))
			return -1;
	}
	if (p == *s)
		return -1;
	*s = p;
	*ret = n;
	return 0;
}

/* Largest first: a duration names each at most once, in this order. */
static const struct {
	const char *name;
	int64_t ns;
} duration_units[] = {
	{ "d", 86400 * NS_PER_S }, { "h", 3600 * NS_PER_S }, { "m", 60 * NS_PER_S }, { "s", NS_PER_S }, { "ms", NS_PER_MS },
};

int
duration_parse(const char *s, int64_t *ret_ns)
{
	const int64_t most = 3653 * 86400 * NS_PER_S;
	int64_t total = 0, n;
	size_t unit = 0, len;

	do {
		if (read_number(&s, &n) < 0)
			return -1;
		len = strspn(s, "dhms");
		while (unit < countof(duration_units) && (strlen(duration_units[unit].name) != len ||
							  strncmp(duration_units[unit].name, s, len) != 0))
			unit++;
		if (unit == countof(duration_units) || n > (most - total) / duration_units[unit].ns)
			return -1;
		total += n * duration_units[unit++].ns;
		s += len;
	} while (*s != '\0');
	*ret_ns = total;
	return 0;
}

int
size_parse(const char *s, int64_t *ret)
{
	static const struct {
		const char *name;
		int64_t bytes;
	} units[] = {
		{ "", 1 },           { "B", 1 },           { "kB", 1000 },       { "KB", 1000 },
		{ "MB", 1000000 },   { "GB", 1000000000 }, { "TB", INT64_C(1000000000000) },
		{ "KiB", 1 << 10 },  { "MiB", 1 << 20 },   { "GiB", 1 << 30 },   { "TiB", INT64_C(1) << 40 },
	};
	int64_t whole, part = 0, scale = 1, total;
	const char *start;

	if (read_number(&s, &whole) < 0)
		return -1;
	if (*s == '.') {
		start = ++s;
		if (read_number(&s, &part) < 0 || s - start > 6)
			return -1;
		for (; start < s; start++)
			scale *= 10;
	}
	for (size_t i = 0; i < countof(units); i++) {
		if (strcmp(units[i].name, s) != 0)
			continue;
		/* A fraction must come out in whole bytes or at least in a unit that has parts. */
		if ((scale > 1 && units[i].bytes == 1) || __builtin_mul_overflow(whole, units[i].bytes, &total) ||
		    __builtin_add_overflow(total, part * units[i].bytes / scale, &total))
			return -1;
		*ret = total;
		return 0;
	}
	return -1;
}

const char *
duration_text(int64_t ns, char ret[32])
{
	size_t unit = 0;
	int64_t n, rest;

	if (ns < NS_PER_S) {
		(void)snprintf(ret, 32, "%dms", ns > 0 ? (int)(ns / NS_PER_MS) : 0);
		return ret;
	}
	if (ns < 10 * NS_PER_S) {
		(void)snprintf(ret, 32, "%d.%ds", (int)(ns / NS_PER_S), (int)(ns % NS_PER_S / (NS_PER_S / 10)));
		return ret;
	}
	while (ns < duration_units[unit].ns)
		unit++;
	n = ns / duration_units[unit].ns;
	/* Two units say enough; under a second there is nothing to add here. */
	rest = duration_units[unit].ns > NS_PER_S ? ns % duration_units[unit].ns / duration_units[unit + 1].ns : 0;
	if (rest > 0)
		(void)snprintf(ret, 32, "%d%s%d%s", (int)n, duration_units[unit].name, (int)rest,
			       duration_units[unit + 1].name);
	else
		(void)snprintf(ret, 32, "%d%s", (int)n, duration_units[unit].name);
	return ret;
}

const char *
size_text(uint64_t bytes, char ret[32])
{
	static const char *const units[] = { "KiB", "MiB", "GiB", "TiB", "PiB", "EiB" };
	double n = (double)bytes / 1024;
	size_t unit = 0;

	if (bytes < 1024) {
		(void)snprintf(ret, 32, "%u B", (unsigned)bytes);
		return ret;
	}
	for (; n >= 1023.95 && unit + 1 < countof(units); unit++)
		n /= 1024;
	(void)snprintf(ret, 32, "%.1f %s", n, units[unit]);
	return ret;
}

/* Edits (insert, delete, replace, swap neighbours) between two words of at most WORD_MAX bytes. */
static size_t
distance(const char *a, size_t a_len, const char *b, size_t b_len)
{
	size_t rows[3][WORD_MAX + 1];
	size_t *before = rows[0], *above = rows[1], *row = rows[2], *spare, best;

	for (size_t j = 0; j <= b_len; j++)
		before[j] = above[j] = j;
	for (size_t i = 1; i <= a_len; i++) {
		row[0] = i;
		for (size_t j = 1; j <= b_len; j++) {
			best = above[j - 1] + (a[i - 1] != b[j - 1]);
			if (best > above[j] + 1)
				best = above[j] + 1;
			if (best > row[j - 1] + 1)
				best = row[j - 1] + 1;
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] && best > before[j - 2] + 1)
				best = before[j - 2] + 1;
			row[j] = best;
		}
		spare = before;
		before = above;
		above = row;
		row = spare;
	}
	return above[b_len];
}

const char *
text_nearest(const char *word, const char *const *names, size_t n)
{
	size_t len = strlen(word), best = (len / 3 > 1 ? len / 3 : 1) + 1, d, name_len;
	const char *found = NULL, *prefix = NULL;

	if (len < 2 || len > WORD_MAX)
		return NULL;
	for (size_t i = 0; i < n; i++) {
		name_len = strlen(names[i]);
		if (prefix == NULL && strncmp(names[i], word, len) == 0)
			prefix = names[i];
		if (name_len > WORD_MAX)
			continue;
		d = distance(word, len, names[i], name_len);
		if (d < best) {
			best = d;
			found = names[i];
		}
	}
	return found != NULL ? found : prefix;
}

bool
text_is_name(const char *s, size_t len)
{
	if (len == 0 || len > 63)
		return false;
	for (size_t i = 0; i < len; i++) {
		bool letter = (s[i] >= 'A' && s[i] <= 'Z') || (s[i] >= 'a' && s[i] <= 'z');

		if (!letter && (i == 0 || !((s[i] >= '0' && s[i] <= '9') || s[i] == '_' || s[i] == '-')))
			return false;
	}
	return true;
}

void
text_shell_word(struct buf *to, const char *s, size_t len)
{
	static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_@%+=:,./-";

	if (len > 0 && strspn(s, plain) == len) {
		buf_put(to, s, len);
		return;
	}
	buf_putc(to, '\'');
	for (size_t i = 0; i < len; i++) {
		if (s[i] == '\'')
			buf_puts(to, "'\\''");
		else
			buf_putc(to, s[i]);
	}
	buf_putc(to, '\'');
}

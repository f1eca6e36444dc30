/* SPDX-License-Identifier: Apache-2.0 */
/* Owns every way a value becomes bytes: canonical (journal), shown (people), digested, and clear (a server). One writer
 * serves all four, so that a secret can only leave through the one case that writes it. Characters that could act on a terminal are
 * escaped in canonical bytes too, because people read journals with less. */
#include "value.h"

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/text.h"
#include "value_int.h"

enum style { CANONICAL, SHOWN, DIGESTED, CLEAR };

struct writer {
	struct buf *to;
	enum style style;
	struct bytes key; /* DIGESTED: of the HMAC that stands for a secret */
};

static void
write_int(struct buf *to, int64_t i)
{
	char text[24], *p = text + sizeof(text);
	uint64_t u = i < 0 ? -(uint64_t)i : (uint64_t)i;

	do
		*--p = (char)('0' + u % 10);
	while ((u /= 10) > 0);
	if (i < 0)
		*--p = '-';
	buf_put(to, p, (size_t)(text + sizeof(text) - p));
}

/* The fewest digits that read back as the same double, always with a dot or an exponent, so that it stays a number. */
static void
write_number(struct buf *to, double n)
{
	char text[40];
	/* 15 digits survive any normal double, so %g finds the shortest there; below DBL_MIN fewer may do. */
	int digits = fabs(n) < DBL_MIN ? 1 : 15;

	if (!isfinite(n)) { /* JSON has none; parsers and expressions refuse them at the door */
		buf_puts(to, "null");
		return;
	}
	do
		(void)snprintf(text, sizeof(text), "%.*g", digits, n);
	while (digits++ < 17 && strtod(text, NULL) != n);
	buf_puts(to, text);
	if (strpbrk(text, ".e") == NULL)
		buf_puts(to, ".0");
}

/* Characters above ASCII that control a terminal or reorder text: C1, bidi marks, line separators, BOM. */
static bool
is_hidden(uint32_t c)
{
	return (c >= 0x80 && c < 0xa0) || c == 0x61c || (c >= 0x200b && c <= 0x200f) || (c >= 0x2028 && c <= 0x202e) ||
	       (c >= 0x2066 && c <= 0x2069) || c == 0xfeff;
}

/* Length of the valid UTF-8 sequence at s, and the character when it may be hidden (two and three bytes; else 0). */
static size_t
char_at(const unsigned char *s, uint32_t *ret)
{
	*ret = 0;
	if (s[0] < 0x80)
		return 1;
	if (s[0] < 0xe0) {
		*ret = (s[0] & 0x1fU) << 6 | (s[1] & 0x3fU);
		return 2;
	}
	if (s[0] < 0xf0) {
		*ret = (s[0] & 0x0fU) << 12 | (s[1] & 0x3fU) << 6 | (s[2] & 0x3fU);
		return 3;
	}
	return 4;
}

static void
write_escaped(struct buf *to, const unsigned char *s, size_t len)
{
	static const char shorts[] = "btn\0fr"; /* from 8 on */
	size_t from = 0, i = 0, n;
	uint32_t c;

	while (i < len) {
		n = char_at(s + i, &c);
		if (n == 1 && s[i] >= 0x20 && s[i] != '"' && s[i] != '\\' && s[i] != 0x7f) {
			i++;
			continue;
		}
		if (n > 1 && !is_hidden(c)) {
			i += n;
			continue;
		}
		buf_put(to, s + from, i - from);
		if (s[i] == '"' || s[i] == '\\')
			buf_put(to, (char[]){ '\\', (char)s[i] }, 2);
		else if (s[i] >= 8 && s[i] <= 13 && shorts[s[i] - 8] != '\0')
			buf_put(to, (char[]){ '\\', shorts[s[i] - 8] }, 2);
		else
			buf_printf(to, "\\u%04x", n == 1 ? s[i] : c);
		i += n;
		from = i;
	}
	buf_put(to, s + from, len - from);
}

static bool
is_plain(const char *s, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if ((unsigned char)s[i] < 0x20 || (unsigned char)s[i] >= 0x7f || s[i] == '"' || s[i] == '\\')
			return false;
	return true;
}

static void
write_quoted(struct buf *to, const char *prefix, const char *s, size_t len)
{
	buf_putc(to, '"');
	buf_puts(to, prefix);
	if (is_plain(s, len))
		buf_put(to, s, len);
	else
		write_escaped(to, (const unsigned char *)s, len);
	buf_putc(to, '"');
}

static void
write_string(struct buf *to, const char *s, size_t len)
{
	if (utf8_check(s, len) == len) {
		write_quoted(to, "", s, len);
		return;
	}
	buf_puts(to, "{\"$bytes\":\"");
	base64_encode(to, s, len);
	buf_puts(to, "\"}");
}

static void
write_key(const struct writer *w, const char *key)
{
	size_t len = strlen(key);

	if (utf8_check(key, len) == len) {
		write_quoted(w->to, key[0] == '$' && w->style != SHOWN && w->style != CLEAR ? "$" : "", key, len);
		return;
	}
	buf_puts(w->to, "\"$bytes:");
	base64_encode(w->to, key, len);
	buf_putc(w->to, '"');
}

static void
write_tag(struct buf *to, const char *tag, const char *s)
{
	buf_puts(to, "{\"$");
	buf_puts(to, tag);
	buf_puts(to, "\":");
	write_quoted(to, "", s, utf8_check(s, strlen(s))); /* words for people: what is not UTF-8 may go */
	buf_putc(to, '}');
}

static void
write_secret(const struct writer *w, const struct secret *s)
{
	char hex[SHA256_HEX];

	if (w->style == SHOWN) {
		buf_puts(w->to, "\"(secret)\"");
	} else if (w->style == CLEAR) {
		write_quoted(w->to, "", s->content, s->len);
	} else if (w->style == DIGESTED && s->content != NULL) {
		hmac_sha256_hex(w->key, s->content, s->len, hex);
		write_tag(w->to, "hmac", hex);
	} else {
		write_tag(w->to, "secret", s->where);
	}
}

static void write_value(const struct writer *w, const struct value *v);

static void
write_map(const struct writer *w, const struct value *v)
{
	struct order o;

	buf_putc(w->to, '{');
	order_init(&o, v);
	for (uint32_t i = 0; i < v->len; i++) {
		if (i > 0)
			buf_putc(w->to, ',');
		write_key(w, o.p[i]->key);
		buf_putc(w->to, ':');
		write_value(w, &o.p[i]->v);
	}
	order_done(&o);
	buf_putc(w->to, '}');
}

static void
write_value(const struct writer *w, const struct value *v)
{
	switch (v->kind) {
	case V_NULL:
		buf_puts(w->to, "null");
		break;
	case V_BOOL:
		buf_puts(w->to, v->b ? "true" : "false");
		break;
	case V_INT:
		write_int(w->to, v->i);
		break;
	case V_NUMBER:
		write_number(w->to, v->n);
		break;
	case V_STRING:
		write_string(w->to, v->s, v->len);
		break;
	case V_LIST:
		buf_putc(w->to, '[');
		for (uint32_t i = 0; i < v->len; i++) {
			if (i > 0)
				buf_putc(w->to, ',');
			write_value(w, &v->items[i]);
		}
		buf_putc(w->to, ']');
		break;
	case V_MAP:
		write_map(w, v);
		break;
	case V_UNKNOWN:
		if (w->style == SHOWN)
			buf_puts(w->to, "\"(unknown)\"");
		else
			write_tag(w->to, "unknown", v->s);
		break;
	case V_SECRET:
		write_secret(w, v->secret);
		break;
	}
}

void
value_write(struct buf *to, const struct value *v)
{
	write_value(&(struct writer){ .to = to, .style = CANONICAL }, v);
}

void
value_show(struct buf *to, const struct value *v)
{
	write_value(&(struct writer){ .to = to, .style = SHOWN }, v);
}

/* Can JSON say it? */
static int
check_clear(const struct value *v, struct err *err)
{
	const char *text = v->kind == V_STRING ? v->s : v->kind == V_SECRET ? v->secret->content : "";
	const size_t len = v->kind == V_STRING ? v->len : v->kind == V_SECRET ? v->secret->len : 0;

	if (v->kind == V_UNKNOWN)
		return err_set(err, ERR_PREDICTED, "%s", v->s);
	if (text == NULL || utf8_check(text, len) != len)
		return err_set(err, ERR_FAILED, "it holds %s that is not UTF-8, which JSON cannot say",
			       v->kind == V_SECRET ? "a secret" : "text");
	for (uint32_t i = 0; v->kind == V_LIST && i < v->len; i++)
		if (check_clear(&v->items[i], err) < 0)
			return -1;
	for (uint32_t i = 0; v->kind == V_MAP && i < v->len; i++) {
		const char *key = v->pairs[i].key;

		if (utf8_check(key, strlen(key)) != strlen(key))
			return err_set(err, ERR_FAILED, "it holds a name that is not UTF-8, which JSON cannot say");
		if (check_clear(&v->pairs[i].v, err) < 0)
			return -1;
	}
	return 0;
}

int
value_json(struct buf *to, const struct value *v, struct err *err)
{
	if (check_clear(v, err) < 0)
		return -1;
	write_value(&(struct writer){ .to = to, .style = CLEAR }, v);
	return 0;
}

void
value_digest(const struct value *v, struct bytes key, char ret_hex[65])
{
	struct buf b = BUF_INIT(0);

	write_value(&(struct writer){ .to = &b, .style = DIGESTED, .key = key }, v);
	sha256_hex(b.p, b.len, ret_hex);
	buf_done(&b);
}

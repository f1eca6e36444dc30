/* SPDX-License-Identifier: Apache-2.0 */
/* Owns the cutting of JSON text: a list into its items as they come, a map into its members where it stands. */
#include "steps/target/kube_split.h"

#include <string.h>

#include "base/text.h"

#define DEPTH_MAX 128U        /* more than value_parse_json takes */
#define KEY_MAX 1024U
#define METADATA_MAX (64U << 10)

enum state { LIST, KEY_OR_END, KEY, IN_KEY, COLON, VALUE, IN_VALUE, COMMA_OR_END, ITEM_OR_END, ITEM, IN_ITEM, ITEM_COMMA, OVER };
enum member { OTHER, METADATA, ITEMS };

static bool
is_blank(char c)
{
	return c == ' ' || c == '\n' || c == '\t' || c == '\r';
}

static void
open_bracket(struct kube_skim *s, bool map)
{
	if (s->depth == DEPTH_MAX) {
		s->bad = true;
		return;
	}
	s->maps[s->depth / 64] &= ~(UINT64_C(1) << s->depth % 64);
	s->maps[s->depth / 64] |= (uint64_t)map << s->depth % 64;
	s->depth++;
}

static void
close_bracket(struct kube_skim *s, bool map)
{
	s->depth--;
	s->bad = (s->maps[s->depth / 64] >> s->depth % 64 & 1) != map;
}

/* Through a string whose first quote has been seen; NULL: it goes on. */
static const char *
skim_string(struct kube_skim *s, const char *p, const char *end)
{
	for (; p < end; p++) {
		if (s->escaped) {
			s->escaped = false;
		} else if (*p == '\\') {
			s->escaped = true;
		} else if (*p == '"') {
			s->string = false;
			return p + 1;
		}
	}
	return NULL;
}

const char *
kube_skim(struct kube_skim *s, const char *p, const char *end)
{
	while (p < end && !s->bad) {
		const char c = *p;

		if (s->string) {
			p = skim_string(s, p, end);
			if (p == NULL)
				return NULL;
			if (s->depth == 0)
				return p;
			continue;
		}
		if (s->scalar) {
			if (is_blank(c) || c == ',' || c == '}' || c == ']')
				return p;
			s->bad = c == '"' || c == '{' || c == '[' || c == ':';
		} else if (c == '"') {
			s->string = true;
		} else if (c == '{' || c == '[') {
			open_bracket(s, c == '{');
		} else if (c == '}' || c == ']') {
			if (s->depth == 0) {
				s->bad = true;
				break;
			}
			close_bracket(s, c == '}');
			if (s->depth == 0 && !s->bad)
				return p + 1;
		} else if (s->depth == 0) {
			s->scalar = true;
			s->bad = is_blank(c) || c == ',' || c == ':';
		}
		p++;
	}
	return NULL;
}

static const char *
skip_blanks(const char *p, const char *end)
{
	while (p < end && is_blank(*p))
		p++;
	return p;
}

bool
kube_next_member(struct bytes *rest, struct bytes *ret_key, struct bytes *ret_value)
{
	const char *p = rest->p, *end, *key, *value;
	struct kube_skim skim = { 0 };

	if (rest->len == 0)
		return false;
	end = p + rest->len;
	p = skip_blanks(p, end);
	if (p < end && (*p == '{' || *p == ','))
		p = skip_blanks(p + 1, end);
	if (p == end || *p != '"')
		return false;
	key = p;
	p = kube_skim(&skim, p, end);
	if (p == NULL)
		return false;
	*ret_key = (struct bytes){ key + 1, (size_t)(p - key) - 2 };
	p = skip_blanks(p, end);
	if (p == end || *p != ':')
		return false;
	value = skip_blanks(p + 1, end);
	skim = (struct kube_skim){ 0 };
	p = kube_skim(&skim, value, end);
	if (p == NULL)
		return false;
	*ret_value = (struct bytes){ value, (size_t)(p - value) };
	*rest = (struct bytes){ p, (size_t)(end - p) };
	return true;
}

const char *
kube_text_of(struct arena *a, struct bytes json)
{
	struct err ignored = ERR_INIT;
	struct value v;

	if (json.len < 2 || *(const char *)json.p != '"' || value_parse_json(a, json.p, json.len, &v, &ignored) < 0 ||
	    v.kind != V_STRING)
		return NULL;
	for (uint32_t i = 0; i < v.len; i++)
		if ((unsigned char)v.s[i] < 0x20 || v.s[i] == 0x7f)
			return NULL;
	return v.s;
}

void
kube_split_begin(struct kube_split *s, kube_item_fn *fn, void *data, size_t item_max)
{
	*s = (struct kube_split){ .fn = fn, .data = data, .item_max = item_max, .text = BUF_INIT(item_max),
		.metadata = BUF_INIT(METADATA_MAX) };
}

void
kube_split_done(struct kube_split *s)
{
	buf_done(&s->text);
	buf_done(&s->metadata);
}

static int
malformed(const char *what, struct err *err)
{
	return err_set(err, ERR_FAILED, "a list that is malformed: %s", what);
}

/* A value begins. */
static void
begin(struct kube_split *s, enum state state)
{
	s->state = state;
	s->skim = (struct kube_skim){ 0 };
	buf_clear(&s->text);
}

static int
set_member(struct kube_split *s, struct err *err)
{
	const struct bytes key = { s->text.p, s->text.len };

	s->member = OTHER;
	if (bytes_eq(key, (struct bytes){ "\"metadata\"", 10 }))
		s->member = METADATA;
	if (bytes_eq(key, (struct bytes){ "\"items\"", 7 }))
		s->member = ITEMS;
	if ((s->member == METADATA && s->metadata.len > 0) || (s->member == ITEMS && s->items))
		return malformed("a member is there twice", err);
	s->items = s->items || s->member == ITEMS;
	s->state = COLON;
	return 0;
}

/* A whole member's value is in text, where it is one that matters. */
static int
end_value(struct kube_split *s, struct err *err)
{
	s->state = COMMA_OR_END;
	if (s->member == METADATA)
		buf_put(&s->metadata, s->text.p, s->text.len);
	/* Go writes an empty list as null */
	if (s->member == ITEMS && !bytes_eq((struct bytes){ s->text.p, s->text.len }, (struct bytes){ "null", 4 }))
		return malformed("its items are no list", err);
	return 0;
}

/* Take in what of the text belongs to the key, value or item under way; *p goes behind it. */
static int
take(struct kube_split *s, const char **p, const char *end, struct err *err)
{
	const char *stop = kube_skim(&s->skim, *p, end), *next = stop != NULL ? stop : end;
	const size_t max = s->state == IN_KEY ? KEY_MAX : s->state == IN_VALUE ? METADATA_MAX : s->item_max;

	if (s->skim.bad)
		return malformed("its brackets do not match, or are too deep", err);
	if (s->state != IN_VALUE || s->member != OTHER)
		buf_put(&s->text, *p, (size_t)(next - *p));
	if (s->text.failed || s->text.len > max)
		return err_set(err, ERR_FAILED, "%s larger than %zu bytes",
			       s->state == IN_ITEM ? "an object" : "a member of a list's head", max);
	*p = next;
	if (stop == NULL)
		return 0;
	if (s->state == IN_KEY)
		return set_member(s, err);
	if (s->state == IN_VALUE)
		return end_value(s, err);
	s->state = ITEM_COMMA;
	return s->fn(s->data, (struct bytes){ s->text.p, s->text.len }, err);
}

/* One character between keys, values and items; 1: it belongs to what follows and is looked at again. */
static int
between(struct kube_split *s, char c, struct err *err)
{
	switch ((enum state)s->state) {
	case LIST:
		s->state = KEY_OR_END;
		return c == '{' ? 0 : malformed("it is no map", err);
	case KEY_OR_END:
	case KEY:
		if (c == '}' && s->state == KEY_OR_END) {
			s->state = OVER;
			return 0;
		}
		begin(s, IN_KEY);
		return c == '"' ? 1 : malformed("a member has no name", err);
	case COLON:
		s->state = VALUE;
		return c == ':' ? 0 : malformed("a member has no value", err);
	case VALUE:
		if (s->member == ITEMS && c == '[') {
			s->state = ITEM_OR_END;
			return 0;
		}
		begin(s, IN_VALUE);
		return 1;
	case COMMA_OR_END:
		s->state = c == ',' ? KEY : OVER;
		return c == ',' || c == '}' ? 0 : malformed("no comma between members", err);
	case ITEM_OR_END:
	case ITEM:
		if (c == ']' && s->state == ITEM_OR_END) {
			s->state = COMMA_OR_END;
			return 0;
		}
		begin(s, IN_ITEM);
		return c == '{' ? 1 : malformed("an item is no object", err);
	case ITEM_COMMA:
		s->state = c == ',' ? ITEM : COMMA_OR_END;
		return c == ',' || c == ']' ? 0 : malformed("no comma between items", err);
	case IN_KEY:
	case IN_VALUE:
	case IN_ITEM:
	case OVER:
		break;
	}
	return malformed("something follows its end", err);
}

int
kube_split_feed(struct kube_split *s, const char *p, size_t n, struct err *err)
{
	const char *end = p + n;
	int rc;

	while (p < end) {
		if (s->state == IN_KEY || s->state == IN_VALUE || s->state == IN_ITEM) {
			if (take(s, &p, end, err) < 0)
				return -1;
			continue;
		}
		if (is_blank(*p)) {
			p++;
			continue;
		}
		rc = between(s, *p, err);
		if (rc < 0)
			return -1;
		p += rc == 0;
	}
	return 0;
}

int
kube_split_end(struct kube_split *s, struct err *err)
{
	if (s->state != OVER)
		return malformed("it is cut off", err);
	if (!s->items)
		return malformed("it has no items", err);
	return 0;
}

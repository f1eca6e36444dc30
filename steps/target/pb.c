/* SPDX-License-Identifier: Apache-2.0 */
/* Owns the protobuf wire format. The writer appends to a buffer and patches the length of nested messages in place; the
 * reader trusts no length and no tag, and never reads past its message. */
#include "steps/target/pb.h"

#include <stdlib.h>
#include <string.h>

#include "base/arena.h"

enum { WIRE_VARINT = 0, WIRE_FIXED64 = 1, WIRE_BYTES = 2, WIRE_FIXED32 = 5 };

/* A nested length is written as a varint padded to this width: no second pass over the content. */
#define LENGTH_WIDTH 4
#define LENT_MIN 1024 /* below it a copy costs less than a piece of its own */
#define FIELD_MAX ((1U << 29) - 1)

static void
put_varint(struct buf *to, uint64_t v)
{
	unsigned char tmp[10];
	size_t n = 0;

	for (; v >= 0x80; v >>= 7)
		tmp[n++] = (unsigned char)(v | 0x80);
	tmp[n++] = (unsigned char)v;
	buf_put(to, tmp, n);
}

void
pb_uint(struct buf *to, unsigned field, uint64_t v)
{
	if (v == 0)
		return;
	put_varint(to, (uint64_t)field << 3 | WIRE_VARINT);
	put_varint(to, v);
}

void
pb_int(struct buf *to, unsigned field, int64_t v)
{
	pb_uint(to, field, (uint64_t)v);
}

void
pb_bytes(struct buf *to, unsigned field, struct bytes v)
{
	if (v.len == 0)
		return;
	put_varint(to, (uint64_t)field << 3 | WIRE_BYTES);
	put_varint(to, v.len);
	buf_put(to, v.p, v.len);
}

void
pb_str(struct buf *to, unsigned field, const char *s)
{
	pb_bytes(to, field, (struct bytes){ s, strlen(s) });
}

size_t
pb_open(struct buf *to, unsigned field)
{
	put_varint(to, (uint64_t)field << 3 | WIRE_BYTES);
	buf_put(to, "\0\0\0\0", LENGTH_WIDTH);
	return to->len;
}

void
pb_close(struct buf *to, size_t opened)
{
	pb_close_lent(to, opened, 0);
}

void
pb_close_lent(struct buf *to, size_t opened, size_t lent)
{
	size_t len;
	unsigned char *at;

	if (to->failed)
		return;
	len = to->len - opened + lent;
	if (len >> (7 * LENGTH_WIDTH) != 0) {
		to->failed = true;
		return;
	}
	at = (unsigned char *)to->p + opened - LENGTH_WIDTH;
	for (int i = 0; i < LENGTH_WIDTH - 1; i++, len >>= 7)
		at[i] = (unsigned char)(len | 0x80);
	at[LENGTH_WIDTH - 1] = (unsigned char)len;
}

void
lents_clear(struct lents *l)
{
	l->n = l->len = 0;
}

void
lents_done(struct lents *l)
{
	free(l->list);
	*l = (struct lents){ 0 };
}

size_t
pb_lend(struct buf *to, struct lents *l, unsigned field, struct bytes v)
{
	if (l == NULL || v.len < LENT_MIN) {
		pb_bytes(to, field, v);
		return 0;
	}
	put_varint(to, (uint64_t)field << 3 | WIRE_BYTES);
	put_varint(to, v.len);
	if (l->n == l->cap) {
		l->cap = l->cap > 0 ? l->cap * 2 : 128;
		l->list = xreallocarray(l->list, l->cap, sizeof(*l->list));
	}
	l->list[l->n++] = (struct lent){ to->len, v };
	l->len += v.len;
	return v.len;
}

struct pb
pb_read(struct bytes message)
{
	const unsigned char *p = message.p;

	return (struct pb){ .p = p, .end = p == NULL ? NULL : p + message.len };
}

static uint64_t
get_varint(struct pb *in)
{
	uint64_t v = 0;

	for (unsigned shift = 0; shift < 64 && in->p < in->end; shift += 7) {
		unsigned char c = *in->p++;

		if (shift == 63 && c > 1)
			break;
		v |= (uint64_t)(c & 0x7f) << shift;
		if (c < 0x80)
			return v;
	}
	in->bad = true;
	return 0;
}

static struct bytes
get_bytes(struct pb *in, uint64_t len)
{
	struct bytes b = { in->p, (size_t)len };

	if (in->bad || len > (uint64_t)(in->end - in->p)) {
		in->bad = true;
		return (struct bytes){ 0 };
	}
	in->p += len;
	return b;
}

static uint64_t
get_fixed(struct pb *in, size_t width)
{
	struct bytes b = get_bytes(in, width);
	const unsigned char *p = b.p;
	uint64_t v = 0;

	for (size_t i = b.len; i-- > 0;)
		v = v << 8 | p[i];
	return v;
}

bool
pb_next(struct pb *in, struct pb_field *ret)
{
	uint64_t tag;

	if (in->bad || in->p >= in->end)
		return false;
	*ret = (struct pb_field){ 0 };
	tag = get_varint(in);
	if (tag >> 3 == 0 || tag >> 3 > FIELD_MAX)
		in->bad = true;
	ret->number = (unsigned)(tag >> 3);
	switch (tag & 7) {
	case WIRE_VARINT:
		ret->v = get_varint(in);
		break;
	case WIRE_FIXED64:
		ret->v = get_fixed(in, 8);
		break;
	case WIRE_BYTES:
		ret->b = get_bytes(in, get_varint(in));
		break;
	case WIRE_FIXED32:
		ret->v = get_fixed(in, 4);
		break;
	default: /* groups are not part of proto3 */
		in->bad = true;
	}
	return !in->bad;
}

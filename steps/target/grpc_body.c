/* SPDX-License-Identifier: Apache-2.0 */
/* Owns the order of a request's pieces: the buffer up to where a value was lent, the value, and so on. Pure. */
#include "steps/target/grpc_body.h"

#include <stdio.h>

void
grpc_body_begin(struct grpc_body *body, const struct buf *text, const struct lents *lent)
{
	*body = (struct grpc_body){ .text = text, .lent = lent };
}

size_t
grpc_body_len(const struct grpc_body *body)
{
	return body->text->len + (body->lent != NULL ? body->lent->len : 0);
}

/* What goes next, as far as it lies in one piece; empty at the end. */
static struct bytes
piece(const struct grpc_body *b)
{
	const struct lent *l = b->lent != NULL && b->next < b->lent->n ? &b->lent->list[b->next] : NULL;
	const size_t until = l != NULL ? l->at : b->text->len;

	if (b->at < until)
		return (struct bytes){ b->text->p + b->at, until - b->at };
	if (l != NULL)
		return (struct bytes){ (const char *)l->b.p + b->within, l->b.len - b->within };
	return (struct bytes){ 0 };
}

static void
advance(struct grpc_body *b, size_t n)
{
	const struct lent *l = b->lent != NULL && b->next < b->lent->n ? &b->lent->list[b->next] : NULL;

	if (l == NULL || b->at < l->at) {
		b->at += n;
		return;
	}
	b->within += n;
	if (b->within == l->b.len) {
		b->next++;
		b->within = 0;
	}
}

size_t
grpc_body_read(char *to, size_t size, size_t n, void *body)
{
	struct grpc_body *b = body;
	size_t room = size * n, len;
	struct bytes p;

	while (room > 0 && (p = piece(b)).len > 0) {
		len = p.len < room ? p.len : room;
		memcpy(to, p.p, len);
		advance(b, len);
		to += len;
		room -= len;
	}
	return size * n - room;
}

int
grpc_body_seek(void *body, curl_off_t offset, int origin)
{
	struct grpc_body *b = body;

	if (offset != 0 || origin != SEEK_SET)
		return CURL_SEEKFUNC_CANTSEEK;
	grpc_body_begin(b, b->text, b->lent);
	return CURL_SEEKFUNC_OK;
}

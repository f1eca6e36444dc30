/* SPDX-License-Identifier: Apache-2.0 */
/* Owns gRPC framing: writes a request's frame header and takes replies apart (headers, trailers, length-prefixed
 * messages) whatever pieces they come in. Pure; every byte is untrusted, sizes are capped before memory is taken. */
#include "steps/target/grpc.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/text.h"

#define FRAME_HEAD 5

void
grpc_begin(struct buf *request)
{
	buf_clear(request);
	buf_put(request, "\0\0\0\0\0", FRAME_HEAD);
}

void
grpc_end(struct buf *request)
{
	grpc_end_lent(request, 0);
}

void
grpc_end_lent(struct buf *request, size_t lent)
{
	size_t len = request->len - FRAME_HEAD + lent;

	if (request->failed)
		return;
	for (int i = FRAME_HEAD - 1; i > 0; i--, len >>= 8)
		request->p[i] = (char)(len & 0xff);
}

void
grpc_reply_init(struct grpc_reply *r, struct arena *arena, size_t max)
{
	*r = (struct grpc_reply){ .arena = arena, .max = max, .status = -1 };
}

void
grpc_reply_done(struct grpc_reply *r)
{
	struct grpc_msg *m;

	if (r->arena != NULL)
		return;
	while ((m = grpc_reply_take(r)) != NULL)
		free(m);
	free(r->part);
	r->part = NULL;
}

struct grpc_msg *
grpc_reply_take(struct grpc_reply *r)
{
	struct grpc_msg *m = r->first;

	if (m == NULL)
		return NULL;
	r->first = m->next;
	if (r->first == NULL)
		r->last = NULL;
	return m;
}

/* grpc-message is percent-encoded; what comes out is foreign text and is escaped for display. */
static void
set_message(struct grpc_reply *r, const char *p, size_t len)
{
	struct buf raw = BUF_INIT(sizeof(r->message)), shown = BUF_INIT(0);
	unsigned c;

	for (size_t i = 0; i < len && !raw.failed; i++) {
		c = (unsigned char)p[i];
		if (c == '%' && i + 2 < len && isxdigit((unsigned char)p[i + 1]) && isxdigit((unsigned char)p[i + 2])) {
			char hex[3] = { p[i + 1], p[i + 2], '\0' };

			c = (unsigned)strtoul(hex, NULL, 16);
			i += 2;
		}
		buf_putc(&raw, (char)c);
	}
	text_escape(&shown, raw.p, raw.len);
	(void)snprintf(r->message, sizeof(r->message), "%s", shown.len > 0 ? shown.p : "");
	buf_done(&raw);
	buf_done(&shown);
}

/* A decimal number of at most three digits, or -1. */
static int
small_number(const char *p, size_t len)
{
	int n = 0;

	if (len == 0 || len > 3)
		return -1;
	for (size_t i = 0; i < len; i++) {
		if (p[i] < '0' || p[i] > '9')
			return -1;
		n = n * 10 + (p[i] - '0');
	}
	return n;
}

static bool
is_header(const char *line, size_t len, const char *name, const char **ret_value, size_t *ret_len)
{
	size_t n = strlen(name);

	if (len <= n || line[n] != ':' || strncasecmp(line, name, n) != 0)
		return false;
	for (n++; n < len && (line[n] == ' ' || line[n] == '\t'); n++)
		;
	*ret_value = line + n;
	*ret_len = len - n;
	return true;
}

void
grpc_reply_header(struct grpc_reply *r, const char *line, size_t len)
{
	const char *v;
	size_t n;

	while (len > 0 && (line[len - 1] == '\r' || line[len - 1] == '\n'))
		len--;
	if (len >= 5 && memcmp(line, "HTTP/", 5) == 0) {
		v = memchr(line, ' ', len);
		n = v == NULL ? 0 : len - (size_t)(++v - line);
		r->http = v == NULL ? 0 : small_number(v, n < 3 ? n : 3);
	} else if (is_header(line, len, "content-type", &v, &n)) {
		r->is_grpc = n >= 16 && strncasecmp(v, "application/grpc", 16) == 0;
	} else if (is_header(line, len, "grpc-status", &v, &n)) {
		r->status = small_number(v, n);
	} else if (is_header(line, len, "grpc-message", &v, &n)) {
		set_message(r, v, n);
	}
}

static bool
begin_message(struct grpc_reply *r)
{
	size_t len = 0;

	for (int i = 1; i < FRAME_HEAD; i++)
		len = len << 8 | r->head[i];
	if (r->head[0] != 0)
		r->broken = "a compressed message";
	else if (len > r->max)
		r->broken = "a message over the size limit";
	if (r->broken != NULL) {
		r->refused_len = len > r->max ? len : 0;
		return false;
	}
	r->head_len = 0;
	r->part_len = 0;
	r->part = r->arena != NULL ? arena_bytes(r->arena, sizeof(*r->part) + len) : xmalloc(sizeof(*r->part) + len);
	r->part->next = NULL;
	r->part->len = len;
	return true;
}

static void
end_message(struct grpc_reply *r)
{
	if (r->last == NULL)
		r->first = r->part;
	else
		r->last->next = r->part;
	r->last = r->part;
	r->part = NULL;
}

bool
grpc_reply_body(struct grpc_reply *r, const void *data, size_t len)
{
	const char *p = data;
	size_t n;

	if (!r->is_grpc)
		r->broken = "a body that is not gRPC";
	if (r->broken != NULL)
		return false;
	while (len > 0) {
		if (r->part == NULL) {
			n = FRAME_HEAD - r->head_len;
			n = n < len ? n : len;
			memcpy(r->head + r->head_len, p, n);
			r->head_len += (unsigned)n;
			if (r->head_len == FRAME_HEAD && !begin_message(r))
				return false;
		} else {
			n = r->part->len - r->part_len;
			n = n < len ? n : len;
			memcpy(r->part->data + r->part_len, p, n);
			r->part_len += n;
		}
		p += n;
		len -= n;
		if (r->part != NULL && r->part_len == r->part->len)
			end_message(r);
	}
	return true;
}

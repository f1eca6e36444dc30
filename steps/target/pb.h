/* SPDX-License-Identifier: Apache-2.0 */
/* Protobuf wire format by hand: a writer over struct buf and a bounds-checked reader. Pure. */
#ifndef WHERRY_TARGET_PB_H
#define WHERRY_TARGET_PB_H

#include "base/buf.h"

#include <stdint.h>

/* Append a field; zero, false and empty are the default and are left out, as proto3 wants it. */
void pb_uint(struct buf *to, unsigned field, uint64_t v);
void pb_int(struct buf *to, unsigned field, int64_t v);
void pb_bytes(struct buf *to, unsigned field, struct bytes v);
void pb_str(struct buf *to, unsigned field, const char *s);
/* Append a nested message: open, its fields, close with what open returned. Written even when empty. */
size_t pb_open(struct buf *to, unsigned field);
void pb_close(struct buf *to, size_t opened);

/* Long values that belong to a message and are not copied into it: b stands before the buffer's byte `at`, or at its end.
 * The list is in order, the values must stay as they are until the message has been sent. */
struct lent {
	size_t at;
	struct bytes b;
};
struct lents {
	struct lent *list;
	size_t n, cap, len; /* len: of all values together, bytes */
};
void lents_clear(struct lents *l);
void lents_done(struct lents *l);
/* As pb_bytes, but a long value is lent (l NULL: none is). Returns how many bytes were: the messages around it are closed with all
 * that were lent within them. */
size_t pb_lend(struct buf *to, struct lents *l, unsigned field, struct bytes v);
void pb_close_lent(struct buf *to, size_t opened, size_t lent);

/* A reader over one message. bad is set for good by anything malformed; check it once after the last pb_next. */
struct pb {
	const unsigned char *p, *end;
	bool bad;
};
/* One field: v for numbers, b for strings and messages; the other one is zero. b points into the message. */
struct pb_field {
	unsigned number;
	uint64_t v;
	struct bytes b;
};
struct pb pb_read(struct bytes message);
/* The next field, or false at the end and when bad. */
bool pb_next(struct pb *in, struct pb_field *ret);

#endif

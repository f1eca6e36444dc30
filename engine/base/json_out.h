/* SPDX-License-Identifier: Apache-2.0 */
/* A writer of indented JSON: commas and line breaks come by themselves. */
#ifndef WHERRY_BASE_JSON_OUT_H
#define WHERRY_BASE_JSON_OUT_H

#include "base/buf.h"

struct json_out {
	struct buf *to;
	unsigned depth;
	bool filled; /* something stands before on this level */
};

/* Begin a member, its value follows; name NULL: an item of a list. Names and texts are our own: no control characters. */
void json_key(struct json_out *, const char *name);
/* Open and close a map or list: '{' and '}', '[' and ']'. */
void json_begin(struct json_out *, const char *name, char bracket);
void json_end(struct json_out *, char bracket);
void json_text(struct json_out *, const char *name, const char *value);
/* A number, true, false, or JSON made elsewhere. */
void json_raw(struct json_out *, const char *name, const char *value);
void json_number(struct json_out *, const char *name, double n);

#endif

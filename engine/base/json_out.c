/* SPDX-License-Identifier: Apache-2.0 */
/* Writes JSON for people to read too, two spaces a level, into a buffer; what fails there is told by the buffer. */
#include "base/json_out.h"

static void
quoted(struct buf *b, const char *s)
{
	buf_putc(b, '"');
	for (; *s != '\0'; s++) {
		if (*s == '"' || *s == '\\')
			buf_putc(b, '\\');
		buf_putc(b, *s);
	}
	buf_putc(b, '"');
}

static void
new_line(struct json_out *j)
{
	buf_putc(j->to, '\n');
	for (unsigned i = 0; i < j->depth; i++)
		buf_puts(j->to, "  ");
}

void
json_key(struct json_out *j, const char *name)
{
	if (j->filled)
		buf_putc(j->to, ',');
	if (j->depth > 0)
		new_line(j);
	if (name != NULL) {
		quoted(j->to, name);
		buf_puts(j->to, ": ");
	}
	j->filled = true;
}

void
json_begin(struct json_out *j, const char *name, char bracket)
{
	json_key(j, name);
	buf_putc(j->to, bracket);
	j->depth++;
	j->filled = false;
}

void
json_end(struct json_out *j, char bracket)
{
	j->depth--;
	if (j->filled)
		new_line(j);
	buf_putc(j->to, bracket);
	j->filled = true;
}

void
json_text(struct json_out *j, const char *name, const char *value)
{
	json_key(j, name);
	quoted(j->to, value);
}

void
json_raw(struct json_out *j, const char *name, const char *value)
{
	json_key(j, name);
	buf_puts(j->to, value);
}

void
json_number(struct json_out *j, const char *name, double n)
{
	json_key(j, name);
	buf_printf(j->to, "%.15g", n);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Owns how an error value is filled: without allocation, always one NUL-terminated piece of text that stays valid
 * UTF-8 when it had to be cut, and safe when an argument points into the error itself. */
#include "base/err.h"

#include "base/arena.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const struct {
	const char *name;
	int exit_code;
} kinds[] = {
	[ERR_NONE] = { "none", 0 },
	[ERR_USAGE] = { "usage", 2 },
	[ERR_PLAN] = { "plan", 2 },
	[ERR_FAILED] = { "failed", 1 },
	[ERR_TIMEOUT] = { "timeout", 1 },
	[ERR_UNKNOWN] = { "unknown", 1 },
	[ERR_IN_DOUBT] = { "in_doubt", 3 },
	[ERR_LOCKED] = { "locked", 4 },
	[ERR_REFUSED] = { "refused", 5 },
	[ERR_LOCAL] = { "local", 6 },
	[ERR_UNREACHABLE] = { "unreachable", 7 },
	[ERR_CANCELLED] = { "cancelled", 130 },
	[ERR_HELD] = { "held", 3 },
	[ERR_PREDICTED] = { "predicted", 1 },
};

/* End text that was cut to size - 1 bytes with an ellipsis, never inside a character. */
static void
mark_cut(char *text, size_t size)
{
	static const char ellipsis[] = "…";
	size_t at = size - sizeof(ellipsis);

	while (at > 0 && ((unsigned char)text[at] & 0xC0) == 0x80)
		at--;
	memcpy(text + at, ellipsis, sizeof(ellipsis));
}

__attribute__((format(printf, 3, 0))) static void
format(char *to, size_t size, const char *fmt, va_list ap)
{
	int n = vsnprintf(to, size, fmt, ap);

	if (n < 0)
		to[0] = '\0';
	else if ((size_t)n >= size)
		mark_cut(to, size);
}

__attribute__((format(printf, 3, 0))) static int
set(struct err *err, enum err_kind kind, const char *fmt, va_list ap)
{
	char msg[sizeof(err->msg)];

	format(msg, sizeof(msg), fmt, ap);
	*err = (struct err){ .kind = kind, .retryable = kind == ERR_UNREACHABLE };
	memcpy(err->msg, msg, strlen(msg));
	return -1;
}

/* Make the message "a: b". */
static void
join(struct err *err, const char *a, const char *b)
{
	char msg[sizeof(err->msg)];

	if (snprintf(msg, sizeof(msg), "%s: %s", a, b) >= (int)sizeof(msg))
		mark_cut(msg, sizeof(msg));
	memcpy(err->msg, msg, strlen(msg) + 1);
}

int
err_set(struct err *err, enum err_kind kind, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	set(err, kind, fmt, ap);
	va_end(ap);
	return -1;
}

int
err_errno(struct err *err, const char *fmt, ...)
{
	int sys = errno;
	char why[128];
	va_list ap;

	va_start(ap, fmt);
	set(err, ERR_LOCAL, fmt, ap);
	va_end(ap);
	err->sys = sys;
	join(err, err->msg, strerror_r(sys, why, sizeof(why)));
	return -1;
}

int
err_at(struct err *err, struct pos where, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	set(err, ERR_PLAN, fmt, ap);
	va_end(ap);
	err->where = where;
	return -1;
}

int
err_wrap(struct err *err, const char *fmt, ...)
{
	char fact[sizeof(err->msg)];
	va_list ap;

	va_start(ap, fmt);
	format(fact, sizeof(fact), fmt, ap);
	va_end(ap);
	join(err, fact, err->msg);
	return -1;
}

int
err_next(struct err *err, const char *fmt, ...)
{
	char next[sizeof(err->next)];
	va_list ap;

	va_start(ap, fmt);
	format(next, sizeof(next), fmt, ap);
	va_end(ap);
	memcpy(err->next, next, strlen(next) + 1);
	return -1;
}

int
err_exit_code(enum err_kind kind)
{
	return kinds[kind].exit_code;
}

const char *
err_kind_name(enum err_kind kind)
{
	return kinds[kind].name;
}

enum err_kind
err_kind_parse(const char *name)
{
	for (size_t i = 0; i < countof(kinds); i++)
		if (strcmp(kinds[i].name, name) == 0)
			return (enum err_kind)i;
	return ERR_FAILED;
}

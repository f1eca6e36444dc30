/* SPDX-License-Identifier: Apache-2.0 */
/* For the tests of the kubernetes kind's pure parts: values out of JSON with ' for ", and compared with it. */
#ifndef WHERRY_TEST_KUBE_VALUES_H
#define WHERRY_TEST_KUBE_VALUES_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "value.h"

static struct arena arena;

static inline struct value
json(const char *text)
{
	char *copy = arena_strdup(&arena, text);
	struct err err = ERR_INIT;
	struct value v;

	for (char *p = copy; *p != '\0'; p++)
		*p = *p == '\'' ? '"' : *p;
	if (value_parse_json(&arena, copy, strlen(copy), &v, &err) < 0)
		fail_msg("%s: %s", err.msg, copy);
	return v;
}

static inline void
assert_json(struct value v, const char *want)
{
	const struct value w = json(want);
	struct buf is = BUF_INIT(0), expected = BUF_INIT(0);

	value_write(&is, &v);
	value_write(&expected, &w);
	assert_string_equal(is.p, expected.p);
	buf_done(&is);
	buf_done(&expected);
}

static int
drop_arena(void **state)
{
	(void)state;
	arena_done(&arena);
	return 0;
}

#endif

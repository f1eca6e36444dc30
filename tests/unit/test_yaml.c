/* SPDX-License-Identifier: Apache-2.0 */
/* Strict YAML: every refusal with its place, the core schema, the item callback and the display of problems. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "yaml.h"

/* "line:col message" of each problem, one a line. */
static void
problems_text(struct problems *p, struct buf *to)
{
	problems_sort(p);
	for (size_t i = 0; i < p->n; i++)
		buf_printf(to, "%s%u:%u %s", i > 0 ? "\n" : "", p->list[i].where.line, p->list[i].where.col, p->list[i].msg);
}

static struct row {
	const char *name, *yaml, *want;
} rows[] = {
	{ "empty file", "", NULL },
	{ "only comments", "# nothing\n", NULL },
	{ "plain map", "a: 1\nb: [x, {c: d}]\n", NULL },
	{ "duplicate key names both lines", "a: 1\nb: 2\na: 3\n",
	  "3:1 duplicate key 'a' in line 3: it is also in line 1" },
	{ "duplicate key in a nested map", "x:\n  a: 1\n  'a': 2\n", "3:3 duplicate key 'a' in line 3: it is also in line 2" },
	{ "duplicate key in a large map",
	  "{a: 1, b: 1, c: 1, d: 1, e: 1, f: 1, g: 1, h: 1, i: 1, j: 1, k: 1, l: 1, m: 1,\nd: 1}",
	  "2:1 duplicate key 'd' in line 2: it is also in line 1" },
	{ "anchor", "a: &x 1\n", "1:4 anchors and aliases are not allowed: '&x' in line 1" },
	{ "alias", "a: &x 1\nb: *x\n",
	  "1:4 anchors and aliases are not allowed: '&x' in line 1\n"
	  "2:4 anchors and aliases are not allowed: '*x' in line 2" },
	{ "alias without anchor", "b: *x\n", "1:4 anchors and aliases are not allowed: '*x' in line 1" },
	{ "tag", "a: !!str 1\n", "1:4 tags are not allowed: 'tag:yaml.org,2002:str'" },
	{ "tag of a list", "a: !x [1]\n", "1:4 tags are not allowed: '!x'" },
	{ "merge key", "a:\n  <<: {b: 1}\n", "2:3 merge keys ('<<') are not allowed" },
	{ "quoted << is a name", "a:\n  '<<': {b: 1}\n", NULL },
	{ "second document", "a: 1\n---\nb: 2\n", "2:1 line 2: second document" },
	{ "directive", "%YAML 1.1\n---\na: 1\n", "1:1 directives (%YAML, %TAG) are not allowed" },
	{ "map as a key", "{a: 1}: 2\n", "1:1 a key must be a name, not a map" },
	{ "list as a key", "? [a]\n: 2\n", "1:3 a key must be a name, not a list" },
	{ "empty key", "? \n: 2\n", "1:2 empty key" },
	{ "escaped NUL in a name", "\"a\\0b\": 1\n", "1:1 text with a NUL character (\\0) at byte 1 of it" },
	{ "escaped NUL in a value", "a: \"\\0\"\n", "1:4 text with a NUL character (\\0) at byte 0 of it" },
	{ "control character in a name", "\"a\\eb\": 1\n", "1:1 key 'a\\x1bb' holds control or invisible characters" },
	{ "bidi character in a name", "a\xE2\x80\xAE: 1\n", "1:1 key 'a\\u{202e}' holds control or invisible characters" },
	{ "newline in a name", "\"a\\nb\": 1\n", "1:1 key 'a\\nb' holds control or invisible characters" },
	{ "bad UTF-8", "a: 1\nb: \xFF\n", "2:4 not UTF-8 at byte 8" },
	{ "overlong UTF-8", "a: \xC0\x80\n", "1:4 not UTF-8 at byte 3" },
	{ "byte order mark", "\xEF\xBB\xBF" "a: 1\n", "1:1 byte order mark at byte 0: save as plain UTF-8" },
	{ "byte order mark inside", "a: 1\nb: \xEF\xBB\xBF" "x\n", "2:4 byte order mark at byte 8: save as plain UTF-8" },
	{ "raw control character", "a: 1\nb: \x01\n", "2:4 control characters are not allowed: U+0001 at byte 8" },
	{ "tab", "a:\n\tb: 1\n", "2:1 found character that cannot start any token while scanning for the next token that begins at line 2" },
	{ "unclosed list", "a: [1, 2\n", "2:1 did not find expected ',' or ']' while parsing a flow sequence that begins at line 1" },
	{ "several at once", "a: &x 1\na: !t 2\n",
	  "1:4 anchors and aliases are not allowed: '&x' in line 1\n"
	  "2:1 duplicate key 'a' in line 2: it is also in line 1\n"
	  "2:4 tags are not allowed: '!t'" },
};

static void
check_row(void **state)
{
	const struct row *row = *state;
	struct arena a = ARENA_INIT;
	struct problems p = PROBLEMS_INIT;
	struct buf text = BUF_INIT(0);
	struct node root;
	int ret = yaml_parse(&a, "f", row->yaml, strlen(row->yaml), NULL, NULL, &root, &p);

	problems_text(&p, &text);
	assert_string_equal(text.len > 0 ? text.p : "", row->want != NULL ? row->want : "");
	assert_int_equal(ret, row->want != NULL ? -1 : 0);
	buf_done(&text);
	problems_done(&p);
	arena_done(&a);
}

static struct scalar {
	const char *name, *yaml, *want; /* want: "kind text" */
} scalars[] = {
	{ "no is a string", "no", "s no" },          { "on is a string", "on", "s on" },
	{ "yes is a string", "yes", "s yes" },       { "08 is a string", "08", "s 08" },
	{ "010 is a string", "010", "s 010" },       { "0 is an integer", "0", "i 0" },
	{ "-7 is an integer", "-7", "i -7" },        { "+7 is an integer", "+7", "i 7" },
	{ "0x1F is an integer", "0x1F", "i 31" },    { "0o17 is an integer", "0o17", "i 15" },
	{ "0x is a string", "0x", "s 0x" },          { "0o8 is a string", "0o8", "s 0o8" },
	{ "1_000 is a string", "1_000", "s 1_000" }, { "1e3 is a number", "1e3", "n 1000" },
	{ "1.5 is a number", "1.5", "n 1.5" },       { ".5 is a number", ".5", "n 0.5" },
	{ "5. is a number", "5.", "n 5" },           { "-1.5e-1 is a number", "-1.5e-1", "n -0.15" },
	{ ". is a string", ".", "s ." },             { "1e is a string", "1e", "s 1e" },
	{ ".inf is a string", ".inf", "s .inf" },    { "1e999 is a string", "1e999", "s 1e999" },
	{ "1.2.3 is a string", "1.2.3", "s 1.2.3" }, { "00.5 is a string", "00.5", "s 00.5" },
	{ "largest integer", "9223372036854775807", "i 9223372036854775807" },
	{ "beyond the largest is a string", "9223372036854775808", "s 9223372036854775808" },
	{ "12:30 is a string", "12:30", "s 12:30" }, { "true is a boolean", "true", "b 1" },
	{ "False is a boolean", "False", "b 0" },    { "tRUE is a string", "tRUE", "s tRUE" },
	{ "null", "null", "0" },                     { "tilde is null", "~", "0" },
	{ "nothing is null", "", "0" },              { "quoted number is a string", "\"1\"", "s 1" },
	{ "quoted null is a string", "'null'", "s null" }, { "quoted nothing", "''", "s " },
	{ "date is a string", "2001-12-14", "s 2001-12-14" },
};

static void
check_scalar(void **state)
{
	const struct scalar *row = *state;
	struct arena a = ARENA_INIT;
	struct problems p = PROBLEMS_INIT;
	char yaml[64], got[64];
	struct node root;
	struct value v;

	(void)snprintf(yaml, sizeof(yaml), "v: %s\n", row->yaml);
	assert_int_equal(yaml_parse(&a, "f", yaml, strlen(yaml), NULL, NULL, &root, &p), 0);
	v = node_value(&a, node_get(&root, "v"));
	if (v.kind == V_STRING)
		(void)snprintf(got, sizeof(got), "s %s", v.s);
	else if (v.kind == V_INT)
		(void)snprintf(got, sizeof(got), "i %lld", (long long)v.i);
	else if (v.kind == V_NUMBER)
		(void)snprintf(got, sizeof(got), "n %g", v.n);
	else if (v.kind == V_BOOL)
		(void)snprintf(got, sizeof(got), "b %d", v.b);
	else
		(void)snprintf(got, sizeof(got), "%d", v.kind);
	assert_string_equal(got, row->want);
	problems_done(&p);
	arena_done(&a);
}

static int
collect_item(void *data, const char *section, const struct node *item)
{
	struct buf *to = data;
	const struct node *id = node_get(item, "id");

	buf_printf(to, "%s/%s@%u:%u ", section, id != NULL ? id->s : "?", item->line, item->col);
	return id != NULL && strcmp(id->s, "halt") == 0 ? -1 : 0;
}

static void
test_items(void **state)
{
	const char *yaml = "steps:\n  - {id: a, with: {steps: [{id: inner}]}}\n  - id: b\n  - 5\nname: x\n"
			   "finally: [{id: c}]\nother: {steps: [{id: no}]}\n";
	struct arena a = ARENA_INIT;
	struct problems p = PROBLEMS_INIT;
	struct buf got = BUF_INIT(0);
	struct node root;

	(void)state;
	assert_int_equal(yaml_parse(&a, "f", yaml, strlen(yaml), collect_item, &got, &root, &p), 0);
	assert_string_equal(got.p, "steps/a@2:5 steps/b@3:5 steps/?@4:5 finally/c@6:11 ");
	assert_int_equal(node_get(&root, "steps")->len, 0);
	assert_string_equal(node_get(&root, "name")->s, "x");
	buf_clear(&got);
	yaml = "steps: [{id: halt}, {id: b}]";
	assert_int_equal(yaml_parse(&a, "f", yaml, strlen(yaml), collect_item, &got, &root, &p), 0);
	assert_string_equal(got.p, "steps/halt@1:9 ");
	buf_done(&got);
	problems_done(&p);
	arena_done(&a);
}

/* A hostile megabyte ends at the cap, whatever it nests. */
static void
test_depth(void **state)
{
	static const char *const units[] = { "[", "- ", "{a: ", "? ", "[{a: " };

	(void)state;
	for (size_t i = 0; i < countof(units); i++) {
		struct arena a = ARENA_INIT;
		struct problems p = PROBLEMS_INIT;
		struct buf yaml = BUF_INIT(0);
		struct node root;

		while (yaml.len < 1 << 20)
			buf_puts(&yaml, units[i]);
		assert_int_equal(yaml_parse(&a, "f", yaml.p, yaml.len, NULL, NULL, &root, &p), -1);
		assert_string_equal(p.list[0].msg, "nested deeper than 64 levels");
		assert_true(a.total < 1 << 20);
		buf_done(&yaml);
		problems_done(&p);
		arena_done(&a);
	}
}

static void
test_depth_exact(void **state)
{
	(void)state;
	for (int depth = YAML_MAX_DEPTH; depth <= YAML_MAX_DEPTH + 1; depth++) {
		struct arena a = ARENA_INIT;
		struct problems p = PROBLEMS_INIT;
		char yaml[2 * YAML_MAX_DEPTH + 3] = "";
		struct node root;

		memset(yaml, '[', (size_t)depth);
		memset(yaml + depth, ']', (size_t)depth);
		assert_int_equal(yaml_parse(&a, "f", yaml, strlen(yaml), NULL, NULL, &root, &p),
				 depth > YAML_MAX_DEPTH ? -1 : 0);
		problems_done(&p);
		arena_done(&a);
	}
}

static void
test_too_large(void **state)
{
	const size_t len = (size_t)YAML_MAX_BYTES + 1;
	struct arena a = ARENA_INIT;
	struct problems p = PROBLEMS_INIT;
	struct node root;
	char *text = xmalloc(len);

	(void)state;
	memset(text, ' ', len);
	assert_int_equal(yaml_parse(&a, "f", text, len, NULL, NULL, &root, &p), -1);
	assert_string_equal(p.list[0].msg, "67108865 bytes: the limit is 64 MiB");
	free(text);
	problems_done(&p);
	arena_done(&a);
}

/* Bytes alone do not bound memory: a list of one-letter words is thirty times its text. */
static void
test_too_many_nodes(void **state)
{
	const size_t len = 2 * (size_t)YAML_MAX_NODES + 2;
	struct arena a = ARENA_INIT;
	struct problems p = PROBLEMS_INIT;
	struct node root;
	char *text = xmalloc(len);

	(void)state;
	for (size_t i = 0; i < len; i++)
		text[i] = i == 0 ? '[' : i % 2 == 1 ? 'a' : ',';
	text[len - 1] = ']';
	assert_int_equal(yaml_parse(&a, "f", text, len, NULL, NULL, &root, &p), -1);
	assert_string_equal(p.list[0].msg, "more than 8000000 values in one file");
	free(text);
	problems_done(&p);
	arena_done(&a);
}

static void
test_copy(void **state)
{
	const char *yaml = "a: [1, 'two', {b: c}]\nd: ''\n";
	struct arena a = ARENA_INIT, b = ARENA_INIT;
	struct problems p = PROBLEMS_INIT;
	struct node root, copy;
	const struct node *list;

	(void)state;
	assert_int_equal(yaml_parse(&a, "f", yaml, strlen(yaml), NULL, NULL, &root, &p), 0);
	copy = node_copy(&b, &root);
	arena_done(&a);
	list = node_get(&copy, "a");
	assert_int_equal(list->len, 3);
	assert_true(list->items[0].plain);
	assert_false(list->items[1].plain);
	assert_string_equal(list->items[1].s, "two");
	assert_int_equal(list->items[1].col, 8);
	assert_string_equal(node_get(&list->items[2], "b")->s, "c");
	assert_string_equal(node_get(&copy, "d")->s, "");
	assert_null(node_get(&copy, "nope"));
	arena_done(&b);
	problems_done(&p);
}

static void
test_show(void **state)
{
	static const char text[] = "name: x\r\nsteps:\n\t- {id: \xC3\xA9, nead: [b]}\n";
	struct problems p = PROBLEMS_INIT;
	struct buf got = BUF_INIT(0);

	(void)state;
	problems_add(&p, (struct pos){ "p.yaml", 3, 12 }, "did you mean 'needs'?", "unknown key '%s'", "ne\x1b" "ad");
	problems_add(&p, (struct pos){ "p.yaml", 1, 7 }, NULL, "bad name");
	problems_add(&p, (struct pos){ "p.yaml", 1, 7 }, NULL, "bad name");
	problems_add(&p, (struct pos){ NULL, 0, 0 }, "like this", "no place");
	problems_sort(&p);
	problems_show(&p, &got, text, sizeof(text) - 1);
	assert_string_equal(got.p, "no place\n"
				   "       like this\n"
				   "p.yaml:1:7: bad name\n"
				   "     1 | name: x\n"
				   "       |       ^\n"
				   "p.yaml:3:12: unknown key 'ne\\x1bad'\n"
				   "     3 |  - {id: \xC3\xA9, nead: [b]}\n"
				   "       |            ^ did you mean 'needs'?\n");
	buf_done(&got);
	problems_done(&p);
}

/* One line of a megabyte shows as a window around the caret. */
static void
test_show_long(void **state)
{
	struct problems p = PROBLEMS_INIT;
	struct buf got = BUF_INIT(0), text = BUF_INIT(0);
	const char *caret, *x;

	(void)state;
	for (int i = 0; i < 1000; i++)
		buf_puts(&text, "abcdefghi ");
	text.p[5000] = 'X';
	problems_add(&p, (struct pos){ "f", 1, 5001 }, NULL, "here");
	problems_show(&p, &got, text.p, text.len);
	assert_true(got.len < 400);
	caret = strchr(strrchr(strrchr(got.p, '|'), '|'), '^');
	x = strchr(got.p, 'X');
	/* the caret stands under the X: both after "nnnnnn | ", the ellipsis is one column of three bytes */
	assert_int_equal(x - (strchr(got.p, '|') + 2) - 2, caret - (strrchr(got.p, '|') + 2));
	buf_done(&got);
	buf_done(&text);
	problems_done(&p);
}

static void
test_cap(void **state)
{
	struct problems p = PROBLEMS_INIT;
	struct buf got = BUF_INIT(0);

	(void)state;
	for (unsigned i = 0; i < PROBLEMS_MAX + 7; i++)
		problems_add(&p, (struct pos){ "f", i + 1, 1 }, NULL, "bad");
	assert_int_equal(p.n, PROBLEMS_MAX);
	problems_show(&p, &got, "", 0);
	assert_non_null(strstr(got.p, "… and 7 more\n"));
	buf_done(&got);
	problems_done(&p);
}

int
main(void)
{
	static const struct CMUnitTest fixed[] = {
		cmocka_unit_test(test_items),     cmocka_unit_test(test_depth), cmocka_unit_test(test_depth_exact),
		cmocka_unit_test(test_too_large), cmocka_unit_test(test_copy),  cmocka_unit_test(test_show),
		cmocka_unit_test(test_show_long), cmocka_unit_test(test_cap),   cmocka_unit_test(test_too_many_nodes),
	};
	struct CMUnitTest all[countof(rows) + countof(scalars) + countof(fixed)];
	size_t n = 0;

	for (size_t i = 0; i < countof(rows); i++)
		all[n++] = (struct CMUnitTest){ rows[i].name, check_row, NULL, NULL, &rows[i] };
	for (size_t i = 0; i < countof(scalars); i++)
		all[n++] = (struct CMUnitTest){ scalars[i].name, check_scalar, NULL, NULL, &scalars[i] };
	for (size_t i = 0; i < countof(fixed); i++)
		all[n++] = fixed[i];
	return cmocka_run_group_tests_name("yaml", all, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Canonical YAML of objects: what is written is read back as it was, and looks as it must. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "steps/kube_yaml.h"

static struct arena arena;

static struct value
json(const char *text)
{
	struct err err = ERR_INIT;
	struct value v;

	if (value_parse_json(&arena, text, strlen(text), &v, &err) < 0)
		fail_msg("%s: %s", text, err.msg);
	return v;
}

static struct buf
yaml(const struct value *v)
{
	struct buf text = BUF_INIT(0);
	struct err err = ERR_INIT;

	if (kube_yaml_write(&text, v, &err) < 0)
		fail_msg("%s", err.msg);
	return text;
}

/* Written and read again, it is the same; written once more, the same text. */
static void
goes_round(const struct value *v)
{
	struct buf text = yaml(v), again;
	struct err err = ERR_INIT;
	struct value back;

	if (kube_yaml_read(&arena, "x", (struct bytes){ text.p, text.len }, &back, &err) < 0)
		fail_msg("%s\n%s", err.msg, text.p);
	if (!value_eq(v, &back))
		fail_msg("another value from\n%s", text.p);
	again = yaml(&back);
	assert_string_equal(text.p, again.p);
	buf_done(&again);
	buf_done(&text);
}

static void
test_form(void **state)
{
	const struct value v = json("{\"kind\":\"ConfigMap\",\"apiVersion\":\"v1\",\"data\":{\"b\":\"one\\ntwo\\n\",\"a\":\"no\",\"c\":\"x\\ny\"},"
				    "\"list\":[1,{\"b\":[],\"a\":{}},[true,null,\"\"],[]],\"metadata\":{\"name\":\"1e3\"},\"n\":1.5}");
	struct buf text = yaml(&v);

	(void)state;
	assert_string_equal(text.p, "apiVersion: v1\ndata:\n  a: \"no\"\n  b: |\n    one\n    two\n  c: |-\n    x\n    y\nkind: ConfigMap\n"
			    "list:\n- 1\n- a: {}\n  b: []\n- - true\n  - null\n  - \"\"\n- []\nmetadata:\n  name: \"1e3\"\n\"n\": 1.5\n");
	buf_done(&text);
	goes_round(&v);
}

/* Others are refused. */
static bool
is_key(const char *s)
{
	struct pair pair = { s, value_int(1) };
	const struct value v = value_map(&pair, 1);
	struct buf text = BUF_INIT(0);
	struct err err = ERR_INIT;
	const int rc = kube_yaml_write(&text, &v, &err);

	buf_done(&text);
	return rc == 0;
}

static void
test_texts(void **state)
{
	static const char *const texts[] = { "", " ", "a", "no", "No", "NO", "y", "on", "off", "yes", "true", "null", "Null", "~", "0", "01", "0x1",
		"0o7", "1e3", "1.5", ".5", ".inf", "-.Inf", ".nan", "NaN", "inf", "1_000", "12:30:45", "2001-01-01", "=", "<<", "-", "--- a", "...",
		"- a", "a: b", "a:", "a #b", "#a", "a:b", "?", "? a", "[a]", "{a}", "a, b", "'a'", "\"a\"", "&a", "*a", "!a", "!!str a", "|", ">", "%a",
		"@a", "`a", "a ", " a", "a  b", "a\tb", "\ta", "\n", "\n\n", "a\n", "a\n\n", "a\n\n\n", "\na", "a\nb", "a\n b", " a\nb", "a\n\nb", "a \nb",
		"a\n \nb", "a\n ", "a\n\tb", "\ta\nb", "a\r\nb", "a\rb", "a\x01", "a\x1b[31m", "a\x7f", "a\nb\x01", "---\na", "a\n---\nb\n...\n", "# a\nb\n",
		"- a\nb", "\xc3\xa9", "\xc3\xa9\nx", "\xe2\x80\xa8", "a\xe2\x80\xa8\nb", "\xef\xbb\xbf", "\xc2\x85", "a\xc2\x85\nb", "\xe2\x80\xae",
		"\xf0\x9f\x98\x80", "\xef\xbf\xbf", "\xef\xbf\xbd", "\\", "\\n", "a\\\nb", "${x}", "$(x)", "https://a.b/c?d=e&f=g", "a:b:c", "null\n", "|\n" };
	struct pair pairs[4];
	struct value items[3], v;

	(void)state;
	for (size_t i = 0; i < countof(texts); i++) {
		const struct value s = value_str(texts[i]);
		struct value list;

		items[0] = items[1] = items[2] = s;
		list = value_list(items, 3);
		pairs[0] = (struct pair){ "k", s };
		pairs[1] = (struct pair){ "l", list };
		items[1] = list;
		pairs[2] = (struct pair){ "m", value_map(pairs, 2) };
		pairs[3] = (struct pair){ is_key(texts[i]) ? texts[i] : "z", s };
		v = value_map(pairs, 4);
		v.pairs = pairs;
		items[1] = s;
		goes_round(&v);
	}
}

static void
test_keys(void **state)
{
	char key[3000];
	struct pair pair = { key, value_int(1) };
	struct value v = value_map(&pair, 1), list[2];
	struct pair inner = { "b", value_int(2) };

	(void)state;
	memset(key, 'k', sizeof(key) - 1);
	key[sizeof(key) - 1] = '\0';
	goes_round(&v);
	list[0] = v;
	list[1] = value_map(&inner, 1);
	pair.v = list[1];
	goes_round(&v);
	pair.v = value_list(&list[1], 1);
	goes_round(&v);
	key[3] = '\n';
	assert_false(is_key(key));
	assert_false(is_key("a\x1b"));
	assert_true(is_key("#a: \"b\""));
}

static void
test_refused(void **state)
{
	struct pair pair = { "k", value_strn("a\0b", 3) };
	struct value v = value_map(&pair, 1);
	struct buf text = BUF_INIT(0);
	struct err err = ERR_INIT;

	(void)state;
	assert_int_equal(kube_yaml_write(&text, &v, &err), -1);
	assert_non_null(strstr(err.msg, "NUL"));
	pair.v = value_str("\xff");
	assert_int_equal(kube_yaml_write(&text, &v, &err), -1);
	assert_non_null(strstr(err.msg, "UTF-8"));
	pair = (struct pair){ "", value_int(1) };
	assert_int_equal(kube_yaml_write(&text, &v, &err), -1);
	pair = (struct pair){ "k", value_unknown("later") };
	v = value_map(&pair, 1);
	assert_int_equal(kube_yaml_write(&text, &v, &err), -1);
	assert_int_equal(err.kind, ERR_PREDICTED);
	buf_done(&text);
	for (const char *const *p = (const char *const[]){ "- a\n", "a: b\na: c\n", "a: [", "a: !!binary x\n", NULL }; *p != NULL; p++) {
		assert_int_equal(kube_yaml_read(&arena, "f.yaml", (struct bytes){ *p, strlen(*p) }, &v, &err), -1);
		assert_int_equal(strncmp(err.msg, "f.yaml:", 7), 0);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_form),
		cmocka_unit_test(test_texts),
		cmocka_unit_test(test_keys),
		cmocka_unit_test(test_refused),
	};
	const int failed = cmocka_run_group_tests(tests, NULL, NULL);

	arena_done(&arena);
	return failed;
}

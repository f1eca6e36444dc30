/* SPDX-License-Identifier: Apache-2.0 */
/* Lists that come in pieces, and objects that are looked at without being parsed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "steps/target/kube_item.h"
#include "steps/target/kube_split.h"

#define ITEM_MAX 4096

static struct arena a;
static struct buf seen;

static int
take(void *data, struct bytes item, struct err *err)
{
	(void)data, (void)err;
	buf_put(&seen, item.p, item.len);
	buf_putc(&seen, '\n');
	return 0;
}

/* The items of text, a line each, when it comes in pieces of n bytes; or the refusal. */
static const char *
items(const char *text, size_t len, size_t n, const char **ret_metadata)
{
	struct err err = ERR_INIT;
	struct kube_split s;
	int rc = 0;

	buf_clear(&seen);
	buf_puts(&seen, "");
	kube_split_begin(&s, take, NULL, ITEM_MAX);
	for (size_t i = 0; i < len && rc == 0; i += n)
		rc = kube_split_feed(&s, text + i, len - i < n ? len - i : n, &err);
	if (rc == 0)
		rc = kube_split_end(&s, &err);
	if (ret_metadata != NULL)
		*ret_metadata = arena_strndup(&a, s.metadata.p != NULL ? s.metadata.p : "", s.metadata.len);
	kube_split_done(&s);
	return rc < 0 ? arena_strdup(&a, err.msg) : arena_strndup(&a, seen.p != NULL ? seen.p : "", seen.len);
}

static void
test_pieces_of_any_size(void **state)
{
	static const char text[] = "{\"kind\":\"PodList\",\"metadata\":{\"resourceVersion\":\"7\",\"continue\":\"x]}\"} , \"items\" : [ "
		"{\"a\":\"}{][\\\"\\\\\"} ,{},{\"b\":[{\"c\":[1,2.5e3,null]}]}\n],\"x\":[{\"items\":1}],\"y\":true}\n";
	const char *metadata;

	(void)state;
	for (size_t n = 1; n <= sizeof(text); n++) {
		assert_string_equal(items(text, strlen(text), n, &metadata),
				    "{\"a\":\"}{][\\\"\\\\\"}\n{}\n{\"b\":[{\"c\":[1,2.5e3,null]}]}\n");
		assert_string_equal(metadata, "{\"resourceVersion\":\"7\",\"continue\":\"x]}\"}");
	}
}

static void
test_order_does_not_matter(void **state)
{
	static const char text[] = "{\"items\":[{}],\"metadata\":{}}", none[] = "{\"metadata\":{},\"items\":null}",
		empty[] = "{\"items\":[]}";
	const char *metadata;

	(void)state;
	assert_string_equal(items(text, strlen(text), 3, &metadata), "{}\n");
	assert_string_equal(metadata, "{}");
	assert_string_equal(items(none, strlen(none), 3, NULL), "");
	assert_string_equal(items(empty, strlen(empty), 1, NULL), "");
}

static void
test_hostile(void **state)
{
	static const char *const bad[] = { "", " ", "[]", "{", "{}", "{\"items\"", "{\"items\":[{]}", "{\"items\":[{}}", "{\"items\":[1]}",
		"{\"items\":[{}{}]}", "{\"items\":[{},]}", "{\"items\":[,{}]}", "{\"items\":[{}]", "{\"items\":[{}]}x", "{\"items\":{}}",
		"{\"items\":\"x\"}", "{\"items\":[],\"items\":[]}", "{\"metadata\":{},\"metadata\":{},\"items\":[]}", "{items:[]}",
		"{\"items\" []}", "{\"items\":[],}", "{\"a\":}", "{\"a\":1 2}", "{\"a\":]}", "{\"i\\u0074ems\":[{}]}", "\"items\"",
		"{\"items\":[{}]}{\"items\":[{}]}" };

	(void)state;
	for (size_t i = 0; i < countof(bad); i++)
		for (size_t n = 1; n < 40; n++)
			if (strstr(items(bad[i], strlen(bad[i]), n, NULL), "a list that is malformed: ") == NULL)
				fail_msg("taken: %s", bad[i]);
}

static void
test_bounds(void **state)
{
	struct buf deep = BUF_INIT(0), large = BUF_INIT(0), head = BUF_INIT(0);

	(void)state;
	buf_puts(&deep, "{\"items\":[{\"a\":");
	for (int i = 0; i < 10000; i++)
		buf_putc(&deep, '[');
	assert_non_null(strstr(items(deep.p, deep.len, 1000, NULL), "too deep"));
	buf_puts(&large, "{\"items\":[{\"a\":\"");
	for (int i = 0; i < ITEM_MAX; i++)
		buf_putc(&large, 'x');
	assert_string_equal(items(large.p, large.len, 100, NULL), "an object larger than 4096 bytes");
	buf_puts(&head, "{\"");
	for (int i = 0; i < 2000; i++)
		buf_putc(&head, 'x');
	assert_non_null(strstr(items(head.p, head.len, 100, NULL), "larger than 1024 bytes"));
	buf_done(&deep);
	buf_done(&large);
	buf_done(&head);
}

static const struct kube_kind config_map = { .group = "", .version = "v1", .kind = "ConfigMap" };
static const struct kube_kind deployment = { .group = "apps", .version = "v1", .kind = "Deployment" };

static int
make(const struct kube_kind *k, const char *kind, const char *text, struct item *ret, struct err *err)
{
	const struct kube_path p = { .kind = kind, .k = k };

	*err = ERR_INIT;
	return kube_item_make(&a, &p, (struct bytes){ text, strlen(text) }, false, ret, NULL, err);
}

static void
test_items_say_what_they_are(void **state)
{
	struct item it;
	struct err err;

	(void)state;
	assert_int_equal(make(&config_map, "ConfigMap", "{\"metadata\":{\"name\":\"x#y\",\"namespace\":\"web\","
			      "\"labels\":{\"name\":\"z\"},\"resourceVersion\":\"17\"},\"data\":{\"name\":\"q\"}}", &it, &err), 0);
	assert_string_equal(it.key.p, "ConfigMap/web/x%23y");
	assert_int_equal(it.revision, 17);
	assert_memory_equal(it.value.p, "{\"apiVersion\":\"v1\",\"kind\":\"ConfigMap\",\"metadata\":{", 50);
	assert_int_equal(strlen(it.value.p), it.value.len);
	assert_int_equal(make(&deployment, "Deployment.apps", "{\"metadata\":{\"name\":\"d\\u0061\"}}", &it, &err), 0);
	assert_string_equal(it.key.p, "Deployment.apps//da");
	assert_int_equal(it.revision, 0);
	assert_string_equal(it.value.p, "{\"apiVersion\":\"apps/v1\",\"kind\":\"Deployment\",\"metadata\":{\"name\":\"d\\u0061\"}}");
	assert_int_equal(make(&deployment, "Deployment.apps", "{\"apiVersion\":\"apps/v1\",\"kind\":\"Deployment\",\"metadata\":"
			      "{\"name\":\"d\",\"resourceVersion\":\"abc\"}}", &it, &err), 0);
	assert_int_equal(it.revision, 0);
	assert_memory_equal(it.value.p, "{\"apiVersion\":\"apps/v1\"", 23);
}

static void
test_items_without_a_name(void **state)
{
	static const char *const bad[] = { "{}", "{\"metadata\":{}}", "{\"metadata\":[]}", "{\"metadata\":{\"name\":7}}",
		"{\"metadata\":{\"name\":\"\"}}", "{\"metadata\":{\"name\":\"a\\nb\"}}", "{\"metadata\":{\"name\":\"\xff\"}}",
		"{\"metadata\":{\"name\":\"a\",\"namespace\":{}}}", "{\"x\" \"metadata\":{\"name\":\"a\"}}",
		"{\"metadata\":{\"name\":\"a\\u0000b\"}}" };
	struct item it;
	struct err err;

	(void)state;
	for (size_t i = 0; i < countof(bad); i++) {
		if (make(&config_map, "ConfigMap", bad[i], &it, &err) == 0)
			fail_msg("taken: %s", bad[i]);
		assert_int_equal(err.kind, ERR_FAILED);
	}
}

static int
teardown(void **state)
{
	(void)state;
	buf_done(&seen);
	arena_done(&a);
	return 0;
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_teardown(test_##name, teardown)
		T(pieces_of_any_size), T(order_does_not_matter), T(hostile), T(bounds), T(items_say_what_they_are),
		T(items_without_a_name),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* What a watch remembers: news, and what is gone from a list made anew. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "steps/target/kube_known.h"

static char gone[256];

static void
on_gone(void *data, const char *key)
{
	(void)data;
	(void)snprintf(gone + strlen(gone), sizeof(gone) - strlen(gone), "%s ", key);
}

static const char *
end(struct kube_known *k)
{
	gone[0] = '\0';
	kube_known_end(k, on_gone, NULL);
	return gone;
}

static void
test_the_difference(void **state)
{
	struct kube_known k = { 0 };

	(void)state;
	kube_known_begin(&k);
	assert_true(kube_known_set(&k, "a", 1));
	assert_true(kube_known_set(&k, "b", 1));
	assert_true(kube_known_set(&k, "c", 1));
	assert_string_equal(end(&k), "");
	assert_true(kube_known_set(&k, "d", 2)); /* by the stream */
	kube_known_drop(&k, "a");
	kube_known_drop(&k, "never");
	kube_known_begin(&k);
	assert_false(kube_known_set(&k, "b", 1));
	assert_true(kube_known_set(&k, "c", 3));
	assert_true(kube_known_set(&k, "a", 4)); /* made again, under the same name */
	assert_string_equal(end(&k), "d ");
	kube_known_begin(&k);
	assert_string_equal(end(&k), "a b c ");
	assert_string_equal(end(&k), "");
	assert_true(kube_known_set(&k, "a", 0)); /* whose version is no number is always news */
	assert_true(kube_known_set(&k, "a", 0));
	kube_known_done(&k);
}

/* Names that come and go leave nothing behind; those that stay are still known. */
static void
test_names_that_come_and_go(void **state)
{
	struct kube_known k = { 0 };
	char key[32];

	(void)state;
	kube_known_begin(&k);
	(void)kube_known_set(&k, "stays", 1);
	for (int i = 0; i < 100000; i++) {
		(void)snprintf(key, sizeof(key), "pod-%d", i);
		assert_true(kube_known_set(&k, key, i + 1));
		kube_known_drop(&k, key);
	}
	assert_true(k.n < 5000);
	assert_false(kube_known_set(&k, "stays", 1));
	assert_string_equal(end(&k), "");
	kube_known_begin(&k);
	assert_string_equal(end(&k), "stays ");
	kube_known_done(&k);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_difference), cmocka_unit_test(test_names_that_come_and_go),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

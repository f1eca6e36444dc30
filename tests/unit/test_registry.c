/* SPDX-License-Identifier: Apache-2.0 */
/* What every step type and target kind has to say about itself, and the look-ups by name. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "base/text.h"
#include "steps/registry.h"

static void
check_fields(const char *of, const struct field *fields, size_t args_size)
{
	assert_non_null(fields);
	for (const struct field *f = fields; f->name != NULL; f++) {
		if (f->help == NULL || f->help[0] == '\0')
			fail_msg("%s: '%s' has no help", of, f->name);
		if (f->required && f->dflt != NULL)
			fail_msg("%s: '%s' is required and has a default", of, f->name);
		if (args_size > 0 && f->offset >= args_size)
			fail_msg("%s: '%s' lies outside of its struct", of, f->name);
		if (args_size > 0 && !text_is_name(f->name, strlen(f->name)))
			fail_msg("%s: '%s' is not a name of the plan language", of, f->name);
		for (const struct field *g = f + 1; g->name != NULL; g++)
			if (strcmp(f->name, g->name) == 0)
				fail_msg("%s: '%s' twice", of, f->name);
	}
}

static void
test_steps(void **state)
{
	(void)state;
	for (const struct step_type *const *t = registry.steps; *t != NULL; t++) {
		assert_non_null((*t)->summary);
		assert_ptr_equal(registry_step(&registry, (*t)->name), *t); /* so names are unique */
		if ((*t)->flags & STEP_LATER)
			continue;
		assert_non_null((*t)->run);
		assert_true((*t)->version > 0);
		check_fields((*t)->name, (*t)->inputs, (*t)->args_size);
		check_fields((*t)->name, (*t)->outputs, 0);
	}
}

static void
test_targets(void **state)
{
	(void)state;
	for (const struct target_type *const *t = registry.targets; *t != NULL; t++) {
		assert_non_null((*t)->summary);
		assert_non_null((*t)->open);
		assert_non_null((*t)->close);
		assert_ptr_equal(registry_target(&registry, (*t)->kind), *t);
		check_fields((*t)->kind, (*t)->fields, (*t)->args_size);
	}
}

static void
test_unknown_names(void **state)
{
	(void)state;
	assert_null(registry_step(&registry, "exe"));
	assert_null(registry_step(&registry, "exec.x"));
	assert_null(registry_step(&registry, ""));
	assert_null(registry_target(&registry, "files"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_steps),
		cmocka_unit_test(test_targets),
		cmocka_unit_test(test_unknown_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* The table of the plan language's words: each can be found, shown and understood. */
#include "language.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static void
test_rows(void **state)
{
	(void)state;
	for (const struct word *w = language; w->name != NULL; w++) {
		if (w->in == 0 || word_help(w) == NULL || strlen(word_help(w)) < 3)
			fail_msg("'%s' has no place or no help", w->name);
		if (w->shape == WORD_POLICY && schema_field(language_policy_fields, w->name) == NULL)
			fail_msg("'%s' is no field of a policy", w->name);
		if (((w->in & IN_DEFAULTS) != 0) != (w->shape == WORD_POLICY))
			fail_msg("'%s': what is a policy may stand in defaults, and nothing else", w->name);
		for (const struct word *other = w + 1; other->name != NULL; other++)
			if ((w->in & other->in) != 0 && strcmp(w->name, other->name) == 0)
				fail_msg("'%s' stands twice in one place", w->name);
	}
}

static void
test_policy_fields_are_words(void **state)
{
	(void)state;
	for (const struct field *f = language_policy_fields; f->name != NULL; f++) {
		const struct word *w = language;

		while (w->name != NULL && strcmp(w->name, f->name) != 0)
			w++;
		if (w->name == NULL || w->shape != WORD_POLICY)
			fail_msg("field '%s' of a policy is no word of a step", f->name);
	}
}

static void
test_help_names_every_word(void **state)
{
	struct buf b = BUF_INIT(0);

	(void)state;
	language_help(&b);
	for (const struct word *w = language; w->name != NULL; w++)
		if (w->shape != WORD_LATER && strstr(b.p, w->name) == NULL)
			fail_msg("'%s' is missing", w->name);
	buf_done(&b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rows),
		cmocka_unit_test(test_policy_fields_are_words),
		cmocka_unit_test(test_help_names_every_word),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

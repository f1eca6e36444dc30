/* SPDX-License-Identifier: Apache-2.0 */
/* The command-line parser: every spelling of an option, and every mistake said in one line. */
#include "options.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

/* Parse options_run; what is left of argv is not looked at. */
static int
parse(struct arena *a, char **argv, struct options *ret, struct err *err)
{
	int argc = 0, at = 0;

	while (argv[argc] != NULL)
		argc++;
	*ret = (struct options){ 0 };
	*err = ERR_INIT;
	while (at < argc)
		if (option_parse(options_common, options_run, a, argc, argv, &at, ret, err) < 0)
			return -1;
	return 0;
}

static void
test_spellings(void **state)
{
	char *argv[] = { "-p", "a=1", "-pb=2", "--param=c=3", "-qv", "-j", "4", "--state=/s", "--only", "x", "--only=y", NULL };
	struct arena a = ARENA_INIT;
	struct options o;
	struct err err;

	(void)state;
	assert_int_equal(parse(&a, argv, &o, &err), 0);
	assert_int_equal(o.params.n, 3);
	assert_string_equal(o.params.v[0], "a=1");
	assert_string_equal(o.params.v[1], "b=2");
	assert_string_equal(o.params.v[2], "c=3");
	assert_null(o.params.v[3]);
	assert_true(o.quiet && o.verbose && !o.yes);
	assert_int_equal(o.jobs, 4);
	assert_string_equal(o.state, "/s");
	assert_int_equal(o.only.n, 2);
	arena_done(&a);
}

static void
test_many_words(void **state)
{
	char *argv[102] = { 0 };
	struct arena a = ARENA_INIT;
	struct options o;
	struct err err;

	(void)state;
	for (size_t i = 0; i < 100; i++)
		argv[i] = i % 2 == 0 ? "-pk=v" : "--only=s";
	assert_int_equal(parse(&a, argv, &o, &err), 0);
	assert_int_equal(o.params.n, 50);
	assert_string_equal(o.only.v[49], "s");
	assert_null(o.only.v[50]);
	arena_done(&a);
}

static const struct row {
	const char *name, *word, *value, *message;
} mistakes[] = {
	{ "near", "--yess", NULL, "unknown option '--yess'; did you mean '--yes'?" },
	{ "far", "--zzzzzz", NULL, "unknown option '--zzzzzz'" },
	{ "letter", "-z", NULL, "unknown option '-z'" },
	{ "flag with value", "--yes=1", NULL, "--yes takes no value" },
	{ "no value", "--run-id", NULL, "--run-id needs a value: --run-id ID" },
	{ "no value of a letter", "-j", NULL, "-j needs a value: -j N" },
	{ "no number", "--jobs", "4x", "--jobs is a number from 1 to 1024, not '4x'" },
	{ "negative", "--jobs", "-1", "--jobs is a number from 1 to 1024, not '-1'" },
	{ "too many", "-j", "99999999999999999999", "--jobs is a number from 1 to 1024, not '99999999999999999999'" },
	{ "choice", "--format", "tt", "--format is one of tty|plain|json, not 'tt'" },
	{ "part of a choice", "--format", "tty|plain", "--format is one of tty|plain|json, not 'tty|plain'" },
};

static void
test_mistake(void **state)
{
	const struct row *row = *state;
	char word[64], value[64];
	char *argv[] = { word, row->value != NULL ? value : NULL, NULL };
	struct arena a = ARENA_INIT;
	struct options o;
	struct err err;

	strncpy(word, row->word, sizeof(word) - 1)[sizeof(word) - 1] = '\0';
	strncpy(value, row->value != NULL ? row->value : "", sizeof(value) - 1)[sizeof(value) - 1] = '\0';
	assert_int_equal(parse(&a, argv, &o, &err), -1);
	assert_int_equal(err.kind, ERR_USAGE);
	assert_string_equal(err.msg, row->message);
	arena_done(&a);
}

static void
test_given_twice(void **state)
{
	char *argv[] = { "--state", "a", "--state", "b", NULL };
	struct arena a = ARENA_INIT;
	struct options o;
	struct err err;

	(void)state;
	assert_int_equal(parse(&a, argv, &o, &err), -1);
	assert_string_equal(err.msg, "--state is given twice");
	arena_done(&a);
}

/* Every row of every table can be shown: a name, and help unless it is of a later version. */
static void
test_tables(void **state)
{
	static const struct option *const tables[] = { options_common, options_plan,   options_run,    options_resume,
						       options_status, options_resolve, options_report, options_steps, options_graph, options_validate,
						       options_forget, options_runs };

	(void)state;
	for (size_t t = 0; t < countof(tables); t++)
		for (const struct option *o = tables[t]; o->name != NULL; o++) {
			assert_true(o->kind == OPTION_LATER || o->help != NULL);
			assert_true(o->kind == OPTION_FLAG || o->kind == OPTION_LATER || o->arg != NULL);
		}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_spellings),
		cmocka_unit_test(test_many_words),
		cmocka_unit_test(test_given_twice),
		cmocka_unit_test(test_tables),
	};
	struct CMUnitTest rows[countof(mistakes)];
	int failed = cmocka_run_group_tests(tests, NULL, NULL);

	for (size_t i = 0; i < countof(mistakes); i++)
		rows[i] = (struct CMUnitTest){ .name = mistakes[i].name, .test_func = test_mistake,
					       .initial_state = (void *)(uintptr_t)&mistakes[i] };
	return failed + cmocka_run_group_tests_name("mistakes", rows, NULL, NULL);
}

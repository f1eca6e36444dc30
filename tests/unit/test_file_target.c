/* SPDX-License-Identifier: Apache-2.0 */
/* The target kind of files, with real files. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "step.h"
#include "steps/target/targets.h"

struct world {
	struct opctx op;
	struct arena arena;
	char dir[64];
	const char *path; /* DIR/f */
};

static int
setup(void **state)
{
	struct world *w = test_malloc(sizeof(*w));

	*w = (struct world){ .dir = "/tmp/wherry-file-XXXXXX" };
	w->op.arena = &w->arena;
	assert_non_null(mkdtemp(w->dir));
	w->path = arena_printf(&w->arena, "%s/f", w->dir);
	*state = w;
	return 0;
}

static int
teardown(void **state)
{
	struct world *w = *state;

	assert_int_equal(system(arena_printf(&w->arena, "rm -rf '%s'", w->dir)), 0);
	arena_done(&w->arena);
	test_free(w);
	return 0;
}

static void
put(const char *path, const char *text, size_t len)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, len), (ssize_t)len);
	close(fd);
}

static struct effect
effect(struct world *w, const char *verb, const char *path, const char *content, const char *mode)
{
	struct pair *body = arena_array(&w->arena, 3, sizeof(*body));

	body[0] = (struct pair){ "path", value_str(path) };
	body[1] = (struct pair){ "content", value_str(content != NULL ? content : "") };
	body[2] = (struct pair){ "mode", value_str(mode != NULL ? mode : "") };
	return (struct effect){ .on = { NULL, path }, .verb = verb, .body = value_map(body, content != NULL ? 3 : 1),
				.class = EFFECT_PROBE };
}

static struct value
look(struct world *w, const char *path)
{
	struct err err = ERR_INIT;
	struct value v;

	if (file_target.read(&w->op, NULL, path, &v, &err) < 0)
		fail_msg("%s", err.msg);
	return v;
}

static struct value
perform(struct world *w, const struct effect *e)
{
	struct reply reply = { 0 };
	struct err err = ERR_INIT;

	if (file_target.write(&w->op, NULL, e, "n", &reply, &err) < 0)
		fail_msg("%s", err.msg);
	assert_int_equal(reply.outcome, OUTCOME_OK);
	return reply.value;
}

static void
assert_refused(struct world *w, const struct effect *e, const char *why)
{
	struct reply reply = { 0 };
	struct err err = ERR_INIT;

	assert_int_equal(file_target.write(&w->op, NULL, e, "n", &reply, &err), -1);
	assert_int_not_equal(err.kind, ERR_UNKNOWN);
	if (strstr(err.msg, why) == NULL)
		fail_msg("'%s' does not say '%s'", err.msg, why);
}

static void
test_absent_reads_as_null(void **state)
{
	struct world *w = *state;

	assert_int_equal(look(w, w->path).kind, V_NULL);
}

static void
test_read(void **state)
{
	struct world *w = *state;
	struct value v;

	put(w->path, "a\0b\xff", 4);
	v = look(w, w->path);
	assert_string_equal(value_get_str(&v, "path", ""), w->path);
	assert_int_equal(value_get_int(&v, "size", -1), 4);
	assert_string_equal(value_get_str(&v, "mode", ""), "0600");
	assert_int_equal(value_get(&v, "content")->len, 4);
	assert_memory_equal(value_get(&v, "content")->s, "a\0b\xff", 4);
	put(w->path, "abc", 3);
	v = look(w, w->path);
	assert_string_equal(value_get_str(&v, "sha256", ""),
			    "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
	put(w->path, "", 0);
	v = look(w, w->path);
	assert_int_equal(value_get(&v, "content")->len, 0);
}

static void
test_only_regular_files_are_read(void **state)
{
	struct world *w = *state;
	struct err err = ERR_INIT;
	struct value v;

	assert_int_equal(file_target.read(&w->op, NULL, w->dir, &v, &err), -1);
	assert_int_equal(mkfifo(w->path, 0600), 0);
	assert_int_equal(file_target.read(&w->op, NULL, w->path, &v, &err), -1);
	assert_non_null(strstr(err.msg, "not a regular file"));
}

static void
test_too_large_is_refused(void **state)
{
	struct world *w = *state;
	struct err err = ERR_INIT;
	struct value v;

	put(w->path, "", 0);
	assert_int_equal(truncate(w->path, (16 << 20) + 1), 0);
	assert_int_equal(file_target.read(&w->op, NULL, w->path, &v, &err), -1);
	assert_int_equal(err.kind, ERR_FAILED);
	assert_non_null(strstr(err.msg, "16 MiB"));
}

static void
test_write_creates_with_its_mode(void **state)
{
	struct world *w = *state;
	struct effect e = effect(w, "write", w->path, "new", "0664");
	const mode_t old = umask(077);
	struct value after = perform(w, &e), now = look(w, w->path);

	umask(old);
	assert_string_equal(value_get_str(&now, "content", ""), "new");
	assert_string_equal(value_get_str(&now, "mode", ""), "0664");
	assert_true(value_eq(&after, &now));
}

static void
test_write_replaces(void **state)
{
	struct world *w = *state;
	struct effect e = effect(w, "write", w->path, "new", "0644");
	struct value after, now;

	put(w->path, "older and longer", 16);
	after = perform(w, &e);
	now = look(w, w->path);
	assert_true(value_eq(&after, &now));
	assert_string_equal(value_get_str(&now, "content", ""), "new");
}

static void
test_only_regular_files_are_replaced(void **state)
{
	struct world *w = *state;
	const char *link = arena_printf(&w->arena, "%s/link", w->dir);
	const char *dangling = arena_printf(&w->arena, "%s/dangling", w->dir);
	const char *away = arena_printf(&w->arena, "%s/no/such/f", w->dir);
	struct effect on_link = effect(w, "write", link, "new", "0644");
	struct effect on_dangling = effect(w, "write", dangling, "new", "0644");
	struct effect on_dir = effect(w, "write", w->dir, "new", "0644");
	struct effect remove_link = effect(w, "remove", link, NULL, NULL);
	struct effect nowhere = effect(w, "write", away, "new", "0644");
	struct value now;

	put(w->path, "old", 3);
	assert_int_equal(symlink(w->path, link), 0);
	assert_int_equal(symlink("/nowhere/at/all", dangling), 0);
	assert_refused(w, &on_link, "symbolic link");
	assert_refused(w, &remove_link, "symbolic link");
	assert_refused(w, &on_dangling, "symbolic link");
	assert_refused(w, &on_dir, "folder");
	assert_refused(w, &nowhere, "No such file");
	now = look(w, w->path);
	assert_string_equal(value_get_str(&now, "content", ""), "old");
}

static void
test_remove(void **state)
{
	struct world *w = *state;
	struct effect e = effect(w, "remove", w->path, NULL, NULL);

	put(w->path, "old", 3);
	assert_int_equal(perform(w, &e).kind, V_NULL);
	assert_int_equal(look(w, w->path).kind, V_NULL);
	assert_int_equal(perform(w, &e).kind, V_NULL); /* gone already */
}

static void
test_same(void **state)
{
	struct world *w = *state;
	struct effect e = effect(w, "write", w->path, "x", "0600");
	struct effect other_mode = effect(w, "write", w->path, "x", "0644");
	struct effect other_content = effect(w, "write", w->path, "y", "0600");
	struct effect gone = effect(w, "remove", w->path, NULL, NULL);
	struct value before = look(w, w->path);

	assert_false(file_target.same(&e, &before));
	assert_true(file_target.same(&gone, &before));
	put(w->path, "x", 1);
	before = look(w, w->path);
	assert_true(file_target.same(&e, &before));
	assert_false(file_target.same(&other_mode, &before));
	assert_false(file_target.same(&other_content, &before));
	assert_false(file_target.same(&gone, &before));
}

static struct prediction
predict(struct world *w, const char *path)
{
	struct effect e = effect(w, "write", path, "x", "0600");
	struct value before = VALUE_NULL;
	struct prediction ret = { 0 };
	struct err err = ERR_INIT;

	assert_int_equal(file_target.predict(&w->op, NULL, &e, &before, &ret, &err), 0);
	return ret;
}

static void
test_predict_tells_and_does_not_touch(void **state)
{
	struct world *w = *state;
	struct prediction p = predict(w, w->path);

	assert_int_equal(p.confidence, CONF_EXACT);
	assert_string_equal(value_get_str(&p.after, "content", ""), "x");
	assert_int_equal(look(w, w->path).kind, V_NULL);
	assert_int_equal(predict(w, arena_printf(&w->arena, "%s/made/later", w->dir)).confidence, CONF_PREDICTED);
	assert_int_equal(predict(w, w->dir).confidence, CONF_PREDICTED);
}

static enum probe
probe(struct world *w, const struct value *before)
{
	struct effect e = effect(w, "write", w->path, "new", "0600");
	struct err err = ERR_INIT;
	enum probe ret;

	assert_int_equal(file_target.probe(&w->op, NULL, &e, "n", before, &ret, &err), 0);
	return ret;
}

static void
test_probe(void **state)
{
	struct world *w = *state;
	struct value absent = look(w, w->path), before;

	assert_int_equal(probe(w, &absent), PROBE_NOT_DONE);
	put(w->path, "old", 3);
	before = look(w, w->path);
	assert_int_equal(probe(w, &absent), PROBE_OTHER);
	assert_int_equal(probe(w, &before), PROBE_NOT_DONE);
	put(w->path, "new", 3);
	assert_int_equal(probe(w, &before), PROBE_DONE_BY_US);
	put(w->path, "foreign", 7);
	assert_int_equal(probe(w, &before), PROBE_OTHER);
}

static void
invert_and_perform(struct world *w, const struct effect *e, const struct value *before, const struct value *after)
{
	struct effect back;
	struct err err = ERR_INIT;

	assert_int_equal(file_target.invert(&w->arena, e, before, after, &back, &err), 0);
	assert_non_null(back.says);
	perform(w, &back);
}

static void
test_invert_takes_back(void **state)
{
	struct world *w = *state;
	struct effect e = effect(w, "write", w->path, "new", "0644");
	struct effect gone = effect(w, "remove", w->path, NULL, NULL);
	struct value before = look(w, w->path), after = perform(w, &e), now;

	invert_and_perform(w, &e, &before, &after);
	assert_int_equal(look(w, w->path).kind, V_NULL);
	put(w->path, "old", 3);
	before = look(w, w->path);
	after = perform(w, &e);
	invert_and_perform(w, &e, &before, &after);
	now = look(w, w->path);
	assert_true(value_eq(&now, &before));
	after = perform(w, &gone);
	invert_and_perform(w, &gone, &before, &after);
	now = look(w, w->path);
	assert_true(value_eq(&now, &before));
}

static void
test_no_inverse_of_the_unknown(void **state)
{
	struct world *w = *state;
	struct effect e = effect(w, "write", w->path, "new", "0644"), back;
	struct value before = value_unknown("why"), after = VALUE_NULL;
	struct err err = ERR_INIT;

	assert_int_equal(file_target.invert(&w->arena, &e, &before, &after, &back, &err), -1);
}

static void
assert_other(struct world *w, const struct value *left, const char *why)
{
	struct err err = ERR_INIT;

	assert_int_equal(file_target.recheck(&w->op, w->path, left, &err), -1);
	if (strstr(err.msg, why) == NULL || strstr(err.msg, w->path) == NULL)
		fail_msg("'%s' does not say '%s'", err.msg, why);
}

static void
test_recheck(void **state)
{
	struct world *w = *state;
	const struct effect e = effect(w, "write", w->path, "left so", "0644");
	const struct value left = perform(w, &e), nothing = VALUE_NULL;
	struct err err = ERR_INIT;

	assert_int_equal(file_target.recheck(&w->op, w->path, &left, &err), 0);
	assert_int_equal(file_target.recheck(&w->op, w->path, &nothing, &err), 0); /* removed, and there again */
	put(w->path, "left s!", 7);
	assert_other(w, &left, "is not as this step left it");
	assert_int_equal(unlink(w->path), 0);
	assert_other(w, &left, "gone");
	assert_int_equal(mkdir(w->path, 0700), 0);
	assert_other(w, &left, "regular");
	assert_int_equal(rmdir(w->path), 0);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_absent_reads_as_null),
		TEST(test_read),
		TEST(test_only_regular_files_are_read),
		TEST(test_too_large_is_refused),
		TEST(test_write_creates_with_its_mode),
		TEST(test_write_replaces),
		TEST(test_only_regular_files_are_replaced),
		TEST(test_remove),
		TEST(test_same),
		TEST(test_predict_tells_and_does_not_touch),
		TEST(test_probe),
		TEST(test_recheck),
		TEST(test_invert_takes_back),
		TEST(test_no_inverse_of_the_unknown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

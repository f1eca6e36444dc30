/* SPDX-License-Identifier: Apache-2.0 */
/* The inbox of a run: messages come in the order they were left, one that is no message is handed over as such and can be
 * put aside, and nothing that lies there can stop the look. */
#include "journal_test.h"

#include <fcntl.h>

struct look {
	struct journal *j;
	struct buf text;        /* "approve:a:yes,!" */
	char names[16][64];
	size_t n;
};

static void
on_message(void *data, const char *name, const struct record *r, const struct err *why)
{
	struct look *look = data;

	if (look->text.len > 0)
		buf_putc(&look->text, ',');
	if (r != NULL)
		buf_printf(&look->text, "%s:%s:%s", record_type_name(r->type), r->step, r->says != NULL ? r->says : r->status);
	else
		buf_puts(&look->text, why->msg[0] != '\0' ? "!" : "?");
	assert_true(look->n < countof(look->names));
	(void)snprintf(look->names[look->n++], sizeof(look->names[0]), "%s", name);
}

static void
expect_look(struct journal *j, struct look *look, const char *want)
{
	buf_clear(&look->text);
	look->n = 0;
	journal_inbox(j, on_message, look);
	assert_string_equal(look->text.len > 0 ? look->text.p : "", want);
}

static const char *
leave(const struct box *b, struct arena *a, struct record r)
{
	struct err err = ERR_INIT;
	const char *name;

	r.user = "ann";
	r.host = "here";
	OK(journal_leave(b->dir, RUN, &r, a, &name, &err));
	return name;
}

#define WORD(id) ((struct record){ .type = REC_APPROVE, .step = id, .status = "approved" })

static void
left_and_taken(void **state)
{
	const struct box *b = *state;
	struct arena a = ARENA_INIT;
	struct look look = { 0 };
	struct journal *j = create(b);
	const char *first, *second;
	struct record r = WORD("two");

	expect_look(j, &look, ""); /* nobody has ever left anything */
	r.says = "later";
	first = leave(b, &a, WORD("one"));
	while ((second = leave(b, &a, r), strncmp(first, second, 13) == 0)) /* the order is that of milliseconds */
		assert_true(journal_take_back(b->dir, RUN, second));
	expect_look(j, &look, "approve:one:approved,approve:two:later");
	assert_string_equal(look.names[0], first);
	assert_int_equal(journal_left(b->dir, RUN, first), LEFT_THERE);
	assert_int_equal(journal_taken(j, first), 0);
	assert_int_equal(journal_taken(j, first), 0); /* gone is gone */
	assert_int_equal(journal_left(b->dir, RUN, first), LEFT_TAKEN);
	assert_int_equal(journal_refused(j, second), 0);
	assert_int_equal(journal_left(b->dir, RUN, second), LEFT_REFUSED);
	assert_false(journal_take_back(b->dir, RUN, second));
	expect_look(j, &look, "");
	journal_free(j);
	buf_done(&look.text);
	arena_done(&a);
}

static void
put_file(const struct box *b, const char *name, const char *text, mode_t mode)
{
	char path[256];
	int fd;

	(void)snprintf(path, sizeof(path), "%s/%s/inbox/%s", b->dir, RUN, name);
	fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	assert_true(fd >= 0 && fchmod(fd, mode) == 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	(void)close(fd);
}

static void
what_is_no_message(void **state)
{
	static const struct {
		const char *name, *text;
		mode_t mode;
	} files[] = {
		{ "00-empty", "", 0600 },
		{ "01-text", "hello\n", 0600 },
		{ "02-two", "{\"host\":\"h\",\"st\":\"done\",\"step\":\"a\",\"t\":\"resolve\",\"user\":\"u\"}\n\n", 0600 },
		{ "03-open", "{\"host\":\"h\",\"st\":\"done\",\"step\":\"a\",\"t\":\"resolve\",\"user\":\"u\"}\n", 0622 },
		{ "04-close", "{\"host\":\"h\",\"st\":\"done\",\"step\":\"a\",\"t\":\"close\",\"user\":\"u\"}\n", 0600 },
		{ "05-nobody", "{\"st\":\"done\",\"step\":\"a\",\"t\":\"resolve\"}\n", 0600 },
		{ "06-word", "{\"host\":\"h\",\"st\":\"approved\",\"step\":\"a\",\"t\":\"resolve\",\"user\":\"u\"}\n", 0600 },
		{ "07-good", "{\"host\":\"h\",\"st\":\"done\",\"step\":\"a\",\"t\":\"resolve\",\"user\":\"u\"}\n", 0600 },
		{ "08-half.tmp.12", "{", 0600 },
	};
	const struct box *b = *state;
	struct arena a = ARENA_INIT;
	struct look look = { 0 };
	struct journal *j = create(b);
	char path[256];

	assert_true(journal_take_back(b->dir, RUN, leave(b, &a, WORD("one")))); /* makes the folder */
	for (size_t i = 0; i < countof(files); i++)
		put_file(b, files[i].name, files[i].text, files[i].mode);
	(void)snprintf(path, sizeof(path), "%s/%s/inbox/09-fifo", b->dir, RUN);
	assert_int_equal(mkfifo(path, 0600), 0);
	(void)snprintf(path, sizeof(path), "%s/%s/inbox/10-folder", b->dir, RUN);
	assert_int_equal(mkdir(path, 0700), 0);
	(void)snprintf(path, sizeof(path), "%s/%s/inbox/11-link", b->dir, RUN);
	assert_int_equal(symlink("07-good", path), 0);
	expect_look(j, &look, "!,!,!,!,!,!,!,resolve:a:done,!,!,!");
	for (size_t i = 0; i < look.n; i++)
		assert_int_equal(journal_refused(j, look.names[i]), 0);
	expect_look(j, &look, "");
	journal_free(j);
	buf_done(&look.text);
	arena_done(&a);
}

static void
too_long(void **state)
{
	const struct box *b = *state;
	struct arena a = ARENA_INIT;
	struct journal *j = create(b);
	char *text = arena_alloc(&a, 70000);
	struct record r = WORD("one");
	struct err err = ERR_INIT;
	const char *name;

	memset(text, 'x', 69999);
	r.msg = text;
	assert_int_equal(journal_leave(b->dir, RUN, &r, &a, &name, &err), -1);
	assert_int_equal(err.kind, ERR_USAGE);
	journal_free(j);
	arena_done(&a);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, box_setup, box_teardown)
		T(left_and_taken), T(what_is_no_message), T(too_long),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* What the tests of the journal share: a state folder of its own for each test, and short ways to write and
 * read. */
#ifndef WHERRY_JOURNAL_TEST_H
#define WHERRY_JOURNAL_TEST_H

#include <fcntl.h>
#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "journal_file.h"

#define RUN "r1"

struct box {
	char dir[64];
	char file[96]; /* the journal of RUN */
};

static inline int
box_remove(const char *path, const struct stat *st, int kind, struct FTW *ftw)
{
	(void)st, (void)kind, (void)ftw;
	return remove(path);
}

static inline int
box_setup(void **state)
{
	struct box *b = xcalloc(1, sizeof(*b));

	(void)snprintf(b->dir, sizeof(b->dir), "/tmp/wherry-journal-XXXXXX");
	if (mkdtemp(b->dir) == NULL)
		return -1;
	(void)snprintf(b->file, sizeof(b->file), "%s/%s/journal", b->dir, RUN);
	*state = b;
	return 0;
}

static inline int
box_teardown(void **state)
{
	struct box *b = *state;

	(void)nftw(b->dir, box_remove, 8, FTW_DEPTH | FTW_PHYS);
	free(b);
	return 0;
}

#define OK(call) do { \
	if ((call) != 0) \
		fail_msg("%s: %s", #call, err.msg); \
} while (0)

static inline struct journal *
create(const struct box *b)
{
	struct pair pairs[] = { { "plan", value_str("demo") }, { "run", value_str(RUN) } };
	struct value v = value_map(pairs, countof(pairs));
	struct record r = { .type = REC_OPEN, .wall = 1, .value = &v };
	struct err err = ERR_INIT;
	struct journal *j = NULL;

	OK(journal_create(b->dir, RUN, &r, NULL, 0, &j, &err));
	return j;
}

/* Add a note whose msg is text, and commit. */
static inline void
put(struct journal *j, const char *text)
{
	struct err err = ERR_INIT;

	OK(journal_add(j, &(struct record){ .type = REC_NOTE, .msg = text }, &err));
	OK(journal_commit(j, &err));
}

/* What a reader saw: "open,note:a,tail,…" */
struct seen {
	struct buf text;
	uint64_t records;
};

static inline int
see(void *data, uint64_t seq, const struct record *r, struct err *err)
{
	struct seen *s = data;

	(void)err;
	assert_int_equal(seq, ++s->records);
	if (s->text.len > 0)
		buf_putc(&s->text, ',');
	buf_puts(&s->text, record_type_name(r->type));
	if (r->type == REC_NOTE)
		buf_printf(&s->text, ":%.20s", r->msg);
	return 0;
}

/* Read RUN; 0 with the records compared to want, or -1. */
static inline int
check_read(const struct box *b, const char *want, struct journal_info *info, struct err *err)
{
	struct seen s = { .text = BUF_INIT(0) };
	int rc = journal_read(b->dir, RUN, see, &s, info, err);

	if (rc == 0 && want != NULL)
		assert_string_equal(s.text.p, want);
	if (rc == 0)
		assert_int_equal(info->records, s.records);
	buf_done(&s.text);
	return rc;
}

static inline struct journal *
reopen(const struct box *b, const char *want, struct journal_info *info)
{
	struct seen s = { .text = BUF_INIT(0) };
	struct err err = ERR_INIT;
	struct journal *j = NULL;

	OK(journal_open(b->dir, RUN, see, &s, &j, info, &err));
	assert_string_equal(s.text.p, want);
	buf_done(&s.text);
	return j;
}

static inline void
slurp(const char *path, struct buf *to)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	char chunk[65536];
	ssize_t n;

	assert_true(fd >= 0);
	while ((n = read(fd, chunk, sizeof(chunk))) > 0)
		buf_put(to, chunk, (size_t)n);
	(void)close(fd);
}

static inline void
poke(const char *path, uint64_t at, const void *p, size_t len)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	assert_true(fd >= 0 && pwrite(fd, p, len, (off_t)at) == (ssize_t)len);
	(void)close(fd);
}

static inline uint64_t
size_of(const char *path)
{
	struct stat st;

	assert_int_equal(stat(path, &st), 0);
	return (uint64_t)st.st_size;
}

#endif

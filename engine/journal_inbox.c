/* SPDX-License-Identifier: Apache-2.0 */
/* Owns DIR/RUN/inbox/: messages of one record that other processes leave for the holder of the lock, each a whole file
 * by tmp, sync and rename. The holder takes them in the order of their names (time, then chance) and removes one only
 * when its word is durable in the journal. What is no message is put aside in inbox/refused/; nothing here waits. */
#include "journal_file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fault.h"
#include "base/io.h"

#define MESSAGE_MAX (64U << 10)
#define LOOK_MAX 1000 /* messages of one look; the others wait for the next */

static const char *
inbox_path(struct arena *a, const char *folder, const char *name)
{
	return io_join(a, io_join(a, folder, "inbox"), name);
}

int
journal_leave(const char *dir, const char *run, const struct record *r, struct arena *a, const char **ret_name, struct err *err)
{
	const char *folder = store_folder(a, dir, run, err);
	unsigned char unique[4];
	char hex[2 * sizeof(unique) + 1];
	struct buf line = BUF_INIT(0);
	int rc = -1;

	if (folder == NULL)
		return -1;
	random_bytes(unique, sizeof(unique));
	hex_encode(unique, sizeof(unique), hex);
	*ret_name = arena_printf(a, "%013" PRId64 "-%s", clock_wall_ms(), hex);
	record_write(&line, r);
	if (line.len > MESSAGE_MAX)
		err_set(err, ERR_USAGE, "the text is too long: %zu bytes, at most %u", line.len, MESSAGE_MAX);
	else if (io_private_dir(io_join(a, folder, "inbox"), err) == 0)
		rc = io_replace(inbox_path(a, folder, *ret_name), line.p, line.len, 0600, err);
	buf_done(&line);
	return rc;
}

static bool
exists(const char *path)
{
	struct stat st;

	return lstat(path, &st) == 0;
}

enum left
journal_left(const char *dir, const char *run, const char *name)
{
	struct arena scratch = ARENA_INIT;
	const char *folder = io_join(&scratch, dir, run);
	enum left ret = LEFT_TAKEN;

	if (exists(inbox_path(&scratch, folder, name)))
		ret = LEFT_THERE;
	else if (exists(inbox_path(&scratch, folder, io_join(&scratch, "refused", name))))
		ret = LEFT_REFUSED;
	arena_done(&scratch);
	return ret;
}

bool
journal_take_back(const char *dir, const char *run, const char *name)
{
	struct arena scratch = ARENA_INIT;
	const bool ret = unlink(inbox_path(&scratch, io_join(&scratch, dir, run), name)) == 0;

	arena_done(&scratch);
	return ret;
}

/* The file's bytes without its newline: ours alone, regular, and one line. */
static int
read_message(const char *path, struct buf *to, struct err *err)
{
	const int fd = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	struct stat st;
	int rc = -1;

	if (fd < 0 || fstat(fd, &st) < 0)
		err_errno(err, "open");
	else if (!S_ISREG(st.st_mode) || st.st_uid != geteuid() || (st.st_mode & 077) != 0)
		err_set(err, ERR_REFUSED, "not a file of our own that others can neither read nor write");
	else
		rc = io_read_fd(fd, "message", MESSAGE_MAX, to, err);
	if (fd >= 0)
		(void)close(fd);
	if (rc == 0 && (to->len == 0 || memchr(to->p, '\n', to->len) != to->p + to->len - 1))
		rc = err_set(err, ERR_REFUSED, "not one whole line");
	return rc;
}

static int
check_message(const struct record *r, struct err *err)
{
	static const char *const words[][2] = { { "approved", "rejected" }, { "done", "not-done" } };
	const bool approve = r->type == REC_APPROVE;

	if (!approve && r->type != REC_RESOLVE)
		return err_set(err, ERR_REFUSED, "a record of type %s is no message", record_type_name(r->type));
	if (r->step == NULL || r->user == NULL || r->host == NULL)
		return err_set(err, ERR_REFUSED, "it does not name its step, user and host");
	if (r->status == NULL || (strcmp(r->status, words[!approve][0]) != 0 && strcmp(r->status, words[!approve][1]) != 0))
		return err_set(err, ERR_REFUSED, "its word is neither '%s' nor '%s'", words[!approve][0], words[!approve][1]);
	return 0;
}

static void
hand_over(const char *path, const char *name, journal_message_fn *fn, void *data)
{
	struct arena scratch = ARENA_INIT;
	struct buf line = BUF_INIT(MESSAGE_MAX);
	struct err why = ERR_INIT;
	struct record r;

	if (read_message(path, &line, &why) == 0 && record_parse(&scratch, line.p, line.len - 1, &r, &why) == 0 &&
	    check_message(&r, &why) == 0)
		fn(data, name, &r, NULL);
	else
		fn(data, name, NULL, &why);
	buf_done(&line);
	arena_done(&scratch);
}

static int
by_name(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

void
journal_inbox(struct journal *j, journal_message_fn *fn, void *data)
{
	struct arena scratch = ARENA_INIT;
	DIR *d = opendir(io_join(&scratch, j->folder, "inbox"));
	const char **names = NULL;
	struct dirent *e;
	size_t n = 0;

	if (d == NULL) { /* nobody has ever left anything */
		arena_done(&scratch);
		return;
	}
	names = arena_array(&scratch, LOOK_MAX, sizeof(*names));
	while (n < LOOK_MAX && (e = readdir(d)) != NULL)
		if (e->d_name[0] != '.' && strstr(e->d_name, ".tmp.") == NULL && strcmp(e->d_name, "refused") != 0)
			names[n++] = arena_strdup(&scratch, e->d_name);
	(void)closedir(d);
	qsort(names, n, sizeof(*names), by_name);
	for (size_t i = 0; i < n; i++) {
		FAULT("inbox.read");
		hand_over(inbox_path(&scratch, j->folder, names[i]), names[i], fn, data);
	}
	arena_done(&scratch);
}

int
journal_taken(struct journal *j, const char *name)
{
	struct arena scratch = ARENA_INIT;
	const int ret = unlink(inbox_path(&scratch, j->folder, name));

	FAULT("inbox.taken");
	arena_done(&scratch);
	return ret < 0 && errno != ENOENT ? -1 : 0;
}

int
journal_refused(struct journal *j, const char *name)
{
	struct arena scratch = ARENA_INIT;
	const char *from = inbox_path(&scratch, j->folder, name), *aside = inbox_path(&scratch, j->folder, "refused");
	int ret = mkdir(aside, 0700) == 0 || errno == EEXIST ? rename(from, io_join(&scratch, aside, name)) : -1;

	arena_done(&scratch);
	return ret < 0 && errno != ENOENT ? -1 : 0;
}

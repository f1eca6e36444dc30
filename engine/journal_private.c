/* SPDX-License-Identifier: Apache-2.0 */
/* Owns `private` in the run's folder: the values that may hold secrets, each a line of canonical JSON, one after the
 * other, so that forgetting them is one unlink. The journal names a value by place, length and SHA-256
 * ("private 4096+120 HASH"), and what was torn or damaged since is refused by that name. What makes it true:
 *
 *  1. All values of a commit are written and made durable, by one sync, before the batch that names them is written.
 *  2. The file is reserved ahead in steps of zeroes, as the journal is: room for what an effect's end will leave is
 *     durable with its intent, so a full disk cannot lose the record of work done.
 *  3. No byte is written twice: who takes over appends behind the whole of the file, torn values and zeroes included. */
#include "journal_file.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fault.h"
#include "base/io.h"

#define PRIVATE "private"
#define PRIVATE_VALUE_MAX ((size_t)256 << 20)

static int
open_file(const char *folder, int flags, int *ret_fd, uint64_t *ret_size, struct err *err)
{
	struct arena scratch = ARENA_INIT;
	const char *path = io_join(&scratch, folder, PRIVATE);
	int fd = open(path, flags | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0600), rc = 0;
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		rc = err_errno(err, "open '%s'", path);
	else if (!S_ISREG(st.st_mode))
		rc = err_set(err, ERR_REFUSED, "'%s' is not a regular file", path);
	if (rc == 0) {
		*ret_fd = fd;
		*ret_size = (uint64_t)st.st_size;
	} else if (fd >= 0) {
		(void)close(fd);
	}
	arena_done(&scratch);
	return rc;
}

int
private_open(struct journal *j, struct err *err)
{
	struct private *p = &j->private;
	struct err why = ERR_INIT;

	if (open_file(j->folder, O_RDWR, &p->fd, &p->reserved, &why) < 0 && why.sys != ENOENT) {
		*err = why;
		return -1;
	}
	p->end = p->reserved;
	return 0;
}

static int
make(struct journal *j, struct err *err)
{
	struct private *p = &j->private;

	if (open_file(j->folder, O_RDWR | O_CREAT | O_EXCL, &p->fd, &p->reserved, err) < 0)
		return err_next(err, "see to the disk, then: wherry resume %s", strrchr(j->folder, '/') + 1);
	if (fchmod(p->fd, 0600) < 0)
		err_errno(err, "mode of '%s/" PRIVATE "'", j->folder);
	else if (io_sync_dir(j->folder, err) == 0)
		return 0;
	return journal_fail(j, err);
}

int
private_reserve(struct journal *j, const struct record *r, struct err *err)
{
	struct private *p = &j->private;
	uint64_t owed = p->owed, want;

	if (r->type == REC_INTENT)
		owed += r->room;
	else
		owed -= r->room < owed ? r->room : owed;
	want = p->end + p->staged.len + owed;
	if (want > p->reserved &&
	    ((p->fd < 0 && make(j, err) < 0) || journal_grow(j, p->fd, PRIVATE, &p->reserved, want, err) < 0))
		return -1;
	p->owed = owed;
	return 0;
}

void
private_stage(struct journal *j, const struct buf *bytes, char ret_name[STORED_NAME])
{
	struct private *p = &j->private;
	char hex[SHA256_HEX];

	sha256_hex(bytes->p, bytes->len, hex);
	(void)snprintf(ret_name, STORED_NAME, PRIVATE " %" PRIu64 "+%zu %s", p->end + p->staged.len, bytes->len, hex);
	buf_put(&p->staged, bytes->p, bytes->len);
	buf_putc(&p->staged, '\n');
}

int
private_commit(struct journal *j, struct err *err)
{
	struct private *p = &j->private;

	if (p->staged.len == 0)
		return 0;
	if (io_pwrite_all(p->fd, p->staged.p, p->staged.len, (off_t)p->end, err) < 0)
		return journal_fail(j, err);
	FAULT("journal.private.written");
	if (!SABOTAGED(PRIVATE_SYNC) && journal_sync(p->fd, true) < 0) {
		err_errno(err, "sync '%s'", PRIVATE);
		return journal_fail(j, err);
	}
	FAULT("journal.private.synced");
	p->end += p->staged.len;
	buf_done(&p->staged);
	return 0;
}

void
private_done(struct private *p)
{
	if (p->fd >= 0)
		(void)close(p->fd);
	buf_done(&p->staged);
}

bool
private_is_name(const char *name)
{
	return strncmp(name, PRIVATE " ", sizeof(PRIVATE)) == 0;
}

static int
read_at(int fd, uint64_t at, size_t len, struct buf *to)
{
	char *room = buf_grow(to, len);
	size_t got = 0;
	ssize_t n = 1;

	while (room != NULL && got < len && n != 0) {
		n = pread(fd, room + got, len - got, (off_t)(at + got));
		if (n < 0 && errno != EINTR)
			return -1;
		got += n > 0 ? (size_t)n : 0;
	}
	to->len += got;
	return 0;
}

int
private_get(const char *folder, int *fd, const char *name, struct buf *to, struct err *err)
{
	const size_t from = to->len;
	char hex[SHA256_HEX], wanted[SHA256_HEX];
	uint64_t at, ignored;
	size_t len;

	if (sscanf(name, PRIVATE " %15" SCNu64 "+%9zu %64s", &at, &len, wanted) != 3 || len > PRIVATE_VALUE_MAX)
		return err_set(err, ERR_REFUSED, "'%.128s' names no value of '%s/" PRIVATE "'", name, folder);
	if (*fd < 0 && open_file(folder, O_RDONLY, fd, &ignored, err) < 0) {
		if (err->sys == ENOENT)
			err->kind = ERR_REFUSED;
		return -1;
	}
	if (read_at(*fd, at, len, to) < 0)
		return err_errno(err, "read '%s/" PRIVATE "'", folder);
	sha256_hex(to->len > from ? to->p + from : "", to->len - from, hex);
	if (to->len - from == len && strcmp(hex, wanted) == 0)
		return 0;
	return err_set(err, ERR_REFUSED, "'%s/" PRIVATE "' is damaged: the %zu bytes at %" PRIu64
		       " do not match their hash in the journal", folder, len, at);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Owns the ways bytes reach and leave the disk. A name appears only with whole content behind it, what returned 0
 * survives a power cut, and a lock belongs to an open file, so that the death of its holder always frees it. */
#include "base/io.h"

#include "base/fault.h"
#include "base/text.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#define CHUNK 65536
#define HOLDER_MAX 512

int
io_write_all(int fd, const void *p, size_t len, struct err *err)
{
	const char *s = p;
	ssize_t n;

	while (len > 0) {
		n = write(fd, s, len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_errno(err, "write");
		s += n;
		len -= (size_t)n;
	}
	return 0;
}

int
io_pwrite_all(int fd, const void *p, size_t len, off_t at, struct err *err)
{
	const char *s = p;
	ssize_t n;

	while (len > 0) {
		n = pwrite(fd, s, len, at);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_errno(err, "write");
		s += n;
		at += n;
		len -= (size_t)n;
	}
	return 0;
}

int
io_read_fd(int fd, const char *name, size_t max, struct buf *to, struct err *err)
{
	char chunk[CHUNK], limit[32];
	size_t got = 0;
	ssize_t n;

	while ((n = read(fd, chunk, sizeof(chunk))) != 0) {
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_errno(err, "read '%s'", name);
		buf_put(to, chunk, (size_t)n < max - got ? (size_t)n : max - got);
		if ((size_t)n > max - got || to->failed)
			return err_set(err, ERR_LOCAL, "'%s' is larger than the limit of %s", name, size_text(max, limit));
		got += (size_t)n;
	}
	return 0;
}

/* A regular file to be read; *ret_size is what it has now. */
static int
open_regular(const char *path, size_t *ret_size, struct err *err)
{
	struct stat st;
	int fd;

	/* Not blocking, or a FIFO without a writer would hang the open itself. */
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (fd < 0)
		return err_errno(err, "open '%s'", path);
	if (fstat(fd, &st) < 0)
		err_errno(err, "stat '%s'", path);
	else if (!S_ISREG(st.st_mode))
		err_set(err, ERR_LOCAL, "'%s' is not a regular file", path);
	else {
		*ret_size = (size_t)st.st_size;
		return fd;
	}
	(void)close(fd);
	return -1;
}

int
io_read_file(const char *path, size_t max, struct buf *to, struct err *err)
{
	size_t size;
	const int fd = open_regular(path, &size, err);
	int ret;

	if (fd < 0)
		return -1;
	buf_reserve(to, size < max ? size : 0);
	ret = io_read_fd(fd, path, max, to, err);
	(void)close(fd);
	return ret;
}

int
io_hash_file(const char *path, char ret[SHA256_HEX], struct err *err)
{
	size_t size;
	const int fd = open_regular(path, &size, err);
	unsigned char digest[SHA256_LEN];
	char chunk[CHUNK];
	struct sha256 *h;
	ssize_t n;

	if (fd < 0)
		return -1;
	h = sha256_new();
	while ((n = read(fd, chunk, sizeof(chunk))) > 0 || (n < 0 && errno == EINTR))
		sha256_add(h, chunk, n > 0 ? (size_t)n : 0);
	if (n < 0)
		err_errno(err, "read '%s'", path);
	sha256_end(h, digest);
	hex_encode(digest, sizeof(digest), ret);
	sha256_free(h);
	(void)close(fd);
	return n < 0 ? -1 : 0;
}

/* The folder that holds path; the caller frees it. */
static char *
parent_of(const char *path)
{
	size_t len = strlen(path);

	while (len > 1 && path[len - 1] == '/')
		len--;
	while (len > 0 && path[len - 1] != '/')
		len--;
	if (len == 0)
		return xstrdup(".");
	while (len > 1 && path[len - 1] == '/')
		len--;
	return xstrndup(path, len);
}

int
io_sync_dir(const char *path, struct err *err)
{
	int fd, ret;

	if (SABOTAGED(DIR_SYNC))
		return 0;
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return err_errno(err, "open folder '%s'", path);
	ret = fsync(fd);
	if (ret < 0)
		err_errno(err, "sync folder '%s'", path);
	(void)close(fd);
	return ret;
}

int
io_sync_parent(const char *path, struct err *err)
{
	char *parent = parent_of(path);
	int ret = io_sync_dir(parent, err);

	free(parent);
	return ret;
}

/* Create tmp with all of the content, on the disk; messages name what it is for. */
static int
write_synced(const char *tmp, const char *path, const void *p, size_t len, mode_t mode, struct err *err)
{
	int fd = open(tmp, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600), ret = -1;

	if (fd < 0)
		return err_errno(err, "create '%s'", path);
	if (fchmod(fd, mode) < 0) {
		err_errno(err, "set the mode of '%s'", path);
		goto out;
	}
	if (io_write_all(fd, p, len, err) < 0) {
		err_wrap(err, "'%s'", path);
		goto out;
	}
	FAULT("io.replace.written");
	ret = fsync(fd);
	if (ret < 0)
		err_errno(err, "sync '%s'", path);
out:
	(void)close(fd); /* already synced, or already failing */
	return ret;
}

int
io_replace_by(const char *tmp, const char *path, const void *p, size_t len, mode_t mode, struct err *err)
{
	int ret = -1;

	if (write_synced(tmp, path, p, len, mode, err) < 0)
		goto out;
	FAULT("io.replace.synced");
	if (rename(tmp, path) < 0) {
		err_errno(err, "rename to '%s'", path);
		goto out;
	}
	FAULT("io.replace.renamed");
	ret = io_sync_parent(path, err);
out:
	if (ret < 0)
		(void)unlink(tmp);
	return ret;
}

int
io_replace(const char *path, const void *p, size_t len, mode_t mode, struct err *err)
{
	unsigned char unique[8];
	char hex[2 * sizeof(unique) + 1], *tmp;
	int ret;

	random_bytes(unique, sizeof(unique));
	hex_encode(unique, sizeof(unique), hex);
	tmp = xasprintf("%s.tmp.%s", path, hex);
	ret = io_replace_by(tmp, path, p, len, mode, err);
	free(tmp);
	return ret;
}

int
io_refuse_existing(const char *path, struct err *err)
{
	(void)err_set(err, ERR_FAILED, "'%s' exists already", path);
	return err_next(err, "move it away, or choose another path");
}

int
io_publish(int fd, const char *tmp, const char *path, struct err *err)
{
	if (fsync(fd) < 0)
		return err_errno(err, "sync '%s'", tmp);
	FAULT("io.publish.synced");
	if (renameat2(AT_FDCWD, tmp, AT_FDCWD, path, RENAME_NOREPLACE) < 0 &&
	    (errno != EINVAL || access(path, F_OK) == 0 || rename(tmp, path) < 0))
		return errno == EEXIST || access(path, F_OK) == 0 ? io_refuse_existing(path, err) :
			err_errno(err, "rename '%s' to '%s'", tmp, path);
	FAULT("io.publish.renamed");
	return io_sync_parent(path, err);
}

/* Make a folder and what is missing above it; each new name is synced into its parent. */
static int
make_dir(const char *path, struct err *err)
{
	char *parent;
	int ret;

	if (mkdir(path, 0700) == 0)
		return io_sync_parent(path, err);
	if (errno == EEXIST)
		return 0;
	if (errno != ENOENT)
		return err_errno(err, "make folder '%s'", path);
	parent = parent_of(path);
	/* A parent that is the path itself (".", removed under us) would never end. */
	ret = strcmp(parent, path) == 0 ? err_set(err, ERR_LOCAL, "folder '%s' is gone", path) : make_dir(parent, err);
	free(parent);
	if (ret < 0)
		return -1;
	if (mkdir(path, 0700) < 0 && errno != EEXIST)
		return err_errno(err, "make folder '%s'", path);
	return io_sync_parent(path, err);
}

int
io_private_dir(const char *path, struct err *err)
{
	struct stat link, st;

	if (make_dir(path, err) < 0)
		return -1;
	if (lstat(path, &link) < 0 || stat(path, &st) < 0)
		return err_errno(err, "stat '%s'", path);
	if (!S_ISDIR(st.st_mode))
		return err_set(err, ERR_LOCAL, "'%s' is not a folder", path);
	/* Whoever owns a symbolic link decides where it leads, so both ends must be ours. */
	if (link.st_uid != geteuid() || st.st_uid != geteuid())
		return err_set(err, ERR_LOCAL, "folder '%s' belongs to another user", path);
	if ((st.st_mode & 077) != 0) {
		err_set(err, ERR_LOCAL, "folder '%s' is open to other users (mode %03o)", path, (unsigned)st.st_mode & 0777);
		return err_next(err, "chmod 700 '%s'", path);
	}
	return 0;
}

/* The first line of a lock file, escaped; empty when the holder has not written it yet. */
static void
read_holder(int fd, char *ret, size_t size)
{
	struct arena scratch = ARENA_INIT;
	char line[HOLDER_MAX];
	ssize_t n = pread(fd, line, sizeof(line), 0);
	const char *end = n > 0 ? memchr(line, '\n', (size_t)n) : NULL;

	if (end != NULL)
		n = end - line;
	(void)snprintf(ret, size, "%s",
		       n > 0 && size > sizeof("…") ? text_safe(&scratch, line, (size_t)n, size - sizeof("…")) : "");
	arena_done(&scratch);
}

static int
take_lock(int fd, const char *path, const char *holder, struct err *err)
{
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
	char line[HOLDER_MAX];
	struct stat st;

	if (fstat(fd, &st) < 0)
		return err_errno(err, "stat '%s'", path);
	if (!S_ISREG(st.st_mode))
		return err_set(err, ERR_LOCAL, "lock '%s' is not a regular file", path);
	if (!SABOTAGED(LOCK) && fcntl(fd, F_OFD_SETLK, &lock) < 0) {
		if (errno != EAGAIN && errno != EACCES)
			return err_errno(err, "lock '%s'", path);
		read_holder(fd, line, sizeof(line));
		return err_set(err, ERR_LOCKED, "%s", line[0] != '\0' ? line : "held by another process that is starting");
	}
	if (fchmod(fd, 0600) < 0 || ftruncate(fd, 0) < 0)
		return err_errno(err, "prepare lock '%s'", path);
	(void)snprintf(line, sizeof(line), "%s\n", holder);
	if (io_pwrite_all(fd, line, strlen(line), 0, err) < 0)
		return err_wrap(err, "lock '%s'", path);
	return 0;
}

/* Where other machines may write too, a lock may be of this one alone, and a sync may end on the wire (statfs(2)). */
static int
check_local(int fd, const char *path, struct err *err)
{
	static const struct {
		uint32_t magic;
		const char *name;
	} shared[] = { { 0x6969, "NFS" }, { 0x517b, "SMB" }, { 0xff534d42, "CIFS" }, { 0xfe534d42, "SMB2" }, { 0x65735546, "FUSE" },
		{ 0x5346414f, "AFS" }, { 0x73757245, "Coda" }, { 0x00c36400, "Ceph" }, { 0x01161970, "GFS2" }, { 0x7461636f, "OCFS2" } };
	struct statfs fs;

	if (fstatfs(fd, &fs) < 0)
		return err_errno(err, "statfs '%s'", path);
	for (size_t i = 0; i < countof(shared); i++)
		if ((uint32_t)fs.f_type == shared[i].magic)
			return err_set(err, ERR_LOCAL, "'%s' is on a network file system (%s): a lock and a sync there cannot be "
				       "trusted", path, shared[i].name);
	return 0;
}

int
io_lock(const char *path, const char *holder, int *ret_fd, struct err *err)
{
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0600);

	if (fd < 0)
		return err_errno(err, "open lock '%s'", path);
	if (check_local(fd, path, err) < 0 || take_lock(fd, path, holder, err) < 0) {
		(void)close(fd);
		return -1;
	}
	*ret_fd = fd;
	return 0;
}

int
io_lock_held(const char *path, char *ret_holder, size_t size)
{
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK), held = 0;

	if (fd < 0)
		return 0;
	if (fcntl(fd, F_OFD_GETLK, &lock) == 0 && lock.l_type != F_UNLCK) {
		read_holder(fd, ret_holder, size);
		held = 1;
	}
	(void)close(fd);
	return held;
}

const char *
io_join(struct arena *a, const char *dir, const char *name)
{
	size_t len = strlen(dir);

	if (len == 0)
		return arena_strdup(a, name);
	while (len > 0 && dir[len - 1] == '/')
		len--;
	while (*name == '/')
		name++;
	return arena_printf(a, "%.*s/%s", (int)len, dir, name);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Owns how a folder becomes an archive: pax tar (POSIX.1-2001), entries sorted, no owners, no times, so that equal
 * folders make equal archives. What unpack would refuse is not packed. */
#include "steps/target/archive_io.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/io.h"
#include "base/text.h"
#include "steps/target/archive_tree.h"

struct packer {
	struct opctx *op;
	const char *from;
	struct archive *out;
	int fd;                /* -1: only hashed */
	struct sha256 *hash;
	uint64_t size, entries;
	char *piece;
	struct err *err;       /* of on_write */
};

static la_ssize_t
on_write(struct archive *out, void *data, const void *p, size_t len)
{
	struct packer *k = data;

	if (k->fd >= 0 && io_write_all(k->fd, p, len, k->err) < 0) {
		archive_set_error(out, EIO, "write");
		return -1;
	}
	sha256_add(k->hash, p, len);
	k->size += len;
	return (la_ssize_t)len;
}

/* What libarchive says, unless on_write has said more. */
static int
unable(struct packer *k, struct err *err)
{
	const char *why = archive_error_string(k->out);

	if (err->kind != ERR_NONE)
		return -1;
	return err_set(err, ERR_FAILED, "pack '%s': %s", k->from, why != NULL ? why : "libarchive gives no reason");
}

static int
pack_content(struct packer *k, const char *on_disk, struct archive_entry *ae, struct err *err)
{
	const int fd = open(on_disk, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	struct stat st;
	int64_t left;
	ssize_t n = 0;
	int rc = -1;

	if (fd < 0 || fstat(fd, &st) < 0) {
		err_errno(err, "open '%s'", on_disk);
		goto out;
	}
	archive_entry_set_size(ae, st.st_size);
	if (archive_write_header(k->out, ae) != ARCHIVE_OK) {
		unable(k, err);
		goto out;
	}
	for (left = st.st_size; left > 0; left -= n) {
		n = read(fd, k->piece, ARCHIVE_PIECE);
		if (n <= 0 || n > left || tree_go_on(k->op, err) < 0)
			break;
		if (archive_write_data(k->out, k->piece, (size_t)n) != n) {
			unable(k, err);
			goto out;
		}
	}
	if (n < 0)
		err_errno(err, "read '%s'", on_disk);
	else if (left > 0 && err->kind == ERR_NONE)
		err_set(err, ERR_FAILED, "'%s' changed while it was packed", on_disk);
	else
		rc = left > 0 ? -1 : 0;
out:
	if (fd >= 0)
		close(fd);
	return rc;
}

static int
pack_entry(struct packer *k, struct archive_entry *ae, const char *path, const char *on_disk, const struct stat *st,
	   struct err *err)
{
	char to[4096];
	ssize_t n;

	archive_entry_set_mode(ae, st->st_mode & (S_IFMT | 0777));
	archive_entry_set_mtime(ae, 0, 0);
	archive_entry_copy_pathname(ae, path[0] == '\0' ? "./" : path);
	if (S_ISREG(st->st_mode))
		return pack_content(k, on_disk, ae, err);
	if (S_ISLNK(st->st_mode)) {
		n = readlink(on_disk, to, sizeof(to) - 1);
		if (n < 0)
			return err_errno(err, "read '%s'", on_disk);
		to[n] = '\0';
		if (tree_link(path, to, err) < 0)
			return err_wrap(err, "'%s' cannot be packed", on_disk);
		archive_entry_copy_symlink(ae, to);
	}
	return archive_write_header(k->out, ae) == ARCHIVE_OK ? 0 : unable(k, err);
}

static int
pack_one(void *data, const char *path, const char *on_disk, const struct stat *st, struct err *err)
{
	struct packer *k = data;
	struct arena a = ARENA_INIT;
	struct archive_entry *ae;
	const char *normal;
	int rc;

	if (path[0] == '\0' && !S_ISDIR(st->st_mode))
		return err_set(err, ERR_FAILED, "'%s' is not a folder", on_disk);
	if (!S_ISREG(st->st_mode) && !S_ISDIR(st->st_mode) && !S_ISLNK(st->st_mode))
		return err_set(err, ERR_FAILED, "'%s' is no file, folder or symbolic link, and cannot be packed", on_disk);
	rc = tree_path(&a, path, &normal, err);
	arena_done(&a);
	if (rc < 0)
		return err_wrap(err, "'%s' cannot be packed", on_disk);
	k->entries += path[0] != '\0'; /* without the root */
	ae = archive_entry_new();
	rc = pack_entry(k, ae, path, on_disk, st, err);
	archive_entry_free(ae);
	return rc;
}

static int
set_format(struct packer *k, const char *compression)
{
	if (archive_write_set_format_pax_restricted(k->out) != ARCHIVE_OK)
		return -1;
	(void)archive_write_set_bytes_in_last_block(k->out, 1);
	if (strcmp(compression, "gzip") == 0) /* without the time of packing */
		return archive_write_add_filter_gzip(k->out) == ARCHIVE_OK &&
		       archive_write_set_filter_option(k->out, "gzip", "timestamp", NULL) == ARCHIVE_OK ? 0 : -1;
	if (strcmp(compression, "zstd") == 0)
		return archive_write_add_filter_zstd(k->out) == ARCHIVE_OK ? 0 : -1;
	if (strcmp(compression, "xz") == 0)
		return archive_write_add_filter_xz(k->out) == ARCHIVE_OK ? 0 : -1;
	return 0;
}

int
archive_pack(struct opctx *op, const char *from, const char *compression, int fd, struct archive_made *ret, struct err *err)
{
	struct packer k = { .op = op, .from = from, .out = archive_write_new(), .fd = fd, .hash = sha256_new(),
		.piece = xmalloc(ARCHIVE_PIECE), .err = err };
	unsigned char digest[SHA256_LEN];
	int rc;

	*err = ERR_INIT;
	if (set_format(&k, compression) < 0 || archive_write_open(k.out, &k, NULL, on_write, NULL) != ARCHIVE_OK)
		rc = unable(&k, err);
	else
		rc = tree_walk(op, from, pack_one, &k, err);
	if (rc == 0 && archive_write_close(k.out) != ARCHIVE_OK)
		rc = unable(&k, err);
	if (rc < 0)
		(void)archive_write_fail(k.out);
	(void)archive_write_free(k.out);
	sha256_end(k.hash, digest);
	sha256_free(k.hash);
	hex_encode(digest, sizeof(digest), ret->sha256);
	ret->size = k.size;
	ret->entries = k.entries;
	free(k.piece);
	return rc;
}

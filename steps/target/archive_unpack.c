/* SPDX-License-Identifier: Apache-2.0 */
/* Owns how an archive becomes a folder. Two lines of defence, each enough: the rules of archive_tree.c on the list of
 * entries, and files that are only made, never opened, below folders that are walked without following links. Only tar
 * and zip, only files, folders and links; owners, times, attributes and set-user-id bits are left behind. */
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

struct unpacker {
	struct opctx *op;
	const char *from;
	struct archive *in;
	int root; /* -1: only looked at */
	struct tree *tree;
	char *piece;
};

static int
unreadable(const struct unpacker *u, struct err *err)
{
	const char *why = archive_error_string(u->in);

	return err_set(err, ERR_FAILED, "archive '%s' cannot be read: %s", u->from,
		       why != NULL ? text_safe(u->op->arena, why, strlen(why), 200) : "libarchive gives no reason");
}

/* Open the folder that holds path, walking down from the root without following a link. ret_name: its last part. */
static int
open_above(const struct unpacker *u, const char *path, const char **ret_name, struct err *err)
{
	int fd = fcntl(u->root, F_DUPFD_CLOEXEC, 0), next;

	for (const char *slash; fd >= 0 && (slash = strchr(path, '/')) != NULL; path = slash + 1) {
		const char *part = arena_strndup(&u->tree->arena, path, (size_t)(slash - path));

		const bool made = mkdirat(fd, part, 0700) == 0;

		next = made || errno == EEXIST ? openat(fd, part, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC) : -1;
		if (next < 0 || (made && fchmod(next, 0755) < 0)) /* until an entry names it */
			err_errno(err, "unpack '%s': open '%s'", u->from, part);
		close(fd);
		fd = next;
		if (err->kind != ERR_NONE) {
			if (fd >= 0)
				close(fd);
			return -1;
		}
	}
	*ret_name = path;
	return fd >= 0 ? fd : err_errno(err, "unpack '%s'", u->from);
}

static int
failed(const struct unpacker *u, const char *name, struct err *err)
{
	return err_errno(err, "unpack '%s': make '%s'", u->from, text_safe(u->op->arena, name, strlen(name), 200));
}

static int
unpack_folder(struct unpacker *u, const struct entry *e, struct err *err)
{
	const char *name;
	const int above = open_above(u, e->path, &name, err);
	int rc = 0, fd;

	if (above < 0)
		return -1;
	if (mkdirat(above, name, 0700) < 0 && errno != EEXIST)
		rc = failed(u, e->path, err);
	fd = rc < 0 ? -1 : openat(above, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (rc == 0 && (fd < 0 || fchmod(fd, e->mode) < 0))
		rc = failed(u, e->path, err);
	if (fd >= 0)
		close(fd);
	close(above);
	return rc;
}

/* The content of the present entry to fd (-1: nowhere), counted and hashed. */
static int
take_content(struct unpacker *u, int fd, struct entry *e, struct err *err)
{
	struct sha256 *h = sha256_new();
	unsigned char digest[SHA256_LEN];
	char hex[SHA256_HEX];
	la_ssize_t n;
	int rc = 0;

	while (rc == 0 && (n = archive_read_data(u->in, u->piece, ARCHIVE_PIECE)) != 0) {
		if (n < 0) {
			rc = unreadable(u, err);
			break;
		}
		sha256_add(h, u->piece, (size_t)n);
		e->size += (uint64_t)n;
		rc = tree_count(u->tree, (uint64_t)n, err);
		if (rc == 0)
			rc = tree_go_on(u->op, err);
		if (rc == 0 && fd >= 0)
			rc = io_write_all(fd, u->piece, (size_t)n, err);
	}
	sha256_end(h, digest);
	sha256_free(h);
	hex_encode(digest, sizeof(digest), hex);
	e->says = arena_strdup(&u->tree->arena, hex);
	return rc;
}

static int
unpack_file(struct unpacker *u, struct entry *e, struct err *err)
{
	const char *name;
	int above, fd, rc = -1;

	if (u->root < 0)
		return take_content(u, -1, e, err);
	above = open_above(u, e->path, &name, err);
	if (above < 0)
		return -1;
	fd = openat(above, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		failed(u, e->path, err);
	else if (take_content(u, fd, e, err) == 0)
		rc = fchmod(fd, e->mode) < 0 ? failed(u, e->path, err) : 0;
	if (fd >= 0 && close(fd) < 0 && rc == 0)
		rc = failed(u, e->path, err);
	close(above);
	return rc;
}

static int
unpack_symlink(struct unpacker *u, struct entry *e, const char *to, struct err *err)
{
	const char *name;
	int above, rc = 0;

	if (tree_link(e->path, to, err) < 0)
		return -1;
	e->mode = 0;
	e->says = arena_strdup(&u->tree->arena, to);
	if (u->root < 0)
		return 0;
	above = open_above(u, e->path, &name, err);
	if (above < 0)
		return -1;
	if (symlinkat(to, above, name) < 0)
		rc = failed(u, e->path, err);
	close(above);
	return rc;
}

/* A second name of a file that is already there. */
static int
unpack_hardlink(struct unpacker *u, struct entry *e, const char *raw, struct err *err)
{
	const char *to, *name, *from_name;
	const struct entry *file;
	int above, from, rc = 0;

	if (tree_path(&u->tree->arena, raw, &to, err) < 0)
		return err_wrap(err, "is a hard link to what");
	file = tree_get(u->tree, to);
	if (file == NULL || file == e || file->type != 'f')
		return err_set(err, ERR_FAILED, "is a hard link to what is no earlier file of the archive");
	e->mode = file->mode;
	e->size = file->size;
	e->says = file->says;
	if (tree_count(u->tree, file->size, err) < 0)
		return -1;
	if (u->root < 0)
		return 0;
	above = open_above(u, e->path, &name, err);
	from = above < 0 ? -1 : open_above(u, to, &from_name, err);
	if (above < 0 || from < 0)
		rc = -1;
	else if (linkat(from, from_name, above, name, 0) < 0)
		rc = failed(u, e->path, err);
	if (above >= 0)
		close(above);
	if (from >= 0)
		close(from);
	return rc;
}

static int
unpack_entry(struct unpacker *u, struct archive_entry *ae, const char *raw, struct err *err)
{
	const char *hard = archive_entry_hardlink(ae), *sym = archive_entry_symlink(ae), *path;
	const mode_t type = hard != NULL ? S_IFREG : archive_entry_filetype(ae);
	struct entry *e;

	if (type != S_IFREG && type != S_IFDIR && type != S_IFLNK)
		return err_set(err, ERR_FAILED, "is a device, a pipe or a socket");
	if (archive_entry_is_encrypted(ae))
		return err_set(err, ERR_FAILED, "is encrypted");
	if (tree_path(&u->tree->arena, raw, &path, err) < 0)
		return -1;
	if (path[0] == '\0' && type != S_IFDIR)
		return err_set(err, ERR_FAILED, "has no name");
	if (tree_add(u->tree, path, type == S_IFDIR ? 'd' : type == S_IFLNK ? 'l' : 'f', &e, err) < 0)
		return -1;
	e->mode = archive_entry_perm(ae) & 0777;
	if (type == S_IFDIR) {
		e->mode |= S_IRWXU; /* what follows has to get in */
		return u->root < 0 || path[0] == '\0' ? 0 : unpack_folder(u, e, err); /* the root's mode comes last */
	}
	if (hard != NULL)
		return unpack_hardlink(u, e, hard, err);
	if (type == S_IFLNK)
		return unpack_symlink(u, e, sym != NULL ? sym : "", err);
	return unpack_file(u, e, err);
}

static int
unpack_all(struct unpacker *u, struct err *err)
{
	struct archive_entry *ae;
	struct entry *root;
	int rc;

	if (tree_add(u->tree, "", 'd', &root, err) < 0)
		return -1;
	root->implied = true; /* until an entry names it */
	while ((rc = archive_read_next_header(u->in, &ae)) == ARCHIVE_OK) {
		const char *raw = archive_entry_pathname(ae);

		if (tree_go_on(u->op, err) < 0)
			return -1;
		if (raw == NULL)
			return err_set(err, ERR_FAILED, "archive '%s': an entry has no name that can be read", u->from);
		if (unpack_entry(u, ae, raw, err) < 0)
			return err->kind != ERR_FAILED ? -1 : err_wrap(err, "archive '%s': entry '%s'", u->from,
				text_safe(u->op->arena, raw, strlen(raw), 200));
	}
	if (rc != ARCHIVE_EOF)
		return unreadable(u, err);
	return u->root >= 0 && fchmod(u->root, tree_get(u->tree, "")->mode) < 0 ? failed(u, "./", err) : 0;
}

static bool
set_formats(struct archive *in)
{
	return archive_read_support_format_tar(in) == ARCHIVE_OK && archive_read_support_format_zip(in) == ARCHIVE_OK &&
	       archive_read_support_filter_xz(in) == ARCHIVE_OK && archive_read_support_filter_zstd(in) == ARCHIVE_OK;
}

int
archive_unpack(struct opctx *op, const char *from, int root, struct tree *ret, struct err *err)
{
	const int fd = open(from, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	struct unpacker u = { .op = op, .from = from, .root = root, .tree = ret };
	struct archive_source *source = NULL;
	int rc;

	if (fd < 0)
		return err_errno(err, "open '%s'", from);
	*err = ERR_INIT;
	u.in = archive_read_new();
	u.piece = xmalloc(ARCHIVE_PIECE);
	if (!set_formats(u.in) || (source = archive_source_open(u.in, fd)) == NULL)
		rc = unreadable(&u, err);
	else
		rc = unpack_all(&u, err);
	if (rc == 0 && archive_source_drain(op, u.in, source, err) < 0)
		rc = err->kind == ERR_FAILED ? unreadable(&u, err) : -1;
	(void)archive_read_free(u.in);
	archive_source_close(source);
	free(u.piece);
	close(fd);
	return rc;
}

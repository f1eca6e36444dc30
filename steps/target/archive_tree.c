/* SPDX-License-Identifier: Apache-2.0 */
/* Owns what a tree is, and every rule that keeps an archive's entries inside of the folder they are unpacked to: they
 * hold for the list of entries alone, before anything is written, so the dry-run refuses what the run would. */
#include "steps/target/archive_tree.h"

#include <errno.h>
#include <fcntl.h>
#include <fts.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/io.h"

#define PART_MAX 255
#define DEPTH_MAX 64
#define PATH_LIMIT 2048

void
tree_init(struct tree *t, const struct value *body)
{
	*t = (struct tree){ .max_size = (uint64_t)value_get_int(body, "max_size", INT64_MAX),
		.max_entries = (uint64_t)value_get_int(body, "max_entries", UINT32_MAX - 1) };
}

void
tree_done(struct tree *t)
{
	map_done(&t->index);
	free(t->list);
	arena_done(&t->arena);
}

struct entry *
tree_get(const struct tree *t, const char *path)
{
	const uint32_t at = map_get(&t->index, path, strlen(path));

	return at == MAP_NONE ? NULL : &t->list[at];
}

static int
append(struct tree *t, const char *path, char type, bool implied, struct err *err)
{
	if (t->n >= t->max_entries)
		return err_set(err, ERR_FAILED, "there are more than %" PRIu64 " entries (max_entries)", t->max_entries);
	if (t->n == t->cap) {
		t->cap = t->cap == 0 ? 64 : t->cap * 2;
		t->list = xreallocarray(t->list, t->cap, sizeof(*t->list));
	}
	path = arena_strdup(&t->arena, path);
	t->list[t->n] = (struct entry){ .path = path, .type = type, .implied = implied, .mode = 0755, .says = "" };
	(void)map_add(&t->index, path, strlen(path), t->n++);
	return 0;
}

int
tree_add(struct tree *t, const char *path, char type, struct entry **ret, struct err *err)
{
	char above[PATH_LIMIT + 1];
	struct entry *e;

	for (const char *slash = strchr(path, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
		memcpy(above, path, (size_t)(slash - path));
		above[slash - path] = '\0';
		e = tree_get(t, above);
		if (e == NULL && append(t, above, 'd', true, err) < 0)
			return -1;
		if (e != NULL && e->type != 'd')
			return err_set(err, ERR_FAILED, "goes through an entry that is not a folder");
	}
	e = tree_get(t, path);
	if (e != NULL && !(e->implied && type == 'd'))
		return err_set(err, ERR_FAILED, "is there twice");
	if (e == NULL && append(t, path, type, false, err) < 0)
		return -1;
	*ret = tree_get(t, path);
	(*ret)->implied = false;
	return 0;
}

int
tree_count(struct tree *t, uint64_t bytes, struct err *err)
{
	t->size += bytes;
	if (t->size > t->max_size)
		return err_set(err, ERR_FAILED, "there are more than %" PRIu64 " bytes (max_size)", t->max_size);
	return 0;
}

static int
by_path(const void *a, const void *b)
{
	return strcmp(((const struct entry *)a)->path, ((const struct entry *)b)->path);
}

struct value
tree_object(struct tree *t, struct arena *a, const char *path)
{
	struct pair *pairs = arena_array(a, 5, sizeof(*pairs));
	struct sha256 *h = sha256_new();
	unsigned char digest[SHA256_LEN];
	char hex[SHA256_HEX];
	uint64_t entries = 0;

	if (t->n > 0)
		qsort(t->list, t->n, sizeof(*t->list), by_path); /* the index is of no more use */
	for (uint32_t i = 0; i < t->n; i++) {
		const struct entry *e = &t->list[i];
		const char *line = arena_printf(&t->arena, "%c %o %" PRIu64 " %s", e->type, (unsigned)e->mode, e->size, e->says);

		sha256_add(h, line, strlen(line) + 1);
		sha256_add(h, e->path, strlen(e->path) + 1);
		entries += e->path[0] != '\0';
	}
	sha256_end(h, digest);
	sha256_free(h);
	hex_encode(digest, sizeof(digest), hex);
	pairs[0] = (struct pair){ "kind", value_str("folder") };
	pairs[1] = (struct pair){ "path", value_str(path) };
	pairs[2] = (struct pair){ "entries", value_int((int64_t)entries) };
	pairs[3] = (struct pair){ "size", value_int((int64_t)t->size) };
	pairs[4] = (struct pair){ "sha256", value_str(arena_strdup(a, hex)) };
	return value_map(pairs, 5);
}

int
tree_path(struct arena *a, const char *raw, const char **ret, struct err *err)
{
	char *path, *to;
	unsigned depth = 0;

	if (raw[0] == '/')
		return err_set(err, ERR_FAILED, "has an absolute path");
	if (strlen(raw) > PATH_LIMIT)
		return err_set(err, ERR_FAILED, "has a path of more than %d bytes", PATH_LIMIT);
	path = to = arena_strdup(a, raw);
	for (const char *p = raw; *p != '\0';) {
		const size_t len = strcspn(p, "/");

		if (len == 2 && memcmp(p, "..", 2) == 0)
			return err_set(err, ERR_FAILED, "has '..' in its path");
		if (len > PART_MAX || depth == DEPTH_MAX)
			return err_set(err, ERR_FAILED, "has a path with %s", len > PART_MAX ? "a name of more than 255 bytes" :
				       "more than 64 parts");
		if (len > 0 && !(len == 1 && *p == '.')) {
			if (depth++ > 0)
				*to++ = '/';
			memcpy(to, p, len);
			to += len;
		}
		p += len + (p[len] == '/');
	}
	*to = '\0';
	*ret = path;
	return 0;
}

int
tree_link(const char *path, const char *to, struct err *err)
{
	size_t above = 0;
	bool inside = false;

	if (to[0] == '\0' || to[0] == '/')
		return err_set(err, ERR_FAILED, "is a symbolic link to %s", to[0] == '/' ? "an absolute path" : "nothing");
	if (strlen(to) > PATH_LIMIT)
		return err_set(err, ERR_FAILED, "is a symbolic link to more than %d bytes", PATH_LIMIT);
	for (const char *p = path; *p != '\0'; p++)
		above += *p == '/';
	for (const char *p = to; *p != '\0';) {
		const size_t len = strcspn(p, "/");
		const bool up = len == 2 && memcmp(p, "..", 2) == 0;

		if (up && (inside || above-- == 0))
			return err_set(err, ERR_FAILED, "is a symbolic link that could lead out of the folder");
		inside = inside || (!up && len > 0 && !(len == 1 && *p == '.'));
		p += len + (p[len] == '/');
	}
	return 0;
}

int
tree_go_on(const struct opctx *op, struct err *err)
{
	if (op->cancel != NULL && atomic_load(op->cancel) != 0)
		return err_set(err, ERR_CANCELLED, "stopped before it was done");
	if (clock_now() >= op->deadline)
		return err_set(err, ERR_TIMEOUT, "timed out");
	return 0;
}

static int
by_name(const FTSENT **a, const FTSENT **b)
{
	return strcmp((*a)->fts_name, (*b)->fts_name);
}

static int
visit(const FTSENT *f, size_t root_len, tree_fn *fn, void *data, struct err *err)
{
	const char *path = f->fts_path + root_len;

	while (*path == '/')
		path++;
	switch (f->fts_info) {
	case FTS_DP:
		return 0;
	case FTS_DNR:
	case FTS_ERR:
	case FTS_NS:
		errno = f->fts_errno;
		return err_errno(err, "read '%s'", f->fts_path);
	case FTS_DC:
		return err_set(err, ERR_FAILED, "'%s' holds itself", f->fts_path);
	default:
		return fn(data, path, f->fts_accpath, f->fts_statp, err);
	}
}

int
tree_walk(struct opctx *op, const char *root, tree_fn *fn, void *data, struct err *err)
{
	char *const roots[] = { arena_strdup(op->arena, root), NULL };
	FTS *fts = fts_open(roots, FTS_PHYSICAL | FTS_NOCHDIR, by_name);
	const FTSENT *f;
	int rc = 0;

	if (fts == NULL)
		return err_errno(err, "read '%s'", root);
	errno = 0;
	while (rc == 0 && (f = fts_read(fts)) != NULL) {
		rc = tree_go_on(op, err);
		if (rc == 0)
			rc = visit(f, strlen(root), fn, data, err);
		errno = 0;
	}
	if (rc == 0 && errno != 0)
		rc = err_errno(err, "read '%s'", root);
	(void)fts_close(fts);
	return rc;
}

/* SHA-256 of a file's content, in hex. */
static const char *
content_of(struct tree *t, const char *on_disk, struct err *err)
{
	const int fd = open(on_disk, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	struct sha256 *h;
	char *piece, hex[SHA256_HEX];
	unsigned char digest[SHA256_LEN];
	ssize_t n;

	if (fd < 0) {
		err_errno(err, "open '%s'", on_disk);
		return NULL;
	}
	h = sha256_new();
	piece = xmalloc(ARCHIVE_PIECE);
	while ((n = read(fd, piece, ARCHIVE_PIECE)) > 0)
		sha256_add(h, piece, (size_t)n);
	if (n < 0)
		err_errno(err, "read '%s'", on_disk);
	sha256_end(h, digest);
	sha256_free(h);
	free(piece);
	close(fd);
	hex_encode(digest, sizeof(digest), hex);
	return n < 0 ? NULL : arena_strdup(&t->arena, hex);
}

static int
take(void *data, const char *path, const char *on_disk, const struct stat *st, struct err *err)
{
	struct tree *t = data;
	char to[PATH_LIMIT + 1];
	struct entry *e;
	ssize_t n;

	if (tree_add(t, path, S_ISDIR(st->st_mode) ? 'd' : S_ISREG(st->st_mode) ? 'f' : S_ISLNK(st->st_mode) ? 'l' : '?', &e,
		     err) < 0)
		return -1;
	e->mode = e->type == 'l' ? 0 : st->st_mode & 07777;
	if (e->type == 'f') {
		e->size = (uint64_t)st->st_size;
		e->says = content_of(t, on_disk, err);
		return e->says == NULL ? -1 : tree_count(t, e->size, err);
	}
	if (e->type == 'l') {
		n = readlink(on_disk, to, sizeof(to) - 1);
		if (n < 0)
			return err_errno(err, "read '%s'", on_disk);
		e->says = arena_strndup(&t->arena, to, (size_t)n);
	}
	return 0;
}

int
tree_read(struct opctx *op, const char *root, struct tree *ret, struct err *err)
{
	return tree_walk(op, root, take, ret, err);
}

int
tree_remove(const char *root, struct err *err)
{
	char *name = xstrdup(root), *const roots[] = { name, NULL };
	FTS *fts = fts_open(roots, FTS_PHYSICAL | FTS_NOCHDIR, NULL);
	const FTSENT *f;
	int rc = 0;

	while (fts != NULL && rc == 0 && (f = fts_read(fts)) != NULL) {
		if (f->fts_info == FTS_D)
			continue;
		if (f->fts_info == FTS_DP)
			rc = rmdir(f->fts_accpath);
		else
			rc = unlink(f->fts_accpath);
		if (rc < 0 && errno == ENOENT)
			rc = 0;
		if (rc < 0)
			err_errno(err, "remove '%s'", f->fts_path);
	}
	if (fts == NULL)
		rc = err_errno(err, "read '%s'", root);
	else
		(void)fts_close(fts);
	free(name);
	return rc;
}

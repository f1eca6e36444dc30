/* SPDX-License-Identifier: Apache-2.0 */
/* The target kind of folders of this machine that come to be whole or not at all. A ref's path is the folder's own. It reads
 * as null, or {path, files, manifest}: how many files are in it, and the SHA-256 of its file manifest.json ("" without one).
 * A list from PATH/FILE holds that one file, if it is there. A stream `fill` on NAME.partial writes files, with keys
 * NAME.partial/FILE and mode 0600; the batch that has a cursor is the last, and brings all of it to the disk. What was cut
 * off begins anew, in an empty folder. In a dry-run the files are kept for those who read them later (folder_foreseen.h).
 * Verbs: publish {from} on NAME gives the filled folder its name; remove {} takes a folder back, with all that is in it. */
#include "steps/target/targets.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fault.h"
#include "base/hash.h"
#include "base/io.h"
#include "base/text.h"
#include "steps/target/folder_foreseen.h"

#define CLAIM ".wherry" /* in a folder that is being filled: the nonce of who fills it */
#define MANIFEST "manifest.json"
#define PARTIAL ".partial"
#define FILE_MAX ((size_t)256 << 20)
#define DEPTH_MAX 8

static int
folder_open(struct opctx *op, const void *args, void **ret_conn, struct err *err)
{
	(void)op, (void)args, (void)err;
	*ret_conn = folder_foreseen_new();
	return 0;
}

static void
folder_close(void *conn)
{
	folder_foreseen_free(conn);
}

/* ---- what is there ---- */

enum walk { WALK_COUNT, WALK_REMOVE, WALK_REMOVE_BUT_CLAIM };

/* Walk a folder that is open as fd, which is closed; remove what is in it, or count the files. */
static int
walk(int fd, enum walk how, unsigned depth, uint64_t *files, struct err *err)
{
	DIR *dir = fdopendir(fd);
	struct dirent *e;
	int rc = 0;

	if (dir == NULL) {
		(void)close(fd);
		return err_errno(err, "read a folder");
	}
	while (rc == 0 && (errno = 0, e = readdir(dir)) != NULL) {
		struct stat st;
		int inner;

		if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0 ||
		    (how == WALK_REMOVE_BUT_CLAIM && depth == 0 && strcmp(e->d_name, CLAIM) == 0))
			continue;
		if (fstatat(dirfd(dir), e->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0) {
			rc = err_errno(err, "stat '%s'", e->d_name);
		} else if (S_ISDIR(st.st_mode)) {
			inner = openat(dirfd(dir), e->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
			if (inner < 0 || depth == DEPTH_MAX) {
				rc = inner < 0 ? err_errno(err, "open '%s'", e->d_name) : err_set(err, ERR_FAILED, "folders lie too deep");
				if (inner >= 0)
					(void)close(inner);
			} else {
				rc = walk(inner, how, depth + 1, files, err);
			}
		} else {
			++*files;
		}
		if (rc == 0 && how != WALK_COUNT && unlinkat(dirfd(dir), e->d_name, S_ISDIR(st.st_mode) ? AT_REMOVEDIR : 0) < 0)
			rc = err_errno(err, "remove '%s'", e->d_name);
	}
	if (rc == 0 && errno != 0)
		rc = err_errno(err, "read a folder");
	(void)closedir(dir);
	return rc;
}

/* The folder, open; -1 with errno. */
static int
open_dir(const char *path)
{
	return open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
}

/* What is in it goes; ENOENT is fine. */
static int
clear(const char *path, enum walk how, struct err *err)
{
	const int fd = open_dir(path);
	uint64_t files = 0;

	if (fd < 0)
		return errno == ENOENT ? 0 : err_errno(err, "open '%s'", path);
	return walk(fd, how, 0, &files, err) < 0 ? err_wrap(err, "'%s'", path) : 0;
}

static int
folder_read(struct opctx *op, void *conn, const char *path, struct value *ret, struct err *err)
{
	struct pair *pairs = arena_array(op->arena, 3, sizeof(*pairs));
	const char *manifest = io_join(op->arena, path, MANIFEST);
	const int fd = open_dir(path);
	uint64_t files = 0;
	char hex[SHA256_HEX] = "";

	(void)conn;
	*ret = VALUE_NULL;
	if (fd < 0 && errno == ENOENT)
		return 0;
	if (fd < 0)
		return errno == ENOTDIR || errno == ELOOP ? err_set(err, ERR_FAILED, "'%s' is no folder", path) : err_errno(err, "open '%s'", path);
	if (walk(fd, WALK_COUNT, 0, &files, err) < 0)
		return err_wrap(err, "'%s'", path);
	if (access(manifest, F_OK) == 0 && io_hash_file(manifest, hex, err) < 0)
		return -1;
	pairs[0] = (struct pair){ "path", value_str(path) };
	pairs[1] = (struct pair){ "files", value_int((int64_t)files) };
	pairs[2] = (struct pair){ "manifest", value_str(arena_strdup(op->arena, hex)) };
	*ret = value_map(pairs, 3);
	return 0;
}

/* One file. What a stream would find (a range) is nothing: it begins in an empty folder. */
static int
folder_list(struct opctx *op, void *conn, const struct query *q, struct page *ret, struct err *err)
{
	const char *path = arena_strndup(op->arena, q->from.p, q->from.len);
	struct buf content = BUF_INIT(0);
	struct item *item;
	int rc;

	(void)conn;
	*ret = (struct page){ 0 };
	if (q->to.len > 0 || access(path, F_OK) < 0)
		return 0;
	rc = io_read_file(path, FILE_MAX, &content, err);
	if (rc == 0) {
		item = arena_alloc(op->arena, sizeof(*item));
		item->key = (struct bytes){ path, q->from.len };
		item->value = (struct bytes){ arena_strndup(op->arena, content.len > 0 ? content.p : "", content.len), content.len };
		*ret = (struct page){ .items = item, .n = 1, .count = 1 };
	}
	buf_done(&content);
	return rc;
}

/* Files of NAME.partial are kept under the name that it is to have. */
static int
folder_foresee(struct opctx *op, void *conn, const struct bulk *b, const struct batch *batch, struct err *err)
{
	const size_t len = strlen(b->path), end = strlen(PARTIAL);

	for (size_t i = 0; i < batch->n; i++) {
		const struct op *o = &batch->ops[i];
		const char *path = arena_printf(op->arena, "%.*s%.*s", (int)(len - end), b->path, (int)(o->key.len - len), (const char *)o->key.p + len);

		if (folder_foreseen_keep(conn, (struct bytes){ path, strlen(path) }, o->value, err) < 0)
			return -1;
	}
	return 0;
}

static bool
folder_foreseen(struct opctx *op, void *conn, const struct query *q, struct page *ret)
{
	struct item *item = arena_alloc(op->arena, sizeof(*item));

	item->key = q->from;
	*ret = (struct page){ .items = item, .n = 1, .count = 1 };
	return folder_foreseen_get(conn, op->arena, q->from, &item->value);
}

static const char *
folder_query_path(struct arena *a, const struct query *q)
{
	return arena_strndup(a, q->from.p, q->from.len);
}

/* A folder that an effect makes covers what is in it. */
static bool
folder_covers(const char *wide, const char *path)
{
	const size_t len = strlen(wide);

	return strncmp(wide, path, len) == 0 && (path[len] == '\0' || path[len] == '/');
}

static bool
folder_plain(const char *path)
{
	(void)path;
	return false;
}

/* ---- filling ---- */

struct filling {
	const char *path; /* of the folder, borrowed from the stream */
	int fd;
};

/* Does the claim in the folder bear a nonce of this run's? */
static bool
is_ours(int fd, const struct bulk *b, const char *nonce)
{
	const int claim = openat(fd, CLAIM, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	struct buf text = BUF_INIT(0);
	struct err ignored = ERR_INIT;
	bool ours = false;

	if (claim < 0)
		return false;
	if (io_read_fd(claim, CLAIM, 4096, &text, &ignored) == 0 && text.len > 0) {
		ours = strcmp(text.p, nonce) == 0;
		for (const struct nonce *n = b->nonces; !ours && n != NULL; n = n->next)
			ours = strcmp(text.p, n->text) == 0;
	}
	buf_done(&text);
	(void)close(claim);
	return ours;
}

static int
write_file(int dir, const char *name, struct bytes content, struct err *err)
{
	const int fd = openat(dir, name, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
	int rc;

	if (fd < 0)
		return err_errno(err, "create '%s'", name);
	rc = io_write_all(fd, content.p, content.len, err);
	if (close(fd) < 0 && rc == 0)
		rc = err_errno(err, "close '%s'", name);
	return rc < 0 ? err_wrap(err, "'%s'", name) : 0;
}

/* The folder, open, with a claim in it from the first moment on: what was killed in between lies under a name of the stream's own. */
static int
make_partial(struct arena *a, const struct bulk *b, const char *nonce, struct err *err)
{
	const char *early = arena_printf(a, "%s.%s", b->path, nonce);
	int fd, rc;

	if (mkdir(early, 0700) < 0 && errno != EEXIST)
		return err_errno(err, "make folder '%s'", early);
	fd = open_dir(early);
	if (fd < 0)
		return err_errno(err, "open '%s'", early);
	rc = clear(early, WALK_REMOVE, err);
	if (rc == 0)
		rc = write_file(fd, CLAIM, (struct bytes){ nonce, strlen(nonce) }, err);
	FAULT("folder.claimed");
	if (rc == 0 && renameat2(AT_FDCWD, early, AT_FDCWD, b->path, RENAME_NOREPLACE) < 0 &&
	    (errno != EINVAL || rename(early, b->path) < 0)) /* not every file system knows that flag; a folder with files is kept by both */
		rc = err_errno(err, "rename '%s' to '%s'", early, b->path);
	if (rc == 0)
		return fd;
	(void)close(fd);
	return -1;
}

static int
folder_bulk_open(struct opctx *op, void *conn, const struct bulk *b, const char *nonce, void **ret_bulk, struct err *err)
{
	const size_t len = strlen(b->path), end = strlen(PARTIAL);
	const char *name = len > end ? arena_strndup(op->arena, b->path, len - end) : "";
	struct filling *f;
	int fd;

	(void)conn;
	if (len <= end || strcmp(b->path + len - end, PARTIAL) != 0)
		return err_set(err, ERR_FAILED, "bug: '%s' is no folder to be filled", b->path);
	if (access(name, F_OK) == 0)
		return err_set(err, ERR_FAILED, "'%s' is there already, and is not replaced", name);
	fd = open_dir(b->path);
	if (fd < 0 && errno != ENOENT)
		return err_errno(err, "open '%s'", b->path);
	if (fd < 0 && (fd = make_partial(op->arena, b, nonce, err)) < 0)
		return -1;
	if (!is_ours(fd, b, nonce)) {
		(void)close(fd);
		return err_set(err, ERR_FAILED, "'%s' is there already, and not of this run: nothing was changed", b->path);
	}
	if (clear(b->path, WALK_REMOVE_BUT_CLAIM, err) < 0) {
		(void)close(fd);
		return -1;
	}
	f = xcalloc(1, sizeof(*f));
	*f = (struct filling){ b->path, fd };
	*ret_bulk = f;
	return 0;
}

static int
folder_bulk_look(struct opctx *op, void *conn, const struct bulk *b, struct err *err)
{
	(void)op, (void)conn, (void)b, (void)err;
	return 0;
}

static int
folder_bulk_cursor(struct opctx *op, void *bulk, unsigned lane, struct bytes *ret, struct err *err)
{
	(void)op, (void)bulk, (void)lane, (void)err;
	*ret = (struct bytes){ 0 };
	return 0;
}

/* The folders that the file lies in, then the file. */
static int
put_file(struct arena *a, const struct filling *f, const struct op *op, struct err *err)
{
	const size_t len = strlen(f->path);
	char *name;

	if (op->key.len <= len + 1 || memcmp(op->key.p, f->path, len) != 0 || ((const char *)op->key.p)[len] != '/')
		return err_set(err, ERR_FAILED, "bug: a file that is not in '%s'", f->path);
	name = arena_strndup(a, (const char *)op->key.p + len + 1, op->key.len - len - 1);
	for (const char *p = name; p != NULL; p = strchr(p, '/') != NULL ? strchr(p, '/') + 1 : NULL)
		if (*p == '\0' || *p == '/' || *p == '.')
			return err_set(err, ERR_FAILED, "bug: '%s' is no path of a file", name);
	for (char *slash = strchr(name, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		if (mkdirat(f->fd, name, 0700) < 0 && errno != EEXIST)
			return err_errno(err, "make folder '%s/%s'", f->path, name);
		*slash = '/';
	}
	return write_file(f->fd, name, op->value, err);
}

static int
folder_bulk_put(struct opctx *op, void *bulk, unsigned lane, const struct batch *b, enum put_result *ret, int64_t *ret_revision,
		struct err *err)
{
	struct arena scratch = ARENA_INIT;
	const struct filling *f = bulk;
	int rc = 0;

	(void)op, (void)lane;
	FAULT("folder.before_put");
	for (size_t i = 0; rc == 0 && i < b->n; i++)
		rc = put_file(&scratch, f, &b->ops[i], err);
	arena_done(&scratch);
	if (rc == 0 && b->cursor.len > 0 && syncfs(f->fd) < 0)
		rc = err_errno(err, "sync '%s'", f->path);
	FAULT("folder.put");
	*ret = PUT_DONE;
	*ret_revision = 0;
	return rc;
}

static void
folder_bulk_close(void *bulk)
{
	struct filling *f = bulk;

	(void)close(f->fd);
	free(f);
}

/* ---- publish and remove ---- */

static bool
is_remove(const struct effect *e)
{
	return strcmp(e->verb, "remove") == 0;
}

static int
publish(struct opctx *op, const char *from, const char *path, struct err *err)
{
	if (unlink(io_join(op->arena, from, CLAIM)) < 0 && errno != ENOENT)
		return err_errno(err, "remove '%s/%s'", from, CLAIM);
	FAULT("folder.before_rename");
	if (renameat2(AT_FDCWD, from, AT_FDCWD, path, RENAME_NOREPLACE) < 0)
		return errno == EEXIST ? err_set(err, ERR_FAILED, "'%s' has come to be there meanwhile; nothing was changed", path) :
			err_errno(err, "rename '%s' to '%s'", from, path);
	FAULT("folder.renamed");
	return io_sync_parent(path, err);
}

static int
folder_write(struct opctx *op, void *conn, const struct effect *e, const char *nonce, struct reply *ret, struct err *err)
{
	(void)nonce;
	*ret = (struct reply){ .outcome = OUTCOME_OK };
	if (!is_remove(e)) {
		if (publish(op, value_get_str(&e->body, "from", ""), e->on.path, err) < 0)
			return -1;
		return folder_read(op, conn, e->on.path, &ret->value, err);
	}
	if (clear(e->on.path, WALK_REMOVE, err) < 0)
		return -1;
	if (rmdir(e->on.path) < 0 && errno != ENOENT)
		return err_errno(err, "remove '%s'", e->on.path);
	return io_sync_parent(e->on.path, err);
}

static bool
folder_same(const struct effect *e, const struct value *before)
{
	return is_remove(e) && before->kind == V_NULL;
}

static int
folder_predict(struct opctx *op, void *conn, const struct effect *e, const struct value *before, struct prediction *ret, struct err *err)
{
	(void)op;
	*ret = (struct prediction){ .confidence = is_remove(e) ? CONF_EXACT : CONF_PREDICTED, .after = VALUE_NULL };
	if (is_remove(e)) {
		folder_foreseen_forget(conn);
		return 0;
	}
	if (before->kind == V_MAP)
		return err_set(err, ERR_FAILED, "'%s' is there already, and is not replaced", e->on.path);
	ret->after = value_unknown("a folder that has not been made");
	return 0;
}

/* It was full before it was to be renamed: it stands under one of the two names. */
static int
folder_probe(struct opctx *op, void *conn, const struct effect *e, const char *nonce, const struct value *before, enum probe *ret,
	     struct err *err)
{
	const bool source = access(value_get_str(&e->body, "from", ""), F_OK) == 0;
	struct value now;

	(void)nonce;
	if (folder_read(op, conn, e->on.path, &now, err) < 0)
		return -1;
	if (is_remove(e))
		*ret = now.kind == V_NULL ? PROBE_DONE_BY_US : PROBE_NOT_DONE;
	else if (now.kind == V_NULL)
		*ret = source ? PROBE_NOT_DONE : PROBE_OTHER;
	else
		*ret = before->kind == V_NULL && !source ? PROBE_DONE_BY_US : PROBE_OTHER;
	return 0;
}

static int
folder_invert(struct arena *a, const struct effect *e, const struct value *before, const struct value *after, struct effect *ret,
	      struct err *err)
{
	const char *shown = text_safe(a, e->on.path, strlen(e->on.path), 0);

	(void)before, (void)after;
	if (is_remove(e))
		return err_set(err, ERR_FAILED, "'%s' was removed and is not kept", shown);
	*ret = (struct effect){ .on = e->on, .verb = "remove", .class = EFFECT_PROBE, .body = value_map(NULL, 0),
				.says = arena_printf(a, "remove folder '%s'", shown) };
	return 0;
}

/* A path of this kind is one of this machine. */
static const char *
folder_here(const char *path)
{
	return path;
}

static const struct field no_fields[] = { { 0 } };

const struct target_type folder_target = {
	.kind = "folder",
	.summary = "folders on this machine that are made whole, or not at all",
	.fields = no_fields,
	.local = true,
	.open = folder_open,
	.close = folder_close,
	.read = folder_read,
	.list = folder_list,
	.query_path = folder_query_path,
	.covers = folder_covers,
	.plain = folder_plain,
	.here = folder_here,
	.same = folder_same,
	.write = folder_write,
	.predict = folder_predict,
	.foresee = folder_foresee,
	.foreseen = folder_foreseen,
	.probe = folder_probe,
	.invert = folder_invert,
	.bulk_open = folder_bulk_open,
	.bulk_look = folder_bulk_look,
	.bulk_cursor = folder_bulk_cursor,
	.bulk_put = folder_bulk_put,
	.bulk_close = folder_bulk_close,
};

/* SPDX-License-Identifier: Apache-2.0 */
/* The target kind of files on this machine. A ref's path is the file's own. An object is {path, size, sha256, mode,
 * content}, the mode in octal text; it is read whole, so that every write keeps what it replaces, and is therefore
 * limited to FILE_MAX. Verbs: write {path, content, mode} replaces durably and all at once; remove {path} takes a
 * created file back. Symbolic links, folders and devices are never replaced or removed. */
#include "steps/target/targets.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fault.h"
#include "base/hash.h"
#include "base/io.h"
#include "base/text.h"

#define FILE_MAX ((size_t)16 << 20)

static int
file_open(struct opctx *op, const void *args, void **ret_conn, struct err *err)
{
	(void)op, (void)args, (void)err;
	*ret_conn = NULL;
	return 0;
}

static void
file_close(void *conn)
{
	(void)conn;
}

/* The object that a file of this content and mode is; the strings are borrowed. */
static struct value
object(struct arena *a, const char *path, const char *content, size_t len, const char *mode)
{
	struct pair *pairs = arena_array(a, 5, sizeof(*pairs));
	char hex[SHA256_HEX];

	sha256_hex(content, len, hex);
	pairs[0] = (struct pair){ "path", value_str(path) };
	pairs[1] = (struct pair){ "size", value_int((int64_t)len) };
	pairs[2] = (struct pair){ "sha256", value_str(arena_strdup(a, hex)) };
	pairs[3] = (struct pair){ "mode", value_str(mode) };
	pairs[4] = (struct pair){ "content", value_strn(content, len) };
	return value_map(pairs, 5);
}

static int
file_read(struct opctx *op, void *conn, const char *path, struct value *ret, struct err *err)
{
	struct buf content = BUF_INIT(0);
	struct stat st;
	int fd, rc = -1;

	(void)conn;
	*ret = VALUE_NULL;
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	if (fd < 0)
		return errno == ENOENT ? 0 : err_errno(err, "open '%s'", path);
	if (fstat(fd, &st) < 0) {
		err_errno(err, "stat '%s'", path);
		goto out;
	}
	if (!S_ISREG(st.st_mode)) {
		err_set(err, ERR_FAILED, "'%s' is not a regular file", path);
		goto out;
	}
	if (st.st_size > (off_t)FILE_MAX) {
		err_set(err, ERR_FAILED, "'%s' has %" PRIi64 " bytes; files over 16 MiB are not handled", path,
			(int64_t)st.st_size);
		goto out;
	}
	if (io_read_fd(fd, path, FILE_MAX, &content, err) < 0)
		goto out;
	*ret = object(op->arena, path, arena_strndup(op->arena, content.len > 0 ? content.p : "", content.len),
		      content.len, arena_printf(op->arena, "%04o", (unsigned)(st.st_mode & 07777)));
	rc = 0;
out:
	buf_done(&content);
	close(fd);
	return rc;
}

static bool
is_remove(const struct effect *e)
{
	return strcmp(e->verb, "remove") == 0;
}

static struct value
after_image(struct arena *a, const struct effect *e)
{
	const struct value *content = value_get(&e->body, "content");

	if (is_remove(e))
		return VALUE_NULL;
	return object(a, e->on.path, content->s, content->len, value_get_str(&e->body, "mode", "0644"));
}

static bool
equal_member(const struct value *a, const struct value *b, const char *key)
{
	const struct value *x = value_get(a, key), *y = value_get(b, key);

	return x != NULL && y != NULL && value_eq(x, y);
}

static bool
file_same(const struct effect *e, const struct value *before)
{
	if (is_remove(e))
		return before->kind == V_NULL;
	return equal_member(&e->body, before, "content") && equal_member(&e->body, before, "mode");
}

/* Only a regular file is replaced or removed: what a link points to is not ours to guess. */
static int
check_regular(const char *path, struct err *err)
{
	struct stat st;

	if (lstat(path, &st) < 0)
		return errno == ENOENT ? 0 : err_errno(err, "stat '%s'", path);
	if (S_ISREG(st.st_mode))
		return 0;
	return err_set(err, ERR_FAILED, "'%s' is %s, which is not replaced", path,
		       S_ISLNK(st.st_mode)   ? "a symbolic link"
		       : S_ISDIR(st.st_mode) ? "a folder"
					     : "not a regular file");
}

/* What an effect writes lies here before it takes its place. The nonce makes it the effect's own. */
static const char *
tmp_path(struct arena *a, const char *path, const char *nonce)
{
	return arena_printf(a, "%s.tmp.%.16s", path, nonce);
}

/* A kill in the middle leaves a part of the content beside the file. */
static int
file_outlived(struct opctx *op, void *conn, const struct effect *e, const char *nonce, struct err *err)
{
	const char *tmp = tmp_path(op->arena, e->on.path, nonce);

	(void)conn;
	if (is_remove(e) || nonce[0] == '\0' || unlink(tmp) == 0 || errno == ENOENT || errno == ENOTDIR)
		return 0;
	return err_errno(err, "remove '%s', which a kill has left", tmp);
}

static int
file_write(struct opctx *op, void *conn, const struct effect *e, const char *nonce, struct reply *ret, struct err *err)
{
	const char *path = e->on.path;
	const struct value *content = value_get(&e->body, "content");

	(void)conn;
	if (check_regular(path, err) < 0)
		return -1;
	FAULT("file.before_write");
	if (is_remove(e)) {
		if (unlink(path) < 0 && errno != ENOENT)
			return err_errno(err, "remove '%s'", path);
		if (io_sync_parent(path, err) < 0)
			return -1;
	} else {
		const mode_t mode = (mode_t)strtoul(value_get_str(&e->body, "mode", "0644"), NULL, 8);

		if (file_outlived(op, conn, e, nonce, err) < 0 || /* of an undo, which is not asked for it */
		    io_replace_by(tmp_path(op->arena, path, nonce), path, content->s, content->len, mode, err) < 0)
			return -1;
	}
	FAULT("file.written");
	ret->outcome = OUTCOME_OK;
	ret->value = after_image(op->arena, e);
	return 0;
}

/* Would the file system let us? A folder that an earlier step of the plan makes is not there yet. */
static bool
is_writable_now(struct arena *a, const char *path)
{
	const char *slash = strrchr(path, '/');
	const char *dir = slash == NULL	  ? "."
			  : slash == path ? "/"
					  : arena_strndup(a, path, (size_t)(slash - path));
	struct err ignored = ERR_INIT;

	return access(dir, W_OK | X_OK) == 0 && check_regular(path, &ignored) == 0;
}

static int
file_predict(struct opctx *op, void *conn, const struct effect *e, const struct value *before, struct prediction *ret,
	     struct err *err)
{
	(void)conn, (void)before, (void)err;
	*ret = (struct prediction){
		.confidence = is_writable_now(op->arena, e->on.path) ? CONF_EXACT : CONF_PREDICTED,
		.after = after_image(op->arena, e),
	};
	return 0;
}

static int
file_probe(struct opctx *op, void *conn, const struct effect *e, const char *nonce, const struct value *before,
	   enum probe *ret, struct err *err)
{
	struct value now;

	(void)nonce;
	if (file_read(op, conn, e->on.path, &now, err) < 0)
		return -1;
	if (file_same(e, &now))
		*ret = PROBE_DONE_BY_US;
	else
		*ret = before != NULL && value_eq(before, &now) ? PROBE_NOT_DONE : PROBE_OTHER;
	return 0;
}

/* A file that was removed leaves nothing that a later step could read. */
static int
file_recheck(struct opctx *op, const char *path, const struct value *after, struct err *err)
{
	struct value now;

	if (after->kind != V_MAP)
		return 0;
	if (file_read(op, NULL, path, &now, err) < 0)
		return -1;
	if (equal_member(after, &now, "size") && equal_member(after, &now, "sha256"))
		return 0;
	if (now.kind == V_NULL)
		return err_set(err, ERR_IN_DOUBT, "the file '%s' that this step left is gone", path);
	return err_set(err, ERR_IN_DOUBT, "the file '%s' is not as this step left it: it has %" PRIi64 " bytes, SHA-256 %.12s…, "
		       "and had %" PRIi64 ", SHA-256 %.12s…", path, value_get_int(&now, "size", 0),
		       value_get_str(&now, "sha256", ""), value_get_int(after, "size", 0), value_get_str(after, "sha256", ""));
}

static int
file_invert(struct arena *a, const struct effect *e, const struct value *before, const struct value *after,
	    struct effect *ret, struct err *err)
{
	struct pair *body = arena_array(a, 3, sizeof(*body));
	const char *shown = text_safe(a, e->on.path, strlen(e->on.path), 0);

	(void)after;
	if (before->kind != V_NULL && before->kind != V_MAP)
		return err_set(err, ERR_FAILED, "'%s': what was there before is not known", shown);
	*ret = (struct effect){ .on = e->on, .class = EFFECT_PROBE };
	body[0] = (struct pair){ "path", value_str(e->on.path) };
	if (before->kind == V_NULL) {
		ret->verb = "remove";
		ret->says = arena_printf(a, "remove '%s'", shown);
		ret->body = value_map(body, 1);
		return 0;
	}
	body[1] = (struct pair){ "content", *value_get(before, "content") };
	body[2] = (struct pair){ "mode", *value_get(before, "mode") };
	ret->verb = "write";
	ret->says = arena_printf(a, "put back '%s', %" PRIi64 " bytes", shown, value_get_int(before, "size", 0));
	ret->body = value_map(body, 3);
	return 0;
}

/* A path of this kind is one of this machine. */
static const char *
file_here(const char *path)
{
	return path;
}

static const struct field no_fields[] = { { 0 } };

const struct target_type file_target = {
	.kind = "file",
	.sensitive = true,
	.summary = "files on this machine",
	.fields = no_fields,
	.local = true,
	.open = file_open,
	.close = file_close,
	.read = file_read,
	.here = file_here,
	.same = file_same,
	.write = file_write,
	.predict = file_predict,
	.probe = file_probe,
	.outlived = file_outlived,
	.recheck = file_recheck,
	.invert = file_invert,
};

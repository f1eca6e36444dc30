/* SPDX-License-Identifier: Apache-2.0 */
/* The target kind of archives and of what they are made from. A ref's path is a file or folder of this machine.
 * It reads as null, {kind: file, path, size, sha256}, or {kind: folder, path, entries, size, sha256} with the hash of all
 * names, modes and contents. Verbs: pack {from, compression} makes the file at path, unpack {from, sha256, max_size,
 * max_entries} the folder; both make it beside its place and move it there whole. What is there already is compared and
 * never changed, so both may be done again. remove {} takes back what they made; keep {} leaves what was there before. */
#include "steps/target/targets.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fault.h"
#include "base/io.h"
#include "base/text.h"
#include "steps/target/archive_io.h"
#include "steps/target/archive_tree.h"

static int
archive_open(struct opctx *op, const void *args, void **ret_conn, struct err *err)
{
	(void)op, (void)args, (void)err;
	*ret_conn = NULL;
	return 0;
}

static void
archive_close(void *conn)
{
	(void)conn;
}

static bool
is_verb(const struct effect *e, const char *verb)
{
	return strcmp(e->verb, verb) == 0;
}

static struct value
file_object(struct arena *a, const char *path, uint64_t size, const char *sha256)
{
	struct pair *pairs = arena_array(a, 4, sizeof(*pairs));

	pairs[0] = (struct pair){ "kind", value_str("file") };
	pairs[1] = (struct pair){ "path", value_str(path) };
	pairs[2] = (struct pair){ "size", value_int((int64_t)size) };
	pairs[3] = (struct pair){ "sha256", value_str(arena_strdup(a, sha256)) };
	return value_map(pairs, 4);
}

/* The object at path; limits (max_size, max_entries) are those of the effect that asks. A folder over its limits, or one
 * that cannot be read in full, is not what unpack makes, and has no hash. */
static int
look(struct opctx *op, const char *path, const struct value *limits, struct value *ret, struct err *err)
{
	struct pair *pairs = arena_array(op->arena, 2, sizeof(*pairs));
	struct stat st;
	struct tree t;
	int rc;

	*ret = VALUE_NULL;
	if (lstat(path, &st) < 0)
		return errno == ENOENT || errno == ENOTDIR ? 0 : err_errno(err, "stat '%s'", path);
	if (!S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode))
		return err_set(err, ERR_FAILED, "'%s' is %s", path, S_ISLNK(st.st_mode) ? "a symbolic link" : "no file or folder");
	tree_init(&t, limits);
	rc = tree_read(op, path, &t, err);
	if (rc == 0 && S_ISREG(st.st_mode)) {
		*ret = file_object(op->arena, path, t.list[0].size, t.list[0].says);
	} else if (rc == 0) {
		*ret = tree_object(&t, op->arena, path);
	} else if (err->kind == ERR_FAILED) {
		pairs[0] = (struct pair){ "kind", value_str("folder") };
		pairs[1] = (struct pair){ "path", value_str(path) };
		*ret = value_map(pairs, 2);
		*err = ERR_INIT;
		rc = 0;
	}
	tree_done(&t);
	return rc;
}

static int
archive_read_object(struct opctx *op, void *conn, const char *path, struct value *ret, struct err *err)
{
	(void)conn;
	return look(op, path, &VALUE_NULL, ret, err);
}

static int
archive_image(struct opctx *op, void *conn, const struct effect *e, struct value *ret, struct err *err)
{
	(void)conn;
	return look(op, e->on.path, &e->body, ret, err);
}

/* libarchive stumbles over names that are not ASCII, unless the thread's locale knows UTF-8. */
struct words {
	locale_t utf8, before;
};

static struct words
words_enter(void)
{
	struct words w = { .utf8 = newlocale(LC_CTYPE_MASK, "C.UTF-8", (locale_t)0) };

	if (w.utf8 != (locale_t)0)
		w.before = uselocale(w.utf8);
	return w;
}

static void
words_leave(struct words *w)
{
	if (w->utf8 == (locale_t)0)
		return;
	(void)uselocale(w->before);
	freelocale(w->utf8);
}

/* The reply to pack: the file, and how many entries went into it. */
static struct value
packed(struct arena *a, struct value file, uint64_t entries)
{
	struct pair *pairs = arena_array(a, file.len + 1, sizeof(*pairs));

	memcpy(pairs, file.pairs, file.len * sizeof(*pairs));
	pairs[file.len] = (struct pair){ "entries", value_int((int64_t)entries) };
	return value_map(pairs, file.len + 1);
}

static struct value
archive_after(struct arena *a, const struct effect *e, const struct value *reply)
{
	if (!is_verb(e, "pack") || reply->kind != V_MAP)
		return *reply;
	return file_object(a, e->on.path, (uint64_t)value_get_int(reply, "size", 0), value_get_str(reply, "sha256", ""));
}

/* Make what the effect makes: into out (-1: only find out what it would be); ret is the reply. */
static int
make(struct opctx *op, const struct effect *e, int out, struct value *ret, struct err *err)
{
	const char *from = value_get_str(&e->body, "from", "");
	struct words words = words_enter();
	struct archive_made made;
	struct tree t;
	int rc;

	if (is_verb(e, "pack")) {
		rc = archive_pack(op, from, value_get_str(&e->body, "compression", "none"), out, &made, err);
		if (rc == 0)
			*ret = packed(op->arena, file_object(op->arena, e->on.path, made.size, made.sha256), made.entries);
	} else {
		tree_init(&t, &e->body);
		rc = archive_unpack(op, from, out, &t, err);
		if (rc == 0)
			*ret = tree_object(&t, op->arena, e->on.path);
		tree_done(&t);
	}
	words_leave(&words);
	return rc;
}

/* Is the archive still the one that was looked at? */
static int
check_source(struct opctx *op, const struct effect *e, struct err *err)
{
	const char *from = value_get_str(&e->body, "from", "");
	struct value now;

	if (is_verb(e, "pack"))
		return 0;
	if (look(op, from, &VALUE_NULL, &now, err) < 0)
		return -1;
	if (strcmp(value_get_str(&now, "sha256", ""), value_get_str(&e->body, "sha256", "")) != 0)
		return err_set(err, ERR_FAILED, "archive '%s' is not what it was when this step began: its SHA-256 is %s, not %s",
			       from, value_get_str(&now, "sha256", "gone"), value_get_str(&e->body, "sha256", ""));
	return 0;
}

/* Something is there: it has to be what would be made. */
static int
compare(struct opctx *op, const struct effect *e, const struct value *now, struct value *ret, struct err *err)
{
	struct value after;

	if (make(op, e, -1, ret, err) < 0)
		return -1;
	after = archive_after(op->arena, e, ret);
	if (value_eq(&after, now))
		return 0;
	return err_set(err, ERR_FAILED, "'%s' is there already and is something else; nothing was changed", e->on.path);
}

/* The place beside the destination where it is made. */
static const char *
beside(struct arena *a, const char *path, const char *nonce)
{
	const char *slash = strrchr(path, '/');

	return arena_printf(a, "%.*s.wherry-%s", slash == NULL ? 0 : (int)(slash + 1 - path), path, nonce);
}

/* The new file or folder, open, and out of the way of what an earlier attempt left. */
static int
open_beside(const struct effect *e, const char *tmp, struct err *err)
{
	int fd;

	if (access(tmp, F_OK) == 0 && tree_remove(tmp, err) < 0)
		return -1;
	if (is_verb(e, "pack")) {
		fd = open(tmp, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	} else {
		fd = mkdir(tmp, 0700);
		if (fd == 0)
			fd = open(tmp, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	}
	return fd >= 0 ? fd : err_errno(err, "make '%s'", tmp);
}

/* Everything on disk, then the name, then the name on disk. */
static int
settle(int fd, const char *tmp, const char *path, struct err *err)
{
	if (syncfs(fd) < 0)
		return err_errno(err, "sync '%s'", tmp);
	FAULT("archive.before_rename");
	if (renameat2(AT_FDCWD, tmp, AT_FDCWD, path, RENAME_NOREPLACE) < 0) {
		if (errno == EEXIST)
			return err_set(err, ERR_FAILED, "'%s' has come to be there meanwhile; nothing was changed", path);
		return err_errno(err, "rename '%s' to '%s'", tmp, path);
	}
	FAULT("archive.renamed");
	return io_sync_parent(path, err);
}

static int
make_there(struct opctx *op, const struct effect *e, const char *nonce, struct value *ret, struct err *err)
{
	const char *tmp = beside(op->arena, e->on.path, nonce);
	struct err ignored = ERR_INIT;
	int fd = open_beside(e, tmp, err), rc;

	if (fd < 0)
		return -1;
	rc = make(op, e, fd, ret, err);
	if (rc == 0)
		rc = settle(fd, tmp, e->on.path, err);
	close(fd);
	if (rc < 0)
		(void)tree_remove(tmp, &ignored);
	return rc;
}

static int
archive_write_effect(struct opctx *op, void *conn, const struct effect *e, const char *nonce, struct reply *ret,
		     struct err *err)
{
	struct value now;

	(void)conn;
	if (look(op, e->on.path, &e->body, &now, err) < 0)
		return -1;
	*ret = (struct reply){ .outcome = OUTCOME_OK, .value = now };
	if (is_verb(e, "keep"))
		return 0;
	if (is_verb(e, "remove")) {
		ret->value = VALUE_NULL;
		return tree_remove(e->on.path, err) < 0 ? -1 : io_sync_parent(e->on.path, err);
	}
	if (check_source(op, e, err) < 0)
		return -1;
	return now.kind != V_NULL ? compare(op, e, &now, &ret->value, err) : make_there(op, e, nonce, &ret->value, err);
}

static bool
archive_same(const struct effect *e, const struct value *before)
{
	return is_verb(e, "keep") || (is_verb(e, "remove") && before->kind == V_NULL);
}

/* An archive that is there is looked through by the same rules; one that an earlier step makes cannot be. */
static int
archive_predict(struct opctx *op, void *conn, const struct effect *e, const struct value *before, struct prediction *ret,
		struct err *err)
{
	(void)conn;
	*ret = (struct prediction){ .confidence = CONF_EXACT, .after = VALUE_NULL };
	if (is_verb(e, "remove"))
		return 0;
	if (is_verb(e, "pack") || ((e->body.flags | before->flags) & VF_UNKNOWN)) {
		ret->confidence = CONF_PREDICTED;
		ret->after = value_unknown("an archive that has not been made");
		return 0;
	}
	if (check_source(op, e, err) < 0)
		return -1;
	return before->kind != V_NULL ? compare(op, e, before, &ret->after, err) : make(op, e, -1, &ret->after, err);
}

static int
archive_invert(struct arena *a, const struct effect *e, const struct value *before, const struct value *after,
	       struct effect *ret, struct err *err)
{
	const char *shown = text_safe(a, e->on.path, strlen(e->on.path), 0);

	(void)after;
	if (is_verb(e, "remove"))
		return err_set(err, ERR_FAILED, "'%s' was removed and is not kept", shown);
	*ret = (struct effect){ .on = e->on, .class = EFFECT_IDEMPOTENT, .body = e->body };
	ret->verb = before->kind == V_NULL ? "remove" : "keep";
	ret->says = arena_printf(a, "%s '%s'", before->kind == V_NULL ? "remove" : "leave as it was", shown);
	return 0;
}

/* A folder may change by right, once somebody uses it. */
static int
archive_recheck(struct opctx *op, const char *path, const struct value *after, struct err *err)
{
	struct value now;

	if (strcmp(value_get_str(after, "kind", ""), "file") != 0)
		return 0;
	if (look(op, path, &VALUE_NULL, &now, err) < 0)
		return -1;
	if (strcmp(value_get_str(after, "sha256", ""), value_get_str(&now, "sha256", "")) == 0)
		return 0;
	return err_set(err, ERR_IN_DOUBT, "the archive '%s' %s", path, now.kind == V_NULL ? "that this step left is gone" :
		       "is not as this step left it");
}

/* A path of this kind is one of this machine. */
static const char *
archive_here(const char *path)
{
	return path;
}

static const char *
archive_source(const struct effect *e)
{
	return value_get_str(&e->body, "from", NULL);
}

static const struct field no_fields[] = { { 0 } };

const struct target_type archive_target = {
	.kind = "archive",
	.summary = "archives on this machine, and folders that are packed into them and unpacked from them",
	.fields = no_fields,
	.local = true,
	.open = archive_open,
	.close = archive_close,
	.read = archive_read_object,
	.image = archive_image,
	.here = archive_here,
	.source = archive_source,
	.same = archive_same,
	.write = archive_write_effect,
	.predict = archive_predict,
	.after = archive_after,
	.invert = archive_invert,
	.recheck = archive_recheck,
};

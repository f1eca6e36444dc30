/* SPDX-License-Identifier: Apache-2.0 */
/* Owns snapshots of a whole store, streamed into a file of this machine as etcdctl writes them. The file gets its name
 * only when all of it is on the disk and the SHA-256 that etcd appends is right; a file that is there is never replaced.
 * Until then it is NAME.part, which a repetition begins anew: a snapshot's stream cannot be gone on with. */
#include "steps/target/etcd.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fault.h"
#include "base/hash.h"
#include "base/io.h"
#include "base/text.h"
#include "steps/target/etcd_auth_api.h"

#define STALL (30 * NS_PER_S) /* without a byte: another member is asked */
#define NOTE_EVERY (10 * NS_PER_S)
#define CHUNK ((size_t)256 << 10)

/* A file that is being written, or read to be checked. The last bytes are held back: they may be the trailer. */
struct snapshot {
	int fd;
	uint64_t size;
	struct sha256 *content, *file;
	unsigned char tail[SHA256_LEN];
	size_t tail_len;
};

static void
snapshot_add(struct snapshot *s, const unsigned char *p, size_t len)
{
	const size_t over = s->tail_len + len > SHA256_LEN ? s->tail_len + len - SHA256_LEN : 0;
	const size_t old = over < s->tail_len ? over : s->tail_len;

	sha256_add(s->file, p, len);
	s->size += len;
	sha256_add(s->content, s->tail, old);
	memmove(s->tail, s->tail + old, s->tail_len - old);
	s->tail_len -= old;
	sha256_add(s->content, p, over - old);
	memcpy(s->tail + s->tail_len, p + (over - old), len - (over - old));
	s->tail_len += len - (over - old);
}

/* Whole and unbroken? A database is pages of 512 bytes or more; then comes the SHA-256 of them all. */
static bool
snapshot_is_whole(struct snapshot *s)
{
	unsigned char digest[SHA256_LEN];

	sha256_end(s->content, digest);
	return s->size > SHA256_LEN && s->size % 512 == SHA256_LEN && memcmp(digest, s->tail, SHA256_LEN) == 0;
}

static struct value
snapshot_value(struct arena *a, const char *path, struct snapshot *s)
{
	unsigned char digest[SHA256_LEN];
	char hex[SHA256_HEX];

	sha256_end(s->file, digest);
	hex_encode(digest, sizeof(digest), hex);
	return ETCD_MAP(a, { "path", value_str(path) }, { "size", value_int((int64_t)s->size) },
			{ "sha256", value_str(arena_strdup(a, hex)) });
}

static void
snapshot_init(struct snapshot *s, int fd)
{
	*s = (struct snapshot){ .fd = fd, .content = sha256_new(), .file = sha256_new() };
}

static void
snapshot_done(struct snapshot *s)
{
	sha256_free(s->content);
	sha256_free(s->file);
	if (s->fd >= 0)
		(void)close(s->fd);
}

/* ret: null where there is no file; ret_whole: it is a snapshot. */
static int
look(struct opctx *cx, const char *path, struct value *ret, bool *ret_whole, struct err *err)
{
	const int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK | O_NOFOLLOW);
	unsigned char *chunk;
	struct snapshot s;
	struct stat st;
	ssize_t n;

	*ret = VALUE_NULL;
	*ret_whole = false;
	if (fd < 0)
		return errno == ENOENT ? 0 : err_errno(err, "open '%s'", path);
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode)) {
		(void)close(fd);
		return err_set(err, ERR_FAILED, "'%s' is not a regular file", path);
	}
	snapshot_init(&s, fd);
	chunk = xmalloc(CHUNK);
	while ((n = read(fd, chunk, CHUNK)) > 0 || (n < 0 && errno == EINTR))
		snapshot_add(&s, chunk, n > 0 ? (size_t)n : 0);
	if (n < 0)
		(void)err_errno(err, "read '%s'", path);
	free(chunk);
	*ret_whole = snapshot_is_whole(&s);
	*ret = snapshot_value(cx->arena, path, &s);
	snapshot_done(&s);
	return (int)n;
}

int
etcd_read_snapshot(struct opctx *cx, const char *path, struct value *ret, struct err *err)
{
	bool whole;

	return look(cx, path, ret, &whole, err);
}

int
etcd_recheck_snapshot(struct opctx *cx, const char *path, const struct value *after, struct err *err)
{
	struct etcd_path p;
	struct value now;
	const char *file;

	if (after->kind != V_MAP)
		return 0;
	if (etcd_path_parse(cx->arena, path, &p, err) < 0)
		return -1;
	file = p.key.p;
	if (etcd_read_snapshot(cx, file, &now, err) < 0)
		return -1;
	if (value_eq(&now, after))
		return 0;
	return err_set(err, ERR_IN_DOUBT, "the snapshot '%s' that this step left is %s", file,
		       now.kind == V_NULL ? "gone" : "another one now");
}

/* One stream from one member into the file. */
struct download {
	struct opctx *cx;
	struct etcd_conn *c;
	struct snapshot *to;
	uint64_t remaining; /* as the last part says; 1 before the first */
	int64_t told;
	bool failed;        /* here, with err set: it was not the stream's fault */
	struct err *err;
};

static void
tell(struct download *d)
{
	char done[32], all[32];

	if (d->cx->note == NULL || clock_now() - d->told < NOTE_EVERY)
		return;
	d->told = clock_now();
	d->cx->note(d->cx, arena_printf(d->cx->arena, "%s of %s", size_text(d->to->size, done),
					size_text(d->to->size + d->remaining, all)));
}

static bool
take_part(void *data, struct bytes message)
{
	struct etcd_snapshot_part part;
	struct download *d = data;

	d->failed = true;
	if (etcd_stopped(d->cx, d->err) < 0)
		return false;
	if (clock_now() >= d->cx->deadline) {
		(void)err_set(d->err, ERR_TIMEOUT, "timed out");
		return false;
	}
	if (etcd_snapshot_decode(message, &part) < 0) {
		(void)etcd_malformed(d->c, "Snapshot", d->err);
		return false;
	}
	if (io_write_all(d->to->fd, part.blob.p, part.blob.len, d->err) < 0)
		return false;
	snapshot_add(d->to, part.blob.p, part.blob.len);
	d->remaining = part.remaining;
	d->failed = false;
	FAULT("etcd.snapshot.part");
	tell(d);
	return true;
}

/* The stream ended before the snapshot did: at another member, or with another token, it may not. */
static int
broken(struct etcd_conn *c, size_t endpoint, const char *token, const struct grpc_answer *a, struct err *err)
{
	if (a->fate == GRPC_ANSWERED && a->status != GRPC_OK && a->status != GRPC_UNAVAILABLE && !etcd_conn_is_auth(c, a)) {
		(void)etcd_conn_refusal(c, endpoint, a, err);
		return strstr(a->why, "permission denied") != NULL ? err_next(err, "a snapshot needs a user who has the role root") : -1;
	}
	if (a->fate == GRPC_ANSWERED && token != NULL)
		etcd_conn_forget_token(c, token);
	etcd_conn_leave(c, endpoint);
	(void)err_set(err, ERR_UNREACHABLE, "etcd at %s: the snapshot was cut off: %s", etcd_conn_name(c, endpoint),
		      a->why[0] != '\0' ? a->why : "the stream ended early");
	err->retryable = a->fate != GRPC_REFUSED;
	return -1;
}

static int
download(struct opctx *cx, struct etcd_conn *c, struct snapshot *s, struct err *err)
{
	struct download d = { .cx = cx, .c = c, .to = s, .remaining = 1, .told = clock_now(), .err = err };
	struct buf request = BUF_INIT(0);
	struct grpc_call call = { .cx = cx, .method = ETCD_SNAPSHOT, .request = &request, .max = ETCD_REPLY_MAX,
				  .deadline = cx->deadline, .stall = STALL };
	struct grpc_answer a = { 0 };
	char *token = NULL;
	size_t endpoint;
	int rc = 0;

	if (etcd_conn_token(cx, c, &token, err) < 0)
		return -1;
	call.token = token;
	grpc_begin(&request);
	grpc_end(&request);
	(void)grpc_download(etcd_conn_peer(c, &endpoint), &call, take_part, &d, &a);
	buf_done(&request);
	if (d.failed || etcd_stopped(cx, err) < 0)
		rc = -1;
	else if (a.fate != GRPC_ANSWERED || a.status != GRPC_OK || d.remaining > 0)
		rc = broken(c, endpoint, token, &a, err);
	if (token != NULL)
		explicit_bzero(token, strlen(token));
	free(token);
	return rc;
}

static int
save(struct opctx *cx, struct etcd_conn *c, const char *path, struct value *ret, struct err *err)
{
	const char *part = arena_printf(cx->arena, "%s.part", path);
	struct snapshot s;
	int rc;

	if (access(path, F_OK) == 0)
		return io_refuse_existing(path, err);
	snapshot_init(&s, open(part, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600));
	if (s.fd < 0) {
		rc = err_errno(err, "create '%s'", part);
	} else {
		rc = download(cx, c, &s, err);
		if (rc == 0 && !snapshot_is_whole(&s))
			rc = err_set(err, ERR_FAILED, "etcd at %s: the snapshot is damaged: its SHA-256 is another", etcd_conn_names(c));
		FAULT("etcd.snapshot.received");
		if (rc == 0)
			rc = io_publish(s.fd, part, path, err);
		if (rc < 0)
			(void)unlink(part);
	}
	if (rc == 0)
		*ret = snapshot_value(cx->arena, path, &s);
	snapshot_done(&s);
	return rc;
}

static int
parse_effect(struct arena *a, const struct effect *e, bool *ret_remove, const char **ret_path, struct err *err)
{
	struct etcd_path path;

	if (etcd_path_parse(a, e->on.path, &path, err) < 0)
		return -1;
	*ret_path = path.key.p;
	*ret_remove = strcmp(e->verb, "remove") == 0;
	if (*ret_remove || strcmp(e->verb, "save") == 0)
		return 0;
	return err_set(err, ERR_PLAN, "etcd: '%s' does not go with '%s'", e->verb, e->on.path);
}

static int
snapshot_write(struct opctx *cx, void *conn, const struct effect *e, const char *nonce, struct reply *ret, struct err *err)
{
	const char *path;
	bool is_remove;

	(void)nonce; /* the file's own content tells that it is a snapshot */
	if (parse_effect(cx->arena, e, &is_remove, &path, err) < 0)
		return -1;
	*ret = (struct reply){ .outcome = OUTCOME_OK };
	if (!is_remove)
		return save(cx, conn, path, &ret->value, err);
	if (unlink(path) < 0 && errno != ENOENT)
		return err_errno(err, "remove '%s'", path);
	return io_sync_parent(path, err);
}

static int
snapshot_image(struct opctx *cx, void *conn, const struct effect *e, struct value *ret, struct err *err)
{
	const char *path;
	bool is_remove;

	(void)conn;
	return parse_effect(cx->arena, e, &is_remove, &path, err) < 0 ? -1 : etcd_read_snapshot(cx, path, ret, err);
}

static bool
snapshot_same(const struct effect *e, const struct value *before)
{
	return strcmp(e->verb, "remove") == 0 && before->kind == V_NULL;
}

static int
snapshot_predict(struct opctx *cx, void *conn, const struct effect *e, const struct value *before,
		 struct prediction *ret, struct err *err)
{
	const struct value unknown = value_unknown("a snapshot that has not been made");
	const char *path;
	bool is_remove;

	(void)conn;
	*ret = (struct prediction){ .confidence = CONF_PREDICTED, .after = VALUE_NULL };
	if (parse_effect(cx->arena, e, &is_remove, &path, err) < 0)
		return -1;
	if (is_remove)
		return 0;
	if (before->kind == V_MAP)
		return io_refuse_existing(path, err);
	ret->after = ETCD_MAP(cx->arena, { "path", value_str(path) }, { "size", unknown }, { "sha256", unknown });
	return 0;
}

/* It is only begun where no file was: a whole snapshot that is there now was renamed by us. */
static int
snapshot_probe(struct opctx *cx, void *conn, const struct effect *e, const char *nonce, const struct value *before,
	       enum probe *ret, struct err *err)
{
	const char *path;
	struct value now;
	bool whole, is_remove;

	(void)conn;
	(void)nonce;
	if (parse_effect(cx->arena, e, &is_remove, &path, err) < 0 || look(cx, path, &now, &whole, err) < 0)
		return -1;
	if (is_remove)
		*ret = now.kind == V_NULL ? PROBE_DONE_BY_US : value_eq(&now, before) ? PROBE_NOT_DONE : PROBE_OTHER;
	else if (now.kind == V_NULL || before->kind != V_NULL)
		*ret = PROBE_NOT_DONE;
	else
		*ret = whole ? PROBE_DONE_BY_US : PROBE_OTHER;
	return 0;
}

static int
snapshot_invert(struct arena *a, const struct effect *e, const struct value *before, const struct value *after,
		struct effect *ret, struct err *err)
{
	const char *path;
	bool is_remove;

	(void)after;
	if (parse_effect(a, e, &is_remove, &path, err) < 0)
		return -1;
	if (is_remove || before->kind != V_NULL)
		return err_set(err, ERR_FAILED, "etcd: '%s' of '%s' cannot be taken back", e->verb, e->on.path);
	*ret = (struct effect){ .on = e->on, .verb = "remove", .body = etcd_map(a, NULL, 0), .class = EFFECT_PROBE,
				.says = arena_printf(a, "remove the snapshot '%s'", text_safe(a, path, strlen(path), 0)) };
	return 0;
}

const struct etcd_effects etcd_snapshot_effects = {
	.write = snapshot_write,
	.image = snapshot_image,
	.same = snapshot_same,
	.predict = snapshot_predict,
	.probe = snapshot_probe,
	.invert = snapshot_invert,
};

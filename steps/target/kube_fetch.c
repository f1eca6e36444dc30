/* SPDX-License-Identifier: Apache-2.0 */
/* Owns the way of a file out of a container. It gets its name here, which the plan chose and never the pod, only when all of it
 * is on the disk and hashes to what the container says; a file that is there is never replaced. */
#include "steps/target/kube_inside.h"

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
#include "base/hash.h"
#include "base/io.h"
#include "base/text.h"
#include "steps/target/kube_paths.h"
#include "steps/target/kube_script.h"

#define NOTE_EVERY (10 * NS_PER_S)

/* Size and SHA-256 go by stderr before the content, so that a container without sha256sum is known at once. */
static const char fetch_script[] = KUBE_SCRIPT_NEEDS("cat sha256sum stat")
	"[ -e \"$1\" ] || exit 96\n"
	"[ -f \"$1\" ] || exit 95\n"
	"[ -r \"$1\" ] || exit 94\n"
	"stat -Lc %s -- \"$1\" >&2 && sha256sum <\"$1\" >&2 && cat <\"$1\"\n";

/* A file that is coming. */
struct coming {
	struct opctx *op;
	const struct kube_script *script;
	int fd;
	uint64_t size;
	struct sha256 *hash;
	int64_t told;
};

/* The file of this machine that the effect is on. */
static int
path_of(struct arena *a, const struct effect *e, const char **ret, struct err *err)
{
	struct kube_paths path;

	if (kube_paths_parse(a, e->on.path, &path, err) < 0)
		return -1;
	*ret = path.file;
	return 0;
}

static bool
is_remove(const struct effect *e)
{
	return strcmp(e->verb, "remove") == 0;
}

static void
tell(struct coming *f)
{
	char done[32], all[32];

	if (f->op->note == NULL || clock_now() - f->told < NOTE_EVERY)
		return;
	f->told = clock_now();
	f->op->note(f->op, arena_printf(f->op->arena, "%s of %s", size_text(f->size, done),
					size_text(strtoull(f->script->err.len > 0 ? f->script->err.p : "0", NULL, 10), all)));
}

static int
take(void *data, enum kube_channel channel, const char *p, size_t n, struct err *err)
{
	struct coming *f = data;

	(void)channel;
	sha256_add(f->hash, p, n);
	f->size += n;
	tell(f);
	FAULT("fetch.piece");
	return io_write_all(f->fd, p, n, err);
}

/* Is what came what the container has? It says size and SHA-256, each on a line. */
static int
check_whole(struct opctx *op, const struct kube_script *s, const char *file, uint64_t size, const char *hex, struct err *err)
{
	const char *said = s->err.len > 0 ? s->err.p : "", *eol = strchr(said, '\n');
	const uint64_t wanted = strtoull(said, NULL, 10);

	if (eol == NULL || strlen(eol + 1) < SHA256_HEX - 1)
		return err_set(err, ERR_FAILED, "%s: its SHA-256 was not told", kube_script_file(op->arena, s->pod, file));
	if (strncmp(eol + 1, hex, SHA256_HEX - 1) == 0 && wanted == size)
		return 0;
	(void)err_set(err, ERR_FAILED, "%s changed while it was copied: %" PRIu64 " bytes came, SHA-256 %.12s…, and it had %" PRIu64
		      ", SHA-256 %.12s…", kube_script_file(op->arena, s->pod, file), size, hex, wanted,
		      text_safe(op->arena, eol + 1, SHA256_HEX - 1, 0));
	err->retryable = true;
	return -1;
}

static int
fetch(struct opctx *op, struct kube_conn *c, const struct effect *e, const struct kube_pod *pod, struct coming *f, struct err *err)
{
	const char *file = value_get_str(&e->body, "file", "");
	struct kube_script s = { .pod = pod, .text = fetch_script, .args = { file }, .sink = take, .data = f };
	unsigned char digest[SHA256_LEN];
	char hex[SHA256_HEX];
	int code, rc;

	f->script = &s;
	rc = kube_script_run(op, c, &s, &code, err);
	if (rc == 0 && code != KUBE_SCRIPT_OK)
		rc = kube_script_failed(op, &s, code, file, err);
	sha256_end(f->hash, digest);
	hex_encode(digest, sizeof(digest), hex);
	if (rc == 0)
		rc = check_whole(op, &s, file, f->size, hex, err);
	kube_script_done(&s);
	return rc;
}

static int
fetch_to(struct opctx *op, struct kube_conn *c, const struct effect *e, const char *path, const char *nonce, struct err *err)
{
	const char *tmp = arena_printf(op->arena, "%s.tmp.%.16s", path, nonce);
	const mode_t mode = (mode_t)strtoul(value_get_str(&e->body, "mode", "0600"), NULL, 8);
	struct coming f = { .op = op, .told = clock_now() };
	struct kube_paths of;
	struct kube_pod pod;
	int rc;

	if (access(path, F_OK) == 0)
		return io_refuse_existing(path, err);
	if (kube_paths_parse(op->arena, value_get_str(&e->body, "pod", ""), &of, err) < 0 ||
	    kube_pod_look(op, c, of.namespace, of.name, value_get_str(&e->body, "container", NULL), &pod, err) < 0 ||
	    kube_pod_check(&pod, err) < 0)
		return -1;
	f.fd = open(tmp, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (f.fd < 0)
		return err_errno(err, "create '%s'", tmp);
	f.hash = sha256_new();
	rc = fetch(op, c, e, &pod, &f, err);
	if (rc == 0 && fchmod(f.fd, mode) < 0)
		rc = err_errno(err, "set the mode of '%s'", tmp);
	if (rc == 0)
		rc = io_publish(f.fd, tmp, path, err);
	if (rc < 0)
		(void)unlink(tmp);
	sha256_free(f.hash);
	(void)close(f.fd);
	return rc;
}

static int
fetch_write(struct opctx *op, void *conn, const struct effect *e, const char *nonce, struct reply *ret, struct err *err)
{
	const char *path;

	if (path_of(op->arena, e, &path, err) < 0)
		return -1;
	*ret = (struct reply){ .outcome = OUTCOME_OK };
	if (!is_remove(e))
		return fetch_to(op, conn, e, path, nonce, err) < 0 ? -1 : kube_look_here(op, path, &ret->value, err);
	if (unlink(path) < 0 && errno != ENOENT)
		return err_errno(err, "remove '%s'", path);
	return io_sync_parent(path, err);
}

static int
fetch_image(struct opctx *op, void *conn, const struct effect *e, struct value *ret, struct err *err)
{
	const char *path;

	(void)conn;
	return path_of(op->arena, e, &path, err) < 0 ? -1 : kube_look_here(op, path, ret, err);
}

static bool
fetch_same(const struct effect *e, const struct value *before)
{
	return is_remove(e) && before->kind == V_NULL;
}

static int
fetch_predict(struct opctx *op, void *conn, const struct effect *e, const struct value *before, struct prediction *ret,
	      struct err *err)
{
	const struct value unknown = value_unknown("a file that has not been copied");
	struct pair *pairs = arena_array(op->arena, 4, sizeof(*pairs));
	const char *path;

	(void)conn;
	*ret = (struct prediction){ .confidence = CONF_PREDICTED, .after = VALUE_NULL };
	if (path_of(op->arena, e, &path, err) < 0)
		return -1;
	if (is_remove(e))
		return 0;
	if (before->kind == V_MAP)
		return io_refuse_existing(path, err);
	pairs[0] = (struct pair){ "path", value_str(path) };
	pairs[1] = (struct pair){ "size", unknown };
	pairs[2] = (struct pair){ "sha256", unknown };
	pairs[3] = (struct pair){ "mode", value_str(value_get_str(&e->body, "mode", "0600")) };
	ret->after = value_map(pairs, 4);
	return 0;
}

/* It is only begun where no file was, and only a whole one gets the name: one that is there now is ours. */
static int
fetch_probe(struct opctx *op, void *conn, const struct effect *e, const char *nonce, const struct value *before, enum probe *ret,
	    struct err *err)
{
	struct value now;

	(void)nonce;
	if (fetch_image(op, conn, e, &now, err) < 0)
		return -1;
	if (is_remove(e))
		*ret = now.kind == V_NULL ? PROBE_DONE_BY_US : value_eq(&now, before) ? PROBE_NOT_DONE : PROBE_OTHER;
	else
		*ret = now.kind == V_NULL || before->kind != V_NULL ? PROBE_NOT_DONE : PROBE_DONE_BY_US;
	return 0;
}

/* A kill in the middle leaves a part of the content. */
static int
fetch_outlived(struct opctx *op, void *conn, const struct effect *e, const char *nonce, struct err *err)
{
	const char *path, *tmp;

	(void)conn;
	if (path_of(op->arena, e, &path, err) < 0)
		return -1;
	tmp = arena_printf(op->arena, "%s.tmp.%.16s", path, nonce);
	if (is_remove(e) || nonce[0] == '\0' || unlink(tmp) == 0 || errno == ENOENT || errno == ENOTDIR)
		return 0;
	return err_errno(err, "remove '%s', which a kill has left", tmp);
}

static int
fetch_invert(struct arena *a, const struct effect *e, const struct value *before, const struct value *after, struct effect *ret,
	     struct err *err)
{
	const char *path;

	(void)after;
	if (path_of(a, e, &path, err) < 0)
		return -1;
	if (is_remove(e) || before->kind != V_NULL)
		return err_set(err, ERR_FAILED, "'%s' of '%s' cannot be taken back", e->verb, e->on.path);
	*ret = (struct effect){ .on = e->on, .verb = "remove", .body = value_map(NULL, 0), .class = EFFECT_PROBE,
				.says = arena_printf(a, "remove '%s'", text_safe(a, path, strlen(path), 0)) };
	return 0;
}

const struct target_type kube_inside_fetch = {
	.write = fetch_write,
	.image = fetch_image,
	.same = fetch_same,
	.predict = fetch_predict,
	.probe = fetch_probe,
	.outlived = fetch_outlived,
	.invert = fetch_invert,
};

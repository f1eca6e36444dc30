/* SPDX-License-Identifier: Apache-2.0 */
/* Owns the way of a file into a container. It lies beside its place under a name that has the effect's nonce until all of it
 * hashes there to what it hashes here; then it is renamed. So a connection that breaks anywhere leaves the place as it was. */
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

static const char look_script[] = KUBE_SCRIPT_NEEDS("cat sha256sum stat")
	"[ -e \"$1\" ] || [ -L \"$1\" ] || exit 96\n"
	"[ -f \"$1\" ] && [ ! -L \"$1\" ] || exit 95\n"
	"[ -r \"$1\" ] || exit 94\n"
	"stat -c '%s %a' -- \"$1\" && sha256sum <\"$1\"\n";

/* $1 path, $2 nonce, $3 SHA-256, $4 mode, $5 "replace" or "". A part of an earlier try, which somebody may still be writing,
 * is taken away first: then its writer renames nothing. */
static const char send_script[] = KUBE_SCRIPT_NEEDS("cat sha256sum stat chmod mv rm")
	"[ ! -L \"$1\" ] && { [ -f \"$1\" ] || [ ! -e \"$1\" ]; } || exit 95\n"
	"[ -n \"$5\" ] || [ ! -e \"$1\" ] || exit 93\n"
	"t=$1.tmp.$2.$$\n"
	"rm -f -- \"$1.tmp.$2\".*\n"
	"trap 'rm -f -- \"$t\"' EXIT\n"
	"umask 077\n"
	"cat >\"$t\" || exit 1\n"
	"got=$(sha256sum <\"$t\") || exit 1\n"
	"[ \"${got%% *}\" = \"$3\" ] || exit 91\n"
	"chmod \"$4\" \"$t\" || exit 1\n"
	"if [ -n \"$5\" ]; then mv -f -- \"$t\" \"$1\" || exit 1; else mv -n -- \"$t\" \"$1\" || exit 1; [ ! -e \"$t\" ] || exit 93; fi\n"
	"stat -c '%s %a' -- \"$1\" && sha256sum <\"$1\"\n";

static const char remove_script[] = KUBE_SCRIPT_NEEDS("rm") "rm -f -- \"$1\"\n";

/* A file that is going. */
struct going {
	struct opctx *op;
	const char *from;
	int fd;
	uint64_t size, sent;
	int64_t told;
};

static bool
is_remove(const struct effect *e)
{
	return strcmp(e->verb, "remove") == 0;
}

/* The pod and the path that the effect is on; the pod may not be there. */
static int
place_of(struct opctx *op, struct kube_conn *c, const struct effect *e, struct kube_pod *ret_pod, const char **ret_path, struct err *err)
{
	struct kube_paths path;

	if (kube_paths_parse(op->arena, e->on.path, &path, err) < 0)
		return -1;
	*ret_path = path.file;
	return kube_pod_look(op, c, path.namespace, path.name, path.container, ret_pod, err);
}

/* A script's "SIZE MODE", and "SHA-256  -" on the next line. */
static int
parse_file(struct arena *a, const struct buf *said, const char *path, struct value *ret)
{
	struct pair *pairs = arena_array(a, 4, sizeof(*pairs));
	uint64_t size;
	unsigned mode;
	char hex[SHA256_HEX];

	if (said->len == 0 || sscanf(said->p, "%" SCNu64 " %o %64[0-9a-f]", &size, &mode, hex) != 3 || strlen(hex) != SHA256_HEX - 1)
		return -1;
	pairs[0] = (struct pair){ "path", value_str(path) };
	pairs[1] = (struct pair){ "size", value_int((int64_t)size) };
	pairs[2] = (struct pair){ "sha256", value_str(arena_strdup(a, hex)) };
	pairs[3] = (struct pair){ "mode", value_str(arena_printf(a, "%04o", mode & 07777)) };
	*ret = value_map(pairs, 4);
	return 0;
}

/* The file in the container; null where it, or its pod, is not. */
static int
look_there(struct opctx *op, struct kube_conn *c, const struct kube_pod *pod, const char *path, struct value *ret, struct err *err)
{
	struct kube_script s = { .pod = pod, .text = look_script, .args = { path } };
	int code, rc;

	*ret = VALUE_NULL;
	if (!pod->present)
		return 0;
	rc = kube_pod_check(pod, err) < 0 ? -1 : kube_script_run(op, c, &s, &code, err);
	if (rc == 0 && code != KUBE_SCRIPT_OK && code != KUBE_SCRIPT_ABSENT)
		rc = kube_script_failed(op, &s, code, path, err);
	else if (rc == 0 && code == KUBE_SCRIPT_OK && parse_file(op->arena, &s.out, path, ret) < 0)
		rc = err_set(err, ERR_FAILED, "%s: its SHA-256 was not told", kube_script_file(op->arena, pod, path));
	kube_script_done(&s);
	return rc;
}

static int
feed(void *data, char *p, size_t size, size_t *ret, struct err *err)
{
	struct going *f = data;
	char done[32], all[32];
	ssize_t n;

	do
		n = read(f->fd, p, size);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return err_errno(err, "read '%s'", f->from);
	FAULT("send.piece");
	*ret = (size_t)n;
	f->sent += (uint64_t)n;
	if (f->op->note != NULL && clock_now() - f->told >= NOTE_EVERY) {
		f->told = clock_now();
		f->op->note(f->op, arena_printf(f->op->arena, "%s of %s", size_text(f->sent, done), size_text(f->size, all)));
	}
	return 0;
}

static int
send_file(struct opctx *op, struct kube_conn *c, const struct effect *e, const struct kube_pod *pod, const char *path, const char *nonce,
	  struct value *ret, struct err *err)
{
	const char *unique = arena_printf(op->arena, "%.16s", nonce);
	struct going f = { .op = op, .from = value_get_str(&e->body, "from", ""), .told = clock_now() };
	const char *hex = value_get_str(&e->body, "sha256", "");
	struct kube_script s = { .pod = pod, .text = send_script, .source = feed, .data = &f,
				 .args = { path, unique, hex, value_get_str(&e->body, "mode", "0644"),
					   value_true(value_get(&e->body, "replace")) ? "replace" : "" } };
	struct stat st;
	int code, rc;

	f.fd = open(f.from, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	if (f.fd < 0 || fstat(f.fd, &st) < 0) {
		if (f.fd >= 0)
			(void)close(f.fd);
		return err_errno(err, "open '%s'", f.from);
	}
	f.size = (uint64_t)st.st_size;
	rc = kube_script_run(op, c, &s, &code, err);
	(void)close(f.fd);
	if (rc == 0 && code == KUBE_SCRIPT_CHANGED) {
		(void)err_set(err, ERR_FAILED, "'%s' changed while it was copied, or arrived damaged: its SHA-256 was %.12s…", f.from, hex);
		err->retryable = true;
		rc = -1;
	} else if (rc == 0 && code != KUBE_SCRIPT_OK) {
		rc = kube_script_failed(op, &s, code, path, err);
	} else if (rc == 0 && parse_file(op->arena, &s.out, path, ret) < 0) {
		rc = err_set(err, ERR_FAILED, "%s: its SHA-256 was not told", kube_script_file(op->arena, pod, path));
	} else if (rc < 0 && f.sent == f.size && err->kind != ERR_FAILED && err->kind != ERR_LOCAL) {
		err->kind = ERR_UNKNOWN; /* all of it had gone: it may have been renamed */
	}
	kube_script_done(&s);
	return rc;
}

static int
send_write(struct opctx *op, void *conn, const struct effect *e, const char *nonce, struct reply *ret, struct err *err)
{
	struct kube_script s = { .text = remove_script };
	struct kube_pod pod;
	const char *path;
	int code, rc;

	if (place_of(op, conn, e, &pod, &path, err) < 0 || kube_pod_check(&pod, err) < 0)
		return -1;
	*ret = (struct reply){ .outcome = OUTCOME_OK };
	if (!is_remove(e))
		return send_file(op, conn, e, &pod, path, nonce, &ret->value, err);
	s.pod = &pod;
	s.args[0] = path;
	rc = kube_script_run(op, conn, &s, &code, err);
	if (rc == 0 && code != KUBE_SCRIPT_OK)
		rc = kube_script_failed(op, &s, code, path, err);
	kube_script_done(&s);
	return rc;
}

static int
send_image(struct opctx *op, void *conn, const struct effect *e, struct value *ret, struct err *err)
{
	struct kube_pod pod;
	const char *path;

	return place_of(op, conn, e, &pod, &path, err) < 0 ? -1 : look_there(op, conn, &pod, path, ret, err);
}

static bool
send_same(const struct effect *e, const struct value *before)
{
	if (is_remove(e) || before->kind != V_MAP)
		return is_remove(e) && before->kind == V_NULL;
	return strcmp(value_get_str(before, "sha256", ""), value_get_str(&e->body, "sha256", "?")) == 0 &&
	       strcmp(value_get_str(before, "mode", ""), value_get_str(&e->body, "mode", "0644")) == 0;
}

static int
send_predict(struct opctx *op, void *conn, const struct effect *e, const struct value *before, struct prediction *ret,
	     struct err *err)
{
	struct pair *pairs = arena_array(op->arena, 4, sizeof(*pairs));
	const struct value *replace = value_get(&e->body, "replace");
	const bool known = ((before->flags | e->body.flags) & VF_UNKNOWN) == 0;
	struct kube_script s = { 0 };
	struct kube_pod pod;
	struct stat st;
	const char *path;

	*ret = (struct prediction){ .confidence = CONF_PREDICTED, .after = VALUE_NULL };
	if (is_remove(e))
		return 0;
	if (place_of(op, conn, e, &pod, &path, err) < 0)
		return -1;
	s.pod = &pod;
	if (known && before->kind == V_MAP && !value_true(replace))
		return kube_script_failed(op, &s, KUBE_SCRIPT_EXISTS, path, err);
	pairs[0] = (struct pair){ "path", value_str(path) };
	pairs[1] = (struct pair){ "size", stat(value_get_str(&e->body, "from", ""), &st) == 0 && known ? value_int(st.st_size) :
				  value_unknown("a file that is not there yet") };
	pairs[2] = (struct pair){ "sha256", *value_get(&e->body, "sha256") };
	pairs[3] = (struct pair){ "mode", *value_get(&e->body, "mode") };
	ret->after = value_map(pairs, 4);
	return 0;
}

static int
send_probe(struct opctx *op, void *conn, const struct effect *e, const char *nonce, const struct value *before, enum probe *ret,
	   struct err *err)
{
	struct value now;

	(void)nonce;
	if (send_image(op, conn, e, &now, err) < 0)
		return -1;
	if (send_same(e, &now))
		*ret = PROBE_DONE_BY_US;
	else
		*ret = now.kind == V_NULL || value_eq(before, &now) ? PROBE_NOT_DONE : PROBE_OTHER;
	return 0;
}

static int
send_invert(struct arena *a, const struct effect *e, const struct value *before, const struct value *after, struct effect *ret,
	    struct err *err)
{
	struct kube_paths path;

	(void)after;
	if (kube_paths_parse(a, e->on.path, &path, err) < 0)
		return -1;
	if (is_remove(e) || before->kind != V_NULL)
		return err_set(err, ERR_FAILED, "'%s': what was there before was not kept", text_safe(a, path.file, strlen(path.file), 0));
	*ret = (struct effect){ .on = e->on, .verb = "remove", .body = value_map(NULL, 0), .class = EFFECT_PROBE,
				.says = arena_printf(a, "remove '%s' from pod %s/%s", text_safe(a, path.file, strlen(path.file), 0),
						     path.namespace, path.name) };
	return 0;
}

const struct target_type kube_inside_send = {
	.write = send_write,
	.image = send_image,
	.same = send_same,
	.predict = send_predict,
	.probe = send_probe,
	.invert = send_invert,
};

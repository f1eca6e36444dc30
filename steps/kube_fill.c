/* SPDX-License-Identifier: Apache-2.0 */
/* One stream whose last batch has the manifest, then one effect that gives the folder its name. */
#include "steps/kube_fill.h"

#include <inttypes.h>
#include <string.h>

#include "base/text.h"
#include "steps/kube_yaml.h"

#define OBJECT_MAX ((size_t)64 << 20)

static struct bytes
key_of(struct arena *a, const struct kube_fill *f, const char *path)
{
	const char *key = arena_printf(a, "%s/%s", f->partial, path);

	return (struct bytes){ key, strlen(key) };
}

static int
put(struct step_ctx *cx, struct kube_fill *f, unsigned lane, const struct op *ops, size_t n, bool last, struct err *err)
{
	const struct batch b = { .ops = ops, .n = n, .cursor = { "last", last ? 4 : 0 } };
	enum put_result result;
	int64_t revision;

	return step_stream_put(cx, f->stream, lane, &b, &result, &revision, err);
}

int
kube_fill_put(struct step_ctx *cx, struct kube_fill *f, unsigned lane, const struct kube_selected *list, size_t n, struct err *err)
{
	struct arena a = ARENA_INIT;
	struct op *ops = arena_array(&a, n, sizeof(*ops));
	struct buf text = BUF_INIT(OBJECT_MAX);
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < n; i++) {
		buf_clear(&text);
		if (kube_yaml_write(&text, &list[i].object, err) < 0)
			rc = err_wrap(err, "%s", list[i].path);
		else
			ops[i] = (struct op){ .key = key_of(&a, f, list[i].path), .value = { arena_strndup(&a, text.p, text.len), text.len } };
	}
	if (rc == 0) {
		pthread_mutex_lock(&f->lock);
		for (size_t i = 0; i < n; i++)
			kube_store_add(&f->store, list[i].path, ops[i].value);
		pthread_mutex_unlock(&f->lock);
		rc = put(cx, f, lane, ops, n, false, err);
	}
	buf_done(&text);
	arena_done(&a);
	return rc;
}

/* Which objects there are: the last files, with which all of it is on the disk. */
static int
put_manifest(struct step_ctx *cx, struct kube_fill *f, const char *cluster, struct err *err)
{
	struct buf sums = BUF_INIT(0), manifest = BUF_INIT(0);
	struct op ops[2] = { 0 };
	struct value v;
	int rc;

	kube_store_sort(&f->store);
	kube_store_sums(&f->store, &sums);
	kube_store_manifest(step_arena(cx), &f->store, cluster, (struct bytes){ sums.p, sums.len }, &manifest);
	ops[0] = (struct op){ .key = key_of(step_arena(cx), f, KUBE_STORE_SUMS), .value = { sums.p, sums.len } };
	ops[1] = (struct op){ .key = key_of(step_arena(cx), f, KUBE_STORE_MANIFEST), .value = { manifest.p, manifest.len } };
	rc = put(cx, f, 0, ops, countof(ops), true, err);
	if (rc == 0)
		rc = value_parse_json(step_arena(cx), manifest.p, manifest.len, &v, err);
	if (rc == 0)
		f->manifest = value_copy(step_arena(cx), &v);
	buf_done(&manifest);
	buf_done(&sums);
	return rc;
}

static int
put_outputs(struct step_ctx *cx, const char *to, const struct value *manifest, struct err *err)
{
	static const char *const names[] = { "objects", "kinds" };

	for (size_t i = 0; i < countof(names); i++) {
		const struct value *v = value_get(manifest, names[i]);

		if (step_output(cx, names[i], v != NULL ? *v : VALUE_NULL, err) < 0)
			return -1;
	}
	if (step_output(cx, "sha256", value_get(manifest, "sums") != NULL ? *value_get(manifest, "sums") : VALUE_NULL, err) < 0)
		return -1;
	return step_output(cx, "path", value_str(to), err);
}

/* Without slashes at its end. */
static const char *
trimmed(struct step_ctx *cx, const char *path)
{
	size_t len = strlen(path);

	while (len > 1 && path[len - 1] == '/')
		len--;
	return arena_strndup(step_arena(cx), path, len);
}

int
kube_fill_open(struct step_ctx *cx, const char *to, struct kube_fill *ret, struct err *err)
{
	struct kube_fill *f = ret;
	const struct value *there, *recorded = &VALUE_NULL;
	struct bulk bulk;

	*f = (struct kube_fill){ .folder = step_local(cx, "folder"), .to = trimmed(cx, to) };
	f->shown = text_safe(step_arena(cx), f->to, strlen(f->to), 0);
	f->partial = step_text(cx, "%s.partial", f->to);
	bulk = (struct bulk){ .on = f->folder, .verb = "fill", .name = "export", .path = f->partial, .marker_prefix = f->partial,
		.prefix = { f->partial, strlen(f->partial) }, .says = step_text(cx, "write the objects as YAML into '%s.partial'", f->shown) };
	if (step_stream_open(cx, &bulk, &f->stream, &recorded, err) < 0)
		return -1;
	pthread_mutex_init(&f->lock, NULL);
	f->manifest = *recorded;
	if (f->stream == NULL)
		return 0;
	if (step_read(cx, &(struct ref){ f->folder, f->to }, &there, err) == 0 && there->kind != V_MAP)
		return 0;
	if (err->kind == ERR_NONE)
		err_set(err, ERR_FAILED, "'%s' is there already, and is not replaced", f->shown);
	return kube_fill_close(cx, f, -1, "", err);
}

int
kube_fill_close(struct step_ctx *cx, struct kube_fill *f, int rc, const char *cluster, struct err *err)
{
	struct pair *from = arena_array(step_arena(cx), 1, sizeof(*from));

	if (rc == 0 && f->stream != NULL)
		rc = put_manifest(cx, f, cluster, err);
	pthread_mutex_destroy(&f->lock);
	kube_store_done(&f->store);
	if (step_stream_close(cx, f->stream, rc == 0, &f->manifest, err) < 0 || rc < 0)
		return -1;
	from[0] = (struct pair){ "from", value_str(f->partial) };
	if (step_effect(cx, &(struct effect){ .on = { f->folder, f->to }, .verb = "publish", .class = EFFECT_PROBE, .body = value_map(from, 1),
					      .says = step_text(cx, "name it '%s', now that it is whole: %" PRIi64 " objects", f->shown,
								value_get_int(&f->manifest, "objects", 0)) }, NULL, err) < 0)
		return -1;
	return put_outputs(cx, f->to, &f->manifest, err);
}

const struct field kube_fill_outputs[] = {
	{ "path", F_STRING, .help = "the folder" },
	{ "objects", F_INT, .help = "how many objects are in it" },
	{ "kinds", F_MAP, .help = "how many of each kind, by Kind.group" },
	{ "sha256", F_STRING, .help = "SHA-256 of its SHA256SUMS, in hex: the same for the same objects" },
	{ 0 },
};

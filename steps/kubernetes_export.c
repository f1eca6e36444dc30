/* SPDX-License-Identifier: Apache-2.0 */
/* kubernetes.export: objects of a cluster into a folder of one YAML file each, which comes to be whole or not at all. An export
 * that was cut off begins anew: what it would have gone on with may have changed meanwhile. */
#include "step.h"

#include <inttypes.h>
#include <pthread.h>
#include <string.h>

#include "base/text.h"
#include "steps/kube_clean.h"
#include "steps/kube_object.h"
#include "steps/kube_select.h"
#include "steps/kube_store.h"
#include "steps/kube_yaml.h"

#define OBJECT_MAX ((size_t)64 << 20)

struct export_args {
	struct target *in;
	const struct value *namespaces, *kinds;
	bool all_namespaces, status, volumes, owned;
	const char *selector, *to, *secrets;
	int64_t parallel;
};

struct export {
	const char *partial;
	struct stream *stream;
	pthread_mutex_t lock; /* the store */
	struct kube_store store;
};

static struct kube_select
selection(const struct export_args *a)
{
	return (struct kube_select){ .in = a->in, .namespaces = a->namespaces, .kinds = a->kinds, .all = a->all_namespaces,
		.selector = a->selector, .secrets = a->secrets, .parallel = (unsigned)a->parallel,
		.flags = (a->status ? KUBE_CLEAN_STATUS : 0) | (a->volumes ? KUBE_CLEAN_VOLUMES : 0) | (a->owned ? KUBE_CLEAN_OWNED : 0) };
}

static int
export_check(const void *args, struct err *err)
{
	const struct kube_select s = selection(args);

	return kube_select_check(&s, err);
}

static struct bytes
key_of(struct arena *a, const struct export *x, const char *path)
{
	const char *key = arena_printf(a, "%s/%s", x->partial, path);

	return (struct bytes){ key, strlen(key) };
}

static int
put(struct step_ctx *cx, struct export *x, unsigned lane, const struct op *ops, size_t n, bool last, struct err *err)
{
	const struct batch b = { .ops = ops, .n = n, .cursor = { "last", last ? 4 : 0 } };
	enum put_result result;
	int64_t revision;

	return step_stream_put(cx, x->stream, lane, &b, &result, &revision, err);
}

/* A page of objects into files. */
static int
put_objects(struct step_ctx *cx, void *data, unsigned lane, const struct kube_selected *list, size_t n, struct err *err)
{
	struct export *x = data;
	struct arena a = ARENA_INIT;
	struct op *ops = arena_array(&a, n, sizeof(*ops));
	struct buf text = BUF_INIT(OBJECT_MAX);
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < n; i++) {
		buf_clear(&text);
		if (kube_yaml_write(&text, &list[i].object, err) < 0)
			rc = err_wrap(err, "%s", list[i].path);
		else
			ops[i] = (struct op){ .key = key_of(&a, x, list[i].path), .value = { arena_strndup(&a, text.p, text.len), text.len } };
	}
	if (rc == 0) {
		pthread_mutex_lock(&x->lock);
		for (size_t i = 0; i < n; i++)
			kube_store_add(&x->store, list[i].path, ops[i].value);
		pthread_mutex_unlock(&x->lock);
		rc = put(cx, x, lane, ops, n, false, err);
	}
	buf_done(&text);
	arena_done(&a);
	return rc;
}

/* Which objects there are: the last files, with which all of it is on the disk. */
static int
put_manifest(struct step_ctx *cx, struct export *x, const char *cluster, struct value *ret, struct err *err)
{
	struct buf sums = BUF_INIT(0), manifest = BUF_INIT(0);
	struct op ops[2] = { 0 };
	struct value v;
	int rc;

	kube_store_sort(&x->store);
	kube_store_sums(&x->store, &sums);
	kube_store_manifest(step_arena(cx), &x->store, cluster, (struct bytes){ sums.p, sums.len }, &manifest);
	ops[0] = (struct op){ .key = key_of(step_arena(cx), x, KUBE_STORE_SUMS), .value = { sums.p, sums.len } };
	ops[1] = (struct op){ .key = key_of(step_arena(cx), x, KUBE_STORE_MANIFEST), .value = { manifest.p, manifest.len } };
	rc = put(cx, x, 0, ops, countof(ops), true, err);
	if (rc == 0)
		rc = value_parse_json(step_arena(cx), manifest.p, manifest.len, &v, err);
	if (rc == 0)
		*ret = value_copy(step_arena(cx), &v);
	buf_done(&manifest);
	buf_done(&sums);
	return rc;
}

/* All objects into the folder that is being filled; ret: the manifest. */
static int
fill(struct step_ctx *cx, const struct export_args *a, struct export *x, struct value *ret, struct err *err)
{
	const struct kube_select s = selection(a);
	const struct value *system, *uid;
	uint64_t left_out = 0;
	int rc;

	if (step_read(cx, &(struct ref){ a->in, "Namespace//kube-system" }, &system, err) < 0)
		return -1;
	uid = kube_object_get(system, "metadata", "uid");
	pthread_mutex_init(&x->lock, NULL);
	rc = kube_select_run(cx, &s, put_objects, x, &left_out, err);
	if (rc == 0)
		rc = put_manifest(cx, x, uid != NULL && uid->kind == V_STRING ? uid->s : "", ret, err);
	if (rc == 0 && left_out > 0)
		step_note(cx, "%" PRIu64 " objects were left out: controllers make them, or every cluster has them", left_out);
	pthread_mutex_destroy(&x->lock);
	kube_store_done(&x->store);
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

static int
export_run(struct step_ctx *cx, const void *args, struct err *err)
{
	const struct export_args *a = args;
	struct target *folder = step_local(cx, "folder");
	const char *to = trimmed(cx, a->to), *shown = text_safe(step_arena(cx), to, strlen(to), 0);
	struct export x = { .partial = step_text(cx, "%s.partial", to) };
	const struct bulk bulk = { .on = folder, .verb = "fill", .name = "export", .path = x.partial, .marker_prefix = x.partial,
		.prefix = { x.partial, strlen(x.partial) }, .says = step_text(cx, "write the objects as YAML into '%s.partial'", shown) };
	struct pair *from = arena_array(step_arena(cx), 1, sizeof(*from));
	const struct value *there, *recorded = &VALUE_NULL;
	struct value manifest = VALUE_NULL;
	int rc = 0;

	if (step_stream_open(cx, &bulk, &x.stream, &recorded, err) < 0)
		return -1;
	if (x.stream == NULL) {
		manifest = *recorded;
	} else {
		rc = step_read(cx, &(struct ref){ folder, to }, &there, err);
		if (rc == 0 && there->kind == V_MAP)
			rc = err_set(err, ERR_FAILED, "'%s' is there already, and is not replaced", shown);
		if (rc == 0)
			rc = fill(cx, a, &x, &manifest, err);
		if (step_stream_close(cx, x.stream, rc == 0, &manifest, err) < 0 || rc < 0)
			return -1;
	}
	from[0] = (struct pair){ "from", value_str(x.partial) };
	if (step_effect(cx, &(struct effect){ .on = { folder, to }, .verb = "publish", .class = EFFECT_PROBE, .body = value_map(from, 1),
					      .says = step_text(cx, "name it '%s', now that it is whole: %" PRIi64 " objects", shown,
								value_get_int(&manifest, "objects", 0)) }, NULL, err) < 0)
		return -1;
	return put_outputs(cx, to, &manifest, err);
}

static const char *const secrets_words[] = { "keep", "skip", "refuse", NULL };

static const struct field export_inputs[] = {
	{ "in", F_TARGET, .offset = offsetof(struct export_args, in), .required = true, .reads = true, .kind = "kubernetes",
	  .help = "the cluster to read from" },
	{ "to", F_PATH, .offset = offsetof(struct export_args, to), .required = true, .object = true,
	  .help = "the folder to make, for its owner only; it must not be there. It is named so when all of it is on the disk; until then "
		  "it has .partial behind its name" },
	{ "namespaces", F_LIST, F_STRING, offsetof(struct export_args, namespaces), .help = "the namespaces whose objects are exported, and they themselves" },
	{ "all_namespaces", F_BOOL, .offset = offsetof(struct export_args, all_namespaces),
	  .help = "every namespace but kube-system, kube-public and kube-node-lease" },
	{ "kinds", F_LIST, F_STRING, offsetof(struct export_args, kinds),
	  .help = "only these kinds, as Kind, plural or Kind.group, and the definitions of custom ones; without it all that have a namespace, but events, "
		  "endpoints, leases and what else nobody writes" },
	{ "selector", F_STRING, .offset = offsetof(struct export_args, selector), .help = "only objects that this label selector selects" },
	{ "secrets", F_STRING, .offset = offsetof(struct export_args, secrets), .dflt = "keep", .choices = secrets_words,
	  .help = "keep writes Secrets with their content, skip leaves them out, refuse fails where there is one" },
	{ "owned", F_BOOL, .offset = offsetof(struct export_args, owned),
	  .help = "export objects that a controller makes from others, too (pods of a Deployment)" },
	{ "status", F_BOOL, .offset = offsetof(struct export_args, status), .help = "keep the status of objects" },
	{ "volumes", F_BOOL, .offset = offsetof(struct export_args, volumes),
	  .help = "keep which volume a claim is bound to, and which claim a volume, for the same volumes at another cluster" },
	{ "parallel", F_INT, .offset = offsetof(struct export_args, parallel), .dflt = "4", .min = 1, .max = 64,
	  .help = "how many lists are read at a time" },
	{ 0 },
};

static const struct field export_outputs[] = {
	{ "path", F_STRING, .help = "the folder" },
	{ "objects", F_INT, .help = "how many objects are in it" },
	{ "kinds", F_MAP, .help = "how many of each kind, by Kind.group" },
	{ "sha256", F_STRING, .help = "SHA-256 of its SHA256SUMS, in hex: the same for the same objects" },
	{ 0 },
};

const struct step_type kubernetes_export_step = {
	.name = "kubernetes.export",
	.summary = "write objects as their authors wrote them into a new folder, one YAML file each",
	.inputs = export_inputs,
	.outputs = export_outputs,
	.args_size = sizeof(struct export_args),
	.version = 1,
	.run = export_run,
	.check = export_check,
};

/* SPDX-License-Identifier: Apache-2.0 */
/* kubernetes.transform: an exported folder as another cluster is to have it, into another folder: what will be imported can be
 * read, and compared with what was exported, before anything is done with it. */
#include "step.h"

#include <inttypes.h>

#include "steps/kube_fill.h"
#include "steps/kube_folder.h"
#include "steps/kube_ref.h"
#include "steps/kube_transform.h"
#include "steps/kube_word.h"

struct transform_args {
	const char *from, *to;
	const struct value *without;
	struct kube_transform how;
};

struct counts {
	uint64_t changed, withheld;
};

static int
put_object(struct step_ctx *cx, const struct transform_args *a, struct kube_fill *f, const struct value *object, struct arena *scratch,
	   struct counts *c, struct err *err)
{
	struct kube_selected one;

	if ((a->without != NULL && kube_word_in(a->without, object)) || !kube_transform(scratch, &a->how, object, &one.object)) {
		c->withheld++;
		return 0;
	}
	one.path = kube_store_path_of(scratch, &one.object);
	c->changed += !value_eq(object, &one.object);
	return kube_fill_put(cx, f, 0, &one, 1, err);
}

static int
fill(struct step_ctx *cx, const struct transform_args *a, struct kube_fill *f, struct counts *c, struct err *err)
{
	struct arena scratch = ARENA_INIT;
	struct kube_folder from;
	struct value object;
	int rc = kube_folder_open(cx, a->from, &from, err);

	for (uint32_t i = 0; rc == 0 && i < from.store.n; i++) {
		rc = kube_folder_read(cx, &from, i, &scratch, &object, err);
		if (rc == 0)
			rc = put_object(cx, a, f, &object, &scratch, c, err);
		step_progress(cx, i + 1, from.store.n, "objects");
		arena_reset(&scratch);
	}
	kube_folder_close(&from);
	arena_done(&scratch);
	return rc;
}

static int
transform_run(struct step_ctx *cx, const void *args, struct err *err)
{
	const struct transform_args *a = args;
	struct counts c = { 0 };
	struct kube_fill f;
	int rc = 0;

	if (kube_fill_open(cx, a->to, &f, err) < 0)
		return -1;
	if (f.stream != NULL) {
		rc = fill(cx, a, &f, &c, err);
		if (rc == 0)
			step_note(cx, "%" PRIu64 " objects are changed, %" PRIu64 " withheld", c.changed, c.withheld);
	}
	return kube_fill_close(cx, &f, rc, "", err);
}

static int
check_texts(const char *input, const struct value *map, bool namespaces, struct err *err)
{
	for (uint32_t i = 0; map != NULL && i < map->len; i++) {
		const struct value *v = &map->pairs[i].v;

		if (v->kind != V_STRING && v->kind != V_UNKNOWN)
			return err_set(err, ERR_PLAN, "%s.%.63s is not a text", input, map->pairs[i].key);
		if (namespaces && (kube_check_namespace(map->pairs[i].key, err) < 0 || (v->kind == V_STRING && kube_check_namespace(v->s, err) < 0)))
			return -1;
	}
	return 0;
}

static int
transform_check(const void *args, struct err *err)
{
	const struct transform_args *a = args;

	if (kube_check_kinds(a->without, err) < 0)
		return -1;
	if (check_texts("namespaces", a->how.namespaces, true, err) < 0 || check_texts("storage_classes", a->how.storage_classes, false, err) < 0)
		return -1;
	return check_texts("ingress_classes", a->how.ingress_classes, false, err) < 0 ? -1 : check_texts("images", a->how.images, false, err);
}

static const struct field transform_inputs[] = {
	{ "from", F_PATH, .offset = offsetof(struct transform_args, from), .required = true, .help = "a folder that kubernetes.export made" },
	{ "to", F_PATH, .offset = offsetof(struct transform_args, to), .required = true, .object = true,
	  .help = "the folder to make, as kubernetes.export makes one" },
	{ "namespaces", F_MAP, .offset = offsetof(struct transform_args, how.namespaces),
	  .help = "other names for namespaces, {old: new}, wherever objects have or name them" },
	{ "storage_classes", F_MAP, .offset = offsetof(struct transform_args, how.storage_classes),
	  .help = "other storage classes, {old: new}, in claims, volumes and templates of claims" },
	{ "ingress_classes", F_MAP, .offset = offsetof(struct transform_args, how.ingress_classes), .help = "other ingress classes, {old: new}" },
	{ "images", F_MAP, .offset = offsetof(struct transform_args, how.images),
	  .help = "other images, {old: new}, by what they begin with, as in registry.example.org/: mirror.example.net/; the longest that fits counts" },
	{ "without", F_LIST, F_STRING, offsetof(struct transform_args, without), .help = "leave out objects of these kinds, as Kind, plural or Kind.group" },
	{ "asleep", F_BOOL, .offset = offsetof(struct transform_args, how.asleep),
	  .help = "as kubernetes.sleep would leave them: without replicas, suspended, DaemonSets for no node, volumes with the reclaim policy Retain; "
		  "bare Pods and webhook configurations are left out. kubernetes.wake makes up for it" },
	{ 0 },
};

const struct step_type kubernetes_transform_step = {
	.name = "kubernetes.transform",
	.summary = "write an exported folder as another cluster is to have it into a new folder",
	.inputs = transform_inputs,
	.outputs = kube_fill_outputs,
	.args_size = sizeof(struct transform_args),
	.version = 1,
	.run = transform_run,
	.check = transform_check,
};

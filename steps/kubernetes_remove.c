/* SPDX-License-Identifier: Apache-2.0 */
/* kubernetes.remove: the objects of an exported folder are deleted, what needs others before what it needs. Namespaces and
 * definitions stay: they hold what others have put there. */
#include "step.h"

#include "steps/kube_folder.h"
#include "steps/kube_object.h"
#include "steps/kube_order.h"
#include "steps/kube_ref.h"
#include "steps/kube_word.h"

struct remove_args {
	struct target *in;
	const char *from;
	int64_t parallel;
};

struct removal {
	const struct remove_args *args;
	struct kube_folder folder;
	struct kube_order order;
	const uint32_t *items;
	uint32_t next, end; /* of one wave */
	uint64_t done;
};

static int
look_through(struct step_ctx *cx, struct removal *r, struct err *err)
{
	struct arena a = ARENA_INIT;
	struct value v;
	int rc = 0;

	for (uint32_t i = 0; rc == 0 && i < r->folder.store.n; i++) {
		rc = kube_folder_read(cx, &r->folder, i, &a, &v, err);
		if (rc == 0 && !kube_word_is(&v, "", "Namespace") && !kube_word_is(&v, "apiextensions.k8s.io", "CustomResourceDefinition"))
			(void)kube_order_add(&r->order, i, &v);
		arena_reset(&a);
	}
	arena_done(&a);
	return rc;
}

static int
next_object(struct step_ctx *cx, void *data, struct arena *a, struct effect *ret, struct err *err)
{
	struct removal *r = data;
	struct pair *body = arena_array(a, 2, sizeof(*body));
	const struct value *now, *uid;
	struct kube_name name;
	struct value v;
	struct ref on;

	if (r->next == r->end)
		return 0;
	if (kube_folder_read(cx, &r->folder, r->items[r->next++], a, &v, err) < 0 || kube_object_name(a, &v, NULL, &name, err) < 0)
		return -1;
	on = (struct ref){ r->args->in, kube_ref_path(a, &name, NULL) };
	if (step_read(cx, &on, &now, err) < 0)
		return -1;
	uid = kube_object_get(now, "metadata", "uid");
	body[0] = (struct pair){ "missing_ok", value_bool(true) };
	body[1] = (struct pair){ "uid", uid != NULL ? *uid : VALUE_NULL };
	*ret = (struct effect){ .on = on, .verb = "delete", .class = EFFECT_PROBE, .body = value_map(body, uid != NULL ? 2 : 1),
		.says = arena_printf(a, "delete %s", kube_ref_text(a, &name)) };
	return 1;
}

static int
object_done(struct step_ctx *cx, void *data, const struct settled *s, struct err *err)
{
	struct removal *r = data;

	(void)s, (void)err;
	step_progress(cx, ++r->done, r->order.items, "objects");
	return 0;
}

static int
remove_run(struct step_ctx *cx, const void *args, struct err *err)
{
	struct removal r = { .args = args };
	const struct many many = { .parallel = (unsigned)r.args->parallel, .next = next_object, .done = object_done, .data = &r };
	const uint32_t *ends;
	uint32_t waves = 0;
	int rc = kube_folder_open(cx, r.args->from, &r.folder, err);

	if (rc == 0)
		rc = look_through(cx, &r, err);
	if (rc == 0)
		kube_order_make(&r.order, &r.items, &ends, &waves);
	for (uint32_t i = waves; rc == 0 && i > 0; i--) {
		r.next = i > 1 ? ends[i - 2] : 0;
		r.end = ends[i - 1];
		rc = step_effects(cx, &many, err);
	}
	if (rc == 0)
		rc = step_output(cx, "objects", value_int(r.order.items), err);
	kube_order_done(&r.order);
	kube_folder_close(&r.folder);
	return rc;
}

static const struct field remove_inputs[] = {
	{ "in", F_TARGET, .offset = offsetof(struct remove_args, in), .required = true, .kind = "kubernetes", .object = true,
	  .help = "the cluster to delete from" },
	{ "from", F_PATH, .offset = offsetof(struct remove_args, from), .required = true,
	  .help = "a folder that kubernetes.export made: which objects; those that are gone already are fine" },
	{ "parallel", F_INT, .offset = offsetof(struct remove_args, parallel), .dflt = "16", .min = 1, .max = 64,
	  .help = "how many objects are deleted at a time" },
	{ 0 },
};

static const struct field remove_outputs[] = {
	{ "objects", F_INT, .help = "how many objects it was" },
	{ 0 },
};

const struct step_type kubernetes_remove_step = {
	.name = "kubernetes.remove",
	.summary = "delete the objects of an exported folder, but for namespaces and definitions; the undo makes them again, without the data "
		   "of volumes",
	.inputs = remove_inputs,
	.outputs = remove_outputs,
	.args_size = sizeof(struct remove_args),
	.version = 1,
	.run = remove_run,
};

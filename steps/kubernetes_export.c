/* SPDX-License-Identifier: Apache-2.0 */
/* kubernetes.export: objects of a cluster into a folder of one YAML file each, which comes to be whole or not at all. An export
 * that was cut off begins anew: what it would have gone on with may have changed meanwhile. */
#include "step.h"

#include <inttypes.h>

#include "steps/kube_clean.h"
#include "steps/kube_fill.h"
#include "steps/kube_object.h"
#include "steps/kube_select.h"

struct export_args {
	struct target *in;
	const struct value *namespaces, *kinds, *cluster_kinds;
	bool all_namespaces, status, volumes, owned, operated, finished;
	const char *selector, *cluster_selector, *to, *secrets;
	int64_t parallel;
};

static struct kube_select
selection(const struct export_args *a)
{
	return (struct kube_select){ .in = a->in, .namespaces = a->namespaces, .all = a->all_namespaces, .kinds = a->kinds,
		.cluster_kinds = a->cluster_kinds, .cluster_selector = a->cluster_selector, .selector = a->selector, .secrets = a->secrets, .parallel = (unsigned)a->parallel,
		.flags = (a->status ? KUBE_CLEAN_STATUS : 0) | (a->volumes ? KUBE_CLEAN_VOLUMES : 0) | (a->owned ? KUBE_CLEAN_OWNED : 0) |
			(a->operated ? KUBE_CLEAN_OPERATED : 0) | (a->finished ? 0 : KUBE_CLEAN_ENDED) };
}

static int
export_check(const void *args, struct err *err)
{
	const struct kube_select s = selection(args);

	return kube_select_check(&s, err);
}

static int
put_objects(struct step_ctx *cx, void *data, unsigned lane, const struct kube_selected *list, size_t n, struct err *err)
{
	return kube_fill_put(cx, data, lane, list, n, err);
}

/* All objects into the folder that is being filled; ret: what tells the cluster apart. */
static int
fill(struct step_ctx *cx, const struct export_args *a, struct kube_fill *f, const char **ret, struct err *err)
{
	const struct kube_select s = selection(a);
	const struct value *system, *uid;
	uint64_t left_out = 0;

	if (step_read(cx, &(struct ref){ a->in, "Namespace//kube-system" }, &system, err) < 0 ||
	    kube_select_run(cx, &s, put_objects, f, &left_out, err) < 0)
		return -1;
	uid = kube_object_get(system, "metadata", "uid");
	*ret = uid != NULL && uid->kind == V_STRING ? uid->s : "";
	if (left_out > 0)
		step_note(cx, "%" PRIu64 " objects were left out: controllers make them, or every cluster has them", left_out);
	return 0;
}

static int
export_run(struct step_ctx *cx, const void *args, struct err *err)
{
	const struct export_args *a = args;
	const char *cluster = "";
	struct kube_fill f;
	int rc = 0;

	if (kube_fill_open(cx, a->to, &f, err) < 0)
		return -1;
	if (f.stream != NULL)
		rc = fill(cx, a, &f, &cluster, err);
	return kube_fill_close(cx, &f, rc, cluster, err);
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
	{ "cluster_kinds", F_LIST, F_STRING, offsetof(struct export_args, cluster_kinds),
	  .help = "and objects of these kinds, which have no namespace, such as ClusterRole" },
	{ "cluster_selector", F_STRING, .offset = offsetof(struct export_args, cluster_selector),
	  .help = "of objects without a namespace those that this label selector selects; without it that of selector" },
	{ "secrets", F_STRING, .offset = offsetof(struct export_args, secrets), .dflt = "keep", .choices = secrets_words,
	  .help = "keep writes Secrets with their content, skip leaves them out, refuse fails where there is one" },
	{ "owned", F_BOOL, .offset = offsetof(struct export_args, owned),
	  .help = "export objects that a controller makes from others, too (pods of a Deployment)" },
	{ "operated", F_BOOL, .offset = offsetof(struct export_args, operated),
	  .help = "export those of them whose controller is a custom object, or else no workload of Kubernetes' own" },
	{ "finished", F_BOOL, .offset = offsetof(struct export_args, finished), .dflt = "true",
	  .help = "export Jobs and Pods that have run to their end, too: imported, they would run again" },
	{ "status", F_BOOL, .offset = offsetof(struct export_args, status), .help = "keep the status of objects" },
	{ "volumes", F_BOOL, .offset = offsetof(struct export_args, volumes),
	  .help = "keep which volume a claim is bound to, and which claim a volume, for the same volumes at another cluster; volumes that "
		  "exported claims are bound to are exported, too" },
	{ "parallel", F_INT, .offset = offsetof(struct export_args, parallel), .dflt = "4", .min = 1, .max = 64,
	  .help = "how many lists are read at a time" },
	{ 0 },
};

const struct step_type kubernetes_export_step = {
	.name = "kubernetes.export",
	.summary = "write objects as their authors wrote them into a new folder, one YAML file each",
	.inputs = export_inputs,
	.outputs = kube_fill_outputs,
	.args_size = sizeof(struct export_args),
	.version = 1,
	.run = export_run,
	.check = export_check,
};

/* SPDX-License-Identifier: Apache-2.0 */
/* Owns the target kind `helm`: the releases of a cluster, by the helm binary. The cluster is another target, whose
 * kubeconfig, context and namespace helm is given; that target's own rules (which credential plugins may run) hold for it too. */
#include <stdlib.h>
#include <string.h>

#include "steps/target/helm_effect.h"
#include "steps/target/helm_release.h"
#include "steps/target/kube_conn.h"
#include "steps/target/orphan.h"
#include "steps/target/targets.h"

static const struct field helm_fields[] = {
	{ .name = "cluster", .type = F_TARGET, .offset = offsetof(struct helm_args, cluster), .required = true, .kind = "kubernetes",
	  .help = "The target whose releases they are; its namespace is that of releases that name none." },
	{ .name = "binary", .type = F_PATH, .offset = offsetof(struct helm_args, binary), .dflt = "helm",
	  .help = "The helm binary (3.14 or newer); a bare name is looked up in PATH." },
	{ 0 },
};

static const char *
given(const char *s)
{
	return s != NULL && s[0] != '\0' ? xstrdup(s) : NULL;
}

static void
helm_close(void *conn)
{
	struct helm_conn *c = conn;

	if (c->kube != NULL)
		kube_target.close(c->kube);
	free((char *)c->binary);
	free((char *)c->kubeconfig);
	free((char *)c->context);
	free(c);
}

static int
helm_open(struct opctx *op, const void *args, void **ret_conn, struct err *err)
{
	const struct helm_args *a = args;
	const struct kube_args *cluster = op->args_of(a->cluster);
	struct helm_conn *c = xcalloc(1, sizeof(*c));

	c->binary = xstrdup(a->binary);
	c->kubeconfig = given(cluster->kubeconfig);
	c->context = given(cluster->context);
	if (kube_target.open(op, cluster, &c->kube, err) < 0) {
		c->kube = NULL;
		helm_close(c);
		return -1;
	}
	*ret_conn = c;
	return 0;
}

static int
helm_identity(struct opctx *op, void *conn, struct value *ret, struct err *err)
{
	return kube_target.identity(op, ((struct helm_conn *)conn)->kube, ret, err);
}

static int
helm_name(struct opctx *op, void *conn, const char *path, const char **ret, struct err *err)
{
	struct helm_conn *c = conn;
	struct helm_paths p;

	if (helm_paths_parse(op->arena, path, &p, err) < 0)
		return -1;
	*ret = p.release != NULL && p.namespace[0] == '\0' ?
		helm_paths_release(op->arena, kube_conn_namespace(c->kube), p.release) : path;
	return 0;
}

static int
helm_read(struct opctx *op, void *conn, const char *path, struct value *ret, struct err *err)
{
	struct helm_paths p;
	struct value release;

	if (helm_paths_parse(op->arena, path, &p, err) < 0)
		return -1;
	if (p.chart != NULL)
		return helm_chart_read(op, conn, p.chart, ret, err);
	if (helm_release_read(op, conn, &p, 0, &release, err) < 0)
		return -1;
	*ret = helm_release_shown(op->arena, &release, false);
	return 0;
}

const struct target_type helm_target = {
	.kind = "helm",
	.summary = "the helm releases of a Kubernetes cluster, by the helm binary",
	.fields = helm_fields,
	.args_size = sizeof(struct helm_args),
	.sensitive = true,
	.open = helm_open,
	.close = helm_close,
	.identity = helm_identity,
	.name = helm_name,
	.read = helm_read,
	.write = helm_effect_write,
	.image = helm_effect_image,
	.same = helm_effect_same,
	.predict = helm_effect_predict,
	.probe = helm_effect_probe,
	.outlived = orphan_wait,
	.stands = helm_effect_stands,
	.shown = helm_effect_shown,
	.invert = helm_effect_invert,
};

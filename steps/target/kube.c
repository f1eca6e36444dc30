/* SPDX-License-Identifier: Apache-2.0 */
/* Owns the target kind `kubernetes`: its connection fields, what it reads, and the table that puts the parts together. The
 * syntax of paths is in kube_paths.h. */
#include "steps/target/kube.h"

#include <string.h>

#include "base/text.h"
#include "steps/target/kube_effect.h"
#include "steps/target/kube_image.h"
#include "steps/target/kube_inside.h"
#include "steps/target/kube_logs.h"
#include "steps/target/targets.h"

static const struct field kube_fields[] = {
	{ .name = "kubeconfig", .type = F_PATH, .offset = offsetof(struct kube_args, kubeconfig),
	  .help = "File that says where the cluster is and as whom to go there; else $KUBECONFIG, ~/.kube/config, the pod's account." },
	{ .name = "context", .type = F_STRING, .offset = offsetof(struct kube_args, context),
	  .help = "Which context of the kubeconfig; else its current one." },
	{ .name = "namespace", .type = F_STRING, .offset = offsetof(struct kube_args, namespace),
	  .help = "Namespace of what names none; else the context's, else default." },
	{ .name = "allow_exec", .type = F_LIST, .item = F_PATH, .offset = offsetof(struct kube_args, allow_exec),
	  .help = "Credential plugins that the kubeconfig may run, by their absolute paths." },
	{ 0 },
};

static int
kube_identity(struct opctx *op, void *conn, struct value *ret, struct err *err)
{
	struct value namespace;
	const char *uid;
	int status;

	if (kube_get(op, conn, "/api/v1/namespaces/kube-system", &namespace, &status, err) < 0) {
		if (status != 403)
			return -1;
		/* who may not see it is known by the address */
		*ret = VALUE_MAP(op->arena, { "server", value_str(arena_strdup(op->arena, kube_conn_name(conn))) });
		return 0;
	}
	uid = value_get_str(value_get(&namespace, "metadata"), "uid", NULL);
	if (uid == NULL)
		return err_set(err, ERR_FAILED, "%s: its namespace kube-system has no uid: is it a Kubernetes API server?",
			       kube_conn_name(conn));
	*ret = VALUE_MAP(op->arena, { "kube_system_uid", value_str(uid) });
	return 0;
}

int
kube_read_plain(struct opctx *op, struct kube_conn *c, const struct kube_path *p, struct value *ret, struct err *err)
{
	const struct kube_ask ask = { .method = "GET", .url = kube_path_url(op->arena, p, NULL) };
	struct kube_reply r;
	int rc = kube_ask(op, c, &ask, &r, err);

	if (rc == 0 && value_parse_json(op->arena, r.body.p, r.body.len, ret, err) < 0)
		rc = err_wrap(err, "%s: %s cannot be read", kube_conn_name(c), kube_path_text(op->arena, p));
	if (rc < 0 && r.status == 404 && r.about.kind != V_NULL) {
		*ret = VALUE_NULL;
		rc = 0;
	} else if (rc < 0 && r.status == 404) { /* not by the API's own words: the address is not served */
		kube_kinds_forget(c);
		(void)err_set(err, ERR_FAILED, "%s has no kind '%s' any more", kube_conn_name(c), p->kind);
	}
	kube_reply_done(&r);
	return rc;
}

static int
read_kinds(struct opctx *op, struct kube_conn *c, struct value *ret, struct err *err)
{
	const struct kube_kind *const *all;
	struct value *list;
	size_t n = 0;

	if (kube_kinds_all(op, c, &all, err) < 0)
		return -1;
	while (all[n] != NULL)
		n++;
	list = arena_array(op->arena, n, sizeof(*list));
	for (size_t i = 0; i < n; i++)
		list[i] = VALUE_MAP(op->arena, { "kind", value_str(all[i]->kind) }, { "group", value_str(all[i]->group) },
				    { "version", value_str(all[i]->version) }, { "plural", value_str(all[i]->plural) },
				    { "namespaced", value_bool(all[i]->namespaced) }, { "preferred", value_bool(all[i]->preferred) },
				    { "verbs", value_words(op->arena, all[i]->verbs) },
				    { "subresources", value_words(op->arena, all[i]->subresources) });
	*ret = value_list(list, n);
	return 0;
}

int
kube_read(struct opctx *op, void *conn, const char *path, struct value *ret, struct err *err)
{
	struct kube_paths parsed;
	struct kube_path p;

	if (kube_paths_parse(op->arena, path, &parsed, err) < 0)
		return -1;
	switch (parsed.what) {
	case KUBE_OBJECT:
		if (kube_path_known(op, conn, path, &p, err) < 0 || kube_read_plain(op, conn, &p, ret, err) < 0)
			return -1;
		*ret = kube_paths_hide(op->arena, ret);
		return 0;
	case KUBE_CAN_I:
		return kube_read_can_i(op, conn, &parsed, ret, err);
	case KUBE_CANARY:
		return kube_read_canary(op, conn, &parsed, ret, err);
	case KUBE_WHOAMI:
		return kube_read_whoami(op, conn, ret, err);
	case KUBE_VERSION:
		return kube_get(op, conn, "/version", ret, NULL, err);
	case KUBE_KINDS:
		return read_kinds(op, conn, ret, err);
	case KUBE_LOG:
		return kube_logs_read(op, conn, &parsed, ret, err);
	case KUBE_HERE:
		return kube_read_here(op, parsed.file, ret, err);
	case KUBE_LIST:
	case KUBE_FILE:
		break;
	}
	return err_set(err, ERR_PLAN, "'%s' is no object", path);
}

static const char *
kube_query_path(struct arena *a, const struct query *q)
{
	const char *from = arena_strndup(a, q->from.p, q->from.len);

	return arena_strndup(a, from, strcspn(from, "?"));
}

const struct target_type kube_target = {
	.kind = "kubernetes",
	.sensitive = true,
	.summary = "a Kubernetes cluster, by its API server",
	.fields = kube_fields,
	.args_size = sizeof(struct kube_args),
	.open = kube_conn_open,
	.close = kube_conn_close,
	.identity = kube_identity,
	.name = kube_name,
	.read = kube_read,
	.here = kube_paths_here,
	.list = kube_list,
	.watch_open = kube_watch_open,
	.watch_next = kube_watch_next,
	.watch_close = kube_watch_close,
	.write = kube_effect_write,
	.image = kube_effect_image,
	.fresh = kube_effect_fresh,
	.same = kube_effect_same,
	.predict = kube_effect_predict,
	.probe = kube_effect_probe,
	.outlived = kube_effect_outlived,
	.recheck = kube_recheck_here,
	.recheck_under = "here/",
	.after = kube_effect_after,
	.stands = kube_effect_stands,
	.shown = kube_shown,
	.invert = kube_effect_invert,
	.covers = kube_paths_cover,
	.plain = kube_paths_plain,
	.query_path = kube_query_path,
};

/* SPDX-License-Identifier: Apache-2.0 */
/* Owns the dry-run of effects on objects. The server is asked wherever it can be: it knows defaults, admission and conflicts. On
 * what earlier steps would make it cannot be asked, and the effect is simulated on the image. */
#include "steps/target/kube_predict.h"

#include <string.h>

#include "base/text.h"
#include "steps/target/kube_fields.h"
#include "steps/target/kube_hide.h"
#include "steps/target/kube_patch.h"
#include "steps/target/kube_request.h"
#include "steps/target/mask.h"

/* Numbers that the server gives: those of a dry-run mean nothing. */
static struct value
without_numbers(struct arena *a, const struct value *object, bool created)
{
	static const char *const numbers[] = { "resourceVersion", "uid", "creationTimestamp" };
	const struct value *meta = value_get(object, "metadata");
	struct value rest;

	if (meta == NULL || meta->kind != V_MAP)
		return *object;
	rest = *meta;
	for (size_t i = 0; i < (created ? countof(numbers) : 1); i++)
		rest = kube_set(a, &rest, numbers[i], NULL);
	return kube_set(a, object, "metadata", &rest);
}

/* The object as it would be made. */
static struct value
made(struct arena *a, const struct value *want, const struct kube_path *p)
{
	struct value v = value_str(p->name), meta, ret;

	meta = kube_set(a, value_get(want, "metadata"), "name", &v);
	v = value_str(p->namespace);
	if (p->namespace[0] != '\0')
		meta = kube_set(a, &meta, "namespace", &v);
	ret = kube_set(a, want, "metadata", &meta);
	return kube_merge_patch(a, NULL, &ret); /* without what is null */
}

static int
absent(const struct effect *e, struct err *err)
{
	return err_set(err, ERR_FAILED, "%s would not be there", e->on.path);
}

/* On what earlier steps would leave. */
static int
simulate(struct opctx *op, const struct effect *e, const struct kube_path *p, const struct value *before, struct prediction *ret,
	 struct err *err)
{
	struct value want = kube_wanted(op->arena, e), types;
	struct err why = ERR_INIT;

	ret->confidence = CONF_SIMULATED;
	if (before->kind == V_UNKNOWN) {
		ret->confidence = CONF_PREDICTED;
		ret->after = kube_verb(e) == KUBE_DELETE || kube_verb(e) == KUBE_EVICT ? VALUE_NULL : *before;
		return 0;
	}
	switch (kube_verb(e)) {
	case KUBE_APPLY:
		types = kube_types(op->arena, before);
		want = made(op->arena, &want, p);
		ret->after = before->kind != V_MAP ? want : kube_apply_merge(op->arena, before, &want, types.kind == V_MAP ? &types : NULL);
		return 0;
	case KUBE_CREATE:
		if (before->kind == V_MAP)
			return err_set(err, ERR_FAILED, "%s would be there already", e->on.path);
		ret->after = made(op->arena, &want, p);
		return 0;
	case KUBE_PATCH:
		if (before->kind != V_MAP)
			return absent(e, err);
		if (kube_patched(op->arena, e, before, &ret->after, &why) == 0)
			return 0;
		if (why.kind != ERR_PREDICTED) {
			*err = why;
			return err_wrap(err, "%s", e->on.path);
		}
		ret->confidence = CONF_PREDICTED;
		ret->after = value_unknown("only the server knows what directives of a patch do");
		return 0;
	default:
		ret->after = VALUE_NULL;
		return before->kind == V_MAP || kube_gone_is_fine(e) ? 0 : absent(e, err);
	}
}

static void
tell(struct opctx *op, const struct effect *e, const char *why)
{
	if (op->note != NULL)
		op->note(op, arena_printf(op->arena, "%s is foretold, not tried: %s", e->on.path, why));
}

/* What the server did not try. -1 with err as it is: it would refuse the effect, too. */
static int
refused(struct opctx *op, const struct effect *e, const struct kube_path *p, const struct value *before, const struct kube_reply *about,
	struct prediction *ret, struct err *err)
{
	const struct value *details = value_get(&about->about, "details");
	const struct err why = *err;
	const char *name = value_get_str(details, "name", "");
	const bool nowhere = about->status == 404 && strcmp(value_get_str(details, "kind", ""), "namespaces") == 0 &&
			     strcmp(name, p->namespace) == 0;

	if (nowhere || about->status == 403) { /* who may do what, and how much, is told by objects, too */
		ret->needs = nowhere ? arena_printf(op->arena, "Namespace//%s", p->namespace) : "*/*/";
		if (simulate(op, e, p, before, ret, err) < 0)
			return -1;
		if (!nowhere) {
			ret->confidence = CONF_PREDICTED;
			tell(op, e, why.msg);
		}
		*err = why; /* it holds unless an earlier step changes that */
		return 0;
	}
	if (!(about->status == 400 && strstr(why.msg, "does not support dry run") != NULL))
		return -1;
	*err = ERR_INIT;
	if (simulate(op, e, p, before, ret, err) < 0)
		return -1;
	ret->confidence = CONF_PREDICTED;
	tell(op, e, why.msg);
	return 0;
}

static int
predict(struct opctx *op, struct kube_conn *conn, const struct effect *e, const struct value *before, struct prediction *ret,
	struct err *err)
{
	const enum kube_verb verb = kube_verb(e);
	const bool removes = verb == KUBE_DELETE || verb == KUBE_EVICT;
	const struct value unknown = value_unknown("its kind is defined by an earlier step");
	struct kube_reply about;
	struct kube_path p;
	struct value shape;

	if (kube_path_resolve(op, conn, e->on.path, &p, err) < 0)
		return -1;
	ret->unknowable = kube_touched(op->arena, e->on.path, e->verb, before);
	if (ret->seen || (e->body.flags & VF_UNKNOWN) || (removes && p.k != NULL && before->kind == V_NULL))
		return simulate(op, e, &p, before, ret, err);
	if (p.k == NULL) {
		/* what is there already of a kind that is not known has another spelling, perhaps */
		if (simulate(op, e, &p, removes || verb == KUBE_PATCH ? &unknown : before, ret, err) < 0)
			return -1;
		ret->needs = "CustomResourceDefinition.apiextensions.k8s.io//";
		err_set(err, ERR_FAILED, "%s has no kind '%s', and no earlier step defines one", kube_conn_name(conn), p.kind);
		return 0;
	}
	if (kube_try(op, conn, e, &p, &about, &ret->after, err) < 0)
		return refused(op, e, &p, before, &about, ret, err);
	ret->confidence = CONF_EXACT;
	shape = kube_secret_shape(op->arena, e);
	ret->after = kube_hide(op->arena, &shape, &ret->after);
	ret->after = removes ? VALUE_NULL : without_numbers(op->arena, &ret->after, before->kind == V_NULL);
	return 0;
}

int
kube_predict(struct opctx *op, void *conn, const struct effect *e, const struct value *before, struct prediction *ret,
	     struct err *err)
{
	if (predict(op, conn, e, before, ret, err) < 0)
		return -1;
	if ((e->body.flags & VF_SECRET) != 0) /* it is said back in clear, and shown */
		ret->after = mask_value(op->arena, &ret->after, &e->body);
	return 0;
}

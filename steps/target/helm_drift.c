/* SPDX-License-Identifier: Apache-2.0 */
/* Owns the comparison of a rendered manifest, whose scalars are texts, with objects as the server has them: with all that
 * defaults and controllers added to them, so only what the manifest names counts. */
#include "steps/target/helm_drift.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "steps/target/targets.h"

static bool fits(struct arena *a, const struct value *want, const struct value *have, struct buf *path);

static bool
is_word(const char *s, const char *const *words)
{
	for (; *words != NULL; words++)
		if (strcasecmp(s, *words) == 0)
			return true;
	return false;
}

/* Nothing at all, as far as servers keep it. */
static bool
is_empty(const struct value *want)
{
	static const char *const none[] = { "", "~", "null", NULL };

	return want->kind == V_STRING ? is_word(want->s, none) : want->kind == V_NULL || want->len == 0;
}

/* A quantity as a number: servers write 1000m as 1. NAN where it is none.
 * https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/quantity/ */
static double
quantity(const char *s)
{
	static const struct {
		const char *suffix;
		double factor;
	} units[] = { { "", 1 }, { "m", 1e-3 }, { "k", 1e3 }, { "M", 1e6 }, { "G", 1e9 }, { "T", 1e12 }, { "Ki", 0x1p10 }, { "Mi", 0x1p20 },
		      { "Gi", 0x1p30 }, { "Ti", 0x1p40 } };
	char *end;
	const double n = strtod(s, &end);

	for (size_t i = 0; end != s && i < countof(units); i++)
		if (strcmp(end, units[i].suffix) == 0)
			return n * units[i].factor;
	return NAN;
}

static bool
same_scalar(struct arena *a, const char *want, const struct value *have)
{
	static const char *const truths[] = { "true", "yes", "on", "y", NULL }, *const lies[] = { "false", "no", "off", "n", NULL };

	switch (have->kind) {
	case V_STRING:
		return strcmp(want, have->s) == 0 || quantity(want) == quantity(have->s);
	case V_SECRET:
		return have->secret->content == NULL || strcmp(want, have->secret->content) == 0;
	case V_BOOL:
		return is_word(want, value_true(have) ? truths : lies);
	case V_INT:
		return strcmp(want, arena_printf(a, "%" PRIi64, have->i)) == 0;
	default:
		return have->kind != V_MAP && have->kind != V_LIST; /* numbers have many spellings */
	}
}

/* What a Secret is given as text it keeps in data. */
static bool
fits_text(struct arena *a, const struct value *texts, const struct value *data)
{
	bool same = true;

	for (uint32_t i = 0; texts->kind == V_MAP && same && i < texts->len; i++) {
		const struct value *v = &texts->pairs[i].v, *have = value_get(data, texts->pairs[i].key);
		struct buf text = BUF_INIT(0);

		base64_encode(&text, v->kind == V_STRING ? v->s : "", v->kind == V_STRING ? v->len : 0);
		same = have != NULL && same_scalar(a, text.len > 0 ? text.p : "", have);
		buf_done(&text);
	}
	return same;
}

static bool
fits_map(struct arena *a, const struct value *want, const struct value *have, struct buf *path)
{
	const size_t len = path->len;

	for (uint32_t i = 0; i < want->len; i++) {
		const struct pair *p = &want->pairs[i];
		const struct value *h = value_get(have, p->key);

		buf_printf(path, "%s%s", len > 0 ? "." : "", p->key);
		if (h == NULL && strcmp(p->key, "stringData") == 0) {
			if (!fits_text(a, &p->v, value_get(have, "data")))
				return false;
		} else if (h == NULL ? !is_empty(&p->v) : !fits(a, &p->v, h, path)) {
			return false;
		}
		path->len = len;
	}
	return true;
}

/* The path of the first field that is not as wanted stays in path. */
static bool
fits(struct arena *a, const struct value *want, const struct value *have, struct buf *path)
{
	const size_t len = path->len;

	if (want->kind == V_STRING)
		return same_scalar(a, want->s, have);
	if (want->kind != have->kind)
		return is_empty(want);
	if (want->kind == V_MAP)
		return fits_map(a, want, have, path);
	for (uint32_t i = 0; want->kind == V_LIST && i < want->len; i++) {
		buf_printf(path, "[%u]", i + 1);
		if (i >= have->len || !fits(a, &want->items[i], &have->items[i], path))
			return false;
		path->len = len;
	}
	return true;
}

/* The object as it is: null where it is not there. A manifest does not tell which kinds have a namespace. */
static int
live(struct opctx *op, const struct helm_conn *c, const char *key, struct value *ret)
{
	const char *first = strchr(key, '/'), *last = strrchr(key, '/');
	struct err ignored = ERR_INIT;

	if (first == NULL || strchr(key, ' ') != NULL) /* no object with a name of its own */
		return -1;
	if (kube_target.read(op, c->kube, key, ret, &ignored) == 0)
		return 0;
	ignored = ERR_INIT;
	return kube_target.read(op, c->kube, arena_printf(op->arena, "%.*s//%s", (int)(first - key), key, last + 1), ret, &ignored);
}

bool
helm_drift_lacks(struct opctx *op, const struct helm_conn *c, const char *key)
{
	struct value now;

	return live(op, c, key, &now) == 0 && now.kind == V_NULL;
}

/* Kinds that helm does not know as its own; these have dots in their group. */
static bool
is_custom(const char *key)
{
	const char *group = strchr(key, '.'), *end = strchr(key, '/');
	const size_t len = group != NULL && group < end ? (size_t)(end - group) : 0;
	static const char own[] = ".k8s.io";

	return len > 0 && memchr(group + 1, '.', len - 1) != NULL && (len < sizeof(own) || strncmp(end - strlen(own), own, strlen(own)) != 0);
}

void
helm_drift_tell(struct opctx *op, const struct helm_conn *c, const struct value *before, const struct value *after)
{
	struct value now;

	for (uint32_t i = 0; op->note != NULL && before != NULL && before->kind == V_MAP && i < before->len; i++) {
		const struct pair *p = &before->pairs[i];
		const struct value *then = after != NULL && after->kind == V_MAP ? value_get(after, p->key) : NULL;
		struct buf path = BUF_INIT(0);

		if (live(op, c, p->key, &now) < 0)
			continue;
		if (now.kind == V_NULL)
			op->note(op, arena_printf(op->arena, then != NULL ? "helm creates %s again, which is gone" : "%s is gone already", p->key));
		else if (then != NULL && value_eq(then, &p->v) && !is_custom(p->key) && !fits(op->arena, then, &now, &path))
			op->note(op, arena_printf(op->arena, "helm sets %s back, in which %s was changed since", p->key, path.len > 0 ? path.p : "?"));
		buf_done(&path);
	}
}

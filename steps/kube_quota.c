/* SPDX-License-Identifier: Apache-2.0 */
/* An estimate before the fact: scopes and defaults from LimitRanges are left to the server. */
#include "steps/kube_quota.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "steps/kube_object.h"
#include "steps/kube_word.h"

bool
kube_quota_parse(const struct value *q, double *ret)
{
	static const struct {
		const char *suffix;
		double factor;
	} suffixes[] = {
		{ "", 1 }, { "n", 1e-9 }, { "u", 1e-6 }, { "m", 1e-3 }, { "k", 1e3 }, { "M", 1e6 }, { "G", 1e9 }, { "T", 1e12 }, { "P", 1e15 }, { "E", 1e18 },
		{ "Ki", 0x1p10 }, { "Mi", 0x1p20 }, { "Gi", 0x1p30 }, { "Ti", 0x1p40 }, { "Pi", 0x1p50 }, { "Ei", 0x1p60 },
	};
	char *end;

	if (q == NULL || (q->kind != V_INT && q->kind != V_NUMBER && q->kind != V_STRING))
		return false;
	if (q->kind != V_STRING) {
		*ret = q->kind == V_INT ? (double)q->i : q->n;
		return true;
	}
	if (q->len == 0 || strspn(q->s, "0123456789.+-") == 0)
		return false;
	*ret = strtod(q->s, &end);
	for (size_t i = 0; i < countof(suffixes); i++)
		if (strcmp(end, suffixes[i].suffix) == 0) {
			*ret *= suffixes[i].factor;
			return isfinite(*ret);
		}
	return false;
}

static const struct value *
member(const struct value *v, const char *key)
{
	return v != NULL ? value_get(v, key) : NULL;
}

/* The pods that it asks for, and how they are made: pods NULL where it asks for none. */
static double
pods_of(const struct value *object, double nodes, const struct value **ret)
{
	const struct value *spec = value_get(object, "spec"), *n;
	double count = 1;

	*ret = member(member(spec, "template"), "spec");
	if (kube_word_is(object, "", "Pod"))
		*ret = spec;
	n = member(spec, kube_word_is(object, "batch", "Job") ? "parallelism" : "replicas");
	if (kube_word_is(object, "apps", "DaemonSet"))
		return nodes;
	return n != NULL && kube_quota_parse(n, &count) ? count : 1;
}

/* requests or limits of all containers; what has no request is asked for by its limit. */
static double
containers(const struct value *pod, const char *what, const char *resource)
{
	const struct value *list = member(pod, "containers");
	double sum = 0, one;

	for (uint32_t i = 0; list != NULL && list->kind == V_LIST && i < list->len; i++) {
		const struct value *resources = value_get(&list->items[i], "resources"), *q = member(member(resources, what), resource);

		if (q == NULL && strcmp(what, "requests") == 0)
			q = member(member(resources, "limits"), resource);
		if (kube_quota_parse(q, &one))
			sum += one;
	}
	return sum;
}

double
kube_quota_amount(const struct value *object, const char *resource, double nodes)
{
	const bool counts = strncmp(resource, "count/", 6) == 0, limits = strncmp(resource, "limits.", 7) == 0;
	const char *name = counts ? resource + 6 : limits ? resource + 7 : strncmp(resource, "requests.", 9) == 0 ? resource + 9 : resource;
	const struct value word = value_str(name), words = value_list(&word, 1);
	const struct value *pod, *storage;
	const double n = pods_of(object, nodes, &pod);
	double one;

	if (strcmp(name, "pods") == 0)
		return pod != NULL ? n : 0;
	if (strcmp(name, "storage") == 0) {
		storage = member(member(member(value_get(object, "spec"), "resources"), "requests"), "storage");
		return kube_word_is(object, "", "PersistentVolumeClaim") && kube_quota_parse(storage, &one) ? one : 0;
	}
	if (!counts && (strcmp(name, "cpu") == 0 || strcmp(name, "memory") == 0 || strcmp(name, "ephemeral-storage") == 0))
		return pod != NULL ? n * containers(pod, limits ? "limits" : "requests", name) : 0;
	return kube_word_in(&words, object) ? 1 : 0;
}

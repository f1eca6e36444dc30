/* SPDX-License-Identifier: Apache-2.0 */
/* Owns what controllers do: which objects change without being named when another one does. A list of paths (kube_paths.h), not of
 * guesses: what is in it reads as unknown in a dry-run. */
#include "steps/target/kube_predict.h"

#include <string.h>

#include "steps/target/kube_patch.h"

#define TOUCHED_MAX 8

/* %s: the object's namespace. */
static const struct {
	const char *kind, *made[3];
} makes[] = {
	{ "Deployment.apps", { "ReplicaSet.apps/%s/", "Pod/%s/" } },
	{ "StatefulSet.apps", { "Pod/%s/", "PersistentVolumeClaim/%s/" } },
	{ "DaemonSet.apps", { "Pod/%s/" } },
	{ "ReplicaSet.apps", { "Pod/%s/" } },
	{ "ReplicationController", { "Pod/%s/" } },
	{ "CronJob.batch", { "Job.batch/%s/", "Pod/%s/" } },
	{ "Job.batch", { "Pod/%s/" } },
	{ "HorizontalPodAutoscaler.autoscaling", { "Deployment.apps/%s/", "StatefulSet.apps/%s/", "Pod/%s/" } },
	{ "Service", { "Endpoints/%s/", "EndpointSlice.discovery.k8s.io/%s/" } },
	{ "PersistentVolumeClaim", { "PersistentVolume//" } },
	{ "PersistentVolume", { "PersistentVolumeClaim/*/" } },
	{ "Namespace", { 0 } },
};

struct list {
	const char **paths;
	size_t n;
};

static void
add(struct list *l, const char *path)
{
	if (l->n < TOUCHED_MAX)
		l->paths[l->n++] = path;
}

/* The group of a kind in a path, behind the version that may stand before it; "" for the core group. */
static const char *
group_of(const char *kind)
{
	const char *group = kind + strcspn(kind, "."), *end;

	if (*group == '\0')
		return group;
	group++;
	end = group + strcspn(group, ".");
	if (group[0] == 'v' && group[1] >= '0' && group[1] <= '9' && strspn(group, "valphbet0123456789") == (size_t)(end - group))
		return *end == '.' ? end + 1 : end;
	return group;
}

static bool
is_kind(const char *kind, const char *name)
{
	const size_t word = strcspn(kind, ".");

	return word == strcspn(name, ".") && strncmp(kind, name, word) == 0 && strcmp(group_of(kind), group_of(name)) == 0;
}

/* Kinds of somebody's own: their controllers may do anything, but mostly make workloads. */
static bool
is_custom(const char *kind)
{
	const char *group = group_of(kind);
	const size_t len = strlen(group);

	return strchr(group, '.') != NULL && !(len > 7 && strcmp(group + len - 7, ".k8s.io") == 0);
}

/* All objects of the kind that a definition defines. */
static const char *
defined(struct arena *a, const struct value *definition)
{
	const struct value *spec = value_get(definition, "spec");
	const char *kind = value_get_str(value_get(spec, "names"), "kind", NULL), *group = value_get_str(spec, "group", NULL);
	const bool namespaced = strcmp(value_get_str(spec, "scope", ""), "Namespaced") == 0;

	return kind == NULL || group == NULL ? "*/*/" : arena_printf(a, "%s.%s/%s/", kind, group, namespaced ? "*" : "");
}

const char *const *
kube_touched(struct arena *a, const char *path, const char *verb, const struct value *image)
{
	const char *hash = strchr(path, '#'), *slash = strchr(path, '/'), *end = slash != NULL ? strchr(slash + 1, '/') : NULL;
	const char *object = hash != NULL ? arena_strndup(a, path, (size_t)(hash - path)) : path;
	struct list l = { .paths = arena_array(a, TOUCHED_MAX + 1, sizeof(char *)) };
	const bool removes = strcmp(verb, "delete") == 0;
	const char *kind, *namespace;

	if (end == NULL)
		return l.paths;
	kind = arena_strndup(a, path, (size_t)(slash - path));
	namespace = arena_strndup(a, slash + 1, (size_t)(end - slash - 1));
	if (hash != NULL) {
		add(&l, object);
	} else {
		add(&l, arena_printf(a, "%s#scale", object));
		add(&l, arena_printf(a, "%s#status", object));
	}
	if (strcmp(kind, "Pod") == 0) /* what runs in it, its files, its logs: kube_paths_cover */
		add(&l, arena_printf(a, "%s#exec", object));
	if (strcmp(kind, "Namespace") == 0 && hash == NULL)
		add(&l, arena_printf(a, removes ? "*/%s/" : "ServiceAccount/%s/", end + 1));
	else if (is_kind(kind, "CustomResourceDefinition.apiextensions.k8s.io") && removes)
		add(&l, defined(a, image));
	else if (is_custom(kind) && namespace[0] != '\0')
		add(&l, arena_printf(a, removes ? "*/%s/" : "Pod/%s/", namespace));
	for (size_t i = 0; i < countof(makes); i++)
		for (size_t k = 0; is_kind(kind, makes[i].kind) && k < countof(makes[i].made) && makes[i].made[k] != NULL; k++) {
			const char *made = makes[i].made[k], *at = strstr(made, "%s");

			add(&l, at == NULL ? made : arena_printf(a, "%.*s%s%s", (int)(at - made), made, namespace, at + 2));
		}
	return l.paths;
}

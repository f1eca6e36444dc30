/* SPDX-License-Identifier: Apache-2.0 */
/* Owns what is read out of a Pod object (https://kubernetes.io/docs/reference/kubernetes-api/workload-resources/pod-v1/). */
#include "steps/target/kube_pod.h"

#include <inttypes.h>
#include <string.h>

#include "base/text.h"

static const struct value *
at(const struct value *v, const char *key)
{
	return v != NULL ? value_get(v, key) : NULL;
}

static const char *
str(const struct value *v, const char *key)
{
	return v != NULL ? value_get_str(v, key, "") : "";
}

/* The member of a list whose name it is; NULL: none. */
static const struct value *
named(const struct value *list, const char *name)
{
	for (size_t i = 0; list != NULL && list->kind == V_LIST && i < list->len; i++)
		if (strcmp(str(&list->items[i], "name"), name) == 0)
			return &list->items[i];
	return NULL;
}

static const char *
names_of(struct arena *a, const struct value *list)
{
	const char *all = "";

	for (size_t i = 0; list != NULL && list->kind == V_LIST && i < list->len; i++)
		all = arena_printf(a, "%s%s%s", all, i > 0 ? ", " : "", str(&list->items[i], "name"));
	return text_safe(a, all, strlen(all), 300);
}

static int
choose(struct arena *a, const struct value *pod, const char *wanted, struct kube_pod *ret, struct err *err)
{
	static const char *const kinds[] = { "containers", "initContainers", "ephemeralContainers" };
	const struct value *spec = at(pod, "spec"), *list = at(spec, "containers");
	const char *name = wanted;

	if (name == NULL)
		name = str(at(at(pod, "metadata"), "annotations"), "kubectl.kubernetes.io/default-container");
	if (name[0] == '\0' && list != NULL && list->kind == V_LIST && list->len == 1)
		name = str(&list->items[0], "name");
	for (size_t i = 0; i < countof(kinds); i++)
		if (name[0] != '\0' && named(at(spec, kinds[i]), name) != NULL) {
			ret->container = name;
			return 0;
		}
	if (name[0] == '\0')
		return err_set(err, ERR_FAILED, "pod %s/%s has several containers, and none is chosen: %s", ret->namespace, ret->name,
			       names_of(a, list));
	return err_set(err, ERR_FAILED, "pod %s/%s has no container '%s'; it has: %s", ret->namespace, ret->name,
		       text_safe(a, name, strlen(name), 100), names_of(a, list));
}

static void
read_state(struct arena *a, const struct value *pod, struct kube_pod *ret)
{
	static const char *const kinds[] = { "containerStatuses", "initContainerStatuses", "ephemeralContainerStatuses" };
	const struct value *status = at(pod, "status"), *container = NULL, *state, *why;
	const char *phase = str(status, "phase");

	for (size_t i = 0; i < countof(kinds) && container == NULL; i++)
		container = named(at(status, kinds[i]), ret->container);
	state = at(container, "state");
	ret->running = at(state, "running") != NULL;
	ret->id = str(container, "containerID");
	ret->last = str(at(at(container, "lastState"), "terminated"), "reason");
	why = at(state, "terminated") != NULL ? at(state, "terminated") : at(state, "waiting");
	ret->state = arena_printf(a, "it is %s%s%s", at(state, "terminated") != NULL ? "ended" : "waiting",
				  str(why, "reason")[0] != '\0' ? ": " : "", str(why, "reason"));
	if (why == NULL)
		ret->state = arena_printf(a, "the pod is %s", phase[0] != '\0' ? phase : "not started");
	ret->state = text_safe(a, ret->state, strlen(ret->state), 200);
}

int
kube_pod_look(struct opctx *op, struct kube_conn *c, const char *namespace, const char *name, const char *container,
	      struct kube_pod *ret, struct err *err)
{
	struct value pod;
	int status = 0;

	*ret = (struct kube_pod){ .name = name, .uid = "", .id = "", .state = "", .last = "", .container = container };
	ret->namespace = namespace != NULL && namespace[0] != '\0' ? namespace : kube_conn_namespace(c);
	if (kube_get(op, c, arena_printf(op->arena, "/api/v1/namespaces/%s/pods/%s", ret->namespace, name), &pod, &status, err) < 0) {
		if (status != 404)
			return -1;
		*err = ERR_INIT;
		return 0;
	}
	ret->present = true;
	ret->uid = str(at(&pod, "metadata"), "uid");
	if (choose(op->arena, &pod, container, ret, err) < 0)
		return -1;
	read_state(op->arena, &pod, ret);
	return 0;
}

int
kube_pod_check(const struct kube_pod *p, struct err *err)
{
	if (!p->present)
		return err_set(err, ERR_FAILED, "pod %s/%s does not exist", p->namespace, p->name);
	if (p->running)
		return 0;
	(void)err_set(err, ERR_FAILED, "container '%s' of pod %s/%s does not run: %s", p->container, p->namespace, p->name, p->state);
	err->retryable = strstr(p->state, "ended") == NULL;
	return -1;
}

const char *
kube_pod_since(struct arena *a, const struct kube_pod *before, const struct kube_pod *now)
{
	if (!now->present)
		return "the pod is gone";
	if (strcmp(before->uid, now->uid) != 0)
		return "the pod was replaced meanwhile";
	if (!now->running)
		return arena_printf(a, "its container does not run any more, %s", now->state);
	if (strcmp(before->id, now->id) != 0)
		return now->last[0] == '\0' ? "its container was restarted meanwhile" :
			arena_printf(a, "its container was restarted meanwhile (%s)", text_safe(a, now->last, strlen(now->last), 60));
	return NULL;
}

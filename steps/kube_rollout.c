/* SPDX-License-Identifier: Apache-2.0 */
/* Why a rollout does not get ahead: its pods know. Pods of older templates are left out, since what is wrong with them
 * may be what the new one mends. */
#include "steps/kube_rollout.h"

#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "steps/kube_goal.h"
#include "steps/kube_object.h"
#include "steps/target/kube_paths.h"

#define WHY_MAX 600
#define REVISION "deployment.kubernetes.io/revision"
#define TAIL_LINES 20
#define TAIL_MAX 4096
#define TAIL_SHOWN 160 /* of it in the message; a note has all */

struct kube_rollout {
	struct watch *watch;  /* of the pods; NULL: the object is the pod */
	struct buf why;       /* what keeps a pod */
	char pod[254];        /* that pod's name */
	char told[254];       /* of a Job: the pod whose log was told last */
};

static const char *
meta(const struct value *object, const char *member)
{
	return value_get_str(value_get(object, "metadata"), member, "");
}

static const char *
mark(const struct value *object, const char *marks, const char *key)
{
	return value_get_str(kube_object_get(object, "metadata", marks), key, "");
}

/* The name of the ReplicaSet that the pod belongs to, or NULL. */
static const char *
owner_of(const struct value *pod)
{
	const struct value *owners = kube_object_get(pod, "metadata", "ownerReferences");

	for (uint32_t i = 0; owners != NULL && owners->kind == V_LIST && i < owners->len; i++)
		if (strcmp(value_get_str(&owners->items[i], "kind", ""), "ReplicaSet") == 0)
			return value_get_str(&owners->items[i], "name", NULL);
	return NULL;
}

/* Is the pod of the workload's newest template? */
static int
is_newest(struct step_ctx *cx, const struct kube_until *u, const struct value *object, const struct value *pod, bool *ret,
	  struct err *err)
{
	const char *kind = value_get_str(object, "kind", ""), *owner = owner_of(pod);
	const struct value *set;

	if (strcmp(kind, "StatefulSet") == 0)
		*ret = strcmp(mark(pod, "labels", "controller-revision-hash"),
			      value_get_str(value_get(object, "status"), "updateRevision", "")) == 0;
	else if (strcmp(kind, "DaemonSet") == 0)
		*ret = strcmp(mark(pod, "labels", "pod-template-generation"),
			      mark(object, "annotations", "deprecated.daemonset.template.generation")) == 0;
	else
		*ret = strcmp(kind, "Pod") == 0;
	if (strcmp(kind, "Deployment") != 0 || owner == NULL)
		return 0;
	if (step_read(cx, &(struct ref){ u->in, kube_paths_object(step_arena(cx), "ReplicaSet.apps", meta(pod, "namespace"), owner, NULL) },
		      &set, err) < 0)
		return -1;
	*ret = strcmp(mark(set, "annotations", REVISION), mark(object, "annotations", REVISION)) == 0;
	return 0;
}

/* The end of the container's log on one line, or NULL where it cannot be had: it only explains. */
static const char *
log_tail(struct step_ctx *cx, const struct kube_until *u, const struct value *pod, const struct kube_trouble *t)
{
	const char *path = arena_printf(step_arena(cx), "log/%s/%s?max=%d&container=%s&tailLines=%d%s", meta(pod, "namespace"), meta(pod, "name"),
					TAIL_MAX, t->container, TAIL_LINES, t->previous ? "&previous=true" : "");
	const struct value *reply, *text;
	struct err why = ERR_INIT;
	size_t len;

	if (step_read(cx, &(struct ref){ u->in, path }, &reply, &why) < 0)
		return NULL;
	text = value_get(reply, "text");
	if (text == NULL || text->kind != V_STRING)
		return NULL;
	for (len = text->len; len > 0 && text->s[len - 1] == '\n'; len--)
		;
	if (len == 0)
		return NULL;
	step_note(cx, "log of %s '%s' of pod %s: %.*s", t->init ? "init container" : "container", t->container, meta(pod, "name"),
		  (int)len, text->s);
	return text_safe(step_arena(cx), text->s + (len > TAIL_SHOWN ? len - TAIL_SHOWN : 0), len > TAIL_SHOWN ? TAIL_SHOWN : len, 0);
}

/* A Job judges by itself how often its pods may fail; it may remove them when it ends, and their logs with them. */
static void
tell_log(struct step_ctx *cx, const struct kube_until *u, const struct value *pod, const struct kube_trouble *t, struct kube_rollout *r)
{
	const char *name = meta(pod, "name"), *tail;

	if (t->container == NULL || strcmp(r->told, name) == 0)
		return;
	memcpy(r->told, name, strnlen(name, sizeof(r->told) - 1) + 1);
	tail = log_tail(cx, u, pod, t);
	if (tail != NULL)
		buf_printf(&r->why, "; its log ends: %s", tail);
}

static int
judge(struct step_ctx *cx, const struct kube_until *u, const struct value *object, const struct value *pod,
      struct kube_rollout *r, struct err *err)
{
	const bool job = strcmp(value_get_str(object, "kind", ""), "Job") == 0;
	const char *name = meta(pod, "name");
	struct buf why = BUF_INIT(WHY_MAX);
	struct kube_trouble t = { .verdict = KUBE_MET };
	bool newest = false;
	int rc = 0;

	if (job || kube_object_get(pod, "metadata", "deletionTimestamp") == NULL)
		t = kube_goal_pod(pod, u->restarts, &why);
	if (t.verdict == KUBE_FAILED && !job)
		rc = is_newest(cx, u, object, pod, &newest, err);
	if (job && t.verdict == KUBE_FAILED && strcmp(r->told, name) == 0) {
		; /* all of it is in why already */
	} else if (rc == 0 && t.verdict != KUBE_MET) {
		buf_clear(&r->why);
		buf_printf(&r->why, "pod %.253s: %s", name, why.len > 0 ? why.p : "?");
		memcpy(r->pod, name, strnlen(name, sizeof(r->pod) - 1) + 1);
		if (job && t.verdict == KUBE_FAILED)
			tell_log(cx, u, pod, &t, r);
	} else if (strcmp(r->pod, name) == 0 && !job) {
		buf_clear(&r->why);
	}
	if (rc == 0 && newest) {
		const char *tail = t.container != NULL ? log_tail(cx, u, pod, &t) : NULL;

		rc = err_set(err, ERR_FAILED, "%s: %s%s%s", u->what, r->why.p, tail != NULL ? "; its log ends: " : "",
			     tail != NULL ? tail : "");
	}
	buf_done(&why);
	return rc;
}

/* Begin to watch the pods; a Pod is looked at itself, and what has no pods of its own is left alone. */
static int
begin(struct step_ctx *cx, const struct kube_until *u, const struct value *object, struct kube_rollout **ret, struct err *err)
{
	const char *kind = value_get_str(object, "kind", ""), *pods = NULL, *selector;
	struct kube_rollout *r;
	struct watch *w = NULL;

	if (strcmp(kind, "Pod") != 0) {
		selector = kube_object_selector(step_arena(cx), object);
		if (selector == NULL)
			return 0;
		pods = kube_paths_list(step_arena(cx), "Pod", meta(object, "namespace"), selector, NULL);
		if (step_watch(cx, &(struct query){ .target = u->in, .from = { pods, strlen(pods) } }, &w, err) < 0)
			return -1;
	}
	r = xcalloc(1, sizeof(*r));
	r->watch = w;
	*ret = r;
	return 0;
}

static int
take(struct step_ctx *cx, const struct kube_until *u, const struct value *object, const struct changes *changes,
     struct kube_rollout *r, struct err *err)
{
	struct arena scratch = ARENA_INIT;
	struct value pod;
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < changes->n; i++) {
		const struct item *item = &changes->list[i].item;

		if (changes->list[i].deleted)
			continue;
		arena_reset(&scratch);
		rc = value_parse_json(&scratch, item->value.p, item->value.len, &pod, err);
		if (rc == 0)
			rc = judge(cx, u, object, &pod, r, err);
	}
	arena_done(&scratch);
	return rc;
}

/* Does the object say which template is its newest? Until its controller has seen what was written, it tells of the one before. */
static bool
is_current(const struct kube_until *u, const struct value *object)
{
	struct buf why = BUF_INIT(WHY_MAX);
	const bool seen = kube_goal_observed(object, u->generation, &why);

	buf_done(&why);
	return seen && (kube_object_get(object, "status", "observedGeneration") != NULL ||
			strcmp(value_get_str(object, "kind", ""), "Pod") == 0 || strcmp(value_get_str(object, "kind", ""), "Job") == 0);
}

int
kube_rollout_look(struct step_ctx *cx, const struct kube_until *u, const struct value *object, struct kube_rollout **rollout,
		  struct err *err)
{
	struct changes changes;

	if (!is_current(u, object))
		return 0;
	if (*rollout == NULL && begin(cx, u, object, rollout, err) < 0)
		return -1;
	if (*rollout == NULL)
		return 0;
	if ((*rollout)->watch == NULL)
		return judge(cx, u, object, object, *rollout, err);
	if (step_watch_next((*rollout)->watch, 0, &changes, err) < 0)
		return -1;
	return take(cx, u, object, &changes, *rollout, err);
}

const char *
kube_rollout_why(const struct kube_rollout *rollout)
{
	return rollout != NULL && rollout->why.len > 0 ? rollout->why.p : NULL;
}

void
kube_rollout_close(struct kube_rollout *rollout)
{
	if (rollout == NULL)
		return;
	step_watch_close(rollout->watch);
	buf_done(&rollout->why);
	free(rollout);
}

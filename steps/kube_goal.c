/* SPDX-License-Identifier: Apache-2.0 */
/* Judgements of objects that somebody waits for. A status counts only when it is about what was written last: its
 * controller says which generation it has seen. */
#include "steps/kube_goal.h"

#include <inttypes.h>
#include <string.h>

#include "base/arena.h"
#include "base/text.h"
#include "steps/kube_object.h"

#define SHOWN 200 /* of a message of the server's */

static int64_t
number(const struct value *object, const char *member, const char *inner, int64_t dflt)
{
	const struct value *v = kube_object_get(object, member, inner);

	return v != NULL && v->kind == V_INT ? v->i : dflt;
}

static const struct value *
condition_of(const struct value *object, const char *type)
{
	const struct value *list = kube_object_get(object, "status", "conditions");

	for (uint32_t i = 0; list != NULL && list->kind == V_LIST && i < list->len; i++)
		if (strcmp(value_get_str(&list->items[i], "type", ""), type) == 0)
			return &list->items[i];
	return NULL;
}

/* " (reason: message)", as far as there is one. */
static void
put_reason(struct buf *why, const struct value *v)
{
	const char *reason = value_get_str(v, "reason", ""), *message = value_get_str(v, "message", "");
	struct arena scratch = ARENA_INIT;

	if (reason[0] != '\0' || message[0] != '\0')
		buf_printf(why, " (%s%s%s)", text_safe(&scratch, reason, strlen(reason), SHOWN), reason[0] != '\0' && message[0] != '\0' ? ": " : "",
			   text_safe(&scratch, message, strlen(message), SHOWN));
	arena_done(&scratch);
}

bool
kube_goal_parse(const char *text, char ret_type[256], char ret_status[16])
{
	const char *equal = strchr(text, '=');
	const size_t len = equal != NULL ? (size_t)(equal - text) : strlen(text);

	if (len == 0 || len > 255 || strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_./") < len)
		return false;
	memcpy(ret_type, text, len);
	ret_type[len] = '\0';
	if (equal != NULL && strcmp(equal + 1, "True") != 0 && strcmp(equal + 1, "False") != 0 && strcmp(equal + 1, "Unknown") != 0)
		return false;
	strncpy(ret_status, equal != NULL ? equal + 1 : "True", 15);
	ret_status[15] = '\0';
	return true;
}

bool
kube_goal_observed(const struct value *object, int64_t generation, struct buf *why)
{
	const int64_t now = number(object, "metadata", "generation", 0);
	const int64_t seen = number(object, "status", "observedGeneration", now);

	if (now < generation)
		buf_printf(why, "shows generation %" PRIi64 ", and %" PRIi64 " was written", now, generation);
	else if (seen < now)
		buf_printf(why, "its controller has seen generation %" PRIi64 " of %" PRIi64, seen, now);
	return now >= generation && seen >= now;
}

enum kube_verdict
kube_goal_condition(const struct value *object, const char *type, const char *status, int64_t generation, struct buf *why)
{
	const struct value *c = condition_of(object, type);

	if (!kube_goal_observed(object, generation, why))
		return KUBE_NOT_YET;
	if (c == NULL) {
		buf_printf(why, "has no condition %s", type);
		return KUBE_NOT_YET;
	}
	if (value_get_int(c, "observedGeneration", INT64_MAX) < number(object, "metadata", "generation", 0)) {
		buf_printf(why, "%s was said of generation %" PRIi64, type, value_get_int(c, "observedGeneration", 0));
		return KUBE_NOT_YET;
	}
	if (strcmp(value_get_str(c, "status", ""), status) == 0)
		return KUBE_MET;
	buf_printf(why, "%s is %.20s", type, value_get_str(c, "status", "?"));
	put_reason(why, c);
	return KUBE_NOT_YET;
}

/* A count of the status that has to be as wanted. */
static bool
reached(const struct value *object, const char *member, int64_t wanted, const char *what, struct buf *why)
{
	const int64_t n = number(object, "status", member, 0);

	if (n < wanted)
		buf_printf(why, "%" PRIi64 " of %" PRIi64 " %s", n, wanted, what);
	return n >= wanted;
}

static enum kube_verdict
deployment(const struct value *object, struct buf *why)
{
	const struct value *progress = condition_of(object, "Progressing");
	const int64_t wanted = number(object, "spec", "replicas", 1), updated = number(object, "status", "updatedReplicas", 0);
	const int64_t all = number(object, "status", "replicas", 0);

	if (progress != NULL && strcmp(value_get_str(progress, "reason", ""), "ProgressDeadlineExceeded") == 0) {
		buf_printf(why, "makes no progress");
		put_reason(why, progress);
		return KUBE_FAILED;
	}
	if (!reached(object, "updatedReplicas", wanted, "replicas are of the newest template", why))
		return KUBE_NOT_YET;
	if (all > updated) {
		buf_printf(why, "%" PRIi64 " old replicas are still there", all - updated);
		return KUBE_NOT_YET;
	}
	return reached(object, "availableReplicas", updated, "replicas are available", why) ? KUBE_MET : KUBE_NOT_YET;
}

static enum kube_verdict
stateful_set(const struct value *object, struct buf *why)
{
	const struct value *strategy = kube_object_get(object, "spec", "updateStrategy");
	const int64_t wanted = number(object, "spec", "replicas", 1);
	const int64_t partition = strategy != NULL ? number(strategy, "rollingUpdate", "partition", 0) : 0;
	const struct value *status = value_get(object, "status");
	const char *newest = value_get_str(status, "updateRevision", "");

	if (!reached(object, "readyReplicas", wanted, "replicas are ready", why))
		return KUBE_NOT_YET;
	if (strategy != NULL && strcmp(value_get_str(strategy, "type", ""), "OnDelete") == 0)
		return KUBE_MET; /* whoever deletes the pods decides when they are new */
	if (partition > 0)
		return reached(object, "updatedReplicas", wanted - partition, "replicas are of the newest template", why) ? KUBE_MET
															  : KUBE_NOT_YET;
	if (strcmp(value_get_str(status, "currentRevision", ""), newest) == 0)
		return KUBE_MET;
	if (reached(object, "updatedReplicas", wanted, "replicas are of the newest template", why))
		buf_puts(why, "its newest template is not its current one yet");
	return KUBE_NOT_YET;
}

static enum kube_verdict
daemon_set(const struct value *object, struct buf *why)
{
	const int64_t wanted = number(object, "status", "desiredNumberScheduled", 0);

	if (kube_object_get(object, "status", "observedGeneration") == NULL) {
		buf_puts(why, "its controller has not seen it");
		return KUBE_NOT_YET;
	}
	if (!reached(object, "updatedNumberScheduled", wanted, "pods are of the newest template", why))
		return KUBE_NOT_YET;
	return reached(object, "numberAvailable", wanted, "pods are available", why) ? KUBE_MET : KUBE_NOT_YET;
}

static enum kube_verdict
job(const struct value *object, struct buf *why)
{
	const struct value *failed = condition_of(object, "Failed");

	if (failed != NULL && strcmp(value_get_str(failed, "status", ""), "True") == 0) {
		buf_puts(why, "has failed");
		put_reason(why, failed);
		return KUBE_FAILED;
	}
	return kube_goal_condition(object, "Complete", "True", 0, why);
}

static enum kube_verdict
pod_ready(const struct value *object, struct buf *why)
{
	const char *phase = value_get_str(value_get(object, "status"), "phase", "");

	if (strcmp(phase, "Succeeded") == 0)
		return KUBE_MET;
	if (strcmp(phase, "Failed") == 0) {
		buf_puts(why, "has failed");
		put_reason(why, value_get(object, "status"));
		return KUBE_FAILED;
	}
	return kube_goal_condition(object, "Ready", "True", 0, why);
}

enum kube_verdict
kube_goal_rollout(const struct value *object, int64_t generation, struct buf *why)
{
	static const struct {
		const char *kind;
		bool workload; /* its status is empty until its controller has seen it */
		enum kube_verdict (*judge)(const struct value *object, struct buf *why);
	} kinds[] = {
		{ "Deployment", true, deployment }, { "StatefulSet", true, stateful_set }, { "DaemonSet", true, daemon_set },
		{ "Job", false, job }, { "Pod", false, pod_ready },
	};
	const char *kind = value_get_str(object, "kind", "");

	if (!kube_goal_observed(object, generation, why))
		return KUBE_NOT_YET;
	for (size_t i = 0; i < countof(kinds); i++)
		if (strcmp(kinds[i].kind, kind) == 0) {
			if (!kinds[i].workload || kube_object_get(object, "status", "observedGeneration") != NULL)
				return kinds[i].judge(object, why);
			buf_puts(why, "its controller has not seen it");
			return KUBE_NOT_YET;
		}
	buf_printf(why, "has no rollout: Deployment, StatefulSet, DaemonSet, Job and Pod have one, and %.100s has not", kind);
	return KUBE_FAILED;
}

void
kube_goal_lingers(const struct value *object, struct buf *why)
{
	static const char *const leftovers[] = { "NamespaceContentRemaining", "NamespaceFinalizersRemaining",
		"NamespaceDeletionDiscoveryFailure" };
	const struct value *list = kube_object_get(object, "metadata", "finalizers"), *c;
	struct arena scratch = ARENA_INIT;

	buf_puts(why, kube_object_get(object, "metadata", "deletionTimestamp") != NULL ? "is being deleted" : "nobody deletes it");
	for (uint32_t i = 0; list != NULL && list->kind == V_LIST && i < list->len; i++)
		if (list->items[i].kind == V_STRING)
			buf_printf(why, "%s%s", i == 0 ? ", and waits for " : ", ", text_safe(&scratch, list->items[i].s, list->items[i].len, SHOWN));
	for (size_t i = 0; i < countof(leftovers); i++) {
		c = condition_of(object, leftovers[i]);
		if (c != NULL && strcmp(value_get_str(c, "status", ""), "True") == 0)
			put_reason(why, c);
	}
	arena_done(&scratch);
}

bool
kube_goal_ended(const struct value *pod)
{
	const char *phase = value_get_str(value_get(pod, "status"), "phase", "");

	return strcmp(phase, "Succeeded") == 0 || strcmp(phase, "Failed") == 0;
}

/* A container that is not what its pod waits for: a reason that more waiting does not change, or one that it may. */
static enum kube_verdict
judge_container(const struct value *c, int64_t restarts, bool *ret_previous, struct buf *why)
{
	static const char *const hopeless[] = { "InvalidImageName", "ErrImageNeverPull" };
	const struct value *waiting = kube_object_get(c, "state", "waiting"), *ended = kube_object_get(c, "state", "terminated");
	const char *reason = waiting != NULL ? value_get_str(waiting, "reason", "") : "";
	const int64_t times = value_get_int(c, "restartCount", 0);
	const struct value *last = ended != NULL ? ended : kube_object_get(c, "lastState", "terminated");
	const bool broke = last != NULL && value_get_int(last, "exitCode", 0) != 0;

	*ret_previous = ended == NULL && last != NULL;
	for (size_t i = 0; i < countof(hopeless); i++)
		if (strcmp(reason, hopeless[i]) == 0) {
			buf_printf(why, "cannot start");
			put_reason(why, waiting);
			return KUBE_FAILED;
		}
	if (broke && (ended != NULL || strcmp(reason, "CrashLoopBackOff") == 0)) {
		buf_printf(why, "ended with exit code %" PRIi64 ", %" PRIi64 " times", value_get_int(last, "exitCode", 0), times + (ended != NULL));
		return times + (ended != NULL) >= restarts ? KUBE_FAILED : KUBE_NOT_YET;
	}
	if (reason[0] == '\0' || strcmp(reason, "PodInitializing") == 0 || strcmp(reason, "ContainerCreating") == 0)
		return KUBE_MET;
	buf_printf(why, "waits");
	put_reason(why, waiting);
	return KUBE_NOT_YET;
}

struct kube_trouble
kube_goal_pod(const struct value *pod, int64_t restarts, struct buf *why)
{
	static const char *const lists[] = { "initContainerStatuses", "containerStatuses" };
	struct kube_trouble worst = { .verdict = KUBE_MET };
	const struct value *scheduled = condition_of(pod, "PodScheduled");
	struct buf text = BUF_INIT(1024);

	for (size_t k = 0; worst.verdict != KUBE_FAILED && k < countof(lists); k++) {
		const struct value *list = kube_object_get(pod, "status", lists[k]);

		for (uint32_t i = 0; list != NULL && list->kind == V_LIST && i < list->len && worst.verdict != KUBE_FAILED; i++) {
			struct kube_trouble t = { .container = value_get_str(&list->items[i], "name", "?"), .init = k == 0 };

			buf_clear(&text);
			t.verdict = judge_container(&list->items[i], restarts, &t.previous, &text);
			if (t.verdict == KUBE_MET || (t.verdict == KUBE_NOT_YET && worst.verdict == KUBE_NOT_YET))
				continue;
			worst = t;
			buf_clear(why);
			buf_printf(why, "%s '%.63s' %s", k == 0 ? "init container" : "container", t.container, text.p);
		}
	}
	if (worst.verdict == KUBE_MET && scheduled != NULL && strcmp(value_get_str(scheduled, "status", ""), "False") == 0) {
		buf_puts(why, "is on no node");
		put_reason(why, scheduled);
		worst.verdict = KUBE_NOT_YET;
	}
	buf_done(&text);
	return worst;
}

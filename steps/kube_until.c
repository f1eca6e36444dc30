/* SPDX-License-Identifier: Apache-2.0 */
/* One watch, and a table of what each object is at present: a change costs a look at one object. What is seen lives in
 * scratch memory; only the one object that is waited for alone is kept. */
#include "steps/kube_until.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/map.h"
#include "base/text.h"
#include "steps/kube_goal.h"
#include "steps/kube_object.h"
#include "steps/kube_rollout.h"

#define SLICE NS_PER_S             /* of a wait with two watches */
#define AGAIN (2 * NS_PER_S)       /* before a watch that broke is opened anew */
#define EXPLAIN_TRIES 10           /* of a tenth of a second: the watch of the pods may only just have begun */
#define WHY_MAX 300
#define SHOWN 3                    /* objects named in a message */

struct seen {
	const char *name;
	bool there, met;
	char *why;
};

struct crowd {
	const struct kube_until *u;
	struct arena names, scratch, last;
	struct map index;
	struct seen *list;
	size_t n, cap, there, met;
	struct value object;           /* in last */
	bool synced;                   /* all that is there has been seen */
	int64_t since;                 /* it holds since then; 0: it does not */
	struct kube_rollout *rollout;
};

static struct seen *
add(struct crowd *c, const char *name)
{
	if (c->n == c->cap) {
		c->cap = c->cap ? c->cap * 2 : 16;
		c->list = xreallocarray(c->list, c->cap, sizeof(*c->list));
	}
	c->list[c->n] = (struct seen){ .name = arena_strdup(&c->names, name) };
	(void)map_add(&c->index, c->list[c->n].name, strlen(name), (uint32_t)c->n);
	return &c->list[c->n++];
}

static void
forget(struct crowd *c)
{
	for (size_t i = 0; i < c->n; i++)
		free(c->list[i].why);
	map_done(&c->index);
	arena_reset(&c->names);
	c->index = MAP_INIT;
	c->n = c->there = c->met = 0;
	c->object = VALUE_NULL;
	c->synced = false;
	for (uint32_t i = 0; c->u->names != NULL && i < c->u->names->len; i++)
		if (map_get(&c->index, c->u->names->items[i].s, c->u->names->items[i].len) == MAP_NONE)
			(void)add(c, c->u->names->items[i].s);
}

static void
crowd_done(struct crowd *c)
{
	for (size_t i = 0; i < c->n; i++)
		free(c->list[i].why);
	map_done(&c->index);
	free(c->list);
	kube_rollout_close(c->rollout);
	arena_done(&c->names);
	arena_done(&c->scratch);
	arena_done(&c->last);
}

/* The place of the object with this key; NULL for one that is not waited for. */
static struct seen *
find(struct crowd *c, struct bytes key)
{
	const char *text = arena_strndup(&c->scratch, key.p, key.len), *name = strchr(text, '/');
	uint32_t at;

	name = name != NULL ? name + 1 : text;
	if (c->u->names != NULL && strchr(name, '/') != NULL)
		name = strchr(name, '/') + 1;
	at = map_get(&c->index, name, strlen(name));
	return at != MAP_NONE ? &c->list[at] : c->u->names != NULL ? NULL : add(c, name);
}

static enum kube_verdict
judge(struct step_ctx *cx, const struct kube_until *u, const struct value *object, struct buf *why, struct err *err)
{
	enum kube_verdict verdict = KUBE_MET;
	char type[256], status[16];
	struct value holds;

	if (u->count == 0)
		kube_goal_lingers(object, why);
	else if (u->rollout)
		verdict = kube_goal_rollout(object, u->generation, why);
	else if (u->condition != NULL && kube_goal_parse(u->condition, type, status))
		verdict = kube_goal_condition(object, type, status, u->generation, why);
	else if (u->generation > 0 && !kube_goal_observed(object, u->generation, why))
		verdict = KUBE_NOT_YET;
	if (verdict != KUBE_MET || u->until == NULL)
		return verdict;
	if (step_expr(cx, u->until, object, &holds, err) < 0)
		return KUBE_FAILED;
	if (holds.kind != V_UNKNOWN && value_true(&holds))
		return KUBE_MET;
	buf_puts(why, "until does not hold");
	return KUBE_NOT_YET;
}

static bool
counts(const struct kube_until *u, const struct value *object)
{
	const struct value *uid = kube_object_get(object, "metadata", "uid");

	if (u->running && kube_goal_ended(object))
		return false;
	if (u->going && kube_object_get(object, "metadata", "deletionTimestamp") == NULL)
		return false;
	return u->uid == NULL || (uid != NULL && uid->kind == V_STRING && strcmp(uid->s, u->uid) == 0);
}

/* Put what is there now, or NULL, in the place of what was. */
static int
look(struct step_ctx *cx, struct crowd *c, struct seen *s, const struct value *object, struct err *err)
{
	const struct kube_until *u = c->u;
	struct buf why = BUF_INIT(WHY_MAX);
	enum kube_verdict verdict = KUBE_NOT_YET;

	c->there -= s->there;
	c->met -= s->met;
	s->there = object != NULL && counts(u, object);
	if (s->there)
		verdict = judge(cx, u, object, &why, err);
	s->met = verdict == KUBE_MET;
	c->there += s->there;
	c->met += s->met;
	free(s->why);
	s->why = why.len > 0 ? buf_take(&why) : NULL;
	buf_done(&why);
	if (verdict != KUBE_FAILED)
		return 0;
	if (err->kind != ERR_NONE)
		return -1;
	return err_set(err, ERR_FAILED, "%s%s%s %s", u->what, u->alone ? "" : ": ", u->alone ? "" : s->name,
		       s->why != NULL ? s->why : "has failed");
}

static int
take(struct step_ctx *cx, struct crowd *c, const struct change *change, struct err *err)
{
	struct seen *s = find(c, change->item.key);
	struct value object;

	if (s == NULL)
		return 0;
	if (change->deleted) {
		c->object = VALUE_NULL;
		return look(cx, c, s, NULL, err);
	}
	if (value_parse_json(&c->scratch, change->item.value.p, change->item.value.len, &object, err) < 0)
		return err_wrap(err, "%s", s->name);
	object = kube_object_shown(&c->scratch, &object);
	if (c->u->alone) {
		arena_reset(&c->last);
		c->object = value_copy(&c->last, &object);
	}
	return look(cx, c, s, &object, err);
}

static bool
holds(const struct crowd *c)
{
	const size_t wanted = c->u->count >= 0 ? (size_t)c->u->count : c->u->names != NULL ? c->n : c->there;

	return c->synced && c->there == wanted && c->met == c->there && (c->u->count >= 0 || wanted > 0);
}

/* How it stands, and which objects are not as wanted. */
static const char *
missing(struct step_ctx *cx, const struct crowd *c)
{
	const struct kube_until *u = c->u;
	const bool surplus = u->count >= 0 && c->met == c->there; /* it is only their number */
	struct buf text = BUF_INIT((SHOWN + 1) * WHY_MAX);
	size_t shown = 0, left = 0;
	const char *ret;

	if (!c->synced)
		buf_puts(&text, "not all is seen yet");
	else if (u->count == 0)
		buf_puts(&text, u->alone ? "" : arena_printf(step_arena(cx), "%zu are there", c->there));
	else if (u->count > 0)
		buf_printf(&text, "%zu of %" PRIi64 " are there", c->there, u->count);
	else if (c->there == 0)
		buf_puts(&text, "not there");
	else if (!u->alone)
		buf_printf(&text, "%zu of %zu are so", c->met, u->names != NULL ? c->n : c->there);
	for (size_t i = 0; i < c->n; i++) {
		const struct seen *s = &c->list[i];

		if (surplus || (!s->there && u->names == NULL) ? !surplus || !s->there : s->met)
			continue;
		if (shown++ >= SHOWN) {
			left++;
			continue;
		}
		buf_puts(&text, text.len > 0 ? "; " : "");
		buf_printf(&text, "%s%s%s", u->alone ? "" : s->name, !u->alone && s->why != NULL ? ": " : "", s->why != NULL ? s->why : "");
	}
	if (left > 0)
		buf_printf(&text, "; and %zu more", left);
	if (kube_rollout_why(c->rollout) != NULL)
		buf_printf(&text, "; %s", kube_rollout_why(c->rollout));
	ret = step_text(cx, "%s", text.len > 0 ? text.p : "");
	buf_done(&text);
	return ret;
}

/* One turn of the watch. */
static int
turn(struct step_ctx *cx, struct crowd *c, struct watch *w, int64_t wait, struct err *err)
{
	struct changes changes;

	if (step_watch_next(w, wait, &changes, err) < 0)
		return -1;
	if (changes.compacted) {
		forget(c);
		return 0;
	}
	for (size_t i = 0; i < changes.n; i++) {
		arena_reset(&c->scratch);
		if (take(cx, c, &changes.list[i], err) < 0)
			return -1;
	}
	c->synced = c->synced || changes.revision > 0;
	step_progress(cx, c->met, c->u->count >= 0 ? 0 : c->there, "objects");
	if (!c->u->rollout || !c->u->alone || c->object.kind != V_MAP)
		return 0;
	return kube_rollout_look(cx, c->u, &c->object, &c->rollout, err);
}

/* A Job has failed: its pods know why, as far as they have been seen. */
static void
explain(struct step_ctx *cx, struct crowd *c, struct err *err)
{
	struct err ignored = ERR_INIT;
	const char *why = NULL;

	if (!c->u->rollout || !c->u->alone || strcmp(value_get_str(&c->object, "kind", ""), "Job") != 0)
		return;
	for (int i = 0; why == NULL && i < EXPLAIN_TRIES; i++) {
		if (kube_rollout_look(cx, c->u, &c->object, &c->rollout, &ignored) < 0 || step_sleep(cx, NS_PER_S / 10, &ignored) < 0)
			break;
		why = kube_rollout_why(c->rollout);
	}
	if (why != NULL)
		(void)err_set(err, ERR_FAILED, "%s; %s", step_text(cx, "%s", err->msg), why);
}

/* Until it holds, and has held for as long as it has to. 1: it does; 0: it does not, and a dry-run looks only once. */
static int
watch(struct step_ctx *cx, struct crowd *c, struct watch *w, struct err *err)
{
	const int64_t settled = c->u->settled;
	int64_t now, wait = SLICE;

	for (;;) {
		if (turn(cx, c, w, wait, err) < 0)
			return -1;
		now = clock_now();
		if (!holds(c))
			c->since = 0;
		else if (c->since == 0)
			c->since = now;
		if (c->since != 0 && now - c->since >= settled)
			return 1;
		if (c->synced && step_is_plan(cx))
			return 0;
		wait = c->since != 0 && settled - (now - c->since) < SLICE ? settled - (now - c->since) : SLICE;
	}
}

/* Watches end when their server does: then everything is looked at anew. */
static int
watch_again(struct step_ctx *cx, struct crowd *c, struct err *err)
{
	const char *path = c->u->path;
	const struct query q = { .target = c->u->in, .from = { path, strlen(path) } };
	struct watch *w;
	int rc;

	for (;;) {
		forget(c);
		kube_rollout_close(c->rollout);
		c->rollout = NULL;
		if (step_watch(cx, &q, &w, err) < 0)
			return -1;
		rc = watch(cx, c, w, err);
		step_watch_close(w);
		if (rc < 0 && err->kind == ERR_FAILED)
			explain(cx, c, err);
		if (rc >= 0 || err->kind != ERR_UNREACHABLE || !err->retryable)
			return rc;
		*err = ERR_INIT;
		if (step_sleep(cx, AGAIN, err) < 0)
			return -1;
	}
}

int
kube_until(struct step_ctx *cx, const struct kube_until *u, struct kube_found *ret, struct err *err)
{
	struct crowd c = { .u = u };
	int rc;

	*err = ERR_INIT; /* what an effect before left there does not count */
	rc = watch_again(cx, &c, err);
	if (rc < 0 && err->kind == ERR_TIMEOUT)
		err_wrap(err, "%s: not yet so: %s", u->what, missing(cx, &c));
	if (rc == 0 || (rc < 0 && err->kind == ERR_PREDICTED)) {
		step_assume(cx, "%s will be %s%s%s", u->what, u->count == 0 ? "gone" : "so", rc == 0 ? "; now: " : "",
			    rc == 0 ? missing(cx, &c) : "");
		*ret = (struct kube_found){ value_unknown("the end of a wait"), value_unknown("the end of a wait") };
		*err = ERR_INIT;
		rc = 1;
	} else if (rc > 0) {
		*ret = (struct kube_found){ value_copy(step_arena(cx), &c.object), value_int((int64_t)c.there) };
	}
	crowd_done(&c);
	return rc < 0 ? -1 : 0;
}

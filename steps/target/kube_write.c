/* SPDX-License-Identifier: Apache-2.0 */
/* Owns what is done to objects and how the answers are taken. An object is one by its uid: what is deleted, and what an undo
 * patches, is that one or none. What must not be sent twice is signed with its nonce as field manager, so that a lost reply
 * can be settled without a trace in the object itself. */
#include "steps/target/kube_write.h"

#include <string.h>

#include "base/clock.h"
#include "base/fault.h"
#include "base/text.h"
#include "steps/target/kube.h"
#include "steps/target/kube_fields.h"
#include "steps/target/kube_hide.h"
#include "steps/target/kube_patch.h"
#include "steps/target/kube_request.h"

#define LOOK_AGAIN (NS_PER_S / 2)

/* One request. The object that the server answers with, or null, in ret. */
static int
request(struct opctx *op, struct kube_conn *c, const struct effect *e, const struct kube_path *p, const struct kube_manner *how,
     struct kube_reply *about, struct value *ret, struct err *err)
{
	struct kube_request r;
	int rc;

	*about = (struct kube_reply){ .body = BUF_INIT(0) };
	*ret = VALUE_NULL;
	rc = kube_request(op, e, p, how, &r, err);
	if (rc == 0 && (rc = kube_ask(op, c, &r.ask, about, err)) < 0 && strstr(err->msg, " large") != NULL)
		(void)err_wrap(err, "%s, %zu bytes", e->on.path, r.ask.body.len);
	kube_request_done(&r);
	if (rc == 0 && value_parse_json(op->arena, about->body.p, about->body.len, ret, err) < 0) {
		err->kind = ERR_UNKNOWN;
		rc = err_wrap(err, "%s: the server's answer cannot be read", e->on.path);
	}
	if (rc < 0)
		kube_mask(e, err); /* servers quote what they refuse */
	kube_reply_done(about);
	return rc;
}

static bool
reason_is(const struct kube_reply *about, const char *reason)
{
	return strcmp(value_get_str(&about->about, "reason", ""), reason) == 0;
}

/* ---- apply ---- */

/* Is the refusal about fields of ours only? What was applied, created and put back by wherry has managers that begin so. */
static bool
conflicts_with_ourselves(const struct kube_reply *about)
{
	static const char ours[] = "conflict with \"" KUBE_MANAGER;
	const struct value *causes = value_get(value_get(&about->about, "details"), "causes");
	bool any = false;

	for (uint32_t i = 0; causes != NULL && causes->kind == V_LIST && i < causes->len; i++) {
		const char *message = value_get_str(&causes->items[i], "message", "");

		if (strcmp(value_get_str(&causes->items[i], "reason", ""), "FieldManagerConflict") != 0)
			continue;
		if (strncmp(message, ours, sizeof(ours) - 1) != 0 || strchr("/\"", message[sizeof(ours) - 1]) == NULL)
			return false;
		any = true;
	}
	return any;
}

static bool
is_forced(const struct effect *e)
{
	const struct value *force = value_get(&e->body, "force");

	return force != NULL && value_true(force);
}

/* Fields of ours are taken over, and nobody else's that came between: the version that was looked at must still hold. */
static int
apply(struct opctx *op, struct kube_conn *c, const struct effect *e, const struct kube_path *p, bool dry, struct kube_reply *about,
      struct value *ret, struct err *err)
{
	struct kube_manner how = { .nonce = "", .dry = dry, .force = is_forced(e) };
	struct value now;

	while (request(op, c, e, p, &how, about, ret, err) < 0) {
		if (how.force || !conflicts_with_ourselves(about)) {
			if (about->status == 409 && !how.force && value_get(value_get(&about->about, "details"), "causes") != NULL)
				return err_next(err, "leave these fields out of the object, or take them over with force: true");
			return -1;
		}
		how.force = how.version != NULL;
		if (!how.force && kube_read_plain(op, c, p, &now, err) < 0)
			return -1;
		if (!how.force)
			how.version = kube_meta_str(&now, "resourceVersion");
	}
	if (!dry && kube_is_going(ret)) {
		err_set(err, ERR_FAILED, "%s is being deleted: what is applied to it goes with it", e->on.path);
		err->retryable = true;
		return -1;
	}
	return 0;
}

/* ---- create ---- */

/* Someone has the name, or had it. An undo waits for the old object to go. 1: try again, 0: it is this effect's own object, late. */
static int
taken(struct opctx *op, struct kube_conn *c, const struct effect *e, const struct kube_path *p, const char *nonce, struct value *ret,
      struct err *err)
{
	struct err why = ERR_INIT;
	struct value now;

	err->retryable = true;
	if (kube_read_plain(op, c, p, &now, &why) < 0)
		return -1;
	if (now.kind != V_MAP) /* it has gone meanwhile */
		return peer_cancelled(op) == 0 && clock_now() < op->deadline ? 1 : -1;
	if (e->class == EFFECT_PROBE && kube_managed_by(&now, kube_manager_of(op->arena, nonce))) {
		*ret = now;
		return 0;
	}
	if (!kube_is_going(&now)) {
		err_set(err, kube_is_undo(e) ? ERR_IN_DOUBT : ERR_FAILED, "%s is there already", e->on.path);
		return kube_is_undo(e) ? -1 : err_next(err, "take it over with kubernetes.apply, or remove it first");
	}
	if (kube_is_undo(e) && peer_cancelled(op) == 0 && clock_now() < op->deadline) {
		kube_sleep(op, LOOK_AGAIN);
		return 1;
	}
	err_set(err, ERR_FAILED, "%s is still being deleted", e->on.path);
	err->retryable = true;
	return -1;
}

static int
create(struct opctx *op, struct kube_conn *c, const struct effect *e, const struct kube_path *p, const char *nonce,
       struct value *ret, struct err *err)
{
	const struct kube_manner how = { .nonce = nonce };
	struct kube_reply about;
	int rc;

	while ((rc = request(op, c, e, p, &how, &about, ret, err)) < 0) {
		if (about.status != 409 || !reason_is(&about, "AlreadyExists"))
			break;
		rc = taken(op, c, e, p, nonce, ret, err);
		if (rc < 0)
			break;
		*err = ERR_INIT;
		if (rc == 0)
			return 0;
	}
	if (rc < 0 && about.status == 403 && strstr(err->msg, "being terminated") != NULL)
		err->retryable = true; /* a namespace that goes may come again */
	return rc;
}

/* ---- delete, evict ---- */

/* What is left of it. */
static struct value
departure(struct arena *a, const struct value *object, const char *uid)
{
	const bool going = kube_is_going(object);
	const struct value *finalizers = kube_meta(object, "finalizers");
	struct pair *pairs = arena_array(a, 3, sizeof(*pairs));

	pairs[0] = (struct pair){ "uid", value_str(uid) };
	pairs[1] = (struct pair){ "gone", value_bool(!going) };
	pairs[2] = (struct pair){ "finalizers", going && finalizers != NULL ? *finalizers : value_list(NULL, 0) };
	return value_map(pairs, 3);
}

static int
take_out(struct opctx *op, struct kube_conn *c, const struct effect *e, const struct kube_path *p, struct value *ret, struct err *err)
{
	struct kube_manner how = { .nonce = "", .uid = value_get_str(&e->body, "uid", NULL) };
	struct kube_path parent = *p;
	struct kube_reply about;
	struct value now = VALUE_NULL;

	parent.sub = NULL;
	if (how.uid == NULL) { /* it is this one that goes, not one that takes its name meanwhile */
		if (kube_read_plain(op, c, &parent, &now, err) < 0)
			return -1;
		if (now.kind == V_NULL)
			return err_set(err, ERR_FAILED, "%s is not there", kube_path_text(op->arena, &parent));
		how.uid = kube_meta_str(&now, "uid");
	}
	if (request(op, c, e, p, &how, &about, &now, err) < 0) {
		if (about.status == 404 && kube_gone_is_fine(e)) {
			*ret = departure(op->arena, &now, how.uid);
			return 0;
		}
		if (about.status != 409 || !reason_is(&about, "Conflict"))
			return -1;
		return err_set(err, kube_is_undo(e) ? ERR_IN_DOUBT : ERR_FAILED, "%s is not the object with uid %s any more",
			       kube_path_text(op->arena, &parent), text_safe(op->arena, how.uid, strlen(how.uid), 64));
	}
	*ret = departure(op->arena, &now, how.uid);
	return 0;
}

/* ---- the members of struct target_type ---- */

/* Does it count how often it happens, and nothing in it see to that? */
static bool
counts(const struct effect *e)
{
	return e->class == EFFECT_PROBE && !kube_is_undo(e) && value_get(&e->body, "resource_version") == NULL;
}

/* One that counts holds the version that was looked at. So of two of its requests, of which one was given up and comes late, the
 * later one is refused; and whose change came between is seen by its manager. */
static int
patch_once(struct opctx *op, struct kube_conn *c, const struct effect *e, const struct kube_path *p, const char *nonce, struct kube_reply *about,
	   struct value *ret, struct err *err)
{
	struct kube_manner how = { .nonce = nonce };
	struct value now;

	for (;;) {
		if (kube_read_plain(op, c, p, &now, err) < 0)
			return -1;
		if (kube_managed_by(&now, kube_manager_of(op->arena, nonce))) {
			*ret = now;
			*err = ERR_INIT;
			return 0;
		}
		if (now.kind == V_MAP && how.version != NULL && strcmp(kube_meta_str(&now, "resourceVersion"), how.version) == 0)
			return -1; /* it was refused for what it is */
		how.version = now.kind == V_MAP ? kube_meta_str(&now, "resourceVersion") : NULL;
		*err = ERR_INIT;
		if (request(op, c, e, p, &how, about, ret, err) == 0)
			return 0;
		if ((about->status != 409 && about->status != 422) || how.version == NULL || peer_cancelled(op) > 0 || clock_now() >= op->deadline)
			return -1;
	}
}

static int
patch(struct opctx *op, struct kube_conn *c, const struct effect *e, const struct kube_path *p, const char *nonce, struct value *ret,
      struct err *err)
{
	const struct kube_manner how = { .nonce = nonce };
	struct kube_reply about = { 0 };

	if ((counts(e) ? patch_once(op, c, e, p, nonce, &about, ret, err) : request(op, c, e, p, &how, &about, ret, err)) == 0)
		return 0;
	/* its uid is part of the patch: another one is refused as a change of it */
	if (kube_is_undo(e) && (about.status == 404 || about.status == 409 || (about.status == 422 && strstr(err->msg, "metadata.uid") != NULL)))
		err->kind = ERR_IN_DOUBT;
	return -1;
}

int
kube_write(struct opctx *op, void *conn, const struct effect *e, const char *nonce, struct reply *ret, struct err *err)
{
	struct kube_reply about;
	struct kube_path p;
	int rc;

	if (kube_path_known(op, conn, e->on.path, &p, err) < 0) {
		err->retryable = err->kind == ERR_FAILED; /* a kind that an earlier step brought may take its time */
		return -1;
	}
	*ret = (struct reply){ .outcome = OUTCOME_OK };
	FAULT("kube.before_send");
	switch (kube_verb(e)) {
	case KUBE_APPLY:
		rc = apply(op, conn, e, &p, false, &about, &ret->value, err);
		break;
	case KUBE_CREATE:
		rc = create(op, conn, e, &p, nonce, &ret->value, err);
		break;
	case KUBE_PATCH:
		rc = patch(op, conn, e, &p, nonce, &ret->value, err);
		break;
	case KUBE_DELETE:
	case KUBE_EVICT:
		rc = take_out(op, conn, e, &p, &ret->value, err);
		break;
	default:
		return err_set(err, ERR_FAILED, "bug: '%s' is no verb for objects", e->verb);
	}
	FAULT("kube.answered");
	return rc;
}

int
kube_try(struct opctx *op, struct kube_conn *c, const struct effect *e, const struct kube_path *p, struct kube_reply *about,
	 struct value *ret, struct err *err)
{
	const struct kube_manner how = { .nonce = "", .dry = true };

	if (kube_verb(e) == KUBE_APPLY)
		return apply(op, c, e, p, true, about, ret, err);
	return request(op, c, e, p, &how, about, ret, err);
}

/* Evictions are of the pod itself. */
static int
path_of(struct opctx *op, struct kube_conn *c, const struct effect *e, struct kube_path *ret, struct err *err)
{
	if (kube_path_resolve(op, c, e->on.path, ret, err) < 0)
		return -1;
	if (kube_verb(e) == KUBE_EVICT)
		ret->sub = NULL;
	return 0;
}

int
kube_image(struct opctx *op, void *conn, const struct effect *e, struct value *ret, struct err *err)
{
	struct kube_path p;

	*ret = VALUE_NULL;
	if (kube_verb(e) == KUBE_OTHER)
		return 0;
	if (path_of(op, conn, e, &p, err) < 0)
		return -1;
	return p.k != NULL ? kube_read_plain(op, conn, &p, ret, err) : 0;
}

/* Of a patch whose manager is nowhere: nobody has touched its fields, or someone else has. */
static bool
untouched(struct arena *a, const struct effect *e, const struct value *before, const struct value *now)
{
	const struct value was = kube_stands(a, e, before, before, NULL), is = kube_stands(a, e, before, now, NULL);

	return value_eq(&was, &is);
}

static bool
is_nobodys(const struct value *object)
{
	const struct value *managers = kube_meta(object, "managedFields");

	return managers == NULL || managers->len == 0;
}

int
kube_probe(struct opctx *op, void *conn, const struct effect *e, const char *nonce, const struct value *before,
	   enum probe *ret, struct err *err)
{
	const enum kube_verb verb = kube_verb(e);
	struct value now, want;

	*ret = PROBE_CANNOT_TELL;
	if (verb == KUBE_OTHER)
		return 0;
	if (kube_image(op, conn, e, &now, err) < 0)
		return -1;
	if (verb == KUBE_DELETE || verb == KUBE_EVICT) {
		if (before->kind == V_NULL)
			*ret = PROBE_NOT_DONE;
		else if (now.kind != V_MAP || strcmp(kube_meta_str(&now, "uid"), kube_meta_str(before, "uid")) != 0)
			*ret = PROBE_DONE_BY_US; /* whoever did it: that object is gone */
		else
			*ret = kube_is_going(&now) ? PROBE_DONE_BY_US : PROBE_NOT_DONE;
	} else if (now.kind != V_MAP) {
		*ret = verb == KUBE_CREATE ? PROBE_NOT_DONE : PROBE_OTHER;
	} else if (kube_managed_by(&now, kube_manager_of(op->arena, nonce))) {
		*ret = PROBE_DONE_BY_US;
	} else if (verb == KUBE_CREATE && before->kind == V_NULL && is_nobodys(&now)) {
		want = kube_wanted(op->arena, e);
		*ret = kube_is_bare(&want) ? PROBE_DONE_BY_US : PROBE_OTHER;
	} else {
		*ret = verb == KUBE_PATCH && untouched(op->arena, e, before, &now) ? PROBE_NOT_DONE : PROBE_OTHER;
	}
	return 0;
}

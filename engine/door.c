/* SPDX-License-Identifier: Apache-2.0 */
/* The effect door: the only way from a handler to the world. It decides whether an effect is performed, predicted,
 * answered from the journal, or settled after a crash. The order below is the safety of the whole program:
 *   1. settled before: the recorded reply answers, nothing is done.
 *   2. in doubt: what outlived its wherry is waited for, then the class decides.
 *   3. pre-image; already so: unchanged, nothing is done.
 *   4. the step's guards hold, the intent is durable (the coordinator answers only after the sync), and only then the write.
 *   5. the reply is judged, recorded, and rides to disk with the step's completion.
 * In a dry-run (door_predict.c) 4 and 5 are a prediction and an entry in the overlay; all else is the same code. many.c takes
 * many effects through the same functions side by side, each with its own memo. */
#include "door.h"

#include <string.h>

#include "base/clock.h"
#include "base/fault.h"
#include "base/hash.h"
#include "base/text.h"

#define ROOM_FOR_WORDS 4096 /* of a reply, beside what the images hold */
#define GOES_MAX 3          /* at a write whose replies are lost, and that was not done each time */
#define ON_ITS_WAY (NS_PER_S / 2) /* so long, what was sent may still arrive; doubled with each go */

const char *
ref_text(struct step_ctx *cx, const struct ref *ref)
{
	return arena_printf(cx->arena, "%s %s", ref->target->name, ref->path);
}

static const char *const class_names[] = { [EFFECT_IDEMPOTENT] = "idempotent", [EFFECT_PROBE] = "probe",
	[EFFECT_OPAQUE] = "opaque" };

const char *
effect_class_name(enum effect_class class)
{
	return class_names[class];
}

enum effect_class
effect_class_parse(const char *name)
{
	for (size_t i = 0; name != NULL && i < countof(class_names); i++)
		if (strcmp(name, class_names[i]) == 0)
			return (enum effect_class)i;
	return EFFECT_OPAQUE;
}

/* Room among the private values for what the effect leaves: it shows what it replaced, or what it was to write. */
static size_t
room_for_end(const struct effect *f, const struct value *before)
{
	struct buf images = BUF_INIT(0);
	size_t len;

	if (!f->on.target->type->sensitive)
		return 0;
	value_write(&images, &f->body);
	if (before != NULL)
		value_write(&images, before);
	len = images.len + ROOM_FOR_WORDS;
	buf_done(&images);
	return len;
}

void
door_counts(struct step_ctx *cx, bool unchanged)
{
	cx->at->any_effect = true;
	if (!unchanged)
		cx->at->all_unchanged = false;
}

static struct door_letter *
intent_letter(struct step_ctx *cx, const struct intent *i, const char *class)
{
	struct door_letter *l = ctx_letter(cx, LETTER_INTENT);
	const struct effect *f = i->effect;
	const struct memo *e = i->memo;
	char digest[65];

	value_digest(&f->body, cx->at->shared->key, digest);
	l->rec = (struct record){ .type = REC_INTENT, .step = cx->at->path, .attempt = cx->at->number, .effect = e->number,
		.occ = e->occ, .verb = e->verb, .ref = e->ref, .class = class, .says = f->says,
		.digest = arena_strndup(cx->arena, digest, 32), .nonce = e->nonce, .before = i->before, .body = &f->body,
		.apart = f->on.target->type->sensitive };
	if (e->room == 0) /* of one whose end is not known yet, it is still there */
		l->rec.room = room_for_end(f, i->before);
	return l;
}

int
door_intents(struct step_ctx *cx, const struct intent *list, size_t n, const char *class, struct err *err)
{
	struct door_letter *first = NULL, **last = &first;

	if (door_guards(cx, err) < 0)
		return -1;
	for (size_t i = 0; i < n; i++) {
		*last = intent_letter(cx, &list[i], class != NULL ? class : effect_class_name(list[i].effect->class));
		last = &(*last)->with;
	}
	if (n > 0 && ctx_ask(cx, first, err) < 0)
		return -1;
	for (size_t i = 0; i < n; i++, first = first->with) {
		struct memo *e = list[i].memo;

		e->room += first->rec.room;
		e->state = EFFECT_BEGUN;
		e->lost = e->begun;
		e->begun = true;
		e->from = NULL; /* what it is about now is on record */
		door_counts(cx, false);
	}
	FAULT("effect.intent_durable");
	return 0;
}

int
door_intent(struct step_ctx *cx, struct memo *e, const struct effect *f, const char *class, const struct value *before,
	    struct err *err)
{
	return door_intents(cx, &(struct intent){ e, f, before }, 1, class, err);
}

void
door_settled(struct step_ctx *cx, const struct target *on, struct memo *e, enum effect_state state,
	     const struct value *value, const char *msg)
{
	static const char *const words[] = { [EFFECT_OK] = "ok", [EFFECT_UNCHANGED] = "unchanged",
		[EFFECT_FAILED] = "failed" };
	struct door_letter *l = ctx_letter(cx, LETTER_RECORD);
	const bool named = e->begun; /* by its intent */
	struct value *kept = NULL;

	e->from = NULL;
	e->state = state;
	e->begun = state == EFFECT_UNKNOWN || (state == EFFECT_FAILED && e->lost);
	e->value = VALUE_NULL;
	if (value != NULL) {
		e->value = e->light ? *value : value_copy(&cx->at->memory->arena, value);
		kept = arena_alloc(cx->arena, sizeof(*kept)); /* the letter is read after the caller has gone on */
		*kept = e->value;
	}
	l->rec = (struct record){ .type = state == EFFECT_UNKNOWN ? REC_UNKNOWN : REC_SETTLED, .step = cx->at->path,
		.effect = e->number, .verb = named ? NULL : e->verb, .ref = named ? NULL : e->ref, .occ = named ? 0 : e->occ,
		.status = state == EFFECT_UNKNOWN ? NULL : words[state], .value = kept, .apart = on->type->sensitive,
		.room = state == EFFECT_UNKNOWN ? 0 : e->room,
		.msg = msg != NULL && msg[0] != '\0' ? arena_strdup(cx->arena, msg) : NULL };
	if (state != EFFECT_UNKNOWN)
		e->room = 0;
	ctx_post(cx, l, false);
	FAULT("effect.settled");
}

struct door_letter *
door_claim(struct step_ctx *cx, const struct target *on, const char *marker_prefix, const char *name, const char *status)
{
	struct door_letter *l = ctx_letter(cx, LETTER_CLAIM);

	l->rec = (struct record){ .type = REC_CLAIM, .step = cx->at->path, .target = on->name, .status = status,
		.kind = arena_printf(cx->arena, "%s %s", marker_prefix, name) };
	return l;
}

/* A claim that the run releases may be taken again. Before the effect's own end, which so never stands without it. */
static void
end_claims(struct step_ctx *cx, const struct memo *e, const struct effect *f)
{
	const struct target_type *type = f->on.target->type;
	struct door_letter *l;

	if (type->ends_claims == NULL || !type->ends_claims(f))
		return;
	l = door_claim(cx, f->on.target, value_get_str(&f->body, "marker_prefix", ""), value_get_str(&f->body, "name", ""),
		       "released");
	l->rec.effect = e->number;
	ctx_post(cx, l, false);
}

int
door_in_doubt(struct step_ctx *cx, const struct memo *e, const char *why, struct err *err)
{
	err_set(err, ERR_IN_DOUBT, "in doubt: '%s %s' %s", e->verb, e->ref, why);
	return next_resolve(err, cx->at->shared->run, cx->at->path);
}

int
door_see(struct step_ctx *cx, const struct effect *f, struct value *ret, struct err *err)
{
	const struct target_type *type = f->on.target->type;
	unsigned tries = 0;
	int rc;

	*ret = VALUE_NULL;
	do
		rc = type->image != NULL ? type->image(&cx->op, f->on.target->conn, f, ret, err)
		     : type->read != NULL ? type->read(&cx->op, f->on.target->conn, f->on.path, ret, err)
					  : 0;
	while (rc < 0 && ctx_wait_away(cx, f->on.target, &tries, err));
	return rc;
}

int
door_before(struct step_ctx *cx, const struct effect *f, struct value *ret, struct err *err)
{
	const struct target_type *type = f->on.target->type;

	if (cx->at->shared->mode != MODE_RUN || type->fresh == NULL || !type->fresh(f))
		return door_see(cx, f, ret, err);
	*ret = VALUE_NULL;
	return 0;
}

static int
settle_done_by_us(struct step_ctx *cx, struct memo *e, const struct effect *f, struct value *ret, struct err *err)
{
	if (door_see(cx, f, ret, err) < 0)
		return -1;
	door_counts(cx, false);
	door_settled(cx, f->on.target, e, EFFECT_OK, ret, "found done after an interruption");
	return 0;
}

int
door_settle(struct step_ctx *cx, struct memo *e, const struct effect *f, struct value *ret, struct err *err)
{
	const struct target_type *type = f->on.target->type;
	enum probe found = PROBE_CANNOT_TELL;
	unsigned tries = 0;
	int rc;

	do
		rc = type->outlived != NULL ? type->outlived(&cx->op, f->on.target->conn, f, e->nonce, err) : 0;
	while (rc < 0 && ctx_wait_away(cx, f->on.target, &tries, err));
	if (rc < 0)
		return -1;
	tries = 0;
	switch (f->class) {
	case EFFECT_IDEMPOTENT:
		return 0;
	case EFFECT_PROBE:
		if (type->probe == NULL)
			break;
		do
			rc = type->probe(&cx->op, f->on.target->conn, f, e->nonce, &e->before, &found, err);
		while (rc < 0 && ctx_wait_away(cx, f->on.target, &tries, err));
		if (rc < 0)
			return -1;
		if (found == PROBE_NOT_DONE) {
			e->lost = false;
			if (e->begun)
				door_settled(cx, f->on.target, e, EFFECT_FAILED, NULL, "found not done after an interruption");
			return 0;
		}
		if (found == PROBE_DONE_BY_US)
			return settle_done_by_us(cx, e, f, ret, err) < 0 ? -1 : 1;
		if (found == PROBE_OTHER)
			return door_in_doubt(cx, e, "was begun, and since then someone else changed it", err);
		break;
	case EFFECT_OPAQUE:
		break;
	}
	return door_in_doubt(cx, e, "was begun and its end was not recorded; nothing here can tell whether it happened", err);
}

int
door_write(struct step_ctx *cx, struct memo *e, const struct effect *f, struct value *ret, struct err *err)
{
	const struct target_type *type = f->on.target->type;
	struct reply reply = { 0 };
	struct err lost;
	unsigned tries = 0;
	int rc;

	do
		rc = type->write(&cx->op, f->on.target->conn, f, e->nonce, &reply, err);
	while (rc < 0 && ctx_wait_away(cx, f->on.target, &tries, err));
	FAULT("effect.replied");
	if (rc == 0)
		f->on.target->reached = true;
	if (rc == 0 && (f->accept == NULL || f->accept(&reply, f, err) == 0)) {
		end_claims(cx, e, f);
		door_settled(cx, f->on.target, e, EFFECT_OK, &reply.value, NULL);
		*ret = reply.value;
		return 0;
	}
	if (rc == 0 && err->kind != ERR_UNKNOWN) {
		door_settled(cx, f->on.target, e, EFFECT_FAILED, &reply.value, err->msg);
		if (f->class == EFFECT_OPAQUE)
			cx->at->spent = true;
		return -1;
	}
	if (err->kind != ERR_UNKNOWN) {
		door_settled(cx, f->on.target, e, EFFECT_FAILED, NULL, err->msg);
		return -1;
	}
	door_settled(cx, f->on.target, e, EFFECT_UNKNOWN, NULL, err->msg);
	lost = *err;
	if (f->class == EFFECT_PROBE && lost.retryable)
		step_note(cx, "looking whether it was done: %s", lost.msg);
	if (f->class == EFFECT_IDEMPOTENT) {
		err->retryable = true;
		return -1;
	}
	if (f->class == EFFECT_PROBE && step_sleep(cx, lost.retryable ? ON_ITS_WAY << e->goes : 0, err) == 0) {
		rc = door_settle(cx, e, f, ret, err);
		if (rc != 0)
			return rc > 0 ? 0 : -1;
		*err = lost; /* the world says: not done */
		err->kind = ERR_FAILED;
		err->retryable = true;
		e->goes = lost.retryable ? (e->goes + 1) % GOES_MAX : 0;
		return e->goes > 0 ? 1 : -1;
	}
	door_in_doubt(cx, e, "was begun, and whether it has happened is not known", err);
	return err_wrap(err, "%s", lost.msg);
}

bool
door_is_so(struct step_ctx *cx, struct memo *e, const struct effect *f, const struct value *before)
{
	const struct target_type *type = f->on.target->type;

	if (type->same == NULL || !type->same(f, before))
		return false;
	door_counts(cx, !e->begun);
	end_claims(cx, e, f);
	/* what was begun by us and is so now counts as ours: undo must know of it */
	door_settled(cx, f->on.target, e, e->begun ? EFFECT_OK : EFFECT_UNCHANGED, before, NULL);
	return true;
}

/* As door_perform, and as door_write 1. */
static int
go(struct step_ctx *cx, struct memo *e, const struct effect *f, const struct value *before, struct value *ret, struct err *err)
{
	struct value later;

	if (door_is_so(cx, e, f, before)) {
		*ret = *before;
		return 0;
	}
	if (cx->at->nguards > 0 && !cx->at->guarded) { /* they take their time: only an image from after them is what we replace */
		if (door_guards(cx, err) < 0 || door_before(cx, f, &later, err) < 0)
			return -1;
		before = &later;
	}
	/* begun before: the first pre-image is the one to go back to, this one may show our own doing */
	if (!e->begun)
		e->before = e->light ? *before : value_copy(&cx->at->memory->arena, before);
	if (door_intent(cx, e, f, NULL, &e->before, err) < 0)
		return -1;
	return door_write(cx, e, f, ret, err);
}

int
door_perform(struct step_ctx *cx, struct memo *e, const struct effect *f, const struct value *before, struct value *ret,
	     struct err *err)
{
	struct value now = *before;
	int rc;

	while ((rc = go(cx, e, f, &now, ret, err)) > 0) {
		*err = (struct err)ERR_INIT;
		if (door_see(cx, f, &now, err) < 0)
			return -1;
	}
	return rc;
}

bool
door_answered(struct step_ctx *cx, const struct memo *e)
{
	if (e->state != EFFECT_OK && e->state != EFFECT_UNCHANGED && e->state != EFFECT_RESOLVED_DONE)
		return false;
	door_counts(cx, e->state == EFFECT_UNCHANGED);
	return true;
}

static int
run_effect(struct step_ctx *cx, const struct effect *f, struct value *ret, struct err *err)
{
	struct memo *e = memory_ask(cx->at->memory, cx->arena, f->verb, ref_text(cx, &f->on), 1, err);
	struct value before;
	int rc;

	if (e == NULL)
		return -1;
	if (door_answered(cx, e)) {
		*ret = e->value;
		return 0;
	}
	if (target_ready(cx, f->on.target, err) < 0)
		return -1;
	if (memo_in_doubt(e)) {
		rc = door_settle(cx, e, f, ret, err);
		if (rc != 0)
			return rc < 0 ? -1 : 0;
	}
	if (door_before(cx, f, &before, err) < 0)
		return -1;
	return door_perform(cx, e, f, &before, ret, err);
}

/* A request or a command that only looks needs no intent, in no mode; what it would see after a predicted effect is not
 * known. */
static int
look_effect(struct step_ctx *cx, const struct effect *f, struct value *ret, struct err *err)
{
	const struct target_type *type = f->on.target->type;
	struct reply reply = { 0 };
	unsigned tries = 0;
	int rc;

	if (ctx_look(cx, f->on.target, f->on.path, ret))
		return 0;
	if (target_ready(cx, f->on.target, err) < 0)
		return -1;
	do
		rc = type->write(&cx->op, f->on.target->conn, f, "", &reply, err);
	while (rc < 0 && ctx_wait_away(cx, f->on.target, &tries, err));
	if (rc == 0)
		f->on.target->reached = true;
	if (rc < 0 || (f->accept != NULL && f->accept(&reply, f, err) < 0)) {
		if (err->kind == ERR_UNKNOWN) /* it changes nothing, so an unknown end is only a failure */
			err->kind = ERR_FAILED;
		return -1;
	}
	*ret = reply.value;
	return 0;
}

int
door_permits(const struct step_ctx *cx, const struct effect *f, struct err *err)
{
	if (cx->lane || cx->among)
		return err_set(err, ERR_FAILED, "bug: the effect '%s' from inside a lane, or while many are asked for", f->verb);
	if (!f->read_only && (cx->nested || (cx->at->type->flags & (STEP_READ_ONLY | STEP_PURE))))
		return err_set(err, ERR_FAILED, "bug: step type '%s' says it is read-only and asked for the effect '%s'",
			       cx->at->type->name, f->verb);
	return 0;
}

int
step_effect(struct step_ctx *cx, const struct effect *asked, const struct value **ret, struct err *err)
{
	struct effect *f = arena_alloc(cx->arena, sizeof(*f)); /* a letter may point to it */
	struct value *v = arena_alloc(cx->arena, sizeof(*v));
	int rc;

	*f = *asked;
	if (door_permits(cx, f, err) < 0)
		return -1;
	if (ctx_check(cx, err) < 0 || target_spell(cx, f->on.target, f->on.path, &f->on.path, err) < 0)
		return -1;
	if (f->read_only)
		rc = look_effect(cx, f, v, err);
	else if (cx->at->shared->mode == MODE_PLAN)
		rc = door_predict(cx, f, v, err);
	else
		rc = run_effect(cx, f, v, err);
	if (rc < 0)
		return -1;
	if (f->on.target->type->shown != NULL)
		*v = f->on.target->type->shown(cx->arena, f, v, false);
	if (ret != NULL)
		*ret = v;
	return 0;
}

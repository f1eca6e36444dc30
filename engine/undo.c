/* SPDX-License-Identifier: Apache-2.0 */
/* Takes the effects of one step back, the last one first, each by the inverse that its target kind knows and through the
 * same door: so an undo is journalled, resumed and dry-run like any step. The undo of effect N is effect N of the path
 * "STEP~undo". Nothing is taken back blindly: the object must be as the effect left it (or as the undo of a later effect
 * did); one that is already as it was before is left alone; anything else, and what has no inverse, stops here until the
 * operator has seen to it by hand. */
#include "undo.h"

#include <string.h>

#include "base/map.h"
#include "base/text.h"
#include "door.h"

#define BY_HAND "by-hand" /* the verb of what only the operator can do */
#define TURN_BYTES (1U << 20) /* of images of effects that stand alone: then they are let go of */

struct undo {
	const struct undo_args *args;
	struct memo **memos;           /* by number */
	uint32_t nmemos;
	struct map index;              /* ref: what this walk left there */
	struct undo_left *left;
	uint32_t nleft;
	struct arena turn;             /* images of those that stand alone */
	size_t let_go;                 /* so many of the list are past, and have let go of theirs */
};

/* What the journal knows of this undo, found by number. */
static void
find_memos(struct step_ctx *cx, struct undo *u)
{
	const struct memory *m = cx->at->memory;

	u->nmemos = m->count + 1;
	for (size_t i = 0; i < u->args->n; i++)
		if (u->args->list[i].number >= u->nmemos)
			u->nmemos = u->args->list[i].number + 1;
	u->memos = arena_array(cx->arena, u->nmemos, sizeof(struct memo *));
	for (struct memo *e = m->first; e != NULL; e = e->next)
		if (e->number < u->nmemos)
			u->memos[e->number] = e;
}

/* NULL: what is on record of it cannot be read. */
static struct memo *
memo_of(struct step_ctx *cx, struct undo *u, const struct undo_effect *x, struct err *err)
{
	struct memo *e = u->memos[x->number];

	if (e == NULL)
		e = u->memos[x->number] = memory_number(cx->at->memory, x->number, x->effect.verb, x->ref);
	e->light = x->alone != NULL;
	if (memory_recall(cx->at->memory, e, cx->arena, err) < 0)
		return NULL;
	e->asked = true;
	cx->at->memory->now = e;
	return e;
}

static const struct undo_left *
left_by_later(const struct undo *u, const struct undo_effect *x)
{
	const uint32_t at = map_get(&u->index, x->ref, strlen(x->ref));

	return at != MAP_NONE ? &u->left[at] : x->left;
}

bool
undo_left(struct arena *a, const struct undo_effect *x, const struct memo *e, struct undo_left *ret)
{
	const struct target_type *type = x->effect.on.target->type;
	const struct effect inverse = { .on = x->effect.on, .verb = e->verb };

	if (x->stream || e->state != EFFECT_OK || strcmp(e->verb, BY_HAND) == 0)
		return false;
	*ret = (struct undo_left){ type->after != NULL ? type->after(a, &inverse, &e->value) : e->value, x->before };
	return true;
}

static void
leave(struct step_ctx *cx, struct undo *u, const struct undo_effect *x, const struct value *now)
{
	uint32_t at = map_get(&u->index, x->ref, strlen(x->ref));

	if (x->alone != NULL)
		return;
	if (at == MAP_NONE) {
		if (u->left == NULL)
			u->left = arena_array(cx->arena, u->args->n, sizeof(*u->left));
		at = u->nleft++;
		(void)map_add(&u->index, x->ref, strlen(x->ref), at);
	}
	u->left[at] = (struct undo_left){ *now, x->before };
}

/* A reply is not always the image. */
static void
leave_reply(struct step_ctx *cx, struct undo *u, const struct undo_effect *x, const struct effect *inverse,
	    const struct value *reply)
{
	const struct target_type *type = inverse->on.target->type;
	const struct value now = type->after != NULL ? type->after(cx->arena, inverse, reply) : *reply;

	leave(cx, u, x, &now);
}

/* The command that goes on with the undo. */
static const char *
go_on(struct step_ctx *cx)
{
	const struct shared *sh = cx->at->shared;

	return arena_printf(cx->arena, "wherry %s %s", sh->rollback ? "rollback" : "resume", sh->run);
}

/* Where the target knows what can be done about it, that comes first; else the word that it may stay, behind `when`. */
static int
resolve_hint(struct step_ctx *cx, const char *when, struct err *err)
{
	const char *way = err->next[0] != '\0' ? arena_strdup(cx->arena, err->next) : NULL;

	if (way != NULL)
		return err_next(err, "%s; %s\nto leave all of it as it is: wherry resolve %s %s --done --reason TEXT", way, go_on(cx),
				cx->at->shared->run, cx->at->path);
	return err_next(err, "%s: wherry resolve %s %s --done --reason TEXT", when, cx->at->shared->run, cx->at->path);
}

/* Only the operator can go on: that, too, is an effect, whose end is their word. Always -1, err says why. */
static int
needs_hand(struct step_ctx *cx, struct memo *e, const struct undo_effect *x, const char *when, struct err *err)
{
	const struct err why = *err;
	const struct effect hand = { .on = x->effect.on, .verb = BY_HAND, .body = VALUE_NULL,
		.says = arena_printf(cx->arena, "to be taken back by hand: %s", x->effect.says) };

	if (cx->at->shared->mode == MODE_RUN && !e->begun) {
		e->verb = BY_HAND;
		if (door_intent(cx, e, &hand, effect_class_name(EFFECT_OPAQUE), NULL, err) < 0)
			return -1;
	}
	*err = why;
	return resolve_hint(cx, when, err);
}

/* The names of people's objects are untrusted text. */
static const char *
shown(struct step_ctx *cx, const char *ref)
{
	return text_safe(cx->arena, ref, strlen(ref), 200);
}

static int
no_inverse(struct step_ctx *cx, struct memo *e, const struct undo_effect *x, const char *why, struct err *err)
{
	err_set(err, ERR_IN_DOUBT, "'%s %s' of step '%s' cannot be taken back by itself%s%s; take it back by hand, then say so",
		x->effect.verb, shown(cx, x->ref), cx->at->undoes, why != NULL ? ": " : "", why != NULL ? why : "");
	return needs_hand(cx, e, x, "once it is taken back by hand", err);
}

/* What of an image counts; left: by the undo of a later effect, or NULL. */
static struct value
part(struct step_ctx *cx, const struct undo_effect *x, const struct value *image, const struct undo_left *left)
{
	const struct target_type *type = x->effect.on.target->type;

	return type->stands != NULL ? type->stands(cx->arena, &x->effect, &x->before, image, left != NULL ? &left->now : NULL) : *image;
}

/* Is the object as it is now like an image, as far as a dry-run can tell? */
static bool
agree(struct step_ctx *cx, const struct undo_effect *x, const struct value *image, const struct undo_left *left, const struct value *now)
{
	const struct value p = part(cx, x, image, left), q = part(cx, x, now, NULL);

	return ((p.flags | q.flags) & VF_UNKNOWN) != 0 || value_eq(&p, &q);
}

static int
changed(struct step_ctx *cx, struct memo *e, const struct undo_effect *x, const struct value *want, const struct value *now,
	struct err *err)
{
	struct buf path = BUF_INIT(200);

	if (want == NULL) {
		buf_puts(&path, "it is neither as the effect left it nor as it was before");
	} else if (now->kind == V_NULL || want->kind == V_NULL) {
		buf_puts(&path, now->kind == V_NULL ? "it is gone" : "it is there again");
	} else {
		value_diff_path(&path, want, now);
		buf_puts(&path, path.len > 0 ? " differs" : "it differs");
	}
	err_set(err, ERR_IN_DOUBT, "'%s' was changed by someone else since step '%s': %s; put it back and go on, or say that it "
		"may stay so", shown(cx, x->ref), cx->at->undoes, path.p);
	buf_done(&path);
	if (needs_hand(cx, e, x, "to leave it as it is", err) < 0 && err->kind == ERR_IN_DOUBT)
		err_next(err, "%s\nonce it is put back: %s", arena_strdup(cx->arena, err->next), go_on(cx));
	return -1;
}

/* The after-image of the effect, or false where it is not known. */
static bool
after_of(struct step_ctx *cx, const struct undo_effect *x, struct value *ret)
{
	const struct target_type *type = x->effect.on.target->type;

	if (x->state != EFFECT_OK)
		return false;
	*ret = type->after != NULL ? type->after(cx->arena, &x->effect, &x->after) : x->after;
	return true;
}

/* Is the object as it is now what is to be taken back? 1 yes, 0: it is as it was before already, -1: someone changed it. */
static int
judge(struct step_ctx *cx, const struct undo *u, struct memo *e, const struct undo_effect *x, const struct value *now,
      struct err *err)
{
	const struct target_type *type = x->effect.on.target->type;
	const struct undo_left *left = left_by_later(u, x);
	struct value after, was, is;
	const bool known = after_of(cx, x, &after), whole = type->stands == NULL;
	const struct value *want = left != NULL && (whole || !known) ? &left->now : known ? &after : NULL;
	struct effect inverse;
	struct err ignored = ERR_INIT;

	if (left != NULL && known && whole && !agree(cx, x, &left->meant, NULL, &after))
		return changed(cx, e, x, &after, &left->meant, err);
	if (want != NULL ? agree(cx, x, want, left, now) : type->same != NULL && type->same(&x->effect, now))
		return 1;
	was = part(cx, x, &x->before, left);
	is = part(cx, x, now, NULL);
	if (value_eq(&was, &is))
		return 0;
	if (type->same != NULL && type->invert(cx->arena, &x->effect, &x->before, now, &inverse, &ignored) == 0 &&
	    type->same(&inverse, now))
		return 0;
	if (want != NULL)
		was = part(cx, x, want, left);
	return changed(cx, e, x, want != NULL ? &was : NULL, &is, err);
}

/* The object as it is, in a dry-run as it would be. */
static int
look(struct step_ctx *cx, const struct effect *f, struct value *ret, struct err *err)
{
	return ctx_look(cx, f->on.target, f->on.path, ret) ? 0 : door_see(cx, f, ret, err);
}

/* Of an effect in doubt: 2 it happened, and its object is as it left it; 1 its object will tell; 0 it did not; -1 nobody can
 * tell. */
static int
has_happened(struct step_ctx *cx, const struct undo_effect *x, struct err *err)
{
	const struct effect *f = &x->effect;
	const struct target_type *type = f->on.target->type;
	enum probe found = PROBE_CANNOT_TELL;

	if (x->state != EFFECT_BEGUN && x->state != EFFECT_UNKNOWN)
		return 1;
	if (x->stream)
		return 1;
	if (type->outlived != NULL && type->outlived(&cx->op, f->on.target->conn, f, x->nonce, err) < 0)
		return -1;
	if (f->class == EFFECT_IDEMPOTENT)
		return 1;
	if (f->class == EFFECT_PROBE && type->probe != NULL &&
	    type->probe(&cx->op, f->on.target->conn, f, x->nonce, &x->before, &found, err) < 0)
		return -1;
	if (found == PROBE_DONE_BY_US || found == PROBE_NOT_DONE)
		return found == PROBE_DONE_BY_US ? 2 : 0;
	err_set(err, ERR_IN_DOUBT, "'%s %s' of step '%s' was begun and its end was not recorded; %s", f->verb, shown(cx, x->ref),
		cx->at->undoes, found == PROBE_OTHER ? "since then someone else changed it"
						     : "nothing here can tell whether it happened");
	return next_resolve(err, cx->at->shared->run, cx->at->undoes);
}

static int
invert(struct step_ctx *cx, struct memo *e, const struct undo_effect *x, const struct value *now, struct effect *ret,
       struct err *err)
{
	struct err why = ERR_INIT;

	if (x->effect.on.target->type->invert(cx->arena, &x->effect, &x->before, now, ret, &why) < 0)
		return no_inverse(cx, e, x, why.msg, err);
	return 0;
}

/* The inverse goes through the door; now is what it was found to take back. */
static int
perform(struct step_ctx *cx, struct undo *u, struct memo *e, const struct undo_effect *x, const struct value *now,
	struct err *err)
{
	struct effect inverse;
	struct value ret, seen;
	int rc;

	if (invert(cx, e, x, now, &inverse, err) < 0)
		return -1;
	if (e->begun && strcmp(e->verb, BY_HAND) == 0) {
		door_settled(cx, inverse.on.target, e, EFFECT_FAILED, NULL, "not needed any more");
		e->begun = false;
	}
	e->verb = arena_strdup(&cx->at->memory->arena, inverse.verb);
	if (cx->at->shared->mode == MODE_PLAN)
		rc = door_predict(cx, &inverse, &ret, err);
	else if (x->stream && door_see(cx, &inverse, &seen, err) < 0)
		return -1;
	else
		rc = door_perform(cx, e, &inverse, x->stream ? &seen : now, &ret, err);
	if (rc == 0 && !x->stream)
		leave_reply(cx, u, x, &inverse, &ret);
	if (rc < 0 && err->kind == ERR_IN_DOUBT && e->state == EFFECT_FAILED)
		return needs_hand(cx, e, x, "to leave it as it is", err);
	return rc;
}

/* An inverse that was begun before, and not by hand. 1: settled, 0: not done, -1. */
static int
settle_inverse(struct step_ctx *cx, struct undo *u, struct memo *e, const struct undo_effect *x, struct err *err)
{
	struct effect inverse;
	struct value ret;
	int rc;

	if ((e->state != EFFECT_BEGUN && e->state != EFFECT_UNKNOWN) || strcmp(e->verb, BY_HAND) == 0)
		return 0;
	if (invert(cx, e, x, &e->before, &inverse, err) < 0)
		return -1;
	rc = door_settle(cx, e, &inverse, &ret, err);
	if (rc > 0)
		leave_reply(cx, u, x, &inverse, &ret);
	return rc;
}

static bool
has_inverse(struct step_ctx *cx, const struct undo_effect *x)
{
	const struct target_type *type = x->effect.on.target->type;
	struct effect inverse;
	struct err ignored = ERR_INIT;

	return type->invert != NULL && type->invert(cx->arena, &x->effect, &x->before, &x->after, &inverse, &ignored) == 0;
}

static int
nothing_to_do(struct step_ctx *cx, struct memo *e, const struct undo_effect *x, const char *why)
{
	cx->at->any_effect = true;
	if (cx->at->shared->mode == MODE_RUN)
		door_settled(cx, x->effect.on.target, e, e->begun ? EFFECT_OK : EFFECT_UNCHANGED, &x->before, why);
	return 0;
}

/* ours: nobody has touched the object since. */
static int
put_back(struct step_ctx *cx, struct undo *u, struct memo *e, const struct undo_effect *x, bool ours, struct err *err)
{
	struct value now;
	int rc;

	if (look(cx, &x->effect, &now, err) < 0)
		return -1;
	rc = ours ? 1 : judge(cx, u, e, x, &now, err);
	if (rc > 0)
		return perform(cx, u, e, x, &now, err);
	if (rc < 0)
		return -1;
	leave(cx, u, x, &now);
	return nothing_to_do(cx, e, x, "it was so already");
}

static int
take_back(struct step_ctx *cx, struct undo *u, const struct undo_effect *x, struct err *err)
{
	struct memo *e = memo_of(cx, u, x, err);
	struct target *on = x->effect.on.target;
	struct undo_left left;
	int rc;

	if (e == NULL)
		return -1;
	if (door_answered(cx, e)) {
		if (on != NULL && x->alone == NULL && undo_left(cx->arena, x, e, &left))
			leave(cx, u, x, &left.now);
		return 0;
	}
	if (on == NULL)
		return err_set(err, ERR_REFUSED, "the plan has no target of '%s'", shown(cx, x->ref));
	if (x->with != NULL && !has_inverse(cx, x))
		return nothing_to_do(cx, e, x, arena_printf(cx->arena, "taken back with step '%s'", x->with));
	if (target_ready(cx, on, err) < 0)
		return -1;
	rc = settle_inverse(cx, u, e, x, err);
	if (rc != 0)
		return rc < 0 ? -1 : 0;
	rc = has_happened(cx, x, err);
	if (rc <= 0)
		return rc < 0 ? -1 : nothing_to_do(cx, e, x, "it had not happened");
	if (u->args->why_not != NULL)
		return no_inverse(cx, e, x, u->args->why_not, err);
	if (on->type->invert == NULL || (x->blind && !x->stream))
		return no_inverse(cx, e, x, on->type->invert != NULL ? "what was there before is not on record" : NULL, err);
	return x->stream ? perform(cx, u, e, x, &x->after, err) : put_back(cx, u, e, x, rc > 1, err);
}

/* The plan's own `undo`, once it is known what it is to take back. */
static int
call_undo(struct step_ctx *cx, const struct undo_args *a, struct err *err)
{
	bool any = false;

	for (size_t i = 0; i < a->n; i++) {
		struct undo_effect x = a->list[i];
		int rc = 1;

		if (x.effect.on.target != NULL && cx->at->shared->mode == MODE_RUN)
			rc = target_ready(cx, x.effect.on.target, err) < 0 || undo_recall(&x, cx->arena, err) < 0 ? -1 : has_happened(cx, &x, err);
		if (rc < 0)
			return -1;
		any = any || rc > 0;
	}
	return any ? a->call->type->run(cx, a->call->args, err) : 0;
}

/* One that stands alone, in memory that is let go of: there may be 100,000. */
static int
take_back_alone(struct step_ctx *cx, struct undo *u, const struct undo_effect *of, struct err *err)
{
	struct undo_effect x = *of;
	struct arena *const keep = cx->arena, *const keep_op = cx->op.arena;
	int rc;

	cx->arena = cx->op.arena = &u->turn;
	rc = undo_recall(&x, &u->turn, err);
	if (rc == 0)
		rc = take_back(cx, u, &x, err);
	cx->arena = keep;
	cx->op.arena = keep_op;
	return rc;
}

/* The first n of the list are past. All letters of theirs are handled before what these point to goes. */
static void
let_go(struct step_ctx *cx, struct undo *u, size_t n)
{
	struct err ignored = ERR_INIT;

	(void)ctx_ask(cx, ctx_letter(cx, LETTER_HEARD), &ignored);
	for (; u->let_go < n; u->let_go++) {
		const struct undo_effect *x = &u->args->list[u->let_go];

		if (x->alone != NULL && u->memos[x->number] != NULL)
			memory_lighten(cx->at->memory, u->memos[x->number]);
	}
	arena_reset(&u->turn);
}

static int
undo_run(struct step_ctx *cx, const void *args, struct err *err)
{
	struct undo u = { .args = args, .index = MAP_INIT };
	int rc = 0;

	if (u.args->n == 0)
		return 0;
	if (u.args->call != NULL)
		return call_undo(cx, u.args, err);
	find_memos(cx, &u);
	for (size_t i = 0; i < u.args->n && rc == 0; i++) {
		rc = ctx_check(cx, err);
		if (rc == 0 && u.args->list[i].alone != NULL)
			rc = take_back_alone(cx, &u, &u.args->list[i], err);
		else if (rc == 0)
			rc = take_back(cx, &u, &u.args->list[i], err);
		if (u.turn.total > TURN_BYTES)
			let_go(cx, &u, i + 1);
	}
	let_go(cx, &u, u.args->n);
	arena_done(&u.turn);
	map_done(&u.index);
	return rc;
}

static const struct field no_fields[] = { { 0 } };

const struct step_type undo_step = {
	.name = "undo",
	.summary = "take back what another step did",
	.inputs = no_fields,
	.outputs = no_fields,
	.args_size = sizeof(struct undo_args),
	.version = 1,
	.run = undo_run,
};

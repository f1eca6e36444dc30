/* SPDX-License-Identifier: Apache-2.0 */
/* The door in a dry-run: an effect is looked at and asked about as before its write, then told as a line and put into the
 * overlay instead of into the world. */
#include "door.h"

/* Does an earlier step make it, as far as can be told? */
static bool
would_be_there(struct step_ctx *cx, const struct target *t, const char *path)
{
	struct value v;

	return ctx_look(cx, t, path, &v) && v.kind != V_NULL;
}

int
door_look_ahead(struct step_ctx *cx, const struct effect *f, struct foresight *ret, struct err *err)
{
	const struct target_type *type = f->on.target->type;

	*ret = (struct foresight){ .p = { .confidence = CONF_OPAQUE, .after = value_unknown("an earlier step would change it") } };
	ret->p.seen = ret->seen = ctx_look(cx, f->on.target, f->on.path, &ret->before);
	if (target_ready(cx, f->on.target, err) < 0)
		return -1;
	if (!ret->seen && door_see(cx, f, &ret->before, err) < 0)
		return -1;
	ret->known = !((ret->before.flags | f->body.flags) & VF_UNKNOWN);
	ret->same = type->same != NULL && ret->known && type->same(f, &ret->before);
	return 0;
}

int
door_guess(struct step_ctx *cx, const struct effect *f, struct foresight *s, struct err *err)
{
	const struct target_type *type = f->on.target->type;

	if (s->same)
		s->p = (struct prediction){ .confidence = CONF_EXACT, .after = s->before };
	else if (type->predict != NULL && type->predict(&cx->op, f->on.target->conn, f, &s->before, &s->p, err) < 0)
		return -1;
	if (!s->same && ctx_tell_source(cx, f, err) < 0)
		return -1;
	if (s->seen && s->p.confidence == CONF_EXACT)
		s->p.confidence = CONF_SIMULATED;
	if (!s->known && s->p.confidence < CONF_PREDICTED)
		s->p.confidence = CONF_PREDICTED;
	return 0;
}

int
door_foretell(struct step_ctx *cx, const struct effect *f, const struct foresight *s, struct err *err)
{
	if (s->p.needs != NULL && !would_be_there(cx, f->on.target, s->p.needs))
		return -1;
	door_counts(cx, s->same);
	door_action(cx, &(struct action){ .effect = s->same ? NULL : f, .on = f->on, .verb = f->verb, .says = f->says,
		.confidence = s->p.confidence, .unchanged = s->same, .before = &s->before, .after = &s->p.after });
	return s->same ? 0 : door_overlay(cx, &f->on, s->p.unknowable, &s->p.after, err);
}

int
door_predict(struct step_ctx *cx, const struct effect *f, struct value *ret, struct err *err)
{
	struct foresight s;

	if (door_look_ahead(cx, f, &s, err) < 0 || (!s.same && door_guards(cx, err) < 0) || door_guess(cx, f, &s, err) < 0)
		return -1;
	*ret = s.p.after;
	return door_foretell(cx, f, &s, err);
}

void
door_action(struct step_ctx *cx, const struct action *a)
{
	struct door_letter *l = ctx_letter(cx, LETTER_ACTION);
	const struct target_type *type = a->on.target->type;
	struct buf diff = BUF_INIT(1 << 20);
	struct value was, is;

	if (!a->unchanged && a->after != NULL && a->after->kind != V_UNKNOWN) {
		was = type->shown != NULL && a->effect != NULL ? type->shown(cx->arena, a->effect, a->before, true) : *a->before;
		is = type->shown != NULL && a->effect != NULL ? type->shown(cx->arena, a->effect, a->after, true) : *a->after;
		value_diff(&diff, &was, &is, 40);
	}
	l->event = (struct event){ .kind = EVENT_ACTION, .step = cx->at->path, .type = cx->at->type->name, .verb = a->verb,
		.ref = ref_text(cx, &a->on), .says = a->says, .confidence = a->confidence, .unchanged = a->unchanged,
		.diff = diff.len > 0 ? arena_strndup(cx->arena, diff.p, diff.len) : NULL };
	l->effect = a->effect; /* lives until door_overlay is answered, as the images do */
	l->before = a->before;
	l->after = a->after;
	buf_done(&diff);
	ctx_post(cx, l, false);
}

int
door_overlay(struct step_ctx *cx, const struct ref *on, const char *const *unknowable, const struct value *after,
	     struct err *err)
{
	struct door_letter *l = ctx_letter(cx, LETTER_PUT);

	l->target = on->target;
	l->path = on->path;
	l->unknowable = unknowable;
	l->value = *after;
	return ctx_ask(cx, l, err);
}

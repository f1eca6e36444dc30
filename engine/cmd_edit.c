/* SPDX-License-Identifier: Apache-2.0 */
/* resume --plan: shows what becomes of each step, asks, and records the edited plan in one batch with the resume. Until that
 * is durable the run is what it was; its new text is kept under a name of its own before. */
#include "cmd.h"

#include <string.h>

#include "base/clock.h"
#include "base/fault.h"
#include "edit.h"

#define KEEP_SHOWN 40 /* steps that stay as they are, by name */

static uint32_t
count(const struct edit *e, enum verdict v)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < e->n; i++)
		n += e->steps[i].verdict == v && (v != EDIT_AHEAD || !e->steps[i].inside);
	return n;
}

/* "2 steps" of what counts, as one line for the journal. */
static const char *
summary(struct front *f, const struct edit *e)
{
	struct buf b = BUF_INIT(0);
	const char *ret;

	for (int v = EDIT_CHANGED; v < EDIT_VERDICTS; v++)
		if (count(e, (enum verdict)v) > 0)
			buf_printf(&b, "%s%u %s", b.len > 0 ? ", " : "", count(e, (enum verdict)v), verdict_name((enum verdict)v));
	ret = arena_strdup(&f->arena, b.len > 0 ? b.p : "the same steps");
	buf_done(&b);
	return ret;
}

/* What stands of a step, for who has to decide about it. */
static const char *
what_stands(struct front *f, const struct opened *o, const char *id)
{
	const struct hist_step *of = history_step(&o->history, id);
	const char *first = NULL;
	uint32_t n = 0;

	for (const struct hist_step *s = of; s != NULL; s = history_inside(&o->history, of, s))
		for (const struct hist_effect *e = s->undo ? NULL : s->effects; e != NULL; e = e->next)
			if (history_stands(e) && e->state != EFFECT_UNCHANGED && n++ == 0)
				first = e->ref;
	return arena_printf(&f->arena, "what it did stands: '%.200s'%s; wherry rollback takes it back", first != NULL ? first : "?",
			    n > 1 ? arena_printf(&f->arena, " and %u more", n - 1) : "");
}

static int
show_json(const char *step, const char *verdict, const char *why, struct err *err)
{
	const struct pair p[] = {
		{ "event", value_str("edit") },
		{ "step", step != NULL ? value_str(step) : VALUE_NULL },
		{ "verdict", value_str(verdict) },
		{ "why", why != NULL ? value_str(why) : VALUE_NULL },
	};
	const struct value v = value_map(p, countof(p));

	return front_print_json(&v, err);
}

static int
show(struct front *f, const struct opened *o, const struct edit *e, struct err *err)
{
	const bool all = count(e, EDIT_KEEP) <= KEEP_SHOWN;

	front_say("run %s would go on with plan '%s':", o->run, f->opt.plan);
	for (uint32_t i = 0; i < e->n; i++) {
		const struct edit_step *s = &e->steps[i];
		const char *why = s->verdict == EDIT_ORPHANED ? what_stands(f, o, s->id) : s->why;

		if (s->verdict == EDIT_AHEAD || (s->verdict == EDIT_KEEP && why == NULL && !all))
			continue;
		front_say("  %-9s %s%s%s", verdict_name(s->verdict), s->id, why != NULL ? ": " : "", why != NULL ? why : "");
		if (front_json(f) && show_json(s->id, verdict_name(s->verdict), why, err) < 0)
			return -1;
	}
	for (size_t i = 0; i < e->nnotes; i++) {
		front_say("  note      %s", e->notes[i]);
		if (front_json(f) && show_json(NULL, "note", e->notes[i], err) < 0)
			return -1;
	}
	front_say("  %s; %u to do as before", summary(f, e), count(e, EDIT_AHEAD));
	return 0;
}

/* Does the word name a step that is to be done again, or (keep) that stays because of it; or (known) any step? */
static bool
names_one(const struct edit *e, const char *word, bool keep, bool known)
{
	for (uint32_t i = 0; i < e->n; i++)
		if (edit_is_of(e->steps[i].id, word) && (known || (keep ? e->steps[i].spoken : e->steps[i].verdict == EDIT_REDO)))
			return true;
	return false;
}

/* --redo and --keep speak of steps that are to be done again. */
static int
check_words(const struct edit *e, const char *option, const struct words *words, bool keep, struct err *err)
{
	for (size_t i = 0; i < words->n; i++)
		if (!names_one(e, words->v[i], keep, false))
			return err_set(err, ERR_USAGE, "%s '%s': that step is %s", option, words->v[i],
				       names_one(e, words->v[i], keep, true) ? "not to be done again" : "in neither plan");
	return 0;
}

/* What no acceptance of the whole covers. */
static int
check_steps(struct front *f, const struct opened *o, const struct edit *e, struct err *err)
{
	for (uint32_t i = 0; i < e->n; i++) {
		const struct edit_step *s = &e->steps[i];

		if (s->blocking && s->verdict == EDIT_ORPHANED) {
			err_set(err, ERR_REFUSED, "step '%s' has done something, and is not in its plan any more: nothing could take that back; "
				"leave it there, with when: false", s->id);
			return err_next(err, "wherry status %s", o->run);
		}
		if (s->blocking) {
			err_set(err, ERR_IN_DOUBT, "step '%s' is in doubt, and %s: it has to be settled with the plan as it was", s->id, s->why);
			return err_next(err, "wherry resume %s", o->run);
		}
		if (s->verdict == EDIT_REDO && s->harmful && !edit_is_named(f->opt.redo.v, s->id)) {
			err_set(err, ERR_REFUSED, "step '%s' would be done again (%s), which may do harm; say --redo %s, or --keep %s to "
				"leave it as it is", s->id, s->why, s->id, s->id);
			return err_next(err, "wherry resume %s --plan %s --redo %s", o->run, front_word(f, f->opt.plan), s->id);
		}
	}
	return 0;
}

static int
ask(struct front *f, const struct opened *o, const struct edit *e, struct err *err)
{
	if (!e->changed) {
		front_say("nothing that matters is another; it goes on");
		return 0;
	}
	if (f->opt.accept_plan_change)
		return 0;
	if (!front_can_ask()) {
		err_set(err, ERR_REFUSED, "the plan of run %s was edited, and nobody has accepted that; nothing was done", o->run);
		return err_next(err, "wherry resume %s --plan %s --accept-plan-change", o->run, front_word(f, f->opt.plan));
	}
	if (front_ask_yes(arena_printf(&f->arena, "go on with run %s so? [y/N] ", o->run)))
		return 0;
	return err_set(err, ERR_USAGE, "not confirmed; nothing was done");
}

/* The values with which the old plan's expressions were read: those of the run, secrets as they are now. */
static struct value
params_before(struct front *f, const struct value *stored, const struct value *now)
{
	const uint32_t n = stored->kind == V_MAP ? stored->len : 0;
	struct pair *all = arena_array(&f->arena, n, sizeof(*all));

	for (uint32_t i = 0; i < n; i++) {
		const struct value *v = stored->pairs[i].v.kind == V_SECRET ? value_get(now, stored->pairs[i].key) : NULL;

		all[i] = (struct pair){ stored->pairs[i].key, v != NULL ? *v : stored->pairs[i].v };
	}
	return value_map(all, n);
}

/* Where the text is that has the step: that of an orphan is older than the present one. */
static struct value
orphan_entry(struct front *f, const struct opened *o, const char *id)
{
	struct pair *p = arena_array(&f->arena, 3, sizeof(*p));

	for (uint32_t i = 0; i < o->norphans; i++)
		if (strcmp(o->orphans[i], id) == 0)
			return o->orphan_list.items[i];
	p[0] = (struct pair){ "at", value_str(o->history.closure_at) };
	p[1] = (struct pair){ "closure", o->closure };
	p[2] = (struct pair){ "step", value_str(id) };
	return value_map(p, 3);
}

/* Keep the orphans where they can be taken back, and say which they are. */
static void
graft(struct front *f, const struct opened *o, struct edited *ret, struct plan *now)
{
	const struct edit *e = ret->edit;
	uint32_t *steps = arena_array(&f->arena, e->n, sizeof(*steps)), n = 0;
	struct value *list = arena_array(&f->arena, e->n, sizeof(*list));

	for (uint32_t i = 0; i < e->n; i++)
		if (e->steps[i].verdict == EDIT_ORPHANED && !e->steps[i].inside && !ret->was->steps[e->steps[i].index].finally) {
			list[n] = orphan_entry(f, o, e->steps[i].id);
			steps[n++] = e->steps[i].index;
		}
	plan_graft(now, ret->was, steps, n);
	ret->orphans = value_list(list, n);
}

int
front_edit(struct front *f, const struct opened *o, struct edited *e, struct plan *now, const struct value *stored,
	   const struct value *params, struct err *err)
{
	const struct value before = params_before(f, stored, params);
	const struct edit_sides sides = { .was = e->was, .now = now, .params_was = &before, .params = params, .history = &o->history,
		.run = o->run, .dir = journal_dir(o->journal), .orphans = o->orphans, .keep = f->opt.kept.v };

	if (o->info.torn) {
		err_set(err, ERR_IN_DOUBT, "the last batch of run %s was lost: what was in it has to be settled with the plan as it was", o->run);
		return err_next(err, "wherry resume %s", o->run);
	}
	e->edit = arena_alloc(&f->arena, sizeof(*e->edit));
	if (edit_compare(&sides, e->edit, err) < 0)
		return -1;
	if (show(f, o, e->edit, err) < 0 || check_words(e->edit, "--redo", &f->opt.redo, false, err) < 0 ||
	    check_words(e->edit, "--keep", &f->opt.kept, true, err) < 0 || check_steps(f, o, e->edit, err) < 0 ||
	    ask(f, o, e->edit, err) < 0)
		return -1;
	graft(f, o, e, now);
	return 0;
}

static int
apply(struct opened *o, const struct record *r, struct err *err)
{
	return journal_add(o->journal, r, err) < 0 ? -1 : history_apply(&o->history, o->history.records, r, err);
}

/* The step is pending again, and with what it has done all that it holds. */
static int
reopen(struct opened *o, const struct edit_step *s, struct err *err)
{
	const struct hist_step *of = s->again && !s->inside ? history_step(&o->history, s->id) : NULL;
	struct record r = { .type = REC_REOPEN, .wall = clock_wall_ms(), .step = s->id, .kind = s->again ? "edited" : NULL };

	if (!s->again && !s->retried)
		return 0;
	if (apply(o, &r, err) < 0)
		return -1;
	for (const struct hist_step *in = of; in != NULL && (in = history_inside(&o->history, of, in)) != NULL;) {
		r.step = in->path;
		if (apply(o, &r, err) < 0)
			return -1;
	}
	return 0;
}

int
front_edit_record(struct front *f, struct opened *o, const struct edited *e, const struct run_options *options, struct err *err)
{
	const char *at = arena_printf(&f->arena, "%u/", o->history.edits + 2);
	const struct pair p[] = {
		{ "at", value_str(at) },
		{ "closure", e->closure },
		{ "orphans", e->orphans },
		{ "params", *options->params },
		{ "plan", value_str(options->plan->name) },
	};
	const struct value v = value_map(p, countof(p));
	struct record r = { .type = REC_PLAN, .wall = clock_wall_ms(), .user = front_user(f), .host = front_host(f),
		.msg = summary(f, e->edit), .value = &v };

	if (journal_keep_files(o->journal, at, e->files, e->closure.len, err) < 0)
		return -1;
	FAULT("edit.stored");
	if (apply(o, &r, err) < 0)
		return -1;
	for (uint32_t i = 0; i < e->edit->n; i++)
		if (reopen(o, &e->edit->steps[i], err) < 0)
			return -1;
	return 0;
}

void
front_edit_done(struct edited *e)
{
	if (e->edit != NULL)
		edit_done(e->edit);
}

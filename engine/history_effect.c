/* SPDX-License-Identifier: Apache-2.0 */
/* Owns what the fold knows of the effects of a step: which began, how they ended, and what a person's word is about. */
#include "history.h"

#include <inttypes.h>
#include <string.h>

static const char unnamed[2] = "";
static const char beside[] = ""; /* stands for bytes that lie beside the journal: no value is written as nothing */

static struct hist_effect *
effect_find(const struct hist_step *s, uint32_t number)
{
	if (s->last != NULL && s->last->number == number)
		return s->last;
	if (number - 1 < s->nlisted)
		return s->listed[number - 1];
	for (struct hist_effect *e = s->effects; e != NULL; e = e->next)
		if (e->number == number)
			return e;
	return NULL;
}

/* A step may have 100,000: as long as their numbers have no gap, each is found at its place. */
static void
effect_list(struct history *h, struct hist_step *s, struct hist_effect *e)
{
	const uint32_t cap = s->nlisted > 0 ? s->nlisted * 2 : 1;
	struct hist_effect **list;

	if (e->number != s->nlisted + 1)
		return;
	if ((s->nlisted & (s->nlisted - 1)) == 0) { /* a power of two: it is full */
		list = arena_array(&h->arena, cap, sizeof(struct hist_effect *));
		if (s->nlisted > 0)
			memcpy(list, s->listed, s->nlisted * sizeof(struct hist_effect *));
		s->listed = list;
	}
	s->listed[s->nlisted++] = e;
}

static struct hist_effect *
effect_add(struct history *h, struct hist_step *s, uint32_t number)
{
	struct hist_effect *e = arena_alloc(&h->arena, sizeof(*e)), **at = &s->effects;

	h->effects++;
	s->torn = false; /* the first new effect is what the lost batch may have held; now it speaks for itself */
	e->number = number;
	e->verb = unnamed;
	e->ref = unnamed + 1;
	if (s->last != NULL && s->last->number < number)
		at = &s->last->next;
	while (*at != NULL && (*at)->number < number)
		at = &(*at)->next;
	e->next = *at;
	*at = e;
	if (e->next == NULL)
		s->last = e;
	effect_list(h, s, e);
	return e;
}

static void
name(struct history *h, struct hist_effect *e, const struct record *r)
{
	const char *verb = r->verb != NULL ? r->verb : "", *ref = r->ref != NULL ? r->ref : "";
	const size_t verb_size = strlen(verb) + 1, ref_size = strlen(ref) + 1;
	char *both = arena_bytes(&h->arena, verb_size + ref_size);

	memcpy(both, verb, verb_size);
	memcpy(both + verb_size, ref, ref_size);
	e->verb = both;
	e->ref = both + verb_size;
}

/* One text for all that have the same. */
static const char *
word(struct history *h, const char *s)
{
	size_t i = 0;

	if (s == NULL)
		return NULL;
	while (i < HIST_WORDS && h->words[i] != NULL && strcmp(h->words[i], s) != 0)
		i++;
	if (i == HIST_WORDS)
		return history_text(h, s);
	if (h->words[i] == NULL)
		h->words[i] = history_text(h, s);
	return h->words[i];
}

/* What lies beside stays there: the images of 100,000 objects may be more than there is memory. */
static void
keep_image(struct history *h, struct hist_effect *e, enum image_of which, const struct record *r, const char *text,
	   const char *file)
{
	e->images[which] = text != NULL && file != NULL ? beside : history_text(h, text);
	if (e->images[which] != beside)
		return;
	if (h->folder == NULL || strcmp(h->folder, r->folder) != 0)
		h->folder = history_text(h, r->folder);
	e->folder = h->folder;
}

bool
hist_has(const struct hist_effect *e, enum image_of which)
{
	return e->images[which] != NULL;
}

/* Those of one record: what lies beside the journal is read by way of the line that names it. */
static int
texts_of(const struct hist_effect *e, uint64_t at, const enum image_of *which, size_t n, struct arena *a, const char **ret, struct err *err)
{
	struct record r;
	bool read = false;

	for (size_t i = 0; i < n; i++) {
		const enum image_of w = which[i];

		ret[i] = e->images[w] != NULL && e->images[w] != beside ? arena_strdup(a, e->images[w]) : NULL;
		if (e->images[w] != beside)
			continue;
		if (!read && journal_line(e->folder, at, a, &r, err) < 0)
			return -1;
		read = true;
		ret[i] = w == IMAGE_AFTER ? r.value_text : w == IMAGE_BODY ? r.body_text : r.before_text;
		if (ret[i] == NULL)
			return err_set(err, ERR_REFUSED, "a value of effect %" PRIu32 " is not where '%s/journal' says", e->number, e->folder);
	}
	return 0;
}

int
hist_text(const struct hist_effect *e, enum image_of which, struct arena *a, const char **ret, struct err *err)
{
	return texts_of(e, which == IMAGE_AFTER ? e->settled : e->intent, &which, 1, a, ret, err);
}

static int
parse(struct arena *a, const char *text, struct value *ret, struct err *err)
{
	*ret = VALUE_NULL;
	return text != NULL ? value_parse(a, text, strlen(text), ret, err) : 0;
}

int
hist_value(const struct hist_effect *e, enum image_of which, struct arena *a, struct value *ret, struct err *err)
{
	const char *text;

	*ret = VALUE_NULL;
	return hist_text(e, which, a, &text, err) < 0 ? -1 : parse(a, text, ret, err);
}

int
hist_values(const struct hist_effect *e, struct arena *a, struct value ret[IMAGES], struct err *err)
{
	static const enum image_of of_intent[] = { IMAGE_BEFORE, IMAGE_BODY };
	const char *text[2];

	if (texts_of(e, e->intent, of_intent, 2, a, text, err) < 0 || parse(a, text[0], &ret[IMAGE_BEFORE], err) < 0 ||
	    parse(a, text[1], &ret[IMAGE_BODY], err) < 0)
		return -1;
	return hist_value(e, IMAGE_AFTER, a, &ret[IMAGE_AFTER], err);
}

void
history_apply_intent(struct history *h, struct hist_step *s, const struct record *r)
{
	struct hist_effect *e = effect_find(s, r->effect);

	if (e == NULL)
		e = effect_add(h, s, r->effect);
	else if (e->state == EFFECT_BEGUN || e->state == EFFECT_UNKNOWN)
		e->lost = true;
	e->state = EFFECT_BEGUN;
	e->undone = e->past = false;
	e->begun = h->records;
	e->occ = r->occ;
	name(h, e, r);
	e->class = word(h, r->class);
	e->says = history_text(h, r->says);
	e->nonce = history_text(h, r->nonce);
	e->intent = r->at;
	keep_image(h, e, IMAGE_BEFORE, r, r->before_text, r->before_file);
	keep_image(h, e, IMAGE_BODY, r, r->body_text, r->body_file);
	e->msg = e->images[IMAGE_AFTER] = NULL;
	e->seq = h->records;
}

static void
apply_settled(struct history *h, struct hist_effect *e, const struct record *r)
{
	if (r->status != NULL && strcmp(r->status, "failed") == 0)
		e->state = EFFECT_FAILED;
	else if (r->status != NULL && strcmp(r->status, "unchanged") == 0)
		e->state = EFFECT_UNCHANGED;
	else
		e->state = EFFECT_OK;
	e->settled = r->at;
	keep_image(h, e, IMAGE_AFTER, r, r->value_text, r->value_file);
	e->msg = history_text(h, r->msg);
}

static void
apply_cursor(struct history *h, struct hist_effect *e, const struct record *r)
{
	struct hist_progress *p = e->progress;

	if (p == NULL)
		p = e->progress = arena_alloc(&h->arena, sizeof(*p));
	p->done = r->done;
	p->total = r->total;
	if (r->unit != NULL && (p->unit == NULL || strcmp(p->unit, r->unit) != 0))
		p->unit = history_text(h, r->unit);
}

/* What was so already, or was found done, is settled without an intent on record. */
static bool
names_itself(const struct record *r)
{
	return r->type == REC_SETTLED && (r->verb != NULL || (r->status != NULL && strcmp(r->status, "unchanged") == 0));
}

int
history_apply_effect(struct history *h, struct hist_step *s, const struct record *r, struct err *err)
{
	struct hist_effect *e = effect_find(s, r->effect);

	if (e == NULL && names_itself(r)) {
		history_apply_intent(h, s, r);
		e = effect_find(s, r->effect);
	}
	if (e == NULL)
		return err_set(err, ERR_REFUSED, "%s of effect %" PRIu32 " of step '%s', which never began",
			       record_type_name(r->type), r->effect, s->path);
	if (r->type == REC_SETTLED) {
		apply_settled(h, e, r);
	} else if (r->type == REC_CURSOR) {
		apply_cursor(h, e, r);
	} else {
		e->state = EFFECT_UNKNOWN;
		e->msg = history_text(h, r->msg);
	}
	e->seq = h->records;
	return 0;
}

int
history_apply_doubt(struct history *h, struct hist_step *s, const struct record *r, struct err *err)
{
	struct hist_effect *e = r->effect != 0 ? effect_find(s, r->effect) : NULL;

	if (r->effect == 0) {
		s->torn = true;
		return 0;
	}
	if (e == NULL)
		return err_set(err, ERR_REFUSED, "doubt about effect %" PRIu32 " of step '%s', which never began", r->effect, s->path);
	e->changed = s->changed = true;
	s->msg = history_text(h, r->msg);
	s->next = history_text(h, r->next);
	return 0;
}

static bool
in_doubt(const struct hist_effect *e)
{
	return !e->undone && (e->state == EFFECT_BEGUN || e->state == EFFECT_UNKNOWN);
}

/* Nobody was asked about what can simply be done again, unless that is all there is. */
static bool
was_asked(const struct hist_effect *e)
{
	return in_doubt(e) && (e->class == NULL || strcmp(e->class, "idempotent") != 0);
}

/* The word is about what the operator was asked: an effect that began, one that a failed step is not sure of, or what one has
 * left; else what the lost batch may have held. */
void
history_apply_resolve(struct hist_step *s, const struct record *r)
{
	bool done = r->status != NULL && strcmp(r->status, "done") == 0, named = false, asked = false;
	const bool failed = history_failed_open(s);

	for (const struct hist_effect *e = s->effects; e != NULL; e = e->next)
		asked = asked || was_asked(e);
	for (struct hist_effect *e = s->effects; e != NULL; e = e->next)
		if ((asked ? was_asked(e) : in_doubt(e)) || (!e->undone && e->changed) ||
		    (!e->undone && failed && e->state == EFFECT_FAILED && history_stands(e))) {
			e->state = done ? EFFECT_RESOLVED_DONE : EFFECT_RESOLVED_NOT_DONE;
			e->lost = false;
			named = true;
		}
	s->resolved = done ? "done" : "not-done";
	if (!named) {
		s->torn_done = s->torn && done;
		s->torn = false;
	}
	if (s->status == STEP_IN_DOUBT || (s->changed && !done))
		s->status = STEP_PENDING;
	if (s->changed)
		history_forget_changed(s);
}

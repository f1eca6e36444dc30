/* SPDX-License-Identifier: Apache-2.0 */
/* Owns what is known of a step's effects: settled ones answer a second walk of the handler, begun ones are in doubt. An
 * effect is found by verb, ref and occurrence; all occurrences of one verb and ref are a series, found through a map. */
#include "ctx.h"

#include <stdlib.h>
#include <string.h>

#include "base/hash.h"

struct series {
	struct memo *first, **at; /* by occurrence; at: where the next one asked for is, or belongs */
	const char *verb;         /* and, behind its end, the ref: the key of the index */
	uint32_t asked;           /* in the present walk */
};

/* The images that another walk may need: of what has settled what it left, of what is open what it met. */
static int
recall(struct memo *e, const struct hist_effect *h, struct arena *a, struct err *err)
{
	const bool settled = e->state == EFFECT_OK || e->state == EFFECT_UNCHANGED || e->state == EFFECT_RESOLVED_DONE;

	if (settled && e->light) /* nobody asks what it left: see struct settled */
		return 0;
	if (hist_value(h, settled ? IMAGE_AFTER : IMAGE_BEFORE, a, settled ? &e->value : &e->before, err) < 0)
		return err_wrap(err, "'%s %s'", e->verb, e->ref);
	return 0;
}

/* lasts: so does the key. */
static struct series *
series_of(struct memory *m, const char *key, size_t len, bool lasts)
{
	const uint32_t at = map_get(&m->index, key, len);
	struct series *s;

	if (at != MAP_NONE)
		return m->series[at];
	if (m->nseries == m->series_cap) {
		m->series_cap = m->series_cap ? m->series_cap * 2 : 4;
		m->series = xreallocarray(m->series, m->series_cap, sizeof(struct series *));
	}
	s = arena_alloc(&m->arena, sizeof(*s));
	s->at = &s->first;
	s->verb = lasts ? key : arena_strndup(&m->arena, key, len);
	(void)map_add(&m->index, s->verb, len, m->nseries);
	m->series[m->nseries++] = s;
	return s;
}

static struct series *
series_named(struct memory *m, struct arena *scratch, const char *verb, const char *ref)
{
	return series_of(m, arena_printf(scratch, "%s%c%s", verb, '\0', ref), strlen(verb) + 1 + strlen(ref), false);
}

/* Into its series at the place for occ, and into the list of all. */
static struct memo *
add_memo(struct memory *m, struct series *s, uint32_t occ)
{
	struct memo *e = arena_alloc(&m->arena, sizeof(*e)), **at = s->at;

	while (*at != NULL && (*at)->occ < occ)
		at = &(*at)->same;
	e->occ = occ;
	e->verb = s->verb;
	e->ref = s->verb + strlen(s->verb) + 1;
	e->same = *at;
	*at = e;
	*m->last = e;
	m->last = &e->next;
	return e;
}

static struct memo *
new_memo(struct memory *m, struct series *s, uint32_t occ)
{
	struct memo *e = add_memo(m, s, occ);
	unsigned char nonce[16];
	char hex[2 * sizeof(nonce) + 1];

	random_bytes(nonce, sizeof(nonce));
	hex_encode(nonce, sizeof(nonce), hex);
	e->nonce = arena_strdup(&m->arena, hex);
	e->state = EFFECT_FAILED;
	return e;
}

struct memo *
memory_number(struct memory *m, uint32_t number, const char *verb, const char *ref)
{
	struct memo *e = new_memo(m, series_named(m, &m->arena, verb, ref), number);

	e->number = number;
	return e;
}

void
memory_walk(struct memory *m)
{
	for (uint32_t i = 0; i < m->nseries; i++) {
		m->series[i]->at = &m->series[i]->first;
		m->series[i]->asked = 0;
	}
	for (struct memo *e = m->first; e != NULL; e = e->next)
		e->asked = false;
}

int
memory_recall(struct memory *m, struct memo *e, struct arena *scratch, struct err *err)
{
	if (e->from != NULL && recall(e, e->from, e->light ? scratch : &m->arena, err) < 0)
		return -1;
	if (!e->light)
		e->from = NULL;
	return 0;
}

struct memo *
memory_ask(struct memory *m, struct arena *scratch, const char *verb, const char *ref, uint32_t together, struct err *err)
{
	struct series *s = series_named(m, scratch, verb, ref);
	const uint32_t occ = ++s->asked;
	struct memo *e;

	while (*s->at != NULL && (*s->at)->occ < occ)
		s->at = &(*s->at)->same;
	e = *s->at;
	if (e == NULL || e->occ != occ) {
		e = new_memo(m, s, occ);
		e->number = ++m->count;
		e->state = m->unseen == EFFECT_RESOLVED_DONE && together > 1 ? EFFECT_UNKNOWN : m->unseen; /* the word was about one */
		if (++m->given >= together)
			memory_seen(m);
	}
	e->light = together > 1;
	if (memory_recall(m, e, scratch, err) < 0)
		return NULL;
	s->at = &e->same;
	e->asked = true;
	m->now = e;
	return e;
}

int
memory_init(struct memory *m, const struct hist_step *h, bool anew, bool lasts, struct err *err)
{
	*m = (struct memory){ 0 };
	m->last = &m->first;
	m->unseen = EFFECT_FAILED;
	for (const struct hist_effect *e = h != NULL ? h->effects : NULL; e != NULL; e = e->next)
		if (e->number > m->count)
			m->count = e->number;
	if (h == NULL || anew)
		return 0;
	if (h->torn)
		m->unseen = EFFECT_UNKNOWN;
	else if (h->torn_done)
		m->unseen = EFFECT_RESOLVED_DONE;
	m->accepted = h->resolved != NULL;
	for (const struct hist_effect *h_e = h->effects; h_e != NULL; h_e = h_e->next) {
		struct memo *e;

		if (h_e->undone || h_e->past)
			continue;
		e = add_memo(m, series_of(m, h_e->verb, (size_t)(h_e->ref - h_e->verb) + strlen(h_e->ref), lasts), h_e->occ);
		e->nonce = lasts && h_e->nonce != NULL ? h_e->nonce : arena_strdup(&m->arena, h_e->nonce != NULL ? h_e->nonce : "");
		e->number = h_e->number;
		e->state = h_e->state;
		e->lost = h_e->lost;
		e->begun = e->state == EFFECT_BEGUN || e->state == EFFECT_UNKNOWN || (e->state == EFFECT_FAILED && e->lost);
		e->from = lasts ? h_e : NULL;
		if (!lasts && recall(e, h_e, &m->arena, err) < 0)
			return -1;
	}
	return 0;
}

void
memory_done(struct memory *m)
{
	map_done(&m->index);
	free(m->series);
	arena_done(&m->arena);
	*m = (struct memory){ 0 };
}

void
memory_seen(struct memory *m)
{
	if (m->given > 0)
		m->unseen = EFFECT_FAILED;
}

void
memory_lighten(struct memory *m, struct memo *e)
{
	e->light = false;
	e->value = VALUE_NULL;
	e->before = e->begun && e->from == NULL ? value_copy(&m->arena, &e->before) : VALUE_NULL;
}

bool
memory_in_doubt(const struct memory *m)
{
	for (const struct memo *e = m->first; e != NULL; e = e->next)
		if (memo_in_doubt(e))
			return true;
	return false;
}

bool
memory_stands(const struct memory *m)
{
	for (const struct memo *e = m->first; e != NULL; e = e->next)
		if (e->begun || (e->state != EFFECT_FAILED && e->state != EFFECT_RESOLVED_NOT_DONE))
			return true;
	return false;
}

const struct memo *
memory_unasked(const struct memory *m)
{
	for (const struct memo *e = m->first; e != NULL && !m->accepted; e = e->next)
		if (!e->asked && (e->begun || e->state == EFFECT_OK || e->state == EFFECT_RESOLVED_DONE))
			return e;
	return NULL;
}

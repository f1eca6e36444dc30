/* SPDX-License-Identifier: Apache-2.0 */
/* Owns what is known of a step's effects: settled ones answer a second walk of the handler, begun ones are in doubt. */
#include "ctx.h"

#include <string.h>

static struct value
parse_or_null(struct arena *a, const char *text)
{
	struct value v = VALUE_NULL;
	struct err ignored = ERR_INIT;

	if (text != NULL && value_parse(a, text, strlen(text), &v, &ignored) < 0)
		return VALUE_NULL; /* the journal's hashes held, so this is an image kept elsewhere */
	return v;
}

void
memory_init(struct memory *m, const struct hist_step *h)
{
	*m = (struct memory){ 0 };
	m->last = &m->first;
	m->unseen = EFFECT_FAILED;
	if (h == NULL)
		return;
	if (h->torn)
		m->unseen = EFFECT_UNKNOWN;
	for (const struct hist_effect *e = h->effects; e != NULL; e = e->next) {
		struct memo *memo = arena_alloc(&m->arena, sizeof(*memo));

		*memo = (struct memo){ .verb = arena_strdup(&m->arena, e->verb ? e->verb : ""),
			.ref = arena_strdup(&m->arena, e->ref ? e->ref : ""),
			.nonce = arena_strdup(&m->arena, e->nonce ? e->nonce : ""), .number = e->number, .occ = e->occ,
			.state = e->state, .value = parse_or_null(&m->arena, e->value),
			.before = parse_or_null(&m->arena, e->before) };
		*m->last = memo;
		m->last = &memo->next;
		if (e->number > m->count)
			m->count = e->number;
	}
}

void
memory_done(struct memory *m)
{
	arena_done(&m->arena);
	*m = (struct memory){ 0 };
}

bool
memory_in_doubt(const struct memory *m)
{
	for (const struct memo *e = m->first; e != NULL; e = e->next)
		if (e->state == EFFECT_BEGUN || e->state == EFFECT_UNKNOWN)
			return true;
	return m->unseen == EFFECT_UNKNOWN;
}

const struct memo *
memory_unasked(const struct memory *m)
{
	for (const struct memo *e = m->first; e != NULL; e = e->next)
		if (!e->asked && (e->state == EFFECT_OK || e->state == EFFECT_RESOLVED_DONE))
			return e;
	return NULL;
}

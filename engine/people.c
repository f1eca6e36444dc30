/* SPDX-License-Identifier: Apache-2.0 */
/* What people say to a run: gates and irreversible steps wait for a word, which comes from the terminal, from another
 * shell through the inbox, from --approve, or from the journal of a process before. Every word is recorded with who gave
 * it and where, and counts only once it is durable. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fault.h"
#include "base/text.h"
#include "coord.h"

#define INBOX_EVERY (250 * NS_PER_MS)
#define LINE_MAX_TYPED 4096

/* What was asked and said in earlier processes; a run that had closed and goes on asks anew where it failed. */
static const struct hist_gate *
old_gate(const struct coord *c, uint32_t step)
{
	const struct hist_step *hs =
		c->o->history != NULL && !c->live[step].anew ? history_step(c->o->history, path_of(c, step)) : NULL;

	return hs != NULL && !(c->reopened && hs->status == STEP_FAILED) ? hs->gate : NULL;
}

static bool
is_approved(const struct coord *c, const char *path)
{
	for (const char *const *word = c->o->approve; word != NULL && *word != NULL; word++)
		if (strcmp(*word, path) == 0)
			return true;
	return false;
}

static int
reject(struct err *err, const char *user, const char *host, const char *reason)
{
	return err_set(err, ERR_FAILED, "rejected by %s@%s%s%s", user, host, reason != NULL ? ": " : "",
		       reason != NULL ? reason : "");
}

/* Without a choice it is the first of the answers, which the gate knows. */
static void
give(struct attempt *at, const char *choice, const char *user, const char *host, struct answer *ret)
{
	ret->choice = choice != NULL ? value_str(arena_strdup(&at->arena, choice)) : VALUE_NULL;
	ret->by = value_str(arena_printf(&at->arena, "%s@%s", user, host));
}

/* The record of a word, and its event. */
static void
tell_word(struct coord *c, uint32_t step, const struct record *r)
{
	struct event e = coord_event(c, EVENT_WORD, step);
	struct buf text = BUF_INIT(0);

	coord_record(c, r, true);
	FAULT("gate.word");
	buf_printf(&text, "%s", r->type == REC_RESOLVE ? "resolved as " : "");
	buf_printf(&text, "%s%s%s%s by %s@%s%s%s", r->status, r->says != NULL ? " (" : "", r->says != NULL ? r->says : "",
		   r->says != NULL ? ")" : "", r->user, r->host, r->msg != NULL ? ": " : "", r->msg != NULL ? r->msg : "");
	e.step = r->step;
	e.msg = text.p;
	report_event(c->o->report, &e);
	buf_done(&text);
}

/* Has somebody let it pass already, or is it over? */
static bool
needs_no_word(const struct coord *c, uint32_t step, const char *path)
{
	const struct hist_step *hs = c->o->history != NULL && !c->live[step].anew ? history_step(c->o->history, path) : NULL;

	if (hs == NULL)
		return false;
	if (hs->status == STEP_DONE || hs->status == STEP_UNCHANGED || hs->status == STEP_SKIPPED)
		return true;
	return hs->status != STEP_FAILED && hs->gate != NULL && hs->gate->word != NULL && strcmp(hs->gate->word, "approved") == 0;
}

void
coord_record_approved(struct coord *c)
{
	for (const char *const *word = c->o->approve; word != NULL && *word != NULL; word++) {
		const uint32_t step = plan_find(c->plan, *word, strcspn(*word, "[/"));

		if (step != MAP_NONE && !needs_no_word(c, step, *word))
			tell_word(c, step, &(struct record){ .type = REC_APPROVE, .step = *word, .status = "approved",
				.user = c->o->user, .host = c->o->host, .msg = "--approve" });
	}
}

int
coord_word(struct coord *c, struct attempt *at, struct answer *ret, struct err *err)
{
	const struct hist_gate *g = old_gate(c, at->step);
	const bool told = g != NULL && g->word != NULL, yes = told && strcmp(g->word, "approved") == 0;

	if (!yes && is_approved(c, at->path)) { /* on record since this process began */
		give(at, NULL, c->o->user, c->o->host, ret);
		return 1;
	}
	if (yes)
		give(at, g->choice, g->user, g->host, ret);
	else if (told)
		at->rejected = true;
	return yes ? 1 : told ? reject(err, g->user, g->host, g->reason) : 0;
}

/* Has a gate that the step needs directly been passed, or, in a dry-run, is there one? */
static bool
has_gate(const struct coord *c, uint32_t step)
{
	const struct step *s = step_of(c, step);
	const struct scope *in = scope_of(c, step);

	for (uint32_t k = 0; k < s->need_count; k++) {
		const uint32_t to = in->base + in->plan->needs[s->need_first + k].to;

		if ((step_of(c, to)->type->flags & STEP_GATE) && c->live[to].status == STEP_DONE)
			return true;
	}
	return false;
}

int
coord_may_cross(struct coord *c, struct attempt *at)
{
	const struct step *s = step_of(c, at->step);
	const bool gate = has_gate(c, at->step);
	struct event e = coord_event(c, EVENT_GATE, at->step);
	char next[128];
	int word;

	if (c->o->mode == MODE_PLAN) {
		e.irreversible = true;
		e.msg = s->irreversible;
		(void)snprintf(next, sizeof(next), "--approve %s", at->path);
		e.next = gate ? NULL : next;
		coord_hold_event(c, at->step, &e);
		return 1;
	}
	if (gate || c->live[at->step].task->approved)
		return 1;
	at->park = (struct park){ .until = NEVER, .question = s->irreversible, .answers = "yes/no" };
	word = coord_word(c, at, &at->park.answer, &at->err);
	c->live[at->step].task->approved = word > 0;
	if (word < 0)
		at->rc = -1;
	else if (word > 0)
		at->park = (struct park){ 0 };
	return word;
}

void
coord_ask(struct coord *c, struct attempt *at)
{
	struct event e = coord_event(c, EVENT_GATE, at->step);
	char *next = xasprintf("wherry approve %s %s", c->shared.run, at->path);

	coord_record(c, &(struct record){ .type = REC_GATE, .step = at->path, .msg = at->park.question, .says = at->park.answers,
		.kind = at->before ? "irreversible" : NULL, .next = next }, true);
	FAULT("gate.asked");
	e.msg = at->park.question;
	e.says = at->park.answers;
	e.irreversible = at->before;
	e.next = next;
	report_event(c->o->report, &e);
	free(next);
}

bool
coord_can_ask(const struct coord *c)
{
	return c->o->terminal && !c->deaf;
}

/* The first in plan order of those that nobody has answered. */
static struct attempt *
first_waiting(const struct coord *c)
{
	struct attempt *first = NULL;

	for (struct attempt *at = c->parked; at != NULL; at = at->next)
		if (at->park.until == NEVER && !at->woken && (first == NULL || at->step < first->step))
			first = at;
	return first;
}

static void
prompt(struct coord *c)
{
	const struct attempt *at = c->asked;
	char *text = xasprintf("%s%s: %s [%s]", at->path, at->before ? " is irreversible" : "", at->park.question,
			       at->park.answers);

	/* what was typed before the question stood there is no answer to it */
	(void)tcflush(STDIN_FILENO, TCIFLUSH);
	report_prompt(c->o->report, text);
	free(text);
}

void
coord_prompt(struct coord *c)
{
	if (c->waiting == 0 || c->asked != NULL || !coord_can_ask(c) || !coord_may_start(c))
		return;
	c->asked = first_waiting(c);
	if (c->asked != NULL)
		prompt(c);
}

/* A word on a step that waits: recorded, and the step goes on once that is durable. -1: it does not wait for this. */
static int
take_word(struct coord *c, const struct record *r, struct err *err)
{
	struct attempt *at = c->parked;
	struct record known = *r;

	while (at != NULL && (at->park.until != NEVER || at->woken || strcmp(at->path, r->step) != 0))
		at = at->next;
	if (at == NULL)
		return err_set(err, ERR_USAGE, "step '%s' does not wait for an answer", r->step);
	if (r->says != NULL && !history_is_answer(at->park.answers, r->says))
		return err_set(err, ERR_USAGE, "'%.60s' is not one of the answers %s", r->says, at->park.answers);
	if (r->says != NULL && strcmp(r->says, "no") == 0)
		known.status = "rejected";
	tell_word(c, at->step, &known);
	at->rejected = strcmp(known.status, "rejected") == 0;
	at->park.over = !at->rejected;
	if (at->rejected)
		at->rc = reject(&at->err, r->user, r->host, r->msg);
	else
		give(at, r->says, r->user, r->host, &at->park.answer);
	coord_wake(c, at);
	return 0;
}

/* Does the word answer what a process before has asked, and this one will ask again? It may wait in the inbox. */
static bool
comes_early(const struct coord *c, const struct record *r)
{
	const struct hist_step *hs = c->o->history != NULL ? history_step(c->o->history, r->step) : NULL;
	const uint32_t step = live_find(c, c->scopes[0], r->step);

	return r->type == REC_APPROVE && hs != NULL && history_waits(hs) && step != NO_LIVE &&
	       c->live[step].status == STEP_PENDING;
}

/* A word on a step that is in doubt: the run drains already, so it is for the resume. */
static int
take_resolve(struct coord *c, const struct record *r, struct err *err)
{
	const uint32_t step = live_find(c, c->scopes[0], r->step);

	if (step == NO_LIVE || c->live[step].status != STEP_IN_DOUBT)
		return err_set(err, ERR_USAGE, "step '%s' is not in doubt", r->step);
	tell_word(c, step, r);
	c->live[step].status = STEP_PENDING;
	if (c->reason_step != NULL && strcmp(c->reason_step, r->step) == 0)
		c->reason.next[0] = '\0';
	return 0;
}

/* Trimmed of blanks; the word itself, or "" for an empty line. */
static char *
word_of(char *line)
{
	char *end;

	line += strspn(line, " \t");
	end = line + strcspn(line, "\r\n");
	while (end > line && (end[-1] == ' ' || end[-1] == '\t'))
		end--;
	*end = '\0';
	return line;
}

static void
tell_misheard(struct coord *c, const struct attempt *at, const char *word)
{
	char *text = xasprintf("'%.60s' is not one of the answers %s", word, at->park.answers);

	coord_report(c, (struct event){ .kind = EVENT_NOTE, .msg = text });
	free(text);
}

void
coord_hear(struct coord *c)
{
	const struct attempt *at = c->asked;
	char line[LINE_MAX_TYPED];
	const ssize_t n = read(STDIN_FILENO, line, sizeof(line) - 1);
	struct err ignored = ERR_INIT;
	struct record r;
	char *word;

	if (n <= 0) { /* its end: whoever sat there is gone */
		c->deaf = true;
		c->asked = NULL;
		report_prompt(c->o->report, NULL);
		return;
	}
	line[n] = '\0';
	word = word_of(line);
	report_prompt(c->o->report, NULL);
	if (!history_is_answer(at->park.answers, word)) {
		if (word[0] != '\0')
			tell_misheard(c, at, word);
		prompt(c);
		return;
	}
	r = (struct record){ .type = REC_APPROVE, .step = at->path, .says = word, .user = c->o->user, .host = c->o->host,
		.status = strcmp(word, "no") == 0 ? "rejected" : "approved" };
	c->asked = NULL;
	(void)take_word(c, &r, &ignored); /* it waits, and for this */
}

void
coord_hold(struct coord *c)
{
	const struct attempt *at;
	struct err err = ERR_INIT;

	c->inbox_at = c->inbox_at == NEVER ? NEVER : 0;
	coord_look_inbox(c, clock_now()); /* somebody may have answered since the last look */
	if (c->ready.n > 0)
		return;
	at = first_waiting(c);
	err_set(&err, ERR_HELD, "%s: %s [%s]", at->before ? "irreversible, waits for an approval" : "waits for an answer",
		at->park.question, at->park.answers);
	if (c->waiting > 1)
		err_wrap(&err, "%u steps wait for people", c->waiting);
	err_next(&err, "wherry approve %s %s", c->shared.run, at->path);
	coord_pause(c, at->path, &err);
}

bool
coord_is_late(struct coord *c)
{
	struct err err = ERR_INIT;
	char when[32];

	if (c->o->not_after == 0 || clock_wall_ms() < c->o->not_after)
		return false;
	err_set(&err, ERR_HELD, "it is past %s (--not-after): no further step is started", clock_text(c->o->not_after, when));
	coord_pause(c, NULL, &err);
	return true;
}

static void
remember_taken(struct coord *c, const char *name)
{
	if (c->ntaken == c->taken_cap) {
		c->taken_cap = 2 * c->taken_cap + 4;
		c->taken = xreallocarray(c->taken, c->taken_cap, sizeof(*c->taken));
	}
	c->taken[c->ntaken++] = xstrdup(name);
	if (SABOTAGED(INBOX)) /* not durable yet */
		(void)journal_taken(c->o->journal, name);
}

/* Put it aside, and say so to those who watch and in the journal. */
static void
refuse(struct coord *c, const char *name, const struct record *r, const struct err *why)
{
	struct event e = { .kind = EVENT_NOTE, .run = c->shared.run, .wall = clock_wall_ms() };
	struct buf text = BUF_INIT(0), safe = BUF_INIT(0);

	buf_printf(&text, "refused message %s of the inbox", name);
	if (r != NULL)
		buf_printf(&text, " from %s@%s", r->user, r->host);
	buf_printf(&text, ": %s", why->msg);
	text_escape(&safe, text.p, text.len);
	e.msg = safe.p;
	coord_record(c, &(struct record){ .type = REC_NOTE, .msg = e.msg }, false);
	report_event(c->o->report, &e);
	if (journal_refused(c->o->journal, name) < 0)
		c->inbox_at = NEVER; /* it would come again for ever */
	buf_done(&text);
	buf_done(&safe);
}

/* journal_message_fn */
static void
on_message(void *data, const char *name, const struct record *r, const struct err *why)
{
	struct coord *c = data;
	const struct hist_step *hs = r != NULL && c->o->history != NULL ? history_step(c->o->history, r->step) : NULL;
	struct err err = ERR_INIT;
	struct record named;

	if (r == NULL) {
		refuse(c, name, NULL, why);
		return;
	}
	named = *r;
	named.nonce = name;
	if (hs != NULL && hs->word_message != NULL && strcmp(hs->word_message, name) == 0)
		remember_taken(c, name); /* by a process that died before it could remove it */
	else if (comes_early(c, r))
		return;
	else if ((r->type == REC_APPROVE ? take_word(c, &named, &err) : take_resolve(c, &named, &err)) == 0)
		remember_taken(c, name);
	else
		refuse(c, name, r, &err);
}

void
coord_look_inbox(struct coord *c, int64_t now)
{
	if (c->inbox_at > now)
		return;
	c->inbox_at = now + INBOX_EVERY;
	journal_inbox(c->o->journal, on_message, c);
}

void
coord_clear_inbox(struct coord *c)
{
	for (size_t i = 0; i < c->ntaken; i++) {
		if (!c->broken && journal_taken(c->o->journal, c->taken[i]) < 0)
			c->inbox_at = NEVER;
		free(c->taken[i]);
	}
	if (c->broken)
		c->inbox_at = NEVER;
	c->ntaken = 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* What workers say, handled in order on the coordinator: records are staged, intents wait for the sync, the overlay and
 * the identities of targets are looked up. One commit a turn makes all of it durable. */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "coord.h"

#define FLUSH_AFTER (200 * NS_PER_MS) /* a settled effect, a note or progress may wait this long for company */
#define PROGRESS_RECORD (NS_PER_S / 2)

static void
open_gate(struct door_letter *l, int rc, const struct err *err)
{
	l->rc = rc;
	if (rc < 0)
		l->err = *err;
	gate_open(l->gate);
}

/* Records that may be lost: they must not use up the room that is kept for what is under way. */
static bool
is_chatter(enum record_type t)
{
	return t == REC_NOTE || t == REC_CURSOR;
}

int
coord_record(struct coord *c, const struct record *r, bool wait_for_sync)
{
	struct record stamped = *r;
	struct err err = ERR_INIT;

	c->commit = c->commit || wait_for_sync;
	if (c->o->journal == NULL)
		return 0;
	if (c->broken)
		return -1;
	if (!wait_for_sync && c->flush_at == NEVER)
		c->flush_at = clock_now() + FLUSH_AFTER;
	stamped.wall = clock_wall_ms();
	if (is_chatter(r->type) && journal_reserve(c->o->journal, c->running + c->owed + 1, &err) < 0)
		return -1;
	if (journal_add(c->o->journal, &stamped, &err) == 0)
		return 0;
	coord_pause(c, r->step, &err);
	if (r->type == REC_INTENT || r->type == REC_END) /* not begun; or walked again, and answered from the journal */
		return -1;
	/* a full disk takes no file for a large value, but what happened has its room: keep that at least */
	stamped.value = stamped.before = stamped.body = NULL;
	stamped.msg = "its value is lost: there was no room on the disk to keep it";
	if (journal_add(c->o->journal, &stamped, &err) < 0)
		c->broken = true;
	return -1;
}

/* Room for this intent, and for the ends of all that is under way. */
static int
reserve(struct coord *c, const char *step)
{
	struct err err = ERR_INIT;

	if (c->o->journal == NULL || journal_reserve(c->o->journal, c->running + c->owed + 2, &err) == 0)
		return 0;
	coord_pause(c, step, &err);
	return -1;
}

/* Let it through once what is staged is durable. */
static void
hold_gate(struct coord *c, struct door_letter *l)
{
	if (c->ngates == c->gates_cap) {
		c->gates_cap = c->gates_cap ? c->gates_cap * 2 : 64;
		c->gates = xreallocarray(c->gates, c->gates_cap, sizeof(struct door_letter *));
	}
	c->gates[c->ngates++] = l;
}

/* Those of one step that come together are counted until the next ones, or the step's end. */
static void
count_owed(struct coord *c, const struct door_letter *l)
{
	uint32_t n = 0;

	for (const struct door_letter *with = l->with; with != NULL; with = with->with)
		n++;
	c->owed += n - l->at->owed;
	l->at->owed = n;
}

static int
record_intents(struct coord *c, const struct door_letter *l)
{
	for (; l != NULL; l = l->with) {
		struct event e = coord_event(c, EVENT_EFFECT, l->at->step);

		if (coord_record(c, &l->rec, true) < 0)
			return -1;
		c->live[l->at->step].maybe++;
		e.ref = l->rec.ref;
		e.verb = l->rec.verb;
		e.says = l->rec.says;
		report_event(c->o->report, &e);
		holds_apply(&c->holds, &c->keep, &l->rec);
	}
	return 0;
}

static void
intent(struct coord *c, struct door_letter *l)
{
	struct err err = ERR_INIT;

	count_owed(c, l);
	if (atomic_load(&c->shared.stop) || c->broken || reserve(c, l->at->path) < 0 || record_intents(c, l) < 0) {
		err_set(&err, ERR_CANCELLED, "stopped before '%s'", l->rec.says);
		open_gate(l, -1, &err);
		return;
	}
	hold_gate(c, l);
}

/* Of the run's claims: a question, or a word that one is held or released. */
static void
claim(struct coord *c, struct door_letter *l)
{
	struct err err = ERR_INIT;

	if (l->rec.status == NULL) {
		l->found = holds_have(&c->holds, &l->rec);
		l->nonces = c->holds.nonces;
		open_gate(l, 0, NULL);
	} else if (coord_record(c, &l->rec, l->gate != NULL) == 0) {
		holds_apply(&c->holds, &c->keep, &l->rec);
		if (l->gate != NULL)
			hold_gate(c, l);
	} else if (l->gate != NULL) {
		err_set(&err, ERR_CANCELLED, "stopped before '%s': its claim cannot be recorded", l->rec.says);
		open_gate(l, -1, &err);
	}
}

static void
settled(struct coord *c, const struct door_letter *l)
{
	struct live *live = &c->live[l->at->step];

	coord_record(c, &l->rec, false);
	if (l->rec.type != REC_SETTLED || l->rec.status == NULL)
		return;
	if (strcmp(l->rec.status, "unchanged") == 0)
		live->maybe++;
	else if (strcmp(l->rec.status, "failed") == 0 && l->rec.value == NULL && live->maybe > 0)
		live->maybe--; /* refused: nothing happened */
	if (strcmp(l->rec.status, "ok") == 0)
		c->changes++;
}

/* Is the other end who it was? */
static void
identify(struct coord *c, struct door_letter *l)
{
	struct buf now = BUF_INIT(0);
	struct err err = ERR_INIT;
	const struct hist_target *t = c->o->history != NULL ? c->o->history->targets : NULL;

	value_write(&now, &l->value);
	while (t != NULL && strcmp(t->name, l->target->name) != 0)
		t = t->next;
	if (t != NULL && strcmp(t->identity, now.p) != 0) {
		err_set(&err, ERR_REFUSED, "target '%s' is not the one this run began with: it was %s and is %s",
			l->target->name, t->identity, now.p);
		err_next(&err, "check the address, then: wherry resume %s", c->shared.run);
		open_gate(l, -1, &err);
	} else {
		if (t == NULL)
			coord_record(c, &(struct record){ .type = REC_TARGET, .target = l->target->name, .value = &l->value },
				     false);
		if (c->o->mode == MODE_PLAN)
			report_event(c->o->report, &(struct event){ .kind = EVENT_TARGET, .ref = l->target->name, .msg = now.p });
		open_gate(l, 0, NULL);
	}
	buf_done(&now);
}

static void
progress(struct coord *c, struct door_letter *l)
{
	struct event e = coord_event(c, EVENT_PROGRESS, l->at->step);
	const int64_t now = clock_now();

	e.done = l->done;
	e.total = l->total;
	e.unit = l->unit;
	if (c->o->mode == MODE_RUN)
		report_event(c->o->report, &e);
	if (l->rec.effect > 0 && /* a step that only looks has nothing to go on from */
	    (now - c->progress_recorded >= PROGRESS_RECORD || (l->total > 0 && l->done >= l->total))) {
		c->progress_recorded = now;
		coord_record(c, &(struct record){ .type = REC_CURSOR, .step = l->at->path, .effect = l->rec.effect,
			.done = l->done, .total = l->total, .unit = l->unit }, false);
	}
	free(l);
}

static void
note(struct coord *c, struct door_letter *l)
{
	struct event e = coord_event(c, EVENT_NOTE, l->at->step);

	e.msg = l->rec.msg;
	coord_record(c, &(struct record){ .type = REC_NOTE, .step = l->at->path, .msg = l->rec.msg }, false);
	if (c->o->mode == MODE_PLAN)
		coord_hold_event(c, l->at->step, &e);
	else
		report_event(c->o->report, &e);
	free((char *)l->rec.msg); /* step_note gave it away with the letter */
	free(l);
}

static void
handle(struct coord *c, struct door_letter *l)
{
	switch (l->kind) {
	case LETTER_INTENT:
		intent(c, l);
		break;
	case LETTER_RECORD:
		settled(c, l);
		break;
	case LETTER_TARGET:
		identify(c, l);
		break;
	case LETTER_PROGRESS:
		progress(c, l);
		break;
	case LETTER_NOTE:
		note(c, l);
		break;
	case LETTER_ACTION:
		coord_foresee(c, l);
		c->changes += !l->event.unchanged;
		coord_hold_event(c, l->at->step, &l->event);
		break;
	case LETTER_LOOK:
		l->found = overlay_get(&c->overlay, l->target, l->path, &l->value);
		open_gate(l, 0, NULL);
		break;
	case LETTER_PUT:
		overlay_put(&c->overlay, l->target, l->path, &l->value, l->unknowable);
		open_gate(l, 0, NULL);
		break;
	case LETTER_CLAIM:
		claim(c, l);
		break;
	case LETTER_HEARD:
		open_gate(l, 0, NULL);
		break;
	case LETTER_FILE:
		report_event(c->o->report, &l->event);
		break;
	case LETTER_END:
		coord_attempt_end(c, l->at);
		break;
	}
}

void
coord_letters(struct coord *c)
{
	struct letter *next;

	for (struct letter *l = mailbox_take(&c->shared.mailbox); l != NULL; l = next) {
		next = l->next; /* the end of an attempt frees its letters */
		handle(c, (struct door_letter *)l);
	}
}

/* A step has ended, and the journal can be written no more. */
static void
note_unrecorded(struct coord *c, uint32_t step)
{
	struct event e = coord_event(c, EVENT_NOTE, step);

	if (step_of(c, step)->type->flags & STEP_PURE)
		return; /* nothing has happened */
	e.msg = "has ended, but that could not be recorded; a resume settles what it did";
	report_event(c->o->report, &e);
}

void
coord_commit(struct coord *c)
{
	const size_t told = c->nended;
	struct err err = ERR_INIT;
	int rc = c->broken ? -1 : 0;

	c->commit = false;
	c->flush_at = NEVER;
	if (c->o->journal != NULL && !c->broken && journal_staged(c->o->journal))
		rc = journal_commit(c->o->journal, &err);
	if (rc < 0 && !c->broken) {
		c->broken = true;
		c->pausing = false; /* this reason outranks any other */
		coord_pause(c, NULL, &err);
		atomic_store(&c->shared.stop, 1); /* streams and the like must not go on unrecorded */
	}
	for (size_t i = 0; i < c->ngates; i++)
		open_gate(c->gates[i], rc, &c->reason);
	c->ngates = 0;
	for (size_t i = 0; i < told; i++) {
		if (rc == 0)
			coord_tell(c, &(struct ended){ c->ended[i].step, c->ended[i].attempt, c->ended[i].ns, c->ended[i].kind,
				c->ended[i].msg, c->ended[i].next });
		else
			note_unrecorded(c, c->ended[i].step);
	}
	for (size_t i = 0; i < told; i++) {
		free(c->ended[i].msg);
		free(c->ended[i].next);
	}
	/* what telling has ended (blocked steps) is staged now, and told after the next sync */
	if (told > 0 && c->nended > told)
		memmove(c->ended, c->ended + told, (c->nended - told) * sizeof(*c->ended));
	c->nended -= told;
}

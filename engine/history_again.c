/* SPDX-License-Identifier: Apache-2.0 */
/* Owns what becomes of a step in the fold that is to happen again, and of one that has been taken back. */
#include <string.h>

#include "history.h"

void
history_forget_changed(struct hist_step *s)
{
	for (struct hist_effect *e = s->effects; e != NULL; e = e->next)
		e->changed = false;
	s->changed = false;
	s->msg = s->next = NULL;
}

/* What has been taken back is over: it, and how it was. */
static void
taken_back_itself(struct history *h, struct hist_step *s)
{
	struct hist_step *undo = history_step(h, undo_path(&h->arena, s->path));

	for (struct hist_effect *e = s->effects; e != NULL; e = e->next)
		e->undone = true;
	if (s->changed)
		history_forget_changed(s);
	for (struct hist_effect *e = undo != NULL ? undo->effects : NULL; e != NULL; e = e->next)
		e->undone = true;
	s->torn = s->torn_done = false;
}

/* A step that had succeeded is reopened because it runs at every close (kind "finally"), because something before it was
 * taken back ("undone"), because the plan says otherwise now ("edited"; also one that had not succeeded), or because it was
 * taken back itself ("taken-back"). One that failed keeps what it settled, so that nothing is done twice, and where it is taken
 * back by itself it stays failed. */
static void
reopen(struct history *h, struct hist_step *s, const struct record *r)
{
	const bool taken_back = r->kind != NULL && strcmp(r->kind, "taken-back") == 0;

	if (taken_back)
		taken_back_itself(h, s);
	if (taken_back && s->status == STEP_FAILED)
		return;
	if (s->status == STEP_DONE || s->status == STEP_UNCHANGED ||
	    (r->kind != NULL && (strcmp(r->kind, "finally") == 0 || strcmp(r->kind, "edited") == 0)))
		for (struct hist_effect *e = s->effects; e != NULL; e = e->next)
			e->past = true;
	if (s->status != STEP_BLOCKED) /* it has not begun: a word on it was given in advance, and is about the run */
		s->gate = NULL; /* the world has moved on since the word was given */
	s->status = taken_back ? STEP_UNDONE : STEP_PENDING;
	s->undoer = taken_back && r->says != NULL ? arena_strdup(&h->arena, r->says) : NULL;
	s->digest = s->kind = s->msg = s->next = NULL;
	if (!taken_back) /* else what is left to take back may have been handed them */
		s->outputs = NULL;
	s->attempts = 0;
	s->started = s->ended = 0;
	s->ns = s->seq = 0;
}

void
history_reopen(struct history *h, struct hist_step *s, const struct record *r)
{
	reopen(h, s, r);
	for (struct hist_step *in = s; r->unit != NULL && (in = history_inside(h, s, in)) != NULL;)
		if (!in->undo)
			reopen(h, in, r);
}

/* One record for all: were it many, a crash between them could leave half a run reopened. */
void
history_reopen_run(struct history *h, const struct record *r)
{
	for (uint32_t i = 0; i < h->nsteps; i++)
		if (h->steps[i].status == STEP_FAILED || h->steps[i].status == STEP_BLOCKED || h->steps[i].status == STEP_CANCELLED)
			reopen(h, &h->steps[i], r);
	h->status = RUN_RUNNING;
	h->outputs = NULL;
}

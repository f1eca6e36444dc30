/* SPDX-License-Identifier: Apache-2.0 */
/* Owns the fold of records into state: one function a record type. Values are kept as canonical bytes in one
 * arena, so that a step without outputs costs little, and nothing here decides what to do about what it finds. */
#include "history.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

const char *
history_keep(struct history *h, const struct value *v)
{
	struct buf b = BUF_INIT(0);
	const char *s;

	if (v == NULL)
		return NULL;
	value_write(&b, v);
	s = arena_strndup(&h->arena, b.p, b.len);
	buf_done(&b);
	return s;
}

struct hist_step *
history_take(struct history *h, const char *path)
{
	struct hist_step *s;
	const char *kept;
	uint32_t i;

	/* Most records are of the same step as the one before. */
	if (h->nsteps > 0 && strcmp(h->steps[h->recent].path, path) == 0)
		return &h->steps[h->recent];
	i = map_keep(&h->index, &h->arena, path, strlen(path), h->nsteps, &kept);
	h->recent = i != MAP_NONE ? i : h->nsteps;
	if (i != MAP_NONE)
		return &h->steps[i];
	if (h->nsteps == h->cap)
		history_reserve(h, h->cap ? h->cap * 2 : 64);
	s = &h->steps[h->nsteps++];
	s->path = kept;
	s->undo = is_undo_path(kept);
	h->nundos += s->undo;
	i = h->nsteps - 1;
	history_lay(h, i);
	h->recent = i;
	return &h->steps[i];
}

static void
apply_jobs(struct history *h, const struct record *r)
{
	const int64_t jobs = value_get_int(r->value, "jobs", 0);

	if (jobs > h->jobs && jobs <= UINT32_MAX)
		h->jobs = (uint32_t)jobs;
}

static void
apply_open(struct history *h, const struct record *r)
{
	h->run = history_text(h, value_get_str(r->value, "run", NULL));
	h->plan = history_text(h, value_get_str(r->value, "plan", NULL));
	h->closure = history_keep(h, value_get(r->value, "closure"));
	h->params = history_keep(h, value_get(r->value, "params"));
	h->args = history_keep(h, value_get(r->value, "args"));
	h->closure_at = "";
	h->user = history_text(h, r->user);
	h->host = history_text(h, r->host);
	h->build = history_text(h, r->build);
	h->opened = r->wall;
	h->epoch = 1;
	apply_jobs(h, r);
}

static void
apply_resume(struct history *h, const struct record *r)
{
	h->epoch = r->epoch != 0 ? r->epoch : h->epoch + 1;
	if (h->status != RUN_FAILED) /* then REC_REOPEN opens it, once all that belongs to that is said */
		h->status = RUN_RUNNING;
	h->pause_kind = h->pause_msg = h->next = NULL;
	h->pause_code = 0;
	h->tail = false;
	for (uint32_t i = 0; i < h->nsteps; i++)
		if (h->steps[i].changed)
			history_forget_changed(&h->steps[i]);
	apply_jobs(h, r);
}

/* A process begins: the only records that are looked into. */
static int
apply_process(struct history *h, const struct record *r, struct err *err)
{
	struct arena scratch = ARENA_INIT;
	struct record whole = *r;
	int rc = record_values(&scratch, &whole, err);

	if (rc == 0 && r->type == REC_OPEN)
		apply_open(h, &whole);
	else if (rc == 0)
		apply_resume(h, &whole);
	arena_done(&scratch);
	return rc;
}

static int
apply_target(struct history *h, const struct record *r, struct err *err)
{
	struct hist_target **at = &h->targets;

	if (r->target == NULL)
		return err_set(err, ERR_REFUSED, "an identity of no target");
	while (*at != NULL && strcmp((*at)->name, r->target) != 0)
		at = &(*at)->next;
	if (*at == NULL) {
		*at = arena_alloc(&h->arena, sizeof(**at));
		(*at)->name = history_text(h, r->target);
	}
	(*at)->identity = history_text(h, r->value_text);
	return 0;
}

static void
apply_retry(struct history *h, struct hist_step *s, const struct record *r)
{
	s->attempts++;
	s->status = STEP_PENDING;
	s->kind = history_text(h, r->kind);
	s->msg = history_text(h, r->msg);
}

static void
apply_end(struct history *h, struct hist_step *s, const struct record *r)
{
	s->status = step_status_parse(r->status);
	s->outputs = history_text(h, r->value_text);
	s->digest = history_text(h, r->digest);
	s->kind = history_text(h, r->kind);
	s->msg = history_text(h, r->msg);
	s->next = history_text(h, r->next);
	s->resolved = NULL;
	s->torn = s->torn && s->status == STEP_IN_DOUBT;
	if (r->attempt != 0)
		s->attempts = r->attempt;
	s->ended = r->wall;
	s->ns = r->ns;
}

static struct hist_gate *
gate_of(struct history *h, struct hist_step *s)
{
	if (s->gate == NULL)
		s->gate = arena_alloc(&h->arena, sizeof(*s->gate));
	return s->gate;
}

static void
apply_gate(struct history *h, struct hist_step *s, const struct record *r)
{
	struct hist_gate *g = gate_of(h, s);

	g->question = history_text(h, r->msg != NULL ? r->msg : "");
	g->answers = history_text(h, r->says);
	if (s->started == 0)
		s->started = r->wall;
}

static int
apply_approve(struct history *h, struct hist_step *s, const struct record *r, struct err *err)
{
	struct hist_gate *g = gate_of(h, s);

	if (r->status == NULL || r->user == NULL || r->host == NULL)
		return err_set(err, ERR_REFUSED, "a word on step '%s' without its person", s->path);
	g->word = strcmp(r->status, "approved") == 0 ? "approved" : "rejected";
	g->choice = history_text(h, r->says);
	g->user = history_text(h, r->user);
	g->host = history_text(h, r->host);
	g->reason = history_text(h, r->msg);
	s->word_message = history_text(h, r->nonce);
	g->answered = r->wall;
	return 0;
}

/* An operator's rollback begins, or (status "done") has come to the step that it was to go back to. */
static void
apply_rollback(struct history *h, const struct record *r)
{
	h->rolling = r->status == NULL;
	h->roll_to = h->rolling ? history_text(h, r->step) : NULL;
	h->roll_since = r->done;
	h->status = RUN_RUNNING;
}

static void
apply_pause(struct history *h, const struct record *r)
{
	h->status = RUN_PAUSED;
	h->pause_kind = history_text(h, r->kind);
	h->pause_msg = history_text(h, r->msg);
	h->next = history_text(h, r->next);
	h->pause_code = r->code;
}

static void
apply_close(struct history *h, const struct record *r)
{
	h->status = RUN_DONE;
	for (int s = RUN_DONE; r->status != NULL && s <= RUN_ROLLED_BACK; s++)
		if (strcmp(r->status, run_status_name((enum run_status)s)) == 0)
			h->status = (enum run_status)s;
	h->rolling = false;
	h->pause_msg = history_text(h, r->msg);
	h->next = history_text(h, r->next);
	h->outputs = history_text(h, r->value_text);
}

static void
apply_note(struct history *h, const struct record *r)
{
	struct hist_step *s = r->step != NULL ? history_step(h, r->step) : NULL;

	if (s != NULL && r->msg != NULL && (s->note == NULL || strcmp(s->note, r->msg) != 0))
		s->note = history_text(h, r->msg);
}

static int
apply_to_step(struct history *h, const struct record *r, struct err *err)
{
	struct hist_step *s;

	if (r->step == NULL)
		return err_set(err, ERR_REFUSED, "%s without a step", record_type_name(r->type));
	s = history_take(h, r->step);
	s->note = NULL;
	if (s->seq == 0 && (r->type == REC_START || r->type == REC_INTENT || r->type == REC_SETTLED || r->type == REC_END))
		s->seq = h->records;
	switch (r->type) {
	case REC_START:
	case REC_INTENT:
		if (s->status == STEP_PENDING)
			s->status = STEP_RUNNING;
		if (s->started == 0)
			s->started = r->wall;
		if (r->type == REC_INTENT)
			history_apply_intent(h, s, r);
		else if (r->code != 0)
			s->version = r->code;
		break;
	case REC_SETTLED:
	case REC_UNKNOWN:
	case REC_CURSOR:
		return history_apply_effect(h, s, r, err);
	case REC_RETRY:
		apply_retry(h, s, r);
		break;
	case REC_END:
		apply_end(h, s, r);
		break;
	case REC_RESOLVE:
		history_apply_resolve(s, r);
		s->word_message = history_text(h, r->nonce);
		break;
	case REC_REOPEN:
		history_reopen(h, s, r);
		break;
	case REC_DOUBT:
		return history_apply_doubt(h, s, r, err);
	case REC_GATE:
		apply_gate(h, s, r);
		break;
	case REC_APPROVE:
		return apply_approve(h, s, r, err);
	default:
		break;
	}
	return 0;
}

static int
apply(struct history *h, const struct record *r, struct err *err)
{
	switch (r->type) {
	case REC_OPEN:
	case REC_RESUME:
		return apply_process(h, r, err);
	case REC_TARGET:
		return apply_target(h, r, err);
	case REC_PLAN:
		return history_apply_plan(h, r, err);
	case REC_PAUSE:
		apply_pause(h, r);
		return 0;
	case REC_CLOSE:
		apply_close(h, r);
		return 0;
	case REC_TAIL:
		h->tail = true;
		return 0;
	case REC_NOTE:
		apply_note(h, r);
		return 0;
	case REC_CLAIM:
		return 0;
	case REC_ROLLBACK:
		apply_rollback(h, r);
		return 0;
	case REC_REOPEN:
		if (r->step != NULL)
			return apply_to_step(h, r, err);
		history_reopen_run(h, r);
		return 0;
	default:
		return apply_to_step(h, r, err);
	}
}

int
history_apply(void *data, uint64_t seq, const struct record *r, struct err *err)
{
	struct history *h = data;

	h->records = seq;
	holds_apply(&h->holds, &h->arena, r);
	if (r->wall != 0)
		h->last = r->wall;
	return apply(h, r, err) < 0 ? err_wrap(err, "record %" PRIu64, seq) : 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Finds runs by name and opens their journals: to read beside a live process, or to take them over. */
#include "cmd.h"

#include <string.h>

const char *
front_run(struct front *f, size_t arg, struct err *err)
{
	const char *dir = front_state(f, err), *word = arg < f->nargs ? f->args[arg] : "@latest";
	const char **runs;
	size_t n;

	if (dir == NULL || journal_list(dir, &f->arena, &runs, &n, err) < 0)
		return NULL;
	if (strcmp(word, "@latest") == 0) {
		if (n > 0)
			return runs[0];
		err_set(err, ERR_USAGE, "there are no runs in '%s'", dir);
		err_next(err, "wherry plans");
		return NULL;
	}
	for (size_t i = 0; i < n; i++)
		if (strcmp(runs[i], word) == 0)
			return runs[i];
	err_set(err, ERR_USAGE, "no run '%s' in '%s'%s", word, dir, front_nearest(f, word, runs, n));
	err_next(err, "wherry runs");
	return NULL;
}

bool
front_is_run(struct front *f, const char *word)
{
	struct err ignored = ERR_INIT;
	const char *dir = front_state(f, &ignored);
	const char **runs;
	size_t n;

	if (strcmp(word, "@latest") == 0)
		return true;
	if (dir == NULL || journal_list(dir, &f->arena, &runs, &n, &ignored) < 0)
		return false;
	for (size_t i = 0; i < n; i++)
		if (strcmp(runs[i], word) == 0)
			return true;
	return false;
}

/* Fold the record, and keep from the opening and resuming ones what history leaves out. */
static int
on_record(void *data, uint64_t seq, const struct record *r, struct err *err)
{
	struct opened *o = data;
	struct record whole = *r;

	if (r->type == REC_OPEN || r->type == REC_RESUME) {
		if (record_values(&o->arena, &whole, err) < 0)
			return -1;
		if (whole.value != NULL)
			o->setup = *whole.value;
		if (r->type == REC_OPEN)
			o->seed = (uint64_t)value_get_int(whole.value, "seed", 0);
	}
	if (history_apply(&o->history, seq, r, err) < 0)
		return -1;
	return o->each != NULL ? o->each(o->data, seq, r, err) : 0;
}

int
opened_read(struct front *f, const char *run, struct opened *ret, struct err *err)
{
	const char *dir = front_state(f, err);

	ret->run = run;
	history_init(&ret->history);
	return dir == NULL ? -1 : journal_read(dir, run, on_record, ret, &ret->info, err);
}

int
opened_lock(struct front *f, const char *run, struct opened *ret, struct err *err)
{
	const char *dir = front_state(f, err);

	ret->run = run;
	history_init(&ret->history);
	return dir == NULL ? -1 : journal_open(dir, run, on_record, ret, &ret->journal, &ret->info, err);
}

void
opened_done(struct opened *o)
{
	plan_free(ahead_end(o->ahead, NULL));
	if (o->journal != NULL)
		journal_free(o->journal);
	history_done(&o->history);
	arena_done(&o->arena);
}

/* What the closure of a run has. */
struct stored {
	const char *dir, *run;
	struct value files;
};

/* plan_reader.read */
static int
read_stored(void *data, const char *from, const char *word, bool bundled, const char *key, struct arena *a,
	    const char **ret_file, struct buf *to, struct err *err)
{
	const struct stored *s = data;
	const char *sha = value_get_str(&s->files, key, NULL);

	(void)from;
	(void)bundled;
	*ret_file = arena_printf(a, "run %s: %s", s->run, key);
	if (sha == NULL)
		return err_set(err, ERR_REFUSED, "run '%s': its journal names no plan '%s'", s->run, word);
	return journal_load_file(s->dir, s->run, key, sha, to, err);
}

struct plan *
opened_plan(struct front *f, struct opened *o, struct err *err)
{
	const char *dir = front_state(f, err), *closure = o->history.closure, *sha;
	struct buf text = BUF_INIT(YAML_MAX_BYTES + 1);
	struct stored stored = { dir, o->run, VALUE_NULL };
	const struct plan_reader reader = { read_stored, &stored };
	struct plan *plan = NULL;

	if (dir == NULL)
		return NULL;
	if (closure == NULL || value_parse(&f->arena, closure, strlen(closure), &stored.files, err) < 0 ||
	    (sha = value_get_str(&stored.files, MAIN_FILE, NULL)) == NULL) {
		err_set(err, ERR_REFUSED, "run '%s': its journal names no plan", o->run);
		return NULL;
	}
	plan = ahead_end(o->ahead, sha);
	o->ahead = NULL;
	if (plan == NULL && journal_load_file(dir, o->run, MAIN_FILE, sha, &text, err) == 0)
		plan = front_plan_text(arena_printf(&f->arena, "run %s: %s", o->run, MAIN_FILE), &text, &reader, err);
	buf_done(&text);
	return plan;
}

bool
run_is_closed(const struct history *h)
{
	return h->status == RUN_DONE || h->status == RUN_FAILED || h->status == RUN_ABORTED ||
	       h->status == RUN_ROLLED_BACK;
}

bool
step_is_in_doubt(const struct hist_step *s)
{
	if (s->changed)
		return true;
	if (s->status == STEP_RUNNING || s->status == STEP_PENDING || s->status == STEP_CANCELLED)
		return history_in_doubt(s);
	return s->status == STEP_IN_DOUBT;
}

enum step_status
step_shown_status(const struct hist_step *s, bool live)
{
	if (!live && step_is_in_doubt(s))
		return STEP_IN_DOUBT;
	if (!live && s->status == STEP_RUNNING)
		return STEP_PENDING; /* whoever ran it is gone, and it left nothing behind */
	return s->status;
}

const char *
run_shown_status(const struct history *h, bool live)
{
	return h->status == RUN_RUNNING && !live ? "interrupted" : run_status_name(h->status);
}

const struct hist_effect *
step_last_effect(const struct hist_step *s)
{
	const struct hist_effect *last = s->effects;

	while (last != NULL && last->next != NULL)
		last = last->next;
	return last;
}

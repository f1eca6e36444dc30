/* SPDX-License-Identifier: Apache-2.0 */
/* Finds runs by name and opens their journals: to read beside a live process, or to take them over. */
#include "cmd.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/io.h"

#define STEP_BYTES 512              /* of a journal: a step has a batch at least, mostly, where steps are many */
#define MANY_STEPS ((off_t)1 << 16) /* no more are expected: a journal may be long because its steps are */

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

/* What history leaves out of an opening or resuming record. */
static int
note_setup(struct opened *o, const struct record *r, struct err *err)
{
	struct record whole = *r;

	if (record_values(&o->arena, &whole, err) < 0)
		return -1;
	if (whole.value != NULL)
		o->setup = *whole.value;
	if (r->type == REC_OPEN)
		o->seed = (uint64_t)value_get_int(whole.value, "seed", 0);
	return 0;
}

static int
on_record(void *data, uint64_t seq, const struct record *r, struct err *err)
{
	struct opened *o = data;

	if ((r->type == REC_OPEN || r->type == REC_RESUME) && note_setup(o, r, err) < 0)
		return -1;
	if (history_apply(&o->history, seq, r, err) < 0)
		return -1;
	return o->each != NULL ? o->each(o->data, seq, r, err) : 0;
}

/* Have room for the steps that the journal may hold. */
static void
expect_steps(struct front *f, struct opened *o, const char *dir)
{
	const char *path = io_join(&f->arena, io_join(&f->arena, dir, o->run), "journal");
	struct stat st;
	off_t steps;

	if (stat(path, &st) < 0)
		return; /* the one who opens it tells why */
	steps = st.st_size / STEP_BYTES;
	history_reserve(&o->history, (uint32_t)(steps < MANY_STEPS ? steps : MANY_STEPS));
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
	if (dir != NULL)
		expect_steps(f, ret, dir);
	return dir == NULL ? -1 : journal_open_helped(dir, run, ahead_help(ret->ahead), on_record, ret, &ret->journal,
							  &ret->info, err);
}

void
opened_done(struct opened *o)
{
	plan_free(ahead_end(o->ahead, NULL));
	if (o->journal != NULL)
		journal_free(o->journal);
	for (size_t i = 0; i < o->nolder; i++)
		plan_free(o->older[i]);
	free(o->older);
	history_done(&o->history);
	arena_done(&o->arena);
}

/* A stored closure. */
struct stored {
	const char *dir, *run, *at;
	const struct value *files; /* {name: sha256} */
};

/* plan_reader.read */
static int
read_stored(void *data, const char *from, const char *word, bool bundled, const char *key, struct arena *a,
	    const char **ret_file, struct buf *to, struct err *err)
{
	const struct stored *s = data;
	const char *sha = value_get_str(s->files, key, NULL), *name = arena_printf(a, "%s%s", s->at, key);

	(void)from;
	(void)bundled;
	*ret_file = arena_printf(a, "run %s: %s", s->run, name);
	if (sha == NULL)
		return err_set(err, ERR_REFUSED, "run '%s': its journal names no plan '%s'", s->run, word);
	return journal_load_file(s->dir, s->run, name, sha, to, err);
}

/* Are the plans within the plan what they were? One that is not is no mistake of the plan that names it. */
static int
check_parts(struct front *f, struct stored *s, struct err *err)
{
	struct buf text = BUF_INIT(YAML_MAX_BYTES + 1);
	const char *file;
	int ret = 0;

	for (uint32_t i = 0; ret == 0 && i < s->files->len; i++) {
		const char *key = s->files->pairs[i].key;

		buf_clear(&text);
		if (strcmp(key, MAIN_FILE) != 0)
			ret = read_stored(s, "", key, false, key, &f->arena, &file, &text, err);
	}
	buf_done(&text);
	return ret;
}

/* The plan of a stored closure. */
static struct plan *
load_stored(struct front *f, const struct opened *o, const char *at, const struct value *files, struct err *err)
{
	struct stored stored = { front_state(f, err), o->run, at, files };
	const struct plan_reader reader = { read_stored, &stored };
	struct buf text = BUF_INIT(YAML_MAX_BYTES + 1);
	struct plan *plan = NULL;
	const char *file;

	if (stored.dir != NULL && read_stored(&stored, "", "", false, MAIN_FILE, &f->arena, &file, &text, err) == 0 &&
	    check_parts(f, &stored, err) == 0)
		plan = front_plan_text(file, &text, &reader, err);
	buf_done(&text);
	return plan;
}

/* Those of the orphans, from the i-th on, that come from the same text. */
static int
graft_from(struct front *f, struct opened *o, struct plan *plan, uint32_t i, struct err *err)
{
	static const struct value none = { .kind = V_MAP };
	const struct value *list = &o->orphan_list, *files = value_get(&list->items[i], "closure");
	const char *at = value_get_str(&list->items[i], "at", "");
	uint32_t *steps = arena_array(&f->arena, list->len, sizeof(*steps)), n = 0;
	struct plan *old = load_stored(f, o, at, files != NULL ? files : &none, err);

	if (old == NULL)
		return -1;
	o->older = xreallocarray(o->older, o->nolder + 1, sizeof(struct plan *));
	o->older[o->nolder++] = old;
	for (; i < list->len; i++) {
		const uint32_t k = plan_find(old, o->orphans[i], strlen(o->orphans[i]));

		if (k != MAP_NONE && strcmp(value_get_str(&list->items[i], "at", ""), at) == 0)
			steps[n++] = k;
	}
	plan_graft(plan, old, steps, n);
	return 0;
}

static int
graft_orphans(struct front *f, struct opened *o, struct plan *plan, struct err *err)
{
	const char *text = o->history.orphans;

	if (text == NULL || value_parse(&f->arena, text, strlen(text), &o->orphan_list, err) < 0)
		return text == NULL ? 0 : -1;
	o->norphans = o->orphan_list.kind == V_LIST ? o->orphan_list.len : 0;
	o->orphans = arena_array(&f->arena, o->norphans + 1, sizeof(*o->orphans));
	for (uint32_t i = 0; i < o->norphans; i++)
		o->orphans[i] = value_get_str(&o->orphan_list.items[i], "step", "");
	for (uint32_t i = 0; i < o->norphans; i++)
		if (plan_find(plan, o->orphans[i], strlen(o->orphans[i])) == MAP_NONE && graft_from(f, o, plan, i, err) < 0)
			return -1;
	return 0;
}

struct plan *
opened_plan(struct front *f, struct opened *o, struct err *err)
{
	const char *closure = o->history.closure, *sha;
	struct plan *plan = NULL;

	if (closure == NULL || value_parse(&f->arena, closure, strlen(closure), &o->closure, err) < 0 ||
	    (sha = value_get_str(&o->closure, MAIN_FILE, NULL)) == NULL) {
		err_set(err, ERR_REFUSED, "run '%s': its journal names no plan", o->run);
		return NULL;
	}
	plan = ahead_end(o->ahead, sha);
	o->ahead = NULL;
	if (plan == NULL)
		plan = load_stored(f, o, o->history.closure_at, &o->closure, err);
	if (plan != NULL && graft_orphans(f, o, plan, err) < 0) {
		plan_free(plan);
		plan = NULL;
	}
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

/* What needs a step that was taken back is done again by a resume, whatever became of it. */
static void
show_followers(const struct plan *plan, struct history *h)
{
	bool *stale = xcalloc(plan->nsteps + 1, sizeof(*stale)), any = false;

	for (uint32_t i = 0; i < plan->nsteps; i++) {
		const struct hist_step *s = history_step(h, plan->steps[i].id);

		stale[i] = s != NULL && s->status == STEP_UNDONE;
		any = any || stale[i];
	}
	if (!any) {
		free(stale);
		return;
	}
	graph_mark_users(plan, stale);
	for (uint32_t i = 0; i < plan->nmain; i++) {
		struct hist_step *s = stale[i] ? history_step(h, plan->steps[i].id) : NULL;

		if (s == NULL || (s->status != STEP_DONE && s->status != STEP_UNCHANGED && s->status != STEP_SKIPPED))
			continue;
		s->status = STEP_PENDING;
		s->msg = "what it needs was taken back";
	}
	free(stale);
}

void
opened_show(struct opened *o, const struct plan *plan, bool live)
{
	struct history *h = &o->history;

	for (uint32_t i = 0; i < h->nsteps; i++)
		h->steps[i].status = step_shown_status(&h->steps[i], live);
	if (plan != NULL && !live && !run_is_closed(h) && !h->rolling)
		show_followers(plan, h);
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

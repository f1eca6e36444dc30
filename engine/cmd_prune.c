/* SPDX-License-Identifier: Apache-2.0 */
/* wherry runs prune: remove old runs that are over. What would go is shown first, with its size. */
#include "cmd.h"

#include <unistd.h>

#include "base/clock.h"
#include "base/text.h"

/* A run that may go, in the order of the list: newest first. */
struct old {
	const char *run;
	uint64_t bytes;
};

struct prune {
	struct front *f;
	const char *dir;
	int64_t before; /* wall ms of the last record; INT64_MAX: any */
	struct old *list;
	size_t n;
	uint64_t bytes;
	struct buf shown;
};

/* 1: it may go; 0: not. A run that cannot be read stays, and is told. */
static int
consider(struct prune *p, const char *run)
{
	struct opened o = { 0 };
	struct err why = ERR_INIT;
	struct old *old = &p->list[p->n];
	char when[32], size[32], holder[2];
	int goes = 0;

	if (journal_live(p->dir, run, holder, sizeof(holder)) == 1)
		goto out;
	if (opened_read(p->f, run, &o, &why) < 0 || journal_weigh(p->dir, run, true, &old->bytes, &why) < 0) {
		front_error(p->f, &why);
		goto out;
	}
	if (!run_is_over(p->f, &o.history) || o.history.last >= p->before)
		goto out;
	old->run = run;
	buf_printf(&p->shown, "%-24s  %-12s %-26s %s\n", run, run_shown_status(&o.history, false), clock_text(o.history.last, when),
		   size_text(old->bytes, size));
	p->bytes += old->bytes;
	goes = 1;
out:
	opened_done(&o);
	return goes;
}

static int
remove_all(struct prune *p, struct err *err)
{
	for (size_t i = 0; i < p->n; i++) {
		int lock = -1, rc;

		if (journal_hold(p->dir, p->list[i].run, &lock, err) < 0)
			return -1;
		rc = journal_remove(p->dir, p->list[i].run, err);
		(void)close(lock);
		if (rc < 0)
			return -1;
	}
	return 0;
}

static int
ask_and_remove(struct prune *p, struct err *err)
{
	struct front *f = p->f;
	char size[32];

	size_text(p->bytes, size);
	if (p->n == 0) {
		front_say("no run is to be removed");
		return 0;
	}
	if (front_print(&p->shown, err) < 0 ||
	    front_ask_removal(f, arena_printf(&f->arena, "remove %zu run%s, %s? What happened in them cannot be read afterwards [y/N] ",
					      p->n, p->n == 1 ? "" : "s", size), err) < 0 ||
	    remove_all(p, err) < 0)
		return -1;
	front_say("%zu run%s removed, %s freed", p->n, p->n == 1 ? "" : "s", size);
	return 0;
}

int
cmd_prune(struct front *f, struct err *err)
{
	struct prune p = { .f = f, .dir = front_state(f, err), .before = INT64_MAX };
	int64_t ns;
	const char **runs;
	size_t n, keep = (size_t)f->opt.keep;
	int ret;

	if (f->opt.keep == 0 && f->opt.older_than == NULL) {
		err_set(err, ERR_USAGE, "say which runs: --keep N, --older-than TIME, or both");
		return err_next(err, "wherry help runs");
	}
	if (f->opt.older_than != NULL) {
		if (duration_parse(f->opt.older_than, &ns) < 0)
			return err_set(err, ERR_USAGE, "--older-than takes a duration such as 30d or 12h, not '%s'", f->opt.older_than);
		p.before = clock_wall_ms() - ns / NS_PER_MS;
	}
	if (p.dir == NULL || journal_list(p.dir, &f->arena, &runs, &n, err) < 0 || journal_sweep(p.dir, err) < 0)
		return -1;
	p.list = arena_array(&f->arena, n + 1, sizeof(*p.list));
	for (size_t i = keep; i < n; i++)
		p.n += (size_t)consider(&p, runs[i]);
	ret = ask_and_remove(&p, err);
	buf_done(&p.shown);
	return ret;
}

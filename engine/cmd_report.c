/* SPDX-License-Identifier: Apache-2.0 */
/* wherry report: what happened, when, to what, as text or as JSON. Images of objects are described by kind, size and
 * digest, never shown: they may hold what no report should. */
#include "cmd_report.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/io.h"
#include "base/text.h"

#define OUTPUT_MAX 240 /* bytes of an output that is no receipt */

static const char *
keep(struct telling *t, const char *text)
{
	return text != NULL ? arena_strdup(&t->front->arena, text) : NULL;
}

/* Records that tell a story between the steps. */
static int
on_record(void *data, uint64_t seq, const struct record *r, struct err *err)
{
	struct telling *t = data;

	(void)seq;
	(void)err;
	switch (r->type) {
	case REC_OPEN:
	case REC_RESUME:
	case REC_NOTE:
	case REC_RETRY:
	case REC_RESOLVE:
	case REC_PAUSE:
	case REC_CLOSE:
	case REC_REOPEN:
	case REC_TAIL:
	case REC_DOUBT:
	case REC_ROLLBACK:
	case REC_GATE:
	case REC_APPROVE:
	case REC_PLAN:
		break;
	default:
		return 0;
	}
	if (t->nlog == t->cap) {
		t->cap = 2 * t->cap + 16;
		t->log = xreallocarray(t->log, t->cap, sizeof(*t->log));
	}
	t->log[t->nlog++] = (struct logged){
		.wall = r->wall, .type = r->type, .code = r->code,
		.step = keep(t, r->step), .status = keep(t, r->type == REC_REOPEN ? r->kind : r->status), .user = keep(t, r->user), .host = keep(t, r->host),
		.build = keep(t, r->build), .msg = keep(t, r->msg), .answer = keep(t, r->says),
	};
	return 0;
}

struct value
telling_parse(const struct telling *t, const char *text)
{
	struct value v = VALUE_NULL;
	struct err ignored = ERR_INIT;

	if (text != NULL)
		value_parse(&t->front->arena, text, strlen(text), &v, &ignored);
	return v;
}

struct image
telling_image(const struct hist_effect *e, enum image_of which)
{
	struct err ignored = ERR_INIT;
	struct arena scratch = ARENA_INIT;
	const char *text = NULL;
	struct value v = VALUE_NULL;
	struct image ret = { 0 };

	if (hist_text(e, which, &scratch, &text, &ignored) == 0 && text != NULL)
		ret.known = value_parse(&scratch, text, strlen(text), &v, &ignored) == 0;
	if (!ret.known) {
		arena_done(&scratch);
		return ret;
	}
	ret.absent = v.kind == V_NULL;
	ret.bytes = strlen(text);
	sha256_hex(text, ret.bytes, ret.sha256);
	(void)snprintf(ret.kind, sizeof(ret.kind), "%s", value_kind_text(&v, (char[48]){ 0 }));
	arena_done(&scratch);
	return ret;
}

const char *
effect_state_name(enum effect_state s)
{
	static const char *const names[] = {
		[EFFECT_BEGUN] = "begun",	    [EFFECT_OK] = "done",
		[EFFECT_UNCHANGED] = "unchanged",   [EFFECT_FAILED] = "failed",
		[EFFECT_UNKNOWN] = "unknown",	    [EFFECT_RESOLVED_DONE] = "resolved as done",
		[EFFECT_RESOLVED_NOT_DONE] = "resolved as not done",
	};

	return names[s];
}

bool
is_taken_back(const struct hist_step *s, const struct hist_effect *e)
{
	return e->undone && !s->undo && e->state != EFFECT_UNCHANGED;
}

static void
put_text(struct buf *b, const char *before, const char *text)
{
	if (text == NULL || text[0] == '\0')
		return;
	buf_puts(b, before);
	text_escape(b, text, strlen(text));
}

static void
put_image(const struct hist_effect *e, enum image_of which, struct buf *b)
{
	const struct image i = telling_image(e, which);

	if (!i.known)
		buf_puts(b, "not read");
	else if (i.absent)
		buf_puts(b, "absent");
	else
		buf_printf(b, "%s, %zu bytes, sha256 %.12s", i.kind, i.bytes, i.sha256);
}

static void
put_effect(const struct hist_step *s, const struct hist_effect *e, struct buf *b)
{
	buf_printf(b, "    %s%s", effect_state_name(e->state), is_taken_back(s, e) ? ", taken back" : "");
	put_text(b, ": ", e->says);
	put_text(b, " [", e->verb);
	put_text(b, " ", e->ref);
	buf_puts(b, "]");
	put_text(b, ": ", e->msg);
	if (hist_progress(e).done > 0) {
		buf_printf(b, ", %llu", (unsigned long long)hist_progress(e).done);
		put_text(b, " ", hist_progress(e).unit);
	}
	buf_puts(b, "\n      before: ");
	put_image(e, IMAGE_BEFORE, b);
	buf_puts(b, "; after: ");
	put_image(e, IMAGE_AFTER, b);
	buf_putc(b, '\n');
}

/* What a verify step returns is the receipt: shown whole. Other outputs are cut. */
static bool
is_receipt(const struct telling *t, const char *step)
{
	uint32_t i = t->plan != NULL ? plan_find(t->plan, step, strlen(step)) : MAP_NONE;
	const char *dot = i != MAP_NONE ? strrchr(t->plan->steps[i].type->name, '.') : NULL;

	return dot != NULL && strcmp(dot, ".verify") == 0;
}

static void
put_outputs(const struct telling *t, const struct hist_step *s, struct buf *b)
{
	const bool receipt = is_receipt(t, s->path);
	struct value v = telling_parse(t, s->outputs);
	struct buf one = BUF_INIT(0);

	if (v.kind != V_MAP || v.len == 0)
		return;
	buf_printf(b, "    %s:\n", receipt ? "receipt" : "outputs");
	for (uint32_t i = 0; i < v.len; i++) {
		buf_clear(&one);
		value_show(&one, &v.pairs[i].v);
		put_text(b, "      ", v.pairs[i].key);
		buf_printf(b, ": %s\n",
			   receipt ? one.p : text_safe(&t->front->arena, one.p, one.len, OUTPUT_MAX));
	}
	buf_done(&one);
}

static void
put_step(const struct telling *t, const struct hist_step *s, struct buf *b)
{
	char when[32], took[32];

	put_text(b, "  ", s->path);
	buf_printf(b, "  %s", step_status_name(s->status));
	if (s->started > 0)
		buf_printf(b, "  %s", clock_text(s->started, when));
	if (s->ns > 0)
		buf_printf(b, "  %s", duration_text((int64_t)s->ns, took));
	if (s->attempts > 1)
		buf_printf(b, "  %u attempts", s->attempts);
	put_text(b, "  ", s->msg);
	buf_putc(b, '\n');
	for (const struct hist_effect *e = s->effects; e != NULL; e = e->next)
		put_effect(s, e, b);
	put_outputs(t, s, b);
}

static void
put_header(const struct telling *t, struct buf *b)
{
	const struct history *h = &t->opened.history;
	const struct value params = telling_parse(t, h->params);
	char when[2][32], took[32];

	put_text(b, "run       ", t->opened.run);
	put_text(b, "\nplan      ", h->plan);
	put_text(b, "\nby        ", h->user);
	put_text(b, "@", h->host);
	put_text(b, ", wherry ", h->build);
	buf_printf(b, "\nfrom      %s\nto        %s (%s)\nstate     %s", clock_text(h->opened, when[0]),
		   clock_text(h->last, when[1]), duration_text((h->last - h->opened) * NS_PER_MS, took),
		   run_shown_status(h, t->live));
	put_text(b, ": ", h->pause_msg);
	buf_printf(b, "\nprocesses %u\n", h->epoch);
	for (const struct hist_target *at = h->targets; at != NULL; at = at->next) {
		const struct value identity = telling_parse(t, at->identity);

		put_text(b, "target    ", at->name);
		buf_puts(b, " ");
		value_show(b, &identity);
		buf_putc(b, '\n');
	}
	if (params.kind == V_MAP && params.len > 0)
		buf_puts(b, "\nparameters\n");
	for (uint32_t i = 0; params.kind == V_MAP && i < params.len; i++) {
		put_text(b, "  ", params.pairs[i].key);
		buf_puts(b, ": ");
		value_show(b, &params.pairs[i].v);
		buf_putc(b, '\n');
	}
}

/* What a record says to whoever was not there. */
static const char *
log_words(const struct logged *l)
{
	if (l->type == REC_ROLLBACK)
		return l->status != NULL ? "rolled back to before" : l->step != NULL ? "roll back to before" : "roll back";
	if (l->type != REC_REOPEN)
		return record_type_name(l->type);
	if (l->step == NULL)
		return "open again";
	return l->status != NULL && strcmp(l->status, "taken-back") == 0 ? "taken back" : "to be done again";
}

static void
put_log(const struct telling *t, struct buf *b)
{
	char when[32];

	for (size_t i = 0; i < t->nlog; i++) {
		const struct logged *l = &t->log[i];

		buf_printf(b, "  %s  %s", clock_text(l->wall, when), log_words(l));
		put_text(b, " ", l->step);
		if (l->type != REC_REOPEN && l->type != REC_ROLLBACK)
			put_text(b, " ", l->status);
		put_text(b, " ", l->answer);
		put_text(b, " by ", l->user);
		put_text(b, "@", l->host);
		put_text(b, ", wherry ", l->build);
		if (l->type == REC_PAUSE)
			buf_printf(b, " (exit %u)", l->code);
		put_text(b, ": ", l->msg);
		buf_putc(b, '\n');
	}
}

static void
count(struct telling *t)
{
	const struct history *h = &t->opened.history;

	for (uint32_t i = 0; i < h->nsteps; i++) {
		if (!h->steps[i].undo)
			t->counts[h->steps[i].status]++;
		for (const struct hist_effect *e = h->steps[i].effects; e != NULL; e = e->next)
			t->effects++;
	}
	if (t->plan != NULL && t->plan->nsteps > h->nsteps - h->nundos)
		t->counts[STEP_PENDING] += t->plan->nsteps - (h->nsteps - h->nundos);
}

static void
put_totals(const struct telling *t, struct buf *b)
{
	buf_puts(b, "\ntotals\n  steps:");
	for (int s = 0; s < STEP_STATUSES; s++)
		if (t->counts[s] > 0)
			buf_printf(b, " %u %s", t->counts[s], step_status_name((enum step_status)s));
	buf_printf(b, "\n  effects: %llu\n  records: %llu\n", (unsigned long long)t->effects,
		   (unsigned long long)t->opened.history.records);
}

static void
put_report(const struct telling *t, struct buf *b)
{
	const struct history *h = &t->opened.history;
	const struct value outputs = telling_parse(t, h->outputs);

	put_header(t, b);
	buf_puts(b, "\nsteps\n");
	for (uint32_t i = 0; i < h->nsteps; i++)
		put_step(t, &h->steps[i], b);
	buf_puts(b, "\nlog\n");
	put_log(t, b);
	if (outputs.kind == V_MAP && outputs.len > 0)
		buf_puts(b, "\noutputs\n");
	for (uint32_t i = 0; outputs.kind == V_MAP && i < outputs.len; i++) {
		put_text(b, "  ", outputs.pairs[i].key);
		buf_puts(b, ": ");
		value_show(b, &outputs.pairs[i].v);
		buf_putc(b, '\n');
	}
	put_totals(t, b);
}

/* A device, a pipe or a link is written through, never replaced by a file. */
static int
write_out(const char *path, const struct buf *b, struct err *err)
{
	struct stat st;
	int fd, ret;

	if (lstat(path, &st) < 0 || S_ISREG(st.st_mode))
		return io_replace(path, b->p, b->len, 0600, err);
	fd = open(path, O_WRONLY | O_TRUNC | O_CLOEXEC);
	if (fd < 0)
		return err_errno(err, "open '%s'", path);
	ret = io_write_all(fd, b->p, b->len, err);
	if (ret < 0)
		err_wrap(err, "'%s'", path);
	(void)close(fd);
	return ret;
}

int
cmd_report(struct front *f, struct err *err)
{
	const char *run = front_run(f, 0, err);
	struct telling t = { .front = f, .opened = { .each = on_record, .data = &t } };
	struct err no_plan = ERR_INIT;
	struct plan *plan = NULL;
	struct buf b = BUF_INIT(0);
	struct value whole;
	char holder[2];
	int ret = -1;

	if (run == NULL)
		return -1;
	if (opened_read(f, run, &t.opened, err) < 0)
		goto out;
	t.plan = plan = opened_plan(f, &t.opened, &no_plan);
	t.live = journal_live(front_state(f, err), run, holder, sizeof(holder)) == 1;
	opened_show(&t.opened, plan, t.live);
	count(&t);
	if (front_json(f)) {
		whole = telling_value(&t);
		value_show(&b, &whole);
		buf_putc(&b, '\n');
	} else {
		put_report(&t, &b);
	}
	ret = f->opt.output != NULL ? write_out(f->opt.output, &b, err) : front_print(&b, err);
out:
	plan_free(plan);
	opened_done(&t.opened);
	free(t.log);
	buf_done(&b);
	return ret;
}

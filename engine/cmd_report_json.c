/* SPDX-License-Identifier: Apache-2.0 */
/* The report as one JSON object: what its text says, complete and for machines. */
#include "cmd_report.h"

#include <string.h>

#include "base/clock.h"

static struct value
object(const struct telling *t, const struct pair *p, size_t n)
{
	struct pair *kept = arena_array(&t->front->arena, n, sizeof(*kept));

	memcpy(kept, p, n * sizeof(*p));
	return value_map(kept, n);
}

static struct value
text_value(const char *text)
{
	return text != NULL ? value_str(text) : VALUE_NULL;
}

/* ms 0: not known. */
static struct value
time_value(const struct telling *t, int64_t ms)
{
	char when[32];

	return ms > 0 ? value_str(arena_strdup(&t->front->arena, clock_text(ms, when))) : VALUE_NULL;
}

/* null: not read. */
static struct value
image_value(const struct telling *t, const struct hist_effect *e, enum image_of which)
{
	const struct image i = telling_image(e, which);
	const struct pair p[] = {
		{ "absent", value_bool(i.absent) },
		{ "bytes", value_int((int64_t)i.bytes) },
		{ "kind", value_str(arena_strdup(&t->front->arena, i.kind)) },
		{ "sha256", value_str(arena_strdup(&t->front->arena, i.sha256)) },
	};

	return i.known ? object(t, p, i.absent ? 1 : countof(p)) : VALUE_NULL;
}

static struct value
effect_value(const struct telling *t, const struct hist_step *s, const struct hist_effect *e)
{
	const struct pair p[] = {
		{ "state", value_str(effect_state_name(e->state)) },
		{ "taken_back", value_bool(is_taken_back(s, e)) },
		{ "verb", text_value(e->verb[0] != '\0' ? e->verb : NULL) },
		{ "ref", text_value(e->ref[0] != '\0' ? e->ref : NULL) },
		{ "says", text_value(e->says) },
		{ "message", text_value(e->msg) },
		{ "done", value_int((int64_t)hist_progress(e).done) },
		{ "total", value_int((int64_t)hist_progress(e).total) },
		{ "unit", text_value(hist_progress(e).unit) },
		{ "before", image_value(t, e, IMAGE_BEFORE) },
		{ "after", image_value(t, e, IMAGE_AFTER) },
	};

	return object(t, p, countof(p));
}

static struct value
effects_value(const struct telling *t, const struct hist_step *s)
{
	struct value *list;
	size_t n = 0;

	for (const struct hist_effect *e = s->effects; e != NULL; e = e->next)
		n++;
	list = arena_array(&t->front->arena, n, sizeof(*list));
	n = 0;
	for (const struct hist_effect *e = s->effects; e != NULL; e = e->next)
		list[n++] = effect_value(t, s, e);
	return value_list(list, n);
}

static struct value
step_value(const struct telling *t, const struct hist_step *s)
{
	const struct pair p[] = {
		{ "step", value_str(s->path) },
		{ "status", value_str(step_status_name(s->status)) },
		{ "message", text_value(s->msg) },
		{ "attempts", value_int(s->attempts) },
		{ "started", time_value(t, s->started) },
		{ "ended", time_value(t, s->ended) },
		{ "ns", value_int((int64_t)s->ns) },
		{ "outputs", telling_parse(t, s->outputs) },
		{ "effects", effects_value(t, s) },
	};

	return object(t, p, countof(p));
}

static struct value
steps_value(const struct telling *t)
{
	const struct history *h = &t->opened.history;
	struct value *list = arena_array(&t->front->arena, h->nsteps, sizeof(*list));

	for (uint32_t i = 0; i < h->nsteps; i++)
		list[i] = step_value(t, &h->steps[i]);
	return value_list(list, h->nsteps);
}

static struct value
log_value(const struct telling *t)
{
	struct value *list = arena_array(&t->front->arena, t->nlog, sizeof(*list));

	for (size_t i = 0; i < t->nlog; i++) {
		const struct logged *l = &t->log[i];
		const struct pair p[] = {
			{ "time", time_value(t, l->wall) },
			{ "record", value_str(record_type_name(l->type)) },
			{ "step", text_value(l->step) },
			{ "answer", text_value(l->answer) },
			{ "status", text_value(l->status) },
			{ "user", text_value(l->user) },
			{ "host", text_value(l->host) },
			{ "build", text_value(l->build) },
			{ "message", text_value(l->msg) },
			{ "code", value_int(l->code) },
		};

		list[i] = object(t, p, l->type == REC_PAUSE ? countof(p) : countof(p) - 1);
	}
	return value_list(list, t->nlog);
}

static struct value
targets_value(const struct telling *t)
{
	struct value *list;
	size_t n = 0;

	for (const struct hist_target *at = t->opened.history.targets; at != NULL; at = at->next)
		n++;
	list = arena_array(&t->front->arena, n, sizeof(*list));
	n = 0;
	for (const struct hist_target *at = t->opened.history.targets; at != NULL; at = at->next) {
		const struct pair p[] = { { "name", value_str(at->name) }, { "identity", telling_parse(t, at->identity) } };

		list[n++] = object(t, p, countof(p));
	}
	return value_list(list, n);
}

static struct value
totals_value(const struct telling *t)
{
	struct pair counts[STEP_STATUSES], p[3];

	for (int s = 0; s < STEP_STATUSES; s++)
		counts[s] = (struct pair){ step_status_name((enum step_status)s), value_int(t->counts[s]) };
	p[0] = (struct pair){ "steps", object(t, counts, STEP_STATUSES) };
	p[1] = (struct pair){ "effects", value_int((int64_t)t->effects) };
	p[2] = (struct pair){ "records", value_int((int64_t)t->opened.history.records) };
	return object(t, p, countof(p));
}

struct value
telling_value(const struct telling *t)
{
	const struct history *h = &t->opened.history;
	const struct pair p[] = {
		{ "run", value_str(t->opened.run) },
		{ "plan", text_value(h->plan) },
		{ "user", text_value(h->user) },
		{ "host", text_value(h->host) },
		{ "build", text_value(h->build) },
		{ "opened", time_value(t, h->opened) },
		{ "last", time_value(t, h->last) },
		{ "state", value_str(run_shown_status(h, t->live)) },
		{ "message", text_value(h->pause_msg) },
		{ "processes", value_int(h->epoch) },
		{ "targets", targets_value(t) },
		{ "params", telling_parse(t, h->params) },
		{ "steps", steps_value(t) },
		{ "log", log_value(t) },
		{ "outputs", telling_parse(t, h->outputs) },
		{ "totals", totals_value(t) },
	};

	return object(t, p, countof(p));
}

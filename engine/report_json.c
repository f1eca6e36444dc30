/* SPDX-License-Identifier: Apache-2.0 */
/* JSON events: one object a line on stdout; which members an event has is one table. */
#include "report_view.h"

#include <stddef.h>

#include "base/clock.h"

enum member_type { TEXT, NUMBER32, NUMBER64, SIGNED64, CODE, FLAG, STATUS, CONFIDENCE, VALUE };
#define BIT(kind) (1u << (kind))
#define ALL 0xffffffffu
#define STEPS                                                                                                        \
	(BIT(EVENT_START) | BIT(EVENT_PROGRESS) | BIT(EVENT_NOTE) | BIT(EVENT_EFFECT) | BIT(EVENT_RETRY) |           \
	 BIT(EVENT_END) | BIT(EVENT_GATE) | BIT(EVENT_WORD) | BIT(EVENT_ACTION) | BIT(EVENT_ASSUME) | BIT(EVENT_PREDICTED))
#define MEMBER(m) offsetof(struct event, m)

static const struct member {
	const char *name;
	unsigned kinds; /* of events that have it; a text that is NULL is left out */
	enum member_type type;
	size_t offset;
} members[] = {
	{ "run", BIT(EVENT_OPEN) | BIT(EVENT_PAUSE) | BIT(EVENT_CLOSE), TEXT, MEMBER(run) },
	{ "plan", BIT(EVENT_OPEN), TEXT, MEMBER(plan) },
	{ "steps", BIT(EVENT_OPEN), NUMBER32, MEMBER(steps) },
	{ "step", STEPS, TEXT, MEMBER(step) },
	{ "type", STEPS, TEXT, MEMBER(type) },
	{ "attempt", BIT(EVENT_START) | BIT(EVENT_RETRY), NUMBER32, MEMBER(attempt) },
	{ "status", BIT(EVENT_END), STATUS, MEMBER(status) },
	{ "verb", BIT(EVENT_EFFECT) | BIT(EVENT_ACTION), TEXT, MEMBER(verb) },
	{ "ref", BIT(EVENT_EFFECT) | BIT(EVENT_ACTION), TEXT, MEMBER(ref) },
	{ "says", BIT(EVENT_EFFECT) | BIT(EVENT_ACTION), TEXT, MEMBER(says) },
	{ "reason", BIT(EVENT_CLOSE), TEXT, MEMBER(says) },
	{ "answers", BIT(EVENT_GATE), TEXT, MEMBER(says) },
	{ "irreversible", BIT(EVENT_GATE), FLAG, MEMBER(irreversible) },
	{ "confidence", BIT(EVENT_ACTION), CONFIDENCE, MEMBER(confidence) },
	{ "unchanged", BIT(EVENT_ACTION), FLAG, MEMBER(unchanged) },
	{ "diff", BIT(EVENT_ACTION), TEXT, MEMBER(diff) },
	{ "done", BIT(EVENT_OPEN) | BIT(EVENT_PROGRESS), NUMBER64, MEMBER(done) },
	{ "total", BIT(EVENT_PROGRESS), NUMBER64, MEMBER(total) },
	{ "unit", BIT(EVENT_PROGRESS), TEXT, MEMBER(unit) },
	{ "kind", ALL, TEXT, MEMBER(err_kind) },
	{ "message", ALL, TEXT, MEMBER(msg) },
	{ "ns", BIT(EVENT_END) | BIT(EVENT_RETRY), SIGNED64, MEMBER(ns) },
	{ "code", BIT(EVENT_PAUSE) | BIT(EVENT_CLOSE), CODE, MEMBER(code) },
	{ "outputs", BIT(EVENT_CLOSE), VALUE, MEMBER(outputs) },
	{ "next", BIT(EVENT_END) | BIT(EVENT_GATE) | BIT(EVENT_PAUSE) | BIT(EVENT_CLOSE), TEXT, MEMBER(next) },
};

static const char *const kind_names[] = {
	[EVENT_OPEN] = "open",	   [EVENT_START] = "start",   [EVENT_PROGRESS] = "progress",
	[EVENT_NOTE] = "note",	   [EVENT_EFFECT] = "effect", [EVENT_RETRY] = "retry",
	[EVENT_END] = "end",	   [EVENT_ACTION] = "action", [EVENT_ASSUME] = "assume",
	[EVENT_PREDICTED] = "predicted", [EVENT_GATE] = "gate",    [EVENT_WORD] = "word",
	[EVENT_PAUSE] = "pause",   [EVENT_CLOSE] = "close",
};

/* The member's value; false when it is left out. */
static bool
member_value(const struct member *m, const struct event *e, struct value *ret)
{
	static const char *const confidences[] = { [CONF_EXACT] = "exact", [CONF_SIMULATED] = "simulated",
						   [CONF_PREDICTED] = "predicted", [CONF_OPAQUE] = "opaque" };
	const void *at = (const char *)e + m->offset;

	if ((m->kinds & BIT(e->kind)) == 0)
		return false;
	switch (m->type) {
	case TEXT:
		if (*(const char *const *)at == NULL)
			return false;
		*ret = value_str(*(const char *const *)at);
		break;
	case NUMBER32:
		*ret = value_int(*(const uint32_t *)at);
		break;
	case NUMBER64:
		*ret = value_int((int64_t)*(const uint64_t *)at);
		break;
	case SIGNED64:
		*ret = value_int(*(const int64_t *)at);
		break;
	case CODE:
		*ret = value_int(*(const int *)at);
		break;
	case FLAG:
		*ret = value_bool(*(const bool *)at);
		break;
	case STATUS:
		*ret = value_str(step_status_name(e->status));
		break;
	case CONFIDENCE:
		*ret = value_str(confidences[e->confidence]);
		break;
	case VALUE:
		if (e->outputs == NULL || e->outputs->kind != V_MAP)
			return false;
		*ret = *e->outputs;
		break;
	}
	return true;
}

static void
json_event(struct report *r, const struct event *e)
{
	struct pair pairs[countof(members) + 2];
	struct buf b = BUF_INIT(0);
	struct value v;
	char when[32];
	size_t n = 0;

	pairs[n++] = (struct pair){ "event", value_str(kind_names[e->kind]) };
	if (e->wall > 0)
		pairs[n++] = (struct pair){ "time", value_str(clock_text(e->wall, when)) };
	for (size_t i = 0; i < countof(members); i++)
		if (member_value(&members[i], e, &v))
			pairs[n++] = (struct pair){ members[i].name, v };
	v = value_map(pairs, n);
	value_show(&b, &v);
	buf_putc(&b, '\n');
	report_write(r, r->opt.out, &b);
	buf_done(&b);
}

const struct view view_json = { .event = json_event };

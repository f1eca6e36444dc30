/* SPDX-License-Identifier: Apache-2.0 */
/* etcd.preflight: looks at both clusters before anything is moved, and refuses what would fail later: alarms, a
 * version that is too old, a destination without room, or one that is not empty. It writes nothing. */
#include <inttypes.h>
#include <string.h>

#include "base/text.h"
#include "step.h"
#include "steps/etcd_move.h"

#define SAMPLE_EVERY 20000           /* keys between two looks at values, for the estimate */
#define PAGE_BYTES (4U << 20)        /* of keys alone: a server counts what is left of the range for each page */
#define SAMPLE_KEYS 16
#define KEY_COST 200                 /* bytes that a key takes in the store beside its own, about */
#define QUOTA_DEFAULT (2LL << 30)    /* etcd's own, where a server does not tell */

struct preflight_args {
	struct etcd_move_args move;
	bool allow_empty;
};

/* What the source holds. */
struct stock {
	int64_t keys, leased, bytes;
	int64_t sampled, sampled_bytes;
};

/* "3.4.25" as 30425; 0 for what is none. */
static int
version_number(const char *s)
{
	int part[3] = { 0 }, i = 0;

	for (; *s != '\0' && i < 3; s++) {
		if (*s == '.')
			i++;
		else if (*s >= '0' && *s <= '9' && part[i] < 100)
			part[i] = part[i] * 10 + (*s - '0');
		else
			break;
	}
	return part[0] * 10000 + part[1] * 100 + part[2];
}

static int
check_versions(struct step_ctx *cx, const char *side, const struct value *status, struct err *err)
{
	const struct value *versions = value_get(status, "versions");

	for (size_t i = 0; versions != NULL && versions->kind == V_LIST && i < versions->len; i++) {
		const char *text = versions->items[i].kind == V_STRING ? versions->items[i].s : "";
		const int v = version_number(text);

		if (v < 30400)
			return err_set(err, ERR_FAILED, "the %s runs etcd %s: 3.4 or later is needed", side, text);
		if (strcmp(side, "source") == 0 && (v < 30425 || (v >= 30500 && v < 30508)))
			step_note(cx, "etcd %s cannot be asked how far a watch has come: where the source is quiet, the "
				  "keys of both sides are compared", text);
	}
	return 0;
}

/* Any alarm on the destination would stop the copy; on the source only a corrupt store does. */
static int
check_alarms(struct step_ctx *cx, const char *side, const struct value *status, struct err *err)
{
	const struct value *alarms = value_get(status, "alarms");

	for (size_t i = 0; alarms != NULL && alarms->kind == V_LIST && i < alarms->len; i++) {
		const char *alarm = value_get_str(&alarms->items[i], "alarm", "unknown");

		if (strcmp(side, "source") == 0 && strcmp(alarm, "NOSPACE") == 0) {
			step_note(cx, "the source has the alarm NOSPACE: it takes no writes");
			continue;
		}
		err_set(err, ERR_FAILED, "the %s has the alarm %s", side, alarm);
		return err_next(err, "etcdctl alarm list");
	}
	return 0;
}

static void
note_members(struct step_ctx *cx, const char *side, const struct value *status)
{
	const struct value *list = value_get(status, "endpoints");

	for (size_t i = 0; list != NULL && list->kind == V_LIST && i < list->len; i++) {
		const char *name = value_get_str(&list->items[i], "endpoint", "?");
		const char *error = value_get_str(&list->items[i], "error", NULL);
		const struct value *errors = value_get(&list->items[i], "errors");

		if (error != NULL)
			step_note(cx, "%s: %s does not answer: %s", side, name, error);
		for (size_t k = 0; errors != NULL && errors->kind == V_LIST && k < errors->len; k++)
			if (errors->items[k].kind == V_STRING)
				step_note(cx, "%s: %s says: %s", side, name, errors->items[k].s);
	}
}

static int
check_side(struct step_ctx *cx, const char *side, struct target *on, const struct value **ret_status, struct err *err)
{
	if (step_read(cx, &(struct ref){ on, "status" }, ret_status, err) < 0)
		return -1;
	if ((*ret_status)->kind != V_MAP)
		return err_set(err, ERR_PREDICTED, "how the %s is then is not known", side);
	note_members(cx, side, *ret_status);
	return check_versions(cx, side, *ret_status, err) < 0 ? -1 : check_alarms(cx, side, *ret_status, err);
}

/* A look at some values from this key on. */
static int
sample(struct step_ctx *cx, const struct etcd_move *m, struct bytes from, struct stock *s, struct err *err)
{
	const struct query q = { .target = m->from, .from = from, .to = m->span.end, .limit = SAMPLE_KEYS };
	struct page page;

	if (step_list(cx, &q, &page, err) < 0)
		return -1;
	for (size_t i = 0; i < page.n; i++)
		s->sampled_bytes += (int64_t)(page.items[i].key.len + page.items[i].value.len);
	s->sampled += (int64_t)page.n;
	return 0;
}

static int
take_stock(struct step_ctx *cx, const struct etcd_move *m, struct stock *ret, struct err *err)
{
	struct etcd_side side = etcd_move_source(m);
	struct stock s = { 0 };
	const struct item *it;
	int rc;

	side.skip_leased = false;
	side.keys_only = true;
	side.want = PAGE_BYTES;
	etcd_side_begin(&side, m->span.prefix, m->span.end);
	while ((rc = etcd_side_next(cx, &side, &it, err)) > 0) {
		if (s.keys++ % SAMPLE_EVERY == 0 && sample(cx, m, it->key, &s, err) < 0) {
			rc = -1;
			break;
		}
		s.leased += it->lease != 0;
	}
	etcd_side_done(&side);
	if (s.sampled > 0)
		s.bytes = s.keys * (s.sampled_bytes / s.sampled);
	*ret = s;
	return rc;
}

static int
check_room(struct step_ctx *cx, const struct value *status, const struct stock *s, struct err *err)
{
	const struct value *list = value_get(status, "endpoints");
	const int64_t told = value_get_int(status, "quota", 0), quota = told > 0 ? told : QUOTA_DEFAULT;
	const int64_t need = s->bytes + s->keys * KEY_COST;
	char size[3][32];
	int64_t used = 0;

	for (size_t i = 0; list != NULL && list->kind == V_LIST && i < list->len; i++) {
		const int64_t now = value_get_int(&list->items[i], "db_size_in_use", 0);

		used = now > used ? now : used;
	}
	if (used + need <= quota)
		return 0;
	if (told > 0) {
		err_set(err, ERR_FAILED,
			"the destination has no room: about %s are to come, %s are used, the quota is %s",
			size_text((uint64_t)need, size[0]), size_text((uint64_t)used, size[1]),
			size_text((uint64_t)quota, size[2]));
		return err_next(err, "raise --quota-backend-bytes on the destination");
	}
	step_note(cx, "about %s are to come to the destination, where %s are used: see that its --quota-backend-bytes "
		  "(which this version does not tell) allows it", size_text((uint64_t)need, size[0]),
		  size_text((uint64_t)used, size[1]));
	return 0;
}

static int
check_existing(struct step_ctx *cx, const struct etcd_move *m, bool *ret_fresh, struct err *err)
{
	const char *key;
	bool ours = false;

	if (etcd_first_existing(cx, m->to, &m->span, &key, err) < 0 || etcd_move_is_ours(cx, m, &ours, err) < 0)
		return -1;
	*ret_fresh = key == NULL;
	return key == NULL || ours || m->existing != ETCD_REFUSE ? 0 : etcd_not_empty(cx, key, err);
}

/* Most likely the prefix is mistyped: nothing would be copied, found equal and handed over. */
static int
check_any(struct step_ctx *cx, const struct preflight_args *a, const struct stock *s, struct err *err)
{
	if (s->keys > 0 || a->allow_empty)
		return 0;
	err_set(err, ERR_PLAN, "no key of the source begins with '%s'%s: there is nothing to move", a->move.prefix,
		a->move.exclude != NULL && a->move.exclude->len > 0 ? " and is not excluded" : "");
	step_suggest(cx, "with the right prefix", "prefix", "PREFIX", err);
	return step_suggest(cx, "where nothing is to be moved", "allow_empty", "true", err);
}

/* The addresses of a side's members, for people. */
static struct value
members(struct step_ctx *cx, const struct value *status)
{
	const struct value *list = value_get(status, "endpoints");
	const char *ret = "";

	for (size_t i = 0; list != NULL && list->kind == V_LIST && i < list->len; i++)
		ret = step_text(cx, "%s%s%s", ret, i > 0 ? ", " : "", value_get_str(&list->items[i], "endpoint", "?"));
	return value_str(ret);
}

static int
preflight_outputs(struct step_ctx *cx, const struct value *source, const struct value *destination,
		  const struct stock *s, bool fresh, struct err *err)
{
	const struct pair pairs[] = {
		{ "keys", value_int(s->keys) },
		{ "bytes", value_int(s->bytes) },
		{ "leased", value_int(s->leased) },
		{ "fresh", value_bool(fresh) },
		{ "source", members(cx, source) },
		{ "destination", members(cx, destination) },
		{ "source_revision", value_int(value_get_int(source, "revision", 0)) },
		{ "destination_revision", value_int(value_get_int(destination, "revision", 0)) },
	};
	const struct value map = value_map(pairs, countof(pairs));

	return etcd_put_outputs(cx, &map, err);
}

static int
preflight_run(struct step_ctx *cx, const void *args, struct err *err)
{
	const struct preflight_args *a = args;
	const struct value *source, *destination;
	struct etcd_move m;
	struct stock s;
	bool fresh;

	if (etcd_move_init(cx, &a->move, &m, err) < 0 || check_side(cx, "source", m.from, &source, err) < 0 ||
	    check_side(cx, "destination", m.to, &destination, err) < 0 ||
	    etcd_check_apart(cx, m.from, m.to, &m.span, err) < 0 || check_existing(cx, &m, &fresh, err) < 0 ||
	    take_stock(cx, &m, &s, err) < 0 || check_any(cx, a, &s, err) < 0 || check_room(cx, destination, &s, err) < 0)
		return -1;
	if (s.leased > 0 && m.leases == ETCD_LEASES_SKIP)
		step_note(cx, "%" PRIi64 " of %" PRIi64 " keys have a lease and will be skipped", s.leased, s.keys);
	if (value_get_int(destination, "revision", 0) < value_get_int(source, "revision", 0))
		step_note(cx, "the destination's revision (%" PRIi64 ") is below the source's (%" PRIi64 "): clients that "
			  "remember revisions, such as Kubernetes watches, have to be restarted after the hand-over, or the "
			  "revision raised before it", value_get_int(destination, "revision", 0), value_get_int(source, "revision", 0));
	return preflight_outputs(cx, source, destination, &s, fresh, err);
}

static const struct field preflight_inputs[] = {
	ETCD_MOVE_INPUTS(struct preflight_args),
	{ "allow_empty", F_BOOL, .offset = offsetof(struct preflight_args, allow_empty),
	  .help = "go on where the source has no such key; most likely prefix is wrong then" },
	{ 0 },
};

static const struct field preflight_outputs_table[] = {
	{ "keys", F_INT, .help = "keys of the source that take part, those with a lease included" },
	{ "bytes", F_INT, .help = "their bytes, estimated from a sample" },
	{ "leased", F_INT, .help = "keys with a lease among them" },
	{ "fresh", F_BOOL, .help = "is the destination range empty" },
	{ "source", F_STRING, .help = "the addresses of the source's members" },
	{ "destination", F_STRING, .help = "those of the destination's" },
	{ "source_revision", F_INT, .help = "the source's revision" },
	{ "destination_revision", F_INT, .help = "the destination's revision" },
	{ 0 },
};

const struct step_type etcd_preflight_step = {
	.name = "etcd.preflight",
	.summary = "see whether a copy can be made: health, versions, alarms, room, and what is there",
	.inputs = preflight_inputs,
	.outputs = preflight_outputs_table,
	.args_size = sizeof(struct preflight_args),
	.flags = STEP_READ_ONLY,
	.version = 1,
	.run = preflight_run,
};

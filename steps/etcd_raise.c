/* SPDX-License-Identifier: Apache-2.0 */
/* etcd.raise-revision: brings a store's revision up to a given one, so that clients that remember revisions of another
 * store (Kubernetes' watch caches and controllers) never see one go back. There is no call for this: each transaction
 * counts the revision up by one. These are the cursors of a stream and nothing else, written in lanes until the revision
 * is there; the last effect removes them. What they leave is history, until the store is compacted. */
#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "steps/etcd_move.h"

#define LANES 32
#define SCOPE "revision"
#define HISTORY_COST 120 /* bytes of one revision in the store, about (93 were measured, with short names) */
#define QUOTA_DEFAULT (2LL << 30) /* etcd's own, where a server does not tell */

struct raise_args {
	struct target *on;
	int64_t to, limit;
	double rate;
	const char *markers;
};

struct raise {
	const struct raise_args *args;
	struct stream *stream;
	int64_t from, puts;     /* the revision before; transactions that are needed at most */
	atomic_llong left, last; /* of puts; the highest revision that an answer told */
};

/* A store that runs full takes no writes from anybody. */
static int
check_room(struct step_ctx *cx, const struct value *status, int64_t need, struct err *err)
{
	const int64_t told = value_get_int(status, "quota", 0), quota = told > 0 ? told : QUOTA_DEFAULT;
	const struct value *list = value_get(status, "endpoints");
	char size[3][32];
	int64_t used = 0;

	for (size_t i = 0; list != NULL && list->kind == V_LIST && i < list->len; i++) {
		const int64_t now = value_get_int(&list->items[i], "db_size_in_use", 0);

		used = now > used ? now : used;
	}
	if (used + need <= quota)
		return 0;
	if (told == 0) {
		step_note(cx, "about %s of history are to come, where %s are used: see that --quota-backend-bytes (which this "
			  "version does not tell) allows it", size_text((uint64_t)need, size[0]), size_text((uint64_t)used, size[1]));
		return 0;
	}
	err_set(err, ERR_FAILED, "the store has no room for about %s of history: %s are used, and the quota is %s",
		size_text((uint64_t)need, size[0]), size_text((uint64_t)used, size[1]), size_text((uint64_t)quota, size[2]));
	return err_next(err, "raise --quota-backend-bytes, or restart the clients that remember revisions instead");
}

/* What is to be done; the claim of the stream is one revision, too. */
static int
measure(struct step_ctx *cx, struct raise *r, struct err *err)
{
	const struct value *status;
	int64_t gap;

	if (step_read(cx, &(struct ref){ r->args->on, "status" }, &status, err) < 0)
		return -1;
	if (status->kind != V_MAP)
		return err_set(err, ERR_PREDICTED, "the revision then is not known");
	r->from = value_get_int(status, "revision", 0);
	gap = r->args->to - r->from;
	r->puts = gap > 1 ? gap - 1 : gap;
	if (gap > r->args->limit) {
		err_set(err, ERR_FAILED, "from revision %" PRIi64 " to %" PRIi64 " takes %" PRIi64 " transactions, and the limit is %" PRIi64,
			r->from, r->args->to, gap, r->args->limit);
		return err_next(err, "say a higher limit, or restart the clients that remember revisions instead");
	}
	atomic_init(&r->left, r->puts);
	return gap > 0 ? check_room(cx, status, gap * HISTORY_COST, err) : 0;
}

static int
put_one(struct step_ctx *cx, struct raise *r, unsigned lane, bool *ret_more, struct err *err)
{
	const long long number = atomic_fetch_sub(&r->left, 1);
	enum put_result result;
	int64_t revision = 0;
	struct batch b = { 0 };
	char text[32];

	*ret_more = number > 0 && atomic_load(&r->last) < r->args->to;
	if (!*ret_more)
		return 0;
	b.cursor = (struct bytes){ text, (size_t)snprintf(text, sizeof(text), "%lld", number) };
	if (step_stream_put(cx, r->stream, lane, &b, &result, &revision, err) < 0)
		return -1;
	for (long long seen = atomic_load(&r->last); seen < revision;)
		if (atomic_compare_exchange_weak(&r->last, &seen, revision))
			break;
	step_progress(cx, (uint64_t)(r->puts - number + 1), (uint64_t)r->puts, "revisions");
	return 0;
}

static int
raise_lane(struct step_ctx *cx, void *data, unsigned lane, struct err *err)
{
	bool more = true;

	while (more)
		if (put_one(cx, data, lane, &more, err) < 0)
			return -1;
	return 0;
}

static const char *
says(struct step_ctx *cx, const struct raise *r)
{
	char size[32], time[32];

	if (r->puts <= 0)
		return "leave the store's revision as it is";
	/* less where something else is written meanwhile, such as by the steps before this one in a dry-run */
	return step_text(cx, "raise the store's revision from %" PRIi64 " to %" PRIi64 ": at most %" PRIi64 " transactions, about %s of history%s%s",
			 r->from, r->args->to, r->puts, size_text((uint64_t)r->puts * HISTORY_COST, size),
			 r->args->rate > 0 ? ", at least " : "",
			 r->args->rate > 0 ? duration_text((int64_t)((double)r->puts / r->args->rate) * 1000000000, time) : "");
}

/* The first transaction begins the stream; then the lanes. */
static int
raise_revision(struct step_ctx *cx, struct raise *r, const char *markers, const struct value **ret_result, struct err *err)
{
	struct arena *a = step_arena(cx);
	const char **unknowable = arena_array(a, 2, sizeof(*unknowable));
	const struct bytes prefix = etcd_text(markers);
	const struct bulk bulk = { .on = r->args->on, .verb = "raise", .name = SCOPE, .says = says(cx, r), .prefix = prefix,
				   .path = etcd_path_range(a, prefix, etcd_prefix_end(a, prefix)), .unknowable = unknowable,
				   .lazy = true, .marker_prefix = markers, .rate_ops = r->args->rate };
	struct err ignored = ERR_INIT;
	struct value *result;
	bool more;

	unknowable[0] = etcd_path_markers(a, markers);
	if (step_stream_open(cx, &bulk, &r->stream, ret_result, err) < 0)
		return -1;
	if (r->stream == NULL)
		return 0;
	if (put_one(cx, r, 0, &more, err) < 0 || (more && step_lanes(cx, LANES, raise_lane, r, err) < 0)) {
		(void)step_stream_close(cx, r->stream, false, NULL, &ignored);
		return -1;
	}
	result = arena_alloc(a, sizeof(*result));
	*result = step_is_plan(cx) ? value_unknown("a revision that has not been raised") :
		value_int(atomic_load(&r->last) > r->from ? atomic_load(&r->last) : r->from);
	*ret_result = result;
	return step_stream_close(cx, r->stream, true, result, err);
}

static int
raise_run(struct step_ctx *cx, const void *args, struct err *err)
{
	struct raise *r = arena_alloc(step_arena(cx), sizeof(*r));
	const char *markers;
	const struct value *revision;

	r->args = args;
	markers = step_text(cx, "%sraise/", r->args->markers);
	if (measure(cx, r, err) < 0 || raise_revision(cx, r, markers, &revision, err) < 0)
		return -1;
	const struct effect e = {
		.on = { r->args->on, etcd_path_markers(step_arena(cx), markers) },
		.verb = "release-bulk",
		.body = etcd_release_body(step_arena(cx), markers, SCOPE, true),
		.class = EFFECT_IDEMPOTENT,
		.says = step_text(cx, "remove the keys that counted the revision up, under '%s'", etcd_shown(cx, etcd_text(markers))),
	};

	return step_effect(cx, &e, NULL, err) < 0 ? -1 : step_output(cx, "revision", *revision, err);
}

static const struct field raise_inputs[] = {
	{ "on", F_TARGET, .offset = offsetof(struct raise_args, on), .required = true, .kind = "etcd", .help = "the cluster" },
	{ "to", F_INT, .offset = offsetof(struct raise_args, to), .required = true, .min = 0, .max = 9e18,
	  .help = "the revision that the store has at least, in the end" },
	{ "limit", F_INT, .offset = offsetof(struct raise_args, limit), .dflt = "1000000", .min = 0, .max = 1e12,
	  .help = "refuse to begin where it takes more transactions" },
	{ "rate", F_NUMBER, .offset = offsetof(struct raise_args, rate), .min = 0, .max = 1e12,
	  .help = "transactions a second at most, 0: no limit" },
	{ "markers", F_STRING, .offset = offsetof(struct raise_args, markers), .dflt = "/wherry/",
	  .help = "below this, under raise/, are the keys that are written, and removed in the end" },
	{ 0 },
};

static const struct field raise_outputs[] = {
	{ "revision", F_INT, .help = "the store's revision when it was high enough" },
	{ 0 },
};

const struct step_type etcd_raise_revision_step = {
	.name = "etcd.raise-revision",
	.summary = "raise a store's revision above one that clients remember",
	.inputs = raise_inputs,
	.outputs = raise_outputs,
	.args_size = sizeof(struct raise_args),
	.version = 1,
	.run = raise_run,
};

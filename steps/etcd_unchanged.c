/* SPDX-License-Identifier: Apache-2.0 */
/* etcd.unchanged: is what was moved still all that the source has? A freeze that does not hold loses what is written between
 * the last sync and the hand-over. A key that was written since shows in its revision, one that was deleted in the count. */
#include <inttypes.h>
#include <string.h>

#include "step.h"
#include "steps/etcd_move.h"

struct unchanged_args {
	struct target *in;
	const char *prefix, *leases;
	const struct value *exclude;
	int64_t since, keys;
};

static int
not_frozen(struct step_ctx *cx, struct err *err)
{
	const char *run = step_run_id(cx);

	return err_next(err, "see that nobody writes there; where the source was thawed, it is frozen and brought over again: wherry resume %s\n"
			     "else end this run, and begin a new one with on_existing: replace: wherry abort %s", run, run);
}

static int
judge(struct step_ctx *cx, const struct unchanged_args *a, const struct item *changed, int64_t keys, struct err *err)
{
	if (changed != NULL)
		err_set(err, ERR_FAILED, "the freeze does not hold: key '%s' was written at revision %" PRIi64 ", after %" PRIi64
			", up to which everything was brought over", etcd_shown(cx, changed->key), changed->revision, a->since);
	else if (a->keys >= 0 && keys != a->keys)
		err_set(err, ERR_FAILED, "the freeze does not hold: '%s' had %" PRIi64 " keys at revision %" PRIi64 ", up to which everything "
			"was brought over, and has %" PRIi64, a->prefix, a->keys, a->since, keys);
	else
		return step_output(cx, "keys", value_int(keys), err);
	return not_frozen(cx, err);
}

static int
unchanged_run(struct step_ctx *cx, const void *args, struct err *err)
{
	const struct unchanged_args *a = args;
	const struct item *it, *changed = NULL;
	struct etcd_span span;
	struct etcd_side side = { .on = a->in, .span = &span, .source = true, .keys_only = true,
				  .skip_leased = strcmp(a->leases, "drop") != 0 };
	int64_t keys = 0;
	int rc = 0;

	if (etcd_span_init(step_arena(cx), &span, a->prefix, NULL, a->exclude, "/wherry/", err) < 0)
		return -1;
	etcd_side_begin(&side, span.prefix, span.end);
	while (changed == NULL && (rc = etcd_side_next(cx, &side, &it, err)) > 0) {
		if (it->revision > a->since)
			changed = it;
		keys++;
	}
	rc = rc < 0 ? -1 : judge(cx, a, changed, keys, err);
	etcd_side_done(&side);
	return rc;
}

static const struct field unchanged_inputs[] = {
	{ "in", F_TARGET, .offset = offsetof(struct unchanged_args, in), .required = true, .reads = true, .kind = "etcd",
	  .help = "the source that was frozen" },
	{ "prefix", F_STRING, .offset = offsetof(struct unchanged_args, prefix), .required = true,
	  .help = "what the keys begin with; empty: all keys" },
	{ "exclude", F_LIST, F_STRING, offsetof(struct unchanged_args, exclude),
	  .help = "keys that begin with one of these may change" },
	{ "leases", F_STRING, .offset = offsetof(struct unchanged_args, leases), .dflt = "skip", .choices = etcd_leases_words,
	  .help = "as in etcd.verify; keys with a lease are looked at with drop only" },
	{ "since", F_INT, .offset = offsetof(struct unchanged_args, since), .required = true, .min = 0, .max = 9e18,
	  .help = "the revision after which nothing may have been written: an output of the last sync" },
	{ "keys", F_INT, .offset = offsetof(struct unchanged_args, keys), .dflt = "-1", .min = -1, .max = 9e18,
	  .help = "how many keys there were: an output of verify (default: deletes go unnoticed)" },
	{ 0 },
};

static const struct field unchanged_outputs[] = {
	{ "keys", F_INT, .help = "how many keys there are" },
	{ 0 },
};

const struct step_type etcd_unchanged_step = {
	.name = "etcd.unchanged",
	.summary = "see that nothing was written or deleted under a prefix since a revision",
	.inputs = unchanged_inputs,
	.outputs = unchanged_outputs,
	.args_size = sizeof(struct unchanged_args),
	.flags = STEP_READ_ONLY,
	.version = 1,
	.run = unchanged_run,
};

/* SPDX-License-Identifier: Apache-2.0 */
/* Owns what the inputs of a move mean: the span, the modes, and where this run's own markers lie. */
#include "steps/etcd_move.h"

#include <string.h>

#include "base/text.h"

const char *const etcd_existing_words[] = { "refuse", "merge", "replace", NULL };
const char *const etcd_leases_words[] = { "skip", "drop", "keep", NULL };

int
etcd_move_init(struct step_ctx *cx, const struct etcd_move_args *args, struct etcd_move *ret, struct err *err)
{
	struct arena *a = step_arena(cx);

	*ret = (struct etcd_move){ .args = args, .from = args->from, .to = args->to,
				   .leases = etcd_leases_of(args->leases) };
	if (strcmp(args->on_existing, "merge") == 0)
		ret->existing = ETCD_MERGE;
	else if (strcmp(args->on_existing, "replace") == 0)
		ret->existing = ETCD_REPLACE;
	ret->folder = etcd_text(etcd_marker_folder(a, args->markers, step_run_id(cx), args->scope));
	ret->folder_end = etcd_prefix_end(a, ret->folder);
	return etcd_span_init(a, &ret->span, args->prefix, args->destination_prefix, args->exclude, args->markers, err);
}

struct bulk
etcd_move_bulk(struct step_ctx *cx, const struct etcd_move *m, const char *verb, const char *says)
{
	struct arena *a = step_arena(cx);
	const char **unknowable = arena_array(a, 2, sizeof(*unknowable));

	unknowable[0] = etcd_path_markers(a, m->args->markers);
	return (struct bulk){
		.on = m->to,
		.verb = verb,
		.name = m->args->scope,
		.says = says,
		.prefix = m->span.to_prefix,
		.path = etcd_path_range(a, m->span.to_prefix, m->span.to_end),
		.unknowable = unknowable,
		.marker_prefix = m->args->markers,
		.keep_markers = m->existing != ETCD_REPLACE, /* they tell which keys are ours to remove */
	};
}

struct etcd_side
etcd_move_source(const struct etcd_move *m)
{
	return (struct etcd_side){ .on = m->from, .span = &m->span, .source = true,
				   .skip_leased = m->leases == ETCD_LEASES_SKIP };
}

struct etcd_side
etcd_move_destination(const struct etcd_move *m)
{
	return (struct etcd_side){ .on = m->to, .span = &m->span };
}

int
etcd_move_is_ours(struct step_ctx *cx, const struct etcd_move *m, bool *ret, struct err *err)
{
	const struct query q = { .target = m->to, .from = m->folder, .to = m->folder_end, .limit = 1,
				 .keys_only = true };
	struct page page;

	if (step_list(cx, &q, &page, err) < 0)
		return -1;
	*ret = page.n > 0;
	return 0;
}

int
etcd_not_empty(struct step_ctx *cx, const char *key, struct err *err)
{
	err_set(err, ERR_PLAN, "the destination is not empty: key '%s' exists", key);
	step_suggest(cx, "to adopt what is equal", "on_existing", "merge", err);
	step_suggest(cx, "to overwrite it", "on_existing", "replace", err);
	return step_suggest(cx, "to go elsewhere", "destination_prefix", "PREFIX", err);
}

int
etcd_lease_left(struct step_ctx *cx, const struct etcd_move *m, int64_t id, int64_t *ret, struct err *err)
{
	const struct value *lease;

	if (step_read(cx, &(struct ref){ m->from, etcd_path_lease(step_arena(cx), id) }, &lease, err) < 0)
		return -1;
	*ret = value_get_int(lease, "ttl", 0);
	return 0;
}

int
etcd_put_outputs(struct step_ctx *cx, const struct value *map, struct err *err)
{
	for (size_t i = 0; i < map->len; i++)
		if (step_output(cx, map->pairs[i].key, map->pairs[i].v, err) < 0)
			return -1;
	return 0;
}

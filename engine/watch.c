/* SPDX-License-Identifier: Apache-2.0 */
/* Watches of handlers: the target's own, with the waits cut into slices so that a signal is seen. In a dry-run the world
 * is watched as it is, unless an earlier step is predicted to change what would be watched. */
#include "ctx.h"

#include "base/clock.h"

#define SLICE (200 * NS_PER_MS)

struct watch {
	struct step_ctx *cx;
	const struct target *target;
	void *conn_watch;
};

int
step_watch(struct step_ctx *cx, const struct query *asked, struct watch **ret, struct err *err)
{
	struct target *const target = asked->target;
	const struct target_type *type = target->type;
	struct watch *w = arena_alloc(cx->arena, sizeof(*w));
	struct value known;
	struct query q;
	unsigned tries = 0;
	int rc;

	if (type->watch_open == NULL)
		return err_set(err, ERR_FAILED, "target '%s' of kind %s cannot be watched", target->name, type->kind);
	if (ctx_check(cx, err) < 0 || target_spell_query(cx, asked, &q, err) < 0)
		return -1;
	if (type->query_path != NULL && ctx_look(cx, target, type->query_path(cx->op.arena, &q), &known))
		return err_set(err, ERR_PREDICTED, "what %s holds then is not known: an earlier step changes it",
			       target->name);
	if (target_ready(cx, target, err) < 0)
		return -1;
	*w = (struct watch){ .cx = cx, .target = target };
	do
		rc = type->watch_open(&cx->op, target->conn, &q, &w->conn_watch, err);
	while (rc < 0 && ctx_wait_away(cx, target, &tries, err));
	if (rc == 0)
		*ret = w;
	return rc;
}

int
step_watch_next(struct watch *w, int64_t wait_ns, struct changes *ret, struct err *err)
{
	const int64_t end = clock_now() + wait_ns;
	int64_t left;

	do {
		if (ctx_check(w->cx, err) < 0)
			return -1;
		left = end - clock_now();
		if (w->target->type->watch_next(&w->cx->op, w->conn_watch, left < SLICE ? left > 0 ? left : 0 : SLICE, ret, err) < 0)
			return -1;
	} while (ret->n == 0 && ret->revision == 0 && !ret->compacted && left > SLICE);
	return 0;
}

void
step_watch_close(struct watch *w)
{
	if (w != NULL)
		w->target->type->watch_close(w->conn_watch);
}

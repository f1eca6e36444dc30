/* SPDX-License-Identifier: Apache-2.0 */
/* Reads and lists of handlers: under the path's one spelling, from the overlay where it tells, else from the target. */
#include "ctx.h"

#include <string.h>

#include "base/hash.h"

int
target_spell(struct step_ctx *cx, struct target *t, const char *path, const char **ret, struct err *err)
{
	struct arena *keep = cx->op.arena;
	unsigned tries = 0;
	int rc;

	*ret = path;
	if (t->type->name == NULL)
		return 0;
	if (target_ready(cx, t, err) < 0)
		return -1;
	cx->op.arena = cx->arena;
	do
		rc = t->type->name(&cx->op, t->conn, path, ret, err);
	while (rc < 0 && ctx_wait_away(cx, t, &tries, err));
	cx->op.arena = keep;
	return rc;
}

int
target_spell_query(struct step_ctx *cx, const struct query *q, struct query *ret, struct err *err)
{
	const char *path;

	*ret = *q;
	if (q->target->type->name == NULL)
		return 0;
	if (target_spell(cx, q->target, arena_strndup(cx->arena, q->from.p, q->from.len), &path, err) < 0)
		return -1;
	ret->from = (struct bytes){ path, strlen(path) };
	return 0;
}

bool
ctx_look(struct step_ctx *cx, const struct target *t, const char *path, struct value *ret)
{
	struct door_letter *l;
	struct err ignored = ERR_INIT;

	if (cx->at->shared->mode != MODE_PLAN || path == NULL)
		return false;
	l = ctx_letter(cx, LETTER_LOOK);
	l->target = t;
	l->path = path;
	if (ctx_ask(cx, l, &ignored) < 0 || !l->found)
		return false;
	*ret = l->value;
	return true;
}

/* A plan file keeps what its dry-run has read of this machine: when it is run, all of it has to be the same. */
static void
tell_file(struct step_ctx *cx, const char *path, const char *digest)
{
	struct door_letter *l = ctx_letter(cx, LETTER_FILE);

	l->event = (struct event){ .kind = EVENT_FILE, .step = cx->at->path, .ref = arena_strdup(cx->arena, path),
		.msg = arena_strdup(cx->arena, digest) };
	ctx_post(cx, l, false);
}

static void
tell_read(struct step_ctx *cx, const struct target_type *type, const char *path, const struct value *v)
{
	const char *here = cx->at->shared->tells_files && type->here != NULL ? type->here(path) : NULL;
	char hex[SHA256_HEX];

	if (here == NULL)
		return;
	value_digest(v, (struct bytes){ "", 0 }, hex);
	tell_file(cx, here, value_get_str(v, "sha256", hex));
}

static void
tell_list(struct step_ctx *cx, const struct target_type *type, const struct page *page)
{
	char hex[SHA256_HEX];

	for (size_t i = 0; cx->at->shared->tells_files && type->here != NULL && i < page->n; i++) {
		const struct item *item = &page->items[i];

		sha256_hex(item->value.p, item->value.len, hex);
		tell_file(cx, type->here(arena_strndup(cx->arena, item->key.p, item->key.len)), hex);
	}
}

int
ctx_tell_source(struct step_ctx *cx, const struct effect *f, struct err *err)
{
	const struct target *t = f->on.target;
	const char *path = cx->at->shared->tells_files && t->type->source != NULL ? t->type->source(f) : NULL;
	struct value v;

	if (path == NULL || ctx_look(cx, t, path, &v))
		return 0;
	if (t->type->read(&cx->op, t->conn, path, &v, err) < 0)
		return -1;
	tell_read(cx, t->type, path, &v);
	return 0;
}

int
step_read(struct step_ctx *cx, const struct ref *ref, const struct value **ret, struct err *err)
{
	const struct target_type *type = ref->target->type;
	struct value *v = arena_alloc(cx->op.arena, sizeof(*v));
	const char *path;
	unsigned tries = 0;
	int rc;

	if (ctx_check(cx, err) < 0 || target_spell(cx, ref->target, ref->path, &path, err) < 0)
		return -1;
	if (ctx_look(cx, ref->target, path, v)) {
		if (type->shown != NULL)
			*v = type->shown(cx->op.arena, &(struct effect){ .on = { ref->target, path }, .verb = "" }, v, false);
	} else {
		if (target_ready(cx, ref->target, err) < 0)
			return -1;
		do
			rc = type->read(&cx->op, ref->target->conn, path, v, err);
		while (rc < 0 && ctx_wait_away(cx, ref->target, &tries, err));
		if (rc < 0)
			return -1;
		tell_read(cx, type, path, v);
	}
	*ret = v;
	return 0;
}

/* In a dry-run: is what is listed what earlier steps would make? Then it is as they would, where that is known. */
static bool
is_ahead(struct step_ctx *cx, const struct query *q, struct page *ret, bool *ret_known)
{
	const struct target_type *type = q->target->type;
	struct arena *keep = cx->op.arena;
	struct value known;

	*ret_known = false;
	if (cx->at->shared->mode != MODE_PLAN || type->query_path == NULL || !ctx_look(cx, q->target, type->query_path(keep, q), &known))
		return false;
	if (type->foreseen != NULL && q->target->conn != NULL) {
		arena_reset(&cx->page);
		cx->op.arena = &cx->page;
		*ret_known = type->foreseen(&cx->op, q->target->conn, q, ret);
		cx->op.arena = keep;
	}
	return true;
}

int
step_list(struct step_ctx *cx, const struct query *asked, struct page *ret, struct err *err)
{
	struct target *const target = asked->target;
	const struct target_type *type = target->type;
	struct query q;
	struct arena *keep = cx->op.arena;
	bool known;
	unsigned tries = 0;
	int rc;

	if (type->list == NULL)
		return err_set(err, ERR_FAILED, "target '%s' of kind %s cannot be listed", target->name, type->kind);
	if (ctx_check(cx, err) < 0 || target_spell_query(cx, asked, &q, err) < 0)
		return -1;
	if (is_ahead(cx, &q, ret, &known))
		return known ? 0 : err_set(err, ERR_PREDICTED, "what %s holds then is not known: an earlier step changes it",
					   target->name);
	if (target_ready(cx, target, err) < 0)
		return -1;
	if (q.resume.len > 0) /* it may lie in the page that is let go now */
		q.resume.p = arena_strndup(cx->arena, q.resume.p, q.resume.len);
	arena_reset(&cx->page);
	cx->op.arena = &cx->page;
	do
		rc = type->list(&cx->op, target->conn, &q, ret, err);
	while (rc < 0 && ctx_wait_away(cx, target, &tries, err));
	cx->op.arena = keep;
	if (rc == 0)
		tell_list(cx, type, ret);
	return rc;
}

void
step_page_keep(struct step_ctx *cx, struct arena *keep)
{
	const struct arena page = cx->page;

	cx->page = *keep;
	*keep = page;
}

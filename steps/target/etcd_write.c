/* SPDX-License-Identifier: Apache-2.0 */
/* Owns the single writes of the etcd target kind and what the door asks about them: images, predictions, probes and
 * inverses. Every write is one transaction whose compares are the effect's guard; where it does not hold nothing is
 * written, and that is a definite failure. */
#include "steps/target/etcd.h"

#include <string.h>

#include "base/text.h"
#include "steps/target/etcd_paths.h"

/* An effect, taken apart. */
struct ask {
	enum { DO_PUT, DO_DELETE, DO_COMPACT } what;
	struct etcd_path path;
	const struct value *value, *guard;
	int64_t lease, revision;
};

static int
parse_effect(struct arena *a, const struct effect *e, struct ask *ret, struct err *err)
{
	static const char *const verbs[] = { "put", "delete", "compact" };
	enum etcd_path_kind kind;
	size_t i = 0;

	*ret = (struct ask){ 0 };
	while (i < countof(verbs) && strcmp(e->verb, verbs[i]) != 0)
		i++;
	if (i == countof(verbs))
		return err_set(err, ERR_PLAN, "etcd targets know no effect '%s'", e->verb);
	if (etcd_path_parse(a, e->on.path, &ret->path, err) < 0)
		return -1;
	ret->what = (int)i;
	ret->value = value_get(&e->body, "value");
	ret->guard = value_get(&e->body, "guard");
	ret->lease = value_get_int(&e->body, "lease", 0);
	ret->revision = value_get_int(&e->body, "revision", 0);
	if (ret->guard != NULL && ret->guard->kind == V_NULL)
		ret->guard = NULL;
	kind = ret->path.kind;
	if ((ret->what == DO_PUT && kind != ETCD_PATH_KEY) ||
	    (ret->what == DO_DELETE && kind != ETCD_PATH_KEY && (kind != ETCD_PATH_RANGE || ret->guard != NULL)))
		return err_set(err, ERR_PLAN, "etcd: '%s' does not go with '%s'", e->verb, e->on.path);
	if (ret->what == DO_PUT && (ret->value == NULL || ret->value->kind != V_STRING))
		return err_set(err, ERR_PLAN, "etcd: the value to put is not a string");
	return 0;
}

static const char *
shown(struct arena *a, struct bytes key)
{
	return text_safe(a, key.p, key.len, 200);
}

static int
put_guard(struct buf *to, const struct ask *s, struct err *err)
{
	const struct value *v;

	if (s->guard == NULL)
		return 0;
	if (s->guard->kind == V_STRING && strcmp(s->guard->s, "absent") == 0) {
		etcd_if_revision(to, ETCD_CREATE_REVISION, s->path.key, (struct bytes){ 0 }, ETCD_EQUAL, 0);
		return 0;
	}
	if ((v = value_get(s->guard, "mod_revision")) != NULL && v->kind == V_INT) {
		etcd_if_revision(to, ETCD_MOD_REVISION, s->path.key, (struct bytes){ 0 }, ETCD_EQUAL, v->i);
		return 0;
	}
	if ((v = value_get(s->guard, "value")) != NULL && v->kind == V_STRING) {
		etcd_if_value(to, s->path.key, etcd_bytes(v));
		return 0;
	}
	return err_set(err, ERR_PLAN, "etcd: guard is neither 'absent' nor {value} nor {mod_revision}");
}

/* Say which guard does not hold over what is there (null or the key's map). */
static int
guard_failed(struct arena *a, const struct ask *s, const struct value *now, struct err *err)
{
	const char *key = shown(a, s->path.key);
	long long mod = (long long)value_get_int(now, "mod_revision", 0);

	if (now->kind == V_NULL)
		return err_set(err, ERR_FAILED, "key '%s' is not there", key);
	if (s->guard->kind == V_STRING)
		return err_set(err, ERR_FAILED, "key '%s' exists already (mod_revision %lld)", key, mod);
	if (value_get(s->guard, "value") != NULL)
		return err_set(err, ERR_FAILED, "key '%s' holds another value (mod_revision %lld)", key, mod);
	return err_set(err, ERR_FAILED, "key '%s' has changed: mod_revision is %lld, not %lld", key, mod,
		       (long long)value_get_int(s->guard, "mod_revision", 0));
}

/* Does the guard hold over this state of the key? 1 yes, 0 no, -1: cannot be told before the write. */
static int
guard_holds(const struct ask *s, const struct value *now)
{
	const struct value *want, *have;

	if (s->guard == NULL)
		return 1;
	if (now->kind == V_UNKNOWN)
		return -1;
	if (s->guard->kind == V_STRING)
		return now->kind == V_NULL;
	if ((want = value_get(s->guard, "mod_revision")) != NULL) {
		have = value_get(now, "mod_revision");
	} else {
		want = value_get(s->guard, "value");
		have = value_get(now, "value");
	}
	if (want == NULL || ((want->flags | (have != NULL ? have->flags : 0)) & VF_UNKNOWN) != 0)
		return -1;
	return have == NULL ? want->kind == V_INT && want->i == 0 : value_eq(want, have);
}

static int
send(struct opctx *cx, struct etcd_conn *c, const char *method, struct buf *request, struct bytes *ret, struct err *err)
{
	struct etcd_call call = { .method = method, .request = request, .kind = ETCD_WRITE, .arena = cx->arena };
	int result;

	grpc_end(request);
	result = etcd_call(cx, c, &call, err);
	*ret = call.reply;
	return result;
}

static int
page_of(struct arena *a, const struct etcd_txn *t, size_t op, struct page *ret)
{
	struct etcd_header header;

	return op < t->n && op < ETCD_TXN_KEPT ? etcd_range_decode(a, t->ranges[op], &header, ret) : -1;
}

/* put and delete: one transaction, the key read back inside it. */
static int
write_txn(struct opctx *cx, struct etcd_conn *c, const struct ask *s, struct reply *ret, struct err *err)
{
	struct etcd_range look = { .key = s->path.key };
	struct buf request = BUF_INIT(0);
	struct bytes reply = { 0 };
	struct etcd_txn txn;
	struct page page;
	struct value now;
	int result = -1;

	grpc_begin(&request);
	if (put_guard(&request, s, err) < 0)
		goto out;
	if (s->what == DO_PUT)
		etcd_op_put(&request, ETCD_THEN, s->path.key, etcd_bytes(s->value), s->lease);
	else
		etcd_op_delete(&request, ETCD_THEN, s->path.key.len > 0 ? s->path.key : (struct bytes){ "", 1 },
			       s->path.end);
	if (s->what == DO_PUT)
		etcd_op_range(&request, ETCD_THEN, &look);
	if (s->guard != NULL)
		etcd_op_range(&request, ETCD_ELSE, &look);
	if (send(cx, c, ETCD_TXN, &request, &reply, err) < 0)
		goto out;
	if (etcd_txn_decode(reply, &txn) < 0 ||
	    ((s->what == DO_PUT || !txn.succeeded) && page_of(cx->arena, &txn, txn.succeeded ? 1 : 0, &page) < 0)) {
		(void)err_set(err, ERR_UNKNOWN, "etcd at %s: the reply to a write is malformed", etcd_conn_names(c));
		goto out;
	}
	if (!txn.succeeded) {
		now = etcd_item_value(cx->arena, &page);
		(void)guard_failed(cx->arena, s, &now, err);
		goto out;
	}
	*ret = (struct reply){ .outcome = OUTCOME_OK };
	ret->value = s->what == DO_PUT ? etcd_item_value(cx->arena, &page) :
		ETCD_MAP(cx->arena, { "deleted", value_int(txn.deleted) }, { "revision", value_int(txn.header.revision) });
	result = 0;
out:
	buf_done(&request);
	return result;
}

static int
write_compact(struct opctx *cx, struct etcd_conn *c, const struct ask *s, struct reply *ret, struct err *err)
{
	struct buf request = BUF_INIT(0);
	struct bytes reply;
	int result;

	grpc_begin(&request);
	etcd_compact_encode(&request, s->revision);
	result = send(cx, c, ETCD_COMPACT, &request, &reply, err);
	buf_done(&request);
	*ret = (struct reply){ .outcome = OUTCOME_OK,
			       .value = ETCD_MAP(cx->arena, { "revision", value_int(s->revision) }) };
	return result;
}

static int
key_write(struct opctx *cx, void *conn, const struct effect *e, const char *nonce, struct reply *ret, struct err *err)
{
	struct ask s;

	(void)nonce; /* a key has no place for it: version and mod_revision tell whose write it was */
	if (parse_effect(cx->arena, e, &s, err) < 0)
		return -1;
	return s.what == DO_COMPACT ? write_compact(cx, conn, &s, ret, err) : write_txn(cx, conn, &s, ret, err);
}

static int
key_image(struct opctx *cx, void *conn, const struct effect *e, struct value *ret, struct err *err)
{
	struct etcd_range look;
	struct page page;
	struct ask s;

	*ret = VALUE_NULL;
	if (parse_effect(cx->arena, e, &s, err) < 0)
		return -1;
	if (s.what == DO_COMPACT)
		return 0;
	look = (struct etcd_range){ .key = s.path.key.len > 0 ? s.path.key : (struct bytes){ "", 1 }, .end = s.path.end,
				    .count_only = s.path.kind == ETCD_PATH_RANGE };
	if (etcd_range(cx, conn, &look, cx->arena, &page, err) < 0)
		return -1;
	*ret = look.count_only ? ETCD_MAP(cx->arena, { "count", value_int(page.count) }) :
		etcd_item_value(cx->arena, &page);
	return 0;
}

static bool
same_content(const struct ask *s, const struct value *now)
{
	const struct value *value = value_get(now, "value"), *lease = value_get(now, "lease");

	return value != NULL && value_eq(value, s->value) && lease != NULL && lease->kind == V_INT &&
	       lease->i == s->lease;
}

static bool
key_same(const struct effect *e, const struct value *before)
{
	struct arena a = ARENA_INIT;
	struct err err;
	struct ask s;
	bool same = false;

	if (parse_effect(&a, e, &s, &err) == 0) {
		if (s.what == DO_PUT)
			same = same_content(&s, before) && guard_holds(&s, before) == 1;
		else if (s.what == DO_DELETE && s.path.kind == ETCD_PATH_KEY)
			same = before->kind == V_NULL && guard_holds(&s, before) == 1;
		else if (s.what == DO_DELETE)
			same = value_get_int(before, "count", -1) == 0;
	}
	arena_done(&a);
	return same;
}

static struct value
after_put(struct arena *a, const struct ask *s, const struct value *before)
{
	const struct value *version = value_get(before, "version"), *created = value_get(before, "create_revision");
	struct value unknown = value_unknown("the revision of a write that has not been made");
	struct value next = value_unknown("the number of writes to the key");

	if (before->kind == V_NULL)
		next = value_int(1);
	else if (version != NULL && version->kind == V_INT)
		next = value_int(version->i + 1);
	return ETCD_MAP(a, { "key", value_strn(s->path.key.p, s->path.key.len) }, { "value", value_copy(a, s->value) }, { "version", next },
			{ "create_revision", created != NULL ? *created : unknown }, { "mod_revision", unknown },
			{ "lease", value_int(s->lease) });
}

static int
key_predict(struct opctx *cx, void *conn, const struct effect *e, const struct value *before, struct prediction *ret,
	     struct err *err)
{
	struct ask s;

	(void)conn;
	if (parse_effect(cx->arena, e, &s, err) < 0)
		return -1;
	*ret = (struct prediction){ .confidence = CONF_PREDICTED, .after = VALUE_NULL };
	if ((s.what == DO_PUT || s.what == DO_DELETE) && guard_holds(&s, before) == 0)
		return guard_failed(cx->arena, &s, before, err);
	if (s.what == DO_PUT)
		ret->after = after_put(cx->arena, &s, before);
	else if (s.what == DO_DELETE && s.path.kind == ETCD_PATH_RANGE)
		ret->after = ETCD_MAP(cx->arena, { "count", value_int(0) });
	return 0;
}

static enum probe
found_key(const struct ask *s, const struct value *before, const struct value *now)
{
	if (before->kind == V_NULL && now->kind == V_NULL)
		return s->what == DO_PUT ? PROBE_NOT_DONE : PROBE_DONE_BY_US;
	if (value_get_int(before, "mod_revision", 0) == value_get_int(now, "mod_revision", 0))
		return PROBE_NOT_DONE;
	if (s->what == DO_DELETE)
		return now->kind == V_NULL ? PROBE_DONE_BY_US : PROBE_OTHER;
	/* exactly one write since, and it is what we asked for */
	return same_content(s, now) && value_get_int(now, "version", 0) == value_get_int(before, "version", 0) + 1 ?
		PROBE_DONE_BY_US : PROBE_OTHER;
}

static int
key_probe(struct opctx *cx, void *conn, const struct effect *e, const char *nonce, const struct value *before,
	   enum probe *ret, struct err *err)
{
	struct value now;
	struct ask s;

	(void)nonce;
	*ret = PROBE_CANNOT_TELL;
	if (parse_effect(cx->arena, e, &s, err) < 0 || key_image(cx, conn, e, &now, err) < 0)
		return -1;
	if (s.what == DO_COMPACT)
		return 0;
	*ret = s.path.kind == ETCD_PATH_KEY ? found_key(&s, before, &now) :
		key_same(e, &now) ? PROBE_DONE_BY_US : PROBE_NOT_DONE;
	return 0;
}

static int
key_invert(struct arena *a, const struct effect *e, const struct value *before, const struct value *after,
	    struct effect *ret, struct err *err)
{
	struct value guard;
	struct ask s;

	if (parse_effect(a, e, &s, err) < 0)
		return -1;
	if (s.path.kind != ETCD_PATH_KEY || (s.what == DO_DELETE && before->kind != V_MAP) ||
	    (s.what == DO_PUT && value_get(after, "mod_revision") == NULL))
		return err_set(err, ERR_FAILED, "etcd: '%s' of '%s' cannot be taken back", e->verb, e->on.path);
	*ret = (struct effect){ .on = e->on, .verb = before->kind == V_NULL ? "delete" : "put", .class = EFFECT_PROBE };
	guard = s.what == DO_DELETE ? value_str("absent") :
		ETCD_MAP(a, { "mod_revision", *value_get(after, "mod_revision") });
	if (before->kind == V_NULL) {
		ret->body = ETCD_MAP(a, { "guard", guard });
		ret->says = arena_printf(a, "delete key '%s' again", shown(a, s.path.key));
		return 0;
	}
	ret->body = ETCD_MAP(a, { "value", *value_get(before, "value") },
			     { "lease", value_int(value_get_int(before, "lease", 0)) }, { "guard", guard });
	ret->says = arena_printf(a, "put the old value of key '%s' back", shown(a, s.path.key));
	return 0;
}

const struct etcd_effects etcd_key_effects = {
	.write = key_write,
	.image = key_image,
	.same = key_same,
	.predict = key_predict,
	.probe = key_probe,
	.invert = key_invert,
};

/* SPDX-License-Identifier: Apache-2.0 */
/* Owns the target kind `etcd`: its connection fields, its reads and lists, and the table that puts the parts together.
 * The syntax of paths and of effects' bodies is in etcd_paths.h. */
#include "steps/target/etcd.h"

#include <string.h>

#include "base/clock.h"
#include "steps/target/etcd_auth.h"
#include "steps/target/targets.h"

#define PAGE_BYTES (16U << 20) /* of several items; a single one may take ETCD_REPLY_MAX */

static const struct field etcd_fields[] = {
	{ .name = "endpoints", .type = F_LIST, .item = F_URL, .offset = offsetof(struct etcd_args, endpoints),
	  .required = true,
	  .help = "URLs of the members, http:// or https:// (2379 where no port is given); the next one is tried when one fails." },
	{ .name = "ca", .type = F_PATH, .offset = offsetof(struct etcd_args, ca),
	  .help = "File of the certificates that sign the servers' ones; instead of the system's." },
	{ .name = "cert", .type = F_PATH, .offset = offsetof(struct etcd_args, cert),
	  .help = "File of the client certificate; its common name is the user where the servers check it." },
	{ .name = "key", .type = F_PATH, .offset = offsetof(struct etcd_args, key),
	  .help = "File of the client certificate's key; only its owner may read it." },
	{ .name = "user", .type = F_STRING, .offset = offsetof(struct etcd_args, user),
	  .help = "User of the cluster, where authentication is on." },
	{ .name = "password", .type = F_SECRET, .secret = true, .offset = offsetof(struct etcd_args, password),
	  .help = "Password of the user." },
	{ 0 },
};

int
etcd_malformed(const struct etcd_conn *c, const char *what, struct err *err)
{
	return err_set(err, ERR_FAILED, "etcd at %s: the reply to %s is malformed", etcd_conn_names(c), what);
}

struct value
etcd_map(struct arena *a, const struct pair *pairs, size_t n)
{
	struct pair *copy = arena_array(a, n, sizeof(*copy));

	if (n > 0)
		memcpy(copy, pairs, n * sizeof(*copy));
	return value_map(copy, n);
}

struct bytes
etcd_bytes(const struct value *v)
{
	return v != NULL && v->kind == V_STRING ? (struct bytes){ v->s, v->len } : (struct bytes){ 0 };
}

static struct value
string_of(struct arena *a, struct bytes b)
{
	return value_strn(arena_strndup(a, b.p, b.len), b.len); /* with the NUL that a value has */
}

struct value
etcd_item_value(struct arena *a, const struct page *p)
{
	const struct item *it = p->items;

	if (p->n == 0)
		return VALUE_NULL;
	return ETCD_MAP(a, { "key", string_of(a, it->key) }, { "value", string_of(a, it->value) },
			{ "version", value_int(it->version) }, { "create_revision", value_int(it->created) },
			{ "mod_revision", value_int(it->revision) }, { "lease", value_int(it->lease) });
}

/* Many items of a page were small ones, and then come large ones: what it weighs is known once it is there. Fewer of them,
 * if it was too heavy. */
static bool
ask_for_less(struct etcd_range *r, const struct etcd_call *call)
{
	if (call->refused_len == 0 || r->limit <= 1)
		return false;
	r->limit = (int64_t)((double)r->limit * (PAGE_BYTES / 2) / (double)call->refused_len);
	r->limit = r->limit < 1 ? 1 : r->limit;
	return true;
}

int
etcd_range(struct opctx *cx, struct etcd_conn *c, const struct etcd_range *r, struct arena *a, struct page *ret,
	   struct err *err)
{
	struct buf request = BUF_INIT(0);
	struct etcd_call call = { .method = ETCD_RANGE, .request = &request, .kind = ETCD_READ, .arena = a };
	struct etcd_range ask = *r;
	struct etcd_header header;
	int result;

	do {
		*err = ERR_INIT;
		call.max = ask.limit > 1 ? PAGE_BYTES : ETCD_REPLY_MAX;
		grpc_begin(&request);
		etcd_range_encode(&request, &ask);
		grpc_end(&request);
		result = etcd_call(cx, c, &call, err);
	} while (result < 0 && ask_for_less(&ask, &call));
	buf_done(&request);
	if (result == 0 && etcd_range_decode(a, call.reply, &header, ret) < 0)
		result = etcd_malformed(c, "Range", err);
	return result;
}

static int
read_key(struct opctx *cx, struct etcd_conn *c, struct bytes key, struct value *ret, struct err *err)
{
	struct pair all[7];
	struct page page;

	if (etcd_range(cx, c, &(struct etcd_range){ .key = key }, cx->arena, &page, err) < 0)
		return -1;
	*ret = etcd_item_value(cx->arena, &page);
	if (page.n == 0)
		return 0;
	memcpy(all, ret->pairs, 6 * sizeof(*all));
	all[6] = (struct pair){ "header_revision", value_int(page.revision) };
	*ret = etcd_map(cx->arena, all, 7);
	return 0;
}

static int
read_range(struct opctx *cx, struct etcd_conn *c, const struct etcd_path *p, struct value *ret, struct err *err)
{
	struct etcd_range r = { .key = p->key, .end = p->end, .count_only = true };
	struct page page;

	if (r.key.len == 0)
		r.key = (struct bytes){ "", 1 };
	if (etcd_range(cx, c, &r, cx->arena, &page, err) < 0)
		return -1;
	*ret = ETCD_MAP(cx->arena, { "count", value_int(page.count) }, { "header_revision", value_int(page.revision) });
	return 0;
}

int
etcd_get_lease(struct opctx *cx, struct etcd_conn *c, int64_t id, struct etcd_lease *ret, struct err *err)
{
	struct buf request = BUF_INIT(0);
	struct etcd_call call = { .method = ETCD_LEASE_TTL, .request = &request, .kind = ETCD_READ, .arena = cx->arena };
	int result;

	grpc_begin(&request);
	etcd_lease_ttl_encode(&request, id);
	grpc_end(&request);
	result = etcd_call(cx, c, &call, err);
	buf_done(&request);
	if (result == 0 && etcd_lease_decode(call.reply, ret) < 0)
		result = etcd_malformed(c, "LeaseTimeToLive", err);
	return result;
}

static int
read_lease(struct opctx *cx, struct etcd_conn *c, int64_t id, struct value *ret, struct err *err)
{
	struct etcd_lease lease;

	if (etcd_get_lease(cx, c, id, &lease, err) < 0)
		return -1;
	*ret = lease.ttl < 0 ? VALUE_NULL :
		ETCD_MAP(cx->arena, { "id", value_int(id) }, { "ttl", value_int(lease.ttl) },
			 { "granted_ttl", value_int(lease.granted) });
	return 0;
}

static int
etcd_read(struct opctx *cx, void *conn, const char *path, struct value *ret, struct err *err)
{
	struct etcd_path p;

	if (etcd_path_parse(cx->arena, path, &p, err) < 0)
		return -1;
	switch (p.kind) {
	case ETCD_PATH_KEY:
		return read_key(cx, conn, p.key, ret, err);
	case ETCD_PATH_RANGE:
		return read_range(cx, conn, &p, ret, err);
	case ETCD_PATH_LEASE:
		return read_lease(cx, conn, p.lease, ret, err);
	case ETCD_PATH_STATUS:
		return etcd_read_status(cx, conn, ret, err);
	case ETCD_PATH_ALARMS:
		return etcd_read_alarms(cx, conn, ret, err);
	case ETCD_PATH_HISTORY:
		*ret = VALUE_NULL;
		return 0;
	case ETCD_PATH_AUTH:
		return etcd_read_auth(cx, conn, ret, err);
	case ETCD_PATH_ROLES:
		return etcd_read_names(cx, conn, ETCD_ROLE_LIST, ret, err);
	case ETCD_PATH_USERS:
		return etcd_read_names(cx, conn, ETCD_USER_LIST, ret, err);
	case ETCD_PATH_ROLE:
		return etcd_read_role(cx, conn, p.key.p, ret, err);
	case ETCD_PATH_USER:
		return etcd_read_user(cx, conn, p.key.p, ret, err);
	case ETCD_PATH_SNAPSHOT:
		return etcd_read_snapshot(cx, p.key.p, ret, err);
	case ETCD_PATH_MARKERS:
		break;
	}
	return err_set(err, ERR_PLAN, "'%s' cannot be read", path);
}

static int
etcd_list(struct opctx *cx, void *conn, const struct query *q, struct page *ret, struct err *err)
{
	struct etcd_range r = { .key = q->from, .end = q->to, .limit = q->limit, .revision = q->revision,
				.min_mod_revision = q->min_revision, .keys_only = q->keys_only,
				.count_only = q->count_only };

	if (r.key.len == 0 && r.end.len > 0)
		r.key = (struct bytes){ "", 1 }; /* the first key that there can be */
	return etcd_range(cx, conn, &r, cx->arena, ret, err);
}

static const char *
etcd_query_path(struct arena *a, const struct query *q)
{
	return etcd_path_range(a, q->from, q->to);
}

/* The replies of what deletes count what is gone; all others are images. */
static struct value
etcd_after(struct arena *a, const struct effect *e, const struct value *reply)
{
	if (strcmp(e->verb, "release-bulk") == 0)
		return etcd_released(a, e);
	if (strcmp(e->verb, "delete") != 0)
		return *reply;
	return etcd_path_plain(e->on.path) ? VALUE_NULL : ETCD_MAP(a, { "count", value_int(0) });
}

const struct target_type etcd_target = {
	.kind = "etcd",
	.sensitive = true,
	.summary = "an etcd cluster, spoken to in native gRPC",
	.fields = etcd_fields,
	.args_size = sizeof(struct etcd_args),
	.open = etcd_conn_open,
	.close = etcd_conn_close,
	.identity = etcd_identity,
	.read = etcd_read,
	.list = etcd_list,
	.watch_open = etcd_watch_open,
	.watch_next = etcd_watch_next,
	.watch_close = etcd_watch_close,
	.write = etcd_write,
	.image = etcd_image,
	.same = etcd_same,
	.predict = etcd_predict,
	.probe = etcd_probe,
	.after = etcd_after,
	.recheck = etcd_recheck_snapshot,
	.recheck_under = "snapshot/",
	.invert = etcd_invert,
	.covers = etcd_path_covers,
	.plain = etcd_path_plain,
	.query_path = etcd_query_path,
	.bulk_open = etcd_bulk_open,
	.bulk_look = etcd_bulk_look,
	.bulk_cursor = etcd_bulk_cursor,
	.bulk_put = etcd_bulk_put,
	.bulk_close = etcd_bulk_close,
	.ends_claims = etcd_ends_claims,
};

/* SPDX-License-Identifier: Apache-2.0 */
/* Owns what an etcd cluster says of itself: identity, status of every member, alarms. All text is the servers' and is
 * escaped; a member that does not answer is listed with its error, and one that answers is enough. */
#include "steps/target/etcd.h"

#include <string.h>

#include "base/text.h"

#define TEXT_MAX 200

static struct value
hex_value(struct arena *a, uint64_t id)
{
	return value_str(arena_printf(a, "%llx", (unsigned long long)id));
}

static struct value
text_value(struct arena *a, struct bytes b)
{
	return value_str(text_safe(a, b.p, b.len, TEXT_MAX));
}

/* A call whose request is the empty message. */
static int
ask(struct opctx *cx, struct etcd_conn *c, struct etcd_call *call, struct err *err)
{
	struct buf request = BUF_INIT(0);
	int result;

	grpc_begin(&request);
	grpc_end(&request);
	call->request = &request;
	call->kind = ETCD_READ;
	result = etcd_call(cx, c, call, err);
	buf_done(&request);
	return result;
}

int
etcd_get_status(struct opctx *cx, struct etcd_conn *c, size_t only, struct arena *a, struct etcd_status *ret,
		struct err *err)
{
	struct etcd_call call = { .method = ETCD_STATUS, .arena = a, .only = only };

	if (ask(cx, c, &call, err) == 0)
		return etcd_status_decode(call.reply, ret) < 0 ? etcd_malformed(c, "Status", err) : 0;
	*ret = (struct etcd_status){ .denied = call.status == GRPC_PERMISSION_DENIED };
	return ret->denied ? 0 : -1;
}

/* Who answers, and at which revision: also for a user who may not read the status. */
static int
get_header(struct opctx *cx, struct etcd_conn *c, struct etcd_header *ret, struct err *err)
{
	struct etcd_status status;
	struct etcd_lease lease;

	if (etcd_get_status(cx, c, 0, cx->arena, &status, err) < 0)
		return -1;
	*ret = status.header;
	if (!status.denied)
		return 0;
	if (etcd_get_lease(cx, c, 1, &lease, err) < 0) /* any one: the answer's header is what counts */
		return -1;
	*ret = lease.header;
	return 0;
}

int
etcd_identity(struct opctx *cx, void *conn, struct value *ret, struct err *err)
{
	struct etcd_header header;

	if (get_header(cx, conn, &header, err) < 0)
		return -1;
	*ret = ETCD_MAP(cx->arena, { "cluster_id", hex_value(cx->arena, header.cluster_id) });
	return 0;
}

int
etcd_read_alarms(struct opctx *cx, struct etcd_conn *c, struct value *ret, struct err *err)
{
	struct etcd_call call = { .method = ETCD_ALARM, .arena = cx->arena };
	struct etcd_alarm *alarms;
	struct value *list;
	size_t n;

	if (ask(cx, c, &call, err) < 0)
		return -1;
	if (etcd_alarms_decode(cx->arena, call.reply, &alarms, &n) < 0)
		return etcd_malformed(c, "Alarm", err);
	list = arena_array(cx->arena, n, sizeof(*list));
	for (size_t i = 0; i < n; i++)
		list[i] = ETCD_MAP(cx->arena, { "member_id", hex_value(cx->arena, alarms[i].member_id) },
				   { "alarm", value_str(alarms[i].what) });
	*ret = value_list(list, n);
	return 0;
}

static struct value
member_value(struct arena *a, const char *endpoint, const struct etcd_status *s)
{
	struct value *errors = arena_array(a, s->n_errors, sizeof(*errors));

	for (size_t i = 0; i < s->n_errors; i++)
		errors[i] = text_value(a, s->errors[i]);
	return ETCD_MAP(a, { "endpoint", value_str(arena_strdup(a, endpoint)) }, { "version", text_value(a, s->version) },
			{ "member_id", hex_value(a, s->header.member_id) },
			{ "leader", value_bool(s->leader != 0 && s->leader == s->header.member_id) },
			{ "db_size", value_int(s->db_size) }, { "db_size_in_use", value_int(s->db_size_in_use) },
			{ "quota", value_int(s->quota) }, { "raft_index", value_int((int64_t)s->raft_index) },
			{ "errors", value_list(errors, s->n_errors) });
}

/* Add a version unless it is there. */
static void
add_version(struct value *list, size_t *n, struct value version)
{
	for (size_t i = 0; i < *n; i++)
		if (value_eq(&list[i], &version))
			return;
	list[(*n)++] = version;
}

int
etcd_read_status(struct opctx *cx, struct etcd_conn *c, struct value *ret, struct err *err)
{
	struct arena *a = cx->arena;
	size_t n = etcd_conn_endpoints(c), n_versions = 0;
	struct value *members = arena_array(a, n, sizeof(*members)), *versions = arena_array(a, n, sizeof(*versions));
	struct value alarms;
	struct etcd_header first;
	struct etcd_status s;
	int64_t quota = 0, revision;
	const char *error;
	struct err away;

	/* any one: waits for the cluster as every call does */
	if (get_header(cx, c, &first, err) < 0 || etcd_read_alarms(cx, c, &alarms, err) < 0)
		return -1;
	revision = first.revision;
	for (size_t i = 0; i < n; i++) {
		error = NULL;
		if (etcd_get_status(cx, c, i + 1, a, &s, &away) < 0)
			error = arena_strdup(a, away.msg);
		else if (s.denied)
			error = "permission denied: the server tells its status only to root";
		if (etcd_stopped(cx, err) < 0)
			return -1;
		if (error != NULL) {
			members[i] = ETCD_MAP(a, { "endpoint", value_str(arena_strdup(a, etcd_conn_name(c, i))) },
					      { "error", value_str(error) });
			continue;
		}
		members[i] = member_value(a, etcd_conn_name(c, i), &s);
		add_version(versions, &n_versions, text_value(a, s.version));
		revision = s.header.revision > revision ? s.header.revision : revision;
		quota = s.quota > 0 && (quota == 0 || s.quota < quota) ? s.quota : quota;
	}
	*ret = ETCD_MAP(a, { "cluster_id", hex_value(a, first.cluster_id) },
			{ "member_id", hex_value(a, first.member_id) }, { "revision", value_int(revision) },
			{ "quota", value_int(quota) }, { "versions", value_list(versions, n_versions) },
			{ "alarms", alarms }, { "endpoints", value_list(members, n) });
	return 0;
}

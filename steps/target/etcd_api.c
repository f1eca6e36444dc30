/* SPDX-License-Identifier: Apache-2.0 */
/* Owns the field numbers of etcd's protobuf messages. Pure; decoders skip fields that they do not know, so that newer
 * servers are understood, and refuse what is not protobuf. */
#include "steps/target/etcd_api.h"

#include <string.h>

#include "steps/target/pb.h"

#define REPEATED_MAX (1U << 20)

static int
header_decode(struct bytes m, struct etcd_header *ret)
{
	struct pb in = pb_read(m);
	struct pb_field f;

	while (pb_next(&in, &f)) {
		if (f.number == 1)
			ret->cluster_id = f.v;
		else if (f.number == 2)
			ret->member_id = f.v;
		else if (f.number == 3)
			ret->revision = (int64_t)f.v;
	}
	return in.bad ? -1 : 0;
}

static int
item_decode(struct bytes m, struct item *ret)
{
	struct pb in = pb_read(m);
	struct pb_field f;

	while (pb_next(&in, &f)) {
		switch (f.number) {
		case 1:
			ret->key = f.b;
			break;
		case 2:
			ret->created = (int64_t)f.v;
			break;
		case 3:
			ret->revision = (int64_t)f.v;
			break;
		case 4:
			ret->version = (int64_t)f.v;
			break;
		case 5:
			ret->value = f.b;
			break;
		case 6:
			ret->lease = (int64_t)f.v;
			break;
		}
	}
	return in.bad ? -1 : 0;
}

/* An array for the repeated field of this number, or NULL: a few bytes each must not become gigabytes here. */
static void *
array_for(struct arena *a, struct bytes m, unsigned number, size_t size)
{
	struct pb in = pb_read(m);
	struct pb_field f;
	size_t n = 0;

	while (pb_next(&in, &f))
		n += f.number == number;
	return n > REPEATED_MAX ? NULL : arena_array(a, n, size);
}

void
etcd_range_encode(struct buf *to, const struct etcd_range *r)
{
	pb_bytes(to, 1, r->key);
	pb_bytes(to, 2, r->end);
	pb_int(to, 3, r->limit);
	pb_int(to, 4, r->revision);
	if (r->newest_key)
		pb_uint(to, 5, 2); /* DESCEND, by KEY */
	pb_uint(to, 8, r->keys_only);
	pb_uint(to, 9, r->count_only);
	pb_int(to, 10, r->min_mod_revision);
}

int
etcd_range_decode(struct arena *a, struct bytes m, struct etcd_header *ret_header, struct page *ret)
{
	struct pb in = pb_read(m);
	struct pb_field f;
	int bad = 0;

	*ret_header = (struct etcd_header){ 0 };
	*ret = (struct page){ .items = array_for(a, m, 2, sizeof(struct item)) };
	if (ret->items == NULL)
		return -1;
	while (pb_next(&in, &f)) {
		if (f.number == 1)
			bad |= header_decode(f.b, ret_header);
		else if (f.number == 2)
			bad |= item_decode(f.b, &ret->items[ret->n++]);
		else if (f.number == 3)
			ret->more = f.v != 0;
		else if (f.number == 4)
			ret->count = (int64_t)f.v;
	}
	ret->revision = ret_header->revision;
	return in.bad || bad ? -1 : 0;
}

void
etcd_if_revision(struct buf *to, enum etcd_compared what, struct bytes key, struct bytes end, enum etcd_compare how,
		 int64_t revision)
{
	size_t at = pb_open(to, 1);

	pb_uint(to, 1, how);
	pb_uint(to, 2, what);
	pb_bytes(to, 3, key);
	pb_int(to, what == ETCD_MOD_REVISION ? 6 : 5, revision);
	pb_bytes(to, 64, end);
	pb_close(to, at);
}

void
etcd_if_value(struct buf *to, struct bytes key, struct bytes value)
{
	size_t at = pb_open(to, 1);

	pb_uint(to, 2, 3);
	pb_bytes(to, 3, key);
	pb_bytes(to, 7, value);
	pb_close(to, at);
}

void
etcd_op_put(struct buf *to, enum etcd_branch b, struct bytes key, struct bytes value, int64_t lease)
{
	etcd_op_put_lent(to, NULL, b, key, value, lease);
}

void
etcd_op_put_lent(struct buf *to, struct lents *l, enum etcd_branch b, struct bytes key, struct bytes value, int64_t lease)
{
	const size_t op = pb_open(to, b), at = pb_open(to, 2);
	size_t lent;

	pb_bytes(to, 1, key);
	lent = pb_lend(to, l, 2, value);
	pb_int(to, 3, lease);
	pb_close_lent(to, at, lent);
	pb_close_lent(to, op, lent);
}

void
etcd_op_delete(struct buf *to, enum etcd_branch b, struct bytes key, struct bytes end)
{
	size_t op = pb_open(to, b), at = pb_open(to, 3);

	pb_bytes(to, 1, key);
	pb_bytes(to, 2, end);
	pb_close(to, at);
	pb_close(to, op);
}

void
etcd_op_range(struct buf *to, enum etcd_branch b, const struct etcd_range *r)
{
	size_t op = pb_open(to, b), at = pb_open(to, 1);

	etcd_range_encode(to, r);
	pb_close(to, at);
	pb_close(to, op);
}

static int
deleted_decode(struct bytes m, int64_t *deleted)
{
	struct pb in = pb_read(m);
	struct pb_field f;

	while (pb_next(&in, &f))
		if (f.number == 2)
			*deleted += (int64_t)(f.v & INT32_MAX);
	return in.bad ? -1 : 0;
}

static int
response_decode(struct bytes m, struct etcd_txn *ret)
{
	struct pb in = pb_read(m);
	struct pb_field f;
	int bad = 0;

	while (pb_next(&in, &f)) {
		if (f.number == 1 && ret->n < ETCD_TXN_KEPT)
			ret->ranges[ret->n] = f.b;
		else if (f.number == 3)
			bad |= deleted_decode(f.b, &ret->deleted);
	}
	ret->n++;
	return in.bad || bad ? -1 : 0;
}

int
etcd_txn_decode(struct bytes m, struct etcd_txn *ret)
{
	struct pb in = pb_read(m);
	struct pb_field f;
	int bad = 0;

	*ret = (struct etcd_txn){ 0 };
	while (pb_next(&in, &f)) {
		if (f.number == 1)
			bad |= header_decode(f.b, &ret->header);
		else if (f.number == 2)
			ret->succeeded = f.v != 0;
		else if (f.number == 3)
			bad |= response_decode(f.b, ret);
	}
	return in.bad || bad ? -1 : 0;
}

void
etcd_compact_encode(struct buf *to, int64_t revision)
{
	pb_int(to, 1, revision);
}

void
etcd_lease_grant_encode(struct buf *to, int64_t ttl)
{
	pb_int(to, 1, ttl);
}

void
etcd_lease_ttl_encode(struct buf *to, int64_t id)
{
	pb_int(to, 1, id);
}

int
etcd_lease_decode(struct bytes m, struct etcd_lease *ret)
{
	struct pb in = pb_read(m);
	struct pb_field f;
	int bad = 0;

	*ret = (struct etcd_lease){ 0 };
	while (pb_next(&in, &f)) {
		switch (f.number) {
		case 1:
			bad |= header_decode(f.b, &ret->header);
			break;
		case 2:
			ret->id = (int64_t)f.v;
			break;
		case 3:
			ret->ttl = (int64_t)f.v;
			break;
		case 4:
			ret->granted = (int64_t)f.v; /* LeaseTimeToLive */
			ret->error = f.b;            /* LeaseGrant */
			break;
		}
	}
	return in.bad || bad ? -1 : 0;
}

int
etcd_status_decode(struct bytes m, struct etcd_status *ret)
{
	struct pb in = pb_read(m);
	struct pb_field f;
	int bad = 0;

	*ret = (struct etcd_status){ 0 };
	while (pb_next(&in, &f)) {
		switch (f.number) {
		case 1:
			bad |= header_decode(f.b, &ret->header);
			break;
		case 2:
			ret->version = f.b;
			break;
		case 3:
			ret->db_size = (int64_t)f.v;
			break;
		case 4:
			ret->leader = f.v;
			break;
		case 5:
			ret->raft_index = f.v;
			break;
		case 8:
			if (ret->n_errors < sizeof(ret->errors) / sizeof(ret->errors[0]))
				ret->errors[ret->n_errors++] = f.b;
			break;
		case 9:
			ret->db_size_in_use = (int64_t)f.v;
			break;
		case 12:
			ret->quota = (int64_t)f.v;
			break;
		}
	}
	return in.bad || bad ? -1 : 0;
}

int
etcd_version_number(struct bytes version)
{
	const char *p = version.p;
	int part[3] = { 0 }, i = 0;
	bool digit = false;

	for (size_t at = 0; at < version.len; at++) {
		if (p[at] >= '0' && p[at] <= '9' && part[i] < 100) {
			part[i] = part[i] * 10 + (p[at] - '0');
			digit = true;
		} else if (p[at] == '.' && digit && i < 2) {
			i++;
			digit = false;
		} else if (i == 2 && digit && (p[at] == '-' || p[at] == '+')) {
			break; /* "-rc.1", "+git" */
		} else {
			return -1;
		}
	}
	if (i != 2 || !digit || part[0] > 99 || part[1] > 99 || part[2] > 99)
		return -1;
	return part[0] * 10000 + part[1] * 100 + part[2];
}

static int
alarm_decode(struct bytes m, struct etcd_alarm *ret)
{
	struct pb in = pb_read(m);
	struct pb_field f;

	ret->what = "unknown";
	while (pb_next(&in, &f)) {
		if (f.number == 1)
			ret->member_id = f.v;
		else if (f.number == 2)
			ret->what = f.v == 1 ? "NOSPACE" : f.v == 2 ? "CORRUPT" : "unknown";
	}
	return in.bad ? -1 : 0;
}

int
etcd_alarms_decode(struct arena *a, struct bytes m, struct etcd_alarm **ret, size_t *ret_n)
{
	struct pb in = pb_read(m);
	struct pb_field f;
	int bad = 0;

	*ret = array_for(a, m, 2, sizeof(**ret));
	*ret_n = 0;
	if (*ret == NULL)
		return -1;
	while (pb_next(&in, &f))
		if (f.number == 2)
			bad |= alarm_decode(f.b, &(*ret)[(*ret_n)++]);
	return in.bad || bad ? -1 : 0;
}

void
etcd_auth_encode(struct buf *to, const char *user, struct bytes password)
{
	pb_str(to, 1, user);
	pb_bytes(to, 2, password);
}

int
etcd_auth_decode(struct bytes m, struct bytes *ret_token)
{
	struct pb in = pb_read(m);
	struct pb_field f;

	*ret_token = (struct bytes){ 0 };
	while (pb_next(&in, &f))
		if (f.number == 2)
			*ret_token = f.b;
	return in.bad ? -1 : 0;
}

void
etcd_watch_encode(struct buf *to, struct bytes key, struct bytes end, int64_t revision)
{
	size_t at = pb_open(to, 1);

	pb_bytes(to, 1, key);
	pb_bytes(to, 2, end);
	pb_int(to, 3, revision);
	pb_uint(to, 4, 1); /* progress_notify; without `fragment` a message holds whole revisions */
	pb_close(to, at);
}

void
etcd_watch_progress_encode(struct buf *to)
{
	pb_close(to, pb_open(to, 3));
}

static int
event_decode(struct bytes m, struct change *ret)
{
	struct pb in = pb_read(m);
	struct pb_field f;
	int bad = 0;

	while (pb_next(&in, &f)) {
		if (f.number == 1)
			ret->deleted = f.v == 1;
		else if (f.number == 2)
			bad |= item_decode(f.b, &ret->item);
	}
	return in.bad || bad ? -1 : 0;
}

int
etcd_watch_decode(struct arena *a, struct bytes m, struct etcd_watch_reply *ret)
{
	struct pb in = pb_read(m);
	struct pb_field f;
	int bad = 0;

	*ret = (struct etcd_watch_reply){ .events = array_for(a, m, 11, sizeof(struct change)) };
	if (ret->events == NULL)
		return -1;
	while (pb_next(&in, &f)) {
		switch (f.number) {
		case 1:
			bad |= header_decode(f.b, &ret->header);
			break;
		case 3:
			ret->created = f.v != 0;
			break;
		case 4:
			ret->canceled = f.v != 0;
			break;
		case 5:
			ret->compact_revision = (int64_t)f.v;
			break;
		case 6:
			ret->reason = f.b;
			break;
		case 11:
			bad |= event_decode(f.b, &ret->events[ret->n++]);
			break;
		}
	}
	return in.bad || bad ? -1 : 0;
}

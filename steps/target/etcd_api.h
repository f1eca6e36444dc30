/* SPDX-License-Identifier: Apache-2.0 */
/* The messages of etcd's v3 API that wherry speaks (rpc.proto, kv.proto), encoded and decoded. Pure: no I/O, no policy.
 * Decoders return -1 for anything malformed and leave byte fields pointing into the message. */
#ifndef WHERRY_TARGET_ETCD_API_H
#define WHERRY_TARGET_ETCD_API_H

#include "base/arena.h"
#include "base/buf.h"
#include "steps/target/pb.h"
#include "target.h"

#define ETCD_RANGE "/etcdserverpb.KV/Range"
#define ETCD_TXN "/etcdserverpb.KV/Txn"
#define ETCD_COMPACT "/etcdserverpb.KV/Compact"
#define ETCD_WATCH "/etcdserverpb.Watch/Watch"
#define ETCD_LEASE_GRANT "/etcdserverpb.Lease/LeaseGrant"
#define ETCD_LEASE_TTL "/etcdserverpb.Lease/LeaseTimeToLive"
#define ETCD_STATUS "/etcdserverpb.Maintenance/Status"
#define ETCD_ALARM "/etcdserverpb.Maintenance/Alarm"
#define ETCD_AUTHENTICATE "/etcdserverpb.Auth/Authenticate"

#define ETCD_MAX_OPS 128 /* --max-txn-ops by default: the larger of compares and operations */

struct etcd_header {
	uint64_t cluster_id, member_id;
	int64_t revision;
};

/* Range. end empty: exactly key. newest_key: the last key in order comes first. */
struct etcd_range {
	struct bytes key, end;
	int64_t limit, revision, min_mod_revision;
	bool keys_only, count_only, newest_key;
};
void etcd_range_encode(struct buf *to, const struct etcd_range *r);
int etcd_range_decode(struct arena *a, struct bytes m, struct etcd_header *ret_header, struct page *ret);

/* Txn: compares, then operations of either branch, appended in any order. */
enum etcd_compare { ETCD_EQUAL = 0, ETCD_GREATER = 1, ETCD_LESS = 2 };
enum etcd_compared { ETCD_CREATE_REVISION = 1, ETCD_MOD_REVISION = 2 };
enum etcd_branch { ETCD_THEN = 2, ETCD_ELSE = 3 };
/* end not empty: holds for every key of the range, and for an empty range. */
void etcd_if_revision(struct buf *to, enum etcd_compared what, struct bytes key, struct bytes end, enum etcd_compare how,
		      int64_t revision);
void etcd_if_value(struct buf *to, struct bytes key, struct bytes value);
void etcd_op_put(struct buf *to, enum etcd_branch b, struct bytes key, struct bytes value, int64_t lease);
/* The same with a value that may be lent: see pb_lend. */
void etcd_op_put_lent(struct buf *to, struct lents *l, enum etcd_branch b, struct bytes key, struct bytes value, int64_t lease);
void etcd_op_delete(struct buf *to, enum etcd_branch b, struct bytes key, struct bytes end);
void etcd_op_range(struct buf *to, enum etcd_branch b, const struct etcd_range *r);

#define ETCD_TXN_KEPT 4
struct etcd_txn {
	struct etcd_header header;
	bool succeeded;
	size_t n;                             /* operations answered */
	struct bytes ranges[ETCD_TXN_KEPT];   /* RangeResponse of operation i of the first few, empty for others */
	int64_t deleted;                      /* by all delete operations */
};
int etcd_txn_decode(struct bytes m, struct etcd_txn *ret);

void etcd_compact_encode(struct buf *to, int64_t revision);
void etcd_lease_grant_encode(struct buf *to, int64_t ttl);
void etcd_lease_ttl_encode(struct buf *to, int64_t id);
struct etcd_lease {
	struct etcd_header header;
	int64_t id, ttl, granted; /* ttl -1: there is no such lease */
	struct bytes error;
};
int etcd_lease_decode(struct bytes m, struct etcd_lease *ret);

struct etcd_status {
	bool denied; /* set by who asks: newer servers tell only root, and nothing else here is known */
	struct etcd_header header;
	struct bytes version, errors[8];
	size_t n_errors;
	int64_t db_size, db_size_in_use, quota; /* 0 where the server's version does not tell */
	uint64_t leader, raft_index;
};
int etcd_status_decode(struct bytes m, struct etcd_status *ret);
/* "3.4.25" as 30425, -1 for anything else. */
int etcd_version_number(struct bytes version);

struct etcd_alarm {
	uint64_t member_id;
	const char *what; /* "NOSPACE", "CORRUPT", "unknown" */
};
/* The request that lists alarms is the empty message. */
int etcd_alarms_decode(struct arena *a, struct bytes m, struct etcd_alarm **ret, size_t *ret_n);

void etcd_auth_encode(struct buf *to, const char *user, struct bytes password);
int etcd_auth_decode(struct bytes m, struct bytes *ret_token);

void etcd_watch_encode(struct buf *to, struct bytes key, struct bytes end, int64_t revision);
void etcd_watch_progress_encode(struct buf *to);
struct etcd_watch_reply {
	struct etcd_header header;
	bool created, canceled;
	int64_t compact_revision;
	struct bytes reason;
	struct change *events;
	size_t n;
};
int etcd_watch_decode(struct arena *a, struct bytes m, struct etcd_watch_reply *ret);

#endif

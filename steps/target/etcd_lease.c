/* SPDX-License-Identifier: Apache-2.0 */
/* Owns the leases that a bulk attaches. At most a thousand keys share one, since the end of a large lease stalls etcd;
 * a granted one is used only while little of its time has passed. A lease without keys ends by itself, so a lost reply
 * to a grant costs nothing. */
#include "steps/target/etcd_lease.h"

#include <stdlib.h>

#include "base/clock.h"

#define KEYS_MAX 1000
#define TTL_MAX 9000000000 /* etcd's own limit */

struct etcd_shared_lease {
	int64_t bucket, id, until; /* until: no new keys after this time */
	unsigned keys;
};

void
etcd_leases_init(struct etcd_leases *s)
{
	*s = (struct etcd_leases){ 0 };
	pthread_mutex_init(&s->lock, NULL);
}

void
etcd_leases_done(struct etcd_leases *s)
{
	pthread_mutex_destroy(&s->lock);
	free(s->list);
}

bool
etcd_leases_forget(struct etcd_leases *s)
{
	bool any;

	pthread_mutex_lock(&s->lock);
	any = s->n > 0;
	s->n = 0;
	pthread_mutex_unlock(&s->lock);
	return any;
}

static int
grant(struct opctx *cx, struct etcd_conn *c, int64_t ttl, int64_t *ret_id, struct err *err)
{
	struct arena a = ARENA_INIT;
	struct buf request = BUF_INIT(0);
	struct etcd_call call = { .method = ETCD_LEASE_GRANT, .request = &request, .kind = ETCD_READ, .arena = &a };
	struct etcd_lease lease;
	int rc;

	grpc_begin(&request);
	etcd_lease_grant_encode(&request, ttl);
	grpc_end(&request);
	rc = etcd_call(cx, c, &call, err);
	if (rc == 0 && (etcd_lease_decode(call.reply, &lease) < 0 || lease.id == 0))
		rc = err_set(err, ERR_FAILED, "etcd at %s: the reply to LeaseGrant is malformed", etcd_conn_names(c));
	if (rc == 0)
		*ret_id = lease.id;
	buf_done(&request);
	arena_done(&a);
	return rc;
}

/* The slot of a bucket, made if there is none. */
static struct etcd_shared_lease *
slot_of(struct etcd_leases *s, int64_t bucket)
{
	for (size_t i = 0; i < s->n; i++)
		if (s->list[i].bucket == bucket)
			return &s->list[i];
	s->list = xreallocarray(s->list, s->n + 1, sizeof(*s->list));
	s->list[s->n] = (struct etcd_shared_lease){ .bucket = bucket };
	return &s->list[s->n++];
}

int
etcd_lease_for(struct opctx *cx, struct etcd_conn *c, struct etcd_leases *s, int64_t ttl, int64_t *ret_id,
	       struct err *err)
{
	struct etcd_shared_lease *slot;
	int64_t grain = 1, bucket, now;
	int rc = 0;

	ttl = ttl < TTL_MAX ? ttl : TTL_MAX;
	while (grain < ttl / 32)
		grain *= 2;
	bucket = ttl / grain * grain;
	pthread_mutex_lock(&s->lock);
	slot = slot_of(s, bucket);
	now = clock_now();
	if (slot->id == 0 || slot->keys >= KEYS_MAX || now >= slot->until) {
		rc = grant(cx, c, bucket, &slot->id, err);
		slot->keys = 0;
		slot->until = rc == 0 ? now + grain * NS_PER_S : 0;
	}
	if (rc == 0) {
		slot->keys++;
		*ret_id = slot->id;
	}
	pthread_mutex_unlock(&s->lock);
	return rc;
}

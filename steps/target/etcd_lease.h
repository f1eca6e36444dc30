/* SPDX-License-Identifier: Apache-2.0 */
/* Leases of a bulk: granted as they are needed, shared by keys with about the same time to live. Thread safe. */
#ifndef WHERRY_TARGET_ETCD_LEASE_H
#define WHERRY_TARGET_ETCD_LEASE_H

#include "steps/target/etcd_conn.h"

#include <pthread.h>

struct etcd_shared_lease;
struct etcd_leases {
	pthread_mutex_t lock;
	struct etcd_shared_lease *list;
	size_t n;
};
void etcd_leases_init(struct etcd_leases *s);
void etcd_leases_done(struct etcd_leases *s);
/* A lease that ends in ttl seconds, give or take one part in sixteen. */
int etcd_lease_for(struct opctx *cx, struct etcd_conn *c, struct etcd_leases *s, int64_t ttl, int64_t *ret_id,
		   struct err *err);
/* Use none of them again; false when there was none. */
bool etcd_leases_forget(struct etcd_leases *s);

#endif

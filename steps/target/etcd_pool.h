/* SPDX-License-Identifier: Apache-2.0 */
/* The inside of a connection, shared by etcd_conn.c (fields and pool) and etcd_call.c (policy) only. */
#ifndef WHERRY_TARGET_ETCD_POOL_H
#define WHERRY_TARGET_ETCD_POOL_H

#include "steps/target/etcd_conn.h"

#include <pthread.h>

/* Idle channels to one endpoint; the last one given back is taken first. */
struct etcd_idle {
	struct grpc_chan **chans;
	size_t n, cap;
};

struct etcd_conn {
	struct arena arena; /* of the fields */
	struct peer *peers;
	size_t n;
	const char *names;
	bool tls;
	const char *user;
	char *password;
	size_t password_len;

	pthread_mutex_t lock; /* of current and idle */
	size_t current;
	struct etcd_idle *idle;

	pthread_mutex_t token_lock; /* of the rest; held while a token is fetched */
	char *token;
	bool auth_off; /* the server has authentication switched off: it refuses tokens */
};

/* A channel of our own until it is given back or freed. fresh: one that has made no connection yet. */
struct grpc_chan *etcd_pool_take(struct etcd_conn *c, size_t endpoint, bool fresh);
void etcd_pool_give(struct etcd_conn *c, size_t endpoint, struct grpc_chan *ch);
/* Free the idle channels of an endpoint that has failed: their connections have failed too. */
void etcd_pool_drop(struct etcd_conn *c, size_t endpoint);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* What preflight, copy, sync and verify have in common: which keys go from where to where, and whose they are. */
#ifndef WHERRY_STEPS_ETCD_MOVE_H
#define WHERRY_STEPS_ETCD_MOVE_H

#include "step.h"
#include "steps/etcd_side.h"

#define ETCD_SYNC_LANE 9999 /* the last one; a copy counts from 0 */

enum etcd_existing { ETCD_REFUSE, ETCD_MERGE, ETCD_REPLACE };

/* Inputs; the first member of each step's args. */
struct etcd_move_args {
	struct target *from, *to;
	const char *prefix, *destination_prefix;
	const struct value *exclude;
	const char *on_existing, *leases, *markers, *scope;
};

extern const char *const etcd_existing_words[], *const etcd_leases_words[];

#define ETCD_MOVE_INPUTS(args) \
	{ "from", F_TARGET, .offset = offsetof(args, move.from), .required = true, .reads = true, .kind = "etcd", \
	  .help = "the source" }, \
	{ "to", F_TARGET, .offset = offsetof(args, move.to), .required = true, .kind = "etcd", .object = true, \
	  .help = "the destination" }, \
	{ "prefix", F_STRING, .offset = offsetof(args, move.prefix), .required = true, .object = true, \
	  .help = "what the source's keys begin with; empty: all keys" }, \
	{ "destination_prefix", F_STRING, .offset = offsetof(args, move.destination_prefix), .object = true, \
	  .help = "what stands in the place of prefix on the destination (default: prefix)" }, \
	{ "exclude", F_LIST, F_STRING, offsetof(args, move.exclude), \
	  .help = "source keys that begin with one of these stay out of it, and their places on the destination too" }, \
	{ "on_existing", F_STRING, .offset = offsetof(args, move.on_existing), .dflt = "refuse", \
	  .choices = etcd_existing_words, \
	  .help = "keys that are there: refuse; merge (equal ones are adopted, unequal ones fail, others stay); or replace" }, \
	{ "leases", F_STRING, .offset = offsetof(args, move.leases), .dflt = "skip", .choices = etcd_leases_words, \
	  .help = "keys with a lease: skip them, drop the lease, or keep it for the time that remains" }, \
	{ "markers", F_STRING, .offset = offsetof(args, move.markers), .dflt = "/wherry/", \
	  .help = "where claim and cursors are kept on the destination" }, \
	{ "scope", F_STRING, .offset = offsetof(args, move.scope), .dflt = "data", \
	  .pattern = "^[A-Za-z0-9_-]+$", .help = "name of claim and cursors, which a copy and its syncs share" }

#define ETCD_RATE_INPUTS(args) \
	{ "rate_keys", F_NUMBER, .offset = offsetof(args, rate_keys), .min = 0, .max = 1e12, \
	  .help = "keys a second at most, 0: no limit" }, \
	{ "rate_bytes", F_SIZE, .offset = offsetof(args, rate_bytes), .min = 0, .max = 1e15, \
	  .help = "bytes a second at most, 0: no limit" }

/* The inputs, understood. */
struct etcd_move {
	const struct etcd_move_args *args;
	struct target *from, *to;
	struct etcd_span span;
	enum etcd_existing existing;
	enum etcd_leases leases;
	struct bytes folder; /* the range of our markers: [folder, folder_end) */
	struct bytes folder_end;
};
int etcd_move_init(struct step_ctx *cx, const struct etcd_move_args *args, struct etcd_move *ret, struct err *err);
/* The stream of a copy or a sync, without limits; says is the sentence. */
struct bulk etcd_move_bulk(struct step_ctx *cx, const struct etcd_move *m, const char *verb, const char *says);
/* Sides to be begun. */
struct etcd_side etcd_move_source(const struct etcd_move *m);
struct etcd_side etcd_move_destination(const struct etcd_move *m);
/* Is there a marker of this run and scope? */
int etcd_move_is_ours(struct step_ctx *cx, const struct etcd_move *m, bool *ret, struct err *err);
/* The refusal of a destination where this key exists, with the ways round it; always -1. */
int etcd_not_empty(struct step_ctx *cx, const char *key, struct err *err);
/* Seconds that are left of a lease of the source, 0: it has ended. */
int etcd_lease_left(struct step_ctx *cx, const struct etcd_move *m, int64_t id, int64_t *ret, struct err *err);
/* Every member of a map as an output. */
int etcd_put_outputs(struct step_ctx *cx, const struct value *map, struct err *err);

#endif

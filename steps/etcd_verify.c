/* SPDX-License-Identifier: Apache-2.0 */
/* etcd.verify: both sides in full, byte by byte, in lanes over segments of the range; and a receipt that can be
 * compared with another one. The digest is the sum, modulo 2^256, of SHA-256 over each key: length of the tail (8
 * bytes, big endian), tail, length of the value, value. A sum does not depend on order, segments or lanes, and
 * tells accidents; the equality itself rests on the comparison, not on the digest.
 *
 * Outside of it are excluded keys, wherry's markers, with on_existing merge keys that only the destination has, and
 * keys with a lease: with leases skip they count as not there on the source; with keep, on either side, they may
 * end at any time and are not compared. */
#include <inttypes.h>
#include <stdatomic.h>
#include <string.h>

#include "base/hash.h"
#include "base/text.h"
#include "step.h"
#include "steps/etcd_move.h"
#include "steps/etcd_work.h"

#define NAMED 5     /* keys that the error names */
#define LANES_MAX 32
#define PAGE_BYTES (1U << 20) /* fewer calls than the usual half: the servers are what limits it */

struct verify_args {
	struct etcd_move_args move;
	int64_t at, lanes;
};

/* A difference, for people; kept in the order of their keys. */
struct difference {
	struct bytes key;
	const char *kind;
};

struct verify {
	const struct verify_args *args;
	struct etcd_move move;
	struct etcd_work work;
	int64_t at, destination_at;
	atomic_ullong seen;
	/* guarded by work.lock */
	int64_t keys, bytes, differing;
	unsigned char digest[SHA256_LEN];
	struct difference first[NAMED];
	struct arena named;
};

struct verifier {
	struct verify *v;
	struct etcd_side src, dst;
	struct sha256 *hash;
	int64_t keys, bytes;
	unsigned char digest[SHA256_LEN];
};

static void
add_digest(unsigned char sum[SHA256_LEN], const unsigned char more[SHA256_LEN])
{
	unsigned carry = 0;

	for (size_t i = SHA256_LEN; i-- > 0;) {
		carry += (unsigned)sum[i] + more[i];
		sum[i] = (unsigned char)carry;
		carry >>= 8;
	}
}

static void
add_sized(struct sha256 *h, const void *p, size_t len)
{
	unsigned char size[8];

	for (int i = 0; i < 8; i++)
		size[i] = (unsigned char)((uint64_t)len >> (56 - 8 * i));
	sha256_add(h, size, sizeof(size));
	sha256_add(h, p, len);
}

static void
take_equal(struct verifier *l, const struct item *it)
{
	const size_t prefix = l->v->move.span.prefix.len;
	unsigned char one[SHA256_LEN];

	add_sized(l->hash, (const char *)it->key.p + prefix, it->key.len - prefix);
	add_sized(l->hash, it->value.p, it->value.len);
	sha256_end(l->hash, one);
	add_digest(l->digest, one);
	l->keys++;
	l->bytes += (int64_t)(it->key.len + it->value.len);
}

/* Keep the first few by key. */
static void
take_difference(struct verify *v, struct bytes key, const char *kind)
{
	size_t at = NAMED;

	pthread_mutex_lock(&v->work.lock);
	v->differing++;
	while (at > 0 && (v->first[at - 1].kind == NULL || bytes_cmp(key, v->first[at - 1].key) < 0))
		at--;
	if (at < NAMED) {
		memmove(&v->first[at + 1], &v->first[at], (NAMED - 1 - at) * sizeof(*v->first));
		v->first[at] = (struct difference){ { arena_strndup(&v->named, key.p, key.len), key.len }, kind };
	}
	pthread_mutex_unlock(&v->work.lock);
}

static void
compare(struct verifier *l, const struct etcd_pair *p)
{
	struct verify *v = l->v;
	const bool keep = v->move.leases == ETCD_LEASES_KEEP;

	if (keep && ((p->src != NULL && p->src->lease != 0) || (p->dst != NULL && p->dst->lease != 0)))
		return;
	if (p->src == NULL) {
		if (v->move.existing != ETCD_MERGE)
			take_difference(v, p->dst->key, "only on the destination");
	} else if (p->dst == NULL) {
		take_difference(v, p->src->key, "missing on the destination");
	} else if (!bytes_eq(p->src->value, p->dst->value)) {
		take_difference(v, p->src->key, "different");
	} else {
		take_equal(l, p->src);
	}
}

static int
verify_segment(struct step_ctx *cx, struct verifier *l, const struct etcd_segment *s, struct err *err)
{
	struct arena *a = step_arena(cx);
	struct verify *v = l->v;
	uint64_t since = 0;
	struct etcd_pair p;
	int rc;

	etcd_side_begin(&l->src, s->start, s->end);
	if (s->sheet != NULL)
		etcd_side_give(&l->src, s->items, s->nitems, s->sheet->page.revision);
	etcd_side_begin(&l->dst, etcd_span_to(a, &v->move.span, s->start), etcd_span_to_end(a, &v->move.span, s->end));
	while ((rc = etcd_pair_next(cx, &l->src, &l->dst, &p, err)) > 0) {
		compare(l, &p);
		if (++since % 1000 == 0)
			step_progress(cx, atomic_fetch_add(&v->seen, 1000) + 1000,
				      (uint64_t)atomic_load(&v->work.total), "keys");
	}
	atomic_fetch_add(&v->seen, since % 1000);
	return rc;
}

static int
verify_lane(struct step_ctx *cx, void *data, unsigned number, struct err *err)
{
	struct verify *v = data;
	struct verifier l = { .v = v, .src = etcd_move_source(&v->move), .dst = etcd_move_destination(&v->move),
			      .hash = sha256_new() };
	struct etcd_segment s;
	int rc;

	(void)number;
	l.src.want = l.dst.want = PAGE_BYTES;
	l.src.revision = v->at;
	l.dst.revision = v->destination_at;
	while ((rc = etcd_work_take(cx, &v->work, &s, err)) > 0) {
		rc = verify_segment(cx, &l, &s, err);
		etcd_work_release(&v->work, &s);
		if (rc < 0)
			break;
	}
	pthread_mutex_lock(&v->work.lock);
	v->keys += l.keys;
	v->bytes += l.bytes;
	add_digest(v->digest, l.digest);
	pthread_mutex_unlock(&v->work.lock);
	etcd_side_done(&l.src);
	etcd_side_done(&l.dst);
	sha256_free(l.hash);
	return rc;
}

static int
differ(struct step_ctx *cx, const struct verify *v, struct err *err)
{
	struct buf text = BUF_INIT(0);

	for (size_t i = 0; i < NAMED && v->first[i].kind != NULL; i++) {
		buf_puts(&text, i > 0 ? ", '" : "'");
		text_escape(&text, v->first[i].key.p, v->first[i].key.len < 80 ? v->first[i].key.len : 80);
		buf_printf(&text, "' (%s)", v->first[i].kind);
	}
	err_set(err, ERR_FAILED, "%" PRIi64 " keys differ: %s%s", v->differing, text.p,
		v->differing > NAMED ? ", and more" : "");
	buf_done(&text);
	return err_next(err, "keep others from writing there, make these keys of the destination as they are on the source (delete what is only "
			     "on the destination), then: wherry resume %s", step_run_id(cx));
}

static int
verify_outputs(struct step_ctx *cx, const struct verify *v, struct err *err)
{
	char hex[SHA256_HEX];

	hex_encode(v->digest, SHA256_LEN, hex);

	const struct pair pairs[] = {
		{ "keys", value_int(v->keys) },
		{ "bytes", value_int(v->bytes) },
		{ "digest", value_str(hex) },
		{ "source_revision", value_int(v->at) },
		{ "destination_revision", value_int(v->destination_at) },
	};
	const struct value receipt = value_map(pairs, countof(pairs));

	if (etcd_put_outputs(cx, &receipt, err) < 0)
		return -1;
	step_note(cx, "equal: %" PRIi64 " keys, %" PRIi64 " bytes, digest %s, source revision %" PRIi64
		  ", destination revision %" PRIi64, v->keys, v->bytes, hex, v->at, v->destination_at);
	return step_output(cx, "receipt", receipt, err);
}

static int
verify_run(struct step_ctx *cx, const void *args, struct err *err)
{
	struct verify *v = arena_alloc(step_arena(cx), sizeof(*v));
	struct etcd_gap whole;
	int rc;

	v->args = args;
	if (etcd_move_init(cx, &v->args->move, &v->move, err) < 0 ||
	    etcd_revision_now(cx, v->move.from, &v->move.span, true, &v->at, err) < 0 ||
	    etcd_revision_now(cx, v->move.to, &v->move.span, false, &v->destination_at, err) < 0)
		return -1;
	if (v->args->at > 0)
		v->at = v->args->at;
	whole = (struct etcd_gap){ v->move.span.prefix, v->move.span.end };
	etcd_work_init(&v->work, v->move.from, v->at, &whole, 1, 1, ETCD_SEGMENTS);
	rc = step_lanes(cx, (unsigned)v->args->lanes, verify_lane, v, err);
	etcd_work_done(&v->work);
	if (rc == 0)
		rc = v->differing > 0 ? differ(cx, v, err) : verify_outputs(cx, v, err);
	arena_done(&v->named);
	return rc;
}

static const struct field verify_inputs[] = {
	ETCD_MOVE_INPUTS(struct verify_args),
	{ "at", F_INT, .offset = offsetof(struct verify_args, at), .min = 0, .max = 9e18,
	  .help = "the source's revision to compare with, where it is live (default: the present one)" },
	{ "lanes", F_INT, .offset = offsetof(struct verify_args, lanes), .dflt = "4", .min = 1, .max = LANES_MAX,
	  .help = "parts of the range that are compared at the same time" },
	{ 0 },
};

static const struct field verify_outputs_table[] = {
	{ "keys", F_INT, .help = "keys that are equal: all of them" },
	{ "bytes", F_INT, .help = "their bytes on the source, keys and values" },
	{ "digest", F_STRING,
	  .help = "over tails and values of all keys, in hexadecimal; equal contents have equal digests" },
	{ "source_revision", F_INT, .help = "the source's revision that was compared" },
	{ "destination_revision", F_INT, .help = "the destination's revision that was compared" },
	{ "receipt", F_MAP, .help = "all of these" },
	{ 0 },
};

const struct step_type etcd_verify_step = {
	.name = "etcd.verify",
	.summary = "compare source and destination key by key, and give a receipt",
	.inputs = verify_inputs,
	.outputs = verify_outputs_table,
	.args_size = sizeof(struct verify_args),
	.flags = STEP_READ_ONLY,
	.version = 1,
	.run = verify_run,
};

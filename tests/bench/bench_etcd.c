/* SPDX-License-Identifier: Apache-2.0 */
/* The bounds of an etcd copy, made of wherry's own transport and nothing else:
 *   bench_etcd write URL PREFIX N SIZE LANES   writes made keys with the copy's transactions; SIZE 0: mixed sizes
 *   bench_etcd read URL PREFIX                 reads a prefix in pages by bytes
 * Each prints the seconds it took once connected, and the keys and bytes that it moved. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "steps/target/etcd_conn.h"
#include "steps/target/etcd_paths.h"

#define BATCH_OPS 128
#define BATCH_BYTES (1U << 20)
#define PAGE_BYTES (8U << 20)
#define PAGE_KEYS 1000
#define VALUE_MAX (200U << 10)
#define LANES_MAX 64

struct bench {
	struct etcd_conn *conn;
	const char *prefix;
	long n;
	size_t size;
	pthread_mutex_t lock; /* of next */
	long next;
	atomic_ulong bytes;
	atomic_int failed, cancel;
	const char *values;
};

static struct bytes
text_bytes(const char *s)
{
	return (struct bytes){ s, strlen(s) };
}

static struct opctx
context(struct bench *b, struct arena *a)
{
	return (struct opctx){ .arena = a, .deadline = clock_now() + 600 * NS_PER_S, .cancel = &b->cancel, .cancel_fd = -1,
			       .run = "bench", .step = "bench", .epoch = 1 };
}

/* 100 B to 16 KiB, and one value in 67 of 200 KiB; the same for the same key always. */
static size_t
value_size(const struct bench *b, long i)
{
	unsigned long x = (unsigned long)i * 2654435761UL % 4096;

	if (b->size > 0)
		return b->size;
	return i % 67 == 66 ? VALUE_MAX : (size_t)100 << (x % 8) | (x & 63);
}

/* One transaction of the keys from *at on: a guard that the range is empty, and puts. */
static void
build_batch(struct bench *b, struct arena *a, struct buf *to)
{
	size_t bytes = 0, ops = 0;
	char *key, *first = NULL;

	grpc_begin(to);
	pthread_mutex_lock(&b->lock);
	while (b->next < b->n && ops < BATCH_OPS && bytes + value_size(b, b->next) < BATCH_BYTES) {
		size_t size = value_size(b, b->next);

		key = arena_printf(a, "%s%09ld", b->prefix, b->next++);
		first = first ? first : key;
		etcd_op_put(to, ETCD_THEN, text_bytes(key), (struct bytes){ b->values, size }, 0);
		bytes += size + strlen(key);
		ops++;
	}
	pthread_mutex_unlock(&b->lock);
	if (ops > 0)
		etcd_if_revision(to, ETCD_CREATE_REVISION, text_bytes(first), (struct bytes){ key, strlen(key) + 1 }, ETCD_EQUAL, 0);
	else
		buf_clear(to);
	if (ops > 0)
		grpc_end(to);
	atomic_fetch_add(&b->bytes, bytes);
}

static void *
write_lane(void *data)
{
	struct bench *b = data;
	struct buf request = BUF_INIT(0);
	struct err err = ERR_INIT;

	while (!atomic_load(&b->failed)) {
		struct arena a = ARENA_INIT;
		struct opctx cx = context(b, &a);
		struct etcd_call call = { .method = ETCD_TXN, .request = &request, .kind = ETCD_GUARDED, .arena = &a };
		struct etcd_txn txn;
		bool done;

		buf_clear(&request);
		build_batch(b, &a, &request);
		done = request.len == 0;
		if (!done && (etcd_call(&cx, b->conn, &call, &err) < 0 || etcd_txn_decode(call.reply, &txn) < 0 ||
			      !txn.succeeded)) {
			fprintf(stderr, "write failed: %s\n", err.msg);
			atomic_store(&b->failed, 1);
		}
		arena_done(&a);
		if (done)
			break;
	}
	buf_done(&request);
	return NULL;
}

static int
bench_write(struct bench *b, unsigned lanes)
{
	pthread_t threads[LANES_MAX];

	for (unsigned i = 0; i < lanes; i++)
		if (pthread_create(&threads[i], NULL, write_lane, b) != 0)
			return -1;
	for (unsigned i = 0; i < lanes; i++)
		pthread_join(threads[i], NULL);
	return atomic_load(&b->failed) ? -1 : 0;
}

static int
bench_read(struct bench *b, struct err *err)
{
	struct arena keep = ARENA_INIT;
	struct bytes from = text_bytes(b->prefix), end = etcd_prefix_end(&keep, from);
	int64_t revision = 0, limit = PAGE_KEYS;
	struct buf request = BUF_INIT(0), last = BUF_INIT(0);
	int ret = -1;

	for (bool more = true; more;) {
		struct arena a = ARENA_INIT;
		struct opctx cx = context(b, &a);
		struct etcd_call call = { .method = ETCD_RANGE, .request = &request, .kind = ETCD_READ, .arena = &a };
		struct etcd_header header;
		struct page page;
		size_t bytes = 0;

		buf_clear(&request);
		grpc_begin(&request);
		etcd_range_encode(&request, &(struct etcd_range){ .key = from, .end = end, .limit = limit, .revision = revision });
		grpc_end(&request);
		if (etcd_call(&cx, b->conn, &call, err) < 0 || etcd_range_decode(&a, call.reply, &header, &page) < 0) {
			arena_done(&a);
			goto out;
		}
		for (size_t i = 0; i < page.n; i++)
			bytes += page.items[i].key.len + page.items[i].value.len;
		revision = revision ? revision : header.revision;
		b->n += (long)page.n;
		atomic_fetch_add(&b->bytes, bytes);
		more = page.more && page.n > 0;
		if (more) {
			buf_clear(&last);
			buf_put(&last, page.items[page.n - 1].key.p, page.items[page.n - 1].key.len);
			buf_putc(&last, '\0');
			from = (struct bytes){ last.p, last.len };
			if (bytes < PAGE_BYTES / 2)
				limit *= 2;
			else if (bytes > PAGE_BYTES)
				limit = limit / 2 > 1 ? limit / 2 : 1;
		}
		arena_done(&a);
	}
	ret = 0;
out:
	buf_done(&request);
	buf_done(&last);
	arena_done(&keep);
	return ret;
}

static int
run(int argc, char **argv, struct bench *b, struct err *err)
{
	if (strcmp(argv[1], "read") == 0)
		return bench_read(b, err);
	if (argc != 7 || strtoul(argv[6], NULL, 10) > LANES_MAX)
		return err_set(err, ERR_USAGE, "write URL PREFIX N SIZE LANES");
	b->n = strtol(argv[4], NULL, 10);
	b->size = strtoul(argv[5], NULL, 10);
	return bench_write(b, (unsigned)strtoul(argv[6], NULL, 10));
}

int
main(int argc, char **argv)
{
	struct bench b = { .lock = PTHREAD_MUTEX_INITIALIZER };
	struct arena a = ARENA_INIT;
	struct opctx cx = context(&b, &a);
	struct err err = ERR_INIT;
	struct value endpoint;
	struct value endpoints;
	void *conn = NULL;
	int64_t begin;
	int rc;

	if (argc < 4) {
		fprintf(stderr, "usage: bench_etcd write URL PREFIX N SIZE LANES | bench_etcd read URL PREFIX\n");
		return 2;
	}
	endpoint = value_str(argv[2]);
	endpoints = value_list(&endpoint, 1);
	b.prefix = argv[3];
	b.values = memset(arena_alloc(&a, VALUE_MAX), 'v', VALUE_MAX);
	rc = etcd_conn_open(&cx, &(struct etcd_args){ .endpoints = &endpoints }, &conn, &err);
	b.conn = conn;
	begin = clock_now();
	if (rc == 0)
		rc = run(argc, argv, &b, &err);
	if (rc < 0)
		fprintf(stderr, "bench_etcd: %s\n", err.msg);
	else
		printf("%.6f %ld %lu\n", (double)(clock_now() - begin) / 1e9, b.n, atomic_load(&b.bytes));
	if (conn)
		etcd_conn_close(conn);
	arena_done(&a);
	return rc < 0 ? 1 : 0;
}

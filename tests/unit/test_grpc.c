/* SPDX-License-Identifier: Apache-2.0 */
/* gRPC framing: replies in pieces of every size, cut off, broken, oversized, and with hostile text; versions. */
#include "steps/target/grpc.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "steps/target/etcd_api.h"

#define MAX 64

static void
feed_headers(struct grpc_reply *r, struct arena *a)
{
	static const char *const lines[] = { "HTTP/2 200 \r\n", "Content-Type: application/grpc\r\n", "\r\n" };

	grpc_reply_init(r, a, MAX);
	for (size_t i = 0; i < countof(lines); i++)
		grpc_reply_header(r, lines[i], strlen(lines[i]));
}

static void
frames_requests(void **state)
{
	struct buf b = BUF_INIT(0);

	(void)state;
	grpc_begin(&b);
	for (int i = 0; i < 300; i++)
		buf_putc(&b, 'x');
	grpc_end(&b);
	assert_int_equal(b.len, 305);
	assert_memory_equal(b.p, "\0\0\0\x01\x2cx", 6);
	buf_done(&b);
}

static void
takes_messages_in_any_pieces(void **state)
{
	static const char body[] = "\0\0\0\0\x03" "abc" "\0\0\0\0\0" "\0\0\0\0\x01" "d";
	const size_t len = sizeof(body) - 1;

	(void)state;
	for (size_t step = 1; step <= len; step++) {
		struct grpc_reply r;
		struct grpc_msg *m;

		feed_headers(&r, NULL);
		for (size_t at = 0; at < len; at += step)
			assert_true(grpc_reply_body(&r, body + at, len - at < step ? len - at : step));
		assert_null(r.part);
		assert_int_equal(r.head_len, 0);
		m = grpc_reply_take(&r);
		assert_int_equal(m->len, 3);
		assert_memory_equal(m->data, "abc", 3);
		free(m);
		m = grpc_reply_take(&r);
		assert_int_equal(m->len, 0);
		free(m);
		grpc_reply_done(&r); /* frees the third */
		assert_int_equal(r.status, -1);
	}
}

static void
keeps_a_cut_message_apart(void **state)
{
	struct arena a = ARENA_INIT;
	struct grpc_reply r;

	(void)state;
	feed_headers(&r, &a);
	assert_true(grpc_reply_body(&r, "\0\0\0\0\x05" "ab", 7));
	assert_null(r.first);
	assert_non_null(r.part);
	arena_done(&a);
}

static void
refuses_compression_size_and_foreign_bodies(void **state)
{
	struct grpc_reply r;

	(void)state;
	feed_headers(&r, NULL);
	assert_false(grpc_reply_body(&r, "\1\0\0\0\x01x", 6));
	assert_non_null(r.broken);
	feed_headers(&r, NULL);
	assert_false(grpc_reply_body(&r, "\0\0\0\0\x41", 5));
	assert_string_equal(r.broken, "a message over the size limit");
	assert_int_equal(r.refused_len, 0x41);
	feed_headers(&r, NULL);
	assert_false(grpc_reply_body(&r, "\0\xff\xff\xff\xff", 5));
	grpc_reply_init(&r, NULL, MAX);
	grpc_reply_header(&r, "content-type: text/html", 23);
	assert_false(grpc_reply_body(&r, "\0\0\0\0\0", 5));
}

static struct status_row {
	const char *name, *line;
	int status;
} statuses[] = {
	{ "grpc-status ok", "grpc-status: 0\r\n", 0 },
	{ "grpc-status without space", "grpc-status:14", 14 },
	{ "grpc-status in capitals", "Grpc-Status: 5\r\n", 5 },
	{ "grpc-status with letters is none", "grpc-status: 0x", -1 },
	{ "grpc-status negative is none", "grpc-status: -1", -1 },
	{ "grpc-status empty is none", "grpc-status: ", -1 },
	{ "grpc-status too long is none", "grpc-status: 00000000000000000", -1 },
	{ "another header", "grpc-statusx: 0", -1 },
};

static void
reads_status(void **state)
{
	const struct status_row *row = *state;
	struct grpc_reply r;

	grpc_reply_init(&r, NULL, MAX);
	grpc_reply_header(&r, row->line, strlen(row->line));
	assert_int_equal(r.status, row->status);
}

static void
decodes_and_escapes_message(void **state)
{
	static const char line[] = "grpc-message: a%3Ab%0Ac%1b[31m%zz%4";
	struct grpc_reply r;

	(void)state;
	grpc_reply_init(&r, NULL, MAX);
	grpc_reply_header(&r, line, sizeof(line) - 1);
	assert_string_equal(r.message, "a:b\\nc\\x1b[31m%zz%4");
}

static void
caps_message(void **state)
{
	struct buf line = BUF_INIT(0);
	struct grpc_reply r;

	(void)state;
	buf_puts(&line, "grpc-message: ");
	for (int i = 0; i < 5000; i++)
		buf_puts(&line, "%01");
	grpc_reply_init(&r, NULL, MAX);
	grpc_reply_header(&r, line.p, line.len);
	assert_int_equal(strlen(r.message), sizeof(r.message) - 1);
	buf_done(&line);
}

static void
reads_versions(void **state)
{
	(void)state;
	assert_int_equal(etcd_version_number((struct bytes){ "3.4.23", 6 }), 30423);
	assert_int_equal(etcd_version_number((struct bytes){ "3.6.0-rc.1", 10 }), 30600);
	assert_int_equal(etcd_version_number((struct bytes){ "3.5", 3 }), -1);
	assert_int_equal(etcd_version_number((struct bytes){ "3.5.", 4 }), -1);
	assert_int_equal(etcd_version_number((struct bytes){ "3.5.999999999999", 16 }), -1);
	assert_int_equal(etcd_version_number((struct bytes){ "", 0 }), -1);
}

static void
decodes_a_range(void **state)
{
	static const char reply[] = "\x0a\x04\x08\x07\x18\x09" "\x12\x0f\x0a\x02/a\x10\x03\x18\x05\x20\x02\x2a\x01v\x30\x0c"
				    "\x18\x01\x20\x64" "\x7a\x01?";
	struct arena a = ARENA_INIT;
	struct etcd_header h;
	struct page page;

	(void)state;
	assert_int_equal(etcd_range_decode(&a, (struct bytes){ reply, sizeof(reply) - 1 }, &h, &page), 0);
	assert_int_equal(h.cluster_id, 7);
	assert_int_equal(page.revision, 9);
	assert_true(page.more);
	assert_int_equal(page.count, 100);
	assert_int_equal(page.n, 1);
	assert_int_equal(page.items[0].key.len, 2);
	assert_int_equal(page.items[0].created, 3);
	assert_int_equal(page.items[0].revision, 5);
	assert_int_equal(page.items[0].version, 2);
	assert_int_equal(page.items[0].lease, 12);
	assert_int_equal(etcd_range_decode(&a, (struct bytes){ reply, 12 }, &h, &page), -1);
	arena_done(&a);
}

/* Three million empty items in six megabytes: refused before they become 200. */
static void
refuses_amplification(void **state)
{
	struct arena a = ARENA_INIT;
	struct etcd_header h;
	struct buf b = BUF_INIT(0);
	struct page page;

	(void)state;
	for (int i = 0; i < 3 << 20; i++)
		buf_put(&b, "\x12\0", 2);
	assert_int_equal(etcd_range_decode(&a, (struct bytes){ b.p, b.len }, &h, &page), -1);
	assert_true(a.total < 1 << 20);
	buf_done(&b);
	arena_done(&a);
}

int
main(void)
{
	struct CMUnitTest tests[9 + countof(statuses)] = {
		cmocka_unit_test(frames_requests),
		cmocka_unit_test(takes_messages_in_any_pieces),
		cmocka_unit_test(keeps_a_cut_message_apart),
		cmocka_unit_test(refuses_compression_size_and_foreign_bodies),
		cmocka_unit_test(decodes_and_escapes_message),
		cmocka_unit_test(caps_message),
		cmocka_unit_test(reads_versions),
		cmocka_unit_test(decodes_a_range),
		cmocka_unit_test(refuses_amplification),
	};

	for (size_t i = 0; i < countof(statuses); i++)
		tests[9 + i] = (struct CMUnitTest){ statuses[i].name, reads_status, .initial_state = &statuses[i] };
	return cmocka_run_group_tests(tests, NULL, NULL);
}

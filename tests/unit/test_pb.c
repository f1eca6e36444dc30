/* SPDX-License-Identifier: Apache-2.0 */
/* The protobuf wire format against bytes that protoc's own libraries write, and against malformed ones. */
#include "steps/target/etcd_api.h"
#include "steps/target/grpc.h"
#include "steps/target/grpc_body.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#define B(s) ((struct bytes){ s, sizeof(s) - 1 })

static void
assert_bytes(const struct buf *b, struct bytes want)
{
	assert_int_equal(b->len, want.len);
	assert_memory_equal(b->p, want.p, want.len);
}

static void
writes_fields(void **state)
{
	struct buf b = BUF_INIT(0);

	(void)state;
	pb_uint(&b, 1, 150);
	pb_int(&b, 2, -1);
	pb_str(&b, 64, "testing");
	pb_bytes(&b, 4, B("\0\xff"));
	assert_bytes(&b, B("\x08\x96\x01"
			   "\x10\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"
			   "\x82\x04\x07testing"
			   "\x22\x02\0\xff"));
	buf_done(&b);
}

static void
leaves_defaults_out(void **state)
{
	struct buf b = BUF_INIT(0);

	(void)state;
	pb_uint(&b, 1, 0);
	pb_str(&b, 2, "");
	assert_int_equal(b.len, 0);
}

static void
nests_messages(void **state)
{
	struct buf b = BUF_INIT(0);
	struct pb in;
	struct pb_field f;
	size_t outer, inner;

	(void)state;
	outer = pb_open(&b, 2);
	inner = pb_open(&b, 3);
	pb_str(&b, 1, "x");
	pb_close(&b, inner);
	pb_close(&b, pb_open(&b, 4));
	pb_close(&b, outer);
	in = pb_read((struct bytes){ b.p, b.len });
	assert_true(pb_next(&in, &f));
	assert_int_equal(f.number, 2);
	in = pb_read(f.b);
	assert_true(pb_next(&in, &f));
	assert_int_equal(f.number, 3);
	assert_int_equal(f.b.len, 3);
	assert_memory_equal(f.b.p, "\x0a\x01x", 3);
	assert_true(pb_next(&in, &f));
	assert_int_equal(f.number, 4);
	assert_int_equal(f.b.len, 0);
	assert_false(pb_next(&in, &f));
	assert_false(in.bad);
	buf_done(&b);
}

static void
reads_all_wire_types(void **state)
{
	struct pb in = pb_read(B("\x08\x96\x01\x11\x01\x02\x03\x04\x05\x06\x07\x08\x1a\x02hi\x25\x01\0\0\x80"));
	struct pb_field f;

	(void)state;
	assert_true(pb_next(&in, &f) && f.number == 1 && f.v == 150);
	assert_true(pb_next(&in, &f) && f.number == 2 && f.v == 0x0807060504030201);
	assert_true(pb_next(&in, &f) && f.number == 3 && f.b.len == 2 && memcmp(f.b.p, "hi", 2) == 0);
	assert_true(pb_next(&in, &f) && f.number == 4 && f.v == 0x80000001);
	assert_false(pb_next(&in, &f));
	assert_false(in.bad);
}

static struct row {
	const char *name;
	struct bytes message;
} malformed[] = {
	{ "tag cut off", { "\x88", 1 } },
	{ "varint cut off", { "\x08\x80", 2 } },
	{ "varint of eleven bytes", { "\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 12 } },
	{ "varint over 64 bits", { "\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02", 11 } },
	{ "length past the end", { "\x0a\x03hi", 4 } },
	{ "length of 2^63", { "\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 11 } },
	{ "fixed64 cut off", { "\x09\x01\x02", 3 } },
	{ "fixed32 cut off", { "\x0d\x01", 2 } },
	{ "group", { "\x0b\x0c", 2 } },
	{ "field number 0", { "\x02\x01x", 3 } },
	{ "field number over 2^29", { "\xf8\xff\xff\xff\xff\x01\x01", 7 } },
};

static void
refuses(void **state)
{
	const struct row *r = *state;
	struct pb in = pb_read(r->message);
	struct pb_field f;

	while (pb_next(&in, &f))
		;
	assert_true(in.bad);
	assert_false(pb_next(&in, &f));
}

/* The same request with its values copied and lent, taken in pieces of many sizes, and again from the begin. */
static void
lends_long_values(void **state)
{
	static char text[5000];
	const struct bytes values[] = { { text, 0 }, { text, 1 }, { text + 1, 1023 }, { text + 2, 1024 }, { text, 5000 }, { text, 3 }, { text, 1024 } };
	struct buf copied = BUF_INIT(0), lent = BUF_INIT(0);
	struct lents l = { 0 };
	struct grpc_body body;
	char got[16384];

	(void)state;
	for (size_t i = 0; i < sizeof(text); i++)
		text[i] = (char)(i % 251);
	grpc_begin(&copied);
	grpc_begin(&lent);
	for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
		etcd_op_put(&copied, ETCD_THEN, B("key"), values[i], (int64_t)i);
		etcd_op_put_lent(&lent, &l, ETCD_THEN, B("key"), values[i], (int64_t)i);
	}
	grpc_end(&copied);
	grpc_end_lent(&lent, l.len);
	assert_int_equal(l.n, 3);
	grpc_body_begin(&body, &lent, &l);
	assert_int_equal(grpc_body_len(&body), copied.len);
	for (size_t size = 1; size < 7000; size = size * 3 / 2 + 1) {
		size_t len = 0, n;

		assert_int_equal(grpc_body_seek(&body, 0, SEEK_SET), CURL_SEEKFUNC_OK);
		while ((n = grpc_body_read(got + len, 1, size, &body)) > 0)
			len += n;
		assert_bytes(&copied, (struct bytes){ got, len });
	}
	assert_int_equal(grpc_body_seek(&body, 1, SEEK_SET), CURL_SEEKFUNC_CANTSEEK);
	lents_clear(&l);
	grpc_begin(&lent);
	etcd_op_put_lent(&lent, &l, ETCD_THEN, B("key"), B("short"), 0);
	assert_int_equal(l.len, 0);
	lents_done(&l);
	buf_done(&lent);
	buf_done(&copied);
}

int
main(void)
{
	struct CMUnitTest tests[4 + sizeof(malformed) / sizeof(malformed[0])] = {
		cmocka_unit_test(writes_fields),
		cmocka_unit_test(leaves_defaults_out),
		cmocka_unit_test(nests_messages),
		cmocka_unit_test(reads_all_wire_types),
		cmocka_unit_test(lends_long_values),
	};

	for (size_t i = 0; i < sizeof(malformed) / sizeof(malformed[0]); i++)
		tests[4 + i] = (struct CMUnitTest){ malformed[i].name, refuses, .initial_state = &malformed[i] };
	return cmocka_run_group_tests(tests, NULL, NULL);
}

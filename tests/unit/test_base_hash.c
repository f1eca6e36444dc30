/* SPDX-License-Identifier: Apache-2.0 */
/* Digests against the vectors of FIPS 180-4 and RFC 4231, codings against RFC 4648 and against what must be refused. */
#include "base/hash.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#define SHA_ABC "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
#define SHA_EMPTY "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

static void
sha256_vectors(void **state)
{
	char hex[SHA256_HEX];
	unsigned char digest[SHA256_LEN];
	struct sha256 *h = sha256_new();

	(void)state;
	sha256_hex("abc", 3, hex);
	assert_string_equal(hex, SHA_ABC);
	sha256_hex(NULL, 0, hex);
	assert_string_equal(hex, SHA_EMPTY);
	for (int round = 0; round < 2; round++) {
		sha256_add(h, "a", 1);
		sha256_add(h, NULL, 0);
		sha256_add(h, "bc", 2);
		sha256_end(h, digest);
		hex_encode(digest, sizeof(digest), hex);
		assert_string_equal(hex, SHA_ABC);
	}
	sha256_end(h, digest);
	hex_encode(digest, sizeof(digest), hex);
	assert_string_equal(hex, SHA_EMPTY);
	sha256_free(h);
	sha256_free(NULL);
}

static void
hmac_vectors(void **state)
{
	char hex[SHA256_HEX], key[131];

	(void)state;
	hmac_sha256_hex((struct bytes){ "Jefe", 4 }, "what do ya want for nothing?", 28, hex);
	assert_string_equal(hex, "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
	hmac_sha256_hex((struct bytes){ NULL, 0 }, "", 0, hex);
	assert_string_equal(hex, "b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c712144292c5ad");
	memset(key, 0xaa, sizeof(key));
	hmac_sha256_hex((struct bytes){ key, sizeof(key) }, "Test Using Larger Than Block-Size Key - Hash Key First", 54, hex);
	assert_string_equal(hex, "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
}

static void
slow_hash_vector(void **state)
{
	char hex[SHA256_HEX];

	(void)state;
	slow_hash_hex((struct bytes){ "SodiumChloride", 14 }, "pleaseletmein", 13, hex); /* by another implementation, OpenSSL's from Python */
	assert_string_equal(hex, "ad653dac90fd5418aa6c5e6ba2aaf60ba99afd72b8087ef6dc5ffcecb7f6426a");
}

static void
hex_goes_both_ways(void **state)
{
	char text[7];
	unsigned char bytes[3];

	(void)state;
	hex_encode("\x00\xab\xff", 3, text);
	assert_string_equal(text, "00abff");
	assert_int_equal(hex_decode("00aBFf", 6, bytes), 0);
	assert_memory_equal(bytes, "\x00\xab\xff", 3);
	assert_int_equal(hex_decode("0", 1, bytes), -1);
	assert_int_equal(hex_decode("0g", 2, bytes), -1);
	assert_int_equal(hex_decode(" 1", 2, bytes), -1);
}

static void
base64_goes_both_ways(void **state)
{
	static const struct {
		const char *plain, *coded;
	} rows[] = {
		{ "", "" },         { "f", "Zg==" },         { "fo", "Zm8=" },         { "foo", "Zm9v" },
		{ "foob", "Zm9vYg==" }, { "fooba", "Zm9vYmE=" }, { "foobar", "Zm9vYmFy" }, { "\xfb\xff\xfe", "+//+" },
	};
	struct buf b = BUF_INIT(0);

	(void)state;
	for (size_t i = 0; i < countof(rows); i++) {
		buf_clear(&b);
		buf_puts(&b, ">");
		base64_encode(&b, rows[i].plain, strlen(rows[i].plain));
		assert_string_equal(b.p + 1, rows[i].coded);
		buf_clear(&b);
		buf_puts(&b, ">");
		assert_int_equal(base64_decode(&b, rows[i].coded, strlen(rows[i].coded)), 0);
		assert_string_equal(b.p + 1, rows[i].plain);
		assert_int_equal(b.len, strlen(rows[i].plain) + 1);
	}
	buf_done(&b);
}

static void
base64_refuses_what_is_not_canonical(void **state)
{
	static const char *const rows[] = {
		"Zg", "Zg=", "Zh==", "Zm9=", "Zg==Zg==", "=", "==", "====", "Z===", "Zm9v\n", "Zm 9", "Zm-_", "Zm=v", "\x80m9v",
	};
	struct buf b = BUF_INIT(0);

	(void)state;
	buf_puts(&b, ">");
	for (size_t i = 0; i < countof(rows); i++) {
		if (base64_decode(&b, rows[i], strlen(rows[i])) == 0)
			fail_msg("accepted '%s'", rows[i]);
		assert_string_equal(b.p, ">");
	}
	buf_done(&b);
}

static void
random_bytes_differ(void **state)
{
	unsigned char a[32] = { 0 }, b[32] = { 0 };

	(void)state;
	random_bytes(a, sizeof(a));
	random_bytes(b, sizeof(b));
	assert_memory_not_equal(a, b, sizeof(a));
}

static void
checksum_sees_every_bit(void **state)
{
	unsigned char bytes[75];

	(void)state;
	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (unsigned char)(i * 7);
	for (size_t len = 0; len <= sizeof(bytes); len++) {
		const uint64_t sum = checksum64(1, bytes, len);

		assert_true(sum == checksum64(1, bytes, len) && sum != checksum64(2, bytes, len));
		assert_true(len == 0 || sum != checksum64(1, bytes, len - 1));
		for (size_t bit = 0; bit < len * 8; bit++) {
			bytes[bit / 8] ^= (unsigned char)(1U << bit % 8);
			assert_true(checksum64(1, bytes, len) != sum);
			bytes[bit / 8] ^= (unsigned char)(1U << bit % 8);
		}
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sha256_vectors),        cmocka_unit_test(hmac_vectors),
		cmocka_unit_test(slow_hash_vector),
		cmocka_unit_test(hex_goes_both_ways),    cmocka_unit_test(base64_goes_both_ways),
		cmocka_unit_test(random_bytes_differ),   cmocka_unit_test(base64_refuses_what_is_not_canonical),
		cmocka_unit_test(checksum_sees_every_bit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

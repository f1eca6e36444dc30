/* SPDX-License-Identifier: Apache-2.0 */
/* Owns the use of libcrypto. A digest cannot fail but for lack of memory, and then aborts like the malloc family.
 * SHA-256 goes by the direct calls, which OpenSSL 3 would rather hide behind EVP: that costs a third more for a batch of a
 * journal, and reads the library's configuration first. */
#define OPENSSL_SUPPRESS_DEPRECATED
#include "base/hash.h"

#include <errno.h>
#include <openssl/evp.h>
#include <openssl/sha.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

struct sha256 {
	SHA256_CTX ctx;
};

/* What OWASP's Password Storage Cheat Sheet gives for 64 MiB. */
#define SCRYPT_N 65536
#define SCRYPT_R 8
#define SCRYPT_P 2
#define SCRYPT_MOST ((uint64_t)128 << 20) /* bytes */

static const char base64_chars[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

static void
must(bool ok)
{
	if (!ok)
		abort();
}

struct sha256 *
sha256_new(void)
{
	struct sha256 *h = xcalloc(1, sizeof(*h));

	must(SHA256_Init(&h->ctx) == 1);
	return h;
}

void
sha256_add(struct sha256 *h, const void *p, size_t len)
{
	must(SHA256_Update(&h->ctx, p, len) == 1);
}

void
sha256_end(struct sha256 *h, unsigned char ret[SHA256_LEN])
{
	must(SHA256_Final(ret, &h->ctx) == 1);
	must(SHA256_Init(&h->ctx) == 1);
}

void
sha256_free(struct sha256 *h)
{
	free(h);
}

void
sha256_of(const void *p, size_t len, unsigned char ret[SHA256_LEN])
{
	struct sha256 h;

	must(SHA256_Init(&h.ctx) == 1);
	sha256_add(&h, p, len);
	must(SHA256_Final(ret, &h.ctx) == 1);
}

void
sha256_hex(const void *p, size_t len, char ret[SHA256_HEX])
{
	unsigned char digest[SHA256_LEN];

	sha256_of(p, len, digest);
	hex_encode(digest, sizeof(digest), ret);
}

static uint64_t
sum_word(uint64_t sum, uint64_t word)
{
	sum ^= word;
	return (sum << 29 | sum >> 35) * UINT64_C(0x9e3779b97f4a7c15);
}

/* Each step maps one to one, so no change of a single word stays unseen. Four sums side by side do not wait for each other. */
uint64_t
checksum64(uint64_t before, const void *p, size_t len)
{
	uint64_t sums[4] = { before, before + 1, before + 2, before + 3 }, words[4], sum = len;

	for (size_t at = 0, n; at < len; at += n) {
		n = len - at < sizeof(words) ? len - at : sizeof(words);
		if (n < sizeof(words))
			memset(words, 0, sizeof(words));
		memcpy(words, (const char *)p + at, n);
		for (size_t i = 0; i < countof(sums); i++)
			sums[i] = sum_word(sums[i], words[i]);
	}
	for (size_t i = 0; i < countof(sums); i++)
		sum = sum_word(sum, sums[i]);
	return sum;
}

/* Of the block, each byte of it changed by pad, and what follows it. */
static void
sha256_behind(const unsigned char block[SHA256_CBLOCK], unsigned char pad, const void *p, size_t len, unsigned char ret[SHA256_LEN])
{
	unsigned char padded[SHA256_CBLOCK];
	struct sha256 h;

	for (size_t i = 0; i < sizeof(padded); i++)
		padded[i] = block[i] ^ pad;
	must(SHA256_Init(&h.ctx) == 1);
	sha256_add(&h, padded, sizeof(padded));
	sha256_add(&h, p, len);
	must(SHA256_Final(ret, &h.ctx) == 1);
	explicit_bzero(padded, sizeof(padded));
	explicit_bzero(&h, sizeof(h));
}

void
hmac_sha256_hex(struct bytes key, const void *p, size_t len, char ret[SHA256_HEX])
{
	unsigned char block[SHA256_CBLOCK] = { 0 }, digest[SHA256_LEN];

	if (key.len > sizeof(block))
		sha256_of(key.p, key.len, block);
	else if (key.len > 0)
		memcpy(block, key.p, key.len);
	sha256_behind(block, 0x36, p, len, digest);
	sha256_behind(block, 0x5c, digest, sizeof(digest), digest);
	explicit_bzero(block, sizeof(block));
	hex_encode(digest, sizeof(digest), ret);
}

void
slow_hash_hex(struct bytes salt, const void *p, size_t len, char ret[SHA256_HEX])
{
	unsigned char digest[SHA256_LEN];

	must(EVP_PBE_scrypt(p, len, salt.p, salt.len, SCRYPT_N, SCRYPT_R, SCRYPT_P, SCRYPT_MOST, digest, sizeof(digest)) == 1);
	hex_encode(digest, sizeof(digest), ret);
}

void
hex_encode(const void *p, size_t len, char *ret)
{
	const unsigned char *s = p;

	for (size_t i = 0; i < len; i++) { /* arithmetic, no table: compilers do many at a time */
		const unsigned char high = s[i] >> 4, low = s[i] & 15;

		ret[2 * i] = (char)(high + (high < 10 ? '0' : 'a' - 10));
		ret[2 * i + 1] = (char)(low + (low < 10 ? '0' : 'a' - 10));
	}
	ret[2 * len] = '\0';
}

static int
hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

int
hex_decode(const char *s, size_t len, void *ret)
{
	unsigned char *to = ret;
	int high, low;

	if (len % 2 != 0)
		return -1;
	for (size_t i = 0; i < len; i += 2) {
		high = hex_digit(s[i]);
		low = hex_digit(s[i + 1]);
		if (high < 0 || low < 0)
			return -1;
		*to++ = (unsigned char)(high << 4 | low);
	}
	return 0;
}

void
base64_encode(struct buf *to, const void *p, size_t len)
{
	const unsigned char *s = p;
	uint32_t bits;
	size_t n;
	char *at;

	if (len > SIZE_MAX / 4 || (at = buf_grow(to, (len + 2) / 3 * 4)) == NULL) {
		to->failed = true;
		return;
	}
	to->len += (len + 2) / 3 * 4;
	for (; len > 0; s += n, len -= n) {
		n = len < 3 ? len : 3;
		bits = (uint32_t)s[0] << 16 | (n > 1 ? (uint32_t)s[1] << 8 : 0) | (n > 2 ? s[2] : 0);
		*at++ = base64_chars[bits >> 18];
		*at++ = base64_chars[bits >> 12 & 63];
		*at++ = n > 1 ? base64_chars[bits >> 6 & 63] : '=';
		*at++ = n > 2 ? base64_chars[bits & 63] : '=';
	}
}

static int
base64_digit(char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	return c == '+' ? 62 : c == '/' ? 63 : -1;
}

int
base64_decode(struct buf *to, const char *s, size_t len)
{
	size_t pad = len == 0 ? 0 : (s[len - 1] == '=') + (size_t)(len > 1 && s[len - 1] == '=' && s[len - 2] == '=');
	size_t out, i;
	uint32_t bits = 0;
	char *at;
	int digit;

	if (len % 4 != 0)
		return -1;
	out = len / 4 * 3 - pad;
	at = buf_grow(to, out);
	if (at == NULL)
		return -1;
	for (i = 0; i < len; i++) {
		digit = i < len - pad ? base64_digit(s[i]) : 0;
		if (digit < 0)
			goto bad;
		bits = bits << 6 | (uint32_t)digit;
		if (i % 4 != 3)
			continue;
		for (int shift = 16; shift >= 0 && out > 0; shift -= 8, out--)
			*at++ = (char)(bits >> shift & 255);
		/* Bits under the padding must be zero, or two texts would mean the same bytes. */
		if (i + 1 == len && (bits & ((UINT32_C(1) << (8 * pad)) - 1)) != 0)
			goto bad;
		bits = 0;
	}
	to->len += len / 4 * 3 - pad;
	return 0;
bad:
	to->p[to->len] = '\0';
	return -1;
}

void
random_bytes(void *p, size_t len)
{
	unsigned char *to = p;
	ssize_t n;

	while (len > 0) {
		n = getrandom(to, len, 0);
		must(n >= 0 || errno == EINTR);
		if (n > 0) {
			to += n;
			len -= (size_t)n;
		}
	}
}

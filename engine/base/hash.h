/* SPDX-License-Identifier: Apache-2.0 */
/* SHA-256 (FIPS 180-4), HMAC (RFC 2104), scrypt (RFC 7914), base64 (RFC 4648), hex and random bytes, over libcrypto. */
#ifndef WHERRY_BASE_HASH_H
#define WHERRY_BASE_HASH_H

#include "base/arena.h"
#include "base/buf.h"

#include <stdint.h>

#define SHA256_LEN 32
#define SHA256_HEX 65 /* with NUL */

struct sha256; /* one running hash */
struct sha256 *sha256_new(void);
void sha256_add(struct sha256 *h, const void *p, size_t len);
/* Write the digest and start anew. */
void sha256_end(struct sha256 *h, unsigned char ret[SHA256_LEN]);
void sha256_free(struct sha256 *h);

void sha256_of(const void *p, size_t len, unsigned char ret[SHA256_LEN]);
void sha256_hex(const void *p, size_t len, char ret[SHA256_HEX]);
/* A sum of bytes, and of what `before` is the sum of, that shows damage but proves nothing: whoever wants to can make bytes for it.
 * The same bytes in other pieces have another sum. Many times as fast as a hash. */
uint64_t checksum64(uint64_t before, const void *p, size_t len);
void hmac_sha256_hex(struct bytes key, const void *p, size_t len, char ret[SHA256_HEX]);
/* A digest of what may be guessed (scrypt, RFC 7914): each guess takes 64 MiB and a fifth of a second. */
void slow_hash_hex(struct bytes salt, const void *p, size_t len, char ret[SHA256_HEX]);
void hex_encode(const void *p, size_t len, char *ret); /* ret holds 2 * len + 1 */
/* Decode exactly len / 2 bytes; -1 for anything that is not lowercase or uppercase hex. */
int hex_decode(const char *s, size_t len, void *ret);
void base64_encode(struct buf *to, const void *p, size_t len);
/* Append the decoded bytes; -1 for anything that is not canonical padded base64. */
int base64_decode(struct buf *to, const char *s, size_t len);
/* Cryptographic random bytes; aborts when the kernel has none. */
void random_bytes(void *p, size_t len);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* Owns the bytes of a batch. There is exactly one way to write a given batch, and anything else is refused: the
 * hash covers head and body, and hash line and padding are compared byte by byte, so that no bit of a batch can
 * flip unseen. */
#include "journal_file.h"

#include <string.h>

#include "base/bytes8.h"

#define HASH_HEX (SHA256_HEX - 1)
#define HEAD_MAGIC "WJ1 "

const char batch_newer[] = "written by a newer version of wherry";
const char batch_foreign[] = "the batch is of another run";

static char *
put_number(char *to, unsigned width, uint64_t n, char after)
{
	for (unsigned i = width; i-- > 0; n /= 10)
		to[i] = (char)('0' + n % 10);
	to[width] = after;
	return to + width + 1;
}

static inline const char *
get_number(const char *from, unsigned width, char after, uint64_t *ret)
{
	const unsigned low = width < 8 ? width : 8;
	uint64_t high = 0;

	if (from == NULL || (width > 8 && !bytes8_digits(bytes8(from), width - 8, &high)) ||
	    !bytes8_digits(bytes8(from + width - low), low, ret) || from[width] != after)
		return NULL;
	*ret += high * 100000000;
	return from + width + 1;
}

static bool
is_hex(const char *s, size_t len)
{
	unsigned char bad = 0;

	for (size_t i = 0; i < len; i++) { /* without a way out, so that it is done many at a time */
		const unsigned char digit = (unsigned char)(s[i] - '0'), letter = (unsigned char)(s[i] - 'a');

		bad |= (unsigned char)((digit > 9) & (letter > 5));
	}
	return bad == 0;
}

static bool
is_blank(const char *s, size_t len)
{
	return len == 0 || (s[0] == ' ' && memcmp(s, s + 1, len - 1) == 0);
}

void
batch_tag(const char *run, char ret[RUN_TAG])
{
	char hex[SHA256_HEX];

	sha256_hex(run, strlen(run), hex);
	memcpy(ret, hex, RUN_TAG - 1);
	ret[RUN_TAG - 1] = '\0';
}

size_t
batch_size(size_t body)
{
	return (BATCH_HEAD + body + BATCH_HASH + BATCH_ALIGN - 1) / BATCH_ALIGN * BATCH_ALIGN;
}

static void
hash_of(const char *at, const struct batch *b, struct sha256 *h, char ret_hash[SHA256_HEX])
{
	unsigned char digest[SHA256_LEN];

	sha256_add(h, at, BATCH_HEAD + b->len);
	sha256_end(h, digest);
	hex_encode(digest, sizeof(digest), ret_hash);
}

void
batch_finish(char *at, const char *tag, const struct batch *b, struct sha256 *h, char ret_hash[SHA256_HEX])
{
	char *end = at + batch_size(b->len), *p = at;

	memcpy(p, HEAD_MAGIC, strlen(HEAD_MAGIC));
	p += strlen(HEAD_MAGIC);
	memcpy(p, tag, RUN_TAG - 1);
	p += RUN_TAG - 1;
	*p++ = ' ';
	p = put_number(p, 12, b->number, ' ');
	p = put_number(p, 12, b->first, ' ');
	p = put_number(p, 7, b->len, ' ');
	p = put_number(p, 6, b->records, ' ');
	p = put_number(p, 12, b->reserved, ' ');
	memcpy(p, b->prev, HASH_HEX);
	p[HASH_HEX] = '\n';
	hash_of(at, b, h, ret_hash);
	p = at + BATCH_HEAD + b->len;
	memcpy(p, ret_hash, HASH_HEX);
	p += HASH_HEX;
	*p++ = '\n';
	if (p < end) {
		memset(p, ' ', (size_t)(end - p));
		end[-1] = '\n';
	}
}

const char *
batch_head(const char *at, const char *tag, struct batch *ret)
{
	const char *p = at + strlen(HEAD_MAGIC) + RUN_TAG;
	uint64_t len, records;

	if (memcmp(at, "WJ", 2) == 0 && at[2] >= '2' && at[2] <= '9' && at[3] == ' ')
		return batch_newer;
	if (memcmp(at, HEAD_MAGIC, strlen(HEAD_MAGIC)) != 0)
		return "no batch begins here";
	ret->foreign = memcmp(at + strlen(HEAD_MAGIC), tag, RUN_TAG - 1) != 0;
	p = p[-1] == ' ' ? get_number(p, 12, ' ', &ret->number) : NULL;
	p = get_number(p, 12, ' ', &ret->first);
	p = get_number(p, 7, ' ', &len);
	p = get_number(p, 6, ' ', &records);
	p = get_number(p, 12, ' ', &ret->reserved);
	if (p == NULL || len > BATCH_BODY_MAX || !is_hex(p, HASH_HEX) || p[HASH_HEX] != '\n')
		return "the head of the batch is malformed";
	ret->len = (uint32_t)len;
	ret->records = (uint32_t)records;
	for (size_t i = 0; i < HASH_HEX; i += 16) /* in one, gcc makes it a slow string instruction */
		memcpy(ret->prev + i, p + i, 16);
	ret->prev[HASH_HEX] = '\0';
	return NULL;
}

void
batch_hash(const char *at, const struct batch *b, char ret_hash[SHA256_HEX])
{
	memcpy(ret_hash, at + BATCH_HEAD + b->len, HASH_HEX);
	ret_hash[HASH_HEX] = '\0';
}

const char *
batch_verify(const char *at, const struct batch *b, struct sha256 *h, char ret_hash[SHA256_HEX])
{
	const char *p = at + BATCH_HEAD + b->len, *end = at + batch_size(b->len);

	hash_of(at, b, h, ret_hash);
	if (memcmp(p, ret_hash, HASH_HEX) != 0 || p[HASH_HEX] != '\n')
		return "the batch does not match its hash";
	p += BATCH_HASH;
	if (p < end && (end[-1] != '\n' || !is_blank(p, (size_t)(end - p) - 1)))
		return "the padding of the batch is damaged";
	return b->foreign ? batch_foreign : NULL;
}

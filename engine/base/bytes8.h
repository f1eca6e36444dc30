/* SPDX-License-Identifier: Apache-2.0 */
/* Eight bytes of text in one word: a journal is full of digits, keys and plain strings, which take long byte by byte. */
#ifndef WHERRY_BASE_BYTES8_H
#define WHERRY_BASE_BYTES8_H

#include <endian.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#define EACH_BYTE(b) (UINT64_C(0x0101010101010101) * (b))

/* The eight bytes at p, the first one lowest. */
static inline uint64_t
bytes8(const char *p)
{
	uint64_t word;

	memcpy(&word, p, sizeof(word));
	return le64toh(word);
}

/* The number that the first n of them are, 1 to 8 digits; false if they are not. */
static inline bool
bytes8_digits(uint64_t word, unsigned n, uint64_t *ret)
{
	const uint64_t pair = UINT64_C(0xff000000ff);

	word = (word ^ EACH_BYTE('0')) << 8 * (8 - n); /* with zeroes in front */
	if (((word | (word + EACH_BYTE(0x80 - 10))) & EACH_BYTE(0x80)) != 0)
		return false;
	word = word * 10 + (word >> 8);
	word = (word & pair) * (100 + (UINT64_C(1000000) << 32)) + (word >> 16 & pair) * (1 + (UINT64_C(10000) << 32));
	*ret = word >> 32;
	return true;
}

#endif

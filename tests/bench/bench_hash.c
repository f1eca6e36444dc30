/* SPDX-License-Identifier: Apache-2.0 */
/* The bound of a resume: `bench_hash FILE...` reads files and takes the SHA-256 of each, with the library that wherry uses, and
 * prints the digests. It begins like wherry, as a process, so that both are timed to their first line of output. */
#include <fcntl.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define PIECE ((size_t)128 << 10) /* stays in the cache between read and hash, and is cheaper than to map the file */

static int
hash(const char *path, char *piece, unsigned char ret[EVP_MAX_MD_SIZE], unsigned *ret_len)
{
	const int fd = open(path, O_RDONLY | O_CLOEXEC);
	EVP_MD_CTX *h = EVP_MD_CTX_new();
	ssize_t n = -1;

	if (fd >= 0 && h != NULL && EVP_DigestInit_ex(h, EVP_sha256(), NULL) == 1)
		while ((n = read(fd, piece, PIECE)) > 0)
			EVP_DigestUpdate(h, piece, (size_t)n);
	if (n == 0)
		EVP_DigestFinal_ex(h, ret, ret_len);
	EVP_MD_CTX_free(h);
	if (fd >= 0)
		close(fd);
	return n == 0 ? 0 : -1;
}

int
main(int argc, char **argv)
{
	unsigned char digest[EVP_MAX_MD_SIZE];
	char *piece = malloc(PIECE);
	unsigned len = 0;

	for (int i = 1; i < argc; i++) {
		if (piece == NULL || hash(argv[i], piece, digest, &len) < 0) {
			perror(argv[i]);
			return 1;
		}
		for (unsigned k = 0; k < len; k++)
			printf("%02x", digest[k]);
		putchar(i + 1 < argc ? ' ' : '\n');
	}
	free(piece);
	return 0;
}

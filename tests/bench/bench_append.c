/* SPDX-License-Identifier: Apache-2.0 */
/* The bound of durable appends: `bench_append FILE N BYTES` writes N blocks one after the other to a file reserved ahead
 * in steps of 1 MiB, each with an fdatasync of its own, and prints the seconds it took. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define RESERVE (1L << 20)

static double
now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static int
append(int fd, long n, long bytes)
{
	char *block = malloc((size_t)bytes);
	long reserved = 0;
	int ret = -1;

	if (!block)
		return -1;
	memset(block, 'x', (size_t)bytes);
	for (long i = 0; i < n; i++) {
		if ((i + 1) * bytes > reserved) {
			if (fallocate(fd, 0, reserved, RESERVE) < 0 || fsync(fd) < 0)
				goto out;
			reserved += RESERVE;
		}
		if (pwrite(fd, block, (size_t)bytes, i * bytes) != bytes || fdatasync(fd) < 0)
			goto out;
	}
	ret = 0;
out:
	free(block);
	return ret;
}

int
main(int argc, char **argv)
{
	double begin;
	int fd;

	if (argc != 4) {
		fprintf(stderr, "usage: bench_append FILE N BYTES\n");
		return 2;
	}
	fd = open(argv[1], O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	begin = now();
	if (fd < 0 || append(fd, strtol(argv[2], NULL, 10), strtol(argv[3], NULL, 10)) < 0) {
		perror(argv[1]);
		return 1;
	}
	printf("%.6f\n", now() - begin);
	close(fd);
	unlink(argv[1]);
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Preloaded into the shipped program: the write that WRITE_SHORT=N counts (from 1) really writes only half of its bytes
 * and says so. A tracer cannot do that: it can only lie about the count. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

/* The commands that it starts write whole. */
__attribute__((constructor)) static void
alone(void)
{
	unsetenv("LD_PRELOAD");
}

/* Only of files and pipes: an eventfd takes its eight bytes or none. */
static size_t
shortened(int fd, size_t len)
{
	static atomic_ulong calls;
	const char *at = getenv("WRITE_SHORT");
	struct stat st;

	if (!at || fstat(fd, &st) < 0 || !(S_ISREG(st.st_mode) || S_ISFIFO(st.st_mode)) || ++calls != strtoul(at, NULL, 10) || len < 2)
		return len;
	return len / 2;
}

ssize_t
write(int fd, const void *p, size_t len)
{
	ssize_t (*next)(int, const void *, size_t) = dlsym(RTLD_NEXT, "write");

	return next(fd, p, shortened(fd, len));
}

ssize_t
pwrite(int fd, const void *p, size_t len, off_t at)
{
	ssize_t (*next)(int, const void *, size_t, off_t) = dlsym(RTLD_NEXT, "pwrite");

	return next(fd, p, shortened(fd, len), at);
}

ssize_t
pwrite64(int fd, const void *p, size_t len, off64_t at)
{
	ssize_t (*next)(int, const void *, size_t, off64_t) = dlsym(RTLD_NEXT, "pwrite64");

	return next(fd, p, shortened(fd, len), at);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Preloaded into the shipped program: the write that WRITE_SHORT=N counts (from 1) really writes only half of its bytes
 * and says so. A tracer cannot do that: it can only lie about the count. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

static size_t
shortened(size_t len)
{
	static atomic_ulong calls;
	const char *at = getenv("WRITE_SHORT");

	if (!at || ++calls != strtoul(at, NULL, 10) || len < 2)
		return len;
	return len / 2;
}

ssize_t
write(int fd, const void *p, size_t len)
{
	ssize_t (*next)(int, const void *, size_t) = dlsym(RTLD_NEXT, "write");

	return next(fd, p, shortened(len));
}

ssize_t
pwrite(int fd, const void *p, size_t len, off_t at)
{
	ssize_t (*next)(int, const void *, size_t, off_t) = dlsym(RTLD_NEXT, "pwrite");

	return next(fd, p, shortened(len), at);
}

ssize_t
pwrite64(int fd, const void *p, size_t len, off64_t at)
{
	ssize_t (*next)(int, const void *, size_t, off64_t) = dlsym(RTLD_NEXT, "pwrite64");

	return next(fd, p, shortened(len), at);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Preloaded: every file is on the file system of the magic number that NETWORK_FS says. */
#define _GNU_SOURCE
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

int
fstatfs(int fd, struct statfs *ret)
{
	const char *magic = getenv("NETWORK_FS");
	const int rc = (int)syscall(SYS_fstatfs, fd, ret);

	if (rc == 0 && magic != NULL)
		ret->f_type = (__typeof__(ret->f_type))strtoul(magic, NULL, 16);
	return rc;
}

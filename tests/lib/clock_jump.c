/* SPDX-License-Identifier: Apache-2.0 */
/* Preloaded: the wall clock jumps a year ahead and back with every reading, as CLOCK_JUMP=SECONDS says; or, with
 * CLOCK_JUMP_ONCE=FILE, once ahead as soon as that file is there, as after a suspension. The monotonic one does what it always does. */
#define _GNU_SOURCE
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

/* The commands that it starts have the true time. */
__attribute__((constructor)) static void
alone(void)
{
	unsetenv("LD_PRELOAD");
}

int
clock_gettime(clockid_t clock, struct timespec *ts)
{
	static atomic_uint calls;
	const char *jump = getenv("CLOCK_JUMP"), *once = getenv("CLOCK_JUMP_ONCE");
	const int ret = (int)syscall(SYS_clock_gettime, clock, ts);

	if (ret != 0 || clock != CLOCK_REALTIME || jump == NULL)
		return ret;
	if (once == NULL)
		ts->tv_sec += (++calls % 2 == 0 ? 1 : -1) * strtol(jump, NULL, 10);
	else if (access(once, F_OK) == 0)
		ts->tv_sec += strtol(jump, NULL, 10);
	return ret;
}

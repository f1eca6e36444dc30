/* SPDX-License-Identifier: Apache-2.0 */
/* Owns the reading of clocks. Both clocks always exist on Linux, so there is no failure to report. */
#include "base/clock.h"

#include <stdio.h>
#include <time.h>

int64_t
clock_now(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * NS_PER_S + ts.tv_nsec;
}

int64_t
clock_wall_ms(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_REALTIME, &ts);
	return ts.tv_sec * 1000 + ts.tv_nsec / NS_PER_MS;
}

const char *
clock_text(int64_t wall_ms, char ret[32])
{
	int ms = (int)(wall_ms % 1000);
	time_t s = wall_ms / 1000;
	struct tm tm = { 0 };
	size_t n;

	if (ms < 0) {
		ms += 1000;
		s--;
	}
	(void)gmtime_r(&s, &tm);
	n = strftime(ret, 32, "%Y-%m-%dT%H:%M:%S", &tm);
	(void)snprintf(ret + n, 32 - n, ".%03dZ", ms);
	return ret;
}

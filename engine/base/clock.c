/* SPDX-License-Identifier: Apache-2.0 */
/* Owns the reading of clocks. Both clocks always exist on Linux, so there is no failure to report. */
#include "base/clock.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>
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

/* Digits of a fixed width, or -1. */
static int
digits(const char *s, size_t n)
{
	int ret = 0;

	for (size_t i = 0; i < n; i++) {
		if (s[i] < '0' || s[i] > '9')
			return -1;
		ret = ret * 10 + (s[i] - '0');
	}
	return ret;
}

/* "HH:MM": minutes of the day, or -1. */
static int
day_minutes(const char *s)
{
	const int h = digits(s, 2), m = h < 0 || s[2] != ':' ? -1 : digits(s + 3, 2);

	return h > 23 || m < 0 || m > 59 ? -1 : h * 60 + m;
}

/* The zone of RFC 3339: "Z" or "+01:30"; minutes east. */
static bool
zone(const char *s, int *ret_minutes)
{
	*ret_minutes = 0;
	if (strcmp(s, "Z") == 0 || strcmp(s, "z") == 0)
		return true;
	if ((s[0] != '+' && s[0] != '-') || strlen(s) != strlen("+00:00"))
		return false;
	*ret_minutes = day_minutes(s + 1);
	if (*ret_minutes < 0)
		return false;
	if (s[0] == '-')
		*ret_minutes = -*ret_minutes;
	return true;
}

static int
parse_rfc3339(const char *s, int64_t *ret_ms)
{
	static const char shape[] = "0000-00-00T00:00:00";
	struct tm tm = { .tm_isdst = 0 }, want;
	const char *rest = s + strlen(shape);
	int east;

	if (strlen(s) <= strlen(shape) || s[4] != '-' || s[7] != '-' || (s[10] != 'T' && s[10] != 't' && s[10] != ' ') ||
	    s[13] != ':' || s[16] != ':')
		return -1;
	tm.tm_year = digits(s, 4) - 1900;
	tm.tm_mon = digits(s + 5, 2) - 1;
	tm.tm_mday = digits(s + 8, 2);
	tm.tm_hour = digits(s + 11, 2);
	tm.tm_min = digits(s + 14, 2);
	tm.tm_sec = digits(s + 17, 2);
	if (*rest == '.') {
		rest += 1 + strspn(rest + 1, "0123456789");
		if (rest[-1] == '.')
			return -1;
	}
	want = tm;
	*ret_ms = (int64_t)timegm(&tm) * 1000;
	/* timegm puts what is out of range right; a typing error is to be refused instead */
	if (want.tm_year < 70 || tm.tm_year != want.tm_year || tm.tm_mon != want.tm_mon || tm.tm_mday != want.tm_mday || tm.tm_hour != want.tm_hour ||
	    tm.tm_min != want.tm_min || tm.tm_sec != want.tm_sec || !zone(rest, &east))
		return -1;
	*ret_ms -= (int64_t)east * 60000;
	return 0;
}

int
clock_parse(const char *s, int64_t now_ms, int64_t *ret_wall_ms)
{
	const time_t now = (time_t)(now_ms / 1000);
	struct tm tm;
	int minutes;

	if (strlen(s) != strlen("00:00"))
		return parse_rfc3339(s, ret_wall_ms);
	minutes = day_minutes(s);
	if (minutes < 0 || localtime_r(&now, &tm) == NULL)
		return -1;
	if (minutes <= tm.tm_hour * 60 + tm.tm_min)
		tm.tm_mday++; /* mktime knows the length of the month */
	tm.tm_hour = minutes / 60;
	tm.tm_min = minutes % 60;
	tm.tm_sec = 0;
	tm.tm_isdst = -1;
	*ret_wall_ms = (int64_t)mktime(&tm) * 1000;
	return 0;
}

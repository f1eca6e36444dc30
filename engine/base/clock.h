/* SPDX-License-Identifier: Apache-2.0 */
/* Time: CLOCK_MONOTONIC for every time-out, wall clock only for display. */
#ifndef WHERRY_BASE_CLOCK_H
#define WHERRY_BASE_CLOCK_H

#include <stdint.h>

#define NS_PER_MS INT64_C(1000000)
#define NS_PER_S INT64_C(1000000000)
#define NEVER INT64_MAX

/* Nanoseconds on CLOCK_MONOTONIC. */
int64_t clock_now(void);
/* Milliseconds since 1970 on the wall clock. */
int64_t clock_wall_ms(void);
/* "2026-11-21T00:31:02.123Z"; ret holds 32. */
const char *clock_text(int64_t wall_ms, char ret[32]);
/* "05:30" (local time, the next one after now) or an RFC 3339 time with its zone, to milliseconds since 1970; -1 when it
 * is neither. */
int clock_parse(const char *s, int64_t now_ms, int64_t *ret_wall_ms);

#endif

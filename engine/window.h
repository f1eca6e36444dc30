/* SPDX-License-Identifier: Apache-2.0 */
/* How fast a stream may go: limits in operations and bytes a second, and a window of transactions in flight that grows
 * while throughput grows. Used by many lanes at once. */
#ifndef WHERRY_WINDOW_H
#define WHERRY_WINDOW_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

struct window {
	pthread_mutex_t lock;
	pthread_cond_t freed;
	unsigned limit, max, active;
	uint64_t weight;              /* bytes of those in flight */
	double rate_ops, rate_bytes;  /* 0: none */
	int64_t next;                 /* when the next transaction may start under the rate limits */
	int64_t since;                /* start of the present measurement */
	uint64_t bytes;               /* done since then */
	double best;                  /* bytes a second of the best window so far */
};

void window_init(struct window *, unsigned max, double rate_ops, double rate_bytes);
void window_done(struct window *);
/* Wait at most 200 ms for a place for so many bytes; returns 1 with it taken, 0 to be asked again (the caller looks at cancel). */
int window_enter(struct window *, uint64_t bytes);
/* Take n operations of so many bytes off the rate limits: ns to sleep before sending them. */
int64_t window_charge(struct window *, uint64_t ops, uint64_t bytes);
/* Give the place for so many bytes back; done: they went through. */
void window_leave(struct window *, uint64_t bytes, bool done);

#endif

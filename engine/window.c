/* SPDX-License-Identifier: Apache-2.0 */
/* Owns the pace of a stream. The window doubles while a measurement of 200 ms beats the best one by 5 %, and stays
 * where it no longer does: more in flight than helps only queues inside the server. */
#include "window.h"

#include <time.h>

#include "base/clock.h"

#define WINDOW_START 4
#define WINDOW_MAX 64
#define WEIGHT_MAX (6U << 20) /* each is in memory twice: as it was read, and as it is sent */
#define MEASURE (200 * NS_PER_MS)
#define GAIN 1.05

void
window_init(struct window *w, unsigned max, double rate_ops, double rate_bytes)
{
	pthread_condattr_t attr;

	*w = (struct window){ .max = max > 0 ? max : WINDOW_MAX, .rate_ops = rate_ops, .rate_bytes = rate_bytes };
	w->limit = w->max < WINDOW_START ? w->max : WINDOW_START;
	w->since = clock_now();
	pthread_mutex_init(&w->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&w->freed, &attr);
	pthread_condattr_destroy(&attr);
}

void
window_done(struct window *w)
{
	pthread_cond_destroy(&w->freed);
	pthread_mutex_destroy(&w->lock);
}

static bool
has_room(const struct window *w, uint64_t bytes)
{
	return w->active == 0 || (w->active < w->limit && w->weight + bytes <= WEIGHT_MAX);
}

int
window_enter(struct window *w, uint64_t bytes)
{
	const int64_t end = clock_now() + 200 * NS_PER_MS;
	const struct timespec until = { .tv_sec = end / NS_PER_S, .tv_nsec = end % NS_PER_S };
	bool room;

	pthread_mutex_lock(&w->lock);
	if (!has_room(w, bytes))
		(void)pthread_cond_timedwait(&w->freed, &w->lock, &until);
	room = has_room(w, bytes);
	if (room) {
		w->active++;
		w->weight += bytes;
	}
	pthread_mutex_unlock(&w->lock);
	return room;
}

int64_t
window_charge(struct window *w, uint64_t ops, uint64_t bytes)
{
	const int64_t now = clock_now();
	double cost = 0;
	int64_t wait;

	if (w->rate_ops > 0)
		cost = (double)ops / w->rate_ops;
	if (w->rate_bytes > 0 && (double)bytes / w->rate_bytes > cost)
		cost = (double)bytes / w->rate_bytes;
	if (cost <= 0)
		return 0;
	pthread_mutex_lock(&w->lock);
	if (w->next < now)
		w->next = now;
	wait = w->next - now;
	w->next += (int64_t)(cost * (double)NS_PER_S);
	pthread_mutex_unlock(&w->lock);
	return wait;
}

void
window_leave(struct window *w, uint64_t bytes, bool done)
{
	const int64_t now = clock_now();
	double speed;

	pthread_mutex_lock(&w->lock);
	w->active--;
	w->weight -= bytes;
	w->bytes += done ? bytes : 0;
	if (now - w->since >= MEASURE) {
		speed = (double)w->bytes * (double)NS_PER_S / (double)(now - w->since);
		if (speed > w->best * GAIN) {
			w->best = speed;
			w->limit = w->limit * 2 < w->max ? w->limit * 2 : w->max;
			pthread_cond_broadcast(&w->freed);
		}
		w->since = now;
		w->bytes = 0;
	}
	pthread_cond_signal(&w->freed);
	pthread_mutex_unlock(&w->lock);
}

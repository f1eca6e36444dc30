/* SPDX-License-Identifier: Apache-2.0 */
/* Owns the worker threads. Each has one slot and one condition: an item goes straight to an idle worker, so that a
 * thousand workers are not woken for one item. */
#include "pool.h"

#include "base/arena.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define WORKER_STACK (1U << 20)

struct worker {
	struct pool *pool;
	struct worker *idle_next;
	pthread_t thread;
	pthread_cond_t wake;
	void *item;
	bool stop;
};

struct pool {
	pthread_mutex_t lock;
	pthread_cond_t freed;
	void (*work)(void *item);
	struct worker **workers;
	unsigned started, max;
	struct worker *idle;
};

static void *
worker_main(void *arg)
{
	struct worker *w = arg;
	struct pool *p = w->pool;

	pthread_mutex_lock(&p->lock);
	for (;;) {
		while (w->item == NULL && !w->stop)
			pthread_cond_wait(&w->wake, &p->lock);
		if (w->item == NULL)
			break;
		pthread_mutex_unlock(&p->lock);
		p->work(w->item);
		pthread_mutex_lock(&p->lock);
		w->item = NULL;
		w->idle_next = p->idle;
		p->idle = w;
		pthread_cond_signal(&p->freed);
	}
	pthread_mutex_unlock(&p->lock);
	return NULL;
}

struct pool *
pool_new(unsigned max, void (*work)(void *item))
{
	struct pool *p = xcalloc(1, sizeof(*p));

	pthread_mutex_init(&p->lock, NULL);
	pthread_cond_init(&p->freed, NULL);
	p->work = work;
	p->max = max;
	p->workers = xcalloc(max, sizeof(struct worker *));
	return p;
}

static int
start_worker(struct pool *p, void *item, struct err *err)
{
	struct worker *w = xcalloc(1, sizeof(*w));
	pthread_attr_t attr;
	int sys;

	w->pool = p;
	w->item = item;
	pthread_cond_init(&w->wake, NULL);
	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, WORKER_STACK);
	sys = pthread_create(&w->thread, &attr, worker_main, w);
	pthread_attr_destroy(&attr);
	if (sys != 0) {
		free(w);
		return err_set(err, ERR_LOCAL, "cannot start a worker thread: %s", strerror(sys));
	}
	p->workers[p->started++] = w;
	return 0;
}

int
pool_submit(struct pool *p, void *item, struct err *err)
{
	struct worker *w = NULL;
	int ret = 0;

	pthread_mutex_lock(&p->lock);
	if (p->idle == NULL && p->started < p->max) {
		ret = start_worker(p, item, err);
	} else {
		while (p->idle == NULL) /* one has posted its end and is about to be idle */
			pthread_cond_wait(&p->freed, &p->lock);
		w = p->idle;
		p->idle = w->idle_next;
		w->item = item;
	}
	pthread_mutex_unlock(&p->lock);
	if (w != NULL) /* not under the lock, which it would only wait for */
		pthread_cond_signal(&w->wake);
	return ret;
}

void
pool_free(struct pool *p)
{
	if (p == NULL)
		return;
	pthread_mutex_lock(&p->lock);
	for (unsigned i = 0; i < p->started; i++) {
		p->workers[i]->stop = true;
		pthread_cond_signal(&p->workers[i]->wake);
	}
	pthread_mutex_unlock(&p->lock);
	for (unsigned i = 0; i < p->started; i++) {
		pthread_join(p->workers[i]->thread, NULL);
		pthread_cond_destroy(&p->workers[i]->wake);
		free(p->workers[i]);
	}
	free(p->workers);
	pthread_cond_destroy(&p->freed);
	pthread_mutex_destroy(&p->lock);
	free(p);
}

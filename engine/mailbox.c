/* SPDX-License-Identifier: Apache-2.0 */
/* Owns the queue between workers and coordinator, and the gates workers wait at. A wake costs one eventfd write, and
 * only when the coordinator has not been woken already. */
#include "mailbox.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

void
mailbox_init(struct mailbox *m)
{
	*m = (struct mailbox){ .lock = PTHREAD_MUTEX_INITIALIZER, .fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK) };
	if (m->fd < 0)
		abort(); /* no descriptors at all: main has checked the limit */
	m->last = &m->first;
}

void
mailbox_done(struct mailbox *m)
{
	(void)close(m->fd);
	pthread_mutex_destroy(&m->lock);
}

void
mailbox_post(struct mailbox *m, struct letter *l, bool wake)
{
	const uint64_t one = 1;
	bool ring = false;

	l->next = NULL;
	pthread_mutex_lock(&m->lock);
	*m->last = l;
	m->last = &l->next;
	if (wake && !m->woken)
		ring = m->woken = true;
	pthread_mutex_unlock(&m->lock);
	while (ring && write(m->fd, &one, sizeof(one)) < 0 && errno == EINTR)
		;
}

struct letter *
mailbox_take(struct mailbox *m)
{
	struct letter *all;
	uint64_t n;

	pthread_mutex_lock(&m->lock);
	all = m->first;
	m->first = NULL;
	m->last = &m->first;
	/* Under the lock: a ring read here belongs to a letter taken here. Read later, it could be that of a letter posted
	 * in between, which nobody would then be woken for. A ring still on its way only costs one empty turn. */
	if (m->woken)
		(void)!read(m->fd, &n, sizeof(n));
	m->woken = false;
	pthread_mutex_unlock(&m->lock);
	return all;
}

void
gate_init(struct gate *g)
{
	(void)sem_init(&g->open, 0, 0);
}

void
gate_wait(struct gate *g)
{
	while (sem_wait(&g->open) < 0)
		;
	(void)sem_destroy(&g->open);
}

void
gate_open(struct gate *g)
{
	(void)sem_post(&g->open);
}

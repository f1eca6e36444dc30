/* SPDX-License-Identifier: Apache-2.0 */
/* Messages from worker threads to the coordinator: many post, one takes. A message is owned by its sender's attempt and
 * lives until that attempt has ended. */
#ifndef WHERRY_MAILBOX_H
#define WHERRY_MAILBOX_H

#include <pthread.h>
#include <semaphore.h>
#include <stdbool.h>

struct letter {
	struct letter *next;
};
struct mailbox {
	pthread_mutex_t lock;
	struct letter *first, **last;
	int fd;        /* readable when a letter that wakes has been posted */
	bool woken;
};

void mailbox_init(struct mailbox *);
void mailbox_done(struct mailbox *);
/* Post in order; wake false: it may wait for the next letter that wakes (or the coordinator's own next turn). */
void mailbox_post(struct mailbox *, struct letter *, bool wake);
/* All letters in order of posting, or NULL. */
struct letter *mailbox_take(struct mailbox *);

/* A worker that needs an answer waits at a gate; the coordinator opens it, once, and does not touch it again. */
struct gate {
	sem_t open;
};
void gate_init(struct gate *);
/* Wait until it is open; then it is gone. */
void gate_wait(struct gate *);
void gate_open(struct gate *);

#endif

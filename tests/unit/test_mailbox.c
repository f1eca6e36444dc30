/* SPDX-License-Identifier: Apache-2.0 */
/* The mailbox under many posters: every letter arrives, and a waiting coordinator is always woken. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <poll.h>
#include <stdlib.h>

#include "base/arena.h"
#include "mailbox.h"

#define POSTERS 4
#define ROUNDS 20000

struct visit {
	struct letter link;
	struct gate *gate;
};

static void *
poster(void *arg)
{
	struct mailbox *m = arg;

	for (int i = 0; i < ROUNDS; i++) {
		struct gate gate;
		struct visit v = { .gate = &gate };

		gate_init(&gate);
		mailbox_post(m, &v.link, true);
		gate_wait(&gate);
	}
	return NULL;
}

/* Posters wait for their answer, so one lost wake stops them all: the poll below then times out. */
static void
test_no_wake_is_lost(void **state)
{
	struct mailbox m;
	pthread_t threads[POSTERS];
	long left = (long)POSTERS * ROUNDS;

	(void)state;
	mailbox_init(&m);
	for (int i = 0; i < POSTERS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, poster, &m), 0);
	while (left > 0) {
		struct pollfd fd = { .fd = m.fd, .events = POLLIN };
		struct letter *next;

		assert_int_equal(poll(&fd, 1, 20000), 1);
		for (struct letter *l = mailbox_take(&m); l != NULL; l = next, left--) {
			next = l->next;
			gate_open(((struct visit *)l)->gate);
		}
	}
	for (int i = 0; i < POSTERS; i++)
		pthread_join(threads[i], NULL);
	mailbox_done(&m);
}

static void
test_quiet_letters_come_with_the_next(void **state)
{
	struct mailbox m;
	struct letter a, b;
	struct pollfd fd;

	(void)state;
	mailbox_init(&m);
	fd = (struct pollfd){ .fd = m.fd, .events = POLLIN };
	mailbox_post(&m, &a, false);
	assert_int_equal(poll(&fd, 1, 0), 0);
	mailbox_post(&m, &b, true);
	assert_int_equal(poll(&fd, 1, 0), 1);
	assert_ptr_equal(mailbox_take(&m), &a);
	assert_ptr_equal(a.next, &b);
	assert_null(mailbox_take(&m));
	mailbox_done(&m);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_no_wake_is_lost),
		cmocka_unit_test(test_quiet_letters_come_with_the_next),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

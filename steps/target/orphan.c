/* SPDX-License-Identifier: Apache-2.0 */
/* Owns how a child that outlived its wherry is found again: by the effect's nonce in its environment, and by a lock that it
 * inherits. A second one is never started beside it. */
#include "steps/target/orphan.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/io.h"
#include "base/proc.h"

#define POLL_MS 100

/* One file a run; each effect locks the byte that its nonce names. The child inherits the open file, so the lock lives
 * as long as any process holds it, and a start costs no new file. */
static struct flock
orphan_byte(const char *nonce, short type)
{
	char digits[16];

	(void)snprintf(digits, sizeof(digits), "%s", nonce);
	return (struct flock){ .l_type = type, .l_whence = SEEK_SET, .l_len = 1,
			       .l_start = (off_t)strtoull(digits, NULL, 16) };
}

static int
orphan_open(const struct opctx *op)
{
	return open(io_join(op->arena, op->scratch, "orphans"), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
}

int
orphan_lock(const struct opctx *op, const char *nonce, int *ret_fd, struct err *err)
{
	struct flock byte = orphan_byte(nonce, F_WRLCK);
	const int fd = orphan_open(op);

	if (fd < 0)
		return err_errno(err, "open '%s/orphans'", op->scratch);
	if (fcntl(fd, F_OFD_SETLK, &byte) < 0) {
		err_errno(err, "lock '%s/orphans'", op->scratch);
		(void)close(fd);
		if (err->sys != EAGAIN && err->sys != EACCES)
			return -1;
		err_set(err, ERR_IN_DOUBT, "a process of an earlier attempt is still running, although it was ended");
		return err_next(err, "look at it with 'fuser -v %s/orphans'; when it has ended: wherry resume %s",
				op->scratch, op->run);
	}
	*ret_fd = fd;
	return 0;
}

void
orphan_release(int fd, const char *nonce, bool ended)
{
	struct flock byte = orphan_byte(nonce, F_UNLCK);

	if (fd >= 0 && ended)
		(void)fcntl(fd, F_OFD_SETLK, &byte);
	if (fd >= 0)
		(void)close(fd);
}

static bool
orphan_held(const struct opctx *op, const char *nonce)
{
	struct flock byte = orphan_byte(nonce, F_WRLCK);
	const int fd = op->scratch != NULL ? orphan_open(op) : -1;
	const bool held = fd >= 0 && fcntl(fd, F_OFD_GETLK, &byte) == 0 && byte.l_type != F_UNLCK;

	if (fd >= 0)
		(void)close(fd);
	return held;
}

/* Name what is left of the effect's child, and put into next how to look at it; NULL when nothing is. */
static const char *
survivor(struct opctx *op, const struct effect *e, const char *nonce, const char **ret_next)
{
	char text[200];
	pid_t pids[8];
	const size_t n = proc_find(arena_printf(op->arena, "WHERRY_EFFECT=%s", nonce), pids, countof(pids));

	if (n > 0) {
		const char *who = proc_describe(pids[0], text, sizeof(text));

		*ret_next = arena_printf(op->arena, "ps -fp %d", (int)pids[0]);
		return n > 1 ? arena_printf(op->arena, "%s and %zu more", who, n - 1) : arena_strdup(op->arena, who);
	}
	/* It may have changed its environment, or belong to another user: the lock it inherited is still held. */
	if (orphan_held(op, nonce)) {
		*ret_next = arena_printf(op->arena, "fuser -v %s/orphans", op->scratch);
		return arena_printf(op->arena, "a process (%s)", e->says);
	}
	return NULL;
}

int
orphan_wait(struct opctx *op, void *conn, const struct effect *e, const char *nonce, struct err *err)
{
	struct arena *results = op->arena, poll_arena = ARENA_INIT;
	struct pollfd cancel = { .fd = op->cancel_fd, .events = POLLIN };
	bool told = false;
	int rc = 0;

	(void)conn;
	for (;;) {
		const char *next, *who;

		op->arena = &poll_arena; /* it may wait for hours */
		who = survivor(op, e, nonce, &next);
		op->arena = results;
		if (who == NULL)
			break;
		if (!told && op->note != NULL)
			op->note(op, arena_printf(results, "%s of the earlier run is still running; waiting", who));
		told = true;
		if (op->cancel != NULL && *op->cancel != 0) {
			rc = err_set(err, ERR_CANCELLED, "stopped while waiting for %s of the earlier run", who);
			break;
		}
		if (clock_now() >= op->deadline) {
			err_set(err, ERR_IN_DOUBT, "%s of the earlier run is still running; a second one is never "
				"started beside it", who);
			rc = err_next(err, "look at it with '%s'; when it has ended: wherry resume %s", next, op->run);
			break;
		}
		arena_reset(&poll_arena);
		poll(&cancel, 1, POLL_MS);
	}
	arena_done(&poll_arena);
	return rc;
}

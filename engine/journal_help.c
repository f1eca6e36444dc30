/* SPDX-License-Identifier: Apache-2.0 */
/* Owns the help that a second thread gives to the one that reads a journal: it verifies batches from the end of the file
 * backwards while the reader comes from its beginning. All that it says of a place is that a whole batch of this run begins there
 * that matches its hash. Where batches begin, whether they follow from each other and what to think of the rest is judged by
 * the reader alone (journal_read.c). The run is locked: what was verified stays as it is until it is read. */
#include "journal_file.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PIECE ((uint64_t)64 << 10)

struct journal_help {
	pthread_mutex_t lock;      /* held while a piece is verified: a reader begins and ends between pieces */
	int fd;                    /* -1: nobody reads */
	char tag[RUN_TAG];
	uint64_t done, size;       /* the helper has been at [done, size) */
	_Atomic uint64_t reader;   /* where the reader is */
	atomic_uchar *good;        /* for each BATCH_ALIGN bytes: does a batch that was verified begin there? */
};

struct journal_help *
journal_help_new(void)
{
	struct journal_help *h = xcalloc(1, sizeof(*h));

	h->fd = -1;
	pthread_mutex_init(&h->lock, NULL);
	return h;
}

void
journal_help_free(struct journal_help *h)
{
	if (h == NULL)
		return;
	pthread_mutex_destroy(&h->lock);
	free(h->good);
	free(h);
}

/* Mark what begins in the piece at h->done; a batch that goes on behind it is left to the reader. */
static void
verify_piece(struct journal_help *h, char *piece, struct sha256 *sha)
{
	const ssize_t got = pread(h->fd, piece, PIECE, (off_t)h->done);
	const size_t have = got > 0 ? (size_t)got : 0;
	char hash[SHA256_HEX];
	struct batch b;
	size_t size;

	for (size_t at = 0; at + BATCH_ALIGN <= have; at += size) {
		size = BATCH_ALIGN;
		if (batch_head(piece + at, h->tag, &b) != NULL || batch_size(b.len) > have - at ||
		    batch_verify(piece + at, &b, sha, hash) != NULL)
			continue;
		size = batch_size(b.len);
		atomic_store_explicit(&h->good[(h->done + at) / BATCH_ALIGN], 1, memory_order_release);
	}
}

/* Returns whether there may be more to do. */
static bool
next_piece(struct journal_help *h, uint64_t part, char *piece, struct sha256 *sha)
{
	bool more;

	pthread_mutex_lock(&h->lock);
	more = h->fd >= 0 && h->done > h->size / 100 * (100 - part) &&
	       h->done > atomic_load_explicit(&h->reader, memory_order_relaxed) + PIECE;
	if (more) {
		h->done = (h->done - 1) / PIECE * PIECE;
		verify_piece(h, piece, sha);
	}
	pthread_mutex_unlock(&h->lock);
	return more;
}

void
journal_help(struct journal_help *h, unsigned part)
{
	struct sha256 *sha = sha256_new();
	char *piece = xmalloc(PIECE);

	while (next_piece(h, part, piece, sha))
		;
	free(piece);
	sha256_free(sha);
}

void
help_begin(struct journal_help *h, int fd, const char *tag)
{
	struct stat st;

	if (h == NULL || fstat(fd, &st) < 0)
		return;
	pthread_mutex_lock(&h->lock);
	h->fd = fd;
	memcpy(h->tag, tag, RUN_TAG);
	h->done = h->size = (uint64_t)st.st_size;
	free(h->good);
	h->good = xcalloc(h->size / BATCH_ALIGN + 1, sizeof(*h->good));
	atomic_store(&h->reader, 0);
	pthread_mutex_unlock(&h->lock);
}

void
help_end(struct journal_help *h)
{
	if (h == NULL)
		return;
	pthread_mutex_lock(&h->lock);
	h->fd = -1;
	pthread_mutex_unlock(&h->lock);
}

bool
help_verified(struct journal_help *h, uint64_t at)
{
	if (h == NULL || at >= h->size)
		return false;
	atomic_store_explicit(&h->reader, at, memory_order_relaxed);
	return atomic_load_explicit(&h->good[at / BATCH_ALIGN], memory_order_acquire) != 0;
}

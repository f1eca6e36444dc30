/* SPDX-License-Identifier: Apache-2.0 */
/* Owns writing a run's journal. What it promises, and what makes it true:
 *
 *  1. One writer: everything below happens under the run's lock.
 *  2. One write and one fdatasync a batch, never a write before the sync of the batch before came back. So
 *     after a crash at most one batch is missing or torn, and it is the last.
 *  3. The first write or sync that fails is sticky: nothing is written after it. After a failed sync the kernel
 *     may call a page clean that never reached the disk, so only another process, which first writes the last
 *     batch anew (settle() in journal_open.c), may go on.
 *  4. The file is reserved ahead in steps of zeroes, written (not only allocated) and synced before use. So a
 *     full disk shows before an effect is begun, not after, and an append syncs data only.
 *  5. Every batch names the reserved length and lies within the length that the batch before it named. So a
 *     file that was cut anywhere is shorter than its last good batch says.
 *  6. Bytes that are durable are never overwritten with others, but for two: the seal, which is an empty batch
 *     and holds nothing, and a torn tail, after its copy in quarantine is durable. */
#include "journal_file.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/fault.h"
#include "base/io.h"

/* A completion is a REC_SETTLED and a REC_END with one full value each, their words, and two batches' frames. */
#define COMPLETION (2 * JOURNAL_INLINE_MAX + 8192)

/* A signal is no failure of the disk; anything else is final. */
int
journal_sync(int fd, bool data_only)
{
	int rc;

	do
		rc = data_only ? fdatasync(fd) : fsync(fd);
	while (rc < 0 && errno == EINTR);
	return rc;
}

static bool
is_full(int sys)
{
	return sys == ENOSPC || sys == EDQUOT || sys == EFBIG;
}

int
journal_fail(struct journal *j, struct err *err)
{
	err_wrap(err, "journal '%s'", j->path);
	if (err->next[0] == '\0')
		err_next(err, "see to the disk, then: wherry resume %s", strrchr(j->folder, '/') + 1);
	j->failed = *err;
	return -1;
}

static int
check_usable(const struct journal *j, struct err *err)
{
	if (j->failed.kind == ERR_NONE)
		return 0;
	*err = j->failed;
	return -1;
}

static int
write_zeroes(int fd, uint64_t from, uint64_t to, struct err *err)
{
	static const char zeroes[65536];

	while (from < to) {
		size_t n = to - from < sizeof(zeroes) ? (size_t)(to - from) : sizeof(zeroes);

		if (io_pwrite_all(fd, zeroes, n, (off_t)from, err) < 0)
			return -1;
		from += n;
	}
	return 0;
}

int
journal_wipe(struct journal *j, uint64_t from, uint64_t to, struct err *err)
{
	if (write_zeroes(j->fd, from, to, err) < 0)
		return -1;
	return journal_sync(j->fd, false) < 0 ? err_errno(err, "sync") : 0;
}

int
journal_grow(struct journal *j, int fd, const char *name, uint64_t *reserved, uint64_t want, struct err *err)
{
	uint64_t to = reserve_round(want);

	if (check_usable(j, err) < 0)
		return -1;
	if (to <= *reserved)
		return 0;
	if (write_zeroes(fd, *reserved, to, err) < 0) {
		if (!is_full(err->sys))
			return journal_fail(j, err);
		err_wrap(err, "'%s/%s' needs %llu more bytes", j->folder, name, (unsigned long long)(to - *reserved));
		return err_next(err, "free space, then: wherry resume %s", strrchr(j->folder, '/') + 1);
	}
	FAULT("journal.reserve.written");
	if (journal_sync(fd, false) < 0) {
		err_errno(err, "sync");
		return journal_fail(j, err);
	}
	*reserved = to;
	return 0;
}

static int
grow(struct journal *j, uint64_t want, struct err *err)
{
	return journal_grow(j, j->fd, "journal", &j->reserved, want, err);
}

int
journal_put(struct journal *j, struct frame *f, uint64_t reserved, struct err *err)
{
	struct batch b = { .number = j->batches, .first = j->records + 1, .reserved = reserved, .records = f->records,
			   .len = (uint32_t)(f->buf.len - BATCH_HEAD) };
	size_t size = batch_size(b.len);
	bool skip_sync = (SABOTAGED(INTENT_SYNC) && f->intent && !f->end) || (SABOTAGED(DONE_SYNC) && f->end);

	memcpy(b.prev, j->hash, SHA256_HEX);
	(void)buf_grow(&f->buf, size - f->buf.len);
	batch_finish(f->buf.p, j->tag, &b, j->h, j->hash);
	FAULT("journal.batch.before_write");
	if (io_pwrite_all(j->fd, f->buf.p, size, (off_t)j->end, err) < 0)
		return journal_fail(j, err);
	FAULT("journal.batch.written");
	if (!skip_sync && journal_sync(j->fd, true) < 0) {
		err_errno(err, "sync");
		return journal_fail(j, err);
	}
	FAULT("journal.batch.synced");
	j->end += size;
	j->announced = reserved;
	j->batches++;
	j->records += f->records;
	return 0;
}

static void
frame_clear(struct frame *f)
{
	buf_clear(&f->buf);
	(void)buf_grow(&f->buf, BATCH_HEAD);
	f->buf.len = BATCH_HEAD;
	f->records = 0;
	f->intent = f->end = false;
}

/* An empty batch, to say a length. */
static int
put_empty(struct journal *j, uint64_t reserved, struct err *err)
{
	struct frame f = { .buf = BUF_INIT(0) };
	int rc;

	frame_clear(&f);
	rc = journal_put(j, &f, reserved, err);
	buf_done(&f.buf);
	return rc;
}

/* Write a frame where it fits, and leave room for one empty batch within what is announced (rule 5 needs it). */
static int
write_frame(struct journal *j, struct frame *f, struct err *err)
{
	uint64_t after = j->end + batch_size(f->buf.len - BATCH_HEAD);
	struct err ignored = ERR_INIT;

	/* Ahead of need: the batch then announces the new length by itself. A full disk matters only when it
	 * must. */
	if (j->reserved < after + GROW_BELOW && grow(j, after + GROW_BELOW, &ignored) < 0 && check_usable(j, err) < 0)
		return -1;
	if (after + EMPTY_BATCH > j->announced) {
		if (grow(j, after + 2 * EMPTY_BATCH, err) < 0) {
			j->failed = *err;
			return -1;
		}
		if (put_empty(j, j->reserved, err) < 0)
			return -1;
	}
	return journal_put(j, f, j->reserved, err);
}

static struct frame *
add_frame(struct journal *j)
{
	if (j->nframes == j->cap) {
		j->cap = j->cap ? j->cap * 2 : 2;
		j->frames = xreallocarray(j->frames, j->cap, sizeof(*j->frames));
		for (size_t i = j->nframes; i < j->cap; i++)
			j->frames[i] = (struct frame){ .buf = BUF_INIT(0) };
	}
	frame_clear(&j->frames[j->nframes]);
	return &j->frames[j->nframes++];
}

/* Keep a large value in a file of its own, and one that may be secret among the private ones; the record names it. */
static int
move_out(struct journal *j, bool apart, const struct value **v, const char **file, char name[STORED_NAME],
	 struct err *err)
{
	struct buf bytes = BUF_INIT(0);
	int rc = 0;

	if (*v != NULL)
		value_write(&bytes, *v);
	if (bytes.len > (apart ? sizeof("null") - 1 : JOURNAL_INLINE_MAX)) {
		if (apart)
			private_stage(j, &bytes, name);
		else
			rc = store_put(j->folder, &bytes, name, err);
		*v = NULL;
		*file = name;
	}
	buf_done(&bytes);
	return rc;
}

/* The record's line at the end of the frame, with large values moved out. */
static int
write_line(struct journal *j, struct frame *f, const struct record *rec, struct err *err)
{
	char value[STORED_NAME], before[STORED_NAME], body[STORED_NAME];
	const size_t from = f->buf.len;
	struct record r = *rec;

	if (!r.apart) {
		record_write(&f->buf, &r);
		if (f->buf.len - from <= JOURNAL_INLINE_MAX)
			return 0;
		f->buf.len = from;
	}
	if (move_out(j, r.apart, &r.value, &r.value_file, value, err) < 0 ||
	    move_out(j, r.apart, &r.before, &r.before_file, before, err) < 0 ||
	    move_out(j, r.apart, &r.body, &r.body_file, body, err) < 0)
		return -1;
	record_write(&f->buf, &r);
	if (f->buf.len - from <= BATCH_BODY_MAX)
		return r.apart ? private_reserve(j, &r, err) : 0;
	return err_set(err, ERR_LOCAL, "a %s record of %zu bytes does not fit into a batch", record_type_name(r.type),
		       f->buf.len - from);
}

int
journal_add(struct journal *j, const struct record *r, struct err *err)
{
	struct frame *f = j->nframes > 0 ? &j->frames[j->nframes - 1] : add_frame(j), *next;
	const size_t from = f->buf.len, private = j->private.staged.len;

	if (write_line(j, f, r, err) < 0) {
		f->buf.len = from;
		j->private.staged.len = private;
		return -1;
	}
	if (f->buf.len - BATCH_HEAD > BATCH_BODY_MAX) {
		next = add_frame(j);
		f = &j->frames[j->nframes - 2];
		buf_put(&next->buf, f->buf.p + from, f->buf.len - from);
		f->buf.len = from;
		f = next;
	}
	f->records++;
	f->intent |= r->type == REC_INTENT;
	f->end |= r->type == REC_END;
	return 0;
}

bool
journal_staged(const struct journal *j)
{
	return j->nframes > 0 && j->frames[0].records > 0;
}

int
journal_reserve(struct journal *j, unsigned n, struct err *err)
{
	uint64_t want = j->end + (uint64_t)n * COMPLETION + 3 * EMPTY_BATCH;

	for (size_t i = 0; i < j->nframes; i++)
		want += batch_size(j->frames[i].buf.len - BATCH_HEAD);
	return grow(j, want, err);
}

int
journal_commit(struct journal *j, struct err *err)
{
	int rc = check_usable(j, err);

	if (rc == 0)
		rc = private_commit(j, err);
	for (size_t i = 0; rc == 0 && journal_staged(j) && i < j->nframes; i++)
		rc = write_frame(j, &j->frames[i], err);
	if (rc == 0)
		j->nframes = 0;
	return rc;
}

int
journal_seal(struct journal *j, struct err *err)
{
	uint64_t length;

	if (journal_commit(j, err) < 0)
		return -1;
	if (j->private.fd >= 0) /* what stays of the zeroes does no harm */
		(void)!ftruncate(j->private.fd, (off_t)j->private.end);
	length = j->end + EMPTY_BATCH;
	if (put_empty(j, length, err) < 0)
		return -1;
	FAULT("journal.seal.written");
	if (ftruncate(j->fd, (off_t)length) < 0) {
		err_errno(err, "trim");
		return journal_fail(j, err);
	}
	FAULT("journal.seal.truncated");
	if (journal_sync(j->fd, false) < 0) {
		err_errno(err, "sync");
		return journal_fail(j, err);
	}
	err_set(&j->failed, ERR_LOCAL, "journal '%s' is sealed", j->path);
	return 0;
}

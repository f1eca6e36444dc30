/* SPDX-License-Identifier: Apache-2.0 */
/* Owns how a journal comes to be and how a next process takes it over. A run exists from the instant its file
 * has its name, with the opening batch durable in it; what an earlier attempt left without that file is used
 * again. Taking over changes nothing before the whole journal has been read and found good. */
#include "journal_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fault.h"
#include "base/io.h"

void
journal_free(struct journal *j)
{
	if (j == NULL)
		return;
	for (size_t i = 0; i < j->cap; i++)
		buf_done(&j->frames[i].buf);
	free(j->frames);
	sha256_free(j->h);
	if (j->fd >= 0)
		(void)close(j->fd);
	if (j->lock >= 0)
		(void)close(j->lock);
	private_done(&j->private);
	arena_done(&j->arena);
	free(j);
}

int
journal_keep_files(struct journal *j, const char *at, const struct journal_file *files, size_t n, struct err *err)
{
	struct arena scratch = ARENA_INIT;
	struct journal_file *named = arena_array(&scratch, n, sizeof(*named));
	int rc;

	for (size_t i = 0; i < n; i++)
		named[i] = (struct journal_file){ arena_printf(&scratch, "%s%s", at, files[i].name), files[i].p, files[i].len };
	rc = store_closure(j->folder, named, n, err);
	arena_done(&scratch);
	return rc;
}

const char *
journal_dir(const struct journal *j)
{
	return j->folder;
}

struct bytes
journal_key(const struct journal *j)
{
	return (struct bytes){ j->key, sizeof(j->key) };
}

void
journal_counts(const struct journal *j, uint64_t *ret_batches, uint64_t *ret_bytes)
{
	*ret_batches = j->batches;
	*ret_bytes = j->end;
}

/* A journal for the run's folder, nothing opened yet; NULL when the id is no good. */
static struct journal *
journal_new(const char *dir, const char *run, struct err *err)
{
	struct journal *j = xcalloc(1, sizeof(*j));

	j->fd = j->lock = j->private.fd = -1;
	j->h = sha256_new();
	j->folder = store_folder(&j->arena, dir, run, err);
	if (j->folder == NULL) {
		journal_free(j);
		return NULL;
	}
	j->path = io_join(&j->arena, j->folder, "journal");
	batch_tag(run, j->tag);
	memset(j->hash, '0', SHA256_HEX - 1);
	return j;
}

static int
check_unused(const struct journal *j, const char *run, struct err *err)
{
	struct stat st;

	if (lstat(j->path, &st) < 0)
		return errno == ENOENT || errno == ENOTDIR ? 0 : err_errno(err, "stat '%s'", j->path);
	err_set(err, ERR_USAGE, "there is a run '%s' already; a new one needs another --run-id", run);
	return err_next(err, "wherry resume %s", run);
}

/* The opening batch in a file under another name. */
static int
write_opening(struct journal *j, const char *tmp, const struct record *open_record, struct err *err)
{
	if (unlink(tmp) < 0 && errno != ENOENT)
		return err_errno(err, "remove '%s'", tmp);
	j->fd = open(tmp, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (j->fd < 0 || fchmod(j->fd, 0600) < 0)
		return err_errno(err, "create '%s'", tmp);
	if (journal_add(j, open_record, err) < 0 || journal_reserve(j, 1, err) < 0)
		return -1;
	j->announced = j->reserved;
	return journal_commit(j, err);
}

/* From the rename on there is a run; where that cannot be made sure, nothing has begun and it is better no run. */
static int
create_file(struct journal *j, const struct record *open_record, struct err *err)
{
	const char *tmp = io_join(&j->arena, j->folder, "journal.tmp");

	if (write_opening(j, tmp, open_record, err) < 0)
		goto fail;
	if (rename(tmp, j->path) < 0) {
		err_errno(err, "rename '%s' to '%s'", tmp, j->path);
		goto fail;
	}
	FAULT("journal.create.renamed");
	if (io_sync_dir(j->folder, err) == 0)
		return 0;
	(void)unlink(j->path);
fail:
	(void)unlink(tmp);
	return err_next(err, "see to the disk, then run it again");
}

int
journal_create(const char *dir, const char *run, const struct record *open_record, const struct journal_file *files,
	       size_t nfiles, struct journal **ret, struct err *err)
{
	struct journal *j = journal_new(dir, run, err);

	if (j == NULL)
		return -1;
	/* Once more under the lock: two may ask for the same id at once. */
	if (check_unused(j, run, err) < 0 || io_private_dir(j->folder, err) < 0 ||
	    store_lock(j->folder, run, &j->lock, err) < 0 || check_unused(j, run, err) < 0 ||
	    store_key(j->folder, true, j->key, err) < 0 || store_closure(j->folder, files, nfiles, err) < 0 ||
	    create_file(j, open_record, err) < 0) {
		journal_free(j);
		if (err->kind == ERR_LOCAL && err->next[0] == '\0')
			err_next(err, "see to that folder, or choose another by --state DIR");
		return -1;
	}
	*ret = j;
	return 0;
}

/* Write the last batch anew with the bytes it has. The process before us may have ended on a failed sync of it,
 * and then the page cache shows what the disk does not hold, on pages that are marked clean: a mere fsync would
 * write nothing. Batches before it need no such care: their sync came back before the next one was written. */
static int
rewrite_last(struct journal *j, const struct scan *s, struct err *err)
{
	size_t len = (size_t)(s->end - s->last), got = 0;
	char *bytes = xmalloc(len);
	ssize_t n = 1;
	int rc = 0;

	while (got < len && n != 0) {
		n = pread(j->fd, bytes + got, len - got, (off_t)(s->last + got));
		if (n < 0 && errno != EINTR)
			break;
		got += n > 0 ? (size_t)n : 0;
	}
	if (got < len)
		rc = err_errno(err, "read");
	if (rc == 0)
		rc = io_pwrite_all(j->fd, bytes, len, (off_t)s->last, err);
	free(bytes);
	return rc;
}

/* Keep a copy of the torn tail and say so in its place. Until the record is durable the tail is still torn,
 * after it the loss is on record: no crash in between can make it look as if nothing had been there. */
static int
set_aside(struct journal *j, const struct scan *s, journal_record_fn *fn, void *data, struct journal_info *info,
	  struct err *err)
{
	struct record r = { .type = REC_TAIL, .wall = clock_wall_ms(), .msg = "the last batch was torn" };

	if (store_quarantine(&j->arena, j->folder, j->fd, s->end, s->dirty, &r.file, err) < 0)
		return -1;
	FAULT("journal.open.quarantined");
	if (journal_add(j, &r, err) < 0 || journal_put(j, &j->frames[0], j->reserved, err) < 0)
		return -1;
	j->nframes = 0;
	info->quarantine = r.file;
	return fn != NULL ? fn(data, j->records, &r, err) : 0;
}

/* Make what was read durable, reserve anew, and clear what stands after it: a torn tail or a seal. The zeroes
 * from `dirty` on say nothing new, so a crash leaves the same journal; and only with the length back on the
 * disk may a seal go, or the file would look cut. */
static int
settle(struct journal *j, const struct scan *s, journal_record_fn *fn, void *data, struct journal_info *info,
       struct err *err)
{
	uint64_t to = reserve_round(s->end + GROW_BELOW);

	if (to < s->reserved)
		to = s->reserved;
	if (to < s->size)
		to = s->size;
	if (rewrite_last(j, s, err) < 0 || journal_wipe(j, s->dirty, to, err) < 0) {
		err_wrap(err, "reserve %llu bytes of journal '%s'", (unsigned long long)(to - s->dirty), j->path);
		return err_next(err, "see to the disk, then: wherry resume %s", strrchr(j->folder, '/') + 1);
	}
	FAULT("journal.open.reserved");
	j->reserved = to;
	j->announced = s->reserved;
	if (s->torn && set_aside(j, s, fn, data, info, err) < 0)
		return -1;
	if (j->end < s->dirty && journal_wipe(j, j->end, s->dirty, err) < 0)
		return err_wrap(err, "journal '%s'", j->path);
	return 0;
}

int
journal_open(const char *dir, const char *run, journal_record_fn *fn, void *data, struct journal **ret,
	     struct journal_info *info, struct err *err)
{
	return journal_open_helped(dir, run, NULL, fn, data, ret, info, err);
}

int
journal_open_helped(const char *dir, const char *run, struct journal_help *help, journal_record_fn *fn, void *data,
		    struct journal **ret, struct journal_info *info, struct err *err)
{
	struct journal *j = journal_new(dir, run, err);
	struct scan s;

	if (j == NULL)
		return -1;
	j->fd = store_open(j->folder, run, O_RDWR, err);
	if (j->fd >= 0 && store_is_forgotten(j->folder)) {
		err_set(err, ERR_REFUSED, "run '%s' was forgotten: what it needs to go on is gone", run);
		err_next(err, "wherry report %s", run);
		goto fail;
	}
	/* What the run does is read from its folder: whoever can write there could have us do anything. */
	if (j->fd < 0 || io_private_dir(j->folder, err) < 0 || store_lock(j->folder, run, &j->lock, err) < 0 ||
	    store_key(j->folder, false, j->key, err) < 0 || private_open(j, err) < 0 ||
	    scan_file(j->fd, j->path, j->folder, run, help, fn, data, &s, err) < 0)
		goto fail;
	j->end = s.end;
	j->batches = s.batches;
	j->records = s.records;
	memcpy(j->hash, s.hash, SHA256_HEX);
	*info = (struct journal_info){ .batches = s.batches, .records = s.records, .bytes = s.end, .torn = s.torn || s.tail,
				       .trimmed = s.sealed };
	if (settle(j, &s, fn, data, info, err) < 0)
		goto fail;
	*ret = j;
	return 0;
fail:
	journal_free(j);
	if (err->kind == ERR_LOCAL && err->next[0] == '\0')
		err_next(err, "see to that folder, then do it again");
	return -1;
}

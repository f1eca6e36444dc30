/* SPDX-License-Identifier: Apache-2.0 */
/* Owns reading a journal and judging its end. What it promises: a damaged journal is never read as a shorter
 * one.
 *
 * At the first place X where no good batch stands:
 *   - a good batch anywhere after X, or a good batch at X that does not follow from the one before: corrupt,
 *     refused;
 *   - the file is shorter than the last good batch says: cut, refused. This sees every cut, because a batch
 *     never reaches beyond the length that the batch before it names (journal.c keeps that, follows() checks
 *     it);
 *   - all zero from X: the clean end;
 *   - else torn: the one batch that was being written. No batch is written before the sync of the one before
 *     came back, so at most one can be missing, and nothing that was made durable after it can exist.
 * A seal (an empty batch that names its own end as the length) is looked at but never taken: the next process
 * to write removes it, and a reader beside that process must not have built on it.
 *
 * Beside a live writer the window may hold half a batch, or the file may be sealed between two looks. So a
 * verdict that would refuse is given only after a second look at X with fresh bytes. */
#include "journal_file.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fault.h"
#include "base/io.h"

#define WINDOW ((size_t)128 << 10)
#define LINE_READ 1024 /* bytes at a time of one record: most have fewer */

struct reader {
	int fd;
	const char *path, *folder;
	char tag[RUN_TAG];
	struct sha256 *h;
	char *window;
	size_t room, have;
	uint64_t at;     /* of the window in the file */
	uint64_t until;  /* where good batches are known to end, or UINT64_MAX: the end is to be judged */
	bool forgotten;  /* private values are gone for good */
	int private;     /* the file of private values, once it was needed */
	struct arena arena;
	struct journal_help *help;
	journal_record_fn *fn;
	void *data;
	struct scan *s;
};

/* *ret: n bytes of the file at `at`, or NULL where it ends before. Valid until the next call. */
static int
look(struct reader *r, uint64_t at, size_t n, const char **ret, struct err *err)
{
	ssize_t got;

	if (n > r->room) {
		r->room = n > WINDOW ? n : WINDOW;
		r->window = xrealloc(r->window, r->room);
	}
	if (at < r->at || at + n > r->at + r->have) {
		const size_t most = r->until - at < r->room ? (size_t)(r->until - at) : r->room;

		r->at = at;
		r->have = 0;
		do {
			got = pread(r->fd, r->window + r->have, most - r->have, (off_t)(at + r->have));
			if (got < 0 && errno != EINTR)
				return err_errno(err, "read '%s'", r->path);
			r->have += got > 0 ? (size_t)got : 0;
		} while (got != 0 && r->have < most);
	}
	*ret = at + n <= r->at + r->have ? r->window + (at - r->at) : NULL;
	return 0;
}

/* Is a whole batch at `at`? *ret_why is NULL and the rest filled, or says why not. */
static int
look_batch(struct reader *r, uint64_t at, struct batch *ret, char ret_hash[SHA256_HEX], const char **ret_p,
	   const char **ret_why, struct err *err)
{
	const char *p;

	*ret_why = "the file ends inside a batch";
	if (look(r, at, BATCH_HEAD, &p, err) < 0)
		return -1;
	if (p == NULL)
		return 0;
	*ret_why = batch_head(p, r->tag, ret);
	if (*ret_why != NULL)
		return 0;
	if (look(r, at, batch_size(ret->len), ret_p, err) < 0)
		return -1;
	*ret_why = NULL;
	if (*ret_p == NULL)
		*ret_why = "the file ends inside a batch";
	else if (help_verified(r->help, at))
		batch_hash(*ret_p, ret, ret_hash);
	else
		*ret_why = batch_verify(*ret_p, ret, r->h, ret_hash);
	return 0;
}

static int
refuse(const struct reader *r, uint64_t at, const char *why, struct err *err)
{
	err_set(err, ERR_REFUSED, "journal '%s' is damaged at byte %" PRIu64 ": %s; the last good record is %" PRIu64,
		r->path, at, why, r->s->records);
	return err_next(err, "nothing was changed; restore the run's folder from a backup");
}

/* Not damaged: whoever wrote it can go on with it. */
static int
refuse_newer(const struct reader *r, uint64_t at, struct err *err)
{
	err_set(err, ERR_REFUSED, "journal '%s' was written by a newer version of wherry, from byte %" PRIu64 " on; the last record "
		"that this one can read is %" PRIu64, r->path, at, r->s->records);
	return err_next(err, "nothing was changed; go on with the version that wrote it (wherry version)");
}

/* Why a good batch cannot be the next one, or NULL. */
static const char *
follows(const struct scan *s, const struct batch *b)
{
	uint64_t end = s->end + batch_size(b->len);

	if (b->number != s->batches || b->first != s->records + 1)
		return "a batch is missing or out of order";
	if (!SABOTAGED(CHAIN) && strcmp(b->prev, s->hash) != 0)
		return "the batch does not follow from the one before";
	if (s->batches > 0 && end > s->reserved)
		return "the batch lies beyond the reserved length";
	if (b->reserved < end)
		return "the batch lies beyond the length it names";
	return NULL;
}

static int
load_value(struct reader *r, struct arena *a, const char *name, const char **ret, struct err *err)
{
	if (name == NULL || r->folder == NULL || (private_is_name(name) && r->forgotten))
		return 0;
	return store_value(r->folder, &r->private, name, a, ret, err);
}

/* The record of a line; what lives beside the journal comes with it. */
static int
parse_line(struct reader *r, struct arena *a, const char *line, size_t len, struct record *ret, struct err *err)
{
	if (record_parse(a, line, len, ret, err) < 0 || load_value(r, a, ret->value_file, &ret->value_text, err) < 0 ||
	    load_value(r, a, ret->before_file, &ret->before_text, err) < 0)
		return -1;
	return load_value(r, a, ret->body_file, &ret->body_text, err);
}

/* at: where the line is in the file. */
static int
take_record(struct reader *r, uint64_t at, const char *line, size_t len, struct err *err)
{
	struct record rec;

	arena_reset(&r->arena);
	if (parse_line(r, &r->arena, line, len, &rec, err) < 0)
		return err_wrap(err, "journal '%s', record %" PRIu64, r->path, r->s->records + 1);
	rec.folder = r->folder;
	rec.at = at;
	r->s->records++;
	if (rec.type == REC_TAIL)
		r->s->tail = true;
	else if (rec.type == REC_RESUME)
		r->s->tail = false;
	return r->fn != NULL ? r->fn(r->data, r->s->records, &rec, err) : 0;
}

static int
take_batch(struct reader *r, const struct batch *b, const char *body, const char *hash, struct err *err)
{
	const char *p = body, *end = body + b->len, *newline;
	struct scan *s = r->s;

	while (p < end) {
		newline = memchr(p, '\n', (size_t)(end - p));
		if (newline == NULL)
			return refuse(r, s->end, "a record has no end", err);
		if (take_record(r, s->end + BATCH_HEAD + (uint64_t)(p - body), p, (size_t)(newline - p), err) < 0)
			return -1;
		p = newline + 1;
	}
	if (s->records != b->first + b->records - 1)
		return refuse(r, s->end, "the number of records is wrong", err);
	s->batches++;
	s->last = s->end;
	s->end += batch_size(b->len);
	s->reserved = b->reserved;
	memcpy(s->hash, hash, SHA256_HEX);
	return 0;
}

/* Walk over [from, size): where what is not zero ends, and the first good batch after `end` (0: none). */
static int
survey(struct reader *r, uint64_t from, uint64_t *ret_later, struct err *err)
{
	static const char zero[BATCH_ALIGN];
	struct scan *s = r->s;
	char hash[SHA256_HEX];
	struct batch b;
	struct stat st;
	const char *p, *why;

	if (fstat(r->fd, &st) < 0)
		return err_errno(err, "stat '%s'", r->path);
	s->size = (uint64_t)st.st_size;
	s->dirty = from;
	*ret_later = 0;
	for (uint64_t at = from; at < s->size; at += BATCH_ALIGN) {
		size_t n = s->size - at < BATCH_ALIGN ? (size_t)(s->size - at) : BATCH_ALIGN;

		if (look(r, at, n, &p, err) < 0)
			return -1;
		if (p == NULL) { /* trimmed since the fstat */
			s->size = at;
			break;
		}
		if (memcmp(p, zero, n) == 0)
			continue;
		s->dirty = at + n;
		if (at == s->end || *ret_later != 0)
			continue;
		if (look_batch(r, at, &b, hash, &p, &why, err) < 0)
			return -1;
		if (why == NULL)
			*ret_later = at;
	}
	return 0;
}

/* Judge what stands at the end of the good batches: 0 with the scan filled, or -1 and refused. */
static int
judge(struct reader *r, const char *why, struct err *err)
{
	struct scan *s = r->s;
	uint64_t from = s->sealed ? s->end + batch_size(0) : s->end, later = 0;
	char text[160];

	if (survey(r, from, &later, err) < 0)
		return -1;
	if (later != 0) {
		(void)snprintf(text, sizeof(text), "%s, but a good batch follows at byte %" PRIu64,
			       s->sealed ? "the journal ends" : why, later);
		return refuse(r, from, text, err);
	}
	if (why == batch_newer)
		return refuse_newer(r, s->end, err);
	if (s->batches == 0 || why == batch_foreign)
		return refuse(r, s->end, why, err);
	if (!s->sealed && s->size < s->reserved) {
		(void)snprintf(text, sizeof(text), "the file was cut: %" PRIu64 " of %" PRIu64 " bytes are left", s->size,
			       s->reserved);
		return refuse(r, s->size, text, err);
	}
	if (s->dirty > from && s->sealed)
		return refuse(r, from, "bytes follow the end of the journal", err);
	if (s->dirty - from > BATCH_MAX)
		return refuse(r, from, "more is damaged than one batch that was being written", err);
	s->torn = s->dirty > from;
	return 0;
}

static int
scan(struct reader *r, struct err *err)
{
	struct scan *s = r->s;
	uint64_t looked_again = UINT64_MAX;
	char hash[SHA256_HEX];
	const char *p, *why;
	struct batch b;

	while (s->end < r->until) {
		if (look_batch(r, s->end, &b, hash, &p, &why, err) < 0)
			return -1;
		if (why == NULL && follows(s, &b) != NULL)
			return refuse(r, s->end, follows(s, &b), err);
		s->sealed = why == NULL && s->batches > 0 && b.records == 0 && b.reserved == s->end + batch_size(0);
		if (why == NULL && !s->sealed) {
			if (take_batch(r, &b, p + BATCH_HEAD, hash, err) < 0)
				return -1;
			continue;
		}
		if (judge(r, why, err) == 0)
			return 0;
		if (err->kind != ERR_REFUSED || looked_again == s->end)
			return -1;
		looked_again = s->end;
		r->have = 0;
	}
	return 0;
}

static int
scan_with(struct reader *r, const char *run, struct err *err)
{
	int rc;

	r->private = -1;
	r->forgotten = r->folder != NULL && store_is_forgotten(r->folder);
	batch_tag(run, r->tag);
	r->h = sha256_new();
	help_begin(r->help, r->fd, r->tag);
	rc = scan(r, err);
	help_end(r->help);
	if (r->private >= 0)
		(void)close(r->private);
	free(r->window);
	sha256_free(r->h);
	arena_done(&r->arena);
	return rc;
}

int
scan_file(int fd, const char *path, const char *folder, const char *run, struct journal_help *help, journal_record_fn *fn,
	  void *data, struct scan *ret, struct err *err)
{
	struct reader r = { .fd = fd, .path = path, .folder = folder, .until = UINT64_MAX, .help = help, .fn = fn, .data = data,
			    .s = ret };

	*ret = (struct scan){ 0 };
	memset(ret->hash, '0', SHA256_HEX - 1);
	return scan_with(&r, run, err);
}

int
journal_again(struct journal *j, journal_record_fn *fn, void *data, struct err *err)
{
	struct reader r = { .fd = j->fd, .path = j->path, .folder = j->folder, .until = j->end, .fn = fn, .data = data, .s = &j->again };

	if (j->again.end == 0)
		memset(j->again.hash, '0', SHA256_HEX - 1);
	return scan_with(&r, strrchr(j->folder, '/') + 1, err);
}

static int
read_line(int fd, uint64_t at, struct buf *line, size_t *ret_len, struct err *err)
{
	const char *end = NULL;
	ssize_t got = 1;

	while (end == NULL && got > 0) {
		char *room = buf_grow(line, LINE_READ);

		if (room == NULL)
			break;
		got = pread(fd, room, LINE_READ, (off_t)(at + line->len));
		if (got < 0)
			return err_errno(err, "read the journal");
		end = memchr(room, '\n', (size_t)got);
		line->len += (size_t)got;
	}
	if (end == NULL)
		return err_set(err, ERR_REFUSED, "no record begins at byte %" PRIu64 " of the journal", at);
	*ret_len = (size_t)(end - line->p);
	return 0;
}

int
journal_line(const char *folder, uint64_t at, struct arena *a, struct record *ret, struct err *err)
{
	struct reader r = { .folder = folder, .private = -1 };
	struct buf line = BUF_INIT(BATCH_BODY_MAX + LINE_READ);
	const int fd = open(io_join(a, folder, "journal"), O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	size_t len = 0;
	int rc;

	if (fd < 0)
		return err_errno(err, "open '%s/journal'", folder);
	rc = read_line(fd, at, &line, &len, err);
	(void)close(fd);
	if (rc == 0)
		rc = parse_line(&r, a, line.p, len, ret, err);
	if (r.private >= 0)
		(void)close(r.private);
	buf_done(&line);
	return rc < 0 ? err_wrap(err, "'%s/journal', byte %" PRIu64, folder, at) : 0;
}

int
journal_read(const char *dir, const char *run, journal_record_fn *fn, void *data, struct journal_info *ret,
	     struct err *err)
{
	struct arena scratch = ARENA_INIT;
	const char *folder = store_folder(&scratch, dir, run, err);
	char holder[2];
	struct scan s;
	int fd = -1, rc = -1;

	if (folder != NULL)
		fd = store_open(folder, run, O_RDONLY, err);
	if (fd >= 0)
		rc = scan_file(fd, io_join(&scratch, folder, "journal"), folder, run, NULL, fn, data, &s, err);
	if (rc == 0)
		/* Beside a live writer an unfinished batch is nothing to report. */
		*ret = (struct journal_info){ .batches = s.batches, .records = s.records, .bytes = s.end,
					      .torn = (s.torn || s.tail) && !journal_live(dir, run, holder, sizeof(holder)),
					      .trimmed = s.sealed };
	if (fd >= 0)
		(void)close(fd);
	arena_done(&scratch);
	return rc;
}

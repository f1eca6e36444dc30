/* SPDX-License-Identifier: Apache-2.0 */
/* The journal: a run's one durable truth. An interface with one file implementation; nothing outside journal*.c
 * may assume a file (design §9). One writer; batches chained by SHA-256; one write and one fdatasync a batch;
 * never a write before the previous sync came back; the first failing write or sync is sticky and ends the run. */
#ifndef WHERRY_JOURNAL_H
#define WHERRY_JOURNAL_H

#include "record.h"

struct journal;
struct journal_help;

#define JOURNAL_INLINE_MAX 16384 /* canonical bytes of a value kept inline; larger go to a file named by hash */

/* Create the run's folder DIR/RUN (a used id: ERR_USAGE), take its lock, write the opening batch and make it
 * durable. files: closure to store beside it (name, bytes), each durable before the opening batch names its
 * hash. */
struct journal_file {
	const char *name;
	const void *p;
	size_t len;
};
int journal_create(const char *dir, const char *run, const struct record *open, const struct journal_file *files,
		   size_t nfiles, struct journal **ret, struct err *err);

/* What reading found. */
struct journal_info {
	uint64_t batches, records, bytes;
	bool torn;                 /* the last batch was torn (quarantined by journal_open, only reported by journal_read), or
				    * an earlier one was and no REC_RESUME has taken it up since */
	const char *quarantine;    /* where to, in the run's folder; NULL unless just done; lives with the journal */
	bool trimmed;              /* paused or closed properly */
};
/* Called for every record in order (seq from 1); record and its values die after the call. -1 stops with err. Where
 * one is asked for, NULL only verifies. */
typedef int journal_record_fn(void *data, uint64_t seq, const struct record *r, struct err *err);
/* Read only, beside a live writer too (an unfinished last batch is then not an error). */
int journal_read(const char *dir, const char *run, journal_record_fn *fn, void *data, struct journal_info *ret,
		 struct err *err);
/* Lock, verify, replay, quarantine a torn tail, and go on writing. Corrupt: ERR_REFUSED with file and offset,
 * nothing changed. Locked: ERR_LOCKED naming the holder. */
int journal_open(const char *dir, const char *run, journal_record_fn *fn, void *data, struct journal **ret,
		 struct journal_info *info, struct err *err);
/* The same, while another thread helps to verify; help may be NULL. */
int journal_open_helped(const char *dir, const char *run, struct journal_help *help, journal_record_fn *fn, void *data,
			struct journal **ret, struct journal_info *info, struct err *err);
struct journal_help *journal_help_new(void);
/* For the other thread: verify batches for the one that reads, until the two meet or so much of the file, in percent, has been
 * looked at. Nobody reads: nothing is done. */
void journal_help(struct journal_help *, unsigned part);
void journal_help_free(struct journal_help *); /* or NULL; both threads are done with it */

/* Read our own journal: what has become durable since this was called last; at first, all of it. */
int journal_again(struct journal *, journal_record_fn *fn, void *data, struct err *err);

/* Read one record again, by its folder and where its line is, with the values that it names; all lives in the arena. Meant for what
 * was verified when the journal was read: only the values' own hashes are looked at once more. */
int journal_line(const char *folder, uint64_t at, struct arena *, struct record *ret, struct err *err);

/* Stage a record for the next batch (values over JOURNAL_INLINE_MAX are first written to files and synced here; private
 * ones are synced once a batch, and what they will need is reserved here). -1 only for such a file or its room, or for
 * a record that no batch can hold; the record is then not staged. */
int journal_add(struct journal *, const struct record *, struct err *);
/* Make room so that `n` completions of full size (REC_SETTLED and REC_END) can be recorded whatever the disk
 * does; n counts those in flight. -1: ERR_LOCAL; a full disk is not sticky: start nothing, record what ends,
 * pause. */
int journal_reserve(struct journal *, unsigned n, struct err *);
/* Write and sync all that is staged as one batch. 0: durable. -1: ERR_LOCAL, sticky; stop starting anything. */
int journal_commit(struct journal *, struct err *);
bool journal_staged(const struct journal *);
/* Commit, record the final length, trim. For pause and close; nothing can be added after it. */
int journal_seal(struct journal *, struct err *);
/* Release the lock and free; no writing. */
void journal_free(struct journal *);
/* The run's folder ("run.dir"). */
const char *journal_dir(const struct journal *);
/* The key for secrets' digests, random per run. */
struct bytes journal_key(const struct journal *);
/* Batches and bytes of the whole journal so far, for bench and tests. */
void journal_counts(const struct journal *, uint64_t *ret_batches, uint64_t *ret_bytes);

/* Store the closure of an edited plan, durably; `at` begins their names. */
int journal_keep_files(struct journal *, const char *at, const struct journal_file *files, size_t n, struct err *err);
/* A stored closure file's bytes, hash-checked against the opening record. */
int journal_load_file(const char *dir, const char *run, const char *name, const char *sha256, struct buf *to,
		      struct err *err);
/* The inbox: a record (REC_APPROVE or REC_RESOLVE) that another process leaves, durable, for the one that holds the run.
 * ret_name: how the message is called, in the arena. */
int journal_leave(const char *dir, const char *run, const struct record *, struct arena *, const char **ret_name,
		  struct err *err);
/* What has become of it. */
enum left { LEFT_THERE, LEFT_TAKEN, LEFT_REFUSED };
enum left journal_left(const char *dir, const char *run, const char *name);
/* Take it back; false when somebody was faster. */
bool journal_take_back(const char *dir, const char *run, const char *name);
/* For the holder: each message in the order they were left. r is NULL for one that cannot be read, and why says so; r dies
 * with the call. */
typedef void journal_message_fn(void *data, const char *name, const struct record *r, const struct err *why);
void journal_inbox(struct journal *, journal_message_fn *fn, void *data);
/* The message is on record now, or (refused) it is put aside; -1: it cannot be moved, and would come again. */
int journal_taken(struct journal *, const char *name);
int journal_refused(struct journal *, const char *name);
/* Runs in the state folder, newest first; each a run id. */
int journal_list(const char *dir, struct arena *a, const char ***ret, size_t *ret_n, struct err *err);
/* Bytes on disk of what forgetting (all: removing) a run would free. */
int journal_weigh(const char *dir, const char *run, bool all, uint64_t *ret_bytes, struct err *err);
/* Take a run's lock, to take away from the run; the caller closes ret_fd. */
int journal_hold(const char *dir, const char *run, int *ret_fd, struct err *err);
/* Of a run that is held: take away what may hold secrets, durably; `by` says who does and when. The journal can be read
 * afterwards (without the values that are gone), but never be opened for writing. */
int journal_forget(const char *dir, const char *run, const char *by, struct err *err);
/* Remove a run that is held as a whole. */
int journal_remove(const char *dir, const char *run, struct err *err);
/* Remove what an interrupted journal_remove has left. */
int journal_sweep(const char *dir, struct err *err);
/* Is a live process writing to it? 1 with its holder line, 0 no. */
int journal_live(const char *dir, const char *run, char *ret_holder, size_t size);

#endif

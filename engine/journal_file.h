/* SPDX-License-Identifier: Apache-2.0 */
/* Inside of the journal's file implementation (journal*.c and their tests only): the batch format, the scan
 * that reads it back and judges its end, and the run's folder. */
#ifndef WHERRY_JOURNAL_FILE_H
#define WHERRY_JOURNAL_FILE_H

#include "base/arena.h"
#include "base/hash.h"
#include "journal.h"

/* A batch is, in ASCII: a head line of fixed width, `len` bytes of record lines, the SHA-256 of both as a line
 * of hex, and spaces up to a newline at the next multiple of 512.
 *   WJ1 <run: 16 hex> <batch: 12> <first record: 12> <len: 7> <records: 6> <reserved: 12> <prev: 64 hex>
 * prev is the hash of the batch before. Numbers are decimal, from 0 (batches) and 1 (records). */
#define BATCH_ALIGN 512
#define BATCH_HEAD 140
#define BATCH_HASH 65                      /* with its newline */
#define BATCH_MAX (1U << 20)               /* bytes of a whole batch */
#define BATCH_BODY_MAX (BATCH_MAX - BATCH_ALIGN)
#define RESERVE_STEP (1U << 20)
#define RUN_TAG 17                         /* 16 hex digits of the run id's SHA-256, and NUL */

struct batch {
	uint64_t number, first, reserved;
	uint32_t len, records;
	char prev[SHA256_HEX];
	bool foreign;                 /* it is of another run */
};

void batch_tag(const char *run, char ret[RUN_TAG]);
/* Bytes of a whole batch with that much body. */
size_t batch_size(size_t body);
/* Write head, hash and padding around the body that is at at + BATCH_HEAD; at holds batch_size(b->len). */
void batch_finish(char *at, const char *tag, const struct batch *b, struct sha256 *h, char ret_hash[SHA256_HEX]);
extern const char batch_newer[]; /* what batch_head says of another format version */
extern const char batch_foreign[]; /* what batch_verify says of a whole batch of another run: no torn write leaves that */
/* Parse BATCH_HEAD bytes; NULL, or what is wrong with them. */
const char *batch_head(const char *at, const char *tag, struct batch *ret);
/* Check hash and padding of the whole batch at at; NULL, or what is wrong. */
const char *batch_verify(const char *at, const struct batch *b, struct sha256 *h, char ret_hash[SHA256_HEX]);
/* The hash that the batch says it has. */
void batch_hash(const char *at, const struct batch *b, char ret_hash[SHA256_HEX]);

/* journal_help.c, for who reads; all take NULL. A reader begins and ends, on the open file of a run that is locked. */
void help_begin(struct journal_help *, int fd, const char *tag);
void help_end(struct journal_help *);
/* Has a whole batch at `at` been found to match its hash? Also says where the reader is. */
bool help_verified(struct journal_help *, uint64_t at);

/* What a scan of the file found. Offsets are of the file. */
struct scan {
	uint64_t batches, records;    /* read; also the number of the next batch, and of the last record */
	uint64_t last, end;           /* where the last good batch begins and ends; a seal does not count */
	uint64_t reserved;            /* length named by the last good batch */
	uint64_t size, dirty;         /* of the file; end of what is not zero in it */
	bool sealed;                  /* a seal follows at end */
	bool torn;                    /* a torn tail is in [end, dirty) */
	bool tail;                    /* a REC_TAIL that no REC_RESUME has followed */
	char hash[SHA256_HEX];        /* of the last good batch */
};
/* Read all batches of the open file and hand over their records. folder: where large values are, or NULL to
 * leave them out. help: who verifies some of it, or NULL. -1: refused (ERR_REFUSED names file and offset), unreadable, or fn's own error. */
int scan_file(int fd, const char *path, const char *folder, const char *run, struct journal_help *help, journal_record_fn *fn,
	      void *data, struct scan *ret, struct err *err);

/* The run's folder under dir, in the arena; NULL (ERR_USAGE) when the id cannot be a folder's name. */
const char *store_folder(struct arena *a, const char *dir, const char *run, struct err *err);
/* Open its journal; ERR_USAGE when there is no such run. Returns the descriptor. */
int store_open(const char *folder, const char *run, int flags, struct err *err);
int store_lock(const char *folder, const char *run, int *ret_fd, struct err *err);
int store_closure(const char *folder, const struct journal_file *files, size_t n, struct err *err);
int store_key(const char *folder, bool fresh, unsigned char ret[SHA256_LEN], struct err *err);
/* Keep a value's canonical bytes in data/ under their hash, durable. */
int store_put(const char *folder, const struct buf *bytes, char ret_sha256[SHA256_HEX], struct err *err);
int store_get(const char *folder, const char *sha256, struct buf *to, struct err *err);
/* A kept value's canonical bytes in the arena, by its name. private: as private_get's fd. */
int store_value(const char *folder, int *private, const char *name, struct arena *, const char **ret, struct err *err);
/* Copy [from, to) of the journal into quarantine/, durable; ret_name is relative to the folder and lives in the
 * arena. */
int store_quarantine(struct arena *a, const char *folder, int fd, uint64_t from, uint64_t to, const char **ret_name,
		     struct err *err);

#define STORED_NAME 128                /* of a value beside the journal, with NUL */
#define EMPTY_BATCH BATCH_ALIGN        /* size of a batch without records: a seal, or one that announces a length */
#define GROW_BELOW (64U << 10)         /* room left at which the next step is reserved */

/* What becomes one batch: room for the head, then lines. */
struct frame {
	struct buf buf;
	uint32_t records;
	bool intent, end;
};

/* The file of values that may be secret; made when the first is staged. */
struct private {
	int fd;                      /* -1: not there */
	uint64_t end, reserved;      /* where the next value goes; durable length of the file */
	uint64_t owed;               /* room for what effects under way will leave */
	struct buf staged;
};

struct journal {
	struct arena arena;          /* folder, path, quarantine */
	const char *folder, *path;
	int fd, lock;
	char tag[RUN_TAG];
	unsigned char key[SHA256_LEN];
	uint64_t end;                /* of the last batch: where the next goes */
	uint64_t reserved;           /* durable length of the file */
	uint64_t announced;          /* the reserved length that the last batch named */
	uint64_t batches, records;   /* written */
	char hash[SHA256_HEX];       /* of the last batch */
	struct sha256 *h;
	struct frame *frames;        /* staged; memory is kept for reuse */
	size_t nframes, cap;
	struct private private;
	struct scan again;           /* how far journal_again has come */
	struct err failed;           /* the sticky error */
};

/* The next length that is reserved at or above n. */
static inline uint64_t
reserve_round(uint64_t n)
{
	return (n + RESERVE_STEP - 1) / RESERVE_STEP * RESERVE_STEP;
}

/* fsync or fdatasync over EINTR. */
int journal_sync(int fd, bool data_only);
/* Remember err as the journal's end; always -1. */
int journal_fail(struct journal *, struct err *err);
/* Reserve a file of the run's up to at least `want`. A full disk is not sticky: what is reserved stays usable. */
int journal_grow(struct journal *, int fd, const char *name, uint64_t *reserved, uint64_t want, struct err *err);
/* Zeroes over [from, to), durable. */
int journal_wipe(struct journal *, uint64_t from, uint64_t to, struct err *err);
/* Write the frame as the next batch, durable; it must lie within what is announced. */
int journal_put(struct journal *, struct frame *, uint64_t reserved, struct err *err);

/* Has journal_forget begun here: are values gone for good? */
bool store_is_forgotten(const char *folder);
/* Open the file, if there is one, to append to it. */
int private_open(struct journal *, struct err *err);
/* Stage a value's canonical bytes and say how a record names them. */
void private_stage(struct journal *, const struct buf *bytes, char ret_name[STORED_NAME]);
/* Room for all that is staged and owed once this record is; -1 as journal_grow, and nothing more is owed. */
int private_reserve(struct journal *, const struct record *, struct err *err);
/* Write what is staged, durable; -1 is sticky. */
int private_commit(struct journal *, struct err *err);
void private_done(struct private *);
/* Does it name a value in there? */
bool private_is_name(const char *name);
/* Append the value's bytes, hash-checked; ERR_REFUSED names file and place. *fd: -1, or the file opened before; the
 * caller closes it. */
int private_get(const char *folder, int *fd, const char *name, struct buf *to, struct err *err);

#endif

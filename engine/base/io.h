/* SPDX-License-Identifier: Apache-2.0 */
/* Files done safely: whole reads with a cap, durable replacement, private folders, locks that heal. */
#ifndef WHERRY_BASE_IO_H
#define WHERRY_BASE_IO_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/hash.h"

#include <sys/types.h>

/* Write all of it, over EINTR and short writes. */
int io_write_all(int fd, const void *p, size_t len, struct err *err);
int io_pwrite_all(int fd, const void *p, size_t len, off_t at, struct err *err);
/* Append a regular file's content (FIFO, folder and device are refused) up to max bytes, opened once. */
int io_read_file(const char *path, size_t max, struct buf *to, struct err *err);
/* As io_read_file on an open descriptor, to its end. */
int io_read_fd(int fd, const char *name, size_t max, struct buf *to, struct err *err);
/* The SHA-256 of a regular file's content, of which nothing is kept. */
int io_hash_file(const char *path, char ret[SHA256_HEX], struct err *err);
/* Replace path with data by tmp, fsync, rename, fsync of the folder. After 0 the new content survives a power cut;
 * after -1 one whole version remains. mode is applied regardless of umask. */
int io_replace(const char *path, const void *p, size_t len, mode_t mode, struct err *err);
/* The same by a tmp of a name that the caller finds again, where a kill left it. It must not be there. */
int io_replace_by(const char *tmp, const char *path, const void *p, size_t len, mode_t mode, struct err *err);
/* Give a whole new file, open and at tmp, its name: after 0 it survives a power cut. What is at path already is never
 * replaced: ERR_FAILED, and tmp stays. */
int io_publish(int fd, const char *tmp, const char *path, struct err *err);
/* The error for it. */
int io_refuse_existing(const char *path, struct err *err);
/* Make a folder 0700 (parents too, 0700) and sync its parent; an existing one must be ours and closed to others. */
int io_private_dir(const char *path, struct err *err);
int io_sync_dir(const char *path, struct err *err);
/* fsync the folder that holds path. */
int io_sync_parent(const char *path, struct err *err);
/* Take an OFD write lock on path (created 0600, never removed) and write `holder` (one line) into it.
 * ret_fd: the caller closes it to unlock. ERR_LOCKED with the present holder's line as message when taken, ERR_LOCAL on a
 * file system that other machines may write to. */
int io_lock(const char *path, const char *holder, int *ret_fd, struct err *err);
/* Is the file locked by a live process? 1 yes (its line in ret_holder, escaped), 0 no. */
int io_lock_held(const char *path, char *ret_holder, size_t size);
/* Join two path parts with one slash, in the arena. */
const char *io_join(struct arena *a, const char *dir, const char *name);

#endif

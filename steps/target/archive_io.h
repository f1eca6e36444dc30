/* SPDX-License-Identifier: Apache-2.0 */
/* The inside of the target kind `archive`: libarchive, kept to few functions. */
#ifndef WHERRY_TARGET_ARCHIVE_IO_H
#define WHERRY_TARGET_ARCHIVE_IO_H

#include "base/hash.h"
#include "steps/target/archive_tree.h"
#include "target.h"

/* What packing made. */
struct archive_made {
	uint64_t size, entries;
	char sha256[SHA256_HEX];
};

/* Pack the folder `from` into fd (-1: only find out what it would be). compression: none, gzip, zstd, xz. */
int archive_pack(struct opctx *op, const char *from, const char *compression, int fd, struct archive_made *ret,
		 struct err *err);
/* Unpack the archive at `from` below the folder `root`, a descriptor (-1: only look); ret: initialised, with its limits,
 * is what is there then. -1 with ERR_FAILED names the first entry that breaks a rule. */
int archive_unpack(struct opctx *op, const char *from, int root, struct tree *ret, struct err *err);

/* The bytes of an archive, on their way to libarchive; NULL when that refuses them. fd stays the caller's. */
struct archive;
struct archive_source;
struct archive_source *archive_source_open(struct archive *in, int fd);
/* Read what libarchive left, for the checksum at its end. -1 with ERR_FAILED (why) for damage. */
int archive_source_drain(struct opctx *op, struct archive *in, struct archive_source *s, struct err *err);
void archive_source_close(struct archive_source *s);

#endif

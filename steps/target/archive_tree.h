/* SPDX-License-Identifier: Apache-2.0 */
/* The inside of the target kind `archive`: trees of entries, as an archive lists them and as a folder holds them. */
#ifndef WHERRY_TARGET_ARCHIVE_TREE_H
#define WHERRY_TARGET_ARCHIVE_TREE_H

#include "base/hash.h"
#include "base/map.h"
#include "target.h"

#include <sys/stat.h>

#define ARCHIVE_PIECE ((size_t)64 << 10)

/* One entry below a tree's root. */
struct entry {
	const char *path;     /* "a/b": no ".", no "..", no empty part; "" is the root */
	char type;            /* d, f, l; ? anything else */
	bool implied;         /* a folder that only its content named */
	mode_t mode;          /* d and f: permission bits */
	uint64_t size;        /* f */
	const char *says;     /* f: SHA-256 of the content, in hex; l: where it points to */
};
struct tree {
	struct arena arena;
	struct entry *list;
	uint32_t n, cap;
	struct map index;     /* path: its place in list */
	uint64_t size;        /* of all content */
	uint64_t max_size, max_entries;
};

/* The limits are part of an effect's body. */
void tree_init(struct tree *t, const struct value *body);
void tree_done(struct tree *t);
/* The entry of this path, or NULL. */
struct entry *tree_get(const struct tree *t, const char *path);
/* Add an entry, and the folders above it where nothing has named them. -1 with ERR_FAILED (why, without the path): it is
 * there already, one above it is no folder, or there are too many. ret lives until the next tree_add. */
int tree_add(struct tree *t, const char *path, char type, struct entry **ret, struct err *err);
/* Count content; -1 with ERR_FAILED over the limit. */
int tree_count(struct tree *t, uint64_t bytes, struct err *err);
/* {kind: folder, path, entries, size, sha256}: equal trees, equal objects. */
struct value tree_object(struct tree *t, struct arena *a, const char *path);

/* The normal form of an entry's name; -1 with ERR_FAILED (why, without the name) for what would leave the root. */
int tree_path(struct arena *a, const char *raw, const char **ret, struct err *err);
/* May a link at path point there? Only to what is inside, whatever other links there are: ".." only at the beginning. */
int tree_link(const char *path, const char *to, struct err *err);
/* -1 with ERR_CANCELLED or ERR_TIMEOUT when the work has to end. */
int tree_go_on(const struct opctx *op, struct err *err);

/* Call fn for the root ("") and all below it, sorted, a folder before its content; on_disk is where it can be opened. */
typedef int tree_fn(void *data, const char *path, const char *on_disk, const struct stat *st, struct err *err);
int tree_walk(struct opctx *op, const char *root, tree_fn *fn, void *data, struct err *err);
/* Take the tree of a folder. */
int tree_read(struct opctx *op, const char *root, struct tree *ret, struct err *err);
/* Remove a file, or a folder with all below it; nothing there is fine. */
int tree_remove(const char *root, struct err *err);

#endif

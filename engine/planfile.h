/* SPDX-License-Identifier: Apache-2.0 */
/* A plan file: what a dry-run had read and announced, so that `run` does that and nothing else. */
#ifndef WHERRY_PLANFILE_H
#define WHERRY_PLANFILE_H

#include "event.h"

#define PLANFILE_MAX ((size_t)512 << 20) /* bytes */

/* What a dry-run announces, gathered from its events. */
struct foretold {
	struct arena arena;
	struct value *actions;  /* maps, in plan order */
	struct pair *targets;   /* name: identity */
	struct pair *files;     /* of this machine, that were read: path: {digest, step} */
	size_t nactions, actions_cap, ntargets, targets_cap, nfiles, files_cap;
	struct err failure;     /* why it did not come to a good end; ERR_NONE: it did */
};
/* report_each_fn; data is a struct foretold that began with zeroes. */
void foretold_event(void *data, const struct event *);
void foretold_done(struct foretold *);
struct value foretold_actions(const struct foretold *);
struct value foretold_targets(const struct foretold *);
struct value foretold_files(struct foretold *);
/* Are they the same? -1: ERR_REFUSED with the first difference, its step and its object. */
int foretold_compare_actions(const struct value *was, const struct value *now, struct err *err);
int foretold_compare_targets(const struct value *was, const struct value *now, struct err *err);
/* A file or folder that both have read, and that was changed in between, is named. */
int foretold_compare_files(const struct value *was, const struct value *now, struct err *err);

/* {name: {digest, value}} of parameters; of a secret there is only its digest under the key, which takes long to guess. */
struct value planfile_params(struct arena *, const struct value *params, struct bytes key);
/* Are the values those that were kept? -1: ERR_REFUSED naming the first that is not. */
int planfile_compare_params(const struct value *was, const struct value *params, struct bytes key, struct err *err);

/* Does a file that begins so say that it is a plan file? */
bool planfile_is(const char *text, size_t len);
/* Append the file's bytes. */
void planfile_write(struct buf *to, const struct value *content);
/* The content of a plan file's bytes, in the arena. ERR_REFUSED: it was changed since it was written. */
int planfile_parse(struct arena *, const char *name, const char *text, size_t len, struct value *ret, struct err *err);

#endif

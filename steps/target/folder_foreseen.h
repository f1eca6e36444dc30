/* SPDX-License-Identifier: Apache-2.0 */
/* What folders would hold that a dry-run saw being filled: for later steps of the plan that read them. Nothing of it is on a
 * disk, and it ends with the process. Used by several threads at once. */
#ifndef WHERRY_FOLDER_FORESEEN_H
#define WHERRY_FOLDER_FORESEEN_H

#include "target.h"

struct folder_foreseen;
struct folder_foreseen *folder_foreseen_new(void);
/* Keep a file under its path; more than 512 MiB in all are not kept, and nothing is foreseen from then on. */
int folder_foreseen_keep(struct folder_foreseen *, struct bytes path, struct bytes content, struct err *err);
/* The file, in the arena. False: it is not foreseen. */
bool folder_foreseen_get(struct folder_foreseen *, struct arena *a, struct bytes path, struct bytes *ret);
/* A folder is taken away again: nothing is foreseen any more. */
void folder_foreseen_forget(struct folder_foreseen *);
void folder_foreseen_free(struct folder_foreseen *);

#endif

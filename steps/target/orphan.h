/* SPDX-License-Identifier: Apache-2.0 */
/* Children that may outlive their wherry. Each has WHERRY_EFFECT=NONCE in its environment. */
#ifndef WHERRY_TARGET_ORPHAN_H
#define WHERRY_TARGET_ORPHAN_H

#include "target.h"

/* Lock the effect; ret_fd is for the child to inherit. ERR_IN_DOUBT where an earlier one still holds it. op has a scratch. */
int orphan_lock(const struct opctx *op, const char *nonce, int *ret_fd, struct err *err);
/* fd < 0: nothing. ended: what the child itself left in the background is its own business, and no longer holds the effect. */
void orphan_release(int fd, const char *nonce, bool ended);
/* Wait until nothing of the effect's child is left (target_type.outlived). ERR_IN_DOUBT at the deadline, naming it. */
int orphan_wait(struct opctx *op, void *conn, const struct effect *e, const char *nonce, struct err *err);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* Which claims of a run stand on destinations, as its journal has it, and by which streams they were taken. The fold of the
 * journal makes it, and the coordinator goes on with it. */
#ifndef WHERRY_HOLDS_H
#define WHERRY_HOLDS_H

#include "record.h"

struct hold;
struct nonce; /* target.h */
struct holds {
	struct hold *first;
	const struct nonce *nonces;    /* of all streams that began, the last one first; immutable, so pointers may cross */
};

/* Take in an intent or a REC_CLAIM; what is kept lives in the arena. Other records mean nothing here. */
void holds_apply(struct holds *, struct arena *, const struct record *);
/* Does the run hold the claim that this REC_CLAIM names? */
bool holds_have(const struct holds *, const struct record *);

#endif

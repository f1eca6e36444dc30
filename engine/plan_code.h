/* SPDX-License-Identifier: Apache-2.0 */
/* A plan as bytes: shared by plan_image.c and plan_code.c only. */
#ifndef WHERRY_PLAN_CODE_H
#define WHERRY_PLAN_CODE_H

#include "base/hash.h"
#include "plan.h"

struct coder {
	const struct registry *registry;
	size_t ntypes, nkinds;   /* of the registry */
	bool packing, bad;       /* bad: what was read is no plan, or what was written did not arrive */
	struct plan *plan;       /* packing: a copy of its own members; else what is being filled */
	/* packing */
	struct buf out;
	struct sha256 *h;
	int fd;
	/* unpacking */
	const char *at, *end;
};

/* Write, or read, the plan but for its text, which stands beside it, and its index, which follows from it. */
void plan_code(struct coder *);
/* Hand what was written so far to the file and the hash. */
void plan_code_flush(struct coder *);

#endif

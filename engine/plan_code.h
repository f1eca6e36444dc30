/* SPDX-License-Identifier: Apache-2.0 */
/* A plan as bytes: shared by plan_image.c and plan_code.c only. */
#ifndef WHERRY_PLAN_CODE_H
#define WHERRY_PLAN_CODE_H

#include "base/hash.h"
#include "plan.h"

#define CODE_PIECE ((size_t)64 << 10) /* of the file, that a sum is of */

struct coder {
	const struct registry *registry;
	size_t ntypes, nkinds;   /* of the registry */
	bool packing, bad;       /* bad: what was read is no plan, or what was written did not arrive */
	uint32_t line;           /* of what was coded last */
	struct plan *plan;       /* packing: a copy of its own members; else what is being filled */
	/* packing */
	struct buf out;
	uint64_t sum;            /* of the pieces written so far */
	int fd;
	/* unpacking */
	const char *at, *end;
};

/* Write, or read, the plan but for its text, which stands beside it, and its index, which follows from it. */
void plan_code(struct coder *);
/* Hand a piece of what was written, or all if that is less, to the file and the sum. */
void plan_code_flush(struct coder *);

#endif

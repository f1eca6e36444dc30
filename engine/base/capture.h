/* SPDX-License-Identifier: Apache-2.0 */
/* Output of any length, of which the head and the tail are kept. */
#ifndef WHERRY_BASE_CAPTURE_H
#define WHERRY_BASE_CAPTURE_H

#include "base/buf.h"

#include <stdint.h>

struct capture {
	size_t cap;       /* bytes that are kept in the end: half of them of the head; held meanwhile: about twice as many */
	bool tail_only;   /* all of them are of the tail */
	struct buf kept;
	uint64_t dropped;
};

void capture_add(struct capture *c, const void *p, size_t n);
/* What was kept, which the caller frees; where the middle is missing, a line says how much. */
struct buf capture_end(struct capture *c);

#endif

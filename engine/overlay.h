/* SPDX-License-Identifier: Apache-2.0 */
/* The overlay of a dry-run: what earlier predicted effects would have made of the world. Belongs to the coordinator. */
#ifndef WHERRY_OVERLAY_H
#define WHERRY_OVERLAY_H

#include "ctx.h"

struct overlay_entry;
struct overlay {
	struct arena arena, scratch;
	struct overlay_entry *newest, *newest_wide;
	struct map index;             /* target and path: the newest entry of just this path, in latest */
	struct overlay_entry **latest;
	uint32_t n, cap;
	uint64_t count;
};

void overlay_done(struct overlay *);
/* path on target would be `after`; unknowable (NULL-ended or NULL) can no longer be told. Everything is copied. */
void overlay_put(struct overlay *, const struct target *, const char *path, const struct value *after,
		 const char *const *unknowable);
/* Does an entry tell about path (newest first)? An exact one gives its value, a covering or covered one UNKNOWN. */
bool overlay_get(struct overlay *, const struct target *, const char *path, struct value *ret);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* A frozen plan as flat bytes, so that a resume need not read and check the text again. A cache: the text stays the only
 * truth, and an image that is absent, damaged, or of another text or build is simply not there. */
#ifndef WHERRY_PLAN_IMAGE_H
#define WHERRY_PLAN_IMAGE_H

#include "base/hash.h"
#include "plan.h"

#define PLAN_IMAGE "main.image" /* its name beside the stored text */

/* Write the image of a plan whose text has this SHA-256. Not synced; where it cannot be written, or where the
 * plan runs others, there is none. */
void plan_image_write(const struct plan *, const struct registry *, const char sha256[SHA256_HEX], const char *path);
/* The plan that the image of this text holds, without its text; NULL when there is no such image. file as in plan_load. */
struct plan *plan_image_read(const struct registry *, const char *file, const char sha256[SHA256_HEX], const char *path);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* The last net under a world that says back what it was told in confidence: answers are journalled and shown. */
#ifndef WHERRY_TARGET_MASK_H
#define WHERRY_TARGET_MASK_H

#include "value.h"

/* Put "(secret)" in the place of each occurrence in text. Short secrets stay: masking them would blot out innocent text
 * and tell their own length. */
void mask_bytes(struct buf *text, struct bytes secret);
/* The same for every secret in v. */
void mask_secrets(struct buf *text, const struct value *v);
/* The same in an error's message. */
void mask_err(struct err *err, const struct value *v);
/* v with each text that holds a secret of `with` as that secret; the rest is shared. */
struct value mask_value(struct arena *a, const struct value *v, const struct value *with);

#endif

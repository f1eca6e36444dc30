/* SPDX-License-Identifier: Apache-2.0 */
/* What the v1.Status of a refusal says. Pure. */
#ifndef WHERRY_TARGET_KUBE_STATUS_H
#define WHERRY_TARGET_KUBE_STATUS_H

#include "value.h"

/* The Status that a body holds, in the arena; null: it is none. */
struct value kube_status_parse(struct arena *a, const char *p, size_t len);
/* In one line: message, reason, and each field that the message does not name. NULL: it is no Status. */
const char *kube_status_text(struct arena *a, const struct value *status);
/* Of a 5xx: does it tell that the request was refused before anything was stored? ret_may_pass: it may succeed later. */
bool kube_status_proves_nothing_done(const struct value *status, bool *ret_may_pass);

#endif

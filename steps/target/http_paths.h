/* SPDX-License-Identifier: Apache-2.0 */
/* What may stand in a request, checked before anything is sent; pure, for handlers and for the target kind http.
 * A ref's path is the request's URL, or, on a declared target, the path below the target's own. An effect's verb is the
 * method; its body {headers, body, expect, probe, max_body, stall, once}; a reply {status, headers, body, truncated}. */
#ifndef WHERRY_TARGET_HTTP_PATHS_H
#define WHERRY_TARGET_HTTP_PATHS_H

#include "value.h"

/* Does the method only read (RFC 9110 §9.2.1)? */
bool http_is_read(const char *method);
/* Is doing it twice the same as doing it once (RFC 9110 §9.2.2)? */
bool http_is_idempotent(const char *method);
/* -1 with ERR_PLAN unless it is http://HOST… or https://HOST…, or begins with "/" where is_path: printable ASCII, without
 * user, password and fragment. What would tell a secret is not echoed. */
int http_check_url(const char *url, bool is_path, struct err *err);
/* -1 with ERR_PLAN for a name that is no token or that is the transport's own, and for a value with control characters
 * (so that no input can add a header); value may be a secret, and is not echoed. */
int http_check_header(const char *name, struct bytes value, struct err *err);

#endif

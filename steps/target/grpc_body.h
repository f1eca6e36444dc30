/* SPDX-License-Identifier: Apache-2.0 */
/* The bytes of one request, in the pieces that they lie in, for libcurl to take. Neither buffer nor lent values may change
 * meanwhile. */
#ifndef WHERRY_TARGET_GRPC_BODY_H
#define WHERRY_TARGET_GRPC_BODY_H

#include <curl/curl.h>

#include "base/buf.h"
#include "steps/target/pb.h"

struct grpc_body {
	const struct buf *text;
	const struct lents *lent; /* or NULL */
	size_t at;                /* in text: what goes next from there */
	size_t next, within;      /* lent value that comes next, and what of it has gone */
};

void grpc_body_begin(struct grpc_body *body, const struct buf *text, const struct lents *lent);
/* All of its bytes. */
size_t grpc_body_len(const struct grpc_body *body);
/* CURLOPT_READFUNCTION and CURLOPT_SEEKFUNCTION (to the begin only) over a struct grpc_body. */
size_t grpc_body_read(char *to, size_t size, size_t n, void *body);
int grpc_body_seek(void *body, curl_off_t offset, int origin);

#endif

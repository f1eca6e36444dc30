/* SPDX-License-Identifier: Apache-2.0 */
/* A connection of its own on which HTTP/1.1 was left for another protocol (RFC 9110 §7.8, RFC 6455 §4.1). Pure transport. */
#ifndef WHERRY_TARGET_KUBE_UPGRADE_H
#define WHERRY_TARGET_KUBE_UPGRADE_H

#include <poll.h>

#include "steps/target/httpc.h"

struct upgraded {
	CURL *easy;   /* for curl_easy_send and curl_easy_recv */
	CURLM *multi;
	curl_socket_t fd;
	struct peer_told told;
	struct buf rest; /* what came behind the answer's headers: it is the new protocol's */
};

/* Connect, ask, and wait for the answer's headers; of another answer than 101 the body too. ret is to be closed whatever
 * came; ret_reply is judged by httpc_judge, and httpc_reply_done frees it. True: the answer is 101, and what its headers say
 * is the caller's to check. rq has method GET; its headers are complete but for Host. */
bool upgrade_ask(struct opctx *cx, const struct httpc_request *rq, struct upgraded *ret, struct httpc_reply *ret_reply);
void upgrade_close(struct upgraded *u);
/* Wait until one of events (POLLIN, POLLOUT), cancel or `until` has come, a second at most; ns on CLOCK_MONOTONIC. */
void upgrade_wait(const struct opctx *cx, const struct upgraded *u, short events, int64_t until);

#endif

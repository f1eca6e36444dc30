/* SPDX-License-Identifier: Apache-2.0 */
/* The inside of the transport, shared by grpc.c and grpc_tls.c only: how connections are made, and why they are refused. */
#ifndef WHERRY_TARGET_GRPC_TLS_H
#define WHERRY_TARGET_GRPC_TLS_H

#include <curl/curl.h>

#include "steps/target/grpc.h"

/* How a handle connects to peer. */
void grpc_set_peer(CURL *easy, const struct grpc_peer *peer);
/* Is this end of a transfer a refusal by TLS, rather than an accident? error: libcurl's own text. */
bool grpc_tls_refused(const struct grpc_peer *peer, CURLcode code, const char *error);
/* One line on why a transfer failed; which certificate, where it can be told. */
void grpc_explain(const struct grpc_peer *peer, CURLcode code, const char *error, long os_errno, char *ret, size_t size);
/* A connection was cut before any answer: does the server refuse our certificate? It says so only after our side of the
 * handshake, and a request on its way destroys the message; so connect once more and send nothing. */
bool grpc_tls_ask(const struct grpc_peer *peer, char *ret, size_t size);

#endif

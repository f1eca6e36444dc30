/* SPDX-License-Identifier: Apache-2.0 */
/* Who is at the other end of an HTTP or gRPC transport, how libcurl connects to it, and why that is refused. Pure
 * transport: no protocol, no policy. */
#ifndef WHERRY_TARGET_PEER_H
#define WHERRY_TARGET_PEER_H

#include <curl/curl.h>

#include "steps/target/certs.h"
#include "target.h"

/* Who is at the other end, and as whom we go there. All that is pointed at is borrowed and outlives the connection. */
struct peer {
	const char *url;             /* http://host:port… or https://host:port… */
	const char *name;            /* host:port, for messages */
	const char *ca, *cert, *key; /* files, or NULL; where the text itself is given, what messages call it */
	struct bytes ca_text, cert_text, key_text; /* PEM, in place of the file; empty: none */
	const char *proxy;           /* http:// or https://, or NULL: none */
	const struct curl_slist *at; /* one CURLOPT_CONNECT_TO, where the URL's host is only the name to check; or NULL */
};

/* What is known of a transfer's failure. */
struct peer_told {
	char error[CURL_ERROR_SIZE]; /* libcurl's own text, or "" */
	char seen[CERT_TEXT];        /* the server's certificate, or "" */
};

/* Is it reached over TLS? */
bool peer_is_tls(const struct peer *peer);
/* Check ca, cert and key before anything is sent; what ("etcd") begins the messages. ERR_PLAN or ERR_LOCAL. */
int peer_check(struct opctx *cx, const char *what, const struct peer *peer, struct err *err);
/* How a handle connects to peer; told outlives its transfers. */
void peer_set(CURL *easy, const struct peer *peer, struct peer_told *told);
/* Is this end of a transfer a refusal by TLS, rather than an accident? error: libcurl's own text. */
bool peer_refused(const struct peer *peer, CURLcode code, const char *error);
/* One line on why a transfer failed; which certificate, where it can be told. */
void peer_explain(const struct peer *peer, CURLcode code, const struct peer_told *told, long os_errno, char *ret, size_t size);
/* A connection was cut before any answer: does the server refuse our certificate? It says so only after our side of the
 * handshake, and a request on its way destroys the message; so connect once more and send nothing. */
bool peer_ask(const struct peer *peer, char *ret, size_t size);

/* How far a stop is asked for: 0 go on, 1 at the next safe place, 2 now. */
static inline int
peer_cancelled(const struct opctx *cx)
{
	return cx->cancel == NULL ? 0 : atomic_load(cx->cancel);
}

#endif

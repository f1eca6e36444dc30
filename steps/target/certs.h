/* SPDX-License-Identifier: Apache-2.0 */
/* What certificates say to people: whose they are, for which names, and until when. Looks only; libcurl and OpenSSL judge. */
#ifndef WHERRY_TARGET_CERTS_H
#define WHERRY_TARGET_CERTS_H

#include <curl/curl.h>

#include "base/buf.h"

#define CERT_TEXT 320

/* Whenever a connection of the handle has its server's certificate verified, say in seen what was shown; not escaped. seen
 * outlives the handle's transfers (CURLOPT_SSL_CTX_FUNCTION; does nothing where libcurl has another TLS library). */
void cert_watch(CURL *easy, char seen[CERT_TEXT]);
/* The same of the first certificate in a file; "" when there is none. Not escaped. */
void cert_of_file(const char *path, char ret[CERT_TEXT]);
/* The same of the first certificate in PEM text; false: there is none, or it cannot be read. */
bool cert_of_text(struct bytes pem, char ret[CERT_TEXT]);
/* Does PEM text hold a private key that needs no password? */
bool cert_key_of_text(struct bytes pem);

#endif

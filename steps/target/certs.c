/* SPDX-License-Identifier: Apache-2.0 */
/* Reads certificates for messages: "CN = x for DNS:a, DNS:b, valid from T to T". Verification stays OpenSSL's own: the one
 * call-back here asks it, notes which certificate that was about, and hands its answer on. */
#include "steps/target/certs.h"

#include <limits.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define NAMES_MAX 4

static void
put_time(BIO *to, const char *before, const ASN1_TIME *at)
{
	struct tm tm = { 0 };
	char text[32] = "?";

	if (ASN1_TIME_to_tm(at, &tm) == 1)
		(void)strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &tm);
	BIO_puts(to, before);
	BIO_puts(to, text);
}

/* The names that a client may reach it by (RFC 5280, 4.2.1.6). */
static void
put_names(BIO *to, const X509 *cert)
{
	GENERAL_NAMES *names = X509_get_ext_d2i(cert, NID_subject_alt_name, NULL, NULL);

	for (int i = 0; i < sk_GENERAL_NAME_num(names) && i < NAMES_MAX; i++) {
		BIO_puts(to, i == 0 ? " for " : ", ");
		GENERAL_NAME_print(to, sk_GENERAL_NAME_value(names, i));
	}
	if (sk_GENERAL_NAME_num(names) > NAMES_MAX)
		BIO_puts(to, ", ...");
	GENERAL_NAMES_free(names);
}

static void
tell(const X509 *cert, char ret[CERT_TEXT])
{
	const ASN1_TIME *from = X509_get0_notBefore(cert), *to = X509_get0_notAfter(cert);
	BIO *b = BIO_new(BIO_s_mem());
	ASN1_TIME *now = X509_gmtime_adj(NULL, 0);
	char *text;
	long len;

	ret[0] = '\0';
	if (b == NULL || now == NULL)
		goto out;
	X509_NAME_print_ex(b, X509_get_subject_name(cert), 0, XN_FLAG_ONELINE);
	put_names(b, cert);
	put_time(b, ", valid from ", from);
	put_time(b, " to ", to);
	if (X509_cmp_current_time(from) > 0)
		put_time(b, ": it is not valid yet, here it is ", now);
	else if (X509_cmp_current_time(to) < 0)
		put_time(b, ": it has expired, here it is ", now);
	len = BIO_get_mem_data(b, &text);
	(void)snprintf(ret, CERT_TEXT, "%.*s", (int)len, text);
out:
	ASN1_TIME_free(now);
	BIO_free(b);
}

/* SSL_CTX_set_cert_verify_callback(3): in place of X509_verify_cert, which it calls. */
static int
on_verify(X509_STORE_CTX *store, void *seen)
{
	const int ret = X509_verify_cert(store);
	const X509 *cert = X509_STORE_CTX_get_current_cert(store);

	if (ret == 1 || cert == NULL) /* else one of its chain is at fault, mostly the first */
		cert = X509_STORE_CTX_get0_cert(store);
	if (cert != NULL)
		tell(cert, seen);
	return ret;
}

static CURLcode
on_context(CURL *easy, void *context, void *seen)
{
	(void)easy;
	SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION); /* `seen` may be gone when a server would ask for that */
	SSL_CTX_set_cert_verify_callback(context, on_verify, seen);
	return CURLE_OK;
}

void
cert_watch(CURL *easy, char seen[CERT_TEXT])
{
	const curl_version_info_data *info = curl_version_info(CURLVERSION_NOW);

	seen[0] = '\0';
	if (info->ssl_version == NULL || strncmp(info->ssl_version, "OpenSSL/", 8) != 0)
		return;
	curl_easy_setopt(easy, CURLOPT_SSL_CTX_FUNCTION, on_context);
	curl_easy_setopt(easy, CURLOPT_SSL_CTX_DATA, seen);
}

/* pem_password_cb(3): the terminal is not asked. */
static int
no_password(char *to, int size, int writing, void *data)
{
	(void)to, (void)size, (void)writing, (void)data;
	return -1;
}

/* from is freed, and may be NULL. */
static bool
first_cert(BIO *from, char ret[CERT_TEXT])
{
	X509 *cert = from != NULL ? PEM_read_bio_X509(from, NULL, no_password, NULL) : NULL;
	const bool found = cert != NULL;

	ret[0] = '\0';
	if (found)
		tell(cert, ret);
	X509_free(cert);
	BIO_free(from);
	ERR_clear_error();
	return found;
}

void
cert_of_file(const char *path, char ret[CERT_TEXT])
{
	(void)first_cert(BIO_new_file(path, "r"), ret);
}

bool
cert_of_text(struct bytes pem, char ret[CERT_TEXT])
{
	return first_cert(pem.len <= INT_MAX ? BIO_new_mem_buf(pem.p, (int)pem.len) : NULL, ret);
}

bool
cert_key_of_text(struct bytes pem)
{
	BIO *from = pem.len <= INT_MAX ? BIO_new_mem_buf(pem.p, (int)pem.len) : NULL;
	EVP_PKEY *key = from != NULL ? PEM_read_bio_PrivateKey(from, NULL, no_password, NULL) : NULL;
	const bool found = key != NULL;

	EVP_PKEY_free(key);
	BIO_free(from);
	ERR_clear_error();
	return found;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Owns how the transport connects: certificates always verified, TLS 1.2 at least, no proxy but the given one, no redirect,
 * no signal, no question at the terminal; and the words for what goes wrong there, which name the certificate. */
#include "steps/target/peer.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/text.h"

#define CONNECT_MS 5000L
#define ASK_LIMIT (2 * NS_PER_S)
#define ASK_POLL 20

static void
set_text(CURL *easy, CURLoption option, struct bytes pem)
{
	struct curl_blob blob = { .data = (void *)(uintptr_t)pem.p, .len = pem.len, .flags = CURL_BLOB_NOCOPY };

	if (pem.len > 0)
		curl_easy_setopt(easy, option, &blob);
}

/* As whom, and whom to believe. */
static void
set_certificates(CURL *easy, const struct peer *peer)
{
	const bool ca_file = peer->ca != NULL && peer->ca_text.len == 0;

	if (peer->ca != NULL) { /* replaces the system's store */
		curl_easy_setopt(easy, CURLOPT_CAPATH, NULL);
		curl_easy_setopt(easy, CURLOPT_PROXY_CAPATH, NULL);
	}
	if (ca_file) {
		curl_easy_setopt(easy, CURLOPT_CAINFO, peer->ca);
		curl_easy_setopt(easy, CURLOPT_PROXY_CAINFO, peer->ca);
	}
	set_text(easy, CURLOPT_CAINFO_BLOB, peer->ca_text);
	set_text(easy, CURLOPT_PROXY_CAINFO_BLOB, peer->ca_text);
	if (peer->cert != NULL && peer->cert_text.len == 0)
		curl_easy_setopt(easy, CURLOPT_SSLCERT, peer->cert);
	set_text(easy, CURLOPT_SSLCERT_BLOB, peer->cert_text);
	if (peer->key != NULL && peer->key_text.len == 0)
		curl_easy_setopt(easy, CURLOPT_SSLKEY, peer->key);
	set_text(easy, CURLOPT_SSLKEY_BLOB, peer->key_text);
	curl_easy_setopt(easy, CURLOPT_KEYPASSWD, ""); /* else OpenSSL would ask the terminal */
}

void
peer_set(CURL *easy, const struct peer *peer, struct peer_told *told)
{
	told->error[0] = '\0';
	curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, told->error);
	cert_watch(easy, told->seen);
	curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
	curl_easy_setopt(easy, CURLOPT_PROXY, peer->proxy != NULL ? peer->proxy : ""); /* none from the environment */
	curl_easy_setopt(easy, CURLOPT_NOPROXY, "");
	curl_easy_setopt(easy, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
	curl_easy_setopt(easy, CURLOPT_CONNECT_TO, peer->at);
	curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
	curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, CONNECT_MS);
	curl_easy_setopt(easy, CURLOPT_QUICK_EXIT, 1L); /* a hanging resolver must not hold up the end */
	curl_easy_setopt(easy, CURLOPT_TCP_KEEPALIVE, 1L);
	curl_easy_setopt(easy, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
	curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, 1L);
	curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, 2L);
	curl_easy_setopt(easy, CURLOPT_PROXY_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
	set_certificates(easy, peer);
}

bool
peer_is_tls(const struct peer *peer)
{
	return strncmp(peer->url, "https:", 6) == 0;
}

static int
check_file(struct opctx *cx, const char *what, const char *path, bool private, struct err *err)
{
	struct stat st;
	const char *text;

	if (path == NULL)
		return 0;
	if (access(path, R_OK) < 0 || stat(path, &st) < 0)
		return err_errno(err, "read %s '%s'", what, path);
	if (!private)
		return 0;
	if ((st.st_mode & S_IRWXO) != 0) {
		(void)err_set(err, ERR_LOCAL, "%s '%s' can be read or changed by every user of this machine", what, path);
		return err_next(err, "chmod 600 '%s'", path);
	}
	if ((st.st_mode & S_IRWXG) != 0 && cx->note != NULL) {
		text = arena_printf(cx->arena, "%s '%s' can be read by its group", what, path);
		cx->note(cx, text);
	}
	return 0;
}

static int
check_texts(const struct peer *peer, struct err *err)
{
	char seen[CERT_TEXT];

	if (peer->ca_text.len > 0 && !cert_of_text(peer->ca_text, seen))
		return err_set(err, ERR_PLAN, "%s holds no certificate in PEM form", peer->ca);
	if (peer->cert_text.len > 0 && !cert_of_text(peer->cert_text, seen))
		return err_set(err, ERR_PLAN, "%s holds no certificate in PEM form", peer->cert);
	if (peer->key_text.len > 0 && !cert_key_of_text(peer->key_text))
		return err_set(err, ERR_PLAN, "%s holds no private key in PEM form that needs no password", peer->key);
	return 0;
}

int
peer_check(struct opctx *cx, const char *what, const struct peer *peer, struct err *err)
{
	if ((peer->cert == NULL) != (peer->key == NULL))
		return err_set(err, ERR_PLAN, "%s: cert and key go together", what);
	if (!peer_is_tls(peer) && (peer->ca != NULL || peer->cert != NULL))
		return err_set(err, ERR_PLAN, "%s: ca, cert and key are given, but the server is reached by http://", what);
	if (check_texts(peer, err) < 0)
		return -1;
	return (peer->ca_text.len == 0 && check_file(cx, "ca", peer->ca, false, err) < 0) ||
	       (peer->cert_text.len == 0 && check_file(cx, "cert", peer->cert, false, err) < 0) ||
	       (peer->key_text.len == 0 && check_file(cx, "key", peer->key, true, err) < 0) ? -1 : 0;
}

static bool
is_alert(const struct peer *peer, const char *error)
{
	return peer_is_tls(peer) && strstr(error, "alert") != NULL;
}

bool
peer_refused(const struct peer *peer, CURLcode code, const char *error)
{
	switch (code) {
	case CURLE_PEER_FAILED_VERIFICATION:
	case CURLE_SSL_CERTPROBLEM:
	case CURLE_SSL_CIPHER:
	case CURLE_SSL_CACERT_BADFILE:
	case CURLE_SSL_ISSUER_ERROR:
	case CURLE_SSL_CLIENTCERT:
		return true;
	case CURLE_SSL_CONNECT_ERROR:
		return strstr(error, "error:") != NULL; /* else the connection broke in the handshake */
	default:
		return is_alert(peer, error); /* TLS 1.3: after our side had finished */
	}
}

static const char *
or_empty(const char *s)
{
	return s != NULL ? s : "";
}

void
peer_explain(const struct peer *peer, CURLcode code, const struct peer_told *told, long os_errno, char *ret, size_t size)
{
	struct arena a = ARENA_INIT;
	/* the error's text is the first there was; asking for the name of a peer that has gone already is not why */
	const bool has_text = told->error[0] != '\0' && strncmp(told->error, "getpeername() ", 14) != 0;
	const char *what = has_text ? told->error : curl_easy_strerror(code);
	char ours[CERT_TEXT] = "";

	what = text_safe(&a, what, strlen(what), 0); /* it may hold names out of the server's certificate */
	if (peer->cert_text.len > 0)
		cert_of_text(peer->cert_text, ours);
	else if (peer->cert != NULL)
		cert_of_file(peer->cert, ours);
	if (code == CURLE_PEER_FAILED_VERIFICATION)
		(void)snprintf(ret, size, "the server's certificate is refused: %s (checked against %s)%s%s", what,
			       peer->ca != NULL ? peer->ca : "the system's certificates", told->seen[0] != '\0' ? "; it is " : "",
			       text_safe(&a, told->seen, strlen(told->seen), 0));
	else if (strstr(what, "wrong version number") != NULL)
		(void)snprintf(ret, size, "the server does not speak TLS there (is it one for http://?): %s", what);
	else if (code == CURLE_SSL_CERTPROBLEM)
		(void)snprintf(ret, size, "client certificate '%s' with key '%s' cannot be used: %s", or_empty(peer->cert),
			       or_empty(peer->key), what);
	else if (code == CURLE_SSL_CACERT_BADFILE)
		(void)snprintf(ret, size, "ca '%s' cannot be used: %s", or_empty(peer->ca), what);
	else if (is_alert(peer, what) && peer->cert != NULL)
		(void)snprintf(ret, size, "the server refuses client certificate '%s' (%s): %s", peer->cert,
			       text_safe(&a, ours, strlen(ours), 0), what);
	else if (is_alert(peer, what))
		(void)snprintf(ret, size, "the server refuses a client without certificate: %s", what);
	else if (code == CURLE_COULDNT_CONNECT && os_errno != 0)
		(void)snprintf(ret, size, "%s%s", strerror((int)os_errno), peer->proxy != NULL ? " (its proxy)" : "");
	else
		(void)snprintf(ret, size, "%s", what);
	for (size_t len = strlen(ret); len > 0 && ret[len - 1] == ' '; len--)
		ret[len - 1] = '\0';
	if (isupper((unsigned char)ret[0]) && islower((unsigned char)ret[1]))
		ret[0] = (char)tolower((unsigned char)ret[0]);
	arena_done(&a);
}

/* Drive the connect to its end; CURLE_AGAIN when the time is over. */
static CURLcode
connect_only(CURLM *multi, int64_t until)
{
	int running = 1, left;
	CURLMsg *msg;

	while (clock_now() < until) {
		curl_multi_perform(multi, &running);
		while ((msg = curl_multi_info_read(multi, &left)) != NULL)
			if (msg->msg == CURLMSG_DONE)
				return msg->data.result;
		curl_multi_poll(multi, NULL, 0, ASK_POLL, NULL);
	}
	return CURLE_AGAIN;
}

/* The last error's text: libcurl keeps the first, and a peer that is gone with its alert unread causes one more before. */
static int
on_text(CURL *easy, curl_infotype type, char *p, size_t size, void *data)
{
	char *error = data;

	(void)easy;
	if (type == CURLINFO_TEXT && memmem(p, size, "alert", 5) != NULL)
		(void)snprintf(error, CURL_ERROR_SIZE, "%.*s", (int)(size - (p[size - 1] == '\n')), p);
	return 0;
}

bool
peer_ask(const struct peer *peer, char *ret, size_t size)
{
	int64_t until = clock_now() + ASK_LIMIT;
	CURL *easy = curl_easy_init();
	CURLM *multi = curl_multi_init();
	struct peer_told told;
	char data[1];
	CURLcode code;
	size_t n;

	peer_set(easy, peer, &told);
	curl_easy_setopt(easy, CURLOPT_URL, peer->url);
	curl_easy_setopt(easy, CURLOPT_VERBOSE, 1L);
	curl_easy_setopt(easy, CURLOPT_DEBUGFUNCTION, on_text);
	curl_easy_setopt(easy, CURLOPT_DEBUGDATA, told.error);
	curl_easy_setopt(easy, CURLOPT_CONNECT_ONLY, 1L);
	curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	curl_multi_add_handle(multi, easy);
	code = connect_only(multi, until);
	while (code == CURLE_OK && clock_now() < until) {
		code = curl_easy_recv(easy, data, sizeof(data), &n);
		if (code != CURLE_AGAIN)
			break;
		curl_multi_poll(multi, NULL, 0, ASK_POLL, NULL);
		code = CURLE_OK;
	}
	curl_multi_remove_handle(multi, easy);
	curl_easy_cleanup(easy);
	curl_multi_cleanup(multi);
	if (code == CURLE_OK || code == CURLE_AGAIN || !peer_refused(peer, code, told.error))
		return false;
	peer_explain(peer, code, &told, 0, ret, size);
	return true;
}

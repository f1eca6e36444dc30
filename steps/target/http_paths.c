/* SPDX-License-Identifier: Apache-2.0 */
/* Owns the checks of URLs and headers that come from a plan (RFC 3986, RFC 9110 §5). */
#include "steps/target/http_paths.h"

#include <string.h>

bool
http_is_read(const char *method)
{
	return strcmp(method, "GET") == 0 || strcmp(method, "HEAD") == 0;
}

bool
http_is_idempotent(const char *method)
{
	return http_is_read(method) || strcmp(method, "PUT") == 0 || strcmp(method, "DELETE") == 0;
}

int
http_check_url(const char *url, bool is_path, struct err *err)
{
	const char *host = strncmp(url, "http://", 7) == 0    ? url + 7
			   : strncmp(url, "https://", 8) == 0 ? url + 8
							      : NULL;

	for (const char *p = url; *p != '\0'; p++)
		if ((unsigned char)*p <= ' ' || (unsigned char)*p >= 0x7f || *p == '\\')
			return err_set(err, ERR_PLAN, "url: only printable ASCII characters can stand in a URL; write others "
				       "as %%XX");
	if (strchr(url, '#') != NULL)
		return err_set(err, ERR_PLAN, "url: a fragment (#…) is never sent to a server");
	if (is_path) {
		if (url[0] != '/' || url[1] == '/')
			return err_set(err, ERR_PLAN, "url: with a target (on) it is a path that begins with one '/'");
		return 0;
	}
	if (host == NULL || strcspn(host, "/?:") == 0)
		return err_set(err, ERR_PLAN, "url: expected http://HOST… or https://HOST…");
	if (memchr(host, '@', strcspn(host, "/?")) != NULL)
		return err_set(err, ERR_PLAN, "url: a user or password does not stand in a URL; declare a target of kind http");
	return 0;
}

/* What the transport decides: a plan that sets it would break the framing of the request. */
static bool
is_ours(const char *name)
{
	static const char *const ours[] = { "content-length", "transfer-encoding", "connection", "expect", "te", "trailer",
		"upgrade", "keep-alive", "proxy-authorization", "proxy-connection", "accept-encoding" };

	for (size_t i = 0; i < countof(ours); i++)
		if (strcasecmp(name, ours[i]) == 0)
			return true;
	return false;
}

int
http_check_header(const char *name, struct bytes value, struct err *err)
{
	static const char token[] = "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
	const unsigned char *p = value.p;

	if (name[0] == '\0' || name[strspn(name, token)] != '\0')
		return err_set(err, ERR_PLAN, "headers: a name holds a character that no header's name can hold");
	if (is_ours(name))
		return err_set(err, ERR_PLAN, "headers: '%s' is the transport's own", name);
	for (size_t i = 0; i < value.len; i++)
		if ((p[i] < 0x20 && p[i] != '\t') || p[i] == 0x7f)
			return err_set(err, ERR_PLAN, "headers: the value of '%s' holds a control character (a line break?)", name);
	return 0;
}

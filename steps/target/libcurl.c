/* SPDX-License-Identifier: Apache-2.0 */
/* Stands for libcurl, which is loaded when it is first used: it draws in 30 libraries, which cost every start of wherry more than
 * all else that it does by then. Each function that we use is here under its own name, so whoever calls it need not know. */
#include <curl/curl.h>

#include <stdarg.h>

#include "base/library.h"

#define LATE(function) LIBRARY_CALL(LIBCURL, function)

#undef curl_easy_setopt
#undef curl_easy_getinfo

CURLcode
curl_easy_setopt(CURL *easy, CURLoption option, ...)
{
	CURLcode ret;
	va_list ap;

	va_start(ap, option);
	if (option < CURLOPTTYPE_OBJECTPOINT)
		ret = LATE(curl_easy_setopt)(easy, option, va_arg(ap, long));
	else if (option >= CURLOPTTYPE_OFF_T && option < CURLOPTTYPE_BLOB)
		ret = LATE(curl_easy_setopt)(easy, option, va_arg(ap, curl_off_t));
	else
		ret = LATE(curl_easy_setopt)(easy, option, va_arg(ap, void *));
	va_end(ap);
	return ret;
}

CURLcode
curl_easy_getinfo(CURL *easy, CURLINFO info, ...)
{
	CURLcode ret;
	va_list ap;

	va_start(ap, info);
	ret = LATE(curl_easy_getinfo)(easy, info, va_arg(ap, void *));
	va_end(ap);
	return ret;
}

void
curl_easy_cleanup(CURL *easy)
{
	LATE(curl_easy_cleanup)(easy);
}

CURL *
curl_easy_init(void)
{
	return LATE(curl_easy_init)();
}

CURLcode
curl_easy_pause(CURL *easy, int bits)
{
	return LATE(curl_easy_pause)(easy, bits);
}

CURLcode
curl_easy_recv(CURL *easy, void *p, size_t len, size_t *n)
{
	return LATE(curl_easy_recv)(easy, p, len, n);
}

void
curl_easy_reset(CURL *easy)
{
	LATE(curl_easy_reset)(easy);
}

CURLcode
curl_easy_send(CURL *easy, const void *p, size_t len, size_t *n)
{
	return LATE(curl_easy_send)(easy, p, len, n);
}

const char *
curl_easy_strerror(CURLcode code)
{
	return LATE(curl_easy_strerror)(code);
}

void
curl_free(void *p)
{
	LATE(curl_free)(p);
}

void
curl_global_cleanup(void)
{
	LATE(curl_global_cleanup)();
}

CURLcode
curl_global_init(long flags)
{
	return LATE(curl_global_init)(flags);
}

CURLMcode
curl_multi_add_handle(CURLM *multi, CURL *easy)
{
	return LATE(curl_multi_add_handle)(multi, easy);
}

CURLMcode
curl_multi_cleanup(CURLM *multi)
{
	return LATE(curl_multi_cleanup)(multi);
}

CURLMsg *
curl_multi_info_read(CURLM *multi, int *left)
{
	return LATE(curl_multi_info_read)(multi, left);
}

CURLM *
curl_multi_init(void)
{
	return LATE(curl_multi_init)();
}

CURLMcode
curl_multi_perform(CURLM *multi, int *running)
{
	return LATE(curl_multi_perform)(multi, running);
}

CURLMcode
curl_multi_poll(CURLM *multi, struct curl_waitfd *fds, unsigned n, int ms, int *ret)
{
	return LATE(curl_multi_poll)(multi, fds, n, ms, ret);
}

CURLMcode
curl_multi_remove_handle(CURLM *multi, CURL *easy)
{
	return LATE(curl_multi_remove_handle)(multi, easy);
}

struct curl_slist *
curl_slist_append(struct curl_slist *list, const char *line)
{
	return LATE(curl_slist_append)(list, line);
}

void
curl_slist_free_all(struct curl_slist *list)
{
	LATE(curl_slist_free_all)(list);
}

CURLU *
curl_url(void)
{
	return LATE(curl_url)();
}

void
curl_url_cleanup(CURLU *url)
{
	LATE(curl_url_cleanup)(url);
}

CURLUcode
curl_url_get(CURLU *url, CURLUPart what, char **part, unsigned flags)
{
	return LATE(curl_url_get)(url, what, part, flags);
}

CURLUcode
curl_url_set(CURLU *url, CURLUPart what, const char *part, unsigned flags)
{
	return LATE(curl_url_set)(url, what, part, flags);
}

curl_version_info_data *
curl_version_info(CURLversion version)
{
	return LATE(curl_version_info)(version);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Owns what a reply means (RFC 9110 §15): which status proves that nothing happened, which one leaves it open, and the
 * words for both; and reads headers out of a reply. */
#include <ctype.h>
#include <inttypes.h>
#include <string.h>

#include "base/text.h"
#include "steps/target/httpc.h"

#define EXCERPT_MAX 300
#define URL_MAX 200
#define HEADERS_MAX 200

/* One line of a reply's head: a name and a value without the blanks around it. False for the status line and junk. */
static bool
take_header(struct bytes *rest, struct bytes *ret_name, struct bytes *ret_value)
{
	while (rest->len > 0) {
		const char *p = rest->p, *eol = memchr(p, '\n', rest->len), *end = eol != NULL ? eol : p + rest->len;
		const char *colon = memchr(p, ':', (size_t)(end - p)), *v;

		*rest = (struct bytes){ eol != NULL ? eol + 1 : end, rest->len - (size_t)(end - p) - (eol != NULL) };
		for (v = p; colon != NULL && v < colon && *v > ' ' && *v < 0x7f; v++)
			;
		if (colon == NULL || colon == p || v < colon)
			continue;
		for (v = colon + 1; v < end && isspace((unsigned char)*v); v++)
			;
		while (end > v && isspace((unsigned char)end[-1]))
			end--;
		*ret_name = (struct bytes){ p, (size_t)(colon - p) };
		*ret_value = (struct bytes){ v, (size_t)(end - v) };
		return true;
	}
	return false;
}

static bool
is_name(struct bytes name, const char *wanted)
{
	return name.len == strlen(wanted) && strncasecmp(name.p, wanted, name.len) == 0;
}

const char *
httpc_header(struct arena *a, const struct httpc_reply *r, const char *name)
{
	struct bytes rest = { r->head.p, r->head.len }, key, v;
	const char *found = NULL;

	while (take_header(&rest, &key, &v))
		if (is_name(key, name)) {
			if (a == NULL)
				return v.p;
			found = found == NULL ? arena_strndup(a, v.p, v.len) :
				arena_printf(a, "%s, %.*s", found, (int)v.len, (const char *)v.p);
		}
	return found;
}

struct value
httpc_headers(struct arena *a, const struct httpc_reply *r)
{
	struct pair *pairs = arena_array(a, HEADERS_MAX, sizeof(*pairs));
	struct bytes rest = { r->head.p, r->head.len }, key, v;
	size_t n = 0, i;

	while (n < HEADERS_MAX && take_header(&rest, &key, &v)) {
		char *name = arena_strndup(a, key.p, key.len);
		const char *text;

		for (char *c = name; *c != '\0'; c++)
			*c = (char)tolower((unsigned char)*c);
		for (i = 0; i < n && strcmp(pairs[i].key, name) != 0; i++)
			;
		if (i < n || strncmp(name, "set-cookie", 10) == 0)
			continue;
		text = httpc_header(a, r, name);
		pairs[n++] = (struct pair){ name, value_str(text) };
	}
	return value_map(pairs, n);
}

/* The beginning of what the server says, on one line. */
static const char *
excerpt(struct arena *a, const struct httpc_reply *r)
{
	size_t len = r->body.len;

	while (len > 0 && isspace((unsigned char)r->body.p[len - 1]))
		len--;
	return len > 0 ? arena_printf(a, ": %s", text_safe(a, r->body.p, len, EXCERPT_MAX)) : "";
}

/* Sent or not, and no whole reply. */
static int
judge_silence(const struct httpc_request *rq, const struct httpc_reply *r, const char *name, struct err *err)
{
	if (r->fate == HTTPC_LOST && rq->changes)
		return err_set(err, ERR_UNKNOWN, "%s: the answer was lost: %s", name, r->why);
	if (r->gave_up != ERR_NONE)
		return err_set(err, r->gave_up, "%s: %s", name, r->why);
	if (r->fate == HTTPC_LOST && !r->away) {
		err_set(err, ERR_FAILED, "%s: %s", name, r->why);
		err->retryable = true;
		return -1;
	}
	err_set(err, ERR_UNREACHABLE, "%s: %s", name, r->why);
	err->retryable = r->fate != HTTPC_REFUSED;
	return -1;
}

/* Does the status prove that nothing was changed? A redirect that has the request made elsewhere does; one that shows
 * the result elsewhere (302, 303) does not. */
static bool
is_definite(int status)
{
	return (status >= 400 && status < 500) || status == 501 || status == 505 || status == 301 || status == 304 ||
	       status == 307 || status == 308;
}

/* name: method and URL. */
static int
judge_status(const struct httpc_request *rq, const struct httpc_reply *r, const char *name, struct arena *a,
	     struct err *err)
{
	const int s = r->status;

	if (s == 401) {
		err_set(err, ERR_UNREACHABLE, "%s: the server refuses the credentials (401)%s", name, excerpt(a, r));
		err->retryable = false;
		return -1;
	}
	if (s >= 300 && s < 400 && s != 304) {
		const char *to = httpc_header(a, r, "location");

		return err_set(err, rq->changes && !is_definite(s) ? ERR_UNKNOWN : ERR_FAILED,
			       "%s: answered %d, a redirect to '%s', which is not followed", name, s,
			       to != NULL && to[0] != '\0' ? text_safe(a, to, strlen(to), EXCERPT_MAX) : "");
	}
	err_set(err, rq->changes && !is_definite(s) ? ERR_UNKNOWN : ERR_FAILED, "%s: answered %d%s", name, s, excerpt(a, r));
	err->retryable = err->kind == ERR_FAILED && (s >= 500 || s == 408 || s == 425 || s == 429);
	return -1;
}

int
httpc_judge(const struct httpc_request *rq, const struct httpc_reply *r, bool expected, struct err *err)
{
	const char *url = rq->peer->url, *name;
	struct arena a = ARENA_INIT;
	int rc = 0;

	/* the query may be long, and is not named */
	name = arena_printf(&a, "%s %s", rq->method, text_safe(&a, url, strcspn(url, "?"), URL_MAX));
	if (r->fate != HTTPC_ANSWERED)
		rc = judge_silence(rq, r, name, err);
	else if (!expected)
		rc = judge_status(rq, r, name, &a, err);
	arena_done(&a);
	return rc;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* http.request: one HTTP request. GET and HEAD only look; what the others change is for the server to know, so the
 * method or the plan says how one whose answer was lost is settled: again, by asking (probe), or by a person. */
#include "step.h"

#include <inttypes.h>
#include <string.h>

#include "base/text.h"
#include "steps/target/http_paths.h"

#define URL_MAX 200

struct request_args {
	struct target *on;
	const char *method, *url, *probe;
	const struct value *headers, *body, *expect;
	bool idempotent;
	int64_t max_body, stall;
};

static int
check_headers(const struct value *headers, struct err *err)
{
	for (uint32_t i = 0; headers->kind == V_MAP && i < headers->len; i++) {
		const struct pair *p = &headers->pairs[i];
		const enum value_kind kind = p->v.kind;

		if (kind != V_STRING && kind != V_INT && kind != V_BOOL && kind != V_SECRET && kind != V_UNKNOWN)
			return err_set(err, ERR_PLAN, "headers: '%s' must be a string, an integer or a boolean", p->key);
		if (http_check_header(p->key, kind == V_STRING ? (struct bytes){ p->v.s, p->v.len } : (struct bytes){ 0 }, err) < 0)
			return -1;
		for (uint32_t k = 0; k < i; k++)
			if (strcasecmp(p->key, headers->pairs[k].key) == 0)
				return err_set(err, ERR_PLAN, "headers: '%s' stands there twice", p->key);
	}
	return 0;
}

static int
check_expect(const struct value *expect, struct err *err)
{
	if (expect->kind == V_LIST && expect->len == 0)
		return err_set(err, ERR_PLAN, "expect is empty: no status would do");
	for (uint32_t i = 0; expect->kind == V_LIST && i < expect->len; i++)
		if (expect->items[i].kind == V_INT && (expect->items[i].i < 200 || expect->items[i].i > 599))
			return err_set(err, ERR_PLAN, "expect: %" PRIi64 " is not the status of an answer (200 to 599)",
				       expect->items[i].i);
	return 0;
}

static int
request_check(const void *args, struct err *err)
{
	const struct request_args *a = args;

	if (http_check_url(a->url, a->on != NULL, err) < 0 ||
	    (a->probe != NULL && http_check_url(a->probe, a->on != NULL, err) < 0))
		return -1;
	if (a->idempotent && a->probe != NULL)
		return err_set(err, ERR_PLAN, "only one of idempotent and probe can be given");
	if (http_is_read(a->method) && (a->body != NULL || a->idempotent || a->probe != NULL))
		return err_set(err, ERR_PLAN, "%s only reads: body, idempotent and probe are not for it", a->method);
	if (a->headers != NULL && check_headers(a->headers, err) < 0)
		return -1;
	return a->expect != NULL ? check_expect(a->expect, err) : 0;
}

static bool
request_is_read_only(const void *args)
{
	return http_is_read(((const struct request_args *)args)->method);
}

static bool
request_is_repeatable(const void *args)
{
	const struct request_args *a = args;

	return a->idempotent || a->probe != NULL || http_is_idempotent(a->method);
}

static struct value
spec(struct step_ctx *cx, const struct request_args *a, bool once)
{
	struct pair *pairs = arena_array(step_arena(cx), 7, sizeof(*pairs));
	size_t n = 0;

	if (a->headers != NULL)
		pairs[n++] = (struct pair){ "headers", *a->headers };
	if (a->body != NULL)
		pairs[n++] = (struct pair){ "body", *a->body };
	if (a->expect != NULL)
		pairs[n++] = (struct pair){ "expect", *a->expect };
	if (a->probe != NULL)
		pairs[n++] = (struct pair){ "probe", value_str(a->probe) };
	pairs[n++] = (struct pair){ "max_body", value_int(a->max_body) };
	pairs[n++] = (struct pair){ "stall", value_int(a->stall) };
	pairs[n++] = (struct pair){ "once", value_bool(once) };
	return value_map(pairs, n);
}

/* The method, the URL, and how much goes with it. */
static const char *
says(struct step_ctx *cx, const struct request_args *a)
{
	const char *url = text_safe(step_arena(cx), a->url, strlen(a->url), URL_MAX);
	struct buf json = BUF_INIT(0);
	size_t len;

	if (a->body == NULL)
		return step_text(cx, "%s %s", a->method, url);
	if (a->body->flags & VF_UNKNOWN)
		return step_text(cx, "%s %s, with a body that is not known yet", a->method, url);
	if (a->body->flags & VF_SECRET)
		return step_text(cx, "%s %s, with a body that holds secrets", a->method, url);
	if (a->body->kind == V_STRING)
		return step_text(cx, "%s %s, %" PRIu32 " bytes", a->method, url, a->body->len);
	value_show(&json, a->body);
	len = json.len;
	buf_done(&json);
	return step_text(cx, "%s %s, %zu bytes of JSON", a->method, url, len);
}

static bool
is_truncated(const struct value *reply)
{
	const struct value *v = value_get(reply, "truncated");

	return v != NULL && value_true(v);
}

/* The body as a value, where the server says that it is JSON. */
static struct value
json_of(struct step_ctx *cx, const struct value *reply)
{
	const struct value *headers = value_get(reply, "headers"), *body = value_get(reply, "body");
	const char *type = value_get_str(headers, "content-type", "");
	struct err why = ERR_INIT;
	struct value v;

	if (strcasestr(type, "json") == NULL || body->len == 0 || is_truncated(reply))
		return VALUE_NULL;
	if (value_parse_json(step_arena(cx), body->s, body->len, &v, &why) == 0)
		return v;
	step_note(cx, "the answer says that it is JSON, and is not: %s", why.msg);
	return VALUE_NULL;
}

/* reply is null where the probe said that it was done. */
static int
put_outputs(struct step_ctx *cx, const struct value *reply, struct err *err)
{
	static const char *const names[] = { "status", "headers", "body", "truncated" };
	const bool unknown = reply->kind == V_UNKNOWN;

	for (size_t i = 0; i < countof(names); i++) {
		const struct value *v = unknown ? reply : value_get(reply, names[i]);

		if (step_output(cx, names[i], v != NULL ? *v : VALUE_NULL, err) < 0)
			return -1;
	}
	if (is_truncated(reply))
		step_note(cx, "the answer is longer than max_body; only its beginning was kept");
	return step_output(cx, "json", reply->kind == V_MAP ? json_of(cx, reply) : *reply, err);
}

static int
request_run(struct step_ctx *cx, const void *args, struct err *err)
{
	const struct request_args *a = args;
	const bool idempotent = a->idempotent || http_is_idempotent(a->method);
	const struct value *reply;
	const struct effect e = {
		.on = { a->on != NULL ? a->on : step_local(cx, "http"), a->url },
		.verb = a->method,
		.body = spec(cx, a, !idempotent),
		.class = a->probe != NULL ? EFFECT_PROBE : idempotent ? EFFECT_IDEMPOTENT : EFFECT_OPAQUE,
		.says = says(cx, a),
		.read_only = http_is_read(a->method),
	};

	if (e.read_only && (e.body.flags & VF_UNKNOWN) != 0)
		return err_set(err, ERR_PREDICTED, "the request is not known in full: %s", e.says);
	if (step_effect(cx, &e, &reply, err) < 0)
		return -1;
	return put_outputs(cx, reply, err);
}

static const char *const methods[] = { "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", NULL };

static const struct field request_inputs[] = {
	{ "on", F_TARGET, .offset = offsetof(struct request_args, on), .kind = "http",
	  .help = "the server, where it needs certificates or credentials; without it, url says all" },
	{ "method", F_STRING, .offset = offsetof(struct request_args, method), .dflt = "GET", .choices = methods,
	  .help = "GET and HEAD only look, and are asked in the dry-run too" },
	{ "url", F_STRING, .offset = offsetof(struct request_args, url), .required = true,
	  .help = "http://… or https://…; with a target the path below its url, such as /v1/items; redirects are not "
		  "followed" },
	{ "headers", F_MAP, .offset = offsetof(struct request_args, headers), .secret = true,
	  .help = "headers of the request; values may be secrets, which are masked in the answer" },
	{ "body", F_ANY, .offset = offsetof(struct request_args, body), .secret = true,
	  .help = "what is sent: a string as it is, anything else as JSON; may hold secrets" },
	{ "expect", F_LIST, F_INT, offsetof(struct request_args, expect),
	  .help = "statuses that mean success (default: 200 to 299)" },
	{ "idempotent", F_BOOL, .offset = offsetof(struct request_args, idempotent),
	  .help = "a POST or PATCH that does no harm when it is sent twice, as PUT and DELETE do none: it may be sent again "
		  "after a crash or a lost answer" },
	{ "probe", F_STRING, .offset = offsetof(struct request_args, probe),
	  .help = "a url to GET, with the same headers, when the answer was lost: success says that it was done, 404 or 410 "
		  "that it was not" },
	{ "max_body", F_SIZE, .offset = offsetof(struct request_args, max_body), .dflt = "1MiB", .min = 1,
	  .max = 64 << 20, .help = "how much of the answer is kept: its beginning" },
	{ "stall", F_DURATION, .offset = offsetof(struct request_args, stall), .dflt = "60s", .min = 1e9, .max = 3.6e12,
	  .help = "given up when fewer than 10 bytes a second came or went for so long" },
	{ 0 },
};

static const struct field request_outputs[] = {
	{ "status", F_INT, .help = "the status of the answer" },
	{ "headers", F_MAP, .help = "its headers, names in lower case, without cookies" },
	{ "body", F_BYTES, .help = "its body" },
	{ "json", F_ANY, .help = "its body as a value, where it is JSON" },
	{ "truncated", F_BOOL, .help = "is the body longer than max_body" },
	{ 0 },
};

const struct step_type http_request_step = {
	.name = "http.request",
	.summary = "send one HTTP request",
	.inputs = request_inputs,
	.outputs = request_outputs,
	.args_size = sizeof(struct request_args),
	.version = 1,
	.run = request_run,
	.check = request_check,
	.is_read_only = request_is_read_only,
	.is_repeatable = request_is_repeatable,
};

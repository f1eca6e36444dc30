/* SPDX-License-Identifier: Apache-2.0 */
/* The target kind of HTTP servers, one behind a declared target, or any by its URL. A request's effect has no image:
 * what it changes cannot be told from outside, so nothing is compared and nothing undone; a lost reply is unknown, and
 * is settled by its class. Credentials are read for each request; after a 401 everything is read anew, once. A server inside a
 * cluster is asked through the cluster's API server, which takes our credentials for itself and passes none on. */
#include "steps/target/targets.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/fault.h"
#include "base/hash.h"
#include "base/io.h"
#include "base/text.h"
#include "steps/target/http_paths.h"
#include "steps/target/http_through.h"
#include "steps/target/kube_conn.h"
#include "steps/target/mask.h"

#define TOKEN_MAX ((size_t)64 << 10)

struct http_args {
	const char *url, *ca, *cert, *key, *user, *token_file;
	const struct secret *password, *token;
	const struct target *through;
};

struct http_conn {
	const struct http_args *args; /* live as long as the target */
	struct httpc *client;
	void *cluster; /* NULL: none is gone through */
};

/* One request while it is made: its lines, and what in it must not come back. */
struct ask {
	struct peer peer;
	struct httpc_request rq;
	struct buf headers, body, token;
	struct bytes content;
};

/* What is declared of a server that is reached by itself. */
static int
check_direct(struct opctx *op, const struct http_args *a, struct err *err)
{
	const struct peer peer = { .url = a->url, .ca = a->ca, .cert = a->cert, .key = a->key };

	if (peer_check(op, "http", &peer, err) < 0)
		return -1;
	if ((a->user == NULL) != (a->password == NULL))
		return err_set(err, ERR_PLAN, "http: user and password go together");
	if ((a->user != NULL) + (a->token != NULL) + (a->token_file != NULL) > 1)
		return err_set(err, ERR_PLAN, "http: only one of user, token and token_file can be given");
	if (!peer_is_tls(&peer) && (a->user != NULL || a->token != NULL || a->token_file != NULL) && op->note != NULL)
		op->note(op, arena_printf(op->arena, "credentials go to '%s' without TLS: whoever is between can read them",
					  a->url));
	return 0;
}

static int
open_through(struct opctx *op, const struct http_args *a, void **ret, struct err *err)
{
	const char *path;

	if (a->ca != NULL || a->cert != NULL || a->key != NULL || a->user != NULL || a->password != NULL || a->token != NULL ||
	    a->token_file != NULL)
		return err_set(err, ERR_PLAN, "http: through a cluster neither certificates nor credentials reach the server: the "
			       "API server connects to it, and takes those of the cluster's target for itself");
	if (http_through(op->arena, a->url, "/", &path, err) < 0)
		return -1;
	return kube_conn_open(op, op->args_of(a->through), ret, err);
}

static int
http_open(struct opctx *op, const void *args, void **ret_conn, struct err *err)
{
	const struct http_args *a = args;
	void *cluster = NULL;
	struct http_conn *c;

	if (a->url != NULL) {
		if (http_check_url(a->url, false, err) < 0)
			return -1;
		if (strchr(a->url, '?') != NULL)
			return err_set(err, ERR_PLAN, "http: the target's url has no query");
		if ((a->through != NULL ? open_through(op, a, &cluster, err) : check_direct(op, a, err)) < 0)
			return -1;
	}
	c = xcalloc(1, sizeof(*c));
	*c = (struct http_conn){ a, httpc_new(), cluster };
	*ret_conn = c;
	return 0;
}

static void
http_close(void *conn)
{
	struct http_conn *c = conn;

	if (c->cluster != NULL)
		kube_conn_close(c->cluster);
	httpc_free(c->client);
	free(c);
}

/* A server by itself says nothing of who it is. */
static int
http_identity(struct opctx *op, void *conn, struct value *ret, struct err *err)
{
	const struct http_conn *c = conn;

	*ret = VALUE_NULL;
	return c->cluster != NULL ? kube_target.identity(op, c->cluster, ret, err) : 0;
}

/* The bytes of a string or of a secret; numbers and booleans as text. */
static struct bytes
header_bytes(struct arena *a, const struct value *v)
{
	const char *text = "";

	if (v->kind == V_STRING)
		return (struct bytes){ v->s, v->len };
	if (v->kind == V_SECRET)
		return (struct bytes){ v->secret->content, v->secret->len };
	if (v->kind == V_INT)
		text = arena_printf(a, "%" PRIi64, v->i);
	else if (v->kind == V_BOOL)
		text = v->b ? "true" : "false";
	return (struct bytes){ text, strlen(text) };
}

static int
add_header(struct ask *ask, const char *name, struct bytes v, struct err *err)
{
	if (http_check_header(name, v, err) < 0)
		return -1;
	buf_puts(&ask->headers, name);
	buf_puts(&ask->headers, ": ");
	buf_put(&ask->headers, v.p, v.len);
	buf_puts(&ask->headers, "\r\n");
	return 0;
}

static bool
has_header(const struct value *headers, const char *name)
{
	for (uint32_t i = 0; headers != NULL && i < headers->len; i++)
		if (strcasecmp(headers->pairs[i].key, name) == 0)
			return true;
	return false;
}

/* The bearer token, out of its file where it has one: whoever rotates it writes it there. */
static int
read_token(const struct http_args *a, struct buf *ret, struct err *err)
{
	if (a->token != NULL)
		buf_put(ret, a->token->content, a->token->len);
	else if (a->token_file != NULL && io_read_file(a->token_file, TOKEN_MAX, ret, err) < 0)
		return -1;
	while (ret->len > 0 && strchr("\r\n \t", ret->p[ret->len - 1]) != NULL)
		ret->p[--ret->len] = '\0';
	return 0;
}

static int
add_credentials(const struct http_args *a, struct ask *ask, struct err *err)
{
	struct buf line = BUF_INIT(0), pair = BUF_INIT(0);
	int rc = 0;

	if (read_token(a, &ask->token, err) < 0)
		return -1;
	if (ask->token.len > 0) {
		buf_puts(&line, "Bearer ");
		buf_put(&line, ask->token.p, ask->token.len);
	} else if (a->user != NULL) {
		buf_printf(&pair, "%s:", a->user);
		buf_put(&pair, a->password->content, a->password->len);
		buf_puts(&line, "Basic ");
		base64_encode(&line, pair.p, pair.len);
	}
	if (line.len > 0)
		rc = add_header(ask, "Authorization", (struct bytes){ line.p, line.len }, err);
	if (pair.p != NULL)
		explicit_bzero(pair.p, pair.cap);
	if (line.p != NULL)
		explicit_bzero(line.p, line.cap);
	buf_done(&pair);
	buf_done(&line);
	return rc;
}

/* The header lines of a request: the plan's own come first, and hide ours. */
static int
make_headers(struct opctx *op, const struct http_conn *c, const struct value *headers, const char *nonce,
	     struct ask *ask, struct err *err)
{
	if (c->cluster != NULL && has_header(headers, "authorization"))
		return err_set(err, ERR_PLAN, "headers: 'Authorization' does not pass through a cluster: its API server takes it "
			       "for itself");
	for (uint32_t i = 0; headers != NULL && i < headers->len; i++)
		if (add_header(ask, headers->pairs[i].key, header_bytes(op->arena, &headers->pairs[i].v), err) < 0)
			return -1;
	if (!has_header(headers, "authorization") && add_credentials(c->args, ask, err) < 0)
		return -1;
	/* for servers that know it: the same request again, not another one (draft-ietf-httpapi-idempotency-key-header) */
	if (ask->rq.once && nonce != NULL && nonce[0] != '\0' && !has_header(headers, "idempotency-key"))
		buf_printf(&ask->headers, "Idempotency-Key: \"%s\"\r\n", nonce);
	return 0;
}

static int
make_body(const struct value *body, const struct value *headers, struct ask *ask, struct err *err)
{
	if (body == NULL || body->kind == V_NULL)
		return 0;
	if (body->kind == V_STRING || body->kind == V_SECRET) {
		const struct bytes text = header_bytes(NULL, body);

		buf_put(&ask->body, text.p, text.len);
		return 0;
	}
	if (!has_header(headers, "content-type"))
		buf_puts(&ask->headers, "Content-Type: application/json\r\n");
	return value_json(&ask->body, body, err) < 0 ? err_wrap(err, "body") : 0;
}

static void
ask_done(struct ask *ask)
{
	struct buf *const all[] = { &ask->headers, &ask->body, &ask->token };

	for (size_t i = 0; i < countof(all); i++) {
		if (all[i]->p != NULL)
			explicit_bzero(all[i]->p, all[i]->cap);
		buf_done(all[i]);
	}
}

/* Where the request goes, and as whom. */
static int
make_peer(struct opctx *op, const struct http_conn *c, const char *path, struct ask *ask, struct err *err)
{
	const struct http_args *a = c->args;
	const size_t base = a->url == NULL ? 0 : strlen(a->url);
	const bool slash = base > 0 && a->url[base - 1] == '/';
	const char *inside;

	if (http_check_url(path, a->url != NULL, err) < 0)
		return -1;
	if (c->cluster != NULL)
		return http_through(op->arena, a->url, path, &inside, err) < 0 ? -1 :
			kube_conn_sign(op, c->cluster, inside, &ask->peer, &ask->headers, err);
	ask->peer = (struct peer){ .url = arena_printf(op->arena, "%.*s%s", (int)(base - slash), a->url != NULL ? a->url : "",
						       path),
		.ca = a->ca, .cert = a->cert, .key = a->key };
	return 0;
}

static int
make(struct opctx *op, const struct http_conn *c, const struct value *spec, const char *method, const char *path,
     const char *nonce, struct ask *ask, struct err *err)
{
	const struct value *headers = value_get(spec, "headers"), *once = value_get(spec, "once");

	*ask = (struct ask){ .headers = BUF_INIT(0), .body = BUF_INIT(0), .token = BUF_INIT(0) };
	if (make_peer(op, c, path, ask, err) < 0)
		return -1;
	ask->rq = (struct httpc_request){ .peer = &ask->peer, .method = method, .headers = &ask->headers,
		.max = (size_t)value_get_int(spec, "max_body", 1 << 20), .stall = value_get_int(spec, "stall", 60 * NS_PER_S),
		.changes = !http_is_read(method), .once = once != NULL && value_true(once) };
	if (make_headers(op, c, headers, nonce, ask, err) < 0 || make_body(value_get(spec, "body"), headers, ask, err) < 0)
		return -1;
	ask->content = (struct bytes){ ask->body.p, ask->body.len };
	if (ask->body.len > 0 || (ask->rq.changes && strcmp(method, "DELETE") != 0))
		ask->rq.body = &ask->content;
	return 0;
}

/* What came back must not tell what was sent in confidence. */
static void
mask_reply(const struct http_conn *c, const struct ask *ask, const struct value *spec, struct httpc_reply *r)
{
	const struct http_args *a = c->args;
	struct buf *const texts[] = { &r->head, &r->body };

	for (size_t i = 0; i < countof(texts); i++) {
		mask_secrets(texts[i], spec);
		mask_bytes(texts[i], (struct bytes){ ask->token.p, ask->token.len });
		if (a->password != NULL)
			mask_bytes(texts[i], (struct bytes){ a->password->content, a->password->len });
		if (c->cluster != NULL)
			kube_conn_mask(&ask->headers, texts[i]);
	}
}

static bool
is_expected(const struct value *spec, int status)
{
	const struct value *expect = value_get(spec, "expect");

	if (expect == NULL || expect->kind != V_LIST)
		return status >= 200 && status < 300;
	for (uint32_t i = 0; i < expect->len; i++)
		if (expect->items[i].i == status)
			return true;
	return false;
}

/* Ask, and ask once more after a 401 with all credentials read anew. 0: the reply is expected. */
static int
ask_server(struct opctx *op, struct http_conn *c, const struct effect *e, const char *nonce, struct httpc_reply *ret,
	   struct err *err)
{
	struct ask ask;
	int rc;

	for (bool again = false;; again = true) {
		*ret = (struct httpc_reply){ 0 };
		rc = make(op, c, &e->body, e->verb, e->on.path, nonce, &ask, err);
		if (rc == 0) {
			httpc_ask(c->client, op, &ask.rq, ret);
			mask_reply(c, &ask, &e->body, ret);
			rc = httpc_judge(&ask.rq, ret, is_expected(&e->body, ret->status), err);
		}
		ask_done(&ask);
		if (again || rc == 0 || ret->fate != HTTPC_ANSWERED || ret->status != 401)
			return rc;
		httpc_reply_done(ret);
		httpc_forget(c->client);
		if (c->cluster != NULL)
			kube_conn_forget(c->cluster);
	}
}

static int
http_write(struct opctx *op, void *conn, const struct effect *e, const char *nonce, struct reply *ret, struct err *err)
{
	struct pair *pairs = arena_array(op->arena, 4, sizeof(*pairs));
	struct httpc_reply r;
	int rc;

	FAULT("http.before_send");
	rc = ask_server(op, conn, e, nonce, &r, err);
	FAULT("http.answered");
	if (rc == 0) {
		pairs[0] = (struct pair){ "status", value_int(r.status) };
		pairs[1] = (struct pair){ "headers", httpc_headers(op->arena, &r) };
		pairs[2] = (struct pair){ "body", value_strn(arena_strndup(op->arena, r.body.len > 0 ? r.body.p : "", r.body.len),
							     r.body.len) };
		pairs[3] = (struct pair){ "truncated", value_bool(r.cut) };
		*ret = (struct reply){ OUTCOME_OK, value_map(pairs, 4) };
	}
	httpc_reply_done(&r);
	return rc;
}

static int
http_image(struct opctx *op, void *conn, const struct effect *e, struct value *ret, struct err *err)
{
	(void)op, (void)conn, (void)e, (void)err;
	*ret = VALUE_NULL;
	return 0;
}

/* What any request to this server shows afterwards is not known. */
static int
http_predict(struct opctx *op, void *conn, const struct effect *e, const struct value *before, struct prediction *ret,
	     struct err *err)
{
	const struct http_conn *c = conn;
	const char **unknowable = arena_array(op->arena, 2, sizeof(*unknowable));
	const char *host = strstr(e->on.path, "://");

	(void)before, (void)err;
	unknowable[0] = c->args->url != NULL || host == NULL ? "*" :
		arena_printf(op->arena, "%.*s*", (int)(host + 3 + strcspn(host + 3, "/?") - e->on.path), e->on.path);
	*ret = (struct prediction){
		.confidence = http_is_idempotent(e->verb) ? CONF_PREDICTED : CONF_OPAQUE,
		.after = value_unknown("the answer to a request that has not been sent"),
		.unknowable = unknowable,
	};
	return 0;
}

/* Ask the plan's probe: a success says that it was done, 404 or 410 that it was not. */
static int
http_probe(struct opctx *op, void *conn, const struct effect *e, const char *nonce, const struct value *before,
	   enum probe *ret, struct err *err)
{
	const char *probe = value_get_str(&e->body, "probe", NULL);
	const struct value *headers = value_get(&e->body, "headers");
	const struct pair with[] = { { "headers", headers != NULL ? *headers : VALUE_NULL } };
	struct effect look = { .on = { e->on.target, probe }, .verb = "GET", .body = value_map(with, headers != NULL) };
	struct httpc_reply r;
	int rc;

	(void)nonce, (void)before;
	*ret = PROBE_CANNOT_TELL;
	if (probe == NULL)
		return 0;
	rc = ask_server(op, conn, &look, NULL, &r, err);
	if (rc == 0)
		*ret = PROBE_DONE_BY_US;
	else if (r.fate == HTTPC_ANSWERED && (r.status == 404 || r.status == 410))
		*ret = PROBE_NOT_DONE;
	else if (r.fate == HTTPC_ANSWERED && err->kind == ERR_FAILED && op->note != NULL)
		op->note(op, arena_printf(op->arena, "the probe cannot tell: %s", err->msg));
	else if (err->kind != ERR_FAILED)
		goto out;
	rc = 0;
out:
	httpc_reply_done(&r);
	return rc;
}

static const struct field http_fields[] = {
	{ "url", F_URL, .offset = offsetof(struct http_args, url), .required = true,
	  .help = "where the server is, such as https://host:8443/api; what is asked begins below it" },
	{ "through", F_TARGET, .offset = offsetof(struct http_args, through), .kind = "kubernetes",
	  .help = "the target of a cluster whose API server passes requests on (its service and pod proxy); url is then the one that is "
		  "used inside: http://SERVICE.NAMESPACE:PORT or http://POD.NAMESPACE.pod:PORT. Of https there no certificate is checked" },
	{ "ca", F_PATH, .offset = offsetof(struct http_args, ca),
	  .help = "file of the certificates that sign the server's one; instead of the system's" },
	{ "cert", F_PATH, .offset = offsetof(struct http_args, cert), .help = "file of the client certificate" },
	{ "key", F_PATH, .offset = offsetof(struct http_args, key),
	  .help = "file of the client certificate's key; only its owner may read it" },
	{ "user", F_STRING, .offset = offsetof(struct http_args, user), .help = "user of basic authentication" },
	{ "password", F_SECRET, .secret = true, .offset = offsetof(struct http_args, password),
	  .help = "password of the user" },
	{ "token", F_SECRET, .secret = true, .offset = offsetof(struct http_args, token), .help = "bearer token" },
	{ "token_file", F_PATH, .offset = offsetof(struct http_args, token_file),
	  .help = "file of a bearer token that is renewed: read for each request" },
	{ 0 },
};

const struct target_type http_target = {
	.kind = "http",
	.sensitive = true,
	.summary = "HTTP servers: one that is declared, or any by its URL",
	.fields = http_fields,
	.args_size = sizeof(struct http_args),
	.local = true,
	.open = http_open,
	.close = http_close,
	.identity = http_identity,
	.image = http_image,
	.write = http_write,
	.predict = http_predict,
	.probe = http_probe,
};

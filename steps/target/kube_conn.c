/* SPDX-License-Identifier: Apache-2.0 */
/* Owns requests to an API server: how they are signed and sent, when they are sent again, and what their end says. Which
 * refusal is definite is httpc_judge's word; a Status only gives it better words, and a webhook's failure its proof. */
#include "steps/target/kube_conn.h"

#include <inttypes.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/text.h"
#include "steps/target/kube_kinds.h"
#include "steps/target/kube_login.h"
#include "steps/target/mask.h"

#define DISCOVERY "/api"
#define STALL (60 * NS_PER_S)
#define REFUSAL_MAX ((size_t)1 << 20)
#define URL_TEXT 200
#define ASKED_WAIT_MAX (300 * NS_PER_S) /* in all, for one request that the server puts off */
#define GATEWAY_WAIT_MAX (30 * NS_PER_S) /* for one that answers in the server's place */
#define FIRST_WAIT (NS_PER_S / 2)
#define WAIT_MAX (10 * NS_PER_S)
#define TELL_EVERY (30 * NS_PER_S)

struct kube_conn {
	struct arena arena; /* of the config */
	struct kube_config config;
	struct kube_login *login;
	struct httpc *client;
	struct kube_kinds *kinds;
	atomic_bool away; /* it was, and has not forbidden anything since */
};

/* One request made ready. */
struct letter {
	struct arena arena;
	struct peer peer;
	struct buf headers;
	struct bytes body;
	struct httpc_request rq;
};

int
kube_conn_open(struct opctx *op, const void *args, void **ret_conn, struct err *err)
{
	const struct kube_args *a = args;
	const struct kube_config_args from = { .kubeconfig = a->kubeconfig, .context = a->context,
		.namespace = a->namespace, .allow_exec = a->allow_exec };
	struct kube_conn *c = xcalloc(1, sizeof(*c));

	if (kube_config_load(&c->arena, &from, &c->config, err) < 0 ||
	    kube_login_open(op, &c->config, &c->login, err) < 0) {
		kube_conn_close(c);
		return -1;
	}
	c->client = httpc_new();
	c->kinds = kube_kinds_new();
	*ret_conn = c;
	return 0;
}

void
kube_conn_close(void *conn)
{
	struct kube_conn *c = conn;

	httpc_free(c->client);
	kube_login_close(c->login);
	kube_kinds_free(c->kinds);
	kube_config_wipe(&c->config);
	arena_done(&c->arena);
	free(c);
}

const char *
kube_conn_name(const struct kube_conn *c)
{
	return c->config.server;
}

const char *
kube_conn_namespace(const struct kube_conn *c)
{
	return c->config.namespace;
}

struct kube_kinds *
kube_conn_kinds(struct kube_conn *c)
{
	return c->kinds;
}

void
kube_conn_forget(struct kube_conn *c)
{
	kube_login_forget(c->login);
	httpc_forget(c->client);
}

int
kube_conn_sign(struct opctx *op, struct kube_conn *c, const char *url, struct peer *ret, struct buf *headers,
	       struct err *err)
{
	if (kube_login_sign(op, c->login, ret, headers, err) < 0)
		return -1;
	ret->url = arena_printf(op->arena, "%s%s", ret->url, url);
	return 0;
}

void
kube_sleep(const struct opctx *op, int64_t ns)
{
	struct pollfd wake = { .fd = op->cancel != NULL ? op->cancel_fd : -1, .events = POLLIN };
	const int64_t left = op->deadline - clock_now();

	ns = ns < left ? ns : left;
	if (ns > 0)
		(void)poll(&wake, 1, (int)(ns / NS_PER_MS) + 1);
}

static void
letter_done(struct letter *l)
{
	if (l->headers.p != NULL)
		explicit_bzero(l->headers.p, l->headers.cap);
	buf_done(&l->headers);
	arena_done(&l->arena);
}

static int
letter_make(struct opctx *op, struct kube_conn *c, const struct kube_ask *ask, struct letter *l, struct err *err)
{
	*l = (struct letter){ .arena = ARENA_INIT, .headers = BUF_INIT(0), .body = ask->body };
	if (kube_login_sign(op, c->login, &l->peer, &l->headers, err) < 0) {
		letter_done(l);
		return -1;
	}
	l->peer.url = arena_printf(&l->arena, "%s%s", l->peer.url, ask->url);
	buf_printf(&l->headers, "Accept: %s\r\n", ask->accept != NULL ? ask->accept : "application/json");
	if (ask->body.p != NULL)
		buf_printf(&l->headers, "Content-Type: %s\r\n",
			   ask->content_type != NULL ? ask->content_type : "application/json");
	l->rq = (struct httpc_request){ .peer = &l->peer, .method = arena_strdup(&l->arena, ask->method),
		.headers = &l->headers, .body = ask->body.p != NULL ? &l->body : NULL,
		.max = ask->sink != NULL ? REFUSAL_MAX : ask->max > 0 ? ask->max : KUBE_REPLY_MAX,
		.stall = ask->stall > 0 ? ask->stall : STALL, .changes = ask->changes, .once = ask->once && !ask->named };
	return 0;
}

void
kube_conn_mask(const struct buf *headers, struct buf *text)
{
	const char *p = headers->len > 0 ? strstr(headers->p, "Authorization: ") : NULL, *word;

	if (p == NULL)
		return;
	p += strlen("Authorization: ");
	word = p + strcspn(p, " \r");
	if (*word == ' ')
		mask_bytes(text, (struct bytes){ word + 1, strcspn(word + 1, "\r") });
}

static int send_once(struct opctx *op, struct kube_conn *c, const struct kube_ask *ask, struct httpc_reply *r, struct value *about,
		     struct err *err);

/* A server that has just started refuses everybody, until it has read who may do what. What kinds there are it tells
 * everybody else: https://kubernetes.io/docs/reference/access-authn-authz/rbac/#discovery-roles */
static bool
is_starting(struct opctx *op, struct kube_conn *c, const char *path)
{
	const struct kube_ask ask = { .method = "GET", .url = DISCOVERY };
	struct err ignored = ERR_INIT;
	struct httpc_reply r;
	struct value about;
	bool ret;

	if (strcmp(path, DISCOVERY) == 0)
		return true;
	(void)send_once(op, c, &ask, &r, &about, &ignored);
	ret = r.fate == HTTPC_ANSWERED && (r.status == 403 || r.status / 100 == 5);
	httpc_reply_done(&r);
	return ret;
}

/* Is it the server's last word that something is forbidden? Not while it reads who may do what, which may end between a
 * refusal and our look: so the first one since it was away is asked about once more. */
static bool
is_forbidden(struct opctx *op, struct kube_conn *c, const char *path)
{
	if (!is_starting(op, c, path))
		return !atomic_exchange(&c->away, false);
	atomic_store(&c->away, true);
	return false;
}

/* The reply is not what was asked for: what it says. */
static int
refused(struct opctx *op, struct kube_conn *c, const struct letter *l, struct httpc_reply *r, struct value *about,
	struct err *err)
{
	const char *path = l->peer.url, *text;
	struct arena a = ARENA_INIT;
	bool retryable;

	*about = VALUE_NULL;
	kube_conn_mask(&l->headers, &r->body);
	(void)httpc_judge(&l->rq, r, false, err);
	/* a server that says nothing at all is away, however it is */
	if (r->fate != HTTPC_ANSWERED && err->kind == ERR_TIMEOUT && r->head.len == 0) {
		err->kind = ERR_UNREACHABLE;
		err->retryable = true;
	}
	/* a read that is cut off is asked for again once the server is there; only what is too large stays so */
	if (r->fate == HTTPC_LOST && err->kind == ERR_FAILED && err->retryable && !r->head.failed)
		err->kind = ERR_UNREACHABLE;
	if (r->fate == HTTPC_ANSWERED && r->body.len > 0)
		*about = kube_status_parse(op->arena, r->body.p, r->body.len);
	path = strncmp(path, c->config.server, strlen(c->config.server)) == 0 ? path + strlen(c->config.server) : path;
	if (r->fate != HTTPC_ANSWERED)
		atomic_store(&c->away, true);
	if (r->fate == HTTPC_ANSWERED && r->status == 403 && !is_forbidden(op, c, path)) {
		err->kind = ERR_UNREACHABLE;
		err->retryable = true;
	}
	text = kube_status_text(&a, about);
	if (text != NULL) {
		retryable = err->retryable;
		if (r->status / 100 == 5 && kube_status_proves_nothing_done(about, &retryable))
			err->kind = ERR_FAILED;
		(void)err_set(err, err->kind, "%s: %s %s: %d: %s", c->config.server, l->rq.method,
			      text_safe(&a, path, strcspn(path, "?"), URL_TEXT), r->status, text);
		err->retryable = retryable;
	}
	if (r->fate == HTTPC_ANSWERED && r->status == 401) {
		text = arena_strdup(&a, err->msg);
		(void)err_set(err, ERR_UNREACHABLE, "%s; asked with %s", text, kube_login_as(&a, c->login, &l->peer));
		err->retryable = false;
	}
	arena_done(&a);
	return -1;
}

/* What the caller's sink is called through: httpc knows no errors of others. */
struct pour {
	const struct kube_ask *ask;
	struct err *err;
};

static int
pour(void *data, const char *p, size_t n)
{
	const struct pour *to = data;

	return to->ask->sink(to->ask->sink_data, p, n, to->err);
}

static int
send_once(struct opctx *op, struct kube_conn *c, const struct kube_ask *ask, struct httpc_reply *r, struct value *about,
	  struct err *err)
{
	struct pour to = { ask, err };
	struct letter l;
	int rc = 0;

	*r = (struct httpc_reply){ 0 };
	if (letter_make(op, c, ask, &l, err) < 0)
		return -1;
	if (ask->sink != NULL) {
		l.rq.sink = pour;
		l.rq.sink_data = &to;
	}
	httpc_ask(c->client, op, &l.rq, r);
	if (r->stopped)
		rc = -1; /* the sink has set err */
	else if (r->fate != HTTPC_ANSWERED || r->status / 100 != 2)
		rc = refused(op, c, &l, r, about, err);
	else if (r->cut)
		rc = err_set(err, ask->changes ? ERR_UNKNOWN : ERR_FAILED, "%s: the reply to %s %s is larger than %zu bytes",
			     c->config.server, ask->method, ask->url, l.rq.max);
	letter_done(&l);
	return rc;
}

/* How long one request has been waited for. */
struct course {
	bool forbidden;      /* it was, by a server that may just have started */
	bool anew;           /* everything about the login has been read again */
	bool unknown;        /* it was sent before, and may have happened */
	int64_t wait, asked, told; /* the next wait; all that the server asked for; when it was last told */
	struct err lost;
};

static void
tell(struct opctx *op, struct course *w, int64_t ns, const char *why)
{
	const int64_t now = clock_now();
	char text[32];

	if (op->note == NULL || (w->told != 0 && now - w->told < TELL_EVERY))
		return;
	w->told = now;
	op->note(op, arena_printf(op->arena, "waiting %s: %s", duration_text(ns, text), why));
}

static int64_t
retry_after(const struct httpc_reply *r)
{
	const char *v = httpc_header(NULL, r, "retry-after");
	int64_t s = 0;

	for (; v != NULL && *v >= '0' && *v <= '9' && s < 100000; v++)
		s = s * 10 + (*v - '0');
	return s * NS_PER_S;
}

/* Is the request put off, so that nothing of it was done? Then for how long, and for how long at most in all. */
static bool
put_off(const struct kube_ask *ask, const struct httpc_reply *r, const struct value *about, const struct course *w,
	int64_t *ret, int64_t *ret_max)
{
	if (r->fate != HTTPC_ANSWERED || (r->status != 429 && (ask->changes || r->status / 100 != 5)))
		return false;
	*ret = retry_after(r);
	*ret_max = ASKED_WAIT_MAX;
	if (*ret == 0 && r->status == 429)
		*ret = w->wait;
	if (*ret == 0 && r->status >= 502 && r->status <= 504 && about->kind == V_NULL) { /* not the server's own word */
		*ret = w->wait;
		*ret_max = GATEWAY_WAIT_MAX;
	}
	return *ret > 0;
}

/* Is there sense in another try? Sleeps until then. */
static bool
go_again(struct opctx *op, struct kube_conn *c, const struct kube_ask *ask, const struct httpc_reply *r,
	 const struct value *about, struct course *w, struct err *err)
{
	int64_t ns = 0, max = ASKED_WAIT_MAX;

	if (r->poured || peer_cancelled(op) > 0)
		return false;
	if (!w->anew && ((r->fate == HTTPC_ANSWERED && r->status == 401) || r->fate == HTTPC_REFUSED)) {
		w->anew = true;
		kube_conn_forget(c);
		return true;
	}
	if (!w->forbidden && r->status == 403 && err->kind == ERR_UNREACHABLE) {
		w->forbidden = true;
		ns = w->wait;
	} else if (put_off(ask, r, about, w, &ns, &max)) {
		w->asked += ns;
	} else if (ask->changes && !ask->once &&
		   (err->kind == ERR_UNKNOWN || (w->unknown && err->kind == ERR_UNREACHABLE && err->retryable))) {
		/* sending it again tells; only a server that answers and fails is not waited for without end */
		ns = w->wait;
		w->asked += r->fate == HTTPC_ANSWERED ? ns : 0;
		w->lost = w->unknown ? w->lost : *err;
		w->unknown = true;
	} else {
		return false;
	}
	if (w->asked > max || clock_now() + ns >= op->deadline)
		return false;
	w->wait = w->wait * 2 < WAIT_MAX ? w->wait * 2 : WAIT_MAX;
	tell(op, w, ns, err->msg);
	kube_sleep(op, ns);
	return peer_cancelled(op) == 0;
}

int
kube_ask(struct opctx *op, struct kube_conn *c, const struct kube_ask *ask, struct kube_reply *ret, struct err *err)
{
	struct course w = { .wait = FIRST_WAIT };
	struct httpc_reply r;
	int rc;

	*ret = (struct kube_reply){ .body = BUF_INIT(0) };
	while ((rc = send_once(op, c, ask, &r, &ret->about, err)) < 0 && go_again(op, c, ask, &r, &ret->about, &w, err))
		httpc_reply_done(&r);
	/* never sent in the last try, but perhaps done in one before */
	if (rc < 0 && w.unknown && (err->kind == ERR_UNREACHABLE || err->kind == ERR_TIMEOUT || err->kind == ERR_CANCELLED))
		*err = w.lost;
	if (rc < 0 && err->kind == ERR_UNKNOWN)
		err->retryable = true;
	ret->status = r.status;
	ret->body = r.body;
	buf_done(&r.head);
	return rc;
}

void
kube_reply_done(struct kube_reply *r)
{
	buf_done(&r->body);
}

int
kube_get(struct opctx *op, struct kube_conn *c, const char *url, struct value *ret, int *ret_status, struct err *err)
{
	return kube_get_as(op, c, url, NULL, ret, ret_status, err);
}

int
kube_get_as(struct opctx *op, struct kube_conn *c, const char *url, const char *accept, struct value *ret,
	    int *ret_status, struct err *err)
{
	const struct kube_ask ask = { .method = "GET", .url = url, .accept = accept };
	struct kube_reply r;
	int rc = kube_ask(op, c, &ask, &r, err);

	if (ret_status != NULL)
		*ret_status = r.status;
	if (rc == 0 && value_parse_json(op->arena, r.body.p, r.body.len, ret, err) < 0)
		rc = err_wrap(err, "%s: the reply to GET %s cannot be read", c->config.server, url);
	kube_reply_done(&r);
	return rc;
}

struct kube_stream {
	struct kube_conn *c;
	struct letter l;
	struct httpc_stream *http;
};

int
kube_stream_open(struct opctx *op, struct kube_conn *c, const struct kube_ask *ask, struct kube_stream **ret,
		 struct err *err)
{
	struct kube_stream *s = xcalloc(1, sizeof(*s));

	s->c = c;
	if (letter_make(op, c, ask, &s->l, err) < 0) {
		free(s);
		return -1;
	}
	s->l.rq.stall = 0; /* silence is in its nature; who reads it knows how much */
	s->http = httpc_open(c->client, &s->l.rq);
	*ret = s;
	return 0;
}

int
kube_stream_next(struct opctx *op, struct kube_stream *s, int64_t until, struct buf **ret, struct kube_reply *about,
		 struct err *err)
{
	struct httpc_reply *r;
	const bool ended = httpc_next(s->http, op, until, &r);

	*ret = r->status / 100 == 2 ? &r->body : NULL;
	*about = (struct kube_reply){ .status = r->status };
	if (!ended)
		return 1;
	if (r->fate != HTTPC_ANSWERED || r->status / 100 != 2)
		return refused(op, s->c, &s->l, r, &about->about, err);
	if (r->cut)
		return err_set(err, ERR_FAILED, "%s: one piece of what is watched is larger than %zu bytes", s->c->config.server,
			       s->l.rq.max);
	return 0;
}

void
kube_stream_close(struct kube_stream *s)
{
	if (s == NULL)
		return;
	httpc_close(s->http);
	letter_done(&s->l);
	free(s);
}

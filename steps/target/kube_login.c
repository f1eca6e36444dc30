/* SPDX-License-Identifier: Apache-2.0 */
/* Owns the credentials of one cluster as they are now. A token file is read for each request, since whoever rotates it writes it
 * there; libcurl reads certificate files for each connection. A plugin runs for one thread while the others wait; its
 * certificates are kept until the end, because requests under way point at them. */
#include "steps/target/kube_login.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/hash.h"
#include "base/io.h"
#include "base/text.h"
#include "steps/target/kube_plugin.h"

#define TOKEN_MAX ((size_t)64 << 10)
#define YOUNG NS_PER_S /* so young, what replaced something refused is not what a late refusal of that one is about */
#define WAIT_NS (100 * NS_PER_MS)

/* What a plugin gave. */
struct issued {
	struct issued *before;
	struct kube_ticket ticket;
};

struct kube_login {
	const struct kube_config *c;
	struct arena arena;
	struct peer peer;          /* without what a plugin gives */
	struct curl_slist at;      /* peer.at */
	pthread_mutex_t lock;      /* of all below */
	pthread_cond_t ended;
	bool busy;                 /* the plugin runs */
	bool stale;                /* what it gave was refused */
	int64_t since;             /* when it gave it in place of something refused, else 0 */
	struct issued *now;        /* or NULL */
};

/* One part of an address, "" where it has none. */
static const char *
part_of(struct arena *a, CURLU *u, CURLUPart part, unsigned flags)
{
	char *text = NULL;
	const char *ret = "";

	if (curl_url_get(u, part, &text, flags) == CURLUE_OK)
		ret = arena_strdup(a, text);
	curl_free(text);
	return ret;
}

/* Where it is, and under which name: with tls-server-name the URL has that name, and the connection goes to the host. */
static void
set_address(struct kube_login *l)
{
	const struct kube_config *c = l->c;
	struct peer *p = &l->peer;
	const char *host, *port, *path;
	CURLU *u = curl_url();

	if (u == NULL || curl_url_set(u, CURLUPART_URL, c->server, CURLU_PATH_AS_IS) != CURLUE_OK)
		abort(); /* out of memory; kube_config.c has checked it */
	host = part_of(&l->arena, u, CURLUPART_HOST, 0);
	port = part_of(&l->arena, u, CURLUPART_PORT, CURLU_DEFAULT_PORT);
	path = part_of(&l->arena, u, CURLUPART_PATH, 0);
	curl_url_cleanup(u);
	p->name = arena_printf(&l->arena, "%s:%s", host, port);
	p->url = c->server;
	if (c->server_name == NULL)
		return;
	p->url = arena_printf(&l->arena, "%s://%s:%s%s", strncmp(c->server, "https", 5) == 0 ? "https" : "http", c->server_name,
			      port, strcmp(path, "/") == 0 ? "" : path);
	l->at.data = arena_printf(&l->arena, "::%s:%s", host, port);
	p->at = &l->at;
}

static bool
has_credentials(const struct kube_config *c)
{
	return c->token != NULL || c->token_file != NULL || c->basic_user != NULL || c->plugin != NULL;
}

/* What is no error and should be known. */
static void
tell(struct opctx *cx, const struct kube_login *l)
{
	const struct kube_config *c = l->c;

	if (cx->note == NULL)
		return;
	if (c->loose != NULL)
		cx->note(cx, arena_printf(cx->arena, "kubeconfig '%s' can be read by its group", c->loose));
	if (!peer_is_tls(&l->peer) && has_credentials(c))
		cx->note(cx, arena_printf(cx->arena, "credentials go to '%s' without TLS: whoever is between can read them", c->server));
}

int
kube_login_open(struct opctx *cx, const struct kube_config *c, struct kube_login **ret, struct err *err)
{
	struct kube_login *l = xcalloc(1, sizeof(*l));

	*l = (struct kube_login){ .c = c, .peer = { .ca = c->ca, .cert = c->cert, .key = c->key, .ca_text = c->ca_data,
				  .cert_text = c->cert_data, .key_text = c->key_data, .proxy = c->proxy } };
	pthread_mutex_init(&l->lock, NULL);
	pthread_cond_init(&l->ended, NULL);
	set_address(l);
	if (peer_check(cx, c->from, &l->peer, err) < 0) {
		kube_login_close(l);
		return -1;
	}
	tell(cx, l);
	*ret = l;
	return 0;
}

void
kube_login_close(struct kube_login *l)
{
	struct issued *i;

	if (l == NULL)
		return;
	while ((i = l->now) != NULL) {
		l->now = i->before;
		kube_ticket_done(&i->ticket);
		free(i);
	}
	pthread_cond_destroy(&l->ended);
	pthread_mutex_destroy(&l->lock);
	arena_done(&l->arena);
	free(l);
}

void
kube_login_forget(struct kube_login *l)
{
	pthread_mutex_lock(&l->lock);
	if (l->now != NULL && clock_now() - l->since >= YOUNG)
		l->stale = true;
	pthread_mutex_unlock(&l->lock);
}

static void
wipe(struct buf *b)
{
	if (b->p != NULL)
		explicit_bzero(b->p, b->cap);
	buf_done(b);
}

/* "Authorization: SCHEME CREDENTIALS". */
static void
add_authorization(struct buf *headers, const char *scheme, const char *p, size_t len)
{
	buf_puts(headers, "Authorization: ");
	buf_puts(headers, scheme);
	buf_put(headers, p, len);
	buf_puts(headers, "\r\n");
}

static void
add_basic(struct buf *headers, const char *user, const struct secret *password)
{
	struct buf pair = BUF_INIT(0), packed = BUF_INIT(0);

	buf_reserve(&pair, strlen(user) + password->len + 2); /* no copy is left behind by growing */
	buf_puts(&pair, user);
	buf_putc(&pair, ':');
	buf_put(&pair, password->content, password->len);
	buf_reserve(&packed, pair.len * 2 + 4);
	base64_encode(&packed, pair.p, pair.len);
	add_authorization(headers, "Basic ", packed.p, packed.len);
	wipe(&pair);
	wipe(&packed);
}

/* The content of the token file without the line's end. A file that cannot be used may just be being replaced. */
static int
read_token(const char *path, struct buf *ret, struct err *err)
{
	if (io_read_file(path, TOKEN_MAX, ret, err) < 0)
		return err_wrap(err, "tokenFile");
	while (ret->len > 0 && strchr("\r\n \t", ret->p[ret->len - 1]) != NULL)
		ret->len--;
	if (ret->len == 0)
		return err_set(err, ERR_LOCAL, "tokenFile '%s' is empty", path);
	for (size_t i = 0; i < ret->len; i++)
		if (ret->p[i] <= 0x20 || ret->p[i] > 0x7e)
			return err_set(err, ERR_LOCAL, "tokenFile '%s' is not one line of plain characters", path);
	return 0;
}

/* The file's token, or where it cannot be read the one that stands in the kubeconfig. */
static int
add_token(const struct kube_config *c, struct buf *headers, struct err *err)
{
	struct buf text = BUF_INIT(0);
	struct err why = ERR_INIT;
	const bool read = c->token_file != NULL && read_token(c->token_file, &text, &why) == 0;

	if (read)
		add_authorization(headers, "Bearer ", text.p, text.len);
	else if (c->token != NULL)
		add_authorization(headers, "Bearer ", c->token->content, c->token->len);
	wipe(&text);
	if (read || c->token != NULL)
		return 0;
	(void)err_set(err, ERR_UNREACHABLE, "%s", why.msg);
	err->retryable = false;
	return -1;
}

/* Is what the plugin gave to be used? */
static bool
is_good(const struct kube_login *l)
{
	return l->now != NULL && !l->stale && clock_wall_ms() < l->now->ticket.until;
}

/* Wait until no other thread runs the plugin, or this one has to stop. Holds the lock. */
static int
wait_turn(struct opctx *cx, struct kube_login *l, struct err *err)
{
	while (l->busy && !is_good(l)) {
		const int64_t until = clock_now() + WAIT_NS;
		const struct timespec at = { until / NS_PER_S, until % NS_PER_S };

		if (peer_cancelled(cx) > 0)
			return err_set(err, ERR_CANCELLED, "%s: stopped while waiting for it", l->c->plugin->what);
		if (clock_now() >= cx->deadline)
			return err_set(err, ERR_TIMEOUT, "%s: no answer before the step's time-out", l->c->plugin->what);
		pthread_cond_clockwait(&l->ended, &l->lock, CLOCK_MONOTONIC, &at);
	}
	return 0;
}

static int
ask_plugin(struct opctx *cx, struct kube_login *l, const struct issued **ret, struct err *err)
{
	struct issued *got;
	int rc = 0;

	pthread_mutex_lock(&l->lock);
	rc = wait_turn(cx, l, err);
	if (rc == 0 && !is_good(l)) {
		l->busy = true;
		pthread_mutex_unlock(&l->lock);
		got = xcalloc(1, sizeof(*got));
		rc = kube_plugin_run(cx, l->c->plugin, &got->ticket, err);
		pthread_mutex_lock(&l->lock);
		l->busy = false;
		pthread_cond_broadcast(&l->ended);
		if (rc == 0) {
			got->before = l->now;
			l->now = got;
			l->since = l->stale ? clock_now() : 0;
			l->stale = false;
		} else {
			free(got);
		}
	}
	*ret = l->now;
	pthread_mutex_unlock(&l->lock);
	return rc;
}

const char *
kube_login_as(struct arena *a, const struct kube_login *l, const struct peer *p)
{
	const struct kube_config *c = l->c;
	char seen[CERT_TEXT] = "";

	if (p->cert_text.len > 0)
		(void)cert_of_text(p->cert_text, seen);
	else if (p->cert != NULL)
		cert_of_file(p->cert, seen);
	if (c->plugin == NULL && c->token_file != NULL)
		return arena_printf(a, "tokenFile '%s'", c->token_file);
	if (c->plugin == NULL && (c->token != NULL || c->password != NULL))
		return c->token != NULL ? c->token->where : c->password->where;
	if (p->cert != NULL)
		return arena_printf(a, "the certificate of %s, %s", p->cert, text_safe(a, seen, strlen(seen), 0));
	return c->plugin != NULL ? c->plugin->what : "no credentials";
}

static struct bytes
pem(const char *text)
{
	return (struct bytes){ text, strlen(text) };
}

int
kube_login_sign(struct opctx *cx, struct kube_login *l, struct peer *ret, struct buf *headers, struct err *err)
{
	const struct kube_config *c = l->c;
	const struct issued *i = NULL;

	*ret = l->peer;
	if (c->plugin != NULL && ask_plugin(cx, l, &i, err) < 0)
		return -1;
	if (i != NULL && i->ticket.cert != NULL) {
		ret->cert = ret->key = c->plugin->what;
		ret->cert_text = pem(i->ticket.cert);
		ret->key_text = pem(i->ticket.key);
	}
	if (i != NULL && i->ticket.token != NULL)
		add_authorization(headers, "Bearer ", i->ticket.token, strlen(i->ticket.token));
	else if ((c->token != NULL || c->token_file != NULL) && add_token(c, headers, err) < 0)
		return -1;
	else if (c->basic_user != NULL)
		add_basic(headers, c->basic_user, c->password);
	for (size_t k = 0; c->impersonate != NULL && c->impersonate[k] != NULL; k++)
		buf_printf(headers, "%s\r\n", c->impersonate[k]);
	return 0;
}

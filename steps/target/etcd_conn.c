/* SPDX-License-Identifier: Apache-2.0 */
/* Owns what one connection to an etcd cluster is: its endpoints and which of them is in use, the pool of idle channels
 * (one call at a time each) and the token. Checks the fields before anything is sent, and downgrades nothing: one scheme
 * for all endpoints, certificates always verified. Locks for itself; no lock is held over a call but that for the token. */
#include "steps/target/etcd_conn.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/text.h"
#include "steps/target/etcd_pool.h"
#include "steps/target/peer.h"

#define DEFAULT_PORT "2379"

/* Take an endpoint's URL apart and normalise it to scheme://host:port. */
static int
parse_endpoint(struct arena *a, const char *text, struct peer *ret, struct err *err)
{
	CURLU *u = curl_url();
	char *scheme = NULL, *host = NULL, *port = NULL, *path = NULL, *extra = NULL;
	int result = 0;

	if (curl_url_set(u, CURLUPART_URL, text, 0) != CURLUE_OK ||
	    curl_url_get(u, CURLUPART_SCHEME, &scheme, 0) != CURLUE_OK ||
	    curl_url_get(u, CURLUPART_HOST, &host, 0) != CURLUE_OK ||
	    curl_url_get(u, CURLUPART_PATH, &path, 0) != CURLUE_OK ||
	    (strcmp(scheme, "http") != 0 && strcmp(scheme, "https") != 0) || strcmp(path, "/") != 0)
		result = -1;
	if (curl_url_get(u, CURLUPART_USER, &extra, 0) == CURLUE_OK ||
	    curl_url_get(u, CURLUPART_QUERY, &extra, 0) == CURLUE_OK ||
	    curl_url_get(u, CURLUPART_FRAGMENT, &extra, 0) == CURLUE_OK)
		result = -1;
	(void)curl_url_get(u, CURLUPART_PORT, &port, 0);
	if (result == 0) {
		ret->name = arena_printf(a, "%s:%s", host, port != NULL ? port : DEFAULT_PORT);
		ret->url = arena_printf(a, "%s://%s", scheme, ret->name);
	} else {
		/* not echoed where it may hold a password */
		(void)err_set(err, ERR_PLAN, "endpoint '%s' is not http://HOST:PORT or https://HOST:PORT",
			      strchr(text, '@') != NULL ? "…@…" : text_safe(a, text, strlen(text), 200));
	}
	curl_free(scheme);
	curl_free(host);
	curl_free(port);
	curl_free(path);
	curl_free(extra);
	curl_url_cleanup(u);
	return result;
}

static int
check_args(struct opctx *cx, const struct etcd_args *a, const struct peer *peer, struct err *err)
{
	if (a->user != NULL && a->password == NULL)
		return err_set(err, ERR_PLAN, "etcd: user '%s' has no password", text_safe(cx->arena, a->user, strlen(a->user), 60));
	if (a->user == NULL && a->password != NULL)
		return err_set(err, ERR_PLAN, "etcd: a password without a user");
	return peer_check(cx, "etcd", peer, err);
}

static const char *
copy_text(struct arena *a, const char *s)
{
	return s == NULL ? NULL : arena_strdup(a, s);
}

static int
add_endpoints(struct etcd_conn *c, const struct etcd_args *args, struct err *err)
{
	const struct value *list = args->endpoints;
	struct buf names = BUF_INIT(0);

	if (list == NULL || list->kind != V_LIST || list->len == 0)
		return err_set(err, ERR_PLAN, "etcd: no endpoint is given");
	c->peers = arena_array(&c->arena, list->len, sizeof(*c->peers));
	c->idle = arena_array(&c->arena, list->len, sizeof(*c->idle));
	for (; c->n < list->len; c->n++) {
		struct peer *p = &c->peers[c->n];

		if (list->items[c->n].kind != V_STRING || parse_endpoint(&c->arena, list->items[c->n].s, p, err) < 0) {
			buf_done(&names);
			return err->kind != ERR_NONE ? -1 : err_set(err, ERR_PLAN, "etcd: an endpoint is not a string");
		}
		p->ca = copy_text(&c->arena, args->ca);
		p->cert = copy_text(&c->arena, args->cert);
		p->key = copy_text(&c->arena, args->key);
		buf_printf(&names, "%s%s", c->n > 0 ? ", " : "", p->name);
	}
	c->names = arena_strndup(&c->arena, names.p, names.len);
	buf_done(&names);
	c->tls = peer_is_tls(&c->peers[0]);
	for (size_t i = 0; i < c->n; i++)
		if (peer_is_tls(&c->peers[i]) != c->tls)
			return err_set(err, ERR_PLAN, "etcd: endpoints mix http:// and https://");
	return 0;
}

int
etcd_conn_open(struct opctx *cx, const void *args, void **ret_conn, struct err *err)
{
	const struct etcd_args *a = args;
	struct etcd_conn *c = xcalloc(1, sizeof(*c));

	curl_global_init(CURL_GLOBAL_DEFAULT);
	pthread_mutex_init(&c->lock, NULL);
	pthread_mutex_init(&c->token_lock, NULL);
	*err = ERR_INIT;
	if (add_endpoints(c, a, err) < 0 || check_args(cx, a, &c->peers[0], err) < 0) {
		etcd_conn_close(c);
		return -1;
	}
	c->user = copy_text(&c->arena, a->user);
	if (a->password != NULL) {
		c->password = xstrndup(a->password->content, a->password->len);
		c->password_len = a->password->len;
	}
	*ret_conn = c;
	return 0;
}

void
etcd_conn_close(void *conn)
{
	struct etcd_conn *c = conn;

	if (c == NULL)
		return;
	for (size_t i = 0; i < c->n; i++) {
		for (size_t k = 0; k < c->idle[i].n; k++)
			grpc_chan_free(c->idle[i].chans[k]);
		free(c->idle[i].chans);
	}
	if (c->token != NULL)
		explicit_bzero(c->token, strlen(c->token));
	if (c->password != NULL)
		explicit_bzero(c->password, c->password_len);
	free(c->token);
	free(c->password);
	pthread_mutex_destroy(&c->lock);
	pthread_mutex_destroy(&c->token_lock);
	arena_done(&c->arena);
	free(c);
	curl_global_cleanup();
}

size_t
etcd_conn_endpoints(const struct etcd_conn *c)
{
	return c->n;
}

const char *
etcd_conn_name(const struct etcd_conn *c, size_t endpoint)
{
	return c->peers[endpoint].name;
}

const char *
etcd_conn_names(const struct etcd_conn *c)
{
	return c->names;
}

const struct peer *
etcd_conn_peer(struct etcd_conn *c, size_t *ret_endpoint)
{
	pthread_mutex_lock(&c->lock);
	*ret_endpoint = c->current;
	pthread_mutex_unlock(&c->lock);
	return &c->peers[*ret_endpoint];
}

void
etcd_conn_leave(struct etcd_conn *c, size_t endpoint)
{
	pthread_mutex_lock(&c->lock);
	if (c->current == endpoint) /* else another thread has moved on already */
		c->current = (endpoint + 1) % c->n;
	pthread_mutex_unlock(&c->lock);
}

struct grpc_chan *
etcd_pool_take(struct etcd_conn *c, size_t endpoint, bool fresh)
{
	struct etcd_idle *idle = &c->idle[endpoint];
	struct grpc_chan *ch = NULL;

	pthread_mutex_lock(&c->lock);
	if (!fresh && idle->n > 0)
		ch = idle->chans[--idle->n];
	pthread_mutex_unlock(&c->lock);
	return ch != NULL ? ch : grpc_chan_new(&c->peers[endpoint]);
}

void
etcd_pool_give(struct etcd_conn *c, size_t endpoint, struct grpc_chan *ch)
{
	struct etcd_idle *idle = &c->idle[endpoint];

	pthread_mutex_lock(&c->lock);
	if (idle->n == idle->cap) {
		idle->cap = idle->cap == 0 ? 16 : idle->cap * 2;
		idle->chans = xreallocarray(idle->chans, idle->cap, sizeof(struct grpc_chan *));
	}
	idle->chans[idle->n++] = ch;
	pthread_mutex_unlock(&c->lock);
}

void
etcd_pool_drop(struct etcd_conn *c, size_t endpoint)
{
	struct etcd_idle *idle = &c->idle[endpoint];
	struct grpc_chan **chans;
	size_t n;

	pthread_mutex_lock(&c->lock);
	chans = idle->chans;
	n = idle->n;
	*idle = (struct etcd_idle){ 0 };
	pthread_mutex_unlock(&c->lock);
	for (size_t i = 0; i < n; i++)
		grpc_chan_free(chans[i]);
	free(chans);
}

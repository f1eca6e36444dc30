/* SPDX-License-Identifier: Apache-2.0 */
/* Owns what the entries of a kubeconfig mean, by the rules of client-go: which context, what overrides what, what cannot be
 * used together. TLS is always verified, so an entry that asks for less is refused. */
#include "steps/target/kube_config.h"

#include <curl/curl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/io.h"
#include "base/text.h"
#include "steps/target/kube_entry.h"
#include "steps/target/kube_plugin.h"

#define NAME_CHARS "abcdefghijklmnopqrstuvwxyz0123456789-"
#define HOST_CHARS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-."
#define GROUPS_MAX 64

/* Is it http(s)://HOST[:PORT][/PATH] and nothing more? */
static bool
is_address(const char *url, bool path)
{
	static const CURLUPart refused[] = { CURLUPART_USER, CURLUPART_PASSWORD, CURLUPART_QUERY, CURLUPART_FRAGMENT };
	CURLU *u = curl_url();
	bool fine = (strncmp(url, "https://", 8) == 0 || strncmp(url, "http://", 7) == 0) &&
		    curl_url_set(u, CURLUPART_URL, url, CURLU_PATH_AS_IS) == CURLUE_OK;
	char *part;

	for (size_t i = 0; fine && path && i < countof(refused); i++) {
		part = NULL;
		fine = curl_url_get(u, refused[i], &part, 0) != CURLUE_OK;
		curl_free(part);
	}
	curl_url_cleanup(u);
	return fine;
}

static int
read_server(struct arena *a, const struct kube_entry *e, struct kube_config *c, struct err *err)
{
	const char *server;
	size_t len;

	if (kube_entry_text(a, e, "server", &server, err) < 0)
		return -1;
	if (server == NULL)
		return err_set(err, ERR_PLAN, "%s: it has no server", e->what);
	if (!is_address(server, true))
		return err_set(err, ERR_PLAN, "%s: server is not https://HOST[:PORT][/PATH]", e->what);
	len = strlen(server);
	while (server[len - 1] == '/')
		len--;
	c->server = arena_strndup(a, server, len);
	return 0;
}

/* A file, or the text itself, which goes first; *ret_name is the file, or what to call the text. */
static int
read_pem(struct arena *a, const struct kube_entry *e, const char *file, const char *data, const char **ret_name,
	 struct bytes *ret_text, struct err *err)
{
	if (kube_entry_path(a, e, file, ret_name, err) < 0 || kube_entry_data(a, e, data, ret_text, err) < 0)
		return -1;
	if (*ret_name != NULL && ret_text->len > 0)
		return err_set(err, ERR_PLAN, "%s: only one of %s and %s can be given", e->what, file, data);
	if (ret_text->len > 0)
		*ret_name = arena_printf(a, "%s: %s", e->what, data);
	return 0;
}

static int
read_cluster(struct arena *a, const struct kube_entry *e, struct kube_config *c, struct err *err)
{
	bool insecure;

	if (read_server(a, e, c, err) < 0 || kube_entry_flag(e, "insecure-skip-tls-verify", &insecure, err) < 0 ||
	    read_pem(a, e, "certificate-authority", "certificate-authority-data", &c->ca, &c->ca_data, err) < 0 ||
	    kube_entry_text(a, e, "tls-server-name", &c->server_name, err) < 0 ||
	    kube_entry_text(a, e, "proxy-url", &c->proxy, err) < 0)
		return -1;
	if (insecure) {
		(void)err_set(err, ERR_PLAN, "%s: insecure-skip-tls-verify: wherry always checks who the server is", e->what);
		return err_next(err, "give the cluster its certificate-authority-data and, where its certificate is for another "
				     "name, tls-server-name");
	}
	if (c->server_name != NULL && c->server_name[strspn(c->server_name, HOST_CHARS)] != '\0')
		return err_set(err, ERR_PLAN, "%s: tls-server-name is no host's name", e->what);
	if (c->proxy != NULL && !is_address(c->proxy, false)) /* not shown: it may hold a password */
		return err_set(err, ERR_PLAN, "%s: proxy-url is not http://HOST:PORT or https://HOST:PORT", e->what);
	return 0;
}

/* as, as-uid, as-groups, as header lines (…/authentication/#user-impersonation). */
static int
read_impersonation(struct arena *a, const struct kube_entry *e, struct kube_config *c, struct err *err)
{
	const char *user, *uid, **lines;
	const struct value *groups, *extra = e->v != NULL ? value_get(e->v, "as-user-extra") : NULL;
	size_t n = 0;

	if (kube_entry_text(a, e, "as", &user, err) < 0 || kube_entry_text(a, e, "as-uid", &uid, err) < 0 ||
	    kube_entry_list(e, "as-groups", &groups, err) < 0)
		return -1;
	if (extra != NULL && extra->kind != V_NULL)
		return err_set(err, ERR_PLAN, "%s: as-user-extra is not supported", e->what);
	if (user == NULL && (uid != NULL || groups != NULL))
		return err_set(err, ERR_PLAN, "%s: as-uid and as-groups need 'as'", e->what);
	if (groups != NULL && groups->len > GROUPS_MAX)
		return err_set(err, ERR_PLAN, "%s: more than %d as-groups", e->what, GROUPS_MAX);
	if (user == NULL)
		return 0;
	lines = arena_array(a, (groups != NULL ? groups->len : 0) + (size_t)3, sizeof(*lines));
	lines[n++] = arena_printf(a, "Impersonate-User: %s", user);
	if (uid != NULL)
		lines[n++] = arena_printf(a, "Impersonate-Uid: %s", uid);
	for (uint32_t i = 0; groups != NULL && i < groups->len; i++) {
		const struct pair only = { "as-groups", groups->items[i] };
		const struct value map = value_map(&only, 1);
		const struct kube_entry item = { e->what, e->dir, &map };
		const char *group;

		if (kube_entry_text(a, &item, "as-groups", &group, err) < 0)
			return -1;
		if (group != NULL)
			lines[n++] = arena_printf(a, "Impersonate-Group: %s", group);
	}
	c->impersonate = lines;
	return 0;
}

/* What the server asks for: one way only, but for a certificate, which goes with any. */
static int
check_ways(const struct kube_entry *e, const struct kube_config *c, struct err *err)
{
	const bool token = c->token != NULL || c->token_file != NULL, basic = c->basic_user != NULL || c->password != NULL;

	if (basic && (c->basic_user == NULL || c->password == NULL))
		return err_set(err, ERR_PLAN, "%s: username and password go together", e->what);
	if (basic && strchr(c->basic_user, ':') != NULL)
		return err_set(err, ERR_PLAN, "%s: username holds a colon", e->what);
	if (token && basic)
		return err_set(err, ERR_PLAN, "%s: only one of token and username can be given", e->what);
	if ((c->cert == NULL) != (c->key == NULL))
		return err_set(err, ERR_PLAN, "%s: client-certificate and client-key go together", e->what);
	return 0;
}

static int
read_user(struct arena *a, const struct kube_entry *e, const struct kube_entry *cluster, const struct kube_config_args *args,
	  struct kube_config *c, struct err *err)
{
	const struct kube_plugin_place at = { c->user, cluster, c->ca, c->ca_data, args->allow_exec };
	struct kube_entry provider, exec;

	if (kube_entry_map(a, e, "auth-provider", &provider, err) < 0 || kube_entry_map(a, e, "exec", &exec, err) < 0)
		return -1;
	if (provider.v != NULL) {
		const char *name = value_get_str(provider.v, "name", "?");

		return err_set(err, ERR_PLAN, "%s: auth-provider '%s': Kubernetes has no such logins any more (1.26); use its "
			       "credential plugin (exec)", e->what, text_safe(a, name, strlen(name), 40));
	}
	if (kube_entry_secret(a, e, "token", &c->token, err) < 0 || kube_entry_path(a, e, "tokenFile", &c->token_file, err) < 0 ||
	    kube_entry_text(a, e, "username", &c->basic_user, err) < 0 ||
	    kube_entry_secret(a, e, "password", &c->password, err) < 0 ||
	    read_pem(a, e, "client-certificate", "client-certificate-data", &c->cert, &c->cert_data, err) < 0 ||
	    read_pem(a, e, "client-key", "client-key-data", &c->key, &c->key_data, err) < 0 ||
	    read_impersonation(a, e, c, err) < 0 || check_ways(e, c, err) < 0)
		return -1;
	/* as in client-go: a token or password that stands there is taken, and the plugin never asked */
	if (exec.v == NULL || c->token != NULL || c->token_file != NULL || c->basic_user != NULL)
		return 0;
	return kube_plugin_read(a, &exec, &at, &c->plugin, err);
}

static int
choose_namespace(struct arena *a, const struct kube_entry *context, const char *wanted, struct kube_config *c, struct err *err)
{
	const char *where = wanted != NULL ? "the target" : context->what;

	c->namespace = wanted;
	if (wanted == NULL && kube_entry_text(a, context, "namespace", &c->namespace, err) < 0)
		return -1;
	if (c->namespace == NULL)
		c->namespace = "default";
	if (strlen(c->namespace) > 63 || c->namespace[strspn(c->namespace, NAME_CHARS)] != '\0' || c->namespace[0] == '-' ||
	    c->namespace[0] == '\0')
		return err_set(err, ERR_PLAN, "%s: '%s' is no namespace's name", where,
			       text_safe(a, c->namespace, strlen(c->namespace), 80));
	return 0;
}

static int
choose_context(struct arena *a, const struct kube_files *f, const char *wanted, struct kube_config *c, struct err *err)
{
	c->context = wanted;
	if (wanted == NULL && kube_entry_current(a, f, &c->context, err) < 0)
		return -1;
	if (c->context == NULL) {
		(void)err_set(err, ERR_PLAN, "%s: it has no current-context; contexts: %s", f->from,
			      kube_entry_names(a, f, "contexts"));
		return err_next(err, "give the target a context");
	}
	return 0;
}

static int
read_context(struct arena *a, const struct kube_files *f, const struct kube_config_args *args, struct kube_config *c,
	     struct err *err)
{
	struct kube_entry context, cluster, user;

	if (choose_context(a, f, args->context, c, err) < 0 ||
	    kube_entry_find(a, f, "contexts", "context", c->context, &context, err) < 0 ||
	    kube_entry_text(a, &context, "cluster", &c->cluster, err) < 0 ||
	    kube_entry_text(a, &context, "user", &c->user, err) < 0)
		return -1;
	if (c->cluster == NULL || c->user == NULL)
		return err_set(err, ERR_PLAN, "%s: it names no %s", context.what, c->cluster == NULL ? "cluster" : "user");
	if (kube_entry_find(a, f, "clusters", "cluster", c->cluster, &cluster, err) < 0 ||
	    kube_entry_find(a, f, "users", "user", c->user, &user, err) < 0)
		return err_wrap(err, "context '%s'", text_safe(a, c->context, strlen(c->context), 80));
	return choose_namespace(a, &context, args->namespace, c, err) < 0 || read_cluster(a, &cluster, c, err) < 0 ||
	       read_user(a, &user, &cluster, args, c, err) < 0 ? -1 : 0;
}

static int
no_config(struct err *err)
{
	const char *list = getenv("KUBECONFIG");

	if (list != NULL && list[0] != '\0')
		(void)err_set(err, ERR_PLAN, "no kubeconfig: nothing of $KUBECONFIG, '%s', is there, and this is no pod", list);
	else
		(void)err_set(err, ERR_PLAN, "no kubeconfig: neither $KUBECONFIG nor ~/.kube/config is there, and this is no pod");
	return err_next(err, "give the target a kubeconfig");
}

/* A parameter that nobody gave may be empty. */
static const char *
given(const char *s)
{
	return s != NULL && s[0] != '\0' ? s : NULL;
}

int
kube_config_load(struct arena *a, const struct kube_config_args *wanted, struct kube_config *ret, struct err *err)
{
	const struct kube_config_args all = { given(wanted->kubeconfig), given(wanted->context), given(wanted->namespace),
					      wanted->allow_exec }, *args = &all;
	struct kube_files files;
	int rc;

	*ret = (struct kube_config){ 0 };
	rc = kube_files_read(a, args->kubeconfig, &files, err);
	ret->from = files.from;
	ret->loose = files.loose;
	if (rc == 0 && files.n > 0)
		rc = read_context(a, &files, args, ret, err);
	else if (rc == 0 && args->context == NULL && kube_config_of_pod(a, KUBE_POD_ACCOUNT, ret))
		rc = args->namespace != NULL ? choose_namespace(a, NULL, args->namespace, ret, err) : 0;
	else if (rc == 0)
		rc = no_config(err);
	kube_files_wipe(&files);
	if (rc < 0)
		kube_config_wipe(ret);
	return rc;
}

/* The namespace that the pod is in, which a mounted file says. */
static const char *
pod_namespace(struct arena *a, const char *dir)
{
	struct buf text = BUF_INIT(0);
	struct err ignored = ERR_INIT;
	const char *ret = "default";

	if (io_read_file(io_join(a, dir, "namespace"), 64, &text, &ignored) == 0 && text.len > 0 &&
	    strspn(text.p, NAME_CHARS) == text.len)
		ret = arena_strndup(a, text.p, text.len);
	buf_done(&text);
	return ret;
}

bool
kube_config_of_pod(struct arena *a, const char *dir, struct kube_config *ret)
{
	const char *host = getenv("KUBERNETES_SERVICE_HOST"), *port = getenv("KUBERNETES_SERVICE_PORT");
	const char *token = io_join(a, dir, "token");

	if (host == NULL || port == NULL || host[0] == '\0' || port[0] == '\0' || access(token, R_OK) < 0)
		return false;
	*ret = (struct kube_config){
		.from = arena_printf(a, "the pod's account in '%s'", dir),
		.server = arena_printf(a, strchr(host, ':') != NULL ? "https://[%s]:%s" : "https://%s:%s", host, port),
		.namespace = pod_namespace(a, dir),
		.ca = io_join(a, dir, "ca.crt"),
		.token_file = token,
	};
	return is_address(ret->server, true);
}

static void
wipe_secret(const struct secret *s)
{
	if (s != NULL)
		explicit_bzero(s->content, s->len);
}

void
kube_config_wipe(struct kube_config *c)
{
	wipe_secret(c->token);
	wipe_secret(c->password);
	if (c->key_data.len > 0)
		explicit_bzero((void *)(uintptr_t)c->key_data.p, c->key_data.len);
	for (size_t i = 0; c->plugin != NULL && c->plugin->env[i] != NULL; i++)
		wipe_secret(c->plugin->env[i]);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Owns which plugin a kubeconfig may run, and how: without a terminal, in a clean environment, for a minute, with a megabyte
 * of output. How the answer is judged is in kube_ticket.c. */
#include "steps/target/kube_plugin.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/hash.h"
#include "base/io.h"
#include "base/proc.h"
#include "base/text.h"
#include "steps/target/kube_ticket.h"

#define LIMIT (60 * NS_PER_S)
#define GRACE (2 * NS_PER_S)
#define OUTPUT_MAX ((size_t)1 << 20)
#define WORDS_MAX 256
#define CA_MAX ((size_t)1 << 20)

/* Not retryable: the same again would say the same. */
static int
refused(struct err *err)
{
	err->kind = ERR_UNREACHABLE;
	err->retryable = false;
	return -1;
}

static bool
is_allowed(const struct value *allow, const char *path)
{
	for (uint32_t i = 0; allow != NULL && i < allow->len; i++)
		if (allow->items[i].kind == V_STRING && strcmp(allow->items[i].s, path) == 0)
			return path[0] == '/';
	return false;
}

/* The allowed program of this name: a bare name is not looked up in PATH. */
static const char *
allowed_by_name(const struct value *allow, const char *name)
{
	for (uint32_t i = 0; allow != NULL && i < allow->len; i++) {
		const char *slash = allow->items[i].kind == V_STRING ? strrchr(allow->items[i].s, '/') : NULL;

		if (slash != NULL && allow->items[i].s[0] == '/' && strcmp(slash + 1, name) == 0)
			return allow->items[i].s;
	}
	return NULL;
}

/* Where PATH has it, for the message alone. */
static const char *
in_path(struct arena *a, const char *name)
{
	const char *dirs = getenv("PATH"), *end;

	for (; dirs != NULL; dirs = *end == ':' ? end + 1 : NULL) {
		const char *path;

		end = strchrnul(dirs, ':');
		path = arena_printf(a, "%.*s/%s", (int)(end - dirs), dirs, name);
		if (path[0] == '/' && access(path, X_OK) == 0)
			return path;
	}
	return arena_printf(a, "/…/%s", name);
}

static int
choose_program(struct arena *a, const struct kube_entry *exec, const char *command, const struct kube_plugin_place *at,
	       const char **ret, struct err *err)
{
	const bool bare = strchr(command, '/') == NULL;
	const char *path = bare ? allowed_by_name(at->allow_exec, command) : command[0] == '/' ? command :
		io_join(a, exec->dir, command);

	if (path != NULL && is_allowed(at->allow_exec, path)) {
		*ret = arena_strdup(a, path);
		return 0;
	}
	if (path == NULL)
		path = in_path(a, command);
	(void)err_set(err, ERR_UNREACHABLE, "%s: the credential plugin '%s' is not allowed to run", exec->what,
		      text_safe(a, command, strlen(command), 200));
	(void)err_next(err, "if you trust it, add to the target: allow_exec: [%s]", text_safe(a, path, strlen(path), 300));
	return refused(err);
}

/* What the plugin may be asked for. */
static int
check_mode(struct arena *a, const struct kube_entry *exec, const char *version, struct err *err)
{
	const bool v1 = strcmp(version, KUBE_TICKET_V1) == 0;
	const char *mode;

	if (!v1 && strcmp(version, KUBE_TICKET_V1BETA1) != 0)
		return err_set(err, ERR_PLAN, "%s: apiVersion '%s' is neither " KUBE_TICKET_V1 " nor v1beta1", exec->what,
			       text_safe(a, version, strlen(version), 80));
	if (kube_entry_text(a, exec, "interactiveMode", &mode, err) < 0)
		return -1;
	if (mode == NULL && v1)
		return err_set(err, ERR_PLAN, "%s: it has no interactiveMode: Never or IfAvailable", exec->what);
	if (mode != NULL && strcmp(mode, "Always") == 0)
		return err_set(err, ERR_PLAN, "%s: interactiveMode Always: the plugin wants a terminal, and gets none here",
			       exec->what);
	if (mode != NULL && strcmp(mode, "Never") != 0 && strcmp(mode, "IfAvailable") != 0)
		return err_set(err, ERR_PLAN, "%s: interactiveMode must be Never, IfAvailable or Always", exec->what);
	return 0;
}

static int
read_argv(struct arena *a, const struct kube_entry *exec, const char *path, const char *const **ret, struct err *err)
{
	const struct value *args;
	const char **argv;

	if (kube_entry_list(exec, "args", &args, err) < 0)
		return -1;
	if (args != NULL && args->len > WORDS_MAX)
		return err_set(err, ERR_PLAN, "%s: more than %d args", exec->what, WORDS_MAX);
	argv = arena_array(a, (args != NULL ? args->len : 0) + (size_t)2, sizeof(*argv));
	argv[0] = path;
	for (uint32_t i = 0; args != NULL && i < args->len; i++) {
		if (args->items[i].kind != V_STRING)
			return err_set(err, ERR_PLAN, "%s: args must be a list of text", exec->what);
		argv[i + 1] = arena_strndup(a, args->items[i].s, args->items[i].len);
	}
	*ret = argv;
	return 0;
}

static int
read_env(struct arena *a, const struct kube_entry *exec, const struct secret *const **ret, struct err *err)
{
	const struct secret **env;
	const struct value *list;

	if (kube_entry_list(exec, "env", &list, err) < 0)
		return -1;
	if (list != NULL && list->len > WORDS_MAX)
		return err_set(err, ERR_PLAN, "%s: more than %d env entries", exec->what, WORDS_MAX);
	env = arena_array(a, (list != NULL ? list->len : 0) + (size_t)1, sizeof(*env));
	for (uint32_t i = 0; list != NULL && i < list->len; i++) {
		const char *name = value_get_str(&list->items[i], "name", ""), *v = value_get_str(&list->items[i], "value", "");
		struct secret *s = arena_alloc(a, sizeof(*s));

		if (name[0] == '\0' || strchr(name, '=') != NULL)
			return err_set(err, ERR_PLAN, "%s: an env entry is {name: N, value: V}", exec->what);
		s->where = arena_printf(a, "%s: env", exec->what);
		s->content = arena_printf(a, "%s=%s", name, v);
		s->len = strlen(s->content);
		env[i] = s;
	}
	*ret = env;
	return 0;
}

static int
put_authority(const struct kube_plugin_place *at, struct buf *to, struct err *err)
{
	struct buf text = BUF_INIT(0);
	int rc = 0;

	if (at->ca_text.len > 0)
		base64_encode(to, at->ca_text.p, at->ca_text.len);
	else if (at->ca != NULL && (rc = io_read_file(at->ca, CA_MAX, &text, err)) == 0)
		base64_encode(to, text.p, text.len);
	buf_done(&text);
	return rc < 0 ? err_wrap(err, "certificate-authority") : 0;
}

/* What a plugin with provideClusterInfo is told of its cluster. */
static int
cluster_info(struct arena *a, const struct kube_plugin_place *at, struct value *ret, struct err *err)
{
	static const char *const same[] = { "server", "tls-server-name", "proxy-url" };
	struct pair *pairs = arena_array(a, countof(same) + 2, sizeof(*pairs));
	const struct value *extensions = value_get(at->cluster->v, "extensions"), *v;
	struct buf ca = BUF_INIT(0);
	size_t n = 0;

	for (size_t i = 0; i < countof(same); i++)
		if ((v = value_get(at->cluster->v, same[i])) != NULL && v->kind == V_STRING)
			pairs[n++] = (struct pair){ same[i], *v };
	if (put_authority(at, &ca, err) < 0)
		return -1;
	if (ca.len > 0)
		pairs[n++] = (struct pair){ "certificate-authority-data", value_str(arena_strndup(a, ca.p, ca.len)) };
	buf_done(&ca);
	for (uint32_t i = 0; extensions != NULL && extensions->kind == V_LIST && i < extensions->len; i++)
		if (strcmp(value_get_str(&extensions->items[i], "name", ""), "client.authentication.k8s.io/exec") == 0 &&
		    (v = value_get(&extensions->items[i], "extension")) != NULL) {
			pairs[n++] = (struct pair){ "config", *v };
			break;
		}
	*ret = value_map(pairs, n);
	return 0;
}

static int
make_info(struct arena *a, const struct kube_plugin_place *at, const char *version, bool cluster, const char **ret,
	  struct err *err)
{
	struct pair spec[] = { { "interactive", value_bool(false) }, { "cluster", VALUE_NULL } };
	struct pair info[] = { { "apiVersion", value_str(version) }, { "kind", value_str("ExecCredential") },
			       { "spec", VALUE_NULL } };
	struct buf text = BUF_INIT(0);
	struct value v;
	int rc;

	if (cluster && cluster_info(a, at, &spec[1].v, err) < 0)
		return -1;
	info[2].v = value_map(spec, cluster ? 2 : 1);
	v = value_map(info, countof(info));
	rc = value_json(&text, &v, err);
	if (rc == 0)
		*ret = arena_printf(a, "KUBERNETES_EXEC_INFO=%s", text.p);
	buf_done(&text);
	return rc;
}

int
kube_plugin_read(struct arena *a, const struct kube_entry *exec, const struct kube_plugin_place *at,
		 const struct kube_plugin_spec **ret, struct err *err)
{
	struct kube_plugin_spec *s = arena_alloc(a, sizeof(*s));
	const char *command, *path;
	bool cluster;

	if (kube_entry_text(a, exec, "apiVersion", &s->version, err) < 0 || kube_entry_text(a, exec, "command", &command, err) < 0 ||
	    kube_entry_text(a, exec, "installHint", &s->hint, err) < 0 ||
	    kube_entry_flag(exec, "provideClusterInfo", &cluster, err) < 0)
		return -1;
	if (s->version == NULL || command == NULL)
		return err_set(err, ERR_PLAN, "%s: it has no %s", exec->what, command == NULL ? "command" : "apiVersion");
	if (check_mode(a, exec, s->version, err) < 0 || choose_program(a, exec, command, at, &path, err) < 0 ||
	    read_argv(a, exec, path, &s->argv, err) < 0 || read_env(a, exec, &s->env, err) < 0 ||
	    make_info(a, at, s->version, cluster, &s->info, err) < 0)
		return -1;
	s->what = arena_printf(a, "credential plugin '%s' of user '%s'", text_safe(a, path, strlen(path), 200),
			       text_safe(a, at->user, strlen(at->user), 80));
	*ret = s;
	return 0;
}

/* Is the name of this NAME=VALUE in the list already? */
static bool
is_set(const char *const *env, size_t n, const char *entry)
{
	const size_t name = strcspn(entry, "=") + 1;

	for (size_t i = 0; i < n; i++)
		if (strncmp(env[i], entry, name) == 0)
			return true;
	return false;
}

/* Where programs find themselves and the way out; nothing that could be someone's credential. What a plugin needs beyond that its
 * kubeconfig says. Borrowed strings; the caller frees the list. */
static const char **
environment(const struct kube_plugin_spec *spec)
{
	static const char *const kept[] = { "HOME=", "PATH=", "USER=", "LOGNAME=", "LANG=", "LC_ALL=", "TZ=", "TMPDIR=", "XDG_",
					    "SSL_CERT_", "HTTP_PROXY=", "HTTPS_PROXY=", "NO_PROXY=", "http_proxy=", "https_proxy=",
					    "no_proxy=" };
	const char **env;
	size_t n = 0, own = 0, parents = 0;

	while (spec->env[own] != NULL)
		own++;
	while (environ[parents] != NULL)
		parents++;
	env = xcalloc(own + parents + 2, sizeof(*env));
	env[n++] = spec->info;
	for (size_t i = own; i > 0; i--) /* of two of a name the last counts */
		if (!is_set(env, n, spec->env[i - 1]->content))
			env[n++] = spec->env[i - 1]->content;
	for (size_t i = 0; i < parents; i++)
		for (size_t k = 0; k < countof(kept); k++)
			if (strncmp(environ[i], kept[k], strlen(kept[k])) == 0 && !is_set(env, n, environ[i])) {
				env[n++] = environ[i];
				break;
			}
	return env;
}

int
kube_plugin_run(struct opctx *cx, const struct kube_plugin_spec *spec, struct kube_ticket *ret, struct err *err)
{
	const int64_t limit = clock_now() + LIMIT;
	const char **env = environment(spec);
	struct proc_result r;
	int rc;

	*ret = (struct kube_ticket){ 0 };
	rc = proc_run(&(struct proc_spec){ .argv = spec->argv, .env = env, .cap = OUTPUT_MAX, .keep_fd = -1,
					   .deadline = limit < cx->deadline ? limit : cx->deadline, .grace = GRACE,
					   .cancel = cx->cancel, .cancel_fd = cx->cancel_fd },
		      &r, err);
	free(env);
	if (rc < 0) {
		(void)err_wrap(err, "%s", spec->what);
		if (err->kind == ERR_FAILED && spec->hint != NULL)
			(void)err_next(err, "%s", text_safe(cx->arena, spec->hint, strlen(spec->hint), 500));
		return err->kind == ERR_FAILED ? refused(err) : -1;
	}
	if (r.cancelled)
		rc = err_set(err, ERR_CANCELLED, "%s: stopped", spec->what);
	else if (r.timed_out && limit >= cx->deadline)
		rc = err_set(err, ERR_UNREACHABLE, "%s: no answer before the step's time-out", spec->what);
	else
		rc = kube_ticket_judge(cx->arena, spec, &r, ret, err);
	if (rc < 0 && !r.cancelled)
		rc = refused(err);
	if (r.out.p != NULL)
		explicit_bzero(r.out.p, r.out.cap);
	proc_result_done(&r);
	return rc;
}

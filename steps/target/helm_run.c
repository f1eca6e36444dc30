/* SPDX-License-Identifier: Apache-2.0 */
/* Owns how helm is started, and what its end means. It finds no repositories, plugins and caches: charts are files here, so
 * it needs none, and those of the operator stay as they are. */
#include "steps/target/helm_run.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fault.h"
#include "base/text.h"
#include "steps/target/mask.h"
#include "steps/target/orphan.h"

#define OUTPUT_MAX ((size_t)32 << 20)
#define GRACE (30 * NS_PER_S) /* at TERM it writes down that the release has failed */
#define SAID_MAX 400
#define NOWHERE "/proc/nowhere" /* cannot be made */

/* What credential plugins and the way out need; nothing that could be someone's credential. */
static bool
is_kept(const char *entry)
{
	static const char *const kept[] = { "HOME=", "PATH=", "USER=", "LOGNAME=", "LANG=", "LC_ALL=", "TZ=", "TMPDIR=",
					    "SSL_CERT_", "HTTP_PROXY=", "HTTPS_PROXY=", "NO_PROXY=", "http_proxy=", "https_proxy=",
					    "no_proxy=", "KUBERNETES_SERVICE_" };

	for (size_t i = 0; i < countof(kept); i++)
		if (strncmp(entry, kept[i], strlen(kept[i])) == 0)
			return true;
	return false;
}

static const char *const *
environment(struct opctx *op, const struct helm_conn *c, const struct helm_call *call)
{
	struct arena *a = op->arena;
	const char *kubeconfig = c->kubeconfig != NULL ? c->kubeconfig : getenv("KUBECONFIG");
	size_t n = 0, parents = 0;
	const char **env;

	while (environ[parents] != NULL)
		parents++;
	env = arena_array(a, parents + 12, sizeof(*env));
	for (size_t i = 0; i < parents; i++)
		if (is_kept(environ[i]))
			env[n++] = arena_strdup(a, environ[i]);
	env[n++] = "HELM_CONFIG_HOME=" NOWHERE;
	env[n++] = "HELM_CACHE_HOME=" NOWHERE;
	env[n++] = "HELM_DATA_HOME=" NOWHERE;
	env[n++] = "KUBECACHEDIR=" NOWHERE;
	if (kubeconfig != NULL)
		env[n++] = arena_printf(a, "KUBECONFIG=%s", kubeconfig);
	if (c->context != NULL)
		env[n++] = arena_printf(a, "HELM_KUBECONTEXT=%s", c->context);
	if (call->namespace != NULL)
		env[n++] = arena_printf(a, "HELM_NAMESPACE=%s", call->namespace);
	if (call->nonce != NULL) {
		env[n++] = arena_printf(a, "WHERRY_RUN=%s", op->run);
		env[n++] = arena_printf(a, "WHERRY_STEP=%s", op->step);
		env[n++] = arena_printf(a, "WHERRY_EFFECT=%s", call->nonce);
	}
	return env;
}

static const char *const *
argv_of(struct opctx *op, const struct helm_conn *c, const struct helm_call *call)
{
	const char **argv;
	size_t n = 0;

	while (call->argv[n] != NULL)
		n++;
	argv = arena_array(op->arena, n + 2, sizeof(*argv));
	argv[0] = c->binary;
	memcpy(argv + 1, call->argv, n * sizeof(*argv));
	return argv;
}

static int
ended_by_us(const struct helm_call *call, const struct proc_result *r, struct err *err)
{
	const char *when = r->timed_out ? "at the step's time-out" : "when the run was stopped";

	if (call->nonce != NULL)
		return err_set(err, ERR_UNKNOWN, "helm %s was ended by wherry %s; it may have done part of its work", call->argv[0], when);
	return err_set(err, r->timed_out ? ERR_TIMEOUT : ERR_CANCELLED, "helm %s was ended %s", call->argv[0], when);
}

int
helm_run(struct opctx *op, const struct helm_conn *c, const struct helm_call *call, struct proc_result *ret, struct err *err)
{
	int lock = -1, rc;

	*ret = (struct proc_result){ 0 };
	if (call->nonce != NULL && op->scratch != NULL && orphan_lock(op, call->nonce, &lock, err) < 0)
		return -1;
	if (call->nonce != NULL)
		FAULT("helm.before_spawn");
	rc = proc_run(&(struct proc_spec){ .argv = argv_of(op, c, call), .env = environment(op, c, call), .stdin_data = call->in,
					   .cap = OUTPUT_MAX, .keep_fd = lock, .deadline = op->deadline, .grace = GRACE,
					   .cancel = op->cancel, .cancel_fd = op->cancel_fd },
		      ret, err);
	if (call->nonce != NULL)
		FAULT("helm.ended");
	if (lock >= 0)
		orphan_release(lock, call->nonce, rc < 0 || (!ret->timed_out && !ret->cancelled));
	if (rc < 0) {
		err->kind = ERR_LOCAL;
		(void)err_next(err, "install helm 3, or name it in the target's field 'binary'");
		return err_wrap(err, "helm");
	}
	if (ret->timed_out || ret->cancelled)
		return ended_by_us(call, ret, err);
	return 0;
}

int
helm_refused(struct opctx *op, struct proc_result *r, const struct value *hidden, struct err *err)
{
	static const char mark[] = "Error: ";
	const char *said;
	bool away;

	if (hidden != NULL)
		mask_secrets(&r->err, hidden);
	said = r->err.len > 0 ? strstr(r->err.p, mark) : NULL;
	said = said != NULL ? said + strlen(mark) : r->err.len > 0 ? r->err.p : "nothing on stderr";
	away = strstr(said, "Kubernetes cluster unreachable") != NULL || strstr(said, "connection refused") != NULL;
	said = text_safe(op->arena, said, strcspn(said, "\n"), SAID_MAX);
	if (r->signal != 0)
		return err_set(err, ERR_FAILED, "helm was ended by signal %d: %s", r->signal, said);
	return err_set(err, away ? ERR_UNREACHABLE : ERR_FAILED, "helm: %s", said);
}

int
helm_look(struct opctx *op, const struct helm_conn *c, const struct helm_call *call, struct value *ret, struct err *err)
{
	struct proc_result r;
	int rc = helm_run(op, c, call, &r, err);

	*ret = VALUE_NULL;
	if (rc == 0 && r.code != 0 && r.err.len > 0 && strstr(r.err.p, "release: not found") != NULL)
		goto out;
	if (rc == 0 && r.code != 0)
		rc = helm_refused(op, &r, NULL, err);
	else if (rc == 0 && r.out_dropped > 0)
		rc = err_set(err, ERR_FAILED, "helm %s says more than %zu MiB", call->argv[0], OUTPUT_MAX >> 20);
	else if (rc == 0 && value_parse_json(op->arena, r.out.p, r.out.len, ret, err) < 0)
		rc = err_wrap(err, "what helm %s says", call->argv[0]);
out:
	if (r.out.p != NULL)
		explicit_bzero(r.out.p, r.out.cap);
	proc_result_done(&r);
	return rc;
}

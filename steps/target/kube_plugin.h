/* SPDX-License-Identifier: Apache-2.0 */
/* Credential plugins: programs that print a token or a client certificate (client.authentication.k8s.io/v1 and v1beta1,
 * kubernetes.io/docs/reference/access-authn-authz/authentication/#client-go-credential-plugins). A kubeconfig that someone
 * else wrote could so run anything, so only what the target's allow_exec names is run. */
#ifndef WHERRY_TARGET_KUBE_PLUGIN_H
#define WHERRY_TARGET_KUBE_PLUGIN_H

#include "steps/target/kube_entry.h"
#include "target.h"

struct kube_plugin_spec {
	const char *what;            /* for messages: "credential plugin '/usr/bin/x' of user 'y'" */
	const char *version;         /* apiVersion */
	const char *const *argv;     /* NULL-ended; the first is the absolute path */
	const struct secret *const *env; /* NULL-ended: NAME=VALUE, over the clean environment */
	const char *info;            /* KUBERNETES_EXEC_INFO */
	const char *hint;            /* what its kubeconfig says about installing it, or NULL */
};

/* What it printed; the strings are the caller's to free by kube_ticket_done, which wipes them. */
struct kube_ticket {
	char *token, *cert, *key; /* or NULL; cert and key are PEM text and go together */
	int64_t until;            /* ms since 1970; INT64_MAX: no end */
};

/* Where a user's plugin is asked for. */
struct kube_plugin_place {
	const char *user;
	const struct kube_entry *cluster; /* its cluster, which the plugin is told of where it asks to be */
	const char *ca;                   /* its certificate-authority, or NULL; ca_text: its text in place of the file */
	struct bytes ca_text;
	const struct value *allow_exec;   /* absolute paths; NULL: none */
};
/* The plugin of a user's `exec`. ERR_PLAN for a wrong entry, ERR_UNREACHABLE for a program that is not allowed. */
int kube_plugin_read(struct arena *a, const struct kube_entry *exec, const struct kube_plugin_place *at,
		     const struct kube_plugin_spec **ret, struct err *err);
/* Run it, for a minute at most. ERR_UNREACHABLE, not retryable, with the end of what it says. */
int kube_plugin_run(struct opctx *cx, const struct kube_plugin_spec *spec, struct kube_ticket *ret, struct err *err);
void kube_ticket_done(struct kube_ticket *t);

#endif

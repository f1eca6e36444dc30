/* SPDX-License-Identifier: Apache-2.0 */
/* What a kubeconfig, or the account of the pod that we are in, says about one context: where the server is, whom to
 * believe and as whom to go there (kubernetes.io/docs/reference/config-api/kubeconfig.v1). It reads; it connects nowhere. */
#ifndef WHERRY_TARGET_KUBE_CONFIG_H
#define WHERRY_TARGET_KUBE_CONFIG_H

#include "value.h"

#define KUBE_POD_ACCOUNT "/var/run/secrets/kubernetes.io/serviceaccount"

struct kube_plugin_spec;

struct kube_config_args {   /* an empty text is as NULL */
	const char *kubeconfig; /* file, or a list of them as in $KUBECONFIG; NULL: that list, else ~/.kube/config, else the pod's account */
	const char *context;    /* NULL: the current one */
	const char *namespace;  /* NULL: the context's, else "default" */
	const struct value *allow_exec; /* list of absolute paths; NULL: none */
};

/* Strings live in the arena; absent is NULL or empty. */
struct kube_config {
	const char *from;                  /* the files, for messages: "kubeconfig '/etc/wherry/a.conf'" */
	const char *context, *cluster, *user; /* names; the pod's account has none */
	const char *server;                /* http(s)://HOST[:PORT][/PATH], without a slash at its end */
	const char *namespace;
	const char *server_name;           /* what the server's certificate is for, where it is not the URL's host */
	const char *proxy;                 /* http:// or https://; may hold a password */
	const char *ca, *cert, *key;       /* files; where the text is given below, what messages call it */
	struct bytes ca_data, cert_data, key_data; /* PEM text, in place of the file */
	const char *token_file;            /* read again each time; with a token too, that is for when it cannot be read */
	const struct secret *token, *password;
	const char *basic_user;
	const char *const *impersonate;    /* NULL-ended header lines "Impersonate-User: x", or NULL */
	const struct kube_plugin_spec *plugin;
	const char *loose;                 /* a file of it that its group can read, to be told; or NULL */
};

/* Read it. What is wrong is ERR_PLAN, and says which file and entry, and what there is in its place; a file that others may
 * read or change is ERR_LOCAL; a credential plugin that is not allowed ERR_UNREACHABLE. */
int kube_config_load(struct arena *a, const struct kube_config_args *wanted, struct kube_config *ret, struct err *err);
/* The account that a pod finds in a folder (KUBE_POD_ACCOUNT); false: there is none, or $KUBERNETES_SERVICE_HOST is not set. */
bool kube_config_of_pod(struct arena *a, const char *dir, struct kube_config *ret);
/* Overwrite the secrets. */
void kube_config_wipe(struct kube_config *c);

#endif

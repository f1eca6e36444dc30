/* SPDX-License-Identifier: Apache-2.0 */
/* The credentials for one cluster as they are now: tokens and token files, passwords, client certificates, credential
 * plugins. Used by several threads at once. */
#ifndef WHERRY_TARGET_KUBE_LOGIN_H
#define WHERRY_TARGET_KUBE_LOGIN_H

#include "steps/target/kube_config.h"
#include "steps/target/peer.h"
#include "target.h"

struct kube_login;

/* Check what can be checked without asking anybody. c and its arena are borrowed and outlive the login. ERR_PLAN or ERR_LOCAL. */
int kube_login_open(struct opctx *cx, const struct kube_config *c, struct kube_login **ret, struct err *err);
/* Who is at the other end and as whom: ret->url is the server's address, without a slash at its end, to which the caller adds
 * path and query (its host may be a name to check alone, so nobody else may make it); all of ret lives as long as the login. The
 * header lines of the credentials are appended; they are secret, so wipe them. May run a plugin for up to a minute:
 * ERR_UNREACHABLE, not retryable, when it gives nothing, or a token file holds nothing that could be a token. */
int kube_login_sign(struct opctx *cx, struct kube_login *l, struct peer *ret, struct buf *headers, struct err *err);
/* As whom a request that was signed so went there, in words for people; p is what the sign gave. */
const char *kube_login_as(struct arena *, const struct kube_login *, const struct peer *p);
/* The credentials were refused (401, certificate): have the next sign ask the plugin anew. Close idle connections too, so
 * that certificate files are read again. */
void kube_login_forget(struct kube_login *l);
void kube_login_close(struct kube_login *l); /* may be NULL */

#endif

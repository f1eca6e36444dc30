/* SPDX-License-Identifier: Apache-2.0 */
/* The requests that effects on objects are (bodies: kube_image.h): the same for a run and for the server's own dry-run. */
#ifndef WHERRY_KUBE_REQUEST_H
#define WHERRY_KUBE_REQUEST_H

#include "steps/target/kube_image.h"
#include "steps/target/kube_path.h"

struct kube_request {
	struct kube_ask ask;
	struct buf body; /* may hold secrets */
};

struct kube_manner {
	const char *nonce;   /* "": none */
	const char *version; /* the resourceVersion that must still hold, or NULL */
	const char *uid;     /* the object's, for what is deleted; NULL: the body's */
	bool force, dry;
};

/* p is the effect's path, its kind known. -1: the body cannot be said in JSON, or is none. ret is to be freed in every case. */
int kube_request(struct opctx *op, const struct effect *e, const struct kube_path *p, const struct kube_manner *how,
		 struct kube_request *ret, struct err *err);
void kube_request_done(struct kube_request *r);
/* The manager of a request that must not happen twice. */
const char *kube_manager_of(struct arena *a, const char *nonce);

/* kube_write.c: what the server says it would make of it (dryRun=All). Of a refusal, about says why; nothing is to be freed. */
int kube_try(struct opctx *op, struct kube_conn *c, const struct effect *e, const struct kube_path *p, struct kube_reply *about,
	     struct value *ret, struct err *err);

#endif

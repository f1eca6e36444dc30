/* SPDX-License-Identifier: Apache-2.0 */
/* A folder of exports (kube_store.h) that is made: filled under NAME.partial by one stream, named when all of it is on the
 * disk. What was cut off begins anew. */
#ifndef WHERRY_STEPS_KUBE_FILL_H
#define WHERRY_STEPS_KUBE_FILL_H

#include "step.h"

#include <pthread.h>

#include "steps/kube_select.h"
#include "steps/kube_store.h"

struct kube_fill {
	struct target *folder;
	const char *to, *shown, *partial;
	struct stream *stream;     /* NULL: it was filled before */
	struct value manifest;
	pthread_mutex_t lock;      /* the store */
	struct kube_store store;
};

/* Fails where the folder is there. With stream NULL nothing is to be put. */
int kube_fill_open(struct step_ctx *cx, const char *to, struct kube_fill *ret, struct err *err);
/* Objects into files; from several lanes at once. */
int kube_fill_put(struct step_ctx *cx, struct kube_fill *f, unsigned lane, const struct kube_selected *list, size_t n, struct err *err);
/* rc: how filling it went. Then the manifest (cluster: what tells it apart), the name, and the outputs. */
int kube_fill_close(struct step_ctx *cx, struct kube_fill *f, int rc, const char *cluster, struct err *err);

/* The outputs of steps that make such a folder. */
extern const struct field kube_fill_outputs[];

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* Reads what kubernetes.export wrote: the list of files, then one object at a time, each against its sum. */
#ifndef WHERRY_STEPS_KUBE_FOLDER_H
#define WHERRY_STEPS_KUBE_FOLDER_H

#include "step.h"
#include "steps/kube_store.h"

struct kube_folder {
	struct target *target;
	const char *path;
	struct kube_store store;
};

/* ERR_PREDICTED in a dry-run where an earlier step makes the folder and it is not foreseen what is in it. */
int kube_folder_open(struct step_ctx *cx, const char *path, struct kube_folder *ret, struct err *err);
/* The i-th object, in the arena. Frees what the last step_list of cx has read. */
int kube_folder_read(struct step_ctx *cx, const struct kube_folder *f, uint32_t i, struct arena *a, struct value *ret, struct err *err);
void kube_folder_close(struct kube_folder *f);

#endif

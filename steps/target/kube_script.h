/* SPDX-License-Identifier: Apache-2.0 */
/* Shell scripts in a container, for the transfer of files: what they need of it, and how they say what went wrong. */
#ifndef WHERRY_TARGET_KUBE_SCRIPT_H
#define WHERRY_TARGET_KUBE_SCRIPT_H

#include "steps/target/kube_command.h"
#include "steps/target/kube_pod.h"

/* Exit codes of scripts; all above 1, and below those of shells. */
enum kube_script_end {
	KUBE_SCRIPT_OK = 0,
	KUBE_SCRIPT_CHANGED = 91, /* the SHA-256 is another */
	KUBE_SCRIPT_EXISTS = 93,
	KUBE_SCRIPT_UNREADABLE = 94,
	KUBE_SCRIPT_IRREGULAR = 95, /* a folder, a device, or a link where none may be */
	KUBE_SCRIPT_ABSENT = 96,
	KUBE_SCRIPT_LACKS = 97, /* a program, which stderr names */
};

struct kube_script {
	const struct kube_pod *pod;
	const char *text;           /* its arguments are $1… */
	const char *args[5];        /* NULL-ended */
	int (*source)(void *data, char *p, size_t size, size_t *ret, struct err *err); /* as in struct kube_command */
	int (*sink)(void *data, enum kube_channel channel, const char *p, size_t n, struct err *err); /* of stdout; NULL: into out */
	void *data;
	struct buf out, err;        /* what it said, 64 KiB at most; kube_script_done */
};

/* 0 with its exit code: KUBE_SCRIPT_OK, or one that is the caller's to explain. -1: it was not run, or not to its end, or the
 * container lacks what it needs. */
int kube_script_run(struct opctx *op, struct kube_conn *c, struct kube_script *s, int *ret_code, struct err *err);
/* What a code means, about a path in the container. Always -1. */
int kube_script_failed(struct opctx *op, const struct kube_script *s, int code, const char *path, struct err *err);
void kube_script_done(struct kube_script *s);
/* "file '/etc/x' in pod web/db-0, container 'db'". */
const char *kube_script_file(struct arena *a, const struct kube_pod *pod, const char *path);

/* Every script begins so. */
#define KUBE_SCRIPT_NEEDS(programs) \
	"for p in " programs "; do command -v $p >/dev/null 2>&1 || { echo $p >&2; exit 97; }; done\n"

#endif

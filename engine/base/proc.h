/* SPDX-License-Identifier: Apache-2.0 */
/* Child processes: spawned in a process group of their own, output read with a cap, ended by TERM then KILL. */
#ifndef WHERRY_BASE_PROC_H
#define WHERRY_BASE_PROC_H

#include "base/buf.h"

#include <stdatomic.h>
#include <stdint.h>
#include <sys/types.h>

struct proc_spec {
	const char *const *argv;  /* NULL-ended; argv[0] with a slash is a path, else looked up in absolute PATH entries */
	const char *const *env;   /* NULL-ended NAME=VALUE list: the whole environment */
	const char *cwd;          /* or NULL */
	struct bytes stdin_data;  /* written to the child; empty: /dev/null */
	size_t cap;               /* bytes kept of each of stdout and stderr: head and tail, the middle counted and dropped */
	int keep_fd;              /* a descriptor that the child inherits (an orphan lock), or -1 */
	int64_t deadline;         /* CLOCK_MONOTONIC ns */
	int64_t grace;            /* ns between TERM and KILL */
	const atomic_int *cancel; /* non-zero: end the child; 2: KILL at once; may be NULL */
	int cancel_fd;            /* becomes readable when cancel is set, or -1 */
};

struct proc_result {
	pid_t pid;
	int code;             /* exit code, or -1 */
	int signal;           /* the signal that ended it, or 0 */
	bool timed_out, cancelled;
	struct buf out, err;  /* caller does proc_result_done */
	uint64_t out_dropped, err_dropped;
};

/* Run to the end. -1 only when the child never started (definite: nothing happened) ; else 0 with ret filled. */
int proc_run(const struct proc_spec *spec, struct proc_result *ret, struct err *err);
void proc_result_done(struct proc_result *r);
/* Pids whose environment holds the NAME=VALUE string `mark` (read from /proc); returns how many were found, up to max.
 * Only processes of our own user can be seen. */
size_t proc_find(const char *mark, pid_t *ret, size_t max);
/* Has a spawned child, which may be a zombie, become its program? false only where the kernel says that it has not. */
bool proc_began(pid_t pid);
/* "pid 123 (sh -c …)" for messages, control bytes escaped; ret holds size. */
const char *proc_describe(pid_t pid, char *ret, size_t size);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* A folder of its own for a test of kubeconfigs, that is also its $HOME, and what it takes to read and use one there. */
#ifndef WHERRY_TEST_KUBE_HOME_H
#define WHERRY_TEST_KUBE_HOME_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/io.h"
#include "steps/target/kube_config.h"
#include "steps/target/kube_login.h"

struct home {
	struct opctx op; /* first: note() gets it back */
	struct arena arena;
	struct err err;
	struct kube_config config;
	char dir[64], noted[512];
	atomic_int cancel;
};

static inline void
home_note(struct opctx *op, const char *text)
{
	snprintf(((struct home *)op)->noted, sizeof(((struct home *)op)->noted), "%s", text);
}

static inline void
home_init(struct home *h)
{
	*h = (struct home){ .dir = "/tmp/wherry-kube-XXXXXX" };
	h->op = (struct opctx){ .arena = &h->arena, .deadline = clock_now() + 60 * NS_PER_S, .cancel_fd = -1, .note = home_note };
	h->op.cancel = &h->cancel;
	assert_non_null(mkdtemp(h->dir));
	setenv("HOME", h->dir, 1);
	unsetenv("KUBECONFIG");
	unsetenv("KUBERNETES_SERVICE_HOST");
}

static inline void
home_done(struct home *h)
{
	char cmd[128];

	snprintf(cmd, sizeof(cmd), "rm -rf '%s'", h->dir);
	assert_int_equal(system(cmd), 0);
	arena_done(&h->arena);
}

/* Write a file, below the home where name is relative; its path. */
static inline const char *
home_file(struct home *h, const char *name, const char *text, mode_t mode)
{
	const char *path = name[0] == '/' ? name : io_join(&h->arena, h->dir, name);
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	assert_int_equal(fwrite(text, 1, strlen(text), f), strlen(text));
	assert_int_equal(fclose(f), 0);
	assert_int_equal(chmod(path, mode), 0);
	return path;
}

static inline int
home_load(struct home *h, const struct kube_config_args *args)
{
	h->err = ERR_INIT;
	return kube_config_load(&h->arena, args, &h->config, &h->err);
}

/* The last call failed, and its message holds this. */
static inline void
home_fails(const struct home *h, int rc, enum err_kind kind, const char *want)
{
	if (rc == 0 || h->err.kind != kind || (strstr(h->err.msg, want) == NULL && strstr(h->err.next, want) == NULL))
		fail_msg("%s, want %s '%s', have %s '%s', next '%s'", rc == 0 ? "succeeded" : "failed", err_kind_name(kind), want,
			 err_kind_name(h->err.kind), h->err.msg, h->err.next);
}

static inline void
home_ok(const struct home *h, int rc)
{
	if (rc < 0)
		fail_msg("%s", h->err.msg);
}

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* Fuzz target: kubeconfigs, from bytes to what is known of a context. Input: the file. */
#include "steps/target/kube_config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A message is one line, and acts on no terminal. */
static void
check_line(const char *s)
{
	if (s == NULL)
		return;
	if (utf8_check(s, strlen(s)) != strlen(s))
		abort();
	for (; *s != '\0'; s++)
		if ((unsigned char)*s < 0x20 || *s == 0x7f)
			abort();
}

static void
check_config(const struct kube_config *c)
{
	const char *const lines[] = { c->from, c->context, c->cluster, c->user, c->server, c->namespace, c->server_name, c->proxy,
				      c->ca, c->cert, c->key, c->token_file, c->basic_user };

	for (size_t i = 0; i < countof(lines); i++)
		check_line(lines[i]);
	for (size_t i = 0; c->impersonate != NULL && c->impersonate[i] != NULL; i++)
		check_line(c->impersonate[i]);
	if (strncmp(c->server, "http", 4) != 0 || (c->cert == NULL) != (c->key == NULL))
		abort();
	if (c->token != NULL)
		check_line(c->token->content);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct value plugin = value_str("/bin/login"), allow = value_list(&plugin, 1);
	const int fd = memfd_create("kubeconfig", MFD_CLOEXEC);
	struct arena a = ARENA_INIT;
	struct err err = ERR_INIT;
	struct kube_config c;
	char path[32];

	if (fd < 0 || fchmod(fd, 0600) < 0 || write(fd, data, size) != (ssize_t)size)
		abort();
	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	if (kube_config_load(&a, &(struct kube_config_args){ .kubeconfig = path, .allow_exec = &allow }, &c, &err) == 0) {
		check_config(&c);
		kube_config_wipe(&c);
	}
	check_line(err.msg);
	check_line(err.next);
	close(fd);
	arena_done(&a);
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Owns the late loading of shared libraries. Like the loader's own tables, what was found is kept for the whole process: the one
 * state that is static here, and it never changes once it is there. */
#include "base/library.h"

#include <dlfcn.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static _Noreturn void
missing(const char *why)
{
	const char *const parts[] = { "wherry: ", why, "; the run can be resumed\n" };

	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++)
		(void)!write(STDERR_FILENO, parts[i], strlen(parts[i]));
	abort();
}

void *
library_call(struct library_call *c, const char *library, const char *name)
{
	void *at = atomic_load_explicit(&c->at, memory_order_acquire), *handle;

	if (at != NULL)
		return at;
	handle = dlopen(library, RTLD_NOW | RTLD_LOCAL);
	at = handle != NULL ? dlsym(handle, name) : NULL;
	if (at == NULL)
		missing(dlerror());
	atomic_store_explicit(&c->at, at, memory_order_release);
	return at;
}

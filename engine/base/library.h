/* SPDX-License-Identifier: Apache-2.0 */
/* Shared libraries that are loaded when they are first used: a few of them draw in dozens more, and most commands need none. */
#ifndef WHERRY_BASE_LIBRARY_H
#define WHERRY_BASE_LIBRARY_H

/* A function of a library, as it is found. */
struct library_call {
	void *_Atomic at;
};

/* The function of that name. The library stays loaded; where it or the function is missing, aborts with a message that says so:
 * a crash is safe, runs are resumable. Any thread. */
void *library_call(struct library_call *, const char *library, const char *name);

/* The library's function of the same name as the one that stands for it, to be called. */
#define LIBRARY_CALL(library, name)                                                       \
	__extension__({                                                                   \
		static struct library_call call_;                                         \
		(__typeof__(&(name)))library_call(&call_, library, #name);                \
	})

#endif

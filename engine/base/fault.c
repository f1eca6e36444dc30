/* SPDX-License-Identifier: Apache-2.0 */
/* Owns the named fault points of test builds: counts how often each was passed and ends the process at the hit that
 * WHERRY_FAULT names, with no chance to clean up. The only mutable state of the program, and no part of a shipped one. */
#include "base/fault.h"

#ifdef WHERRY_FAULTS

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define POINTS_MAX 128

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct point {
	const char *name; /* a literal of the program */
	unsigned long hits;
} points[POINTS_MAX];

static unsigned long
count(const char *name)
{
	for (size_t i = 0; i < POINTS_MAX; i++) {
		if (points[i].name == NULL)
			points[i].name = name;
		if (strcmp(points[i].name, name) == 0)
			return ++points[i].hits;
	}
	abort(); /* more points than POINTS_MAX */
}

/* One write of one line, so that lines of several processes do not mix. */
static void
note(const char *name, unsigned long hit)
{
	const char *path = getenv("WHERRY_FAULT_LOG");
	char line[128];
	int fd, n;

	if (path == NULL)
		return;
	n = snprintf(line, sizeof(line), "%s %lu\n", name, hit);
	fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0 || n >= (int)sizeof(line) || write(fd, line, (size_t)n) != n)
		abort(); /* a test that cannot see its points must not pass */
	(void)close(fd);
}

/* The signal that WHERRY_FAULT="name:n[:kill|:stop]" asks for at this hit, or 0. */
static int
wanted(const char *name, unsigned long hit)
{
	const char *spec = getenv("WHERRY_FAULT");
	size_t len = strlen(name);
	char *end;

	if (spec == NULL || strncmp(spec, name, len) != 0 || spec[len] != ':' ||
	    strtoul(spec + len + 1, &end, 10) != hit)
		return 0;
	if (*end == '\0' || strcmp(end, ":kill") == 0)
		return SIGKILL;
	return strcmp(end, ":stop") == 0 ? SIGSTOP : 0;
}

void
fault_point(const char *name)
{
	unsigned long hit;
	int sig;

	(void)pthread_mutex_lock(&lock);
	hit = count(name);
	(void)pthread_mutex_unlock(&lock);
	note(name, hit);
	sig = wanted(name, hit);
	/* To this thread: it must not get one instruction further, whichever thread would take a signal to the process. */
	if (sig != 0)
		(void)raise(sig);
}

#endif

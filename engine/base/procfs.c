/* SPDX-License-Identifier: Apache-2.0 */
/* Owns what /proc says about processes that somebody else started, or that an earlier run of ours left behind. They
 * come and go while we look, so whatever cannot be read is not there. */
#include "base/proc.h"

#include "base/arena.h"
#include "base/io.h"
#include "base/text.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ENVIRON_MAX (8U << 20)
#define FORKED_ONLY 0x40UL /* PF_FORKNOEXEC of linux/sched.h */

/* Append a file of /proc/PID. */
static void
read_entry(long pid, const char *name, size_t max, struct buf *to)
{
	struct err ignored = ERR_INIT;
	char path[64];
	int fd;

	(void)snprintf(path, sizeof(path), "/proc/%ld/%s", pid, name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return;
	(void)io_read_fd(fd, path, max, to, &ignored);
	(void)close(fd);
}

static bool
holds(const struct buf *environment, const char *mark)
{
	for (size_t at = 0; at < environment->len; at += strlen(environment->p + at) + 1)
		if (strcmp(environment->p + at, mark) == 0)
			return true;
	return false;
}

size_t
proc_find(const char *mark, pid_t *ret, size_t max)
{
	struct buf environment = BUF_INIT(ENVIRON_MAX);
	DIR *dir = opendir("/proc");
	struct dirent *entry;
	size_t n = 0;
	char *end;
	long pid;

	while (dir != NULL && n < max && (entry = readdir(dir)) != NULL) {
		pid = strtol(entry->d_name, &end, 10);
		if (pid <= 0 || *end != '\0')
			continue;
		buf_clear(&environment);
		read_entry(pid, "environ", ENVIRON_MAX, &environment);
		if (holds(&environment, mark))
			ret[n++] = (pid_t)pid;
	}
	if (dir != NULL)
		(void)closedir(dir);
	buf_done(&environment);
	return n;
}

/* proc_pid_stat(5): the name ends with the last ')', then state, four ids, tpgid, flags. */
bool
proc_began(pid_t pid)
{
	struct buf line = BUF_INIT(0);
	const char *at;
	unsigned long flags = 0;

	read_entry(pid, "stat", 1024, &line);
	at = line.len > 0 ? strrchr(line.p, ')') : NULL;
	for (int i = 0; at != NULL && i < 7; i++)
		at = strchr(at + 1, ' ');
	if (at != NULL)
		flags = strtoul(at, NULL, 10);
	buf_done(&line);
	return (flags & FORKED_ONLY) == 0;
}

const char *
proc_describe(pid_t pid, char *ret, size_t size)
{
	struct arena scratch = ARENA_INIT;
	struct buf line = BUF_INIT(size);
	size_t room;
	int n = snprintf(ret, size, "pid %ld", (long)pid);

	read_entry(pid, "cmdline", size, &line);
	while (line.len > 0 && line.p[line.len - 1] == '\0')
		line.len--;
	for (size_t i = 0; i < line.len; i++)
		if (line.p[i] == '\0')
			line.p[i] = ' ';
	room = (size_t)n + sizeof(" (…)") < size ? size - (size_t)n - sizeof(" (…)") : 0;
	if (line.len > 0 && room > 0)
		(void)snprintf(ret + n, size - (size_t)n, " (%s)", text_safe(&scratch, line.p, line.len, room));
	buf_done(&line);
	arena_done(&scratch);
	return ret;
}

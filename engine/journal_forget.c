/* SPDX-License-Identifier: Apache-2.0 */
/* Owns what takes something away from a run's folder. Forgetting leaves a journal that can be read, and nothing that may
 * hold a secret: private values, the key of the secrets' digests, torn tails, and files that steps have left there. A mark
 * is durable before the first of them goes, so that a lost value is never taken for damage, and a second try ends what
 * a crash has left. Removing renames the folder first: a run is there as a whole or not at all. */
#include "journal_file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/io.h"

#define FORGOTTEN "forgotten"
#define REMOVED ".removed-"
#define DEPTH_MAX 64

/* What the journal needs to be read; everything else may hold secrets. */
static bool
is_kept(const char *name)
{
	static const char *const kept[] = { ".", "..", "journal", "lock", "plan", "data", "inbox", FORGOTTEN };

	for (size_t i = 0; i < countof(kept); i++)
		if (strcmp(name, kept[i]) == 0)
			return true;
	return false;
}

static int walk(int at, const char *name, unsigned depth, bool away, uint64_t *bytes, struct err *err);

/* Every name in a folder, which stays itself; keep: but for those that a forgotten run keeps. */
static int
walk_folder(int fd, const char *name, unsigned depth, bool away, bool keep, uint64_t *bytes, struct err *err)
{
	DIR *d = fdopendir(fd);
	struct dirent *e;
	int rc = 0;

	if (d == NULL) {
		(void)close(fd);
		return err_errno(err, "read folder '%s'", name);
	}
	while (rc == 0 && (e = readdir(d)) != NULL)
		if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0 && !(keep && is_kept(e->d_name)))
			rc = walk(dirfd(d), e->d_name, depth, away, bytes, err);
	if (rc == 0 && away && fsync(dirfd(d)) < 0)
		rc = err_errno(err, "sync folder '%s'", name);
	(void)closedir(d);
	return rc;
}

/* Count the bytes of a name and of all below it; away: and unlink it. Symbolic links are not followed. */
static int
walk(int at, const char *name, unsigned depth, bool away, uint64_t *bytes, struct err *err)
{
	struct stat st;
	bool folder;
	int fd;

	if (fstatat(at, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return err_errno(err, "look at '%s'", name);
	folder = S_ISDIR(st.st_mode);
	*bytes += folder ? 0 : (uint64_t)st.st_blocks * 512;
	if (folder && depth == DEPTH_MAX)
		return err_set(err, ERR_LOCAL, "folder '%s' is more than %d deep", name, DEPTH_MAX);
	if (folder) {
		fd = openat(at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (fd < 0)
			return err_errno(err, "open folder '%s'", name);
		if (walk_folder(fd, name, depth + 1, away, false, bytes, err) < 0)
			return -1;
	}
	if (away && unlinkat(at, name, folder ? AT_REMOVEDIR : 0) < 0)
		return err_errno(err, "remove '%s'", name);
	return 0;
}

static int
open_folder(const char *folder, struct err *err)
{
	int fd = open(folder, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	if (fd < 0)
		err_errno(err, "open folder '%s'", folder);
	return fd;
}

int
journal_weigh(const char *dir, const char *run, bool all, uint64_t *ret_bytes, struct err *err)
{
	struct arena scratch = ARENA_INIT;
	const char *folder = store_folder(&scratch, dir, run, err);
	int fd = folder != NULL ? open_folder(folder, err) : -1;
	int rc = -1;

	*ret_bytes = 0;
	if (fd >= 0)
		rc = walk_folder(fd, folder, 1, false, !all, ret_bytes, err);
	arena_done(&scratch);
	return rc;
}

bool
store_is_forgotten(const char *folder)
{
	struct arena scratch = ARENA_INIT;
	bool is = access(io_join(&scratch, folder, FORGOTTEN), F_OK) == 0;

	arena_done(&scratch);
	return is;
}

int
journal_hold(const char *dir, const char *run, int *ret_fd, struct err *err)
{
	struct arena scratch = ARENA_INIT;
	const char *folder = store_folder(&scratch, dir, run, err);
	int rc = folder != NULL && io_private_dir(folder, err) == 0 ? store_lock(folder, run, ret_fd, err) : -1;

	arena_done(&scratch);
	return rc;
}

int
journal_forget(const char *dir, const char *run, const char *by, struct err *err)
{
	struct arena scratch = ARENA_INIT;
	const char *folder = store_folder(&scratch, dir, run, err), *mark = arena_printf(&scratch, "%s\n", by);
	uint64_t bytes = 0;
	int fd = -1, rc = -1;

	if (folder != NULL && io_replace(io_join(&scratch, folder, FORGOTTEN), mark, strlen(mark), 0600, err) == 0)
		fd = open_folder(folder, err);
	if (fd >= 0)
		rc = walk_folder(fd, folder, 1, true, true, &bytes, err);
	arena_done(&scratch);
	return rc;
}

int
journal_remove(const char *dir, const char *run, struct err *err)
{
	struct arena scratch = ARENA_INIT;
	const char *folder = store_folder(&scratch, dir, run, err), *gone = arena_printf(&scratch, REMOVED "%s", run);
	int rc = -1;

	if (folder != NULL && rename(folder, io_join(&scratch, dir, gone)) < 0)
		err_errno(err, "rename '%s'", folder);
	else if (folder != NULL && io_sync_dir(dir, err) == 0)
		rc = journal_sweep(dir, err);
	arena_done(&scratch);
	return rc;
}

int
journal_sweep(const char *dir, struct err *err)
{
	DIR *d = opendir(dir);
	struct dirent *e;
	uint64_t bytes = 0;
	int rc = 0;

	while (d != NULL && rc == 0 && (e = readdir(d)) != NULL)
		if (strncmp(e->d_name, REMOVED, strlen(REMOVED)) == 0)
			rc = walk(dirfd(d), e->d_name, 1, true, &bytes, err);
	if (d != NULL)
		(void)closedir(d);
	return rc;
}

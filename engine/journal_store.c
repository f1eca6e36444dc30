/* SPDX-License-Identifier: Apache-2.0 */
/* Owns the run's folder around the journal: DIR/RUN with `lock` (never removed), `key` (random, for secrets'
 * digests), `plan/` (the closure, stored once, and that of each edit), `data/` (large values under their hash) and `quarantine/` (torn
 * tails); `private` is journal_private.c's. Every file is complete and durable before the journal says its name. */
#include "journal_file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fault.h"
#include "base/io.h"

#define RUN_ID_MAX 128
#define STORED_MAX ((size_t)256 << 20)

static bool
is_word(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_' || c == '.';
}

static bool
is_run_id(const char *run)
{
	size_t len = strlen(run);

	for (size_t i = 0; i < len; i++)
		if (!is_word(run[i]))
			return false;
	return len > 0 && len <= RUN_ID_MAX && run[0] != '.' && run[0] != '-';
}

const char *
store_folder(struct arena *a, const char *dir, const char *run, struct err *err)
{
	if (is_run_id(run))
		return io_join(a, dir, run);
	err_set(err, ERR_USAGE, "'%.64s' cannot be a run's id: letters, digits, '-', '_' and '.', at most %d", run, RUN_ID_MAX);
	return NULL;
}

int
store_open(const char *folder, const char *run, int flags, struct err *err)
{
	struct arena scratch = ARENA_INIT;
	const char *path = io_join(&scratch, folder, "journal");
	int fd = open(path, flags | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	struct stat st;

	if (fd < 0 && (errno == ENOENT || errno == ENOTDIR)) {
		err_set(err, ERR_USAGE, "there is no run '%s': no '%s'", run, path);
		err_next(err, "wherry runs");
	} else if (fd < 0 || fstat(fd, &st) < 0) {
		err_errno(err, "open '%s'", path);
	} else if (!S_ISREG(st.st_mode)) {
		err_set(err, ERR_REFUSED, "journal '%s' is not a regular file", path);
		(void)close(fd);
		fd = -1;
	}
	arena_done(&scratch);
	return fd;
}

int
store_lock(const char *folder, const char *run, int *ret_fd, struct err *err)
{
	char text[1024], host[256] = "", since[32];
	struct arena scratch = ARENA_INIT;
	struct passwd pw, *found = NULL;
	const char *holder;
	int rc;

	(void)gethostname(host, sizeof(host) - 1);
	(void)getpwuid_r(geteuid(), &pw, text, sizeof(text), &found);
	holder = arena_printf(&scratch, "pid %ld, user %s on host %s, since %s, run %s", (long)getpid(),
			      found != NULL ? pw.pw_name : "?", host, clock_text(clock_wall_ms(), since), run);
	rc = io_lock(io_join(&scratch, folder, "lock"), holder, ret_fd, err);
	if (rc < 0 && err->kind == ERR_LOCKED) {
		err_wrap(err, "run '%s' is held by another process", run);
		err_next(err, "wherry status %s --follow", run);
	}
	arena_done(&scratch);
	return rc;
}

/* plan/NAME, with what could lead elsewhere written as %XX. */
static const char *
closure_path(struct arena *a, const char *folder, const char *name)
{
	struct buf b = BUF_INIT(0);
	const char *path;

	buf_puts(&b, "plan/");
	for (const char *s = name; *s != '\0'; s++)
		if (is_word(*s) && !(s == name && *s == '.'))
			buf_putc(&b, *s);
		else
			buf_printf(&b, "%%%02X", (unsigned char)*s);
	path = io_join(a, folder, b.p);
	buf_done(&b);
	return path;
}

int
store_closure(const char *folder, const struct journal_file *files, size_t n, struct err *err)
{
	struct arena scratch = ARENA_INIT;
	int rc = n > 0 ? io_private_dir(io_join(&scratch, folder, "plan"), err) : 0;

	for (size_t i = 0; rc == 0 && i < n; i++)
		rc = io_replace(closure_path(&scratch, folder, files[i].name), files[i].p, files[i].len, 0600, err);
	arena_done(&scratch);
	return rc;
}

int
store_key(const char *folder, bool fresh, unsigned char ret[SHA256_LEN], struct err *err)
{
	struct arena scratch = ARENA_INIT;
	const char *path = io_join(&scratch, folder, "key");
	struct buf bytes = BUF_INIT(0);
	int rc;

	if (fresh) {
		random_bytes(ret, SHA256_LEN);
		rc = io_replace(path, ret, SHA256_LEN, 0600, err);
	} else {
		rc = io_read_file(path, SHA256_LEN, &bytes, err);
		if (rc == 0 && bytes.len != SHA256_LEN)
			rc = err_set(err, ERR_REFUSED, "key '%s' is %zu bytes long, not %d", path, bytes.len, SHA256_LEN);
		if (rc == 0)
			memcpy(ret, bytes.p, SHA256_LEN);
	}
	buf_done(&bytes);
	arena_done(&scratch);
	return rc;
}

int
store_put(const char *folder, const struct buf *bytes, char ret_sha256[SHA256_HEX], struct err *err)
{
	struct arena scratch = ARENA_INIT;
	const char *data = io_join(&scratch, folder, "data");
	int rc = io_private_dir(data, err);

	sha256_hex(bytes->p, bytes->len, ret_sha256);
	if (rc == 0)
		rc = io_replace(io_join(&scratch, data, ret_sha256), bytes->p, bytes->len, 0600, err);
	if (rc == 0)
		FAULT("journal.value.written");
	arena_done(&scratch);
	return rc;
}

/* Append a file that must have this hash. */
static int
read_checked(const char *path, const char *sha256, struct buf *to, struct err *err)
{
	size_t from = to->len;
	char hex[SHA256_HEX];

	if (io_read_file(path, STORED_MAX, to, err) < 0) {
		if (err->sys != ENOENT)
			return -1;
		err->kind = ERR_REFUSED;
	} else {
		sha256_hex(to->len > from ? to->p + from : "", to->len - from, hex);
		if (strcmp(hex, sha256) == 0)
			return 0;
		err_set(err, ERR_REFUSED, "'%s' does not match its hash in the journal", path);
	}
	return err_next(err, "nothing was changed; restore the run's folder from a backup");
}

int
store_get(const char *folder, const char *sha256, struct buf *to, struct err *err)
{
	struct arena scratch = ARENA_INIT;
	int rc = read_checked(io_join(&scratch, io_join(&scratch, folder, "data"), sha256), sha256, to, err);

	arena_done(&scratch);
	return rc;
}

int
store_value(const char *folder, int *private, const char *name, struct arena *a, const char **ret, struct err *err)
{
	struct buf bytes = BUF_INIT(STORED_MAX);
	int rc = private_is_name(name) ? private_get(folder, private, name, &bytes, err) : store_get(folder, name, &bytes, err);

	if (rc == 0)
		rc = value_canonical(a, bytes.p, bytes.len, ret, err);
	buf_done(&bytes);
	return rc;
}

int
store_quarantine(struct arena *a, const char *folder, int fd, uint64_t from, uint64_t to, const char **ret_name,
		 struct err *err)
{
	size_t len = (size_t)(to - from), got = 0;
	char *bytes = xmalloc(len);
	ssize_t n;
	int rc = 0;

	while (rc == 0 && got < len) {
		n = pread(fd, bytes + got, len - got, (off_t)(from + got));
		if (n == 0 || (n < 0 && errno != EINTR))
			rc = err_errno(err, "read the torn tail of '%s/journal'", folder);
		got += n > 0 ? (size_t)n : 0;
	}
	if (rc == 0)
		rc = io_private_dir(io_join(a, folder, "quarantine"), err);
	/* The time keeps a second tail torn at the same place apart from the first. */
	*ret_name = arena_printf(a, "quarantine/%" PRIu64 "-%" PRId64, from, clock_wall_ms());
	if (rc == 0)
		rc = io_replace(io_join(a, folder, *ret_name), bytes, len, 0600, err);
	free(bytes);
	return rc;
}

int
journal_load_file(const char *dir, const char *run, const char *name, const char *sha256, struct buf *to,
		  struct err *err)
{
	struct arena scratch = ARENA_INIT;
	const char *folder = store_folder(&scratch, dir, run, err);
	int rc = folder != NULL ? read_checked(closure_path(&scratch, folder, name), sha256, to, err) : -1;

	arena_done(&scratch);
	return rc;
}

int
journal_live(const char *dir, const char *run, char *ret_holder, size_t size)
{
	struct arena scratch = ARENA_INIT;
	struct err ignored = ERR_INIT;
	const char *folder = store_folder(&scratch, dir, run, &ignored);
	int held = folder != NULL ? io_lock_held(io_join(&scratch, folder, "lock"), ret_holder, size) : 0;

	arena_done(&scratch);
	return held;
}

struct found {
	const char *run;
	struct timespec born;
};

static int
newest_first(const void *a, const void *b)
{
	const struct found *x = a, *y = b;

	if (x->born.tv_sec != y->born.tv_sec)
		return x->born.tv_sec < y->born.tv_sec ? 1 : -1;
	if (x->born.tv_nsec != y->born.tv_nsec)
		return x->born.tv_nsec < y->born.tv_nsec ? 1 : -1;
	return strcmp(y->run, x->run);
}

/* Is it a run, and when was it made? The key is written once, so its time is the run's birth. */
static bool
born_at(const char *dir, const char *run, struct timespec *ret)
{
	struct arena scratch = ARENA_INIT;
	const char *folder = io_join(&scratch, dir, run);
	struct stat st;
	bool is = is_run_id(run) && stat(io_join(&scratch, folder, "journal"), &st) == 0;

	if (is) {
		(void)stat(io_join(&scratch, folder, "key"), &st);
		*ret = st.st_mtim;
	}
	arena_done(&scratch);
	return is;
}

int
journal_list(const char *dir, struct arena *a, const char ***ret, size_t *ret_n, struct err *err)
{
	struct found *list = NULL;
	size_t n = 0, cap = 0;
	struct timespec born;
	const char **names;
	struct dirent *e;
	DIR *d = opendir(dir);

	if (d == NULL && errno != ENOENT)
		return err_errno(err, "read folder '%s'", dir);
	while (d != NULL && (e = readdir(d)) != NULL) {
		if (!born_at(dir, e->d_name, &born))
			continue;
		if (n == cap) {
			cap = cap ? cap * 2 : 16;
			list = xreallocarray(list, cap, sizeof(*list));
		}
		list[n++] = (struct found){ .run = arena_strdup(a, e->d_name), .born = born };
	}
	if (d != NULL)
		(void)closedir(d);
	if (n > 1)
		qsort(list, n, sizeof(*list), newest_first);
	names = arena_array(a, n, sizeof(*names));
	for (size_t i = 0; i < n; i++)
		names[i] = list[i].run;
	free(list);
	*ret = names;
	*ret_n = n;
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* One file without a name, in memory, with all contents one after the other, and where each begins. */
#include "steps/target/folder_foreseen.h"

#include <pthread.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/io.h"
#include "base/map.h"

#define KEPT_MAX ((off_t)512 << 20)

struct place {
	off_t at;
	size_t len;
};

struct folder_foreseen {
	pthread_mutex_t lock;
	struct arena arena; /* paths */
	struct map paths;
	struct place *places;
	uint32_t n, cap;
	off_t end;
	int fd;             /* -1: nothing was kept yet */
	bool forgot;
};

struct folder_foreseen *
folder_foreseen_new(void)
{
	struct folder_foreseen *f = xcalloc(1, sizeof(*f));

	f->fd = -1;
	pthread_mutex_init(&f->lock, NULL);
	return f;
}

static int
keep(struct folder_foreseen *f, struct bytes path, struct bytes content, struct err *err)
{
	const char *key;
	uint32_t at;

	if (f->fd < 0)
		f->fd = memfd_create("wherry-foreseen", MFD_CLOEXEC);
	if (f->fd < 0)
		return err_errno(err, "keep what a folder would hold");
	if (io_pwrite_all(f->fd, content.p, content.len, f->end, err) < 0)
		return -1;
	at = map_keep(&f->paths, &f->arena, path.p, path.len, f->n, &key);
	if (at == MAP_NONE) {
		if (f->n == f->cap) {
			f->cap = f->cap > 0 ? f->cap * 2 : 64;
			f->places = xreallocarray(f->places, f->cap, sizeof(*f->places));
		}
		at = f->n++;
	}
	f->places[at] = (struct place){ f->end, content.len };
	f->end += (off_t)content.len;
	return 0;
}

int
folder_foreseen_keep(struct folder_foreseen *f, struct bytes path, struct bytes content, struct err *err)
{
	int rc = 0;

	pthread_mutex_lock(&f->lock);
	f->forgot = f->forgot || f->end + (off_t)content.len > KEPT_MAX;
	if (!f->forgot)
		rc = keep(f, path, content, err);
	pthread_mutex_unlock(&f->lock);
	return rc;
}

bool
folder_foreseen_get(struct folder_foreseen *f, struct arena *a, struct bytes path, struct bytes *ret)
{
	uint32_t at;
	char *text = NULL;

	pthread_mutex_lock(&f->lock);
	at = f->forgot ? MAP_NONE : map_get(&f->paths, path.p, path.len);
	if (at != MAP_NONE) {
		const struct place *p = &f->places[at];
		size_t got = 0;

		text = arena_alloc(a, p->len + 1);
		while (got < p->len) {
			const ssize_t n = pread(f->fd, text + got, p->len - got, p->at + (off_t)got);

			if (n <= 0)
				break;
			got += (size_t)n;
		}
		*ret = (struct bytes){ text, got };
	}
	pthread_mutex_unlock(&f->lock);
	return text != NULL;
}

void
folder_foreseen_forget(struct folder_foreseen *f)
{
	pthread_mutex_lock(&f->lock);
	f->forgot = true;
	pthread_mutex_unlock(&f->lock);
}

void
folder_foreseen_free(struct folder_foreseen *f)
{
	if (f == NULL)
		return;
	if (f->fd >= 0)
		(void)close(f->fd);
	map_done(&f->paths);
	free(f->places);
	arena_done(&f->arena);
	pthread_mutex_destroy(&f->lock);
	free(f);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Fuzz target: an archive from anywhere. What is accepted must stay inside, and the folder that it makes must be what
 * looking at it said: the dry-run's word is the run's. */
#include "steps/target/archive_io.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/clock.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
check_inside(const struct tree *t)
{
	struct err err = ERR_INIT;

	for (uint32_t i = 0; i < t->n; i++) {
		const struct entry *e = &t->list[i];

		if (e->path[0] == '/' || strcmp(e->path, "..") == 0 || strncmp(e->path, "../", 3) == 0 ||
		    strstr(e->path, "/../") != NULL || (e->type == 'l' && tree_link(e->path, e->says, &err) < 0))
			abort();
	}
}

/* Unpack for real; the folder is read again by other code. */
static void
check_same(struct opctx *op, const char *from, const struct value *limits, const struct value *said)
{
	char root[] = "/tmp/wherry-fuzz-XXXXXX";
	struct err err = ERR_INIT;
	struct tree made, seen;
	struct value now;
	int fd;

	if (mkdtemp(root) == NULL || (fd = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC)) < 0)
		abort();
	tree_init(&made, limits);
	tree_init(&seen, limits);
	if (archive_unpack(op, from, fd, &made, &err) < 0 || tree_read(op, root, &seen, &err) < 0) {
		fprintf(stderr, "%s\n", err.msg);
		abort();
	}
	now = tree_object(&seen, op->arena, "");
	if (!value_eq(&now, said))
		abort();
	tree_done(&made);
	tree_done(&seen);
	close(fd);
	if (tree_remove(root, &err) < 0)
		abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct pair pairs[] = { { "max_size", value_int(1 << 20) }, { "max_entries", value_int(200) } };
	const struct value limits = value_map(pairs, 2);
	struct arena a = ARENA_INIT;
	struct opctx op = { .arena = &a, .deadline = NEVER, .cancel_fd = -1 };
	struct err err = ERR_INIT;
	struct tree t;
	struct value said;
	char from[64];
	const int fd = memfd_create("archive", MFD_CLOEXEC);

	if (fd < 0 || write(fd, data, size) != (ssize_t)size)
		abort();
	(void)snprintf(from, sizeof(from), "/proc/self/fd/%d", fd);
	tree_init(&t, &limits);
	if (archive_unpack(&op, from, -1, &t, &err) == 0) {
		check_inside(&t);
		said = tree_object(&t, &a, "");
		check_same(&op, from, &limits, &said);
	}
	tree_done(&t);
	close(fd);
	arena_done(&a);
	return 0;
}

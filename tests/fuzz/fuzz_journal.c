/* SPDX-License-Identifier: Apache-2.0 */
/* Fuzzes the replay of a journal. The first byte chooses: the rest is the file itself, or it is record lines,
 * around which good batches are put (a fuzzer cannot guess SHA-256), so that parser and fold are reached too. */
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "history.h"
#include "journal_file.h"

#define RUN "fuzz"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* One batch of these lines, chained to the one before. */
static void
wrap(struct buf *to, struct batch *b, const char *body, size_t len, struct sha256 *h)
{
	size_t from = to->len, whole = batch_size(len);
	char tag[RUN_TAG], hash[SHA256_HEX];

	batch_tag(RUN, tag);
	b->len = (uint32_t)len;
	b->records = 0;
	for (size_t i = 0; i < len; i++)
		b->records += body[i] == '\n';
	(void)buf_grow(to, whole);
	if (len > 0)
		memcpy(to->p + from + BATCH_HEAD, body, len);
	batch_finish(to->p + from, tag, b, h, hash);
	to->len += whole;
	memcpy(b->prev, hash, SHA256_HEX);
	b->number++;
	b->first += b->records;
}

/* A line "--" ends a batch. */
static void
wrap_all(struct buf *to, const char *text, size_t len)
{
	struct batch b = { .first = 1, .reserved = len + BATCH_ALIGN };
	const char *end = text + len, *cut;
	struct sha256 *h = sha256_new();

	memset(b.prev, '0', SHA256_HEX - 1);
	for (const char *p = text; p != NULL; p = cut != NULL ? cut + 3 : NULL) {
		cut = memmem(p, (size_t)(end - p), "--\n", 3);
		b.reserved += 2 * BATCH_ALIGN;
	}
	for (const char *p = text; p != NULL; p = cut != NULL ? cut + 3 : NULL) {
		cut = memmem(p, (size_t)(end - p), "--\n", 3);
		wrap(to, &b, p, (size_t)((cut != NULL ? cut : end) - p), h);
	}
	while (to->len < b.reserved)
		buf_putc(to, '\0');
	sha256_free(h);
}

struct replay {
	struct arena arena; /* of one record */
	struct history h;
	struct buf shown;
};

static int
replay(void *data, uint64_t seq, const struct record *r, struct err *err)
{
	struct replay *p = data;
	struct record whole = *r;

	arena_reset(&p->arena);
	buf_clear(&p->shown);
	if (record_values(&p->arena, &whole, err) < 0)
		return -1;
	record_show(&p->shown, &whole);
	return history_apply(&p->h, seq, r, err);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct replay p = { .arena = ARENA_INIT, .shown = BUF_INIT(0) };
	struct buf file = BUF_INIT(0);
	struct err err = ERR_INIT;
	struct scan s;
	int fd;

	if (size == 0 || size > BATCH_BODY_MAX)
		return 0;
	if (data[0] == 'L')
		wrap_all(&file, (const char *)data + 1, size - 1);
	else
		buf_put(&file, data + 1, size - 1);
	fd = memfd_create("fuzz", MFD_CLOEXEC);
	if (fd >= 0 && write(fd, file.p, file.len) == (ssize_t)file.len) {
		history_init(&p.h);
		(void)scan_file(fd, "fuzz", NULL, RUN, NULL, replay, &p, &s, &err);
		history_done(&p.h);
		buf_done(&p.shown);
		arena_done(&p.arena);
	}
	if (fd >= 0)
		(void)close(fd);
	buf_done(&file);
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Owns how an archive's bytes reach libarchive. Of gzip (RFC 1952) libarchive does not check the checksum, so zlib
 * unpacks it here; everything else it reads by itself. */
#include "steps/target/archive_io.h"

#include <archive.h>
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>
#include <zlib.h>

struct archive_source {
	int fd;
	bool gzip, ended; /* ended: at the end of a member; another one may follow */
	z_stream z;
	unsigned char in[ARCHIVE_PIECE], out[ARCHIVE_PIECE];
};

/* Have something to inflate: 1 yes, 0 the end, -1. */
static int
refill(struct archive *in, struct archive_source *s)
{
	ssize_t n;

	if (s->z.avail_in > 0)
		return 1;
	n = read(s->fd, s->in, sizeof(s->in));
	if (n < 0) {
		archive_set_error(in, errno, "it cannot be read");
		return -1;
	}
	s->z.next_in = s->in;
	s->z.avail_in = (uInt)n;
	if (n == 0 && !s->ended)
		archive_set_error(in, EINVAL, "it is cut off");
	return n > 0 ? 1 : s->ended ? 0 : -1;
}

static la_ssize_t
on_read(struct archive *in, void *data, const void **ret)
{
	struct archive_source *s = data;
	int rc;

	s->z.next_out = s->out;
	s->z.avail_out = sizeof(s->out);
	while (s->z.avail_out == sizeof(s->out)) {
		rc = refill(in, s);
		if (rc < 0)
			return -1;
		if (rc == 0 || (s->ended && s->z.next_in[0] != 0x1f)) /* as gzip does, leave what was padded alone */
			break;
		if (s->ended)
			(void)inflateReset(&s->z);
		rc = inflate(&s->z, Z_NO_FLUSH);
		s->ended = rc == Z_STREAM_END;
		if (rc != Z_OK && rc != Z_STREAM_END) {
			archive_set_error(in, EINVAL, "gzip: %s", s->z.msg != NULL ? s->z.msg : "it is damaged");
			return -1;
		}
	}
	*ret = s->out;
	return (la_ssize_t)(sizeof(s->out) - s->z.avail_out);
}

struct archive_source *
archive_source_open(struct archive *in, int fd)
{
	struct archive_source *s = xcalloc(1, sizeof(*s));
	unsigned char magic[2] = { 0 };

	s->fd = fd;
	s->gzip = pread(fd, magic, 2, 0) == 2 && magic[0] == 0x1f && magic[1] == 0x8b;
	if (s->gzip && inflateInit2(&s->z, 16 + MAX_WBITS) != Z_OK)
		abort(); /* out of memory, as xmalloc */
	if ((s->gzip ? archive_read_open(in, s, NULL, on_read, NULL) : archive_read_open_fd(in, fd, ARCHIVE_PIECE)) == ARCHIVE_OK)
		return s;
	archive_source_close(s);
	return NULL;
}

int
archive_source_drain(struct opctx *op, struct archive *in, struct archive_source *s, struct err *err)
{
	const void *p;
	la_ssize_t n = s->gzip ? 1 : 0;

	while (n > 0) {
		if (tree_go_on(op, err) < 0)
			return -1;
		n = on_read(in, s, &p);
	}
	return n < 0 ? err_set(err, ERR_FAILED, "it is damaged") : 0; /* libarchive's error string says how */
}

void
archive_source_close(struct archive_source *s)
{
	if (s == NULL)
		return;
	if (s->gzip)
		(void)inflateEnd(&s->z);
	free(s);
}

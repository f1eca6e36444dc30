/* SPDX-License-Identifier: Apache-2.0 */
/* Owns the file of a plan's image: a head that names what it was made by and from, the plan, and a sum of both that
 * shows torn writes: whoever could forge it could as well replace the text and the journal. */
#include "plan_image.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/io.h"
#include "graph.h"
#include "plan_code.h"

#define IMAGE_MAX ((size_t)512 << 20)
#define SUM sizeof(uint64_t)
#define HEAD (2 * (SHA256_HEX - 1)) /* hex of the maker and of the text */

static void
name_fields(struct buf *to, const struct field *f)
{
	for (; f != NULL && f->name != NULL; f++)
		buf_printf(to, " %s:%d:%d:%d", f->name, f->type, f->item, f->required);
	buf_putc(to, '\n');
}

/* What an image depends on besides the text: this build, and what its steps and targets take. Also counts both. */
static void
maker(struct coder *c, char ret[SHA256_HEX])
{
	struct buf b = BUF_INIT(0);

	buf_printf(&b, "image 2, wherry %s, %zu %zu %zu %zu\n", WHERRY_VERSION, sizeof(struct plan), sizeof(struct step),
		   sizeof(struct field), sizeof(struct node));
	for (; c->registry->steps[c->ntypes] != NULL; c->ntypes++) {
		const struct step_type *t = c->registry->steps[c->ntypes];

		buf_printf(&b, "%s %u %u", t->name, t->version, t->flags);
		name_fields(&b, t->inputs);
	}
	for (; c->registry->targets[c->nkinds] != NULL; c->nkinds++) {
		const struct target_type *t = c->registry->targets[c->nkinds];

		buf_printf(&b, "%s", t->kind);
		name_fields(&b, t->fields);
	}
	sha256_hex(b.p, b.len, ret);
	buf_done(&b);
}

void
plan_image_write(const struct plan *frozen, const struct registry *registry, const char sha256[SHA256_HEX], const char *path)
{
	struct plan copy = *frozen;
	struct coder c = { .registry = registry, .packing = true, .plan = &copy, .out = BUF_INIT(0) };
	struct err ignored = ERR_INIT;
	char made_by[SHA256_HEX];

	if (frozen->nparts > 0)
		return;
	maker(&c, made_by);
	c.fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (c.fd >= 0) {
		buf_puts(&c.out, made_by);
		buf_puts(&c.out, sha256);
		plan_code(&c);
		while (c.out.len > 0)
			plan_code_flush(&c);
		if (c.bad || io_write_all(c.fd, &c.sum, SUM, &ignored) < 0)
			(void)unlink(path);
		(void)close(c.fd);
	}
	buf_done(&c.out);
}

/* Does the whole file say that it is the image of this text, made by this build, and is it what was written? */
static bool
is_whole(const struct buf *image, const char made_by[SHA256_HEX], const char sha256[SHA256_HEX])
{
	uint64_t sum = 0;
	size_t len;

	if (image->len < HEAD + SUM || memcmp(image->p, made_by, SHA256_HEX - 1) != 0 ||
	    memcmp(image->p + SHA256_HEX - 1, sha256, SHA256_HEX - 1) != 0)
		return false;
	len = image->len - SUM;
	for (size_t at = 0; at < len; at += CODE_PIECE)
		sum = checksum64(sum, image->p + at, len - at < CODE_PIECE ? len - at : CODE_PIECE);
	return memcmp(&sum, image->p + len, SUM) == 0;
}

struct plan *
plan_image_read(const struct registry *registry, const char *file, const char sha256[SHA256_HEX], const char *path)
{
	struct plan *p = xcalloc(1, sizeof(*p));
	struct coder c = { .registry = registry, .plan = p };
	struct buf image = BUF_INIT(IMAGE_MAX);
	struct err ignored = ERR_INIT;
	char made_by[SHA256_HEX];

	p->file = arena_strdup(&p->arena, file);
	maker(&c, made_by);
	c.bad = io_read_file(path, IMAGE_MAX, &image, &ignored) < 0 || !is_whole(&image, made_by, sha256);
	if (!c.bad) {
		arena_reserve(&p->arena, 2 * image.len); /* about what the nodes take; in huge pages where it is much */
		c.at = image.p + HEAD;
		c.end = image.p + image.len - SUM;
		plan_code(&c);
	}
	p->image = buf_take(&image);
	if (c.bad || c.at != c.end) {
		plan_free(p);
		return NULL;
	}
	(void)graph_of(p); /* here it keeps nobody waiting */
	return p;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Names of files made from names of objects, and the lists of them with their sums. */
#include "steps/kube_store.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PART_MAX 200 /* of a file's name, which may have 255 bytes */
#define PART_KEPT 120

static bool
is_safe(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '_' || c == '-';
}

/* One part of a path. No name begins with what it may be taken for by a shell or `ls`, and one that is too long ends with
 * its hash behind a '~', which no other has. */
static const char *
part(struct arena *a, const char *name)
{
	struct buf b = BUF_INIT(0);
	char hex[SHA256_HEX];
	const char *ret;

	for (const char *p = name; *p != '\0'; p++)
		if (is_safe(*p) && (p > name || (*p != '.' && *p != '-' && *p != '_')))
			buf_putc(&b, *p);
		else
			buf_printf(&b, "%%%02X", (unsigned char)*p);
	sha256_hex(name, strlen(name), hex);
	ret = b.len > PART_MAX ? arena_printf(a, "%.*s~%.40s", PART_KEPT, b.p, hex) : arena_strndup(a, b.len > 0 ? b.p : "", b.len);
	buf_done(&b);
	return ret;
}

const char *
kube_store_path(struct arena *a, const char *group, const char *kind, const char *namespace, const char *name)
{
	const char *folder = group[0] != '\0' ? arena_printf(a, "%s.%s", kind, group) : kind;

	return arena_printf(a, "%s/%s/%s.yaml", part(a, folder), namespace[0] != '\0' ? part(a, namespace) : "_cluster", part(a, name));
}

const char *
kube_store_path_of(struct arena *a, const struct value *object)
{
	const char *version = value_get_str(object, "apiVersion", ""), *slash = strchr(version, '/');
	const struct value *metadata = value_get(object, "metadata");
	const char *group = slash != NULL ? arena_strndup(a, version, (size_t)(slash - version)) : "";

	return kube_store_path(a, group, value_get_str(object, "kind", ""), metadata != NULL ? value_get_str(metadata, "namespace", "") : "",
			       metadata != NULL ? value_get_str(metadata, "name", "") : "");
}

static struct kube_store_file *
grow(struct kube_store *s)
{
	if (s->n == s->cap) {
		s->cap = s->cap > 0 ? s->cap * 2 : 256;
		s->files = xreallocarray(s->files, s->cap, sizeof(*s->files));
	}
	return &s->files[s->n++];
}

void
kube_store_add(struct kube_store *s, const char *path, struct bytes content)
{
	struct kube_store_file *f = grow(s);

	f->path = arena_strdup(&s->arena, path);
	f->number = s->n;
	sha256_of(content.p, content.len, f->sha256);
}

static int
by_path(const void *a, const void *b)
{
	const struct kube_store_file *x = a, *y = b;
	const int c = strcmp(x->path, y->path);

	return c != 0 ? c : x->number < y->number ? 1 : -1;
}

void
kube_store_sort(struct kube_store *s)
{
	uint32_t n = 0;

	if (s->n == 0)
		return;
	qsort(s->files, s->n, sizeof(*s->files), by_path);
	for (uint32_t i = 0; i < s->n; i++)
		if (n == 0 || strcmp(s->files[n - 1].path, s->files[i].path) != 0)
			s->files[n++] = s->files[i];
	s->n = n;
}

void
kube_store_sums(const struct kube_store *s, struct buf *to)
{
	char hex[SHA256_HEX];

	for (uint32_t i = 0; i < s->n; i++) {
		hex_encode(s->files[i].sha256, SHA256_LEN, hex);
		buf_puts(to, hex);
		buf_puts(to, "  ");
		buf_puts(to, s->files[i].path);
		buf_putc(to, '\n');
	}
}

/* How many there are of each kind; the store is sorted, so a kind's files stand together. */
static struct value
count_kinds(struct arena *a, const struct kube_store *s)
{
	struct pair *pairs;
	size_t n = 0, kinds = 0;

	for (uint32_t i = 0; i < s->n; i++)
		kinds += i == 0 || strncmp(s->files[i - 1].path, s->files[i].path, strcspn(s->files[i].path, "/") + 1) != 0;
	pairs = arena_array(a, kinds + 1, sizeof(*pairs));
	for (uint32_t i = 0; i < s->n; i++) {
		const size_t len = strcspn(s->files[i].path, "/");

		if (i == 0 || strncmp(s->files[i - 1].path, s->files[i].path, len + 1) != 0)
			pairs[n++] = (struct pair){ arena_strndup(a, s->files[i].path, len), value_int(0) };
		pairs[n - 1].v.i++;
	}
	return value_map(pairs, n);
}

void
kube_store_manifest(struct arena *a, const struct kube_store *s, const char *cluster, struct bytes sums, struct buf *to)
{
	struct pair pairs[5];
	struct value v;
	char hex[SHA256_HEX];

	sha256_hex(sums.p, sums.len, hex);
	pairs[0] = (struct pair){ "format", value_str(KUBE_STORE_FORMAT) };
	pairs[1] = (struct pair){ "cluster", value_str(cluster) };
	pairs[2] = (struct pair){ "objects", value_int(s->n) };
	pairs[3] = (struct pair){ "kinds", count_kinds(a, s) };
	pairs[4] = (struct pair){ "sums", value_str(hex) };
	v = value_map(pairs, countof(pairs));
	value_show(to, &v);
	buf_putc(to, '\n');
}

/* Three parts of safe characters, of which none begins with a '.'. */
static bool
is_path(const char *p, size_t len)
{
	unsigned slashes = 0;

	for (size_t i = 0; i < len; i++) {
		if (p[i] == '/')
			slashes++;
		else if (!is_safe(p[i]) && p[i] != '%' && p[i] != '~')
			return false;
		if ((i == 0 || p[i - 1] == '/') && (p[i] == '.' || p[i] == '/'))
			return false;
	}
	return slashes == 2 && len > 5 && memcmp(p + len - 5, ".yaml", 5) == 0;
}

static int
read_line(struct kube_store *s, const char *name, const char *p, size_t len, struct err *err)
{
	const size_t start = 2 * SHA256_LEN + 2;
	struct kube_store_file *f = grow(s);

	if (len <= start || memcmp(p + start - 2, "  ", 2) != 0 || hex_decode(p, 2 * SHA256_LEN, f->sha256) < 0 ||
	    !is_path(p + start, len - start))
		return err_set(err, ERR_FAILED, "'%s/%s': line %u is no sum and path of an object", name, KUBE_STORE_SUMS, s->n);
	f->path = arena_strndup(&s->arena, p + start, len - start);
	f->number = s->n;
	if (s->n > 1 && strcmp(f[-1].path, f->path) >= 0)
		return err_set(err, ERR_FAILED, "'%s/%s': line %u is not in order", name, KUBE_STORE_SUMS, s->n);
	return 0;
}

/* Room for as many files as there are lines, and for no more: they may be 100,000. */
static void
reserve(struct kube_store *s, struct bytes sums)
{
	uint32_t lines = 1;

	for (size_t i = 0; i < sums.len; i++)
		lines += ((const char *)sums.p)[i] == '\n';
	s->files = xreallocarray(s->files, lines, sizeof(*s->files));
	s->cap = lines;
}

int
kube_store_read(struct kube_store *s, const char *name, struct bytes manifest, struct bytes sums, struct err *err)
{
	struct arena scratch = ARENA_INIT;
	const char *p = sums.p, *end = p + sums.len, *nl;
	struct value v = VALUE_NULL;
	char hex[SHA256_HEX];
	int rc = 0;

	sha256_hex(sums.p, sums.len, hex);
	if (value_parse_json(&scratch, manifest.p, manifest.len, &v, err) < 0)
		rc = err_wrap(err, "'%s/%s'", name, KUBE_STORE_MANIFEST);
	else if (strcmp(value_get_str(&v, "format", ""), KUBE_STORE_FORMAT) != 0)
		rc = err_set(err, ERR_FAILED, "'%s/%s' is not of format %s", name, KUBE_STORE_MANIFEST, KUBE_STORE_FORMAT);
	else if (strcmp(value_get_str(&v, "sums", ""), hex) != 0)
		rc = err_set(err, ERR_FAILED, "'%s/%s' was changed since the export: its SHA-256 is not what %s says", name, KUBE_STORE_SUMS,
			     KUBE_STORE_MANIFEST);
	if (rc == 0)
		reserve(s, sums);
	for (; rc == 0 && p < end; p = nl + 1) {
		nl = memchr(p, '\n', (size_t)(end - p));
		if (nl == NULL)
			nl = end;
		rc = read_line(s, name, p, (size_t)(nl - p), err);
	}
	if (rc == 0 && value_get_int(&v, "objects", -1) != s->n)
		rc = err_set(err, ERR_FAILED, "'%s': manifest and sums do not name as many objects", name);
	arena_done(&scratch);
	return rc;
}

bool
kube_store_is(const struct kube_store_file *f, struct bytes content)
{
	unsigned char sum[SHA256_LEN];

	sha256_of(content.p, content.len, sum);
	return memcmp(sum, f->sha256, SHA256_LEN) == 0;
}

void
kube_store_done(struct kube_store *s)
{
	free(s->files);
	arena_done(&s->arena);
	*s = (struct kube_store){ 0 };
}

/* SPDX-License-Identifier: Apache-2.0 */
/* archive.pack and archive.unpack: a folder into a tar archive, and an archive into a folder. Neither changes what is
 * there already: a destination that exists has to be what would be made. */
#include "step.h"

#include <inttypes.h>
#include <string.h>

#include "base/text.h"

static const char *
shown(struct step_ctx *cx, const char *path)
{
	return text_safe(step_arena(cx), path, strlen(path), 0);
}

/* Without slashes at its end. */
static const char *
trimmed(struct step_ctx *cx, const char *path)
{
	size_t len = strlen(path);

	while (len > 1 && path[len - 1] == '/')
		len--;
	return arena_strndup(step_arena(cx), path, len);
}

static int
put_outputs(struct step_ctx *cx, const struct value *object, const char *const *names, struct err *err)
{
	for (; *names != NULL; names++) {
		const struct value *v = object->kind == V_UNKNOWN ? object : value_get(object, *names);

		if (step_output(cx, *names, v != NULL ? *v : VALUE_NULL, err) < 0)
			return -1;
	}
	return 0;
}

struct pack_args {
	const char *from, *to, *compression;
};

static bool
ends_with(const char *s, const char *end)
{
	const size_t len = strlen(s), n = strlen(end);

	return len > n && strcmp(s + len - n, end) == 0;
}

/* What the name says, or NULL. */
static const char *
compression_of(const struct pack_args *a)
{
	static const struct {
		const char *end, *compression;
	} names[] = { { ".tar", "none" },     { ".tar.gz", "gzip" }, { ".tgz", "gzip" }, { ".tar.zst", "zstd" },
		      { ".tar.xz", "xz" }, { ".txz", "xz" } };

	if (a->compression != NULL)
		return a->compression;
	for (size_t i = 0; i < countof(names); i++)
		if (ends_with(a->to, names[i].end))
			return names[i].compression;
	return NULL;
}

static int
pack_check(const void *args, struct err *err)
{
	const struct pack_args *a = args;
	const size_t len = strlen(a->from);

	if (compression_of(a) == NULL)
		return err_set(err, ERR_PLAN, "to: the name says no compression (.tar, .tar.gz, .tgz, .tar.zst, .tar.xz, .txz): "
			       "give `compression`");
	if (strncmp(a->to, a->from, len) == 0 && (a->to[len] == '/' || (len > 0 && a->from[len - 1] == '/')))
		return err_set(err, ERR_PLAN, "to: the archive would lie in the folder that is packed");
	return 0;
}

static int
pack_run(struct step_ctx *cx, const void *args, struct err *err)
{
	static const char *const names[] = { "path", "entries", "size", "sha256", NULL };
	const struct pack_args *a = args;
	const char *from = trimmed(cx, a->from);
	struct pair *body = arena_array(step_arena(cx), 2, sizeof(*body));
	struct effect e = {
		.on = { step_local(cx, "archive"), trimmed(cx, a->to) },
		.verb = "pack",
		.class = EFFECT_IDEMPOTENT,
		.says = step_text(cx, "pack folder '%s' into '%s'", shown(cx, from), shown(cx, a->to)),
	};
	const struct value *file;

	body[0] = (struct pair){ "from", value_str(from) };
	body[1] = (struct pair){ "compression", value_str(compression_of(a)) };
	e.body = value_map(body, 2);
	if (step_effect(cx, &e, &file, err) < 0)
		return -1;
	return put_outputs(cx, file, names, err);
}

static const char *const compressions[] = { "none", "gzip", "zstd", "xz", NULL };

static const struct field pack_inputs[] = {
	{ "from", F_PATH, .offset = offsetof(struct pack_args, from), .required = true,
	  .help = "the folder to pack; files, folders, and symbolic links that stay inside" },
	{ "to", F_PATH, .offset = offsetof(struct pack_args, to), .required = true, .object = true,
	  .help = "the archive to make, for its owner only; one that is there already must be the same" },
	{ "compression", F_STRING, .offset = offsetof(struct pack_args, compression), .choices = compressions,
	  .help = "what the name of the archive says, unless it is given" },
	{ 0 },
};

static const struct field pack_outputs[] = {
	{ "path", F_STRING, .help = "the archive" },
	{ "entries", F_INT, .help = "how many files, folders and links it holds" },
	{ "size", F_INT, .help = "its size in bytes" },
	{ "sha256", F_STRING, .help = "its SHA-256, in hex: the same for the same content, names and modes" },
	{ 0 },
};

const struct step_type archive_pack_step = {
	.name = "archive.pack",
	.summary = "pack a folder into a tar archive",
	.inputs = pack_inputs,
	.outputs = pack_outputs,
	.args_size = sizeof(struct pack_args),
	.version = 1,
	.run = pack_run,
	.check = pack_check,
};

struct unpack_args {
	const char *from, *to, *sha256;
	int64_t max_size, max_entries;
};

/* The archive's own hash, as it is now or, in a dry-run, not known yet. */
static int
look_at_archive(struct step_ctx *cx, const struct unpack_args *a, const char *from, struct value *ret, struct err *err)
{
	const struct value *file;

	if (step_read(cx, &(struct ref){ step_local(cx, "archive"), from }, &file, err) < 0)
		return -1;
	if (file->kind == V_NULL)
		return err_set(err, ERR_FAILED, "archive '%s' does not exist", from);
	if (file->kind == V_MAP && strcmp(value_get_str(file, "kind", ""), "file") != 0)
		return err_set(err, ERR_FAILED, "'%s' is not a file", from);
	*ret = file->kind == V_MAP ? *value_get(file, "sha256") : *file;
	if (a->sha256 != NULL && ret->kind == V_STRING && strcmp(a->sha256, ret->s) != 0)
		return err_set(err, ERR_FAILED, "archive '%s' has the SHA-256 %s, expected is %s", from, ret->s, a->sha256);
	return 0;
}

static int
unpack_run(struct step_ctx *cx, const void *args, struct err *err)
{
	static const char *const names[] = { "path", "entries", "size", NULL };
	const struct unpack_args *a = args;
	const char *from = trimmed(cx, a->from);
	struct pair *body = arena_array(step_arena(cx), 4, sizeof(*body));
	struct effect e = {
		.on = { step_local(cx, "archive"), trimmed(cx, a->to) },
		.verb = "unpack",
		.class = EFFECT_IDEMPOTENT,
		.says = step_text(cx, "unpack '%s' into folder '%s'", shown(cx, from), shown(cx, a->to)),
	};
	const struct value *folder;

	body[0] = (struct pair){ "from", value_str(from) };
	body[1] = (struct pair){ "sha256", VALUE_NULL };
	body[2] = (struct pair){ "max_size", value_int(a->max_size) };
	body[3] = (struct pair){ "max_entries", value_int(a->max_entries) };
	if (look_at_archive(cx, a, from, &body[1].v, err) < 0)
		return -1;
	e.body = value_map(body, 4);
	if (step_effect(cx, &e, &folder, err) < 0)
		return -1;
	return put_outputs(cx, folder, names, err) < 0 ? -1 : step_output(cx, "sha256", body[1].v, err);
}

static const struct field unpack_inputs[] = {
	{ "from", F_PATH, .offset = offsetof(struct unpack_args, from), .required = true,
	  .help = "the archive: tar, also packed by gzip, zstd or xz, or zip" },
	{ "to", F_PATH, .offset = offsetof(struct unpack_args, to), .required = true, .object = true,
	  .help = "the folder to make; one that is there already must hold the same. An archive with an entry that would "
		  "leave it is refused whole" },
	{ "sha256", F_STRING, .offset = offsetof(struct unpack_args, sha256), .pattern = "^[0-9a-f]{64}$",
	  .help = "the SHA-256 that the archive must have, in hex" },
	{ "max_size", F_SIZE, .offset = offsetof(struct unpack_args, max_size), .dflt = "10GiB",
	  .help = "an archive that holds more is refused" },
	{ "max_entries", F_INT, .offset = offsetof(struct unpack_args, max_entries), .dflt = "100000", .min = 1,
	  .max = 10000000, .help = "an archive of more entries is refused" },
	{ 0 },
};

static const struct field unpack_outputs[] = {
	{ "path", F_STRING, .help = "the folder" },
	{ "entries", F_INT, .help = "how many files, folders and links it holds" },
	{ "size", F_INT, .help = "how many bytes the files hold" },
	{ "sha256", F_STRING, .help = "SHA-256 of the archive, in hex" },
	{ 0 },
};

const struct step_type archive_unpack_step = {
	.name = "archive.unpack",
	.summary = "unpack an archive into a new folder",
	.inputs = unpack_inputs,
	.outputs = unpack_outputs,
	.args_size = sizeof(struct unpack_args),
	.version = 1,
	.run = unpack_run,
};

/* SPDX-License-Identifier: Apache-2.0 */
/* file.read, file.write and file.delete: whole files on this machine. */
#include "step.h"

#include <inttypes.h>
#include <string.h>

#include "base/text.h"

/* A member of an object; all members of an unknown object are unknown, of an absent one null. */
static struct value
member(const struct value *object, const char *name)
{
	const struct value *v = object->kind == V_UNKNOWN ? object : value_get(object, name);

	return v != NULL ? *v : VALUE_NULL;
}

static int
put_outputs(struct step_ctx *cx, const struct value *object, const char *const *names, struct err *err)
{
	for (; *names != NULL; names++)
		if (step_output(cx, *names, member(object, *names), err) < 0)
			return -1;
	return 0;
}

struct read_args {
	const char *path;
	int64_t max;
	bool missing_ok;
};

static int
read_run(struct step_ctx *cx, const void *args, struct err *err)
{
	static const char *const names[] = { "content", "size", "sha256", NULL };
	const struct read_args *a = args;
	const struct value *file;

	if (step_read(cx, &(struct ref){ step_local(cx, "file"), a->path }, &file, err) < 0)
		return -1;
	if (file->kind == V_NULL && !a->missing_ok)
		return err_set(err, ERR_FAILED, "'%s' does not exist", a->path);
	if (value_get_int(file, "size", 0) > a->max)
		return err_set(err, ERR_FAILED, "'%s' has %" PRIi64 " bytes, more than max (%" PRIi64 ")", a->path,
			       value_get_int(file, "size", 0), a->max);
	return put_outputs(cx, file, names, err);
}

static const struct field read_inputs[] = {
	{ "path", F_PATH, .offset = offsetof(struct read_args, path), .required = true, .help = "the file to read" },
	{ "max", F_SIZE, .offset = offsetof(struct read_args, max), .dflt = "16MiB", .max = 16 << 20,
	  .help = "a larger file is refused" },
	{ "missing_ok", F_BOOL, .offset = offsetof(struct read_args, missing_ok),
	  .help = "a file that does not exist reads as null instead of failing" },
	{ 0 },
};

static const struct field read_outputs[] = {
	{ "content", F_BYTES, .help = "what the file holds" },
	{ "size", F_INT, .help = "its size in bytes" },
	{ "sha256", F_STRING, .help = "SHA-256 of the content, in hex" },
	{ 0 },
};

const struct step_type file_read_step = {
	.name = "file.read",
	.summary = "read a file",
	.inputs = read_inputs,
	.outputs = read_outputs,
	.args_size = sizeof(struct read_args),
	.flags = STEP_READ_ONLY,
	.version = 1,
	.run = read_run,
};

struct write_args {
	const char *path, *mode;
	struct bytes content;
};

static int
write_run(struct step_ctx *cx, const void *args, struct err *err)
{
	static const char *const names[] = { "path", "size", "sha256", NULL };
	const struct write_args *a = args;
	const char *mode = step_text(cx, "%s%s", strlen(a->mode) == 3 ? "0" : "", a->mode);
	struct pair *body = arena_array(step_arena(cx), 3, sizeof(*body));
	struct effect e = { .verb = "write", .class = EFFECT_PROBE };
	const struct value *after;

	body[0] = (struct pair){ "path", value_str(a->path) };
	body[1] = (struct pair){ "content", value_strn(a->content.len > 0 ? a->content.p : "", a->content.len) };
	body[2] = (struct pair){ "mode", value_str(mode) };
	e.on = (struct ref){ step_local(cx, "file"), a->path };
	e.body = value_map(body, 3);
	e.says = step_text(cx, "write '%s', %zu bytes, mode %s",
			   text_safe(step_arena(cx), a->path, strlen(a->path), 0), a->content.len, mode);
	if (step_effect(cx, &e, &after, err) < 0)
		return -1;
	return put_outputs(cx, after, names, err);
}

static const struct field write_inputs[] = {
	{ "path", F_PATH, .offset = offsetof(struct write_args, path), .required = true, .object = true,
	  .help = "the file to write; its folder must exist, and a symbolic link is refused" },
	{ "content", F_BYTES, .offset = offsetof(struct write_args, content), .required = true,
	  .help = "all that the file shall hold; the old content is replaced at once or not at all" },
	{ "mode", F_STRING, .offset = offsetof(struct write_args, mode), .dflt = "0644",
	  .pattern = "^0?[0-7]{3}$", .help = "permissions in octal" },
	{ 0 },
};

static const struct field write_outputs[] = {
	{ "path", F_STRING, .help = "the file that was written" },
	{ "size", F_INT, .help = "its size in bytes" },
	{ "sha256", F_STRING, .help = "SHA-256 of the content, in hex" },
	{ 0 },
};

const struct step_type file_write_step = {
	.name = "file.write",
	.summary = "write a file, durably and all at once",
	.inputs = write_inputs,
	.outputs = write_outputs,
	.args_size = sizeof(struct write_args),
	.version = 1,
	.run = write_run,
};

struct delete_args {
	const char *path;
};

static int
delete_run(struct step_ctx *cx, const void *args, struct err *err)
{
	const struct delete_args *a = args;
	struct pair *body = arena_array(step_arena(cx), 1, sizeof(*body));
	struct effect e = { .on = { step_local(cx, "file"), a->path }, .verb = "remove", .class = EFFECT_PROBE };

	body[0] = (struct pair){ "path", value_str(a->path) };
	e.body = value_map(body, 1);
	e.says = step_text(cx, "remove '%s'", text_safe(step_arena(cx), a->path, strlen(a->path), 0));
	if (step_effect(cx, &e, NULL, err) < 0)
		return -1;
	return step_output(cx, "path", value_str(a->path), err);
}

static const struct field delete_inputs[] = {
	{ "path", F_PATH, .offset = offsetof(struct delete_args, path), .required = true, .object = true,
	  .help = "the file to remove; it is kept with the run, to be put back by an undo, so it may have 16 MiB at most. One "
		  "that is not there is fine, a folder or a symbolic link is refused" },
	{ 0 },
};

static const struct field delete_outputs[] = {
	{ "path", F_STRING, .help = "the file that is not there any more" },
	{ 0 },
};

const struct step_type file_delete_step = {
	.name = "file.delete",
	.summary = "remove a file",
	.inputs = delete_inputs,
	.outputs = delete_outputs,
	.args_size = sizeof(struct delete_args),
	.version = 1,
	.run = delete_run,
};

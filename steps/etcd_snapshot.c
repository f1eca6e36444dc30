/* SPDX-License-Identifier: Apache-2.0 */
/* etcd.snapshot: the whole store of a cluster into a file, as `etcdctl snapshot save` does it. */
#include <string.h>

#include "base/text.h"
#include "steps/etcd_move.h"

struct snapshot_args {
	struct target *from;
	const char *path;
};

/* How large the file will be, about: "" where the cluster does not tell. */
static const char *
size_of_store(struct step_ctx *cx, const struct value *status)
{
	const struct value *list = value_get(status, "endpoints");
	int64_t size = 0;
	char text[32];

	for (size_t i = 0; list != NULL && list->kind == V_LIST && i < list->len; i++) {
		const int64_t n = value_get_int(&list->items[i], "db_size", 0);

		size = n > size ? n : size;
	}
	return size > 0 ? step_text(cx, ", about %s,", size_text((uint64_t)size, text)) : "";
}

static int
snapshot_run(struct step_ctx *cx, const void *args, struct err *err)
{
	const struct snapshot_args *a = args;
	struct effect e = { .on = { a->from, etcd_path_snapshot(step_arena(cx), a->path) }, .verb = "save",
			    .body = value_map(NULL, 0), .class = EFFECT_PROBE };
	const struct value *status, *after;

	if (step_read(cx, &(struct ref){ a->from, "status" }, &status, err) < 0)
		return -1;
	e.says = step_text(cx, "save a snapshot of the whole store%s as '%s'", size_of_store(cx, status),
			   text_safe(step_arena(cx), a->path, strlen(a->path), 0));
	if (step_effect(cx, &e, &after, err) < 0)
		return -1;
	return etcd_put_outputs(cx, after, err);
}

static const struct field snapshot_inputs[] = {
	{ "from", F_TARGET, .offset = offsetof(struct snapshot_args, from), .required = true, .reads = true,
	  .kind = "etcd",
	  .help = "the cluster; where authentication is on, its user needs the role root" },
	{ "path", F_PATH, .offset = offsetof(struct snapshot_args, path), .required = true,
	  .help = "the file to make; its folder must exist, and a file that is there is not replaced" },
	{ 0 },
};

static const struct field snapshot_outputs[] = {
	{ "path", F_STRING, .help = "the file" },
	{ "size", F_INT, .help = "its size in bytes" },
	{ "sha256", F_STRING, .help = "SHA-256 of the file, in hex" },
	{ 0 },
};

const struct step_type etcd_snapshot_step = {
	.name = "etcd.snapshot",
	.summary = "save a snapshot of the whole store in a file",
	.inputs = snapshot_inputs,
	.outputs = snapshot_outputs,
	.args_size = sizeof(struct snapshot_args),
	.version = 1,
	.run = snapshot_run,
};

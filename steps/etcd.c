/* SPDX-License-Identifier: Apache-2.0 */
/* The small etcd steps: status, get and count only look; put and delete change keys under a guard; release removes
 * what a copy and its sync keep on their destination while they are under way. */
#include "step.h"

#include <string.h>

#include "base/text.h"
#include "steps/etcd_ref.h"

#define KEY_SHOWN 200

static const char *
shown(struct step_ctx *cx, const char *key)
{
	return text_safe(step_arena(cx), key, strlen(key), KEY_SHOWN);
}

/* The path of all keys with a prefix. */
static const char *
prefix_path(struct step_ctx *cx, const char *prefix)
{
	const struct bytes from = etcd_text(prefix);

	return etcd_path_range(step_arena(cx), from, etcd_prefix_end(step_arena(cx), from));
}

/* Members of a map as outputs, under their names or others; where the map is unknown, so are they. */
struct output_of {
	const char *output, *member;
};

static int
put_outputs(struct step_ctx *cx, const struct value *map, const struct output_of *list, struct err *err)
{
	for (; list->output != NULL; list++) {
		const struct value *v = map->kind == V_UNKNOWN ? map : value_get(map, list->member);

		if (step_output(cx, list->output, v != NULL ? *v : VALUE_NULL, err) < 0)
			return -1;
	}
	return 0;
}

struct status_args {
	struct target *in;
};

static int
status_run(struct step_ctx *cx, const void *args, struct err *err)
{
	static const struct output_of outputs[] = {
		{ "cluster_id", "cluster_id" }, { "revision", "revision" }, { "versions", "versions" },
		{ "quota", "quota" },           { "alarms", "alarms" },     { "endpoints", "endpoints" },
		{ 0 },
	};
	const struct status_args *a = args;
	const struct value *status;

	if (step_read(cx, &(struct ref){ a->in, "status" }, &status, err) < 0)
		return -1;
	return put_outputs(cx, status, outputs, err);
}

static const struct field status_inputs[] = {
	{ "in", F_TARGET, .offset = offsetof(struct status_args, in), .required = true, .kind = "etcd",
	  .help = "the cluster to ask" },
	{ 0 },
};

static const struct field status_outputs[] = {
	{ "cluster_id", F_STRING, .help = "the cluster's own id, in hexadecimal" },
	{ "revision", F_INT, .help = "the store's revision" },
	{ "versions", F_LIST, F_STRING, .help = "versions of the members that answered" },
	{ "quota", F_INT, .help = "the members' quota in bytes; 0 where the server does not tell (before 3.6)" },
	{ "alarms", F_LIST, F_MAP, .help = "alarms that are raised: {member_id, alarm}" },
	{ "endpoints", F_LIST, F_MAP,
	  .help = "of each endpoint its version, db_size, db_size_in_use, leader, errors; or error" },
	{ 0 },
};

const struct step_type etcd_status_step = {
	.name = "etcd.status",
	.summary = "ask an etcd cluster how it is",
	.inputs = status_inputs,
	.outputs = status_outputs,
	.args_size = sizeof(struct status_args),
	.flags = STEP_READ_ONLY,
	.version = 1,
	.run = status_run,
};

struct get_args {
	struct target *in;
	const char *key;
	bool required;
};

static int
get_run(struct step_ctx *cx, const void *args, struct err *err)
{
	static const struct output_of outputs[] = {
		{ "value", "value" }, { "version", "version" }, { "create_revision", "create_revision" },
		{ "mod_revision", "mod_revision" }, { "lease", "lease" }, { 0 },
	};
	const struct get_args *a = args;
	const char *path = etcd_path_key(step_arena(cx), etcd_text(a->key));
	const struct value *found;

	if (step_read(cx, &(struct ref){ a->in, path }, &found, err) < 0)
		return -1;
	if (found->kind == V_NULL && a->required)
		return err_set(err, ERR_FAILED, "key '%s' is not there", shown(cx, a->key));
	if (step_output(cx, "exists", found->kind == V_UNKNOWN ? *found : value_bool(found->kind != V_NULL), err) < 0)
		return -1;
	return put_outputs(cx, found, outputs, err);
}

static const struct field get_inputs[] = {
	{ "in", F_TARGET, .offset = offsetof(struct get_args, in), .required = true, .kind = "etcd",
	  .help = "the cluster to read from" },
	{ "key", F_STRING, .offset = offsetof(struct get_args, key), .required = true, .help = "the key" },
	{ "required", F_BOOL, .offset = offsetof(struct get_args, required), .help = "fail when the key is not there" },
	{ 0 },
};

static const struct field get_outputs[] = {
	{ "exists", F_BOOL, .help = "is the key there" },
	{ "value", F_BYTES, .help = "its value, null when it is not there, as all that follows" },
	{ "version", F_INT, .help = "how often it was written since it was created" },
	{ "create_revision", F_INT, .help = "revision in which it was created" },
	{ "mod_revision", F_INT, .help = "revision of its last change" },
	{ "lease", F_INT, .help = "id of its lease, 0: none" },
	{ 0 },
};

const struct step_type etcd_get_step = {
	.name = "etcd.get",
	.summary = "read one key",
	.inputs = get_inputs,
	.outputs = get_outputs,
	.args_size = sizeof(struct get_args),
	.flags = STEP_READ_ONLY,
	.version = 1,
	.run = get_run,
};

struct count_args {
	struct target *in;
	const char *prefix;
};

static int
count_run(struct step_ctx *cx, const void *args, struct err *err)
{
	static const struct output_of outputs[] = { { "count", "count" }, { "revision", "header_revision" }, { 0 } };
	const struct count_args *a = args;
	const struct value *found;

	if (step_read(cx, &(struct ref){ a->in, prefix_path(cx, a->prefix) }, &found, err) < 0)
		return -1;
	return put_outputs(cx, found, outputs, err);
}

static const struct field count_inputs[] = {
	{ "in", F_TARGET, .offset = offsetof(struct count_args, in), .required = true, .kind = "etcd",
	  .help = "the cluster to ask" },
	{ "prefix", F_STRING, .offset = offsetof(struct count_args, prefix), .required = true,
	  .help = "what the keys begin with; empty: all keys" },
	{ 0 },
};

static const struct field count_outputs[] = {
	{ "count", F_INT, .help = "how many keys begin with it" },
	{ "revision", F_INT, .help = "the store's revision when it answered" },
	{ 0 },
};

const struct step_type etcd_count_step = {
	.name = "etcd.count",
	.summary = "count the keys under a prefix",
	.inputs = count_inputs,
	.outputs = count_outputs,
	.args_size = sizeof(struct count_args),
	.flags = STEP_READ_ONLY,
	.version = 1,
	.run = count_run,
};

struct put_args {
	struct target *in;
	const char *key;
	struct bytes value, if_value;
	bool if_absent;
	int64_t if_revision;
};

static int
guard_check(bool absent, bool value, int64_t revision, struct err *err)
{
	if (absent + value + (revision > 0) > 1)
		return err_set(err, ERR_PLAN, "only one guard (if_absent, if_value, if_revision) can be given");
	return 0;
}

static int
put_check(const void *args, struct err *err)
{
	const struct put_args *a = args;

	return guard_check(a->if_absent, a->if_value.p != NULL, a->if_revision, err);
}

static int
put_run(struct step_ctx *cx, const void *args, struct err *err)
{
	static const struct output_of outputs[] = { { "revision", "mod_revision" }, { "version", "version" }, { 0 } };
	const struct put_args *a = args;
	const struct etcd_guard guard = { a->if_absent, a->if_value.p != NULL ? &a->if_value : NULL, a->if_revision };
	const struct effect e = {
		.on = { a->in, etcd_path_key(step_arena(cx), etcd_text(a->key)) },
		.verb = "put",
		.body = etcd_put_body(step_arena(cx), a->value, &guard),
		.class = EFFECT_PROBE,
		.says = step_text(cx, "put key '%s' (%zu bytes)", shown(cx, a->key), a->value.len),
	};
	const struct value *after;

	if (step_effect(cx, &e, &after, err) < 0)
		return -1;
	return put_outputs(cx, after, outputs, err);
}

static const struct field put_inputs[] = {
	{ "in", F_TARGET, .offset = offsetof(struct put_args, in), .required = true, .kind = "etcd", .object = true,
	  .help = "the cluster to write to" },
	{ "key", F_STRING, .offset = offsetof(struct put_args, key), .required = true, .object = true, .help = "the key" },
	{ "value", F_BYTES, .offset = offsetof(struct put_args, value), .required = true, .help = "its new value" },
	{ "if_absent", F_BOOL, .offset = offsetof(struct put_args, if_absent),
	  .help = "only when the key is not there" },
	{ "if_value", F_BYTES, .offset = offsetof(struct put_args, if_value), .help = "only when this is its value" },
	{ "if_revision", F_INT, .offset = offsetof(struct put_args, if_revision), .min = 0, .max = 9e18,
	  .help = "only when its last change was in this revision" },
	{ 0 },
};

static const struct field put_outputs_table[] = {
	{ "revision", F_INT, .help = "revision of the key's last change" },
	{ "version", F_INT, .help = "how often it was written since it was created" },
	{ 0 },
};

const struct step_type etcd_put_step = {
	.name = "etcd.put",
	.summary = "write one key",
	.inputs = put_inputs,
	.outputs = put_outputs_table,
	.args_size = sizeof(struct put_args),
	.version = 1,
	.run = put_run,
	.check = put_check,
};

struct delete_args {
	struct target *in;
	const char *key, *prefix;
	struct bytes if_value;
	int64_t if_revision;
};

static int
delete_check(const void *args, struct err *err)
{
	const struct delete_args *a = args;

	if ((a->key != NULL) == (a->prefix != NULL))
		return err_set(err, ERR_PLAN, "give either key or prefix");
	if (a->prefix != NULL && (a->if_value.p != NULL || a->if_revision > 0))
		return err_set(err, ERR_PLAN, "guards are for one key, not for a prefix");
	return guard_check(false, a->if_value.p != NULL, a->if_revision, err);
}

static int
delete_run(struct step_ctx *cx, const void *args, struct err *err)
{
	const struct delete_args *a = args;
	const struct etcd_guard guard = { false, a->if_value.p != NULL ? &a->if_value : NULL, a->if_revision };
	const struct effect e = {
		.on = { a->in, a->key != NULL ? etcd_path_key(step_arena(cx), etcd_text(a->key))
					      : prefix_path(cx, a->prefix) },
		.verb = "delete",
		.body = etcd_delete_body(step_arena(cx), &guard),
		.class = a->key != NULL ? EFFECT_PROBE : EFFECT_IDEMPOTENT,
		.says = a->key != NULL ? step_text(cx, "delete key '%s'", shown(cx, a->key))
				       : step_text(cx, "delete all keys under '%s'", shown(cx, a->prefix)),
	};

	return step_effect(cx, &e, NULL, err);
}

static const struct field delete_inputs[] = {
	{ "in", F_TARGET, .offset = offsetof(struct delete_args, in), .required = true, .kind = "etcd", .object = true,
	  .help = "the cluster to delete from" },
	{ "key", F_STRING, .offset = offsetof(struct delete_args, key), .object = true, .help = "the key" },
	{ "prefix", F_STRING, .offset = offsetof(struct delete_args, prefix), .object = true,
	  .help = "what the keys begin with, instead of one key" },
	{ "if_value", F_BYTES, .offset = offsetof(struct delete_args, if_value),
	  .help = "only when this is its value" },
	{ "if_revision", F_INT, .offset = offsetof(struct delete_args, if_revision), .min = 0, .max = 9e18,
	  .help = "only when its last change was in this revision" },
	{ 0 },
};

static const struct field no_outputs[] = { { 0 } };

const struct step_type etcd_delete_step = {
	.name = "etcd.delete",
	.summary = "delete one key, or all keys under a prefix",
	.inputs = delete_inputs,
	.outputs = no_outputs,
	.args_size = sizeof(struct delete_args),
	.version = 1,
	.run = delete_run,
	.check = delete_check,
};

struct release_args {
	struct target *in;
	const char *markers, *scope;
};

static int
release_run(struct step_ctx *cx, const void *args, struct err *err)
{
	const struct release_args *a = args;

	return step_effect(cx,
		&(struct effect){
			.on = { a->in, etcd_path_markers(step_arena(cx), a->markers) },
			.verb = "release-bulk",
			.body = etcd_release_body(step_arena(cx), a->markers, a->scope, false),
			.class = EFFECT_IDEMPOTENT,
			.says = step_text(cx, "remove this run's claim and cursors under '%s'", shown(cx, a->markers)),
		},
		NULL, err);
}

static const struct field release_inputs[] = {
	{ "in", F_TARGET, .offset = offsetof(struct release_args, in), .required = true, .kind = "etcd",
	  .help = "the destination of the copy" },
	{ "markers", F_STRING, .offset = offsetof(struct release_args, markers), .dflt = "/wherry/",
	  .help = "where the copy kept its claim and cursors" },
	{ "scope", F_STRING, .offset = offsetof(struct release_args, scope), .dflt = "data",
	  .help = "the scope of the copy" },
	{ 0 },
};

const struct step_type etcd_release_step = {
	.name = "etcd.release",
	.summary = "remove what a copy and its sync keep on the destination while they are under way",
	.inputs = release_inputs,
	.outputs = no_outputs,
	.args_size = sizeof(struct release_args),
	.version = 1,
	.run = release_run,
};

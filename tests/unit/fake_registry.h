/* SPDX-License-Identifier: Apache-2.0 */
/* A small registry for tests of the plan language: one step type for each kind of field. */
#ifndef WHERRY_TESTS_FAKE_REGISTRY_H
#define WHERRY_TESTS_FAKE_REGISTRY_H

#include <stddef.h>

#include "step.h"

struct fake_set {
	const struct value *values;
};
static const struct field fake_set_fields[] = {
	{ .name = "values", .type = F_MAP, .offset = offsetof(struct fake_set, values), .required = true, .help = "values" },
	{ 0 },
};

struct fake_exec {
	const struct value *argv, *env;
	const char *mode;
	int64_t number, grace;
	bool read_only;
};
static const char *const fake_modes[] = { "fast", "careful", NULL };
static const struct field fake_exec_fields[] = {
	{ .name = "argv", .type = F_LIST, .item = F_STRING, .offset = offsetof(struct fake_exec, argv), .required = true,
	  .help = "program and arguments" },
	{ .name = "env", .type = F_MAP, .offset = offsetof(struct fake_exec, env), .secret = true, .help = "environment" },
	{ .name = "mode", .type = F_STRING, .offset = offsetof(struct fake_exec, mode), .choices = fake_modes,
	  .dflt = "fast", .help = "how" },
	{ .name = "number", .type = F_INT, .offset = offsetof(struct fake_exec, number), .min = 1, .max = 10, .dflt = "7",
	  .help = "a number" },
	{ .name = "grace", .type = F_DURATION, .offset = offsetof(struct fake_exec, grace), .dflt = "10s",
	  .help = "a while" },
	{ .name = "read_only", .type = F_BOOL, .offset = offsetof(struct fake_exec, read_only), .help = "only looks" },
	{ 0 },
};

static int
fake_exec_check(const void *args, struct err *err)
{
	const struct fake_exec *a = args;

	return a->argv->len > 0 ? 0 : err_set(err, ERR_PLAN, "argv is empty");
}

static bool
fake_exec_is_read_only(const void *args)
{
	return ((const struct fake_exec *)args)->read_only;
}

struct fake_wait {
	const struct call *step;
	const struct expr *until;
};
static const struct field fake_wait_fields[] = {
	{ .name = "step", .type = F_CALL, .offset = offsetof(struct fake_wait, step), .required = true, .help = "a step" },
	{ .name = "until", .type = F_EXPR, .offset = offsetof(struct fake_wait, until), .required = true, .help = "the end" },
	{ 0 },
};

struct fake_get {
	struct target *from;
	struct bytes key;
};
static const struct field fake_get_fields[] = {
	{ .name = "from", .type = F_TARGET, .kind = "etcd", .offset = offsetof(struct fake_get, from), .required = true,
	  .help = "a store" },
	{ .name = "key", .type = F_BYTES, .offset = offsetof(struct fake_get, key), .help = "a key" },
	{ 0 },
};

struct fake_etcd {
	const struct value *endpoints;
	const struct secret *password;
};
static const struct field fake_etcd_fields[] = {
	{ .name = "endpoints", .type = F_LIST, .item = F_URL, .offset = offsetof(struct fake_etcd, endpoints),
	  .required = true, .help = "addresses" },
	{ .name = "password", .type = F_SECRET, .offset = offsetof(struct fake_etcd, password), .help = "the password" },
	{ 0 },
};

static const struct field fake_no_fields[] = { { 0 } };
static const struct field fake_set_outputs[] = { { .name = "*", .type = F_ANY, .help = "the values" }, { 0 } };
static const struct field fake_get_outputs[] = { { .name = "value", .type = F_ANY, .help = "the value" }, { 0 } };

static const struct step_type fake_types[] = {
	{ .name = "set", .inputs = fake_set_fields, .outputs = fake_set_outputs, .args_size = sizeof(struct fake_set),
	  .flags = STEP_PURE | STEP_READ_ONLY },
	{ .name = "exec", .inputs = fake_exec_fields, .outputs = fake_no_fields, .args_size = sizeof(struct fake_exec),
	  .check = fake_exec_check, .is_read_only = fake_exec_is_read_only },
	{ .name = "wait", .inputs = fake_wait_fields, .outputs = fake_no_fields, .args_size = sizeof(struct fake_wait),
	  .flags = STEP_READ_ONLY },
	{ .name = "etcd.get", .inputs = fake_get_fields, .outputs = fake_get_outputs, .args_size = sizeof(struct fake_get),
	  .flags = STEP_READ_ONLY },
	{ .name = "etcd.fence", .inputs = fake_no_fields, .outputs = fake_no_fields, .flags = STEP_LATER },
};
static const struct step_type *const fake_steps[] = {
	&fake_types[0], &fake_types[1], &fake_types[2], &fake_types[3], &fake_types[4], NULL,
};
static const struct target_type fake_kinds[] = {
	{ .kind = "etcd", .fields = fake_etcd_fields, .args_size = sizeof(struct fake_etcd) },
	{ .kind = "file", .fields = fake_no_fields, .local = true },
};
static const struct target_type *const fake_targets[] = { &fake_kinds[0], &fake_kinds[1], NULL };
static const struct registry fake_registry = { .steps = fake_steps, .targets = fake_targets };

#endif

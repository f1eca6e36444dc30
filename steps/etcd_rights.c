/* SPDX-License-Identifier: Apache-2.0 */
/* etcd.fence makes a prefix read-only for a role, by one re-grant in the one place that all its users pass: puts, deletes
 * and transactions are refused at once, while reads and open watches go on. etcd.grant and etcd.user give the users of a
 * destination what they had on the source. The world before is in the pre-images; nothing here remembers it. */
#include "steps/etcd_rights.h"

#include <string.h>

#include "base/text.h"
#include "steps/etcd_move.h"

static struct value
map_of(struct step_ctx *cx, const struct pair *pairs, size_t n)
{
	struct pair *copy = arena_array(step_arena(cx), n, sizeof(*copy));

	memcpy(copy, pairs, n * sizeof(*copy));
	return value_map(copy, n);
}

static void
note_writers(struct step_ctx *cx, const struct etcd_writers *w)
{
	struct buf names = BUF_INIT(400);

	for (uint32_t i = 0; i < w->root_users.len; i++)
		buf_printf(&names, "%s'%s'", i > 0 ? ", " : "", w->root_users.items[i].s);
	for (uint32_t i = 0; i < w->others.len; i++)
		buf_printf(&names, ", '%s' (role '%s')", value_get_str(&w->others.items[i], "user", "?"),
			   value_get_str(&w->others.items[i], "role", "?"));
	if (names.len > 0)
		step_note(cx, "who may still write there: %s", names.p);
	buf_done(&names);
}

/* The store's revision; in a dry-run it is not the run's. */
static int
revision_after(struct step_ctx *cx, struct target *on, const struct etcd_writers *w, struct value *ret, struct err *err)
{
	const struct query q = { .target = on, .from = w->from, .to = w->to, .limit = 1, .keys_only = true };
	struct page page;

	if (step_list(cx, &q, &page, err) < 0)
		return -1;
	*ret = step_is_plan(cx) ? value_unknown("the revision of a fence that has not been set up") : value_int(page.revision);
	return 0;
}

static int
fence_run(struct step_ctx *cx, const void *args, struct err *err)
{
	const struct etcd_fence_args *a = args;
	struct etcd_writers w;
	struct value revision;

	if (etcd_look_for_writers(cx, a, &w, err) < 0)
		return -1;
	const struct pair range[] = { { "key", value_strn(w.from.p, w.from.len) }, { "end", value_strn(w.to.p, w.to.len) } };
	const struct effect e = {
		.on = { a->on, etcd_path_role(step_arena(cx), a->role) },
		.verb = "fence",
		.body = map_of(cx, range, 2),
		.class = EFFECT_IDEMPOTENT,
		.says = step_text(cx, "make '%s*' read-only for role '%s' (%u users)", etcd_shown(cx, etcd_text(a->prefix)),
				  text_safe(step_arena(cx), a->role, strlen(a->role), 0), w.users.len),
	};

	note_writers(cx, &w);
	if (step_effect(cx, &e, NULL, err) < 0 || revision_after(cx, a->on, &w, &revision, err) < 0 ||
	    step_output(cx, "revision", revision, err) < 0 || step_output(cx, "root_users", w.root_users, err) < 0)
		return -1;
	return step_output(cx, "others", w.others, err);
}

static const struct field fence_inputs[] = {
	ETCD_FENCE_INPUTS,
	{ 0 },
};

static const struct field fence_outputs[] = {
	{ "revision", F_INT, .help = "the store's revision behind the fence: by this role nothing is written there after it" },
	{ "root_users", F_LIST, F_STRING, .help = "users with the role root, who may still write" },
	{ "others", F_LIST, F_MAP, .help = "who else may still write there: {user, role, permission}" },
	{ 0 },
};

const struct step_type etcd_fence_step = {
	.name = "etcd.fence",
	.summary = "make a prefix read-only for the users of a role",
	.inputs = fence_inputs,
	.outputs = fence_outputs,
	.args_size = sizeof(struct etcd_fence_args),
	.version = 1,
	.run = fence_run,
};

struct grant_args {
	struct target *in;
	const char *role;
	const struct value *permissions;
	bool only;
};

/* Where the list is written down in the plan, it is checked with it. */
static int
grant_check(const void *args, struct err *err)
{
	const struct grant_args *a = args;
	struct arena arena = ARENA_INIT;
	struct etcd_perms perms;
	const int rc = a->permissions != NULL ? etcd_perms_parse(&arena, a->permissions, &perms, err) : 0;

	arena_done(&arena);
	return rc;
}

/* A member of an after-image, as an output of that name. */
static int
put_member(struct step_ctx *cx, const char *name, const struct value *after, struct err *err)
{
	const struct value *v = after->kind == V_UNKNOWN ? after : value_get(after, name);

	return step_output(cx, name, v != NULL ? *v : VALUE_NULL, err);
}

static int
grant_run(struct step_ctx *cx, const void *args, struct err *err)
{
	const struct grant_args *a = args;
	const struct pair body[] = { { "permissions", *a->permissions }, { "only", value_bool(a->only) } };
	const struct effect e = {
		.on = { a->in, etcd_path_role(step_arena(cx), a->role) },
		.verb = "set",
		.body = map_of(cx, body, 2),
		.class = EFFECT_IDEMPOTENT,
		.says = step_text(cx, "grant role '%s' %u permissions%s", text_safe(step_arena(cx), a->role, strlen(a->role), 0),
				  a->permissions->len, a->only ? " and no other" : ""),
	};
	const struct value *after;

	return step_effect(cx, &e, &after, err) < 0 ? -1 : put_member(cx, "permissions", after, err);
}

static const struct field grant_inputs[] = {
	{ "in", F_TARGET, .offset = offsetof(struct grant_args, in), .required = true, .kind = "etcd",
	  .help = "the cluster; where authentication is on, its user needs the role root" },
	{ "role", F_STRING, .offset = offsetof(struct grant_args, role), .required = true,
	  .help = "the role; made where it is not there" },
	{ "permissions", F_LIST, F_MAP, offsetof(struct grant_args, permissions), .required = true,
	  .help = "each {prefix: TEXT, may: read|write|readwrite}, or {key: TEXT, end: TEXT, may: …}, end empty for one key" },
	{ "only", F_BOOL, .offset = offsetof(struct grant_args, only), .help = "take away what else the role may do" },
	{ 0 },
};

static const struct field grant_outputs[] = {
	{ "permissions", F_LIST, F_MAP, .help = "what the role may do now: {key, end, may}" },
	{ 0 },
};

const struct step_type etcd_grant_step = {
	.name = "etcd.grant",
	.summary = "give a role permissions",
	.inputs = grant_inputs,
	.outputs = grant_outputs,
	.args_size = sizeof(struct grant_args),
	.version = 1,
	.run = grant_run,
	.check = grant_check,
};

struct user_args {
	struct target *in;
	const char *user;
	const struct value *roles;
	const struct secret *password;
	bool only, change_password;
};

static int
user_check(const void *args, struct err *err)
{
	const struct user_args *a = args;

	return a->change_password && a->password == NULL ? err_set(err, ERR_PLAN, "change_password needs a password") : 0;
}

static int
user_run(struct step_ctx *cx, const void *args, struct err *err)
{
	const struct user_args *a = args;
	const char *name = text_safe(step_arena(cx), a->user, strlen(a->user), 0);
	const struct pair body[] = { { "roles", a->roles != NULL ? *a->roles : value_list(NULL, 0) },
				     { "only", value_bool(a->only) },
				     { "password", a->password != NULL ? value_secret(a->password) : VALUE_NULL } };
	struct effect e = { .on = { a->in, etcd_path_user(step_arena(cx), a->user) }, .verb = "set",
			    .body = map_of(cx, body, 3), .class = EFFECT_IDEMPOTENT };
	const struct value *after;

	e.says = step_text(cx, "give user '%s' %u roles%s", name, body[0].v.len, a->only ? " and no other" : "");
	if (step_effect(cx, &e, &after, err) < 0 || put_member(cx, "roles", after, err) < 0)
		return -1;
	if (!a->change_password)
		return 0;
	e.verb = "password";
	e.body = map_of(cx, &body[2], 1);
	e.says = step_text(cx, "change the password of user '%s'", name);
	return step_effect(cx, &e, NULL, err);
}

static const struct field user_inputs[] = {
	{ "in", F_TARGET, .offset = offsetof(struct user_args, in), .required = true, .kind = "etcd",
	  .help = "the cluster; where authentication is on, its user needs the role root" },
	{ "user", F_STRING, .offset = offsetof(struct user_args, user), .required = true,
	  .help = "the user; made where it is not there" },
	{ "roles", F_LIST, F_STRING, offsetof(struct user_args, roles), .help = "roles that the user has then; they must be there" },
	{ "only", F_BOOL, .offset = offsetof(struct user_args, only), .help = "take the user's other roles away" },
	{ "password", F_SECRET, .offset = offsetof(struct user_args, password), .secret = true,
	  .help = "password of a user who is made; without one it is a user for client certificates" },
	{ "change_password", F_BOOL, .offset = offsetof(struct user_args, change_password),
	  .help = "also change the password of a user who is there, which cannot be taken back" },
	{ 0 },
};

static const struct field user_outputs[] = {
	{ "roles", F_LIST, F_STRING, .help = "roles that the user has now" },
	{ 0 },
};

const struct step_type etcd_user_step = {
	.name = "etcd.user",
	.summary = "make a user, and give it roles",
	.inputs = user_inputs,
	.outputs = user_outputs,
	.args_size = sizeof(struct user_args),
	.version = 1,
	.run = user_run,
	.check = user_check,
};

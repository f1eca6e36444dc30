/* SPDX-License-Identifier: Apache-2.0 */
/* Finds who may write under a prefix: by the role that is to be fenced, by other roles, and by root. A fence that others
 * would pass, or that would stop more than it should, is refused before anything is done. etcd.fence-check is this look
 * as a step of its own, for the time before a long copy; what it finds of the role is what a thaw puts back. */
#include <string.h>

#include "base/text.h"
#include "steps/etcd_move.h"
#include "steps/etcd_rights.h"

#define NAMED 5 /* of others in a message */

const char *const etcd_refuse_words[] = { "refuse", "allow", NULL };

/* One look; roles that several users have are read once. */
struct look {
	const struct etcd_fence_args *args;
	struct etcd_writers *found;
	struct value *users, *root_users, *others; /* being gathered */
	size_t cap_others;
	const struct value **role_names;
	struct etcd_perms *roles;
	size_t nroles;
};

static int
check_auth(struct step_ctx *cx, const struct etcd_fence_args *a, struct err *err)
{
	const struct value *auth, *enabled;

	if (step_read(cx, &(struct ref){ a->on, "auth" }, &auth, err) < 0)
		return -1;
	if (auth->kind == V_UNKNOWN)
		return err_set(err, ERR_PREDICTED, "whether authentication is on then is not known");
	enabled = value_get(auth, "enabled");
	if (enabled != NULL && value_true(enabled))
		return 0;
	err_set(err, ERR_FAILED, "authentication is off: everybody may write, and a role stops nobody");
	return err_next(err, "give clients users and roles, and etcdctl auth enable; or stop the writers in another way");
}

static int
get_permissions(struct step_ctx *cx, struct target *on, const char *role, struct etcd_perms *ret, struct err *err)
{
	const struct value *v;

	if (step_read(cx, &(struct ref){ on, etcd_path_role(step_arena(cx), role) }, &v, err) < 0)
		return -1;
	if (v->kind == V_NULL)
		return err_set(err, ERR_FAILED, "there is no role '%s'", role);
	return etcd_perms_parse(step_arena(cx), value_get(v, "permissions"), ret, err);
}

/* The role is there, is about this prefix, and is not about more. */
static int
check_role(struct step_ctx *cx, const struct etcd_fence_args *a, struct etcd_writers *w, struct err *err)
{
	struct arena *arena = step_arena(cx);
	bool about = false;

	if (get_permissions(cx, a->on, a->role, &w->permissions, err) < 0)
		return -1;
	for (size_t i = 0; i < w->permissions.n; i++) {
		struct etcd_perm p = w->permissions.list[i];
		const bool writes = etcd_perm_writes(&p, w->from, w->to);

		p.may = ETCD_MAY_READWRITE;
		about = about || etcd_perm_writes(&p, w->from, w->to);
		if (!writes || !etcd_perm_is_wider(&p, w->from, w->to) || strcmp(a->wider, "allow") == 0)
			continue;
		err_set(err, ERR_FAILED, "role '%s' may write %s, which is more than '%s*': a fence would make all of it read-only",
			a->role, etcd_perm_text(arena, &p), etcd_shown(cx, etcd_text(a->prefix)));
		return err_next(err, "grant the role what it needs and no more, or say wider: allow");
	}
	if (!about)
		return err_set(err, ERR_FAILED, "role '%s' has no permission under '%s': its users are not who writes there", a->role,
			       etcd_shown(cx, etcd_text(a->prefix)));
	return 0;
}

/* The permissions of a role that a user has, from what was read before where it was. */
static int
permissions_of(struct step_ctx *cx, struct look *l, const struct value *role, const struct etcd_perms **ret,
	       struct err *err)
{
	size_t i = 0;

	while (i < l->nroles && !value_eq(l->role_names[i], role))
		i++;
	*ret = &l->roles[i];
	if (i < l->nroles)
		return 0;
	l->role_names[i] = role;
	l->nroles++;
	return get_permissions(cx, l->args->on, role->s, &l->roles[i], err);
}

static void
add_name(struct value *list, uint32_t *n, const struct value *name)
{
	list[(*n)++] = *name;
}

static void
add_other(struct step_ctx *cx, struct look *l, const struct value *user, const struct value *role,
	  const struct etcd_perm *p)
{
	struct value *old = l->others;
	struct pair *m = arena_array(step_arena(cx), 3, sizeof(*m));
	uint32_t n = l->found->others.len;

	if (n == l->cap_others) {
		l->cap_others = n > 0 ? 2 * (size_t)n : 8;
		l->others = arena_array(step_arena(cx), l->cap_others, sizeof(*l->others));
		if (n > 0)
			memcpy(l->others, old, n * sizeof(*old));
	}
	m[0] = (struct pair){ "user", *user };
	m[1] = (struct pair){ "role", *role };
	m[2] = (struct pair){ "permission", value_str(etcd_perm_text(step_arena(cx), p)) };
	l->others[n++] = value_map(m, 3);
	l->found->others = value_list(l->others, n);
}

static int
look_at_user(struct step_ctx *cx, struct look *l, const struct value *user, struct err *err)
{
	const struct etcd_perms *perms;
	const struct value *v, *roles;

	if (step_read(cx, &(struct ref){ l->args->on, etcd_path_user(step_arena(cx), user->s) }, &v, err) < 0)
		return -1;
	roles = value_get(v, "roles");
	if (v->kind == V_UNKNOWN)
		return err_set(err, ERR_PREDICTED, "the roles of user '%s' are not known", user->s);
	for (uint32_t i = 0; roles != NULL && i < roles->len; i++) {
		const struct value *role = &roles->items[i];

		if (strcmp(role->s, "root") == 0) {
			add_name(l->root_users, &l->found->root_users.len, user);
		} else if (strcmp(role->s, l->args->role) == 0) {
			add_name(l->users, &l->found->users.len, user);
		} else {
			if (permissions_of(cx, l, role, &perms, err) < 0)
				return -1;
			for (size_t k = 0; k < perms->n; k++)
				if (etcd_perm_writes(&perms->list[k], l->found->from, l->found->to))
					add_other(cx, l, user, role, &perms->list[k]);
		}
	}
	return 0;
}

static int
check_others(struct step_ctx *cx, const struct etcd_fence_args *a, const struct etcd_writers *w, struct err *err)
{
	struct buf names = BUF_INIT(400);

	if (w->others.len == 0 || strcmp(a->others, "allow") == 0)
		return 0;
	for (uint32_t i = 0; i < w->others.len && i < NAMED; i++)
		buf_printf(&names, "%suser '%s' by role '%s' (%s)", i > 0 ? ", " : "", value_get_str(&w->others.items[i], "user", "?"),
			   value_get_str(&w->others.items[i], "role", "?"), value_get_str(&w->others.items[i], "permission", "?"));
	err_set(err, ERR_FAILED, "a fence of role '%s' would not stop %u that may write under '%s': %s%s", a->role, w->others.len,
		etcd_shown(cx, etcd_text(a->prefix)), names.p, w->others.len > NAMED ? ", …" : "");
	buf_done(&names);
	return err_next(err, "take these grants away, or say others: allow where their users are known not to write");
}

int
etcd_look_for_writers(struct step_ctx *cx, const struct etcd_fence_args *a, struct etcd_writers *ret, struct err *err)
{
	struct look l = { .args = a, .found = ret };
	struct arena *arena = step_arena(cx);
	const struct value *users, *roles;

	*ret = (struct etcd_writers){ .from = etcd_range_start(etcd_text(a->prefix)),
				      .to = etcd_prefix_end(arena, etcd_text(a->prefix)) };
	if (check_auth(cx, a, err) < 0 || check_role(cx, a, ret, err) < 0 ||
	    step_read(cx, &(struct ref){ a->on, "users" }, &users, err) < 0 ||
	    step_read(cx, &(struct ref){ a->on, "roles" }, &roles, err) < 0)
		return -1;
	if (users->kind != V_LIST || roles->kind != V_LIST)
		return err_set(err, ERR_PREDICTED, "which users and roles there are then is not known");
	l.users = arena_array(arena, users->len, sizeof(*l.users));
	l.root_users = arena_array(arena, users->len, sizeof(*l.root_users));
	l.role_names = arena_array(arena, roles->len + 1, sizeof(*l.role_names));
	l.roles = arena_array(arena, roles->len + 1, sizeof(*l.roles));
	for (uint32_t i = 0; i < users->len; i++)
		if (l.nroles > roles->len || look_at_user(cx, &l, &users->items[i], err) < 0)
			return l.nroles > roles->len ? err_set(err, ERR_FAILED, "the roles change while they are read") : -1;
	ret->users = value_list(l.users, ret->users.len);
	ret->root_users = value_list(l.root_users, ret->root_users.len);
	ret->others = value_list(l.others, ret->others.len);
	return check_others(cx, a, ret, err);
}

struct check_args {
	struct etcd_fence_args fence; /* first: ETCD_FENCE_INPUTS */
	bool fenced;
};

/* Does the role leave the range alone? */
static int
check_fenced(struct step_ctx *cx, const struct etcd_fence_args *a, const struct etcd_writers *w, struct err *err)
{
	for (size_t i = 0; i < w->permissions.n; i++)
		if (etcd_perm_writes(&w->permissions.list[i], w->from, w->to))
			return err_set(err, ERR_FAILED, "role '%s' may write %s: it is not fenced, or not any more", a->role,
				       etcd_perm_text(step_arena(cx), &w->permissions.list[i]));
	return 0;
}

static int
check_run(struct step_ctx *cx, const void *args, struct err *err)
{
	const struct check_args *a = args;
	struct etcd_writers w;

	if (etcd_look_for_writers(cx, &a->fence, &w, err) < 0 || (a->fenced && check_fenced(cx, &a->fence, &w, err) < 0))
		return -1;
	const struct pair pairs[] = {
		{ "permissions", etcd_perms_value(step_arena(cx), &w.permissions) }, { "users", w.users },
		{ "root_users", w.root_users }, { "others", w.others },
	};
	const struct value map = value_map(pairs, countof(pairs));

	return etcd_put_outputs(cx, &map, err);
}

static const struct field check_inputs[] = {
	ETCD_FENCE_INPUTS,
	{ "fenced", F_BOOL, .offset = offsetof(struct check_args, fenced),
	  .help = "the role has been fenced: refuse where it may write there" },
	{ 0 },
};

static const struct field check_outputs[] = {
	{ "permissions", F_LIST, F_MAP,
	  .help = "what the role may do: {key, end, may}; etcd.grant with only: true gives it back" },
	{ "users", F_LIST, F_STRING, .help = "users with the role, whom a fence stops" },
	{ "root_users", F_LIST, F_STRING, .help = "users with the role root, whom nothing stops" },
	{ "others", F_LIST, F_MAP, .help = "who else may write there: {user, role, permission}" },
	{ 0 },
};

const struct step_type etcd_fence_check_step = {
	.name = "etcd.fence-check",
	.summary = "see who may write under a prefix, and whether a fence of one role would stop them",
	.inputs = check_inputs,
	.outputs = check_outputs,
	.args_size = sizeof(struct check_args),
	.flags = STEP_READ_ONLY,
	.version = 1,
	.run = check_run,
};

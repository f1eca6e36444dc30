/* SPDX-License-Identifier: Apache-2.0 */
/* Owns the effects on roles and users and what the door asks about them. A role or user is brought to a goal in as many
 * calls as that takes, and read back until it is there: what was half done is gone on with, and older servers, which
 * add a second permission where two ranges begin with one key, are found out. So every effect may be done again. */
#include "steps/target/etcd_auth.h"

#include <string.h>

#define ROUNDS 3

/* An effect, taken apart. */
struct ask {
	enum { DO_SET, DO_FENCE, DO_PASSWORD, DO_REMOVE } what;
	bool user, only;
	const char *name;
	struct etcd_perms wanted;    /* set of a role */
	struct bytes from, to;       /* fence */
	const struct value *roles;   /* set of a user */
	const struct secret *password;
};

static bool
are_names(const struct value *list)
{
	if (list == NULL || list->kind != V_LIST)
		return false;
	for (size_t i = 0; i < list->len; i++)
		if (list->items[i].kind != V_STRING)
			return false;
	return true;
}

static int
parse_body(struct arena *a, const struct effect *e, struct ask *s, struct err *err)
{
	const struct value *only = value_get(&e->body, "only"), *password = value_get(&e->body, "password");

	s->only = only != NULL && value_true(only);
	s->roles = value_get(&e->body, "roles");
	s->from = etcd_bytes(value_get(&e->body, "key"));
	s->to = etcd_bytes(value_get(&e->body, "end"));
	if (password != NULL && password->kind == V_SECRET)
		s->password = password->secret;
	if (s->what == DO_SET && !s->user)
		return etcd_perms_parse(a, value_get(&e->body, "permissions"), &s->wanted, err);
	if (s->what == DO_SET && s->roles != NULL && (s->roles->flags & VF_UNKNOWN) != 0)
		return err_set(err, ERR_PREDICTED, "the roles are not known");
	if ((s->what == DO_SET && !are_names(s->roles)) ||
	    (s->what == DO_PASSWORD && s->password == NULL) || (s->what == DO_FENCE && s->to.len == 0))
		return err_set(err, ERR_PLAN, "etcd: the body of '%s' on '%s' lacks something", e->verb, e->on.path);
	return 0;
}

static int
parse_effect(struct arena *a, const struct effect *e, struct ask *ret, struct err *err)
{
	static const char *const verbs[] = { "set", "fence", "password", "remove" };
	struct etcd_path path;
	size_t i = 0;

	*ret = (struct ask){ 0 };
	while (i < countof(verbs) && strcmp(e->verb, verbs[i]) != 0)
		i++;
	if (etcd_path_parse(a, e->on.path, &path, err) < 0)
		return -1;
	ret->user = path.kind == ETCD_PATH_USER;
	ret->name = path.key.p;
	ret->what = (int)i;
	if (i == countof(verbs) || (ret->what == DO_FENCE && ret->user) || (ret->what == DO_PASSWORD && !ret->user))
		return err_set(err, ERR_PLAN, "etcd: '%s' does not go with '%s'", e->verb, e->on.path);
	return parse_body(a, e, ret, err);
}

static int
send_perm(struct opctx *cx, struct etcd_conn *c, const char *role, const struct etcd_perm *p, bool grant, struct err *err)
{
	struct buf request = BUF_INIT(0);

	grpc_begin(&request);
	(grant ? etcd_role_grant_encode : etcd_role_revoke_encode)(&request, role, p);
	return etcd_auth_send(cx, c, grant ? ETCD_ROLE_GRANT : ETCD_ROLE_REVOKE, &request, err);
}

static int
send_name(struct opctx *cx, struct etcd_conn *c, const char *method, const char *name, struct err *err)
{
	struct buf request = BUF_INIT(0);

	grpc_begin(&request);
	etcd_name_encode(&request, name);
	return etcd_auth_send(cx, c, method, &request, err);
}

/* Where a call before this one has happened, a definite failure of it is not one of the effect. */
static int
half_done(bool changed, struct err *err)
{
	if (changed && err->kind == ERR_FAILED)
		err->kind = ERR_UNKNOWN;
	return -1;
}

/* Is this permission there, and nothing else on its range? Older servers may hold a range twice. */
static bool
is_right(const struct etcd_perms *now, const struct etcd_perm *goal)
{
	const struct etcd_perm *p = etcd_perms_find(now, goal);

	return p != NULL && p->may == goal->may && (p + 1 == now->list + now->n || !etcd_perm_same_range(p, p + 1));
}

/* hard: a plain grant over the present permission did not do. */
static int
change_role(struct opctx *cx, struct etcd_conn *c, const char *role, const struct etcd_perms *now,
	    const struct etcd_perms *goal, bool hard, bool *changed, struct err *err)
{
	for (size_t i = 0; i < now->n; i++) {
		const struct etcd_perm *p = &now->list[i], *g = etcd_perms_find(goal, p);

		if ((g != NULL && (!hard || is_right(now, g))) || (i > 0 && etcd_perm_same_range(p, p - 1)))
			continue;
		if (send_perm(cx, c, role, p, false, err) < 0)
			return half_done(*changed, err);
		*changed = true;
	}
	for (size_t i = 0; i < goal->n; i++) {
		if (is_right(now, &goal->list[i]))
			continue;
		if (send_perm(cx, c, role, &goal->list[i], true, err) < 0)
			return half_done(*changed, err);
		*changed = true;
	}
	return 0;
}

static struct etcd_perms
role_goal(struct arena *a, const struct ask *s, const struct etcd_perms *now)
{
	return s->what == DO_FENCE ? etcd_perms_fenced(a, now, s->from, s->to) : etcd_perms_with(a, now, &s->wanted, s->only);
}

static int
no_role(const struct ask *s, struct err *err)
{
	return err_set(err, ERR_FAILED, "etcd: there is no role '%s'", s->name);
}

static int
write_role(struct opctx *cx, struct etcd_conn *c, const struct ask *s, struct value *ret, struct err *err)
{
	struct etcd_perms now, goal;
	bool there, changed = false;

	for (int round = 0; round <= ROUNDS; round++) {
		if (etcd_get_role(cx, c, s->name, &there, &now, err) < 0)
			return half_done(changed, err);
		if (!there && s->what == DO_FENCE)
			return no_role(s, err);
		goal = role_goal(cx->arena, s, &now);
		if (there && etcd_perms_eq(&now, &goal)) {
			*ret = etcd_role_value(cx->arena, s->name, &now);
			return 0;
		}
		if (!there && send_name(cx, c, ETCD_ROLE_ADD, s->name, err) < 0)
			return half_done(changed, err);
		changed = changed || !there;
		if (change_role(cx, c, s->name, &now, &goal, round > 0, &changed, err) < 0)
			return -1;
	}
	return err_set(err, ERR_UNKNOWN, "etcd at %s: role '%s' does not become what it should: someone else changes it, too",
		       etcd_conn_names(c), s->name);
}

static bool
has_name(const struct value *list, const struct value *name)
{
	for (size_t i = 0; i < list->len; i++)
		if (value_eq(&list->items[i], name))
			return true;
	return false;
}

/* roles: the present ones, or null. */
static struct value
user_goal(struct arena *a, const struct ask *s, const struct value *roles)
{
	struct value *list = arena_array(a, s->roles->len + roles->len, sizeof(*list)), swap;
	size_t n = 0;

	for (size_t i = 0; i < s->roles->len; i++)
		list[n++] = s->roles->items[i];
	for (size_t i = 0; roles->kind == V_LIST && i < roles->len && !s->only; i++)
		if (!has_name(s->roles, &roles->items[i]))
			list[n++] = roles->items[i];
	for (size_t i = 1; i < n; i++) /* in the server's order: equal sets are equal lists */
		for (size_t k = i; k > 0 && strcmp(list[k - 1].s, list[k].s) > 0; k--) {
			swap = list[k];
			list[k] = list[k - 1];
			list[k - 1] = swap;
		}
	return value_list(list, n);
}

static int
send_role(struct opctx *cx, struct etcd_conn *c, const char *user, const char *role, bool grant, struct err *err)
{
	struct buf request = BUF_INIT(0);

	grpc_begin(&request);
	etcd_user_role_encode(&request, user, role);
	return etcd_auth_send(cx, c, grant ? ETCD_USER_GRANT : ETCD_USER_REVOKE, &request, err);
}

static int
send_password(struct opctx *cx, struct etcd_conn *c, const struct ask *s, bool add, struct err *err)
{
	struct bytes password = { 0 };
	struct buf request = BUF_INIT(0);

	if (s->password != NULL)
		password = (struct bytes){ s->password->content, s->password->len };
	grpc_begin(&request);
	(add ? etcd_user_add_encode : etcd_user_password_encode)(&request, s->name, password);
	return etcd_auth_send(cx, c, add ? ETCD_USER_ADD : ETCD_USER_PASSWORD, &request, err);
}

static int
write_user(struct opctx *cx, struct etcd_conn *c, const struct ask *s, struct value *ret, struct err *err)
{
	struct value now, goal;
	bool changed = false;

	if (etcd_get_user(cx, c, s->name, &now, err) < 0)
		return -1;
	if (now.kind == V_NULL) {
		if (send_password(cx, c, s, true, err) < 0)
			return -1;
		changed = true;
	}
	goal = user_goal(cx->arena, s, &now);
	for (size_t i = 0; now.kind == V_LIST && i < now.len; i++) {
		if (has_name(&goal, &now.items[i]))
			continue;
		if (send_role(cx, c, s->name, now.items[i].s, false, err) < 0)
			return half_done(changed, err);
		changed = true;
	}
	for (size_t i = 0; i < goal.len; i++) {
		if (now.kind == V_LIST && has_name(&now, &goal.items[i]))
			continue;
		if (send_role(cx, c, s->name, goal.items[i].s, true, err) < 0)
			return half_done(changed, err);
		changed = true;
	}
	*ret = etcd_user_value(cx->arena, s->name, &goal);
	return 0;
}

static int
rights_write(struct opctx *cx, void *conn, const struct effect *e, const char *nonce, struct reply *ret, struct err *err)
{
	struct ask s;

	(void)nonce; /* neither roles nor users have a place for it, and every effect may be done again */
	if (parse_effect(cx->arena, e, &s, err) < 0)
		return -1;
	*ret = (struct reply){ .outcome = OUTCOME_OK };
	switch (s.what) {
	case DO_PASSWORD:
		ret->value = ETCD_MAP(cx->arena, { "user", value_str(s.name) }, { "password", value_str("same") });
		return send_password(cx, conn, &s, false, err);
	case DO_REMOVE:
		return send_name(cx, conn, s.user ? ETCD_USER_DELETE : ETCD_ROLE_DELETE, s.name, err);
	default:
		return s.user ? write_user(cx, conn, &s, &ret->value, err) : write_role(cx, conn, &s, &ret->value, err);
	}
}

static int
rights_image(struct opctx *cx, void *conn, const struct effect *e, struct value *ret, struct err *err)
{
	const char *password;
	struct ask s;

	if (parse_effect(cx->arena, e, &s, err) < 0)
		return -1;
	if (s.what != DO_PASSWORD)
		return (s.user ? etcd_read_user : etcd_read_role)(cx, conn, s.name, ret, err);
	if (etcd_check_password(cx, conn, s.name, s.password, &password, err) < 0)
		return -1;
	*ret = ETCD_MAP(cx->arena, { "user", value_str(s.name) }, { "password", value_str(password) });
	return 0;
}

/* What is there after it. -1: it cannot be done. */
static int
after_of(struct arena *a, const struct ask *s, const struct value *before, struct value *ret, struct err *err)
{
	const struct value *roles = value_get(before, "roles"), none = VALUE_NULL;
	struct etcd_perms now = { 0 };

	*ret = VALUE_NULL;
	if (s->what == DO_REMOVE)
		return 0;
	if (s->what == DO_PASSWORD)
		*ret = ETCD_MAP(a, { "user", value_str(s->name) }, { "password", value_str("same") });
	if (s->what == DO_PASSWORD)
		return 0;
	if (before->kind == V_UNKNOWN) {
		*ret = *before;
		return 0;
	}
	if (s->user) {
		const struct value goal = user_goal(a, s, roles != NULL ? roles : &none);

		*ret = etcd_user_value(a, s->name, &goal);
		return 0;
	}
	if (before->kind == V_NULL && s->what == DO_FENCE)
		return no_role(s, err);
	if (before->kind == V_MAP && etcd_perms_parse(a, value_get(before, "permissions"), &now, err) < 0)
		return -1;
	now = role_goal(a, s, &now);
	*ret = etcd_role_value(a, s->name, &now);
	return 0;
}

static bool
rights_same(const struct effect *e, const struct value *before)
{
	struct arena a = ARENA_INIT;
	struct value after;
	struct err err;
	struct ask s;
	bool same;

	same = parse_effect(&a, e, &s, &err) == 0 && after_of(&a, &s, before, &after, &err) == 0 && value_eq(&after, before);
	arena_done(&a);
	return same;
}

static int
rights_predict(struct opctx *cx, void *conn, const struct effect *e, const struct value *before, struct prediction *ret,
	       struct err *err)
{
	const char **lists = arena_array(cx->arena, 2, sizeof(*lists));
	struct ask s;

	(void)conn;
	*ret = (struct prediction){ .confidence = CONF_PREDICTED, .unknowable = lists };
	if (parse_effect(cx->arena, e, &s, err) < 0)
		return -1;
	if (before->kind != V_MAP || s.what == DO_REMOVE)
		lists[0] = s.user ? "users" : "roles";
	return after_of(cx->arena, &s, before, &ret->after, err);
}

static int
rights_probe(struct opctx *cx, void *conn, const struct effect *e, const char *nonce, const struct value *before,
	     enum probe *ret, struct err *err)
{
	struct value now;

	(void)nonce;
	(void)before;
	if (rights_image(cx, conn, e, &now, err) < 0)
		return -1;
	*ret = rights_same(e, &now) ? PROBE_DONE_BY_US : PROBE_NOT_DONE;
	return 0;
}

static int
rights_invert(struct arena *a, const struct effect *e, const struct value *before, const struct value *after,
	      struct effect *ret, struct err *err)
{
	const char *part;
	struct ask s;

	(void)after;
	if (parse_effect(a, e, &s, err) < 0)
		return -1;
	part = s.user ? "roles" : "permissions";
	if (s.what == DO_PASSWORD || s.what == DO_REMOVE || (before->kind != V_NULL && value_get(before, part) == NULL))
		return err_set(err, ERR_FAILED, "etcd: '%s' of '%s' cannot be taken back", e->verb, e->on.path);
	*ret = (struct effect){ .on = e->on, .verb = before->kind == V_NULL ? "remove" : "set", .class = EFFECT_IDEMPOTENT };
	if (before->kind == V_NULL) {
		ret->body = etcd_map(a, NULL, 0);
		ret->says = arena_printf(a, "remove %s '%s' again", s.user ? "user" : "role", s.name);
		return 0;
	}
	ret->body = ETCD_MAP(a, { part, *value_get(before, part) }, { "only", value_bool(true) });
	ret->says = arena_printf(a, "give %s '%s' the old %s back", s.user ? "user" : "role", s.name, part);
	return 0;
}

const struct etcd_effects etcd_rights_effects = {
	.write = rights_write,
	.image = rights_image,
	.same = rights_same,
	.predict = rights_predict,
	.probe = rights_probe,
	.invert = rights_invert,
};

/* SPDX-License-Identifier: Apache-2.0 */
/* Owns the calls of etcd's Auth service: what users and roles there are, as values, and single changes. */
#include "steps/target/etcd_auth.h"

#include <string.h>

/* A call that reads; the request is begun, and freed here. ret_absent: what was asked for is not there. */
static int
ask(struct opctx *cx, struct etcd_conn *c, const char *method, struct buf *request, struct etcd_call *ret,
    bool *ret_absent, struct err *err)
{
	int result;

	grpc_end(request);
	*ret = (struct etcd_call){ .method = method, .request = request, .kind = ETCD_READ, .arena = cx->arena,
				   .without_token = strcmp(method, ETCD_AUTHENTICATE) == 0 };
	result = etcd_call(cx, c, ret, err);
	explicit_bzero(request->p, request->cap);
	buf_done(request);
	*ret_absent = result < 0 && ret->status == GRPC_FAILED_PRECONDITION && strstr(err->msg, "not found") != NULL;
	return *ret_absent ? 0 : result;
}

/* What a server before 3.5 answers to nobody's name and password shows whether it asks for them. */
static int
ask_old_server(struct opctx *cx, struct etcd_conn *c, bool *ret, struct err *err)
{
	struct buf request = BUF_INIT(0);
	struct etcd_call call;
	bool absent;

	grpc_begin(&request);
	etcd_auth_encode(&request, "", (struct bytes){ 0 });
	if (ask(cx, c, ETCD_AUTHENTICATE, &request, &call, &absent, err) < 0 && call.status != GRPC_FAILED_PRECONDITION &&
	    call.status != GRPC_INVALID_ARGUMENT)
		return -1;
	*ret = call.status != GRPC_FAILED_PRECONDITION;
	return 0;
}

int
etcd_read_auth(struct opctx *cx, struct etcd_conn *c, struct value *ret, struct err *err)
{
	struct buf request = BUF_INIT(0);
	struct etcd_call call;
	bool absent, enabled = true;

	grpc_begin(&request);
	if (ask(cx, c, ETCD_AUTH_STATUS, &request, &call, &absent, err) == 0) {
		if (etcd_auth_status_decode(call.reply, &enabled) < 0)
			return etcd_malformed(c, "AuthStatus", err);
	} else if (call.status == GRPC_UNIMPLEMENTED || call.status < 0) { /* said before our request ends it may be lost (grpc.c) */
		if (ask_old_server(cx, c, &enabled, err) < 0)
			return -1;
	} else if (call.status != GRPC_PERMISSION_DENIED) { /* else it is on: only root is told */
		return -1;
	}
	*ret = ETCD_MAP(cx->arena, { "enabled", value_bool(enabled) });
	return 0;
}

/* Who is not root is told so, with what to do. */
static int
denied(const struct etcd_call *call, struct err *err)
{
	return call->status == GRPC_PERMISSION_DENIED ? err_next(err, "give the target a user who has the role root") : -1;
}

int
etcd_read_names(struct opctx *cx, struct etcd_conn *c, const char *method, struct value *ret, struct err *err)
{
	struct buf request = BUF_INIT(0);
	struct etcd_call call;
	bool absent;

	grpc_begin(&request);
	if (ask(cx, c, method, &request, &call, &absent, err) < 0)
		return denied(&call, err);
	return etcd_names_decode(cx->arena, call.reply, ret) < 0 ? etcd_malformed(c, "a list of names", err) : 0;
}

int
etcd_get_role(struct opctx *cx, struct etcd_conn *c, const char *role, bool *ret_there, struct etcd_perms *ret,
	      struct err *err)
{
	struct buf request = BUF_INIT(0);
	struct etcd_call call;
	bool absent;

	*ret_there = false;
	*ret = (struct etcd_perms){ 0 };
	grpc_begin(&request);
	etcd_name_encode(&request, role);
	if (ask(cx, c, ETCD_ROLE_GET, &request, &call, &absent, err) < 0)
		return denied(&call, err);
	*ret_there = !absent;
	return !absent && etcd_role_decode(cx->arena, call.reply, ret) < 0 ? etcd_malformed(c, "RoleGet", err) : 0;
}

int
etcd_get_user(struct opctx *cx, struct etcd_conn *c, const char *user, struct value *ret, struct err *err)
{
	struct buf request = BUF_INIT(0);
	struct etcd_call call;
	bool absent;

	*ret = VALUE_NULL;
	grpc_begin(&request);
	etcd_name_encode(&request, user);
	if (ask(cx, c, ETCD_USER_GET, &request, &call, &absent, err) < 0)
		return denied(&call, err);
	return !absent && etcd_names_decode(cx->arena, call.reply, ret) < 0 ? etcd_malformed(c, "UserGet", err) : 0;
}

struct value
etcd_role_value(struct arena *a, const char *role, const struct etcd_perms *p)
{
	return ETCD_MAP(a, { "role", value_str(role) }, { "permissions", etcd_perms_value(a, p) });
}

struct value
etcd_user_value(struct arena *a, const char *user, const struct value *roles)
{
	return ETCD_MAP(a, { "user", value_str(user) }, { "roles", *roles });
}

int
etcd_read_role(struct opctx *cx, struct etcd_conn *c, const char *role, struct value *ret, struct err *err)
{
	struct etcd_perms perms;
	bool there;

	if (etcd_get_role(cx, c, role, &there, &perms, err) < 0)
		return -1;
	*ret = there ? etcd_role_value(cx->arena, role, &perms) : VALUE_NULL;
	return 0;
}

int
etcd_read_user(struct opctx *cx, struct etcd_conn *c, const char *user, struct value *ret, struct err *err)
{
	struct value roles;

	if (etcd_get_user(cx, c, user, &roles, err) < 0)
		return -1;
	*ret = roles.kind == V_LIST ? etcd_user_value(cx->arena, user, &roles) : VALUE_NULL;
	return 0;
}

int
etcd_auth_send(struct opctx *cx, struct etcd_conn *c, const char *method, struct buf *request, struct err *err)
{
	struct etcd_call call = { .method = method, .request = request, .kind = ETCD_WRITE, .arena = cx->arena };
	int result;

	grpc_end(request);
	result = etcd_call(cx, c, &call, err);
	explicit_bzero(request->p, request->cap);
	buf_done(request);
	return result < 0 ? denied(&call, err) : 0;
}

int
etcd_check_password(struct opctx *cx, struct etcd_conn *c, const char *user, const struct secret *password,
		    const char **ret, struct err *err)
{
	struct buf request = BUF_INIT(0);
	struct bytes token = { 0 };
	struct etcd_call call;
	bool absent;

	grpc_begin(&request);
	etcd_auth_encode(&request, user, (struct bytes){ password->content, password->len });
	if (ask(cx, c, ETCD_AUTHENTICATE, &request, &call, &absent, err) == 0) {
		if (etcd_auth_decode(call.reply, &token) == 0 && token.len > 0)
			explicit_bzero((void *)(uintptr_t)token.p, token.len);
		*ret = "same";
		return 0;
	}
	*ret = call.status == GRPC_FAILED_PRECONDITION ? "unknown" : "other";
	return call.status == GRPC_FAILED_PRECONDITION || call.status == GRPC_INVALID_ARGUMENT ? 0 : -1;
}

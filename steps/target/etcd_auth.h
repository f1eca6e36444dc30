/* SPDX-License-Identifier: Apache-2.0 */
/* Users, roles and authentication of an etcd cluster: the part of the target kind that reads them and calls the Auth
 * service, and the effects on them. */
#ifndef WHERRY_TARGET_ETCD_AUTH_H
#define WHERRY_TARGET_ETCD_AUTH_H

#include "steps/target/etcd.h"
#include "steps/target/etcd_auth_api.h"

/* etcd_auth.c */
int etcd_read_auth(struct opctx *cx, struct etcd_conn *c, struct value *ret, struct err *err);
int etcd_read_names(struct opctx *cx, struct etcd_conn *c, const char *method, struct value *ret, struct err *err);
/* The role's permissions; ret_there false: there is no such role. */
int etcd_get_role(struct opctx *cx, struct etcd_conn *c, const char *role, bool *ret_there, struct etcd_perms *ret,
		  struct err *err);
/* The user's roles, a list; null: there is no such user. */
int etcd_get_user(struct opctx *cx, struct etcd_conn *c, const char *user, struct value *ret, struct err *err);
/* The objects role/NAME and user/NAME. */
int etcd_read_role(struct opctx *cx, struct etcd_conn *c, const char *role, struct value *ret, struct err *err);
int etcd_read_user(struct opctx *cx, struct etcd_conn *c, const char *user, struct value *ret, struct err *err);
struct value etcd_role_value(struct arena *a, const char *role, const struct etcd_perms *p);
struct value etcd_user_value(struct arena *a, const char *user, const struct value *roles);
/* A write with an empty answer; the request is begun, and freed here. */
int etcd_auth_send(struct opctx *cx, struct etcd_conn *c, const char *method, struct buf *request, struct err *err);
/* Is this the user's password? "same", "other", or "unknown" where authentication is off. */
int etcd_check_password(struct opctx *cx, struct etcd_conn *c, const char *user, const struct secret *password,
			const char **ret, struct err *err);

#endif

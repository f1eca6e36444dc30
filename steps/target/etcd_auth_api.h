/* SPDX-License-Identifier: Apache-2.0 */
/* The messages of etcd's Auth service (rpc.proto, auth.proto) and of Maintenance/Snapshot, encoded and decoded. Pure, and
 * under the rules of etcd_api.h. */
#ifndef WHERRY_TARGET_ETCD_AUTH_API_H
#define WHERRY_TARGET_ETCD_AUTH_API_H

#include "steps/target/etcd_rights_paths.h"

#define ETCD_AUTH_STATUS "/etcdserverpb.Auth/AuthStatus" /* from 3.5 on */
#define ETCD_USER_LIST "/etcdserverpb.Auth/UserList"
#define ETCD_USER_GET "/etcdserverpb.Auth/UserGet"
#define ETCD_USER_ADD "/etcdserverpb.Auth/UserAdd"
#define ETCD_USER_DELETE "/etcdserverpb.Auth/UserDelete"
#define ETCD_USER_PASSWORD "/etcdserverpb.Auth/UserChangePassword"
#define ETCD_USER_GRANT "/etcdserverpb.Auth/UserGrantRole"
#define ETCD_USER_REVOKE "/etcdserverpb.Auth/UserRevokeRole"
#define ETCD_ROLE_LIST "/etcdserverpb.Auth/RoleList"
#define ETCD_ROLE_GET "/etcdserverpb.Auth/RoleGet"
#define ETCD_ROLE_ADD "/etcdserverpb.Auth/RoleAdd"
#define ETCD_ROLE_DELETE "/etcdserverpb.Auth/RoleDelete"
#define ETCD_ROLE_GRANT "/etcdserverpb.Auth/RoleGrantPermission"
#define ETCD_ROLE_REVOKE "/etcdserverpb.Auth/RoleRevokePermission"
#define ETCD_SNAPSHOT "/etcdserverpb.Maintenance/Snapshot"

/* Of a user or a role: get, delete, add a role; and with a role of the user. */
void etcd_name_encode(struct buf *to, const char *name);
void etcd_user_role_encode(struct buf *to, const char *user, const char *role);
/* password empty: a user who can only come with a certificate. */
void etcd_user_add_encode(struct buf *to, const char *user, struct bytes password);
void etcd_user_password_encode(struct buf *to, const char *user, struct bytes password);
void etcd_role_grant_encode(struct buf *to, const char *role, const struct etcd_perm *p);
void etcd_role_revoke_encode(struct buf *to, const char *role, const struct etcd_perm *p);

int etcd_auth_status_decode(struct bytes m, bool *ret_enabled);
/* Names of users, of roles, or of a user's roles; in order. */
int etcd_names_decode(struct arena *a, struct bytes m, struct value *ret);
int etcd_role_decode(struct arena *a, struct bytes m, struct etcd_perms *ret);

struct etcd_snapshot_part {
	uint64_t remaining; /* bytes to come after it */
	struct bytes blob;
};
int etcd_snapshot_decode(struct bytes m, struct etcd_snapshot_part *ret);

#endif

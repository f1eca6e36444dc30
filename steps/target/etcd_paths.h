/* SPDX-License-Identifier: Apache-2.0 */
/* The paths and bodies of the etcd target kind: the language that steps and target share. Pure.
 *
 * Paths. KEY is percent-encoded: '%', and every byte that is not printable ASCII or is a space, as %XX.
 *   key/KEY         reads as null, or {key, value, version, create_revision, mod_revision, lease, header_revision}
 *   range/FROM..TO  [FROM, TO), TO as in struct query ("%00": no end, never empty); dots at either end of a part and
 *                   second ones in a row are encoded. Reads as {count, header_revision}
 *   lease/ID        ID in decimal; reads as null, or {id, ttl, granted_ttl} in seconds
 *   status          {cluster_id, member_id, revision, quota (0: not told), versions, alarms: [{member_id, alarm}],
 *                   endpoints: [{endpoint, version, db_size, db_size_in_use, quota, raft_index, member_id, leader,
 *                   errors} or {endpoint, error}]}; ids in hexadecimal, `leader` a boolean; one that answers is enough, and a
 *                   user to whom a newer server does not tell it gets all but versions, quota and members
 *   alarms          [{member_id, alarm}]
 *   history         reads as null; only written to (compact)
 *   markers/PREFIX  the claims and cursors under a marker prefix; only written to (release-bulk, restore-bulk)
 *   auth            {enabled}: must clients say who they are
 *   roles, users    lists of names
 *   role/NAME       reads as null, or {role, permissions}, as in etcd_rights_paths.h
 *   user/NAME       reads as null, or {user, roles}; a password can be written, not read
 *   snapshot/FILE   a file of this machine that holds a snapshot: null, or {path, size, sha256}
 *
 * Effects: verb, path, body -> reply.
 *   put           key/KEY           {value, lease?, guard?} -> the key's map without header_revision (its image)
 *   delete        key/KEY           {guard?} -> {deleted, revision}; image null
 *   delete        range/FROM..TO    {} -> {deleted, revision}; image {count}
 *   compact       history           {revision} -> {revision}
 *   release-bulk  markers/PREFIX    {marker_prefix, name, scratch?} -> {deleted, revision}; image {keys, revisions}: this
 *                 run's claims and cursors of the bulks of that name, removed in one transaction, and the revisions of
 *                 their writes; scratch: nothing is lost with them, revisions is left out
 *   restore-bulk  markers/PREFIX    {marker_prefix, name, revisions} -> {keys, revisions}: what a release told is kept again
 *   set           role/NAME         {permissions, only?} -> the role's map; made where it is not there
 *   fence         role/NAME         {key, end} -> the role's map: nobody may write there by this role
 *   set           user/NAME         {roles, only?, password?} -> the user's map; made where it is not there, with the password
 *                 or for certificates only
 *   password      user/NAME         {password} -> {user, password: same}; image same, other, or unknown where authentication is off
 *   remove        role/NAME, user/NAME, snapshot/FILE   {} -> null
 *   save          snapshot/FILE     {} -> the file's map; refused where the file is there
 * guard: "absent", {value: V} or {mod_revision: N}. A guard that does not hold is a definite failure, and nothing is
 * written. The key of put and delete is the path's. */
#ifndef WHERRY_TARGET_ETCD_PATHS_H
#define WHERRY_TARGET_ETCD_PATHS_H

#include "base/arena.h"
#include "base/buf.h"

#include <stdint.h>

enum etcd_path_kind {
	ETCD_PATH_KEY,
	ETCD_PATH_RANGE,
	ETCD_PATH_LEASE,
	ETCD_PATH_STATUS,
	ETCD_PATH_ALARMS,
	ETCD_PATH_HISTORY,
	ETCD_PATH_MARKERS,
	ETCD_PATH_AUTH,
	ETCD_PATH_ROLES,
	ETCD_PATH_USERS,
	ETCD_PATH_ROLE,
	ETCD_PATH_USER,
	ETCD_PATH_SNAPSHOT,
};

struct etcd_path {
	enum etcd_path_kind kind;
	struct bytes key, end; /* end: of a range; key: also a name, with a NUL after it */
	int64_t lease;
};

/* Percent-encoded as in a path. */
const char *etcd_escape(struct arena *a, struct bytes key);
const char *etcd_path_key(struct arena *a, struct bytes key);
/* [from, to); to empty: the path of the key. */
const char *etcd_path_range(struct arena *a, struct bytes from, struct bytes to);
const char *etcd_path_lease(struct arena *a, int64_t id);
const char *etcd_path_markers(struct arena *a, const char *marker_prefix);
const char *etcd_path_role(struct arena *a, const char *role);
const char *etcd_path_user(struct arena *a, const char *user);
const char *etcd_path_snapshot(struct arena *a, const char *file);
/* What the cursors and markers of a run's bulks of one name begin with. */
/* A key as a word of a command that people are told. */
const char *etcd_shell_word(struct arena *a, struct bytes key);
const char *etcd_marker_folder(struct arena *a, const char *marker_prefix, const char *run, const char *name);
/* Take a path apart; -1 (ERR_PLAN) for one that is malformed. */
int etcd_path_parse(struct arena *a, const char *path, struct etcd_path *ret, struct err *err);
/* The end of the range of all keys with this prefix: "\0" for the empty prefix and for one of 0xff only. */
struct bytes etcd_prefix_end(struct arena *a, struct bytes prefix);
/* Where this range begins: the empty prefix's with the first key that there can be, as the API wants it. */
struct bytes etcd_range_start(struct bytes prefix);
/* Is this end no end? */
bool etcd_range_is_open(struct bytes to);
/* Order of two ends of ranges: no end is after every key. */
int etcd_end_cmp(struct bytes a, struct bytes b);
/* Do [from, to) and [other, end) share keys? */
bool etcd_ranges_overlap(struct bytes from, struct bytes to, struct bytes other, struct bytes end);
/* Is key in [from, to)? */
bool etcd_range_holds(struct bytes from, struct bytes to, struct bytes key);
/* Is the object of path, or a part of it, in the object of wide? */
bool etcd_path_covers(const char *wide, const char *path);
/* Is it the path of one key, which covers nothing but itself? */
bool etcd_path_plain(const char *path);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* Owns the field numbers of etcd's Auth messages and of a snapshot's parts. Pure. */
#include "steps/target/etcd_auth_api.h"

#include <stdlib.h>
#include <string.h>

#include "steps/target/pb.h"

#define NAMES_MAX (1U << 16)

void
etcd_name_encode(struct buf *to, const char *name)
{
	pb_str(to, 1, name);
}

void
etcd_user_role_encode(struct buf *to, const char *user, const char *role)
{
	pb_str(to, 1, user);
	pb_str(to, 2, role);
}

void
etcd_user_add_encode(struct buf *to, const char *user, struct bytes password)
{
	size_t at;

	pb_str(to, 1, user);
	pb_bytes(to, 2, password);
	if (password.len > 0)
		return;
	at = pb_open(to, 3);
	pb_uint(to, 1, 1); /* no_password */
	pb_close(to, at);
}

void
etcd_user_password_encode(struct buf *to, const char *user, struct bytes password)
{
	pb_str(to, 1, user);
	pb_bytes(to, 2, password);
}

void
etcd_role_grant_encode(struct buf *to, const char *role, const struct etcd_perm *p)
{
	size_t at;

	pb_str(to, 1, role);
	at = pb_open(to, 2);
	pb_uint(to, 1, p->may);
	pb_bytes(to, 2, p->key);
	pb_bytes(to, 3, p->end);
	pb_close(to, at);
}

void
etcd_role_revoke_encode(struct buf *to, const char *role, const struct etcd_perm *p)
{
	pb_str(to, 1, role);
	pb_bytes(to, 2, p->key);
	pb_bytes(to, 3, p->end);
}

int
etcd_auth_status_decode(struct bytes m, bool *ret_enabled)
{
	struct pb in = pb_read(m);
	struct pb_field f;

	*ret_enabled = false;
	while (pb_next(&in, &f))
		if (f.number == 2)
			*ret_enabled = f.v != 0;
	return in.bad ? -1 : 0;
}

/* How many fields of number 2 there are; more than can be meant: -1. */
static ssize_t
count_repeated(struct bytes m)
{
	struct pb in = pb_read(m);
	struct pb_field f;
	size_t n = 0;

	while (pb_next(&in, &f))
		n += f.number == 2;
	return in.bad || n > NAMES_MAX ? -1 : (ssize_t)n;
}

static int
by_text(const void *a, const void *b)
{
	return strcmp(((const struct value *)a)->s, ((const struct value *)b)->s);
}

int
etcd_names_decode(struct arena *a, struct bytes m, struct value *ret)
{
	const ssize_t count = count_repeated(m);
	struct pb in = pb_read(m);
	struct value *list;
	struct pb_field f;
	size_t n = 0;

	if (count < 0)
		return -1;
	list = arena_array(a, (size_t)count, sizeof(*list));
	while (pb_next(&in, &f)) {
		if (f.number != 2)
			continue;
		if (f.b.len == 0 || memchr(f.b.p, '\0', f.b.len) != NULL)
			return -1;
		list[n++] = value_strn(arena_strndup(a, f.b.p, f.b.len), f.b.len);
	}
	if (n > 1)
		qsort(list, n, sizeof(*list), by_text);
	*ret = value_list(list, n);
	return 0;
}

static int
perm_decode(struct bytes m, struct etcd_perm *ret)
{
	struct pb in = pb_read(m);
	struct pb_field f;

	while (pb_next(&in, &f)) {
		if (f.number == 1 && f.v > ETCD_MAY_READWRITE)
			return -1;
		if (f.number == 1)
			ret->may = (enum etcd_may)f.v;
		else if (f.number == 2)
			ret->key = f.b;
		else if (f.number == 3)
			ret->end = f.b;
	}
	return in.bad || ret->key.p == NULL ? -1 : 0;
}

int
etcd_role_decode(struct arena *a, struct bytes m, struct etcd_perms *ret)
{
	const ssize_t count = count_repeated(m);
	struct pb in = pb_read(m);
	struct pb_field f;

	if (count < 0)
		return -1;
	*ret = (struct etcd_perms){ .list = arena_array(a, (size_t)count, sizeof(*ret->list)) };
	while (pb_next(&in, &f))
		if (f.number == 2 && perm_decode(f.b, &ret->list[ret->n++]) < 0)
			return -1;
	etcd_perms_sort(ret);
	return 0;
}

int
etcd_snapshot_decode(struct bytes m, struct etcd_snapshot_part *ret)
{
	struct pb in = pb_read(m);
	struct pb_field f;

	*ret = (struct etcd_snapshot_part){ 0 };
	while (pb_next(&in, &f)) {
		if (f.number == 2)
			ret->remaining = f.v;
		else if (f.number == 3)
			ret->blob = f.b;
	}
	return in.bad ? -1 : 0;
}

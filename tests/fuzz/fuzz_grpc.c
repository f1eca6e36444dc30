/* SPDX-License-Identifier: Apache-2.0 */
/* Fuzz target: what an etcd server can send. Input: one byte (size of the pieces), header and trailer lines up to an
 * empty one, then the body; every message goes through every decoder. */
#include "steps/target/etcd_api.h"
#include "steps/target/etcd_auth_api.h"
#include "steps/target/grpc.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Read every byte that a decoder hands out, for the sanitizer. */
static unsigned
touch(struct bytes b)
{
	const unsigned char *p = b.p;
	unsigned sum = 0;

	for (size_t i = 0; i < b.len; i++)
		sum += p[i];
	return sum;
}

static unsigned
decode_all(struct bytes m)
{
	struct arena a = ARENA_INIT;
	struct etcd_header header;
	struct etcd_watch_reply watch;
	struct etcd_status status;
	struct etcd_lease lease;
	struct etcd_alarm *alarms;
	struct etcd_perms perms;
	struct etcd_snapshot_part part;
	struct etcd_txn txn;
	struct value names;
	bool enabled;
	struct bytes token;
	struct page page;
	unsigned sum = 0;
	size_t n;

	if (etcd_range_decode(&a, m, &header, &page) == 0)
		for (size_t i = 0; i < page.n; i++)
			sum += touch(page.items[i].key) + touch(page.items[i].value);
	if (etcd_watch_decode(&a, m, &watch) == 0)
		for (size_t i = 0; i < watch.n; i++)
			sum += touch(watch.events[i].item.key) + touch(watch.events[i].item.value);
	if (etcd_txn_decode(m, &txn) == 0)
		for (size_t i = 0; i < ETCD_TXN_KEPT; i++)
			sum += touch(txn.ranges[i]);
	if (etcd_status_decode(m, &status) == 0) {
		sum += touch(status.version) + (unsigned)etcd_version_number(status.version);
		for (size_t i = 0; i < status.n_errors; i++)
			sum += touch(status.errors[i]);
	}
	if (etcd_lease_decode(m, &lease) == 0)
		sum += touch(lease.error);
	if (etcd_auth_decode(m, &token) == 0)
		sum += touch(token);
	if (etcd_alarms_decode(&a, m, &alarms, &n) == 0)
		for (size_t i = 0; i < n; i++)
			sum += (unsigned)strlen(alarms[i].what);
	if (etcd_names_decode(&a, m, &names) == 0)
		for (size_t i = 0; i < names.len; i++)
			sum += touch((struct bytes){ names.items[i].s, names.items[i].len + 1 });
	if (etcd_role_decode(&a, m, &perms) == 0)
		for (size_t i = 0; i < perms.n; i++)
			sum += touch(perms.list[i].key) + touch(perms.list[i].end) + (unsigned)strlen(etcd_perm_text(&a, &perms.list[i]));
	if (etcd_snapshot_decode(m, &part) == 0)
		sum += touch(part.blob) + (unsigned)part.remaining;
	sum += (unsigned)etcd_auth_status_decode(m, &enabled);
	arena_done(&a);
	return sum;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const uint8_t *end = data + size, *line;
	struct grpc_reply r;
	struct grpc_msg *m;
	volatile unsigned sum = 0;
	size_t step, n;

	if (size < 1)
		return 0;
	step = *data++ + 1U;
	grpc_reply_init(&r, NULL, 1 << 20);
	while (data < end) {
		line = data;
		data = memchr(line, '\n', (size_t)(end - line));
		data = data == NULL ? end : data + 1;
		grpc_reply_header(&r, (const char *)line, (size_t)(data - line));
		if (data - line == 1)
			break;
	}
	for (; data < end; data += n) {
		n = (size_t)(end - data) < step ? (size_t)(end - data) : step;
		if (!grpc_reply_body(&r, data, n))
			break;
	}
	while ((m = grpc_reply_take(&r)) != NULL) {
		sum += decode_all((struct bytes){ m->data, m->len });
		free(m);
	}
	(void)sum;
	grpc_reply_done(&r);
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Fuzz target: what an HTTP server can send, past libcurl's framing. Input: two bytes (status), a byte (how the exchange
 * ended), header lines up to an empty one, then the body. */
#include "steps/target/httpc.h"

#include <stdlib.h>
#include <string.h>

#include "base/text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A message is one line, and acts on no terminal. */
static void
check_message(const char *msg)
{
	if (utf8_check(msg, strlen(msg)) != strlen(msg))
		abort();
	for (const char *p = msg; *p != '\0'; p++)
		if ((unsigned char)*p < 0x20 || *p == 0x7f)
			abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct peer peer = { .url = "http://127.0.0.1:1/x?y" };
	const struct httpc_request rq = { .peer = &peer, .method = "POST", .changes = size > 2 && (data[2] & 4) };
	const char *head = (const char *)data + 3, *blank;
	struct arena a = ARENA_INIT;
	struct buf shown = BUF_INIT(0);
	struct err err = ERR_INIT;
	struct httpc_reply r;
	struct value v;

	if (size < 3)
		return 0;
	blank = memmem(head, size - 3, "\n\n", 2);
	r = (struct httpc_reply){ .status = data[0] << 8 | data[1], .fate = data[2] & 3, .away = data[2] & 8, .why = "lost" };
	r.head = (struct buf){ .p = (char *)(uintptr_t)head, .len = blank != NULL ? (size_t)(blank + 1 - head) : size - 3 };
	if (blank != NULL)
		r.body = (struct buf){ .p = (char *)(uintptr_t)blank + 2, .len = size - 3 - r.head.len - 1 };
	v = httpc_headers(&a, &r);
	for (uint32_t i = 0; i < v.len; i++)
		if (v.pairs[i].v.kind != V_STRING || strcmp(v.pairs[i].key, "set-cookie") == 0)
			abort();
	value_write(&shown, &v);
	if (httpc_judge(&rq, &r, false, &err) == 0 || (r.fate == HTTPC_LOST && rq.changes && err.kind != ERR_UNKNOWN))
		abort();
	check_message(err.msg);
	buf_done(&shown);
	arena_done(&a);
	return 0;
}

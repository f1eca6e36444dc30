/* SPDX-License-Identifier: Apache-2.0 */
/* Fuzz target: what a credential plugin can print. Input: a byte (how it ended), its standard error up to a NUL, then its
 * standard output. */
#include "steps/target/kube_ticket.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
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
	static const char secret[] = "PASSWORD=open sesame";
	const struct secret word = { "env", sizeof(secret) - 1, (char *)(uintptr_t)secret };
	const struct secret *const env[] = { &word, NULL };
	const struct kube_plugin_spec spec = { .what = "credential plugin 'x'", .version = KUBE_TICKET_V1, .env = env };
	const uint8_t *out = size > 1 ? memchr(data + 1, '\0', size - 1) : NULL;
	struct arena a = ARENA_INIT;
	struct err err = ERR_INIT;
	struct kube_ticket t;
	struct proc_result r;

	if (out == NULL)
		return 0;
	r = (struct proc_result){ .code = data[0] & 3, .signal = data[0] & 4, .timed_out = data[0] & 8,
				  .out = BUF_INIT(0), .err = BUF_INIT(0) };
	buf_put(&r.err, data + 1, (size_t)(out - data - 1));
	buf_put(&r.out, out + 1, size - (size_t)(out + 1 - data));
	if (kube_ticket_judge(&a, &spec, &r, &t, &err) == 0) {
		if ((t.token == NULL && t.cert == NULL) || (t.cert == NULL) != (t.key == NULL) || t.until <= 0)
			abort();
		for (const char *p = t.token; p != NULL && *p != '\0'; p++)
			if (*p <= 0x20 || *p > 0x7e)
				abort();
		kube_ticket_done(&t);
	} else if (t.token != NULL || t.cert != NULL || strstr(err.msg, "open sesame") != NULL) {
		abort();
	}
	check_message(err.msg);
	proc_result_done(&r);
	arena_done(&a);
	return 0;
}

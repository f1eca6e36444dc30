/* SPDX-License-Identifier: Apache-2.0 */
/* Owns what a v1.Status says: the server's refusal as one line that names object, field and reason
 * (https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/status/). */
#include "steps/target/kube_status.h"

#include <string.h>

#include "base/text.h"

#define WORD_MAX 64
#define MESSAGE_MAX 440
#define CAUSES_MAX 8

struct value
kube_status_parse(struct arena *a, const char *p, size_t len)
{
	struct err ignored = ERR_INIT;
	struct value v;

	if (len == 0 || value_parse_json(a, p, len, &v, &ignored) < 0 ||
	    strcmp(value_get_str(&v, "kind", ""), "Status") != 0)
		return VALUE_NULL;
	return v;
}

/* The end of what a field error quotes: a string with its escapes, or all the rest. */
static const char *
quoted_end(const char *p)
{
	if (*p != '"')
		return p + strlen(p);
	for (p++; *p != '\0' && *p != '"'; p++)
		p += *p == '\\' && p[1] != '\0';
	return p + (*p == '"');
}

/* The message without the whole objects that it quotes: they are long, and may be Secrets. */
static const char *
without_objects(struct arena *a, const char *message)
{
	static const char mark[] = "nvalid value: ";
	struct buf text = BUF_INIT(0);
	const char *at, *ret;

	for (; (at = strstr(message, mark)) != NULL; message = at) {
		at += sizeof(mark) - 1;
		buf_put(&text, message, (size_t)(at - message));
		if (*at == '{' || strncmp(at, "\"{", 2) == 0) {
			buf_puts(&text, "{…}");
			at = quoted_end(at);
		}
	}
	buf_puts(&text, message);
	ret = arena_strndup(a, text.p, text.len);
	buf_done(&text);
	return ret;
}

static const char *
safe(struct arena *a, const char *s, size_t max)
{
	return text_safe(a, s, strlen(s), max);
}

/* The fields that the message does not name itself. */
static void
add_causes(struct arena *a, struct buf *to, const struct value *status, const char *message)
{
	const struct value *details = value_get(status, "details"), *causes = value_get(details, "causes");

	if (causes == NULL || causes->kind != V_LIST)
		return;
	for (uint32_t i = 0; i < causes->len && i < CAUSES_MAX; i++) {
		const char *field = value_get_str(&causes->items[i], "field", "");
		const char *why = without_objects(a, value_get_str(&causes->items[i], "message", ""));

		if (field[0] == '\0' || strstr(message, field) != NULL)
			continue;
		buf_printf(to, "; %s: %s", safe(a, field, WORD_MAX * 2), safe(a, why, MESSAGE_MAX / 2));
	}
}

const char *
kube_status_text(struct arena *a, const struct value *status)
{
	const char *message = value_get_str(status, "message", ""), *reason = value_get_str(status, "reason", ""), *ret;
	struct buf text = BUF_INIT(0);

	if (status->kind != V_MAP)
		return NULL;
	message = without_objects(a, message);
	buf_puts(&text, message[0] != '\0' ? safe(a, message, MESSAGE_MAX) : "the server gives no reason");
	if (reason[0] != '\0')
		buf_printf(&text, " (%s)", safe(a, reason, WORD_MAX));
	add_causes(a, &text, status, message);
	ret = arena_strndup(a, text.p, text.len);
	buf_done(&text);
	return ret;
}

bool
kube_status_proves_nothing_done(const struct value *status, bool *ret_may_pass)
{
	static const char *const words[] = {
		/* etcd and its client look at the size first: etcd's api/v3rpc/rpctypes/error.go, grpc-go's stream.go */
		"etcdserver: request is too large", "trying to send message larger than max", "etcdserver: mvcc: database space exceeded",
		/* what is no object of its kind: apimachinery/pkg/util/managedfields/internal/structuredmerge.go */
		"failed to create typed ",
	};
	const char *message = value_get_str(status, "message", "");
	bool proven = false;

	/* admission comes before storage: apiserver/pkg/admission/plugin/webhook/errors/statuserror.go */
	if (strstr(message, "failed calling webhook ") != NULL)
		return *ret_may_pass = true;
	for (size_t i = 0; i < countof(words) && !proven; i++)
		proven = strstr(message, words[i]) != NULL;
	*ret_may_pass = *ret_may_pass && !proven;
	return proven;
}

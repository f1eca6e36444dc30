/* SPDX-License-Identifier: Apache-2.0 */
/* Owns the reading of logs: streamed, of whatever length; only the end is held. */
#include "steps/target/kube_logs.h"

#include <stdlib.h>
#include <string.h>

#include "base/capture.h"
#include "steps/target/kube_pod.h"

#define MAX_DEFAULT ((size_t)1 << 20)

static int
take(void *data, const char *p, size_t n, struct err *err)
{
	(void)err;
	capture_add(data, p, n);
	return 0;
}

/* Cut the query up: what is ours, and what goes to the server. */
static void
read_query(struct arena *a, const char *query, size_t *ret_max, const char **ret_container, const char **ret_rest)
{
	*ret_max = MAX_DEFAULT;
	*ret_container = NULL;
	*ret_rest = "";
	while (query != NULL && query[0] != '\0') {
		const size_t len = strcspn(query, "&");

		if (strncmp(query, "max=", 4) == 0)
			*ret_max = (size_t)strtoull(query + 4, NULL, 10);
		else if (strncmp(query, "container=", 10) == 0)
			*ret_container = arena_strndup(a, query + 10, len - 10);
		else
			*ret_rest = arena_printf(a, "%s&%.*s", *ret_rest, (int)len, query);
		query += len + (query[len] == '&');
	}
}

int
kube_logs_read(struct opctx *op, struct kube_conn *c, const struct kube_paths *path, struct value *ret, struct err *err)
{
	struct capture text = { .tail_only = true, .kept = BUF_INIT(0) };
	struct kube_ask ask = { .method = "GET", .accept = "*/*", .sink = take, .sink_data = &text };
	struct pair *pairs = arena_array(op->arena, 3, sizeof(*pairs));
	const char *container, *rest;
	struct kube_reply reply;
	struct kube_pod pod;
	struct buf kept;
	int rc;

	read_query(op->arena, path->query, &text.cap, &container, &rest);
	if (kube_pod_look(op, c, path->namespace, path->name, container, &pod, err) < 0)
		return -1;
	if (!pod.present)
		return err_set(err, ERR_FAILED, "pod %s/%s does not exist", pod.namespace, pod.name);
	ask.url = arena_printf(op->arena, "/api/v1/namespaces/%s/pods/%s/log?container=%s%s", pod.namespace, pod.name, pod.container, rest);
	rc = kube_ask(op, c, &ask, &reply, err);
	kube_reply_done(&reply);
	kept = capture_end(&text);
	if (rc == 0) {
		pairs[0] = (struct pair){ "text", value_strn(arena_strndup(op->arena, kept.len > 0 ? kept.p : "", kept.len), kept.len) };
		pairs[1] = (struct pair){ "dropped", value_int((int64_t)text.dropped) };
		pairs[2] = (struct pair){ "container", value_str(pod.container) };
		*ret = value_map(pairs, 3);
	}
	buf_done(&kept);
	return rc;
}

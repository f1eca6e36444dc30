/* SPDX-License-Identifier: Apache-2.0 */
/* Fuzz target: what a Kubernetes API server can send: lists in pieces, single objects, discovery documents, refusals. Input:
 * a byte (size of the pieces), then the text. Pieces of any size make the same items. */
#include <stdlib.h>
#include <string.h>

#include "steps/target/kube_item.h"
#include "steps/target/kube_split.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct kube_kind kind = { .group = "apps", .version = "v1", .kind = "Deployment" };

static int
take(void *data, struct bytes json, struct err *err)
{
	const struct kube_path p = { .kind = "Deployment.apps", .k = &kind };
	struct buf *all = data;
	struct arena a = ARENA_INIT;
	struct item it;
	int rc = kube_item_make(&a, &p, json, false, &it, NULL, err);

	if (rc == 0) {
		if (it.key.len != strlen(it.key.p) || it.value.len < json.len)
			abort();
		buf_put(all, it.key.p, it.key.len);
		buf_put(all, it.value.p, it.value.len);
	}
	arena_done(&a);
	return rc;
}

static int
split(const char *p, size_t n, size_t piece, struct buf *all)
{
	struct err err = ERR_INIT;
	struct kube_split s;
	int rc = 0;

	kube_split_begin(&s, take, all, 1 << 16);
	for (size_t i = 0; i < n && rc == 0; i += piece)
		rc = kube_split_feed(&s, p + i, n - i < piece ? n - i : piece, &err);
	if (rc == 0)
		rc = kube_split_end(&s, &err);
	if ((rc < 0) != (err.msg[0] != '\0'))
		abort();
	kube_split_done(&s);
	return rc;
}

static void
documents(const char *p, size_t n)
{
	struct kube_found found = { 0 };
	struct arena a = ARENA_INIT;
	struct err err = ERR_INIT;
	struct value v, about;

	about = kube_status_parse(&a, p, n);
	(void)kube_status_text(&a, &about);
	if (value_parse_json(&a, p, n, &v, &err) == 0) {
		(void)kube_paths_hide(&a, &v);
		(void)kube_kinds_stale(&a, &v);
		if (kube_kinds_read(&a, &v, &found, &err) == 0)
			kube_kinds_prefer(&found);
		for (size_t i = 0; i < found.n; i++)
			if (!kube_kinds_is_word(found.list[i].plural, "") || found.list[i].subresources == NULL)
				abort();
	}
	free(found.list);
	arena_done(&a);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct buf pieces = BUF_INIT(0), whole = BUF_INIT(0);
	struct arena a = ARENA_INIT;
	struct err err = ERR_INIT;
	struct kube_paths path;
	const char *text;

	if (size < 2)
		return 0;
	text = (const char *)data + 1;
	if (split(text, size - 1, data[0] % 32 + 1, &pieces) != split(text, size - 1, size, &whole) ||
	    !bytes_eq((struct bytes){ pieces.p, pieces.len }, (struct bytes){ whole.p, whole.len }))
		abort();
	documents(text, size - 1);
	(void)kube_paths_parse(&a, arena_strndup(&a, text, size - 1), &path, &err);
	buf_done(&pieces);
	buf_done(&whole);
	arena_done(&a);
	return 0;
}

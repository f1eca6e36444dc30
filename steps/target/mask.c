/* SPDX-License-Identifier: Apache-2.0 */
/* Owns how secrets are taken out of text that comes from outside; base and values only. */
#include "steps/target/mask.h"

#include <string.h>

#define MASK "(secret)"
#define MASK_MIN 4

void
mask_bytes(struct buf *text, struct bytes secret)
{
	struct buf masked = BUF_INIT(0);
	const char *at = text->p, *hit;
	size_t left = text->len;

	if (secret.len < MASK_MIN || left == 0)
		return;
	while ((hit = memmem(at, left, secret.p, secret.len)) != NULL) {
		buf_put(&masked, at, (size_t)(hit - at));
		buf_puts(&masked, MASK);
		left -= (size_t)(hit - at) + secret.len;
		at = hit + secret.len;
	}
	if (at == text->p)
		return;
	buf_put(&masked, at, left);
	buf_done(text);
	*text = masked;
}

static void
mask_secret(struct buf *text, const struct value *v)
{
	const struct bytes plain = { v->secret->content, v->secret->len };
	struct buf json = BUF_INIT(0);
	struct err ignored = ERR_INIT;

	mask_bytes(text, plain);
	if (value_json(&json, v, &ignored) == 0 && json.len - 2 != plain.len) /* as JSON would say it back */
		mask_bytes(text, (struct bytes){ json.p + 1, json.len - 2 });
	if (json.p != NULL)
		explicit_bzero(json.p, json.cap);
	buf_done(&json);
}

void
mask_secrets(struct buf *text, const struct value *v)
{
	if ((v->flags & VF_SECRET) == 0)
		return;
	if (v->kind == V_SECRET)
		mask_secret(text, v);
	for (uint32_t i = 0; v->kind == V_LIST && i < v->len; i++)
		mask_secrets(text, &v->items[i]);
	for (uint32_t i = 0; v->kind == V_MAP && i < v->len; i++)
		mask_secrets(text, &v->pairs[i].v);
}

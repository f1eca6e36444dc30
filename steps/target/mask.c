/* SPDX-License-Identifier: Apache-2.0 */
/* Owns how secrets are taken out of text that comes from outside; base and values only. */
#include "steps/target/mask.h"

#include <stdio.h>
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

void
mask_err(struct err *err, const struct value *v)
{
	struct buf text = BUF_INIT(0);

	if ((v->flags & VF_SECRET) == 0)
		return;
	buf_puts(&text, err->msg);
	mask_secrets(&text, v);
	(void)snprintf(err->msg, sizeof(err->msg), "%s", text.len > 0 ? text.p : "");
	buf_done(&text);
}

/* A secret of `with` that is a part of the text, or NULL. */
static const struct value *
secret_in(const struct value *text, const struct value *with)
{
	const uint32_t n = with->kind == V_LIST || with->kind == V_MAP ? with->len : 0;
	const struct value *found = NULL;

	if ((with->flags & VF_SECRET) == 0)
		return NULL;
	if (with->kind == V_SECRET)
		return with->secret->len >= MASK_MIN && memmem(text->s, text->len, with->secret->content, with->secret->len) != NULL ? with : NULL;
	for (uint32_t i = 0; found == NULL && i < n; i++)
		found = secret_in(text, with->kind == V_LIST ? &with->items[i] : &with->pairs[i].v);
	return found;
}

struct value
mask_value(struct arena *a, const struct value *v, const struct value *with)
{
	const struct value *secret;
	struct value *items;
	struct pair *pairs;

	if (v->kind == V_STRING) {
		secret = secret_in(v, with);
		return secret != NULL ? *secret : *v;
	}
	if (v->kind == V_LIST) {
		items = arena_array(a, (size_t)v->len + 1, sizeof(*items));
		for (uint32_t i = 0; i < v->len; i++)
			items[i] = mask_value(a, &v->items[i], with);
		return value_list(items, v->len);
	}
	if (v->kind != V_MAP)
		return *v;
	pairs = arena_array(a, (size_t)v->len + 1, sizeof(*pairs));
	for (uint32_t i = 0; i < v->len; i++)
		pairs[i] = (struct pair){ v->pairs[i].key, mask_value(a, &v->pairs[i].v, with) };
	return value_map(pairs, v->len);
}

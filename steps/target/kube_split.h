/* SPDX-License-Identifier: Apache-2.0 */
/* A list's items, one at a time, out of text that comes in pieces: a list of any length takes the memory of one item.
 * Only the structure is looked at (RFC 8259 without the inside of values); value_parse_json judges each item. Pure. */
#ifndef WHERRY_TARGET_KUBE_SPLIT_H
#define WHERRY_TARGET_KUBE_SPLIT_H

#include "base/buf.h"
#include "value.h"

/* A value that is being skimmed. */
struct kube_skim {
	unsigned depth;
	uint64_t maps[2];         /* which of the open brackets are '{' */
	bool begun, scalar, string, escaped, bad;
};
/* Go on with a value in [p, end): where it ends (a scalar at what follows it), or NULL: not yet, or it is bad. */
const char *kube_skim(struct kube_skim *s, const char *p, const char *end);

/* The next member of a map: rest begins as the text of a whole map and is what is left of it. Of the key the text between its
 * quotes. False: none, or not JSON. */
bool kube_next_member(struct bytes *rest, struct bytes *ret_key, struct bytes *ret_value);
/* The text of a JSON string, in the arena; NULL: it is none, or holds control characters or bad UTF-8. */
const char *kube_text_of(struct arena *a, struct bytes json);

typedef int kube_item_fn(void *data, struct bytes item, struct err *err);
/* {"kind": …, "metadata": {…}, "items": [{…}, …]}, members in any order. */
struct kube_split {
	kube_item_fn *fn;         /* -1 with err ends it */
	void *data;
	size_t item_max;
	struct buf text, metadata; /* of the value under way; the list's metadata, once it has come */
	struct kube_skim skim;
	uint8_t state, member;
	bool items;               /* "items" has been there */
};
void kube_split_begin(struct kube_split *s, kube_item_fn *fn, void *data, size_t item_max);
int kube_split_feed(struct kube_split *s, const char *p, size_t n, struct err *err);
/* The text has ended: was it a whole list? */
int kube_split_end(struct kube_split *s, struct err *err);
void kube_split_done(struct kube_split *s);

#endif

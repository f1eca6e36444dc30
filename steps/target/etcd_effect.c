/* SPDX-License-Identifier: Apache-2.0 */
/* Hands an effect to the family that it belongs to: bulk writes by their verbs; keys, users and roles, what bulk
 * writes leave, or files that hold a snapshot by their paths. */
#include "steps/target/etcd_effect.h"

#include <string.h>

static const struct etcd_effects *
family(const struct effect *e)
{
	static const char *const bulks[] = { "copy", "sync", "raise", "remove-bulk" };
	static const struct {
		const char *word;
		const struct etcd_effects *effects;
	} families[] = { { "markers/", &etcd_release_effects }, { "role/", &etcd_rights_effects }, { "user/", &etcd_rights_effects },
			 { "snapshot/", &etcd_snapshot_effects } };

	for (size_t i = 0; i < countof(bulks); i++)
		if (strcmp(e->verb, bulks[i]) == 0)
			return &etcd_bulk_effects;
	for (size_t i = 0; i < countof(families); i++)
		if (strncmp(e->on.path, families[i].word, strlen(families[i].word)) == 0)
			return families[i].effects;
	return &etcd_key_effects;
}

int
etcd_write(struct opctx *cx, void *conn, const struct effect *e, const char *nonce, struct reply *ret, struct err *err)
{
	return family(e)->write(cx, conn, e, nonce, ret, err);
}

int
etcd_image(struct opctx *cx, void *conn, const struct effect *e, struct value *ret, struct err *err)
{
	return family(e)->image(cx, conn, e, ret, err);
}

bool
etcd_same(const struct effect *e, const struct value *before)
{
	return family(e)->same(e, before);
}

int
etcd_predict(struct opctx *cx, void *conn, const struct effect *e, const struct value *before, struct prediction *ret,
	     struct err *err)
{
	return family(e)->predict(cx, conn, e, before, ret, err);
}

int
etcd_probe(struct opctx *cx, void *conn, const struct effect *e, const char *nonce, const struct value *before,
	   enum probe *ret, struct err *err)
{
	return family(e)->probe(cx, conn, e, nonce, before, ret, err);
}

int
etcd_invert(struct arena *a, const struct effect *e, const struct value *before, const struct value *after,
	    struct effect *ret, struct err *err)
{
	return family(e)->invert(a, e, before, after, ret, err);
}

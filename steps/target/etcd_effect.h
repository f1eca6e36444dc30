/* SPDX-License-Identifier: Apache-2.0 */
/* Effects of the etcd target kind, by the families of paths that they are on. */
#ifndef WHERRY_TARGET_ETCD_EFFECT_H
#define WHERRY_TARGET_ETCD_EFFECT_H

#include "target.h"

/* What the door asks about the effects on one family of paths; members as in struct target_type. */
struct etcd_effects {
	int (*write)(struct opctx *, void *conn, const struct effect *, const char *nonce, struct reply *ret, struct err *);
	int (*image)(struct opctx *, void *conn, const struct effect *, struct value *ret, struct err *);
	bool (*same)(const struct effect *, const struct value *before);
	int (*predict)(struct opctx *, void *conn, const struct effect *, const struct value *before, struct prediction *ret,
		       struct err *);
	int (*probe)(struct opctx *, void *conn, const struct effect *, const char *nonce, const struct value *before,
		     enum probe *ret, struct err *);
	int (*invert)(struct arena *, const struct effect *, const struct value *before, const struct value *after,
		      struct effect *ret, struct err *);
};
extern const struct etcd_effects etcd_key_effects; /* etcd_write.c */
extern const struct etcd_effects etcd_rights_effects; /* etcd_rights.c */
extern const struct etcd_effects etcd_bulk_effects; /* etcd_undo.c */
extern const struct etcd_effects etcd_release_effects; /* etcd_release.c */
extern const struct etcd_effects etcd_snapshot_effects; /* etcd_snapshot.c */

/* The image that a release leaves. */
struct value etcd_released(struct arena *a, const struct effect *e);
/* As in struct target_type, for effects on any path. */
int etcd_write(struct opctx *cx, void *conn, const struct effect *e, const char *nonce, struct reply *ret, struct err *err);
int etcd_image(struct opctx *cx, void *conn, const struct effect *e, struct value *ret, struct err *err);
bool etcd_same(const struct effect *e, const struct value *before);
int etcd_predict(struct opctx *cx, void *conn, const struct effect *e, const struct value *before,
		 struct prediction *ret, struct err *err);
int etcd_probe(struct opctx *cx, void *conn, const struct effect *e, const char *nonce, const struct value *before,
	       enum probe *ret, struct err *err);
int etcd_invert(struct arena *a, const struct effect *e, const struct value *before, const struct value *after,
		struct effect *ret, struct err *err);

#endif

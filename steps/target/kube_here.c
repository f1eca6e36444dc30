/* SPDX-License-Identifier: Apache-2.0 */
/* Owns what is known of files of this machine that come out of containers or go into them. */
#include <errno.h>
#include <sys/stat.h>

#include "base/hash.h"
#include "base/io.h"
#include "steps/target/kube_inside.h"
#include "steps/target/kube_paths.h"

int
kube_look_here(struct opctx *op, const char *path, struct value *ret, struct err *err)
{
	struct pair *pairs = arena_array(op->arena, 4, sizeof(*pairs));
	char hex[SHA256_HEX];
	struct stat st;

	*ret = VALUE_NULL;
	if (lstat(path, &st) < 0)
		return errno == ENOENT ? 0 : err_errno(err, "look at '%s'", path);
	if (!S_ISREG(st.st_mode))
		return err_set(err, ERR_FAILED, "'%s' is not a regular file", path);
	if (io_hash_file(path, hex, err) < 0)
		return -1;
	pairs[0] = (struct pair){ "path", value_str(path) };
	pairs[1] = (struct pair){ "size", value_int(st.st_size) };
	pairs[2] = (struct pair){ "sha256", value_str(arena_strdup(op->arena, hex)) };
	pairs[3] = (struct pair){ "mode", value_str(arena_printf(op->arena, "%04o", (unsigned)(st.st_mode & 07777))) };
	*ret = value_map(pairs, 4);
	return 0;
}

int
kube_read_here(struct opctx *op, const char *file, struct value *ret, struct err *err)
{
	if (kube_look_here(op, file, ret, err) < 0)
		return -1;
	if (ret->kind == V_NULL && op->scratch == NULL)
		*ret = value_unknown("a file that is not there yet");
	return 0;
}

int
kube_recheck_here(struct opctx *op, const char *path, const struct value *after, struct err *err)
{
	const struct value *was = after->kind == V_MAP ? value_get(after, "sha256") : NULL, *is;
	struct kube_paths p;
	struct value now;

	if (was == NULL)
		return 0;
	if (kube_paths_parse(op->arena, path, &p, err) < 0 || kube_look_here(op, p.file, &now, err) < 0)
		return -1;
	is = now.kind == V_MAP ? value_get(&now, "sha256") : NULL;
	if (is != NULL && value_eq(is, was))
		return 0;
	return err_set(err, ERR_IN_DOUBT, "the file '%s' that this step left is %s", value_get_str(after, "path", ""),
		       is == NULL ? "gone" : "another one now");
}

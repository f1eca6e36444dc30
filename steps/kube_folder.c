/* SPDX-License-Identifier: Apache-2.0 */
/* Folders of exported objects, read through the target kind `folder`. Nothing of a file is believed before its sum holds. */
#include "steps/kube_folder.h"

#include <string.h>

#include "steps/kube_yaml.h"

/* One file; ret lives until the next step_list. */
static int
read_file(struct step_ctx *cx, const struct kube_folder *f, struct arena *a, const char *name, struct bytes *ret, struct err *err)
{
	const char *path = arena_printf(a, "%s/%s", f->path, name);
	struct page page;

	if (step_list(cx, &(struct query){ .target = f->target, .from = { path, strlen(path) } }, &page, err) < 0)
		return -1;
	if (page.n != 1)
		return err_set(err, ERR_FAILED, "'%s' is not there", path);
	*ret = page.items[0].value;
	return 0;
}

int
kube_folder_open(struct step_ctx *cx, const char *path, struct kube_folder *ret, struct err *err)
{
	struct arena a = ARENA_INIT, read = ARENA_INIT;
	struct buf manifest = BUF_INIT(0);
	struct bytes text = { 0 }, sums = { 0 };
	int rc;

	*ret = (struct kube_folder){ .target = step_local(cx, "folder"), .path = path };
	rc = read_file(cx, ret, &a, KUBE_STORE_MANIFEST, &text, err);
	if (rc == 0) {
		buf_put(&manifest, text.p, text.len);
		rc = read_file(cx, ret, &a, KUBE_STORE_SUMS, &sums, err);
	}
	if (rc == 0)
		rc = kube_store_read(&ret->store, path, (struct bytes){ manifest.p, manifest.len }, sums, err);
	step_page_keep(cx, &read); /* or the page would be as large as the sums are, to the end of the step */
	arena_done(&read);
	buf_done(&manifest);
	arena_done(&a);
	return rc;
}

int
kube_folder_read(struct step_ctx *cx, const struct kube_folder *f, uint32_t i, struct arena *a, struct value *ret, struct err *err)
{
	const struct kube_store_file *file = &f->store.files[i];
	const char *name = arena_printf(a, "%s/%s", f->path, file->path);
	struct bytes text = { 0 };

	if (read_file(cx, f, a, file->path, &text, err) < 0)
		return -1;
	if (!kube_store_is(file, text))
		return err_set(err, ERR_FAILED, "'%s' was changed since the export: its SHA-256 is not what %s says", name, KUBE_STORE_SUMS);
	return kube_yaml_read(a, name, (struct bytes){ arena_strndup(a, text.p, text.len), text.len }, ret, err);
}

void
kube_folder_close(struct kube_folder *f)
{
	kube_store_done(&f->store);
}

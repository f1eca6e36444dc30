/* SPDX-License-Identifier: Apache-2.0 */
/* Owns which files are a kubeconfig, who may read them, and what an entry holds. Every message names file and entry, and
 * none shows the content of a member that may be secret. */
#include "steps/target/kube_entry.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/hash.h"
#include "base/io.h"
#include "base/text.h"
#include "steps/target/kube_yaml.h"

#define FILE_MAX ((size_t)1 << 20)
#define FILES_MAX 32
#define NAMES_SHOWN 10
#define NAME_SHOWN 80

static int
check_mode(struct arena *a, const char *path, struct kube_files *f, struct err *err)
{
	struct stat st;

	if (stat(path, &st) < 0)
		return err_errno(err, "read kubeconfig '%s'", path);
	if ((st.st_mode & S_IRWXO) != 0) {
		(void)err_set(err, ERR_LOCAL, "kubeconfig '%s' can be read or changed by every user of this machine", path);
		return err_next(err, "chmod 600 '%s'", path);
	}
	if ((st.st_mode & S_IRWXG) != 0 && f->loose == NULL)
		f->loose = arena_strdup(a, path);
	return 0;
}

/* "Config" of "v1", where it says what it is. */
static int
check_kind(const char *what, const struct value *root, struct err *err)
{
	if (root->kind != V_MAP || strcmp(value_get_str(root, "kind", "Config"), "Config") != 0 ||
	    strcmp(value_get_str(root, "apiVersion", "v1"), "v1") != 0)
		return err_set(err, ERR_PLAN, "%s is no kubeconfig: it has to be a map of kind Config, apiVersion v1", what);
	return 0;
}

static int
read_file(struct arena *a, const char *path, struct kube_files *f, struct err *err)
{
	const char *what = arena_printf(a, "kubeconfig '%s'", path), *slash = strrchr(path, '/');
	struct kube_file *file = &f->list[f->n];
	struct buf text = BUF_INIT(0);
	int rc;

	*file = (struct kube_file){ .path = arena_strdup(a, path), .root = VALUE_NULL };
	file->dir = slash == NULL ? "." : slash == path ? "/" : arena_strndup(a, path, (size_t)(slash - path));
	rc = check_mode(a, path, f, err);
	if (rc == 0 && io_read_file(path, FILE_MAX, &text, err) < 0) {
		rc = err_wrap(err, "kubeconfig");
		if (err->sys == 0) /* no file, or too large */
			err->kind = ERR_PLAN;
	}
	if (rc == 0)
		rc = kube_yaml_parse(a, what, (struct bytes){ text.p, text.len }, &file->root, err);
	if (rc == 0)
		rc = check_kind(what, &file->root, err);
	if (text.p != NULL)
		explicit_bzero(text.p, text.cap);
	buf_done(&text);
	f->n++;
	return rc;
}

/* A list as in $KUBECONFIG; what is not there is passed over. */
static int
read_list(struct arena *a, const char *list, struct kube_files *f, struct err *err)
{
	const char *end;

	for (const char *p = list; *p != '\0'; p = *end == ':' ? end + 1 : end) {
		const char *path;

		end = strchrnul(p, ':');
		path = arena_strndup(a, p, (size_t)(end - p));
		if (path[0] == '\0' || (access(path, F_OK) < 0 && errno == ENOENT))
			continue;
		if (f->n == FILES_MAX)
			return err_set(err, ERR_PLAN, "more than %d kubeconfigs in one list", FILES_MAX);
		if (read_file(a, path, f, err) < 0)
			return -1;
	}
	return 0;
}

static const char *
describe(struct arena *a, const struct kube_files *f)
{
	struct buf text = BUF_INIT(0);
	const char *ret;

	buf_puts(&text, "kubeconfig");
	for (size_t i = 0; i < f->n; i++)
		buf_printf(&text, "%s '%s'", i > 0 ? "," : "", f->list[i].path);
	ret = arena_strndup(a, text.p, text.len);
	buf_done(&text);
	return ret;
}

int
kube_files_read(struct arena *a, const char *kubeconfig, struct kube_files *ret, struct err *err)
{
	const char *list = kubeconfig != NULL ? kubeconfig : getenv("KUBECONFIG"), *home = getenv("HOME");
	int rc = 0;

	*ret = (struct kube_files){ .list = arena_array(a, FILES_MAX, sizeof(*ret->list)) };
	if ((list == NULL || list[0] == '\0') && home != NULL)
		list = io_join(a, home, ".kube/config");
	if (kubeconfig != NULL && access(kubeconfig, F_OK) == 0) /* its name may hold a colon */
		rc = read_file(a, kubeconfig, ret, err);
	else if (list != NULL)
		rc = read_list(a, list, ret, err);
	if (rc == 0 && ret->n == 0 && kubeconfig != NULL)
		rc = err_set(err, ERR_PLAN, "kubeconfig '%s' is not there", kubeconfig);
	ret->from = describe(a, ret);
	return rc;
}

void
kube_files_wipe(struct kube_files *f)
{
	for (size_t i = 0; i < f->n; i++)
		kube_yaml_wipe(&f->list[i].root);
}

/* The items of a section; ones that are no list, or have no name, are left to whoever asks for one. */
static const char *
name_of(const struct value *section, uint32_t i)
{
	return value_get_str(&section->items[i], "name", "");
}

static const struct value *
section_of(const struct kube_file *file, const char *section)
{
	static const struct value none = { .kind = V_LIST };
	const struct value *v = value_get(&file->root, section);

	return v != NULL && v->kind == V_LIST ? v : &none;
}

const char *
kube_entry_names(struct arena *a, const struct kube_files *f, const char *section)
{
	struct buf text = BUF_INIT(0);
	const char *ret;
	size_t n = 0;

	for (size_t i = 0; i < f->n; i++) {
		const struct value *list = section_of(&f->list[i], section);

		for (uint32_t k = 0; k < list->len; k++, n++) {
			const char *name = name_of(list, k);

			if (n < NAMES_SHOWN)
				buf_printf(&text, "%s'%s'", n > 0 ? ", " : "", text_safe(a, name, strlen(name), NAME_SHOWN));
		}
	}
	if (n > NAMES_SHOWN)
		buf_printf(&text, " and %zu more", n - NAMES_SHOWN);
	ret = n == 0 ? "none" : arena_strndup(a, text.p, text.len);
	buf_done(&text);
	return ret;
}

static int
not_found(struct arena *a, const struct kube_files *f, const char *section, const char *kind, const char *name, struct err *err)
{
	const char *safe = text_safe(a, name, strlen(name), NAME_SHOWN);

	return err_set(err, ERR_PLAN, "%s: there is no %s '%s'; %s: %s", f->from, kind, safe, section,
		       kube_entry_names(a, f, section));
}

int
kube_entry_find(struct arena *a, const struct kube_files *f, const char *section, const char *kind, const char *name,
		struct kube_entry *ret, struct err *err)
{
	const struct value *found = NULL;

	*ret = (struct kube_entry){ 0 };
	for (size_t i = 0; i < f->n && found == NULL; i++) {
		const struct value *list = section_of(&f->list[i], section);

		for (uint32_t k = 0; k < list->len; k++) {
			if (strcmp(name_of(list, k), name) != 0)
				continue;
			ret->dir = f->list[i].dir;
			ret->what = arena_printf(a, "kubeconfig '%s', %s '%s'", f->list[i].path, kind,
						 text_safe(a, name, strlen(name), NAME_SHOWN));
			if (found != NULL)
				return err_set(err, ERR_PLAN, "%s: there is another one of this name in that file", ret->what);
			found = &list->items[k];
		}
	}
	if (found == NULL)
		return not_found(a, f, section, kind, name, err);
	ret->v = value_get(found, kind);
	if (ret->v != NULL && ret->v->kind == V_NULL)
		ret->v = NULL;
	return ret->v != NULL && ret->v->kind != V_MAP ? err_set(err, ERR_PLAN, "%s: '%s' must be a map", ret->what, kind) : 0;
}

int
kube_entry_current(struct arena *a, const struct kube_files *f, const char **ret, struct err *err)
{
	*ret = NULL;
	for (size_t i = 0; i < f->n && *ret == NULL; i++) {
		const struct kube_entry top = { arena_printf(a, "kubeconfig '%s'", f->list[i].path), f->list[i].dir, &f->list[i].root };

		if (kube_entry_text(a, &top, "current-context", ret, err) < 0)
			return -1;
	}
	return 0;
}

/* A member of this kind; *ret NULL: it is not there, or null. */
static int
member(const struct kube_entry *e, const char *key, enum value_kind kind, const char *must_be, const struct value **ret,
       struct err *err)
{
	const struct value *v = e->v == NULL ? NULL : value_get(e->v, key);

	*ret = v != NULL && v->kind != V_NULL ? v : NULL;
	return *ret != NULL && (*ret)->kind != kind ? err_set(err, ERR_PLAN, "%s: %s must be %s", e->what, key, must_be) : 0;
}

static bool
has_control(const struct value *v)
{
	for (uint32_t i = 0; i < v->len; i++)
		if ((unsigned char)v->s[i] < 0x20 || v->s[i] == 0x7f)
			return true;
	return false;
}

int
kube_entry_text(struct arena *a, const struct kube_entry *e, const char *key, const char **ret, struct err *err)
{
	const struct value *v;

	*ret = NULL;
	if (member(e, key, V_STRING, "text", &v, err) < 0)
		return -1;
	if (v != NULL && has_control(v)) /* it may go into a header, an argument or a message */
		return err_set(err, ERR_PLAN, "%s: %s holds a line's end or a control character", e->what, key);
	if (v != NULL && v->len > 0)
		*ret = arena_strndup(a, v->s, v->len);
	return 0;
}

int
kube_entry_path(struct arena *a, const struct kube_entry *e, const char *key, const char **ret, struct err *err)
{
	if (kube_entry_text(a, e, key, ret, err) < 0)
		return -1;
	if (*ret != NULL && (*ret)[0] != '/')
		*ret = io_join(a, e->dir, *ret);
	return 0;
}

int
kube_entry_secret(struct arena *a, const struct kube_entry *e, const char *key, const struct secret **ret, struct err *err)
{
	const char *text;
	struct secret *s;

	*ret = NULL;
	if (kube_entry_text(a, e, key, &text, err) < 0)
		return -1;
	if (text == NULL)
		return 0;
	s = arena_alloc(a, sizeof(*s));
	*s = (struct secret){ arena_printf(a, "%s: %s", e->what, key), strlen(text), (char *)(uintptr_t)text };
	*ret = s;
	return 0;
}

int
kube_entry_data(struct arena *a, const struct kube_entry *e, const char *key, struct bytes *ret, struct err *err)
{
	struct buf packed = BUF_INIT(0), plain = BUF_INIT(0);
	const struct value *v;
	int rc = 0;

	*ret = (struct bytes){ 0 };
	if (member(e, key, V_STRING, "text", &v, err) < 0)
		return -1;
	if (v == NULL || v->len == 0)
		return 0;
	buf_reserve(&packed, v->len + 1);
	buf_reserve(&plain, v->len + 1);
	for (uint32_t i = 0; i < v->len; i++)
		if (strchr(" \t\r\n", v->s[i]) == NULL)
			buf_putc(&packed, v->s[i]);
	if (packed.len == 0 || base64_decode(&plain, packed.p, packed.len) < 0)
		rc = err_set(err, ERR_PLAN, "%s: %s is not base64", e->what, key);
	else
		*ret = (struct bytes){ arena_strndup(a, plain.p, plain.len), plain.len };
	explicit_bzero(packed.p, packed.cap);
	explicit_bzero(plain.p, plain.cap);
	buf_done(&packed);
	buf_done(&plain);
	return rc;
}

int
kube_entry_flag(const struct kube_entry *e, const char *key, bool *ret, struct err *err)
{
	const struct value *v;

	*ret = false;
	if (member(e, key, V_STRING, "true or false", &v, err) < 0)
		return -1;
	if (v != NULL && strcasecmp(v->s, "true") != 0 && strcasecmp(v->s, "false") != 0)
		return err_set(err, ERR_PLAN, "%s: %s must be true or false", e->what, key);
	*ret = v != NULL && strcasecmp(v->s, "true") == 0;
	return 0;
}

int
kube_entry_list(const struct kube_entry *e, const char *key, const struct value **ret, struct err *err)
{
	return member(e, key, V_LIST, "a list", ret, err);
}

int
kube_entry_map(struct arena *a, const struct kube_entry *e, const char *key, struct kube_entry *ret, struct err *err)
{
	*ret = (struct kube_entry){ arena_printf(a, "%s: %s", e->what, key), e->dir, NULL };
	return member(e, key, V_MAP, "a map", &ret->v, err);
}

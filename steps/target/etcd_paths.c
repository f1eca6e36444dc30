/* SPDX-License-Identifier: Apache-2.0 */
/* Owns the syntax of etcd paths and the arithmetic of key ranges. Pure; any bytes make a key, and each path has one
 * spelling, so that equal paths mean equal objects. */
#include "steps/target/etcd_paths.h"

#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/text.h"

bool
etcd_range_is_open(struct bytes to)
{
	return to.len == 1 && *(const char *)to.p == '\0';
}

/* part: a part of a range, in which ".." must not occur nor arise. */
static void
escape(struct buf *to, struct bytes key, bool part)
{
	static const char hex[] = "0123456789ABCDEF";
	const unsigned char *p = key.p;
	bool plain;

	for (size_t i = 0; i < key.len; i++) {
		plain = p[i] > ' ' && p[i] < 0x7f && p[i] != '%';
		if (part && p[i] == '.')
			plain = i > 0 && i + 1 < key.len && p[i - 1] != '.';
		if (plain) {
			buf_putc(to, (char)p[i]);
		} else {
			buf_putc(to, '%');
			buf_putc(to, hex[p[i] >> 4]);
			buf_putc(to, hex[p[i] & 15]);
		}
	}
}

static const char *
finish(struct arena *a, struct buf *b)
{
	const char *s = arena_strndup(a, b->p, b->len);

	buf_done(b);
	return s;
}

static const char *
with_key(struct arena *a, const char *what, struct bytes key)
{
	struct buf b = BUF_INIT(0);

	buf_puts(&b, what);
	escape(&b, key, false);
	return finish(a, &b);
}

const char *
etcd_escape(struct arena *a, struct bytes key)
{
	return with_key(a, "", key);
}

const char *
etcd_path_key(struct arena *a, struct bytes key)
{
	return with_key(a, "key/", key);
}

static const char *
with_name(struct arena *a, const char *what, const char *name)
{
	return with_key(a, what, (struct bytes){ name, strlen(name) });
}

const char *
etcd_path_markers(struct arena *a, const char *marker_prefix)
{
	return with_name(a, "markers/", marker_prefix);
}

const char *
etcd_path_role(struct arena *a, const char *role)
{
	return with_name(a, "role/", role);
}

const char *
etcd_path_user(struct arena *a, const char *user)
{
	return with_name(a, "user/", user);
}

const char *
etcd_path_snapshot(struct arena *a, const char *file)
{
	return with_name(a, "snapshot/", file);
}

const char *
etcd_shell_word(struct arena *a, struct bytes key)
{
	const char *safe = text_safe(a, key.p, key.len, 300), *ret;
	struct buf b = BUF_INIT(0);

	text_shell_word(&b, safe, strlen(safe));
	ret = arena_strdup(a, b.p);
	buf_done(&b);
	return ret;
}

const char *
etcd_marker_folder(struct arena *a, const char *marker_prefix, const char *run, const char *name)
{
	return arena_printf(a, "%s%s/%s/", marker_prefix, run, name);
}

const char *
etcd_path_range(struct arena *a, struct bytes from, struct bytes to)
{
	struct buf b = BUF_INIT(0);

	if (to.len == 0)
		return etcd_path_key(a, from);
	buf_puts(&b, "range/");
	escape(&b, from, true);
	buf_puts(&b, "..");
	escape(&b, to, true);
	return finish(a, &b);
}

const char *
etcd_path_lease(struct arena *a, int64_t id)
{
	return arena_printf(a, "lease/%lld", (long long)id);
}

static int
unescape(struct arena *a, const char *p, size_t len, struct bytes *ret)
{
	char *to = arena_alloc(a, len + 1);
	size_t n = 0;

	for (size_t i = 0; i < len; i++) {
		if (p[i] != '%') {
			to[n++] = p[i];
			continue;
		}
		if (len - i < 3 || hex_decode(p + i + 1, 2, to + n) < 0)
			return -1;
		n++;
		i += 2;
	}
	*ret = (struct bytes){ to, n };
	return 0;
}

static int
parse_range(struct arena *a, const char *p, struct etcd_path *ret)
{
	const char *dots = strstr(p, "..");

	if (dots == NULL || dots[2] == '\0')
		return -1;
	ret->kind = ETCD_PATH_RANGE;
	return unescape(a, p, (size_t)(dots - p), &ret->key) < 0 ||
	       unescape(a, dots + 2, strlen(dots + 2), &ret->end) < 0 ? -1 : 0;
}

static int
parse_lease(const char *p, struct etcd_path *ret)
{
	char *end;

	ret->kind = ETCD_PATH_LEASE;
	ret->lease = strtoll(p, &end, 10);
	return *p >= '1' && *p <= '9' && *end == '\0' ? 0 : -1;
}

static int
parse(struct arena *a, const char *path, struct etcd_path *ret)
{
	static const struct {
		const char *word;
		enum etcd_path_kind kind;
	} with_keys[] = { { "key/", ETCD_PATH_KEY }, { "markers/", ETCD_PATH_MARKERS }, { "role/", ETCD_PATH_ROLE },
			  { "user/", ETCD_PATH_USER }, { "snapshot/", ETCD_PATH_SNAPSHOT } },
	  fixed[] = { { "status", ETCD_PATH_STATUS }, { "alarms", ETCD_PATH_ALARMS }, { "history", ETCD_PATH_HISTORY },
		      { "auth", ETCD_PATH_AUTH }, { "roles", ETCD_PATH_ROLES }, { "users", ETCD_PATH_USERS } };
	size_t n;

	for (size_t i = 0; i < countof(with_keys); i++) {
		n = strlen(with_keys[i].word);
		ret->kind = with_keys[i].kind;
		if (strncmp(path, with_keys[i].word, n) == 0)
			return path[n] == '\0' ? -1 : unescape(a, path + n, strlen(path + n), &ret->key);
	}
	for (size_t i = 0; i < countof(fixed); i++) {
		ret->kind = fixed[i].kind;
		if (strcmp(path, fixed[i].word) == 0)
			return 0;
	}
	if (strncmp(path, "range/", 6) == 0)
		return parse_range(a, path + 6, ret);
	return strncmp(path, "lease/", 6) == 0 ? parse_lease(path + 6, ret) : -1;
}

int
etcd_path_parse(struct arena *a, const char *path, struct etcd_path *ret, struct err *err)
{
	*ret = (struct etcd_path){ 0 };
	if (parse(a, path, ret) < 0)
		return err_set(err, ERR_PLAN, "'%s' is not a path of an etcd target", path);
	return 0;
}

struct bytes
etcd_prefix_end(struct arena *a, struct bytes prefix)
{
	unsigned char *p;

	while (prefix.len > 0 && ((const unsigned char *)prefix.p)[prefix.len - 1] == 0xff)
		prefix.len--;
	if (prefix.len == 0)
		return (struct bytes){ "", 1 };
	p = (unsigned char *)arena_strndup(a, prefix.p, prefix.len);
	p[prefix.len - 1]++;
	return (struct bytes){ p, prefix.len };
}

struct bytes
etcd_range_start(struct bytes prefix)
{
	return prefix.len > 0 ? prefix : (struct bytes){ "", 1 };
}

int
etcd_end_cmp(struct bytes a, struct bytes b)
{
	const bool a_last = etcd_range_is_open(a), b_last = etcd_range_is_open(b);

	return a_last || b_last ? a_last - b_last : bytes_cmp(a, b);
}

bool
etcd_range_holds(struct bytes from, struct bytes to, struct bytes key)
{
	return bytes_cmp(from, key) <= 0 && (etcd_range_is_open(to) || bytes_cmp(key, to) < 0);
}

bool
etcd_ranges_overlap(struct bytes from, struct bytes to, struct bytes other, struct bytes end)
{
	return (etcd_range_is_open(end) || bytes_cmp(from, end) < 0) && (etcd_range_is_open(to) || bytes_cmp(other, to) < 0);
}

bool
etcd_path_covers(const char *wide, const char *path)
{
	struct arena a = ARENA_INIT;
	struct etcd_path w, p;
	struct err err;
	bool covers;

	if (etcd_path_parse(&a, wide, &w, &err) < 0 || etcd_path_parse(&a, path, &p, &err) < 0)
		covers = true; /* better unknown than wrong */
	else if (w.kind == ETCD_PATH_RANGE && p.kind == ETCD_PATH_RANGE)
		covers = etcd_ranges_overlap(w.key, w.end, p.key, p.end);
	else if (w.kind == ETCD_PATH_RANGE && p.kind == ETCD_PATH_KEY)
		covers = etcd_range_holds(w.key, w.end, p.key);
	else
		covers = strcmp(wide, path) == 0;
	arena_done(&a);
	return covers;
}

bool
etcd_path_plain(const char *path)
{
	return strncmp(path, "key/", strlen("key/")) == 0;
}

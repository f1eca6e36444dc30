/* SPDX-License-Identifier: Apache-2.0 */
/* Owns the syntax of a kubernetes target's paths, what covers what, and which parts of an object are secret. */
#include "steps/target/kube_paths.h"

#include <ctype.h>
#include <string.h>

#include "base/text.h"

#define SEGMENT_MAX 512
#define LAST_APPLIED "kubectl.kubernetes.io/last-applied-configuration"

static int
bad(const char *path, const char *what, struct err *err)
{
	struct arena a = ARENA_INIT;

	(void)err_set(err, ERR_PLAN, "'%s' is no path of a kubernetes object: %s", text_safe(&a, path, strlen(path), 200), what);
	arena_done(&a);
	return -1;
}

/* Names may hold all but '/' and '%' (ValidatePathSegmentName); what a path has words for is escaped. */
static const char *
escape(struct arena *a, const char *name)
{
	struct buf b = BUF_INIT(0);
	const char *ret = name;

	if (strpbrk(name, "#?%/") == NULL)
		return name;
	for (const char *p = name; *p != '\0'; p++)
		if (strchr("#?%/", *p) != NULL)
			buf_printf(&b, "%%%02X", (unsigned char)*p);
		else
			buf_putc(&b, *p);
	ret = arena_strndup(a, b.p, b.len);
	buf_done(&b);
	return ret;
}

static int
digit(char c)
{
	return isdigit((unsigned char)c) ? c - '0' : isxdigit((unsigned char)c) ? tolower((unsigned char)c) - 'a' + 10 : -1;
}

/* Of [p, end) without its escapes; NULL: malformed, or what no segment of a URL can be. */
static const char *
unescape(struct arena *a, const char *p, const char *end)
{
	char *ret = arena_strndup(a, p, (size_t)(end - p)), *to = ret;

	for (; p < end; p++) {
		int c = (unsigned char)*p;

		if (*p == '%') {
			if (end - p < 3 || digit(p[1]) < 0 || digit(p[2]) < 0)
				return NULL;
			c = digit(p[1]) * 16 + digit(p[2]);
			p += 2;
		}
		if (c < 0x20 || c == 0x7f || c == '/')
			return NULL;
		*to++ = (char)c;
	}
	*to = '\0';
	if (to - ret > SEGMENT_MAX || strcmp(ret, ".") == 0 || strcmp(ret, "..") == 0 ||
	    utf8_check(ret, strlen(ret)) != strlen(ret))
		return NULL;
	return ret;
}

/* Fit to stand in a URL as it is. */
static bool
is_query(const char *s)
{
	while (*s > ' ' && *s < 0x7f && *s != '#')
		s++;
	return *s == '\0';
}

/* KIND/NAMESPACE/NAME[#SUB] from p on. */
static int
parse_object(struct arena *a, const char *path, const char *p, struct kube_paths *ret, struct err *err)
{
	const char *first = strchr(p, '/'), *second = first != NULL ? strchr(first + 1, '/') : NULL, *end, *sub;

	if (second == NULL)
		return bad(path, "it is not KIND/NAMESPACE/NAME", err);
	end = second + 1 + strcspn(second + 1, "?");
	sub = memchr(second, '#', (size_t)(end - second));
	ret->query = *end == '?' ? arena_strdup(a, end + 1) : NULL;
	ret->kind = unescape(a, p, first);
	ret->namespace = unescape(a, first + 1, second);
	ret->name = unescape(a, second + 1, sub != NULL ? sub : end);
	ret->sub = sub != NULL ? unescape(a, sub + 1, end) : NULL;
	if (ret->kind == NULL || ret->namespace == NULL || ret->name == NULL || (sub != NULL && ret->sub == NULL))
		return bad(path, "it holds a '/' too many, or what no name can hold", err);
	if (ret->kind[0] == '\0')
		return bad(path, "it has no kind", err);
	if (sub != NULL && ret->sub[0] == '\0')
		return bad(path, "nothing follows the '#'", err);
	if (ret->query != NULL && !is_query(ret->query))
		return bad(path, "what follows the '?' is not percent-encoded", err);
	return 0;
}

/* The words that begin paths into pods. */
static bool
is_file(const char *path)
{
	return strncmp(path, "file/", 5) == 0;
}

static bool
is_log(const char *path)
{
	return strncmp(path, "log/", 4) == 0;
}

static bool
is_canary(const char *path)
{
	return strncmp(path, "canary/", 7) == 0;
}

/* NAMESPACE/POD/CONTAINER/PATH or NAMESPACE/POD?QUERY from p on. */
static int
parse_within(struct arena *a, const char *path, const char *p, struct kube_paths *ret, struct err *err)
{
	const char *pod = strchr(p, '/'), *end = pod != NULL ? pod + 1 + strcspn(pod + 1, "/?") : NULL, *slash;

	if (pod == NULL || end == pod + 1 || *end != (ret->what == KUBE_FILE ? '/' : '?'))
		return bad(path, "it names no pod", err);
	ret->kind = "Pod";
	ret->namespace = unescape(a, p, pod);
	ret->name = unescape(a, pod + 1, end);
	if (ret->namespace == NULL || ret->name == NULL)
		return bad(path, "it holds what no name can hold", err);
	if (ret->what == KUBE_LOG) {
		ret->query = arena_strdup(a, end + 1);
		return is_query(ret->query) ? 0 : bad(path, "what follows the '?' is not percent-encoded", err);
	}
	slash = strchr(end + 1, '/');
	if (slash == NULL || slash[1] == '\0')
		return bad(path, "it names no file", err);
	ret->container = slash > end + 1 ? unescape(a, end + 1, slash) : NULL;
	ret->file = arena_strdup(a, slash);
	return slash > end + 1 && ret->container == NULL ? bad(path, "it holds what no name can hold", err) : 0;
}

const char *
kube_paths_here(const char *path)
{
	return strncmp(path, "here/", 5) == 0 ? path + 5 : NULL;
}

int
kube_paths_parse(struct arena *a, const char *path, struct kube_paths *ret, struct err *err)
{
	const char *verb = path + 6, *slash;

	*ret = (struct kube_paths){ .what = KUBE_OBJECT };
	if (strcmp(path, "version") == 0 || strcmp(path, "kinds") == 0 || strcmp(path, "whoami") == 0) {
		ret->what = path[0] == 'v' ? KUBE_VERSION : path[0] == 'k' ? KUBE_KINDS : KUBE_WHOAMI;
		return 0;
	}
	if (is_file(path) || is_log(path)) {
		ret->what = is_file(path) ? KUBE_FILE : KUBE_LOG;
		return parse_within(a, path, strchr(path, '/') + 1, ret, err);
	}
	if (kube_paths_here(path) != NULL) {
		ret->what = KUBE_HERE;
		ret->file = arena_strdup(a, kube_paths_here(path));
		return 0;
	}
	if (strncmp(path, "can-i/", 6) == 0) {
		slash = strchr(verb, '/');
		if (slash == NULL || slash == verb)
			return bad(path, "it is not can-i/VERB/KIND/NAMESPACE/[NAME]", err);
		ret->what = KUBE_CAN_I;
		ret->verb = arena_strndup(a, verb, (size_t)(slash - verb));
		return parse_object(a, path, slash + 1, ret, err);
	}
	if (parse_object(a, path, path, ret, err) < 0)
		return -1;
	if (is_canary(path)) {
		ret->what = KUBE_CANARY;
		return ret->name[0] == '\0' ? bad(path, "it names no canary", err) : 0;
	}
	if (ret->name[0] == '\0' && ret->sub != NULL)
		return bad(path, "a subresource needs a name", err);
	if (ret->name[0] != '\0' && ret->query != NULL)
		return bad(path, "only a list is selected from", err);
	if (ret->name[0] != '\0' && strcmp(ret->namespace, "*") == 0)
		return bad(path, "an object is in one namespace", err);
	if (ret->name[0] == '\0')
		ret->what = KUBE_LIST;
	return 0;
}

const char *
kube_paths_object(struct arena *a, const char *kind, const char *namespace, const char *name, const char *sub)
{
	return arena_printf(a, "%s/%s/%s%s%s", escape(a, kind), escape(a, namespace), escape(a, name), sub != NULL ? "#" : "",
			    sub != NULL ? sub : "");
}

const char *
kube_paths_within(struct arena *a, const char *path, const char *namespace)
{
	const char *first = strchr(path, '/'), *second = strchr(first + 1, '/');

	return arena_printf(a, "%.*s%s%s", (int)(first + 1 - path), path, escape(a, namespace), second);
}

const char *
kube_paths_encoded(struct arena *a, const char *s)
{
	struct buf b = BUF_INIT(0);
	const char *ret;

	for (; *s != '\0'; s++)
		if (isalnum((unsigned char)*s) || strchr("-._~", *s) != NULL)
			buf_putc(&b, *s);
		else
			buf_printf(&b, "%%%02X", (unsigned char)*s);
	ret = b.len > 0 ? arena_strndup(a, b.p, b.len) : "";
	buf_done(&b);
	return ret;
}

const char *
kube_paths_list(struct arena *a, const char *kind, const char *namespace, const char *labels, const char *fields)
{
	const bool by_label = labels != NULL && labels[0] != '\0', by_field = fields != NULL && fields[0] != '\0';

	return arena_printf(a, "%s%s%s%s%s", kube_paths_object(a, kind, namespace, "", NULL),
			    by_label ? "?labelSelector=" : "", by_label ? kube_paths_encoded(a, labels) : "",
			    !by_field ? "" : by_label ? "&fieldSelector=" : "?fieldSelector=",
			    by_field ? kube_paths_encoded(a, fields) : "");
}

/* A path cut up where it stands. */
struct cut {
	struct bytes kind, namespace, name; /* name with its subresource, without a query */
	bool within;                        /* name is that of the pod that it is in */
};

static bool
cut_up(const char *path, struct cut *ret)
{
	const char *first = strchr(path, '/'), *second = first != NULL ? strchr(first + 1, '/') : NULL;

	if (second == NULL || is_canary(path) || strncmp(path, "can-i/", 6) == 0 || kube_paths_here(path) != NULL)
		return false;
	if (is_file(path) || is_log(path)) {
		*ret = (struct cut){ { "Pod", 3 }, { first + 1, (size_t)(second - first - 1) }, { second + 1, strcspn(second + 1, "/?") }, true };
		return true;
	}
	*ret = (struct cut){ { path, (size_t)(first - path) }, { first + 1, (size_t)(second - first - 1) },
		{ second + 1, strcspn(second + 1, "?") }, false };
	return true;
}

static bool
is_star(struct bytes b)
{
	return b.len == 1 && *(const char *)b.p == '*';
}

static bool
is_exec(struct bytes name)
{
	return name.len > strlen("#exec") && memcmp((const char *)name.p + name.len - strlen("#exec"), "#exec", strlen("#exec")) == 0;
}

bool
kube_paths_cover(const char *wide, const char *path)
{
	struct cut w, p;

	if (strcmp(wide, path) == 0)
		return true;
	if (!cut_up(wide, &w) || !cut_up(path, &p))
		return false;
	if (is_exec(w.name)) { /* what is done in a pod may concern all that is inside */
		w.name.len -= strlen("#exec");
		return p.within && bytes_eq(w.kind, p.kind) && bytes_eq(w.namespace, p.namespace) && bytes_eq(w.name, p.name);
	}
	if (w.name.len > 0)
		return false;
	return (is_star(w.kind) || bytes_eq(w.kind, p.kind)) && (is_star(w.namespace) || bytes_eq(w.namespace, p.namespace));
}

bool
kube_paths_plain(const char *path)
{
	struct cut p;

	return !cut_up(path, &p) || (p.name.len > 0 && !is_exec(p.name));
}

/* Strings as secrets; the rest as it is. */
static struct value
hide_strings(struct arena *a, const struct value *v, const char *where)
{
	struct pair *pairs;

	if (v->kind != V_MAP)
		return *v;
	pairs = arena_array(a, v->len, sizeof(*pairs));
	for (uint32_t i = 0; i < v->len; i++) {
		pairs[i] = v->pairs[i];
		if (v->pairs[i].v.kind == V_STRING) {
			struct secret *s = arena_alloc(a, sizeof(*s));

			*s = (struct secret){ arena_printf(a, "%s.%s", where, v->pairs[i].key), v->pairs[i].v.len,
				arena_strndup(a, v->pairs[i].v.s, v->pairs[i].v.len) };
			pairs[i].v = value_secret(s);
		}
	}
	return value_map(pairs, v->len);
}

/* One member of a map replaced. */
static struct value
with(struct arena *a, const struct value *map, const char *key, struct value v)
{
	struct pair *pairs = arena_array(a, map->len, sizeof(*pairs));

	for (uint32_t i = 0; i < map->len; i++)
		pairs[i] = (struct pair){ map->pairs[i].key, strcmp(map->pairs[i].key, key) == 0 ? v : map->pairs[i].v };
	return value_map(pairs, map->len);
}

/* The annotation that holds a whole object as it was applied. */
static struct value
hide_last_applied(struct arena *a, const struct value *object, const char *where)
{
	const struct value *metadata = value_get(object, "metadata"), *all = value_get(metadata, "annotations");
	const struct value *last = value_get(all, LAST_APPLIED);
	struct pair only;
	struct value hidden, changed;

	if (last == NULL)
		return *object;
	only = (struct pair){ LAST_APPLIED, *last };
	hidden = value_map(&only, 1);
	hidden = hide_strings(a, &hidden, where);
	changed = with(a, all, LAST_APPLIED, hidden.pairs[0].v);
	changed = with(a, metadata, "annotations", changed);
	return with(a, object, "metadata", changed);
}

struct value
kube_paths_hide(struct arena *a, const struct value *object)
{
	static const char *const members[] = { "data", "stringData" };
	const struct value *metadata = value_get(object, "metadata"), *v;
	struct value ret = *object;
	const char *where;

	if (strcmp(value_get_str(object, "kind", ""), "Secret") != 0 ||
	    strncmp(value_get_str(object, "apiVersion", ""), "v", 1) != 0)
		return ret;
	where = arena_printf(a, "Secret/%s/%s", value_get_str(metadata, "namespace", ""), value_get_str(metadata, "name", ""));
	for (size_t i = 0; i < countof(members); i++) {
		v = value_get(&ret, members[i]);
		if (v != NULL)
			ret = with(a, &ret, members[i], hide_strings(a, v, arena_printf(a, "%s %s", where, members[i])));
	}
	return hide_last_applied(a, &ret, where);
}

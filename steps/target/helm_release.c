/* SPDX-License-Identifier: Apache-2.0 */
/* Owns what wherry sees of a release: its newest revision, the one that runs, its values and its objects. */
#include "steps/target/helm_release.h"

#include <inttypes.h>
#include <string.h>

#include "base/hash.h"
#include "base/text.h"
#include "steps/target/kube_paths.h"
#include "steps/target/kube_yaml.h"

static struct value
text(struct arena *a, const struct value *v, const char *key)
{
	return value_str(arena_strdup(a, value_get_str(v, key, "")));
}

/* The revision that runs: the newest one, or, where that has failed, an older one that still counts as deployed. */
static int
deployed_of(struct opctx *op, const struct helm_conn *c, const struct helm_paths *p, int64_t *ret, struct err *err)
{
	const char *const argv[] = { "history", p->release, "--max", "1000", "--output", "json", NULL };
	struct value all;

	*ret = 0;
	if (helm_look(op, c, &(struct helm_call){ .argv = argv, .namespace = p->namespace }, &all, err) < 0)
		return -1;
	for (uint32_t i = 0; all.kind == V_LIST && i < all.len; i++)
		if (strcmp(value_get_str(&all.items[i], "status", ""), "deployed") == 0)
			*ret = value_get_int(&all.items[i], "revision", 0);
	return 0;
}

int
helm_release_read(struct opctx *op, const struct helm_conn *c, const struct helm_paths *p, int64_t revision, struct value *ret,
		  struct err *err)
{
	struct arena *a = op->arena;
	const struct value *info, *config;
	const char *status;
	struct value all, about;
	int64_t deployed;
	struct pair *pairs = arena_array(a, 11, sizeof(*pairs));
	const char *const look[] = { "status", p->release, "--output", "json", "--revision", arena_printf(a, "%" PRIi64, revision), NULL };
	const char *which;

	if (helm_look(op, c, &(struct helm_call){ .argv = look, .namespace = p->namespace }, &all, err) < 0)
		return -1;
	*ret = VALUE_NULL;
	if (all.kind == V_NULL)
		return 0;
	revision = value_get_int(&all, "version", 0);
	which = arena_printf(a, "%" PRIi64, revision);
	info = value_get(&all, "info");
	config = value_get(&all, "config");
	status = value_get_str(info, "status", "unknown");
	deployed = revision;
	if (helm_look(op, c, &(struct helm_call){ .argv = (const char *const[]){ "get", "metadata", p->release, "--revision", which,
						  "--output", "json", NULL }, .namespace = p->namespace }, &about, err) < 0)
		return -1;
	if (about.kind != V_MAP || revision == 0)
		return err_set(err, ERR_FAILED, "release %s changed while it was looked at", p->release);
	if (strcmp(status, "deployed") != 0 && deployed_of(op, c, p, &deployed, err) < 0)
		return -1;
	pairs[0] = (struct pair){ "revision", value_int(revision) };
	pairs[1] = (struct pair){ "status", text(a, info, "status") };
	pairs[2] = (struct pair){ "updated", text(a, info, "last_deployed") };
	pairs[3] = (struct pair){ "description", text(a, info, "description") };
	pairs[4] = (struct pair){ "chart", text(a, &about, "chart") };
	pairs[5] = (struct pair){ "version", text(a, &about, "version") };
	pairs[6] = (struct pair){ "app_version", text(a, &about, "appVersion") };
	pairs[7] = (struct pair){ "deployed", value_int(deployed) };
	pairs[8] = (struct pair){ "values", config != NULL && config->kind == V_MAP ? *config : value_map(NULL, 0) };
	pairs[9] = (struct pair){ "objects", helm_objects(a, value_get_str(&all, "manifest", ""), p->namespace) };
	pairs[10] = (struct pair){ "hooks", helm_hooks(a, value_get(&all, "hooks"), p->namespace) };
	*ret = value_map(pairs, 11);
	return 0;
}

int
helm_release_settled(struct opctx *op, const struct helm_conn *c, const struct helm_paths *p, struct value *ret, struct err *err)
{
	const char *status, *way;
	int64_t revision, deployed;

	if (helm_release_read(op, c, p, 0, ret, err) < 0)
		return -1;
	status = value_get_str(ret, "status", "");
	if (!helm_paths_pending(status))
		return 0;
	revision = value_get_int(ret, "revision", 0);
	deployed = value_get_int(ret, "deployed", 0);
	(void)err_set(err, ERR_IN_DOUBT, "release %s is %s at revision %" PRIi64 ": a helm is at work on it, or was ended at work and "
		      "nothing tells how much it did; wherry does not repair that", p->release, status, revision);
	way = deployed > 0 ? arena_printf(op->arena, "then back to what ran: helm rollback %s %" PRIi64 " -n %s", p->release, deployed, p->namespace) :
		arena_printf(op->arena, "nothing of it ran before, so then: helm uninstall %s -n %s", p->release, p->namespace);
	return err_next(err, "see that no helm is at work, and what is there: helm history %s -n %s\n%s%s", p->release, p->namespace, way,
			op->scratch != NULL ? arena_printf(op->arena, "\nthen: wherry resume %s", op->run) : "");
}

int
helm_chart_read(struct opctx *op, const struct helm_conn *c, const char *chart, struct value *ret, struct err *err)
{
	const char *const argv[] = { "show", "chart", chart, NULL };
	struct pair *pairs = arena_array(op->arena, 3, sizeof(*pairs));
	struct proc_result r;
	struct value all = VALUE_NULL;
	int rc = helm_run(op, c, &(struct helm_call){ .argv = argv }, &r, err);

	if (rc == 0 && r.code != 0)
		rc = helm_refused(op, &r, NULL, err);
	else if (rc == 0)
		rc = kube_yaml_parse(op->arena, chart, (struct bytes){ r.out.p, r.out.len }, &all, err);
	proc_result_done(&r);
	if (rc < 0)
		return -1;
	pairs[0] = (struct pair){ "name", text(op->arena, &all, "name") };
	pairs[1] = (struct pair){ "version", text(op->arena, &all, "version") };
	pairs[2] = (struct pair){ "app_version", text(op->arena, &all, "appVersion") };
	*ret = value_map(pairs, 3);
	return 0;
}

/* What cannot be read is told apart by its digest alone: it might be a Secret. */
static struct pair
unreadable(struct arena *a, struct bytes doc, uint32_t i)
{
	char digest[SHA256_HEX];

	sha256_hex(doc.p, doc.len, digest);
	return (struct pair){ arena_printf(a, "document %u", i), value_str(arena_printf(a, "(no plain YAML, sha256 %.16s)", digest)) };
}

static bool
add_object(struct arena *a, struct bytes doc, const char *namespace, uint32_t i, struct pair *ret)
{
	struct value *object = arena_alloc(a, sizeof(*object));
	struct err ignored = ERR_INIT;
	const struct value *metadata;
	const char *version, *slash, *group;

	if (kube_yaml_parse(a, "manifest", doc, object, &ignored) < 0) {
		*ret = unreadable(a, doc, i);
		return true;
	}
	if (object->kind != V_MAP || object->len == 0)
		return false;
	metadata = value_get(object, "metadata");
	version = value_get_str(object, "apiVersion", "");
	slash = strchr(version, '/');
	group = slash != NULL ? arena_printf(a, ".%.*s", (int)(slash - version), version) : "";
	ret->key = arena_printf(a, "%s%s/%s/%s", value_get_str(object, "kind", "?"), group, value_get_str(metadata, "namespace", namespace),
				value_get_str(metadata, "name", arena_printf(a, "?%u", i)));
	ret->v = *object;
	return true;
}

static const char *
next_document(const char *s)
{
	for (s = strchr(s, '\n'); s != NULL; s = strchr(s + 1, '\n'))
		if (strncmp(s + 1, "---", 3) == 0 && (s[4] == '\n' || s[4] == '\0' || s[4] == ' ' || s[4] == '\r'))
			return s + 1;
	return NULL;
}

struct value
helm_objects(struct arena *a, const char *manifest, const char *namespace)
{
	size_t documents = 1;
	struct pair *pairs;
	struct value all;
	uint32_t n = 0, i = 0;

	for (const char *s = next_document(manifest); s != NULL; s = next_document(s))
		documents++;
	pairs = arena_array(a, documents, sizeof(*pairs));
	for (const char *s = manifest, *end; s != NULL; s = end) {
		if (strncmp(s, "---", 3) == 0)
			s += 3;
		end = next_document(s);
		if (!add_object(a, (struct bytes){ s, end != NULL ? (size_t)(end - s) : strlen(s) }, namespace, i++, &pairs[n]))
			continue;
		all = value_map(pairs, n);
		if (value_get(&all, pairs[n].key) != NULL) /* helm takes it; keys of a map are unique */
			pairs[n].key = arena_printf(a, "%s (%u)", pairs[n].key, i);
		n++;
	}
	return value_map(pairs, n);
}

/* The words of a list, with blanks between them. */
static const char *
joined(struct arena *a, const struct value *list)
{
	const char *text = "";

	for (uint32_t i = 0; list != NULL && list->kind == V_LIST && i < list->len; i++)
		if (list->items[i].kind == V_STRING)
			text = arena_printf(a, "%s%s%s", text, text[0] != '\0' ? " " : "", list->items[i].s);
	return text;
}

struct value
helm_hooks(struct arena *a, const struct value *list, const char *namespace)
{
	const uint32_t len = list != NULL && list->kind == V_LIST ? list->len : 0;
	struct pair *pairs = arena_array(a, len, sizeof(*pairs));
	uint32_t n = 0;

	for (uint32_t i = 0; i < len; i++) {
		const struct value objects = helm_objects(a, value_get_str(&list->items[i], "manifest", ""), namespace), known = value_map(pairs, n);

		if (objects.len > 0 && value_get(&known, objects.pairs[0].key) == NULL)
			pairs[n++] = (struct pair){ objects.pairs[0].key, value_str(joined(a, value_get(&list->items[i], "events"))) };
	}
	return value_map(pairs, n);
}

struct value
helm_definitions(struct arena *a, const struct value *chart)
{
	const struct value *files = value_get(chart, "files");
	struct buf all = BUF_INIT(0);
	struct value ret;

	for (uint32_t i = 0; files != NULL && files->kind == V_LIST && i < files->len; i++) {
		const char *data = value_get_str(&files->items[i], "data", "");

		if (strncmp(value_get_str(&files->items[i], "name", ""), "crds/", 5) != 0)
			continue;
		buf_puts(&all, "\n---\n");
		(void)base64_decode(&all, data, strlen(data));
	}
	ret = helm_objects(a, all.len > 0 ? arena_strndup(a, all.p, all.len) : "", "");
	buf_done(&all);
	return ret;
}

struct value
helm_objects_hide(struct arena *a, const struct value *objects)
{
	struct pair *pairs;

	if (objects->kind != V_MAP)
		return *objects;
	pairs = arena_array(a, objects->len, sizeof(*pairs));
	for (uint32_t i = 0; i < objects->len; i++)
		pairs[i] = (struct pair){ objects->pairs[i].key, kube_paths_hide(a, &objects->pairs[i].v) };
	return value_map(pairs, objects->len);
}

struct value
helm_release_shown(struct arena *a, const struct value *release, bool diff)
{
	const struct value nothing = value_map(NULL, 0);
	const bool gone = diff && strcmp(value_get_str(release, "status", ""), "uninstalled") == 0;
	struct pair *pairs = arena_array(a, release->kind == V_MAP ? release->len : 2, sizeof(*pairs));
	size_t n = 0;

	if (diff && release->kind == V_NULL) {
		pairs[n++] = (struct pair){ "objects", nothing };
		pairs[n++] = (struct pair){ "values", nothing };
		return value_map(pairs, n);
	}
	if (release->kind != V_MAP)
		return *release;
	for (uint32_t i = 0; i < release->len; i++) {
		const struct pair *p = &release->pairs[i];

		if (strcmp(p->key, "hooks") == 0 ||
		    (diff && (strcmp(p->key, "updated") == 0 || strcmp(p->key, "description") == 0 || strcmp(p->key, "deployed") == 0)))
			continue;
		pairs[n] = *p;
		if (strcmp(p->key, "values") == 0)
			pairs[n].v = helm_paths_hide(a, &p->v, "values");
		else if (gone && strcmp(p->key, "objects") == 0)
			pairs[n].v = nothing;
		else if (strcmp(p->key, "objects") == 0)
			pairs[n].v = helm_objects_hide(a, &p->v);
		n++;
	}
	return value_map(pairs, n);
}

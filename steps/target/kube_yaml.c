/* SPDX-License-Identifier: Apache-2.0 */
/* Owns the way from libyaml's document to a value. A document holds each node once, however many aliases lead to it, so
 * it is expanded under a budget; an alias into itself ends at the depth. What libyaml kept of the text is wiped. */
#include "steps/target/kube_yaml.h"

#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#include "base/map.h"
#include "base/text.h"

#define DEPTH_MAX 32
#define NODES_MAX 100000
#define BYTES_MAX ((size_t)8 << 20)

struct reader {
	struct arena *arena;
	const char *name;
	yaml_document_t doc;
	size_t nodes, bytes; /* made so far */
	struct err *err;
};

static int
refuse(const struct reader *r, const yaml_mark_t *at, const char *why)
{
	return err_set(r->err, ERR_PLAN, "%s, line %zu: %s", r->name, at->line + 1, why);
}

static bool
is_one_of(const char *s, const char *const *words)
{
	for (; *words != NULL; words++)
		if (strcmp(s, *words) == 0)
			return true;
	return false;
}

static bool
is_null(const yaml_node_t *n)
{
	static const char *const nulls[] = { "", "~", "null", "Null", "NULL", NULL };

	return n->data.scalar.style == YAML_PLAIN_SCALAR_STYLE && is_one_of((const char *)n->data.scalar.value, nulls);
}

/* What a plain scalar is, as JSON (YAML 1.2 core schema, the decimal part); anything else is text. */
static struct value
typed(struct arena *a, const char *s, size_t len)
{
	struct err ignored = ERR_INIT;
	struct value v;

	if (strcmp(s, "true") == 0 || strcmp(s, "false") == 0)
		return value_bool(s[0] == 't');
	if (strspn(s, "+-.0123456789eE") == len && value_parse_json(a, s, len, &v, &ignored) == 0)
		return v;
	return value_strn(s, len);
}

static int convert(struct reader *r, int index, unsigned depth, bool types, struct value *ret);

static int
convert_scalar(struct reader *r, const yaml_node_t *n, bool types, struct value *ret)
{
	const char *s = (const char *)n->data.scalar.value;
	const size_t len = n->data.scalar.length;
	char *copy;

	if (is_null(n)) {
		*ret = VALUE_NULL;
		return 0;
	}
	if (memchr(s, '\0', len) != NULL)
		return refuse(r, &n->start_mark, "text with a NUL character");
	r->bytes += len;
	if (r->bytes > BYTES_MAX)
		return refuse(r, &n->start_mark, "its aliases make more than 8 MiB of it");
	copy = arena_strndup(r->arena, s, len);
	*ret = types && n->data.scalar.style == YAML_PLAIN_SCALAR_STYLE ? typed(r->arena, copy, len) : value_strn(copy, len);
	return 0;
}

static int
convert_list(struct reader *r, const yaml_node_t *n, unsigned depth, bool types, struct value *ret)
{
	const yaml_node_item_t *list = n->data.sequence.items.start;
	const size_t len = (size_t)(n->data.sequence.items.top - list);
	struct value *items = arena_array(r->arena, len, sizeof(*items));

	for (size_t i = 0; i < len; i++)
		if (convert(r, list[i], depth, types, &items[i]) < 0)
			return -1;
	*ret = value_list(items, len);
	return 0;
}

static int
convert_key(struct reader *r, const yaml_node_t *n, struct map *seen, const char **ret)
{
	struct value v;

	if (n->type != YAML_SCALAR_NODE || n->data.scalar.length == 0)
		return refuse(r, &n->start_mark, "a key must be a name");
	if (convert_scalar(r, n, false, &v) < 0)
		return -1;
	if (v.kind != V_STRING)
		return refuse(r, &n->start_mark, "a key must be a name");
	*ret = v.s;
	if (n->data.scalar.style == YAML_PLAIN_SCALAR_STYLE && strcmp(v.s, "<<") == 0)
		return refuse(r, &n->start_mark, "merge keys ('<<') are not supported");
	if (map_add(seen, v.s, v.len, 0) != MAP_NONE)
		return refuse(r, &n->start_mark, arena_printf(r->arena, "duplicate key '%s'", text_safe(r->arena, v.s, v.len, 80)));
	return 0;
}

static int
convert_map(struct reader *r, const yaml_node_t *n, unsigned depth, bool types, struct value *ret)
{
	const yaml_node_pair_t *list = n->data.mapping.pairs.start;
	const size_t len = (size_t)(n->data.mapping.pairs.top - list);
	struct pair *pairs = arena_array(r->arena, len, sizeof(*pairs));
	struct map seen = MAP_INIT;
	int rc = 0;

	for (size_t i = 0; i < len && rc == 0; i++) {
		rc = convert_key(r, yaml_document_get_node(&r->doc, list[i].key), &seen, &pairs[i].key);
		if (rc == 0)
			rc = convert(r, list[i].value, depth, types || strcmp(pairs[i].key, "extensions") == 0, &pairs[i].v);
	}
	map_done(&seen);
	*ret = value_map(pairs, len);
	return rc;
}

static int
convert(struct reader *r, int index, unsigned depth, bool types, struct value *ret)
{
	const yaml_node_t *n = yaml_document_get_node(&r->doc, index);

	if (depth == DEPTH_MAX)
		return refuse(r, &n->start_mark, "nested deeper than 32 levels, or into itself");
	if (++r->nodes > NODES_MAX)
		return refuse(r, &n->start_mark, "more than 100000 values");
	switch (n->type) {
	case YAML_SEQUENCE_NODE:
		return convert_list(r, n, depth + 1, types, ret);
	case YAML_MAPPING_NODE:
		return convert_map(r, n, depth + 1, types, ret);
	default:
		return convert_scalar(r, n, types, ret);
	}
}

static int
syntax(const struct reader *r, const yaml_parser_t *p)
{
	return err_set(r->err, ERR_PLAN, "%s, line %zu: not YAML: %s", r->name, p->problem_mark.line + 1,
		       p->problem != NULL ? p->problem : "it cannot be read");
}

/* The one document; *ret_empty: there is none. */
static int
load(struct reader *r, yaml_parser_t *p, bool *ret_empty)
{
	yaml_document_t second;
	bool more;

	if (!yaml_parser_load(p, &r->doc))
		return syntax(r, p);
	*ret_empty = yaml_document_get_root_node(&r->doc) == NULL;
	if (*ret_empty)
		return 0;
	if (!yaml_parser_load(p, &second))
		return syntax(r, p);
	more = yaml_document_get_root_node(&second) != NULL;
	yaml_document_delete(&second);
	return more ? err_set(r->err, ERR_PLAN, "%s, line %zu: a second document", r->name, p->mark.line + 1) : 0;
}

static void
wipe_document(yaml_document_t *doc)
{
	for (yaml_node_t *n = doc->nodes.start; n < doc->nodes.top; n++)
		if (n->type == YAML_SCALAR_NODE)
			explicit_bzero(n->data.scalar.value, n->data.scalar.length);
	yaml_document_delete(doc);
}

int
kube_yaml_parse(struct arena *a, const char *name, struct bytes text, struct value *ret, struct err *err)
{
	struct reader r = { .arena = a, .name = name, .err = err };
	const size_t bad = utf8_check(text.p, text.len);
	bool empty = false;
	yaml_parser_t p;
	int rc;

	*ret = value_map(NULL, 0);
	if (bad < text.len)
		return err_set(err, ERR_PLAN, "%s: not UTF-8 at byte %zu", name, bad);
	if (!yaml_parser_initialize(&p))
		abort(); /* out of memory, as xmalloc */
	yaml_parser_set_encoding(&p, YAML_UTF8_ENCODING);
	yaml_parser_set_input_string(&p, text.p != NULL ? text.p : (const unsigned char *)"", text.len);
	rc = load(&r, &p, &empty);
	if (rc == 0 && !empty)
		rc = convert(&r, 1, 0, false, ret);
	if (rc == 0 && ret->kind == V_NULL)
		*ret = value_map(NULL, 0);
	wipe_document(&r.doc);
	explicit_bzero(p.raw_buffer.start, (size_t)(p.raw_buffer.end - p.raw_buffer.start));
	explicit_bzero(p.buffer.start, (size_t)(p.buffer.end - p.buffer.start));
	yaml_parser_delete(&p);
	return rc;
}

void
kube_yaml_wipe(const struct value *v)
{
	if (v->kind == V_STRING)
		explicit_bzero((void *)(uintptr_t)v->s, v->len);
	for (uint32_t i = 0; v->kind == V_LIST && i < v->len; i++)
		kube_yaml_wipe(&v->items[i]);
	for (uint32_t i = 0; v->kind == V_MAP && i < v->len; i++)
		kube_yaml_wipe(&v->pairs[i].v);
}

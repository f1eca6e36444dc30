/* SPDX-License-Identifier: Apache-2.0 */
/* Owns the way from bytes to nodes: libyaml's events, with our own cap on depth and with everything refused that makes
 * a plan mean something else than it shows. What libyaml itself refuses ends the parsing; all else is collected.
 * Items of `steps` and `finally` live in a scratch arena until the callback returns, so a large plan is never held
 * as nodes. */
#include "yaml.h"

#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#include "base/map.h"
#include "base/text.h"

#define FEW_KEYS 12 /* up to here duplicate keys are found by comparing pairs */

/* An open list or map: its parts are nodes[first..]. */
struct frame {
	size_t first;
	uint32_t line;
	uint16_t col;
	uint8_t kind;
};

struct reader {
	yaml_parser_t parser;
	const char *file, *text;
	size_t len;
	struct arena *arena, scratch;
	struct frame frames[YAML_MAX_DEPTH];
	size_t depth;
	struct node *nodes;
	size_t n, cap;
	size_t total;        /* nodes so far, wherever they went */
	const char *section; /* the list of items that we are in, or NULL */
	yaml_item_fn *item_fn;
	void *data;
	struct problems *problems;
};

static struct pos
mark_pos(const struct reader *r, const yaml_mark_t *m)
{
	return (struct pos){ r->file, (uint32_t)m->line + 1, (uint32_t)m->column + 1 };
}

/* The place of a byte. */
static struct pos
byte_pos(const struct reader *r, size_t at)
{
	struct pos pos = { r->file, 1, 1 };

	for (size_t i = 0; i < at; i++)
		if (r->text[i] == '\n') {
			pos.line++;
			pos.col = 1;
		} else if (((unsigned char)r->text[i] & 0xC0) != 0x80) {
			pos.col++;
		}
	return pos;
}

/* The text from a place on, and where its line begins; returns how much is left. */
static size_t
text_from(const struct reader *r, const yaml_mark_t *m, const char **ret_line, const char **ret_at)
{
	const char *p = r->text, *end = r->text + r->len;

	for (size_t line = m->line; line > 0 && p < end; line--) {
		const char *next = memchr(p, '\n', (size_t)(end - p));

		p = next != NULL ? next + 1 : end;
	}
	*ret_line = p;
	for (size_t col = m->column; col > 0 && p < end; col--)
		for (p++; p < end && ((unsigned char)*p & 0xC0) == 0x80;)
			p++;
	*ret_at = p;
	return (size_t)(end - p);
}

static const char *
syntax_hint(const struct reader *r)
{
	const char *line, *at, *end;
	size_t left = text_from(r, &r->parser.problem_mark, &line, &at);

	if (left > 0 && *at == '\t')
		return "indent with blanks, not with tabs";
	end = memchr(line, '\n', (size_t)(at - line) + left);
	if (end == NULL)
		end = at + left;
	if (memmem(line, (size_t)(end - line), "${{", 3) != NULL)
		return "inside { } and [ ], and before ': ' or ' #', an expression needs quotes: "
		       "\"${{ … }}\"";
	if (left > 0 && strchr("@`%", *at) != NULL)
		return "text that begins like this needs quotes";
	return NULL;
}

static void
report_syntax(struct reader *r)
{
	const yaml_parser_t *p = &r->parser;
	const char *problem = p->problem != NULL ? p->problem : "not YAML";

	if (p->error == YAML_READER_ERROR)
		problems_add(r->problems,
			     byte_pos(r, p->problem_offset < r->len ? p->problem_offset : r->len),
			     NULL, "%s: U+%04X at byte %zu", problem, (unsigned)p->problem_value,
			     p->problem_offset);
	else if (p->context != NULL)
		problems_add(r->problems, mark_pos(r, &p->problem_mark), syntax_hint(r),
			     "%s %s that begins at line %zu", problem, p->context,
			     p->context_mark.line + 1);
	else
		problems_add(r->problems, mark_pos(r, &p->problem_mark), syntax_hint(r), "%s",
			     problem);
}

static void
report_duplicate(struct reader *r, const struct node *key, const struct node *first)
{
	problems_add(r->problems, node_pos(key, r->file), NULL,
		     "duplicate key '%s' in line %u: it is also in line %u", key->s, key->line,
		     first->line);
}

static void
check_duplicates(struct reader *r, const struct node *pairs, uint32_t n)
{
	struct map seen = MAP_INIT;
	uint32_t first;

	if (n <= FEW_KEYS) {
		for (uint32_t i = 1; i < n; i++)
			for (uint32_t k = 0; k < i; k++)
				if (strcmp(pairs[2 * i].s, pairs[2 * k].s) == 0) {
					report_duplicate(r, &pairs[2 * i], &pairs[2 * k]);
					break;
				}
		return;
	}
	for (uint32_t i = 0; i < n; i++) {
		first = map_add(&seen, pairs[2 * i].s, pairs[2 * i].len, i);
		if (first != MAP_NONE)
			report_duplicate(r, &pairs[2 * i], &pairs[2 * first]);
	}
	map_done(&seen);
}

/* Names are shown to people, so nothing in them may be invisible or reorder a line. */
static bool
is_plain_text(const char *s, size_t len)
{
	struct buf shown = BUF_INIT(0);
	bool same, ascii = true;

	for (size_t i = 0; i < len && ascii; i++)
		ascii = s[i] >= 0x20 && s[i] < 0x7F;
	if (ascii)
		return true;
	text_escape(&shown, s, len);
	same = shown.len == len && memcmp(shown.p, s, len) == 0;
	buf_done(&shown);
	return same;
}

static void
check_key(struct reader *r, const struct node *n)
{
	const struct pos where = node_pos(n, r->file);

	if (n->kind != NODE_SCALAR)
		problems_add(r->problems, where, NULL, "a key must be a name, not a %s",
			     n->kind == NODE_MAP ? "map" : "list");
	else if (n->len == 0)
		problems_add(r->problems, where, NULL, "empty key");
	else if (n->plain && strcmp(n->s, "<<") == 0)
		problems_add(r->problems, where, NULL, "merge keys ('<<') are not allowed");
	else if (!is_plain_text(n->s, n->len))
		problems_add(r->problems, where, NULL,
			     "key '%s' holds control or invisible characters", n->s);
}

static bool
in_map(const struct reader *r)
{
	return r->depth > 0 && r->frames[r->depth - 1].kind == NODE_MAP;
}

/* Is the next node in a map a key? */
static bool
at_key(const struct reader *r)
{
	return in_map(r) && (r->n - r->frames[r->depth - 1].first) % 2 == 0;
}

static int
add_node(struct reader *r, struct node node)
{
	int ret;

	if (++r->total > YAML_MAX_NODES) {
		problems_add(r->problems, node_pos(&node, r->file), NULL,
			     "more than %d values in one file", YAML_MAX_NODES);
		return -1;
	}
	if (r->section != NULL && r->depth == 2) {
		ret = r->item_fn(r->data, r->section, &node);
		arena_reset(&r->scratch);
		return ret;
	}
	if (at_key(r)) {
		check_key(r, &node);
		if (node.kind != NODE_SCALAR) /* keep the shape that everyone relies on */
			node = (struct node){ .kind = NODE_SCALAR,
					      .line = node.line,
					      .col = node.col,
					      .s = "?",
					      .len = 1 };
	}
	if (r->n == r->cap) {
		r->cap = r->cap == 0 ? 256 : r->cap * 2;
		r->nodes = xreallocarray(r->nodes, r->cap, sizeof(*r->nodes));
	}
	r->nodes[r->n++] = node;
	return 0;
}

static struct node
new_node(enum node_kind kind, const yaml_mark_t *m)
{
	return (struct node){
		.kind = kind,
		.line = (uint32_t)m->line + 1,
		.col = m->column < UINT16_MAX ? (uint16_t)(m->column + 1) : UINT16_MAX,
		.s = "",
	};
}

static struct arena *
arena_now(struct reader *r)
{
	return r->section != NULL ? &r->scratch : r->arena;
}

static int
open_frame(struct reader *r, const yaml_event_t *e, enum node_kind kind)
{
	const struct node n = new_node(kind, &e->start_mark), *key;

	if (r->depth == YAML_MAX_DEPTH) {
		problems_add(r->problems, mark_pos(r, &e->start_mark), NULL,
			     "nested deeper than %d levels", YAML_MAX_DEPTH);
		return -1;
	}
	if (kind == NODE_LIST && r->depth == 1 && r->item_fn != NULL && in_map(r) && !at_key(r)) {
		key = &r->nodes[r->n - 1];
		r->section = strcmp(key->s, "steps") == 0     ? "steps"
			     : strcmp(key->s, "finally") == 0 ? "finally"
							      : NULL;
	}
	r->frames[r->depth++] =
	    (struct frame){ .first = r->n, .line = n.line, .col = n.col, .kind = n.kind };
	return 0;
}

static int
close_frame(struct reader *r)
{
	const struct frame f = r->frames[r->depth - 1];
	const size_t parts = r->n - f.first;
	struct node n = { .kind = f.kind, .line = f.line, .col = f.col, .s = "" }, *items;

	if (parts > 0) {
		items = arena_array(arena_now(r), parts, sizeof(*items));
		memcpy(items, &r->nodes[f.first], parts * sizeof(*items));
		n.items = items;
		n.len = (uint32_t)(f.kind == NODE_MAP ? parts / 2 : parts);
	}
	if (f.kind == NODE_MAP)
		check_duplicates(r, n.items, n.len);
	r->n = f.first;
	r->depth--;
	if (r->depth == 1)
		r->section = NULL;
	return add_node(r, n);
}

static int
add_scalar(struct reader *r, const yaml_event_t *e)
{
	const char *s = (const char *)e->data.scalar.value;
	const size_t len = e->data.scalar.length, nul = strnlen(s, len);
	struct node n = new_node(NODE_SCALAR, &e->start_mark);

	if (nul < len)
		problems_add(r->problems, mark_pos(r, &e->start_mark), NULL,
			     "text with a NUL character (\\0) at byte %zu of it", nul);
	n.plain = e->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
	n.len = (uint32_t)nul;
	n.s = arena_strndup(arena_now(r), s, nul);
	return add_node(r, n);
}

/* Anchors and tags change what a node means from afar. */
static void
check_properties(struct reader *r, const yaml_event_t *e, const yaml_char_t *anchor,
		 const yaml_char_t *tag)
{
	if (anchor != NULL)
		problems_add(r->problems, mark_pos(r, &e->start_mark), NULL,
			     "anchors and aliases are not allowed: '&%s' in line %zu",
			     (const char *)anchor, e->start_mark.line + 1);
	if (tag != NULL)
		problems_add(r->problems, mark_pos(r, &e->start_mark), NULL,
			     "tags are not allowed: '%s'", (const char *)tag);
}

static int
start_document(struct reader *r, const yaml_event_t *e, unsigned documents)
{
	if (documents > 1) {
		problems_add(r->problems, mark_pos(r, &e->start_mark), NULL,
			     "line %zu: second document", e->start_mark.line + 1);
		return -1;
	}
	if (e->data.document_start.version_directive != NULL ||
	    e->data.document_start.tag_directives.start !=
		e->data.document_start.tag_directives.end)
		problems_add(r->problems, mark_pos(r, &e->start_mark), NULL,
			     "directives (%%YAML, %%TAG) are not allowed");
	return 0;
}

static int
handle_event(struct reader *r, const yaml_event_t *e, unsigned *documents)
{
	switch (e->type) {
	case YAML_DOCUMENT_START_EVENT:
		return start_document(r, e, ++*documents);
	case YAML_ALIAS_EVENT:
		problems_add(r->problems, mark_pos(r, &e->start_mark), NULL,
			     "anchors and aliases are not allowed: '*%s' in line %zu",
			     (const char *)e->data.alias.anchor, e->start_mark.line + 1);
		return add_node(r, new_node(NODE_SCALAR, &e->start_mark));
	case YAML_SCALAR_EVENT:
		check_properties(r, e, e->data.scalar.anchor, e->data.scalar.tag);
		return add_scalar(r, e);
	case YAML_SEQUENCE_START_EVENT:
		check_properties(r, e, e->data.sequence_start.anchor, e->data.sequence_start.tag);
		return open_frame(r, e, NODE_LIST);
	case YAML_MAPPING_START_EVENT:
		check_properties(r, e, e->data.mapping_start.anchor, e->data.mapping_start.tag);
		return open_frame(r, e, NODE_MAP);
	case YAML_SEQUENCE_END_EVENT:
	case YAML_MAPPING_END_EVENT:
		return close_frame(r);
	default:
		return 0;
	}
}

static void
read_events(struct reader *r)
{
	unsigned documents = 0;
	bool more = true;
	yaml_event_t e;

	while (more) {
		if (!yaml_parser_parse(&r->parser, &e)) {
			report_syntax(r);
			return;
		}
		more = handle_event(r, &e, &documents) == 0 && e.type != YAML_STREAM_END_EVENT;
		yaml_event_delete(&e);
	}
}

/* What libyaml would take, or complain about without a place. */
static bool
bytes_fit(const struct reader *r)
{
	const char *mark;
	size_t bad;

	if (r->len > YAML_MAX_BYTES) {
		problems_add(r->problems, (struct pos){ r->file, 0, 0 }, NULL,
			     "%zu bytes: the limit is %zu MiB", r->len,
			     (size_t)(YAML_MAX_BYTES >> 20));
		return false;
	}
	mark = memmem(r->text, r->len, "\xEF\xBB\xBF", 3);
	if (mark != NULL) {
		bad = (size_t)(mark - r->text);
		problems_add(r->problems, byte_pos(r, bad), NULL,
			     "byte order mark at byte %zu: save as plain UTF-8", bad);
		return false;
	}
	bad = utf8_check(r->text, r->len);
	if (bad == r->len)
		return true;
	problems_add(r->problems, byte_pos(r, bad), NULL, "not UTF-8 at byte %zu", bad);
	return false;
}

int
yaml_parse(struct arena *a, const char *file, const char *text, size_t len, yaml_item_fn *item_fn,
	   void *data, struct node *ret_root, struct problems *problems)
{
	const size_t before = problems->n + problems->dropped;
	struct reader r = {
		.file = file,
		.text = text,
		.len = len,
		.arena = a,
		.item_fn = item_fn,
		.data = data,
		.problems = problems,
	};
	struct node root = { .kind = NODE_MAP, .line = 1, .col = 1, .s = "" };

	if (bytes_fit(&r)) {
		if (!yaml_parser_initialize(&r.parser))
			abort();
		yaml_parser_set_encoding(&r.parser, YAML_UTF8_ENCODING);
		yaml_parser_set_input_string(&r.parser, (const unsigned char *)text, len);
		read_events(&r);
		yaml_parser_delete(&r.parser);
	}
	if (r.depth == 0 && r.n > 0 &&
	    !(r.nodes[0].kind == NODE_SCALAR && r.nodes[0].plain && r.nodes[0].len == 0))
		root = r.nodes[0];
	*ret_root = root;
	free(r.nodes);
	arena_done(&r.scratch);
	return problems->n + problems->dropped > before ? -1 : 0;
}

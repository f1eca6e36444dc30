/* SPDX-License-Identifier: Apache-2.0 */
/* Strict YAML: libyaml events into compact nodes with places. No anchors, aliases, tags, merge keys, duplicate keys,
 * second documents; YAML 1.2 core scalars; limits of design §4. Every problem is collected, not only the first. */
#ifndef WHERRY_YAML_H
#define WHERRY_YAML_H

#include "base/arena.h"
#include "value.h"

#include <stdint.h>

#define YAML_MAX_BYTES (UINT64_C(64) << 20)
#define YAML_MAX_DEPTH 64
#define YAML_MAX_NODES 8000000 /* 40 for each of 200,000 steps */

enum node_kind { NODE_SCALAR, NODE_LIST, NODE_MAP };

struct node {
	uint8_t kind;
	bool plain;       /* a scalar written without quotes: core-schema typing applies */
	uint16_t col;     /* from 1; 65535 when further right */
	uint32_t line;    /* from 1 */
	uint32_t len;     /* scalar bytes, list items, map pairs */
	union {
		const char *s;             /* NUL-terminated, UTF-8, no NUL inside */
		const struct node *items;  /* list: len nodes; map: 2 * len nodes, key then value */
	};
};

/* All that is wrong with a file, in source order when sorted; grows up to a cap, then counts. */
struct problem {
	struct pos where; /* its file is a copy of our own */
	char *msg;  /* one line */
	char *hint; /* "did you mean 'needs'?" or NULL */
};
struct problems {
	struct problem *list;
	size_t n, cap, dropped; /* dropped: over PROBLEMS_MAX */
	struct problem_source {
		char *file, *text;
		size_t len;
	} *sources;             /* of problems in other files than the one that is shown */
	size_t nsources;
};
#define PROBLEMS_MAX 100
#define PROBLEMS_INIT ((struct problems){ 0 })
void problems_add(struct problems *p, struct pos where, const char *hint, const char *fmt, ...) PRINTF(4, 5);
/* As problems_add; the hint is "did you mean 'x'?" when one of the n names is near to word. */
void problems_add_near(struct problems *p, struct pos where, const char *word, const char *const *names, size_t n,
		       const char *fmt, ...) PRINTF(6, 7);
/* Sort by file, line, column and drop exact duplicates. */
void problems_sort(struct problems *p);
/* Keep a copy of the text of a file that has problems, for their excerpts. */
void problems_source(struct problems *p, const char *file, const char *text, size_t len);
/* "file:line:col: message" lines with an excerpt of the source line, a caret and the hint. text: of the files that no
 * source was kept of. */
void problems_show(const struct problems *p, struct buf *to, const char *text, size_t len);
void problems_done(struct problems *p);

/* Called for each item of the list at top-level key `steps` (and `finally`) as soon as it is complete. The item's nodes
 * die after the call unless copied with node_copy. -1 ends the parsing: the caller has added the problem. */
typedef int yaml_item_fn(void *data, const char *section, const struct node *item);

/* Parse text. The top-level node (an empty map for an empty file) goes to ret_root in the arena, without the items
 * handed to item_fn, when it is given: those lists appear there empty. -1 when any problem was found (all in problems);
 * ret_root is then what was read, or an empty map when the syntax is broken. */
int yaml_parse(struct arena *a, const char *file, const char *text, size_t len, yaml_item_fn *item_fn, void *data,
	       struct node *ret_root, struct problems *problems);
/* A deep copy in one allocation. */
struct node node_copy(struct arena *a, const struct node *n);
/* Value node of key in a map node, or NULL. */
const struct node *node_get(const struct node *map, const char *key);
struct pos node_pos(const struct node *n, const char *file);
/* A scalar by the YAML 1.2 core schema (null, true/false, int, float; everything else and quoted: string), lists and
 * maps deep; no expressions are evaluated. */
struct value node_value(struct arena *a, const struct node *n);

#endif

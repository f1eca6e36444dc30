/* SPDX-License-Identifier: Apache-2.0 */
/* Owns the items of a `foreach`: the list, and the key of each, by which it is known over every resume. An item that the
 * list has no more keeps what it did, and is neither done again nor forgotten: it is an orphan. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "children.h"

#define KEY_MAX 200

struct list {
	struct each *items;
	uint32_t n, norphans;
	struct map keys;
};

static const struct value gone = { .kind = V_UNKNOWN, .flags = VF_UNKNOWN, .s = "its item is not in the list any more" };

static int
bad_key(struct err *err, const struct sight *in, const struct node *key, const char *why)
{
	return err_at(err, node_pos(key, in->bind.file), "the key of item %" PRIu32 " %s", in->index, why);
}

/* Fit for a path that people type, and without what ends a key there. */
static bool
is_printable(struct coord *c, const char *key, size_t len)
{
	size_t plain = 0;

	while (plain < len && key[plain] >= ' ' && key[plain] <= '~' && key[plain] != ']')
		plain++;
	return plain == len || (memchr(key, ']', len) == NULL && strcmp(text_safe(&c->eval, key, len, 0), key) == 0);
}

/* The key as text, in coord.keep. NULL with err. */
static const char *
key_text(struct coord *c, const struct sight *in, const struct node *key, struct err *err)
{
	struct value v;
	const char *text;
	char seen[48];

	arena_reset(&c->eval);
	if (template_eval(c->host, key, in->bind.file, &in->env, &c->eval, &v, err) < 0) {
		err_wrap(err, "key of item %" PRIu32, in->index);
		return NULL;
	}
	if (v.kind == V_UNKNOWN)
		return in->index == 1 ? "?" : arena_printf(&c->keep, "?%" PRIu32, in->index);
	if (v.kind == V_INT)
		return arena_printf(&c->keep, "%" PRId64, v.i);
	if (v.kind != V_STRING) {
		err_at(err, node_pos(key, in->bind.file), "the key of item %" PRIu32 " is %s, and a key is text", in->index,
		       value_kind_text(&v, seen));
		return NULL;
	}
	text = arena_strndup(&c->keep, v.s, v.len);
	if (v.len == 0 || v.len > KEY_MAX || strlen(text) != v.len)
		(void)bad_key(err, in, key, "is empty, or longer than 200 bytes");
	else if (!is_printable(c, text, v.len))
		(void)bad_key(err, in, key, "holds ']', or what cannot be printed");
	else
		return text;
	return NULL;
}

static int
find_keys(struct coord *c, struct sight *in, const struct node *key, struct list *l, struct err *err)
{
	for (uint32_t i = 0; i < l->n; i++) {
		uint32_t other;

		in->item = &l->items[i];
		in->index = i + 1;
		l->items[i].key = key_text(c, in, key, err);
		if (l->items[i].key == NULL)
			return -1;
		other = map_add(&l->keys, l->items[i].key, strlen(l->items[i].key), i);
		if (other != MAP_NONE)
			return err_at(err, node_pos(key, in->bind.file), "items %" PRIu32 " and %" PRIu32 " have the same key '%s'",
				      other + 1, i + 1, l->items[i].key);
	}
	return 0;
}

/* Items that the journal knows and the list does not. */
static void
add_orphans(struct coord *c, uint32_t owner, struct list *l)
{
	const struct hist_step *of = children_past(c, owner);
	const size_t len = strlen(path_of(c, owner));
	uint32_t room = l->n;

	for (const struct hist_step *in = of; in != NULL && (in = history_inside(c->o->history, of, in)) != NULL;) {
		const char *key = in->path + len + 1;
		const size_t key_len = strcspn(key, "]");

		if (in->undo || in->path[len] != '[' || map_add(&l->keys, key, key_len, l->n) != MAP_NONE)
			continue;
		if (l->n == room) {
			room = 2 * room + 16;
			l->items = memcpy(arena_array(&c->keep, room, sizeof(*l->items)), l->items, l->n * sizeof(*l->items));
		}
		l->items[l->n++] = (struct each){ arena_strndup(&c->keep, key, key_len), &gone };
		l->norphans++;
	}
}

/* People are told of orphans, once a process. */
static void
tell_orphans(struct coord *c, uint32_t owner, const struct list *l)
{
	struct event e = coord_event(c, EVENT_NOTE, owner);
	struct buf text = BUF_INIT(400);

	if (l->norphans == 0 || c->o->rollback)
		return;
	buf_printf(&text, "%" PRIu32 " of its items are not in the list any more, and stay as they are: ", l->norphans);
	for (uint32_t i = l->n - l->norphans; i < l->n; i++)
		buf_printf(&text, "%s%s", i > l->n - l->norphans ? ", " : "", l->items[i].key);
	e.msg = text.failed ? "items are not in the list any more, and stay as they are" : text.p;
	coord_record(c, &(struct record){ .type = REC_NOTE, .step = path_of(c, owner), .msg = e.msg }, false);
	report_event(c->o->report, &e);
	buf_done(&text);
}

static int
find_list(struct coord *c, const struct sight *in, const struct node *n, uint32_t owner, struct list *l, struct err *err)
{
	struct value *list = arena_alloc(&c->keep, sizeof(*list)), v;
	char seen[48];

	arena_reset(&c->eval);
	if (template_eval(c->host, n, in->bind.file, &in->env, &c->eval, &v, err) < 0)
		return err_wrap(err, "foreach");
	*list = value_copy(&c->keep, &v);
	l->n = list->kind == V_LIST ? list->len : 1;
	l->items = arena_array(&c->keep, l->n, sizeof(*l->items));
	if (list->kind == V_UNKNOWN) { /* one item stands for all */
		c->live[owner].unknown = true;
		l->items[0].value = list;
		return 0;
	}
	if (list->kind != V_LIST)
		return err_at(err, node_pos(n, in->bind.file), "'foreach' is %s, and needs a list", value_kind_text(list, seen));
	for (uint32_t i = 0; i < l->n; i++)
		l->items[i].value = &list->items[i];
	return 0;
}

struct scope *
items_open(struct coord *c, uint32_t owner, struct err *err)
{
	struct scope *parent = scope_of(c, owner), *s;
	const struct plan_foreach *each = plan_foreach_of(parent->plan, owner - parent->base);
	struct list l = { .keys = MAP_INIT };
	struct sight in;

	sight_init(&in, c, parent, owner);
	if (find_list(c, &in, each->list, owner, &l, err) < 0 || find_keys(c, &in, each->key, &l, err) < 0) {
		map_done(&l.keys);
		return NULL;
	}
	if (c->o->history != NULL && !c->live[owner].anew) {
		add_orphans(c, owner, &l);
		tell_orphans(c, owner, &l);
	}
	s = scope_add_items(c, parent, owner, l.items, l.n, l.norphans);
	s->keys = l.keys;
	return s;
}

static struct value
outputs_of(struct coord *c, uint32_t live, struct err *err)
{
	const char *text = c->live[live].outputs;
	struct value v;

	if (c->live[live].unknown)
		return value_unknown("outputs of an item");
	return text != NULL && value_parse(&c->eval, text, strlen(text), &v, err) == 0 ? v : value_map(NULL, 0);
}

struct value
items_outputs(struct coord *c, const struct scope *s)
{
	struct pair *pairs;
	struct err err = ERR_INIT;
	uint32_t n = 0;

	arena_reset(&c->eval);
	pairs = arena_array(&c->eval, s->n, sizeof(*pairs));
	for (uint32_t i = 0; i < s->n - s->norphans; i++)
		if (c->live[s->base + i].outputs != NULL)
			pairs[n++] = (struct pair){ s->items[i].key, outputs_of(c, s->base + i, &err) };
	return value_map(pairs, n);
}

struct value
items_value(struct coord *c, const struct scope *s, struct err *err)
{
	const uint32_t n = s->n - s->norphans;
	struct value *list = arena_array(&c->eval, n, sizeof(*list));

	for (uint32_t i = 0; i < n; i++) {
		const struct live *l = &c->live[s->base + i];
		struct pair *pairs = arena_array(&c->eval, 4, sizeof(*pairs));

		pairs[0] = (struct pair){ "key", value_str(s->items[i].key) };
		pairs[1] = (struct pair){ "status", value_str(step_status_name(l->status)) };
		pairs[2] = (struct pair){ "ran", value_bool(l->maybe > 0) };
		pairs[3] = (struct pair){ "outputs", outputs_of(c, s->base + i, err) };
		list[i] = value_map(pairs, 4);
	}
	return value_list(list, n);
}

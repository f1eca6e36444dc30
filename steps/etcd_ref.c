/* SPDX-License-Identifier: Apache-2.0 */
/* Owns what the etcd steps compute without asking anybody: bodies, the rewriting of keys, and the text of cursors,
 * which another build of wherry may have written and a stranger may have changed. */
#include "steps/etcd_ref.h"

#include <stdlib.h>
#include <string.h>

#include "base/text.h"

struct bytes
etcd_text(const char *s)
{
	return (struct bytes){ s, strlen(s) };
}

static struct value
string_of(struct bytes b)
{
	return value_strn(b.p, b.len);
}

static struct value
map_of(struct arena *a, const struct pair *pairs, size_t n)
{
	struct pair *copy = arena_array(a, n + 1, sizeof(*copy));

	if (n > 0)
		memcpy(copy, pairs, n * sizeof(*copy));
	return value_map(copy, n);
}

static struct value
guard_body(struct arena *a, const struct etcd_guard *g)
{
	if (g->absent)
		return value_str("absent");
	if (g->value != NULL)
		return map_of(a, &(struct pair){ "value", string_of(*g->value) }, 1);
	if (g->revision > 0)
		return map_of(a, &(struct pair){ "mod_revision", value_int(g->revision) }, 1);
	return VALUE_NULL;
}

struct value
etcd_put_body(struct arena *a, struct bytes value, const struct etcd_guard *g)
{
	const struct pair pairs[] = { { "value", string_of(value) }, { "guard", guard_body(a, g) } };

	return map_of(a, pairs, pairs[1].v.kind != V_NULL ? 2 : 1);
}

struct value
etcd_delete_body(struct arena *a, const struct etcd_guard *g)
{
	const struct pair guard = { "guard", guard_body(a, g) };

	return map_of(a, &guard, guard.v.kind != V_NULL ? 1 : 0);
}

struct value
etcd_release_body(struct arena *a, const char *marker_prefix, const char *scope, bool scratch)
{
	const struct pair pairs[] = { { "marker_prefix", value_str(marker_prefix) }, { "name", value_str(scope) },
				      { "scratch", value_bool(true) } };

	return map_of(a, pairs, scratch ? 3 : 2);
}

struct bytes
etcd_next_key(struct arena *a, struct bytes key)
{
	return (struct bytes){ arena_strndup(a, key.p, key.len), key.len + 1 };
}

static bool
begins_with(struct bytes key, struct bytes prefix)
{
	return key.len >= prefix.len && memcmp(key.p, prefix.p, prefix.len) == 0;
}

int
etcd_span_init(struct arena *a, struct etcd_span *ret, const char *prefix, const char *to_prefix,
	       const struct value *exclude, const char *markers, struct err *err)
{
	const size_t n = exclude != NULL && exclude->kind == V_LIST ? exclude->len : 0;
	struct bytes *list = arena_array(a, n + 1, sizeof(*list));
	struct etcd_span s = { .prefix = etcd_text(prefix),
			       .to_prefix = etcd_text(to_prefix != NULL ? to_prefix : prefix),
			       .markers = etcd_text(markers), .exclude = list, .nexclude = n };

	if (s.markers.len == 0 || begins_with(s.to_prefix, s.markers))
		return err_set(err, ERR_PLAN, "markers '%s' lie over the destination '%.*s'", markers,
			       (int)s.to_prefix.len, (const char *)s.to_prefix.p);
	for (size_t i = 0; i < n; i++) {
		list[i] = (struct bytes){ exclude->items[i].s, exclude->items[i].len };
		if (list[i].len == 0)
			return err_set(err, ERR_PLAN, "exclude: an empty prefix would exclude every key");
	}
	s.end = etcd_prefix_end(a, s.prefix);
	s.to_end = etcd_prefix_end(a, s.to_prefix);
	*ret = s;
	return 0;
}

/* Does prefix + tail, never written down, begin with what? */
static bool
joined_begins(struct bytes prefix, struct bytes tail, struct bytes what)
{
	if (what.len <= prefix.len)
		return memcmp(prefix.p, what.p, what.len) == 0;
	return prefix.len + tail.len >= what.len && memcmp(prefix.p, what.p, prefix.len) == 0 &&
	       memcmp(tail.p, (const char *)what.p + prefix.len, what.len - prefix.len) == 0;
}

static struct bytes
tail_of(struct bytes key, struct bytes prefix)
{
	return (struct bytes){ (const char *)key.p + prefix.len, key.len - prefix.len };
}

static bool
tail_moves(const struct etcd_span *s, struct bytes tail)
{
	for (size_t i = 0; i < s->nexclude; i++)
		if (joined_begins(s->prefix, tail, s->exclude[i]))
			return false;
	return !joined_begins(s->to_prefix, tail, s->markers);
}

bool
etcd_span_moves(const struct etcd_span *s, struct bytes key)
{
	return begins_with(key, s->prefix) && tail_moves(s, tail_of(key, s->prefix));
}

bool
etcd_span_holds(const struct etcd_span *s, struct bytes key)
{
	return begins_with(key, s->to_prefix) && tail_moves(s, tail_of(key, s->to_prefix));
}

static struct bytes
rewrite(struct arena *a, struct bytes key, struct bytes old, struct bytes prefix)
{
	const struct bytes tail = tail_of(key, old);
	char *to = arena_alloc(a, prefix.len + tail.len + 1);

	memcpy(to, prefix.p, prefix.len);
	memcpy(to + prefix.len, tail.p, tail.len);
	return (struct bytes){ to, prefix.len + tail.len };
}

struct bytes
etcd_span_to(struct arena *a, const struct etcd_span *s, struct bytes key)
{
	return rewrite(a, key, s->prefix, s->to_prefix);
}

struct bytes
etcd_span_to_end(struct arena *a, const struct etcd_span *s, struct bytes end)
{
	return bytes_eq(end, s->end) ? s->to_end : rewrite(a, end, s->prefix, s->to_prefix);
}

struct bytes
etcd_span_back(struct arena *a, const struct etcd_span *s, struct bytes key)
{
	return rewrite(a, key, s->to_prefix, s->prefix);
}

int
etcd_span_cmp(const struct etcd_span *s, struct bytes key, struct bytes to_key)
{
	return bytes_cmp(tail_of(key, s->prefix), tail_of(to_key, s->to_prefix));
}

bool
etcd_span_overlaps(const struct etcd_span *s)
{
	return begins_with(s->prefix, s->to_prefix) || begins_with(s->to_prefix, s->prefix);
}

void
etcd_tally_add(struct etcd_tally *to, const struct etcd_tally *t)
{
	to->keys += t->keys;
	to->bytes += t->bytes;
	to->leased += t->leased;
	to->adopted += t->adopted;
	to->removed += t->removed;
	to->equal += t->equal;
	if (t->revision > 0 && (to->revision == 0 || t->revision < to->revision))
		to->revision = t->revision;
}

bool
etcd_segment_done(const struct etcd_segment *s)
{
	return bytes_eq(s->next, s->end);
}

void
etcd_segment_write(struct buf *to, const struct etcd_segment *s)
{
	const struct pair pairs[] = {
		{ "start", string_of(s->start) }, { "next", string_of(s->next) }, { "end", string_of(s->end) },
		{ "keys", value_int(s->tally.keys) }, { "bytes", value_int(s->tally.bytes) },
		{ "leased", value_int(s->tally.leased) }, { "adopted", value_int(s->tally.adopted) },
		{ "removed", value_int(s->tally.removed) }, { "equal", value_int(s->tally.equal) },
		{ "revision", value_int(s->tally.revision) },
	};
	const struct value v = value_map(pairs, countof(pairs));

	value_write(to, &v);
}

static int
no_cursor(struct bytes cursor, const char *what, struct err *err)
{
	struct buf text = BUF_INIT(0);

	text_escape(&text, cursor.p, cursor.len < 100 ? cursor.len : 100);
	err_set(err, ERR_REFUSED, "the destination's cursor is not one of %s: %s", what, text.p != NULL ? text.p : "");
	buf_done(&text);
	return -1;
}

static int
get_bytes(const struct value *v, const char *name, struct bytes *ret)
{
	const struct value *m = value_get(v, name);

	if (m == NULL || m->kind != V_STRING)
		return -1;
	*ret = (struct bytes){ m->s, m->len };
	return 0;
}

static int
get_count(const struct value *v, const char *name, int64_t *ret)
{
	const struct value *m = value_get(v, name);

	if (m == NULL || m->kind != V_INT || m->i < 0)
		return -1;
	*ret = m->i;
	return 0;
}

int
etcd_segment_parse(struct arena *a, struct bytes cursor, unsigned lane, struct etcd_segment *ret, struct err *err)
{
	struct etcd_segment s = { .lane = lane };
	struct etcd_tally *t = &s.tally;
	struct value v;

	if (value_parse(a, cursor.p, cursor.len, &v, err) < 0 || get_bytes(&v, "start", &s.start) < 0 ||
	    get_bytes(&v, "next", &s.next) < 0 || get_bytes(&v, "end", &s.end) < 0 || s.end.len == 0 ||
	    get_count(&v, "keys", &t->keys) < 0 ||
	    get_count(&v, "bytes", &t->bytes) < 0 || get_count(&v, "leased", &t->leased) < 0 ||
	    get_count(&v, "adopted", &t->adopted) < 0 || get_count(&v, "removed", &t->removed) < 0 ||
	    get_count(&v, "equal", &t->equal) < 0 || get_count(&v, "revision", &t->revision) < 0 ||
	    etcd_end_cmp(s.start, s.end) >= 0 || bytes_cmp(s.next, s.start) < 0 || etcd_end_cmp(s.next, s.end) > 0)
		return no_cursor(cursor, "a copy's", err);
	*ret = s;
	return 0;
}

static int
by_start(const void *a, const void *b)
{
	return bytes_cmp(((const struct etcd_segment *)a)->start, ((const struct etcd_segment *)b)->start);
}

size_t
etcd_gaps(struct etcd_segment *list, size_t n, struct bytes from, struct bytes end, struct etcd_gap *ret_gaps)
{
	size_t gaps = 0;

	if (n > 0)
		qsort(list, n, sizeof(*list), by_start);
	for (size_t i = 0; i < n; i++) {
		if (bytes_cmp(from, list[i].start) < 0)
			ret_gaps[gaps++] = (struct etcd_gap){ from, list[i].start };
		from = list[i].end;
		if (bytes_eq(from, end))
			return gaps;
	}
	ret_gaps[gaps++] = (struct etcd_gap){ from, end };
	return gaps;
}

/* Eight bytes of a key as a number, zeroes behind its end. */
static uint64_t
digits(struct bytes key, size_t at)
{
	uint64_t n = 0;

	for (size_t i = 0; i < 8; i++)
		n = n << 8 | (at + i < key.len ? ((const unsigned char *)key.p)[at + i] : 0);
	return n;
}

struct bytes
etcd_reach(struct arena *a, struct bytes first, struct bytes last, uint64_t times, size_t up, struct bytes end)
{
	size_t n = 0, len;
	uint64_t from, step, to;
	struct bytes key;
	char *p;

	while (n < first.len && n < last.len && ((const char *)first.p)[n] == ((const char *)last.p)[n])
		n++;
	n -= up < n ? up : n;
	from = digits(last, n);
	step = from - digits(first, n);
	if (up > 0) {
		step = UINT64_C(1) << 56;
		times = 1;
	}
	if (from < digits(first, n) || step == 0 || __builtin_mul_overflow(step, times, &step) ||
	    __builtin_add_overflow(from, step, &to))
		return end;
	p = arena_alloc(a, n + 9);
	memcpy(p, last.p, n);
	for (len = n + 8; len-- > n; to >>= 8)
		p[len] = (char)to;
	for (len = n + 8; len > n && p[len - 1] == '\0';)
		len--;
	key = (struct bytes){ p, len };
	return etcd_end_cmp(key, end) < 0 ? key : end;
}

void
etcd_applied_write(struct buf *to, const struct etcd_applied *s)
{
	const struct pair pairs[] = { { "from", value_int(s->from) }, { "revision", value_int(s->revision) },
				      { "put", value_int(s->put) }, { "deleted", value_int(s->deleted) } };
	const struct value v = value_map(pairs, countof(pairs));

	value_write(to, &v);
}

int
etcd_applied_parse(struct arena *a, struct bytes cursor, struct etcd_applied *ret, struct err *err)
{
	struct etcd_applied s = { 0 };
	struct value v;

	if (value_parse(a, cursor.p, cursor.len, &v, err) < 0 || get_count(&v, "from", &s.from) < 0 ||
	    get_count(&v, "revision", &s.revision) < 0 || get_count(&v, "put", &s.put) < 0 ||
	    get_count(&v, "deleted", &s.deleted) < 0)
		return no_cursor(cursor, "a sync's", err);
	*ret = s;
	return 0;
}

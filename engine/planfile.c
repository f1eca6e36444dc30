/* SPDX-License-Identifier: Apache-2.0 */
/* Owns the bytes of plan files and the comparing of two dry-runs. A file is a line that says what it is, one line of
 * canonical JSON, and the SHA-256 of both: who edits it by hand is told so. What a dry-run could only predict is compared
 * by its step, verb, object and words: its amounts are an estimate, and a live source changes them every second. */
#include "planfile.h"

#include <stdlib.h>
#include <string.h>

#include "base/hash.h"

#define HEADER "wherry plan file v1\n"
#define SHOWN_MAX 80 /* bytes of a value in a message */

static const char *const confidences[] = {
	[CONF_EXACT] = "exact",
	[CONF_SIMULATED] = "simulated",
	[CONF_PREDICTED] = "predicted",
	[CONF_OPAQUE] = "opaque",
};

static struct value
kept_text(struct arena *a, const char *s)
{
	return s != NULL ? value_str(arena_strdup(a, s)) : VALUE_NULL;
}

/* Of the diff there is a digest: it may be long, and nobody reads it here. */
static struct value
diff_digest(struct arena *a, const struct event *e)
{
	char hex[SHA256_HEX];

	if (e->diff == NULL || e->confidence == CONF_PREDICTED || e->confidence == CONF_OPAQUE)
		return VALUE_NULL;
	sha256_hex(e->diff, strlen(e->diff), hex);
	return kept_text(a, hex);
}

static void
add_action(struct foretold *f, const struct event *e)
{
	struct pair *p = arena_array(&f->arena, 7, sizeof(*p));

	p[0] = (struct pair){ "confidence", value_str(confidences[e->confidence]) };
	p[1] = (struct pair){ "diff", diff_digest(&f->arena, e) };
	p[2] = (struct pair){ "object", kept_text(&f->arena, e->ref) };
	p[3] = (struct pair){ "says", kept_text(&f->arena, e->says) };
	p[4] = (struct pair){ "step", kept_text(&f->arena, e->step) };
	p[5] = (struct pair){ "unchanged", value_bool(e->unchanged) };
	p[6] = (struct pair){ "verb", kept_text(&f->arena, e->verb) };
	if (f->nactions == f->actions_cap) {
		f->actions_cap = 2 * f->actions_cap + 64;
		f->actions = xreallocarray(f->actions, f->actions_cap, sizeof(*f->actions));
	}
	f->actions[f->nactions++] = value_map(p, 7);
}

static void
add_pair(struct pair **list, size_t *n, size_t *cap, struct pair p)
{
	if (*n == *cap) {
		*cap = 2 * *cap + 8;
		*list = xreallocarray(*list, *cap, sizeof(**list));
	}
	(*list)[(*n)++] = p;
}

static void
add_target(struct foretold *f, const struct event *e)
{
	add_pair(&f->targets, &f->ntargets, &f->targets_cap,
		 (struct pair){ arena_strdup(&f->arena, e->ref), kept_text(&f->arena, e->msg) });
}

static void
add_file(struct foretold *f, const struct event *e)
{
	struct pair *p = arena_array(&f->arena, 2, sizeof(*p));

	p[0] = (struct pair){ "digest", kept_text(&f->arena, e->msg) };
	p[1] = (struct pair){ "step", kept_text(&f->arena, e->step) };
	add_pair(&f->files, &f->nfiles, &f->files_cap, (struct pair){ arena_strdup(&f->arena, e->ref), value_map(p, 2) });
}

static void
fail(struct foretold *f, const struct event *e)
{
	if (f->failure.kind != ERR_NONE)
		return;
	err_set(&f->failure, e->err_kind != NULL ? err_kind_parse(e->err_kind) : ERR_FAILED, "%s%s%s%s",
		e->step != NULL ? "step '" : "", e->step != NULL ? e->step : "", e->step != NULL ? "': " : "",
		e->msg != NULL ? e->msg : "it stopped");
	if (e->next != NULL)
		err_next(&f->failure, "%s", e->next);
}

void
foretold_event(void *data, const struct event *e)
{
	struct foretold *f = data;

	if (e->kind == EVENT_ACTION)
		add_action(f, e);
	else if (e->kind == EVENT_TARGET)
		add_target(f, e);
	else if (e->kind == EVENT_FILE)
		add_file(f, e);
	else if (e->kind == EVENT_PAUSE || (e->kind == EVENT_END && e->status == STEP_FAILED))
		fail(f, e);
}

void
foretold_done(struct foretold *f)
{
	free(f->actions);
	free(f->targets);
	free(f->files);
	arena_done(&f->arena);
}

struct value
foretold_actions(const struct foretold *f)
{
	return value_list(f->actions, f->nactions);
}

static int
by_key(const void *a, const void *b)
{
	const struct pair *x = a, *y = b;

	return strcmp(x->key, y->key);
}

/* In order of their names: who is met first depends on the workers. */
struct value
foretold_targets(const struct foretold *f)
{
	if (f->ntargets > 0)
		qsort(f->targets, f->ntargets, sizeof(*f->targets), by_key);
	return value_map(f->targets, f->ntargets);
}

static int
by_key_and_step(const void *a, const void *b)
{
	const struct pair *x = a, *y = b;
	const int order = strcmp(x->key, y->key);

	return order != 0 ? order : strcmp(value_get_str(&x->v, "step", ""), value_get_str(&y->v, "step", ""));
}

/* Each once, as the first step of those that have read it. */
struct value
foretold_files(struct foretold *f)
{
	size_t n = 0;

	if (f->nfiles > 0)
		qsort(f->files, f->nfiles, sizeof(*f->files), by_key_and_step);
	for (size_t i = 0; i < f->nfiles; i++)
		if (n == 0 || strcmp(f->files[n - 1].key, f->files[i].key) != 0)
			f->files[n++] = f->files[i];
	f->nfiles = n;
	return value_map(f->files, n);
}

static bool
same(const struct value *a, const struct value *b, const char *key)
{
	const struct value *x = value_get(a, key), *y = value_get(b, key);

	return x == NULL || y == NULL ? x == y : value_eq(x, y);
}

static const char *
text_of(const struct value *action, const char *key)
{
	return value_get_str(action, key, "");
}

/* "verb object (words)" */
static void
put_action(struct buf *to, const struct value *action)
{
	const struct value *unchanged = value_get(action, "unchanged");

	buf_printf(to, "%s '%s' (%s%s)", text_of(action, "verb"), text_of(action, "object"), text_of(action, "says"),
		   unchanged != NULL && value_true(unchanged) ? ", which is so already" : "");
}

/* How the i-th action differs. */
static int
refuse_action(const struct value *was, const struct value *now, struct err *err)
{
	const struct value *of = now != NULL ? now : was;
	struct buf before = BUF_INIT(240), after = BUF_INIT(240);

	if (was != NULL)
		put_action(&before, was);
	if (now != NULL)
		put_action(&after, now);
	if (was == NULL)
		err_set(err, ERR_REFUSED, "step '%s' would %s, which was not announced", text_of(of, "step"), after.p);
	else if (now == NULL)
		err_set(err, ERR_REFUSED, "step '%s' would not %s any more", text_of(of, "step"), before.p);
	else if (strcmp(before.p, after.p) == 0)
		err_set(err, ERR_REFUSED, "step '%s': %s would change it otherwise than was announced", text_of(of, "step"), after.p);
	else
		err_set(err, ERR_REFUSED, "step '%s' would %s; announced was %s", text_of(of, "step"), after.p, before.p);
	buf_done(&before);
	buf_done(&after);
	return -1;
}

/* Is any of them, from the i-th on, of the step of this one? */
static bool
comes_later(const struct value *list, uint32_t i, const struct value *action)
{
	while (i < list->len && !same(&list->items[i], action, "step"))
		i++;
	return i < list->len;
}

int
foretold_compare_actions(const struct value *was, const struct value *now, struct err *err)
{
	static const char *const keys[] = { "step", "verb", "object", "says", "unchanged", "confidence", "diff" };
	const uint32_t n = was->len > now->len ? was->len : now->len;

	for (uint32_t i = 0; i < n; i++) {
		const struct value *a = i < was->len ? &was->items[i] : NULL, *b = i < now->len ? &now->items[i] : NULL;

		if (a != NULL && b != NULL && !same(a, b, "step")) /* both are in plan order: one has an action more */
			return comes_later(now, i, a) ? refuse_action(NULL, b, err) : refuse_action(a, NULL, err);
		for (size_t k = 0; k < countof(keys); k++)
			if (a == NULL || b == NULL || !same(a, b, keys[k]))
				return refuse_action(a, b, err);
	}
	return 0;
}

/* The member of that name, where names are asked for in their order; *at begins with 0. */
static const struct value *
next_of(const struct value *map, uint32_t *at, const char *key)
{
	while (*at < map->len && strcmp(map->pairs[*at].key, key) < 0)
		(*at)++;
	return *at < map->len && strcmp(map->pairs[*at].key, key) == 0 ? &map->pairs[*at].v : NULL;
}

int
foretold_compare_files(const struct value *was, const struct value *now, struct err *err)
{
	for (uint32_t i = 0, k = 0; i < was->len; i++) {
		const struct value *before = &was->pairs[i].v, *after = next_of(now, &k, was->pairs[i].key);

		if (after != NULL && strcmp(value_get_str(before, "digest", ""), value_get_str(after, "digest", "")) != 0)
			return err_set(err, ERR_REFUSED, "'%.300s', which step '%s' reads, was changed since", was->pairs[i].key,
				       value_get_str(after, "step", ""));
	}
	return 0;
}

int
foretold_compare_targets(const struct value *was, const struct value *now, struct err *err)
{
	for (uint32_t i = 0, k = 0; i < was->len; i++) {
		const struct value *other = next_of(now, &k, was->pairs[i].key);

		if (other != NULL && !value_eq(&was->pairs[i].v, other))
			return err_set(err, ERR_REFUSED, "target '%s' is another one: it was %s and is %s", was->pairs[i].key,
				       was->pairs[i].v.kind == V_STRING ? was->pairs[i].v.s : "?", other->s);
	}
	return 0;
}

/* The key stands in the same file, so guessing a secret has to be slow. */
static void
param_digest(const struct value *v, struct bytes key, char ret_hex[SHA256_HEX])
{
	char hex[SHA256_HEX];

	value_digest(v, key, ret_hex);
	if ((v->flags & VF_SECRET) == 0)
		return;
	memcpy(hex, ret_hex, sizeof(hex));
	slow_hash_hex(key, hex, strlen(hex), ret_hex);
}

struct value
planfile_params(struct arena *a, const struct value *params, struct bytes key)
{
	struct pair *all = arena_array(a, params->len, sizeof(*all));

	for (uint32_t i = 0; i < params->len; i++) {
		const struct pair *p = &params->pairs[i];
		struct pair *own = arena_array(a, 2, sizeof(*own));
		char hex[SHA256_HEX];

		param_digest(&p->v, key, hex);
		own[0] = (struct pair){ "digest", kept_text(a, hex) };
		own[1] = (struct pair){ "value", p->v };
		all[i] = (struct pair){ p->key, value_map(own, (p->v.flags & VF_SECRET) != 0 ? 1 : 2) };
	}
	return value_map(all, params->len);
}

static void
put_param(struct buf *to, const struct value *v)
{
	value_show(to, v);
	if (to->failed)
		buf_puts(to, "…");
}

int
planfile_compare_params(const struct value *was, const struct value *params, struct bytes key, struct err *err)
{
	for (uint32_t i = 0; i < params->len; i++) {
		const struct pair *p = &params->pairs[i];
		const struct value *old = value_get(was, p->key), *value = old != NULL ? value_get(old, "value") : NULL;
		struct buf before = BUF_INIT(SHOWN_MAX), after = BUF_INIT(SHOWN_MAX);
		char hex[SHA256_HEX];

		param_digest(&p->v, key, hex);
		if (old != NULL && strcmp(value_get_str(old, "digest", ""), hex) == 0)
			continue;
		if (value == NULL || (p->v.flags & VF_SECRET) != 0)
			return err_set(err, ERR_REFUSED, "parameter '%s' is another secret now", p->key);
		put_param(&before, value);
		put_param(&after, &p->v);
		err_set(err, ERR_REFUSED, "parameter '%s' was %s and is %s", p->key, before.p, after.p);
		buf_done(&before);
		buf_done(&after);
		return -1;
	}
	return 0;
}

bool
planfile_is(const char *text, size_t len)
{
	return len >= strlen(HEADER) && memcmp(text, HEADER, strlen(HEADER)) == 0;
}

void
planfile_write(struct buf *to, const struct value *content)
{
	char hex[SHA256_HEX];

	buf_puts(to, HEADER);
	value_write(to, content);
	buf_putc(to, '\n');
	sha256_hex(to->p, to->len, hex);
	buf_printf(to, "%s\n", hex);
}

int
planfile_parse(struct arena *a, const char *name, const char *text, size_t len, struct value *ret, struct err *err)
{
	const size_t head = strlen(HEADER), tail = SHA256_HEX; /* with its newline */
	char hex[SHA256_HEX];

	if (len > head + tail && planfile_is(text, len)) {
		sha256_hex(text, len - tail, hex);
		if (memcmp(hex, text + len - tail, tail - 1) == 0 && text[len - 1] == '\n')
			return value_parse(a, text + head, len - tail - head - 1, ret, err);
	}
	return err_set(err, ERR_REFUSED, "plan file '%s' was cut or edited after it was written", name);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Speaks to a Kubernetes API server through the target kind, as tests tell it on stdin, one command a line; answers with one
 * JSON line each. kube_drive KUBECONFIG [NAMESPACE]
 *   name PATH | read PATH | identity | list PATH [LIMIT [keys|count]] | more | watch PATH [REVISION] | next SECONDS | unwatch
 *   limit SECONDS (of all that follows) */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "steps/target/kube_conn.h"
#include "steps/target/targets.h"

static struct opctx op;
static void *conn, *watch;

static void
answer(const char *name, const struct value *v)
{
	const struct pair pair = { name, *v };
	const struct value map = value_map(&pair, 1);
	struct buf text = BUF_INIT(0);

	value_show(&text, &map);
	printf("%s\n", text.p);
	fflush(stdout);
	buf_done(&text);
}

static void
refuse(const struct err *err)
{
	struct pair pairs[] = { { "kind", value_str(err_kind_name(err->kind)) }, { "retryable", value_bool(err->retryable) },
		{ "msg", value_str(err->msg) } };
	const struct value map = value_map(pairs, 3);

	answer("error", &map);
}

static void
on_note(struct opctx *cx, const char *text)
{
	const struct value v = value_str(text);

	(void)cx;
	answer("note", &v);
}

static struct value
bytes_value(struct bytes b)
{
	return b.p == NULL ? VALUE_NULL : value_strn(arena_strndup(op.arena, b.p, b.len), b.len);
}

static struct value
item_value(const struct item *it)
{
	struct pair *pairs = arena_array(op.arena, 3, sizeof(*pairs));
	struct err err = ERR_INIT;
	struct value v = VALUE_NULL;

	if (it->value.p != NULL && value_parse_json(op.arena, it->value.p, it->value.len, &v, &err) < 0)
		v = value_str(arena_strdup(op.arena, err.msg));
	pairs[0] = (struct pair){ "key", bytes_value(it->key) };
	pairs[1] = (struct pair){ "revision", value_int(it->revision) };
	pairs[2] = (struct pair){ "object", v };
	return value_map(pairs, 3);
}

/* The first page, or with path NULL the next one. */
static int
list(const char *path, int64_t limit, const char *how, struct err *err)
{
	static struct arena mine;
	static struct query q;
	struct pair pairs[4];
	struct value *items, map;
	struct page page;

	if (path != NULL) {
		arena_reset(&mine);
		q = (struct query){ .from = { arena_strdup(&mine, path), strlen(path) }, .limit = limit,
			.keys_only = strcmp(how, "keys") == 0, .count_only = strcmp(how, "count") == 0 };
	}
	if (kube_target.list(&op, conn, &q, &page, err) < 0)
		return -1;
	q.resume = (struct bytes){ arena_strndup(&mine, page.resume.p, page.resume.len), page.resume.len };
	items = arena_array(op.arena, page.n, sizeof(*items));
	for (size_t i = 0; i < page.n; i++)
		items[i] = item_value(&page.items[i]);
	pairs[0] = (struct pair){ "items", value_list(items, page.n) };
	pairs[1] = (struct pair){ "more", value_bool(page.more) };
	pairs[2] = (struct pair){ "revision", value_int(page.revision) };
	pairs[3] = (struct pair){ "count", value_int(page.count) };
	map = value_map(pairs, 4);
	answer("page", &map);
	return 0;
}

static int
next(int64_t ns, struct err *err)
{
	const int64_t until = clock_now() + ns;
	struct changes c;
	struct value *list_of, map;
	struct pair pairs[3];

	do
		if (kube_target.watch_next(&op, watch, until - clock_now(), &c, err) < 0)
			return -1;
	while (c.n == 0 && c.revision == 0 && !c.compacted && clock_now() < until);
	list_of = arena_array(op.arena, c.n, sizeof(*list_of));
	for (size_t i = 0; i < c.n; i++) {
		struct pair *two = arena_array(op.arena, 2, sizeof(*two));

		two[0] = (struct pair){ "deleted", value_bool(c.list[i].deleted) };
		two[1] = (struct pair){ "item", item_value(&c.list[i].item) };
		list_of[i] = value_map(two, 2);
	}
	pairs[0] = (struct pair){ "changes", value_list(list_of, c.n) };
	pairs[1] = (struct pair){ "revision", value_int(c.revision) };
	pairs[2] = (struct pair){ "compacted", value_bool(c.compacted) };
	map = value_map(pairs, 3);
	answer("changes", &map);
	return 0;
}

static void
unwatch(void)
{
	if (watch != NULL)
		kube_target.watch_close(watch);
	watch = NULL;
}

static int
command(char *line, struct err *err)
{
	char *rest = line, *word = strsep(&rest, " "), *path = strsep(&rest, " "), *more = strsep(&rest, " ");
	const char *how = rest != NULL ? rest : "", *text;
	struct value v = VALUE_NULL;
	int rc = 0;

	path = path != NULL ? path : word + strlen(word);
	if (strcmp(word, "limit") == 0)
		op.deadline = clock_now() + (int64_t)(atof(path) * (double)NS_PER_S);
	else if (strcmp(word, "name") == 0 && (rc = kube_target.name(&op, conn, path, &text, err)) == 0)
		v = value_str(text);
	else if (strcmp(word, "read") == 0)
		rc = kube_target.read(&op, conn, path, &v, err);
	else if (strcmp(word, "identity") == 0)
		rc = kube_target.identity(&op, conn, &v, err);
	else if (strcmp(word, "list") == 0)
		return list(path, more != NULL ? atoll(more) : 0, how, err);
	else if (strcmp(word, "more") == 0)
		return list(NULL, 0, "", err);
	else if (strcmp(word, "next") == 0)
		return next((int64_t)(atof(path) * (double)NS_PER_S), err);
	else if (strcmp(word, "unwatch") == 0)
		unwatch();
	else if (strcmp(word, "watch") == 0)
		rc = kube_target.watch_open(&op, conn, &(struct query){ .from = { path, strlen(path) },
			.revision = more != NULL ? atoll(more) : 0 }, &watch, err);
	if (rc == 0)
		answer("ok", &v);
	return rc;
}

int
main(int argc, char **argv)
{
	const struct kube_args args = { .kubeconfig = argc > 1 ? argv[1] : NULL, .namespace = argc > 2 ? argv[2] : NULL };
	struct arena arena = ARENA_INIT;
	struct err err = ERR_INIT;
	char *line = NULL;
	size_t cap = 0;
	ssize_t n;

	op = (struct opctx){ .arena = &arena, .deadline = clock_now() + 60 * NS_PER_S, .cancel_fd = -1, .note = on_note };
	if (kube_target.open(&op, &args, &conn, &err) < 0) {
		refuse(&err);
		return 1;
	}
	while ((n = getline(&line, &cap, stdin)) > 0) {
		line[n - 1] = '\0';
		err = ERR_INIT;
		if (command(line, &err) < 0)
			refuse(&err);
		arena_reset(&arena);
	}
	unwatch();
	free(line);
	kube_target.close(conn);
	arena_done(&arena);
	return 0;
}

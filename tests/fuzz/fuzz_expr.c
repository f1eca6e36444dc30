/* SPDX-License-Identifier: Apache-2.0 */
/* Fuzz target: what a plan can write between "${{" and "}}". The input is checked and evaluated as one expression and as
 * a template. Besides not crashing, an expression must end, and the content of a secret must stay out of results that
 * are not secret and out of messages. */
#include "expr.h"
#include "expr_int.h"

#include <stdlib.h>
#include <string.h>

#define CONTENT "s3cr3tQ"
#define STEPS 20000

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct value *
world_get(void *data, const char *root, const char *key, struct err *err)
{
	const struct value *v = value_get(data, root);

	if (v != NULL && key != NULL)
		v = value_get(v, key);
	if (v == NULL)
		(void)err_set(err, ERR_PLAN, "no %s.%s", root, key != NULL ? key : "");
	return v;
}

static void
refuse_leak(const char *shown, struct bytes src)
{
	if (shown != NULL && memmem(src.p, src.len, "s3", 2) == NULL && strstr(shown, CONTENT) != NULL)
		abort();
}

static void
end(int rc, const struct value *v, const struct err *err, struct bytes src)
{
	struct buf b = BUF_INIT(0);

	if (rc < 0) {
		if (err->kind == ERR_NONE || err->msg[0] == '\0')
			abort();
		refuse_leak(err->msg, src);
		return;
	}
	value_write(&b, v);
	value_show(&b, v);
	refuse_leak(b.p, src);
	buf_done(&b);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct pos where = { "fuzz", 1, 1 };
	static char content[] = CONTENT;
	static const struct secret secret = { "params.pw", sizeof(content) - 1, content };
	const struct value list[] = { value_int(1), value_str("b"), VALUE_NULL, value_number(0.5) };
	const struct pair outputs[] = { { "l", value_list(list, 4) }, { "u", value_unknown("why") }, { "s", value_str("k8s") } };
	const struct pair step[] = { { "ran", value_bool(true) }, { "outputs", value_map(outputs, 3) } };
	const struct pair params[] = { { "pw", value_secret(&secret) }, { "n", value_int(3) } };
	const struct pair steps[] = { { "a", value_map(step, 2) } };
	const struct pair roots[] = {
		{ "params", value_map(params, 2) }, { "steps", value_map(steps, 1) }, { "value", value_map(outputs, 3) },
		{ "item", value_map(step, 2) },
	};
	struct value world = value_map(roots, 4), v;
	struct expr_env env = { world_get, &world };
	struct expr_host *h = expr_host_new();
	struct arena a = ARENA_INIT;
	struct err err = ERR_INIT;
	char *src = arena_strndup(&a, (const char *)data, size);
	struct bytes all = { src, size };
	struct node n = { .kind = NODE_SCALAR, .plain = true, .line = 1, .col = 1, .len = (uint32_t)strlen(src), .s = src };

	h->limit = STEPS;
	(void)expr_check(h, src, size, where, NULL, NULL, &err);
	refuse_leak(err.msg, all);
	err = ERR_INIT;
	end(expr_eval(h, src, size, where, &env, &a, &v, &err), &v, &err, all);
	err = ERR_INIT;
	end(template_eval(h, &n, "fuzz", &env, &a, &v, &err), &v, &err, all);
	expr_host_free(h);
	arena_done(&a);
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* What a question is about: the plan's targets with their addresses, as far as parameters tell them; never a secret. */
#include "cmd.h"

#include <string.h>

#include "base/text.h"

/* expr_env.get: parameters alone are known before a run. */
static const struct value *
param(void *data, const char *root, const char *key, struct err *err)
{
	const struct value *v = strcmp(root, "params") == 0 && key != NULL ? value_get(data, key) : NULL;

	if (v == NULL)
		err_set(err, ERR_PLAN, "'%s' is not known before the run", root);
	return v;
}

/* A URL without the user and password that one could have written into it. */
static void
put_url(struct front *f, const struct value *v, struct buf *to)
{
	const char *url = v->kind == V_STRING ? v->s : "?", *host = strstr(url, "://"), *at;

	host = host != NULL ? host + 3 : url;
	at = memrchr(host, '@', strcspn(host, "/"));
	buf_printf(to, " %.*s%s", (int)(host - url), url, text_safe(&f->arena, at != NULL ? at + 1 : host,
		   strlen(at != NULL ? at + 1 : host), 200));
}

static void
put_addresses(struct front *f, struct expr_host *host, const struct expr_env *env, const struct plan *plan,
	      const struct plan_target *t, struct buf *to)
{
	for (const struct field *x = t->type->fields; x->name != NULL; x++) {
		const struct node *n = x->type == F_URL || (x->type == F_LIST && x->item == F_URL) ? node_get(&t->fields, x->name) : NULL;
		struct err ignored = ERR_INIT;
		struct value v;

		if (n == NULL || template_eval(host, n, plan->file, env, &f->arena, &v, &ignored) < 0)
			continue;
		if (v.kind != V_LIST)
			put_url(f, &v, to);
		for (uint32_t i = 0; v.kind == V_LIST && i < v.len; i++)
			put_url(f, &v.items[i], to);
	}
}

const char *
front_stake(struct front *f, const struct plan *plan, const struct value *params)
{
	const struct expr_env env = { param, (void *)(uintptr_t)params };
	struct expr_host *host = plan->ntargets > 0 ? expr_host_new() : NULL;
	struct buf b = BUF_INIT(0);
	const char *ret = "";

	for (size_t i = 0; i < plan->ntargets; i++) {
		buf_printf(&b, "  %s:", plan->targets[i].name);
		put_addresses(f, host, &env, plan, &plan->targets[i], &b);
		buf_putc(&b, '\n');
	}
	if (b.len > 0)
		ret = arena_strdup(&f->arena, b.p);
	if (host != NULL)
		expr_host_free(host);
	buf_done(&b);
	return ret;
}

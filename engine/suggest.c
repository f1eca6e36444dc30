/* SPDX-License-Identifier: Apache-2.0 */
/* What a step says to do about an input of its own: where the plan takes that from a parameter as it stands, the command that
 * begins a new run with another value. A run keeps its parameters, so a resume could only fail again. */
#include <string.h>

#include "ctx.h"
#include "step.h"

static const char before[] = "${{ params.", after[] = " }}";

/* The name of the parameter that the input is, or NULL. */
static const char *
param_of(struct step_ctx *cx, const char *input)
{
	const struct attempt *at = cx->at;
	const struct plan *plan = at->shared->plan;
	const struct node *n = !cx->nested && at->undoes == NULL && at->step < plan->nsteps ?
		node_get(&plan->steps[at->step].with, input) : NULL;
	const size_t around = sizeof(before) + sizeof(after) - 2;
	const char *name;
	size_t len;

	if (n == NULL || n->kind != NODE_SCALAR || n->len <= around || strncmp(n->s, before, sizeof(before) - 1) != 0)
		return NULL;
	name = n->s + sizeof(before) - 1;
	len = n->len - around;
	if (strcmp(name + len, after) != 0 || strcspn(name, " ") != len)
		return NULL;
	return arena_strndup(cx->arena, name, len);
}

int
step_suggest(struct step_ctx *cx, const char *why, const char *input, const char *value, struct err *err)
{
	const char *again = cx->at->shared->again, *param = again != NULL ? param_of(cx, input) : NULL;
	const char *had = err->next[0] != '\0' ? arena_printf(cx->arena, "%s\n", err->next) : "";

	if (param != NULL)
		return err_next(err, "%s%s: %s -p %s=%s", had, why, again, param, value);
	return err_next(err, "%s%s: say %s: %s in step '%s'", had, why, input, value, cx->at->path);
}

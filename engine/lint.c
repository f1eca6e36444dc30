/* SPDX-License-Identifier: Apache-2.0 */
/* Owns the table of lints and those that look at one step or parameter. They read a plan that is valid, and judge only
 * what its text says: an input that is an expression is not guessed at. */
#include "lint_int.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

const struct lint_rule lint_rules[] = {
	{ "exec-not-safe", "a command that is cut off cannot be settled without a person",
	  "Nobody knows whether a command did its work when it was killed half-way. Such a step stops the run, and an\n"
	  "operator has to find out by hand. Say what wherry may do instead:\n"
	  "  idempotent: true           running it twice does no harm\n"
	  "  probe: [COMMAND, …]        asks whether the work was done (exit code 0 yes, 1 no)\n"
	  "  read_only: true            it changes nothing\n",
	  lint_exec_not_safe },
	{ "no-undo", "a command that cannot be taken back",
	  "Most steps keep what was there before and can be undone; what a command did, wherry cannot know. Say how it is\n"
	  "taken back (undo: {uses: …, with: …}) or why it cannot be (irreversible: …), or allow it where there is nothing to\n"
	  "take back.\n",
	  lint_no_undo },
	{ "wait-without-timeout", "a wait for the world that nobody limits",
	  "A condition that never holds keeps a run, and whatever it has frozen, for the hour that is the default. Say how\n"
	  "long this one may take: timeout on the step, or in defaults.\n",
	  lint_wait_without_timeout },
	{ "secret-in-argv", "a secret that every user of this machine could read",
	  "The arguments of a command are shown to everyone by ps, and are kept in the journal. Declare the parameter\n"
	  "'secret: true' and hand it over by env or stdin.\n",
	  lint_secret_in_argv },
	{ "two-writers", "two steps that write the same object, in no order",
	  "Which of them wins depends on chance, and an undo of either finds the other's work. Let one need the other, or\n"
	  "write once.\n",
	  lint_two_writers },
	{ "unused-parameter", "a parameter that nothing reads",
	  "An operator who gives it believes that it does something. Take it away, or use it.\n",
	  lint_unused_parameter },
	{ 0 },
};

const struct lint_rule *
lint_rule(const char *name)
{
	for (const struct lint_rule *r = lint_rules; r->name != NULL; r++)
		if (strcmp(r->name, name) == 0)
			return r;
	return NULL;
}

static void PRINTF(3, 0)
add(struct lint *l, struct pos where, const char *fmt, va_list ap)
{
	char *text = xvasprintf(fmt, ap);
	struct buf hint = BUF_INIT(0);

	buf_printf(&hint, "wherry help %s", l->rule->name);
	problems_add(l->problems, where, hint.p, "%s: %s", l->rule->name, text);
	buf_done(&hint);
	free(text);
}

void
lint_found(struct lint *l, struct pos where, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	add(l, where, fmt, ap);
	va_end(ap);
}

void
lint_step_found(struct lint *l, const struct step *s, const struct node *at, const char *fmt, ...)
{
	struct pos where = { l->plan->file, s->line, s->col };
	va_list ap;

	if (s->allow != NULL && node_get(s->allow, l->rule->name) != NULL)
		return;
	if (at != NULL)
		where = node_pos(at, l->plan->file);
	va_start(ap, fmt);
	add(l, where, fmt, ap);
	va_end(ap);
}

/* May a call be settled without a person, as far as it is written out? */
static bool
is_repeatable(const struct step *s)
{
	struct arena a = ARENA_INIT;
	void *args = arena_alloc(&a, s->type->args_size);
	bool ret;

	(void)schema_bind_literals(s->type->inputs, &s->with, &a, args);
	ret = s->type->is_repeatable(args) || (s->type->is_read_only != NULL && s->type->is_read_only(args));
	arena_done(&a);
	return ret;
}

void
lint_exec_not_safe(struct lint *l)
{
	for (uint32_t i = 0; i < l->plan->nsteps; i++) {
		const struct step *s = &l->plan->steps[i];

		if (s->type->is_repeatable != NULL && !is_repeatable(s))
			lint_step_found(l, s, NULL, "step '%s' (%s) is neither idempotent nor probed", s->id, s->type->name);
	}
}

static bool
is_read_only(const struct step *s)
{
	struct arena a = ARENA_INIT;
	void *args = arena_alloc(&a, s->type->args_size);
	bool ret = (s->type->flags & (STEP_READ_ONLY | STEP_PURE)) != 0;

	(void)schema_bind_literals(s->type->inputs, &s->with, &a, args);
	ret = ret || (s->type->is_read_only != NULL && s->type->is_read_only(args));
	arena_done(&a);
	return ret;
}

void
lint_no_undo(struct lint *l)
{
	const struct plan *p = l->plan;

	for (uint32_t i = 0; i < p->nmain; i++) {
		const struct step *s = &p->steps[i];

		if (s->type->is_repeatable != NULL && plan_undo_of(p, i) == NULL && s->irreversible == NULL && !is_read_only(s))
			lint_step_found(l, s, NULL, "step '%s' (%s) has no 'undo'", s->id, s->type->name);
	}
}

void
lint_wait_without_timeout(struct lint *l)
{
	for (uint32_t i = 0; i < l->plan->nsteps; i++) {
		const struct step *s = &l->plan->steps[i];

		if ((s->type->flags & STEP_WAITS) != 0 && s->policy->timeout == 0)
			lint_step_found(l, s, NULL, "step '%s' (%s) has no 'timeout'", s->id, s->type->name);
	}
}

/* Does a word of a name or an option say that its value is a secret? */
static bool
says_secret(const char *name)
{
	static const char *const words[] = { "password", "passwd", "passphrase", "secret", "token", "credential", "apikey", "api-key",
					     "api_key" };
	char lower[64];
	size_t n = 0;

	for (; name[n] != '\0' && name[n] != '=' && n + 1 < sizeof(lower); n++)
		lower[n] = (char)tolower((unsigned char)name[n]);
	lower[n] = '\0';
	for (size_t i = 0; i < countof(words); i++)
		if (strstr(lower, words[i]) != NULL)
			return true;
	return false;
}

struct argv_check {
	struct lint *lint;
	const struct step *step;
	const struct node *at;
};

/* expr_ref_fn */
static int
argv_ref(void *data, const struct expr_ref *ref)
{
	const struct argv_check *c = data;

	if (strcmp(ref->root, "params") == 0 && says_secret(ref->key))
		lint_step_found(c->lint, c->step, c->at, "step '%s' puts parameter '%s' into the arguments of a command",
				c->step->id, ref->key);
	return 0;
}

/* One argument: "--password=x", or text with a parameter that is no secret by its declaration but by its name. */
static void
check_argument(struct argv_check *c, struct expr_host *host, const struct node *n)
{
	struct problems none = PROBLEMS_INIT;

	c->at = n;
	if (n->kind != NODE_SCALAR)
		return;
	if (n->s[0] == '-' && strchr(n->s, '=') != NULL && says_secret(n->s) && strstr(n->s, "-file") == NULL)
		lint_step_found(c->lint, c->step, n, "step '%s' hands '%.*s' to a command", c->step->id, (int)strcspn(n->s, "="), n->s);
	else
		template_check(host, n, c->lint->plan->file, argv_ref, c, &none);
	problems_done(&none);
}

void
lint_secret_in_argv(struct lint *l)
{
	struct expr_host *host = expr_host_new();

	for (uint32_t i = 0; i < l->plan->nsteps; i++) {
		struct argv_check c = { .lint = l, .step = &l->plan->steps[i] };
		const struct node *argv = c.step->type->is_repeatable != NULL ? node_get(&c.step->with, "argv") : NULL;

		for (uint32_t k = 0; argv != NULL && argv->kind == NODE_LIST && k < argv->len; k++)
			check_argument(&c, host, &argv->items[k]);
	}
	expr_host_free(host);
}

void
lint_unused_parameter(struct lint *l)
{
	const struct plan *p = l->plan;
	struct expr_host *host = expr_host_new();
	bool *used = xcalloc(p->nparams + 1, sizeof(*used));

	plan_used_params(p, host, NULL, used);
	for (size_t i = 0; i < p->nparams; i++)
		if (!used[i])
			lint_found(l, p->params[i].where, "parameter '%s' is not used", p->params[i].field.name);
	expr_host_free(host);
	free(used);
}

void
lint_plan(const struct plan *root, struct problems *problems)
{
	for (uint32_t i = 0; i <= root->nparts; i++) {
		struct lint l = { .plan = i == 0 ? root : root->parts[i - 1], .problems = problems };
		const size_t before = problems->n;

		for (l.rule = lint_rules; l.rule->name != NULL; l.rule++)
			if (node_get(&l.plan->allow, l.rule->name) == NULL)
				l.rule->check(&l);
		if (problems->n > before && i > 0)
			problems_source(problems, l.plan->file, l.plan->text, l.plan->text_len);
	}
	problems_sort(problems);
}

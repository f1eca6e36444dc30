/* SPDX-License-Identifier: Apache-2.0 */
/* Owns the grammar of one step, and policies: an item of `steps` or `finally` becomes a compact step at once, so that
 * its nodes can go. Steps that say the same share one policy. */
#include "plan_load.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/text.h"

#define POLICY_MAX 8 /* words of a policy */

static const char *const on_error_words[] = { "stop", "continue", "rollback", NULL }; /* as enum on_error */

struct retry_args {
	int64_t attempts, backoff, max_backoff;
};
static const struct field retry_fields[] = {
	{ .name = "attempts", .type = F_INT, .offset = offsetof(struct retry_args, attempts),
	  .min = 1, .max = 1000000, .help = "tries in all" },
	{ .name = "backoff", .type = F_DURATION, .offset = offsetof(struct retry_args, backoff),
	  .help = "pause after the first failure; doubled each time" },
	{ .name = "max_backoff", .type = F_DURATION,
	  .offset = offsetof(struct retry_args, max_backoff), .help = "longest pause" },
	{ 0 },
};

struct policy_args {
	int64_t timeout;
	const struct value *retry;
	const char *on_error;
};
const struct field language_policy_fields[] = {
	{ .name = "timeout", .type = F_DURATION, .offset = offsetof(struct policy_args, timeout),
	  .min = NS_PER_MS, .help = "for all attempts together" },
	{ .name = "retry", .type = F_MAP, .offset = offsetof(struct policy_args, retry),
	  .members = retry_fields, .help = "what a failure is worth" },
	{ .name = "on_error", .type = F_STRING, .offset = offsetof(struct policy_args, on_error),
	  .choices = on_error_words, .help = "stop, continue, or rollback: take back what the plan has done" },
	{ 0 },
};

static const struct policy builtin_policy = {
	.timeout = 0, /* not said */
	.retry = { .attempts = 1, .backoff = 1 * NS_PER_S, .max_backoff = 60 * NS_PER_S },
	.on_error = ON_ERROR_STOP,
};

static void
read_retry(struct loader *l, const struct node *map, struct said_policy *ret)
{
	struct retry_args args = { 0 };

	if (!schema_bind_literals(retry_fields, map, &l->scratch, &args))
		return;
	ret->said |= args.attempts > 0 ? SAID_ATTEMPTS : 0;
	ret->said |= node_get(map, "backoff") != NULL ? SAID_BACKOFF : 0;
	ret->said |= node_get(map, "max_backoff") != NULL ? SAID_MAX_BACKOFF : 0;
	ret->policy.retry.attempts = (uint32_t)args.attempts;
	ret->policy.retry.backoff = args.backoff;
	ret->policy.retry.max_backoff = args.max_backoff;
}

/* map holds only keys of a policy. */
static void
read_policy(struct loader *l, const struct node *map, struct said_policy *ret)
{
	const struct node *retry = node_get(map, "retry");
	struct policy_args args = { 0 };

	memset(ret, 0, sizeof(*ret)); /* padding too: it is compared as bytes */
	if (retry != NULL && retry->kind == NODE_MAP)
		read_retry(l, retry, ret);
	if (schema_read(language_policy_fields, map, plan_pos(l, map), l->plan->file, &l->scratch, &args,
			l->problems) < 0)
		return;
	if (args.timeout > 0) {
		ret->said |= SAID_TIMEOUT;
		ret->policy.timeout = args.timeout;
	}
	if (args.on_error != NULL) {
		ret->said |= SAID_ON_ERROR;
		while (strcmp(args.on_error, on_error_words[ret->policy.on_error]) != 0)
			ret->policy.on_error++;
	}
}

/* The number of a policy that says the same. */
static uint32_t
share_policy(struct loader *l, const struct said_policy *said)
{
	uint32_t at = map_get(&l->said_index, (const char *)said, sizeof(*said));

	if (at != MAP_NONE)
		return at;
	if ((l->nsaid & (l->nsaid - 1)) == 0)
		l->said = xreallocarray(l->said, l->nsaid == 0 ? 1 : (size_t)l->nsaid * 2,
					sizeof(*l->said));
	l->said[l->nsaid] = xmalloc(sizeof(*said));
	memcpy(l->said[l->nsaid], said, sizeof(*said));
	(void)map_add(&l->said_index, (const char *)l->said[l->nsaid], sizeof(*said), l->nsaid);
	return l->nsaid++;
}

static void
merge_policy(struct policy *to, const struct said_policy *from)
{
	if (from->said & SAID_TIMEOUT)
		to->timeout = from->policy.timeout;
	if (from->said & SAID_ATTEMPTS)
		to->retry.attempts = from->policy.retry.attempts;
	if (from->said & SAID_BACKOFF)
		to->retry.backoff = from->policy.retry.backoff;
	if (from->said & SAID_MAX_BACKOFF)
		to->retry.max_backoff = from->policy.retry.max_backoff;
	if (from->said & SAID_ON_ERROR)
		to->on_error = from->policy.on_error;
}

void
plan_set_policies(struct loader *l, const struct node *defaults)
{
	struct policy base = builtin_policy,
		      *policies = arena_array(&l->plan->arena, l->nsaid, sizeof(*policies));
	struct said_policy said;

	if (defaults != NULL) {
		read_policy(l, defaults, &said);
		merge_policy(&base, &said);
	}
	for (uint32_t i = 0; i < l->nsaid; i++) {
		policies[i] = base;
		merge_policy(&policies[i], l->said[i]);
	}
	l->plan->policies = policies;
	l->plan->npolicies = l->nsaid;
	for (uint32_t i = 0; i < l->plan->nsteps; i++)
		l->plan->steps[i].policy = &policies[l->drafts[i].policy];
}

static bool
is_later_type(const char *name)
{
	static const char *const families[] = { "kubernetes.", "linstor.",
						"http.",       "archive.", "kamaji." };

	for (size_t i = 0; i < countof(families); i++)
		if (strncmp(name, families[i], strlen(families[i])) == 0)
			return true;
	return false;
}

const struct step_type *
plan_step_type(struct loader *l, const struct node *name)
{
	const struct step_type *type = NULL;
	const char *names[128];
	size_t n = 0;

	if (name->kind == NODE_SCALAR)
		type = registry_step(l->registry, name->s);
	if (type != NULL && (type->flags & STEP_LATER) == 0)
		return type;
	if (name->kind != NODE_SCALAR)
		problems_add(l->problems, plan_pos(l, name), NULL,
			     "'uses': expected the name of a step type");
	else if (strcmp(name->s, "undo") == 0)
		problems_add(l->problems, plan_pos(l, name), NULL, "'undo' can stand only in 'finally'");
	else if (strcmp(name->s, sub_step.name) == 0)
		problems_add(l->problems, plan_pos(l, name), NULL, "'plan' can stand only in a step of its own");
	else if (type != NULL || is_later_type(name->s))
		problems_add(l->problems, plan_pos(l, name), NULL,
			     "'%.60s' comes in a later version", name->s);
	else {
		for (const struct step_type *const *t = l->registry->steps;
		     *t != NULL && n < countof(names) - 1; t++)
			names[n++] = (*t)->name;
		names[n++] = sub_step.name;
		problems_add_near(l->problems, plan_pos(l, name), name->s, names, n,
				  "unknown step type '%.60s'", name->s);
	}
	return NULL;
}

/* Of an item: two words are not in the registry. */
static void
read_uses(struct loader *l, const struct node *n, struct step *s, struct draft *d)
{
	d->undoes = s->finally && n->kind == NODE_SCALAR && strcmp(n->s, "undo") == 0;
	if (d->undoes)
		s->type = NULL;
	else if (n->kind == NODE_SCALAR && strcmp(n->s, sub_step.name) == 0)
		s->type = &sub_step;
	else
		s->type = plan_step_type(l, n);
}

static const struct node *
keep_node(struct arena *a, const struct node *n)
{
	struct node *kept = arena_alloc(a, sizeof(*kept));

	*kept = node_copy(a, n);
	return kept;
}

/* "true", "false", or one whole expression. */
static const struct node *
read_when(struct loader *l, const struct node *n)
{
	struct pos where;
	const char *src;
	size_t len;

	if (n->kind != NODE_SCALAR || (template_whole(n, &src, &len, &where) != 1 &&
				       !(n->plain && node_value(NULL, n).kind == V_BOOL))) {
		problems_add(l->problems, plan_pos(l, n), NULL,
			     "'when': expected one whole expression ${{ … }}, or true or false");
		return NULL;
	}
	return keep_node(&l->plan->arena, n);
}

static void
read_id(struct loader *l, const struct node *n, struct step *s)
{
	s->line = n->line;
	s->col = n->col;
	if (n->kind == NODE_SCALAR && text_is_name(n->s, n->len))
		s->id = arena_strndup(&l->plan->arena, n->s, n->len);
	else
		problems_add(l->problems, plan_pos(l, n), NULL,
			     "step id%s%.60s%s: expected [A-Za-z][A-Za-z0-9_-]{0,62}",
			     n->kind == NODE_SCALAR ? " '" : "", n->kind == NODE_SCALAR ? n->s : "",
			     n->kind == NODE_SCALAR ? "'" : "");
}

static void
read_part(struct loader *l, enum word_id word, const struct node *n, struct step *s, struct draft *d)
{
	switch (word) {
	case WORD_IS_ID:
		read_id(l, n, s);
		break;
	case WORD_IS_USES:
		read_uses(l, n, s, d);
		break;
	case WORD_IS_WITH:
		if (n->kind == NODE_MAP)
			s->with = node_copy(&l->plan->arena, n);
		else if (n->kind != NODE_SCALAR || !n->plain || n->len > 0)
			problems_add(l->problems, plan_pos(l, n), NULL,
				     "'with': expected a map of inputs");
		break;
	case WORD_IS_NEEDS:
		if (n->kind == NODE_LIST)
			d->needs = node_copy(&l->scratch, n);
		else
			problems_add(l->problems, plan_pos(l, n), NULL,
				     "'needs': expected a list of step ids");
		break;
	case WORD_IS_GUARD:
		if (n->kind == NODE_LIST)
			d->guard = keep_node(&l->scratch, n);
		else
			problems_add(l->problems, plan_pos(l, n), NULL,
				     "'guard': expected a list of step ids");
		break;
	case WORD_IS_IRREVERSIBLE:
		if (n->kind == NODE_SCALAR && n->len > 0 && schema_is_literal(n))
			s->irreversible = arena_strndup(&l->plan->arena, n->s, n->len);
		else
			problems_add(l->problems, plan_pos(l, n), NULL,
				     "'irreversible': expected a text without expressions: why there is no way back");
		break;
	case WORD_IS_WHEN:
		s->when = read_when(l, n);
		break;
	case WORD_IS_ALLOW:
		s->allow = plan_read_allow(l, n);
		break;
	case WORD_IS_FOREACH:
		s->each = true;
		d->foreach = keep_node(&l->plan->arena, n);
		break;
	case WORD_IS_KEY:
		d->key = keep_node(&l->plan->arena, n);
		break;
	case WORD_IS_POOL:
		d->pool = keep_node(&l->scratch, n);
		break;
	case WORD_IS_UNDO:
		if (n->kind == NODE_MAP && node_get(n, "uses") != NULL &&
		    n->len == 1 + (node_get(n, "with") != NULL))
			d->undo = node_copy(&l->scratch, n);
		else
			problems_add(l->problems, plan_pos(l, n), NULL,
				     "'undo': expected {uses: …, with: …}");
		break;
	default:
		break;
	}
}

/* The words of an item: those of its policy are gathered and read as a map of their own. */
static void
read_words(struct loader *l, const struct node *item, struct step *s, struct draft *d)
{
	struct node pairs[2 * POLICY_MAX], map = { .kind = NODE_MAP, .line = item->line, .col = item->col, .items = pairs };
	struct said_policy said;

	for (uint32_t i = 0; i < item->len; i++) {
		const struct node *key = &item->items[2 * i];
		const struct word *word = plan_word(l, key, IN_STEP);

		if (word != NULL && word->shape == WORD_POLICY && map.len < POLICY_MAX) {
			pairs[2 * map.len] = key[0];
			pairs[2 * map.len++ + 1] = key[1];
		} else if (word != NULL) {
			read_part(l, word->id, key + 1, s, d);
		}
	}
	read_policy(l, &map, &said);
	d->policy = share_policy(l, &said);
}

int
plan_add_item(void *data, const char *section, const struct node *item)
{
	struct loader *l = data;
	struct plan *p = l->plan;
	struct step s = { .id = "", .with = { .kind = NODE_MAP }, .finally = section[0] == 'f', .undoes = PLAN_NO_STEP };
	struct draft d = { .needs = { .kind = NODE_LIST }, .undo = { .kind = NODE_MAP } };

	if (item->kind != NODE_MAP) {
		problems_add(l->problems, plan_pos(l, item), NULL,
			     "a step is a map with 'id' and 'uses'");
		return 0;
	}
	if (p->nsteps == PLAN_MAX_STEPS) {
		problems_add(l->problems, plan_pos(l, item), NULL, "more than %d steps",
			     PLAN_MAX_STEPS);
		return -1;
	}
	s.line = item->line;
	s.col = item->col;
	read_words(l, item, &s, &d);
	if (node_get(item, "id") == NULL)
		problems_add(l->problems, plan_pos(l, item), NULL, "a step without 'id'");
	if (node_get(item, "uses") == NULL)
		problems_add(l->problems, plan_pos(l, item), NULL, "step '%s': missing 'uses'",
			     s.id);
	if (p->nsteps == l->cap) {
		l->cap = l->cap == 0 ? 16 : l->cap * 2;
		p->steps = xreallocarray(p->steps, l->cap, sizeof(*p->steps));
		l->drafts = xreallocarray(l->drafts, l->cap, sizeof(*l->drafts));
	}
	p->steps[p->nsteps] = s;
	l->drafts[p->nsteps++] = d;
	p->nmain += !s.finally;
	return 0;
}

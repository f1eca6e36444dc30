/* SPDX-License-Identifier: Apache-2.0 */
/* Owns the table of the plan language's words. A new word is one row here and one case in the loader. */
#include "language.h"

const struct word language[] = {
	{ "wherry", WORD_IS_WHERRY, WORD_VERSION, IN_PLAN, true, "version of the format: v1" },
	{ "name", WORD_IS_NAME, WORD_NAME, IN_PLAN, true, "what the plan is called" },
	{ "summary", WORD_IS_SUMMARY, WORD_TEXT, IN_PLAN, false, "one sentence for `wherry plans`" },
	{ "params", WORD_IS_PARAMS, WORD_PARAMS, IN_PLAN, false, "values that the operator gives, by name" },
	{ "targets", WORD_IS_TARGETS, WORD_TARGETS, IN_PLAN, false, "connections to what the steps work on, by name" },
	{ "pools", WORD_IS_POOLS, WORD_POOLS, IN_PLAN, false,
	  "how many steps that name a pool may be under way at once, by its name" },
	{ "defaults", WORD_IS_DEFAULTS, WORD_DEFAULTS, IN_PLAN, false, "what holds for steps that do not say it themselves" },
	{ "hooks", WORD_IS_HOOKS, WORD_LATER, IN_PLAN, false, NULL },
	{ "steps", WORD_IS_STEPS, WORD_STEPS, IN_PLAN, true, "what is done, each step when its needs are over" },
	{ "finally", WORD_IS_FINALLY, WORD_STEPS, IN_PLAN, false, "steps that run when a run closes, whatever happened" },
	{ "outputs", WORD_IS_OUTPUTS, WORD_VALUES, IN_PLAN, false, "the results of a run, by name" },

	{ "id", WORD_IS_ID, WORD_NAME, IN_STEP, true, "what the step is called in this plan" },
	{ "uses", WORD_IS_USES, WORD_USES, IN_STEP, true, "its type (`wherry steps` lists them)" },
	{ "with", WORD_IS_WITH, WORD_WITH, IN_STEP, false, "inputs of that type, with expressions" },
	{ "needs", WORD_IS_NEEDS, WORD_NEEDS, IN_STEP, false,
	  "steps that have to be done before; `id?` waits for the end of a step, whatever it was" },
	{ "when", WORD_IS_WHEN, WORD_CONDITION, IN_STEP, false, "skip the step unless this holds" },
	{ "foreach", WORD_IS_FOREACH, WORD_FOREACH, IN_STEP, false,
	  "run the step for each item of this list, which is `item` then" },
	{ "key", WORD_IS_KEY, WORD_TEMPLATE, IN_STEP, false,
	  "what tells the items of `foreach` apart, for good: text with expressions over `item`" },
	{ "pool", WORD_IS_POOL, WORD_NAME, IN_STEP, false, "the pool that limits it, or the items of its `foreach`" },
	{ "guard", WORD_IS_GUARD, WORD_IDS, IN_STEP, false,
	  "read-only steps that are needed, and that run again right before this step's first effect" },
	{ "timeout", WORD_IS_TIMEOUT, WORD_POLICY, IN_STEP | IN_DEFAULTS, false, NULL },
	{ "retry", WORD_IS_RETRY, WORD_POLICY, IN_STEP | IN_DEFAULTS, false, NULL },
	{ "on_error", WORD_IS_ON_ERROR, WORD_POLICY, IN_STEP | IN_DEFAULTS, false, NULL },
	{ "undo", WORD_IS_UNDO, WORD_CALL, IN_STEP, false, "the step {uses, with} that takes this one back" },
	{ "irreversible", WORD_IS_IRREVERSIBLE, WORD_TEXT, IN_STEP, false,
	  "why there is no way back from here: the step waits for a `confirm` among its needs, or an approval of its own" },
	{ "allow", WORD_IS_ALLOW, WORD_ALLOW, IN_PLAN | IN_STEP, false,
	  "lints of `validate --strict` that do not hold here, each with the reason: {RULE: reason}" },
	{ 0 },
};

const char *
word_help(const struct word *w)
{
	if (w->shape == WORD_LATER)
		return "comes in a later version";
	return w->shape == WORD_POLICY ? schema_field(language_policy_fields, w->name)->help : w->help;
}

static void
place_help(struct buf *to, const char *title, enum word_place place)
{
	buf_puts(to, title);
	for (const struct word *w = language; w->name != NULL; w++)
		if ((w->in & place) != 0 && w->shape != WORD_LATER)
			buf_printf(to, "  %-13s %s%s\n", w->name, word_help(w), w->required ? " (required)" : "");
}

static void
fields_help(struct buf *to, const char *title, const struct field *fields)
{
	char type[32];

	buf_puts(to, title);
	for (const struct field *f = fields; f->name != NULL; f++)
		buf_printf(to, "  %-13s %-10s %s%s\n", f->name, field_type_name(f, type), f->help,
			   f->required ? " (required)" : "");
}

void
language_help(struct buf *to)
{
	place_help(to, "words of a plan:\n", IN_PLAN);
	place_help(to, "\nwords of a step, in 'steps' and 'finally':\n", IN_STEP);
	place_help(to, "\nwords of 'defaults':\n", IN_DEFAULTS);
	fields_help(to, "\nwhat 'retry' says:\n", schema_field(language_policy_fields, "retry")->members);
	fields_help(to, "\nwhat a parameter says:\n", language_param_fields);
}

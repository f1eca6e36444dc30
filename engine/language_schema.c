/* SPDX-License-Identifier: Apache-2.0 */
/* Writes the JSON Schema (2020-12) of the plan language from the tables: words, step types, target kinds, parameters.
 * What joins two places of a plan (a need that exists, a secret's way, a cycle) no schema can say: `wherry validate` can. */
#include "language.h"

#include <float.h>
#include <string.h>

#include "base/json_out.h"
#include "lint.h"
#include "plan.h"

#define NAME_PATTERN "^[A-Za-z][A-Za-z0-9_-]{0,62}$"

static const char *const of_targets[] = { "kind", "required" };

static void
ref(struct json_out *j, const char *name, const char *prefix, const char *to)
{
	struct buf b = BUF_INIT(0);

	buf_printf(&b, "#/$defs/%s%s", prefix, to);
	if (name != NULL)
		json_begin(j, name, '{');
	json_text(j, "$ref", b.p);
	if (name != NULL)
		json_end(j, '}');
	buf_done(&b);
}

static void field_schema(struct json_out *j, const struct field *f, bool exprs);

/* What is written for a type when no expression stands there. */
static const char *
literal_types(enum field_type type)
{
	switch (type) {
	case F_INT:
		return "integer";
	case F_NUMBER:
		return "number";
	case F_BOOL:
		return "boolean";
	case F_LIST:
		return "array";
	case F_MAP:
		return "object";
	default:
		return "string";
	}
}

/* Text may be written as an integer. */
static bool
is_text(enum field_type type)
{
	return type == F_STRING || type == F_BYTES || type == F_PATH;
}

static void
types(struct json_out *j, const struct field *f)
{
	json_begin(j, "type", '[');
	json_text(j, NULL, literal_types(f->type));
	if (is_text(f->type) || f->type == F_SIZE)
		json_text(j, NULL, "integer");
	if (!f->required)
		json_text(j, NULL, "null");
	json_end(j, ']');
}

static void
choices(struct json_out *j, const struct field *f)
{
	json_begin(j, "enum", '[');
	for (const char *const *c = f->choices; *c != NULL; c++)
		json_text(j, NULL, *c);
	if (!f->required)
		json_raw(j, NULL, "null");
	json_end(j, ']');
}

/* The keywords of a value written out. A pattern says nothing of what is no string. */
static void
literal(struct json_out *j, const struct field *f, bool exprs)
{
	struct field item = *f;

	types(j, f);
	if (f->type == F_DURATION || f->type == F_SIZE || f->type == F_URL)
		ref(j, NULL, "", f->type == F_DURATION ? "duration" : f->type == F_SIZE ? "size" : "url");
	if (f->choices != NULL && f->type != F_LIST)
		choices(j, f);
	if (f->pattern != NULL && f->type != F_LIST)
		json_text(j, "pattern", f->pattern);
	if ((f->type == F_INT || f->type == F_NUMBER) && (f->min != 0 || f->max != 0)) {
		if (f->min > -DBL_MAX)
			json_number(j, "minimum", f->min);
		if (f->max >= f->min && f->max < DBL_MAX)
			json_number(j, "maximum", f->max);
	}
	if (f->type == F_LIST && f->item != F_ANY) {
		item.type = f->item;
		item.item = F_ANY;
		item.required = true;
		json_begin(j, "items", '{');
		field_schema(j, &item, exprs);
		json_end(j, '}');
	}
}

/* target: it also has what is told of all targets. */
static void
members(struct json_out *j, const struct field *fields, bool exprs, bool target)
{
	bool any = false;

	json_begin(j, "properties", '{');
	for (size_t i = 0; target && i < countof(of_targets); i++)
		json_raw(j, of_targets[i], "true");
	for (const struct field *f = fields; f->name != NULL; f++) {
		json_begin(j, f->name, '{');
		json_text(j, "description", f->help);
		field_schema(j, f, exprs);
		json_end(j, '}');
		any = any || f->required;
	}
	json_end(j, '}');
	if (any)
		json_begin(j, "required", '[');
	for (const struct field *f = fields; f->name != NULL; f++)
		if (f->required)
			json_text(j, NULL, f->name);
	if (any)
		json_end(j, ']');
	json_raw(j, "additionalProperties", "false");
}

/* The keywords of one field, into an object that is open. exprs: an expression may stand for the value. */
static void
field_schema(struct json_out *j, const struct field *f, bool exprs)
{
	const bool whole = f->type == F_INT || f->type == F_NUMBER || f->type == F_BOOL || f->type == F_LIST || f->type == F_MAP;

	if (f->type == F_ANY)
		return;
	if (f->type == F_TARGET || f->type == F_EXPR || f->type == F_CALL) {
		ref(j, NULL, "", f->type == F_TARGET ? "name" : f->type == F_EXPR ? "expression" : "look");
		return;
	}
	if (f->type == F_MAP && f->members != NULL) {
		types(j, f);
		members(j, f->members, false, false);
		return;
	}
	if (f->type == F_SECRET) {
		json_raw(j, "anyOf", "[{\"type\": \"null\"}, {\"$ref\": \"#/$defs/template\"}]");
		return;
	}
	if (!exprs || (is_text(f->type) && f->pattern == NULL && f->choices == NULL)) {
		literal(j, f, exprs);
		return;
	}
	json_begin(j, "anyOf", '[');
	json_begin(j, NULL, '{');
	literal(j, f, exprs);
	json_end(j, '}');
	json_begin(j, NULL, '{');
	ref(j, NULL, "", whole ? "expression" : "template");
	json_end(j, '}');
	json_end(j, ']');
}

static void
object(struct json_out *j, const char *prefix, const char *name, const char *summary, const struct field *fields)
{
	struct buf b = BUF_INIT(0);

	buf_printf(&b, "%s%s", prefix, name);
	json_begin(j, b.p, '{');
	json_text(j, "description", summary);
	json_text(j, "type", "object");
	members(j, fields, true, false);
	json_end(j, '}');
	buf_done(&b);
}

static bool
needs_inputs(const struct field *f)
{
	while (f->name != NULL && !f->required)
		f++;
	return f->name != NULL;
}

/* May this type be used: at all, and where nothing may change? */
static bool
is_usable(const struct step_type *t, bool look)
{
	return (t->flags & STEP_LATER) == 0 && (!look || (t->flags & STEP_READ_ONLY) != 0 || t->is_read_only != NULL);
}

/* Where member `word` is `name`, open what holds then; two ends close it. */
static void
begin_case(struct json_out *j, const char *word, const char *name)
{
	json_begin(j, NULL, '{');
	json_begin(j, "if", '{');
	json_begin(j, "properties", '{');
	json_begin(j, word, '{');
	json_text(j, "const", name);
	json_end(j, '}');
	json_end(j, '}');
	json_end(j, '}');
	json_begin(j, "then", '{');
}

/* With this type, `with` is so. */
static void
case_of_type(struct json_out *j, const char *name, const struct field *inputs)
{
	begin_case(j, "uses", name);
	json_begin(j, "properties", '{');
	ref(j, "with", "with-", name);
	json_end(j, '}');
	if (needs_inputs(inputs) || inputs == sub_step.inputs)
		json_raw(j, "required", "[\"with\"]");
	json_end(j, '}');
	json_end(j, '}');
}

static void
cases_of_types(struct json_out *j, const struct registry *r, bool look)
{
	for (const struct step_type *const *t = r->steps; *t != NULL; t++)
		if (is_usable(*t, look))
			case_of_type(j, (*t)->name, (*t)->inputs);
}

/* look: only those that change nothing; step: of a step, which may have those that are not in the registry. */
static void
type_names(struct json_out *j, const struct registry *r, bool look, bool step)
{
	json_begin(j, "enum", '[');
	if (step) {
		json_text(j, NULL, "undo");
		json_text(j, NULL, sub_step.name);
	}
	for (const struct step_type *const *t = r->steps; *t != NULL; t++)
		if (is_usable(*t, look))
			json_text(j, NULL, (*t)->name);
	json_end(j, ']');
}

static void
call(struct json_out *j, const struct registry *r, const char *name, bool look)
{
	json_begin(j, name, '{');
	json_text(j, "type", "object");
	json_begin(j, "properties", '{');
	json_begin(j, "uses", '{');
	type_names(j, r, look, false);
	json_end(j, '}');
	json_raw(j, "with", "{}");
	json_end(j, '}');
	json_raw(j, "required", "[\"uses\"]");
	json_raw(j, "additionalProperties", "false");
	json_begin(j, "allOf", '[');
	cases_of_types(j, r, look);
	json_end(j, ']');
	json_end(j, '}');
}

/* A map of names to what `to` says. */
static void
named(struct json_out *j, const char *to)
{
	json_raw(j, "type", "[\"object\", \"null\"]");
	ref(j, "propertyNames", "", "name");
	if (to != NULL)
		ref(j, "additionalProperties", "", to);
}

static void words(struct json_out *j, const struct registry *r, enum word_place place);

/* The keywords of what stands behind a word. */
static void
word_schema(struct json_out *j, const struct registry *r, const struct word *w)
{
	switch (w->shape) {
	case WORD_VERSION:
		json_text(j, "const", "v1");
		break;
	case WORD_NAME:
		ref(j, NULL, "", "name");
		break;
	case WORD_TEXT:
		json_raw(j, "type", "[\"string\", \"number\", \"boolean\", \"null\"]");
		break;
	case WORD_PARAMS:
		named(j, "param");
		break;
	case WORD_TARGETS:
		named(j, "target");
		break;
	case WORD_DEFAULTS:
		json_raw(j, "type", "[\"object\", \"null\"]");
		words(j, r, IN_DEFAULTS);
		break;
	case WORD_STEPS:
		json_raw(j, "type", w->required ? "\"array\"" : "[\"array\", \"null\"]");
		if (w->required)
			json_raw(j, "minItems", "1");
		json_number(j, "maxItems", PLAN_MAX_STEPS);
		ref(j, "items", "", "step");
		break;
	case WORD_VALUES:
		named(j, NULL);
		break;
	case WORD_POOLS:
		named(j, NULL);
		json_raw(j, "maxProperties", "64");
		json_raw(j, "additionalProperties", "{\"type\": \"integer\", \"minimum\": 1}");
		break;
	case WORD_FOREACH:
		json_raw(j, "anyOf", "[{\"type\": \"array\"}, {\"$ref\": \"#/$defs/expression\"}]");
		break;
	case WORD_TEMPLATE:
		ref(j, NULL, "", "template");
		break;
	case WORD_USES:
		type_names(j, r, false, true);
		break;
	case WORD_WITH:
		break;
	case WORD_NEEDS:
		json_raw(j, "type", "\"array\"");
		json_begin(j, "items", '{');
		json_text(j, "type", "string");
		json_text(j, "pattern", "^[A-Za-z][A-Za-z0-9_-]{0,62}[?]?$");
		json_end(j, '}');
		break;
	case WORD_IDS:
		json_raw(j, "type", "\"array\"");
		json_raw(j, "items", "{\"type\": \"string\", \"pattern\": \"^[A-Za-z][A-Za-z0-9_-]{0,62}$\"}");
		break;
	case WORD_CONDITION:
		json_raw(j, "anyOf", "[{\"type\": \"boolean\"}, {\"$ref\": \"#/$defs/expression\"}]");
		break;
	case WORD_CALL:
		ref(j, NULL, "", "call");
		break;
	case WORD_ALLOW:
		json_raw(j, "type", "\"object\"");
		json_begin(j, "propertyNames", '{');
		json_begin(j, "enum", '[');
		for (const struct lint_rule *rule = lint_rules; rule->name != NULL; rule++)
			json_text(j, NULL, rule->name);
		json_end(j, ']');
		json_end(j, '}');
		json_raw(j, "additionalProperties", "{\"type\": \"string\", \"minLength\": 1}");
		break;
	case WORD_POLICY:
		field_schema(j, schema_field(language_policy_fields, w->name), false);
		break;
	case WORD_LATER:
		break;
	}
}

/* The members of a map that stands in a place. */
static void
words(struct json_out *j, const struct registry *r, enum word_place place)
{
	bool any = false;

	json_begin(j, "properties", '{');
	for (const struct word *w = language; w->name != NULL; w++) {
		if ((w->in & place) == 0 || w->shape == WORD_LATER)
			continue;
		any = any || w->required;
		json_begin(j, w->name, '{');
		json_text(j, "description", word_help(w));
		word_schema(j, r, w);
		json_end(j, '}');
	}
	json_end(j, '}');
	if (any) {
		json_begin(j, "required", '[');
		for (const struct word *w = language; w->name != NULL; w++)
			if ((w->in & place) != 0 && w->required)
				json_text(j, NULL, w->name);
		json_end(j, ']');
	}
	json_raw(j, "additionalProperties", "false");
}

static void
pattern(struct json_out *j, const char *name, const char *says, const char *type, const char *regex)
{
	json_begin(j, name, '{');
	json_text(j, "description", says);
	if (type != NULL)
		json_text(j, "type", type);
	json_text(j, "pattern", regex);
	json_end(j, '}');
}

static void
small_defs(struct json_out *j)
{
	pattern(j, "name", "a name of the plan language", "string", NAME_PATTERN);
	pattern(j, "expression", "one whole expression", "string", "^\\s*\\$\\{\\{[\\s\\S]*\\}\\}\\s*$");
	pattern(j, "template", "text with expressions", "string", "\\$\\{\\{");
	pattern(j, "duration", "90s, 1m30s, 500ms", NULL, "^(?=.)([0-9]+d)?([0-9]+h)?([0-9]+m)?([0-9]+s)?([0-9]+ms)?$");
	pattern(j, "size", "65536, 64KiB, 1.5GiB, 10MB", NULL, "^[0-9]+([.][0-9]{1,6})?([KMGT]i?B|kB|B)?$");
	pattern(j, "url", "scheme://host…", NULL, "^[A-Za-z][A-Za-z0-9+.-]*://[^/\\s]\\S*$");
}

static const struct field undo_fields[] = {
	{ .name = "step", .type = F_STRING, .pattern = "^[A-Za-z][A-Za-z0-9_-]{0,62}(/[A-Za-z][A-Za-z0-9_-]{0,62})*$", .required = true,
	  .help = "the step to take back: ID, or ID/ID of one in a plan that is run" },
	{ 0 },
};

static void
step_defs(struct json_out *j, const struct registry *r)
{
	for (const struct step_type *const *t = r->steps; *t != NULL; t++)
		if (is_usable(*t, false))
			object(j, "with-", (*t)->name, (*t)->summary, (*t)->inputs);
	object(j, "with-", "undo", "run the `undo` of another step", undo_fields);
	json_begin(j, "with-plan", '{');
	json_text(j, "description", sub_step.summary);
	json_text(j, "type", "object");
	members(j, sub_step.inputs, false, false);
	json_raw(j, "oneOf", "[{\"required\": [\"file\"]}, {\"required\": [\"name\"]}]");
	json_end(j, '}');
	json_begin(j, "step", '{');
	json_text(j, "type", "object");
	words(j, r, IN_STEP);
	json_raw(j, "dependentRequired", "{\"foreach\": [\"key\"], \"key\": [\"foreach\"]}");
	json_begin(j, "allOf", '[');
	cases_of_types(j, r, false);
	case_of_type(j, "undo", undo_fields);
	case_of_type(j, sub_step.name, sub_step.inputs);
	json_end(j, ']');
	json_end(j, '}');
	call(j, r, "call", false);
	call(j, r, "look", true);
}

/* A target: its kind, and the fields of that, unless it is handed in. What all have stands among the fields, so each case
 * holds it too. */
static void
target_def(struct json_out *j, const struct registry *r)
{
	json_begin(j, "target", '{');
	json_text(j, "type", "object");
	json_begin(j, "properties", '{');
	json_begin(j, "kind", '{');
	json_begin(j, "enum", '[');
	for (const struct target_type *const *t = r->targets; *t != NULL; t++)
		if (registry_is_declarable(*t))
			json_text(j, NULL, (*t)->kind);
	json_end(j, ']');
	json_end(j, '}');
	json_begin(j, "required", '{');
	json_text(j, "description", "handed in by the plan that runs this one");
	json_text(j, "type", "boolean");
	json_end(j, '}');
	json_end(j, '}');
	json_raw(j, "required", "[\"kind\"]");
	json_raw(j, "if", "{\"properties\": {\"required\": {\"const\": true}}, \"required\": [\"required\"]}");
	json_raw(j, "then", "{\"maxProperties\": 2}");
	json_begin(j, "else", '{');
	json_begin(j, "allOf", '[');
	for (const struct target_type *const *t = r->targets; *t != NULL; t++) {
		if (!registry_is_declarable(*t))
			continue;
		begin_case(j, "kind", (*t)->kind);
		members(j, (*t)->fields, true, true);
		json_end(j, '}');
		json_end(j, '}');
	}
	json_end(j, ']');
	json_end(j, '}');
	json_end(j, '}');
}

void
language_schema(const struct registry *r, struct buf *to)
{
	struct json_out j = { .to = to };

	json_begin(&j, NULL, '{');
	json_text(&j, "$schema", "https://json-schema.org/draft/2020-12/schema");
	json_text(&j, "title", "wherry plan, format v1");
	json_text(&j, "type", "object");
	words(&j, r, IN_PLAN);
	json_begin(&j, "$defs", '{');
	small_defs(&j);
	json_begin(&j, "param", '{');
	json_text(&j, "type", "object");
	members(&j, language_param_fields, false, false);
	json_end(&j, '}');
	target_def(&j, r);
	step_defs(&j, r);
	json_end(&j, '}');
	json_end(&j, '}');
	buf_putc(to, '\n');
}

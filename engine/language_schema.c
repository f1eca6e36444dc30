/* SPDX-License-Identifier: Apache-2.0 */
/* Writes the JSON Schema (2020-12) of the plan language from the tables: words, step types, target kinds, parameters.
 * What joins two places of a plan (a need that exists, a secret's way, a cycle) no schema can say: `wherry validate` can. */
#include "language.h"

#include <float.h>
#include <string.h>

#include "lint.h"
#include "plan.h"

#define NAME_PATTERN "^[A-Za-z][A-Za-z0-9_-]{0,62}$"

static const char *const of_targets[] = { "kind", "required" };

/* A writer of indented JSON: commas and line breaks come by themselves. */
struct json {
	struct buf *to;
	unsigned depth;
	bool filled; /* something stands before on this level */
};

static void
string(struct buf *b, const char *s)
{
	buf_putc(b, '"');
	for (; *s != '\0'; s++) {
		if (*s == '"' || *s == '\\')
			buf_putc(b, '\\');
		buf_putc(b, *s);
	}
	buf_putc(b, '"');
}

/* Begin a member (key NULL: an item of a list). */
static void
key(struct json *j, const char *name)
{
	if (j->filled)
		buf_putc(j->to, ',');
	if (j->depth > 0)
		buf_putc(j->to, '\n');
	for (unsigned i = 0; i < j->depth; i++)
		buf_puts(j->to, "  ");
	if (name != NULL) {
		string(j->to, name);
		buf_puts(j->to, ": ");
	}
	j->filled = true;
}

static void
begin(struct json *j, const char *name, char bracket)
{
	key(j, name);
	buf_putc(j->to, bracket);
	j->depth++;
	j->filled = false;
}

static void
end(struct json *j, char bracket)
{
	j->depth--;
	if (j->filled) {
		buf_putc(j->to, '\n');
		for (unsigned i = 0; i < j->depth; i++)
			buf_puts(j->to, "  ");
	}
	buf_putc(j->to, bracket);
	j->filled = true;
}

static void
text(struct json *j, const char *name, const char *value)
{
	key(j, name);
	string(j->to, value);
}

/* A number, true, false, or JSON made elsewhere. */
static void
raw(struct json *j, const char *name, const char *value)
{
	key(j, name);
	buf_puts(j->to, value);
}

static void
number(struct json *j, const char *name, double n)
{
	key(j, name);
	buf_printf(j->to, "%.15g", n);
}

static void
ref(struct json *j, const char *name, const char *prefix, const char *to)
{
	struct buf b = BUF_INIT(0);

	buf_printf(&b, "#/$defs/%s%s", prefix, to);
	if (name != NULL)
		begin(j, name, '{');
	text(j, "$ref", b.p);
	if (name != NULL)
		end(j, '}');
	buf_done(&b);
}

static void field_schema(struct json *j, const struct field *f, bool exprs);

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
types(struct json *j, const struct field *f)
{
	begin(j, "type", '[');
	text(j, NULL, literal_types(f->type));
	if (is_text(f->type) || f->type == F_SIZE)
		text(j, NULL, "integer");
	if (!f->required)
		text(j, NULL, "null");
	end(j, ']');
}

static void
choices(struct json *j, const struct field *f)
{
	begin(j, "enum", '[');
	for (const char *const *c = f->choices; *c != NULL; c++)
		text(j, NULL, *c);
	if (!f->required)
		raw(j, NULL, "null");
	end(j, ']');
}

/* The keywords of a value written out. A pattern says nothing of what is no string. */
static void
literal(struct json *j, const struct field *f, bool exprs)
{
	struct field item = *f;

	types(j, f);
	if (f->type == F_DURATION || f->type == F_SIZE || f->type == F_URL)
		ref(j, NULL, "", f->type == F_DURATION ? "duration" : f->type == F_SIZE ? "size" : "url");
	if (f->choices != NULL && f->type != F_LIST)
		choices(j, f);
	if (f->pattern != NULL && f->type != F_LIST)
		text(j, "pattern", f->pattern);
	if ((f->type == F_INT || f->type == F_NUMBER) && (f->min != 0 || f->max != 0)) {
		if (f->min > -DBL_MAX)
			number(j, "minimum", f->min);
		if (f->max >= f->min && f->max < DBL_MAX)
			number(j, "maximum", f->max);
	}
	if (f->type == F_LIST && f->item != F_ANY) {
		item.type = f->item;
		item.item = F_ANY;
		item.required = true;
		begin(j, "items", '{');
		field_schema(j, &item, exprs);
		end(j, '}');
	}
}

/* target: it also has what is told of all targets. */
static void
members(struct json *j, const struct field *fields, bool exprs, bool target)
{
	bool any = false;

	begin(j, "properties", '{');
	for (size_t i = 0; target && i < countof(of_targets); i++)
		raw(j, of_targets[i], "true");
	for (const struct field *f = fields; f->name != NULL; f++) {
		begin(j, f->name, '{');
		text(j, "description", f->help);
		field_schema(j, f, exprs);
		end(j, '}');
		any = any || f->required;
	}
	end(j, '}');
	if (any)
		begin(j, "required", '[');
	for (const struct field *f = fields; f->name != NULL; f++)
		if (f->required)
			text(j, NULL, f->name);
	if (any)
		end(j, ']');
	raw(j, "additionalProperties", "false");
}

/* The keywords of one field, into an object that is open. exprs: an expression may stand for the value. */
static void
field_schema(struct json *j, const struct field *f, bool exprs)
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
		raw(j, "anyOf", "[{\"type\": \"null\"}, {\"$ref\": \"#/$defs/template\"}]");
		return;
	}
	if (!exprs || (is_text(f->type) && f->pattern == NULL && f->choices == NULL)) {
		literal(j, f, exprs);
		return;
	}
	begin(j, "anyOf", '[');
	begin(j, NULL, '{');
	literal(j, f, exprs);
	end(j, '}');
	begin(j, NULL, '{');
	ref(j, NULL, "", whole ? "expression" : "template");
	end(j, '}');
	end(j, ']');
}

static void
object(struct json *j, const char *prefix, const char *name, const char *summary, const struct field *fields)
{
	struct buf b = BUF_INIT(0);

	buf_printf(&b, "%s%s", prefix, name);
	begin(j, b.p, '{');
	text(j, "description", summary);
	text(j, "type", "object");
	members(j, fields, true, false);
	end(j, '}');
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
begin_case(struct json *j, const char *word, const char *name)
{
	begin(j, NULL, '{');
	begin(j, "if", '{');
	begin(j, "properties", '{');
	begin(j, word, '{');
	text(j, "const", name);
	end(j, '}');
	end(j, '}');
	end(j, '}');
	begin(j, "then", '{');
}

/* With this type, `with` is so. */
static void
case_of_type(struct json *j, const char *name, const struct field *inputs)
{
	begin_case(j, "uses", name);
	begin(j, "properties", '{');
	ref(j, "with", "with-", name);
	end(j, '}');
	if (needs_inputs(inputs) || inputs == sub_step.inputs)
		raw(j, "required", "[\"with\"]");
	end(j, '}');
	end(j, '}');
}

static void
cases_of_types(struct json *j, const struct registry *r, bool look)
{
	for (const struct step_type *const *t = r->steps; *t != NULL; t++)
		if (is_usable(*t, look))
			case_of_type(j, (*t)->name, (*t)->inputs);
}

/* look: only those that change nothing; step: of a step, which may have those that are not in the registry. */
static void
type_names(struct json *j, const struct registry *r, bool look, bool step)
{
	begin(j, "enum", '[');
	if (step) {
		text(j, NULL, "undo");
		text(j, NULL, sub_step.name);
	}
	for (const struct step_type *const *t = r->steps; *t != NULL; t++)
		if (is_usable(*t, look))
			text(j, NULL, (*t)->name);
	end(j, ']');
}

static void
call(struct json *j, const struct registry *r, const char *name, bool look)
{
	begin(j, name, '{');
	text(j, "type", "object");
	begin(j, "properties", '{');
	begin(j, "uses", '{');
	type_names(j, r, look, false);
	end(j, '}');
	raw(j, "with", "{}");
	end(j, '}');
	raw(j, "required", "[\"uses\"]");
	raw(j, "additionalProperties", "false");
	begin(j, "allOf", '[');
	cases_of_types(j, r, look);
	end(j, ']');
	end(j, '}');
}

/* A map of names to what `to` says. */
static void
named(struct json *j, const char *to)
{
	raw(j, "type", "[\"object\", \"null\"]");
	ref(j, "propertyNames", "", "name");
	if (to != NULL)
		ref(j, "additionalProperties", "", to);
}

static void words(struct json *j, const struct registry *r, enum word_place place);

/* The keywords of what stands behind a word. */
static void
word_schema(struct json *j, const struct registry *r, const struct word *w)
{
	switch (w->shape) {
	case WORD_VERSION:
		text(j, "const", "v1");
		break;
	case WORD_NAME:
		ref(j, NULL, "", "name");
		break;
	case WORD_TEXT:
		raw(j, "type", "[\"string\", \"number\", \"boolean\", \"null\"]");
		break;
	case WORD_PARAMS:
		named(j, "param");
		break;
	case WORD_TARGETS:
		named(j, "target");
		break;
	case WORD_DEFAULTS:
		raw(j, "type", "[\"object\", \"null\"]");
		words(j, r, IN_DEFAULTS);
		break;
	case WORD_STEPS:
		raw(j, "type", w->required ? "\"array\"" : "[\"array\", \"null\"]");
		if (w->required)
			raw(j, "minItems", "1");
		number(j, "maxItems", PLAN_MAX_STEPS);
		ref(j, "items", "", "step");
		break;
	case WORD_VALUES:
		named(j, NULL);
		break;
	case WORD_POOLS:
		named(j, NULL);
		raw(j, "maxProperties", "64");
		raw(j, "additionalProperties", "{\"type\": \"integer\", \"minimum\": 1}");
		break;
	case WORD_FOREACH:
		raw(j, "anyOf", "[{\"type\": \"array\"}, {\"$ref\": \"#/$defs/expression\"}]");
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
		raw(j, "type", "\"array\"");
		begin(j, "items", '{');
		text(j, "type", "string");
		text(j, "pattern", "^[A-Za-z][A-Za-z0-9_-]{0,62}[?]?$");
		end(j, '}');
		break;
	case WORD_IDS:
		raw(j, "type", "\"array\"");
		raw(j, "items", "{\"type\": \"string\", \"pattern\": \"^[A-Za-z][A-Za-z0-9_-]{0,62}$\"}");
		break;
	case WORD_CONDITION:
		raw(j, "anyOf", "[{\"type\": \"boolean\"}, {\"$ref\": \"#/$defs/expression\"}]");
		break;
	case WORD_CALL:
		ref(j, NULL, "", "call");
		break;
	case WORD_ALLOW:
		raw(j, "type", "\"object\"");
		begin(j, "propertyNames", '{');
		begin(j, "enum", '[');
		for (const struct lint_rule *rule = lint_rules; rule->name != NULL; rule++)
			text(j, NULL, rule->name);
		end(j, ']');
		end(j, '}');
		raw(j, "additionalProperties", "{\"type\": \"string\", \"minLength\": 1}");
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
words(struct json *j, const struct registry *r, enum word_place place)
{
	bool any = false;

	begin(j, "properties", '{');
	for (const struct word *w = language; w->name != NULL; w++) {
		if ((w->in & place) == 0 || w->shape == WORD_LATER)
			continue;
		any = any || w->required;
		begin(j, w->name, '{');
		text(j, "description", word_help(w));
		word_schema(j, r, w);
		end(j, '}');
	}
	end(j, '}');
	if (any) {
		begin(j, "required", '[');
		for (const struct word *w = language; w->name != NULL; w++)
			if ((w->in & place) != 0 && w->required)
				text(j, NULL, w->name);
		end(j, ']');
	}
	raw(j, "additionalProperties", "false");
}

static void
pattern(struct json *j, const char *name, const char *says, const char *type, const char *regex)
{
	begin(j, name, '{');
	text(j, "description", says);
	if (type != NULL)
		text(j, "type", type);
	text(j, "pattern", regex);
	end(j, '}');
}

static void
small_defs(struct json *j)
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
step_defs(struct json *j, const struct registry *r)
{
	for (const struct step_type *const *t = r->steps; *t != NULL; t++)
		if (is_usable(*t, false))
			object(j, "with-", (*t)->name, (*t)->summary, (*t)->inputs);
	object(j, "with-", "undo", "run the `undo` of another step", undo_fields);
	begin(j, "with-plan", '{');
	text(j, "description", sub_step.summary);
	text(j, "type", "object");
	members(j, sub_step.inputs, false, false);
	raw(j, "oneOf", "[{\"required\": [\"file\"]}, {\"required\": [\"name\"]}]");
	end(j, '}');
	begin(j, "step", '{');
	text(j, "type", "object");
	words(j, r, IN_STEP);
	raw(j, "dependentRequired", "{\"foreach\": [\"key\"], \"key\": [\"foreach\"]}");
	begin(j, "allOf", '[');
	cases_of_types(j, r, false);
	case_of_type(j, "undo", undo_fields);
	case_of_type(j, sub_step.name, sub_step.inputs);
	end(j, ']');
	end(j, '}');
	call(j, r, "call", false);
	call(j, r, "look", true);
}

/* A target: its kind, and the fields of that, unless it is handed in. What all have stands among the fields, so each case
 * holds it too. */
static void
target_def(struct json *j, const struct registry *r)
{
	begin(j, "target", '{');
	text(j, "type", "object");
	begin(j, "properties", '{');
	begin(j, "kind", '{');
	begin(j, "enum", '[');
	for (const struct target_type *const *t = r->targets; *t != NULL; t++)
		if (registry_is_declarable(*t))
			text(j, NULL, (*t)->kind);
	end(j, ']');
	end(j, '}');
	begin(j, "required", '{');
	text(j, "description", "handed in by the plan that runs this one");
	text(j, "type", "boolean");
	end(j, '}');
	end(j, '}');
	raw(j, "required", "[\"kind\"]");
	raw(j, "if", "{\"properties\": {\"required\": {\"const\": true}}, \"required\": [\"required\"]}");
	raw(j, "then", "{\"maxProperties\": 2}");
	begin(j, "else", '{');
	begin(j, "allOf", '[');
	for (const struct target_type *const *t = r->targets; *t != NULL; t++) {
		if (!registry_is_declarable(*t))
			continue;
		begin_case(j, "kind", (*t)->kind);
		members(j, (*t)->fields, true, true);
		end(j, '}');
		end(j, '}');
	}
	end(j, ']');
	end(j, '}');
	end(j, '}');
}

void
language_schema(const struct registry *r, struct buf *to)
{
	struct json j = { .to = to };

	begin(&j, NULL, '{');
	text(&j, "$schema", "https://json-schema.org/draft/2020-12/schema");
	text(&j, "title", "wherry plan, format v1");
	text(&j, "type", "object");
	words(&j, r, IN_PLAN);
	begin(&j, "$defs", '{');
	small_defs(&j);
	begin(&j, "param", '{');
	text(&j, "type", "object");
	members(&j, language_param_fields, false, false);
	end(&j, '}');
	target_def(&j, r);
	step_defs(&j, r);
	end(&j, '}');
	end(&j, '}');
	buf_putc(to, '\n');
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Owns the table of every name an expression can call: the state is filled from it, names are checked against it and the
 * help text is written from it. */
#include <lualib.h>
#include <stdio.h>
#include <string.h>

#include "expr_int.h"

const struct expr_fn expr_fns[] = {
	{ "first", "list[, key, value]", "the first item, or the first whose member key is value; null if none", .fn = lib_first },
	{ "count", "list[, key, value]", "how many items, or members of a map; or items whose member key is value", .fn = lib_count },
	{ "keys", "map", "its keys, sorted", .fn = lib_keys },
	{ "values", "map", "its values, in the order of the keys", .fn = lib_values },
	{ "has", "map, key", "is the member there and not null?", .fn = lib_has },
	{ "contains", "list or text, x", "is x one of the items, or a part of the text?", .fn = lib_contains, .method = true },
	{ "concat", "list, …", "one list of all items", .fn = lib_concat },
	{ "merge", "map, …", "one map of all members; later ones win", .fn = lib_merge },
	{ "map", "list, function", "a list of function(item, i)", .fn = lib_map },
	{ "filter", "list, function", "the items for which function(item, i) is true", .fn = lib_filter },
	{ "sort", "list[, less]", "a sorted copy; less(a, b) tells the order", .fn = lib_sort },
	{ "unique", "list", "without repeated items", .fn = lib_unique },
	{ "range", "[from, ]to[, step]", "a list of integers", .fn = lib_range },
	{ "min", "list or a, …", "the least", .fn = lib_min },
	{ "max", "list or a, …", "the greatest", .fn = lib_max },
	{ "default", "v, d", "v, or d when v is null", .fn = lib_default },
	{ "condition", "object, type", "is this condition of a Kubernetes object True?", .fn = lib_condition },
	{ "split", "text, separator", "a list of the parts; empty text has none", .fn = expr_split, .method = true },
	{ "join", "list, separator", "the items as one text", .fn = expr_join },
	{ "trim", "text", "without blanks at both ends", .fn = expr_trim, .method = true },
	{ "lower", "text", "in lower case", .standard = "string.lower" },
	{ "upper", "text", "in upper case", .standard = "string.upper" },
	{ "starts_with", "text, part", "does it begin so?", .fn = expr_starts_with, .method = true },
	{ "ends_with", "text, part", "does it end so?", .fn = expr_ends_with, .method = true },
	{ "replace", "text, old, new", "every old replaced, taken literally", .fn = expr_replace, .method = true },
	{ "json.encode", "v", "v as JSON; json(v) too", .fn = expr_json_encode },
	{ "json.decode", "text", "the value of a JSON text", .fn = expr_json_decode },
	{ "base64.encode", "text", "in base64; base64(text) too", .fn = expr_base64_encode },
	{ "base64.decode", "text", "the bytes of a base64 text", .fn = expr_base64_decode },
	{ "sha256", "text", "SHA-256 in hexadecimal", .fn = expr_sha256 },
	{ "tonumber", "text[, base]", "the number, or null", .standard = "_G.tonumber" },
	{ "tostring", "v", "as text; lists and maps as JSON", .fn = expr_tostring },
	{ "type", "v", "\"nil\", \"boolean\", \"number\", \"string\", \"table\" or \"function\"", .fn = lib_type },
	{ "error", "text", "fail with this message", .fn = lib_error },
	{ "ipairs", "list", "for i, item in ipairs(list)", .standard = "_G.ipairs" },
	{ "pairs", "map", "for key, v in pairs(map), in the order of the keys", .fn = expr_pairs },
	{ "select", "n or '#', …", "arguments from the n-th, or their number", .standard = "_G.select" },
	{ "string.byte", "text[, from, to]", "codes of its bytes", .standard = "string.byte" },
	{ "string.char", "code, …", "text of these bytes", .standard = "string.char" },
	{ "string.find", "text, pattern[, from[, plain]]", "where a Lua pattern matches", .fn = expr_find },
	{ "string.format", "format, …", "as C's printf; %s takes anything", .fn = expr_format },
	{ "string.gmatch", "text, pattern", "for a, b in text:gmatch(pattern)", .fn = expr_gmatch },
	{ "string.gsub", "text, pattern, by[, n]", "matches replaced by text, map or function", .fn = expr_gsub },
	{ "string.len", "text", "its bytes", .standard = "string.len" },
	{ "string.lower", "text", "in lower case", .standard = "string.lower" },
	{ "string.match", "text, pattern[, from]", "the captures of a Lua pattern", .fn = expr_match },
	{ "string.rep", "text, n[, separator]", "n times over", .fn = expr_rep },
	{ "string.reverse", "text", "backwards", .standard = "string.reverse" },
	{ "string.sub", "text, from[, to]", "a part of it", .standard = "string.sub" },
	{ "string.upper", "text", "in upper case", .standard = "string.upper" },
	{ "table.concat", "list[, separator]", "as join", .fn = expr_join },
	{ "table.insert", "table[, place], v", "put an item into a table made here", .fn = lib_insert },
	{ "table.unpack", "list", "its items as arguments", .fn = lib_unpack },
	{ "math.abs", "x", "without its sign", .standard = "math.abs" },
	{ "math.ceil", "x", "the next integer up", .standard = "math.ceil" },
	{ "math.exp", "x", "e to the power of x", .standard = "math.exp" },
	{ "math.floor", "x", "the next integer down", .standard = "math.floor" },
	{ "math.fmod", "a, b", "the rest of a / b, rounded to zero", .standard = "math.fmod" },
	{ "math.huge", NULL, "more than any number", .standard = "math.huge" },
	{ "math.log", "x[, base]", "the logarithm", .standard = "math.log" },
	{ "math.max", "a, …", "the greatest", .standard = "math.max" },
	{ "math.maxinteger", NULL, "the greatest integer", .standard = "math.maxinteger" },
	{ "math.min", "a, …", "the least", .standard = "math.min" },
	{ "math.mininteger", NULL, "the least integer", .standard = "math.mininteger" },
	{ "math.pi", NULL, "3.14…", .standard = "math.pi" },
	{ "math.sqrt", "x", "the square root", .standard = "math.sqrt" },
	{ "math.tointeger", "x", "x as an integer, or null", .standard = "math.tointeger" },
	{ "math.type", "x", "\"integer\", \"float\" or null", .standard = "math.type" },
};
const size_t expr_nfns = countof(expr_fns);

static int
refuse_write(lua_State *L)
{
	return luaL_error(L, "the functions cannot be changed");
}

/* __call of json and base64: the table itself gives way to its function. */
static int
call_encode(lua_State *L)
{
	lua_pushvalue(L, lua_upvalueindex(1));
	lua_replace(L, 1);
	lua_call(L, lua_gettop(L) - 1, 1);
	return 1;
}

/* Push the function of a row. */
static void
push_fn(lua_State *L, const struct expr_fn *f)
{
	const char *dot;

	if (f->fn != NULL) {
		lua_pushcfunction(L, f->fn);
		return;
	}
	dot = strchr(f->standard, '.');
	(void)lua_getfield(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
	(void)lua_pushlstring(L, f->standard, (size_t)(dot - f->standard));
	(void)lua_gettable(L, -2);
	(void)lua_getfield(L, -1, dot + 1);
	lua_replace(L, -3);
	lua_pop(L, 1);
}

/* Leave a read-only view of the table on top in its place. */
static void
seal(lua_State *L)
{
	lua_newtable(L);
	lua_newtable(L);
	lua_pushvalue(L, -3);
	lua_setfield(L, -2, "__index");
	lua_pushcfunction(L, refuse_write);
	lua_setfield(L, -2, "__newindex");
	if (lua_getfield(L, -3, "encode") != LUA_TNIL) {
		lua_pushcclosure(L, call_encode, 1);
		lua_setfield(L, -2, "__call");
	} else {
		lua_pop(L, 1);
	}
	(void)lua_setmetatable(L, -2);
	lua_replace(L, -2);
}

/* Put every row whose name is in space ("string.", or "" for none) into the table on top. */
static void
fill(lua_State *L, const char *space)
{
	size_t len = strlen(space);

	for (size_t i = 0; i < expr_nfns; i++) {
		const struct expr_fn *f = &expr_fns[i];
		bool inside = len > 0 ? strncmp(f->name, space, len) == 0 : strchr(f->name, '.') == NULL;

		if (!inside && !(f->method && strcmp(space, "string.") == 0))
			continue;
		push_fn(L, f);
		lua_setfield(L, -2, inside ? f->name + len : f->name);
	}
}

void
expr_lib_open(lua_State *L)
{
	static const char *const spaces[] = { "string.", "table.", "math.", "json.", "base64." };

	luaL_requiref(L, LUA_GNAME, luaopen_base, 0);
	luaL_requiref(L, LUA_STRLIBNAME, luaopen_string, 0);
	luaL_requiref(L, LUA_MATHLIBNAME, luaopen_math, 0);
	(void)lua_getfield(L, -2, "format");
	lua_setfield(L, LUA_REGISTRYINDEX, "string.format");
	lua_pop(L, 3);
	lua_newtable(L);
	fill(L, "");
	for (size_t i = 0; i < countof(spaces); i++) {
		lua_newtable(L);
		fill(L, spaces[i]);
		if (i == 0) { /* methods of strings; Lua's own metatable keeps "10" + 1 working */
			lua_pushliteral(L, "");
			(void)lua_getmetatable(L, -1);
			lua_pushvalue(L, -3);
			lua_setfield(L, -2, "__index");
			lua_pop(L, 2);
		}
		seal(L);
		(void)lua_pushlstring(L, spaces[i], strlen(spaces[i]) - 1);
		lua_insert(L, -2);
		lua_rawset(L, -3);
	}
}

void
expr_help(struct buf *to)
{
	char call[80];

	buf_puts(to, "${{ … }} is one Lua 5.4 expression. A scalar that is one whole expression keeps its type; inside a\n"
		     "longer text it is interpolated. $${{ stands for a literal ${{.\n\nnames of the plan:\n"
		     "  params.NAME               a parameter; a result made from a secret is secret\n"
		     "  targets.NAME              a target: its kind and address\n"
		     "  steps.ID.outputs.NAME     what a step found or made; waits for the step, null when it was skipped\n"
		     "  steps.ID.status, .ran, .items   how it ended, whether an effect happened, its children\n"
		     "  item, index, key          under foreach\n"
		     "  value                     in inputs that are evaluated later (until, where)\n"
		     "  run.id, run.dir           this run\n"
		     "  run.status                running; in finally: done, failed, aborted\n"
		     "A name that is no Lua name is written steps['remove-etcd'].\n\nfunctions:\n");
	for (size_t i = 0; i < expr_nfns; i++) {
		const struct expr_fn *f = &expr_fns[i];

		if (f->args != NULL)
			(void)snprintf(call, sizeof(call), "%s(%s)", f->name, f->args);
		else
			(void)snprintf(call, sizeof(call), "%s", f->name);
		buf_printf(to, "  %-44s %s\n", call, f->help);
	}
	buf_puts(to, "Functions on text are methods too: steps.a.outputs.name:starts_with('db-').\n");
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Expressions: what they give, what they refer to, where their errors point, and that none can run away or reach out. */
#include "expr.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const char world[] =
	"{\"params\":{\"name\":\"db\",\"n\":3,\"list\":[\"a\",\"b\",\"c\"],\"nothing\":null,\"pin\":{\"$secret\":\"params.pin\"},"
	"\"password\":{\"$secret\":\"params.password\"},\"nested\":{\"x\":1,\"pw\":{\"$secret\":\"params.nested.pw\"}}},"
	"\"targets\":{\"source\":{\"kind\":\"etcd\"}},"
	"\"steps\":{\"a\":{\"status\":\"done\",\"ran\":true,\"outputs\":{\"x\":41,\"f\":0.5,\"text\":\"k8s, etcd\",\"m\":{\"b\":2,\"a\":1},"
	"\"objs\":[{\"name\":\"p\",\"image\":\"i1\"},{\"name\":\"q\",\"image\":\"i2\"},{\"name\":\"q\",\"image\":\"i3\"}]}},"
	"\"dry\":{\"status\":\"done\",\"ran\":true,\"outputs\":{\"$unknown\":\"outputs of step 'dry'\"}},"
	"\"half\":{\"outputs\":{\"known\":1,\"not\":{\"$unknown\":\"half\"}}},"
	"\"remove-etcd\":{\"ran\":false},\"skipped\":{\"outputs\":null}},"
	"\"item\":{\"metadata\":{\"name\":\"pv1\"}},\"index\":2,\"run\":{\"dir\":\"/r\"},"
	"\"value\":{\"stdout\":\"uses k8s now\",\"status\":{\"conditions\":[{\"type\":\"Ready\",\"status\":\"True\"},"
	"{\"type\":\"Old\",\"status\":\"False\"}]}}}";

struct fixture {
	struct arena a;
	struct value world;
	struct expr_host *h;
	struct expr_env env;
};

static const struct value *
world_get(void *data, const char *root, const char *key, struct err *err)
{
	struct fixture *f = data;
	const struct value *v = value_get(&f->world, root);

	if (v != NULL && key != NULL)
		v = value_get(v, key);
	if (v == NULL)
		(void)err_set(err, ERR_PLAN, "no %s.%s", root, key != NULL ? key : "");
	return v;
}

/* Secrets of the world get their content: the last word of their place. */
static void
give_content(struct value *v)
{
	if (v->kind == V_SECRET) {
		struct secret *s = (struct secret *)v->secret;
		const char *dot = strrchr(s->where, '.') + 1;

		s->content = (char *)(strcmp(dot, "pin") == 0 ? "1234" : strcmp(dot, "pw") == 0 ? "deep" : "hunter2");
		s->len = strlen(s->content);
	}
	for (uint32_t i = 0; v->kind == V_MAP && i < v->len; i++)
		give_content((struct value *)&v->pairs[i].v);
}

static int
setup(void **state)
{
	struct fixture *f = xcalloc(1, sizeof(*f));
	struct err err = ERR_INIT;

	if (value_parse(&f->a, world, strlen(world), &f->world, &err) < 0)
		fail_msg("%s", err.msg);
	give_content(&f->world);
	f->h = expr_host_new();
	f->env = (struct expr_env){ world_get, f };
	*state = f;
	return 0;
}

static int
teardown(void **state)
{
	struct fixture *f = *state;

	expr_host_free(f->h);
	arena_done(&f->a);
	free(f);
	return 0;
}

static const struct pos here = { "plan.yaml", 7, 20 };

/* Canonical bytes, except that secrets show their content: "secret(where)=content". */
static char *
result_text(const struct value *v)
{
	struct buf b = BUF_INIT(0);

	if (v->kind == V_SECRET)
		buf_printf(&b, "secret(%s)=%s", v->secret->where, v->secret->content);
	else
		value_write(&b, v);
	return buf_take(&b);
}

static struct fixture *shared(void);

struct row {
	const char *src, *want; /* want "!…": part of the error */
};

static const struct row rows[] = {
	/* values and operators */
	{ "1 + 1", "2" },
	{ "7 // 2", "3" },
	{ "7 / 2", "3.5" },
	{ "2^53", "9007199254740992.0" },
	{ "'10' + 1", "11" },
	{ "nil", "null" },
	{ "not nil", "true" },
	{ "'a' .. 1", "\"a1\"" },
	{ "'é\\0x'", "\"é\\u0000x\"" },
	{ "'\\xff'", "{\"$bytes\":\"/w==\"}" },
	{ "{}", "[]" },
	{ "{1, 'b', {true}}", "[1,\"b\",[true]]" },
	{ "{b = 1, a = {c = 2}}", "{\"a\":{\"c\":2},\"b\":1}" },
	{ "{1, x = 2}", "!neither 1, 2" },
	{ "{[1] = 1, [3] = 3, x = 1}", "!neither 1, 2" },
	{ "{[1.5] = 1}", "!neither 1, 2" },
	{ "{['a\\0'] = 1}", "!NUL" },
	{ "0/0", "!finite" },
	{ "math.huge", "!finite" },
	{ "print", "!unknown name 'print'" },
	{ "string.upper", "!function, which is no value" },
	{ "function() end", "!function, which is no value" },
	{ "(function(t) t.t = t return t end)({})", "!nested" },
	/* roots */
	{ "params.name .. '-0'", "\"db-0\"" },
	{ "params['name']", "\"db\"" },
	{ "params.none", "!no params.none" },
	{ "params.nothing", "null" },
	{ "params.list", "[\"a\",\"b\",\"c\"]" },
	{ "#params.list", "3" },
	{ "params.list[1] .. params.list[3]", "\"ac\"" },
	{ "params.list[4]", "null" },
	{ "params.list.name", "!a list is read by number" },
	{ "targets.source.kind == 'etcd'", "true" },
	{ "steps.a.outputs.x + 1", "42" },
	{ "steps['remove-etcd'].ran", "false" },
	{ "steps.a.outputs.none", "null" },
	{ "steps.a.outputs.none.more", "!index a nil value (field 'none')" },
	{ "steps.skipped.outputs.x", "!index a nil value" },
	{ "item.metadata.name .. index", "\"pv12\"" },
	{ "run.dir .. '/db.json'", "\"/r/db.json\"" },
	{ "key", "!no key" },
	{ "params", "!no value" },
	{ "params[1]", "!literal keys only" },
	{ "steps.a.outputs.m == {a = 1}", "false" },
	{ "params.list == params.list", "true" },
	{ "steps.a.outputs.objs[2] == steps.a.outputs.objs[3]", "false" },
	{ "steps.a.outputs.m .. 'x'", "!concatenate a map value" },
	{ "params.list < 3", "!compare" },
	{ "value.stdout:find('k8s', 1, true)", "6" },
	{ "value.stdout:find('k8s')", "6" },
	/* nothing can be written */
	{ "(function() params.list[1] = 2 end)()", "!read-only" },
	{ "(function() params.name = 2 end)()", "!index" },
	{ "(function() x = 1 end)()", "!cannot be assigned" },
	{ "(function() string.find = nil end)()", "!cannot be changed" },
	{ "table.insert(string, 1)", "!cannot be changed" },
	{ "(function() _ENV = {} end)()", "null" },
	{ "(function() local t = {} table.insert(t, 2) table.insert(t, 1, 1) return t end)()", "[1,2]" },
	/* touching */
	{ "steps.dry.outputs.x", "{\"$unknown\":\"outputs of step 'dry'\"}" },
	{ "steps.dry.outputs", "{\"$unknown\":\"outputs of step 'dry'\"}" },
	{ "steps.dry.ran", "true" },
	{ "{a = steps.dry.outputs.x}", "{\"$unknown\":\"outputs of step 'dry'\"}" },
	{ "steps.half.outputs", "{\"known\":1,\"not\":{\"$unknown\":\"half\"}}" },
	{ "steps.half.outputs.known", "1" },
	{ "{x = steps.half.outputs}", "{\"x\":{\"known\":1,\"not\":{\"$unknown\":\"half\"}}}" },
	{ "steps.half.outputs == steps.half.outputs", "{\"$unknown\":\"half\"}" },
	{ "json(steps.half.outputs)", "{\"$unknown\":\"half\"}" },
	{ "values(steps.half.outputs)", "{\"$unknown\":\"half\"}" },
	{ "params.password", "secret(params.password)=hunter2" },
	{ "'x' .. params.password:upper()", "secret(params.password)=xHUNTER2" },
	{ "params.password .. params.pin", "secret(params.password)=hunter21234" },
	{ "{a = params.password, b = 'c', d = true}", "{\"a\":{\"$secret\":\"params.password\"},"
						      "\"b\":{\"$secret\":\"params.password\"},\"d\":true}" },
	{ "tonumber(params.pin)", "secret(params.pin)=1234" },
	{ "params.password == 'hunter2'", "true" },
	{ "params.nested", "{\"pw\":{\"$secret\":\"params.nested.pw\"},\"x\":1}" },
	{ "params.nested.x", "1" },
	{ "json(params.nested)", "secret(params.nested.pw)={\"pw\":\"deep\",\"x\":1}" },
	{ "{[params.password] = 1}", "!failed after it read the secret 'params.password'" },
	{ "{['x' .. params.password] = 1}", "!failed after it read the secret 'params.password'" },
	{ "error(params.password)", "!failed after it read the secret 'params.password'" },
	{ "params.password.x.y", "!withheld" },
	/* functions */
	{ "first(steps.a.outputs.objs, 'name', 'q').image", "\"i2\"" },
	{ "first(steps.a.outputs.objs).image", "\"i1\"" },
	{ "first({})", "null" },
	{ "first(steps.a.outputs.objs, 'name', 'z')", "null" },
	{ "count(steps.a.outputs.objs, 'name', 'q')", "2" },
	{ "count(steps.a.outputs.m) + count({a = 1}) + count({1, 2})", "5" },
	{ "count(1)", "!a list is expected, not number" },
	{ "count(nil)", "!bad argument #1 to 'count' (a list is expected, not null)" },
	{ "keys(steps.a.outputs.m)", "[\"a\",\"b\"]" },
	{ "keys({z = 1, y = 2})", "[\"y\",\"z\"]" },
	{ "values(steps.a.outputs.m)", "[1,2]" },
	{ "has(params.nested, 'x')", "true" },
	{ "has(params.nested, 'z')", "false" },
	{ "contains(params.list, 'b')", "true" },
	{ "contains('abc', 'bc')", "true" },
	{ "split('a,b,,c', ',')", "[\"a\",\"b\",\"\",\"c\"]" },
	{ "split('', ',')", "[]" },
	{ "split('a', '')", "!separator is empty" },
	{ "('a b'):split(' ')", "[\"a\",\"b\"]" },
	{ "join(params.list, '-')", "\"a-b-c\"" },
	{ "join({1, 2.5}, ' ')", "\"1 2.5\"" },
	{ "join({{}}, ' ')", "!cannot be joined" },
	{ "trim('  x\\n')", "\"x\"" },
	{ "concat(params.list, {'d'})", "[\"a\",\"b\",\"c\",\"d\"]" },
	{ "merge(steps.a.outputs.m, {a = 9, c = 3})", "{\"a\":9,\"b\":2,\"c\":3}" },
	{ "map(params.list, function(x, i) return x .. i end)", "[\"a1\",\"b2\",\"c3\"]" },
	{ "filter({1, 2, 3, 4}, function(x) return x % 2 == 0 end)", "[2,4]" },
	{ "sort({3, 1, 2})", "[1,2,3]" },
	{ "sort({'b', 'a', 1})", "[1,\"a\",\"b\"]" },
	{ "sort({1, 2, 3, 4, 5}, function(a, b) return a > b end)", "[5,4,3,2,1]" },
	{ "sort({1, 2, 3, 4, 5}, function(a, b) return true end)", "[5,4,3,2,1]" },
	{ "map(sort(steps.a.outputs.objs, function(a, b) return a.image > b.image end), function(o) return o.image end)",
	  "[\"i3\",\"i2\",\"i1\"]" },
	{ "sort({{}, {}})", "!compare two table values" },
	{ "unique({1, 'a', 1, 'a', {x = 1}, {x = 1}})", "[1,\"a\",{\"x\":1}]" },
	{ "range(3)", "[1,2,3]" },
	{ "range(5, 1, -2)", "[5,3,1]" },
	{ "range(9223372036854775806, 9223372036854775807)", "[9223372036854775806,9223372036854775807]" },
	{ "min({3, 1, 2}) + max(4, 5)", "6" },
	{ "min({})", "null" },
	{ "default(params.nothing, 'd')", "\"d\"" },
	{ "default(params.n, 'd')", "3" },
	{ "json.encode({a = {1, 'x'}, b = false})", "\"{\\\"a\\\":[1,\\\"x\\\"],\\\"b\\\":false}\"" },
	{ "json.decode('{\"a\":[1,2.5,null]}').a[2]", "2.5" },
	{ "json.decode('{\"a\":1,\"a\":2}')", "!stands twice" },
	{ "json(steps.a.outputs.m)", "\"{\\\"a\\\":1,\\\"b\\\":2}\"" },
	{ "base64('hi')", "\"aGk=\"" },
	{ "base64.decode('aGk=')", "\"hi\"" },
	{ "base64.decode('a')", "!not base64" },
	{ "sha256('abc')", "\"ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad\"" },
	{ "tonumber('0x10') + tonumber('z', 36)", "51" },
	{ "tostring(params.list)", "\"[\\\"a\\\",\\\"b\\\",\\\"c\\\"]\"" },
	{ "tostring(nil) .. tostring(1.5)", "\"nil1.5\"" },
	{ "tostring(string.len)", "!function" },
	{ "type(params.list) .. type(1)", "\"tablenumber\"" },
	{ "upper('a') .. lower('B')", "\"Ab\"" },
	{ "starts_with('abc', 'ab') and ends_with('abc', 'bc')", "true" },
	{ "replace('a.b.c', '.', '')", "\"abc\"" },
	{ "condition(value, 'Ready')", "true" },
	{ "condition(value, 'Old') or condition(value, 'New') or condition(nil, 'x')", "false" },
	{ "error('no good')", "!no good" },
	{ "select('#', 1, 2) + select(2, 5, 6)", "8" },
	{ "select('#', table.unpack({1, 2, 3}))", "3" },
	{ "(function() local s = '' for k, v in pairs(steps.a.outputs.m) do s = s .. k .. v end return s end)()", "\"a1b2\"" },
	{ "(function() local s = '' for k, v in pairs({z = 1, y = 2, 7}) do s = s .. k .. v end return s end)()", "\"17y2z1\"" },
	{ "(function() local s = '' for i, v in ipairs(params.list) do s = s .. i .. v end return s end)()", "\"1a2b3c\"" },
	{ "(function() local s = '' for i, v in pairs(params.list) do s = s .. i .. v end return s end)()", "\"1a2b3c\"" },
	{ "string.format('%5.1f|%s|%d|%q|%s', 1.25, params.list, 3, 'a', nil)", "\"  1.2|[\\\"a\\\",\\\"b\\\",\\\"c\\\"]|3|\\\"a\\\"|nil\"" },
	{ "('%p'):format({})", "!'%p'" },
	{ "('%999d'):format(1)", "!invalid conversion" },
	{ "('ab'):rep(3, '-')", "\"ab-ab-ab\"" },
	{ "('ab'):byte(2)", "98" },
	{ "('abc'):sub(-2):reverse():len()", "2" },
	/* patterns, as Lua's own */
	{ "('key = value'):match('^(%w+)%s*=%s*(%w+)$')", "\"key\"" },
	{ "select(2, ('key = value'):match('^(%w+)%s*=%s*(%w+)$'))", "\"value\"" },
	{ "{('hello'):find('l+')}", "[3,4]" },
	{ "{('hello'):find('(l)(l)')}", "[3,4,\"l\",\"l\"]" },
	{ "('a.b'):find('.', 1, true)", "2" },
	{ "('abc'):find('b', -1)", "null" },
	{ "('abc'):find('', 10)", "null" },
	{ "('abc'):find('', 4)", "4" },
	{ "('f(a(b)c)d'):match('%b()')", "\"(a(b)c)\"" },
	{ "('THE (quick) fox'):find('%f[%a]%a+%f[%A]', 5)", "6" },
	{ "('=[[x]]='):match('(=)%[%[(.-)%]%]%1')", "\"=\"" },
	{ "('abc'):match('()b()')", "2" },
	{ "('x]y'):match('[]]')", "\"]\"" },
	{ "('a-z'):match('[a%-]+')", "\"a-\"" },
	{ "('q9'):match('[^%a]')", "\"9\"" },
	{ "('aaa'):match('a-b')", "null" },
	{ "('aab'):match('a-b')", "\"aab\"" },
	{ "('colour'):match('colou?r')", "\"colour\"" },
	{ "('abc'):gsub('%w', '%0%0')", "\"aabbcc\"" },
	{ "('abc'):gsub('', '-')", "\"-a-b-c-\"" },
	{ "('hello world'):gsub('o', {o = '0'}, 1)", "\"hell0 world\"" },
	{ "('$a $b'):gsub('%$(%w)', steps.a.outputs.m)", "\"1 2\"" },
	{ "('abc'):gsub('b', function(x) return x:upper() end)", "\"aBc\"" },
	{ "('abc'):gsub('^a', 'x')", "\"xbc\"" },
	{ "('a b'):gsub('(%w) (%w)', '%2 %1%%')", "\"b a%\"" },
	{ "('a'):gsub('a', '%2')", "!invalid capture index" },
	{ "('a'):gsub('a', '%x')", "!invalid use" },
	{ "(function() local t = {} for k, v in ('a=1, b=2'):gmatch('(%w)=(%w)') do t[k] = v end return t end)()",
	  "{\"a\":\"1\",\"b\":\"2\"}" },
	{ "(function() local n = 0 for _ in ('abc'):gmatch('') do n = n + 1 end return n end)()", "4" },
	{ "('a'):match('[a')", "!missing ']'" },
	{ "('a'):match('%')", "!ends with '%'" },
	{ "('a'):match('(a')", "!unfinished capture" },
	{ "('a'):match('a)')", "!')' without '('" },
	{ "('a'):match('%b')", "!%b takes" },
	{ "('a'):match('%f')", "!missing '['" },
	{ "('a'):match('%1')", "!invalid capture" },
	/* nothing can run away */
	{ "(function() while true do end end)()", "!too many steps" },
	{ "(function() ::top:: goto top end)()", "!too many steps" },
	{ "(function() for i = 1, math.huge do end end)()", "!too many steps" },
	{ "(function() repeat until false end)()", "!too many steps" },
	{ "(function(f) return f(f) end)(function(f) return f(f) end)", "!too many steps" },
	{ "(function(f) return 1 + f(f) end)(function(f) return 1 + f(f) end)", "!memory" },
	{ "('x'):rep(1e9)", "!too large" },
	{ "('x'):rep(1 << 62, 'y')", "!too large" },
	{ "(''):rep(1 << 62)", "\"\"" },
	{ "('x'):rep(3e7)", "!e" },
	{ "(function() local s = 'x' while true do s = s .. s end end)()", "!memory" },
	{ "(function() local s = ('x'):rep(1e6) while true do local t = s .. 'y' end end)()", "!too many steps" },
	{ "(function() local a, b = ('x'):rep(8e6), ('x'):rep(8e6) while a == b do end end)()", "!too many steps" },
	{ "(function() local t = {} for i = 1, 1e9 do t[i] = i end return t end)()", "!" },
	{ "(function() local t = {} for i = 1, 1e6 do t[i] = {} end return #t end)()", "!" },
	{ "(function() local t = {} for i = 1, 60 do t = {t, t} end return t end)()", "!too many steps" },
	{ "(function() local t = {} for i = 1, 70 do t = {t} end return t end)()", "!nested" },
	{ "(function() local s, t = ('x'):rep(1e6), {} for i = 1, 1e5 do t[i] = s end return t end)()", "!too many steps" },
	{ "('a'):rep(30):match(('a?'):rep(30) .. ('a'):rep(30))", "!too many steps" },
	{ "('a'):rep(100000):match('.-.-.-.-b')", "!too many steps" },
	{ "('a'):rep(30000):find('a*a*a*a*b')", "!too many steps" },
	{ "('('):rep(1e6):gsub('%b()', '')", "!too many steps" },
	{ "('a'):rep(1e6):find('[' .. ('b'):rep(1e6) .. ']')", "!too many steps" },
	{ "('a'):rep(500):match(('(a)'):rep(300))", "!" },
	{ "('a'):rep(500):match(('a?'):rep(300))", "!too complex" },
	{ "('x'):rep(1e6):gsub('x', ('y'):rep(1e6))", "!" },
	{ "replace(('x'):rep(1e6), 'x', ('y'):rep(1e6))", "!" },
	{ "sort(range(1e6), function(a, b) return a < b end)", "!" },
	{ "sort(map(range(1000), function() return ('x'):rep(1e4) end))", "!" },
	{ "range(1e9)", "!" },
	{ "range(1, math.maxinteger, 1)", "!" },
	{ "map(range(1000), function(x) return map(range(1e5), function(y) return y end) end)", "!" },
	{ "json.decode(('['):rep(100))", "!nested too deeply" },
	{ "json.decode('[' .. ('[],'):rep(4e6) .. '1]')", "!" },
	{ "(function() local s = '[' .. ('1,'):rep(1e5) .. '1]' while true do json.decode(s) end end)()", "!too many steps" },
	{ "(function() while true do keys(steps.a.outputs) end end)()", "!too many steps" },
	{ "string.char(table.unpack(range(300)))", "!more than 250" },
	{ "('x'):rep(1e6):byte(1, -1)", "!too long" },
	{ "(function() local function f(g) return g(g) end return ('x'):gsub('x', function(x) return f(f) end) end)()", "!" },
	{ "(function() local function f() return (('x'):gsub('x', f)) end return f() end)()", "!stack overflow" },
	/* nothing can be reached */
	{ "pcall(error)", "!unknown name" },
	{ "xpcall", "!unknown name" },
	{ "load('return 1')()", "!unknown name" },
	{ "('').dump", "null" },
	{ "string.dump", "null" },
	{ "setmetatable({}, {})", "!unknown name" },
	{ "getmetatable('')", "!unknown name" },
	{ "rawset(string, 'x', 1)", "!unknown name" },
	{ "rawget", "!unknown name" },
	{ "collectgarbage()", "!unknown name" },
	{ "coroutine.create", "!unknown name" },
	{ "io.open('/etc/passwd')", "!unknown name" },
	{ "os.execute('id')", "!unknown name" },
	{ "os.getenv('HOME')", "!unknown name" },
	{ "require('os')", "!unknown name" },
	{ "debug.getregistry()", "!unknown name" },
	{ "package.loaded", "!unknown name" },
	{ "next({})", "!unknown name" },
	{ "_G", "!unknown name" },
	{ "_ENV.params.name", "\"db\"" },
	{ "math.random", "null" },
	{ "\x1bLua", "!unexpected symbol" },
	{ "(function() local x <close> = 1 end)()", "!non-closable" },
	{ "", "!one expression is wanted" },
	{ "1 +", "!unexpected symbol" },
	{ "1 2", "!expected" },
	{ "1, 2", "!one expression is wanted" },
	{ "'abc", "!unfinished string" },
	{ "a.b.c(", "!unexpected symbol" },
};

/* One host for all rows: nothing that one leaves behind may change another. */
static void
check_eval(void **state)
{
	struct fixture *f = shared();
	const struct row *r = *state;
	struct err err = ERR_INIT;
	struct arena a = ARENA_INIT;
	struct value v;
	int rc = expr_eval(f->h, r->src, strlen(r->src), here, &f->env, &a, &v, &err);
	char *got = rc == 0 ? result_text(&v) : xstrdup(err.msg);

	if (r->want[0] == '!') {
		if (rc == 0 || strstr(err.msg, r->want + 1) == NULL)
			fail_msg("%s: %s", rc == 0 ? "result" : "error", got);
		assert_int_equal(err.kind, ERR_PLAN);
		assert_int_not_equal(err.where.line, 0);
		assert_null(strstr(err.msg, "hunter2"));
	} else if (rc < 0 || strcmp(got, r->want) != 0) {
		fail_msg("want %s, got %s", r->want, got);
	}
	free(got);
	arena_done(&a);
}

/* --- references and static mistakes --- */

static const struct check_row {
	const char *src, *want; /* references "root/key/member@col", or "!line:col: message[ (hint)]" */
} check_rows[] = {
	{ "steps.a.outputs.x + params.n", "steps/a/outputs@20 params/n@40 " },
	{ "steps['remove-etcd'].ran and steps.b['status']", "steps/remove-etcd/ran@20 steps/b/status@49 " },
	{ "steps.a", "steps/a@20 " },
	{ "#steps.move.items", "steps/move/items@21 " },
	{ "targets.source.kind", "targets/source@20 " },
	{ "item.name .. index .. key", "item@20 index@33 key@42 " },
	{ "value.stdout:find('k8s', 1, true)", "value@20 " },
	{ "{params = 1, value = 2; run = item.params}", "item@50 " },
	{ "'params.x' .. [[steps.y]] --[[ params.z ]] -- value", "" },
	{ "params . x", "params/x@20 " },
	{ "x.params", "!7:20: unknown name 'x'" },
	{ "{params.a, b = params.b, [params.c] = 1}", "params/a@21 params/b@35 params/c@46 " },
	{ "map(params.l, function(p) return p.value end)", "params/l@24 " },
	{ "(function() local run_, b <const> = 1, 2 for i, j in pairs(params.l) do run_ = i end end)()", "params/l@79 " },
	{ "(function(...) return select('#', ...) end)(params.a)", "params/a@64 " },
	{ "params[x]", "!7:20: 'params' takes literal keys only: write params.NAME or params['NAME']" },
	{ "params", "!7:20: 'params' takes literal keys only: write params.NAME or params['NAME']" },
	{ "steps['a' .. 'b'].ran", "!7:20: 'steps' takes literal keys only: write steps.NAME or steps['NAME']" },
	{ "steps.a.output.x", "!7:20: step 'a' has outputs, status, ran and items, but no 'output' (did you mean 'outputs'?)" },
	{ "steps.a.keys", "!7:20: step 'a' has outputs, status, ran and items, but no 'keys' (its results are under outputs: steps.a.outputs.keys)" },
	{ "(function() local steps = {} end)()", "!7:38: 'steps' is a name of the plan and cannot be a local name: choose another" },
	{ "filter(params.l, function(value) return value end)", "!7:46: 'value' is a name of the plan and cannot be a local name: choose another" },
	{ "(function() for key in pairs(params.l) do end end)()", "!7:36: 'key' is a name of the plan and cannot be a local name: choose another" },
	{ "parms.x", "!7:20: unknown name 'parms' (did you mean 'params'?)" },
	{ "1, 2", "!7:21: one expression is wanted here, not several" },
	{ "1; params.x", "!7:23: <eof> expected near 'params'" },
	{ "", "!7:20: the expression is empty" },
	{ " -- only this", "!7:20: the expression is empty" },
	{ "1 + ) 2", "!7:24: unexpected symbol near ')'" },
	{ "f(1)) + (2", "!7:24: <eof> expected near ')'" },
	{ "a and\n  b then", "!8:5: <eof> expected near 'then'" },
	{ "x = 1", "!7:22: <eof> expected near '='" },
	{ "(1", "!7:22: ')' expected near <eof>" },
	{ "1 .. 'é' + * 2", "!7:31: unexpected symbol near '*'" },
};

static int
note_ref(void *data, const struct expr_ref *ref)
{
	struct buf *b = data;

	buf_printf(b, "%s%s%s%s%s@%u ", ref->root, ref->key ? "/" : "", ref->key ? ref->key : "", ref->member ? "/" : "",
		   ref->member ? ref->member : "", ref->where.col);
	return 0;
}

static void
check_check(void **state)
{
	struct fixture *f = shared();
	const struct check_row *r = *state;
	struct err err = ERR_INIT;
	struct buf b = BUF_INIT(0);

	if (expr_check(f->h, r->src, strlen(r->src), here, note_ref, &b, &err) < 0) {
		buf_clear(&b);
		buf_printf(&b, "!%u:%u: %s", err.where.line, err.where.col, err.msg);
		if (err.next[0] != '\0')
			buf_printf(&b, " (%s)", err.next);
	}
	assert_string_equal(b.len > 0 ? b.p : "", r->want);
	buf_done(&b);
}

/* --- templates --- */

static const struct template_row {
	const char *text;
	bool plain;
	const char *want; /* as above; "!line:col: message" */
} template_rows[] = {
	{ "plain text", true, "\"plain text\"" },
	{ "12", true, "12" },
	{ "12", false, "\"12\"" },
	{ "${{ params.n }}", true, "3" },
	{ "  ${{ params.n }}\n", false, "3" },
	{ "${{params.list}}", true, "[\"a\",\"b\",\"c\"]" },
	{ "n=${{ params.n }} ${{ params.name }}", true, "\"n=3 db\"" },
	{ "${{ params.n }}${{ params.n }}", true, "\"33\"" },
	{ "${{ {a={b=1}} }}", true, "{\"a\":{\"b\":1}}" },
	{ "${{ {a={b=1}}}}", true, "{\"a\":{\"b\":1}}" },
	{ "${{ '}}' }}!", true, "\"}}!\"" },
	{ "x ${{ params.n -- note }} y", true, "\"x 3 y\"" },
	{ "f ${{ steps.a.outputs.f }} ${{ 1 == 1 }} ${{ params.list }}", true, "\"f 0.5 true [\\\"a\\\",\\\"b\\\",\\\"c\\\"]\"" },
	{ "$${{ x }} ${{ params.n }}", true, "\"${{ x }} 3\"" },
	{ "$${{ x }}", true, "\"${{ x }}\"" },
	{ "a $ b ${ c }}", true, "\"a $ b ${ c }}\"" },
	{ "is ${{ steps.dry.outputs.x }} known", true, "{\"$unknown\":\"outputs of step 'dry'\"}" },
	{ "is ${{ steps.half.outputs }} known", true, "{\"$unknown\":\"half\"}" },
	{ "pw=${{ params.password }};", true, "secret(params.password)=pw=hunter2;" },
	{ "pw=${{ params.nested }};", true, "secret(params.nested.pw)=pw={\"pw\":\"deep\",\"x\":1};" },
	{ "a ${{ params.nothing }}", true, "!3:11: the expression is null, and null has no text" },
	{ "a ${{ params.n }", true, "!3:10: '${{' without '}}'" },
	{ "${{ params.n", true, "!3:5: '${{' without '}}'" },
	{ "ab${{ params.none }}", false, "!3:11: no params.none" },
	{ "line\nmore ${{ error('x') }}", false, "!5:10: x" },
};

static void
check_template_row(void **state)
{
	struct fixture *f = shared();
	const struct template_row *r = *state;
	struct node n = { .kind = NODE_SCALAR, .plain = r->plain, .line = 3, .col = 5, .len = (uint32_t)strlen(r->text), .s = r->text };
	struct err err = ERR_INIT;
	struct arena a = ARENA_INIT;
	struct value v;
	char *got;

	if (template_eval(f->h, &n, "plan.yaml", &f->env, &a, &v, &err) < 0)
		got = xasprintf("!%u:%u: %s", err.where.line, err.where.col, err.msg);
	else
		got = result_text(&v);
	assert_string_equal(got, r->want);
	if (got[0] == '!')
		assert_string_equal(err.where.file, "plan.yaml");
	free(got);
	arena_done(&a);
}

static void
templates_nest(void **state)
{
	static const char text[] = "a:\n  - ${{ params.n }}\n  - {b: 'x${{ params.n }}', c: 08}\nd: ${{ steps.dry.outputs }}\n";
	struct fixture *f = shared();
	struct problems problems = PROBLEMS_INIT;
	struct arena a = ARENA_INIT;
	struct err err = ERR_INIT;
	struct node root;
	struct value v;
	char *got;

	(void)state;
	assert_int_equal(yaml_parse(&a, "p", text, strlen(text), NULL, NULL, &root, &problems), 0);
	assert_int_equal(template_eval(f->h, &root, "p", &f->env, &a, &v, &err), 0);
	got = result_text(&v);
	assert_string_equal(got, "{\"a\":[3,{\"b\":\"x3\",\"c\":\"08\"}],\"d\":{\"$unknown\":\"outputs of step 'dry'\"}}");
	assert_int_equal(v.flags, VF_UNKNOWN);
	free(got);
	arena_done(&a);
	problems_done(&problems);
}

static void
template_check_collects(void **state)
{
	static const char text[] = "a: ${{ parms.n }}\nb: [\"x ${{ params.n }} ${{ 1 + }}\"]\n$${{ok: 1\nc: ${{ open\n";
	struct fixture *f = shared();
	struct problems problems = PROBLEMS_INIT;
	struct arena a = ARENA_INIT;
	struct buf refs = BUF_INIT(0);
	struct node root;

	(void)state;
	assert_int_equal(yaml_parse(&a, "p", text, strlen(text), NULL, NULL, &root, &problems), 0);
	template_check(f->h, &root, "p", note_ref, &refs, &problems);
	assert_string_equal(refs.p, "params/n@12 ");
	assert_int_equal(problems.n, 3);
	assert_string_equal(problems.list[0].msg, "unknown name 'parms'");
	assert_string_equal(problems.list[0].hint, "did you mean 'params'?");
	assert_int_equal(problems.list[0].where.line, 1);
	assert_int_equal(problems.list[0].where.col, 8);
	assert_string_equal(problems.list[1].msg, "unexpected symbol near <eof>");
	assert_int_equal(problems.list[1].where.line, 2);
	assert_string_equal(problems.list[2].msg, "'${{' without '}}'");
	buf_done(&refs);
	arena_done(&a);
	problems_done(&problems);
}

/* --- the rest --- */

static void
frozen_roots_stay(void **state)
{
	static const char src[] = "value.n == params.n and steps.a.outputs.x == 41 and params.n == 3";
	struct fixture *f = shared();
	struct arena a = ARENA_INIT;
	struct err err = ERR_INIT;
	struct pair p = { "n", value_int(3) };
	struct value over = value_map(&p, 1), v;
	struct expr e;

	(void)state;
	assert_int_equal(expr_freeze(f->h, src, strlen(src), here, &f->env, &a, &e, &err), 0);
	assert_int_equal(e.frozen->len, 2);
	assert_non_null(value_get(e.frozen, "params/n"));
	assert_int_equal(expr_eval_over(f->h, &e, &over, &a, &v, &err), 0);
	assert_true(v.kind == V_BOOL && v.b);
	p.v = value_int(4);
	assert_int_equal(expr_eval_over(f->h, &e, &over, &a, &v, &err), 0);
	assert_true(v.kind == V_BOOL && !v.b);
	assert_int_equal(expr_freeze(f->h, "params.none", 11, here, &f->env, &a, &e, &err), -1);
	assert_string_equal(err.msg, "no params.none");
	assert_int_equal(err.where.line, 7);
	arena_done(&a);
}

static void
errors_point_at_lines(void **state)
{
	static const char src[] = " 1 +\n  (function()\n    return nil + 1\n  end)()";
	struct fixture *f = shared();
	struct arena a = ARENA_INIT;
	struct err err = ERR_INIT;
	struct value v;

	(void)state;
	assert_int_equal(expr_eval(f->h, src, strlen(src), here, &f->env, &a, &v, &err), -1);
	assert_int_equal(err.where.line, 9);
	assert_int_equal(err.where.col, 5);
	assert_string_equal(err.msg, "attempt to perform arithmetic on a nil value");
	arena_done(&a);
}

static void
help_names_every_function(void **state)
{
	struct buf b = BUF_INIT(0);

	(void)state;
	expr_help(&b);
	assert_non_null(strstr(b.p, "first(list[, key, value])"));
	assert_non_null(strstr(b.p, "  math.pi  "));
	buf_done(&b);
}

static struct fixture *the_fixture;

static struct fixture *
shared(void)
{
	return the_fixture;
}

static int
group_setup(void **state)
{
	void *f;

	(void)state;
	(void)setup(&f);
	the_fixture = f;
	return 0;
}

static int
group_teardown(void **state)
{
	void *f = the_fixture;

	(void)state;
	return teardown(&f);
}

int
main(void)
{
	const struct CMUnitTest others[] = {
		cmocka_unit_test(templates_nest),        cmocka_unit_test(template_check_collects),
		cmocka_unit_test(frozen_roots_stay),     cmocka_unit_test(errors_point_at_lines),
		cmocka_unit_test(help_names_every_function),
	};
	struct CMUnitTest tests[countof(rows) + countof(check_rows) + countof(template_rows) + countof(others)] = { 0 };
	size_t n = 0;

	for (size_t i = 0; i < countof(rows); i++)
		tests[n++] = (struct CMUnitTest){ rows[i].src, check_eval, .initial_state = (void *)&rows[i] };
	for (size_t i = 0; i < countof(check_rows); i++)
		tests[n++] = (struct CMUnitTest){ check_rows[i].src, check_check, .initial_state = (void *)&check_rows[i] };
	for (size_t i = 0; i < countof(template_rows); i++)
		tests[n++] = (struct CMUnitTest){ template_rows[i].text, check_template_row,
						  .initial_state = (void *)&template_rows[i] };
	for (size_t i = 0; i < countof(others); i++)
		tests[n++] = others[i];
	return cmocka_run_group_tests(tests, group_setup, group_teardown);
}

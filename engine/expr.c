/* SPDX-License-Identifier: Apache-2.0 */
/* Owns the closed Lua state and one evaluation in it. What keeps an expression in:
 *  - text chunks only, one expression, no way to load code, catch an error, set a metatable or reach a coroutine;
 *  - every name comes from the table in expr_lib.c; all tables that outlive an evaluation are read-only;
 *  - memory is capped by the allocator; work is paid for in steps: by instruction (count hook), by element and pattern
 *    step in our own functions, by byte allocated. Once spent, every further step raises again;
 *  - the clock of the thread is a backstop for single instructions that compare megabytes. */
#include "expr.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/text.h"
#include "expr_int.h"

#define HOOK_EVERY 1000

static int64_t
thread_cpu(void)
{
	struct timespec ts;

	if (clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts) < 0)
		return 0;
	return ts.tv_sec * NS_PER_S + ts.tv_nsec;
}

void
expr_spend(lua_State *L, uint64_t n)
{
	struct expr_host *h = expr_host_of(L);

	h->steps -= n < INT32_MAX ? (int64_t)n : INT32_MAX;
	if (h->steps < h->look) {
		h->look = h->steps - HOOK_EVERY;
		if (h->deadline == 0)
			h->deadline = thread_cpu() + EXPR_CPU_NS;
		else if (thread_cpu() > h->deadline)
			h->steps = -1;
	}
	if (h->steps < 0)
		(void)luaL_error(L, "the expression takes too many steps");
}

static void
hook(lua_State *L, lua_Debug *ar)
{
	(void)ar;
	expr_spend(L, HOOK_EVERY);
}

static void *
resize(struct expr_host *h, void *p, size_t held, size_t size)
{
	void *to;

	if (!h->wipe)
		return realloc(p, size);
	to = malloc(size);
	if (to != NULL && p != NULL) {
		memcpy(to, p, held < size ? held : size);
		explicit_bzero(p, held);
		free(p);
	}
	return to;
}

static void *
host_alloc(void *data, void *p, size_t osize, size_t size)
{
	struct expr_host *h = data;
	size_t held = p != NULL ? osize : 0;
	void *to = p;

	if (size == 0) {
		if (h->wipe && p != NULL)
			explicit_bzero(p, held);
		free(p);
		h->mem -= held;
		return NULL;
	}
	if (size > held) {
		h->steps -= (int64_t)((size - held) / 64);
		if (h->steps < 0 || size - held > EXPR_MEMORY - h->mem)
			return NULL;
	}
	to = resize(h, p, held, size);
	if (to == NULL)
		return size <= held ? p : NULL; /* Lua takes it that shrinking cannot fail */
	h->mem = h->mem - held + size;
	return to;
}

/* --- names --- */

/* The error of env->get waits in h->err; nothing in the state can catch this. */
static int
root_failed(lua_State *L, struct expr_host *h)
{
	h->failed = true;
	lua_pushliteral(L, "");
	return lua_error(L);
}

/* __index of params, targets and steps; the root's name is the upvalue. */
static int
root_index(lua_State *L)
{
	struct expr_host *h = expr_host_of(L);
	const char *root = lua_tostring(L, lua_upvalueindex(1));
	const struct value *v;

	if (lua_type(L, 2) != LUA_TSTRING)
		return luaL_error(L, "'%s' takes literal keys only", root);
	v = h->env->get(h->env->data, root, lua_tostring(L, 2), h->err);
	if (v == NULL)
		return root_failed(L, h);
	expr_push(L, v);
	return 1;
}

/* __index of the globals, for what is not in the table of names: the roots without keys. */
static int
global_index(lua_State *L)
{
	struct expr_host *h = expr_host_of(L);
	const struct value *v;
	const char *name;
	size_t len;

	if (lua_type(L, 2) != LUA_TSTRING)
		return luaL_error(L, "there is no such name");
	name = lua_tolstring(L, 2, &len);
	if (!expr_is_root(name, len) || expr_root_has_keys(name))
		return luaL_error(L, "unknown name '%s'", name);
	v = h->env->get(h->env->data, name, NULL, h->err);
	if (v == NULL)
		return root_failed(L, h);
	expr_push(L, v);
	return 1;
}

static int
refuse_write(lua_State *L)
{
	return luaL_error(L, "names cannot be assigned here: use 'local' inside a function");
}

static void
push_root(lua_State *L, const char *root)
{
	(void)lua_newuserdatauv(L, 0, 0);
	lua_newtable(L);
	lua_pushstring(L, root);
	lua_pushcclosure(L, root_index, 1);
	lua_setfield(L, -2, "__index");
	lua_pushstring(L, root);
	lua_setfield(L, -2, "__name");
	(void)lua_setmetatable(L, -2);
}

/* Globals: an empty table that reads from the table of names, which reads from the roots. */
static int
open_state(lua_State *L)
{
	static const char *const keyed[] = { "params", "targets", "steps" };

	expr_value_open(L);
	lua_newtable(L);
	lua_newtable(L);
	expr_lib_open(L);
	for (size_t i = 0; i < countof(keyed); i++) {
		push_root(L, keyed[i]);
		lua_setfield(L, -2, keyed[i]);
	}
	lua_newtable(L);
	lua_pushcfunction(L, global_index);
	lua_setfield(L, -2, "__index");
	(void)lua_setmetatable(L, -2);
	lua_setfield(L, -2, "__index");
	lua_pushcfunction(L, refuse_write);
	lua_setfield(L, -2, "__newindex");
	(void)lua_setmetatable(L, -2);
	lua_rawseti(L, LUA_REGISTRYINDEX, LUA_RIDX_GLOBALS);
	return 0;
}

struct expr_host *
expr_host_new(void)
{
	struct expr_host *h = xcalloc(1, sizeof(*h));

	h->limit = EXPR_STEPS;
	h->steps = INT64_MAX;
	h->text = BUF_INIT(EXPR_MEMORY);
	h->L = lua_newstate(host_alloc, h);
	if (h->L == NULL)
		abort();
	*(struct expr_host **)lua_getextraspace(h->L) = h;
	lua_pushcfunction(h->L, open_state);
	if (lua_pcall(h->L, 0, 0, 0) != LUA_OK)
		abort(); /* out of memory: nothing else can fail here */
	return h;
}

void
expr_host_free(struct expr_host *h)
{
	if (h == NULL)
		return;
	lua_close(h->L);
	arena_done(&h->scratch);
	buf_done(&h->text);
	free(h);
}

/* --- compile --- */

struct chunk {
	struct bytes part[3];
	size_t next;
};

static const char *
read_chunk(lua_State *L, void *data, size_t *ret_len)
{
	struct chunk *c = data;

	(void)L;
	while (c->next < countof(c->part) && c->part[c->next].len == 0)
		c->next++;
	if (c->next == countof(c->part))
		return NULL;
	*ret_len = c->part[c->next].len;
	return c->part[c->next++].p;
}

/* closed: in parentheses, which keeps it from being a tail call, whose caller's name and line Lua forgets. */
static int
load(lua_State *L, const char *src, size_t len, bool closed)
{
	struct chunk c = { .part = { { closed ? "return (" : "return ", closed ? 8 : 7 }, { src, len },
				     { "\n)", closed ? 2 : 0 } } };

	return lua_load(L, read_chunk, &c, "=expr", "t");
}

/* --- errors --- */

/* Split "expr:3: what" into line and text. */
static const char *
split_message(const char *msg, uint32_t *ret_line)
{
	static const char prefix[] = "expr:";
	char *end;
	unsigned long line;

	*ret_line = 1;
	if (strncmp(msg, prefix, strlen(prefix)) != 0)
		return msg;
	line = strtoul(msg + strlen(prefix), &end, 10);
	if (*end != ':' || line == 0 || line > UINT32_MAX)
		return msg;
	*ret_line = (uint32_t)line;
	return end[1] == ' ' ? end + 2 : end + 1;
}

/* Where a line's text begins. */
static struct pos
line_pos(const char *src, size_t len, uint32_t line, struct pos where)
{
	const char *p = src, *end = src + len, *nl;

	for (uint32_t i = 1; i < line && p < end; i++) {
		nl = memchr(p, '\n', (size_t)(end - p));
		p = nl != NULL ? nl + 1 : end;
	}
	while (p < end && (*p == ' ' || *p == '\t'))
		p++;
	return expr_pos_at(src, (size_t)(p - src), where);
}

/* Lua names line and token of a syntax error, not the column. Of several equal tokens it is the first with which the
 * source up to there already fails at that token, and not at its end. */
static struct pos
syntax_pos(lua_State *L, const char *src, size_t len, uint32_t line, const char *text, struct pos where)
{
	const char *near = strstr(text, " near '");
	size_t at = 0, token_len;
	bool hit;

	if (near == NULL)
		return expr_pos_at(src, len, where);
	near += strlen(" near '");
	token_len = strlen(near);
	if (token_len > 0)
		token_len--;
	while ((at = expr_find_token(src, len, line, near, token_len, at)) > 0) {
		hit = load(L, src, at, false) != LUA_OK && lua_type(L, -1) == LUA_TSTRING &&
		      strstr(lua_tostring(L, -1), "near <eof>") == NULL;
		lua_settop(L, -2);
		if (hit)
			return expr_pos_at(src, at - token_len, where);
	}
	return line_pos(src, len, line, where);
}

/* The error on top; no conversion, which could raise outside of a protected call. */
static const char *
message(lua_State *L)
{
	return lua_type(L, -1) == LUA_TSTRING ? lua_tostring(L, -1) : "";
}

static int
syntax_error(struct expr_host *h, const char *src, size_t len, struct pos where, struct err *err)
{
	uint32_t line;
	const char *text = split_message(message(h->L), &line);
	struct pos at = syntax_pos(h->L, src, len, line, text, where);

	return err_at(err, at, "%s", text_safe(&h->scratch, text, strlen(text), 300));
}

static int
runtime_error(struct expr_host *h, int rc, const char *src, size_t len, struct pos where, struct err *err)
{
	uint32_t line;
	const char *text = split_message(message(h->L), &line);

	if (h->failed) {
		if (err->where.line == 0)
			err->where = where;
		return -1;
	}
	where = line_pos(src, len, line, where);
	if (h->steps < 0)
		return err_at(err, where, "the expression takes too many steps");
	if (rc == LUA_ERRMEM)
		return err_at(err, where, "the expression needs more than %u MiB of memory", EXPR_MEMORY >> 20);
	if (h->secret != NULL)
		return err_at(err, where, "the expression failed after it read the secret '%s' (why is withheld)",
			      h->secret->where);
	return err_at(err, where, "%s", text_safe(&h->scratch, text, strlen(text), 300));
}

/* --- evaluate --- */

struct job {
	const char *src;
	size_t len;
	bool text; /* the result as interpolated text */
	struct arena *a;
	struct value *ret;
};

static void
result_to_text(lua_State *L)
{
	struct expr_host *h = expr_host_of(L);
	struct value v;

	switch (lua_type(L, -1)) {
	case LUA_TNIL:
		(void)luaL_error(L, "the expression is null, and null has no text");
		break;
	case LUA_TSTRING:
		break;
	case LUA_TNUMBER:
	case LUA_TBOOLEAN:
		v = expr_pull(L, -1, &h->scratch, true);
		buf_clear(&h->text);
		value_show(&h->text, &v);
		lua_pushlstring(L, h->text.p, h->text.len);
		break;
	default:
		lua_pushcfunction(L, expr_json_encode);
		lua_insert(L, -2);
		lua_call(L, 1, 1);
	}
}

static int
run_protected(lua_State *L)
{
	struct job *job = lua_touserdata(L, 1);

	if (load(L, job->src, job->len, true) != LUA_OK) {
		/* Once more for a message that does not speak of our parenthesis. */
		if (load(L, job->src, job->len, false) == LUA_OK)
			lua_pushliteral(L, "one expression is wanted here");
		return lua_error(L);
	}
	lua_call(L, 0, 1);
	if (job->text)
		result_to_text(L);
	*job->ret = expr_pull(L, -1, job->a, false);
	return 0;
}

static void
begin(struct expr_host *h, const struct expr_env *env, struct err *err)
{
	h->steps = h->limit;
	h->look = h->limit - HOOK_EVERY + 1;
	h->deadline = 0;
	h->env = env;
	h->err = err;
	h->failed = false;
	h->unknown = NULL;
	h->secret = NULL;
	h->touched = NULL;
	arena_reset(&h->scratch);
	lua_sethook(h->L, hook, LUA_MASKCOUNT, HOOK_EVERY);
}

static void
finish(struct expr_host *h)
{
	lua_settop(h->L, 0);
	if (h->secret != NULL) {
		(void)lua_gc(h->L, LUA_GCCOLLECT);
		if (h->text.cap > 0)
			explicit_bzero(h->text.p, h->text.cap);
	} else if (h->mem > EXPR_MEMORY / 4) {
		(void)lua_gc(h->L, LUA_GCCOLLECT);
	}
	h->env = NULL;
	h->err = NULL;
}

static int
eval(struct expr_host *h, struct job *job, struct pos where, const struct expr_env *env, struct err *err)
{
	int rc, ret = 0;

	begin(h, env, err);
	lua_pushcfunction(h->L, run_protected);
	lua_pushlightuserdata(h->L, job);
	rc = lua_pcall(h->L, 1, 0, 0);
	if (h->unknown != NULL)
		*job->ret = value_unknown(arena_strdup(job->a, h->unknown));
	else if (rc != LUA_OK)
		ret = runtime_error(h, rc, job->src, job->len, where, err);
	finish(h);
	return ret;
}

int
expr_eval(struct expr_host *h, const char *src, size_t len, struct pos where, const struct expr_env *env,
	  struct arena *a, struct value *ret, struct err *err)
{
	return eval(h, &(struct job){ .src = src, .len = len, .a = a, .ret = ret }, where, env, err);
}

int
expr_eval_text(struct expr_host *h, const char *src, size_t len, struct pos where, const struct expr_env *env,
	       struct arena *a, struct value *ret, struct err *err)
{
	return eval(h, &(struct job){ .src = src, .len = len, .text = true, .a = a, .ret = ret }, where, env, err);
}

/* --- check --- */

int
expr_check(struct expr_host *h, const char *src, size_t len, struct pos where, expr_ref_fn *fn, void *data,
	   struct err *err)
{
	int ret;

	begin(h, NULL, err);
	if (load(h->L, src, len, false) != LUA_OK)
		ret = syntax_error(h, src, len, where, err);
	else
		ret = expr_scan(&h->scratch, src, len, where, fn, data, err);
	finish(h);
	return ret;
}

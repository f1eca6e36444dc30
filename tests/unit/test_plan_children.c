/* SPDX-License-Identifier: Apache-2.0 */
/* Children in the plan language: foreach, pools, plans that run plans; what is refused, and what a loaded plan holds. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "fake_registry.h"
#include "plan.h"

#define HEAD "wherry: v1\nname: t\n"
#define SET "uses: set, with: {values: {}}"

/* The plans that there are, by their keys. */
static const struct {
	const char *key, *text;
} files[] = {
	{ "sub/one.yaml", HEAD "params: {n: {type: integer, min: 1, required: true}, pw: {type: string, secret: true},"
	  " url: {type: string, required: true}}\n"
	  "targets: {db: {kind: etcd, endpoints: ['${{ params.url }}']}}\n"
	  "steps:\n- {id: look, uses: etcd.get, with: {from: db}}\n- {id: act, uses: exec, with: {argv: ['${{ params.n }}']}}\n"
	  "outputs: {value: '${{ steps.look.outputs.value }}'}\n" },
	{ "sub/in/two.yaml", HEAD "targets: {db: {kind: etcd, required: true}}\n"
	  "steps: [{id: b, uses: plan, with: {file: ../one.yaml, params: {n: 1}, targets: {db: db}}}]\n" },
	{ "sub/self.yaml", HEAD "steps: [{id: a, uses: plan, with: {file: './/self.yaml'}}]\n" },
	{ "sub/ping.yaml", HEAD "steps: [{id: a, uses: plan, with: {file: pong.yaml}}]\n" },
	{ "sub/pong.yaml", HEAD "steps: [{id: a, uses: plan, with: {file: x/../ping.yaml}}]\n" },
	{ "sub/each.yaml", HEAD "steps: [{id: g, foreach: [1], key: '${{ item }}', " SET "}]\n" },
	{ "sub/bad.yaml", HEAD "steps:\n- {id: a, uses: nope}\n" },
	{ "sub/empty.yaml", "" },
	{ "sub/plain.yaml", HEAD "steps: [{id: a, " SET "}]\n" },
	{ "bundled/moved.yaml", HEAD "steps: [{id: a, uses: plan, with: {file: beside.yaml}}]\n" },
	{ "bundled/beside.yaml", HEAD "steps: [{id: a, uses: exec, with: {argv: [x]}}]\n" },
};
static unsigned reads;

static int
read_file(void *data, const char *from, const char *word, bool bundled, const char *key, struct arena *a, const char **ret_file,
	  struct buf *to, struct err *err)
{
	assert_null(data);
	assert_non_null(from);
	assert_true(bundled == (strncmp(key, "bundled/", 8) == 0 && strchr(word, '.') == NULL));
	reads++;
	*ret_file = arena_strdup(a, strchr(key, '/') + 1);
	for (size_t i = 0; i < sizeof(files) / sizeof(*files); i++)
		if (strcmp(files[i].key, key) == 0) {
			buf_puts(to, files[i].text);
			return 0;
		}
	if (strncmp(key, "sub/deep", 8) == 0) {
		buf_printf(to, HEAD "steps: [{id: a, uses: plan, with: {file: deep%d.yaml}}]\n", atoi(key + 8) + 1);
		return 0;
	}
	return err_set(err, ERR_USAGE, "no file '%s'", key);
}

static const struct plan_reader reader = { read_file, NULL };

/* "file:line:col message (hint)" of each problem, one a line; of the root without its name. */
static void
problems_text(const struct problems *p, struct buf *to)
{
	for (size_t i = 0; i < p->n; i++)
		buf_printf(to, "%s%s%s%u:%u %s%s%s%s", i > 0 ? "\n" : "", strcmp(p->list[i].where.file, "f") == 0 ? "" : p->list[i].where.file,
			   strcmp(p->list[i].where.file, "f") == 0 ? "" : ":", p->list[i].where.line, p->list[i].where.col, p->list[i].msg,
			   p->list[i].hint ? " (" : "", p->list[i].hint ? p->list[i].hint : "", p->list[i].hint ? ")" : "");
}

#define ONE "targets: {db: {kind: etcd, endpoints: ['http://a:1']}}\n"
#define WITH(more) HEAD ONE "steps: [{id: a, uses: plan, with: {file: one.yaml, " more "}}]"

static struct row {
	const char *name, *yaml, *want;
} rows[] = {
	/* foreach */
	{ "foreach", HEAD "steps:\n- {id: l, " SET "}\n- {id: a, foreach: '${{ steps.l.outputs.x }}', key: 'n-${{ item.n }}', "
	  "when: '${{ index > 1 }}', uses: set, with: {values: {a: '${{ key }}', b: '${{ item }}'}}}\n"
	  "- {id: b, uses: set, with: {values: {a: '${{ steps.a.outputs.x.y }}', b: '${{ #steps.a.items }}'}}}\n", NULL },
	{ "foreach of a list", HEAD "steps: [{id: a, foreach: [1, '${{ run.id }}'], key: '${{ item }}', " SET "}]", NULL },
	{ "foreach is text", HEAD "steps: [{id: a, foreach: x, key: '${{ item }}', " SET "}]",
	  "3:26 'foreach': expected one whole expression ${{ … }}, or a list" },
	{ "foreach without key", HEAD "steps: [{id: a, foreach: [1], " SET "}]",
	  "3:26 step 'a': 'foreach' without 'key', which tells its items apart (key: ${{ item.name }})" },
	{ "key without foreach", HEAD "steps: [{id: a, key: x, " SET "}]", "3:22 step 'a': 'key' without 'foreach'" },
	{ "key of a place", HEAD "steps: [{id: a, foreach: [1], key: '${{ index }}', " SET "}]",
	  "3:36 step 'a': 'key' has to tell items apart by what they are: by 'item' alone (key: ${{ item.name }})" },
	{ "key of nothing", HEAD "steps: [{id: a, foreach: [1], key: x, " SET "}]",
	  "3:36 step 'a': 'key' has to tell items apart by what they are: by 'item' (key: ${{ item.name }})" },
	{ "key is a list", HEAD "steps: [{id: a, foreach: [1], key: ['${{ item }}'], " SET "}]", "3:36 'key': expected text with expressions" },
	{ "item in its own list", HEAD "steps: [{id: a, foreach: '${{ item }}', key: '${{ item }}', " SET "}]",
	  "3:31 'item' is known only in a step with 'foreach'" },
	{ "item elsewhere", HEAD "targets: {db: {kind: etcd, endpoints: ['${{ item }}']}}\n"
	  "steps: [{id: a, foreach: [1], key: '${{ item }}', " SET "}, {id: b, when: '${{ index }}', " SET "}]\noutputs: {x: '${{ key }}'}\n",
	  "3:45 'item' is known only in a step with 'foreach'\n4:102 'index' is known only in a step with 'foreach'\n"
	  "5:19 'key' is known only in a step with 'foreach'" },
	{ "item in an undo", HEAD "steps: [{id: a, foreach: [1], key: '${{ item }}', uses: exec, with: {argv: [x]}, "
	  "undo: {uses: exec, with: {argv: ['${{ item }}']}}}]", NULL },
	{ "items of one step", HEAD "steps:\n- {id: a, " SET "}\n- {id: b, uses: set, with: {values: {x: '${{ steps.a.items }}'}}}\n",
	  "5:46 step 'a' has no items: it has no 'foreach'" },
	{ "a guard with foreach", HEAD "steps:\n- {id: a, foreach: [1], key: '${{ item }}', uses: exec, with: {argv: [x], read_only: true}}\n"
	  "- {id: b, uses: exec, with: {argv: [x]}, guard: [a]}\n", "5:50 guard 'a': a step with 'foreach' cannot be one" },
	/* pools */
	{ "pools", HEAD "pools: {p: 1}\nsteps: [{id: a, pool: p, " SET "}]", NULL },
	{ "pools of nothing", HEAD "pools: {p: 0, 9: 1, q: two, r: []}\nsteps: [{id: a, " SET "}]",
	  "3:12 pool 'p': expected how many steps of it may be under way at once, at least 1\n"
	  "3:15 pool name '9': expected [A-Za-z][A-Za-z0-9_-]{0,62}\n"
	  "3:24 pool 'q': expected how many steps of it may be under way at once, at least 1\n"
	  "3:32 pool 'r': expected how many steps of it may be under way at once, at least 1" },
	{ "unknown pool", HEAD "pools: {moves: 1}\nsteps: [{id: a, pool: move, " SET "}, {id: b, pool: [], " SET "}]",
	  "4:23 unknown pool 'move' (did you mean 'moves'?)\n4:75 'pool': expected the name of one of 'pools'" },
	/* plans */
	{ "a plan", WITH("params: {n: 1, url: x}"), NULL },
	{ "what is handed in needs no parameters", WITH("params: {n: 1}, targets: {db: db}"), NULL },
	{ "what is not handed in does", WITH("params: {n: 1}"), "4:60 missing field 'url' (string)" },
	{ "wrong values", WITH("params: {n: 0, m: 1, url: {}, pw: x}"),
	  "4:64 field 'n': expected at least 1, got 0\n4:67 unknown field 'm'; known: n, pw, url\n4:78 field 'url': expected a string, got a map of 0\n"
	  "4:86 field 'pw': a secret must not be written in a plan (take it from a param with 'secret: true')" },
	{ "parameters as a whole", WITH("params: '${{ run }}', targets: '${{ run }}'"),
	  "4:14 missing field 'n' (integer)\n4:14 missing field 'url' (string)\n4:60 'params': expected a map, whose values may be expressions\n"
	  "4:83 'targets': expected a map, whose values may be expressions" },
	{ "secrets", HEAD "params: {pw: {type: string, secret: true}}\nsteps: [{id: a, uses: plan, with: {file: one.yaml, "
	  "params: {n: 1, url: '${{ params.pw }}', pw: '${{ params.pw }}'}}}]", "4:77 secret 'params.pw' in 'url', which may not hold one" },
	{ "wrong targets", HEAD "targets: {f: {kind: etcd, endpoints: ['http://a:1']}}\nsteps: [{id: a, uses: plan, with: {file: one.yaml, "
	  "params: {n: 1, url: x}, targets: {bd: f, db: g}}}]",
	  "4:86 plan 't' has no target 'bd' (did you mean 'db'?)\n4:97 unknown target 'g'" },
	{ "a target that must be handed in", HEAD "steps: [{id: a, uses: plan, with: {file: in/two.yaml}}]",
	  "3:14 missing target 'db' (etcd): plan 't' has none of its own" },
	{ "handed on", HEAD ONE "steps: [{id: a, uses: plan, with: {file: in/two.yaml, targets: {db: db}}}]", NULL },
	{ "a required target with fields", HEAD "targets: {db: {kind: etcd, required: true, endpoints: ['http://a:1']}, "
	  "e: {kind: etcd, required: x}, f: {kind: etcd, required: false}}\nsteps: [{id: a, " SET "}]",
	  "3:38 target 'db' is handed in by the plan that runs this one: it has no fields here\n3:98 'required': expected true or false\n"
	  "3:102 missing field 'endpoints' (list of url) (addresses)" },
	{ "unknown output", HEAD "steps:\n- {id: a, uses: plan, with: {file: one.yaml, params: {n: 1, url: x}}}\n"
	  "- {id: b, uses: set, with: {values: {x: '${{ steps.a.outputs.valu }}', y: '${{ steps.a.outputs.value }}'}}}\n",
	  "5:46 step 'a' (plan) has no output 'valu' (did you mean 'value'?)" },
	{ "no such plan", HEAD "steps:\n- {id: a, uses: plan, with: {file: none.yaml}}\n- {id: b, uses: plan, with: {name: none}}\n",
	  "4:36 no file 'sub/none.yaml'\n5:36 no file 'bundled/none.yaml'" },
	{ "names of plans", HEAD "steps:\n- {id: a, uses: plan}\n- {id: b, uses: plan, with: {file: x, name: y}}\n"
	  "- {id: c, uses: plan, with: {file: '${{ run.id }}'}}\n- {id: d, uses: plan, with: {file: /x}}\n- {id: e, uses: plan, with: {file: []}}\n"
	  "- {id: f, uses: plan, with: {name: a.b}}\n- {id: g, uses: plan, with: {name: moved, param: {}}}\n",
	  "4:8 step 'a': 'plan' takes 'file', or the 'name' of a bundled plan\n5:8 step 'b': 'plan' takes 'file', or the 'name' of a bundled plan\n"
	  "6:36 'file': expected a path from the folder of this plan, without expressions\n"
	  "7:36 'file': expected a path from the folder of this plan, without expressions\n8:36 field 'file': expected a string, got a list of 0\n"
	  "9:36 field 'name': expected text that matches ^[A-Za-z][A-Za-z0-9_-]{0,62}$, got 'a.b'\n"
	  "10:43 unknown field 'param'; known: file, name, params, targets (did you mean 'params'?)" },
	{ "problems of the other plan, once", HEAD "steps: [{id: a, uses: plan, with: {file: bad.yaml}}, {id: b, uses: plan, with: {file: bad.yaml}}]",
	  "bad.yaml:4:17 unknown step type 'nope'" },
	{ "an empty one", HEAD "steps: [{id: a, uses: plan, with: {file: empty.yaml}}]", "empty.yaml:1:1 plan has no steps" },
	{ "itself", HEAD "steps: [{id: a, uses: plan, with: {file: self.yaml}}]", "self.yaml:3:42 a plan cannot run itself: self.yaml -> self.yaml" },
	{ "itself at once", HEAD "steps: [{id: a, uses: plan, with: {file: x/../f}}]", "3:42 a plan cannot run itself: f -> f" },
	{ "a circle", HEAD "steps: [{id: a, uses: plan, with: {file: ping.yaml}}]",
	  "pong.yaml:3:42 a plan cannot run itself: ping.yaml -> pong.yaml -> ping.yaml" },
	{ "too deep", HEAD "steps: [{id: a, uses: plan, with: {file: deep1.yaml}}]", "deep8.yaml:3:42 plans run plans over more than 8 levels" },
	{ "words that mean nothing to a plan", HEAD "steps:\n- {id: g, uses: exec, with: {argv: [x], read_only: true}}\n"
	  "- {id: a, uses: plan, with: {file: plain.yaml}, timeout: 1s, retry: {attempts: 2}, guard: [g], irreversible: x, on_error: continue,"
	  " undo: {uses: exec, with: {argv: [x]}}}\n",
	  "5:8 step 'a': 'guard' says nothing about a plan: the step inside that has the first effect takes it\n"
	  "5:8 step 'a': 'irreversible' says nothing about a plan: the step inside after which there is no way back takes it\n"
	  "5:8 step 'a': 'retry' says nothing about a plan: each of its steps has its own\n"
	  "5:8 step 'a': 'timeout' says nothing about a plan: each of its steps has its own\n"
	  "5:8 step 'a': 'undo' says nothing about a plan: its steps are taken back, the last one first" },
	{ "defaults are for other steps", HEAD "defaults: {timeout: 1s, retry: {attempts: 2}}\nsteps: [{id: a, uses: plan, with: {file: plain.yaml}}]", NULL },
	{ "a plan in other places", HEAD "steps:\n- {id: a, uses: wait, with: {step: {uses: plan}, until: '${{ value }}'}}\n"
	  "- {id: b, uses: exec, with: {argv: [x]}, undo: {uses: plan}}\n- {id: c, uses: exec, with: {argv: [x]}, guard: [p]}\n"
	  "- {id: p, uses: plan, with: {file: plain.yaml}}\n",
	  "4:43 'plan' can stand only in a step of its own\n5:55 'plan' can stand only in a step of its own\n"
	  "6:50 guard 'p' (plan): only a step that reads and changes nothing can be one" },
	/* undo by path */
	{ "undo inside", HEAD "steps: [{id: a, uses: plan, with: {name: moved}}]\n"
	  "finally: [{id: u, uses: undo, with: {step: a/a/a}}, {id: v, uses: undo, with: {step: a}}]", NULL },
	{ "undo of nothing inside", HEAD "steps: [{id: a, uses: plan, with: {name: moved}}, {id: b, foreach: [1], key: '${{ item }}', uses: plan, "
	  "with: {file: plain.yaml}}]\nfinally: [{id: u, uses: undo, with: {step: a/x}}, {id: v, uses: undo, with: {step: b/a}}, "
	  "{id: w, uses: undo, with: {step: a/a/a/a}}, {id: x, uses: undo, with: {step: z/a}}, {id: y, uses: undo, with: {step: a/}}]",
	  "4:44 plan 't' has no step 'x'\n4:84 'b/a': step 'b' has 'foreach': its items are not known from the plan\n"
	  "4:124 'a/a/a/a': step 'a' runs no plan that would have steps\n4:168 unknown step 'z'\n4:208 plan 't' has no step ''" },
};

static void
test_row(void **state)
{
	const struct row *row = *state;
	struct problems p = PROBLEMS_INIT;
	struct plan *plan = plan_load(&fake_registry, &reader, "f", row->yaml, strlen(row->yaml), &p);
	struct buf got = BUF_INIT(0);

	problems_text(&p, &got);
	assert_string_equal(got.len > 0 ? got.p : "", row->want != NULL ? row->want : "");
	assert_true((plan != NULL) == (row->want == NULL));
	plan_free(plan);
	problems_done(&p);
	buf_done(&got);
}

static struct plan *
must_load(const char *yaml)
{
	struct problems p = PROBLEMS_INIT;
	struct plan *plan = plan_load(&fake_registry, &reader, "here/f", yaml, strlen(yaml), &p);
	struct buf got = BUF_INIT(0);

	problems_text(&p, &got);
	assert_string_equal(got.len > 0 ? got.p : "", "");
	problems_done(&p);
	buf_done(&got);
	return plan;
}

/* Each file is read once, and a plan says which of its steps runs it with what. */
static void
test_closure(void **state)
{
	struct plan *p = must_load(HEAD "targets: {x: {kind: etcd, endpoints: ['http://a:1']}, y: {kind: etcd, endpoints: ['http://a:1']}}\n"
		"pools: {p: 7}\n"
		"steps:\n- {id: s, " SET "}\n- {id: a, uses: plan, with: {file: one.yaml, params: {n: 1}, targets: {db: y}}, needs: [s]}\n"
		"- {id: b, foreach: '${{ steps.s.outputs.x }}', key: '${{ item }}', pool: p, uses: plan,"
		" with: {file: ./one.yaml, params: {n: '${{ item }}', url: x}}}\n"
		"- {id: c, uses: plan, with: {file: in/two.yaml, targets: {db: x}}}\n- {id: d, uses: plan, with: {name: moved}}\n"
		"finally: [{id: u, uses: undo, with: {step: d/a/a}}]\n");
	const char *const keys[] = { "sub/one.yaml", "sub/in/two.yaml", "bundled/moved.yaml", "bundled/beside.yaml" };
	const struct plan_sub *a = plan_sub_of(p, 1), *b = plan_sub_of(p, 2), *c = plan_sub_of(p, 3);

	(void)state;
	assert_int_equal(p->nparts, 4);
	for (size_t i = 0; i < 4; i++)
		assert_string_equal(p->parts[i]->key, keys[i]);
	assert_null(plan_sub_of(p, 0));
	assert_ptr_equal(a->plan, b->plan);
	assert_ptr_equal(plan_sub_of(c->plan, 0)->plan, a->plan);
	assert_int_equal(a->targets[0], 2);
	assert_int_equal(b->targets[0], 0);
	assert_int_equal(a->params.len, 1);
	assert_int_equal(b->params.len, 2);
	assert_true(c->plan->targets[0].required);
	assert_null(plan_foreach_of(p, 1));
	assert_non_null(plan_foreach_of(p, 2));
	assert_false(plan_foreach_of(p, 2)->when_each);
	assert_int_equal(p->steps[2].pool, 1);
	assert_int_equal(p->pools[0].limit, 7);
	assert_int_equal(p->steps[2].need_count, 1);
	assert_string_equal(plan_reach_of(p, 5), "d/a/a");
	assert_int_equal(p->steps[5].undoes, 4);
	assert_null(plan_reach_of(p, 4));
	plan_free(p);
}

static void
test_paths(void **state)
{
	static const struct {
		const char *path, *plan, *step;
	} paths[] = {
		{ "d", "f", "d" }, { "d/a", "moved", "a" }, { "d/a/a", "beside", "a" }, { "e[x]", "f", "e" }, { "e[x]/look", "one", "look" },
		{ "e[a/b]/look", "one", "look" }, { "g[x]", "f", "g" },
		{ "e", "f", "e" }, { "h[x]/g[y]", "each", "g" },
		{ .path = "x" }, { .path = "" }, { .path = "d/" }, { .path = "/d" }, { .path = "d/x" }, { .path = "d[x]" }, { .path = "d[x]/a" },
		{ .path = "e/look" }, { .path = "e[x" }, { .path = "e[x]look" }, { .path = "e[]]" }, { .path = "e[a]/b]/look" }, { .path = "g[x]/a" }, { .path = "d/a/a/a" }, { .path = "s/a" },
	};
	struct plan *p = must_load("wherry: v1\nname: f\nsteps:\n- {id: s, " SET "}\n- {id: d, uses: plan, with: {name: moved}}\n"
		"- {id: e, foreach: [1], key: '${{ item }}', uses: plan, with: {file: one.yaml, params: {n: 1, url: x}}}\n"
		"- {id: g, foreach: [1], key: '${{ item }}', " SET "}\n"
		"- {id: h, foreach: [1], key: '${{ item }}', uses: plan, with: {file: each.yaml}}\n");
	const struct plan *of;

	(void)state;
	for (size_t i = 0; i < sizeof(paths) / sizeof(*paths); i++) {
		const uint32_t at = plan_find_path(p, paths[i].path, &of);

		if ((at != MAP_NONE) != (paths[i].step != NULL))
			fail_msg("'%s' is %s", paths[i].path, at != MAP_NONE ? "found" : "not found");
		if (at == MAP_NONE)
			continue;
		assert_string_equal(of->steps[at].id, paths[i].step);
		if (of != p && strstr(of->key, paths[i].plan) == NULL)
			fail_msg("'%s' is of '%s'", paths[i].path, of->key);
	}
	plan_free(p);
}

static void
test_read_once(void **state)
{
	(void)state;
	reads = 0;
	plan_free(must_load(HEAD "steps:\n- {id: a, uses: plan, with: {file: plain.yaml}}\n- {id: b, uses: plan, with: {file: x/../plain.yaml}}\n"));
	assert_int_equal(reads, 1);
}

static void
test_without_reader(void **state)
{
	const char *yaml = HEAD "steps: [{id: a, uses: plan, with: {file: plain.yaml}}]";
	struct problems p = PROBLEMS_INIT;

	(void)state;
	assert_null(plan_load(&fake_registry, NULL, "f", yaml, strlen(yaml), &p));
	assert_string_equal(p.list[0].msg, "no other plan can be read here");
	problems_done(&p);
}

/* What is handed in takes its normal form, the rest its default; what is not known stays so. */
static void
test_params(void **state)
{
	static const char yaml[] = HEAD "params: {n: {type: integer, required: true}, s: {type: size, default: 1KiB}, w: {type: string, secret: true},"
		" l: {type: list, items: integer}}\nsteps: [{id: a, " SET "}]";
	struct plan *p = must_load(yaml);
	struct pair given[] = { { "n", value_int(3) }, { "s", VALUE_NULL }, { "w", value_str("hush") }, { "l", value_unknown("later") } };
	struct value map = value_map(given, 4), ret;
	struct arena a = ARENA_INIT;
	struct err err = ERR_INIT;

	(void)state;
	assert_int_equal(params_hand(p, &map, &a, &ret, &err), 0);
	assert_int_equal(value_get_int(&ret, "n", 0), 3);
	assert_int_equal(value_get_int(&ret, "s", 0), 1024);
	assert_int_equal(value_get(&ret, "w")->kind, V_SECRET);
	assert_string_equal(value_get(&ret, "w")->secret->where, "params.w");
	assert_int_equal(value_get(&ret, "l")->kind, V_UNKNOWN);
	given[0].v = VALUE_NULL;
	assert_int_equal(params_hand(p, &map, &a, &ret, &err), -1);
	assert_string_equal(err.msg, "parameter 'n' of plan 't': field 'n' is required, but its value is null");
	arena_done(&a);
	plan_free(p);
}

int
main(void)
{
	static const struct CMUnitTest own[] = {
		cmocka_unit_test(test_closure),
		cmocka_unit_test(test_paths),
		cmocka_unit_test(test_read_once),
		cmocka_unit_test(test_without_reader),
		cmocka_unit_test(test_params),
	};
	enum { ROWS = sizeof(rows) / sizeof(*rows), OWN = sizeof(own) / sizeof(*own) };
	struct CMUnitTest tests[ROWS + OWN];

	for (size_t i = 0; i < ROWS; i++)
		tests[i] = (struct CMUnitTest){ .name = rows[i].name, .test_func = test_row, .initial_state = &rows[i] };
	memcpy(tests + ROWS, own, sizeof(own));
	return cmocka_run_group_tests(tests, NULL, NULL);
}

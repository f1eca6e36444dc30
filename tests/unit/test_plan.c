/* SPDX-License-Identifier: Apache-2.0 */
/* The plan language: what is refused, where and how; what a loaded plan holds. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "fake_registry.h"
#include "plan.h"

#define HEAD "wherry: v1\nname: t\n"
#define ETCD "targets: {db: {kind: etcd, endpoints: ['http://a:1']}}\n"

/* "line:col message (hint)" of each problem, one a line. */
static void
problems_text(struct problems *p, struct buf *to)
{
	for (size_t i = 0; i < p->n; i++)
		buf_printf(to, "%s%u:%u %s%s%s%s", i > 0 ? "\n" : "", p->list[i].where.line, p->list[i].where.col,
			   p->list[i].msg, p->list[i].hint ? " (" : "", p->list[i].hint ? p->list[i].hint : "",
			   p->list[i].hint ? ")" : "");
}

static struct row {
	const char *name, *yaml, *want;
} rows[] = {
	/* the whole file */
	{ "smallest plan", HEAD "steps: [{id: a, uses: set, with: {values: {}}}]", NULL },
	{ "empty file", "", "1:1 plan has no steps" },
	{ "comments only", "# x\n", "1:1 plan has no steps" },
	{ "empty steps", HEAD "steps: []\n", "3:8 plan has no steps" },
	{ "steps left out", HEAD, "1:1 plan has no steps" },
	{ "finally alone", HEAD "finally: [{id: a, uses: set, with: {values: {}}}]", "1:1 plan has no steps" },
	{ "a list", "[a]", "1:1 a plan is a map with 'wherry', 'name' and 'steps'" },
	{ "a scalar", "plan", "1:1 a plan is a map with 'wherry', 'name' and 'steps'" },
	{ "syntax error stands alone", "wherry: v1\nsteps: [\n",
	  "3:1 did not find expected node content while parsing a flow node that begins at line 3" },
	{ "head is missing", "steps: [{id: a, uses: set, with: {values: {}}}]",
	  "1:1 missing 'name'\n1:1 missing 'wherry: v1', the version of the format" },
	{ "another version", "wherry: v2\nname: t\nsteps: [{id: a, uses: set, with: {values: {}}}]",
	  "1:9 'wherry': this version reads plans of format v1" },
	{ "bad name", "wherry: v1\nname: 9x\nsteps: [{id: a, uses: set, with: {values: {}}}]",
	  "2:7 'name': expected [A-Za-z][A-Za-z0-9_-]{0,62}" },
	{ "unknown top-level key", HEAD "step: 1\nsteps: [{id: a, uses: set, with: {values: {}}}]",
	  "3:1 unknown key 'step' (did you mean 'steps'?)" },
	{ "hooks are later", HEAD "hooks: {}\nsteps: [{id: a, uses: set, with: {values: {}}}]",
	  "3:1 'hooks' comes in a later version" },
	{ "steps is a map", HEAD "steps: {a: 1}\n", "3:8 'steps': expected a list" },
	{ "duplicate key and more at once", HEAD "name: u\nsteps: [{id: a, uses: nope}]",
	  "3:1 duplicate key 'name' in line 3: it is also in line 2\n4:23 unknown step type 'nope'" },

	/* one step */
	{ "step is a scalar", HEAD "steps: [a, {id: a, uses: set, with: {values: {}}}]",
	  "3:9 a step is a map with 'id' and 'uses'" },
	{ "step without id and uses", HEAD "steps: [{with: {}}]", "3:9 a step without 'id'\n3:9 step '': missing 'uses'" },
	{ "bad step id", HEAD "steps: [{id: a.b, uses: set, with: {values: {}}}]",
	  "3:14 step id 'a.b': expected [A-Za-z][A-Za-z0-9_-]{0,62}" },
	{ "duplicate id", HEAD "steps:\n- {id: a, uses: set, with: {values: {}}}\n- {id: a, uses: set, with: {values: {}}}\n",
	  "5:8 duplicate step id 'a' in line 5: it is also in line 4" },
	{ "duplicate id in finally", HEAD "finally: [{id: a, uses: set, with: {values: {}}}]\n"
	  "steps: [{id: a, uses: set, with: {values: {}}}]",
	  "3:16 duplicate step id 'a' in line 3: it is also in line 4" },
	{ "unknown key of a step", HEAD "steps: [{id: a, uses: set, with: {values: {}}, need: [b]}]",
	  "3:48 unknown key 'need' (did you mean 'needs'?)" },
	{ "guards", HEAD "steps:\n- {id: a, uses: exec, with: {argv: [x], read_only: true}}\n"
	  "- {id: b, uses: exec, with: {argv: [x]}, irreversible: no way back, guard: [a]}\n", NULL },
	{ "guards that do not look",
	  HEAD "steps:\n- {id: a, uses: exec, with: {argv: [x]}}\n- {id: s, uses: set, with: {values: {}}}\n"
	  "- {id: b, uses: exec, with: {argv: [x]}, guard: [a, s, none, b, 'a?']}\n- {id: c, uses: exec, with: {argv: [x]}, guard: a}\n",
	  "6:50 guard 'a' (exec): only a step that reads and changes nothing can be one (read_only: true)\n"
	  "6:53 guard 's' (set): only a step that reads and changes nothing can be one\n"
	  "6:56 unknown step 'none'\n"
	  "6:62 guard 'b' (exec): only a step that reads and changes nothing can be one (read_only: true)\n"
	  "6:62 step 'b' refers to itself\n6:65 'guard': expected the id of a step\n7:49 'guard': expected a list of step ids" },
	{ "irreversible for no reason",
	  HEAD "steps:\n- {id: a, uses: exec, with: {argv: [x]}, irreversible: }\n"
	  "- {id: b, uses: exec, with: {argv: [x]}, irreversible: '${{ 1 }}'}\n",
	  "4:56 'irreversible': expected a text without expressions: why there is no way back\n"
	  "5:56 'irreversible': expected a text without expressions: why there is no way back" },
	{ "later types",
	  HEAD "steps:\n- {id: a, uses: plan}\n- {id: b, uses: kubernetes.apply}\n- {id: c, uses: etcd.fence}\n"
	  "- {id: e, uses: undo}\n- {id: f, uses: http.get}\n",
	  "4:8 step 'a': 'plan' takes 'file', or the 'name' of a bundled plan\n5:17 'kubernetes.apply' comes in a later version\n"
	  "6:17 'etcd.fence' comes in a later version\n7:17 'undo' can stand only in 'finally'\n"
	  "8:17 'http.get' comes in a later version" },
	{ "undo in finally",
	  HEAD "steps: [{id: a, uses: exec, with: {argv: [x]}, undo: {uses: exec, with: {argv: [y]}}}]\n"
	  "finally: [{id: b, uses: undo, with: {step: a}, when: '${{ steps.a.ran }}'}]\n", NULL },
	{ "undo of nothing",
	  HEAD "steps: [{id: a, uses: set, with: {values: {}}}]\n"
	  "finally: [{id: b, uses: undo, with: {step: a}}, {id: c, uses: undo, with: {step: z}}, {id: d, uses: undo}]\n",
	  "4:44 step 'a' (set) changes nothing that could be taken back\n4:82 unknown step 'z'\n"
	  "4:92 step 'd': 'undo' takes {step: ID}" },
	{ "undo by itself", HEAD "steps: [{id: a, uses: exec, with: {argv: [x]}}]\nfinally: [{id: b, uses: undo, with: {step: a}}]\n",
	  NULL },
	{ "undo of an undo", HEAD "steps: [{id: a, uses: exec, with: {argv: [x]}, undo: {uses: undo}}]\n",
	  "3:61 'undo' can stand only in 'finally'" },
	{ "undo may name what its step put out",
	  HEAD "steps: [{id: a, uses: exec, with: {argv: [x]}, undo: {uses: exec, with: {argv: ['${{ steps.a.ran }}']}}}]\n", NULL },
	{ "undo names a step that is not there",
	  HEAD "steps: [{id: a, uses: exec, with: {argv: [x]}, undo: {uses: exec, with: {argv: ['${{ steps.b.ran }}']}}}]\n",
	  "3:86 unknown step 'b'" },
	{ "undo is checked as the step that it is",
	  HEAD "steps: [{id: a, uses: exec, with: {argv: [x]}, undo: {uses: exec, with: {arg: [y]}}}]\n"
	  "finally: [{id: b, uses: undo, with: {step: a}}]\n",
	  "3:54 missing field 'argv' (list of string) (program and arguments)\n"
	  "3:74 unknown field 'arg'; known: argv, env, mode, number, grace, read_only (did you mean 'argv'?)" },
	{ "undo without uses", HEAD "steps: [{id: a, uses: exec, with: {argv: [x]}, undo: {with: {}}}]\n",
	  "3:54 'undo': expected {uses: …, with: …}" },
	{ "unknown type with a close name", HEAD "steps: [{id: a, uses: exce, with: {argv: [x]}}]",
	  "3:23 unknown step type 'exce' (did you mean 'exec'?)" },
	{ "uses is a list", HEAD "steps: [{id: a, uses: [set]}]", "3:23 'uses': expected the name of a step type" },
	{ "with is a list", HEAD "steps: [{id: a, uses: set, with: [1]}]",
	  "3:14 missing field 'values' (map) (values)\n3:34 'with': expected a map of inputs" },
	{ "policy parts",
	  HEAD "steps:\n- id: a\n  uses: set\n  with: {values: {}}\n  timeout: 90\n  retry: {attempts: 0, backof: 1s}\n"
	  "  on_error: ignore\n",
	  "7:12 field 'timeout': expected a duration such as 90s or 1m30s, got 90\n"
	  "8:21 field 'attempts': expected at least 1, got 0\n"
	  "8:24 unknown field 'backof'; known: attempts, backoff, max_backoff (did you mean 'backoff'?)\n"
	  "9:13 field 'on_error': expected one of stop, continue, rollback; got 'ignore'" },
	{ "retry parts", HEAD "steps:\n- id: a\n  uses: set\n  with: {values: {}}\n  retry: {attempts: 0, backof: 1s}\n",
	  "7:21 field 'attempts': expected at least 1, got 0\n"
	  "7:24 unknown field 'backof'; known: attempts, backoff, max_backoff (did you mean 'backoff'?)" },
	{ "retry is a scalar", HEAD "steps: [{id: a, uses: set, with: {values: {}}, retry: 3}]",
	  "3:55 field 'retry': expected a map, got 3" },
	{ "timeout takes no expression", HEAD "steps: [{id: a, uses: set, with: {values: {}}, timeout: '${{ 1 }}'}]",
	  "3:57 no expression can stand here" },
	{ "unknown default", HEAD "defaults: {tmeout: 1m}\nsteps: [{id: a, uses: set, with: {values: {}}}]",
	  "3:12 unknown field 'tmeout'; known: timeout, retry, on_error (did you mean 'timeout'?)" },

	/* inputs */
	{ "unknown and missing input", HEAD "steps: [{id: a, uses: set, with: {vlaues: {}}}]",
	  "3:14 missing field 'values' (map) (values)\n"
	  "3:35 unknown field 'vlaues'; known: values (did you mean 'values'?)" },
	{ "wrong types of literals",
	  HEAD "steps:\n- id: a\n  uses: exec\n  with:\n    argv: [a, 5, no, 1.5, true, 0x1F, {b: c}, ~]\n    mode: fats\n"
	  "    number: 08\n    grace: 5\n    read_only: yes\n    env: [x]\n",
	  "7:22 field 'argv': expected a string, got 1.5: quote it\n"
	  "7:27 field 'argv': expected a string, got true: quote it\n"
	  "7:33 field 'argv': expected a string, got the integer 0x1F: quote it\n"
	  "7:39 field 'argv': expected a string, got a map of 1\n"
	  "7:47 field 'argv' is required, but its value is null\n"
	  "8:11 field 'mode': expected one of fast, careful; got 'fats'; did you mean 'fast'?\n"
	  "9:13 field 'number': expected an integer, got \"08\"\n"
	  "10:12 field 'grace': expected a duration such as 90s or 1m30s, got 5\n"
	  "11:16 field 'read_only': expected true or false, got \"yes\"\n"
	  "12:10 field 'env': expected a map, got a list of 1" },
	{ "integers as 1e3", HEAD "steps: [{id: a, uses: exec, with: {argv: [x], number: 1e3}}]",
	  "3:55 field 'number': expected an integer, got 1000.0 (written 1e3)" },
	{ "integer out of range", HEAD "steps: [{id: a, uses: exec, with: {argv: [x], number: 11}}]",
	  "3:55 field 'number': expected at most 10, got 11" },
	{ "mixed text where an integer belongs",
	  HEAD "params: {n: {type: integer, default: 1}}\n"
	  "steps: [{id: a, uses: exec, with: {argv: [x], number: '0${{ params.n }}'}}]",
	  "4:55 field 'number': expected an integer, got \"0${{ params.n }}\"" },
	{ "type's own check", HEAD "steps: [{id: a, uses: exec, with: {argv: []}}]", "3:14 argv is empty" },
	{ "list by expression", HEAD "params: {l: {type: list, default: []}}\n"
	  "steps: [{id: a, uses: exec, with: {argv: '${{ params.l }}'}}]", NULL },

	/* when */
	{ "when is literal", HEAD "steps: [{id: a, uses: set, with: {values: {}}, when: false}]", NULL },
	{ "when is text", HEAD "steps: [{id: a, uses: set, with: {values: {}}, when: maybe}]",
	  "3:54 'when': expected one whole expression ${{ … }}, or true or false" },
	{ "when is mixed", HEAD "steps: [{id: a, uses: set, with: {values: {}}, when: 'x ${{ true }}'}]",
	  "3:54 'when': expected one whole expression ${{ … }}, or true or false" },

	/* references */
	{ "unknown need", HEAD "steps:\n- {id: alpha, uses: set, with: {values: {}}}\n"
	  "- {id: b, uses: set, with: {values: {}}, needs: [alhpa, beta?, 1, 'a b']}\n",
	  "5:50 unknown step 'alhpa' (did you mean 'alpha'?)\n5:57 unknown step 'beta'\n"
	  "5:64 'needs': expected the id of a step, or 'id?'\n5:67 'needs': expected the id of a step, or 'id?'" },
	{ "needs is a scalar", HEAD "steps: [{id: a, uses: set, with: {values: {}}, needs: b}]",
	  "3:55 'needs': expected a list of step ids" },
	{ "self reference", HEAD "steps: [{id: a, uses: set, with: {values: {}}, needs: [a]}]",
	  "3:56 step 'a' refers to itself" },
	{ "cycle",
	  HEAD "steps:\n- {id: a, uses: set, with: {values: {}}, needs: [b]}\n"
	  "- {id: b, uses: set, with: {values: {}}, needs: [c?]}\n"
	  "- {id: c, uses: set, with: {values: {x: '${{ steps.a.outputs.x }}'}}}\n",
	  "4:8 dependency cycle: a -> b -> c -> a" },
	{ "unknown names in expressions",
	  HEAD "params: {prefix: {type: string, default: x}}\n" ETCD
	  "steps:\n- {id: copy, uses: set, with: {values: {}}}\n"
	  "- {id: b, uses: set, with: {values: {x: '${{ steps.cpoy.outputs.y }}', p: '${{ params.prefxi }}', "
	  "t: '${{ targets.bd }}'}}}\n",
	  "7:46 unknown step 'cpoy' (did you mean 'copy'?)\n"
	  "7:80 unknown param 'prefxi' (did you mean 'prefix'?)\n"
	  "7:107 unknown target 'bd' (did you mean 'db'?)" },
	{ "value outside of expr inputs", HEAD "steps: [{id: a, uses: set, with: {values: {x: '${{ value }}'}}}]",
	  "3:52 'value' is known only in inputs of type expression" },
	{ "item is later", HEAD "steps: [{id: a, uses: set, with: {values: {x: '${{ item }}'}}}]",
	  "3:52 'item' is known only in a step with 'foreach'" },
	{ "main step needs a finally step",
	  HEAD "steps: [{id: a, uses: set, with: {values: {}}, needs: [f]}]\n"
	  "finally: [{id: f, uses: set, with: {values: {}}}]\n",
	  "3:56 step 'a' cannot wait for 'f', which is in 'finally'" },
	{ "finally needs a main step",
	  HEAD "steps: [{id: a, uses: set, with: {values: {}}}]\n"
	  "finally: [{id: f, uses: set, with: {values: {}}, needs: [a]}]\n",
	  "4:58 a step of 'finally' runs whatever happened before: write 'a?', or a 'when'" },
	{ "an output that the type does not have",
	  HEAD "targets: {db: {kind: etcd, endpoints: ['http://a:1']}}\nsteps:\n- {id: a, uses: etcd.get, with: {from: db, key: k}}\n"
	  "- {id: b, uses: set, with: {values: {x: '${{ steps.a.outputs.valeu }}', y: '${{ steps.a.outputs.value }}'}}}\n",
	  "6:46 step 'a' (etcd.get) has no output 'valeu' (did you mean 'value'?)" },
	{ "outputs are checked", HEAD "steps: [{id: a, uses: set, with: {values: {}}}]\noutputs: {x: '${{ steps.b.outputs.y }}', 9: 1}\n",
	  "4:19 unknown step 'b'\n4:42 output name '9': expected [A-Za-z][A-Za-z0-9_-]{0,62}" },

	/* targets */
	{ "unknown target",
	  HEAD ETCD "steps: [{id: a, uses: etcd.get, with: {from: bd}}]", "4:46 unknown target 'bd' (did you mean 'db'?)" },
	{ "target by expression",
	  HEAD ETCD "steps: [{id: a, uses: etcd.get, with: {from: '${{ targets.db }}'}}]",
	  "4:46 field 'from': expected the name of a target" },
	{ "unknown kind", HEAD "targets: {db: {kind: ectd}}\nsteps: [{id: a, uses: set, with: {values: {}}}]",
	  "3:22 unknown target kind 'ectd' (did you mean 'etcd'?)" },
	{ "later kind", HEAD "targets: {db: {kind: kubernetes, x: y}}\nsteps: [{id: a, uses: set, with: {values: {}}}]",
	  "3:22 target kind 'kubernetes' comes in a later version" },
	{ "local kind", HEAD "targets: {db: {kind: file}}\nsteps: [{id: a, uses: set, with: {values: {}}}]",
	  "3:22 targets of kind 'file' are not declared: there is one, always" },
	{ "target without kind", HEAD "targets: {db: {x: 1}, de: 5}\nsteps: [{id: a, uses: set, with: {values: {}}}]",
	  "3:15 target 'db': expected a map with its 'kind'\n3:27 target 'de': expected a map with its 'kind'" },
	{ "fields of a target", HEAD "targets: {db: {kind: etcd, endpoint: x, endpoints: ['a:1']}}\nsteps: [{id: a, uses: set, with: {values: {}}}]",
	  "3:28 unknown field 'endpoint'; known: endpoints, password (did you mean 'endpoints'?)\n"
	  "3:53 field 'endpoints': expected a url such as https://host:port, got \"a:1\"" },

	/* nested steps */
	{ "nested step that may change something",
	  HEAD "steps: [{id: a, uses: wait, with: {step: {uses: exec, with: {argv: [x]}}, until: '${{ value }}'}}]",
	  "3:49 'exec' may change something: only a read-only step can stand here (read_only: true)" },
	{ "nested step that only looks",
	  HEAD "steps: [{id: a, uses: wait, with: {step: {uses: exec, with: {argv: [x], read_only: true}}, until: '${{ value }}'}}]",
	  NULL },
	{ "nested step is checked",
	  HEAD "steps: [{id: a, uses: wait, with: {step: {uses: set, with: {valeus: '${{ params.x }}'}}, until: value}}]",
	  "3:42 missing field 'values' (map) (values)\n"
	  "3:61 unknown field 'valeus'; known: values (did you mean 'values'?)\n"
	  "3:74 unknown param 'x'\n"
	  "3:97 field 'until': expected one whole expression ${{ … }}" },
	{ "nested step of a wrong shape", HEAD "steps: [{id: a, uses: wait, with: {step: {use: set}, until: '${{ value }}'}}]",
	  "3:42 field 'step': expected a step {uses: …, with: {…}}" },

	/* secrets */
	{ "secret in argv",
	  HEAD "params: {pw: {type: string, secret: true}}\n"
	  "steps: [{id: a, uses: exec, with: {argv: [x, '${{ params.pw }}'], env: {P: '${{ params.pw }}'}}}]",
	  "4:51 secret 'params.pw' in 'argv', which may not hold one" },
	{ "secret in when and in outputs",
	  HEAD "params: {pw: {type: string, secret: true}}\n"
	  "steps: [{id: a, uses: set, with: {values: {}}, when: \"${{ params.pw == 'x' }}\"}]\noutputs: {o: '${{ params.pw }}'}\n",
	  "4:59 secret 'params.pw' in 'when', which may not hold one\n5:19 secret 'params.pw' in 'o', which may not hold one" },
	{ "secret written in the plan",
	  HEAD "targets: {db: {kind: etcd, endpoints: ['http://a'], password: hunter2}}\nsteps: [{id: a, uses: set, with: {values: {}}}]",
	  "3:63 field 'password': a secret must not be written in a plan (take it from a param with 'secret: true')" },

	/* params */
	{ "params of every type",
	  HEAD "params:\n  a: {type: string, default: x, enum: [x, y], help: h, env: A}\n  b: {type: integer, min: 1, max: 5, default: 3}\n"
	  "  c: {type: number, default: 1.5}\n  d: {type: boolean, default: false}\n  e: {type: path, default: ~/x}\n"
	  "  f: {type: url, default: 'https://h'}\n  g: {type: duration, min: 1s, default: 5m}\n  h: {type: size, default: 1MiB}\n"
	  "  i: {type: list, items: integer, default: [1, 2]}\n  j: {type: map, default: {k: v}}\n"
	  "steps: [{id: a, uses: set, with: {values: {}}}]", NULL },
	{ "param by shorthand of another kind", HEAD "params: {a: string, b: [x]}\nsteps: [{id: a, uses: set, with: {values: {}}}]",
	  "3:13 param 'a': expected a map such as {type: string}\n3:24 param 'b': expected a map such as {type: string}" },
	{ "param without type", HEAD "params: {a: {default: x}}\nsteps: [{id: a, uses: set, with: {values: {}}}]",
	  "3:13 missing field 'type' (string) (what the value is)" },
	{ "defaults of a wrong type",
	  HEAD "params:\n  a: {type: boolean, default: no}\n  b: {type: integer, default: 08}\n  c: {type: string, default: 1.10}\n"
	  "  d: {type: list, items: integer, default: [1, x]}\n  e: {type: string, enum: [a, b], default: c}\n"
	  "  f: {type: integer, min: 3, default: 2}\n  g: {type: string, pattern: ^/, default: x}\n"
	  "  h: {type: string, default: '${{ 1 }}'}\n"
	  "steps: [{id: a, uses: set, with: {values: {}}}]",
	  "4:31 field 'a': expected true or false, got \"no\"\n"
	  "5:31 field 'b': expected an integer, got \"08\"\n"
	  "6:30 field 'c': expected a string, got 1.1: quote it (written 1.10)\n"
	  "7:48 field 'd': expected an integer, got \"x\"\n"
	  "8:44 field 'e': expected one of a, b; got 'c'\n"
	  "9:39 field 'f': expected at least 3, got 2\n"
	  "10:43 field 'g': expected text that matches ^/, got 'x'\n"
	  "11:30 no expression can stand here" },
	{ "parts that do not go together",
	  HEAD "params:\n  a: {type: string, required: true, default: x}\n  b: {type: string, secret: true, default: x}\n"
	  "  c: {type: integer, secret: true}\n  d: {type: string, min: 1}\n  e: {type: integer, enum: [a]}\n"
	  "  f: {type: string, items: string}\n  g: {type: string, pattern: '('}\n  h: {type: integer, min: 5, max: 1}\n"
	  "  i: {type: integer, min: x}\n  j: {type: sting}\n"
	  "steps: [{id: a, uses: set, with: {values: {}}}]",
	  "4:31 param 'a': 'required' and 'default' exclude each other\n"
	  "5:44 param 'b': a secret has no default\n"
	  "6:30 param 'c': a secret is a string without 'pattern' and 'enum'\n"
	  "7:26 param 'd': 'min' and 'max' are for integer, number, size and duration\n"
	  "8:28 param 'e': 'pattern' and 'enum' are for string, path and url\n"
	  "9:28 param 'f': 'items' is for lists\n"
	  "10:30 param 'g': 'pattern' is no extended regular expression\n"
	  "11:35 param 'h': 'max' is less than 'min'\n"
	  "12:27 param 'i': field 'min': expected an integer, got \"x\"\n"
	  "13:13 field 'type': expected one of string, integer, number, boolean, path, url, duration, size, list, map; "
	  "got 'sting'; did you mean 'string'?" },
	{ "bad param name", HEAD "params: {a b: {type: string}}\nsteps: [{id: a, uses: set, with: {values: {}}}]",
	  "3:10 param name 'a b': expected [A-Za-z][A-Za-z0-9_-]{0,62}" },
};

static void
check_row(void **state)
{
	const struct row *row = *state;
	struct problems p = PROBLEMS_INIT;
	struct buf text = BUF_INIT(0);
	struct plan *plan = plan_load(&fake_registry, NULL, "f", row->yaml, strlen(row->yaml), &p);

	problems_text(&p, &text);
	assert_string_equal(text.len > 0 ? text.p : "", row->want != NULL ? row->want : "");
	assert_int_equal(plan != NULL, row->want == NULL);
	plan_free(plan);
	buf_done(&text);
	problems_done(&p);
}

static struct plan *
must_load(const char *yaml)
{
	struct problems p = PROBLEMS_INIT;
	struct buf text = BUF_INIT(0);
	struct plan *plan = plan_load(&fake_registry, NULL, "f", yaml, strlen(yaml), &p);

	problems_text(&p, &text);
	assert_string_equal(text.len > 0 ? text.p : "", "");
	buf_done(&text);
	problems_done(&p);
	return plan;
}

/* "b c? " : the needs of a step. */
static void
assert_needs(const struct plan *plan, const char *id, const char *want)
{
	const struct step *s = &plan->steps[plan_find(plan, id, strlen(id))];
	struct buf got = BUF_INIT(0);

	for (uint32_t i = 0; i < s->need_count; i++) {
		const struct need *n = &plan->needs[s->need_first + i];

		buf_printf(&got, "%s%s ", plan->steps[n->to].id, n->weak ? "?" : "");
	}
	assert_string_equal(got.len > 0 ? got.p : "", want);
	buf_done(&got);
}

static void
test_needs(void **state)
{
	struct plan *plan = must_load(HEAD
		"targets: {db: {kind: etcd, endpoints: '${{ steps.find.outputs.urls }}'}}\n"
		"finally:\n"
		"- {id: last, uses: set, with: {values: {r: '${{ steps.copy.outputs.value }}'}}, needs: [first]}\n"
		"- {id: first, uses: set, with: {values: {}}, when: '${{ not steps.copy.ran }}'}\n"
		"steps:\n"
		"- {id: a, uses: set, with: {values: {}}}\n"
		"- {id: find, uses: set, with: {values: {}}}\n"
		"- {id: remove-it, uses: set, with: {values: {}}}\n"
		"- {id: copy, uses: etcd.get, with: {from: db, key: \"${{ steps['remove-it'].outputs.x }}\"}, needs: [a, a?]}\n"
		"- {id: weak, uses: set, with: {values: {r: '${{ steps.a.status }}', s: '${{ steps.find.status }}'}}}\n"
		"- {id: strong, uses: set, with: {values: {r: '${{ steps.a.status .. steps.a.outputs.x }}'}}, needs: [find?]}\n"
		"- {id: wait, uses: wait, with: {step: {uses: etcd.get, with: {from: db, key: '${{ steps.a.outputs.k }}'}}, "
		"until: '${{ value == steps.weak.outputs.r }}'}}\n"
		"- {id: sometimes, uses: set, with: {values: {}}, when: '${{ steps.copy.outputs.value > 0 }}'}\n");

	(void)state;
	assert_int_equal(plan->nsteps, 10);
	assert_int_equal(plan->nmain, 8);
	assert_string_equal(plan->steps[8].id, "last");
	assert_true(plan->steps[8].finally);
	assert_needs(plan, "a", "");
	assert_needs(plan, "copy", "a find remove-it ");
	assert_needs(plan, "weak", "a? find? ");
	assert_needs(plan, "strong", "find? a ");
	assert_needs(plan, "wait", "find a weak ");
	assert_needs(plan, "sometimes", "copy ");
	assert_needs(plan, "last", "first copy? ");
	assert_needs(plan, "first", "copy? ");
	assert_int_equal(plan_find(plan, "nope", 4), MAP_NONE);
	plan_free(plan);
}

static void
test_policies(void **state)
{
	struct plan *plan = must_load(HEAD
		"steps:\n"
		"- {id: a, uses: set, with: {values: {}}}\n"
		"- {id: b, uses: set, with: {values: {}}, timeout: 5s, on_error: stop}\n"
		"- {id: c, uses: set, with: {values: {}}, on_error: stop, timeout: 5s}\n"
		"- {id: d, uses: set, with: {values: {}}, retry: {backoff: 1s}}\n"
		"defaults: {timeout: 10m, retry: {attempts: 3}, on_error: continue}\n");
	const struct policy *a = plan->steps[0].policy, *b = plan->steps[1].policy, *d = plan->steps[3].policy;

	(void)state;
	assert_true(a->timeout == 600 * NS_PER_S && a->retry.attempts == 3 && a->on_error == ON_ERROR_CONTINUE);
	assert_true(a->retry.backoff == NS_PER_S && a->retry.max_backoff == 60 * NS_PER_S);
	assert_true(b->timeout == 5 * NS_PER_S && b->retry.attempts == 3 && b->on_error == ON_ERROR_STOP);
	assert_ptr_equal(b, plan->steps[2].policy);
	assert_true(d->retry.attempts == 3 && d->retry.backoff == NS_PER_S && d->timeout == 600 * NS_PER_S);
	plan_free(plan);
	plan = must_load(HEAD "steps: [{id: a, uses: set, with: {values: {}}}]");
	assert_true(plan->steps[0].policy->timeout == 0 && plan->steps[0].policy->retry.attempts == 1);
	plan_free(plan);
}

static void
test_content(void **state)
{
	struct plan *plan = must_load(HEAD
		"summary: What it does.\nparams: {p: {type: list, items: size, default: [1KiB], help: h}}\n" ETCD
		"steps:\n  - id: a\n    uses: set\n    with: {values: {x: 1}}\n    when: true\noutputs: {o: '${{ steps.a.outputs.x }}'}\n");
	const struct step *s = &plan->steps[0];

	(void)state;
	assert_string_equal(plan->name, "t");
	assert_string_equal(plan->summary, "What it does.");
	assert_string_equal(s->id, "a");
	assert_ptr_equal(s->type, &fake_types[0]);
	assert_int_equal(s->line, 7);
	assert_int_equal(s->col, 9);
	assert_string_equal(node_get(node_get(&s->with, "values"), "x")->s, "1");
	assert_string_equal(s->when->s, "true");
	assert_int_equal(plan->ntargets, 1);
	assert_string_equal(plan->targets[0].name, "db");
	assert_int_equal(plan->targets[0].fields.len, 1);
	assert_int_equal(plan->nparams, 1);
	assert_int_equal(plan->params[0].field.item, F_SIZE);
	assert_string_equal(plan->params[0].field.help, "h");
	assert_int_equal(plan->params[0].dflt->len, 1);
	assert_int_equal(plan->outputs.len, 1);
	assert_memory_equal(plan->text, HEAD, strlen(HEAD));
	plan_free(plan);
}

static void
chain(struct buf *yaml, unsigned n)
{
	buf_puts(yaml, HEAD "steps:\n");
	for (unsigned i = 0; i < n; i++) {
		buf_printf(yaml, "- {id: s%u, uses: set, with: {values: {a: 1}}", i);
		if (i > 0)
			buf_printf(yaml, ", needs: [s%u]", i - 1);
		buf_puts(yaml, "}\n");
	}
}

/* A large plan stays small: what it keeps for a step is bounded. */
static void
test_size(void **state)
{
	const unsigned n = 50000; /* the last block of an arena may be half empty */
	struct buf yaml = BUF_INIT(0);
	struct plan *plan;
	size_t bytes;

	(void)state;
	chain(&yaml, n);
	plan = must_load(yaml.p);
	assert_int_equal(plan->nsteps, n);
	bytes = plan->arena.total + n * (sizeof(struct step) + sizeof(struct need)) +
		plan->index.cap * 20;
	assert_true(bytes / n <= 350);
	plan_free(plan);
	buf_done(&yaml);
}

static void
test_too_many_steps(void **state)
{
	struct problems p = PROBLEMS_INIT;
	struct buf yaml = BUF_INIT(0);

	(void)state;
	buf_puts(&yaml, HEAD "steps: [");
	for (unsigned i = 0; i <= PLAN_MAX_STEPS; i++)
		buf_printf(&yaml, "{id: s%u,uses: set,with: {values: {}}},", i);
	buf_puts(&yaml, "]");
	assert_null(plan_load(&fake_registry, NULL, "f", yaml.p, yaml.len, &p));
	assert_int_equal(p.n, 1);
	assert_string_equal(p.list[0].msg, "more than 200000 steps");
	problems_done(&p);
	buf_done(&yaml);
}

/* Thousands of unknown names are counted, not searched for in turn. */
static void
test_many_problems(void **state)
{
	struct problems p = PROBLEMS_INIT;
	struct buf yaml = BUF_INIT(0);

	(void)state;
	buf_puts(&yaml, HEAD "steps:\n");
	for (unsigned i = 0; i < 20000; i++)
		buf_printf(&yaml, "- {id: step%u, uses: set, with: {values: {}}, needs: [setp%u]}\n", i, i);
	assert_null(plan_load(&fake_registry, NULL, "f", yaml.p, yaml.len, &p));
	assert_int_equal(p.n, PROBLEMS_MAX);
	assert_int_equal(p.dropped, 20000 - PROBLEMS_MAX);
	problems_done(&p);
	buf_done(&yaml);
}

/* The file's name is the plan's own, and so is each problem's. */
static void
test_file_name(void **state)
{
	static const char good[] = HEAD "params: {x: {type: string}}\nsteps: [{id: a, uses: set, with: {values: {}}}]";
	static const char bad[] = HEAD "steps: [{id: a, uses: nope}]";
	struct problems p = PROBLEMS_INIT;
	char *name = xstrdup("plan.yaml");
	struct plan *plan = plan_load(&fake_registry, NULL, name, good, strlen(good), &p);

	(void)state;
	assert_non_null(plan);
	assert_null(plan_load(&fake_registry, NULL, name, bad, strlen(bad), &p));
	free(name);
	assert_string_equal(plan->file, "plan.yaml");
	assert_string_equal(plan->params[0].where.file, "plan.yaml");
	plan_free(plan);
	assert_int_equal(p.n, 1);
	assert_string_equal(p.list[0].where.file, "plan.yaml");
	problems_done(&p);
}

int
main(void)
{
	static const struct CMUnitTest fixed[] = {
		cmocka_unit_test(test_needs), cmocka_unit_test(test_policies),       cmocka_unit_test(test_content),
		cmocka_unit_test(test_size),  cmocka_unit_test(test_too_many_steps), cmocka_unit_test(test_many_problems),
		cmocka_unit_test(test_file_name),
	};
	struct CMUnitTest all[countof(rows) + countof(fixed)];
	size_t n = 0;

	for (size_t i = 0; i < countof(rows); i++)
		all[n++] = (struct CMUnitTest){ rows[i].name, check_row, NULL, NULL, &rows[i] };
	for (size_t i = 0; i < countof(fixed); i++)
		all[n++] = fixed[i];
	return cmocka_run_group_tests_name("plan", all, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Edited plans with children, and what a grafted plan holds. The corpus of edits is e2e.edited_plan. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "edit.h"
#include "fake_registry.h"

#define HEAD "wherry: v1\nname: t\n"
#define RUN "uses: exec, with: {argv: [x]}"
#define PART HEAD "params: {n: {type: integer, default: 1}}\nsteps:\n- {id: x, uses: exec, with: {argv: [x, '${{ params.n }}']}}\n"
#define OTHER HEAD "params: {n: {type: integer, default: 1}}\nsteps:\n- {id: x, uses: exec, with: {argv: [y, '${{ params.n }}']}}\n"
#define MANY HEAD "steps:\n- {id: e, foreach: [1, 2], key: '${{ item }}', uses: plan, with: {file: part.yaml}}\n"
#define SUB HEAD "steps:\n- {id: s, uses: plan, with: {file: part.yaml, params: {n: 2}}}\n"
#define EACH HEAD "steps:\n- {id: e, foreach: [1, 2], key: '${{ item }}', uses: exec, with: {argv: [x, '${{ item }}']}}\n"

/* plan_reader.read; data is the text of the one plan that there is. */
static int
read_part(void *data, const char *from, const char *word, bool bundled, const char *key, struct arena *a, const char **ret_file,
	  struct buf *to, struct err *err)
{
	(void)from;
	(void)bundled;
	(void)key;
	(void)err;
	*ret_file = arena_strdup(a, word);
	buf_puts(to, data);
	return 0;
}

static struct plan *
load(const char *text, const char *part)
{
	const struct plan_reader reader = { read_part, (void *)part };
	struct problems problems = PROBLEMS_INIT;
	struct plan *p = plan_load(&fake_registry, &reader, "f.yaml", text, strlen(text), &problems);

	if (p == NULL)
		fail_msg("%s", problems.list[0].msg);
	problems_done(&problems);
	return p;
}

/* "path status class": an effect of the class, and the end of its step where the status is not "running". */
static void
happened(struct history *h, const char *path, const char *status, const char *class)
{
	const struct record intent = { .type = REC_INTENT, .step = path, .effect = 1, .occ = 1, .verb = "run", .ref = "process x",
		.class = class };
	const struct record settled = { .type = REC_SETTLED, .step = path, .effect = 1, .status = "ok" };
	const struct record end = { .type = REC_END, .step = path, .status = status };
	struct err err = ERR_INIT;

	if (class != NULL)
		assert_int_equal(history_apply(h, h->records + 1, &intent, &err), 0);
	if (strcmp(status, "running") == 0)
		return;
	if (class != NULL)
		assert_int_equal(history_apply(h, h->records + 1, &settled, &err), 0);
	assert_int_equal(history_apply(h, h->records + 1, &end, &err), 0);
}

static const struct row {
	const char *name, *was, *was_part, *now, *now_part;
	const char *history[4][3];
	const char *keep;
	const char *want; /* "id:verdict[!][+];": ! harmful, + what it did is past, & pending again */
} rows[] = {
	{ "the same", SUB, PART, SUB, PART, { { "s/x", "done", "opaque" }, { "s", "done", NULL } }, NULL, "s:keep;" },
	{ "a comment inside", SUB, PART, SUB, PART "# end\n", { { "s/x", "done", "opaque" }, { "s", "done", NULL } }, NULL, "s:keep;" },
	{ "one more inside, finished", SUB, PART, SUB, PART "- {id: y, " RUN "}\n",
	  { { "s/x", "done", "opaque" }, { "s", "done", NULL } }, NULL, "s:redo&;" },
	{ "one more inside, not begun", SUB, PART, SUB, PART "- {id: y, " RUN "}\n", { { NULL } }, NULL, "s:changed;" },
	{ "one more inside, half done", SUB, PART, SUB, PART "- {id: y, " RUN "}\n", { { "s/x", "done", "opaque" } }, NULL, "s:changed;" },
	{ "one more inside, in doubt", SUB, PART, SUB, PART "- {id: y, " RUN "}\n", { { "s/x", "running", "opaque" } }, NULL, "s:in doubt;" },
	{ "one inside, finished", SUB, PART, SUB, OTHER, { { "s/x", "done", "opaque" }, { "s", "done", NULL } }, NULL, "s:redo&;s/x:redo!+;" },
	{ "one inside, half done", SUB, PART, SUB, OTHER, { { "s/x", "done", "probe" } }, NULL, "s:changed;s/x:redo+;" },
	{ "one inside, in doubt", SUB, PART, SUB, OTHER, { { "s/x", "running", "opaque" } }, NULL, "s:in doubt;s/x:in doubt!;" },
	{ "one inside, failed", SUB, PART, SUB, OTHER, { { "s/x", "failed", NULL }, { "s", "failed", NULL } }, NULL, "s:changed&;s/x:changed&;" },
	{ "what follows inside", SUB, PART "- {id: y, " RUN ", needs: [x]}\n- {id: z, " RUN "}\n", SUB,
	  OTHER "- {id: y, " RUN ", needs: [x]}\n- {id: z, " RUN "}\n",
	  { { "s/x", "done", "probe" }, { "s/y", "done", "probe" }, { "s/z", "done", "probe" } }, NULL, "s:changed;s/x:redo+;s/y:redo+;" },
	{ "taken out inside", SUB, PART "- {id: y, " RUN "}\n", SUB, PART, { { "s/x", "done", "probe" }, { "s/y", "done", "probe" } },
	  NULL, "s:changed;s/y:orphaned!;" },
	{ "taken out inside, and had done nothing", SUB, PART "- {id: y, " RUN "}\n", SUB, PART, { { "s/x", "done", "probe" } }, NULL, "s:changed;" },
	{ "not skipped any more inside", SUB, PART "- {id: y, " RUN ", when: false}\n", SUB, PART "- {id: y, " RUN "}\n",
	  { { "s/y", "skipped", NULL }, { "s", "done", NULL } }, NULL, "s:redo&;s/y:changed&;" },
	{ "other parameters inside", SUB, PART, SUB, HEAD "params: {n: {type: integer, default: 7}}\nsteps:\n"
	  "- {id: x, uses: exec, with: {argv: [x, '${{ params.n }}']}}\n", { { "s/x", "done", "opaque" }, { "s", "done", NULL } }, NULL, "s:redo!+;" },
	{ "one inside each", MANY, PART, MANY, OTHER,
	  { { "e[1]/x", "done", "probe" }, { "e[1]", "done", NULL }, { "e[2]/x", "done", "probe" } }, NULL, "e:changed;e[1]:to do&;e[1]/x:redo+;e[2]/x:redo+;" },
	{ "one more inside each", MANY, PART, MANY, PART "- {id: y, " RUN "}\n",
	  { { "e[1]/x", "done", "probe" }, { "e[1]", "done", NULL }, { "e[2]/x", "done", "probe" } }, NULL, "e:changed;e[1]:to do&;" },
	{ "in doubt, and as it was", SUB, PART, SUB "- {id: n, " RUN "}\n", PART, { { "s/x", "running", "opaque" } }, NULL, "s:in doubt;n:new;" },
	{ "what is handed in", SUB, PART, HEAD "steps:\n- {id: s, uses: plan, with: {file: part.yaml, params: {n: 3}}}\n", PART,
	  { { "s/x", "done", "probe" }, { "s", "done", NULL } }, NULL, "s:redo+;" },
	{ "the same by another file", SUB, PART, HEAD "steps:\n- {id: s, uses: plan, with: {params: {n: 2}, file: part.yaml}}\n", PART,
	  { { "s/x", "done", "probe" }, { "s", "done", NULL } }, NULL, "s:keep;" },
	{ "taken out", SUB "- {id: n, " RUN "}\n", PART, HEAD "steps:\n- {id: n, " RUN "}\n", "", { { "s/x", "done", "probe" }, { "s", "done", NULL } },
	  NULL, "n:to do;s:orphaned;" },
	{ "taken out in doubt", SUB "- {id: n, " RUN "}\n", PART, HEAD "steps:\n- {id: n, " RUN "}\n", "", { { "s/x", "running", "opaque" } },
	  NULL, "n:to do;s:in doubt!;" },
	{ "more items", EACH, "", HEAD "steps:\n- {id: e, foreach: [1, 2, 3], key: '${{ item }}', uses: exec, with: {argv: [x, '${{ item }}']}}\n",
	  "", { { "e[1]", "done", "opaque" }, { "e[2]", "done", "opaque" }, { "e", "done", NULL } }, NULL, "e:changed&;" },
	{ "the same items", EACH, "", HEAD "steps:\n- {id: e, foreach: '${{ {1, 2} }}', key: '${{ item }}', uses: exec, with: {argv: [x, '${{ item }}']}}\n",
	  "", { { "e[1]", "done", "opaque" }, { "e[2]", "done", "opaque" }, { "e", "done", NULL } }, NULL, "e:keep;" },
	{ "other keys", EACH, "", HEAD "steps:\n- {id: e, foreach: [1, 2], key: 'k${{ item }}', uses: exec, with: {argv: [x, '${{ item }}']}}\n",
	  "", { { "e[1]", "done", "opaque" }, { "e[2]", "done", "opaque" }, { "e", "done", NULL } }, NULL, "e:redo!+;" },
	{ "what each does", EACH, "", HEAD "steps:\n- {id: e, foreach: [1, 2], key: '${{ item }}', uses: exec, with: {argv: [y, '${{ item }}']}}\n",
	  "", { { "e[1]", "done", "idempotent" }, { "e[2]", "done", "idempotent" }, { "e", "done", NULL } }, NULL, "e:redo+;" },
	{ "another's name begins so", EACH "- {id: ee, " RUN "}\n", "", HEAD "steps:\n- {id: ee, " RUN "}\n", "", { { "ee", "done", "opaque" } },
	  NULL, "ee:keep;e:gone;" },
	{ "kept as it is, finished", SUB, PART, SUB, OTHER, { { "s/x", "done", "opaque" }, { "s", "done", NULL } }, "s", "s:keep;" },
	{ "kept as it is, half done", SUB, PART, SUB, OTHER, { { "s/x", "done", "opaque" } }, "s", "s:changed;" },
	{ "one inside kept as it is", SUB, PART, SUB, OTHER, { { "s/x", "done", "opaque" }, { "s", "done", NULL } }, "s/x", "s:redo&;s/x:keep;" },
};

static void
test_children(void **state)
{
	const struct value none = value_map(NULL, 0);

	(void)state;
	for (size_t i = 0; i < countof(rows); i++) {
		const struct row *row = &rows[i];
		const char *const keep[] = { row->keep, NULL };
		struct plan *was = load(row->was, row->was_part), *now = load(row->now, row->now_part);
		struct buf got = BUF_INIT(0);
		struct history h;
		struct edit e;
		struct err err = ERR_INIT;

		history_init(&h);
		for (size_t k = 0; k < countof(row->history) && row->history[k][0] != NULL; k++)
			happened(&h, row->history[k][0], row->history[k][1], row->history[k][2]);
		const struct edit_sides sides = { .was = was, .now = now, .params_was = &none, .params = &none, .history = &h, .run = "r", .dir = "/r",
			.keep = keep };

		assert_int_equal(edit_compare(&sides, &e, &err), 0);
		for (uint32_t k = 0; k < e.n; k++)
			buf_printf(&got, "%s:%s%s%s%s;", e.steps[k].id, verdict_name(e.steps[k].verdict),
				   e.steps[k].harmful || e.steps[k].blocking ? "!" : "", e.steps[k].again ? "+" : "", e.steps[k].retried ? "&" : "");
		if (strcmp(got.p, row->want) != 0)
			fail_msg("%s: %s, expected %s", row->name, got.p, row->want);
		buf_done(&got);
		edit_done(&e);
		history_done(&h);
		plan_free(now);
		plan_free(was);
	}
}

/* Everything that names a step by its number names the same one as before. */
static void
test_graft(void **state)
{
	static const char old[] = HEAD "targets: {db: {kind: etcd, endpoints: ['http://x']}, gone: {kind: etcd, endpoints: ['http://x']}}\npools: {p: 2}\nsteps:\n"
		"- {id: o, " RUN ", undo: {" RUN "}, pool: p}\n"
		"- {id: q, uses: plan, with: {file: part.yaml, targets: {db: gone}}, needs: [o]}\n"
		"- {id: r, foreach: [1], key: '${{ item }}', " RUN "}\n- {id: a, " RUN "}\n";
	static const char part[] = HEAD "targets: {db: {kind: etcd, required: true}}\nsteps:\n- {id: x, uses: etcd.get, with: {from: db}}\n";
	static const char text[] = HEAD "targets: {db: {kind: etcd, endpoints: ['http://x']}}\nsteps:\n- {id: a, " RUN "}\n"
		"- {id: g, uses: etcd.get, with: {from: db}}\n- {id: b, " RUN ", needs: [a], guard: [g], undo: {" RUN "}}\nfinally:\n"
		"- {id: f, foreach: [1], key: '${{ item }}', " RUN "}\n- {id: t, uses: undo, with: {step: b}, needs: [f]}\n";
	struct plan *from = load(old, part), *p = load(text, "");
	const uint32_t which[] = { 0, 1, 2 };
	const struct plan_sub *sub;
	uint32_t t;

	(void)state;
	plan_graft(p, from, which, countof(which));
	assert_int_equal(p->nmain, 6);
	assert_int_equal(p->nsteps, 8);
	t = plan_find(p, "t", 1);
	assert_int_equal(t, 7);
	assert_string_equal(p->steps[p->steps[t].undoes].id, "b");
	assert_int_equal(p->steps[t].need_count, 1 + (p->needs[p->steps[t].need_first].to != plan_find(p, "f", 1)));
	assert_string_equal(p->steps[p->steps[plan_find(p, "b", 1)].guards[0]].id, "g");
	assert_non_null(plan_undo_of(p, plan_find(p, "b", 1)));
	assert_non_null(plan_undo_of(p, plan_find(p, "o", 1)));
	assert_null(plan_undo_of(p, plan_find(p, "a", 1)));
	assert_non_null(plan_foreach_of(p, plan_find(p, "r", 1)));
	assert_non_null(plan_foreach_of(p, plan_find(p, "f", 1)));
	assert_int_equal(p->steps[plan_find(p, "o", 1)].pool, 0);
	assert_int_equal(p->steps[plan_find(p, "q", 1)].need_count, 0);
	assert_int_equal(p->ntargets, 2);
	sub = plan_sub_of(p, plan_find(p, "q", 1));
	assert_non_null(sub);
	assert_string_equal(p->targets[sub->targets[0] - 1].name, "gone");
	plan_free(p);
	plan_free(from);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = { cmocka_unit_test(test_children), cmocka_unit_test(test_graft) };

	return cmocka_run_group_tests_name("edit", tests, NULL, NULL);
}

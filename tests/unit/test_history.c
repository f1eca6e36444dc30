/* SPDX-License-Identifier: Apache-2.0 */
/* The fold: each row is a story in records and the state that it must end in. */
#include "history.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define INTENT "{\"eff\":1,\"occ\":1,\"ref\":\"t x\",\"step\":\"a\",\"t\":\"intent\",\"verb\":\"put\"}\n"
#define SETTLED(st) "{\"eff\":1,\"st\":\"" st "\",\"step\":\"a\",\"t\":\"settled\",\"val\":{\"r\":1}}\n"
#define UNKNOWN "{\"eff\":1,\"msg\":\"lost\",\"step\":\"a\",\"t\":\"unknown\"}\n"
#define END(st) "{\"st\":\"" st "\",\"step\":\"a\",\"t\":\"end\",\"val\":{\"k\":2}}\n"
#define RESOLVE(st) "{\"st\":\"" st "\",\"step\":\"a\",\"t\":\"resolve\"}\n"
#define TAKEN_BACK "{\"kind\":\"taken-back\",\"step\":\"a\",\"t\":\"reopen\"}\n"
#define STEP(t) "{\"step\":\"a\",\"t\":\"" t "\"}\n"

#define CHANGED "{\"eff\":1,\"msg\":\"gone\",\"next\":\"resolve\",\"step\":\"a\",\"t\":\"doubt\"}\n"
#define LEFT INTENT SETTLED("ok") END("done") CHANGED

/* want: "run status|step status|effect state|in doubt|outputs" of step a. */
static const struct row {
	const char *name, *lines, *want;
} rows[] = {
	{ "started", STEP("start"), "running|running||no|-" },
	{ "done", STEP("start") END("done"), "running|done||no|{\"k\":2}" },
	{ "skipped", END("skipped"), "running|skipped||no|{\"k\":2}" },
	{ "begun", INTENT, "running|running|begun|yes|-" },
	{ "settled", INTENT SETTLED("ok"), "running|running|ok|no|-" },
	{ "unchanged", INTENT SETTLED("unchanged") END("unchanged"), "running|unchanged|unchanged|no|{\"k\":2}" },
	{ "refused by the world", INTENT SETTLED("failed") END("failed"), "running|failed|failed|no|{\"k\":2}" },
	{ "reply lost", INTENT UNKNOWN, "running|running|unknown|yes|-" },
	{ "begun again", INTENT UNKNOWN INTENT, "running|running|begun|yes|-" },
	{ "begun again and settled", INTENT UNKNOWN INTENT SETTLED("ok"), "running|running|ok|no|-" },
	{ "settled after lost", INTENT UNKNOWN SETTLED("ok"), "running|running|ok|no|-" },
	{ "retry", STEP("start") INTENT SETTLED("failed") STEP("retry"), "running|pending|failed|no|-" },
	{ "in doubt", INTENT UNKNOWN END("in-doubt"), "running|in-doubt|unknown|yes|{\"k\":2}" },
	{ "resolved done", INTENT UNKNOWN END("in-doubt") RESOLVE("done"), "running|pending|resolved-done|no|{\"k\":2}" },
	{ "resolved not done", INTENT RESOLVE("not-done"), "running|running|resolved-not-done|no|-" },
	{ "resolve leaves what is settled", INTENT SETTLED("ok") RESOLVE("not-done"), "running|running|ok|no|-" },
	{ "doubt", STEP("doubt"), "running|pending||yes|-" },
	{ "doubt ended", STEP("doubt") END("done"), "running|done||no|{\"k\":2}" },
	{ "doubt stays while nobody has judged", STEP("doubt") END("in-doubt"), "running|in-doubt||yes|{\"k\":2}" },
	{ "doubt passes to the first new effect", STEP("doubt") INTENT SETTLED("ok"), "running|running|ok|no|-" },
	{ "a word on what began leaves the lost batch", INTENT STEP("doubt") RESOLVE("done"), "running|running|resolved-done|yes|-" },
	{ "doubt resolved", STEP("doubt") RESOLVE("done"), "running|pending||no|-" },
	{ "what it left is gone", LEFT, "running|done|ok|changed|{\"k\":2}" },
	{ "what it left was put back", LEFT "{\"ep\":2,\"t\":\"resume\"}\n", "running|done|ok|no|{\"k\":2}" },
	{ "what it left may be gone", LEFT RESOLVE("done"), "running|done|resolved-done|no|{\"k\":2}" },
	{ "what it left is to be done again", LEFT RESOLVE("not-done"), "running|pending|resolved-not-done|no|{\"k\":2}" },
	{ "what never began left nothing", CHANGED, NULL },
	{ "reopened after failure keeps effects", INTENT SETTLED("ok") END("failed") STEP("reopen"), "running|pending|ok|no|-" },
	{ "reopened after success has them happen again", INTENT SETTLED("ok") END("done") STEP("reopen"), "running|pending|ok past|no|-" },
	{ "done again after that", INTENT SETTLED("ok") END("done") STEP("reopen") INTENT, "running|running|begun|yes|-" },
	{ "taken back", INTENT SETTLED("ok") END("done") TAKEN_BACK, "running|undone|ok undone|no|{\"k\":2}" },
	{ "taken back while in doubt", INTENT TAKEN_BACK, "running|undone|begun undone|no|-" },
	{ "taken back after a failure", INTENT SETTLED("ok") END("failed") TAKEN_BACK, "running|failed|ok undone|no|{\"k\":2}" },
	{ "taken back and done again", INTENT SETTLED("ok") END("done") TAKEN_BACK INTENT SETTLED("ok"), "running|undone|ok|no|{\"k\":2}" },
	{ "resolve leaves what was taken back", INTENT TAKEN_BACK RESOLVE("done"), "running|undone|begun undone|no|-" },
	{ "rollback begins", END("done") "{\"t\":\"rollback\"}\n", "running rolling|done||no|{\"k\":2}" },
	{ "rollback to a step", END("done") "{\"done\":7,\"step\":\"a\",\"t\":\"rollback\"}\n", "running rolling a 7|done||no|{\"k\":2}" },
	{ "it is there", END("done") "{\"step\":\"a\",\"t\":\"rollback\"}\n{\"st\":\"done\",\"step\":\"a\",\"t\":\"rollback\"}\n",
	  "running|done||no|{\"k\":2}" },
	{ "a pause does not end it", END("done") "{\"t\":\"rollback\"}\n{\"t\":\"pause\"}\n", "paused rolling|done||no|{\"k\":2}" },
	{ "a close does", END("done") "{\"t\":\"rollback\"}\n{\"st\":\"rolled-back\",\"t\":\"close\"}\n",
	  "rolled-back|done||no|{\"k\":2}" },
	{ "paused", STEP("start") "{\"code\":3,\"kind\":\"gate\",\"msg\":\"m\",\"t\":\"pause\"}\n", "paused|running||no|-" },
	{ "resumed", STEP("start") "{\"t\":\"pause\"}\n{\"ep\":2,\"t\":\"resume\"}\n", "running|running||no|-" },
	{ "closed", END("done") "{\"st\":\"done\",\"t\":\"close\"}\n", "done|done||no|{\"k\":2}" },
	{ "failed", END("failed") "{\"st\":\"failed\",\"t\":\"close\"}\n", "failed|failed||no|{\"k\":2}" },
	{ "aborted", END("cancelled") "{\"st\":\"aborted\",\"t\":\"close\"}\n", "aborted|cancelled||no|{\"k\":2}" },
	{ "reopened run", END("failed") "{\"st\":\"failed\",\"t\":\"close\"}\n{\"t\":\"reopen\"}\n" STEP("reopen"),
	  "running|pending||no|-" },
	{ "one word reopens all that failed", END("failed") "{\"st\":\"failed\",\"t\":\"close\"}\n{\"t\":\"reopen\"}\n",
	  "running|pending||no|-" },
	{ "already so: no intent", "{\"eff\":1,\"occ\":1,\"ref\":\"t x\",\"st\":\"unchanged\",\"step\":\"a\",\"t\":\"settled\","
	  "\"val\":1,\"verb\":\"put\"}\n", "running|pending|unchanged|no|-" },
	{ "closed until it is reopened", END("failed") "{\"st\":\"failed\",\"t\":\"close\"}\n{\"ep\":2,\"t\":\"resume\"}\n",
	  "failed|failed||no|{\"k\":2}" },
	{ "note changes nothing", STEP("note") STEP("start"), "running|running||no|-" },
	{ "unchanged without intent", STEP("start") SETTLED("unchanged"), "running|running|unchanged|no|-" },
	{ "settled without intent", SETTLED("ok"), NULL },
	{ "end without step", "{\"st\":\"done\",\"t\":\"end\"}\n", NULL },
	{ "identity without target", "{\"t\":\"target\"}\n", NULL },
};

static int
fold(struct history *h, const char *lines, struct err *err)
{
	struct arena a = ARENA_INIT;
	struct record r;
	uint64_t seq = 0;
	int rc = 0;

	history_init(h);
	for (const char *end; rc == 0 && (end = strchr(lines, '\n')) != NULL; lines = end + 1) {
		rc = record_parse(&a, lines, (size_t)(end - lines), &r, err);
		assert_int_equal(rc, 0);
		rc = history_apply(h, ++seq, &r, err);
		arena_reset(&a); /* the fold must not borrow */
	}
	arena_done(&a);
	return rc;
}

static void
assert_image(const struct hist_effect *e, enum image_of which, const char *want)
{
	struct arena a = ARENA_INIT;
	struct err err = ERR_INIT;
	const char *got;

	assert_int_equal(hist_text(e, which, &a, &got, &err), 0);
	assert_true(hist_has(e, which) == (want != NULL));
	if (want == NULL)
		assert_null(got);
	else
		assert_string_equal(got, want);
	arena_done(&a);
}

static void
check_row(void **state)
{
	static const char *const effects[] = { "begun", "ok", "unchanged", "failed", "unknown", "resolved-done",
					       "resolved-not-done" };
	const struct row *row = *state;
	struct err err = ERR_INIT;
	struct hist_step *s;
	struct history h;
	char got[256], rolling[64] = "";

	if (fold(&h, row->lines, &err) < 0) {
		assert_null(row->want);
		assert_int_equal(err.kind, ERR_REFUSED);
	} else {
		s = history_step(&h, "a");
		assert_non_null(s);
		if (h.rolling)
			(void)snprintf(rolling, sizeof(rolling), h.roll_to != NULL ? " rolling %s %d" : " rolling", h.roll_to,
				       (int)h.roll_since);
		(void)snprintf(got, sizeof(got), "%s%s|%s|%s%s|%s|%s", run_status_name(h.status), rolling,
			       step_status_name(s->status), s->effects != NULL ? effects[s->effects->state] : "",
			       s->effects == NULL ? "" : s->effects->undone ? " undone" : s->effects->past ? " past" : "", s->changed ? "changed" : history_in_doubt(s) ? "yes" : "no",
			       s->outputs != NULL ? s->outputs : "-");
		assert_string_equal(got, row->want);
	}
	history_done(&h);
}

static void
details_are_kept(void **state)
{
	struct err err = ERR_INIT;
	struct hist_effect *e;
	struct hist_step *s;
	struct history h;

	(void)state;
	assert_int_equal(fold(&h,
	    "{\"at\":5,\"build\":\"b\",\"host\":\"h\",\"t\":\"open\",\"user\":\"u\",\"val\":{\"args\":[\"x\"],\"closure\":{\"f\":\"00\"},"
	    "\"params\":{\"p\":1},\"plan\":\"pl\",\"run\":\"r\"}}\n"
	    "{\"t\":\"target\",\"tgt\":\"src\",\"val\":1}\n{\"t\":\"target\",\"tgt\":\"dst\",\"val\":2}\n"
	    "{\"t\":\"target\",\"tgt\":\"src\",\"val\":3}\n"
	    "{\"at\":6,\"step\":\"a\",\"t\":\"start\"}\n"
	    "{\"body\":[1],\"cls\":\"probe\",\"dig\":\"d\",\"eff\":2,\"nonce\":\"n\",\"occ\":1,\"pre\":null,\"ref\":\"t x\",\"says\":\"sa\","
	    "\"step\":\"a\",\"t\":\"intent\",\"verb\":\"put\"}\n"
	    "{\"eff\":1,\"step\":\"a\",\"t\":\"intent\"}\n"
	    "{\"done\":5,\"eff\":2,\"of\":9,\"step\":\"a\",\"t\":\"cursor\",\"unit\":\"keys\"}\n"
	    "{\"kind\":\"timeout\",\"msg\":\"slow\",\"step\":\"a\",\"t\":\"retry\"}\n"
	    "{\"at\":9,\"dig\":\"sd\",\"kind\":\"failed\",\"msg\":\"bad\",\"next\":\"go\",\"ns\":77,\"st\":\"failed\",\"step\":\"a\",\"t\":\"end\"}\n"
	    "{\"at\":10,\"code\":3,\"kind\":\"gate\",\"msg\":\"why\",\"next\":\"approve\",\"t\":\"pause\"}\n", &err), 0);
	assert_true(h.opened == 5 && h.last == 10 && h.epoch == 1 && h.records == 11 && h.nsteps == 1);
	assert_string_equal(h.run, "r");
	assert_string_equal(h.plan, "pl");
	assert_string_equal(h.user, "u");
	assert_string_equal(h.host, "h");
	assert_string_equal(h.build, "b");
	assert_string_equal(h.closure, "{\"f\":\"00\"}");
	assert_string_equal(h.params, "{\"p\":1}");
	assert_string_equal(h.args, "[\"x\"]");
	assert_string_equal(h.targets->name, "src");
	assert_string_equal(h.targets->identity, "3");
	assert_string_equal(h.targets->next->name, "dst");
	assert_null(h.targets->next->next);
	assert_true(h.pause_code == 3);
	assert_string_equal(h.pause_kind, "gate");
	assert_string_equal(h.pause_msg, "why");
	assert_string_equal(h.next, "approve");
	s = history_step(&h, "a");
	assert_true(s->started == 6 && s->ended == 9 && s->ns == 77 && s->attempts == 1);
	assert_string_equal(s->kind, "failed");
	assert_string_equal(s->msg, "bad");
	assert_string_equal(s->next, "go");
	assert_string_equal(s->digest, "sd");
	assert_null(s->outputs);
	assert_int_equal(s->effects->number, 1);
	e = s->effects->next;
	assert_true(e->number == 2 && e->occ == 1 && hist_progress(e).done == 5 && hist_progress(e).total == 9 && e->next == NULL && s->last == e);
	assert_string_equal(hist_progress(e).unit, "keys");
	assert_string_equal(e->verb, "put");
	assert_string_equal(e->ref, "t x");
	assert_string_equal(e->class, "probe");
	assert_string_equal(e->says, "sa");
	assert_string_equal(e->nonce, "n");
	assert_image(e, IMAGE_BEFORE, "null");
	assert_image(e, IMAGE_BODY, "[1]");
	assert_image(e, IMAGE_AFTER, NULL);
	assert_null(history_step(&h, "b"));
	history_done(&h);
}

static void
tail_is_open_until_a_resume(void **state)
{
	struct err err = ERR_INIT;
	struct history h;

	(void)state;
	assert_int_equal(fold(&h, "{\"file\":\"q\",\"t\":\"tail\"}\n", &err), 0);
	assert_true(h.tail);
	history_done(&h);
	assert_int_equal(fold(&h, "{\"t\":\"open\"}\n{\"file\":\"q\",\"t\":\"tail\"}\n{\"t\":\"resume\"}\n", &err), 0);
	assert_false(h.tail);
	assert_int_equal(h.epoch, 2);
	history_done(&h);
}

static void
many_steps(void **state)
{
	struct err err = ERR_INIT;
	struct history h;
	char name[16];

	(void)state;
	history_init(&h);
	for (int i = 0; i < 10000; i++) {
		(void)snprintf(name, sizeof(name), "s%d", i);
		assert_int_equal(history_apply(&h, 1, &(struct record){ .type = REC_END, .step = name, .status = "done",
								       .attempt = (uint32_t)i + 1 }, &err), 0);
	}
	assert_int_equal(h.nsteps, 10000);
	assert_int_equal(history_step(&h, "s1234")->attempts, 1235);
	history_done(&h);
}

/* What is inside of a step, parents first, whatever came first, and nothing else is looked at. */
static void
inside(void **state)
{
	static const char *const paths[] = { "e[a/b]/x", "ee", "e[a/b]/x~undo", "e", "e[c[d]", "s/t/u", "s", "e[a/b]/y[1]/z", "e[a/b]~undo", "e~undo", "/x", "[k]", "e[" };
	static const struct {
		const char *of, *want;
	} rests[] = {
		{ "e", "e[a/b] e[a/b]/x e[a/b]/x~undo e[a/b]/y e[a/b]/y[1] e[a/b]/y[1]/z e[c[d] e[a/b]~undo " },
		{ "e[a/b]", "e[a/b]/x e[a/b]/x~undo e[a/b]/y e[a/b]/y[1] e[a/b]/y[1]/z " }, { "s", "s/t s/t/u " }, { "ee", "" }, { "e[c[d]", "" },
	};
	struct err err = ERR_INIT;
	struct history h;

	(void)state;
	history_init(&h);
	for (size_t i = 0; i < countof(paths); i++)
		assert_int_equal(history_apply(&h, i + 1, &(struct record){ .type = REC_START, .step = paths[i] }, &err), 0);
	for (size_t i = 0; i < countof(rests); i++) {
		const struct hist_step *of = history_step(&h, rests[i].of);
		struct buf got = BUF_INIT(0);

		for (const struct hist_step *at = of; (at = history_inside(&h, of, at)) != NULL;)
			buf_printf(&got, "%s ", at->path);
		assert_string_equal(got.len > 0 ? got.p : "", rests[i].want);
		buf_done(&got);
	}
	history_done(&h);
}

static void
names_round_trip(void **state)
{
	(void)state;
	for (enum step_status s = 0; s < STEP_STATUSES; s++)
		assert_int_equal(step_status_parse(step_status_name(s)), s);
	assert_int_equal(step_status_parse("what"), STEP_PENDING);
	assert_int_equal(step_status_parse(NULL), STEP_PENDING);
}

int
main(void)
{
	const struct CMUnitTest others[] = {
		cmocka_unit_test(details_are_kept), cmocka_unit_test(tail_is_open_until_a_resume), cmocka_unit_test(inside),
		cmocka_unit_test(many_steps), cmocka_unit_test(names_round_trip),
	};
	struct CMUnitTest tests[countof(rows) + countof(others)] = { 0 };
	size_t n = 0;

	for (size_t i = 0; i < countof(rows); i++)
		tests[n++] = (struct CMUnitTest){ rows[i].name, check_row, .initial_state = (void *)&rows[i] };
	for (size_t i = 0; i < countof(others); i++)
		tests[n++] = others[i];
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Many effects at once, over the small world: each of them is what a single one would be, and a round of them is one batch. */
#include "world.h"

#include "ctx.h"

/* How the world behaves, besides world.h's own. */
static atomic_int under_way, most_under_way, undeclared, probed, guards;
static const char *bad_key, *doubtful_key; /* a write is refused; a probe cannot tell */
static bool looks; /* into the journal, before each write */
static size_t kept, handed, handed_before, handed_unchanged, disorder;

struct wanted {
	const char *nonce;
	bool found;
};

static int
find_intent(void *data, uint64_t seq, const struct record *r, struct err *err)
{
	struct wanted *w = data;

	(void)seq;
	(void)err;
	w->found = w->found || (r->type == REC_INTENT && r->nonce != NULL && strcmp(r->nonce, w->nonce) == 0);
	return 0;
}

static int
many_write(struct opctx *op, void *conn, const struct effect *f, const char *nonce, struct reply *ret, struct err *err)
{
	struct wanted w = { .nonce = nonce };
	struct journal_info info;
	struct err ignored = ERR_INIT;
	const int now = atomic_fetch_add(&under_way, 1) + 1;
	int most = atomic_load(&most_under_way), rc;

	while (most < now && !atomic_compare_exchange_weak(&most_under_way, &most, now))
		;
	if (looks && (journal_read(dir, "r1", find_intent, &w, &info, &ignored) < 0 || !w.found))
		atomic_fetch_add(&undeclared, 1);
	if (bad_key != NULL && strcmp(f->on.path, bad_key) == 0)
		rc = err_set(err, ERR_FAILED, "the world does not want it");
	else
		rc = world_write(op, conn, f, nonce, ret, err);
	atomic_fetch_sub(&under_way, 1);
	return rc;
}

/* A key is as wanted when it has as many lines as the body says. */
static bool
many_same(const struct effect *f, const struct value *before)
{
	return before->kind == V_INT && before->i >= value_get_int(&f->body, "lines", INT64_MAX);
}

static int
many_probe(struct opctx *op, void *conn, const struct effect *f, const char *nonce, const struct value *before, enum probe *ret,
	   struct err *err)
{
	atomic_fetch_add(&probed, 1);
	if (doubtful_key == NULL || strcmp(f->on.path, doubtful_key) != 0)
		return world_probe(op, conn, f, nonce, before, ret, err);
	*ret = PROBE_CANNOT_TELL;
	return 0;
}

static const struct target_type many_type = {
	.kind = "many", .summary = "lines in a file", .fields = no_fields, .args_size = 1, .local = true, .open = world_open,
	.close = world_close, .name = world_name, .read = world_read, .write = many_write, .same = many_same,
	.predict = world_predict, .probe = many_probe,
};

struct put_args {
	int64_t n, distinct, size, parallel;
	const char *class, *wrong;
};

struct put {
	const struct put_args *a;
	int64_t next, done;
};

static int
nothing(struct step_ctx *cx, void *data, unsigned lane, struct err *err)
{
	const struct effect f = { .on = { step_local(cx, "many"), "k" }, .verb = "put", .says = "put" };

	(void)data;
	(void)lane;
	return step_effect(cx, &f, NULL, err);
}

static int
put_next(struct step_ctx *cx, void *data, struct arena *a, struct effect *ret, struct err *err)
{
	struct put *p = data;
	struct pair *pairs;
	char *text;

	if (strcmp(p->a->wrong, "nested") == 0)
		return nothing(cx, NULL, 0, err);
	if (p->next == p->a->n)
		return 0;
	pairs = arena_array(a, 2, sizeof(*pairs));
	text = arena_alloc(a, (size_t)p->a->size + 1);
	memset(text, 'x', (size_t)p->a->size);
	pairs[0] = (struct pair){ "lines", value_int(p->next / p->a->distinct + 1) };
	pairs[1] = (struct pair){ "text", value_str(text) };
	*ret = (struct effect){ .on = { step_local(cx, "many"), arena_printf(a, "./k%06d-", (int)(p->next % p->a->distinct)) },
		.verb = "put", .says = "put a key", .body = value_map(pairs, 2),
		.class = strcmp(p->a->class, "probe") == 0 || (strcmp(p->a->class, "mixed") == 0 && p->next == 0) ? EFFECT_PROBE
			: strcmp(p->a->class, "opaque") == 0 ? EFFECT_OPAQUE : EFFECT_IDEMPOTENT };
	p->next++;
	return 1;
}

static int
put_done(struct step_ctx *cx, void *data, const struct settled *s, struct err *err)
{
	struct put *p = data;
	char key[32];

	(void)cx;
	(void)err;
	(void)snprintf(key, sizeof(key), "k%06d-", (int)(p->done % p->a->distinct));
	disorder += strcmp(key, s->effect->on.path) != 0;
	if (s->after != NULL && s->after->kind == V_INT)
		disorder += s->after->i != p->done / p->a->distinct + 1;
	p->done++;
	handed++;
	handed_before += s->after == NULL;
	handed_unchanged += s->unchanged;
	return 0;
}

static int
put_run(struct step_ctx *cx, const void *args, struct err *err)
{
	struct put p = { .a = args };
	const struct many many = { .parallel = (unsigned)p.a->parallel, .next = put_next, .done = put_done, .data = &p };
	int rc;

	handed = handed_before = handed_unchanged = disorder = 0;
	if (strcmp(p.a->wrong, "lane") == 0)
		return step_lanes(cx, 2, nothing, NULL, err);
	rc = step_effects(cx, &many, err);
	kept = cx->at->memory->arena.total + cx->at->arena.total;
	return rc;
}

#define INT(member, value, text) { .name = #member, .type = F_INT, .offset = offsetof(struct put_args, member), .dflt = value, .help = text }
#define WORD(member, value, text) { .name = #member, .type = F_STRING, .offset = offsetof(struct put_args, member), .dflt = value, .help = text }
static const struct field put_inputs[] = {
	INT(n, "600", "how many"), INT(distinct, "1000000", "of them before a key comes again"), INT(size, "10", "of a body"),
	INT(parallel, "8", "at once"), WORD(class, "idempotent", "how they settle"), WORD(wrong, "", "what to do wrong"), { 0 },
};
static const struct step_type put_type = { .name = "world.put", .summary = "append many lines", .inputs = put_inputs,
	.outputs = no_fields, .args_size = sizeof(struct put_args), .run = put_run };

static int
look_run(struct step_ctx *cx, const void *args, struct err *err)
{
	(void)cx;
	(void)args;
	(void)err;
	atomic_fetch_add(&guards, 1);
	return 0;
}

static const struct step_type look_type = { .name = "world.look", .summary = "looks", .inputs = no_fields, .outputs = no_fields,
	.args_size = 1, .flags = STEP_READ_ONLY, .run = look_run };

static const struct step_type *const types[] = { &put_type, &look_type, NULL };
static const struct target_type *const targets[] = { &many_type, NULL };
const struct registry world_registry = { types, targets };

static int
begin(void **state)
{
	atomic_store(&under_way, 0);
	atomic_store(&most_under_way, 0);
	atomic_store(&undeclared, 0);
	atomic_store(&probed, 0);
	atomic_store(&guards, 0);
	bad_key = doubtful_key = NULL;
	looks = false;
	return setup(state);
}

/* What the journal says of the step's effects. */
struct told {
	size_t intents, groups, ok, unchanged, failed;
	bool within; /* a group of intents */
};

static int
tell(void *data, uint64_t seq, const struct record *r, struct err *err)
{
	struct told *t = data;

	(void)seq;
	(void)err;
	t->intents += r->type == REC_INTENT;
	t->groups += r->type == REC_INTENT && !t->within;
	t->within = r->type == REC_INTENT;
	if (r->type == REC_SETTLED) {
		t->ok += strcmp(r->status, "ok") == 0;
		t->unchanged += strcmp(r->status, "unchanged") == 0;
		t->failed += strcmp(r->status, "failed") == 0;
	}
	return 0;
}

static struct told
told(void)
{
	struct told t = { 0 };
	struct journal_info info;
	struct err err = ERR_INIT;

	assert_int_equal(journal_read(dir, "r1", tell, &t, &info, &err), 0);
	return t;
}

/* Every key from one to the other has that many lines. */
static void
assert_lines(int from, int to, size_t want)
{
	char key[32];

	for (int i = from; i < to; i++) {
		(void)snprintf(key, sizeof(key), "k%06d-", i);
		if (world_lines(key) != want)
			fail_msg("%s has %zu lines, not %zu", key, world_lines(key), want);
	}
}

#define PUT(with) HEAD "- {id: a, uses: world.put, with: {" with "}}\n"

static void
test_each_is_done_once_behind_its_intent(void **state)
{
	struct told t;

	(void)state;
	looks = true;
	assert_int_equal(go(PUT("n: 600"), MODE_RUN, false, NULL), 0);
	assert_lines(0, 600, 1);
	assert_int_equal(atomic_load(&undeclared), 0);
	assert_in_range(atomic_load(&most_under_way), 1, 8);
	assert_int_equal(handed, 600);
	assert_int_equal(disorder + handed_before + handed_unchanged, 0);
	t = told();
	assert_int_equal(t.intents, 600);
	assert_int_equal(t.ok, 600);
	assert_int_equal(t.groups, 3); /* of 256, 256 and 88: one batch each, and nothing in between */
}

static void
test_a_second_walk_is_answered(void **state)
{
	(void)state;
	assert_int_equal(go(PUT("n: 300"), MODE_RUN, false, NULL), 0);
	bad_key = "k000299-";
	assert_int_equal(go(PUT("n: 300"), MODE_RUN, true, NULL), 0);
	assert_lines(0, 300, 1);
}

/* What comes again waits for what came first, and sees what that has left. */
static void
test_one_object_many_times(void **state)
{
	(void)state;
	assert_int_equal(go(PUT("n: 30, distinct: 7"), MODE_RUN, false, NULL), 0);
	assert_lines(0, 2, 5);
	assert_lines(2, 7, 4);
	assert_int_equal(disorder, 0);
	assert_int_equal(handed, 30);
}

static void
test_what_is_so_is_unchanged(void **state)
{
	static const char twice[] = HEAD "- {id: a, uses: world.put, with: {n: 300}}\n"
		"- {id: b, uses: world.put, with: {n: 310}, needs: [a]}\n";
	struct told t;

	(void)state;
	assert_int_equal(go(twice, MODE_RUN, false, NULL), 0);
	assert_lines(0, 310, 1);
	assert_int_equal(handed_unchanged, 300);
	t = told();
	assert_int_equal(t.unchanged, 300);
	assert_int_equal(t.intents, 310);
}

/* Those whose requests were lost on their way are done at once, and all others once. */
static void
test_lost_requests_are_sent_again(void **state)
{
	struct told t;

	(void)state;
	looks = true;
	atomic_store(&drops, 10);
	assert_int_equal(go(PUT("n: 300, class: probe"), MODE_RUN, false, NULL), 0);
	assert_lines(0, 300, 1);
	assert_int_equal(atomic_load(&undeclared), 0);
	assert_int_equal(atomic_load(&count), 310);
	assert_int_equal(handed, 300);
	t = told();
	assert_int_equal(t.ok, 300);
}

static void
test_a_failure_begins_nothing_new(void **state)
{
	char events[80];
	struct buf text = BUF_INIT(1 << 20);
	struct err err = ERR_INIT;
	struct told t;

	(void)state;
	(void)snprintf(events, sizeof(events), "%s/events", dir);
	bad_key = "k000300-";
	assert_int_equal(go(PUT("n: 900"), MODE_RUN, false, events), 1);
	assert_int_equal(io_read_file(events, 1 << 20, &text, &err), 0);
	assert_non_null(strstr(text.p, "k000300-: the world does not want it"));
	buf_done(&text);
	assert_lines(0, 300, 1);
	assert_lines(512, 900, 0);
	assert_true(handed >= 300 && handed < 512);
	t = told();
	assert_int_equal(t.intents, 512); /* two rounds, and how each of them ended is on record */
	assert_int_equal(t.ok + t.failed, 512);
	bad_key = NULL;
	assert_int_equal(go(PUT("n: 900"), MODE_RUN, true, NULL), 0);
	assert_lines(0, 900, 1);
	assert_int_equal(handed_before, t.ok);
}

static void
killed(const char *where, int nth, const char *yaml, size_t most)
{
	crash(yaml, where, nth);
	assert_int_equal(go(yaml, MODE_RUN, true, NULL), 0);
	for (int i = 0; i < 400; i++) {
		char key[32];

		(void)snprintf(key, sizeof(key), "k%06d-", i);
		assert_in_range(world_lines(key), 1, most);
	}
	assert_int_equal(handed, 400);
}

static void
test_killed_before_a_write(void **state)
{
	(void)state;
	killed("before", 270, PUT("n: 400, class: probe"), 1);
}

static void
test_killed_after_a_write(void **state)
{
	(void)state;
	killed("after", 270, PUT("n: 400, class: probe"), 1);
}

/* Idempotent ones that are so already are not written again. */
static void
test_killed_idempotent(void **state)
{
	(void)state;
	killed("after", 100, PUT("n: 400"), 1);
}

/* The word of a person is about the one that nothing could tell about; all others have settled by themselves. */
static void
test_one_in_doubt(void **state)
{
	static const char yaml[] = PUT("n: 100, class: probe");

	(void)state;
	crash(yaml, "after", 50);
	doubtful_key = "k000099-"; /* begun, and not written */
	assert_int_equal(go(yaml, MODE_RUN, true, NULL), 3);
	assert_lines(99, 100, 0);
	resolve_step("a", "done");
	assert_int_equal(go(yaml, MODE_RUN, true, NULL), 0);
	assert_lines(0, 99, 1);
	assert_lines(99, 100, 0);
}

/* So it is where the others can simply be done again. */
static void
test_a_word_leaves_idempotent_ones(void **state)
{
	static const char yaml[] = PUT("n: 100, class: mixed");

	(void)state;
	crash(yaml, "before", 20);
	doubtful_key = "k000000-";
	assert_int_equal(go(yaml, MODE_RUN, true, NULL), 3);
	resolve_step("a", "done");
	assert_int_equal(go(yaml, MODE_RUN, true, NULL), 0);
	assert_lines(1, 100, 1);
}

/* The lost batch may have held a whole round of intents, and no more. */
static void
test_a_lost_batch_may_hold_a_round(void **state)
{
	struct journal *journal;
	struct err err = ERR_INIT;

	(void)state;
	assert_int_equal(journal_create(dir, "r1", &(struct record){ .type = REC_OPEN, .says = "test" }, NULL, 0, &journal, &err), 0);
	journal_free(journal);
	with.torn = true;
	assert_int_equal(go(PUT("n: 400, class: probe"), MODE_RUN, true, NULL), 0);
	assert_int_equal(atomic_load(&probed), 256);
	assert_lines(0, 400, 1);
}

static void
test_dry_run_tells_in_order(void **state)
{
	char events[80], want[64];
	struct buf text = BUF_INIT(4 << 20);
	struct err err = ERR_INIT;
	const char *at;

	(void)state;
	(void)snprintf(events, sizeof(events), "%s/events", dir);
	assert_int_equal(go(HEAD "- {id: g, uses: world.look}\n- {id: a, uses: world.put, with: {n: 300, distinct: 299}, guard: [g]}\n",
			    MODE_PLAN, false, events), 0);
	assert_lines(0, 300, 0);
	assert_int_equal(handed, 300);
	assert_int_equal(disorder, 0);
	assert_int_equal(atomic_load(&guards), 2);
	assert_int_equal(io_read_file(events, 4 << 20, &text, &err), 0);
	at = text.p;
	for (int i = 0; i < 300; i++) {
		(void)snprintf(want, sizeof(want), "many k%06d-", i % 299);
		at = strstr(at, want);
		if (at == NULL)
			fail_msg("%s is not told, or not in its place", want);
		at += strlen(want);
	}
	buf_done(&text);
}

static void
test_guards_run_once(void **state)
{
	(void)state;
	assert_int_equal(go(HEAD "- {id: g, uses: world.look}\n- {id: a, uses: world.put, with: {n: 600}, guard: [g]}\n", MODE_RUN, false,
			    NULL), 0);
	assert_int_equal(atomic_load(&guards), 2); /* as a step, and as a guard */
	assert_lines(0, 600, 1);
}

static void
test_refused(void **state)
{
	(void)state;
	assert_int_equal(go(PUT("class: opaque"), MODE_PLAN, false, NULL), 1);
	assert_int_equal(go(PUT("wrong: lane"), MODE_PLAN, false, NULL), 1);
	assert_int_equal(go(PUT("wrong: nested"), MODE_PLAN, false, NULL), 1);
	assert_int_equal(atomic_load(&count), 0);
}

/* Bodies of 10 MB go through, and none of them stays. */
static void
test_bodies_do_not_stay(void **state)
{
	(void)state;
	assert_int_equal(go(PUT("n: 1000, size: 10000"), MODE_RUN, false, NULL), 0);
	assert_true(kept < 1000 * 500);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(test_##name, begin, teardown)
		T(each_is_done_once_behind_its_intent), T(a_second_walk_is_answered), T(one_object_many_times),
		T(what_is_so_is_unchanged), T(lost_requests_are_sent_again), T(a_failure_begins_nothing_new), T(killed_before_a_write), T(killed_after_a_write),
		T(killed_idempotent), T(one_in_doubt), T(a_word_leaves_idempotent_ones), T(a_lost_batch_may_hold_a_round),
		T(dry_run_tells_in_order), T(guards_run_once), T(refused), T(bodies_do_not_stay),
	};

	block_signals();
	return cmocka_run_group_tests(tests, NULL, NULL);
}

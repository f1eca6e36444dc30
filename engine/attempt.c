/* SPDX-License-Identifier: Apache-2.0 */
/* A step's way from ready to its attempts: `when`, binding, and the attempt on a worker (or at once, for pure steps). */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "children.h"
#include "coord.h"
#include "undo.h"

int
coord_condition(struct coord *c, uint32_t i, struct err *err)
{
	const struct step *s = step_of(c, i);
	const struct scope *scope = scope_of(c, i);
	const struct plan_foreach *each = plan_foreach_of(scope->plan, scope->items != NULL ? scope->body : i - scope->base);
	struct sight in;
	struct value v;

	if (s->when == NULL || c->live[i].open || (each != NULL && each->when_each != (scope->items != NULL)))
		return 1;
	arena_reset(&c->eval);
	sight_init(&in, c, scope, i);
	if (template_eval(c->host, s->when, in.bind.file, &in.env, &c->eval, &v, err) < 0)
		return err_wrap(err, "when");
	if (v.kind == V_UNKNOWN)
		return err_set(err, ERR_PREDICTED, "whether it runs is not known yet: %s", v.s);
	return value_true(&v);
}

static int
bind_attempt(struct coord *c, struct attempt *at, const struct step *s, struct err *err)
{
	void *args = arena_alloc(&at->arena, s->type->args_size > 0 ? s->type->args_size : 1);
	struct pair parts[3];
	struct sight in;
	struct value whole;
	char digest[65];

	arena_reset(&c->eval);
	at->args = args;
	sight_init(&in, c, scope_of(c, at->step), at->step);
	if (schema_bind(s->type->inputs, &s->with, &in.bind, &at->arena, args, &at->inputs, err) < 0 ||
	    coord_bind_guards(c, at, err) < 0)
		return -1;
	if (s->type->check != NULL && s->type->check(args, err) < 0)
		return -1;
	parts[0] = (struct pair){ "type", value_str(s->type->name) };
	parts[1] = (struct pair){ "version", value_int(s->type->version) };
	parts[2] = (struct pair){ "with", at->inputs };
	whole = value_map(parts, countof(parts));
	value_digest(&whole, c->shared.key, digest);
	memcpy(at->digest, digest, sizeof(at->digest) - 1);
	return 0;
}

/* On a worker thread, or on the coordinator for a pure step. */
static void
work(void *item)
{
	struct attempt *at = item;

	at->rc = at->type->run(&at->cx, at->args, &at->err);
	if (at->rc == 0 && at->shared->mode == MODE_RUN) {
		const struct memo *lost = memory_unasked(at->memory);

		if (lost != NULL) {
			err_set(&at->err, ERR_IN_DOUBT, "'%s %s' was %s by this step before, and the step ended without "
				"asking for it again", lost->verb, lost->ref, lost->begun ? "begun" : "done");
			next_resolve(&at->err, at->shared->run, at->path);
			at->rc = -1;
		}
	}
	at->end.kind = LETTER_END;
	at->end.at = at;
}

static void
work_and_post(void *item)
{
	struct attempt *at = item;

	work(at);
	mailbox_post(&at->shared->mailbox, &at->end.link, true);
}

void
coord_leave(struct coord *c, struct attempt *at)
{
	if (at->prev != NULL) { /* it was handed to a worker */
		*at->prev = at->next;
		if (at->next != NULL)
			at->next->prev = at->prev;
		c->running--;
		c->owed -= at->owed;
	}
	if (c->live[at->step].task != NULL)
		c->live[at->step].task->attempt = NULL;
}

/* A person may take as long as it takes, where the plan does not say otherwise. */
static int64_t
deadline_of(const struct step *s, int64_t from)
{
	if (s->policy->timeout > 0)
		return from + s->policy->timeout;
	return s->type->flags & STEP_GATE ? NEVER : from + PLAN_TIMEOUT;
}

static struct attempt *
new_attempt(struct coord *c, uint32_t i)
{
	const uint32_t undoes = coord_undoes(c, i); /* may open a scope */
	struct live *l = &c->live[i];
	const struct step *s = step_of(c, i);
	const char *of = undoes != NO_LIVE ? path_of(c, undoes) : NULL;
	const char *path = of != NULL ? undo_path(&c->keep, of) : path_of(c, i);
	struct attempt *at = xcalloc(1, sizeof(*at));
	struct err wrong = ERR_INIT;
	int rc;

	if (l->task == NULL) {
		l->task = xcalloc(1, sizeof(*l->task));
		if (undoes == NO_LIVE)
			rc = memory_init(&l->task->memory, c->o->history != NULL ? history_step(c->o->history, path) : NULL, l->anew,
					  true, &wrong);
		else
			rc = coord_undo_memory(c, i, path, &l->task->memory, &wrong);
		if (rc < 0)
			coord_pause(c, path_of(c, i), &wrong);
		if (l->torn)
			l->task->memory.unseen = EFFECT_UNKNOWN;
		l->task->started = clock_now();
		l->task->deadline = deadline_of(s, l->task->started);
	}
	memory_walk(&l->task->memory);
	l->task->attempt = at;
	*at = (struct attempt){ .shared = &c->shared, .step = i, .number = ++l->attempts, .path = path, .undoes = of, .undone = undoes,
		.type = of != NULL ? &undo_step : s->type,
		.memory = &l->task->memory, .deadline = l->task->deadline, .started = clock_now(), .all_unchanged = true };
	c->rng = c->rng * 6364136223846793005U + 1442695040888963407U; /* Knuth's LCG: a seed for each attempt */
	at->rng = c->rng | 1;
	at->outputs.arena = &at->arena;
	ctx_init(&at->cx, at, &at->arena, &c->shared.cancel);
	return at;
}

void
coord_attempt_free(struct attempt *at)
{
	arena_done(&at->cx.page);
	arena_done(&at->cx.call);
	arena_done(&at->arena);
	expr_host_free(at->host);
	free(at);
}

/* Without a worker: the handler runs at once, and ends or parks. */
static int
work_here(struct coord *c, struct attempt *at)
{
	if ((at->type->flags & STEP_GATE) && c->o->mode == MODE_RUN && !at->park.over) {
		const int word = coord_word(c, at, &at->park.answer, &at->err);

		at->park.over = word > 0;
		if (word < 0) {
			at->rc = -1;
			coord_attempt_end(c, at);
			return 0;
		}
	}
	work(at);
	if (at->rc == 0 && at->park.wanted && !at->park.over)
		coord_park(c, at);
	else
		coord_attempt_end(c, at);
	return 0;
}

/* Does it open a scope, or take one back? */
static bool
opens_scope(const struct coord *c, const struct attempt *at)
{
	if (at->undoes == NULL)
		return live_kind(c, at->step) != LIVE_STEP;
	return scope_roll(scope_of(c, at->step)) == NULL && live_kind(c, at->undone) != LIVE_STEP;
}

int
coord_work(struct coord *c, struct attempt *at)
{
	struct live *l = &c->live[at->step];
	struct event e = coord_event(c, EVENT_START, at->step);

	if (opens_scope(c, at))
		return children_begin(c, at);
	l->status = STEP_RUNNING;
	e.attempt = at->number;
	if (at->type->flags & STEP_PURE)
		return work_here(c, at);
	at->deadline = at->cx.op.deadline = l->task->deadline;
	coord_record(c, &(struct record){ .type = REC_START, .step = at->path, .attempt = at->number, .code = at->type->version }, false);
	if (c->o->mode == MODE_RUN)
		report_event(c->o->report, &e);
	at->next = c->attempts;
	at->prev = &c->attempts;
	if (at->next != NULL)
		at->next->prev = &at->next;
	c->attempts = at;
	c->running++;
	if (pool_submit(c->pool, at, &at->err) < 0) { /* no fault of the step's: it has not begun */
		coord_leave(c, at);
		l->status = STEP_PENDING;
		coord_pause(c, at->path, &at->err);
		coord_attempt_free(at);
		return 0;
	}
	return 1;
}

/* What was begun by a type that meant something else is not gone on with unasked; what had done nothing is. */
static int
check_version(const struct coord *c, const struct attempt *at, struct err *err)
{
	const struct hist_step *hs = c->o->history != NULL ? history_step(c->o->history, at->path) : NULL;

	if (at->number > 1 || hs == NULL || hs->version == 0 || hs->version == at->type->version || at->memory->accepted ||
	    !memory_stands(at->memory))
		return 0;
	err_set(err, ERR_IN_DOUBT, "it was begun when %s was of version %u, and this wherry has version %u: it may mean something else "
		"now; go on with the wherry that began it, or say whether what it did may stay (--done)", at->type->name, hs->version,
		at->type->version);
	return next_resolve(err, at->shared->run, at->path);
}

/* What the attempt works with. */
static int
prepare(struct coord *c, struct attempt *at, const struct step *s)
{
	if (opens_scope(c, at))
		return 0;
	if (at->undoes != NULL ? coord_undo_bind(c, at, at->undone, &at->err) < 0
			       : bind_attempt(c, at, s, &at->err) < 0)
		return -1;
	return check_version(c, at, &at->err);
}

/* Start step i: it may end at once (skipped, wrong inputs, pure), or be parked. 1: it holds a worker now. */
static int
start(struct coord *c, uint32_t i)
{
	const struct step *s = step_of(c, i);
	struct task *task = c->live[i].task;
	struct attempt *at;
	int go;

	if (task != NULL && task->attempt != NULL)
		return coord_unpark(c, task->attempt);
	at = new_attempt(c, i);
	go = at->number == 1 && scope_roll(scope_of(c, i)) == NULL && !memory_in_doubt(at->memory) ? coord_condition(c, i, &at->err) : 1;
	if (go == 0) {
		if (at->memory->first == NULL)
			c->live[i].maybe = 0; /* not even a lost batch can have held an effect of it */
		coord_finish(c, i, STEP_SKIPPED, NULL, NULL, NULL);
		coord_attempt_free(at);
		return 0;
	}
	if (go < 0 || prepare(c, at, s) < 0) {
		at->rc = -1;
		coord_attempt_end(c, at);
		return 0;
	}
	if (s->irreversible != NULL && at->undoes == NULL && scope_of(c, i)->items == NULL)
		go = coord_may_cross(c, at);
	if (go < 0) {
		coord_attempt_end(c, at);
		return 0;
	}
	if (go > 0)
		return coord_work(c, at);
	at->before = true;
	coord_park(c, at);
	return 0;
}

/* The least key that may become ready once the staged ends are told. Only plain steps of the root are looked through;
 * behind others anything may stand. */
static int64_t
least_behind(const struct coord *c)
{
	const struct scope *root = c->scopes[0];
	int64_t least = INT64_MAX;

	for (size_t i = 0; i < c->nended; i++) {
		const uint32_t step = c->ended[i].step;
		const uint32_t *first;
		int64_t key;

		if (scope_of(c, step) != root || root->graph == NULL || scope_roll(root) != NULL)
			return INT64_MIN;
		first = &root->graph->user_first[step - root->base];
		if (first[0] == first[1])
			continue;
		key = live_key(c, root->base + root->graph->users[first[0]].to); /* they are ascending */
		least = key < least ? key : least;
	}
	return least;
}

void
coord_start_ready(struct coord *c)
{
	/* What has its turn before whatever waits for the staged ends need not wait for their sync. */
	const int64_t below = least_behind(c);
	unsigned pure = 0;

	if (c->pool == NULL)
		c->pool = pool_new(c->o->jobs, work_and_post);
	while (c->ready.n > 0 && c->running < c->o->jobs && pure < c->o->jobs && coord_may_start(c)) {
		const uint32_t i = c->ready.list[0].step;
		const int64_t key = c->ready.list[0].key;
		struct err err = ERR_INIT;

		if (key >= below)
			return;
		if (coord_may_go(c, i) && !scope_closes(scope_of(c, i)) && coord_is_late(c))
			return;
		(void)heap_pop(&c->ready);
		if (!coord_may_go(c, i)) {
			live_deactivate(c, i);
			continue;
		}
		if (!slot_take(c, i, key))
			continue;
		if (c->o->journal != NULL && journal_reserve(c->o->journal, c->running + c->owed + pure + 1, &err) < 0) {
			heap_push(&c->ready, key, i);
			coord_pause(c, path_of(c, i), &err);
			return;
		}
		if (start(c, i) == 0)
			pure++;
	}
}

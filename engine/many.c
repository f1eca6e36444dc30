/* SPDX-License-Identifier: Apache-2.0 */
/* The door for many effects at once. They go through in rounds, each in the order that door.c promises: all of a round that are
 * in doubt settle, all are seen, all intents become durable as one batch, and only then they are written side by side; what
 * settles rides with the next round's intents. Images and bodies of a round live no longer than it. */
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/map.h"
#include "door.h"

#define ROUND_EFFECTS 256         /* most of one round: what a crash may leave in doubt */
#define PARALLEL_MAX 64
#define ROUND_BYTES (4U << 20)    /* it ends where its bodies take as much; what they replace may take as much again */

/* One effect of a round. */
struct part {
	struct effect f;
	struct memo *memo;              /* NULL in a dry-run */
	struct foresight ahead;         /* before is used in both modes; all of it in a dry-run */
	struct value after;
	bool over;                      /* settled */
	bool earlier;                   /* in an earlier walk */
	bool begun;                     /* its write, in this go */
	bool again;                     /* its reply was lost, and it was not done */
	struct err *err;                /* what has become of it; of a prediction also what it needs */
	int rc;
};

typedef int stage_fn(struct step_ctx *, struct part *, struct err *);

struct round {
	const struct many *many;
	struct step_ctx *cx;            /* of the handler */
	struct step_ctx own;            /* all of a round lives in its arena */
	struct arena memory[2];         /* of rounds by turns: what one asked for too much, the next one begins with */
	struct arena *lanes;
	unsigned nlanes;
	struct part parts[ROUND_EFFECTS];
	size_t n;
	bool held;                      /* one that is asked for, behind them: it is of the next round */
	struct map objects;             /* of this round */
	bool last;
	/* a stage */
	stage_fn *stage;
	bool all;                       /* it goes on past failures */
	atomic_uint next;
	atomic_bool stop;
};

static struct arena *
start_memory(struct round *r)
{
	struct arena *a = r->own.arena == &r->memory[0] ? &r->memory[1] : &r->memory[0];

	arena_done(a);
	r->own.arena = r->own.op.arena = a;
	return a;
}

/* Ask the handler for one. 1: it is in p; 0: there are no more. */
static int
ask_next(struct round *r, struct part *p, struct err *err)
{
	int rc;

	*p = (struct part){ 0 };
	r->cx->among = true;
	rc = r->many->next(r->cx, r->many->data, r->own.arena, &p->f, err);
	r->cx->among = false;
	if (rc <= 0)
		return rc;
	if (door_permits(r->cx, &p->f, err) < 0 || ctx_check(r->cx, err) < 0)
		return -1;
	if (p->f.read_only || p->f.class == EFFECT_OPAQUE)
		return err_set(err, ERR_FAILED, "bug: the effect '%s' is not one that can be asked for among many", p->f.verb);
	return target_spell(&r->own, p->f.on.target, p->f.on.path, &p->f.on.path, err) < 0 ? -1 : 1;
}

/* Into this round (1), unless it has one on the same object: that one must have settled first. */
static int
admit(struct round *r, struct part *p, struct err *err)
{
	const char *ref = ref_text(&r->own, &p->f.on);

	if (map_add(&r->objects, ref, strlen(ref), 0) != MAP_NONE)
		return 0;
	if (r->cx->at->shared->mode != MODE_PLAN) {
		p->memo = memory_ask(r->cx->at->memory, r->own.arena, p->f.verb, ref, ROUND_EFFECTS, err);
		if (p->memo == NULL)
			return -1;
		p->over = p->earlier = door_answered(&r->own, p->memo);
	}
	r->n++;
	return 1;
}

static int
gather(struct round *r, struct err *err)
{
	const struct part held = r->parts[r->n < ROUND_EFFECTS ? r->n : 0];
	struct arena *a = start_memory(r);
	int rc = 1, in;

	map_done(&r->objects);
	r->n = 0;
	if (r->held) {
		r->parts[0] = held;
		r->held = false;
		rc = admit(r, &r->parts[0], err);
	}
	while (rc > 0 && !r->held && r->n < ROUND_EFFECTS && a->total < ROUND_BYTES) {
		struct part *p = &r->parts[r->n];

		rc = ask_next(r, p, err);
		in = rc > 0 ? admit(r, p, err) : 1;
		r->held = in == 0;
		rc = in < 0 ? -1 : rc;
	}
	r->last = rc == 0;
	r->cx->at->memory->now = NULL; /* progress is not of the last one asked for */
	return rc < 0 ? -1 : 0;
}

/* Side by side through the parts that are not over. That of a failure is told later: what is under way ends first. */
static int
lane(struct step_ctx *cx, void *data, unsigned number, struct err *ignored)
{
	struct round *r = data;
	unsigned i;

	(void)ignored;
	cx->arena = cx->op.arena = &r->lanes[number];
	while ((i = atomic_fetch_add(&r->next, 1)) < r->n && !atomic_load(&r->stop)) {
		struct part *p = &r->parts[i];
		struct err why = ERR_INIT;

		if (p->over || p->rc < 0)
			continue;
		p->rc = ctx_check(cx, &why);
		if (p->rc < 0 || (p->rc = r->stage(cx, p, &why)) < 0)
			atomic_store(&r->stop, !r->all || why.kind == ERR_CANCELLED);
		if (why.kind != ERR_NONE) {
			p->err = arena_alloc(cx->arena, sizeof(why));
			*p->err = why;
		}
	}
	return 0;
}

/* What a person has to judge comes before what fails, and that before what another try may mend. */
static int
weight(const struct err *err)
{
	if (err->kind == ERR_IN_DOUBT || (err->kind == ERR_UNKNOWN && !err->retryable))
		return 3;
	if (err->kind == ERR_CANCELLED)
		return 0;
	return err->retryable ? 1 : 2;
}

/* The first of the weightiest failures, with the object's name. */
static int
failure(const struct round *r, struct err *err)
{
	const struct part *found = NULL;

	for (const struct part *p = r->parts; p < r->parts + r->n; p++)
		if (p->rc < 0 && (found == NULL || weight(p->err) > weight(found->err)))
			found = p;
	if (found == NULL)
		return 0;
	*err = *found->err;
	if (weight(err) > 0 && strstr(err->msg, found->f.on.path) == NULL)
		err_wrap(err, "%s", found->f.on.path);
	return -1;
}

static int
run_stage(struct round *r, stage_fn *stage, bool all, struct err *err)
{
	struct arena *a = r->own.arena;
	unsigned todo = 0;
	int rc = 0;

	r->stage = stage;
	r->all = all;
	atomic_store(&r->next, 0);
	atomic_store(&r->stop, false);
	for (size_t i = 0; i < r->n; i++)
		todo += !r->parts[i].over;
	if (todo > r->nlanes)
		todo = r->nlanes;
	if (todo > 1) {
		rc = step_lanes(r->cx, todo, lane, r, err);
	} else if (todo == 1) {
		rc = lane(&r->own, r, 0, err);
		r->own.arena = r->own.op.arena = a;
	}
	return rc < 0 ? -1 : failure(r, err);
}

static int
settle(struct step_ctx *cx, struct part *p, struct err *err)
{
	int rc;

	if (target_ready(cx, p->f.on.target, err) < 0)
		return -1;
	if (!memo_in_doubt(p->memo))
		return 0;
	rc = door_settle(cx, p->memo, &p->f, &p->after, err);
	p->over = rc > 0;
	return rc < 0 ? -1 : 0;
}

static int
see(struct step_ctx *cx, struct part *p, struct err *err)
{
	if (door_before(cx, &p->f, &p->ahead.before, err) < 0)
		return -1;
	p->over = door_is_so(cx, p->memo, &p->f, &p->ahead.before);
	p->after = p->ahead.before;
	return 0;
}

static int
write_one(struct step_ctx *cx, struct part *p, struct err *err)
{
	const int rc = door_write(cx, p->memo, &p->f, &p->after, err);

	p->begun = true;
	p->over = rc == 0;
	p->again = rc > 0;
	return p->over ? 0 : -1;
}

static int
declare(struct round *r, struct err *err)
{
	struct intent list[ROUND_EFFECTS];
	size_t n = 0;

	for (struct part *p = r->parts; p < r->parts + r->n; p++) {
		if (p->over)
			continue;
		if (!p->memo->begun) /* else the first pre-image is the one to go back to */
			p->memo->before = p->ahead.before;
		list[n++] = (struct intent){ p->memo, &p->f, &p->memo->before };
	}
	return door_intents(&r->own, list, n, NULL, err);
}

/* Behind intents that came to nothing: so much is known. */
static void
give_up(struct round *r)
{
	for (struct part *p = r->parts; p < r->parts + r->n; p++)
		if (!p->over && !p->begun)
			door_settled(&r->own, p->f.on.target, p->memo, EFFECT_FAILED, NULL, "not begun: what was under way with it has stopped");
}

static int
go(struct round *r, struct err *err)
{
	const struct attempt *at = r->cx->at;
	bool any = false;
	int rc;

	for (struct part *p = r->parts; p < r->parts + r->n; p++) {
		p->begun = p->again = false;
		p->rc = 0;
		p->err = NULL;
	}
	if (run_stage(r, settle, true, err) < 0 || run_stage(r, see, false, err) < 0)
		return -1;
	for (size_t i = 0; i < r->n; i++)
		any = any || !r->parts[i].over;
	if (!any)
		return 0;
	if (at->nguards > 0 && !at->guarded && (door_guards(r->cx, err) < 0 || run_stage(r, see, false, err) < 0))
		return -1;
	if (declare(r, err) < 0)
		return -1;
	rc = run_stage(r, write_one, false, err);
	give_up(r);
	return rc;
}

/* Has nothing failed but writes that may be done again at once? */
static bool
is_to_go_again(const struct round *r)
{
	bool any = false;

	for (const struct part *p = r->parts; p < r->parts + r->n; p++) {
		if (p->rc < 0 && !p->again)
			return false;
		any = any || p->again;
	}
	return any;
}

static int
perform(struct round *r, struct err *err)
{
	int rc;

	while ((rc = go(r, err)) < 0 && is_to_go_again(r))
		*err = (struct err)ERR_INIT;
	return rc;
}

static int
look_ahead(struct step_ctx *cx, struct part *p, struct err *err)
{
	return door_look_ahead(cx, &p->f, &p->ahead, err) < 0 ? -1 : door_guess(cx, &p->f, &p->ahead, err);
}

/* Looked at side by side, and told in the order in which they were asked for. */
static int
predict(struct round *r, struct err *err)
{
	struct err why = ERR_INIT;
	const int rc = run_stage(r, look_ahead, false, &why);

	for (struct part *p = r->parts; p < r->parts + r->n; p++) {
		if (!p->ahead.same && door_guards(r->cx, err) < 0)
			return -1;
		if (p->rc < 0)
			break;
		if (p->err != NULL)
			*err = *p->err;
		if (door_foretell(&r->own, &p->f, &p->ahead, err) < 0)
			return -1;
		*err = ERR_INIT;
		p->over = true;
		p->after = p->ahead.p.after;
	}
	if (rc < 0)
		*err = why;
	return rc;
}

/* What has settled, in the order in which it was asked for. */
static int
hand_back(struct round *r, struct err *err)
{
	int rc = 0;

	for (struct part *p = r->parts; p < r->parts + r->n && rc == 0 && r->many->done != NULL; p++) {
		const struct target_type *type = p->f.on.target->type;
		struct settled s = { .effect = &p->f, .unchanged = p->memo != NULL ? p->memo->state == EFFECT_UNCHANGED : p->ahead.same };

		if (!p->over)
			continue;
		if (!p->earlier) {
			if (type->shown != NULL)
				p->after = type->shown(r->own.arena, &p->f, &p->after, false);
			s.after = &p->after;
		}
		r->cx->among = true;
		rc = r->many->done(r->cx, r->many->data, &s, err);
		r->cx->among = false;
	}
	return rc;
}

/* All letters are handled by then, so that what they point to can go. */
static void
finish(struct round *r)
{
	struct err ignored = ERR_INIT;

	(void)ctx_ask(&r->own, ctx_letter(&r->own, LETTER_HEARD), &ignored);
	for (struct part *p = r->parts; p < r->parts + r->n; p++)
		if (p->memo != NULL)
			memory_lighten(r->cx->at->memory, p->memo);
	for (unsigned i = 0; i < r->nlanes; i++)
		arena_done(&r->lanes[i]);
}

static int
run_round(struct round *r, struct err *err)
{
	struct err ignored = ERR_INIT;
	int rc = gather(r, err);

	if (rc == 0)
		rc = r->cx->at->shared->mode == MODE_PLAN ? predict(r, err) : perform(r, err);
	if (hand_back(r, rc < 0 ? &ignored : err) < 0)
		rc = -1;
	finish(r);
	return rc;
}

int
step_effects(struct step_ctx *cx, const struct many *many, struct err *err)
{
	struct round *r = xcalloc(1, sizeof(*r));
	int rc = 0;

	r->many = many;
	r->cx = cx;
	r->nlanes = many->parallel > PARALLEL_MAX ? PARALLEL_MAX : many->parallel > 0 ? many->parallel : 1;
	r->lanes = xcalloc(r->nlanes, sizeof(*r->lanes));
	ctx_init(&r->own, cx->at, &r->memory[0], cx->op.cancel);
	while (rc == 0 && !r->last)
		rc = run_round(r, err);
	memory_seen(cx->at->memory);
	map_done(&r->objects);
	arena_done(&r->memory[0]);
	arena_done(&r->memory[1]);
	free(r->lanes);
	free(r);
	return rc;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* The door for bulk effects: one intent for a stream of guarded transactions in lanes, each with a cursor of its own
 * on the destination. In a dry-run the same puts are compared with the destination, counted and sampled. */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/fault.h"
#include "base/text.h"
#include "door.h"
#include "window.h"

#define SAMPLES 5
#define PLAN_PAGE 2000
#define LANE_STACK (512U << 10)

struct stream {
	struct bulk bulk;
	struct value body;      /* what an undo has to know */
	struct memo *memo;
	void *conn_bulk;
	struct window window;
	pthread_mutex_t lock;   /* the counts below, in a dry-run */
	uint64_t added, changed, equal, removed, bytes, batches;
	char *sample[SAMPLES];
	unsigned samples;
};

static struct effect
stream_effect(const struct stream *s)
{
	return (struct effect){ .on = { s->bulk.on, s->bulk.path }, .verb = s->bulk.verb, .body = s->body,
		.says = s->bulk.says };
}

static struct value
bulk_body(struct arena *a, const struct bulk *b)
{
	struct pair *pairs = arena_array(a, 3, sizeof(*pairs));

	pairs[0] = (struct pair){ "keep_markers", value_bool(b->keep_markers) };
	pairs[1] = (struct pair){ "marker_prefix", value_str(b->marker_prefix) };
	pairs[2] = (struct pair){ "name", value_str(b->name) };
	return value_map(pairs, 3);
}

static struct door_letter *
claim_letter(struct step_ctx *cx, const struct stream *s, const char *status)
{
	struct door_letter *l = door_claim(cx, s->bulk.on, s->bulk.marker_prefix, s->bulk.name, status);

	l->rec.effect = s->memo->number;
	l->rec.ref = s->memo->ref;
	l->rec.says = s->bulk.says;
	return l;
}

/* What the journal has of the claim. */
static int
ask_claim(struct step_ctx *cx, struct stream *s, struct err *err)
{
	struct door_letter *l = claim_letter(cx, s, NULL);

	if (ctx_ask(cx, l, err) < 0)
		return -1;
	s->bulk.held = l->found;
	s->bulk.nonces = l->nonces;
	return 0;
}

static int
open_bulk(struct step_ctx *cx, struct stream *s, struct err *err)
{
	struct target *on = s->bulk.on;
	unsigned tries = 0;
	int rc;

	do
		rc = on->type->bulk_open(&cx->op, on->conn, &s->bulk, s->memo->nonce, &s->conn_bulk, err);
	while (rc < 0 && ctx_wait_away(cx, on, &tries, err));
	FAULT("stream.claimed");
	return rc;
}

static int
next_claim(struct err *err, const char *run, const char *step)
{
	return err_next(err, "where others have written there, end this run, compare, and begin a new one with on_existing: wherry abort %s\n"
			     "where nobody has, take a new claim and go on: wherry resolve %s %s --not-done --reason TEXT", run, run, step);
}

/* The intent, then the claim, then that it is held; only after that anything is written under it. A claim that was held is
 * never taken anew, for others may have come since, unless a person says so. */
static int
begin(struct step_ctx *cx, struct stream *s, struct err *err)
{
	const struct effect f = stream_effect(s);
	const bool told = s->memo->state == EFFECT_RESOLVED_NOT_DONE;
	const bool torn = s->memo->state == EFFECT_UNKNOWN && !s->memo->begun; /* nonces may have been lost with its batch */

	if (door_intent(cx, s->memo, &f, "cursor", NULL, err) < 0 || ask_claim(cx, s, err) < 0)
		return -1;
	s->bulk.held = s->bulk.held && !told;
	if (told || torn)
		s->bulk.nonces = NULL;
	if (open_bulk(cx, s, err) < 0)
		return err->kind == ERR_IN_DOUBT ? next_claim(err, cx->at->shared->run, cx->at->path) : -1;
	if (s->bulk.held || ctx_ask(cx, claim_letter(cx, s, "held"), err) == 0)
		return 0;
	s->bulk.on->type->bulk_close(s->conn_bulk);
	s->conn_bulk = NULL;
	return -1;
}

/* A lazy stream begins with its first put; but where the claim that it needs is lost, at once, and in doubt. */
static int
begin_if_due(struct step_ctx *cx, struct stream *s, struct err *err)
{
	struct target *on = s->bulk.on;
	unsigned tries = 0;
	int rc;

	if (!s->bulk.lazy || s->memo->state != EFFECT_FAILED)
		return begin(cx, s, err);
	if (ask_claim(cx, s, err) < 0)
		return -1;
	if (!s->bulk.held)
		return 0;
	do
		rc = on->type->bulk_look(&cx->op, on->conn, &s->bulk, err);
	while (rc < 0 && ctx_wait_away(cx, on, &tries, err));
	return rc < 0 && err->kind == ERR_IN_DOUBT ? begin(cx, s, err) : rc;
}

int
step_stream_open(struct step_ctx *cx, const struct bulk *b, struct stream **ret, const struct value **ret_result,
		 struct err *err)
{
	const struct target_type *type = b->on->type;
	struct stream *s;

	if (type->bulk_open == NULL)
		return err_set(err, ERR_FAILED, "target '%s' of kind %s takes no streams", b->on->name, type->kind);
	if (ctx_check(cx, err) < 0 || target_ready(cx, b->on, err) < 0)
		return -1;
	s = arena_alloc(cx->arena, sizeof(*s));
	s->bulk = *b;
	s->body = bulk_body(cx->arena, b);
	*ret = NULL;
	if (cx->at->shared->mode == MODE_RUN) {
		const struct effect f = stream_effect(s);

		s->memo = memory_ask(cx->at->memory, cx->arena, b->verb, ref_text(cx, &f.on), 1, err);
		if (s->memo == NULL)
			return -1;
		if (s->memo->state == EFFECT_OK || s->memo->state == EFFECT_RESOLVED_DONE) {
			*ret_result = &s->memo->value;
			return 0;
		}
		if (begin_if_due(cx, s, err) < 0)
			return -1;
	} else if (door_guards(cx, err) < 0) {
		return -1;
	}
	window_init(&s->window, b->window_max, b->rate_ops, b->rate_bytes);
	pthread_mutex_init(&s->lock, NULL);
	*ret = s;
	return 0;
}

int
step_stream_cursor(struct step_ctx *cx, struct stream *s, unsigned lane, struct bytes *ret, struct err *err)
{
	unsigned tries = 0;
	int rc;

	*ret = (struct bytes){ 0 };
	if (s->conn_bulk == NULL)
		return 0;
	do
		rc = s->bulk.on->type->bulk_cursor(&cx->op, s->conn_bulk, lane, ret, err);
	while (rc < 0 && ctx_wait_away(cx, s->bulk.on, &tries, err));
	return rc;
}

/* The destination's present item for a key, from one page over the batch's range when the batch is in key order. */
static const struct item *
find_item(const struct page *p, struct bytes key, size_t *at)
{
	while (*at < p->n && bytes_cmp(p->items[*at].key, key) < 0)
		++*at;
	return *at < p->n && bytes_eq(p->items[*at].key, key) ? &p->items[*at] : NULL;
}

static void
count_op(struct stream *s, const struct op *op, const struct item *now)
{
	const bool equal = op->del ? now == NULL : now != NULL && bytes_eq(now->value, op->value);

	pthread_mutex_lock(&s->lock);
	if (equal) {
		s->equal++;
	} else {
		*(op->del ? &s->removed : now != NULL ? &s->changed : &s->added) += 1;
		s->bytes += op->key.len + op->value.len;
		if (s->samples < SAMPLES) {
			struct buf text = BUF_INIT(400);

			text_escape(&text, op->key.p, op->key.len);
			s->sample[s->samples++] = buf_take(&text); /* outlives the lane */
		}
	}
	pthread_mutex_unlock(&s->lock);
}

/* Can this page, read from `from` on, tell about key? */
static bool
page_tells(const struct page *p, struct bytes from, struct bytes key)
{
	return from.p != NULL && bytes_cmp(key, from) >= 0 &&
	       (!p->more || (p->n > 0 && bytes_cmp(key, p->items[p->n - 1].key) <= 0));
}

/* The end of the range that holds every key of a batch. */
static struct bytes
batch_end(struct arena *a, const struct batch *b)
{
	struct bytes last = { 0 };

	for (size_t i = 0; i < b->n; i++)
		if (bytes_cmp(b->ops[i].key, last) > 0)
			last = b->ops[i].key;
	return (struct bytes){ arena_strndup(a, last.p, last.len), last.len + 1 };
}

static int
compare_batch(struct step_ctx *cx, struct stream *s, const struct batch *b, struct err *err)
{
	struct arena scratch = ARENA_INIT, ends = ARENA_INIT, *keep = cx->op.arena;
	const struct bytes end = b->n > 0 ? batch_end(&ends, b) : (struct bytes){ 0 };
	struct bytes from = { 0 };
	struct page page = { 0 };
	size_t at = 0;
	int ret = -1;

	cx->op.arena = &scratch;
	for (size_t i = 0; i < b->n; i++) {
		const struct query q = { .target = s->bulk.on, .from = b->ops[i].key, .to = end, .limit = PLAN_PAGE };

		if (!page_tells(&page, from, b->ops[i].key)) {
			arena_reset(&scratch);
			if (ctx_check(cx, err) < 0 ||
			    s->bulk.on->type->list(&cx->op, s->bulk.on->conn, &q, &page, err) < 0)
				goto out;
			from = b->ops[i].key;
			at = 0;
		} else if (at > 0 && bytes_cmp(b->ops[i].key, page.items[at - 1].key) <= 0) {
			at = 0; /* a batch that is not in key order */
		}
		count_op(s, &b->ops[i], find_item(&page, b->ops[i].key, &at));
	}
	if (s->bulk.on->type->foresee != NULL && s->bulk.on->type->foresee(&cx->op, s->bulk.on->conn, &s->bulk, b, err) < 0)
		goto out;
	pthread_mutex_lock(&s->lock);
	s->batches++;
	pthread_mutex_unlock(&s->lock);
	ret = 0;
out:
	cx->op.arena = keep;
	arena_done(&scratch);
	arena_done(&ends);
	return ret;
}

static int
put_batch(struct step_ctx *cx, struct stream *s, unsigned lane, const struct batch *b, enum put_result *ret,
	  int64_t *ret_revision, struct err *err)
{
	const size_t ops = b->n > 0 ? b->n : 1; /* a cursor alone is a write, too */
	uint64_t bytes = b->n > 0 ? 0 : b->cursor.len;
	unsigned tries = 0;
	int64_t wait;
	int rc;

	for (size_t i = 0; i < b->n; i++)
		bytes += b->ops[i].key.len + b->ops[i].value.len;
	wait = window_charge(&s->window, ops, bytes);
	if (wait > 0 && step_sleep(cx, wait, err) < 0)
		return -1;
	while (!window_enter(&s->window, bytes))
		if (ctx_check(cx, err) < 0)
			return -1;
	do
		rc = s->bulk.on->type->bulk_put(&cx->op, s->conn_bulk, lane, b, ret, ret_revision, err);
	while (rc < 0 && ctx_wait_away(cx, s->bulk.on, &tries, err));
	window_leave(&s->window, bytes, rc == 0);
	FAULT("stream.put");
	return rc;
}

int
step_stream_put(struct step_ctx *cx, struct stream *s, unsigned lane, const struct batch *b, enum put_result *ret,
		int64_t *ret_revision, struct err *err)
{
	if (ctx_check(cx, err) < 0)
		return -1;
	if (s->memo != NULL && s->conn_bulk == NULL && begin(cx, s, err) < 0)
		return -1;
	if (s->conn_bulk != NULL)
		return put_batch(cx, s, lane, b, ret, ret_revision, err);
	*ret = PUT_DONE;
	*ret_revision = 0;
	return compare_batch(cx, s, b, err);
}

/* What the stream makes unknowable: its range, and what its handler names. */
static const char **
unknowable_paths(struct step_ctx *cx, const struct stream *s)
{
	size_t n = 0;
	const char **paths;

	while (s->bulk.unknowable != NULL && s->bulk.unknowable[n] != NULL)
		n++;
	paths = arena_array(cx->arena, n + 2, sizeof(*paths));
	paths[0] = s->bulk.path;
	if (n > 0)
		memcpy(paths + 1, s->bulk.unknowable, n * sizeof(*paths));
	return paths;
}

/* The dry-run's line for the whole stream. */
static int
announce(struct step_ctx *cx, struct stream *s, struct err *err)
{
	const struct effect f = stream_effect(s);
	const struct value unknown = value_unknown("an earlier step writes this range");
	struct buf diff = BUF_INIT(1 << 16);
	struct door_letter *l = ctx_letter(cx, LETTER_ACTION);
	char size[32];

	buf_printf(&diff, "+ %llu new, ~ %llu changed, - %llu removed, = %llu written again as they are; %s in %llu transactions\n",
		   (unsigned long long)s->added, (unsigned long long)s->changed, (unsigned long long)s->removed,
		   (unsigned long long)s->equal, size_text(s->bytes, size), (unsigned long long)s->batches);
	for (unsigned i = 0; i < s->samples; i++)
		buf_printf(&diff, "  %s%s\n", s->sample[i], i + 1 == SAMPLES ? " …" : "");
	buf_printf(&diff, "  while it runs: a claim and cursors under %s on %s\n", s->bulk.marker_prefix, s->bulk.on->name);
	l->event = (struct event){ .kind = EVENT_ACTION, .step = cx->at->path, .type = cx->at->type->name, .verb = f.verb,
		.ref = ref_text(cx, &f.on), .says = f.says, .confidence = CONF_PREDICTED,
		.done = s->added + s->changed + s->removed + s->equal, .unchanged = s->batches == 0,
		.diff = arena_strdup(cx->arena, diff.p) };
	l->effect = &f;
	buf_done(&diff);
	ctx_post(cx, l, false);
	door_counts(cx, l->event.unchanged);
	return door_overlay(cx, &f.on, unknowable_paths(cx, s), &unknown, err);
}

int
step_stream_close(struct step_ctx *cx, struct stream *s, bool ok, const struct value *result, struct err *err)
{
	int ret = 0;

	if (s == NULL)
		return 0;
	if (s->conn_bulk != NULL)
		s->bulk.on->type->bulk_close(s->conn_bulk);
	if (ok && s->conn_bulk != NULL)
		door_settled(cx, s->bulk.on, s->memo, EFFECT_OK, result, NULL);
	else if (ok && s->memo == NULL && (s->batches > 0 || !s->bulk.lazy))
		ret = announce(cx, s, err);
	for (unsigned i = 0; i < s->samples; i++)
		free(s->sample[i]);
	window_done(&s->window);
	pthread_mutex_destroy(&s->lock);
	return ret;
}

struct lane {
	struct step_ctx cx;
	struct arena arena;
	pthread_t thread;
	step_lane_fn *fn;
	void *data;
	unsigned number;
	int rc;
	struct err err;
};

static void *
lane_main(void *arg)
{
	struct lane *l = arg;

	l->rc = l->fn(&l->cx, l->data, l->number, &l->err);
	if (l->rc < 0)
		cancel_raise(&l->cx.at->lanes_cancel, 1);
	return NULL;
}

int
step_lanes(struct step_ctx *cx, unsigned n, step_lane_fn *fn, void *data, struct err *err)
{
	struct lane *lanes = xcalloc(n, sizeof(*lanes));
	pthread_attr_t attr;
	unsigned started = 0;
	int rc = 0;

	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, LANE_STACK);
	for (; started < n; started++) {
		struct lane *l = &lanes[started];
		int sys;

		*l = (struct lane){ .fn = fn, .data = data, .number = started };
		ctx_init(&l->cx, cx->at, &l->arena, &cx->at->lanes_cancel);
		l->cx.lane = true;
		sys = pthread_create(&l->thread, &attr, lane_main, l);
		if (sys == 0)
			continue;
		cancel_raise(&cx->at->lanes_cancel, 1);
		rc = err_set(err, ERR_LOCAL, "cannot start lane %u of %u: %s", started + 1, n, strerror(sys));
		break;
	}
	pthread_attr_destroy(&attr);
	for (unsigned i = 0; i < started; i++) {
		struct lane *l = &lanes[i];

		pthread_join(l->thread, NULL);
		/* a lane that was cancelled because of another's error is not the story to tell */
		if (l->rc < 0 && (rc == 0 || err->kind == ERR_CANCELLED)) {
			rc = -1;
			*err = l->err;
		}
		arena_done(&l->cx.page);
		arena_done(&l->arena);
	}
	free(lanes);
	/* a signal that comes in between is in shared.cancel by then */
	atomic_store(&cx->at->lanes_cancel, 0);
	cancel_raise(&cx->at->lanes_cancel, atomic_load(&cx->at->shared->cancel));
	return rc;
}

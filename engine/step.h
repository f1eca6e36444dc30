/* SPDX-License-Identifier: Apache-2.0 */
/* The whole contract for step handlers. A handler is straight-line code on a worker thread: it gets const args, reads,
 * and asks the door for effects. It blocks only in step_* calls; each of them observes cancel and deadline.
 * The same handler runs for `plan`: then effects are predicted, and waits are assumed to succeed. */
#ifndef WHERRY_STEP_H
#define WHERRY_STEP_H

#include "base/arena.h"
#include "base/buf.h"
#include "schema.h"
#include "target.h"
#include "value.h"

struct step_ctx;
struct step_type;
struct stream;
struct watch;

/* A nested step (`wait` has one): bound inputs of a read-only step type. */
struct call {
	const struct step_type *type;
	const void *args;
};

enum step_flags {
	STEP_PURE = 1,      /* never blocks and has no effect: runs on the coordinator */
	STEP_READ_ONLY = 2, /* no effects: may be a guard or be nested in wait */
	STEP_LATER = 4,     /* known word of a later version: refused by validate */
	STEP_PARKS = 8,     /* with STEP_PURE: waits for a time or a person without a worker; cannot be called by others */
	STEP_GATE = 16,     /* a person's word lets it pass, and with it an irreversible step that needs it */
	STEP_WAITS = 32,    /* waits for the world to become so: a plan should limit it */
};

struct step_type {
	const char *name;            /* family.verb */
	const char *summary;         /* one line */
	const struct field *inputs;  /* ended by an empty name */
	const struct field *outputs;
	size_t args_size;
	unsigned flags;
	unsigned version;            /* semantic version: a change of meaning counts up */
	int (*run)(struct step_ctx *, const void *args, struct err *);
	/* Extra static checks of the bound args, pure; may be NULL. */
	int (*check)(const void *args, struct err *);
	/* Is a call with these args read-only although the type is not (exec with read_only)? May be NULL. */
	bool (*is_read_only)(const void *args);
	/* Can a call with these args that was cut off be settled without a person? NULL: yes, whatever they are. With it,
	 * what the type does is opaque: nothing of it can be taken back by itself. */
	bool (*is_repeatable)(const void *args);
};

/* Read an object: overlay first (dry-run), then target. Absent reads as null. Lives as long as the attempt. */
int step_read(struct step_ctx *, const struct ref *, const struct value **ret, struct err *);
/* Read one page. Its memory is freed by the next step_list on the same ctx, unless kept by step_page_keep. */
int step_list(struct step_ctx *, const struct query *, struct page *ret, struct err *);
/* Take the memory of the last page: it is in *keep now, and what was there is used for the next one. */
void step_page_keep(struct step_ctx *, struct arena *keep);
int step_watch(struct step_ctx *, const struct query *, struct watch **ret, struct err *);
/* Changes as they come; waits at most wait_ns. ret lives until the next call. */
int step_watch_next(struct watch *, int64_t wait_ns, struct changes *ret, struct err *);
void step_watch_close(struct watch *);

/* Ask the door for an effect. ret_after (may be NULL): the reply's value; for target kinds with images the after-image.
 * On resume a settled effect answers from the journal. */
int step_effect(struct step_ctx *, const struct effect *, const struct value **ret_after, struct err *);

/* Many effects that do not need one another, as fast as their target goes: each is what step_effect would make of it, but
 * rounds of them are looked at, made durable in one batch, and written side by side. After a failure what is under way ends, and
 * nothing new begins. Neither opaque ones nor read-only ones. In between only so much of them is in memory as a round holds. */
struct settled {
	const struct effect *effect;
	const struct value *after;  /* as step_effect's ret_after; NULL: it settled in an earlier walk (a resume, a retry) */
	bool unchanged;             /* it was so already */
};
struct many {
	unsigned parallel;          /* writes under way, at most 64 */
	/* The next one; 0: there are no more. What it points to may be in the arena, which lives until its `done` has returned. */
	int (*next)(struct step_ctx *, void *data, struct arena *, struct effect *ret, struct err *);
	/* It has settled, told in the order of `next`; may be NULL. Lives as long as the call. */
	int (*done)(struct step_ctx *, void *data, const struct settled *, struct err *);
	void *data;
};
/* Both are called by the handler's own thread, and may do all but ask for effects. */
int step_effects(struct step_ctx *, const struct many *, struct err *);

/* A bulk effect: one intent, then puts in lanes. In a dry-run puts are compared with the destination and counted
 * instead. When the stream was settled before (a resume), ret is NULL and ret_result is the recorded result. */
int step_stream_open(struct step_ctx *, const struct bulk *, struct stream **ret, const struct value **ret_result,
		     struct err *);
/* The lane's last cursor (empty: none, or a lazy stream that has not begun): where to go on. */
int step_stream_cursor(struct step_ctx *, struct stream *, unsigned lane, struct bytes *ret, struct err *);
/* One guarded transaction; waits for the stream's rate limits and its window of transactions in flight first. */
int step_stream_put(struct step_ctx *, struct stream *, unsigned lane, const struct batch *, enum put_result *ret,
		    int64_t *ret_revision, struct err *);
/* Free the stream. ok: its effect settles with this result; else it stays open for a resume. */
int step_stream_close(struct step_ctx *, struct stream *, bool ok, const struct value *result, struct err *);

/* Run fn in n parallel lanes (threads of the engine), each with a ctx of its own for step_list, step_stream_*,
 * step_sleep and step_progress; returns when all have ended; the first error wins and cancels the others. */
typedef int step_lane_fn(struct step_ctx *lane_cx, void *data, unsigned lane, struct err *err);
int step_lanes(struct step_ctx *, unsigned n, step_lane_fn *fn, void *data, struct err *err);

/* For steps that park. False: what it waits for has not come; return 0, and the handler runs again when it has. In a
 * dry-run it has come, and counts as assumed. */
bool step_until(struct step_ctx *, int64_t ns);
/* Ask a person; answers: the words to choose from, of which "no" rejects (then the step fails and is not run again). */
struct answer {
	struct value choice, by; /* the word; "user@host" */
};
bool step_ask(struct step_ctx *, const char *question, const struct value *answers, struct answer *ret);
/* Sleep; in a dry-run returns at once and counts as assumed. */
int step_sleep(struct step_ctx *, int64_t ns, struct err *err);
/* Progress so far of total (0: not known) in unit ("keys", "bytes"); cheap, coalesced. */
void step_progress(struct step_ctx *, uint64_t done, uint64_t total, const char *unit);
/* Set an output; the value is copied. A secret is refused. */
int step_output(struct step_ctx *, const char *name, struct value v, struct err *err);
/* A line for people, shown and journalled. */
void step_note(struct step_ctx *, const char *fmt, ...) PRINTF(2, 3);
/* Add to what err says is next: "why: " and the command that has the input's value (a word) another one. Returns -1. */
int step_suggest(struct step_ctx *, const char *why, const char *input, const char *value, struct err *err);
/* Run a nested read-only step; its outputs as a map, which lives until the next one. */
int step_call(struct step_ctx *, const struct call *, const struct value **ret_outputs, struct err *err);
/* Evaluate an input of type expr over value; the result lives until the next step_call. */
int step_expr(struct step_ctx *, const struct expr *, const struct value *value, struct value *ret, struct err *err);

/* True in a dry-run: for the text of an assumption only ("assumed to succeed"), never to take another path. */
bool step_is_plan(const struct step_ctx *);
/* Has the step begun something that stands, in this walk or an earlier one? Then what is there may be its own. */
bool step_has_begun(const struct step_ctx *);
/* Say that this wait is assumed to succeed; only in a dry-run, printed with the step. */
void step_assume(struct step_ctx *, const char *fmt, ...) PRINTF(2, 3);
struct arena *step_arena(struct step_ctx *);
const char *step_text(struct step_ctx *, const char *fmt, ...) PRINTF(2, 3);
/* The implicit target of a local kind ("process", "file"). */
struct target *step_local(struct step_ctx *, const char *kind);
/* The run's id and folder (symbolic in a dry-run). */
const char *step_run_id(const struct step_ctx *);
/* The step's path in it. */
const char *step_path(const struct step_ctx *);
int64_t step_deadline(const struct step_ctx *);
/* A random number for jitter, from the run's seed. */
uint64_t step_random(struct step_ctx *);

/* Every step type and target kind, NULL-ended lists; steps/registry.c has the one instance, main hands it down. */
struct registry {
	const struct step_type *const *steps;
	const struct target_type *const *targets;
};
const struct step_type *registry_step(const struct registry *, const char *name);
const struct target_type *registry_target(const struct registry *, const char *kind);
/* May a plan declare targets of this kind? All but local ones that have no fields. */
bool registry_is_declarable(const struct target_type *);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* An edited plan for a run that has begun: what becomes of each step. Nothing here changes anything. */
#ifndef WHERRY_EDIT_H
#define WHERRY_EDIT_H

#include "history.h"
#include "plan.h"

enum verdict {
	EDIT_AHEAD,     /* not finished, and as it was: nothing to say */
	EDIT_CHANGED,  /* not finished: the new text counts */
	EDIT_NEW,
	EDIT_KEEP,     /* finished, and stays so */
	EDIT_REDO,     /* it has done what is not asked for any more, and is done again */
	EDIT_ORPHANED, /* not in the plan any more, and effects of it stand */
	EDIT_GONE,     /* not in the plan any more, and nothing of it stands */
	EDIT_DOUBT,    /* begun and not settled */
	EDIT_VERDICTS
};
const char *verdict_name(enum verdict); /* "keep", "redo", … */

struct edit_step {
	const char *id;        /* lives as long as its plan */
	enum verdict verdict;
	const char *why;       /* in the edit's arena, or NULL */
	uint32_t index;        /* in the new plan; of those that are not in it, in the old one */
	bool again;            /* of it and what it holds: what it has done is past then, and stands: what it does now is more */
	bool retried;          /* it had failed or was blocked, and is pending again */
	bool harmful;          /* again, and doing it twice may do harm */
	bool blocking;         /* in doubt, and edited: first it has to be settled */
	bool inside;           /* of a plan that step `index` runs */
	bool spoken;           /* it is kept because of edit_sides.keep */
};

struct edit {
	struct arena arena;
	struct edit_step *steps; /* of the new plan, in its order; of plans that it runs; and those that it has not */
	uint32_t n;
	struct edit_step *inside; /* while they are gathered */
	uint32_t ninside, inside_cap;
	const char **notes;      /* what is not of a step */
	size_t nnotes;
	bool changed;            /* anything that matters differs */
};

struct edit_sides {
	const struct plan *was, *now;
	const struct value *params_was, *params; /* of the old plan and the new one; secrets with their content */
	const struct history *history;
	const char *run, *dir;
	const char *const *orphans; /* steps of the old plan that are in it only so that they can be taken back; or NULL */
	const char *const *keep; /* steps that are to stay finished although their inputs differ; NULL-ended, or NULL */
};
/* -1: the plans cannot be compared at all. */
int edit_compare(const struct edit_sides *, struct edit *ret, struct err *err);
void edit_done(struct edit *);
/* Is it the path of the step, or of one that it holds? */
bool edit_is_of(const char *path, const char *id);
/* Is it, or what holds it, one of the words (NULL-ended, or NULL)? */
bool edit_is_named(const char *const *words, const char *path);
/* What the history says of a step; s is that of the plan. */
bool edit_is_finished(const struct hist_step *); /* NULL: no */
bool edit_has_no_way(const struct hist_step *);
bool edit_has_effects(const struct step *s, const struct hist_step *);
bool edit_is_harmful(const struct step *s, const struct hist_step *);
bool edit_leaves_something(const struct step *s, const struct hist_step *);

/* edit_inside.c */

/* Judge what has been done in a plan that a step runs and that was edited. False: its parameters or targets are others, so
 * that nothing in it can be told apart. */
bool edit_inside(const struct edit_sides *, struct edit *ret, const struct edit_step *holder, const struct plan *was,
		 const struct plan *now);

/* edit_terms.c */

/* What a step that has not finished will do otherwise, or NULL. */
const char *edit_other_terms(const struct plan *a, const struct step *was, const struct plan *b, const struct step *now);
bool edit_same_each(const struct plan *a, const struct step *x, const struct plan *b, const struct step *y);
/* Have two plans the same parameters and targets? */
bool edit_same_frame(const struct plan *a, const struct plan *b);
/* Do the plans that two steps run say the same? */
bool edit_same_sub(const struct plan *a, const struct step *x, const struct plan *b, const struct step *y);
/* What the step needs: by id, 1 where it only waits for the end; for map_done. */
struct map edit_needs(const struct plan *, const struct step *);
/* Is that step (by number) one of its guards? */
bool edit_is_guard(const struct step *, uint32_t);

/* edit_inputs.c */

struct edit_eyes; /* sees expressions with what is known of the run */
struct edit_eyes *edit_eyes_new(const struct edit_sides *);
void edit_eyes_free(struct edit_eyes *);
/* Why a step of the old plan does something else than one of the new plan, or NULL: it does the same. */
const char *edit_inputs_differ(struct edit_eyes *, const struct step *was, const struct step *now, struct arena *);
/* Do the items of two steps come from the same list, and are they told apart by the same key? */
bool edit_same_list(struct edit_eyes *, const struct step *was, const struct step *now);
bool edit_same_key(const struct edit_eyes *, const struct step *was, const struct step *now);
/* Would the step of the new plan be skipped? False also when that cannot be told. */
bool edit_skips(struct edit_eyes *, const struct step *now);
/* Do two trees say the same, whatever their order and their quotes? NULL is nothing. */
bool edit_same_node(const struct node *a, const struct node *b);

#endif

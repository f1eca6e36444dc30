/* SPDX-License-Identifier: Apache-2.0 */
/* A plan as data: frozen once loaded and validated. Steps are compact (a plan may hold 200,000). */
#ifndef WHERRY_PLAN_H
#define WHERRY_PLAN_H

#include "base/map.h"
#include "step.h"
#include "yaml.h"

#define PLAN_MAX_STEPS 200000
#define PLAN_MAX_GUARDS 100 /* of one step */
#define PLAN_MAX_POOLS 64    /* of one plan */
#define PLAN_MAX_DEPTH 8     /* plans within plans */
#define PLAN_MAX_FILES 64    /* in one closure */

struct retry {
	uint32_t attempts;           /* in all, at least 1 */
	int64_t backoff, max_backoff; /* ns; doubled each time, with jitter */
};
enum on_error { ON_ERROR_STOP, ON_ERROR_CONTINUE, ON_ERROR_ROLLBACK };
struct policy {                      /* shared between steps that say the same */
	int64_t timeout;             /* ns for all attempts of the step; 0: not said */
	struct retry retry;
	enum on_error on_error;
};

/* The time-out of a step that says nothing; a gate has none. */
#define PLAN_TIMEOUT INT64_C(3600000000000)

/* step[from] waits for step[to]. weak: only for its end, whatever it was (`x?`, .status, .ran, .items). */
struct need {
	uint32_t to;
	bool weak;
};

/* What `undo:` of a step says. */
struct plan_undo {
	uint32_t step;
	const struct step_type *type;
	struct node with;                 /* map, or len 0 */
};

struct step {
	const char *id;
	const struct step_type *type;
	struct node with;                 /* map, or len 0 */
	const struct node *when;          /* scalar, or NULL */
	const struct node *allow;         /* map of lints to reasons, or NULL */
	const struct policy *policy;
	uint32_t need_first, need_count;  /* into plan.needs */
	uint32_t line;
	uint16_t col;
	bool finally;                     /* one of `finally` */
	bool undone;                      /* one of those takes it back */
	uint32_t undoes;                  /* the step that this one takes back (`uses: undo`), or PLAN_NO_STEP */
	bool each;                        /* it has a `foreach` */
	uint8_t pool;                     /* 1 + its pool, or 0 */
	uint16_t nguards;
	const uint32_t *guards;           /* steps that run again before the first effect */
	const char *irreversible;         /* why there is no way back from here, or NULL */
};
#define PLAN_NO_STEP UINT32_MAX

/* What `foreach` of a step says: each item of the list is a child, told apart by its key. */
struct plan_foreach {
	uint32_t step;
	bool when_each;          /* its `when` names item, index or key: asked for each item; else once, for all of them */
	const struct node *list; /* one whole expression, or a list */
	const struct node *key;  /* text with expressions over `item` */
};

/* A step that `uses: plan`. */
struct plan_sub {
	uint32_t step;
	const struct plan *plan; /* owned by the root of the closure; several steps may share it */
	struct node params;      /* map of its parameters to values, or len 0 */
	const uint32_t *targets; /* for each of its targets 1 + the one of ours that is handed in, or 0: its own */
};

/* `uses: undo` of a step inside a child that is known from the plan: "etcd/fence". The step undoes (step.undoes) is the
 * first one on the path. */
struct plan_reach {
	uint32_t step;
	const char *path;
};

struct plan_pool {
	const char *name;
	uint32_t limit;          /* steps of it under way at once, at least 1 */
};

struct param {
	struct field field;               /* name, type, default, … as a field */
	const char *env;                  /* environment variable, or NULL */
	const struct node *dflt;          /* default as written, or NULL */
	struct pos where;
};

struct plan_target {
	const char *name;
	const struct target_type *type;
	struct node fields;
	struct pos where;
	bool required;            /* the caller's: it has no fields of its own, and a plan with one does not run by itself */
};

/* Who waits for whom. */
struct graph {
	uint32_t *user_first; /* nsteps + 1 offsets into users */
	struct need *users;   /* steps that need this one, ascending; weak as their need says */
};

struct plan {
	struct arena arena;
	const char *file;          /* as named by the user */
	const char *name, *summary;
	char *text;                /* the source bytes, for excerpts and the journal */
	size_t text_len;
	char *image;               /* what holds the strings of a plan that was read from its image, or NULL */
	struct param *params;
	size_t nparams;
	struct plan_target *targets;
	size_t ntargets;
	struct step *steps;        /* plan order; `finally` last */
	uint32_t nsteps, nmain;    /* nmain: those before `finally` */
	struct need *needs;
	struct plan_undo *undos;   /* in plan order: few steps have one */
	struct plan_foreach *foreachs; /* these too */
	struct plan_sub *subs;
	struct plan_reach *reaches;
	struct plan_pool *pools;
	uint32_t nneeds, npolicies, nundos, nforeachs, nsubs, nreaches, npools;
	struct policy *policies;   /* each that a step has, once */
	struct node outputs;       /* map, or len 0 */
	struct node allow;         /* map of lints to reasons, or len 0 */
	const char *key;           /* its name in the closure of a run; the root's is not used */
	struct plan **parts;       /* of a root: all plans below it, each once, in the order they were read */
	uint32_t nparts;
	struct map index;          /* step id -> index; of a plan from its image filled when it is first asked for */
	struct graph graph;        /* made when it is first asked for */
};

/* Where the plans come from that a plan runs. */
struct plan_reader {
	/* Append the text of the plan that the plan in the file `from` names by word: a bundled one's name, or a path from
	 * there. key: what it is called in the closure of a run. ret_file: what it is called in messages, in the arena. */
	int (*read)(void *data, const char *from, const char *word, bool bundled, const char *key, struct arena *,
		    const char **ret_file, struct buf *to, struct err *err);
	void *data;
};
/* Load, check and freeze a plan's text, and the plans that it runs (reader NULL: it may not run any). NULL when there
 * are problems (all of them collected). File and text are copied. */
struct plan *plan_load(const struct registry *, const struct plan_reader *reader, const char *file, const char *text,
		       size_t len, struct problems *problems);
void plan_free(struct plan *);
/* The number of a step, or MAP_NONE. For one thread at a time. */
uint32_t plan_find(const struct plan *, const char *id, size_t len);
/* The step of a path down from the root, ID/ID, or MAP_NONE; an ID with `foreach` has its item's key behind it, ID[KEY], in
 * which there is no "]". ret: its plan. */
uint32_t plan_find_path(const struct plan *root, const char *path, const struct plan **ret);
/* What `undo:` of the step says, or NULL: it is taken back by itself. */
const struct plan_undo *plan_undo_of(const struct plan *, uint32_t step);
/* What `foreach` of the step says, or NULL. */
const struct plan_foreach *plan_foreach_of(const struct plan *, uint32_t step);
/* The plan that the step runs, or NULL. */
const struct plan_sub *plan_sub_of(const struct plan *, uint32_t step);
/* The path inside a child that the step (`uses: undo`) takes back, or NULL: all of step.undoes. */
const char *plan_reach_of(const struct plan *, uint32_t step);
/* Set used (one a parameter) of those that an expression names. handed: as plan_sub.targets, whose fields then do not count;
 * NULL: all count. */
void plan_used_params(const struct plan *, struct expr_host *, const uint32_t *handed, bool *used);
/* The type of a step that `uses: plan`: data for tables; the coordinator runs it. */
extern const struct step_type sub_step;

/* Put steps of another plan, by their numbers, behind the steps of this one; before anybody has looked at it. `from` has to
 * live as long. */
void plan_graft(struct plan *, const struct plan *from, const uint32_t *steps, uint32_t n);

/* Parameter values from -p, --params, environment and defaults, in this order of strength. given: pairs name, text
 * (from -p; a secret is refused), file: a parsed params file or NULL. use_env false on a resume: only secrets are read
 * from outside again. ret: map name -> value (secrets as V_SECRET) in the arena. All problems at once. */
struct param_source {
	const char *const (*given)[2];
	size_t ngiven;
	const struct value *file;    /* map from --params, or NULL */
	const char *file_name;
	const struct value *stored;  /* map from the journal on a resume, or NULL: non-secret values come from here */
	const char *(*env)(void *data, const char *name); /* environment look-up */
	void *env_data;
	/* ask the operator for a missing required secret without echo; NULL or returns NULL: not available */
	const char *(*ask)(void *data, const char *prompt);
};
/* The variable that may hold it, WHERRY_PARAM_NAME: upper case, '-' as '_'. */
const char *params_env_name(struct arena *, const char *param);
int params_resolve(const struct plan *, const struct param_source *, struct arena *, struct value *ret,
		   struct problems *problems);
/* The same for a plan that another one runs: given is the evaluated map of what it hands in, all else takes its default.
 * What is UNKNOWN stays so. ret may share memory with given. */
int params_hand(const struct plan *, const struct value *given, struct arena *a, struct value *ret, struct err *err);

#endif

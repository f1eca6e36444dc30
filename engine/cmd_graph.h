/* SPDX-License-Identifier: Apache-2.0 */
/* What is drawn by `wherry graph`: shared by cmd_graph*.c only. */
#ifndef WHERRY_CMD_GRAPH_H
#define WHERRY_CMD_GRAPH_H

#include "cmd.h"

/* What is drawn: history is NULL for a plan. */
struct drawing {
	const struct plan *plan;
	const char *run, *state;
	const struct history *history;
	bool live;
	const struct style *style;
	struct arena paths;
	uint32_t drawn;       /* steps so far */
	struct map index;     /* of counts, by path with [*] for the key of an item */
	struct counts *counts;
	uint32_t ncounts, cap;
};

/* How many items are in which state. */
struct counts {
	uint32_t of[STEP_STATUSES];
};

/* A plan of it: the root, or one that a step of another runs. */
struct level {
	struct drawing *of;
	const struct plan *plan;
	const char *prefix; /* of the paths of its steps */
	unsigned depth;
	bool items;         /* it stands for each item of a foreach: no step of it is one of the run */
	uint32_t base;      /* the number of its first step in the drawing */
};

struct style {
	void (*begin)(const struct drawing *, struct buf *);
	void (*step)(const struct level *, uint32_t i, struct buf *);
	void (*inside)(const struct level *, uint32_t i, struct buf *); /* before a step that runs a plan, and the steps of that */
	void (*out)(const struct level *, struct buf *);                /* after them */
	void (*finally)(const struct level *, struct buf *);            /* before the first step of `finally` */
	void (*over)(const struct level *, struct buf *);               /* after the last step */
	void (*end)(const struct drawing *, struct buf *);
};

extern const struct style graph_text, graph_dot, graph_mermaid;

/* The step's path; in the arena of the drawing. */
const char *graph_path(const struct level *, uint32_t i);
/* Its state in a run, or STEP_STATUSES. */
int graph_state(const struct level *, uint32_t i);
void graph_indent(const struct level *, const char *by, unsigned more, struct buf *);
/* Its type, what it is about, and how often it runs. */
void graph_type(const struct level *, uint32_t i, struct buf *);
/* What a reviewer must not miss: what is looked at again before it begins, and that there is no way back. */
void graph_caution(const struct level *, const struct step *, const char *separator, struct buf *);
/* How far its items have come in a run. */
void graph_counts(const struct level *, uint32_t i, const char *separator, struct buf *);

#endif

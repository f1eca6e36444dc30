/* SPDX-License-Identifier: Apache-2.0 */
/* The dependency graph: users of each step, cycle with its path, selection. Linear in steps and edges. */
#ifndef WHERRY_GRAPH_H
#define WHERRY_GRAPH_H

#include "plan.h"

/* The users of a plan's steps; the plan's own. For one thread at a time. */
const struct graph *graph_of(const struct plan *);
void graph_done(struct graph *);
/* Is there a cycle? Adds one problem per cycle found: "dependency cycle: a -> b -> a". */
bool graph_check_cycles(const struct plan *, struct problems *);
/* --only/--from/--until by step ids: selected[i] set for the chosen steps (of main). Unknown ids: ERR_USAGE with the
 * nearest name. `only`: just these; `from`: these and all that follow from them; `until`: these and all they need. */
struct selection {
	const char *const *only, *const *from, *const *until; /* NULL-ended lists or NULL */
};
/* Does it leave nothing out? */
bool graph_selects_all(const struct selection *);
int graph_select(const struct plan *, const struct selection *, bool *selected, struct err *);
/* Mark all that need one of those that are marked, in turn. */
void graph_mark_users(const struct plan *, bool *marked);
/* What a selected step needs has to be selected too, or over. */
int graph_selected_whole(const struct plan *, const bool *selected, const bool *over, struct err *);

#endif

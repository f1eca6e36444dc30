/* SPDX-License-Identifier: Apache-2.0 */
/* Looks up step types and target kinds by name. Linear: the lists are some tens long, and a plan of 200,000 steps is
 * still read in well under a second. */
#include "step.h"

#include <string.h>

const struct step_type *
registry_step(const struct registry *r, const char *name)
{
	for (const struct step_type *const *t = r->steps; *t != NULL; t++)
		if (strcmp((*t)->name, name) == 0)
			return *t;
	return NULL;
}

const struct target_type *
registry_target(const struct registry *r, const char *kind)
{
	for (const struct target_type *const *t = r->targets; *t != NULL; t++)
		if (strcmp((*t)->kind, kind) == 0)
			return *t;
	return NULL;
}

bool
registry_is_declarable(const struct target_type *t)
{
	return !t->local || t->fields[0].name != NULL;
}

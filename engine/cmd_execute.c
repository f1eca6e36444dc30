/* SPDX-License-Identifier: Apache-2.0 */
/* What run, resume, abort and plan share: selection and jobs, the record of how a process was started, and the call of
 * the coordinator with its report. */
#include "cmd.h"

#include <stdlib.h>
#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "steps/registry.h"

#define DEFAULT_JOBS 8

/* The list at `key` of a recorded selection as NULL-ended words. */
static const char *const *
recorded_words(struct front *f, const struct value *selection, const char *key)
{
	const struct value *list = selection != NULL ? value_get(selection, key) : NULL;
	const char **words;

	if (list == NULL || list->kind != V_LIST)
		return NULL;
	words = arena_array(&f->arena, list->len + 1, sizeof(*words));
	for (uint32_t i = 0; i < list->len; i++)
		words[i] = list->items[i].kind == V_STRING ? arena_strdup(&f->arena, list->items[i].s) : "";
	return words;
}

/* Is every step that the selection names in the plan and, in a new run, what they need? Asked before the run exists. */
static int
check_selection(const struct plan *plan, const struct selection *selection, bool fresh, struct err *err)
{
	bool *selected, *over;
	int ret;

	if (graph_selects_all(selection))
		return 0;
	selected = xcalloc(plan->nsteps + 1, sizeof(*selected));
	over = xcalloc(plan->nsteps + 1, sizeof(*over));
	ret = graph_select(plan, selection, selected, err);
	if (ret == 0 && fresh)
		ret = graph_selected_whole(plan, selected, over, err);
	free(selected);
	free(over);
	return ret;
}

/* Why a path leads nowhere. */
static int
no_such_step(struct front *f, const struct plan *plan, const char *path, struct err *err)
{
	const char *id = arena_strndup(&f->arena, path, strcspn(path, "[/")), **names = arena_array(&f->arena, plan->nsteps, sizeof(*names));
	const uint32_t i = plan_find(plan, id, strlen(id));

	if (i != MAP_NONE && plan_sub_of(plan, i) == NULL)
		return err_set(err, ERR_USAGE, "--approve '%s': step '%s' holds no steps", path, id);
	if (i != MAP_NONE)
		return err_set(err, ERR_USAGE, "--approve '%s': no such step in plan '%s', which step '%s' runs%s", path,
			       plan_sub_of(plan, i)->plan->name, id, plan->steps[i].each ? " for each item: ID[KEY]/ID" : "");
	for (uint32_t k = 0; k < plan->nsteps; k++)
		names[k] = plan->steps[k].id;
	return err_set(err, ERR_USAGE, "--approve '%s': plan '%s' has no step '%s'%s", path, plan->name, id,
		       front_nearest(f, id, names, plan->nsteps));
}

/* Each step that --approve names has something to be approved; whether an item of that key is there shows in the run. */
static int
check_approved(struct front *f, const struct plan *plan, const char *const *words, struct err *err)
{
	for (; words != NULL && *words != NULL; words++) {
		const struct plan *of;
		const uint32_t i = plan_find_path(plan, *words, &of);

		if (i == MAP_NONE)
			return no_such_step(f, plan, *words, err);
		if (of->steps[i].irreversible == NULL && (of->steps[i].type->flags & STEP_GATE) == 0)
			return err_set(err, ERR_USAGE, "--approve '%s': that step is neither a gate nor irreversible", *words);
	}
	return 0;
}

/* Who may let gates pass, and until when steps are started. */
static int
choose_gates(struct front *f, struct run_options *ret, struct err *err)
{
	const struct options *o = &f->opt;
	const int64_t now = clock_wall_ms();

	ret->user = front_user(f);
	ret->host = front_host(f);
	ret->terminal = front_can_ask() && !front_json(f);
	ret->approve = o->approve.v;
	if (o->not_after != NULL && clock_parse(o->not_after, now, &ret->not_after) < 0)
		return err_set(err, ERR_USAGE, "--not-after '%s': a time such as 05:30 or 2026-11-21T05:30:00Z", o->not_after);
	if (o->not_after != NULL && ret->not_after <= now)
		return err_set(err, ERR_USAGE, "--not-after %s is past already", o->not_after);
	return check_approved(f, ret->plan, o->approve.v, err);
}

/* What is handed in by a plan has to come from one. */
static int
check_alone(const struct plan *plan, struct err *err)
{
	for (size_t i = 0; i < plan->ntargets; i++)
		if (plan->targets[i].required)
			return err_set(err, ERR_PLAN, "plan '%s' does not run by itself: its target '%s' is handed in by a plan that runs it",
				       plan->name, plan->targets[i].name);
	return 0;
}

int
front_choose(struct front *f, const struct opened *had, struct run_options *ret, struct err *err)
{
	/* a selection whose steps are done has had its day: what was left out is what a resume is for */
	const bool rested = had != NULL && had->history.status == RUN_PAUSED && had->history.pause_code == 0;
	const struct value *setup = had != NULL ? &had->setup : NULL;
	const struct value *selection = setup != NULL && !rested ? value_get(setup, "selection") : NULL;
	const struct options *o = &f->opt;

	if (check_alone(ret->plan, err) < 0)
		return -1;
	ret->registry = &registry;
	ret->jobs = (unsigned)(o->jobs > 0 ? o->jobs : setup != NULL ? value_get_int(setup, "jobs", DEFAULT_JOBS)
								    : DEFAULT_JOBS);
	if (ret->jobs == 0 || ret->jobs > OPTION_COUNT_MAX)
		ret->jobs = DEFAULT_JOBS;
	if (o->only.n + o->from.n + o->until.n > 0)
		ret->selection = (struct selection){ o->only.v, o->from.v, o->until.v };
	else
		ret->selection = (struct selection){ recorded_words(f, selection, "only"),
						     recorded_words(f, selection, "from"),
						     recorded_words(f, selection, "until") };
	if (choose_gates(f, ret, err) < 0)
		return -1;
	return check_selection(ret->plan, &ret->selection, had == NULL, err);
}

static struct value
words_value(struct front *f, const char *const *words)
{
	struct value *list;
	size_t n = 0;

	while (words != NULL && words[n] != NULL)
		n++;
	list = arena_array(&f->arena, n + 1, sizeof(*list));
	for (size_t i = 0; i < n; i++)
		list[i] = value_str(words[i]);
	return value_list(list, n);
}

struct value
front_setup(struct front *f, const struct run_options *o, const struct pair *more, size_t n)
{
	struct pair *all = arena_array(&f->arena, n + 4, sizeof(*all));
	struct pair *chosen = arena_array(&f->arena, 3, sizeof(*chosen));

	chosen[0] = (struct pair){ "from", words_value(f, o->selection.from) };
	chosen[1] = (struct pair){ "only", words_value(f, o->selection.only) };
	chosen[2] = (struct pair){ "until", words_value(f, o->selection.until) };
	all[0] = (struct pair){ "args", words_value(f, f->argv + 1) };
	all[1] = (struct pair){ "cwd", value_str(front_cwd(f)) };
	all[2] = (struct pair){ "jobs", value_int(o->jobs) };
	all[3] = (struct pair){ "selection", value_map(chosen, 3) };
	if (n > 0)
		memcpy(all + 4, more, n * sizeof(*more));
	return value_map(all, n + 4);
}

int
front_execute(struct run_options *o, const struct report_options *shown, struct run_result *ret, struct err *err)
{
	int code, lost;

	o->report = report_new(shown);
	code = run_execute(o, ret, err);
	lost = report_lost(o->report);
	report_free(o->report);
	if (code < 0 || lost == 0 || lost == EPIPE)
		return code == 0 ? ret->code : -1;
	errno = lost;
	if (o->mode == MODE_PLAN)
		return err_errno(err, "writing to stdout");
	if (ret->code == 0 && o->plan->outputs.len > 0) {
		err_errno(err, "run %s ended well, but its outputs could not be written to stdout", o->run);
		return err_next(err, "wherry report %s", o->run);
	}
	return ret->code;
}

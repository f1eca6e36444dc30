/* SPDX-License-Identifier: Apache-2.0 */
/* wherry completion words: what may stand where the cursor is, a line each ("word<TAB>help"; ":files" and ":folders" leave
 * that to the shell). What stands where is read from the tables of commands and options, what there is from plans and runs.
 * Never fails and never says why: who presses TAB has asked nothing. No server is touched. */
#include "cmd.h"

#include <string.h>

#include "base/text.h"
#include "steps/registry.h"

struct wanted {
	struct front *f;
	const char *typed;          /* of the candidate, so far */
	const char *before;         /* what stands in the same word before the candidate: "--format=" */
	const struct option *option; /* whose value it is, or NULL: a positional word */
	bool only_words;            /* behind "--" */
	struct buf out;
};

/* Does nothing for what the shell would have to show with care. */
static void
offer(struct wanted *w, const char *word, const char *help)
{
	struct buf shown = BUF_INIT(0);
	const size_t len = strlen(word);

	text_escape(&shown, word, len);
	if (len > 0 && shown.len == len && strncmp(word, w->typed, strlen(w->typed)) == 0) {
		buf_printf(&w->out, "%s%s", w->before, word);
		if (help != NULL && help[0] != '\0') {
			buf_putc(&w->out, '\t');
			text_escape(&w->out, help, strlen(help));
		}
		buf_putc(&w->out, '\n');
	}
	buf_done(&shown);
}

static void
offer_files(struct wanted *w)
{
	buf_puts(&w->out, ":files\n");
}

static void
offer_folders(struct wanted *w)
{
	buf_puts(&w->out, ":folders\n");
}

static void
offer_bundled(struct wanted *w)
{
	const char **names;
	const size_t n = front_plans(w->f, &names);

	for (size_t i = 0; i < n; i++)
		offer(w, names[i], "bundled plan");
}

static void
offer_plans(struct wanted *w)
{
	offer_bundled(w);
	offer_files(w);
}

static void
offer_runs(struct wanted *w)
{
	struct err ignored = ERR_INIT;
	const char *dir = front_state(w->f, &ignored), **runs;
	size_t n;

	if (dir == NULL || journal_list(dir, &w->f->arena, &runs, &n, &ignored) < 0 || n == 0)
		return;
	for (size_t i = 0; i < n; i++)
		offer(w, runs[i], i == 0 ? "run, the newest" : "run");
	offer(w, "@latest", "the newest run");
}

static void
offer_types(struct wanted *w)
{
	for (const struct step_type *const *t = registry.steps; *t != NULL; t++)
		if (((*t)->flags & STEP_LATER) == 0)
			offer(w, (*t)->name, (*t)->summary);
}

static void
offer_topic(void *data, const char *name, const char *help)
{
	offer(data, name, help);
}

static void
offer_topics(struct wanted *w)
{
	help_each(w->f, offer_topic, w);
}

/* The plan that the words before the cursor are about: named as such, or that of their run. NULL: there is none. */
static struct plan *
its_plan(struct front *f)
{
	const bool of_plan = strncmp(f->command->args, "PLAN", 4) == 0 && (f->nargs == 0 || !front_is_run(f, f->args[0]));
	struct problems ignored = PROBLEMS_INIT;
	struct err none = ERR_INIT;
	const char *name = NULL, *run;
	struct plan *plan = NULL;

	if (of_plan)
		name = f->nargs > 0 ? f->args[0] : NULL;
	else if ((run = front_run(f, 0, &none)) != NULL)
		name = front_stored(f, front_state(f, &none), run);
	if (name != NULL && strcmp(name, "-") != 0)
		plan = front_plan_problems(f, name, &ignored, &none);
	problems_done(&ignored);
	return plan;
}

/* Steps of the run that are in a certain state. */
static void
offer_steps_of_run(struct wanted *w, bool (*match)(const struct hist_step *))
{
	struct err ignored = ERR_INIT;
	const char *run = front_run(w->f, 0, &ignored);
	struct opened o = { 0 };

	if (run != NULL && opened_read(w->f, run, &o, &ignored) == 0)
		for (uint32_t i = 0; i < o.history.nsteps; i++) {
			const struct hist_step *s = &o.history.steps[i];

			if (match(s))
				offer(w, s->path, s->gate != NULL && s->gate->question != NULL ? s->gate->question : s->msg);
		}
	if (run != NULL)
		opened_done(&o);
}

static bool
asks(const struct step *s)
{
	return s->irreversible != NULL || (s->type->flags & STEP_GATE) != 0;
}

static void
offer_steps(struct wanted *w)
{
	const bool gates = w->option != NULL && strcmp(w->option->name, "approve") == 0;
	struct plan *plan;

	if (w->option == NULL && w->f->command->fn == cmd_approve) {
		offer_steps_of_run(w, history_waits);
	} else if (w->option == NULL && w->f->command->fn == cmd_resolve) {
		offer_steps_of_run(w, step_is_in_doubt);
	} else if ((plan = its_plan(w->f)) != NULL) {
		for (uint32_t i = 0; i < plan->nsteps; i++)
			if (!gates || asks(&plan->steps[i]))
				offer(w, plan->steps[i].id, plan->steps[i].type->name);
		plan_free(plan);
	}
}

/* The answers of the gate that is approved. */
static void
offer_answers(struct wanted *w)
{
	struct err ignored = ERR_INIT;
	struct opened o = { 0 };
	const struct hist_step *s;
	const char *run = w->f->nargs > 1 ? front_run(w->f, 0, &ignored) : NULL;

	if (run == NULL)
		return;
	if (opened_read(w->f, run, &o, &ignored) == 0 && (s = history_step(&o.history, w->f->args[1])) != NULL &&
	    history_waits(s) && s->gate->answers != NULL)
		for (const char *p = s->gate->answers; *p != '\0'; p += *p == '/') {
			const size_t len = strcspn(p, "/");

			offer(w, arena_strndup(&w->f->arena, p, len), s->gate->question);
			p += len;
		}
	opened_done(&o);
}

static void
offer_values(struct wanted *w, const struct param *p)
{
	if (p->field.type == F_BOOL) {
		offer(w, "true", NULL);
		offer(w, "false", NULL);
	}
	for (const char *const *c = p->field.choices; c != NULL && *c != NULL; c++)
		offer(w, *c, NULL);
}

/* Secrets are refused in -p. */
static void
offer_params(struct wanted *w)
{
	const char *eq = strchr(w->typed, '=');
	struct plan *plan = its_plan(w->f);

	for (size_t i = 0; plan != NULL && i < plan->nparams; i++) {
		const struct param *p = &plan->params[i];
		const char *word = arena_printf(&w->f->arena, "%s=", p->field.name);

		if (p->field.secret)
			continue;
		if (eq == NULL) {
			offer(w, word, p->field.help);
		} else if (strncmp(word, w->typed, (size_t)(eq + 1 - w->typed)) == 0) {
			w->before = arena_printf(&w->f->arena, "%s%s", w->before, word);
			w->typed = eq + 1;
			offer_values(w, p);
			break;
		}
	}
	plan_free(plan);
}

/* A word of the tables' `arg` and `args` in capitals, and what it stands for. Others are free text. */
static const struct {
	const char *word;
	void (*offer)(struct wanted *);
} sources[] = {
	{ "PLAN", offer_plans },  { "NAME", offer_bundled }, { "RUN", offer_runs },      { "STEP", offer_steps },
	{ "TYPE", offer_types },  { "TOPIC", offer_topics }, { "WORD", offer_answers }, { "K=V", offer_params },
	{ "FILE", offer_files }, { "DIR", offer_folders },
};

/* Alternatives, separated by '|': words as they are, and kinds of words in capitals. */
static void
offer_spec(struct wanted *w, const char *spec, size_t len)
{
	for (const char *p = spec, *end = spec + len; p < end; p++) {
		const char *stop = memchr(p, '|', (size_t)(end - p));
		const char *word = arena_strndup(&w->f->arena, p, (size_t)((stop != NULL ? stop : end) - p));

		for (size_t i = 0; i < countof(sources); i++)
			if (strcmp(sources[i].word, word) == 0)
				sources[i].offer(w);
		if (word[0] >= 'a' && word[0] <= 'z')
			offer(w, word, NULL);
		p += strlen(word);
	}
}

/* The n-th of a command's positional words ("RUN STEP", "dump|verify [RUN]", "PLAN..."). */
static void
offer_positional(struct wanted *w, const char *args, size_t n)
{
	const char *p = args;

	for (;; p++) {
		const char *from = p + (*p == '[');
		const size_t len = strcspn(from, " ].");
		const bool again = strncmp(from + len, "...", 3) == 0;

		p += strcspn(p, " ");
		if (n == 0 || again) {
			offer_spec(w, from, len);
			return;
		}
		n--;
		if (*p == '\0')
			return;
	}
}

static void
offer_options(struct wanted *w, const struct option *table, const struct option *hidden_by)
{
	for (const struct option *o = table; o->name != NULL || o->letter != 0; o++)
		if (o->name != NULL && o->kind != OPTION_LATER && option_named(hidden_by, o->name) == NULL)
			offer(w, arena_printf(&w->f->arena, "--%s", o->name), o->help);
}

/* Read the words before the cursor as the command line would; false when no such line can be completed. */
static bool
read_words(struct wanted *w, const char **words, size_t n)
{
	struct front *f = w->f;
	size_t at = 1;

	f->command = NULL;
	f->opt = (struct options){ 0 };
	f->args = arena_array(&f->arena, n + 1, sizeof(*f->args));
	f->nargs = 0;
	while (at + 1 < n) {
		const struct option *own = f->command != NULL ? f->command->options : options_none;
		struct err ignored = ERR_INIT;
		int next = (int)at;

		if (w->only_words || !option_is(words[at])) {
			if (f->command != NULL)
				f->args[f->nargs++] = words[at];
			else if ((f->command = front_command(f, words[at])) == NULL)
				return false;
			at++;
		} else if (strcmp(words[at], "--") == 0) {
			w->only_words = true;
			at++;
		} else {
			const struct option *awaits = option_awaits(options_common, own, words[at]);

			if (awaits != NULL && at + 2 == n) {
				w->option = awaits;
				return true;
			}
			option_parse(options_common, own, &f->arena, (int)n - 1, (char **)words, &next, &f->opt, &ignored);
			at += awaits != NULL ? 2 : 1;
		}
	}
	return true;
}

/* The value of an option that stands in the same word ("--format=js", "-pdi"); false: there is none. */
static bool
split_value(struct wanted *w, const struct option *own)
{
	const char *eq = strchr(w->typed, '=');
	const size_t head = w->typed[1] == '-' ? (eq != NULL ? (size_t)(eq + 1 - w->typed) : 0) : 2;
	const struct option *o;

	if (head == 0 || (head == 2 && w->typed[2] == '\0'))
		return false;
	o = option_awaits(options_common, own, arena_strndup(&w->f->arena, w->typed, head == 2 ? head : head - 1));
	if (o == NULL)
		return false;
	w->option = o;
	w->before = arena_strndup(&w->f->arena, w->typed, head);
	w->typed += head;
	return true;
}

int
front_candidates(struct front *f)
{
	const size_t n = f->nargs - 1; /* the program's name, and the words after it up to the cursor */
	const char **words = f->args + 1;
	struct wanted w = { .f = f, .before = "", .typed = n > 1 ? words[n - 1] : "", .out = BUF_INIT(0) };
	struct err ignored = ERR_INIT;
	const struct option *own;

	if (n < 2 || !read_words(&w, words, n))
		return 0;
	own = f->command != NULL ? f->command->options : options_none;
	if (w.option != NULL || (!w.only_words && option_is(w.typed) && split_value(&w, own))) {
		offer_spec(&w, w.option->arg, strlen(w.option->arg));
	} else if (!w.only_words && w.typed[0] == '-') {
		offer_options(&w, own, options_none);
		offer_options(&w, options_common, own);
	} else if (f->command == NULL) {
		for (const struct command *c = f->commands; c->name != NULL; c++)
			offer(&w, c->name, c->help);
	} else {
		offer_positional(&w, f->command->args, f->nargs);
	}
	(void)front_print(&w.out, &ignored);
	buf_done(&w.out);
	return 0;
}

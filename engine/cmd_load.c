/* SPDX-License-Identifier: Apache-2.0 */
/* Finds plans (path, stdin, bundled name), loads them with every problem shown, and resolves their parameters from
 * the command line, a file, the environment and the operator. */
#include "cmd.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/hash.h"
#include "base/io.h"
#include "base/text.h"
#include "planfile.h"
#include "steps/registry.h"

#define SUFFIX ".yaml"

/* Folders of bundled plans, strongest first; NULL-ended. */
static void
plan_dirs(struct front *f, const char *ret[4])
{
	const char *env = getenv("WHERRY_PLANS");
	char exe[4096];
	ssize_t len = readlink("/proc/self/exe", exe, sizeof(exe) - 1);
	size_t n = 0;

	if (env != NULL && env[0] != '\0')
		ret[n++] = env;
	for (int up = 0; up < 2 && len > 0; up++) {
		while (len > 0 && exe[--len] != '/')
			;
		exe[len] = '\0';
	}
	if (len > 0)
		ret[n++] = io_join(&f->arena, exe, "plans");
	ret[n++] = WHERRY_PLANS;
	ret[n] = NULL;
}

static int
by_name(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

size_t
front_plans(struct front *f, const char ***ret)
{
	const char *dirs[4];
	const char **names = NULL;
	size_t n = 0, cap = 0;

	plan_dirs(f, dirs);
	for (const char **dir = dirs; *dir != NULL && n == 0; dir++) {
		DIR *d = opendir(*dir);
		struct dirent *e;

		while (d != NULL && (e = readdir(d)) != NULL) {
			size_t len = strlen(e->d_name);

			if (len <= strlen(SUFFIX) || strcmp(e->d_name + len - strlen(SUFFIX), SUFFIX) != 0 ||
			    !text_is_name(e->d_name, len - strlen(SUFFIX)))
				continue;
			if (n == cap) {
				cap = 2 * cap + 8;
				names = xreallocarray(names, cap, sizeof(*names));
			}
			names[n++] = arena_strndup(&f->arena, e->d_name, len - strlen(SUFFIX));
		}
		if (d != NULL)
			closedir(d);
	}
	*ret = arena_array(&f->arena, n + 1, sizeof(**ret));
	if (n > 0)
		memcpy(*ret, names, n * sizeof(*names));
	free(names);
	qsort(*ret, n, sizeof(**ret), by_name);
	return n;
}

/* The file of a bundled plan, or NULL. */
static const char *
bundled_file(struct front *f, const char *name)
{
	const char *dirs[4];

	plan_dirs(f, dirs);
	for (const char **dir = dirs; *dir != NULL && text_is_name(name, strlen(name)); dir++) {
		const char *path = io_join(&f->arena, *dir, arena_printf(&f->arena, "%s" SUFFIX, name));

		if (access(path, F_OK) == 0)
			return path;
	}
	return NULL;
}

/* There is none of that name; always NULL. */
static const char *
no_plan(struct front *f, const char *what, const char *name, const char *more, struct err *err)
{
	const char **names;
	const size_t n = front_plans(f, &names);

	err_set(err, ERR_USAGE, "no %s '%s'%s%s", what, name, more, front_nearest(f, name, names, n));
	err_next(err, "wherry plans");
	return NULL;
}

const char *
front_plan_file(struct front *f, const char *name, struct err *err)
{
	const char *path = bundled_file(f, name);

	if (path != NULL)
		return path;
	if (access(name, F_OK) == 0 || errno != ENOENT)
		return name; /* why it cannot be read is said by who reads it */
	return no_plan(f, "plan", name, ": neither a file nor a bundled plan", err);
}

/* plan_reader.read */
static int
read_other(void *data, const char *from, const char *word, bool bundled, const char *key, struct arena *a, const char **ret_file,
	   struct buf *to, struct err *err)
{
	const char *slash = strrchr(from, '/');
	struct front *f = data;

	(void)key;
	*ret_file = bundled	    ? bundled_file(f, word)
		    : slash != NULL ? arena_printf(a, "%.*s%s", (int)(slash + 1 - from), from, word)
				    : word;
	if (*ret_file == NULL)
		(void)no_plan(f, "bundled plan", word, "", err);
	return *ret_file == NULL ? -1 : io_read_file(*ret_file, YAML_MAX_BYTES, to, err);
}

struct plan_reader
front_reader(struct front *f)
{
	return (struct plan_reader){ read_other, f };
}

int
front_refuse(struct problems *problems, const char *what, const char *text, size_t len, struct err *err)
{
	size_t n = problems->n + problems->dropped;
	struct buf b = BUF_INIT(0);
	struct err ignored = ERR_INIT;

	problems_sort(problems);
	problems_show(problems, &b, text, len);
	front_say("wherry: %s: %zu problem%s", what, n, n == 1 ? "" : "s");
	io_write_all(STDERR_FILENO, b.p, b.len, &ignored);
	buf_done(&b);
	return err_set(err, ERR_PLAN, "%s", "");
}

struct plan *
front_plan_text(const char *file, const struct buf *text, const struct plan_reader *reader, struct err *err)
{
	struct problems problems = PROBLEMS_INIT;
	struct plan *plan = plan_load(&registry, reader, file, text->len > 0 ? text->p : "", text->len, &problems);

	if (plan == NULL)
		front_refuse(&problems, file, text->p, text->len, err);
	problems_done(&problems);
	return plan;
}

/* The text of the plan that a name means, and its file's name; NULL with err. */
static const char *
read_plan(struct front *f, const char *name, struct buf *ret, struct err *err)
{
	bool is_stdin = strcmp(name, "-") == 0;
	const char *file = is_stdin ? "stdin" : front_plan_file(f, name, err);
	int got;

	if (file == NULL)
		return NULL;
	got = is_stdin ? io_read_fd(STDIN_FILENO, file, YAML_MAX_BYTES, ret, err)
		       : io_read_file(file, YAML_MAX_BYTES, ret, err);
	if (got < 0 && err->kind == ERR_LOCAL)
		err->kind = ERR_USAGE; /* the plan named on the command line is at fault, not this machine */
	if (got == 0 && planfile_is(ret->p, ret->len)) {
		err_set(err, ERR_USAGE, "'%s' is a plan file, which can only be run", file);
		got = err_next(err, "wherry run %s", front_word(f, name));
	}
	return got < 0 ? NULL : file;
}

struct value
front_closure(struct front *f, const struct plan *root, struct journal_file **ret_files)
{
	struct journal_file *files = arena_array(&f->arena, root->nparts + 1, sizeof(*files));
	struct pair *pairs = arena_array(&f->arena, root->nparts + 1, sizeof(*pairs));
	char sha[SHA256_HEX];

	for (uint32_t i = 0; i <= root->nparts; i++) {
		const struct plan *p = i == 0 ? root : root->parts[i - 1];

		files[i] = (struct journal_file){ i == 0 ? MAIN_FILE : p->key, p->text, p->text_len };
		sha256_hex(p->text, p->text_len, sha);
		pairs[i] = (struct pair){ files[i].name, value_str(arena_strdup(&f->arena, sha)) };
	}
	*ret_files = files;
	return value_map(pairs, root->nparts + 1);
}

struct plan *
front_plan(struct front *f, const char *name, struct err *err)
{
	struct buf text = BUF_INIT(YAML_MAX_BYTES + 1);
	const char *file = read_plan(f, name, &text, err);
	const struct plan_reader reader = front_reader(f);
	struct plan *plan = file != NULL ? front_plan_text(file, &text, &reader, err) : NULL;

	buf_done(&text);
	return plan;
}

struct plan *
front_plan_problems(struct front *f, const char *name, struct problems *ret, struct err *err)
{
	struct buf text = BUF_INIT(YAML_MAX_BYTES + 1);
	const char *file = read_plan(f, name, &text, err);
	const struct plan_reader reader = front_reader(f);
	struct plan *plan = NULL;

	if (file == NULL)
		problems_add(ret, (struct pos){ .file = name }, err->next[0] != '\0' ? err->next : NULL, "%s", err->msg);
	else if ((plan = plan_load(&registry, &reader, file, text.len > 0 ? text.p : "", text.len, ret)) == NULL)
		err_set(err, ERR_PLAN, "%s", "");
	buf_done(&text);
	return plan;
}

/* -p k=v as pairs. */
static int
given_params(struct front *f, const char *const (**ret)[2], struct err *err)
{
	const char *(*pairs)[2] = arena_array(&f->arena, f->opt.params.n + 1, sizeof(*pairs));

	for (size_t i = 0; i < f->opt.params.n; i++) {
		const char *word = f->opt.params.v[i], *eq = strchr(word, '=');

		if (eq == NULL || eq == word) {
			err_set(err, ERR_USAGE, "-p takes K=V, not '%s'", word);
			return err_next(err, "wherry help %s", f->command->name);
		}
		pairs[i][0] = arena_strndup(&f->arena, word, (size_t)(eq - word));
		pairs[i][1] = eq + 1;
	}
	*ret = (const char *const(*)[2])pairs;
	return 0;
}

/* The map in --params FILE. */
static int
file_params(struct front *f, struct value *ret, struct err *err)
{
	struct buf text = BUF_INIT(YAML_MAX_BYTES + 1);
	struct problems problems = PROBLEMS_INIT;
	const char *file = f->opt.params_file;
	struct node root;
	int got = -1;

	if (io_read_file(file, YAML_MAX_BYTES, &text, err) < 0) {
		err->kind = ERR_USAGE;
		goto out;
	}
	if (yaml_parse(&f->arena, file, text.len > 0 ? text.p : "", text.len, NULL, NULL, &root, &problems) < 0) {
		front_refuse(&problems, file, text.p, text.len, err);
		goto out;
	}
	if (root.kind != NODE_MAP) {
		err_at(err, node_pos(&root, file), "parameters are a map of names to values");
		goto out;
	}
	*ret = node_value(&f->arena, &root);
	got = 0;
out:
	problems_done(&problems);
	buf_done(&text);
	return got;
}

static const char *
from_env(void *data, const char *name)
{
	(void)data;
	return getenv(name);
}

/* A secret that the run began without is not taken later, as it would be another run: what would give it is told. */
static void
tell_unused(struct front *f, const struct plan *plan, const struct value *stored)
{
	for (size_t i = 0; i < plan->nparams; i++) {
		const struct field *p = &plan->params[i].field;
		const struct value *v = value_get(stored, p->name);
		const char *name = params_env_name(&f->arena, p->name);

		if (p->secret && v != NULL && v->kind == V_NULL && getenv(name) != NULL)
			front_say("%s is not used: the run began without '%s', and keeps its parameters; a new run takes it", name, p->name);
	}
}

int
front_params(struct front *f, const struct plan *plan, const struct value *stored, struct value *ret, struct err *err)
{
	struct param_source source = {
		.ngiven = f->opt.params.n,
		.file_name = f->opt.params_file,
		.stored = stored,
		.env = from_env,
		.env_data = f,
		.ask = front_can_ask() ? front_ask_secret : NULL,
	};
	struct problems problems = PROBLEMS_INIT;
	struct value file;
	int got;

	if (given_params(f, &source.given, err) < 0)
		return -1;
	if (f->opt.params_file != NULL) {
		if (file_params(f, &file, err) < 0)
			return -1;
		source.file = &file;
	}
	got = params_resolve(plan, &source, &f->arena, ret, &problems);
	if (got < 0) {
		front_refuse(&problems, "parameters", plan->text, plan->text_len, err);
		if (stored == NULL)
			err_next(err, "wherry plans %s", front_word(f, f->args[0]));
		else if (f->opt.params.n > 0) /* it keeps those that are not secret */
			err_next(err, "with those that it has: wherry %s %s\nfor a new run, with others: wherry plans",
				 f->command->name, f->nargs > 0 ? f->args[0] : "@latest");
		else /* a terminal is asked for them */
			err_next(err, "with the missing ones given: wherry %s %s", f->command->name,
				 f->nargs > 0 ? f->args[0] : "@latest");
	} else {
		if (stored != NULL)
			tell_unused(f, plan, stored);
		f->typed.params = f->opt.params.v; /* a secret among them would have been refused */
	}
	problems_done(&problems);
	return got;
}
